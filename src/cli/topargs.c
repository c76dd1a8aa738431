/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of `ringcast top`; the contract is in topargs.h.
 */
#include "cli/topargs.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/args.h"

#define INTERVAL_MIN_S 0.1
#define INTERVAL_MAX_S 60.0

static const char usage[] =
	"usage: ringcast top [options]\n"
	"\n"
	"Shows how a gateway on this host does, again and again: clients, rates, latency, shards, what goes\n"
	"wrong. It reads the counters file alone; the gateway does not notice.\n"
	"\n"
	"  --pid=N              the gateway with this process id; needed when several run\n"
	"  --file=PATH          the gateway with this counters file\n"
	"  -i, --interval=S     seconds from one picture to the next, 0.1 to 60 (1)\n"
	"  -b, --batch          lines of a key and a value, an empty line behind each block; so without a\n"
	"                       terminal, and with TERM=dumb\n"
	"  -n, --count=N        stop after N pictures, or blocks\n"
	"  --help\n"
	"\n"
	"Keys: 1 2 3 or Tab: overview, shards, counters; p pause; s sort; / filter; arrows, PgUp, PgDn: scroll;\n"
	"? help; q quit. NO_COLOR in the environment takes the colours away.\n"
	"A gateway that ends leaves its last picture, until one starts in its place.\n"
	"\n"
	"Status: 0 fine, 1 the file can't be read, 2 wrong usage, 3 no such gateway runs.\n";

static int wrong(const char *option, const char *value)
{
	fprintf(stderr, "ringcast top: --%s: '%s' is not a number that fits\n", option, value);
	return 2;
}

static bool parse_interval(const char *text, double *out)
{
	char *end;
	*out = strtod(text, &end);
	return end != text && *end == '\0' && *out >= INTERVAL_MIN_S && *out <= INTERVAL_MAX_S;
}

int rc_top_args_parse(struct rc_top_args *a, int argc, char **argv)
{
	enum { PID = 256, PATH };
	static const struct option longs[] = {{"pid", required_argument, NULL, PID},
		{"file", required_argument, NULL, PATH}, {"interval", required_argument, NULL, 'i'},
		{"count", required_argument, NULL, 'n'}, {"batch", no_argument, NULL, 'b'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	*a = (struct rc_top_args){.interval_s = 1};
	uint64_t n;
	optind = 0; /* starts anew, also when this is not the first command line that getopt sees */
	for (int c; (c = getopt_long(argc, argv, "hbi:n:", longs, NULL)) != -1;) {
		switch (c) {
		case PID:
			if (!rc_args_number(optarg, INT32_MAX, &n) || n == 0)
				return wrong("pid", optarg);
			a->pid = (uint32_t)n;
			break;
		case PATH:
			a->file = optarg;
			break;
		case 'i':
			if (!parse_interval(optarg, &a->interval_s))
				return wrong("interval", optarg);
			break;
		case 'n':
			if (!rc_args_number(optarg, UINT64_MAX, &a->count) || a->count == 0)
				return wrong("count", optarg);
			break;
		case 'b':
			a->batch = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return -1;
		default:
			fputs("ringcast top --help says what there is\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "ringcast top: '%s' is not an option\n", argv[optind]);
		return 2;
	}
	if (a->pid != 0 && a->file != NULL) {
		fputs("ringcast top: --pid and --file name the same thing; give one\n", stderr);
		return 2;
	}
	return 0;
}
