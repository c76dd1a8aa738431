/* SPDX-License-Identifier: Apache-2.0
 *
 * From counters files to the model; the contract is in topsource.h.
 */
#include "cli/topsource.h"

#include <stdio.h>

#include "base/clock.h"

static void look(void *ctx)
{
	struct rc_top_source *s = ctx;
	rc_top_snap_take(s->target, &s->model.gateway, &s->view);
}

/* A gateway that was dead from the start was last alive at its last heartbeat. */
static void last_heartbeat(void *ctx)
{
	struct rc_top_source *s = ctx;
	s->seen_ms = rc_counters_heartbeat_ms(&s->view);
}

/* False when the file was cut short under it; then the model has what it had. */
static bool take(struct rc_top_source *s)
{
	s->target = rc_top_model_next(&s->model);
	if (!rc_counters_guarded(look, s))
		return false;
	rc_top_model_step(&s->model);
	return true;
}

static bool begin(struct rc_top_source *s, const struct rc_counters_view *v)
{
	struct rc_top_gateway g;
	s->view = *v;
	s->cut = false;
	s->wall_ms = rc_clock_wall_ms();
	s->seen_ms = s->wall_ms;
	s->alive = rc_counters_alive(&s->view);
	bool room = rc_top_gateway_init(&g, v);
	if (!rc_top_model_init(&s->model, g) || !room)
		return false;
	bool whole = s->alive || rc_counters_guarded(last_heartbeat, s);
	if (!whole || !take(s)) {
		/* Zeros are shown: who it was is known, and nothing else. */
		s->cut = true;
		s->alive = false;
		rc_top_model_step(&s->model);
	}
	return true;
}

bool rc_top_source_init(struct rc_top_source *s, const struct rc_counters_view *v)
{
	*s = (struct rc_top_source){0};
	return begin(s, v);
}

void rc_top_source_deinit(struct rc_top_source *s)
{
	rc_top_model_deinit(&s->model);
	rc_counters_close(&s->view);
}

/* ---- successors ----------------------------------------------------------------------------- */

static size_t folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash == NULL ? 0 : (size_t)(slash - path);
}

struct search {
	const struct rc_top_source *source;
	char path[RC_COUNTERS_PATH_MAX]; /* "" = none */
	uint64_t start_wall_ms;
};

static bool consider(void *ctx, const struct rc_counters_view *v)
{
	struct search *search = ctx;
	const struct rc_top_source *s = search->source;
	const char *old = s->model.gateway.path;
	bool beside = folder_len(v->path) == folder_len(old) &&
		      memcmp(v->path, old, folder_len(old)) == 0;
	/* Of several the first that came. */
	if (beside && v->start_wall_ms >= s->seen_ms &&
		(search->path[0] == '\0' || v->start_wall_ms < search->start_wall_ms)) {
		memcpy(search->path, v->path, sizeof(search->path));
		search->start_wall_ms = v->start_wall_ms;
	}
	return true;
}

static bool open_living(struct rc_counters_view *v, const char *path)
{
	struct rc_error err;
	if (rc_counters_open(v, path, &err) != 0)
		return false;
	if (rc_counters_alive(v))
		return true;
	rc_counters_close(v);
	return false;
}

static bool find_successor(const struct rc_top_source *s, struct rc_counters_view *v)
{
	if (open_living(v, s->model.gateway.path))
		return true;
	struct search search = {.source = s};
	rc_counters_list(consider, &search);
	return search.path[0] != '\0' && open_living(v, search.path);
}

/* ---- steps ---------------------------------------------------------------------------------- */

bool rc_top_source_step(struct rc_top_source *s)
{
	s->wall_ms = rc_clock_wall_ms();
	if (!s->alive) {
		struct rc_counters_view v;
		if (!find_successor(s, &v))
			return true;
		rc_top_source_deinit(s);
		return begin(s, &v);
	}
	/* Asked before the look, so that the last counts of one that has ended meanwhile are in it. */
	s->alive = rc_counters_alive(&s->view);
	if (s->alive)
		s->seen_ms = s->wall_ms;
	if (!take(s)) {
		s->alive = false;
		s->cut = true;
		rc_counters_close(&s->view);
	}
	return true;
}
