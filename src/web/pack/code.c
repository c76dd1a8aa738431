/* SPDX-License-Identifier: Apache-2.0 */
#include "code.h"

#include <stdlib.h>
#include <string.h>

static const char *const reserved[] = {
	"arguments",
	"as",
	"async",
	"await",
	"break",
	"case",
	"catch",
	"class",
	"const",
	"continue",
	"debugger",
	"default",
	"delete",
	"do",
	"else",
	"eval",
	"export",
	"extends",
	"false",
	"finally",
	"for",
	"from",
	"function",
	"if",
	"import",
	"in",
	"instanceof",
	"let",
	"new",
	"null",
	"of",
	"return",
	"super",
	"switch",
	"this",
	"throw",
	"true",
	"try",
	"typeof",
	"undefined",
	"var",
	"void",
	"while",
	"with",
	"yield",
};

bool code_is_reserved(const struct token *t)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (token_is(t, reserved[i]))
			return true;
	}
	return false;
}

/* ---- reading ------------------------------------------------------------------------------------ */

static int word_of(struct code *c, const struct token *t, const char *path)
{
	if (t->kind != TOKEN_WORD && t->kind != TOKEN_PRIVATE)
		return -1;
	if (t->ptr[0] >= '0' && t->ptr[0] <= '9')
		return -1;
	for (int i = 0; i < c->words; i++) {
		const struct token *w = &c->word[i].token;
		if (w->len == t->len && memcmp(w->ptr, t->ptr, t->len) == 0)
			return i;
	}
	if (c->words == WORDS_MAX)
		fail("%s: more than %d names", path, WORDS_MAX);
	c->word[c->words] = (struct word){
		.token = *t,
		.private = t->kind == TOKEN_PRIVATE,
		.field = t->kind == TOKEN_WORD && t->len > 1 && t->ptr[0] == '_',
		.kept = code_is_reserved(t),
	};
	return c->words++;
}

static bool opens(const struct token *t)
{
	if (t->kind == TOKEN_TEMPLATE)
		return t->ptr[t->len - 1] == '{';
	return token_is(t, "(") || token_is(t, "[") || token_is(t, "{");
}

static bool closes(const struct token *t)
{
	if (t->kind == TOKEN_TEMPLATE)
		return t->ptr[0] == '}';
	return token_is(t, ")") || token_is(t, "]") || token_is(t, "}");
}

void code_read(struct code *c, const struct text *source, const char *path)
{
	struct lexer l;
	int outer = -1;

	*c = (struct code){.word = calloc(WORDS_MAX, sizeof(struct word))};
	if (!c->word)
		fail("no memory");
	lexer_open(&l, path, source);
	for (struct token t = lexer_next(&l); t.kind != TOKEN_END; t = lexer_next(&l)) {
		if (c->count == c->size) {
			c->size = c->size ? 2 * c->size : 4096;
			c->part = realloc(c->part, (size_t)c->size * sizeof(*c->part));
			if (!c->part)
				fail("no memory");
		}
		int i = c->count++;
		struct part *p = &c->part[i];
		*p = (struct part){.token = t, .word = word_of(c, &t, path), .match = -1};
		/* A part of a template may close one expression and open another. */
		if (closes(&t)) {
			c->part[outer].match = i;
			p->match = outer;
			outer = c->part[outer].outer;
		}
		p->outer = outer;
		if (opens(&t))
			outer = i;
	}
}

/* ---- looking around ----------------------------------------------------------------------------- */

const struct token *code_at(const struct code *c, int i)
{
	static const struct token nothing = {.kind = TOKEN_END, .ptr = ""};

	return i >= 0 && i < c->count ? &c->part[i].token : &nothing;
}

bool code_is(const struct code *c, int i, const char *str)
{
	return token_is(code_at(c, i), str);
}

bool code_is_shorthand(const struct code *c, int i)
{
	int outer = c->part[i].outer;

	return outer >= 0 && c->part[outer].token.bracket == BRACKET_OBJECT &&
	       c->part[i].token.place == PLACE_KEY &&
	       (code_is(c, i + 1, ",") || code_is(c, i + 1, "}") || code_is(c, i + 1, "="));
}

bool code_is_property(const struct code *c, int i)
{
	enum place place = c->part[i].token.place;

	return place == PLACE_MEMBER ||
	       ((place == PLACE_KEY || place == PLACE_NAMED) && !code_is_shorthand(c, i));
}
