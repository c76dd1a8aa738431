/* SPDX-License-Identifier: Apache-2.0
 *
 * JavaScript without its comments and blanks. This is a lexer and no parser: it makes no tree, but place.h tells it where each token
 * stands. A line end that ends a statement stays. What can't be done right is refused with its line, here, in place.c or in module.c:
 *
 *   - modules are joined by `import { a, b } from "./file.js";` and `export const / function / class`, and end their last statement
 *   - what is renamed, and what for that must not be done, is said in rename.h
 */
#ifndef RC_WEB_PACK_SCRIPT_H
#define RC_WEB_PACK_SCRIPT_H

#include "place.h"
#include "text.h"

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,       /* a name, a keyword, a number */
	TOKEN_PRIVATE,    /* #name */
	TOKEN_STRING,     /* with its quotes */
	TOKEN_REGEX,      /* with its flags */
	TOKEN_TEMPLATE,   /* a part of one: from ` or } to ${ or ` */
	TOKEN_PUNCTUATOR, /* as long as the language has it */
};

struct token {
	enum token_kind kind;
	const char *ptr;
	size_t len;
	bool line_before, blank_before;
	bool ends_line; /* the line end before it ends a statement, or a member of a class */
	bool ends;      /* a closing brace behind which a statement or a member begins */
	enum place place;
	enum bracket bracket; /* that it opens or closes */
};

struct lexer {
	const char *path, *begin, *at, *end;
	struct token last;
	struct level level[LEVELS_MAX];
	int depth; /* the level that is open; 0: the outermost */
};

void lexer_open(struct lexer *l, const char *path, const struct text *source);
struct token lexer_next(struct lexer *l);
bool token_is(const struct token *t, const char *str);
/* Where the lexer stands, for messages. */
int lexer_line(const struct lexer *l);

/* Adds the token behind what is there, with no more between them than they need. */
void script_add(struct text *out, const struct token *t);

#endif
