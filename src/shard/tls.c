/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS of the whole gateway: the certificates in place, their successor at a reload, the keys of the tickets.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/logline.h"
#include "io/ktls.h"
#include "shard/shard.h"
#include "shard/tlspath.h"

#define QUIET 8u /* handshakes under way that are no crowd */

static void say(void *ctx, bool warning, const char *text)
{
	(void)ctx;
	if (warning)
		rc_warn_line("TLS: %s", text);
	else
		rc_info_line("TLS: %s", text);
}

static void describe(const struct rc_tls_context *c)
{
	rc_tls_context_describe(c, rc_clock_wall_ms() / 1000, say, NULL);
}

/* A cipher goes to the kernel only when it takes both directions. */
static int choose_path(struct rc_gateway *g, struct rc_error *err)
{
	static struct rc_ktls_ability ability;
	uint32_t wanted = g->config->tls_kernel;
	char says[RC_TLS_PATH_SIZE];

	if (wanted != RC_CONFIG_KERNEL_NO)
		rc_ktls_probe(&ability);
	for (int v = 0; v < RC_TLS_VERSIONS; v++)
		for (int k = 0; k < RC_TLS_CIPHERS; k++)
			g->tls.shared->kernel[v][k] = ability.send[v][k] && ability.receive[v][k];
	if (rc_tls_path(g->config, &ability, says) == RC_TLS_PATH_USER &&
		wanted == RC_CONFIG_KERNEL_YES)
		return rc_error_set(err,
			"[tls] kernel = yes can't be kept: %s; mend that, or set kernel = auto",
			ability.why_not);
	rc_info_line("%s", says);
	return 0;
}

int rc_gateway_tls_open(struct rc_gateway *g, struct rc_error *err)
{
	struct rc_tls_options options = rc_tls_options_of(g->config);

	if (!g->config->tls_certificate[0])
		return 0;
	g->tls.tickets = rc_tls_tickets_open(g->config->tls_ticket_lifetime_ms / 1000);
	g->tls.shared = calloc(1, sizeof(*g->tls.shared));
	if (!g->tls.tickets || !g->tls.shared)
		return rc_error_set(err, "out of memory");
	if (rc_tls_context_open(&g->tls.context, &options, g->tls.tickets, err) < 0)
		return -1;
	rc_random_bytes(&g->tls.shared->key, sizeof(g->tls.shared->key));
	atomic_store_explicit(&g->tls.shared->context, g->tls.context, memory_order_relaxed);
	atomic_store_explicit(&g->tls.shared->version, 1, memory_order_release);
	describe(g->tls.context);
	return choose_path(g, err);
}

static void let_go(struct rc_gateway *g)
{
	if (g->tls.old && rc_gateway_followed(g, &g->tls.shared->version, g->tls.shared->seen)) {
		rc_tls_context_close(g->tls.old);
		g->tls.old = NULL;
	}
}

int rc_gateway_tls_reload(struct rc_gateway *g, struct rc_error *err)
{
	struct rc_tls_options options = rc_tls_options_of(g->config);
	struct rc_tls_context *fresh;

	if (!g->tls.shared)
		return rc_error_set(err, "there is no [tls] certificate to reload");
	let_go(g);
	if (g->tls.old)
		return rc_error_set(err, "the reload before is not over yet; ask again");
	if (rc_tls_context_open(&fresh, &options, g->tls.tickets, err) < 0)
		return -1;
	g->tls.old = g->tls.context;
	g->tls.context = fresh;
	atomic_store_explicit(&g->tls.shared->context, fresh, memory_order_release);
	atomic_fetch_add_explicit(&g->tls.shared->version, 1, memory_order_release);
	describe(fresh);
	rc_gateway_wake(g);
	return 0;
}

/*
 * A crowd of handshakes leaves holes in OpenSSL's heap, tens of kilobytes for each that was under way at once. When the crowd
 * is gone, so are they.
 */
static void give_back(struct rc_gateway *g)
{
	uint64_t done = rc_counters_sum(&g->counters, RC_C_tls_full) +
			rc_counters_sum(&g->counters, RC_C_tls_resumed);

	if (done == g->tls.given_back ||
		rc_counters_sum(&g->counters, RC_C_tls_handshaking) > QUIET)
		return;
	g->tls.given_back = done;
	(void)malloc_trim(0);
}

void rc_gateway_tls_tick(struct rc_gateway *g)
{
	if (!g->tls.shared)
		return;
	let_go(g);
	give_back(g);
	(void)rc_tls_tickets_rotate(g->tls.tickets, rc_clock_mono_ns() / 1000000000u);
}

void rc_gateway_tls_close(struct rc_gateway *g)
{
	if (g->tls.old)
		rc_tls_context_close(g->tls.old);
	if (g->tls.context)
		rc_tls_context_close(g->tls.context);
	if (g->tls.tickets)
		rc_tls_tickets_close(g->tls.tickets);
	free(g->tls.shared);
}
