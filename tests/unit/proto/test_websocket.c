/* SPDX-License-Identifier: Apache-2.0
 *
 * WebSocket frames. Each stream is fed whole, split in two at every byte, and byte by byte, each part in memory of its own
 * that ends where the part ends; all must yield the same messages, the same controls and the same failure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "proto/websocket.h"

#define STREAM_MAX 200000

static const struct rc_ws_limits server = {
	.message_max = 1 << 20, .fragments_max = 8, .masked = true, .check_utf8 = true};
static const struct rc_ws_limits client = {
	.message_max = 1 << 20, .fragments_max = 8, .masked = false, .check_utf8 = true};

/* ---- the stream that a peer sends ---- */

struct stream {
	size_t len;
	bool masked;
	unsigned char bytes[STREAM_MAX];
};

static struct stream in;

static void begin(bool masked)
{
	in.len = 0;
	in.masked = masked;
}

static void add_bytes(const void *bytes, size_t len)
{
	assert_true(len <= sizeof(in.bytes) - in.len);
	memcpy(in.bytes + in.len, bytes, len);
	in.len += len;
}

/* opcode: with reserved bits, where there are any. */
static void add(bool fin, uint8_t opcode, const void *payload, size_t len)
{
	static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};
	unsigned char head[14];
	size_t at = in.len;
	uint32_t mask;

	memcpy(&mask, key, 4);
	add_bytes(head, in.masked ? rc_ws_masked_header(head, opcode & 15, fin, len, mask)
				  : rc_ws_header(head, opcode & 15, fin, len));
	in.bytes[at] |= opcode & 0x70;
	add_bytes(payload, len);
	/* The plain way, so that rc_ws_mask is not its own witness. */
	for (size_t i = 0; in.masked && i < len; i++)
		in.bytes[in.len - len + i] ^= key[i & 3];
}

static void add_text(bool fin, uint8_t opcode, const char *payload)
{
	add(fin, opcode, payload, strlen(payload));
}

/* Whether the owner throws the struct away at rest, as it may; both ways must be the same. */
static bool thrown_away;

/* ---- what the decoder made of it, as a text: "T(hello)" "B(..)" "ping()" "close 1000(bye)" "fail 1002" ---- */

struct story {
	size_t len;
	unsigned pieces;
	char text[STREAM_MAX + 4096];
};

static void tell(struct story *s, const void *bytes, size_t len)
{
	assert_true(len <= sizeof(s->text) - s->len);
	memcpy(s->text + s->len, bytes, len);
	s->len += len;
}

static void tell_piece(struct story *s, enum rc_ws_result result, const struct rc_ws_piece *p)
{
	char text[64];

	if (result == RC_WS_FAIL) {
		assert_non_null(p->reason);
		snprintf(text, sizeof(text), "fail %d", p->close_code);
		tell(s, text, strlen(text));
		return;
	}
	if (result == RC_WS_CONTROL) {
		if (p->opcode == RC_WS_CLOSE)
			snprintf(text, sizeof(text), "close %d(", p->close_code);
		else
			snprintf(text, sizeof(text), "%s(",
				p->opcode == RC_WS_PING ? "ping" : "pong");
		tell(s, text, strlen(text));
		tell(s, p->ptr, p->len);
		tell(s, ")", 1);
		return;
	}
	if (p->first && p->deflated)
		tell(s, "deflated ", 9);
	if (p->first)
		tell(s, p->opcode == RC_WS_TEXT ? "T(" : "B(", 2);
	tell(s, p->ptr, p->len);
	if (p->last)
		tell(s, ")", 1);
	s->pieces++;
}

static void feed(struct rc_ws_decoder *d, const struct rc_ws_limits *lim,
	const unsigned char *bytes, size_t len, struct story *s)
{
	unsigned char *copy = malloc(len), *at = copy;
	size_t left = len;
	enum rc_ws_result result;
	struct rc_ws_piece piece;
	unsigned calls = 0;

	memcpy(copy, bytes, len);
	do {
		size_t before = left;

		if (thrown_away && rc_ws_at_rest(d))
			memset(d, 0, sizeof(*d));
		result = rc_ws_next(d, lim, &at, &left, &piece);
		assert_true(left <= before);
		assert_ptr_equal(at + left, copy + len);
		assert_true(++calls <= len + 1);
		if (result != RC_WS_MORE)
			tell_piece(s, result, &piece);
	} while (result != RC_WS_MORE && result != RC_WS_FAIL);
	assert_int_equal(left, 0);
	free(copy);
}

