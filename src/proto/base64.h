/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 with the standard alphabet and padding (RFC 4648, section 4), and for tokens with the alphabet of section 5 and
 * without padding. Pure.
 */
#ifndef RC_PROTO_BASE64_H
#define RC_PROTO_BASE64_H

#include "base/base.h"

static inline size_t rc_base64_len(size_t len)
{
	return (len + 2) / 3 * 4;
}

/* Writes rc_base64_len(len) characters, no NUL, and returns how many. */
size_t rc_base64_encode(const void *bytes, size_t len, char *out);
/*
 * Length of what was written to out; -EINVAL for anything but the one text that the encoder gives (padding missing or
 * misplaced, foreign characters, bits behind the end); -ENOSPC.
 */
RC_MUST_USE int64_t rc_base64_decode(struct rc_str in, void *out, size_t cap);

static inline size_t rc_base64url_len(size_t len)
{
	return len / 3 * 4 + (len % 3 ? len % 3 + 1 : 0);
}

/* Writes rc_base64url_len(len) characters, no NUL, and returns how many. */
size_t rc_base64url_encode(const void *bytes, size_t len, char *out);
/* As rc_base64_decode. Padding is a foreign character here. */
RC_MUST_USE int64_t rc_base64url_decode(struct rc_str in, void *out, size_t cap);

#endif
