/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/rules.h"

#include "../unit.h"

static struct rc_config config;
static struct rc_config_report report;

static union {
	struct rc_claims claims;
	unsigned char room[1024];
} token;

static int fresh(void **state)
{
	(void)state;
	rc_config_init(&config);
	memset(&report, 0, sizeof(report));
	return 0;
}

static void set(const char *name, const char *value)
{
	assert_int_equal(rc_config_set(&config, name, value, RC_CONFIG_FLAG, &report), 0);
}

static void done(void)
{
	assert_int_equal(rc_config_finish(&config, &report), 0);
}

/* A token of that user, with one text in each list; NULL: none. */
static const struct rc_claims *bearer(
	const char *user, const char *channels, const char *publish, const char *on_connect)
{
	const char *texts[] = {[RC_CLAIM_SUBSCRIBE] = channels,
		[RC_CLAIM_PUBLISH] = publish,
		[RC_CLAIM_ON_CONNECT] = on_connect};
	struct rc_claims *c = &token.claims;
	char *at = c->bytes;

	memset(&token, 0, sizeof(token));
	c->user_len = (uint16_t)strlen(user);
	at = rc_str_copy(at, rc_str_of(user));
	for (uint32_t i = 0; i < RC_ARRAY_LEN(texts); i++) {
		c->list[i].at = (uint16_t)(at - c->bytes);
		if (!texts[i])
			continue;
		*at++ = (char)strlen(texts[i]);
		at = rc_str_copy(at, rc_str_of(texts[i]));
		c->list[i].len = (uint16_t)(1 + strlen(texts[i]));
	}
	return c;
}

static bool may(const struct rc_claims *who, enum rc_action action, const char *name)
{
	return rc_rules_allow(&config, who, action, rc_str_of(name));
}

static void without_keys_anyone_reads_and_nobody_writes(void **state)
{
	(void)state;
	done();
	assert_true(may(NULL, RC_MAY_SUBSCRIBE, "news"));
	assert_true(may(NULL, RC_MAY_SUBSCRIBE, "**"));
	assert_true(may(NULL, RC_MAY_HISTORY, "news"));
	assert_true(may(NULL, RC_MAY_PRESENCE, "news"));
	assert_false(may(NULL, RC_MAY_PUBLISH, "news"));
}

static void with_keys_claims_decide(void **state)
{
	(void)state;
	set("auth.public_key", "keys.pem");
	done();
	assert_false(may(NULL, RC_MAY_SUBSCRIBE, "news"));
	const struct rc_claims *c = bearer("u", "chat:*", "chat:1", NULL);
	assert_true(may(c, RC_MAY_SUBSCRIBE, "chat:1"));
	assert_true(may(c, RC_MAY_SUBSCRIBE, "chat:*"));
	assert_true(may(c, RC_MAY_HISTORY, "chat:1"));
	assert_true(may(c, RC_MAY_PRESENCE, "chat:1"));
	assert_false(may(c, RC_MAY_SUBSCRIBE, "chat:1:x"));
	assert_false(may(c, RC_MAY_SUBSCRIBE, "chat:**"));
	assert_false(may(c, RC_MAY_SUBSCRIBE, "**"));
	assert_true(may(c, RC_MAY_PUBLISH, "chat:1"));
	assert_false(may(c, RC_MAY_PUBLISH, "chat:2"));
	c = bearer("u", NULL, NULL, "home:u");
	assert_true(may(c, RC_MAY_SUBSCRIBE, "home:u"));
	assert_false(may(c, RC_MAY_PUBLISH, "home:u"));
}

static void a_rule_grants_without_a_claim(void **state)
{
	(void)state;
	set("auth.public_key", "keys.pem");
	set("namespace.open.allow_subscribe", "anyone");
	set("namespace.open.allow_history", "nobody");
	set("namespace.club.allow_subscribe", "user");
	set("namespace.club.allow_publish", "user");
	set("namespace.none.allow_subscribe", "nobody");
	done();
	const struct rc_claims *nobody = bearer("", "none:*", NULL, NULL);
	assert_true(may(NULL, RC_MAY_SUBSCRIBE, "open:1"));
	assert_true(may(NULL, RC_MAY_PRESENCE, "open:1"));
	assert_false(may(NULL, RC_MAY_HISTORY, "open:1"));
	assert_false(may(NULL, RC_MAY_SUBSCRIBE, "club:1"));
	assert_false(may(nobody, RC_MAY_SUBSCRIBE, "club:1"));
	assert_false(may(nobody, RC_MAY_SUBSCRIBE, "none:1"));
	const struct rc_claims *user = bearer("u", "none:*", NULL, NULL);
	assert_true(may(user, RC_MAY_SUBSCRIBE, "club:1"));
	assert_true(may(user, RC_MAY_PUBLISH, "club:1"));
	assert_false(may(user, RC_MAY_SUBSCRIBE, "none:1"));
}

