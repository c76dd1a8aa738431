/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/proof.h"

#include "auth/auth.h"
#include "serve/accesslog.h"
#include "serve/limits.h"

static const struct rc_grant everything = {.size = sizeof(everything), .scopes = RC_SCOPES_ALL};
static const struct rc_grant ingest = {.size = sizeof(ingest), .scopes = RC_SCOPES_INGEST};

static const struct rc_services *services(const struct rc_serve *sv)
{
	return sv->auth ? sv->auth->services : NULL;
}

static const struct rc_keys *keys(const struct rc_serve *sv)
{
	return sv->auth ? sv->auth->keys : NULL;
}

bool rc_credential_wanted(const struct rc_serve *sv)
{
	return sv->config->ingest_token[0] || services(sv);
}

bool rc_credential_signed(const struct rc_serve *sv)
{
	return keys(sv) != NULL;
}

bool rc_credential_possible(const struct rc_serve *sv)
{
	return sv->config->admin_token[0] || services(sv) || keys(sv);
}

void rc_credential_failed(
	struct rc_serve *sv, const struct rc_conn *c, enum rc_auth_place place, bool presented)
{
	static const enum rc_counter counter[] = {
		[RC_AUTH_AT_INGEST] = RC_C_auth_failed_ingest,
		[RC_AUTH_AT_HTTP] = RC_C_auth_failed_http,
		[RC_AUTH_OF_CLIENT] = RC_C_auth_failed_client,
	};

	static const char *const name[] = {
		[RC_AUTH_AT_INGEST] = "ingest",
		[RC_AUTH_AT_HTTP] = "http",
		[RC_AUTH_OF_CLIENT] = "client",
	};

	rc_count(sv->counters, counter[place], 1);
	rc_audit_failed(sv, c, name[place]);
	/* Who brings none guesses nothing. */
	if (presented)
		rc_limits_failed(sv, c);
}

/* A token that some issuer signed, and that says it is for a service. */
static const struct rc_grant *signed_token(const struct rc_serve *sv, struct rc_str token)
{
	union {
		struct rc_claims claims;
		unsigned char room[RC_CLAIMS_MAX];
	} u;

	if (!keys(sv) || rc_token_verify(keys(sv), token, sv->wall_ms, &u.claims) != RC_TOKEN_OK)
		return NULL;
	return rc_grant_of_claims(&u.claims, sv->grant_room) ? sv->grant_room : NULL;
}

enum rc_credential rc_credential_token(struct rc_serve *sv, const struct rc_conn *c,
	enum rc_auth_place place, struct rc_str token, const struct rc_grant **out)
{
	bool publisher = place == RC_AUTH_AT_INGEST;
	struct rc_str single =
		rc_str_of(publisher ? sv->config->ingest_token : sv->config->admin_token);
	const struct rc_grant *listed = NULL;

	if (!rc_limits_may_try(sv, c)) {
		rc_count(sv->counters, RC_C_auth_refused_tries, 1);
		return RC_CREDENTIAL_TOO_MANY;
	}
	/* Both are always looked at, so that the time does not tell which there is. */
	bool same = rc_secret_same(token, single);
	if (services(sv))
		listed = rc_services_find(services(sv), RC_PROOF_TOKEN, token);
	*out = same ? publisher ? &ingest : &everything : listed;
	if (!*out)
		*out = signed_token(sv, token);
	if (*out)
		return RC_CREDENTIAL_GOOD;
	rc_credential_failed(sv, c, place, true);
	return RC_CREDENTIAL_WRONG;
}

enum rc_credential rc_credential_certificate(struct rc_serve *sv, const struct rc_conn *c,
	struct rc_str name, const struct rc_grant **out)
{
	*out = &ingest;
	if (!services(sv))
		return RC_CREDENTIAL_GOOD;
	*out = rc_services_find(services(sv), RC_PROOF_CERTIFICATE, name);
	if (*out)
		return RC_CREDENTIAL_GOOD;
	rc_credential_failed(sv, c, RC_AUTH_AT_INGEST, true);
	return RC_CREDENTIAL_WRONG;
}
