/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/viewparts.h"

#include "proto/filter.h"
#include "proto/binary.h"

/* The rendition, the base's name behind its length, and the spec, each field where it always stands. */
#define KEY_MAX \
	(2 + RC_CHANNEL_MAX + 4 + 2 * sizeof(uint32_t) + 1 + RC_VIEW_KEY_MAX + RC_VIEW_FILTER_MAX)

static struct rc_str key_of(char buf[KEY_MAX], struct rc_str name, const struct rc_view_spec *s)
{
	char *at = buf;

	RC_ASSERT(s->key.len <= RC_VIEW_KEY_MAX && s->filter.len <= RC_VIEW_FILTER_MAX);
	*at++ = RC_RENDITION_VIEW;
	*at++ = (char)name.len;
	at = rc_str_copy(at, name);
	*at++ = (char)s->format;
	*at++ = (char)s->bits;
	*at++ = (char)s->batch;
	*at++ = (char)s->summary;
	memcpy(at, &s->rate, sizeof(s->rate));
	at += sizeof(s->rate);
	memcpy(at, &s->window_ms, sizeof(s->window_ms));
	at += sizeof(s->window_ms);
	*at++ = (char)s->key.len;
	at = rc_str_copy(at, s->key);
	at = rc_str_copy(at, s->filter);
	return (struct rc_str){buf, (size_t)(at - buf)};
}

/* False: no memory. The text is canonical, and compiles. */
static bool add_filter(struct rc_hub *h, struct rc_view *v)
{
	static _Thread_local struct rc_filter compiled;
	char canonical[RC_FILTER_TEXT_MAX];
	struct rc_filter_fault fault;
	size_t len;

	if (v->spec.filter.len == 0)
		return true;
	if (rc_filter_compile(v->spec.filter, &compiled, canonical, &len, &fault) < 0)
		RC_FAIL("a filter that was taken is none");
	v->filter = rc_pool_get(h->pool, compiled.size);
	if (v->filter)
		memcpy(v->filter, &compiled, compiled.size);
	return v->filter != NULL;
}

static void free_view(struct rc_hub *h, struct rc_view *v)
{
	if (v->filter)
		rc_pool_put(h->pool, v->filter, v->filter->size);
	h->views_kept -= v->kept;
	rc_gauge_add(h->counters, RC_C_views, -1);
	rc_pool_put(h->pool, v, v->size);
}

static struct rc_view *view_new(struct rc_hub *h, const struct rc_view_spec *spec)
{
	size_t size = sizeof(struct rc_view) + spec->key.len + spec->filter.len;
	bool kept = rc_view_is_kept(spec);

	if (kept && h->views_kept >= h->limits.views_max)
		return NULL;
	struct rc_view *v = rc_pool_get(h->pool, size);
	if (!v)
		return NULL;
	*v = (struct rc_view){.size = (uint32_t)size,
		.spec = *spec,
		.kept = kept,
		.heap_at = RC_NONE,
		.due_ns = UINT64_MAX};
	v->spec.key.ptr = v->text;
	v->spec.filter.ptr = rc_str_copy(v->text, spec->key);
	(void)rc_str_copy(v->text + spec->key.len, spec->filter);
	rc_rate_init(&v->rate, RC_MAX(spec->rate, 1u));
	h->views_kept += kept;
	rc_gauge_add(h->counters, RC_C_views, 1);
	if (!add_filter(h, v)) {
		free_view(h, v);
		return NULL;
	}
	return v;
}

void rc_view_free(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);

	if (!r->view)
		return;
	rc_view_drop(h, index);
	free_view(h, r->view);
	r->view = NULL;
}

bool rc_view_same(
	const struct rc_hub *h, const struct rc_replica *r, const struct rc_view_spec *spec)
{
	char buf[KEY_MAX];

	if (r->rendition != RC_RENDITION_VIEW)
		return rc_view_is_plain(spec);
	return rc_str_eq(rc_replica_name(r), key_of(buf, rc_replica_name(rc_hub_base(h, r)), spec));
}

static uint32_t make(struct rc_hub *h, struct rc_str key, uint32_t hash, struct rc_str name,
	const struct rc_view_spec *spec)
{
	uint32_t index =
		rc_hub_renditions_full(h) ? RC_NONE : rc_replica_create(h, key, hash, false);

	if (index == RC_NONE)
		return RC_NONE;
	struct rc_replica *r = rc_hub_replica(h, index);
	r->rendition = RC_RENDITION_VIEW;
	h->renditions++;
	r->ask_shards = 0;
	r->oks_left = 0;
	r->ns = (uint16_t)h->port.namespace_of(h->port.ctx, name);
	r->newest_from = RC_NONE;
	r->waiting = 1; /* not before its base is named */
	r->view = view_new(h, spec);
	bool linked = r->view && rc_stream_add_member(h, index, name);
	/* What was linked is unlinked by the leave, whether it went well or not. */
	if (r->linked_count && spec->format == RC_VIEW_DEFLATE)
		rc_replica_deflated(h, r->linked[0], true);
	if (!linked) {
		rc_stream_leave(h, index);
		return RC_NONE;
	}
	if (--r->waiting == 0)
		r->state = RC_REPLICA_ACTIVE;
	return index;
}

