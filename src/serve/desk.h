/* SPDX-License-Identifier: Apache-2.0
 *
 * The desk: all commands that are with a backend, or wait for one. One shard keeps it for the whole gateway, so that credit, turns and
 * who is there are decided in one order; the others ask it. It knows no connection, and reaches clients and backends by its port.
 *
 *   command ─▶ type ─▶ round robin: the next member with credit ─▶ OUT, at that backend
 *                │          └ none has credit ─▶ waits for the type, whoever has credit first
 *                ├─▶ sticky: the member that the key belongs to  ─▶ OUT
 *                │          └ it has no credit ─▶ waits for that backend
 *                └─▶ nobody takes it ─▶ no_backend
 *   OUT ─▶ replied ─▶ over
 *       ─▶ its backend ended ─▶ idempotent: chosen anew, with AGAIN; else timeout
 *       ─▶ deadline ─▶ over without a word: the client's shard tells timeout by itself
 *
 * An answer that finds no room waits in a list of its own (ANSWERING). A command's text is kept only where it waits or is idempotent.
 * One thread.
 */
#ifndef RC_SERVE_DESK_H
#define RC_SERVE_DESK_H

#include "ops/counters.h"
#include "serve/roster.h"

#define RC_DESK_BYTES   (2u << 20) /* of commands that one backend has outstanding; or one alone */
#define RC_DESK_SESSION 17u

enum rc_command_verdict {
	RC_COMMAND_REPLIED,
	RC_COMMAND_NO_BACKEND,
	RC_COMMAND_TIMEOUT,
	RC_COMMAND_BUSY,
};

/* Where a client waits for the answer. */
struct rc_command_call {
	uint32_t shard, slot, generation;
};

struct rc_command {
	struct rc_command_call call;
	uint64_t deadline_ns;
	uint64_t key; /* of its user, or of its session where it has none */
	struct rc_str session, type, user;
	struct rc_str message; /* the client's id, as it wrote it */
	struct rc_str data;    /* JSON */
	uint32_t lost;         /* events that were lost before this one */
	bool idempotent;
	bool again;
};

struct rc_command_answer {
	enum rc_command_verdict verdict;
	struct rc_str code; /* of a reply that is an error */
	struct rc_str data;
	bool json;
};

/* A command as it lies in a ring, and as it is kept. */
struct rc_command_record {
	uint32_t kind;
	struct rc_command_call call;
	struct rc_backend_who to;
	uint64_t id;
	uint64_t deadline_ns, key;
	uint32_t lost, data_len;
	uint8_t type_len, user_len, message_len;
	bool idempotent, again;
	char session[RC_DESK_SESSION];
	char bytes[]; /* type, user, message, data */
};

static inline size_t rc_command_bytes(const struct rc_command *c)
{
	return sizeof(struct rc_command_record) + c->type.len + c->user.len + c->message.len +
	       c->data.len;
}

void rc_command_pack(struct rc_command_record *out, const struct rc_command *c);
/* Borrows the record. */
struct rc_command rc_command_unpack(const struct rc_command_record *r);

struct rc_desk_port {
	void *ctx;
	/* Each: false when there is no room, and nothing was done. id 0: an event. */
	bool (*give)(void *ctx, const struct rc_backend_who *to, uint64_t id,
		const struct rc_command *c);
	bool (*answer)(void *ctx, const struct rc_command_call *to,
		const struct rc_command_answer *answer);
};

enum rc_desk_state {
	RC_DESK_WAITS_TYPE,
	RC_DESK_WAITS_BACKEND,
	RC_DESK_OUT,
	RC_DESK_ANSWERING,
};

struct rc_desk_entry {
	struct rc_command_record *copy; /* NULL: not kept */
	uint64_t deadline_ns;
	struct rc_command_call call;
	uint32_t bytes;      /* of its record */
	uint32_t at;         /* type or backend, as the state says */
	uint32_t prev, next; /* of its state */
	uint32_t older, younger;
	uint8_t state, verdict;
};

struct rc_desk_limits {
	uint32_t backends, commands, queue, credit;
};

struct rc_desk {
	struct rc_desk_port port;
	struct rc_desk_limits limits;
	struct rc_roster roster;
	struct rc_pool *pool;
	struct rc_counters_shard *counters;
	struct rc_slab entries;
	uint32_t *generation; /* of entries, odd while in use; makes the ids that backends see */
	uint32_t oldest, youngest;
	uint32_t answer_first, answer_last;
	uint32_t waiting;
	uint32_t registering, orphans; /* between rc_desk_register and rc_desk_registered */
	uint32_t events;               /* bit i: somebody takes rc_desk_events[i] */
	bool blocked;                  /* a ring had no room */
};

#define RC_DESK_EVENTS 4u
extern const char *const rc_desk_events[RC_DESK_EVENTS];

size_t rc_desk_bytes(const struct rc_desk_limits *limits);
/* memory: zeroed. */
void rc_desk_init(struct rc_desk *d, const struct rc_desk_limits *limits,
	const struct rc_desk_port *port, const struct rc_hash_key *key, struct rc_pool *pool,
	struct rc_counters_shard *counters, void *memory);

/* list: entries of a REGISTER, all valid; they replace what it took before. *credit: what it asks for, and gets. False: no room; it
 * takes nothing then. What follows for the commands that wait is done by rc_desk_registered, which is to be called in any case. */
bool rc_desk_register(struct rc_desk *d, const struct rc_backend_who *who, uint32_t *credit,
	struct rc_str list) RC_MUST_USE;
void rc_desk_registered(struct rc_desk *d);
void rc_desk_flow(struct rc_desk *d, const struct rc_backend_who *who, uint32_t credit);
void rc_desk_leave(struct rc_desk *d, const struct rc_backend_who *who);

/* False: not even a refusal has room; ask again. */
bool rc_desk_command(struct rc_desk *d, const struct rc_command *c) RC_MUST_USE;
/* To whoever takes events of that type, or to nobody. */
void rc_desk_event(struct rc_desk *d, const struct rc_command *c);

enum rc_desk_reply { RC_DESK_TAKEN, RC_DESK_UNKNOWN, RC_DESK_FULL };
enum rc_desk_reply rc_desk_reply(struct rc_desk *d, const struct rc_backend_who *who, uint64_t id,
	const struct rc_command_answer *answer) RC_MUST_USE;

/* What is over, and what waited for room. */
void rc_desk_turn(struct rc_desk *d, uint64_t now_ns);
/* When the next command is over; UINT64_MAX: there is none. */
uint64_t rc_desk_next_ns(const struct rc_desk *d);

void rc_desk_check(const struct rc_desk *d);

#endif
