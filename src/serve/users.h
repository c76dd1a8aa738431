/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and their connections, on whatever shard. home(user) = keyed hash of the id modulo shards knows all connections of a
 * user, and decides the order in which they come; each shard knows its own. So what is sent to a user goes to the home, and from
 * there to the shards concerned: no scan.
 *
 *   shard of the connection                         home of the user
 *   local user ─▶ member ─▶ member          JOIN ─▶ user ─▶ place ─▶ place      a place is a connection: shard, slot, generation
 *                  │ hangs on the session  ◀─ JOINED    │ the oldest first
 *                  └ holds the place       LEAVE ─▶     └ nobody there: remembered for RC_USER_MEMORY_S, to know who comes back
 *
 * A member lives from its JOIN until its LEAVE is told, longer than its connection: so a leave is never lost, and needs no
 * memory that is not there. What finds a ring full waits in one list, so the home sees joins and leaves in their order.
 *
 * A message to users goes as an ask to their homes, as a tell to the shards where they are. What a home has routed is decided: each
 * connection gets it, or is closed with 4101 and knows. Messages between shards are the structs below, as they lie.
 *
 * All blocks are of the pool, named by their place in the arena in units of 16 bytes. One thread a shard; the rest is asks and tells.
 */
#ifndef RC_SERVE_USERS_H
#define RC_SERVE_USERS_H

#include "hub/table.h"
#include "serve/session.h"

#define RC_USER_MEMORY_S     60u    /* how long it is remembered that a user was here */
#define RC_USER_REPLACED_MAX 16u    /* connections that one newcomer replaces */
#define RC_USER_LIST_MAX     1000u  /* users of one message */
#define RC_USER_TARGETS_MAX  16384u /* bytes of their ids, each with its length */
#define RC_USER_RECORD_ROOM  16u    /* of a record in a ring, besides its bytes */
#define RC_REASON_MAX        123u   /* bytes of the reason of a close */

/* The connection's session has claims that name a user, and is JOINING. The answer comes to rc_session_joined, perhaps before this
 * returns. */
void rc_users_join(struct rc_serve *sv, struct rc_conn *c);
/* It joined, or asked to, or did neither; its end as a client. */
void rc_users_leave(struct rc_serve *sv, struct rc_conn *c);

/* ---- sending: usersend.c ------------------------------------------------------------------------- */

/* To users, or a session; or their end. The slices are borrowed for the call. */
struct rc_user_message {
	struct rc_publisher_ref from; /* where the outcomes go that come later */
	struct rc_str
		targets; /* users: each behind a byte with its length; or the id of one session */
	struct rc_str event; /* of a close: its reason */
	struct rc_str data;
	uint64_t timestamp_ms;
	uint16_t code; /* not 0: close with it */
	bool session;
	bool json;
};

/*
 * FULL: nothing was done. Else *connections are those of the homes that have decided already, and so many outcomes as *parts says
 * will come, each with its number of connections in `offset`.
 */
enum rc_route rc_users_send(struct rc_serve *sv, const struct rc_user_message *m,
	uint64_t *connections, uint32_t *parts);
/* 1 to RC_USER_MAX bytes of UTF-8 without control characters. */
bool rc_user_id_valid(struct rc_str id);
/* The shard and the slot that a session's id names. False: it is none. */
bool rc_session_decode(
	const struct rc_serve *sv, struct rc_str id, uint32_t *shard, uint32_t *slot);
/* The client of this shard with that id; NULL: there is none. */
struct rc_conn *rc_session_find(const struct rc_serve *sv, struct rc_str id);

/* ---- for the shard: users.c ----------------------------------------------------------------------- */

/* users_max: whose home is this shard. */
size_t rc_users_bytes(uint32_t conns_max, uint32_t users_max, uint32_t frame_max);
/* memory: zeroed. */
void rc_users_init(struct rc_serve *sv, void *memory, uint32_t conns_max, uint32_t users_max);

/* ---- between the parts ---------------------------------------------------------------------------- */

enum rc_user_kind {
	RC_USER_JOIN = 1, /* asks */
	RC_USER_LEAVE,
	RC_USER_SEND,
	RC_USER_JOINED, /* tells */
	RC_USER_DELIVER,
	RC_USER_CLOSE_ONE,
};

enum rc_user_verdict { RC_USER_TAKEN, RC_USER_TOO_MANY, RC_USER_NO_ROOM };

struct rc_user_join {
	uint32_t kind;
	uint32_t shard, slot, generation, member; /* who asks */
	uint32_t limit;                           /* of the user's connections; 0: none */
	uint32_t id_len;
	char id[RC_USER_MAX];
};

struct rc_user_leave {
	uint32_t kind;
	uint32_t place;
};

