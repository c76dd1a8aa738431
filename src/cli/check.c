/* SPDX-License-Identifier: Apache-2.0
 *
 * `ringcast check`: says whether this host is fit to run the gateway, and what to do where it is not; with a
 * configuration also whether that is right, and whether the host can hold what it asks for. Changes nothing. Main thread.
 */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/auth.h"
#include "cli/checktls.h"
#include "cli/json.h"
#include "config/config.h"
#include "mem/budget.h"
#include "ops/hostcheck.h"
#include "shard/shard.h"

#define CLIENTS_MAX 1000000000

static const char usage[] =
	"usage: ringcast check [options]\n"
	"\n"
	"Looks at this host and says what would keep the gateway from running well. Changes nothing.\n"
	"With --config also checks that configuration, as `ringcast serve --config FILE` would read it\n"
	"here and now (environment included), with the certificates, keys, services and logs that it\n"
	"names, and holds the host against its max_clients and memory.\n"
	"\n"
	"  --config=FILE   check this configuration too\n"
	"  --clients=N     how many clients the host is to hold (10000, or what the configuration says)\n"
	"  --memory=SIZE   the option memory, such as 512MiB (256MiB, or what the configuration says)\n"
	"  --root=FOLDER   look at FOLDER/proc and FOLDER/sys instead, such as copies of another host's\n"
	"  --json          for programs\n"
	"  -h, --help\n"
	"\n"
	"Status: 0 all that is required is there, 1 something required is missing or the configuration\n"
	"is wrong, 2 wrong usage.\n";

struct options {
	struct rc_host_env env;
	const char *config; /* NULL: none */
	bool clients_given, memory_given;
	bool json;
};

