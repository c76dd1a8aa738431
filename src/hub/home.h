/* SPDX-License-Identifier: Apache-2.0
 *
 * The publisher ids whose home is this shard: how far each got, and which connection has it now. The number itself is lent
 * to the shard of that connection and comes back, brought up to date, when the connection has ended and all it sent is
 * decided. So a publisher that comes back elsewhere while its old connection still lives waits until the old one is
 * closed and settled: nothing is lost and nothing taken twice, whatever shards the two land on.
 *
 *   claim ──▶ free: granted at once        return ──▶ somebody waits: granted to him
 *         └─▶ held: holder is evicted, claimant waits (the last one to come; an earlier one who waits is evicted)
 *
 * One thread; answers go out through the port.
 */
#ifndef RC_HUB_HOME_H
#define RC_HUB_HOME_H

#include "base/base.h"
#include "base/hash.h"
#include "hub/table.h"
#include "mem/slab.h"

#define RC_PUBLISHER_ID_MAX 64

/* A publisher's place on some shard. */
struct rc_holder {
	uint32_t shard; /* RC_NONE = nobody */
	uint32_t slot;
	uint32_t generation;
};

struct rc_home_port {
	void *ctx;
	/* Room for two answers to each of these shards? (RC_NONE: none is needed.) */
	bool (*can_answer)(void *ctx, uint32_t shard_a, uint32_t shard_b);
	/* taken false: no room for one more id. */
	void (*grant)(void *ctx, const struct rc_holder *to, bool taken, uint64_t sequence);
	void (*evict)(void *ctx, const struct rc_holder *who);
};

struct rc_home_entry {
	char id[RC_PUBLISHER_ID_MAX];
	uint8_t id_len;
	uint32_t hash;
	uint64_t sequence;
	struct rc_holder holder;
	struct rc_holder waiting;
	uint32_t free_since_s;
	uint32_t next; /* of those that nobody holds: the longest unused first */
	uint32_t prev;
};

struct rc_home {
	struct rc_hash_key key;
	struct rc_home_port port;
	struct rc_slab entries;
	struct rc_table table;
	uint32_t idle_first, idle_last;
	uint32_t ttl_ms;
};

size_t rc_home_bytes(uint32_t ids_max);
void rc_home_init(struct rc_home *h, const struct rc_hash_key *key, const struct rc_home_port *port,
	uint32_t ids_max, uint32_t ttl_ms, void *memory);
uint32_t rc_home_hash(const struct rc_hash_key *key, struct rc_str id);
/* False: no room for the answers, nothing was done, come again. */
bool rc_home_claim(struct rc_home *h, struct rc_str id, const struct rc_holder *who) RC_MUST_USE;
bool rc_home_return(struct rc_home *h, struct rc_str id, const struct rc_holder *who,
	uint64_t sequence, uint32_t now_s) RC_MUST_USE;
/* Forgets ids that nobody used for the time to live. */
void rc_home_sweep(struct rc_home *h, uint32_t now_s, uint32_t budget);

#endif
