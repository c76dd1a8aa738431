/* SPDX-License-Identifier: Apache-2.0 */
#include "rename.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script.h"

#define WORDS_MAX 4096

#define REGIONS_MAX 1024

struct word {
	struct token token; /* where it stood first */
	size_t uses;        /* where it would be renamed */
	bool declared, kept;
	bool private;   /* #name */
	bool field;     /* _name */
	bool outermost; /* every region may mean it */
	unsigned char regions[REGIONS_MAX / 8];
	char name[8]; /* "": it stays as it is */
};

struct part {
	struct token token;
	int word;  /* index in words; -1: it is none */
	int match; /* of a bracket the other one; -1: it is none */
	int outer; /* the bracket in which it stands; -1: in none */
	int region;
	bool class_body, object; /* what an opening brace begins; a block otherwise */
};

struct code {
	struct part *part;
	int count, size;
	struct word *word;
	int words;
};

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
	"get",
	"if",
	"import",
	"in",
	"instanceof",
	"let",
	"new",
	"null",
	"of",
	"return",
	"set",
	"static",
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
	/* globals whose names are ones that one may give a variable, too */
	"addEventListener",
	"console",
	"crypto",
	"document",
	"fetch",
	"getComputedStyle",
	"globalThis",
	"history",
	"localStorage",
	"location",
	"matchMedia",
	"navigator",
	"performance",
	"process",
	"queueMicrotask",
	"removeEventListener",
	"requestAnimationFrame",
	"self",
	"sessionStorage",
	"structuredClone",
	"window",
	"setTimeout",
	"clearTimeout",
	"setInterval",
	"clearInterval",
};

static const char *const control[] = {"if", "for", "while", "switch"};

static bool one_of(const struct token *t, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (token_is(t, list[i]))
			return true;
	}
	return false;
}

#define ONE_OF(t, list) one_of(t, list, sizeof(list) / sizeof((list)[0]))

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
		.kept = ONE_OF(t, reserved),
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

static void read_all(struct code *c, const struct text *source, const char *path)
{
	struct lexer l;
	int outer = -1;
	bool class_comes = false;

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
		class_comes |= t.kind == TOKEN_WORD && token_is(&t, "class") &&
			       (i == 0 || !token_is(&c->part[i - 1].token, "."));
		/* A key of that name begins no class. */
		class_comes &=
			!(token_is(&t, ":") && i > 0 && token_is(&c->part[i - 1].token, "class"));
		if (opens(&t)) {
			p->class_body = class_comes && token_is(&t, "{");
			class_comes &= !p->class_body;
			outer = i;
		}
	}
}

/* ---- looking around ----------------------------------------------------------------------------- */

static const struct token nothing = {TOKEN_END, "", 0, false, false};

static const struct token *at(const struct code *c, int i)
{
	return i >= 0 && i < c->count ? &c->part[i].token : &nothing;
}

static bool is(const struct code *c, int i, const char *str)
{
	return token_is(at(c, i), str);
}

/* Behind one; three are a spread. */
static bool behind_dot(const struct code *c, int i)
{
	return is(c, i - 1, ".") && !is(c, i - 2, ".");
}

static bool is_arrow(const struct code *c, int i)
{
	return is(c, i, "=") && is(c, i + 1, ">");
}

static bool in_class(const struct code *c, int i)
{
	return c->part[i].outer >= 0 && c->part[c->part[i].outer].class_body;
}

static bool in_object(const struct code *c, int i)
{
	return c->part[i].outer >= 0 && c->part[c->part[i].outer].object;
}

/* A statement ends in it, not in something within it. */
static bool has_statements(const struct code *c, int brace)
{
	for (int i = brace + 1; i < c->part[brace].match; i++) {
		if (is(c, i, ";") && c->part[i].outer == brace)
			return true;
	}
	return false;
}

