/* SPDX-License-Identifier: Apache-2.0
 *
 * Sizes, memory, ports, threads: all that happens before the first connection and after the last.
 */
#include "shard/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "conn/tls.h"
#include "io/socket.h"
#include "auth/claims.h"
#include "proto/trace.h"
#include "serve/acked.h"
#include "serve/api.h"
#include "serve/commands.h"
#include "serve/webhook.h"
#include "serve/users.h"

#define LARGE_BUFFERS      64u
#define LARGE_BUFFER_BYTES 65536u
#define HANDSHAKE_BYTES    51200u /* that OpenSSL holds while one lasts */
#define CONNS_SLACK        64u    /* requests that are not clients yet, or not any more */
#define ARENA_MIN          (8u << 20)
#define ARENA_MAX          (64ull << 30) /* connections name places in it in 16-byte units of 32 bits */
#define HUGE_CLIENTS       100000u
#define RING_MIN           (1u << 20)
#define TLS_STACK          (1u << 20)

_Static_assert(RC_PRESENCE_NAMESPACES_MAX >= 1 + RC_CONFIG_NAMESPACES_MAX, "a line for each");

static uint32_t usable_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (uint32_t)RC_MAX(CPU_COUNT(&set), 1);
}

static int check_cpus(const struct rc_config *config, struct rc_error *err)
{
	cpu_set_t set;
	long known = sysconf(_SC_NPROCESSORS_CONF);

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return rc_error_set(
			err, "the CPUs of this process can't be asked: %s", strerror(errno));
	for (uint32_t i = 0; i < config->cpus.count; i++) {
		int cpu = config->cpus.cpu[i];
		if (cpu >= known)
			return rc_error_set(err,
				"cpus names CPU %d, but this host has only %ld (0 to %ld)", cpu,
				known, known - 1);
		if (!CPU_ISSET((size_t)cpu, &set))
			return rc_error_set(err,
				"cpus names CPU %d, which this process may not use: its cgroup or affinity mask forbids it "
				"(see Cpus_allowed_list in /proc/self/status, AllowedCPUs in a systemd unit)",
				cpu);
	}
	return 0;
}

/* The NUMA node of a CPU, -1 when there is only one or none is told. */
static int node_of(int cpu)
{
	char path[96];

	if (cpu < 0 || access("/sys/devices/system/node/node1", F_OK) != 0)
		return -1;
	for (int node = 0; node < 64; node++) {
		(void)snprintf(
			path, sizeof(path), "/sys/devices/system/cpu/cpu%d/node%d", cpu, node);
		if (access(path, F_OK) == 0)
			return node;
	}
	return -1;
}

/* Steps of 2 MiB are nothing to a large gateway, and much to a small one. */
static bool huge_pages(const struct rc_config *config)
{
	return config->huge_pages == RC_CONFIG_HUGE_YES ||
	       (config->huge_pages == RC_CONFIG_HUGE_AUTO && config->max_clients >= HUGE_CLIENTS);
}

static struct rc_io_options io_options(const struct rc_config *config, int node)
{
	return (struct rc_io_options){
		.submit_entries = config->submit_entries,
		.buffers = {config->receive_buffers, LARGE_BUFFERS},
		.buffer_bytes = {config->receive_buffer_bytes, LARGE_BUFFER_BYTES},
		.node = node,
	};
}

/* What one shard must hold of something that spreads over all of them by chance. */
static uint32_t share(uint32_t total, uint32_t shards)
{
	uint64_t fair = ((uint64_t)total + shards - 1) / shards;

	return (uint32_t)RC_MIN((uint64_t)total, fair * 2 + CONNS_SLACK);
}

/* ---- plan --------------------------------------------------------------------------------------- */

/* Where the parts of a shard's memory begin. */
struct layout {
	size_t hub, serve, home, scratch, state;
	size_t tls, sealed, shakes; /* with TLS */
	size_t api, users, acked, commands;
	size_t total;
};

