/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/hub.h"

#include "proto/json.h"
#include "ringcast/wire.h"

struct name_probe {
	const struct rc_hub *hub;
	struct rc_str name;
};

static bool same_name(const void *ctx, uint32_t index)
{
	const struct name_probe *p = ctx;
	const struct rc_owned *o = rc_hub_owned(p->hub, index);

	return rc_str_eq((struct rc_str){o->name, o->name_len}, p->name);
}

/* ---- channels that nobody uses ------------------------------------------------------------------ */

static void idle_unlink(struct rc_hub *h, uint32_t index)
{
	struct rc_owned *o = rc_hub_owned(h, index);

	if (!o->idle)
		return;
	if (h->sweep_at == index)
		h->sweep_at = o->idle_next;
	if (o->idle_prev != RC_NONE)
		rc_hub_owned(h, o->idle_prev)->idle_next = o->idle_next;
	else
		h->idle_first = o->idle_next;
	if (o->idle_next != RC_NONE)
		rc_hub_owned(h, o->idle_next)->idle_prev = o->idle_prev;
	else
		h->idle_last = o->idle_prev;
	o->idle = false;
}

/* A channel without subscribers goes to the end of the line; those that were used longest ago stand at its head. */
static void idle_touch(struct rc_hub *h, uint32_t index)
{
	struct rc_owned *o = rc_hub_owned(h, index);

	o->used_s = h->now_s;
	idle_unlink(h, index);
	if (o->interest || o->presence != RC_NONE || o->consumed != RC_NONE)
		return;
	o->idle = true;
	o->idle_next = RC_NONE;
	o->idle_prev = h->idle_last;
	if (h->idle_last != RC_NONE)
		rc_hub_owned(h, h->idle_last)->idle_next = index;
	else
		h->idle_first = index;
	h->idle_last = index;
}

void rc_owner_touch(struct rc_hub *h, uint32_t index)
{
	idle_touch(h, index);
}

/* ---- the order in which channels had their newest events ---------------------------------------- */

static void recent_unlink(struct rc_hub *h, uint32_t index)
{
	struct rc_owned *o = rc_hub_owned(h, index);

	if (!o->recent)
		return;
	if (o->recent_prev != RC_NONE)
		rc_hub_owned(h, o->recent_prev)->recent_next = o->recent_next;
	else
		h->recent_first = o->recent_next;
	if (o->recent_next != RC_NONE)
		rc_hub_owned(h, o->recent_next)->recent_prev = o->recent_prev;
	else
		h->recent_last = o->recent_prev;
	o->recent = false;
}

/* So that who asks for what happened since a stamp looks through those channels only that had an event since. */
static void recent_touch(struct rc_hub *h, uint32_t index)
{
	struct rc_owned *o = rc_hub_owned(h, index);

	if (h->recent_first == index)
		return;
	recent_unlink(h, index);
	o->recent = true;
	o->recent_prev = RC_NONE;
	o->recent_next = h->recent_first;
	if (h->recent_first != RC_NONE)
		rc_hub_owned(h, h->recent_first)->recent_prev = index;
	else
		h->recent_last = index;
	h->recent_first = index;
}

static void forget(struct rc_hub *h, uint32_t index)
{
	struct rc_owned *o = rc_hub_owned(h, index);

	RC_ASSERT(o->presence == RC_NONE && o->consumed == RC_NONE);
	idle_unlink(h, index);
	recent_unlink(h, index);
	rc_history_drop(h, index);
	if (o->stamp)
		h->forgotten_when = ++h->history.losses;
	if (o->stamp > h->forgotten_stamp) {
		h->forgotten_stamp = o->stamp;
		h->forgotten_time_ms = o->time_ms;
	}
	rc_table_remove(&h->owned_table, o->hash, index);
	h->own_channels -= o->name[0] == '$';
	rc_pool_put(h->pool, o->name, o->name_len);
	rc_slab_put(&h->owned, index);
	rc_gauge_set(h->counters, RC_C_channels, h->owned.used - h->own_channels);
}

