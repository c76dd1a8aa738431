/* SPDX-License-Identifier: Apache-2.0
 *
 * libringcast: publish events to a ringcast gateway over its binary ingest port; take the commands of its clients and answer
 * them; read channels.
 *
 *	struct ringcast_options o;
 *	struct ringcast *r;
 *	ringcast_options_init(&o, sizeof(o));
 *	o.host = "127.0.0.1:7400";
 *	o.publisher = "billing-1";
 *	if (ringcast_open(&r, &o) == RINGCAST_OK) {
 *		ringcast_publish(r, "news", "added", "{\"id\":1}", 8, RINGCAST_JSON, NULL);
 *		if (ringcast_flush(r, 5000) != RINGCAST_OK)
 *			fprintf(stderr, "%lu not acknowledged\n", (unsigned long)ringcast_unacked(r));
 *		ringcast_close(r);
 *	}
 *
 * A backend, with o.token of a service that has the scope "backend" (on_order is called for each command of that type):
 *
 *	ringcast_on(r, "order:place", 0, NULL, on_order, NULL);
 *	while (ringcast_poll(r, -1) == RINGCAST_OK)
 *		;
 *
 * How it works. An event is encoded into a window, a ring of memory that ringcast_open allocates (nothing is allocated
 * afterwards, but for what ringcast_on and ringcast_subscribe are to remember), gets a sequence number, and stays there
 * until the gateway has acknowledged or refused it. Publishing is pipelined: nobody waits for an answer until the window is
 * full. When the connection breaks, the library comes back by itself, with full jitter and for ever, and sends again what was
 * not acknowledged, under the same sequences.
 *
 * What that means. With a publisher id the gateway recognises what it had taken already: each event is published once,
 * in order, as long as the gateway remembers the id; the connection may break at any point. Use an id from one
 * ringcast object at a time. Without an id an event is published at least once: one whose acknowledgement was lost is
 * published again. An event that the gateway refused (the nack callback) is not tried again by the library.
 *
 * Commands are not kept. One that is outstanding when its connection ends is the gateway's again, which gives it to another
 * backend or tells the client; a reply to it comes back with RINGCAST_GONE. What a new connection needs, types and
 * subscriptions, the library says again by itself, and goes on in each channel behind the last event that it was given.
 *
 * Nothing happens behind your back: there is no thread. I/O is done and callbacks are called on the calling thread,
 * inside the calls that publish (when they send or wait), batch_end, flush, wait_ready and poll. Who publishes rarely, or
 * waits for commands, should call ringcast_poll now and then (or put ringcast_fd into an event loop), so that pings are answered and
 * connections come back. An object belongs to one thread at a time; different
 * objects are independent. The library raises no SIGPIPE and installs no handler.
 *
 * TLS: o.host = "tls://gateway.example:7443". The gateway's certificate is checked, its name too, or no event and no token
 * leaves. A certificate that is not accepted, or a gateway that refuses ours, counts as a try that came to nothing: the state
 * callback and ringcast_last_error say why, and the next try comes, for certificates are renewed. Reconnects resume the TLS
 * session. OpenSSL allocates memory for each connection.
 *
 * Inside a callback publishing and replying are allowed (they do not wait and do not send by themselves); ringcast_close is
 * not, and the calls that wait return RINGCAST_MISUSE.
 */
#ifndef RINGCAST_H
#define RINGCAST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define RINGCAST_API __attribute__((visibility("default")))
#else
#define RINGCAST_API
#endif

struct ringcast;

/* What calls return: RINGCAST_OK, or one of these. */
#define RINGCAST_OK 0
#define RINGCAST_AGAIN \
	(-1) /* no room in the window within publish_timeout_ms; the event was not taken */
#define RINGCAST_TIMEOUT (-2) /* the time is over; events are kept and still being sent */
#define RINGCAST_INVALID (-3) /* an argument can't be right; nothing was done */
#define RINGCAST_TOO_LARGE \
	(-4) /* larger than the window or than the gateway takes; the event was not taken */
