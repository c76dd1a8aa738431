/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests for the events that a channel keeps: asked of its owner, answered when the owner has answered. A request outlives its
 * connection for that long, and then finds nobody.
 */
#include "serve/history.h"

#include "proto/message.h"
#include "proto/websocket.h"
#include "serve/replay.h"
#include "serve/session.h"

#define REQUESTS_MAX 4096u

struct history_request {
	struct rc_history_asker asker;
	bool of_another_run; /* the position it asked for is of another run of the gateway */
	uint16_t channel_len;
	char channel[RC_CHANNEL_MAX];
};

size_t rc_history_bytes(void)
{
	return rc_align_up(REQUESTS_MAX * sizeof(struct history_request), RC_CACHE_LINE) +
	       REQUESTS_MAX * sizeof(uint32_t);
}

void rc_history_init(struct rc_serve *sv, void *memory)
{
	rc_slab_init(&sv->histories, memory, sizeof(struct history_request), REQUESTS_MAX);
	sv->history_generation =
		(uint32_t *)(void *)((unsigned char *)memory +
				     rc_align_up(REQUESTS_MAX * sizeof(struct history_request),
					     RC_CACHE_LINE));
}

static struct history_request *at(const struct rc_serve *sv, uint32_t slot)
{
	return rc_slab_at(&sv->histories, slot);
}

static void put_back(struct rc_serve *sv, uint32_t slot)
{
	sv->history_generation[slot]++;
	rc_slab_put(&sv->histories, slot);
}

bool rc_history_ask(struct rc_serve *sv, const struct rc_history_asker *asker,
	const struct rc_msg_history *h, uint32_t *asked)
{
	uint32_t slot = *asked = rc_slab_get(&sv->histories);
	uint32_t owner = rc_hub_owner(sv->hub, rc_hub_hash(sv->hub, h->channel));

	if (slot == RC_NONE)
		return false;
	struct history_request *r = at(sv, slot);
	r->asker = *asker;
	r->of_another_run = false;
	r->channel_len = (uint16_t)h->channel.len;
	memcpy(r->channel, h->channel.ptr, h->channel.len);
	struct rc_fetch q = {
		.shard = sv->shard,
		.slot = slot | RC_REPLAY_HISTORY_SLOT,
		.generation = sv->history_generation[slot],
		.how = RC_FETCH_BEFORE,
		.after = UINT64_MAX,
		.until = UINT64_MAX,
		.events_max = h->limit,
		.bytes_max = RC_HISTORY_PAGE_BYTES,
		.names = h->channel,
	};
	if (h->has_before) {
		q.epoch = h->before_epoch;
		q.after = h->before_offset;
	} else if (h->since.kind == RC_SINCE_POSITION) {
		q.how = RC_FETCH_OFFSET;
		q.epoch = h->since.epoch;
		q.after = h->since.offset;
	} else if (h->since.kind == RC_SINCE_BEGINNING) {
		q.how = RC_FETCH_BEGINNING;
	} else if (h->since.kind == RC_SINCE_TIME) {
		q.how = RC_FETCH_TIME;
		q.after = h->since.time_ms;
	} else if (h->since.kind == RC_SINCE_STREAM) {
		q.how = RC_FETCH_STAMP;
		r->of_another_run = h->since.epoch != sv->hub->limits.stream_epoch ||
				    h->since.count != sv->hub->limits.shards;
		q.after = r->of_another_run ? 0 : h->since.stamps[owner];
		q.check = r->of_another_run;
	}
	if (sv->port.fetch(sv->port.ctx, owner, &q))
		return true;
	put_back(sv, slot);
	return false;
}

static struct rc_str payload_of(const unsigned char *frame, uint32_t len)
{
	uint32_t head = frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10;

	return (struct rc_str){(const char *)frame + head, len - head};
}

static bool is_opaque(const unsigned char *frame)
{
	return (frame[0] & 15) != RC_WS_TEXT;
}

size_t rc_history_bound(const struct rc_fetched *f)
{
	const unsigned char *at = f->frames;
	size_t bound = 1024 + (size_t)f->frames_len;

	for (uint32_t i = 0; i < f->frames_count; i++) {
		const struct rc_fetched_frame *head = (const void *)at;
		/* It becomes base64, a third longer. */
		if (is_opaque(at + sizeof(*head)))
			bound += head->len / 2;
		at += sizeof(*head) + rc_align_up(head->len, 8);
	}
	return bound;
}

