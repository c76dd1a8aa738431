/* SPDX-License-Identifier: Apache-2.0 */
#include "scope.h"

#include <stdlib.h>

/* Tokens between which a declaration is in sight. */
struct range {
	int word, begin, end;
};

struct scopes {
	struct code *code;
	struct range *range;
	size_t count, size;
};

static void declare(struct scopes *s, int i, int begin, int end)
{
	struct code *c = s->code;

	if (i >= c->count || c->part[i].word < 0)
		return;
	c->word[c->part[i].word].declared = true;
	if (s->count == s->size) {
		s->size = s->size ? 2 * s->size : 1024;
		s->range = realloc(s->range, s->size * sizeof(*s->range));
		if (!s->range)
			fail("no memory");
	}
	s->range[s->count++] = (struct range){c->part[i].word, begin, end};
}

/* ---- where something ends ----------------------------------------------------------------------- */

static enum bracket bracket_at(const struct code *c, int i)
{
	return i < 0 ? BRACKET_NONE : code_at(c, i)->bracket;
}

static bool opens(const struct code *c, int i)
{
	return i < c->count && c->part[i].match > i;
}

static bool closes(const struct code *c, int i)
{
	return i < c->count && c->part[i].match >= 0 && c->part[i].match < i;
}

/* The last token of a statement that begins at i, or one before that. */
static int statement_end(const struct code *c, int i)
{
	for (int k = i; k < c->count; k++) {
		if (code_is(c, k, ";"))
			return k;
		if (k > i && c->part[k].token.ends_line)
			return k - 1;
		if (opens(c, k)) {
			k = c->part[k].match;
			if (c->part[k].token.ends)
				return k;
		} else if (closes(c, k)) {
			return k - 1;
		}
	}
	return c->count - 1;
}

/* The last token of an arrow's body that begins at i. */
static int body_end(const struct code *c, int i)
{
	int questions = 0;

	if (bracket_at(c, i) == BRACKET_FUNCTION)
		return c->part[i].match;
	for (int k = i; k < c->count; k++) {
		questions += code_is(c, k, "?");
		if (code_is(c, k, ";") || code_is(c, k, ",") || closes(c, k) ||
			c->part[k].token.ends_line || (code_is(c, k, ":") && questions-- == 0))
			return k - 1;
		while (opens(c, k))
			k = c->part[k].match;
	}
	return c->count - 1;
}

/* ---- patterns ----------------------------------------------------------------------------------- */

/* From what is behind a pattern: to the comma behind its value, or `end`, or what ends the statement before. */
static int skip_value(const struct code *c, int i, int end)
{
	while (i < end && !code_is(c, i, ",") && !code_is(c, i, ";") && !closes(c, i) &&
		!c->part[i].token.ends_line) {
		while (opens(c, i))
			i = c->part[i].match;
		i++;
	}
	return i;
}

/* A name, or a pattern with names. Returns what is behind it. */
static int declare_pattern(struct scopes *s, int i, int begin, int end)
{
	const struct code *c = s->code;
	bool object = code_is(c, i, "{");

	if (code_is(c, i, "..."))
		return declare_pattern(s, i + 1, begin, end);
	if (!object && !code_is(c, i, "[")) {
		declare(s, i, begin, end);
		return i + 1;
	}
	int stop = c->part[i].match;
	for (i++; i < stop; i++) {
		if (code_is(c, i, ","))
			continue;
		if (!object || code_is(c, i, "...")) {
			i = declare_pattern(s, i, begin, end);
		} else {
			int behind = code_is(c, i, "[") ? c->part[i].match + 1 : i + 1;
			if (code_is(c, behind, ":"))
				i = declare_pattern(s, behind + 1, begin, end);
			else
				i = declare_pattern(s, i, begin, end);
		}
		i = skip_value(c, i, stop);
	}
	return stop + 1;
}

/* Patterns with commas between them, each perhaps with a value: from i to before `stop`. */
static void declare_list(struct scopes *s, int i, int stop, int begin, int end)
{
	const struct code *c = s->code;

	while (i < stop) {
		i = declare_pattern(s, i, begin, end);
		if (code_is(c, i, "of") || code_is(c, i, "in"))
			return;
		i = skip_value(c, i, stop);
		if (!code_is(c, i, ","))
			return;
		i++;
	}
}

