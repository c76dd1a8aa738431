/* SPDX-License-Identifier: Apache-2.0
 *
 * When events are due, on which channel they go, and texts found in streams.
 */
#include "../unit.h"

#include <math.h>

#include "load/draw.h"
#include "load/match.h"
#include "load/pace.h"

/* ---- pace --------------------------------------------------------------------------------------- */

static void events_of_one_publisher_are_a_whole_interval_apart(void **state)
{
	struct load_pace p;

	(void)state;
	load_pace_begin(&p, 1000, 1e6, 1, 1, 0);
	for (uint64_t k = 0; k < 5000; k++) {
		assert_int_equal(p.next_ns, 1000 + k * 1000);
		load_pace_step(&p);
	}
}

/* Three a second is no whole number of nanoseconds. After hours nothing has been lost by rounding. */
static void pace_does_not_drift(void **state)
{
	struct load_pace p;
	uint64_t k = 0;

	(void)state;
	load_pace_begin(&p, 5, 3, 1, 1, 0);
	for (; k < 3 * 3600 * 24; k++) {
		assert_int_equal(p.next_ns, 5 + k * 1000000000 / 3);
		load_pace_step(&p);
	}
	assert_int_equal(p.next_ns, 5 + 24ull * 3600 * 1000000000);
	/* A rate with a fraction, as the millionth it is taken to. */
	load_pace_begin(&p, 0, 123456.789, 1, 1, 0);
	for (k = 0; k < 20000000; k++)
		load_pace_step(&p);
	assert_int_equal(
		p.next_ns, (uint64_t)((unsigned __int128)k * 1000000000000000 / 123456789000));
}

static void publishers_of_a_group_publish_in_turn(void **state)
{
	struct load_pace p[7];
	uint64_t due = 0;

	(void)state;
	for (uint64_t n = 0; n < 7; n++)
		load_pace_begin(&p[n], 0, 1000, 1, 7, n);
	for (uint64_t k = 0; k < 70000; k++, due += 1000000) {
		assert_int_equal(p[k % 7].next_ns, due);
		load_pace_step(&p[k % 7]);
	}
}

/* Two of three channels are two thirds of the events. */
static void a_share_of_the_rate_is_kept_exactly(void **state)
{
	struct load_pace p;

	(void)state;
	load_pace_begin(&p, 0, 900, 2, 3, 1);
	for (int k = 0; k < 600 * 60; k++)
		load_pace_step(&p);
	/* One of the others' events went first. */
	assert_int_equal(p.next_ns, 60ull * 1000000000 + 1000000000 / 900);
}

static void the_slowest_and_the_fastest_rate_do_not_overflow(void **state)
{
	struct load_pace p;

	(void)state;
	load_pace_begin(&p, UINT64_MAX / 2, 1e-9, 1, (uint64_t)1 << 32, UINT32_MAX);
	load_pace_step(&p);
	load_pace_step(&p);
	assert_true(p.next_ns == LOAD_PACE_NEVER);
	load_pace_begin(&p, 7, 1e300, (uint64_t)1 << 32, (uint64_t)1 << 32, 0);
	for (int k = 0; k < 1000; k++)
		load_pace_step(&p);
	assert_int_equal(p.next_ns, 8);
}

/* ---- draw --------------------------------------------------------------------------------------- */

static void even_channels_go_round_each_publisher_its_own(void **state)
{
	const struct load_group group = {
		.channels = 7, .first_channel = 100, .publishers = 3, .spread = LOAD_EVEN};
	uint32_t seen[7] = {0}, shares = 0;

	(void)state;
	for (uint32_t n = 0; n < 3; n++) {
		struct load_draw d;

		assert_int_equal(load_draw_open(&d, &group, n), 0);
		assert_int_equal(d.shares, 7);
		shares += (uint32_t)d.share;
		for (uint32_t i = 0; i < 2 * d.count; i++) {
			uint32_t channel = load_draw_channel(&d, load_draw_next(&d));

			assert_in_range(channel, 100, 106);
			assert_int_equal(channel % 3, n);
			seen[channel - 100]++;
		}
		load_draw_close(&d);
	}
	assert_int_equal(shares, 7);
	for (int c = 0; c < 7; c++)
		assert_int_equal(seen[c], 2);
}

