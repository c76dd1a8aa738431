/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is in a channel: what clients do to it, and the requests for it, which go to the channel's owner like those for history.
 */
#include "serve/presence.h"

#include "proto/message.h"
#include "serve/history.h"
#include "serve/session.h"

#define REQUESTS_MAX 4096u

/* ---- coming and going --------------------------------------------------------------------------- */

typedef void each_channel(struct rc_serve *sv, const struct rc_conn *c, struct rc_str name);

/* Whom it counts as: nobody before its user's home has taken it in. */
static struct rc_str user_of(const struct rc_serve *sv, const struct rc_conn *c)
{
	const struct rc_session *s = rc_session_of(sv, c);

	return s && s->state == RC_SESSION_JOINED ? rc_session_user(sv, c)
						  : (struct rc_str){NULL, 0};
}

static struct rc_str info_of(const struct rc_serve *sv, const struct rc_conn *c)
{
	const struct rc_claims *claims = rc_session_claims(sv, c);

	return claims ? rc_claims_info(claims) : (struct rc_str){NULL, 0};
}

static void enter(struct rc_serve *sv, const struct rc_conn *c, struct rc_str name)
{
	rc_presence_enter(sv->hub, name, user_of(sv, c), info_of(sv, c));
}

static void leave(struct rc_serve *sv, const struct rc_conn *c, struct rc_str name)
{
	rc_presence_leave(sv->hub, name, user_of(sv, c));
}

static void identify(struct rc_serve *sv, const struct rc_conn *c, struct rc_str name)
{
	struct rc_str nobody = {NULL, 0};

	rc_presence_leave(sv->hub, name, nobody);
	enter(sv, c, name);
}

static void renew(struct rc_serve *sv, const struct rc_conn *c, struct rc_str name)
{
	rc_presence_renew(sv->hub, name, user_of(sv, c), info_of(sv, c));
}

/* A stream has several channels. */
static void for_each(struct rc_serve *sv, const struct rc_conn *c, uint32_t sub, each_channel *what)
{
	/* Backends look on; they are not there. */
	if (!sv->hub->presence.on || c->kind == RC_CONN_INGEST)
		return;
	const struct rc_replica *r = rc_hub_sub_base(sv->hub, sub);
	struct rc_str rest = rc_replica_name(r);
	if (!rc_replica_is_stream(r)) {
		what(sv, c, rest);
		return;
	}
	for (size_t at = 1; at < rest.len; at += 1u + (unsigned char)rest.ptr[at])
		what(sv, c, (struct rc_str){rest.ptr + at + 1, (unsigned char)rest.ptr[at]});
}

static void for_all(struct rc_serve *sv, const struct rc_conn *c, each_channel *what)
{
	if (!sv->hub->presence.on || user_of(sv, c).len == 0)
		return;
	for (uint32_t sub = c->subs; sub != RC_NONE; sub = rc_hub_sub(sv->hub, sub)->next) {
		if (!(rc_hub_sub(sv->hub, sub)->flags & (RC_SUB_HIDDEN | RC_SUB_REPLACED)))
			for_each(sv, c, sub, what);
	}
}

void rc_presence_entered(struct rc_serve *sv, const struct rc_conn *c, uint32_t sub)
{
	for_each(sv, c, sub, enter);
}

void rc_presence_left(struct rc_serve *sv, const struct rc_conn *c, uint32_t sub)
{
	for_each(sv, c, sub, leave);
}

void rc_presence_identify(struct rc_serve *sv, const struct rc_conn *c)
{
	for_all(sv, c, identify);
}

void rc_presence_renewed(struct rc_serve *sv, const struct rc_conn *c)
{
	for_all(sv, c, renew);
}

/* ---- requests ----------------------------------------------------------------------------------- */

struct presence_request {
	struct rc_history_asker asker;
	bool counts;
	uint16_t channel_len;
	char channel[RC_CHANNEL_MAX];
};

static size_t table_bytes(void)
{
	return rc_align_up(REQUESTS_MAX * sizeof(struct presence_request), RC_CACHE_LINE);
}

size_t rc_presence_request_bytes(void)
{
	return table_bytes() + REQUESTS_MAX * sizeof(uint32_t);
}

void rc_presence_init(struct rc_serve *sv, void *memory)
{
	rc_slab_init(&sv->presences, memory, sizeof(struct presence_request), REQUESTS_MAX);
	sv->presence_generation = (uint32_t *)(void *)((unsigned char *)memory + table_bytes());
}

static struct presence_request *at(const struct rc_serve *sv, uint32_t slot)
{
	return rc_slab_at(&sv->presences, slot);
}

static void put_back(struct rc_serve *sv, uint32_t slot)
{
	sv->presence_generation[slot]++;
	rc_slab_put(&sv->presences, slot);
}

/* False: too many at once. The answer may come before this returns, and the slot is free again then. */
static bool ask(struct rc_serve *sv, const struct rc_history_asker *asker, struct rc_str channel,
	bool counts, uint32_t *asked)
{
	uint32_t slot = *asked = rc_slab_get(&sv->presences);

	if (slot == RC_NONE)
		return false;
	struct presence_request *r = at(sv, slot);
	r->asker = *asker;
	r->counts = counts;
	r->channel_len = (uint16_t)channel.len;
	memcpy(r->channel, channel.ptr, channel.len);
	const struct rc_presence_ask q = {
		.shard = sv->shard,
		.slot = slot,
		.generation = sv->presence_generation[slot],
		.counts = counts,
		.channel = channel,
	};
	if (sv->port.presence(
		    sv->port.ctx, rc_hub_owner(sv->hub, rc_hub_hash(sv->hub, channel)), &q))
		return true;
	put_back(sv, slot);
	return false;
}

