/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes wrong, in one line and as a list, and why clients leave; the contract is in topdraw.h.
 */
#include "cli/topdraw.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "cli/figures.h"

#define LIST_MAX 256u
/* Where the columns of a list end: names, rates, the last minute, in all. Help follows. A large rate goes over a long name. */
#define NAME_END   32u
#define RATE_END   40u
#define MINUTE_END 52u
#define TOTAL_END  62u
/* On a narrow screen: the one figure behind the name. */
#define FIGURE_WIDTH 14u
/* More digits do not fit into a column. */
#define DIGITS_MAX 10000000u
#define NARROW_MAX 10000u
/* Where the summary begins. */
#define INDENT 10u

/* ---- words ---------------------------------------------------------------------------------- */

const char *rc_top_span_text(double seconds, char out[RC_FIGURE_SIZE])
{
	snprintf(out, RC_FIGURE_SIZE, seconds < 0.95 ? "%.1f s" : "%.0f s", RC_MIN(seconds, 1e6));
	return out;
}

/* "last minute", or what has passed of it since somebody looks: of what was before nothing is known. */
static const char *minute_text(const struct rc_top_picture *p, char out[RC_FIGURE_SIZE])
{
	double seconds = rc_top_seconds(p->model, RC_TOP_MINUTE);
	char span[RC_FIGURE_SIZE];
	if (seconds >= 45 && seconds <= 61)
		return "last minute";
	snprintf(out, RC_FIGURE_SIZE, "last %.20s", rc_top_span_text(seconds, span));
	return out;
}

static const char *share_text(double share, char out[RC_FIGURE_SIZE])
{
	snprintf(out, RC_FIGURE_SIZE, "%.0f %%", RC_MIN(share * 100, 999.0));
	return out;
}

static const char *count_text(uint64_t value, uint64_t digits_max, char out[RC_FIGURE_SIZE])
{
	return value < digits_max ? rc_figure_count(value, out)
				  : rc_figure_rate((double)value, out);
}

/* What there is to say when nothing happens. */
static void put_quiet(const struct rc_top_picture *p, struct rc_top_flow *f,
	const struct rc_top_verdict *v, bool with_before)
{
	char text[RC_FIGURE_SIZE];
	if (v->counted == 0)
		rc_top_flow_item(f, RC_TOP_FAINT, "not told in this file");
	else if (v->ever == 0)
		rc_top_flow_item(f, RC_TOP_FAINT, "none since the gateway began");
	else if (rc_top_seconds(p->model, RC_TOP_MINUTE) <= 0)
		rc_top_flow_item(f, RC_TOP_FAINT, "not known yet");
	else
		rc_top_flow_item(f, RC_TOP_FAINT, "none in the %s", minute_text(p, text));
	if (with_before && v->ever > 0)
		rc_top_flow_item(f, RC_TOP_FAINT, "%" PRIu32 " kind%s before", v->ever,
			v->ever == 1 ? "" : "s");
}

/* ---- in one line ---------------------------------------------------------------------------- */

uint32_t rc_top_draw_summary(const struct rc_top_picture *p, uint32_t row)
{
	struct rc_top_verdict v = rc_top_verdict(p->model);
	struct rc_top_flow f = rc_top_flow(p->screen, row, INDENT);
	char text[RC_FIGURE_SIZE];
	rc_top_put(p->screen, row, 0, RC_TOP_HEAD, "Trouble");
	if (rc_top_saturated(v.load))
		rc_top_flow_item(&f, RC_TOP_WARN, "shard %" PRIu32 " %s busy", v.busiest,
			share_text(v.load, text));
	if (rc_top_saturated(v.memory))
		rc_top_flow_item(&f, RC_TOP_WARN, "arena %" PRIu32 " %s full", v.fullest,
			share_text(v.memory, text));
	if (v.lately > 0)
		rc_top_flow_item(&f, RC_TOP_WARN, "%" PRIu32 " kind%s in the %s", v.lately,
			v.lately == 1 ? "" : "s", minute_text(p, text));
	else if (!rc_top_saturated(v.load) && !rc_top_saturated(v.memory))
		put_quiet(p, &f, &v, true);
	return f.row + 1;
}

/* ---- lists ---------------------------------------------------------------------------------- */

/* How many of `wanted` rows a list gets of those that are left, its title taken off: half of them, or four. */
static uint32_t room_for(uint32_t wanted, uint32_t left)
{
	return left < 2 ? 0 : RC_MIN(wanted, RC_MAX(left / 2, RC_MIN(left - 1, 4u)));
}

static uint32_t name_end(const struct rc_top_picture *p)
{
	uint32_t width = p->screen->width;
	return width < MINUTE_END ? RC_MAX(width, FIGURE_WIDTH + 12) - FIGURE_WIDTH : NAME_END;
}

static void put_titles(const struct rc_top_picture *p, uint32_t row)
{
	char text[RC_FIGURE_SIZE];
	uint32_t width = p->screen->width;
	if (width >= TOTAL_END)
		rc_top_put_right(p->screen, row, MINUTE_END, RC_TOP_FAINT, minute_text(p, text));
	if (width >= MINUTE_END)
		rc_top_put_right(p->screen, row, width >= TOTAL_END ? TOTAL_END : MINUTE_END,
			RC_TOP_FAINT, "in all");
}

