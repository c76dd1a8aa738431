/* SPDX-License-Identifier: Apache-2.0
 *
 * The channels of one shard, in two roles:
 *
 *   owner    orders the channels that hash to this shard: dedupes nothing, gives offset and epoch, encodes each event once
 *            and tells it to every shard that is interested                                             owner.c
 *   replica  what this shard's subscribers read: a log per channel or pattern, and their cursors        replica.c
 *
 *   history  what the owner keeps of its channels, in the log of its own shard's replica; who asks is told by fetches   history.c
 *   consumer who acknowledges what he gets, and how far he is                                             consumer.h
 *   presence who is in a channel, and what the channel is told of it                                       presence.h
 *   stream   a replica that follows several channels and patterns and speaks another rendition (SSE)   stream.c
 *   view     a replica that follows one channel or pattern, filtered, gathered or in another rendition   view.h
 *
 * They talk by asks and tells through the port, which the shard supplies: to itself a plain call, to others a record in a
 * ring. The hub knows no socket and no ring. One thread; all memory is given at start.
 */
#ifndef RC_HUB_HUB_H
#define RC_HUB_HUB_H

#include "base/base.h"
#include "base/hash.h"
#include "base/random.h"
#include "hub/deflated.h"
#include "hub/consumer.h"
#include "hub/lastvalue.h"
#include "hub/log.h"
#include "hub/presence.h"
#include "hub/table.h"
#include "hub/top.h"
#include "hub/trie.h"
#include "mem/buddy.h"
#include "mem/pool.h"
#include "mem/slab.h"
#include "ops/counters.h"
#include "proto/event.h"
#include "proto/names.h"

#define RC_HUB_BROADCAST "$all" /* the channel that every client hears */

/* How a namespace treats a subscriber that does not keep up. */
enum rc_slow_policy { RC_SLOW_DISCONNECT, RC_SLOW_SKIP, RC_SLOW_LATEST };

struct rc_hub_namespace {
	uint32_t lag_bytes;
	uint32_t lag_ms; /* 0 = no limit in time */
	enum rc_slow_policy policy;
	struct rc_str key; /* field whose newest event per value is kept; empty = none */
	bool raw;
	bool trace;   /* events tell the traceparent that they came with */
	bool deflate; /* clients that agreed to permessage-deflate get them deflated */
	uint32_t channel_ttl_ms;
	uint32_t history_size; /* events that a channel keeps; 0 = none */
	uint32_t history_bytes;
	uint32_t history_ttl_ms;
	bool first_latest; /* a new subscriber gets the newest event at once */
	bool presence;     /* who is in a channel is kept */
	bool join_leave;   /* and told */
	uint32_t presence_linger_ms;
	uint32_t presence_interval_ms;
	uint32_t presence_max; /* users above which only counts are told */
};

/* ---- what goes from shard to shard ------------------------------------------------------------- */

/* Who published, so that the outcome finds its way back. entry: the place in the publisher's window. */
struct rc_publisher_ref {
	uint32_t shard;
	uint32_t slot;
	uint32_t generation;
	uint32_t entry;
	uint64_t sequence;
};

/* A connection of the publisher's shard that is not to get the event. */
struct rc_mute {
	uint32_t conn, generation;
};

/* publisher to owner. The slices are borrowed for the call. */
struct rc_publish {
	struct rc_publisher_ref from;
	struct rc_str channel, event, data;
	const unsigned char *trace; /* RC_TRACE_BYTES; NULL = none */
	uint64_t timestamp_ms;      /* never 0 here */
	uint64_t time_ms;           /* when it came in, by the gateway's clock */
	uint64_t taken_ns;          /* when it came in */
	uint32_t hash;              /* of the channel's name; 0 = nobody has reckoned it yet */
	bool json;
	const struct rc_mute *mute; /* NULL = it is for everybody */
	/* Of what the owner itself says in a channel; never crosses. */
	uint8_t kind;       /* enum rc_event_kind */
	struct rc_str user; /* whom it is about, when it is one */
};

