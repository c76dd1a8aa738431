/* SPDX-License-Identifier: Apache-2.0
 *
 * What connections speak. The shard calls in with what arrived; everything here works on the shard's own hub, connections
 * and memory, and reaches other shards only through the port. One thread.
 */
#ifndef RC_SERVE_SERVE_H
#define RC_SERVE_SERVE_H

#include <stdatomic.h>

#include "base/hash.h"
#include "base/random.h"
#include "config/config.h"
#include "conn/conn.h"
#include "hub/home.h"
#include "hub/hub.h"
#include "mem/budget.h"
#include "mem/slab.h"
#include "proto/textbuf.h"
#include "tls/context.h"
#include "tls/keys.h"

/* Close codes of our own: 40xx stay away, 41xx come back after a pause, 42xx come back at once. */
enum rc_close_code {
	RC_CLOSE_TOKEN = 4001,
	RC_CLOSE_REPLACED = 4003,
	RC_CLOSE_OPERATOR = 4004,
	RC_CLOSE_OVER_CAPACITY = 4100,
	RC_CLOSE_TOO_SLOW = 4101,
	RC_CLOSE_RATE = 4105,
	RC_CLOSE_HEARTBEAT = 4201,
	RC_CLOSE_RENEW = 4202,
};

enum rc_route { RC_ROUTE_FULL, RC_ROUTE_AWAY, RC_ROUTE_DONE };

struct rc_auth;
struct rc_validation;
struct rc_webhooks;
struct rc_limits;
struct rc_grant;
struct rc_survey;
struct rc_survey_ask;

/* Supplied by the shard. */
struct rc_serve_port {
	void *ctx;
	/* To the channel's owner. DONE: *out holds the outcome; AWAY: it will come; FULL: try again later. */
	enum rc_route (*publish)(void *ctx, const struct rc_publish *p, struct rc_outcome *out);
	bool (*claim)(void *ctx, struct rc_str id, const struct rc_holder *who);
	bool (*give_back)(
		void *ctx, struct rc_str id, const struct rc_holder *who, uint64_t sequence);
	/* To an owner; the answer comes to rc_replay_fetched, perhaps before this returns. False: no room now. */
	bool (*fetch)(void *ctx, uint32_t shard, const struct rc_fetch *fetch);
	/* The same to rc_presence_answered. */
	bool (*presence)(void *ctx, uint32_t owner, const struct rc_presence_ask *ask);
	/* A counter, all shards together. */
	uint64_t (*sum)(void *ctx, enum rc_counter counter);
	/* What the handlers of /api have to say to those of another shard (api.h); false: no room, come again. The
	 * shard itself is asked and told at once. */
	bool (*api_ask)(void *ctx, uint32_t shard, const void *bytes, size_t len);
	bool (*api_tell)(void *ctx, uint32_t shard, const void *bytes, size_t len);
	/* To a channel's owner, which answers an ATTACH with rc_acked_told. False: no room, ask again later. */
	bool (*consumer)(void *ctx, uint32_t owner, const struct rc_consumer_ask *ask);
	/* To another shard, which answers with rc_survey_told. False: no room, ask again later. */
	bool (*survey)(void *ctx, uint32_t shard, const struct rc_survey_ask *ask);
	/* What is said of users (users.h) to another shard, never to itself: room for a record, as an ask or as a tell, is
	 * taken, filled and committed. NULL: there is none. */
	bool (*user_room)(void *ctx, uint32_t shard, bool is_ask, size_t len);
	void *(*user_reserve)(void *ctx, uint32_t shard, bool is_ask, size_t len);
	void (*user_commit)(void *ctx, uint32_t shard, bool is_ask, size_t len);
	/* The same for commands (commands.h); longer than a record may be, there is no room either. */
	void *(*command_reserve)(void *ctx, uint32_t shard, bool is_ask, size_t len);
	void (*command_commit)(void *ctx, uint32_t shard, bool is_ask, size_t len);
	/* To another shard, which was asked for room before. */
	void (*outcome)(void *ctx, uint32_t shard, const struct rc_outcome *outcome);
};

