/* SPDX-License-Identifier: Apache-2.0
 *
 * A result as JSON, in the order of README.md, "The JSON".
 */
#include <errno.h>

#include "emit.h"
#include "figure.h"
#include "result.h"

static void emit_url(struct load_emit *e, const char *key, const struct load_url *url, bool used)
{
	char text[sizeof(url->host) + sizeof(url->path) + 32];
	if (!used || url->host[0] == '\0') {
		load_emit_null(e, key);
		return;
	}
	load_figure_url(text, sizeof(text), url);
	load_emit_text(e, key, text);
}

static void emit_head(struct load_emit *e, const struct load_result *r)
{
	const struct load_plan *plan = r->plan;
	load_emit_u64(e, "ringcast_load", 1);
	load_emit_text(e, "version", RC_VERSION);
	load_emit_text(e, "started", r->started);
	load_emit_text(e, "scenario", plan->scenario);
	load_emit_text(e, "verdict", load_verdict_name(r->verdict));
	load_emit_open(e, "notes", '[');
	for (uint32_t i = 0; i < r->notes; i++)
		load_emit_text(e, NULL, r->note[i]);
	load_emit_close(e, ']');

	load_emit_open(e, "host", '{');
	load_emit_text(e, "kernel", r->kernel);
	load_emit_text(e, "cpu", r->cpu_model);
	load_emit_u64(e, "cpus", r->cpus);
	load_emit_close(e, '}');

	bool subscribes = false, publishes = false, echoes = false;
	for (uint32_t g = 0; g < plan->groups; g++) {
		const struct load_group *group = &plan->group[g];
		subscribes |= group->clients > 0 && !group->echo;
		publishes |= load_group_links(group) > 0 && !group->echo;
		echoes |= group->echo;
	}
	load_emit_open(e, "target", '{');
	load_emit_text(e, "name", plan->target->name);
	emit_url(e, "subscribe", &plan->target->subscriber.url, subscribes);
	emit_url(e, "publish", &plan->target->publisher.url, publishes);
	emit_url(e, "echo", &plan->target->subscriber.echo_url, echoes);
	load_emit_close(e, '}');
}

static void emit_group_parameters(struct load_emit *e, const struct load_group *g)
{
	static const char *const spread[] = {
		[LOAD_EVEN] = "even", [LOAD_ZIPF] = "zipf", [LOAD_OWN] = "own"};
	static const char *const reading[] = {[LOAD_READS] = "reads",
		[LOAD_READS_SLOWLY] = "slowly",
		[LOAD_READS_NEVER] = "never"};
	load_emit_open(e, NULL, '{');
	load_emit_text(e, "name", g->name);
	load_emit_u64(e, "clients", g->clients);
	load_emit_u64(e, "channels", g->channels);
	load_emit_u64(e, "subscriptions", g->subscriptions);
	load_emit_u64(e, "filters", g->filters);
	load_emit_text(e, "spread", spread[g->spread]);
	load_emit_real(e, "zipf", g->zipf, 3);
	load_emit_text(e, "reading", reading[g->reading]);
	load_emit_u64(e, "read_bytes_per_second", g->read_bytes_per_second);
	load_emit_bool(e, "may_lose", g->may_lose);
	load_emit_real(e, "churn_per_second", g->churn_per_second, 3);
	load_emit_real(e, "storm_after_seconds", g->storm_after_seconds, 3);
	load_emit_real(e, "storm_away_seconds", g->storm_away_seconds, 3);
	load_emit_bool(e, "recover", g->recover);
	load_emit_u64(e, "publishers", g->publishers);
	load_emit_real(e, "rate", g->rate, 3);
	load_emit_u64(e, "in_flight", g->in_flight);
	load_emit_u64(e, "payload", g->payload);
	load_emit_bool(e, "echo", g->echo);
	load_emit_bool(e, "command", g->command);
	load_emit_u64(e, "backends", g->command ? g->backends : 0);
	load_emit_u64(e, "reply", g->command ? g->reply : 0);
	load_emit_bool(e, "acks_only", g->acks_only);
	load_emit_bool(e, "handshakes", g->handshakes);
	load_emit_bool(e, "resume", g->resume);
	load_emit_close(e, '}');
}

