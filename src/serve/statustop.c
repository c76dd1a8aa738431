/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/channels?sort=rate, sort=subscribers: the channels with most of it. Owners know how much is published (hub/top.h), each
 * shard how many of its own clients hear a channel; both are asked for their largest, and what is told of one channel is put
 * together here. A channel that is among the largest of one shard and below those of another is counted without the latter.
 */
#include "hub/top.h"
#include "serve/status.h"
#include "serve/survey.h"

#include "base/clock.h"

#define LIMIT_MAX 100u
/* Of each kind that are gathered, of all shards together. */
#define HEARD_MAX 400u

struct row {
	struct rc_str name;
	struct rc_survey_top top;
};

static struct row row_of(const struct rc_survey_entry *e)
{
	struct rc_str contents = rc_survey_contents(e);
	struct row row;

	memcpy(&row.top, contents.ptr, sizeof(row.top));
	row.name.ptr = contents.ptr + sizeof(row.top);
	row.name.len = contents.len - sizeof(row.top);
	return row;
}

/* What is known of the channel so far, and this. */
static uint32_t add(struct row *rows, uint32_t count, const struct row *one)
{
	struct row *r = rows;

	while (r < rows + count && !rc_str_eq(r->name, one->name))
		r++;
	if (r == rows + count) {
		*r = *one;
		return count + 1;
	}
	r->top.channel.subscribers += one->top.channel.subscribers;
	return count;
}

static uint64_t number(const struct row *r, bool rate)
{
	return rate ? r->top.rate : r->top.channel.subscribers;
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
	uint64_t tenths = row->top.rate * 10 / RC_TOP_UNIT;

	rc_status_add_channel(sv, b, row->name, &row->top.channel);
	rc_textbuf_add_text(b, ",\"rate\":");
	rc_textbuf_add_u64(b, tenths / 10);
	rc_textbuf_add_char(b, '.');
	rc_textbuf_add_u64(b, tenths % 10);
	rc_textbuf_add_char(b, '}');
}

static void answer(
	struct rc_serve *sv, const struct rc_survey *survey, struct rc_http_call *call, bool rate)
{
	struct row rows[LIMIT_MAX + HEARD_MAX];
	uint32_t count = 0, limit = survey->set[0].limit;
	char iso[RC_ISO8601_LEN];
	size_t bound = 256;

	for (uint32_t i = 0; i < survey->sets; i++) {
		for (uint32_t k = 0; k < survey->set[i].count; k++) {
			struct row row = row_of(survey->set[i].at[k]);
			count = add(rows, count, &row);
		}
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
		uint32_t heard = 2 * limit * sv->hub->limits.shards;
		rc_survey_add(survey, RC_SURVEY_BUSIEST, limit, none, none);
		rc_survey_add(survey, RC_SURVEY_HEARD, RC_MIN(heard, HEARD_MAX), none, none);
	}
	return rc_survey_start(sv, survey, call, rate ? answer_by_rate : answer_by_subscribers);
}
