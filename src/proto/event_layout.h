/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands around the fields of an event's object, in their order: the writer puts it there (event.c), the reader looks
 * for it (event_view.c). Only these two include it.
 */
#ifndef RC_PROTO_EVENT_LAYOUT_H
#define RC_PROTO_EVENT_LAYOUT_H

#include "base/base.h"

#define TO_CHANNEL   "{\"type\":\"event\",\"channel\":\""
#define TO_EVENT     "\",\"event\":\""
#define TO_OFFSET    "\",\"offset\":"
#define TO_TIMESTAMP ",\"timestamp\":\""
#define TO_JSON      "\",\"data\":"
#define TO_OPAQUE    "\",\"encoding\":\"base64\",\"data\":\""
#define OPAQUE_END   "\"}"

/* Instead of the last brace, in what comes through a pattern. */
#define TO_POSITION  ",\"position\":\""
#define POSITION_END "\"}"

#define TEXT_LEN(literal) (sizeof(literal) - 1)

/* Always inlined with a literal, so that the copy is a few moves. */
#define PUT(at, literal) put(at, literal, TEXT_LEN(literal))
static inline unsigned char *put(unsigned char *at, const char *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

#endif
