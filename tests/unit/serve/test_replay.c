/* SPDX-License-Identifier: Apache-2.0
 *
 * Recovery as a WebSocket client sees it, over one to three hubs whose asks and tells are delivered when the test says so: a
 * client in each phase of a replay, and random orders in which each reads every event of its channels once and in order, or
 * is told of the hole.
 */
#include "../hub/hubs.h"
#include "../io/rings.h"

#include "base/clock.h"
#include "proto/event.h"
#include "proto/message.h"
#include "serve/replay.h"
#include "serve/serve.h"

enum { CONNS = 8, CHANNELS = 6, NAMES = 9 };

/* Those that begin with "keyed:" give a new subscriber the newest event at once. */
static const char *const names[NAMES] = {
	"a", "a:x", "b", "c:x", "keyed:p", "keyed:q", "a:*", "**", "keyed:*"};

static struct hubs h;
static struct ring ring;
static struct rc_config config;
static struct rc_conns conns;
static struct rc_serve sv;
static void *table, *serve_memory;
static int peers[CONNS];
static uint32_t subs_max, history_size; /* what the next rig has */

/* What is true of a channel. */
static struct {
	uint64_t count, epoch, base;
} channels[CHANNELS];

/* What a client knows of a channel through one of its names. */
struct thread {
	uint64_t next;  /* that has to come; 0: any */
	uint64_t least; /* then not later than this; 0: any */
	uint64_t last;
	uint64_t first_before; /* of `latest`: one event before this one may come first */
};

struct wish {
	bool asked, live;   /* live: acknowledged */
	bool leaving;       /* it was said, and not acknowledged yet */
	bool back;          /* asked with the position that it has */
	bool anything;      /* asked with the beginning */
	char position[200]; /* "" = none */
	struct thread thread[CHANNELS];
};

/* A stream of server-sent events knows one position for all its names. */
struct stream {
	uint32_t wish; /* in streams */
	bool head, hello;
	char id[200]; /* "" = none */
	struct thread thread[CHANNELS];
};

struct client {
	struct rc_conn *c;
	bool sse;
	struct stream stream;
	struct wish wish[NAMES];
	uint32_t questions, answers; /* that carry the id Q */
};

static const struct {
	const char *query;
	uint32_t names[3]; /* NAMES: none */
} streams[] = {
	{"channel=a", {0, NAMES, NAMES}},
	{"channel=a&channel=a:*&channel=b", {0, 6, 2}},
	{"channel=**", {7, NAMES, NAMES}},
	{"channel=keyed:p&channel=b", {4, 2, NAMES}},
	{"channel=keyed:q&channel=keyed:*&channel=c:x", {5, 8, 3}},
};

static struct client clients[CONNS];
static uint64_t events_read, gaps_read, recovered_read, failed_read, histories_read;

static bool is_pattern(uint32_t name)
{
	return strchr(names[name], '*') != NULL;
}

static bool covers(uint32_t name, uint32_t channel)
{
	return is_pattern(name)
		       ? rc_pattern_match(rc_str_of(names[name]), rc_str_of(names[channel]))
		       : name == channel;
}

/* ---- the rig ------------------------------------------------------------------------------------ */

static void on_gone(void *ctx, struct rc_conn *c)
{
	rc_serve_gone(ctx, c);
}

static void on_timer(void *ctx, struct rc_conn *c)
{
	rc_serve_timer(ctx, c);
}

static void on_drained(void *ctx, struct rc_conn *c)
{
	rc_serve_drained(ctx, c);
}

static void ready(struct hubs_shard *s, uint32_t replica, bool taken)
{
	if (s->index == 0)
		rc_serve_replica_ready(&sv, replica, taken);
}

static void fetched(struct hubs_shard *s, const struct rc_fetched *f)
{
	assert_int_equal(s->index, 0);
	rc_replay_fetched(&sv, f);
}

static bool fetch(void *ctx, uint32_t shard, const struct rc_fetch *q)
{
	(void)ctx;
	return hubs_fetch(&h.shard[0], shard, q);
}

static uint64_t no_sum(void *ctx, enum rc_counter counter)
{
	(void)ctx;
	(void)counter;
	return 0;
}

/* The arena is full: all are sent away, as the policy `disconnect` has it. */
static void lost(struct hubs_shard *s, uint32_t replica)
{
	struct rc_replica *r = rc_hub_replica(&s->hub, replica);

	while (r->count) {
		struct rc_conn *c = &conns.at[rc_hub_sub(&s->hub, r->subs[0])->conn];
		rc_serve_end(&sv, c, RC_CLOSE_OVER_CAPACITY, "no memory", RC_C_close_capacity);
		if (c->subs != RC_NONE)
			rc_conn_kill(&conns, c);
	}
}

static void overrun(struct hubs_shard *s, uint32_t replica)
{
	struct rc_replica *r = rc_hub_replica(&s->hub, replica);

	for (uint32_t i = 0; i < r->count;) {
		struct rc_sub *sub = rc_hub_sub(&s->hub, r->subs[i]);
		struct rc_conn *c = &conns.at[sub->conn];
		if ((sub->flags & RC_SUB_PAUSED) || sub->cursor == r->log.tail) {
			i++;
			continue;
		}
		rc_serve_end(&sv, c, RC_CLOSE_TOO_SLOW, "too slow", RC_C_close_too_slow);
		if (c->subs != RC_NONE)
			rc_conn_kill(&conns, c);
	}
}

static bool take_publish(struct hubs_shard *s, const char *name, uint32_t len)
{
	static char data[40000];
	uint32_t channel = 0;
	struct rc_outcome out;

	while (strcmp(names[channel], name) != 0)
		channel++;
	int head = snprintf(data, sizeof(data), "\"#%u|%lu|", channel,
		(unsigned long)channels[channel].count + 1);
	memset(data + head, 'x', len);
	data[(uint32_t)head + len] = '"';
	const struct rc_publish p = {
		.channel = rc_str_of(name),
		.event = RC_STR("e"),
		.data = {data, (uint32_t)head + len + 1},
		.timestamp_ms = 1768472100000,
		.time_ms = sv.wall_ms,
		.taken_ns = 1,
		.json = true,
	};
	channels[channel].count++;
	if (!rc_owner_publish(&s->hub, &p, &out)) {
		channels[channel].count--;
		return false;
	}
	if (out.nack) {
		channels[channel].count--;
		return true;
	}
	if (out.epoch != channels[channel].epoch) {
		channels[channel].epoch = out.epoch;
		channels[channel].base = channels[channel].count - 1;
	}
	assert_int_equal(out.offset, channels[channel].count - channels[channel].base);
	return true;
}

