/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/ssewish.h"

#include "auth/rules.h"
#include "proto/message.h"
#include "serve/http.h"
#include "serve/wish.h"

static int compare(const unsigned char *a, const unsigned char *b)
{
	int order = memcmp(a + 1, b + 1, RC_MIN(a[0], b[0]));

	return order ? order : (int)a[0] - (int)b[0];
}

/* In its place among the others, unless it is there. Requests have few names, mostly in order. */
static enum rc_sse_refusal add_name(struct rc_sse_wish *w, struct rc_str name)
{
	unsigned char entry[1 + RC_CHANNEL_MAX];
	uint32_t at = 0, len = 1 + (uint32_t)name.len;

	if (rc_name_classify(name) == RC_NAME_BAD)
		return RC_SSE_BAD_CHANNEL;
	if (w->len + len > RC_SSE_NAMES_MAX)
		return RC_SSE_TOO_MANY;
	entry[0] = (unsigned char)name.len;
	memcpy(entry + 1, name.ptr, name.len);
	while (at < w->len) {
		int order = compare(entry, w->names + at);
		if (order == 0)
			return RC_SSE_NOTHING;
		if (order < 0)
			break;
		at += 1u + w->names[at];
	}
	memmove(w->names + at + len, w->names + at, w->len - at);
	memcpy(w->names + at, entry, len);
	w->len += len;
	w->count++;
	return RC_SSE_NOTHING;
}

static enum rc_sse_refusal read_query(struct rc_sse_wish *w, struct rc_str query)
{
	struct rc_str rest = query, key, value;
	char buf[2048];
	enum rc_msg_word word;
	bool since = false;

	while (rc_http_query_next(&rest, &key, &value))
		w->back |= rc_str_eq(key, RC_STR("lastEventId")) && value.len;
	rest = query;

	while (rc_http_query_next(&rest, &key, &value)) {
		/* Nothing comes back over a stream. */
		if (rc_str_eq(key, RC_STR("ack")))
			return RC_SSE_BAD_REQUEST;
		bool channel = rc_msg_word_named(key, &word);
		bool from =
			rc_str_eq(key, RC_STR("since")) || rc_str_eq(key, RC_STR("lastEventId"));
		bool format = rc_str_eq(key, RC_STR("format"));
		if (rc_wish_named(key))
			return RC_SSE_BAD_REQUEST;
		if (!channel && !from && !format)
			continue;
		int len = rc_http_unescape(value, true, buf, sizeof(buf));
		if (len < 0)
			return channel ? RC_SSE_BAD_CHANNEL : RC_SSE_BAD_REQUEST;
		struct rc_str text = {buf, (size_t)len};
		enum rc_sse_refusal why = channel ? add_name(w, text) : RC_SSE_NOTHING;
		if (why)
			return why;
		if (format) {
			w->bare = rc_str_eq(text, RC_STR("data"));
			if (!w->bare && !rc_str_eq(text, RC_STR("event")))
				return RC_SSE_BAD_REQUEST;
		}
		if (from && len) {
			if (since || rc_msg_since_text(text, &w->since) < 0)
				return RC_SSE_BAD_REQUEST;
			since = true;
		}
	}
	return RC_SSE_NOTHING;
}

static bool takes_streams(const struct rc_http_request *r)
{
	return !rc_http_header_get(r, "accept").ptr || rc_http_accepts(r, "text/event-stream") ||
	       rc_http_accepts(r, "text/*") || rc_http_accepts(r, "*/*");
}

/* What a token subscribes its bearer to. */
static enum rc_sse_refusal add_claims(
	const struct rc_serve *sv, struct rc_sse_wish *w, const struct rc_claims *claims)
{
	struct rc_str list =
		claims ? rc_claims_list(claims, RC_CLAIM_ON_CONNECT) : (struct rc_str){NULL, 0};
	struct rc_str name;
	enum rc_sse_refusal why = RC_SSE_NOTHING;

	while (why == RC_SSE_NOTHING && rc_claims_next(&list, &name)) {
		if (rc_rules_allow(sv->config, claims, RC_MAY_SUBSCRIBE, name))
			why = add_name(w, name);
	}
	return why;
}

/* An EventSource sends the last id by itself, also where the past is not for it: it goes on from here then, and is told of the gap. */
static enum rc_sse_refusal check_names(
	const struct rc_serve *sv, struct rc_sse_wish *w, const struct rc_claims *claims)
{
	bool past = w->since.kind != RC_SINCE_NONE;

	for (uint32_t at = 0; at < w->len; at += 1u + w->names[at]) {
		struct rc_str name = {(const char *)w->names + at + 1, w->names[at]};
		if (!rc_rules_allow(sv->config, claims, RC_MAY_SUBSCRIBE, name))
			return RC_SSE_FORBIDDEN;
		if (!past || rc_rules_allow(sv->config, claims, RC_MAY_HISTORY, name))
			continue;
		if (!w->back)
			return RC_SSE_FORBIDDEN;
		w->blind = true;
	}
	if (w->blind)
		memset(&w->since, 0, sizeof(w->since));
	return w->count ? RC_SSE_NOTHING : RC_SSE_BAD_REQUEST;
}

enum rc_sse_refusal rc_sse_wish_read(const struct rc_serve *sv, struct rc_sse_wish *w,
	const struct rc_http_request *r, const struct rc_claims *claims)
{
	struct rc_str last = rc_http_header_get(r, "last-event-id");
	enum rc_sse_refusal why =
		takes_streams(r) ? read_query(w, r->query) : RC_SSE_NOT_ACCEPTABLE;

	if (last.len) {
		/* What an EventSource sends by itself counts for more than what its address said at the beginning. */
		w->back = true;
		memset(&w->since, 0, sizeof(w->since));
		if (rc_msg_since_text(last, &w->since) < 0 && why == RC_SSE_NOTHING)
			why = RC_SSE_BAD_REQUEST;
	}
	if (why == RC_SSE_NOTHING)
		why = add_claims(sv, w, claims);
	if (why == RC_SSE_NOTHING)
		why = check_names(sv, w, claims);
	if (why == RC_SSE_NOTHING && w->since.kind == RC_SINCE_POSITION &&
		(w->count > 1 || memchr(w->names + 1, '*', w->names[0])))
		why = RC_SSE_BAD_REQUEST;
	if (why == RC_SSE_NOTHING && w->count > sv->config->max_channels_per_client)
		why = RC_SSE_TOO_MANY;
	/* One who was here before and whose request can't be served any more is told to stop asking. */
	return why && w->back ? RC_SSE_STOP : why;
}
