/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages out of the texts of --help, and that nothing in a text becomes a request.
 */
#include "../unit.h"

#include <stdio.h>

#include "cli/manpage.c"

static char *page_of(const char *help)
{
	static char text[8192];
	const struct rc_manpage page = {
		.name = "ringcast-x", .about = "do x", .date = "2026-01-31", .also = "ringcast(1)"};
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_non_null(out);
	rc_manpage_write(out, &page, rc_str_of(help));
	assert_int_equal(fclose(out), 0);
	return text;
}

static void a_help_becomes_a_page(void **state)
{
	(void)state;
	assert_string_equal(page_of("usage: ringcast x [options] A\n"
				    "       ringcast x --all\n"
				    "\n"
				    "Does it.\n"
				    "Goes on.\n"
				    "\n"
				    "Another paragraph.\n"
				    "\n"
				    "  -n, --name NAME  what\n"
				    "                   and more\n"
				    "      --long       six blanks\n"
				    "  -h, --help\n"
				    "\n"
				    "Behind them.\n"
				    "\n"
				    "Status: 0 fine;\n"
				    "1 not.\n"),
		".TH \"RINGCAST-X\" 1 2026-01-31 \"ringcast " RC_VERSION "\"\n"
		".SH NAME\nringcast\\-x \\- do x\n"
		".SH SYNOPSIS\n.nf\nringcast x [options] A\nringcast x \\-\\-all\n.fi\n"
		".SH DESCRIPTION\nDoes it.\nGoes on.\n.PP\nAnother paragraph.\n"
		".SH OPTIONS\n.TP\n\\fB\\-n, \\-\\-name NAME\\fR\nwhat\nand more\n"
		".TP\n\\fB\\-\\-long\\fR\nsix blanks\n"
		".TP\n\\fB\\-h, \\-\\-help\\fR\nprint this text\n"
		".PP\nBehind them.\n"
		".SH \"EXIT STATUS\"\n0 fine;\n1 not.\n"
		".SH \"SEE ALSO\"\nringcast(1)\n");
}

static void a_line_in_front_of_entries_is_their_heading(void **state)
{
	(void)state;
	assert_non_null(strstr(page_of("usage: x\n\nThe run\n  --a  b\n\nOthers\n  --c  d\n"),
		".fi\n.SH OPTIONS\n.SS \"The run\"\n.TP\n\\fB\\-\\-a\\fR\nb\n.SS \"Others\"\n.TP\n"));
	assert_non_null(strstr(page_of("usage: x\n\nFlags\n  --a  b\n"), ".SH OPTIONS\n.TP\n"));
}

static void sections_of_the_configuration_are_left_out(void **state)
{
	char *text;

	(void)state;
	text = page_of("x: does x\n\nusage: x\n\nText.\n\n[server]\n  listen  where\n");
	assert_null(strstr(text, "listen"));
	assert_null(strstr(text, "does x"));
	assert_non_null(strstr(text, "Text.\n.SH \"SEE ALSO\"\n"));
}

static void nothing_in_a_text_is_a_request(void **state)
{
	(void)state;
	assert_non_null(
		strstr(page_of("usage: x\n\n.so /etc/passwd\n\n'quoted' \\fB \"a\" `b` ^ ~\n"),
			".SH DESCRIPTION\n\\&.so /etc/passwd\n.PP\n"
			"\\(aqquoted\\(aq \\efB \\(dqa\\(dq \\(gab\\(ga \\(ha \\(ti\n"));
	assert_non_null(strstr(page_of("usage: .x\n"), ".nf\n\\&.x\n.fi\n"));
}

static void any_text_makes_a_page(void **state)
{
	static const char *const texts[] = {"", "\n", "usage: ", "usage: x", "  --a", "text",
		"usage: x\n\n  --a", "Status: ", "usage: x\n       ", "[", "usage: x\n\n\n\n\n"};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(texts); i++) {
		char *text = page_of(texts[i]);
		assert_non_null(strstr(text, ".SH NAME\n"));
		assert_non_null(strstr(text, ".SH \"SEE ALSO\"\n"));
		assert_true((strstr(text, ".nf\n") == NULL) == (strstr(text, ".fi\n") == NULL));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_help_becomes_a_page),
		cmocka_unit_test(a_line_in_front_of_entries_is_their_heading),
		cmocka_unit_test(sections_of_the_configuration_are_left_out),
		cmocka_unit_test(nothing_in_a_text_is_a_request),
		cmocka_unit_test(any_text_makes_a_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