static void begin(uint32_t shards, size_t arena_bytes, uint64_t history_max, uint64_t seed)
{
	const struct rc_hub_limits limits = {.owned_max = 32,
		.replicas_max = 32,
		.subs_max = subs_max,
		.patterns_max = 8,
		.frame_max = 65536,
		.fetch_bytes = RC_FETCH_BYTES,
		.history_bytes_max = history_max,
		.stream_epoch = 77,
		.keeps_history = true};
	const struct rc_conn_events events = {&sv, on_gone, on_timer, on_drained};

	ring_open(&ring, &rings_options);
	hubs_open(&h, shards, &limits, arena_bytes, seed);
	h.ready = ready;
	h.fetched = fetched;
	h.publish = take_publish;
	h.lost = lost;
	h.overrun = overrun;
	for (uint32_t i = 0; i < 2; i++) {
		h.namespaces[i] = (struct rc_hub_namespace){.lag_bytes = 1u << 20,
			.channel_ttl_ms = 10000,
			.history_size = history_size,
			.history_bytes = 1u << 20,
			.history_ttl_ms = 60000,
			.first_latest = i == 1};
	}
	rc_config_init(&config);
	config.max_clients = 64;
	table = calloc(1, rc_conns_bytes(CONNS));
	memset(&sv, 0, sizeof(sv));
	sv.config = &config;
	sv.hub = &h.shard[0].hub;
	sv.conns = &conns;
	sv.pool = &h.shard[0].pool;
	sv.counters = &h.shard[0].counters;
	sv.port.fetch = fetch;
	sv.port.sum = no_sum;
	rc_prng_seed(&sv.prng, seed);
	sv.wall_ms = rc_clock_wall_ms() + 10;
	serve_memory = calloc(1, rc_serve_bytes(&config));
	assert_true(table && serve_memory);
	rc_serve_init(&sv, serve_memory);
	rc_conns_init(&conns, table, CONNS, ring.io, sv.pool, sv.counters, &events, 1000, 1000);
	memset(clients, 0, sizeof(clients));
	memset(channels, 0, sizeof(channels));
	events_read = gaps_read = recovered_read = failed_read = histories_read = 0;
}

static struct client *open_client(void)
{
	int fd[2];

	ring_pair(fd);
	struct rc_conn *c = rc_conn_open(&conns, fd[0], RC_CONN_WS);
	assert_non_null(c);
	uint32_t slot = rc_conn_slot(&conns, c);
	peers[slot] = fd[1];
	sv.clients++;
	clients[slot].c = c;
	clients[slot].sse = false;
	clients[slot].questions = clients[slot].answers = 0;
	return &clients[slot];
}

static void reclaim(void)
{
	struct rc_conn *next;

	while ((next = rc_conn_next_ready(&conns)) != NULL)
		rc_conn_reclaim(&conns, next);
}

/* Where it was, when it was there before. */
static struct client *open_stream(uint32_t wish, const char *id, const struct stream *was)
{
	char text[512];
	int fd[2];

	ring_pair(fd);
	struct rc_conn *c = rc_conn_open(&conns, fd[0], RC_CONN_HTTP);
	assert_non_null(c);
	uint32_t slot = rc_conn_slot(&conns, c);
	struct client *k = &clients[slot];
	struct stream st = {.wish = wish};
	if (was)
		st = *was;
	st.head = st.hello = false;
	peers[slot] = fd[1];
	k->c = c;
	k->sse = true;
	k->questions = k->answers = 0;
	k->stream = st;
	memset(k->wish, 0, sizeof(k->wish));
	int len = snprintf(text, sizeof(text), "GET /events?%s HTTP/1.1\r\nHost: x\r\n%s%s%s\r\n",
		streams[wish].query, id[0] ? "Last-Event-ID: " : "", id, id[0] ? "\r\n" : "");
	rc_http_input(&sv, c, (unsigned char *)text, (uint32_t)len);
	hubs_check(&h);
	return k;
}

/* What the client knows stays: another connection may go on with it. */
static void end_client(struct client *k)
{
	rc_conn_kill(&conns, k->c);
	reclaim();
	(void)close(peers[k - clients]);
	k->c = NULL;
	for (uint32_t i = 0; i < NAMES; i++)
		k->wish[i].asked = k->wish[i].live = k->wish[i].leaving = false;
}

/* Everything is given back. */
static int teardown(void **state)
{
	(void)state;
	if (!ring.io)
		return 0;
	h.refuse_percent = 0;
	h.queue_max = UINT32_MAX / 2;
	for (uint32_t i = 0; i < CONNS; i++) {
		if (clients[i].c)
			end_client(&clients[i]);
	}
	hubs_check(&h);
	rc_io_submit(ring.io);
	ring_close(&ring);
	hubs_settle(&h);
	assert_int_equal(sv.replays.used, 0);
	assert_int_equal(sv.histories.used, 0);
	assert_int_equal(sv.replay_count, 0);
	assert_int_equal(sv.replay_first, RC_NONE);
	assert_int_equal(sv.replay_last, RC_NONE);
	for (uint32_t i = 0; i < h.count; i++) {
		struct rc_hub *hub = &h.shard[i].hub;
		while (hub->dirty_first != RC_NONE)
			rc_replica_clean(hub, false);
	}
	hubs_time(&h, 90000);
	for (uint32_t i = 0; i < h.count; i++)
		rc_owner_sweep(&h.shard[i].hub, 1000);
	hubs_assert_empty(&h);
	hubs_close(&h);
	free(table);
	free(serve_memory);
	table = serve_memory = NULL;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof(ring));
	subs_max = 128;
	history_size = 20;
	return 0;
}

/* ---- what clients read -------------------------------------------------------------------------- */

