/* SPDX-License-Identifier: Apache-2.0
 *
 * The view that answers "how is it": clients, rates, latency, memory, what goes wrong, why clients leave; the contract is
 * in topdraw.h.
 */
#include "cli/topdraw.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "cli/figures.h"

/* Where the items of a section begin. */
#define INDENT 10u
/* Columns of the tables. */
#define LABEL_MIN 10u
#define LABEL_MAX 30u
#define COLUMN    10u
/* How full the arena is. */
#define ARENA_WIDTH 10u
#define ARENA_FROM  60u
/* More digits do not fit into a column. */
#define COUNT_DIGITS_MAX 10000000u

/* ---- clients, rates, memory ------------------------------------------------------------------ */

static uint32_t indent_of(const struct rc_top_picture *p)
{
	return p->screen->width < 40 ? 2 : INDENT;
}

/* On a narrow screen the title has a row of its own. */
static struct rc_top_flow begin(const struct rc_top_picture *p, uint32_t row, const char *title)
{
	uint32_t indent = indent_of(p);
	rc_top_put(p->screen, row, 0, RC_TOP_HEAD, title);
	return rc_top_flow(p->screen, row + (indent < INDENT ? 1 : 0), indent);
}

/* "12 connected" */
static void gauge(
	const struct rc_top_picture *p, struct rc_top_flow *f, const char *name, const char *label)
{
	int64_t value;
	char text[RC_FIGURE_SIZE];
	bool known = rc_top_value(p->model, name, &value);
	rc_top_flow_item(
		f, RC_TOP_PLAIN, "%s %s", known ? rc_figure_signed(value, text) : "-", label);
}

static uint32_t draw_clients(const struct rc_top_picture *p, uint32_t row)
{
	struct rc_top_flow f = begin(p, row, "Clients");
	int64_t all, sse, behind;
	char text[RC_FIGURE_SIZE];
	gauge(p, &f, "clients", "connected");
	if (rc_top_value(p->model, "clients", &all) && rc_top_value(p->model, "clients_sse", &sse))
		rc_top_flow_item(&f, RC_TOP_PLAIN, "%s ws",
			rc_figure_signed((int64_t)((uint64_t)all - (uint64_t)sse), text));
	gauge(p, &f, "clients_sse", "sse");
	gauge(p, &f, "users", "users");
	if (rc_top_value(p->model, "clients_behind", &behind))
		rc_top_flow_item(&f, behind > 0 ? RC_TOP_WARN : RC_TOP_PLAIN, "%s behind",
			rc_figure_signed(behind, text));
	return f.row + 1;
}

static uint32_t draw_rates(const struct rc_top_picture *p, uint32_t row)
{
	static const struct {
		const char *label, *name;
	} rates[] = {{"events", NULL}, {"deliveries", "deliveries"}, {"messages in", "messages_in"},
		{"connects", "clients_opened"}, {"closes", "clients_closed"}};
	struct rc_top_flow f = begin(p, row, "Rates");
	char text[RC_FIGURE_SIZE];
	for (size_t i = 0; i < RC_ARRAY_LEN(rates); i++) {
		double rate = rates[i].name == NULL ? rc_top_rate_of_events(p->model)
						    : rc_top_rate_of(p->model, rates[i].name);
		rc_top_flow_item(
			&f, RC_TOP_PLAIN, "%s %s/s", rates[i].label, rc_figure_rate(rate, text));
		/* Behind the deliveries that they are made of. */
		if (i == 1)
			rc_top_flow_item(&f, RC_TOP_PLAIN, "out %s/s",
				rc_figure_bytes(rc_top_rate_of(p->model, "send_bytes"), text));
	}
	return f.row + 1;
}

