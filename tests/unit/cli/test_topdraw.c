/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures of `ringcast top`: cells and the bytes that a terminal gets, every view in every size, and names that want to
 * steer a terminal. A small terminal in here takes the bytes and must show the cells.
 */
#include "topfile.h"

#include "cli/topdraw.c"
#include "cli/topkeys.c"
#include "cli/toplists.c"
#include "cli/topoverview.c"
#include "cli/topscreen.c"
#include "cli/toptables.c"
#include "cli/topui.c"

/* ---- a terminal ------------------------------------------------------------------------------ */

static struct {
	uint32_t width, height, row, col;
	unsigned char glyph[RC_TOP_HEIGHT_MAX][RC_TOP_WIDTH_MAX];
} term;

/* The place in utf8_of, or of the ASCII forms the glyph as it is. */
static unsigned char glyph_of(const char **p, const char *end, bool utf8)
{
	unsigned char c = (unsigned char)**p;
	if (c < 0x80) {
		(*p)++;
		assert_true(c >= ' ' && c <= '~');
		return c;
	}
	assert_true(utf8 && end - *p >= 3);
	for (size_t i = 0; i < RC_ARRAY_LEN(utf8_of); i++)
		if (memcmp(*p, utf8_of[i], 3) == 0) {
			*p += 3;
			return (unsigned char)(RC_TOP_GLYPH_HEIGHT + i);
		}
	fail_msg("a glyph that is none of ours");
	return 0;
}

static void take_bytes(const char *p, size_t len, bool utf8)
{
	const char *end = p + len;
	while (p < end) {
		if (*p == '\033') {
			unsigned row = 0, col = 0;
			int used = 0;
			assert_true(end - p >= 3 && p[1] == '[');
			if (sscanf(p, "\033[%u;%uH%n", &row, &col, &used) == 2 && used > 0) {
				assert_true(row >= 1 && row <= term.height && col == 1);
				term.row = row - 1;
				term.col = 0;
			} else if (p[2] == 'K') {
				used = 3;
				memset(&term.glyph[term.row][term.col], ' ', term.width - term.col);
			} else {
				used = 2 + (int)strspn(p + 2, "0123456789;") + 1;
				assert_int_equal(p[used - 1], 'm');
			}
			p += used;
			continue;
		}
		assert_true(term.col < term.width);
		term.glyph[term.row][term.col++] = glyph_of(&p, end, utf8);
	}
}

static void take_and_compare(struct rc_top_screen *s)
{
	if (s->stale) {
		term.width = s->width;
		term.height = s->height;
		memset(term.glyph, 'x', sizeof(term.glyph));
	}
	/* A read behind the end would not be seen in a buffer with room for the largest picture. */
	size_t len = rc_top_screen_bytes(s);
	char *exact = malloc(len + 1);
	assert_non_null(exact);
	memcpy(exact, s->bytes, len);
	exact[len] = '\0';
	take_bytes(exact, len, s->utf8);
	free(exact);
	for (uint32_t row = 0; row < s->height; row++)
		for (uint32_t col = 0; col < s->width; col++) {
			unsigned char wanted = s->cell[row * s->width + col].glyph;
			unsigned char shown = term.glyph[row][col];
			if (wanted >= RC_TOP_GLYPH_HEIGHT && s->utf8) {
				/* Two names of the full block. */
				bool same =
					strcmp(utf8_of[wanted - 0x80], utf8_of[shown - 0x80]) == 0;
				assert_true(shown >= RC_TOP_GLYPH_HEIGHT && same);
				continue;
			}
			if (wanted >= RC_TOP_GLYPH_HEIGHT)
				wanted = (unsigned char)ascii_of[wanted - RC_TOP_GLYPH_HEIGHT];
			assert_int_equal(shown, wanted);
		}
}

/* The text of the whole picture, rows ended by line ends. */
static const char *text_of(const struct rc_top_screen *s)
{
	static char text[RC_TOP_HEIGHT_MAX * (RC_TOP_WIDTH_MAX + 1) + 1];
	char *to = text;
	for (uint32_t row = 0; row < s->height; row++) {
		for (uint32_t col = 0; col < s->width; col++) {
			unsigned char glyph = s->cell[row * s->width + col].glyph;
			*to++ = glyph < 0x80 ? (char)glyph : ascii_of[glyph - 0x80];
		}
		*to++ = '\n';
	}
	*to = '\0';
	return text;
}

