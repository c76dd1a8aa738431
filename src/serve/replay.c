/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/replayread.h"

#include "proto/event.h"
#include "serve/acked.h"

/* A client that has more than this waiting is not read ahead for. */
#define OUT_ENOUGH 4096u
/* Replays that a turn goes on with. */
#define PER_TURN 64u

static uint32_t replays_max(const struct rc_config *config)
{
	return RC_MIN(config->max_clients, 131072u) + 1024;
}

size_t rc_replay_bytes(const struct rc_config *config)
{
	size_t n = replays_max(config);

	return rc_align_up(n * sizeof(struct rc_replay), RC_CACHE_LINE) + n * sizeof(uint32_t);
}

void rc_replay_init(struct rc_serve *sv, void *memory)
{
	uint32_t n = replays_max(sv->config);

	rc_slab_init(&sv->replays, memory, sizeof(struct rc_replay), n);
	sv->replay_generation =
		(uint32_t *)(void *)((unsigned char *)memory +
				     rc_align_up(n * sizeof(struct rc_replay), RC_CACHE_LINE));
	sv->replay_first = sv->replay_last = RC_NONE;
}

struct rc_replay *rc_replay_at(const struct rc_serve *sv, uint32_t replay)
{
	return rc_slab_at(&sv->replays, replay);
}

uint32_t rc_replay_of(const struct rc_serve *sv, uint32_t sub)
{
	const struct rc_sub *s = rc_hub_sub(sv->hub, sub);

	return s->flags & RC_SUB_REPLAYING ? s->listed_next : RC_NONE;
}

/* ---- coming and going --------------------------------------------------------------------------- */

static size_t stamps_bytes(const struct rc_serve *sv)
{
	return 3 * rc_replay_shards(sv) * sizeof(uint64_t);
}

uint32_t rc_replay_open(struct rc_serve *sv, struct rc_conn *c, uint32_t sub,
	enum rc_replay_what what, const struct rc_since *since)
{
	struct rc_sub *s = rc_hub_sub(sv->hub, sub);
	const struct rc_replica *r = rc_hub_sub_base(sv->hub, sub);
	uint32_t index = rc_slab_get(&sv->replays);

	RC_ASSERT((s->flags & RC_SUB_PAUSED) && s->listed_next == RC_NONE);
	if (index == RC_NONE)
		return RC_NONE;
	struct rc_replay *p = rc_replay_at(sv, index);
	*p = (struct rc_replay){
		.conn = rc_conn_slot(sv->conns, c),
		.sub = sub,
		.place = RC_NONE,
		.next = RC_NONE,
		.what = (uint8_t)what,
		.broad = r->pattern || rc_replica_is_stream(r),
		.owner = rc_hub_owner(sv->hub, r->hash),
	};
	if (p->broad) {
		p->stamps = rc_pool_get(sv->pool, stamps_bytes(sv));
		if (!p->stamps) {
			rc_slab_put(&sv->replays, index);
			return RC_NONE;
		}
		memset(p->stamps, 0, stamps_bytes(sv));
	}
	if (since) {
		p->kind = (uint8_t)since->kind;
		p->epoch = since->epoch;
		p->after = since->kind == RC_SINCE_TIME ? since->time_ms : since->offset;
		if (since->kind == RC_SINCE_STREAM) {
			/* Of another run of the gateway, which may have had other shards. */
			if (since->epoch != sv->hub->limits.stream_epoch ||
				since->count != rc_replay_shards(sv))
				p->verdict = RC_VERDICT_EPOCH;
			else if (p->broad)
				memcpy(p->stamps, since->stamps,
					rc_replay_shards(sv) * sizeof(uint64_t));
			else
				p->after = since->stamps[p->owner];
		} else if (since->kind == RC_SINCE_BEGINNING) {
			p->after = 0;
		}
	}
	s->flags |= RC_SUB_REPLAYING;
	s->listed_next = index;
	return index;
}

static void unlist(struct rc_serve *sv, uint32_t index)
{
	struct rc_replay *p = rc_replay_at(sv, index);

	if (!p->listed)
		return;
	if (p->prev != RC_NONE)
		rc_replay_at(sv, p->prev)->next = p->next;
	else
		sv->replay_first = p->next;
	if (p->next != RC_NONE)
		rc_replay_at(sv, p->next)->prev = p->prev;
	else
		sv->replay_last = p->prev;
	p->listed = false;
	sv->replay_count--;
}

