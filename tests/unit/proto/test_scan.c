/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops that go sixteen bytes at a time against the same one byte after the other: masks, JSON strings, field values. Each
 * text ends where its memory ends, so that a sanitizer sees a byte read too far.
 */
#include "../unit.h"

#include <stdio.h>

#include "base/random.h"
#include "proto/http1.h"
#include "proto/json.h"
#include "proto/websocket.h"

#define LEN_MAX 200u
#define EDGE    64u

static unsigned char *copy_of(const void *bytes, size_t len, uint32_t offset)
{
	unsigned char *block = malloc(offset + len);

	assert_true(block || offset + len == 0);
	if (len)
		memcpy(block + offset, bytes, len);
	return block;
}

/* ---- masks --------------------------------------------------------------------------------------- */

static void mask_of_every_length_alignment_and_phase_is_the_plain_one(void **state)
{
	unsigned char text[LEN_MAX], want[LEN_MAX];
	uint32_t mask;

	(void)state;
	memcpy(&mask, "\x01\x80\xfe\x33", sizeof(mask));
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (unsigned char)(i * 7 + 1);
	for (size_t len = 0; len <= LEN_MAX; len++) {
		for (uint64_t phase = 0; phase < 5; phase++) {
			memcpy(want, text, sizeof(text));
			rc_ws_mask_plain(want, len, mask, phase);
			for (size_t i = 0; i < len; i++)
				assert_int_equal(want[i],
					text[i] ^ ((const unsigned char *)&mask)[(i + phase) % 4]);
			for (uint32_t offset = 0; offset < 16; offset++) {
				unsigned char *got = copy_of(text, len, offset);

				rc_ws_mask(got + offset, len, mask, phase);
				assert_true(len == 0 || memcmp(got + offset, want, len) == 0);
				free(got);
			}
		}
	}
}

static void mask_leaves_what_stands_around_alone(void **state)
{
	unsigned char text[EDGE + LEN_MAX + EDGE];

	(void)state;
	for (size_t len = 0; len <= LEN_MAX; len++) {
		memset(text, 0x5a, sizeof(text));
		rc_ws_mask(text + EDGE, len, 0x11111111, 0);
		for (size_t i = 0; i < sizeof(text); i++)
			assert_int_equal(text[i], i >= EDGE && i < EDGE + len ? 0x5a ^ 0x11 : 0x5a);
	}
}

/* ---- JSON strings -------------------------------------------------------------------------------- */

static int validate(const unsigned char *text, size_t len)
{
	unsigned char *block = copy_of(text, len, 0);
	int rc = rc_json_validate((struct rc_str){(const char *)block, len}, 4);

	free(block);
	return rc;
}

/* A string of one kind of byte in which one is another. Which of them make a text of JSON is written out here once more. */
static void json_strings_with_every_byte_at_every_place_are_judged_right(void **state)
{
	unsigned char text[LEN_MAX + 2];

	(void)state;
	for (size_t len = 1; len <= 70; len++) {
		text[0] = text[len + 1] = '"';
		for (size_t at = 1; at <= len; at++) {
			memset(text + 1, 'x', len);
			for (uint32_t byte = 0; byte < 256; byte++) {
				bool valid =
					byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';

				text[at] = (unsigned char)byte;
				assert_int_equal(validate(text, len + 2) == 0, valid);
			}
		}
	}
}

static void json_strings_beyond_ascii_are_looked_at_as_utf8_wherever_it_stands(void **state)
{
	unsigned char text[LEN_MAX + 2];

	(void)state;
	for (size_t len = 2; len <= LEN_MAX; len++) {
		text[0] = text[len + 1] = '"';
		for (size_t at = 1; at < len; at++) {
			memset(text + 1, 'x', len);
			memcpy(text + at, "\xc3\xa4", 2);
			assert_int_equal(validate(text, len + 2), 0);
			text[at + 1] = 'x';
			assert_true(validate(text, len + 2) < 0);
			/* Cut in front of what follows. */
			assert_true(validate(text, at + 1) < 0);
		}
	}
}

