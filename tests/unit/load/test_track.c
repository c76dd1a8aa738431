/* SPDX-License-Identifier: Apache-2.0
 *
 * Accounting, against a model that remembers every sequence.
 */
#include "../unit.h"

#include "base/random.h"
#include "load/track.h"

#define EVENTS    600u
#define SEEDS     400u
#define REACH     63u /* sequences below the last that are known one by one */
#define CROWD_MAX (2 * EVENTS)

struct model {
	bool seen[EVENTS + 1];
	uint64_t last;
	uint64_t fresh, told;
	struct load_faults faults;
};

static bool all_before_reach_were_seen(const struct model *m)
{
	for (uint64_t s = 1; s + REACH < m->last; s++)
		if (!m->seen[s])
			return false;
	return true;
}

static bool model_take(struct model *m, uint64_t sequence)
{
	bool known = sequence + REACH >= m->last, had = m->seen[sequence];

	if (sequence > m->last) {
		m->faults.lost += sequence - m->last - 1;
		m->last = sequence;
	} else if (known ? had : all_before_reach_were_seen(m)) {
		m->faults.duplicated++;
		return false;
	} else {
		m->faults.reordered++;
		if (!known)
			return false;
		m->faults.lost--;
	}
	m->seen[sequence] = true;
	m->fresh++;
	return true;
}

static void model_told(struct model *m, uint64_t missed)
{
	for (uint64_t i = 0; i < missed; i++)
		m->seen[++m->last] = true;
	m->told += missed;
}

static void assert_agree(const struct load_faults *f, const struct model *m)
{
	assert_int_equal(f->lost, m->faults.lost);
	assert_int_equal(f->duplicated, m->faults.duplicated);
	assert_int_equal(f->reordered, m->faults.reordered);
	assert_int_equal(m->faults.lost + m->fresh + m->told, m->last);
}

struct arrivals {
	uint32_t count;
	uint64_t sequence[CROWD_MAX];
};

/* 1 to EVENTS, some of them left out, some twice, some up to `reach` places late. */
static void shuffle(struct arrivals *a, struct rc_prng *prng, uint32_t reach)
{
	uint32_t drop = rc_prng_below(prng, 4), again = rc_prng_below(prng, 4);
	uint32_t late = rc_prng_below(prng, 4);

	a->count = 0;
	for (uint64_t s = 1; s <= EVENTS; s++)
		for (uint32_t k = 0; k <= (rc_prng_below(prng, 100) < 5 * again ? 1u : 0u); k++)
			if (rc_prng_below(prng, 100) >= 5 * drop)
				a->sequence[a->count++] = s;
	for (uint32_t i = 0; reach && i < a->count; i++)
		if (rc_prng_below(prng, 100) < 10 * late) {
			uint32_t far = i + 1 + rc_prng_below(prng, reach);
			uint32_t to = RC_MIN(far, a->count - 1);
			uint64_t moved = a->sequence[i];

			memmove(&a->sequence[i], &a->sequence[i + 1],
				(to - i) * sizeof(a->sequence[0]));
			a->sequence[to] = moved;
		}
}

static void run(uint32_t reach, bool gaps)
{
	static struct arrivals a;
	static struct model m;
	struct rc_prng prng;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct load_track track;
		struct load_faults faults = {0};

		memset(&m, 0, sizeof(m));
		rc_prng_seed(&prng, seed * 1000 + reach);
		shuffle(&a, &prng, reach);
		load_track_begin(&track, 1);
		for (uint32_t i = 0; i < a.count; i++) {
			uint64_t missed = rc_prng_below(&prng, 100);

			if (gaps && rc_prng_below(&prng, 100) < 3 && m.last + missed <= EVENTS) {
				load_track_told(&track, missed, &faults);
				model_told(&m, missed);
			}
			assert_int_equal(load_track_take(&track, a.sequence[i], &faults),
				model_take(&m, a.sequence[i]));
			assert_agree(&faults, &m);
		}
		assert_int_equal(track.last, m.last);
	}
}

