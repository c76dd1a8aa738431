/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON as it lies in a message: check the text once, then walk it in place. There is no tree; a value is the slice of its
 * own bytes, so that what passes through is passed on byte for byte. Nothing is allocated. Pure, any thread.
 *
 * Only rc_json_validate takes bytes from outside. The iterators walk text that it accepted; over other text they stay
 * inside its bounds and come to an end, but what they yield means nothing.
 */
#ifndef RC_PROTO_JSON_H
#define RC_PROTO_JSON_H

#include "base/base.h"

/* Deepest nesting that any caller may allow: one bit of the validator's stack frame per level. */
#define RC_JSON_DEPTH_LIMIT 1024

/*
 * 0, or -EINVAL when the text is not exactly one RFC 8259 value (white space around it is allowed) in valid UTF-8, or
 * nests deeper than depth_max (0: only scalars; at most RC_JSON_DEPTH_LIMIT). Any \uXXXX is legal here, a lone surrogate
 * too: such a text can be passed on, but rc_json_string_decode refuses the string.
 */
RC_MUST_USE int rc_json_validate(struct rc_str text, uint32_t depth_max);

enum rc_json_kind {
	RC_JSON_NONE,
	RC_JSON_OBJECT,
	RC_JSON_ARRAY,
	RC_JSON_STRING,
	RC_JSON_NUMBER,
	RC_JSON_TRUE,
	RC_JSON_FALSE,
	RC_JSON_NULL
};

/* The zero value is "no such field". */
struct rc_json_value {
	enum rc_json_kind kind;
	struct rc_str
		raw; /* its bytes, the quotes of a string included; no white space around them */
};

/* What rc_json_validate accepted, without the white space around it. */
struct rc_json_value rc_json_root(struct rc_str text);

/* Borrows the text that it walks. */
struct rc_json_iter {
	const char *pos;
	const char *end;
};

void rc_json_object_begin(struct rc_json_iter *it, struct rc_str object);
/* key_raw is without its quotes and still escaped. false: no more. */
bool rc_json_object_next(
	struct rc_json_iter *it, struct rc_str *key_raw, struct rc_json_value *value);

void rc_json_array_begin(struct rc_json_iter *it, struct rc_str array);
bool rc_json_array_next(struct rc_json_iter *it, struct rc_json_value *value);

/*
 * The same in one pass, for those who look into nested values: pos moves through the whole text, and a container is entered
 * instead of stepped over. Begin with pos at its first byte.
 */
enum rc_json_kind rc_json_peek(
	struct rc_json_iter *it); /* of the value at pos, or behind white space */
bool rc_json_read(struct rc_json_iter *it, struct rc_json_value *value); /* steps over it */
void rc_json_enter(struct rc_json_iter *it); /* peek said object or array: pos is in it */
bool rc_json_more(struct rc_json_iter *it);  /* false: the container ends, and pos is behind it */
bool rc_json_key(struct rc_json_iter *it, struct rc_str *key_raw); /* of an object's member */

/*
 * Decodes a string, given with its quotes, and returns its length in UTF-8 (no NUL is added); -ENOSPC when it is longer
 * than cap, -EINVAL when it holds a lone surrogate or \u0000. The decoded text is never longer than raw.
 */
RC_MUST_USE int rc_json_string_decode(struct rc_str raw, char *out, size_t cap);

/* The contents of a JSON string, without the quotes, for text that is valid UTF-8. At most six bytes for one. */
size_t rc_json_escape_len(struct rc_str text);
/* Writes rc_json_escape_len(text) bytes and returns their number. */
size_t rc_json_escape(char *out, struct rc_str text);

#endif
