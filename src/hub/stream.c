/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream: what the SSE clients of this shard read who asked for the same channels and patterns. It follows the replicas of its members, so it asks
 * no owner itself, and its log has the frames of its rendition, each with the stream's position behind it. An event that two members
 * bring stands there once.
 *
 *   stream ─ linked ─▶ member, member          member ─ linked ─▶ the streams that follow it
 */
#include "hub/replica.h"
#include "hub/view.h"
#include "hub/viewparts.h"

#include "proto/sse.h"

struct rc_str rc_hub_position(struct rc_hub *h)
{
	if (h->position_len == 0)
		h->position_len = (uint32_t)rc_stream_text(
			h->limits.stream_epoch, h->seen, h->limits.shards, h->position);
	return (struct rc_str){h->position, h->position_len};
}

void rc_hub_stamped(struct rc_hub *h, uint32_t owner, uint64_t stamp)
{
	h->seen[owner] = RC_MAX(h->seen[owner], stamp);
	h->position_len = 0;
}

static bool link_to(struct rc_hub *h, struct rc_replica *r, uint32_t other)
{
	if (r->linked_count == r->linked_capacity) {
		size_t size = rc_pool_size(
			RC_MAX((size_t)r->linked_capacity * 2, (size_t)4) * sizeof(*r->linked));
		uint32_t *fresh = rc_pool_get(h->pool, size);
		if (!fresh)
			return false;
		if (r->linked_count)
			memcpy(fresh, r->linked, r->linked_count * sizeof(*fresh));
		if (r->linked)
			rc_pool_put(h->pool, r->linked, r->linked_capacity * sizeof(*fresh));
		r->linked = fresh;
		r->linked_capacity = (uint32_t)(size / sizeof(*fresh));
	}
	r->linked[r->linked_count++] = other;
	return true;
}

static void unlink_from(struct rc_hub *h, struct rc_replica *r, uint32_t other)
{
	uint32_t i = 0;

	while (r->linked[i] != other)
		i++;
	r->linked[i] = r->linked[--r->linked_count];
	if (r->linked_count == 0) {
		rc_pool_put(h->pool, r->linked, r->linked_capacity * sizeof(*r->linked));
		r->linked = NULL;
		r->linked_capacity = 0;
	}
}

void rc_stream_leave(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *s = rc_hub_replica(h, index);

	while (s->linked_count) {
		uint32_t member = s->linked[s->linked_count - 1];
		struct rc_replica *m = rc_hub_replica(h, member);
		unlink_from(h, s, member);
		unlink_from(h, m, index);
		if (rc_view_deflates(s))
			rc_replica_deflated(h, member, false);
		if (!rc_replica_used(m))
			rc_replica_leave(h, member);
	}
	if (s->rendition == RC_RENDITION_VIEW)
		rc_view_free(h, index);
	rc_replica_destroy(h, index);
}

void rc_stream_counted(struct rc_hub *h, const struct rc_replica *stream, uint32_t more)
{
	for (uint32_t i = 0; i < stream->linked_count; i++)
		rc_hub_replica(h, stream->linked[i])->followers += more;
}

bool rc_stream_add_member(struct rc_hub *h, uint32_t stream, struct rc_str name)
{
	uint32_t hash = rc_hub_hash(h, name);
	uint32_t member = rc_replica_named(h, name, hash);
	bool fresh = member == RC_NONE;

	if (fresh)
		member = rc_replica_create(h, name, hash, rc_name_is_pattern(name));
	if (member == RC_NONE)
		return false;
	struct rc_replica *s = rc_hub_replica(h, stream);
	struct rc_replica *m = rc_hub_replica(h, member);
	bool used = rc_replica_used(m);
	bool active = m->state == RC_REPLICA_ACTIVE;
	if (!link_to(h, m, stream)) {
		if (fresh)
			rc_replica_destroy(h, member);
		return false;
	}
	if (!link_to(h, s, member)) {
		unlink_from(h, m, stream);
		if (fresh)
			rc_replica_destroy(h, member);
		return false;
	}
	s->waiting += !active;
	if (fresh)
		rc_replica_ask(h, member);
	else if (!used && !m->pinned)
		rc_replica_used_again(h, member);
	return !m->refused;
}

static uint32_t make(struct rc_hub *h, struct rc_str key, uint32_t hash, struct rc_str names,
	enum rc_rendition rendition)
{
	uint32_t index =
		rc_hub_renditions_full(h) ? RC_NONE : rc_replica_create(h, key, hash, false);
	struct rc_str rest = names;
	bool made = true;