static void shown(const struct rc_top_screen *s, const char *text)
{
	if (strstr(text_of(s), text) == NULL)
		fail_msg("'%s' is not in:\n%s", text, text_of(s));
}

static void not_shown(const struct rc_top_screen *s, const char *text)
{
	if (strstr(text_of(s), text) != NULL)
		fail_msg("'%s' is in:\n%s", text, text_of(s));
}

/* ---- the screen ------------------------------------------------------------------------------ */

static void nothing_is_put_outside(void **state)
{
	struct rc_top_screen s;
	(void)state;
	assert_true(rc_top_screen_init(&s, 5, 2));
	assert_int_equal(rc_top_put(&s, 0, 3, RC_TOP_PLAIN, "abcdef"), 9);
	rc_top_put(&s, 2, 0, RC_TOP_PLAIN, "below");
	rc_top_put(&s, UINT32_MAX, UINT32_MAX, RC_TOP_PLAIN, "far");
	rc_top_put_right(&s, 1, 4, RC_TOP_BAD, "123456");
	rc_top_put_bar(&s, 1, 4, 1000, 1.0);
	rc_top_put_height(&s, 9, 9, 1.0);
	assert_string_equal(text_of(&s), "   ab\n3456#\n");
	take_and_compare(&s);
	rc_top_screen_deinit(&s);
	rc_top_screen_deinit(&s);
	/* Sizes that no terminal has. */
	assert_true(rc_top_screen_init(&s, 0, 0));
	assert_true(s.width == 1 && s.height == 1);
	take_and_compare(&s);
	rc_top_screen_deinit(&s);
	assert_true(rc_top_screen_init(&s, UINT32_MAX, UINT32_MAX));
	assert_true(s.width == RC_TOP_WIDTH_MAX && s.height == RC_TOP_HEIGHT_MAX);
	rc_top_screen_deinit(&s);
}

static void bytes_that_steer_a_terminal_do_not_get_in(void **state)
{
	struct rc_top_screen s;
	(void)state;
	assert_true(rc_top_screen_init(&s, 20, 1));
	rc_top_put(&s, 0, 0, RC_TOP_PLAIN, "a\033[2J\r\n\t\x7f\x9b\303\244z");
	assert_string_equal(text_of(&s), "a?[2J???????z       \n");
	take_and_compare(&s);
	rc_top_screen_deinit(&s);
}

static void only_rows_that_changed_are_written(void **state)
{
	struct rc_top_screen s;
	(void)state;
	assert_true(rc_top_screen_init(&s, 10, 4));
	s.colour = s.utf8 = true;
	rc_top_put(&s, 1, 0, RC_TOP_WARN, "one");
	take_and_compare(&s);
	assert_int_equal(rc_top_screen_bytes(&s), 0);
	rc_top_put(&s, 2, 0, RC_TOP_PLAIN, "0123456789");
	take_and_compare(&s);
	rc_top_put(&s, 2, 9, RC_TOP_PLAIN, "x");
	assert_true(rc_top_screen_bytes(&s) < 40);
	/* Another style alone is a change, too. */
	rc_top_put(&s, 1, 0, RC_TOP_BAD, "one");
	assert_true(rc_top_screen_bytes(&s) > 0);
	rc_top_screen_deinit(&s);
}

static void bars_and_heights_are_as_long_as_their_share(void **state)
{
	static const double shares[] = {NAN, -1, 0, 0.01, 0.5, 1, 7};
	static const char *const bars[] = {
		"........", "........", "........", " .......", "####....", "########", "########"};
	static const char heights[] = "..__-##";
	struct rc_top_screen s;
	(void)state;
	assert_true(rc_top_screen_init(&s, 8, 1));
	for (size_t i = 0; i < RC_ARRAY_LEN(shares); i++) {
		char text[16];
		rc_top_put(&s, 0, 0, RC_TOP_PLAIN, "........");
		rc_top_put_bar(&s, 0, 0, 8, shares[i]);
		snprintf(text, sizeof(text), "%s\n", bars[i]);
		assert_string_equal(text_of(&s), text);
		rc_top_put(&s, 0, 0, RC_TOP_PLAIN, "........");
		rc_top_put_height(&s, 0, 0, shares[i]);
		assert_int_equal(text_of(&s)[0], heights[i]);
	}
	rc_top_screen_deinit(&s);
}

