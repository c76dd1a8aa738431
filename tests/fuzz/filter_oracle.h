/* SPDX-License-Identifier: Apache-2.0
 *
 * What a filter means, worked out the slow way: the canonical form is read again for each event, every term looks its field up by itself, strings are
 * decoded whole and patterns tried place by place. It shares nothing with the compiler but the grammar. For the fuzzer and the unit test, with short texts.
 */
#ifndef RC_TESTS_FUZZ_FILTER_ORACLE_H
#define RC_TESTS_FUZZ_FILTER_ORACLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "proto/json.h"

#define ORACLE_TEXT 8192

struct oracle {
	const char *p;
	struct rc_str event_raw, data;
	bool odd; /* a string that can't be decoded: no answer */
};

static bool oracle_or(struct oracle *o);

static bool oracle_take(struct oracle *o, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(o->p, text, len) != 0)
		return false;
	o->p += len;
	return true;
}

/* A quoted string of the canonical form. Stars become byte 1 when they stand for anything, which no canonical literal holds as it is. */
static size_t oracle_string(struct oracle *o, char *out)
{
	size_t len = 0;

	o->p++;
	while (*o->p != '\'') {
		if (*o->p == '*') {
			out[len++] = 1;
			o->p++;
		} else if (*o->p == '\\' && o->p[1] == 'u') {
			char hex[5] = {o->p[2], o->p[3], o->p[4], o->p[5], 0};
			out[len++] = (char)strtol(hex, NULL, 16);
			o->odd |= out[len - 1] == 1;
			o->p += 6;
		} else if (*o->p == '\\' && strchr("bfnrt", o->p[1]) != NULL) {
			out[len++] = "\b\f\n\r\t"[strchr("bfnrt", o->p[1]) - "bfnrt"];
			o->p += 2;
		} else {
			o->p += *o->p == '\\';
			out[len++] = *o->p++;
		}
	}
	o->p++;
	return len;
}

/* reached[i]: the pattern so far takes the first i bytes. */
static bool oracle_like(const char *s, size_t len, const char *pattern, size_t pattern_len)
{
	static bool reached[ORACLE_TEXT + 1];

	memset(reached, 0, sizeof(reached));
	reached[0] = true;
	for (size_t j = 0; j < pattern_len; j++) {
		if (pattern[j] == 1) {
			for (size_t i = 1; i <= len; i++)
				reached[i] |= reached[i - 1];
			continue;
		}
		for (size_t i = len; i > 0; i--)
			reached[i] = reached[i - 1] && s[i - 1] == pattern[j];
		reached[0] = false;
	}
	return reached[len];
}

/* In: quoted. Out: its bytes. */
static size_t oracle_decode(struct oracle *o, struct rc_str raw, char *out)
{
	int len = rc_json_string_decode(raw, out, ORACLE_TEXT);

	o->odd |= len < 0;
	return len < 0 ? 0 : (size_t)len;
}

struct oracle_value {
	enum rc_json_kind kind;
	char text[ORACLE_TEXT];
	size_t len;
	double number;
};

static void oracle_set(struct oracle *o, struct rc_json_value v, struct oracle_value *out)
{
	out->kind = v.kind;
	if (v.kind == RC_JSON_STRING)
		out->len = oracle_decode(o, v.raw, out->text);
	if (v.kind == RC_JSON_NUMBER) {
		(void)snprintf(out->text, sizeof(out->text), "%.*s", (int)v.raw.len, v.raw.ptr);
		o->odd |= v.raw.len > 400;
		out->number = strtod(out->text, NULL);
	}
}

static void oracle_field(struct oracle *o, struct oracle_value *out)
{
	char name[ORACLE_TEXT], quoted[ORACLE_TEXT], key_text[ORACLE_TEXT];
	struct rc_json_iter it;
	struct rc_json_value v;
	struct rc_str key;
	size_t len = 0;

	*out = (struct oracle_value){.kind = RC_JSON_NONE};
	if (oracle_take(o, "event")) {
		len = (size_t)snprintf(quoted, sizeof(quoted), "\"%.*s\"", (int)o->event_raw.len,
			o->event_raw.ptr);
		oracle_set(o, (struct rc_json_value){RC_JSON_STRING, (struct rc_str){quoted, len}},
			out);
		return;
	}
	RC_ASSERT(oracle_take(o, "data."));
	if (*o->p == '\'') {
		len = oracle_string(o, name);
		for (size_t i = 0; i < len; i++)
			name[i] = name[i] == 1 ? '*' : name[i];
	} else {
		while (*o->p && !strchr(" ,()=!<>", *o->p))
			name[len++] = *o->p++;
	}
	if (rc_json_root(o->data).kind != RC_JSON_OBJECT)
		return;
	rc_json_object_begin(&it, rc_json_root(o->data).raw);
	while (rc_json_object_next(&it, &key, &v)) {
		size_t key_len =
			oracle_decode(o, (struct rc_str){key.ptr - 1, key.len + 2}, key_text);
		if (key_len == len && memcmp(key_text, name, len) == 0)
			oracle_set(o, v, out);
	}
}

