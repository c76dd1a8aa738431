/* SPDX-License-Identifier: Apache-2.0
 *
 * The deflated rendition of events: a shard makes it once for each event and window, whatever number of views and clients want it.
 *
 *   event ─▶ rc_deflated_begin ─▶ views: rc_deflated_frame ─▶ [ made already? ] ─▶ copied
 *                                                                └─ no ─▶ made, and kept until rc_deflated_end
 *
 * What is not worth it goes as it is: an event below deflate_min, or one that would not get a sixteenth smaller. What is replayed
 * goes as it is too: it is made for one client, and deflating it would cost what a thousand share otherwise.
 *
 * Where several shards want an event of a channel deflated its owner makes it, for the largest window, and tells it beside the event
 * (rc_owned.deflated); of patterns, and for small windows, each shard makes its own.
 * One thread.
 */
#ifndef RC_HUB_DEFLATED_H
#define RC_HUB_DEFLATED_H

#include "base/base.h"
#include "proto/deflate.h"

/* An event comes as it is and with its stream position, and nearly everybody has the same window. */
#define RC_DEFLATED_KEPT 4u

struct rc_hub;

struct rc_deflated {
	struct rc_deflater *deflater; /* NULL: no namespace deflates */
	bool live;                    /* an event is being told */
	uint32_t kept;                /* of those below, for the present event */
	uint32_t next;                /* that is given up for another */
	/* What the owner made, with the event as it is; told NULL: nothing. len 0: it is not worth it. */
	const unsigned char *told_frame, *told;
	uint32_t told_len;
	unsigned char *own; /* for the owner to make it in */
	struct {
		const unsigned char *frame; /* of what */
		uint32_t frame_len;
		uint32_t len; /* 0: it is not worth it */
		uint8_t bits;
		unsigned char *bytes; /* frame_max of them */
	} made[RC_DEFLATED_KEPT];
};

/* Of memory, for a hub whose frames have at most so many bytes. */
size_t rc_deflated_bytes(uint32_t frame_max);
void rc_deflated_init(struct rc_deflated *d, void *memory, uint32_t frame_max, int level);
/* Around the telling of one event. deflated: NULL, or what the owner made of the frame. */
static inline void rc_deflated_begin(struct rc_deflated *d, const unsigned char *frame,
	const unsigned char *deflated, uint32_t len)
{
	d->live = true;
	d->kept = d->next = 0;
	d->told_frame = frame;
	d->told = deflated;
	d->told_len = len;
}
static inline void rc_deflated_end(struct rc_deflated *d)
{
	d->live = false;
}
/* Its bytes are used for something else before the telling ends. */
static inline void rc_deflated_forget(struct rc_deflated *d, const unsigned char *frame)
{
	for (uint32_t i = 0; i < d->kept; i++) {
		if (d->made[i].frame == frame)
			d->made[i].frame = NULL;
	}
}
/* A WebSocket frame for who inflates with a window of so many bits; at most len bytes to out. Returns how many. */
size_t rc_deflated_frame(
	struct rc_hub *h, const unsigned char *frame, uint32_t len, int bits, unsigned char *out);
/* The owner makes it for others. Valid until it makes the next. */
const unsigned char *rc_deflated_of_owner(
	struct rc_hub *h, const unsigned char *frame, uint32_t len, uint32_t *deflated_len);

#endif
