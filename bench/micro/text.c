/* SPDX-License-Identifier: Apache-2.0
 *
 * What each event and each message of a client costs as text: JSON checked, the frame of an event made, a subscription
 * understood. "object" is an order of nested objects and numbers, "string" one long string.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proto/event.h"
#include "proto/json.h"
#include "proto/message.h"
#include "shim.h"

#define ROUND     16u
#define DEPTH_MAX 64u

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

static void *object_open(uint64_t len)
{
	struct state *s = string_open(len);
	size_t used = 1;
	int n;

	s->json[0] = '[';
	for (uint32_t i = 0;; i++) {
		char item[96];

		n = snprintf(item, sizeof(item),
			"%s{\"id\":%u,\"name\":\"item %u\",\"price\":%u.50,\"tags\":[true,null]}",
			i ? "," : "", 1000 + i, i, i);
		if (used + (size_t)n + 1 > len)
			break;
		memcpy(s->json + used, item, (size_t)n);
		used += (size_t)n;
	}
	memset(s->json + used, ' ', len - used - 1);
	s->json[len - 1] = ']';
	return s;
}

static void *subscribe_open(uint64_t arg)
{
	static const char text[] =
		"{\"type\":\"subscribe\",\"id\":\"17\",\"channels\":[\"orders:eu\",\"user:4711\"]}";
	struct state *s = micro_alloc(sizeof(*s));

	(void)arg;
	s->len = sizeof(text) - 1;
	memcpy(s->json, text, s->len);
	return s;
}

static void validate(void *state)
{
	const struct state *s = state;

	for (uint32_t i = 0; i < ROUND; i++)
		RC_ASSERT(rc_json_validate((struct rc_str){s->json, s->len}, DEPTH_MAX) == 0);
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
	{"json/validate/string/128B", 128, ROUND, ROUND * 128, string_open, validate, free},
	{"json/validate/string/1KiB", 1024, ROUND, ROUND * 1024, string_open, validate, free},
	{"json/validate/object/128B", 128, ROUND, ROUND * 128, object_open, validate, free},
	{"json/validate/object/1KiB", 1024, ROUND, ROUND * 1024, object_open, validate, free},
	{"json/validate/object/16KiB", 16384, ROUND, ROUND * 16384, object_open, validate, free},
	{"event/encode/128B", 128, ROUND, ROUND * 128, string_open, encode, free},
	{"event/encode/1KiB", 1024, ROUND, ROUND * 1024, string_open, encode, free},
	{"message/subscribe", 0, ROUND, 0, subscribe_open, parse, free},
	{0},
};
