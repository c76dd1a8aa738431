/* SPDX-License-Identifier: Apache-2.0
 *
 * The event's frame, byte for byte, and the texts of epochs and positions.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/event.h"
#include "proto/json.h"

#define T0 1768472100000ull /* 2026-01-15T10:15:00.000Z */

static struct rc_event_encoder encoder;

static int reset(void **state)
{
	(void)state;
	encoder = (struct rc_event_encoder){0};
	return 0;
}

/* Encodes into a block of exactly the bound. */
static size_t encode(const struct rc_event *e, bool raw, unsigned char **out)
{
	size_t bound = rc_event_ws_bound(e, raw);
	size_t len;

	*out = malloc(bound);
	assert_non_null(*out);
	len = rc_event_ws_encode(&encoder, *out, e, raw);
	assert_true(len <= bound);
	return len;
}

/* Payload of a frame that must fill len exactly, with the shortest header. */
static struct rc_str payload_of(const unsigned char *frame, size_t len, uint8_t first)
{
	size_t head = 2, size = frame[1];

	assert_int_equal(frame[0], first);
	if (size == 126) {
		head = 4;
		size = (size_t)frame[2] << 8 | frame[3];
		assert_true(size > 125);
	} else if (size == 127) {
		head = 10;
		size = 0;
		for (size_t i = 2; i < 10; i++)
			size = size << 8 | frame[i];
		assert_true(size > 65535);
	}
	assert_int_equal(head + size, len);
	return (struct rc_str){(const char *)frame + head, size};
}

static void assert_payload(const struct rc_event *e, const char *want)
{
	unsigned char *frame;
	size_t len = encode(e, false, &frame);
	struct rc_str payload = payload_of(frame, len, 0x81);

	assert_int_equal(payload.len, strlen(want));
	assert_memory_equal(payload.ptr, want, payload.len);
	assert_int_equal(rc_json_validate(payload, 64), 0);
	free(frame);
}

static void encode_writes_the_envelope_of_the_protocol(void **state)
{
	struct rc_event e = {RC_STR("analytics:agents"), RC_STR("agent:created"),
		RC_STR("{ \"id\" : 1.0 }"), 42, T0, true, 0, {NULL, 0}, NULL};

	(void)state;
	assert_payload(&e, "{\"type\":\"event\",\"channel\":\"analytics:agents\","
			   "\"event\":\"agent:created\",\"offset\":42,"
			   "\"timestamp\":\"2026-01-15T10:15:00.000Z\",\"data\":{ \"id\" : 1.0 }}");
}

static void encode_writes_opaque_data_as_base64(void **state)
{
	struct rc_event e = {RC_STR("c"), RC_STR("e"), {"\x00\xff\x10\x80", 4}, 1, T0, false, 0,
		{NULL, 0}, NULL};

	(void)state;
	assert_payload(&e, "{\"type\":\"event\",\"channel\":\"c\",\"event\":\"e\",\"offset\":1,"
			   "\"timestamp\":\"2026-01-15T10:15:00.000Z\",\"encoding\":\"base64\","
			   "\"data\":\"AP8QgA==\"}");
	e.data = (struct rc_str){NULL, 0};
	assert_payload(&e, "{\"type\":\"event\",\"channel\":\"c\",\"event\":\"e\",\"offset\":1,"
			   "\"timestamp\":\"2026-01-15T10:15:00.000Z\",\"encoding\":\"base64\","
			   "\"data\":\"\"}");
}

static void encode_escapes_the_event_name(void **state)
{
	struct rc_event e = {RC_STR("c"), RC_STR("say \"\\\xc3\xa9\""), RC_STR("1"), UINT64_MAX, T0,
		true, 0, {NULL, 0}, NULL};

	(void)state;
	assert_payload(&e, "{\"type\":\"event\",\"channel\":\"c\","
			   "\"event\":\"say \\\"\\\\\xc3\xa9\\\"\",\"offset\":18446744073709551615,"
			   "\"timestamp\":\"2026-01-15T10:15:00.000Z\",\"data\":1}");
}

static void encode_writes_null_where_json_data_is_empty(void **state)
{
	struct rc_event e = {RC_STR("c"), RC_STR("e"), {NULL, 0}, 0, T0, true, 0, {NULL, 0}, NULL};

	(void)state;
	assert_payload(&e, "{\"type\":\"event\",\"channel\":\"c\",\"event\":\"e\",\"offset\":0,"
			   "\"timestamp\":\"2026-01-15T10:15:00.000Z\",\"data\":null}");
}