/* What accepted a connection. */
enum rc_port {
	RC_PORT_HTTP,
	RC_PORT_INGEST,
	RC_PORT_HTTPS,
	RC_PORT_INGEST_TLS,
	RC_PORT_ADMIN,
	RC_PORTS
};

/* stage of an HTTP connection: flags. */
enum rc_http_stage {
	RC_HTTP_ON_ADMIN_PORT = 1,
	RC_HTTP_SERVED = 2,     /* it has made a request */
	RC_HTTP_HEAD_TIMED = 4, /* a head has begun, and its time */
	RC_HTTP_ENDED = 8,      /* the peer sends no more */
	RC_HTTP_GOES_ON = 16,   /* in the list of http_go_first */
	RC_HTTP_AGAIN_DUE = 32, /* its request is read again when it is known who asks */
};

/* stage of a WebSocket connection. */
enum rc_ws_stage {
	RC_WS_LIVE,
	RC_WS_WAITS_TOKEN, /* its first message must be `auth` */
	RC_WS_JOINING,     /* the home of its user was asked; what it says meanwhile waits */
	RC_WS_STAGES = 0xff,
	/* Beside it: what was agreed on at the upgrade. */
	RC_WS_BATCH = 0x100,   /* ?batch=1 */
	RC_WS_BIN = 0x200,     /* speaks ringcast.v1.bin */
	RC_WS_BITS_SHIFT = 12, /* window bits of what it is sent deflated; 0: nothing is */
};

static inline enum rc_ws_stage rc_ws_stage(const struct rc_conn *c)
{
	return (enum rc_ws_stage)(c->stage & RC_WS_STAGES);
}

static inline void rc_ws_set_stage(struct rc_conn *c, enum rc_ws_stage stage)
{
	c->stage = (uint16_t)((c->stage & 0xff00u) | (uint32_t)stage);
}

#define RC_SERVE_ADDRESS_CELLS 65536u

/*
 * TLS of the whole gateway. A reload puts another context in place and counts the version up; each shard follows at its next
 * turn and says so in `seen`, and the old one is let go when all have.
 */
struct rc_serve_tls {
	bool kernel[RC_TLS_VERSIONS][RC_TLS_CIPHERS]; /* which the kernel takes over */
	struct rc_hash_key key;
	_Atomic(const struct rc_tls_context *) context;
	_Atomic uint64_t version; /* from 1 on */
	_Atomic uint64_t seen[RC_SHARDS_MAX];
	_Atomic uint32_t
		unfinished[RC_SERVE_ADDRESS_CELLS]; /* handshakes, by hash of the address */
};

/*
 * Keys of tokens and services of the whole gateway. A reload puts others in place and counts the version up; each shard
 * follows at its next turn and says so in `seen`, and the old ones are let go when all have.
 */
struct rc_serve_auth {
	_Atomic(const struct rc_auth *) current;
	_Atomic uint64_t version; /* from 1 on */
	_Atomic uint64_t
		failed; /* reloads that found something wrong; the first shard counts them */
	_Atomic uint64_t seen[RC_SHARDS_MAX];
};

/* The same with what namespaces take from publishers; only where one takes less than everything. */
struct rc_serve_rules {
	_Atomic(const struct rc_validation *) current;
	_Atomic uint64_t version; /* from 1 on */
	_Atomic uint64_t failed;  /* the first shard counts them */
	_Atomic uint64_t seen[RC_SHARDS_MAX];
};

/* Of the whole gateway, fixed at start. */
struct rc_serve_info {
	const struct rc_counters *counters;
	struct rc_budget budget;
	uint64_t arena_bytes; /* of all shards */
	uint64_t start_ns;
	uint64_t wall_ms; /* what the wall clock said at monotonic 0 */
	bool send_zc, min_wait;
};

/* The look that is taken once a second at who is behind. */
struct rc_serve_lag {
	bool looking;
	uint32_t at; /* slot where it goes on */
	uint64_t next_ns;
	uint64_t count, bytes, blocked_ms, pollouts;
};