void rc_replay_run(struct rc_serve *sv, uint32_t index)
{
	struct rc_replay *p = rc_replay_at(sv, index);

	if (p->listed)
		return;
	p->listed = true;
	p->next = RC_NONE;
	p->prev = sv->replay_last;
	if (sv->replay_last != RC_NONE)
		rc_replay_at(sv, sv->replay_last)->next = index;
	else
		sv->replay_first = index;
	sv->replay_last = index;
	sv->replay_count++;
}

void rc_replay_close(struct rc_serve *sv, uint32_t index)
{
	struct rc_replay *p = rc_replay_at(sv, index);
	struct rc_sub *s = rc_hub_sub(sv->hub, p->sub);

	unlist(sv, index);
	s->flags &= ~(uint32_t)RC_SUB_REPLAYING;
	s->listed_next = RC_NONE;
	rc_pool_put(sv->pool, p->stamps, p->stamps ? stamps_bytes(sv) : 0);
	sv->replay_generation[index]++;
	rc_slab_put(&sv->replays, index);
}

/* ---- asking ------------------------------------------------------------------------------------- */

/* From here on the log keeps what comes, and the owners are to be read up to what had come. */
void rc_replay_hold(struct rc_serve *sv, const struct rc_replay *p)
{
	rc_replica_hold(sv->hub, p->sub);
	memcpy(p->stamps + rc_replay_shards(sv), sv->hub->seen,
		rc_replay_shards(sv) * sizeof(uint64_t));
}

void rc_replay_read_the_last(struct rc_serve *sv, struct rc_replay *p)
{
	p->phase = RC_REPLAY_LAST;
	p->left = 0;
	for (uint32_t i = 0; i < rc_replay_shards(sv); i++) {
		if (p->stamps[i] < p->stamps[rc_replay_shards(sv) + i])
			p->left |= rc_replay_bit(i);
	}
}

/* A batch of so many events from one owner. False: no room, or not needed. */
bool rc_replay_ask(struct rc_serve *sv, uint32_t index, uint32_t owner, struct rc_fetch *q,
	struct rc_str names)
{
	struct rc_replay *p = rc_replay_at(sv, index);

	q->shard = sv->shard;
	q->slot = index;
	q->generation = sv->replay_generation[index];
	q->names = names;
	q->lenient = !q->check;
	q->bytes_max = RC_FETCH_BYTES;
	if (q->events_max == 0)
		q->events_max = UINT32_MAX;
	p->due |= rc_replay_bit(owner);
	if (sv->port.fetch(sv->port.ctx, owner, q))
		return true;
	p->due &= ~rc_replay_bit(owner);
	sv->replay_refused = true;
	rc_replay_run(sv, index);
	return false;
}

struct rc_str rc_replay_names(const struct rc_replica *r, char buf[RC_CHANNEL_MAX + 1])
{
	if (rc_replica_is_stream(r))
		return (struct rc_str){r->name + 1, r->name_len - 1u};
	buf[0] = (char)r->name_len;
	memcpy(buf + 1, r->name, r->name_len);
	return (struct rc_str){buf, r->name_len + 1u};
}

static enum rc_fetch_how how_of(const struct rc_replay *p)
{
	switch ((enum rc_since_kind)p->kind) {
	case RC_SINCE_STREAM:
		return RC_FETCH_STAMP;
	case RC_SINCE_BEGINNING:
		return RC_FETCH_BEGINNING;
	case RC_SINCE_TIME:
		return RC_FETCH_TIME;
	default:
		return RC_FETCH_OFFSET;
	}
}

/* silent: the caller asks itself what became of it. */
static void check_more(struct rc_serve *sv, uint32_t index, bool silent)
{
	struct rc_replay *p = rc_replay_at(sv, index);

	p->asking = true;
	while (p->left) {
		struct rc_fetch q = {.how = (uint8_t)how_of(p), .check = true, .until = UINT64_MAX};
		const struct rc_replica *r = rc_replay_base(sv, p);
		char buf[RC_CHANNEL_MAX + 1];
		struct rc_str names = rc_replay_names(r, buf);
		uint32_t owner = (uint32_t)__builtin_ctzll(p->left);
		q.epoch = p->epoch;
		q.after = p->after;
		if (p->broad && p->kind != RC_SINCE_POSITION) {
			q.broad = true;
			if (p->kind == RC_SINCE_STREAM)
				q.after = p->stamps[owner];
		} else {
			names.ptr++;
			names.len--;
		}
		p->left &= ~rc_replay_bit(owner);
		if (!rc_replay_ask(sv, index, owner, &q, names)) {
			p->left |= rc_replay_bit(owner);
			break;
		}
	}
	p->asking = false;
	if (!silent && p->phase == RC_REPLAY_ANSWERED)
		rc_serve_replay_answered(sv, &sv->conns->at[p->conn], index);
}