static void without_colour_there_is_none(void **state)
{
	struct rc_top_screen s;
	(void)state;
	for (uint32_t colour = 0; colour < 2; colour++) {
		assert_true(rc_top_screen_init(&s, 30, 1));
		s.colour = colour == 1;
		for (uint32_t style = 0; style < RC_TOP_STYLE_COUNT; style++)
			rc_top_put(&s, 0, 2 * style, style, "x");
		size_t len = rc_top_screen_bytes(&s);
		s.bytes[len] = '\0';
		assert_int_equal(strstr(s.bytes, ";3") != NULL, colour == 1);
		rc_top_screen_deinit(&s);
	}
}

/* ---- views ----------------------------------------------------------------------------------- */

static const struct entry usual[] = {{"clients", RC_KIND_GAUGE}, {"clients_sse", RC_KIND_GAUGE},
	{"users", RC_KIND_GAUGE}, {"clients_behind", RC_KIND_GAUGE},
	{"deliveries", RC_KIND_COUNTER}, {"events_published", RC_KIND_COUNTER},
	{"send_bytes", RC_KIND_COUNTER}, {"messages_in", RC_KIND_COUNTER},
	{"clients_opened", RC_KIND_COUNTER}, {"clients_closed", RC_KIND_COUNTER},
	{"busy_ns", RC_KIND_COUNTER}, {"log_bytes", RC_KIND_GAUGE},
	{"arena_used_bytes", RC_KIND_GAUGE}, {"history_bytes", RC_KIND_GAUGE},
	{"close_client", RC_KIND_COUNTER}, {"close_too_slow", RC_KIND_COUNTER},
	{"accept_refused_rate", RC_KIND_COUNTER}, {"gaps_sent", RC_KIND_COUNTER},
	{"publish_to_flush_ns", RC_KIND_HIST}, {"turn_ns", RC_KIND_HIST},
	{"client_rtt_ns", RC_KIND_HIST}, {"arena_size_bytes", RC_KIND_GAUGE}};

struct stage {
	struct rc_top_model m;
	struct rc_top_screen s;
	struct rc_top_ui ui;
	struct rc_top_picture p;
};

/* Ninety seconds of a gateway with 4 shards that is busy and in trouble. */
static void set_stage(struct stage *t, const struct entry *entries, uint32_t count, uint32_t shards)
{
	*t = (struct stage){0};
	model_of(&t->m, entries, count, shards);
	for (uint32_t n = 0; n < 90; n++) {
		struct rc_top_snap *s = next_snap(&t->m, SECOND);
		for (uint32_t i = 0; i < count; i++)
			s->value[i] =
				entries[i].kind == RC_KIND_GAUGE ? 100 + i : s->value[i] + 1000 * i;
		for (uint32_t i = 0; i < shards * RC_TOP_COLUMN_COUNT; i++)
			s->shard[i] += 250000000 + i;
		for (uint32_t i = 0; i < shards; i++) {
			s->shard[i * RC_TOP_COLUMN_COUNT + RC_TOP_ARENA_USED] = 50 << 20;
			s->shard[i * RC_TOP_COLUMN_COUNT + RC_TOP_ARENA_SIZE] = 100 << 20;
		}
		for (uint32_t h = 0; h < t->m.gateway.hist_count; h++)
			s->hist[h][rc_hist_bucket(100000 * (1 + n % 9))] += 10;
		rc_top_model_step(&t->m);
	}
	t->p = (struct rc_top_picture){.screen = &t->s,
		.model = &t->m,
		.ui = &t->ui,
		.alive = true,
		.wall_ms = rc_top_now(&t->m)->wall_ms,
		.seen_ms = rc_top_now(&t->m)->wall_ms};
}

