/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of an SSE answer: as it is, or in chunks (RFC 9112, 7.1). See stream.h.
 */
#include "stream.h"

static int digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *load_stream_take_sse(struct load_stream *s, const struct load_stream_calls *calls,
	void *ctx, unsigned char *bytes, size_t len)
{
	unsigned char *at = bytes, *end = bytes + len;

	while (at < end && !s->stopped) {
		size_t n = (size_t)(end - at);
		int value;

		switch ((enum load_chunk)s->chunk) {
		case LOAD_BODY_PLAIN:
			load_stream_piece(s, calls, ctx, (const char *)at, n, false);
			return NULL;
		case LOAD_CHUNK_SIZE:
			value = digit(*at);
			if (value < 0) {
				s->chunk = LOAD_CHUNK_REST;
				break;
			}
			s->left = s->left << 4 | (uint32_t)value;
			if (s->left > LOAD_STREAM_FRAME_MAX)
				return "a chunk is longer than any event";
			at++;
			break;
		case LOAD_CHUNK_REST:
			if (*at++ == '\n')
				s->chunk = s->left > 0 ? LOAD_CHUNK_DATA : LOAD_CHUNK_LAST;
			break;
		case LOAD_CHUNK_DATA:
			n = RC_MIN(n, s->left);
			load_stream_piece(s, calls, ctx, (const char *)at, n, false);
			at += n;
			s->left -= (uint32_t)n;
			if (s->left == 0)
				s->chunk = LOAD_CHUNK_END;
			break;
		case LOAD_CHUNK_END:
			if (*at == '\n')
				s->chunk = LOAD_CHUNK_SIZE;
			else if (*at != '\r')
				return "a chunk does not end where it said";
			at++;
			break;
		case LOAD_CHUNK_LAST:
			return "the server ended the stream";
		}
	}
	return NULL;
}
