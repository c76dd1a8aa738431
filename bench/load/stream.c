/* SPDX-License-Identifier: Apache-2.0
 *
 * WebSocket frames of a server, and events within. See stream.h.
 */
#include "stream.h"

#include <stdlib.h>

#include "rest.h"
#include "unpack.h"
#include "proto/websocket.h"

#define FIN      0x80
#define RESERVED 0x70
#define OPCODE   0x0f
#define MASKED   0x80

static bool is_magic(const char *at)
{
	uint64_t have, want;

	memcpy(&have, at, sizeof(have));
	memcpy(&want, LOAD_MAGIC, sizeof(want));
	return have == want;
}

/* ---- the application's bytes -------------------------------------------------------------------- */

/*
 * An event began in an earlier piece. Takes of this one what it lacks and returns how much; 0 when what was kept turned
 * out to be no event, so that this piece is to be searched from its beginning.
 */
static size_t complete(struct load_stream *s, const struct load_stream_calls *calls, void *ctx,
	const char *bytes, size_t len)
{
	size_t used = 0;

	for (;;) {
		struct load_event event = {0};
		struct load_rest *rest = s->rest;
		size_t n = RC_MIN(rest->need - rest->app_len, len - used);
		enum load_event_result result;

		load_rest_grow_app(&s->rest, bytes + used, n);
		rest = s->rest;
		used += n;
		if (memcmp(rest->bytes, LOAD_MAGIC, RC_MIN(rest->app_len, LOAD_MAGIC_LEN)) != 0) {
			load_rest_drop_app(&s->rest);
			return 0;
		}
		if (rest->app_len < rest->need)
			return used;
		result = load_event_verify(&event, rest->bytes, rest->app_len);
		if (result == LOAD_EVENT_PARTIAL && event.len > rest->need) {
			rest->need = event.len;
			continue;
		}
		load_rest_drop_app(&s->rest);
		if (result != LOAD_EVENT_OK) {
			calls->corrupt(ctx);
			return 0;
		}
		calls->event(ctx, &event, (struct rc_str){bytes, 0});
		return used;
	}
}

void load_stream_piece(struct load_stream *s, const struct load_stream_calls *calls, void *ctx,
	const char *bytes, size_t len, bool whole)
{
	const char *at = bytes, *end = bytes + len;
	bool found = false;

	if (load_rest_app_len(s->rest) > 0) {
		at += complete(s, calls, ctx, bytes, len);
		found = at > bytes;
	}
	while (at < end && !s->stopped) {
		const char *magic = load_event_find(at, (size_t)(end - at));
		struct load_event event = {0};
		enum load_event_result result = LOAD_EVENT_PARTIAL;

		if (s->attentive && found && magic > at)
			calls->text(ctx, (struct rc_str){at, (size_t)(magic - at)});
		if (magic == end)
			break;
		if (end - magic >= (ptrdiff_t)LOAD_MAGIC_LEN)
			result = load_event_verify(&event, magic, (size_t)(end - magic));
		if (s->attentive && !found && magic > at)
			calls->text(ctx, (struct rc_str){at, (size_t)(magic - at)});
		if (result == LOAD_EVENT_PARTIAL) {
			/* A short end that may begin a magic is text as well. */
			if (end - magic < (ptrdiff_t)LOAD_MAGIC_LEN && !found && !s->attentive)
				calls->text(ctx, (struct rc_str){bytes, len});
			load_rest_begin_app(&s->rest, magic, (size_t)(end - magic),
				RC_MAX(event.len, LOAD_EVENT_MIN));
			return;
		}
		if (result == LOAD_EVENT_CORRUPT) {
			calls->corrupt(ctx);
			at = magic + LOAD_MAGIC_LEN;
			found = true;
			continue;
		}
		if (whole && !found)
			s->hint = (uint32_t)(magic - bytes);
		calls->event(ctx, &event, (struct rc_str){at, (size_t)(magic - at)});
		at = magic + event.len;
		found = true;
	}
	if (!found && len > 0 && !s->stopped)
		calls->text(ctx, (struct rc_str){bytes, len});
}

/* ---- frames ------------------------------------------------------------------------------------- */

struct frame {
	uint8_t first;
	size_t header_len;
	uint64_t len; /* of its payload */
};

/* False: the header is not whole. */
static bool header(struct frame *f, const unsigned char *at, size_t have)
{
	if (have < 2)
		return false;
	f->first = at[0];
	f->len = at[1] & 0x7f;
	f->header_len = f->len == 126 ? 4 : f->len == 127 ? 10 : 2;
	if (have < f->header_len)
		return false;
	if (f->header_len > 2) {
		f->len = 0;
		for (size_t i = 2; i < f->header_len; i++)
			f->len = f->len << 8 | at[i];
	}
	return true;
}

/* A whole message that is to be inflated. */
static bool deflated(const struct load_stream *s, const struct frame *f)
{
	return s->deflates && (f->first & (FIN | RESERVED)) == (FIN | RC_WS_RSV1) &&
	       (f->first & OPCODE) < RC_WS_CLOSE && f->header_len + f->len <= LOAD_STREAM_WHOLE;
}

