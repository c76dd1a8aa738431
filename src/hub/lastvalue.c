/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/lastvalue.h"

#define SIZE_MIN 16u

void rc_last_values_init(struct rc_last_values *v)
{
	memset(v, 0, sizeof(*v));
	v->free_first = v->oldest = v->newest = RC_NONE;
}

static uint32_t *bucket_of(const struct rc_last_values *v, uint64_t key)
{
	/* The key is a keyed hash already. */
	return &v->bucket[key & (v->size - 1)];
}

static void unlink_age(struct rc_last_values *v, uint32_t index)
{
	const struct rc_last_value *e = &v->entry[index];

	if (e->older != RC_NONE)
		v->entry[e->older].newer = e->newer;
	else
		v->oldest = e->newer;
	if (e->newer != RC_NONE)
		v->entry[e->newer].older = e->older;
	else
		v->newest = e->older;
}

static void link_newest(struct rc_last_values *v, uint32_t index)
{
	struct rc_last_value *e = &v->entry[index];

	e->newer = RC_NONE;
	e->older = v->newest;
	if (v->newest != RC_NONE)
		v->entry[v->newest].newer = index;
	else
		v->oldest = index;
	v->newest = index;
}

static void drop(struct rc_last_values *v, struct rc_pool *pool, uint32_t index)
{
	struct rc_last_value *e = &v->entry[index];
	uint32_t *link = bucket_of(v, e->key);

	while (*link != index)
		link = &v->entry[*link].chain;
	*link = e->chain;
	unlink_age(v, index);
	v->bytes -= e->len;
	rc_pool_put(pool, e->frame, e->len);
	e->frame = NULL;
	e->chain = v->free_first;
	v->free_first = index;
	v->count--;
}

void rc_last_values_clear(struct rc_last_values *v, struct rc_pool *pool)
{
	while (v->oldest != RC_NONE)
		drop(v, pool, v->oldest);
	rc_pool_put(pool, v->entry, v->size * sizeof(*v->entry));
	rc_pool_put(pool, v->bucket, v->size * sizeof(*v->bucket));
	rc_last_values_init(v);
}

static bool grow(struct rc_last_values *v, struct rc_pool *pool)
{
	uint32_t size = RC_MAX(v->size * 2, SIZE_MIN);
	struct rc_last_value *entry = rc_pool_get(pool, size * sizeof(*entry));
	uint32_t *bucket = rc_pool_get(pool, size * sizeof(*bucket));

	if (!entry || !bucket) {
		rc_pool_put(pool, entry, size * sizeof(*entry));
		rc_pool_put(pool, bucket, size * sizeof(*bucket));
		return false;
	}
	if (v->size)
		memcpy(entry, v->entry, v->size * sizeof(*entry));
	memset(bucket, 0xff, size * sizeof(*bucket));
	rc_pool_put(pool, v->entry, v->size * sizeof(*entry));
	rc_pool_put(pool, v->bucket, v->size * sizeof(*bucket));
	v->entry = entry;
	v->bucket = bucket;
	for (uint32_t i = v->size; i < size; i++) {
		entry[i].chain = v->free_first;
		v->free_first = i;
	}
	v->size = size;
	for (uint32_t i = v->oldest; i != RC_NONE; i = entry[i].newer) {
		uint32_t *link = bucket_of(v, entry[i].key);
		entry[i].chain = *link;
		*link = i;
	}
	return true;
}

bool rc_last_values_put(struct rc_last_values *v, struct rc_pool *pool, uint64_t key, uint64_t pos,
	uint64_t stamp, const void *frame, uint32_t len, uint64_t limit_bytes)
{
	if (v->size) {
		uint32_t index = *bucket_of(v, key);
		while (index != RC_NONE && v->entry[index].key != key)
			index = v->entry[index].chain;
		if (index != RC_NONE)
			drop(v, pool, index);
	}
	while (v->oldest != RC_NONE && v->bytes + len > limit_bytes)
		drop(v, pool, v->oldest);
	if (v->free_first == RC_NONE && !grow(v, pool))
		return false;
	unsigned char *copy = rc_pool_get(pool, len);
	if (!copy)
		return false;
	memcpy(copy, frame, len);
	uint32_t index = v->free_first;
	struct rc_last_value *e = &v->entry[index];
	v->free_first = e->chain;
	uint32_t *link = bucket_of(v, key);
	*e = (struct rc_last_value){.frame = copy,
		.key = key,
		.pos = pos,
		.stamp = stamp,
		.len = len,
		.chain = *link};
	*link = index;
	link_newest(v, index);
	v->bytes += len;
	v->count++;
	return true;
}

uint32_t rc_last_values_from(const struct rc_last_values *v, uint64_t pos)
{
	uint32_t found = RC_NONE;

	for (uint32_t i = v->newest; i != RC_NONE && v->entry[i].pos >= pos; i = v->entry[i].older)
		found = i;
	return found;
}
