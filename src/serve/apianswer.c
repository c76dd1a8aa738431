/* SPDX-License-Identifier: Apache-2.0
 *
 * What a publish request is told.
 */
#include "serve/apijob.h"

static void add_position(struct rc_textbuf *b, const struct rc_api_result *r)
{
	char text[RC_POSITION_MAX];

	rc_textbuf_add_text(b, "\"position\":\"");
	rc_textbuf_add(b, (struct rc_str){text, rc_position_text(r->epoch, r->offset, text)});
	rc_textbuf_add_char(b, '"');
}

static void add_error(struct rc_textbuf *b, const struct rc_api_result *r)
{
	struct rc_api_words w = rc_api_words((enum rc_api_fault)r->epoch);

	rc_textbuf_add_text(b, "\"error\":{\"code\":");
	rc_textbuf_add_string(b, rc_str_of(w.code));
	rc_textbuf_add_text(b, ",\"message\":");
	rc_textbuf_add_string(b, rc_str_of(w.message));
	rc_textbuf_add_char(b, '}');
}

#define RESULT_MAX 192u /* the longest, without its id */

static void add_result(struct rc_textbuf *b, const struct rc_api_result *r, struct rc_str id)
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
		add_error(b, r);
	rc_textbuf_add_char(b, '}');
}

static struct rc_str id_of(struct rc_serve *sv, struct rc_api_job *j, struct rc_api_walk *w)
{
	struct rc_api_event e = {0};
	struct rc_str text;

	if (!j->ids || !rc_api_walk_next(w, &text))
		return (struct rc_str){NULL, 0};
	(void)rc_api_event_read(text, j->validated, j->broadcast, sv->config->max_message, &e);
	return e.id;
}

static void answer_results(struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *j)
{
	const char *headers =
		j->verdict == RC_API_REPLAYED ? "Idempotent-Replayed: true\r\n" : NULL;
	bool many = j->walk.form != RC_API_ONE;
	struct rc_api_walk w = {0};
	struct rc_textbuf b;

	if (!many && !j->one.offset) {
		struct rc_api_words said = rc_api_words((enum rc_api_fault)j->one.epoch);
		rc_http_fail(sv, call, said.status, said.code, said.message);
		return;
	}
	if (j->ids)
		(void)rc_api_walk_begin(&w, j->body, j->walk.form == RC_API_LINES);
	b = rc_http_begin(
		sv, call, 32 + (size_t)j->count * (RESULT_MAX + (j->ids ? RC_MSG_ID_MAX + 8 : 0)));
	if (many)
		rc_textbuf_add_text(&b, "{\"results\":[");
	for (uint32_t i = 0; i < j->count; i++) {
		if (i)
			rc_textbuf_add_char(&b, ',');
		add_result(&b, &j->results[i], id_of(sv, j, &w));
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