static struct story whole, parts;

/* Pieces that came before a failure may be longer the finer the input was cut; the failure is the same. */
static void assert_same_story(bool failed)
{
	const char *verdict;

	if (!failed) {
		assert_int_equal(parts.len, whole.len);
		assert_memory_equal(parts.text, whole.text, whole.len);
		return;
	}
	verdict = whole.text + whole.len - 9;
	assert_true(parts.len >= whole.len);
	assert_memory_equal(parts.text, whole.text, whole.len - 9);
	assert_memory_equal(parts.text + parts.len - 9, verdict, 9);
}

static void run_once(const struct rc_ws_limits *lim, bool at_rest)
{
	struct rc_ws_decoder d = {0};
	bool failed;

	whole.len = whole.pieces = 0;
	feed(&d, lim, in.bytes, in.len, &whole);
	assert_int_equal(rc_ws_at_rest(&d), at_rest);
	failed = d.failure != 0;
	if (in.len <= 2000) {
		for (size_t cut = 0; cut <= in.len; cut++) {
			memset(&d, 0, sizeof(d));
			parts.len = 0;
			feed(&d, lim, in.bytes, cut, &parts);
			if (d.failure == 0)
				feed(&d, lim, in.bytes + cut, in.len - cut, &parts);
			assert_same_story(failed);
			assert_int_equal(rc_ws_at_rest(&d), at_rest);
		}
	}
	memset(&d, 0, sizeof(d));
	parts.len = 0;
	for (size_t i = 0; i < in.len && d.failure == 0; i++)
		feed(&d, lim, in.bytes + i, 1, &parts);
	assert_same_story(failed);
	assert_int_equal(rc_ws_at_rest(&d), at_rest);
}

static void run(const struct rc_ws_limits *lim, bool at_rest)
{
	thrown_away = true;
	run_once(lim, at_rest);
	thrown_away = false;
	run_once(lim, at_rest);
}

static void expect(const struct rc_ws_limits *lim, const char *story, bool at_rest)
{
	run(lim, at_rest);
	if (whole.len != strlen(story) || memcmp(whole.text, story, whole.len) != 0)
		print_error("%.*s instead of %s\n", (int)whole.len, whole.text, story);
	assert_int_equal(whole.len, strlen(story));
	assert_memory_equal(whole.text, story, whole.len);
}

/* Feeds up to the byte that must bring the failure, and not one more. */
static void expect_failure_at(const struct rc_ws_limits *lim, size_t len, const char *story)
{
	struct rc_ws_decoder d = {0};

	assert_true(len <= in.len);
	parts.len = 0;
	feed(&d, lim, in.bytes, len - 1, &parts);
	assert_int_equal(d.failure, 0);
	feed(&d, lim, in.bytes + len - 1, 1, &parts);
	assert_int_not_equal(d.failure, 0);
	expect(lim, story, false);
}

/* ---- messages ---- */

