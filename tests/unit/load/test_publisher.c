/* SPDX-License-Identifier: Apache-2.0
 *
 * A publisher against a server that the test plays: when events leave, how many are in flight, what is counted.
 */
#include "publish_rig.h"

/* The events that arrived since the last call, out of PUBLISH and BATCH frames; those beyond cap are counted only. */
static uint32_t take_events(struct rig *r, struct load_event *out, uint32_t cap)
{
	struct rc_ingest_frame frame;
	uint32_t count = 0;

	while (rc_ingest_frame(r->got + r->taken, r->len - r->taken, sizeof(r->got), &frame) == 0) {
		struct rc_ingest_publish event[1024];
		struct rc_ingest_batch batch;
		uint32_t n = 1;

		assert_int_equal(frame.flags, RINGCAST_FLAG_JSON);
		if (frame.type == RINGCAST_FRAME_PUBLISH) {
			assert_int_equal(
				rc_ingest_publish_parse(frame.body, frame.flags, &event[0]), 0);
		} else {
			assert_int_equal(frame.type, RINGCAST_FRAME_BATCH);
			assert_int_equal(rc_ingest_batch_check(frame.body, frame.flags), 0);
			assert_int_equal(rc_ingest_batch_begin(frame.body, frame.flags, &batch), 0);
			for (n = 0; rc_ingest_batch_next(&batch, &event[n]) == 1;)
				assert_true(++n < RC_ARRAY_LEN(event));
		}
		for (uint32_t i = 0; i < n; i++, count++) {
			const struct rc_str payload = event[i].payload;
			struct load_event e;

			assert_true(rc_str_eq(event[i].event, RC_STR("load")));
			assert_int_equal(payload.ptr[0], '"');
			assert_int_equal(payload.ptr[payload.len - 1], '"');
			assert_int_equal(load_event_verify(&e, payload.ptr + 1, payload.len - 2),
				LOAD_EVENT_OK);
			assert_int_equal(e.len, payload.len - 2);
			if (count < cap)
				out[count] = e;
		}
		r->taken += frame.total;
	}
	return count;
}

static void deliver(struct rig *r, uint64_t count)
{
	load_add(&r->shared->worker[1].group[0].deliveries, count);
}

/* ---- open loop ---------------------------------------------------------------------------------- */

static void what_a_stall_left_goes_out_at_once_each_with_its_own_time(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);
	static struct load_event e[600];
	uint64_t start;

	(void)state;
	r->plan.group[0].rate = 1000;
	r->plan.group[0].channels = 3;
	atomic_store(&r->shared->subscribers[1], 5);
	rig_begin(r);
	rig_greet(r, 100000);
	rig_phase(r, LOAD_MEASURE);
	/* As if the worker had been away for half a second. */
	start = rc_clock_mono_ns() - 500000000;
	atomic_store(&r->shared->start_ns, start);
	rig_until(r, load_get(&rig_counts(r)->published) >= 501);
	rig_phase(r, LOAD_DRAIN);
	rig_linger(r);
	assert_true(take_events(r, e, 600) >= 501);
	for (uint32_t k = 0; k < 501; k++) {
		assert_int_equal(e[k].time_ns, start + k * 1000000);
		assert_int_equal(e[k].channel, k % 3);
		assert_int_equal(e[k].sequence, k / 3 + 1);
	}
	/* Those that were due before it came were late, because of this thread; what fell due since then may be in time. */
	assert_in_range(
		rig_total(r->shared->worker[0].late), 500, load_get(&rig_counts(r)->published));
	assert_int_equal(load_get(&rig_counts(r)->expected), 5 * load_get(&r->shared->sequence[1]));
	assert_int_equal(load_get(&rig_counts(r)->published_bytes),
		64 * load_get(&rig_counts(r)->published));
	assert_false(load_publisher_idle(r->p));
	rig_ack(r, load_get(&rig_counts(r)->published));
	rig_until(r, load_publisher_idle(r->p));
	assert_int_equal(load_get(&rig_counts(r)->acked), load_get(&rig_counts(r)->published));
	rig_close(r);
}

