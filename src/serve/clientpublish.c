/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client publishes: a job of /api (api.h) whose answer goes to whatever brought it, a WebSocket or a POST. With an id, and a
 * token that names a user, it is published once however often it is sent, as by an Idempotency-Key: key and print are those of the
 * message, so one that was sent by a WebSocket and comes again by POST is the same.
 */
#include "serve/apijob.h"
#include "serve/binary.h"
#include "serve/say.h"
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
static void refuse(struct rc_serve *sv, const struct rc_say *s, enum rc_api_fault fault,
	const struct rc_schema_fault *why)
{
	struct rc_api_words w = rc_api_words(fault);
	char text[RC_INVALID_TEXT];

	rc_count(sv->counters, rc_api_refused_counter(fault), 1);
	if (!why) {
		rc_say_error(sv, s, w.code, false, w.message);
		return;
	}
	rc_invalid_text(why, text);
	rc_say_error_field(sv, s, w.code, text, why->place);
}

/* That of the request that brought it, or else of the upgrade of its WebSocket. */
static bool trace_of(const struct rc_serve *sv, const struct rc_say *s, unsigned char *trace)
{
	const struct rc_session *session = rc_session_of(sv, s->c);

	if (s->call)
		return rc_trace_parse(rc_http_trace(s->call->request), trace);
	return session && session->trace_len &&
	       rc_trace_parse((struct rc_str){session->trace, session->trace_len}, trace);
}

/* False: it is answered. */
static bool judge(
	struct rc_serve *sv, const struct rc_say *s, struct rc_str text, struct rc_api_event *e)
{
	struct rc_schema_fault why;
	enum rc_api_fault fault =
		rc_bin_is(s->c) ? (enum rc_api_fault)rc_bin_event_read(
					  text, false, sv->config->max_message, e)
				: rc_api_event_read(text, true, false, sv->config->max_message, e);

	if (fault) {
		refuse(sv, s, fault, NULL);
		return false;
	}
	if (!rc_session_may(sv, s->c, RC_MAY_PUBLISH, e->channel)) {
		rc_count(sv->counters, RC_C_events_refused_forbidden, 1);
		rc_say_error(
			sv, s, "forbidden", false, "this client may not publish to that channel");
		return false;
	}
	fault = rc_api_event_judge(sv, e, &why);
	if (fault) {
		refuse(sv, s, fault, fault == RC_API_INVALID ? &why : NULL);
		return false;
	}
	return rc_say_within(sv, s, RC_RATE_PUBLISH, "more events than this client may publish");
}

void rc_say_publish(
	struct rc_serve *sv, struct rc_say *s, const struct rc_msg *m, struct rc_str text)
{
	struct rc_conn *c = s->c;
	struct rc_str user = rc_session_user(sv, c);
	struct rc_api_job draft = {
		.client = true,
		.by_websocket = !s->call,
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
	struct rc_api_event e;

	if (!judge(sv, s, text, &e))
		return;
	/* A POST has no session that it could keep the event from: whoever sent it hears it too. */
	draft.quiet = !e.echo && draft.by_websocket;
	(void)rc_str_copy(draft.id, m->id_raw);
	draft.traced = trace_of(sv, s, draft.trace);
	/* The sequence of a frame counts for its connection alone. */
	if (m->id_raw.len && user.len && !draft.framed) {
		draft.keyed = true;
		draft.stage = RC_API_CLAIM;
		draft.print = rc_hash(&sv->hub->key, text.ptr, text.len);
		key_of(sv, user, &draft);
	}
	if (sv->draining || !rc_api_job_start(sv, &draft, s->call, &s->result))
		rc_say_error(sv, s, "server_capacity_exceeded", true,
			"the gateway has no room for this event");
}

static void acknowledge(struct rc_serve *sv, const struct rc_say *s, const struct rc_api_job *j)
{
	struct rc_api_event e;
	enum rc_api_fault fault =
		rc_api_event_read(j->body, true, false, sv->config->max_message, &e);

	RC_ASSERT(fault == RC_API_UNDECIDED);
	size_t bound = 256 + s->id.len + e.channel.len;
	struct rc_textbuf b =
		s->call ? rc_http_begin(sv, s->call, bound) : rc_ws_begin(sv, s->c, bound);
	if (!b.ptr)
		return;
	rc_msg_ack(&b, s->id, sv->wall_ms, e.channel, j->one.epoch, j->one.offset);
	if (s->call)
		rc_http_end(sv, s->call, 200, NULL, "application/json", &b);
	else
		rc_ws_end(sv, s->c, &b);
}

void rc_say_published(struct rc_serve *sv, const struct rc_api_job *j, struct rc_http_call *call)
{
	const struct rc_say s = {
		.c = call ? call->c : rc_conn_get(sv->conns, j->ref.slot, j->ref.generation),
		.call = call,
		.id = {j->id, j->id_len},
	};

	if (!s.c || s.c->state != RC_CONN_OPEN)
		return;
	if (j->verdict == RC_API_BUSY) {
		rc_say_error(sv, &s, "conflict", true, "an event with this id is being published");
	} else if (j->verdict == RC_API_DIFFERS) {
		rc_say_error(
			sv, &s, "key_reused", false, "another event was published with this id");
	} else if (j->verdict == RC_API_NO_ROOM || j->one.offset == 0) {
		struct rc_api_words w = rc_api_words(RC_API_OVER_CAPACITY);
		rc_say_error(sv, &s, "server_capacity_exceeded", true, w.message);
	} else if (j->framed) {
		rc_bin_published(sv, s.c, s.id, j->one.epoch, j->one.offset);
	} else {
		acknowledge(sv, &s, j);
	}
}