static void draw(struct stage *t, uint32_t width, uint32_t height)
{
	bool utf8 = t->s.utf8, colour = t->s.colour;
	rc_top_screen_deinit(&t->s);
	assert_true(rc_top_screen_init(&t->s, width, height));
	t->s.utf8 = utf8;
	t->s.colour = colour;
	rc_top_draw(&t->p);
	take_and_compare(&t->s);
}

static void strike(struct stage *t)
{
	rc_top_screen_deinit(&t->s);
	rc_top_model_deinit(&t->m);
}

static void the_overview_has_the_figures(void **state)
{
	struct stage t;
	(void)state;
	set_stage(&t, usual, RC_ARRAY_LEN(usual), 4);
	draw(&t, 100, 40);
	shown(&t.s, "ringcast 0.1.0  pid 4242  alive, heartbeat 0.0 s ago  up 00:01:30  4 shards");
	shown(&t.s, "/run/ringcast/4242.counters");
	/* 100 in all, 101 of them (it is a made-up gateway) read event streams. */
	shown(&t.s, "100 connected  -1 ws  101 sse  102 users  103 behind");
	shown(&t.s, "events 5,000/s  deliveries 4,000/s  out 5.86 KiB/s  messages in 7,000/s");
	/* 112 of 121 B. */
	shown(&t.s, "arena 112 of 121 B [######### ]  log 111 B  history 113 B");
	shown(&t.s, "publish to socket, 1 s    ");
	shown(&t.s, "publish to socket, 59 s    ");
	shown(&t.s, "client round trip, 59 s");
	shown(&t.s, "Trouble ");
	shown(&t.s, "gaps_sent");
	shown(&t.s, "17,000/s");
	shown(&t.s, "   last minute    in all ");
	shown(&t.s, "   1,003,000 1,530,000  Help of gaps_sent.");
	shown(&t.s, "close_too_slow");
	shown(&t.s, "shard*");
	shown(&t.s, "25.0 %");
	shown(&t.s, "[1 overview]");
	strike(&t);
}

static void who_has_ended_or_is_late_is_shown_in_words(void **state)
{
	struct stage t;
	(void)state;
	set_stage(&t, usual, RC_ARRAY_LEN(usual), 1);
	t.m.snap[t.m.taken % 2].heartbeat_ms -= 60000;
	draw(&t, 80, 24);
	shown(&t.s, "LATE, heartbeat 60 s ago");
	shown(&t.s, "shard 0 is stuck or starved");
	t.ui.paused = true;
	draw(&t, 80, 24);
	shown(&t.s, "Paused");
	t.p.alive = false;
	t.p.wall_ms += 75000;
	draw(&t, 80, 24);
	shown(&t.s, "ENDED 75 s ago");
	shown(&t.s, "these are its last figures");
	shown(&t.s, "up 00:01:30");
	t.p.cut = true;
	draw(&t, 80, 24);
	shown(&t.s, "was cut short");
	/* A clock that was set back makes no huge numbers. */
	t.p.alive = true;
	t.m.snap[t.m.taken % 2].heartbeat_ms = UINT64_MAX;
	draw(&t, 80, 24);
	shown(&t.s, "alive, heartbeat 0.0 s ago");
	strike(&t);
}

static void the_tables_scroll_and_filter(void **state)
{
	struct stage t;
	(void)state;
	set_stage(&t, usual, RC_ARRAY_LEN(usual), 64);
	t.ui.view = RC_TOP_SHARDS;
	t.ui.first[RC_TOP_SHARDS] = UINT32_MAX;
	draw(&t, 80, 24);
	/* 24 rows: head, path, room for a note, titles, keys. */
	assert_int_equal(t.ui.page, 19);
	assert_int_equal(t.ui.first[RC_TOP_SHARDS], 64 - 19);
	shown(&t.s, "\n     63 ");
	not_shown(&t.s, "\n     44 ");
	t.ui.view = RC_TOP_COUNTERS;
	draw(&t, 120, 24);
	shown(&t.s, "Counters  1 to 19 of 22");
	shown(&t.s, "Help of clients_opened.");
	strcpy(t.ui.filter, "CLOSE");
	t.ui.typing = true;
	draw(&t, 120, 24);
	shown(&t.s, "/CLOSE_  1 to 3 of 3");
	shown(&t.s, "clients_closed");
	not_shown(&t.s, "deliveries");
	strcpy(t.ui.filter, "zzz");
	draw(&t, 120, 24);
	shown(&t.s, "no counter has that in its name");
	strike(&t);
}