static void due_events_leave_in_a_batch_and_a_single_one_alone(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);
	struct rc_ingest_frame frame;

	(void)state;
	r->plan.group[0].rate = 0.01;
	rig_begin(r);
	rig_greet(r, 100);
	rig_phase(r, LOAD_WARM);
	frame = rig_frame(r);
	assert_int_equal(frame.type, RINGCAST_FRAME_PUBLISH);
	rig_close(r);

	r = rig_open(LOAD_INGEST);
	r->plan.group[0].rate = 10;
	rig_begin(r);
	rig_greet(r, 100);
	rig_phase(r, LOAD_WARM);
	atomic_store(&r->shared->start_ns, rc_clock_mono_ns() - 1000000000);
	frame = rig_frame(r);
	assert_int_equal(frame.type, RINGCAST_FRAME_BATCH);
	rig_close(r);
}

static void next_call_is_wanted_when_the_next_event_is_due(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);
	uint64_t start;

	(void)state;
	r->plan.group[0].rate = 0.001;
	rig_begin(r);
	rig_greet(r, 100);
	rig_phase(r, LOAD_WARM);
	start = load_get(&r->shared->start_ns);
	rig_until(r, load_get(&rig_counts(r)->published) == 1);
	assert_int_equal(r->next_ns, start + 1000000000000);
	rig_close(r);
}

/* The wait for the window is the server's: in the latency, not in what is ours. */
static void wait_for_the_window_counts_as_latency_and_not_as_late(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);
	struct load_event e[4] = {{0}};

	(void)state;
	r->plan.group[0].rate = 1000;
	rig_begin(r);
	rig_greet(r, 2);
	rig_phase(r, LOAD_WARM);
	rig_until(r, load_get(&rig_counts(r)->published) == 2);
	assert_int_equal(r->next_ns, UINT64_MAX);
	rig_phase(r, LOAD_MEASURE);
	rig_linger(r);
	assert_int_equal(load_get(&rig_counts(r)->published), 2);
	rig_ack(r, 1);
	rig_until(r, load_get(&rig_counts(r)->published) == 3);
	rig_ack(r, 3);
	rig_until(r, load_get(&rig_counts(r)->published) == 5);
	rig_phase(r, LOAD_DRAIN);
	assert_int_equal(rig_total(r->shared->worker[0].late), 3);
	rig_until(r, r->len > r->taken && rig_frame_is_there(r));
	rig_linger(r);
	assert_int_equal(take_events(r, e, 4), 5);
	/* Third event: due 2 ms after the start, though it left later. */
	assert_int_equal(e[2].time_ns - e[0].time_ns, 2000000);
	rig_close(r);
}

/* The longest waits end after the window: to leave them out would be to say that they were short. */
static void acknowledgement_after_the_window_counts_for_what_was_due_in_it(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);

	(void)state;
	r->plan.group[0].rate = 0.001;
	rig_begin(r);
	rig_greet(r, 10);
	rig_phase(r, LOAD_MEASURE);
	rig_until(r, load_get(&rig_counts(r)->published) == 1);
	rig_phase(r, LOAD_DRAIN);
	rig_linger(r);
	rig_ack(r, 1);
	rig_until(r, load_get(&rig_counts(r)->acked) == 1);
	assert_int_equal(rig_total(rig_counts(r)->ack), 1);
	rig_close(r);
}

static void acknowledgement_in_the_window_of_what_was_due_before_it_does_not_count(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);

	(void)state;
	r->plan.group[0].rate = 0.001;
	rig_begin(r);
	rig_greet(r, 10);
	rig_phase(r, LOAD_WARM);
	rig_until(r, load_get(&rig_counts(r)->published) == 1);
	rig_phase(r, LOAD_MEASURE);
	rig_ack(r, 1);
	rig_until(r, load_get(&rig_counts(r)->acked) == 1);
	assert_int_equal(rig_total(rig_counts(r)->ack), 0);
	rig_close(r);
}