/* Each has at least one connection, or is remembered and makes room. */
static uint32_t users_max(const struct rc_gateway *g)
{
	return share(g->config->max_clients, g->count);
}

static size_t users_bytes(const struct rc_gateway *g)
{
	return rc_users_bytes(g->conns_max, users_max(g), g->limits.frame_max);
}

/* Of one shard: as many as may come to it by chance. */
static uint32_t calls_max(const struct rc_gateway *g)
{
	return share(g->config->max_commands, g->count);
}

static struct rc_desk_limits desk_limits(const struct rc_gateway *g)
{
	return (struct rc_desk_limits){
		.backends = g->config->max_backends + (g->config->webhook_url[0] != 0),
		.commands = g->config->max_commands,
		.queue = g->config->command_queue,
		.credit = g->config->credit_max,
	};
}

/* Behind the tables of the shard that keeps the desk, the last one. */
static size_t desk_bytes(const struct rc_gateway *g)
{
	const struct rc_desk_limits limits = desk_limits(g);

	return rc_align_up(rc_desk_bytes(&limits), 4096) +
	       rc_align_up(rc_webhooks_bytes(g->config), 4096);
}

static struct layout layout_of(const struct rc_gateway *g)
{
	struct layout l = {.hub = rc_align_up(rc_conns_bytes(g->conns_max), 4096)};

	l.serve = l.hub + rc_align_up(rc_hub_bytes(&g->limits), 4096);
	l.home = l.serve + rc_align_up(rc_serve_bytes(g->config), 4096);
	l.scratch = l.home + rc_align_up(rc_home_bytes(g->home_max), 4096);
	l.state = l.scratch + RC_SHARD_SCRATCH;
	l.api = l.state + rc_align_up(rc_buddy_state_bytes(g->arena_bytes), 4096);
	l.users = l.api + rc_align_up(rc_api_bytes(g->config, g->count), 4096);
	l.acked = l.users + rc_align_up(users_bytes(g), 4096);
	l.commands = l.acked + rc_align_up(rc_acked_bytes(g->limits.consumers_max), 4096);
	l.total = l.commands + rc_align_up(rc_commands_bytes(calls_max(g)), 4096);
	if (g->config->tls_certificate[0]) {
		uint32_t shakes = rc_handshake_count(g->config, g->count);
		l.tls = l.total;
		l.sealed = l.tls + rc_align_up(rc_conn_tls_bytes(g->conns_max), 4096);
		l.shakes = l.sealed + RC_SHARD_SEALED;
		l.total = l.shakes + rc_align_up(rc_handshake_bytes(shakes), 4096);
	}
	return l;
}

static void tls_budget(const struct rc_gateway *g, struct rc_budget *b)
{
	uint64_t shakes = rc_handshake_count(g->config, g->count);
	uint64_t n = g->count;
	char text[56];

	(void)snprintf(text, sizeof(text), "max_clients, %zu B each in user space",
		sizeof(struct rc_conn_tls));
	rc_budget_add(b, "TLS streams, records being made", text,
		n * (rc_conn_tls_bytes(g->conns_max) + RC_SHARD_SEALED), false);
	(void)snprintf(text, sizeof(text), "max_handshakes %u", g->config->tls_max_handshakes);
	rc_budget_add(b, "TLS handshakes", text,
		n * shakes * (HANDSHAKE_BYTES + rc_handshake_bytes(1)), false);
}

/* Connections of all shards, as far as the system's limit of clients lets them be. */
static uint32_t connections_of_all(const struct rc_gateway *g)
{
	return g->config->max_clients + g->config->max_publishers + g->count * CONNS_SLACK;
}

