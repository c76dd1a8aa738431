/* SPDX-License-Identifier: Apache-2.0
 *
 * A client that reads server-sent events: a GET whose answer never ends. It has one subscription, to the stream of all that
 * it asked for, and says nothing more. It ends with the connection, which an EventSource takes for a reason to come back, with
 * the last id that it saw.
 */
#include "serve/sse.h"

#include "proto/event.h"
#include "proto/message.h"
#include "proto/sse.h"
#include "serve/replay.h"

#define HEAD_MAX 2048u
#define RETRY_MS 1000u /* and as much again at random */
/* Names of one stream: what a question to another shard can carry. */
#define NAMES_MAX 12288u

static const char head_text[] = "HTTP/1.1 200 OK\r\n"
				"Content-Type: text/event-stream; charset=utf-8\r\n"
				"Cache-Control: no-cache, no-transform\r\n"
				"X-Accel-Buffering: no\r\n"
				"Connection: close\r\n";

/* ---- what is asked for -------------------------------------------------------------------------- */

struct wish {
	unsigned char *names; /* a block of the pool: each behind a byte with its length */
	uint32_t len, count;
	bool bare;
	bool back; /* it was here before */
	struct rc_since since;
};

static bool is_channel_word(struct rc_str key)
{
	static const char *const words[] = {
		"channel", "channels", "category", "categories", "room", "rooms"};

	for (size_t i = 0; i < RC_ARRAY_LEN(words); i++) {
		if (rc_str_eq(key, rc_str_of(words[i])))
			return true;
	}
	return false;
}

static int compare(const unsigned char *a, const unsigned char *b)
{
	int order = memcmp(a + 1, b + 1, RC_MIN(a[0], b[0]));

	return order ? order : (int)a[0] - (int)b[0];
}

/* In its place among the others, unless it is there. Requests have few names, mostly in order. */
static int add_name(struct wish *w, struct rc_str name)
{
	unsigned char entry[1 + RC_CHANNEL_MAX];
	uint32_t at = 0, len = 1 + (uint32_t)name.len;

	if (rc_name_classify(name) == RC_NAME_BAD)
		return 400;
	if (rc_name_reserved(name))
		return 403;
	if (w->len + len > NAMES_MAX)
		return 414;
	entry[0] = (unsigned char)name.len;
	memcpy(entry + 1, name.ptr, name.len);
	while (at < w->len) {
		int order = compare(entry, w->names + at);
		if (order == 0)
			return 0;
		if (order < 0)
			break;
		at += 1u + w->names[at];
	}
	memmove(w->names + at + len, w->names + at, w->len - at);
	memcpy(w->names + at, entry, len);
	w->len += len;
	w->count++;
	return 0;
}

static int read_query(struct wish *w, struct rc_str query)
{
	struct rc_str rest = query, key, value;
	char buf[2048];
	bool since = false;

	while (rc_http_query_next(&rest, &key, &value)) {
		bool channel = is_channel_word(key);
		bool from = rc_str_eq(key, RC_STR("since")) ||
			    rc_str_eq(key, RC_STR("lastEventId"));
		bool format = rc_str_eq(key, RC_STR("format"));
		if (!channel && !from && !format)
			continue;
		int len = rc_http_unescape(value, true, buf, sizeof(buf));
		if (len < 0)
			return 400;
		struct rc_str text = {buf, (size_t)len};
		int status = channel ? add_name(w, text) : 0;
		if (status)
			return status;
		if (format) {
			w->bare = rc_str_eq(text, RC_STR("data"));
			if (!w->bare && !rc_str_eq(text, RC_STR("event")))
				return 400;
		}
		if (from && len) {
			if (since || rc_msg_since_text(text, &w->since) < 0)
				return 400;
			since = true;
			w->back = rc_str_eq(key, RC_STR("lastEventId"));
		}
	}
	return w->count ? 0 : 400;
}

static int read_wish(struct wish *w, const struct rc_http_request *r)
{
	struct rc_str last = rc_http_header_get(r, "last-event-id");
	int status = read_query(w, r->query);

	if (last.len) {
		/* What an EventSource sends by itself counts for more than what its address said at the beginning. */
		w->back = true;
		memset(&w->since, 0, sizeof(w->since));
		if (rc_msg_since_text(last, &w->since) < 0 && status == 0)
			status = 400;
	}
	if (status == 0 && w->since.kind == RC_SINCE_POSITION &&
		(w->count > 1 || memchr(w->names + 1, '*', w->names[0])))
		status = 400;
	/* To one who was here before and whose request can't be served any more nothing is owed but to stop asking. */
	return status && w->back ? 204 : status;
}