static void an_hour_without_window_is_no_lateness(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);
	/* Or less: no time is before the one at which the machine started. */
	const uint64_t hour = RC_MIN(rc_clock_mono_ns() / 2, UINT64_C(3600000000000));

	(void)state;
	r->plan.group[0].rate = 3600e9 / (double)hour;
	rig_begin(r);
	rig_greet(r, 1);
	rig_phase(r, LOAD_MEASURE);
	atomic_store(&r->shared->start_ns, rc_clock_mono_ns() - hour);
	rig_until(r, load_get(&rig_counts(r)->published) == 1);
	/* The first one was an hour late, the others waited for the window. */
	for (uint64_t i = 1; i < 100; i++) {
		rig_ack(r, i);
		rig_until(r, load_get(&rig_counts(r)->published) == i + 1);
	}
	rig_phase(r, LOAD_DRAIN);
	uint64_t late = 0, slow = 0;
	for (uint32_t b = rc_hist_bucket(hour / 2); b < RC_HIST_BUCKETS; b++) {
		late += load_get(&r->shared->worker[0].late[b]);
		slow += load_get(&rig_counts(r)->ack[b]);
	}
	assert_int_equal(late, 1);
	assert_int_equal(slow, 99);
	rig_close(r);
}

static void turn_is_bounded_so_that_readers_get_theirs(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);
	uint64_t next_ns, before;

	(void)state;
	r->plan.group[0].rate = 1e9;
	rig_begin(r);
	rig_greet(r, 1 << 20);
	rig_phase(r, LOAD_WARM);
	atomic_store(&r->shared->start_ns, rc_clock_mono_ns() - 1000000000);
	before = rc_clock_mono_ns();
	assert_int_equal(load_publisher_turn(r->p, LOAD_WARM, before, &next_ns, &r->err), 0);
	assert_in_range(load_get(&rig_counts(r)->published), 100, 4096);
	/* There is more to do, at once. */
	assert_true(next_ns <= before);
	rig_close(r);
}

/* ---- closed loop -------------------------------------------------------------------------------- */

/* Subscribers of channel 0, of another worker, got this event. */
static void arrive(struct rig *r, uint64_t sequence, uint64_t subscribers)
{
	load_add(&r->shared->worker[1].slot_arrived[load_event_slot(0, sequence)], subscribers);
	deliver(r, subscribers);
}

static void exactly_k_events_are_in_flight_until_everybody_has_them(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);

	(void)state;
	r->plan.group[0].in_flight = 3;
	atomic_store(&r->shared->subscribers[0], 10);
	rig_begin(r);
	rig_greet(r, 1000);
	rig_phase(r, LOAD_WARM);
	rig_until(r, load_get(&rig_counts(r)->published) == 3);
	assert_int_equal(load_get(&rig_counts(r)->expected), 30);
	/* Acknowledged is not delivered, and nine of ten are not everybody. */
	rig_ack(r, 3);
	arrive(r, 1, 9);
	/* Nor do those help who are ahead. */
	arrive(r, 2, 10);
	arrive(r, 3, 1);
	rig_linger(r);
	assert_int_equal(load_get(&rig_counts(r)->published), 3);
	/* Two workers: it looks again by itself. */
	assert_true(r->next_ns < rc_clock_mono_ns() + 1000000000);
	arrive(r, 1, 1);
	rig_until(r, load_get(&rig_counts(r)->published) == 5);
	arrive(r, 3, 9);
	arrive(r, 4, 10);
	rig_until(r, load_get(&rig_counts(r)->published) == 7);
	rig_linger(r);
	assert_int_equal(load_get(&rig_counts(r)->published), 7);
	rig_close(r);
}