static void emit_parameters(struct load_emit *e, const struct load_result *r)
{
	static const char *const tls[] = {
		[LOAD_TLS_ANY] = "any", [LOAD_TLS_12] = "1.2", [LOAD_TLS_13] = "1.3"};
	const struct load_plan *plan = r->plan;
	load_emit_open(e, "parameters", '{');
	load_emit_u64(e, "clients", plan->clients);
	load_emit_u64(e, "channels", plan->channels);
	load_emit_u64(e, "threads", r->threads);
	load_emit_u64(e, "processes", r->processes);
	load_emit_bool(e, "busy", plan->busy);
	load_emit_text(e, "tls", tls[plan->tls]);
	load_emit_real(e, "connect_rate", plan->connect_rate, 1);
	load_emit_u64(e, "sources", plan->sources);
	load_emit_real(e, "warm_seconds", plan->warm, 3);
	load_emit_real(e, "seconds", plan->seconds, 3);
	load_emit_open(e, "groups", '[');
	for (uint32_t g = 0; g < plan->groups; g++)
		emit_group_parameters(e, &plan->group[g]);
	load_emit_close(e, ']');
	load_emit_close(e, '}');
}

static void emit_rate(
	struct load_emit *e, const char *key, const struct load_result *r, uint64_t n, bool known)
{
	if (known && r->window > 0)
		load_emit_real(e, key, (double)n / r->window, 1);
	else
		load_emit_null(e, key);
}

static void emit_window(struct load_emit *e, const struct load_result *r, bool rates)
{
	load_emit_open(e, "window", '{');
	load_emit_real(e, "seconds", r->window, 3);
	load_emit_u64(e, "deliveries", r->deliveries);
	load_emit_u64(e, "bytes", r->bytes);
	load_emit_u64(e, "published", r->published);
	load_emit_u64(e, "acked", r->acked);
	load_emit_u64(e, "handshakes", r->handshakes);
	load_emit_u64(e, "resumed", r->resumed);
	emit_rate(e, "deliveries_per_second", r, r->deliveries, rates);
	emit_rate(e, "published_per_second", r, r->published, rates);
	emit_rate(e, "acked_per_second", r, r->acked, rates);
	emit_rate(e, "bytes_per_second", r, r->bytes, rates);
	emit_rate(e, "handshakes_per_second", r, r->handshakes, rates);
	load_emit_close(e, '}');
}

/* From the first event to the last, warming up and draining included. */
static void emit_total(struct load_emit *e, const struct load_result *r)
{
	uint64_t published = 0, deliveries = 0, answered = 0;
	for (uint32_t i = 0; i < r->plan->groups; i++) {
		published += load_get(&r->group[i].sum.published);
		deliveries += load_get(&r->group[i].sum.deliveries);
		answered += load_get(&r->group[i].sum.answered);
	}
	load_emit_open(e, "total", '{');
	load_emit_u64(e, "published", published);
	load_emit_u64(e, "deliveries", deliveries);
	load_emit_u64(e, "answered", answered);
	load_emit_close(e, '}');
}

/* hist may be NULL: without buckets. */
static void emit_quantiles(
	struct load_emit *e, const char *key, const struct load_quantiles *q, const uint64_t *hist)
{
	if (q->count == 0) {
		load_emit_null(e, key);
		return;
	}
	load_emit_open(e, key, '{');
	load_emit_u64(e, "count", q->count);
	load_emit_u64(e, "mean", q->mean);
	load_emit_u64(e, "p50", q->p50);
	load_emit_u64(e, "p90", q->p90);
	load_emit_u64(e, "p99", q->p99);
	load_emit_u64(e, "p999", q->p999);
	load_emit_u64(e, "p9999", q->p9999);
	load_emit_u64(e, "max", q->max);
	if (hist) {
		load_emit_open(e, "buckets", '[');
		for (uint32_t b = 0; b < RC_HIST_BUCKETS; b++) {
			if (hist[b] == 0)
				continue;
			load_emit_open(e, NULL, '[');
			load_emit_u64(e, NULL, rc_hist_low(b));
			load_emit_u64(e, NULL, rc_hist_high(b));
			load_emit_u64(e, NULL, hist[b]);
			load_emit_close(e, ']');
		}
		load_emit_close(e, ']');
	}
	load_emit_close(e, '}');
}

static void emit_fault_counts(struct load_emit *e, const struct load_faults *f)
{
	load_emit_u64(e, "lost", f->lost);
	load_emit_u64(e, "duplicated", f->duplicated);
	load_emit_u64(e, "reordered", f->reordered);
	load_emit_u64(e, "corrupted", f->corrupted);
	load_emit_u64(e, "foreign", f->foreign);
}