/* A rule that a server's frame breaks, or NULL. Keeps account of fragments. */
static const char *refuse(struct load_stream *s, const struct frame *f, uint8_t second)
{
	uint8_t opcode = f->first & OPCODE;

	if (f->first & RESERVED && !deflated(s, f))
		return "a reserved bit is set";
	if (second & MASKED)
		return "a frame of the server is masked";
	if (f->len > LOAD_STREAM_FRAME_MAX)
		return "a frame is longer than any event";
	if (opcode >= RC_WS_CLOSE) {
		if (opcode > RC_WS_PONG)
			return "an unknown opcode";
		if (!(f->first & FIN) || f->len > RC_WS_CONTROL_MAX)
			return "a control frame is long or in fragments";
		return NULL;
	}
	if (opcode > RC_WS_BINARY)
		return "an unknown opcode";
	if ((opcode == RC_WS_CONTINUATION) != s->fragmented)
		return s->fragmented ? "a message begins inside another"
				     : "a continuation of no message";
	s->fragmented = !(f->first & FIN);
	return NULL;
}

/* One whole text or binary frame whose event lies where it did in the last one. False: look closer. */
static inline bool fast(struct load_stream *s, const struct load_stream_calls *calls, void *ctx,
	const char *payload, size_t len)
{
	struct load_event event;
	size_t hint = s->hint, rest;

	if (RC_UNLIKELY(len < hint + LOAD_EVENT_MIN || !is_magic(payload + hint)))
		return false;
	if (RC_UNLIKELY(load_event_verify(&event, payload + hint, len - hint) != LOAD_EVENT_OK))
		return false;
	rest = len - hint - event.len;
	if (rest > 0 && memchr(payload + hint + event.len, LOAD_MAGIC[0], rest))
		return false;
	calls->event(ctx, &event, (struct rc_str){payload, hint});
	return true;
}

static const char *take_deflated(struct load_stream *s, const struct load_stream_calls *calls,
	void *ctx, const char *payload, size_t len)
{
	struct rc_str plain = load_unpack(payload, len);

	if (plain.len == 0)
		return "a deflated message can't be inflated";
	if (s->rest || s->attentive || !fast(s, calls, ctx, plain.ptr, plain.len))
		load_stream_piece(s, calls, ctx, plain.ptr, plain.len, true);
	return NULL;
}

/* What lies at `at` is not for the fast path. Bytes that were used up; 0 when more must come first. */
static size_t slow(struct load_stream *s, const struct load_stream_calls *calls, void *ctx,
	const unsigned char *at, size_t have, const char **broken)
{
	struct frame f;
	size_t n;

	if (!header(&f, at, have))
		return 0;
	if (f.header_len + f.len <= LOAD_STREAM_WHOLE) {
		bool fragmented = s->fragmented;

		*broken = refuse(s, &f, at[1]);
		if (*broken)
			return 0;
		if (have < f.header_len + f.len) {
			s->fragmented = fragmented; /* it will be looked at again */
			return 0;
		}
	} else {
		*broken = refuse(s, &f, at[1]);
		if (*broken)
			return 0;
	}
	n = (size_t)RC_MIN(f.len, have - f.header_len);
	s->left = (uint32_t)(f.len - n);
	if (f.first & RESERVED)
		*broken = take_deflated(s, calls, ctx, (const char *)at + f.header_len, n);
	else if ((f.first & OPCODE) >= RC_WS_CLOSE)
		calls->control(
			ctx, f.first & OPCODE, (struct rc_str){(const char *)at + f.header_len, n});
	else
		load_stream_piece(s, calls, ctx, (const char *)at + f.header_len, n, s->left == 0);
	return f.header_len + n;
}

const char *load_stream_take(struct load_stream *s, const struct load_stream_calls *calls,
	void *ctx, unsigned char *bytes, size_t len)
{
	unsigned char *at = bytes - load_rest_take_raw(&s->rest, bytes), *end = bytes + len;
	const char *broken = NULL;
	size_t used;

	if (s->left > 0) {
		used = RC_MIN(s->left, (size_t)(end - at));
		s->left -= (uint32_t)used;
		load_stream_piece(s, calls, ctx, (const char *)at, used, false);
		at += used;
	}
	while (!s->stopped) {
		size_t have = (size_t)(end - at), head = 2, payload = LOAD_STREAM_FRAME_MAX;

		if (RC_LIKELY(have >= 4)) {
			if (at[1] < 126) {
				payload = at[1];
			} else if (at[1] == 126) {
				payload = (size_t)at[2] << 8 | at[3];
				head = 4;
			}
		}
		if (RC_LIKELY(head + payload <= have && (at[0] & ~3u) == FIN && (at[0] & 3) % 3 &&
			      !s->rest && !s->attentive && !s->fragmented) &&
			fast(s, calls, ctx, (const char *)at + head, payload)) {
			at += head + payload;
			continue;
		}
		used = slow(s, calls, ctx, at, have, &broken);
		if (used == 0)
			break;
		at += used;
	}
	if (!broken && !s->stopped && at < end)
		load_rest_keep_raw(&s->rest, at, (size_t)(end - at));
	return broken;
}

void load_stream_deinit(struct load_stream *s)
{
	free(s->rest);
	*s = (struct load_stream){0};
}

size_t load_stream_memory(const struct load_stream *s)
{
	return s->rest ? sizeof(*s->rest) + s->rest->cap : 0;
}
