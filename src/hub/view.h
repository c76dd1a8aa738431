/* SPDX-License-Identifier: Apache-2.0
 *
 * A view: what those clients of this shard read who asked for the same channel (or pattern) in the same way, other than as it is:
 * filtered, gathered in windows, at most so many a second, or in another rendition. It follows the replica of its base and asks no
 * owner itself, so it costs the channel's other subscribers nothing, and each event is looked at and made once per view, however many
 * read it.
 *
 *   base ─ linked ─▶ view, view          view ─ linked ─▶ its one base
 *
 *   event of the base ─▶ rc_view_append ─▶ [ wanted? ] ─▶ [ kept back: window, rate ] ─▶ rc_view_form ─▶ the view's log
 *   event of a replay ───────────────────▶ [ wanted? ] ─────────────────────────────────▶ rc_view_form ─▶ the client's output
 *
 * Its log is a log like any other: cursors, slow policies, flush. It is no history: what is asked for by `since` comes by a replay.
 * A connection has one subscription of a name, whatever the view. Of a view's replica rc_hub_base tells the base, whose name, epoch,
 * offset and pattern are meant where clients are spoken to.
 *
 * What is kept back comes before whoever joins: it goes out to the others at that moment, and his cursor stands behind it. So no event is in a
 * replay and in what follows, and none in neither.
 *
 * Owned by the shard. It lives as long as it has subscribers.
 */
#ifndef RC_HUB_VIEW_H
#define RC_HUB_VIEW_H

#include "hub/hub.h"

enum rc_view_format {
	RC_VIEW_JSON,    /* the frames of the base */
	RC_VIEW_DEFLATE, /* the same, deflated where that makes them smaller */
	RC_VIEW_BIN_WS,  /* an EVENT of the ingest protocol, in a WebSocket frame */
	RC_VIEW_BIN_TCP, /* the same, alone */
};

/* How a client wants a channel. The zero value: as it is, and that needs no view. */
struct rc_view_spec {
	uint8_t format;       /* enum rc_view_format */
	uint8_t bits;         /* DEFLATE: of the window, 9 to 15 */
	bool batch;           /* what came in one turn is one message, an object a line */
	bool summary;         /* counts of a window instead of its events */
	uint32_t rate;        /* events in 1,000 seconds; 0 = all */
	uint32_t window_ms;   /* 0 = each alone */
	struct rc_str key;    /* RATE: of each value of this field; empty: of all together */
	struct rc_str filter; /* in its canonical form; empty: all */
};

#define RC_VIEW_KEY_MAX    128u
#define RC_VIEW_FILTER_MAX 1024u
/* Values of a key that are told apart at once, and names that a summary counts. */
#define RC_VIEW_KEYS_MAX   1024u
#define RC_VIEW_NAMES_MAX  64u
#define RC_VIEW_RATE_MAX   1000000u /* in 1,000 seconds */
#define RC_VIEW_WINDOW_MAX 3600000u /* ms */

/* An event as it is in the log of the base, or as a replay brings it. */
struct rc_view_event {
	const unsigned char *frame;
	uint32_t len;
	uint64_t offset; /* in its channel */
	bool raw;        /* the frame is the publisher's message alone */
	struct rc_str channel;
	struct rc_str
		position; /* of the stream, of a raw event through a pattern; empty: none is told */
};

static inline bool rc_view_is_plain(const struct rc_view_spec *s)
{
	return s->format == RC_VIEW_JSON && !s->batch && !s->summary && s->rate == 0 &&
	       s->window_ms == 0 && s->key.len == 0 && s->filter.len == 0;
}

/* Each event of the base is one of the view, whatever it looks like. */
static inline bool rc_view_is_whole(const struct rc_view_spec *s)
{
	return !s->batch && !s->summary && s->rate == 0 && s->window_ms == 0 && s->filter.len == 0;
}

/* For one that is not plain. */
enum rc_subscribe_result rc_view_subscribe_formed(struct rc_hub *h, uint32_t conn,
	uint32_t *first_sub, struct rc_str name, bool pattern, const struct rc_view_spec *spec,
	uint32_t flags, uint32_t *sub) RC_MUST_USE;
/* As rc_replica_subscribe, for a view of that channel or pattern. ALREADY: whatever view of it the connection has. */
static inline RC_MUST_USE enum rc_subscribe_result rc_view_subscribe(struct rc_hub *h,
	uint32_t conn, uint32_t *first_sub, struct rc_str name, bool pattern,
	const struct rc_view_spec *spec, uint32_t flags, uint32_t *sub)
{
	/* That one looks whether there is a view, too. */
	return rc_view_is_plain(spec)
		       ? rc_replica_subscribe(h, conn, first_sub, name, pattern, flags, sub)
		       : rc_view_subscribe_formed(
				 h, conn, first_sub, name, pattern, spec, flags, sub);
}

/* The one that the connection has, of which *old is the subscription, is to be followed by another. */
enum rc_subscribe_result rc_view_replace(struct rc_hub *h, uint32_t conn, uint32_t *first_sub,
	struct rc_str name, bool pattern, const struct rc_view_spec *spec, uint32_t flags,
	uint32_t *sub) RC_MUST_USE;
/* It is read in that way already. */
bool rc_view_same(
	const struct rc_hub *h, const struct rc_replica *r, const struct rc_view_spec *spec);
/* Something is kept for those who read it so: it counts against views_max. */
static inline bool rc_view_is_kept(const struct rc_view_spec *s)
{
	return s->filter.len || s->rate || s->window_ms;
}

bool rc_view_of_kept(const struct rc_replica *r);
/* It has a frame for each event of its base. */
bool rc_view_of_whole(const struct rc_replica *r);

/*
 * An event as a replay brings it: its filter, and what render makes of it. bound: bytes that render may write; 0: the event is not for
 * them. What is kept back of live events, or gathered, is not in replays: they bring event by event.
 */
size_t rc_view_bound(
	struct rc_hub *h, const struct rc_replica *view, const struct rc_view_event *e);
size_t rc_view_render(struct rc_hub *h, const struct rc_replica *view,
	const struct rc_view_event *e, unsigned char *out);
bool rc_view_wants(struct rc_hub *h, const struct rc_replica *view, const struct rc_view_event *e);
/* The one place where what the view's clients read is brought into their rendition, live or replayed; filters are behind it. */
size_t rc_view_form_bound(
	struct rc_hub *h, const struct rc_replica *view, const struct rc_view_event *e);
size_t rc_view_form(struct rc_hub *h, const struct rc_replica *view, const struct rc_view_event *e,
	unsigned char *out);

/* ---- viewturn.c: what is kept back */

/*
 * It goes to those who read the view, now: a newcomer begins behind it. For want of memory they are sent away at the end of the turn;
 * nobody goes here.
 */
void rc_view_settle(struct rc_hub *h, uint32_t replica);
/* Something is: those who read it have not had all that its base says they have. */
bool rc_view_keeps_back(const struct rc_replica *r);
/* It is let go; nobody is there any more. */
void rc_view_drop(struct rc_hub *h, uint32_t replica);
/* Once per turn, before the flush. all: also what is not due yet. */
void rc_view_turn(struct rc_hub *h, bool all);
/* When there is something to do by itself; UINT64_MAX: never. */
uint64_t rc_view_next(const struct rc_hub *h);

#endif
