/* SPDX-License-Identifier: Apache-2.0
 *
 * JavaScript without its comments and blanks. This is a lexer and no parser: it knows strings, templates, regular expressions and
 * comments, and nothing of statements. So a line end that may end a statement stays, and the sources keep to a few rules, each of
 * which is checked here or in module.c:
 *
 *   - semicolons stand at the ends of statements
 *   - modules are joined by `import { a, b } from "./file.js";` and `export const / function / class`
 *   - what is renamed, and what for that must not be done, is said in rename.h
 */
#ifndef RC_WEB_PACK_SCRIPT_H
#define RC_WEB_PACK_SCRIPT_H

#include "text.h"

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,       /* a name, a keyword, a number */
	TOKEN_PRIVATE,    /* #name */
	TOKEN_STRING,     /* with its quotes */
	TOKEN_REGEX,      /* with its flags */
	TOKEN_TEMPLATE,   /* a part of one: from ` or } to ${ or ` */
	TOKEN_PUNCTUATOR, /* one character; those of several are several tokens without a blank */
};

struct token {
	enum token_kind kind;
	const char *ptr;
	size_t len;
	bool line_before, blank_before;
};

struct lexer {
	const char *path, *begin, *at, *end;
	struct token last; /* tells a regular expression from a division */
	int depth;         /* of brackets of every kind */
	int template[16];  /* the depths at which expressions of templates end */
	int templates;
};

void lexer_open(struct lexer *l, const char *path, const struct text *source);
struct token lexer_next(struct lexer *l);
bool token_is(const struct token *t, const char *str);
/* Where the lexer stands, for messages. */
int lexer_line(const struct lexer *l);

/* Adds the token behind what is there, with no more between them than they need. */
void script_add(struct text *out, const struct token *t);

#endif
