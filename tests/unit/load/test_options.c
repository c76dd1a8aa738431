/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line: presets, what the user says over them, and what is refused in which words.
 */
#include "../unit.h"

#include <stdio.h>

#include "load/options.h"

#define MANY 40

static struct load_settings settings;
static struct rc_error err;

/* Words separated by blanks, as a shell would pass them. */
static int read_line(const char *line)
{
	static char copy[1024];
	char *argv[MANY] = {(char *)"ringcast-load"}, *rest = NULL;
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		assert_true(argc < MANY - 1);
		argv[argc++] = word;
	}
	err.text[0] = 0;
	return load_settings_read(&settings, argc, argv, &err);
}

static void build(const char *line)
{
	if (read_line(line) < 0 || load_settings_build(&settings, &err) < 0)
		fail_msg("%s: %s", line, err.text);
	load_target_close(settings.plan.target);
	settings.plan.target = NULL;
}

static void refused(const char *line, const char *words)
{
	int rc = read_line(line);

	if (rc == 0 && settings.mode == LOAD_RUN) {
		rc = load_settings_build(&settings, &err);
		if (rc == 0)
			rc = load_plan_finish(&settings.plan, &err);
		load_target_close(settings.plan.target);
	}
	if (rc == 0)
		fail_msg("'%s' was taken", line);
	if (!strstr(err.text, words))
		fail_msg("'%s' was refused with '%s', without '%s'", line, err.text, words);
}

static void every_preset_is_a_plan_that_can_be_run(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < load_preset_count; i++) {
		const char *name = load_preset_table[i].name;
		char line[80];

		if (strcmp(name, "mixed") == 0)
			continue;
		snprintf(line, sizeof(line), "%s%s", name,
			strcmp(name, "handshakes") == 0 ? " --url wss://127.0.0.1:1/" : "");
		if (read_line(line) < 0 || load_settings_build(&settings, &err) < 0 ||
			load_plan_finish(&settings.plan, &err) < 0)
			fail_msg("%s: %s", name, err.text);
		assert_string_equal(settings.plan.scenario, name);
		assert_true(settings.plan.processes >= 1);
		load_target_close(settings.plan.target);
	}
}

static void names_of_options_are_unique(void **state)
{
	(void)state;
	for (uint32_t row = 0; row < load_option_count; row++)
		assert_int_equal(load_option_find(load_option_table[row].name), row);
	assert_int_equal(load_option_find("clint"), RC_NONE);
}

static void a_preset_is_what_its_table_says(void **state)
{
	(void)state;
	build("fanout");
	assert_int_equal(settings.plan.groups, 1);
	assert_int_equal(settings.plan.group[0].clients, 1000);
	assert_int_equal(settings.plan.group[0].in_flight, 64);
	assert_int_equal(settings.plan.group[0].payload, 128);
	assert_string_equal(settings.plan.group[0].name, "fanout");
	assert_true(settings.plan.seconds == 5);
	assert_int_equal(settings.plan.threads, 1);
	assert_int_equal(settings.plan.processes, 0);
}

static void what_the_user_says_replaces_what_the_preset_says(void **state)
{
	(void)state;
	build("fanout --clients 7 --payload=1K --rate 2.5e3 --seconds 0.5 --json --busy");
	assert_int_equal(settings.plan.group[0].clients, 7);
	assert_int_equal(settings.plan.group[0].payload, 1024);
	assert_true(settings.plan.group[0].rate == 2500);
	assert_int_equal(settings.plan.group[0].in_flight, 0);
	assert_true(settings.plan.seconds == 0.5);
	assert_string_equal(settings.plan.json, "-");
	assert_true(settings.plan.busy);
}

static void json_takes_a_file_when_one_follows(void **state)
{
	(void)state;
	build("fanout --json out.json --report=page.html --pid 1 --pid 2");
	assert_string_equal(settings.plan.json, "out.json");
	assert_string_equal(settings.plan.report, "page.html");
	assert_int_equal(settings.plan.pids, 2);
	assert_int_equal(settings.plan.pid[1], 2);
}