static void fill_budget(const struct rc_gateway *g, struct rc_budget *b)
{
	const struct rc_config *config = g->config;
	const struct rc_hub_limits *l = &g->limits;
	struct rc_io_options io = io_options(config, -1);
	char text[56];
	uint64_t n = g->count;

	(void)snprintf(text, sizeof(text), "max_clients %u, %zu B each", config->max_clients,
		sizeof(struct rc_conn));
	rc_budget_add(b, "connection table", text, n * rc_conns_bytes(g->conns_max), false);
	(void)snprintf(text, sizeof(text), "max_channels %u", config->max_channels);
	rc_budget_add(b, "channels and subscriptions", text,
		n * (rc_hub_bytes(l) - rc_hub_presence_bytes(l) - rc_hub_consumer_bytes(l)), false);
	if (l->presence_max) {
		(void)snprintf(text, sizeof(text), "max_presence %u", config->max_presence);
		rc_budget_add(b, "presence", text, n * rc_hub_presence_bytes(l), false);
	}
	if (l->consumers_max) {
		(void)snprintf(text, sizeof(text), "max_consumers %u", config->max_consumers);
		rc_budget_add(b, "acknowledged delivery", text,
			n * (rc_hub_consumer_bytes(l) + rc_acked_bytes(l->consumers_max)), false);
	}
	(void)snprintf(text, sizeof(text), "memory, %llu KiB a shard",
		(unsigned long long)g->arena_bytes / 1024);
	rc_budget_add(b, "logs, output and input in waiting", text,
		n * (g->arena_bytes + rc_buddy_state_bytes(g->arena_bytes)), false);
	(void)snprintf(text, sizeof(text), "receive_buffers %u x %u B", config->receive_buffers,
		config->receive_buffer_bytes);
	rc_budget_add(b, "io_uring queues and buffers", text, n * rc_io_bytes(&io), false);
	(void)snprintf(text, sizeof(text), "max_publishers, max_publisher_ids %u",
		config->max_publisher_ids);
	rc_budget_add(b, "publishers", text,
		n * (rc_serve_bytes(config) + rc_home_bytes(g->home_max)), false);
	rc_budget_add(b, "addresses", "what the limits know of them",
		rc_limits_bytes(config, connections_of_all(g)), false);
	(void)snprintf(text, sizeof(text), "idempotency_keys %u", config->http_idempotency_keys);
	rc_budget_add(b, "publish requests", text, n * rc_api_bytes(config, g->count), false);
	rc_budget_add(b, "users", "max_clients", n * users_bytes(g), false);
	(void)snprintf(text, sizeof(text), "max_commands %u", config->max_commands);
	rc_budget_add(
		b, "commands", text, n * rc_commands_bytes(calls_max(g)) + desk_bytes(g), false);
	(void)snprintf(text, sizeof(text), "2 x %llu pairs x %zu KiB",
		(unsigned long long)n * (n - 1), g->ring_bytes / 1024);
	rc_budget_add(b, "rings between shards", text, 2 * n * (n - 1) * g->ring_bytes, false);
	if (config->tls_certificate[0])
		tls_budget(g, b);
	rc_budget_add(b, "lines of the log", NULL, rc_logs_bytes(g->count), false);
	rc_budget_add(
		b, "stacks and gathered output", NULL, n * (TLS_STACK + RC_SHARD_SCRATCH), false);
	(void)snprintf(text, sizeof(text), "about 5.8 KiB a client while idle");
	rc_budget_add(b, "sockets", text, (uint64_t)config->max_clients * 5939, true);
	(void)snprintf(
		text, sizeof(text), "notsent_lowat %u, half of the clients", config->notsent_lowat);
	rc_budget_add(b, "socket buffers under load", text,
		(uint64_t)config->max_clients / 2 * config->notsent_lowat, true);
}

static uint64_t history_bytes(const struct rc_config *config, uint32_t shards)
{
	return (config->history_memory ? config->history_memory : config->memory / 2) / shards;
}

int rc_gateway_plan(struct rc_gateway *g, const struct rc_config *config, struct rc_budget *budget,
	struct rc_error *err)
{
	static const unsigned char trace[RC_TRACE_BYTES];
	bool keeps_history = false, presence = false;
	struct rc_event bound_event = {.data = {NULL, config->max_message}, .trace = trace};

