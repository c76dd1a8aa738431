/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscribing and unsubscribing, by message and by the query of /ws.
 */
#include "serve/request.h"

#include <stdio.h>

#include "proto/http1.h"
#include "ringcast/wire.h"
#include "serve/acked.h"
#include "serve/binary.h"
#include "serve/commands.h"
#include "serve/limits.h"
#include "serve/presence.h"
#include "serve/replay.h"
#include "serve/session.h"
#include "serve/wish.h"

/* What the subscription gets before its live events. False: no room. */
static bool add_replay(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r, uint32_t sub,
	const struct rc_since *since)
{
	const struct rc_replica *rep = rc_hub_sub_base(sv->hub, sub);

	if (!since && (rep->pattern || !sv->hub->namespaces[rep->ns].first_latest))
		return true;
	uint32_t replay =
		rc_replay_open(sv, c, sub, since ? RC_REPLAY_SINCE : RC_REPLAY_FIRST, since);
	if (replay == RC_NONE)
		return false;
	rc_replay_at(sv, replay)->place = r->count;
	r->recovers |= since != NULL;
	return true;
}

/* The same where the client acknowledges: the owner decides, when the channel has begun. */
static bool add_acked(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r, uint32_t sub,
	const struct rc_wish *wish, const struct rc_since *since)
{
	const struct rc_sub *s = rc_hub_sub(sv->hub, sub);
	uint32_t acked = rc_acked_open(sv, c, sub, wish, since, r->count);

	if (acked == RC_NONE)
		return false;
	r->remaining++;
	r->recovers |= since != NULL || rc_acked_at(sv, acked)->named;
	if (rc_hub_replica(sv->hub, s->replica)->state == RC_REPLICA_ACTIVE)
		rc_acked_attach(sv, acked);
	return true;
}

/* The subscription that is there reads it in another way. */
static bool changes(const struct rc_serve *sv, uint32_t sub, const struct rc_view_spec *spec)
{
	/* Who acknowledges reads the channel as it is, whatever his connection is sent else. */
	if (rc_acked_of(sv, sub) != RC_NONE)
		return false;
	return !rc_view_same(
		sv->hub, rc_hub_replica(sv->hub, rc_hub_sub(sv->hub, sub)->replica), spec);
}

/* since: NULL when nothing was said of this one. */
static bool add(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r, struct rc_str name,
	const struct rc_wish *wish, const struct rc_since *since)
{
	bool acked = wish && wish->acked;
	struct rc_view_spec spec = {0};
	uint32_t sub;

	if (!acked && RC_UNLIKELY(!rc_wish_is_plain(c, wish)))
		spec = rc_wish_view(sv, c, wish, name);
	if (!rc_presence_reserve(sv->hub, name))
		return false;
	enum rc_subscribe_result result = rc_view_subscribe(sv->hub, rc_conn_slot(sv->conns, c),
		&c->subs, name, rc_name_is_pattern(name), &spec, RC_SUB_PAUSED, &sub);
	bool replaces = result == RC_SUBSCRIBED_ALREADY && wish && changes(sv, sub, &spec);

	if (replaces) {
		uint32_t old = sub;
		result = rc_view_replace(sv->hub, rc_conn_slot(sv->conns, c), &c->subs, name,
			rc_name_is_pattern(name), &spec, RC_SUB_PAUSED, &sub);
		if (result == RC_SUBSCRIBED) {
			/* It is one and the same to all others. */
			rc_presence_left(sv, c, old);
			c->sub_count--;
			r->replaces = true;
		}
	}
	if (result == RC_SUBSCRIBE_FULL)
		return false;
	struct rc_sub *s = rc_hub_sub(sv->hub, sub);
	if (result == RC_SUBSCRIBED) {
		bool active = rc_hub_replica(sv->hub, s->replica)->state == RC_REPLICA_ACTIVE;
		c->sub_count++;
		rc_presence_entered(sv, c, sub);
		r->subs[r->count] = sub | RC_REQUEST_FRESH;
		if (acked ? !add_acked(sv, c, r, sub, wish, since)
			  : (!replaces || since) && !add_replay(sv, c, r, sub, since)) {
			r->count++;
			return false;
		}
		if (acked) {
			r->subs[r->count++] = sub | RC_REQUEST_FRESH;
			return true;
		}
		uint32_t replay = rc_replay_of(sv, sub);
		if (!active && replay == RC_NONE)
			s->listed_next = r->count;
		if (!active || (replay != RC_NONE && rc_replay_check(sv, replay)))
			r->remaining++;
		sub |= RC_REQUEST_FRESH;
	}
	r->subs[r->count++] = sub;
	return true;
}

