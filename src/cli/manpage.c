/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the text of a --help line by line and writes it as a page; the contract is in manpage.h.
 */
#include "cli/manpage.h"

#include "base/roff.h"

/* An entry is indented by so much at most; what is further in goes on with the last one. */
#define ENTRY_INDENT_MAX 6

enum part { PART_NONE, PART_SYNOPSIS, PART_DESCRIPTION, PART_OPTIONS, PART_STATUS };

struct lines {
	struct rc_str rest;
	struct rc_str line, next; /* without line ends; next.ptr NULL: that was the last one */
};

static struct rc_str cut_line(struct rc_str *rest)
{
	struct rc_str line = {NULL, 0};
	const char *end;

	if (rest->len == 0)
		return line;
	end = memchr(rest->ptr, '\n', rest->len);
	line = (struct rc_str){rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
	rest->ptr += line.len + (end != NULL);
	rest->len -= line.len + (end != NULL);
	return line;
}

static bool next_line(struct lines *l)
{
	l->line = l->next;
	l->next = cut_line(&l->rest);
	return l->line.ptr != NULL;
}

static size_t indent_of(struct rc_str line)
{
	size_t n = 0;

	while (n < line.len && line.ptr[n] == ' ')
		n++;
	return n;
}

static bool is_entry(struct rc_str line)
{
	size_t indent = indent_of(line);

	return line.len > indent && indent > 0 && indent <= ENTRY_INDENT_MAX;
}

static struct rc_str behind(struct rc_str line, size_t n)
{
	return (struct rc_str){line.ptr + n, line.len - n};
}

/* The text behind the first colon, "usage: x" or "Status: 0 fine". */
static struct rc_str behind_colon(struct rc_str line)
{
	const char *colon = memchr(line.ptr, ':', line.len);
	size_t n = (size_t)(colon - line.ptr) + 1;

	return behind(line, n + (n < line.len && line.ptr[n] == ' '));
}

/* Whether it wrote the heading of the part. */
static bool begin(FILE *out, enum part *part, enum part wanted)
{
	static const char *const headings[] = {
		[PART_SYNOPSIS] = "SYNOPSIS",
		[PART_DESCRIPTION] = "DESCRIPTION",
		[PART_OPTIONS] = "OPTIONS",
		[PART_STATUS] = "\"EXIT STATUS\"",
	};

	if (*part == wanted)
		return false;
	if (*part == PART_SYNOPSIS)
		(void)fputs(".fi\n", out);
	/* Text between options, and behind them, stays where it is. */
	if (*part == PART_OPTIONS && wanted == PART_DESCRIPTION)
		return false;
	rc_roff_section(out, headings[wanted]);
	if (wanted == PART_SYNOPSIS)
		(void)fputs(".nf\n", out);
	*part = wanted;
	return true;
}

/* "  -h, --help", "  --text   what it does": the term ends where two blanks begin. */
static void write_entry(FILE *out, struct rc_str line)
{
	struct rc_str term = behind(line, indent_of(line));
	size_t end = 0;

	while (end < term.len &&
		!(term.ptr[end] == ' ' && (end + 1 == term.len || term.ptr[end + 1] == ' ')))
		end++;
	rc_roff_term(out, (struct rc_str){term.ptr, end});
	rc_roff_text(out, behind(term, end));
	if (end == term.len && end >= 6 && rc_str_eq(behind(term, end - 6), RC_STR("--help")))
		rc_roff_text(out, RC_STR("print this text"));
}

/* A line at the margin: a heading where it stands alone in front of entries, else text. */
static void write_text(FILE *out, const struct lines *l, enum part *part, bool apart)
{
	if (apart && is_entry(l->next)) {
		(void)begin(out, part, PART_OPTIONS);
		if (!rc_str_eq(l->line, RC_STR("Flags")))
			rc_roff_subsection(out, l->line);
		return;
	}
	if (!begin(out, part, *part == PART_STATUS ? PART_STATUS : PART_DESCRIPTION) && apart)
		rc_roff_paragraph(out);
	rc_roff_text(out, l->line);
}

/* One line of the help, which is not empty. False: what follows stands elsewhere. */
static bool write_line(FILE *out, const struct lines *l, enum part *part, bool apart)
{
	size_t indent = indent_of(l->line);

	if (rc_str_starts(l->line, RC_STR("usage: "))) {
		(void)begin(out, part, PART_SYNOPSIS);
		rc_roff_line(out, behind_colon(l->line));
	} else if (*part == PART_SYNOPSIS && indent && !apart) {
		rc_roff_line(out, behind(l->line, indent));
	} else if (rc_str_starts(l->line, RC_STR("Status: ")) ||
		   rc_str_starts(l->line, RC_STR("Exit status: "))) {
		(void)begin(out, part, PART_STATUS);
		rc_roff_text(out, behind_colon(l->line));
	} else if (l->line.ptr[0] == '[') {
		return false;
	} else if (is_entry(l->line)) {
		(void)begin(out, part, PART_OPTIONS);
		write_entry(out, l->line);
	} else if (indent) {
		rc_roff_text(out, l->line);
	} else if (*part != PART_NONE) {
		/* In front of the synopsis stands what the name says already. */
		write_text(out, l, part, apart);
	}
	return true;
}

void rc_manpage_write(FILE *out, const struct rc_manpage *page, struct rc_str help)
{
	struct lines l = {.rest = help};
	enum part part = PART_NONE;
	bool apart = false; /* a blank line came before */

	rc_roff_begin(out, page->name, 1, page->date);
	rc_roff_name(out, page->name, page->about);
	(void)next_line(&l);
	while (next_line(&l) && (l.line.len == 0 || write_line(out, &l, &part, apart)))
		apart = l.line.len == 0;
	if (part == PART_SYNOPSIS)
		(void)fputs(".fi\n", out);
	rc_roff_section(out, "\"SEE ALSO\"");
	rc_roff_text(out, rc_str_of(page->also));
}