/* "2 of 128 MiB", with a bar where there is room. The fullest arena is what counts: each shard is full on its own. */
static void draw_arena(const struct rc_top_picture *p, struct rc_top_flow *f)
{
	int64_t used, size;
	char part[RC_FIGURE_SIZE], whole[RC_FIGURE_SIZE];
	bool known = rc_top_value(p->model, "arena_used_bytes", &used);
	rc_figure_bytes(known ? (double)used : NAN, part);
	if (!known || !rc_top_value(p->model, "arena_size_bytes", &size) || size <= 0) {
		rc_top_flow_item(f, RC_TOP_PLAIN, "arena %s", part);
		return;
	}
	rc_figure_bytes((double)size, whole);
	/* One unit says it for both. */
	char *unit = strchr(part, ' ');
	if (unit != NULL && strcmp(unit, strchr(whole, ' ')) == 0)
		*unit = '\0';
	bool full = rc_top_saturated(rc_top_verdict(p->model).memory);
	bool bar = p->screen->width >= ARENA_FROM;
	rc_top_flow_item(f, full ? RC_TOP_WARN : RC_TOP_PLAIN,
		bar ? "arena %s of %s [%*s]" : "arena %s of %s%*s", part, whole,
		bar ? (int)ARENA_WIDTH : 0, "");
	if (bar)
		rc_top_put_bar(p->screen, f->row, f->col - ARENA_WIDTH - 3, ARENA_WIDTH,
			(double)used / (double)size);
}

static uint32_t draw_memory(const struct rc_top_picture *p, uint32_t row)
{
	static const struct {
		const char *label, *name;
	} sizes[] = {{"log", "log_bytes"}, {"history", "history_bytes"}};
	struct rc_top_flow f = begin(p, row, "Memory");
	char text[RC_FIGURE_SIZE];
	draw_arena(p, &f);
	for (size_t i = 0; i < RC_ARRAY_LEN(sizes); i++) {
		int64_t value;
		bool known = rc_top_value(p->model, sizes[i].name, &value);
		rc_top_flow_item(&f, RC_TOP_PLAIN, "%s %s", sizes[i].label,
			rc_figure_bytes(known ? (double)value : NAN, text));
	}
	return f.row + 1;
}

/* ---- latency -------------------------------------------------------------------------------- */

static uint32_t label_width(const struct rc_top_picture *p)
{
	uint32_t width = p->screen->width;
	return width < LABEL_MIN + 5 * COLUMN ? LABEL_MIN : RC_MIN(width - 5 * COLUMN, LABEL_MAX);
}

static void draw_quantiles(
	const struct rc_top_picture *p, uint32_t row, const struct rc_top_quantiles *q)
{
	const uint64_t times[] = {q->p50, q->p90, q->p99, q->max};
	uint32_t end = label_width(p) + COLUMN;
	char text[RC_FIGURE_SIZE];
	for (size_t i = 0; i < RC_ARRAY_LEN(times); i++, end += COLUMN)
		if (end <= p->screen->width)
			rc_top_put_right(p->screen, row, end, RC_TOP_PLAIN,
				q->count == 0 ? "-" : rc_figure_time(times[i], text));
	if (end <= p->screen->width)
		rc_top_put_right(p->screen, row, end, RC_TOP_FAINT,
			q->count < COUNT_DIGITS_MAX ? rc_figure_count(q->count, text)
						    : rc_figure_rate((double)q->count, text));
}

static uint32_t draw_latency(const struct rc_top_picture *p, uint32_t row, uint32_t bottom)
{
	static const struct {
		const char *label, *narrow, *hist;
		enum rc_top_span span;
		bool seldom; /* shown when it happens */
	} lines[] = {
		{"publish to socket", "pub", "publish_to_flush_ns", RC_TOP_INTERVAL, false},
		{"publish to socket", "pub", "publish_to_flush_ns", RC_TOP_MINUTE, false},
		{"client round trip", "rtt", "client_rtt_ns", RC_TOP_MINUTE, false},
		{"command to reply", "cmd", "command_ns", RC_TOP_MINUTE, true},
		{"turn of a shard", "turn", "turn_ns", RC_TOP_INTERVAL, false},
	};
	static const char *const titles[] = {"p50", "p90", "p99", "max", "count"};
	uint32_t label = label_width(p), end = label + COLUMN;
	rc_top_put(p->screen, row, 0, RC_TOP_HEAD, "Latency");
	for (size_t i = 0; i < RC_ARRAY_LEN(titles) && end <= p->screen->width; i++, end += COLUMN)
		rc_top_put_right(p->screen, row, end, RC_TOP_FAINT, titles[i]);
	row++;
	for (size_t i = 0; i < RC_ARRAY_LEN(lines) && row < bottom; i++) {
		struct rc_top_quantiles q = rc_top_quantiles(p->model, lines[i].span,
			rc_top_find_hist(&p->model->gateway, lines[i].hist));
		if (lines[i].seldom && q.count == 0)
			continue;
		char text[64], span[RC_FIGURE_SIZE];
		rc_top_span_text(rc_top_seconds(p->model, lines[i].span), span);
		if (label < 26)
			snprintf(text, sizeof(text), "%s %s", lines[i].narrow, span);
		else
			snprintf(text, sizeof(text), "  %s, %s", lines[i].label, span);
		rc_top_putf(p->screen, row, 0, RC_TOP_PLAIN, "%.*s", (int)label, text);
		draw_quantiles(p, row++, &q);
	}
	return row;
}

