/* SPDX-License-Identifier: Apache-2.0
 *
 * The model of `ringcast top`: spans of time, rates, quantiles, rows, lists, and files that are not what they should be.
 */
#include "topfile.h"

static const struct entry usual[] = {{"clients", RC_KIND_GAUGE}, {"deliveries", RC_KIND_COUNTER},
	{"events_published", RC_KIND_COUNTER}, {"busy_ns", RC_KIND_COUNTER},
	{"clients_behind", RC_KIND_GAUGE}, {"log_bytes", RC_KIND_GAUGE},
	{"close_client", RC_KIND_COUNTER}, {"close_too_slow", RC_KIND_COUNTER},
	{"accept_refused_rate", RC_KIND_COUNTER}, {"gaps_sent", RC_KIND_COUNTER},
	{"publish_to_flush_ns", RC_KIND_HIST}, {"turn_ns", RC_KIND_HIST}};
#define USUAL usual, RC_ARRAY_LEN(usual)

static void before_the_second_snapshot_nothing_has_a_rate(void **state)
{
	struct rc_top_model m;
	struct rc_top_shard shards[2];
	(void)state;
	model_of(&m, USUAL, 2);
	struct rc_top_snap *s = next_snap(&m, 0);
	s->value[at(&m, "deliveries")] = 1000;
	s->value[at(&m, "clients")] = (uint64_t)-2;
	rc_top_model_step(&m);
	assert_true(isnan(rc_top_rate_of(&m, "deliveries")));
	assert_true(rc_top_seconds(&m, RC_TOP_MINUTE) == 0);
	int64_t clients;
	assert_true(rc_top_value(&m, "clients", &clients));
	assert_int_equal(clients, -2);
	rc_top_shards(&m, RC_TOP_BY_SHARD, shards);
	assert_true(isnan(shards[0].load) && isnan(shards[1].deliveries));
	assert_int_equal(rc_top_points(&m), 0);
	rc_top_model_deinit(&m);
	rc_top_model_deinit(&m);
}

static void rates_are_what_grew_by_the_time_it_took(void **state)
{
	struct rc_top_model m;
	(void)state;
	model_of(&m, USUAL, 1);
	next_snap(&m, 0)->value[at(&m, "deliveries")] = 1000;
	rc_top_model_step(&m);
	next_snap(&m, SECOND / 2)->value[at(&m, "deliveries")] = 1600;
	rc_top_model_step(&m);
	assert_true(rc_top_rate_of(&m, "deliveries") == 1200);
	/* No rate has what goes up and down, or is not there. */
	assert_true(isnan(rc_top_rate_of(&m, "clients")));
	assert_true(isnan(rc_top_rate_of(&m, "no_such")));
	rc_top_model_deinit(&m);
}

static void what_shrinks_against_its_nature_has_grown_by_nothing(void **state)
{
	struct rc_top_model m;
	struct rc_top_shard row;
	(void)state;
	model_of(&m, USUAL, 1);
	struct rc_top_snap *s = next_snap(&m, 0);
	s->value[at(&m, "deliveries")] = UINT64_MAX;
	s->shard[RC_TOP_DELIVERIES] = UINT64_MAX;
	hist_of(&m, s, "publish_to_flush_ns")[5] = 10;
	rc_top_model_step(&m);
	s = next_snap(&m, SECOND);
	s->value[at(&m, "deliveries")] = 3;
	s->shard[RC_TOP_DELIVERIES] = 3;
	hist_of(&m, s, "publish_to_flush_ns")[5] = 1;
	rc_top_model_step(&m);
	assert_true(rc_top_rate_of(&m, "deliveries") == 0);
	assert_int_equal(rc_top_quantiles(&m, RC_TOP_INTERVAL, m.publish_hist).count, 0);
	rc_top_shards(&m, RC_TOP_BY_SHARD, &row);
	assert_true(row.deliveries == 0);
	/* Two snapshots at one moment: nothing is divided by no time. */
	next_snap(&m, 0);
	rc_top_model_step(&m);
	assert_true(isnan(rc_top_rate_of(&m, "deliveries")));
	rc_top_model_deinit(&m);
}