	memset(g, 0, sizeof(*g));
	g->config = config;
	g->wake_fd = -1;
	if (check_cpus(config, err) < 0)
		return -1;
	g->count = config->shards       ? config->shards
		   : config->cpus.count ? config->cpus.count
					: RC_MIN(usable_cpus(), (uint32_t)RC_SHARDS_MAX);
	if (config->cpus.count && config->shards > config->cpus.count)
		return rc_error_set(err, "shards is %u but cpus names only %u", config->shards,
			config->cpus.count);
	for (uint32_t i = 0; i <= config->namespace_count; i++) {
		const struct rc_config_namespace *ns = &config->ns[i];
		g->namespaces[i] = (struct rc_hub_namespace){
			.lag_bytes = ns->lag_bytes,
			.lag_ms = ns->lag_time_ms,
			.policy = (enum rc_slow_policy)ns->slow_policy,
			.key = rc_str_of(ns->slow_key),
			.raw = ns->raw,
			.trace = ns->trace,
			.deflate = ns->deflate,
			.channel_ttl_ms = ns->channel_ttl_ms,
			.history_size = ns->history_size,
			.history_bytes = ns->history_bytes,
			.history_ttl_ms = ns->history_ttl_ms,
			.first_latest = ns->on_subscribe == RC_CONFIG_FIRST_LATEST,
			.presence = ns->presence,
			.join_leave = ns->join_leave,
			.presence_linger_ms = ns->presence_linger_ms,
			.presence_interval_ms = ns->presence_interval_ms,
			.presence_max = ns->presence_max,
		};
		presence |= ns->presence;
		if (ns->join_leave)
			bound_event.data.len =
				RC_MAX(bound_event.data.len, (size_t)RC_PRESENCE_DATA_MAX);
		keeps_history |= ns->history_size != 0;
	}
	if (keeps_history)
		bound_event.data.len = RC_MAX(
			bound_event.data.len, (size_t)config->max_message + RC_DEAD_OVERHEAD);
	/* The largest event in its largest rendition: names of full length, each byte of the event's escaped. */
	size_t frame_max = rc_event_ws_bound(&bound_event, false) + RC_CHANNEL_MAX +
			   6 * RC_EVENT_NAME_MAX + 6 * RC_USER_MAX + 64;
	uint32_t channels = share(config->max_channels, g->count);
	g->conns_max = share(config->max_clients, g->count) + config->max_publishers + CONNS_SLACK +
		       (config->webhook_url[0] ? config->webhook_connections : 0);
	g->arena_bytes = RC_MIN(RC_MAX(config->memory / g->count, (uint64_t)ARENA_MIN), ARENA_MAX) &
			 ~(uint64_t)(RC_BUDDY_MIN - 1);
	g->home_max = share(config->max_publisher_ids, g->count);
	/* A stream of its own for every client, all views, and of every fourth channel a binary or a deflated form. */
	uint32_t renditions = g->conns_max + share(config->max_views, g->count) + channels / 4;
	g->limits = (struct rc_hub_limits){
		.shards = g->count,
		.channels_max = config->max_channels,
		.owned_max = channels + 16,
		/* Channels and patterns are never without room for what is made of them. */
		.replicas_max = channels + config->max_patterns + renditions + 16,
		.renditions_max = renditions,
		.subs_max = g->conns_max * 2 + channels * 4,
		.patterns_max = config->max_patterns,
		.frame_max = (uint32_t)frame_max,
		.history_bytes_max = history_bytes(config, g->count),
		.views_max = share(config->max_views, g->count),
		.view_bytes = config->view_bytes,
		.keeps_history = keeps_history,
		.namespaces = 1 + config->namespace_count,
		.consumers_max = keeps_history ? share(config->max_consumers, g->count) : 0,
		.consumers_per_user = share(config->max_consumers_per_user, g->count),
		.ack_ttl_ms = config->ack_ttl_ms,
		.ack_window_bytes = config->ack_window_bytes,
		.presence_max = presence ? share(config->max_presence, g->count) : 0,
		.deflate_level = rc_config_deflates(config) ? config->deflate_level : 0,
		.deflate_min = config->deflate_min,
	};
	/* A command has its client's message and who it is. */
	uint64_t command_max = 2 * ((uint64_t)config->client_message_max + 2048);
	g->ring_bytes = config->ring_bytes
				? config->ring_bytes
				: rc_pow2_ceil(RC_MAX(
					  RC_MAX((uint64_t)RING_MIN, command_max), 8 * frame_max));
	/* A message to many users has its event and their names. */
	uint64_t ring_min = RC_MAX(4 * (uint64_t)frame_max,
		2 * ((uint64_t)config->max_message + RC_USER_TARGETS_MAX + 1024));
	if (g->ring_bytes < ring_min)
		return rc_error_set(err,
			"ring_bytes is %zu; with this max_message it must be at least %llu",
			g->ring_bytes, (unsigned long long)rc_pow2_ceil(ring_min));
	g->limits.fetch_bytes = (uint32_t)RC_MIN(g->ring_bytes / 4, (size_t)RC_HISTORY_PAGE_BYTES);
	fill_budget(g, budget);
	g->info.budget = *budget;
	return 0;
}