static void decoder_reads_the_examples_of_the_rfc(void **state)
{
	static const unsigned char hello[] = {
		0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
	static const unsigned char fragments[] = {0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c,
		0x6f, 0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c,
		0x6f};

	(void)state;
	begin(true);
	add_bytes(hello, sizeof(hello));
	expect(&server, "T(Hello)", true);
	begin(false);
	add_bytes(fragments, sizeof(fragments));
	expect(&client, "T(Hello)ping(Hello)T(Hello)", true);
}

static void decoder_hands_on_a_whole_frame_as_one_piece(void **state)
{
	(void)state;
	begin(true);
	add_text(true, RC_WS_TEXT, "one");
	add_text(true, RC_WS_BINARY, "two");
	add_text(true, RC_WS_TEXT, "");
	expect(&server, "T(one)B(two)T()", true);
	assert_int_equal(whole.pieces, 3);
}

static void decoder_joins_fragments_and_lets_controls_between_them(void **state)
{
	for (int side = 0; side < 2; side++) {
		begin(side == 0);
		add_text(true, RC_WS_PING, "");
		add_text(false, RC_WS_TEXT, "a");
		add_text(true, RC_WS_PING, "p");
		add_text(false, RC_WS_CONTINUATION, "b");
		add_text(true, RC_WS_PONG, "q");
		add_text(true, RC_WS_PONG, "");
		add_text(true, RC_WS_CONTINUATION, "c");
		add_text(true, RC_WS_BINARY, "d");
		expect(side == 0 ? &server : &client, "ping()T(aping(p)bpong(q)pong()c)B(d)", true);
	}
	(void)state;
}

static void decoder_takes_empty_fragments_anywhere(void **state)
{
	(void)state;
	begin(true);
	add_text(false, RC_WS_TEXT, "");
	add_text(false, RC_WS_CONTINUATION, "");
	add_text(false, RC_WS_CONTINUATION, "x");
	add_text(false, RC_WS_CONTINUATION, "");
	add_text(true, RC_WS_CONTINUATION, "");
	add_text(false, RC_WS_BINARY, "");
	add_text(true, RC_WS_CONTINUATION, "");
	expect(&server, "T(x)B()", true);
	assert_int_equal(whole.pieces, 3);
}

static void decoder_reads_every_size_of_length(void **state)
{
	static const size_t sizes[] = {1, 124, 125, 126, 127, 128, 1000, 65535, 65536, 66000};
	static unsigned char payload[66000];

	(void)state;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (unsigned char)(i * 131 >> 3);
	for (int side = 0; side < 2; side++) {
		for (size_t i = 0; i < RC_ARRAY_LEN(sizes); i++) {
			begin(side == 0);
			add(true, RC_WS_BINARY, payload, sizes[i]);
			run(side == 0 ? &server : &client, true);
			assert_int_equal(whole.len, sizes[i] + 3);
			assert_int_equal(whole.pieces, 1);
			assert_memory_equal(whole.text + 2, payload, sizes[i]);
		}
	}
}

static void decoder_says_where_in_the_message_a_piece_lies(void **state)
{
	struct rc_ws_decoder d = {0};
	struct rc_ws_piece p;
	unsigned char *at = in.bytes;
	size_t len = 6 + 2;

	(void)state;
	begin(true);
	add_text(false, RC_WS_BINARY, "abcd");
	add_text(true, RC_WS_CONTINUATION, "ef");
	assert_int_equal(rc_ws_next(&d, &server, &at, &len, &p), RC_WS_DATA);
	assert_true(p.first && !p.last && p.len == 2 && p.message_total == 2);
	assert_ptr_equal(p.ptr, in.bytes + 6);
	assert_int_equal(rc_ws_next(&d, &server, &at, &len, &p), RC_WS_MORE);
	assert_false(rc_ws_at_rest(&d));
	len = 2 + 6 + 2;
	assert_int_equal(rc_ws_next(&d, &server, &at, &len, &p), RC_WS_DATA);
	assert_true(!p.first && !p.last && p.len == 2 && p.message_total == 4);
	assert_int_equal(len, 8);
	assert_int_equal(rc_ws_next(&d, &server, &at, &len, &p), RC_WS_DATA);
	assert_true(!p.first && p.last && p.opcode == RC_WS_BINARY && p.message_total == 6);
	assert_true(rc_ws_at_rest(&d));
	assert_int_equal(rc_ws_next(&d, &server, &at, &len, &p), RC_WS_MORE);
}

static void decoder_at_rest_is_what_zeros_are(void **state)
{
	struct rc_ws_decoder d = {0};

	(void)state;
	assert_true(rc_ws_at_rest(&d));
	begin(true);
	add_text(false, RC_WS_TEXT, "a");
	expect(&server, "T(a", false);
	begin(true);
	add_text(true, RC_WS_TEXT, "abc");
	for (in.len = 1; in.len < 6 + 3; in.len++) {
		memset(&d, 0, sizeof(d));
		whole.len = 0;
		feed(&d, &server, in.bytes, in.len, &whole);
		assert_false(rc_ws_at_rest(&d));
	}
}

/* ---- rules of framing ---- */

static void decoder_refuses_reserved_bits_and_opcodes_at_the_first_byte(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 256; first++) {
		unsigned char byte = (unsigned char)first;
		unsigned opcode = first & 15;
		bool known = opcode == 1 || opcode == 2 || (opcode >= 8 && opcode <= 10);

		begin(true);
		add_bytes(&byte, 1);
		if ((first & 0x70) == 0 && known && (opcode < 8 || (first & 0x80)))
			expect(&server, "", false);
		else
			expect_failure_at(&server, 1, "fail 1002");
	}
}

