/* SPDX-License-Identifier: Apache-2.0
 *
 * At most so many events a second, of each value of the key: the first goes at once, and of those that come within the interval behind
 * it the newest when it is over. A value is forgotten when nothing of it came for an interval. Over the limits, of values and of bytes, the
 * one that waited longest goes early: a value is never lost, but may come more often.
 */
#include "hub/viewparts.h"

#include "proto/filter.h"

#define SIZE_MIN 16u

void rc_rate_init(struct rc_rate *r, uint32_t per_1000_s)
{
	memset(r, 0, sizeof(*r));
	r->free_first = r->oldest = r->newest = RC_NONE;
	r->interval_ns = 1000000000000ull / per_1000_s;
}

static uint32_t *bucket_of(const struct rc_rate *r, uint64_t key)
{
	/* The key is a keyed hash already. */
	return &r->bucket[key & (r->size - 1)];
}

static void unlink_age(struct rc_rate *r, uint32_t index)
{
	const struct rc_rate_entry *e = &r->entry[index];

	if (e->older != RC_NONE)
		r->entry[e->older].newer = e->newer;
	else
		r->oldest = e->newer;
	if (e->newer != RC_NONE)
		r->entry[e->newer].older = e->older;
	else
		r->newest = e->older;
}

static void link_newest(struct rc_rate *r, uint32_t index)
{
	struct rc_rate_entry *e = &r->entry[index];

	e->newer = RC_NONE;
	e->older = r->newest;
	if (r->newest != RC_NONE)
		r->entry[r->newest].newer = index;
	else
		r->oldest = index;
	r->newest = index;
}

static void free_frame(struct rc_hub *h, struct rc_rate *r, struct rc_rate_entry *e)
{
	if (!e->frame)
		return;
	rc_pool_put(h->pool, e->frame, e->len);
	r->bytes -= e->len;
	e->frame = NULL;
}

static void forget(struct rc_hub *h, struct rc_rate *r, uint32_t index)
{
	struct rc_rate_entry *e = &r->entry[index];
	uint32_t *link = bucket_of(r, e->key);

	while (*link != index)
		link = &r->entry[*link].chain;
	*link = e->chain;
	unlink_age(r, index);
	free_frame(h, r, e);
	e->chain = r->free_first;
	r->free_first = index;
	r->count--;
}

void rc_rate_drop(struct rc_hub *h, struct rc_rate *r)
{
	while (r->oldest != RC_NONE)
		forget(h, r, r->oldest);
	rc_pool_put(h->pool, r->entry, r->size * sizeof(*r->entry));
	rc_pool_put(h->pool, r->bucket, r->size * sizeof(*r->bucket));
	r->entry = NULL;
	r->bucket = NULL;
	r->size = 0;
	r->free_first = RC_NONE;
}

static bool grow(struct rc_hub *h, struct rc_rate *r)
{
	uint32_t size = RC_MAX(r->size * 2, SIZE_MIN);
	struct rc_rate_entry *entry = rc_pool_get(h->pool, size * sizeof(*entry));
	uint32_t *bucket = rc_pool_get(h->pool, size * sizeof(*bucket));

	if (!entry || !bucket) {
		rc_pool_put(h->pool, entry, size * sizeof(*entry));
		rc_pool_put(h->pool, bucket, size * sizeof(*bucket));
		return false;
	}
	if (r->size)
		memcpy(entry, r->entry, r->size * sizeof(*entry));
	memset(bucket, 0xff, size * sizeof(*bucket));
	rc_pool_put(h->pool, r->entry, r->size * sizeof(*entry));
	rc_pool_put(h->pool, r->bucket, r->size * sizeof(*bucket));
	r->entry = entry;
	r->bucket = bucket;
	for (uint32_t i = r->size; i < size; i++) {
		entry[i].chain = r->free_first;
		r->free_first = i;
	}
	r->size = size;
	for (uint32_t i = r->oldest; i != RC_NONE; i = entry[i].newer) {
		uint32_t *link = bucket_of(r, entry[i].key);
		entry[i].chain = *link;
		*link = i;
	}
	return true;
}

static uint32_t find(const struct rc_rate *r, uint64_t key)
{
	uint32_t i = r->size ? *bucket_of(r, key) : RC_NONE;

	while (i != RC_NONE && r->entry[i].key != key)
		i = r->entry[i].chain;
	return i;
}

/* What waits there goes, and its interval begins anew. */
static bool let_through(struct rc_hub *h, uint32_t index, uint32_t at)
{
	struct rc_rate *r = &rc_hub_replica(h, index)->view->rate;
	struct rc_rate_entry *e = &r->entry[at];
	unsigned char *frame = e->frame;
	struct rc_view_mark mark = e->mark;
	uint32_t len = e->len;

	mark.taken_ns = h->now_ns;
	e->frame = NULL;
	r->bytes -= len;
	e->since_ns = h->now_ns;
	unlink_age(r, at);
	link_newest(r, at);
	bool alive = rc_view_pass(h, index, frame, len, &mark);
	rc_pool_put(h->pool, frame, len);
	return alive;
}

