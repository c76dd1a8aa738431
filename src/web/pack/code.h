/* SPDX-License-Identifier: Apache-2.0
 *
 * A script that has been read: its tokens, which brackets belong together, and its words. Of each word is known whether it is declared
 * here, and whether it stands somewhere without a declaration in sight, where it means what somebody else declared.
 */
#ifndef RC_WEB_PACK_CODE_H
#define RC_WEB_PACK_CODE_H

#include "script.h"
#include "text.h"

#define WORDS_MAX   4096
#define REGIONS_MAX 1024

struct word {
	struct token token; /* where it stood first */
	size_t uses;        /* where it would be renamed */
	bool declared, kept;
	bool private;     /* #name */
	bool field;       /* _name */
	bool outermost;   /* every region may mean it */
	const char *free; /* where it is used without a declaration; NULL: nowhere */
	unsigned char regions[REGIONS_MAX / 8];
	char name[8]; /* "": it stays as it is */
};

struct part {
	struct token token;
	int word;  /* index in words; -1: it is none */
	int match; /* of a bracket the other one; -1: it is none */
	int outer; /* the bracket in which it stands; -1: in none */
	int region;
};

struct code {
	struct part *part;
	int count, size;
	struct word *word;
	int words;
};

void code_read(struct code *c, const struct text *source, const char *path);

/* Of the token there; nothing is there before the first and behind the last. */
const struct token *code_at(const struct code *c, int i);
bool code_is(const struct code *c, int i, const char *str);
/* Others know it by this name: behind a dot, a key, a member of a class. */
bool code_is_property(const struct code *c, int i);
/* A key and a value in one: { name } */
bool code_is_shorthand(const struct code *c, int i);
/* What the language or the tool itself knows, and nobody may have as a new name. */
bool code_is_reserved(const struct token *t);

#endif
