/* SPDX-License-Identifier: Apache-2.0
 *
 * The block, for the two files that know it: schema.c makes it, schema_check.c reads it.
 */
#ifndef RC_PROTO_SCHEMA_BLOCK_H
#define RC_PROTO_SCHEMA_BLOCK_H

#include "proto/json.h"
#include "proto/schema.h"

/* The first two nodes: everything is right, nothing is. */
#define RC_SCHEMA_ANY   0u
#define RC_SCHEMA_NEVER 1u

enum rc_schema_type {
	RC_SCHEMA_OBJECT = 1,
	RC_SCHEMA_ARRAY = 2,
	RC_SCHEMA_STRING = 4,
	RC_SCHEMA_NUMBER = 8,
	RC_SCHEMA_INTEGER = 16,
	RC_SCHEMA_BOOLEAN = 32,
	RC_SCHEMA_NULL = 64,
	RC_SCHEMA_TYPES = 127,
};

/* A schema. The zero value but for types and the maxima takes everything. */
struct rc_schema_node {
	uint64_t required; /* a bit for each member that must be there */
	uint32_t member_first, member_count;
	uint32_t additional; /* node of members that are not named */
	uint32_t items;
	uint32_t value_first, value_count; /* enum; none: any value */
	uint32_t constant;                 /* a value; RC_NONE: none */
	uint32_t min_length, max_length, min_items, max_items;
	struct rc_str minimum, maximum, above, below; /* empty: none */
	uint8_t types;
};

struct rc_schema_member {
	struct rc_str name; /* decoded */
	uint32_t node;
	uint32_t required; /* its bit; RC_NONE: it need not be there */
};

/* What enum and const compare with. */
struct rc_schema_value {
	enum rc_json_kind kind;
	struct rc_str text; /* of a string decoded, else as it is written */
};

struct rc_schema {
	uint32_t node_count, node_max;
	uint32_t member_count, member_max;
	uint32_t value_count, value_max;
	size_t text_len, text_max;
	uint32_t root;
	uint32_t event_first, event_count; /* members by event name, sorted as well */
	struct rc_schema_node *nodes;
	struct rc_schema_member *members;
	struct rc_schema_value *values;
	char *text;
};

/* By length, then by bytes. */
static inline int rc_schema_order(struct rc_str a, struct rc_str b)
{
	if (a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return a.len ? memcmp(a.ptr, b.ptr, a.len) : 0;
}

static inline const struct rc_schema_member *rc_schema_find(
	const struct rc_schema_member *at, uint32_t count, struct rc_str name)
{
	while (count) {
		uint32_t half = count / 2;
		int order = rc_schema_order(name, at[half].name);
		if (order == 0)
			return &at[half];
		if (order > 0) {
			at += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return NULL;
}

/*
 * One more step of a JSON Pointer behind what is there, escaped as pointers are. Control characters become question marks. False: it did
 * not fit whole, nothing is to follow.
 */
bool rc_schema_place_add(char place[RC_SCHEMA_PLACE_SIZE], struct rc_str name);

/* ---- schema_words.c, for schema.c: false is a fault, which was blamed ---------------------------- */

/* Where in the schema's text the work is. */
struct rc_schema_step {
	const struct rc_schema_step *up;
	struct rc_str name;
};

struct rc_schema_work {
	struct rc_schema *s;
	struct rc_str text;
	struct rc_schema_fault *fault;
};

/* Always false. where: in the text; NULL: at its beginning. */
bool rc_schema_blame(struct rc_schema_work *w, const struct rc_schema_step *at, const char *where,
	const char *format, ...) RC_PRINTF(4, 5);
/* Copies a text into the block. */
bool rc_schema_keep(struct rc_schema_work *w, struct rc_str text, struct rc_str *out);
/* A string, decoded and kept. max: at most RC_SCHEMA_VALUE_MAX. */
bool rc_schema_text_of(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, size_t max, struct rc_str *out);
bool rc_schema_read_types(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, struct rc_schema_node *n);
bool rc_schema_read_enum(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, struct rc_schema_node *n);
bool rc_schema_add_value(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, uint32_t *index);
bool rc_schema_read_count(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, uint32_t *out);
bool rc_schema_read_number(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, struct rc_str *out);

#endif
