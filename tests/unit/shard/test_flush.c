/* SPDX-License-Identifier: Apache-2.0
 *
 * What the flush does with subscribers when the arena is full and one of them stands in the middle of a frame.
 */
#include "full.h"

#include "hub/view.h"

static void publish(const char *channel)
{
	const struct rc_publish p = {
		.channel = rc_str_of(channel),
		.event = RC_STR("e"),
		.data = RC_STR(
			"{\"k\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"),
		.timestamp_ms = 1768472100000,
		.taken_ns = 1,
		.json = true,
	};
	struct rc_outcome out;

	assert_true(rc_owner_publish(&shard.hub, &p, &out));
	assert_int_equal(out.nack, 0);
	rc_hub_check(&shard.hub);
}

/* The socket took ten bytes of the first frame. */
static void cut(struct rc_conn *c, uint32_t index)
{
	struct rc_sub *sub = rc_hub_sub(&shard.hub, index);
	struct rc_log_frame f;

	rc_log_frame_at(&rc_hub_replica(&shard.hub, sub->replica)->log, sub->cursor, &f);
	rc_replica_advance(&shard.hub, sub, sub->cursor + 10);
	c->mid_left = f.len - 10;
	c->mid_sub = index;
}

static void read_all(const struct rc_conn *c)
{
	for (uint32_t i = c->subs; i != RC_NONE; i = rc_hub_sub(&shard.hub, i)->next) {
		struct rc_sub *sub = rc_hub_sub(&shard.hub, i);
		rc_replica_advance(
			&shard.hub, sub, rc_hub_replica(&shard.hub, sub->replica)->log.tail);
	}
}

static bool no_cursor_is_lapped(void)
{
	for (uint32_t i = 0; i < shard.conns.mark; i++) {
		for (uint32_t n = shard.conns.at[i].subs; n != RC_NONE;) {
			const struct rc_sub *sub = rc_hub_sub(&shard.hub, n);
			const struct rc_log *log = &rc_hub_replica(&shard.hub, sub->replica)->log;
			if (sub->cursor < log->head && !(sub->flags & RC_SUB_CONFLATED))
				return false;
			n = sub->next;
		}
	}
	return true;
}

static void overrun_in_a_cut_frame(enum rc_slow_policy policy, struct rc_str key)
{
	begin(policy, key);
	block_count = object_count = 0;
	struct rc_conn *slow = open_client(), *cut_off = open_client();
	(void)subscribe(slow, "a");
	uint32_t sub = subscribe(cut_off, "a");
	publish("a");
	publish("a");
	cut(cut_off, sub);
	fill_arena();
	/* Until the log's own chunk is full, and once more. */
	for (int i = 0; i < 20 && rc_counter_get(&counters, RC_C_arena_refused) == 0; i++)
		publish("a");
	assert_true(rc_counter_get(&counters, RC_C_arena_refused) > 0);
	assert_true(no_cursor_is_lapped());
	assert_int_equal(cut_off->subs, RC_NONE);
	assert_int_equal(cut_off->mid_left, 0);
	empty_arena();
}

static void one_with_half_a_frame_is_not_left_behind_by_skip(void **state)
{
	(void)state;
	overrun_in_a_cut_frame(RC_SLOW_SKIP, RC_STR(""));
}

static void one_with_half_a_frame_is_not_left_behind_by_latest(void **state)
{
	(void)state;
	overrun_in_a_cut_frame(RC_SLOW_LATEST, RC_STR(""));
}

static void one_with_half_a_frame_is_not_left_behind_by_latest_per_key(void **state)
{
	(void)state;
	overrun_in_a_cut_frame(RC_SLOW_LATEST, RC_STR("k"));
}

static void with_memory_the_half_frame_is_completed_and_the_client_stays(void **state)
{
	(void)state;
	begin(RC_SLOW_SKIP, RC_STR(""));
	struct rc_conn *c = open_client();
	uint32_t sub = subscribe(c, "a");
	publish("a");
	publish("a");
	cut(c, sub);
	uint32_t left = c->mid_left;
	rc_flush_overrun(&shard, rc_hub_sub(&shard.hub, sub)->replica);
	assert_int_equal(c->mid_left, 0);
	assert_int_equal(c->out_len, left);
	assert_int_equal(rc_hub_sub(&shard.hub, sub)->flags >> RC_SUB_MISSED_SHIFT, 1);
	assert_int_equal(c->state, RC_CONN_OPEN);
	assert_true(no_cursor_is_lapped());
}

/* As after an unsubscribe for which the rest of a frame found no memory. */
static struct rc_conn *client_on_the_way_out(void)
{
	struct rc_conn *c = open_client();

	(void)subscribe(c, "a");
	(void)subscribe(c, "b");
	return c;
}

static void an_overrun_ends_for_one_who_is_on_the_way_out(void **state)
{
	(void)state;
	begin(RC_SLOW_DISCONNECT, RC_STR(""));
	struct rc_conn *c = client_on_the_way_out();
	publish("a");
	c->state = RC_CONN_LINGERING;
	fill_arena();
	for (int i = 0; i < 20 && c->subs != RC_NONE; i++)
		publish("a");
	assert_int_equal(c->subs, RC_NONE);
	assert_int_equal(shard.hub.replicas.used, 0);
	empty_arena();
}

static void a_loss_ends_for_one_who_is_on_the_way_out(void **state)
{
	(void)state;
	begin(RC_SLOW_SKIP, RC_STR(""));
	struct rc_conn *c = client_on_the_way_out();
	/* The channel's name is known already: what is missing is room for its first event. */
	publish("a");
	read_all(c);
	c->state = RC_CONN_LINGERING;
	fill_arena();
	publish("a");
	assert_int_equal(c->subs, RC_NONE);
	assert_int_equal(shard.hub.replicas.used, 0);
	empty_arena();
}

/* A window that is told before somebody joins finds no memory: its readers go at the turn's end, and the view with the last of them. */
static void a_view_that_lost_something_ends_with_its_readers(void **state)
{
	const struct rc_view_spec spec = {.window_ms = 60000};
	uint32_t sub;

	(void)state;
	begin(RC_SLOW_SKIP, RC_STR(""));
	for (int i = 0; i < 2; i++) {
		struct rc_conn *c = open_client();
		assert_int_equal(rc_view_subscribe(&shard.hub, rc_conn_slot(&shard.conns, c),
					 &c->subs, RC_STR("a"), false, &spec, 0, &sub),
			RC_SUBSCRIBED);
		c->sub_count++;
	}
	publish("a");
	fill_arena();
	rc_view_settle(&shard.hub, rc_hub_sub(&shard.hub, sub)->replica);
	assert_int_equal(shard.conns.at[0].sub_count, 1);
	rc_view_turn(&shard.hub, false);
	assert_int_equal(shard.conns.at[0].subs, RC_NONE);
	assert_int_equal(shard.conns.at[1].subs, RC_NONE);
	assert_int_equal(shard.hub.replicas.used, 0);
	empty_arena();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_with_half_a_frame_is_not_left_behind_by_skip),
		TEST(one_with_half_a_frame_is_not_left_behind_by_latest),
		TEST(one_with_half_a_frame_is_not_left_behind_by_latest_per_key),
		TEST(with_memory_the_half_frame_is_completed_and_the_client_stays),
		TEST(an_overrun_ends_for_one_who_is_on_the_way_out),
		TEST(a_loss_ends_for_one_who_is_on_the_way_out),
		TEST(a_view_that_lost_something_ends_with_its_readers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
