/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include <string.h>

#include "script.h"
#include "text.h"

static struct level *top(struct lexer *l)
{
	return &l->level[l->depth];
}

static bool holds_statements(const struct level *v)
{
	return v->bracket == BRACKET_NONE || v->bracket == BRACKET_BLOCK ||
	       v->bracket == BRACKET_FUNCTION;
}

static bool holds_members(const struct level *v)
{
	return v->bracket == BRACKET_CLASS || v->bracket == BRACKET_OBJECT;
}

static bool among_keys(const struct level *v)
{
	return v->place == PLACE_KEY || v->place == PLACE_NAMED;
}

static _Noreturn void refuse(const struct lexer *l, const struct token *t, const char *why)
{
	fail("%s:%d: %.*s %s", l->path, lexer_line(l), (int)t->len, t->ptr, why);
}

bool place_divides(const struct lexer *l)
{
	const struct level *v = &l->level[l->depth];

	if (v->arrow || among_keys(v) || v->place == PLACE_MEMBER || v->pending)
		fail("%s:%d: a slash of which can't be told whether it divides", l->path,
			lexer_line(l));
	return v->place == PLACE_OPERATOR;
}

/* ---- line ends ---------------------------------------------------------------------------------- */

static bool is_operator_word(const struct level *v, const struct token *t)
{
	return token_is(t, "in") || token_is(t, "instanceof") ||
	       (token_is(t, "of") && v->bracket == BRACKET_HEAD) ||
	       (v->imports && (token_is(t, "as") || token_is(t, "from")));
}

/* It can't go on with a value that has ended. */
static bool begins_anew(const struct level *v, const struct token *t)
{
	if (v->arrow)
		return !strchr(",;)]}:", t->ptr[0]);
	if (v->place != PLACE_OPERATOR || v->pending)
		return false;
	switch (t->kind) {
	case TOKEN_WORD:
		return !is_operator_word(v, t);
	case TOKEN_PRIVATE:
	case TOKEN_STRING:
		return true;
	case TOKEN_PUNCTUATOR:
		if (token_is(t, "++") || token_is(t, "--"))
			return t->line_before;
		return token_is(t, "{") || token_is(t, "!") || token_is(t, "~");
	default:
		return false;
	}
}

/* As the language has it: a line end is the end of a statement where what follows could not go on with it. */
static void place_line(struct lexer *l, struct token *t)
{
	struct level *v = top(l);
	bool member = v->bracket == BRACKET_CLASS && v->place == PLACE_NAMED &&
		      (t->kind != TOKEN_PUNCTUATOR || token_is(t, "[") || token_is(t, "*"));

	if (v->restricted && t->line_before && holds_statements(v) && t->ptr[0] != '}') {
		t->ends_line = true;
		v->place = PLACE_BEGIN;
	} else if (begins_anew(v, t)) {
		if (!t->line_before)
			refuse(l, t, "follows a value: an operator or a semicolon is missing");
		if (!holds_statements(v) && v->bracket != BRACKET_CLASS)
			refuse(l, t, "follows a value within brackets");
		t->ends_line = true;
		v->place = v->bracket == BRACKET_CLASS ? PLACE_KEY : PLACE_BEGIN;
	} else if (member && t->line_before) {
		/* Of a field without a value. Behind `get` it means nothing. */
		t->ends_line = true;
	}
	v->restricted = false;
	v->arrow = false;
}

/* ---- words -------------------------------------------------------------------------------------- */

static bool one_of(const struct token *t, const char *const *list)
{
	while (*list && !token_is(t, *list))
		list++;
	return *list != NULL;
}

/* `async` before a function or the name of a parameter. */
static bool word_follows(const struct lexer *l)
{
	const char *p = l->at;

	while (p < l->end && (*p == ' ' || *p == '\t'))
		p++;
	return p < l->end && p > l->at &&
	       ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' || *p == '$');
}

static void begin(struct level *v, enum pending what)
{
	v->pending_after = v->place == PLACE_BEGIN ? PLACE_BEGIN : PLACE_OPERATOR;
	v->pending = what;
	v->place = PLACE_OPERATOR;
}