bool rc_replay_check(struct rc_serve *sv, uint32_t index)
{
	struct rc_replay *p = rc_replay_at(sv, index);

	p->phase = RC_REPLAY_CHECKING;
	if (p->broad)
		rc_replay_hold(sv, p);
	if (p->what == RC_REPLAY_FIRST || p->verdict != RC_VERDICT_ALL) {
		p->phase = RC_REPLAY_ANSWERED;
		return false;
	}
	p->left = p->broad ? rc_replay_all(sv) : rc_replay_bit(p->owner);
	if (p->broad && p->kind == RC_SINCE_POSITION) {
		/* The position of a channel, for a stream of this one channel. */
		const struct rc_replica *r = rc_replay_replica(sv, p);
		struct rc_str name = {r->name + 2, r->name_len - 2u};
		p->owner = rc_hub_owner(sv->hub, rc_hub_hash(sv->hub, name));
		p->left = rc_replay_bit(p->owner);
		memcpy(p->stamps, sv->hub->seen, rc_replay_shards(sv) * sizeof(uint64_t));
	}
	check_more(sv, index, true);
	return p->phase == RC_REPLAY_CHECKING;
}

/* ---- what the client gets ----------------------------------------------------------------------- */

struct rc_str rc_replay_position(struct rc_serve *sv, const struct rc_replay *p, char *out)
{
	bool past = p->what == RC_REPLAY_SINCE && rc_replay_wanted(p);

	return (struct rc_str){out, rc_stream_text(sv->hub->limits.stream_epoch,
					    past ? p->stamps : p->stamps + rc_replay_shards(sv),
					    rc_replay_shards(sv), out)};
}

const char *rc_replay_reason(enum rc_verdict verdict)
{
	switch (verdict) {
	case RC_VERDICT_EPOCH:
		return "epoch";
	case RC_VERDICT_AHEAD:
		return "ahead";
	case RC_VERDICT_MANY:
		return "too_many";
	default:
		return "trimmed";
	}
}

static void take_verdict(struct rc_serve *sv, uint32_t index, const struct rc_fetched *f)
{
	struct rc_replay *p = rc_replay_at(sv, index);

	if (f->verdict != RC_VERDICT_ALL)
		p->verdict = f->verdict;
	if (p->broad && p->kind == RC_SINCE_POSITION) {
		p->stamps[f->from] = f->next_stamp;
	} else if (p->broad) {
		p->stamps[2 * rc_replay_shards(sv) + f->from] = f->losses;
		if (p->kind != RC_SINCE_STREAM)
			p->stamps[f->from] = f->next;
	} else {
		p->epoch = f->epoch;
		if (p->kind != RC_SINCE_POSITION)
			p->after = f->next;
		/* Nothing is missing: what comes from here on need not be kept by anybody. */
		if (rc_replay_wanted(p) && p->after == f->offset)
			rc_replica_hold(sv->hub, p->sub);
	}
	if (p->left || p->due)
		return;
	/* By now all that the owners had sequenced is here: the client may come from a shard that was further than this one. */
	if (p->broad && !rc_replay_wanted(p)) {
		rc_replica_pause(sv->hub, p->sub);
		rc_replay_hold(sv, p);
	}
	p->phase = RC_REPLAY_ANSWERED;
	if (!p->asking)
		rc_serve_replay_answered(sv, &sv->conns->at[p->conn], index);
}

void rc_replay_fetched(struct rc_serve *sv, const struct rc_fetched *f)
{
	if (f->slot & RC_REPLAY_HISTORY_SLOT) {
		rc_history_fetched(sv, f);
		return;
	}
	if (sv->replay_generation[f->slot] != f->generation)
		return;
	struct rc_replay *p = rc_replay_at(sv, f->slot);
	p->due &= ~rc_replay_bit(f->from);
	if (p->phase == RC_REPLAY_CHECKING)
		take_verdict(sv, f->slot, f);
	else if (p->what == RC_REPLAY_FIRST)
		rc_replay_took_first(sv, f->slot, f);
	else if (p->broad)
		rc_replay_took_many(sv, f->slot, f);
	else
		rc_replay_took_one(sv, f->slot, f);
}

