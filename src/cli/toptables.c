/* SPDX-License-Identifier: Apache-2.0
 *
 * The views that are tables: shards, and all counters; the contract is in topdraw.h.
 */
#include "cli/topdraw.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "cli/figures.h"

uint32_t rc_top_settle(const struct rc_top_picture *p, uint32_t count, uint32_t page)
{
	uint32_t *first = rc_top_ui_first(p->ui);
	p->ui->page = page;
	*first = RC_MIN(*first, count > page ? count - page : 0);
	p->ui->more = count > page && *first < count - page;
	return *first;
}

/* ---- shards --------------------------------------------------------------------------------- */

/* In the order of enum rc_top_sort. */
static const struct {
	const char *title;
	uint32_t width;
} columns[RC_TOP_SORT_COUNT] = {{"shard", 7}, {"load", 9}, {"clients", 11}, {"deliveries/s", 14},
	{"events/s", 12}, {"behind", 9}, {"log", 12}};
#define TABLE_WIDTH 74u
#define BAR_WIDTH   20u

static const char *cell_text(
	const struct rc_top_shard *s, enum rc_top_sort column, char out[RC_FIGURE_SIZE])
{
	const double gauges[] = {[RC_TOP_BY_CLIENTS] = s->clients, [RC_TOP_BY_BEHIND] = s->behind};
	switch (column) {
	case RC_TOP_BY_SHARD:
		snprintf(out, RC_FIGURE_SIZE, "%" PRIu32, s->shard);
		return out;
	case RC_TOP_BY_LOAD:
		if (isnan(s->load))
			return "-";
		snprintf(out, RC_FIGURE_SIZE, "%.1f %%", RC_MIN(s->load * 100, 999.9));
		return out;
	case RC_TOP_BY_DELIVERIES:
		return rc_figure_rate(s->deliveries, out);
	case RC_TOP_BY_EVENTS:
		return rc_figure_rate(s->events, out);
	case RC_TOP_BY_LOG:
		return rc_figure_bytes(s->log_bytes, out);
	case RC_TOP_BY_CLIENTS:
	case RC_TOP_BY_BEHIND:
		/* Of what does not fit a negative number is nonsense anyway. */
		if (isnan(gauges[column]) || gauges[column] < -1e6)
			return "-";
		return gauges[column] > 1e7 ? rc_figure_rate(gauges[column], out)
					    : rc_figure_signed((int64_t)gauges[column], out);
	case RC_TOP_SORT_COUNT:
		break;
	}
	return "";
}

static void draw_titles(const struct rc_top_picture *p, uint32_t row)
{
	uint32_t end = 0;
	char text[RC_FIGURE_SIZE];
	for (uint32_t c = 0; c < RC_TOP_SORT_COUNT; c++) {
		end += columns[c].width;
		snprintf(text, sizeof(text), "%s%s", columns[c].title, p->ui->sort == c ? "*" : "");
		if (end <= p->screen->width)
			rc_top_put_right(p->screen, row, end,
				p->ui->sort == c ? RC_TOP_HEAD : RC_TOP_FAINT, text);
	}
}

uint32_t rc_top_draw_shard_table(
	const struct rc_top_picture *p, uint32_t row, uint32_t bottom, uint32_t first)
{
	/* As many as a file can have. */
	static struct rc_top_shard rows[RC_COUNTERS_SHARDS_MAX];
	char text[RC_FIGURE_SIZE];
	rc_top_shards(p->model, p->ui->sort, rows);
	draw_titles(p, row++);
	for (uint32_t i = first; i < p->model->gateway.shard_count && row < bottom; i++, row++) {
		uint32_t end = 0;
		for (uint32_t c = 0; c < RC_TOP_SORT_COUNT; c++) {
			end += columns[c].width;
			bool warn = (c == RC_TOP_BY_BEHIND && rows[i].behind > 0) ||
				    (c == RC_TOP_BY_LOAD && rc_top_saturated(rows[i].load));
			enum rc_top_style style = warn ? RC_TOP_WARN : RC_TOP_PLAIN;
			if (end <= p->screen->width)
				rc_top_put_right(
					p->screen, row, end, style, cell_text(&rows[i], c, text));
		}
		if (p->screen->width >= TABLE_WIDTH + 2 + BAR_WIDTH)
			rc_top_put_bar(p->screen, row, TABLE_WIDTH + 2, BAR_WIDTH, rows[i].load);
	}
	return row;
}