static void decoder_wants_masks_from_clients_and_none_from_servers(void **state)
{
	(void)state;
	begin(false);
	add_text(true, RC_WS_TEXT, "a");
	expect_failure_at(&server, 2, "fail 1002");
	begin(true);
	add_text(true, RC_WS_TEXT, "a");
	expect_failure_at(&client, 2, "fail 1002");
}

static void decoder_refuses_control_frames_that_are_long_or_fragmented(void **state)
{
	static const char payload[126];

	(void)state;
	for (uint8_t opcode = 8; opcode <= 10; opcode++) {
		begin(true);
		add(true, opcode, payload, 126);
		expect_failure_at(&server, 2, "fail 1002");
		begin(true);
		add(false, opcode, "", 0);
		expect_failure_at(&server, 1, "fail 1002");
	}
	begin(true);
	add(true, RC_WS_PING, payload, 125);
	run(&server, true);
	assert_int_equal(whole.len, 125 + strlen("ping()"));
}

static void decoder_refuses_fragments_out_of_order(void **state)
{
	(void)state;
	begin(true);
	add_text(true, RC_WS_CONTINUATION, "a");
	expect_failure_at(&server, 1, "fail 1002");
	begin(true);
	add_text(true, RC_WS_TEXT, "a");
	add_text(true, RC_WS_CONTINUATION, "b");
	expect_failure_at(&server, 8, "T(a)fail 1002");
	begin(true);
	add_text(false, RC_WS_TEXT, "a");
	add_text(true, RC_WS_TEXT, "b");
	expect_failure_at(&server, 8, "T(afail 1002");
	begin(true);
	add_text(false, RC_WS_TEXT, "");
	add_text(false, RC_WS_BINARY, "b");
	expect_failure_at(&server, 7, "fail 1002");
}

