/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/snapshot.h"

#include "ops/counters.h"

#define SYS_CHANNEL "$sys:metrics"
/* What is told of each shard. */
static const enum rc_counter of_shard[] = {
	RC_C_clients,
	RC_C_connections,
	RC_C_clients_behind,
	RC_C_subscriptions,
	RC_C_events_published,
	RC_C_deliveries,
	RC_C_send_bytes,
	RC_C_turns,
	RC_C_sleeps,
	RC_C_busy_ns,
	RC_C_log_bytes,
	RC_C_arena_used_bytes,
};

#define NUMBER_MAX 21u /* digits and a comma */
#define LABEL_MAX  52u /* of a counter, its quotes and its colon */

static size_t bound_of(const struct rc_serve *sv)
{
	size_t shard = RC_ARRAY_LEN(of_shard) * (LABEL_MAX + NUMBER_MAX) + 2;

	return 1024 + RC_COUNTER_COUNT * (LABEL_MAX + NUMBER_MAX) + sv->hub->limits.shards * shard +
	       3 * (size_t)(RC_SNAPSHOT_BOUNDS + 1) * NUMBER_MAX +
	       RC_BUDGET_LINES_MAX * (sizeof(((struct rc_budget_line *)0)->name) + 64);
}

static void add_member(struct rc_textbuf *b, const char *name, uint64_t value)
{
	rc_textbuf_add_char(b, '"');
	rc_textbuf_add_text(b, name);
	rc_textbuf_add_text(b, "\":");
	rc_textbuf_add_u64(b, value);
}

static void add_counters(struct rc_textbuf *b, const struct rc_counters *counters)
{
	bool first = true;

	rc_textbuf_add_text(b, ",\"counters\":{");
	for (uint32_t i = 0; i < RC_COUNTER_COUNT; i++) {
		uint64_t sum = rc_counters_sum(counters, (enum rc_counter)i);
		if (!sum)
			continue;
		if (!first)
			rc_textbuf_add_char(b, ',');
		first = false;
		add_member(b, rc_counter_meta((enum rc_counter)i)->name, sum);
	}
	rc_textbuf_add_char(b, '}');
}

static void add_shards(struct rc_textbuf *b, const struct rc_counters *counters)
{
	rc_textbuf_add_text(b, ",\"perShard\":[");
	for (uint32_t s = 0; s < counters->shard_count; s++) {
		rc_textbuf_add_text(b, s ? ",{" : "{");
		for (uint32_t i = 0; i < RC_ARRAY_LEN(of_shard); i++) {
			if (i)
				rc_textbuf_add_char(b, ',');
			add_member(b, rc_counter_meta(of_shard[i])->name,
				rc_counter_get(rc_counters_shard(counters, s), of_shard[i]));
		}
		rc_textbuf_add_char(b, '}');
	}
	rc_textbuf_add_char(b, ']');
}

/* ---- times -------------------------------------------------------------------------------------- */

/* Two to each power of two, from a microsecond to 16 seconds: 1, 1.414, 2, ... */
uint64_t rc_snapshot_bound(uint32_t i)
{
	uint64_t power = (uint64_t)1000 << i / 2;

	return i & 1 ? power * 1414 / 1000 : power;
}

/* A bucket of the histogram that a bound cuts counts as above it. */
static void add_times(struct rc_textbuf *b, const char *name, const struct rc_counters *counters,
	enum rc_counter_hist id)
{
	uint64_t buckets[RC_HIST_BUCKETS], sum = 0;
	uint32_t bound = 0;

	rc_counters_sum_hist(counters, id, buckets);
	rc_textbuf_add_text(b, ",\"");
	rc_textbuf_add_text(b, name);
	rc_textbuf_add_text(b, "\":[");
	for (uint32_t i = 0; i < RC_HIST_BUCKETS; i++) {
		while (bound < RC_SNAPSHOT_BOUNDS && rc_hist_high(i) > rc_snapshot_bound(bound)) {
			rc_textbuf_add_u64(b, sum);
			rc_textbuf_add_char(b, ',');
			sum = 0;
			bound++;
		}
		sum += buckets[i];
	}
	rc_textbuf_add_u64(b, sum);
	rc_textbuf_add_char(b, ']');
}

