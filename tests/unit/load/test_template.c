/* SPDX-License-Identifier: Apache-2.0
 *
 * Templates: the right bytes for the protocols that profiles speak, and errors that say where.
 */
#include "../unit.h"

#include <errno.h>

#include "load/template.h"

static const struct load_values values = {
	.channel = {"load:17", 7},
	.number = 17,
	.session = 4001,
	.payload = {"@rcload:abc", 11},
};

/* Expands into memory that ends where the bytes do, so that a byte too many is seen. */
static void assert_expands_to(const char *text, const struct load_values *v, struct rc_str wanted)
{
	struct load_template *t;
	struct rc_error err;
	size_t bound;
	char *exact, *roomy;

	if (load_template_compile(&t, rc_str_of(text), &err) < 0)
		fail_msg("%s: %s", text, err.text);
	bound = load_template_bound(t, v->channel.len, v->payload.len, v->since.len);
	assert_true(bound >= wanted.len);
	exact = malloc(bound + 1);
	roomy = malloc(wanted.len + 64);
	assert_int_equal(load_template_expand(t, v, exact, bound), wanted.len);
	assert_memory_equal(exact, wanted.ptr, wanted.len);
	assert_int_equal(load_template_expand(t, v, roomy, wanted.len + 64), wanted.len);
	if (wanted.len)
		assert_int_equal(load_template_expand(t, v, roomy, wanted.len - 1), 0);
	free(exact);
	free(roomy);
	load_template_free(t);
}

#define EXPANDS(text, wanted) assert_expands_to(text, &values, RC_STR(wanted))

static void assert_refused(const char *text, const char *part)
{
	struct load_template *t;
	struct rc_error err;

	assert_int_equal(load_template_compile(&t, rc_str_of(text), &err), -EINVAL);
	assert_null(t);
	if (!strstr(err.text, part))
		fail_msg("'%s' is not in: %s", part, err.text);
}

static void plain_text_and_escapes_are_themselves(void **state)
{
	(void)state;
	EXPANDS("hello", "hello");
	EXPANDS("a\\r\\n\\t\\\\\\{b}\\x00\\xfF", "a\r\n\t\\{b}\0\xff");
	EXPANDS("{\"a\":{}, {1} {", "{\"a\":{}, {1} {");
}

static void empty_template_expands_to_nothing(void **state)
{
	struct load_template *t;
	struct rc_error err;

	(void)state;
	assert_int_equal(load_template_compile(&t, (struct rc_str){0}, &err), 0);
	assert_true(load_template_empty(t));
	assert_int_equal(load_template_expand(t, &values, NULL, 0), 0);
	assert_int_equal(load_template_bound(t, 255, 1 << 20, 100), 0);
	load_template_free(t);
	load_template_free(NULL);
}

static void words_stand_for_values(void **state)
{
	struct load_values v = values;

	(void)state;
	EXPANDS("{channel} {n} {session} {payload} {len}[{since}]",
		"load:17 17 4001 @rcload:abc 11[]");
	EXPANDS("{u8:channel}{u16:payload}", "\x07load:17\0\x0b@rcload:abc");
	EXPANDS("{u16:channel}{u8:payload}", "\0\x07load:17\x0b@rcload:abc");
	EXPANDS("{n16}{n32}{packet}", "\0\x11\0\0\0\x11\0\x12");
	v.number = 0x12345678;
	assert_expands_to("{n16}{n32}", &v, RC_STR("\x56\x78\x12\x34\x56\x78"));
	v.number = UINT32_MAX;
	v.session = 0;
	assert_expands_to("{n} {session}", &v, RC_STR("4294967295 0"));
}

static void packet_ids_are_never_0(void **state)
{
	struct load_template *t;
	struct rc_error err;
	struct load_values v = {0};
	unsigned char id[2];

	(void)state;
	assert_int_equal(load_template_compile(&t, RC_STR("{packet}"), &err), 0);
	for (v.number = 0; v.number < 200000; v.number++) {
		assert_int_equal(load_template_expand(t, &v, id, 2), 2);
		assert_true(id[0] || id[1]);
	}
	load_template_free(t);
}

