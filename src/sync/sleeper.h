/* SPDX-License-Identifier: Apache-2.0
 *
 * Who has to wake whom. A shard says that it will sleep, looks at its rings once more, and sleeps; a writer publishes,
 * then looks whether the reader said so. The two fences order "publish, then look" against "say, then look", so that
 * either the sleeper sees the record or the writer sees the sleeper.
 */
#ifndef RC_SYNC_SLEEPER_H
#define RC_SYNC_SLEEPER_H

#include <stdatomic.h>

#include "base/base.h"

struct rc_sleeper {
	_Alignas(RC_FALSE_SHARING) _Atomic uint32_t sleeping;
};

/* Sleeper: about to sleep. The caller must look at every ring after this, and not sleep when one holds something. */
void rc_sleeper_prepare(struct rc_sleeper *s);
/* Sleeper: awake again, or did not sleep after all. */
void rc_sleeper_awake(struct rc_sleeper *s);
/*
 * Writer, after publishing to that shard's ring, one full fence for a whole flush: rc_sleeper_fence(), then for each
 * target rc_sleeper_claim(): true for exactly one writer per sleep, which then sends the wake-up.
 */
void rc_sleeper_fence(void);
bool rc_sleeper_claim(struct rc_sleeper *s);

#endif