/* Failures to authenticate that are not told yet. */
struct rc_serve_audit {
	uint64_t failed, next_ms;
};

struct rc_serve_quality {
	uint64_t next_ns;
	uint64_t reconnects; /* of users, as of the last look */
	uint32_t told;       /* events in this second */
};

struct rc_serve {
	const struct rc_config *config;
	struct rc_hub *hub;
	struct rc_conns *conns;
	struct rc_pool *pool;
	struct rc_counters_shard *counters;
	struct rc_prng prng;
	struct rc_random_pool secrets;
	struct rc_serve_port port;
	uint32_t shard;
	uint64_t now_ns;
	uint64_t wall_ms;
	uint64_t clients;    /* WebSocket connections of this shard */
	uint64_t echo_bytes; /* held by echo messages */
	bool draining;
	bool busy; /* the shard is behind: publishers are not read for the moment */
	/* ingest */
	struct rc_slab publishers;
	uint32_t publishers_max;
	uint32_t *
		publisher_generation; /* by slot; outlives the publisher, so that late outcomes find nobody */
	uint32_t ack_first;           /* publishers with acknowledgements to write */
	uint32_t waiting_first; /* publishers whose input or whose id waits for room */
	/* deflate; NULL: no namespace has it (inflate.h) */
	struct rc_inflater *inflater;
	unsigned char *inflated; /* client_message_max bytes and one */
	uint64_t inflate_spent;  /* in this turn */
	struct rc_inflate_rest *inflate_first, *inflate_last;
	/* replays */
	struct rc_slab replays;
	uint32_t *
		replay_generation; /* by slot; outlives the replay, so that late answers find nobody */
	uint32_t replay_first, replay_last; /* of those to go on with */
	uint32_t replay_count;
	bool replay_refused; /* an owner's ring had no room */
	/* delivery that is acknowledged */
	struct rc_slab acked;
	uint32_t *acked_generation;
	uint32_t acked_first, acked_last; /* of those with something to ask of their owner */
	bool acked_refused;               /* whose ring had no room */
	bool from_line; /* the message being handled waited for others, whose answers are out */
	struct rc_slab histories; /* requests for history that are not answered */
	uint32_t *history_generation;
	struct rc_slab presences; /* and for presence */
	uint32_t *presence_generation;
	/* identity */
	const struct rc_auth
		*auth; /* that this shard follows; its keys tell whose tokens are good */
	const struct rc_validation
		*rules; /* what namespaces take from publishers; NULL: everything */
	struct rc_serve_rules *rules_shared; /* NULL: the same */
	uint64_t rules_seen, rules_failed;   /* its version; failed reloads that were counted */
	struct rc_serve_auth *auth_shared;   /* NULL: nobody reloads */
	uint64_t auth_seen, auth_failed;     /* its version; failed reloads that were counted */
	struct rc_limits *limits;            /* of the whole gateway; NULL: there are none */
	struct rc_grant *grant_room;         /* for the grant of a token that was just verified */
	/* tls; NULL: no TLS port */
	struct rc_serve_tls *tls;
	const struct rc_tls_context *tls_context; /* that this shard follows */
	uint64_t tls_seen;                        /* its version */
	struct rc_slab shakes;
	uint32_t shake_first[2], shake_last[2]; /* those that have begun, those that have not */
	uint32_t shake_fresh;                   /* how many the latter are */
	/* http */
	uint32_t http_number;     /* of the last exchange that was not answered at once */
	uint32_t http_go_first;   /* connections whose answer is given: their next request */
	uint64_t http_bodies;     /* bytes that bodies hold */
	uint64_t http_bodies_max; /* those on their way in; whole ones have half as much besides */
	struct rc_api *api;
	struct rc_users *users;
	struct rc_commands *commands;
	struct rc_webhooks *webhooks; /* where the desk is, with a URL; else NULL */
	/* looking at it */
	const struct rc_serve_info *info;
	uint32_t metrics_bound[2];   /* bytes of /metrics, by format; 0 = not reckoned yet */
	struct rc_survey *survey[4]; /* RC_SURVEYS_MAX */
	uint32_t survey_count, survey_token;
	uint32_t survey_next; /* whose turn it is to walk this shard */
	struct rc_serve_lag lag;
	struct rc_serve_audit audit;
	struct rc_serve_quality quality;
};

