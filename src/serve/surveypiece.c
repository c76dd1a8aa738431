/* SPDX-License-Identifier: Apache-2.0
 *
 * The answering side of a survey: walks this shard's tables from a cursor on, for a bounded number of steps.
 *
 * Tables are walked from their last cell to the first: a deletion moves entries towards lower cells, so that what is there all the
 * time is come by at least once (but for a run of cells around the table's end), and twice at worst.
 */
#include "serve/survey.h"

#include "base/clock.h"
#include "serve/lag.h"

#define WORK_MAX  2048u /* an empty cell is 1; some 20 microseconds in all */
#define WORK_ITEM 8u
#define PREFETCH  16u
/* Names that are listed of one client. */
#define NAMES_MAX 32u

struct walk {
	struct rc_serve *sv;
	const struct rc_survey_ask *ask;
	struct rc_survey_piece *out;
	uint32_t work;
};

/* ---- items -------------------------------------------------------------------------------------- */

static bool wanted(struct walk *w, struct rc_str key)
{
	const struct rc_survey_ask *a = w->ask;

	if (a->after_len && rc_survey_compare(key, (struct rc_str){a->after, a->after_len}) <= 0)
		return false;
	if (a->last_len && rc_survey_compare(key, (struct rc_str){a->last, a->last_len}) > 0) {
		w->out->more = true;
		return false;
	}
	return true;
}

/* Where the contents of an item with that key go; ptr NULL when not even a small one has room. */
static struct rc_textbuf item_begin(struct walk *w, struct rc_str key)
{
	struct rc_textbuf b = {0};
	size_t used = w->out->len + sizeof(struct rc_survey_item) + key.len;

	if (used < RC_SURVEY_PIECE) {
		b.ptr = (char *)w->out->bytes + used;
		b.cap = RC_SURVEY_PIECE - used;
	}
	return b;
}

/* False: it did not fit; the piece ends before it. */
static bool item_end(struct walk *w, struct rc_str key, const struct rc_textbuf *b)
{
	struct rc_survey_item item = {(uint16_t)key.len, (uint16_t)b->len};
	unsigned char *at = w->out->bytes + w->out->len;

	if (!b->ptr || b->full)
		return false;
	memcpy(at, &item, sizeof(item));
	memcpy(at + sizeof(item), key.ptr, key.len);
	w->out->len += (uint32_t)(sizeof(item) + key.len + b->len);
	return true;
}

static bool put_channel(struct walk *w, struct rc_str name, const struct rc_survey_channel *c)
{
	struct rc_textbuf b = item_begin(w, name);

	if (b.ptr)
		rc_textbuf_add(&b, (struct rc_str){(const char *)c, sizeof(*c)});
	return item_end(w, name, &b);
}

/* ---- channels ----------------------------------------------------------------------------------- */

static struct rc_survey_channel of_owned(const struct walk *w, const struct rc_owned *o)
{
	return (struct rc_survey_channel){
		.epoch = o->epoch,
		.offset = o->offset,
		.owner = w->sv->shard,
		.ns = o->ns,
		.owned = true,
	};
}

static struct rc_survey_channel of_replica(const struct rc_replica *r)
{
	return (struct rc_survey_channel){.subscribers = r->count + r->followers, .ns = r->ns};
}

static bool in_question(const struct walk *w, struct rc_str name)
{
	return !rc_name_reserved(name) &&
	       rc_str_starts(name, (struct rc_str){w->ask->prefix, w->ask->prefix_len});
}

static bool visit_owned(struct walk *w, uint32_t index)
{
	const struct rc_owned *o = rc_slab_at(&w->sv->hub->owned, index);
	struct rc_str name = {o->name, o->name_len};
	struct rc_survey_channel c = of_owned(w, o);

	return !in_question(w, name) || !wanted(w, name) || put_channel(w, name, &c);
}

static bool visit_replica(struct walk *w, uint32_t index)
{
	const struct rc_replica *r = rc_hub_replica(w->sv->hub, index);
	struct rc_str name = rc_replica_name(r);
	struct rc_survey_channel c = of_replica(r);

	/* Who reads a stream is counted with its members. */
	if (c.subscribers == 0 || r->rendition != RC_RENDITION_WS ||
		(r->pattern && w->ask->kind != RC_SURVEY_SUBSCRIPTIONS))
		return true;
	return !in_question(w, name) || !wanted(w, name) || put_channel(w, name, &c);
}

/* False: the piece is full, and this cell comes again. */
static bool visit_cell(struct walk *w, const struct rc_table_cell *cell,
	bool (*visit)(struct walk *, uint32_t index))
{
	w->work += cell->used ? WORK_ITEM : 1;
	return cell->used == 0 || visit(w, cell->used - 1);
}

/* Objects lie anywhere, in the order of their names' hashes. */
static void prefetch(const struct rc_table *t, const struct rc_slab *slab, uint64_t i)
{
	if (i >= PREFETCH && t->cell[i - PREFETCH].used)
		__builtin_prefetch(rc_slab_at(slab, t->cell[i - PREFETCH].used - 1));
}

