/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions to all shards: which channels there are, who is connected, who is behind. No shard reads another's data, so the
 * shard that was asked asks the others, piece by piece:
 *
 *   asker ── ask: go on at this cursor; skip what is not behind `after`, or is behind `last` ──▶ other shard
 *         ◀── piece: items, and where the next one goes on ──
 *
 * An ask is answered by exactly one piece, whose work and size are bounded; the other shard remembers nothing of it. The asker holds
 * the smallest `limit` keys that it has seen, tells the largest of them as `last`, and so its memory is bounded too. Its own
 * shard is walked in the same way, a piece a turn for all surveys together. A survey is no single moment: what comes or goes meanwhile may be in it or not.
 *
 * One thread a shard.
 */
#ifndef RC_SERVE_SURVEY_H
#define RC_SERVE_SURVEY_H

#include "serve/http.h"

#define RC_SURVEYS_MAX     4u /* of one shard at a time */
#define RC_SURVEY_SETS_MAX 4u
#define RC_SURVEY_KEY_MAX  255u
#define RC_SURVEY_PIECE    16384u
/* Keys and contents of one set. Its JSON is at most one and a half times that and stays below RC_HTTP_ANSWER_MAX. */
#define RC_SURVEY_BYTES_MAX (256u << 10)

enum rc_survey_kind {
	RC_SURVEY_CHANNELS, /* by name; struct rc_survey_channel */
	RC_SURVEY_CHANNEL,  /* the one that `prefix` names */
	RC_SURVEY_SUBSCRIPTIONS, /* channels and patterns that have subscribers; struct rc_survey_channel */
	RC_SURVEY_CLIENTS,  /* by session; a member of a JSON object */
	RC_SURVEY_LAGGARDS, /* the furthest behind first; a JSON object */
	RC_SURVEY_USERS,    /* by id; a JSON object */
	RC_SURVEY_USER, /* the sessions of the one that `prefix` names, as CLIENTS; "": what its home knows */
	RC_SURVEY_SESSION,  /* the one that `prefix` names, as CLIENTS */
	RC_SURVEY_BACKENDS, /* by type of messages; a number */
	RC_SURVEY_WEBHOOKS, /* one, or none; a JSON object */
	RC_SURVEY_BUSIEST,  /* channels with most events first; the name */
	RC_SURVEY_HEARD,    /* those with most subscribers on any one shard first; the name */
	RC_SURVEY_NAMED,    /* those that the sets before it name: each asked for as CHANNEL */
};

/* Summed up over the shards. */
struct rc_survey_channel {
	uint64_t epoch, offset; /* when owned */
	uint32_t subscribers;
	uint32_t owner;                          /* when owned */
	uint32_t consumers, consumers_connected; /* when owned and asked for by name */
	uint64_t unacknowledged;                 /* of the consumer that is furthest behind */
	uint64_t rate; /* likewise; RC_TOP_UNIT to an event a second, 0: not among the busiest */
	uint16_t ns;
	bool owned;
};

/* As it lies in a ring. */
struct rc_survey_ask {
	uint32_t shard, slot, token; /* who asks */
	uint32_t cursor;             /* RC_NONE: from the beginning */
	uint8_t kind;
	uint8_t prefix_len, after_len, last_len; /* 0: no such bound */
	char prefix[RC_SURVEY_KEY_MAX], after[RC_SURVEY_KEY_MAX], last[RC_SURVEY_KEY_MAX];
};

struct rc_survey_piece {
	uint32_t slot, token; /* who asked */
	uint32_t shard;       /* who answers */
	uint32_t cursor;
	uint32_t len;
	bool done; /* there is no next piece */
	bool more; /* something was left out because it lies behind `last` */
	_Alignas(8) unsigned char bytes
		[RC_SURVEY_PIECE]; /* struct rc_survey_item, key, contents, and again */
};

struct rc_survey_item {
	uint16_t key_len, len;
};

struct rc_survey_entry {
	uint64_t shards; /* that are counted in it */
	uint16_t key_len, len;
	char bytes[]; /* key, contents */
};

struct rc_survey_set {
	uint8_t kind;
	uint8_t prefix_len, after_len;
	bool more; /* there are larger keys than those that are held */
	uint32_t limit, count;
	size_t bytes;
	struct rc_survey_entry **at; /* limit of them; the smallest key first */
	uint32_t size;               /* of the places that `at` has */
	char prefix[RC_SURVEY_KEY_MAX], after[RC_SURVEY_KEY_MAX];
};

struct rc_survey {
	uint32_t token;
	bool failed; /* some memory was missing */
	struct rc_http_ref ref;
	void (*answer)(
		struct rc_serve *sv, const struct rc_survey *survey, struct rc_http_call *call);
	uint32_t sets, present; /* they are gathered one after the other */
	struct rc_survey_set set[RC_SURVEY_SETS_MAX];
	uint32_t left; /* shards that are not done with the present set */
	uint32_t cursor[RC_SHARDS_MAX];
	uint8_t state[RC_SHARDS_MAX];
};

/* ---- asking: survey.c --------------------------------------------------------------------------- */

/* NULL: too many at a time, no memory, or the gateway stops. Sets are added, then it is started. */
struct rc_survey *rc_survey_new(struct rc_serve *sv);
void rc_survey_add(struct rc_survey *survey, enum rc_survey_kind kind, uint32_t limit,
	struct rc_str prefix, struct rc_str after);
/* `answer` is called when all is gathered, unless nobody waits any more. It frees nothing. */
enum rc_http_result rc_survey_start(struct rc_serve *sv, struct rc_survey *survey,
	struct rc_http_call *call,
	void (*answer)(struct rc_serve *, const struct rc_survey *, struct rc_http_call *));
void rc_survey_told(struct rc_serve *sv, const struct rc_survey_piece *piece);
void rc_survey_turn(struct rc_serve *sv);
/* Something is to be done in the next turn. */
bool rc_survey_pending(const struct rc_serve *sv);
/* Takes over what a piece holds. For tests too. */
void rc_survey_merge(struct rc_serve *sv, struct rc_survey *survey, struct rc_survey_set *set,
	const struct rc_survey_piece *piece);

static inline struct rc_str rc_survey_key(const struct rc_survey_entry *e)
{
	return (struct rc_str){e->bytes, e->key_len};
}

static inline struct rc_str rc_survey_contents(const struct rc_survey_entry *e)
{
	return (struct rc_str){e->bytes + e->key_len, e->len};
}

/* ---- answering: surveypiece.c -------------------------------------------------------------------- */

void rc_survey_piece(
	struct rc_serve *sv, const struct rc_survey_ask *ask, struct rc_survey_piece *out);

static inline int rc_survey_compare(struct rc_str a, struct rc_str b)
{
	int rc = memcmp(a.ptr, b.ptr, RC_MIN(a.len, b.len));

	return rc ? rc : (a.len > b.len) - (a.len < b.len);
}

#endif