/* The value of a member, as far as this gateway writes it: a string without escapes, a number or a word. */
static bool member(const char *text, const char *key, char *out, size_t size)
{
	char want[64];
	(void)snprintf(want, sizeof(want), "\"%s\":", key);
	const char *at = strstr(text, want);
	size_t n = 0;

	if (!at)
		return false;
	at += strlen(want);
	bool quoted = *at == '"';
	at += quoted;
	while (n + 1 < size && *at && (quoted ? *at != '"' : *at != ',' && *at != '}'))
		out[n++] = *at++;
	out[n] = 0;
	return true;
}

static void take_event(struct client *k, const char *text)
{
	unsigned channel;
	unsigned long n;
	char position[200] = "";
	const char *mark = strstr(text, "\"#");

	assert_non_null(mark);
	assert_int_equal(sscanf(mark, "\"#%u|%lu|", &channel, &n), 2);
	assert_true(channel < CHANNELS);
	/* A pattern's event has a position behind the data. */
	const char *end = strrchr(text, ',');
	bool of_pattern = end && strncmp(end, ",\"position\":", 12) == 0;
	if (of_pattern)
		assert_true(member(end, "position", position, sizeof(position)));
	/* Of several patterns that cover it: the one that waits for it. */
	struct wish *taken = NULL;
	for (uint32_t i = of_pattern ? CHANNELS : 0; i < (of_pattern ? NAMES : CHANNELS); i++) {
		struct wish *w = &k->wish[i];
		struct thread *t = &w->thread[channel];
		if (!w->live || !covers(i, channel))
			continue;
		if (t->first_before && n < t->first_before) {
			t->first_before = 0;
			taken = w;
			break;
		}
		if (n <= t->last || (t->next && n != t->next) ||
			(!t->next && t->least && n > t->least))
			continue;
		t->last = n;
		t->next = n + 1;
		t->first_before = 0;
		taken = w;
		if (of_pattern)
			(void)snprintf(w->position, sizeof(w->position), "%s", position);
		else if (strchr(w->position, '@'))
			(void)snprintf(strchr(w->position, '@'), 30, "@%lu",
				(unsigned long)(n - channels[channel].base));
		break;
	}
	if (!taken) {
		print_message("client %d does not expect %.200s\n", (int)(k - clients), text);
		for (uint32_t i = 0; i < NAMES; i++) {
			const struct thread *t = &k->wish[i].thread[channel];
			if (k->wish[i].live && covers(i, channel))
				print_message("  %s: next %lu least %lu last %lu first %lu %s\n",
					names[i], (unsigned long)t->next, (unsigned long)t->least,
					(unsigned long)t->last, (unsigned long)t->first_before,
					k->wish[i].position);
		}
		fail();
	}
	events_read++;
}

/* The subscription begins at a position, or where the client was. */
static void begin_thread(struct wish *w, uint32_t name, const char *position, int recovered)
{
	for (uint32_t i = 0; i < CHANNELS; i++) {
		struct thread *t = &w->thread[i];
		if (!covers(name, i))
			continue;
		t->first_before = 0;
		if (recovered == 1 && w->back)
			continue; /* goes on exactly there */
		if (w->anything && is_pattern(name)) {
			*t = (struct thread){0};
			continue;
		}
		if (is_pattern(name)) {
			t->next = 0;
			t->least = channels[i].count + 1;
			t->last = 0;
			continue;
		}
		uint64_t epoch, offset;
		assert_int_equal(rc_position_parse(rc_str_of(position), &epoch, &offset), 0);
		t->last = 0;
		t->least = 0;
		t->next = channels[i].count + 1;
		if (epoch == channels[i].epoch)
			t->next = channels[i].base + offset + 1;
		assert_true(t->next <= channels[i].count + 1);
		if (recovered < 0 && h.namespaces[i >= 4].first_latest)
			t->first_before = t->next;
	}
	if (!(recovered == 1 && w->back))
		(void)snprintf(w->position, sizeof(w->position), "%s", position);
}

static void take_ack(struct client *k, const char *text)
{
	const char *recovered = strstr(text, "\"recovered\":{");
	const char *positions = strstr(text, "\"positions\":{");
	char value[200], outcome[200], list[400] = "";

	assert_non_null(positions);
	const char *data = strstr(text, "\"data\":{");
	(void)snprintf(list, sizeof(list), "%.*s", (int)(positions - data), data);
	for (uint32_t i = 0; i < NAMES; i++) {
		char quoted[40];
		struct wish *w = &k->wish[i];
		(void)snprintf(quoted, sizeof(quoted), "\"%s\"", names[i]);
		if (!strstr(list, quoted))
			continue;
		assert_true(w->asked);
		assert_true(member(positions, names[i], value, sizeof(value)));
		if (w->live)
			continue; /* it had it before */
		int how = -1;
		if (recovered && member(recovered, names[i], outcome, sizeof(outcome))) {
			assert_true(w->back || w->anything);
			how = strcmp(outcome, "true") == 0;
			recovered_read += how == 1;
			failed_read += how == 0;
		} else {
			assert_false(w->back || w->anything);
		}
		w->live = true;
		begin_thread(w, i, value, how);
	}
}

static void take_gap(struct client *k, const char *text)
{
	char channel[40];

	assert_non_null(strstr(text, "\"reason\":\"trimmed\""));
	assert_true(member(text, "channel", channel, sizeof(channel)));
	for (uint32_t i = 0; i < NAMES; i++) {
		if (strcmp(names[i], channel) != 0)
			continue;
		assert_true(k->wish[i].live);
		for (uint32_t n = 0; n < CHANNELS; n++) {
			k->wish[i].thread[n].next = 0;
			k->wish[i].thread[n].least = 0;
		}
	}
	gaps_read++;
}

static void take_unsuback(struct client *k, const char *text)
{
	for (uint32_t i = 0; i < NAMES; i++) {
		char quoted[40];
		struct wish *w = &k->wish[i];
		(void)snprintf(quoted, sizeof(quoted), "\"%s\"", names[i]);
		if (strstr(text, quoted)) {
			assert_true(w->leaving);
			w->asked = w->live = w->leaving = false;
		}
	}
}

static void take_text(struct client *k, const char *text)
{
	if (strstr(text, "\"type\":\"event\"") == text + 1) {
		take_event(k, text);
	} else if (strstr(text, "subscription-ack") && !strstr(text, "unsubscription-ack")) {
		take_ack(k, text);
	} else if (strstr(text, "\"type\":\"gap\"")) {
		take_gap(k, text);
	} else if (strstr(text, "\"type\":\"history\"")) {
		histories_read++;
	} else if (strstr(text, "unsubscription-ack")) {
		take_unsuback(k, text);
	} else {
		assert_non_null(strstr(text, "\"type\":\"error\""));
	}
	/* An event's payload can't hold it. */
	k->answers += strstr(text, "\"id\":\"Q\"") != NULL;
}

