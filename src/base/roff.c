/* SPDX-License-Identifier: Apache-2.0
 *
 * Escapes of man pages; the contract is in roff.h.
 */
#include "base/roff.h"

/* groff and mandoc print a bare - as a hyphen, a bare ' and ` as curved quotes: nothing that could be pasted into a shell. */
static void put(FILE *out, struct rc_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		switch (text.ptr[i]) {
		case '\\':
			(void)fputs("\\e", out);
			break;
		case '-':
			(void)fputs("\\-", out);
			break;
		case '\'':
			(void)fputs("\\(aq", out);
			break;
		case '`':
			(void)fputs("\\(ga", out);
			break;
		case '^':
			(void)fputs("\\(ha", out);
			break;
		case '~':
			(void)fputs("\\(ti", out);
			break;
		case '"':
			/* Within an argument of a request a bare one would end it. */
			(void)fputs("\\(dq", out);
			break;
		case '\n':
			(void)fputc(' ', out);
			break;
		default:
			(void)fputc((unsigned char)text.ptr[i], out);
		}
	}
}

void rc_roff_begin(FILE *out, const char *name, int section, const char *date)
{
	(void)fprintf(out, ".TH \"");
	for (; *name; name++)
		(void)fputc(*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name, out);
	(void)fprintf(out, "\" %d %s \"ringcast " RC_VERSION "\"\n", section, date);
}

void rc_roff_name(FILE *out, const char *name, const char *about)
{
	(void)fputs(".SH NAME\n", out);
	put(out, rc_str_of(name));
	(void)fputs(" \\- ", out);
	put(out, rc_str_of(about));
	(void)fputc('\n', out);
}

void rc_roff_section(FILE *out, const char *heading)
{
	(void)fprintf(out, ".SH %s\n", heading);
}

void rc_roff_subsection(FILE *out, struct rc_str heading)
{
	(void)fputs(".SS \"", out);
	put(out, heading);
	(void)fputs("\"\n", out);
}

void rc_roff_term(FILE *out, struct rc_str term)
{
	(void)fputs(".TP\n\\fB", out);
	put(out, term);
	(void)fputs("\\fR\n", out);
}

void rc_roff_paragraph(FILE *out)
{
	(void)fputs(".PP\n", out);
}

void rc_roff_text(FILE *out, struct rc_str text)
{
	while (text.len && text.ptr[0] == ' ') {
		text.ptr++;
		text.len--;
	}
	if (text.len == 0)
		return;
	/* A dot in front begins a request; a quote is escaped anyway. */
	if (text.ptr[0] == '.')
		(void)fputs("\\&", out);
	put(out, text);
	(void)fputc('\n', out);
}

void rc_roff_line(FILE *out, struct rc_str text)
{
	if (text.len == 0 || text.ptr[0] == '.')
		(void)fputs("\\&", out);
	put(out, text);
	(void)fputc('\n', out);
}
