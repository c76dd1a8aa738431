/* SPDX-License-Identifier: Apache-2.0
 *
 * Which users are there, and with which sessions: surveys (survey.h) that look each user up where it is, and walk no connections.
 */
#include "serve/apiuser.h"

#include "base/clock.h"

#define LIMIT_STANDARD 100u
#define LIMIT_MAX      1000u
#define JSON           "application/json"

/* False: it was answered. */
static bool take_params(struct rc_serve *sv, struct rc_http_call *call, uint32_t *limit,
	struct rc_str *after, char buf[RC_SURVEY_KEY_MAX])
{
	struct rc_str rest = call->request->query, key, value;

	*limit = LIMIT_STANDARD;
	while (rc_http_query_next(&rest, &key, &value)) {
		uint64_t number = 0;
		bool good = true;
		if (rc_str_eq(key, RC_STR("limit"))) {
			good = rc_u64_parse(value, &number) == 0 && number >= 1 &&
			       number <= LIMIT_MAX;
			*limit = (uint32_t)number;
		} else if (after && rc_str_eq(key, RC_STR("after"))) {
			int len = rc_http_unescape(value, true, buf, RC_SURVEY_KEY_MAX);
			good = len >= 0;
			*after = (struct rc_str){buf, good ? (size_t)len : 0};
		}
		if (good)
			continue;
		rc_http_fail(sv, call, 400, "bad_request",
			"the number 'limit' is 1 to 1000, 'after' at most 255 bytes");
		return false;
	}
	return true;
}

static void add_timestamp(struct rc_serve *sv, struct rc_textbuf *b)
{
	char iso[RC_ISO8601_LEN];

	rc_clock_iso8601(sv->wall_ms, iso);
	rc_textbuf_add_text(b, "\"timestamp\":");
	rc_textbuf_add_string(b, (struct rc_str){iso, sizeof(iso)});
}

static size_t bound_of(const struct rc_survey_set *set)
{
	size_t bound = 1024 + 6 * RC_SURVEY_KEY_MAX;

	for (uint32_t i = 0; i < set->count; i++)
		bound += (size_t)set->at[i]->key_len + set->at[i]->len + 8;
	return bound;
}

/* ---- all of them ----------------------------------------------------------------------------------- */

static void answer_users(
	struct rc_serve *sv, const struct rc_survey *survey, struct rc_http_call *call)
{
	const struct rc_survey_set *set = &survey->set[0];
	struct rc_textbuf b = rc_http_begin(sv, call, bound_of(set));

	rc_textbuf_add_text(&b, "{\"users\":[");
	for (uint32_t i = 0; i < set->count; i++) {
		if (i)
			rc_textbuf_add_char(&b, ',');
		rc_textbuf_add(&b, rc_survey_contents(set->at[i]));
	}
	rc_textbuf_add_text(&b, "],\"count\":");
	rc_textbuf_add_u64(&b, sv->port.sum(sv->port.ctx, RC_C_users));
	if (set->more && set->count) {
		rc_textbuf_add_text(&b, ",\"next\":");
		rc_textbuf_add_string(&b, rc_survey_key(set->at[set->count - 1]));
	}
	rc_textbuf_add_char(&b, ',');
	add_timestamp(sv, &b);
	rc_textbuf_add_char(&b, '}');
	rc_http_end(sv, call, 200, NULL, JSON, &b);
}

enum rc_http_result rc_user_list(struct rc_serve *sv, struct rc_http_call *call)
{
	char buf[RC_SURVEY_KEY_MAX];
	struct rc_str none = {NULL, 0}, after = none;
	uint32_t limit;

	if (!take_params(sv, call, &limit, &after, buf))
		return RC_HTTP_DONE;
	struct rc_survey *survey = rc_survey_new(sv);
	if (survey)
		rc_survey_add(survey, RC_SURVEY_USERS, limit, none, after);
	return rc_survey_start(sv, survey, call, answer_users);
}

/* ---- one of them ----------------------------------------------------------------------------------- */

static void answer_user(
	struct rc_serve *sv, const struct rc_survey *survey, struct rc_http_call *call)
{
	const struct rc_survey_set *set = &survey->set[0];

	/* The home says first what it knows; without it there is no connection. */
	if (set->count == 0 || rc_survey_key(set->at[0]).len != 0) {
		rc_http_fail(sv, call, 404, "unknown_user", "this user is not connected");
		return;
	}
	struct rc_textbuf b = rc_http_begin(sv, call, bound_of(set));
	rc_textbuf_add_text(&b, "{\"user\":");
	rc_textbuf_add_string(&b, (struct rc_str){set->prefix, set->prefix_len});
	rc_textbuf_add_char(&b, ',');
	rc_textbuf_add(&b, rc_survey_contents(set->at[0]));
	rc_textbuf_add_text(&b, ",\"sessions\":{");
	for (uint32_t i = 1; i < set->count; i++) {
		if (i > 1)
			rc_textbuf_add_char(&b, ',');
		rc_textbuf_add(&b, rc_survey_contents(set->at[i]));
	}
	rc_textbuf_add_text(&b, set->more ? "},\"more\":true," : "},\"more\":false,");
	add_timestamp(sv, &b);
	rc_textbuf_add_char(&b, '}');
	rc_http_end(sv, call, 200, NULL, JSON, &b);
}

enum rc_http_result rc_user_show(struct rc_serve *sv, struct rc_http_call *call, struct rc_str id)
{
	struct rc_str none = {NULL, 0};
	uint32_t limit;

	if (!take_params(sv, call, &limit, NULL, NULL))
		return RC_HTTP_DONE;
	struct rc_survey *survey = rc_survey_new(sv);
	if (survey)
		rc_survey_add(survey, RC_SURVEY_USER, limit + 1, id, none);
	return rc_survey_start(sv, survey, call, answer_user);
}

static void answer_session(
	struct rc_serve *sv, const struct rc_survey *survey, struct rc_http_call *call)
{
	const struct rc_survey_set *set = &survey->set[0];

	if (set->count == 0) {
		rc_http_fail(sv, call, 404, "unknown_session", "there is no such session");
		return;
	}
	/* A member of an object: what is behind its name. */
	struct rc_str text = rc_survey_contents(set->at[0]);
	size_t skip = 3 + (size_t)set->at[0]->key_len;
	struct rc_textbuf b = rc_http_begin(sv, call, bound_of(set));
	rc_textbuf_add(&b, (struct rc_str){text.ptr + skip, text.len - skip});
	rc_http_end(sv, call, 200, NULL, JSON, &b);
}

enum rc_http_result rc_user_show_session(
	struct rc_serve *sv, struct rc_http_call *call, struct rc_str id)
{
	struct rc_str none = {NULL, 0};
	struct rc_survey *survey = rc_survey_new(sv);

	if (survey)
		rc_survey_add(survey, RC_SURVEY_SESSION, 1, id, none);
	return rc_survey_start(sv, survey, call, answer_session);
}
