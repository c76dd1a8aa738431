/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS handshakes of one shard. A connection on a TLS port is counted for its address, waits for its first bytes without costing
 * more than any other, then goes through the queue:
 *
 *   accepted ─▶ poll ─▶ fresh ─▶ one of max_handshakes ─▶ step ─▶ poll ─▶ begun ─▶ step ... ─▶ HTTP or INGEST
 *
 * Once per turn the queues are gone on with until the turn's time for handshakes is over; those that have begun first, so that
 * what was spent on them is not lost. A connection in a queue is held (rc_conn_hold) as if the kernel had a request for it.
 */
#include <stdatomic.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/logline.h"
#include "conn/tls.h"
#include "serve/limits.h"
#include "serve/session.h"
#include "tls/handshake.h"

struct shake {
	struct rc_tls_handshake tls;
	uint32_t slot; /* of its own place */
};

enum queue { BEGUN, FRESH };

uint32_t rc_handshake_count(const struct rc_config *config, uint32_t shards)
{
	return (config->tls_max_handshakes + shards - 1) / shards;
}

size_t rc_handshake_bytes(uint32_t count)
{
	return (size_t)count * sizeof(struct shake);
}

void rc_handshake_init(struct rc_serve *sv, void *memory, uint32_t count)
{
	rc_slab_init(&sv->shakes, memory, sizeof(struct shake), count);
	for (int q = BEGUN; q <= FRESH; q++)
		sv->shake_first[q] = sv->shake_last[q] = RC_NONE;
}

/* ---- queues ------------------------------------------------------------------------------------- */

static void append(struct rc_serve *sv, struct rc_conn *c, enum queue q)
{
	uint32_t slot = rc_conn_slot(sv->conns, c);

	/* Those before it will have taken every place. */
	if (q == FRESH && sv->shakes.used + sv->shake_fresh++ >= sv->shakes.count_max)
		rc_count(sv->counters, RC_C_tls_waited, 1);
	c->shake.next = RC_NONE;
	if (sv->shake_first[q] == RC_NONE)
		sv->shake_first[q] = slot;
	else
		sv->conns->at[sv->shake_last[q]].shake.next = slot;
	sv->shake_last[q] = slot;
	rc_conn_hold(c);
}

static struct rc_conn *take(struct rc_serve *sv, enum queue q)
{
	struct rc_conn *c = &sv->conns->at[sv->shake_first[q]];

	sv->shake_first[q] = c->shake.next;
	if (q == FRESH)
		sv->shake_fresh--;
	return c;
}

bool rc_handshake_pending(const struct rc_serve *sv)
{
	return sv->shake_first[BEGUN] != RC_NONE ||
	       (sv->shake_first[FRESH] != RC_NONE && sv->shakes.used < sv->shakes.count_max);
}

/* ---- coming and going --------------------------------------------------------------------------- */

static void gauge(struct rc_serve *sv, int64_t delta)
{
	rc_gauge_add(sv->counters, RC_C_tls_handshaking, delta);
}

/* The cell in which unfinished handshakes of an address are counted, by all shards. Two addresses may share one: then both
 * together have the room of one. */
static bool admit(struct rc_serve *sv, struct rc_conn *c)
{
	c->shake.cell = rc_session_address_hash(sv, c, &sv->tls->key) % RC_SERVE_ADDRESS_CELLS;
	_Atomic uint32_t *cell = &sv->tls->unfinished[c->shake.cell];

	if (atomic_fetch_add_explicit(cell, 1, memory_order_relaxed) <
		sv->config->tls_max_handshakes_per_address)
		return true;
	atomic_fetch_sub_explicit(cell, 1, memory_order_relaxed);
	return false;
}

void rc_handshake_open(struct rc_serve *sv, struct rc_conn *c, enum rc_tls_port port)
{
	c->stage = (uint16_t)port;
	if (!admit(sv, c)) {
		c->shake.cell = RC_NONE;
		rc_count(sv->counters, RC_C_tls_refused_address, 1);
		gauge(sv, 1);
		rc_conn_kill(sv->conns, c);
		return;
	}
	gauge(sv, 1);
	rc_conn_wait_readable(sv->conns, c);
}

/* What the handshake held is given back; the connection is another kind, or gone. */
static void leave(struct rc_serve *sv, struct rc_conn *c)
{
	struct shake *s = c->ext;

	if (s) {
		rc_tls_handshake_end(&s->tls);
		rc_slab_put(&sv->shakes, s->slot);
		c->ext = NULL;
	}
	if (c->shake.cell != RC_NONE)
		atomic_fetch_sub_explicit(
			&sv->tls->unfinished[c->shake.cell], 1, memory_order_relaxed);
	gauge(sv, -1);
}

void rc_handshake_gone(struct rc_serve *sv, struct rc_conn *c)
{
	leave(sv, c);
}

void rc_handshake_timer(struct rc_serve *sv, struct rc_conn *c)
{
	rc_count(sv->counters, RC_C_tls_failed_timeout, 1);
	rc_conn_kill(sv->conns, c);
}

void rc_handshake_ready(struct rc_serve *sv, struct rc_conn *c)
{
	if (c->state == RC_CONN_OPEN && c->kind == RC_CONN_HANDSHAKE)
		append(sv, c, c->ext ? BEGUN : FRESH);
	rc_conn_landed(sv->conns, c);
}

/* ---- steps -------------------------------------------------------------------------------------- */

static void failed(struct rc_serve *sv, struct rc_conn *c, enum rc_tls_failure why)
{
	rc_count(sv->counters, (enum rc_counter)(RC_C_tls_failed_plain + (int)why), 1);
	rc_conn_kill(sv->conns, c);
}

