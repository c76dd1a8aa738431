/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is in a channel. Each shard counts its own clients and tells the owner what changed; the owner has the sum, answers who
 * asks, and tells of who came and who left.
 *
 *   shard S   here (channel) ─ guest (user): connections, and how many of them the owner knows      presencelocal.c
 *                │ asks with the differences: a ring that is full only makes them wait and add up
 *                ▼
 *   owner     present (channel) ─ user: connections of all shards, lingering when there are none    presence.c
 *                │ at most one join and one leave per channel and interval, each of a bounded size
 *                ▼
 *             events of the channel like others                                                     presencetell.c
 *
 * A user for whom there is no room is counted and not listed; whoever looks for it later does not find it and takes it off the
 * count of those. So counts are exact whatever happens. The channel's own object here keeps its owner from forgetting it.
 * Part of struct rc_hub: one thread, memory given at start, texts from the pool.
 */
#ifndef RC_HUB_PRESENCE_H
#define RC_HUB_PRESENCE_H

#include "base/base.h"
#include "hub/table.h"
#include "mem/slab.h"

#define RC_PRESENCE_EVENT_USERS    64u   /* that one event lists */
#define RC_PRESENCE_DATA_MAX       8192u /* bytes of its data */
#define RC_PRESENCE_NAMESPACES_MAX 65u

struct rc_hub;

/* shard to owner: what is different from what it said before. */
struct rc_presence_change {
	struct rc_str channel;
	uint32_t hash;       /* of the channel's name */
	struct rc_str user;  /* empty: nobody by name */
	struct rc_str info;  /* of the user; JSON, or empty */
	int32_t connections; /* of the user */
	int32_t anonymous;   /* clients without a user */
	int32_t unlisted;    /* clients whose user the shard had no room for */
};

/* to the owner */
struct rc_presence_ask {
	uint32_t shard, slot, generation; /* who asks */
	bool counts;                      /* no list */
	struct rc_str channel;
};

/* from the owner */
struct rc_presence_told {
	uint32_t slot, generation;
	bool complete; /* all users are listed, or none was asked for */
	uint32_t count, clients, anonymous;
	uint32_t users_len;
	const char *users; /* what stands between the brackets of the JSON array */
};

/* ---- a shard's own */

struct rc_here {
	char *name;
	uint32_t hash;
	uint16_t name_len;
	bool pending; /* listed, to be told or given back */
	uint32_t next;
	uint32_t guest_first, guest_last; /* those with something to tell */
	uint32_t guests;
	uint32_t connections_told; /* of guests */
	uint32_t anonymous, anonymous_told;
	uint32_t unlisted, unlisted_told;
};

/* A text of the pool: user, then info. */
struct rc_presence_text {
	char *ptr;
	uint16_t user_len, info_len;
};

struct rc_guest {
	uint32_t here;
	uint32_t hash;
	uint32_t connections, told;
	uint32_t next;
	bool pending;
	bool renewed; /* its info */
	struct rc_presence_text text;
};

/* ---- an owner's */

enum rc_present_state {
	RC_PRESENT_QUIET,
	RC_PRESENT_DUE,     /* in the line of those that may speak now */
	RC_PRESENT_COOLING, /* spoke less than an interval ago */
};

struct rc_present {
	uint32_t owned;
	uint32_t user_first;
	uint32_t users;       /* in the channel, lingering ones too */
	uint32_t users_told;  /* what its events add up to */
	uint32_t connections; /* of users */
	uint32_t clients, anonymous;
	uint32_t join_first, join_last, leave_first, leave_last; /* not told yet */
	uint32_t next;
	uint64_t due_ns; /* COOLING */
	uint8_t state;
	bool large;   /* more users than presence_max: only counts are told */
	bool changed; /* the counts, when large */
};

