/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients that send commands and wait for the answers: in_flight of them each, or at a rate over all clients of the group. What is
 * sent carries an event whose channel is the client's index; the answer to it carries the same event in the length of an answer.
 *
 * Answers may come in any order, so each command that may be in flight is a slot, and its sequences are the slot's alone:
 *
 *   slot s of n: sequences s + 1, s + 1 + n, s + 1 + 2n, …    last[s]: the latest that was sent; DONE: answered
 *
 * A slot whose answer was lost stays as it is until the end; the others go on.
 */
#include <stdlib.h>

#include "local.h"
#include "proto/websocket.h"

#define DONE       ((uint64_t)1 << 63)
#define OPEN_SLOTS 256u /* of a client in an open loop: what it may be owed at once */
#define OUT_BYTES  65536u
#define HEAD_MAX   14u
/* "id":"4294967295" and what JSON or a protocol may put around it. */
#define NUMBER_ROOM 24u

struct load_commands {
	uint32_t slots, idle;
	uint32_t *free; /* idle of them, the one that was answered last on top */
	uint64_t last[];
};

/* A worker's: the event of a command, and frames that leave together. */
struct load_command_room {
	char *event;
	unsigned char *out;
	size_t cap, len;
	unsigned char bytes[];
};

bool load_command_open(struct load_worker *w)
{
	size_t payload = 0, cap;

	for (uint32_t g = 0; g < w->plan->groups; g++)
		if (w->plan->group[g].command)
			payload = RC_MAX(payload, w->plan->group[g].payload);
	if (payload == 0)
		return true;
	cap = OUT_BYTES + load_template_bound(load_profile(w)->command, 0, payload, 0);
	w->commands = calloc(1, sizeof(*w->commands) + payload + cap);
	if (!w->commands)
		return false;
	w->commands->event = (char *)w->commands->bytes;
	w->commands->out = w->commands->bytes + payload;
	w->commands->cap = cap;
	return true;
}

void load_command_close(struct load_worker *w)
{
	free(w->commands);
}

/* ---- sending ------------------------------------------------------------------------------------ */

static bool flush(struct load_worker *w, struct load_client *c)
{
	struct load_command_room *room = w->commands;
	size_t len = room->len;

	room->len = 0;
	return len == 0 || load_client_send(w, c, room->out, len);
}

/* A frame to the room. False: the client was lost. */
static bool put(struct load_worker *w, struct load_client *c, const struct load_event *event)
{
	const struct load_subscriber *s = load_profile(w);
	struct load_command_room *room = w->commands;
	struct load_values v = {.number = (uint32_t)event->sequence,
		.session = event->channel,
		.payload = {room->event, event->len}};
	size_t bound = HEAD_MAX + load_template_bound(s->command, 0, event->len, 0), len, head;
	uint32_t mask = (uint32_t)rc_prng_next(&w->prng);
	unsigned char header[HEAD_MAX], *at;

	if (room->cap - room->len < bound && !flush(w, c))
		return false;
	at = room->out + room->len;
	load_event_encode(room->event, event);
	len = load_template_expand(s->command, &v, at + HEAD_MAX, bound - HEAD_MAX);
	head = rc_ws_masked_header(header, s->binary ? RC_WS_BINARY : RC_WS_TEXT, true, len, mask);
	memmove(at + head, at + HEAD_MAX, len);
	memcpy(at, header, head);
	rc_ws_mask(at + head, len, mask, 0);
	room->len += head + len;
	return true;
}

/* A slot is idle. False: the client was lost. */
static bool send_one(struct load_worker *w, struct load_client *c, uint64_t due_ns)
{
	struct load_members *m = load_members_of(w, c);
	struct load_commands *all = c->extra->commands;
	uint32_t slot = all->free[--all->idle];
	uint64_t last = all->last[slot] & ~DONE;
	struct load_event event = {.publisher = c->group,
		.channel = load_client_index(w, c),
		.len = m->group->payload,
		.sequence = last ? last + all->slots : slot + 1,
		.time_ns = due_ns};

	all->last[slot] = event.sequence;
	load_add(&m->stats->published, 1);
	load_add(&m->stats->published_bytes, event.len);
	load_add(&m->stats->expected, 1);
	return put(w, c, &event);
}

void load_command_more(struct load_worker *w, struct load_client *c)
{
	if (c->state != LOAD_OPEN || load_members_of(w, c)->group->rate > 0 || !load_flows(w))
		return;
	while (c->extra->commands->idle > 0)
		if (!send_one(w, c, w->now_ns))
			return;
	(void)flush(w, c);
}

void load_command_opened(struct load_worker *w, struct load_client *c)
{
	const struct load_group *g = load_members_of(w, c)->group;
	uint32_t slots = g->in_flight ? g->in_flight : OPEN_SLOTS;
	struct load_commands *all =
		calloc(1, sizeof(*all) + slots * (sizeof(*all->last) + sizeof(*all->free)));

	if (!all) {
		load_client_lost(w, c, "out of memory: say fewer clients or less in flight");
		return;
	}
	all->slots = all->idle = slots;
	all->free = (uint32_t *)(all->last + slots);
	for (uint32_t i = 0; i < slots; i++)
		all->free[i] = slots - 1 - i;
	c->extra->commands = all;
	load_command_more(w, c);
}

/* ---- a turn ------------------------------------------------------------------------------------- */

/* One whose turn it is and that is not owed too much already; NULL: there is none. */
static struct load_client *next_client(struct load_worker *w, struct load_members *m)
{
	for (uint32_t tries = 0; tries < m->count; tries++) {
		struct load_client *c = &w->client[m->first + m->turn];

		m->turn = (m->turn + 1) % m->count;
		if (c->state == LOAD_OPEN && c->extra->commands->idle > 0)
			return c;
	}
	return NULL;
}

