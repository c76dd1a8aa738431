/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels that are read: what is subscribed to, how far it has come, and the events. A channel's place is the epoch that the
 * gateway named and the offset of the last event; that of a pattern is a text of the gateway's, which comes with each event.
 *
 * Names hang in chains by a hash; patterns have a chain of their own, for an event must look at all of them. What is taken away
 * stays in its chain until the gateway is told, in front of what is asked for anew under the same name.
 */
#include "client.h"
#include "bytes.h"

#include <stdio.h>
#include <stdlib.h>

#define PATTERNS       (RC_CLIENT_CHAINS - 1)
#define SUBSCRIBE_HEAD (RINGCAST_WIRE_HEADER_LEN + 1 + 2)
#define OFFSET_DIGITS  20

/* FNV-1a: who chooses the names is ourselves. */
static unsigned chain_of(const char *name, size_t len)
{
	uint32_t h = 2166136261u;

	if (memchr(name, '*', len))
		return PATTERNS;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 16777619u;
	return h % PATTERNS;
}

static struct rc_client_follow *find(const struct ringcast *r, const char *name, size_t len)
{
	struct rc_client_follow *f = r->follows[chain_of(name, len)];

	while (f && (f->off || f->len != len || memcmp(f->name, name, len) != 0))
		f = f->next;
	return f;
}

static void forget(struct ringcast *r, struct rc_client_follow *gone)
{
	struct rc_client_follow **at = &r->follows[chain_of(gone->name, gone->len)];

	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	r->follow_count--;
	free(gone);
}

void rc_client_follow_free(struct ringcast *r)
{
	for (unsigned i = 0; i < RC_CLIENT_CHAINS; i++) {
		while (r->follows[i])
			forget(r, r->follows[i]);
	}
}

/* ---- how far it is ------------------------------------------------------------------------------ */

/* A text of the gateway's, or of the caller's. */
static void place_at(struct rc_client_follow *f, const char *text, size_t len)
{
	const char *at = memchr(text, '@', len);

	memcpy(f->position, text, len);
	f->position[len] = 0;
	f->epoch_len = at && !f->pattern ? (size_t)(at - text) : 0;
	f->moved = false;
}

/* An event of the channel itself. Before an epoch was named it can't be said where it is. */
static void move_to(struct rc_client_follow *f, uint64_t offset)
{
	f->offset = offset;
	f->moved = f->epoch_len != 0;
}

/* Where to go on, into out, which has room for any. Returns its bytes. */
static size_t place_of(const struct rc_client_follow *f, char out[RC_CLIENT_SINCE_MAX + 1])
{
	if (!f->moved)
		return (size_t)snprintf(out, RC_CLIENT_SINCE_MAX + 1, "%s", f->position);
	return (size_t)snprintf(out, RC_CLIENT_SINCE_MAX + 1, "%.*s@%llu",
		(int)(f->epoch_len < RINGCAST_TEXT_MAX ? f->epoch_len : RINGCAST_TEXT_MAX),
		f->position, (unsigned long long)f->offset);
}

/* ---- to the gateway ----------------------------------------------------------------------------- */

int ringcast_subscribe(struct ringcast *r, const char *name, const char *since,
	ringcast_event_fn fn, void *user_data)
{
	size_t len = name ? strlen(name) : 0, since_len = since ? strlen(since) : 0;
	struct rc_client_follow *f, **end;

	if (len == 0 || len > RINGCAST_CHANNEL_MAX || since_len > RC_CLIENT_SINCE_MAX || !fn)
		return RINGCAST_INVALID;
	f = find(r, name, len);
	if (!f) {
		f = calloc(1, sizeof(*f));
		if (!f)
			return RINGCAST_NO_MEMORY;
		f->len = len;
		memcpy(f->name, name, len);
		f->pattern = chain_of(name, len) == PATTERNS;
		f->due = true;
		place_at(f, since ? since : "", since_len);
		for (end = &r->follows[chain_of(name, len)]; *end;)
			end = &(*end)->next;
		*end = f;
		r->follow_count++;
		r->follow_due = true;
	}
	f->fn = fn;
	f->user_data = user_data;
	return RINGCAST_OK;
}

