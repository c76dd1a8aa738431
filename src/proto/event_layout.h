/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands around the fields of an event's object, in their order: the writer puts it there (event.c), the reader looks
 * for it (event_view.c). Only these two include it.
 */
#ifndef RC_PROTO_EVENT_LAYOUT_H
#define RC_PROTO_EVENT_LAYOUT_H

#include "base/base.h"

#define TO_CHANNEL "{\"type\":\"event\",\"channel\":\""
/* The same of what the gateway itself says in a channel. */
#define TO_CHANNEL_JOIN     "{\"type\":\"join\",\"channel\":\""
#define TO_CHANNEL_LEAVE    "{\"type\":\"leave\",\"channel\":\""
#define TO_CHANNEL_PRESENCE "{\"type\":\"presence\",\"channel\":\""

#define TO_EVENT     "\",\"event\":\""
#define TO_OFFSET    "\",\"offset\":"
#define TO_TIMESTAMP ",\"timestamp\":\""
/* Where the event has one: in front of what begins with a quote, behind RC_TRACE_TEXT bytes of its own. */
#define TO_TRACE   "\",\"traceparent\":\""
#define TO_JSON    "\",\"data\":"
#define TO_OPAQUE  "\",\"encoding\":\"base64\",\"data\":\""
#define OPAQUE_END "\"}"

/* Behind the timestamp, where the gateway speaks of one user. */
#define TO_USER "\",\"user\":\""

/* Instead of the last brace, in what comes through a pattern. */
#define TO_POSITION ",\"position\":\""

#define TEXT_LEN(literal) (sizeof(literal) - 1)

/* Always inlined with a literal, so that the copy is a few moves. */
#define PUT(at, literal) put(at, literal, TEXT_LEN(literal))
static inline unsigned char *put(unsigned char *at, const char *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

#endif
