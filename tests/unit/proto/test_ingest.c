/* SPDX-License-Identifier: Apache-2.0
 *
 * The ingest frames, against bytes that are written out by hand where the specification fixes them, and against
 * themselves where it does not.
 */
#include "proto/ingest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define FRAME_MAX 65536

#define assert_str(actual, text) assert_true(rc_str_eq(actual, rc_str_of(text)))

static struct rc_ingest_frame frame_of(const void *bytes, size_t len)
{
	struct rc_ingest_frame frame;

	assert_int_equal(rc_ingest_frame(bytes, len, FRAME_MAX, &frame), 0);
	assert_int_equal(frame.total, len);
	return frame;
}

/* A copy of exactly that size on the heap, so that ASan sees a read beyond it. */
static struct rc_str heap_copy(struct rc_str bytes, size_t len)
{
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	if (len)
		memcpy(copy, bytes.ptr, len);
	return (struct rc_str){copy, len};
}

static void frame_tells_how_many_bytes_it_needs(void **state)
{
	const unsigned char bytes[] = {6, 0, 0, 0, 5, 1, 0, 0, 'a', 'b', 'X'};
	struct rc_ingest_frame frame;

	(void)state;
	for (size_t len = 0; len < 4; len++) {
		assert_int_equal(rc_ingest_frame(bytes, len, FRAME_MAX, &frame), 1);
		assert_int_equal(frame.total, 0);
	}
	for (size_t len = 4; len < 10; len++) {
		assert_int_equal(rc_ingest_frame(bytes, len, FRAME_MAX, &frame), 1);
		assert_int_equal(frame.total, 10);
	}
	assert_int_equal(rc_ingest_frame(bytes, sizeof(bytes), FRAME_MAX, &frame), 0);
	assert_int_equal(frame.total, 10);
	assert_int_equal(frame.type, 5);
	assert_int_equal(frame.flags, 1);
	assert_str(frame.body, "ab");
	assert_ptr_equal(frame.body.ptr, bytes + 8);
}

static void frame_over_the_limit_is_refused_as_soon_as_the_length_is_known(void **state)
{
	const unsigned char bytes[] = {0xfd, 0xff, 0, 0};
	const unsigned char huge[] = {0xff, 0xff, 0xff, 0xff};
	struct rc_ingest_frame frame;

	(void)state;
	assert_int_equal(rc_ingest_frame(bytes, 4, 65536, &frame), -EMSGSIZE);
	assert_int_equal(rc_ingest_frame(bytes, 4, 65537, &frame), 1);
	assert_int_equal(frame.total, 65537);
	assert_int_equal(rc_ingest_frame(huge, 4, 65536, &frame), -EMSGSIZE);
}

static void frame_with_a_length_below_four_or_reserved_bits_is_broken(void **state)
{
	unsigned char bytes[] = {3, 0, 0, 0, 8, 0, 0, 0};
	struct rc_ingest_frame frame;

	(void)state;
	assert_int_equal(rc_ingest_frame(bytes, 4, FRAME_MAX, &frame), -EBADMSG);
	bytes[0] = 4;
	assert_int_equal(rc_ingest_frame(bytes, 8, FRAME_MAX, &frame), 0);
	assert_int_equal(frame.body.len, 0);
	bytes[6] = 1;
	assert_int_equal(rc_ingest_frame(bytes, 8, FRAME_MAX, &frame), -EBADMSG);
	bytes[6] = 0, bytes[7] = 0x80;
	assert_int_equal(rc_ingest_frame(bytes, 8, FRAME_MAX, &frame), -EBADMSG);
}

