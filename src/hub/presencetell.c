/* SPDX-License-Identifier: Apache-2.0
 *
 * What the owner tells a channel of who came and who left: events of the channel that the owner itself publishes. A channel that
 * was quiet is told at once and then cools for an interval, in which everything adds up: so a storm costs one join and one leave of a
 * bounded size per interval, and what does not fit waits for the next. Above presence_max there are no names any more, only counts.
 */
#include "hub/presents.h"

#include "base/clock.h"
#include "proto/textbuf.h"

#define CHANNELS_PER_TURN 256u

/* ---- lines -------------------------------------------------------------------------------------- */

static void append(struct rc_hub *h, struct rc_presence_line *line, uint32_t index, uint8_t state)
{
	struct rc_present *p = rc_present_at(h, index);

	p->state = state;
	p->next = RC_NONE;
	if (line->first == RC_NONE)
		line->first = index;
	else
		rc_present_at(h, line->last)->next = index;
	line->last = index;
}

static uint32_t take_first(struct rc_hub *h, struct rc_presence_line *line)
{
	uint32_t index = line->first;

	line->first = rc_present_at(h, index)->next;
	if (line->first == RC_NONE)
		line->last = RC_NONE;
	return index;
}

static bool something_to_tell(const struct rc_present *p)
{
	return p->large ? p->changed : p->join_first != RC_NONE || p->leave_first != RC_NONE;
}

/* Its lists are of no use any more. */
static void forget_changes(struct rc_hub *h, uint32_t first)
{
	while (first != RC_NONE) {
		uint32_t next = rc_present_user_at(h, first)->change_next;
		rc_present_user_at(h, first)->changing = false;
		if (!rc_present_user_at(h, first)->in)
			rc_present_user_free(h, first);
		first = next;
	}
}

static void grow_large(struct rc_hub *h, struct rc_present *p)
{
	uint32_t joins = p->join_first, leaves = p->leave_first;

	p->large = true;
	p->join_first = p->join_last = p->leave_first = p->leave_last = RC_NONE;
	forget_changes(h, joins);
	forget_changes(h, leaves);
}

void rc_present_note(struct rc_hub *h, uint32_t index)
{
	struct rc_present *p = rc_present_at(h, index);
	const struct rc_hub_namespace *ns = rc_present_namespace(h, p);

	if (!ns->join_leave)
		return;
	if (!p->large && p->users > ns->presence_max)
		grow_large(h, p);
	p->changed = true;
	if (p->state == RC_PRESENT_QUIET && something_to_tell(p)) {
		append(h, &h->presence.due, index, RC_PRESENT_DUE);
		h->presence.next_ns = h->now_ns;
	}
}

/* ---- events ------------------------------------------------------------------------------------- */

static bool publish(struct rc_hub *h, const struct rc_present *p, enum rc_event_kind kind,
	struct rc_str user, const struct rc_textbuf *data)
{
	static const struct rc_str names[RC_EVENT_KINDS] = {
		[RC_EVENT_JOIN] = {"join", 4},
		[RC_EVENT_LEAVE] = {"leave", 5},
		[RC_EVENT_PRESENCE] = {"presence", 8},
	};
	const struct rc_owned *o = rc_hub_owned(h, p->owned);
	uint64_t wall_ms = rc_clock_wall_ms();
	const struct rc_publish event = {
		.from = {.shard = RC_NONE},
		.channel = rc_owned_name(o),
		.event = names[kind],
		.data = rc_textbuf_str(data),
		.timestamp_ms = wall_ms,
		.time_ms = wall_ms,
		.taken_ns = h->now_ns,
		.hash = o->hash,
		.json = true,
		.kind = (uint8_t)kind,
		.user = user,
	};
	struct rc_outcome outcome;

	RC_ASSERT(!data->full);
	if (!rc_owner_publish(h, &event, &outcome)) {
		h->presence.blocked = true;
		return false;
	}
	/* The channel is there: nothing that the owner says of itself is refused. */
	RC_ASSERT(outcome.nack == 0);
	rc_count(h->counters, RC_C_presence_events, 1);
	return true;
}

static void add_counts(struct rc_textbuf *b, uint32_t count, const struct rc_present *p)
{
	rc_textbuf_add_text(b, "\"count\":");
	rc_textbuf_add_u64(b, count);
	rc_textbuf_add_text(b, ",\"clients\":");
	rc_textbuf_add_u64(b, p->clients);
	rc_textbuf_add_text(b, ",\"anonymous\":");
	rc_textbuf_add_u64(b, p->anonymous);
}

static void add_user(struct rc_textbuf *b, const struct rc_present_user *u, bool info, bool first)
{
	if (!first)
		rc_textbuf_add_char(b, ',');
	rc_textbuf_add_text(b, "{\"user\":");
	rc_textbuf_add_string(b, rc_presence_user(&u->text));
	if (info && u->text.info_len) {
		rc_textbuf_add_text(b, ",\"info\":");
		rc_textbuf_add(b, rc_presence_info(&u->text));
	}
	rc_textbuf_add_char(b, '}');
}

