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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_encodes_the_vectors_of_the_rfc),
		cmocka_unit_test(base64_decodes_the_vectors_of_the_rfc),
		cmocka_unit_test(base64_gives_every_byte_back),
		cmocka_unit_test(base64_refuses_what_the_encoder_never_gives),
		cmocka_unit_test(base64_says_when_the_room_is_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