static void publish_is_laid_out_as_specified(void **state)
{
	static const unsigned char want[] = {
		34,
		0,
		0,
		0,
		2,
		9,
		0,
		0, /* length, PUBLISH, JSON | DURABLE, reserved */
		0x08,
		0x07,
		6,
		5,
		4,
		3,
		2,
		1, /* sequence */
		4,
		'n',
		'e',
		'w',
		's',
		3,
		'a',
		'd',
		'd', /* channel, event */
		0x10,
		0x32,
		0x54,
		0x76,
		1,
		0,
		0,
		0, /* timestamp */
		'{',
		'"',
		'a',
		'"',
		'}',
	};
	struct rc_ingest_publish event = {.sequence = 0x0102030405060708,
		.timestamp_ms = 0x176543210,
		.channel = RC_STR("news"),
		.event = RC_STR("add"),
		.payload = RC_STR("{\"a\"}")};
	struct rc_ingest_publish back;
	struct rc_ingest_frame frame;
	unsigned char out[64];

	(void)state;
	assert_int_equal(rc_ingest_publish_encode(out, sizeof(out),
				 RINGCAST_FLAG_JSON | RINGCAST_FLAG_DURABLE, &event),
		sizeof(want));
	assert_memory_equal(out, want, sizeof(want));
	frame = frame_of(want, sizeof(want));
	assert_int_equal(frame.type, RINGCAST_FRAME_PUBLISH);
	assert_int_equal(rc_ingest_publish_parse(frame.body, frame.flags, &back), 0);
	assert_true(back.sequence == event.sequence && back.timestamp_ms == event.timestamp_ms);
	assert_str(back.channel, "news");
	assert_str(back.event, "add");
	assert_str(back.payload, "{\"a\"}");
}

static void hello_is_laid_out_as_specified(void **state)
{
	static const unsigned char want[] = {
		25,
		0,
		0,
		0,
		1,
		0,
		0,
		0,
		'R',
		'C',
		'S',
		'T',
		1,
		2,
		'p',
		'1',
		2,
		0,
		't',
		'k',
		7,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		'x',
	};
	struct rc_ingest_hello hello = {
		.version = 1, .publisher = RC_STR("p1"), .token = RC_STR("tk"), .last_known = 7};
	struct rc_ingest_hello back;
	unsigned char out[64];
	size_t len = rc_ingest_hello_encode(out, sizeof(out), &hello);

	(void)state;
	assert_int_equal(len, sizeof(want) - 1);
	assert_int_equal(out[0], 24);
	assert_memory_equal(out + 1, want + 1, len - 1);
	/* One byte more than version 1 knows of is skipped. */
	assert_int_equal(rc_ingest_hello_parse(frame_of(want, sizeof(want)).body, &back), 0);
	assert_int_equal(back.version, 1);
	assert_str(back.publisher, "p1");
	assert_str(back.token, "tk");
	assert_true(back.last_known == 7);
}

static void hello_names_what_is_wrong_with_it(void **state)
{
	struct rc_ingest_hello hello = {.version = 2};
	struct rc_ingest_hello back;
	unsigned char out[512];
	char longest[66];
	size_t len;

	(void)state;
	len = rc_ingest_hello_encode(out, sizeof(out), &hello);
	assert_int_equal(rc_ingest_hello_parse(frame_of(out, len).body, &back), -EPROTONOSUPPORT);
	assert_int_equal(back.version, 2);
	out[8] = 'X';
	assert_int_equal(rc_ingest_hello_parse(frame_of(out, len).body, &back), -EPROTO);
	hello.version = 1;
	hello.publisher = RC_STR("a b");
	len = rc_ingest_hello_encode(out, sizeof(out), &hello);
	assert_int_equal(rc_ingest_hello_parse(frame_of(out, len).body, &back), -EINVAL);

	memset(longest, 'p', sizeof(longest));
	assert_true(rc_ingest_publisher_valid((struct rc_str){longest, 64}));
	assert_false(rc_ingest_publisher_valid((struct rc_str){longest, 65}));
	assert_true(rc_ingest_publisher_valid(RC_STR("Az09_.:-")));
	assert_true(rc_ingest_publisher_valid(RC_STR("")));
	assert_false(rc_ingest_publisher_valid(RC_STR("a/b")));
	assert_false(rc_ingest_publisher_valid(RC_STR("\xc3\xa9")));
}