static void ringcast_subscribes_with_and_without_a_position(void **state)
{
	static const char text[] = "{\"type\":\"subscribe\",\"id\":\"{n}\","
				   "\"channels\":[\"{channel}\"]{since}}";
	struct load_values v = values;

	(void)state;
	EXPANDS(text, "{\"type\":\"subscribe\",\"id\":\"17\",\"channels\":[\"load:17\"]}");
	v.since = RC_STR(",\"since\":\"abc@9\"");
	assert_expands_to(text, &v,
		RC_STR("{\"type\":\"subscribe\",\"id\":\"17\",\"channels\":[\"load:17\"],"
		       "\"since\":\"abc@9\"}"));
}

static void nats_lines_are_right(void **state)
{
	(void)state;
	EXPANDS("CONNECT {\"verbose\":false,\"name\":\"c{session}\"}\\r\\nPING\\r\\n",
		"CONNECT {\"verbose\":false,\"name\":\"c4001\"}\r\nPING\r\n");
	EXPANDS("CONNECT {}\\r\\n", "CONNECT {}\r\n");
	EXPANDS("SUB {channel} {n}\\r\\nPING\\r\\n", "SUB load:17 17\r\nPING\r\n");
	EXPANDS("PUB {channel} {len}\\r\\n{payload}\\r\\n", "PUB load:17 11\r\n@rcload:abc\r\n");
}

/* MQTT 3.1.1: CONNECT with a clean session and no client id, SUBSCRIBE at QoS 0, PUBLISH at QoS 0. */
static void mqtt_packets_are_right(void **state)
{
	(void)state;
	EXPANDS("\\x10{mqtt}\\x00\\x04MQTT\\x04\\x02\\x00\\x00\\x00\\x00{end}",
		"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0");
	EXPANDS("\\x10{mqtt}\\x00\\x04MQTT\\x04\\x02\\x00\\x00{u16}load{session}{end}{end}",
		"\x10\x14\0\x04MQTT\x04\x02\0\0\0\x08load4001");
	EXPANDS("\\x82{mqtt}{n16}{u16:channel}\\x00{end}", "\x82\x0c\0\x11\0\x07load:17\0");
	EXPANDS("\\x82{mqtt}{packet}{u16:channel}\\x00{end}", "\x82\x0c\0\x12\0\x07load:17\0");
	EXPANDS("\\x30{mqtt}{u16:channel}{payload}{end}", "\x30\x14\0\x07load:17@rcload:abc");
}

static void mqtt_lengths_take_one_to_four_bytes(void **state)
{
	static const struct {
		size_t len;
		const char *length;
		size_t size;
	} cases[] = {
		{0, "\0", 1},
		{127, "\x7f", 1},
		{128, "\x80\x01", 2},
		{16383, "\xff\x7f", 2},
		{16384, "\x80\x80\x01", 3},
		{2097151, "\xff\xff\x7f", 3},
		{2097152, "\x80\x80\x80\x01", 4},
	};
	struct load_template *t;
	struct rc_error err;
	char *payload = malloc(2097152), *out = malloc(2097160);

	(void)state;
	memset(payload, 'p', 2097152);
	assert_int_equal(load_template_compile(&t, RC_STR("0{mqtt}{payload}{end}!"), &err), 0);
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		struct load_values v = {.payload = {payload, cases[i].len}};
		size_t size = cases[i].size, len = 1 + size + cases[i].len + 1;

		assert_int_equal(load_template_expand(t, &v, out, 2097160), len);
		assert_memory_equal(out + 1, cases[i].length, size);
		assert_memory_equal(out + 1 + size, payload, cases[i].len);
		assert_int_equal(out[len - 1], '!');
	}
	load_template_free(t);
	free(payload);
	free(out);
}

