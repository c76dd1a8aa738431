/* SPDX-License-Identifier: Apache-2.0
 *
 * Compressed messages from arbitrary bytes. Properties: nothing is written beyond the bound and a byte; what was inflated with a bound is
 * the same with a larger one; where zlib alone reads the bytes and their tail to the end, so do we and alike; and what we deflate
 * of any bytes, with any window, comes back.
 */
#include <stdlib.h>
#include <zlib.h>

#include "proto/deflate.h"

#define CAP 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rc_inflater *inflater;
static struct rc_deflater *deflater;

static void prepare(void)
{
	if (inflater)
		return;
	void *memory = aligned_alloc(64, rc_align_up(rc_inflater_bytes(), 64));
	inflater = rc_inflater_init(memory);
	memory = aligned_alloc(64, rc_align_up(rc_deflater_bytes(), 64));
	deflater = rc_deflater_init(memory, 6);
}

/* Bytes; SIZE_MAX: it does not end between two blocks, ends with a last one, or is larger than CAP. */
static size_t by_zlib(const uint8_t *data, size_t size, unsigned char *out)
{
	unsigned char *in = malloc(size + 4);
	z_stream z = {0};

	RC_ASSERT(in && inflateInit2(&z, -15) == Z_OK);
	memcpy(in, data, size);
	memcpy(in + size, "\0\0\xff\xff", 4);
	z.next_in = in;
	z.avail_in = (uInt)size + 4;
	z.next_out = out;
	z.avail_out = CAP + 1;
	int result = inflate(&z, Z_SYNC_FLUSH);
	size_t len = z.total_out;
	bool whole = result == Z_OK && z.avail_in == 0 && (z.data_type & 128) && !(z.data_type & 7);
	(void)inflateEnd(&z);
	free(in);
	return whole && len <= CAP ? len : SIZE_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char out[CAP + 1], other[CAP + 1], packed[CAP];
	size_t len, other_len;

	prepare();
	if (size < 1 || size > 8192)
		return 0;
	enum rc_inflated result = rc_inflate(inflater, data, size, out, CAP, &len);
	if (result == RC_INFLATED) {
		RC_ASSERT(len <= CAP);
		unsigned char *exact = malloc(len + 1);
		RC_ASSERT(exact);
		RC_ASSERT(rc_inflate(inflater, data, size, exact, len, &other_len) == RC_INFLATED);
		RC_ASSERT(other_len == len && memcmp(exact, out, len) == 0);
		RC_ASSERT(len == 0 || rc_inflate(inflater, data, size, exact, len - 1,
					      &other_len) == RC_INFLATE_TOO_BIG);
		free(exact);
	}
	other_len = by_zlib(data, size, other);
	if (other_len != SIZE_MAX && result != RC_INFLATE_TOO_BIG)
		RC_ASSERT(
			result == RC_INFLATED && len == other_len && memcmp(out, other, len) == 0);
	int bits = RC_DEFLATE_BITS_MIN + data[0] % 7;
	size_t made = rc_deflate(deflater, bits, data, size, packed, sizeof(packed));
	RC_ASSERT(made > 0);
	RC_ASSERT(rc_inflate(inflater, packed, made, out, CAP, &len) == RC_INFLATED);
	RC_ASSERT(len == size && memcmp(out, data, len) == 0);
	return 0;
}