static void publisher_without_a_channel_has_none(void **state)
{
	const struct load_group group = {
		.channels = 2, .first_channel = 5, .publishers = 4, .spread = LOAD_ZIPF, .zipf = 1};
	uint32_t count = 0;

	(void)state;
	for (uint32_t n = 0; n < 4; n++) {
		struct load_draw d;

		assert_int_equal(load_draw_open(&d, &group, n), 0);
		count += d.count;
		assert_true(d.count <= 1);
		load_draw_close(&d);
	}
	assert_int_equal(count, 2);
}

static void zipf_draws_a_rank_as_often_as_its_weight_says(void **state)
{
	const struct load_group group = {
		.channels = 1000, .publishers = 2, .spread = LOAD_ZIPF, .zipf = 1.1};
	const uint32_t draws = 2000000;
	double weights = 0, shares = 0;

	(void)state;
	for (uint32_t r = 1; r <= 1000; r++)
		weights += pow(r, -1.1);
	for (uint32_t n = 0; n < 2; n++) {
		static uint32_t seen[1000];
		struct load_draw d;

		memset(seen, 0, sizeof(seen));
		assert_int_equal(load_draw_open(&d, &group, n), 0);
		shares += (double)d.share / (double)d.shares;
		for (uint32_t i = 0; i < draws; i++)
			seen[load_draw_channel(&d, load_draw_next(&d))]++;
		for (uint32_t c = 0; c < 1000; c++) {
			double part =
				pow(c + 1, -1.1) / weights * ((double)d.shares / (double)d.share);
			double wanted = c % 2 == n ? draws * part : 0;

			/* Six standard deviations; the seed is fixed, so it is always the same draw. */
			assert_true(fabs(seen[c] - wanted) <= 6 * sqrt(wanted) + 0.5);
		}
		load_draw_close(&d);
	}
	assert_true(fabs(shares - 1) < 1e-6);
}

static void two_runs_draw_alike(void **state)
{
	const struct load_group group = {
		.channels = 50, .publishers = 1, .spread = LOAD_ZIPF, .zipf = 0.8};
	struct load_draw a, b;

	(void)state;
	assert_int_equal(load_draw_open(&a, &group, 0), 0);
	assert_int_equal(load_draw_open(&b, &group, 0), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(load_draw_next(&a), load_draw_next(&b));
	load_draw_close(&a);
	load_draw_close(&b);
}

/* ---- match -------------------------------------------------------------------------------------- */

static void text_is_found_however_the_stream_is_cut(void **state)
{
	static const char stream[] = "aabaab xaabaabaaab aab\r\naaab";
	static const struct {
		const char *text;
		uint64_t count;
	} cases[] = {{"aab", 7}, {"aabaab", 2}, {"\r\n", 1}, {"a", 16}, {"", 0}, {"abb", 0}};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		for (size_t part = 1; part <= sizeof(stream); part++) {
			struct load_match m;
			uint64_t count = 0;

			assert_true(load_match_open(&m, cases[i].text));
			for (size_t at = 0; at < sizeof(stream) - 1; at += part)
				count += load_match_count(&m, (const unsigned char *)stream + at,
					RC_MIN(part, sizeof(stream) - 1 - at));
			assert_int_equal(count, cases[i].count);
		}
	}
}

static void text_that_is_too_long_is_not_taken(void **state)
{
	char text[LOAD_MATCH_MAX + 2];
	struct load_match m;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[LOAD_MATCH_MAX + 1] = '\0';
	assert_false(load_match_open(&m, text));
	text[LOAD_MATCH_MAX] = '\0';
	assert_true(load_match_open(&m, text));
	assert_int_equal(load_match_count(&m, (const unsigned char *)text, LOAD_MATCH_MAX), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_of_one_publisher_are_a_whole_interval_apart),
		cmocka_unit_test(pace_does_not_drift),
		cmocka_unit_test(publishers_of_a_group_publish_in_turn),
		cmocka_unit_test(a_share_of_the_rate_is_kept_exactly),
		cmocka_unit_test(the_slowest_and_the_fastest_rate_do_not_overflow),
		cmocka_unit_test(even_channels_go_round_each_publisher_its_own),
		cmocka_unit_test(publisher_without_a_channel_has_none),
		cmocka_unit_test(zipf_draws_a_rank_as_often_as_its_weight_says),
		cmocka_unit_test(two_runs_draw_alike),
		cmocka_unit_test(text_is_found_however_the_stream_is_cut),
		cmocka_unit_test(text_that_is_too_long_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
