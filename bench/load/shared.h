/* SPDX-License-Identifier: Apache-2.0
 *
 * What workers and conductor both see: one mapping, made before the fork. Every word has one writer and is read with
 * relaxed loads by others; the phase is released and acquired. Histograms are those of base/hist.h.
 *
 *   struct load_shared | last sequence by channel | subscribers by channel | worker 0 | worker 1 | …
 *
 * Who is owed what. `subscribers` of a channel counts the subscriptions of groups that must not lose that were acknowledged before
 * the phase was WARM and whose client is open since; a client that comes back is not counted again. `expected` and
 * what is settled (deliveries, lost, told, missed_away) are sums over all workers and over the groups that share channels, and
 * their difference is what counted subscriptions still lack:
 *   an event that is published adds subscribers to expected, in its publisher's group;
 *   whatever a client that is not counted settles adds the same to expected, in its own group (may_lose: to neither);
 *   a counted client that goes takes from expected what it lacks. One worker's expected may thus be below 0, modulo 2^64.
 * A publish in the very moment of going may leave the difference off by one; closed loops don't wait for ever.
 */
#ifndef LOAD_SHARED_H
#define LOAD_SHARED_H

#include <stdatomic.h>

#include "base/hist.h"
#include "plan.h"
#include "track.h"

enum load_phase { LOAD_CONNECT, LOAD_WARM, LOAD_MEASURE, LOAD_DRAIN, LOAD_END };

#define LOAD_FAULTY_MAX 64 /* channels with faults of which a worker keeps the counts one by one */

typedef _Atomic uint64_t load_word;

struct load_group_stats {
	load_word wanted, connecting,
		open;       /* clients of this worker: to be, on the way, subscribed */
	load_word opened;   /* ever */
	load_word feeding;  /* publishers that are ready: in wanted, open and opened, too */
	load_word failed;   /* attempts that came to nothing */
	load_word closed;   /* by the server, though nobody asked for it */
	load_word dropped;  /* by us: churn, storm */
	load_word returned; /* subscribed again after that */
	load_word deliveries, delivery_bytes; /* events that are new; bytes of events only */
	load_word handshakes,
		resumed; /* of groups that make nothing else, the first ones left out; resumed is part of them */
	load_word told;        /* events that the server said it left out */
	load_word missed_away; /* published while a client was away and not recovered */
	load_word recovered,
		unrecovered; /* subscriptions of clients that came back with a position: the server said that nothing is missing, or not */
	load_word lost, duplicated, reordered, corrupted, foreign;
	load_word published, published_bytes, acked, refused;
	load_word answered; /* commands, by backends of this worker */
	load_word
		overdue; /* events of an open loop that were due in the window and have not left, known in DRAIN */
	load_word
		expected; /* deliveries that `published` must lead to, by the subscribers at that time */
	load_word latency[RC_HIST_BUCKETS]; /* ns, window only */
	load_word before_storm[RC_HIST_BUCKETS],
		in_storm[RC_HIST_BUCKETS]; /* parts of latency: until the drop, and from there until all are back */
	load_word connect[RC_HIST_BUCKETS]; /* ns from connect() to subscribed */
	load_word ack[RC_HIST_BUCKETS]; /* ns from intended send to acknowledgement, window only */
};

struct load_faulty_channel {
	load_word channel_plus_1; /* 0: free */
	load_word lost, duplicated, reordered, corrupted, foreign;
};

/*
 * What a closed loop waits for, event by event: sums over all the events of a slot, which never go down. An event is with everybody
 * when its slot has as many deliveries as were due there when it left; one that shares the slot can only make it wait longer.
 */
#define LOAD_SLOTS 1024u

static inline uint32_t load_event_slot(uint32_t channel, uint64_t sequence)
{
	return (uint32_t)(channel * 61u + sequence) % LOAD_SLOTS;
}

struct load_worker_stats {
	_Alignas(RC_FALSE_SHARING) load_word turns;
	load_word bytes;      /* received, all */
	load_word idle_ns;    /* CPU time of `busy` polling that found nothing */
	load_word full_reads; /* receives that filled their buffer: there was a backlog */
	load_word reads;
	load_word late
		[RC_HIST_BUCKETS]; /* ns by which an event left after its intended time because of us, not of a window */
	load_word turn_ns
		[RC_HIST_BUCKETS]; /* how long a turn with work took: what we add to a latency at most; window only */
	load_word cpu_ns;    /* thread clock, written once a turn (at most every 10 ms) */
	load_word waited_ns; /* ready, and another ran */
	load_word memory;    /* bytes of clients and subscriptions */
	load_word ended;     /* 1: left its loop in order; 2: gave up, error says why */
	char error[256]; /* why it gave up; before that, why the last client was lost or failed */
	struct load_faulty_channel faulty[LOAD_FAULTY_MAX];
	load_word slot_due
		[LOAD_SLOTS]; /* by this worker's publishers: deliveries that their events lead to */
	load_word
		slot_arrived[LOAD_SLOTS]; /* to this worker's clients, of those that are expected */
	struct load_group_stats group[LOAD_GROUPS_MAX];
};

struct load_shared {
	_Atomic uint32_t phase;
	load_word start_ns;   /* when the phase began: open-loop publishers count from it */
	load_word told_abort; /* workers stop at once */
	load_word
		storm; /* groups (bit g) whose clients drop now: the conductor sets it, workers act once */
	load_word calm; /* 1: all of them are back */
	uint64_t size;
	uint32_t workers, channels;
	load_word *sequence; /* by channel: last sequence sent. Written by its publisher's worker */
	_Atomic uint32_t *
		subscribers; /* by channel: acknowledged subscriptions of groups that must not lose. atomic add: it is set-up, not the hot path */
	struct load_worker_stats *worker;
};

/* NULL with a sentence when there is no memory. */
struct load_shared *load_shared_open(
	uint32_t workers, uint32_t channels, struct rc_error *err) RC_MUST_USE;

/* One writer: a load and a store, no locked instruction. */
static inline void load_add(load_word *word, uint64_t n)
{
	atomic_store_explicit(
		word, atomic_load_explicit(word, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline uint64_t load_get(const load_word *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

#endif
