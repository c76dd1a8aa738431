/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscribing and unsubscribing, by message and by the query of /ws.
 */
#include "serve/request.h"

#include <stdio.h>

#include "proto/http1.h"
#include "serve/replay.h"

/* What the subscription gets before its live events. False: no room. */
static bool add_replay(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r, uint32_t sub,
	const struct rc_since *since)
{
	const struct rc_replica *rep = rc_hub_replica(sv->hub, rc_hub_sub(sv->hub, sub)->replica);

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

/* since: NULL when nothing was said of this one. */
static bool add(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r, struct rc_str name,
	bool pattern, const struct rc_since *since)
{
	uint32_t sub;
	enum rc_subscribe_result result = rc_replica_subscribe(
		sv->hub, rc_conn_slot(sv->conns, c), &c->subs, name, pattern, RC_SUB_PAUSED, &sub);

	if (result == RC_SUBSCRIBE_FULL)
		return false;
	struct rc_sub *s = rc_hub_sub(sv->hub, sub);
	if (result == RC_SUBSCRIBED) {
		bool active = rc_hub_replica(sv->hub, s->replica)->state == RC_REPLICA_ACTIVE;
		c->sub_count++;
		r->subs[r->count] = sub | RC_REQUEST_FRESH;
		if (!add_replay(sv, c, r, sub, since)) {
			r->count++;
			return false;
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

/* 0 when the name may be subscribed; the error was sent otherwise. */
static int check_name(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, struct rc_str name)
{
	if (rc_name_classify(name) == RC_NAME_BAD) {
		bad_name(sv, c, id, name);
		return -1;
	}
	if (rc_name_reserved(name)) {
		rc_count(sv->counters, RC_C_subscribe_refused_forbidden, 1);
		rc_ws_error(sv, c, id, "forbidden", false,
			"channels that begin with $ are the gateway's own");
		return -1;
	}
	return 0;
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

static void no_room(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r)
{
	for (uint32_t i = 0; i < r->count; i++) {
		struct rc_sub *s = rc_hub_sub(sv->hub, r->subs[i] & ~RC_REQUEST_FRESH);
		if ((r->subs[i] & RC_REQUEST_FRESH) && s->listed_next == i &&
			!(s->flags & RC_SUB_REPLAYING))
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
	uint32_t count = 0, fresh = 0;
	int more;

	rc_count(sv->counters, RC_C_subscribe_requests, 1);
	if (!m->has_channels) {
		rc_ws_error(sv, c, m->id_raw, "bad_request", false, "subscribe needs channels");
		return;
	}
	if (m->filter.kind || m->ack.kind || m->rate.kind || m->window.kind) {
		rc_ws_error(sv, c, m->id_raw, "unsupported", false,
			"filter, ack, rate and window are not offered by this gateway");
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
		count++;
		fresh += rc_replica_find_sub(sv->hub, rc_conn_slot(sv->conns, c), c->subs, name) ==
			 RC_NONE;
	}
	if (count == 0) {
		rc_ws_error(sv, c, m->id_raw, "bad_request", false, "subscribe names no channel");
		return;
	}
	if (check_count(sv, c, m->id_raw, fresh) < 0)
		return;
	struct rc_since_table table;
	struct rc_msg_fault fault;
	struct rc_since since;
	bool recovers = m->since.kind != RC_JSON_NONE;
	if (recovers && rc_msg_since_check(&table, m, &sv->hub->key, &fault) < 0) {
		rc_ws_error(sv, c, m->id_raw, fault.code, false, fault.message);
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
		if (!add(sv, c, r, name, rc_name_classify(name) == RC_NAME_PATTERN,
			    from ? &since : NULL)) {
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
		if (!add(sv, c, r, name, rc_name_classify(name) == RC_NAME_PATTERN,
			    since.kind == RC_SINCE_NONE ? NULL : &since)) {
			no_room(sv, c, r);
			return;
		}
	}
	rc_request_append(sv, c, r);
}

/* ---- leaving ------------------------------------------------------------------------------------ */

void rc_ws_unsubscribe(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m)
{
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str name;
	bool first = true;
	size_t bound = 256 + m->id_raw.len;
	int more;

	if (m->has_channels) {
		rc_msg_channels_begin(&it, m);
		while ((more = rc_msg_channels_next(&it, buf, &name)) != 0) {
			if (more < 0) {
				bad_name(sv, c, m->id_raw, name);
				return;
			}
			if (check_name(sv, c, m->id_raw, name) < 0)
				return;
			bound += name.len + 8;
		}
	} else {
		for (uint32_t sub = c->subs; sub != RC_NONE; sub = rc_hub_sub(sv->hub, sub)->next)
			bound += rc_hub_replica(sv->hub, rc_hub_sub(sv->hub, sub)->replica)
					 ->name_len +
				 8;
	}
	struct rc_textbuf b = rc_ws_begin(sv, c, bound);
	if (!b.ptr)
		return;
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
			if (rc_hub_sub(sv->hub, sub)->flags & RC_SUB_HIDDEN)
				continue;
			rc_msg_suback_channel(&b,
				rc_replica_name(
					rc_hub_replica(sv->hub, rc_hub_sub(sv->hub, sub)->replica)),
				first);
			first = false;
		}
	}
	rc_msg_suback_end(&b, false);
	rc_ws_end(sv, c, &b);
	/* The acknowledgement is in place; leaving may put the rest of a cut frame before it. */
	if (m->has_channels) {
		rc_msg_channels_begin(&it, m);
		while (rc_msg_channels_next(&it, buf, &name) > 0) {
			uint32_t sub = rc_replica_find_sub(
				sv->hub, rc_conn_slot(sv->conns, c), c->subs, name);
			if (sub == RC_NONE)
				continue;
			rc_request_forget(sv, c, sub);
			rc_ws_drop_sub(sv, c, sub);
		}
	} else {
		uint32_t sub = c->subs;
		while (sub != RC_NONE) {
			uint32_t next = rc_hub_sub(sv->hub, sub)->next;
			if (!(rc_hub_sub(sv->hub, sub)->flags & RC_SUB_HIDDEN)) {
				rc_request_forget(sv, c, sub);
				rc_ws_drop_sub(sv, c, sub);
			}
			sub = next;
		}
	}
	/* Who was cut off may not be found among the subscribers any more. */
	if (c->state != RC_CONN_OPEN)
		rc_ws_drop_subs(sv, c);
	rc_request_finish(sv, c);
}
