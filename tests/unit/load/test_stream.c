/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "../unit.h"

#include "load/stream.h"
#include "load/unpack.h"
#include "proto/deflate.h"
#include "proto/websocket.h"

#define WIRE_MAX 300000u

static unsigned char wire[WIRE_MAX], feed_buffer[LOAD_STREAM_HEADROOM + WIRE_MAX];
static size_t wire_len;

/* What the stream told. */
static struct {
	uint64_t last;
	uint32_t events, out_of_order, texts, pings, closes, corrupt;
	uint64_t text_bytes;
	char text[512]; /* the last one */
	char before[128];
	struct load_stream *stop;
} told;

static void on_event(void *ctx, const struct load_event *event, struct rc_str before)
{
	(void)ctx;
	told.events++;
	told.out_of_order += event->sequence != told.last + 1;
	told.last = event->sequence;
	snprintf(told.before, sizeof(told.before), "%.*s", (int)before.len, before.ptr);
}

static void on_text(void *ctx, struct rc_str text)
{
	(void)ctx;
	told.texts++;
	told.text_bytes += text.len;
	snprintf(told.text, sizeof(told.text), "%.*s", (int)text.len, text.ptr);
	if (told.stop)
		told.stop->stopped = true;
}

static void on_control(void *ctx, uint8_t opcode, struct rc_str payload)
{
	(void)ctx;
	told.pings += opcode == RC_WS_PING && rc_str_eq(payload, RC_STR("hey"));
	told.closes += opcode == RC_WS_CLOSE;
}

static void on_corrupt(void *ctx)
{
	(void)ctx;
	told.corrupt++;
}

static const struct load_stream_calls calls = {on_event, on_text, on_control, on_corrupt};

typedef const char *taker(struct load_stream *s, const struct load_stream_calls *calls, void *ctx,
	unsigned char *bytes, size_t len);

static const char *feed(taker *take, struct load_stream *s, size_t from, size_t to)
{
	unsigned char *at = feed_buffer + LOAD_STREAM_HEADROOM;

	memcpy(at, wire + from, to - from);
	return take(s, &calls, NULL, at, to - from);
}

/* All of the wire, in pieces of at most `piece` bytes. */
static const char *feed_all(taker *take, struct load_stream *s, size_t piece)
{
	const char *broken = NULL;

	memset(&told, 0, sizeof(told));
	for (size_t at = 0; at < wire_len && !broken; at += piece)
		broken = feed(take, s, at, RC_MIN(at + piece, wire_len));
	return broken;
}

static void put(const void *bytes, size_t len)
{
	assert_true(wire_len + len <= sizeof(wire));
	memcpy(wire + wire_len, bytes, len);
	wire_len += len;
}

static void put_frame(uint8_t opcode, bool fin, const void *payload, size_t len)
{
	unsigned char head[10];

	put(head, rc_ws_header(head, opcode, fin, len));
	put(payload, len);
}

/* An event into out, and its length. */
static size_t event(char *out, uint64_t sequence, uint32_t len)
{
	load_event_encode(out, &(struct load_event){.publisher = 1,
				       .channel = 7,
				       .len = len,
				       .sequence = sequence,
				       .time_ns = 1000 + sequence});
	return len;
}

/* {"offset":12,"data":"…"} */
static void put_enveloped(uint64_t sequence, uint32_t len)
{
	static char text[100000];
	size_t at = (size_t)sprintf(text, "{\"offset\":%u,\"data\":\"", (unsigned)sequence);

	at += event(text + at, sequence, len);
	at += (size_t)sprintf(text + at, "\"}");
	put_frame(RC_WS_TEXT, true, text, at);
}

static void put_mixed_wire(void)
{
	wire_len = 0;
	for (uint64_t i = 1; i <= 12; i++)
		put_enveloped(i, 64 + (uint32_t)i * 11);
	put_frame(RC_WS_PING, true, "hey", 3);
	put_frame(RC_WS_TEXT, true, "{\"type\":\"gap\"}", 14);
	put_enveloped(13, 128);
	put_frame(RC_WS_TEXT, true, "", 0);
	put_enveloped(14, 128);
}

