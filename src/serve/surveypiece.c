/* SPDX-License-Identifier: Apache-2.0
 *
 * The answering side of a survey: walks this shard's tables from a cursor on, for a bounded number of steps.
 *
 * Tables are walked from their last cell to the first: a deletion moves entries towards lower cells, so that what is there all the
 * time is come by at least once (but for a run of cells around the table's end), and twice at worst.
 */
#include "serve/survey.h"

#include "base/clock.h"
#include "serve/commands.h"
#include "serve/lag.h"
#include "serve/quality.h"
#include "serve/users.h"
#include "serve/session.h"
#include "serve/webhook.h"

#define WORK_MAX  2048u /* an empty cell is 1; some 20 microseconds in all */
#define WORK_ITEM 8u
#define PREFETCH  16u
/* Names that are listed of one client. */
#define NAMES_MAX 32u
/* Sessions that are listed of one user, on each shard. */
#define USER_SESSIONS_MAX 1000u

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

static bool is_known(const struct rc_hub *h, const struct rc_top_entry *e)
{
	return e->owned != RC_NONE && rc_owner_is_known(h, e->owned, e->hash);
}

static uint64_t rate_of(const struct rc_hub *h, uint32_t owned)
{
	const struct rc_top_entry *e = h->top.at;

	while (e < h->top.at + RC_TOP_ENTRIES && (e->owned != owned || !is_known(h, e)))
		e++;
	return e < h->top.at + RC_TOP_ENTRIES ? e->rate : 0;
}

static bool visit_owned(struct walk *w, uint32_t index)
{
	const struct rc_owned *o = rc_slab_at(&w->sv->hub->owned, index);
	struct rc_str name = {o->name, o->name_len};
	struct rc_survey_channel c = of_owned(w, o);

	if (w->ask->kind == RC_SURVEY_CHANNEL) {
		struct rc_consumer_lag lag = rc_consumer_lag(w->sv->hub, index);
		c.consumers = lag.consumers;
		c.consumers_connected = lag.attached;
		c.unacknowledged = lag.unacknowledged;
		c.rate = rate_of(w->sv->hub, index);
	}
	return !in_question(w, name) || !wanted(w, name) || put_channel(w, name, &c);
}

static bool visit_replica(struct walk *w, uint32_t index)
{
	const struct rc_replica *r = rc_hub_replica(w->sv->hub, index);
	struct rc_str name = rc_replica_name(r);
	struct rc_survey_channel c = of_replica(r);

	/* Who reads a stream or a view is counted with its members. */
	if (c.subscribers == 0 || r->rendition != RC_RENDITION_WS ||
		(r->pattern && w->ask->kind != RC_SURVEY_SUBSCRIPTIONS))
		return true;
	return !in_question(w, name) || !wanted(w, name) || put_channel(w, name, &c);
}

/* The largest first: the smallest key is that of the largest number. No name fits behind it; the place of the channel tells it from
 * others with that number. */
static bool put_top(struct walk *w, uint64_t number, uint32_t place, struct rc_str name)
{
	uint64_t parts[] = {~number, (uint64_t)w->sv->shard << 32 | place};
	char key_bytes[16];
	struct rc_str key = {key_bytes, sizeof(key_bytes)};

	for (uint32_t i = 0; i < sizeof(key_bytes); i++)
		key_bytes[i] = (char)(parts[i / 8] >> (56 - 8 * (i % 8)));
	if (rc_name_reserved(name) || !wanted(w, key))
		return true;
	struct rc_textbuf b = item_begin(w, key);
	if (b.ptr)
		rc_textbuf_add(&b, name);
	return item_end(w, key, &b);
}

static bool visit_heard(struct walk *w, uint32_t index)
{
	const struct rc_replica *r = rc_hub_replica(w->sv->hub, index);
	uint32_t subscribers = of_replica(r).subscribers;

	if (subscribers == 0 || r->rendition != RC_RENDITION_WS || r->pattern)
		return true;
	return put_top(w, subscribers, index, rc_replica_name(r));
}

static bool visit_busiest(struct walk *w, const struct rc_top_entry *e)
{
	const struct rc_hub *h = w->sv->hub;

	if (!e->rate || !is_known(h, e))
		return true;
	const struct rc_owned *o = rc_slab_at(&h->owned, e->owned);
	return put_top(w, e->rate, e->owned, (struct rc_str){o->name, o->name_len});
}