static void bad_name(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, struct rc_str name)
{
	char text[128];
	int shown = (int)RC_MIN(name.len, (size_t)64);

	/* Only what is printable is shown: the name is the client's. */
	for (int i = 0; i < shown; i++) {
		if (name.ptr[i] < 0x20 || name.ptr[i] > 0x7e)
			shown = i;
	}
	(void)snprintf(text, sizeof(text), "'%.*s' is not the name of a channel or a pattern",
		shown, shown ? name.ptr : "");
	rc_count(sv->counters, RC_C_subscribe_refused_bad_name, 1);
	rc_ws_error(sv, c, id, "bad_channel", false, text);
}

static void forbidden(
	struct rc_serve *sv, struct rc_conn *c, struct rc_str id, struct rc_str name, bool past)
{
	char text[RC_CHANNEL_MAX + 128];
	int len = (int)name.len;

	rc_count(sv->counters, RC_C_subscribe_refused_forbidden, 1);
	if (rc_name_reserved(name) && !rc_session_claims(sv, c))
		(void)snprintf(
			text, sizeof(text), "channels that begin with $ are the gateway's own");
	else if (past)
		(void)snprintf(text, sizeof(text),
			"what was in channel '%.*s' is not for this client", len, name.ptr);
	else if (rc_session_claims(sv, c))
		(void)snprintf(
			text, sizeof(text), "token does not allow channel '%.*s'", len, name.ptr);
	else
		(void)snprintf(text, sizeof(text), "channel '%.*s' needs a token that allows it",
			len, name.ptr);
	rc_ws_error(sv, c, id, "forbidden", false, text);
}

/* What a backend may read was settled before it came here. */
static bool may(const struct rc_serve *sv, const struct rc_conn *c, enum rc_action action,
	struct rc_str name)
{
	return c->kind == RC_CONN_INGEST || rc_session_may(sv, c, action, name);
}

/* 0 when it is a name; the error was sent otherwise. */
static int check_form(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, struct rc_str name)
{
	if (rc_name_classify(name) != RC_NAME_BAD)
		return 0;
	bad_name(sv, c, id, name);
	return -1;
}

/* 0 when the name may be subscribed; the error was sent otherwise. */
static int check_name(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, struct rc_str name)
{
	if (check_form(sv, c, id, name) < 0)
		return -1;
	if (!may(sv, c, RC_MAY_SUBSCRIBE, name)) {
		forbidden(sv, c, id, name, false);
		return -1;
	}
	return 0;
}

/* The same for what was in it, where the client wants to have it. */
static int check_past(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, struct rc_str name)
{
	if (may(sv, c, RC_MAY_HISTORY, name))
		return 0;
	forbidden(sv, c, id, name, true);
	return -1;
}

/* The same for what is acknowledged: who comes back gets what was in the channel meanwhile. */
static int check_acked(struct rc_serve *sv, struct rc_conn *c, struct rc_str id,
	const struct rc_wish *wish, struct rc_str name, uint32_t sub)
{
	struct rc_msg_fault fault = {0};

	/* What is not acknowledged in time would become a dead letter. */
	if (rc_session_watches(sv, c)) {
		rc_ws_error(sv, c, id, "forbidden", false, "who only looks acknowledges nothing");
		return -1;
	}
	if (rc_wish_check_ack(sv, wish, name, sub, &fault) < 0) {
		rc_ws_error(sv, c, id, fault.code, false, fault.message);
		return -1;
	}
	return check_past(sv, c, id, name);
}

static int check_count(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, uint32_t more)
{
	char text[128];

	if (c->sub_count + (uint64_t)more <= sv->config->max_channels_per_client)
		return 0;
	(void)snprintf(text, sizeof(text), "a client may hold %u channels at most",
		sv->config->max_channels_per_client);
	rc_count(sv->counters, RC_C_subscribe_refused_limit, 1);
	rc_ws_error(sv, c, id, "limit_exceeded", false, text);
	return -1;
}

