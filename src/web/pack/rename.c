/* SPDX-License-Identifier: Apache-2.0 */
#include "rename.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "code.h"
#include "scope.h"

/* A label: as such it has no declaration, and stays. */
static bool is_label(const struct code *c, int i)
{
	return c->part[i].token.place == PLACE_BEGIN && code_is(c, i + 1, ":");
}

/* ---- regions ------------------------------------------------------------------------------------ */

/* Where the outermost statements stand: -1, or the brace of the function around a classic script. */
static int outermost_brace(const struct code *c, bool wrapped)
{
	for (int i = 0; i < c->count && wrapped; i++) {
		if (code_is(c, i, "{"))
			return i;
	}
	return -1;
}

/* The statement goes on, and with it what a `for` or an `if` declared before the brace or the semicolon. */
static bool goes_on(const struct code *c, int i)
{
	return code_is(c, i, "else") || code_is(c, i, "catch") || code_is(c, i, "finally") ||
	       code_is(c, i, "while");
}

static void find_regions(struct code *c, const char *path, bool wrapped)
{
	int all = outermost_brace(c, wrapped), region = 0;

	for (int i = 0; i < c->count; i++) {
		struct part *p = &c->part[i];
		p->region = region;
		/* A bracket stands outside of what it opens or closes. */
		bool ends = (code_is(c, i, ";") || p->token.ends) && !goes_on(c, i + 1);
		bool begins = code_is(c, i, "{") && p->token.bracket == BRACKET_CLASS;
		bool member = p->outer >= 0 && c->part[p->outer].outer == all &&
			      code_at(c, p->outer)->bracket == BRACKET_CLASS;
		if ((ends && (p->outer == all || member)) || (begins && p->outer == all))
			region++;
		if (region == REGIONS_MAX)
			fail("%s: more than %d regions", path, REGIONS_MAX);
		if (p->word < 0)
			continue;
		struct word *w = &c->word[p->word];
		w->regions[p->region / 8] |= (unsigned char)(1u << p->region % 8);
		w->outermost |= p->outer == all;
	}
}

/* The two are never in sight of each other. */
static bool apart(const struct word *a, const struct word *b)
{
	if (a->outermost && b->outermost)
		return false;
	for (size_t i = 0; i < sizeof(a->regions); i++) {
		if (a->regions[i] & b->regions[i])
			return false;
	}
	return true;
}

/* ---- names -------------------------------------------------------------------------------------- */

static bool everywhere(const struct word *w)
{
	return w->private || w->field;
}

static bool renamed(const struct word *w)
{
	return everywhere(w) || (w->declared && !w->kept && !w->free);
}

static void short_name(size_t n, struct word *w)
{
	/* Those that code has most come first, which compresses a little better. */
	static const char first[] = "etnsiraoclhdupmfgybvwkqxjzTENSIRAOCLHDUPMFGYBVWKQXJZ$";
	static const char rest[] = "etnsiraoclhdupmfgybvwkqxjzTENSIRAOCLHDUPMFGYBVWKQXJZ0123456789";
	size_t at = 0, firsts = sizeof(first) - 1, rests = sizeof(rest) - 1;

	if (everywhere(w))
		w->name[at++] = w->private ? '#' : '_';
	w->name[at++] = first[n % firsts];
	for (n /= firsts; n; n = (n - 1) / rests)
		w->name[at++] = rest[(n - 1) % rests];
	w->name[at] = '\0';
}

static int by_uses(const void *a, const void *b)
{
	const struct word *const *x = a, *const *y = b;

	if ((*x)->uses != (*y)->uses)
		return (*x)->uses < (*y)->uses ? 1 : -1;
	return (int)((*x)->token.ptr > (*y)->token.ptr) - ((*x)->token.ptr < (*y)->token.ptr);
}

/* A word that stays as it is has it, or one that is in sight, or the language. */
static bool taken(const struct code *c, const struct word *w)
{
	for (int i = 0; i < c->words; i++) {
		const struct word *other = &c->word[i];
		if (!renamed(other) && token_is(&other->token, w->name))
			return true;
		if (other != w && strcmp(other->name, w->name) == 0 &&
			(everywhere(w) || !apart(other, w)))
			return true;
	}
	const struct token name = {.ptr = w->name, .len = strlen(w->name)};
	return code_is_reserved(&name);
}

/* Those that are used most get the shortest. */
static void name_all(struct code *c)
{
	static struct word *order[WORDS_MAX];
	int count = 0;

	for (int i = 0; i < c->words; i++) {
		if (renamed(&c->word[i]))
			order[count++] = &c->word[i];
	}
	qsort(order, (size_t)count, sizeof(order) / WORDS_MAX, by_uses);
	for (int i = 0; i < count; i++) {
		size_t n = 0;
		do
			short_name(n++, order[i]);
		while (taken(c, order[i]));
	}
}

/* (name) => is name => as well. */
static bool opens_lone(const struct code *c, int i)
{
	const struct token *t = code_at(c, i + 1);

	return code_is(c, i, "(") && t->kind == TOKEN_WORD &&
	       !(t->ptr[0] >= '0' && t->ptr[0] <= '9') && code_is(c, i + 2, ")") &&
	       code_is(c, i + 3, "=>");
}

