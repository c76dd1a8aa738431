/* SPDX-License-Identifier: Apache-2.0
 *
 * The home of publisher ids: who is granted, who is evicted, what comes back, in hand-made orders and in random ones
 * against a model. At no time do two hold an id, and no sequence ever goes back.
 */
#include "../unit.h"

#include <stdio.h>

#include "base/random.h"
#include "hub/home.h"

static const struct rc_hash_key key = {3, 4};

struct answer {
	struct rc_holder to;
	bool evict;
	bool taken;
	uint64_t sequence;
};

static struct rc_home home;
static void *memory;
static bool room;
static struct answer answers[16];
static uint32_t answer_count;
static uint32_t room_a, room_b; /* what was asked for */

static bool can_answer(void *ctx, uint32_t a, uint32_t b)
{
	(void)ctx;
	room_a = a;
	room_b = b;
	return room;
}

/* Nothing is said to a shard that room was not asked for. */
static void assert_asked(const struct rc_holder *to)
{
	assert_true(to->shard != RC_NONE);
	assert_true(to->shard == room_a || to->shard == room_b);
	assert_true(room);
}

static void grant(void *ctx, const struct rc_holder *to, bool taken, uint64_t sequence)
{
	(void)ctx;
	assert_asked(to);
	assert_true(answer_count < RC_ARRAY_LEN(answers));
	answers[answer_count++] = (struct answer){*to, false, taken, sequence};
}

static void evict(void *ctx, const struct rc_holder *who)
{
	(void)ctx;
	assert_asked(who);
	assert_true(answer_count < RC_ARRAY_LEN(answers));
	answers[answer_count++] = (struct answer){*who, true, false, 0};
}

static void open_home(uint32_t ids_max)
{
	static const struct rc_home_port port = {NULL, can_answer, grant, evict};

	memory = aligned_alloc(64, rc_align_up(rc_home_bytes(ids_max), 64));
	assert_non_null(memory);
	memset(memory, 0, rc_home_bytes(ids_max));
	rc_home_init(&home, &key, &port, ids_max, 60000, memory);
	room = true;
	answer_count = 0;
}

static void close_home(void)
{
	rc_slab_init(&home.entries, memory, sizeof(struct rc_home_entry), home.entries.count_max);
	free(memory);
}

static int setup(void **state)
{
	(void)state;
	open_home(8);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_home();
	return 0;
}

static struct rc_holder at(uint32_t shard, uint32_t slot)
{
	return (struct rc_holder){shard, slot, slot * 7 + 1};
}

static bool claim(const char *id, struct rc_holder who)
{
	return rc_home_claim(&home, rc_str_of(id), &who);
}

static bool give_back(const char *id, struct rc_holder who, uint64_t sequence, uint32_t now_s)
{
	return rc_home_return(&home, rc_str_of(id), &who, sequence, now_s);
}

static void assert_answer(
	uint32_t i, struct rc_holder to, bool evicted, bool taken, uint64_t sequence)
{
	assert_true(i < answer_count);
	assert_int_equal(answers[i].to.shard, to.shard);
	assert_int_equal(answers[i].to.slot, to.slot);
	assert_int_equal(answers[i].to.generation, to.generation);
	assert_int_equal(answers[i].evict, evicted);
	assert_int_equal(answers[i].taken, taken);
	assert_int_equal(answers[i].sequence, sequence);
}

static void a_free_id_is_granted_at_once_and_remembers_its_sequence(void **state)
{
	(void)state;
	assert_true(claim("p", at(0, 1)));
	assert_answer(0, at(0, 1), false, true, 0);
	assert_true(give_back("p", at(0, 1), 41, 5));
	assert_int_equal(answer_count, 1);
	assert_true(claim("p", at(2, 1)));
	assert_answer(1, at(2, 1), false, true, 41);
	/* A lower number does not take it back. */
	assert_true(give_back("p", at(2, 1), 7, 6));
	assert_true(claim("p", at(2, 2)));
	assert_answer(2, at(2, 2), false, true, 41);
}