static void welcome_goes_round(void **state)
{
	struct rc_ingest_welcome welcome = {.version = 1,
		.server = RC_STR("0.1.0"),
		.last_sequence = UINT64_MAX,
		.frame_max = 1 << 20,
		.message_max = 1 << 19,
		.credit = 4096};
	struct rc_ingest_welcome back;
	unsigned char out[RC_INGEST_ANSWER_MAX];
	size_t len = rc_ingest_welcome_encode(out, sizeof(out), &welcome);

	(void)state;
	assert_int_equal(len, 8 + 4 + 1 + 1 + 5 + 8 + 4 + 4 + 4);
	assert_int_equal(rc_ingest_welcome_parse(frame_of(out, len).body, &back), 0);
	assert_str(back.server, "0.1.0");
	assert_true(back.last_sequence == UINT64_MAX);
	assert_int_equal(back.frame_max, 1 << 20);
	assert_int_equal(back.message_max, 1 << 19);
	assert_int_equal(back.credit, 4096);
	out[12] = 9;
	assert_int_equal(rc_ingest_welcome_parse(frame_of(out, len).body, &back), -EPROTONOSUPPORT);
}

static void sequence_zero_is_never_read(void **state)
{
	struct rc_ingest_publish event = {
		.channel = RC_STR("c"), .event = RC_STR("e"), .payload = RC_STR("")};
	struct rc_ingest_publish back;
	unsigned char out[64];
	size_t len = rc_ingest_publish_encode(out, sizeof(out), 0, &event);

	(void)state;
	assert_int_equal(rc_ingest_publish_parse(frame_of(out, len).body, 0, &back), -EBADMSG);
	len = rc_ingest_broadcast_encode(out, sizeof(out), 0, &event);
	assert_int_equal(rc_ingest_broadcast_parse(frame_of(out, len).body, 0, &back), -EBADMSG);
}

static size_t batch_of_three(unsigned char *out, size_t cap)
{
	struct rc_ingest_publish event = {.sequence = 5,
		.channel = RC_STR("c"),
		.event = RC_STR("e"),
		.payload = RC_STR("one")};
	size_t used = rc_ingest_batch_encode_begin(out, cap, RINGCAST_FLAG_JSON);

	used = rc_ingest_batch_encode_add(out, cap, used, &event);
	event.sequence = 6, event.payload = RC_STR("");
	used = rc_ingest_batch_encode_add(out, cap, used, &event);
	event.sequence = 9, event.payload = RC_STR("three"), event.timestamp_ms = 77;
	used = rc_ingest_batch_encode_add(out, cap, used, &event);
	assert_true(used != 0);
	return rc_ingest_batch_encode_end(out, used);
}

static void batch_yields_its_events_in_order_and_then_ends(void **state)
{
	unsigned char out[128];
	size_t len = batch_of_three(out, sizeof(out));
	struct rc_ingest_frame frame = frame_of(out, len);
	struct rc_ingest_batch it;
	struct rc_ingest_publish event;

	(void)state;
	assert_int_equal(frame.type, RINGCAST_FRAME_BATCH);
	assert_int_equal(frame.flags, RINGCAST_FLAG_JSON);
	assert_int_equal(rc_ingest_batch_check(frame.body, frame.flags), 0);
	assert_int_equal(rc_ingest_batch_begin(frame.body, frame.flags, &it), 0);
	assert_int_equal(it.left, 3);
	assert_int_equal(rc_ingest_batch_next(&it, &event), 1);
	assert_true(event.sequence == 5);
	assert_str(event.payload, "one");
	assert_int_equal(rc_ingest_batch_next(&it, &event), 1);
	assert_true(event.sequence == 6);
	assert_int_equal(event.payload.len, 0);
	assert_int_equal(rc_ingest_batch_next(&it, &event), 1);
	assert_true(event.sequence == 9 && event.timestamp_ms == 77);
	assert_str(event.payload, "three");
	assert_str(event.channel, "c");
	assert_int_equal(rc_ingest_batch_next(&it, &event), 0);
	assert_int_equal(rc_ingest_batch_next(&it, &event), 0);
}

static void batch_that_is_broken_anywhere_is_refused_whole(void **state)
{
	unsigned char out[128];
	size_t len = batch_of_three(out, sizeof(out));
	struct rc_str body = frame_of(out, len).body;

	(void)state;
	for (size_t cut = 0; cut < body.len; cut++) {
		struct rc_str copy = heap_copy(body, cut);
		assert_int_equal(rc_ingest_batch_check(copy, 0), -EBADMSG);
		free((void *)(uintptr_t)copy.ptr);
	}
	out[8] = 2; /* one event is left over */
	assert_int_equal(rc_ingest_batch_check(body, 0), -EBADMSG);
	out[8] = 4;
	assert_int_equal(rc_ingest_batch_check(body, 0), -EBADMSG);
	out[8] = 0;
	assert_int_equal(rc_ingest_batch_check(body, 0), -EBADMSG);
	out[8] = 3;
	assert_int_equal(rc_ingest_batch_check(body, 0), 0);
	out[10] = 6; /* 6, 6, 9 */
	assert_int_equal(rc_ingest_batch_check(body, 0), -EBADMSG);
	out[10] = 0;
	assert_int_equal(rc_ingest_batch_check(body, 0), -EBADMSG);
}

