/* SPDX-License-Identifier: Apache-2.0
 *
 * A token from its bytes to its claims: the compact form of RFC 7515 and nothing else, each part in the one writing that base64url
 * has for it. The claims are not looked at before the signature is known to be good.
 *
 *   header . payload . signature
 *   └ alg, kid, typ    └ claims.c
 */
#include <errno.h>
#include <strings.h>

#include "auth/keys.h"
#include "auth/members.h"
#include "proto/base64.h"

#define HEADER_MAX   1024u
#define PAYLOAD_MAX  12288u /* of the largest token_max */
#define HEADER_DEPTH 4u
#define TRIES        8u /* keys that are tried for a token that names none */

struct header {
	enum rc_alg alg;
	bool has_kid;
	struct rc_str kid;
	char kid_text[RC_KID_MAX];
};

struct parts {
	struct rc_str header, payload, signature;
	struct rc_str input; /* what is signed: header and payload with their dot */
};

const char *rc_token_reason(enum rc_token_result result)
{
	static const char *const reasons[RC_TOKEN_RESULTS] = {
		[RC_TOKEN_OK] = "the token is good",
		[RC_TOKEN_MALFORMED] = "the token is malformed",
		[RC_TOKEN_TOO_LARGE] = "the token is too large",
		[RC_TOKEN_ALGORITHM] = "the token's algorithm is not accepted",
		[RC_TOKEN_UNKNOWN_KEY] = "the token's key is not known",
		[RC_TOKEN_SIGNATURE] = "the token's signature is wrong",
		[RC_TOKEN_EXPIRED] = "the token has expired",
		[RC_TOKEN_NOT_YET] = "the token is not valid yet",
		[RC_TOKEN_ISSUER] = "the token's issuer is not accepted",
		[RC_TOKEN_AUDIENCE] = "the token is not for this service",
		[RC_TOKEN_CLAIM] = "a claim of the token is missing or not as it must be",
	};

	return reasons[result];
}

static bool split(struct rc_str token, struct parts *p)
{
	const char *end = token.ptr + token.len;
	const char *first = token.len ? memchr(token.ptr, '.', token.len) : NULL;
	const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;

	/* A third dot is a foreign character of the signature. */
	if (!second)
		return false;
	p->header = (struct rc_str){token.ptr, (size_t)(first - token.ptr)};
	p->payload = (struct rc_str){first + 1, (size_t)(second - first - 1)};
	p->signature = (struct rc_str){second + 1, (size_t)(end - second - 1)};
	p->input = (struct rc_str){token.ptr, (size_t)(second - token.ptr)};
	return true;
}

/* A token that was made for another purpose says so, and is none for us. */
static bool is_our_type(struct rc_json_value typ)
{
	char text[32];
	int len = rc_members_text(typ, text, sizeof(text) - 1);
	const char *name = text;

	if (typ.kind == RC_JSON_NONE)
		return true;
	if (len < 0)
		return false;
	text[len] = '\0';
	if (strncasecmp(name, "application/", 12) == 0)
		name += 12;
	return strcasecmp(name, "JWT") == 0 || strcasecmp(name, "at+jwt") == 0;
}

static enum rc_token_result read_kid(struct header *h, struct rc_json_value kid)
{
	h->has_kid = kid.kind != RC_JSON_NONE;
	if (!h->has_kid)
		return RC_TOKEN_OK;
	int len = rc_members_text(kid, h->kid_text, sizeof(h->kid_text));

	if (len == -ENOSPC)
		return RC_TOKEN_UNKNOWN_KEY; /* none has so long a name */
	if (len < 0)
		return RC_TOKEN_MALFORMED;
	h->kid = (struct rc_str){h->kid_text, (size_t)len};
	return RC_TOKEN_OK;
}

static enum rc_token_result read_header(struct header *h, struct rc_str text)
{
	struct rc_members m;
	char alg[8];
	int len;

	if (rc_json_validate(text, HEADER_DEPTH) < 0 || rc_members_read(&m, rc_json_root(text)) < 0)
		return RC_TOKEN_MALFORMED;
	/* crit names extensions without which the token must not be understood; there are none here. */
	if (rc_members_find(&m, "crit").kind != RC_JSON_NONE ||
		!is_our_type(rc_members_find(&m, "typ")))
		return RC_TOKEN_MALFORMED;
	len = rc_members_text(rc_members_find(&m, "alg"), alg, sizeof(alg));
	if (len == -EINVAL)
		return RC_TOKEN_MALFORMED;
	h->alg = len < 0 ? RC_ALGS : rc_alg_of((struct rc_str){alg, (size_t)len});
	if (h->alg == RC_ALGS)
		return RC_TOKEN_ALGORITHM;
	return read_kid(h, rc_members_find(&m, "kid"));
}

static bool is_named(const struct rc_key *key, const struct header *h)
{
	return h->has_kid && key->has_kid &&
	       rc_str_eq(h->kid, (struct rc_str){key->kid, key->kid_len});
}

/*
 * The keys of that name when there are any, else those without a name: a secret or a PEM file has none, whatever the issuer calls
 * it. A token without a kid may be of any key. Of all these only those for its algorithm.
 */
static enum rc_token_result check_signature(const struct rc_keys *keys, const struct header *h,
	struct rc_str input, const unsigned char *signature, size_t len)
{
	bool named = false, any = false;
	uint32_t tried = 0;

	for (uint32_t i = 0; i < keys->count; i++) {
		named |= is_named(&keys->key[i], h);
		any |= keys->key[i].alg == h->alg;
	}
	for (uint32_t i = 0; i < keys->count && tried < TRIES; i++) {
		const struct rc_key *key = &keys->key[i];

		if (key->alg != h->alg || (named && !is_named(key, h)) ||
			(!named && h->has_kid && key->has_kid))
			continue;
		if (rc_key_verify(key, input, signature, len))
			return RC_TOKEN_OK;
		tried++;
	}
	if (tried)
		return RC_TOKEN_SIGNATURE;
	return named || !any ? RC_TOKEN_ALGORITHM : RC_TOKEN_UNKNOWN_KEY;
}

enum rc_token_result rc_token_verify(
	const struct rc_keys *keys, struct rc_str token, uint64_t wall_ms, struct rc_claims *out)
{
	unsigned char signature[RC_SIGNATURE_MAX];
	char header_text[HEADER_MAX], payload[PAYLOAD_MAX];
	enum rc_token_result result;
	struct header h;
	struct parts p;
	int64_t len, signature_len;

	if (token.len > keys->config->auth_token_max)
		return RC_TOKEN_TOO_LARGE;
	if (!split(token, &p))
		return RC_TOKEN_MALFORMED;
	len = rc_base64url_decode(p.header, header_text, sizeof(header_text));
	if (len < 0)
		return RC_TOKEN_MALFORMED;
	result = read_header(&h, (struct rc_str){header_text, (size_t)len});
	if (result != RC_TOKEN_OK)
		return result;
	signature_len = rc_base64url_decode(p.signature, signature, sizeof(signature));
	len = rc_base64url_decode(p.payload, payload, sizeof(payload));
	if (signature_len < 0 || len < 0)
		return RC_TOKEN_MALFORMED;
	result = check_signature(keys, &h, p.input, signature, (size_t)signature_len);
	if (result != RC_TOKEN_OK)
		return result;
	return rc_claims_read((struct rc_str){payload, (size_t)len}, keys->config, wall_ms, out);
}
