/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a token stands, told by the tokens before it: a statement may begin there, or a value must come, or one has ended. By it are
 * known what a brace opens (a block, an object, a class, a function), whether a slash divides, and whether a line end ends a
 * statement. For each bracket that is open there is a level; what stands where nothing of the kind may is refused, and so is the
 * little that can't be told so: `with`, decorators, a slash behind an arrow's body, letters beyond ASCII and escapes in names.
 */
#ifndef RC_WEB_PACK_PLACE_H
#define RC_WEB_PACK_PLACE_H

#include <stdbool.h>

#define LEVELS_MAX 128

enum place {
	PLACE_BEGIN,    /* of a statement */
	PLACE_KEY,      /* of a member of an object or a class */
	PLACE_NAMED,    /* behind the key, or a word like `get` before it */
	PLACE_OPERAND,  /* a value must come */
	PLACE_OPERATOR, /* a value has ended */
	PLACE_MEMBER,   /* behind a dot */
};

enum bracket {
	BRACKET_NONE, /* of a level: the outermost */
	BRACKET_GROUP,
	BRACKET_HEAD, /* of if, for, while, switch, catch */
	BRACKET_PARAMETERS,
	BRACKET_SQUARE,
	BRACKET_BLOCK,
	BRACKET_FUNCTION,
	BRACKET_CLASS,
	BRACKET_OBJECT, /* or a pattern, or the names of an import or export */
	BRACKET_TEMPLATE,
};

/* What has begun and still lacks its brackets. */
enum pending {
	PENDING_NOTHING,
	PENDING_HEAD,
	PENDING_CLASS,
	PENDING_FUNCTION,
	PENDING_BODY,
};

struct level {
	enum bracket bracket;
	enum place place, after; /* here, and around it once it is closed */
	enum pending pending;
	enum place pending_after;
	int questions;   /* whose colon comes */
	bool labels;     /* case or default has begun */
	bool imports;    /* `as` and `from` mean something */
	bool restricted; /* behind return: a line end ends it */
	bool arrow;      /* behind the braces of an arrow's body: no operator may come */
	char close;
};

struct lexer;
struct token;

/* Whether a slash that comes now divides; otherwise it begins a regular expression. */
bool place_divides(const struct lexer *l);
/* The token has been read: sets where it stands, and what comes behind it. */
void place_token(struct lexer *l, struct token *t);

#endif
