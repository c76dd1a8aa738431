/* SPDX-License-Identifier: Apache-2.0
 *
 * A payload against a compiled schema, in one pass: what the schema says nothing of is stepped over, what it looks into is
 * entered. So the depth is that of the schema, whatever the payload's is.
 */
#include "proto/schema_block.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "proto/decimal.h"

struct level {
	const struct rc_schema_node *node;
	uint64_t seen;  /* of its required members */
	uint32_t count; /* of items so far */
	bool object;
	struct rc_str key; /* of the member at hand, raw */
};

struct check {
	const struct rc_schema *s;
	struct rc_json_iter it;
	struct rc_schema_fault *fault;
	uint32_t depth;
	struct level level[RC_SCHEMA_DEPTH_MAX + 1];
};

/* ---- what is wrong ------------------------------------------------------------------------------ */

static bool add_key(char place[RC_SCHEMA_PLACE_SIZE], struct rc_str raw)
{
	char text[2 * RC_SCHEMA_PLACE_SIZE];
	int len = -EINVAL;

	/* Decoded where that is possible: what does not fit is cut, as it is written. */
	if (memchr(raw.ptr, '\\', raw.len))
		len = rc_json_string_decode(
			(struct rc_str){raw.ptr - 1, raw.len + 2}, text, sizeof(text));
	return rc_schema_place_add(place, len >= 0 ? (struct rc_str){text, (size_t)len} : raw);
}

/* One level's part of the place. False: it did not fit, nothing is to follow. */
static bool add_level(char place[RC_SCHEMA_PLACE_SIZE], const struct level *l)
{
	char index[16];

	if (l->object)
		return !l->key.ptr || add_key(place, l->key);
	if (!l->count)
		return true;
	int len = snprintf(index, sizeof(index), "%u", l->count - 1);
	return rc_schema_place_add(place, (struct rc_str){index, (size_t)len});
}

/* last: a name behind the place at hand; NULL: none. Always false. */
static bool RC_PRINTF(3, 4)
	blame(struct check *c, const struct rc_str *last, const char *format, ...)
{
	char *place = c->fault->place;
	uint32_t i = 0;
	va_list args;

	place[0] = 0;
	c->fault->line = 0;
	while (i < c->depth && add_level(place, &c->level[i]))
		i++;
	if (last && i == c->depth)
		(void)rc_schema_place_add(place, *last);
	va_start(args, format);
	(void)vsnprintf(c->fault->words, sizeof(c->fault->words), format, args);
	va_end(args);
	return false;
}

static bool blame_type(struct check *c, const struct rc_schema_node *n)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} names[] = {
		{RC_SCHEMA_OBJECT, "an object"},
		{RC_SCHEMA_ARRAY, "an array"},
		{RC_SCHEMA_STRING, "a string"},
		{RC_SCHEMA_NUMBER, "a number"},
		{RC_SCHEMA_INTEGER, "a whole number"},
		{RC_SCHEMA_BOOLEAN, "true or false"},
		{RC_SCHEMA_NULL, "null"},
	};
	char list[96] = "";
	size_t len = 0;

	if (!n->types)
		return blame(c, NULL, "is not allowed");
	for (size_t i = 0; i < RC_ARRAY_LEN(names); i++) {
		bool said = names[i].bit == RC_SCHEMA_INTEGER && (n->types & RC_SCHEMA_NUMBER);
		if (!(n->types & names[i].bit) || said)
			continue;
		len += (size_t)snprintf(
			list + len, sizeof(list) - len, "%s%s", len ? " or " : "", names[i].name);
	}
	return blame(c, NULL, "must be %s", list);
}

/* ---- values ------------------------------------------------------------------------------------- */

/* A string without its quotes decoded, or where nothing is escaped as it lies. False: it is none, or longer than max. */
static bool decoded(struct rc_str raw, char *out, size_t max, struct rc_str *text)
{
	*text = raw;
	if (raw.len == 0 || !memchr(raw.ptr, '\\', raw.len))
		return raw.len <= max;
	int len = rc_json_string_decode((struct rc_str){raw.ptr - 1, raw.len + 2}, out, max);
	*text = (struct rc_str){out, len > 0 ? (size_t)len : 0};
	return len >= 0;
}

static bool equal(
	const struct rc_schema_value *want, const struct rc_json_value *v, struct rc_str text)
{
	if (want->kind != v->kind)
		return false;
	if (v->kind == RC_JSON_STRING)
		return rc_str_eq(want->text, text);
	return v->kind != RC_JSON_NUMBER || rc_decimal_compare(want->text, v->raw) == 0;
}