/* owner to publisher */
struct rc_outcome {
	struct rc_publisher_ref to;
	uint16_t nack; /* 0 = taken; else the code of wire.h */
	uint64_t epoch;
	uint64_t offset;
};

/* replica to owner: this shard has (or no longer has) subscribers of a channel, or of a pattern. */
struct rc_interest {
	struct rc_str name;
	uint32_t shard;   /* that asks */
	uint32_t replica; /* its index there */
	uint32_t token;   /* of this life of the replica; echoed */
	bool on;
	bool deflated; /* not whether events are wanted, but whether deflated ones are, besides; of a channel. Not answered */
};

/* owner to replica: from here on every event of the channel comes. */
struct rc_interest_ok {
	uint32_t replica;
	uint32_t token;
	uint32_t from;  /* the owner */
	bool taken;     /* false: the owner has no room */
	uint64_t stamp; /* the owner's newest: all that follows comes */
	uint64_t epoch;
	uint64_t offset; /* of the last event before */
};

/* owner to replica: an event, encoded. */
struct rc_tell {
	struct rc_str channel;
	uint32_t hash; /* of the channel's name */
	uint64_t epoch;
	uint64_t offset;
	uint64_t key;
	uint64_t taken_ns;
	uint64_t stamp; /* the owner's number of the event, over all its channels */
	uint64_t time_ms;
	uint32_t from; /* the owner */
	bool direct;   /* the shard has subscribers of the channel itself */
	bool pattern;  /* and of a pattern that matches it */
	const struct rc_mute
		*mute; /* one connection of the shard is not to get it; NULL: all are */
	const unsigned char *frame;
	uint32_t frame_len;
	const unsigned char *
		deflated; /* NULL: whoever wants it makes it; with deflated_len 0 it is not worth it */
	uint32_t deflated_len;
};

enum rc_fetch_how {
	RC_FETCH_OFFSET,    /* after an offset of one channel */
	RC_FETCH_BEFORE,    /* before one, the newest first */
	RC_FETCH_STAMP,     /* after a stamp of the owner */
	RC_FETCH_BEGINNING, /* all that is kept */
	RC_FETCH_TIME,      /* what was taken in at that time and later */
	RC_FETCH_LATEST, /* the newest; where there are keys that of each, from a place on: 0 for all */
};

/* to an owner: events that it keeps. */
struct rc_fetch {
	uint32_t shard, slot, generation; /* who asks */
	uint8_t how;
	bool check;   /* only whether it is all there, and where it begins */
	bool broad;   /* of several channels or patterns, in the order of their stamps */
	bool lenient; /* also what is over the limits of the history but still there */
	bool kept; /* channels without a history are nobody's concern: nothing of theirs is missing */
	uint32_t events_max, bytes_max;
	uint64_t epoch;      /* of the channel, with an offset */
	uint64_t after;      /* offset, stamp, or milliseconds since 1970 */
	uint64_t until;      /* a stamp */
	struct rc_str names; /* one; or, when broad, each behind a byte with its length */
};

enum rc_verdict {
	RC_VERDICT_ALL,     /* nothing is missing between what was asked for and what is kept */
	RC_VERDICT_EPOCH,   /* another life of the channel, or of the gateway */
	RC_VERDICT_TRIMMED, /* some of it is gone */
	RC_VERDICT_AHEAD,   /* that position was never given */
	RC_VERDICT_MANY,    /* more channels than are looked through */
};

/* from the owner */
struct rc_fetched {
	uint32_t from; /* which owner */
	uint32_t slot, generation;
	uint8_t verdict;
	bool check;
	bool known; /* the channel is known */
	bool more;  /* there are further ones behind the last of these */
	uint64_t
		epoch; /* of the one channel; its newest offset, and the oldest that is kept (0: none) */
	uint64_t offset, first_offset;
	uint64_t stamp; /* the owner's newest */
	uint64_t
		next; /* what `after` is to be the next time: an offset of one channel, else a stamp */
	uint64_t next_stamp; /* of one channel: the same as a stamp */
	uint64_t
		losses; /* how often the owner has let something go, and when it did what is missing of several */
	uint64_t lost;
	const unsigned char *frames; /* each behind a struct rc_fetched_frame, padded to 8 bytes */
	uint32_t frames_len, frames_count;
};