/* The cells of both tables in one row; the cursor is the number of those that are left. */
static void walk_channels(struct walk *w)
{
	const struct rc_hub *h = w->sv->hub;
	uint64_t owned = w->ask->kind == RC_SURVEY_CHANNELS ? (uint64_t)h->owned_table.mask + 1 : 0;
	uint64_t left =
		RC_MIN((uint64_t)w->ask->cursor, owned + (uint64_t)h->replica_table.mask + 1);

	while (left > 0 && w->work < WORK_MAX) {
		uint64_t i = left - 1;
		bool went;
		if (i < owned) {
			prefetch(&h->owned_table, &h->owned, i);
			went = visit_cell(w, &h->owned_table.cell[i], visit_owned);
		} else {
			prefetch(&h->replica_table, &h->replicas, i - owned);
			went = visit_cell(w, &h->replica_table.cell[i - owned], visit_replica);
		}
		if (!went)
			break;
		left = i;
	}
	w->out->cursor = (uint32_t)left;
	w->out->done = left == 0;
}

struct by_name {
	const struct rc_hub *hub;
	struct rc_str name;
};

static bool same_owned(const void *ctx, uint32_t index)
{
	const struct by_name *n = ctx;
	const struct rc_owned *o = rc_slab_at(&n->hub->owned, index);

	return rc_str_eq((struct rc_str){o->name, o->name_len}, n->name);
}

static bool same_replica(const void *ctx, uint32_t index)
{
	const struct by_name *n = ctx;

	return rc_str_eq(rc_replica_name(rc_hub_replica(n->hub, index)), n->name);
}

static void one_channel(struct walk *w)
{
	const struct rc_hub *h = w->sv->hub;
	struct by_name n = {h, {w->ask->prefix, w->ask->prefix_len}};
	uint32_t hash = rc_hub_hash(h, n.name);
	uint32_t index = rc_table_find(&h->owned_table, hash, same_owned, &n);

	if (index != RC_NONE)
		(void)visit_owned(w, index);
	index = rc_table_find(&h->replica_table, hash, same_replica, &n);
	if (index != RC_NONE)
		(void)visit_replica(w, index);
	w->out->done = true;
}

/* ---- clients ------------------------------------------------------------------------------------ */

static void add_time(struct rc_textbuf *b, uint64_t wall_ms)
{
	char iso[RC_ISO8601_LEN];

	rc_clock_iso8601(wall_ms, iso);
	rc_textbuf_add_string(b, (struct rc_str){iso, sizeof(iso)});
}

static void add_peer(struct rc_textbuf *b, const struct rc_conn *c)
{
	char peer[RC_CONN_PEER_TEXT];

	rc_conn_peer(c, peer);
	rc_textbuf_add_text(b, "\"address\":");
	rc_textbuf_add_string(b, rc_str_of(peer));
}

/* Of a channel or pattern its name, of a stream those of its members. */
static void add_names(struct rc_textbuf *b, const struct rc_replica *r, uint32_t *names)
{
	struct rc_str rest = rc_replica_name(r);

	if (r->rendition == RC_RENDITION_WS) {
		if ((*names)++ < NAMES_MAX) {
			rc_textbuf_add_text(b, *names > 1 ? "," : "");
			rc_textbuf_add_string(b, rest);
		}
		return;
	}
	/* The rendition, and then each behind a byte with its length. */
	for (size_t at = 1; at < rest.len; at += 1u + (unsigned char)rest.ptr[at]) {
		if ((*names)++ >= NAMES_MAX)
			continue;
		rc_textbuf_add_text(b, *names > 1 ? "," : "");
		rc_textbuf_add_string(
			b, (struct rc_str){rest.ptr + at + 1, (unsigned char)rest.ptr[at]});
	}
}

static void add_client(
	const struct walk *w, struct rc_textbuf *b, struct rc_str session, const struct rc_conn *c)
{
	const struct rc_hub *h = w->sv->hub;
	uint32_t age = w->sv->conns->tick - c->opened_tick;
	uint64_t opened_ms =
		(w->sv->now_ns / (RC_CONN_TICK_MS * 1000000ull) - age) * RC_CONN_TICK_MS;
	uint32_t names = 0;

	rc_textbuf_add_string(b, session);
	rc_textbuf_add_text(b, ":{\"id\":");
	rc_textbuf_add_string(b, session);
	rc_textbuf_add_text(
		b, c->kind == RC_CONN_SSE ? ",\"transport\":\"sse\"," : ",\"transport\":\"ws\",");
	add_peer(b, c);
	rc_textbuf_add_text(b, ",\"tls\":");
	rc_textbuf_add_text(b, c->flags & RC_CONN_KTLS  ? "\"kernel\""
			       : c->flags & RC_CONN_TLS ? "\"user\""
							: "null");
	rc_textbuf_add_text(b, ",\"connectedAt\":");
	add_time(b, w->sv->info->wall_ms + opened_ms);
	rc_textbuf_add_text(b, ",\"subscriptions\":[");
	for (uint32_t i = c->subs; i != RC_NONE; i = rc_hub_sub(h, i)->next) {
		if (c->kind == RC_CONN_WS && names >= NAMES_MAX)
			break;
		if (!(rc_hub_sub(h, i)->flags & RC_SUB_HIDDEN))
			add_names(b, rc_hub_replica(h, rc_hub_sub(h, i)->replica), &names);
	}
	rc_textbuf_add_text(b, "],\"subscriptionCount\":");
	rc_textbuf_add_u64(b, c->kind == RC_CONN_WS ? c->sub_count : names);
	rc_textbuf_add_char(b, '}');
}

