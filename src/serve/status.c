/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/history.h"
#include "serve/presence.h"
#include "serve/status.h"

#include <stdio.h>

#include "base/clock.h"
#include "serve/survey.h"

#define LIMIT_STANDARD 100u
#define LIMIT_MAX      1000u
#define TOP_STANDARD   20u
#define JSON           "application/json"

/* ---- what was asked ----------------------------------------------------------------------------- */

struct text {
	char bytes[RC_SURVEY_KEY_MAX];
	uint32_t len;
};

struct params {
	uint32_t limit;
	struct text prefix, after, after_channel, sort;
};

static struct rc_str str(const struct text *t)
{
	return (struct rc_str){t->bytes, t->len};
}

static bool take_text(struct rc_str value, struct text *out)
{
	int len = rc_http_unescape(value, true, out->bytes, sizeof(out->bytes));

	out->len = len < 0 ? 0 : (uint32_t)len;
	return len >= 0;
}

static bool take_number(struct rc_str value, uint32_t *out)
{
	uint32_t number = 0;

	if (value.len == 0 || value.len > 4)
		return false;
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return false;
		number = number * 10 + (uint32_t)(value.ptr[i] - '0');
	}
	*out = number;
	return number >= 1 && number <= LIMIT_MAX;
}

/* False: it was answered. Unknown parameters are passed over. */
static bool take_params(struct rc_serve *sv, struct rc_http_call *call, const char *number,
	uint32_t standard, struct params *p)
{
	struct rc_str rest = call->request->query, key, value;

	p->limit = standard;
	p->prefix.len = p->after.len = p->after_channel.len = p->sort.len = 0;
	while (rc_http_query_next(&rest, &key, &value)) {
		bool good = true;
		if (rc_str_eq(key, rc_str_of(number)))
			good = take_number(value, &p->limit);
		else if (rc_str_eq(key, RC_STR("prefix")))
			good = take_text(value, &p->prefix);
		else if (rc_str_eq(key, RC_STR("after")))
			good = take_text(value, &p->after);
		else if (rc_str_eq(key, RC_STR("afterChannel")))
			good = take_text(value, &p->after_channel);
		else if (rc_str_eq(key, RC_STR("sort")))
			good = take_text(value, &p->sort);
		if (good)
			continue;
		char text[96];
		(void)snprintf(text, sizeof(text),
			"the number '%s' is 1 to %u, texts are at most %u bytes", number, LIMIT_MAX,
			RC_SURVEY_KEY_MAX);
		rc_http_fail(sv, call, 400, "bad_request", text);
		return false;
	}
	return true;
}

/* ---- pieces of answers -------------------------------------------------------------------------- */

static void add_key(struct rc_textbuf *b, const char *key)
{
	rc_textbuf_add_string(b, rc_str_of(key));
	rc_textbuf_add_char(b, ':');
}

static void add_timestamp(struct rc_serve *sv, struct rc_textbuf *b)
{
	char iso[RC_ISO8601_LEN];

	rc_clock_iso8601(sv->wall_ms, iso);
	add_key(b, "timestamp");
	rc_textbuf_add_string(b, (struct rc_str){iso, sizeof(iso)});
}

/* Where the next page begins, if there is one. */
static void add_next(struct rc_textbuf *b, const char *key, const struct rc_survey_set *set)
{
	if (!set->more || set->count == 0)
		return;
	add_key(b, key);
	rc_textbuf_add_string(b, rc_survey_key(set->at[set->count - 1]));
	rc_textbuf_add_char(b, ',');
}

static size_t bound_of(const struct rc_survey *survey)
{
	size_t bound = 1024;

	for (uint32_t i = 0; i < survey->sets; i++) {
		for (uint32_t k = 0; k < survey->set[i].count; k++) {
			const struct rc_survey_entry *e = survey->set[i].at[k];
			bound += (size_t)e->key_len + e->len + 256;
		}
	}
	return bound;
}

void rc_status_add_channel(const struct rc_serve *sv, struct rc_textbuf *b, struct rc_str name,
	const struct rc_survey_channel *c)
{
	char position[RC_POSITION_MAX];

	rc_textbuf_add_char(b, '{');
	add_key(b, "name");
	rc_textbuf_add_string(b, name);
	rc_textbuf_add_char(b, ',');
	add_key(b, "namespace");
	rc_textbuf_add_string(b, rc_str_of(c->ns ? sv->config->ns[c->ns].name : "default"));
	rc_textbuf_add_char(b, ',');
	add_key(b, "subscribers");
	rc_textbuf_add_u64(b, c->subscribers);
	if (c->owned) {
		size_t len = rc_position_text(c->epoch, c->offset, position);
		rc_textbuf_add_char(b, ',');
		add_key(b, "offset");
		rc_textbuf_add_u64(b, c->offset);
		rc_textbuf_add_char(b, ',');
		add_key(b, "position");
		rc_textbuf_add_string(b, (struct rc_str){position, len});
		rc_textbuf_add_char(b, ',');
		add_key(b, "shard");
		rc_textbuf_add_u64(b, c->owner);
	}
}

