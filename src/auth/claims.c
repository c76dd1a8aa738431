/* SPDX-License-Identifier: Apache-2.0
 *
 * From the JSON of a token to the flat block of claims.h. A claim that has a meaning here is of the right kind and there once, or
 * the token is refused: a right that was misread is worse than one more error. Claims without a meaning are passed over.
 */
#include <assert.h>
#include <stdlib.h>

#include "auth/keys.h"
#include "base/utf8.h"
#include "proto/json.h"

#define DEPTH        16u
#define NUMBER_MAX   32u            /* characters */
#define TIME_MAX     253402300799.0 /* the last second of the year 9999 */
#define ROOM         (RC_CLAIMS_MAX - offsetof(struct rc_claims, bytes))
#define CONNECTIONS  1000000000.0
#define TEXT_MAX     255u /* what a list can hold as one text */
#define COMPARED_MAX 256u /* of iss and aud: longer ones are in no configuration */

enum claim {
	CHANNELS, /* the lists first, in the order of enum rc_claim_list */
	PUBLISH,
	ON_CONNECT,
	COMMANDS,
	SCOPE,
	USER,
	INFO,
	MAX_CONNECTIONS,
	EXP,
	NBF,
	IAT,
	ISS,
	AUD,
	CLAIMS
};

static_assert((int)CHANNELS == RC_CLAIM_SUBSCRIBE && (int)PUBLISH == RC_CLAIM_PUBLISH &&
		      (int)ON_CONNECT == RC_CLAIM_ON_CONNECT &&
		      (int)COMMANDS == RC_CLAIM_COMMANDS && (int)SCOPE == RC_CLAIM_SCOPES,
	"a claim for each list");

struct reader {
	const struct rc_config *config;
	struct rc_json_value at[CLAIMS];
	struct rc_claims *out;
	size_t len; /* of out->bytes */
};

static enum claim claim_of(const struct rc_config *config, struct rc_str name)
{
	static const struct {
		struct rc_str name;
		enum claim claim;
	} known[] = {
#define KNOWN(text, claim) {{text, sizeof(text) - 1}, claim}
		KNOWN("channels", CHANNELS),
		KNOWN("publish", PUBLISH),
		KNOWN("subscribe_on_connect", ON_CONNECT),
		KNOWN("commands", COMMANDS),
		KNOWN("scope", SCOPE),
		KNOWN("scopes", SCOPE),
		KNOWN("info", INFO),
		KNOWN("max_connections", MAX_CONNECTIONS),
		KNOWN("exp", EXP),
		KNOWN("nbf", NBF),
		KNOWN("iat", IAT),
		KNOWN("iss", ISS),
		KNOWN("aud", AUD),
#undef KNOWN
	};

	if (rc_str_eq(name, rc_str_of(config->auth_user_claim)))
		return USER;
	for (size_t i = 0; i < RC_ARRAY_LEN(known); i++)
		if (rc_str_eq(name, known[i].name))
			return known[i].claim;
	return CLAIMS;
}

/* Which claims are there, each once. */
static bool find_claims(struct reader *r, struct rc_str object)
{
	struct rc_json_iter it;
	struct rc_json_value value;
	struct rc_str key;

	rc_json_object_begin(&it, object);
	while (rc_json_object_next(&it, &key, &value)) {
		char name[RC_CONFIG_NAME_SIZE];
		/* With its quotes, which stand around it. A name that is too long for us is not ours. */
		int len = rc_json_string_decode(
			(struct rc_str){key.ptr - 1, key.len + 2}, name, sizeof(name));
		enum claim claim =
			len < 0 ? CLAIMS : claim_of(r->config, (struct rc_str){name, (size_t)len});

		if (claim == CLAIMS)
			continue;
		if (r->at[claim].kind != RC_JSON_NONE)
			return false;
		r->at[claim] = value;
	}
	return true;
}

/* ---- texts and lists ------------------------------------------------------------------------------ */

static bool is_user(struct rc_str text)
{
	/* The same as for the name of an event, whose bounds are these. */
	static_assert(RC_USER_MAX == RC_EVENT_NAME_MAX, "");
	return rc_event_name_valid(text);
}