static void socket_io_and_http_are_right(void **state)
{
	(void)state;
	EXPANDS("40", "40");
	EXPANDS("42[\"subscribe\",\"{channel}\"]", "42[\"subscribe\",\"load:17\"]");
	EXPANDS("42[\"publish\",\"{channel}\",\"{payload}\"]",
		"42[\"publish\",\"load:17\",\"@rcload:abc\"]");
	EXPANDS("POST /pub/{channel} HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: {len}\\r\\n"
		"\\r\\n{payload}",
		"POST /pub/load:17 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n"
		"@rcload:abc");
}

static void blocks_nest(void **state)
{
	(void)state;
	EXPANDS("{u8}a{u16}b{mqtt}c{u8}d{end}{end}{end}{end}!",
		"\x08\x61\0\x05\x62\x03\x63\x01\x64!");
	EXPANDS("{u8}{end}{u16}{end}{mqtt}{end}", "\0\0\0\0");
}

static void what_does_not_fit_its_length_expands_to_nothing(void **state)
{
	static const char *const texts[] = {
		"{u8:payload}", "{u8}{payload}{end}", "{u16:payload}", "{u16}{payload}{end}"};
	static char payload[70000], out[80000];
	struct load_values v = {0};
	struct load_template *t;
	struct rc_error err;

	(void)state;
	memset(payload, 'p', sizeof(payload));
	for (size_t i = 0; i < RC_ARRAY_LEN(texts); i++) {
		size_t most = i < 2 ? 255 : 65535;

		assert_int_equal(load_template_compile(&t, rc_str_of(texts[i]), &err), 0);
		v.payload = (struct rc_str){payload, most};
		assert_int_equal(
			load_template_expand(t, &v, out, sizeof(out)), most + (i < 2 ? 1 : 2));
		v.payload.len++;
		assert_int_equal(load_template_expand(t, &v, out, sizeof(out)), 0);
		load_template_free(t);
	}
}

static void mistakes_name_the_word_and_its_column(void **state)
{
	(void)state;
	assert_refused(
		"SUB {chanel} 1", "unknown word {chanel} at column 5; did you mean {channel}");
	assert_refused("{base64:payload}", "unknown word {base64:payload} at column 1");
	assert_refused("ab{zzzzzz}", "{zzzzzz} at column 3; write \\{ for a brace, or one of");
	assert_refused("a {channel", "at column 3 has no closing }");
	assert_refused("a\\q", "backslash at column 2");
	assert_refused("a\\", "backslash at column 2");
	assert_refused("\\x1", "backslash at column 1");
	assert_refused("\\x1g", "backslash at column 1");
	assert_refused("a{end}", "{end} at column 2 closes nothing");
	assert_refused("{mqtt}a", "a block has no {end}");
	assert_refused("{u8}{u8}{u8}{u8}{u8}{end}{end}{end}{end}{end}", "at column 17");
}

static void unescape_gives_bytes(void **state)
{
	struct rc_error err;
	char out[16];

	(void)state;
	assert_int_equal(load_text_unescape(out, RC_STR("+OK\\r\\n\\x20{x}"), &err), 9);
	assert_memory_equal(out, "+OK\r\n {x}", 9);
	assert_int_equal(load_text_unescape(out, RC_STR("\\z"), &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text_and_escapes_are_themselves),
		cmocka_unit_test(empty_template_expands_to_nothing),
		cmocka_unit_test(words_stand_for_values),
		cmocka_unit_test(packet_ids_are_never_0),
		cmocka_unit_test(ringcast_subscribes_with_and_without_a_position),
		cmocka_unit_test(nats_lines_are_right),
		cmocka_unit_test(mqtt_packets_are_right),
		cmocka_unit_test(mqtt_lengths_take_one_to_four_bytes),
		cmocka_unit_test(socket_io_and_http_are_right),
		cmocka_unit_test(blocks_nest),
		cmocka_unit_test(what_does_not_fit_its_length_expands_to_nothing),
		cmocka_unit_test(mistakes_name_the_word_and_its_column),
		cmocka_unit_test(unescape_gives_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