void rc_history_write(struct rc_textbuf *b, const struct rc_fetched *f, bool complete)
{
	const unsigned char *frame = f->frames;

	for (uint32_t i = 0; i < f->frames_count; i++) {
		const struct rc_fetched_frame *head = (const void *)frame;
		frame += sizeof(*head);
		RC_DASSERT(head->name_len == 0);
		if (is_opaque(frame))
			rc_msg_history_opaque(b, payload_of(frame, head->len), i == 0);
		else
			rc_msg_history_event(b, payload_of(frame, head->len), i == 0);
		frame += rc_align_up(head->len, 8);
	}
	rc_msg_history_end(b, f->epoch, f->offset, f->first_offset, complete, f->more);
}

static void answer_ws(
	struct rc_serve *sv, const struct history_request *r, const struct rc_fetched *f)
{
	struct rc_conn *c = rc_conn_get(sv->conns, r->asker.slot, r->asker.generation);
	struct rc_textbuf b;

	if (!c)
		return;
	b = rc_ws_begin(sv, c, rc_history_bound(f) + 2 * (size_t)r->channel_len + r->asker.id_len);
	if (!b.ptr)
		return;
	rc_msg_history_begin(&b, (struct rc_str){r->asker.id, r->asker.id_len}, sv->wall_ms,
		(struct rc_str){r->channel, r->channel_len});
	rc_history_write(&b, f, f->verdict == RC_VERDICT_ALL && !r->of_another_run);
	rc_ws_end(sv, c, &b);
	rc_ws_history_done(sv, c);
}

struct rc_http_call *rc_history_call(
	struct rc_serve *sv, const struct rc_history_asker *asker, struct rc_http_call *later)
{
	/* The owner was this shard, and the handler has not returned yet; or it has. */
	if (asker->call) {
		*asker->answered = true;
		return asker->call;
	}
	return rc_http_resume(sv, &asker->ref, later) ? later : NULL;
}

static void answer_http(
	struct rc_serve *sv, const struct history_request *r, const struct rc_fetched *f)
{
	struct rc_http_call later, *call = rc_history_call(sv, &r->asker, &later);

	if (!call)
		return;
	/* A client is not told what channels there are. */
	if (!f->known && !call->reply.said) {
		rc_http_fail(sv, call, 404, "unknown_channel",
			"nobody subscribes to this channel, and nothing was published to it lately");
		return;
	}
	struct rc_textbuf b = rc_http_begin(
		sv, call, rc_history_bound(f) + 2 * (size_t)r->channel_len + r->asker.id_len);
	rc_msg_history_begin(&b, (struct rc_str){r->asker.id, r->asker.id_len}, sv->wall_ms,
		(struct rc_str){r->channel, r->channel_len});
	rc_history_write(&b, f, f->verdict == RC_VERDICT_ALL && !r->of_another_run);
	rc_http_end(sv, call, 200, NULL, "application/json", &b);
}

struct rc_history_asker rc_history_asker_of(
	const struct rc_serve *sv, const struct rc_say *s, bool *answered)
{
	struct rc_history_asker asker = {
		.http = s->call != NULL,
		.call = s->call,
		.answered = answered,
		.slot = rc_conn_slot(sv->conns, s->c),
		.generation = s->c->generation,
		.id_len = (uint8_t)s->id.len,
	};

	(void)rc_str_copy(asker.id, s->id);
	return asker;
}

enum rc_http_result rc_history_waits(struct rc_serve *sv, struct rc_http_call *call, bool answered,
	struct rc_history_asker *asker, const char *message)
{
	if (answered)
		return RC_HTTP_DONE;
	if (asker)
		asker->call = NULL;
	if (asker && rc_http_later(sv, call, &asker->ref))
		return RC_HTTP_LATER;
	rc_http_fail(sv, call, 503, "server_capacity_exceeded", message);
	return RC_HTTP_DONE;
}

static const char too_many[] = "too many requests for history at once";

