/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's insides, for the files that it is made of. Nothing here is seen by another thread but through `shared` and `stats`.
 *
 *   worker.c    the thread: phases, turns, sleep          setup.c     what it is made of
 *   client.c    what a client owns                        connect.c   a socket, TLS, and at last an open client
 *   request.c   the HTTP request and its answer           speech.c    what is said until a client is subscribed
 *   output.c    what is sent                              receive.c   who can be read from: batches of receives
 *   deliver.c   events, verified and tracked              leave.c     lost, left, settled
 *   shake.c     clients that make TLS handshakes and nothing else
 *   traffic.c   who may connect, who leaves: pace, churn, storm      echo.c  clients that send what they await
 *   command.c   clients that send commands
 */
#ifndef LOAD_LOCAL_H
#define LOAD_LOCAL_H

#include "base/random.h"
#include "client.h"
#include "publisher.h"
#include "ring.h"
#include "shared.h"
#include "tls.h"

#define LOAD_SECOND     1000000000u
#define LOAD_TICK_NS    5000000u
#define LOAD_RETRY_NS   200000000u /* after a failed attempt */
#define LOAD_BATCH      16u        /* receives of one system call */
#define LOAD_BUFFER     65536u
#define LOAD_SPEECH_MAX 65536u /* bytes that a template may expand to */

/* Linked by index through the clients' `next`; a client is in at most one list. */
struct load_list {
	uint32_t first, last, count;
};

/* This worker's clients of one group: index, index + workers, … of the group. */
struct load_members {
	const struct load_group *group;
	struct load_group_stats *stats;
	uint32_t first, count; /* slots */
	double due_ns;         /* churn, echo and commands at a rate: when the next one goes */
	uint32_t turn;         /* echo, commands at a rate: whose turn it is */
	uint64_t overdue_told; /* commands: our part of the word */
	uint32_t storm_left;   /* clients that the storm has not come to yet */
	bool stormed;
	bool begun; /* handshakes, commands: all of them were let go */
};

/* A publisher and the poll of its descriptor. */
struct load_outlet {
	struct load_publisher *publisher;
	uint32_t group, generation;
	short armed;
	bool ready; /* it was told so */
};

struct load_worker {
	const struct load_plan *plan;
	struct load_shared *shared;
	struct load_worker_stats *stats;
	uint32_t index;
	enum load_phase phase;
	uint64_t window_from, window_to; /* intended times that count; both UINT64_MAX before */
	uint64_t now_ns;                 /* of the last system call that could take time */

	struct load_ring ring;
	struct load_tls_context *tls;
	struct rc_wheel wheel;
	uint64_t epoch_ns; /* tick 0 */
	struct rc_prng prng;

	struct load_client *client;
	uint32_t clients;
	struct load_members members[LOAD_GROUPS_MAX];
	struct load_outlet *outlet;
	uint32_t outlets;
	struct load_list ready, waiting;
	uint32_t connecting;
	double connect_due_ns;
	uint64_t account_ns; /* when CPU time and memory were last written */
	int schedstat;
	uint64_t extra_bytes; /* of clients and what they own */

	struct load_client *fed; /* whose stream is being taken apart: it must not be freed now */
	unsigned char
		*buffers; /* LOAD_BATCH, and one for TLS, of LOAD_STREAM_HEADROOM + LOAD_BUFFER */
	char *scratch;    /* LOAD_SPEECH_MAX */
	struct load_command_room *commands; /* command.c; NULL: no group has any */
	uint32_t batch[LOAD_BATCH];
	char goodbye[200]; /* the last close frame, in words */
	struct rc_error err;
	bool storms;        /* the plan has some: latencies are told apart by them */
	bool reached;       /* a client of this worker was open once */
	bool failed;        /* err says why */
	uint64_t broken_ns; /* a publisher broke: it fails then; 0: none did */
};

static inline uint32_t load_slot(const struct load_worker *w, const struct load_client *c)
{
	return (uint32_t)(c - w->client);
}

static inline struct load_members *load_members_of(
	struct load_worker *w, const struct load_client *c)
{
	return &w->members[c->group];
}

static inline const struct load_subscriber *load_profile(const struct load_worker *w)
{
	return &w->plan->target->subscriber;
}

static inline bool load_is_echo(const struct load_worker *w, const struct load_client *c)
{
	return w->members[c->group].group->echo;
}

static inline const struct load_url *load_client_url(
	const struct load_worker *w, const struct load_client *c)
{
	return load_is_echo(w, c) ? &load_profile(w)->echo_url : &load_profile(w)->url;
}

static inline bool load_is_sse(const struct load_url *url)
{
	return url->scheme == LOAD_SSE || url->scheme == LOAD_SSES;
}

