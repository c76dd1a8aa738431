/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/channels?sort=rate, sort=subscribers: the channels with most of it. Owners know how much is published (hub/top.h), each
 * shard how many of its own clients hear a channel; both are asked for their largest, and then all shards for what they know of each of
 * these. So the figures are whole; a channel that is below the largest everywhere is not among them, though its sum might be.
 */
#include "hub/top.h"
#include "serve/status.h"
#include "serve/survey.h"

#include "base/clock.h"

#define LIMIT_MAX 100u
#define ROWS_MAX  (2 * LIMIT_MAX)

struct row {
	struct rc_str name;
	struct rc_survey_channel channel;
};

static uint64_t number(const struct row *r, bool rate)
{
	return rate ? r->channel.rate : r->channel.subscribers;
}

static bool before(const struct row *a, const struct row *b, bool rate)
{
	uint64_t x = number(a, rate), y = number(b, rate);

	return x != y ? x > y : rc_survey_compare(a->name, b->name) < 0;
}

/* The first `limit` of them come to the front. qsort would take memory for so many. */
static void order(struct row *rows, uint32_t count, uint32_t limit, bool rate)
{
	for (uint32_t i = 0; i < limit; i++) {
		uint32_t best = i;
		for (uint32_t k = i + 1; k < count; k++) {
			if (before(&rows[k], &rows[best], rate))
				best = k;
		}
		struct row row = rows[i];
		rows[i] = rows[best];
		rows[best] = row;
	}
}

static void add_row(const struct rc_serve *sv, struct rc_textbuf *b, const struct row *row)
{
	uint64_t tenths = row->channel.rate * 10 / RC_TOP_UNIT;

	rc_status_add_channel(sv, b, row->name, &row->channel);
	rc_textbuf_add_text(b, ",\"rate\":");
	rc_textbuf_add_u64(b, tenths / 10);
	rc_textbuf_add_char(b, '.');
	rc_textbuf_add_u64(b, tenths % 10);
	rc_textbuf_add_char(b, '}');
}

static void answer(
	struct rc_serve *sv, const struct rc_survey *survey, struct rc_http_call *call, bool rate)
{
	const struct rc_survey_set *named = &survey->set[survey->sets - 1];
	uint32_t count = named->count, limit = named->size / 2;
	struct row rows[ROWS_MAX];
	char iso[RC_ISO8601_LEN];
	size_t bound = 256;

	RC_ASSERT(count <= ROWS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		rows[i].name = rc_survey_key(named->at[i]);
		memcpy(&rows[i].channel, rc_survey_contents(named->at[i]).ptr,
			sizeof(rows[i].channel));
	}
	limit = RC_MIN(count, limit);
	order(rows, count, limit, rate);
	for (uint32_t i = 0; i < limit; i++)
		bound += rows[i].name.len + 384;
	struct rc_textbuf b = rc_http_begin(sv, call, bound);
	rc_textbuf_add_text(&b, "{\"channels\":[");
	for (uint32_t i = 0; i < limit; i++) {
		if (i)
			rc_textbuf_add_char(&b, ',');
		add_row(sv, &b, &rows[i]);
	}
	rc_clock_iso8601(sv->wall_ms, iso);
	rc_textbuf_add_text(&b, "],\"timestamp\":");
	rc_textbuf_add_string(&b, (struct rc_str){iso, sizeof(iso)});
	rc_textbuf_add_char(&b, '}');
	rc_http_end(sv, call, 200, NULL, "application/json", &b);
}

static void answer_by_rate(
	struct rc_serve *sv, const struct rc_survey *survey, struct rc_http_call *call)
{
	answer(sv, survey, call, true);
}

static void answer_by_subscribers(
	struct rc_serve *sv, const struct rc_survey *survey, struct rc_http_call *call)
{
	answer(sv, survey, call, false);
}

enum rc_http_result rc_status_top(
	struct rc_serve *sv, struct rc_http_call *call, struct rc_str sort, uint32_t limit)
{
	bool rate = rc_str_eq(sort, RC_STR("rate"));
	struct rc_str none = {NULL, 0};

	if (!rate && !rc_str_eq(sort, RC_STR("subscribers"))) {
		rc_http_fail(sv, call, 400, "bad_request", "sort is rate or subscribers");
		return RC_HTTP_DONE;
	}
	limit = RC_MIN(limit, LIMIT_MAX);
	struct rc_survey *survey = rc_survey_new(sv);
	if (survey) {
		if (rate)
			rc_survey_add(survey, RC_SURVEY_BUSIEST, limit, none, none);
		/* Behind the busiest, those that nothing is published to. Of the most heard twice as many: what is less on each shard may be more in all. */
		rc_survey_add(survey, RC_SURVEY_HEARD, rate ? limit : 2 * limit, none, none);
		rc_survey_add(survey, RC_SURVEY_NAMED, 2 * limit, none, none);
	}
	return rc_survey_start(sv, survey, call, rate ? answer_by_rate : answer_by_subscribers);
}