/* ---- declarations ------------------------------------------------------------------------------- */

/* What is declared at i by a statement: const, let, class, function. */
static void sight(const struct code *c, int i, int *begin, int *end)
{
	int outer = c->part[i].outer;

	*begin = outer;
	*end = outer < 0 ? c->count : c->part[outer].match;
	if (bracket_at(c, outer) == BRACKET_HEAD)
		*end = statement_end(c, *end + 1);
}

static void find_variables(struct scopes *s, int i)
{
	struct code *c = s->code;
	int begin, end;

	sight(c, i, &begin, &end);
	if (code_is(c, i, "var")) {
		int outer = c->part[i].outer;
		while (outer >= 0 && bracket_at(c, outer) != BRACKET_FUNCTION)
			outer = c->part[outer].outer;
		begin = outer;
		end = outer < 0 ? c->count : c->part[outer].match;
	}
	size_t from = s->count;
	declare_list(s, i + 1, c->count, begin, end);
	for (; code_is(c, i, "var") && from < s->count; from++)
		c->word[s->range[from].word].outermost = true;
}

/* A function or a class with its name. */
static void find_named(struct scopes *s, int i)
{
	struct code *c = s->code;
	int name = i + 1 + code_is(c, i + 1, "*"), begin, end;

	if (name >= c->count || c->part[name].word < 0 || code_is(c, name, "extends"))
		return;
	sight(c, i, &begin, &end);
	if (c->part[i].token.place != PLACE_BEGIN) {
		begin = end = i;
		while (end < c->count && bracket_at(c, end) != BRACKET_CLASS &&
			bracket_at(c, end) != BRACKET_FUNCTION)
			end = opens(c, end) ? c->part[end].match + 1 : end + 1;
		end = end < c->count ? c->part[end].match : i;
	} else if (bracket_at(c, c->part[i].outer) == BRACKET_BLOCK) {
		/* In a script it is in sight around the block, too. */
		c->word[c->part[name].word].outermost = true;
	}
	declare(s, name, begin, end);
}

static void find_parameters(struct scopes *s, int i)
{
	const struct code *c = s->code;
	int close = c->part[i].match;
	enum bracket bracket = bracket_at(c, i);

	if (code_is(c, close + 1, "=>"))
		declare_list(s, i + 1, close, i, body_end(c, close + 2));
	else if (bracket == BRACKET_PARAMETERS ||
		 (bracket == BRACKET_HEAD && code_is(c, i - 1, "catch")))
		declare_list(s, i + 1, close, i, c->part[close + 1].match);
}

static void find_declarations(struct scopes *s)
{
	const struct code *c = s->code;

	for (int i = 0; i < c->count; i++) {
		if (c->part[i].word >= 0 && code_is_property(c, i))
			continue;
		if (code_is(c, i, "const") || code_is(c, i, "let") || code_is(c, i, "var"))
			find_variables(s, i);
		else if (code_is(c, i, "function") || code_is(c, i, "class"))
			find_named(s, i);
		else if (code_is(c, i, "("))
			find_parameters(s, i);
		else if (code_is(c, i, "import") && code_is(c, i + 1, "{"))
			declare_pattern(s, i + 1, -1, c->count);
		else if (c->part[i].word >= 0 && code_is(c, i + 1, "=>"))
			declare(s, i, i, body_end(c, i + 2));
	}
}

static bool in_sight(const struct scopes *s, int i)
{
	for (size_t k = 0; k < s->count; k++) {
		const struct range *r = &s->range[k];
		if (r->word == s->code->part[i].word && i >= r->begin && i <= r->end)
			return true;
	}
	return false;
}

void scope_find(struct code *c)
{
	struct scopes s = {.code = c};

	find_declarations(&s);
	for (int i = 0; i < c->count; i++) {
		if (c->part[i].word < 0 || code_is_property(c, i))
			continue;
		struct word *w = &c->word[c->part[i].word];
		if (!w->kept && !w->private && !w->free && !in_sight(&s, i))
			w->free = c->part[i].token.ptr;
	}
	free(s.range);
}