/* 0 when the client may have the channel in that way, and now. */
static int check_view(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, struct rc_str name,
	const struct rc_wish *wish, uint32_t sub)
{
	struct rc_view_spec spec = rc_wish_view(sv, c, wish, name);
	char text[RC_CHANNEL_MAX + 128];

	if (rc_view_is_kept(&wish->view) && rc_wish_is_raw(sv, name)) {
		rc_count(sv->counters, RC_C_subscribe_refused_filter, 1);
		(void)snprintf(text, sizeof(text),
			"channel '%.*s' is raw: it has no filter, rate or window", (int)name.len,
			name.ptr);
		rc_ws_error(sv, c, id, "unsupported", false, text);
		return -1;
	}
	if (wish->view.window_ms && (c->stage & RC_WS_BIN)) {
		rc_ws_error(sv, c, id, "unsupported", false,
			"windows are JSON messages, which ringcast.v1.bin does not have");
		return -1;
	}
	/* What waits for its acknowledgement would neither come before the new form nor in it. */
	if (sub != RC_NONE && rc_acked_of(sv, sub) != RC_NONE && !rc_view_is_plain(&wish->view)) {
		rc_ws_error(sv, c, id, "bad_request", false,
			"this connection has the channel in another way: unsubscribe first");
		return -1;
	}
	/* What it gets of the past is for the way in which it was asked for. */
	if (sub == RC_NONE || rc_replay_of(sv, sub) == RC_NONE || !changes(sv, sub, &spec))
		return 0;
	(void)snprintf(text, sizeof(text), "what was in channel '%.*s' is still being sent",
		(int)name.len, name.ptr);
	rc_ws_error(sv, c, id, "busy", true, text);
	return -1;
}

/* Something would be kept for it, and is not yet. */
static bool wants_view(struct rc_serve *sv, struct rc_conn *c, const struct rc_wish *wish,
	struct rc_str name, uint32_t sub)
{
	struct rc_view_spec spec;

	if (!rc_view_is_kept(&wish->view) || sub == RC_NONE)
		return rc_view_is_kept(&wish->view);
	spec = rc_wish_view(sv, c, wish, name);
	return changes(sv, sub, &spec);
}

/* The limits of views; those that are replaced count until they are. */
static int check_views(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, uint32_t more)
{
	uint64_t have = more;
	char text[128];

	if (more == 0)
		return 0;
	for (uint32_t sub = c->subs; sub != RC_NONE; sub = rc_hub_sub(sv->hub, sub)->next)
		have += rc_view_of_kept(rc_hub_replica(sv->hub, rc_hub_sub(sv->hub, sub)->replica));
	bool own = have > sv->config->max_views_per_client;
	if (!own && sv->hub->views_kept + (uint64_t)more <= sv->hub->limits.views_max)
		return 0;
	if (own)
		(void)snprintf(text, sizeof(text),
			"a client may hold %u channels with a filter, a rate or a window",
			sv->config->max_views_per_client);
	else
		(void)snprintf(text, sizeof(text),
			"the gateway has no room for more filters, rates and windows");
	rc_count(sv->counters, RC_C_subscribe_refused_limit, 1);
	rc_ws_error(sv, c, id, "limit_exceeded", !own, text);
	return -1;
}

bool rc_ws_names_waiting(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m)
{
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str name;
	int more;

	if (!m->has_channels)
		return false;
	rc_msg_channels_begin(&it, m);
	while ((more = rc_msg_channels_next(&it, buf, &name)) != 0) {
		uint32_t sub = more < 0 ? RC_NONE
					: rc_replica_find_sub(sv->hub, rc_conn_slot(sv->conns, c),
						  c->subs, name);
		if (sub != RC_NONE && (rc_hub_sub(sv->hub, sub)->flags & RC_SUB_PAUSED))
			return true;
	}
	return false;
}

static void no_room(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r)
{
	for (uint32_t i = 0; i < r->count; i++) {
		struct rc_sub *s = rc_hub_sub(sv->hub, r->subs[i] & ~RC_REQUEST_FRESH);
		if ((r->subs[i] & RC_REQUEST_FRESH) && s->listed_next == i &&
			!(s->flags & (RC_SUB_REPLAYING | RC_SUB_ACKED)))
			s->listed_next = RC_NONE;
	}
	r->refused = true;
	r->remaining = 0;
	rc_request_append(sv, c, r);
}

