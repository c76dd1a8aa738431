/* SPDX-License-Identifier: Apache-2.0
 *
 * traceparent (W3C Trace Context): the name of the trace that something belongs to, carried along and never changed.
 *
 *   00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01      as text
 *      trace id, 16 bytes               parent id, 8     flags   as bytes
 *
 * Read strictly; what is not right is as if it were not there. Of a later version what version 00 knows is read, and written as 00.
 * Pure, any thread.
 */
#ifndef RC_PROTO_TRACE_H
#define RC_PROTO_TRACE_H

#include "base/base.h"

#define RC_TRACE_BYTES 25
#define RC_TRACE_TEXT  55
#define RC_TRACE_ID    32 /* hex digits of the trace id, from RC_TRACE_ID_AT on */
#define RC_TRACE_ID_AT 3

/* False: it is none. */
bool rc_trace_parse(struct rc_str text, unsigned char out[RC_TRACE_BYTES]) RC_MUST_USE;
/* Neither id is all zeros. */
bool rc_trace_valid(const unsigned char trace[RC_TRACE_BYTES]) RC_MUST_USE;
/* Writes RC_TRACE_TEXT bytes, no NUL. */
void rc_trace_text(const unsigned char trace[RC_TRACE_BYTES], char out[RC_TRACE_TEXT]);

#endif