/* ---- frames ------------------------------------------------------------------------------------- */

static void frames_cut_at_every_byte_tell_the_same(void **state)
{
	(void)state;
	put_mixed_wire();
	for (size_t cut = 0; cut <= wire_len; cut++) {
		struct load_stream s = {0};

		memset(&told, 0, sizeof(told));
		assert_null(feed(load_stream_take, &s, 0, cut));
		assert_null(feed(load_stream_take, &s, cut, wire_len));
		assert_int_equal(told.events, 14);
		assert_int_equal(told.out_of_order, 0);
		assert_int_equal(told.pings, 1);
		assert_int_equal(told.texts, 1);
		assert_string_equal(told.text, "{\"type\":\"gap\"}");
		assert_int_equal(told.corrupt, 0);
		assert_null(s.rest);
	}
}

static void frames_that_arrive_in_small_pieces_tell_the_same(void **state)
{
	(void)state;
	put_mixed_wire();
	for (size_t piece = 1; piece < 40; piece++) {
		struct load_stream s = {0};

		assert_null(feed_all(load_stream_take, &s, piece));
		assert_int_equal(told.events, 14);
		assert_int_equal(told.out_of_order, 0);
		assert_int_equal(told.texts, 1);
		assert_null(s.rest);
	}
}

static void nothing_is_kept_between_whole_frames(void **state)
{
	struct load_stream s = {0};

	(void)state;
	wire_len = 0;
	put_enveloped(1, 128);
	assert_null(feed(load_stream_take, &s, 0, 100));
	assert_true(load_stream_memory(&s) > 0);
	assert_null(feed(load_stream_take, &s, 100, wire_len));
	assert_int_equal(load_stream_memory(&s), 0);
}

static void large_frames_are_taken_in_pieces(void **state)
{
	(void)state;
	wire_len = 0;
	put_enveloped(1, 5000);
	put_enveloped(2, 70000);
	put_enveloped(3, 128);
	for (size_t piece = 100; piece < 80000; piece += 997) {
		struct load_stream s = {0};

		assert_null(feed_all(load_stream_take, &s, piece));
		assert_int_equal(told.events, 3);
		assert_int_equal(told.out_of_order, 0);
		assert_int_equal(told.corrupt, 0);
		assert_null(s.rest);
	}
}

static void several_events_in_a_frame_are_all_found(void **state)
{
	static char text[8192];
	size_t at = 0;

	(void)state;
	wire_len = 0;
	for (uint64_t i = 1; i <= 5; i++) {
		at += (size_t)sprintf(text + at, "MSG load:7 1 %u\r\n", 100 + (unsigned)i);
		at += event(text + at, i, 100 + (uint32_t)i);
		at += (size_t)sprintf(text + at, "\r\n");
	}
	put_frame(RC_WS_BINARY, true, text, at);
	put_frame(RC_WS_BINARY, true, text, 0);
	for (size_t cut = 0; cut <= wire_len; cut++) {
		struct load_stream s = {0};

		memset(&told, 0, sizeof(told));
		assert_null(feed(load_stream_take, &s, 0, cut));
		assert_null(feed(load_stream_take, &s, cut, wire_len));
		assert_int_equal(told.events, 5);
		assert_int_equal(told.out_of_order, 0);
	}
}

static void an_event_over_two_frames_is_one_event(void **state)
{
	char bytes[200];
	size_t len = event(bytes, 2, 150);

	(void)state;
	for (size_t split = 0; split <= len; split++) {
		/* Two messages, and two fragments of one. */
		for (int fragments = 0; fragments < 2; fragments++) {
			wire_len = 0;
			put_enveloped(1, 128);
			put_frame(RC_WS_TEXT, !fragments, bytes, split);
			put_frame(RC_WS_PING, true, "hey", 3);
			put_frame(fragments ? RC_WS_CONTINUATION : RC_WS_TEXT, true, bytes + split,
				len - split);
			put_enveloped(3, 128);
			for (size_t piece = 1; piece < wire_len; piece += 61) {
				struct load_stream s = {0};

				assert_null(feed_all(load_stream_take, &s, piece));
				assert_int_equal(told.events, 3);
				assert_int_equal(told.out_of_order, 0);
				assert_int_equal(told.corrupt, 0);
				assert_null(s.rest);
			}
		}
	}
}

