/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters: which events somebody wants, as an expression on the event's name and on the members of its data.
 *
 *   event = 'user:*' and (data.userId = '42' or data.level >= 3) and not data.kind in ('a', 'b') and has data.text
 *
 *   expression  and-expression { "or" and-expression }
 *   and-expr.   factor { "and" factor }
 *   factor      "not" factor | "(" expression ")" | "has" field | field comparison literal
 *               | field [ "not" ] "in" "(" literal { "," literal } ")"
 *   field       "event" | "data" "." name | "data" "." string            top-level members only
 *   comparison  = != < <= > >=                                           == and <> are taken too
 *   literal     'text' "text" number true false null                     the escapes of JSON, and \' and \*
 *
 * In a string, * stands for any run of bytes, of none too, where it is compared with =, != or in; \* is a star. Strings are compared as
 * UTF-8, unescaped, by bytes; numbers as IEEE doubles. What is not there, or of another type, makes its comparison false, != too;
 * only null differs from all that is there and not null. `not` turns a false one true. Of members with one name the last counts, as in
 * JavaScript. The words are taken in any case.
 *
 * Compiled once into a flat program without pointers, in the caller's memory: terms, each with the term that follows when it is true
 * and when it is false, always one further on; names of fields; literals. A match is one pass over data's members, and what a
 * pattern costs grows with the text alone (Knuth, Morris, Pratt). Nothing is allocated. Pure, any thread.
 */
#ifndef RC_PROTO_FILTER_H
#define RC_PROTO_FILTER_H

#include "base/base.h"

#define RC_FILTER_TEXT_MAX    1024u
#define RC_FILTER_DEPTH_MAX   16u
#define RC_FILTER_TERMS_MAX   32u
#define RC_FILTER_LITERAL_MAX 256u
/* Each byte of a literal and one that tells where its search goes on; two bytes before a piece between stars, three before a pattern. */
#define RC_FILTER_POOL_MAX (2 * RC_FILTER_TEXT_MAX + 8 * RC_FILTER_TERMS_MAX)

/* Private to filter*.c. */
struct rc_filter_term {
	uint8_t kind, order;
	uint8_t field;   /* or RC_FILTER_EVENT */
	uint8_t yes, no; /* the next term, or one of the two ends */
	uint8_t reserved[3];
	uint16_t at, len; /* in the pool */
	uint32_t reserved2;
	double number;
};
_Static_assert(sizeof(struct rc_filter_term) == 24,
	"no bytes that nobody writes: programs may be compared");

struct rc_filter_name {
	uint16_t at, len;
};

/* Of which the first `size` bytes mean something. At a multiple of 8. */
struct rc_filter {
	uint16_t size;
	uint8_t terms, fields;
	uint8_t reserved[4];
	struct rc_filter_term term[RC_FILTER_TERMS_MAX];
	struct rc_filter_name field[RC_FILTER_TERMS_MAX];
	unsigned char pool[RC_FILTER_POOL_MAX];
};

struct rc_filter_fault {
	uint32_t at; /* byte of the text, from 1 */
	char message[120];
};

/*
 * 0, or -EINVAL with the fault filled in, as text that can be sent. canonical: what all filters share that differ in white space, quotes
 * and the like only; its length is stored. It is a filter itself, the same, and has no more bytes than a filter may have.
 */
RC_MUST_USE int rc_filter_compile(struct rc_str text, struct rc_filter *out,
	char canonical[RC_FILTER_TEXT_MAX], size_t *canonical_len, struct rc_filter_fault *fault);

/*
 * event_raw: the contents of a JSON string, still escaped. data: a JSON value that rc_json_validate accepted; what is no object, or
 * empty, has no members. Other bytes are safe and mean nothing.
 */
RC_MUST_USE bool rc_filter_match(
	const struct rc_filter *f, struct rc_str event_raw, struct rc_str data);

/* The value of the member of that name, as it stands there; empty when data has none. */
struct rc_str rc_filter_member(struct rc_str data, struct rc_str name);

/* ---- shared by filter*.c */

#define RC_FILTER_EVENT 0xffu
#define RC_FILTER_TRUE  0xfeu
#define RC_FILTER_FALSE 0xffu

enum rc_filter_kind {
	RC_FILTER_HAS,
	RC_FILTER_STRING,  /* pool: its bytes */
	RC_FILTER_PATTERN, /* pool: the head, then for each piece its length, bytes and table */
	RC_FILTER_NUMBER,
	RC_FILTER_BOOL, /* number: 0 or 1 */
	RC_FILTER_NULL
};

enum rc_filter_order {
	RC_FILTER_EQ,
	RC_FILTER_NE,
	RC_FILTER_LT,
	RC_FILTER_LE,
	RC_FILTER_GT,
	RC_FILTER_GE
};

/*
 * A pattern in the pool: whether a star precedes its pieces, whether one follows, how many there are; then for each two bytes
 * of length, its bytes, and as many of its table: the length of the longest beginning of the piece that ends there.
 */
#define RC_FILTER_PATTERN_HEAD 3u

/* A JSON number, also one out of range. */
double rc_filter_number(struct rc_str raw);

#endif
