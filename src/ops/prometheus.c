/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/prometheus.h"

#include <inttypes.h>
#include <stdio.h>

_Static_assert(RC_COUNTERS_NAMESPACES == 1 + RC_CONFIG_NAMESPACES_MAX, "one of each namespace");

#define NUMBER_MAX 21 /* nineteen digits and a sign, or a point in them */

/* ---- names -------------------------------------------------------------------------------------- */

/* Counters that begin so are one family, and what follows is the reason. */
static const struct {
	const char *prefix, *family, *help;
} folded[] = {
	{"close_", "clients_closed",
		"Clients closed, by reason. Requests that were not complete in time count as handshake_timeout."},
	{"tls_failed_", "tls_handshakes_failed", "TLS handshakes that failed, by reason."},
	{"subscribe_refused_", "subscribes_refused", "Subscribe requests refused, by reason."},
	{"events_refused_", "events_refused", "Events refused, by reason."},
	{"upgrades_refused_", "upgrades_refused", "WebSocket and SSE requests refused, by reason."},
};

/* Counters that are called otherwise, or are one of a family whose names have nothing in common. */
static const struct rule {
	const char *name, *family;
	const char *label, *value; /* NULL: none */
	const char *help;          /* NULL: the counter's own */
} rules[] = {
	{"clients", "clients", "transport", "ws", "Clients connected now."},
	{"clients_sse", "clients", "transport", "sse", NULL},
	{"publishers", "publishers", "transport", "ingest", NULL},
	{"clients_closed", "clients_gone", NULL, NULL, NULL},
	{"http_bad", "http_refused", "reason", "malformed", "HTTP requests refused, by reason."},
	{"http_404", "http_refused", "reason", "not_found", NULL},
	{"http_unauthorized", "http_refused", "reason", "unauthorized", NULL},
	{"accept_emfile", "accepts_failed", "reason", "descriptors",
		"Accepts that failed, by reason."},
	{"accept_errors", "accepts_failed", "reason", "other", NULL},
	{"accept_refused_capacity", "connections_refused", "reason", "capacity",
		"Connections closed as soon as they were taken, by reason."},
	{"tls_refused_address", "connections_refused", "reason", "address", NULL},
	{"tls_full", "tls_handshakes_full", NULL, NULL, NULL},
	{"tls_resumed", "tls_handshakes_resumed", NULL, NULL, NULL},
	{"recv_bytes", "received_bytes", NULL, NULL, NULL},
	{"send_bytes", "sent_bytes", NULL, NULL, NULL},
	{"lag_max_ms", "blocked_max_ms", NULL, NULL, NULL},
	{"publish_to_flush_ns", "publish_to_socket_ns", NULL, NULL, NULL},
};

/* What a counter is called out there. */
struct named {
	char family[64]; /* without ringcast_ and _total; in base units */
	const char *label, *value;
	const char *help;
	const char *unit;  /* the end of the family's name, or NULL */
	uint32_t decimals; /* by which its number is to be shifted */
};

static void take_unit(struct named *n)
{
	static const struct {
		const char *end, *unit;
		uint32_t decimals;
	} units[] = {{"_ns", "seconds", 9}, {"_us", "seconds", 6}, {"_ms", "seconds", 3},
		{"_bytes", "bytes", 0}};
	size_t len = strlen(n->family);

	n->unit = NULL;
	n->decimals = 0;
	for (size_t i = 0; i < RC_ARRAY_LEN(units); i++) {
		size_t end = strlen(units[i].end);
		if (len <= end || strcmp(n->family + len - end, units[i].end) != 0)
			continue;
		(void)snprintf(n->family + len - end + 1, sizeof(n->family) - (len - end + 1), "%s",
			units[i].unit);
		n->unit = units[i].unit;
		n->decimals = units[i].decimals;
		return;
	}
}

static void name_of(const struct rc_counters_meta *meta, struct named *n)
{
	const char *family = meta->name;

	n->label = n->value = NULL;
	n->help = meta->help;
	for (size_t i = 0; i < RC_ARRAY_LEN(rules); i++) {
		if (strcmp(meta->name, rules[i].name) == 0) {
			family = rules[i].family;
			n->label = rules[i].label;
			n->value = rules[i].value;
			n->help = rules[i].help ? rules[i].help : meta->help;
		}
	}
	for (size_t i = 0; i < RC_ARRAY_LEN(folded); i++) {
		size_t len = strlen(folded[i].prefix);
		if (strncmp(meta->name, folded[i].prefix, len) == 0) {
			family = folded[i].family;
			n->label = "reason";
			n->value = meta->name + len;
			n->help = folded[i].help;
		}
	}
	(void)snprintf(n->family, sizeof(n->family), "%s", family);
	take_unit(n);
}