static void a_held_id_is_granted_when_the_holder_has_returned_it(void **state)
{
	(void)state;
	assert_true(claim("p", at(0, 1)));
	assert_true(claim("p", at(1, 2)));
	assert_int_equal(answer_count, 2);
	assert_answer(1, at(0, 1), true, false, 0);
	assert_true(give_back("p", at(0, 1), 100, 5));
	assert_answer(2, at(1, 2), false, true, 100);
	assert_int_equal(answer_count, 3);
	assert_true(give_back("p", at(1, 2), 130, 5));
	assert_int_equal(answer_count, 3);
}

static void the_last_claimant_waits_and_the_one_before_is_refused(void **state)
{
	(void)state;
	assert_true(claim("p", at(0, 1)));
	assert_true(claim("p", at(1, 2)));
	assert_true(claim("p", at(2, 3)));
	assert_answer(2, at(1, 2), false, false, 0);
	assert_answer(3, at(0, 1), true, false, 0);
	/* The refused one's return changes nothing. */
	assert_true(give_back("p", at(1, 2), 999, 5));
	assert_int_equal(answer_count, 4);
	assert_true(give_back("p", at(0, 1), 10, 5));
	assert_answer(4, at(2, 3), false, true, 10);
}

static void one_who_waits_may_give_up(void **state)
{
	(void)state;
	assert_true(claim("p", at(0, 1)));
	assert_true(claim("p", at(1, 2)));
	assert_true(give_back("p", at(1, 2), 0, 5));
	assert_true(give_back("p", at(0, 1), 10, 5));
	assert_int_equal(answer_count, 2);
	assert_true(claim("p", at(1, 3)));
	assert_answer(2, at(1, 3), false, true, 10);
}

static void a_return_by_a_stranger_changes_nothing(void **state)
{
	struct rc_holder stale = at(0, 1);

	(void)state;
	assert_true(give_back("nobody", at(0, 1), 5, 5));
	assert_true(claim("p", at(0, 1)));
	stale.generation++;
	assert_true(give_back("p", stale, 1000, 5));
	assert_true(claim("p", at(1, 1)));
	assert_answer(1, at(0, 1), true, false, 0);
	assert_true(give_back("p", at(0, 1), 3, 5));
	assert_answer(2, at(1, 1), false, true, 3);
	/* A second return of what was returned already. */
	assert_true(give_back("p", at(0, 1), 2000, 5));
	assert_true(give_back("p", at(1, 1), 4, 5));
	assert_true(claim("p", at(1, 1)));
	assert_answer(3, at(1, 1), false, true, 4);
}

static void without_room_for_answers_nothing_is_done(void **state)
{
	(void)state;
	room = false;
	assert_false(claim("p", at(0, 1)));
	assert_int_equal(home.entries.used, 0);
	room = true;
	assert_true(claim("p", at(0, 1)));
	room = false;
	assert_false(claim("p", at(1, 2)));
	room = true;
	/* He does not wait: he was told to come again. */
	assert_true(give_back("p", at(0, 1), 4, 5));
	assert_int_equal(answer_count, 1);
	assert_true(claim("p", at(0, 3)));
	assert_true(claim("p", at(1, 2)));
	room = false;
	assert_false(give_back("p", at(0, 3), 9, 5));
	assert_int_equal(answer_count, 3);
	room = true;
	assert_true(give_back("p", at(0, 3), 9, 5));
	assert_answer(3, at(1, 2), false, true, 9);
	/* For a return that answers nobody no room is needed for anybody. */
	assert_true(give_back("p", at(1, 2), 9, 5));
	assert_int_equal(room_a, RC_NONE);
	assert_int_equal(room_b, RC_NONE);
}