#define RINGCAST_FAILED \
	(-5) /* given up: see ringcast_last_error; the events are still counted by unacked */
#define RINGCAST_NO_MEMORY (-6)
#define RINGCAST_RESOLVE   (-7) /* the host has no address */
#define RINGCAST_MISUSE    (-8) /* not inside a callback, or a batch_end without its begin */
#define RINGCAST_TLS \
	(-9) /* a file of the TLS options can't be used; the state callback was told which, and why */
#define RINGCAST_GONE \
	(-10) /* nobody waits for that reply: none was wanted, or the connection of the command is gone */

/* Flags of an event. */
#define RINGCAST_JSON     0x01u /* the data is one JSON text; without it, opaque bytes */
#define RINGCAST_WANT_ACK 0x02u /* the gateway acknowledges at once instead of with the next ones */
#define RINGCAST_POSITION 0x04u /* the ack callback gets epoch and offset of this event */
#define RINGCAST_DURABLE  0x08u /* acknowledged only when it is on disk */
#define RINGCAST_MORE \
	0x100u /* more follows at once: don't send yet (a poll, flush or publish without it does) */

enum ringcast_state {
	RINGCAST_STATE_WAITING = 0,    /* not connected; the next try is planned */
	RINGCAST_STATE_CONNECTING = 1, /* TCP, TLS or the greeting is under way */
	RINGCAST_STATE_READY = 2,      /* events flow */
	RINGCAST_STATE_FAILED = 3      /* given up: the gateway said that coming back can't help */
};

/*
 * Everything up to and including sequence is decided: published, or it was refused and the nack callback said so.
 * epoch is NULL unless the event was published with RINGCAST_POSITION; epoch and offset are then those of this very
 * sequence. (They are not known for an event that turns out, after a reconnect, to have been taken before.) epoch is
 * valid during the call.
 */
typedef void (*ringcast_ack_fn)(void *user, uint64_t sequence, const char *epoch, uint64_t offset);
/* That event was refused: a RINGCAST_NACK_ code of ringcast/wire.h, and words. It is out of the window. */
typedef void (*ringcast_nack_fn)(void *user, uint64_t sequence, int code, const char *text);
/* The state changed (or a try to connect came to nothing: WAITING again); text says why, in words. */
typedef void (*ringcast_state_fn)(void *user, enum ringcast_state state, const char *text);
/* The gateway sent an ERROR: a RINGCAST_ERROR_ code of ringcast/wire.h. Whether the connection ends, state tells. */
typedef void (*ringcast_error_fn)(void *user, int code, const char *text);
/*
 * The gateway knows what ringcast_on said: commands come from now on. Of so many types, at most credit at once, and each is
 * to be answered within timeout_ms. Called again after each reconnect and each change. None of types: it takes no more.
 */
typedef void (*ringcast_registered_fn)(
	void *user, unsigned int types, uint32_t credit, uint32_t timeout_ms);
/*
 * What became of a ringcast_subscribe: a RINGCAST_VERDICT_ code of ringcast/wire.h. LIVE or RECOVERED: nothing is missing; below
 * REFUSED: events follow, but some were missed; from REFUSED on: no subscription, and it is forgotten unless that is temporary,
 * then it is tried again with the next connection. text is the position, or why it was refused.
 */
typedef void (*ringcast_subscribed_fn)(void *user, const char *name, int verdict, const char *text);
/* Events of that channel or pattern are missing here: so many, or UINT64_MAX where nobody knows. A RINGCAST_GAP_ reason. */
typedef void (*ringcast_gap_fn)(void *user, const char *channel, int reason, uint64_t missed);

/* Fill it with ringcast_options_init, then set what should differ. Everything is copied by ringcast_open. */
struct ringcast_options {
	/* Set by ringcast_options_init; lets the library grow without breaking you. */
	size_t size;

