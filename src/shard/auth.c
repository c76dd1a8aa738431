/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of tokens and services of the whole gateway: those in place, and their successors when a file has changed.
 */
#include <assert.h>
#include <stdlib.h>

#include "auth/auth.h"
#include "base/logline.h"
#include "shard/shard.h"

/* Who verifies counts RC_C_tokens_good + result. */
static_assert(RC_C_tokens_claim - RC_C_tokens_good == RC_TOKEN_CLAIM &&
		      RC_TOKEN_CLAIM == RC_TOKEN_RESULTS - 1,
	"a counter for each result");

static void say(void *ctx, bool warning, const char *text)
{
	(void)ctx;
	if (warning)
		rc_warn_line("tokens: %s", text);
	else
		rc_info_line("tokens: %s", text);
}

int rc_gateway_auth_open(struct rc_gateway *g, struct rc_error *err)
{
	g->auth.shared = calloc(1, sizeof(*g->auth.shared));
	if (!g->auth.shared)
		return rc_error_set(err, "out of memory");
	/* Before the files are read: what changes meanwhile is read again. */
	g->auth.stamp = rc_auth_stamp(g->config);
	if (rc_auth_open(&g->auth.current, g->config, err) < 0)
		return -1;
	atomic_store_explicit(&g->auth.shared->current, g->auth.current, memory_order_relaxed);
	/* Pairs with the acquire in follow_auth() of serve.c, as the two below do. */
	atomic_store_explicit(&g->auth.shared->version, 1, memory_order_release);
	rc_auth_describe(g->auth.current, say, NULL);
	return 0;
}

static void let_go(struct rc_gateway *g)
{
	if (g->auth.old && rc_gateway_followed(g, &g->auth.shared->version, g->auth.shared->seen)) {
		rc_auth_close(g->auth.old);
		g->auth.old = NULL;
	}
}

int rc_gateway_auth_reload(struct rc_gateway *g, struct rc_error *err)
{
	struct rc_auth *fresh;

	let_go(g);
	if (g->auth.old)
		return rc_error_set(err, "the reload before is not over yet; ask again");
	g->auth.stamp = rc_auth_stamp(g->config);
	if (rc_auth_open(&fresh, g->config, err) < 0) {
		atomic_fetch_add_explicit(&g->auth.shared->failed, 1, memory_order_relaxed);
		rc_gateway_wake(g);
		return -1;
	}
	g->auth.old = g->auth.current;
	g->auth.current = fresh;
	atomic_store_explicit(&g->auth.shared->current, fresh, memory_order_release);
	atomic_fetch_add_explicit(&g->auth.shared->version, 1, memory_order_release);
	rc_auth_describe(fresh, say, NULL);
	rc_gateway_wake(g);
	return 0;
}

void rc_gateway_auth_tick(struct rc_gateway *g)
{
	struct rc_error err;

	let_go(g);
	if (g->auth.old || rc_auth_stamp(g->config) == g->auth.stamp)
		return;
	if (rc_gateway_auth_reload(g, &err) < 0)
		rc_error_line("keys of tokens and services are not reloaded, the old ones stay: %s",
			err.text);
	else
		rc_info_line("keys of tokens and services reloaded: a file has changed");
}

void rc_gateway_auth_close(struct rc_gateway *g)
{
	rc_auth_close(g->auth.old);
	rc_auth_close(g->auth.current);
	free(g->auth.shared);
}
