/* SPDX-License-Identifier: Apache-2.0
 *
 * libringcast: publish events to a ringcast gateway over its binary ingest port.
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
 * How it works. An event is encoded into a window, a ring of memory that ringcast_open allocates (nothing is allocated
 * afterwards), gets a sequence number, and stays there until the gateway has acknowledged or refused it. Publishing is
 * pipelined: nobody waits for an answer until the window is full. When the connection breaks, the library comes back by
 * itself, with full jitter and for ever, and sends again what was not acknowledged, under the same sequences.
 *
 * What that means. With a publisher id the gateway recognises what it had taken already: each event is published once,
 * in order, as long as the gateway remembers the id; the connection may break at any point. Use an id from one
 * ringcast object at a time. Without an id an event is published at least once: one whose acknowledgement was lost is
 * published again. An event that the gateway refused (the nack callback) is not tried again by the library.
 *
 * Nothing happens behind your back: there is no thread. I/O is done and callbacks are called on the calling thread,
 * inside the calls that publish (when they send or wait), batch_end, flush, wait_ready and poll. Who publishes rarely
 * should call ringcast_poll now and then (or put ringcast_fd into an event loop), so that pings are answered and
 * connections come back. An object belongs to one thread at a time; different
 * objects are independent. The library raises no SIGPIPE and installs no handler.
 *
 * TLS: o.host = "tls://gateway.example:7443". The gateway's certificate is checked, its name too, or no event and no token
 * leaves. A certificate that is not accepted, or a gateway that refuses ours, counts as a try that came to nothing: the state
 * callback and ringcast_last_error say why, and the next try comes, for certificates are renewed. Reconnects resume the TLS
 * session. OpenSSL allocates memory for each connection.
 *
 * Inside a callback publishing is allowed (it does not wait and does not send by itself); ringcast_close is not, and
 * the calls that wait return RINGCAST_MISUSE.
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
 * What is published between begin and end is packed into BATCH frames, as few as possible (of 64 KiB at most; events
 * whose flags differ don't share one), and leaves together. Not atomic: what is larger than the window goes in parts.
 */
RINGCAST_API int ringcast_batch_begin(struct ringcast *r);
RINGCAST_API int ringcast_batch_end(struct ringcast *r);

/*
 * Sends, and waits until everything is acknowledged or refused. OK; TIMEOUT: ringcast_unacked tells how many are left,
 * they are kept and go on being sent; FAILED. 0 does what can be done at once, -1 waits for ever.
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