void rc_ws_subscribe(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m)
{
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str name;
	struct rc_msg_fault fault = {0};
	uint32_t count = 0, fresh = 0, views = 0;
	int more;

	rc_count(sv->counters, RC_C_subscribe_requests, 1);
	if (!m->has_channels) {
		rc_ws_error(sv, c, m->id_raw, "bad_request", false, "subscribe needs channels");
		return;
	}
	struct rc_wish wish;
	if (rc_wish_read(sv, c, m, &wish, &fault) < 0) {
		rc_ws_error(sv, c, m->id_raw, fault.code, false, fault.message);
		return;
	}
	rc_msg_channels_begin(&it, m);
	while ((more = rc_msg_channels_next(&it, buf, &name)) != 0) {
		if (more < 0) {
			bad_name(sv, c, m->id_raw, name);
			return;
		}
		if (check_name(sv, c, m->id_raw, name) < 0)
			return;
		uint32_t sub =
			rc_replica_find_sub(sv->hub, rc_conn_slot(sv->conns, c), c->subs, name);
		/* A new one, as it is, is always possible. */
		if ((sub != RC_NONE || wish.said) &&
			check_view(sv, c, m->id_raw, name, &wish, sub) < 0)
			return;
		if (wish.acked && check_acked(sv, c, m->id_raw, &wish, name, sub) < 0)
			return;
		count++;
		fresh += sub == RC_NONE;
		views += wish.said && wants_view(sv, c, &wish, name, sub);
	}
	if (count == 0) {
		rc_ws_error(sv, c, m->id_raw, "bad_request", false, "subscribe names no channel");
		return;
	}
	if (check_count(sv, c, m->id_raw, fresh) < 0 || check_views(sv, c, m->id_raw, views) < 0)
		return;
	struct rc_since_table table;
	struct rc_since since;
	bool recovers = m->since.kind != RC_JSON_NONE;
	if (recovers && rc_msg_since_check(&table, m, &sv->hub->key, &fault) < 0) {
		rc_ws_error(sv, c, m->id_raw, fault.code, false, fault.message);
		return;
	}
	rc_msg_channels_begin(&it, m);
	while (recovers && rc_msg_channels_next(&it, buf, &name) > 0) {
		if (rc_msg_since_find(&table, name, &since) == 1 &&
			check_past(sv, c, m->id_raw, name) < 0)
			return;
	}
	if (!rc_limits_request(sv, c, RC_RATE_SUBSCRIBE, count)) {
		rc_ws_error(sv, c, m->id_raw, "rate_limited", true,
			"more channels a second than a client may subscribe to");
		return;
	}
	struct rc_request *r = rc_request_new(sv, count, m->id_raw, m->word);
	if (!r) {
		rc_count(sv->counters, RC_C_subscribe_refused_full, 1);
		rc_ws_error(sv, c, m->id_raw, "server_capacity_exceeded", true,
			"the gateway has no memory for this request");
		return;
	}
	rc_msg_channels_begin(&it, m);
	while (rc_msg_channels_next(&it, buf, &name) > 0) {
		bool from = recovers && rc_msg_since_find(&table, name, &since) == 1;
		if (!add(sv, c, r, name, &wish, from ? &since : NULL)) {
			no_room(sv, c, r);
			return;
		}
	}
	rc_request_append(sv, c, r);
}

