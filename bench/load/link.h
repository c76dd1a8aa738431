/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection that events leave by: a non-blocking socket, TLS where the target wants it, and what is said on it (talk.h).
 * Owned by its publisher. Sentences name neither server nor publisher: the publisher does.
 */
#ifndef LOAD_LINK_H
#define LOAD_LINK_H

#include "talk.h"
#include "tls.h"

#define LOAD_LINK_IN_BYTES ((size_t)64 * 1024)

struct load_link {
	int fd;
	bool connecting, handshaking;
	bool more; /* a read was cut short for the sake of others: there may be more, though the descriptor will not say so again */
	short tls_wants;      /* what TLS waits for; 0: nothing beyond what the link itself wants */
	uint64_t deadline_ns; /* to be greeted and welcomed */
	double patience;      /* seconds until then, for the sentence */
	struct load_tls_context *tls_context;
	struct load_tls *tls;
	struct load_talk talk;
	unsigned char in[LOAD_LINK_IN_BYTES];
};

/*
 * Begins to connect. target and path are borrowed; the rest as in load_talk_open. 0, or -errno with a sentence and nothing is open.
 */
int load_link_open(struct load_link *l, const struct load_plan *plan, struct rc_str path,
	uint32_t session, size_t event_len, const struct load_talk_hooks *hooks, uint64_t now_ns,
	struct rc_error *err) RC_MUST_USE;
/* Says farewell if that can be done at once. A closed or zeroed link may be closed again. */
void load_link_close(struct load_link *l);

/* POLLIN, POLLOUT or both. */
short load_link_events(const struct load_link *l);
/* Does what the descriptor lets it do: connects, sends, takes what came. 0 or -errno with a sentence. */
int load_link_io(struct load_link *l, struct rc_error *err) RC_MUST_USE;
/* Sends as much of the output as the socket takes. 0 or -errno with a sentence. */
int load_link_flush(struct load_link *l, struct rc_error *err) RC_MUST_USE;
/* -ETIMEDOUT with a sentence when it should have been ready by now. */
int load_link_check(const struct load_link *l, uint64_t now_ns, struct rc_error *err) RC_MUST_USE;

static inline bool load_link_ready(const struct load_link *l)
{
	return l->talk.step == LOAD_TALK_OPEN && !l->connecting && !l->handshaking;
}

/* How many events may be put now: none while earlier output waits for the socket. */
static inline uint32_t load_link_room(const struct load_link *l)
{
	return load_outbuf_waiting(&l->talk.out) == 0 ? load_talk_room(&l->talk) : 0;
}

#endif