struct rc_fetched_frame {
	uint64_t stamp, offset;
	uint32_t len;
	uint32_t
		name_len; /* of its channel's name, behind the frame: of several channels, where it is raw and does not say */
};
_Static_assert(sizeof(struct rc_fetched_frame) % 8 == 0, "frames stand at multiples of 8");

static inline size_t rc_fetched_frame_bytes(const struct rc_fetched_frame *f)
{
	return sizeof(*f) + rc_align_up((size_t)f->len + f->name_len, 8);
}

/*
 * What the hub asks of the shard it runs in. Rooms are asked for first: a call to tell after can_tell said yes for the
 * same shards and sizes always succeeds.
 */
struct rc_hub_port {
	void *ctx;
	bool (*can_tell)(void *ctx, uint64_t shards, size_t name_len, size_t frame_len);
	void (*tell)(void *ctx, uint32_t shard, const struct rc_tell *tell);
	bool (*tell_interest)(void *ctx, uint32_t shard, const struct rc_interest_ok *ok);
	/* False: no room, the hub asks again at the next turn. */
	bool (*ask_interest)(void *ctx, uint32_t shard, const struct rc_interest *ask);
	/* The replica's owner answered: its subscribers that waited go on, or are refused. */
	void (*replica_ready)(void *ctx, uint32_t replica, bool taken);
	/* The arena has no room for the log's next event: apply the slow policy to all that are behind. */
	void (*replica_overrun)(void *ctx, uint32_t replica);
	/* Even then not: the event can't be delivered, its subscribers are to be sent away so that they know. */
	void (*replica_lost)(void *ctx, uint32_t replica);
	/* Bytes that an answer to a fetch may have, frames included; 0: no room now. */
	uint32_t (*fetch_room)(void *ctx, uint32_t shard);
	/* After fetch_room has answered for that shard. */
	void (*tell_fetched)(void *ctx, uint32_t shard, const struct rc_fetched *fetched);
	/* False: no room, the hub tries again later. */
	bool (*ask_presence)(void *ctx, uint32_t owner, const struct rc_presence_change *change);
	/* After fetch_room has answered for that shard, with at most so many bytes of users. */
	void (*tell_presence)(void *ctx, uint32_t shard, const struct rc_presence_told *told);
	/* The head of a connection's list of subscriptions; NULL: it is gone. */
	const uint32_t *(*subs_of)(void *ctx, const struct rc_mute *who);
	/* False: no room, the hub tries again later. Nothing is asked of the consumer's owner from inside. */
	bool (*tell_consumer)(void *ctx, uint32_t shard, const struct rc_consumer_told *told);
	uint32_t (*namespace_of)(void *ctx, struct rc_str channel);
	/* Channels that all shards know at present. */
	uint64_t (*channels)(void *ctx);
};

/* ---- data ---------------------------------------------------------------------------------------- */

struct rc_owned {
	char *name;
	uint16_t name_len;
	uint16_t ns;
	uint32_t hash;
	uint64_t epoch;
	uint64_t offset;
	uint64_t interest;     /* shards with subscribers of the channel itself */
	uint64_t deflated;     /* of them those that want events deflated as well */
	uint64_t pattern_mask; /* shards with a matching pattern, as of pattern_generation */
	uint32_t pattern_generation;
	uint32_t used_s; /* second of its last use */
	uint32_t idle_prev, idle_next;
	uint32_t recent_prev, recent_next; /* of all channels, by their newest events */
	uint32_t replica;                  /* that keeps its history; RC_NONE: none does */
	uint64_t stamp;                    /* of the newest event */
	uint64_t born;                     /* the shard's newest stamp when this life began */
	uint32_t time_ms;                  /* of the newest event */
	uint32_t born_ms;                  /* the shard's newest time when this life began */
	uint64_t lost_when; /* the losses with its newest event, when that was not kept */
	uint32_t presence;  /* who is in it; RC_NONE: nobody */
	uint32_t consumed;  /* who acknowledges what is in it; RC_NONE: nobody */
	bool idle;
	bool recent;
};

