/* SPDX-License-Identifier: Apache-2.0
 *
 * The simple words of a schema: types, values, counts and numbers; and what is said of a wrong one.
 */
#include "proto/schema_block.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "proto/decimal.h"

#define NUMBER_MAX 64u

static const struct {
	const char *name;
	uint8_t bits;
} types[] = {
	{"object", RC_SCHEMA_OBJECT},
	{"array", RC_SCHEMA_ARRAY},
	{"string", RC_SCHEMA_STRING},
	{"number", RC_SCHEMA_NUMBER | RC_SCHEMA_INTEGER},
	{"integer", RC_SCHEMA_INTEGER},
	{"boolean", RC_SCHEMA_BOOLEAN},
	{"null", RC_SCHEMA_NULL},
};

bool rc_schema_place_add(char place[RC_SCHEMA_PLACE_SIZE], struct rc_str name)
{
	size_t len = strlen(place);
	size_t room = RC_SCHEMA_PLACE_SIZE - 1 - len;
	size_t at = len, i = 0;

	if (room == 0)
		return false;
	place[at++] = '/';
	for (; i < name.len; i++) {
		char c = name.ptr[i];
		size_t need = c == '~' || c == '/' ? 2 : 1;

		if (RC_SCHEMA_PLACE_SIZE - 1 - at < need) {
			/* Not within a character. */
			while (at > len + 1 && ((unsigned char)name.ptr[i] & 0xc0) == 0x80) {
				i--;
				at--;
			}
			break;
		}
		if (need == 2) {
			place[at++] = '~';
			c = c == '~' ? '0' : '1';
		}
		place[at++] = (unsigned char)c < 0x20 || c == 0x7f ? '?' : c;
	}
	place[at] = 0;
	return i == name.len;
}

/* ---- what is wrong ------------------------------------------------------------------------------ */

static void put_place(char out[RC_SCHEMA_PLACE_SIZE], const struct rc_schema_step *at)
{
	const struct rc_schema_step *row[2 * RC_SCHEMA_DEPTH_MAX + 8];
	uint32_t count = 0;

	for (; at && count < RC_ARRAY_LEN(row); at = at->up)
		row[count++] = at;
	out[0] = 0;
	while (count && rc_schema_place_add(out, row[count - 1]->name))
		count--;
}

static uint32_t line_of(const struct rc_schema_work *w, const char *where)
{
	uint32_t line = 1;

	for (const char *p = w->text.ptr; p < where; p++)
		line += *p == '\n';
	return line;
}

/* Always false. */
bool RC_PRINTF(4, 5) rc_schema_blame(struct rc_schema_work *w, const struct rc_schema_step *at,
	const char *where, const char *format, ...)
{
	va_list args;

	put_place(w->fault->place, at);
	w->fault->line = line_of(w, where ? where : w->text.ptr);
	va_start(args, format);
	(void)vsnprintf(w->fault->words, sizeof(w->fault->words), format, args);
	va_end(args);
	return false;
}

/* ---- the block ---------------------------------------------------------------------------------- */

bool rc_schema_keep(struct rc_schema_work *w, struct rc_str text, struct rc_str *out)
{
	struct rc_schema *s = w->s;

	if (text.len > s->text_max - s->text_len)
		return rc_schema_blame(w, NULL, NULL, "has more than was reckoned with");
	*out = (struct rc_str){s->text + s->text_len, text.len};
	(void)rc_str_copy(s->text + s->text_len, text);
	s->text_len += text.len;
	return true;
}

/* ---- words -------------------------------------------------------------------------------------- */

bool rc_schema_text_of(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, size_t max, struct rc_str *out)
{
	char text[RC_SCHEMA_VALUE_MAX];
	int len;

	RC_DASSERT(max <= RC_SCHEMA_VALUE_MAX);
	if (v->kind != RC_JSON_STRING)
		return rc_schema_blame(w, at, v->raw.ptr, "must be a string");
	len = rc_json_string_decode(v->raw, text, max);
	if (len == -ENOSPC)
		return rc_schema_blame(w, at, v->raw.ptr, "is longer than %zu bytes", max);
	if (len < 0)
		return rc_schema_blame(w, at, v->raw.ptr, "is not text");
	return rc_schema_keep(w, (struct rc_str){text, (size_t)len}, out);
}

