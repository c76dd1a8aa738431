/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of libringcast: one object, owned by one thread at a time, and what its files call of each other.
 *
 *	open.c	   options, names and addresses, open and close, what can be asked
 *	publish.c  encodes events into the window
 *	people.c   what has its place among them: SEND, CLOSE, ASSIGN
 *	command.c  types that a backend takes, their commands, the replies
 *	follow.c   channels that are read
 *	control.c  frames that are not kept: HELLO, PONG, BYE, REGISTER, REPLY, SUBSCRIBE
 *	window.c   the window: a ring of encoded frames and a ring of records that say what is where
 *	link.c	   the connection: connect, send, receive, time-outs, coming back
 *	tls.c	   a stream over OpenSSL; knows nothing of the others
 *	answer.c   what the gateway says
 *	tell.c	   the callbacks
 *	wait.c	   the calls that wait
 *
 * The window. Frames lie in `bytes` one behind the other, each in one piece; one that does not fit before the end
 * starts at the front again. Records are counted by numbers that only grow:
 *
 *	     rec_first		  rec_send		    rec_end
 *	| free	 | sent, not decided | not sent (send_off bytes | free |
 *				       of the first are out)
 *
 * Invariants: events = the events of all records that are not decided; outstanding = those of them before rec_send.
 * The record at rec_first is never decided. Only the last record may be open (a BATCH that is being filled), and it is
 * not sent before it is closed. The bytes of a record never change once it is closed.
 *
 * Control frames. `ctl` is a plain buffer: frames are put behind ctl_len and sent from ctl_off on, between two frames of the
 * window; when it is empty it begins at the front again, and when half is out the rest may be moved there. It belongs to one
 * connection and is empty for the next. What a new connection has to be told again (types, subscriptions) is not in it
 * but marked as due, and written when there is room.
 */
#ifndef RC_CLIENT_CLIENT_H
#define RC_CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "ringcast.h"
#include "ringcast/wire.h"
#include "tls.h"

#define RC_CLIENT_ADDRESSES 8
#define RC_CLIENT_SINCE_MAX 2047
#define RC_CLIENT_CHAINS    257

/* A type that this backend takes. */
struct rc_client_handler {
	char type[RINGCAST_TYPE_MAX + 1];
	char field[RINGCAST_FIELD_MAX + 1];
	uint8_t type_len, field_len;
	uint8_t mode, flags;
	ringcast_command_fn fn;
	void *user_data;
};

/* A channel or pattern that is read. */
struct rc_client_follow {
	struct rc_client_follow *next;
	char name[RINGCAST_CHANNEL_MAX + 1];
	size_t len;
	bool pattern;
	bool due;   /* SUBSCRIBE is to be sent */
	bool off;   /* is to go; forgotten when that is sent */
	bool live;  /* the gateway took it, on this connection */
	bool moved; /* position's epoch and offset are where it is; else position is, as it stands */
	ringcast_event_fn fn;
	void *user_data;
	uint64_t offset; /* of the last event; a channel's */
	size_t epoch_len;
	char position[RC_CLIENT_SINCE_MAX + 1];
};

struct rc_client_record {
	uint64_t at;          /* place in the window, counted from the beginning of time */
	uint64_t first, last; /* sequences; they differ in a BATCH alone */
	uint32_t len;
	uint16_t count; /* events */
	bool open;
	bool decided;
};

struct ringcast {
	struct ringcast_options o;
	char publisher[RINGCAST_PUBLISHER_ID_MAX + 1];
	bool known; /* by an id, or by a certificate: the gateway may hold sequences of earlier connections */
	char *token;
	size_t token_max;
	struct sockaddr_storage addresses[RC_CLIENT_ADDRESSES];
	socklen_t address_lens[RC_CLIENT_ADDRESSES];
	unsigned address_count;
	unsigned address; /* the one that is tried now */

	/* the window */
	unsigned char *bytes;
	uint64_t tail; /* where the next frame goes, unless it has to start at the front */
	struct rc_client_record *records;
	uint32_t record_mask;
	uint64_t rec_first, rec_send, rec_end;
	size_t send_off;
	size_t unsent_bytes; /* of the records from rec_send on */
	uint32_t events;
	uint32_t outstanding;
	uint64_t next_sequence; /* 0: not known before the gateway's HELLO */
	uint64_t acked;
	bool batching;
	unsigned batch_flags; /* of the open record */
	bool traced;
	unsigned char trace[RINGCAST_TRACE_LEN]; /* for the events to come */

