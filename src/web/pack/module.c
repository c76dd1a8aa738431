/* SPDX-License-Identifier: Apache-2.0 */
#include "module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rename.h"
#include "script.h"

#define MODULES_MAX 64

struct module {
	char *path;
	struct names exports;
	bool open; /* it is being read: who imports it now is imported by it */
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

static void copy_module(struct packer *p, struct module *m, struct lexer *l)
{
	bool exported = false;

	for (struct token t = lexer_next(l); t.kind != TOKEN_END; t = lexer_next(l)) {
		bool outermost = l->depth == 0 && !l->templates && t.kind == TOKEN_WORD;
		if (outermost && token_is(&t, "import")) {
			take_import(p, l);
			continue;
		}
		if (outermost && token_is(&t, "export")) {
			exported = true;
			continue;
		}
		script_add(&p->code, &t);
		if (outermost && declares(&t)) {
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
	text_add_char(&p->code, '\n');
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
	struct text source = text_read(path);
	m->path = strdup(path);
	m->open = true;
	lexer_open(&l, m->path, &source);
	copy_module(p, m, &l);
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
	return rename_all(&code, entry);
}
