/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/sleeper.h"

/*
 * ThreadSanitizer does not model fences, and gcc says so. It has no need to: the flag carries no data. What a record
 * holds is ordered by the ring's own release and acquire.
 */
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan"
#endif

void rc_sleeper_prepare(struct rc_sleeper *s)
{
	atomic_store_explicit(&s->sleeping, 1, memory_order_relaxed);
	/* Pairs with rc_sleeper_fence(): "say, then look" against "publish, then look". */
	atomic_thread_fence(memory_order_seq_cst);
}

void rc_sleeper_awake(struct rc_sleeper *s)
{
	atomic_store_explicit(&s->sleeping, 0, memory_order_relaxed);
}

void rc_sleeper_fence(void)
{
	/* Pairs with the fence in rc_sleeper_prepare(). */
	atomic_thread_fence(memory_order_seq_cst);
}

bool rc_sleeper_claim(struct rc_sleeper *s)
{
	/* The plain look first: an awake shard, the usual case under load, costs no locked operation. */
	if (RC_LIKELY(atomic_load_explicit(&s->sleeping, memory_order_relaxed) == 0))
		return false;
	return atomic_exchange_explicit(&s->sleeping, 0, memory_order_relaxed) != 0;
}
