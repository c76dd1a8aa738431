/* SPDX-License-Identifier: Apache-2.0
 *
 * `ringcast token`: makes a token for development, by the secret of the configuration or by a private key; or verifies one as the
 * gateway with that configuration would. Main thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include "auth/auth.h"
#include "auth/sign.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/tokenargs.h"
#include "proto/base64.h"
#include "proto/textbuf.h"

#define PAYLOAD_MAX 49152u
#define INPUT_MAX   65536u

/* ---- the configuration -------------------------------------------------------------------------- */

/* Words of `ringcast serve`, which read the same here. */
static int read_config(const struct rc_token_options *o, struct rc_config *config)
{
	static struct rc_config_report report;
	static char set[] = "--set", file[] = "--config";
	char *argv[2 + 2 * RC_TOKEN_LIST_MAX];
	struct rc_config_args args = {0};
	extern char **environ;
	int argc = 0, rc;

	if (o->config) {
		argv[argc++] = file;
		argv[argc++] = (char *)o->config;
	}
	for (uint32_t i = 0; i < o->sets.count; i++) {
		argv[argc++] = set;
		argv[argc++] = (char *)o->sets.at[i];
	}
	rc = rc_config_load(config, argc, argv, environ, &args, &report);
	rc_config_report_print(&report, stderr);
	return rc;
}

/* ---- making one --------------------------------------------------------------------------------- */

static void add_name(struct rc_textbuf *b, struct rc_str name)
{
	if (b->len > 1)
		rc_textbuf_add_char(b, ',');
	rc_textbuf_add_string(b, name);
	rc_textbuf_add_char(b, ':');
}

static void add_text(struct rc_textbuf *b, const char *name, struct rc_str text)
{
	add_name(b, rc_str_of(name));
	rc_textbuf_add_string(b, text);
}

static void add_number(struct rc_textbuf *b, const char *name, uint64_t number)
{
	add_name(b, rc_str_of(name));
	rc_textbuf_add_u64(b, number);
}

static void add_list(struct rc_textbuf *b, const char *name, const struct rc_token_list *list)
{
	if (!list->count)
		return;
	add_name(b, rc_str_of(name));
	for (uint32_t i = 0; i < list->count; i++) {
		rc_textbuf_add_char(b, i ? ',' : '[');
		rc_textbuf_add_string(b, rc_str_of(list->at[i]));
	}
	rc_textbuf_add_char(b, ']');
}

/* A claim that is given by hand takes the place of ours. */
static bool is_given(const struct rc_token_options *o, const char *name)
{
	for (uint32_t i = 0; i < o->claims.count; i++)
		if (strncmp(o->claims.at[i], name, strlen(name)) == 0 &&
			o->claims.at[i][strlen(name)] == '=')
			return true;
	return false;
}

/* The first of what the configuration asks for. */
static void add_first(
	struct rc_textbuf *b, const struct rc_token_options *o, const char *name, const char *list)
{
	list += strspn(list, ", ");
	if (*list && !is_given(o, name))
		add_text(b, name, (struct rc_str){list, strcspn(list, ", ")});
}

static void write_payload(
	struct rc_textbuf *b, const struct rc_token_options *o, const struct rc_config *config)
{
	uint64_t now_s = rc_clock_wall_ms() / 1000;

	rc_textbuf_add_char(b, '{');
	if (o->user)
		add_text(b, config->auth_user_claim, rc_str_of(o->user));
	add_list(b, "channels", &o->channels);
	add_list(b, "publish", &o->publish);
	add_list(b, "subscribe_on_connect", &o->subscribe);
	add_list(b, "commands", &o->commands);
	add_list(b, "scope", &o->scopes);
	if (o->info) {
		add_name(b, RC_STR("info"));
		rc_textbuf_add_text(b, o->info);
	}
	if (o->max_connections)
		add_number(b, "max_connections", strtoull(o->max_connections, NULL, 10));
	add_first(b, o, "iss", config->auth_issuer);
	add_first(b, o, "aud", config->auth_audience);
	if (!is_given(o, "iat"))
		add_number(b, "iat", now_s);
	if (!o->never && !is_given(o, "exp"))
		add_number(b, "exp", now_s + o->expires_s);
	for (uint32_t i = 0; i < o->claims.count; i++) {
		const char *equals = strchr(o->claims.at[i], '=');

		add_name(b, (struct rc_str){o->claims.at[i], (size_t)(equals - o->claims.at[i])});
		rc_textbuf_add_text(b, equals + 1);
	}
	rc_textbuf_add_char(b, '}');
}

static int signer_of_file(
	struct rc_signer *s, const char *path, enum rc_alg alg, struct rc_error *err)
{
	struct rc_file f;
	int rc;

	if (rc_file_read(&f, path, err) < 0)
		return -1;
	rc = rc_signer_pem(s, alg, (struct rc_str){f.bytes, f.len}, path, err);
	rc_file_free(&f);
	return rc;
}

static int signer_of_config(
	struct rc_signer *s, const struct rc_config *config, enum rc_alg alg, struct rc_error *err)
{
	struct rc_secret secret;
	struct rc_keys *keys;
	int rc;

	if (alg == RC_ALGS)
		alg = (enum rc_alg)config->auth_hmac_algorithm;
	if (!config->auth_hmac_secret[0] && !config->auth_hmac_secret_file[0])
		return rc_error_set(err,
			"there is nothing to sign with: the configuration has no hmac_secret in [auth] "
			"(see --config, --set), and no --key is given");
	if (alg > RC_ALG_HS512)
		return rc_error_set(err, "%s needs a private key: --key FILE", rc_alg_name(alg));
	if (rc_secret_read(&secret, config, err) < 0)
		return -1;
	/* What the gateway would not take as a secret is none here. */
	keys = rc_keys_new(config);
	rc = keys ? rc_keys_add_secret(
			    keys, alg, secret.text, (struct rc_str){0}, secret.where, err)
		  : rc_error_set(err, "out of memory");
	rc_keys_close(keys);
	if (rc == 0)
		rc = rc_signer_secret(s, alg, secret.text, err);
	rc_file_free(&secret.file);
	return rc;
}

