/* SPDX-License-Identifier: Apache-2.0
 *
 * What each address has: its connections, and token buckets for what it may do how often. One table for all shards, because the
 * connections of an address spread over them. Addresses are named by a hash, which the caller makes with a key that nobody outside
 * knows; so nobody can choose who shares a set with whom.
 *
 *   sets of 15, each under a lock of its own, that is held for one look through the tags and some arithmetic:
 *
 *   set   64 B   lock | tag of each of the 15, 0 = free
 *        300 B   entry: connections, when each bucket is full again
 *         20 B   spare
 *
 * An entry with a connection stays. One without is there to be replaced: by preference the one that owes least, and those that owe
 * failures last. A set in which all 15 have a connection takes no more: that address is then not counted, and its connection is let
 * in. So a crowd of addresses makes the table forget who was too fast a moment ago, and never makes it refuse anybody; to get
 * others uncounted it must hold connections of as many addresses as the table has room for, one and a half times those that it was
 * made for. Two addresses of one set may have the same tag, once in 2^32: then they are one.
 */
#ifndef RC_SYNC_TALLY_H
#define RC_SYNC_TALLY_H

#include "base/rate.h"

#define RC_TALLY_WAYS 15

/* Of addresses. A table of somebody else gives these places a meaning of its own; debts of the last are forgotten last. */
enum rc_tally_bucket {
	RC_TALLY_ACCEPTS,
	RC_TALLY_HANDSHAKES,
	RC_TALLY_REQUESTS,
	RC_TALLY_FAILURES,
	RC_TALLY_BUCKETS,
};

enum rc_tally_result {
	RC_TALLY_TAKEN,
	RC_TALLY_UNCOUNTED, /* no room: let in, and remembered nowhere */
	RC_TALLY_TOO_MANY,  /* connections */
	RC_TALLY_TOO_FAST,
};

struct rc_tally_set;

struct rc_tally {
	struct rc_tally_set *sets;
	uint32_t set_count; /* 0: nothing is counted */
	struct rc_rate rate[RC_TALLY_BUCKETS];
};

/* Of how many addresses that many connections may come. */
size_t rc_tally_bytes(uint32_t connections_max);
/* memory: zeroed, aligned to 64. The rates are set by the caller, before anybody else sees the table. */
void rc_tally_init(struct rc_tally *t, void *memory, uint32_t connections_max);

/*
 * One more connection of that address, unless it has `most` (0: any number) or came too often. *entry is its place until
 * rc_tally_leave, below 2^29, RC_NONE where it has none. *forgot: another address's debts had to be forgotten.
 */
enum rc_tally_result rc_tally_enter(struct rc_tally *t, uint64_t hash, uint32_t most,
	uint64_t now_ns, uint32_t *entry, bool *forgot) RC_MUST_USE;
void rc_tally_leave(struct rc_tally *t, uint32_t entry);
/*
 * Takes n out of a bucket (of more than its burst as much as that: else it could never be had): of that address, which need not have
 * a connection. False: they are not there, nothing was taken.
 */
bool rc_tally_take(struct rc_tally *t, uint64_t hash, enum rc_tally_bucket bucket, uint32_t n,
	uint64_t now_ns, bool *forgot);
/* One, of that entry. */
bool rc_tally_take_of(
	struct rc_tally *t, uint32_t entry, enum rc_tally_bucket bucket, uint64_t now_ns);
/* Milliseconds until there is one; 0: there is. Nothing is taken. */
uint32_t rc_tally_wait_ms(
	struct rc_tally *t, uint64_t hash, enum rc_tally_bucket bucket, uint64_t now_ns);
/* Connections of that address; for tests. */
uint32_t rc_tally_connections(struct rc_tally *t, uint64_t hash);
/* Addresses that have a connection; walks everything. */
uint32_t rc_tally_count(struct rc_tally *t);

#endif