static void emit_faults(struct load_emit *e, const struct load_result *r)
{
	char name[128];
	load_emit_open(e, "faults", '{');
	emit_fault_counts(e, &r->faults);
	load_emit_open(e, "channels", '[');
	for (uint32_t i = 0; i < r->faulty_channels; i++) {
		load_plan_channel_name(r->plan, r->faulty[i].channel, name);
		load_emit_open(e, NULL, '{');
		load_emit_text(e, "channel", name);
		emit_fault_counts(e, &r->faulty[i].faults);
		load_emit_close(e, '}');
	}
	load_emit_close(e, ']');
	load_emit_close(e, '}');
	load_emit_u64(e, "told", r->told);
	load_emit_u64(e, "missed_away", r->missed_away);
}

static void emit_clients(struct load_emit *e, const struct load_result *r)
{
	load_emit_open(e, "clients", '{');
	load_emit_u64(e, "wanted", r->plan->clients);
	load_emit_u64(e, "opened", r->opened);
	load_emit_u64(e, "open", r->open_at_end);
	load_emit_u64(e, "failed", r->failed);
	load_emit_u64(e, "closed", r->closed);
	load_emit_u64(e, "dropped", r->dropped);
	load_emit_u64(e, "returned", r->returned);
	load_emit_u64(e, "recovered", r->recovered);
	load_emit_u64(e, "unrecovered", r->unrecovered);
	load_emit_real(e, "connect_seconds", r->connect_seconds, 3);
	if (r->storm_seconds < 0)
		load_emit_null(e, "storm_seconds");
	else
		load_emit_real(e, "storm_seconds", r->storm_seconds, 3);
	load_emit_close(e, '}');
}

static void emit_known(struct load_emit *e, const char *key, uint64_t value)
{
	if (value)
		load_emit_u64(e, key, value);
	else
		load_emit_null(e, key);
}

/* Below 0: not known. */
static void emit_positive(struct load_emit *e, const char *key, double value, int digits)
{
	if (value >= 0)
		load_emit_real(e, key, value, digits);
	else
		load_emit_null(e, key);
}

static void emit_server(struct load_emit *e, const struct load_result *r, bool limited)
{
	if (!r->server_known) {
		load_emit_null(e, "server");
		return;
	}
	load_emit_open(e, "server", '{');
	load_emit_text(e, "name", r->server_name);
	load_emit_u64(e, "processes", r->server_processes);
	load_emit_real(e, "cpu_seconds", r->server_cpu_seconds, 6);
	emit_positive(e, "cpu_ns_per_delivery", limited ? -1 : load_cpu_ns_per_delivery(r), 2);
	emit_positive(e, "cpu_ns_per_handshake", limited ? -1 : load_cpu_ns_per_handshake(r), 2);
	load_emit_real(e, "waited_seconds", r->server_waited_seconds, 6);
	emit_known(e, "rss_start", r->server_rss_start);
	emit_known(e, "rss_connected", r->server_rss_connected);
	emit_known(e, "rss_max", r->server_rss_max);
	emit_positive(e, "rss_per_client", load_rss_per_client(r), 1);
	load_emit_close(e, '}');
}

static void emit_generator(struct load_emit *e, const struct load_result *r)
{
	load_emit_open(e, "generator", '{');
	load_emit_real(e, "cpu_seconds", r->generator_cpu_seconds, 6);
	load_emit_real(e, "waited_seconds", r->generator_waited_seconds, 6);
	load_emit_real(e, "idle_seconds", r->generator_idle_seconds, 6);
	load_emit_real(e, "busiest", r->generator_busiest, 4);
	load_emit_u64(e, "memory", r->generator_memory);
	uint64_t clients = load_clients_connected(r);
	if (clients)
		load_emit_real(
			e, "memory_per_client", (double)r->generator_memory / (double)clients, 1);
	else
		load_emit_null(e, "memory_per_client");
	load_emit_u64(e, "reads", r->reads);
	load_emit_u64(e, "full_reads", r->full_reads);
	emit_quantiles(e, "late", &r->late, NULL);
	emit_quantiles(e, "turn", &r->turn, NULL);
	load_emit_close(e, '}');
}

/* What the generator limits is no figure of the server: not even in parts. */
static const struct load_quantiles hidden;