static void a_full_table_forgets_the_id_that_rested_longest(void **state)
{
	char id[16];

	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		(void)snprintf(id, sizeof(id), "p%u", i);
		assert_true(claim(id, at(0, i)));
		answer_count = 0;
	}
	/* All are held: nobody is forgotten, the ninth is refused. */
	assert_true(claim("p8", at(1, 8)));
	assert_answer(0, at(1, 8), false, false, 0);
	assert_true(give_back("p3", at(0, 3), 33, 10));
	assert_true(give_back("p1", at(0, 1), 11, 11));
	answer_count = 0;
	assert_true(claim("p8", at(1, 8)));
	assert_answer(0, at(1, 8), false, true, 0);
	assert_true(claim("p1", at(0, 1)));
	assert_answer(1, at(0, 1), false, true, 11);
	assert_true(give_back("p1", at(0, 1), 12, 12));
	assert_true(claim("p3", at(0, 3)));
	assert_answer(2, at(0, 3), false, true, 0);
	assert_int_equal(home.entries.used, 8);
}

static void a_sweep_forgets_what_rested_for_its_time(void **state)
{
	(void)state;
	assert_true(claim("a", at(0, 1)));
	assert_true(claim("b", at(0, 2)));
	assert_true(claim("c", at(0, 3)));
	assert_true(give_back("a", at(0, 1), 1, 100));
	assert_true(give_back("b", at(0, 2), 2, 130));
	rc_home_sweep(&home, 159, 100);
	assert_int_equal(home.entries.used, 3);
	rc_home_sweep(&home, 160, 100);
	assert_int_equal(home.entries.used, 2);
	assert_true(claim("a", at(0, 1)));
	assert_answer(3, at(0, 1), false, true, 0);
	assert_true(give_back("a", at(0, 1), 1, 165));
	/* At most as many as the budget says. */
	rc_home_sweep(&home, 1000, 1);
	assert_int_equal(home.entries.used, 2);
	rc_home_sweep(&home, 1000, 10);
	assert_int_equal(home.entries.used, 1);
	assert_int_equal(home.table.count, 1);
	/* One that is held never rests. */
	assert_true(give_back("c", at(0, 3), 3, 1000));
	assert_true(claim("c", at(0, 4)));
	rc_home_sweep(&home, 5000, 10);
	assert_int_equal(home.entries.used, 1);
}

