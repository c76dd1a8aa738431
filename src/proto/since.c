/* SPDX-License-Identifier: Apache-2.0
 *
 * Points in the past that a client names. See since.h.
 */
#include "proto/since.h"

#include <errno.h>

#include "base/clock.h"

int rc_msg_since_text(struct rc_str decoded, struct rc_since *out)
{
	if (rc_str_eq(decoded, RC_STR("beginning")))
		out->kind = RC_SINCE_BEGINNING;
	else if (rc_position_parse(decoded, &out->epoch, &out->offset) == 0)
		out->kind = RC_SINCE_POSITION;
	else if (rc_stream_parse(decoded, &out->epoch, out->stamps, &out->count) == 0)
		out->kind = RC_SINCE_STREAM;
	else if (rc_u64_parse(decoded, &out->time_ms) == 0 ||
		 rc_clock_iso8601_parse(decoded, &out->time_ms) == 0)
		out->kind = RC_SINCE_TIME;
	else
		return -EINVAL;
	return 0;
}

static int since_value(struct rc_json_value v, struct rc_since *out)
{
	char text[RC_STREAM_TEXT_MAX(RC_SHARDS_MAX)];
	int len;

	if (v.kind == RC_JSON_NUMBER) {
		out->kind = RC_SINCE_TIME;
		return rc_u64_parse(v.raw, &out->time_ms);
	}
	if (v.kind != RC_JSON_STRING)
		return -EINVAL;
	len = rc_json_string_decode(v.raw, text, sizeof(text));
	return len < 0 ? -EINVAL : rc_msg_since_text((struct rc_str){text, (size_t)len}, out);
}

/* A key is given with its quotes. false: it is not the name of any channel. */
static bool key_decode(struct rc_str key, char buf[RC_CHANNEL_MAX + 1], struct rc_str *name)
{
	int len = rc_json_string_decode(key, buf, RC_CHANNEL_MAX);

	*name = (struct rc_str){buf, len > 0 ? (size_t)len : 0};
	return len > 0;
}

static struct rc_str quoted(struct rc_str key_raw)
{
	return (struct rc_str){key_raw.ptr - 1, key_raw.len + 2};
}

int rc_msg_since_of(const struct rc_msg *m, struct rc_str channel, struct rc_since *out)
{
	struct rc_json_iter it;
	struct rc_json_value v;
	struct rc_str key, name;
	char buf[RC_CHANNEL_MAX + 1];

	if (m->since.kind == RC_JSON_NONE)
		return 0;
	if (m->since.kind != RC_JSON_OBJECT)
		return since_value(m->since, out) < 0 ? -EINVAL : 1;
	rc_json_object_begin(&it, m->since.raw);
	while (rc_json_object_next(&it, &key, &v)) {
		if (key_decode(quoted(key), buf, &name) && rc_str_eq(name, channel))
			return since_value(v, out) < 0 ? -EINVAL : 1;
	}
	return 0;
}

/* ---- the table */

static struct rc_str slot_key(const struct rc_since_table *t, const struct rc_since_slot *s)
{
	return (struct rc_str){t->m->since.raw.ptr + s->pos, s->len};
}

/* Where this name is, or the free slot where it would be. There is always one: at most half of them are taken. */
static uint32_t find_slot(const struct rc_since_table *t, struct rc_str name)
{
	uint32_t i = (uint32_t)rc_hash(&t->key, name.ptr, name.len) & t->mask;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str have;

	while (t->slots[i].pos != 0) {
		if (key_decode(slot_key(t, &t->slots[i]), buf, &have) && rc_str_eq(have, name))
			break;
		i = (i + 1) & t->mask;
	}
	return i;
}

static int malformed(struct rc_msg_fault *fault)
{
	rc_msg_blame(fault, "bad_request",
		"'since' must be a position, \"beginning\" or a time, or an object that gives "
		"one for each channel");
	return -EINVAL;
}

static int fault_with_name(
	struct rc_msg_fault *fault, const char *before, struct rc_str name, const char *behind)
{
	struct rc_str part = rc_msg_excerpt((struct rc_json_value){RC_JSON_NONE, name});