/* What was found about the configuration, or about the defaults; also when it is wrong, as far as it could be read. */
struct config_answer {
	struct rc_config config;
	struct rc_config_report report;
	uint32_t shards; /* 0: no plan could be made */
	uint64_t bytes;  /* of the gateway's own memory */
	struct rc_check_tls tls;
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
	enum { CLIENTS = 256, CONFIG, MEMORY, ROOT, JSON, HELP };
	static const struct option longs[] = {{"clients", required_argument, NULL, CLIENTS},
		{"config", required_argument, NULL, CONFIG},
		{"memory", required_argument, NULL, MEMORY},
		{"root", required_argument, NULL, ROOT}, {"json", no_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP}, {NULL, 0, NULL, 0}};
	*o = (struct options){.env = rc_host_env_real(0, 0)};
	optind = 0; /* starts anew, also when this is not the first command line that getopt sees */
	for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
		switch (c) {
		case CLIENTS:
			if (strspn(optarg, "0123456789") < strlen(optarg) ||
				!parse_size(optarg, &o->env.max_clients) ||
				o->env.max_clients == 0 || o->env.max_clients > CLIENTS_MAX)
				return wrong("clients", optarg, "a number of clients");
			o->clients_given = true;
			break;
		case CONFIG:
			if (optarg[0] == '\0')
				return wrong("config", optarg, "a path");
			o->config = optarg;
			break;
		case MEMORY:
			if (!parse_size(optarg, &o->env.memory_bytes))
				return wrong("memory", optarg, "a size such as 512MiB");
			o->memory_given = true;
			break;
		case ROOT:
			o->env.root = optarg;
			break;
		case JSON:
			o->json = true;
			break;
		case 'h':
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

/* ---- the configuration ---------------------------------------------------------------------- */

static void read_config(const struct options *o, struct config_answer *a)
{
	char flag[] = "--config", path[4096];
	char *argv[] = {flag, path};
	struct rc_config_args args;
	extern char **environ;

	if (o->config == NULL)
		rc_config_init(&a->config);
	else if ((size_t)snprintf(path, sizeof(path), "%s", o->config) < sizeof(path))
		(void)!rc_config_load(&a->config, 2, argv, environ, &args, &a->report);
	else {
		rc_config_init(&a->config);
		rc_config_report_error(&a->report, "the path of the configuration is too long");
	}
}

/* As the gateway would, up to where it would open a port. */
static void plan_config(const struct options *o, struct config_answer *a)
{
	static struct rc_gateway plan;
	static struct rc_budget budget;
	struct rc_error err;

	if (rc_gateway_plan(&plan, &a->config, &budget, &err) < 0) {
		rc_config_report_error(&a->report, "%s", err.text);
		return;
	}
	a->shards = plan.count;
	if (o->config == NULL)
		return;
	a->bytes = rc_budget_total(&budget, false);
	/* Without shards and cpus in it the configuration alone does not tell how many share the memory. */
	if (a->config.shards == 0 && a->config.cpus.count == 0)
		(void)!rc_config_check_memory(&a->config, plan.count, &a->report);
	if (rc_budget_check(&budget, rc_budget_host_bytes(), &err) < 0)
		rc_config_report_error(&a->report, "%s", err.text);
}

static void hear_keys(void *ctx, bool warning, const char *text)
{
	if (warning)
		rc_config_report_warning(ctx, "%s", text);
}

static void look_at_keys(const struct rc_config *c, struct rc_config_report *r)
{
	struct rc_auth *auth;
	struct rc_error err;

	if (rc_auth_open(&auth, c, &err) < 0) {
		rc_config_report_error(r, "%s", err.text);
		return;
	}
	rc_auth_describe(auth, hear_keys, r);
	rc_auth_close(auth);
}

static void look_at_schemas(const struct rc_config *c, struct rc_config_report *r)
{
	struct rc_error err;

	if (rc_gateway_rules_try(c, &err) < 0)
		rc_config_report_error(r, "%s", err.text);
}

static void look_at_log(const struct rc_config *c, struct rc_config_report *r)
{
	struct rc_error err;

	if (rc_logs_try(c, &err) < 0)
		rc_config_report_error(r, "%s", err.text);
}

static void check_config(struct options *o, struct config_answer *a)
{
	uint32_t shards;

	read_config(o, a);
	/* CPUs, memory, kernel and files are those of this host, not those of copies under --root. */
	if (o->env.root[0] == '\0') {
		if (a->report.errors == 0)
			plan_config(o, a);
		rc_check_tls_look(&a->tls, &a->config, &a->report);
		if (a->report.errors == 0) {
			look_at_keys(&a->config, &a->report);
			look_at_schemas(&a->config, &a->report);
			look_at_log(&a->config, &a->report);
		}
		o->env.tls = &a->tls.host;
	}
	shards = a->shards              ? a->shards
		 : a->config.shards     ? a->config.shards
		 : a->config.cpus.count ? a->config.cpus.count
					: RC_SHARDS_MAX;
	if (!o->clients_given)
		o->env.max_clients = a->config.max_clients;
	if (!o->memory_given)
		o->env.memory_bytes = a->config.memory;
	o->env.descriptors = rc_host_descriptors(&a->config, o->env.max_clients, shards);
}

static void print_config_text(const struct options *o, const struct config_answer *a)
{
	/* The lines go to standard error, before all that follows on standard output. */
	rc_config_report_print(&a->report, stderr);
	printf("configuration %s: %s", o->config, a->report.errors ? "wrong" : "fine");
	if (a->bytes)
		printf(", %" PRIu32 " shard%s, %" PRIu64 " MiB of memory", a->shards,
			a->shards == 1 ? "" : "s", a->bytes >> 20);
	printf("; the host is held against max_clients %" PRIu64 " and memory %" PRIu64 " MiB\n\n",
		o->env.max_clients, o->env.memory_bytes >> 20);
}

static void print_json_lines(
	const char *key, const char lines[][RC_CONFIG_REPORT_LINE_SIZE], uint32_t count)
{
	printf(",\"%s\":[", key);
	for (uint32_t i = 0; i < RC_MIN(count, (uint32_t)RC_CONFIG_REPORT_LINES); i++) {
		if (i > 0)
			putchar(',');
		rc_json_text(stdout, lines[i]);
	}
	putchar(']');
}

/* ---- for programs --------------------------------------------------------------------------- */

static void print_json_text(const char *key, const char *text)
{
	printf(",\"%s\":", key);
	rc_json_text(stdout, text);
}

static void print_config_json(const struct options *o, const struct config_answer *a)
{
	printf("\"config\":{\"fine\":%s", a->report.errors == 0 ? "true" : "false");
	print_json_text("file", o->config);
	print_json_lines("errors", a->report.error, a->report.errors);
	print_json_lines("warnings", a->report.warning, a->report.warnings);
	if (a->bytes)
		printf(",\"shards\":%" PRIu32 ",\"bytes\":%" PRIu64, a->shards, a->bytes);
	printf("},");
}

static void print_json(const struct options *o, const struct config_answer *a,
	const struct rc_host_finding *findings, uint32_t count, const uint32_t *verdicts)
{
	bool fit = verdicts[RC_HOST_BAD] == 0 && a->report.errors == 0;

	printf("{\"fit\":%s,", fit ? "true" : "false");
	if (o->config != NULL)
		print_config_json(o, a);
	if (o->env.tls != NULL)
		rc_check_tls_json(&a->tls, o->config != NULL);
	printf("\"counts\":{");
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

/* 0 or 1, as the process ends: the worse of the two answers. */
int rc_cli_check(int argc, char **argv)
{
	static struct rc_host_finding findings[RC_HOST_CHECKS_MAX];
	static struct config_answer answer;
	struct options o;
	uint32_t verdicts[RC_HOST_UNKNOWN + 1] = {0};
	int status = parse(&o, argc, argv);

	if (status != 0)
		return status < 0 ? 0 : status;
	memset(&answer, 0, sizeof(answer));
	check_config(&o, &answer);
	uint32_t count = rc_host_run(&o.env, findings);
	for (uint32_t i = 0; i < count; i++)
		verdicts[findings[i].verdict]++;
	if (o.json) {
		print_json(&o, &answer, findings, count, verdicts);
	} else {
		if (o.config != NULL)
			print_config_text(&o, &answer);
		if (o.env.tls != NULL)
			rc_check_tls_print(&answer.tls, o.config != NULL);
		print_text(findings, count, verdicts);
	}
	return verdicts[RC_HOST_BAD] > 0 || answer.report.errors > 0 ? 1 : 0;
}
