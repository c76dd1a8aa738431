/* SPDX-License-Identifier: Apache-2.0
 *
 * What client and server say to each other besides events: the HTTP request, greeting, hello, subscriptions, pings, notices of
 * gaps. All texts are the target's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "local.h"
#include "proto/http1.h"
#include "proto/websocket.h"
#include "upgrade.h"

#define MISSED "\"missed\":"

static const struct load_subscriber *profile(const struct load_worker *w)
{
	return &w->plan->target->subscriber;
}

static bool is_echo(const struct load_worker *w, const struct load_client *c)
{
	return w->members[c->group].group->echo;
}

static bool is_sse(const struct load_url *url)
{
	return url->scheme == LOAD_SSE || url->scheme == LOAD_SSES;
}

static const struct load_url *url_of(const struct load_worker *w, const struct load_client *c)
{
	return is_echo(w, c) ? &profile(w)->echo_url : &profile(w)->url;
}

static uint32_t channel_of(const struct load_worker *w, const struct load_client *c, uint32_t k)
{
	const struct load_group *g = w->members[c->group].group;

	return k == 0 ? c->sub.channel : load_plan_channel(g, load_client_index(w, c), k);
}

/* ---- the HTTP request ---------------------------------------------------------------------------- */

struct text {
	char *at, *end;
	bool full;
};

static void add(struct text *t, const char *bytes, size_t len)
{
	if ((size_t)(t->end - t->at) <= len) {
		t->full = true;
		return;
	}
	memcpy(t->at, bytes, len);
	t->at += len;
	*t->at = '\0';
}

static void add_replaced(
	struct text *t, const struct load_worker *w, struct rc_str from, uint32_t channel)
{
	static const char word[] = "{channel}";
	const char *at = memmem(from.ptr, from.len, word, sizeof(word) - 1);
	char name[128];
	size_t len;

	if (!at) {
		add(t, from.ptr, from.len);
		return;
	}
	len = load_plan_channel_name(w->plan, channel, name);
	add(t, from.ptr, (size_t)(at - from.ptr));
	add(t, name, len);
	at += sizeof(word) - 1;
	add(t, at, (size_t)(from.ptr + from.len - at));
}

/*
 * The path, {channel} replaced. In a query the parameter that holds it stands once for each subscription: SSE has no other way
 * to name several.
 */
static void write_path(
	struct text *t, const struct load_worker *w, const struct load_client *c, const char *path)
{
	uint32_t count = w->members[c->group].group->subscriptions;
	const char *word = strstr(path, "{channel}"), *from = word, *to;

	if (!word || c->sub.channel == RC_NONE) {
		add(t, path, strlen(path));
		return;
	}
	while (from > path && from[-1] != '?' && from[-1] != '&')
		from--;
	if (from == path) {
		add_replaced(t, w, rc_str_of(path), c->sub.channel);
		return;
	}
	to = word + strcspn(word, "&");
	add(t, path, (size_t)(from - path));
	for (uint32_t k = 0; k < count; k++) {
		if (k > 0)
			add(t, "&", 1);
		add_replaced(t, w, (struct rc_str){from, (size_t)(to - from)}, channel_of(w, c, k));
	}
	add(t, to, strlen(to));
}

void load_speech_begin(struct load_worker *w, struct load_client *c)
{
	const struct load_subscriber *s = profile(w);
	const struct load_url *url = url_of(w, c);
	char *path = w->scratch, *request;
	struct text t = {path, path + LOAD_SPEECH_MAX / 2, false};
	size_t len, cap = LOAD_SPEECH_MAX / 2;

	c->state = LOAD_UPGRADING;
	*path = '\0';
	write_path(&t, w, c, url->path);
	request = w->scratch + LOAD_SPEECH_MAX / 2;
	if (is_sse(url)) {
		int n = snprintf(request, cap,
			"GET %s HTTP/1.1\r\nHost: %s:%u\r\nAccept: text/event-stream\r\n%s\r\n",
			*path ? path : "/", url->host, (unsigned)url->port, s->headers);

		len = n > 0 && (size_t)n < cap ? (size_t)n : 0;
	} else {
		load_upgrade_key(c->extra->key, rc_prng_next(&w->prng));
		len = load_upgrade_request(request, cap, url, *path ? path : "/",
			is_echo(w, c) ? "" : s->protocol, s->headers, c->extra->key);
	}
	if (len == 0 || t.full)
		load_client_lost(w, c,
			"the path with all its channels is too long. Say fewer "
			"subscriptions a client");
	else
		(void)load_client_send(w, c, request, len);
}

