/* SPDX-License-Identifier: Apache-2.0
 *
 * /api, the part that publishes. A request becomes a job, which outlives its connection: what was taken in is published, whether
 * somebody still waits for the answer or not.
 *
 *   CLAIM ─▶ CLAIMING ─▶ PUBLISHING ─▶ SETTLING ─▶ answered
 *     with an Idempotency-Key only      │  with a key only: its home learns the outcome
 *                                       └─ a full ring: the job waits and tries again, turn by turn
 *
 * The key's home is a shard by its hash (apikeys.c). Messages between shards are the structs below, as they lie. One thread.
 */
#ifndef RC_SERVE_API_H
#define RC_SERVE_API_H

#include "hub/table.h"
#include "proto/json.h"
#include "proto/message.h"
#include "proto/trace.h"
#include "serve/http.h"
#include "serve/validation.h"

#define RC_API_JOBS    1024u /* requests under way that were not answered at once, each shard */
#define RC_API_KEY_MAX 128u
#define RC_API_DEPTH   130u /* an array of objects whose data nests as deep as a publisher's may */
/* Marks the places of outcomes that are for a job and not for a publisher. */
#define RC_API_SLOT 0x80000000u

/* What became of an event: a position, or with offset 0 an enum rc_api_fault in `epoch`. */
struct rc_api_result {
	uint64_t epoch;
	uint64_t offset;
};

enum rc_api_fault {
	RC_API_UNDECIDED,
	RC_API_BAD_JSON,
	RC_API_BAD_REQUEST,
	RC_API_BAD_ID,
	RC_API_BAD_CHANNEL,
	RC_API_BAD_EVENT,
	RC_API_BAD_TIMESTAMP,
	RC_API_TOO_LARGE,
	RC_API_OVER_CAPACITY,
	RC_API_FORBIDDEN,
	RC_API_BAD_ECHO,
	RC_API_WRONG_EVENT, /* its namespace does not take events of that name */
	RC_API_INVALID,     /* nor such data */
};

/* ---- apievent.c: pure ---------------------------------------------------------------------------- */

enum rc_api_form { RC_API_ONE, RC_API_ARRAY, RC_API_LINES };

/* Walks the events of a body. */
struct rc_api_walk {
	enum rc_api_form form;
	struct rc_json_iter array;
	struct rc_str rest; /* lines, or the one */
};

struct rc_api_event {
	struct rc_str channel, event, data;
	struct rc_str id; /* as it was written; empty when none */
	bool traced;
	bool echo; /* the publisher gets it too; true where nothing is said */
	unsigned char trace[RC_TRACE_BYTES];
	bool json;
	uint64_t timestamp_ms;
	char channel_text[RC_CHANNEL_MAX];
	char event_text[RC_EVENT_NAME_MAX];
};

struct rc_api_words {
	int status;
	const char *code;
	const char *message;
};

struct rc_api_words rc_api_words(enum rc_api_fault fault);
/* False: neither JSON nor lines of it. lines: it was said to be NDJSON. */
bool rc_api_walk_begin(struct rc_api_walk *w, struct rc_str body, bool lines);
/* False: no more. The text of the next event; of lines, not validated yet. */
bool rc_api_walk_next(struct rc_api_walk *w, struct rc_str *text);
/* The body was copied elsewhere. */
void rc_api_walk_move(struct rc_api_walk *w, const char *from, const char *to);
/* UNDECIDED: it is fine. broadcast: it has no channel. id is filled in where it could be read. */
enum rc_api_fault rc_api_event_read(struct rc_str text, bool validated, bool broadcast,
	uint32_t message_max, struct rc_api_event *out);

/* ---- apijob.c: UNDECIDED: its namespace takes it; the fault is filled in with INVALID ------------ */
enum rc_api_fault rc_api_event_judge(
	const struct rc_serve *sv, const struct rc_api_event *e, struct rc_schema_fault *why);
enum rc_counter rc_api_refused_counter(enum rc_api_fault fault);

/* ---- apikeys.c ----------------------------------------------------------------------------------- */

enum rc_api_verdict {
	RC_API_GO,       /* the key is new, and the asker's */
	RC_API_BUSY,     /* the first request is not decided yet */
	RC_API_DIFFERS,  /* it came with another request before */
	RC_API_REPLAYED, /* the outcome */
	RC_API_NO_ROOM,
};

struct rc_api_job_ref {
	uint32_t shard, slot, generation;
};

enum rc_api_kind { RC_API_KEY_CLAIM = 1, RC_API_KEY_SETTLE, RC_API_KEY_ANSWER };

struct rc_api_key_ask {
	uint32_t kind;
	uint32_t count;
	struct rc_api_job_ref who;
	uint32_t key_len;
	uint64_t print;
	char key[RC_API_KEY_MAX];
	struct rc_api_result results[]; /* SETTLE: count of them; 0: as if it had never been */
};

struct rc_api_key_answer {
	uint32_t kind;
	uint32_t verdict;
	struct rc_api_job_ref to;
	uint32_t count;
	struct rc_api_result results[];
};

struct rc_api_keys {
	struct rc_slab entries;
	struct rc_table table;
	uint32_t first, last; /* those that are decided, the oldest first */
	uint64_t result_bytes, result_bytes_max;
};

size_t rc_api_keys_bytes(uint32_t count);
void rc_api_keys_init(struct rc_serve *sv, void *memory, uint32_t count);
/* False: no room for the answer, nothing was done, come again. */
bool rc_api_keys_claim(struct rc_serve *sv, const struct rc_api_key_ask *ask);
void rc_api_keys_settle(struct rc_serve *sv, const struct rc_api_key_ask *ask);
void rc_api_keys_sweep(struct rc_serve *sv);

/* ---- api.c, apijob.c ----------------------------------------------------------------------------- */

struct rc_api {
	struct rc_slab jobs;
	uint32_t *job_generation; /* by place; outlives the job */
	uint32_t wait_first, wait_last;
	struct rc_api_keys keys;
};

size_t rc_api_bytes(const struct rc_config *config, uint32_t shards);
void rc_api_init(struct rc_serve *sv, void *memory, uint32_t shards);

size_t rc_api_job_bytes(void);
enum rc_http_result rc_api_publish(struct rc_serve *sv, struct rc_http_call *call);
enum rc_http_result rc_api_broadcast(struct rc_serve *sv, struct rc_http_call *call);
void rc_api_key_told(struct rc_serve *sv, const struct rc_api_key_answer *a);

#endif
