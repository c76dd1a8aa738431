/* SPDX-License-Identifier: Apache-2.0
 *
 * What all links have in common: which language, what is in flight, what can be shown of a stranger's words. See talk.h.
 */
#include "talk.h"

#include <errno.h>
#include <stdlib.h>

#define FLIGHT_FIRST 1024u

int load_talk_no_memory(struct rc_error *err)
{
	rc_error_set(err, "there is no memory for a publisher's output. Run with smaller events or "
			  "free some memory");
	return -ENOMEM;
}

char *load_talk_printable(char *out, size_t cap, const void *bytes, size_t len)
{
	const char *from = bytes;

	len = RC_MIN(len, cap - 1);
	while (len > 0 && (from[len - 1] == '\r' || from[len - 1] == '\n'))
		len--;
	for (size_t i = 0; i < len; i++)
		out[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '.';
	out[len] = '\0';
	return out;
}

static int check_target(
	struct load_talk *t, const struct load_publisher_target *target, struct rc_error *err)
{
	if (target->url.scheme == LOAD_SSE || target->url.scheme == LOAD_SSES) {
		rc_error_set(err, "events can't be published over SSE. Give the publisher's url of "
				  "the target as ingest, tcp, tls, ws, wss or http");
		return -EINVAL;
	}
	if (target->url.scheme == LOAD_INGEST)
		return 0;
	if (load_talk_serves(t) && strlen(target->serving) > LOAD_MATCH_MAX) {
		rc_error_set(err,
			"the target's serving is longer than %d bytes. Wait for a shorter part of it",
			LOAD_MATCH_MAX);
		return -EINVAL;
	}
	if (!load_talk_serves(t) && (target->event == NULL || load_template_empty(target->event))) {
		rc_error_set(err,
			"the target does not say how an event is published. Give it a line "
			"event = … in [publisher]");
		return -EINVAL;
	}
	if (!load_match_open(&t->ack, target->ack) || !load_match_open(&t->ping, target->ping) ||
		strlen(target->greeting) > LOAD_MATCH_MAX ||
		strlen(target->welcome) > LOAD_MATCH_MAX) {
		rc_error_set(err,
			"a text of the target's [publisher] is longer than %d bytes. Wait for a shorter "
			"part of it",
			LOAD_MATCH_MAX);
		return -EINVAL;
	}
	return 0;
}

int load_talk_open(struct load_talk *t, const struct load_publisher_target *target,
	struct rc_str path, uint32_t session, size_t event_len, const struct load_talk_hooks *hooks,
	struct rc_error *err)
{
	int rc;

	memset(t, 0, sizeof(*t));
	t->hooks = *hooks;
	rc = check_target(t, target, err);
	if (rc < 0)
		return rc;
	t->target = target;
	t->session = session;
	t->path = path;
	t->event_len = event_len;
	t->acks = target->url.scheme == LOAD_INGEST || t->ack.len > 0;
	t->window = target->window > 0 && target->window < LOAD_TALK_WINDOW_MAX
			    ? target->window
			    : LOAD_TALK_WINDOW_MAX;
	RC_ASSERT(load_match_open(&t->status, "HTTP/1."));
	rc_prng_seed(&t->masks, session);
	t->payload = malloc(event_len + 2);
	t->time_ns = t->acks ? malloc(FLIGHT_FIRST * sizeof(*t->time_ns)) : NULL;
	t->mask = FLIGHT_FIRST - 1;
	if (t->payload == NULL || (t->acks && t->time_ns == NULL)) {
		load_talk_close(t);
		return load_talk_no_memory(err);
	}
	return 0;
}

void load_talk_close(struct load_talk *t)
{
	free(t->payload);
	free(t->time_ns);
	free(t->out.ptr);
	free(t->asked.ptr);
	memset(t, 0, sizeof(*t));
}

int load_talk_begin(struct load_talk *t, struct rc_error *err)
{
	if (t->target->url.scheme == LOAD_INGEST)
		return load_ingest_begin(t, err);
	return load_talk_is_ws(t) ? load_ws_begin(t, err) : load_text_begin(t, err);
}

int load_talk_take(struct load_talk *t, unsigned char *bytes, size_t len, struct rc_error *err)
{
	if (len == 0)
		return 0;
	if (load_talk_serves(t) &&
		(t->target->url.scheme == LOAD_INGEST || t->step == LOAD_TALK_OPEN))
		return load_serve_take(t, bytes, len, err);
	if (t->target->url.scheme == LOAD_INGEST)
		return load_ingest_take(t, bytes, len, err);
	return load_talk_is_ws(t) ? load_ws_take(t, bytes, len, err)
				  : load_text_take(t, bytes, len, false, err);
}

int load_talk_welcomed(struct load_talk *t, struct rc_error *err)
{
	if (load_talk_serves(t))
		return load_serve_begin(t, err);
	t->step = LOAD_TALK_OPEN;
	return 0;
}

/* ---- what is in flight -------------------------------------------------------------------------- */

static int remember(struct load_talk *t, uint64_t time_ns)
{
	if (t->sent - t->through > t->mask) {
		uint64_t mask = 2 * t->mask + 1;
		uint64_t *wider = malloc((mask + 1) * sizeof(*wider));

		if (wider == NULL)
			return -ENOMEM;
		for (uint64_t s = t->through + 1; s <= t->sent; s++)
			wider[s & mask] = t->time_ns[s & t->mask];
		free(t->time_ns);
		t->time_ns = wider;
		t->mask = mask;
	}
	t->time_ns[(t->sent + 1) & t->mask] = time_ns;
	return 0;
}

int load_talk_put(struct load_talk *t, struct rc_str channel, const struct load_event *event,
	bool more, struct rc_error *err)
{
	struct load_values values = {
		.channel = channel,
		.number = event->channel,
		.session = t->session,
		.payload = {t->payload, event->len},
	};
	int rc;

	RC_DASSERT(event->len == t->event_len && t->step == LOAD_TALK_OPEN);
	if (t->acks && remember(t, event->time_ns) < 0)
		return load_talk_no_memory(err);
	if (t->target->url.scheme == LOAD_INGEST) {
		rc = load_ingest_put(t, channel, event, more, err);
	} else {
		load_event_encode(t->payload, event);
		rc = load_text_say(t, t->target->event, &values, err);
	}
	if (rc == 0)
		t->sent++;
	return rc;
}

int load_talk_acked(struct load_talk *t, uint64_t through, struct rc_error *err)
{
	if (through > t->sent) {
		rc_error_set(err,
			"the server acknowledged %llu events, %llu were sent. See that the target's ack "
			"is a text that comes once for each event and nowhere else",
			(unsigned long long)through, (unsigned long long)t->sent);
		return -EPROTO;
	}
	while (t->through < through) {
		uint64_t time_ns = t->time_ns[++t->through & t->mask];

		if (time_ns == LOAD_TALK_REFUSED)
			continue;
		t->acked++;
		t->hooks.acked(t->hooks.ctx, time_ns);
	}
	return 0;
}

int load_talk_nack(struct load_talk *t, const struct rc_ingest_nack *nack, struct rc_error *err)
{
	uint64_t *time_ns = &t->time_ns[nack->sequence & t->mask];
	char text[160];

	if (nack->sequence <= t->through || nack->sequence > t->sent ||
		*time_ns == LOAD_TALK_REFUSED) {
		rc_error_set(err,
			"the server refused an event that it was not sent, or had decided before. "
			"See that the publisher's url names a ringcast of this version");
		return -EPROTO;
	}
	*time_ns = LOAD_TALK_REFUSED;
	t->refused++;
	rc_error_set(err, "the server refused an event: %s (code %u). %s",
		load_talk_printable(text, sizeof(text), nack->text.ptr, nack->text.len),
		(unsigned)nack->code,
		nack->code >= RINGCAST_NACK_TEMPORARY
			? "Publish less, on fewer channels, or give the server more memory"
			: "Choose channels and payloads that it allows");
	return t->hooks.refused(t->hooks.ctx, nack->code, err) == 0 ? 0 : -EPROTO;
}

void load_talk_end(struct load_talk *t)
{
	unsigned char *out;

	if (t->target->url.scheme == LOAD_INGEST) {
		const struct rc_ingest_bye bye = {.code = RINGCAST_BYE_DONE};

		out = load_outbuf_room(&t->out, RC_INGEST_ANSWER_MAX);
		if (out != NULL)
			t->out.len += rc_ingest_bye_encode(out, RC_INGEST_ANSWER_MAX, &bye);
	} else if (load_talk_is_ws(t) && t->step != LOAD_TALK_UPGRADE) {
		load_ws_end(t);
	}
}