size_t rc_serve_bytes(const struct rc_config *config);
void rc_serve_init(struct rc_serve *sv, void *memory);

/* ---- for the shard ------------------------------------------------------------------------------- */

void rc_serve_accepted(struct rc_serve *sv, int fd, enum rc_port port);
/* What a receive brought: plain bytes, or records that are opened here. */
void rc_serve_input(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len);
/* Plain bytes. */
void rc_serve_plain(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len);
/* A record of kernel TLS that is no data. */
void rc_serve_record(struct rc_serve *sv, struct rc_conn *c, uint8_t type,
	const unsigned char *bytes, uint32_t len);
/* A poll came back that a handshake, or a PROXY header, waits for. */
void rc_serve_ready(struct rc_serve *sv, struct rc_conn *c);
/* Its TLS keys may not be used any more. */
void rc_serve_renew(struct rc_serve *sv, struct rc_conn *c);
/* There is more to do than the turn's budget allowed. */
bool rc_serve_pending(const struct rc_serve *sv);
/* Receive ended: 0 = the peer's end, else -errno. */
void rc_serve_input_ended(struct rc_serve *sv, struct rc_conn *c, int res);
/*
 * So did a send, by an error that can't be waited out. True: the error was about what came behind the last record that could be
 * read, which changes nothing about what is due; send again. False: the connection has ended.
 */
bool rc_serve_send_failed(struct rc_serve *sv, struct rc_conn *c, int res);
/* Arms the receive that its kind wants, unless it is held back. */
void rc_serve_arm(struct rc_serve *sv, struct rc_conn *c);
/* The peer's close_notify or fatal alert: it will send no more. */
void rc_serve_notified(struct rc_serve *sv, struct rc_conn *c);
void rc_serve_gone(struct rc_serve *sv, struct rc_conn *c);
void rc_serve_timer(struct rc_serve *sv, struct rc_conn *c);
void rc_serve_drained(struct rc_serve *sv, struct rc_conn *c);
/* Once per turn: what waited for room. */
void rc_serve_turn(struct rc_serve *sv);
/* What became of an event, whoever published it. */
void rc_serve_outcome(struct rc_serve *sv, const struct rc_outcome *outcome);
/* The gateway stops: tell everybody. */
/* One that the gateway opened is connected, or not: res < 0. */
void rc_serve_connected(struct rc_serve *sv, struct rc_conn *c, int res);
void rc_serve_drain(struct rc_serve *sv, struct rc_conn *c);

/* The first bytes on a plain port are those of a TLS client. */
static inline bool rc_serve_is_tls_hello(
	const struct rc_conn *c, const unsigned char *bytes, uint32_t len)
{
	return c->in_len == 0 && len >= 3 && bytes[0] == 0x16 && bytes[1] == 3 && bytes[2] <= 4;
}

/* Events that a client does not get, in its own tongue. reason: "slow" or "trimmed"; missed, offset: as rc_msg_gap. */
void rc_serve_gap(struct rc_serve *sv, struct rc_conn *c, const struct rc_replica *r,
	const char *reason, uint64_t missed, uint64_t offset);
/* The gateway ends a client. */
void rc_serve_end(struct rc_serve *sv, struct rc_conn *c, uint16_t code, const char *reason,
	enum rc_counter counted);
/* Into its connection's list of those with something to send, and out of it. */
static inline void rc_serve_list(struct rc_serve *sv, struct rc_conn *c, uint32_t sub)
{
	struct rc_sub *s = rc_hub_sub(sv->hub, sub);

	if (s->flags & RC_SUB_LISTED)
		return;
	s->flags |= RC_SUB_LISTED;
	s->listed_next = c->listed;
	c->listed = sub;
}
void rc_serve_unlist(struct rc_serve *sv, struct rc_conn *c, uint32_t sub);
/* A replay knows what it can give. */
void rc_serve_replay_answered(struct rc_serve *sv, struct rc_conn *c, uint32_t replay);
/* A channel, pattern or stream has begun, or was refused. */
void rc_serve_replica_ready(struct rc_serve *sv, uint32_t replica, bool taken);