enum rc_replica_state {
	RC_REPLICA_ASKING, /* not every owner answered yet; events are not for us */
	RC_REPLICA_ACTIVE,
	RC_REPLICA_LEAVING, /* no subscribers; the owners are to be told */
};

enum rc_sub_flags {
	RC_SUB_PAUSED = 1,   /* its subscribe is not acknowledged yet: no events */
	RC_SUB_LISTED = 2,   /* in its connection's list of those with something to send */
	RC_SUB_HIDDEN = 4,   /* not the client's own wish ($all) */
	RC_SUB_INDEXED = 16, /* found by the table; the others of its connection by a walk */
	/* Behind beyond the limit: its cursor may lie below the log's head, and it goes on from the newest of each key. */
	RC_SUB_CONFLATED = 8,
	RC_SUB_HELD = 32,      /* its cursor stands, and nothing is sent before a replay is over */
	RC_SUB_REPLAYING = 64, /* paused or held, and listed_next is its replay */
	RC_SUB_PAST =
		128, /* its cursor was set back into the history and has not come to the tail yet */
	/* Its cursor is behind, and before the tail lie events that it is not to get: those that its connection published with `echo` off. */
	RC_SUB_HOLE = 1024,
	RC_SUB_ACKED =
		256, /* paused for good: a consumer gets its events (serve/acked.h), and listed_next is that */
	RC_SUB_REPLACED = 512, /* another one of the same name goes on where this one ends */
	RC_SUB_VIEW = 2048,    /* its replica is a view; so that one need not look there */
	/* The upper bits of flags count the events that were skipped and of which the client was not told yet. */
	RC_SUB_MISSED_SHIFT = 12,
};
#define RC_SUB_FLAGS ((1u << RC_SUB_MISSED_SHIFT) - 1)
/* So many subscriptions of a connection are found by a walk, which costs no memory. */
#define RC_SUB_WALK       8u
#define RC_SUB_MISSED_MAX ((1u << 20) - 1)

struct rc_sub {
	uint64_t cursor;
	uint32_t conn;
	uint32_t replica;
	uint32_t place;       /* in the replica's array */
	uint32_t next;        /* of the same connection */
	uint32_t listed_next; /* RC_SUB_LISTED */
	uint32_t flags;
};
_Static_assert(sizeof(struct rc_sub) == 32, "a subscription's cost");

struct rc_replica {
	char *name;
	uint32_t *subs; /* dense; inline_subs while count <= 2 */
	uint32_t inline_subs[2];
	uint32_t count, capacity;
	uint32_t paused; /* subs whose subscribe is not acknowledged yet */
	uint32_t behind; /* subs that are not paused and whose cursor is not at the tail */
	uint32_t hash;
	uint16_t name_len;
	uint16_t ns;
	uint8_t state;
	bool pattern;
	bool pinned; /* stays without subscribers */
	bool dirty;
	bool ask_listed;
	uint32_t token;
	uint32_t dirty_next;
	uint32_t ask_next;
	uint32_t flush_next; /* where the flush goes on */
	uint32_t flush_left; /* subscribers it has not visited since the last append */
	uint64_t flush_low;  /* lowest cursor it saw */
	uint64_t ask_shards; /* owners that are to be told of our wish */
	union {
		uint64_t held_by;     /* owners that were told yes and not yet no */
		struct rc_view *view; /* RC_RENDITION_VIEW */
	};
	uint32_t oks_left;    /* answers to the present token that are missing */
	uint32_t answers_due; /* answers to any token: a slot is not freed before they came */
	bool refused;
	bool deflated_due;       /* the owner is to be told whether we want events deflated */
	uint32_t deflated_views; /* of it, by those who have it deflated */
	uint64_t epoch;
	uint64_t offset;   /* of the event at the tail */
	uint64_t taken_ns; /* when the oldest event that was not flushed came in; 0 = none */
	struct rc_log log;
	struct rc_last_values last; /* where the namespace wants the newest per key */
	uint32_t owned;             /* the channel whose history this log is; RC_NONE = none */
	uint8_t rendition;          /* enum rc_rendition */
	uint32_t waiting;           /* a stream: members that have not begun yet */
	uint32_t *
		linked; /* a channel or pattern: the streams and views that follow it; one of those: its members */
	uint32_t linked_count, linked_capacity;
	uint32_t followers;   /* subscribers of the streams and views that follow it */
	uint32_t newest_from; /* a stream, a view: its newest event, which may be brought twice */
	uint64_t newest_stamp;
};