	/* the connection */
	enum ringcast_state state;
	int fd;
	struct rc_client_tls *tls; /* NULL: without */
	bool shaking;              /* TCP is up, TLS not yet */
	bool connected;            /* TCP is, and TLS, so HELLO may go out */
	bool draining;             /* the gateway said BYE: no new frames */
	bool unblocked;            /* the last send took all that it was given */
	bool in_callback;
	uint32_t credit, frame_max, message_max;
	uint32_t bye_after_ms;
	unsigned attempts;    /* since a connection that was any good */
	unsigned publishes;   /* counts, to look for answers now and then */
	uint64_t retry_at_ms; /* WAITING */
	uint64_t since_ms; /* CONNECTING: begun; READY: last sign that events are being decided */
	uint64_t ready_ms; /* READY: since when */
	uint64_t changes;  /* grows with each frame that came and each change of state */
	uint64_t random;
	unsigned char *ctl;
	size_t ctl_len, ctl_off, ctl_max;
	unsigned char *rx;
	size_t rx_len;
	uint64_t heard_ms;   /* READY: last bytes of the gateway */
	uint64_t connection; /* counts them */

	/* what each connection is told */
	struct rc_client_handler *handlers;
	unsigned handler_count, handler_room;
	unsigned follow_count;
	bool stalled;    /* what is in rx waits for room in ctl */
	bool asked;      /* the gateway is silent, and a PING is out */
	bool registered; /* REGISTER is out on this connection */
	bool register_due, flow_due, follow_due;
	struct rc_client_follow *follows[RC_CLIENT_CHAINS]; /* the last: patterns */
	char why[256];
};

static inline struct rc_client_record *rc_client_record(struct ringcast *r, uint64_t number)
{
	return &r->records[number & r->record_mask];
}

/* Answers must come, or the connection counts as dead. */
static inline bool rc_client_due(const struct ringcast *r)
{
	return r->outstanding != 0 || r->send_off != 0;
}

/* window.c */

/* Room for a frame of len bytes and one record, or NULL. Nothing is taken yet. */
unsigned char *rc_client_window_reserve(struct ringcast *r, size_t len);
/* Takes what was just reserved; the record is closed and holds no events yet. */
struct rc_client_record *rc_client_window_take(struct ringcast *r, size_t len);
/* The last record, if it is open and len more bytes fit behind it; else NULL. */
struct rc_client_record *rc_client_window_open(struct ringcast *r, size_t len);
void rc_client_window_close(struct ringcast *r);
/* All that was sent and has a sequence up to this one is decided. Returns whether that moved anything. */
bool rc_client_window_ack(struct ringcast *r, uint64_t sequence);
/* That sequence alone is decided. Returns whether it was under way. */
bool rc_client_window_nack(struct ringcast *r, uint64_t sequence);
void rc_client_window_drop(struct ringcast *r, uint64_t number);
/* A new connection: nothing is under way, all up to `held` is decided. Returns whether that decided anything. */
bool rc_client_window_rewind(struct ringcast *r, uint64_t held);
/* So many bytes from rec_send on are out. With 0 it only skips what is decided. */
void rc_client_window_sent(struct ringcast *r, size_t len);

/* control.c */

/* The first bytes of a frame. Returns the place behind them. */
unsigned char *rc_client_header(unsigned char *at, size_t frame_len, uint8_t type, uint8_t flags);
/* Room for one more frame, or NULL. Replies leave some to the rest. Nothing is taken yet. */
unsigned char *rc_client_ctl_reserve(struct ringcast *r, size_t len);
unsigned char *rc_client_reply_reserve(struct ringcast *r, size_t len);
void rc_client_ctl_take(struct ringcast *r, size_t len);
/* A reply of half the room would fit. */
bool rc_client_reply_ready(const struct ringcast *r);
void rc_client_say_hello(struct ringcast *r);
void rc_client_bye(struct ringcast *r);
void rc_client_ping(struct ringcast *r);
/* Writes what is due into ctl. */
void rc_client_control_due(struct ringcast *r);
/* Something of it is to be sent. */
static inline bool rc_client_control_waits(const struct ringcast *r)
{
	if (r->ctl_len > r->ctl_off)
		return true;
	return r->state == RINGCAST_STATE_READY && !r->draining &&
	       (r->register_due || r->flow_due || r->follow_due);
}
/* Whether it must know that the gateway is still there: nothing else would tell. */
static inline bool rc_client_listens(const struct ringcast *r)
{
	return r->handler_count != 0 || r->follow_count != 0;
}

