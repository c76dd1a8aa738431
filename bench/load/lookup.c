/* SPDX-License-Identifier: Apache-2.0 */
#include "lookup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Grows the text by what the file still has. The size is not asked for: the file may be a pipe. */
static int read_all(char **text, size_t *len, FILE *in)
{
	size_t cap = 0;
	*len = 0;
	*text = NULL;
	do {
		cap = cap ? cap * 2 : 1u << 16;
		char *more = cap <= LOAD_JSON_MAX ? realloc(*text, cap) : NULL;
		if (!more)
			return cap <= LOAD_JSON_MAX ? -ENOMEM : -EFBIG;
		*text = more;
		*len += fread(*text + *len, 1, cap - *len, in);
	} while (*len == cap);
	return ferror(in) ? -EIO : 0;
}

enum load_json_kind load_json_kind(struct rc_str text)
{
	if (rc_json_validate(text, LOAD_JSON_DEPTH) < 0)
		return LOAD_JSON_NEITHER;
	struct rc_json_value root = rc_json_root(text);
	if (load_json_number(root, "ringcast_load") >= 1 &&
		load_json_at(root, "window").kind == RC_JSON_OBJECT)
		return LOAD_JSON_RUN;
	if (load_json_number(root, "ringcast_compare") >= 1 &&
		load_json_at(root, "cases").kind == RC_JSON_ARRAY)
		return LOAD_JSON_COMPARE;
	return LOAD_JSON_NEITHER;
}

int load_json_read(struct rc_str *out, const char *path, bool comparisons, struct rc_error *err)
{
	char *text = NULL;
	size_t len = 0;
	FILE *in = fopen(path, "re");
	int status = in ? read_all(&text, &len, in) : -errno;
	if (in)
		(void)fclose(in);
	*out = (struct rc_str){text, len};
	if (status == 0) {
		enum load_json_kind kind = load_json_kind(*out);
		if (kind == LOAD_JSON_RUN || (kind == LOAD_JSON_COMPARE && comparisons))
			return 0;
		status = -EINVAL;
		rc_error_set(err, "%s is no result of a run%s; name a file that --json has written",
			path, comparisons ? " or of bench/compare" : "");
	} else {
		rc_error_set(err, "%s could not be read: %s; name a file that --json has written",
			path, strerror(-status));
	}
	free(text);
	*out = (struct rc_str){0};
	return status;
}

static struct rc_json_value member(struct rc_json_value at, struct rc_str key)
{
	struct rc_json_iter it;
	struct rc_json_value value = {0};
	struct rc_str name;
	if (at.kind == RC_JSON_OBJECT) {
		rc_json_object_begin(&it, at.raw);
		while (rc_json_object_next(&it, &name, &value))
			if (rc_str_eq(name, key))
				return value;
	} else if (at.kind == RC_JSON_ARRAY) {
		/* The key's text ends with '.' or NUL, and so does a number in it. */
		char *end;
		unsigned long index = strtoul(key.ptr, &end, 10);
		if (key.len == 0 || end != key.ptr + key.len)
			return (struct rc_json_value){0};
		rc_json_array_begin(&it, at.raw);
		for (unsigned long i = 0; rc_json_array_next(&it, &value); i++)
			if (i == index)
				return value;
	}
	return (struct rc_json_value){0};
}

struct rc_json_value load_json_at(struct rc_json_value root, const char *path)
{
	for (struct rc_json_value at = root;; path++) {
		size_t len = strcspn(path, ".");
		at = member(at, (struct rc_str){path, len});
		path += len;
		if (*path == '\0' || at.kind == RC_JSON_NONE)
			return at;
	}
}

double load_json_number(struct rc_json_value root, const char *path)
{
	struct rc_json_value value = load_json_at(root, path);
	char text[64];
	if (value.kind != RC_JSON_NUMBER || value.raw.len >= sizeof(text))
		return -1;
	*(char *)rc_str_copy(text, value.raw) = '\0';
	return strtod(text, NULL);
}

void load_json_text(struct rc_json_value root, const char *path, char *out, size_t cap)
{
	struct rc_json_value value = load_json_at(root, path);
	int len = -1;
	if (value.kind == RC_JSON_STRING)
		len = rc_json_string_decode(value.raw, out, cap - 1);
	out[len < 0 ? 0 : len] = '\0';
}