static void add_channel(
	const struct rc_serve *sv, struct rc_textbuf *b, const struct rc_survey_entry *e)
{
	struct rc_survey_channel c;

	memcpy(&c, rc_survey_contents(e).ptr, sizeof(c));
	rc_status_add_channel(sv, b, rc_survey_key(e), &c);
	if (c.consumers) {
		rc_textbuf_add_text(b, ",\"consumers\":{\"count\":");
		rc_textbuf_add_u64(b, c.consumers);
		rc_textbuf_add_text(b, ",\"connected\":");
		rc_textbuf_add_u64(b, c.consumers_connected);
		rc_textbuf_add_text(b, ",\"unacknowledged\":");
		rc_textbuf_add_u64(b, c.unacknowledged);
		rc_textbuf_add_char(b, '}');
	}
	rc_textbuf_add_char(b, '}');
}

/* ---- channels ----------------------------------------------------------------------------------- */

static void answer_channels(
	struct rc_serve *sv, const struct rc_survey *survey, struct rc_http_call *call)
{
	const struct rc_survey_set *set = &survey->set[0];
	struct rc_textbuf b = rc_http_begin(sv, call, bound_of(survey));

	rc_textbuf_add_text(&b, "{\"channels\":[");
	for (uint32_t i = 0; i < set->count; i++) {
		if (i)
			rc_textbuf_add_char(&b, ',');
		add_channel(sv, &b, set->at[i]);
	}
	rc_textbuf_add_text(&b, "],");
	add_next(&b, "next", set);
	add_timestamp(sv, &b);
	rc_textbuf_add_char(&b, '}');
	rc_http_end(sv, call, 200, NULL, JSON, &b);
}

enum rc_http_result rc_status_channels(struct rc_serve *sv, struct rc_http_call *call)
{
	struct params p;

	if (!take_params(sv, call, "limit", LIMIT_STANDARD, &p))
		return RC_HTTP_DONE;
	if (p.sort.len)
		return rc_status_top(sv, call, str(&p.sort), p.limit);
	struct rc_survey *survey = rc_survey_new(sv);
	if (survey)
		rc_survey_add(survey, RC_SURVEY_CHANNELS, p.limit, str(&p.prefix), str(&p.after));
	return rc_survey_start(sv, survey, call, answer_channels);
}

static void answer_channel(
	struct rc_serve *sv, const struct rc_survey *survey, struct rc_http_call *call)
{
	const struct rc_survey_set *set = &survey->set[0];

	if (set->count == 0) {
		rc_http_fail(sv, call, 404, "unknown_channel",
			"nobody subscribes to this channel, and nothing was published to it lately");
		return;
	}
	struct rc_textbuf b = rc_http_begin(sv, call, bound_of(survey));
	add_channel(sv, &b, set->at[0]);
	rc_http_end(sv, call, 200, NULL, JSON, &b);
}

/* Takes the tail off, as it is written: a slash of the channel's own name is escaped. */
static bool take_tail(struct rc_str *rest, struct rc_str tail)
{
	if (rest->len <= tail.len ||
		memcmp(rest->ptr + rest->len - tail.len, tail.ptr, tail.len) != 0)
		return false;
	rest->len -= tail.len;
	return true;
}

enum rc_http_result rc_status_channel(struct rc_serve *sv, struct rc_http_call *call)
{
	struct text name;
	struct rc_str none = {NULL, 0};
	struct rc_str rest = call->rest;
	bool history = take_tail(&rest, RC_STR("/history"));
	bool presence = !history && take_tail(&rest, RC_STR("/presence"));

	if (!take_text(rest, &name) || rc_name_classify(str(&name)) != RC_NAME_CHANNEL) {
		rc_http_fail(sv, call, 400, "bad_channel", "this is not the name of a channel");
		return RC_HTTP_DONE;
	}
	if (history)
		return rc_history_http(sv, call, str(&name));
	if (presence)
		return rc_presence_http(sv, call, str(&name));
	struct rc_survey *survey = rc_survey_new(sv);
	if (survey)
		rc_survey_add(survey, RC_SURVEY_CHANNEL, 1, str(&name), none);
	return rc_survey_start(sv, survey, call, answer_channel);
}

/* ---- the gateway -------------------------------------------------------------------------------- */

static void answer_gateway(
	struct rc_serve *sv, const struct rc_survey *survey, struct rc_http_call *call)
{
	const struct rc_survey_set *clients = &survey->set[0], *subscriptions = &survey->set[1],
				   *backends = &survey->set[2], *webhooks = &survey->set[3];
	struct rc_textbuf b = rc_http_begin(sv, call, bound_of(survey));

