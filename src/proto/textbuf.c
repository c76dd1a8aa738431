/* SPDX-License-Identifier: Apache-2.0
 *
 * Text put together in a buffer of the caller's; an addition is written whole or not at all. One owner, any thread.
 */
#include "proto/textbuf.h"

#include <errno.h>

#include "proto/base64.h"
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

int rc_u64_parse(struct rc_str text, uint64_t *value)
{
	uint64_t sum = 0;

	if (text.len == 0 || text.len > RC_U64_TEXT_MAX || (text.len > 1 && text.ptr[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		uint64_t digit = (uint64_t)(unsigned char)text.ptr[i] - '0';

		if (digit > 9 || __builtin_mul_overflow(sum, 10, &sum) ||
			__builtin_add_overflow(sum, digit, &sum))
			return -EINVAL;
	}
	*value = sum;
	return 0;
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

void rc_textbuf_add_base64(struct rc_textbuf *b, struct rc_str bytes)
{
	char *at = take(b, rc_base64_len(bytes.len));

	if (at != NULL)
		rc_base64_encode(bytes.ptr, bytes.len, at);
}