static void excerpt(char out[64], const struct rc_schema_value *v)
{
	size_t len = RC_MIN(v->text.len, (size_t)40);

	while (len < v->text.len && len && ((unsigned char)v->text.ptr[len] & 0xc0) == 0x80)
		len--;
	(void)snprintf(out, 64, v->kind == RC_JSON_STRING ? "\"%.*s%s\"" : "%.*s%s", (int)len,
		v->text.ptr, len < v->text.len ? "…" : "");
	for (char *p = out; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
}

static bool check_values(
	struct check *c, const struct rc_schema_node *n, const struct rc_json_value *v)
{
	char room[RC_SCHEMA_VALUE_MAX], first[64];
	struct rc_str text = {NULL, 0};
	bool known =
		v->kind != RC_JSON_STRING ||
		decoded((struct rc_str){v->raw.ptr + 1, v->raw.len - 2}, room, sizeof(room), &text);
	const struct rc_schema_value *values = c->s->values;
	uint32_t i = 0;

	if (n->constant != RC_NONE && (!known || !equal(&values[n->constant], v, text))) {
		excerpt(first, &values[n->constant]);
		return blame(c, NULL, "must be %s", first);
	}
	if (n->value_count == 0)
		return true;
	while (known && i < n->value_count && !equal(&values[n->value_first + i], v, text))
		i++;
	if (known && i < n->value_count)
		return true;
	excerpt(first, &values[n->value_first]);
	return blame(c, NULL, "must be one of %u values, such as %s", n->value_count, first);
}

/* Characters of Unicode; half of a pair that stands alone is one. */
static uint64_t characters(struct rc_str s)
{
	uint64_t count = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] != '\\') {
			count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
			continue;
		}
		count++;
		if (s.ptr[++i] != 'u')
			continue;
		/* \uD800 to \uDBFF and \uDC00 to \uDFFF in a row are one. */
		const char *p = s.ptr + i + 1;
		i += 4;
		if ((p[0] | 0x20) == 'd' && memchr("89abAB", p[1], 6) && s.len - i > 6 &&
			p[4] == '\\' && p[5] == 'u' && (p[6] | 0x20) == 'd' &&
			memchr("cdefCDEF", p[7], 8))
			i += 6;
	}
	return count;
}

static bool check_string(struct check *c, const struct rc_schema_node *n, struct rc_str raw)
{
	if (n->min_length == 0 && raw.len - 2 <= n->max_length)
		return true;
	uint64_t count = characters((struct rc_str){raw.ptr + 1, raw.len - 2});
	if (count < n->min_length)
		return blame(c, NULL, "must have at least %u character%s", n->min_length,
			n->min_length == 1 ? "" : "s");
	if (count > n->max_length)
		return blame(c, NULL, "must have at most %u character%s", n->max_length,
			n->max_length == 1 ? "" : "s");
	return true;
}

static bool check_number(struct check *c, const struct rc_schema_node *n, struct rc_str raw)
{
	if (n->minimum.len && rc_decimal_compare(raw, n->minimum) < 0)
		return blame(c, NULL, "must be at least %.*s", (int)n->minimum.len, n->minimum.ptr);
	if (n->maximum.len && rc_decimal_compare(raw, n->maximum) > 0)
		return blame(c, NULL, "must be at most %.*s", (int)n->maximum.len, n->maximum.ptr);
	if (n->above.len && rc_decimal_compare(raw, n->above) <= 0)
		return blame(c, NULL, "must be more than %.*s", (int)n->above.len, n->above.ptr);
	if (n->below.len && rc_decimal_compare(raw, n->below) >= 0)
		return blame(c, NULL, "must be less than %.*s", (int)n->below.len, n->below.ptr);
	return true;
}

static uint8_t type_of(enum rc_json_kind kind)
{
	static const uint8_t type[] = {
		[RC_JSON_NONE] = 0,
		[RC_JSON_OBJECT] = RC_SCHEMA_OBJECT,
		[RC_JSON_ARRAY] = RC_SCHEMA_ARRAY,
		[RC_JSON_STRING] = RC_SCHEMA_STRING,
		[RC_JSON_NUMBER] = RC_SCHEMA_NUMBER | RC_SCHEMA_INTEGER,
		[RC_JSON_TRUE] = RC_SCHEMA_BOOLEAN,
		[RC_JSON_FALSE] = RC_SCHEMA_BOOLEAN,
		[RC_JSON_NULL] = RC_SCHEMA_NULL,
	};

	return type[kind];
}

