/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads of answers from arbitrary bytes. Properties: a head that is whole is whole at its last byte and at no earlier one, whatever
 * follows; what is refused is refused with more bytes, too; the end of the body is in one place.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/httpreply.h"

#define HEAD_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rc_reply_head whole, part;
	int verdict = rc_reply_head_parse(data, size, HEAD_MAX, &whole);

	if (size == 0 || size > 2 * HEAD_MAX)
		return 0;
	if (verdict == 0) {
		RC_ASSERT(whole.status >= 100 && whole.status <= 599 && whole.head_len <= size);
		RC_ASSERT(whole.head_len <= HEAD_MAX);
		RC_ASSERT(!whole.chunked || whole.content_length < 0);
	}
	/* A copy, so that a byte read too much is seen. */
	for (size_t n = 1; n <= RC_MIN(size, (size_t)512); n++) {
		uint8_t *copy = malloc(n);
		memcpy(copy, data, n);
		int early = rc_reply_head_parse(copy, n, HEAD_MAX, &part);
		free(copy);
		if (verdict == 0) {
			RC_ASSERT((early == 0) == (n >= whole.head_len) && early >= 0);
			RC_ASSERT(early || part.head_len == whole.head_len);
		}
		RC_ASSERT(early >= 0 || verdict < 0);
	}
	return 0;
}