static bool streams_channel(const struct client *k, uint32_t channel)
{
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t name = streams[k->stream.wish].names[i];
		if (name < NAMES && covers(name, channel))
			return true;
	}
	return false;
}

static void take_block(struct client *k, const char *text)
{
	struct stream *st = &k->stream;
	const char *id = strstr(text, "\nid: "), *mark = strstr(text, "\"#");
	unsigned channel;
	unsigned long n;

	if (strncmp(text, "retry: ", 7) == 0) {
		assert_false(st->hello);
		st->hello = true;
		for (uint32_t i = 0; i < CHANNELS && st->id[0] == 0; i++)
			st->thread[i] = (struct thread){.least = channels[i].count + 1};
	} else if (strncmp(text, "event: gap\n", 11) == 0) {
		memset(st->thread, 0, sizeof(st->thread));
		gaps_read++;
	} else if (mark) {
		assert_true(st->hello && id > mark);
		assert_int_equal(sscanf(mark, "\"#%u|%lu|", &channel, &n), 2);
		struct thread *t = &st->thread[channel];
		assert_true(channel < CHANNELS && streams_channel(k, channel));
		if (n <= t->last || (t->next && n != t->next) ||
			(!t->next && t->least && n > t->least)) {
			print_message("stream %d (%s, %s) does not expect %.150s, but next %lu "
				      "least %lu last %lu\n",
				(int)(k - clients), streams[st->wish].query, st->id, text,
				(unsigned long)t->next, (unsigned long)t->least,
				(unsigned long)t->last);
			fail();
		}
		t->last = n;
		t->next = n + 1;
		events_read++;
	}
	if (id) {
		(void)snprintf(st->id, sizeof(st->id), "%s", id + 5);
		*strchr(st->id, '\n') = 0;
	}
}

static void take_stream(struct client *k, const unsigned char *bytes, uint32_t len)
{
	static char text[120000];

	while (len > 0) {
		const char *end_mark = k->stream.head ? "\n\n" : "\r\n\r\n";
		const unsigned char *end = memmem(bytes, len, end_mark, strlen(end_mark));
		assert_non_null(end);
		size_t n = (size_t)(end - bytes) + strlen(end_mark);
		assert_true(n < sizeof(text));
		memcpy(text, bytes, n);
		text[n] = 0;
		if (k->stream.head)
			take_block(k, text);
		else
			assert_memory_equal(text, "HTTP/1.1 200 ", 13);
		k->stream.head = true;
		bytes += n;
		len -= (uint32_t)n;
	}
}

static void take_frames(struct client *k, const unsigned char *f, uint32_t len)
{
	static char text[120000];

	if (k->sse) {
		take_stream(k, f, len);
		return;
	}
	while (len > 0) {
		uint32_t head = f[1] < 126 ? 2 : f[1] == 126 ? 4 : 10;
		uint64_t size = f[1];
		if ((f[0] & 15) == 8)
			return; /* the close */
		assert_int_equal(f[0], 0x81);
		if (head > 2) {
			size = 0;
			for (uint32_t i = 2; i < head; i++)
				size = size << 8 | f[i];
		}
		assert_true(head + size <= len && size < sizeof(text));
		memcpy(text, f + head, size);
		text[size] = 0;
		take_text(k, text);
		f += head + size;
		len -= head + (uint32_t)size;
	}
}

/* Its own output, and then what its subscriptions have, as the flush sends it. False: there was nothing. */
static bool read_some(struct client *k, bool all)
{
	struct rc_conn *c = k->c;

	if (c->out_len) {
		uint32_t len = c->out_len;
		unsigned char *copy = malloc(len);
		assert_non_null(copy);
		memcpy(copy, c->out + c->out_head, len);
		rc_conn_sent_out(&conns, c, len);
		take_frames(k, copy, len);
		free(copy);
		if (c->state == RC_CONN_OPEN)
			rc_serve_drained(&sv, c);
		return true;
	}
	if (c->state != RC_CONN_OPEN)
		return false;
	for (uint32_t *link = &c->listed; *link != RC_NONE;) {
		uint32_t index = *link;
		struct rc_sub *s = rc_hub_sub(sv.hub, index);
		const struct rc_replica *r = rc_hub_replica(sv.hub, s->replica);
		const unsigned char *bytes;
		assert_false(s->flags & (RC_SUB_PAUSED | RC_SUB_HELD | RC_SUB_REPLAYING));
		uint32_t len = rc_log_range(&r->log, s->cursor, &bytes);
		if (len == 0) {
			rc_serve_unlist(&sv, c, index);
			continue;
		}
		assert_true(s->cursor >= r->log.head);
		take_frames(k, bytes, len);
		rc_replica_advance(sv.hub, s, s->cursor + len);
		if (!all)
			return true;
	}
	return false;
}

/* As flush_replica() does it. */
static void flush(void)
{
	struct rc_hub *hub = sv.hub;
	uint32_t count = hub->dirty_count;

	while (count-- > 0) {
		struct rc_replica *r = rc_replica_dirty(hub);
		uint64_t low = UINT64_MAX;
		for (uint32_t i = 0; i < r->count; i++) {
			struct rc_sub *s = rc_hub_sub(hub, r->subs[i]);
			struct rc_conn *c = &conns.at[s->conn];
			if ((s->flags & RC_SUB_PAUSED) || s->cursor == r->log.tail)
				continue;
			low = RC_MIN(low, s->cursor);
			if (!(s->flags & RC_SUB_HELD) && c->state == RC_CONN_OPEN)
				rc_serve_list(&sv, c, r->subs[i]);
		}
		r->flush_left = 0;
		r->taken_ns = 0;
		rc_replica_release(hub, r, low);
		rc_replica_clean(hub, false);
	}
	for (uint32_t i = 1; i < h.count; i++) {
		while (h.shard[i].hub.dirty_first != RC_NONE)
			rc_replica_clean(&h.shard[i].hub, false);
	}
	reclaim();
}

