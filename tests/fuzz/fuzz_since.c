/* SPDX-License-Identifier: Apache-2.0
 *
 * Points in the past from arbitrary bytes. Properties: what is taken as a position is what its writer writes; a moment that
 * is written is read as the same; what one way finds in a message the other finds too, and where the check takes a since, each
 * key of it stands for a channel of the request; a refusal is a text that can be sent.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "proto/since.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rc_since_table table;
static const struct rc_hash_key key = {3, 4};

static void check_fault(const struct rc_msg_fault *f)
{
	RC_ASSERT(f->code != NULL && f->message[0] != 0);
	RC_ASSERT(rc_utf8_valid(f->message, strlen(f->message)));
}

static void check_text(struct rc_str text)
{
	char out[RC_STREAM_TEXT_MAX(RC_SHARDS_MAX)], iso[RC_ISO8601_LEN];
	struct rc_since s = {.kind = RC_SINCE_NONE};
	uint64_t back;

	if (rc_msg_since_text(text, &s) < 0)
		return;
	switch (s.kind) {
	case RC_SINCE_POSITION:
		RC_ASSERT(rc_str_eq(
			text, (struct rc_str){out, rc_position_text(s.epoch, s.offset, out)}));
		break;
	case RC_SINCE_STREAM:
		RC_ASSERT(rc_str_eq(text,
			(struct rc_str){out, rc_stream_text(s.epoch, s.stamps, s.count, out)}));
		break;
	case RC_SINCE_TIME:
		if (s.time_ms > 253402300799999u)
			break;
		rc_clock_iso8601(s.time_ms, iso);
		RC_ASSERT(rc_clock_iso8601_parse((struct rc_str){iso, sizeof(iso)}, &back) == 0);
		RC_ASSERT(back == s.time_ms);
		break;
	default:
		RC_ASSERT(s.kind == RC_SINCE_BEGINNING);
		break;
	}
}

static uint32_t keys_in(const struct rc_msg *m)
{
	struct rc_json_iter it;
	struct rc_json_value v;
	struct rc_str name;
	uint32_t count = 0;

	if (m->since.kind != RC_JSON_OBJECT)
		return 0;
	rc_json_object_begin(&it, m->since.raw);
	while (rc_json_object_next(&it, &name, &v))
		count++;
	return count;
}

/* Each channel once: names of channels that stand twice are not counted again. */
static bool named_before(const struct rc_msg *m, struct rc_str name, uint32_t index)
{
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str other;

	rc_msg_channels_begin(&it, m);
	for (uint32_t i = 0; i < index; i++) {
		if (rc_msg_channels_next(&it, buf, &other) > 0 && rc_str_eq(other, name))
			return true;
	}
	return false;
}

static void check_subscribe(const struct rc_msg *m)
{
	struct rc_msg_fault fault;
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str name;
	struct rc_since a = {.kind = RC_SINCE_NONE}, b = {.kind = RC_SINCE_NONE};
	uint32_t found = 0, index = 0;
	int result;

	memset(&table, 0xa5, sizeof(table));
	if (rc_msg_since_check(&table, m, &key, &fault) < 0) {
		check_fault(&fault);
		return;
	}
	RC_ASSERT(fault.code == NULL);
	rc_msg_channels_begin(&it, m);
	for (; (result = rc_msg_channels_next(&it, buf, &name)) != 0; index++) {
		if (result < 0)
			continue;
		result = rc_msg_since_of(m, name, &a);
		RC_ASSERT(result >= 0 && rc_msg_since_find(&table, name, &b) == result);
		RC_ASSERT(a.kind == b.kind && (result == 1) == (a.kind != RC_SINCE_NONE));
		RC_ASSERT(a.kind != RC_SINCE_POSITION || rc_name_classify(name) != RC_NAME_PATTERN);
		if (result == 1 && !named_before(m, name, index))
			found++;
		a.kind = b.kind = RC_SINCE_NONE;
	}
	RC_ASSERT(m->since.kind != RC_JSON_OBJECT || found == keys_in(m));
}

static void check_history(const struct rc_msg *m)
{
	struct rc_msg_history h;
	struct rc_msg_fault fault;

	if (rc_msg_history_of(m, &h, &fault) < 0) {
		check_fault(&fault);
		return;
	}
	RC_ASSERT(h.channel.ptr == h.channel_text && h.channel.len <= RC_CHANNEL_MAX);
	RC_ASSERT(h.limit >= 1 && h.limit <= RC_HISTORY_LIMIT_MAX);
	RC_ASSERT(!h.has_before || h.since.kind == RC_SINCE_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rc_str text = {(const char *)data, size};
	struct rc_msg m;
	struct rc_msg_fault fault;

	if (size > 1 << 13)
		return 0;
	check_text(text);
	if (rc_msg_parse(text, &m, &fault) == 0) {
		check_subscribe(&m);
		check_history(&m);
	}
	return 0;
}