/* What stands behind the users: three numbers. */
#define COUNTS_MAX 96u

/* The first users of a list whose change is so still, in one event. False: no room for it now. */
static bool tell_list(struct rc_hub *h, uint32_t present, bool joins)
{
	struct rc_present *p = rc_present_at(h, present);
	uint32_t *first = joins ? &p->join_first : &p->leave_first;
	uint32_t *last = joins ? &p->join_last : &p->leave_last;
	struct rc_textbuf b = {.ptr = h->presence.data, .cap = RC_PRESENCE_DATA_MAX - COUNTS_MAX};
	uint32_t listed = 0, one = RC_NONE, end = *first;

	rc_textbuf_add_text(&b, "{\"users\":[");
	for (; end != RC_NONE; end = rc_present_user_at(h, end)->change_next) {
		const struct rc_present_user *u = rc_present_user_at(h, end);
		size_t before = b.len;
		if (u->in == u->told)
			continue;
		if (listed == RC_PRESENCE_EVENT_USERS)
			break;
		add_user(&b, u, joins, listed == 0);
		if (b.full) {
			b.full = false;
			b.len = before;
			break;
		}
		one = end;
		listed++;
	}
	if (listed) {
		struct rc_str user = {NULL, 0};
		uint32_t count = joins ? p->users_told + listed : p->users_told - listed;
		if (listed == 1)
			user = rc_presence_user(&rc_present_user_at(h, one)->text);
		b.cap = RC_PRESENCE_DATA_MAX;
		rc_textbuf_add_text(&b, "],");
		add_counts(&b, count, p);
		rc_textbuf_add_char(&b, '}');
		if (!publish(h, p, joins ? RC_EVENT_JOIN : RC_EVENT_LEAVE, user, &b))
			return false;
		p->users_told = count;
	}
	while (*first != end) {
		uint32_t index = *first;
		struct rc_present_user *u = rc_present_user_at(h, index);
		*first = u->change_next;
		u->changing = false;
		u->told = u->in;
		if (!u->in)
			rc_present_user_free(h, index);
	}
	if (*first == RC_NONE)
		*last = RC_NONE;
	return true;
}

static void all_told(struct rc_hub *h, struct rc_present *p)
{
	for (uint32_t i = p->user_first; i != RC_NONE; i = rc_present_user_at(h, i)->next)
		rc_present_user_at(h, i)->told = true;
	p->users_told = p->users;
}

/* Only how many; or, with few enough again, that names follow from here on. */
static bool tell_counts(struct rc_hub *h, struct rc_present *p)
{
	uint32_t max = rc_present_namespace(h, p)->presence_max;
	bool small = p->users <= max - max / 8;
	struct rc_textbuf b = {.ptr = h->presence.data, .cap = RC_PRESENCE_DATA_MAX};
	struct rc_str nobody = {NULL, 0};

	rc_textbuf_add_char(&b, '{');
	add_counts(&b, p->users, p);
	rc_textbuf_add_text(&b, small ? ",\"complete\":true}" : ",\"complete\":false}");
	if (!publish(h, p, RC_EVENT_PRESENCE, nobody, &b))
		return false;
	p->changed = false;
	p->large = !small;
	if (small)
		all_told(h, p);
	return true;
}

static bool tell(struct rc_hub *h, uint32_t index)
{
	struct rc_present *p = rc_present_at(h, index);

	if (p->large)
		return tell_counts(h, p);
	return tell_list(h, index, false) && tell_list(h, index, true);
}

/* ---- when --------------------------------------------------------------------------------------- */

static void cooled(struct rc_hub *h, uint32_t ns)
{
	struct rc_presence_line *line = &h->presence.cooling[ns];

	while (line->first != RC_NONE && rc_present_at(h, line->first)->due_ns <= h->now_ns) {
		uint32_t index = take_first(h, line);
		struct rc_present *p = rc_present_at(h, index);
		p->state = RC_PRESENT_QUIET;
		if (something_to_tell(p))
			append(h, &h->presence.due, index, RC_PRESENT_DUE);
		else
			rc_present_settle(h, index);
	}
}

void rc_presence_tell(struct rc_hub *h)
{
	struct rc_presence *all = &h->presence;

	for (uint32_t ns = 0; ns < h->limits.namespaces; ns++)
		cooled(h, ns);
	for (uint32_t n = 0; n < CHANNELS_PER_TURN && all->due.first != RC_NONE; n++) {
		uint32_t index = all->due.first;
		const struct rc_present *p = rc_present_at(h, index);
		uint32_t ns = rc_hub_owned(h, p->owned)->ns;
		/* It stays the first when there is no room: those behind it would find none either. */
		if (!tell(h, index))
			return;
		(void)take_first(h, &all->due);
		rc_present_at(h, index)->due_ns =
			h->now_ns + h->namespaces[ns].presence_interval_ms * 1000000ull;
		append(h, &all->cooling[ns], index, RC_PRESENT_COOLING);
	}
}