static void batch_encoder_leaves_the_buffer_as_it_was_when_an_event_does_not_fit(void **state)
{
	struct rc_ingest_publish event = {.sequence = 1,
		.channel = RC_STR("c"),
		.event = RC_STR("e"),
		.payload = RC_STR("1234")};
	unsigned char out[64];
	size_t one = rc_ingest_batch_encode_add(
		out, sizeof(out), rc_ingest_batch_encode_begin(out, sizeof(out), 0), &event);

	(void)state;
	assert_int_equal(one, 10 + 8 + 2 + 2 + 8 + 4 + 4);
	assert_int_equal(rc_ingest_batch_encode_add(out, one + 27, one, &event), 0);
	assert_int_equal(out[8], 1);
	assert_int_equal(rc_ingest_batch_encode_end(out, one), one);
	assert_int_equal(rc_ingest_batch_check(frame_of(out, one).body, 0), 0);
	assert_int_equal(rc_ingest_batch_encode_begin(out, 9, 0), 0);
}

static void ack_carries_a_position_when_flagged(void **state)
{
	struct rc_ingest_ack ack = {.sequence = 12}, back;
	unsigned char out[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_frame frame;
	size_t len = rc_ingest_ack_encode(out, sizeof(out), &ack);

	(void)state;
	assert_int_equal(len, 16);
	frame = frame_of(out, len);
	assert_int_equal(rc_ingest_ack_parse(frame.body, frame.flags, &back), 0);
	assert_true(back.sequence == 12 && !back.positioned);
	assert_int_equal(rc_ingest_ack_parse(frame.body, RINGCAST_FLAG_POSITION, &back), -EBADMSG);

	ack = (struct rc_ingest_ack){12, true, RC_STR("e1"), 42};
	len = rc_ingest_ack_encode(out, sizeof(out), &ack);
	frame = frame_of(out, len);
	assert_int_equal(frame.flags, RINGCAST_FLAG_POSITION);
	assert_int_equal(rc_ingest_ack_parse(frame.body, frame.flags, &back), 0);
	assert_true(back.positioned && back.offset == 42);
	assert_str(back.epoch, "e1");
	assert_int_equal(rc_ingest_ack_parse(frame.body, 0, &back), -EBADMSG);
}

static void text_that_is_too_long_is_cut_between_characters(void **state)
{
	char text[300];
	struct rc_ingest_nack nack = {7, RINGCAST_NACK_FORBIDDEN, {text, sizeof(text)}}, back;
	struct rc_ingest_error error = {RINGCAST_ERROR_VERSION, {text, sizeof(text)}}, error_back;
	unsigned char out[RC_INGEST_ANSWER_MAX];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text + 253, "\xe2\x82\xac", 3); /* would be cut after its second byte */
	assert_int_equal(
		rc_ingest_nack_parse(
			frame_of(out, rc_ingest_nack_encode(out, sizeof(out), &nack)).body, &back),
		0);
	assert_true(back.sequence == 7 && back.code == RINGCAST_NACK_FORBIDDEN);
	assert_int_equal(back.text.len, 253);
	memset(text, 'x', sizeof(text));
	assert_int_equal(
		rc_ingest_error_parse(
			frame_of(out, rc_ingest_error_encode(out, sizeof(out), &error)).body,
			&error_back),
		0);
	assert_int_equal(error_back.text.len, 255);
	assert_int_equal(error_back.code, RINGCAST_ERROR_VERSION);
}

