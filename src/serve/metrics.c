/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /metrics. Any shard answers for all: the counters are shared, the rest is fixed at start.
 */
#include "ops/prometheus.h"
#include "serve/status.h"

static bool kernel_tls(const struct rc_serve *sv)
{
	for (int v = 0; sv->tls && v < RC_TLS_VERSIONS; v++) {
		for (int c = 0; c < RC_TLS_CIPHERS; c++) {
			if (sv->tls->kernel[v][c])
				return true;
		}
	}
	return false;
}

enum rc_http_result rc_status_metrics(struct rc_serve *sv, struct rc_http_call *call)
{
	const struct rc_serve_info *info = sv->info;
	const struct rc_config *config = sv->config;
	uint64_t history = config->history_memory ? config->history_memory : config->memory / 2;
	const struct rc_prometheus_fact facts[] = {
		{"clients_limit", "Clients that may be connected at a time.", config->max_clients},
		{"publishers_limit", "Publishers that may be connected to each shard.",
			config->max_publishers},
		{"channels_limit", "Channels that may be known at a time.", config->max_channels},
		{"arena_limit_bytes", "Size of the arenas for logs, output and input in waiting.",
			info->arena_bytes},
		{"history_limit_bytes", "What the histories of all channels may take of it.",
			history},
		{"feature_tls", "1: it has a certificate and a TLS port.", sv->tls != NULL},
		{"feature_kernel_tls",
			"1: the kernel makes TLS records, of some version and cipher.",
			kernel_tls(sv)},
		{"feature_send_zc", "1: the kernel can send without a copy.", info->send_zc},
		{"feature_min_wait", "1: the kernel can wait for more completions for a while.",
			info->min_wait},
	};
	struct rc_prometheus_memory memory[RC_BUDGET_LINES_MAX];
	struct rc_prometheus p = {
		.counters = info->counters,
		.config = config,
		.version = RC_VERSION,
		.facts = facts,
		.fact_count = RC_ARRAY_LEN(facts),
		.memory = memory,
		.memory_count = info->budget.count,
	};
	bool open = rc_prometheus_wants_open(rc_http_header_get(call->request, "accept"));

	for (uint32_t i = 0; i < info->budget.count; i++) {
		const struct rc_budget_line *line = &info->budget.line[i];
		memory[i] = (struct rc_prometheus_memory){line->name, line->bytes, line->kernel};
	}
	if (!sv->metrics_bound[open])
		sv->metrics_bound[open] = (uint32_t)rc_prometheus_bound(&p, open);
	struct rc_textbuf b = rc_http_begin(sv, call, sv->metrics_bound[open]);
	if (b.ptr) {
		b.len = rc_prometheus_write(&p, open, b.ptr, b.cap);
		b.full = b.len == 0;
	}
	rc_http_end(sv, call, 200, "Vary: Accept\r\n",
		open ? RC_PROMETHEUS_OPEN_TYPE : RC_PROMETHEUS_TEXT_TYPE, &b);
	return RC_HTTP_DONE;
}