/* Length of the head, 0: more is needed, -EPROTO. */
static int sse_answer(struct load_stream *stream, struct rc_str bytes, struct rc_error *err)
{
	static const struct rc_str fine = RC_STR("HTTP/1.1 200");
	const char *end = memmem(bytes.ptr, bytes.len, "\r\n\r\n", 4), *line;

	if (!end && bytes.len < LOAD_UPGRADE_HEAD_MAX)
		return 0;
	if (!end || !rc_str_starts(bytes, fine)) {
		rc_error_set(err,
			"the server did not grant the stream: %.*s. See that the target's URL "
			"is that of its server-sent events",
			(int)RC_MIN(bytes.len, strcspn(bytes.ptr, "\r\n")), bytes.ptr);
		return -EPROTO;
	}
	/* Each line ends before `end`, or at it. */
	for (line = bytes.ptr; line < end; line += strcspn(line, "\n") + 1) {
		static const struct rc_str name = RC_STR("transfer-encoding:");

		if ((size_t)(end - line) > name.len &&
			rc_http_same((struct rc_str){line, name.len}, name) &&
			memmem(line, strcspn(line, "\r\n"), "chunked", 7))
			stream->chunk = LOAD_CHUNK_SIZE;
	}
	return (int)(end + 4 - bytes.ptr);
}

/* ---- after the upgrade --------------------------------------------------------------------------- */

static uint8_t opcode(const struct load_worker *w)
{
	return profile(w)->binary ? RC_WS_BINARY : RC_WS_TEXT;
}

static bool say(struct load_worker *w, struct load_client *c, const struct load_template *t,
	const struct load_values *values)
{
	size_t len;

	if (!t || load_template_empty(t))
		return true;
	len = load_template_expand(t, values, w->scratch, LOAD_SPEECH_MAX);
	if (len == 0) {
		load_client_lost(w, c, "a template of the target's profile grows too long");
		return false;
	}
	return load_client_send_frame(w, c, opcode(w), w->scratch, len);
}

static struct load_values values_of(
	const struct load_worker *w, const struct load_client *c, uint32_t channel, char name[128])
{
	struct load_values v = {
		.number = channel, .session = load_client_index(w, c) * LOAD_GROUPS_MAX + c->group};

	if (channel != RC_NONE)
		v.channel = (struct rc_str){name, load_plan_channel_name(w->plan, channel, name)};
	return v;
}

/* The k-th subscription, in the order in which they were sent, is acknowledged. */
static void acknowledged(
	struct load_worker *w, struct load_client *c, uint32_t k, struct rc_str text)
{
	uint32_t channel = channel_of(w, c, k);
	struct load_sub *sub = load_subs_find(&c->sub, c->more, channel);
	struct load_place *place;
	char name[128], recovered[140];
	bool goes_on = false;
	struct rc_str named = {name, load_plan_channel_name(w->plan, channel, name)};

	RC_ASSERT(sub);
	place = load_subs_place(&c->sub, c->more, sub);
	if (sub->flags & LOAD_SUB_BACK && place && place->epoch[0]) {
		int len = snprintf(recovered, sizeof(recovered), "\"%s\":true", name);

		/* Nothing may be missing then: the track simply goes on. */
		goes_on = memmem(text.ptr, text.len, recovered, (size_t)len) != NULL;
	}
	if (goes_on)
		sub->flags &= ~(uint32_t)LOAD_SUB_BACK;
	else if (place)
		(void)load_place_read(place, text, named);
	if (!(sub->flags & LOAD_SUB_BACK) && sub->track.last == 0 && text.len > 0 &&
		load_get(&w->shared->sequence[channel]) == 0) {
		sub->flags |= LOAD_SUB_BEGUN;
		load_track_begin(&sub->track, 1);
	}
}