static void decoder_refuses_lengths_that_are_not_minimal_or_over_63_bits(void **state)
{
	static const unsigned char small16[] = {0x82, 126, 0, 125};
	static const unsigned char small64[] = {0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	static const unsigned char zero64[] = {0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0};
	static const unsigned char top[] = {0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0};

	(void)state;
	begin(false);
	add_bytes(small16, sizeof(small16));
	expect_failure_at(&client, 4, "fail 1002");
	begin(false);
	add_bytes(small64, sizeof(small64));
	expect_failure_at(&client, 10, "fail 1002");
	begin(false);
	add_bytes(zero64, sizeof(zero64));
	expect_failure_at(&client, 10, "fail 1002");
	begin(false);
	add_bytes(top, sizeof(top));
	expect_failure_at(&client, 10, "fail 1002");
}

static void decoder_stays_failed(void **state)
{
	struct rc_ws_decoder d = {0};
	struct rc_ws_piece p;
	unsigned char *at = in.bytes;
	size_t len;

	(void)state;
	begin(false);
	add_text(true, RC_WS_TEXT, "a");
	len = in.len;
	assert_int_equal(rc_ws_next(&d, &server, &at, &len, &p), RC_WS_FAIL);
	begin(true);
	add_text(true, RC_WS_TEXT, "a");
	at = in.bytes;
	len = in.len;
	memset(&p, 0, sizeof(p));
	assert_int_equal(rc_ws_next(&d, &server, &at, &len, &p), RC_WS_FAIL);
	assert_int_equal(p.close_code, 1002);
	assert_string_equal(p.reason, "frame is not masked");
	assert_int_equal(rc_ws_next(&d, &server, &at, &len, &p), RC_WS_FAIL);
	assert_false(rc_ws_at_rest(&d));
}

/* ---- limits ---- */

static void decoder_holds_messages_to_message_max_from_the_header(void **state)
{
	static const unsigned char huge[] = {0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255};
	struct rc_ws_limits lim = server;

	(void)state;
	lim.message_max = 5;
	begin(true);
	add_text(true, RC_WS_TEXT, "12345");
	add_text(true, RC_WS_PING, "a control is no message");
	add_text(true, RC_WS_TEXT, "67890");
	expect(&lim, "T(12345)ping(a control is no message)T(67890)", true);
	begin(true);
	add_text(true, RC_WS_TEXT, "123456");
	expect_failure_at(&lim, 2, "fail 1009");
	begin(true);
	add_text(false, RC_WS_TEXT, "123");
	add_text(false, RC_WS_CONTINUATION, "45");
	add_text(true, RC_WS_CONTINUATION, "");
	expect(&lim, "T(12345)", true);
	begin(true);
	add_text(false, RC_WS_TEXT, "123");
	add_text(true, RC_WS_CONTINUATION, "456");
	expect_failure_at(&lim, 9 + 2, "T(123fail 1009");
	lim.masked = false;
	begin(false);
	add_bytes(huge, sizeof(huge));
	expect_failure_at(&lim, 10, "fail 1009");
	/* With no limit at all the sum must not wrap round. */
	lim.message_max = UINT64_MAX;
	expect(&lim, "", false);
	begin(false);
	add_text(false, RC_WS_BINARY, "a");
	add_bytes(huge, sizeof(huge));
	in.bytes[3] = 0x80;
	expect(&lim, "B(a", false);
	lim.message_max = 0;
	begin(false);
	add_text(true, RC_WS_TEXT, "");
	add_text(true, RC_WS_TEXT, "a");
	expect(&lim, "T()fail 1009", false);
}

static void decoder_holds_an_open_message_to_a_limit_that_was_lowered(void **state)
{
	struct rc_ws_limits lim = server;
	struct rc_ws_decoder d = {0};

	(void)state;
	begin(true);
	add_text(false, RC_WS_TEXT, "123");
	add_text(true, RC_WS_CONTINUATION, "");
	whole.len = 0;
	feed(&d, &lim, in.bytes, 9, &whole);
	lim.message_max = 2;
	feed(&d, &lim, in.bytes + 9, in.len - 9, &whole);
	assert_int_equal(whole.len, strlen("T(123fail 1009"));
	assert_memory_equal(whole.text, "T(123fail 1009", whole.len);
}

static void decoder_holds_messages_to_fragments_max(void **state)
{
	struct rc_ws_limits lim = server;

	(void)state;
	lim.fragments_max = 3;
	for (int twice = 0; twice < 2; twice++) {
		begin(true);
		for (int i = 0; i <= twice; i++) {
			add_text(false, RC_WS_TEXT, "a");
			add_text(false, RC_WS_CONTINUATION, "");
			add_text(true, RC_WS_PING, "");
			add_text(true, RC_WS_CONTINUATION, "b");
		}
		expect(&lim, twice ? "T(aping()b)T(aping()b)" : "T(aping()b)", true);
	}
	begin(true);
	add_text(false, RC_WS_TEXT, "a");
	add_text(false, RC_WS_CONTINUATION, "");
	add_text(false, RC_WS_CONTINUATION, "");
	add_text(true, RC_WS_CONTINUATION, "b");
	expect_failure_at(&lim, 7 + 6 + 6 + 1, "T(afail 1008");
	lim.fragments_max = 1;
	begin(true);
	add_text(true, RC_WS_TEXT, "a");
	add_text(false, RC_WS_TEXT, "b");
	add_text(true, RC_WS_CONTINUATION, "");
	expect(&lim, "T(a)T(bfail 1008", false);
}

/* ---- UTF-8 ---- */

static void decoder_takes_characters_across_fragments_and_controls(void **state)
{
	(void)state;
	begin(true);
	add_text(false, RC_WS_TEXT, "\xf0\x9f");
	add_text(true, RC_WS_PING, "\xff");
	add_text(false, RC_WS_CONTINUATION, "");
	add_text(false, RC_WS_CONTINUATION, "\x98");
	add_text(true, RC_WS_CONTINUATION, "\x80 \xc3\xa4");
	add_text(true, RC_WS_BINARY, "\xff\xc0");
	expect(&server, "T(\xf0\x9fping(\xff)\x98\x80 \xc3\xa4)B(\xff\xc0)", true);
}

static void decoder_refuses_text_that_is_not_utf8_at_the_first_wrong_byte(void **state)
{
	static const struct {
		const char *text;
		size_t good;
	} cases[] = {
		{"abc\xff", 3},
		{"\x80", 0},
		{"\xc0\xaf", 0},
		{"\xe0\x80\x80", 1},
		{"\xed\xa0\x80", 1},
		{"\xf4\x90\x80\x80", 1},
		{"\xf5", 0},
		{"a\xc3(", 2},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		begin(true);
		add_text(true, RC_WS_TEXT, cases[i].text);
		expect_failure_at(&server, 6 + cases[i].good + 1, "fail 1007");
		/* The same behind a fragment, and not at the end of its message. */
		begin(true);
		add_text(false, RC_WS_TEXT, "ok");
		add_text(false, RC_WS_CONTINUATION, cases[i].text);
		expect_failure_at(&server, 8 + 6 + cases[i].good + 1, "T(okfail 1007");
	}
}

static void decoder_refuses_text_that_ends_inside_a_character(void **state)
{
	(void)state;
	begin(true);
	add_text(true, RC_WS_TEXT, "a\xe2\x82");
	expect(&server, "fail 1007", false);
	begin(true);
	add_text(false, RC_WS_TEXT, "a\xe2\x82");
	add_text(true, RC_WS_CONTINUATION, "");
	expect(&server,
		"T(a\xe2\x82"
		"fail 1007",
		false);
	/* And the next message starts between characters. */
	begin(true);
	add_text(true, RC_WS_BINARY, "\xe2");
	add_text(true, RC_WS_TEXT, "\x82");
	expect(&server, "B(\xe2)fail 1007", false);
}

static void decoder_leaves_text_alone_when_told_to(void **state)
{
	struct rc_ws_limits lim = server;

	(void)state;
	lim.check_utf8 = false;
	begin(true);
	add_text(true, RC_WS_TEXT, "\xff\xc3");
	expect(&lim, "T(\xff\xc3)", true);
	begin(true);
	add_text(true, RC_WS_CLOSE, "\x03\xe8\xff");
	expect(&lim, "fail 1007", false);
}

/* ---- close ---- */

static void decoder_reads_close_codes(void **state)
{
	(void)state;
	begin(true);
	add_text(true, RC_WS_CLOSE, "");
	expect(&server, "close 1005()", true);
	begin(true);
	add_text(true, RC_WS_CLOSE, "\x03\xe8");
	expect(&server, "close 1000(\x03\xe8)", true);
	begin(true);
	add_text(false, RC_WS_TEXT, "a");
	add_text(true, RC_WS_CLOSE,
		"\x0f\xa1"
		"bye \xe2\x82\xac");
	expect(&server,
		"T(aclose 4001(\x0f\xa1"
		"bye \xe2\x82\xac)",
		false);
}

static void decoder_refuses_bad_close_frames(void **state)
{
	(void)state;
	begin(true);
	add_text(true, RC_WS_CLOSE, "\x03");
	expect(&server, "fail 1002", false);
	begin(true);
	add_text(true, RC_WS_CLOSE, "\x03\xe8\xc3");
	expect(&server, "fail 1007", false);
	begin(true);
	add_text(true, RC_WS_CLOSE, "\x03\xe8\xed\xa0\x80");
	expect(&server, "fail 1007", false);
}

static void decoder_takes_exactly_the_valid_close_codes(void **state)
{
	(void)state;
	for (unsigned code = 0; code <= UINT16_MAX; code++) {
		unsigned char payload[2] = {(unsigned char)(code >> 8), (unsigned char)code};
		struct rc_ws_decoder d = {0};
		struct rc_ws_piece p;
		unsigned char *at = in.bytes;
		size_t len;
		bool valid = (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 &&
				     code != 1006) ||
			     (code >= 3000 && code < 5000);

		begin(true);
		add(true, RC_WS_CLOSE, payload, 2);
		len = in.len;
		assert_int_equal(rc_ws_close_code_valid((uint16_t)code), valid);
		assert_int_equal(
			rc_ws_next(&d, &server, &at, &len, &p), valid ? RC_WS_CONTROL : RC_WS_FAIL);
		assert_int_equal(p.close_code, valid ? code : 1002);
	}
}

/* ---- the sending side ---- */

static void header_is_minimal_at_every_boundary(void **state)
{
	static const struct {
		uint64_t len;
		size_t header_len;
		unsigned char bytes[10];
	} cases[] = {
		{0, 2, {0x82, 0}},
		{125, 2, {0x82, 125}},
		{126, 4, {0x82, 126, 0, 126}},
		{65535, 4, {0x82, 126, 0xff, 0xff}},
		{65536, 10, {0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
		{INT64_MAX, 10, {0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
	};
	unsigned char out[14];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		assert_int_equal(rc_ws_header_len(cases[i].len), cases[i].header_len);
		assert_int_equal(
			rc_ws_header(out, RC_WS_BINARY, true, cases[i].len), cases[i].header_len);
		assert_memory_equal(out, cases[i].bytes, cases[i].header_len);
		assert_int_equal(
			rc_ws_masked_header(out, RC_WS_BINARY, true, cases[i].len, 0x01020304),
			cases[i].header_len + 4);
		assert_int_equal(out[1], cases[i].bytes[1] | 0x80);
	}
	rc_ws_header(out, RC_WS_TEXT, false, 1);
	assert_int_equal(out[0], 0x01);
}

static void mask_is_right_at_every_length_phase_and_alignment(void **state)
{
	static const unsigned char key[4] = {0x11, 0x22, 0x44, 0x88};
	unsigned char bytes[160], expected[160];
	uint32_t mask;

	(void)state;
	memcpy(&mask, key, 4);
	for (size_t start = 0; start < 9; start++) {
		for (size_t len = 0; len < 140; len++) {
			for (uint64_t phase = 0; phase < 5; phase++) {
				for (size_t i = 0; i < sizeof(bytes); i++) {
					bytes[i] = expected[i] = (unsigned char)(i * 3);
					if (i >= start && i < start + len)
						expected[i] ^= key[(i - start + phase) & 3];
				}
				rc_ws_mask(bytes + start, len, mask, phase);
				assert_memory_equal(bytes, expected, sizeof(bytes));
			}
		}
	}
}

static void close_frame_carries_code_and_reason(void **state)
{
	unsigned char out[RC_WS_CLOSE_FRAME_MAX];

	(void)state;
	assert_int_equal(rc_ws_close_frame(out, 1005, "ignored"), 2);
	assert_memory_equal(out, "\x88\x00", 2);
	assert_int_equal(rc_ws_close_frame(out, 1000, NULL), 4);
	assert_memory_equal(out, "\x88\x02\x03\xe8", 4);
	assert_int_equal(rc_ws_close_frame(out, 4101, "too slow"), 12);
	assert_memory_equal(out, "\x88\x0a\x10\x05too slow", 12);
}

static const struct rc_ws_limits deflating = {.message_max = 1000,
	.fragments_max = 8,
	.masked = true,
	.check_utf8 = true,
	.deflate = true};

static void decoder_takes_compressed_messages_when_that_was_agreed_on(void **state)
{
	(void)state;
	begin(true);
	add(true, RC_WS_TEXT | RC_WS_RSV1, "\xff\xfe", 2);
	add(false, RC_WS_BINARY | RC_WS_RSV1, "a", 1);
	add_text(true, RC_WS_PING, "p");
	add(false, RC_WS_CONTINUATION, "\xff", 1);
	add(true, RC_WS_CONTINUATION, "c", 1);
	add_text(true, RC_WS_TEXT, "plain");
	expect(&deflating,
		"deflated T(\xff\xfe)deflated B(aping(p)\xff"
		"c)T(plain)",
		true);
	begin(true);
	add(true, RC_WS_TEXT | RC_WS_RSV1, "", 0);
	expect(&deflating, "deflated T()", true);
	/* Text that is not compressed is checked as ever. */
	begin(true);
	add_text(true, RC_WS_TEXT | RC_WS_RSV1, "x");
	add(true, RC_WS_TEXT, "\xff", 1);
	expect(&deflating, "deflated T(x)fail 1007", false);
}

static void decoder_refuses_the_compressed_bit_where_nothing_begins(void **state)
{
	static const uint8_t wrong[] = {RC_WS_PING | RC_WS_RSV1, RC_WS_CLOSE | RC_WS_RSV1,
		RC_WS_CONTINUATION | RC_WS_RSV1, RC_WS_TEXT | 0x20, RC_WS_TEXT | RC_WS_RSV1 | 0x10};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(wrong); i++) {
		begin(true);
		add(false, RC_WS_TEXT | RC_WS_RSV1, "a", 1);
		size_t before = in.len;
		add(true, wrong[i], "", 0);
		expect_failure_at(&deflating, before + 1, "deflated T(afail 1002");
	}
	begin(true);
	add(true, RC_WS_TEXT | RC_WS_RSV1, "", 0);
	expect_failure_at(&server, 1, "fail 1002");
}

static void decoder_lets_compressed_messages_be_a_little_longer(void **state)
{
	static char long_one[RC_WS_DEFLATED_MAX(1000) + 1];
	size_t most = RC_WS_DEFLATED_MAX(1000);

	(void)state;
	begin(true);
	add(false, RC_WS_BINARY | RC_WS_RSV1, long_one, most - 1);
	add(true, RC_WS_CONTINUATION, long_one, 1);
	run(&deflating, true);
	begin(true);
	add(false, RC_WS_BINARY | RC_WS_RSV1, long_one, most);
	add(true, RC_WS_CONTINUATION, long_one, 1);
	run(&deflating, false);
	assert_memory_equal(whole.text + whole.len - 9, "fail 1009", 9);
	begin(true);
	add(true, RC_WS_BINARY, long_one, 1001);
	run(&deflating, false);
	assert_memory_equal(whole.text, "fail 1009", 9);
}

static void close_frame_cuts_a_long_reason_between_characters(void **state)
{
	for (size_t lead = 0; lead < 4; lead++) {
		char reason[201] = {0};
		unsigned char out[RC_WS_CLOSE_FRAME_MAX];
		size_t len;

		memset(reason, 'a', lead);
		for (size_t i = lead; i + 3 <= 200; i += 3)
			memcpy(reason + i, "\xe2\x82\xac", 3);
		begin(false);
		len = rc_ws_close_frame(out, 1001, reason);
		assert_in_range(len, RC_WS_CLOSE_FRAME_MAX - 2, RC_WS_CLOSE_FRAME_MAX);
		add_bytes(out, len);
		run(&client, true);
		assert_memory_equal(whole.text, "close 1001(", 11);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoder_reads_the_examples_of_the_rfc),
		cmocka_unit_test(decoder_hands_on_a_whole_frame_as_one_piece),
		cmocka_unit_test(decoder_joins_fragments_and_lets_controls_between_them),
		cmocka_unit_test(decoder_takes_empty_fragments_anywhere),
		cmocka_unit_test(decoder_reads_every_size_of_length),
		cmocka_unit_test(decoder_says_where_in_the_message_a_piece_lies),
		cmocka_unit_test(decoder_at_rest_is_what_zeros_are),
		cmocka_unit_test(decoder_refuses_reserved_bits_and_opcodes_at_the_first_byte),
		cmocka_unit_test(decoder_wants_masks_from_clients_and_none_from_servers),
		cmocka_unit_test(decoder_refuses_control_frames_that_are_long_or_fragmented),
		cmocka_unit_test(decoder_refuses_fragments_out_of_order),
		cmocka_unit_test(decoder_refuses_lengths_that_are_not_minimal_or_over_63_bits),
		cmocka_unit_test(decoder_stays_failed),
		cmocka_unit_test(decoder_holds_messages_to_message_max_from_the_header),
		cmocka_unit_test(decoder_holds_an_open_message_to_a_limit_that_was_lowered),
		cmocka_unit_test(decoder_holds_messages_to_fragments_max),
		cmocka_unit_test(decoder_takes_characters_across_fragments_and_controls),
		cmocka_unit_test(decoder_refuses_text_that_is_not_utf8_at_the_first_wrong_byte),
		cmocka_unit_test(decoder_refuses_text_that_ends_inside_a_character),
		cmocka_unit_test(decoder_leaves_text_alone_when_told_to),
		cmocka_unit_test(decoder_takes_compressed_messages_when_that_was_agreed_on),
		cmocka_unit_test(decoder_refuses_the_compressed_bit_where_nothing_begins),
		cmocka_unit_test(decoder_lets_compressed_messages_be_a_little_longer),
		cmocka_unit_test(decoder_reads_close_codes),
		cmocka_unit_test(decoder_refuses_bad_close_frames),
		cmocka_unit_test(decoder_takes_exactly_the_valid_close_codes),
		cmocka_unit_test(header_is_minimal_at_every_boundary),
		cmocka_unit_test(mask_is_right_at_every_length_phase_and_alignment),
		cmocka_unit_test(close_frame_carries_code_and_reason),
		cmocka_unit_test(close_frame_cuts_a_long_reason_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
