/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters on an order as shops publish it: what a term on the event's name costs, one on a member, one on a pattern that looks through a
 * text, sixteen of them, and compiling.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/filter.h"
#include "shim.h"

#define ROUND 16u

static const char data[] =
	"{\"order\":\"2024-000123\",\"customer\":{\"name\":\"Maria Gonzalez\",\"city\":\"Barcelona\"},"
	"\"note\":\"please leave the parcel with the neighbours on the second floor\","
	"\"lines\":[{\"sku\":\"AB-1234-XY\",\"title\":\"Ceramic mug, blue, 350 ml\",\"n\":2}],\"total\":31.5}";

static const char *const texts[] = {
	"event = 'order:*'",
	"data.total >= 100",
	"data.note = '*second flood*'",
	"data.total in (1, 2, 3, 4, 5, 6, 7, 8) or data.order in ('1', '2', '3', '4', '5', '6', '7', '8')",
};

struct state {
	struct rc_filter filter;
	struct rc_str text;
	char canonical[RC_FILTER_TEXT_MAX];
};

static void compile(void *state)
{
	struct state *s = state;
	struct rc_filter_fault fault;
	size_t len;

	for (uint32_t i = 0; i < ROUND; i++)
		RC_ASSERT(rc_filter_compile(s->text, &s->filter, s->canonical, &len, &fault) == 0);
}

static void *state_open(uint64_t which)
{
	struct state *s = micro_alloc(sizeof(*s));

	s->text = rc_str_of(texts[which]);
	compile(s);
	return s;
}

static void match(void *state)
{
	const struct state *s = state;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ROUND; i++)
		sum += rc_filter_match(&s->filter, RC_STR("order:created"),
			(struct rc_str){data, sizeof(data) - 1});
	micro_keep(sum);
}

const struct micro_case micro_filters[] = {
	{"filters/event", 0, ROUND, 0, state_open, match, free},
	{"filters/number", 1, ROUND, 0, state_open, match, free},
	{"filters/pattern", 2, ROUND, 0, state_open, match, free},
	{"filters/16terms", 3, ROUND, 0, state_open, match, free},
	{"filters/compile", 3, ROUND, 0, state_open, compile, free},
	{0},
};