/* It speaks without TLS. Who can be answered, is. */
static void plain(struct rc_serve *sv, struct rc_conn *c)
{
	enum rc_tls_port port = (enum rc_tls_port)c->stage;

	rc_count(sv->counters, RC_C_tls_failed_plain, 1);
	leave(sv, c);
	c->secret = 0;
	c->stage = 0;
	if (port == RC_TLS_CLIENTS) {
		c->kind = RC_CONN_HTTP;
		rc_http_wants_tls(sv, c);
	} else {
		c->kind = RC_CONN_INGEST;
		rc_ingest_wants_tls(sv, c);
	}
}

static void finished(struct rc_serve *sv, struct rc_conn *c)
{
	const struct rc_tls_handshake *h = &((struct shake *)c->ext)->tls;
	enum rc_tls_port port = (enum rc_tls_port)c->stage;
	char identity[RC_TLS_IDENTITY_MAX];
	uint8_t identity_len = h->identity_len;
	struct rc_tls_keys keys = h->keys;

	rc_count(sv->counters, h->resumed ? RC_C_tls_resumed : RC_C_tls_full, 1);
	memcpy(identity, h->identity, identity_len);
	leave(sv, c);
	c->secret = 0;
	c->stage = 0;
	c->kind = port == RC_TLS_CLIENTS ? RC_CONN_HTTP : RC_CONN_INGEST;
	bool kept = true;
	if (sv->tls->kernel[keys.version][keys.cipher])
		kept = rc_conn_ktls_begin(sv->conns, c, &keys);
	else
		rc_conn_tls_begin(sv->conns, c, &keys);
	rc_tls_keys_wipe(&keys);
	if (!kept) {
		rc_count(sv->counters, RC_C_tls_failed_protocol, 1);
		rc_conn_kill(sv->conns, c);
		return;
	}
	if (port == RC_TLS_PUBLISHERS &&
		!rc_ingest_open(sv, c, (struct rc_str){identity, identity_len}))
		return;
	rc_serve_arm(sv, c);
}

/* Returns false when it must wait for a place. */
static bool begin(struct rc_serve *sv, struct rc_conn *c)
{
	int looks = rc_tls_looks_like_tls(c->fd);

	if (looks < 0) {
		rc_conn_wait_readable(sv->conns, c);
		return true;
	}
	if (!looks) {
		plain(sv, c);
		return true;
	}
	uint32_t slot = rc_slab_get(&sv->shakes);
	if (slot == RC_NONE)
		return false;
	if (!rc_limits_handshake(sv, c)) {
		rc_slab_put(&sv->shakes, slot);
		rc_conn_kill(sv->conns, c);
		return true;
	}
	struct shake *s = rc_slab_at(&sv->shakes, slot);
	memset(s, 0, sizeof(*s));
	s->slot = slot;
	c->ext = s;
	if (rc_tls_handshake_begin(&s->tls, sv->tls_context, (enum rc_tls_port)c->stage, c->fd) < 0)
		failed(sv, c, RC_TLS_FAILED_PROTOCOL);
	return true;
}

static void step(struct rc_serve *sv, struct rc_conn *c)
{
	struct shake *s = c->ext;

	switch (rc_tls_handshake_step(&s->tls)) {
	case RC_TLS_WANTS_READ:
		rc_conn_wait_readable(sv->conns, c);
		break;
	case RC_TLS_WANTS_WRITE:
		rc_conn_wait_writable(sv->conns, c);
		break;
	case RC_TLS_DONE:
		finished(sv, c);
		break;
	case RC_TLS_FAILED:
		rc_debug_line("tls: handshake failed: %s", s->tls.why);
		failed(sv, c, s->tls.failure);
		break;
	}
}

static void follow_context(struct rc_serve *sv)
{
	uint64_t version = atomic_load_explicit(&sv->tls->version, memory_order_acquire);

	if (version == sv->tls_seen)
		return;
	/* 1 is what the gateway started with. A shard whose first turn comes late may see that one never. */
	if (version > 1)
		rc_count(sv->counters, RC_C_tls_reloads, 1);
	sv->tls_context = atomic_load_explicit(&sv->tls->context, memory_order_acquire);
	sv->tls_seen = version;
	/* From here on this shard does not touch the one before. */
	atomic_store_explicit(&sv->tls->seen[sv->shard], version, memory_order_release);
}

/* Those whose time ran out while they waited for a place give their slot and descriptor back without one. */
static void drop_dead(struct rc_serve *sv)
{
	while (sv->shake_first[FRESH] != RC_NONE &&
		sv->conns->at[sv->shake_first[FRESH]].state == RC_CONN_DEAD)
		rc_conn_landed(sv->conns, take(sv, FRESH));
}

void rc_handshake_turn(struct rc_serve *sv)
{
	follow_context(sv);
	drop_dead(sv);
	if (!rc_handshake_pending(sv))
		return;
	uint64_t until = rc_clock_mono_ns() + (uint64_t)sv->config->tls_handshake_budget_us * 1000;
	do {
		enum queue q = sv->shake_first[BEGUN] != RC_NONE ? BEGUN : FRESH;
		struct rc_conn *c = take(sv, q);
		bool live = c->state == RC_CONN_OPEN && c->kind == RC_CONN_HANDSHAKE;
		if (live && q == FRESH)
			(void)begin(sv, c); /* pending: there is a place */
		if (live && c->state == RC_CONN_OPEN && c->ext && c->kind == RC_CONN_HANDSHAKE)
			step(sv, c);
		rc_conn_landed(sv->conns, c);
	} while (rc_handshake_pending(sv) && rc_clock_mono_ns() < until);
}
