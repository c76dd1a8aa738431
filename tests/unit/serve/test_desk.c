/* SPDX-License-Identifier: Apache-2.0
 *
 * The desk alone: who gets which command, what waits, what becomes of it when a backend ends, replies that are none; and random orders
 * of all that, with rings that are full now and then, against a model.
 */
#include "../unit.h"

#include <stdio.h>

#include "base/random.h"
#include "proto/ingest.h"
#include "serve/desk.h"

#define ARENA    ((size_t)4 << 20)
#define BACKENDS 6u
#define COMMANDS 48u
#define QUEUE    12u
#define CALLS    4096u

enum fate { UNBORN, OPEN, REPLIED, NO_BACKEND, TIMEOUT, BUSY, EXPIRED };

/* What the test knows of a command: one for each call. */
struct known {
	enum fate fate;
	uint32_t holder; /* slot of the backend that has it; RC_NONE: nobody */
	uint64_t id;
	uint64_t deadline;
	uint32_t given;
	bool idempotent, again;
};

static struct rig {
	struct rc_hash_key key;
	struct rc_buddy arena;
	struct rc_pool pool;
	struct rc_counters counters;
	struct rc_desk desk;
	void *memory, *state, *tables;
	struct known call[CALLS];
	uint32_t calls;
	uint32_t events[BACKENDS], lost[BACKENDS];
	uint32_t held[BACKENDS];
	bool full; /* the rings have no room */
	uint64_t now;
} rig;

static const struct rc_desk_limits limits = {BACKENDS, COMMANDS, QUEUE, 8};

static bool on_give(
	void *ctx, const struct rc_backend_who *to, uint64_t id, const struct rc_command *c)
{
	struct known *k = &rig.call[c->call.slot];

	assert_ptr_equal(ctx, &rig);
	if (rig.full)
		return false;
	rig.lost[to->slot] += c->lost;
	if (id == 0) {
		rig.events[to->slot] += c->type.len > 0;
		return true;
	}
	assert_int_equal(k->fate, OPEN);
	assert_int_equal(k->holder, RC_NONE);
	assert_true(c->again == (k->given > 0));
	assert_true(k->given == 0 || k->idempotent);
	assert_true(rc_str_eq(c->message, RC_STR("\"m\"")) && c->data.len > 0);
	k->given++;
	k->holder = to->slot;
	k->id = id;
	rig.held[to->slot]++;
	return true;
}

static bool on_answer(
	void *ctx, const struct rc_command_call *to, const struct rc_command_answer *a)
{
	static const enum fate fates[] = {REPLIED, NO_BACKEND, TIMEOUT, BUSY};
	struct known *k = &rig.call[to->slot];

	assert_ptr_equal(ctx, &rig);
	if (rig.full)
		return false;
	assert_int_equal(k->fate, OPEN);
	if (k->holder != RC_NONE)
		rig.held[k->holder]--;
	k->holder = RC_NONE;
	k->fate = fates[a->verdict];
	return true;
}

static int setup(void **state)
{
	const struct rc_desk_port port = {&rig, on_give, on_answer};
	struct rc_error err = {0};

	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.memory = aligned_alloc(4096, ARENA);
	rig.state = calloc(1, rc_buddy_state_bytes(ARENA));
	rig.tables = aligned_alloc(64, rc_align_up(rc_desk_bytes(&limits), 64));
	memset(rig.tables, 0, rc_desk_bytes(&limits));
	rc_buddy_init(&rig.arena, rig.memory, ARENA, rig.state);
	rc_pool_init(&rig.pool, &rig.arena);
	assert_int_equal(rc_counters_create(&rig.counters, NULL, 1, &err), 0);
	rc_desk_init(&rig.desk, &limits, &port, &rig.key, &rig.pool,
		rc_counters_shard(&rig.counters, 0), rig.tables);
	rig.now = 1;
	return 0;
}