static bool oracle_sign(const char *order, int sign)
{
	if (strcmp(order, "=") == 0)
		return sign == 0;
	if (strcmp(order, "!=") == 0)
		return sign != 0;
	if (order[0] == '<')
		return sign < 0 || (order[1] && sign == 0);
	return sign > 0 || (order[1] && sign == 0);
}

static bool oracle_literal(struct oracle *o, const struct oracle_value *v, const char *order)
{
	char text[ORACLE_TEXT];

	if (*o->p == '\'') {
		size_t len = oracle_string(o, text);
		if (v->kind != RC_JSON_STRING)
			return false;
		if (memchr(text, 1, len))
			return oracle_like(v->text, v->len, text, len) == (order[0] == '=');
		int sign = memcmp(v->text, text, RC_MIN(len, v->len));
		if (sign == 0)
			sign = v->len < len ? -1 : v->len > len;
		return oracle_sign(order, sign);
	}
	if (oracle_take(o, "true") || oracle_take(o, "false")) {
		bool truth = o->p[-2] == 'u';
		if (v->kind != RC_JSON_TRUE && v->kind != RC_JSON_FALSE)
			return false;
		return ((v->kind == RC_JSON_TRUE) == truth) == (order[0] == '=');
	}
	if (oracle_take(o, "null"))
		return v->kind != RC_JSON_NONE && (v->kind == RC_JSON_NULL) == (order[0] == '=');
	char *behind;
	double number = strtod(o->p, &behind);
	RC_ASSERT(behind != o->p);
	o->p = behind;
	if (v->kind != RC_JSON_NUMBER)
		return false;
	return oracle_sign(order, v->number < number ? -1 : v->number > number);
}

static bool oracle_comparison(struct oracle *o)
{
	static const char *const orders[] = {"!=", "<=", ">=", "=", "<", ">"};
	static struct oracle_value v;
	bool negated = false, any = false;

	if (oracle_take(o, "has ")) {
		oracle_field(o, &v);
		return v.kind != RC_JSON_NONE;
	}
	oracle_field(o, &v);
	RC_ASSERT(oracle_take(o, " "));
	for (size_t i = 0; i < RC_ARRAY_LEN(orders); i++) {
		if (oracle_take(o, orders[i])) {
			RC_ASSERT(oracle_take(o, " "));
			return oracle_literal(o, &v, orders[i]);
		}
	}
	negated = oracle_take(o, "not ");
	RC_ASSERT(oracle_take(o, "in ("));
	do {
		bool one = oracle_literal(o, &v, "=");
		any |= one;
	} while (oracle_take(o, ", "));
	RC_ASSERT(oracle_take(o, ")"));
	return any != negated;
}

static bool oracle_factor(struct oracle *o)
{
	bool negated = oracle_take(o, "not ");
	bool value;

	if (oracle_take(o, "(")) {
		value = oracle_or(o);
		RC_ASSERT(oracle_take(o, ")"));
	} else {
		value = oracle_comparison(o);
	}
	return value != negated;
}

static bool oracle_and(struct oracle *o)
{
	bool value = oracle_factor(o);

	while (oracle_take(o, " and ")) {
		bool right = oracle_factor(o);
		value = value && right;
	}
	return value;
}

static bool oracle_or(struct oracle *o)
{
	bool value = oracle_and(o);

	while (oracle_take(o, " or ")) {
		bool right = oracle_and(o);
		value = value || right;
	}
	return value;
}

/* canonical: ends with NUL. -1: some string can't be told apart from others this way. */
static int oracle_match(const char *canonical, struct rc_str event_raw, struct rc_str data)
{
	struct oracle o = {canonical, event_raw, data, false};
	bool value = oracle_or(&o);

	RC_ASSERT(*o.p == 0);
	return o.odd ? -1 : value;
}

#endif