static void encode_writes_the_right_time_after_any_other(void **state)
{
	static const uint64_t times[] = {
		0,
		1,
		999,
		1000,
		T0,
		T0 + 1,
		T0 + 999,
		T0 + 1000,
		T0 + 7,
		T0 - 1,
		T0,
		T0,
		253402300799998ull,
		253402300799999ull,
		253402300800000ull,
		253402300800005ull,
		UINT64_MAX,
		5,
	};
	struct rc_event e = {RC_STR("c"), RC_STR("e"), RC_STR("0"), 0, 0, true, 0, {NULL, 0}, NULL};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(times); i++) {
		for (size_t k = 0; k < RC_ARRAY_LEN(times); k++) {
			char want[160], iso[RC_ISO8601_LEN];

			e.timestamp_ms = times[k];
			rc_clock_iso8601(times[k], iso);
			snprintf(want, sizeof(want),
				"{\"type\":\"event\",\"channel\":\"c\",\"event\":\"e\",\"offset\":0,"
				"\"timestamp\":\"%.*s\",\"data\":0}",
				RC_ISO8601_LEN, iso);
			assert_payload(&e, want);
			e.timestamp_ms = times[i];
			rc_event_ws_encode(&encoder, (unsigned char[256]){0}, &e, false);
		}
	}
}

static void encode_uses_the_shortest_header_at_every_length(void **state)
{
	static const size_t edges[] = {0, 1, 125, 126, 127, 65535, 65536, 70000};
	static const bool kinds[] = {true, false};
	char *data = malloc(70000);

	(void)state;
	assert_non_null(data);
	memset(data, '7', 70000);
	for (size_t i = 0; i < RC_ARRAY_LEN(edges); i++) {
		for (size_t k = 0; k < RC_ARRAY_LEN(kinds); k++) {
			struct rc_event e = {RC_STR("c"), RC_STR("e"), {data, edges[i]}, 1, T0,
				kinds[k], 0, {NULL, 0}, NULL};
			unsigned char *frame;
			size_t len = encode(&e, true, &frame);
			struct rc_str payload = payload_of(frame, len, e.json ? 0x81 : 0x82);

			assert_int_equal(payload.len, edges[i]);
			assert_memory_equal(payload.ptr, data, payload.len);
			free(frame);
		}
	}
	for (size_t size = 1; size < 300; size++) {
		struct rc_event e = {
			RC_STR("c"), RC_STR("e"), {data, size}, 1, T0, true, 0, {NULL, 0}, NULL};
		unsigned char *frame;
		size_t len = encode(&e, false, &frame);

		payload_of(frame, len, 0x81);
		free(frame);
	}
	free(data);
}

static void encode_names_the_kind_and_whom_it_is_about(void **state)
{
	struct rc_event e = {RC_STR("c"), RC_STR("join"), RC_STR("{}"), 7, T0, true, RC_EVENT_JOIN,
		RC_STR("a\"b"), NULL};

	(void)state;
	assert_payload(&e,
		"{\"type\":\"join\",\"channel\":\"c\",\"event\":\"join\",\"offset\":7,"
		"\"timestamp\":\"2026-01-15T10:15:00.000Z\",\"user\":\"a\\\"b\",\"data\":{}}");
	e.kind = RC_EVENT_LEAVE;
	e.event = RC_STR("leave");
	e.user.len = 0;
	assert_payload(&e, "{\"type\":\"leave\",\"channel\":\"c\",\"event\":\"leave\",\"offset\":7,"
			   "\"timestamp\":\"2026-01-15T10:15:00.000Z\",\"data\":{}}");
	e.kind = RC_EVENT_PRESENCE;
	e.event = RC_STR("presence");
	assert_payload(&e,
		"{\"type\":\"presence\",\"channel\":\"c\",\"event\":\"presence\",\"offset\":7,"
		"\"timestamp\":\"2026-01-15T10:15:00.000Z\",\"data\":{}}");
	/* Nobody stands in what a publisher said. */
	e.kind = RC_EVENT_PUBLISHED;
	e.user = RC_STR("u");
	assert_payload(&e,
		"{\"type\":\"event\",\"channel\":\"c\",\"event\":\"presence\",\"offset\":7,"
		"\"timestamp\":\"2026-01-15T10:15:00.000Z\",\"data\":{}}");
}