static void an_event_cut_off_by_the_server_is_corrupt_and_the_next_is_found(void **state)
{
	char bytes[200];
	size_t len = event(bytes, 1, 150);
	struct load_stream s = {0};

	(void)state;
	wire_len = 0;
	put_frame(RC_WS_TEXT, true, bytes, len - 20);
	put_enveloped(1, 128);
	put_enveloped(2, 128);
	assert_null(feed_all(load_stream_take, &s, wire_len));
	assert_int_equal(told.corrupt, 1);
	assert_int_equal(told.events, 2);
	assert_int_equal(told.last, 2);
	load_stream_deinit(&s);
}

static void an_altered_byte_is_corrupt(void **state)
{
	(void)state;
	wire_len = 0;
	put_enveloped(1, 128);
	put_enveloped(2, 128);
	for (size_t i = wire_len - 128; i < wire_len - 2; i++) {
		struct load_stream s = {0};

		wire[i] ^= 1;
		assert_null(feed_all(load_stream_take, &s, wire_len));
		/* Without a magic nothing tells that it was to be an event: its sequence is missing then. */
		assert_true(told.corrupt == 1 || (told.corrupt == 0 && told.texts == 1));
		assert_int_equal(told.events, 1);
		wire[i] ^= 1;
		load_stream_deinit(&s);
	}
}

static void what_stands_before_an_event_is_told(void **state)
{
	struct load_stream s = {0};

	(void)state;
	wire_len = 0;
	put_enveloped(1, 128);
	assert_null(feed_all(load_stream_take, &s, wire_len));
	assert_string_equal(told.before, "{\"offset\":1,\"data\":\"");
	assert_null(feed_all(load_stream_take, &s, wire_len)); /* by the fast path now */
	assert_string_equal(told.before, "{\"offset\":1,\"data\":\"");
}

static void an_attentive_stream_tells_text_beside_events(void **state)
{
	char text[300];
	size_t at = event(text, 1, 100);
	struct load_stream s = {.attentive = true};

	(void)state;
	at += (size_t)sprintf(text + at, "PONG");
	wire_len = 0;
	put_frame(RC_WS_TEXT, true, text, at);
	assert_null(feed_all(load_stream_take, &s, wire_len));
	assert_int_equal(told.events, 1);
	assert_string_equal(told.text, "PONG");
}

static void a_stopped_stream_takes_no_more(void **state)
{
	struct load_stream s = {0};

	(void)state;
	wire_len = 0;
	put_frame(RC_WS_TEXT, true, "enough", 6);
	put_enveloped(1, 128);
	memset(&told, 0, sizeof(told));
	told.stop = &s;
	assert_null(feed(load_stream_take, &s, 0, wire_len));
	assert_int_equal(told.texts, 1);
	assert_int_equal(told.events, 0);
	load_stream_deinit(&s);
}

/* ---- what no server may send -------------------------------------------------------------------- */

static const char *broken_by(const void *bytes, size_t len)
{
	struct load_stream s = {0};
	const char *broken;

	wire_len = 0;
	put(bytes, len);
	broken = feed_all(load_stream_take, &s, len);
	load_stream_deinit(&s);
	return broken;
}

static void frames_that_no_server_may_send_break_the_stream(void **state)
{
	(void)state;
	assert_string_equal(
		broken_by("\x81\x85\0\0\0\0hello", 11), "a frame of the server is masked");
	assert_string_equal(broken_by("\xc1\x01x", 3), "a reserved bit is set");
	assert_string_equal(broken_by("\x91\x01x", 3), "a reserved bit is set");
	assert_string_equal(broken_by("\x83\x01x", 3), "an unknown opcode");
	assert_string_equal(broken_by("\x8b\x01x", 3), "an unknown opcode");
	assert_string_equal(broken_by("\x80\x01x", 3), "a continuation of no message");
	assert_string_equal(broken_by("\x01\x01x\x81\x01x", 6), "a message begins inside another");
	assert_string_equal(broken_by("\x09\x01x", 3), "a control frame is long or in fragments");
	assert_string_equal(
		broken_by("\x89\x7e\x00\x7e", 4), "a control frame is long or in fragments");
	assert_string_equal(
		broken_by("\x81\x7f\0\0\0\1\0\0\0\0", 10), "a frame is longer than any event");
	assert_string_equal(
		broken_by("\x81\x7f\xff\0\0\0\0\0\0\0", 10), "a frame is longer than any event");
}