	/*
	 * "host", "host:port", "1.2.3.4:port", "[::1]:port"; default "127.0.0.1". With "tls://" in front it is spoken over
	 * TLS; a port must then be given, here or below.
	 */
	const char *host;
	/* 0: the one in host, else (without TLS) 7400. */
	unsigned int port;
	/* NULL or "": none. */
	const char *token;
	/*
	 * Publisher id, up to 64 of [A-Za-z0-9_.:-]; NULL or "": none, events are published at least once. A gateway that
	 * asks for tls_certificate takes the name in it for the id; this is then that name, or none.
	 */
	const char *publisher;
	/*
	 * The sequence of the first event. 0: with a publisher id or a certificate the one after the last that the gateway holds, so that
	 * an id may be used again by a later process (publishing then waits for the first connection); without an id, 1.
	 */
	uint64_t first_sequence;

	/* Events that may be in the window; default 65,536, at most 16,777,216. */
	uint32_t window_events;
	/* Memory for their encoded frames; default 8 MiB, at least 4 KiB. */
	size_t window_bytes;
	/* Send only when so many bytes are pending; 0 (default): each publish sends. A poll or flush always sends. */
	size_t coalesce_bytes;

	/* Milliseconds from here on. Until the gateway has greeted; default 5,000. */
	int connect_timeout_ms;
	/* Without any answer for so long while events are under way, the connection counts as dead; default 10,000. */
	int ack_timeout_ms;
	/* How long publish waits for room; 0: return RINGCAST_AGAIN at once; -1: for ever; default 5,000. */
	int publish_timeout_ms;
	/* The n-th try waits a random time from 0 to min(backoff_max_ms, backoff_min_ms * 2^n); 100 and 10,000. */
	uint32_t backoff_min_ms;
	uint32_t backoff_max_ms;

	/* Handed to the callbacks, each of which may be NULL. */
	void *user;
	ringcast_ack_fn ack;
	ringcast_nack_fn nack;
	ringcast_state_fn state;
	ringcast_error_fn error;

	/*
	 * TLS from here on, only with a host that begins with "tls://". Files are PEM and are read by ringcast_open.
	 *
	 * The authorities that the gateway's certificate may come from; NULL: those of the system.
	 */
	const char *tls_ca;
	/* Our certificate, then its chain, for a gateway that asks for one; NULL: none. */
	const char *tls_certificate;
	/* Its private key, without a passphrase; NULL: in the file of the certificate. */
	const char *tls_key;
	/* What the gateway's certificate must be for, name or address; NULL: what host says. */
	const char *tls_name;
	/*
	 * 0, or RINGCAST_TLS_TRUST_ANYBODY: the certificate is not looked at. Whoever is on the way can then read and change
	 * everything, and gets the token. For tests on one machine.
	 */
	uint64_t tls_insecure;

	/*
	 * Backends and readers from here on. How many commands the gateway may leave outstanding here at once, as far as its own
	 * configuration lets it; default 1,024.
	 */
	uint32_t command_credit;
	/* Memory for replies that the socket has not taken; default 1 MiB, at least 4 KiB. */
	size_t reply_bytes;
	/* For what comes: the largest frame. Default 2 MiB, at least 16 KiB. What is larger ends the connection. */
	size_t receive_bytes;
	/* Handed user, as the ones above. */
	ringcast_registered_fn registered;
	ringcast_subscribed_fn subscribed;
	ringcast_gap_fn gap;
};
#define RINGCAST_TLS_TRUST_ANYBODY 0x796f6279646e6121u

/* size is sizeof(struct ringcast_options) as your compiler sees it. */
RINGCAST_API void ringcast_options_init(struct ringcast_options *options, size_t size);

/*
 * Allocates, resolves the host (once: for new addresses, close and open), and begins to connect. It does not wait: that
 * the gateway is not there is no error, it may come. RINGCAST_OK, INVALID, NO_MEMORY, RESOLVE or TLS.
 */