static void a_value_is_whole_or_has_a_letter(void **state)
{
	struct stage t;
	(void)state;
	set_stage(&t, usual, RC_ARRAY_LEN(usual), 1);
	t.m.snap[t.m.taken % 2].value[rc_top_find(&t.m.gateway, "deliveries")] = 1234567890123;
	t.m.snap[t.m.taken % 2].value[rc_top_find(&t.m.gateway, "clients")] = (uint64_t)INT64_MIN;
	t.ui.view = RC_TOP_COUNTERS;
	draw(&t, 80, 24);
	shown(&t.s, " 1,234,567,890,123");
	draw(&t, 24, 24);
	shown(&t.s, " 1.23 T\n");
	shown(&t.s, " -9.22 E\n");
	strike(&t);
}

static void every_size_and_view_stays_within_its_bounds(void **state)
{
	struct stage t;
	(void)state;
	set_stage(&t, usual, RC_ARRAY_LEN(usual), 70);
	for (uint32_t width = 1; width <= 140; width += width < 30 ? 1 : 3)
		for (uint32_t height = 1; height <= 50; height += height < 12 ? 1 : 4)
			for (uint32_t view = 0; view < 2 * RC_TOP_VIEW_COUNT; view++) {
				t.ui.view = view % RC_TOP_VIEW_COUNT;
				t.ui.help = view == 2 * RC_TOP_VIEW_COUNT - 1;
				t.p.alive = view >= RC_TOP_VIEW_COUNT;
				t.s.utf8 = t.s.colour = (width + height) % 2 == 0;
				t.ui.first[t.ui.view] = width * height;
				draw(&t, width, height);
			}
	/* From 20 columns on everybody knows whom he looks at. */
	t.ui.view = RC_TOP_OVERVIEW;
	t.p.alive = true;
	draw(&t, 20, 5);
	shown(&t.s, "ringcast 0.1.0");
	draw(&t, RC_TOP_WIDTH_MAX, RC_TOP_HEIGHT_MAX);
	strike(&t);
}

static void a_hostile_file_makes_an_ugly_picture_and_nothing_else(void **state)
{
	static struct entry many[600];
	static char names[600][48];
	struct stage t;
	(void)state;
	for (uint32_t i = 0; i < 600; i++) {
		static const char *const stems[] = {
			"close_", "refused_", "", "publish_to_flush_ns"};
		snprintf(names[i], sizeof(names[i]), "%s\033]0;%040u", stems[i % 4], i);
		many[i] = (struct entry){names[i], 1 + i % 3};
	}
	set_stage(&t, many, 600, RC_COUNTERS_SHARDS_MAX);
	struct rc_top_snap *s = &t.m.snap[t.m.taken % 2];
	memset(s->value, 0xff, 600 * sizeof(s->value[0]));
	memset(s->hist, 0x7f, t.m.gateway.hist_count * sizeof(s->hist[0]));
	memset(s->shard, 0x80, RC_COUNTERS_SHARDS_MAX * RC_TOP_COLUMN_COUNT * sizeof(s->shard[0]));
	t.m.gateway.start_wall_ms = UINT64_MAX;
	memset(t.m.gateway.path, '\033', sizeof(t.m.gateway.path) - 1);
	for (uint32_t view = 0; view < RC_TOP_VIEW_COUNT; view++)
		for (uint32_t sort = 0; sort < RC_TOP_SORT_COUNT; sort++) {
			t.ui.view = view;
			t.ui.sort = sort;
			draw(&t, 80 + 40 * (sort % 2), 24);
		}
	strike(&t);
}

/* Trouble of which nothing is known but that it was, so many seconds after somebody began to look. */
static void set_old_trouble(struct stage *t, uint32_t seconds)
{
	*t = (struct stage){0};
	model_of(&t->m, usual, RC_ARRAY_LEN(usual), 2);
	next_snap(&t->m, 0)->value[at(&t->m, "gaps_sent")] = 77;
	rc_top_model_step(&t->m);
	for (uint32_t n = 0; n < seconds; n++) {
		next_snap(&t->m, SECOND);
		rc_top_model_step(&t->m);
	}
	t->p = (struct rc_top_picture){.screen = &t->s,
		.model = &t->m,
		.ui = &t->ui,
		.alive = true,
		.wall_ms = rc_top_now(&t->m)->wall_ms,
		.seen_ms = rc_top_now(&t->m)->wall_ms};
}