/* ---- open --------------------------------------------------------------------------------------- */

/* Calls through a pointer of another type are undefined, even where only a pointer's type differs. */
static void on_gone(void *ctx, struct rc_conn *c)
{
	rc_serve_gone(ctx, c);
}

static void on_timer(void *ctx, struct rc_conn *c)
{
	rc_serve_timer(ctx, c);
}

static void on_drained(void *ctx, struct rc_conn *c)
{
	rc_serve_drained(ctx, c);
}

static int open_shard(struct rc_gateway *g, uint32_t index, struct rc_error *err)
{
	struct rc_shard *s = &g->shards[index];
	const struct rc_config *config = g->config;
	struct layout at = layout_of(g);

	s->gateway = g;
	s->index = index;
	s->cpu = index < config->cpus.count ? config->cpus.cpu[index] : -1;
	s->counters = rc_counters_shard(&g->counters, index);
	int node = node_of(s->cpu);
	struct rc_io_options io = io_options(config, node);
	if (rc_io_open(&s->io, &io, err) < 0)
		return rc_error_prefix(err, "shard %u", index);
	bool keeps_desk = index == g->count - 1;
	size_t tables = rc_align_up(at.total + (keeps_desk ? desk_bytes(g) : 0), 2u << 20);
	if (rc_region_open(&s->memory, tables + g->arena_bytes,
		    huge_pages(config) ? RC_REGION_HUGE : 0, node, err) < 0)
		return rc_error_prefix(err, "shard %u", index);
	unsigned char *base = s->memory.base;
	s->scratch = base + at.scratch;
	rc_buddy_init(&s->arena, base + tables, g->arena_bytes, base + at.state);
	rc_gauge_set(s->counters, RC_C_arena_size_bytes, g->arena_bytes);
	rc_pool_init(&s->pool, &s->arena);
	uint64_t now = rc_clock_mono_ns();
	struct rc_conn_events events = {
		.ctx = &s->serve,
		.gone = on_gone,
		.timer = on_timer,
		.drained = on_drained,
	};
	rc_conns_init(&s->conns, base, g->conns_max, s->io, &s->pool, s->counters, &events,
		(uint32_t)(now / (RC_CONN_TICK_MS * 1000000ull)), config->close_timeout_ms);
	struct rc_hub_port hub_port;
	struct rc_home_port home_port;
	struct rc_hub_limits limits = g->limits;
	limits.shard = index;
	rc_route_hub_port(s, &hub_port);
	rc_route_serve_ports(s, &home_port, &s->serve.port);
	rc_hub_init(&s->hub, &limits, &hub_port, g->namespaces, &g->key, &s->arena, &s->pool,
		s->counters, base + at.hub);
	rc_home_init(&s->home, &g->key, &home_port, g->home_max, config->publisher_ttl_ms,
		base + at.home);
	s->serve.config = config;
	s->serve.hub = &s->hub;
	s->serve.conns = &s->conns;
	s->serve.pool = &s->pool;
	s->serve.counters = s->counters;
	s->serve.shard = index;
	s->serve.limits = &g->limiting;
	s->serve.info = &g->info;
	s->serve.auth = g->auth.current;
	s->serve.auth_shared = g->auth.shared;
	/* What it begins with is no reload, and the first one may come before its first turn. */
	s->serve.auth_seen = 1;
	s->serve.rules = g->rules.current;
	s->serve.rules_shared = g->rules.shared;
	s->serve.rules_seen = 1;
	uint64_t seed;
	rc_random_bytes(&seed, sizeof(seed));
	rc_prng_seed(&s->serve.prng, seed);
	rc_serve_init(&s->serve, base + at.serve);
	rc_api_init(&s->serve, base + at.api, g->count);
	rc_acked_init(&s->serve, base + at.acked, g->limits.consumers_max);
	rc_users_init(&s->serve, base + at.users, g->conns_max, users_max(g));
	const struct rc_desk_limits desk = desk_limits(g);
	rc_commands_init(&s->serve, base + at.commands, calls_max(g),
		keeps_desk ? base + at.total : NULL, &desk,
		g->ring_bytes / 2 - RC_SPSC_RECORD_HEADER);
	if (keeps_desk && config->webhook_url[0] &&
		rc_webhooks_init(&s->serve, &g->webhook,
			base + at.total + rc_align_up(rc_desk_bytes(&desk), 4096), err) < 0)
		return -1;
	if (g->tls.shared) {
		s->serve.tls = g->tls.shared;
		rc_handshake_init(
			&s->serve, base + at.shakes, rc_handshake_count(config, g->count));
		if (rc_conn_tls_init(&s->conns, base + at.tls, base + at.sealed, RC_SHARD_SEALED,
			    config->tls_renew_records) < 0)
			return rc_error_set(err,
				"shard %u: OpenSSL has no AES-GCM or no ChaCha20-Poly1305", index);
	}
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return 0;
}