static int make(
	const struct rc_token_options *o, const struct rc_config *config, struct rc_error *err)
{
	static char payload_text[PAYLOAD_MAX], header_text[2048];
	static char token[(PAYLOAD_MAX + sizeof(header_text) + RC_SIGNATURE_MAX) / 3 * 4 + 64];
	static union {
		struct rc_claims claims;
		char bytes[RC_CLAIMS_MAX];
	} block;
	struct rc_textbuf payload = {payload_text, 0, sizeof(payload_text), false};
	struct rc_textbuf header = {header_text, 0, sizeof(header_text), false};
	enum rc_alg alg = o->alg ? rc_alg_of(rc_str_of(o->alg)) : RC_ALGS;
	enum rc_token_result result;
	struct rc_signer s = {RC_ALG_HS256, NULL};
	int64_t len;

	if ((o->key ? signer_of_file(&s, o->key, alg, err)
		    : signer_of_config(&s, config, alg, err)) < 0)
		return -1;
	rc_textbuf_add_char(&header, '{');
	add_text(&header, "alg", rc_str_of(rc_alg_name(s.alg)));
	add_text(&header, "typ", RC_STR("JWT"));
	if (o->kid)
		add_text(&header, "kid", rc_str_of(o->kid));
	rc_textbuf_add_char(&header, '}');
	write_payload(&payload, o, config);
	len = header.full || payload.full
		      ? -1
		      : rc_token_sign(&s, rc_textbuf_str(&header), rc_textbuf_str(&payload), token);
	rc_signer_close(&s);
	if (len < 0)
		return rc_error_set(err, "the token can't be made: %s",
			header.full || payload.full ? "it would be too large"
						    : "OpenSSL does not sign");
	result = (size_t)len > config->auth_token_max
			 ? RC_TOKEN_TOO_LARGE
			 : rc_claims_read(rc_textbuf_str(&payload), config, rc_clock_wall_ms(),
				   &block.claims);
	if (result != RC_TOKEN_OK)
		(void)fprintf(stderr, "warning: a gateway with this configuration refuses it: %s\n",
			rc_token_reason(result));
	(void)printf("%.*s\n", (int)len, token);
	return 0;
}

/* ---- looking at one ----------------------------------------------------------------------------- */

static int read_token(const char *from, char out[INPUT_MAX], struct rc_str *token)
{
	size_t len;

	*token = rc_str_of(from);
	if (strcmp(from, "-") != 0)
		return 0;
	len = fread(out, 1, INPUT_MAX, stdin);
	if (len == INPUT_MAX || ferror(stdin))
		return -1;
	while (len && (out[len - 1] == '\n' || out[len - 1] == '\r'))
		len--;
	*token = (struct rc_str){out, len};
	return 0;
}

/* Its characters that steer a terminal stand in texts, where an escape means the same. */
static void print_payload(struct rc_str payload)
{
	for (size_t i = 0; i < payload.len; i++) {
		unsigned char c = (unsigned char)payload.ptr[i];
		unsigned char next = i + 1 < payload.len ? (unsigned char)payload.ptr[i + 1] : 0;

		if (c == 0x7f)
			(void)printf("\\u007f");
		else if (c == 0xc2 && next < 0xa0)
			(void)printf("\\u%04x", payload.ptr[++i] & 0xff);
		else
			(void)putchar(c);
	}
	(void)putchar('\n');
}

static int look(
	const struct rc_token_options *o, const struct rc_config *config, struct rc_error *err)
{
	static char input[INPUT_MAX], payload[INPUT_MAX];
	static union {
		struct rc_claims claims;
		char bytes[RC_CLAIMS_MAX];
	} block;
	enum rc_token_result result;
	struct rc_auth *auth;
	struct rc_str token;

	if (read_token(o->verify, input, &token) < 0)
		return rc_error_set(err, "%s", rc_token_reason(RC_TOKEN_TOO_LARGE));
	if (rc_auth_open(&auth, config, err) < 0)
		return -1;
	if (!auth->keys) {
		rc_auth_close(auth);
		return rc_error_set(err,
			"there is nothing to verify with: the configuration has no hmac_secret, "
			"public_key or jwks in [auth] (see --config, --set)");
	}
	result = rc_token_verify(auth->keys, token, rc_clock_wall_ms(), &block.claims);
	rc_auth_close(auth);
	if (result != RC_TOKEN_OK)
		return rc_error_set(err, "%s", rc_token_reason(result));
	const char *first = memchr(token.ptr, '.', token.len);
	const char *second = memrchr(token.ptr, '.', token.len);
	int64_t len = rc_base64url_decode(
		(struct rc_str){first + 1, (size_t)(second - first - 1)}, payload, sizeof(payload));

	RC_ASSERT(len > 0);
	print_payload((struct rc_str){payload, (size_t)len});
	return 0;
}

int rc_cli_token(int argc, char **argv)
{
	static struct rc_config config;
	static struct rc_token_options o;
	struct rc_error err;
	int status = rc_token_args(&o, argc, argv);

	if (status != 0)
		return status < 0 ? 0 : status;
	if (read_config(&o, &config) < 0)
		return 1;
	if ((o.verify ? look(&o, &config, &err) : make(&o, &config, &err)) < 0) {
		(void)fprintf(stderr, "ringcast token: %s\n", err.text);
		return 1;
	}
	return 0;
}
