/* SPDX-License-Identifier: Apache-2.0
 *
 * A job, for the two files that know it: apijob.c takes it from stage to stage, apianswer.c says what came out. See api.h.
 */
#ifndef RC_SERVE_APIJOB_H
#define RC_SERVE_APIJOB_H

#include "serve/api.h"

enum rc_api_stage {
	RC_API_CLAIM,
	RC_API_CLAIMING,
	RC_API_PUBLISHING,
	RC_API_SETTLING,
	RC_API_DECIDED,
};

struct rc_api_job {
	struct rc_http_ref ref;
	bool attended; /* somebody waits for the answer */
	bool keyed, broadcast, validated, ids;
	bool listed, running;
	uint8_t stage;
	uint8_t verdict; /* of the key's home */
	uint32_t wait_next;
	uint32_t count, next, undecided;
	struct rc_api_walk walk;
	struct rc_api_result *results;
	struct rc_api_result one;
	/* the body: borrowed while the request is at hand, then a block of our own */
	struct rc_str body;
	unsigned char *block;
	uint32_t block_size;
	uint64_t print;
	uint32_t key_len;
	char key[RC_API_KEY_MAX];
};

void rc_api_answer(struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *j);

#endif
