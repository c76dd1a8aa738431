/* SPDX-License-Identifier: Apache-2.0
 *
 * What one subscription has seen of one channel. 16 bytes; the zero value has seen nothing and takes what arrives first as its
 * beginning. A sequence that is missing counts as lost until it arrives: then it is one reordered and one lost less. One thread.
 *
 *   seen: bit i stands for sequence last - 1 - i; bit 63 for last - 64 and all before: set when none of them is missing
 *
 * What is older than last - 63 is a duplicate when bit 63 is set. When it is not, nobody can tell: it is counted as reordered, which is
 * true in either case, and is not new, so that what is lost stays lost.
 */
#ifndef LOAD_TRACK_H
#define LOAD_TRACK_H

#include "base/base.h"

struct load_track {
	uint64_t last; /* highest sequence seen; 0: none */
	uint64_t seen;
};

/* One writer; the conductor reads. lost can go down again. */
struct load_faults {
	uint64_t lost;
	uint64_t duplicated;
	uint64_t reordered; /* came after one with a higher sequence; once per event */
	uint64_t corrupted; /* magic, but not an event; or a frame that no server may send */
	uint64_t
		foreign; /* of a channel that this client did not subscribe to, or a sequence that was never published */
};

/* The next event expected is `first`: what was before is not missing. */
void load_track_begin(struct load_track *track, uint64_t first);
/* An event arrived. True when it is new (neither duplicate nor too old to know). Everything is added to *faults. */
bool load_track_take(struct load_track *track, uint64_t sequence, struct load_faults *faults);
/*
 * The server itself said, in the order of its stream, that the `missed` events behind the last will not come (a gap notice): they are
 * not lost, they were told. Should they come, they are duplicates.
 */
void load_track_told(struct load_track *track, uint64_t missed, struct load_faults *faults);

#endif