static void walk_busiest(struct walk *w)
{
	uint32_t i = w->ask->cursor == RC_NONE ? 0 : w->ask->cursor;

	while (i < RC_TOP_ENTRIES && visit_busiest(w, &w->sv->hub->top.at[i]))
		i++;
	w->out->cursor = i;
	w->out->done = i >= RC_TOP_ENTRIES;
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
			went = visit_cell(w, &h->replica_table.cell[i - owned],
				w->ask->kind == RC_SURVEY_HEARD ? visit_heard : visit_replica);
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

static void add_peer(struct rc_textbuf *b, const struct rc_serve *sv, const struct rc_conn *c)
{
	struct rc_netaddr peer = rc_session_address(sv, c);
	struct rc_str user = rc_session_user(sv, c);
	char text[RC_NETADDR_TEXT];

	rc_textbuf_add_text(b, "\"address\":");
	rc_textbuf_add_string(b, (struct rc_str){text, rc_netaddr_format(&peer, text)});
	if (user.len) {
		rc_textbuf_add_text(b, ",\"user\":");
		rc_textbuf_add_string(b, user);
	}
}

/* Of a channel or pattern its name, of a stream those of its members. */
static void add_names(struct rc_textbuf *b, const struct rc_replica *r, uint32_t *names)
{
	struct rc_str rest = rc_replica_name(r);

	if (!rc_replica_is_stream(r)) {
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

static void add_lag(struct rc_textbuf *b, const struct rc_lag *lag)
{
	rc_textbuf_add_text(b, ",\"lag\":{\"bytes\":");
	rc_textbuf_add_u64(b, lag->bytes);
	rc_textbuf_add_text(b, ",\"events\":");
	rc_textbuf_add_u64(b, lag->events);
	rc_textbuf_add_text(b, ",\"ms\":");
	rc_textbuf_add_u64(b, lag->age_ms);
	rc_textbuf_add_char(b, '}');
}

/* Of one that was asked for by name. */
static void add_place(const struct walk *w, struct rc_textbuf *b, const struct rc_conn *c)
{
	struct rc_lag lag = {0};

	(void)rc_lag_of(w->sv, c, &lag);
	add_lag(b, &lag);
	rc_textbuf_add_text(b, ",\"shard\":");
	rc_textbuf_add_u64(b, w->sv->shard);
}

static void add_client(
	const struct walk *w, struct rc_textbuf *b, struct rc_str session, const struct rc_conn *c)
{
	const struct rc_hub *h = w->sv->hub;
	uint32_t age = w->sv->conns->tick - rc_conn_aside(w->sv->conns, c)->opened_tick;
	uint64_t opened_ms =
		(w->sv->now_ns / (RC_CONN_TICK_MS * 1000000ull) - age) * RC_CONN_TICK_MS;
	uint32_t names = 0;

	rc_textbuf_add_string(b, session);
	rc_textbuf_add_text(b, ":{\"id\":");
	rc_textbuf_add_string(b, session);
	rc_textbuf_add_text(
		b, c->kind == RC_CONN_SSE ? ",\"transport\":\"sse\"," : ",\"transport\":\"ws\",");
	add_peer(b, w->sv, c);
	rc_textbuf_add_text(b, ",\"tls\":");
	rc_textbuf_add_text(b, c->flags & RC_CONN_KTLS  ? "\"kernel\""
			       : c->flags & RC_CONN_TLS ? "\"user\""
							: "null");
	if (c->window_bits) {
		rc_textbuf_add_text(b, ",\"deflate\":");
		rc_textbuf_add_u64(b, c->window_bits);
	}
	rc_textbuf_add_text(b, ",\"connectedAt\":");
	add_time(b, w->sv->info->wall_ms + opened_ms);
	rc_quality_add(b, w->sv, c);
	rc_textbuf_add_text(b, ",\"subscriptions\":[");
	for (uint32_t i = c->subs; i != RC_NONE; i = rc_hub_sub(h, i)->next) {
		if (c->kind == RC_CONN_WS && names >= NAMES_MAX)
			break;
		/* Of one that changes its form there are two. */
		if (!(rc_hub_sub(h, i)->flags & (RC_SUB_HIDDEN | RC_SUB_REPLACED)))
			add_names(b, rc_hub_sub_base(h, i), &names);
	}
	rc_textbuf_add_text(b, "],\"subscriptionCount\":");
	rc_textbuf_add_u64(b, c->kind == RC_CONN_WS ? c->sub_count : names);
	if (w->ask->kind == RC_SURVEY_USER || w->ask->kind == RC_SURVEY_SESSION)
		add_place(w, b, c);
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
	add_peer(b, w->sv, c);
	if (lag->sub != RC_NONE) {
		uint32_t names = 0;
		rc_textbuf_add_text(b, ",\"channels\":[");
		add_names(b, rc_hub_sub_base(h, lag->sub), &names);
		rc_textbuf_add_char(b, ']');
	}
	add_lag(b, lag);
	rc_textbuf_add_text(b, ",\"reason\":");
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

/* ---- users -------------------------------------------------------------------------------------- */

static void add_user(struct rc_textbuf *b, const struct rc_user *u)
{
	rc_textbuf_add_text(b, "\"connections\":");
	rc_textbuf_add_u64(b, u->count);
	rc_textbuf_add_text(b, ",\"reconnects\":");
	rc_textbuf_add_u64(b, u->reconnects);
}

static bool visit_user(struct walk *w, uint32_t index)
{
	const struct rc_user *u = rc_user_block(w->sv, index);
	struct rc_str id = rc_user_id(w->sv, u);

	if (u->count == 0 || !wanted(w, id))
		return true;
	struct rc_textbuf b = item_begin(w, id);
	if (b.ptr) {
		rc_textbuf_add_text(&b, "{\"user\":");
		rc_textbuf_add_string(&b, id);
		rc_textbuf_add_char(&b, ',');
		add_user(&b, u);
		rc_textbuf_add_char(&b, '}');
	}
	return item_end(w, id, &b);
}

static void walk_users(struct walk *w)
{
	const struct rc_table *t = &w->sv->users->homed;
	uint64_t left = RC_MIN((uint64_t)w->ask->cursor, (uint64_t)t->mask + 1);

	while (left > 0 && w->work < WORK_MAX && visit_cell(w, &t->cell[left - 1], visit_user))
		left--;
	w->out->cursor = (uint32_t)left;
	w->out->done = left == 0;
}

/* Its first sessions here, the newest first; the cursor is the number of those that were visited. */
static void one_user(struct walk *w)
{
	struct rc_serve *sv = w->sv;
	struct rc_str id = {w->ask->prefix, w->ask->prefix_len}, none = {"", 0};
	uint64_t hash = rc_user_hash(sv, id);
	uint32_t home = rc_user_home_find(sv, id, hash), local = rc_user_local_find(sv, id, hash);
	uint32_t visited = 0, after = w->ask->cursor == RC_NONE ? 0 : w->ask->cursor;
	const struct rc_user_local *l = local == RC_NONE ? NULL : rc_user_block(sv, local);
	uint32_t at = l ? l->first : RC_NONE;

	if (after == 0 && home != RC_NONE) {
		const struct rc_user *u = rc_user_block(sv, home);
		struct rc_textbuf b = item_begin(w, none);
		add_user(&b, u);
		if (u->count)
			(void)item_end(w, none, &b);
	}
	while (at != RC_NONE && visited < USER_SESSIONS_MAX && w->work < WORK_MAX) {
		const struct rc_user_member *m = rc_user_block(sv, at);
		if (visited >= after && !visit_client(w, &sv->conns->at[m->slot]))
			break;
		at = m->next;
		visited++;
	}
	w->out->cursor = visited;
	w->out->done = at == RC_NONE || visited >= USER_SESSIONS_MAX;
	w->out->more |= w->out->done && at != RC_NONE;
}

static void one_session(struct walk *w)
{
	struct rc_conn *c =
		rc_session_find(w->sv, (struct rc_str){w->ask->prefix, w->ask->prefix_len});

	if (c)
		(void)visit_client(w, c);
	w->out->done = true;
}

/* ---- one piece ---------------------------------------------------------------------------------- */

/* ---- backends ----------------------------------------------------------------------------------- */

static bool visit_type(struct walk *w, uint32_t index)
{
	const struct rc_roster_type *t = rc_roster_type(&w->sv->commands->desk.roster, index);
	struct rc_str name = rc_roster_name(t);

	if (!wanted(w, name))
		return true;
	struct rc_textbuf b = item_begin(w, name);
	if (b.ptr)
		rc_textbuf_add_u64(&b, t->count);
	return item_end(w, name, &b);
}

/* One shard knows them all. */
static void walk_types(struct walk *w)
{
	const struct rc_commands *k = w->sv->commands;
	const struct rc_table *t = &k->desk.roster.named;
	uint64_t left = k->here ? RC_MIN((uint64_t)w->ask->cursor, (uint64_t)t->mask + 1) : 0;

	while (left > 0 && w->work < WORK_MAX && visit_cell(w, &t->cell[left - 1], visit_type))
		left--;
	w->out->cursor = (uint32_t)left;
	w->out->done = left == 0;
}

/* One shard has them. */
static void visit_webhooks(struct walk *w)
{
	static const struct rc_str key = {"webhooks", 8};

	w->out->done = true;
	if (!w->sv->webhooks)
		return;
	struct rc_textbuf b = item_begin(w, key);
	if (b.ptr)
		rc_webhooks_status(w->sv, &b);
	(void)item_end(w, key, &b);
}

void rc_survey_piece(
	struct rc_serve *sv, const struct rc_survey_ask *ask, struct rc_survey_piece *out)
{
	out->slot = ask->slot;
	out->token = ask->token;
	out->shard = sv->shard;
	out->cursor = 0;
	out->len = 0;
	out->done = out->more = false;
	struct walk w = {sv, ask, out, 0};

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
	case RC_SURVEY_USERS:
		walk_users(&w);
		break;
	case RC_SURVEY_USER:
		one_user(&w);
		break;
	case RC_SURVEY_SESSION:
		one_session(&w);
		break;
	case RC_SURVEY_BACKENDS:
		walk_types(&w);
		break;
	case RC_SURVEY_WEBHOOKS:
		visit_webhooks(&w);
		break;
	case RC_SURVEY_BUSIEST:
		walk_busiest(&w);
		break;
	case RC_SURVEY_CHANNELS:
	case RC_SURVEY_HEARD:
	case RC_SURVEY_SUBSCRIPTIONS:
		walk_channels(&w);
		break;
	case RC_SURVEY_NAMED: /* is asked as CHANNEL */
		RC_ASSERT(false);
	}
}
