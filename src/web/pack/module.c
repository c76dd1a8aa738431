/* SPDX-License-Identifier: Apache-2.0 */
#include "module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "code.h"
#include "rename.h"
#include "scope.h"
#include "script.h"

#define MODULES_MAX 64

struct module {
	char *path;
	struct text source;
	struct names exports;
	struct names free; /* what it uses and neither declares nor imports */
	bool open;         /* it is being read: who imports it now is imported by it */
};

struct packer {
	struct module module[MODULES_MAX];
	int count;
	struct names outermost; /* of all modules */
	struct text code;
};

/* ---- names -------------------------------------------------------------------------------------- */

static bool names_have(const struct names *n, const char *name, size_t len)
{
	for (const char *p = n->text.ptr; p && p < n->text.ptr + n->text.len; p += strlen(p) + 1) {
		if (strlen(p) == len && memcmp(p, name, len) == 0)
			return true;
	}
	return false;
}

static void names_add(struct names *n, const char *name, size_t len)
{
	text_add(&n->text, name, len);
	text_add_char(&n->text, '\0');
	n->count++;
}

/* ---- imports and exports ------------------------------------------------------------------------ */

static struct module *read_module(struct packer *p, const char *path);

static _Noreturn void bad_import(const struct lexer *l)
{
	fail("%s:%d: imports are written import { a, b } from \"./file.js\";", l->path,
		lexer_line(l));
}

/* Beside the module that imports it. */
static char *resolve(const struct lexer *l, const struct token *specifier)
{
	const char *slash = strrchr(l->path, '/');
	struct text t = {0};

	if (slash)
		text_add(&t, l->path, (size_t)(slash - l->path) + 1);
	text_add(&t, specifier->ptr + 1, specifier->len - 2);
	/* The same file must have one name: a/../b is b. */
	char *up;
	while ((up = strstr(t.ptr, "/../")) != NULL) {
		char *start = up;
		while (start > t.ptr && start[-1] != '/')
			start--;
		memmove(start, up + 4, strlen(up + 4) + 1);
	}
	while ((up = strstr(t.ptr, "/./")) != NULL)
		memmove(up, up + 2, strlen(up + 2) + 1);
	return t.ptr;
}

/* Behind the word import, to its semicolon. */
static void take_import(struct packer *p, struct lexer *l)
{
	struct names wanted = {0};
	struct token t = lexer_next(l);

	if (!token_is(&t, "{"))
		bad_import(l);
	for (t = lexer_next(l); !token_is(&t, "}"); t = lexer_next(l)) {
		if (t.kind == TOKEN_WORD && !token_is(&t, "as"))
			names_add(&wanted, t.ptr, t.len);
		else if (!token_is(&t, ","))
			bad_import(l);
	}
	t = lexer_next(l);
	struct token specifier = lexer_next(l), end = lexer_next(l);
	if (!token_is(&t, "from") || specifier.kind != TOKEN_STRING || specifier.ptr[1] != '.' ||
		!token_is(&end, ";"))
		bad_import(l);
	const struct module *m = read_module(p, resolve(l, &specifier));
	for (const char *n = wanted.text.ptr; wanted.count; wanted.count--, n += strlen(n) + 1) {
		if (!names_have(&m->exports, n, strlen(n)))
			fail("%s:%d: %s does not export %s", l->path, lexer_line(l), m->path, n);
	}
}

/* ---- a module ----------------------------------------------------------------------------------- */

static bool declares(const struct token *t)
{
	return token_is(t, "const") || token_is(t, "let") || token_is(t, "function") ||
	       token_is(t, "class") || token_is(t, "var");
}

/* An outermost name, of those that are exported besides. */
static void note_name(struct packer *p, struct module *m, const struct lexer *l,
	const struct token *name, bool exported)
{
	if (name->kind != TOKEN_WORD)
		fail("%s:%d: outermost names are declared one by one", l->path, lexer_line(l));
	if (names_have(&p->outermost, name->ptr, name->len))
		fail("%s:%d: %.*s is a name of another module, too", l->path, lexer_line(l),
			(int)name->len, name->ptr);
	names_add(&p->outermost, name->ptr, name->len);
	if (exported)
		names_add(&m->exports, name->ptr, name->len);
}

/* From a block it would be in sight in other modules, and isn't looked for there. */
static void check_var(const struct lexer *l)
{
	int depth = l->depth;

	while (depth && l->level[depth].bracket != BRACKET_FUNCTION)
		depth--;
	if (l->depth && !depth)
		fail("%s:%d: a var within an outermost statement", l->path, lexer_line(l));
}

/* A field that is named by a string would not get its new name; and the language's own must not have one. */
static void check_field(const struct lexer *l, const struct token *t)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$";

	if (t->kind == TOKEN_STRING && t->len > 3 && t->ptr[1] == '_' &&
		strspn(t->ptr + 1, letters) == t->len - 2)
		fail("%s:%d: %.*s may be the name of a field, and those are renamed", l->path,
			lexer_line(l), (int)t->len, t->ptr);
	if (t->kind == TOKEN_WORD && t->len > 2 && memcmp(t->ptr, "__", 2) == 0)
		fail("%s:%d: %.*s: what begins with two underlines is the language's, and fields are renamed",
			l->path, lexer_line(l), (int)t->len, t->ptr);
}

