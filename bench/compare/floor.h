/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor under the fan-out figure: the least that a server can do which sends the same bytes to the same readers. It
 * takes the same upgrade, subscription and ingest protocol as the gateway, sends every event to every subscriber,
 * limits nothing, checks almost nothing, and never closes a slow client. One thread, epoll; whatever goes wrong ends it with
 * status 1 and a sentence.
 *
 *   coalesce   each turn takes all input that is there, then one send(2) per client of all that it lacks
 *   uring      the same, the sends submitted to an io_uring 128 at a time
 *   each       one send(2) per client and event
 *
 * With --certificate and --key clients speak TLS, each range is sealed anew for each of them, and the mode is `coalesce`. A client that
 * goes after its handshake makes it the floor under handshakes, too.
 *
 * With --raw a frame holds the publisher's bytes and nothing else: the shortest frames there are, for measuring a reader.
 *
 *   floor.c         the program, its descriptors and their turn
 *   floor_hear.c    what clients and publishers say
 *   floor_ring.c    events as frames, in a ring
 *   floor_flush.c   what goes out, in each of the modes
 *   floor_tls.c     the same through OpenSSL
 */
#ifndef COMPARE_FLOOR_H
#define COMPARE_FLOOR_H

#include <sys/types.h>

#include "base/base.h"
#include "proto/ingest.h"

#define FLOOR_DESCRIPTORS_MAX 20000
#define FLOOR_FEED_BYTES      (4u << 20)

enum floor_mode { FLOOR_COALESCE, FLOOR_URING, FLOOR_EACH };

struct floor_client {
	uint64_t pos;        /* the ring's bytes before this one went out */
	uint64_t frame;      /* mode each: the first frame that did not go out whole */
	void *ssl;           /* with TLS: OpenSSL's object */
	unsigned char *rest; /* with TLS: sealed, and not taken by the socket */
	size_t rest_len;
	int fd;
	bool upgraded, subscribed, blocked;
};

/* An ingest connection. */
struct floor_feed {
	size_t len;
	unsigned char bytes[FLOOR_FEED_BYTES];
};

/* Dense: the last one takes the place of one that goes. */
extern struct floor_client floor_clients[FLOOR_DESCRIPTORS_MAX];
extern uint32_t floor_client_count;

_Noreturn void floor_die(const char *format, ...) RC_PRINTF(1, 2);
_Noreturn void floor_die_errno(const char *what);
/* Of little, to one who has room for it. */
void floor_send_all(int fd, const void *bytes, size_t len);

/*
 * The ring is mapped twice in a row, so that what a client lacks is always one range. A client that is a whole ring behind ends
 * the program: the bench never lets that happen.
 */
void floor_ring_open(bool raw);
/* The frame that the gateway would make of it (raw: its payload's), at the ring's end. */
void floor_ring_append(const struct rc_ingest_publish *event);
uint64_t floor_ring_tail(void);   /* bytes that were ever put into it */
uint64_t floor_ring_frames(void); /* and frames */
uint64_t floor_ring_frame_end(uint64_t frame);
const unsigned char *floor_ring_at(uint64_t pos);

/* False when the other end is gone. */
bool floor_hear_client(struct floor_client *client) RC_MUST_USE;
bool floor_hear_feed(int fd, struct floor_feed *feed) RC_MUST_USE;

/* All others do nothing before it, or where c->ssl is NULL must not be called. */
void floor_tls_open(const char *certificate, const char *key);
void floor_tls_accept(struct floor_client *c);
void floor_tls_end(struct floor_client *c);
/* As recv(2) does; the handshake goes on by it. */
ssize_t floor_tls_receive(struct floor_client *c, void *bytes, size_t size) RC_MUST_USE;
void floor_tls_send(struct floor_client *c, const void *bytes, size_t len);
/* All that it lacks, or as much as the socket takes. */
void floor_tls_flush(struct floor_client *c);

void floor_flush_open(enum floor_mode mode);
/* After every turn. unblocked: somebody can be sent to again. */
void floor_flush(bool unblocked);

#endif
