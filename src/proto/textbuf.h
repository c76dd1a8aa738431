/* SPDX-License-Identifier: Apache-2.0
 *
 * Text that is put together in a buffer of the caller's. What does not fit is not written at all, sets `full`, and from
 * then on nothing more is written: one look at the end tells. One owner, any thread.
 *
 * Invariant: len <= cap; the bytes before len are whole additions, in order.
 */
#ifndef RC_PROTO_TEXTBUF_H
#define RC_PROTO_TEXTBUF_H

#include "base/base.h"

#define RC_U64_TEXT_MAX 20

/* Decimal, no NUL. Returns the bytes written. */
size_t rc_u64_text(uint64_t value, char out[RC_U64_TEXT_MAX]);
/* 0 or -EINVAL; takes what rc_u64_text writes and nothing else. */
RC_MUST_USE int rc_u64_parse(struct rc_str text, uint64_t *value);

struct rc_textbuf {
	char *ptr;
	size_t len, cap;
	bool full;
};

void rc_textbuf_add(struct rc_textbuf *b, struct rc_str bytes);
void rc_textbuf_add_text(struct rc_textbuf *b, const char *literal);
void rc_textbuf_add_char(struct rc_textbuf *b, char c);
void rc_textbuf_add_u64(struct rc_textbuf *b, uint64_t value);
/* As the contents of a JSON string; text is valid UTF-8. */
void rc_textbuf_add_escaped(struct rc_textbuf *b, struct rc_str text);
/* As a whole JSON string, quotes included. */
void rc_textbuf_add_string(struct rc_textbuf *b, struct rc_str text);

/* As base64, without quotes. */
void rc_textbuf_add_base64(struct rc_textbuf *b, struct rc_str bytes);

static inline struct rc_str rc_textbuf_str(const struct rc_textbuf *b)
{
	return (struct rc_str){b->ptr, b->len};
}

#endif
