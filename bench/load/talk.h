/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said on a publisher's link, without its socket: bytes that arrived go in, bytes to send come out in `out`. One of two
 * languages, by the target's scheme: the ingest protocol (talk_ingest.c), or the target's templates and texts (talk_text.c), which may be
 * wrapped into WebSocket frames (talk_ws.c). One owner, no system calls but for memory.
 *
 *   UPGRADE ──▶ GREETING ──▶ WELCOME ──▶ OPEN        ws begins at UPGRADE, ingest at WELCOME (its HELLO), text at GREETING; a
 *                                                    step that the target has no text for is passed over
 *
 * Events have sequences of the link, from 1. What is in flight is decided by acknowledgements (cumulative) and refusals (one by one):
 *
 *   1 … through │ through+1 …  sent       time_ns[sequence & mask]: when it was meant to leave; REFUSED once it was
 */
#ifndef LOAD_TALK_H
#define LOAD_TALK_H

#include "base/random.h"
#include "event.h"
#include "match.h"
#include "outbuf.h"
#include "proto/ingest.h"
#include "proto/websocket.h"
#include "target.h"
#include "upgrade.h"

#define LOAD_TALK_IN_MAX     LOAD_UPGRADE_HEAD_MAX
#define LOAD_TALK_WINDOW_MAX (1u << 20) /* no link has more in flight, whatever the server allows */
#define LOAD_TALK_REFUSED    UINT64_MAX

enum load_talk_step {
	LOAD_TALK_UPGRADE,
	LOAD_TALK_GREETING,
	LOAD_TALK_WELCOME,
	LOAD_TALK_SERVING, /* of a backend: it has said what it takes */
	LOAD_TALK_OPEN
};

/* Called from load_talk_take. */
struct load_talk_hooks {
	void *ctx;
	/* An event that was meant to leave at time_ns is acknowledged. */
	void (*acked)(void *ctx, uint64_t time_ns);
	/* One was refused; err holds the sentence that says so. 0: go on; else the link fails with that. */
	int (*refused)(void *ctx, uint16_t code, const struct rc_error *err);
	/* Set: the link is a backend's. A command came; it was answered when it is sound, which is also that it has its own id. */
	void (*asked)(void *ctx, bool sound);
	uint32_t credit; /* a backend's: commands that may be with it at once */
};

struct load_talk {
	const struct load_publisher_target *target;
	struct load_talk_hooks hooks;
	enum load_talk_step step;
	uint32_t session;   /* {session} */
	struct rc_str path; /* of the upgrade */
	size_t event_len;   /* of every event */
	char *payload;      /* room for one, with quotes */
	struct load_outbuf out;

	bool acks;       /* the server acknowledges events */
	uint32_t window; /* how many may be in flight, when it does */
	uint64_t sent, through, acked, refused;
	uint64_t *time_ns;
	uint64_t mask; /* room for mask + 1 times */

	struct load_outbuf asked; /* a backend's: what came and is not whole */

	/* ingest */
	size_t batch_max; /* bytes of a frame that holds several events */
	size_t batch,
		batch_used; /* the open one: where it begins in out, its bytes so far; 0: none is open */

	/* text */
	struct load_match wait, ack, ping, status;
	char status_line[64];
	uint8_t status_len;
	bool in_status;
	size_t ping_at; /* ws: bytes of a message's beginning that are those of a ping */
	struct rc_prng masks;
	struct rc_ws_decoder frames;
	char key[LOAD_UPGRADE_KEY_LEN];

	char said
		[96]; /* the last words of the server that were not understood, for sentences; NUL-terminated */
	size_t in_len;
	unsigned char in
		[LOAD_TALK_IN_MAX]; /* what is not whole: an ingest frame, the answer to the upgrade */
};

/*
 * target and path are borrowed until close. 0; -EINVAL with a sentence when the target can't publish; -ENOMEM. event_len: of every event.
 */
int load_talk_open(struct load_talk *t, const struct load_publisher_target *target,
	struct rc_str path, uint32_t session, size_t event_len, const struct load_talk_hooks *hooks,
	struct rc_error *err) RC_MUST_USE;
void load_talk_close(struct load_talk *t);