void rc_ws_subscribe_query(struct rc_serve *sv, struct rc_conn *c, struct rc_str query)
{
	struct rc_str rest = query, key, value, none = {NULL, 0};
	enum rc_msg_word word = RC_WORD_CHANNELS, seen;
	char buf[RC_CHANNEL_MAX];
	uint32_t count = 0;
	struct rc_since since = {.kind = RC_SINCE_NONE};
	bool understood = true, patterns = false;

	while (rc_http_query_next(&rest, &key, &value)) {
		if (rc_str_eq(key, RC_STR("since"))) {
			int since_len = rc_http_unescape(value, true, buf, sizeof(buf));
			understood = since_len >= 0 && since.kind == RC_SINCE_NONE &&
				     rc_msg_since_text(
					     (struct rc_str){buf, (size_t)since_len}, &since) == 0;
		}
		if (!understood)
			break;
		if (!rc_msg_word_named(key, &seen))
			continue;
		int len = rc_http_unescape(value, true, buf, sizeof(buf));
		struct rc_str name = {buf, len < 0 ? 0 : (size_t)len};
		if (check_name(sv, c, none, name) < 0)
			return;
		patterns |= rc_name_classify(name) == RC_NAME_PATTERN;
		if (count++ == 0)
			word = seen;
	}
	if (!understood || (since.kind == RC_SINCE_POSITION && (count > 1 || patterns))) {
		rc_ws_error(sv, c, none, "bad_request", false,
			understood
				? "since is the position of one channel, and other or several are named"
				: "since is no position, no time and not \"beginning\"");
		return;
	}
	if (count == 0 || check_count(sv, c, none, count) < 0)
		return;
	rest = query;
	while (since.kind != RC_SINCE_NONE && rc_http_query_next(&rest, &key, &value)) {
		if (!rc_msg_word_named(key, &seen))
			continue;
		int len = rc_http_unescape(value, true, buf, sizeof(buf));
		if (check_past(sv, c, none, (struct rc_str){buf, (size_t)len}) < 0)
			return;
	}
	struct rc_request *r = rc_request_new(sv, count, RC_STR(""), word);
	if (!r) {
		rc_ws_error(sv, c, none, "server_capacity_exceeded", true,
			"the gateway has no memory for this request");
		return;
	}
	rest = query;
	while (rc_http_query_next(&rest, &key, &value)) {
		if (!rc_msg_word_named(key, &seen))
			continue;
		int len = rc_http_unescape(value, true, buf, sizeof(buf));
		struct rc_str name = {buf, (size_t)len};
		if (!add(sv, c, r, name, NULL, since.kind == RC_SINCE_NONE ? NULL : &since)) {
			no_room(sv, c, r);
			return;
		}
	}
	rc_request_append(sv, c, r);
}

/* Its claims name what it is subscribed to whether it asks or not. */
void rc_ws_subscribe_claims(struct rc_serve *sv, struct rc_conn *c)
{
	const struct rc_claims *claims = rc_session_claims(sv, c);
	struct rc_str list =
		claims ? rc_claims_list(claims, RC_CLAIM_ON_CONNECT) : (struct rc_str){NULL, 0};
	struct rc_str rest = list, name;
	uint32_t count = 0;

	while (rc_claims_next(&rest, &name))
		count += rc_session_may(sv, c, RC_MAY_SUBSCRIBE, name);
	if (count == 0 || check_count(sv, c, (struct rc_str){NULL, 0}, count) < 0)
		return;
	struct rc_request *r = rc_request_new(sv, count, RC_STR(""), RC_WORD_CHANNELS);
	if (!r) {
		rc_ws_error(sv, c, (struct rc_str){NULL, 0}, "server_capacity_exceeded", true,
			"the gateway has no memory for this request");
		return;
	}
	while (rc_claims_next(&list, &name)) {
		if (rc_session_may(sv, c, RC_MAY_SUBSCRIBE, name) &&
			!add(sv, c, r, name, NULL, NULL)) {
			no_room(sv, c, r);
			return;
		}
	}
	rc_request_append(sv, c, r);
}

static struct rc_str sub_name(const struct rc_serve *sv, uint32_t sub)
{
	return rc_replica_name(rc_hub_sub_base(sv->hub, sub));
}

/* Not the gateway's own, nor one that another form of the same is about to follow. */
static bool is_named(const struct rc_serve *sv, uint32_t sub)
{
	return !(rc_hub_sub(sv->hub, sub)->flags & (RC_SUB_HIDDEN | RC_SUB_REPLACED));
}

/* ---- leaving ------------------------------------------------------------------------------------ */

/* False: it has too much waiting, and is being closed. */
static bool tell_unsubscribed(
	struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m, size_t bound)
{
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str name;
	bool first = true;
	struct rc_textbuf b = rc_ws_begin(sv, c, bound);

	if (!b.ptr)
		return false;
	rc_msg_suback_begin(
		&b, m->id_raw, sv->wall_ms, m->has_channels ? m->word : RC_WORD_CHANNELS, true);
	if (m->has_channels) {
		rc_msg_channels_begin(&it, m);
		while (rc_msg_channels_next(&it, buf, &name) > 0) {
			rc_msg_suback_channel(&b, name, first);
			first = false;
		}
	} else {
		for (uint32_t sub = c->subs; sub != RC_NONE; sub = rc_hub_sub(sv->hub, sub)->next) {
			if (!is_named(sv, sub))
				continue;
			rc_msg_suback_channel(
				&b, rc_replica_name(rc_hub_sub_base(sv->hub, sub)), first);
			first = false;
		}
	}
	rc_msg_suback_end(&b, false);
	rc_ws_end(sv, c, &b);
	return true;
}