static void own_channels_are_as_many_as_clients(void **state)
{
	(void)state;
	build("users --clients 123");
	assert_int_equal(settings.plan.group[0].channels, 123);
	assert_int_equal(settings.plan.channels, 123);
}

static void slow_readers_share_the_channels_of_the_fast_and_may_lose(void **state)
{
	const struct load_group *fast = &settings.plan.group[0], *slow = &settings.plan.group[1];

	(void)state;
	build("slow --clients 200 --share 25 --channels 4");
	assert_int_equal(settings.plan.groups, 2);
	assert_int_equal(settings.plan.channels, 4);
	assert_int_equal(fast->clients, 150);
	assert_int_equal(slow->clients, 50);
	assert_int_equal(slow->first_channel, fast->first_channel);
	assert_int_equal(slow->publishers, 0);
	assert_int_equal(fast->reading, LOAD_READS);
	assert_int_equal(slow->reading, LOAD_READS_NEVER);
	assert_true(slow->may_lose && !fast->may_lose);

	build("slow --read-rate 64K");
	assert_int_equal(slow->reading, LOAD_READS_SLOWLY);
	assert_int_equal(slow->read_bytes_per_second, 65536);
}

static void only_the_second_group_churns_or_drops(void **state)
{
	const struct load_group *g = settings.plan.group;

	(void)state;
	build("churn --churn 30");
	assert_true(g[0].churn_per_second == 0 && g[1].churn_per_second == 30);
	build("storm --storm-after 2");
	assert_true(g[0].storm_after_seconds == 0 && g[1].storm_after_seconds == 2);
	assert_false(g[1].recover);
	assert_true(g[1].storm_away_seconds == 0);
	build("storm --storm-away 1.5");
	assert_true(g[0].storm_away_seconds == 0 && g[1].storm_away_seconds == 1.5);
	build("storm --recover --share 100");
	assert_true(g[1].recover);
	assert_int_equal(g[0].clients, 0);
	assert_int_equal(g[0].publishers, 1);
}

static void publishers_alone_have_a_channel_each(void **state)
{
	(void)state;
	build("publish --publishers 8");
	assert_int_equal(settings.plan.channels, 8);
	assert_true(settings.plan.group[0].acks_only);
}

static void clients_that_shake_hands_do_so_all_at_once(void **state)
{
	(void)state;
	build("handshakes --url wss://127.0.0.1:1/ --clients 700 --resume --tls 1.2");
	assert_true(settings.plan.group[0].handshakes && settings.plan.group[0].resume);
	assert_int_equal(settings.plan.tls, LOAD_TLS_12);
	assert_true(settings.plan.connect_at_once >= 700);
	assert_int_equal(settings.plan.group[0].publishers, 0);
}

