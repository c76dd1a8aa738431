/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/tally.h"

#include <sched.h>

/* Turns of waiting after which the holder of the lock was probably put to sleep. */
#define SPINS 200u

struct entry {
	uint32_t connections;
	uint32_t full_at[RC_TALLY_BUCKETS];
};

struct rc_tally_set {
	_Alignas(64) _Atomic uint32_t lock;
	uint32_t tag[RC_TALLY_WAYS];
	struct entry at[RC_TALLY_WAYS];
};
_Static_assert(sizeof(struct rc_tally_set) == 384, "a set is six cache lines");
_Static_assert(offsetof(struct rc_tally_set, at) == 64, "lock and tags are one cache line");

static uint32_t sets_for(uint32_t connections_max)
{
	/* Ten of fifteen are taken when every connection has an address of its own. */
	return connections_max / 10 + 1;
}

size_t rc_tally_bytes(uint32_t connections_max)
{
	return (size_t)sets_for(connections_max) * sizeof(struct rc_tally_set);
}

void rc_tally_init(struct rc_tally *t, void *memory, uint32_t connections_max)
{
	t->sets = memory;
	t->set_count = sets_for(connections_max);
	RC_ASSERT(t->set_count < UINT32_C(1) << 25);
}

static void lock(struct rc_tally_set *s)
{
	/* Acquire: what the one before did under the lock is seen; pairs with the release in unlock. */
	while (atomic_exchange_explicit(&s->lock, 1, memory_order_acquire)) {
		/* Looks until it seems free, so that the line is not pulled to and fro; orders nothing. */
		for (uint32_t i = 0; atomic_load_explicit(&s->lock, memory_order_relaxed); i++) {
			if (i >= SPINS)
				(void)sched_yield();
		}
	}
}

static void unlock(struct rc_tally_set *s)
{
	/* Release: pairs with the acquire in lock. */
	atomic_store_explicit(&s->lock, 0, memory_order_release);
}

static struct rc_tally_set *set_of(const struct rc_tally *t, uint64_t hash, uint32_t *tag)
{
	*tag = RC_MAX((uint32_t)hash, 1u);
	return &t->sets[(uint32_t)(((hash >> 32) * t->set_count) >> 32)];
}

static uint32_t find(const struct rc_tally_set *s, uint32_t tag)
{
	for (uint32_t i = 0; i < RC_TALLY_WAYS; i++) {
		if (s->tag[i] == tag)
			return i;
	}
	return RC_NONE;
}

/* What an entry would lose by being forgotten; 0: nothing. */
static uint32_t owes(const struct rc_tally *t, const struct entry *e, uint64_t now_ns)
{
	uint32_t most = 0;

	for (uint32_t b = 0; b < RC_TALLY_BUCKETS; b++) {
		const struct rc_rate *r = &t->rate[b];
		uint32_t ahead =
			r->count ? rc_rate_ahead(r, e->full_at[b], rc_rate_now(r, now_ns)) : 0;
		if (ahead && b == RC_TALLY_FAILURES)
			ahead |= UINT32_C(1) << 31;
		most = RC_MAX(most, ahead);
	}
	return most;
}

/* A place for an address that has none. RC_NONE: all have connections. */
static uint32_t replace(const struct rc_tally *t, struct rc_tally_set *s, uint32_t tag,
	uint64_t now_ns, bool *forgot)
{
	uint32_t place = find(s, 0), least = 0;

	for (uint32_t i = 0; place == RC_NONE || (least && i < RC_TALLY_WAYS); i++) {
		if (i == RC_TALLY_WAYS)
			return RC_NONE;
		if (s->at[i].connections)
			continue;
		uint32_t debt = owes(t, &s->at[i], now_ns);
		if (place != RC_NONE && debt >= least)
			continue;
		place = i;
		least = debt;
	}
	*forgot |= least != 0;
	s->tag[place] = tag;
	for (uint32_t b = 0; b < RC_TALLY_BUCKETS; b++)
		s->at[place].full_at[b] = rc_rate_now(&t->rate[b], now_ns);
	return place;
}

static uint32_t place_of(const struct rc_tally *t, struct rc_tally_set *s, uint32_t tag,
	uint64_t now_ns, bool *forgot)
{
	uint32_t i = find(s, tag);

	return i == RC_NONE ? replace(t, s, tag, now_ns, forgot) : i;
}