static int open_rings(struct rc_gateway *g, struct rc_error *err)
{
	size_t pairs = (size_t)g->count * g->count;

	if (rc_region_open(&g->rings, RC_MAX(2 * pairs * g->ring_bytes, (size_t)4096), 0, -1, err) <
		0)
		return rc_error_prefix(err, "rings between shards");
	unsigned char *at = g->rings.base;
	for (size_t i = 0; i < pairs; i++) {
		rc_spsc_init(&g->pairs[i].asks, at, g->ring_bytes);
		rc_spsc_init(&g->pairs[i].tells, at + g->ring_bytes, g->ring_bytes);
		at += 2 * g->ring_bytes;
	}
	return 0;
}

static int open_limits(struct rc_gateway *g, struct rc_error *err)
{
	size_t bytes = rc_limits_bytes(g->config, connections_of_all(g));

	/* Its pages are touched as addresses come. */
	if (bytes && rc_region_open(&g->addresses, bytes, 0, -1, err) < 0)
		return rc_error_prefix(err, "addresses");
	rc_limits_init(&g->limiting, g->config, g->addresses.base, connections_of_all(g));
	return 0;
}

int rc_gateway_open(struct rc_gateway *g, struct rc_error *err)
{
	const char *path = strcmp(g->config->counters, "auto") == 0 ? NULL : g->config->counters;

	rc_random_bytes(&g->key, sizeof(g->key));
	rc_random_bytes(&g->limits.stream_epoch, sizeof(g->limits.stream_epoch));
	g->limits.stream_epoch &= ((uint64_t)1 << RC_EPOCH_BITS) - 1;
	g->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->wake_fd < 0)
		return rc_error_set(err, "no eventfd: %s", strerror(errno));
	g->shards = aligned_alloc(RC_FALSE_SHARING, g->count * sizeof(*g->shards));
	g->pairs = aligned_alloc(RC_FALSE_SHARING, (size_t)g->count * g->count * sizeof(*g->pairs));
	if (!g->shards || !g->pairs)
		return rc_error_set(err, "out of memory");
	memset(g->shards, 0, g->count * sizeof(*g->shards));
	for (uint32_t i = 0; i < g->count; i++) {
		g->shards[i].spare_fd = -1;
		for (int port = 0; port < RC_PORTS; port++)
			g->shards[i].listener[port] = -1;
	}
	if (rc_gateway_tls_open(g, err) < 0 || rc_gateway_auth_open(g, err) < 0 ||
		rc_gateway_rules_open(g, err) < 0)
		return -1;
	if (g->config->webhook_url[0] && rc_webhook_target_open(&g->webhook, g->config, err) < 0)
		return -1;
	if (rc_counters_create(&g->counters, path, g->count, err) < 0)
		return -1;
	if (open_rings(g, err) < 0 || open_limits(g, err) < 0)
		return -1;
	for (uint32_t i = 0; i < g->count; i++) {
		if (open_shard(g, i, err) < 0)
			return -1;
	}
	g->info.counters = &g->counters;
	g->info.arena_bytes = g->count * (uint64_t)g->arena_bytes;
	g->info.start_ns = rc_clock_mono_ns();
	g->info.wall_ms = rc_clock_wall_ms() - g->info.start_ns / 1000000u;
	g->info.send_zc = strstr(rc_io_features(g->shards[0].io), "send_zc") != NULL;
	g->info.min_wait = strstr(rc_io_features(g->shards[0].io), "min_wait") != NULL;
	return 0;
}