RINGCAST_API int ringcast_open(struct ringcast **out, const struct ringcast_options *options);
/*
 * Says good-bye when it can, and frees. It does not wait: call ringcast_flush before, or lose what unacked counts.
 * NULL is fine.
 */
RINGCAST_API void ringcast_close(struct ringcast *r);

/*
 * One event on a channel (1 to 255 bytes). event is its name (1 to 128 bytes). sequence, if not NULL, gets the event's
 * number, by which the callbacks speak of it. RINGCAST_OK means that it is in the window, not that the gateway has it.
 * Others: AGAIN, INVALID, TOO_LARGE, FAILED.
 */
RINGCAST_API int ringcast_publish(struct ringcast *r, const char *channel, const char *event,
	const void *data, size_t len, unsigned int flags, uint64_t *sequence);
/* The same with a time, milliseconds since 1970 (0 = the gateway's). */
RINGCAST_API int ringcast_publish_at(struct ringcast *r, const char *channel, const char *event,
	uint64_t timestamp_ms, const void *data, size_t len, unsigned int flags,
	uint64_t *sequence);
/* To every client that is connected to the gateway. */
RINGCAST_API int ringcast_broadcast(struct ringcast *r, const char *event, const void *data,
	size_t len, unsigned int flags, uint64_t *sequence);

/*
 * The W3C traceparent ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") that events carry which are published from now
 * on; NULL or "": none. Subscribers see it where the namespace says trace = yes. Version 00 alone. OK or INVALID, which changes
 * nothing.
 */
RINGCAST_API int ringcast_set_trace(struct ringcast *r, const char *traceparent);

/*
 * To every connection of a user, of several users, or to one session, wherever they are; the id of a user is what a client's token
 * says (1 to 128 bytes), that of a session stands in its `connected`. It has its place in the window as an event has, is
 * acknowledged when it was routed, and is no part of a batch. With RINGCAST_POSITION the ack callback's offset is the number of
 * connections that it went to: 0, nobody was there. Up to 1,000 users, 16,384 bytes of ids.
 */
RINGCAST_API int ringcast_send_user(struct ringcast *r, const char *user, const char *event,
	const void *data, size_t len, unsigned int flags, uint64_t *sequence);
RINGCAST_API int ringcast_send_users(struct ringcast *r, const char *const *users, size_t count,
	const char *event, const void *data, size_t len, unsigned int flags, uint64_t *sequence);
RINGCAST_API int ringcast_send_session(struct ringcast *r, const char *session, const char *event,
	const void *data, size_t len, unsigned int flags, uint64_t *sequence);
/*
 * Ends them, with a close code from 4000 to 4999 (0: 4004) and a reason of up to 123 bytes (NULL: none). flags:
 * RINGCAST_WANT_ACK, RINGCAST_POSITION (the offset is the number of connections), RINGCAST_MORE.
 */
RINGCAST_API int ringcast_disconnect_user(struct ringcast *r, const char *user, int code,
	const char *reason, unsigned int flags, uint64_t *sequence);
RINGCAST_API int ringcast_disconnect_session(struct ringcast *r, const char *session, int code,
	const char *reason, unsigned int flags, uint64_t *sequence);

/*
 * What is published between begin and end is packed into BATCH frames, as few as possible (of 64 KiB at most; events
 * whose flags differ don't share one), and leaves together. Not atomic: what is larger than the window goes in parts.
 */
RINGCAST_API int ringcast_batch_begin(struct ringcast *r);
RINGCAST_API int ringcast_batch_end(struct ringcast *r);

/* ---- backends ------------------------------------------------------------------------------------ */

/* Who waits for a reply. Copy it to answer later; it is a number and belongs to nobody. */
struct ringcast_caller {
	uint64_t connection;
	uint64_t command; /* 0: no reply is wanted, as for the events of clients */
};

