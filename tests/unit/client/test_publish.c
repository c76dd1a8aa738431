/* SPDX-License-Identifier: Apache-2.0
 *
 * libringcast against a scripted gateway: what happens to events while the connection lives.
 */
#include "scripted_gateway.h"

static void acknowledge_three_at_once(struct gateway *g)
{
	struct rc_ingest_publish event;

	gateway_greet(g, 0, 100);
	expect(g, strcmp(g->publisher, "p1") == 0 && strcmp(g->token, "secret") == 0);
	event = gateway_publish(g, 1);
	expect(g,
		rc_str_eq(event.channel, RC_STR("news")) && rc_str_eq(event.event, RC_STR("add")));
	expect(g, rc_str_eq(event.payload, RC_STR("one")) && event.timestamp_ms == 0);
	gateway_publish(g, 2);
	gateway_publish(g, 3);
	gateway_ack(g, 3);
	gateway_until_gone(g);
}

static void events_are_acknowledged_cumulatively(void **state)
{
	struct gateway *g = gateway_start(acknowledge_three_at_once);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r;

	(void)state;
	o.publisher = "p1";
	o.token = "secret";
	r = opened(&o);
	assert_int_equal(published(r, "one"), 1);
	assert_int_equal(published(r, "two"), 2);
	assert_int_equal(published(r, "three"), 3);
	assert_int_equal(ringcast_unacked(r), 3);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(ringcast_unacked(r), 0);
	assert_int_equal(ringcast_acked(r), 3);
	assert_int_equal(seen.acks, 1);
	assert_int_equal(seen.acked[0], 3);
	assert_string_equal(seen.epoch, "");
	ringcast_close(r);
	gateway_stop(g);
}

static void give_positions(struct gateway *g)
{
	struct rc_ingest_frame frame;
	unsigned char out[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_ack ack = {1, true, RC_STR("e1"), 42};

	gateway_greet(g, 0, 100);
	frame = gateway_expect(g, RINGCAST_FRAME_PUBLISH);
	expect(g, frame.flags == (RINGCAST_FLAG_JSON | RINGCAST_FLAG_POSITION));
	gateway_send(g, out, rc_ingest_ack_encode(out, sizeof(out), &ack));
	gateway_until_gone(g);
}

static void position_of_an_event_reaches_the_callback(void **state)
{
	struct gateway *g = gateway_start(give_positions);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);

	(void)state;
	assert_int_equal(ringcast_publish(r, "news", "add", "{}", 2,
				 RINGCAST_JSON | RINGCAST_POSITION, NULL),
		RINGCAST_OK);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_string_equal(seen.epoch, "e1");
	assert_int_equal(seen.offset, 42);
	ringcast_close(r);
	gateway_stop(g);
}

static void take_a_broadcast_with_a_time(struct gateway *g)
{
	struct rc_ingest_publish event;

	gateway_greet(g, 0, 100);
	expect(g, rc_ingest_broadcast_parse(
			  gateway_expect(g, RINGCAST_FRAME_BROADCAST).body, 0, &event) == 0);
	expect(g, event.sequence == 1 && rc_str_eq(event.event, RC_STR("notice")));
	expect(g, rc_str_eq(event.payload, RC_STR("hello")));
	event = gateway_publish(g, 2);
	expect(g, event.timestamp_ms == 1234567890123 && event.payload.len == 0);
	gateway_ack(g, 2);
	gateway_until_gone(g);
}

static void broadcast_and_publish_share_one_sequence(void **state)
{
	struct gateway *g = gateway_start(take_a_broadcast_with_a_time);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);

	(void)state;
	assert_int_equal(ringcast_broadcast(r, "notice", "hello", 5, 0, NULL), RINGCAST_OK);
	assert_int_equal(
		ringcast_publish_at(r, "c", "e", 1234567890123, NULL, 0, 0, NULL), RINGCAST_OK);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	ringcast_close(r);
	gateway_stop(g);
}

#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void take_one_with_a_trace(struct gateway *g)
{
	struct rc_ingest_publish event;

	gateway_greet(g, 0, 100);
	event = gateway_publish(g, 1);
	expect(g, event.trace.len == RINGCAST_TRACE_LEN && event.payload.len == 2);
	expect(g, memcmp(event.trace.ptr, "\x0a\xf7\x65", 3) == 0 && event.trace.ptr[24] == 1);
	event = gateway_publish(g, 2);
	expect(g, event.trace.len == 0 && event.payload.len == 2);
	gateway_ack(g, 2);
	gateway_until_gone(g);
}

