/* SPDX-License-Identifier: Apache-2.0
 *
 * What channels, patterns and events may be called. A name's bytes are looked up in one table; only a name with a
 * wildcard is looked at level by level. Pure, any thread.
 */
#include "proto/names.h"

#include "base/utf8.h"

enum { FOREIGN = 0, PLAIN = 1, STAR = 2 };

static const unsigned char classes[256] = {
	['A' ... 'Z'] = PLAIN,
	['a' ... 'z'] = PLAIN,
	['0' ... '9'] = PLAIN,
	['_'] = PLAIN,
	['.'] = PLAIN,
	[':'] = PLAIN,
	['/'] = PLAIN,
	['$'] = PLAIN,
	['@'] = PLAIN,
	['='] = PLAIN,
	['-'] = PLAIN,
	['*'] = STAR,
};

/* Takes the first level and its colon off *rest; *last tells that no colon followed. */
static struct rc_str take_level(struct rc_str *rest, bool *last)
{
	const char *colon = rest->len > 0 ? memchr(rest->ptr, ':', rest->len) : NULL;
	struct rc_str level = *rest;

	*last = colon == NULL;
	if (colon == NULL)
		return level;
	level.len = (size_t)(colon - rest->ptr);
	rest->ptr += level.len + 1;
	rest->len -= level.len + 1;
	return level;
}

static bool is_star(struct rc_str level)
{
	return level.len == 1 && level.ptr[0] == '*';
}

static bool is_double_star(struct rc_str level)
{
	return level.len == 2 && level.ptr[0] == '*' && level.ptr[1] == '*';
}

static bool levels_make_pattern(struct rc_str name)
{
	bool last = false;

	while (!last) {
		struct rc_str level = take_level(&name, &last);

		if (level.len == 0)
			return false;
		if (memchr(level.ptr, '*', level.len) == NULL || is_star(level))
			continue;
		if (!is_double_star(level) || !last)
			return false;
	}
	return true;
}

enum rc_name_kind rc_name_classify(struct rc_str name)
{
	unsigned int seen = 0, foreign = 0;

	if (name.len == 0 || name.len > RC_CHANNEL_MAX)
		return RC_NAME_BAD;
	for (size_t i = 0; i < name.len; i++) {
		unsigned int class = classes[(unsigned char)name.ptr[i]];

		seen |= class;
		foreign |= class == FOREIGN;
	}
	if (foreign)
		return RC_NAME_BAD;
	if ((seen & STAR) == 0)
		return RC_NAME_CHANNEL;
	return levels_make_pattern(name) ? RC_NAME_PATTERN : RC_NAME_BAD;
}

static bool has_empty_level(struct rc_str channel)
{
	bool last = false;

	while (!last) {
		if (take_level(&channel, &last).len == 0)
			return true;
	}
	return false;
}

bool rc_pattern_match(struct rc_str pattern, struct rc_str channel)
{
	bool pattern_last = false, channel_last = false;

	if (has_empty_level(channel))
		return false;
	if (rc_name_reserved(channel) && !rc_name_reserved(pattern))
		return false;
	while (!pattern_last && !channel_last) {
		struct rc_str want = take_level(&pattern, &pattern_last);
		struct rc_str have = take_level(&channel, &channel_last);

		if (is_double_star(want))
			return true;
		if (!is_star(want) && !rc_str_eq(want, have))
			return false;
	}
	return pattern_last && channel_last;
}

bool rc_pattern_covers(struct rc_str wide, struct rc_str narrow)
{
	bool wide_last = false, narrow_last = false;

	if (!rc_name_is_pattern(wide))
		return rc_str_eq(wide, narrow);
	if (!rc_name_is_pattern(narrow))
		return rc_pattern_match(wide, narrow);
	if (rc_name_reserved(narrow) != rc_name_reserved(wide))
		return false;
	while (!wide_last && !narrow_last) {
		struct rc_str a = take_level(&wide, &wide_last);
		struct rc_str b = take_level(&narrow, &narrow_last);

		if (is_double_star(a))
			return true;
		if (is_star(a) ? is_double_star(b) : !rc_str_eq(a, b))
			return false;
	}
	return wide_last && narrow_last;
}

bool rc_event_name_valid(struct rc_str name)
{
	unsigned char seen = 0;

	if (name.len == 0 || name.len > RC_EVENT_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.ptr[i];

		seen |= c;
		if (c < 0x20 || c == 0x7f)
			return false;
		/* U+0080 to U+009F: steering characters too, two bytes long */
		if (c == 0xc2 && i + 1 < name.len && (unsigned char)name.ptr[i + 1] < 0xa0)
			return false;
	}
	return seen < 0x80 || rc_utf8_valid(name.ptr, name.len);
}
