/* SPDX-License-Identifier: Apache-2.0
 *
 * What the gateway says to libringcast: greeting, decisions, credit, errors, good-bye; commands and events are handed on. What comes is checked as if from
 * an enemy; a frame that can't be read ends the connection, a type that is not known is skipped.
 */
#include "client.h"
#include "bytes.h"

#include <stdio.h>

struct body {
	const unsigned char *at;
	size_t left;
};

static uint64_t number(struct body *b, size_t len)
{
	uint64_t value = rc_client_load(b->at, len);

	b->at += len;
	b->left -= len;
	return value;
}

/* The string behind a length of one byte, which must be the last but for `behind` bytes. NULL when it is not so. */
static const char *text(struct body *b, size_t behind, char out[RINGCAST_TEXT_MAX + 1])
{
	size_t len;

	if (b->left < 1 + behind)
		return NULL;
	len = (size_t)number(b, 1);
	if (b->left < len + behind)
		return NULL;
	memcpy(out, b->at, len);
	out[len] = 0;
	b->at += len;
	b->left -= len;
	return out;
}

static void unreadable(struct ringcast *r)
{
	rc_client_disconnect(r, false, "the gateway sent a frame that can't be read");
}

static void moved_on(struct ringcast *r)
{
	r->since_ms = rc_client_now_ms();
	r->attempts = 0;
}

static void greeted(struct ringcast *r, struct body *b)
{
	char server[RINGCAST_TEXT_MAX + 1], words[RINGCAST_TEXT_MAX + 32];
	bool choose = r->known && r->o.first_sequence == 0;
	uint64_t held;
	unsigned version;

	if (b->left < 5 || memcmp(b->at, RINGCAST_WIRE_MAGIC, RINGCAST_WIRE_MAGIC_LEN) != 0) {
		rc_client_disconnect(r, false, "who answers is not a ringcast gateway");
		return;
	}
	version = b->at[4];
	b->at += 5;
	b->left -= 5;
	if (version != RINGCAST_WIRE_VERSION) {
		snprintf(words, sizeof(words), "the gateway speaks version %u of the protocol",
			version);
		rc_client_disconnect(r, true, words);
		return;
	}
	if (!text(b, 8 + 4 + 4 + 4, server)) {
		unreadable(r);
		return;
	}
	held = number(b, 8);
	r->frame_max = (uint32_t)number(b, 4);
	r->message_max = (uint32_t)number(b, 4);
	r->credit = (uint32_t)number(b, 4);
	if (r->frame_max < RINGCAST_FRAME_MAX_FLOOR) {
		r->frame_max = 0;
		rc_client_disconnect(r, true, "the gateway's frame_max is below 65536");
		return;
	}
	r->ready_ms = rc_client_now_ms();
	r->since_ms = r->ready_ms;
	r->unblocked = true;
	snprintf(words, sizeof(words), "gateway %s", server);
	if (rc_client_window_rewind(r, r->known ? held : 0))
		rc_client_tell_ack(r, r->acked, NULL, 0);
	if (choose && r->next_sequence <= held) {
		/* Numbers that the gateway has seen would be acknowledged and thrown away. */
		r->next_sequence = held + 1;
		if (r->events == 0)
			r->acked = held;
	} else if (r->next_sequence == 0) {
		r->next_sequence = 1;
	}
	r->heard_ms = r->ready_ms;
	r->register_due = r->handler_count != 0;
	r->flow_due = false;
	rc_client_follow_again(r);
	rc_client_tell_state(r, RINGCAST_STATE_READY, words);
}

static void acknowledged(struct ringcast *r, unsigned flags, struct body *b)
{
	char epoch[RINGCAST_TEXT_MAX + 1];
	const char *named = NULL;
	uint64_t sequence, offset = 0;

	if (b->left < 8) {
		unreadable(r);
		return;
	}
	sequence = number(b, 8);
	if (flags & RINGCAST_FLAG_POSITION) {
		named = text(b, 8, epoch);
		if (!named) {
			unreadable(r);
			return;
		}
		offset = number(b, 8);
	}
	if (b->left != 0) {
		unreadable(r);
		return;
	}
	/* Again, or of a number that is not under way: nothing new. */
	if (!rc_client_window_ack(r, sequence))
		return;
	moved_on(r);
	rc_client_tell_ack(r, named ? sequence : r->acked, named, offset);
}

static void refused(struct ringcast *r, struct body *b)
{
	char words[RINGCAST_TEXT_MAX + 1];
	uint64_t sequence;
	int code;

	if (b->left < 10) {
		unreadable(r);
		return;
	}
	sequence = number(b, 8);
	code = (int)number(b, 2);
	if (!text(b, 0, words) || b->left != 0) {
		unreadable(r);
		return;
	}
	if (!rc_client_window_nack(r, sequence))
		return;
	moved_on(r);
	rc_client_tell_nack(r, sequence, code, words);
}

static void error_came(struct ringcast *r, struct body *b)
{
	char words[RINGCAST_TEXT_MAX + 1], why[RINGCAST_TEXT_MAX + 48];
	int code;

	if (b->left < 2) {
		unreadable(r);
		return;
	}
	code = (int)number(b, 2);
	if (!text(b, 0, words) || b->left != 0) {
		unreadable(r);
		return;
	}
	rc_client_tell_error(r, code, words);
	if (code >= RINGCAST_ERROR_LIVES)
		return;
	snprintf(why, sizeof(why), "the gateway said: %s (error %d)", words, code);
	rc_client_disconnect(r, code < RINGCAST_ERROR_RETRY, why);
}