static void add_latency(struct rc_textbuf *b, const struct rc_counters *counters)
{
	rc_textbuf_add_text(b, ",\"latency\":{\"bounds\":[");
	for (uint32_t i = 0; i < RC_SNAPSHOT_BOUNDS; i++) {
		uint64_t ns = rc_snapshot_bound(i);
		if (i)
			rc_textbuf_add_char(b, ',');
		rc_textbuf_add_u64(b, ns / 1000);
		if (ns % 1000) {
			rc_textbuf_add_char(b, '.');
			for (uint64_t unit = 100; unit; unit /= 10)
				rc_textbuf_add_char(b, (char)('0' + ns / unit % 10));
		}
	}
	rc_textbuf_add_char(b, ']');
	add_times(b, "publishToSocket", counters, RC_H_publish_to_flush_ns);
	add_times(b, "clientRtt", counters, RC_H_client_rtt_ns);
	rc_textbuf_add_char(b, '}');
}

/* ---- all together ------------------------------------------------------------------------------- */

static void add_memory(struct rc_textbuf *b, const struct rc_budget *budget)
{
	rc_textbuf_add_text(b, ",\"memory\":[");
	for (uint32_t i = 0; i < budget->count; i++) {
		const struct rc_budget_line *line = &budget->line[i];
		rc_textbuf_add_text(b, i ? ",{\"name\":" : "{\"name\":");
		rc_textbuf_add_string(b, rc_str_of(line->name));
		rc_textbuf_add_text(b, ",\"bytes\":");
		rc_textbuf_add_u64(b, line->bytes);
		rc_textbuf_add_text(b, line->kernel ? ",\"kernel\":true}" : "}");
	}
	rc_textbuf_add_char(b, ']');
}

static void write(const struct rc_serve *sv, struct rc_textbuf *b)
{
	const struct rc_serve_info *info = sv->info;

	rc_textbuf_add_text(b, "{\"at\":");
	rc_textbuf_add_u64(b, sv->wall_ms);
	rc_textbuf_add_text(b, ",\"uptime\":");
	rc_textbuf_add_u64(b, (sv->now_ns - info->start_ns) / 1000000000u);
	rc_textbuf_add_text(b, ",\"version\":\"" RC_VERSION "\",\"shards\":");
	rc_textbuf_add_u64(b, info->counters->shard_count);
	add_counters(b, info->counters);
	add_shards(b, info->counters);
	add_latency(b, info->counters);
	add_memory(b, &info->budget);
	rc_textbuf_add_char(b, '}');
}

static bool tell(struct rc_serve *sv, struct rc_str json)
{
	struct rc_outcome outcome;
	struct rc_publish p = {
		.from = {sv->shard, RC_NONE, 0, 0, 0},
		.channel = RC_STR(SYS_CHANNEL),
		.event = RC_STR("snapshot"),
		.data = json,
		.timestamp_ms = sv->wall_ms,
		.taken_ns = sv->now_ns,
		.time_ms = sv->wall_ms,
		.hash = rc_hub_hash(sv->hub, RC_STR(SYS_CHANNEL)),
		.json = true,
	};

	return json.len <= sv->config->max_message &&
	       sv->port.publish(sv->port.ctx, &p, &outcome) != RC_ROUTE_FULL;
}

void rc_snapshot_turn(struct rc_serve *sv)
{
	struct rc_str channel = RC_STR(SYS_CHANNEL);
	uint32_t hash = rc_hub_hash(sv->hub, channel);

	if (rc_hub_owner(sv->hub, hash) != sv->shard || !rc_owner_is_heard(sv->hub, channel, hash))
		return;
	size_t bound = bound_of(sv);
	struct rc_textbuf b = {.ptr = rc_pool_get(sv->pool, bound), .cap = bound};
	if (b.ptr)
		write(sv, &b);
	RC_ASSERT(!b.ptr || !b.full);
	bool told = b.ptr && tell(sv, (struct rc_str){b.ptr, b.len});
	rc_count(sv->counters, told ? RC_C_sys_events : RC_C_sys_events_left_out, 1);
	rc_pool_put(sv->pool, b.ptr, bound);
}
