/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands of clients to backends, and what backends do besides. Three shards have a part in each command:
 *
 *   client's shard            the desk's (desk.h)           backend's shard
 *   call: who waits for it
 *    └ CALL ────────────────▶ chosen, or waits ── GIVE ───▶ COMMAND ─▶ the backend
 *   reply ◀──────── ANSWER ─┘ over ◀──────────── REPLY ────┘ ◀─ REPLY
 *   timeout, by itself
 *
 * The call alone decides what the client is told, and once: whatever comes when it is over finds nobody. The last shard keeps the desk.
 * One thread a shard; the rest is asks and tells, whose records are the structs below, as they lie.
 */
#ifndef RC_SERVE_COMMANDS_H
#define RC_SERVE_COMMANDS_H

#include "proto/message.h"
#include "serve/desk.h"
#include "serve/publisher.h"
#include "serve/session.h"

#define RC_COMMANDS_UNSAID_MAX \
	(4u << 20)                  /* bytes of commands that wait for room in the desk's ring */
#define RC_COMMANDS_POLL_NS 200000u /* how soon to look again where a ring was full */

enum rc_command_kind {
	RC_COMMAND_CALL = 1, /* asks of the desk */
	RC_COMMAND_EVENT,
	RC_COMMAND_REGISTER,
	RC_COMMAND_FLOW,
	RC_COMMAND_LEAVE,
	RC_COMMAND_REPLY,
	RC_COMMAND_ASSIGN, /* ask of the client's shard */
	RC_COMMAND_GIVE,   /* tells */
	RC_COMMAND_ANSWER,
	RC_COMMAND_REGISTERED,
	RC_COMMAND_UNKNOWN,
	RC_COMMAND_EVENTS,
};

/* FLOW, LEAVE, REGISTERED, UNKNOWN, EVENTS; REGISTER has its entries behind it. */
struct rc_backend_record {
	uint32_t kind;
	struct rc_backend_who who;
	uint64_t id;
	uint32_t credit; /* EVENTS: which */
	uint32_t list_len;
	uint16_t count;
	bool taken;
	char list[];
};

/* REPLY, ANSWER. */
struct rc_answer_record {
	uint32_t kind;
	struct rc_backend_who who; /* who says it */
	struct rc_command_call call;
	uint64_t id;
	uint32_t data_len;
	uint8_t verdict, code_len;
	bool json;
	char bytes[]; /* code, data */
};

struct rc_assign_record {
	uint32_t kind;
	struct rc_publisher_ref from;
	uint32_t names_len;
	bool on;
	char session[RC_DESK_SESSION];
	char names[];
};

/* A client that waits for an answer. */
struct rc_call {
	uint64_t begun_ns, deadline_ns;
	uint32_t conn, generation; /* of the client */
	uint32_t older, younger;
	struct rc_command_record *unsaid; /* what the desk's ring had no room for */
	uint32_t unsaid_len, unsaid_next;
	uint8_t id_len;
	char id[RC_MSG_ID_MAX];
};

struct rc_commands {
	struct rc_desk desk; /* of the shard that keeps it */
	uint32_t home;       /* which that is */
	size_t record_max;   /* bytes of a record, as a ring takes them */
	bool here;
	struct rc_slab calls;
	uint32_t *generation; /* of calls */
	uint32_t oldest, youngest;
	uint32_t unsaid_first, unsaid_last; /* of calls, in their order */
	uint64_t unsaid_bytes;
	uint32_t events; /* of clients that some backend takes: as rc_desk.events */
	uint32_t lost;   /* events that could not be told to the desk */
	uint32_t told;   /* the desk's: what the others know of its events */
	uint64_t untold; /* shards that do not */
};

/* calls_max: of this shard. */
size_t rc_commands_bytes(uint32_t calls_max);
/* desk: memory of rc_desk_bytes; NULL: another shard keeps it. Both zeroed. */
void rc_commands_init(struct rc_serve *sv, void *memory, uint32_t calls_max, void *desk,
	const struct rc_desk_limits *limits, size_t record_max);

/* ---- for the shard; as with users */

bool rc_commands_asked(struct rc_serve *sv, const void *bytes, size_t len);
void rc_commands_told(struct rc_serve *sv, const void *bytes, size_t len);
void rc_commands_turn(struct rc_serve *sv);
/* Nobody waits for an answer, nothing waits for room, and no webhook is called: then neither of the other two has anything to do. */
static inline bool rc_commands_idle(const struct rc_serve *sv)
{
	const struct rc_commands *k = sv->commands;
	const struct rc_desk *d = &k->desk;

	return !sv->webhooks &&
	       !(k->calls.used | k->lost | d->entries.used | d->blocked | (k->told ^ d->events)) &&
	       !k->untold;
}
/* Until something is to be done; UINT64_MAX: nothing is. */
uint64_t rc_commands_ns(const struct rc_serve *sv);
/* No client waits for an answer. */
bool rc_commands_settled(const struct rc_serve *sv);
/* Those who wait are told timeout. */
void rc_commands_give_up(struct rc_serve *sv);