enum rc_tally_result rc_tally_enter(struct rc_tally *t, uint64_t hash, uint32_t most,
	uint64_t now_ns, uint32_t *entry, bool *forgot)
{
	enum rc_tally_result result = RC_TALLY_TAKEN;
	uint32_t tag;

	*entry = RC_NONE;
	if (!t->set_count)
		return RC_TALLY_UNCOUNTED;
	struct rc_tally_set *s = set_of(t, hash, &tag);
	lock(s);
	uint32_t i = place_of(t, s, tag, now_ns, forgot);
	if (i == RC_NONE) {
		result = RC_TALLY_UNCOUNTED;
	} else if (!rc_rate_take(&t->rate[RC_TALLY_ACCEPTS], &s->at[i].full_at[RC_TALLY_ACCEPTS],
			   now_ns, 1)) {
		result = RC_TALLY_TOO_FAST;
	} else if (most && s->at[i].connections >= most) {
		result = RC_TALLY_TOO_MANY;
	} else {
		s->at[i].connections++;
		*entry = (uint32_t)(s - t->sets) << 4 | i;
	}
	unlock(s);
	return result;
}

void rc_tally_leave(struct rc_tally *t, uint32_t entry)
{
	struct rc_tally_set *s = &t->sets[entry >> 4];
	struct entry *e = &s->at[entry & 15];

	RC_ASSERT(entry >> 4 < t->set_count && (entry & 15) < RC_TALLY_WAYS);
	lock(s);
	RC_ASSERT(e->connections > 0);
	e->connections--;
	unlock(s);
}

bool rc_tally_take(struct rc_tally *t, uint64_t hash, enum rc_tally_bucket bucket, uint32_t n,
	uint64_t now_ns, bool *forgot)
{
	const struct rc_rate *r = &t->rate[bucket];
	bool taken = true;
	uint32_t tag;

	if (!t->set_count || !r->count)
		return true;
	struct rc_tally_set *s = set_of(t, hash, &tag);
	lock(s);
	uint32_t i = place_of(t, s, tag, now_ns, forgot);
	if (i != RC_NONE)
		taken = rc_rate_take(
			r, &s->at[i].full_at[bucket], now_ns, RC_MIN(n, r->burst >> r->shift));
	unlock(s);
	return taken;
}

bool rc_tally_take_of(
	struct rc_tally *t, uint32_t entry, enum rc_tally_bucket bucket, uint64_t now_ns)
{
	struct rc_tally_set *s = &t->sets[entry >> 4];

	RC_ASSERT(entry >> 4 < t->set_count && (entry & 15) < RC_TALLY_WAYS);
	if (!t->rate[bucket].count)
		return true;
	lock(s);
	bool taken = rc_rate_take(&t->rate[bucket], &s->at[entry & 15].full_at[bucket], now_ns, 1);
	unlock(s);
	return taken;
}

uint32_t rc_tally_wait_ms(
	struct rc_tally *t, uint64_t hash, enum rc_tally_bucket bucket, uint64_t now_ns)
{
	uint32_t tag, ms = 0;

	if (!t->set_count || !t->rate[bucket].count)
		return 0;
	struct rc_tally_set *s = set_of(t, hash, &tag);
	lock(s);
	uint32_t i = find(s, tag);
	if (i != RC_NONE)
		ms = rc_rate_wait_ms(&t->rate[bucket], s->at[i].full_at[bucket], now_ns);
	unlock(s);
	return ms;
}

uint32_t rc_tally_connections(struct rc_tally *t, uint64_t hash)
{
	uint32_t tag;
	struct rc_tally_set *s = set_of(t, hash, &tag);

	lock(s);
	uint32_t i = find(s, tag);
	uint32_t count = i == RC_NONE ? 0 : s->at[i].connections;
	unlock(s);
	return count;
}

uint32_t rc_tally_count(struct rc_tally *t)
{
	uint32_t count = 0;

	for (uint32_t k = 0; k < t->set_count; k++) {
		struct rc_tally_set *s = &t->sets[k];
		lock(s);
		for (uint32_t i = 0; i < RC_TALLY_WAYS; i++)
			count += s->at[i].connections != 0;
		unlock(s);
	}
	return count;
}
