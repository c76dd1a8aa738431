/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client publishes: a job of /api (api.h) whose answer goes to a WebSocket. With an id, and a token that names a user, it is
 * published once however often it is sent, as by an Idempotency-Key.
 */
#include "serve/apijob.h"
#include "serve/binary.h"
#include "serve/limits.h"
#include "serve/session.h"

/* The same id of the same user, wherever he is connected. No key of HTTP begins like this. */
static void key_of(const struct rc_serve *sv, struct rc_str user, struct rc_api_job *j)
{
	char text[1 + RC_USER_MAX + 1 + RC_MSG_ID_MAX];
	char *at = text + 1;

	at = rc_str_copy(at, user);
	*at++ = 0;
	at = rc_str_copy(at, (struct rc_str){j->id, j->id_len});
	j->key_len = 1 + 2 * sizeof(uint64_t);
	j->key[0] = 1;
	for (int half = 0; half < 2; half++) {
		text[0] = (char)half;
		uint64_t hash = rc_hash(&sv->hub->key, text, (size_t)(at - text));
		memcpy(j->key + 1 + (size_t)half * sizeof(hash), &hash, sizeof(hash));
	}
}

/* why: what is wrong with the data, for RC_API_INVALID alone. */
static void refuse(struct rc_serve *sv, struct rc_conn *c, struct rc_str id,
	enum rc_api_fault fault, const struct rc_schema_fault *why)
{
	struct rc_api_words w = rc_api_words(fault);
	char text[RC_INVALID_TEXT];

	rc_count(sv->counters, rc_api_refused_counter(fault), 1);
	if (!why) {
		rc_ws_error(sv, c, id, w.code, false, w.message);
		return;
	}
	rc_invalid_text(why, text);
	rc_ws_error_field(sv, c, id, w.code, text, why->place);
}

void rc_ws_publish(
	struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m, struct rc_str text)
{
	const struct rc_session *s = rc_session_of(sv, c);
	struct rc_str user = rc_session_user(sv, c);
	struct rc_api_job draft = {
		.client = true,
		.framed = rc_bin_is(c),
		.validated = true,
		.judged = true,
		.count = 1,
		.stage = RC_API_PUBLISHING,
		.verdict = RC_API_GO,
		.ref = {rc_conn_slot(sv->conns, c), c->generation, 0},
		.walk = {.form = RC_API_ONE, .rest = text},
		.body = text,
		.id_len = (uint8_t)m->id_raw.len,
	};
	struct rc_schema_fault why;
	struct rc_api_event e;
	enum rc_api_fault fault =
		rc_bin_is(c) ? (enum rc_api_fault)rc_bin_event_read(
				       text, false, sv->config->max_message, &e)
			     : rc_api_event_read(text, true, false, sv->config->max_message, &e);

	if (fault) {
		refuse(sv, c, m->id_raw, fault, NULL);
		return;
	}
	if (!rc_session_may(sv, c, RC_MAY_PUBLISH, e.channel)) {
		rc_count(sv->counters, RC_C_events_refused_forbidden, 1);
		rc_ws_error(sv, c, m->id_raw, "forbidden", false,
			"this client may not publish to that channel");
		return;
	}
	fault = rc_api_event_judge(sv, &e, &why);
	if (fault) {
		refuse(sv, c, m->id_raw, fault, fault == RC_API_INVALID ? &why : NULL);
		return;
	}
	if (!rc_limits_request(sv, c, RC_RATE_PUBLISH, 1)) {
		rc_ws_error(sv, c, m->id_raw, "rate_limited", true,
			"more events than this client may publish");
		return;
	}
	draft.quiet = !e.echo;
	(void)rc_str_copy(draft.id, m->id_raw);
	if (s && s->trace_len)
		draft.traced = rc_trace_parse((struct rc_str){s->trace, s->trace_len}, draft.trace);
	/* The sequence of a frame counts for its connection alone. */
	if (m->id_raw.len && user.len && !draft.framed) {
		draft.keyed = true;
		draft.stage = RC_API_CLAIM;
		draft.print = rc_hash(&sv->hub->key, text.ptr, text.len);
		key_of(sv, user, &draft);
	}
	if (sv->draining || !rc_api_job_start(sv, &draft))
		rc_ws_error(sv, c, m->id_raw, "server_capacity_exceeded", true,
			"the gateway has no room for this event");
}

void rc_ws_published(struct rc_serve *sv, const struct rc_api_job *j)
{
	struct rc_conn *c = rc_conn_get(sv->conns, j->ref.slot, j->ref.generation);
	struct rc_str id = {j->id, j->id_len};
	struct rc_api_event e;

	if (!c || c->state != RC_CONN_OPEN)
		return;
	if (j->verdict == RC_API_BUSY) {
		rc_ws_error(
			sv, c, id, "conflict", true, "an event with this id is being published");
	} else if (j->verdict == RC_API_DIFFERS) {
		rc_ws_error(
			sv, c, id, "key_reused", false, "another event was published with this id");
	} else if (j->verdict == RC_API_NO_ROOM || j->one.offset == 0) {
		struct rc_api_words w = rc_api_words(RC_API_OVER_CAPACITY);
		rc_ws_error(sv, c, id, "server_capacity_exceeded", true, w.message);
	} else if (j->framed) {
		rc_bin_published(sv, c, id, j->one.epoch, j->one.offset);
	} else if (rc_api_event_read(j->body, true, false, sv->config->max_message, &e) ==
		   RC_API_UNDECIDED) {
		struct rc_textbuf b = rc_ws_begin(sv, c, 256 + id.len + e.channel.len);
		if (!b.ptr)
			return;
		rc_msg_ack(&b, id, sv->wall_ms, e.channel, j->one.epoch, j->one.offset);
		rc_ws_end(sv, c, &b);
	}
}
