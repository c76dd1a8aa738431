/* SPDX-License-Identifier: Apache-2.0
 *
 * What others ask of an owner: events of one channel from an offset on, or of several in the order of their stamps. Each answer says
 * besides what is missing, and where the next one is to begin.
 */
#include "hub/replica.h"

#include "base/clock.h"

struct answer {
	struct rc_hub *h;
	struct rc_fetched out;
	uint32_t room;      /* for one event */
	uint32_t bytes_max; /* for more */
	uint32_t events_left;
};

static const struct rc_str nobody = {NULL, 0};

/* name: of its channel, where that is to be told. False: it is full. */
static bool put(struct answer *a, const struct rc_log_frame *f, uint64_t offset, struct rc_str name)
{
	const struct rc_fetched_frame head = {
		.stamp = f->stamp, .offset = offset, .len = f->len, .name_len = (uint32_t)name.len};
	uint32_t need = (uint32_t)rc_fetched_frame_bytes(&head);

	if (a->events_left == 0 ||
		a->out.frames_len + need > (a->out.frames_len ? a->bytes_max : a->room))
		return false;
	unsigned char *at = a->h->fetch + a->out.frames_len;
	memcpy(at, &head, sizeof(head));
	memcpy(at + sizeof(head), f->bytes, f->len);
	(void)rc_str_copy(at + sizeof(head) + f->len, name);
	a->out.frames_len += need;
	a->out.frames_count++;
	a->events_left--;
	return true;
}

/* Low bits of a time; one that lies so far off that they would be mistaken is the farthest there is. */
static uint32_t time_bits(uint64_t wall_ms)
{
	const uint64_t far = INT32_MAX - 1000;
	uint64_t now = rc_clock_wall_ms();

	return (uint32_t)RC_MIN(RC_MAX(wall_ms, now - far), now + far);
}

/* The next of the names, each behind its length. */
static bool next_name(struct rc_str *rest, struct rc_str *name)
{
	if (rest->len == 0)
		return false;
	size_t len = (unsigned char)rest->ptr[0];
	RC_ASSERT(len + 1 <= rest->len);
	*name = (struct rc_str){rest->ptr + 1, len};
	rest->ptr += 1 + len;
	rest->len -= 1 + len;
	return true;
}

/* An event after that stamp, or at that time or later, went with a channel that was forgotten. */
static bool forgot_stamp(const struct rc_hub *h, uint64_t stamp)
{
	return h->forgotten_stamp > stamp;
}

static bool forgot_time(const struct rc_hub *h, uint32_t time)
{
	/* What was before this run of the gateway is forgotten too. */
	return (int32_t)(h->forgotten_time_ms - time) >= 0;
}

/* ---- of one channel */

/* It is not known here, or not any more. */
static enum rc_verdict unknown_verdict(const struct rc_hub *h, const struct rc_fetch *q)
{
	switch (q->how) {
	case RC_FETCH_OFFSET:
		return RC_VERDICT_EPOCH;
	case RC_FETCH_STAMP:
		if (q->after > h->stamp)
			return RC_VERDICT_AHEAD;
		return forgot_stamp(h, q->after) ? RC_VERDICT_TRIMMED : RC_VERDICT_ALL;
	case RC_FETCH_TIME:
		return forgot_time(h, time_bits(q->after)) ? RC_VERDICT_TRIMMED : RC_VERDICT_ALL;
	default:
		return RC_VERDICT_ALL;
	}
}

