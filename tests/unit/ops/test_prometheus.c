/* SPDX-License-Identifier: Apache-2.0
 *
 * The text for Prometheus, held against the rules of both formats by a parser of its own, and against what was counted.
 */
#include "../unit.h"

#include <stdio.h>
#include <string.h>

#include "ops/prometheus.h"

#define TEXT_MAX (1u << 20)

static struct rc_config config;
static struct rc_counters counters;
static char text[TEXT_MAX];

static const struct rc_prometheus_fact facts[] = {
	{"clients_limit", "Clients at most.", 1000},
	{"feature_kernel_tls", "1: the kernel makes records.", 1},
	{"drain_timeout_ms", "How long it drains.", 2500},
};
static const struct rc_prometheus_memory memory[] = {
	{"connection table", 4096, false},
	{"the \"log\\arena\"\n", 8192, false},
	{"sockets", 123, true},
};

static int set_up(void **state)
{
	struct rc_error err;

	(void)state;
	rc_config_init(&config);
	config.namespace_count = 2;
	(void)snprintf(config.ns[1].name, sizeof(config.ns[1].name), "chat");
	(void)snprintf(config.ns[2].name, sizeof(config.ns[2].name), "we\"ird");
	return rc_counters_create(&counters, "", 2, &err);
}

static int tear_down(void **state)
{
	(void)state;
	rc_counters_destroy(&counters);
	return 0;
}

static struct rc_prometheus source(void)
{
	return (struct rc_prometheus){
		.counters = &counters,
		.config = &config,
		.version = "1.2.3",
		.facts = facts,
		.fact_count = RC_ARRAY_LEN(facts),
		.memory = memory,
		.memory_count = RC_ARRAY_LEN(memory),
	};
}

/* The text, ended by a NUL. */
static const char *written(bool open)
{
	struct rc_prometheus p = source();
	size_t len = rc_prometheus_write(&p, open, text, sizeof(text) - 1);

	assert_true(len > 0);
	assert_true(len <= rc_prometheus_bound(&p, open));
	text[len] = '\0';
	return text;
}

static void has(const char *all, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = all; (at = strstr(at, line)) != NULL; at++) {
		if ((at == all || at[-1] == '\n') && at[len] == '\n')
			return;
	}
	fail_msg("no line %s", line);
}

static void counters_are_lines_with_their_shard(void **state)
{
	(void)state;
	rc_count(rc_counters_shard(&counters, 1), RC_C_accepts, 7);
	rc_gauge_add(rc_counters_shard(&counters, 0), RC_C_patterns, -3);
	rc_count(rc_counters_shard(&counters, 0), RC_C_recv_bytes, 1ull << 40);
	const char *all = written(false);
	has(all, "# TYPE ringcast_accepts_total counter");
	has(all, "ringcast_accepts_total{shard=\"0\"} 0");
	has(all, "ringcast_accepts_total{shard=\"1\"} 7");
	has(all, "ringcast_patterns{shard=\"0\"} -3");
	has(all, "ringcast_received_bytes_total{shard=\"0\"} 1099511627776");
	all = written(true);
	has(all, "# TYPE ringcast_accepts counter");
	has(all, "# UNIT ringcast_received_bytes bytes");
	has(all, "ringcast_accepts_total{shard=\"1\"} 7");
	assert_null(strstr(all, "# TYPE ringcast_accepts_total"));
}

static void reasons_of_one_thing_are_one_family(void **state)
{
	(void)state;
	rc_count(rc_counters_shard(&counters, 0), RC_C_close_too_slow, 4);
	rc_count(rc_counters_shard(&counters, 1), RC_C_tls_failed_alert, 5);
	rc_count(rc_counters_shard(&counters, 1), RC_C_http_404, 6);
	const char *all = written(false);
	has(all, "ringcast_clients_closed_total{shard=\"0\",reason=\"too_slow\"} 4");
	has(all, "ringcast_clients_closed_total{shard=\"1\",reason=\"client\"} 0");
	has(all, "ringcast_tls_handshakes_failed_total{shard=\"1\",reason=\"alert\"} 5");
	has(all, "ringcast_http_refused_total{shard=\"1\",reason=\"not_found\"} 6");
	has(all, "ringcast_clients_gone_total{shard=\"0\"} 0");
	assert_null(strstr(all, "close_too_slow"));
}

