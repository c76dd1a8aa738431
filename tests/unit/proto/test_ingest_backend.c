/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames of backends: byte for byte as the specification says, there and back, cut at every byte, and what is out of bounds.
 */
#include "../unit.h"

#include "proto/ingest.h"

#include <errno.h>

static struct rc_str body_of(const unsigned char *frame, size_t len)
{
	struct rc_ingest_frame f;

	assert_true(len > 0);
	assert_int_equal(rc_ingest_frame(frame, len, 65536, &f), 0);
	assert_int_equal(f.total, len);
	return f.body;
}

#define assert_str(s, text) assert_true(rc_str_eq((s), RC_STR(text)))

static void register_there_and_back(void **state)
{
	static const unsigned char wanted[] = {
		0x19, 0, 0, 0, 14, 0, 0, 0, 100, 0, 0, 0, 2,
		0,                                   /* length, REGISTER, credit, count */
		4, 'c', 'h', 'a', 't', 2, 1, 1, 'r', /* chat, by the field r, idempotent */
		1, '*', 0, 0, 0,                     /* all others in turn */
	};
	const struct rc_ingest_entry entries[] = {
		{RC_STR("chat"), RINGCAST_MODE_FIELD, RINGCAST_ENTRY_IDEMPOTENT, RC_STR("r")},
		{RC_STR("*"), RINGCAST_MODE_ROUND_ROBIN, 0, RC_STR("")},
	};
	unsigned char frame[256];
	struct rc_ingest_register m;
	struct rc_ingest_entry e;

	(void)state;
	size_t len = rc_ingest_register_encode(frame, sizeof(frame), 100, entries, 2);
	assert_int_equal(len, sizeof(wanted));
	assert_memory_equal(frame + 4, wanted + 4, len - 4);
	assert_int_equal(frame[0], len - 4);
	assert_int_equal(rc_ingest_register_parse(body_of(frame, len), &m), 0);
	assert_int_equal(m.credit, 100);
	assert_int_equal(m.count, 2);
	struct rc_str rest = m.list;
	assert_true(rc_ingest_register_next(&rest, &e));
	assert_str(e.type, "chat");
	assert_str(e.field, "r");
	assert_int_equal(e.mode, RINGCAST_MODE_FIELD);
	assert_int_equal(e.flags, RINGCAST_ENTRY_IDEMPOTENT);
	assert_true(rc_ingest_register_next(&rest, &e));
	assert_str(e.type, "*");
	assert_false(rc_ingest_register_next(&rest, &e));
	for (size_t cut = 0; cut < len - 8; cut++)
		assert_int_equal(
			rc_ingest_register_parse((struct rc_str){(char *)frame + 8, cut}, &m),
			-EBADMSG);
	assert_int_equal(
		rc_ingest_register_parse((struct rc_str){(char *)frame + 8, len - 8 + 1}, &m),
		-EBADMSG);
	assert_int_equal(rc_ingest_register_encode(frame, len - 1, 100, entries, 2), 0);
	len = rc_ingest_register_encode(frame, sizeof(frame), 7, NULL, 0);
	assert_int_equal(rc_ingest_register_parse(body_of(frame, len), &m), 0);
	assert_int_equal(m.count, 0);
	assert_int_equal(m.list.len, 0);
}

static void registered_there_and_back(void **state)
{
	const struct rc_ingest_registered said = {1000, 10000, 3};
	struct rc_ingest_registered m;
	unsigned char frame[RC_INGEST_ANSWER_MAX];

	(void)state;
	size_t len = rc_ingest_registered_encode(frame, sizeof(frame), &said);
	assert_int_equal(rc_ingest_registered_parse(body_of(frame, len), &m), 0);
	assert_int_equal(m.credit, 1000);
	assert_int_equal(m.timeout_ms, 10000);
	assert_int_equal(m.count, 3);
	assert_int_equal(
		rc_ingest_registered_parse((struct rc_str){(char *)frame + 8, len - 9}, &m),
		-EBADMSG);
}

