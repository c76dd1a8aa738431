/* SPDX-License-Identifier: Apache-2.0
 *
 * A shard: one thread, one ring, its connections and channels. The gateway is its shards and the rings between them.
 *
 *   loop.c    the turn: completions, messages, timers, flush, sleep
 *   flush.c   sends: from the dirty channels and the connections with something to say
 *   route.c   the ports of hub and serve: what stays here is called, what goes elsewhere is put into a ring
 *   gateway.c start and stop of all
 *   tls.c     certificates of all, and their reload
 *   auth.c    keys of tokens and services, and their reload
 *   rules.c   what namespaces take from publishers, and the reload of their schemas
 *
 * Everything in a shard belongs to its thread, except what is marked shared.
 */
#ifndef RC_SHARD_SHARD_H
#define RC_SHARD_SHARD_H

#include <pthread.h>
#include <stdatomic.h>

#include "mem/budget.h"
#include "mem/region.h"
#include "serve/limits.h"
#include "serve/serve.h"
#include "serve/webhook.h"
#include "shard/logs.h"
#include "sync/sleeper.h"
#include "sync/spsc.h"

#define RC_SHARD_SCRATCH     (1u << 20)
#define RC_SHARD_FLUSHED_MAX 512u       /* channels of a turn whose latency is counted */
#define RC_SHARD_SEALED      (4u << 20) /* records made in one turn */

struct rc_gateway;

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): how much there is depends on what the layers below have */
struct rc_shard {
	struct rc_gateway *gateway;
	uint32_t index;
	int cpu; /* -1 = not pinned */
	struct rc_io *io;
	struct rc_region memory;
	struct rc_buddy arena;
	struct rc_pool pool;
	struct rc_conns conns;
	struct rc_hub hub;
	struct rc_home home;
	struct rc_serve serve;
	struct rc_counters_shard *counters;
	int listener[RC_PORTS];   /* -1: none */
	int spare_fd;             /* given up to answer when descriptors run out */
	uint64_t accept_again_ns; /* when accepting goes on after that */
	uint32_t accept_generation;
	uint32_t drain_next;
	unsigned char *scratch; /* gathered output of one flush */
	uint32_t scratch_used;
	uint32_t send_budget;
	uint32_t
		send_left; /* of it, when the channels have used up their part of the sealing room */
	uint32_t seal_spare; /* of that room, left to others */
	uint64_t now_ns;
	uint64_t second_ns;  /* the next once-a-second work */
	uint64_t stamp_told; /* to the other shards */
	uint32_t flushed_count;
	uint64_t flushed_ns
		[RC_SHARD_FLUSHED_MAX]; /* when came in what this turn's flush was done with */
	uint64_t touched;               /* shards whose rings got records this turn */
	bool accepting[RC_PORTS];
	bool slept;        /* since now_ns */
	uint64_t sleep_ns; /* since when, in a turn that sleeps or polls */
	bool blocked;      /* some record could not be handled for want of room elsewhere */
	bool backlogged; /* clients who take all they get are behind: nothing new is taken in before they have it */
	bool drain_begun, drain_told;
	bool drain_answered, drain_backends; /* no client waits; the backends were told, too */
	uint64_t drain_end_ns;
	pthread_t thread;
	bool started;
	/* shared */
	struct rc_sleeper sleeper;
};

/* The channel of one ordered pair. */
struct rc_pair {
	struct rc_spsc asks;
	struct rc_spsc tells;
};

/* Main thread, but for what shared points to. */
struct rc_gateway_tls {
	struct rc_serve_tls *shared;    /* NULL: no TLS port */
	struct rc_tls_context *context; /* the one in place */
	struct rc_tls_context *old;     /* the one before, until no shard looks at it any more */
	struct rc_tls_tickets *tickets;
	uint64_t given_back; /* handshakes that were done when memory was last given back */
};

/* Main thread, but for what shared points to. */
struct rc_gateway_auth {
	struct rc_serve_auth *shared;
	struct rc_auth *current; /* the one in place */
	struct rc_auth *old;     /* the one before, until no shard looks at it any more */
	uint64_t stamp;          /* of the files when they were last read, or tried */
};

/* Main thread, but for what shared points to. */
struct rc_gateway_rules {
	struct rc_serve_rules *shared; /* NULL: every namespace takes everything */
	struct rc_validation *current; /* those in place */
	struct rc_validation *old;     /* those before, until no shard looks at them any more */
	uint64_t stamp;                /* of the files when they were last read, or tried */
};

struct rc_gateway {
	struct rc_logs logs; /* first, for it begins a cache line */
	const struct rc_config *config;
	uint32_t count;
	struct rc_shard *shards;
	struct rc_webhook_target webhook;
	struct rc_pair *pairs; /* [from * count + to] */
	struct rc_region rings;
	struct rc_region addresses; /* that the limits count */
	struct rc_limits limiting;
	size_t ring_bytes;
	struct rc_hub_namespace namespaces[1 + RC_CONFIG_NAMESPACES_MAX];
	struct rc_hash_key key;
	struct rc_counters counters;
	struct rc_hub_limits limits;
	uint32_t conns_max; /* per shard */
	size_t arena_bytes; /* per shard */
	uint32_t home_max;
	struct rc_gateway_tls tls;
	struct rc_gateway_auth auth;
	struct rc_gateway_rules rules;
	struct rc_serve_info info;
	int wake_fd; /* readable when the main thread wants to be heard */
	/* shared */
	_Atomic uint32_t stopping; /* 0 run, 1 drain, 2 end now */
	_Atomic uint32_t answered; /* shards none of whose clients wait for a backend */
	_Atomic uint32_t drained;  /* shards whose publishers have settled */
	_Atomic uint32_t ended;    /* shards whose thread is about to return */
};

