/* SPDX-License-Identifier: Apache-2.0
 *
 * The callbacks of libringcast. While one runs, in_callback keeps the calls that would do I/O from being entered again.
 */
#include "client.h"

void rc_client_tell_ack(struct ringcast *r, uint64_t sequence, const char *epoch, uint64_t offset)
{
	bool nested = r->in_callback;

	if (!r->o.ack)
		return;
	r->in_callback = true;
	r->o.ack(r->o.user, sequence, epoch, offset);
	r->in_callback = nested;
}

void rc_client_tell_nack(struct ringcast *r, uint64_t sequence, int code, const char *text)
{
	bool nested = r->in_callback;

	if (!r->o.nack)
		return;
	r->in_callback = true;
	r->o.nack(r->o.user, sequence, code, text);
	r->in_callback = nested;
}

void rc_client_tell_error(struct ringcast *r, int code, const char *text)
{
	bool nested = r->in_callback;

	if (!r->o.error)
		return;
	r->in_callback = true;
	r->o.error(r->o.user, code, text);
	r->in_callback = nested;
}

void rc_client_tell_registered(
	struct ringcast *r, unsigned types, uint32_t credit, uint32_t timeout_ms)
{
	bool nested = r->in_callback;

	if (!r->o.registered)
		return;
	r->in_callback = true;
	r->o.registered(r->o.user, types, credit, timeout_ms);
	r->in_callback = nested;
}

void rc_client_tell_command(
	struct ringcast *r, ringcast_command_fn fn, const struct ringcast_command *c)
{
	bool nested = r->in_callback;

	r->in_callback = true;
	fn(r, c);
	r->in_callback = nested;
}

void rc_client_tell_event(struct ringcast *r, ringcast_event_fn fn, const struct ringcast_event *e)
{
	bool nested = r->in_callback;

	r->in_callback = true;
	fn(r, e);
	r->in_callback = nested;
}

void rc_client_tell_subscribed(struct ringcast *r, const char *name, int verdict, const char *text)
{
	bool nested = r->in_callback;

	if (!r->o.subscribed)
		return;
	r->in_callback = true;
	r->o.subscribed(r->o.user, name, verdict, text);
	r->in_callback = nested;
}

void rc_client_tell_gap(struct ringcast *r, const char *channel, int reason, uint64_t missed)
{
	bool nested = r->in_callback;

	if (!r->o.gap)
		return;
	r->in_callback = true;
	r->o.gap(r->o.user, channel, reason, missed);
	r->in_callback = nested;
}

void rc_client_tell_state(struct ringcast *r, enum ringcast_state state, const char *text)
{
	bool nested = r->in_callback;

	r->state = state;
	r->changes++;
	if (!r->o.state)
		return;
	r->in_callback = true;
	r->o.state(r->o.user, state, text);
	r->in_callback = nested;
}
