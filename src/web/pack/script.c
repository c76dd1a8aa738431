/* SPDX-License-Identifier: Apache-2.0 */
#include "script.h"

#include <string.h>

/* ---- characters --------------------------------------------------------------------------------- */

static bool of_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool token_is(const struct token *t, const char *str)
{
	return t->len == strlen(str) && memcmp(t->ptr, str, t->len) == 0;
}

int lexer_line(const struct lexer *l)
{
	int line = 1;

	for (const char *p = l->begin; p < l->at; p++)
		line += *p == '\n';
	return line;
}

void lexer_open(struct lexer *l, const char *path, const struct text *source)
{
	*l = (struct lexer){
		.path = path,
		.begin = source->ptr,
		.at = source->ptr,
		.end = source->ptr + source->len,
	};
}

/* ---- tokens ------------------------------------------------------------------------------------- */

static void skip(struct lexer *l, struct token *t)
{
	while (l->at < l->end) {
		if (blank(*l->at)) {
			t->line_before |= *l->at == '\n';
			t->blank_before = true;
			l->at++;
		} else if (l->end - l->at > 1 && l->at[0] == '/' && l->at[1] == '/') {
			while (l->at < l->end && *l->at != '\n')
				l->at++;
		} else if (l->end - l->at > 1 && l->at[0] == '/' && l->at[1] == '*') {
			const char *stop = memmem(l->at + 2, (size_t)(l->end - l->at - 2), "*/", 2);
			if (!stop)
				fail("%s:%d: a comment without an end", l->path, lexer_line(l));
			t->line_before |= memchr(l->at, '\n', (size_t)(stop - l->at)) != NULL;
			t->blank_before = true;
			l->at = stop + 2;
		} else {
			return;
		}
	}
}

static void take_string(struct lexer *l)
{
	char quote = *l->at++;

	while (l->at < l->end && *l->at != quote && *l->at != '\n')
		l->at += *l->at == '\\' ? 2 : 1;
	if (l->at >= l->end || *l->at != quote)
		fail("%s:%d: a string without an end", l->path, lexer_line(l));
	l->at++;
}

/* Behind ` or }: to the end of the template, or to the next expression in it. */
static void take_template(struct lexer *l)
{
	l->at++;
	while (l->at < l->end && *l->at != '`') {
		if (*l->at == '$' && l->end - l->at > 1 && l->at[1] == '{') {
			if (l->templates == sizeof(l->template) / sizeof(l->template[0]))
				fail("%s:%d: templates nest too deep", l->path, lexer_line(l));
			l->template[l->templates++] = l->depth;
			l->at += 2;
			return;
		}
		l->at += *l->at == '\\' ? 2 : 1;
	}
	if (l->at >= l->end)
		fail("%s:%d: a template without an end", l->path, lexer_line(l));
	l->at++;
}

static void take_regex(struct lexer *l)
{
	bool set = false;

	for (l->at++; l->at < l->end && *l->at != '\n' && (set || *l->at != '/'); l->at++) {
		if (*l->at == '[')
			set = true;
		else if (*l->at == ']')
			set = false;
		else if (*l->at == '\\')
			l->at++;
	}
	if (l->at >= l->end || *l->at != '/')
		fail("%s:%d: a regular expression without an end", l->path, lexer_line(l));
	l->at++;
	while (l->at < l->end && of_word(*l->at))
		l->at++;
}

/* A slash behind a value divides. Behind } and ) it may be either, and the sources write no regular expression there. */
static bool divides(const struct token *last)
{
	static const char *const before_value[] = {"return", "typeof", "case", "in", "of", "delete",
		"void", "throw", "new", "else", "do", "await", "yield", "instanceof"};

	switch (last->kind) {
	case TOKEN_WORD:
		for (size_t i = 0; i < sizeof(before_value) / sizeof(before_value[0]); i++) {
			if (token_is(last, before_value[i]))
				return false;
		}
		return true;
	case TOKEN_PUNCTUATOR:
		return token_is(last, ")") || token_is(last, "]") || token_is(last, "}");
	case TOKEN_TEMPLATE:
		return last->ptr[last->len - 1] == '`';
	default:
		return last->kind != TOKEN_END;
	}
}

static void take_number(struct lexer *l)
{
	while (l->at < l->end && (of_word(*l->at) || *l->at == '.' ||
					 ((*l->at == '+' || *l->at == '-') &&
						 (l->at[-1] == 'e' || l->at[-1] == 'E'))))
		l->at++;
}

static enum token_kind take(struct lexer *l)
{
	char c = *l->at;

	if (c == '"' || c == '\'') {
		take_string(l);
		return TOKEN_STRING;
	}
	if (c == '`' || (c == '}' && l->templates && l->template[l->templates - 1] == l->depth)) {
		l->templates -= c == '}';
		take_template(l);
		return TOKEN_TEMPLATE;
	}
	if (c >= '0' && c <= '9') {
		take_number(l);
		return TOKEN_WORD;
	}
	if (of_word(c) || c == '#') {
		do
			l->at++;
		while (l->at < l->end && of_word(*l->at));
		return c == '#' ? TOKEN_PRIVATE : TOKEN_WORD;
	}
	if (c == '/' && !divides(&l->last)) {
		take_regex(l);
		return TOKEN_REGEX;
	}
	l->depth += c == '(' || c == '[' || c == '{';
	l->depth -= c == ')' || c == ']' || c == '}';
	if (l->depth < 0)
		fail("%s:%d: a bracket too many", l->path, lexer_line(l));
	l->at++;
	return TOKEN_PUNCTUATOR;
}

struct token lexer_next(struct lexer *l)
{
	struct token t = {0};

	skip(l, &t);
	t.ptr = l->at;
	if (l->at < l->end)
		t.kind = take(l);
	else if (l->depth || l->templates)
		fail("%s: a bracket without an end", l->path);
	t.len = (size_t)(l->at - t.ptr);
	if (t.kind != TOKEN_END)
		l->last = t;
	return t;
}

/* ---- writing them ------------------------------------------------------------------------------- */

/* Behind it nothing can end: what is on the next line goes on. */
static bool opens(char c)
{
	return c && strchr("{([,;:?=&|<>*%^~!.", c) != NULL;
}

/* Before it likewise. */
static bool goes_on(char c)
{
	return c && strchr("}]),;:?=&|<>*%^.", c) != NULL;
}

/* The two would become something else. */
static bool runs_together(char before, char first)
{
	if ((of_word(before)) && (of_word(first) || first == '#'))
		return true;
	return (before == first && (first == '+' || first == '-' || first == '/')) ||
	       (before == '/' && first == '*');
}

void script_add(struct text *out, const struct token *t)
{
	char before = out->len ? out->ptr[out->len - 1] : '{';
	char first = t->ptr[0];

	/* A part of a template that follows an expression. */
	bool closes = t->kind == TOKEN_TEMPLATE && first == '}';

	/* A statement that ends in a brace needs no more, and others have their semicolons. */
	bool begins = before == '}' && (of_word(first) || first == '#' || first == '"');

	if (begins && t->line_before)
		;
	else if (t->line_before && before != '\n' && !opens(before) && !goes_on(first) && !closes)
		text_add_char(out, '\n');
	else if (t->blank_before && runs_together(before, first))
		text_add_char(out, ' ');
	text_add(out, t->ptr, t->len);
}
