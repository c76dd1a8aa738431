/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages to users and sessions over HTTP, and their ends. See apiuser.h.
 */
#include "serve/apiuser.h"

#include "proto/json.h"
#include "serve/users.h"

#define CODE_MIN 4000u
#define CODE_MAX 4999u

/* ---- what is asked for --------------------------------------------------------------------------- */

static enum rc_http_result bad(struct rc_serve *sv, struct rc_http_call *call, const char *message)
{
	rc_http_fail(sv, call, 400, "bad_request", message);
	return RC_HTTP_DONE;
}

static enum rc_http_result no_such_path(struct rc_serve *sv, struct rc_http_call *call)
{
	rc_count(sv->counters, RC_C_http_404, 1);
	rc_http_fail(sv, call, 404, "not_found", "there is nothing at this path");
	return RC_HTTP_DONE;
}

/* The rest of the path, decoded. False: it is too long, or can't be. */
static bool take_name(struct rc_str rest, struct rc_api_job *j)
{
	int len = rc_http_unescape(rest, false, j->target, sizeof(j->target));

	j->target_len = len > 0 ? (uint8_t)len : 0;
	return len > 0 &&
	       (j->session || rc_user_id_valid((struct rc_str){j->target, j->target_len}));
}

static bool take_suffix(struct rc_str *rest, const char *suffix)
{
	size_t len = strlen(suffix);

	if (rest->len <= len || memcmp(rest->ptr + rest->len - len, suffix, len) != 0)
		return false;
	rest->len -= len;
	return true;
}

static bool take_code(struct rc_str digits, struct rc_api_job *j)
{
	uint64_t code;

	if (rc_u64_parse(digits, &code) < 0 || code < CODE_MIN || code > CODE_MAX)
		return false;
	j->code = (uint16_t)code;
	return true;
}

static bool reason_valid(const struct rc_api_job *j)
{
	/* What may be a user's id may be a reason; it may also be empty. */
	return j->reason_len == 0 ||
	       (j->reason_len <= RC_REASON_MAX &&
		       rc_user_id_valid((struct rc_str){j->reason, j->reason_len}));
}

static bool take_reason(int len, struct rc_api_job *j)
{
	j->reason_len = len > 0 ? (uint8_t)len : 0;
	return len >= 0 && reason_valid(j);
}

static bool close_query(struct rc_str query, struct rc_api_job *j)
{
	struct rc_str key, value;

	while (rc_http_query_next(&query, &key, &value)) {
		if (rc_str_eq(key, RC_STR("code")) && !take_code(value, j))
			return false;
		if (rc_str_eq(key, RC_STR("reason")) &&
			!take_reason(
				rc_http_unescape(value, true, j->reason, sizeof(j->reason)), j))
			return false;
	}
	return true;
}

static bool close_body(struct rc_str body, struct rc_api_job *j)
{
	struct rc_json_iter it;
	struct rc_json_value value;
	struct rc_str key;

	if (body.len == 0)
		return true;
	if (rc_json_validate(body, 8) < 0 || rc_json_root(body).kind != RC_JSON_OBJECT)
		return false;
	rc_json_object_begin(&it, rc_json_root(body).raw);
	while (rc_json_object_next(&it, &key, &value)) {
		if (rc_str_eq(key, RC_STR("code")) &&
			(value.kind != RC_JSON_NUMBER || !take_code(value.raw, j)))
			return false;
		if (rc_str_eq(key, RC_STR("reason")) &&
			(value.kind != RC_JSON_STRING ||
				!take_reason(rc_json_string_decode(
						     value.raw, j->reason, sizeof(j->reason)),
					j)))
			return false;
	}
	return true;
}

static enum rc_http_result disconnect(
	struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *j)
{
	j->code = RC_CLOSE_OPERATOR;
	if (!close_query(call->request->query, j) || !close_body(call->body, j))
		return bad(sv, call,
			"code is 4000 to 4999, reason at most 123 bytes of text; in the query or as JSON");
	return rc_api_take(sv, call, j);
}

/* ---- a list of users ------------------------------------------------------------------------------ */

static struct rc_json_value users_of(struct rc_str object)
{
	struct rc_json_iter it;
	struct rc_json_value value, users = {0};
	struct rc_str key;
	uint32_t count = 0;

	rc_json_object_begin(&it, object);
	while (rc_json_object_next(&it, &key, &value)) {
		if (rc_str_eq(key, RC_STR("users"))) {
			users = value;
			count++;
		}
	}
	if (count != 1 || users.kind != RC_JSON_ARRAY)
		users.kind = RC_JSON_NONE;
	return users;
}

