/* SPDX-License-Identifier: Apache-2.0 */
#include "track.h"

#define OLDEST       63u /* the bit that stands for more than one sequence */
#define OLDEST_BIT   ((uint64_t)1 << OLDEST)
#define SEQUENCE_MAX (((uint64_t)1 << 48) - 1)

void load_track_begin(struct load_track *track, uint64_t first)
{
	RC_DASSERT(first > 0);
	*track = (struct load_track){.last = first - 1, .seen = UINT64_MAX};
}

/*
 * `seen` when the last is `step` further than it was; the sequences between are marked as missing, or as seen. Only with all that
 * falls into the oldest bit seen is that bit set.
 */
static uint64_t moved(uint64_t seen, uint64_t step, bool between)
{
	uint64_t fallen, fresh;

	if (step > OLDEST + 1)
		return between ? (seen == UINT64_MAX ? UINT64_MAX : ~OLDEST_BIT) : 0;
	if (step == OLDEST + 1)
		return (seen == UINT64_MAX ? OLDEST_BIT : 0) | (between ? ~OLDEST_BIT : 0);
	fallen = seen >> (OLDEST - step);
	fresh = between ? ((uint64_t)1 << step) - 1 : (uint64_t)1 << (step - 1);
	seen = (seen << step | fresh) & ~OLDEST_BIT;
	return fallen == UINT64_MAX >> (OLDEST - step) ? seen | OLDEST_BIT : seen;
}

static bool take_late(struct load_track *track, uint64_t sequence, struct load_faults *faults)
{
	uint64_t index = track->last - sequence - 1; /* UINT64_MAX for the last itself */
	uint64_t bit = index < OLDEST ? (uint64_t)1 << index : OLDEST_BIT;

	if (sequence == track->last || track->seen & bit) {
		faults->duplicated++;
		return false;
	}
	faults->reordered++;
	if (bit == OLDEST_BIT)
		return false;
	track->seen |= bit;
	faults->lost--;
	return true;
}

bool load_track_take(struct load_track *track, uint64_t sequence, struct load_faults *faults)
{
	uint64_t step;

	RC_DASSERT(sequence > 0 && sequence <= SEQUENCE_MAX);
	if (RC_UNLIKELY(track->last == 0 && track->seen == 0))
		load_track_begin(track, sequence);
	step = sequence - track->last;
	if (RC_LIKELY(step == 1 && track->seen == UINT64_MAX)) {
		track->last = sequence;
		return true;
	}
	if (sequence <= track->last)
		return take_late(track, sequence, faults);
	faults->lost += step - 1;
	track->seen = moved(track->seen, step, false);
	track->last = sequence;
	return true;
}

void load_track_told(struct load_track *track, uint64_t missed, struct load_faults *faults)
{
	(void)faults;
	if (missed == 0 || (track->last == 0 && track->seen == 0))
		return;
	missed = RC_MIN(missed, SEQUENCE_MAX - RC_MIN(track->last, SEQUENCE_MAX));
	track->seen = missed ? moved(track->seen, missed, true) : track->seen;
	track->last += missed;
}