	rc_msg_blame(fault, "bad_request", "%s'%.*s'%s", before, (int)part.len, part.ptr, behind);
	return -EINVAL;
}

/* Puts every key into the table. Returns how many, or -EINVAL. */
static int64_t fill(struct rc_since_table *t, struct rc_msg_fault *fault)
{
	struct rc_json_iter it;
	struct rc_json_value v;
	struct rc_str key, name;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_since since;
	uint32_t count = 0;

	rc_json_object_begin(&it, t->m->since.raw);
	while (rc_json_object_next(&it, &key, &v))
		count++;
	if (count > RC_SINCE_KEYS_MAX) {
		rc_msg_blame(fault, "bad_request",
			"'since' names more than %d channels; send several requests",
			RC_SINCE_KEYS_MAX);
		return -EINVAL;
	}
	t->mask = (uint32_t)rc_pow2_ceil(2 * (uint64_t)count) - 1;
	memset(t->slots, 0, (t->mask + 1) * sizeof(t->slots[0]));

	rc_json_object_begin(&it, t->m->since.raw);
	while (rc_json_object_next(&it, &key, &v)) {
		struct rc_since_slot *s;

		if (!key_decode(quoted(key), buf, &name))
			return fault_with_name(fault, "'since' names ", key,
				", which is not among the channels of this request");
		s = &t->slots[find_slot(t, name)];
		if (s->pos != 0)
			return fault_with_name(fault, "'since' names ", name, " twice");
		if (since_value(v, &since) < 0)
			return malformed(fault);
		if (since.kind == RC_SINCE_POSITION && rc_name_classify(name) == RC_NAME_PATTERN)
			return fault_with_name(
				fault, "'since' gives the position of a channel for ", name, "");
		s->pos = (uint32_t)(key.ptr - 1 - t->m->since.raw.ptr);
		/* Every byte of a name that was decoded is six at most. */
		s->len = (uint16_t)(key.len + 2);
	}
	return count;
}

static int check_object(struct rc_since_table *t, struct rc_msg_fault *fault)
{
	struct rc_msg_channels names;
	struct rc_str name;
	char buf[RC_CHANNEL_MAX + 1];
	int64_t missing = fill(t, fault);
	int result;

	if (missing < 0)
		return -EINVAL;
	rc_msg_channels_begin(&names, t->m);
	while ((result = rc_msg_channels_next(&names, buf, &name)) != 0) {
		struct rc_since_slot *s = result > 0 ? &t->slots[find_slot(t, name)] : NULL;

		if (s == NULL || s->pos == 0 || s->seen)
			continue;
		s->seen = true;
		missing--;
	}
	for (uint32_t i = 0; missing > 0 && i <= t->mask; i++) {
		if (t->slots[i].pos == 0 || t->slots[i].seen)
			continue;
		(void)key_decode(slot_key(t, &t->slots[i]), buf, &name);
		return fault_with_name(fault, "'since' names ", name,
			", which is not among the channels of this request");
	}
	return 0;
}

/* The position of one channel, given for all that the request names. */
static int check_single(const struct rc_msg *m, struct rc_msg_fault *fault)
{
	struct rc_msg_channels names;
	struct rc_str name, first = {NULL, 0};
	char buf[RC_CHANNEL_MAX + 1], first_buf[RC_CHANNEL_MAX + 1];
	int result;

	rc_msg_channels_begin(&names, m);
	while ((result = rc_msg_channels_next(&names, buf, &name)) != 0) {
		if (result < 0)
			continue;
		if (rc_name_classify(name) == RC_NAME_PATTERN)
			return fault_with_name(
				fault, "'since' gives the position of a channel for ", name, "");
		if (first.ptr == NULL) {
			memcpy(first_buf, buf, name.len);
			first = (struct rc_str){first_buf, name.len};
		} else if (!rc_str_eq(first, name)) {
			rc_msg_blame(fault, "bad_request",
				"'since' gives the position of one channel for several; "
				"send an object that gives one for each");
			return -EINVAL;
		}
	}
	return 0;
}