void rc_top_draw_shards(const struct rc_top_picture *p, uint32_t row, uint32_t bottom)
{
	uint32_t page = bottom - row > 1 ? bottom - row - 1 : 0;
	(void)rc_top_draw_shard_table(
		p, row, bottom, rc_top_settle(p, p->model->gateway.shard_count, page));
}

/* ---- counters ------------------------------------------------------------------------------- */

#define NAME_WIDTH  32u
#define VALUE_WIDTH 20u
#define RATE_WIDTH  14u

/* Histograms beyond those that are read have nothing to show. */
static bool is_shown(const struct rc_top_picture *p, uint32_t entry)
{
	const struct rc_top_gateway *g = &p->model->gateway;
	bool known = g->meta[entry].kind != RC_KIND_HIST;
	for (uint32_t h = 0; h < g->hist_count; h++)
		known = known || g->hist[h] == entry;
	return known && rc_top_ui_passes(p->ui, g->meta[entry].name);
}

/* All digits when they fit into the room, else with a letter: never a part of them. */
static void put_value(const struct rc_top_picture *p, uint32_t row, uint32_t end, uint32_t room,
	bool gauge, uint64_t value)
{
	char text[RC_FIGURE_SIZE], sized[RC_FIGURE_SIZE + 1];
	bool negative = gauge && (int64_t)value < 0;
	uint64_t size = negative ? 0 - value : value;
	snprintf(sized, sizeof(sized), "%s%s", negative ? "-" : "", rc_figure_count(size, text));
	if (strlen(sized) > room)
		snprintf(sized, sizeof(sized), "%s%s", negative ? "-" : "",
			rc_figure_rate((double)size, text));
	rc_top_put_right(p->screen, row, end, RC_TOP_PLAIN, sized);
}

static void draw_counter(const struct rc_top_picture *p, uint32_t row, uint32_t entry)
{
	const struct rc_counters_meta *meta = &p->model->gateway.meta[entry];
	uint64_t value = rc_top_now(p->model)->value[entry];
	uint32_t width = p->screen->width;
	/* On a narrow screen the value comes first to its right, then the rate, then the help. */
	uint32_t name = RC_MIN(NAME_WIDTH, width > 24 ? width / 2 : 12);
	uint32_t end = RC_MIN(name + VALUE_WIDTH, width);
	char text[RC_FIGURE_SIZE], rate[RC_FIGURE_SIZE + 4];
	rc_top_putf(p->screen, row, 0, RC_TOP_PLAIN, "%-.*s", (int)(name - 1), meta->name);
	put_value(p, row, end, end - name - 1, meta->kind == RC_KIND_GAUGE, value);
	if (width < end + RATE_WIDTH)
		return;
	end += RATE_WIDTH;
	if (meta->kind != RC_KIND_GAUGE) {
		double grows = rc_top_rate(p->model, entry);
		snprintf(rate, sizeof(rate), "%s/s", rc_figure_rate(grows, text));
		rc_top_put_right(p->screen, row, end, grows > 0 ? RC_TOP_HEAD : RC_TOP_FAINT, rate);
	}
	rc_top_put(p->screen, row, end + 2, RC_TOP_FAINT, meta->help);
}

void rc_top_draw_counters(const struct rc_top_picture *p, uint32_t row, uint32_t bottom)
{
	const struct rc_top_gateway *g = &p->model->gateway;
	uint32_t count = 0;
	for (uint32_t i = 0; i < g->meta_count; i++)
		count += is_shown(p, i) ? 1 : 0;
	uint32_t page = bottom - row > 1 ? bottom - row - 1 : 0;
	uint32_t first = rc_top_settle(p, count, page);
	uint32_t col = rc_top_put(p->screen, row, 0, RC_TOP_HEAD, "Counters  ");
	if (p->ui->typing || p->ui->filter[0] != '\0')
		col = rc_top_putf(p->screen, row, col, RC_TOP_PLAIN, "/%s%s  ", p->ui->filter,
			p->ui->typing ? "_" : "");
	if (count == 0)
		rc_top_put(p->screen, row, col, RC_TOP_WARN, "no counter has that in its name");
	else
		rc_top_putf(p->screen, row, col, RC_TOP_FAINT,
			"%" PRIu32 " to %" PRIu32 " of %" PRIu32, first + 1,
			RC_MIN(first + page, count), count);
	row++;
	uint32_t at = 0;
	for (uint32_t i = 0; i < g->meta_count && row < bottom; i++)
		if (is_shown(p, i) && at++ >= first)
			draw_counter(p, row++, i);
}
