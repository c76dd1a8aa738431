/* SPDX-License-Identifier: Apache-2.0
 *
 * An option of [auth] that would do nothing is an error when somebody could believe to be protected by it.
 */
#include "config/authrules.h"

#include "config/apply.h"
#include "config/value.h"

bool rc_config_has_keys(const struct rc_config *c)
{
	return c->auth_hmac_secret[0] || c->auth_hmac_secret_file[0] || c->auth_public_key[0] ||
	       c->auth_jwks[0];
}

bool rc_config_anonymous(const struct rc_config *c)
{
	if (c->auth_anonymous != RC_CONFIG_OPEN_AUTO)
		return c->auth_anonymous == RC_CONFIG_OPEN_YES;
	if (!rc_config_has_keys(c))
		return true;
	/* Where anyone may read something, anyone may come. */
	for (uint32_t ns = 0; ns <= c->namespace_count; ns++)
		if (c->ns[ns].allow_subscribe == RC_CONFIG_ALLOW_ANYONE)
			return true;
	return false;
}

/* The secret is read with the other keys, again and again, so it stays where it is. */
static void settle_secret(struct rc_config *c, struct rc_config_report *r)
{
	struct rc_config_origin *value =
		rc_config_origin(c, rc_option_find("auth", "hmac_secret"), 0);
	struct rc_config_origin *file =
		rc_config_origin(c, rc_option_find("auth", "hmac_secret_file"), 0);

	if (!c->auth_hmac_secret[0] || !c->auth_hmac_secret_file[0])
		return;
	if (value->source == file->source) {
		rc_config_report_error(
			r, "[auth] has both hmac_secret and hmac_secret_file; keep one of them");
	} else if (value->source > file->source) {
		memset(c->auth_hmac_secret_file, 0, sizeof(c->auth_hmac_secret_file));
		*file = (struct rc_config_origin){0};
	} else {
		explicit_bzero(c->auth_hmac_secret, sizeof(c->auth_hmac_secret));
		*value = (struct rc_config_origin){0};
	}
}

static void check_without_keys(const struct rc_config *c, struct rc_config_report *r)
{
	static const char keys[] = "set hmac_secret_file, public_key or jwks";

	if (c->auth_issuer[0])
		rc_config_report_error(r,
			"[auth] issuer has no effect without a key to verify tokens with: %s, or "
			"remove issuer",
			keys);
	if (c->auth_audience[0])
		rc_config_report_error(r,
			"[auth] audience has no effect without a key to verify tokens with: %s, or "
			"remove audience",
			keys);
	if (c->auth_anonymous == RC_CONFIG_OPEN_NO)
		rc_config_report_error(r,
			"[auth] anonymous = no lets nobody in without a key to verify tokens with: "
			"%s, or set anonymous = auto",
			keys);
}

/* As the value of user_claim these have another meaning already. */
static bool is_taken(const char *claim)
{
	static const char *const taken[] = {"channels", "publish", "subscribe_on_connect",
		"commands", "scope", "scopes", "info", "max_connections", "exp", "nbf", "iat",
		"iss", "aud"};

	for (size_t i = 0; i < RC_ARRAY_LEN(taken); i++)
		if (strcmp(claim, taken[i]) == 0)
			return true;
	return false;
}

/* A token of RFC 9110, as names of cookies are. */
static bool is_cookie_name(const char *name)
{
	for (; *name; name++)
		if (*name <= ' ' || *name >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", *name))
			return false;
	return true;
}

static void check_sizes(const struct rc_config *c, struct rc_config_report *r)
{
	char have[RC_VALUE_TEXT_SIZE], head[RC_VALUE_TEXT_SIZE];

	if (c->auth_token_max < c->request_head_max)
		return;
	rc_value_format_number(
		&rc_options[rc_option_find("auth", "token_max")], c->auth_token_max, have);
	rc_value_format_number(&rc_options[rc_option_find("server", "request_head_max")],
		c->request_head_max, head);
	rc_config_report_warning(r,
		"[auth] token_max = %s does not fit into a request of request_head_max = %s: set "
		"request_head_max higher, or token_max lower",
		have, head);
}

void rc_config_check_auth(struct rc_config *c, struct rc_config_report *r)
{
	settle_secret(c, r);
	if (rc_config_has_keys(c))
		check_sizes(c, r);
	else
		check_without_keys(c, r);
	if (!c->auth_user_claim[0] || is_taken(c->auth_user_claim))
		rc_config_report_error(r,
			"[auth] user_claim = '%s' can't name the user: set it to sub, or to another claim "
			"that has no meaning of its own here",
			c->auth_user_claim);
	if (!is_cookie_name(c->auth_cookie))
		rc_config_report_error(r,
			"[auth] cookie = '%s' is no name of a cookie: letters, digits, '-', '_' and '.' "
			"are fine",
			c->auth_cookie);
}