static void bye_came(struct ringcast *r, struct body *b)
{
	char why[64];
	unsigned code;

	if (b->left != 6) {
		unreadable(r);
		return;
	}
	code = (unsigned)number(b, 2);
	r->bye_after_ms = (uint32_t)number(b, 4);
	r->draining = true;
	/* Otherwise what is under way is waited for; step() ends it. */
	if (r->state != RINGCAST_STATE_READY) {
		snprintf(why, sizeof(why), "the gateway said good-bye (%u)", code);
		rc_client_disconnect(r, false, why);
	}
}

/* Returns false when the answer has no room to wait in. */
static bool ping_came(struct ringcast *r, struct body *b)
{
	const size_t len = RINGCAST_WIRE_HEADER_LEN + 8;
	unsigned char *at;

	if (b->left != 8) {
		unreadable(r);
		return true;
	}
	at = rc_client_ctl_reserve(r, len);
	if (!at)
		return false;
	rc_client_store_bytes(rc_client_header(at, len, RINGCAST_FRAME_PONG, 0), b->at, 8);
	rc_client_ctl_take(r, len);
	return true;
}

/* What backends and readers are told. False: it can't be read. */
static bool told(struct ringcast *r, unsigned type, unsigned flags, const struct body *b)
{
	switch (type) {
	case RINGCAST_FRAME_COMMAND:
		return rc_client_command(r, flags, b->at, b->left);
	case RINGCAST_FRAME_REGISTER:
		return rc_client_registered(r, b->at, b->left);
	case RINGCAST_FRAME_EVENT:
		return rc_client_event_came(r, flags, b->at, b->left);
	case RINGCAST_FRAME_SUBSCRIBE:
		return rc_client_subscribed(r, flags, b->at, b->left);
	case RINGCAST_FRAME_GAP:
		return rc_client_gap(r, b->at, b->left);
	case RINGCAST_FRAME_POSITION:
		return rc_client_position(r, b->at, b->left);
	default:
		return true;
	}
}

/* Returns false when it has to wait until there is room for what follows from it. */
static bool frame(struct ringcast *r, unsigned type, unsigned flags, struct body b)
{
	bool greeting = r->state == RINGCAST_STATE_CONNECTING;

	if (greeting != (type == RINGCAST_FRAME_HELLO) && type != RINGCAST_FRAME_ERROR &&
		type != RINGCAST_FRAME_BYE) {
		/* A second HELLO, or anything before the first. Later versions' frames come after it. */
		rc_client_disconnect(r, false, "who answers is not a ringcast gateway");
		return true;
	}
	switch (type) {
	case RINGCAST_FRAME_HELLO:
		greeted(r, &b);
		return true;
	case RINGCAST_FRAME_ACK:
		acknowledged(r, flags, &b);
		return true;
	case RINGCAST_FRAME_NACK:
		refused(r, &b);
		return true;
	case RINGCAST_FRAME_FLOW:
		if (b.left == 4)
			r->credit = (uint32_t)number(&b, 4);
		else
			unreadable(r);
		return true;
	case RINGCAST_FRAME_PING:
		return ping_came(r, &b);
	case RINGCAST_FRAME_ERROR:
		error_came(r, &b);
		return true;
	case RINGCAST_FRAME_BYE:
		bye_came(r, &b);
		return true;
	case RINGCAST_FRAME_COMMAND:
		/* The reply may want to leave before the callback returns. */
		if (!rc_client_reply_ready(r))
			return false;
		/* fall through */
	default:
		if (!told(r, type, flags, &b))
			unreadable(r);
		return true;
	}
}

/* An alert where a greeting should be: a length of 200 KB that no frame has. */
static bool tls_speaks(const struct ringcast *r)
{
	return r->state == RINGCAST_STATE_CONNECTING && !r->tls && r->rx_len >= 3 &&
	       r->rx[0] == 21 && r->rx[1] == 3 && r->rx[2] != 0;
}

void rc_client_answers(struct ringcast *r)
{
	size_t off = 0;

	if (tls_speaks(r)) {
		rc_client_disconnect(r, false, "the gateway speaks TLS there, which tls:// is for");
		return;
	}
	r->stalled = false;
	while (r->rx_len - off >= RINGCAST_WIRE_HEADER_LEN) {
		const unsigned char *at = r->rx + off;
		uint64_t total = rc_client_load(at, 4) + RINGCAST_WIRE_LENGTH_LEN;

		if (total < RINGCAST_WIRE_HEADER_LEN || total > r->o.receive_bytes) {
			unreadable(r);
			return;
		}
		if (r->rx_len - off < total)
			break;
		if (!frame(r, at[4], at[5],
			    (struct body){at + RINGCAST_WIRE_HEADER_LEN,
				    (size_t)total - RINGCAST_WIRE_HEADER_LEN})) {
			r->stalled = true;
			break;
		}
		/* Gone, and rx with it. */
		if (r->fd < 0)
			return;
		r->changes++;
		off += (size_t)total;
	}
	memmove(r->rx, r->rx + off, r->rx_len - off);
	r->rx_len -= off;
}