static void json_escaping_finds_what_must_be_escaped_at_every_place(void **state)
{
	char text[LEN_MAX], out[LEN_MAX * 6], want[LEN_MAX * 6];

	(void)state;
	for (size_t len = 1; len <= 70; len++) {
		for (size_t at = 0; at < len; at++) {
			for (uint32_t byte = 0; byte < 256; byte++) {
				memset(text, 'y', len);
				text[at] = (char)byte;
				const char *letters = "\"\\\b\f\n\r\t", *names = "\"\\bfnrt";
				const char *found = byte ? strchr(letters, (int)byte) : NULL;
				size_t n = at;
				memset(want, 'y', at);
				if (found)
					n += (size_t)sprintf(
						want + n, "\\%c", names[found - letters]);
				else if (byte < 0x20)
					n += (size_t)sprintf(want + n, "\\u%04x", byte);
				else
					want[n++] = (char)byte;
				memset(want + n, 'y', len - at - 1);
				n += len - at - 1;
				struct rc_str s = {text, len};
				assert_int_equal(rc_json_escape_len(s), n);
				assert_int_equal(rc_json_escape(out, s), n);
				assert_memory_equal(out, want, n);
			}
		}
	}
}

/* ---- field values -------------------------------------------------------------------------------- */

static bool value_may_hold(uint32_t byte)
{
	return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static void field_values_with_every_byte_at_every_place_are_judged_right(void **state)
{
	static const char before[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
	static const char after[] = "\r\n\r\n";
	char text[512];
	size_t begin = sizeof(before) - 1;
	struct rc_http_request request;

	(void)state;
	memcpy(text, before, begin);
	for (size_t len = 1; len <= 70; len++) {
		memset(text + begin, 'v', len);
		memcpy(text + begin + len, after, sizeof(after) - 1);
		size_t total = begin + len + sizeof(after) - 1;
		for (size_t at = 1; at + 1 < len; at++) {
			for (uint32_t byte = 0; byte < 256; byte++) {
				text[begin + at] = (char)byte;
				unsigned char *block = copy_of(text, total, 0);
				int rc = rc_http_parse(block, total, 8192, &request);
				assert_int_equal(rc, value_may_hold(byte) ? 0 : -400);
				if (rc == 0)
					assert_int_equal(request.header[1].value.len, len);
				free(block);
			}
			text[begin + at] = 'v';
		}
	}
}

static void every_beginning_of_a_head_with_long_values_wants_more(void **state)
{
	char text[1024];
	struct rc_http_request request;

	(void)state;
	for (size_t len = 0; len <= LEN_MAX; len += 3) {
		size_t total = (size_t)snprintf(text, sizeof(text),
			"GET / HTTP/1.1\r\nHost: a\r\nCookie: \t %0*d \r\nB: b\r\n\r\n",
			(int)len + 1, 0);
		for (size_t cut = 0; cut <= total; cut++) {
			unsigned char *block = copy_of(text, cut, 0);

			assert_int_equal(rc_http_parse(block, cut, 8192, &request),
				cut == total ? 0 : RC_HTTP_PARTIAL);
			free(block);
		}
		assert_int_equal(rc_http_parse(text, total, 8192, &request), 0);
		assert_int_equal(request.header[1].value.len, len + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mask_of_every_length_alignment_and_phase_is_the_plain_one),
		cmocka_unit_test(mask_leaves_what_stands_around_alone),
		cmocka_unit_test(json_strings_with_every_byte_at_every_place_are_judged_right),
		cmocka_unit_test(
			json_strings_beyond_ascii_are_looked_at_as_utf8_wherever_it_stands),
		cmocka_unit_test(json_escaping_finds_what_must_be_escaped_at_every_place),
		cmocka_unit_test(field_values_with_every_byte_at_every_place_are_judged_right),
		cmocka_unit_test(every_beginning_of_a_head_with_long_values_wants_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
