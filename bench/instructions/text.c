/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops over bytes by themselves, and the keyed hash.
 */
#include "path.h"

#include "base/utf8.h"
#include "proto/json.h"
#include "proto/websocket.h"

static unsigned char bytes[1024];

static void fill(const char *with)
{
	size_t n = strlen(with);

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)with[i % n];
}

static void mask_body(void *ctx)
{
	rc_ws_mask(bytes, *(const uint32_t *)ctx, 0x0d0c0b0a, 0);
}

static void mask(uint32_t times, uint32_t crowd)
{
	uint32_t len = 128;

	(void)crowd;
	for (uint32_t i = 0; i < times; i++)
		counted(mask_body, &len);
}

static void utf8_body(void *ctx)
{
	(void)ctx;
	RC_ASSERT(rc_utf8_valid(bytes, sizeof(bytes)));
}

static void utf8_ascii(uint32_t times, uint32_t crowd)
{
	(void)crowd;
	fill("x");
	for (uint32_t i = 0; i < times; i++)
		counted(utf8_body, NULL);
}

static void utf8_letters(uint32_t times, uint32_t crowd)
{
	(void)crowd;
	fill("\xd0\xb6");
	for (uint32_t i = 0; i < times; i++)
		counted(utf8_body, NULL);
}

static void json_body(void *ctx)
{
	RC_ASSERT(rc_json_validate(*(const struct rc_str *)ctx, 64) == 0);
}

static void json(uint32_t times, uint32_t crowd)
{
	struct rc_str text = RC_STR(
		"{\"id\":100034,\"state\":\"packed\",\"lines\":[{\"sku\":\"AB-1234\",\"n\":2},"
		"{\"sku\":\"CD-5678\",\"n\":1}],\"note\":\"leave it with the neighbours\"}");

	(void)crowd;
	for (uint32_t i = 0; i < times; i++)
		counted(json_body, &text);
}

static void hash_body(void *ctx)
{
	static const struct rc_hash_key key = {1, 2};

	*(uint64_t *)ctx += rc_hash(&key, "user:100034", 11);
}

static void hash(uint32_t times, uint32_t crowd)
{
	uint64_t sum = 0;

	(void)crowd;
	for (uint32_t i = 0; i < times; i++)
		counted(hash_body, &sum);
}

const struct path path_text[] = {
	{"mask_128", "128 bytes unmasked", {100, 300}, {0}, 1, mask},
	{"utf8_ascii_1k", "1 KiB of ASCII checked as UTF-8", {100, 300}, {0}, 1, utf8_ascii},
	{"utf8_letters_1k", "1 KiB of two-byte letters", {100, 300}, {0}, 1, utf8_letters},
	{"json_130", "130 bytes of JSON checked", {100, 300}, {0}, 1, json},
	{"hash_11", "name of 11 bytes hashed", {100, 300}, {0}, 1, hash},
	{0},
};