static inline struct rc_pair *rc_gateway_pair(
	const struct rc_gateway *g, uint32_t from, uint32_t to)
{
	return &g->pairs[(size_t)from * g->count + to];
}

/* ---- gateway.c: main thread --------------------------------------------------------------------- */

/* Sizes everything from the configuration and fills in the budget; nothing is opened. */
int rc_gateway_plan(struct rc_gateway *g, const struct rc_config *config, struct rc_budget *budget,
	struct rc_error *err) RC_MUST_USE;
/* Rings and memory; no port yet. */
int rc_gateway_open(struct rc_gateway *g, struct rc_error *err) RC_MUST_USE;
/* Ports. On success those that were chosen are in ports, 0 where there is none. */
int rc_gateway_listen(
	struct rc_gateway *g, uint16_t ports[RC_PORTS], struct rc_error *err) RC_MUST_USE;
/* The address that was configured for a port; family 0: none. */
struct rc_address rc_gateway_address(const struct rc_config *config, enum rc_port port);
int rc_gateway_start(struct rc_gateway *g, struct rc_error *err) RC_MUST_USE;
/* 1: drain and end; 2: end at once. Async-signal-safe. */
void rc_gateway_stop(struct rc_gateway *g, uint32_t how);
/* Every shard's thread has come to its end. */
bool rc_gateway_ended(const struct rc_gateway *g);
/* Shards that sleep take a turn. */
void rc_gateway_wake(const struct rc_gateway *g);
/* Every shard has seen this version of something that they share, so that the one before can go. */
bool rc_gateway_followed(const struct rc_gateway *g, const _Atomic uint64_t *version,
	const _Atomic uint64_t seen[RC_SHARDS_MAX]);
void rc_gateway_join(struct rc_gateway *g);
void rc_gateway_close(struct rc_gateway *g);

/* ---- tls.c: main thread ------------------------------------------------------------------------- */

/* Certificates, tickets, what the kernel can. Nothing to do without a certificate. */
int rc_gateway_tls_open(struct rc_gateway *g, struct rc_error *err) RC_MUST_USE;
/* Reads the certificates again. On failure all goes on with the old ones. */
int rc_gateway_tls_reload(struct rc_gateway *g, struct rc_error *err) RC_MUST_USE;
/* Now and then: ticket keys grow old, and a replaced context is let go when no shard looks at it any more. */
void rc_gateway_tls_tick(struct rc_gateway *g);
/* After the shards. */
void rc_gateway_tls_close(struct rc_gateway *g);

/* ---- auth.c: main thread ------------------------------------------------------------------------ */

int rc_gateway_auth_open(struct rc_gateway *g, struct rc_error *err) RC_MUST_USE;
/* Reads the files again. On failure all goes on with the old ones. */
int rc_gateway_auth_reload(struct rc_gateway *g, struct rc_error *err) RC_MUST_USE;
/* About once a second: reloads when the files have changed, and lets go what no shard looks at any more. */
void rc_gateway_auth_tick(struct rc_gateway *g);
/* After the shards. */
void rc_gateway_auth_close(struct rc_gateway *g);

/* ---- rules.c: main thread ----------------------------------------------------------------------- */

int rc_gateway_rules_open(struct rc_gateway *g, struct rc_error *err) RC_MUST_USE;
/* Whether the rules and their schemas can be used. */
int rc_gateway_rules_try(const struct rc_config *config, struct rc_error *err) RC_MUST_USE;
/* Reads the schemas again, and says what came of it. On failure all goes on with the old ones. */
void rc_gateway_rules_reload(struct rc_gateway *g);
/* About once a second: reloads when the files have changed, and lets go what no shard looks at any more. */
void rc_gateway_rules_tick(struct rc_gateway *g);
/* After the shards. */
void rc_gateway_rules_close(struct rc_gateway *g);

/* ---- loop.c -------------------------------------------------------------------------------------- */

/* The thread: begins, takes turns until the gateway stops. */
void *rc_shard_run(void *shard);
/* By themselves, for those who measure a shard without a thread of its own. A turn says whether there is to be another. */
void rc_shard_begin(struct rc_shard *s);
bool rc_shard_turn(struct rc_shard *s);

/* ---- flush.c ------------------------------------------------------------------------------------- */

void rc_flush(struct rc_shard *s);
/* More is there to send than this turn's budget allowed. */
bool rc_flush_pending(const struct rc_shard *s);
void rc_flush_sent(struct rc_shard *s, struct rc_conn *c, int32_t res);
void rc_flush_writable(struct rc_shard *s, struct rc_conn *c);
void rc_flush_overrun(struct rc_shard *s, uint32_t replica);
void rc_flush_lost(struct rc_shard *s, uint32_t replica);

/* ---- route.c ------------------------------------------------------------------------------------- */

void rc_route_hub_port(struct rc_shard *s, struct rc_hub_port *hub);
void rc_route_serve_ports(
	struct rc_shard *s, struct rc_home_port *home, struct rc_serve_port *serve);
/* Handles what other shards sent, within a budget. True when something was handled. */
bool rc_route_receive(struct rc_shard *s);
/* Makes visible what was written, and rings those who sleep. */
void rc_route_publish(struct rc_shard *s);
/* Tells the others how far our events are, so that positions move on where nothing comes. Once a second. */
void rc_route_stamp(struct rc_shard *s);
/* All incoming rings are empty. */
bool rc_route_idle(struct rc_shard *s);

#endif