/* What was due in the window and has not left, while it drains. */
static void tell_overdue(struct load_worker *w, struct load_members *m, double every_ns)
{
	double late = (double)w->window_to - m->due_ns;
	uint64_t count = late > 0 ? (uint64_t)(late / every_ns) + 1 : 0;

	load_add(&m->stats->overdue, count - m->overdue_told);
	m->overdue_told = count;
}

static void open_loop(struct load_worker *w, struct load_members *m)
{
	double every_ns = 1e9 / (m->group->rate * m->count / m->group->clients);
	double until = RC_MIN((double)w->now_ns, (double)w->window_to);

	if (m->due_ns == 0)
		m->due_ns = (double)load_get(&w->shared->start_ns);
	/* No more than 64 at a time, so that answers are read between. */
	for (int i = 0; i < 64 && m->due_ns < until; i++) {
		uint64_t due_ns = (uint64_t)m->due_ns;
		struct load_client *c = next_client(w, m);

		/* The server's doing: what waits keeps the time at which it was due. */
		if (!c)
			break;
		m->due_ns += every_ns;
		load_add(&w->stats->late[rc_hist_bucket(w->now_ns - due_ns)], 1);
		if (send_one(w, c, due_ns))
			(void)flush(w, c);
		w->commands->len = 0;
	}
	if (w->phase == LOAD_DRAIN)
		tell_overdue(w, m, every_ns);
}

void load_command_turn(struct load_worker *w, struct load_members *m)
{
	if (m->group->rate > 0) {
		if (load_flows(w) || (w->phase == LOAD_DRAIN && m->due_ns > 0))
			open_loop(w, m);
		return;
	}
	if (!load_flows(w) || m->begun)
		return;
	m->begun = true;
	for (uint32_t i = 0; i < m->count; i++)
		load_command_more(w, &w->client[m->first + i]);
}

/* ---- answers ------------------------------------------------------------------------------------ */

/* The number behind the target's `answer`. False: there is none. *cut: the text is too short to tell. */
static bool number_in(const struct load_worker *w, const struct load_client *c, struct rc_str text,
	uint64_t *number, bool *cut)
{
	struct load_values v = {.session = load_client_index(w, c)};
	char name[512];
	size_t len = load_template_expand(load_profile(w)->answer, &v, name, sizeof(name));
	const char *at = len && text.len ? memmem(text.ptr, text.len, name, len) : NULL;
	const char *end = text.ptr + text.len, *from;

	*number = 0;
	*cut = text.len < len + NUMBER_ROOM;
	if (!at)
		return false;
	for (from = at += len; at < end && *at >= '0' && *at <= '9' && at - from < 18; at++)
		*number = *number * 10 + (uint64_t)(*at - '0');
	return at > from && at < end;
}

static struct load_commands *commands_of(const struct load_client *c)
{
	return c->state == LOAD_OPEN && c->extra ? c->extra->commands : NULL;
}

/* Is the slot's command answered by this? It is idle again then. */
static bool take(struct load_commands *all, uint64_t sequence, struct load_faults *faults)
{
	uint32_t slot = (uint32_t)((sequence - 1) % all->slots);
	uint64_t *last = &all->last[slot];

	if (sequence == 0 || sequence > (*last & ~DONE)) {
		faults->foreign = 1;
	} else if (sequence < *last) {
		/* Answered, or before one that was sent only because it was. */
		faults->duplicated = 1;
	} else {
		*last |= DONE;
		all->free[all->idle++] = slot;
		return true;
	}
	return false;
}

void load_command_event(struct load_worker *w, struct load_client *c,
	const struct load_event *event, struct rc_str before)
{
	struct load_members *m = load_members_of(w, c);
	struct load_commands *all = commands_of(c);
	struct load_faults faults = {0};
	uint64_t number;
	bool cut, named = number_in(w, c, before, &number, &cut);

	if (!all || event->channel != load_client_index(w, c) || event->publisher != c->group ||
		(named ? number != event->sequence : !cut)) {
		faults.foreign = 1;
	} else if (event->len != m->group->reply) {
		faults.corrupted = 1;
	} else if (take(all, event->sequence, &faults)) {
		load_add(&m->stats->deliveries, 1);
		load_add(&m->stats->delivery_bytes, event->len);
		if (event->time_ns >= w->window_from && event->time_ns < w->window_to)
			load_add(&m->stats->latency[rc_hist_bucket(
					 w->now_ns - RC_MIN(w->now_ns, event->time_ns))],
				1);
		return;
	}
	load_count_faults(w, c, c->sub.channel, &faults);
}

void load_command_refused(struct load_worker *w, struct load_client *c, struct rc_str text)
{
	struct load_members *m = load_members_of(w, c);
	struct load_commands *all = commands_of(c);
	struct load_faults faults = {0};
	uint64_t number;
	bool cut, named = number_in(w, c, text, &number, &cut);

	load_add(&m->stats->refused, 1);
	(void)snprintf(w->stats->error, sizeof(w->stats->error), "%.*s",
		(int)RC_MIN(text.len, 200u), text.ptr);
	/* It will not be answered; where nothing says which it was, it is lost in the end. */
	if (!all || !named)
		return;
	if (take(all, number, &faults))
		load_add(&m->stats->expected, UINT64_MAX);
	else
		load_count_faults(w, c, c->sub.channel, &faults);
}

void load_command_settle(struct load_worker *w, struct load_client *c)
{
	struct load_commands *all = commands_of(c);
	struct load_faults faults = {0};

	if (!all)
		return;
	faults.lost = all->slots - all->idle;
	if (faults.lost > 0)
		load_count_faults(w, c, c->sub.channel, &faults);
}
