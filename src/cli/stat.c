/* SPDX-License-Identifier: Apache-2.0
 *
 * `ringcast stat`: prints the counters of a running gateway out of its counters file. The gateway does not notice.
 * Main thread.
 *
 * A look is all values at (nearly) one moment; --watch keeps the last look and prints what changed since.
 */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli/statlook.h"
#include "ops/counters.h"

#define NO_GATEWAY      3
#define WATCH_DEFAULT_S 1.0

static const char usage[] =
	"usage: ringcast stat [options]\n"
	"\n"
	"Prints the counters of a gateway that runs on this host.\n"
	"\n"
	"  --pid=N              the gateway with this process id; needed when several run\n"
	"  --file=PATH          the gateway with this counters file\n"
	"  --shard=N            one shard alone; otherwise the sum of all\n"
	"  --watch[=SECONDS]    again and again, with rates and with quantiles of the interval (1)\n"
	"  --count=N            with --watch: stop after N times\n"
	"  --all                also what is zero\n"
	"  --json               one JSON object a line\n"
	"  --help\n"
	"\n"
	"Status: 0 fine, 1 the file can't be read, 2 wrong usage, 3 no such gateway runs.\n";

struct options {
	uint32_t pid; /* 0 = any */
	const char *file;
	uint32_t shard; /* RC_NONE = all */
	double watch_s; /* 0 = once */
	uint64_t count; /* 0 = for ever */
	bool all;
	bool json;
};

/* ---- the command line ----------------------------------------------------------------------- */

static bool parse_u64(const char *text, uint64_t max, uint64_t *out)
{
	if (text == NULL || text[0] == '\0' || strspn(text, "0123456789") < strlen(text))
		return false;
	errno = 0;
	*out = strtoull(text, NULL, 10);
	return errno == 0 && *out <= max;
}

static int wrong(const char *option, const char *value)
{
	fprintf(stderr, "ringcast stat: --%s: '%s' is not a number that fits\n", option, value);
	return 2;
}