static void turn(void)
{
	if (sv.replay_first != RC_NONE)
		rc_replay_turn(&sv);
}

/* Those that the gateway closed are gone. */
static void bury(void)
{
	for (uint32_t i = 0; i < CONNS; i++) {
		struct client *k = &clients[i];
		if (k->c && k->c->state != RC_CONN_OPEN) {
			assert_int_equal(k->c->subs, RC_NONE);
			if (k->c->state != RC_CONN_FREE)
				rc_conn_kill(&conns, k->c);
			reclaim();
			(void)close(peers[i]);
			k->c = NULL;
			/* What it was sent and did not read is not what it knows. */
			memset(k->wish, 0, sizeof(k->wish));
		}
	}
}

static void settle(void)
{
	for (uint32_t round = 0; round < 3000; round++) {
		bool some = false;
		hubs_settle(&h);
		turn();
		flush();
		bury();
		for (uint32_t i = 0; i < CONNS; i++) {
			while (clients[i].c && read_some(&clients[i], true))
				some = true;
		}
		if (!some && sv.replay_first == RC_NONE && sv.hub->dirty_first == RC_NONE &&
			h.shard[0].hub.ask_first == RC_NONE && sv.replays.used == 0)
			return;
	}
	fail_msg("it does not come to an end");
}

/* ---- what clients ask --------------------------------------------------------------------------- */

static void say(struct client *k, const char *text)
{
	k->questions++;
	rc_ws_message(&sv, k->c, rc_str_of(text));
	hubs_check(&h);
}

/* since: NULL, "" for the position that the client has, or what to say. */
static void subscribe(struct client *k, const uint32_t *list, uint32_t count, const char *since)
{
	char text[2048];
	size_t len = 0;

#define ADD(...) len += (size_t)snprintf(text + len, sizeof(text) - len, __VA_ARGS__)
	ADD("{\"type\":\"subscribe\",\"id\":\"Q\",\"channels\":[");
	for (uint32_t i = 0; i < count; i++)
		ADD("%s\"%s\"", i ? "," : "", names[list[i]]);
	ADD("]");
	bool some = false;
	for (uint32_t i = 0; i < count && since; i++) {
		struct wish *w = &k->wish[list[i]];
		const char *from = since[0] ? since : w->position;
		if (w->asked || from[0] == 0)
			continue;
		ADD("%s\"%s\":\"%s\"", some ? "," : ",\"since\":{", names[list[i]], from);
		w->back = since[0] == 0;
		w->anything = since[0] != 0;
		some = true;
	}
	ADD("%s}", some ? "}" : "");
#undef ADD
	for (uint32_t i = 0; i < count; i++) {
		struct wish *w = &k->wish[list[i]];
		if (w->asked)
			continue;
		w->asked = true;
		w->live = false;
		if (!since || (since[0] == 0 && w->position[0] == 0))
			w->back = w->anything = false;
	}
	say(k, text);
}

static void unsubscribe(struct client *k, uint32_t name)
{
	char text[256];

	(void)snprintf(text, sizeof(text),
		"{\"type\":\"unsubscribe\",\"id\":\"Q\",\"channels\":[\"%s\"]}", names[name]);
	k->wish[name].leaving = true;
	say(k, text);
}

static void publish(uint32_t channel, uint32_t len)
{
	uint32_t owner = hubs_owner(&h, names[channel]);

	(void)take_publish(&h.shard[owner], names[channel], len);
	hubs_check(&h);
}

/* All that was published was read by those who should. */
static void assert_all_is_read(void)
{
	uint32_t refuse = h.refuse_percent, most = h.queue_max;

	h.refuse_percent = 0;
	h.queue_max = UINT32_MAX / 2;
	settle();
	for (uint32_t i = 0; i < CONNS; i++) {
		const struct client *k = &clients[i];
		if (!k->c)
			continue;
		assert_int_equal(k->answers, k->questions);
		assert_int_equal(k->c->requests, RC_NONE);
		for (uint32_t c = 0; c < CHANNELS && k->sse; c++) {
			const struct thread *t = &k->stream.thread[c];
			assert_true(k->stream.hello);
			if (streams_channel(k, c) && (t->next || t->least))
				assert_int_equal(
					t->next ? t->next : t->least, channels[c].count + 1);
		}
		for (uint32_t n = 0; n < NAMES; n++) {
			assert_int_equal(k->wish[n].live, k->wish[n].asked);
			for (uint32_t c = 0; c < CHANNELS && k->wish[n].live; c++) {
				const struct thread *t = &k->wish[n].thread[c];
				if (!covers(n, c))
					continue;
				if (t->next)
					assert_int_equal(t->next, channels[c].count + 1);
				else if (t->least)
					assert_int_equal(t->least, channels[c].count + 1);
			}
		}
	}
	hubs_check(&h);
	h.refuse_percent = refuse;
	h.queue_max = most;
}

/* ---- by hand ------------------------------------------------------------------------------------ */

/* The smallest thing that can happen next, number n of them in turn. */
static void happen(uint32_t n)
{
	switch (n % 5) {
	case 0:
		for (uint32_t i = 1; i < h.count; i++)
			(void)hubs_take_ask(&h, 0, i);
		break;
	case 1:
		for (uint32_t i = 1; i < h.count; i++)
			(void)hubs_take_tell(&h, i, 0);
		break;
	case 2:
		turn();
		break;
	case 3:
		flush();
		break;
	default:
		for (uint32_t i = 0; i < CONNS; i++) {
			if (clients[i].c)
				(void)read_some(&clients[i], false);
		}
	}
	hubs_check(&h);
}

static uint32_t owned_by(uint32_t shard, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		if ((hubs_owner(&h, names[i]) == 0) == (shard == 0))
			return i;
	}
	return RC_NONE;
}

/* A client that reads the channel, leaves, and misses events. */
static struct client *one_who_missed(uint32_t name, uint32_t missed, uint32_t len)
{
	struct client *k = open_client();

	subscribe(k, &name, 1, NULL);
	settle();
	for (uint32_t c = 0; c < CHANNELS; c++) {
		if (covers(name, c))
			publish(c, 100);
	}
	settle();
	assert_true(k->wish[name].live);
	unsubscribe(k, name);
	settle();
	for (uint32_t n = 0; n < missed; n++) {
		for (uint32_t c = 0; c < CHANNELS; c++) {
			if (covers(name, c))
				publish(c, len);
		}
	}
	return k;
}