	if (index == RC_NONE)
		return RC_NONE;
	struct rc_replica *s = rc_hub_replica(h, index);
	s->rendition = (uint8_t)rendition;
	h->renditions++;
	s->ask_shards = 0;
	s->oks_left = 0;
	s->ns = (uint16_t)h->port.namespace_of(
		h->port.ctx, (struct rc_str){names.ptr + 1, (unsigned char)names.ptr[0]});
	s->newest_from = RC_NONE;
	s->waiting = 1; /* not before all members are named */
	while (made && rest.len) {
		struct rc_str name = {rest.ptr + 1, (unsigned char)rest.ptr[0]};
		made = rc_stream_add_member(h, index, name);
		rest.ptr += 1 + name.len;
		rest.len -= 1 + name.len;
	}
	made = made && rc_stream_add_member(h, index, RC_STR(RC_HUB_BROADCAST));
	if (!made) {
		rc_stream_leave(h, index);
		return RC_NONE;
	}
	if (--s->waiting == 0)
		s->state = RC_REPLICA_ACTIVE;
	return index;
}

enum rc_subscribe_result rc_stream_subscribe(struct rc_hub *h, uint32_t conn, uint32_t *first_sub,
	struct rc_str names, enum rc_rendition rendition, uint32_t flags, uint32_t *out)
{
	/* No channel's name begins like this. */
	char *key = rc_pool_get(h->pool, names.len + 1);

	*out = RC_NONE;
	if (!key)
		return RC_SUBSCRIBE_FULL;
	key[0] = (char)rendition;
	memcpy(key + 1, names.ptr, names.len);
	struct rc_str text = {key, names.len + 1};
	uint32_t hash = rc_hub_hash(h, text);
	uint32_t index = rc_replica_named(h, text, hash);
	bool fresh = index == RC_NONE;
	if (fresh)
		index = make(h, text, hash, names, rendition);
	rc_pool_put(h->pool, key, names.len + 1);
	if (index == RC_NONE)
		return RC_SUBSCRIBE_FULL;
	*out = rc_replica_join(h, index, conn, first_sub, flags);
	if (*out == RC_NONE) {
		if (fresh)
			rc_stream_leave(h, index);
		return RC_SUBSCRIBE_FULL;
	}
	return RC_SUBSCRIBED;
}

void rc_stream_member_ready(struct rc_hub *h, uint32_t member, bool taken)
{
	struct rc_replica *m = rc_hub_replica(h, member);

	/* Downwards: a stream that is refused loses its clients and leaves, and only those already visited move. */
	for (uint32_t i = m->linked_count; i-- > 0;) {
		if (i >= m->linked_count)
			continue;
		uint32_t stream = m->linked[i];
		struct rc_replica *s = rc_hub_replica(h, stream);
		s->refused |= !taken;
		if (s->waiting == 0 || --s->waiting > 0)
			continue;
		if (!s->refused)
			s->state = RC_REPLICA_ACTIVE;
		if (s->count)
			h->port.replica_ready(h->port.ctx, stream, !s->refused);
	}
}

static void append(struct rc_hub *h, uint32_t stream, const struct rc_tell *t)
{
	struct rc_replica *s = rc_hub_replica(h, stream);
	struct rc_str position = rc_hub_position(h);
	size_t bound = rc_sse_bound(
		t->frame, t->frame_len, position, s->rendition == RC_RENDITION_SSE_BARE);

	if (bound == 0 || (s->newest_from == t->from && s->newest_stamp == t->stamp))
		return;
	s->newest_from = t->from;
	s->newest_stamp = t->stamp;
	unsigned char *room = rc_replica_room(h, stream, (uint32_t)bound);
	if (!room)
		return;
	size_t len = rc_sse_encode(
		room, t->frame, t->frame_len, position, s->rendition == RC_RENDITION_SSE_BARE);
	RC_DASSERT(len && len <= bound);
	rc_replica_appended(h, stream, t, room, (uint32_t)len);
}

void rc_stream_follow(struct rc_hub *h, uint32_t member, const struct rc_tell *t)
{
	const struct rc_replica *m = rc_hub_replica(h, member);

	/* A stream may end meanwhile, for want of memory. */
	h->parsed_frame = NULL;
	for (uint32_t i = m->linked_count; i-- > 0;) {
		if (i < m->linked_count &&
			rc_hub_replica(h, m->linked[i])->state == RC_REPLICA_ACTIVE) {
			if (rc_hub_replica(h, m->linked[i])->rendition == RC_RENDITION_VIEW)
				rc_view_append(h, m->linked[i], t);
			else
				append(h, m->linked[i], t);
		}
	}
	h->parsed_frame = NULL;
}