static void trouble_of_before_is_shown_and_the_span_is_the_real_one(void **state)
{
	static const struct {
		uint32_t seconds;
		const char *quiet, *title;
	} spans[] = {{0, "not known yet", " last 0.0 s    in all"},
		{5, "none in the last 5 s", " last 5 s    in all"},
		{70, "none in the last minute", " last minute    in all"}};
	struct stage t;
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(spans); i++) {
		set_old_trouble(&t, spans[i].seconds);
		draw(&t, 100, 24);
		shown(&t.s, spans[i].quiet);
		shown(&t.s, spans[i].title);
		shown(&t.s, "gaps_sent");
		shown(&t.s, "           0        77  Help of gaps_sent.");
		draw(&t, 40, 24);
		shown(&t.s, "\n  gaps_sent                    77 in all");
		draw(&t, 40, 10);
		shown(&t.s, spans[i].quiet);
		shown(&t.s, "1 kind before");
		strike(&t);
	}
	set_old_trouble(&t, 1);
	t.m.snap[t.m.taken % 2].value[at(&t.m, "gaps_sent")] = 0;
	draw(&t, 100, 24);
	shown(&t.s, "Trouble   none since the gateway began");
	strike(&t);
}

static void the_longest_name_of_the_gateway_is_shown_whole(void **state)
{
	struct entry longest = {"", RC_KIND_COUNTER};
	struct stage t;
	(void)state;
	for (uint32_t i = 0; i < RC_COUNTER_COUNT; i++) {
		const char *name = rc_counter_meta((enum rc_counter)i)->name;
		if (rc_top_is_trouble(name) && strlen(name) > strlen(longest.name))
			longest.name = name;
	}
	set_stage(&t, &longest, 1, 1);
	next_snap(&t.m, SECOND)->value[0] = 5000;
	rc_top_model_step(&t.m);
	draw(&t, 80, 24);
	shown(&t.s, longest.name);
	shown(&t.s, " 5,000/s       5,000     5,000  Help of");
	strike(&t);
}

static void who_is_saturated_is_in_trouble(void **state)
{
	struct stage t;
	(void)state;
	set_old_trouble(&t, 5);
	struct rc_top_snap *s = next_snap(&t.m, SECOND);
	s->shard[RC_TOP_COLUMN_COUNT + RC_TOP_BUSY_NS] = 97 * SECOND / 100;
	for (uint32_t i = 0; i < 2; i++)
		s->shard[i * RC_TOP_COLUMN_COUNT + RC_TOP_ARENA_SIZE] = 100;
	s->shard[RC_TOP_ARENA_USED] = 91;
	rc_top_model_step(&t.m);
	draw(&t, 100, 24);
	shown(&t.s, "\n  busy: shard 1                     97 %   ");
	shown(&t.s, "\n  full: arena of shard 0            91 %   ");
	shown(&t.s, "gaps_sent");
	not_shown(&t.s, "Trouble   none");
	draw(&t, 40, 10);
	shown(&t.s, "\nTrouble   shard 1 97 % busy ");
	shown(&t.s, "\n          arena 0 91 % full ");
	strike(&t);
}

