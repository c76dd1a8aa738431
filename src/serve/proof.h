/* SPDX-License-Identifier: Apache-2.0
 *
 * Who proves to be a service, wherever that is: the HELLO of a publisher, the bearer of a request to /api. All who fail, clients
 * with their tokens too, go through rc_credential_failed, which counts, limits and tells the log, and no answer says which part was
 * wrong. One thread.
 */
#ifndef RC_SERVE_PROOF_H
#define RC_SERVE_PROOF_H

#include "auth/service.h"
#include "serve/serve.h"

enum rc_auth_place { RC_AUTH_AT_INGEST, RC_AUTH_AT_HTTP, RC_AUTH_OF_CLIENT };

enum rc_credential {
	RC_CREDENTIAL_GOOD,
	RC_CREDENTIAL_WRONG,
	RC_CREDENTIAL_TOO_MANY, /* its address has failed too often: nothing was looked at */
};

/* A token that was presented. GOOD: *out is what it allows, borrowed until the next call or the next turn. */
enum rc_credential rc_credential_token(struct rc_serve *sv, const struct rc_conn *c,
	enum rc_auth_place place, struct rc_str token, const struct rc_grant **out);
/* The name in a certificate that was verified. Without a file of services every name may publish. */
enum rc_credential rc_credential_certificate(struct rc_serve *sv, const struct rc_conn *c,
	struct rc_str name, const struct rc_grant **out);
/* Whether a publisher without a certificate must present a token. */
bool rc_credential_wanted(const struct rc_serve *sv);
/* Whether tokens are known that an issuer signs. */
bool rc_credential_signed(const struct rc_serve *sv);
/* Whether anything could be a token that /api takes. */
bool rc_credential_possible(const struct rc_serve *sv);
/* One more that was wrong, or was wanted and did not come (presented: false). */
void rc_credential_failed(
	struct rc_serve *sv, const struct rc_conn *c, enum rc_auth_place place, bool presented);

#endif
