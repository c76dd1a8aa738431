/* SPDX-License-Identifier: Apache-2.0
 *
 * PROXY headers from arbitrary bytes. Properties: a header is never longer than what there is, nor than its bound; what is
 * undecided asks for more than there is; what was decided stays so when more bytes come, and what is undecided becomes neither
 * something else nor shorter; no byte behind the header counts.
 */
#include <stdlib.h>

#include "proto/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int parse(const uint8_t *data, size_t len, struct rc_proxy_header *h)
{
	/* In memory of just that length, so that the sanitizer sees each byte that is read beyond it. */
	uint8_t *exact = malloc(len + (len == 0));

	RC_ASSERT(exact);
	memcpy(exact, data, len);
	int rc = rc_proxy_parse(exact, len, h);
	free(exact);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rc_proxy_header whole, part;
	int result;

	if (size > 4096)
		return 0;
	result = parse(data, size, &whole);
	RC_ASSERT(result <= (int)size && result <= (int)RC_PROXY_MAX && result >= RC_PROXY_BAD);
	RC_ASSERT(result != RC_PROXY_PARTIAL || (whole.need > size && whole.need <= RC_PROXY_MAX));
	RC_ASSERT(result <= 0 || result >= 15);
	RC_ASSERT(result <= 0 || whole.source.family == 0 || whole.source.family == 4 ||
		  whole.source.family == 6);
	RC_ASSERT(result == RC_PROXY_NONE ? !whole.begun : true);
	for (size_t n = 0; n < size; n++) {
		int before = parse(data, n, &part);
		if (before == RC_PROXY_PARTIAL) {
			RC_ASSERT(result <= 0 || part.need <= (uint32_t)result);
		} else {
			RC_ASSERT(before == result);
			RC_ASSERT(before <= 0 ||
				  memcmp(&part.source, &whole.source, sizeof(part.source)) == 0);
		}
	}
	return 0;
}