static void drops_and_doubles_in_order_agree_with_the_model(void **state)
{
	(void)state;
	run(0, false);
}

static void disorder_within_the_window_agrees_with_the_model(void **state)
{
	(void)state;
	run(20, false);
}

static void disorder_beyond_the_window_agrees_with_the_model(void **state)
{
	(void)state;
	run(200, false);
}

static void told_gaps_agree_with_the_model(void **state)
{
	(void)state;
	run(100, true);
}

static void late_event_is_one_reordered_and_one_lost_less(void **state)
{
	struct load_track track;
	struct load_faults f = {0};

	(void)state;
	load_track_begin(&track, 1);
	assert_true(load_track_take(&track, 1, &f));
	assert_true(load_track_take(&track, 64, &f));
	assert_int_equal(f.lost, 62);
	assert_true(load_track_take(&track, 2, &f));
	assert_false(load_track_take(&track, 2, &f));
	assert_int_equal(f.lost, 61);
	assert_int_equal(f.reordered, 1);
	assert_int_equal(f.duplicated, 1);
}

static void very_old_event_is_a_duplicate_when_nothing_is_missing(void **state)
{
	struct load_track track;
	struct load_faults f = {0};

	(void)state;
	load_track_begin(&track, 1);
	for (uint64_t s = 1; s <= 1000; s++)
		assert_true(load_track_take(&track, s, &f));
	assert_false(load_track_take(&track, 7, &f));
	assert_int_equal(f.duplicated, 1);
	assert_int_equal(f.lost + f.reordered, 0);
}

static void very_late_event_stays_lost(void **state)
{
	struct load_track track;
	struct load_faults f = {0};

	(void)state;
	load_track_begin(&track, 1);
	for (uint64_t s = 1; s <= 1000; s++)
		if (s != 7)
			assert_true(load_track_take(&track, s, &f));
	assert_false(load_track_take(&track, 7, &f));
	assert_int_equal(f.lost, 1);
	assert_int_equal(f.reordered, 1);
	assert_int_equal(f.duplicated, 0);
}

static void zero_value_begins_with_what_arrives_first(void **state)
{
	struct load_track track = {0};
	struct load_faults f = {0};

	(void)state;
	load_track_told(&track, 5, &f);
	assert_true(load_track_take(&track, 500, &f));
	assert_true(load_track_take(&track, 501, &f));
	assert_int_equal(f.lost, 0);
	assert_false(load_track_take(&track, 499, &f));
	assert_int_equal(f.duplicated, 1);
}

static void beginning_at_one_misses_the_first_events(void **state)
{
	struct load_track track;
	struct load_faults f = {0};

	(void)state;
	load_track_begin(&track, 1);
	assert_true(load_track_take(&track, 4, &f));
	assert_int_equal(f.lost, 3);
}

static void told_events_are_not_lost(void **state)
{
	struct load_track track;
	struct load_faults f = {0};

	(void)state;
	load_track_begin(&track, 1);
	assert_true(load_track_take(&track, 1, &f));
	load_track_told(&track, 17, &f);
	assert_true(load_track_take(&track, 19, &f));
	assert_int_equal(f.lost, 0);
	load_track_told(&track, UINT64_MAX, &f); /* a server may say anything */
	assert_int_equal(track.last, ((uint64_t)1 << 48) - 1);
	assert_int_equal(f.lost, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drops_and_doubles_in_order_agree_with_the_model),
		cmocka_unit_test(disorder_within_the_window_agrees_with_the_model),
		cmocka_unit_test(disorder_beyond_the_window_agrees_with_the_model),
		cmocka_unit_test(told_gaps_agree_with_the_model),
		cmocka_unit_test(late_event_is_one_reordered_and_one_lost_less),
		cmocka_unit_test(very_old_event_is_a_duplicate_when_nothing_is_missing),
		cmocka_unit_test(very_late_event_stays_lost),
		cmocka_unit_test(zero_value_begins_with_what_arrives_first),
		cmocka_unit_test(beginning_at_one_misses_the_first_events),
		cmocka_unit_test(told_events_are_not_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
