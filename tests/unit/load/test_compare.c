/* SPDX-License-Identifier: Apache-2.0 */
#include "sample.h"

#include <stdio.h>

#include "load/figure.h"
#include "load/lookup.h"

static char folder[] = "/tmp/rc-load-XXXXXX";
static char path_a[64], path_b[64], path_page[64];
static char *text;
static size_t len;
static struct load_result *result;

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path_a, sizeof(path_a), "%s/a.json", folder);
	snprintf(path_b, sizeof(path_b), "%s/b.json", folder);
	snprintf(path_page, sizeof(path_page), "%s/page.html", folder);
	result = sample_result();
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	(void)unlink(path_a);
	(void)unlink(path_b);
	(void)unlink(path_page);
	free(result);
	free(text);
	return rmdir(folder);
}

static void write_text(const char *path, const char *content)
{
	FILE *out = fopen(path, "we");
	assert_non_null(out);
	assert_true(fputs(content, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static void write_result(const char *path)
{
	FILE *out = fopen(path, "we");
	assert_non_null(out);
	assert_int_equal(load_result_json(result, out), 0);
	assert_int_equal(fclose(out), 0);
}

/* What load_compare writes; stderr is silenced, the sentences are for people. */
static const char *compare(int expected)
{
	free(text);
	FILE *out = open_memstream(&text, &len);
	assert_non_null(out);
	int kept = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_true(kept >= 0 && null >= 0);
	(void)dup2(null, STDERR_FILENO);
	int status = load_compare(path_a, path_b, out);
	(void)dup2(kept, STDERR_FILENO);
	(void)close(kept);
	(void)close(null);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(status, expected);
	return text;
}

/* The line that begins with the name. */
static const char *line_of(const char *shown, const char *name)
{
	const char *line = strstr(shown, name);
	assert_non_null(line);
	static char one[200];
	snprintf(one, sizeof(one), "%.*s", (int)strcspn(line, "\n"), line);
	return one;
}

static void two_alike_have_ratios_of_one(void **state)
{
	(void)state;
	write_result(path_a);
	write_result(path_b);
	const char *shown = compare(0);
	assert_null(strstr(shown, "differ"));
	assert_non_null(strstr(line_of(shown, "deliveries a second"), "1,000,000"));
	assert_non_null(strstr(line_of(shown, "deliveries a second"), "1.000"));
	assert_non_null(strstr(line_of(shown, "latency p99 "), "1.000"));
}

static void ratios_are_b_over_a(void **state)
{
	(void)state;
	write_result(path_a);
	result->server_cpu_seconds = 9;
	write_result(path_b);
	const char *shown = compare(0);
	result->server_cpu_seconds = 4.5;
	assert_non_null(strstr(line_of(shown, "server CPU a delivery"), "2.000"));
}

static void other_parameters_are_said_first(void **state)
{
	(void)state;
	write_result(path_a);
	sample_plan.clients = 2000;
	sample_plan.group[0].payload = 256;
	write_result(path_b);
	sample_plan_fill();
	const char *shown = compare(0);
	assert_int_equal(strncmp(shown, "These two differ", 16), 0);
	assert_non_null(strstr(line_of(shown, "parameters.clients"), "1000   2000"));
	assert_non_null(strstr(line_of(shown, "parameters.groups.0.payload"), "128   256"));
	/* Of one value, once. */
	assert_null(strstr(strstr(shown, "parameters.clients") + 1, "parameters.clients"));
}

static void what_one_file_lacks_is_a_dash(void **state)
{
	(void)state;
	write_text(path_a, "{\"ringcast_load\":1,\"window\":{\"deliveries_per_second\":7},"
			   "\"latency\":{\"p50\":2000,\"p99\":4000},\"scenario\":\"idle\"}");
	write_text(path_b, "{\"ringcast_load\":1,\"window\":{},\"parameters\":{\"extra\":[1]},"
			   "\"latency\":{\"p50\":null,\"p99\":5000}}");
	const char *shown = compare(0);
	const char *lacking = line_of(shown, "deliveries a second");
	assert_int_equal(lacking[strlen(lacking) - 1], '-');
	assert_non_null(strstr(lacking, " 7  "));
	assert_non_null(strstr(line_of(shown, "latency p50"), " - "));
	assert_non_null(strstr(line_of(shown, "latency p99 "), "1.250"));
	assert_non_null(strstr(line_of(shown, "parameters.extra.0"), "-   1"));
	assert_non_null(strstr(line_of(shown, "scenario"), "\"idle\"   -"));
	assert_null(strstr(shown, "latency p90"));
}

static void lines_fit_a_hundred_columns(void **state)
{
	(void)state;
	write_result(path_a);
	result->deliveries = UINT64_MAX / 2;
	write_result(path_b);
	result->deliveries = 5000000;
	char *at;
	(void)compare(0);
	for (char *line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at))
		assert_true(load_figure_width(line) <= 100);
}

static void wrong_files_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "{", "[]", "7", "{\"other\":1}",
		"{\"ringcast_compare\":1,\"cases\":[]}", "{\"ringcast_load\":1,\"window\":{}}x",
		"{\"ringcast_load\":1,\"window\":[]}"};
	struct rc_error err;
	struct rc_str out;
	write_result(path_a);
	for (size_t i = 0; i < RC_ARRAY_LEN(wrong); i++) {
		write_text(path_b, wrong[i]);
		assert_string_equal(compare(2), "");
		assert_true(load_json_read(&out, path_b, false, &err) < 0);
		assert_non_null(strstr(err.text, path_b));
		assert_non_null(strstr(err.text, "name a file"));
	}
	assert_int_equal(unlink(path_b), 0);
	assert_string_equal(compare(2), "");
}