static struct rc_backend_who who(uint32_t slot)
{
	return (struct rc_backend_who){0, slot, 7};
}

struct entry {
	const char *type;
	uint8_t mode, flags;
	const char *field;
};

static bool enlist(uint32_t slot, uint32_t credit, const struct entry *entries, uint32_t count)
{
	struct rc_ingest_entry made[16];
	struct rc_ingest_register m;
	struct rc_backend_who w = who(slot);
	unsigned char frame[4096];
	bool taken;

	for (uint32_t i = 0; i < count; i++)
		made[i] = (struct rc_ingest_entry){rc_str_of(entries[i].type), entries[i].mode,
			entries[i].flags, rc_str_of(entries[i].field ? entries[i].field : "")};
	size_t len = rc_ingest_register_encode(frame, sizeof(frame), credit, made, (uint16_t)count);
	assert_true(len > 0);
	assert_int_equal(
		rc_ingest_register_parse((struct rc_str){(char *)frame + 8, len - 8}, &m), 0);
	taken = rc_desk_register(&rig.desk, &w, &credit, m.list);
	rc_desk_registered(&rig.desk);
	rc_desk_check(&rig.desk);
	return taken;
}

static void leave(uint32_t slot)
{
	struct rc_backend_who w = who(slot);

	/* What it has, it has no more; the desk is to say what becomes of it. */
	for (uint32_t i = 0; i < rig.calls; i++) {
		if (rig.call[i].fate == OPEN && rig.call[i].holder == slot)
			rig.call[i].holder = RC_NONE;
	}
	rig.held[slot] = 0;
	rc_desk_leave(&rig.desk, &w);
	rc_desk_check(&rig.desk);
}

static uint32_t command_of(const char *type, uint64_t key, const char *data, bool idempotent)
{
	uint32_t at = rig.calls++;
	struct rc_command c = {
		.call = {0, at, 1},
		.deadline_ns = rig.now + 100,
		.key = key,
		.session = RC_STR("c1234567890123456"),
		.type = rc_str_of(type),
		.message = RC_STR("\"m\""),
		.data = rc_str_of(data),
		.idempotent = idempotent,
	};

	assert_true(at < CALLS);
	rig.call[at] = (struct known){OPEN, RC_NONE, 0, rig.now + 100, 0, idempotent, false};
	if (!rc_desk_command(&rig.desk, &c))
		rig.call[at].fate = UNBORN;
	rc_desk_check(&rig.desk);
	return at;
}

static enum rc_desk_reply answer(uint32_t slot, uint64_t id)
{
	struct rc_backend_who w = who(slot);
	const struct rc_command_answer a = {.verdict = RC_COMMAND_REPLIED, .json = true};
	enum rc_desk_reply said = rc_desk_reply(&rig.desk, &w, id, &a);

	rc_desk_check(&rig.desk);
	return said;
}

static void turn(uint64_t now)
{
	rig.now = now;
	/* The client's shard knows by itself when it is over. */
	for (uint32_t i = 0; i < rig.calls; i++) {
		struct known *k = &rig.call[i];
		if (k->fate == OPEN && k->deadline <= now) {
			k->fate = EXPIRED;
			if (k->holder != RC_NONE)
				rig.held[k->holder]--;
			k->holder = RC_NONE;
		}
	}
	rc_desk_turn(&rig.desk, now);
	rc_desk_check(&rig.desk);
}

static int teardown(void **state)
{
	(void)state;
	rig.full = false;
	for (uint32_t i = 0; i < BACKENDS; i++)
		leave(i);
	turn(rig.now + 1);
	turn(rig.now + 1000);
	assert_int_equal(rig.desk.entries.used, 0);
	assert_int_equal(rig.desk.roster.types.used, 0);
	assert_int_equal(rig.pool.used_bytes, 0);
	rc_counters_destroy(&rig.counters);
	free(rig.memory);
	free(rig.state);
	free(rig.tables);
	return 0;
}