/* 0; 2 when the line is wrong; -1 when help was printed. */
static int parse(struct options *o, int argc, char **argv)
{
	enum { PID = 256, PATH, SHARD, WATCH, COUNT, ALL, JSON, HELP };
	static const struct option longs[] = {{"pid", required_argument, NULL, PID},
		{"file", required_argument, NULL, PATH}, {"shard", required_argument, NULL, SHARD},
		{"watch", optional_argument, NULL, WATCH},
		{"count", required_argument, NULL, COUNT}, {"all", no_argument, NULL, ALL},
		{"json", no_argument, NULL, JSON}, {"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0}};
	*o = (struct options){.shard = RC_NONE};
	uint64_t n;
	char *end;
	optind = 0; /* starts anew, also when this is not the first command line that getopt sees */
	for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
		switch (c) {
		case PID:
			if (!parse_u64(optarg, INT32_MAX, &n) || n == 0)
				return wrong("pid", optarg);
			o->pid = (uint32_t)n;
			break;
		case PATH:
			o->file = optarg;
			break;
		case SHARD:
			if (!parse_u64(optarg, RC_COUNTERS_SHARDS_MAX - 1, &n))
				return wrong("shard", optarg);
			o->shard = (uint32_t)n;
			break;
		case WATCH:
			o->watch_s = optarg == NULL ? WATCH_DEFAULT_S : strtod(optarg, &end);
			if (optarg != NULL && (end == optarg || *end != '\0' ||
						      !(o->watch_s >= 0.01 && o->watch_s <= 86400)))
				return wrong("watch", optarg);
			break;
		case COUNT:
			if (!parse_u64(optarg, UINT64_MAX, &o->count) || o->count == 0)
				return wrong("count", optarg);
			break;
		case ALL:
			o->all = true;
			break;
		case JSON:
			o->json = true;
			break;
		case 'h':
		case HELP:
			fputs(usage, stdout);
			return -1;
		default:
			fputs("ringcast stat --help says what there is\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "ringcast stat: '%s' is not an option\n", argv[optind]);
		return 2;
	}
	if (o->pid != 0 && o->file != NULL) {
		fputs("ringcast stat: --pid and --file name the same thing; give one\n", stderr);
		return 2;
	}
	return 0;
}

/* ---- which gateway -------------------------------------------------------------------------- */

struct choice {
	uint32_t pid;
	uint32_t fits;
	char path[RC_COUNTERS_PATH_MAX];
};

static bool choose(void *ctx, const struct rc_counters_view *v)
{
	struct choice *c = ctx;
	if (c->pid != 0 && v->pid != c->pid)
		return true;
	c->fits++;
	memcpy(c->path, v->path, sizeof(c->path));
	return true;
}

static bool name_one(void *ctx, const struct rc_counters_view *v)
{
	(void)ctx;
	fprintf(stderr, "  --pid=%" PRIu32 "  %s\n", v->pid, v->path);
	return true;
}

/* 0 with the view open, or the status to end with. */
static int find_gateway(const struct options *o, struct rc_counters_view *v)
{
	struct choice c = {.pid = o->pid};
	const char *path = o->file;
	if (path == NULL) {
		rc_counters_list(choose, &c);
		path = c.path;
		if (c.fits == 0) {
			if (o->pid != 0)
				fprintf(stderr,
					"ringcast stat: no gateway with process id %" PRIu32
					" runs here, or not as this user\n",
					o->pid);
			else
				fputs("ringcast stat: no gateway runs here, or not as this user; "
				      "--file=PATH names a counters file elsewhere\n",
					stderr);
			return NO_GATEWAY;
		}
		if (c.fits > 1) {
			fputs("ringcast stat: several gateways run here; choose one:\n", stderr);
			rc_counters_list(name_one, NULL);
			return 2;
		}
	}
	struct rc_error err;
	if (rc_counters_open(v, path, &err) != 0) {
		fprintf(stderr, "ringcast stat: %s\n", err.text);
		return o->file != NULL && access(path, F_OK) == 0 ? 1 : NO_GATEWAY;
	}
	if (o->shard != RC_NONE && o->shard >= v->shard_count) {
		fprintf(stderr,
			"ringcast stat: --shard=%" PRIu32 ": this gateway has shards 0 to %" PRIu32
			"\n",
			o->shard, v->shard_count - 1);
		rc_counters_close(v);
		return 2;
	}
	return 0;
}

/* ---- the subcommand ------------------------------------------------------------------------- */

static void print_look(const struct rc_counters_view *v, const struct options *o,
	const struct rc_look *now, const struct rc_look *before)
{
	if (o->json)
		rc_look_print_json(v, o->shard, now, before);
	else
		rc_look_print(v, o->shard, o->all, now, before);
	fflush(stdout);
}

static void pause_for(double seconds)
{
	struct timespec ts = {.tv_sec = (time_t)seconds};
	ts.tv_nsec = (long)((seconds - (double)ts.tv_sec) * 1e9);
	while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
		;
}

static int watch(const struct rc_counters_view *v, const struct options *o, struct rc_look look[2])
{
	bool screen = !o->json && isatty(STDOUT_FILENO);
	for (uint64_t round = 1;; round++) {
		struct rc_look *before = &look[(round + 1) % 2], *now = &look[round % 2];
		bool alive = rc_counters_alive(v);
		pause_for(o->watch_s);
		rc_look_take(now, v, o->shard);
		if (screen)
			printf("\033[H\033[J");
		else if (!o->json && round > 1)
			putchar('\n');
		print_look(v, o, now, before);
		/* Asked before the pause, so that the last counts are shown once the gateway has ended. */
		if (!alive) {
			fputs("ringcast stat: the gateway has ended\n", stderr);
			return NO_GATEWAY;
		}
		if (round == o->count || ferror(stdout))
			return ferror(stdout) ? 1 : 0;
	}
}

int rc_cli_stat(int argc, char **argv)
{
	struct options o;
	int status = parse(&o, argc, argv);
	if (status != 0)
		return status < 0 ? 0 : status;
	struct rc_counters_view v;
	status = find_gateway(&o, &v);
	if (status != 0)
		return status;
	struct rc_look look[2] = {0};
	if (!rc_look_init(&look[0], v.meta_count) || !rc_look_init(&look[1], v.meta_count)) {
		fputs("ringcast stat: out of memory\n", stderr);
		status = 1;
	} else {
		rc_look_take(&look[0], &v, o.shard);
		if (o.watch_s > 0)
			status = watch(&v, &o, look);
		else
			print_look(&v, &o, &look[0], NULL);
	}
	rc_look_deinit(&look[0]);
	rc_look_deinit(&look[1]);
	rc_counters_close(&v);
	return status;
}
