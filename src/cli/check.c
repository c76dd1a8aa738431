/* SPDX-License-Identifier: Apache-2.0
 *
 * `ringcast check`: says whether this host is fit to run the gateway, and what to do where it is not. Changes nothing.
 * Main thread.
 */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/json.h"
#include "ops/hostcheck.h"

/* The defaults of max_clients and memory in the configuration. */
#define CLIENTS_DEFAULT 10000
#define CLIENTS_MAX     100000000
#define MEMORY_DEFAULT  ((uint64_t)256 << 20)

static const char usage[] =
	"usage: ringcast check [options]\n"
	"\n"
	"Looks at this host and says what would keep the gateway from running well. Changes nothing.\n"
	"\n"
	"  --clients=N     how many clients it is to hold (10000)\n"
	"  --memory=SIZE   the option memory, such as 512MiB (256MiB)\n"
	"  --root=FOLDER   look at FOLDER/proc and FOLDER/sys instead, such as copies of another host's\n"
	"  --json          for programs\n"
	"  --help\n"
	"\n"
	"Status: 0 all that is required is there, 1 something required is missing, 2 wrong usage.\n";

struct options {
	struct rc_host_env env;
	bool json;
};

/* "512MiB", "2GiB", "4096". */
static bool parse_size(const char *text, uint64_t *out)
{
	static const struct {
		const char *unit;
		uint32_t shift;
	} units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 15)
		return false;
	uint64_t n = strtoull(text, NULL, 10);
	for (uint32_t u = 0; u < RC_ARRAY_LEN(units); u++)
		if (strcmp(text + digits, units[u].unit) == 0 &&
			n <= UINT64_MAX >> 4 >> units[u].shift) {
			*out = n << units[u].shift;
			return true;
		}
	return false;
}

static int wrong(const char *option, const char *value, const char *wanted)
{
	fprintf(stderr, "ringcast check: --%s: '%s' is not %s\n", option, value, wanted);
	return 2;
}

/* 0; 2 when the line is wrong; -1 when help was printed. */
static int parse(struct options *o, int argc, char **argv)
{
	enum { CLIENTS = 256, MEMORY, ROOT, JSON, HELP };
	static const struct option longs[] = {{"clients", required_argument, NULL, CLIENTS},
		{"memory", required_argument, NULL, MEMORY},
		{"root", required_argument, NULL, ROOT}, {"json", no_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP}, {NULL, 0, NULL, 0}};
	*o = (struct options){.env = rc_host_env_real(CLIENTS_DEFAULT, MEMORY_DEFAULT)};
	optind = 0; /* starts anew, also when this is not the first command line that getopt sees */
	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		switch (c) {
		case CLIENTS:
			if (strspn(optarg, "0123456789") < strlen(optarg) ||
				!parse_size(optarg, &o->env.max_clients) ||
				o->env.max_clients == 0 || o->env.max_clients > CLIENTS_MAX)
				return wrong("clients", optarg, "a number of clients");
			break;
		case MEMORY:
			if (!parse_size(optarg, &o->env.memory_bytes))
				return wrong("memory", optarg, "a size such as 512MiB");
			break;
		case ROOT:
			o->env.root = optarg;
			break;
		case JSON:
			o->json = true;
			break;
		case HELP:
			fputs(usage, stdout);
			return -1;
		default:
			fputs("ringcast check --help says what there is\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "ringcast check: '%s' is not an option\n", argv[optind]);
		return 2;
	}
	return 0;
}

static void print_finding(const struct rc_host_finding *f)
{
	const struct rc_host_check *check = f->check;
	bool off = f->verdict == RC_HOST_ADVICE || f->verdict == RC_HOST_BAD;
	printf("  %-8s %-34s %-28s %s\n", rc_host_verdict_name(f->verdict), check->id, f->found,
		f->wanted);
	if (f->why[0] != '\0' && f->verdict != RC_HOST_OK)
		printf("  %-8s   %s\n", "", f->why);
	if (off && check->cost[0] != '\0')
		printf("  %-8s   cost: %s\n", "", check->cost);
	if (f->mend[0] != '\0')
		printf("  %-8s   %s: %s\n", "", off ? "mend" : "try", f->mend);
}

static void print_text(
	const struct rc_host_finding *findings, uint32_t count, const uint32_t *verdicts)
{
	printf("  %-8s %-34s %-28s %s\n", "", "what", "found", "wanted");
	for (uint32_t g = 0; g < RC_HOST_GROUP_COUNT; g++) {
		printf("\n%s\n", rc_host_group_name((enum rc_host_group)g));
		for (uint32_t i = 0; i < count; i++)
			if ((uint32_t)findings[i].check->group == g)
				print_finding(&findings[i]);
	}
	printf("\n%" PRIu32 " checks: %" PRIu32 " ok, %" PRIu32 " for your information, %" PRIu32
	       " pieces of advice, %" PRIu32 " bad, %" PRIu32 " unknown\n",
		count, verdicts[RC_HOST_OK], verdicts[RC_HOST_INFO], verdicts[RC_HOST_ADVICE],
		verdicts[RC_HOST_BAD], verdicts[RC_HOST_UNKNOWN]);
	if (verdicts[RC_HOST_BAD] > 0)
		puts("The gateway will not run as asked until what is bad is mended.");
}

static void print_json_text(const char *key, const char *text)
{
	printf(",\"%s\":", key);
	rc_json_text(stdout, text);
}

static void print_json(
	const struct rc_host_finding *findings, uint32_t count, const uint32_t *verdicts)
{
	printf("{\"fit\":%s,\"counts\":{", verdicts[RC_HOST_BAD] == 0 ? "true" : "false");
	for (uint32_t v = 0; v <= RC_HOST_UNKNOWN; v++)
		printf("%s\"%s\":%" PRIu32, v == 0 ? "" : ",",
			rc_host_verdict_name((enum rc_host_verdict)v), verdicts[v]);
	printf("},\"checks\":[");
	for (uint32_t i = 0; i < count; i++) {
		const struct rc_host_finding *f = &findings[i];
		printf("%s\n{\"id\":", i == 0 ? "" : ",");
		rc_json_text(stdout, f->check->id);
		print_json_text("group", rc_host_group_name(f->check->group));
		print_json_text("verdict", rc_host_verdict_name(f->verdict));
		printf(",\"required\":%s", f->check->required ? "true" : "false");
		print_json_text("reads", f->check->reads);
		print_json_text("found", f->found);
		print_json_text("wanted", f->wanted);
		print_json_text("why", f->why);
		print_json_text("cost", f->check->cost);
		print_json_text("mend", f->mend);
		putchar('}');
	}
	printf("\n]}\n");
}

/* The host against what it is to hold. 0 or 1, as the process ends. */
static int check_host(const struct options *o)
{
	static struct rc_host_finding findings[RC_HOST_CHECKS_MAX];
	uint32_t verdicts[RC_HOST_UNKNOWN + 1] = {0};
	uint32_t count = rc_host_run(&o->env, findings);
	for (uint32_t i = 0; i < count; i++)
		verdicts[findings[i].verdict]++;
	if (o->json)
		print_json(findings, count, verdicts);
	else
		print_text(findings, count, verdicts);
	return verdicts[RC_HOST_BAD] > 0 ? 1 : 0;
}

/* Whatever else is to be checked, such as a configuration, adds its answer here: the worst one is the status. */
int rc_cli_check(int argc, char **argv)
{
	struct options o;
	int status = parse(&o, argc, argv);
	if (status != 0)
		return status < 0 ? 0 : status;
	return check_host(&o);
}