static const struct entry chat[] = {{"chat", RINGCAST_MODE_ROUND_ROBIN, 0, NULL}};
static const struct entry safe[] = {{"chat", RINGCAST_MODE_ROUND_ROBIN, 1, NULL}};

static void round_robin_goes_to_each_in_turn_and_past_those_without_credit(void **state)
{
	uint32_t first[6];

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		assert_true(enlist(i, i == 1 ? 1 : 4, chat, 1));
	for (uint32_t i = 0; i < 6; i++)
		first[i] = rig.call[command_of("chat", i, "{}", false)].holder;
	assert_int_equal(first[0], 0);
	assert_int_equal(first[1], 1);
	assert_int_equal(first[2], 2);
	assert_int_equal(first[3], 0);
	assert_int_equal(first[4], 2);
	assert_int_equal(first[5], 0);
}

static void what_nobody_else_takes_goes_to_the_star(void **state)
{
	static const struct entry star[] = {{"*", 0, 0, NULL}};

	(void)state;
	assert_int_equal(rig.call[command_of("chat", 1, "1", false)].fate, NO_BACKEND);
	enlist(0, 4, star, 1);
	assert_int_equal(rig.call[command_of("chat", 1, "1", false)].holder, 0);
	enlist(1, 4, chat, 1);
	assert_int_equal(rig.call[command_of("chat", 1, "1", false)].holder, 1);
	enlist(1, 4, NULL, 0);
	assert_int_equal(rig.call[command_of("chat", 1, "1", false)].holder, 0);
}

static void those_that_wait_are_served_in_their_order(void **state)
{
	uint32_t at[4];

	(void)state;
	enlist(0, 1, chat, 1);
	for (uint32_t i = 0; i < 4; i++)
		at[i] = command_of("chat", 1, "1", false);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(rig.call[at[i]].holder, 0);
		assert_int_equal(answer(0, rig.call[at[i]].id), RC_DESK_TAKEN);
		assert_int_equal(rig.call[at[i]].fate, REPLIED);
	}
}

static void beyond_the_queue_it_is_busy(void **state)
{
	(void)state;
	enlist(0, 0, chat, 1);
	for (uint32_t i = 0; i < QUEUE; i++)
		assert_int_equal(rig.call[command_of("chat", 1, "1", false)].fate, OPEN);
	assert_int_equal(rig.call[command_of("chat", 1, "1", false)].fate, BUSY);
	struct rc_backend_who w = who(0);
	rc_desk_flow(&rig.desk, &w, 2);
	assert_int_equal(rig.held[0], 2);
	assert_int_equal(rig.call[command_of("chat", 1, "1", false)].fate, OPEN);
}

static void one_that_ends_hands_over_what_may_be_done_twice(void **state)
{
	(void)state;
	enlist(0, 4, chat, 1);
	uint32_t risky = command_of("chat", 1, "1", false),
		 sound = command_of("chat", 1, "1", true);
	enlist(1, 4, safe, 1);
	leave(0);
	assert_int_equal(rig.call[risky].fate, TIMEOUT);
	assert_int_equal(rig.call[sound].fate, OPEN);
	assert_int_equal(rig.call[sound].holder, 1);
	assert_int_equal(rig.call[sound].given, 2);
	/* By what the second one says of the type it may go on, too. */
	uint32_t other = command_of("chat", 1, "1", false);
	rig.call[other].idempotent = true;
	leave(1);
	assert_int_equal(rig.call[sound].fate, NO_BACKEND);
	assert_int_equal(rig.call[other].fate, NO_BACKEND);
}