void rc_prometheus_name(const struct rc_counters_meta *meta, char out[160])
{
	struct named n;

	name_of(meta, &n);
	(void)snprintf(out, 160, "ringcast_%s%s%s%s%s%s%s", n.family,
		meta->kind == RC_KIND_COUNTER ? "_total" : "", n.label ? "{" : "",
		n.label ? n.label : "", n.label ? "=\"" : "", n.label ? n.value : "",
		n.label ? "\"}" : "");
}

/* ---- text --------------------------------------------------------------------------------------- */

/* len goes on past cap, so that it tells what was needed; widest: every number takes all the room that one can. */
struct out {
	char *ptr;
	size_t len, cap;
	bool widest;
	bool open;
};

static void add_bytes(struct out *o, const char *bytes, size_t len)
{
	if (o->len + len <= o->cap)
		memcpy(o->ptr + o->len, bytes, len);
	o->len += len;
}

static void add(struct out *o, const char *text)
{
	add_bytes(o, text, strlen(text));
}

static void add_escaped(struct out *o, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\')
			add(o, "\\\\");
		else if (*text == '"')
			add(o, "\\\"");
		else if (*text == '\n')
			add(o, "\\n");
		else
			add_bytes(o, text, 1);
	}
}

static void add_number(struct out *o, int64_t value, uint32_t decimals)
{
	static const uint64_t power[] = {
		1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};
	char text[NUMBER_MAX + 12];
	uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;

	if (o->widest) {
		o->len += NUMBER_MAX;
		return;
	}
	int len = snprintf(
		text, sizeof(text), "%s%" PRIu64, value < 0 ? "-" : "", size / power[decimals]);
	if (decimals && len > 0)
		len += snprintf(text + len, sizeof(text) - (size_t)len, ".%0*" PRIu64,
			(int)decimals, size % power[decimals]);
	add_bytes(o, text, (size_t)len);
}

static void family(
	struct out *o, const char *name, const char *type, const char *unit, const char *help)
{
	/* In OpenMetrics a family of counters is called without the end that its samples have. */
	const char *end = !o->open && strcmp(type, "counter") == 0 ? "_total" : "";

	add(o, "# HELP ringcast_");
	add(o, name);
	add(o, end);
	add(o, " ");
	add_escaped(o, help);
	add(o, "\n# TYPE ringcast_");
	add(o, name);
	add(o, end);
	add(o, " ");
	add(o, type);
	add(o, "\n");
	if (o->open && unit) {
		add(o, "# UNIT ringcast_");
		add(o, name);
		add(o, " ");
		add(o, unit);
		add(o, "\n");
	}
}

struct label {
	const char *key, *value;
};

static void sample(struct out *o, const char *name, const char *end, const struct label *labels,
	uint32_t count, int64_t value, uint32_t decimals)
{
	char before = '{';

	add(o, "ringcast_");
	add(o, name);
	add(o, end);
	for (uint32_t i = 0; i < count; i++) {
		if (!labels[i].key)
			continue;
		add_bytes(o, &before, 1);
		before = ',';
		add(o, labels[i].key);
		add(o, "=\"");
		add_escaped(o, labels[i].value);
		add(o, "\"");
	}
	add(o, before == ',' ? "} " : " ");
	add_number(o, value, decimals);
	add(o, "\n");
}

static const char *shard_text(uint32_t shard, char out[12])
{
	(void)snprintf(out, 12, "%u", shard);
	return out;
}

/* ---- counters ----------------------------------------------------------------------------------- */

/* Of the clients, those who are told apart by their transport are counted in both. */
static uint64_t value_of(const struct rc_counters_shard *shard, enum rc_counter id)
{
	uint64_t value = rc_counter_get(shard, id);

	return id == RC_C_clients ? value - rc_counter_get(shard, RC_C_clients_sse) : value;
}