static void quantiles_are_of_their_span_alone(void **state)
{
	struct rc_top_model m;
	(void)state;
	model_of(&m, USUAL, 1);
	uint32_t slow = rc_hist_bucket(1000000), fast = rc_hist_bucket(16);
	hist_of(&m, next_snap(&m, 0), "publish_to_flush_ns")[slow] = 500;
	rc_top_model_step(&m);
	hist_of(&m, next_snap(&m, SECOND), "publish_to_flush_ns")[slow] += 100;
	rc_top_model_step(&m);
	hist_of(&m, next_snap(&m, SECOND), "publish_to_flush_ns")[fast] += 100;
	rc_top_model_step(&m);
	struct rc_top_quantiles q = rc_top_quantiles(&m, RC_TOP_INTERVAL, m.publish_hist);
	assert_int_equal(q.count, 100);
	assert_int_equal(q.max, 16);
	q = rc_top_quantiles(&m, RC_TOP_MINUTE, m.publish_hist);
	assert_int_equal(q.count, 200);
	assert_int_equal(q.p50, 16);
	assert_int_equal(q.p99, rc_hist_high(slow));
	assert_int_equal(rc_top_quantiles(&m, RC_TOP_MINUTE, RC_NONE).count, 0);
	rc_top_model_deinit(&m);
}

static void the_minute_is_about_one_whatever_the_interval(void **state)
{
	static const uint64_t intervals[] = {SECOND / 10, SECOND, 7 * SECOND, 60 * SECOND};
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(intervals); i++) {
		struct rc_top_model m;
		double interval = (double)intervals[i] / 1e9, passed = 0;
		model_of(&m, USUAL, 1);
		next_snap(&m, 0);
		rc_top_model_step(&m);
		for (uint32_t n = 0; n < 2000; n++) {
			next_snap(&m, intervals[i])->value[at(&m, "gaps_sent")]++;
			rc_top_model_step(&m);
			passed += interval;
			double minute = rc_top_seconds(&m, RC_TOP_MINUTE);
			uint64_t grown = rc_top_grown(&m, RC_TOP_MINUTE, at(&m, "gaps_sent"));
			if (minute > 61 || minute < RC_MIN(passed - 0.001, 46) ||
				fabs((double)grown * interval - minute) > 0.001)
				fail_msg("interval %g after %g s: a minute of %g s, grown %llu",
					interval, passed, minute, (unsigned long long)grown);
		}
		rc_top_model_deinit(&m);
	}
}

static void after_a_long_stop_the_interval_is_the_minute(void **state)
{
	struct rc_top_model m;
	(void)state;
	model_of(&m, USUAL, 1);
	for (uint32_t n = 0; n < 100; n++) {
		next_snap(&m, SECOND);
		rc_top_model_step(&m);
	}
	next_snap(&m, 3600 * SECOND)->value[at(&m, "deliveries")] = 36000;
	rc_top_model_step(&m);
	assert_true(rc_top_seconds(&m, RC_TOP_MINUTE) == 3600);
	assert_true(rc_top_rate_of(&m, "deliveries") == 10);
	rc_top_model_deinit(&m);
}

static void the_course_has_a_point_for_each_second(void **state)
{
	struct rc_top_model m;
	(void)state;
	model_of(&m, USUAL, 1);
	next_snap(&m, 0);
	rc_top_model_step(&m);
	for (uint32_t n = 1; n <= 10 * 300; n++) {
		struct rc_top_snap *s = next_snap(&m, SECOND / 10);
		s->value[at(&m, "deliveries")] += 7;
		/* Once a second something is slow, and in the last second nothing is published. */
		if (n <= 10 * 299)
			hist_of(&m, s,
				"publish_to_flush_ns")[rc_hist_bucket(n % 10 == 5 ? 8000 : 8)]++;
		rc_top_model_step(&m);
	}
	assert_int_equal(rc_top_points(&m), RC_TOP_POINTS);
	const struct rc_top_point *p = rc_top_point(&m, 7);
	assert_true(fabs(p->seconds - 1) < 0.01 && fabs(p->deliveries - 70) < 0.01);
	assert_true(p->p99_ns >= 8000 && p->p99_ns < 8600);
	assert_true(isnan(rc_top_point(&m, RC_TOP_POINTS - 1)->p99_ns));
	rc_top_model_deinit(&m);
}