/* Everything is subscribed: counted among those to whom an event is owed, if the rule of shared.h says so. */
static void opened(struct load_worker *w, struct load_client *c)
{
	const struct load_group *g = load_members_of(w, c)->group;

	if (!g->may_lose && !g->echo &&
		atomic_load_explicit(&w->shared->phase, memory_order_acquire) < LOAD_WARM) {
		c->flags |= LOAD_COUNTED;
		if (c->sub.channel != RC_NONE)
			atomic_fetch_add_explicit(
				&w->shared->subscribers[c->sub.channel], 1, memory_order_seq_cst);
		for (uint32_t k = 0; c->more && k < c->more->count; k++)
			atomic_fetch_add_explicit(&w->shared->subscribers[c->more->sub[k].channel],
				1, memory_order_seq_cst);
	}
	load_client_opened(w, c);
}

static void subscribe(struct load_worker *w, struct load_client *c)
{
	const struct load_group *g = load_members_of(w, c)->group;
	const struct load_subscriber *s = profile(w);
	char name[128], since[512];

	c->state = LOAD_SUBSCRIBING;
	if (g->echo || c->sub.channel == RC_NONE) {
		opened(w, c);
		return;
	}
	for (uint32_t k = 0; k < g->subscriptions && !is_sse(&s->url); k++) {
		uint32_t channel = channel_of(w, c, k);
		struct load_values v = values_of(w, c, channel, name);
		struct load_sub *sub = load_subs_find(&c->sub, c->more, channel);

		v.since.ptr = since;
		if (sub && sub->flags & LOAD_SUB_BACK)
			v.since.len = load_place_since(load_subs_place(&c->sub, c->more, sub),
				s->since, since, sizeof(since));
		if (!say(w, c, s->subscribe, &v))
			return;
	}
	if (s->subscribed[0] && !is_sse(&s->url))
		return;
	/* SSE's status is the acknowledgement; one that says nothing at all may begin anywhere. */
	for (uint32_t k = 0; k < g->subscriptions; k++)
		acknowledged(w, c, k, is_sse(&s->url) ? RC_STR("200") : (struct rc_str){0});
	opened(w, c);
}

static void say_hello(struct load_worker *w, struct load_client *c)
{
	const struct load_subscriber *s = profile(w);
	char name[128];
	struct load_values v = values_of(w, c, c->sub.channel, name);

	if (!is_sse(&s->url) && !say(w, c, s->hello, &v))
		return;
	if (s->welcome[0] && !is_sse(&s->url))
		c->state = LOAD_WELCOME;
	else
		subscribe(w, c);
}

static void upgraded(struct load_worker *w, struct load_client *c)
{
	c->stream.attentive = true;
	if (is_echo(w, c))
		subscribe(w, c);
	else if (profile(w)->greeting[0] && !is_sse(&profile(w)->url))
		c->state = LOAD_GREETING;
	else
		say_hello(w, c);
}

void load_speech_http(
	struct load_worker *w, struct load_client *c, unsigned char *bytes, size_t len)
{
	struct load_extra *x = c->extra;
	struct rc_error err = {{0}};
	uint32_t before = x->head_len, generation = c->generation;
	int head;