struct rc_user_joined {
	uint32_t kind;
	uint32_t member;
	uint32_t place; /* when taken */
	uint32_t verdict;
};

struct rc_user_close_one {
	uint32_t kind;
	uint32_t slot, generation;
};

/* SEND and DELIVER. */
struct rc_user_sent {
	uint32_t kind;
	uint32_t home; /* DELIVER: of the users that are meant */
	struct rc_publisher_ref from;
	uint64_t timestamp_ms;
	uint32_t targets_len, data_len;
	uint16_t code;
	uint8_t event_len;
	bool session, json;
	char bytes[]; /* targets, event, data */
};

/* Whose home is this shard. */
struct rc_user {
	uint64_t stamp; /* of the last message that was routed to it */
	uint32_t hash;
	uint32_t count; /* places */
	uint32_t first, last;
	uint32_t gone_prev, gone_next; /* among those of whom nobody is there */
	uint32_t gone_s;
	uint32_t reconnects;
	uint32_t id_len;
	uint32_t on[]; /* places, by shard; then the id */
};

struct rc_user_place {
	uint32_t user; /* RC_NONE: it was replaced, and does not count any more */
	uint32_t shard, slot, generation;
	uint32_t prev, next;
};

/* Who has connections on this shard. */
struct rc_user_local {
	uint64_t stamp; /* of the last message that was delivered */
	uint32_t hash;
	uint32_t first; /* member; there is always one */
};

struct rc_user_member {
	uint32_t local;
	uint32_t slot;       /* of the connection; RC_NONE: it left */
	uint32_t prev, next; /* of the same user */
	uint32_t due_next;   /* while it is due */
	uint32_t home, place;
	bool due;    /* its join, or its leave, is to be asked for */
	bool asked;  /* to let it join */
	bool joined; /* and answered */
};

struct rc_users {
	struct rc_table homed, local;
	uint32_t homed_max;
	uint32_t gone_first, gone_last; /* the longest gone first */
	uint32_t due_first,
		due_last; /* members of whom the home is to be told, in the order in which that became so */
	bool telling;
	uint32_t walk; /* the member that a delivery comes to next */
	uint64_t stamp;
	uint64_t users; /* homed, with connections */
	char *text;     /* of a message that is being delivered; as large as an event's frame */
};

static inline void *rc_user_block(const struct rc_serve *sv, uint32_t at)
{
	return sv->pool->arena->base + (size_t)at * 16;
}

static inline uint32_t rc_user_block_at(const struct rc_serve *sv, const void *block)
{
	return (uint32_t)((size_t)((const unsigned char *)block - sv->pool->arena->base) / 16);
}

static inline uint64_t rc_user_hash(const struct rc_serve *sv, struct rc_str id)
{
	return rc_hash(&sv->hub->key, id.ptr, id.len);
}

static inline uint32_t rc_user_home(const struct rc_serve *sv, uint64_t hash)
{
	return rc_hub_owner(sv->hub, (uint32_t)hash);
}

/* Takes the next id off a list of targets. */
static inline bool rc_user_next(struct rc_str *targets, struct rc_str *id)
{
	return rc_claims_next(targets, id);
}

/* userhome.c. False: no room for the answers, nothing was done. */
bool rc_user_home_join(struct rc_serve *sv, const struct rc_user_join *j);
void rc_user_home_leave(struct rc_serve *sv, uint32_t place);
void rc_user_home_sweep(struct rc_serve *sv);
/* RC_NONE: unknown. hash: rc_user_hash. */
uint32_t rc_user_home_find(const struct rc_serve *sv, struct rc_str id, uint64_t hash);
static inline struct rc_str rc_user_id(const struct rc_serve *sv, const struct rc_user *u)
{
	return (struct rc_str){(const char *)(u->on + sv->hub->limits.shards), u->id_len};
}

/* users.c */
uint32_t rc_user_local_find(const struct rc_serve *sv, struct rc_str id, uint64_t hash);
void rc_user_joined(struct rc_serve *sv, const struct rc_user_joined *j);
void rc_user_close_one(struct rc_serve *sv, const struct rc_user_close_one *one);
/* Ends a client, or who is about to become one. */
void rc_user_end(struct rc_serve *sv, struct rc_conn *c, uint16_t code, const char *reason,
	enum rc_counter counted);

/* usersend.c */
bool rc_user_send_asked(struct rc_serve *sv, const struct rc_user_sent *r);
void rc_user_deliver(struct rc_serve *sv, const struct rc_user_message *m, uint32_t home);
void rc_user_deliver_told(struct rc_serve *sv, const struct rc_user_sent *r);

/* Walks everything and asserts the invariants. */
void rc_users_check(const struct rc_serve *sv);

#endif