/* The connection is there: what the client says first goes to out. 0 or -errno with a sentence. */
int load_talk_begin(struct load_talk *t, struct rc_error *err) RC_MUST_USE;
/* Bytes arrived; they are changed (unmasked, though no server masks). 0 or -errno with a sentence, after which nothing more is taken. */
int load_talk_take(
	struct load_talk *t, unsigned char *bytes, size_t len, struct rc_error *err) RC_MUST_USE;

/* How many events may be put now. */
static inline uint32_t load_talk_room(const struct load_talk *t)
{
	uint64_t in_flight = t->sent - t->acked - t->refused;

	if (t->step != LOAD_TALK_OPEN)
		return 0;
	if (!t->acks)
		return UINT32_MAX;
	return in_flight < t->window ? (uint32_t)(t->window - in_flight) : 0;
}

/*
 * Appends an event to out. more: another one follows before anything is sent, so they may share a frame. event->len is event_len. 0 or
 * -ENOMEM with a sentence.
 */
int load_talk_put(struct load_talk *t, struct rc_str channel, const struct load_event *event,
	bool more, struct rc_error *err) RC_MUST_USE;
/* A farewell to out, where the language has one. */
void load_talk_end(struct load_talk *t);

/* ---- between the files of talk ------------------------------------------------------------------ */

/* Both return 0, or -EPROTO with a sentence when that can't be. */
int load_talk_acked(struct load_talk *t, uint64_t through, struct rc_error *err) RC_MUST_USE;
int load_talk_nack(
	struct load_talk *t, const struct rc_ingest_nack *nack, struct rc_error *err) RC_MUST_USE;
int load_talk_no_memory(struct rc_error *err) RC_MUST_USE;
/* What can be shown of a stranger's words: printable, cut to cap - 1, NUL-terminated. Returns out. */
char *load_talk_printable(char *out, size_t cap, const void *bytes, size_t len);

/* Greeted and welcomed: OPEN, unless it is a backend and has to say so first. */
int load_talk_welcomed(struct load_talk *t, struct rc_error *err) RC_MUST_USE;

/* talk_serve.c: what a backend says, its stream, and of ingest its frames. */
int load_serve_begin(struct load_talk *t, struct rc_error *err) RC_MUST_USE;
int load_serve_take(struct load_talk *t, const unsigned char *bytes, size_t len,
	struct rc_error *err) RC_MUST_USE;
int load_serve_frame(
	struct load_talk *t, const struct rc_ingest_frame *frame, struct rc_error *err) RC_MUST_USE;
static inline bool load_talk_serves(const struct load_talk *t)
{
	return t->hooks.asked != NULL;
}

int load_ingest_begin(struct load_talk *t, struct rc_error *err) RC_MUST_USE;
int load_ingest_take(struct load_talk *t, const unsigned char *bytes, size_t len,
	struct rc_error *err) RC_MUST_USE;
int load_ingest_frame(
	struct load_talk *t, const struct rc_ingest_frame *frame, struct rc_error *err) RC_MUST_USE;
int load_ingest_nonsense(const char *what, struct rc_error *err);
int load_ingest_put(struct load_talk *t, struct rc_str channel, const struct load_event *event,
	bool more, struct rc_error *err) RC_MUST_USE;

/* Text: greeting, hello and welcome as far as they need nothing from the server. */
int load_text_begin(struct load_talk *t, struct rc_error *err) RC_MUST_USE;
/* first: a message begins here (ws; a stream has no messages). */
int load_text_take(struct load_talk *t, const unsigned char *bytes, size_t len, bool first,
	struct rc_error *err) RC_MUST_USE;
/* A template to out, in a frame when the link is a WebSocket. */
int load_text_say(struct load_talk *t, const struct load_template *what,
	const struct load_values *values, struct rc_error *err) RC_MUST_USE;

int load_ws_begin(struct load_talk *t, struct rc_error *err) RC_MUST_USE;
int load_ws_take(
	struct load_talk *t, unsigned char *bytes, size_t len, struct rc_error *err) RC_MUST_USE;
/* The template's bytes are in out at `from`, to its end: puts a frame around them. Room for 14 bytes more is there. */
void load_ws_wrap(struct load_talk *t, size_t from, uint8_t opcode);
void load_ws_end(struct load_talk *t);

static inline bool load_talk_is_ws(const struct load_talk *t)
{
	return t->target->url.scheme == LOAD_WS || t->target->url.scheme == LOAD_WSS;
}

#endif