static void counter_samples(struct out *o, const struct rc_counters *c, enum rc_counter id,
	const struct named *n, bool counter)
{
	char text[12];

	for (uint32_t s = 0; s < c->shard_count; s++) {
		struct label labels[] = {{"shard", shard_text(s, text)}, {n->label, n->value}};
		/* A gauge that one shard raised and another lowered is below zero in the one. */
		sample(o, n->family, counter ? "_total" : "", labels, 2,
			(int64_t)value_of(&c->shards[s], id), n->decimals);
	}
}

/* A family stands in one place: at that of its first counter in the list. */
static void all_counters(struct out *o, const struct rc_counters *c)
{
	struct named n[RC_COUNTER_COUNT];

	for (uint32_t i = 0; i < RC_COUNTER_COUNT; i++)
		name_of(rc_counter_meta((enum rc_counter)i), &n[i]);
	for (uint32_t i = 0; i < RC_COUNTER_COUNT; i++) {
		bool counter = rc_counter_meta((enum rc_counter)i)->kind == RC_KIND_COUNTER;
		if (n[i].family[0] == '\0')
			continue;
		family(o, n[i].family, counter ? "counter" : "gauge", n[i].unit, n[i].help);
		counter_samples(o, c, (enum rc_counter)i, &n[i], counter);
		for (uint32_t k = i + 1; n[i].label && k < RC_COUNTER_COUNT; k++) {
			if (strcmp(n[k].family, n[i].family) != 0)
				continue;
			counter_samples(o, c, (enum rc_counter)k, &n[k], counter);
			n[k].family[0] = '\0';
		}
	}
}

static void namespaces(struct out *o, const struct rc_prometheus *p)
{
	static const struct {
		const char *family, *help;
	} list[] = {
#define RC_COUNTER_NS(name, family, help) {family, help},
#include "ops/counters_list.h"
	};
	const struct rc_counters *c = p->counters;

	for (uint32_t i = 0; i < RC_COUNTER_NS_COUNT; i++) {
		family(o, list[i].family, "counter", NULL, list[i].help);
		for (uint32_t k = 0; k <= p->config->namespace_count; k++) {
			struct label label = {"namespace", k ? p->config->ns[k].name : "default"};
			uint64_t sum = 0;
			for (uint32_t s = 0; s < c->shard_count; s++)
				sum += atomic_load_explicit(
					&c->shards[s].ns[i][k], memory_order_relaxed);
			sample(o, list[i].family, "_total", &label, 1, (int64_t)sum, 0);
		}
	}
}

/* ---- histograms --------------------------------------------------------------------------------- */

struct bound {
	uint64_t most;  /* in the unit that is counted */
	const char *le; /* as OpenMetrics wants it written */
};

/* clang-format off */
static const struct bound seconds[] = {
	{10000, "1e-05"}, {25000, "2.5e-05"}, {50000, "5e-05"}, {100000, "0.0001"}, {250000, "0.00025"},
	{500000, "0.0005"}, {1000000, "0.001"}, {2500000, "0.0025"}, {5000000, "0.005"}, {10000000, "0.01"},
	{25000000, "0.025"}, {50000000, "0.05"}, {100000000, "0.1"}, {250000000, "0.25"}, {500000000, "0.5"},
	{1000000000, "1.0"}, {2500000000, "2.5"}, {5000000000, "5.0"}, {10000000000, "10.0"},
};
/* A power of two begins a bucket: the bound is the last value before it. */
static const struct bound bytes[] = {
	{1023, "1023.0"}, {4095, "4095.0"}, {16383, "16383.0"}, {65535, "65535.0"}, {262143, "262143.0"},
	{1048575, "1.048575e+06"}, {4194303, "4.194303e+06"}, {16777215, "1.6777215e+07"},
	{67108863, "6.7108863e+07"},
};
/* clang-format on */