/* Those that were handed over may wait beyond the queue; a backend that registers anew sends none of them away, and keeps their order. */
static void whoever_waits_goes_on_waiting_when_its_backend_registers_anew(void **state)
{
	static const struct entry sticky[] = {{"chat", RINGCAST_MODE_USER, 0, NULL}};
	uint32_t at[8 + QUEUE];

	(void)state;
	enlist(0, 8, safe, 1);
	enlist(1, 0, safe, 1);
	for (uint32_t i = 0; i < RC_ARRAY_LEN(at); i++)
		at[i] = command_of("chat", i, "1", true);
	assert_int_equal(rig.held[0], 8);
	leave(0);
	assert_int_equal(rig.desk.waiting, RC_ARRAY_LEN(at));
	enlist(1, 0, safe, 1);
	assert_int_equal(rig.desk.waiting, RC_ARRAY_LEN(at));
	/* Among those of another type they are, too, and those of a backend alone. */
	enlist(1, 0, sticky, 1);
	enlist(1, 0, sticky, 1);
	enlist(2, 0, safe, 1);
	leave(1);
	assert_int_equal(rig.desk.waiting, RC_ARRAY_LEN(at));
	/* Only who comes now is. */
	assert_int_equal(rig.call[command_of("chat", 1, "1", false)].fate, BUSY);
	enlist(2, 1, safe, 1);
	for (uint32_t i = 0; i < RC_ARRAY_LEN(at); i++) {
		assert_int_equal(rig.call[at[i]].holder, 2);
		assert_int_equal(answer(2, rig.call[at[i]].id), RC_DESK_TAKEN);
	}
}

static void replies_that_are_none(void **state)
{
	(void)state;
	enlist(0, 4, chat, 1);
	enlist(1, 4, NULL, 0);
	uint32_t at = command_of("chat", 1, "1", false);
	uint64_t id = rig.call[at].id;
	assert_int_equal(answer(1, id), RC_DESK_UNKNOWN);
	assert_int_equal(answer(2, id), RC_DESK_UNKNOWN);
	assert_int_equal(answer(0, 0), RC_DESK_UNKNOWN);
	assert_int_equal(answer(0, id + 1), RC_DESK_UNKNOWN);
	assert_int_equal(answer(0, UINT64_MAX), RC_DESK_UNKNOWN);
	rig.full = true;
	assert_int_equal(answer(0, id), RC_DESK_FULL);
	rig.full = false;
	assert_int_equal(answer(0, id), RC_DESK_TAKEN);
	assert_int_equal(answer(0, id), RC_DESK_UNKNOWN);
	/* The entry is free, and its next life is foreseen. */
	for (uint64_t n = 1; n < 4; n++)
		assert_int_equal(answer(0, id + (n << 32)), RC_DESK_UNKNOWN);
	at = command_of("chat", 1, "1", false);
	id = rig.call[at].id;
	turn(rig.now + 100);
	assert_int_equal(answer(0, id), RC_DESK_UNKNOWN);
	assert_int_equal(rig.held[0], 0);
}

static void few_users_move_when_one_comes_or_goes(void **state)
{
	static const struct entry mine[] = {{"u", RINGCAST_MODE_USER, 0, NULL}};
	uint32_t before[200], moved = 0, count[4] = {0};

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		enlist(i, 8, mine, 1);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t at = command_of("u", (uint64_t)i * 7919, "1", false);
		before[i] = rig.call[at].holder;
		count[before[i]]++;
		assert_int_equal(answer(before[i], rig.call[at].id), RC_DESK_TAKEN);
	}
	for (uint32_t i = 0; i < 4; i++)
		assert_in_range(count[i], 25, 80);
	leave(2);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t at = command_of("u", (uint64_t)i * 7919, "1", false);
		uint32_t holder = rig.call[at].holder;
		assert_true(before[i] == 2 ? holder != 2 : holder == before[i]);
		assert_int_equal(answer(holder, rig.call[at].id), RC_DESK_TAKEN);
	}
	enlist(5, 8, mine, 1);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t at = command_of("u", (uint64_t)i * 7919, "1", false);
		uint32_t holder = rig.call[at].holder;
		moved += holder != before[i] && before[i] != 2;
		assert_true(before[i] == 2 || holder == before[i] || holder == 5);
		assert_int_equal(answer(holder, rig.call[at].id), RC_DESK_TAKEN);
	}
	assert_in_range(moved, 10, 90);
}

