/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames of libringcast that are not kept: greeting, pings, good-bye, and what others put between them. The buffer is
 * described in client.h.
 */
#include "client.h"
#include "bytes.h"

unsigned char *rc_client_header(unsigned char *at, size_t frame_len, uint8_t type, uint8_t flags)
{
	at = rc_client_store(at, frame_len - RINGCAST_WIRE_LENGTH_LEN, RINGCAST_WIRE_LENGTH_LEN);
	at = rc_client_store(at, type, 1);
	at = rc_client_store(at, flags, 1);
	return rc_client_store(at, 0, 2);
}

/* So each byte that is moved stands for one that was sent. */
static bool worth_moving(const struct ringcast *r)
{
	return r->ctl_off >= r->ctl_len - r->ctl_off;
}

static void move_up(struct ringcast *r)
{
	if (!worth_moving(r))
		return;
	memmove(r->ctl, r->ctl + r->ctl_off, r->ctl_len - r->ctl_off);
	r->ctl_len -= r->ctl_off;
	r->ctl_off = 0;
}

static unsigned char *reserve(struct ringcast *r, size_t len, size_t max)
{
	if (r->ctl_len + len > max)
		move_up(r);
	return r->ctl_len + len > max ? NULL : r->ctl + r->ctl_len;
}

unsigned char *rc_client_ctl_reserve(struct ringcast *r, size_t len)
{
	return reserve(r, len, r->ctl_max);
}

unsigned char *rc_client_reply_reserve(struct ringcast *r, size_t len)
{
	return reserve(r, len, r->o.reply_bytes);
}

void rc_client_ctl_take(struct ringcast *r, size_t len)
{
	r->ctl_len += len;
}

bool rc_client_reply_ready(const struct ringcast *r)
{
	return r->ctl_len - (worth_moving(r) ? r->ctl_off : 0) <= r->o.reply_bytes / 2;
}

void rc_client_say_hello(struct ringcast *r)
{
	size_t id_len = strlen(r->publisher), token_len = strlen(r->token);
	size_t len = RINGCAST_WIRE_HEADER_LEN + 5 + 1 + id_len + 2 + token_len + 8;
	unsigned char *at = rc_client_header(r->ctl, len, RINGCAST_FRAME_HELLO, 0);

	at = rc_client_store_bytes(at, RINGCAST_WIRE_MAGIC, RINGCAST_WIRE_MAGIC_LEN);
	at = rc_client_store(at, RINGCAST_WIRE_VERSION, 1);
	at = rc_client_store(at, id_len, 1);
	at = rc_client_store_bytes(at, r->publisher, id_len);
	at = rc_client_store(at, token_len, 2);
	at = rc_client_store_bytes(at, r->token, token_len);
	rc_client_store(at, r->known ? r->acked : 0, 8);
	r->ctl_len = len;
	r->ctl_off = 0;
}

void rc_client_bye(struct ringcast *r)
{
	const size_t len = RINGCAST_WIRE_HEADER_LEN + 6;
	unsigned char *at;

	if (r->state != RINGCAST_STATE_READY || r->send_off != 0)
		return;
	at = rc_client_ctl_reserve(r, len);
	if (at) {
		memset(rc_client_header(at, len, RINGCAST_FRAME_BYE, 0), 0, 6);
		rc_client_ctl_take(r, len);
	}
	r->draining = true;
	rc_client_send(r);
}

/* Without room something else is on its way that the gateway has to take. */
void rc_client_ping(struct ringcast *r)
{
	const size_t len = RINGCAST_WIRE_HEADER_LEN + 8;
	unsigned char *at = rc_client_ctl_reserve(r, len);

	if (!at)
		return;
	at = rc_client_header(at, len, RINGCAST_FRAME_PING, 0);
	rc_client_store(at, r->connection, 8);
	rc_client_ctl_take(r, len);
}

void rc_client_control_due(struct ringcast *r)
{
	if (r->draining)
		return;
	if (r->register_due || r->flow_due)
		rc_client_register_due(r);
	if (r->follow_due)
		rc_client_follow_due(r);
}