static void control_frames_go_round_and_refuse_one_byte_more_or_less(void **state)
{
	struct rc_ingest_bye bye = {RINGCAST_BYE_SHUTDOWN, 1500}, bye_back;
	struct rc_ingest_frame frame;
	unsigned char out[64];
	uint64_t token;
	uint32_t credit;

	(void)state;
	frame = frame_of(out, rc_ingest_flow_encode(out, sizeof(out), 99));
	assert_int_equal(frame.type, RINGCAST_FRAME_FLOW);
	assert_int_equal(rc_ingest_flow_parse(frame.body, &credit), 0);
	assert_int_equal(credit, 99);
	frame.body.len++;
	assert_int_equal(rc_ingest_flow_parse(frame.body, &credit), -EBADMSG);
	frame.body.len -= 2;
	assert_int_equal(rc_ingest_flow_parse(frame.body, &credit), -EBADMSG);

	frame = frame_of(out, rc_ingest_ping_encode(out, sizeof(out), 1234567890123));
	assert_int_equal(frame.type, RINGCAST_FRAME_PING);
	assert_int_equal(rc_ingest_ping_parse(frame.body, &token), 0);
	assert_true(token == 1234567890123);
	frame.body.len--;
	assert_int_equal(rc_ingest_ping_parse(frame.body, &token), -EBADMSG);
	frame = frame_of(out, rc_ingest_pong_encode(out, sizeof(out), token));
	assert_int_equal(frame.type, RINGCAST_FRAME_PONG);

	frame = frame_of(out, rc_ingest_bye_encode(out, sizeof(out), &bye));
	assert_int_equal(frame.type, RINGCAST_FRAME_BYE);
	assert_int_equal(rc_ingest_bye_parse(frame.body, &bye_back), 0);
	assert_int_equal(bye_back.code, RINGCAST_BYE_SHUTDOWN);
	assert_int_equal(bye_back.reconnect_after_ms, 1500);
	frame.body.len--;
	assert_int_equal(rc_ingest_bye_parse(frame.body, &bye_back), -EBADMSG);
}

static void encoders_return_nothing_rather_than_write_beyond_the_room(void **state)
{
	struct rc_ingest_publish event = {.sequence = 1,
		.channel = RC_STR("ch"),
		.event = RC_STR("ev"),
		.payload = RC_STR("payload")};
	unsigned char whole[64];
	size_t len = rc_ingest_publish_encode(whole, sizeof(whole), 0, &event);
	char long_channel[256];

	(void)state;
	assert_true(len > 0);
	for (size_t cap = 0; cap < len; cap++) {
		unsigned char *out = malloc(cap ? cap : 1);
		assert_non_null(out);
		assert_int_equal(rc_ingest_publish_encode(out, cap, 0, &event), 0);
		free(out);
	}
	memset(long_channel, 'c', sizeof(long_channel));
	event.channel = (struct rc_str){long_channel, sizeof(long_channel)};
	unsigned char roomy[1024];
	assert_int_equal(rc_ingest_publish_encode(roomy, sizeof(roomy), 0, &event), 0);
	event.channel.len = 255;
	assert_true(rc_ingest_publish_encode(roomy, sizeof(roomy), 0, &event) > 255);
}

static void publish_cut_before_its_payload_is_broken(void **state)
{
	struct rc_ingest_publish event = {.sequence = 1,
		.channel = RC_STR("ch"),
		.event = RC_STR("ev"),
		.payload = RC_STR("")};
	struct rc_ingest_publish back;
	unsigned char out[64];
	struct rc_str body =
		frame_of(out, rc_ingest_publish_encode(out, sizeof(out), 0, &event)).body;

	(void)state;
	for (size_t cut = 0; cut < body.len; cut++) {
		struct rc_str copy = heap_copy(body, cut);
		assert_int_equal(rc_ingest_publish_parse(copy, 0, &back), -EBADMSG);
		free((void *)(uintptr_t)copy.ptr);
	}
	assert_int_equal(rc_ingest_publish_parse(body, 0, &back), 0);
	assert_int_equal(back.payload.len, 0);
	assert_int_equal(rc_ingest_publish_parse((struct rc_str){NULL, 0}, 0, &back), -EBADMSG);
}

