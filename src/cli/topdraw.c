/* SPDX-License-Identifier: Apache-2.0
 *
 * What surrounds each view: who the gateway is and how it does above, the keys below; the contract is in topdraw.h.
 */
#include "cli/topdraw.h"

#include <inttypes.h>

#include "cli/figures.h"

/* The gateway writes its heartbeat once a second; a shard that missed so many is stuck. */
#define HEARTBEAT_LATE_MS 5000
/* Rows from which on there is room for the name of the file, columns from which on the keys have names. */
#define PATH_FROM 16u
#define KEYS_FROM 79u

/* ---- above ---------------------------------------------------------------------------------- */

static uint64_t since(uint64_t wall_ms, uint64_t then_ms)
{
	return wall_ms > then_ms ? wall_ms - then_ms : 0;
}

static uint64_t heartbeat_age_ms(const struct rc_top_picture *p)
{
	const struct rc_top_snap *now = rc_top_now(p->model);
	return since(now->wall_ms, now->heartbeat_ms);
}

static void draw_state(const struct rc_top_picture *p, struct rc_top_flow *f)
{
	uint64_t age = heartbeat_age_ms(p);
	if (!p->alive)
		rc_top_flow_item(f, RC_TOP_BAD, "ENDED %" PRIu64 " s ago",
			since(p->wall_ms, p->seen_ms) / 1000);
	else if (age > HEARTBEAT_LATE_MS)
		rc_top_flow_item(f, RC_TOP_BAD, "LATE, heartbeat %" PRIu64 " s ago", age / 1000);
	else
		rc_top_flow_item(f, RC_TOP_GOOD, "alive, heartbeat %.1f s ago", (double)age / 1000);
}

/* What the person should know before anything else, or NULL. */
static const char *note(const struct rc_top_picture *p)
{
	if (p->cut)
		return "The counters file was cut short; this is the last picture. Waiting for another gateway.";
	if (!p->alive)
		return "The gateway has ended; these are its last figures. Waiting for one in its place.";
	if (p->ui->paused)
		return "Paused; p goes on.";
	if (heartbeat_age_ms(p) > HEARTBEAT_LATE_MS)
		return "No heartbeat: shard 0 is stuck or starved.";
	return NULL;
}

static uint32_t draw_head(const struct rc_top_picture *p)
{
	const struct rc_top_gateway *g = &p->model->gateway;
	struct rc_top_flow f = rc_top_flow(p->screen, 0, 0);
	uint64_t until = p->alive ? rc_top_now(p->model)->wall_ms : p->seen_ms;
	char text[RC_FIGURE_SIZE];
	rc_top_flow_item(&f, RC_TOP_HEAD, "ringcast %s", g->program_version);
	rc_top_flow_item(&f, RC_TOP_PLAIN, "pid %" PRIu32, g->pid);
	draw_state(p, &f);
	rc_top_flow_item(&f, RC_TOP_PLAIN, "up %s",
		rc_figure_uptime(since(until, g->start_wall_ms) / 1000, text));
	rc_top_flow_item(&f, RC_TOP_PLAIN, "%" PRIu32 " shard%s", g->shard_count,
		g->shard_count == 1 ? "" : "s");
	uint32_t row = f.row + 1;
	/* The end of a long path says more than its beginning. */
	size_t len = strlen(g->path);
	if (p->screen->height >= PATH_FROM)
		rc_top_put_right(p->screen, row++, (uint32_t)RC_MIN(len, (size_t)p->screen->width),
			RC_TOP_FAINT, g->path);
	const char *said = note(p);
	if (said != NULL)
		rc_top_put(p->screen, row, 0, p->alive ? RC_TOP_WARN : RC_TOP_BAD, said);
	/* Kept free where there is room, so that nothing jumps when there is something to say. */
	return said != NULL || p->screen->height >= 24 ? row + 1 : row;
}

/* ---- below ---------------------------------------------------------------------------------- */