/* Writes 30000 as 3e4. Not before a dot, which would be one of the number. */
static bool round_number(const struct token *t, const struct token *next, char (*out)[24])
{
	size_t digits = t->len;

	if (t->kind != TOKEN_WORD || next->ptr[0] == '.' || t->ptr[0] < '1' || t->ptr[0] > '9' ||
		t->len > 15)
		return false;
	for (size_t i = 0; i < t->len; i++) {
		if (t->ptr[i] < '0' || t->ptr[i] > '9')
			return false;
	}
	while (t->ptr[digits - 1] == '0')
		digits--;
	if (t->len - digits < 3)
		return false;
	(void)snprintf(*out, sizeof(*out), "%.*se%zu", (int)digits, t->ptr, t->len - digits);
	return true;
}

/* What can be said with fewer letters. What was checked to be constant when it was written need not be so again. */
static struct token shorter(const struct code *c, int i)
{
	struct token out = c->part[i].token;
	const struct token *next = code_at(c, i + 1);

	/* ! binds less than these. */
	bool bound = next->kind == TOKEN_TEMPLATE || strchr(".?[(", next->ptr[0]) ||
		     token_is(next, "**");
	if (token_is(&out, "const"))
		out.ptr = "let";
	else if (token_is(&out, "true") && !bound)
		out.ptr = "!0";
	else if (token_is(&out, "false") && !bound)
		out.ptr = "!1";
	else
		return out;
	out.len = strlen(out.ptr);
	return out;
}

static void add_part(const struct code *c, int i, struct text *out)
{
	struct token t = c->part[i].token;
	const struct word *w = c->part[i].word < 0 ? NULL : &c->word[c->part[i].word];

	if (w && !code_is_property(c, i) && !code_is_shorthand(c, i))
		t = shorter(c, i);
	char number[24];
	if (round_number(&t, code_at(c, i + 1), &number)) {
		t.ptr = number;
		t.len = strlen(number);
	}
	t.blank_before |= opens_lone(c, i - 1);
	if (!w || !w->name[0] || (!everywhere(w) && code_is_property(c, i))) {
		script_add(out, &t);
		return;
	}
	/* Of a field the key is renamed, too. */
	bool both = !everywhere(w) && code_is_shorthand(c, i);
	bool exported = both && code_is(c, c->part[i].outer - 1, "export");
	if (both && !exported) {
		script_add(out, &t);
		text_add_char(out, ':');
	}
	struct token name = t;
	name.ptr = w->name;
	name.len = strlen(w->name);
	script_add(out, &name);
	if (exported) {
		text_add_str(out, " as ");
		text_add(out, t.ptr, t.len);
	}
}

static bool leaves(const struct code *c, int i)
{
	return code_at(c, i)->place == PLACE_BEGIN &&
	       (code_is(c, i, "return") || code_is(c, i, "break") || code_is(c, i, "continue"));
}

/* What says nothing that the next token does not say. A semicolon before a closing brace, which ends the statement as well; one that is
 * a statement itself stays. A comma behind the last of a list; in an array it may be a hole, and stays. */
static bool is_needless(const struct code *c, int i)
{
	bool ends = code_is(c, i + 1, "}");

	if (code_is(c, i, ";"))
		return ends && (code_at(c, i)->place == PLACE_OPERATOR || leaves(c, i - 1));
	if (code_is(c, i, ","))
		return ends || code_is(c, i + 1, ")");
	return opens_lone(c, i) || opens_lone(c, i - 2);
}

static bool declares(const struct code *c, int i)
{
	return code_at(c, i)->place == PLACE_BEGIN &&
	       (code_is(c, i, "let") || code_is(c, i, "const"));
}

/* A semicolon between two declarations of one block, which may be one. */
static bool joins(const struct code *c, int i)
{
	int begin = i;

	if (!code_is(c, i, ";") || code_at(c, i)->place != PLACE_OPERATOR || !declares(c, i + 1))
		return false;
	do
		begin--;
	while (begin >= 0 && (c->part[begin].outer != c->part[i].outer ||
				     code_at(c, begin)->place != PLACE_BEGIN));
	return declares(c, begin);
}

struct text rename_all(const struct text *source, const char *path, bool wrapped)
{
	struct code c;
	struct text out = {0};

	code_read(&c, source, path);
	scope_find(&c);
	find_regions(&c, path, wrapped);
	for (int i = 0; i < c.count; i++) {
		if (c.part[i].word < 0)
			continue;
		struct word *w = &c.word[c.part[i].word];
		w->uses += everywhere(w) || !code_is_property(&c, i);
		w->kept |= is_label(&c, i);
	}
	name_all(&c);
	for (int i = 0; i < c.count; i++) {
		if (joins(&c, i)) {
			text_add_char(&out, ',');
			i++; /* let */
		} else if (!is_needless(&c, i)) {
			add_part(&c, i, &out);
		}
	}
	text_add_char(&out, '\n');
	return out;
}
