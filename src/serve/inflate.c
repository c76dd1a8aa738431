/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/inflate.h"

#include "base/utf8.h"
#include "proto/deflate.h"
#include "serve/binary.h"

size_t rc_inflate_room(const struct rc_config *config)
{
	if (!rc_config_deflates(config))
		return 0;
	return rc_align_up(rc_inflater_bytes() + config->client_message_max + 1, RC_CACHE_LINE);
}

void rc_inflate_begin(struct rc_serve *sv, void *memory)
{
	if (!rc_config_deflates(sv->config))
		return;
	sv->inflater = rc_inflater_init(memory);
	sv->inflated = (unsigned char *)memory + rc_inflater_bytes();
}

bool rc_inflate_message(struct rc_serve *sv, struct rc_conn *c, const unsigned char *bytes,
	size_t len, struct rc_str *out)
{
	size_t cap = RC_MIN((size_t)sv->config->client_message_max,
		RC_INFLATE_FREE + len * (size_t)RC_INFLATE_RATIO);

	*out = (struct rc_str){(const char *)sv->inflated, 0};
	enum rc_inflated result =
		rc_inflate(sv->inflater, bytes, len, sv->inflated, cap, &out->len);
	sv->inflate_spent += RC_INFLATE_BEGIN + len * (uint64_t)RC_INFLATE_OF_BYTE +
			     (result == RC_INFLATED ? out->len : cap);
	switch (result) {
	case RC_INFLATE_BROKEN:
		rc_count(sv->counters, RC_C_inflate_broken, 1);
		rc_ws_close(sv, c, 1007, "message can't be inflated", RC_C_close_protocol);
		return false;
	case RC_INFLATE_TOO_BIG:
		rc_count(sv->counters, RC_C_inflate_bombs, 1);
		rc_ws_close(sv, c, 1009, "message too big when inflated", RC_C_close_too_big);
		return false;
	case RC_INFLATED:
		break;
	}
	rc_count(sv->counters, RC_C_inflate_messages, 1);
	rc_count(sv->counters, RC_C_inflate_bytes_in, len);
	rc_count(sv->counters, RC_C_inflate_bytes_out, out->len);
	if (rc_bin_is(c) || rc_utf8_valid(out->ptr, out->len))
		return true;
	rc_ws_close(sv, c, 1007, "text is not UTF-8", RC_C_close_bad_utf8);
	return false;
}

/* ---- what waits for another turn ------------------------------------------------------------------ */

static void unlist(struct rc_serve *sv, struct rc_inflate_rest *rest)
{
	if (rest->before)
		rest->before->after = rest->after;
	else
		sv->inflate_first = rest->after;
	if (rest->after)
		rest->after->before = rest->before;
	else
		sv->inflate_last = rest->before;
}

bool rc_inflate_keep(struct rc_serve *sv, struct rc_conn *c, struct rc_inflate_rest *rest,
	const unsigned char *bytes, size_t len)
{
	bool fresh = rest->bytes == NULL;

	RC_ASSERT(!fresh || (len && !rest->len && !rest->size));
	if (rest->len + len > rest->size) {
		size_t size = rc_pool_size(rest->len + len);
		unsigned char *room = rc_pool_get(sv->pool, size);
		if (!room)
			return false;
		if (rest->len)
			memcpy(room, rest->bytes, rest->len);
		rc_pool_put(sv->pool, rest->bytes, rest->size);
		rest->bytes = room;
		rest->size = (uint32_t)size;
	}
	memcpy(rest->bytes + rest->len, bytes, len);
	rest->len += (uint32_t)len;
	if (!fresh)
		return true;
	rest->slot = rc_conn_slot(sv->conns, c);
	rest->before = sv->inflate_last;
	rest->after = NULL;
	if (rest->before)
		rest->before->after = rest;
	else
		sv->inflate_first = rest;
	sv->inflate_last = rest;
	c->flags |= RC_CONN_HELD;
	rc_count(sv->counters, RC_C_inflate_held, 1);
	return true;
}

void rc_inflate_drop(struct rc_serve *sv, struct rc_inflate_rest *rest)
{
	if (!rest->bytes)
		return;
	unlist(sv, rest);
	rc_pool_put(sv->pool, rest->bytes, rest->size);
	*rest = (struct rc_inflate_rest){0};
}

void rc_inflate_turn(struct rc_serve *sv)
{
	sv->inflate_spent = 0;
	while (sv->inflate_first && sv->inflate_spent < RC_INFLATE_TURN) {
		/* Taken out first: reading it may end the connection, and where it lies with it, or put what is left of it there. */
		struct rc_inflate_rest rest = *sv->inflate_first;
		struct rc_conn *c = &sv->conns->at[rest.slot];
		uint32_t generation = c->generation;

		unlist(sv, sv->inflate_first);
		RC_ASSERT(c->ext);
		rc_ws_go_on(sv, c, rest.bytes, rest.len);
		rc_pool_put(sv->pool, rest.bytes, rest.size);
		if (c->generation != generation || c->state != RC_CONN_OPEN)
			continue;
		if (rest.last)
			rc_serve_notified(sv, c);
		else
			rc_serve_arm(sv, c);
	}
}
