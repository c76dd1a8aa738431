/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of services, who is met in it, and what they may do.
 */
#include "../unit.h"

#include <stdio.h>
#include <sys/stat.h>

#include "auth/service.h"

#define SECRET "0123456789abcdef"

static struct rc_services *parse(const char *text)
{
	struct rc_services *s = NULL;
	struct rc_error err = {{0}};

	if (rc_services_parse(&s, "f", rc_str_of(text), &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

static void refused(const char *text, const char *why)
{
	struct rc_services *s = NULL;
	struct rc_error err = {{0}};

	assert_int_equal(rc_services_parse(&s, "f", rc_str_of(text), &err), -1);
	assert_null(s);
	if (!strstr(err.text, why))
		fail_msg("'%s' is not in '%s'", why, err.text);
	assert_null(strstr(err.text, SECRET));
}

static const struct rc_grant *token(const struct rc_services *s, const char *text)
{
	return rc_services_find(s, RC_PROOF_TOKEN, rc_str_of(text));
}

static void a_service_is_met_by_its_token_its_digest_or_its_certificate(void **state)
{
	(void)state;
	struct rc_services *s = parse(
		"# services\n\n"
		"orders\ttoken:" SECRET "   publish=orders:** publish=one send # and why\r\n"
		"billing sha256:"
		"d2ba5a69132e4ba3d9f35d29ef9cd2a4bfbd2ba8b7d9a5f2a2cfe42d8f08b15a publish read\n"
		"edge certificate:" SECRET " admin");
	const struct rc_grant *g = token(s, SECRET);

	assert_int_equal(rc_services_count(s), 3);
	assert_non_null(g);
	assert_true(rc_str_eq(rc_grant_name(g), RC_STR("orders")));
	assert_int_equal(g->scopes, RC_SCOPE_PUBLISH | RC_SCOPE_SEND);
	assert_true(rc_grant_publishes(g, RC_STR("orders:1:x")));
	assert_true(rc_grant_publishes(g, RC_STR("one")));
	assert_false(rc_grant_publishes(g, RC_STR("orders")));
	assert_false(rc_grant_publishes(g, RC_STR("two")));
	g = rc_services_find(s, RC_PROOF_CERTIFICATE, RC_STR(SECRET));
	assert_true(rc_str_eq(rc_grant_name(g), RC_STR("edge")));
	assert_int_equal(g->scopes, RC_SCOPES_ALL);
	assert_true(rc_grant_publishes(g, RC_STR("anything")));
	assert_null(token(s, ""));
	assert_null(token(s, SECRET "0"));
	assert_null(rc_services_find(s, RC_PROOF_CERTIFICATE, RC_STR("")));
	rc_services_close(s);
}

static void a_digest_stands_for_the_token_that_has_it(void **state)
{
	(void)state;
	/* printf %s abc | sha256sum */
	struct rc_services *s =
		parse("a sha256:"
		      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015AD"
		      " read\n");

	assert_non_null(token(s, "abc"));
	assert_null(token(s, "abd"));
	rc_services_close(s);
}

static void whoever_asks_is_compared_with_every_entry(void **state)
{
	(void)state;
	char text[8192], secret[32];
	unsigned char digest[RC_SERVICE_DIGEST] = {0};
	uint32_t compared = 0;
	int len = 0;

	for (int i = 0; i < 100; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len,
			"s%d token:secret-of-number-%04d send\n", i, i);
	struct rc_services *s = parse(text);
	for (int i = 0; i < 100; i++) {
		char name[16];
		(void)snprintf(secret, sizeof(secret), "secret-of-number-%04d", i);
		(void)snprintf(name, sizeof(name), "s%d", i);
		const struct rc_grant *g = token(s, secret);
		assert_non_null(g);
		assert_true(rc_str_eq(rc_grant_name(g), rc_str_of(name)));
		compared = 0;
		assert_ptr_equal(rc_services_match(s, RC_PROOF_TOKEN, g->digest, &compared), g);
		assert_int_equal(compared, 100);
	}
	assert_null(rc_services_match(s, RC_PROOF_TOKEN, digest, &compared));
	assert_int_equal(compared, 100);
	rc_services_close(s);
}

static void a_bad_line_is_refused_with_its_number_and_reason(void **state)
{
	(void)state;
	char text[16384];

	refused("a\n", "f:1: behind the name comes token:");
	refused("\n\na password:x send\n", "f:3: behind the name");
	refused("a/b token:" SECRET " send\n", "f:1: a service's name");
	refused("a token:short send\n", "f:1: a token is 16 to 1024");
	refused("a token:" SECRET "\x01 send\n", "f:1: a token is 16 to 1024");
	refused("a sha256:00 send\n", "f:1: sha256: is followed by the 64 hex digits");
	refused("a sha256:"
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ag send",
		"f:1: sha256:");
	refused("a certificate: send\n", "f:1: the name in a certificate");
	refused("a token:" SECRET "\n", "f:1: it may do nothing");
	refused("a token:" SECRET " # send\n", "f:1: it may do nothing");
	refused("a token:" SECRET " fly\n", "f:1: fly is no scope");
	refused("a token:" SECRET " \x1b[2J\n", "f:1: a word is no scope");
	/* Two tokens for one service, a blank within a token, a line whose words are in another order. */
	refused("a token:fedcba9876543210 token:" SECRET " send\n", "f:1: a word is no scope");
	refused("a token:fedcba9876543210 sha256:" SECRET " send\n", "f:1: a word is no scope");
	refused("a token:fedcba9876543210 " SECRET " send\n", "f:1: a word is no scope");
	refused("a token:" SECRET " publish=a::*\n", "f:1: publish=a::* names no channel");
	refused("a token:" SECRET " publish=$sys:x\n", "names no channel that one may publish to");
	refused("a token:" SECRET " publish=\n", "names no channel");
	refused("a token:" SECRET " publish publish=a\n", "mean every channel");
	refused("a token:" SECRET " admin publish=a\n", "mean every channel");
	refused("a token:" SECRET " send\na certificate:x send\n",
		"f:2: the name stands in line 1");
	refused("a token:" SECRET " send\nb token:" SECRET " send\n",
		"f:2: the credential is that of line 1");
	int len = snprintf(text, sizeof(text), "a token:" SECRET);
	for (int i = 0; i < 65; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, " publish=c%d", i);
	refused(text, "is one pattern too many");
	memset(text, 'x', 9000);
	text[9000] = 0;
	refused(text, "f:1: the line is longer than 8192 bytes");
}

static void there_are_at_most_4096_services(void **state)
{
	(void)state;
	size_t size = 4097 * 64;
	char *text = malloc(size);
	size_t len = 0;
	struct rc_services *s = NULL;
	struct rc_error err;

	for (int i = 0; i < 4096; i++)
		len += (size_t)snprintf(
			text + len, size - len, "s%d token:secret-of-number-%04d send\n", i, i);
	s = parse(text);
	assert_int_equal(rc_services_count(s), 4096);
	rc_services_close(s);
	(void)snprintf(text + len, size - len, "one token:secret-of-one-more send\n");
	assert_int_equal(rc_services_parse(&s, "f", rc_str_of(text), &err), -1);
	assert_non_null(strstr(err.text, "f:4097: there are more than 4096 services"));
	free(text);
}

static void a_file_that_everybody_can_read_is_told(void **state)
{
	(void)state;
	char path[] = "/tmp/ringcast-services-XXXXXX";
	int fd = mkstemp(path);
	static const char line[] = "a token:" SECRET " send\n";
	struct rc_services *s;
	struct rc_error err;
	bool exposed = true;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, line, sizeof(line) - 1), sizeof(line) - 1);
	assert_int_equal(rc_services_open(&s, path, &exposed, &err), 0);
	assert_false(exposed);
	rc_services_close(s);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(rc_services_open(&s, path, &exposed, &err), 0);
	assert_true(exposed);
	rc_services_close(s);
	(void)close(fd);
	(void)unlink(path);
	assert_int_equal(rc_services_open(&s, path, &exposed, &err), -1);
	assert_non_null(strstr(err.text, "cannot open [auth] services"));
}

static void a_secret_is_the_same_as_itself_alone(void **state)
{
	(void)state;
	assert_true(rc_secret_same(RC_STR("abc"), RC_STR("abc")));
	assert_false(rc_secret_same(RC_STR("abcabc"), RC_STR("abc")));
	assert_false(rc_secret_same(RC_STR(""), RC_STR("abc")));
	assert_false(rc_secret_same(RC_STR("abc"), RC_STR("")));
	assert_false(rc_secret_same(RC_STR(""), RC_STR("")));
}

/* ---- tokens ------------------------------------------------------------------------------------- */

static struct rc_claims *claims(
	const char *user, const char *const *scopes, const char *const *publish)
{
	struct rc_claims *c = calloc(1, sizeof(*c) + 4096);
	size_t at = strlen(user);
	const char *const *lists[2] = {scopes, publish};
	const enum rc_claim_list which[2] = {RC_CLAIM_SCOPES, RC_CLAIM_PUBLISH};

	memcpy(c->bytes, user, at);
	c->user_len = (uint16_t)at;
	c->expires_ms = 77;
	for (int i = 0; i < 2; i++) {
		c->list[which[i]].at = (uint16_t)at;
		if (lists[i])
			c->present |= (uint16_t)(1u << which[i]);
		for (const char *const *t = lists[i]; t && *t; t++) {
			c->bytes[at++] = (char)strlen(*t);
			memcpy(c->bytes + at, *t, strlen(*t));
			at += strlen(*t);
		}
		c->list[which[i]].len = (uint16_t)(at - c->list[which[i]].at);
	}
	c->size = (uint32_t)(sizeof(*c) + at);
	return c;
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static bool grant_of(struct rc_claims *c, struct rc_grant *out)
{
	bool is = rc_grant_of_claims(c, out);

	free(c);
	return is;
}

static void a_tokens_scopes_are_the_words_that_are_ours(void **state)
{
	(void)state;
	struct rc_grant *g = malloc(RC_GRANT_MAX);
	const char *const nothing[] = {NULL};

	assert_true(grant_of(
		claims("bob", LIST("openid", "ringcast:publish", "ringcast:read"), NULL), g));
	assert_int_equal(g->scopes, RC_SCOPE_PUBLISH | RC_SCOPE_READ);
	assert_true(rc_str_eq(rc_grant_name(g), RC_STR("bob")));
	assert_int_equal(g->expires_ms, 77);
	assert_false(g->listed);
	assert_true(rc_grant_publishes(g, RC_STR("any:channel")));

	assert_true(grant_of(claims("", LIST("ringcast:publish"), LIST("a:*", "b")), g));
	assert_true(rc_grant_publishes(g, RC_STR("a:1")));
	assert_true(rc_grant_publishes(g, RC_STR("b")));
	assert_false(rc_grant_publishes(g, RC_STR("c")));

	assert_true(grant_of(claims("", LIST("ringcast:publish=x:*", "ringcast:send"), NULL), g));
	assert_true(rc_grant_publishes(g, RC_STR("x:1")));
	assert_false(rc_grant_publishes(g, RC_STR("b")));

	/* What a client may publish is no scope. */
	assert_false(grant_of(claims("bob", NULL, LIST("**")), g));
	assert_true(grant_of(claims("bob", LIST("ringcast:read"), LIST("**")), g));
	assert_false(rc_grant_publishes(g, RC_STR("b")));
	/* A list that names nothing. */
	assert_false(grant_of(claims("bob", LIST("ringcast:publish"), nothing), g));
	assert_true(grant_of(claims("bob", LIST("ringcast:admin"), nothing), g));
	assert_true(rc_grant_publishes(g, RC_STR("b")));
	/* Words that issuers have for their own ends. */
	assert_false(grant_of(claims("bob", LIST("openid", "read", "admin", "publish"), NULL), g));
	assert_false(
		grant_of(claims("bob", LIST("ringcast:", "ringcast", "x:ringcast:read"), NULL), g));
	free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_is_met_by_its_token_its_digest_or_its_certificate),
		cmocka_unit_test(a_digest_stands_for_the_token_that_has_it),
		cmocka_unit_test(whoever_asks_is_compared_with_every_entry),
		cmocka_unit_test(a_bad_line_is_refused_with_its_number_and_reason),
		cmocka_unit_test(there_are_at_most_4096_services),
		cmocka_unit_test(a_file_that_everybody_can_read_is_told),
		cmocka_unit_test(a_secret_is_the_same_as_itself_alone),
		cmocka_unit_test(a_tokens_scopes_are_the_words_that_are_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
