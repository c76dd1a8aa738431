/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as RFCs and key logs write them.
 */
#ifndef RC_TESTS_UNIT_TLS_HEX_H
#define RC_TESTS_UNIT_TLS_HEX_H

#include <stdint.h>
#include <stdio.h>

#include "../unit.h"

static inline uint32_t hex_bytes(const char *text, uint8_t *out, uint32_t max)
{
	uint32_t len = 0;
	unsigned int byte;

	for (; sscanf(text, "%2x", &byte) == 1; text += 2) {
		assert_true(len < max);
		out[len++] = (uint8_t)byte;
	}
	return len;
}

#endif