static void a_trace_goes_with_the_events_that_follow_it(void **state)
{
	struct gateway *g = gateway_start(take_one_with_a_trace);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);

	(void)state;
	assert_int_equal(ringcast_set_trace(r, "00-xyz"), RINGCAST_INVALID);
	assert_int_equal(ringcast_set_trace(r, TRACE "0"), RINGCAST_INVALID);
	assert_int_equal(
		ringcast_set_trace(r, "00-00000000000000000000000000000000-b7ad6b7169203331-01"),
		RINGCAST_INVALID);
	assert_int_equal(ringcast_set_trace(r, TRACE), RINGCAST_OK);
	assert_int_equal(ringcast_publish(r, "c", "e", "{}", 2, RINGCAST_JSON, NULL), RINGCAST_OK);
	assert_int_equal(ringcast_set_trace(r, NULL), RINGCAST_OK);
	assert_int_equal(ringcast_publish(r, "c", "e", "{}", 2, RINGCAST_JSON, NULL), RINGCAST_OK);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	ringcast_close(r);
	gateway_stop(g);
}

static void take_messages_and_ends(struct gateway *g)
{
	struct rc_ingest_frame frame;
	struct rc_ingest_send send;
	struct rc_ingest_close end;

	gateway_greet(g, 0, 100);
	frame = gateway_expect(g, RINGCAST_FRAME_SEND);
	expect(g, rc_ingest_send_parse(frame.body, &send) == 0 && send.event.sequence == 1);
	expect(g, frame.flags == RINGCAST_FLAG_JSON && send.target.kind == RINGCAST_TARGET_USER);
	expect(g, rc_str_eq(send.target.list, RC_STR("\4anna")));
	expect(g, rc_str_eq(send.event.event, RC_STR("note")) &&
			  rc_str_eq(send.event.payload, RC_STR("{}")));
	frame = gateway_expect(g, RINGCAST_FRAME_SEND);
	expect(g, rc_ingest_send_parse(frame.body, &send) == 0 && send.target.count == 2);
	expect(g, rc_str_eq(send.target.list, RC_STR("\4anna\4bert")));
	frame = gateway_expect(g, RINGCAST_FRAME_SEND);
	expect(g, rc_ingest_send_parse(frame.body, &send) == 0);
	expect(g, send.target.kind == RINGCAST_TARGET_SESSION &&
			  rc_str_eq(send.target.list, RC_STR("cx")));
	frame = gateway_expect(g, RINGCAST_FRAME_CLOSE);
	expect(g, rc_ingest_close_parse(frame.body, &end) == 0 && end.sequence == 4);
	expect(g, end.code == 4005 && rc_str_eq(end.reason, RC_STR("bye")));
	frame = gateway_expect(g, RINGCAST_FRAME_CLOSE);
	expect(g, rc_ingest_close_parse(frame.body, &end) == 0 && end.reason.len == 0);
	expect(g, end.target.kind == RINGCAST_TARGET_SESSION && end.code == 0);
	gateway_ack(g, 5);
	gateway_until_gone(g);
}