/* ---- coming ------------------------------------------------------------------------------------- */

static bool some_first(const struct rc_serve *sv, const struct wish *w)
{
	for (uint32_t at = 0; at < w->len; at += 1u + w->names[at]) {
		struct rc_str name = {(const char *)w->names + at + 1, w->names[at]};
		uint32_t ns = sv->hub->port.namespace_of(sv->hub->port.ctx, name);
		if (sv->hub->namespaces[ns].first_latest)
			return true;
	}
	return false;
}

static struct rc_replica *stream_of(const struct rc_serve *sv, const struct rc_conn *c)
{
	return rc_hub_replica(sv->hub, rc_hub_sub(sv->hub, c->subs)->replica);
}

/* False: the connection is over. */
static bool write_all(struct rc_serve *sv, struct rc_conn *c, const void *bytes, size_t len)
{
	if (rc_conn_write(sv->conns, c, bytes, (uint32_t)len, UINT32_MAX))
		return true;
	rc_count(sv->counters, RC_C_arena_refused, 1);
	rc_sse_end(sv, c, RC_C_close_capacity);
	return false;
}

/* The stream has begun, and what can be given of the past is known. */
static void begin(struct rc_serve *sv, struct rc_conn *c)
{
	uint32_t replay = rc_replay_of(sv, c->subs);
	const struct rc_replay *p = replay == RC_NONE ? NULL : rc_replay_at(sv, replay);
	unsigned char hello[RC_SSE_SHORT_MAX(RC_STREAM_TEXT_MAX(RC_STREAM_SHARDS_MAX))];
	char text[RC_STREAM_TEXT_MAX(RC_STREAM_SHARDS_MAX)];
	bool past = p && p->what == RC_REPLAY_SINCE && rc_replay_wanted(p);
	bool missing = p && p->what == RC_REPLAY_SINCE && p->verdict != RC_VERDICT_ALL;
	struct rc_str position =
		past ? rc_replay_position(sv, p, text) : rc_hub_position(sv->hub);
	size_t len = rc_sse_hello(
		hello, RETRY_MS + rc_prng_below(&sv->prng, RETRY_MS), position);

	if (!write_all(sv, c, hello, len))
		return;
	if (missing)
		rc_sse_gap_to(sv, c, stream_of(sv, c),
			rc_replay_reason((enum rc_verdict)p->verdict), RC_MSG_NO_COUNT, 0);
	if (c->state != RC_CONN_OPEN)
		return;
	if (p)
		rc_replay_start(sv, replay);
	else
		rc_replica_resume(sv->hub, c->subs);
}

/* 0, or the status to answer with; then nothing was done. */
static int subscribe(struct rc_serve *sv, struct rc_conn *c, const struct wish *w)
{
	uint32_t sub;

	if (w->count > sv->config->max_channels_per_client) {
		rc_count(sv->counters, RC_C_subscribe_refused_limit, 1);
		return w->back ? 204 : 403;
	}
	enum rc_subscribe_result result = rc_stream_subscribe(sv->hub,
		rc_conn_slot(sv->conns, c), &c->subs,
		(struct rc_str){(const char *)w->names, w->len},
		w->bare ? RC_RENDITION_SSE_BARE : RC_RENDITION_SSE, RC_SUB_PAUSED, &sub);
	if (result == RC_SUBSCRIBED)
		return 0;
	rc_count(sv->counters, RC_C_subscribe_refused_full, 1);
	return 503;
}