/* Each behind a byte with its length. 0: that is no list of 1 to 1,000 users. */
static size_t read_users(struct rc_str object, char out[RC_USER_TARGETS_MAX])
{
	struct rc_json_value users = users_of(object), value;
	struct rc_json_iter it;
	uint32_t count = 0;
	size_t used = 0;

	if (users.kind == RC_JSON_NONE)
		return 0;
	rc_json_array_begin(&it, users.raw);
	while (rc_json_array_next(&it, &value)) {
		char id[RC_USER_MAX];
		int len = value.kind == RC_JSON_STRING
				  ? rc_json_string_decode(value.raw, id, sizeof(id))
				  : -1;
		if (len <= 0 || !rc_user_id_valid((struct rc_str){id, (size_t)len}) ||
			++count > RC_USER_LIST_MAX || used + 1 + (size_t)len > RC_USER_TARGETS_MAX)
			return 0;
		out[used] = (char)len;
		memcpy(out + used + 1, id, (size_t)len);
		used += 1 + (size_t)len;
	}
	return used;
}

static enum rc_http_result send_list(
	struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *j)
{
	char targets[RC_USER_TARGETS_MAX];

	if (rc_json_validate(call->body, RC_API_DEPTH) < 0 ||
		rc_json_root(call->body).kind != RC_JSON_OBJECT ||
		!read_users(rc_json_root(call->body).raw, targets))
		return bad(sv, call,
			"users must be an array of 1 to 1000 ids of users, 16384 bytes in all");
	j->users = true;
	return rc_api_take(sv, call, j);
}

/* ---- the routes ------------------------------------------------------------------------------------ */

static enum rc_http_result wrong_name(
	struct rc_serve *sv, struct rc_http_call *call, const struct rc_api_job *j)
{
	return bad(sv, call,
		j->session
			? "this is not the id of a session"
			: "the id of a user is 1 to 128 bytes of UTF-8 without control characters");
}

static enum rc_http_result route(
	struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *j)
{
	struct rc_str rest = call->rest;

	if (call->method == RC_HTTP_POST && !j->session && rc_str_eq(rest, RC_STR("send")))
		return send_list(sv, call, j);
	if (call->method == RC_HTTP_POST && !take_suffix(&rest, "/send"))
		return no_such_path(sv, call);
	if (!take_name(rest, j))
		return wrong_name(sv, call, j);
	struct rc_str name = {j->target, j->target_len};
	if (call->method == RC_HTTP_POST)
		return rc_api_take(sv, call, j);
	if (call->method == RC_HTTP_DELETE)
		return disconnect(sv, call, j);
	return j->session ? rc_user_show_session(sv, call, name) : rc_user_show(sv, call, name);
}

enum rc_http_result rc_user_one(struct rc_serve *sv, struct rc_http_call *call)
{
	struct rc_api_job draft = {.direct = true};

	return route(sv, call, &draft);
}

enum rc_http_result rc_user_session(struct rc_serve *sv, struct rc_http_call *call)
{
	struct rc_api_job draft = {.direct = true, .session = true};

	return route(sv, call, &draft);
}

/* ---- the job --------------------------------------------------------------------------------------- */

bool rc_api_direct(struct rc_serve *sv, struct rc_api_job *j, struct rc_str text,
	const struct rc_publisher_ref *from, uint32_t *parts)
{
	char targets[RC_USER_TARGETS_MAX];
	struct rc_api_event e = {0};
	struct rc_user_message m = {
		.from = *from,
		.targets = {targets, 1u + j->target_len},
		.code = j->code,
		.session = j->session,
		.json = true,
	};
	uint64_t connections;

	*parts = 0;
	if (j->code) {
		m.event = (struct rc_str){j->reason, j->reason_len};
	} else {
		enum rc_api_fault fault =
			rc_api_event_read(text, j->validated, true, sv->config->max_message, &e);
		if (fault) {
			j->results[0] = (struct rc_api_result){fault, 0};
			return true;
		}
		m.event = e.event;
		m.data = e.data;
		m.timestamp_ms = e.timestamp_ms ? e.timestamp_ms : sv->wall_ms;
	}
	targets[0] = (char)j->target_len;
	memcpy(targets + 1, j->target, j->target_len);
	if (j->session)
		m.targets = (struct rc_str){j->target, j->target_len};
	else if (j->users)
		m.targets.len = read_users(rc_json_root(text).raw, targets);
	if (rc_users_send(sv, &m, &connections, parts) == RC_ROUTE_FULL)
		return false;
	/* One more, for an offset of 0 is none. */
	j->results[0] = (struct rc_api_result){0, 1 + connections};
	return true;
}

void rc_api_direct_answer(
	struct rc_serve *sv, struct rc_http_call *call, const struct rc_api_job *j)
{
	const char *headers =
		j->verdict == RC_API_REPLAYED ? "Idempotent-Replayed: true\r\n" : NULL;
	struct rc_textbuf b;

	if (!j->one.offset) {
		struct rc_api_words said = rc_api_words((enum rc_api_fault)j->one.epoch);
		rc_http_fail(sv, call, said.status, said.code, said.message);
		return;
	}
	b = rc_http_begin(sv, call, 64);
	rc_textbuf_add_text(&b, j->code ? "{\"closed\":" : "{\"connections\":");
	rc_textbuf_add_u64(&b, j->one.offset - 1);
	rc_textbuf_add_text(&b, "}\n");
	rc_http_end(sv, call, 200, headers, "application/json", &b);
}