/* An object or a pattern: it stands where a value may, or a name that is declared. */
static void find_objects(struct code *c)
{
	static const char *const before[] = {"=", "(", ",", "[", ":", "?", "&", "|", "!", ".",
		"return", "const", "let", "typeof", "export", "of", "in"};

	for (int i = 0; i < c->count; i++) {
		c->part[i].object =
			is(c, i, "{") && !c->part[i].class_body &&
			(ONE_OF(at(c, i - 1), before) ||
				(at(c, i - 1)->kind == TOKEN_TEMPLATE && opens(at(c, i - 1)))) &&
			!has_statements(c, i);
	}
}

static bool is_modifier(const struct code *c, int i)
{
	return is(c, i, "get") || is(c, i, "set") || is(c, i, "async") || is(c, i, "static") ||
	       is(c, i, "*");
}

/* Others know it by this name: behind a dot, a key, a member of a class. */
static bool is_property(const struct code *c, int i)
{
	if (behind_dot(c, i))
		return true;
	if (in_class(c, i))
		return is_modifier(c, i - 1) || is(c, i - 1, "{") || is(c, i - 1, "}") ||
		       is(c, i - 1, ";") || at(c, i)->line_before;
	if (!in_object(c, i))
		return false;
	bool first = is(c, i - 1, "{") || is(c, i - 1, ",");
	if (is(c, i + 1, ":"))
		return first;
	return (first || is_modifier(c, i - 1)) && is(c, i + 1, "(") &&
	       is(c, c->part[i + 1].match + 1, "{");
}

/* A key and a value in one: { name } */
static bool is_shorthand(const struct code *c, int i)
{
	return in_object(c, i) && (is(c, i - 1, "{") || is(c, i - 1, ",")) &&
	       (is(c, i + 1, ",") || is(c, i + 1, "}") || is(c, i + 1, "="));
}

/* A label, perhaps: { name: or ; name: */
static bool may_be_label(const struct code *c, int i)
{
	return is(c, i + 1, ":") && !in_object(c, i) &&
	       (is(c, i - 1, "{") || is(c, i - 1, "}") || is(c, i - 1, ";") ||
		       at(c, i)->line_before || is(c, i - 1, ")"));
}

/* ---- declarations ------------------------------------------------------------------------------- */

static void declare(struct code *c, int i)
{
	if (i < c->count && c->part[i].word >= 0)
		c->word[c->part[i].word].declared = true;
}

/* A name, or a pattern with names. Returns what is behind it. */
static int declare_pattern(struct code *c, int i)
{
	while (is(c, i, "."))
		i++;
	if (!is(c, i, "{") && !is(c, i, "[")) {
		declare(c, i);
		return i + 1;
	}
	int end = c->part[i].match;
	for (int k = i + 1; k < end; k++) {
		bool begins = is(c, k - 1, "{") || is(c, k - 1, "[") || is(c, k - 1, ",") ||
			      is(c, k - 1, ":") || is(c, k - 1, ".");
		bool ends = is(c, k + 1, ",") || is(c, k + 1, "}") || is(c, k + 1, "]") ||
			    is(c, k + 1, "=");
		if (begins && ends)
			declare(c, k);
	}
	return end + 1;
}

/* From a value on: to the comma behind it, or `end` where there is none. */
static int skip_value(const struct code *c, int i, int end)
{
	for (; i < end && !is(c, i, ","); i++) {
		if (is(c, i, ";") || is(c, i, "of") || is(c, i, "in") || closes(at(c, i)))
			return end;
		while (opens(at(c, i)) && c->part[i].match > i)
			i = c->part[i].match;
	}
	return i;
}

/* Patterns with commas between them, each perhaps with a value: from i to before `end`. */
static void declare_list(struct code *c, int i, int end)
{
	while (i < end) {
		i = declare_pattern(c, i);
		i = skip_value(c, i, end) + 1;
	}
}

