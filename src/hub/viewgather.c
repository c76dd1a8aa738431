/* SPDX-License-Identifier: Apache-2.0
 *
 * Several events in one message: the events of a window, their counts by name, or what came in one turn of the loop. What has no room any more
 * goes out early; what is too large for any, or no event's object, goes alone, behind those before it.
 *
 *   {"type":"events","channel":"…","events":[…,…]}
 *   {"type":"summary","channel":"…","counts":{"name":n},"from":"…","to":"…","offset":n}
 *   object, newline, object
 */
#include "hub/viewparts.h"

#include "base/clock.h"
#include "proto/textbuf.h"
#include "proto/websocket.h"

#define HEADER_MAX 10u
#define FIRST_SIZE 2048u
#define END_LEN    2u
/* Beside names and channel. */
#define SUMMARY_MAX (256u + 2 * RC_ISO8601_LEN)

/* A name and how many had it: padded to 4 bytes. */
struct tally {
	uint32_t count;
	uint32_t len;
	char name[];
};

void rc_gather_drop(struct rc_hub *h, struct rc_gather *g)
{
	rc_pool_put(h->pool, g->bytes, g->size);
	memset(g, 0, sizeof(*g));
}

/* Room for len bytes more and the end of the message. False: that would be too much, or there is no memory. */
static bool make_room(struct rc_hub *h, struct rc_gather *g, uint32_t len)
{
	uint64_t need = (uint64_t)g->len + len + END_LEN;

	if (need <= g->size)
		return true;
	if (need > h->limits.view_bytes)
		return false;
	size_t size = rc_pool_size(
		(size_t)RC_MAX(RC_MIN(RC_MAX(need, (uint64_t)g->size * 2), h->limits.view_bytes),
			(uint64_t)RC_MIN(FIRST_SIZE, h->limits.view_bytes)));
	unsigned char *bytes = rc_pool_get(h->pool, size);
	if (!bytes)
		return false;
	if (g->len)
		memcpy(bytes, g->bytes, g->len);
	rc_pool_put(h->pool, g->bytes, g->size);
	g->bytes = bytes;
	g->size = (uint32_t)size;
	return true;
}

static void put(struct rc_gather *g, struct rc_str text)
{
	(void)rc_str_copy(g->bytes + g->len, text);
	g->len += (uint32_t)text.len;
}

static void note(struct rc_hub *h, const struct rc_view_spec *spec, struct rc_gather *g,
	const struct rc_view_mark *mark)
{
	if (g->count++ == 0) {
		g->close_ns = h->now_ns + (uint64_t)spec->window_ms * 1000000u;
		g->first_ms = mark->time_ms;
	}
	g->at = *mark;
	g->at.mute = NULL;
}

/* ---- text --------------------------------------------------------------------------------------- */

/* The message begins. */
static bool begin_text(struct rc_hub *h, const struct rc_replica *r, struct rc_gather *g)
{
	struct rc_str name = rc_replica_name(rc_hub_base(h, r));

	if (!make_room(h, g, HEADER_MAX + 64 + (uint32_t)name.len))
		return false;
	g->len = HEADER_MAX;
	if (r->view->spec.window_ms == 0)
		return true;
	put(g, RC_STR("{\"type\":\"events\",\"channel\":\""));
	put(g, name);
	put(g, RC_STR("\",\"events\":["));
	return true;
}

static bool put_event(
	struct rc_hub *h, const struct rc_replica *r, struct rc_gather *g, struct rc_str payload)
{
	if (g->len == 0 && !begin_text(h, r, g)) {
		rc_gather_drop(h, g);
		return false;
	}
	if (!make_room(h, g, (uint32_t)payload.len + 1)) {
		if (g->count == 0)
			rc_gather_drop(h, g);
		return false;
	}
	if (g->count)
		put(g, r->view->spec.window_ms ? RC_STR(",") : RC_STR("\n"));
	put(g, payload);
	return true;
}

static bool add_text(struct rc_hub *h, uint32_t index, const unsigned char *frame, uint32_t len,
	const struct rc_view_mark *mark)
{
	const struct rc_replica *r = rc_hub_replica(h, index);
	struct rc_gather *g = &r->view->gather;
	const struct rc_event_view *e = rc_view_parsed(h, frame, len);

	for (int try = 0; e && try < 2; try++) {
		if (put_event(h, r, g, e->payload)) {
			note(h, &r->view->spec, g, mark);
			return true;
		}
		if (g->count && !rc_gather_flush(h, index))
			return false;
	}
	if (g->count && !rc_gather_flush(h, index))
		return false;
	return rc_view_emit(h, index, frame, len, mark);
}

static bool flush_text(struct rc_hub *h, uint32_t index)
{
	struct rc_view *v = rc_hub_replica(h, index)->view;
	struct rc_gather g = v->gather;
	unsigned char header[HEADER_MAX];
	bool window = v->spec.window_ms != 0;

	if (window) {
		put(&g, RC_STR("]}"));
		g.at.taken_ns = h->now_ns;
	}
	size_t header_len = rc_ws_header(header, RC_WS_TEXT, true, g.len - HEADER_MAX);
	unsigned char *frame = g.bytes + HEADER_MAX - header_len;
	memcpy(frame, header, header_len);
	/* Whatever becomes of it, the view begins anew. */
	memset(&v->gather, 0, sizeof(v->gather));
	rc_count(
		h->counters, window ? RC_C_view_windows : RC_C_view_batches, window || g.count > 1);
	bool alive =
		rc_view_emit(h, index, frame, (uint32_t)(g.len - HEADER_MAX + header_len), &g.at);
	rc_gather_drop(h, &g);
	return alive;
}

