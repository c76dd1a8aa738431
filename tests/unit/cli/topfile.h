/* SPDX-License-Identifier: Apache-2.0
 *
 * Gateways for the tests of `ringcast top`: entries and snapshots that a test writes itself. The program's files are not in
 * the library, so they are taken in here.
 */
#ifndef RC_TESTS_UNIT_CLI_TOPFILE_H
#define RC_TESTS_UNIT_CLI_TOPFILE_H

#include "../unit.h"

#include <math.h>
#include <stdio.h>

#include "cli/figures.c"
#include "cli/topmodel.c"
#include "cli/toprows.c"
#include "cli/topsnap.c"

#define SECOND UINT64_C(1000000000)
/* Any moment will do. */
#define START_MS UINT64_C(1768472100000)

struct entry {
	const char *name;
	enum rc_counter_kind kind;
};

/* A view of which only what is copied is set; nothing is mapped. */
static inline struct rc_counters_view view_of(
	const struct entry *entries, uint32_t count, uint32_t shards)
{
	static struct rc_counters_meta meta[4096];
	struct rc_counters_view v = {.meta = meta,
		.meta_count = count,
		.shard_count = shards,
		.start_wall_ms = START_MS,
		.pid = 4242,
		.program_version = "0.1.0",
		.path = "/run/ringcast/4242.counters"};
	for (uint32_t i = 0; i < count; i++) {
		meta[i] = (struct rc_counters_meta){.kind = entries[i].kind, .word = i};
		snprintf(meta[i].name, sizeof(meta[i].name), "%s", entries[i].name);
		snprintf(meta[i].help, sizeof(meta[i].help), "Help of %s.", entries[i].name);
	}
	return v;
}

static inline void model_of(
	struct rc_top_model *m, const struct entry *entries, uint32_t count, uint32_t shards)
{
	struct rc_counters_view v = view_of(entries, count, shards);
	struct rc_top_gateway g;
	assert_true(rc_top_gateway_init(&g, &v));
	assert_true(rc_top_model_init(m, g));
}

/* The next snapshot, with what the last one had, so many ns after it. The test changes it and steps. */
static inline struct rc_top_snap *next_snap(struct rc_top_model *m, uint64_t ns)
{
	struct rc_top_snap *s = rc_top_model_next(m);
	if (m->taken > 0) {
		rc_top_snap_copy(s, rc_top_now(m), &m->gateway);
	} else {
		s->mono_ns = 100 * SECOND;
		s->wall_ms = START_MS;
	}
	s->mono_ns += ns;
	s->wall_ms += ns / 1000000;
	s->heartbeat_ms = s->wall_ms;
	return s;
}

static inline uint32_t at(const struct rc_top_model *m, const char *name)
{
	uint32_t i = rc_top_find(&m->gateway, name);
	assert_int_not_equal(i, RC_NONE);
	return i;
}

static inline uint64_t *hist_of(struct rc_top_model *m, struct rc_top_snap *s, const char *name)
{
	uint32_t h = rc_top_find_hist(&m->gateway, name);
	assert_int_not_equal(h, RC_NONE);
	return s->hist[h];
}

#endif
