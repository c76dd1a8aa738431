/* SPDX-License-Identifier: Apache-2.0
 *
 * A job, for the two files that know it: apijob.c takes it from stage to stage, apianswer.c says what came out. See api.h.
 */
#ifndef RC_SERVE_APIJOB_H
#define RC_SERVE_APIJOB_H

#include "serve/api.h"
#include "serve/users.h"

enum rc_api_stage {
	RC_API_CLAIM,
	RC_API_CLAIMING,
	RC_API_PUBLISHING,
	RC_API_SETTLING,
	RC_API_DECIDED,
};

struct rc_api_job {
	struct rc_http_ref ref;
	bool attended;     /* somebody waits for the answer */
	bool client;       /* it is what a client said (say.h), and its message had this id */
	bool by_websocket; /* of a client: ref is its connection, whether it is still there or not */
	bool framed;       /* the body is a PUBLISH of the binary protocol */
	uint8_t id_len;
	char id[RC_MSG_ID_MAX];
	bool keyed, broadcast, validated, ids;
	bool judged; /* its one event was found to be what its namespace takes */
	bool quiet;  /* the client's own session is not to get it */
	bool listed, running;
	uint8_t stage;
	uint8_t verdict; /* of the key's home */
	uint32_t wait_next;
	uint32_t count, next, undecided;
	/* direct: to a user, to users whom the body names, or to a session; with a code, its end */
	bool direct, session, users;
	uint16_t code;
	uint8_t target_len, reason_len;
	char target[RC_USER_MAX];
	char reason[RC_REASON_MAX];
	struct rc_api_walk walk;
	struct rc_api_result *results;
	struct rc_api_result one;
	/* the body: borrowed while the request is at hand, then a block of our own */
	struct rc_str body;
	unsigned char *block;
	uint32_t block_size;
	struct rc_grant *grant; /* a block of our own; NULL: every channel */
	bool traced;
	unsigned char trace[RC_TRACE_BYTES]; /* of the request */
	uint64_t print;
	uint32_t key_len;
	char key[RC_API_KEY_MAX];
};

/*
 * Of a client: as far as it goes, then turn by turn. call: of the POST that brought it, whose handler returns *result; NULL: a
 * WebSocket did. False: no room, nothing was done.
 */
bool rc_api_job_start(struct rc_serve *sv, const struct rc_api_job *draft,
	struct rc_http_call *call, enum rc_http_result *result);
/* A request whose draft says what it is. */
enum rc_http_result rc_api_take(
	struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *draft);
void rc_api_answer(struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *j);
/* Its one event is not what its namespace takes: which field, and what it must be. */
void rc_api_answer_invalid(
	struct rc_serve *sv, struct rc_http_call *call, const struct rc_schema_fault *why);

#endif
