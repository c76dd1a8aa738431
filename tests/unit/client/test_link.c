/* SPDX-License-Identifier: Apache-2.0
 *
 * libringcast against a scripted gateway: what happens to events when the connection does not live.
 */
#include "scripted_gateway.h"

static void break_in_the_middle_of_an_ack(struct gateway *g)
{
	unsigned char out[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_ack ack = {.sequence = 2};

	gateway_greet(g, 0, 100);
	expect(g, g->last_known == 0);
	gateway_publish(g, 1);
	gateway_publish(g, 2);
	gateway_publish(g, 3);
	gateway_ack(g, 1);
	gateway_send(g, out, rc_ingest_ack_encode(out, sizeof(out), &ack) / 2);
	gateway_hang_up(g);
	/* The gateway holds the second one, the third never arrived. */
	gateway_greet(g, 2, 100);
	expect(g, g->last_known == 1);
	gateway_publish(g, 3);
	gateway_nothing_but_pong(g, 1);
	gateway_ack(g, 3);
	gateway_until_gone(g);
}

static void connection_that_breaks_inside_an_ack_costs_no_event_and_no_duplicate(void **state)
{
	struct gateway *g = gateway_start(break_in_the_middle_of_an_ack);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r;

	(void)state;
	o.publisher = "p1";
	r = opened(&o);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(published(r, "x"), i);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(seen.acks, 3);
	assert_int_equal(seen.acked[0], 1);
	assert_int_equal(seen.acked[1], 2);
	assert_int_equal(seen.acked[2], 3);
	assert_int_equal(seen.ready, 2);
	assert_string_equal(ringcast_last_error(r), "the gateway closed the connection");
	ringcast_close(r);
	gateway_stop(g);
}

static void forget_everything(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	gateway_publish(g, 1);
	gateway_publish(g, 2);
	gateway_ack(g, 1);
	gateway_hang_up(g);
	gateway_greet(g, 0, 100);
	expect(g, g->last_known == 0);
	gateway_publish(g, 2);
	gateway_ack(g, 2);
	gateway_until_gone(g);
}

static void without_an_id_all_that_is_not_acknowledged_comes_again(void **state)
{
	struct gateway *g = gateway_start(forget_everything);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);

	(void)state;
	published(r, "x");
	published(r, "y");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	ringcast_close(r);
	gateway_stop(g);
}

static void hang_up_inside_a_frame(struct gateway *g)
{
	struct rc_ingest_publish event;
	char first[1000];

	gateway_greet(g, 0, 100);
	expect(g, recv(g->fd, first, sizeof(first), MSG_WAITALL) == sizeof(first));
	gateway_hang_up(g);
	gateway_greet(g, 0, 100);
	event = gateway_publish(g, 1);
	expect(g, event.payload.len == 500000);
	for (size_t i = 0; i < event.payload.len; i++)
		expect(g, event.payload.ptr[i] == (char)('a' + i % 23));
	gateway_publish(g, 2);
	gateway_ack(g, 2);
	gateway_until_gone(g);
}

static void frame_that_was_cut_is_sent_again_from_its_first_byte(void **state)
{
	struct gateway *g = gateway_start(hang_up_inside_a_frame);
	static char data[500000];
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)('a' + i % 23);
	assert_int_equal(ringcast_publish(r, "c", "e", data, sizeof(data), 0, NULL), RINGCAST_OK);
	published(r, "x");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	ringcast_close(r);
	gateway_stop(g);
}

/* Takes each sequence once, whatever comes how often, and breaks the connection every so often. */
static void be_unreliable(struct gateway *g)
{
	uint64_t taken = 0, acked, connections = 0;

	while (taken < 3000) {
		uint64_t life = 0;

		connections++;
		gateway_greet(g, taken, 64);
		acked = taken;
		while (taken < 3000 && ++life < 5 + connections * 7 % 90) {
			struct rc_ingest_frame frame;
			struct rc_ingest_publish event;

			expect(g, gateway_frame(g, &frame) && frame.type == RINGCAST_FRAME_PUBLISH);
			expect(g, rc_ingest_publish_parse(frame.body, frame.flags, &event) == 0);
			/* It was told what is held: nothing comes twice, nothing is left out. */
			expect(g, event.sequence == taken + 1);
			expect(g, event.payload.len == event.sequence % 200);
			taken = event.sequence;
			if (taken - acked >= 10 || g->in_len == g->in_taken) {
				gateway_ack(g, taken);
				acked = taken;
			}
		}
		g->note = connections;
		if (taken < 3000)
			gateway_hang_up(g);
	}
	gateway_ack(g, taken);
	gateway_until_gone(g);
}