static void shards_sort_by_each_column_and_the_unknown_last(void **state)
{
	struct rc_top_model m;
	struct rc_top_shard rows[3];
	(void)state;
	model_of(&m, USUAL, 3);
	next_snap(&m, 0);
	rc_top_model_step(&m);
	struct rc_top_snap *s = next_snap(&m, 2 * SECOND);
	for (uint32_t i = 0; i < 3; i++) {
		uint64_t *row = &s->shard[(size_t)i * RC_TOP_COLUMN_COUNT];
		row[RC_TOP_BUSY_NS] = SECOND * i;
		row[RC_TOP_CLIENTS] = i == 1 ? (uint64_t)-1 : 5;
		row[RC_TOP_DELIVERIES] = 100 - i;
		row[RC_TOP_LOG_BYTES] = i * 1000;
	}
	rc_top_model_step(&m);
	rc_top_shards(&m, RC_TOP_BY_LOAD, rows);
	assert_int_equal(rows[0].shard, 2);
	assert_true(rows[0].load == 1.0 && rows[1].load == 0.5 && rows[2].load == 0);
	rc_top_shards(&m, RC_TOP_BY_CLIENTS, rows);
	assert_int_equal(rows[0].shard, 0);
	assert_int_equal(rows[1].shard, 2);
	assert_true(rows[2].clients == -1);
	rc_top_shards(&m, RC_TOP_BY_DELIVERIES, rows);
	assert_int_equal(rows[0].shard, 0);
	assert_true(rows[0].deliveries == 50);
	rc_top_shards(&m, RC_TOP_BY_LOG, rows);
	assert_int_equal(rows[0].shard, 2);
	rc_top_model_deinit(&m);
}

static void a_file_of_another_version_shows_what_it_has(void **state)
{
	static const struct entry other[] = {
		{"things_from_the_future", RC_KIND_COUNTER}, {"clients", RC_KIND_GAUGE}};
	struct rc_top_model m;
	struct rc_top_shard row;
	struct rc_top_row list[4];
	(void)state;
	model_of(&m, other, RC_ARRAY_LEN(other), 1);
	next_snap(&m, 0);
	rc_top_model_step(&m);
	next_snap(&m, SECOND)->value[0] = 12;
	rc_top_model_step(&m);
	assert_true(rc_top_rate(&m, 0) == 12);
	int64_t users;
	assert_false(rc_top_value(&m, "users", &users));
	rc_top_shards(&m, RC_TOP_BY_LOAD, &row);
	assert_true(isnan(row.load) && isnan(row.deliveries) && row.clients == 0);
	assert_int_equal(rc_top_quantiles(&m, RC_TOP_MINUTE, m.publish_hist).count, 0);
	assert_int_equal(rc_top_closes(&m, list, 4) + rc_top_troubles(&m, list, 4), 0);
	rc_top_model_deinit(&m);
}