	/* NUL-terminated, for the parsers' strings. */
	if (!x->head && !(x->head = malloc(LOAD_UPGRADE_HEAD_MAX + 1))) {
		load_client_lost(w, c, "out of memory: say fewer clients");
		return;
	}
	x->head_len += (uint32_t)RC_MIN(len, LOAD_UPGRADE_HEAD_MAX - x->head_len);
	memcpy(x->head + before, bytes, x->head_len - before);
	x->head[x->head_len] = '\0';
	head = is_sse(url_of(w, c))
		       ? sse_answer(&c->stream, (struct rc_str){x->head, x->head_len}, &err)
		       : load_upgrade_answer((struct rc_str){x->head, x->head_len}, x->key, &err);
	if (head < 0)
		load_client_lost(w, c, err.text);
	if (head <= 0)
		return;
	/* What came behind the head is of the stream already. */
	bytes += (uint32_t)head - before;
	len -= (uint32_t)head - before;
	upgraded(w, c);
	if (c->generation == generation && c->fd >= 0 && len > 0)
		load_receive_take(w, c, bytes, len);
}

/* ---- texts --------------------------------------------------------------------------------------- */

/* Moves *text behind `wanted`; false when it is not there. */
static bool pass(struct rc_str *text, const char *wanted)
{
	size_t len = strlen(wanted);
	const char *at = text->len > 0 ? memmem(text->ptr, text->len, wanted, len) : NULL;

	if (!at)
		return false;
	text->len -= (size_t)(at + len - text->ptr);
	text->ptr = at + len;
	return true;
}

static void answer(struct load_worker *w, struct load_client *c, struct rc_str text)
{
	const struct load_subscriber *s = profile(w);
	uint32_t wanted = load_members_of(w, c)->group->subscriptions;
	struct rc_str all = text;

	if (c->state == LOAD_GREETING && pass(&text, s->greeting))
		say_hello(w, c);
	if (c->state == LOAD_WELCOME && pass(&text, s->welcome))
		subscribe(w, c);
	while (c->state == LOAD_SUBSCRIBING && s->subscribed[0] && pass(&text, s->subscribed)) {
		acknowledged(w, c, c->extra->acknowledged++, all);
		if (c->extra->acknowledged == wanted)
			opened(w, c);
	}
}

/* A notice: events that will not come. */
static void told(struct load_worker *w, struct load_client *c, struct rc_str text)
{
	struct load_members *m = load_members_of(w, c);
	struct load_sub *sub = &c->sub;
	struct load_faults faults = {0};
	const char *at = memmem(text.ptr, text.len, MISSED, sizeof(MISSED) - 1),
		   *end = text.ptr + text.len;
	uint64_t missed = 0;
	char name[130] = "\"";
	size_t len;

	if (!at)
		return;
	for (at += sizeof(MISSED) - 1; at < end && *at >= '0' && *at <= '9'; at++)
		missed = missed * 10 + (uint64_t)(*at - '0');
	for (uint32_t k = 0; c->more && c->more->count && k <= c->more->count; k++) {
		sub = k == 0 ? &c->sub : &c->more->sub[k - 1];
		len = load_plan_channel_name(w->plan, sub->channel, name + 1);
		name[len + 1] = '"';
		if (memmem(text.ptr, text.len, name, len + 2))
			break;
	}
	load_track_told(&sub->track, missed, &faults);
	load_add(&m->stats->told, missed);
	if (!(c->flags & LOAD_COUNTED) && !m->group->may_lose)
		load_add(&m->stats->expected, missed);
}

void load_speech_text(struct load_worker *w, struct load_client *c, struct rc_str text)
{
	const struct load_subscriber *s = profile(w);
	struct rc_str look = text;
	char name[128];

	if (is_echo(w, c))
		return;
	if (s->ping[0] && rc_str_starts(text, rc_str_of(s->ping))) {
		struct load_values v = values_of(w, c, c->sub.channel, name);

		(void)say(w, c, s->pong, &v);
		return;
	}
	if (s->gap[0] && pass(&look, s->gap)) {
		told(w, c, text);
		return;
	}
	look = text;
	if (c->state < LOAD_OPEN && s->refused[0] && pass(&look, s->refused)) {
		char why[300];

		(void)snprintf(why, sizeof(why), "the server refused the subscription: %.*s",
			(int)RC_MIN(text.len, 200u), text.ptr);
		load_client_lost(w, c, why);
		return;
	}
	if (c->state < LOAD_OPEN)
		answer(w, c, text);
}
