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
#include "serve/accesslog.h"
#include "serve/commands.h"
#include "serve/limits.h"
#include "serve/presence.h"
#include "serve/replay.h"
#include "serve/session.h"
#include "serve/ssewish.h"
#include "serve/users.h"

#define HEAD_MAX 2048u
/* stage of a stream that has not begun: what it missed is not for it */
#define STAGE_BLIND 1u
#define RETRY_MS    1000u /* and as much again at random */

static const char head_text[] = "HTTP/1.1 200 OK\r\n"
				"Content-Type: text/event-stream; charset=utf-8\r\n"
				"Cache-Control: no-cache, no-transform\r\n"
				"X-Accel-Buffering: no\r\n"
				"Connection: close\r\n";

/* ---- coming ------------------------------------------------------------------------------------- */

static bool some_first(const struct rc_serve *sv, const struct rc_sse_wish *w)
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
	bool blind = c->stage == STAGE_BLIND;
	bool missing = blind || (p && p->what == RC_REPLAY_SINCE && p->verdict != RC_VERDICT_ALL);
	struct rc_str position = p ? rc_replay_position(sv, p, text) : rc_hub_position(sv->hub);
	/* The gap has the id then: who is cut between the two must not come back as if nothing were missing. */
	if (missing)
		position = (struct rc_str){NULL, 0};
	size_t len = rc_sse_hello(hello, RETRY_MS + rc_prng_below(&sv->prng, RETRY_MS), position);

	if (!write_all(sv, c, hello, len))
		return;
	c->stage = 0;
	if (missing)
		rc_sse_gap_to(sv, c, stream_of(sv, c),
			blind ? "forbidden" : rc_replay_reason((enum rc_verdict)p->verdict),
			RC_MSG_NO_COUNT, 0);
	if (c->state != RC_CONN_OPEN)
		return;
	if (p)
		rc_replay_start(sv, replay);
	else
		rc_replica_resume(sv->hub, c->subs);
}

static enum rc_sse_refusal subscribe(
	struct rc_serve *sv, struct rc_conn *c, const struct rc_sse_wish *w)
{
	uint32_t sub;

	for (uint32_t at = 0; at < w->len; at += 1u + w->names[at]) {
		struct rc_str name = {(const char *)w->names + at + 1, w->names[at]};
		if (!rc_presence_reserve(sv->hub, name))
			return RC_SSE_FULL;
	}
	enum rc_subscribe_result result = rc_stream_subscribe(sv->hub, rc_conn_slot(sv->conns, c),
		&c->subs, (struct rc_str){(const char *)w->names, w->len},
		w->bare ? RC_RENDITION_SSE_BARE : RC_RENDITION_SSE, RC_SUB_PAUSED, &sub);
	if (result != RC_SUBSCRIBED)
		return RC_SSE_FULL;
	rc_presence_entered(sv, c, sub);
	return RC_SSE_NOTHING;
}

static void tell_backends(struct rc_serve *sv, struct rc_conn *c, const struct rc_sse_wish *w)
{
	struct rc_client_channels l;

	rc_client_connected(sv, c);
	if (!rc_client_channels_begin(sv, RC_ON_SUBSCRIBE, w->len, w->len, &l))
		return;
	for (uint32_t at = 0; at < w->len; at += 1u + w->names[at])
		rc_client_channels_add(
			&l, (struct rc_str){(const char *)w->names + at + 1, w->names[at]});
	rc_client_channels_end(sv, c, &l);
}

