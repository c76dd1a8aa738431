/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

/* Length that vsnprintf really left in a buffer of `size`. */
static size_t written(int result, size_t size)
{
	if (result < 0)
		return 0;
	return (size_t)result < size ? (size_t)result : size - 1;
}

/* Formatted aside first: the arguments may point into err->text. */
int rc_error_set(struct rc_error *err, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list args;
	va_start(args, format);
	size_t len = written(vsnprintf(text, sizeof(text), format, args), sizeof(text));
	va_end(args);
	memcpy(err->text, text, len);
	err->text[len] = '\0';
	return -1;
}

int rc_error_prefix(struct rc_error *err, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list args;
	va_start(args, format);
	size_t len = written(vsnprintf(text, sizeof(text), format, args), sizeof(text));
	va_end(args);
	const struct rc_str part[] = {RC_STR(": "), rc_str_of(err->text)};
	for (size_t i = 0; i < RC_ARRAY_LEN(part); i++) {
		size_t take = RC_MIN(part[i].len, sizeof(text) - 1 - len);
		memcpy(text + len, part[i].ptr, take);
		len += take;
	}
	memcpy(err->text, text, len);
	err->text[len] = '\0';
	return -1;
}