static bool check_scalar(struct check *c, const struct rc_schema_node *n)
{
	struct rc_json_value v;

	if (!rc_json_read(&c->it, &v))
		return blame(c, NULL, "is not JSON");
	if (v.kind == RC_JSON_STRING && !check_string(c, n, v.raw))
		return false;
	if (v.kind == RC_JSON_NUMBER && (n->types & RC_SCHEMA_INTEGER) &&
		!(n->types & RC_SCHEMA_NUMBER) && !rc_decimal_whole(v.raw))
		return blame_type(c, n);
	if (v.kind == RC_JSON_NUMBER && !check_number(c, n, v.raw))
		return false;
	return (n->value_count == 0 && n->constant == RC_NONE) || check_values(c, n, &v);
}

/* ---- containers --------------------------------------------------------------------------------- */

/* Nothing in it has to be looked at. */
static bool open_minded(const struct rc_schema_node *n, bool object)
{
	if (object)
		return n->member_count == 0 && n->additional == RC_SCHEMA_ANY;
	return n->items == RC_SCHEMA_ANY && n->min_items == 0 && n->max_items == UINT32_MAX;
}

/* The value at pos: over, or entered. */
static bool check_value(struct check *c, uint32_t index)
{
	const struct rc_schema_node *n = &c->s->nodes[index];
	struct rc_json_value v;

	if (index == RC_SCHEMA_ANY)
		return rc_json_read(&c->it, &v) || blame(c, NULL, "is not JSON");
	enum rc_json_kind kind = rc_json_peek(&c->it);
	if (!(n->types & type_of(kind)))
		return blame_type(c, n);
	if (kind != RC_JSON_OBJECT && kind != RC_JSON_ARRAY)
		return check_scalar(c, n);
	if (n->value_count || n->constant != RC_NONE) {
		v.kind = kind; /* equal to none */
		v.raw = (struct rc_str){c->it.pos, 1};
		return check_values(c, n, &v);
	}
	if (open_minded(n, kind == RC_JSON_OBJECT))
		return rc_json_read(&c->it, &v) || blame(c, NULL, "is not JSON");
	RC_ASSERT(c->depth < RC_ARRAY_LEN(c->level));
	c->level[c->depth++] = (struct level){.node = n, .object = kind == RC_JSON_OBJECT};
	rc_json_enter(&c->it);
	return true;
}

static bool check_member(struct check *c, struct level *l)
{
	char room[RC_SCHEMA_NAME_MAX];
	const struct rc_schema_member *m = NULL;
	struct rc_str name;

	if (!rc_json_key(&c->it, &l->key))
		return blame(c, NULL, "is not JSON");
	if (decoded(l->key, room, sizeof(room), &name))
		m = rc_schema_find(
			c->s->members + l->node->member_first, l->node->member_count, name);
	if (m && m->required != RC_NONE)
		l->seen |= (uint64_t)1 << m->required;
	return check_value(c, m ? m->node : l->node->additional);
}

static bool check_item(struct check *c, struct level *l)
{
	if (l->count++ < l->node->max_items)
		return check_value(c, l->node->items);
	c->depth--;
	return blame(c, NULL, "must have at most %u item%s", l->node->max_items,
		l->node->max_items == 1 ? "" : "s");
}

/* The container is over. */
static bool leave(struct check *c, struct level *l)
{
	const struct rc_schema_node *n = l->node;
	uint64_t missing = n->required & ~l->seen;

	c->depth--;
	if (!l->object)
		return l->count >= n->min_items ||
		       blame(c, NULL, "must have at least %u item%s", n->min_items,
			       n->min_items == 1 ? "" : "s");
	if (!missing)
		return true;
	const struct rc_schema_member *m = c->s->members + n->member_first;
	while (m->required != (uint32_t)__builtin_ctzll(missing))
		m++;
	return blame(c, &m->name, "is required");
}

bool rc_schema_check(const struct rc_schema *s, struct rc_str event, struct rc_str json,
	struct rc_schema_fault *fault)
{
	struct check c;
	const struct rc_schema_member *own =
		rc_schema_find(s->members + s->event_first, s->event_count, event);

	c.s = s;
	c.it = (struct rc_json_iter){json.ptr, json.ptr + json.len};
	c.fault = fault;
	c.depth = 0;
	if (!check_value(&c, own ? own->node : s->root))
		return false;
	while (c.depth) {
		struct level *l = &c.level[c.depth - 1];
		bool right = !rc_json_more(&c.it) ? leave(&c, l)
			     : l->object          ? check_member(&c, l)
						  : check_item(&c, l);
		if (!right)
			return false;
	}
	return true;
}