/* Where a statement begins or a value must come. */
static void place_keyword(struct lexer *l, const struct token *t)
{
	static const char *const heads[] = {"if", "for", "while", "switch", "catch", NULL};
	static const char *const statements[] = {"else", "do", "try", "finally", NULL};
	static const char *const restricted[] = {
		"return", "throw", "break", "continue", "yield", NULL};
	static const char *const values[] = {"typeof", "void", "delete", "new", "await", "const",
		"let", "var", "import", "case", NULL};
	struct level *v = top(l);

	if (token_is(t, "with"))
		refuse(l, t, "is not for modules");
	if (token_is(t, "eval"))
		refuse(l, t, "would not know the names that are renamed");
	if (v->pending == PENDING_HEAD) {
		/* `for await`; a catch has its block at once. */
		if (!token_is(t, "await"))
			refuse(l, t, "stands where a ( must come");
	} else if (one_of(t, heads)) {
		v->place = PLACE_BEGIN;
		v->pending = PENDING_HEAD;
	} else if (one_of(t, statements) || token_is(t, "export")) {
		v->place = PLACE_BEGIN;
	} else if (one_of(t, restricted)) {
		v->place = PLACE_OPERAND;
		v->restricted = true;
	} else if (one_of(t, values)) {
		v->imports = v->place == PLACE_BEGIN && token_is(t, "import");
		v->labels |= token_is(t, "case");
		v->place = PLACE_OPERAND;
	} else if (token_is(t, "default")) {
		bool exported = token_is(&l->last, "export");
		v->labels |= !exported;
		v->place = exported ? PLACE_OPERAND : PLACE_OPERATOR;
	} else if (token_is(t, "function")) {
		begin(v, PENDING_FUNCTION);
	} else if (token_is(t, "class")) {
		begin(v, PENDING_CLASS);
	} else if (!token_is(t, "async") || !word_follows(l)) {
		v->place = PLACE_OPERATOR;
	}
}

/* Behind it a value must come: `extends`, and operators that are words. */
static bool operates(const struct level *v, const struct token *t)
{
	if (v->place == PLACE_OPERATOR && v->pending)
		return v->pending == PENDING_CLASS && token_is(t, "extends");
	return is_operator_word(v, t) && (v->place == PLACE_OPERATOR || v->imports);
}

static void place_word(struct lexer *l, const struct token *t)
{
	struct level *v = top(l);

	if (v->place == PLACE_MEMBER)
		v->place = PLACE_OPERATOR;
	else if (among_keys(v))
		v->place = PLACE_NAMED;
	else if (v->pending == PENDING_BODY)
		refuse(l, t, "stands where the body of a function must come");
	else if (operates(v, t))
		v->place = PLACE_OPERAND;
	/* The name of a function or a class changes nothing. */
	else if (v->place != PLACE_OPERATOR || !v->pending)
		place_keyword(l, t);
}

/* ---- brackets ----------------------------------------------------------------------------------- */

static void enter(struct lexer *l, struct token *t, enum bracket bracket, enum place after)
{
	if (l->depth + 1 == LEVELS_MAX)
		refuse(l, t, "is a bracket too deep within others");
	t->bracket = bracket;
	l->depth++;
	*top(l) = (struct level){
		.bracket = bracket,
		.after = after,
		.close = t->ptr[t->len - 1] == '('   ? ')'
			 : t->ptr[t->len - 1] == '[' ? ']'
						     : '}',
	};
	top(l)->place = holds_members(top(l))      ? PLACE_KEY
			: holds_statements(top(l)) ? PLACE_BEGIN
						   : PLACE_OPERAND;
}

static void leave(struct lexer *l, struct token *t)
{
	const struct level *inner = top(l);

	if (l->depth == 0)
		fail("%s:%d: a bracket too many", l->path, lexer_line(l));
	if (inner->close != t->ptr[0])
		refuse(l, t, "closes another bracket than was opened");
	if (inner->pending || inner->place == PLACE_MEMBER || inner->questions)
		refuse(l, t, "comes too early");
	t->bracket = inner->bracket;
	t->ends = t->ptr[0] == '}' && (inner->after == PLACE_BEGIN || inner->after == PLACE_KEY);
	l->depth--;
	top(l)->place = inner->after;
}

static void open_parenthesis(struct lexer *l, struct token *t)
{
	struct level *v = top(l);

	v->imports = false;
	if (v->pending == PENDING_HEAD) {
		v->pending = PENDING_NOTHING;
		enter(l, t, BRACKET_HEAD, PLACE_BEGIN);
	} else if (v->pending == PENDING_FUNCTION) {
		v->pending = PENDING_BODY;
		enter(l, t, BRACKET_PARAMETERS, PLACE_OPERATOR);
	} else if (v->place == PLACE_NAMED) {
		v->pending = PENDING_BODY;
		v->pending_after = v->bracket == BRACKET_CLASS ? PLACE_KEY : PLACE_OPERATOR;
		enter(l, t, BRACKET_PARAMETERS, PLACE_OPERATOR);
	} else if (v->place == PLACE_KEY) {
		refuse(l, t, "stands where a key must come");
	} else {
		enter(l, t, BRACKET_GROUP, PLACE_OPERATOR);
	}
}