int ringcast_unsubscribe(struct ringcast *r, const char *name)
{
	struct rc_client_follow *f = name ? find(r, name, strlen(name)) : NULL;

	if (!f)
		return RINGCAST_INVALID;
	if (f->due) {
		/* The gateway does not know of it yet. */
		forget(r, f);
	} else {
		f->off = f->due = r->follow_due = true;
		f->live = false;
	}
	return RINGCAST_OK;
}

void rc_client_follow_again(struct ringcast *r)
{
	for (unsigned i = 0; i < RC_CLIENT_CHAINS; i++) {
		struct rc_client_follow *f = r->follows[i], *next;

		for (; f; f = next) {
			next = f->next;
			f->live = false;
			f->due = r->follow_due = true;
			if (f->off)
				forget(r, f);
		}
	}
}

static bool say_subscribe(struct ringcast *r, const struct rc_client_follow *f)
{
	char since[RC_CLIENT_SINCE_MAX + 1];
	size_t since_len = f->off ? 0 : place_of(f, since);
	size_t len = SUBSCRIBE_HEAD + f->len + since_len;
	unsigned char *at = rc_client_ctl_reserve(r, len);

	if (!at)
		return false;
	at = rc_client_header(at, len, RINGCAST_FRAME_SUBSCRIBE, f->off ? RINGCAST_FLAG_OFF : 0);
	at = rc_client_store(at, f->len, 1);
	at = rc_client_store_bytes(at, f->name, f->len);
	at = rc_client_store(at, since_len, 2);
	rc_client_store_bytes(at, since, since_len);
	rc_client_ctl_take(r, len);
	return true;
}

void rc_client_follow_due(struct ringcast *r)
{
	for (unsigned i = 0; i < RC_CLIENT_CHAINS; i++) {
		struct rc_client_follow *f = r->follows[i], *next;

		for (; f; f = next) {
			next = f->next;
			if (f->due && !say_subscribe(r, f))
				return;
			f->due = false;
			if (f->off)
				forget(r, f);
		}
	}
	r->follow_due = false;
}

/* ---- from the gateway --------------------------------------------------------------------------- */

static bool may_come_back(unsigned verdict)
{
	return verdict == RINGCAST_VERDICT_OVER_CAPACITY || verdict == RINGCAST_VERDICT_RATE_LIMIT;
}

bool rc_client_subscribed(struct ringcast *r, unsigned flags, const unsigned char *body, size_t len)
{
	struct rc_client_body b = {body, len, false};
	char name[RINGCAST_CHANNEL_MAX + 1], text[RC_CLIENT_SINCE_MAX + 1];
	size_t name_len = rc_client_take_text(&b, 1, name, sizeof(name));
	unsigned verdict = (unsigned)rc_client_take_number(&b, 1);
	size_t text_len = rc_client_take_text(&b, 2, text, sizeof(text));
	struct rc_client_follow *f;

	if (b.short_of || b.left != 0)
		return false;
	if (flags & RINGCAST_FLAG_OFF)
		return true;
	f = find(r, name, name_len);
	/* Taken away meanwhile, and perhaps asked for again: that has an answer of its own. */
	if (!f || f->due)
		return true;
	if (verdict < RINGCAST_VERDICT_REFUSED) {
		f->live = true;
		place_at(f, text, text_len);
	} else if (!may_come_back(verdict)) {
		forget(r, f);
	}
	rc_client_tell_subscribed(r, name, (int)verdict, text);
	return true;
}

/* a:*, a:**: one level of the name for each of the pattern. */
static bool matches(const char *pattern, const char *name, const char *end)
{
	while (true) {
		size_t p = strcspn(pattern, ":");
		const char *colon = memchr(name, ':', (size_t)(end - name));
		size_t n = (size_t)((colon ? colon : end) - name);

		if (strcmp(pattern, "**") == 0)
			return n != 0;
		if (p == 1 && *pattern == '*' ? n == 0 : p != n || memcmp(pattern, name, n) != 0)
			return false;
		if ((pattern[p] != 0) != (colon != NULL))
			return false;
		if (!colon)
			return true;
		pattern += p + 1;
		name = colon + 1;
	}
}