bool rc_rate_flush(struct rc_hub *h, uint32_t index, bool all)
{
	struct rc_rate *r = &rc_hub_replica(h, index)->view->rate;
	uint32_t count = r->count, at = r->oldest;

	while (count-- > 0) {
		uint32_t newer = r->entry[at].newer;
		bool over = h->now_ns - r->entry[at].since_ns >= r->interval_ns;
		if (!over && !all)
			break;
		if (r->entry[at].frame) {
			if (!let_through(h, index, at))
				return false;
		} else if (over) {
			forget(h, r, at);
		}
		at = newer;
	}
	return true;
}

uint64_t rc_rate_next(const struct rc_rate *r)
{
	return r->oldest == RC_NONE ? UINT64_MAX : r->entry[r->oldest].since_ns + r->interval_ns;
}

/* The member's value, or that there is none, hashed; several channels have values of their own. */
static uint64_t key_of(struct rc_hub *h, uint32_t index, const unsigned char *frame, uint32_t len,
	const struct rc_view_mark *mark)
{
	const struct rc_replica *r = rc_hub_replica(h, index);
	const struct rc_event_view *e;
	struct rc_str raw = {NULL, 0};

	if (r->view->spec.key.len == 0)
		return 0;
	e = rc_view_parsed(h, frame, len);
	if (e && !e->base64)
		raw = rc_filter_member(e->data, r->view->spec.key);
	uint64_t key = raw.len ? rc_hash(&h->key, raw.ptr, raw.len) : 0;
	return rc_hub_base(h, r)->pattern ? rc_hash_u64(&h->key, key ^ mark->hash) : key;
}

/* Room for one value more. False: the view is gone. */
static bool make_room(struct rc_hub *h, uint32_t index)
{
	struct rc_rate *r = &rc_hub_replica(h, index)->view->rate;

	while (r->count >= RC_VIEW_KEYS_MAX) {
		uint32_t at = r->oldest;
		if (r->entry[at].frame && !let_through(h, index, at))
			return false;
		forget(h, r, at);
	}
	return true;
}

/* The bytes that wait are too many: the oldest of them goes. False: the view is gone. */
static bool make_bytes(struct rc_hub *h, uint32_t index, uint32_t len)
{
	struct rc_rate *r = &rc_hub_replica(h, index)->view->rate;
	uint32_t at = r->oldest;

	while (at != RC_NONE && r->bytes + len > h->limits.view_bytes) {
		uint32_t newer = r->entry[at].newer;
		if (r->entry[at].frame && !let_through(h, index, at))
			return false;
		at = newer;
	}
	return true;
}

/* Its newest waits. */
static bool hold(struct rc_hub *h, uint32_t index, uint32_t at, const unsigned char *frame,
	uint32_t len, const struct rc_view_mark *mark)
{
	struct rc_rate *r = &rc_hub_replica(h, index)->view->rate;
	struct rc_rate_entry *e = &r->entry[at];

	if (e->frame)
		rc_count(h->counters, RC_C_view_events_conflated, 1);
	free_frame(h, r, e);
	if (r->bytes + len > h->limits.view_bytes && !make_bytes(h, index, len))
		return false;
	unsigned char *copy = len <= h->limits.view_bytes ? rc_pool_get(h->pool, len) : NULL;
	if (!copy) {
		e->since_ns = h->now_ns;
		unlink_age(r, at);
		link_newest(r, at);
		return rc_view_pass(h, index, frame, len, mark);
	}
	memcpy(copy, frame, len);
	e->frame = copy;
	e->len = len;
	e->mark = *mark;
	e->mark.mute = NULL;
	r->bytes += len;
	return true;
}

bool rc_rate_take(struct rc_hub *h, uint32_t index, const unsigned char *frame, uint32_t len,
	const struct rc_view_mark *mark)
{
	struct rc_rate *r = &rc_hub_replica(h, index)->view->rate;
	uint64_t key = key_of(h, index, frame, len, mark);
	uint32_t at = find(r, key);

	if (at != RC_NONE) {
		if (h->now_ns - r->entry[at].since_ns < r->interval_ns || r->entry[at].frame)
			return hold(h, index, at, frame, len, mark);
		unlink_age(r, at);
	} else {
		if (!make_room(h, index))
			return false;
		if (r->free_first == RC_NONE && !grow(h, r))
			return rc_view_pass(h, index, frame, len, mark);
		at = r->free_first;
		r->free_first = r->entry[at].chain;
		uint32_t *link = bucket_of(r, key);
		r->entry[at] = (struct rc_rate_entry){.key = key, .chain = *link};
		*link = at;
		r->count++;
	}
	r->entry[at].since_ns = h->now_ns;
	link_newest(r, at);
	return rc_view_pass(h, index, frame, len, mark);
}