void rc_ws_unsubscribe(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m)
{
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str name;
	size_t bound = 256 + m->id_raw.len;
	int more;

	if (m->has_channels) {
		rc_msg_channels_begin(&it, m);
		while ((more = rc_msg_channels_next(&it, buf, &name)) != 0) {
			if (more < 0) {
				bad_name(sv, c, m->id_raw, name);
				return;
			}
			if (check_form(sv, c, m->id_raw, name) < 0)
				return;
			bound += name.len + 8;
		}
	} else {
		for (uint32_t sub = c->subs; sub != RC_NONE; sub = rc_hub_sub(sv->hub, sub)->next)
			bound += rc_hub_sub_base(sv->hub, sub)->name_len + 8;
	}
	if (rc_bin_is(c))
		rc_bin_unsubscribed(sv, c, m->id_raw);
	else if (!tell_unsubscribed(sv, c, m, bound))
		return;
	struct rc_client_channels told;
	bool tells = rc_client_channels_begin(sv, RC_ON_UNSUBSCRIBE, bound, c->sub_count, &told);
	/* The acknowledgement is in place; leaving may put the rest of a cut frame before it. */
	if (m->has_channels) {
		rc_msg_channels_begin(&it, m);
		while (rc_msg_channels_next(&it, buf, &name) > 0) {
			uint32_t sub = rc_replica_find_sub(
				sv->hub, rc_conn_slot(sv->conns, c), c->subs, name);
			if (sub == RC_NONE)
				continue;
			if (tells)
				rc_client_channels_add(&told, name);
			rc_acked_ends(sv, sub);
			rc_request_end_sub(sv, c, sub);
		}
	} else {
		uint32_t sub = c->subs;
		while (sub != RC_NONE) {
			uint32_t next = rc_hub_sub(sv->hub, sub)->next;
			if (!(rc_hub_sub(sv->hub, sub)->flags & RC_SUB_HIDDEN)) {
				if (tells && is_named(sv, sub))
					rc_client_channels_add(&told, sub_name(sv, sub));
				rc_acked_ends(sv, sub);
				rc_request_forget(sv, c, sub);
				rc_ws_drop_sub(sv, c, sub);
			}
			sub = next;
		}
	}
	if (tells)
		rc_client_channels_end(sv, c, &told);
	/* Who was cut off may not be found among the subscribers any more. */
	if (c->state != RC_CONN_OPEN)
		rc_ws_drop_subs(sv, c);
	rc_request_finish(sv, c);
}

/* ---- what backends say -------------------------------------------------------------------------- */

static uint16_t assign(struct rc_serve *sv, struct rc_conn *c, struct rc_str names)
{
	struct rc_str rest = names, name;
	uint32_t count = 0, fresh = 0;

	while (rc_claims_next(&rest, &name)) {
		count++;
		fresh += rc_replica_find_sub(sv->hub, rc_conn_slot(sv->conns, c), c->subs, name) ==
			 RC_NONE;
	}
	struct rc_request *r = c->sub_count + (uint64_t)fresh <= sv->config->max_channels_per_client
				       ? rc_request_new(sv, count, RC_STR(""), RC_WORD_CHANNELS)
				       : NULL;
	if (!r)
		return RINGCAST_NACK_OVER_CAPACITY;
	while (rc_claims_next(&names, &name)) {
		if (!add(sv, c, r, name, NULL, NULL)) {
			no_room(sv, c, r);
			return RINGCAST_NACK_OVER_CAPACITY;
		}
	}
	rc_request_append(sv, c, r);
	return 0;
}

static void tell_unassigned(struct rc_serve *sv, struct rc_conn *c, struct rc_str names)
{
	struct rc_str name;
	bool first = true;

	if (rc_bin_is(c)) {
		while (rc_claims_next(&names, &name))
			rc_bin_subscribed(
				sv, c, name, true, RINGCAST_VERDICT_LIVE, (struct rc_str){"", 0});
		return;
	}
	struct rc_textbuf b = rc_ws_begin(sv, c, 256 + 8 * names.len);
	if (!b.ptr)
		return;
	rc_msg_suback_begin(&b, (struct rc_str){NULL, 0}, sv->wall_ms, RC_WORD_CHANNELS, true);
	while (rc_claims_next(&names, &name)) {
		rc_msg_suback_channel(&b, name, first);
		first = false;
	}
	rc_msg_suback_end(&b, false);
	rc_ws_end(sv, c, &b);
}