static bool put_user(struct reader *r)
{
	struct rc_json_value v = r->at[USER];
	int len;

	if (v.kind == RC_JSON_NONE)
		return true;
	if (v.kind != RC_JSON_STRING)
		return false;
	len = rc_json_string_decode(v.raw, r->out->bytes, RC_USER_MAX);
	if (len < 0 || !is_user((struct rc_str){r->out->bytes, (size_t)len}))
		return false;
	r->out->user_len = (uint16_t)len;
	r->len = (size_t)len;
	return true;
}

/* RFC 6749's scope-token. */
static bool is_scope(struct rc_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\')
			return false;
	}
	return text.len > 0 && text.len <= TEXT_MAX;
}

static bool is_item(enum claim claim, struct rc_str text)
{
	switch (claim) {
	case COMMANDS:
		return rc_event_name_valid(text);
	case SCOPE:
		return is_scope(text);
	default:
		return rc_name_classify(text) != RC_NAME_BAD;
	}
}

static bool put_item(struct reader *r, enum claim claim, struct rc_json_value v)
{
	char *at = r->out->bytes + r->len;
	int len;

	if (v.kind != RC_JSON_STRING || r->len + 1 + TEXT_MAX > ROOM)
		return false;
	len = rc_json_string_decode(v.raw, at + 1, TEXT_MAX);
	if (len < 0 || !is_item(claim, (struct rc_str){at + 1, (size_t)len}))
		return false;
	at[0] = (char)len;
	r->len += 1 + (size_t)len;
	return true;
}

/* Words with one space between them: the byte in front of each becomes its length. */
static bool put_words(struct reader *r, struct rc_json_value v)
{
	char *at = r->out->bytes + r->len;
	int len;

	if (r->len + 1 >= ROOM)
		return false;
	len = rc_json_string_decode(v.raw, at + 1, ROOM - r->len - 1);
	if (len <= 0)
		return len == 0;
	r->len += 1 + (size_t)len;
	for (char *end = at + 1 + len; at < end;) {
		char *space = memchr(at + 1, ' ', (size_t)(end - at - 1));
		struct rc_str word = {at + 1, (size_t)((space ? space : end) - at - 1)};

		if (!is_scope(word))
			return false;
		at[0] = (char)word.len;
		at += 1 + word.len;
	}
	return true;
}

static bool put_list(struct reader *r, enum claim claim)
{
	struct rc_json_value v = r->at[claim], item;
	size_t begin = r->len;
	struct rc_json_iter it;
	bool good = true;

	r->out->list[claim].at = (uint16_t)begin;
	if (v.kind == RC_JSON_NONE)
		return true;
	if (v.kind == RC_JSON_STRING) {
		good = claim == SCOPE ? put_words(r, v) : put_item(r, claim, v);
	} else if (v.kind == RC_JSON_ARRAY) {
		rc_json_array_begin(&it, v.raw);
		while (good && rc_json_array_next(&it, &item))
			good = put_item(r, claim, item);
	} else {
		good = false;
	}
	r->out->list[claim].len = (uint16_t)(r->len - begin);
	r->out->present |= (uint16_t)(1u << claim);
	return good;
}

/* Without the white space between its tokens: it will stand in messages that are lines. */
static bool put_info(struct reader *r)
{
	struct rc_json_value v = r->at[INFO];
	char *at = r->out->bytes + r->len;
	bool in_string = false;
	size_t len = 0;

	r->out->info_at = (uint16_t)r->len;
	if (v.kind == RC_JSON_NONE || v.kind == RC_JSON_NULL)
		return true;
	for (size_t i = 0; i < v.raw.len; i++) {
		char c = v.raw.ptr[i];

		if (!in_string && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))
			continue;
		if (len == RC_INFO_MAX || r->len + len == ROOM)
			return false;
		at[len++] = c;
		if (c == '"')
			in_string = !in_string;
		else if (c == '\\' && len < RC_INFO_MAX && r->len + len < ROOM)
			at[len++] = v.raw.ptr[++i];
	}
	r->out->info_len = (uint16_t)len;
	r->len += len;
	return true;
}

/* ---- numbers -------------------------------------------------------------------------------------- */

/* 0 to max; false for all else. */
static bool number(struct rc_json_value v, double max, double *out)
{
	char text[NUMBER_MAX + 1];

	if (v.kind != RC_JSON_NUMBER || v.raw.len > NUMBER_MAX || v.raw.ptr[0] == '-')
		return false;
	*(char *)rc_str_copy(text, v.raw) = '\0';
	*out = strtod(text, NULL);
	return *out <= max;
}