/* Everything is valid during the call. Later versions may append fields. */
struct ringcast_command {
	struct ringcast_caller caller;
	const char *session; /* of the client */
	const char *user;    /* "": it has none */
	const char *type;    /* what ringcast_on was told */
	const char *id;      /* of the message, as the client wrote it in JSON; "": none */
	const void *data;    /* the payload */
	size_t len;
	unsigned int flags;   /* RINGCAST_JSON, RINGCAST_REDELIVERED */
	uint32_t deadline_ms; /* from now on: a later reply comes too late */
	void *user_data;      /* of ringcast_on */
};
#define RINGCAST_REDELIVERED \
	0x20u /* another backend may have had this command before and died of it */

typedef void (*ringcast_command_fn)(struct ringcast *r, const struct ringcast_command *c);

/*
 * Commands of this type come to fn from now on. type is a message type as clients say it, up to 128 bytes; "command" for those that
 * name an action; "*" for every type that no backend registered; "$connect", "$disconnect", "$subscribe" or "$unsubscribe" for what
 * clients do, "$lost" for how many of these could not be told. The same type again changes what was said.
 *
 * Among several backends the gateway gives each command to the next one in turn; with RINGCAST_BY_USER those of one user to
 * the same one; with field (the name of a top-level field of the payload, up to 64 bytes; else NULL) those of one value.
 * RINGCAST_IDEMPOTENT: when this backend dies, another may be given what it had. Up to 256 types.
 *
 * Calls before the next poll or flush go out together. OK, INVALID or NO_MEMORY.
 */
#define RINGCAST_IDEMPOTENT 0x01u
#define RINGCAST_BY_USER    0x02u
RINGCAST_API int ringcast_on(struct ringcast *r, const char *type, unsigned int flags,
	const char *field, ringcast_command_fn fn, void *user_data);
/* No more of them (NULL: of any type). Those that are on their way still come. OK or INVALID. */
RINGCAST_API int ringcast_off(struct ringcast *r, const char *type);
/* Another command_credit, from 0 on: a backend that is busy takes fewer. */
RINGCAST_API int ringcast_set_credit(struct ringcast *r, uint32_t credit);

/*
 * Answers that client, and it alone, with data (none: null), or with an error: code is 1 to 64 of [a-z0-9_], text is for
 * people, up to 255 bytes of UTF-8 (NULL: none). From the callback of the command or later; once. flags of a reply: RINGCAST_JSON, RINGCAST_MORE.
 * Outside of callbacks it waits for room as publish does; in one, the command in hand has room for a reply of up to half of
 * reply_bytes.
 * OK, GONE, AGAIN, INVALID, TOO_LARGE (than reply_bytes, or than the gateway takes), FAILED.
 *
 * That the gateway took it nobody says. One that it did not take (it answered the client itself already, or has it from us)
 * the error callback speaks of.
 */
RINGCAST_API int ringcast_reply(struct ringcast *r, struct ringcast_caller caller, const void *data,
	size_t len, unsigned int flags);
RINGCAST_API int ringcast_reply_error(
	struct ringcast *r, struct ringcast_caller caller, const char *code, const char *text);

/*
 * Subscribes the client of a session to up to 1,000 channels, or ends that; the client is told. In the window as an event is. flags:
 * RINGCAST_MORE. Acknowledged when the session's shard has done it or the session is gone; refused (the nack callback) when
 * a channel is none.
 */
RINGCAST_API int ringcast_assign(struct ringcast *r, const char *session,
	const char *const *channels, size_t count, unsigned int flags, uint64_t *sequence);
RINGCAST_API int ringcast_unassign(struct ringcast *r, const char *session,
	const char *const *channels, size_t count, unsigned int flags, uint64_t *sequence);

/* ---- reading channels ---------------------------------------------------------------------------- */