static size_t bound_of(const struct presence_request *r, const struct rc_presence_told *t)
{
	return 512 + (size_t)t->users_len + 2 * (size_t)r->channel_len + r->asker.id_len;
}

static void write_answer(const struct rc_serve *sv, const struct presence_request *r,
	const struct rc_presence_told *t, struct rc_textbuf *b)
{
	rc_msg_presence_begin(b, (struct rc_str){r->asker.id, r->asker.id_len}, sv->wall_ms,
		(struct rc_str){r->channel, r->channel_len});
	if (!r->counts)
		rc_msg_presence_users(b, (struct rc_str){t->users, t->users_len});
	rc_msg_presence_end(b, t->count, t->clients, t->anonymous, t->complete);
}

static void answer_ws(
	struct rc_serve *sv, const struct presence_request *r, const struct rc_presence_told *t)
{
	struct rc_conn *c = rc_conn_get(sv->conns, r->asker.slot, r->asker.generation);

	if (!c)
		return;
	struct rc_textbuf b = rc_ws_begin(sv, c, bound_of(r, t));
	if (!b.ptr)
		return;
	write_answer(sv, r, t, &b);
	rc_ws_end(sv, c, &b);
	rc_ws_history_done(sv, c);
}

static void answer_http(
	struct rc_serve *sv, const struct presence_request *r, const struct rc_presence_told *t)
{
	struct rc_http_call later, *call = rc_history_call(sv, &r->asker, &later);

	if (!call)
		return;
	struct rc_textbuf b = rc_http_begin(sv, call, bound_of(r, t));
	write_answer(sv, r, t, &b);
	rc_http_end(sv, call, 200, NULL, "application/json", &b);
}

void rc_presence_answered(struct rc_serve *sv, const struct rc_presence_told *t)
{
	if (sv->presence_generation[t->slot] != t->generation)
		return;
	struct presence_request r = *at(sv, t->slot);
	put_back(sv, t->slot);
	if (r.asker.http)
		answer_http(sv, &r, t);
	else
		answer_ws(sv, &r, t);
}

/* ---- who asks ----------------------------------------------------------------------------------- */

static const char too_many[] = "too many requests for presence at once";
static const char no_presence[] = "presence is not kept for channels of this name";

enum rc_http_result rc_presence_http(
	struct rc_serve *sv, struct rc_http_call *call, struct rc_str channel)
{
	bool answered = false, counts = false;
	struct rc_history_asker asker = {.http = true, .call = call, .answered = &answered};
	struct rc_str rest = call->request->query, key, value;
	uint32_t slot;

	while (rc_http_query_next(&rest, &key, &value)) {
		if (!rc_str_eq(key, RC_STR("counts")))
			continue;
		counts = rc_str_eq(value, RC_STR("1"));
		if (counts || rc_str_eq(value, RC_STR("0")))
			continue;
		rc_http_fail(sv, call, 400, "bad_request", "counts is 1 or 0");
		return RC_HTTP_DONE;
	}
	if (!rc_presence_wanted(sv->hub, channel)) {
		rc_http_fail(sv, call, 400, "unsupported", no_presence);
		return RC_HTTP_DONE;
	}
	bool asked = ask(sv, &asker, channel, counts, &slot);
	return rc_history_waits(sv, call, answered, asked ? &at(sv, slot)->asker : NULL, too_many);
}

static void ask_for(struct rc_serve *sv, struct rc_say *s, struct rc_str channel)
{
	bool answered = false;
	struct rc_history_asker asker = rc_history_asker_of(sv, s, &answered);
	uint32_t slot;

	if (s->call) {
		bool asked = ask(sv, &asker, channel, false, &slot);
		s->call->id = s->id;
		s->result = rc_history_waits(
			sv, s->call, answered, asked ? &at(sv, slot)->asker : NULL, too_many);
		return;
	}
	bool begun = rc_ws_history_begun(sv, s->c);
	if (begun && ask(sv, &asker, channel, false, &slot))
		return;
	rc_say_error(sv, s, "server_capacity_exceeded", true, too_many);
	if (begun)
		rc_ws_history_done(sv, s->c);
}

void rc_say_presence(struct rc_serve *sv, struct rc_say *s, const struct rc_msg *m)
{
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str name, second;
	char other[RC_CHANNEL_MAX + 1];

	rc_msg_channels_begin(&it, m);
	int found = m->has_channels ? rc_msg_channels_next(&it, buf, &name) : 0;
	if (found == 0 || (found > 0 && rc_msg_channels_next(&it, other, &second) != 0))
		rc_say_error(sv, s, "bad_request", false, "presence is asked for one channel");
	else if (found < 0 || rc_name_classify(name) == RC_NAME_BAD)
		rc_say_error(sv, s, "bad_channel", false, "this is not the name of a channel");
	else if (rc_name_is_pattern(name))
		rc_say_error(sv, s, "bad_request", false,
			"a pattern has no presence: ask for a channel by its name");
	else if (!rc_session_may(sv, s->c, RC_MAY_PRESENCE, name))
		rc_say_error(
			sv, s, "forbidden", false, "who is in this channel is not for this client");
	else if (!rc_say_within(
			 sv, s, RC_RATE_COMMAND, "more requests a second than a client may make"))
		return;
	else if (!rc_presence_wanted(sv->hub, name))
		rc_say_error(sv, s, "unsupported", false, no_presence);
	else
		ask_for(sv, s, name);
}
