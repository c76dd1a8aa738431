/* SPDX-License-Identifier: Apache-2.0
 *
 * What a publish request is told.
 */
#include "serve/apiuser.h"

static void add_position(struct rc_textbuf *b, const struct rc_api_result *r)
{
	char text[RC_POSITION_MAX];

	rc_textbuf_add_text(b, "\"position\":\"");
	rc_textbuf_add(b, (struct rc_str){text, rc_position_text(r->epoch, r->offset, text)});
	rc_textbuf_add_char(b, '"');
}

/* why: NULL where it is not known. */
static void add_error(
	struct rc_textbuf *b, enum rc_api_fault fault, const struct rc_schema_fault *why)
{
	struct rc_api_words w = rc_api_words(fault);
	char text[RC_INVALID_TEXT];

	rc_textbuf_add_text(b, "\"error\":{\"code\":");
	rc_textbuf_add_string(b, rc_str_of(w.code));
	if (why) {
		rc_invalid_text(why, text);
		w.message = text;
		rc_textbuf_add_text(b, ",\"field\":");
		rc_textbuf_add_string(b, rc_str_of(why->place));
	}
	rc_textbuf_add_text(b, ",\"message\":");
	rc_textbuf_add_string(b, rc_str_of(w.message));
	rc_textbuf_add_char(b, '}');
}

#define RESULT_MAX 192u /* the longest, without its id */
/* What a field and its fault take besides: no control characters, so each byte is two at most. */
#define INVALID_MAX (4u * RC_SCHEMA_PLACE_SIZE + 2u * RC_SCHEMA_WORDS_SIZE + 16u)

static void add_result(struct rc_textbuf *b, const struct rc_api_result *r, struct rc_str id,
	const struct rc_schema_fault *why)
{
	rc_textbuf_add_char(b, '{');
	if (id.len) {
		rc_textbuf_add_text(b, "\"id\":");
		rc_textbuf_add(b, id);
		rc_textbuf_add_char(b, ',');
	}
	if (r->offset)
		add_position(b, r);
	else
		add_error(b, (enum rc_api_fault)r->epoch, why);
	rc_textbuf_add_char(b, '}');
}

static bool is_invalid(const struct rc_api_result *r)
{
	return r->offset == 0 && r->epoch == RC_API_INVALID;
}

/*
 * The event once more, for its id, and for what is wrong with it: a result has no room for that. False: it is right now, by a schema
 * that was read meanwhile.
 */
static bool look_again(struct rc_serve *sv, const struct rc_api_job *j, struct rc_api_walk *w,
	bool invalid, struct rc_str *id, struct rc_schema_fault *why)
{
	struct rc_api_event e = {0};
	struct rc_str text;
	enum rc_api_fault fault;

	*id = (struct rc_str){NULL, 0};
	if (!rc_api_walk_next(w, &text))
		return false;
	fault = rc_api_event_read(text, j->validated, j->broadcast, sv->config->max_message, &e);
	if (j->ids)
		*id = e.id;
	return invalid && !fault && rc_api_event_judge(sv, &e, why) == RC_API_INVALID;
}

void rc_api_answer_invalid(
	struct rc_serve *sv, struct rc_http_call *call, const struct rc_schema_fault *why)
{
	struct rc_textbuf b = rc_http_begin(sv, call, RESULT_MAX + INVALID_MAX);

	rc_textbuf_add_char(&b, '{');
	add_error(&b, RC_API_INVALID, why);
	rc_textbuf_add_text(&b, "}\n");
	rc_http_end(sv, call, 422, NULL, "application/json", &b);
}

/* One event that was refused. */
static void answer_refused(struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *j)
{
	struct rc_api_words said = rc_api_words((enum rc_api_fault)j->one.epoch);
	struct rc_schema_fault why;
	struct rc_api_walk w;
	struct rc_str id;

	if (is_invalid(&j->one) && rc_api_walk_begin(&w, j->body, false) &&
		look_again(sv, j, &w, true, &id, &why))
		rc_api_answer_invalid(sv, call, &why);
	else
		rc_http_fail(sv, call, said.status, said.code, said.message);
}

static void answer_results(struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *j)
{
	const char *headers =
		j->verdict == RC_API_REPLAYED ? "Idempotent-Replayed: true\r\n" : NULL;
	bool many = j->walk.form != RC_API_ONE;
	struct rc_api_walk w = {0};
	struct rc_textbuf b;
	size_t invalid = 0, room;
	bool told;

	if (j->direct) {
		rc_api_direct_answer(sv, call, j);
		return;
	}
	if (!many && !j->one.offset) {
		answer_refused(sv, call, j);
		return;
	}
	for (uint32_t i = 0; i < j->count; i++)
		invalid += is_invalid(&j->results[i]);
	room = 32 + (size_t)j->count * (RESULT_MAX + (j->ids ? RC_MSG_ID_MAX + 8 : 0));
	/* Of very many it is only said that they are. */
	told = invalid && room + invalid * INVALID_MAX <= RC_HTTP_ANSWER_MAX;
	if (told)
		room += invalid * INVALID_MAX;
	if (j->ids || told)
		(void)rc_api_walk_begin(&w, j->body, j->walk.form == RC_API_LINES);
	b = rc_http_begin(sv, call, room);
	if (many)
		rc_textbuf_add_text(&b, "{\"results\":[");
	for (uint32_t i = 0; i < j->count; i++) {
		if (i)
			rc_textbuf_add_char(&b, ',');
		struct rc_schema_fault why;
		struct rc_str id = {NULL, 0};
		bool known = (j->ids || told) &&
			     look_again(sv, j, &w, told && is_invalid(&j->results[i]), &id, &why);
		add_result(&b, &j->results[i], id, known ? &why : NULL);
	}
	rc_textbuf_add_text(&b, many ? "]}\n" : "\n");
	rc_http_end(sv, call, 200, headers, "application/json", &b);
}

void rc_api_answer(struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *j)
{
	switch ((enum rc_api_verdict)j->verdict) {
	case RC_API_BUSY:
		rc_http_fail(sv, call, 409, "conflict",
			"a request with this Idempotency-Key is under way");
		break;
	case RC_API_DIFFERS:
		rc_http_fail(sv, call, 422, "key_reused",
			"this Idempotency-Key came with another request before");
		break;
	case RC_API_NO_ROOM:
		rc_http_fail(sv, call, 503, "over_capacity",
			"no room for one more Idempotency-Key at present");
		break;
	default:
		answer_results(sv, call, j);
	}
}