int rc_msg_since_check(struct rc_since_table *table, const struct rc_msg *m,
	const struct rc_hash_key *key, struct rc_msg_fault *fault)
{
	struct rc_since since;

	fault->code = NULL;
	fault->message[0] = 0;
	table->m = m;
	table->key = *key;
	if (m->since.kind == RC_JSON_NONE)
		return 0;
	if (m->since.kind == RC_JSON_OBJECT)
		return check_object(table, fault);
	if (since_value(m->since, &since) < 0)
		return malformed(fault);
	return since.kind == RC_SINCE_POSITION ? check_single(m, fault) : 0;
}

int rc_msg_since_find(
	const struct rc_since_table *table, struct rc_str channel, struct rc_since *out)
{
	const struct rc_since_slot *s;
	struct rc_json_iter it;
	struct rc_json_value v;
	struct rc_str key;

	if (table->m->since.kind != RC_JSON_OBJECT)
		return rc_msg_since_of(table->m, channel, out);
	s = &table->slots[find_slot(table, channel)];
	if (s->pos == 0)
		return 0;
	/* The walk goes on behind whatever member it stood at: here it stands at this one. */
	it = (struct rc_json_iter){table->m->since.raw.ptr + s->pos,
		table->m->since.raw.ptr + table->m->since.raw.len};
	return rc_json_object_next(&it, &key, &v) && since_value(v, out) == 0 ? 1 : 0;
}

/* ---- history */

static int history_channel(
	const struct rc_msg *m, struct rc_msg_history *out, struct rc_msg_fault *fault)
{
	struct rc_msg_channels names;
	struct rc_str more;
	char buf[RC_CHANNEL_MAX + 1];
	int result;

	rc_msg_channels_begin(&names, m);
	result = rc_msg_channels_next(&names, out->channel_text, &out->channel);
	if (result < 0) {
		rc_msg_blame(fault, "bad_channel", "'%.*s' is not the name of a channel",
			(int)out->channel.len, out->channel.ptr);
		return -EINVAL;
	}
	if (result == 0 || rc_msg_channels_next(&names, buf, &more) != 0) {
		rc_msg_blame(fault, "bad_request", "history needs one channel");
		return -EINVAL;
	}
	return 0;
}

static int history_before(
	const struct rc_msg *m, struct rc_msg_history *out, struct rc_msg_fault *fault)
{
	struct rc_since before;

	if (m->before.kind == RC_JSON_NONE)
		return 0;
	if (m->before.kind != RC_JSON_STRING || since_value(m->before, &before) < 0 ||
		before.kind != RC_SINCE_POSITION) {
		rc_msg_blame(fault, "bad_request", "'before' must be a position of the channel");
		return -EINVAL;
	}
	if (m->since.kind != RC_JSON_NONE) {
		rc_msg_blame(
			fault, "bad_request", "'since' and 'before' exclude each other; send one");
		return -EINVAL;
	}
	out->has_before = true;
	out->before_epoch = before.epoch;
	out->before_offset = before.offset;
	return 0;
}

int rc_msg_history_of(
	const struct rc_msg *m, struct rc_msg_history *out, struct rc_msg_fault *fault)
{
	uint64_t limit = RC_HISTORY_LIMIT_DEFAULT;

	fault->code = NULL;
	fault->message[0] = 0;
	out->since.kind = RC_SINCE_NONE;
	out->has_before = false;
	if (history_channel(m, out, fault) < 0 || history_before(m, out, fault) < 0)
		return -EINVAL;
	if (m->since.kind != RC_JSON_NONE && since_value(m->since, &out->since) < 0) {
		rc_msg_blame(fault, "bad_request",
			"'since' must be a position, \"beginning\" or a time");
		return -EINVAL;
	}
	if (m->limit.kind != RC_JSON_NONE &&
		(m->limit.kind != RC_JSON_NUMBER || rc_u64_parse(m->limit.raw, &limit) < 0 ||
			limit < 1 || limit > RC_HISTORY_LIMIT_MAX)) {
		rc_msg_blame(fault, "bad_request", "'limit' must be a number from 1 to %d",
			RC_HISTORY_LIMIT_MAX);
		return -EINVAL;
	}
	out->limit = (uint32_t)limit;
	return 0;
}
