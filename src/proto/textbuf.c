/* SPDX-License-Identifier: Apache-2.0
 *
 * Text put together in a buffer of the caller's; an addition is written whole or not at all. One owner, any thread.
 */
#include "proto/textbuf.h"

#include "proto/json.h"

/* Room for len bytes, counted as written; NULL from the first time that there was none. */
static char *take(struct rc_textbuf *b, size_t len)
{
	char *at;

	if (b->full || len > b->cap - b->len) {
		b->full = true;
		return NULL;
	}
	at = b->ptr + b->len;
	b->len += len;
	return at;
}

void rc_textbuf_add(struct rc_textbuf *b, struct rc_str bytes)
{
	char *at;

	if (bytes.len == 0)
		return;
	at = take(b, bytes.len);
	if (at != NULL)
		memcpy(at, bytes.ptr, bytes.len);
}

void rc_textbuf_add_text(struct rc_textbuf *b, const char *literal)
{
	rc_textbuf_add(b, rc_str_of(literal));
}

void rc_textbuf_add_char(struct rc_textbuf *b, char c)
{
	char *at = take(b, 1);

	if (at != NULL)
		*at = c;
}

size_t rc_u64_text(uint64_t value, char out[RC_U64_TEXT_MAX])
{
	size_t len = 1;

	for (uint64_t rest = value / 10; rest != 0; rest /= 10)
		len++;
	for (size_t i = len; i-- > 0; value /= 10)
		out[i] = (char)('0' + value % 10);
	return len;
}

void rc_textbuf_add_u64(struct rc_textbuf *b, uint64_t value)
{
	char digits[RC_U64_TEXT_MAX];

	rc_textbuf_add(b, (struct rc_str){digits, rc_u64_text(value, digits)});
}

void rc_textbuf_add_escaped(struct rc_textbuf *b, struct rc_str text)
{
	char *at;

	if (text.len == 0)
		return;
	at = take(b, rc_json_escape_len(text));
	if (at != NULL)
		rc_json_escape(at, text);
}

void rc_textbuf_add_string(struct rc_textbuf *b, struct rc_str text)
{
	char *at = take(b, rc_json_escape_len(text) + 2);

	if (at == NULL)
		return;
	*at++ = '"';
	at += rc_json_escape(at, text);
	*at = '"';
}