static void what_was_missed_comes_before_what_is_live(void **state)
{
	(void)state;
	for (uint32_t shards = 1; shards <= 3; shards++) {
		for (uint32_t name = 0; name < NAMES; name++) {
			begin(shards, (size_t)8 << 20, 1u << 22, name);
			struct client *k = one_who_missed(name, 15, 3000);
			subscribe(k, &name, 1, "");
			uint64_t before = events_read;
			/* Events come between any two steps. */
			for (uint32_t n = 0; n < 60; n++) {
				happen(n);
				if (n < 30 && n % 7 == 0)
					publish(name < CHANNELS ? name : 4 + n % 2, 500);
			}
			assert_all_is_read();
			assert_int_equal(recovered_read, 1);
			assert_int_equal(gaps_read, 0);
			assert_true(events_read >= before + 15);
			(void)teardown(NULL);
		}
	}
}

static void whoever_goes_in_the_middle_of_a_replay_leaves_nothing(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 3 * NAMES * 2; round++) {
		uint32_t shards = 1 + round % 3, name = round / 3 % NAMES;
		bool killed = round >= 3 * NAMES;
		begin(shards, (size_t)8 << 20, 1u << 22, round);
		struct client *other = open_client();
		subscribe(other, &name, 1, NULL);
		for (uint32_t steps = 0; steps < 45; steps += 1 + steps / 15) {
			struct client *k = one_who_missed(name, 4, 9000);
			subscribe(k, &name, 1, steps % 2 ? "" : "beginning");
			for (uint32_t n = 0; n < steps; n++)
				happen(n);
			if (killed) {
				end_client(k);
				hubs_check(&h);
				continue;
			}
			/* In the line, and without one. */
			uint32_t replays = sv.replays.used;
			unsubscribe(k, name);
			if (replays && k->c->requests == RC_NONE)
				assert_int_equal(sv.replays.used, 0);
			assert_all_is_read();
			end_client(k);
		}
		publish(name < CHANNELS ? name : 4, 100);
		assert_all_is_read();
		(void)teardown(NULL);
	}
}

static void a_client_that_does_not_read_is_not_read_ahead_for(void **state)
{
	(void)state;
	for (uint32_t name = 0; name < NAMES; name++) {
		uint32_t most = 0;
		begin(2, (size_t)8 << 20, 1u << 22, name);
		struct client *k = one_who_missed(name, 15, 6000);
		bool near = name < CHANNELS && hubs_owner(&h, names[name]) == 0;
		subscribe(k, &name, 1, "");
		for (uint32_t n = 0; n < 200; n++) {
			if (n % 5 != 4)
				happen(n);
			most = RC_MAX(most, k->c->out_len);
		}
		/* What is enough, and one batch. */
		assert_true(most <= 4096 + RC_FETCH_BYTES + 4096);
		assert_true(most > (near ? 0 : 6000));
		assert_all_is_read();
		(void)teardown(NULL);
	}
}

static void an_owner_without_room_is_asked_again(void **state)
{
	(void)state;
	begin(2, (size_t)8 << 20, 1u << 22, 1);
	uint32_t far = owned_by(1, 0, 4);
	struct client *k = one_who_missed(far, 12, 4000);
	subscribe(k, &far, 1, "");
	for (uint32_t n = 0; n < 300; n++) {
		/* Neither questions nor answers find room, most of the time. */
		h.queue_max = n % 11 < 9 ? 0 : UINT32_MAX / 2;
		happen(n);
		if (n % 11 < 9 && sv.replay_first != RC_NONE && n % 5 == 2)
			assert_true(sv.replay_refused);
	}
	h.queue_max = UINT32_MAX / 2;
	assert_all_is_read();
	assert_int_equal(recovered_read, 1);
	assert_int_equal(gaps_read, 0);
}

static void without_memory_a_replay_waits_and_goes_on_where_it_was(void **state)
{
	static void *blocks[16384];

	(void)state;
	for (uint32_t name = 0; name < NAMES; name++) {
		begin(2, (size_t)2 << 20, 1u << 20, name);
		struct client *k = one_who_missed(name, 6, 3000);
		subscribe(k, &name, 1, "");
		for (uint32_t n = 0; n < 150; n++) {
			uint32_t count = 0;
			if (n > 8 && n % 3) {
				while (count < RC_ARRAY_LEN(blocks) &&
					(blocks[count] = rc_buddy_get(
						 &h.shard[0].arena, RC_BUDDY_MIN)) != NULL)
					count++;
				for (uint32_t i = 0; i < n % 9 && count > 0; i++)
					rc_buddy_put(&h.shard[0].arena, blocks[--count]);
			}
			happen(n);
			while (count > 0)
				rc_buddy_put(&h.shard[0].arena, blocks[--count]);
			bury();
			if (!k->c)
				break;
		}
		assert_all_is_read();
		(void)teardown(NULL);
	}
}

static void histories_leave_memory_for_those_who_read_them(void **state)
{
	(void)state;
	history_size = 100000;
	for (uint32_t name = 0; name < NAMES; name++) {
		begin(2, (size_t)1 << 20, 64u << 20, name);
		for (uint32_t n = 0; n < 1200; n++)
			publish(n % CHANNELS, 1500);
		settle();
		struct client *k = one_who_missed(name, 10, 1500);
		subscribe(k, &name, 1, "");
		assert_all_is_read();
		assert_int_equal(recovered_read, 1);
		assert_int_equal(gaps_read, 0);
		(void)teardown(NULL);
	}
}

static void a_stream_goes_on_where_it_was(void **state)
{
	(void)state;
	history_size = 1000;
	for (uint32_t round = 0; round < 3 * RC_ARRAY_LEN(streams); round++) {
		uint32_t wish = round / 3;
		begin(1 + round % 3, (size_t)8 << 20, 1u << 22, round);
		for (uint32_t steps = 0; steps < 60; steps += 1 + steps / 9) {
			struct client *k = open_stream(wish, "", NULL);
			for (uint32_t c = 0; c < CHANNELS; c++)
				publish(c, 200);
			assert_all_is_read();
			/* It drops again and again, each time somewhere else. */
			for (uint32_t again = 0; again < 3; again++) {
				struct stream was = k->stream;
				end_client(k);
				for (uint32_t n = 0; n < 4 * CHANNELS; n++)
					publish(n % CHANNELS, 4000);
				k = open_stream(wish, was.id, &was);
				for (uint32_t n = 0; n < steps; n++) {
					happen(n);
					if (n % 9 == 0)
						publish(n % CHANNELS, 300);
				}
			}
			assert_all_is_read();
			end_client(k);
		}
		assert_int_equal(gaps_read, 0);
		(void)teardown(NULL);
	}
}