bool rc_replay_wanted(const struct rc_replay *p)
{
	return p->what == RC_REPLAY_FIRST || p->verdict == RC_VERDICT_ALL ||
	       p->kind == RC_SINCE_BEGINNING || p->kind == RC_SINCE_TIME;
}

static bool is_held(const struct rc_serve *sv, const struct rc_replay *p)
{
	return rc_hub_sub(sv->hub, p->sub)->flags & RC_SUB_HELD;
}

/* The events lie here, as the client reads them: its cursor is set back. */
static bool set_back(struct rc_serve *sv, uint32_t index)
{
	const struct rc_replay *p = rc_replay_at(sv, index);
	struct rc_conn *c = &sv->conns->at[p->conn];
	const struct rc_replica *r = rc_replay_replica(sv, p);
	uint32_t sub = p->sub;
	uint64_t pos, missed = r->offset - p->after;

	if (p->broad || p->epoch != r->epoch || !rc_history_find(sv->hub, r, p->after, &pos))
		return false;
	rc_replay_close(sv, index);
	rc_replica_resume_at(sv->hub, sub, pos);
	rc_count(sv->counters, RC_C_events_replayed, missed);
	rc_serve_list(sv, c, sub);
	rc_conn_ready(sv->conns, c);
	return true;
}

void rc_replay_start(struct rc_serve *sv, uint32_t index)
{
	struct rc_replay *p = rc_replay_at(sv, index);

	p->phase = RC_REPLAY_READING;
	if (p->what == RC_REPLAY_FIRST) {
		p->after = 0;
		if (!p->broad) {
			/* The acknowledgement says where it stands: from there on it gets all. */
			rc_replica_hold(sv->hub, p->sub);
			p->until = sv->hub->seen[p->owner];
		}
		rc_replay_run(sv, index);
		return;
	}
	rc_count(sv->counters,
		p->verdict == RC_VERDICT_ALL ? RC_C_recoveries : RC_C_recoveries_failed, 1);
	if (!rc_replay_wanted(p) || (!p->broad && is_held(sv, p))) {
		rc_replay_go_live(sv, index);
		return;
	}
	if (p->broad) {
		p->checked = true;
		rc_replay_read_the_last(sv, p);
	}
	if (!set_back(sv, index))
		rc_replay_run(sv, index);
}

/* Batches that wait to be read must not take what the live events need. */
static bool memory_is_short(const struct rc_serve *sv)
{
	const struct rc_buddy *arena = sv->pool->arena;

	return arena->used_bytes > (uint64_t)arena->units * RC_BUDDY_MIN / 8 * 7;
}

void rc_replay_turn(struct rc_serve *sv)
{
	/* Going on puts some back, behind these. */
	uint32_t count = RC_MIN(sv->replay_count, PER_TURN);

	sv->replay_refused = false;
	while (count-- > 0 && sv->replay_first != RC_NONE) {
		uint32_t index = sv->replay_first;
		struct rc_replay *p = rc_replay_at(sv, index);
		struct rc_conn *c = &sv->conns->at[p->conn];
		unlist(sv, index);
		if (p->phase == RC_REPLAY_CHECKING) {
			check_more(sv, index, false);
		} else if (p->due == 0 && c->out_len > OUT_ENOUGH) {
			c->flags |= RC_CONN_REPLAYING;
		} else if (p->due == 0 && memory_is_short(sv)) {
			sv->replay_refused = true;
			rc_replay_run(sv, index);
			break;
		} else if (p->due == 0) {
			rc_replay_read(sv, index);
		}
	}
}

void rc_replay_drained(struct rc_serve *sv, struct rc_conn *c)
{
	c->flags &= (uint16_t)~RC_CONN_REPLAYING;
	for (uint32_t sub = c->subs; sub != RC_NONE; sub = rc_hub_sub(sv->hub, sub)->next) {
		uint32_t index = rc_replay_of(sv, sub);
		if (rc_acked_of(sv, sub) != RC_NONE)
			rc_acked_drained(sv, rc_acked_of(sv, sub));
		else if (index != RC_NONE && rc_replay_at(sv, index)->phase >= RC_REPLAY_READING)
			rc_replay_run(sv, index);
	}
}