static bool add_type(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, uint8_t *bits)
{
	for (size_t i = 0; v->kind == RC_JSON_STRING && i < RC_ARRAY_LEN(types); i++) {
		struct rc_str name = {v->raw.ptr + 1, v->raw.len - 2};
		if (!rc_str_eq(name, rc_str_of(types[i].name)))
			continue;
		*bits |= types[i].bits;
		return true;
	}
	return rc_schema_blame(w, at, v->raw.ptr,
		"must be object, array, string, number, integer, boolean or null");
}

bool rc_schema_read_types(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, struct rc_schema_node *n)
{
	struct rc_json_iter it;
	struct rc_json_value item;

	if (v->kind != RC_JSON_ARRAY) {
		n->types = 0;
		return add_type(w, at, v, &n->types);
	}
	n->types = 0;
	rc_json_array_begin(&it, v->raw);
	while (rc_json_array_next(&it, &item)) {
		if (!add_type(w, at, &item, &n->types))
			return false;
	}
	return n->types || rc_schema_blame(w, at, v->raw.ptr, "names no type");
}

bool rc_schema_add_value(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, uint32_t *index)
{
	struct rc_schema *s = w->s;
	struct rc_schema_value value = {.kind = v->kind};

	if (v->kind == RC_JSON_OBJECT || v->kind == RC_JSON_ARRAY)
		return rc_schema_blame(w, at, v->raw.ptr,
			"compares with an object or an array, which is not "
			"offered");
	if (v->kind == RC_JSON_STRING) {
		if (!rc_schema_text_of(w, at, v, RC_SCHEMA_VALUE_MAX, &value.text))
			return false;
	} else if (v->raw.len > NUMBER_MAX) {
		return rc_schema_blame(w, at, v->raw.ptr, "is longer than %u digits", NUMBER_MAX);
	} else if (!rc_schema_keep(w, v->raw, &value.text)) {
		return false;
	}
	if (s->value_count == s->value_max)
		return rc_schema_blame(w, at, v->raw.ptr, "has more than was reckoned with");
	*index = s->value_count;
	s->values[s->value_count++] = value;
	return true;
}

bool rc_schema_read_enum(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, struct rc_schema_node *n)
{
	struct rc_json_iter it;
	struct rc_json_value item;
	uint32_t index;

	if (v->kind != RC_JSON_ARRAY)
		return rc_schema_blame(w, at, v->raw.ptr, "must be an array");
	n->value_first = w->s->value_count;
	rc_json_array_begin(&it, v->raw);
	while (rc_json_array_next(&it, &item)) {
		if (n->value_count == RC_SCHEMA_LIST_MAX)
			return rc_schema_blame(
				w, at, item.raw.ptr, "has more than %u values", RC_SCHEMA_LIST_MAX);
		if (!rc_schema_add_value(w, at, &item, &index))
			return false;
		n->value_count++;
	}
	return n->value_count || rc_schema_blame(w, at, v->raw.ptr, "is empty");
}

bool rc_schema_read_count(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, uint32_t *out)
{
	uint32_t value = 0;

	if (v->kind != RC_JSON_NUMBER || v->raw.len > 9)
		return rc_schema_blame(
			w, at, v->raw.ptr, "must be a whole number from 0 to 999999999");
	for (size_t i = 0; i < v->raw.len; i++) {
		if (v->raw.ptr[i] < '0' || v->raw.ptr[i] > '9')
			return rc_schema_blame(
				w, at, v->raw.ptr, "must be a whole number from 0 to 999999999");
		value = value * 10 + (uint32_t)(v->raw.ptr[i] - '0');
	}
	*out = value;
	return true;
}

bool rc_schema_read_number(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, struct rc_str *out)
{
	if (v->kind != RC_JSON_NUMBER)
		return rc_schema_blame(w, at, v->raw.ptr, "must be a number");
	/* So that it compares exactly with whatever comes. */
	if (v->raw.len > NUMBER_MAX || rc_decimal_compare(v->raw, RC_STR("1e400")) > 0 ||
		rc_decimal_compare(v->raw, RC_STR("-1e400")) < 0)
		return rc_schema_blame(w, at, v->raw.ptr,
			"must be a number of at most %u characters between "
			"-1e400 and 1e400",
			NUMBER_MAX);
	return rc_schema_keep(w, v->raw, out);
}