static void entries_of_the_wrong_kind_are_no_figures(void **state)
{
	struct entry many[100] = {{"deliveries", RC_KIND_HIST}, {"turn_ns", RC_KIND_COUNTER},
		{"clients", RC_KIND_HIST}, {"busy_ns", RC_KIND_GAUGE}};
	struct rc_top_model m;
	struct rc_top_shard row;
	(void)state;
	for (uint32_t i = 4; i < 99; i++)
		many[i] = (struct entry){"stranger", RC_KIND_HIST};
	many[99] = (struct entry){"publish_to_flush_ns", RC_KIND_HIST};
	model_of(&m, many, 100, 1);
	/* As many as are read, and those that are wanted among them. */
	assert_int_equal(m.gateway.hist_count, RC_TOP_HISTS_MAX);
	assert_int_equal(m.publish_hist, 0);
	assert_int_equal(m.deliveries, RC_NONE);
	next_snap(&m, 0);
	rc_top_model_step(&m);
	next_snap(&m, SECOND);
	rc_top_model_step(&m);
	assert_true(isnan(rc_top_rate_of(&m, "deliveries")));
	rc_top_shards(&m, RC_TOP_BY_LOAD, &row);
	assert_true(isnan(row.clients));
	rc_top_model_deinit(&m);
}

static void trouble_is_what_moved_and_then_what_ever_did(void **state)
{
	struct rc_top_model m;
	struct rc_top_row rows[4] = {0};
	(void)state;
	model_of(&m, USUAL, 1);
	struct rc_top_snap *s = next_snap(&m, 0);
	/* Before anybody looked. */
	s->value[at(&m, "accept_refused_rate")] = 1000;
	rc_top_model_step(&m);
	assert_int_equal(rc_top_troubles(&m, rows, 4), 1);
	assert_true(rows[0].total == 1000 && rows[0].minute == 0 && isnan(rows[0].rate));
	s = next_snap(&m, SECOND);
	s->value[at(&m, "gaps_sent")] += 5;
	s->value[at(&m, "close_too_slow")] += 5;
	rc_top_model_step(&m);
	assert_int_equal(rc_top_troubles(&m, rows, 4), 2);
	assert_int_equal(rows[0].entry, at(&m, "gaps_sent"));
	assert_true(rows[0].rate == 5 && rows[0].minute == 5);
	assert_int_equal(rows[1].entry, at(&m, "accept_refused_rate"));
	next_snap(&m, SECOND)->value[at(&m, "accept_refused_rate")]++;
	rc_top_model_step(&m);
	/* What moved just now stands first, though less. */
	assert_int_equal(rc_top_troubles(&m, rows, 4), 2);
	assert_int_equal(rows[0].entry, at(&m, "accept_refused_rate"));
	assert_int_equal(rows[1].entry, at(&m, "gaps_sent"));
	assert_true(rows[1].rate == 0 && rows[1].minute == 5);
	assert_int_equal(rc_top_troubles(&m, rows, 1), 1);
	assert_int_equal(rows[0].entry, at(&m, "accept_refused_rate"));
	assert_int_equal(rc_top_troubles(&m, rows, 0), 0);
	for (uint32_t n = 0; n < 70; n++) {
		next_snap(&m, SECOND);
		rc_top_model_step(&m);
	}
	/* It stays, with nothing in the minute; the most frequent first. */
	assert_int_equal(rc_top_troubles(&m, rows, 4), 2);
	assert_int_equal(rows[0].entry, at(&m, "accept_refused_rate"));
	assert_true(rows[0].minute == 0 && rows[0].total == 1001);
	assert_true(rows[1].minute == 0 && rows[1].total == 5);
	rc_top_model_deinit(&m);
}