static void an_event_carries_its_trace_where_the_flag_says_so(void **state)
{
	struct rc_ingest_publish back,
		event = {.sequence = 1,
			.channel = RC_STR("c"),
			.event = RC_STR("e"),
			.payload = RC_STR("1234"),
			.trace = {"0123456789abcdef01234567z", RINGCAST_TRACE_LEN}};
	unsigned char out[128];
	size_t len = rc_ingest_publish_encode(out, sizeof(out), RINGCAST_FLAG_JSON, &event);
	struct rc_ingest_frame frame = frame_of(out, len);
	struct rc_ingest_batch it;

	(void)state;
	assert_int_equal(frame.flags, RINGCAST_FLAG_JSON | RINGCAST_FLAG_TRACE);
	assert_int_equal(rc_ingest_publish_parse(frame.body, frame.flags, &back), 0);
	assert_true(rc_str_eq(back.trace, event.trace));
	assert_true(rc_str_eq(back.payload, event.payload));
	for (size_t cut = frame.body.len - 4 - RINGCAST_TRACE_LEN; cut < frame.body.len - 4; cut++)
		assert_int_equal(rc_ingest_publish_parse(
					 (struct rc_str){frame.body.ptr, cut}, frame.flags, &back),
			-EBADMSG);
	len = rc_ingest_broadcast_encode(out, sizeof(out), 0, &event);
	frame = frame_of(out, len);
	assert_int_equal(rc_ingest_broadcast_parse(frame.body, frame.flags, &back), 0);
	assert_true(rc_str_eq(back.trace, event.trace));
	len = rc_ingest_batch_encode_begin(out, sizeof(out), RINGCAST_FLAG_TRACE);
	len = rc_ingest_batch_encode_add(out, sizeof(out), len, &event);
	len = rc_ingest_batch_encode_end(out, len);
	frame = frame_of(out, len);
	assert_int_equal(rc_ingest_batch_check(frame.body, frame.flags), 0);
	assert_int_equal(rc_ingest_batch_begin(frame.body, frame.flags, &it), 0);
	assert_int_equal(rc_ingest_batch_next(&it, &back), 1);
	assert_true(rc_str_eq(back.trace, event.trace) && rc_str_eq(back.payload, event.payload));
}

static void flags_are_known_by_type(void **state)
{
	(void)state;
	assert_int_equal(rc_ingest_flags_known(RINGCAST_FRAME_PUBLISH), 31);
	assert_int_equal(rc_ingest_flags_known(RINGCAST_FRAME_BATCH), 31);
	assert_int_equal(rc_ingest_flags_known(RINGCAST_FRAME_BROADCAST), 31);
	assert_int_equal(rc_ingest_flags_known(RINGCAST_FRAME_ACK), RINGCAST_FLAG_POSITION);
	assert_int_equal(rc_ingest_flags_known(RINGCAST_FRAME_HELLO), 0);
	assert_int_equal(rc_ingest_flags_known(200), 0);
	assert_string_equal(rc_ingest_type_name(RINGCAST_FRAME_BATCH), "BATCH");
	assert_string_equal(rc_ingest_type_name(0), "unknown");
	assert_string_equal(rc_ingest_type_name(255), "unknown");
}

static void send_goes_round_for_every_target(void **state)
{
	static const struct rc_ingest_target targets[] = {
		{RINGCAST_TARGET_USER, 1, {"\4anna", 5}},
		{RINGCAST_TARGET_SESSION, 1, {"cz8nTXX9J0uA3z8oq", 17}},
		{RINGCAST_TARGET_USERS, 3, {"\4anna\0\4bert", 11}},
	};
	unsigned char out[128];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(targets); i++) {
		struct rc_ingest_send send = {
			.event = {.sequence = 7,
				.timestamp_ms = 9,
				.event = RC_STR("note"),
				.payload = RC_STR("{}")},
			.target = targets[i],
		};
		struct rc_ingest_frame frame;
		struct rc_ingest_send back;
		size_t len = rc_ingest_send_encode(out, sizeof(out), RINGCAST_FLAG_JSON, &send);
		assert_int_equal(rc_ingest_frame(out, len, FRAME_MAX, &frame), 0);
		assert_int_equal(frame.total, len);
		assert_int_equal(rc_ingest_send_parse(frame.body, &back), 0);
		assert_int_equal(back.event.sequence, 7);
		assert_int_equal(back.event.timestamp_ms, 9);
		assert_true(rc_str_eq(back.event.event, RC_STR("note")));
		assert_true(rc_str_eq(back.event.payload, RC_STR("{}")));
		assert_int_equal(back.target.kind, targets[i].kind);
		assert_int_equal(back.target.count, targets[i].count);
		assert_true(rc_str_eq(back.target.list, targets[i].list));
		/* Of what comes before the payload not a byte may be missing. */
		for (size_t cut = 1; cut < frame.body.len - 1; cut++) {
			struct rc_str part = {frame.body.ptr, frame.body.len - 2 - cut + 1};
			if (part.len < frame.body.len - 2)
				assert_int_equal(rc_ingest_send_parse(part, &back), -EBADMSG);
		}
		assert_int_equal(rc_ingest_send_encode(out, len - 1, 0, &send), 0);
	}
}