/* All shards together know as many channels as they may, and this one its part of them at least. */
static bool channels_full(const struct rc_hub *h)
{
	uint32_t part = h->limits.channels_max / h->limits.shards;

	return h->owned.used - h->own_channels >= part &&
	       h->port.channels(h->port.ctx) >= h->limits.channels_max;
}

void rc_owner_sweep(struct rc_hub *h, uint32_t budget)
{
	/* Namespaces differ in their times: each second goes on where the last one stopped, or those who wait long would hide
	 * those who don't. */
	uint32_t left = RC_MIN(budget, h->owned.used);
	uint32_t index = h->sweep_at;

	while (left-- > 0) {
		if (index == RC_NONE)
			index = h->idle_first;
		if (index == RC_NONE)
			break;
		const struct rc_owned *o = rc_hub_owned(h, index);
		uint32_t next = o->idle_next;
		const struct rc_hub_namespace *ns = &h->namespaces[o->ns];
		uint32_t ttl_ms = ns->channel_ttl_ms;
		/* Not before its last event would have gone anyway. */
		if (ns->history_size)
			ttl_ms = RC_MAX(ttl_ms, ns->history_ttl_ms);
		if ((uint64_t)(h->now_s - o->used_s) * 1000 >= ttl_ms)
			forget(h, index);
		index = next;
	}
	h->sweep_at = index;
	/* A shard that came to its part late took what another has beyond its own: that one gives up idle ones. */
	while (h->idle_first != RC_NONE && channels_full(h) &&
		h->port.channels(h->port.ctx) > h->limits.channels_max)
		forget(h, h->idle_first);
}

/* ---- finding ------------------------------------------------------------------------------------ */

uint32_t rc_owner_find(const struct rc_hub *h, struct rc_str name, uint32_t hash)
{
	struct name_probe probe = {h, name};

	return rc_table_find(&h->owned_table, hash, same_name, &probe);
}

static uint32_t find_or_make(struct rc_hub *h, struct rc_str name, uint32_t hash)
{
	uint32_t index = rc_owner_find(h, name, hash);

	if (index != RC_NONE)
		return index;
	bool room = !channels_full(h) || rc_name_reserved(name);
	index = room ? rc_slab_get(&h->owned) : RC_NONE;
	if (index == RC_NONE && h->idle_first != RC_NONE) {
		/* A full table gives up the life of the channel that was used longest ago. */
		forget(h, h->idle_first);
		index = rc_slab_get(&h->owned);
	}
	if (index == RC_NONE)
		return RC_NONE;
	char *text = rc_pool_get(h->pool, name.len);
	if (!text) {
		rc_slab_put(&h->owned, index);
		return RC_NONE;
	}
	memcpy(text, name.ptr, name.len);
	struct rc_owned *o = rc_hub_owned(h, index);
	memset(o, 0, sizeof(*o));
	o->name = text;
	o->name_len = (uint16_t)name.len;
	o->ns = (uint16_t)h->port.namespace_of(h->port.ctx, name);
	o->hash = hash;
	o->replica = RC_NONE;
	o->presence = RC_NONE;
	o->consumed = RC_NONE;
	o->born = h->stamp;
	o->born_ms = (uint32_t)h->time_ms;
	o->epoch = rc_random_secret(&h->random) & (((uint64_t)1 << RC_EPOCH_BITS) - 1);
	rc_table_add(&h->owned_table, hash, index);
	h->own_channels += rc_name_reserved(name);
	rc_gauge_set(h->counters, RC_C_channels, h->owned.used - h->own_channels);
	rc_history_keep(h, index);
	return index;
}

/* This shard's own subscribers of a channel whose history lies here come and go without asking. */
void rc_owner_local(struct rc_hub *h, uint32_t index, bool on)
{
	struct rc_owned *o = rc_hub_owned(h, index);
	uint64_t bit = (uint64_t)1 << h->limits.shard;

	o->interest = on ? o->interest | bit : o->interest & ~bit;
	idle_touch(h, index);
}

/* ---- publishing --------------------------------------------------------------------------------- */