static void own_is_the_level_behind_the_namespace(void **state)
{
	(void)state;
	set("auth.public_key", "keys.pem");
	set("namespace.user.allow_subscribe", "own");
	done();
	const struct rc_claims *c = bearer("42", NULL, NULL, NULL);
	assert_true(may(c, RC_MAY_SUBSCRIBE, "user:42"));
	assert_true(may(c, RC_MAY_SUBSCRIBE, "user:42:inbox"));
	assert_true(may(c, RC_MAY_SUBSCRIBE, "user:42:**"));
	assert_true(may(c, RC_MAY_HISTORY, "user:42:inbox"));
	assert_false(may(c, RC_MAY_SUBSCRIBE, "user:421"));
	assert_false(may(c, RC_MAY_SUBSCRIBE, "user:4"));
	assert_false(may(c, RC_MAY_SUBSCRIBE, "user:*"));
	assert_false(may(c, RC_MAY_SUBSCRIBE, "user:**"));
	assert_false(may(c, RC_MAY_SUBSCRIBE, "user:*:inbox"));
	assert_false(may(c, RC_MAY_SUBSCRIBE, "other:42"));
	assert_false(may(NULL, RC_MAY_SUBSCRIBE, "user:42"));
	assert_false(may(bearer("", NULL, NULL, NULL), RC_MAY_SUBSCRIBE, "user:"));
	/* An id that means more than one level, or is a wildcard, owns nothing. */
	assert_false(may(bearer("42:inbox", NULL, NULL, NULL), RC_MAY_SUBSCRIBE, "user:42:inbox"));
	assert_false(may(bearer("*", NULL, NULL, NULL), RC_MAY_SUBSCRIBE, "user:*"));
	assert_false(may(bearer("**", NULL, NULL, NULL), RC_MAY_SUBSCRIBE, "user:**"));
}

static void a_pattern_over_all_namespaces_needs_the_leave_of_all(void **state)
{
	(void)state;
	set("auth.public_key", "keys.pem");
	set("namespace.allow_subscribe", "anyone");
	set("namespace.secret.allow_subscribe", "token");
	done();
	assert_true(may(NULL, RC_MAY_SUBSCRIBE, "news"));
	assert_true(may(NULL, RC_MAY_SUBSCRIBE, "news:*"));
	assert_false(may(NULL, RC_MAY_SUBSCRIBE, "**"));
	assert_false(may(NULL, RC_MAY_SUBSCRIBE, "*:x"));
	assert_false(may(bearer("u", "secret:**", NULL, NULL), RC_MAY_SUBSCRIBE, "**"));
	assert_true(may(bearer("u", "**", NULL, NULL), RC_MAY_SUBSCRIBE, "**"));
}

/* "*:*:42" means usr:*:42, which belongs to others: that the id stands so many bytes behind the beginning says nothing. */
static void a_pattern_over_all_namespaces_is_nobodys_own(void **state)
{
	(void)state;
	set("auth.public_key", "keys.pem");
	set("namespace.allow_subscribe", "user");
	set("namespace.usr.allow_subscribe", "own");
	done();
	const struct rc_claims *c = bearer("42", NULL, NULL, NULL);
	assert_true(may(c, RC_MAY_SUBSCRIBE, "usr:42:*"));
	assert_false(may(c, RC_MAY_SUBSCRIBE, "*:*:42"));
	assert_false(may(c, RC_MAY_SUBSCRIBE, "*:*:42:**"));
	assert_false(may(c, RC_MAY_HISTORY, "*:*:42"));
	assert_false(may(c, RC_MAY_SUBSCRIBE, "*:ab42"));
	assert_false(may(c, RC_MAY_SUBSCRIBE, "*:42"));
	/* With a claim for all of it, it is what the claim says. */
	assert_true(may(bearer("42", "*:42", NULL, NULL), RC_MAY_SUBSCRIBE, "*:42"));
}

static void the_gateways_own_channels_need_a_claim_that_names_them(void **state)
{
	(void)state;
	done();
	assert_false(may(NULL, RC_MAY_SUBSCRIBE, "$sys:quality"));
	assert_false(may(bearer("u", "**", "**", NULL), RC_MAY_SUBSCRIBE, "$sys:quality"));
	const struct rc_claims *c = bearer("u", "$sys:*", "$sys:*", NULL);
	assert_true(may(c, RC_MAY_SUBSCRIBE, "$sys:quality"));
	assert_true(may(c, RC_MAY_SUBSCRIBE, "$sys:*"));
	assert_false(may(c, RC_MAY_SUBSCRIBE, "$sys:**"));
	assert_false(may(c, RC_MAY_PUBLISH, "$sys:quality"));
	assert_false(may(bearer("u", "$all", NULL, NULL), RC_MAY_SUBSCRIBE, "$all"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(without_keys_anyone_reads_and_nobody_writes, fresh),
		cmocka_unit_test_setup(with_keys_claims_decide, fresh),
		cmocka_unit_test_setup(a_rule_grants_without_a_claim, fresh),
		cmocka_unit_test_setup(own_is_the_level_behind_the_namespace, fresh),
		cmocka_unit_test_setup(a_pattern_over_all_namespaces_is_nobodys_own, fresh),
		cmocka_unit_test_setup(a_pattern_over_all_namespaces_needs_the_leave_of_all, fresh),
		cmocka_unit_test_setup(
			the_gateways_own_channels_need_a_claim_that_names_them, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