static void close_goes_round_and_refuses_one_byte_more_or_less(void **state)
{
	struct rc_ingest_close close = {
		.sequence = 7,
		.target = {RINGCAST_TARGET_USER, 1, {"\4anna", 5}},
		.code = 4004,
		.reason = RC_STR("bye"),
	};
	struct rc_ingest_close back;
	struct rc_ingest_frame frame;
	unsigned char out[64];
	size_t len = rc_ingest_close_encode(out, sizeof(out), RINGCAST_FLAG_WANT_ACK, &close);

	(void)state;
	assert_int_equal(rc_ingest_frame(out, len, FRAME_MAX, &frame), 0);
	assert_int_equal(frame.flags & ~rc_ingest_flags_known(frame.type), 0);
	assert_int_equal(rc_ingest_close_parse(frame.body, &back), 0);
	assert_int_equal(back.code, 4004);
	assert_true(rc_str_eq(back.reason, RC_STR("bye")));
	assert_true(rc_str_eq(back.target.list, close.target.list));
	frame.body.len--;
	assert_int_equal(rc_ingest_close_parse(frame.body, &back), -EBADMSG);
	frame.body.len += 2;
	assert_int_equal(rc_ingest_close_parse(frame.body, &back), -EBADMSG);
}

static void a_target_of_nobody_or_of_another_kind_is_broken(void **state)
{
	static const char nobody[] = "\1\0\0\0\0\0\0\0\3\0\0\1e\0\0\0\0\0\0\0\0";
	static const char other[] = "\1\0\0\0\0\0\0\0\4\1a\1e\0\0\0\0\0\0\0\0";
	struct rc_ingest_send back;

	(void)state;
	assert_int_equal(
		rc_ingest_send_parse((struct rc_str){nobody, sizeof(nobody) - 1}, &back), -EBADMSG);
	assert_int_equal(
		rc_ingest_send_parse((struct rc_str){other, sizeof(other) - 1}, &back), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_carries_its_trace_where_the_flag_says_so),
		cmocka_unit_test(frame_tells_how_many_bytes_it_needs),
		cmocka_unit_test(frame_over_the_limit_is_refused_as_soon_as_the_length_is_known),
		cmocka_unit_test(frame_with_a_length_below_four_or_reserved_bits_is_broken),
		cmocka_unit_test(publish_is_laid_out_as_specified),
		cmocka_unit_test(hello_is_laid_out_as_specified),
		cmocka_unit_test(hello_names_what_is_wrong_with_it),
		cmocka_unit_test(welcome_goes_round),
		cmocka_unit_test(sequence_zero_is_never_read),
		cmocka_unit_test(batch_yields_its_events_in_order_and_then_ends),
		cmocka_unit_test(batch_that_is_broken_anywhere_is_refused_whole),
		cmocka_unit_test(
			batch_encoder_leaves_the_buffer_as_it_was_when_an_event_does_not_fit),
		cmocka_unit_test(send_goes_round_for_every_target),
		cmocka_unit_test(close_goes_round_and_refuses_one_byte_more_or_less),
		cmocka_unit_test(a_target_of_nobody_or_of_another_kind_is_broken),
		cmocka_unit_test(ack_carries_a_position_when_flagged),
		cmocka_unit_test(text_that_is_too_long_is_cut_between_characters),
		cmocka_unit_test(control_frames_go_round_and_refuse_one_byte_more_or_less),
		cmocka_unit_test(encoders_return_nothing_rather_than_write_beyond_the_room),
		cmocka_unit_test(publish_cut_before_its_payload_is_broken),
		cmocka_unit_test(flags_are_known_by_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
