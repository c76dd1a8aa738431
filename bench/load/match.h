/* SPDX-License-Identifier: Apache-2.0
 *
 * A text looked for in a stream that comes in pieces: Knuth, Morris and Pratt's automaton, so that nothing of the stream is
 * kept. Occurrences do not overlap. Pure, one owner.
 */
#ifndef LOAD_MATCH_H
#define LOAD_MATCH_H

#include "base/base.h"

#define LOAD_MATCH_MAX 255

struct load_match {
	const unsigned char *text; /* borrowed */
	uint8_t len;               /* 0: never found */
	uint8_t state;             /* bytes of it that were just seen */
	uint8_t back
		[LOAD_MATCH_MAX]; /* by bytes seen less one: how many of them can begin it anew */
};

/* false: longer than LOAD_MATCH_MAX. */
bool load_match_open(struct load_match *m, const char *text) RC_MUST_USE;
/* What comes next does not continue what came. */
static inline void load_match_reset(struct load_match *m)
{
	m->state = 0;
}
/* Goes on until one is found, true, or the bytes are used up; moves *bytes behind what it took. */
bool load_match_next(struct load_match *m, const unsigned char **bytes, size_t *len);
/* How often. Uses the bytes up. */
uint64_t load_match_count(struct load_match *m, const unsigned char *bytes, size_t len);

#endif
