/* SPDX-License-Identifier: Apache-2.0
 *
 * Walking JSON that was validated: members of objects, items of arrays, each value the slice of its bytes. Every step
 * stays before the end and goes forward, whatever the bytes are. Pure, any thread.
 */
#include "proto/json.h"

#include "proto/json_scan.h"

/* p is behind the opening quote. Returns the closing one, or end. */
static const char *string_end(const char *p, const char *end)
{
	for (;;) {
		uint64_t seen = 0;

		p = rc_scan_plain_end(p, end, &seen);
		if (p == end || *p == '"')
			return p;
		p += *p == '\\' && end - p > 1 ? 2 : 1;
	}
}

/* p is at the opening bracket. Returns what is behind the one that closes it, or end. */
static const char *container_end(const char *p, const char *end)
{
	size_t depth = 0;

	while (p < end) {
		switch (*p++) {
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (--depth == 0)
				return p;
			break;
		case '"':
			p = string_end(p, end);
			if (p < end)
				p++;
			break;
		default:
			break;
		}
	}
	return end;
}

static const char *scalar_end(const char *p, const char *end)
{
	while (p < end && *p != ',' && *p != '}' && *p != ']' && !rc_scan_is_space(*p))
		p++;
	return p;
}

static inline __attribute__((always_inline)) enum rc_json_kind kind_of(char c)
{
	switch (c) {
	case '{':
		return RC_JSON_OBJECT;
	case '[':
		return RC_JSON_ARRAY;
	case '"':
		return RC_JSON_STRING;
	case 't':
		return RC_JSON_TRUE;
	case 'f':
		return RC_JSON_FALSE;
	case 'n':
		return RC_JSON_NULL;
	default:
		return c == '-' || rc_scan_is_digit(c) ? RC_JSON_NUMBER : RC_JSON_NONE;
	}
}

static bool read_value(struct rc_json_iter *it, struct rc_json_value *value)
{
	const char *p = rc_scan_skip_space(it->pos, it->end);
	const char *behind;
	enum rc_json_kind kind = p < it->end ? kind_of(*p) : RC_JSON_NONE;

	switch (kind) {
	case RC_JSON_NONE:
		it->pos = it->end;
		return false;
	case RC_JSON_OBJECT:
	case RC_JSON_ARRAY:
		behind = container_end(p, it->end);
		break;
	case RC_JSON_STRING:
		behind = string_end(p + 1, it->end);
		if (behind < it->end)
			behind++;
		break;
	default:
		behind = scalar_end(p, it->end);
		break;
	}
	value->kind = kind;
	value->raw = (struct rc_str){p, (size_t)(behind - p)};
	it->pos = behind;
	return true;
}

/* Past the white space and the comma before a member. false: the container ends here. */
static bool next_member(struct rc_json_iter *it)
{
	const char *p = rc_scan_skip_space(it->pos, it->end);

	if (p < it->end && *p == ',')
		p = rc_scan_skip_space(p + 1, it->end);
	it->pos = p;
	return p < it->end && *p != '}' && *p != ']';
}

/* pos is at the key; then it is behind the colon. */
static inline __attribute__((always_inline)) bool read_key(
	struct rc_json_iter *it, struct rc_str *key_raw)
{
	const char *key, *behind;

	if (it->pos == it->end || *it->pos != '"') {
		it->pos = it->end;
		return false;
	}
	key = it->pos + 1;
	behind = string_end(key, it->end);
	*key_raw = (struct rc_str){key, (size_t)(behind - key)};
	if (behind < it->end)
		behind = rc_scan_skip_space(behind + 1, it->end);
	if (behind == it->end || *behind != ':') {
		it->pos = it->end;
		return false;
	}
	it->pos = behind + 1;
	return true;
}

static void begin(struct rc_json_iter *it, struct rc_str container)
{
	it->pos = container.ptr;
	it->end = container.len > 0 ? container.ptr + container.len : container.ptr;
	if (container.len > 0)
		it->pos++;
}

struct rc_json_value rc_json_root(struct rc_str text)
{
	struct rc_json_iter it = {text.ptr, text.len > 0 ? text.ptr + text.len : text.ptr};
	struct rc_json_value value = {RC_JSON_NONE, {NULL, 0}};

	(void)read_value(&it, &value);
	return value;
}

void rc_json_object_begin(struct rc_json_iter *it, struct rc_str object)
{
	begin(it, object);
}

bool rc_json_object_next(
	struct rc_json_iter *it, struct rc_str *key_raw, struct rc_json_value *value)
{
	if (!next_member(it)) {
		it->pos = it->end;
		return false;
	}
	return read_key(it, key_raw) && read_value(it, value);
}

void rc_json_array_begin(struct rc_json_iter *it, struct rc_str array)
{
	begin(it, array);
}

bool rc_json_array_next(struct rc_json_iter *it, struct rc_json_value *value)
{
	return next_member(it) && read_value(it, value);
}

enum rc_json_kind rc_json_peek(struct rc_json_iter *it)
{
	it->pos = rc_scan_skip_space(it->pos, it->end);
	return it->pos < it->end ? kind_of(*it->pos) : RC_JSON_NONE;
}

bool rc_json_read(struct rc_json_iter *it, struct rc_json_value *value)
{
	return read_value(it, value);
}

void rc_json_enter(struct rc_json_iter *it)
{
	it->pos++;
}

bool rc_json_more(struct rc_json_iter *it)
{
	if (next_member(it))
		return true;
	if (it->pos < it->end)
		it->pos++;
	return false;
}

bool rc_json_key(struct rc_json_iter *it, struct rc_str *key_raw)
{
	return read_key(it, key_raw);
}