static void encode_of_raw_has_no_envelope(void **state)
{
	struct rc_event e = {
		RC_STR("c"), RC_STR("e"), RC_STR("hello"), 9, T0, true, 0, {NULL, 0}, NULL};
	unsigned char out[32];

	(void)state;
	assert_int_equal(rc_event_ws_encode(&encoder, out, &e, true), 7);
	assert_memory_equal(out, "\x81\x05hello", 7);
	e.json = false;
	assert_int_equal(rc_event_ws_encode(&encoder, out, &e, true), 7);
	assert_memory_equal(out, "\x82\x05hello", 7);
}

static void assert_position(uint64_t epoch, uint64_t offset, const char *want)
{
	char text[RC_POSITION_MAX];
	size_t len = rc_position_text(epoch, offset, text);
	uint64_t epoch_back = 0, offset_back = 0;

	assert_int_equal(len, strlen(want));
	assert_memory_equal(text, want, len);
	assert_int_equal(
		rc_position_parse((struct rc_str){text, len}, &epoch_back, &offset_back), 0);
	assert_true(epoch_back == epoch && offset_back == offset);
}

static void positions_come_back_from_their_text(void **state)
{
	(void)state;
	assert_position(0, 0, "aaaaaaaaaa@0");
	assert_position(1, 41, "aaaaaaaaab@41");
	assert_position(0x1234567890ab, 7, "asgrlhrefl@7");
	assert_position(((uint64_t)1 << 48) - 1, UINT64_MAX, "h777777777@18446744073709551615");
}

static void position_parse_takes_one_spelling_only(void **state)
{
	static const char *const bad[] = {
		"",
		"@",
		"@1",
		"aaaaaaaaaa",
		"aaaaaaaaaa@",
		"aaaaaaaaaa@01",
		"aaaaaaaaaa@00",
		"aaaaaaaaaa@-1",
		"aaaaaaaaaa@+1",
		"aaaaaaaaaa@ 1",
		"aaaaaaaaaa@1 ",
		"aaaaaaaaaa@1x",
		"aaaaaaaaaa@18446744073709551616",
		"aaaaaaaaaa@99999999999999999999",
		"aaaaaaaaaa@118446744073709551615",
		"aaaaaaaaa@1",
		"aaaaaaaaaaa@1",
		"Aaaaaaaaaa@1",
		"aaaaaaaaa1@1",
		"aaaaaaaaa8@1",
		"aaaaaaaaaa#1",
		"iaaaaaaaaa@1",
		"7777777777@1",
		"aaaaa@aaaa@1",
		"aaaaaaaaaa@@1",
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		uint64_t epoch, offset;

		if (rc_position_parse(rc_str_of(bad[i]), &epoch, &offset) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
	}
}

static void epoch_parse_takes_ten_digits_of_48_bits(void **state)
{
	uint64_t epoch = 0;

	(void)state;
	assert_int_equal(rc_epoch_parse(RC_STR("h777777777"), &epoch), 0);
	assert_true(epoch == ((uint64_t)1 << 48) - 1);
	assert_int_equal(rc_epoch_parse(RC_STR("iaaaaaaaaa"), &epoch), -EINVAL);
	assert_int_equal(rc_epoch_parse(RC_STR("h77777777"), &epoch), -EINVAL);
	assert_int_equal(rc_epoch_parse(RC_STR("h7777777777"), &epoch), -EINVAL);
	assert_int_equal(rc_epoch_parse(RC_STR(""), &epoch), -EINVAL);
}

static void assert_stream(uint64_t epoch, const uint64_t *stamps, uint32_t count, const char *want)
{
	char text[RC_STREAM_TEXT_MAX(RC_SHARDS_MAX)];
	size_t len = rc_stream_text(epoch, stamps, count, text);
	uint64_t epoch_back = 0, back[RC_SHARDS_MAX];
	uint32_t count_back = 0;

	assert_true(len <= RC_STREAM_TEXT_MAX(count));
	if (want != NULL) {
		assert_int_equal(len, strlen(want));
		assert_memory_equal(text, want, len);
	}
	assert_int_equal(
		rc_stream_parse((struct rc_str){text, len}, &epoch_back, back, &count_back), 0);
	assert_true(epoch_back == epoch && count_back == count);
	assert_memory_equal(back, stamps, count * sizeof(*stamps));
}

static void stream_positions_come_back_from_their_text(void **state)
{
	uint64_t most[RC_SHARDS_MAX];

	(void)state;
	assert_stream(0, (uint64_t[]){0}, 1, "aaaaaaaaaa~0");
	assert_stream(1, (uint64_t[]){12, 0, 7}, 3, "aaaaaaaaab~12.0.7");
	assert_stream(((uint64_t)1 << 48) - 1, (uint64_t[]){UINT64_MAX, 10}, 2,
		"h777777777~18446744073709551615.10");
	memset(most, 0xff, sizeof(most));
	assert_stream(5, most, RC_SHARDS_MAX, NULL);
}

static void the_position_before_an_event_is_known_where_one_shard_alone_has_its_stamp(void **state)
{
	static const struct {
		const char *of;
		uint64_t stamp;
		const char *before;
	} cases[] = {
		{"aaaaaaaaab~12", 12, "aaaaaaaaab~11"},
		{"aaaaaaaaab~1", 1, "aaaaaaaaab~0"},
		{"aaaaaaaaab~10.7", 10, "aaaaaaaaab~9.7"},
		{"aaaaaaaaab~10.7", 7, "aaaaaaaaab~10.6"},
		{"aaaaaaaaab~7.7", 7, ""},
		{"aaaaaaaaab~7.8", 9, ""},
		{"aaaaaaaaab~0", 0, ""},
		{"aaaaaaaaab@7", 7, ""},
		{"", 7, ""},
	};
	char text[RC_STREAM_TEXT_MAX(2)];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		size_t len = rc_stream_text_before(rc_str_of(cases[i].of), cases[i].stamp, text);
		assert_int_equal(len, strlen(cases[i].before));
		assert_memory_equal(text, cases[i].before, len);
	}
}