static void opened(struct rc_serve *sv, struct rc_conn *c, const struct wish *w)
{
	bool first = w->since.kind == RC_SINCE_NONE && some_first(sv, w);
	bool active = stream_of(sv, c)->state == RC_REPLICA_ACTIVE;
	uint32_t replay;

	c->kind = RC_CONN_SSE;
	c->sub_count = 1;
	c->secret = rc_random_secret(&sv->secrets);
	sv->clients++;
	rc_gauge_set(sv->counters, RC_C_clients, sv->clients);
	rc_gauge_add(sv->counters, RC_C_clients_sse, 1);
	rc_count(sv->counters, RC_C_clients_opened, 1);
	rc_count(sv->counters, RC_C_upgrades, 1);
	rc_conn_timer(sv->conns, c, 1 + rc_prng_below(&sv->prng, sv->config->heartbeat_ms));
	if (w->since.kind == RC_SINCE_NONE && !first) {
		if (active)
			begin(sv, c);
		return;
	}
	replay = rc_replay_open(sv, c, c->subs, first ? RC_REPLAY_FIRST : RC_REPLAY_SINCE,
		first ? NULL : &w->since);
	if (replay == RC_NONE)
		rc_sse_end(sv, c, RC_C_close_capacity);
	else if (active && !rc_replay_check(sv, replay))
		begin(sv, c);
}

static enum rc_http_result refuse(struct rc_serve *sv, struct rc_http_call *call, int status)
{
	struct rc_str nothing = {NULL, 0};

	switch (status) {
	case 204:
		rc_http_respond(sv, call, 204, NULL, NULL, nothing);
		break;
	case 403:
		rc_http_fail(sv, call, 403, "forbidden", "403 Forbidden");
		break;
	case 414:
		rc_http_fail(sv, call, 414, "too_long", "414 URI Too Long");
		break;
	case 503:
		rc_http_respond(sv, call, 503, "Retry-After: 5\r\n", "text/plain; charset=utf-8",
			RC_STR("503 Service Unavailable\n"));
		break;
	default:
		rc_http_fail(sv, call, 400, "bad_request", "400 Bad Request");
	}
	return RC_HTTP_DONE;
}

enum rc_http_result rc_sse_events(struct rc_serve *sv, struct rc_http_call *call)
{
	struct wish w = {0};
	struct rc_conn *c = call->c;
	char head[HEAD_MAX];
	int status;

	if (call->reply.head) {
		rc_http_respond(sv, call, 200,
			"Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n",
			"text/event-stream; charset=utf-8", RC_STR(""));
		return RC_HTTP_DONE;
	}
	if (sv->draining || sv->port.sum(sv->port.ctx, RC_C_clients) >= sv->config->max_clients) {
		rc_count(sv->counters, RC_C_upgrades_refused_capacity, 1);
		return refuse(sv, call, 503);
	}
	w.names = rc_pool_get(sv->pool, NAMES_MAX);
	if (!w.names)
		return refuse(sv, call, 503);
	rc_count(sv->counters, RC_C_subscribe_requests, 1);
	status = read_wish(&w, call->request);
	if (status == 0)
		status = subscribe(sv, c, &w);
	if (status) {
		rc_pool_put(sv->pool, w.names, NAMES_MAX);
		return refuse(sv, call, status);
	}
	size_t len = sizeof(head_text) - 1;
	memcpy(head, head_text, len);
	len += rc_http_cors(sv, &call->reply, head + len, sizeof(head) - len - 2);
	memcpy(head + len, "\r\n", 2);
	if (rc_http_take_over(sv, call, head, len + 2))
		opened(sv, c, &w);
	rc_pool_put(sv->pool, w.names, NAMES_MAX);
	return RC_HTTP_TAKEN;
}

void rc_sse_ready(struct rc_serve *sv, uint32_t replica, bool taken)
{
	const struct rc_replica *r = rc_hub_replica(sv->hub, replica);

	/* Each of them is dealt with once: it begins, or asks, or leaves the array. */
	for (uint32_t i = 0; i < r->count;) {
		uint32_t sub = r->subs[i];
		struct rc_conn *c = &sv->conns->at[rc_hub_sub(sv->hub, sub)->conn];
		uint32_t count = r->count;
		uint32_t replay = rc_replay_of(sv, sub);
		if (!taken)
			rc_sse_end(sv, c, RC_C_close_capacity);
		else if (replay == RC_NONE || !rc_replay_check(sv, replay))
			begin(sv, c);
		if (count == 1 && (!taken || c->subs == RC_NONE))
			return; /* the stream went with its last client */
		if (r->count == count)
			i++;
	}
}

void rc_sse_answered(struct rc_serve *sv, struct rc_conn *c, uint32_t replay)
{
	(void)replay;
	begin(sv, c);
}

