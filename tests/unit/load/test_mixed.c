/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of the scenario mixed.
 */
#include "../unit.h"

#include <stdio.h>

#include "load/options.h"

static struct load_settings settings;
static struct rc_error err;

static int read_text(const char *text)
{
	load_settings_init(&settings);
	assert_int_equal(load_scenario(&settings, "mixed", &err), 0);
	err.text[0] = 0;
	return load_mixed_text(&settings, "mix.ini", rc_str_of(text), &err);
}

static void refused(const char *text, const char *words)
{
	if (read_text(text) == 0)
		fail_msg("'%s' was taken", text);
	if (!strstr(err.text, words))
		fail_msg("'%s' was refused with '%s', without '%s'", text, err.text, words);
}

static void every_section_becomes_a_group(void **state)
{
	const struct load_group *g = settings.plan.group;

	(void)state;
	if (read_text("; two kinds of clients\n"
		      "[run]\n"
		      "seconds = 12 ; longer\n"
		      "  threads=2\r\n"
		      "\n"
		      "[readers]\n"
		      "clients = 100\n"
		      "channels = 5\n"
		      "publishers = 1\n"
		      "rate = 5000\n"
		      "# those do not read\n"
		      "[ sleepers ]\n"
		      "channels-of = readers\n"
		      "clients = 50\n"
		      "read-rate = 0\n"
		      "may-lose = yes\n"
		      "[others]\n"
		      "clients = 10\n"
		      "spread = own") < 0)
		fail_msg("%s", err.text);
	assert_int_equal(settings.plan.groups, 3);
	assert_true(settings.plan.seconds == 12);
	assert_int_equal(settings.plan.threads, 2);
	assert_string_equal(g[0].name, "readers");
	assert_int_equal(g[0].clients, 100);
	assert_true(g[0].rate == 5000);
	assert_string_equal(g[1].name, "sleepers");
	assert_int_equal(g[1].first_channel, 0);
	assert_int_equal(g[1].channels, 5);
	assert_int_equal(g[1].reading, LOAD_READS_NEVER);
	assert_true(g[1].may_lose);
	/* Nothing of a group is left over in the next one. */
	assert_false(g[2].may_lose);
	assert_true(g[2].rate == 0);
	assert_int_equal(g[2].first_channel, 5);
	assert_int_equal(g[2].channels, 10);
	assert_int_equal(settings.plan.channels, 15);
}

static void the_command_line_wins_over_the_run_section(void **state)
{
	char word[6][16] = {"ringcast-load", "mixed", "--file", "mix.ini", "--seconds", "3"};
	char *argv[] = {word[0], word[1], word[2], word[3], word[4], word[5]};

	(void)state;
	assert_int_equal(load_settings_read(&settings, 6, argv, &err), 0);
	assert_int_equal(load_mixed_text(&settings, "mix.ini",
				 RC_STR("[run]\nseconds = 9\nwarm = 2\n[a]\nclients = 1\n"), &err),
		0);
	assert_true(settings.plan.seconds == 3);
	assert_true(settings.plan.warm == 2);
}

static void what_is_wrong_is_named_with_its_line(void **state)
{
	(void)state;
	refused("", "has no group");
	refused("[run]\nseconds = 3\n", "has no group");
	refused("clients = 3\n", "mix.ini:1: a key before the first section");
	refused("[a]\nclint = 3\n",
		"mix.ini:2: unknown key 'clint' in [a]; did you mean 'clients'?");
	refused("[a]\nseconds = 3\n", "mix.ini:2: unknown key 'seconds' in [a]");
	refused("[run]\nclients = 3\n", "mix.ini:2: unknown key 'clients' in [run]");
	refused("[a]\nclients = many\n", "mix.ini:2: clients: 'many' is not a whole number");
	refused("[a]\nclients = 1\nclients = 2\n", "mix.ini:3: clients is set a second time");
	refused("[a]\nclients\n", "mix.ini:2: is neither");
	refused("[a\n", "mix.ini:1: the section's closing ]");
	refused("[]\n", "mix.ini:1: a section's name");
	refused("[a]\nclients = 1\n[a]\n", "mix.ini:3: there is a group [a] already");
	refused("[a]\nmay-lose = 1\n", "mix.ini:2: may-lose: '1' is neither yes nor no");
	refused("[a]\nchannels-of = b\n[b]\n", "mix.ini:2: channels-of: there is no group [b]");
	refused("[a]\nrate = 1\nin-flight = 1\n", "leave out one");
	refused("[a]\n[b]\nchannels-of = a\nchannels = 3\n", "leave them out here");
	refused("[a]\n[b]\nchannels-of = a\nspread = own\n", "leave out channels-of");
	refused("[1]\n[2]\n[3]\n[4]\n[5]\n[6]\n[7]\n[8]\n[9]\n", "8 groups and no more");
}

static void a_missing_file_is_a_sentence(void **state)
{
	(void)state;
	load_settings_init(&settings);
	strcpy(settings.file, "/nonexistent/mix.ini");
	assert_true(load_mixed(&settings, &err) < 0);
	assert_non_null(strstr(err.text, "cannot open /nonexistent/mix.ini"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_section_becomes_a_group),
		cmocka_unit_test(the_command_line_wins_over_the_run_section),
		cmocka_unit_test(what_is_wrong_is_named_with_its_line),
		cmocka_unit_test(a_missing_file_is_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
