/* SPDX-License-Identifier: Apache-2.0
 *
 * A text that grows, and how a tool that runs at build time ends: with one line that says what is wrong and where. What it takes
 * is given back by the end of the process.
 */
#ifndef RC_WEB_PACK_TEXT_H
#define RC_WEB_PACK_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char *ptr; /* with a NUL behind len; NULL: empty */
	size_t len, cap;
};

void text_add(struct text *t, const char *ptr, size_t len);
void text_add_str(struct text *t, const char *str);
void text_add_char(struct text *t, char c);
/* printf into it. */
void text_format(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool text_has(const struct text *t, const char *str);

struct text text_read(const char *path);
void text_write(const char *path, const void *ptr, size_t len);

/* Says so and exits with 1. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