static void the_verdict_knows_what_moved_and_who_is_saturated(void **state)
{
	static const struct entry entries[] = {{"busy_ns", RC_KIND_COUNTER},
		{"arena_used_bytes", RC_KIND_GAUGE}, {"arena_size_bytes", RC_KIND_GAUGE},
		{"gaps_sent", RC_KIND_COUNTER}, {"lapped", RC_KIND_COUNTER},
		{"deliveries", RC_KIND_COUNTER}};
	struct rc_top_model m;
	(void)state;
	model_of(&m, entries, RC_ARRAY_LEN(entries), 3);
	struct rc_top_snap *s = next_snap(&m, 0);
	s->value[at(&m, "gaps_sent")] = 7;
	for (uint32_t i = 0; i < 3; i++)
		s->shard[(size_t)i * RC_TOP_COLUMN_COUNT + RC_TOP_ARENA_SIZE] = 1000;
	rc_top_model_step(&m);
	struct rc_top_verdict v = rc_top_verdict(&m);
	assert_true(v.counted == 2 && v.ever == 1 && v.lately == 0);
	assert_true(isnan(v.load) && !rc_top_saturated(v.load));
	assert_true(v.memory == 0 && !rc_top_saturated(v.memory));
	/* One of three alone: what is nearly full is not made up for by who has room. */
	s = next_snap(&m, SECOND);
	s->value[at(&m, "lapped")] = 1;
	s->shard[(size_t)1 * RC_TOP_COLUMN_COUNT + RC_TOP_BUSY_NS] = 9 * SECOND / 10;
	s->shard[(size_t)2 * RC_TOP_COLUMN_COUNT + RC_TOP_ARENA_USED] = 860;
	rc_top_model_step(&m);
	v = rc_top_verdict(&m);
	assert_true(v.counted == 2 && v.ever == 2 && v.lately == 1);
	assert_true(v.busiest == 1 && fabs(v.load - 0.9) < 1e-9 && rc_top_saturated(v.load));
	assert_true(v.fullest == 2 && fabs(v.memory - 0.86) < 1e-9 && rc_top_saturated(v.memory));
	s = next_snap(&m, SECOND);
	s->shard[(size_t)1 * RC_TOP_COLUMN_COUNT + RC_TOP_BUSY_NS] += 8 * SECOND / 10;
	s->shard[(size_t)2 * RC_TOP_COLUMN_COUNT + RC_TOP_ARENA_USED] = 840;
	rc_top_model_step(&m);
	v = rc_top_verdict(&m);
	assert_false(rc_top_saturated(v.load) || rc_top_saturated(v.memory));
	rc_top_model_deinit(&m);
	/* A file that tells of none of it. */
	model_of(&m, USUAL, 1);
	next_snap(&m, 0);
	rc_top_model_step(&m);
	assert_true(isnan(rc_top_verdict(&m).memory));
	rc_top_model_deinit(&m);
}

static void events_are_those_that_somebody_published(void **state)
{
	static const struct entry entries[] = {
		{"events_published", RC_KIND_COUNTER}, {"sys_events", RC_KIND_COUNTER}};
	struct rc_top_model m;
	(void)state;
	for (uint32_t count = 1; count <= 2; count++) {
		model_of(&m, entries, count, 1);
		next_snap(&m, 0);
		rc_top_model_step(&m);
		assert_true(isnan(rc_top_rate_of_events(&m)));
		struct rc_top_snap *s = next_snap(&m, SECOND);
		s->value[0] = 10;
		if (count == 2)
			s->value[1] = 3;
		rc_top_model_step(&m);
		/* An older gateway does not tell its own apart. */
		assert_true(rc_top_rate_of_events(&m) == (count == 2 ? 7 : 10));
		if (count == 2) {
			/* Read at another moment there may be more of them. */
			next_snap(&m, SECOND)->value[1] += 2;
			rc_top_model_step(&m);
			assert_true(rc_top_rate_of_events(&m) == 0);
		}
		rc_top_model_deinit(&m);
	}
}