/* The value of the namespace's key field, hashed; 0 when the event has none. */
static uint64_t key_of(
	const struct rc_hub *h, const struct rc_hub_namespace *ns, const struct rc_publish *p)
{
	struct rc_json_iter it;
	struct rc_json_value value;
	struct rc_str key;

	if (ns->key.len == 0 || !p->json)
		return 0;
	value = rc_json_root(p->data);
	if (value.kind != RC_JSON_OBJECT)
		return 0;
	rc_json_object_begin(&it, value.raw);
	while (rc_json_object_next(&it, &key, &value)) {
		if (rc_str_eq(key, ns->key)) {
			uint64_t hash = rc_hash(&h->key, value.raw.ptr, value.raw.len);
			return hash ? hash : 1;
		}
	}
	return 0;
}

static uint64_t pattern_shards(struct rc_hub *h, struct rc_owned *o)
{
	if (o->pattern_generation != h->trie.generation) {
		o->pattern_mask = rc_trie_shards(&h->trie, (struct rc_str){o->name, o->name_len});
		o->pattern_generation = h->trie.generation;
	}
	return o->pattern_mask;
}

static bool same_index(const void *ctx, uint32_t index)
{
	return *(const uint32_t *)ctx == index;
}

bool rc_owner_is_known(const struct rc_hub *h, uint32_t index, uint32_t hash)
{
	return rc_table_find(&h->owned_table, hash, same_index, &index) != RC_NONE;
}

bool rc_owner_is_heard(struct rc_hub *h, struct rc_str name, uint32_t hash)
{
	uint32_t index = rc_owner_find(h, name, hash);

	if (index != RC_NONE && rc_hub_owned(h, index)->interest)
		return true;
	return rc_trie_shards(&h->trie, name) != 0;
}

bool rc_owner_publish(struct rc_hub *h, const struct rc_publish *p, struct rc_outcome *out)
{
	uint32_t hash = p->hash ? p->hash : rc_hub_hash(h, p->channel);
	uint32_t index = find_or_make(h, p->channel, hash);

	*out = (struct rc_outcome){.to = p->from};
	if (index == RC_NONE) {
		rc_count(h->counters, RC_C_events_refused_full, 1);
		out->nack = RINGCAST_NACK_OVER_CAPACITY;
		return true;
	}
	struct rc_owned *o = rc_hub_owned(h, index);
	const struct rc_hub_namespace *ns = &h->namespaces[o->ns];
	if (ns->history_size && o->replica == RC_NONE)
		rc_history_keep(h, index);
	uint64_t by_pattern = pattern_shards(h, o);
	/* The shard of its publisher may have looked at the clock earlier than that of the event before: who asks by time
	 * counts on an order that is the same as that of the stamps. */
	uint64_t time_ms = RC_MAX(h->time_ms, p->time_ms);
	uint64_t direct = o->interest;
	if (o->replica != RC_NONE)
		direct |= (uint64_t)1 << h->limits.shard;
	uint64_t shards = direct | by_pattern;
	struct rc_event event = {
		.channel = p->channel,
		.event = p->event,
		.data = p->data,
		.trace = ns->trace ? p->trace : NULL,
		.offset = o->offset + 1,
		.timestamp_ms = p->timestamp_ms,
		.json = p->json,
		.kind = p->kind,
		.user = p->user,
	};
	if (shards) {
		bool raw = rc_hub_is_raw(h, o->ns, p->channel);
		size_t bound = rc_event_ws_bound(&event, raw);
		RC_ASSERT(bound <= h->limits.frame_max);
		/* One that alone wants it may as well make it: the owner has enough to do. */
		bool deflates = RC_UNLIKELY(o->deflated & (o->deflated - 1));
		if (!h->port.can_tell(
			    h->port.ctx, shards, p->channel.len, deflates ? 2 * bound : bound)) {
			rc_count(h->counters, RC_C_ring_full, 1);
			/* Made for this event perhaps, and its publisher need not come again. */
			idle_touch(h, index);
			return false;
		}
		struct rc_tell tell = {
			.channel = p->channel,
			.hash = hash,
			.epoch = o->epoch,
			.offset = event.offset,
			.key = key_of(h, ns, p),
			.taken_ns = p->taken_ns,
			.stamp = h->stamp + 1,
			.time_ms = time_ms,
			.from = h->limits.shard,
			.frame = h->scratch,
			.frame_len =
				(uint32_t)rc_event_ws_encode(&h->encoder, h->scratch, &event, raw),
		};
		RC_DASSERT(tell.frame_len <= bound);
		const unsigned char *made = deflates ? rc_deflated_of_owner(h, tell.frame,
							       tell.frame_len, &tell.deflated_len)
						     : NULL;
		for (uint64_t left = shards; left; left &= left - 1) {
			uint32_t shard = (uint32_t)__builtin_ctzll(left);
			tell.direct = (direct >> shard) & 1;
			tell.pattern = (by_pattern >> shard) & 1;
			if (RC_UNLIKELY(made || p->mute)) {
				tell.deflated = (o->deflated >> shard) & 1 ? made : NULL;
				tell.mute = shard == p->from.shard ? p->mute : NULL;
			}
			h->port.tell(h->port.ctx, shard, &tell);
		}
	}
	o->offset++;
	o->stamp = ++h->stamp;
	h->seen[h->limits.shard] = h->stamp;
	h->position_len = 0;
	o->time_ms = (uint32_t)time_ms;
	if (o->replica == RC_NONE)
		o->lost_when = ++h->history.losses;
	h->time_ms = time_ms;
	if (h->limits.keeps_history)
		recent_touch(h, index);
	if (!o->interest)
		idle_touch(h, index);
	if (RC_UNLIKELY(o->consumed != RC_NONE))
		rc_consumed_event(h, o->consumed);
	rc_top_event(&h->top, index, hash);
	rc_count(h->counters, RC_C_events_published, 1);
	rc_count_ns(h->counters, RC_N_events, o->ns, 1);
	out->epoch = o->epoch;
	out->offset = o->offset;
	return true;
}

