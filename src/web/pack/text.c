/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)fputs("pack: ", stderr);
	(void)vfprintf(stderr, format, args);
	(void)fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static void reserve(struct text *t, size_t more)
{
	size_t need = t->len + more + 1;

	if (need <= t->cap)
		return;
	t->cap = need * 2;
	t->ptr = realloc(t->ptr, t->cap);
	if (!t->ptr)
		fail("no memory");
}

void text_add(struct text *t, const char *ptr, size_t len)
{
	reserve(t, len);
	if (len)
		memcpy(t->ptr + t->len, ptr, len);
	t->len += len;
	t->ptr[t->len] = '\0';
}

void text_add_str(struct text *t, const char *str)
{
	text_add(t, str, strlen(str));
}

void text_add_char(struct text *t, char c)
{
	text_add(t, &c, 1);
}

void text_format(struct text *t, const char *format, ...)
{
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, format, args);
	if (len < 0)
		fail("a text can't be formatted");
	reserve(t, (size_t)len);
	(void)vsnprintf(t->ptr + t->len, (size_t)len + 1, format, again);
	t->len += (size_t)len;
	va_end(again);
	va_end(args);
}

bool text_has(const struct text *t, const char *str)
{
	return t->len && memmem(t->ptr, t->len, str, strlen(str)) != NULL;
}

struct text text_read(const char *path)
{
	struct text t = {0};
	char part[65536];
	size_t got;
	FILE *f = fopen(path, "rb");

	if (!f)
		fail("%s: %s", path, strerror(errno));
	text_add(&t, "", 0);
	while ((got = fread(part, 1, sizeof(part), f)) > 0)
		text_add(&t, part, got);
	if (ferror(f))
		fail("%s: can't be read", path);
	(void)fclose(f);
	if (t.len && memchr(t.ptr, '\0', t.len))
		fail("%s: this is no text", path);
	return t;
}

void text_write(const char *path, const void *ptr, size_t len)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(ptr, 1, len, f) != len || fclose(f) != 0)
		fail("%s: %s", path, strerror(errno));
}
