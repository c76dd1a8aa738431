/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON checked, as each publisher's event is. "object" is a list of small objects and numbers, "string" one long string,
 * "order" an object as shops publish it; "walk" finds the last member of it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proto/json.h"
#include "shim.h"

#define ROUND     16u
#define DEPTH_MAX 64u

struct state {
	size_t len;
	char json[65536];
};

static void *string_open(uint64_t len)
{
	struct state *s = micro_alloc(sizeof(*s));

	memset(s->json, 'x', len);
	s->json[0] = s->json[len - 1] = '"';
	s->len = len;
	return s;
}

static void *object_open(uint64_t len)
{
	struct state *s = string_open(len);
	size_t used = 1;
	int n;

	s->json[0] = '[';
	for (uint32_t i = 0;; i++) {
		char item[96];

		n = snprintf(item, sizeof(item),
			"%s{\"id\":%u,\"name\":\"item %u\",\"price\":%u.50,\"tags\":[true,null]}",
			i ? "," : "", 1000 + i, i, i);
		if (used + (size_t)n + 1 > len)
			break;
		memcpy(s->json + used, item, (size_t)n);
		used += (size_t)n;
	}
	memset(s->json + used, ' ', len - used - 1);
	s->json[len - 1] = ']';
	return s;
}

static void *order_open(uint64_t arg)
{
	static const char text[] =
		"{\"order\":\"2024-000123\",\"customer\":{\"name\":\"Maria Gonzalez\",\"city\":\"Barcelona\"},"
		"\"note\":\"please leave the parcel with the neighbours on the second floor\","
		"\"lines\":[{\"sku\":\"AB-1234-XY\",\"title\":\"Ceramic mug, blue, 350 ml\",\"n\":2}]}";
	struct state *s = micro_alloc(sizeof(*s));

	(void)arg;
	s->len = sizeof(text) - 1;
	memcpy(s->json, text, s->len);
	return s;
}

static void validate(void *state)
{
	const struct state *s = state;

	for (uint32_t i = 0; i < ROUND; i++)
		RC_ASSERT(rc_json_validate((struct rc_str){s->json, s->len}, DEPTH_MAX) == 0);
}

static void walk(void *state)
{
	const struct state *s = state;
	struct rc_json_iter it;
	struct rc_json_value value;
	struct rc_str key;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ROUND; i++) {
		value = rc_json_root((struct rc_str){s->json, s->len});
		rc_json_object_begin(&it, value.raw);
		while (rc_json_object_next(&it, &key, &value))
			sum += value.raw.len;
	}
	micro_keep(sum);
}

const struct micro_case micro_json[] = {
	{"json/string/24B", 24, ROUND, ROUND * 24, string_open, validate, free},
	{"json/string/128B", 128, ROUND, ROUND * 128, string_open, validate, free},
	{"json/string/1KiB", 1024, ROUND, ROUND * 1024, string_open, validate, free},
	{"json/object/128B", 128, ROUND, ROUND * 128, object_open, validate, free},
	{"json/object/1KiB", 1024, ROUND, ROUND * 1024, object_open, validate, free},
	{"json/object/16KiB", 16384, ROUND, ROUND * 16384, object_open, validate, free},
	{"json/order", 0, ROUND, 0, order_open, validate, free},
	{"json/order/walk", 0, ROUND, 0, order_open, walk, free},
	{0},
};
