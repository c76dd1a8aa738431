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

/* Why a request does not become a stream. */
enum refusal { NOTHING, BAD_REQUEST, BAD_CHANNEL, FORBIDDEN, TOO_MANY, NOT_ACCEPTABLE, FULL, STOP };

static int compare(const unsigned char *a, const unsigned char *b)
{
	int order = memcmp(a + 1, b + 1, RC_MIN(a[0], b[0]));

	return order ? order : (int)a[0] - (int)b[0];
}

/* In its place among the others, unless it is there. Requests have few names, mostly in order. */
static enum refusal add_name(struct wish *w, struct rc_str name)
{
	unsigned char entry[1 + RC_CHANNEL_MAX];
	uint32_t at = 0, len = 1 + (uint32_t)name.len;

	if (rc_name_classify(name) == RC_NAME_BAD)
		return BAD_CHANNEL;
	if (rc_name_reserved(name))
		return FORBIDDEN;
	if (w->len + len > NAMES_MAX)
		return TOO_MANY;
	entry[0] = (unsigned char)name.len;
	memcpy(entry + 1, name.ptr, name.len);
	while (at < w->len) {
		int order = compare(entry, w->names + at);
		if (order == 0)
			return NOTHING;
		if (order < 0)
			break;
		at += 1u + w->names[at];
	}
	memmove(w->names + at + len, w->names + at, w->len - at);
	memcpy(w->names + at, entry, len);
	w->len += len;
	w->count++;
	return NOTHING;
}

static enum refusal read_query(struct wish *w, struct rc_str query)
{
	struct rc_str rest = query, key, value;
	char buf[2048];
	enum rc_msg_word word;
	bool since = false;

	while (rc_http_query_next(&rest, &key, &value))
		w->back |= rc_str_eq(key, RC_STR("lastEventId")) && value.len;
	rest = query;

	while (rc_http_query_next(&rest, &key, &value)) {
		bool channel = rc_msg_word_named(key, &word);
		bool from =
			rc_str_eq(key, RC_STR("since")) || rc_str_eq(key, RC_STR("lastEventId"));
		bool format = rc_str_eq(key, RC_STR("format"));
		if (!channel && !from && !format)
			continue;
		int len = rc_http_unescape(value, true, buf, sizeof(buf));
		if (len < 0)
			return channel ? BAD_CHANNEL : BAD_REQUEST;
		struct rc_str text = {buf, (size_t)len};
		enum refusal why = channel ? add_name(w, text) : NOTHING;
		if (why)
			return why;
		if (format) {
			w->bare = rc_str_eq(text, RC_STR("data"));
			if (!w->bare && !rc_str_eq(text, RC_STR("event")))
				return BAD_REQUEST;
		}
		if (from && len) {
			if (since || rc_msg_since_text(text, &w->since) < 0)
				return BAD_REQUEST;
			since = true;
		}
	}
	return w->count ? NOTHING : BAD_REQUEST;
}

static bool takes_streams(const struct rc_http_request *r)
{
	return !rc_http_header_get(r, "accept").ptr || rc_http_accepts(r, "text/event-stream") ||
	       rc_http_accepts(r, "text/*") || rc_http_accepts(r, "*/*");
}