static void each_event_arrives_once_and_in_order_over_many_broken_connections(void **state)
{
	struct gateway *g = gateway_start(be_unreliable);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r;
	char data[200];

	(void)state;
	memset(data, 'd', sizeof(data));
	o.publisher = "steady";
	o.window_bytes = 5000;
	o.window_events = 100;
	r = opened(&o);
	for (uint64_t i = 1; i <= 3000; i++) {
		uint64_t sequence;

		assert_int_equal(
			ringcast_publish(r, "c", "e", data, i % 200, 0, &sequence), RINGCAST_OK);
		assert_int_equal(sequence, i);
	}
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_true(seen.ready > 30);
	assert_int_equal(seen.acked[seen.acks - 1], 3000);
	for (size_t i = 1; i < seen.acks; i++)
		assert_true(seen.acked[i] > seen.acked[i - 1]);
	ringcast_close(r);
	gateway_stop(g);
}

static void hold_forty_one(struct gateway *g)
{
	gateway_greet(g, 41, 100);
	gateway_publish(g, 42);
	gateway_hang_up(g);
	/* Somebody used the id meanwhile, up to 50. */
	gateway_greet(g, 50, 100);
	gateway_publish(g, 51);
	gateway_ack(g, 51);
	gateway_until_gone(g);
}