static void messages_to_users_and_their_ends_share_the_sequence_of_events(void **state)
{
	static const char *const both[] = {"anna", "bert"};
	struct gateway *g = gateway_start(take_messages_and_ends);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);
	char longest[RINGCAST_USER_MAX + 2];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(ringcast_send_user(r, longest, "e", NULL, 0, 0, NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_send_user(r, "", "e", NULL, 0, 0, NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_send_user(r, NULL, "e", NULL, 0, 0, NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_send_users(r, both, 0, "e", NULL, 0, 0, NULL), RINGCAST_INVALID);
	assert_int_equal(
		ringcast_disconnect_user(r, "anna", 3999, NULL, 0, NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_disconnect_user(r, "anna", 0, NULL, RINGCAST_JSON, NULL),
		RINGCAST_INVALID);
	assert_int_equal(
		ringcast_send_user(r, "anna", "note", "{}", 2, RINGCAST_JSON, NULL), RINGCAST_OK);
	assert_int_equal(ringcast_send_users(r, both, 2, "note", NULL, 0, 0, NULL), RINGCAST_OK);
	assert_int_equal(ringcast_send_session(r, "cx", "note", NULL, 0, 0, NULL), RINGCAST_OK);
	assert_int_equal(ringcast_disconnect_user(r, "anna", 4005, "bye", 0, NULL), RINGCAST_OK);
	assert_int_equal(ringcast_disconnect_session(r, "cx", 0, NULL, 0, NULL), RINGCAST_OK);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(ringcast_acked(r), 5);
	ringcast_close(r);
	gateway_stop(g);
}

static void open_the_tap_slowly(struct gateway *g)
{
	gateway_greet(g, 0, 2);
	gateway_publish(g, 1);
	gateway_publish(g, 2);
	gateway_nothing_but_pong(g, 77);
	gateway_ack(g, 1);
	gateway_publish(g, 3);
	gateway_nothing_but_pong(g, 78);
	gateway_flow(g, 0);
	gateway_ack(g, 3);
	gateway_nothing_but_pong(g, 79);
	gateway_flow(g, 100);
	gateway_publish(g, 4);
	gateway_publish(g, 5);
	gateway_ack(g, 5);
	gateway_until_gone(g);
}

static void credit_that_ran_out_holds_events_back(void **state)
{
	struct gateway *g = gateway_start(open_the_tap_slowly);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);

	(void)state;
	for (int i = 0; i < 5; i++)
		published(r, "x");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(seen.acks, 3);
	ringcast_close(r);
	gateway_stop(g);
}

static void refuse_the_second(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	gateway_publish(g, 1);
	gateway_publish(g, 2);
	gateway_publish(g, 3);
	gateway_nack(g, 2, RINGCAST_NACK_FORBIDDEN, "not there");
	gateway_nack(g, 2, RINGCAST_NACK_FORBIDDEN, "twice");
	gateway_hang_up(g);
	/* The id is empty: all that is not decided comes again, and the refused one is. */
	gateway_greet(g, 0, 100);
	gateway_publish(g, 1);
	gateway_publish(g, 3);
	gateway_ack(g, 1);
	gateway_nack(g, 3, RINGCAST_NACK_OVER_CAPACITY, "full");
	gateway_until_gone(g);
}

static void refused_event_is_told_once_and_not_sent_again(void **state)
{
	struct gateway *g = gateway_start(refuse_the_second);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);

	(void)state;
	for (int i = 0; i < 3; i++)
		published(r, "x");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(seen.nacks, 2);
	assert_int_equal(seen.nacked[0], 2);
	assert_int_equal(seen.nacked[1], 3);
	assert_int_equal(seen.nack_code, RINGCAST_NACK_OVER_CAPACITY);
	assert_string_equal(seen.text, "full");
	assert_int_equal(ringcast_acked(r), 3);
	ringcast_close(r);
	gateway_stop(g);
}

static void take_batches(struct gateway *g)
{
	struct rc_ingest_batch it;
	struct rc_ingest_publish event;
	struct rc_ingest_frame frame;

	gateway_greet(g, 0, 2);
	frame = gateway_expect(g, RINGCAST_FRAME_BATCH);
	expect(g, frame.flags == 0 && rc_ingest_batch_check(frame.body, frame.flags) == 0);
	expect(g, rc_ingest_batch_begin(frame.body, frame.flags, &it) == 0 && it.left == 3);
	for (uint64_t sequence = 1; sequence <= 3; sequence++) {
		expect(g, rc_ingest_batch_next(&it, &event) == 1 && event.sequence == sequence);
		expect(g, rc_str_eq(event.payload, RC_STR("abc")));
	}
	/* Over the credit, as a batch may, and so nothing else follows. */
	gateway_nothing_but_pong(g, 1);
	gateway_nack(g, 2, RINGCAST_NACK_BAD_EVENT, "");
	gateway_ack(g, 3);
	frame = gateway_expect(g, RINGCAST_FRAME_BATCH);
	expect(g, frame.flags == RINGCAST_FLAG_JSON &&
			  rc_ingest_batch_check(frame.body, frame.flags) == 0);
	expect(g, rc_ingest_batch_begin(frame.body, frame.flags, &it) == 0 && it.left == 1);
	expect(g, gateway_expect(g, RINGCAST_FRAME_BROADCAST).flags == 0);
	gateway_ack(g, 5);
	gateway_until_gone(g);
}

static void batch_packs_events_of_the_same_flags_into_one_frame(void **state)
{
	struct gateway *g = gateway_start(take_batches);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r = opened(&o);

	(void)state;
	assert_int_equal(ringcast_batch_end(r), RINGCAST_MISUSE);
	assert_int_equal(ringcast_batch_begin(r), RINGCAST_OK);
	assert_int_equal(ringcast_batch_begin(r), RINGCAST_MISUSE);
	for (int i = 0; i < 3; i++)
		published(r, "abc");
	assert_int_equal(ringcast_publish(r, "c", "e", "{}", 2, RINGCAST_JSON, NULL), RINGCAST_OK);
	assert_int_equal(ringcast_broadcast(r, "e", "", 0, 0, NULL), RINGCAST_OK);
	assert_int_equal(ringcast_batch_end(r), RINGCAST_OK);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(seen.nacks, 1);
	assert_int_equal(seen.nacked[0], 2);
	assert_int_equal(seen.acked[seen.acks - 1], 5);
	ringcast_close(r);
	gateway_stop(g);
}

/* Takes what comes until so many events were there, checks what they say of themselves, acknowledges now and then. */
static void take_everything(struct gateway *g)
{
	uint64_t last = 0, frames = 0;

	gateway_greet(g, 0, 1000);
	while (last < g->note) {
		struct rc_ingest_frame frame;
		struct rc_ingest_batch it;
		struct rc_ingest_publish event;
		char want[32];

		expect(g, gateway_frame(g, &frame));
		if (frame.type == RINGCAST_FRAME_PUBLISH) {
			expect(g, rc_ingest_publish_parse(frame.body, frame.flags, &event) == 0);
			it = (struct rc_ingest_batch){{"", 0}, 0, false};
		} else {
			expect(g, frame.type == RINGCAST_FRAME_BATCH);
			expect(g, frame.total <= RINGCAST_FRAME_MAX_FLOOR);
			expect(g, rc_ingest_batch_check(frame.body, frame.flags) == 0);
			expect(g, rc_ingest_batch_begin(frame.body, frame.flags, &it) == 0);
			expect(g, rc_ingest_batch_next(&it, &event) == 1);
		}
		do {
			expect(g, event.sequence == ++last);
			snprintf(want, sizeof(want), "%llu", (unsigned long long)last);
			expect(g, event.payload.len >= strlen(want));
			expect(g, memcmp(event.payload.ptr, want, strlen(want)) == 0);
		} while (rc_ingest_batch_next(&it, &event) == 1);
		/* As the gateway does: for all that had come, at the latest when no more is there. */
		if (++frames % 7 == 0 || g->in_len == g->in_taken)
			gateway_ack(g, last);
	}
	gateway_until_gone(g);
}

static void window_goes_round_many_times(void **state)
{
	static char data[3000];
	struct gateway *g = calloc(1, sizeof(*g));
	struct seen seen;
	struct ringcast_options o;
	struct ringcast *r;

	(void)state;
	assert_non_null(g);
	gateway_bind(g);
	g->note = 20000;
	gateway_listen(g, take_everything);
	o = options_for(g, &seen);
	o.window_bytes = 10007;
	o.window_events = 50;
	r = opened(&o);
	for (unsigned i = 1; i <= 20000; i++) {
		size_t len = 10 + (i * 2654435761u >> 8) % (i % 50 == 0 ? 2900 : 100);
		bool batch = i / 100 % 3 == 1;

		if (i % 100 == 0 && batch)
			assert_int_equal(ringcast_batch_begin(r), RINGCAST_OK);
		memset(data, '.', len);
		data[snprintf(data, 12, "%u", i)] = '.';
		assert_int_equal(ringcast_publish(r, "channel", "event", data, len,
					 i % 3 == 0 ? RINGCAST_MORE : 0, NULL),
			RINGCAST_OK);
		assert_true(ringcast_unacked(r) <= 50);
		if (i % 100 == 99 && batch)
			assert_int_equal(ringcast_batch_end(r), RINGCAST_OK);
	}
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(ringcast_acked(r), 20000);
	ringcast_close(r);
	gateway_stop(g);
}

static void large_batches_are_split(void **state)
{
	static char data[2000];
	struct gateway *g = calloc(1, sizeof(*g));
	struct seen seen;
	struct ringcast_options o;
	struct ringcast *r;

	(void)state;
	assert_non_null(g);
	gateway_bind(g);
	g->note = 2000;
	gateway_listen(g, take_everything);
	o = options_for(g, &seen);
	r = opened(&o);
	assert_int_equal(ringcast_batch_begin(r), RINGCAST_OK);
	memset(data, '.', sizeof(data));
	for (int i = 1; i <= 2000; i++) {
		data[snprintf(data, 12, "%d", i)] = '.';
		assert_int_equal(
			ringcast_publish(r, "c", "e", data, sizeof(data), 0, NULL), RINGCAST_OK);
	}
	assert_int_equal(ringcast_batch_end(r), RINGCAST_OK);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	ringcast_close(r);
	gateway_stop(g);
}

static void acknowledge_one_when_told(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	gateway_publish(g, 1);
	gateway_publish(g, 2);
	/* The client looks for answers only after it found no room, so this can't come too early. */
	gateway_ack(g, 1);
	gateway_publish(g, 3);
	gateway_ack(g, 3);
	gateway_until_gone(g);
}

static void full_window_says_again_and_has_room_after_an_ack(void **state)
{
	struct gateway *g = calloc(1, sizeof(*g));
	struct seen seen;
	struct ringcast_options o;
	struct ringcast *r;

	(void)state;
	assert_non_null(g);
	gateway_bind(g); /* nobody listens yet */
	o = options_for(g, &seen);
	o.window_events = 2;
	o.publish_timeout_ms = 0;
	r = opened(&o);
	published(r, "1");
	published(r, "2");
	assert_int_equal(ringcast_publish(r, "news", "add", "3", 1, 0, NULL), RINGCAST_AGAIN);
	assert_int_equal(ringcast_unacked(r), 2);
	gateway_listen(g, acknowledge_one_when_told);
	while (seen.acks == 0)
		assert_int_equal(ringcast_poll(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(published(r, "3"), 3);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	ringcast_close(r);
	gateway_stop(g);
}

static void refuse_nothing(struct gateway *g)
{
	struct rc_ingest_welcome welcome = {.version = 1,
		.server = RC_STR("small"),
		.frame_max = 65536,
		.message_max = 100,
		.credit = 9};
	unsigned char out[RC_INGEST_ANSWER_MAX];

	gateway_accept(g);
	gateway_read_hello(g);
	gateway_send(g, out, rc_ingest_welcome_encode(out, sizeof(out), &welcome));
	gateway_publish(g, 2);
	gateway_ack(g, 2);
	gateway_until_gone(g);
}

static void event_too_large_for_the_gateway_is_refused_in_its_stead(void **state)
{
	static char data[70000];
	struct gateway *g = calloc(1, sizeof(*g));
	struct seen seen;
	struct ringcast_options o;
	struct ringcast *r;

	(void)state;
	assert_non_null(g);
	gateway_bind(g);
	o = options_for(g, &seen);
	o.window_bytes = 100000;
	r = opened(&o);
	/* Taken while the gateway's limit is not known. */
	assert_int_equal(ringcast_publish(r, "c", "e", data, sizeof(data), 0, NULL), RINGCAST_OK);
	published(r, "small");
	gateway_listen(g, refuse_nothing);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(seen.nacks, 1);
	assert_int_equal(seen.nacked[0], 1);
	assert_int_equal(seen.nack_code, RINGCAST_NACK_TOO_LARGE);
	assert_int_equal(ringcast_publish(r, "c", "e", data, 101, 0, NULL), RINGCAST_TOO_LARGE);
	assert_int_equal(ringcast_unacked(r), 0);
	ringcast_close(r);
	gateway_stop(g);
}

static void arguments_that_cannot_be_right_are_refused(void **state)
{
	struct gateway *g = calloc(1, sizeof(*g));
	struct seen seen;
	struct ringcast_options o;
	struct ringcast *r;
	char name[300];

	(void)state;
	assert_non_null(g);
	gateway_bind(g);
	o = options_for(g, &seen);
	o.publisher = "no spaces";
	assert_int_equal(ringcast_open(&r, &o), RINGCAST_INVALID);
	assert_null(r);
	o.publisher = NULL;
	o.window_events = 0;
	assert_int_equal(ringcast_open(&r, &o), RINGCAST_INVALID);
	o.window_events = 10;
	o.port = 0;
	o.host = "127.0.0.1:99999";
	assert_int_equal(ringcast_open(&r, &o), RINGCAST_INVALID);
	o.host = "[::1";
	assert_int_equal(ringcast_open(&r, &o), RINGCAST_INVALID);
	o = options_for(g, &seen);
	r = opened(&o);
	memset(name, 'n', sizeof(name));
	name[256] = 0;
	assert_int_equal(ringcast_publish(r, name, "e", "", 0, 0, NULL), RINGCAST_INVALID);
	name[129] = 0;
	assert_int_equal(ringcast_publish(r, "c", name, "", 0, 0, NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_publish(r, "", "e", "", 0, 0, NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_publish(r, "c", "", "", 0, 0, NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_publish(r, "c", NULL, "", 0, 0, NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_publish(r, "c", "e", NULL, 1, 0, NULL), RINGCAST_INVALID);
	assert_int_equal(ringcast_publish(r, "c", "e", "", 0, 0x10, NULL), RINGCAST_INVALID);
	assert_int_equal(
		ringcast_publish(r, "c", "e", name, SIZE_MAX, 0, NULL), RINGCAST_TOO_LARGE);
	assert_int_equal(
		ringcast_publish(r, "c", "e", name, (size_t)9 << 20, 0, NULL), RINGCAST_TOO_LARGE);
	assert_int_equal(ringcast_unacked(r), 0);
	for (int code = 0; code >= -8; code--)
		assert_string_not_equal(ringcast_strerror(code), ringcast_strerror(1));
	ringcast_close(r);
	ringcast_close(NULL);
	close(g->listener);
	free(g);
}

static void acknowledge_each_of(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	for (uint64_t sequence = 1; sequence <= 10; sequence++) {
		gateway_publish(g, sequence);
		gateway_ack(g, sequence);
	}
	gateway_until_gone(g);
}

struct chain {
	struct ringcast *r;
	int misuse, rc;
};

static void publish_the_next(void *user, uint64_t sequence, const char *epoch, uint64_t offset)
{
	struct chain *chain = user;

	(void)epoch, (void)offset;
	if (sequence < 10)
		chain->rc |= ringcast_publish(chain->r, "c", "e", "", 0, 0, NULL);
	chain->misuse += ringcast_flush(chain->r, 0) == RINGCAST_MISUSE;
	chain->misuse += ringcast_poll(chain->r, 0) == RINGCAST_MISUSE;
}

static void callbacks_may_publish_but_not_wait(void **state)
{
	struct gateway *g = gateway_start(acknowledge_each_of);
	struct chain chain = {0};
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);

	(void)state;
	o.user = &chain;
	o.ack = publish_the_next;
	o.nack = NULL;
	o.state = NULL;
	o.error = NULL;
	chain.r = opened(&o);
	published(chain.r, "first");
	assert_int_equal(ringcast_flush(chain.r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(ringcast_acked(chain.r), 10);
	assert_int_equal(chain.rc, RINGCAST_OK);
	assert_int_equal(chain.misuse, 20);
	ringcast_close(chain.r);
	gateway_stop(g);
}

static void loop_of_the_caller_can_drive_it(void **state)
{
	struct gateway *g = gateway_start(acknowledge_each_of);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r;

	(void)state;
	o.coalesce_bytes = 1 << 20; /* nothing leaves by publish itself */
	r = opened(&o);
	for (int i = 0; i < 10; i++)
		published(r, "x");
	drive_until_acked(r);
	assert_int_equal(ringcast_acked(r), 10);
	ringcast_close(r);
	gateway_stop(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_acknowledged_cumulatively),
		cmocka_unit_test(position_of_an_event_reaches_the_callback),
		cmocka_unit_test(broadcast_and_publish_share_one_sequence),
		cmocka_unit_test(a_trace_goes_with_the_events_that_follow_it),
		cmocka_unit_test(messages_to_users_and_their_ends_share_the_sequence_of_events),
		cmocka_unit_test(credit_that_ran_out_holds_events_back),
		cmocka_unit_test(refused_event_is_told_once_and_not_sent_again),
		cmocka_unit_test(batch_packs_events_of_the_same_flags_into_one_frame),
		cmocka_unit_test(window_goes_round_many_times),
		cmocka_unit_test(large_batches_are_split),
		cmocka_unit_test(full_window_says_again_and_has_room_after_an_ack),
		cmocka_unit_test(event_too_large_for_the_gateway_is_refused_in_its_stead),
		cmocka_unit_test(arguments_that_cannot_be_right_are_refused),
		cmocka_unit_test(callbacks_may_publish_but_not_wait),
		cmocka_unit_test(loop_of_the_caller_can_drive_it),
	};

	/* A test that hangs is a test that fails. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