static void a_short_picture_says_the_trouble_first_and_scrolls(void **state)
{
	static const char *const below[] = {
		"Memory", "Latency", "pub 1 s", "gaps_sent", "Closes", "close_too_slow", "shard*"};
	bool seen[RC_ARRAY_LEN(below)] = {false};
	struct stage t;
	(void)state;
	set_stage(&t, usual, RC_ARRAY_LEN(usual), 4);
	draw(&t, 40, 10);
	shown(&t.s, "\nTrouble   2 kinds in the last minute");
	shown(&t.s, "\n[1] 2  3  p s /  ? help  q quit  v more ");
	not_shown(&t.s, "Closes");
	uint32_t last = 0;
	for (uint32_t n = 0; n < 100; n++) {
		assert_true(rc_top_ui_key(&t.ui, RC_KEY_DOWN));
		draw(&t, 40, 10);
		shown(&t.s, "ringcast 0.1.0");
		shown(&t.s, "q quit");
		for (size_t i = 0; i < RC_ARRAY_LEN(below); i++)
			seen[i] = seen[i] || strstr(text_of(&t.s), below[i]) != NULL;
		last = t.ui.first[RC_TOP_OVERVIEW];
	}
	for (size_t i = 0; i < RC_ARRAY_LEN(below); i++)
		if (!seen[i])
			fail_msg("%s is never shown", below[i]);
	/* The end is full of rows, and nothing is below. */
	assert_true(last > 20 && last < 60);
	not_shown(&t.s, "v more");
	shown(&t.s, "\n      3 ");
	assert_true(rc_top_ui_key(&t.ui, RC_KEY_HOME));
	draw(&t, 40, 10);
	shown(&t.s, "Trouble   2 kinds");
	/* What fits does not scroll. */
	assert_true(rc_top_ui_key(&t.ui, RC_KEY_END));
	draw(&t, 100, 60);
	assert_int_equal(t.ui.first[RC_TOP_OVERVIEW], 0);
	shown(&t.s, "Clients ");
	strike(&t);
}

static void the_help_scrolls_and_the_keys_fit(void **state)
{
	struct stage t;
	(void)state;
	set_stage(&t, usual, RC_ARRAY_LEN(usual), 1);
	assert_true(rc_top_ui_key(&t.ui, '?'));
	draw(&t, 80, 24);
	shown(&t.s, "GET /api/laggards");
	draw(&t, 60, 10);
	not_shown(&t.s, "GET /api/laggards");
	assert_true(rc_top_ui_key(&t.ui, RC_KEY_END));
	draw(&t, 60, 10);
	shown(&t.s, "GET /api/laggards");
	assert_int_equal(t.ui.first[RC_TOP_OVERVIEW], 0);
	assert_true(rc_top_ui_key(&t.ui, '?') && rc_top_ui_key(&t.ui, '?'));
	draw(&t, 60, 10);
	shown(&t.s, "quit (also Ctrl-C)");
	for (uint32_t width = 14; width < 100; width++) {
		draw(&t, width, 24);
		shown(&t.s, width < 32 ? "? q" : "q quit");
	}
	strike(&t);
}

static void a_file_that_lacks_everything_shows_dashes(void **state)
{
	static const struct entry one[] = {{"something_new", RC_KIND_COUNTER}};
	struct stage t;
	(void)state;
	set_stage(&t, one, 1, 1);
	draw(&t, 100, 30);
	shown(&t.s, "- connected");
	shown(&t.s, "deliveries -/s");
	shown(&t.s, "log -");
	shown(&t.s, "not told in this file");
	t.ui.view = RC_TOP_COUNTERS;
	draw(&t, 100, 30);
	shown(&t.s, "something_new");
	strike(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_put_outside),
		cmocka_unit_test(bytes_that_steer_a_terminal_do_not_get_in),
		cmocka_unit_test(only_rows_that_changed_are_written),
		cmocka_unit_test(bars_and_heights_are_as_long_as_their_share),
		cmocka_unit_test(without_colour_there_is_none),
		cmocka_unit_test(the_overview_has_the_figures),
		cmocka_unit_test(who_has_ended_or_is_late_is_shown_in_words),
		cmocka_unit_test(the_tables_scroll_and_filter),
		cmocka_unit_test(a_value_is_whole_or_has_a_letter),
		cmocka_unit_test(every_size_and_view_stays_within_its_bounds),
		cmocka_unit_test(a_hostile_file_makes_an_ugly_picture_and_nothing_else),
		cmocka_unit_test(trouble_of_before_is_shown_and_the_span_is_the_real_one),
		cmocka_unit_test(the_longest_name_of_the_gateway_is_shown_whole),
		cmocka_unit_test(who_is_saturated_is_in_trouble),
		cmocka_unit_test(a_short_picture_says_the_trouble_first_and_scrolls),
		cmocka_unit_test(the_help_scrolls_and_the_keys_fit),
		cmocka_unit_test(a_file_that_lacks_everything_shows_dashes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