static void a_fragment_that_is_cut_is_not_taken_for_a_second_one(void **state)
{
	(void)state;
	wire_len = 0;
	put_frame(RC_WS_TEXT, false, "one", 3);
	put_frame(RC_WS_CONTINUATION, false, "two", 3);
	put_frame(RC_WS_CONTINUATION, true, "three", 5);
	put_enveloped(1, 100);
	for (size_t piece = 1; piece <= wire_len; piece++) {
		struct load_stream s = {0};

		assert_null(feed_all(load_stream_take, &s, piece));
		assert_int_equal(told.texts, 3);
		assert_int_equal(told.events, 1);
	}
}

/* ---- SSE ---------------------------------------------------------------------------------------- */

static void put_sse(uint64_t sequence, uint32_t len)
{
	char text[4096];
	size_t at = (size_t)sprintf(
		text, "event: tick\r\nid: e@%u\r\ndata: {\"data\":\"", (unsigned)sequence);

	at += event(text + at, sequence, len);
	at += (size_t)sprintf(text + at, "\"}\r\n\r\n");
	put(text, at);
}

static void a_plain_sse_body_cut_at_every_byte_tells_the_same(void **state)
{
	(void)state;
	wire_len = 0;
	for (uint64_t i = 1; i <= 4; i++)
		put_sse(i, 64 + (uint32_t)i * 30);
	for (size_t cut = 0; cut <= wire_len; cut++) {
		struct load_stream s = {.chunk = LOAD_BODY_PLAIN};

		memset(&told, 0, sizeof(told));
		if (cut > 0)
			assert_null(feed(load_stream_take_sse, &s, 0, cut));
		if (cut < wire_len)
			assert_null(feed(load_stream_take_sse, &s, cut, wire_len));
		assert_int_equal(told.events, 4);
		assert_int_equal(told.out_of_order, 0);
		assert_null(s.rest);
	}
}

/* Chunks of `size` bytes of the body on the wire. */
static void chunked(size_t size)
{
	static unsigned char body[8192];
	size_t len = wire_len;
	char head[64];

	assert_true(len <= sizeof(body));
	memcpy(body, wire, len);
	wire_len = 0;
	for (size_t at = 0; at < len; at += size) {
		size_t n = RC_MIN(size, len - at);

		put(head, (size_t)sprintf(head, at % 2 ? "%zx\r\n" : "%zX;name=value\r\n", n));
		put(body + at, n);
		put("\r\n", 2);
	}
}

static void a_chunked_sse_body_cut_at_every_byte_tells_the_same(void **state)
{
	static const size_t sizes[] = {1, 7, 64, 301, 4096};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(sizes); i++) {
		wire_len = 0;
		put_sse(1, 100);
		put_sse(2, 200);
		chunked(sizes[i]);
		for (size_t cut = 1; cut < wire_len; cut++) {
			struct load_stream s = {.chunk = LOAD_CHUNK_SIZE};

			memset(&told, 0, sizeof(told));
			assert_null(feed(load_stream_take_sse, &s, 0, cut));
			assert_null(feed(load_stream_take_sse, &s, cut, wire_len));
			assert_int_equal(told.events, 2);
			assert_int_equal(told.out_of_order, 0);
			assert_null(s.rest);
		}
	}
}

static void chunks_that_lie_break_the_stream(void **state)
{
	static const struct {
		const char *bytes, *broken;
	} cases[] = {
		{"3\r\nabcd", "a chunk does not end where it said"},
		{"fffffffff\r\n", "a chunk is longer than any event"},
		{"3\r\nabc\r\n0\r\n\r\n", "the server ended the stream"},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		struct load_stream s = {.chunk = LOAD_CHUNK_SIZE};

		wire_len = 0;
		put(cases[i].bytes, strlen(cases[i].bytes));
		assert_string_equal(feed_all(load_stream_take_sse, &s, wire_len), cases[i].broken);
		load_stream_deinit(&s);
	}
}