static void command_there_and_back(void **state)
{
	const struct rc_ingest_command said = {.id = UINT64_C(0x100000002),
		.deadline_ms = 9999,
		.session = RC_STR("c1234567890123456"),
		.user = RC_STR("anna"),
		.type = RC_STR("chat:send"),
		.message = RC_STR("\"7\""),
		.payload = RC_STR("{\"a\":1}")};
	struct rc_ingest_command m;
	unsigned char frame[256];

	(void)state;
	size_t len = rc_ingest_command_encode(
		frame, sizeof(frame), RINGCAST_FLAG_JSON | RINGCAST_FLAG_AGAIN, &said);
	assert_int_equal(len, rc_ingest_command_bytes(&said));
	assert_int_equal(frame[5], 0x21);
	assert_int_equal(rc_ingest_flags_known(frame[4]), 0x21);
	assert_int_equal(rc_ingest_command_parse(body_of(frame, len), &m), 0);
	assert_int_equal(m.id, said.id);
	assert_int_equal(m.deadline_ms, 9999);
	assert_str(m.session, "c1234567890123456");
	assert_str(m.user, "anna");
	assert_str(m.type, "chat:send");
	assert_str(m.message, "\"7\"");
	assert_str(m.payload, "{\"a\":1}");
	for (size_t cut = 0; cut < len - 8 - said.payload.len; cut++)
		assert_int_equal(
			rc_ingest_command_parse((struct rc_str){(char *)frame + 8, cut}, &m),
			-EBADMSG);
	assert_int_equal(rc_ingest_command_encode(frame, len - 1, 0, &said), 0);
}

static void reply_there_and_back(void **state)
{
	const struct rc_ingest_reply said = {
		.id = 5, .code = RC_STR("sold_out"), .payload = RC_STR("none left")};
	struct rc_ingest_reply m;
	unsigned char frame[256];

	(void)state;
	size_t len = rc_ingest_reply_encode(frame, sizeof(frame), 0, &said);
	assert_int_equal(rc_ingest_reply_parse(body_of(frame, len), &m), 0);
	assert_int_equal(m.id, 5);
	assert_str(m.code, "sold_out");
	assert_str(m.payload, "none left");
	for (size_t cut = 0; cut < len - 8 - said.payload.len; cut++)
		assert_int_equal(rc_ingest_reply_parse((struct rc_str){(char *)frame + 8, cut}, &m),
			-EBADMSG);
	assert_int_equal(rc_ingest_reply_encode(frame, len - 1, 0, &said), 0);
}

static void codes_that_are_none(void **state)
{
	char longest[65];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	assert_true(rc_ingest_code_valid(RC_STR("a")));
	assert_true(rc_ingest_code_valid(RC_STR("sold_out_2")));
	assert_true(rc_ingest_code_valid((struct rc_str){longest, 64}));
	assert_false(rc_ingest_code_valid((struct rc_str){longest, 65}));
	assert_false(rc_ingest_code_valid(RC_STR("")));
	assert_false(rc_ingest_code_valid(RC_STR("Sold")));
	assert_false(rc_ingest_code_valid(RC_STR("a b")));
	assert_false(rc_ingest_code_valid(RC_STR("a\"")));
}

static void assign_there_and_back(void **state)
{
	const struct rc_ingest_assign said = {.sequence = 3,
		.session = RC_STR("c1234567890123456"),
		.on = true,
		.count = 2,
		.names = RC_STR("\004news\003a:*")};
	struct rc_ingest_assign m;
	unsigned char frame[256];

	(void)state;
	size_t len = rc_ingest_assign_encode(frame, sizeof(frame), &said);
	assert_int_equal(rc_ingest_assign_parse(body_of(frame, len), &m), 0);
	assert_int_equal(m.sequence, 3);
	assert_true(m.on);
	assert_int_equal(m.count, 2);
	assert_true(rc_str_eq(m.names, said.names));
	assert_str(m.session, "c1234567890123456");
	for (size_t cut = 0; cut < len - 8; cut++)
		assert_int_equal(
			rc_ingest_assign_parse((struct rc_str){(char *)frame + 8, cut}, &m),
			-EBADMSG);
	memset(frame + 8, 0, 8);
	assert_int_equal(rc_ingest_assign_parse(body_of(frame, len), &m), -EBADMSG);
	const struct rc_ingest_assign none = {.sequence = 1, .session = RC_STR("s")};
	len = rc_ingest_assign_encode(frame, sizeof(frame), &none);
	assert_int_equal(rc_ingest_assign_parse(body_of(frame, len), &m), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(register_there_and_back),
		cmocka_unit_test(registered_there_and_back),
		cmocka_unit_test(command_there_and_back),
		cmocka_unit_test(reply_there_and_back),
		cmocka_unit_test(codes_that_are_none),
		cmocka_unit_test(assign_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
