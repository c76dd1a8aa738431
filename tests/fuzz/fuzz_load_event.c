/* SPDX-License-Identifier: Apache-2.0
 *
 * Events out of any bytes: verify and find stay inside, what is found sound is what encode writes, and an event of which a byte was
 * changed is corrupt.
 */
#include <stdlib.h>

#include "load/event.h"

#define LEN_MAX 16384u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char bytes[LOAD_EVENT_MAX];

static void check_any_bytes(const char *text, size_t size)
{
	const char *at = load_event_find(text, size), *end = text + size;
	struct load_event event;

	RC_ASSERT(at >= text && at <= end);
	while (at != end) {
		size_t left = (size_t)(end - at);

		RC_ASSERT(memcmp(at, LOAD_MAGIC, RC_MIN(left, (size_t)LOAD_MAGIC_LEN)) == 0);
		switch (load_event_verify(&event, at, left)) {
		case LOAD_EVENT_OK:
			RC_ASSERT(event.len >= LOAD_EVENT_MIN && event.len <= left);
			load_event_encode(bytes, &event);
			RC_ASSERT(memcmp(bytes, at, event.len) == 0);
			break;
		case LOAD_EVENT_PARTIAL:
			RC_ASSERT(event.len == 0 ? left < LOAD_EVENT_MIN : left < event.len);
			break;
		case LOAD_EVENT_CORRUPT:
			RC_ASSERT(left >= LOAD_EVENT_MIN);
			break;
		}
		at = load_event_find(at + 1, left - 1);
	}
}

/* The numbers, the place and the change, from the input. */
static void check_changed_event(const uint8_t *data, size_t size)
{
	uint64_t word[4] = {0};
	struct load_event event, back;
	uint32_t place;
	uint8_t change;

	memcpy(word, data, RC_MIN(size, sizeof(word)));
	event = (struct load_event){
		.publisher = (uint32_t)word[0] & UINT16_MAX,
		.channel = (uint32_t)(word[0] >> 32),
		.len = LOAD_EVENT_MIN + (uint32_t)(word[3] >> 16) % (LEN_MAX - LOAD_EVENT_MIN),
		.sequence = word[1] >> 16 | 1,
		.time_ns = word[2],
	};
	place = (uint32_t)(word[3] >> 32) % event.len;
	change = (uint8_t)(word[3] & 0xff ? word[3] : 1);
	load_event_encode(bytes, &event);
	RC_ASSERT(load_event_find(bytes, event.len) == bytes);
	RC_ASSERT(load_event_verify(&back, bytes, event.len) == LOAD_EVENT_OK);
	RC_ASSERT(back.publisher == event.publisher && back.channel == event.channel &&
		  back.len == event.len && back.sequence == event.sequence &&
		  back.time_ns == event.time_ns);
	RC_ASSERT(load_event_verify(&back, bytes, event.len - 1) == LOAD_EVENT_PARTIAL);
	bytes[place] = (char)(bytes[place] ^ change);
	RC_ASSERT(load_event_verify(&back, bytes, event.len) == LOAD_EVENT_CORRUPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_any_bytes((const char *)data, size);
	check_changed_event(data, size);
	return 0;
}