/* The connection has no other of it, or one that is to go. */
static enum rc_subscribe_result subscribe(struct rc_hub *h, uint32_t conn, uint32_t *first_sub,
	struct rc_str name, bool pattern, const struct rc_view_spec *spec, uint32_t flags,
	uint32_t *out)
{
	char buf[KEY_MAX];

	*out = RC_NONE;
	if (rc_view_is_plain(spec))
		return rc_replica_subscribe(h, conn, first_sub, name, pattern, flags, out);
	struct rc_str key = key_of(buf, name, spec);
	uint32_t hash = rc_hub_hash(h, key);
	uint32_t index = rc_replica_named(h, key, hash);
	bool fresh = index == RC_NONE;
	if (fresh)
		index = make(h, key, hash, name, spec);
	if (index == RC_NONE)
		return RC_SUBSCRIBE_FULL;
	*out = rc_replica_join(h, index, conn, first_sub, flags | RC_SUB_VIEW);
	if (*out == RC_NONE) {
		if (fresh)
			rc_stream_leave(h, index);
		return RC_SUBSCRIBE_FULL;
	}
	return RC_SUBSCRIBED;
}

enum rc_subscribe_result rc_view_subscribe_formed(struct rc_hub *h, uint32_t conn,
	uint32_t *first_sub, struct rc_str name, bool pattern, const struct rc_view_spec *spec,
	uint32_t flags, uint32_t *out)
{
	*out = rc_replica_find_sub(h, conn, *first_sub, name);
	if (*out != RC_NONE)
		return RC_SUBSCRIBED_ALREADY;
	return subscribe(h, conn, first_sub, name, pattern, spec, flags, out);
}

enum rc_subscribe_result rc_view_replace(struct rc_hub *h, uint32_t conn, uint32_t *first_sub,
	struct rc_str name, bool pattern, const struct rc_view_spec *spec, uint32_t flags,
	uint32_t *out)
{
	uint32_t old = rc_replica_find_sub(h, conn, *first_sub, name);

	RC_ASSERT(old != RC_NONE);
	rc_hub_sub(h, old)->flags |= RC_SUB_REPLACED;
	enum rc_subscribe_result result =
		subscribe(h, conn, first_sub, name, pattern, spec, flags, out);
	if (result != RC_SUBSCRIBED)
		rc_hub_sub(h, old)->flags &= ~(uint32_t)RC_SUB_REPLACED;
	return result;
}

bool rc_view_deflates(const struct rc_replica *r)
{
	return r->rendition == RC_RENDITION_VIEW && r->view &&
	       r->view->spec.format == RC_VIEW_DEFLATE;
}

bool rc_view_of_kept(const struct rc_replica *r)
{
	return r->rendition == RC_RENDITION_VIEW && r->view->kept;
}

bool rc_view_of_whole(const struct rc_replica *r)
{
	return r->rendition == RC_RENDITION_VIEW && rc_view_is_whole(&r->view->spec);
}

/* ---- renditions --------------------------------------------------------------------------------- */

static struct rc_bin_source source_of(const struct rc_view_event *e)
{
	return (struct rc_bin_source){e->frame, e->len, e->raw, e->channel, e->offset, e->position};
}

size_t rc_view_form_bound(
	struct rc_hub *h, const struct rc_replica *view, const struct rc_view_event *e)
{
	struct rc_bin_source source = source_of(e);

	(void)h;
	switch (view->view->spec.format) {
	case RC_VIEW_BIN_WS:
	case RC_VIEW_BIN_TCP:
		return rc_bin_rendition_bound(&source);
	default:
		return e->len;
	}
}

size_t rc_view_form(struct rc_hub *h, const struct rc_replica *view, const struct rc_view_event *e,
	unsigned char *out)
{
	struct rc_bin_source source = source_of(e);

	switch (view->view->spec.format) {
	case RC_VIEW_BIN_WS:
	case RC_VIEW_BIN_TCP:
		return rc_bin_rendition(out, &source, view->view->spec.format == RC_VIEW_BIN_WS);
	case RC_VIEW_DEFLATE:
		return rc_deflated_frame(h, e->frame, e->len, view->view->spec.bits, out);
	default:
		memcpy(out, e->frame, e->len);
		return e->len;
	}
}

size_t rc_view_bound(struct rc_hub *h, const struct rc_replica *view, const struct rc_view_event *e)
{
	return rc_view_wants(h, view, e) ? rc_view_form_bound(h, view, e) : 0;
}

size_t rc_view_render(struct rc_hub *h, const struct rc_replica *view,
	const struct rc_view_event *e, unsigned char *out)
{
	return rc_view_form(h, view, e, out);
}