/* ---- the course ----------------------------------------------------------------------------- */

#define COURSE_RIGHT 18u /* for the largest value */
#define COURSE_MIN   8u

static double part_of(const struct rc_top_point *point, bool latency)
{
	return latency ? point->p99_ns : point->deliveries;
}

static uint32_t draw_course(const struct rc_top_picture *p, uint32_t row, bool latency)
{
	uint32_t label = label_width(p), width = p->screen->width;
	if (width < label + COURSE_MIN + COURSE_RIGHT)
		return row;
	uint32_t count = rc_top_points(p->model);
	uint32_t shown = RC_MIN(count, width - label - COURSE_RIGHT);
	double largest = 0, seconds = 0;
	for (uint32_t i = count - shown; i < count; i++) {
		const struct rc_top_point *point = rc_top_point(p->model, i);
		seconds += point->seconds;
		/* NAN is not larger. */
		largest = part_of(point, latency) > largest ? part_of(point, latency) : largest;
	}
	char span[RC_FIGURE_SIZE], most[RC_FIGURE_SIZE], text[64];
	rc_top_span_text(seconds, span);
	if (label < 26)
		snprintf(text, sizeof(text), "%s %s", latency ? "p99" : "del", span);
	else
		snprintf(text, sizeof(text), "  %s, %s", latency ? "publish p99" : "deliveries",
			span);
	rc_top_putf(p->screen, row, 0, RC_TOP_PLAIN, "%.*s", (int)label, text);
	for (uint32_t i = 0; i < shown; i++) {
		double value = part_of(rc_top_point(p->model, count - shown + i), latency);
		rc_top_put_height(
			p->screen, row, label + 1 + i, largest > 0 ? value / largest : value);
	}
	if (latency)
		rc_figure_time((uint64_t)largest, most);
	else
		rc_figure_rate(largest, most);
	if (shown > 0)
		rc_top_putf(p->screen, row, width - COURSE_RIGHT + 2, RC_TOP_FAINT, "max %s%s",
			latency && largest == 0 ? "-" : most, latency ? "" : "/s");
	return row + 1;
}

/* ---- the view ------------------------------------------------------------------------------- */

/* Below so many rows what goes wrong is said first, and in one line. */
#define SHORT 20u

/* `whole`: nothing is left out for want of room. Returns the row behind it all. */
static uint32_t draw_all(const struct rc_top_picture *p, uint32_t row, uint32_t bottom, bool whole)
{
	uint32_t height = p->screen->height;
	uint32_t blank = height >= 30 ? 1 : 0;
	if (height < SHORT)
		row = rc_top_draw_summary(p, row);
	row = draw_clients(p, row);
	row = draw_rates(p, row);
	row = draw_memory(p, row) + blank;
	if (row < bottom)
		row = draw_latency(p, row, bottom);
	if (height >= SHORT || whole) {
		row = draw_course(p, row, true);
		row = draw_course(p, row, false);
	}
	row = rc_top_draw_troubles(p, row + blank, bottom);
	row = rc_top_draw_closes(p, row + blank, bottom);
	/* Its titles and two shards. */
	if (row + blank + 3 <= bottom || whole)
		row = rc_top_draw_shard_table(p, row + blank, bottom, 0);
	return row;
}

/*
 * Unscrolled it is made to fit: lists are cut so that the next one is seen. Scrolled it is a sheet as high as it has to be,
 * of which a part is shown.
 */
void rc_top_draw_overview(const struct rc_top_picture *p, uint32_t row, uint32_t bottom)
{
	uint32_t sheet = row + RC_COUNTERS_SHARDS_MAX + 1024;
	rc_top_window(p->screen, row, bottom, UINT32_MAX);
	uint32_t first = rc_top_settle(p, draw_all(p, row, sheet, true) - row, bottom - row);
	rc_top_window(p->screen, row, bottom, first);
	(void)draw_all(p, row, first > 0 ? sheet : bottom, first > 0);
	rc_top_window(p->screen, 0, 0, 0);
}