static void histograms_are_folded_and_their_sums_are_exact(void **state)
{
	struct rc_counters_shard *c = rc_counters_shard(&counters, 1);

	(void)state;
	rc_count_hist(c, RC_H_publish_to_flush_ns, 9000, 3);
	rc_count_hist(c, RC_H_publish_to_flush_ns, 2000000, 1);
	rc_count_hist(c, RC_H_publish_to_flush_ns, 60000000000, 1);
	rc_count_hist(c, RC_H_lag_bytes, 1023, 1);
	rc_count_hist(c, RC_H_lag_bytes, 1024, 1);
	const char *all = written(true);
	has(all, "# TYPE ringcast_publish_to_socket_seconds histogram");
	has(all, "# UNIT ringcast_publish_to_socket_seconds seconds");
	has(all, "ringcast_publish_to_socket_seconds_bucket{shard=\"1\",le=\"1e-05\"} 3");
	has(all, "ringcast_publish_to_socket_seconds_bucket{shard=\"1\",le=\"0.001\"} 3");
	has(all, "ringcast_publish_to_socket_seconds_bucket{shard=\"1\",le=\"0.0025\"} 4");
	has(all, "ringcast_publish_to_socket_seconds_bucket{shard=\"1\",le=\"10.0\"} 4");
	has(all, "ringcast_publish_to_socket_seconds_bucket{shard=\"1\",le=\"+Inf\"} 5");
	has(all, "ringcast_publish_to_socket_seconds_sum{shard=\"1\"} 60.002027000");
	has(all, "ringcast_publish_to_socket_seconds_count{shard=\"1\"} 5");
	has(all, "ringcast_lag_bytes_bucket{shard=\"1\",le=\"1023.0\"} 1");
	has(all, "ringcast_lag_bytes_bucket{shard=\"1\",le=\"4095.0\"} 2");
	has(all, "ringcast_lag_bytes_sum{shard=\"1\"} 2047");
}

static void a_value_is_never_told_smaller_than_it_was(void **state)
{
	static const struct {
		uint64_t ns;
		const char *le;
	} bounds[] = {
		{10000, "1e-05"}, {100000, "0.0001"}, {1000000, "0.001"}, {1000000000, "1.0"}};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bounds); i++) {
		char line[160];
		(void)snprintf(line, sizeof(line),
			"ringcast_turn_seconds_bucket{shard=\"0\",le=\"%s\"} %zu", bounds[i].le, i);
		rc_count_hist(rc_counters_shard(&counters, 0), RC_H_turn_ns, bounds[i].ns + 1, 1);
		has(written(false), line);
	}
}

static void namespaces_are_told_by_name_and_escaped(void **state)
{
	(void)state;
	rc_count_ns(rc_counters_shard(&counters, 0), RC_N_events, 1, 5);
	rc_count_ns(rc_counters_shard(&counters, 1), RC_N_events, 1, 6);
	rc_count_ns(rc_counters_shard(&counters, 1), RC_N_deliveries, 0, 9);
	const char *all = written(false);
	has(all, "ringcast_namespace_events_published_total{namespace=\"chat\"} 11");
	has(all, "ringcast_namespace_deliveries_total{namespace=\"default\"} 9");
	has(all, "ringcast_namespace_deliveries_total{namespace=\"we\\\"ird\"} 0");
}

static void what_is_fixed_at_start_is_there(void **state)
{
	char line[96];

	(void)state;
	const char *all = written(false);
	has(all, "# TYPE ringcast_build_info gauge");
	has(all, "ringcast_build_info{version=\"1.2.3\"} 1");
	has(all, "ringcast_shards 2");
	has(all, "ringcast_clients_limit 1000");
	has(all, "ringcast_drain_timeout_seconds 2.500");
	has(all, "ringcast_memory_budget_bytes{reason=\"connection table\"} 4096");
	has(all, "ringcast_memory_budget_bytes{reason=\"the \\\"log\\\\arena\\\"\\n\"} 8192");
	has(all, "ringcast_memory_budget_kernel_bytes{reason=\"sockets\"} 123");
	(void)snprintf(line, sizeof(line), "ringcast_start_time_seconds %llu.%03llu",
		(unsigned long long)counters.header->start_wall_ms / 1000,
		(unsigned long long)counters.header->start_wall_ms % 1000);
	has(all, line);
	has(written(true), "# TYPE ringcast_build info");
}

/* ---- the formats' own rules --------------------------------------------------------------------- */

#define FAMILIES_MAX 512