static struct rc_deflater *deflater;

static void put_deflated(uint64_t sequence, uint32_t len)
{
	char text[3000], packed[3000];
	size_t at = event(text, sequence, len), begin = wire_len;
	size_t made = rc_deflate(deflater, 15, text, at, packed, sizeof(packed));

	assert_in_range(made, 1, len - 1);
	put_frame(RC_WS_TEXT, true, packed, made);
	wire[begin] |= RC_WS_RSV1;
}

static void deflated_frames_cut_at_every_byte_tell_the_same(void **state)
{
	(void)state;
	void *memory = aligned_alloc(64, rc_align_up(rc_deflater_bytes(), 64));
	deflater = rc_deflater_init(memory, 3);
	wire_len = 0;
	/* Each comes twice, and is inflated once; more than are kept. */
	for (uint64_t i = 1; i <= 300; i++)
		put_deflated(i, 1000);
	for (size_t round = 0; round < 2; round++) {
		struct load_stream s = {.deflates = true};

		assert_null(feed_all(load_stream_take, &s, 1500));
		assert_int_equal(told.events, 300);
		assert_int_equal(told.out_of_order + told.corrupt + told.texts, 0);
		load_stream_deinit(&s);
	}
	wire_len = 0;
	put_deflated(1, 1000);
	put_enveloped(2, 100);
	for (size_t cut = 0; cut <= wire_len; cut++) {
		struct load_stream s = {.deflates = true};

		memset(&told, 0, sizeof(told));
		assert_null(feed(load_stream_take, &s, 0, cut));
		assert_null(feed(load_stream_take, &s, cut, wire_len));
		assert_int_equal(told.events, 2);
		load_stream_deinit(&s);
	}
	free(memory);
}

static void deflated_frames_that_no_server_may_send_break_the_stream(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool offered;
		const char *broken;
	} cases[] = {
		{"\xc1\x01\x00", 3, false, "a reserved bit is set"},
		{"\xc9\x01\x00", 3, true, "a reserved bit is set"},
		{"\xe1\x01\x00", 3, true, "a reserved bit is set"},
		{"\xc1\x02\xff\xff", 4, true, "a deflated message can't be inflated"},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		struct load_stream s = {.deflates = cases[i].offered};

		wire_len = 0;
		put(cases[i].bytes, cases[i].len);
		assert_string_equal(feed_all(load_stream_take, &s, wire_len), cases[i].broken);
		load_stream_deinit(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_cut_at_every_byte_tell_the_same),
		cmocka_unit_test(frames_that_arrive_in_small_pieces_tell_the_same),
		cmocka_unit_test(nothing_is_kept_between_whole_frames),
		cmocka_unit_test(large_frames_are_taken_in_pieces),
		cmocka_unit_test(several_events_in_a_frame_are_all_found),
		cmocka_unit_test(an_event_over_two_frames_is_one_event),
		cmocka_unit_test(an_event_cut_off_by_the_server_is_corrupt_and_the_next_is_found),
		cmocka_unit_test(an_altered_byte_is_corrupt),
		cmocka_unit_test(what_stands_before_an_event_is_told),
		cmocka_unit_test(an_attentive_stream_tells_text_beside_events),
		cmocka_unit_test(a_stopped_stream_takes_no_more),
		cmocka_unit_test(frames_that_no_server_may_send_break_the_stream),
		cmocka_unit_test(a_fragment_that_is_cut_is_not_taken_for_a_second_one),
		cmocka_unit_test(a_plain_sse_body_cut_at_every_byte_tells_the_same),
		cmocka_unit_test(a_chunked_sse_body_cut_at_every_byte_tells_the_same),
		cmocka_unit_test(chunks_that_lie_break_the_stream),
		cmocka_unit_test(deflated_frames_cut_at_every_byte_tell_the_same),
		cmocka_unit_test(deflated_frames_that_no_server_may_send_break_the_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