static void an_id_may_be_64_bytes_of_anything(void **state)
{
	char id[RC_PUBLISHER_ID_MAX];
	struct rc_holder who = at(0, 1);

	(void)state;
	memset(id, 0, sizeof(id));
	struct rc_str one = {id, 1}, two = {id, 2}, all = {id, sizeof(id)};
	assert_true(rc_home_claim(&home, one, &who));
	who.slot++;
	assert_true(rc_home_claim(&home, two, &who));
	who.slot++;
	assert_true(rc_home_claim(&home, all, &who));
	assert_int_equal(home.entries.used, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(answers[i].taken);
}

/* ---- all orders --------------------------------------------------------------------------------- */

enum { PEERS = 12, IDS = 4 };

struct peer {
	struct rc_holder place;
	uint32_t id;
	enum { IDLE, WAITING, HOLDING, EVICTED, REFUSED } state;
	uint64_t sequence; /* how far it got while it held */
};

static struct peer peers[PEERS];
static uint64_t reached[IDS]; /* what the last holder returned */
static uint32_t holders[IDS];

static struct peer *peer_of(const struct rc_holder *h)
{
	for (uint32_t i = 0; i < PEERS; i++) {
		const struct rc_holder *p = &peers[i].place;
		if (p->shard == h->shard && p->slot == h->slot && p->generation == h->generation)
			return &peers[i];
	}
	return NULL;
}

/* What the home said reaches the peers later, each shard's in order: that is in one queue here. */
static void deliver(void)
{
	for (uint32_t i = 0; i < answer_count; i++) {
		const struct answer *a = &answers[i];
		struct peer *p = peer_of(&a->to);
		/* The peer may be another one by now. */
		if (!p || p->state == IDLE)
			continue;
		if (a->evict) {
			if (p->state == HOLDING)
				p->state = EVICTED;
		} else if (!a->taken) {
			assert_int_equal(p->state, WAITING);
			p->state = REFUSED;
		} else {
			assert_int_equal(p->state, WAITING);
			p->state = HOLDING;
			p->sequence = a->sequence;
			/* Nobody else holds it, and all that was reached is known. */
			assert_int_equal(++holders[p->id], 1);
			assert_true(a->sequence == reached[p->id]);
		}
	}
	answer_count = 0;
}

static void at_most_one_holds_an_id_in_whatever_order(void **state)
{
	static const char *const ids[IDS] = {"a", "b", "c", "d"};

	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++) {
		struct rc_prng prng;
		uint32_t generation = 0;
		rc_prng_seed(&prng, seed);
		close_home();
		open_home(IDS);
		memset(peers, 0, sizeof(peers));
		memset(reached, 0, sizeof(reached));
		memset(holders, 0, sizeof(holders));
		for (int step = 0; step < 3000; step++) {
			struct peer *p = &peers[rc_prng_below(&prng, PEERS)];
			room = rc_prng_below(&prng, 5) != 0;
			if (p->state == IDLE) {
				p->place = (struct rc_holder){rc_prng_below(&prng, 3),
					(uint32_t)(p - peers), ++generation};
				p->id = rc_prng_below(&prng, IDS);
				p->state = WAITING;
				if (!claim(ids[p->id], p->place)) {
					assert_false(room);
					p->state = IDLE;
				}
			} else if (p->state == HOLDING && rc_prng_below(&prng, 2)) {
				p->sequence += rc_prng_below(&prng, 10);
			} else if (p->state != WAITING || rc_prng_below(&prng, 4) == 0) {
				/* It ends; a grant or an eviction may be under way to it. */
				uint64_t sequence = p->state == HOLDING || p->state == EVICTED
							    ? p->sequence
							    : 0;
				if (give_back(ids[p->id], p->place, sequence, 0)) {
					if (p->state == HOLDING || p->state == EVICTED) {
						holders[p->id]--;
						reached[p->id] =
							RC_MAX(reached[p->id], p->sequence);
					}
					p->state = IDLE;
				} else {
					assert_false(room);
				}
			}
			if (answer_count > 8 || rc_prng_below(&prng, 3) == 0)
				deliver();
			assert_int_equal(home.table.count, home.entries.used);
		}
		room = true;
		deliver();
		/* Everybody ends: holders first or last, nobody is left waiting for ever. */
		for (bool again = true; again;) {
			again = false;
			for (uint32_t i = 0; i < PEERS; i++) {
				struct peer *p = &peers[i];
				if (p->state == IDLE || (p->state == WAITING && seed % 2))
					continue;
				again = true;
				assert_true(give_back(ids[p->id], p->place, p->sequence, 0));
				if (p->state == HOLDING || p->state == EVICTED) {
					holders[p->id]--;
					reached[p->id] = RC_MAX(reached[p->id], p->sequence);
				}
				p->state = IDLE;
				deliver();
			}
		}
		for (uint32_t i = 0; i < PEERS; i++)
			assert_int_equal(peers[i].state, IDLE);
		uint32_t resting = 0;
		for (uint32_t i = home.idle_first; i != RC_NONE; resting++)
			i = ((struct rc_home_entry *)rc_slab_at(&home.entries, i))->next;
		assert_int_equal(resting, home.entries.used);
		rc_home_sweep(&home, 60, 100);
		assert_int_equal(home.entries.used, 0);
		assert_int_equal(home.table.count, 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_free_id_is_granted_at_once_and_remembers_its_sequence),
		TEST(a_held_id_is_granted_when_the_holder_has_returned_it),
		TEST(the_last_claimant_waits_and_the_one_before_is_refused),
		TEST(one_who_waits_may_give_up),
		TEST(a_return_by_a_stranger_changes_nothing),
		TEST(without_room_for_answers_nothing_is_done),
		TEST(a_full_table_forgets_the_id_that_rested_longest),
		TEST(a_sweep_forgets_what_rested_for_its_time),
		TEST(an_id_may_be_64_bytes_of_anything),
		TEST(at_most_one_holds_an_id_in_whatever_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