/* Which of them an event belongs to. One that has a position came through a pattern. */
static struct rc_client_follow *meant(
	const struct ringcast *r, const char *channel, size_t len, bool through_pattern)
{
	struct rc_client_follow *f = through_pattern ? NULL : find(r, channel, len);

	if (f)
		return f->live ? f : NULL;
	for (f = r->follows[PATTERNS]; f; f = f->next) {
		if (f->live && matches(f->name, channel, channel + len))
			return f;
	}
	return NULL;
}

bool rc_client_event_came(struct ringcast *r, unsigned flags, const unsigned char *body, size_t len)
{
	struct rc_client_body b = {body, len, false};
	char channel[RINGCAST_TEXT_MAX + 1], name[RINGCAST_TEXT_MAX + 1];
	char position[RC_CLIENT_SINCE_MAX + 1] = "";
	struct ringcast_event e = {.channel = channel, .event = name, .position = position};
	size_t channel_len, position_len = 0;
	struct rc_client_follow *f;

	e.offset = rc_client_take_number(&b, 8);
	e.timestamp_ms = rc_client_take_number(&b, 8);
	if (flags & RINGCAST_FLAG_TRACE)
		e.trace = rc_client_take(&b, RINGCAST_TRACE_LEN);
	channel_len = rc_client_take_text(&b, 1, channel, sizeof(channel));
	rc_client_take_text(&b, 1, name, sizeof(name));
	if (flags & RINGCAST_FLAG_POSITION)
		position_len = rc_client_take_text(&b, 2, position, sizeof(position));
	if (b.short_of)
		return false;
	e.data = b.at;
	e.len = b.left;
	e.flags = flags & (RINGCAST_FLAG_JSON | RINGCAST_FLAG_OWN);
	f = meant(r, channel, channel_len, position_len != 0);
	if (!f)
		return true;
	if (position_len)
		place_at(f, position, position_len);
	else if (!f->pattern)
		move_to(f, e.offset);
	if (f->moved)
		(void)place_of(f, position);
	/* The callback may take the subscription away. */
	e.user_data = f->user_data;
	rc_client_tell_event(r, f->fn, &e);
	return true;
}

bool rc_client_gap(struct ringcast *r, const unsigned char *body, size_t len)
{
	struct rc_client_body b = {body, len, false};
	char channel[RINGCAST_CHANNEL_MAX + 1], position[RINGCAST_TEXT_MAX + 1];
	int reason = (int)rc_client_take_number(&b, 1);
	uint64_t missed = rc_client_take_number(&b, 8);
	size_t channel_len = rc_client_take_text(&b, 1, channel, sizeof(channel));
	size_t position_len = rc_client_take_text(&b, 1, position, sizeof(position));
	struct rc_client_follow *f;

	if (b.short_of || b.left != 0)
		return false;
	f = find(r, channel, channel_len);
	if (!f || !f->live)
		return true;
	if (position_len)
		place_at(f, position, position_len);
	rc_client_tell_gap(r, channel, reason, missed);
	return true;
}

bool rc_client_position(struct ringcast *r, const unsigned char *body, size_t len)
{
	struct rc_client_body b = {body, len, false};
	char name[RINGCAST_CHANNEL_MAX + 1], position[RC_CLIENT_SINCE_MAX + 1];
	size_t name_len = rc_client_take_text(&b, 1, name, sizeof(name));
	size_t position_len = rc_client_take_text(&b, 2, position, sizeof(position));
	struct rc_client_follow *f;

	if (b.short_of || b.left != 0)
		return false;
	f = find(r, name, name_len);
	if (f && f->live && position_len)
		place_at(f, position, position_len);
	return true;
}
