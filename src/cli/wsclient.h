/* SPDX-License-Identifier: Apache-2.0
 *
 * One WebSocket from the client's side (RFC 6455), over TCP or TLS, for the subcommands: connect, handshake, whole messages
 * in, masked frames out. Each step waits by poll(2) for a bounded time. One owner; not for the gateway itself.
 *
 *   in    | taken | frames | room |	   decoder ─▶ pieces ─▶ message (only when it is in several)
 *	   in_begin	  in_end
 */
#ifndef RC_CLI_WSCLIENT_H
#define RC_CLI_WSCLIENT_H

#include "base/base.h"
#include "base/error.h"
#include "client/tls.h"
#include "proto/websocket.h"

#define RC_WSCLIENT_KEY_LEN    24
#define RC_WSCLIENT_ACCEPT_LEN 28
/* Sixteen times the largest payload that a gateway takes. */
#define RC_WSCLIENT_MESSAGE_MAX ((uint64_t)16 << 20)
#define RC_WSCLIENT_TOKEN_MAX   8192
#define RC_WSCLIENT_IN          (64 * 1024)

struct rc_inflater;

struct rc_wsclient {
	int fd;
	struct rc_client_tls *tls; /* NULL: without */
	struct rc_ws_decoder decoder;
	unsigned char in[RC_WSCLIENT_IN];
	size_t in_begin, in_end;
	char *message;
	size_t message_len, message_size;
	struct rc_inflater *inflater; /* NULL: permessage-deflate was not agreed on */
	char *plain;                  /* the last message that was inflated */
	size_t plain_size;
	struct {
		uint64_t messages, deflated; /* all, and those that came deflated */
		uint64_t wire, plain;        /* bytes of messages as they came, and inflated */
	} seen;
	bool close_sent;
	uint16_t close_code; /* what the peer closed with; 0: it has not */
	char close_reason[RC_WS_CONTROL_MAX + 1];
};

/* ---- the handshake, pure */

/* What Sec-WebSocket-Accept must be for a key. */
void rc_wsclient_accept(const char key[RC_WSCLIENT_KEY_LEN], char accept[RC_WSCLIENT_ACCEPT_LEN]);
/*
 * The length of the answer's head when it grants the upgrade; 0 while it is not whole; -1 with the reason when it does
 * not grant it, or wrongly. deflate: RC_WS_DEFLATE_OFFER was offered, and becomes whether it was agreed on; NULL: nothing was.
 */
RC_MUST_USE int rc_wsclient_answer(struct rc_str bytes, const char key[RC_WSCLIENT_KEY_LEN],
	const char *protocol, bool *deflate, struct rc_error *err);

/* ---- the connection */

/*
 * Connects and shakes hands, all within timeout_ms. 0, or -1 with a sentence; deinit it in either case. With tls, which is
 * then its own, over TLS; NULL: without. token: of the bearer; NULL: none. deflate: offered; w->inflater tells what came of it.
 */
RC_MUST_USE int rc_wsclient_open(struct rc_wsclient *w, struct rc_client_tls *tls, const char *host,
	uint16_t port, const char *target, const char *protocol, const char *token, bool deflate,
	int timeout_ms, struct rc_error *err);
/* Takes over a socket on which the handshake is done. */
void rc_wsclient_init(struct rc_wsclient *w, int fd);
/* Frees, and closes the socket without a word. */
void rc_wsclient_deinit(struct rc_wsclient *w);

enum rc_wsclient_event {
	RC_WSCLIENT_MORE,    /* nothing whole is there: wait until fd can be read, then receive */
	RC_WSCLIENT_MESSAGE, /* text or binary; valid until the next call */
	RC_WSCLIENT_CLOSED, /* the peer sent a close, and it was answered: close_code, close_reason */
	RC_WSCLIENT_FAILED, /* it broke the rules, or memory is out; it was told. err says it */
};

/* Out of what was received. Pings are answered on the way. */
RC_MUST_USE enum rc_wsclient_event rc_wsclient_next(
	struct rc_wsclient *w, struct rc_str *message, bool *binary, struct rc_error *err);
/* Reads once, without waiting. 1: there is more to look at; 0: not now; -1 with a sentence: the connection is gone. */
RC_MUST_USE int rc_wsclient_receive(struct rc_wsclient *w, struct rc_error *err);
/* One frame, masked. 0, or -1 with a sentence. */
RC_MUST_USE int rc_wsclient_send(
	struct rc_wsclient *w, uint8_t opcode, struct rc_str payload, struct rc_error *err);
/* wsinflate.c: messages may come deflated from now on. False: no memory. */
RC_MUST_USE bool rc_wsclient_inflates(struct rc_wsclient *w);
/* The message as it came becomes what it says, valid until the next. False: it can't be inflated, or is text and no UTF-8. */
RC_MUST_USE bool rc_wsclient_inflate(struct rc_wsclient *w, struct rc_str *message, bool binary);
/* Sends a close unless that was done. The answer comes as RC_WSCLIENT_CLOSED. */
void rc_wsclient_close(struct rc_wsclient *w, uint16_t code);

#endif
