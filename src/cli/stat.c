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

#include "cli/args.h"
#include "cli/findgateway.h"
#include "cli/statlook.h"
#include "ops/counters.h"

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
			if (!rc_args_number(optarg, INT32_MAX, &n) || n == 0)
				return wrong("pid", optarg);
			o->pid = (uint32_t)n;
			break;
		case PATH:
			o->file = optarg;
			break;
		case SHARD:
			if (!rc_args_number(optarg, RC_COUNTERS_SHARDS_MAX - 1, &n))
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
			if (!rc_args_number(optarg, UINT64_MAX, &o->count) || o->count == 0)
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

/* 0 with the view open, or the status to end with. */
static int find_gateway(const struct options *o, struct rc_counters_view *v)
{
	int status = rc_find_gateway("stat", o->pid, o->file, v);
	if (status != 0)
		return status;
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
			return RC_NO_GATEWAY;
		}
		if (round == o->count || ferror(stdout))
			return ferror(stdout) ? 1 : 0;
	}
}

struct session {
	struct options o;
	struct rc_counters_view v;
	struct rc_look look[2];
	int status;
};

static void look_on(void *ctx)
{
	struct session *s = ctx;
	rc_look_take(&s->look[0], &s->v, s->o.shard);
	if (s->o.watch_s > 0)
		s->status = watch(&s->v, &s->o, s->look);
	else
		print_look(&s->v, &s->o, &s->look[0], NULL);
}

int rc_cli_stat(int argc, char **argv)
{
	struct session s = {0};
	s.status = parse(&s.o, argc, argv);
	if (s.status != 0)
		return s.status < 0 ? 0 : s.status;
	s.status = find_gateway(&s.o, &s.v);
	if (s.status != 0)
		return s.status;
	if (!rc_look_init(&s.look[0], s.v.meta_count) ||
		!rc_look_init(&s.look[1], s.v.meta_count)) {
		fputs("ringcast stat: out of memory\n", stderr);
		s.status = 1;
	} else if (!rc_counters_guarded(look_on, &s)) {
		fprintf(stderr, "ringcast stat: %s was cut short while it was read\n", s.v.path);
		s.status = 1;
	}
	rc_look_deinit(&s.look[0]);
	rc_look_deinit(&s.look[1]);
	rc_counters_close(&s.v);
	return s.status;
}