static void opened(struct rc_serve *sv, struct rc_conn *c, const struct rc_sse_wish *w)
{
	bool first = w->since.kind == RC_SINCE_NONE && some_first(sv, w);
	bool active = stream_of(sv, c)->state == RC_REPLICA_ACTIVE;
	uint32_t replay;

	c->kind = RC_CONN_SSE;
	c->stage = w->blind ? STAGE_BLIND : 0;
	rc_limits_admitted(sv, c);
	c->sub_count = 1;
	c->secret = rc_random_secret(&sv->secrets);
	sv->clients++;
	rc_gauge_set(sv->counters, RC_C_clients, sv->clients);
	rc_gauge_add(sv->counters, RC_C_clients_sse, 1);
	rc_count(sv->counters, RC_C_clients_opened, 1);
	rc_count(sv->counters, RC_C_upgrades, 1);
	if (rc_session_user(sv, c).len)
		rc_gauge_add(sv->counters, RC_C_clients_known, 1);
	rc_conn_timer(sv->conns, c,
		rc_session_clamp(sv, c, 1 + rc_prng_below(&sv->prng, sv->config->heartbeat_ms)));
	tell_backends(sv, c, w);
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

static enum rc_http_result refuse(
	struct rc_serve *sv, struct rc_http_call *call, enum rc_sse_refusal why)
{
	static const struct {
		const char *code, *message;
		int status;
		enum rc_counter counted;
	} answers[] = {
		[RC_SSE_BAD_REQUEST] = {"bad_request",
			"bad_request: name channels, and since, lastEventId and format as documented; a stream can't acknowledge",
			400, RC_C_http_bad},
		[RC_SSE_BAD_CHANNEL] = {"bad_channel",
			"bad_channel: that is not the name of a channel or a pattern", 400,
			RC_C_subscribe_refused_bad_name},
		[RC_SSE_FORBIDDEN] = {"forbidden",
			"forbidden: these channels, or what was in them, are not for this client",
			403, RC_C_subscribe_refused_forbidden},
		[RC_SSE_TOO_MANY] = {"limit_exceeded",
			"limit_exceeded: more channels than one client may have", 403,
			RC_C_subscribe_refused_limit},
		[RC_SSE_NOT_ACCEPTABLE] = {"not_acceptable",
			"not_acceptable: this is text/event-stream", 406, RC_C_http_bad},
	};
	struct rc_str nothing = {NULL, 0};

	if (why == RC_SSE_STOP) {
		rc_http_respond(sv, call, 204, NULL, NULL, nothing);
	} else if (why == RC_SSE_FULL) {
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

static enum rc_http_result answer(struct rc_serve *sv, struct rc_http_call *call, int status,
	const char *code, const char *text)
{
	rc_http_fail(sv, call, status, code, text);
	return RC_HTTP_DONE;
}

/* False: answered. A request that may be put by until its user's home has answered has no body. */
static bool known(struct rc_serve *sv, struct rc_http_call *call)
{
	if (!rc_http_known(sv, call))
		return false;
	if (!rc_session_claims(sv, call->c) || (!call->body.len && !call->request->chunked))
		return true;
	rc_session_forget(sv, call->c);
	rc_http_fail(sv, call, 400, "bad_request", "a stream's request has no body");
	return false;
}

/* True: it is one of the connections of its user, if it has one. */
static bool joined(struct rc_serve *sv, struct rc_http_call *call, enum rc_http_result *out)
{
	struct rc_conn *c = call->c;

	if (!rc_session_claims(sv, c))
		return true;
	if (!call->again)
		rc_session_join(sv, c);
	switch (rc_session_of(sv, c)->state) {
	case RC_SESSION_JOINED:
		return true;
	case RC_SESSION_REFUSED:
		rc_session_forget(sv, c);
		*out = answer(sv, call, 429, "limit_exceeded",
			"this user has as many connections as it may have");
		return false;
	default:
		*out = RC_HTTP_AGAIN;
		return false;
	}
}

enum rc_http_result rc_sse_events(struct rc_serve *sv, struct rc_http_call *call)
{
	struct rc_sse_wish w = {0};
	struct rc_conn *c = call->c;
	char head[HEAD_MAX];
	enum rc_sse_refusal why;
	enum rc_http_result result;

	if (sv->draining || sv->port.sum(sv->port.ctx, RC_C_clients) >= sv->config->max_clients) {
		rc_count(sv->counters, RC_C_upgrades_refused_capacity, 1);
		/* It may have come while its user's home was asked. */
		rc_session_forget(sv, c);
		return refuse(sv, call, RC_SSE_FULL);
	}
	if (!call->again && !known(sv, call))
		return RC_HTTP_DONE;
	w.names = rc_pool_get(sv->pool, RC_SSE_NAMES_MAX);
	if (!w.names) {
		rc_session_forget(sv, c);
		return refuse(sv, call, RC_SSE_FULL);
	}
	rc_count(sv->counters, RC_C_subscribe_requests, !call->again);
	why = rc_sse_wish_read(sv, &w, call->request, rc_session_claims(sv, c));
	/* Before it takes the place of another connection of its user it is known that it will be one. */
	if (why == RC_SSE_NOTHING && !call->reply.head) {
		if (!joined(sv, call, &result)) {
			rc_pool_put(sv->pool, w.names, RC_SSE_NAMES_MAX);
			return result;
		}
		if (!rc_limits_client(sv, c)) {
			rc_pool_put(sv->pool, w.names, RC_SSE_NAMES_MAX);
			rc_session_forget(sv, c);
			rc_http_limited(
				sv, call, 5, "this address has as many connections as it may have");
			return RC_HTTP_DONE;
		}
		why = subscribe(sv, c, &w);
	}
	if (why || call->reply.head) {
		rc_pool_put(sv->pool, w.names, RC_SSE_NAMES_MAX);
		/* The connection goes on, and who it is has to be said again. */
		rc_session_forget(sv, c);
		return why ? refuse(sv, call, why) : answer_head(sv, call);
	}
	size_t len = sizeof(head_text) - 1;
	memcpy(head, head_text, len);
	len += rc_http_cors(sv, &call->reply, head + len, sizeof(head) - len - 2);
	memcpy(head + len, "\r\n", 2);
	if (rc_http_take_over(sv, call, head, len + 2)) {
		rc_session_trace(sv, c, rc_http_trace(call->request));
		opened(sv, c, &w);
	}
	rc_pool_put(sv->pool, w.names, RC_SSE_NAMES_MAX);
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

static struct rc_str id_of(const struct rc_log_frame *f)
{
	static const char mark[] = "\nid: ";
	struct rc_str none = {NULL, 0};

	/* It ends with the id's line and an empty one, and data has no line that begins like this. */
	for (uint32_t at = f->len - 2; at-- > 0;) {
		if (f->bytes[at] == '\n' && f->len - at > sizeof(mark) &&
			memcmp(f->bytes + at, mark, sizeof(mark) - 1) == 0)
			return (struct rc_str){(const char *)f->bytes + at + sizeof(mark) - 1,
				f->len - 2 - at - (sizeof(mark) - 1)};
		if (f->bytes[at] == '\n')
			break;
	}
	return none;
}

/* The id of the event before the cursor: where the client stands when it was told of all before it. When the log has let that event
 * go, the position just before the next one says the same. */
static struct rc_str id_before(const struct rc_replica *r, uint64_t cursor,
	char text[RC_STREAM_TEXT_MAX(RC_STREAM_SHARDS_MAX)])
{
	struct rc_log_frame f;

	rc_log_frame_at(&r->log, cursor > r->log.head ? cursor - 1 : cursor, &f);
	struct rc_str id = id_of(&f);
	if (cursor > r->log.head)
		return id;
	return (struct rc_str){text, rc_stream_text_before(id, f.stamp, text)};
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
		id = id_before(r, s->cursor, position);
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
	if (rc_session_over(sv, c)) {
		rc_sse_end(sv, c, RC_C_close_token);
		return;
	}
	rc_conn_timer(sv->conns, c, rc_session_clamp(sv, c, sv->config->heartbeat_ms));
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
	rc_access_counted(sv, c, counted);
	rc_ws_drop_subs(sv, c);
	rc_users_leave(sv, c);
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
	rc_access_client(sv, c, 0, RC_STR("the client went"));
	if (rc_session_user(sv, c).len)
		rc_gauge_add(sv->counters, RC_C_clients_known, -1);
	rc_ws_drop_subs(sv, c);
	sv->clients--;
	rc_gauge_set(sv->counters, RC_C_clients, sv->clients);
	rc_gauge_add(sv->counters, RC_C_clients_sse, -1);
	rc_count(sv->counters, RC_C_clients_closed, 1);
}