struct rc_present_user {
	uint32_t present;
	uint32_t hash;
	uint32_t connections;
	uint32_t prev, next;               /* of the channel */
	uint32_t linger_prev, linger_next; /* of the namespace, by until_ns */
	uint32_t change_next;              /* in the list of joins (not told) or leaves (told) */
	uint64_t until_ns;
	struct rc_presence_text text;
	bool in;        /* connected or lingering */
	bool lingering; /* connections is 0 */
	bool told;      /* its join was */
	bool changing;  /* in such a list */
};

struct rc_presence_line {
	uint32_t first, last;
};

struct rc_presence {
	bool on;          /* some namespace has it */
	bool blocked;     /* some ring had no room: to be tried again soon */
	bool fresh;       /* something to tell came up since the last turn */
	uint64_t next_ns; /* when there is something to do by itself; UINT64_MAX: never */
	struct rc_slab heres, guests;
	struct rc_table here_table, guest_table;
	struct rc_presence_line pending; /* heres */
	struct rc_slab presents, users;
	struct rc_table user_table;
	struct rc_presence_line due; /* presents */
	struct rc_presence_line cooling[RC_PRESENCE_NAMESPACES_MAX];
	struct rc_presence_line lingering[RC_PRESENCE_NAMESPACES_MAX];
	char *data; /* RC_PRESENCE_DATA_MAX: of the event that is being made */
};

/* ---- presence.c, presencetell.c: the owner's side */

/* Never waits for room. */
void rc_presence_take(struct rc_hub *h, const struct rc_presence_change *change);
/* False: no room for the answer, come again. */
bool rc_presence_answer(struct rc_hub *h, const struct rc_presence_ask *ask) RC_MUST_USE;
/* Once per turn, before the flush: tells the owners, ends lingering, tells the channels. */
void rc_presence_turn(struct rc_hub *h);

/* Shared by the two. */
void rc_present_note(struct rc_hub *h, uint32_t present);
void rc_present_user_free(struct rc_hub *h, uint32_t user);
/* Gives it back when nobody is in the channel and nothing is to be told. */
void rc_present_settle(struct rc_hub *h, uint32_t present);
/* The channels whose turn it is. */
void rc_presence_tell(struct rc_hub *h);

/* ---- presencelocal.c: the shard's side */

/* Presence of this name is kept: a channel, not the gateway's own, of a namespace that has it. */
bool rc_presence_wanted(const struct rc_hub *h, struct rc_str name);
/*
 * Before a client subscribes. False: no room for one more channel. Where presence is not wanted it has nothing to do. What was
 * reserved and not used is given back by the next turn.
 */
bool rc_presence_reserve(struct rc_hub *h, struct rc_str name) RC_MUST_USE;
/* The client is in the channel, which was reserved; user: empty for an anonymous one. */
void rc_presence_enter(
	struct rc_hub *h, struct rc_str name, struct rc_str user, struct rc_str info);
/* It is not any more; the same user as then. */
void rc_presence_leave(struct rc_hub *h, struct rc_str name, struct rc_str user);
/* A newer token says something else of the user. */
void rc_presence_renew(
	struct rc_hub *h, struct rc_str name, struct rc_str user, struct rc_str info);
/* What the owners have to know goes to them. */
void rc_presence_report(struct rc_hub *h);

/* Texts: user and info in one block. False: no memory. */
bool rc_presence_text_set(struct rc_hub *h, struct rc_presence_text *t, struct rc_str user,
	struct rc_str info) RC_MUST_USE;
void rc_presence_text_clear(struct rc_hub *h, struct rc_presence_text *t);
static inline struct rc_str rc_presence_user(const struct rc_presence_text *t)
{
	return (struct rc_str){t->ptr, t->user_len};
}
static inline struct rc_str rc_presence_info(const struct rc_presence_text *t)
{
	return (struct rc_str){t->ptr + t->user_len, t->info_len};
}

/* Of a user in a channel, which is named by its index. */
uint32_t rc_presence_hash(const struct rc_hub *h, uint32_t channel, struct rc_str user);
/* Walks everything and asserts the invariants. */
void rc_presence_check(const struct rc_hub *h);

#endif