static void a_wrong_line_is_refused_with_a_sentence_that_helps(void **state)
{
	(void)state;
	refused("", "say a scenario");
	refused("--clients 3", "the scenario comes first");
	refused("fanuot", "there are fanout channels users");
	refused("fanout --clints 3", "did you mean --clients?");
	refused("fanout --clients", "--clients needs a value");
	refused("fanout --clients= 3", "--clients needs a value");
	refused("fanout --clients 1.5", "not a whole number from 0 to 4000000");
	refused("fanout --clients -1", "not a whole number");
	refused("fanout --clients 0x10", "not a whole number");
	refused("fanout --seconds nan", "not a number from 0.1");
	refused("fanout --seconds inf", "not a number from 0.1");
	refused("fanout --payload 63", "from 64 to 1048576");
	refused("fanout --payload 2M", "from 64 to 1048576");
	refused("fanout --clients 3 --clients 4", "given twice");
	refused("fanout clients", "is no option");
	refused("fanout --spread fair", "none of even, zipf, own");
	refused("fanout --busy=maybe", "neither yes nor no");
	refused("fanout --may-lose", "unknown option --may-lose");
	refused("fanout --rate 5 --in-flight 3", "leave out one");
	refused("fanout --rate 0", "--rate EVENTS a second or --in-flight N");
	refused("fanout --share 3", "it is for churn storm slow");
	refused("fanout --publishers 2", "at most 1 --publishers");
	refused("fanout --clients 0 --publishers 0", "so nothing happens");
	refused("channels --subscriptions 101", "at most 100 --subscriptions");
	refused("users --subscriptions 2", "with --spread own a client has one channel");
	refused("idle --rate 5", "in the scenario idle nothing is published");
	refused("echo --publishers 2", "the clients themselves send");
	refused("publish --clients 2", "no subscribers");
	refused("publish --publishers 5 --in-flight 4", "at least 5 --in-flight");
	refused("fanout --resume", "it is for handshakes");
	refused("fanout --tls 1.1", "none of any, 1.2, 1.3");
	refused("handshakes --rate 5", "in the scenario handshakes nothing is published");
	refused("handshakes --url ws://127.0.0.1:1/", "say one with wss or https");
	refused("handshakes --clients 0 --url wss://127.0.0.1:1/", "so nothing happens");
	refused("slow --share 0", "is nobody");
	refused("storm --storm-after 5", "the window ends after 5 s");
	refused("mixed", "needs --file");
	refused("mixed --file f --clients 3", "of which group?");
	refused("fanout --target nobody", "nobody");
	refused("fanout --prefix a\"b", "--prefix");
	refused("fanout --cpus 9999", "--cpus");
	refused("fanout --sources 127.0.0.9-127.0.0.1", "--sources");
	refused("fanout --sources 10.0.0.0-10.0.255.255", "more than 256");
	refused("fanout --compare a b", "leave out the scenario");
	refused("fanout --render a", "leave out the scenario");
	refused("--compare a", "needs two files");
	refused("--render a", "add --report");
}

static void kept_results_need_no_scenario(void **state)
{
	(void)state;
	assert_int_equal(read_line("--compare a.json b.json"), 0);
	assert_int_equal(settings.mode, LOAD_COMPARE);
	assert_string_equal(settings.compare_a, "a.json");
	assert_string_equal(settings.compare_b, "b.json");
	assert_int_equal(read_line("--render a.json --report b.html"), 0);
	assert_int_equal(settings.mode, LOAD_RENDER);
	assert_int_equal(read_line("--report b.html --render a.json"), 0);
	assert_int_equal(settings.mode, LOAD_RENDER);
	assert_int_equal(read_line("fanout --help"), 0);
	assert_int_equal(settings.mode, LOAD_HELP);
}

static void help_names_every_option_and_every_scenario(void **state)
{
	char *text = NULL, name[80];
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	load_help(out);
	fclose(out);
	for (uint32_t row = 0; row < load_option_count; row++) {
		const struct load_option *o = &load_option_table[row];

		snprintf(name, sizeof(name), o->file_only ? "  %s = yes" : "  --%s", o->name);
		if (!strstr(text, name))
			fail_msg("no '%s' in --help", name);
	}
	for (uint32_t i = 0; i < load_preset_count; i++) {
		snprintf(name, sizeof(name), "\n  %s ", load_preset_table[i].name);
		assert_non_null(strstr(text, name));
	}
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		assert_true(end - line <= 100);
		assert_true(end == line || end[-1] != ' ');
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_preset_is_a_plan_that_can_be_run),
		cmocka_unit_test(names_of_options_are_unique),
		cmocka_unit_test(a_preset_is_what_its_table_says),
		cmocka_unit_test(what_the_user_says_replaces_what_the_preset_says),
		cmocka_unit_test(json_takes_a_file_when_one_follows),
		cmocka_unit_test(own_channels_are_as_many_as_clients),
		cmocka_unit_test(slow_readers_share_the_channels_of_the_fast_and_may_lose),
		cmocka_unit_test(only_the_second_group_churns_or_drops),
		cmocka_unit_test(publishers_alone_have_a_channel_each),
		cmocka_unit_test(clients_that_shake_hands_do_so_all_at_once),
		cmocka_unit_test(a_wrong_line_is_refused_with_a_sentence_that_helps),
		cmocka_unit_test(kept_results_need_no_scenario),
		cmocka_unit_test(help_names_every_option_and_every_scenario),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