/* The one figure that says most: what happens now, else how often it ever did. */
static void put_figure(const struct rc_top_picture *p, uint32_t row, enum rc_top_style style,
	const struct rc_top_row *r)
{
	char text[RC_FIGURE_SIZE], figure[RC_FIGURE_SIZE + 8];
	if (r->rate > 0)
		snprintf(figure, sizeof(figure), "%s/s", rc_figure_rate(r->rate, text));
	else
		snprintf(figure, sizeof(figure), "%s in all",
			count_text(r->total, NARROW_MAX, text));
	rc_top_put_right(p->screen, row, RC_MIN(name_end(p) + FIGURE_WIDTH, p->screen->width),
		style, figure);
}

static void draw_row(
	const struct rc_top_picture *p, uint32_t row, const struct rc_top_row *r, bool trouble)
{
	const struct rc_counters_meta *meta = &p->model->gateway.meta[r->entry];
	uint32_t width = p->screen->width;
	enum rc_top_style style = RC_TOP_PLAIN;
	if (trouble)
		style = r->rate > 0 ? RC_TOP_WARN : r->minute > 0 ? RC_TOP_PLAIN : RC_TOP_FAINT;
	char text[RC_FIGURE_SIZE], rate[RC_FIGURE_SIZE + 4];
	rc_top_putf(p->screen, row, 0, style, "  %-.*s", (int)(name_end(p) - 2), meta->name);
	if (width < MINUTE_END) {
		put_figure(p, row, style, r);
		return;
	}
	snprintf(rate, sizeof(rate), "%s/s", rc_figure_rate(r->rate, text));
	rc_top_put_right(p->screen, row, RATE_END, style, rate);
	if (width < TOTAL_END) {
		rc_top_put_right(
			p->screen, row, MINUTE_END, style, count_text(r->total, DIGITS_MAX, text));
		return;
	}
	rc_top_put_right(
		p->screen, row, MINUTE_END, style, count_text(r->minute, DIGITS_MAX, text));
	rc_top_put_right(p->screen, row, TOTAL_END, style, count_text(r->total, DIGITS_MAX, text));
	rc_top_put(p->screen, row, TOTAL_END + 2, RC_TOP_FAINT, meta->help);
}

/* A shard or an arena that has hardly anything left: no counter, but where the counters come from. */
static uint32_t draw_saturated(const struct rc_top_picture *p, uint32_t row, const char *name,
	uint32_t shard, double share, const char *help)
{
	uint32_t width = p->screen->width;
	uint32_t end = width < MINUTE_END ? name_end(p) + FIGURE_WIDTH : RATE_END;
	char text[RC_FIGURE_SIZE];
	rc_top_putf(p->screen, row, 0, RC_TOP_WARN, "  %s %" PRIu32, name, shard);
	rc_top_put_right(p->screen, row, RC_MIN(end, width), RC_TOP_WARN, share_text(share, text));
	if (width >= TOTAL_END)
		rc_top_put(p->screen, row, TOTAL_END + 2, RC_TOP_FAINT, help);
	return row + 1;
}

static void put_title(const struct rc_top_picture *p, uint32_t row, const char *title,
	uint32_t shown, uint32_t count)
{
	uint32_t col = rc_top_put(p->screen, row, 0, RC_TOP_HEAD, title);
	if (shown < count)
		rc_top_putf(p->screen, row, col + 2, RC_TOP_FAINT, "%" PRIu32 " of %" PRIu32, shown,
			count);
	if (count > 0)
		put_titles(p, row);
}

uint32_t rc_top_draw_troubles(const struct rc_top_picture *p, uint32_t row, uint32_t bottom)
{
	if (row >= bottom)
		return row;
	struct rc_top_row rows[LIST_MAX];
	struct rc_top_verdict v = rc_top_verdict(p->model);
	bool busy = rc_top_saturated(v.load), full = rc_top_saturated(v.memory);
	uint32_t counters = rc_top_troubles(p->model, rows, LIST_MAX);
	uint32_t count = counters + busy + full;
	uint32_t shown = room_for(count, bottom - row), end = row + 1 + shown;
	bool quiet = v.lately == 0 && !busy && !full;
	put_title(p, row, "Trouble", quiet ? count : shown, count);
	if (quiet) {
		struct rc_top_flow f = rc_top_flow(p->screen, row, INDENT);
		put_quiet(p, &f, &v, false);
	}
	row++;
	if (busy && row < end)
		row = draw_saturated(p, row, "busy: shard", v.busiest, v.load,
			"It is at work for nearly all of its time.");
	if (full && row < end)
		row = draw_saturated(p, row, "full: arena of shard", v.fullest, v.memory,
			"Its memory for logs, output and input in waiting has hardly any room.");
	for (uint32_t i = 0; row < end; i++)
		draw_row(p, row++, &rows[i], true);
	return row;
}

uint32_t rc_top_draw_closes(const struct rc_top_picture *p, uint32_t row, uint32_t bottom)
{
	if (row >= bottom)
		return row;
	struct rc_top_row rows[LIST_MAX];
	uint32_t count = rc_top_closes(p->model, rows, LIST_MAX);
	uint32_t shown = room_for(count, bottom - row);
	put_title(p, row, "Closes", shown, count);
	if (count == 0)
		rc_top_put(p->screen, row, INDENT, RC_TOP_FAINT, "none yet");
	row++;
	for (uint32_t i = 0; i < shown; i++)
		draw_row(p, row++, &rows[i], false);
	return row;
}