static uint16_t unassign(struct rc_serve *sv, struct rc_conn *c, struct rc_str names)
{
	struct rc_client_channels told;
	struct rc_str name;

	tell_unassigned(sv, c, names);
	bool tells =
		rc_client_channels_begin(sv, RC_ON_UNSUBSCRIBE, names.len, c->sub_count, &told);
	while (rc_claims_next(&names, &name) && c->state == RC_CONN_OPEN) {
		uint32_t sub =
			rc_replica_find_sub(sv->hub, rc_conn_slot(sv->conns, c), c->subs, name);
		if (sub == RC_NONE)
			continue;
		if (tells)
			rc_client_channels_add(&told, name);
		rc_request_end_sub(sv, c, sub);
	}
	if (tells)
		rc_client_channels_end(sv, c, &told);
	if (c->state != RC_CONN_OPEN)
		rc_ws_drop_subs(sv, c);
	rc_request_finish(sv, c);
	return 0;
}

uint16_t rc_ws_assign(struct rc_serve *sv, struct rc_conn *c, bool on, struct rc_str names)
{
	return on ? assign(sv, c, names) : unassign(sv, c, names);
}

static bool kept(const struct rc_serve *sv, const struct rc_conn *c, uint32_t sub)
{
	return (rc_hub_sub(sv->hub, sub)->flags & RC_SUB_HIDDEN) ||
	       rc_session_may(sv, c, RC_MAY_SUBSCRIBE, sub_name(sv, sub));
}

static void tell_forbidden_json(struct rc_serve *sv, struct rc_conn *c, size_t bound)
{
	struct rc_textbuf b = rc_ws_begin(sv, c, bound);
	bool first = true;

	if (!b.ptr)
		return;
	rc_msg_suback_begin(&b, (struct rc_str){NULL, 0}, sv->wall_ms, RC_WORD_CHANNELS, true);
	for (uint32_t sub = c->subs; sub != RC_NONE; sub = rc_hub_sub(sv->hub, sub)->next) {
		if (kept(sv, c, sub) || !is_named(sv, sub))
			continue;
		rc_msg_suback_channel(&b, sub_name(sv, sub), first);
		first = false;
	}
	rc_msg_suback_end(&b, false);
	rc_ws_end(sv, c, &b);
}

static void tell_forbidden_frames(struct rc_serve *sv, struct rc_conn *c)
{
	for (uint32_t sub = c->subs, next; sub != RC_NONE && c->state == RC_CONN_OPEN; sub = next) {
		next = rc_hub_sub(sv->hub, sub)->next;
		if (!kept(sv, c, sub) && is_named(sv, sub))
			rc_bin_subscribed(sv, c, sub_name(sv, sub), true,
				RINGCAST_VERDICT_FORBIDDEN, (struct rc_str){"", 0});
	}
}

/* The claims have changed: what they do not allow any more ends, and the client is told. */
void rc_ws_drop_forbidden(struct rc_serve *sv, struct rc_conn *c)
{
	size_t bound = 256;

	for (uint32_t sub = c->subs; sub != RC_NONE; sub = rc_hub_sub(sv->hub, sub)->next) {
		struct rc_str name = sub_name(sv, sub);
		if (!kept(sv, c, sub))
			bound += name.len + 8;
	}
	if (bound == 256)
		return;
	if (rc_bin_is(c))
		tell_forbidden_frames(sv, c);
	else
		tell_forbidden_json(sv, c, bound);
	struct rc_client_channels told;
	bool tells = rc_client_channels_begin(sv, RC_ON_UNSUBSCRIBE, bound, c->sub_count, &told);
	for (uint32_t sub = c->subs, next; sub != RC_NONE && c->state == RC_CONN_OPEN; sub = next) {
		next = rc_hub_sub(sv->hub, sub)->next;
		if (kept(sv, c, sub))
			continue;
		if (tells && is_named(sv, sub))
			rc_client_channels_add(&told, sub_name(sv, sub));
		rc_request_forget(sv, c, sub);
		rc_ws_drop_sub(sv, c, sub);
	}
	if (tells)
		rc_client_channels_end(sv, c, &told);
	if (c->state != RC_CONN_OPEN)
		rc_ws_drop_subs(sv, c);
	rc_request_finish(sv, c);
}
