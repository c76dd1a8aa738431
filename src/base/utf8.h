/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 validation (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF), in one go or piece by piece.
 * Fails as early as the first byte that can't be right. Pure.
 */
#ifndef RC_BASE_UTF8_H
#define RC_BASE_UTF8_H

#include "base/base.h"

#define RC_UTF8_ACCEPT 0 /* between characters */
#define RC_UTF8_REJECT 1 /* invalid, and stays so */

/* state starts as RC_UTF8_ACCEPT; returns the new state: ACCEPT, REJECT, or another value inside a character. */
uint32_t rc_utf8_feed(uint32_t state, const void *bytes, size_t len);
/* The same, byte by byte: what the other is measured against and compared with, and does its ends with. */
uint32_t rc_utf8_feed_plain(uint32_t state, const void *bytes, size_t len);

static inline bool rc_utf8_valid(const void *bytes, size_t len)
{
	return rc_utf8_feed(RC_UTF8_ACCEPT, bytes, len) == RC_UTF8_ACCEPT;
}

#endif