static const char *keys_text(const struct rc_top_picture *p)
{
	uint32_t width = p->screen->width;
	if (p->ui->typing)
		return width < 44 ? "Enter  Esc" : " Enter: done  Esc: all counters";
	if (width >= KEYS_FROM)
		return " p pause  s sort  / filter  ? help  q quit";
	return width < 32 ? "? q" : "p s /  ? help  q quit";
}

static void draw_keys(const struct rc_top_picture *p, uint32_t row)
{
	static const char *const names[] = {"1 overview", "2 shards", "3 counters"};
	bool named = p->screen->width >= KEYS_FROM;
	uint32_t col = 0;
	for (uint32_t v = 0; v < RC_TOP_VIEW_COUNT; v++) {
		bool current = p->ui->view == v;
		col = rc_top_putf(p->screen, row, col, current ? RC_TOP_HEAD : RC_TOP_FAINT,
			current ? "[%.*s]" : " %.*s ", named ? 10 : 1, names[v]);
		col += named ? 1 : 0;
	}
	col += named ? 0 : 1;
	col = rc_top_put(p->screen, row, col, RC_TOP_FAINT, keys_text(p));
	/* Where it would cost another word it is left out: the arrows are in the help. */
	if (p->ui->more && col + 2 + strlen("v more") <= p->screen->width)
		rc_top_put(p->screen, row, col + 2, RC_TOP_FAINT, "v more");
}

void rc_top_draw_help(const struct rc_top_picture *p, uint32_t row, uint32_t bottom)
{
	static const char *const line[][2] = {{"q", "quit (also Ctrl-C)"},
		{"1 2 3, Tab", "overview, shards, counters"},
		{"p", "pause: keep this picture; again: go on"},
		{"s, S", "sort the shards by the next, the last column"},
		{"/", "counters whose name contains what you type; Esc: all"},
		{"arrows", "scroll; also PgUp, PgDn, Home, End"}, {"?", "this; again: back"},
		{"", ""}, {"rates", "of the last interval; \"-\": not known"},
		{"events", "without those the gateway tells of itself;"},
		{"", "a shard's are with them"},
		{"latency", "from histograms: at most 6 % above the truth"},
		{"minute", "what happened in the last 50 to 60 seconds"},
		{"trouble", "what was refused, limited, dropped, lost, failed;"},
		{"", "faint: not in the last minute"},
		{"busy, full", "a shard at work, an arena in use, for over 85 %"},
		{"load", "share of its time that a shard spent at work"}, {"", ""},
		{"not here", "busiest channels, laggards: on the dashboard, and by"},
		{"", "GET /api/channels?sort=rate, GET /api/laggards"}};
	uint32_t first = rc_top_settle(p, RC_ARRAY_LEN(line), bottom - row);
	for (size_t i = first; i < RC_ARRAY_LEN(line) && row < bottom; i++, row++) {
		rc_top_put(p->screen, row, 0, RC_TOP_HEAD, line[i][0]);
		rc_top_put(p->screen, row, 12, RC_TOP_PLAIN, line[i][1]);
	}
}

void rc_top_draw(const struct rc_top_picture *p)
{
	static void (*const draw[RC_TOP_VIEW_COUNT])(
		const struct rc_top_picture *, uint32_t, uint32_t) = {
		[RC_TOP_OVERVIEW] = rc_top_draw_overview,
		[RC_TOP_SHARDS] = rc_top_draw_shards,
		[RC_TOP_COUNTERS] = rc_top_draw_counters,
	};
	rc_top_screen_clear(p->screen);
	uint32_t row = draw_head(p), bottom = p->screen->height - 1;
	p->ui->more = false;
	if (row < bottom)
		(p->ui->help ? rc_top_draw_help : draw[p->ui->view])(p, row, bottom);
	/* Who it is says more than what may be typed. */
	if (bottom > 0)
		draw_keys(p, bottom);
}
