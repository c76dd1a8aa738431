/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of views share among themselves: view.c (which there are, and their renditions), viewturn.c (the way of an event, and
 * when something is due), viewgather.c (windows, batches, counts), viewrate.c (so many a second).
 *
 *   wanted? ─▶ rate: held back? ─▶ gathered in a message? ─▶ rendered, into the log
 */
#ifndef RC_HUB_VIEWPARTS_H
#define RC_HUB_VIEWPARTS_H

#include "hub/replica.h"
#include "hub/view.h"

/* What is remembered of an event that is kept back. */
struct rc_view_mark {
	uint64_t offset, key, stamp, time_ms, taken_ns;
	uint32_t hash, from;
	/* Who is not to get it; NULL once it is kept back: what comes later is about several events. */
	const struct rc_mute *mute;
};

/*
 * A message that events are put into one by one. Text: behind room for a frame's header stands the message as far as it has come. Counts:
 * entries of a name each, as it stands in JSON.
 */
struct rc_gather {
	unsigned char *bytes; /* NULL: nothing is there */
	uint32_t size, len;
	uint32_t count;         /* events */
	uint32_t names;         /* of counts */
	uint32_t rest;          /* of events whose names found no room among them */
	uint64_t close_ns;      /* the window's end */
	uint64_t first_ms;      /* when its first event was taken in */
	struct rc_view_mark at; /* of the newest */
};

/* A value of the key whose turn is not yet over. */
struct rc_rate_entry {
	uint64_t key;
	uint64_t since_ns;    /* when its newest event was let through */
	unsigned char *frame; /* the one that waits; NULL: none does */
	uint32_t len;
	uint32_t chain; /* next of the same bucket, or the next free entry */
	uint32_t older, newer;
	struct rc_view_mark mark;
};

/* By age: all wait equally long, so the oldest is due first. */
struct rc_rate {
	struct rc_rate_entry *entry;
	uint32_t *bucket;
	uint32_t size; /* of both, a power of two */
	uint32_t free_first;
	uint32_t oldest, newest;
	uint32_t count;
	uint32_t bytes; /* of frames that wait */
	uint64_t interval_ns;
};

/* What every view keeps besides its replica. */
struct rc_view {
	uint32_t size;    /* bytes of this block */
	uint32_t heap_at; /* its place among those that are due; RC_NONE: nothing is */
	uint64_t due_ns;
	struct rc_view_spec spec; /* the slices lie behind the struct */
	struct rc_filter *filter;
	struct rc_gather gather;
	struct rc_rate rate;
	bool kept;   /* counts against views_max */
	bool quiet;  /* what is let through now must not end anybody */
	bool broken; /* something found no memory: its subscribers are sent away at the turn's end */
	char text[];
};

/* ---- viewturn.c. False: for want of memory the view may be gone. */

/* What came through is gathered or goes into the log. */
bool rc_view_pass(struct rc_hub *h, uint32_t index, const unsigned char *frame, uint32_t len,
	const struct rc_view_mark *mark);
bool rc_view_emit(struct rc_hub *h, uint32_t index, const unsigned char *frame, uint32_t len,
	const struct rc_view_mark *mark);
/* Something is to be done about it then; UINT64_MAX: never. */
void rc_view_due(struct rc_hub *h, uint32_t index, uint64_t due_ns);
/* The event of this frame as it is read; NULL: it has no such form. Valid until the next. */
const struct rc_event_view *rc_view_parsed(
	struct rc_hub *h, const unsigned char *frame, uint32_t len);

/* ---- viewgather.c */

bool rc_gather_add(struct rc_hub *h, uint32_t index, const unsigned char *frame, uint32_t len,
	const struct rc_view_mark *mark);
bool rc_gather_flush(struct rc_hub *h, uint32_t index);
void rc_gather_drop(struct rc_hub *h, struct rc_gather *g);

/* ---- viewrate.c */

void rc_rate_init(struct rc_rate *rate, uint32_t per_1000_s);
bool rc_rate_take(struct rc_hub *h, uint32_t index, const unsigned char *frame, uint32_t len,
	const struct rc_view_mark *mark);
/* Lets through what has waited long enough, or all. */
bool rc_rate_flush(struct rc_hub *h, uint32_t index, bool all);
/* When the next one has; UINT64_MAX: none waits. */
uint64_t rc_rate_next(const struct rc_rate *rate);
void rc_rate_drop(struct rc_hub *h, struct rc_rate *rate);

#endif