static void what_is_trimmed_under_a_reader_is_told(void **state)
{
	uint64_t gaps = 0;

	(void)state;
	for (uint32_t round = 0; round < 2 * NAMES; round++) {
		uint32_t name = round / 2;
		begin(2, (size_t)8 << 20, 1u << 22, round);
		struct client *k = one_who_missed(name, 18, 8000);
		subscribe(k, &name, 1, round % 2 ? "" : "beginning");
		for (uint32_t n = 0; n < 200; n++) {
			happen(n);
			/* Again and again: each loss is one to be told. */
			if (n > 10 && n % 9 == 0 && n < 120) {
				hubs_time(&h, 70000);
				for (uint32_t i = 0; i < 2; i++)
					rc_history_sweep(&h.shard[i].hub, 100);
			}
			if (n > 10 && n % 9 == 4 && n < 120) {
				for (uint32_t c = 0; c < CHANNELS; c++) {
					for (uint32_t i = 0; i < 3 && covers(name, c); i++)
						publish(c, 8000);
				}
			}
		}
		assert_all_is_read();
		gaps += gaps_read;
		(void)teardown(NULL);
	}
	assert_true(gaps > 5);
}

static void the_newest_event_comes_first_and_all_that_follow_it(void **state)
{
	(void)state;
	for (uint32_t shards = 1; shards <= 3; shards++) {
		for (uint32_t when = 0; when < 40; when++) {
			uint32_t list[] = {4, 5};
			begin(shards, (size_t)8 << 20, 1u << 22, when);
			publish(4, 100);
			publish(4, 100);
			struct client *k = open_client();
			subscribe(k, list, 2, NULL);
			for (uint32_t n = 0; n < 40; n++) {
				happen(n);
				if (n == when || n == when + 1 || n == when + 7) {
					publish(4, 100);
					publish(5, 100);
				}
			}
			assert_all_is_read();
			assert_int_equal(k->wish[4].thread[4].last, channels[4].count);
			(void)teardown(NULL);
		}
	}
}

static void answers_keep_the_order_of_the_questions(void **state)
{
	static const char *const texts[] = {
		"{\"type\":\"history\",\"id\":\"A\",\"channel\":\"%s\"}",
		"{\"type\":\"subscribe\",\"id\":\"B\",\"channels\":[\"%s\"],\"since\":\"beginning\"}",
		"{\"type\":\"unsubscribe\",\"id\":\"C\",\"channels\":[\"%s\"]}",
		"{\"type\":\"history\",\"id\":\"D\",\"channel\":\"%s\",\"limit\":2}",
		"{\"type\":\"subscribe\",\"id\":\"E\",\"channels\":[\"%s\"]}",
		"{\"type\":\"subscribe\",\"id\":\"F\",\"channels\":[\"%s\"],\"since\":\"beginning\"}"};

	(void)state;
	begin(2, (size_t)8 << 20, 1u << 22, 1);
	uint32_t far = owned_by(1, 0, 4), near = owned_by(0, 0, CHANNELS);
	for (int i = 0; i < 5; i++) {
		publish(far, 100);
		publish(near, 100);
	}
	for (uint32_t round = 0; round < 64; round++) {
		struct client *k = open_client();
		char text[256], want[16];
		const unsigned char *before = NULL;
		for (uint32_t i = 0; i < RC_ARRAY_LEN(texts); i++) {
			(void)snprintf(
				text, sizeof(text), texts[i], names[round >> i & 1 ? near : far]);
			rc_ws_message(&sv, k->c, rc_str_of(text));
			hubs_check(&h);
		}
		for (int i = 0; i < 100; i++) {
			hubs_settle(&h);
			turn();
		}
		assert_int_equal(k->c->requests, RC_NONE);
		const unsigned char *out = k->c->out + k->c->out_head;
		for (uint32_t i = 0; i < RC_ARRAY_LEN(texts); i++) {
			(void)snprintf(want, sizeof(want), "\"id\":\"%c\"", 'A' + i);
			const unsigned char *at = memmem(out, k->c->out_len, want, strlen(want));
			assert_non_null(at);
			assert_true(at > before);
			before = at;
			assert_null(memmem(at + 1, k->c->out_len - (size_t)(at + 1 - out), want,
				strlen(want)));
		}
		end_client(k);
	}
}

/* A request that can't be kept waits in the line for those before it, and may be answered from elsewhere meanwhile. */
static void a_refused_request_is_not_answered_twice(void **state)
{
	uint32_t two = RC_NONE;

	(void)state;
	subs_max = 2;
	for (uint64_t since = 0; since < 2; since++) {
		begin(3, (size_t)8 << 20, 1u << 22, 1);
		for (uint32_t i = 0; i < CHANNELS; i++) {
			uint32_t owner = hubs_owner(&h, names[i]);
			if (i >= 4 && owner && two == RC_NONE)
				two = i;
		}
		assert_int_not_equal(two, RC_NONE);
		uint32_t owner = hubs_owner(&h, names[two]);
		char far[64];
		(void)hubs_name_of(&h, 3 - owner, "far", far);
		struct client *k = open_client();
		char text[256];
		(void)snprintf(text, sizeof(text),
			"{\"type\":\"subscribe\",\"id\":\"1\",\"channels\":[\"%s\"]}", far);
		rc_ws_message(&sv, k->c, rc_str_of(text));
		(void)snprintf(text, sizeof(text),
			"{\"type\":\"subscribe\",\"id\":\"2\",\"channels\":[\"%s\",\"zzz\"]%s}",
			names[two], since ? ",\"since\":\"aaaaaaaaab~1.2.3\"" : "");
		rc_ws_message(&sv, k->c, rc_str_of(text));
		hubs_check(&h);
		/* The second one's owner answers first. */
		while (hubs_take_ask(&h, 0, owner))
			;
		while (hubs_take_tell(&h, owner, 0))
			;
		hubs_check(&h);
		hubs_settle(&h);
		turn();
		hubs_settle(&h);
		assert_int_equal(k->c->requests, RC_NONE);
		assert_non_null(memmem(
			k->c->out + k->c->out_head, k->c->out_len, "server_capacity_exceeded", 24));
		(void)teardown(NULL);
	}
}