/* ---- ports -------------------------------------------------------------------------------------- */

struct rc_address rc_gateway_address(const struct rc_config *config, enum rc_port port)
{
	bool tls = config->tls_certificate[0] != '\0';

	switch (port) {
	case RC_PORT_HTTP:
		return config->listen;
	case RC_PORT_INGEST:
		return config->ingest_listen;
	case RC_PORT_HTTPS:
		return tls ? config->tls_listen : (struct rc_address){0};
	case RC_PORT_ADMIN:
		return config->admin_listen;
	default:
		return tls ? config->tls_ingest_listen : (struct rc_address){0};
	}
}

/* A listener per shard, all on one port. */
static int listen_all(
	struct rc_gateway *g, enum rc_port port, uint16_t *chosen, struct rc_error *err)
{
	const struct rc_config *config = g->config;
	struct rc_socket_options options = {
		.backlog = config->backlog,
		.notsent_lowat = config->notsent_lowat,
		.user_timeout_ms = config->tcp_user_timeout_ms,
		.keepalive_s = (config->tcp_keepalive_ms + 999) / 1000,
		.nodelay = true,
	};
	struct rc_address address = rc_gateway_address(config, port);
	char text[RC_ADDRESS_TEXT_SIZE];

	for (uint32_t i = 0; i < g->count; i++) {
		struct sockaddr_storage a;
		socklen_t len = rc_address_sockaddr(&address, &a);
		rc_address_format(&address, text);
		if (i == 0 && address.port != 0 &&
			rc_socket_free((struct sockaddr *)&a, len, text, err) < 0)
			return -1;
		int fd = rc_socket_listen((struct sockaddr *)&a, len, text, &options, err);
		if (fd < 0)
			return -1;
		g->shards[i].listener[port] = fd;
		/* Port 0: the first listener chooses for all. */
		address.port = rc_socket_port(fd);
	}
	*chosen = address.port;
	if (config->cpus.count && g->count > 1)
		(void)rc_socket_steer_by_cpu(
			g->shards[0].listener[port], config->cpus.cpu, g->count);
	return 0;
}