static inline uint32_t load_tick(const struct load_worker *w, uint64_t ns)
{
	return (uint32_t)((ns - w->epoch_ns) / LOAD_TICK_NS) + 1;
}

static inline unsigned char *load_buffer(const struct load_worker *w, uint32_t i)
{
	return w->buffers + (size_t)i * (LOAD_STREAM_HEADROOM + LOAD_BUFFER) + LOAD_STREAM_HEADROOM;
}

static inline void load_list_put(struct load_worker *w, struct load_list *l, struct load_client *c)
{
	uint32_t slot = load_slot(w, c);

	c->next = RC_NONE;
	if (l->count++ == 0)
		l->first = slot;
	else
		w->client[l->last].next = slot;
	l->last = slot;
}

static inline struct load_client *load_list_take(struct load_worker *w, struct load_list *l)
{
	struct load_client *c;

	if (l->count == 0)
		return NULL;
	c = &w->client[l->first];
	l->first = c->next;
	l->count--;
	return c;
}

static inline void load_ready(struct load_worker *w, struct load_client *c)
{
	if (!(c->flags & LOAD_LISTED)) {
		c->flags |= LOAD_LISTED;
		load_list_put(w, &w->ready, c);
	}
}

/* The worker ends with this sentence; the first one stays. */
void load_worker_fail(struct load_worker *w, const char *format, ...) RC_PRINTF(2, 3);
/* w->err says why. The worker fails: at once while it connects, later after a moment in which clients may notice the same. */
void load_worker_publisher_broke(struct load_worker *w);

/* setup.c: 0, or -errno with w->failed and a sentence. Close also after a failure. */
int load_worker_open(struct load_worker *w) RC_MUST_USE;
void load_worker_close(struct load_worker *w);

/* connect.c */
void load_client_connected(struct load_worker *w, struct load_client *c);
void load_client_handshake(struct load_worker *w, struct load_client *c);
/* What the operator can do about an errno. */
const char *load_connect_why(int error);

/* request.c: connected, and TLS done: what is said first; and bytes of the HTTP answer, or of what follows it. */
void load_speech_begin(struct load_worker *w, struct load_client *c);
void load_speech_http(
	struct load_worker *w, struct load_client *c, unsigned char *bytes, size_t len);

/* speech.c: the HTTP answer grants it; and text that is no event. */
void load_speech_upgraded(struct load_worker *w, struct load_client *c);
void load_speech_text(struct load_worker *w, struct load_client *c, struct rc_str text);

/* deliver.c: bytes of an upgraded connection, with LOAD_STREAM_HEADROOM in front. */
void load_deliver(struct load_worker *w, struct load_client *c, unsigned char *bytes, size_t len);
/* channel: RC_NONE when it is not known. */
void load_count_faults(struct load_worker *w, struct load_client *c, uint32_t channel,
	const struct load_faults *faults);

/* receive.c: one batch out of the ready list; and all completions. */
void load_receive_batch(struct load_worker *w);
void load_receive_completions(struct load_worker *w);

/* traffic.c */
void load_traffic_turn(struct load_worker *w);
void load_traffic_queue(struct load_worker *w, struct load_client *c);
/* When it next has something to do, UINT64_MAX: when something happens. */
uint64_t load_traffic_next(const struct load_worker *w);

/* Events flow, or are about to be counted. */
static inline bool load_flows(const struct load_worker *w)
{
	return w->phase == LOAD_WARM || w->phase == LOAD_MEASURE;
}

/* shake.c: a handshake is over, or what the server says after it has come. */
void load_shake_done(struct load_worker *w, struct load_client *c);
void load_shake_turn(struct load_worker *w, struct load_members *m);

/* echo.c */
void load_echo_opened(struct load_worker *w, struct load_client *c);
void load_echo_event(struct load_worker *w, struct load_client *c, const struct load_event *event);
/* After events came back: closed loops send again. */
void load_echo_more(struct load_worker *w, struct load_client *c);
void load_echo_turn(struct load_worker *w, struct load_members *m);

/* command.c: buffers, when a group wants them. False: no memory. */
bool load_command_open(struct load_worker *w) RC_MUST_USE;
void load_command_close(struct load_worker *w);
void load_command_opened(struct load_worker *w, struct load_client *c);
/* before: what stood in front of it, where the answer says which command it belongs to. */
void load_command_event(struct load_worker *w, struct load_client *c,
	const struct load_event *event, struct rc_str before);
/* An error in place of an answer. */
void load_command_refused(struct load_worker *w, struct load_client *c, struct rc_str text);
/* A closed loop sends as many as were answered. */
void load_command_more(struct load_worker *w, struct load_client *c);
void load_command_turn(struct load_worker *w, struct load_members *m);
/* At the end: what was not answered is lost. */
void load_command_settle(struct load_worker *w, struct load_client *c);

#endif