static void stream_parse_takes_one_spelling_only(void **state)
{
	static const char *const bad[] = {
		"",
		"~",
		"~1",
		"aaaaaaaaaa",
		"aaaaaaaaaa~",
		"aaaaaaaaaa@1",
		"aaaaaaaaaa~1@1",
		"aaaaaaaaaa~1.",
		"aaaaaaaaaa~.1",
		"aaaaaaaaaa~1..2",
		"aaaaaaaaaa~1~2",
		"aaaaaaaaaa.1",
		"aaaaaaaaaa~01",
		"aaaaaaaaaa~1.00",
		"aaaaaaaaaa~-1",
		"aaaaaaaaaa~1 ",
		"aaaaaaaaaa~1,2",
		"aaaaaaaaaa~18446744073709551616",
		"aaaaaaaaa~1",
		"aaaaaaaaaaa~1",
		"Aaaaaaaaaa~1",
		"q777777777~1",
	};
	uint64_t epoch, stamps[RC_SHARDS_MAX];
	char many[RC_EPOCH_LEN + 2 * (RC_SHARDS_MAX + 1)];
	uint32_t count;

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++)
		assert_int_equal(
			rc_stream_parse(rc_str_of(bad[i]), &epoch, stamps, &count), -EINVAL);
	memcpy(many, "aaaaaaaaaa~", RC_EPOCH_LEN + 1);
	for (size_t i = RC_EPOCH_LEN + 1; i < sizeof(many); i++)
		many[i] = i % 2 ? '1' : '.';
	assert_int_equal(
		rc_stream_parse((struct rc_str){many, sizeof(many) - 2}, &epoch, stamps, &count),
		0);
	assert_int_equal(count, RC_SHARDS_MAX);
	assert_int_equal(
		rc_stream_parse((struct rc_str){many, sizeof(many)}, &epoch, stamps, &count),
		-EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(encode_writes_the_envelope_of_the_protocol, reset),
		cmocka_unit_test_setup(encode_writes_opaque_data_as_base64, reset),
		cmocka_unit_test_setup(encode_escapes_the_event_name, reset),
		cmocka_unit_test_setup(encode_writes_null_where_json_data_is_empty, reset),
		cmocka_unit_test_setup(encode_writes_the_right_time_after_any_other, reset),
		cmocka_unit_test_setup(encode_names_the_kind_and_whom_it_is_about, reset),
		cmocka_unit_test_setup(encode_uses_the_shortest_header_at_every_length, reset),
		cmocka_unit_test_setup(encode_of_raw_has_no_envelope, reset),
		cmocka_unit_test(positions_come_back_from_their_text),
		cmocka_unit_test(position_parse_takes_one_spelling_only),
		cmocka_unit_test(epoch_parse_takes_ten_digits_of_48_bits),
		cmocka_unit_test(stream_positions_come_back_from_their_text),
		cmocka_unit_test(
			the_position_before_an_event_is_known_where_one_shard_alone_has_its_stamp),
		cmocka_unit_test(stream_parse_takes_one_spelling_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