static void one_verdict(struct answer *a, const struct rc_fetch *q, const struct rc_owned *o,
	const struct rc_replica *r, struct rc_history_bounds b)
{
	uint64_t first = a->out.first_offset ? a->out.first_offset : o->offset + 1;
	uint64_t from;

	switch (q->how) {
	case RC_FETCH_OFFSET:
	case RC_FETCH_BEFORE:
		a->out.next = q->after;
		if (q->how == RC_FETCH_BEFORE) {
			a->out.next = RC_MIN(q->after, o->offset + 1);
			if (q->after != UINT64_MAX && q->epoch != o->epoch)
				a->out.verdict = RC_VERDICT_EPOCH;
		} else if (q->epoch != o->epoch) {
			a->out.verdict = RC_VERDICT_EPOCH;
		} else if (q->after > o->offset) {
			a->out.verdict = RC_VERDICT_AHEAD;
		} else if (q->after + 1 < first) {
			a->out.verdict = RC_VERDICT_TRIMMED;
			a->out.next = first - 1;
		}
		break;
	case RC_FETCH_BEGINNING:
		a->out.next = first - 1;
		if (first > 1)
			a->out.verdict = RC_VERDICT_TRIMMED;
		break;
	case RC_FETCH_STAMP:
		from = r ? RC_MAX(rc_log_after_stamp(&r->log, q->after), b.ordinal) : 0;
		a->out.next =
			r && from < r->log.count_tail ? rc_history_offset(r, from) - 1 : o->offset;
		if (q->after > a->h->stamp)
			a->out.verdict = RC_VERDICT_AHEAD;
		else if ((r ? b.trimmed_stamp : o->stamp) > q->after ||
			 (o->born > q->after && forgot_stamp(a->h, q->after)))
			a->out.verdict = RC_VERDICT_TRIMMED;
		break;
	case RC_FETCH_TIME: {
		uint32_t time = time_bits(q->after);
		uint64_t trimmed = r ? b.trimmed_stamp : o->stamp;
		uint32_t trimmed_time = r ? b.trimmed_time_ms : o->time_ms;
		from = r ? RC_MAX(rc_log_since_time(&r->log, time), b.ordinal) : 0;
		a->out.next =
			r && from < r->log.count_tail ? rc_history_offset(r, from) - 1 : o->offset;
		/* Or an earlier life of the channel had it. */
		if ((trimmed && (int32_t)(trimmed_time - time) >= 0) ||
			((int32_t)(o->born_ms - time) >= 0 && forgot_time(a->h, time)))
			a->out.verdict = RC_VERDICT_TRIMMED;
		break;
	}
	case RC_FETCH_LATEST:
		a->out.next = o->offset;
		break;
	}
}

/* The stamp behind which the events after a->out.next come. */
static uint64_t stamp_after(
	const struct answer *a, const struct rc_owned *o, const struct rc_replica *r)
{
	struct rc_log_frame f;

	if (!r || !r->log.first || a->out.next >= o->offset ||
		a->out.next + 1 < rc_history_offset(r, rc_log_count_head(&r->log)))
		return a->h->stamp;
	rc_log_frame_number(&r->log, rc_history_ordinal(r, a->out.next + 1), &f);
	return f.stamp - 1;
}

/* The newest of each key, oldest first; without keys the newest. */
static void put_latest(struct answer *a, const struct rc_replica *r, uint64_t from)
{
	struct rc_log_frame f;

	if (a->h->namespaces[r->ns].key.len) {
		for (uint32_t i = rc_last_values_from(&r->last, from); i != RC_NONE;
			i = r->last.entry[i].newer) {
			const struct rc_last_value *v = &r->last.entry[i];
			f = (struct rc_log_frame){
				.bytes = v->frame, .len = v->len, .stamp = v->stamp};
			if (!put(a, &f, 0, nobody)) {
				a->out.more = true;
				return;
			}
			a->out.next = v->pos + 1;
		}
	} else if (a->out.first_offset) {
		rc_log_frame_last(&r->log, &f);
		(void)put(a, &f, r->offset, nobody);
	}
}

static void put_after(struct answer *a, const struct rc_replica *r, struct rc_history_bounds b)
{
	struct rc_log_frame f;
	uint64_t offset = RC_MAX(a->out.next + 1, rc_history_offset(r, b.ordinal));

	for (; offset <= r->offset; offset++) {
		rc_log_frame_number(&r->log, rc_history_ordinal(r, offset), &f);
		if (!put(a, &f, offset, nobody)) {
			a->out.more = true;
			return;
		}
		a->out.next = offset;
	}
}

static void put_before(struct answer *a, const struct rc_replica *r, struct rc_history_bounds b)
{
	struct rc_log_frame f;
	uint64_t first = rc_history_offset(r, b.ordinal);

	for (uint64_t offset = a->out.next; offset > first; offset--) {
		rc_log_frame_number(&r->log, rc_history_ordinal(r, offset - 1), &f);
		if (!put(a, &f, offset - 1, nobody)) {
			a->out.more = true;
			return;
		}
		a->out.next = offset - 1;
	}
}