enum rc_rendition {
	RC_RENDITION_WS,  /* channels and patterns themselves */
	RC_RENDITION_SSE, /* streams */
	RC_RENDITION_SSE_BARE,
	RC_RENDITION_VIEW, /* views: what it is tells struct rc_view */
};

struct rc_view;

struct rc_hub_limits {
	uint32_t ack_ttl_ms;         /* that a consumer is kept without a connection */
	uint32_t ack_window_bytes;   /* that a consumer has unacknowledged, or one event */
	uint32_t consumers_max;      /* whose channels this shard orders; 0: there are none */
	uint32_t consumers_per_user; /* of them; or of an address, for who has no name; 0: all */
	uint32_t shards;
	uint32_t shard;        /* this one */
	uint32_t channels_max; /* that all shards together know */
	uint32_t owned_max, replicas_max, subs_max, patterns_max;
	/* Of them streams and views, so that they leave room for the channels themselves; 0: no such bound. */
	uint32_t renditions_max;
	uint32_t frame_max;         /* bytes of one encoded event */
	uint32_t fetch_bytes;       /* of an answer to a fetch; at least one event of any size */
	uint64_t history_bytes_max; /* of the histories that this shard keeps */
	uint64_t stream_epoch;      /* of this run of the gateway */
	bool keeps_history;         /* some namespace does */
	uint32_t namespaces;        /* how many there are */
	uint32_t views_max;         /* with a filter, a rate or a window */
	uint32_t view_bytes;        /* that one of them may keep back */
	uint32_t
		presence_max; /* users in channels, as a shard has them and as an owner; 0: no namespace has presence */
	uint32_t deflate_level; /* 0: no namespace deflates */
	uint32_t deflate_min;   /* bytes of a message that may be worth it */
};

/* A batch of a replay has so many bytes, or one event. */
#define RC_FETCH_BYTES 16384u
/* A page of history has so many, where the rings between shards take it. */
#define RC_HISTORY_PAGE_BYTES 61440u
/* Channels that one fetch looks through. */
#define RC_FETCH_SOURCES_MAX 4096u

struct rc_fetch_source {
	uint64_t stamp, ordinal;
	uint32_t replica, reserved;
};

struct rc_hub {
	struct rc_hub_limits limits;
	struct rc_hub_port port;
	const struct rc_hub_namespace *namespaces;
	struct rc_hash_key key; /* the same on every shard */
	struct rc_buddy *arena;
	struct rc_pool *pool;
	struct rc_counters_shard *counters;
	struct rc_random_pool random;
	struct rc_event_encoder encoder;
	unsigned char *scratch; /* frame_max bytes */
	uint64_t now_ns;
	uint32_t now_ms; /* since start, wraps */
	uint32_t now_s;

	struct rc_slab owned;
	struct rc_table owned_table;
	uint32_t idle_first, idle_last;
	uint32_t sweep_at; /* where the sweep goes on; RC_NONE = at the first */

	struct rc_slab replicas;
	struct rc_table replica_table;
	struct rc_slab subs;
	struct rc_table
		sub_table; /* (connection, replica) to subscription, of connections with many */
	struct rc_trie trie;
	struct rc_top top;
	uint32_t token_next;
	uint32_t ask_first;
	uint32_t dirty_first, dirty_last;
	uint32_t dirty_count;
	uint32_t broadcast;    /* replica of $all */
	uint64_t log_bytes;    /* blocks that all logs hold */
	uint32_t own_subs;     /* hidden ones, which nobody asked for */
	uint32_t own_channels; /* the gateway's own */