/* ---- counts ------------------------------------------------------------------------------------- */

static struct tally *tally_at(const struct rc_gather *g, uint32_t at)
{
	return (struct tally *)(void *)(g->bytes + at);
}

static uint32_t tally_size(uint32_t name_len)
{
	return (uint32_t)rc_align_up(sizeof(struct tally) + name_len, _Alignof(struct tally));
}

static void add_count(struct rc_hub *h, struct rc_gather *g, struct rc_str name)
{
	for (uint32_t at = 0; at < g->len;) {
		struct tally *t = tally_at(g, at);
		if (rc_str_eq((struct rc_str){t->name, t->len}, name)) {
			t->count++;
			return;
		}
		at += tally_size(t->len);
	}
	uint32_t size = tally_size((uint32_t)name.len);
	if (g->names == RC_VIEW_NAMES_MAX || !make_room(h, g, size)) {
		g->rest++;
		return;
	}
	struct tally *t = tally_at(g, g->len);
	t->count = 1;
	t->len = (uint32_t)name.len;
	(void)rc_str_copy(t->name, name);
	g->len += size;
	g->names++;
}

static void add_name(struct rc_textbuf *b, struct rc_str raw, uint32_t count, bool first)
{
	rc_textbuf_add_text(b, first ? "\"" : ",\"");
	rc_textbuf_add(b, raw);
	rc_textbuf_add_text(b, "\":");
	rc_textbuf_add_u64(b, count);
}

static void write_summary(struct rc_hub *h, const struct rc_replica *r, const struct rc_gather *g,
	struct rc_textbuf *b)
{
	const struct rc_replica *base = rc_hub_base(h, r);
	char iso[RC_ISO8601_LEN];

	rc_textbuf_add_text(b, "{\"type\":\"summary\",\"channel\":");
	rc_textbuf_add_string(b, rc_replica_name(base));
	rc_textbuf_add_text(b, ",\"counts\":{");
	for (uint32_t at = 0; at < g->len;) {
		const struct tally *t = tally_at(g, at);
		add_name(b, (struct rc_str){t->name, t->len}, t->count, at == 0);
		at += tally_size(t->len);
	}
	if (g->rest)
		add_name(b, RC_STR(""), g->rest, g->len == 0);
	rc_textbuf_add_text(b, "},\"from\":\"");
	rc_clock_iso8601(g->first_ms, iso);
	rc_textbuf_add(b, (struct rc_str){iso, sizeof(iso)});
	rc_textbuf_add_text(b, "\",\"to\":\"");
	rc_clock_iso8601(g->at.time_ms, iso);
	rc_textbuf_add(b, (struct rc_str){iso, sizeof(iso)});
	rc_textbuf_add_text(b, "\"");
	if (!base->pattern) {
		rc_textbuf_add_text(b, ",\"offset\":");
		rc_textbuf_add_u64(b, g->at.offset);
	}
	rc_textbuf_add_text(b, "}");
}

static bool flush_counts(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);
	struct rc_gather *g = &r->view->gather;
	size_t bound = SUMMARY_MAX + RC_CHANNEL_MAX + g->len + 16 * ((size_t)g->names + 1);
	unsigned char *frame = rc_pool_get(h->pool, HEADER_MAX + bound);
	struct rc_view_mark at = g->at;

	if (!frame) {
		/* It goes on counting; a little later there may be memory. */
		rc_count(h->counters, RC_C_arena_refused, 1);
		g->close_ns = h->now_ns + 100000000u;
		return true;
	}
	struct rc_textbuf b = {.ptr = (char *)frame + HEADER_MAX, .cap = bound};
	write_summary(h, r, g, &b);
	RC_DASSERT(!b.full);
	unsigned char header[HEADER_MAX];
	size_t header_len = rc_ws_header(header, RC_WS_TEXT, true, b.len);
	memcpy(frame + HEADER_MAX - header_len, header, header_len);
	at.taken_ns = h->now_ns;
	rc_gather_drop(h, g);
	rc_count(h->counters, RC_C_view_windows, 1);
	bool alive = rc_view_emit(
		h, index, frame + HEADER_MAX - header_len, (uint32_t)(b.len + header_len), &at);
	rc_pool_put(h->pool, frame, HEADER_MAX + bound);
	return alive;
}

/* ------------------------------------------------------------------------------------------------- */

bool rc_gather_add(struct rc_hub *h, uint32_t index, const unsigned char *frame, uint32_t len,
	const struct rc_view_mark *mark)
{
	const struct rc_replica *r = rc_hub_replica(h, index);
	struct rc_gather *g = &r->view->gather;

	if (!r->view->spec.summary)
		return add_text(h, index, frame, len, mark);
	const struct rc_event_view *e = rc_view_parsed(h, frame, len);
	if (e) {
		add_count(h, g, e->event_raw);
		note(h, &r->view->spec, g, mark);
	}
	return true;
}

bool rc_gather_flush(struct rc_hub *h, uint32_t index)
{
	const struct rc_view *v = rc_hub_replica(h, index)->view;

	if (v->gather.count == 0)
		return true;
	return v->spec.summary ? flush_counts(h, index) : flush_text(h, index);
}