/* ---- clients */

void rc_ws_command(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m);

/* What happens to clients, for the backends that want to know: cheap where none does. */
enum rc_client_event { RC_ON_CONNECT, RC_ON_DISCONNECT, RC_ON_SUBSCRIBE, RC_ON_UNSUBSCRIBE };
static inline bool rc_client_event_wanted(const struct rc_serve *sv, enum rc_client_event event)
{
	return sv->commands && RC_UNLIKELY(sv->commands->events >> event & 1);
}
/* data: JSON. */
void rc_client_event(
	struct rc_serve *sv, struct rc_conn *c, enum rc_client_event event, struct rc_str data);
void rc_client_event_lost(struct rc_serve *sv);
void rc_client_connected(struct rc_serve *sv, struct rc_conn *c);
void rc_client_disconnected(
	struct rc_serve *sv, struct rc_conn *c, uint16_t code, struct rc_str reason);

/* SUBSCRIBE and UNSUBSCRIBE name channels: begin, add *, end. */
struct rc_client_channels {
	struct rc_textbuf b;
	enum rc_client_event event;
	uint32_t count;
};
/* Names of so many bytes in all, and so many of them. False: nobody wants to know. */
bool rc_client_channels_begin(struct rc_serve *sv, enum rc_client_event event, size_t names_len,
	size_t count, struct rc_client_channels *l);
void rc_client_channels_add(struct rc_client_channels *l, struct rc_str name);
/* To be said, where there is one at all. */
void rc_client_channels_end(struct rc_serve *sv, struct rc_conn *c, struct rc_client_channels *l);

/* ---- backends: backend.c */

/* Types that clients say, and that are not the gateway's own; and what it tells of them. */
bool rc_backend_type_valid(struct rc_str type);
/* REGISTER, FLOW, REPLY, ASSIGN. False: no room, nothing was done. */
bool rc_backend_frame(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_frame *f) RC_MUST_USE;
/* It is a backend no more, if it was one. False: no room to say so. */
bool rc_backend_leave(struct rc_serve *sv, struct rc_publisher *p);
/* Its output is empty again. */
void rc_backend_drained(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p);
/* The connection of a publisher that has registered as one. */
static inline bool rc_backend_is(const struct rc_conn *c)
{
	const struct rc_publisher *p = c->ext;

	return p && p->backend;
}
/* It has read nothing for a heartbeat, and was closed for that. */
bool rc_backend_stalled(struct rc_serve *sv, struct rc_conn *c);
/* Told by the desk. A command of id 0 is an event, or, without a type, only what was lost. */
void rc_backend_give(struct rc_serve *sv, const struct rc_backend_who *to, uint64_t id,
	const struct rc_command *cmd);
void rc_backend_registered(struct rc_serve *sv, const struct rc_backend_record *r);
void rc_backend_unknown(struct rc_serve *sv, const struct rc_backend_record *r);
bool rc_assign_asked(struct rc_serve *sv, const struct rc_assign_record *r);

/* ---- between them */

/* CALL or EVENT. False: the desk's ring is full. */
bool rc_commands_ask_desk(
	struct rc_serve *sv, enum rc_command_kind kind, const struct rc_command *c);
bool rc_commands_event(struct rc_serve *sv, const struct rc_command *c);
/* calls.c: the one word that a client gets. */
void rc_call_answered(
	struct rc_serve *sv, const struct rc_command_call *to, const struct rc_command_answer *a);
void rc_calls_turn(struct rc_serve *sv);
uint64_t rc_calls_next_ns(const struct rc_serve *sv);
size_t rc_calls_bytes(uint32_t calls_max);
void rc_calls_init(struct rc_commands *k, unsigned char *memory, uint32_t calls_max);
/* What one user's commands have in common, or those of one session where it has none. */
uint64_t rc_commands_key(const struct rc_serve *sv, struct rc_str user, struct rc_str session);
/* Room for a record to another shard; NULL: there is none. */
void *rc_commands_reserve(struct rc_serve *sv, uint32_t shard, bool is_ask, size_t len);
void rc_commands_commit(struct rc_serve *sv, uint32_t shard, bool is_ask, size_t len);
/* To that shard, which may be this one. False: no room. */
bool rc_commands_put(
	struct rc_serve *sv, uint32_t shard, bool is_ask, const void *record, size_t len);

#endif