int rc_gateway_listen(struct rc_gateway *g, uint16_t ports[RC_PORTS], struct rc_error *err)
{
	for (int port = 0; port < RC_PORTS; port++) {
		ports[port] = 0;
		if (rc_gateway_address(g->config, (enum rc_port)port).family &&
			listen_all(g, (enum rc_port)port, &ports[port], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- threads ------------------------------------------------------------------------------------ */

int rc_gateway_start(struct rc_gateway *g, struct rc_error *err)
{
	for (uint32_t i = 0; i < g->count; i++) {
		struct rc_shard *s = &g->shards[i];
		pthread_attr_t attr;
		cpu_set_t set;

		if (pthread_attr_init(&attr) != 0)
			return rc_error_set(err, "out of memory");
		if (s->cpu >= 0) {
			CPU_ZERO(&set);
			CPU_SET((size_t)s->cpu, &set);
			(void)pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
		}
		int rc = pthread_create(&s->thread, &attr, rc_shard_run, s);
		(void)pthread_attr_destroy(&attr);
		if (rc != 0)
			return rc_error_set(
				err, "shard %u: no thread on CPU %d: %s", i, s->cpu, strerror(rc));
		s->started = true;
	}
	return g->webhook.name ? rc_webhook_name_start(g->webhook.name, err) : 0;
}

void rc_gateway_wake(const struct rc_gateway *g)
{
	uint64_t one = 1;

	if (write(g->wake_fd, &one, sizeof(one)) < 0)
		return; /* full: it is readable already */
}

bool rc_gateway_followed(const struct rc_gateway *g, const _Atomic uint64_t *version,
	const _Atomic uint64_t seen[RC_SHARDS_MAX])
{
	uint64_t newest = atomic_load_explicit(version, memory_order_relaxed);

	/* Pairs with the releases in serve.c, where a shard says what it has seen: who has said so holds the old one no more. */
	for (uint32_t i = 0; i < g->count; i++) {
		if (atomic_load_explicit(&seen[i], memory_order_acquire) < newest)
			return false;
	}
	return true;
}

void rc_gateway_stop(struct rc_gateway *g, uint32_t how)
{
	atomic_store_explicit(&g->stopping, how, memory_order_release);
	rc_gateway_wake(g);
}

bool rc_gateway_ended(const struct rc_gateway *g)
{
	return atomic_load_explicit(&g->ended, memory_order_acquire) == g->count;
}

void rc_gateway_join(struct rc_gateway *g)
{
	for (uint32_t i = 0; g->shards && i < g->count; i++) {
		if (g->shards[i].started)
			(void)pthread_join(g->shards[i].thread, NULL);
		g->shards[i].started = false;
	}
}

void rc_gateway_close(struct rc_gateway *g)
{
	for (uint32_t i = 0; g->shards && i < g->count; i++) {
		struct rc_shard *s = &g->shards[i];
		rc_io_close(s->io);
		for (uint32_t k = 0; k < s->conns.mark; k++) {
			if (s->conns.at[k].state != RC_CONN_FREE)
				(void)close(s->conns.at[k].fd);
		}
		for (int port = 0; port < RC_PORTS; port++) {
			if (s->listener[port] >= 0)
				(void)close(s->listener[port]);
		}
		rc_conn_tls_close(&s->conns);
		if (s->spare_fd >= 0)
			(void)close(s->spare_fd);
		rc_region_close(&s->memory);
	}
	rc_gateway_tls_close(g);
	rc_logs_close(&g->logs);
	rc_gateway_auth_close(g);
	rc_gateway_rules_close(g);
	rc_webhook_name_close(g->webhook.name);
	rc_region_close(&g->rings);
	rc_region_close(&g->addresses);
	rc_counters_destroy(&g->counters);
	free(g->shards);
	free(g->pairs);
	if (g->wake_fd >= 0)
		(void)close(g->wake_fd);
}