static void what_is_known_to_be_lost_is_no_longer_in_flight(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);
	struct load_group_stats *other = &r->shared->worker[1].group[0];

	(void)state;
	atomic_store(&r->shared->subscribers[0], 4);
	rig_begin(r);
	rig_greet(r, 1000);
	rig_phase(r, LOAD_WARM);
	rig_until(r, load_get(&rig_counts(r)->published) == 1);
	deliver(r, 1);
	load_add(&other->lost, 1);
	load_add(&other->told, 1);
	rig_linger(r);
	assert_int_equal(load_get(&rig_counts(r)->published), 1);
	load_add(&other->missed_away, 1);
	rig_until(r, load_get(&rig_counts(r)->published) == 2);
	rig_close(r);
}

static void deliveries_of_other_groups_on_the_same_channels_count_unless_they_may_lose(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);

	(void)state;
	r->plan.groups = 3;
	r->plan.group[1] = (struct load_group){.name = "slow", .channels = 1, .may_lose = true};
	r->plan.group[2] = (struct load_group){.name = "more", .channels = 2};
	atomic_store(&r->shared->subscribers[0], 2);
	rig_begin(r);
	rig_greet(r, 1000);
	rig_phase(r, LOAD_WARM);
	rig_until(r, load_get(&rig_counts(r)->published) == 1);
	load_add(&r->shared->worker[1].group[1].deliveries, 100);
	arrive(r, 1, 1);
	rig_linger(r);
	assert_int_equal(load_get(&rig_counts(r)->published), 1);
	load_add(&r->shared->worker[1].group[2].deliveries, 1);
	load_add(&r->shared->worker[0].slot_arrived[load_event_slot(0, 1)], 1);
	rig_until(r, load_get(&rig_counts(r)->published) == 2);
	rig_close(r);
}

static void without_subscribers_an_event_is_in_flight_until_acknowledged(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);

	(void)state;
	r->plan.group[0].in_flight = 4;
	rig_begin(r);
	rig_greet(r, 1000);
	rig_phase(r, LOAD_MEASURE);
	rig_until(r, load_get(&rig_counts(r)->published) == 4);
	rig_linger(r);
	rig_ack(r, 2);
	rig_until(r, load_get(&rig_counts(r)->published) == 6);
	rig_linger(r);
	assert_int_equal(load_get(&rig_counts(r)->published), 6);
	assert_int_equal(rig_total(rig_counts(r)->ack), 2);
	assert_int_equal(rig_total(r->shared->worker[0].late), 0);
	/* Others' events of the group are in flight too. */
	load_add(&r->shared->worker[1].group[0].published, 3);
	rig_ack(r, 4);
	rig_linger(r);
	assert_int_equal(load_get(&rig_counts(r)->published), 6);
	rig_ack(r, 6);
	rig_until(r, load_get(&rig_counts(r)->published) == 7);
	rig_close(r);
}

static void lost_last_event_does_not_end_a_closed_loop(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);
	uint64_t from;

	(void)state;
	atomic_store(&r->shared->subscribers[0], 1);
	rig_begin(r);
	rig_greet(r, 1000);
	rig_phase(r, LOAD_WARM);
	rig_until(r, load_get(&rig_counts(r)->published) == 1);
	from = rc_clock_mono_ns();
	/* The worker's clock runs ahead, so that the test need not wait. */
	for (uint64_t ahead = 0; load_get(&rig_counts(r)->published) == 1; ahead += 250000000) {
		assert_true(ahead < 10000000000);
		assert_int_equal(
			load_publisher_turn(r->p, LOAD_WARM, from + ahead, &r->next_ns, &r->err),
			0);
	}
	assert_int_equal(load_get(&rig_counts(r)->published), 2);
	rig_close(r);
}

/* ---- refusals ----------------------------------------------------------------------------------- */