static void trouble_has_its_words(void **state)
{
	static const char *const is[] = {"accept_refused_capacity", "http_rate_limited",
		"tls_failed_plain", "log_dropped", "gaps_sent", "dead_letters", "auth_failures",
		"cq_overflows", "recv_starved", "client_events_lost", "lag_disconnects"};
	static const char *const is_not[] = {"deliveries", "close_io_error", "close_rate",
		"recoveries", "clients_closed", "tls_full", "http_404"};
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(is); i++)
		if (!rc_top_is_trouble(is[i]))
			fail_msg("%s", is[i]);
	for (size_t i = 0; i < RC_ARRAY_LEN(is_not); i++)
		if (rc_top_is_trouble(is_not[i]))
			fail_msg("%s", is_not[i]);
	/* Losses that no word of their names tells; all are in the list of the gateway. */
	static const char *const losses[] = {"acked_trimmed", "lapped", "accept_emfile",
		"presence_full", "commands_timeout", "commands_no_backend", "commands_busy",
		"backends_stalled", "webhook_timeouts", "webhook_cut", "webhook_answers_bad",
		"webhook_answers_error", "send_errors", "recv_starved", "tls_failed_plain",
		"tls_failed_version", "tls_failed_cipher", "tls_failed_client_cert",
		"tls_failed_alert", "tls_failed_closed", "tls_failed_protocol",
		"tls_failed_timeout", "commands_forbidden", "http_forbidden", "http_bad",
		"ingest_nacks", "replies_bad", "history_squeezed", "consumers_expired",
		"inflate_bombs", "inflate_broken", "tls_bad_records", "tls_bad_messages",
		"sys_events_left_out"};
	for (size_t i = 0; i < RC_ARRAY_LEN(losses); i++) {
		bool counted = false;
		for (uint32_t c = 0; c < RC_COUNTER_COUNT; c++)
			counted = counted ||
				  strcmp(rc_counter_meta((enum rc_counter)c)->name, losses[i]) == 0;
		if (!counted || !rc_top_is_trouble(losses[i]))
			fail_msg("%s, counted: %d", losses[i], counted);
	}
	/* Whatever says so in the list of the gateway itself is found. */
	for (uint32_t i = 0; i < RC_COUNTER_COUNT; i++) {
		const char *name = rc_counter_meta((enum rc_counter)i)->name;
		bool says = strstr(name, "refused") != NULL || strstr(name, "limited") != NULL ||
			    strstr(name, "failed") != NULL || strstr(name, "dropped") != NULL;
		if (says && !rc_top_is_trouble(name))
			fail_msg("%s", name);
	}
}

static void closes_are_those_that_happened_the_most_frequent_first(void **state)
{
	struct rc_top_model m;
	struct rc_top_row rows[4] = {0};
	(void)state;
	model_of(&m, USUAL, 1);
	next_snap(&m, 0);
	rc_top_model_step(&m);
	assert_int_equal(rc_top_closes(&m, rows, 4), 0);
	struct rc_top_snap *s = next_snap(&m, SECOND);
	s->value[at(&m, "close_client")] = 3;
	s->value[at(&m, "close_too_slow")] = 9;
	rc_top_model_step(&m);
	assert_int_equal(rc_top_closes(&m, rows, 4), 2);
	assert_int_equal(rows[0].entry, at(&m, "close_too_slow"));
	assert_true(rows[0].total == 9 && rows[0].rate == 9);
	rc_top_model_deinit(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_the_second_snapshot_nothing_has_a_rate),
		cmocka_unit_test(rates_are_what_grew_by_the_time_it_took),
		cmocka_unit_test(what_shrinks_against_its_nature_has_grown_by_nothing),
		cmocka_unit_test(quantiles_are_of_their_span_alone),
		cmocka_unit_test(the_minute_is_about_one_whatever_the_interval),
		cmocka_unit_test(after_a_long_stop_the_interval_is_the_minute),
		cmocka_unit_test(the_course_has_a_point_for_each_second),
		cmocka_unit_test(shards_sort_by_each_column_and_the_unknown_last),
		cmocka_unit_test(a_file_of_another_version_shows_what_it_has),
		cmocka_unit_test(entries_of_the_wrong_kind_are_no_figures),
		cmocka_unit_test(trouble_is_what_moved_and_then_what_ever_did),
		cmocka_unit_test(the_verdict_knows_what_moved_and_who_is_saturated),
		cmocka_unit_test(events_are_those_that_somebody_published),
		cmocka_unit_test(trouble_has_its_words),
		cmocka_unit_test(closes_are_those_that_happened_the_most_frequent_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
