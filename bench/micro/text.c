/* SPDX-License-Identifier: Apache-2.0
 *
 * What each event and each message of a client costs as text: the frame of an event made, which all its subscribers are
 * sent, and a client's message understood. The other rendition, SSE, comes with the port that speaks it.
 */
#include <stdlib.h>

#include "proto/event.h"
#include "proto/message.h"
#include "shim.h"

#define ROUND 16u

struct state {
	struct rc_event_encoder encoder;
	struct rc_event event;
	size_t len;
	char json[65536];
	unsigned char out[70000];
};

static void *string_open(uint64_t len)
{
	struct state *s = micro_alloc(sizeof(*s));

	memset(s->json, 'x', len);
	s->json[0] = s->json[len - 1] = '"';
	s->len = len;
	s->event = (struct rc_event){.channel = RC_STR("orders:eu"),
		.event = RC_STR("order:created"),
		.data = {s->json, len},
		.offset = 123456789,
		.timestamp_ms = 1768472100000,
		.json = true};
	return s;
}

static void *raw_open(uint64_t len)
{
	struct state *s = string_open(len);

	s->event.json = false;
	return s;
}

static void *message_open(struct state *s, const char *text)
{
	s->len = strlen(text);
	memcpy(s->json, text, s->len);
	return s;
}

static void *subscribe_open(uint64_t arg)
{
	(void)arg;
	return message_open(micro_alloc(sizeof(struct state)),
		"{\"type\":\"subscribe\",\"id\":\"17\",\"channels\":[\"orders:eu\",\"user:4711\"]}");
}

static void *ping_open(uint64_t arg)
{
	(void)arg;
	return message_open(micro_alloc(sizeof(struct state)), "{\"type\":\"ping\",\"id\":\"17\"}");
}

static void encode(void *state)
{
	struct state *s = state;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ROUND; i++) {
		s->event.offset++;
		sum += rc_event_ws_encode(&s->encoder, s->out, &s->event, false);
	}
	micro_keep(sum);
}

static void parse(void *state)
{
	const struct state *s = state;
	struct rc_msg message;
	struct rc_msg_fault fault;

	for (uint32_t i = 0; i < ROUND; i++)
		RC_ASSERT(rc_msg_parse((struct rc_str){s->json, s->len}, &message, &fault) == 0);
}

const struct micro_case micro_text[] = {
	{"event/encode/128B", 128, ROUND, ROUND * 128, string_open, encode, free},
	{"event/encode/1KiB", 1024, ROUND, ROUND * 1024, string_open, encode, free},
	{"event/encode_base64/1KiB", 1024, ROUND, ROUND * 1024, raw_open, encode, free},
	{"message/subscribe", 0, ROUND, 0, subscribe_open, parse, free},
	{"message/ping", 0, ROUND, 0, ping_open, parse, free},
	{0},
};