static void id_goes_on_behind_what_the_gateway_holds(void **state)
{
	struct gateway *g = gateway_start(hold_forty_one);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r;

	(void)state;
	o.publisher = "p1";
	r = opened(&o);
	assert_int_equal(published(r, "waits for the greeting"), 42);
	while (seen.ready < 2)
		assert_int_equal(ringcast_poll(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(published(r, "y"), 51);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	ringcast_close(r);
	gateway_stop(g);
}

static void hold_what_is_published_again(struct gateway *g)
{
	gateway_greet(g, 8, 100);
	gateway_publish(g, 7);
	gateway_ack(g, 7);
	gateway_publish(g, 8);
	gateway_publish(g, 9);
	gateway_ack(g, 9);
	gateway_until_gone(g);
}

static void first_sequence_of_the_caller_is_kept(void **state)
{
	struct gateway *g = gateway_start(hold_what_is_published_again);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r;

	(void)state;
	o.publisher = "p1";
	o.first_sequence = 7;
	r = opened(&o);
	assert_int_equal(ringcast_wait_ready(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(published(r, "x"), 7);
	assert_int_equal(published(r, "y"), 8);
	assert_int_equal(published(r, "z"), 9);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	ringcast_close(r);
	gateway_stop(g);
}

static void acknowledge_one(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	gateway_publish(g, 1);
	gateway_ack(g, 1);
	gateway_until_gone(g);
}

static void refused_connection_is_tried_until_it_is_accepted(void **state)
{
	struct gateway *g = calloc(1, sizeof(*g));
	struct seen seen;
	struct ringcast_options o;
	struct ringcast *r;

	(void)state;
	assert_non_null(g);
	gateway_bind(g); /* bound and not listening: refused */
	o = options_for(g, &seen);
	r = opened(&o);
	assert_int_equal(published(r, "x"), 1);
	while (seen.waiting < 3)
		assert_int_equal(ringcast_poll(r, PATIENCE_MS), RINGCAST_OK);
	assert_string_equal(ringcast_last_error(r), "connecting: Connection refused");
	assert_int_equal(ringcast_flush(r, 0), RINGCAST_TIMEOUT);
	assert_int_equal(ringcast_unacked(r), 1);
	gateway_listen(g, acknowledge_one);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	ringcast_close(r);
	gateway_stop(g);
}

static void never_acknowledge(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	gateway_publish(g, 1);
	gateway_publish(g, 2);
	gateway_until_gone(g);
}

static void flush_times_out_and_tells_how_many_are_left(void **state)
{
	struct gateway *g = gateway_start(never_acknowledge);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);

	(void)state;
	published(r, "x");
	published(r, "y");
	assert_int_equal(ringcast_wait_ready(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(ringcast_flush(r, 5), RINGCAST_TIMEOUT);
	assert_int_equal(ringcast_unacked(r), 2);
	ringcast_close(r);
	gateway_stop(g);
}

static void be_silent_once(struct gateway *g)
{
	struct rc_ingest_frame frame;

	gateway_greet(g, 0, 100);
	gateway_publish(g, 1);
	expect(g, !gateway_frame(g, &frame)); /* the client gives up on this connection */
	gateway_greet(g, 0, 100);
	gateway_publish(g, 1);
	gateway_ack(g, 1);
	gateway_until_gone(g);
}

static void gateway_that_does_not_acknowledge_in_time_is_left(void **state)
{
	struct gateway *g = gateway_start(be_silent_once);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r;

	(void)state;
	o.ack_timeout_ms = 400;
	r = opened(&o);
	published(r, "x");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_true(seen.ready >= 2);
	ringcast_close(r);
	gateway_stop(g);
}

static void know_one_token(struct gateway *g)
{
	gateway_accept(g);
	gateway_read_hello(g);
	expect(g, strcmp(g->token, "old") == 0);
	gateway_error(g, RINGCAST_ERROR_UNAUTHORIZED, "token expired");
	gateway_greet(g, 0, 100);
	expect(g, strcmp(g->token, "new") == 0);
	gateway_publish(g, 1);
	gateway_error(g, RINGCAST_ERROR_UNKNOWN_TYPE, "no such frame");
	gateway_ack(g, 1);
	gateway_until_gone(g);
}

static void error_that_cannot_be_helped_ends_in_failed_until_a_new_token_comes(void **state)
{
	struct gateway *g = gateway_start(know_one_token);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r;

	(void)state;
	o.token = "old";
	r = opened(&o);
	published(r, "x");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_FAILED);
	assert_int_equal(ringcast_state(r), RINGCAST_STATE_FAILED);
	assert_int_equal(ringcast_unacked(r), 1);
	assert_int_equal(ringcast_publish(r, "c", "e", "", 0, 0, NULL), RINGCAST_FAILED);
	assert_int_equal(ringcast_poll(r, PATIENCE_MS), RINGCAST_FAILED);
	assert_int_equal(ringcast_timeout(r), -1);
	assert_int_equal(seen.errors, 1);
	assert_int_equal(seen.error_code, RINGCAST_ERROR_UNAUTHORIZED);
	assert_string_equal(ringcast_last_error(r), "the gateway said: token expired (error 6)");
	assert_int_equal(ringcast_set_token(r, "new"), RINGCAST_OK);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(seen.errors, 2);
	assert_int_equal(seen.error_code, RINGCAST_ERROR_UNKNOWN_TYPE);
	assert_int_equal(seen.failed, 1);
	ringcast_close(r);
	gateway_stop(g);
}

static void say_good_bye(struct gateway *g)
{
	struct rc_ingest_frame frame;

	gateway_greet(g, 0, 1);
	gateway_publish(g, 1);
	gateway_bye(g, RINGCAST_BYE_SHUTDOWN, 3);
	gateway_flow(g, 100);
	/* Nothing new begins. */
	gateway_nothing_but_pong(g, 5);
	gateway_ack(g, 1);
	expect(g, !gateway_frame(g, &frame));
	gateway_greet(g, 0, 100);
	gateway_publish(g, 2);
	gateway_ack(g, 2);
	gateway_bye(g, RINGCAST_BYE_REPLACED, RINGCAST_BYE_NEVER);
	gateway_until_gone(g);
}

static void good_bye_waits_for_what_is_under_way(void **state)
{
	struct gateway *g = gateway_start(say_good_bye);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);

	(void)state;
	published(r, "x");
	published(r, "y");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(seen.acked[0], 1);
	while (ringcast_poll(r, PATIENCE_MS) == RINGCAST_OK)
		;
	assert_int_equal(seen.failed, 1);
	assert_string_equal(ringcast_last_error(r), "the gateway said good-bye");
	ringcast_close(r);
	gateway_stop(g);
}

#define PINGS 4000

static void flood_with_pings(struct gateway *g)
{
	static unsigned char pings[PINGS * 16];
	size_t len = 0;

	gateway_greet(g, 0, 100);
	gateway_publish(g, 1);
	for (uint64_t token = 1; token <= PINGS; token++)
		len += rc_ingest_ping_encode(pings + len, sizeof(pings) - len, token);
	gateway_send(g, pings, len);
	for (uint64_t token = 1; token <= PINGS; token++) {
		uint64_t echoed;

		expect(g, rc_ingest_ping_parse(
				  gateway_expect(g, RINGCAST_FRAME_PONG).body, &echoed) == 0);
		expect(g, echoed == token);
	}
	gateway_ack(g, 1);
	gateway_until_gone(g);
}

static void every_ping_is_answered_in_order(void **state)
{
	struct gateway *g = gateway_start(flood_with_pings);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);

	(void)state;
	published(r, "x");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	ringcast_close(r);
	gateway_stop(g);
}

/* What a client of this library may meet; each on a connection of its own. */
static const struct {
	const char *bytes;
	size_t len;
	bool greet;
} nonsense[] = {
#define BYTES(text) (text), sizeof(text) - 1
	{BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"), false}, {BYTES("\3\0\0\0\4\0\0\0"), false},
	{BYTES("\x0c\0\0\0\4\0\0\0\1\0\0\0\0\0\0\0"), false},      /* ACK before HELLO */
	{BYTES("\x09\0\0\0\1\0\0\0XXXX\1"), false},                /* not the magic */
	{BYTES("\x0b\0\0\0\1\0\0\0RCST\1\xff\0"), false},          /* cut */
	{BYTES("\x0c\0\0\0\4\0\0"), true},                         /* half a header */
	{BYTES("\5\0\0\0\4\0\0\0\1"), true},                       /* ACK, cut */
	{BYTES("\x0e\0\0\0\4\4\0\0\1\0\0\0\0\0\0\0\xff\0"), true}, /* position, cut */
	{BYTES("\x0d\0\0\0\4\0\0\0\1\0\0\0\0\0\0\0\0"), true},     /* ACK and more */
	{BYTES("\x0f\0\0\0\5\0\0\0\1\0\0\0\0\0\0\0\1\0\5"), true}, /* NACK, cut */
	{BYTES("\6\0\0\0\x07\0\0\0\1\0"), true},                   /* FLOW, cut */
	{BYTES("\4\0\0\0\x08\0\0\0"), true},                       /* PING, cut */
	{BYTES("\7\0\0\0\x0a\0\0\0\1\0\xff"), true},               /* ERROR, cut */
	{BYTES("\5\0\0\0\x0b\0\0\0\0"), true},                     /* BYE, cut */
	{BYTES("\xff\xff\xff\x7f\4\0\0\0"), true},                 /* far too long */
	{BYTES("\x0c\0\0\0\4\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"
	       "\x0f\0\0\0\5\0\0\0\x63\0\0\0\0\0\0\0\1\0\0"
	       "\5\0\0\0\xc8\0\0\0x"),
		true}, /* all well-formed, of sequences that never were, of a type unknown */
#undef BYTES
};

static void talk_nonsense(struct gateway *g)
{
	struct rc_ingest_frame frame;

	for (size_t i = 0; i < RC_ARRAY_LEN(nonsense); i++) {
		gateway_accept(g);
		gateway_read_hello(g);
		if (nonsense[i].greet)
			gateway_welcome(g, 0,
				0); /* no credit: nothing is sent that could be acknowledged */
		gateway_send(g, nonsense[i].bytes, nonsense[i].len);
		shutdown(g->fd, SHUT_WR);
		expect(g, !gateway_frame(g, &frame));
	}
	gateway_greet(g, 0, 100);
	gateway_publish(g, 1);
	gateway_ack(g, 1);
	gateway_until_gone(g);
}

static void nonsense_from_the_other_side_harms_no_event(void **state)
{
	struct gateway *g = gateway_start(talk_nonsense);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);

	(void)state;
	published(r, "x");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(seen.nacks, 0);
	assert_int_equal(seen.acks, 1);
	assert_int_equal(seen.waiting, RC_ARRAY_LEN(nonsense));
	ringcast_close(r);
	gateway_stop(g);
}

static void speak_version_two(struct gateway *g)
{
	struct rc_ingest_welcome welcome = {
		.version = 2, .server = RC_STR("2.0"), .frame_max = 65536};
	unsigned char out[RC_INGEST_ANSWER_MAX];

	gateway_accept(g);
	gateway_read_hello(g);
	gateway_send(g, out, rc_ingest_welcome_encode(out, sizeof(out), &welcome));
	gateway_until_gone(g);
}

static void other_version_of_the_protocol_is_not_tried_again(void **state)
{
	struct gateway *g = gateway_start(speak_version_two);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);

	(void)state;
	assert_int_equal(ringcast_wait_ready(r, PATIENCE_MS), RINGCAST_FAILED);
	assert_string_equal(ringcast_last_error(r), "the gateway speaks version 2 of the protocol");
	ringcast_close(r);
	gateway_stop(g);
}

static void batch_then_break(struct gateway *g)
{
	struct rc_ingest_frame frame;

	gateway_greet(g, 0, 100);
	expect(g, gateway_expect(g, RINGCAST_FRAME_BATCH).flags == RINGCAST_FLAG_POSITION);
	gateway_ack(g, 2);
	gateway_hang_up(g);
	/* A part of it is held: the whole frame comes again, and its own last sequence ends it. */
	gateway_greet(g, 2, 100);
	frame = gateway_expect(g, RINGCAST_FRAME_BATCH);
	expect(g, rc_ingest_batch_check(frame.body, frame.flags) == 0);
	gateway_ack(g, 2);
	gateway_ack(g, 3);
	gateway_until_gone(g);
}

static void batch_of_which_a_part_is_held_comes_again_whole(void **state)
{
	struct gateway *g = gateway_start(batch_then_break);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r;

	(void)state;
	o.publisher = "p";
	r = opened(&o);
	assert_int_equal(ringcast_batch_begin(r), RINGCAST_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ringcast_publish(r, "c", "e", "x", 1, RINGCAST_POSITION, NULL),
			RINGCAST_OK);
	assert_int_equal(ringcast_batch_end(r), RINGCAST_OK);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(seen.acks, 2);
	assert_int_equal(seen.acked[0], 2);
	assert_int_equal(seen.acked[1], 3);
	ringcast_close(r);
	gateway_stop(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			connection_that_breaks_inside_an_ack_costs_no_event_and_no_duplicate),
		cmocka_unit_test(without_an_id_all_that_is_not_acknowledged_comes_again),
		cmocka_unit_test(frame_that_was_cut_is_sent_again_from_its_first_byte),
		cmocka_unit_test(each_event_arrives_once_and_in_order_over_many_broken_connections),
		cmocka_unit_test(id_goes_on_behind_what_the_gateway_holds),
		cmocka_unit_test(first_sequence_of_the_caller_is_kept),
		cmocka_unit_test(refused_connection_is_tried_until_it_is_accepted),
		cmocka_unit_test(flush_times_out_and_tells_how_many_are_left),
		cmocka_unit_test(gateway_that_does_not_acknowledge_in_time_is_left),
		cmocka_unit_test(
			error_that_cannot_be_helped_ends_in_failed_until_a_new_token_comes),
		cmocka_unit_test(good_bye_waits_for_what_is_under_way),
		cmocka_unit_test(every_ping_is_answered_in_order),
		cmocka_unit_test(nonsense_from_the_other_side_harms_no_event),
		cmocka_unit_test(other_version_of_the_protocol_is_not_tried_again),
		cmocka_unit_test(batch_of_which_a_part_is_held_comes_again_whole),
	};

	/* A test that hangs is a test that fails. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