static enum refusal read_wish(
	const struct rc_serve *sv, struct wish *w, const struct rc_http_request *r)
{
	struct rc_str last = rc_http_header_get(r, "last-event-id");
	enum refusal why = takes_streams(r) ? read_query(w, r->query) : NOT_ACCEPTABLE;

	if (last.len) {
		/* What an EventSource sends by itself counts for more than what its address said at the beginning. */
		w->back = true;
		memset(&w->since, 0, sizeof(w->since));
		if (rc_msg_since_text(last, &w->since) < 0 && why == NOTHING)
			why = BAD_REQUEST;
	}
	if (why == NOTHING && w->since.kind == RC_SINCE_POSITION &&
		(w->count > 1 || memchr(w->names + 1, '*', w->names[0])))
		why = BAD_REQUEST;
	if (why == NOTHING && w->count > sv->config->max_channels_per_client)
		why = TOO_MANY;
	/* One who was here before and whose request can't be served any more is told to stop asking. */
	return why && w->back ? STOP : why;
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
	bool missing = p && p->what == RC_REPLAY_SINCE && p->verdict != RC_VERDICT_ALL;
	struct rc_str position = p ? rc_replay_position(sv, p, text) : rc_hub_position(sv->hub);
	/* The gap has the id then: who is cut between the two must not come back as if nothing were missing. */
	if (missing)
		position = (struct rc_str){NULL, 0};
	size_t len = rc_sse_hello(hello, RETRY_MS + rc_prng_below(&sv->prng, RETRY_MS), position);

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

static enum refusal subscribe(struct rc_serve *sv, struct rc_conn *c, const struct wish *w)
{
	uint32_t sub;

	enum rc_subscribe_result result = rc_stream_subscribe(sv->hub, rc_conn_slot(sv->conns, c),
		&c->subs, (struct rc_str){(const char *)w->names, w->len},
		w->bare ? RC_RENDITION_SSE_BARE : RC_RENDITION_SSE, RC_SUB_PAUSED, &sub);
	return result == RC_SUBSCRIBED ? NOTHING : FULL;
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

static enum rc_http_result refuse(struct rc_serve *sv, struct rc_http_call *call, enum refusal why)
{
	static const struct {
		const char *code, *message;
		int status;
		enum rc_counter counted;
	} answers[] = {
		[BAD_REQUEST] = {"bad_request",
			"bad_request: name channels, and since, lastEventId and format as documented",
			400, RC_C_http_bad},
		[BAD_CHANNEL] = {"bad_channel",
			"bad_channel: that is not the name of a channel or a pattern", 400,
			RC_C_subscribe_refused_bad_name},
		[FORBIDDEN] = {"forbidden",
			"forbidden: channels that begin with $ are the gateway's own", 403,
			RC_C_subscribe_refused_forbidden},
		[TOO_MANY] = {"limit_exceeded",
			"limit_exceeded: more channels than one client may have", 403,
			RC_C_subscribe_refused_limit},
		[NOT_ACCEPTABLE] = {"not_acceptable", "not_acceptable: this is text/event-stream",
			406, RC_C_http_bad},
	};
	struct rc_str nothing = {NULL, 0};

	if (why == STOP) {
		rc_http_respond(sv, call, 204, NULL, NULL, nothing);
	} else if (why == FULL) {
		rc_count(sv->counters, RC_C_subscribe_refused_full, 1);
		rc_http_respond(sv, call, 503, "Retry-After: 5\r\n", "text/plain; charset=utf-8",
			RC_STR("503 Service Unavailable\n"));
	} else {
		rc_count(sv->counters, answers[why].counted, 1);
		rc_http_fail(
			sv, call, answers[why].status, answers[why].code, answers[why].message);
	}
	return RC_HTTP_DONE;
}

static enum rc_http_result answer_head(struct rc_serve *sv, struct rc_http_call *call)
{
	rc_http_respond(sv, call, 200,
		"Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n",
		"text/event-stream; charset=utf-8", RC_STR(""));
	return RC_HTTP_DONE;
}

enum rc_http_result rc_sse_events(struct rc_serve *sv, struct rc_http_call *call)
{
	struct wish w = {0};
	struct rc_conn *c = call->c;
	char head[HEAD_MAX];
	enum refusal why;

	if (sv->draining || sv->port.sum(sv->port.ctx, RC_C_clients) >= sv->config->max_clients) {
		rc_count(sv->counters, RC_C_upgrades_refused_capacity, 1);
		return refuse(sv, call, FULL);
	}
	w.names = rc_pool_get(sv->pool, NAMES_MAX);
	if (!w.names)
		return refuse(sv, call, FULL);
	rc_count(sv->counters, RC_C_subscribe_requests, 1);
	why = read_wish(sv, &w, call->request);
	if (why == NOTHING && !call->reply.head)
		why = subscribe(sv, c, &w);
	if (why || call->reply.head) {
		rc_pool_put(sv->pool, w.names, NAMES_MAX);
		return why ? refuse(sv, call, why) : answer_head(sv, call);
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

/* The id of the event before the cursor: where the client stands when it was told of all before it. */
static struct rc_str id_before(const struct rc_replica *r, uint64_t cursor)
{
	static const char mark[] = "\nid: ";
	struct rc_log_frame f;
	struct rc_str none = {NULL, 0};

	if (cursor <= r->log.head)
		return none;
	rc_log_frame_at(&r->log, cursor - 1, &f);
	/* It ends with the id's line and an empty one, and data has no line that begins like this. */
	for (uint32_t at = f.len - 2; at-- > 0;) {
		if (f.bytes[at] == '\n' && f.len - at > sizeof(mark) &&
			memcmp(f.bytes + at, mark, sizeof(mark) - 1) == 0)
			return (struct rc_str){(const char *)f.bytes + at + sizeof(mark) - 1,
				f.len - 2 - at - (sizeof(mark) - 1)};
		if (f.bytes[at] == '\n')
			break;
	}
	return none;
}

void rc_sse_gap_to(struct rc_serve *sv, struct rc_conn *c, const struct rc_replica *r,
	const char *reason, uint64_t missed, uint64_t offset)
{
	const struct rc_sub *s = rc_hub_sub(sv->hub, c->subs);
	uint32_t replay = rc_replay_of(sv, c->subs);
	char json[1024], position[RC_STREAM_TEXT_MAX(RC_STREAM_SHARDS_MAX)];
	struct rc_textbuf b = {.ptr = json, .cap = sizeof(json)};
	struct rc_str none = {NULL, 0};
	/* Of which of several channels is not known. */
	bool one = 2u + (unsigned char)r->name[1] == r->name_len;
	struct rc_str channel = {r->name + 2, one ? r->name_len - 2u : 0};
	struct rc_str id = rc_hub_position(sv->hub);

	(void)offset;
	if (replay != RC_NONE)
		id = rc_replay_position(sv, rc_replay_at(sv, replay), position);
	else if (replay == RC_NONE && s->cursor < r->log.tail)
		id = id_before(r, s->cursor);
	rc_msg_gap(&b, channel, reason, missed, none);
	struct rc_str text = {json, b.len};
	size_t bound = rc_sse_block_bound(RC_STR("gap"), text, id);
	unsigned char *room = rc_conn_reserve(sv->conns, c, (uint32_t)bound, UINT32_MAX);
	if (!room) {
		rc_sse_end(sv, c, RC_C_close_capacity);
		return;
	}
	rc_conn_commit(sv->conns, c, (uint32_t)rc_sse_gap(room, text, id));
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
	size_t len = rc_sse_hello(retry, 1 + (after ? rc_prng_below(&sv->prng, after) : 0), none);

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
