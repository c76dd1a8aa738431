/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of `ringcast top`: bytes to keys, keys to what is shown, and seeded noise into both.
 */
#include "../unit.h"

#include "cli/topkeys.c"
#include "cli/topui.c"

/* The one key in the bytes; RC_KEY_NONE when there is none. */
static uint32_t key_in(const char *bytes)
{
	struct rc_top_keys k = {0};
	uint32_t found = RC_KEY_NONE;
	for (; *bytes != '\0'; bytes++) {
		uint32_t key = rc_top_keys_feed(&k, (unsigned char)*bytes);
		if (key != RC_KEY_NONE) {
			assert_int_equal(found, RC_KEY_NONE);
			found = key;
		}
	}
	return found;
}

static void keys_of_every_terminal_are_known(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t key;
	} known[] = {{"q", 'q'}, {"/", '/'}, {"\r", RC_KEY_ENTER}, {"\n", RC_KEY_ENTER},
		{"\x7f", RC_KEY_BACKSPACE}, {"\b", RC_KEY_BACKSPACE}, {"\t", RC_KEY_TAB},
		{"\033[A", RC_KEY_UP}, {"\033OA", RC_KEY_UP}, {"\033[B", RC_KEY_DOWN},
		{"\033[1;5B", RC_KEY_DOWN}, {"\033[C", RC_KEY_RIGHT}, {"\033[D", RC_KEY_LEFT},
		{"\033[5~", RC_KEY_PAGE_UP}, {"\033[6~", RC_KEY_PAGE_DOWN},
		{"\033[6;2~", RC_KEY_PAGE_DOWN}, {"\033[H", RC_KEY_HOME}, {"\033[1~", RC_KEY_HOME},
		{"\033[7~", RC_KEY_HOME}, {"\033OH", RC_KEY_HOME}, {"\033[F", RC_KEY_END},
		{"\033[4~", RC_KEY_END}, {"\033[Z", RC_KEY_BACK_TAB}, {"\x04", RC_KEY_END_OF_FILE},
		{"\x15", RC_KEY_ERASE_LINE}, {"\033OM", RC_KEY_ENTER}};
	static const char *const unknown[] = {"\033[24~", "\033[200~", "\033[99999999999999999999~",
		"\033[<0;1;1M", "\033[?1;2c", "\033x", "\303\244", "\001", "\033[;5~"};
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(known); i++)
		if (key_in(known[i].bytes) != known[i].key)
			fail_msg("number %zu", i);
	for (size_t i = 0; i < RC_ARRAY_LEN(unknown); i++)
		if (key_in(unknown[i]) != RC_KEY_NONE)
			fail_msg("unknown number %zu", i);
}

static void escape_is_a_key_when_nothing_follows(void **state)
{
	struct rc_top_keys k = {0};
	(void)state;
	assert_int_equal(rc_top_keys_feed(&k, 0x1b), RC_KEY_NONE);
	assert_true(rc_top_keys_waiting(&k));
	assert_int_equal(rc_top_keys_timeout(&k), RC_KEY_ESCAPE);
	assert_false(rc_top_keys_waiting(&k));
	assert_int_equal(rc_top_keys_feed(&k, 'q'), 'q');
	/* Twice: the first is one, the second begins a sequence. */
	assert_int_equal(rc_top_keys_feed(&k, 0x1b), RC_KEY_NONE);
	assert_int_equal(rc_top_keys_feed(&k, 0x1b), RC_KEY_ESCAPE);
	assert_int_equal(rc_top_keys_feed(&k, '['), RC_KEY_NONE);
	/* A sequence that is cut is no key. */
	assert_int_equal(rc_top_keys_timeout(&k), RC_KEY_NONE);
	assert_int_equal(rc_top_keys_feed(&k, 'A'), 'A');
	/* One within another ends it. */
	static const char bytes[] = "\033[1\033[B";
	uint32_t last = RC_KEY_NONE;
	for (size_t i = 0; i < sizeof(bytes) - 1; i++)
		last = rc_top_keys_feed(&k, (unsigned char)bytes[i]);
	assert_int_equal(last, RC_KEY_DOWN);
}

static void press(struct rc_top_ui *ui, const char *keys)
{
	for (; *keys != '\0'; keys++)
		assert_true(rc_top_ui_key(ui, (unsigned char)*keys));
}