/* False: the query is not understood. */
static bool read_query(struct rc_str query, struct rc_msg_history *h)
{
	struct rc_str rest = query, key, value;
	char buf[2048];

	while (rc_http_query_next(&rest, &key, &value)) {
		struct rc_since before;
		uint64_t limit;
		bool since = rc_str_eq(key, RC_STR("since"));
		bool back = rc_str_eq(key, RC_STR("before"));
		if (!since && !back && !rc_str_eq(key, RC_STR("limit")))
			continue;
		int len = rc_http_unescape(value, true, buf, sizeof(buf));
		struct rc_str text = {buf, len < 0 ? 0 : (size_t)len};
		if (len < 0)
			return false;
		if (since) {
			if (h->since.kind != RC_SINCE_NONE ||
				rc_msg_since_text(text, &h->since) < 0)
				return false;
		} else if (back) {
			if (h->has_before || rc_msg_since_text(text, &before) < 0 ||
				before.kind != RC_SINCE_POSITION)
				return false;
			h->has_before = true;
			h->before_epoch = before.epoch;
			h->before_offset = before.offset;
		} else {
			if (rc_u64_parse(text, &limit) < 0 || limit < 1 ||
				limit > RC_HISTORY_LIMIT_MAX)
				return false;
			h->limit = (uint32_t)limit;
		}
	}
	return !h->has_before || h->since.kind == RC_SINCE_NONE;
}

enum rc_http_result rc_history_http(
	struct rc_serve *sv, struct rc_http_call *call, struct rc_str channel)
{
	bool answered = false;
	struct rc_history_asker asker = {.http = true, .call = call, .answered = &answered};
	uint32_t slot;
	struct rc_msg_history h = {.limit = RC_HISTORY_LIMIT_DEFAULT};

	if (!read_query(call->request->query, &h)) {
		rc_http_fail(sv, call, 400, "bad_request",
			"since is a position, \"beginning\" or a time; before a position of the "
			"channel, and not both; limit a number from 1 to 1000");
		return RC_HTTP_DONE;
	}
	memcpy(h.channel_text, channel.ptr, channel.len);
	h.channel = (struct rc_str){h.channel_text, channel.len};
	bool asked = rc_history_ask(sv, &asker, &h, &slot);
	return rc_history_waits(sv, call, answered, asked ? &at(sv, slot)->asker : NULL, too_many);
}

void rc_history_fetched(struct rc_serve *sv, const struct rc_fetched *f)
{
	uint32_t slot = f->slot & ~RC_REPLAY_HISTORY_SLOT;

	if (sv->history_generation[slot] != f->generation)
		return;
	struct history_request r = *at(sv, slot);
	put_back(sv, slot);
	if (r.asker.http)
		answer_http(sv, &r, f);
	else
		answer_ws(sv, &r, f);
}

static void ask_for(struct rc_serve *sv, struct rc_say *s, const struct rc_msg_history *h)
{
	bool answered = false;
	struct rc_history_asker asker = rc_history_asker_of(sv, s, &answered);
	uint32_t slot;

	if (s->call) {
		bool asked = rc_history_ask(sv, &asker, h, &slot);
		s->call->id = s->id;
		s->result = rc_history_waits(
			sv, s->call, answered, asked ? &at(sv, slot)->asker : NULL, too_many);
		return;
	}
	bool begun = rc_ws_history_begun(sv, s->c);
	if (begun && rc_history_ask(sv, &asker, h, &slot))
		return;
	rc_say_error(sv, s, "server_capacity_exceeded", true, too_many);
	if (begun)
		rc_ws_history_done(sv, s->c);
}

void rc_say_history(struct rc_serve *sv, struct rc_say *s, const struct rc_msg *m)
{
	struct rc_msg_history h;
	struct rc_msg_fault fault;

	if (rc_msg_history_of(m, &h, &fault) < 0)
		rc_say_error(sv, s, fault.code, false, fault.message);
	else if (h.channel.len == 0)
		rc_say_error(sv, s, "bad_request", false, "history needs a channel");
	else if (rc_name_classify(h.channel) != RC_NAME_CHANNEL)
		rc_say_error(
			sv, s, "bad_channel", false, "history is that of one channel, by its name");
	else if (!rc_session_may(sv, s->c, RC_MAY_HISTORY, h.channel))
		rc_say_error(sv, s, "forbidden", false,
			"what was in this channel is not for this client");
	else if (rc_say_within(sv, s, RC_RATE_SUBSCRIBE,
			 "more requests for history a second than a client may make"))
		ask_for(sv, s, &h);
}
