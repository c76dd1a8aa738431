/* SPDX-License-Identifier: Apache-2.0
 *
 * The ingest frames: a batch of 64 events written by the client's side, and read by the gateway's.
 */
#include <stdlib.h>

#include "proto/ingest.h"
#include "shim.h"

#define EVENTS 64u

struct state {
	size_t payload_len, len;
	char payload[1024];
	unsigned char frame[EVENTS * 1200];
};

static void encode(void *state)
{
	struct state *s = state;
	struct rc_ingest_publish event = {.channel = RC_STR("orders:eu"),
		.event = RC_STR("order:created"),
		.payload = {s->payload, s->payload_len}};
	size_t used = rc_ingest_batch_encode_begin(s->frame, sizeof(s->frame), RINGCAST_FLAG_JSON);

	for (uint32_t i = 0; i < EVENTS; i++) {
		event.sequence = i + 1;
		used = rc_ingest_batch_encode_add(s->frame, sizeof(s->frame), used, &event);
		RC_ASSERT(used > 0);
	}
	s->len = rc_ingest_batch_encode_end(s->frame, used);
}

static void *state_open(uint64_t payload_len)
{
	struct state *s = micro_alloc(sizeof(*s));

	s->payload_len = payload_len;
	encode(s);
	return s;
}

static void decode(void *state)
{
	const struct state *s = state;
	struct rc_ingest_frame frame;
	struct rc_ingest_publish event;
	struct rc_ingest_batch batch;
	uint64_t sum = 0;

	RC_ASSERT(rc_ingest_frame(s->frame, s->len, sizeof(s->frame), &frame) == 0);
	RC_ASSERT(rc_ingest_batch_check(frame.body, frame.flags) == 0);
	RC_ASSERT(rc_ingest_batch_begin(frame.body, frame.flags, &batch) == 0);
	while (rc_ingest_batch_next(&batch, &event) > 0)
		sum += event.sequence;
	micro_keep(sum);
}

const struct micro_case micro_ingest[] = {
	{"ingest/encode/128B", 128, EVENTS, EVENTS * 128, state_open, encode, free},
	{"ingest/decode/128B", 128, EVENTS, EVENTS * 128, state_open, decode, free},
	{"ingest/decode/1KiB", 1024, EVENTS, EVENTS * 1024, state_open, decode, free},
	{0},
};