static bool visit_client(struct walk *w, struct rc_conn *c)
{
	char session[RC_WS_SESSION_LEN];
	struct rc_str key = {session, sizeof(session)};

	if (!rc_lag_is_client(c))
		return true;
	w->work += WORK_ITEM;
	rc_ws_session(w->sv, c, session);
	if (!wanted(w, key))
		return true;
	struct rc_textbuf b = item_begin(w, key);
	if (b.ptr)
		add_client(w, &b, key, c);
	w->work += 8 * WORK_ITEM;
	return item_end(w, key, &b);
}

/* ---- laggards ----------------------------------------------------------------------------------- */

static void add_laggard(const struct walk *w, struct rc_textbuf *b, struct rc_str session,
	const struct rc_conn *c, const struct rc_lag *lag)
{
	const struct rc_hub *h = w->sv->hub;

	rc_textbuf_add_text(b, "{\"session\":");
	rc_textbuf_add_string(b, session);
	rc_textbuf_add_char(b, ',');
	add_peer(b, c);
	if (lag->sub != RC_NONE) {
		const struct rc_replica *r = rc_hub_replica(h, rc_hub_sub(h, lag->sub)->replica);
		uint32_t names = 0;
		rc_textbuf_add_text(b, ",\"channels\":[");
		add_names(b, r, &names);
		rc_textbuf_add_char(b, ']');
	}
	rc_textbuf_add_text(b, ",\"lag\":{\"bytes\":");
	rc_textbuf_add_u64(b, lag->bytes);
	rc_textbuf_add_text(b, ",\"events\":");
	rc_textbuf_add_u64(b, lag->events);
	rc_textbuf_add_text(b, ",\"ms\":");
	rc_textbuf_add_u64(b, lag->age_ms);
	rc_textbuf_add_text(b, "},\"reason\":");
	rc_textbuf_add_string(b, rc_str_of(lag->why));
	if (c->flags & RC_CONN_BLOCKED) {
		rc_textbuf_add_text(b, ",\"blockedSince\":");
		add_time(b, w->sv->wall_ms - lag->blocked_ms);
	}
	rc_textbuf_add_char(b, '}');
}

static bool visit_laggard(struct walk *w, struct rc_conn *c)
{
	/* The smallest key is that of the largest lag. */
	char key_bytes[8 + RC_WS_SESSION_LEN];
	struct rc_str key = {key_bytes, sizeof(key_bytes)};
	struct rc_lag lag;

	if (!rc_lag_is_client(c) || !rc_lag_of(w->sv, c, &lag))
		return true;
	w->work += 8 * WORK_ITEM;
	for (int i = 0; i < 8; i++)
		key_bytes[i] = (char)(~lag.bytes >> (56 - 8 * i));
	rc_ws_session(w->sv, c, key_bytes + 8);
	if (!wanted(w, key))
		return true;
	struct rc_textbuf b = item_begin(w, key);
	if (b.ptr)
		add_laggard(w, &b, (struct rc_str){key_bytes + 8, RC_WS_SESSION_LEN}, c, &lag);
	return item_end(w, key, &b);
}

static void walk_conns(struct walk *w, bool (*visit)(struct walk *, struct rc_conn *))
{
	const struct rc_conns *cs = w->sv->conns;
	uint32_t i = w->ask->cursor == RC_NONE ? 0 : w->ask->cursor;

	while (i < cs->mark && w->work < WORK_MAX) {
		w->work += WORK_ITEM;
		if (!visit(w, &cs->at[i]))
			break;
		i++;
	}
	w->out->cursor = i;
	w->out->done = i >= cs->mark;
}

/* ---- one piece ---------------------------------------------------------------------------------- */

void rc_survey_piece(
	struct rc_serve *sv, const struct rc_survey_ask *ask, struct rc_survey_piece *out)
{
	struct walk w = {sv, ask, out, 0};

	out->slot = ask->slot;
	out->token = ask->token;
	out->shard = sv->shard;
	out->cursor = 0;
	out->len = 0;
	out->done = out->more = false;
	switch ((enum rc_survey_kind)ask->kind) {
	case RC_SURVEY_CHANNEL:
		one_channel(&w);
		break;
	case RC_SURVEY_CLIENTS:
		walk_conns(&w, visit_client);
		break;
	case RC_SURVEY_LAGGARDS:
		walk_conns(&w, visit_laggard);
		break;
	case RC_SURVEY_CHANNELS:
	case RC_SURVEY_SUBSCRIPTIONS:
		walk_channels(&w);
		break;
	}
}