static void histogram(struct out *o, const struct rc_counters *c, enum rc_counter_hist id,
	const struct named *n, const struct bound *bounds, size_t bound_count)
{
	char text[12];

	for (uint32_t s = 0; s < c->shard_count; s++) {
		const struct rc_counters_shard *shard = &c->shards[s];
		struct label labels[] = {{"shard", shard_text(s, text)}, {"le", ""}};
		uint64_t below = 0;
		uint32_t b = 0;
		for (size_t i = 0; i < bound_count; i++) {
			for (; b < RC_HIST_BUCKETS && rc_hist_high(b) <= bounds[i].most; b++)
				below += atomic_load_explicit(
					&shard->hist[id][b], memory_order_relaxed);
			labels[1].value = bounds[i].le;
			sample(o, n->family, "_bucket", labels, 2, (int64_t)below, 0);
		}
		for (; b < RC_HIST_BUCKETS; b++)
			below += atomic_load_explicit(&shard->hist[id][b], memory_order_relaxed);
		labels[1].value = "+Inf";
		sample(o, n->family, "_bucket", labels, 2, (int64_t)below, 0);
		sample(o, n->family, "_sum", labels, 1,
			(int64_t)atomic_load_explicit(&shard->hist_sum[id], memory_order_relaxed),
			n->decimals);
		sample(o, n->family, "_count", labels, 1, (int64_t)below, 0);
	}
}

static void histograms(struct out *o, const struct rc_counters *c)
{
	struct named n;

	for (uint32_t i = 0; i < RC_COUNTER_HIST_COUNT; i++) {
		const struct rc_counters_meta *meta = rc_counter_hist_meta((enum rc_counter_hist)i);
		bool time = strcmp(meta->unit, "ns") == 0;
		name_of(meta, &n);
		family(o, n.family, "histogram", n.unit, n.help);
		histogram(o, c, (enum rc_counter_hist)i, &n, time ? seconds : bytes,
			time ? RC_ARRAY_LEN(seconds) : RC_ARRAY_LEN(bytes));
	}
}

/* ---- what is fixed at start --------------------------------------------------------------------- */

static void memory(struct out *o, const struct rc_prometheus *p, bool kernel)
{
	const char *name = kernel ? "memory_budget_kernel_bytes" : "memory_budget_bytes";

	family(o, name, "gauge", "bytes",
		kernel ? "Memory that the kernel would hold for all that the configuration allows, by what it is for."
		       : "Memory set aside at start, by what it is for.");
	for (uint32_t i = 0; i < p->memory_count; i++) {
		struct label label = {"reason", p->memory[i].what};
		if (p->memory[i].kernel == kernel)
			sample(o, name, "", &label, 1, (int64_t)p->memory[i].bytes, 0);
	}
}

static void facts(struct out *o, const struct rc_prometheus *p)
{
	struct label version = {"version", p->version};

	/* The one family whose type the two formats call differently. */
	family(o, o->open ? "build" : "build_info", o->open ? "info" : "gauge", NULL,
		"The version that runs.");
	sample(o, "build_info", "", &version, 1, 1, 0);
	family(o, "up", "gauge", NULL, "1: it answers.");
	sample(o, "up", "", NULL, 0, 1, 0);
	family(o, "start_time_seconds", "gauge", "seconds", "When it was started, since 1970.");
	sample(o, "start_time_seconds", "", NULL, 0, (int64_t)p->counters->header->start_wall_ms,
		3);
	family(o, "shards", "gauge", NULL, "Shards, each a thread.");
	sample(o, "shards", "", NULL, 0, p->counters->shard_count, 0);
	for (uint32_t i = 0; i < p->fact_count; i++) {
		const struct rc_prometheus_fact *f = &p->facts[i];
		struct named n = {.help = f->help};
		(void)snprintf(n.family, sizeof(n.family), "%s", f->name);
		take_unit(&n);
		family(o, n.family, "gauge", n.unit, f->help);
		sample(o, n.family, "", NULL, 0, (int64_t)f->value, n.decimals);
	}
	memory(o, p, false);
	memory(o, p, true);
}

/* ---- all ---------------------------------------------------------------------------------------- */

static void all(struct out *o, const struct rc_prometheus *p)
{
	facts(o, p);
	all_counters(o, p->counters);
	namespaces(o, p);
	histograms(o, p->counters);
	if (o->open)
		add(o, "# EOF\n");
}

size_t rc_prometheus_bound(const struct rc_prometheus *p, bool open)
{
	struct out o = {.open = open, .widest = true};

	all(&o, p);
	return o.len;
}

size_t rc_prometheus_write(const struct rc_prometheus *p, bool open, char *out, size_t cap)
{
	struct out o = {.ptr = out, .cap = cap, .open = open};

	all(&o, p);
	return o.len <= cap ? o.len : 0;
}
