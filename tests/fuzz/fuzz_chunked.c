/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunked bodies from arbitrary bytes. Properties: the cut changes nothing (the first byte says which); data is what lies in the
 * input, in order; what is accepted and written out again in one chunk is the same body, and ends at its last byte.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proto/chunked.h"

#define BODY_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct read {
	int verdict;
	size_t used, len;
	uint8_t body[BODY_MAX];
};

static void read_all(const uint8_t *data, size_t size, size_t piece, struct read *out)
{
	struct rc_chunked c = {0};

	out->verdict = RC_CHUNKED_MORE;
	out->used = out->len = 0;
	while (out->verdict == RC_CHUNKED_MORE && out->used < size) {
		size_t n = RC_MIN(piece, size - out->used), done = 0;
		uint8_t *copy = malloc(n);

		memcpy(copy, data + out->used, n);
		do {
			struct rc_str slice;
			size_t step;

			out->verdict = rc_chunked_next(&c, copy + done, n - done, &step, &slice);
			done += step;
			RC_ASSERT(done <= n);
			RC_ASSERT((out->verdict == RC_CHUNKED_DATA) == (slice.len > 0));
			if (slice.len) {
				RC_ASSERT((const uint8_t *)slice.ptr + slice.len == copy + done);
				memcpy(out->body + out->len, slice.ptr, slice.len);
				out->len += slice.len;
			}
		} while (out->verdict == RC_CHUNKED_DATA);
		RC_ASSERT(out->verdict != RC_CHUNKED_MORE || done == n);
		out->used += done;
		free(copy);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct read whole, cut, again;
	static uint8_t text[BODY_MAX + 64];
	size_t piece;
	int head;

	if (size < 1 || size > BODY_MAX)
		return 0;
	piece = (size_t)data[0] % 17 + 1;
	data++;
	size--;
	read_all(data, size, size, &whole);
	read_all(data, size, piece, &cut);
	RC_ASSERT(whole.verdict == cut.verdict && whole.used == cut.used && whole.len == cut.len);
	RC_ASSERT(memcmp(whole.body, cut.body, whole.len) == 0);
	RC_ASSERT(whole.verdict == RC_CHUNKED_MORE || whole.verdict == RC_CHUNKED_END ||
		  whole.verdict == -400);
	if (whole.verdict != RC_CHUNKED_END)
		return 0;
	RC_ASSERT(memcmp(data + whole.used - 2, "\r\n", 2) == 0);
	head = whole.len ? snprintf((char *)text, sizeof(text), "%zx\r\n", whole.len) : 0;
	memcpy(text + head, whole.body, whole.len);
	size_t len = (size_t)head + whole.len;
	len += (size_t)snprintf(
		(char *)text + len, sizeof(text) - len, "%s0\r\n\r\n", whole.len ? "\r\n" : "");
	read_all(text, len, len, &again);
	RC_ASSERT(again.verdict == RC_CHUNKED_END && again.used == len && again.len == whole.len);
	RC_ASSERT(memcmp(again.body, whole.body, whole.len) == 0);
	return 0;
}