/* publish.c */

struct rc_client_event {
	uint8_t type;
	uint8_t flags;
	const char *channel; /* ASSIGN: the session */
	size_t channel_len;
	const char *name;
	size_t name_len;
	uint64_t timestamp_ms;
	const void *data;
	size_t len;
	/* SEND and CLOSE: whom; ASSIGN: the channels */
	uint8_t target;
	const char *const *ids;
	size_t id_count;
	uint16_t code;              /* CLOSE, whose reason is the name; ASSIGN: whether on */
	const unsigned char *trace; /* NULL: none */
};
/* As the calls of ringcast.h: takes it into the window. */
int rc_client_publish(struct ringcast *r, struct rc_client_event *e, unsigned known, unsigned flags,
	uint64_t *sequence);
/* What follows every call that put something into the window or into ctl. */
void rc_client_after(struct ringcast *r, bool more);

/* people.c */

size_t rc_client_people_len(const struct rc_client_event *e);
/* What stands between the sequence and the event's name. */
unsigned char *rc_client_put_people(unsigned char *at, const struct rc_client_event *e);

/* command.c */

/* What a REGISTER takes with all types. */
#define RC_CLIENT_REGISTER_MAX          \
	(RINGCAST_WIRE_HEADER_LEN + 6 + \
		RINGCAST_TYPES_MAX * (4 + RINGCAST_TYPE_MAX + RINGCAST_FIELD_MAX))
void rc_client_register_due(struct ringcast *r);
/* Bodies of frames from the gateway. False: it can't be read. */
bool rc_client_command(struct ringcast *r, unsigned flags, const unsigned char *body, size_t len);
bool rc_client_registered(struct ringcast *r, const unsigned char *body, size_t len);

/* follow.c */

void rc_client_follow_due(struct ringcast *r);
/* A new connection: all are to be said again. */
void rc_client_follow_again(struct ringcast *r);
void rc_client_follow_free(struct ringcast *r);
bool rc_client_event_came(
	struct ringcast *r, unsigned flags, const unsigned char *body, size_t len);
bool rc_client_subscribed(
	struct ringcast *r, unsigned flags, const unsigned char *body, size_t len);
bool rc_client_gap(struct ringcast *r, const unsigned char *body, size_t len);
bool rc_client_position(struct ringcast *r, const unsigned char *body, size_t len);

/* tell.c */

void rc_client_tell_ack(struct ringcast *r, uint64_t sequence, const char *epoch, uint64_t offset);
void rc_client_tell_nack(struct ringcast *r, uint64_t sequence, int code, const char *text);
void rc_client_tell_error(struct ringcast *r, int code, const char *text);
void rc_client_tell_registered(
	struct ringcast *r, unsigned types, uint32_t credit, uint32_t timeout_ms);
void rc_client_tell_command(
	struct ringcast *r, ringcast_command_fn fn, const struct ringcast_command *c);
void rc_client_tell_event(struct ringcast *r, ringcast_event_fn fn, const struct ringcast_event *e);
void rc_client_tell_subscribed(struct ringcast *r, const char *name, int verdict, const char *text);
void rc_client_tell_gap(struct ringcast *r, const char *channel, int reason, uint64_t missed);
/* Sets the state, then tells of it. */
void rc_client_tell_state(struct ringcast *r, enum ringcast_state state, const char *text);

/* link.c */

uint64_t rc_client_now_ms(void);
/* Everything that can be done without waiting. */
void rc_client_step(struct ringcast *r);
/* Between two publishes: answers, and what the time demands; sends only what was held up. */
void rc_client_look(struct ringcast *r);
void rc_client_send(struct ringcast *r);
/* Ends the connection; comes back later unless `for_good`. */
void rc_client_disconnect(struct ringcast *r, bool for_good, const char *why);
/* Whether frames of the window could leave now, but for the socket. */
bool rc_client_sendable(const struct ringcast *r);

/* answer.c */

/* Reads the frames in rx. The connection may be gone afterwards. */
void rc_client_answers(struct ringcast *r);

/* wait.c */

/* One step, and if nothing came of it, one wait and one more step. Returns false when a signal came. */
bool rc_client_turn(struct ringcast *r, int timeout_ms);
/* What is left of a time-out that began at since; -1 stays. */
int rc_client_left(uint64_t since_ms, int timeout_ms);

#endif