static char *page_of(const char *json)
{
	struct rc_error err = {{0}};
	if (load_report(path_page, rc_str_of(json), &err) != 0)
		fail_msg("%s", err.text);
	static char page[1 << 18];
	FILE *in = fopen(path_page, "re");
	assert_non_null(in);
	size_t got = fread(page, 1, sizeof(page) - 1, in);
	assert_int_equal(fclose(in), 0);
	assert_true(got < sizeof(page) - 1);
	page[got] = '\0';
	return page;
}

static void a_page_holds_its_data_and_needs_nothing_else(void **state)
{
	(void)state;
	char *page = page_of(
		"{\"ringcast_load\":1,\"window\":{},\"notes\":[\"</script><!-- @@style@@\"]}");
	assert_non_null(strstr(page, "\"\\u003c/script>\\u003c!-- @@style@@\""));
	assert_null(strstr(page, "src="));
	assert_null(strstr(page, "href=\"http"));
	assert_null(strstr(page, "@import"));
	/* One end for each of the two script elements. */
	char *end = strstr(page, "</script>");
	assert_non_null(end);
	end = strstr(end + 1, "</script>");
	assert_non_null(end);
	assert_null(strstr(end + 1, "</script>"));
}

static void a_page_wants_a_result(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "{", "[]", "{\"a\":1}"};
	struct rc_error err;
	for (size_t i = 0; i < RC_ARRAY_LEN(wrong); i++) {
		assert_true(load_report(path_page, rc_str_of(wrong[i]), &err) < 0);
		assert_non_null(strstr(err.text, "--json"));
	}
	assert_true(load_report(folder, RC_STR("{\"ringcast_compare\":1,\"cases\":[]}"), &err) < 0);
	assert_non_null(strstr(err.text, "--report"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_alike_have_ratios_of_one),
		cmocka_unit_test(ratios_are_b_over_a),
		cmocka_unit_test(other_parameters_are_said_first),
		cmocka_unit_test(what_one_file_lacks_is_a_dash),
		cmocka_unit_test(lines_fit_a_hundred_columns),
		cmocka_unit_test(wrong_files_are_refused),
		cmocka_unit_test(a_page_holds_its_data_and_needs_nothing_else),
		cmocka_unit_test(a_page_wants_a_result),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
