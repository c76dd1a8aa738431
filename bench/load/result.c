/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows from a result by itself: quantiles, figures that are put together from two, the exit status.
 */
#include "result.h"

void load_quantiles(struct load_quantiles *out, const uint64_t hist[RC_HIST_BUCKETS])
{
	*out = (struct load_quantiles){0};
	double sum = 0;
	for (uint32_t b = 0; b < RC_HIST_BUCKETS; b++) {
		if (hist[b] == 0)
			continue;
		out->count += hist[b];
		sum += ((double)rc_hist_low(b) + (double)rc_hist_high(b)) / 2 * (double)hist[b];
	}
	if (out->count == 0)
		return;
	out->mean = (uint64_t)(sum / (double)out->count);
	out->p50 = rc_hist_quantile(hist, 0.5);
	out->p90 = rc_hist_quantile(hist, 0.9);
	out->p99 = rc_hist_quantile(hist, 0.99);
	out->p999 = rc_hist_quantile(hist, 0.999);
	out->p9999 = rc_hist_quantile(hist, 0.9999);
	out->max = rc_hist_quantile(hist, 1);
}

uint64_t load_clients_connected(const struct load_result *r)
{
	return RC_MIN(r->opened, (uint64_t)r->plan->clients);
}

double load_cpu_ns_per_delivery(const struct load_result *r)
{
	if (!r->server_known || r->deliveries == 0)
		return -1;
	return r->server_cpu_seconds * 1e9 / (double)r->deliveries;
}

double load_cpu_ns_per_handshake(const struct load_result *r)
{
	if (!r->server_known || r->handshakes == 0)
		return -1;
	return r->server_cpu_seconds * 1e9 / (double)r->handshakes;
}

double load_rss_per_client(const struct load_result *r)
{
	uint64_t clients = load_clients_connected(r);
	if (!r->server_known || clients == 0 || r->server_rss_start == 0 ||
		r->server_rss_connected < r->server_rss_start)
		return -1;
	return (double)(r->server_rss_connected - r->server_rss_start) / (double)clients;
}

int load_exit_status(enum load_verdict verdict)
{
	switch (verdict) {
	case LOAD_OK:
		return 0;
	case LOAD_FAULTY:
		return 1;
	case LOAD_UNUSABLE:
		return 2;
	case LOAD_LIMITED:
		return 3;
	case LOAD_INTERRUPTED:
		return 130;
	}
	RC_FAIL("no such verdict");
}

const char *load_verdict_name(enum load_verdict verdict)
{
	static const char *const name[] = {[LOAD_OK] = "ok",
		[LOAD_FAULTY] = "faulty",
		[LOAD_UNUSABLE] = "unusable",
		[LOAD_LIMITED] = "limited",
		[LOAD_INTERRUPTED] = "interrupted"};
	RC_ASSERT((size_t)verdict < RC_ARRAY_LEN(name));
	return name[verdict];
}