static void refuse(struct rig *r, uint64_t sequence, uint16_t code, const char *text)
{
	const struct rc_ingest_nack nack = {sequence, code, rc_str_of(text)};
	unsigned char out[RC_INGEST_ANSWER_MAX];

	rig_say(r, out, rc_ingest_nack_encode(out, sizeof(out), &nack));
}

static void refused_event_ends_the_run_with_the_servers_words(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);

	(void)state;
	rig_begin(r);
	rig_greet(r, 10);
	rig_phase(r, LOAD_WARM);
	rig_until(r, load_get(&rig_counts(r)->published) == 1);
	refuse(r, 1, RINGCAST_NACK_FORBIDDEN, "the token\ndoes not allow it");
	assert_contains(rig_until_failed(r), "publisher 0 of fanout at 127.0.0.1:");
	assert_contains(r->err.text, "the token.does not allow it (code 5). Choose channels");
	assert_int_equal(load_get(&rig_counts(r)->refused), 1);
	rig_close(r);
}

static void temporary_refusals_are_counted_where_only_acknowledgements_are_measured(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);

	(void)state;
	r->plan.group[0].acks_only = true;
	r->plan.group[0].in_flight = 3;
	rig_begin(r);
	rig_greet(r, 10);
	rig_phase(r, LOAD_WARM);
	rig_until(r, load_get(&rig_counts(r)->published) == 3);
	/* Ahead of its turn; the acknowledgement that passes over it does not speak of it. */
	refuse(r, 2, RINGCAST_NACK_RATE_LIMIT, "later");
	rig_until(r, load_get(&rig_counts(r)->published) == 4);
	rig_ack(r, 3);
	rig_until(r, load_get(&rig_counts(r)->published) == 6);
	assert_int_equal(load_get(&rig_counts(r)->acked), 2);
	assert_int_equal(load_get(&rig_counts(r)->refused), 1);
	rig_phase(r, LOAD_DRAIN);
	rig_ack(r, 5);
	refuse(r, 6, RINGCAST_NACK_RATE_LIMIT, "later");
	rig_until(r, load_publisher_idle(r->p));
	assert_int_equal(load_get(&rig_counts(r)->acked), 4);
	rig_close(r);
}

/* ---- others ------------------------------------------------------------------------------------- */

static void publisher_without_channels_connects_and_says_nothing(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);

	(void)state;
	r->plan.group[0].publishers = 2;
	r->plan.group[0].rate = 1000;
	assert_int_equal(load_publisher_open(
				 &r->p, &r->plan, r->shared, &r->shared->worker[0], 0, 1, &r->err),
		0);
	rig_greet(r, 10);
	rig_phase(r, LOAD_WARM);
	rig_linger(r);
	assert_int_equal(load_get(&rig_counts(r)->published), 0);
	assert_true(load_publisher_idle(r->p));
	rig_close(r);
}

/* An event every microsecond: those whose moment lies in the window. */
static uint64_t due_between(uint64_t from_ns, uint64_t to_ns)
{
	return (to_ns - from_ns + 999) / 1000;
}

static void publishing_ends_with_what_was_due_before_the_drain(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);
	uint64_t start, due;

	(void)state;
	r->plan.group[0].rate = 1e6;
	rig_begin(r);
	rig_greet(r, 1 << 20);
	rig_linger(r);
	assert_int_equal(load_get(&rig_counts(r)->published), 0);
	rig_phase(r, LOAD_WARM);
	start = load_get(&r->shared->start_ns);
	rig_until(r, load_get(&rig_counts(r)->published) > 0);
	rig_phase(r, LOAD_DRAIN);
	due = due_between(start, load_get(&r->shared->start_ns));
	rig_until(r, load_get(&rig_counts(r)->published) >= due);
	rig_linger(r);
	assert_int_equal(load_get(&rig_counts(r)->published), due);
	rig_ack(r, due);
	rig_until(r, load_publisher_idle(r->p));
	rig_close(r);
}

