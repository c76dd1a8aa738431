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
			t->line_before |= *l->at == '\n' || *l->at == '\r';
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

static void take_digits(struct lexer *l)
{
	while (l->at < l->end && ((*l->at >= '0' && *l->at <= '9') || *l->at == '_'))
		l->at++;
}

static void take_number(struct lexer *l)
{
	if (*l->at == '0' && l->end - l->at > 1 && strchr("xXoObB", l->at[1])) {
		while (l->at < l->end && of_word(*l->at))
			l->at++;
		return;
	}
	take_digits(l);
	if (l->at < l->end && *l->at == '.') {
		l->at++;
		take_digits(l);
	}
	if (l->at < l->end && (*l->at == 'e' || *l->at == 'E')) {
		l->at++;
		if (l->at < l->end && (*l->at == '+' || *l->at == '-'))
			l->at++;
		take_digits(l);
	} else if (l->at < l->end && *l->at == 'n') {
		l->at++;
	}
	if (l->at < l->end && of_word(*l->at))
		fail("%s:%d: a number runs into a name", l->path, lexer_line(l));
}

static void take_word(struct lexer *l)
{
	do {
		/* A blank or a line end may be among those that are not ASCII. */
		if ((unsigned char)*l->at >= 0x80)
			fail("%s:%d: only strings and comments may have letters beyond ASCII",
				l->path, lexer_line(l));
		l->at++;
	} while (l->at < l->end && of_word(*l->at));
}

static bool digit_at(const struct lexer *l, ptrdiff_t n)
{
	return l->end - l->at > n && l->at[n] >= '0' && l->at[n] <= '9';
}

static void take_punctuator(struct lexer *l)
{
	/* The longer ones first. */
	static const char *const several[] = {">>>=", "...",
		"===", "!==", "**=", "<<=", ">>=", ">>>", "&&=", "||=", "?\?=", "=>",
		"==", "!=", "<=", ">=", "&&", "||", "??", "?.", "++", "--",
		"+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<", ">>", "**"};

	for (size_t i = 0; i < sizeof(several) / sizeof(several[0]); i++) {
		size_t len = strlen(several[i]);
		/* a?.5:1 */
		if ((size_t)(l->end - l->at) >= len && memcmp(l->at, several[i], len) == 0 &&
			!(strcmp(several[i], "?.") == 0 && digit_at(l, 2))) {
			l->at += len;
			return;
		}
	}
	if (!strchr("{}()[];,<>+-*/%&|^!~?:=.", *l->at))
		fail("%s:%d: nothing is known of a %c here", l->path, lexer_line(l), *l->at);
	l->at++;
}

static enum token_kind take(struct lexer *l)
{
	char c = *l->at;

	if (c == '"' || c == '\'') {
		take_string(l);
		return TOKEN_STRING;
	}
	if (c == '`' || (c == '}' && l->level[l->depth].bracket == BRACKET_TEMPLATE)) {
		take_template(l);
		return TOKEN_TEMPLATE;
	}
	if (digit_at(l, 0) || (c == '.' && digit_at(l, 1))) {
		take_number(l);
		return TOKEN_WORD;
	}
	if (of_word(c) || c == '#') {
		take_word(l);
		return c == '#' ? TOKEN_PRIVATE : TOKEN_WORD;
	}
	if (c == '/' && !place_divides(l)) {
		take_regex(l);
		return TOKEN_REGEX;
	}
	take_punctuator(l);
	return TOKEN_PUNCTUATOR;
}

struct token lexer_next(struct lexer *l)
{
	struct token t = {0};

	skip(l, &t);
	t.ptr = l->at;
	if (l->at < l->end)
		t.kind = take(l);
	else if (l->depth)
		fail("%s:%d: a bracket without an end", l->path, lexer_line(l));
	t.len = (size_t)(l->at - t.ptr);
	if (t.kind == TOKEN_END)
		return t;
	place_token(l, &t);
	l->last = t;
	return t;
}

/* ---- writing them ------------------------------------------------------------------------------- */

/* A number that a dot would become a part of. */
static bool ends_in_integer(const struct text *out)
{
	size_t i = out->len;

	while (i && of_word(out->ptr[i - 1]))
		i--;
	return i < out->len && out->ptr[i] >= '0' && out->ptr[i] <= '9' &&
	       !(i && out->ptr[i - 1] == '.');
}

/* The two would become something else. */
static bool runs_together(const struct text *out, char before, char first)
{
	if (of_word(before) && (of_word(first) || first == '#'))
		return true;
	if (first == '.')
		return ends_in_integer(out);
	return (before == first && (first == '+' || first == '-' || first == '/')) ||
	       (before == '/' && first == '*');
}

void script_add(struct text *out, const struct token *t)
{
	char before = out->len ? out->ptr[out->len - 1] : '{';
	char first = t->ptr[0];

	/* In a script, <!-- begins a comment. */
	bool comment = before == '<' && first == '!';

	if (t->ends_line && before != '\n')
		text_add_char(out, '\n');
	else if (comment || (t->blank_before && runs_together(out, before, first)))
		text_add_char(out, ' ');
	text_add(out, t->ptr, t->len);
}