/* Everything is valid during the call. Later versions may append fields. */
struct ringcast_event {
	const char *channel;
	const char *event;
	uint64_t offset;
	uint64_t timestamp_ms;
	const void *data;
	size_t len;
	unsigned int flags; /* RINGCAST_JSON, RINGCAST_OWN */
	/* RINGCAST_TRACE_LEN bytes of ringcast/wire.h, or NULL */
	const unsigned char *trace;
	/*
	 * What a ringcast_subscribe of another process would say as since to go on behind this event: of the channel, or of the pattern
	 * through which it came; "" where there is none.
	 */
	const char *position;
	void *user_data; /* of ringcast_subscribe */
};
#define RINGCAST_OWN 0x20u /* the gateway's own word in that channel: join, leave, presence */

typedef void (*ringcast_event_fn)(struct ringcast *r, const struct ringcast_event *e);

/*
 * Events of a channel or pattern come to fn, in order. since: NULL or "" from now on, "beginning", a position, or
 * milliseconds since 1970 as text, up to 2,047 bytes. After a reconnect it goes on behind the last event; the subscribed callback tells whether that
 * was so. The same name again changes fn alone. A channel that is meant by two of them comes twice; the patterns among them
 * should not overlap. OK, INVALID or NO_MEMORY.
 */
RINGCAST_API int ringcast_subscribe(struct ringcast *r, const char *name, const char *since,
	ringcast_event_fn fn, void *user_data);
/* OK, or INVALID: there is no such subscription. A few events may still be on their way; they are passed over. */
RINGCAST_API int ringcast_unsubscribe(struct ringcast *r, const char *name);

/* ---- waiting ------------------------------------------------------------------------------------- */

/*
 * Sends, and waits until everything is acknowledged or refused, and what was replied is with the kernel. OK; TIMEOUT:
 * ringcast_unacked tells how many events are left, they are kept and go on being sent; FAILED. 0 does what can be done at once, -1 waits for ever.
 */
RINGCAST_API int ringcast_flush(struct ringcast *r, int timeout_ms);
/*
 * Does the I/O that is due, and calls callbacks. Returns as soon as something came of it (an answer, another state),
 * on a signal, or after timeout_ms; 0 never waits. OK or FAILED.
 */
RINGCAST_API int ringcast_poll(struct ringcast *r, int timeout_ms);
/* Waits until the gateway has greeted. OK, TIMEOUT or FAILED. */
RINGCAST_API int ringcast_wait_ready(struct ringcast *r, int timeout_ms);

/*
 * For an event loop of your own: wait until fd is ready for what want says or timeout ms are over, then call
 * ringcast_poll(r, 0). Ask anew each time: the descriptor changes with the connection and is -1 between two.
 */
#define RINGCAST_WANT_READ  1
#define RINGCAST_WANT_WRITE 2
RINGCAST_API int ringcast_fd(const struct ringcast *r);
RINGCAST_API int ringcast_want(const struct ringcast *r);
RINGCAST_API int ringcast_timeout(const struct ringcast *r); /* -1: nothing is planned */

/*
 * The token for the connections from now on, up to 4,095 bytes, or as long as the first one was. After FAILED it tries
 * anew.
 */
RINGCAST_API int ringcast_set_token(struct ringcast *r, const char *token);

RINGCAST_API enum ringcast_state ringcast_state(const struct ringcast *r);
/* Events in the window: neither acknowledged nor refused, sent or not. */
RINGCAST_API size_t ringcast_unacked(const struct ringcast *r);
/* The last sequence up to which everything is decided; 0 = none yet. */
RINGCAST_API uint64_t ringcast_acked(const struct ringcast *r);
/* Why the last connection ended, or "". Valid until the next call that does I/O. */
RINGCAST_API const char *ringcast_last_error(const struct ringcast *r);
/* What a return value means, in words. */
RINGCAST_API const char *ringcast_strerror(int code);

#ifdef __cplusplus
}
#endif

#endif
