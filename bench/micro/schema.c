/* SPDX-License-Identifier: Apache-2.0
 *
 * A payload against a schema, as each event of a namespace that has one is checked: "order" is an order of 300 bytes against a schema
 * of 12 fields, "json" the validation that comes before it in any case, "one" a schema that looks at one field of the same order.
 */
#include <stdlib.h>

#include "proto/json.h"
#include "proto/schema.h"
#include "shim.h"

#define ROUND     16u
#define DEPTH_MAX 64u

static const char order[] =
	"{\"id\":\"2024-000123\",\"placed\":\"2026-01-15T10:15:00.000Z\",\"customer\":{\"id\":48213,\"name\":\"Maria "
	"Gonzalez\",\"city\":\"Barcelona\"},\"side\":\"buy\",\"price\":1834.25,\"quantity\":12,\"currency\":\"EUR\","
	"\"note\":\"please leave the parcel with the neighbours on the second floor\",\"tags\":[\"gift\",\"fragile\"],"
	"\"express\":true,\"discount\":0.05}";

static const char whole[] =
	"{\"type\":\"object\",\"required\":[\"id\",\"customer\",\"side\",\"price\",\"quantity\"],\"additionalProperties\":false,"
	"\"properties\":{\"id\":{\"type\":\"string\",\"maxLength\":32},\"placed\":{\"type\":\"string\",\"maxLength\":30},"
	"\"customer\":{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"integer\",\"minimum\":1},"
	"\"name\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":80}}},\"side\":{\"enum\":[\"buy\",\"sell\"]},"
	"\"price\":{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":1000000},\"quantity\":{\"type\":\"integer\","
	"\"minimum\":1,\"maximum\":10000},\"currency\":{\"enum\":[\"USD\",\"EUR\",\"GBP\"]},\"note\":{\"type\":[\"string\","
	"\"null\"],\"maxLength\":200},\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"maxItems\":8},"
	"\"express\":{\"type\":\"boolean\"},\"discount\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1}}}";

static const char one[] = "{\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"}}}";

static void *open_schema(struct rc_str text)
{
	struct rc_schema_fault fault;
	size_t size = rc_schema_bound(text);
	void *block = micro_alloc(size);

	RC_ASSERT(rc_schema_compile(text, block, size, &fault) == 0);
	return block;
}

static void *whole_open(uint64_t arg)
{
	(void)arg;
	return open_schema((struct rc_str){whole, sizeof(whole) - 1});
}

static void *one_open(uint64_t arg)
{
	(void)arg;
	return open_schema((struct rc_str){one, sizeof(one) - 1});
}

static void check(void *schema)
{
	struct rc_schema_fault fault;

	for (uint32_t i = 0; i < ROUND; i++)
		RC_ASSERT(rc_schema_check(schema, RC_STR("placed"),
			(struct rc_str){order, sizeof(order) - 1}, &fault));
}

static void validate(void *schema)
{
	(void)schema;
	for (uint32_t i = 0; i < ROUND; i++)
		RC_ASSERT(rc_json_validate((struct rc_str){order, sizeof(order) - 1}, DEPTH_MAX) ==
			  0);
}

const struct micro_case micro_schema[] = {
	{"schema/order", 0, ROUND, 0, whole_open, check, free},
	{"schema/one", 0, ROUND, 0, one_open, check, free},
	{"schema/json", 0, ROUND, 0, one_open, validate, free},
	{0},
};
