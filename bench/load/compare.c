/* SPDX-License-Identifier: Apache-2.0
 *
 * Two results beside each other. Whether they may be compared at all is said first: figures of different parameters,
 * servers or machines stand side by side too, but their ratio is of more than one thing.
 */
#include <stdlib.h>

#include "figure.h"
#include "lookup.h"
#include "result.h"

#define DIFFERENCES_SHOWN 12
#define PATH_MAX_LEN      160

static const struct {
	const char *name, *path;
	enum load_unit unit;
} figures[] = {
	{"deliveries a second", "window.deliveries_per_second", LOAD_UNIT_RATE},
	{"published a second", "window.published_per_second", LOAD_UNIT_RATE},
	{"acknowledged a second", "window.acked_per_second", LOAD_UNIT_RATE},
	{"bytes a second", "window.bytes_per_second", LOAD_UNIT_BYTES},
	{"handshakes a second", "window.handshakes_per_second", LOAD_UNIT_RATE},
	{"latency p50", "latency.p50", LOAD_UNIT_NS},
	{"latency p90", "latency.p90", LOAD_UNIT_NS},
	{"latency p99", "latency.p99", LOAD_UNIT_NS},
	{"latency p99.9", "latency.p999", LOAD_UNIT_NS},
	{"latency p99.99", "latency.p9999", LOAD_UNIT_NS},
	{"latency max", "latency.max", LOAD_UNIT_NS},
	{"acknowledge p50", "ack.p50", LOAD_UNIT_NS},
	{"acknowledge p99", "ack.p99", LOAD_UNIT_NS},
	{"connect p50", "connect.p50", LOAD_UNIT_NS},
	{"connect p99", "connect.p99", LOAD_UNIT_NS},
	{"all connected", "clients.connect_seconds", LOAD_UNIT_SECONDS},
	{"all back after the storm", "clients.storm_seconds", LOAD_UNIT_SECONDS},
	{"server CPU a delivery", "server.cpu_ns_per_delivery", LOAD_UNIT_NS},
	{"server CPU a handshake", "server.cpu_ns_per_handshake", LOAD_UNIT_NS},
	{"server CPU in the window", "server.cpu_seconds", LOAD_UNIT_SECONDS},
	{"server memory at most", "server.rss_max", LOAD_UNIT_BYTES},
	{"server memory a client", "server.rss_per_client", LOAD_UNIT_BYTES},
	{"generator, busiest thread", "generator.busiest", LOAD_UNIT_CPUS},
	{"lost", "faults.lost", LOAD_UNIT_COUNT},
	{"duplicated", "faults.duplicated", LOAD_UNIT_COUNT},
	{"reordered", "faults.reordered", LOAD_UNIT_COUNT},
	{"corrupted", "faults.corrupted", LOAD_UNIT_COUNT},
	{"foreign", "faults.foreign", LOAD_UNIT_COUNT},
};

struct differences {
	FILE *out;
	struct rc_json_value a, b;
	uint32_t count;
	bool reversed; /* walking b for what only it has */
};

static void show_value(FILE *out, struct rc_json_value value)
{
	if (value.kind == RC_JSON_NONE)
		fputs(LOAD_DASH, out);
	else
		fprintf(out, "%.*s%s", (int)RC_MIN(value.raw.len, (size_t)40), value.raw.ptr,
			value.raw.len > 40 ? "…" : "");
}

static bool same(struct rc_json_value a, struct rc_json_value b)
{
	if (a.kind != b.kind)
		return false;
	/* 5 and 5.000 are one number; both end before a comma or a bracket. */
	return rc_str_eq(a.raw, b.raw) ||
	       (a.kind == RC_JSON_NUMBER && strtod(a.raw.ptr, NULL) == strtod(b.raw.ptr, NULL));
}

static void differ(struct differences *d, const char *path, struct rc_json_value value);

static void differ_within(struct differences *d, const char *path, struct rc_json_value value)
{
	char below[PATH_MAX_LEN];
	struct rc_json_iter it;
	struct rc_json_value next;
	struct rc_str key;
	if (value.kind == RC_JSON_OBJECT) {
		rc_json_object_begin(&it, value.raw);
		while (rc_json_object_next(&it, &key, &next)) {
			snprintf(below, sizeof(below), "%s.%.*s", path, (int)key.len, key.ptr);
			differ(d, below, next);
		}
		return;
	}
	rc_json_array_begin(&it, value.raw);
	for (uint32_t i = 0; rc_json_array_next(&it, &next); i++) {
		snprintf(below, sizeof(below), "%s.%u", path, i);
		differ(d, below, next);
	}
}

