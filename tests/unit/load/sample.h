/* SPDX-License-Identifier: Apache-2.0
 *
 * A result with something in every field, for the tests of what results are shown as. Made of a few numbers that are easy
 * to check: 1,000 clients, 5 seconds, 5,000,000 deliveries of 128 bytes.
 */
#ifndef TESTS_LOAD_SAMPLE_H
#define TESTS_LOAD_SAMPLE_H

#include "../unit.h"

#include "load/result.h"

/* Copies so much of the text as fits. */
#define SAMPLE_TEXT(to, text) (void)snprintf(to, sizeof(to), "%s", text)

static struct load_target sample_target;
static struct load_plan sample_plan;

static inline void sample_url(struct load_url *url, enum load_scheme scheme, const char *path)
{
	url->scheme = scheme;
	url->port = 8080;
	SAMPLE_TEXT(url->host, "127.0.0.1");
	SAMPLE_TEXT(url->path, path);
}

static inline void sample_plan_fill(void)
{
	sample_target = (struct load_target){0};
	SAMPLE_TEXT(sample_target.name, "ringcast");
	sample_url(&sample_target.subscriber.url, LOAD_WS, "/ws?token=secret");
	sample_url(&sample_target.subscriber.echo_url, LOAD_WS, "/echo");
	sample_url(&sample_target.publisher.url, LOAD_INGEST, "");
	sample_plan = (struct load_plan){.target = &sample_target,
		.groups = 2,
		.channels = 11,
		.clients = 1000,
		.warm = 1,
		.seconds = 5};
	SAMPLE_TEXT(sample_plan.scenario, "mixed");
	SAMPLE_TEXT(sample_plan.channel_prefix, "load:");
	sample_plan.group[0] = (struct load_group){.clients = 900,
		.channels = 1,
		.subscriptions = 1,
		.publishers = 1,
		.in_flight = 64,
		.payload = 128};
	SAMPLE_TEXT(sample_plan.group[0].name, "crowd");
	sample_plan.group[1] = (struct load_group){.clients = 100,
		.channels = 10,
		.first_channel = 1,
		.subscriptions = 2,
		.spread = LOAD_ZIPF,
		.zipf = 1.1,
		.reading = LOAD_READS_SLOWLY,
		.read_bytes_per_second = 1000,
		.may_lose = true,
		.publishers = 1,
		.rate = 200,
		.payload = 1024};
	SAMPLE_TEXT(sample_plan.group[1].name, "slow");
}

/* 1,000,000 values around 100 µs, with a tail to 20 ms. */
static inline void sample_hist(uint64_t hist[RC_HIST_BUCKETS])
{
	for (uint64_t i = 0; i < 1000; i++)
		hist[rc_hist_bucket(60000 + i * 100)] += 980;
	for (uint64_t i = 0; i < 1000; i++)
		hist[rc_hist_bucket(200000 + i * i * 20)] += 20;
}

/* Large: on the heap, the caller's to free. */
static inline struct load_result *sample_result(void)
{
	struct load_result *r = calloc(1, sizeof(*r));
	assert_non_null(r);
	sample_plan_fill();
	r->plan = &sample_plan;
	SAMPLE_TEXT(r->started, "2026-01-02T03:04:05Z");
	SAMPLE_TEXT(r->kernel, "Linux 6.1.0");
	SAMPLE_TEXT(r->cpu_model, "Some CPU");
	r->cpus = 2;
	r->window = 5;
	r->deliveries = 5000000;
	r->bytes = 640000000;
	r->published = 6000;
	r->acked = 5900;
	sample_hist(r->latency_hist);
	load_quantiles(&r->latency, r->latency_hist);
	r->connect_hist[rc_hist_bucket(1000000)] = 1000;
	load_quantiles(&r->connect, r->connect_hist);
	r->ack_hist[rc_hist_bucket(30000)] = 5900;
	load_quantiles(&r->ack, r->ack_hist);
	r->opened = 1000;
	r->open_at_end = 1000;
	r->connect_seconds = 0.25;
	r->storm_seconds = -1;
	r->server_known = true;
	r->server_cpu_seconds = 4.5;
	r->server_rss_start = 10u << 20;
	r->server_rss_connected = (10u << 20) + 256000;
	r->server_rss_max = 12u << 20;
	SAMPLE_TEXT(r->server_name, "ringcast");
	r->server_processes = 1;
	r->generator_cpu_seconds = 2;
	r->generator_busiest = 0.4;
	r->generator_memory = 2000000;
	r->processes = 1;
	r->threads = 1;
	r->reads = 60000;
	for (uint32_t g = 0; g < 2; g++) {
		r->group[g].window_deliveries = g ? 1000000 : 4000000;
		r->group[g].latency = r->latency;
		r->group[g].connect = r->connect;
	}
	for (uint32_t i = 0; i < 7; i++) {
		struct load_sample *s = &r->timeline[r->samples++];
		*s = (struct load_sample){.t = (double)i - 1,
			.seconds = 1,
			.clients = 1000,
			.deliveries = 1000000,
			.published = 1200,
			.bytes = 128000000,
			.latency = r->latency,
			.server_cpu = 0.9,
			.generator_cpu = 0.4,
			.server_rss = 11u << 20};
	}
	return r;
}

/* What the writer wrote to a stream; the text is NUL-terminated and the caller's to free. */
static inline char *sample_text(int (*write)(const struct load_result *r, FILE *out),
	const struct load_result *r, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);
	assert_non_null(out);
	assert_int_equal(write(r, out), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

#endif