static void find_declarations(struct code *c)
{
	for (int i = 0; i < c->count; i++) {
		if (behind_dot(c, i))
			continue;
		if (is(c, i, "const") || is(c, i, "let")) {
			declare_list(c, i + 1, c->count);
		} else if (is(c, i, "function") || is(c, i, "class")) {
			int name = i + 1 + is(c, i + 1, "*");
			if (!is(c, name, "(") && !is(c, name, "{") && !is(c, name, "extends"))
				declare(c, name);
		} else if (is(c, i, "(") && !ONE_OF(at(c, i - 1), control)) {
			int end = c->part[i].match;
			if (is(c, end + 1, "{") || is_arrow(c, end + 1))
				declare_list(c, i + 1, end);
		} else if (c->part[i].word >= 0 && is_arrow(c, i + 1)) {
			declare(c, i);
		}
	}
}

/* ---- regions ------------------------------------------------------------------------------------ */

/* Where the outermost statements stand: -1, or the brace of the function around a classic script. */
static int outermost_brace(const struct code *c)
{
	for (int i = 0; i < c->count && is(c, 0, "globalThis"); i++) {
		if (is(c, i, "{"))
			return i;
	}
	return -1;
}

static void find_regions(struct code *c, const char *path)
{
	int all = outermost_brace(c), region = 0;

	for (int i = 0; i < c->count; i++) {
		struct part *p = &c->part[i];
		p->region = region;
		/* A bracket stands outside of what it opens or closes. */
		bool ends = is(c, i, ";") || is(c, i, "}");
		bool member = in_class(c, i) && c->part[p->outer].outer == all;
		if ((ends && (p->outer == all || member)) || (p->outer == all && p->class_body))
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
	return everywhere(w) || (w->declared && !w->kept);
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
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (strcmp(reserved[i], w->name) == 0)
			return true;
	}
	return false;
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
	qsort(order, (size_t)count, sizeof(order[0]), by_uses);
	for (int i = 0; i < count; i++) {
		size_t n = 0;
		do
			short_name(n++, order[i]);
		while (taken(c, order[i]));
	}
}

/* What can be said with fewer letters. What was checked to be constant when it was written need not be so again. */
static struct token shorter(const struct token *t)
{
	struct token out = *t;

	if (token_is(t, "const"))
		out.ptr = "let";
	else if (token_is(t, "true"))
		out.ptr = "!0";
	else if (token_is(t, "false"))
		out.ptr = "!1";
	out.len = out.ptr == t->ptr ? t->len : strlen(out.ptr);
	return out;
}

static void add_part(const struct code *c, int i, struct text *out)
{
	struct token t = c->part[i].token;
	const struct word *w = c->part[i].word < 0 ? NULL : &c->word[c->part[i].word];

	if (w && !is_property(c, i) && !is_shorthand(c, i))
		t = shorter(&t);
	if (!w || !w->name[0] || (!everywhere(w) && is_property(c, i))) {
		script_add(out, &t);
		return;
	}
	/* Of a field the key is renamed, too. */
	bool both = !everywhere(w) && is_shorthand(c, i);
	bool exported = both && is(c, c->part[i].outer - 1, "export");
	if (both && !exported) {
		script_add(out, &t);
		text_add_char(out, ':');
	}
	struct token name = {t.kind, w->name, strlen(w->name), t.line_before, t.blank_before};
	script_add(out, &name);
	if (exported) {
		text_add_str(out, " as ");
		text_add(out, t.ptr, t.len);
	}
}

struct text rename_all(const struct text *source, const char *path)
{
	struct code c = {.word = calloc(WORDS_MAX, sizeof(struct word))};
	struct text out = {0};

	if (!c.word)
		fail("no memory");
	read_all(&c, source, path);
	find_objects(&c);
	find_declarations(&c);
	find_regions(&c, path);
	for (int i = 0; i < c.count; i++) {
		if (c.part[i].word < 0)
			continue;
		struct word *w = &c.word[c.part[i].word];
		w->uses += everywhere(w) || !is_property(&c, i);
		w->kept |= may_be_label(&c, i);
	}
	name_all(&c);
	for (int i = 0; i < c.count; i++) {
		add_part(&c, i, &out);
	}
	text_add_char(&out, '\n');
	return out;
}