/* value is what stands at the path in a, or in b when reversed. */
static void differ(struct differences *d, const char *path, struct rc_json_value value)
{
	struct rc_json_value other = load_json_at(d->reversed ? d->a : d->b, path);
	if ((value.kind == RC_JSON_OBJECT || value.kind == RC_JSON_ARRAY) &&
		(other.kind == value.kind || other.kind == RC_JSON_NONE)) {
		differ_within(d, path, value);
		return;
	}
	if (same(value, other) || (d->reversed && other.kind != RC_JSON_NONE))
		return;
	if (d->count++ == 0)
		fputs("These two differ in more than their figures (A, B):\n", d->out);
	if (d->count > DIFFERENCES_SHOWN)
		return;
	fprintf(d->out, "  %-44s", path);
	show_value(d->out, d->reversed ? other : value);
	fputs("   ", d->out);
	show_value(d->out, d->reversed ? value : other);
	fputc('\n', d->out);
}

static void differences(FILE *out, struct rc_json_value a, struct rc_json_value b)
{
	static const char *const part[] = {"scenario", "parameters", "target", "host"};
	struct differences d = {.out = out, .a = a, .b = b};
	for (size_t i = 0; i < RC_ARRAY_LEN(part); i++) {
		struct rc_json_value in_a = load_json_at(a, part[i]),
				     in_b = load_json_at(b, part[i]);
		d.reversed = false;
		if (in_a.kind != RC_JSON_NONE)
			differ(&d, part[i], in_a);
		d.reversed = true;
		if (in_b.kind != RC_JSON_NONE)
			differ(&d, part[i], in_b);
	}
	if (d.count > DIFFERENCES_SHOWN)
		fprintf(out, "  and %u more\n", d.count - DIFFERENCES_SHOWN);
	if (d.count)
		fputs("A ratio below is of all of these together.\n\n", out);
}

static void which(FILE *out, char letter, const char *path, struct rc_json_value root)
{
	char scenario[64], target[96], version[32], started[48], verdict[32];
	load_json_text(root, "scenario", scenario, sizeof(scenario));
	load_json_text(root, "target.name", target, sizeof(target));
	load_json_text(root, "version", version, sizeof(version));
	load_json_text(root, "started", started, sizeof(started));
	load_json_text(root, "verdict", verdict, sizeof(verdict));
	fprintf(out, "%c  %s\n   %s of %s, %s, ringcast-load %s, verdict %s\n", letter, path,
		scenario, target, started, version, verdict);
}

static void cell(FILE *out, int width, const char *text)
{
	fprintf(out, "%*s%s", RC_MAX(0, width - load_figure_width(text)), "", text);
}

static void figure_lines(FILE *out, struct rc_json_value a, struct rc_json_value b)
{
	char text[LOAD_FIGURE_MAX];
	fprintf(out, "\n%-32s", "");
	cell(out, 22, "A");
	cell(out, 22, "B");
	cell(out, 14, "B / A");
	fputc('\n', out);
	for (size_t i = 0; i < RC_ARRAY_LEN(figures); i++) {
		double in_a = load_json_number(a, figures[i].path);
		double in_b = load_json_number(b, figures[i].path);
		if (in_a < 0 && in_b < 0)
			continue;
		fprintf(out, "%-32s", figures[i].name);
		cell(out, 22, load_figure(text, figures[i].unit, in_a));
		cell(out, 22, load_figure(text, figures[i].unit, in_b));
		bool ratio = in_a > 0 && in_b >= 0;
		cell(out, 14, load_figure(text, LOAD_UNIT_RATIO, ratio ? in_b / in_a : -1));
		fputc('\n', out);
	}
}

int load_compare(const char *path_a, const char *path_b, FILE *out)
{
	const char *path[2] = {path_a, path_b};
	struct rc_str text[2] = {{0}};
	struct rc_error err;
	int status = 0;
	for (int i = 0; i < 2 && status == 0; i++) {
		if (load_json_read(&text[i], path[i], false, &err) < 0) {
			fprintf(stderr, "ringcast-load: %s\n", err.text);
			status = 2;
		}
	}
	if (status == 0) {
		struct rc_json_value a = rc_json_root(text[0]), b = rc_json_root(text[1]);
		differences(out, a, b);
		which(out, 'A', path_a, a);
		which(out, 'B', path_b, b);
		figure_lines(out, a, b);
	}
	for (int i = 0; i < 2; i++)
		free((void *)text[i].ptr);
	return status;
}