/* ---- replay.c, history.c: replay.h */

void rc_replay_turn(struct rc_serve *sv);
void rc_replay_drained(struct rc_serve *sv, struct rc_conn *c);
void rc_replay_fetched(struct rc_serve *sv, const struct rc_fetched *fetched);
void rc_history_fetched(struct rc_serve *sv, const struct rc_fetched *fetched);

/* ---- acked.c: acked.h */

void rc_acked_told(struct rc_serve *sv, const struct rc_consumer_told *told);
void rc_acked_turn(struct rc_serve *sv);

/* ---- presence.c: presence.h */

void rc_presence_answered(struct rc_serve *sv, const struct rc_presence_told *told);

/* ---- sse.c --------------------------------------------------------------------------------------- */

void rc_sse_gap_to(struct rc_serve *sv, struct rc_conn *c, const struct rc_replica *r,
	const char *reason, uint64_t missed, uint64_t offset);
void rc_sse_ready(struct rc_serve *sv, uint32_t replica, bool taken);
void rc_sse_answered(struct rc_serve *sv, struct rc_conn *c, uint32_t replay);
/* What came behind the request, which nobody reads. */
void rc_sse_input(struct rc_serve *sv, struct rc_conn *c);
void rc_sse_timer(struct rc_serve *sv, struct rc_conn *c);
void rc_sse_gone(struct rc_serve *sv, struct rc_conn *c);
void rc_sse_bye(struct rc_serve *sv, struct rc_conn *c);
void rc_sse_end(struct rc_serve *sv, struct rc_conn *c, enum rc_counter counted);

/* ---- handshake.c --------------------------------------------------------------------------------- */

/* Handshakes that one shard may have under way. */
uint32_t rc_handshake_count(const struct rc_config *config, uint32_t shards);
size_t rc_handshake_bytes(uint32_t count);
void rc_handshake_init(struct rc_serve *sv, void *memory, uint32_t count);
void rc_handshake_open(struct rc_serve *sv, struct rc_conn *c, enum rc_tls_port port);
void rc_handshake_gone(struct rc_serve *sv, struct rc_conn *c);
void rc_handshake_timer(struct rc_serve *sv, struct rc_conn *c);
void rc_handshake_ready(struct rc_serve *sv, struct rc_conn *c);
void rc_handshake_turn(struct rc_serve *sv);
bool rc_handshake_pending(const struct rc_serve *sv);

/* ---- websocket.c, subscribe.c ------------------------------------------------------------------- */

/* Why a connection ended, for the counters. */
void rc_ws_close(struct rc_serve *sv, struct rc_conn *c, uint16_t code, const char *reason,
	enum rc_counter counted);
struct rc_ws_piece;
/* The client closed: the same code and reason go back. */
void rc_ws_close_back(struct rc_serve *sv, struct rc_conn *c, const struct rc_ws_piece *piece);
struct rc_ws_deflate;
/* given: as rc_credentials, with the token when 1. */
void rc_ws_open(struct rc_serve *sv, struct rc_conn *c, struct rc_str query, int given,
	struct rc_str token, const struct rc_ws_deflate *deflate);
/* One that looks (wswatch.c). unproven: it says later who it is; else grant is what lets it in, NULL where nothing must. */
void rc_ws_watch(struct rc_serve *sv, struct rc_conn *c, struct rc_str query, bool unproven,
	const struct rc_grant *grant, const struct rc_ws_deflate *deflate);
