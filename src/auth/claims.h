/* SPDX-License-Identifier: Apache-2.0
 *
 * What a token says of its bearer, in one flat block without pointers: it may be copied to wherever it is kept, and be written
 * down. The lists hold texts behind a byte with their length each.
 *
 *   struct rc_claims │ user │ subscribe … │ publish … │ on_connect … │ commands … │ scopes … │ info │
 *
 * Pure, any thread.
 */
#ifndef RC_AUTH_CLAIMS_H
#define RC_AUTH_CLAIMS_H

#include "base/base.h"
#include "proto/names.h"

#define RC_USER_MAX   128u   /* bytes of a user's id */
#define RC_INFO_MAX   1024u  /* of the JSON that presence shows */
#define RC_CLAIMS_MAX 16384u /* of a block, its head included */

enum rc_claim_list {
	RC_CLAIM_SUBSCRIBE,  /* "channels": patterns that may be subscribed */
	RC_CLAIM_PUBLISH,    /* "publish": patterns that may be published to */
	RC_CLAIM_ON_CONNECT, /* "subscribe_on_connect" */
	RC_CLAIM_COMMANDS,   /* "commands": types that may be sent to a backend */
	RC_CLAIM_SCOPES,     /* "scope": what a service may do (service.h) */
	RC_CLAIM_LISTS
};

struct rc_claims {
	uint32_t size;            /* of the block */
	uint32_t max_connections; /* of the user; 0 = as the configuration says */
	uint64_t expires_ms; /* by the wall clock; 0 = never. It is taken for `leeway` longer */
	uint16_t user_len, info_len;
	struct {
		uint16_t at, len; /* in bytes[] */
	} list[RC_CLAIM_LISTS];
	uint16_t
		info_at; /* info: one JSON value without white space around its tokens; user: at 0 */
	uint16_t present; /* 1 << list: the token has this claim, which may be empty */
	char bytes[];
};

/* Empty: the token names nobody, and its bearer is anonymous with rights. */
static inline struct rc_str rc_claims_user(const struct rc_claims *c)
{
	return (struct rc_str){c->bytes, c->user_len};
}

static inline struct rc_str rc_claims_info(const struct rc_claims *c)
{
	return (struct rc_str){c->bytes + c->info_at, c->info_len};
}

static inline struct rc_str rc_claims_list(const struct rc_claims *c, enum rc_claim_list which)
{
	return (struct rc_str){c->bytes + c->list[which].at, c->list[which].len};
}

/* Takes the next text off the list. False: it was the last. */
static inline bool rc_claims_next(struct rc_str *list, struct rc_str *text)
{
	if (!list->len)
		return false;
	text->ptr = list->ptr + 1;
	text->len = (unsigned char)list->ptr[0];
	list->ptr += 1 + text->len;
	list->len -= 1 + text->len;
	return true;
}

#endif
