/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of services, and who is met in it. The file is read in servicefile.c.
 */
#include "auth/servicetable.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "proto/names.h"

void rc_service_digest(struct rc_str text, unsigned char out[RC_SERVICE_DIGEST])
{
	(void)SHA256((const unsigned char *)(text.len ? text.ptr : ""), text.len, out);
}

bool rc_secret_same(struct rc_str given, struct rc_str wanted)
{
	unsigned char a[RC_SERVICE_DIGEST], b[RC_SERVICE_DIGEST];

	rc_service_digest(given, a);
	rc_service_digest(wanted, b);
	return (CRYPTO_memcmp(a, b, sizeof(a)) == 0) & (wanted.len != 0);
}

const struct rc_grant *rc_services_match(const struct rc_services *s, enum rc_proof proof,
	const unsigned char digest[RC_SERVICE_DIGEST], uint32_t *compared)
{
	uint32_t found = 0; /* its place, from 1 on */

	for (*compared = 0; *compared < s->count; ++*compared) {
		const struct rc_service_entry *e = &s->entries[*compared];
		uint32_t differs = (uint32_t)CRYPTO_memcmp(e->digest, digest, RC_SERVICE_DIGEST) |
				   (uint32_t)(e->proof ^ (uint32_t)proof);
		/* All ones where nothing differs: no branch tells which entry it was. */
		uint32_t same = (uint32_t)(((uint64_t)differs - 1) >> 32);

		found |= same & (*compared + 1);
	}
	return found ? rc_services_grant(s, found - 1) : NULL;
}

const struct rc_grant *rc_services_find(
	const struct rc_services *s, enum rc_proof proof, struct rc_str given)
{
	unsigned char digest[RC_SERVICE_DIGEST];
	uint32_t compared;

	rc_service_digest(given, digest);
	return rc_services_match(s, proof, digest, &compared);
}

uint32_t rc_services_count(const struct rc_services *s)
{
	return s->count;
}

void rc_services_close(struct rc_services *s)
{
	if (!s)
		return;
	free(s->entries);
	free(s->grants);
	free(s);
}

/* ---- grants ------------------------------------------------------------------------------------- */

void rc_grant_plain(struct rc_grant *g, uint16_t scopes)
{
	*g = (struct rc_grant){.size = sizeof(*g), .scopes = scopes};
}

bool rc_grant_publishes(const struct rc_grant *g, struct rc_str channel)
{
	struct rc_str list = {g->patterns, g->patterns_len}, name;

	if (!(g->scopes & RC_SCOPE_PUBLISH))
		return false;
	if (!list.len)
		return true;
	while (rc_claims_next(&list, &name)) {
		if (rc_name_is_pattern(name) ? rc_pattern_match(name, channel)
					     : rc_str_eq(name, channel))
			return true;
	}
	return false;
}

static const struct {
	const char *word;
	uint16_t scopes;
} words[] = {
	{"publish", RC_SCOPE_PUBLISH},
	{"send", RC_SCOPE_SEND},
	{"disconnect", RC_SCOPE_DISCONNECT},
	{"broadcast", RC_SCOPE_BROADCAST},
	{"backend", RC_SCOPE_BACKEND},
	{"read", RC_SCOPE_READ},
	{"admin", RC_SCOPES_ALL},
};

const char *rc_scope_word(uint16_t scope)
{
	for (size_t i = 0; i < RC_ARRAY_LEN(words); i++)
		if (words[i].scopes == (scope == RC_SCOPE_ADMIN ? RC_SCOPES_ALL : scope))
			return words[i].word;
	return NULL;
}

const char *rc_grant_add(struct rc_grant *g, struct rc_str word, uint32_t *patterns)
{
	struct rc_str limited = RC_STR("publish=");

	for (size_t i = 0; i < RC_ARRAY_LEN(words); i++) {
		if (rc_str_eq(word, rc_str_of(words[i].word))) {
			g->scopes |= words[i].scopes;
			return NULL;
		}
	}
	if (!rc_str_starts(word, limited))
		return "is no scope: publish, publish=PATTERN, send, disconnect, broadcast, backend, "
		       "read and admin are";
	word.ptr += limited.len;
	word.len -= limited.len;
	if (rc_name_classify(word) == RC_NAME_BAD || rc_name_reserved(word))
		return "names no channel that one may publish to, and no pattern of them";
	if (++*patterns > RC_SERVICE_PATTERNS_MAX)
		return "is one pattern too many";
	g->scopes |= RC_SCOPE_PUBLISH;
	g->patterns[g->patterns_len] = (char)(unsigned char)word.len;
	memcpy(g->patterns + g->patterns_len + 1, word.ptr, word.len);
	g->patterns_len = (uint16_t)(g->patterns_len + 1 + word.len);
	g->size = (uint32_t)(sizeof(*g) + g->patterns_len);
	return NULL;
}

bool rc_grant_of_claims(const struct rc_claims *claims, struct rc_grant *out)
{
	static const struct rc_str ours = RC_STR("ringcast:");
	struct rc_str user = rc_claims_user(claims), word;
	struct rc_str scopes = rc_claims_list(claims, RC_CLAIM_SCOPES);
	struct rc_str publish = rc_claims_list(claims, RC_CLAIM_PUBLISH);
	uint32_t patterns = 0;

	rc_grant_plain(out, 0);
	out->expires_ms = claims->expires_ms;
	out->name_len = (uint8_t)RC_MIN(user.len, sizeof(out->name));
	memcpy(out->name, user.ptr, out->name_len);
	/* Issuers give words such as `read` to whoever signs in. So ours say whose they are; others may stand beside them. */
	while (rc_claims_next(&scopes, &word)) {
		if (!rc_str_starts(word, ours))
			continue;
		word.ptr += ours.len;
		word.len -= ours.len;
		(void)rc_grant_add(out, word, &patterns);
	}
	if (patterns > RC_SERVICE_PATTERNS_MAX)
		return false;
	if (!(out->scopes & RC_SCOPE_PUBLISH) || (out->scopes & RC_SCOPE_ADMIN) ||
		!(claims->present & 1u << RC_CLAIM_PUBLISH))
		return out->scopes != 0;
	if (out->patterns_len + publish.len > RC_CLAIMS_MAX)
		return false;
	/* A list that is empty names no channel, which is not every channel. */
	if (!publish.len && !out->patterns_len)
		out->scopes &= (uint16_t)~RC_SCOPE_PUBLISH;
	memcpy(out->patterns + out->patterns_len, publish.ptr, publish.len);
	out->patterns_len = (uint16_t)(out->patterns_len + publish.len);
	out->size = (uint32_t)(sizeof(*out) + out->patterns_len);
	return out->scopes != 0;
}