/* ---- interest ----------------------------------------------------------------------------------- */

static void want_deflated(struct rc_hub *h, const struct rc_interest *ask)
{
	uint64_t bit = (uint64_t)1 << ask->shard;
	uint32_t index = rc_owner_find(h, ask->name, rc_hub_hash(h, ask->name));

	if (index == RC_NONE)
		return;
	struct rc_owned *o = rc_hub_owned(h, index);
	o->deflated = ask->on ? o->deflated | bit : o->deflated & ~bit;
}

bool rc_owner_interest(struct rc_hub *h, const struct rc_interest *ask)
{
	if (ask->deflated) {
		want_deflated(h, ask);
		return true;
	}
	struct rc_interest_ok ok = {.replica = ask->replica,
		.token = ask->token,
		.from = h->limits.shard,
		.taken = true,
		.stamp = h->stamp};
	uint64_t bit = (uint64_t)1 << ask->shard;

	if (rc_name_is_pattern(ask->name)) {
		if (!ask->on)
			return rc_trie_hold(&h->trie, ask->name, ask->shard, false);
		ok.taken = rc_trie_hold(&h->trie, ask->name, ask->shard, true);
		if (h->port.tell_interest(h->port.ctx, ask->shard, &ok))
			return true;
		(void)rc_trie_hold(&h->trie, ask->name, ask->shard, false);
		return false;
	}
	uint32_t hash = rc_hub_hash(h, ask->name);
	if (!ask->on) {
		uint32_t index = rc_owner_find(h, ask->name, hash);
		if (index != RC_NONE) {
			rc_hub_owned(h, index)->interest &= ~bit;
			rc_hub_owned(h, index)->deflated &= ~bit;
			idle_touch(h, index);
		}
		return true;
	}
	uint32_t index = find_or_make(h, ask->name, hash);
	if (index == RC_NONE) {
		ok.taken = false;
		return h->port.tell_interest(h->port.ctx, ask->shard, &ok);
	}
	struct rc_owned *o = rc_hub_owned(h, index);
	ok.epoch = o->epoch;
	ok.offset = o->offset;
	if (!h->port.tell_interest(h->port.ctx, ask->shard, &ok)) {
		idle_touch(h, index);
		return false;
	}
	o->interest |= bit;
	idle_touch(h, index);
	return true;
}