/* ---- in all orders ------------------------------------------------------------------------------ */

static void step(bool trims)
{
	struct rc_prng *p = &h.prng;
	uint32_t what = rc_prng_below(p, 100);
	struct client *k = &clients[rc_prng_below(p, CONNS)];
	uint32_t name = rc_prng_below(p, NAMES), list[2] = {name, rc_prng_below(p, NAMES)};
	uint32_t from = rc_prng_below(p, h.count), to = rc_prng_below(p, h.count);

	if (!k->c && what < 20) {
		(void)open_client();
	} else if (!k->c && what < 40) {
		(void)open_stream(rc_prng_below(p, RC_ARRAY_LEN(streams)), "", NULL);
	} else if (k->c && k->sse && what < 4) {
		/* It comes back, with what it has read. */
		struct stream was = k->stream;
		end_client(k);
		if (was.id[0])
			(void)open_stream(was.wish, was.id, &was);
	} else if (k->c && k->sse && what < 20) {
		return;
	} else if (what < 12) {
		/* One who has two patterns for a channel can't tell whose an event is. */
		for (uint32_t i = 0; i < 2; i++) {
			bool odd = (k - clients) % 2;
			if (list[i] >= CHANNELS && (strcmp(names[list[i]], "**") == 0) == odd)
				list[i] = odd ? CHANNELS : CHANNELS + 1;
		}
		static const char *const since[] = {NULL, "", "", "", "beginning"};
		if (!k->c || k->wish[list[0]].asked || k->wish[list[1]].asked)
			return;
		subscribe(k, list, list[0] == list[1] ? 1 : 1 + what % 2,
			since[rc_prng_below(p, RC_ARRAY_LEN(since))]);
	} else if (what < 17) {
		if (k->c && k->wish[name].asked && !k->wish[name].leaving)
			unsubscribe(k, name);
	} else if (what < 18) {
		if (k->c)
			end_client(k);
	} else if (what < 20) {
		char text[128];
		(void)snprintf(text, sizeof(text),
			"{\"type\":\"history\",\"id\":\"Q\",\"channel\":\"%s\",\"limit\":%u}",
			names[name % CHANNELS], 1 + rc_prng_below(p, 30));
		if (k->c)
			say(k, text);
	} else if (what < 40) {
		uint32_t len =
			rc_prng_below(p, 20) ? rc_prng_below(p, 600) : rc_prng_below(p, 20000);
		publish(name % CHANNELS, len);
	} else if (what < 53) {
		(void)hubs_take_ask(&h, from, to);
	} else if (what < 66) {
		(void)hubs_take_tell(&h, from, to);
	} else if (what < 69) {
		rc_replica_ask_again(&h.shard[from].hub);
	} else if (what < 77) {
		turn();
	} else if (what < 84) {
		flush();
	} else if (what < 97) {
		if (k->c)
			(void)read_some(k, what % 2);
	} else if (trims) {
		hubs_time(&h, rc_prng_below(p, 20000));
		rc_history_sweep(&h.shard[from].hub, 100);
		rc_owner_sweep(&h.shard[from].hub, 3);
	}
	hubs_check(&h);
	bury();
}

/* whole: nothing is ever missing. */
static void walk(uint64_t seeds, uint32_t refuse, uint64_t history_max, bool trims, bool whole)
{
	uint64_t read = 0, recovered = 0, failed = 0, gaps = 0, histories = 0;

	for (uint64_t seed = 0; seed < seeds; seed++) {
		begin(1 + (uint32_t)seed % 3, (size_t)16 << 20, history_max, seed + refuse);
		h.refuse_percent = refuse;
		h.queue_max = refuse ? 1 + (uint32_t)seed % 9 : UINT32_MAX / 2;
		for (int i = 0; i < 3000; i++) {
			step(trims);
			if (i % 600 == 599)
				assert_all_is_read();
		}
		assert_all_is_read();
		read += events_read;
		recovered += recovered_read;
		failed += failed_read;
		gaps += gaps_read;
		histories += histories_read;
		(void)teardown(NULL);
	}
	print_message("%lu events, %lu recovered, %lu not, %lu gaps, %lu pages of history\n", read,
		recovered, failed, gaps, histories);
	assert_true(read > seeds * 100 && recovered > seeds && histories > seeds);
	assert_true(whole ? failed + gaps == 0 : failed > 0 && gaps > 0);
}

static void any_order_with_a_history_that_stays(void **state)
{
	(void)state;
	history_size = 100000;
	walk(18, 0, 64u << 20, false, true);
}

static void any_order_with_a_history_that_is_short(void **state)
{
	(void)state;
	walk(18, 10, 128u << 10, false, false);
}

static void any_order_with_a_history_that_is_trimmed(void **state)
{
	(void)state;
	walk(18, 0, 24u << 10, true, false);
}

static void any_order_with_rings_that_are_full(void **state)
{
	(void)state;
	walk(18, 40, 48u << 10, true, false);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_missed_comes_before_what_is_live),
		TEST(whoever_goes_in_the_middle_of_a_replay_leaves_nothing),
		TEST(a_client_that_does_not_read_is_not_read_ahead_for),
		TEST(an_owner_without_room_is_asked_again),
		TEST(without_memory_a_replay_waits_and_goes_on_where_it_was),
		TEST(histories_leave_memory_for_those_who_read_them),
		TEST(a_stream_goes_on_where_it_was),
		TEST(what_is_trimmed_under_a_reader_is_told),
		TEST(the_newest_event_comes_first_and_all_that_follow_it),
		TEST(answers_keep_the_order_of_the_questions),
		TEST(a_refused_request_is_not_answered_twice),
		TEST(any_order_with_a_history_that_stays),
		TEST(any_order_with_a_history_that_is_short),
		TEST(any_order_with_a_history_that_is_trimmed),
		TEST(any_order_with_rings_that_are_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