/* Services are not what they were: who was let in by one proves it again. */
void rc_ws_services_changed(struct rc_serve *sv);
void rc_ws_input(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len);
void rc_ws_go_on(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len);
/* Nothing comes behind what waits. False: nothing waits. */
bool rc_ws_ends_later(struct rc_conn *c) RC_MUST_USE;
void rc_ws_timer(struct rc_serve *sv, struct rc_conn *c);
void rc_ws_gone(struct rc_serve *sv, struct rc_conn *c);
void rc_ws_bye(struct rc_serve *sv, struct rc_conn *c);
/* With a heartbeat: how far it has come in what does not say so itself. */
void rc_ws_tell_positions(struct rc_serve *sv, struct rc_conn *c);
void rc_ws_renew(struct rc_serve *sv, struct rc_conn *c);
void rc_ws_gap(struct rc_serve *sv, struct rc_conn *c, const struct rc_replica *r,
	const char *reason, uint64_t missed, uint64_t offset);
/* A text message is built in place: begin gives a buffer of at least `bound` bytes (ptr NULL: the client has too much waiting
 * already, and is being closed), end frames it. */
struct rc_textbuf rc_ws_begin(struct rc_serve *sv, struct rc_conn *c, size_t bound);
void rc_ws_end(struct rc_serve *sv, struct rc_conn *c, const struct rc_textbuf *b);
void rc_ws_error(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw, const char *code,
	bool temporary, const char *message);
/* The same with the field that is wrong, a JSON Pointer. */
void rc_ws_error_field(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw,
	const char *code, const char *message, const char *field);

#define RC_WS_SESSION_LEN 17
/* The session's id, no NUL. */
void rc_ws_session(const struct rc_serve *sv, const struct rc_conn *c, char out[RC_WS_SESSION_LEN]);
struct rc_msg;
void rc_ws_subscribe(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m);
void rc_ws_subscribe_query(struct rc_serve *sv, struct rc_conn *c, struct rc_str query);
void rc_ws_unsubscribe(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m);
void rc_ws_replica_ready(struct rc_serve *sv, uint32_t replica, bool taken);
void rc_ws_replay_answered(struct rc_serve *sv, struct rc_conn *c, uint32_t replay);
void rc_ws_ack(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m);
/* wsauth.c: */
void rc_ws_auth(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m);
void rc_ws_refresh(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m);
/* While it is not known who it is: whether the message is to be handled. */
bool rc_ws_admits(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m, int parsed,
	struct rc_str text);
/* Time is up for that. */
void rc_ws_not_known(struct rc_serve *sv, struct rc_conn *c);
void rc_ws_joined(struct rc_serve *sv, struct rc_conn *c, bool taken);
void rc_ws_message(struct rc_serve *sv, struct rc_conn *c, struct rc_str text);
/* Answers come in the order of the questions: true when the message was put by until those before it are answered. */
bool rc_ws_waits_in_line(
	struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m, struct rc_str text);
/* A request for history or presence is under way (false: no memory), and is answered. */
bool rc_ws_history_begun(struct rc_serve *sv, struct rc_conn *c);
/* It is asked who the client is (false: no memory), and known. What came meanwhile is handled by goes_on. */
bool rc_ws_line_begun(struct rc_serve *sv, struct rc_conn *c);
void rc_ws_line_ends(struct rc_serve *sv, struct rc_conn *c);
void rc_ws_line_goes_on(struct rc_serve *sv, struct rc_conn *c);
/* What its claims subscribe it to; and what they do not allow any more ends. */
void rc_ws_subscribe_claims(struct rc_serve *sv, struct rc_conn *c);
/* A backend subscribes it to these, or ends that, whatever its claims say. 0, or a NACK. */
uint16_t rc_ws_assign(struct rc_serve *sv, struct rc_conn *c, bool on, struct rc_str names);
void rc_ws_drop_forbidden(struct rc_serve *sv, struct rc_conn *c);
void rc_ws_history_done(struct rc_serve *sv, struct rc_conn *c);
/* All subscriptions and unfinished subscribes of a connection end. */
void rc_ws_drop_subs(struct rc_serve *sv, struct rc_conn *c);

/* ---- echo.c -------------------------------------------------------------------------------------- */