static void a_sticky_one_waits_for_its_own(void **state)
{
	static const struct entry mine[] = {{"u", RINGCAST_MODE_FIELD, 0, "room"}};

	(void)state;
	enlist(0, 1, mine, 1);
	enlist(1, 1, mine, 1);
	uint32_t first = command_of("u", 1, "{\"x\":{\"room\":2},\"room\":\"a\"}", false);
	uint32_t second = command_of("u", 2, "{ \"\\u0072oom\" : \"a\" }", false);
	assert_int_equal(rig.call[second].holder, RC_NONE);
	assert_int_equal(rig.call[second].fate, OPEN);
	uint32_t holder = rig.call[first].holder;
	assert_int_equal(answer(holder, rig.call[first].id), RC_DESK_TAKEN);
	assert_int_equal(rig.call[second].holder, holder);
	/* And goes to another when that one ends. */
	uint32_t third = command_of("u", 3, "{\"room\":\"a\"}", false);
	leave(holder);
	assert_int_equal(rig.call[second].fate, TIMEOUT);
	assert_int_equal(rig.call[third].holder, 1 - holder);
}

static void events_need_no_credit_and_are_counted_where_they_are_lost(void **state)
{
	static const struct entry hears[] = {{"$connect", 0, 0, NULL}};
	struct rc_command c = {.type = RC_STR("$connect"), .data = RC_STR("{}")};

	(void)state;
	assert_int_equal(rig.desk.events, 0);
	rc_desk_event(&rig.desk, &c);
	enlist(0, 0, hears, 1);
	assert_int_equal(rig.desk.events, 1);
	rc_desk_event(&rig.desk, &c);
	assert_int_equal(rig.events[0], 1);
	rig.full = true;
	rc_desk_event(&rig.desk, &c);
	rc_desk_event(&rig.desk, &c);
	rig.full = false;
	turn(rig.now + 1);
	assert_int_equal(rig.lost[0], 2);
	c.lost = 3;
	rc_desk_event(&rig.desk, &c);
	assert_int_equal(rig.lost[0], 5);
	assert_int_equal(rig.events[0], 2);
}

static void tables_that_are_full(void **state)
{
	static const struct entry one[] = {{"a", 0, 0, NULL}};
	struct entry many[16];
	char names[16][8];
	uint32_t held = 0;

	(void)state;
	for (uint32_t i = 0; i < BACKENDS; i++)
		assert_true(enlist(i, 8, one, 1));
	assert_false(enlist(BACKENDS + 1, 8, one, 1));
	for (uint32_t i = 0; i < COMMANDS; i++)
		held += rig.call[command_of("a", i, "1", false)].holder != RC_NONE;
	assert_int_equal(held, COMMANDS);
	assert_int_equal(rig.call[command_of("a", 1, "1", false)].fate, BUSY);
	for (uint32_t n = 0; n < 16; n++) {
		(void)snprintf(names[n], sizeof(names[n]), "t%u", n);
		many[n] = (struct entry){names[n], 0, 0, NULL};
	}
	assert_true(enlist(0, 8, many, 16));
	assert_int_equal(rig.desk.roster.types.used, 17);
}

/* ---- random orders ------------------------------------------------------------------------------- */

static const char *const types[] = {"a", "b", "c", "*", "d"};

static void random_register(struct rc_prng *r)
{
	struct entry entries[4];
	uint32_t count = rc_prng_below(r, 5);

	for (uint32_t i = 0; i < count; i++) {
		uint8_t mode = (uint8_t)rc_prng_below(r, 3);
		entries[i] = (struct entry){types[rc_prng_below(r, 4)], mode, 0,
			mode == RINGCAST_MODE_FIELD ? "f" : NULL};
	}
	(void)enlist(rc_prng_below(r, BACKENDS), rc_prng_below(r, 6), entries, count);
}

