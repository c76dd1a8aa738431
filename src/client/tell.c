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
