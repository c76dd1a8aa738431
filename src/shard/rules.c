/* SPDX-License-Identifier: Apache-2.0
 *
 * What namespaces take from publishers, of the whole gateway: the rules in place, and their successors when a file has changed.
 */
#include <stdlib.h>

#include "base/logline.h"
#include "serve/validation.h"
#include "shard/shard.h"

int rc_gateway_rules_open(struct rc_gateway *g, struct rc_error *err)
{
	if (!rc_validation_wanted(g->config))
		return 0;
	g->rules.shared = calloc(1, sizeof(*g->rules.shared));
	if (!g->rules.shared)
		return rc_error_set(err, "out of memory");
	/* Before the files are read: what changes meanwhile is read again. */
	g->rules.stamp = rc_validation_stamp(g->config);
	if (rc_validation_open(&g->rules.current, g->config, err) < 0)
		return -1;
	atomic_store_explicit(&g->rules.shared->current, g->rules.current, memory_order_relaxed);
	/* Pairs with the acquire in follow_rules() of serve.c, as the two below do. */
	atomic_store_explicit(&g->rules.shared->version, 1, memory_order_release);
	if (g->rules.current->schemas)
		rc_info_line("schemas: %u", g->rules.current->schemas);
	return 0;
}

int rc_gateway_rules_try(const struct rc_config *config, struct rc_error *err)
{
	struct rc_validation *v;

	if (rc_validation_open(&v, config, err) < 0)
		return -1;
	rc_validation_close(v);
	return 0;
}

static void let_go(struct rc_gateway *g)
{
	if (g->rules.old &&
		rc_gateway_followed(g, &g->rules.shared->version, g->rules.shared->seen)) {
		rc_validation_close(g->rules.old);
		g->rules.old = NULL;
	}
}

void rc_gateway_rules_reload(struct rc_gateway *g)
{
	struct rc_validation *fresh;
	struct rc_error err;

	let_go(g);
	if (!g->rules.shared || g->rules.old || !rc_validation_has_files(g->config))
		return;
	g->rules.stamp = rc_validation_stamp(g->config);
	if (rc_validation_open(&fresh, g->config, &err) < 0) {
		atomic_fetch_add_explicit(&g->rules.shared->failed, 1, memory_order_relaxed);
		rc_gateway_wake(g);
		rc_error_line("schemas are not reloaded, the old ones stay: %s", err.text);
		return;
	}
	g->rules.old = g->rules.current;
	g->rules.current = fresh;
	atomic_store_explicit(&g->rules.shared->current, fresh, memory_order_release);
	atomic_fetch_add_explicit(&g->rules.shared->version, 1, memory_order_release);
	rc_gateway_wake(g);
	rc_info_line("schemas reloaded: %u", fresh->schemas);
}

void rc_gateway_rules_tick(struct rc_gateway *g)
{
	let_go(g);
	if (g->rules.shared && !g->rules.old && rc_validation_has_files(g->config) &&
		rc_validation_stamp(g->config) != g->rules.stamp)
		rc_gateway_rules_reload(g);
}

void rc_gateway_rules_close(struct rc_gateway *g)
{
	rc_validation_close(g->rules.old);
	rc_validation_close(g->rules.current);
	free(g->rules.shared);
}