	uint64_t stamp;   /* of the newest event that was ordered here */
	uint64_t time_ms; /* when it came in, or this run began; never goes back */
	uint64_t seen
		[RC_SHARDS_MAX]; /* by owner: all its events up to this stamp came, as far as they are for us */
	uint64_t forgotten_stamp; /* the newest of channels that were forgotten; 0 = none had any */
	uint32_t forgotten_time_ms; /* when that event came in */
	uint64_t forgotten_when;    /* the losses with the one that was forgotten last */
	uint32_t recent_first, recent_last;
	struct rc_log_queue history;
	unsigned char *fetch; /* frames of an answer */
	uint32_t fetch_size;
	struct rc_fetch_source *sources;
	unsigned char *
		pattern_frame; /* the event of which this is being told, with its stream position */
	uint32_t pattern_frame_len;
	char position[RC_STREAM_TEXT_MAX(RC_SHARDS_MAX)];
	uint32_t position_len; /* 0 = not up to date */
	struct rc_presence presence;
	struct rc_deflated deflated;
	struct rc_consumers consumers;
	uint32_t *view_heap; /* views in which something is due, the first at its top */
	uint32_t view_heap_count;
	uint32_t views_kept; /* of views_max */
	uint32_t renditions; /* of renditions_max */
	/* An event that several views look at, read once: while it is told to them. */
	const unsigned char *parsed_frame; /* NULL: none */
	bool parsed_well;
	struct rc_event_view parsed, parsed_other;
};

/* Bytes of memory that rc_hub_init takes, for the budget and the mapping. */
size_t rc_hub_bytes(const struct rc_hub_limits *limits);
/* Of it, what presence takes. */
size_t rc_hub_presence_bytes(const struct rc_hub_limits *limits);
/* And what consumers take. */
size_t rc_hub_consumer_bytes(const struct rc_hub_limits *limits);
void rc_hub_init(struct rc_hub *h, const struct rc_hub_limits *limits,
	const struct rc_hub_port *port, const struct rc_hub_namespace *namespaces,
	const struct rc_hash_key *key, struct rc_buddy *arena, struct rc_pool *pool,
	struct rc_counters_shard *counters, void *memory);
/* Once per turn, before anything else. */
void rc_hub_time(struct rc_hub *h, uint64_t now_ns);
uint32_t rc_hub_hash(const struct rc_hub *h, struct rc_str name);
/* The shard that orders the channel. */
uint32_t rc_hub_owner(const struct rc_hub *h, uint32_t hash);

/* ---- owner.c ------------------------------------------------------------------------------------- */

/*
 * Sequences and tells. False: some ring has no room, nothing was done, come again. Otherwise *out is the outcome.
 * `event` and `data` were validated.
 */
bool rc_owner_publish(
	struct rc_hub *h, const struct rc_publish *p, struct rc_outcome *out) RC_MUST_USE;
/* False: no room for the answer, come again. */
bool rc_owner_interest(struct rc_hub *h, const struct rc_interest *ask) RC_MUST_USE;
/* The channel, if this shard orders it and knows it; else RC_NONE. */
uint32_t rc_owner_find(const struct rc_hub *h, struct rc_str name, uint32_t hash);
/* Whether the channel of that place and hash is known, whatever its name. */
bool rc_owner_is_known(const struct rc_hub *h, uint32_t index, uint32_t hash);
/* Somebody on some shard hears the channel, by its name or by a pattern. */
bool rc_owner_is_heard(struct rc_hub *h, struct rc_str name, uint32_t hash);
/* The history's shard has subscribers of its own, or has none any more. */
void rc_owner_local(struct rc_hub *h, uint32_t owned, bool on);
/* It is used now, or it became clear whether anybody does. */
void rc_owner_touch(struct rc_hub *h, uint32_t owned);
/* Forgets channels that nobody used for their namespace's time; at most `budget`. Once a second. */
void rc_owner_sweep(struct rc_hub *h, uint32_t budget);

