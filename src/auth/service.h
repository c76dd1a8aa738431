/* SPDX-License-Identifier: Apache-2.0
 *
 * Services: programs of the operator that publish, send, or look at the gateway, each with a credential of its own and with what it
 * may do. They stand in a file, one a line:
 *
 *   # name     credential                     scopes
 *   orders     token:0f3c…                    publish=orders:** publish=user:* send
 *   billing    sha256:9f86d081884c7d65…       publish read
 *   edge-7     certificate:edge-7.example     publish=metrics:**
 *
 * A credential is kept as its SHA-256 alone. Whoever presents one is compared with every entry, in constant time and without an
 * early exit, so that the time tells neither which entry was met nor how much of it.
 *
 * The file is read by the main thread; the table is then only read, by any thread.
 */
#ifndef RC_AUTH_SERVICE_H
#define RC_AUTH_SERVICE_H

#include "auth/claims.h"
#include "base/error.h"

#define RC_SERVICES_MAX         4096u
#define RC_SERVICE_NAME_MAX     64u
#define RC_SERVICE_PATTERNS_MAX 64u
#define RC_SERVICE_LINE_MAX     8192u
#define RC_SERVICE_SECRET_MIN   16u
#define RC_SERVICE_SECRET_MAX   1024u
#define RC_SERVICE_DIGEST       32u

enum rc_scope {
	RC_SCOPE_PUBLISH = 1,
	RC_SCOPE_SEND = 2,
	RC_SCOPE_DISCONNECT = 4,
	RC_SCOPE_BROADCAST = 8,
	RC_SCOPE_BACKEND = 16,
	RC_SCOPE_READ = 32,
	RC_SCOPE_ADMIN = 64, /* everything; in a grant all the others stand beside it */
	RC_SCOPES_ALL = 127,
	/* What the single token of [ingest] is good for, and who may publish without one. */
	RC_SCOPES_INGEST = RC_SCOPE_PUBLISH | RC_SCOPE_SEND | RC_SCOPE_DISCONNECT |
			   RC_SCOPE_BROADCAST | RC_SCOPE_BACKEND,
};

enum rc_proof { RC_PROOF_TOKEN, RC_PROOF_CERTIFICATE };

/* What somebody may do: a flat block that may be copied and kept. Behind it the patterns, a byte with the length before each. */
struct rc_grant {
	uint32_t size; /* of the block */
	uint16_t scopes;
	uint16_t patterns_len; /* 0: publish means every channel */
	uint64_t expires_ms;   /* by the wall clock; 0 = never */
	uint8_t proof;         /* enum rc_proof */
	bool listed;           /* it stands in the file, and may go from it */
	uint8_t name_len;      /* 0: nobody in particular */
	char name[RC_USER_MAX];
	unsigned char digest[RC_SERVICE_DIGEST]; /* of the credential */
	char patterns[];
};

#define RC_GRANT_MAX (sizeof(struct rc_grant) + RC_CLAIMS_MAX)

static inline struct rc_str rc_grant_name(const struct rc_grant *g)
{
	return (struct rc_str){g->name, g->name_len};
}

/* The word of a single scope, as it stands in the file; NULL: there is none. */
const char *rc_scope_word(uint16_t scope);
/* A grant without a name that is good for these scopes, on every channel. */
void rc_grant_plain(struct rc_grant *g, uint16_t scopes);
/* Whether the channel is one that it may publish to: equal to a name in the list, or meant by a pattern. */
bool rc_grant_publishes(const struct rc_grant *g, struct rc_str channel);
/*
 * What a verified token lets its bearer do as a service: the scopes of its claim `scope`, words that are none of ours left out. With
 * a claim `publish` the scope publish means the channels of that list. False: it has no claim `scope`, or none of our words in it,
 * or too much: it is no service. out: RC_GRANT_MAX bytes.
 */
bool rc_grant_of_claims(const struct rc_claims *claims, struct rc_grant *out) RC_MUST_USE;

struct rc_services;

/* path: a name of a file, for messages. -1: err says the line and what is wrong with it. */
int rc_services_parse(struct rc_services **out, const char *path, struct rc_str text,
	struct rc_error *err) RC_MUST_USE;
/* Reads the file. *exposed: everybody on the host can read it. */
int rc_services_open(struct rc_services **out, const char *path, bool *exposed,
	struct rc_error *err) RC_MUST_USE;
void rc_services_close(struct rc_services *services);
uint32_t rc_services_count(const struct rc_services *services);

/* Who has this credential: a token, or the name in a certificate. NULL: nobody. Borrowed from the table. */
const struct rc_grant *rc_services_find(
	const struct rc_services *services, enum rc_proof proof, struct rc_str given);
/* The same by the digest. *compared: with how many entries it was compared, which is always all. */
const struct rc_grant *rc_services_match(const struct rc_services *services, enum rc_proof proof,
	const unsigned char digest[RC_SERVICE_DIGEST], uint32_t *compared);
/* The two are the same, in a time that depends on their lengths alone. An empty one is the same as nothing. */
bool rc_secret_same(struct rc_str given, struct rc_str wanted);

#endif