static void emit_groups(struct load_emit *e, const struct load_result *r, bool limited)
{
	load_emit_open(e, "groups", '[');
	for (uint32_t i = 0; i < r->plan->groups; i++) {
		const struct load_group_result *g = &r->group[i];
		const struct load_group_stats *sum = &g->sum;
		const struct load_faults faults = {.lost = load_get(&sum->lost),
			.duplicated = load_get(&sum->duplicated),
			.reordered = load_get(&sum->reordered),
			.corrupted = load_get(&sum->corrupted),
			.foreign = load_get(&sum->foreign)};
		load_emit_open(e, NULL, '{');
		load_emit_text(e, "name", r->plan->group[i].name);
		load_emit_u64(e, "deliveries", g->window_deliveries);
		load_emit_u64(e, "bytes", g->window_bytes);
		load_emit_u64(e, "published", g->window_published);
		load_emit_u64(e, "acked", g->window_acked);
		load_emit_u64(e, "handshakes", g->window_handshakes);
		load_emit_u64(e, "resumed", g->window_resumed);
		emit_quantiles(e, "latency", limited ? &hidden : &g->latency, NULL);
		emit_quantiles(e, "before_storm", limited ? &hidden : &g->before_storm, NULL);
		emit_quantiles(e, "in_storm", limited ? &hidden : &g->in_storm, NULL);
		emit_quantiles(e, "connect", &g->connect, NULL);
		emit_quantiles(e, "ack", limited ? &hidden : &g->ack, NULL);
		load_emit_open(e, "faults", '{');
		emit_fault_counts(e, &faults);
		load_emit_close(e, '}');
		load_emit_u64(e, "told", load_get(&sum->told));
		load_emit_u64(e, "opened", load_get(&sum->opened) - load_get(&sum->feeding));
		load_emit_u64(e, "failed", load_get(&sum->failed));
		load_emit_u64(e, "closed", load_get(&sum->closed));
		load_emit_u64(e, "refused", load_get(&sum->refused));
		load_emit_close(e, '}');
	}
	load_emit_close(e, ']');
}

static void emit_timeline(struct load_emit *e, const struct load_result *r, bool limited)
{
	load_emit_open(e, "timeline", '[');
	for (uint32_t i = 0; i < r->samples; i++) {
		const struct load_sample *s = &r->timeline[i];
		const struct load_quantiles *q = limited ? &hidden : &s->latency;
		load_emit_open(e, NULL, '{');
		load_emit_real(e, "t", s->t, 3);
		load_emit_real(e, "seconds", s->seconds, 3);
		load_emit_u64(e, "clients", s->clients);
		load_emit_u64(e, "deliveries", s->deliveries);
		load_emit_u64(e, "published", s->published);
		load_emit_u64(e, "bytes", s->bytes);
		load_emit_u64(e, "connects", s->connects);
		emit_known(e, "p50", q->p50);
		emit_known(e, "p90", q->p90);
		emit_known(e, "p99", q->p99);
		emit_known(e, "p999", q->p999);
		emit_known(e, "max", q->max);
		emit_positive(e, "server_cpu", s->server_cpu, 4);
		emit_known(e, "server_rss", s->server_rss);
		load_emit_real(e, "generator_cpu", s->generator_cpu, 4);
		load_emit_close(e, '}');
	}
	load_emit_close(e, ']');
}

int load_result_json(const struct load_result *r, FILE *out)
{
	struct load_emit e = {.out = out};
	bool limited = r->verdict == LOAD_LIMITED;
	load_emit_open(&e, NULL, '{');
	emit_head(&e, r);
	emit_parameters(&e, r);
	emit_window(&e, r, !limited);
	emit_total(&e, r);
	emit_quantiles(&e, "latency", limited ? &hidden : &r->latency, r->latency_hist);
	emit_quantiles(&e, "connect", &r->connect, r->connect_hist);
	emit_quantiles(&e, "ack", limited ? &hidden : &r->ack, r->ack_hist);
	if (limited) {
		load_emit_open(&e, "limited", '{');
		emit_window(&e, r, true);
		emit_quantiles(&e, "latency", &r->latency, r->latency_hist);
		emit_quantiles(&e, "ack", &r->ack, r->ack_hist);
		emit_positive(&e, "cpu_ns_per_delivery", load_cpu_ns_per_delivery(r), 2);
		emit_positive(&e, "cpu_ns_per_handshake", load_cpu_ns_per_handshake(r), 2);
		load_emit_close(&e, '}');
	}
	emit_faults(&e, r);
	emit_clients(&e, r);
	emit_server(&e, r, limited);
	emit_generator(&e, r);
	emit_groups(&e, r, limited);
	emit_timeline(&e, r, limited);
	load_emit_close(&e, '}');
	fputc('\n', out);
	if (fflush(out) != 0)
		return errno ? -errno : -EIO;
	return ferror(out) ? -EIO : 0;
}
