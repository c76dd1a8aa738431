/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64: the vectors of RFC 4648, and one text per value.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "proto/base64.h"

static const struct {
	const char *plain, *coded;
} vectors[] = {
	{"", ""},
	{"f", "Zg=="},
	{"fo", "Zm8="},
	{"foo", "Zm9v"},
	{"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="},
	{"foobar", "Zm9vYmFy"},
};

static void base64_encodes_the_vectors_of_the_rfc(void **state)
{
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(vectors); i++) {
		char out[16];
		size_t len = rc_base64_encode(vectors[i].plain, strlen(vectors[i].plain), out);

		assert_int_equal(len, strlen(vectors[i].coded));
		assert_int_equal(len, rc_base64_len(strlen(vectors[i].plain)));
		assert_memory_equal(out, vectors[i].coded, len);
	}
}

static void base64_decodes_the_vectors_of_the_rfc(void **state)
{
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(vectors); i++) {
		char out[16];
		int64_t len = rc_base64_decode(rc_str_of(vectors[i].coded), out, sizeof(out));

		assert_int_equal(len, strlen(vectors[i].plain));
		assert_memory_equal(out, vectors[i].plain, (size_t)len);
	}
}

static void base64_gives_every_byte_back(void **state)
{
	unsigned char in[256], out[256];
	char text[344];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)(i * 7);
	for (size_t len = 0; len <= sizeof(in); len++) {
		size_t text_len = rc_base64_encode(in, len, text);

		assert_int_equal(rc_base64_decode((struct rc_str){text, text_len}, out, len), len);
		assert_memory_equal(in, out, len);
	}
}

static void base64_refuses_what_the_encoder_never_gives(void **state)
{
	static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg=a",
		"Z===", "====", "=Zg=", "Zh==", "Zm9=", "Zm9v\n", "Zm-v", "Zm_v", "Zm 9",
		"Zg==Zg==", "Zm8=Zm9v"};
	char out[16];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++)
		assert_int_equal(rc_base64_decode(rc_str_of(bad[i]), out, sizeof(out)), -EINVAL);
}

static void base64_says_when_the_room_is_too_small(void **state)
{
	char out[5];

	(void)state;
	assert_int_equal(rc_base64_decode(RC_STR("Zm9vYmFy"), out, sizeof(out)), -ENOSPC);
	assert_int_equal(rc_base64_decode(RC_STR("Zm9vYmE="), out, sizeof(out)), 5);
}

/* ---- base64url ------------------------------------------------------------------------------------ */

static void base64url_gives_every_byte_back_without_padding(void **state)
{
	unsigned char in[256], out[256];
	char text[344];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)(i * 7);
	for (size_t len = 0; len <= sizeof(in); len++) {
		size_t text_len = rc_base64url_encode(in, len, text);

		assert_int_equal(text_len, rc_base64url_len(len));
		assert_null(memchr(text, '=', text_len));
		assert_int_equal(
			rc_base64url_decode((struct rc_str){text, text_len}, out, len), len);
		assert_memory_equal(in, out, len);
		if (len)
			assert_int_equal(
				rc_base64url_decode((struct rc_str){text, text_len}, out, len - 1),
				-ENOSPC);
	}
}

static void base64url_has_one_text_for_each_value(void **state)
{
	char text[4], out[3], back[4];

	(void)state;
	/* Every text of two characters, and of three whose first is fixed: decoded or not, never to what another one is. */
	for (int a = 0; a < 256; a++)
		for (int b = 0; b < 256; b++)
			for (size_t len = 2; len <= 3; len++) {
				text[0] = len == 3 ? 'Z' : (char)a;
				text[len - 2] = (char)a;
				text[len - 1] = (char)b;
				int64_t n = rc_base64url_decode(
					(struct rc_str){text, len}, out, sizeof(out));

				if (n < 0)
					continue;
				assert_int_equal(rc_base64url_encode(out, (size_t)n, back), len);
				assert_memory_equal(back, text, len);
			}
	assert_int_equal(rc_base64url_decode(RC_STR("_-8"), out, sizeof(out)), 2);
	assert_memory_equal(out, "\xff\xef", 2);
}

static void base64url_refuses_padding_and_the_other_alphabet(void **state)
{
	static const char *const bad[] = {"Z", "Zm9vY", "Zg==", "Zg=", "Zm8=", "Zh", "Zm9",
		"Zm9v\n", "Zm+v", "Zm/v", "Zm 9", "Z.9v"};
	char out[16];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++)
		assert_int_equal(rc_base64url_decode(rc_str_of(bad[i]), out, sizeof(out)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_encodes_the_vectors_of_the_rfc),
		cmocka_unit_test(base64_decodes_the_vectors_of_the_rfc),
		cmocka_unit_test(base64_gives_every_byte_back),
		cmocka_unit_test(base64_refuses_what_the_encoder_never_gives),
		cmocka_unit_test(base64_says_when_the_room_is_too_small),
		cmocka_unit_test(base64url_gives_every_byte_back_without_padding),
		cmocka_unit_test(base64url_has_one_text_for_each_value),
		cmocka_unit_test(base64url_refuses_padding_and_the_other_alphabet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