static void random_reply(struct rc_prng *r)
{
	uint32_t at = rig.calls ? rc_prng_below(r, rig.calls) : 0;
	struct known *k = &rig.call[at];
	uint32_t slot = rc_prng_below(r, 8) ? k->holder : rc_prng_below(r, BACKENDS);
	bool due = k->fate == OPEN && k->holder == slot && slot != RC_NONE;

	if (!rig.calls || slot == RC_NONE)
		return;
	enum rc_desk_reply said = answer(slot, k->id);
	assert_int_equal(said, !due ? RC_DESK_UNKNOWN : rig.full ? RC_DESK_FULL : RC_DESK_TAKEN);
}

static void step(struct rc_prng *r)
{
	static const char *const texts[] = {"{\"f\":1}", "{\"f\":\"x\"}", "7", "{}"};

	switch (rc_prng_below(r, 16)) {
	case 0:
		random_register(r);
		break;
	case 1:
		leave(rc_prng_below(r, BACKENDS));
		break;
	case 2: {
		struct rc_backend_who w = who(rc_prng_below(r, BACKENDS));
		rc_desk_flow(&rig.desk, &w, rc_prng_below(r, 6));
		break;
	}
	case 3:
		rig.full = rc_prng_below(r, 3) == 0;
		break;
	case 4:
	case 5:
		turn(rig.now + rc_prng_below(r, 30));
		break;
	case 6:
	case 7:
	case 8:
	case 9:
	case 10:
		random_reply(r);
		break;
	default:
		(void)command_of(types[rc_prng_below(r, 5)], rc_prng_below(r, 6),
			texts[rc_prng_below(r, 4)], rc_prng_below(r, 2));
	}
	rc_desk_check(&rig.desk);
	for (uint32_t i = 0; i < rig.desk.roster.mark; i++) {
		const struct rc_roster_backend *b = &rig.desk.roster.backend[i];
		if (b->uid)
			assert_int_equal(b->outstanding, rig.held[b->who.slot]);
	}
}

/* At the end each command has had exactly one fate, and none is left where somebody could have it. */
static void random_orders_leave_no_command_behind(void **state)
{
	static const struct entry all[] = {{"*", 0, 0, NULL}};
	const char *given = getenv("RINGCAST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : 1;
	struct rc_prng r;

	for (; seed <= (given ? strtoull(given, NULL, 10) : 40); seed++) {
		rc_prng_seed(&r, seed);
		for (uint32_t n = 0; n < 1500; n++)
			step(&r);
		rig.full = false;
		turn(rig.now + 1);
		turn(rig.now + 1);
		/* Room and credit: what waits is given. */
		for (uint32_t i = 0; i < BACKENDS; i++)
			leave(i);
		enlist(0, 8, all, 1);
		turn(rig.now + 1);
		for (uint32_t i = 0; i < rig.calls; i++) {
			if (rig.call[i].fate == OPEN)
				assert_int_not_equal(rig.call[i].holder, RC_NONE);
		}
		(void)teardown(state);
		(void)setup(state);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(round_robin_goes_to_each_in_turn_and_past_those_without_credit),
		TEST(what_nobody_else_takes_goes_to_the_star),
		TEST(those_that_wait_are_served_in_their_order),
		TEST(beyond_the_queue_it_is_busy),
		TEST(one_that_ends_hands_over_what_may_be_done_twice),
		TEST(whoever_waits_goes_on_waiting_when_its_backend_registers_anew),
		TEST(replies_that_are_none),
		TEST(few_users_move_when_one_comes_or_goes),
		TEST(a_sticky_one_waits_for_its_own),
		TEST(events_need_no_credit_and_are_counted_where_they_are_lost),
		TEST(tables_that_are_full),
		TEST(random_orders_leave_no_command_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