/* Every line is a comment of the present family or a sample of it, and no family comes twice. */
static void check_structure(const char *all, bool open)
{
	static char names[FAMILIES_MAX][96];
	uint32_t count = 0;
	char name[96] = "", type[32] = "";
	const char *line = all;

	while (*line) {
		const char *end = strchr(line, '\n');
		assert_non_null(end);
		char copy[640];
		assert_true((size_t)(end - line) < sizeof(copy));
		memcpy(copy, line, (size_t)(end - line));
		copy[end - line] = '\0';
		line = end + 1;
		if (strcmp(copy, "# EOF") == 0) {
			assert_true(open);
			assert_int_equal(*line, '\0');
			return;
		}
		if (sscanf(copy, "# HELP %95s", name) == 1) {
			for (uint32_t i = 0; i < count; i++)
				assert_string_not_equal(names[i], name);
			assert_true(count < FAMILIES_MAX);
			memcpy(names[count++], name, sizeof(name));
			assert_true(strlen(copy) > strlen(name) + 12); /* and says something */
			continue;
		}
		if (strncmp(copy, "# TYPE ", 7) == 0) {
			char typed[96];
			assert_int_equal(sscanf(copy, "# TYPE %95s %31s", typed, type), 2);
			assert_string_equal(typed, name);
			continue;
		}
		if (strncmp(copy, "# UNIT ", 7) == 0) {
			char typed[96], unit[32];
			assert_true(open);
			assert_int_equal(sscanf(copy, "# UNIT %95s %31s", typed, unit), 2);
			assert_string_equal(typed, name);
			assert_string_equal(name + strlen(name) - strlen(unit), unit);
			continue;
		}
		size_t len = strlen(name);
		if (strncmp(copy, name, len) != 0)
			fail_msg("%s is not of the family %s", copy, name);
		const char *suffix = copy + len;
		size_t suffix_len = strcspn(suffix, "{ ");
		if (strcmp(type, "counter") == 0)
			assert_true(
				open ? strncmp(suffix, "_total", suffix_len) == 0 && suffix_len == 6
				     : suffix_len == 0);
		else if (strcmp(type, "histogram") == 0)
			assert_true(suffix_len == 4 || suffix_len == 6 || suffix_len == 7);
		else if (strcmp(type, "info") == 0)
			assert_true(suffix_len == 5);
		else
			assert_true(suffix_len == 0);
	}
	assert_false(open);
}

static void both_formats_keep_their_rules(void **state)
{
	(void)state;
	check_structure(written(false), false);
	check_structure(written(true), true);
}

static void what_does_not_fit_is_not_written(void **state)
{
	struct rc_prometheus p = source();

	(void)state;
	for (int open = 0; open < 2; open++) {
		size_t len = rc_prometheus_write(&p, open, text, sizeof(text));
		char *exact = malloc(len);
		assert_non_null(exact);
		assert_int_equal(rc_prometheus_write(&p, open, exact, len), len);
		assert_int_equal(rc_prometheus_write(&p, open, exact, len - 1), 0);
		assert_int_equal(rc_prometheus_write(&p, open, exact, 0), 0);
		free(exact);
	}
}

static void the_bound_holds_for_the_largest_numbers(void **state)
{
	struct rc_prometheus p = source();

	(void)state;
	for (uint32_t s = 0; s < counters.shard_count; s++)
		memset(&counters.shards[s], 0x80, sizeof(counters.shards[s]));
	for (int open = 0; open < 2; open++) {
		size_t len = rc_prometheus_write(&p, open, text, sizeof(text));
		assert_true(len > 0);
		assert_true(len <= rc_prometheus_bound(&p, open));
	}
}

static void open_metrics_is_for_who_prefers_it(void **state)
{
	static const struct {
		const char *accept;
		bool open;
	} cases[] = {
		{"", false},
		{"*/*", false},
		{"text/plain", false},
		{"application/openmetrics-text", true},
		{"Application/OpenMetrics-Text; version=1.0.0", true},
		{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
		 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
			true},
		{"application/openmetrics-text;version=2.0.0", false},
		{"application/openmetrics-text;q=0", false},
		{"application/openmetrics-text;q=0.2, text/plain;q=0.8", false},
		{"text/html , application/openmetrics-text ; q=0.5 , */* ; q=0.1", true},
		{",,;;=,q=1", false},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++)
		assert_int_equal(
			rc_prometheus_wants_open(rc_str_of(cases[i].accept)), cases[i].open);
	assert_false(rc_prometheus_wants_open((struct rc_str){NULL, 0}));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(counters_are_lines_with_their_shard),
		TEST(reasons_of_one_thing_are_one_family),
		TEST(histograms_are_folded_and_their_sums_are_exact),
		TEST(a_value_is_never_told_smaller_than_it_was),
		TEST(namespaces_are_told_by_name_and_escaped),
		TEST(what_is_fixed_at_start_is_there),
		TEST(both_formats_keep_their_rules),
		TEST(what_does_not_fit_is_not_written),
		TEST(the_bound_holds_for_the_largest_numbers),
		TEST(open_metrics_is_for_who_prefers_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
