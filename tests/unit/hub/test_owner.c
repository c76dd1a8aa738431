/* SPDX-License-Identifier: Apache-2.0
 *
 * The owner of channels: offsets and epochs, who is told what, what happens without room, and which channels are forgotten.
 */
#include "hubs.h"

#include "ringcast/wire.h"

static struct hubs h;

static const struct rc_hub_limits limits = {
	.owned_max = 4, .replicas_max = 16, .subs_max = 64, .patterns_max = 8, .frame_max = 65536};

static int setup(void **state)
{
	(void)state;
	hubs_open(&h, 1, &limits, (size_t)1 << 20, 1);
	return 0;
}

static int setup_three(void **state)
{
	(void)state;
	hubs_open(&h, 3, &limits, (size_t)1 << 20, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hubs_check(&h);
	hubs_close(&h);
	return 0;
}

static bool publish_text(
	uint32_t shard, const char *channel, const char *data, struct rc_outcome *out)
{
	const struct rc_publish p = {
		.from = {.shard = 7, .slot = 8, .generation = 9, .entry = 10, .sequence = 11},
		.channel = rc_str_of(channel),
		.event = RC_STR("e"),
		.data = rc_str_of(data),
		.timestamp_ms = 1768472100000,
		.taken_ns = 5,
		.json = true,
	};

	return rc_owner_publish(&h.shard[shard].hub, &p, out);
}

static struct rc_outcome publish(uint32_t shard, const char *channel)
{
	struct rc_outcome out;

	assert_true(publish_text(shard, channel, "{\"k\":1}", &out));
	assert_int_equal(out.to.shard, 7);
	assert_int_equal(out.to.slot, 8);
	assert_int_equal(out.to.generation, 9);
	assert_int_equal(out.to.entry, 10);
	assert_int_equal(out.to.sequence, 11);
	hubs_check(&h);
	return out;
}

static bool interest(uint32_t owner, uint32_t shard, const char *name, uint32_t token, bool on)
{
	const struct rc_interest ask = {.name = rc_str_of(name),
		.shard = shard,
		.replica = token,
		.token = token,
		.on = on};
	bool done = rc_owner_interest(&h.shard[owner].hub, &ask);

	hubs_check(&h);
	return done;
}

/* What the owner told the other shard last, taken out of the queue. */
static struct hubs_record taken(uint32_t from, uint32_t to)
{
	struct hubs_queue *q = &h.tells[from][to];

	assert_non_null(q->first);
	struct hubs_record copy = *q->first;
	hubs_drop_first(q);
	return copy;
}

static void offsets_count_from_one_and_the_epoch_stays(void **state)
{
	(void)state;
	struct rc_outcome a = publish(0, "a");
	assert_int_equal(a.nack, 0);
	assert_int_equal(a.offset, 1);
	assert_true(a.epoch >> RC_EPOCH_BITS == 0);
	for (uint64_t i = 2; i < 10; i++) {
		struct rc_outcome next = publish(0, "a");
		assert_int_equal(next.offset, i);
		assert_true(next.epoch == a.epoch);
	}
	struct rc_outcome b = publish(0, "b");
	assert_int_equal(b.offset, 1);
	assert_true(b.epoch != a.epoch);
}

static void a_channel_that_nobody_used_is_forgotten_and_begins_anew(void **state)
{
	struct rc_hub *hub = &h.shard[0].hub;

	(void)state;
	struct rc_outcome a = publish(0, "a");
	hubs_time(&h, 6000);
	(void)publish(0, "b");
	hubs_time(&h, 3999);
	rc_owner_sweep(hub, 100);
	assert_int_equal(hub->owned.used, 2);
	hubs_time(&h, 1001);
	rc_owner_sweep(hub, 100);
	assert_int_equal(hub->owned.used, 1);
	struct rc_outcome again = publish(0, "a");
	assert_int_equal(again.offset, 1);
	assert_true(again.epoch != a.epoch);
	hubs_time(&h, 20000);
	rc_owner_sweep(hub, 1);
	assert_int_equal(hub->owned.used, 1);
	rc_owner_sweep(hub, 1);
	hubs_assert_empty(&h);
}

static void each_namespace_has_its_own_time_to_live(void **state)
{
	struct rc_hub *hub = &h.shard[0].hub;

	(void)state;
	(void)publish(0, "keyed:a");
	(void)publish(0, "b");
	hubs_time(&h, 11000);
	rc_owner_sweep(hub, 100);
	/* The one that lives longer stands before the one that goes. */
	assert_int_equal(hub->owned.used, 1);
	assert_int_equal(publish(0, "keyed:a").offset, 2);
	hubs_time(&h, 21000);
	rc_owner_sweep(hub, 100);
	hubs_assert_empty(&h);
}

static void a_full_table_gives_up_the_channel_used_longest_ago(void **state)
{
	(void)state;
	uint64_t a = publish(0, "a").epoch;
	(void)publish(0, "b");
	(void)publish(0, "c");
	(void)publish(0, "d");
	assert_int_equal(publish(0, "a").offset, 2);
	(void)publish(0, "e"); /* b goes */
	struct rc_outcome again = publish(0, "a");
	assert_true(again.epoch == a);
	assert_int_equal(again.offset, 3);
	assert_int_equal(publish(0, "b").offset, 1); /* c goes */
	assert_int_equal(publish(0, "d").offset, 2);
}

static void a_table_full_of_channels_in_use_refuses(void **state)
{
	struct rc_outcome out;

	(void)state;
	(void)teardown(NULL);
	(void)setup_three(NULL);
	static const char *const names[] = {"a", "b", "c", "d"};
	for (uint32_t i = 0; i < 4; i++) {
		assert_true(interest(0, 1, names[i], i, true));
		assert_true(taken(0, 1).ok.taken);
	}
	assert_true(publish_text(0, "e", "1", &out));
	assert_int_equal(out.nack, RINGCAST_NACK_OVER_CAPACITY);
	assert_int_equal(rc_counter_get(&h.shard[0].counters, RC_C_events_refused_full), 1);
	assert_true(interest(0, 2, "e", 77, true));
	struct hubs_record no = taken(0, 2);
	assert_false(no.ok.taken);
	assert_int_equal(no.ok.token, 77);
	/* One goes out of use: its life ends for the new one's. */
	assert_true(interest(0, 1, "c", 0, false));
	assert_true(interest(0, 2, "e", 78, true));
	assert_true(taken(0, 2).ok.taken);
	assert_true(publish_text(0, "c", "1", &out));
	assert_int_equal(out.nack, RINGCAST_NACK_OVER_CAPACITY);
	assert_int_equal(h.tells[0][1].count, 0);
}

static void those_with_interest_are_told_from_the_answer_on(void **state)
{
	(void)state;
	(void)publish(0, "a");
	(void)publish(0, "a");
	assert_true(interest(0, 1, "a", 42, true));
	struct hubs_record ok = taken(0, 1);
	assert_int_equal(ok.kind, HUBS_INTEREST_OK);
	assert_true(ok.ok.taken);
	assert_int_equal(ok.ok.token, 42);
	assert_int_equal(ok.ok.replica, 42);
	assert_int_equal(ok.ok.offset, 2);
	struct rc_outcome third = publish(0, "a");
	assert_true(third.epoch == ok.ok.epoch);
	struct hubs_record event = taken(0, 1);
	assert_int_equal(event.kind, HUBS_EVENT);
	assert_int_equal(event.tell.offset, 3);
	assert_true(event.tell.epoch == third.epoch);
	assert_true(event.tell.direct);
	assert_false(event.tell.pattern);
	assert_int_equal(h.tells[0][2].count, 0);
	assert_true(interest(0, 1, "a", 42, false));
	assert_int_equal(h.tells[0][1].count, 0);
	(void)publish(0, "a");
	assert_int_equal(h.tells[0][1].count, 0);
	/* A channel with interest is never forgotten. */
	assert_true(interest(0, 2, "a", 1, true));
	hubs_time(&h, 60000);
	rc_owner_sweep(&h.shard[0].hub, 100);
	assert_int_equal(publish(0, "a").offset, 5);
}

static void an_off_for_what_was_never_on_does_nothing(void **state)
{
	(void)state;
	assert_true(interest(0, 1, "a", 1, false));
	assert_true(interest(0, 1, "a:*", 1, false));
	hubs_assert_empty(&h);
}

static void a_pattern_marks_channels_old_and_new(void **state)
{
	(void)state;
	(void)publish(0, "x:old");
	assert_true(interest(0, 1, "x:*", 9, true));
	assert_true(taken(0, 1).ok.taken);
	(void)publish(0, "x:old");
	struct hubs_record event = taken(0, 1);
	assert_true(event.tell.pattern);
	assert_false(event.tell.direct);
	assert_int_equal(event.tell.offset, 2);
	(void)publish(0, "x:new");
	assert_true(taken(0, 1).tell.pattern);
	(void)publish(0, "y:new");
	assert_int_equal(h.tells[0][1].count, 0);
	/* Both: told once, with both marks. */
	assert_true(interest(0, 1, "x:old", 3, true));
	assert_true(taken(0, 1).ok.taken);
	(void)publish(0, "x:old");
	event = taken(0, 1);
	assert_true(event.tell.pattern && event.tell.direct);
	assert_int_equal(h.tells[0][1].count, 0);
	assert_true(interest(0, 1, "x:*", 9, false));
	(void)publish(0, "x:old");
	event = taken(0, 1);
	assert_true(!event.tell.pattern && event.tell.direct);
	assert_true(interest(0, 1, "x:old", 3, false));
	hubs_time(&h, 60000);
	rc_owner_sweep(&h.shard[0].hub, 100);
	hubs_assert_empty(&h);
}

static void without_room_nothing_is_published_and_nothing_counted(void **state)
{
	struct rc_outcome out;

	(void)state;
	assert_true(interest(0, 1, "a", 1, true));
	assert_true(taken(0, 1).ok.taken);
	assert_int_equal(publish(0, "a").offset, 1);
	h.queue_max = 1;
	for (int i = 0; i < 3; i++)
		assert_false(publish_text(0, "a", "1", &out));
	assert_int_equal(h.tells[0][1].count, 1);
	(void)taken(0, 1);
	assert_int_equal(publish(0, "a").offset, 2);
	/* An answer that finds no room leaves no interest behind. */
	assert_false(interest(0, 1, "b", 2, true));
	assert_false(interest(0, 1, "b:*", 3, true));
	(void)publish(0, "b");
	(void)publish(0, "b:x");
	assert_int_equal(h.tells[0][1].count, 1);
	(void)taken(0, 1);
	assert_true(interest(0, 1, "b", 2, true));
	assert_int_equal(taken(0, 1).ok.offset, 1);
}

static void a_channel_made_by_a_publish_without_room_is_forgotten_too(void **state)
{
	struct rc_outcome out;

	(void)state;
	assert_true(interest(0, 1, "x:*", 1, true));
	(void)taken(0, 1);
	h.queue_max = 0;
	/* The publisher goes away and does not come again. */
	assert_false(publish_text(0, "x:a", "1", &out));
	hubs_time(&h, 60000);
	rc_owner_sweep(&h.shard[0].hub, 100);
	assert_int_equal(h.shard[0].hub.owned.used, 0);
	/* Such channels do not fill the table for ever either. */
	static const char *const names[] = {"x:a", "x:b", "x:c", "x:d", "x:e"};
	for (size_t i = 0; i < RC_ARRAY_LEN(names); i++)
		assert_false(publish_text(0, names[i], "1", &out));
	h.queue_max = 10;
	assert_int_equal(publish(0, "x:f").nack, 0);
}

static void a_full_pool_refuses(void **state)
{
	struct rc_outcome out;
	void *taken_blocks[1025];
	uint32_t count = 0;

	(void)state;
	while ((taken_blocks[count] = rc_buddy_get(&h.shard[0].arena, 1024)) != NULL)
		count++;
	assert_true(publish_text(0, "a", "1", &out));
	assert_int_equal(out.nack, RINGCAST_NACK_OVER_CAPACITY);
	assert_int_equal(h.shard[0].hub.owned.used, 0);
	while (count > 0)
		rc_buddy_put(&h.shard[0].arena, taken_blocks[--count]);
	assert_int_equal(publish(0, "a").offset, 1);
}

static uint64_t key_of(const char *data)
{
	struct rc_outcome out;

	assert_true(publish_text(0, "keyed:a", data, &out));
	return taken(0, 1).tell.key;
}

static void the_key_is_the_value_of_the_namespaces_field(void **state)
{
	(void)state;
	assert_true(interest(0, 1, "keyed:a", 1, true));
	(void)taken(0, 1);
	uint64_t one = key_of("{\"k\":\"one\",\"v\":1}");
	assert_true(one != 0);
	assert_true(key_of(" \t\r\n{ \"v\" : 2 , \"k\" : \"one\" }") == one);
	assert_true(key_of("{\"k\":\"two\"}") != one);
	assert_true(key_of("{\"k\":17}") != 0);
	assert_true(key_of("{\"x\":{\"k\":\"one\"}}") == 0);
	assert_true(key_of("{}") == 0);
	assert_true(key_of("[\"k\"]") == 0);
	assert_true(key_of("\"k\"") == 0);
	assert_true(key_of("1") == 0);
	assert_true(key_of("") == 0);
}

#define ONE(name)   cmocka_unit_test_setup_teardown(name, setup, teardown)
#define THREE(name) cmocka_unit_test_setup_teardown(name, setup_three, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONE(offsets_count_from_one_and_the_epoch_stays),
		ONE(a_channel_that_nobody_used_is_forgotten_and_begins_anew),
		ONE(each_namespace_has_its_own_time_to_live),
		ONE(a_full_table_gives_up_the_channel_used_longest_ago),
		ONE(a_table_full_of_channels_in_use_refuses),
		THREE(those_with_interest_are_told_from_the_answer_on),
		ONE(an_off_for_what_was_never_on_does_nothing),
		THREE(a_pattern_marks_channels_old_and_new),
		THREE(without_room_nothing_is_published_and_nothing_counted),
		THREE(a_channel_made_by_a_publish_without_room_is_forgotten_too),
		ONE(a_full_pool_refuses),
		THREE(the_key_is_the_value_of_the_namespaces_field),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
