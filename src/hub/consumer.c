/* SPDX-License-Identifier: Apache-2.0
 *
 * Who reads what with acknowledgements, and how far each is: coming, going, acknowledging. What they are sent is in consumersend.c.
 */
#include "hub/consumers.h"

struct name_probe {
	const struct rc_hub *hub;
	uint32_t consumed;
	struct rc_str user, client;
};

static bool same_names(const void *ctx, uint32_t index)
{
	const struct name_probe *p = ctx;
	const struct rc_consumer *c = rc_consumer_at(p->hub, index);

	return c->consumed == p->consumed && rc_str_eq(rc_consumer_user(c), p->user) &&
	       rc_str_eq(rc_consumer_client(c), p->client);
}

static uint32_t names_hash(const struct rc_hub *h, const struct name_probe *p)
{
	uint64_t user = rc_hash(&h->key, p->user.ptr, p->user.len);
	uint64_t client = rc_hash(&h->key, p->client.ptr, p->client.len);

	/* One after the other, so that neither can make up for the other. */
	return (uint32_t)rc_hash_u64(
		&h->key, rc_hash_u64(&h->key, user) + client + ((uint64_t)p->consumed << 32));
}

/* ---- whose they are ----------------------------------------------------------------------------- */

struct payer_probe {
	const struct rc_hub *hub;
	uint64_t who;
};

static bool same_payer(const void *ctx, uint32_t index)
{
	const struct payer_probe *p = ctx;

	return rc_payer_at(p->hub, index)->who == p->who;
}

static uint32_t payer_find(const struct rc_hub *h, uint64_t who)
{
	const struct payer_probe probe = {h, who};

	return rc_table_find(&h->consumers.payer_table, (uint32_t)who, same_payer, &probe);
}

static bool has_enough(const struct rc_hub *h, uint64_t who)
{
	uint32_t index = h->limits.consumers_per_user ? payer_find(h, who) : RC_NONE;

	return index != RC_NONE && rc_payer_at(h, index)->count >= h->limits.consumers_per_user;
}

/* One more of them. There are as many payers as there may be consumers, so there is one. */
static uint32_t payer_take(struct rc_hub *h, uint64_t who)
{
	uint32_t index = payer_find(h, who);

	if (index == RC_NONE) {
		index = rc_slab_get(&h->consumers.payers);
		RC_ASSERT(index != RC_NONE);
		*rc_payer_at(h, index) = (struct rc_consumer_payer){.who = who};
		rc_table_add(&h->consumers.payer_table, (uint32_t)who, index);
	}
	rc_payer_at(h, index)->count++;
	return index;
}

static void payer_put(struct rc_hub *h, uint32_t index)
{
	struct rc_consumer_payer *p = rc_payer_at(h, index);

	if (--p->count)
		return;
	rc_table_remove(&h->consumers.payer_table, (uint32_t)p->who, index);
	rc_slab_put(&h->consumers.payers, index);
}

/* ---- the window --------------------------------------------------------------------------------- */