static void fetch_one(struct answer *a, const struct rc_fetch *q)
{
	struct rc_hub *h = a->h;
	uint32_t index = rc_owner_find(h, q->names, rc_hub_hash(h, q->names));

	if (index == RC_NONE) {
		a->out.verdict = (uint8_t)unknown_verdict(h, q);
		return;
	}
	const struct rc_owned *o = rc_hub_owned(h, index);
	const struct rc_replica *r = o->replica == RC_NONE ? NULL : rc_hub_replica(h, o->replica);
	struct rc_history_bounds b = {0};
	a->out.known = true;
	a->out.epoch = o->epoch;
	a->out.offset = o->offset;
	if (r) {
		b = q->lenient ? rc_history_bounds_of_log(r) : rc_history_bounds(h, r);
		if (b.ordinal < r->log.count_tail)
			a->out.first_offset = rc_history_offset(r, b.ordinal);
	}
	one_verdict(a, q, o, r, b);
	a->out.next_stamp = stamp_after(a, o, r);
	if (q->check || a->out.verdict == RC_VERDICT_EPOCH || a->out.verdict == RC_VERDICT_AHEAD)
		return;
	if (q->how == RC_FETCH_LATEST) {
		if (r)
			put_latest(a, r, q->after);
	} else if (a->out.first_offset && q->how == RC_FETCH_BEFORE) {
		put_before(a, r, b);
	} else if (a->out.first_offset) {
		put_after(a, r, b);
	} else {
		a->out.next = o->offset;
	}
}

/* ---- of many */

static void sift_down(struct rc_fetch_source *heap, uint32_t count, uint32_t at)
{
	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child >= count)
			return;
		if (child + 1 < count && heap[child + 1].stamp < heap[child].stamp)
			child++;
		if (heap[at].stamp <= heap[child].stamp)
			return;
		struct rc_fetch_source s = heap[at];
		heap[at] = heap[child];
		heap[child] = s;
		at = child;
	}
}

struct search {
	uint64_t after; /* stamp */
	uint32_t at;    /* with RC_FETCH_TIME */
	uint32_t count;
	bool time;
	uint8_t verdict;
	uint64_t lost; /* when what is missing was let go, the last of it */
};

static void missing(struct search *s, enum rc_verdict verdict, uint64_t when)
{
	if (s->verdict == RC_VERDICT_ALL)
		s->verdict = (uint8_t)verdict;
	s->lost = RC_MAX(s->lost, when);
}

static void add_source(struct rc_hub *h, const struct rc_fetch *q, struct search *s, uint32_t index)
{
	const struct rc_owned *o = rc_hub_owned(h, index);
	struct rc_log_frame f;

	if (o->name[0] == '$' || o->stamp == 0 ||
		(s->time ? (int32_t)(o->time_ms - s->at) < 0 : o->stamp <= s->after))
		return;
	if (o->replica == RC_NONE) {
		if (!q->kept)
			missing(s, RC_VERDICT_TRIMMED, o->lost_when);
		return;
	}
	const struct rc_replica *r = rc_hub_replica(h, o->replica);
	struct rc_history_bounds b =
		q->lenient ? rc_history_bounds_of_log(r) : rc_history_bounds(h, r);
	if (s->time ? b.trimmed_stamp && (int32_t)(b.trimmed_time_ms - s->at) >= 0
		    : b.trimmed_stamp > s->after)
		missing(s, RC_VERDICT_TRIMMED, r->log.trimmed_when);
	uint64_t ordinal =
		s->time ? rc_log_since_time(&r->log, s->at) : rc_log_after_stamp(&r->log, s->after);
	ordinal = RC_MAX(ordinal, b.ordinal);
	if (ordinal == r->log.count_tail)
		return;
	if (s->count == RC_FETCH_SOURCES_MAX) {
		missing(s, RC_VERDICT_MANY, ++h->history.losses);
		return;
	}
	rc_log_frame_number(&r->log, ordinal, &f);
	h->sources[s->count++] = (struct rc_fetch_source){
		.stamp = f.stamp, .ordinal = ordinal, .replica = o->replica};
}

static bool matches(struct rc_str names, const struct rc_owned *o)
{
	struct rc_str name;

	while (next_name(&names, &name)) {
		if (rc_name_is_pattern(name) ? rc_pattern_match(name, rc_owned_name(o))
					     : rc_str_eq(name, rc_owned_name(o)))
			return true;
	}
	return false;
}

static bool born_since(const struct rc_owned *o, const struct search *s)
{
	return s->time ? (int32_t)(o->born_ms - s->at) >= 0 : o->born > s->after;
}