static void open_brace(struct lexer *l, struct token *t)
{
	struct level *v = top(l);
	enum pending pending = v->pending;
	bool exported = token_is(&l->last, "export") && v->place == PLACE_BEGIN;

	/* A catch that names nothing. */
	if (pending == PENDING_HEAD && token_is(&l->last, "catch"))
		pending = PENDING_NOTHING;
	v->pending = PENDING_NOTHING;
	if (pending == PENDING_BODY) {
		enter(l, t, BRACKET_FUNCTION, v->pending_after);
	} else if (pending == PENDING_CLASS && v->place == PLACE_OPERATOR) {
		enter(l, t, BRACKET_CLASS, v->pending_after);
	} else if (pending) {
		refuse(l, t, "comes too early");
	} else if (token_is(&l->last, "=>")) {
		enter(l, t, BRACKET_FUNCTION, PLACE_OPERATOR);
		l->level[l->depth - 1].arrow = true;
	} else if (v->bracket == BRACKET_CLASS && v->place == PLACE_NAMED &&
		   token_is(&l->last, "static")) {
		enter(l, t, BRACKET_BLOCK, PLACE_KEY);
	} else if (v->place == PLACE_OPERAND || exported) {
		v->imports |= exported;
		enter(l, t, BRACKET_OBJECT, PLACE_OPERATOR);
	} else if (v->place == PLACE_BEGIN) {
		enter(l, t, BRACKET_BLOCK, PLACE_BEGIN);
	} else {
		refuse(l, t, "may open a block or an object");
	}
}

/* ---- other tokens ------------------------------------------------------------------------------- */

static void place_colon(struct lexer *l, const struct token *t)
{
	struct level *v = top(l);

	if (v->bracket == BRACKET_OBJECT && v->place == PLACE_NAMED) {
		v->place = PLACE_OPERAND;
	} else if (v->questions) {
		v->questions--;
		v->place = PLACE_OPERAND;
	} else if (holds_statements(v) && v->place == PLACE_OPERATOR) {
		v->labels = false;
		v->place = PLACE_BEGIN;
	} else {
		refuse(l, t, "is of no ?, key, label or case");
	}
}

static void place_end(struct lexer *l, const struct token *t)
{
	struct level *v = top(l);

	if (v->questions || v->labels)
		refuse(l, t, "comes before a colon");
	if (v->bracket == BRACKET_CLASS)
		v->place = PLACE_KEY;
	else if (v->bracket == BRACKET_HEAD)
		v->place = PLACE_OPERAND;
	else if (holds_statements(v))
		v->place = PLACE_BEGIN;
	else
		refuse(l, t, "stands within brackets");
	v->imports = false;
}

/* The star of a generator; what is added to a value behind it. */
static bool stays(const struct level *v, const struct token *t)
{
	if (token_is(t, "*"))
		return among_keys(v) || v->pending == PENDING_FUNCTION;
	return v->place == PLACE_OPERATOR && (token_is(t, "++") || token_is(t, "--"));
}

static void place_punctuator(struct lexer *l, struct token *t)
{
	struct level *v = top(l);

	if (token_is(t, "(")) {
		open_parenthesis(l, t);
	} else if (token_is(t, "[")) {
		enter(l, t, BRACKET_SQUARE, among_keys(v) ? PLACE_NAMED : PLACE_OPERATOR);
	} else if (token_is(t, "{")) {
		open_brace(l, t);
	} else if (token_is(t, ")") || token_is(t, "]") || token_is(t, "}")) {
		leave(l, t);
	} else if (v->pending == PENDING_HEAD || v->pending == PENDING_BODY) {
		refuse(l, t, "stands where a bracket must come");
	} else if (token_is(t, ";")) {
		place_end(l, t);
	} else if (token_is(t, ":")) {
		place_colon(l, t);
	} else if (token_is(t, ",")) {
		v->place = v->bracket == BRACKET_OBJECT ? PLACE_KEY : PLACE_OPERAND;
	} else if (token_is(t, ".") || token_is(t, "?.")) {
		v->imports = false;
		v->place = PLACE_MEMBER;
	} else if (among_keys(v) && !stays(v, t) && !token_is(t, "=") && !token_is(t, "...")) {
		refuse(l, t, "stands where a key must come");
	} else if (!stays(v, t)) {
		v->questions += token_is(t, "?");
		v->place = PLACE_OPERAND;
	}
}

static void place_template(struct lexer *l, struct token *t)
{
	if (t->ptr[0] == '}')
		leave(l, t);
	else if (among_keys(top(l)) || top(l)->pending)
		refuse(l, t, "is a template where none may stand");
	if (t->ptr[t->len - 1] == '{')
		enter(l, t, BRACKET_TEMPLATE, PLACE_OPERATOR);
	else
		top(l)->place = PLACE_OPERATOR;
}

void place_token(struct lexer *l, struct token *t)
{
	place_line(l, t);
	/* Behind ?. they call or index. */
	if (top(l)->place == PLACE_MEMBER && t->kind != TOKEN_WORD && t->kind != TOKEN_PRIVATE) {
		if (!token_is(&l->last, "?.") || (!token_is(t, "(") && !token_is(t, "[")))
			refuse(l, t, "stands behind a dot");
		top(l)->place = PLACE_OPERATOR;
	}
	t->place = top(l)->place;
	switch (t->kind) {
	case TOKEN_WORD:
		place_word(l, t);
		break;
	case TOKEN_PUNCTUATOR:
		place_punctuator(l, t);
		break;
	case TOKEN_TEMPLATE:
		place_template(l, t);
		break;
	default:
		top(l)->place = among_keys(top(l)) ? PLACE_NAMED : PLACE_OPERATOR;
		break;
	}
}