/* ---- while it lasts ----------------------------------------------------------------------------- */

/* What the stream consists of, as people read it. */
static struct rc_str names_text(const struct rc_replica *r, char *out, size_t cap)
{
	size_t len = 0;

	for (uint32_t at = 1; at < r->name_len;) {
		uint32_t name_len = (unsigned char)r->name[at];
		if (len + 1 + name_len > cap)
			break;
		if (len)
			out[len++] = ',';
		memcpy(out + len, r->name + at + 1, name_len);
		len += name_len;
		at += 1 + name_len;
	}
	return (struct rc_str){out, len};
}

void rc_sse_gap_to(struct rc_serve *sv, struct rc_conn *c, const struct rc_replica *r,
	const char *reason, uint64_t missed, uint64_t offset)
{
	char names[1024], json[1536];
	struct rc_textbuf b = {.ptr = json, .cap = sizeof(json)};
	struct rc_str none = {NULL, 0};

	(void)offset;
	rc_msg_gap(&b, names_text(r, names, sizeof(names)), reason, missed, none);
	struct rc_str text = {json, b.len};
	size_t bound = rc_sse_block_bound(RC_STR("gap"), text, none);
	unsigned char *room = rc_conn_reserve(sv->conns, c, (uint32_t)bound, UINT32_MAX);
	if (!room) {
		rc_sse_end(sv, c, RC_C_close_capacity);
		return;
	}
	rc_conn_commit(sv->conns, c, (uint32_t)rc_sse_gap(room, text, none));
	rc_count(sv->counters, RC_C_gaps_sent, 1);
}

void rc_sse_input(struct rc_serve *sv, struct rc_conn *c)
{
	(void)sv;
	(void)c;
}

void rc_sse_timer(struct rc_serve *sv, struct rc_conn *c)
{
	unsigned char beat[RC_SSE_SHORT_MAX(RC_STREAM_TEXT_MAX(RC_STREAM_SHARDS_MAX))];

	if (c->state != RC_CONN_OPEN) {
		rc_conn_kill(sv->conns, c);
		return;
	}
	const struct rc_sub *s = rc_hub_sub(sv->hub, c->subs);
	bool idle = !(c->flags & RC_CONN_BLOCKED) && c->out_len == 0 &&
		    !(s->flags & (RC_SUB_PAUSED | RC_SUB_HELD | RC_SUB_CONFLATED)) &&
		    !(s->flags >> RC_SUB_MISSED_SHIFT) && s->cursor == stream_of(sv, c)->log.tail;
	rc_conn_timer(sv->conns, c, sv->config->heartbeat_ms);
	if (!idle)
		return;
	rc_count(sv->counters, RC_C_pings_sent, 1);
	(void)write_all(sv, c, beat, rc_sse_heartbeat(beat, rc_hub_position(sv->hub)));
}

/* ---- going -------------------------------------------------------------------------------------- */

void rc_sse_end(struct rc_serve *sv, struct rc_conn *c, enum rc_counter counted)
{
	if (c->state != RC_CONN_OPEN)
		return;
	rc_count(sv->counters, counted, 1);
	rc_ws_drop_subs(sv, c);
	if (c->state == RC_CONN_OPEN)
		rc_conn_finish(sv->conns, c);
}

void rc_sse_bye(struct rc_serve *sv, struct rc_conn *c)
{
	unsigned char retry[RC_SSE_SHORT_MAX(0)];
	struct rc_str none = {NULL, 0};
	uint32_t after = sv->config->reconnect_jitter_ms;
	size_t len = rc_sse_hello(
		retry, 1 + (after ? rc_prng_below(&sv->prng, after) : 0), none);

	/* Behind whatever is under way. */
	if (write_all(sv, c, retry, len))
		rc_sse_end(sv, c, RC_C_close_shutdown);
}

void rc_sse_gone(struct rc_serve *sv, struct rc_conn *c)
{
	rc_ws_drop_subs(sv, c);
	sv->clients--;
	rc_gauge_set(sv->counters, RC_C_clients, sv->clients);
	rc_gauge_add(sv->counters, RC_C_clients_sse, -1);
	rc_count(sv->counters, RC_C_clients_closed, 1);
}
