/* SPDX-License-Identifier: Apache-2.0
 *
 * What backends are told of clients: that they come and go, and what they subscribe to. Nobody waits for it: what finds no room is
 * lost and counted, and the backend learns how much it was. See commands.h.
 */
#include "serve/commands.h"

void rc_client_event(
	struct rc_serve *sv, struct rc_conn *c, enum rc_client_event event, struct rc_str data)
{
	struct rc_commands *k = sv->commands;
	char session[RC_WS_SESSION_LEN];
	struct rc_command cmd = {
		.session = {session, sizeof(session)},
		.type = rc_str_of(rc_desk_events[event]),
		.user = rc_session_user(sv, c),
		.data = data,
		.lost = k->lost,
	};

	if (rc_session_looks_on(sv, c))
		return;
	rc_ws_session(sv, c, session);
	cmd.key = rc_commands_key(sv, cmd.user, cmd.session);
	if (rc_commands_event(sv, &cmd))
		k->lost = 0;
	else
		rc_client_event_lost(sv);
}

void rc_client_event_lost(struct rc_serve *sv)
{
	sv->commands->lost++;
	rc_count(sv->counters, RC_C_client_events_lost, 1);
}

/* ---- coming and going ---------------------------------------------------------------------------- */

static void tell_connected(struct rc_serve *sv, struct rc_conn *c)
{
	const struct rc_claims *claims = rc_session_claims(sv, c);
	struct rc_netaddr address;
	char text[RC_NETADDR_TEXT], out[RC_NETADDR_TEXT + RC_INFO_MAX + 64];
	struct rc_textbuf b = {.ptr = out, .cap = sizeof(out)};

	address = rc_session_address(sv, c);
	rc_textbuf_add_text(&b, "{\"address\":");
	rc_textbuf_add_string(&b, (struct rc_str){text, rc_netaddr_format(&address, text)});
	if (claims && claims->info_len) {
		rc_textbuf_add_text(&b, ",\"info\":");
		rc_textbuf_add(&b, rc_claims_info(claims));
	}
	rc_textbuf_add_char(&b, '}');
	rc_client_event(sv, c, RC_ON_CONNECT, rc_textbuf_str(&b));
}

void rc_client_connected(struct rc_serve *sv, struct rc_conn *c)
{
	if (rc_client_event_wanted(sv, RC_ON_CONNECT))
		tell_connected(sv, c);
}

void rc_client_disconnected(
	struct rc_serve *sv, struct rc_conn *c, uint16_t code, struct rc_str reason)
{
	char out[64 + 6 * 128];
	struct rc_textbuf b = {.ptr = out, .cap = sizeof(out)};

	/* One whose token was waited for has not come yet. */
	if (!rc_client_event_wanted(sv, RC_ON_DISCONNECT) ||
		(c->kind == RC_CONN_WS && rc_ws_stage(c) != RC_WS_LIVE && c->subs == RC_NONE))
		return;
	rc_textbuf_add_text(&b, "{\"code\":");
	rc_textbuf_add_u64(&b, code);
	rc_textbuf_add_text(&b, ",\"reason\":");
	reason.len = RC_MIN(reason.len, (size_t)128);
	rc_textbuf_add_string(&b, reason);
	rc_textbuf_add_char(&b, '}');
	rc_client_event(sv, c, RC_ON_DISCONNECT, rc_textbuf_str(&b));
}

/* ---- channels ------------------------------------------------------------------------------------ */

bool rc_client_channels_begin(struct rc_serve *sv, enum rc_client_event event, size_t names_len,
	size_t count, struct rc_client_channels *l)
{
	if (!rc_client_event_wanted(sv, event) || count == 0)
		return false;
	*l = (struct rc_client_channels){.event = event, .b.cap = names_len + 3 * count + 32};
	l->b.ptr = rc_pool_get(sv->pool, l->b.cap);
	if (!l->b.ptr) {
		rc_client_event_lost(sv);
		return false;
	}
	rc_textbuf_add_text(&l->b, "{\"channels\":[");
	return true;
}

/* The names of channels need no escapes. */
void rc_client_channels_add(struct rc_client_channels *l, struct rc_str name)
{
	if (l->count++)
		rc_textbuf_add_char(&l->b, ',');
	rc_textbuf_add_string(&l->b, name);
}

void rc_client_channels_end(struct rc_serve *sv, struct rc_conn *c, struct rc_client_channels *l)
{
	rc_textbuf_add_text(&l->b, "]}");
	RC_ASSERT(!l->b.full);
	if (l->count)
		rc_client_event(sv, c, l->event, rc_textbuf_str(&l->b));
	rc_pool_put(sv->pool, l->b.ptr, l->b.cap);
}
