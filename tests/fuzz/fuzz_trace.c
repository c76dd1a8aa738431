/* SPDX-License-Identifier: Apache-2.0
 *
 * traceparent from arbitrary bytes. Properties: what is taken is written again as 55 bytes that are taken too and mean the same, and
 * a text of version 00 comes out as it went in.
 */
#include "proto/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rc_str text = {(const char *)data, size};
	unsigned char trace[RC_TRACE_BYTES], again[RC_TRACE_BYTES];
	char out[RC_TRACE_TEXT];

	if (!rc_trace_parse(text, trace))
		return 0;
	rc_trace_text(trace, out);
	RC_ASSERT(rc_trace_parse((struct rc_str){out, sizeof(out)}, again));
	RC_ASSERT(memcmp(trace, again, sizeof(trace)) == 0);
	if (memcmp(data, "00", 2) == 0)
		RC_ASSERT(size == sizeof(out) && memcmp(data, out, size) == 0);
	return 0;
}
