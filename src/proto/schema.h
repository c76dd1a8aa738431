/* SPDX-License-Identifier: Apache-2.0
 *
 * A part of JSON Schema, compiled once into a flat block and checked in one pass over an event's payload:
 *
 *   type (a name or several, integer too), enum, const (of scalars), properties, required, additionalProperties, items,
 *   minLength, maxLength, minimum, maximum, exclusiveMinimum, exclusiveMaximum, minItems, maxItems, true, false
 *
 * and, in the outermost object alone, `events`: a schema for each event name that it lists; what else stands there holds for
 * all other events. What only describes ($schema, $id, $comment, title, description, default, examples, deprecated, readOnly,
 * writeOnly) is let through; any other word is refused, for who wrote it counts on it.
 *
 * The block is the caller's; nothing is allocated, nobody changes a compiled schema. Pure, any thread.
 *
 *   block   schema │ nodes │ members, sorted by length and bytes │ values of enum and const │ text
 */
#ifndef RC_PROTO_SCHEMA_H
#define RC_PROTO_SCHEMA_H

#include "base/base.h"

#define RC_SCHEMA_TEXT_MAX     65536u
#define RC_SCHEMA_DEPTH_MAX    32u  /* schemas within each other */
#define RC_SCHEMA_NAME_MAX     128u /* bytes of a field's name */
#define RC_SCHEMA_VALUE_MAX    256u /* bytes of a value of enum or const */
#define RC_SCHEMA_REQUIRED_MAX 64u  /* fields that one object requires */
#define RC_SCHEMA_LIST_MAX     256u /* values of one enum */

#define RC_SCHEMA_PLACE_SIZE 128u
#define RC_SCHEMA_WORDS_SIZE 128u

struct rc_schema;

/* Where something is wrong, and what. Both are valid UTF-8 without control characters, cut where they are too long. */
struct rc_schema_fault {
	char place[RC_SCHEMA_PLACE_SIZE]; /* a JSON Pointer; "" is the whole */
	char words[RC_SCHEMA_WORDS_SIZE]; /* "must be a number" */
	uint32_t line;                    /* of a schema's text */
};

/* Bytes of the block that a schema needs at most. */
size_t rc_schema_bound(struct rc_str text);
/* 0, or -EINVAL with the fault. block: rc_schema_bound bytes, aligned as malloc does. */
RC_MUST_USE int rc_schema_compile(
	struct rc_str text, void *block, size_t size, struct rc_schema_fault *fault);
/*
 * Whether the payload of that event is as the schema wants it; the fault is filled in when not. json: accepted by
 * rc_json_validate. Of fields that stand twice each must be right.
 */
RC_MUST_USE bool rc_schema_check(const struct rc_schema *s, struct rc_str event, struct rc_str json,
	struct rc_schema_fault *fault);

#endif