static bool read_time(struct rc_json_value v, uint64_t *ms)
{
	double s;

	if (v.kind == RC_JSON_NONE)
		return true;
	if (!number(v, TIME_MAX, &s))
		return false;
	*ms = (uint64_t)(s * 1000);
	return true;
}

static bool read_max_connections(struct reader *r)
{
	struct rc_json_value v = r->at[MAX_CONNECTIONS];
	double n;

	if (v.kind == RC_JSON_NONE)
		return true;
	if (!number(v, CONNECTIONS, &n) || n < 1 || n != (double)(uint32_t)n)
		return false;
	r->out->max_connections = (uint32_t)n;
	return true;
}

/* ---- policy --------------------------------------------------------------------------------------- */

/* list: separated by commas or spaces. */
static bool is_listed(const char *list, struct rc_json_value v)
{
	char text[COMPARED_MAX];
	int len = v.kind == RC_JSON_STRING ? rc_json_string_decode(v.raw, text, sizeof(text)) : -1;

	while (len >= 0 && *list) {
		size_t word = strcspn(list, ", ");

		if (word &&
			rc_str_eq((struct rc_str){list, word}, (struct rc_str){text, (size_t)len}))
			return true;
		list += word + strspn(list + word, ", ");
	}
	return false;
}

static bool is_for_us(const char *list, struct rc_json_value aud)
{
	struct rc_json_iter it;
	struct rc_json_value item;

	if (aud.kind != RC_JSON_ARRAY)
		return is_listed(list, aud);
	rc_json_array_begin(&it, aud.raw);
	while (rc_json_array_next(&it, &item))
		if (is_listed(list, item))
			return true;
	return false;
}

static enum rc_token_result check_times(struct reader *r, uint64_t wall_ms)
{
	uint64_t leeway = r->config->auth_leeway_ms, exp = 0, nbf = 0, iat = 0;

	if (!read_time(r->at[EXP], &exp) || !read_time(r->at[NBF], &nbf) ||
		!read_time(r->at[IAT], &iat))
		return RC_TOKEN_CLAIM;
	if (r->at[EXP].kind != RC_JSON_NONE) {
		if (wall_ms >= exp + leeway)
			return RC_TOKEN_EXPIRED;
		r->out->expires_ms = exp;
	} else if (r->config->auth_require_expiry) {
		return RC_TOKEN_CLAIM;
	}
	return wall_ms + leeway < nbf ? RC_TOKEN_NOT_YET : RC_TOKEN_OK;
}

static enum rc_token_result check_policy(struct reader *r, uint64_t wall_ms)
{
	const struct rc_config *c = r->config;
	enum rc_token_result result = check_times(r, wall_ms);

	if (result != RC_TOKEN_OK)
		return result;
	if (c->auth_issuer[0] && !is_listed(c->auth_issuer, r->at[ISS]))
		return RC_TOKEN_ISSUER;
	if (c->auth_audience[0] && !is_for_us(c->auth_audience, r->at[AUD]))
		return RC_TOKEN_AUDIENCE;
	return RC_TOKEN_OK;
}

enum rc_token_result rc_claims_read(struct rc_str payload, const struct rc_config *config,
	uint64_t wall_ms, struct rc_claims *out)
{
	struct reader r = {.config = config, .out = out};
	struct rc_json_value root;
	enum rc_token_result result;

	memset(out, 0, sizeof(*out));
	if (rc_json_validate(payload, DEPTH) < 0)
		return RC_TOKEN_MALFORMED;
	root = rc_json_root(payload);
	if (root.kind != RC_JSON_OBJECT)
		return RC_TOKEN_MALFORMED;
	if (!find_claims(&r, root.raw))
		return RC_TOKEN_CLAIM;
	result = check_policy(&r, wall_ms);
	if (result != RC_TOKEN_OK)
		return result;
	if (!put_user(&r))
		return RC_TOKEN_CLAIM;
	for (uint32_t claim = CHANNELS; claim <= SCOPE; claim++)
		if (!put_list(&r, (enum claim)claim))
			return RC_TOKEN_CLAIM;
	if (!put_info(&r) || !read_max_connections(&r))
		return RC_TOKEN_CLAIM;
	out->size = (uint32_t)(offsetof(struct rc_claims, bytes) + r.len);
	return RC_TOKEN_OK;
}