	rc_textbuf_add_text(&b, "{\"status\":\"healthy\",");
	add_key(&b, "connectedClients");
	rc_textbuf_add_u64(&b, sv->port.sum(sv->port.ctx, RC_C_clients));
	rc_textbuf_add_text(&b, ",\"subscriptions\":{");
	for (uint32_t i = 0; i < subscriptions->count; i++) {
		struct rc_survey_channel c;
		memcpy(&c, rc_survey_contents(subscriptions->at[i]).ptr, sizeof(c));
		if (i)
			rc_textbuf_add_char(&b, ',');
		rc_textbuf_add_string(&b, rc_survey_key(subscriptions->at[i]));
		rc_textbuf_add_char(&b, ':');
		rc_textbuf_add_u64(&b, c.subscribers);
	}
	rc_textbuf_add_text(&b, "},");
	add_next(&b, "subscriptionsNext", subscriptions);
	rc_textbuf_add_text(&b, "\"clientDetails\":{");
	for (uint32_t i = 0; i < clients->count; i++) {
		if (i)
			rc_textbuf_add_char(&b, ',');
		rc_textbuf_add(&b, rc_survey_contents(clients->at[i]));
	}
	rc_textbuf_add_text(&b, "},");
	add_next(&b, "clientDetailsNext", clients);
	rc_textbuf_add_text(&b, "\"backends\":{");
	for (uint32_t i = 0; i < backends->count; i++) {
		if (i)
			rc_textbuf_add_char(&b, ',');
		rc_textbuf_add_string(&b, rc_survey_key(backends->at[i]));
		rc_textbuf_add_char(&b, ':');
		rc_textbuf_add(&b, rc_survey_contents(backends->at[i]));
	}
	rc_textbuf_add_text(&b, "},");
	if (webhooks->count) {
		add_key(&b, "webhooks");
		rc_textbuf_add(&b, rc_survey_contents(webhooks->at[0]));
		rc_textbuf_add_char(&b, ',');
	}
	add_key(&b, "shards");
	rc_textbuf_add_u64(&b, sv->hub->limits.shards);
	rc_textbuf_add_text(&b, ",\"version\":\"" RC_VERSION "\",");
	add_key(&b, "uptime");
	rc_textbuf_add_u64(&b, (sv->now_ns - sv->info->start_ns) / 1000000000u);
	rc_textbuf_add_char(&b, ',');
	add_timestamp(sv, &b);
	rc_textbuf_add_char(&b, '}');
	rc_http_end(sv, call, 200, NULL, JSON, &b);
}

enum rc_http_result rc_status_gateway(struct rc_serve *sv, struct rc_http_call *call)
{
	struct params p;

	if (!take_params(sv, call, "limit", LIMIT_STANDARD, &p))
		return RC_HTTP_DONE;
	struct rc_survey *survey = rc_survey_new(sv);
	if (survey) {
		struct rc_str all = {NULL, 0};
		rc_survey_add(survey, RC_SURVEY_CLIENTS, p.limit, all, str(&p.after));
		rc_survey_add(survey, RC_SURVEY_SUBSCRIPTIONS, p.limit, all, str(&p.after_channel));
		rc_survey_add(survey, RC_SURVEY_BACKENDS, p.limit, all, all);
		rc_survey_add(survey, RC_SURVEY_WEBHOOKS, 1, all, all);
	}
	return rc_survey_start(sv, survey, call, answer_gateway);
}

/* ---- who is behind ------------------------------------------------------------------------------ */

static void answer_laggards(
	struct rc_serve *sv, const struct rc_survey *survey, struct rc_http_call *call)
{
	const struct rc_survey_set *set = &survey->set[0];
	struct rc_textbuf b = rc_http_begin(sv, call, bound_of(survey));

	rc_textbuf_add_text(&b, "{\"laggards\":[");
	for (uint32_t i = 0; i < set->count; i++) {
		if (i)
			rc_textbuf_add_char(&b, ',');
		rc_textbuf_add(&b, rc_survey_contents(set->at[i]));
	}
	rc_textbuf_add_text(&b, set->more ? "],\"more\":true," : "],\"more\":false,");
	add_timestamp(sv, &b);
	rc_textbuf_add_char(&b, '}');
	rc_http_end(sv, call, 200, NULL, JSON, &b);
}

enum rc_http_result rc_status_laggards(struct rc_serve *sv, struct rc_http_call *call)
{
	struct rc_str none = {NULL, 0};
	struct params p;

	if (!take_params(sv, call, "top", TOP_STANDARD, &p))
		return RC_HTTP_DONE;
	struct rc_survey *survey = rc_survey_new(sv);
	if (survey)
		rc_survey_add(survey, RC_SURVEY_LAGGARDS, p.limit, none, none);
	return rc_survey_start(sv, survey, call, answer_laggards);
}