/* ---- history.c ------------------------------------------------------------------------------------ */

/* The channel's history is kept from now on, where its namespace wants one and there is room. */
void rc_history_keep(struct rc_hub *h, uint32_t owned);
void rc_history_drop(struct rc_hub *h, uint32_t owned);
/* Position in the log up to which nothing has to be kept for history. */
uint64_t rc_history_low(const struct rc_hub *h, const struct rc_replica *r);
/* Trims by the budget of all histories. */
void rc_history_squeeze(struct rc_hub *h);
/* Lets go of the oldest history for an event that finds no memory. False: there is none. */
bool rc_history_yield(struct rc_hub *h);
/* Trims what is too old; some channels each time. Once a second. */
void rc_history_sweep(struct rc_hub *h, uint32_t budget);
/* False: no room for the answer, come again. */
bool rc_owner_fetch(struct rc_hub *h, const struct rc_fetch *fetch) RC_MUST_USE;
/* What the answer to a question about one channel would be, without its events. */
void rc_owner_look(struct rc_hub *h, const struct rc_fetch *fetch, struct rc_fetched *out);
/* The other side of REPLAYs on the owner's own shard: where the log's events after that offset begin. False: they are not all there. */
bool rc_history_find(
	const struct rc_hub *h, const struct rc_replica *r, uint64_t after, uint64_t *pos);

/* ---- stream.c ------------------------------------------------------------------------------------- */

/*
 * As rc_replica_subscribe, for a stream. names: members, sorted, no two alike, each behind a byte with its length.
 */
enum rc_subscribe_result rc_stream_subscribe(struct rc_hub *h, uint32_t conn, uint32_t *first_sub,
	struct rc_str names, enum rc_rendition rendition, uint32_t flags,
	uint32_t *sub) RC_MUST_USE;
/* Neither a stream nor a view can be made. */
static inline bool rc_hub_renditions_full(const struct rc_hub *h)
{
	return h->limits.renditions_max && h->renditions >= h->limits.renditions_max;
}

/* The position of all that came to this shard so far. Valid until the next event. */
struct rc_str rc_hub_position(struct rc_hub *h);
/* The owner says how far it is. */
void rc_hub_stamped(struct rc_hub *h, uint32_t owner, uint64_t stamp);

/* ---- replica.c ----------------------------------------------------------------------------------- */

enum rc_subscribe_result { RC_SUBSCRIBED, RC_SUBSCRIBED_ALREADY, RC_SUBSCRIBE_FULL };

/*
 * The connection's cursor on a channel or pattern, at the tail and paused. *first_sub is the head of the connection's list. *sub is also
 * filled in when it was there already.
 */
enum rc_subscribe_result rc_replica_subscribe(struct rc_hub *h, uint32_t conn, uint32_t *first_sub,
	struct rc_str name, bool pattern, uint32_t flags, uint32_t *sub) RC_MUST_USE;
/* The subscription of that connection to that name, or RC_NONE. */
uint32_t rc_replica_find_sub(
	struct rc_hub *h, uint32_t conn, uint32_t first_sub, struct rc_str name);