static void views_follow_numbers_and_tab(void **state)
{
	struct rc_top_ui ui = {0};
	(void)state;
	press(&ui, "3");
	assert_int_equal(ui.view, RC_TOP_COUNTERS);
	press(&ui, "\t");
	assert_int_equal(ui.view, RC_TOP_OVERVIEW);
	assert_true(rc_top_ui_key(&ui, RC_KEY_BACK_TAB));
	assert_int_equal(ui.view, RC_TOP_COUNTERS);
	press(&ui, "?");
	assert_true(ui.help);
	press(&ui, "2");
	assert_false(ui.help);
	assert_int_equal(ui.view, RC_TOP_SHARDS);
	press(&ui, "p");
	assert_true(ui.paused);
	press(&ui, "p");
	assert_false(ui.paused);
	for (uint32_t i = 0; i < RC_TOP_SORT_COUNT; i++)
		press(&ui, "s");
	assert_int_equal(ui.sort, RC_TOP_BY_SHARD);
	press(&ui, "S");
	assert_int_equal(ui.sort, RC_TOP_SORT_COUNT - 1);
	assert_false(rc_top_ui_key(&ui, 'q'));
	assert_false(rc_top_ui_key(&ui, RC_KEY_END_OF_FILE));
}

static void a_filter_takes_what_is_typed_also_q(void **state)
{
	struct rc_top_ui ui = {0};
	(void)state;
	press(&ui, "/SQ_f");
	assert_true(ui.typing && ui.view == RC_TOP_COUNTERS);
	assert_string_equal(ui.filter, "SQ_f");
	assert_true(rc_top_ui_passes(&ui, "sq_full") && !rc_top_ui_passes(&ui, "sends"));
	press(&ui, "\x7f\x7f\r");
	assert_string_equal(ui.filter, "SQ");
	assert_false(ui.typing);
	assert_true(rc_top_ui_key(&ui, RC_KEY_ESCAPE));
	assert_string_equal(ui.filter, "");
	press(&ui, "/");
	for (uint32_t i = 0; i < 2 * RC_TOP_FILTER_MAX; i++)
		press(&ui, "x");
	assert_int_equal(strlen(ui.filter), RC_TOP_FILTER_MAX);
	assert_true(rc_top_ui_key(&ui, RC_KEY_ERASE_LINE));
	assert_string_equal(ui.filter, "");
	assert_true(ui.typing);
	press(&ui, "\x7f");
	assert_false(ui.typing);
	assert_false(rc_top_ui_key(&ui, 'q'));
}

static void scrolling_has_two_ends(void **state)
{
	struct rc_top_ui ui = {.view = RC_TOP_SHARDS, .page = 10};
	(void)state;
	assert_true(rc_top_ui_key(&ui, RC_KEY_UP));
	assert_int_equal(ui.first[RC_TOP_SHARDS], 0);
	assert_true(rc_top_ui_key(&ui, RC_KEY_PAGE_DOWN));
	assert_true(rc_top_ui_key(&ui, RC_KEY_DOWN));
	assert_int_equal(ui.first[RC_TOP_SHARDS], 11);
	assert_true(rc_top_ui_key(&ui, RC_KEY_PAGE_UP));
	assert_true(rc_top_ui_key(&ui, RC_KEY_PAGE_UP));
	assert_int_equal(ui.first[RC_TOP_SHARDS], 0);
	assert_true(rc_top_ui_key(&ui, RC_KEY_END));
	assert_true(rc_top_ui_key(&ui, RC_KEY_PAGE_DOWN));
	assert_int_equal(ui.first[RC_TOP_SHARDS], UINT32_MAX);
	assert_true(rc_top_ui_key(&ui, RC_KEY_HOME));
	assert_int_equal(ui.first[RC_TOP_SHARDS], 0);
}

static void noise_from_the_terminal_keeps_everything_in_bounds(void **state)
{
	static const char some[] = "\033\033[[O;;0159~ABHFMZ/qps123?\r\x7f\t";
	struct rc_top_keys k = {0};
	struct rc_top_ui ui = {0};
	uint64_t seed = 88172645463325252u;
	(void)state;
	for (uint32_t n = 0; n < 300000; n++) {
		/* xorshift64 */
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		unsigned char byte =
			(seed & 0x300) == 0
				? (unsigned char)seed
				: (unsigned char)some[(seed >> 12) % (sizeof(some) - 1)];
		uint32_t key = (seed >> 40) % 50 == 0 ? rc_top_keys_timeout(&k)
						      : rc_top_keys_feed(&k, byte);
		assert_true(key <= RC_KEY_ERASE_LINE);
		(void)!rc_top_ui_key(&ui, key);
		assert_true(ui.view < RC_TOP_VIEW_COUNT && ui.sort < RC_TOP_SORT_COUNT);
		assert_true(memchr(ui.filter, '\0', sizeof(ui.filter)) != NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_every_terminal_are_known),
		cmocka_unit_test(escape_is_a_key_when_nothing_follows),
		cmocka_unit_test(views_follow_numbers_and_tab),
		cmocka_unit_test(a_filter_takes_what_is_typed_also_q),
		cmocka_unit_test(scrolling_has_two_ends),
		cmocka_unit_test(noise_from_the_terminal_keeps_everything_in_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