void rc_echo_open(struct rc_serve *sv, struct rc_conn *c);
void rc_echo_input(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len);
void rc_echo_timer(struct rc_serve *sv, struct rc_conn *c);
void rc_echo_drained(struct rc_serve *sv, struct rc_conn *c);
void rc_echo_gone(struct rc_serve *sv, struct rc_conn *c);

/* ---- http.c -------------------------------------------------------------------------------------- */

void rc_http_input(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len);
void rc_http_timer(struct rc_serve *sv, struct rc_conn *c);
void rc_http_gone(struct rc_serve *sv, struct rc_conn *c);
void rc_http_drained(struct rc_serve *sv, struct rc_conn *c);
/* The peer sends no more. */
void rc_http_ended(struct rc_serve *sv, struct rc_conn *c);
/* The gateway stops, or the connection's keys are spent: what is under way is answered. */
void rc_http_bye(struct rc_serve *sv, struct rc_conn *c);
void rc_http_turn(struct rc_serve *sv);
/* It spoke plain HTTP to a TLS port. */
void rc_http_wants_tls(struct rc_serve *sv, struct rc_conn *c);

/* ---- api.c, apijob.c ----------------------------------------------------------------------------- */

/* What another shard's /api asks (false: no room for the answer, come again) and tells. */
bool rc_api_asked(struct rc_serve *sv, const void *bytes, size_t len);
void rc_api_told(struct rc_serve *sv, const void *bytes, size_t len);
void rc_api_outcome(struct rc_serve *sv, const struct rc_outcome *outcome);
void rc_api_turn(struct rc_serve *sv);
/* Something waits for room in a ring. */
bool rc_api_waiting(const struct rc_serve *sv);
/* Nothing that was taken in is undecided. */
bool rc_api_settled(const struct rc_serve *sv);
/* ---- users.c ------------------------------------------------------------------------------------- */

/* What another shard asks about users (false: no room for the answer, come again) and tells. */
bool rc_users_asked(struct rc_serve *sv, const void *bytes, size_t len);
void rc_users_told(struct rc_serve *sv, const void *bytes, size_t len);
void rc_users_turn(struct rc_serve *sv);
/* Something waits for room in a ring. */
bool rc_users_waiting(const struct rc_serve *sv);

/* ---- lag.c --------------------------------------------------------------------------------------- */

void rc_lag_turn(struct rc_serve *sv);

/* ---- ingest.c ------------------------------------------------------------------------------------ */

size_t rc_ingest_publisher_bytes(void);
/* identity: of the certificate that the publisher showed, "" for none. */
bool rc_ingest_open(struct rc_serve *sv, struct rc_conn *c, struct rc_str identity);
/* It spoke without TLS to a TLS port. */
void rc_ingest_wants_tls(struct rc_serve *sv, struct rc_conn *c);
void rc_ingest_renew(struct rc_serve *sv, struct rc_conn *c);
void rc_ingest_input(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len);
void rc_ingest_timer(struct rc_serve *sv, struct rc_conn *c);
void rc_ingest_gone(struct rc_serve *sv, struct rc_conn *c);
void rc_ingest_drained(struct rc_serve *sv, struct rc_conn *c);
void rc_ingest_bye(struct rc_serve *sv, struct rc_conn *c);
void rc_ingest_turn(struct rc_serve *sv);
/* What it subscribed to can't be given any more. */
void rc_ingest_end(struct rc_serve *sv, struct rc_conn *c, uint16_t code, const char *reason);
/* Not read until the shard is less busy. */
void rc_ingest_hold(struct rc_serve *sv, struct rc_conn *c);
void rc_ingest_outcome(struct rc_serve *sv, const struct rc_outcome *outcome);
void rc_ingest_granted(
	struct rc_serve *sv, const struct rc_holder *to, bool taken, uint64_t sequence);
void rc_ingest_evicted(struct rc_serve *sv, const struct rc_holder *who);
/* Nothing of any publisher is undecided or unacknowledged. */
/* sv->auth is another one. */
void rc_ingest_services_changed(struct rc_serve *sv);
bool rc_ingest_settled(const struct rc_serve *sv);

#endif
