/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of one event: made by a publisher, verified by every subscriber. Layout in README.md. Pure, any thread.
 */
#ifndef LOAD_EVENT_H
#define LOAD_EVENT_H

#include "base/base.h"

#define LOAD_EVENT_MIN 64u
#define LOAD_EVENT_MAX (1u << 20)
#define LOAD_MAGIC     "@rcload:"
#define LOAD_MAGIC_LEN 8u

struct load_event {
	uint32_t publisher; /* 16 bits */
	uint32_t channel;   /* its number in the run */
	uint32_t len;       /* LOAD_EVENT_MIN to LOAD_EVENT_MAX */
	uint64_t sequence;  /* 48 bits, of the channel, from 1 */
	uint64_t time_ns;   /* intended send time */
};

enum load_event_result {
	LOAD_EVENT_OK,
	LOAD_EVENT_PARTIAL, /* no more than that can be said: more bytes are needed (len tells how many when the head is there, else 0) */
	LOAD_EVENT_CORRUPT, /* begins with the magic and is not an event */
};

/* Writes event->len bytes. */
void load_event_encode(char *out, const struct load_event *event);

/*
 * bytes begins with the magic. Verifies every byte: the check, and all of the padding. After CORRUPT nothing in *event may be used.
 */
enum load_event_result load_event_verify(
	struct load_event *event, const char *bytes, size_t len) RC_MUST_USE;

/* The first magic in bytes, or as many last bytes as could be the beginning of one: the place; bytes + len when none. */
const char *load_event_find(const char *bytes, size_t len);

#endif