uint32_t rc_window_find(const struct rc_consumer *c, uint64_t offset)
{
	uint32_t low = 0, high = c->count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (c->window[mid].offset < offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void rc_window_drop(struct rc_consumer *c, uint32_t at, uint32_t count)
{
	for (uint32_t i = at; i < at + count; i++) {
		c->bytes -= c->window[i].len;
		c->to_do -= c->window[i].state != RC_WINDOW_SENT;
	}
	memmove(c->window + at, c->window + at + count,
		(size_t)(c->count - at - count) * sizeof(*c->window));
	c->count -= count;
}

/* Room for so many events, and for those that it has. */
static bool size_window(struct rc_hub *h, struct rc_consumer *c, uint32_t size)
{
	struct rc_window_event *fresh;

	size = RC_MAX(size, c->count);
	if (size == c->window_size)
		return true;
	fresh = rc_pool_get(h->pool, size * sizeof(*fresh));
	if (!fresh)
		return false;
	if (c->count)
		memcpy(fresh, c->window, c->count * sizeof(*fresh));
	rc_pool_put(h->pool, c->window, c->window_size * sizeof(*fresh));
	c->window = fresh;
	c->window_size = size;
	return true;
}

/* ---- coming and going --------------------------------------------------------------------------- */

static uint32_t consumed_of(struct rc_hub *h, uint32_t owned)
{
	struct rc_owned *o = rc_hub_owned(h, owned);

	if (o->consumed != RC_NONE)
		return o->consumed;
	/* As many as there may be consumers, so there is one. */
	o->consumed = rc_slab_get(&h->consumers.channels);
	RC_ASSERT(o->consumed != RC_NONE);
	*rc_consumed_at(h, o->consumed) = (struct rc_consumed){
		.owned = owned, .first = RC_NONE, .due_next = RC_NONE, .walk = RC_NONE};
	/* It is not among the idle ones any more. */
	rc_owner_touch(h, owned);
	return o->consumed;
}

void rc_consumed_settle(struct rc_hub *h, uint32_t consumed)
{
	const struct rc_consumed *d = rc_consumed_at(h, consumed);
	uint32_t owned = d->owned;

	/* One that is in the list of those with new events is given back there. */
	if (d->count || d->due)
		return;
	rc_hub_owned(h, owned)->consumed = RC_NONE;
	rc_slab_put(&h->consumers.channels, consumed);
	rc_owner_touch(h, owned);
}

static void link_consumer(struct rc_hub *h, uint32_t index)
{
	struct rc_consumer *c = rc_consumer_at(h, index);
	struct rc_consumed *d = rc_consumed_at(h, c->consumed);

	c->prev = RC_NONE;
	c->next = d->first;
	if (d->first != RC_NONE)
		rc_consumer_at(h, d->first)->prev = index;
	d->first = index;
	d->count++;
}

static void unlink_consumer(struct rc_hub *h, uint32_t index)
{
	const struct rc_consumer *c = rc_consumer_at(h, index);
	struct rc_consumed *d = rc_consumed_at(h, c->consumed);

	if (d->walk == index)
		d->walk = c->next;
	if (c->prev != RC_NONE)
		rc_consumer_at(h, c->prev)->next = c->next;
	else
		d->first = c->next;
	if (c->next != RC_NONE)
		rc_consumer_at(h, c->next)->prev = c->prev;
	d->count--;
}

void rc_consumer_end(struct rc_hub *h, uint32_t index)
{
	struct rc_consumer *c = rc_consumer_at(h, index);
	uint32_t consumed = c->consumed;

	rc_consumer_undue(h, index);
	rc_wheel_cancel(&h->consumers.wheel, index);
	unlink_consumer(h, index);
	payer_put(h, c->payer);
	if (c->named)
		rc_table_remove(&h->consumers.table, c->hash, index);
	rc_pool_put(h->pool, c->text, (size_t)c->user_len + c->client_len);
	rc_pool_put(h->pool, c->window, c->window_size * sizeof(*c->window));
	h->consumers.life[index]++;
	rc_slab_put(&h->consumers.slab, index);
	rc_gauge_set(h->counters, RC_C_consumers, h->consumers.slab.used);
	rc_consumed_settle(h, consumed);
}

/* RC_NONE: no room. */
static uint32_t make(struct rc_hub *h, uint32_t owned, const struct rc_consumer_ask *ask)
{
	struct rc_consumers *all = &h->consumers;
	uint32_t index = rc_slab_get(&all->slab);
	size_t text_len = ask->user.len + ask->client.len;

	if (index == RC_NONE)
		return RC_NONE;
	/* While there was none, the wheel stood. */
	if (all->slab.used == 1)
		all->wheel.tick = rc_consumer_tick(h);
	struct rc_consumer *c = rc_consumer_at(h, index);
	*c = (struct rc_consumer){
		.shard = RC_NONE,
		.due_prev = RC_NONE,
		.due_next = RC_NONE,
		.user_len = (uint16_t)ask->user.len,
		.client_len = (uint16_t)ask->client.len,
		.named = ask->user.len && ask->client.len,
	};
	if (text_len) {
		c->text = rc_pool_get(h->pool, text_len);
		if (!c->text) {
			rc_slab_put(&all->slab, index);
			return RC_NONE;
		}
		(void)rc_str_copy(rc_str_copy(c->text, ask->user), ask->client);
	}
	if (!size_window(h, c, ask->window)) {
		rc_pool_put(h->pool, c->text, text_len);
		rc_slab_put(&all->slab, index);
		return RC_NONE;
	}
	c->consumed = consumed_of(h, owned);
	link_consumer(h, index);
	c->payer = payer_take(h, ask->who);
	if (c->named) {
		struct name_probe probe = {h, c->consumed, ask->user, ask->client};
		c->hash = names_hash(h, &probe);
		rc_table_add(&all->table, c->hash, index);
	}
	rc_gauge_set(h->counters, RC_C_consumers, all->slab.used);
	return index;
}

static uint32_t find(const struct rc_hub *h, uint32_t owned, const struct rc_consumer_ask *ask)
{
	struct name_probe probe = {h, rc_hub_owned(h, owned)->consumed, ask->user, ask->client};

	if (probe.consumed == RC_NONE || !ask->user.len || !ask->client.len)
		return RC_NONE;
	return rc_table_find(&h->consumers.table, names_hash(h, &probe), same_names, &probe);
}

/* Where a new one begins. */
static enum rc_verdict begin(
	struct rc_hub *h, struct rc_consumer *c, uint32_t owned, const struct rc_consumer_ask *ask)
{
	const struct rc_owned *o = rc_hub_owned(h, owned);
	struct rc_fetched found = {.verdict = RC_VERDICT_EPOCH};
	const struct rc_fetch q = {
		.how = ask->how,
		.check = true,
		.lenient = true,
		.epoch = ask->epoch,
		.after = ask->after,
		.names = rc_owned_name(o),
	};

	c->next_offset = o->offset + 1;
	if (!ask->since)
		return RC_VERDICT_ALL;
	if (!ask->stale)
		rc_owner_look(h, &q, &found);
	/* What this life of the channel has is all new to who knows an earlier one. */
	if (found.verdict == RC_VERDICT_EPOCH)
		c->next_offset = rc_consumer_kept(h, c);
	else if (found.verdict != RC_VERDICT_AHEAD)
		c->next_offset = found.next + 1;
	return (enum rc_verdict)found.verdict;
}

static bool is_of_another_life(
	const struct rc_hub *h, uint32_t owned, const struct rc_consumer_ask *ask)
{
	return ask->since && (ask->stale || (ask->how == RC_FETCH_OFFSET &&
						    ask->epoch != rc_hub_owned(h, owned)->epoch));
}

static void set_holder(struct rc_consumer *c, const struct rc_consumer_ask *ask)
{
	c->shard = ask->shard;
	c->slot = ask->slot;
	c->generation = ask->generation;
	c->held = true;
	c->timeout_ms = ask->timeout_ms;
	c->retries = ask->retries;
	c->capacity = ask->window;
}

static void release_holder(struct rc_hub *h, uint32_t index)
{
	struct rc_consumer *c = rc_consumer_at(h, index);

	c->shard = RC_NONE;
	c->held = false;
	rc_consumer_timer(h, index);
}

/* The connection that has it is told that it is another's from now on. */
static bool take_away(struct rc_hub *h, uint32_t index)
{
	const struct rc_consumer *c = rc_consumer_at(h, index);
	const struct rc_consumer_told gone = {
		.kind = RC_CONSUMER_GONE, .slot = c->slot, .generation = c->generation};

	if (c->shard == RC_NONE)
		return true;
	if (!h->port.tell_consumer(h->port.ctx, c->shard, &gone))
		return false;
	rc_count(h->counters, RC_C_consumers_replaced, 1);
	release_holder(h, index);
	return true;
}

/* What it had before and did not acknowledge comes again at once; what is not there any more is given up. */
static void again(struct rc_hub *h, struct rc_consumer *c)
{
	uint64_t kept = rc_consumer_kept(h, c);
	uint32_t trimmed = rc_window_find(c, kept);
	uint64_t missed = trimmed;

	rc_window_drop(c, 0, trimmed);
	if (c->next_offset < kept) {
		missed += kept - c->next_offset;
		c->next_offset = kept;
	}
	rc_count(h->counters, RC_C_acked_trimmed, missed);
	if (missed)
		c->gap_at = kept - 1;
	for (uint32_t i = 0; i < c->count; i++) {
		if (c->window[i].state == RC_WINDOW_SENT) {
			c->window[i].state = RC_WINDOW_AGAIN;
			c->window[i].tries++;
			c->to_do++;
		}
	}
}

static bool refuse(struct rc_hub *h, const struct rc_consumer_ask *ask, bool too_many)
{
	const struct rc_consumer_told no = {.kind = RC_CONSUMER_ATTACHED,
		.too_many = too_many,
		.slot = ask->slot,
		.generation = ask->generation};

	if (!h->port.tell_consumer(h->port.ctx, ask->shard, &no))
		return false;
	rc_count(h->counters, too_many ? RC_C_consumers_refused_user : RC_C_consumers_refused, 1);
	return true;
}

static bool attach(struct rc_hub *h, const struct rc_consumer_ask *ask)
{
	uint32_t owned = rc_owner_find(h, ask->channel, rc_hub_hash(h, ask->channel));

	if (owned == RC_NONE || !h->consumers.on)
		return refuse(h, ask, false);
	uint32_t index = find(h, owned, ask);
	bool known = index != RC_NONE;
	enum rc_verdict verdict = RC_VERDICT_ALL;
	if (known) {
		if (!take_away(h, index))
			return false;
		if (!size_window(h, rc_consumer_at(h, index), ask->window))
			return refuse(h, ask, false);
	} else if (has_enough(h, ask->who)) {
		return refuse(h, ask, true);
	} else {
		index = make(h, owned, ask);
		if (index == RC_NONE)
			return refuse(h, ask, false);
	}
	struct rc_consumer *c = rc_consumer_at(h, index);
	if (known) {
		again(h, c);
		if (c->gap_at)
			verdict = RC_VERDICT_TRIMMED;
		else if (c->reborn && is_of_another_life(h, owned, ask))
			verdict = RC_VERDICT_EPOCH;
	} else {
		verdict = begin(h, c, owned, ask);
		c->reborn = verdict == RC_VERDICT_EPOCH;
		if (verdict == RC_VERDICT_TRIMMED)
			c->gap_at = c->next_offset - 1;
	}
	const struct rc_consumer_told told = {
		.kind = RC_CONSUMER_ATTACHED,
		.verdict = (uint8_t)verdict,
		.taken = true,
		.known = known,
		.slot = ask->slot,
		.generation = ask->generation,
		.consumer = index,
		.life = h->consumers.life[index],
		.epoch = rc_hub_owned(h, owned)->epoch,
		.offset = rc_consumer_acked(c),
		.sent = c->next_offset - 1,
	};
	/* Before it is told, for who is told may answer at once. */
	set_holder(c, ask);
	rc_wheel_cancel(&h->consumers.wheel, index);
	if (h->port.tell_consumer(h->port.ctx, ask->shard, &told))
		return true;
	release_holder(h, index);
	if (!known)
		rc_consumer_end(h, index);
	return false;
}

/* ---- what the connection says ------------------------------------------------------------------- */

static bool held_by(const struct rc_consumer *c, const struct rc_consumer_ask *ask)
{
	return c->shard == ask->shard && c->slot == ask->slot && c->generation == ask->generation;
}

static void go(struct rc_hub *h, uint32_t index, const struct rc_consumer_ask *ask)
{
	struct rc_consumer *c = rc_consumer_at(h, index);

	c->held = false;
	c->round = ask->round;
	for (uint32_t i = 0; i < c->count; i++) {
		struct rc_window_event *e = &c->window[i];
		if (e->state != RC_WINDOW_SENT)
			continue;
		e->sent_ms = h->now_ms;
		if (e->offset >= ask->offset) {
			e->state = RC_WINDOW_AGAIN;
			e->tries += e->offset <= ask->after;
			c->to_do++;
		}
	}
	rc_consumer_timer(h, index);
	rc_consumer_due(h, index);
}

static void acknowledge(struct rc_hub *h, uint32_t index, const struct rc_consumer_ask *ask)
{
	struct rc_consumer *c = rc_consumer_at(h, index);
	uint32_t at = rc_window_find(c, ask->offset);
	bool there = at < c->count && c->window[at].offset == ask->offset;
	uint32_t first = ask->kind == RC_CONSUMER_ACK ? 0 : at;
	uint32_t count = at + there - first;

	rc_window_drop(c, first, count);
	c->reborn = false;
	if (ask->offset > c->gap_at)
		c->gap_at = 0;
	rc_count(h->counters, RC_C_acked_events, count);
	if (count)
		rc_consumer_due(h, index);
}

static void detach(struct rc_hub *h, uint32_t index)
{
	if (rc_consumer_at(h, index)->named)
		release_holder(h, index);
	else
		rc_consumer_end(h, index);
}

bool rc_consumer_asked(struct rc_hub *h, const struct rc_consumer_ask *ask)
{
	if (ask->kind == RC_CONSUMER_ATTACH)
		return attach(h, ask);
	/* What is said of one that ended meanwhile, or by who lost it, is of no use to anybody. */
	if (h->consumers.life[ask->consumer] != ask->life ||
		!held_by(rc_consumer_at(h, ask->consumer), ask))
		return true;
	switch (ask->kind) {
	case RC_CONSUMER_GO:
		go(h, ask->consumer, ask);
		break;
	case RC_CONSUMER_HOLD:
		rc_consumer_at(h, ask->consumer)->held = true;
		rc_consumer_timer(h, ask->consumer);
		break;
	case RC_CONSUMER_ACK:
	case RC_CONSUMER_ACK_ONE:
		acknowledge(h, ask->consumer, ask);
		break;
	case RC_CONSUMER_DETACH:
		detach(h, ask->consumer);
		break;
	default:
		rc_consumer_end(h, ask->consumer);
	}
	return true;
}

struct rc_consumer_lag rc_consumer_lag(const struct rc_hub *h, uint32_t owned)
{
	const struct rc_owned *o = rc_hub_owned(h, owned);
	struct rc_consumer_lag lag = {0};

	if (o->consumed == RC_NONE)
		return lag;
	for (uint32_t i = rc_consumed_at(h, o->consumed)->first; i != RC_NONE;) {
		const struct rc_consumer *c = rc_consumer_at(h, i);
		lag.consumers++;
		lag.attached += c->shard != RC_NONE;
		lag.unacknowledged =
			RC_MAX(lag.unacknowledged, c->count + (o->offset + 1 - c->next_offset));
		i = c->next;
	}
	return lag;
}

/* ---- memory, and whether all is as it should be --------------------------------------------------- */

static size_t cells_bytes(uint32_t count)
{
	return (size_t)rc_table_cells(count) * sizeof(struct rc_table_cell);
}

size_t rc_consumer_bytes(uint32_t max, uint32_t frame_max)
{
	if (max == 0)
		return 0;
	return rc_align_up((size_t)max * sizeof(struct rc_consumer), RC_CACHE_LINE) +
	       rc_align_up((size_t)max * sizeof(struct rc_consumed), RC_CACHE_LINE) +
	       rc_align_up((size_t)max * sizeof(uint32_t), RC_CACHE_LINE) +
	       rc_align_up((size_t)max * sizeof(struct rc_consumer_payer), RC_CACHE_LINE) +
	       2 * rc_align_up(cells_bytes(max), RC_CACHE_LINE) + frame_max;
}

void rc_consumer_init(struct rc_hub *h, unsigned char *at)
{
	struct rc_consumers *all = &h->consumers;
	uint32_t max = h->limits.consumers_max;

	all->due_first = all->due_last = all->channel_first = all->channel_last = RC_NONE;
	all->on = max != 0;
	if (!all->on)
		return;
	rc_slab_init(&all->slab, at, sizeof(struct rc_consumer), max);
	rc_wheel_init(&all->wheel, at + offsetof(struct rc_consumer, timer), all->slab.stride, 0);
	at += rc_align_up((size_t)max * sizeof(struct rc_consumer), RC_CACHE_LINE);
	rc_slab_init(&all->channels, at, sizeof(struct rc_consumed), max);
	at += rc_align_up((size_t)max * sizeof(struct rc_consumed), RC_CACHE_LINE);
	rc_slab_init(&all->payers, at, sizeof(struct rc_consumer_payer), max);
	at += rc_align_up((size_t)max * sizeof(struct rc_consumer_payer), RC_CACHE_LINE);
	all->life = (uint32_t *)(void *)at;
	at += rc_align_up((size_t)max * sizeof(uint32_t), RC_CACHE_LINE);
	rc_table_init(&all->table, (void *)at, rc_table_cells(max));
	at += rc_align_up(cells_bytes(max), RC_CACHE_LINE);
	rc_table_init(&all->payer_table, (void *)at, rc_table_cells(max));
	at += rc_align_up(cells_bytes(max), RC_CACHE_LINE);
	all->data = (char *)at;
}

static uint32_t check_consumer(const struct rc_hub *h, uint32_t index, uint64_t newest)
{
	const struct rc_consumer *c = rc_consumer_at(h, index);
	uint32_t bytes = 0, to_do = 0;

	RC_ASSERT(c->count <= c->window_size && c->next_offset <= newest + 1);
	for (uint32_t i = 0; i < c->count; i++) {
		const struct rc_window_event *e = &c->window[i];
		RC_ASSERT(e->offset < c->next_offset);
		RC_ASSERT(i == 0 || c->window[i - 1].offset < e->offset);
		bytes += e->len;
		to_do += e->state != RC_WINDOW_SENT;
	}
	RC_ASSERT(bytes == c->bytes && to_do == c->to_do);
	RC_ASSERT(c->named || c->shard != RC_NONE);
	RC_ASSERT(c->shard != RC_NONE || c->timer.due);
	return c->named;
}

/* Each is in the table, and together they have all consumers. */
static void check_payers(const struct rc_hub *h, uint32_t consumers)
{
	const struct rc_consumers *all = &h->consumers;
	uint32_t count = 0, payers = 0;

	for (uint32_t i = 0; all->on && i <= all->payer_table.mask; i++) {
		if (all->payer_table.cell[i].used == 0)
			continue;
		const struct rc_consumer_payer *p =
			rc_payer_at(h, all->payer_table.cell[i].used - 1);
		RC_ASSERT(p->count);
		count += p->count;
		payers++;
	}
	RC_ASSERT(count == consumers && payers == all->payers.used);
}

void rc_consumer_check(const struct rc_hub *h)
{
	const struct rc_consumers *all = &h->consumers;
	uint32_t count = 0, named = 0, channels = 0;

	for (uint32_t i = 0; all->on && i <= h->owned_table.mask; i++) {
		if (h->owned_table.cell[i].used == 0)
			continue;
		uint32_t owned = h->owned_table.cell[i].used - 1;
		const struct rc_owned *o = rc_hub_owned(h, owned);
		if (o->consumed == RC_NONE)
			continue;
		const struct rc_consumed *d = rc_consumed_at(h, o->consumed);
		uint32_t before = count;
		RC_ASSERT(d->owned == owned && !o->idle && (d->count || d->due));
		channels++;
		for (uint32_t k = d->first; k != RC_NONE; k = rc_consumer_at(h, k)->next) {
			named += check_consumer(h, k, o->offset);
			count++;
		}
		RC_ASSERT(count - before == d->count);
	}
	RC_ASSERT(count == all->slab.used && named == all->table.count);
	RC_ASSERT(channels == all->channels.used);
	check_payers(h, count);
	if (all->on)
		rc_wheel_check(&all->wheel);
}
