/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON from arbitrary bytes. Properties: the verdict is that of a second, recursive parser that knows nothing of words or
 * bit stacks; every value that a walk yields is JSON by itself, in order and inside the text; a string that decodes
 * comes back through escape and decode; the walkers stay inside text that is not JSON too.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "proto/json.h"

#define DEPTH_MAX 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the second parser: the grammar of RFC 8259, rule by rule */

struct plain {
	const uint8_t *p, *end;
};

static int peek(const struct plain *in)
{
	return in->p < in->end ? *in->p : -1;
}

static bool eat(struct plain *in, int c)
{
	if (peek(in) != c)
		return false;
	in->p++;
	return true;
}

static void eat_space(struct plain *in)
{
	while (eat(in, ' ') || eat(in, '\t') || eat(in, '\n') || eat(in, '\r'))
		;
}

static bool eat_word(struct plain *in, const char *word)
{
	for (; *word != 0; word++) {
		if (!eat(in, *word))
			return false;
	}
	return true;
}

static bool eat_digits(struct plain *in)
{
	const uint8_t *from = in->p;

	while (peek(in) >= '0' && peek(in) <= '9')
		in->p++;
	return in->p > from;
}

static bool eat_number(struct plain *in)
{
	eat(in, '-');
	if (!eat(in, '0') && !eat_digits(in))
		return false;
	if (eat(in, '.') && !eat_digits(in))
		return false;
	if (eat(in, 'e') || eat(in, 'E')) {
		if (!eat(in, '+'))
			eat(in, '-');
		return eat_digits(in);
	}
	return true;
}

static bool eat_string(struct plain *in)
{
	if (!eat(in, '"'))
		return false;
	while (!eat(in, '"')) {
		if (peek(in) < 0x20) /* the end as well */
			return false;
		if (!eat(in, '\\')) {
			in->p++;
		} else if (eat(in, 'u')) {
			for (int i = 0; i < 4; i++, in->p++) {
				if (peek(in) <= 0 ||
					strchr("0123456789abcdefABCDEF", peek(in)) == NULL)
					return false;
			}
		} else {
			if (peek(in) <= 0 || strchr("\"\\/bfnrt", peek(in)) == NULL)
				return false;
			in->p++;
		}
	}
	return true;
}

static bool eat_value(struct plain *in, int depth)
{
	bool object = peek(in) == '{';
	bool first = true;

	if (peek(in) == '"')
		return eat_string(in);
	if (peek(in) == 't')
		return eat_word(in, "true");
	if (peek(in) == 'f')
		return eat_word(in, "false");
	if (peek(in) == 'n')
		return eat_word(in, "null");
	if (!object && peek(in) != '[')
		return eat_number(in);
	in->p++;
	if (depth == 0)
		return false;
	for (;; first = false) {
		eat_space(in);
		if (eat(in, object ? '}' : ']'))
			return true;
		if (!first) {
			if (!eat(in, ','))
				return false;
			eat_space(in);
		}
		if (object) {
			if (!eat_string(in))
				return false;
			eat_space(in);
			if (!eat(in, ':'))
				return false;
			eat_space(in);
		}
		if (!eat_value(in, depth - 1))
			return false;
	}
}

static bool is_json(const uint8_t *data, size_t size, int depth_max)
{
	struct plain in = {data, data + size};

	eat_space(&in);
	if (!eat_value(&in, depth_max))
		return false;
	eat_space(&in);
	return in.p == in.end && rc_utf8_valid(data, size);
}

/* ---- walking */

static void check_string(struct rc_str raw)
{
	char *text = malloc(raw.len), *back = malloc(raw.len);
	int len = rc_json_string_decode(raw, text, raw.len);
	struct rc_str decoded = {text, len > 0 ? (size_t)len : 0};
	size_t quoted_len;
	char *quoted;

	if (len >= 0) {
		RC_ASSERT(rc_utf8_valid(text, decoded.len));
		RC_ASSERT(memchr(text, 0, decoded.len) == NULL);
		RC_ASSERT(decoded.len + 2 <= raw.len);
		if (len > 0)
			RC_ASSERT(rc_json_string_decode(raw, back, decoded.len - 1) < 0);
		quoted_len = rc_json_escape_len(decoded) + 2;
		quoted = malloc(quoted_len);
		quoted[0] = quoted[quoted_len - 1] = '"';
		RC_ASSERT(rc_json_escape(quoted + 1, decoded) == quoted_len - 2);
		RC_ASSERT(rc_json_validate((struct rc_str){quoted, quoted_len}, 0) == 0);
		RC_ASSERT(rc_json_string_decode(
				  (struct rc_str){quoted, quoted_len}, back, decoded.len) == len);
		RC_ASSERT(len == 0 || memcmp(back, text, decoded.len) == 0);
		free(quoted);
	}
	free(text);
	free(back);
}

/* Returns how many values there are, this one included. */
static size_t walk(struct rc_json_value v, uint32_t depth, bool sound)
{
	const char *from = v.raw.ptr;
	struct rc_json_iter it;
	struct rc_json_value item;
	struct rc_str key;
	size_t count = 1;

	RC_ASSERT(v.kind != RC_JSON_NONE && v.raw.len > 0);
	if (sound)
		RC_ASSERT(rc_json_validate(v.raw, depth) == 0);
	if (depth == 0)
		return count;
	if (v.kind == RC_JSON_STRING && sound)
		check_string(v.raw);
	if (v.kind == RC_JSON_OBJECT)
		rc_json_object_begin(&it, v.raw);
	else if (v.kind == RC_JSON_ARRAY)
		rc_json_array_begin(&it, v.raw);
	else
		return count;
	while (v.kind == RC_JSON_OBJECT ? rc_json_object_next(&it, &key, &item)
					: rc_json_array_next(&it, &item)) {
		if (v.kind == RC_JSON_OBJECT) {
			RC_ASSERT(key.ptr > from && key.ptr + key.len < item.raw.ptr);
			if (sound)
				check_string((struct rc_str){key.ptr - 1, key.len + 2});
			from = key.ptr + key.len;
		}
		RC_ASSERT(item.raw.ptr > from);
		RC_ASSERT(item.raw.ptr + item.raw.len <= v.raw.ptr + v.raw.len);
		from = item.raw.ptr + item.raw.len - 1;
		count += walk(item, depth - 1, sound);
	}
	return count;
}

/* Values by counting what begins one: in JSON, outside strings, that is a token which is no key. */
static size_t count_values(struct rc_str text)
{
	size_t tokens = 0, keys = 0;
	bool in_string = false, in_word = false;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == '"' || c == '{' || c == '[') {
			in_string = c == '"';
			in_word = false;
			tokens++;
		} else if (strchr(" \t\r\n,:]}", c) != NULL) {
			keys += c == ':';
			in_word = false;
		} else if (!in_word) {
			in_word = true;
			tokens++;
		}
	}
	return tokens - keys;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rc_str text = {(const char *)data, size};
	struct rc_json_value root;
	bool valid;

	if (size > 1 << 14)
		return 0;
	valid = rc_json_validate(text, DEPTH_MAX) == 0;
	RC_ASSERT(valid == is_json(data, size, DEPTH_MAX));
	root = rc_json_root(text);
	if (valid) {
		RC_ASSERT(walk(root, DEPTH_MAX + 1, true) == count_values(text));
		return 0;
	}
	if (root.kind != RC_JSON_NONE)
		walk(root, DEPTH_MAX, false);
	if (size > 1) {
		char *out = malloc(size);

		(void)!rc_json_string_decode(text, out, size);
		free(out);
	}
	return 0;
}