static void find_sources(struct rc_hub *h, const struct rc_fetch *q, struct search *s)
{
	struct rc_str rest = q->names, name;
	bool patterns = false;

	while (next_name(&rest, &name))
		patterns |= rc_name_is_pattern(name);
	rest = q->names;
	if (!h->limits.keeps_history) {
		if (h->stamp > s->after)
			missing(s, RC_VERDICT_TRIMMED, h->history.losses);
		return;
	}
	bool forgot = s->time ? forgot_time(h, s->at) : forgot_stamp(h, s->after);
	if (patterns) {
		for (uint32_t i = h->recent_first; i != RC_NONE;) {
			const struct rc_owned *o = rc_hub_owned(h, i);
			if (s->time ? (int32_t)(o->time_ms - s->at) < 0 : o->stamp <= s->after)
				break;
			if (matches(q->names, o))
				add_source(h, q, s, i);
			i = o->recent_next;
		}
		/* What was forgotten may have matched. */
		if (forgot)
			missing(s, RC_VERDICT_TRIMMED, h->forgotten_when);
		return;
	}
	while (next_name(&rest, &name)) {
		uint32_t hash = rc_hub_hash(h, name);
		if (rc_hub_owner(h, hash) != h->limits.shard)
			continue;
		uint32_t index = rc_owner_find(h, name, hash);
		bool reborn = index == RC_NONE || born_since(rc_hub_owned(h, index), s);
		if (index != RC_NONE)
			add_source(h, q, s, index);
		if (reborn && forgot)
			missing(s, RC_VERDICT_TRIMMED, h->forgotten_when);
	}
}

static void fetch_many(struct answer *a, const struct rc_fetch *q)
{
	struct rc_hub *h = a->h;
	struct search s = {
		.after = q->how == RC_FETCH_STAMP ? q->after : 0, .time = q->how == RC_FETCH_TIME};

	if (s.time)
		s.at = time_bits(q->after);
	a->out.next = s.after;
	if (s.after > h->stamp) {
		a->out.verdict = RC_VERDICT_AHEAD;
		return;
	}
	find_sources(h, q, &s);
	a->out.verdict = s.verdict;
	a->out.lost = s.lost;
	for (uint32_t i = s.count / 2; i-- > 0;)
		sift_down(h->sources, s.count, i);
	if (s.time)
		a->out.next = s.count ? h->sources[0].stamp - 1 : h->stamp;
	if (q->check)
		return;
	while (s.count && h->sources[0].stamp <= q->until) {
		struct rc_fetch_source *top = &h->sources[0];
		const struct rc_replica *r = rc_hub_replica(h, top->replica);
		struct rc_log_frame f;
		rc_log_frame_number(&r->log, top->ordinal, &f);
		if (!put(a, &f, rc_history_offset(r, top->ordinal),
			    h->namespaces[r->ns].raw ? rc_replica_name(r) : nobody)) {
			a->out.more = true;
			return;
		}
		a->out.next = f.stamp;
		if (++top->ordinal == r->log.count_tail) {
			*top = h->sources[--s.count];
		} else {
			rc_log_frame_number(&r->log, top->ordinal, &f);
			top->stamp = f.stamp;
		}
		sift_down(h->sources, s.count, 0);
	}
	a->out.next = RC_MIN(q->until, h->stamp);
}

void rc_owner_look(struct rc_hub *h, const struct rc_fetch *q, struct rc_fetched *out)
{
	struct answer a = {.h = h};

	RC_ASSERT(q->check && !q->broad);
	fetch_one(&a, q);
	*out = a.out;
}

bool rc_owner_fetch(struct rc_hub *h, const struct rc_fetch *q)
{
	uint32_t room = h->port.fetch_room(h->port.ctx, q->shard);
	struct answer a = {
		.h = h,
		.room = RC_MIN(room, h->fetch_size),
		.bytes_max = RC_MIN(RC_MIN(room, h->fetch_size), q->bytes_max),
		.events_left = q->events_max,
		.out = {.from = h->limits.shard,
			.slot = q->slot,
			.generation = q->generation,
			.check = q->check,
			.stamp = h->stamp,
			.losses = h->history.losses},
	};

	if (room == 0)
		return false;
	if (q->broad)
		fetch_many(&a, q);
	else
		fetch_one(&a, q);
	a.out.frames = h->fetch;
	h->port.tell_fetched(h->port.ctx, q->shard, &a.out);
	return true;
}
