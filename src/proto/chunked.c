/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/chunked.h"

enum state {
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER, /* at the beginning of a line */
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	LAST_LF,
	ENDED,
};

static int hex(unsigned char b)
{
	if (b >= '0' && b <= '9')
		return b - '0';
	b |= 0x20;
	return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

static bool token(unsigned char b)
{
	return (b >= '0' && b <= '9') || ((b | 0x20) >= 'a' && (b | 0x20) <= 'z') ||
	       (b && strchr("!#$%&'*+-.^_`|~", b) != NULL);
}

static bool text(unsigned char b)
{
	return b == '\t' || (b >= ' ' && b != 0x7f);
}

static int size(struct rc_chunked *c, unsigned char b)
{
	int digit = hex(b);

	if (digit >= 0) {
		/* Leading zeros count too, or they would be a way to send without end. */
		if (c->digits == 16 || c->left >> 59)
			return -400;
		c->digits++;
		c->left = c->left << 4 | (uint64_t)digit;
		return 0;
	}
	if (c->digits == 0 || (b != ';' && b != '\r'))
		return -400;
	c->state = b == ';' ? EXTENSION : SIZE_LF;
	return 0;
}

static int extra(struct rc_chunked *c)
{
	return ++c->extra > RC_CHUNKED_EXTRA_MAX ? -400 : 0;
}

static int expect(struct rc_chunked *c, unsigned char b, unsigned char wanted, enum state next)
{
	c->state = (uint8_t)next;
	return b == wanted ? 0 : -400;
}

/* A byte of anything but data. */
static int step(struct rc_chunked *c, unsigned char b)
{
	switch ((enum state)c->state) {
	case SIZE:
		return size(c, b);
	case EXTENSION:
		if (b == '\r') {
			c->state = SIZE_LF;
			return 0;
		}
		return text(b) ? extra(c) : -400;
	case SIZE_LF:
		return expect(c, b, '\n', c->left ? DATA : TRAILER);
	case DATA_CR:
		return expect(c, b, '\r', DATA_LF);
	case DATA_LF:
		c->digits = 0;
		return expect(c, b, '\n', SIZE);
	case TRAILER:
		if (b == '\r') {
			c->state = LAST_LF;
			return 0;
		}
		c->state = TRAILER_NAME;
		return token(b) ? extra(c) : -400;
	case TRAILER_NAME:
		if (b == ':')
			c->state = TRAILER_VALUE;
		return b == ':' || token(b) ? extra(c) : -400;
	case TRAILER_VALUE:
		if (b == '\r') {
			c->state = TRAILER_LF;
			return 0;
		}
		return text(b) ? extra(c) : -400;
	case TRAILER_LF:
		return expect(c, b, '\n', TRAILER);
	case LAST_LF:
		return expect(c, b, '\n', ENDED);
	default:
		RC_FAIL("a body that is over, or inside a chunk");
	}
}

int rc_chunked_next(
	struct rc_chunked *c, const void *bytes, size_t len, size_t *used, struct rc_str *data)
{
	const unsigned char *in = bytes;
	size_t at = 0;

	*data = (struct rc_str){NULL, 0};
	while (at < len && c->state != ENDED) {
		if (c->state == DATA) {
			size_t n = (size_t)RC_MIN((uint64_t)(len - at), c->left);

			*data = (struct rc_str){(const char *)in + at, n};
			c->left -= n;
			if (c->left == 0)
				c->state = DATA_CR;
			*used = at + n;
			return RC_CHUNKED_DATA;
		}
		int rc = step(c, in[at]);
		if (rc < 0) {
			*used = at;
			return rc;
		}
		at++;
	}
	*used = at;
	return c->state == ENDED ? RC_CHUNKED_END : RC_CHUNKED_MORE;
}