static void copy_module(struct packer *p, struct module *m, struct lexer *l)
{
	bool exported = false, declaring = false;

	for (struct token t = lexer_next(l); t.kind != TOKEN_END; t = lexer_next(l)) {
		check_field(l, &t);
		bool begins = l->depth == 0 && t.place == PLACE_BEGIN && t.kind == TOKEN_WORD;
		declaring &= t.place != PLACE_BEGIN || l->depth > 0;
		if (begins && (token_is(&t, "import") || token_is(&t, "export"))) {
			/* With it goes the line end before it. */
			if (t.ends_line)
				text_add_char(&p->code, ';');
			exported = token_is(&t, "export");
			if (!exported)
				take_import(p, l);
			continue;
		}
		if (declaring && l->depth == 0 && token_is(&t, ","))
			fail("%s:%d: outermost names are declared one by one", l->path,
				lexer_line(l));
		if (token_is(&t, "var") && t.place != PLACE_MEMBER && t.place != PLACE_KEY)
			check_var(l);
		script_add(&p->code, &t);
		if (begins && declares(&t)) {
			declaring = !token_is(&t, "function") && !token_is(&t, "class");
			t = lexer_next(l);
			if (token_is(&t, "*")) {
				script_add(&p->code, &t);
				t = lexer_next(l);
			}
			note_name(p, m, l, &t, exported);
			script_add(&p->code, &t);
			exported = false;
		} else if (exported && !token_is(&t, "async")) {
			fail("%s:%d: exports are written export const, function or class", l->path,
				lexer_line(l));
		}
	}
	if (l->level[0].place != PLACE_BEGIN)
		fail("%s:%d: the last statement has no semicolon", l->path, lexer_line(l));
	text_add_char(&p->code, '\n');
}

/* ---- names that are free ------------------------------------------------------------------------ */

static void find_free(struct module *m)
{
	struct code c;

	code_read(&c, &m->source, m->path);
	scope_find(&c);
	for (int i = 0; i < c.words; i++) {
		if (c.word[i].free)
			names_add(&m->free, c.word[i].token.ptr, c.word[i].token.len);
	}
	free(c.part);
	free(c.word);
}

static int line_of(const struct module *m, const char *name)
{
	struct code c;
	int line = 1;

	code_read(&c, &m->source, m->path);
	scope_find(&c);
	for (int i = 0; i < c.words; i++) {
		if (!c.word[i].free || !token_is(&c.word[i].token, name))
			continue;
		for (const char *at = m->source.ptr; at < c.word[i].free; at++)
			line += *at == '\n';
	}
	return line;
}

/* In one script with the others it would mean what they declare. */
static void check_free(const struct packer *p)
{
	for (int i = 0; i < p->count; i++) {
		const struct module *m = &p->module[i];
		const char *name = m->free.text.ptr;
		for (size_t k = 0; k < m->free.count; k++, name += strlen(name) + 1) {
			if (names_have(&p->outermost, name, strlen(name)))
				fail("%s:%d: %s is a name of another module, and not imported here",
					m->path, line_of(m, name), name);
		}
	}
}

static struct module *read_module(struct packer *p, const char *path)
{
	struct lexer l;

	for (int i = 0; i < p->count; i++) {
		if (strcmp(p->module[i].path, path) != 0)
			continue;
		if (p->module[i].open)
			fail("%s: it imports itself, by way of others", path);
		return &p->module[i];
	}
	if (p->count == MODULES_MAX)
		fail("%s: more than %d modules", path, MODULES_MAX);
	struct module *m = &p->module[p->count++];
	m->source = text_read(path);
	m->path = strdup(path);
	m->open = true;
	lexer_open(&l, m->path, &m->source);
	copy_module(p, m, &l);
	find_free(m);
	m->open = false;
	return m;
}

struct text module_strip(const char *path)
{
	struct text source = text_read(path), out = {0};
	struct lexer l;

	lexer_open(&l, path, &source);
	for (struct token t = lexer_next(&l); t.kind != TOKEN_END; t = lexer_next(&l))
		script_add(&out, &t);
	text_add_char(&out, '\n');
	return out;
}

/* ---- all together ------------------------------------------------------------------------------- */

static void add_exports(struct text *out, const struct names *exports)
{
	const char *name = exports->text.ptr;

	for (size_t i = 0; i < exports->count; i++, name += strlen(name) + 1)
		text_format(out, "%s%s", i ? "," : "", name);
}

struct text bundle_make(const char *entry, enum bundle_form form, const char *global)
{
	static struct packer p;
	struct text code = {0};

	p = (struct packer){0};
	const struct module *m = read_module(&p, entry);
	check_free(&p);
	if (form == BUNDLE_CLASSIC)
		text_format(&code, "globalThis.%s=(()=>{\n", global);
	text_add(&code, p.code.ptr, p.code.len);
	if (form == BUNDLE_CLASSIC) {
		text_add_str(&code, "return{");
		add_exports(&code, &m->exports);
		text_add_str(&code, "};})();");
	} else if (form == BUNDLE_MODULE) {
		text_add_str(&code, "export{");
		add_exports(&code, &m->exports);
		text_add_str(&code, "};");
	}
	return rename_all(&code, entry, form == BUNDLE_CLASSIC);
}