/* A server that stands still across the end of the window does not get rid of the events that it held back. */
static void what_a_full_window_held_back_leaves_in_the_drain(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);
	uint64_t start, due, acked = 0;

	(void)state;
	r->plan.group[0].rate = 1e6;
	rig_begin(r);
	rig_greet(r, 10);
	rig_phase(r, LOAD_MEASURE);
	start = load_get(&r->shared->start_ns);
	rig_until(r, load_get(&rig_counts(r)->published) == 10);
	rig_linger(r);
	rig_phase(r, LOAD_DRAIN);
	due = due_between(start, load_get(&r->shared->start_ns));
	assert_true(due > 10);
	rig_until(r, load_get(&rig_counts(r)->overdue) == due - 10);
	while (acked < RC_MIN(due, 1000)) {
		acked = RC_MIN(acked + 10, due);
		rig_ack(r, acked);
		rig_until(r, load_get(&rig_counts(r)->published) == RC_MIN(acked + 10, due));
	}
	assert_int_equal(
		load_get(&rig_counts(r)->overdue), due - load_get(&rig_counts(r)->published));
	/* Each has its acknowledgement's time counted from the moment that it was due. */
	rig_until(r, load_get(&rig_counts(r)->acked) == acked);
	assert_int_equal(rig_total(rig_counts(r)->ack), acked);
	rig_close(r);
}

/* A rate that nobody could take ends after a while, and what did not leave is said. */
static void what_is_overdue_for_too_long_never_leaves(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);

	(void)state;
	r->plan.group[0].rate = 1e6;
	r->plan.drain = 0.05;
	rig_begin(r);
	rig_greet(r, 10);
	rig_phase(r, LOAD_MEASURE);
	rig_until(r, load_get(&rig_counts(r)->published) == 10);
	rig_linger(r);
	rig_phase(r, LOAD_DRAIN);
	rig_until(r, load_get(&rig_counts(r)->overdue) > 0);
	rig_until(r, rc_clock_mono_ns() > load_get(&r->shared->start_ns) + 60000000);
	rig_ack(r, 10);
	rig_until(r, load_get(&rig_counts(r)->acked) == 10);
	rig_linger(r);
	assert_int_equal(load_get(&rig_counts(r)->published), 10);
	assert_true(load_get(&rig_counts(r)->overdue) > 0);
	rig_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_stall_left_goes_out_at_once_each_with_its_own_time),
		cmocka_unit_test(due_events_leave_in_a_batch_and_a_single_one_alone),
		cmocka_unit_test(next_call_is_wanted_when_the_next_event_is_due),
		cmocka_unit_test(wait_for_the_window_counts_as_latency_and_not_as_late),
		cmocka_unit_test(acknowledgement_after_the_window_counts_for_what_was_due_in_it),
		cmocka_unit_test(
			acknowledgement_in_the_window_of_what_was_due_before_it_does_not_count),
		cmocka_unit_test(an_hour_without_window_is_no_lateness),
		cmocka_unit_test(turn_is_bounded_so_that_readers_get_theirs),
		cmocka_unit_test(exactly_k_events_are_in_flight_until_everybody_has_them),
		cmocka_unit_test(what_is_known_to_be_lost_is_no_longer_in_flight),
		cmocka_unit_test(
			deliveries_of_other_groups_on_the_same_channels_count_unless_they_may_lose),
		cmocka_unit_test(without_subscribers_an_event_is_in_flight_until_acknowledged),
		cmocka_unit_test(lost_last_event_does_not_end_a_closed_loop),
		cmocka_unit_test(refused_event_ends_the_run_with_the_servers_words),
		cmocka_unit_test(
			temporary_refusals_are_counted_where_only_acknowledgements_are_measured),
		cmocka_unit_test(publisher_without_channels_connects_and_says_nothing),
		cmocka_unit_test(publishing_ends_with_what_was_due_before_the_drain),
		cmocka_unit_test(what_a_full_window_held_back_leaves_in_the_drain),
		cmocka_unit_test(what_is_overdue_for_too_long_never_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
