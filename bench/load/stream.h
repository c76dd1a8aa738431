/* SPDX-License-Identifier: Apache-2.0
 *
 * What one connection receives, taken apart: WebSocket frames or an SSE body, and in the bytes that these carry the events. Owned
 * by its client's worker; the zero value is a stream that has received nothing.
 *
 * A frame of up to LOAD_STREAM_WHOLE bytes is looked at when all of it is there; a larger one, and an SSE body, in the pieces
 * that arrive. What can't be decided yet is kept in memory of its own, which exists only as long as something is kept:
 *
 *   rest   | app: an event's beginning, from its magic | raw: a small frame's beginning, header first |
 *
 * raw is put in front of what arrives next, into the headroom of the receive buffer; app grows until the event is whole.
 *
 * The fast path is a whole text or binary frame with one event, at the place where the last one had it.
 */
#ifndef LOAD_STREAM_H
#define LOAD_STREAM_H

#include "event.h"

#define LOAD_STREAM_WHOLE     4096u
#define LOAD_STREAM_HEADROOM  4096u /* writable bytes in front of what is fed */
#define LOAD_STREAM_FRAME_MAX (64u << 20)

struct load_rest;

struct load_stream {
	struct load_rest *rest;
	uint32_t left;   /* bytes of a large frame, or of an SSE chunk, that are still to come */
	uint32_t hint;   /* where in a frame's payload the last event began */
	bool attentive;  /* bytes around events are told too: the owner waits for an answer */
	bool fragmented; /* inside a message of several frames */
	bool deflates; /* permessage-deflate was offered; whole frames of up to LOAD_STREAM_WHOLE may have RSV1 */
	bool stopped;  /* the owner wants no more of what was fed: set in a callback */
	uint8_t chunk; /* SSE: enum load_chunk */
};

enum load_chunk {
	LOAD_BODY_PLAIN,
	LOAD_CHUNK_SIZE, /* digits */
	LOAD_CHUNK_REST, /* of the size's line */
	LOAD_CHUNK_DATA,
	LOAD_CHUNK_END, /* the line's end behind data */
	LOAD_CHUNK_LAST
};

/* Called while bytes are fed. No callback may deinit the stream; to stop, it sets s->stopped. */
struct load_stream_calls {
	/* before: what stood in front of the event, in the same piece. Valid during the call. */
	void (*event)(void *ctx, const struct load_event *event, struct rc_str before);
	/* A frame or piece without an event; with s->attentive also what stands around events. */
	void (*text)(void *ctx, struct rc_str text);
	/* Ping, pong or close of WebSocket; the payload, at most 125 bytes. */
	void (*control)(void *ctx, uint8_t opcode, struct rc_str payload);
	/* A magic, and no event behind it. */
	void (*corrupt)(void *ctx);
};

/* Feeds WebSocket bytes. NULL, or what rule the server broke: then the connection is to be closed. */
const char *load_stream_take(struct load_stream *s, const struct load_stream_calls *calls,
	void *ctx, unsigned char *bytes, size_t len);
/* Feeds the bytes of an SSE body; s->chunk is LOAD_CHUNK_SIZE at first when the coding is chunked. As above. */
const char *load_stream_take_sse(struct load_stream *s, const struct load_stream_calls *calls,
	void *ctx, unsigned char *bytes, size_t len);
/* A piece of the application's bytes: for the two above. */
void load_stream_piece(struct load_stream *s, const struct load_stream_calls *calls, void *ctx,
	const char *bytes, size_t len, bool whole);
/* Back to the zero value. */
void load_stream_deinit(struct load_stream *s);
/* Bytes that are kept now. */
size_t load_stream_memory(const struct load_stream *s);

#endif
