/* SPDX-License-Identifier: Apache-2.0
 *
 * What client and server say to each other besides events, once upgraded: greeting, hello, subscriptions, pings, notices of
 * gaps. All texts are the target's.
 */
#include <stdio.h>

#include "local.h"
#include "proto/websocket.h"

#define MISSED "\"missed\":"

static uint32_t channel_of(const struct load_worker *w, const struct load_client *c, uint32_t k)
{
	const struct load_group *g = w->members[c->group].group;

	return k == 0 ? c->sub.channel : load_plan_channel(g, load_client_index(w, c), k);
}

static uint8_t opcode(const struct load_worker *w)
{
	return load_profile(w)->binary ? RC_WS_BINARY : RC_WS_TEXT;
}

static bool say(struct load_worker *w, struct load_client *c, const struct load_template *t,
	const struct load_values *values)
{
	size_t len;

	if (!t || load_template_empty(t))
		return true;
	len = load_template_expand(t, values, w->scratch, LOAD_SPEECH_MAX);
	if (len == 0) {
		load_client_lost(w, c, "a template of the target's load_profile grows too long");
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
		goes_on =
			text.len > 0 && memmem(text.ptr, text.len, recovered, (size_t)len) != NULL;
	}
	if (sub->flags & LOAD_SUB_BACK && place && place->epoch[0]) {
		struct load_group_stats *stats = load_members_of(w, c)->stats;

		load_add(goes_on ? &stats->recovered : &stats->unrecovered, 1);
	}
	if (goes_on) {
		load_sub_settled(sub);
	} else if (sub->flags & LOAD_SUB_BACK && text.len > 0) {
		uint64_t missed = load_get(&w->shared->sequence[channel]) - sub->track.last;

		/* What is sent from here on it is owed again. */
		load_sub_settled(sub);
		sub->flags |= LOAD_SUB_BACK | LOAD_SUB_AGAIN |
			      (uint32_t)RC_MIN(missed, LOAD_SUB_MAY_MISS_MAX) * LOAD_SUB_MAY_MISS;
	}
	if (!goes_on && place)
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

	if (!g->may_lose && !load_group_asks(g) &&
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

/* Where answers come by a subscription, it is made first. */
static void subscribe_inbox(struct load_worker *w, struct load_client *c)
{
	const struct load_subscriber *s = load_profile(w);
	struct load_values v = {.session = load_client_index(w, c)};

	if (load_template_empty(s->inbox) || (say(w, c, s->inbox, &v) && !s->subscribed[0]))
		opened(w, c);
}

static void subscribe(struct load_worker *w, struct load_client *c)
{
	const struct load_group *g = load_members_of(w, c)->group;
	const struct load_subscriber *s = load_profile(w);
	char name[128], since[512];

	c->state = LOAD_SUBSCRIBING;
	if (g->command) {
		subscribe_inbox(w, c);
		return;
	}
	if (g->echo || c->sub.channel == RC_NONE) {
		opened(w, c);
		return;
	}
	for (uint32_t k = 0; k < g->subscriptions && !load_is_sse(&s->url); k++) {
		uint32_t channel = channel_of(w, c, k);
		struct load_values v = values_of(w, c, channel, name);
		struct load_sub *sub = load_subs_find(&c->sub, c->more, channel);

		v.filter = load_client_index(w, c) % RC_MAX(g->filters, 1u);
		v.since.ptr = since;
		if (sub && sub->flags & LOAD_SUB_BACK)
			v.since.len = load_place_since(load_subs_place(&c->sub, c->more, sub),
				s->since, since, sizeof(since));
		if (!say(w, c, s->subscribe, &v))
			return;
	}
	if (s->subscribed[0] && !load_is_sse(&s->url))
		return;
	/* SSE's status is the acknowledgement; one that says nothing at all may begin anywhere. */
	for (uint32_t k = 0; k < g->subscriptions; k++)
		acknowledged(w, c, k, load_is_sse(&s->url) ? RC_STR("200") : (struct rc_str){0});
	opened(w, c);
}

static void say_hello(struct load_worker *w, struct load_client *c)
{
	const struct load_subscriber *s = load_profile(w);
	char name[128];
	struct load_values v = values_of(w, c, c->sub.channel, name);

	if (!load_is_sse(&s->url) && !say(w, c, s->hello, &v))
		return;
	if (s->welcome[0] && !load_is_sse(&s->url))
		c->state = LOAD_WELCOME;
	else
		subscribe(w, c);
}

void load_speech_upgraded(struct load_worker *w, struct load_client *c)
{
	c->stream.attentive = true;
	if (load_is_echo(w, c))
		subscribe(w, c);
	else if (load_profile(w)->greeting[0] && !load_is_sse(&load_profile(w)->url))
		c->state = LOAD_GREETING;
	else
		say_hello(w, c);
}

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
	const struct load_subscriber *s = load_profile(w);
	uint32_t wanted = load_members_of(w, c)->group->subscriptions;
	struct rc_str all = text;

	if (c->state == LOAD_GREETING && pass(&text, s->greeting))
		say_hello(w, c);
	if (c->state == LOAD_WELCOME && pass(&text, s->welcome))
		subscribe(w, c);
	if (c->state == LOAD_SUBSCRIBING && load_members_of(w, c)->group->command) {
		if (pass(&text, s->subscribed))
			opened(w, c);
		return;
	}
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
	const struct load_subscriber *s = load_profile(w);
	struct rc_str look = text;
	char name[128];

	if (load_is_echo(w, c))
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
	if (c->state == LOAD_OPEN && load_members_of(w, c)->group->command) {
		if (s->refused[0] && pass(&look, s->refused))
			load_command_refused(w, c, text);
		return;
	}
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
