/* SPDX-License-Identifier: Apache-2.0
 *
 * Who takes what: backends, and the types of messages that they have registered. Which of them a command goes to is decided here;
 * the commands themselves are the desk's (desk.h).
 *
 *   type "chat:send" ─▶ member ─▶ member       a member is a backend and what it said of the type
 *   type "*"         ─▶ member                 mode and field of a type are those of the registration that came last
 *
 * A type exists as long as somebody takes it, or is about to let go of it. Blocks are of the pool; the tables are fixed. One thread.
 */
#ifndef RC_SERVE_ROSTER_H
#define RC_SERVE_ROSTER_H

#include "base/hash.h"
#include "hub/table.h"
#include "mem/pool.h"
#include "mem/slab.h"
#include "ringcast/wire.h"

#define RC_ROSTER_TYPES_MAX 1024u /* different ones, of all backends */

/* A connection of some shard. */
struct rc_backend_who {
	uint32_t shard, slot, generation;
};

struct rc_roster_member {
	uint32_t backend;
	uint32_t flags; /* RINGCAST_ENTRY_ */
};

struct rc_roster_type {
	struct rc_roster_member *members;
	uint32_t hash, count, size;
	uint32_t next;                  /* whose turn it is */
	uint32_t wait_first, wait_last; /* the desk's: commands that any of the members may have */
	uint8_t mode, name_len, field_len;
	char name[RINGCAST_TYPE_MAX];
	char field[RINGCAST_FIELD_MAX];
};

struct rc_roster_backend {
	struct rc_backend_who who;
	uint32_t *types;
	uint64_t bytes; /* of commands that are outstanding */
	uint32_t uid;   /* 0: nobody is here */
	uint32_t type_count, types_size;
	uint32_t credit, outstanding;
	uint32_t lost;                  /* events that it could not take and was not told of */
	uint32_t out_first;             /* the desk's: what it has */
	uint32_t wait_first, wait_last; /* and what waits for it alone */
	uint32_t turn;                  /* among its types */
};

struct rc_roster {
	const struct rc_hash_key *key;
	struct rc_pool *pool;
	struct rc_table named;
	struct rc_slab types;
	struct rc_roster_backend *backend;
	uint32_t backends_max, mark, used, uid;
};

size_t rc_roster_bytes(uint32_t backends_max);
/* memory: zeroed. */
void rc_roster_init(struct rc_roster *r, const struct rc_hash_key *key, struct rc_pool *pool,
	uint32_t backends_max, void *memory);

static inline struct rc_roster_type *rc_roster_type(const struct rc_roster *r, uint32_t type)
{
	return rc_slab_at(&r->types, type);
}

static inline struct rc_str rc_roster_name(const struct rc_roster_type *t)
{
	return (struct rc_str){t->name, t->name_len};
}

/* RC_NONE: it is not here. */
uint32_t rc_roster_backend(const struct rc_roster *r, const struct rc_backend_who *who);
/* RC_NONE: no room. */
uint32_t rc_roster_enter(struct rc_roster *r, const struct rc_backend_who *who);
/* It has no types, and nothing waits for it. */
void rc_roster_leave(struct rc_roster *r, uint32_t backend);

/* The backend takes this type from now on. False: no room. */
bool rc_roster_add(struct rc_roster *r, uint32_t backend, struct rc_str name, uint8_t mode,
	uint8_t flags, struct rc_str field) RC_MUST_USE;
/* It takes its first one no more, which is gone if it was the last member; then the commands that wait for it are in *first. False: it
 * has none left. */
bool rc_roster_drop(struct rc_roster *r, uint32_t backend, uint32_t *first);

/* RC_NONE: nobody takes it. */
uint32_t rc_roster_find(const struct rc_roster *r, struct rc_str name);
/* The same, or whoever takes all that nobody else does. */
uint32_t rc_roster_route(const struct rc_roster *r, struct rc_str name);
/* The member that all with this hash go to; few of them go elsewhere when a member comes or goes. */
uint32_t rc_roster_sticky(const struct rc_roster *r, const struct rc_roster_type *t, uint64_t hash);
/* What the backend said of a type. */
uint32_t rc_roster_flags(const struct rc_roster_type *t, uint32_t backend);

void rc_roster_check(const struct rc_roster *r);

#endif
