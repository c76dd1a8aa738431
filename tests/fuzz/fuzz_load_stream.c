/* SPDX-License-Identifier: Apache-2.0
 *
 * Whatever a server sends must neither crash nor hang the load generator's reader. The input is a script: raw bytes, frames around
 * events, events over two frames, altered events. What it makes is fed whole, and cut, each part in memory of its own. Property: nothing
 * is told that was not there, and unless something was corrupt both ways find the same events and the same end.
 */
#include <stdio.h>
#include <stdlib.h>

#include "load/stream.h"
#include "proto/websocket.h"

#define WIRE_MAX (256u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct story {
	uint64_t events, sum, corrupt, bytes;
	const char *broken;
};

static unsigned char wire[WIRE_MAX];
static size_t wire_len;

/* All that is told can be read. */
static void touch(struct rc_str text)
{
	volatile char sink = 0;

	for (size_t i = 0; i < text.len; i++)
		sink = text.ptr[i];
	(void)sink;
}

static void on_event(void *ctx, const struct load_event *event, struct rc_str before)
{
	struct story *s = ctx;

	RC_ASSERT(event->len >= LOAD_EVENT_MIN && event->len <= LOAD_EVENT_MAX);
	s->events++;
	s->sum = s->sum * 31 + event->sequence;
	s->bytes += event->len + before.len;
	touch(before);
}

static void on_text(void *ctx, struct rc_str text)
{
	(void)ctx;
	RC_ASSERT(text.len > 0);
	touch(text);
}

static void on_control(void *ctx, uint8_t opcode, struct rc_str payload)
{
	(void)ctx;
	RC_ASSERT(opcode >= RC_WS_CLOSE && opcode <= RC_WS_PONG);
	RC_ASSERT(payload.len <= RC_WS_CONTROL_MAX);
}

static void on_corrupt(void *ctx)
{
	((struct story *)ctx)->corrupt++;
}

static const struct load_stream_calls calls = {on_event, on_text, on_control, on_corrupt};

/* ---- the wire ----------------------------------------------------------------------------------- */

static void put(const void *bytes, size_t len)
{
	len = RC_MIN(len, sizeof(wire) - wire_len);
	if (len > 0)
		memcpy(wire + wire_len, bytes, len);
	wire_len += len;
}

static void put_frame(uint8_t opcode, bool fin, const void *payload, size_t len)
{
	unsigned char head[10];

	put(head, rc_ws_header(head, opcode, fin, len));
	put(payload, len);
}

static size_t make_event(char *out, uint64_t sequence, uint32_t len)
{
	load_event_encode(
		out, &(struct load_event){.channel = 3, .len = len, .sequence = sequence});
	return len;
}

/* A command and its argument are a byte each; raw bytes follow theirs. */
static void make_wire(const uint8_t *script, size_t size)
{
	static char text[20000];
	uint64_t sequence = 0;

	wire_len = 0;
	for (size_t i = 0; i + 1 < size; i += 2) {
		uint8_t what = script[i], arg = script[i + 1];
		uint32_t len = LOAD_EVENT_MIN + arg * (what & 0x80 ? 61u : 1u);
		size_t at = what & 0x10 ? (size_t)snprintf(text, sizeof(text), "{\"n\":%u,\"",
						  (unsigned)sequence)
					: 0;
		size_t all;

		switch (what & 7) {
		case 0:
			arg = (uint8_t)RC_MIN(arg, size - i - 2);
			put(script + i + 2, arg);
			i += arg;
			break;
		case 1:
		case 2:
			all = at + make_event(text + at, ++sequence, len);
			put_frame(what & 1 ? RC_WS_TEXT : RC_WS_BINARY, true, text, all);
			break;
		case 3:
			all = at + make_event(text + at, ++sequence, len);
			put_frame(RC_WS_TEXT, !(what & 0x20), text, all * arg / 256);
			put_frame(what & 0x20 ? RC_WS_CONTINUATION : RC_WS_TEXT, true,
				text + all * arg / 256, all - all * arg / 256);
			break;
		case 4:
			all = at + make_event(text + at, ++sequence, len);
			text[all * arg / 256] ^= 1;
			put_frame(RC_WS_TEXT, true, text, all);
			break;
		case 5:
			all = at + make_event(text + at, ++sequence, len);
			put(text, all); /* for SSE, or a broken stream */
			break;
		case 6:
			put_frame(RC_WS_PING, true, "?", 1);
			break;
		default:
			(void)snprintf(text, sizeof(text), "%x\r\n", (unsigned)arg);
			put(text, strlen(text));
		}
	}
}

/* ---- feeding ------------------------------------------------------------------------------------ */

static void feed(uint8_t flags, uint32_t cut_seed, struct story *story)
{
	struct load_stream s = {
		.attentive = flags & 1, .chunk = flags & 4 ? LOAD_CHUNK_SIZE : LOAD_BODY_PLAIN};
	uint32_t random = cut_seed;

	*story = (struct story){0};
	for (size_t at = 0; at < wire_len && !story->broken;) {
		size_t part = wire_len - at;
		unsigned char *memory;

		if (cut_seed != 0) {
			random = random * 1664525 + 1013904223;
			part = RC_MIN(part, 1 + (random >> 16) % (flags & 8 ? 5000 : 40));
		}
		memory = malloc(LOAD_STREAM_HEADROOM + part);
		memcpy(memory + LOAD_STREAM_HEADROOM, wire + at, part);
		story->broken = flags & 2 ? load_stream_take_sse(&s, &calls, story,
						    memory + LOAD_STREAM_HEADROOM, part)
					  : load_stream_take(&s, &calls, story,
						    memory + LOAD_STREAM_HEADROOM, part);
		free(memory);
		at += part;
	}
	RC_ASSERT(story->bytes <= wire_len + 2 * LOAD_STREAM_HEADROOM);
	load_stream_deinit(&s);
	RC_ASSERT(load_stream_memory(&s) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct story whole, cut;

	if (size < 4)
		return 0;
	make_wire(data + 2, size - 2);
	feed(data[0], 0, &whole);
	feed(data[0], data[1] + 1u, &cut);
	if (whole.corrupt > 0 || cut.corrupt > 0)
		return 0;
	RC_ASSERT(whole.events == cut.events && whole.sum == cut.sum);
	RC_ASSERT(whole.broken == cut.broken);
	return 0;
}