/* The caller took it out of its own lists (LISTED). Unlinks it from the connection's list. */
void rc_replica_unsubscribe(struct rc_hub *h, uint32_t sub, uint32_t *first_sub);
/* Its events begin now; *offset and *epoch are the position. */
void rc_replica_resume(struct rc_hub *h, uint32_t sub);
/* The same, but the events begin at a position of the log that is kept. */
void rc_replica_resume_at(struct rc_hub *h, uint32_t sub, uint64_t pos);
/* Its cursor stands at the tail from now on, but nothing is sent before rc_replica_unhold. */
void rc_replica_hold(struct rc_hub *h, uint32_t sub);
/* One that was held waits again, without holding anything. */
void rc_replica_pause(struct rc_hub *h, uint32_t sub);
/* The cursor moves (forwards only, but for none). */
void rc_replica_advance(struct rc_hub *h, struct rc_sub *sub, uint64_t cursor);
/* All chunks that nobody needs go back. */
void rc_replica_release(struct rc_hub *h, struct rc_replica *r, uint64_t low);
void rc_replica_tell(struct rc_hub *h, const struct rc_tell *tell);
void rc_replica_interest_ok(struct rc_hub *h, const struct rc_interest_ok *ok);
/* Asks what found no room before. Once per turn. */
void rc_replica_ask_again(struct rc_hub *h);
/* Takes the first of the replicas with something to flush; NULL when there is none. */
struct rc_replica *rc_replica_dirty(struct rc_hub *h);
/* The present first one is flushed; or it goes to the end of the list because its budget is used up. */
void rc_replica_clean(struct rc_hub *h, bool again);
/* Bytes a subscriber may lag: the namespace's limit, less when the arena runs full. */
uint32_t rc_replica_lag_max(const struct rc_hub *h, const struct rc_replica *r);

static inline struct rc_sub *rc_hub_sub(const struct rc_hub *h, uint32_t index)
{
	return rc_slab_at(&h->subs, index);
}

/* What the gateway says of itself has its envelope, whatever the default namespace says, to which these channels belong. */
static inline bool rc_hub_is_raw(const struct rc_hub *h, uint32_t ns, struct rc_str name)
{
	return h->namespaces[ns].raw && !rc_str_starts(name, RC_STR("$sys:"));
}

static inline struct rc_owned *rc_hub_owned(const struct rc_hub *h, uint32_t index)
{
	return rc_slab_at(&h->owned, index);
}

static inline struct rc_str rc_owned_name(const struct rc_owned *o)
{
	return (struct rc_str){o->name, o->name_len};
}

static inline struct rc_replica *rc_hub_replica(const struct rc_hub *h, uint32_t index)
{
	return rc_slab_at(&h->replicas, index);
}

static inline struct rc_str rc_replica_name(const struct rc_replica *r)
{
	return (struct rc_str){r->name, r->name_len};
}

/* SSE: its name is a list of members. */
static inline bool rc_replica_is_stream(const struct rc_replica *r)
{
	return r->rendition == RC_RENDITION_SSE || r->rendition == RC_RENDITION_SSE_BARE;
}

/* The channel or pattern of which a view is; others are their own. */
static inline const struct rc_replica *rc_hub_base(
	const struct rc_hub *h, const struct rc_replica *r)
{
	return r->rendition == RC_RENDITION_VIEW ? rc_hub_replica(h, r->linked[0]) : r;
}

/*
 * How the log marks an event that is not for one connection. What is in a log at a time is younger than 512 lives of a place, so two
 * lives of it are not mixed up.
 */
#define RC_HUB_EXCEPT_BITS 23u
static inline uint32_t rc_hub_except(uint32_t conn, uint32_t generation)
{
	RC_DASSERT(conn + 1 < 1u << RC_HUB_EXCEPT_BITS);
	return (conn + 1) | generation << RC_HUB_EXCEPT_BITS;
}

/* What a subscription was asked for by: a channel, a pattern, or a stream. */
static inline const struct rc_replica *rc_hub_sub_base(const struct rc_hub *h, uint32_t sub)
{
	const struct rc_sub *s = rc_hub_sub(h, sub);
	const struct rc_replica *r = rc_hub_replica(h, s->replica);

	return RC_UNLIKELY(s->flags & RC_SUB_VIEW) ? rc_hub_replica(h, r->linked[0]) : r;
}

/* A view has something due, or somebody acknowledges what he gets. Else neither viewturn.c nor consumersend.c has anything to do. */
static inline bool rc_hub_keeps(const struct rc_hub *h)
{
	return h->view_heap_count | h->consumers.slab.used | ~h->consumers.channel_first;
}

/* Walks everything and asserts the invariants. */
void rc_hub_check(const struct rc_hub *h);

#endif
