/* SPDX-License-Identifier: Apache-2.0 */
#include "sample.h"

#include <stdio.h>

#include "load/figure.h"
#include "load/lookup.h"

static char *text;
static size_t len;
static struct load_result *result;

static int make_sample(void **state)
{
	(void)state;
	result = sample_result();
	return 0;
}

static int free_sample(void **state)
{
	(void)state;
	free(result);
	free(text);
	text = NULL;
	return 0;
}

static struct rc_json_value json(void)
{
	free(text);
	text = sample_text(load_result_json, result, &len);
	struct rc_str all = {text, len};
	assert_int_equal(rc_json_validate(all, LOAD_JSON_DEPTH), 0);
	return rc_json_root(all);
}

static const char *table(void)
{
	free(text);
	FILE *out = open_memstream(&text, &len);
	assert_non_null(out);
	load_result_table(result, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_number(struct rc_json_value root, const char *path, double expected)
{
	double value = load_json_number(root, path);
	if (value < expected - 0.01 || value > expected + 0.01)
		fail_msg("%s is %f, not %f", path, value, expected);
}

static void assert_json_null(struct rc_json_value root, const char *path)
{
	if (load_json_at(root, path).kind != RC_JSON_NULL)
		fail_msg("%s is not null", path);
}

static void assert_text(struct rc_json_value root, const char *path, const char *expected)
{
	char value[400];
	load_json_text(root, path, value, sizeof(value));
	assert_string_equal(value, expected);
}

static void json_holds_the_numbers_of_the_result(void **state)
{
	(void)state;
	struct rc_json_value root = json();
	assert_number(root, "ringcast_load", 1);
	assert_text(root, "scenario", "mixed");
	assert_text(root, "verdict", "ok");
	assert_number(root, "parameters.clients", 1000);
	assert_number(root, "parameters.groups.0.in_flight", 64);
	assert_text(root, "parameters.groups.1.spread", "zipf");
	assert_text(root, "parameters.groups.1.reading", "slowly");
	assert_number(root, "window.deliveries", 5000000);
	assert_number(root, "window.deliveries_per_second", 1000000);
	assert_number(root, "window.bytes_per_second", 128000000);
	assert_number(root, "latency.count", 1000000);
	assert_number(root, "latency.p99", (double)result->latency.p99);
	assert_number(root, "latency.max", (double)result->latency.max);
	assert_number(root, "faults.lost", 0);
	assert_number(root, "server.cpu_ns_per_delivery", 900);
	assert_number(root, "server.rss_per_client", 256);
	assert_number(root, "generator.memory_per_client", 2000);
	assert_number(root, "groups.1.deliveries", 1000000);
	assert_number(root, "timeline.0.server_cpu", 0.9);
	assert_number(root, "timeline.6.t", 5);
	assert_int_equal(load_json_at(root, "timeline.7").kind, RC_JSON_NONE);
}

static void handshakes_are_counted_and_what_they_cost_the_server(void **state)
{
	(void)state;
	result->handshakes = 10000;
	result->resumed = 4000;
	result->server_cpu_seconds = 2.5;
	struct rc_json_value root = json();
	assert_number(root, "window.handshakes", 10000);
	assert_number(root, "window.resumed", 4000);
	assert_number(root, "window.handshakes_per_second", 2000);
	assert_number(root, "server.cpu_ns_per_handshake", 250000);
	const char *shown = table();
	assert_non_null(strstr(shown, "handshakes"));
	assert_non_null(strstr(shown, "4,000 resumed"));
	assert_non_null(strstr(shown, "250 µs each"));

	result->verdict = LOAD_LIMITED;
	root = json();
	assert_json_null(root, "window.handshakes_per_second");
	assert_json_null(root, "server.cpu_ns_per_handshake");
	assert_number(root, "limited.window.handshakes_per_second", 2000);
	assert_number(root, "limited.cpu_ns_per_handshake", 250000);
}

static void json_counts_every_value_in_a_bucket(void **state)
{
	(void)state;
	struct rc_json_value root = json();
	struct rc_json_iter it;
	struct rc_json_value bucket;
	double count = 0, last_high = -1;
	rc_json_array_begin(&it, load_json_at(root, "latency.buckets").raw);
	while (rc_json_array_next(&it, &bucket)) {
		assert_true(load_json_number(bucket, "0") > last_high);
		last_high = load_json_number(bucket, "1");
		count += load_json_number(bucket, "2");
	}
	assert_true(count == (double)result->latency.count);
	assert_true(last_high == (double)result->latency.max);
}

static void what_is_not_known_is_null(void **state)
{
	(void)state;
	result->latency = (struct load_quantiles){0};
	result->storm_seconds = -1;
	result->server_rss_connected = 0;
	result->timeline[0].server_cpu = -1;
	result->timeline[0].server_rss = 0;
	result->timeline[0].latency = (struct load_quantiles){0};
	result->deliveries = 0;
	struct rc_json_value root = json();
	assert_json_null(root, "latency");
	assert_json_null(root, "clients.storm_seconds");
	assert_json_null(root, "server.rss_connected");
	assert_json_null(root, "server.rss_per_client");
	assert_json_null(root, "server.cpu_ns_per_delivery");
	assert_json_null(root, "generator.late");
	assert_json_null(root, "timeline.0.server_cpu");
	assert_json_null(root, "timeline.0.server_rss");
	assert_json_null(root, "timeline.0.p99");
	assert_json_null(root, "target.echo");

	result->server_known = false;
	result->window = 0;
	root = json();
	assert_json_null(root, "server");
	assert_json_null(root, "window.deliveries_per_second");
	assert_number(root, "window.deliveries", 0);
}

static void a_limited_generator_has_no_figures_of_the_server(void **state)
{
	(void)state;
	result->verdict = LOAD_LIMITED;
	struct rc_json_value root = json();
	assert_json_null(root, "latency");
	assert_json_null(root, "ack");
	assert_json_null(root, "window.deliveries_per_second");
	assert_json_null(root, "server.cpu_ns_per_delivery");
	assert_json_null(root, "groups.0.latency");
	assert_json_null(root, "timeline.1.p50");
	assert_number(root, "limited.window.deliveries_per_second", 1000000);
	assert_number(root, "limited.latency.p50", (double)result->latency.p50);
	assert_number(root, "limited.cpu_ns_per_delivery", 900);

	const char *shown = table();
	assert_non_null(strstr(shown, "limited"));
	assert_null(strstr(shown, "1,000,000 a second"));
	assert_non_null(strstr(shown, "- a delivery"));
}

static void a_result_that_is_not_limited_has_nothing_apart(void **state)
{
	(void)state;
	assert_int_equal(load_json_at(json(), "limited").kind, RC_JSON_NONE);
}

static void hostile_text_stays_a_string(void **state)
{
	(void)state;
	static const char *const hostile = "</script>\"\\\n\x01<b>'ü";
	SAMPLE_TEXT(result->note[0], hostile);
	SAMPLE_TEXT(result->note[1], "cut \xe2\x82");
	SAMPLE_TEXT(result->cpu_model, "\xff\xc3(R) \xf0\x9f\x98\x80");
	result->notes = 2;
	struct rc_json_value root = json();
	assert_text(root, "notes.0", hostile);
	assert_text(root, "notes.1", "cut ??");
	assert_text(root, "host.cpu",
		"?"
		"?(R) \xf0\x9f\x98\x80");
}

static void the_query_of_a_url_is_not_shown(void **state)
{
	(void)state;
	struct rc_json_value root = json();
	assert_text(root, "target.subscribe", "ws://127.0.0.1:8080/ws?…");
	assert_text(root, "target.publish", "ingest://127.0.0.1:8080");
	assert_null(strstr(text, "secret"));
	assert_null(strstr(table(), "secret"));
}

static void faults_name_their_channels(void **state)
{
	(void)state;
	result->verdict = LOAD_FAULTY;
	result->faults = (struct load_faults){.lost = 3, .corrupted = 1};
	result->faulty_channels = 1;
	result->faulty[0].channel = 3;
	result->faulty[0].faults = result->faults;
	struct rc_json_value root = json();
	assert_number(root, "faults.lost", 3);
	assert_text(root, "faults.channels.0.channel", "load:3");
	assert_number(root, "faults.channels.0.corrupted", 1);
	const char *shown = table();
	assert_non_null(strstr(shown, "load:3: 3 lost"));
	assert_non_null(strstr(shown, "faulty"));
}

static void the_table_fits_a_hundred_columns(void **state)
{
	(void)state;
	result->deliveries = 123456789012345;
	result->faults.lost = 12345678901;
	result->faulty_channels = LOAD_FAULTY_MAX;
	memset(result->note[0], 'x', 60);
	memset(result->note[0] + 61, 'y', 60);
	result->note[0][60] = ' ';
	result->notes = 1;
	char *at;
	(void)table();
	for (char *line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at))
		if (load_figure_width(line) > 100)
			fail_msg("%d columns: %s", load_figure_width(line), line);
}

static void the_table_has_no_colours_outside_a_terminal(void **state)
{
	(void)state;
	assert_null(strchr(table(), '\033'));
	assert_non_null(strstr(text, "1,000,000 a second"));
	assert_non_null(strstr(text, "900 ns a delivery"));
}

static void quantiles_of_nothing_are_zero(void **state)
{
	(void)state;
	struct load_quantiles q = {.count = 7};
	memset(result->ack_hist, 0, sizeof(result->ack_hist));
	load_quantiles(&q, result->ack_hist);
	assert_int_equal(q.count, 0);
	assert_int_equal(q.max, 0);
}

static void the_mean_lies_within_the_bucket_of_a_single_value(void **state)
{
	(void)state;
	const struct load_quantiles *q = &result->connect;
	uint32_t bucket = rc_hist_bucket(1000000);
	assert_true(q->mean >= rc_hist_low(bucket) && q->mean <= rc_hist_high(bucket));
	assert_int_equal(q->p50, q->max);
}

static void each_verdict_has_its_exit_status(void **state)
{
	(void)state;
	assert_int_equal(load_exit_status(LOAD_OK), 0);
	assert_int_equal(load_exit_status(LOAD_FAULTY), 1);
	assert_int_equal(load_exit_status(LOAD_UNUSABLE), 2);
	assert_int_equal(load_exit_status(LOAD_LIMITED), 3);
	assert_int_equal(load_exit_status(LOAD_INTERRUPTED), 130);
	assert_string_equal(load_verdict_name(LOAD_INTERRUPTED), "interrupted");
}

static void a_full_disk_is_reported(void **state)
{
	(void)state;
	FILE *out = fopen("/dev/full", "we");
	if (!out)
		skip();
	assert_true(load_result_json(result, out) < 0);
	(void)fclose(out);
}

static void figures_have_three_digits_and_a_unit(void **state)
{
	(void)state;
	static const struct {
		enum load_unit unit;
		double value;
		const char *text;
	} sample[] = {
		{LOAD_UNIT_COUNT, 0, "0"},
		{LOAD_UNIT_COUNT, 999, "999"},
		{LOAD_UNIT_COUNT, 9812334, "9,812,334"},
		{LOAD_UNIT_RATE, 12.34, "12.3"},
		{LOAD_UNIT_RATE, 1234.5, "1,235"},
		{LOAD_UNIT_NS, 0, "0 ns"},
		{LOAD_UNIT_NS, 12.34, "12.3 ns"},
		{LOAD_UNIT_NS, 812, "812 ns"},
		{LOAD_UNIT_NS, 4912, "4.91 µs"},
		{LOAD_UNIT_NS, 999999, "1.00 ms"},
		{LOAD_UNIT_NS, 123456789, "123 ms"},
		{LOAD_UNIT_NS, 90e9, "90.0 s"},
		{LOAD_UNIT_BYTES, 256, "256 B"},
		{LOAD_UNIT_BYTES, 1536, "1.50 KiB"},
		{LOAD_UNIT_BYTES, 12.0 * 1024 * 1024, "12.0 MiB"},
		{LOAD_UNIT_RATIO, 1.0125, "1.012"},
		{LOAD_UNIT_SECONDS, 0.25, "0.25 s"},
		{LOAD_UNIT_CPUS, -1, "-"},
		{LOAD_UNIT_COUNT, 1e300, "-"},
	};
	char out[LOAD_FIGURE_MAX];
	for (size_t i = 0; i < RC_ARRAY_LEN(sample); i++)
		assert_string_equal(
			load_figure(out, sample[i].unit, sample[i].value), sample[i].text);
}

#define WITH_SAMPLE(test) cmocka_unit_test_setup_teardown(test, make_sample, free_sample)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SAMPLE(json_holds_the_numbers_of_the_result),
		WITH_SAMPLE(handshakes_are_counted_and_what_they_cost_the_server),
		WITH_SAMPLE(json_counts_every_value_in_a_bucket),
		WITH_SAMPLE(what_is_not_known_is_null),
		WITH_SAMPLE(a_limited_generator_has_no_figures_of_the_server),
		WITH_SAMPLE(a_result_that_is_not_limited_has_nothing_apart),
		WITH_SAMPLE(hostile_text_stays_a_string),
		WITH_SAMPLE(the_query_of_a_url_is_not_shown),
		WITH_SAMPLE(faults_name_their_channels),
		WITH_SAMPLE(the_table_fits_a_hundred_columns),
		WITH_SAMPLE(the_table_has_no_colours_outside_a_terminal),
		WITH_SAMPLE(quantiles_of_nothing_are_zero),
		WITH_SAMPLE(the_mean_lies_within_the_bucket_of_a_single_value),
		cmocka_unit_test(each_verdict_has_its_exit_status),
		WITH_SAMPLE(a_full_disk_is_reported),
		cmocka_unit_test(figures_have_three_digits_and_a_unit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
