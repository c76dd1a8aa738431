/* SPDX-License-Identifier: Apache-2.0
 *
 * What a token says, into the block and out of it; and every way in which a claim can be wrong.
 */
#include "tokens.h"

static enum rc_token_result read_payload(struct rc_str payload)
{
	/* Of exactly its size, so that a byte behind it is seen to be touched. */
	char *copy = malloc(payload.len ? payload.len : 1);
	enum rc_token_result result;

	assert_non_null(copy);
	(void)rc_str_copy(copy, payload);
	memset(&block, 0xa5, sizeof(block));
	result = rc_claims_read((struct rc_str){copy, payload.len}, &config, NOW_MS, &block.claims);
	free(copy);
	return result;
}

/* members: what stands in the object besides an expiry that is fine. */
static enum rc_token_result claims(const char *members)
{
	static char text[20000];

	snprintf(text, sizeof(text), "{\"exp\":1700000300%s%s}", *members ? "," : "", members);
	return read_payload(rc_str_of(text));
}

static void expect(const char *members, enum rc_token_result wanted)
{
	enum rc_token_result got = claims(members);

	if (got != wanted)
		fail_msg("%.200s: %s; wanted: %s", members, rc_token_reason(got),
			rc_token_reason(wanted));
}

static void expect_user(const char *members, const char *user)
{
	expect(members, RC_TOKEN_OK);
	assert_true(rc_str_eq(rc_claims_user(&block.claims), rc_str_of(user)));
}

/* The texts of a list with a bar behind each. */
static void expect_list(enum rc_claim_list which, const char *wanted)
{
	struct rc_str list = rc_claims_list(&block.claims, which), text;
	char got[4096];
	size_t len = 0;

	while (rc_claims_next(&list, &text))
		len += (size_t)snprintf(
			got + len, sizeof(got) - len, "%.*s|", (int)text.len, text.ptr);
	got[len] = '\0';
	assert_string_equal(got, wanted);
}

static void expect_info(const char *members, const char *info)
{
	expect(members, RC_TOKEN_OK);
	if (!rc_str_eq(rc_claims_info(&block.claims), rc_str_of(info)))
		fail_msg("'%.*s' is not '%s'", (int)rc_claims_info(&block.claims).len,
			rc_claims_info(&block.claims).ptr, info);
}

static void everything_that_a_token_says_is_in_the_block(void **state)
{
	(void)state;
	expect("\"sub\":\"anna\",\"channels\":[\"news\",\"user:anna:**\",\"$sys:*\"],\"publish\":"
	       "[\"chat:*\"],\"subscribe_on_connect\":[\"news\"],\"commands\":[\"chat:send\",\"x\"],"
	       "\"scope\":\"publish:chat read\",\"info\":{ \"name\" : \"Anna A\" },"
	       "\"max_connections\":3,\"iss\":\"me\",\"aud\":[\"you\"],\"other\":[{\"x\":1}],"
	       "\"nbf\":1700000000,\"iat\":1699999999.5",
		RC_TOKEN_OK);
	assert_true(rc_str_eq(rc_claims_user(&block.claims), RC_STR("anna")));
	expect_list(RC_CLAIM_SUBSCRIBE, "news|user:anna:**|$sys:*|");
	expect_list(RC_CLAIM_PUBLISH, "chat:*|");
	expect_list(RC_CLAIM_ON_CONNECT, "news|");
	expect_list(RC_CLAIM_COMMANDS, "chat:send|x|");
	expect_list(RC_CLAIM_SCOPES, "publish:chat|read|");
	assert_true(rc_str_eq(rc_claims_info(&block.claims), RC_STR("{\"name\":\"Anna A\"}")));
	assert_int_equal(block.claims.max_connections, 3);
	assert_int_equal(block.claims.expires_ms, 1700000300000ull);
	assert_int_equal(block.claims.present, 31);
	assert_true(block.claims.size <= 512);
	/* Nothing behind what the block says is its size. */
	for (size_t i = block.claims.size; i < sizeof(block); i++)
		assert_int_equal((unsigned char)block.bytes[i], 0xa5);
}

static void a_token_that_says_little_is_one_of_an_anonymous(void **state)
{
	(void)state;
	expect("", RC_TOKEN_OK);
	assert_int_equal(block.claims.user_len, 0);
	assert_int_equal(block.claims.info_len, 0);
	assert_int_equal(block.claims.present, 0);
	assert_int_equal(block.claims.max_connections, 0);
	assert_int_equal(block.claims.size, offsetof(struct rc_claims, bytes));
	for (int i = 0; i < RC_CLAIM_LISTS; i++)
		expect_list((enum rc_claim_list)i, "");
}

static void an_empty_list_is_there_and_allows_nothing(void **state)
{
	(void)state;
	expect("\"channels\":[],\"scope\":\"\"", RC_TOKEN_OK);
	assert_int_equal(block.claims.present, 1 << RC_CLAIM_SUBSCRIBE | 1 << RC_CLAIM_SCOPES);
	expect_list(RC_CLAIM_SUBSCRIBE, "");
	expect_list(RC_CLAIM_SCOPES, "");
}

static void a_list_may_be_one_text(void **state)
{
	(void)state;
	expect("\"channels\":\"a:*\",\"commands\":\"go on\",\"scopes\":[\"a\",\"b\"]", RC_TOKEN_OK);
	expect_list(RC_CLAIM_SUBSCRIBE, "a:*|");
	expect_list(RC_CLAIM_COMMANDS, "go on|");
	expect_list(RC_CLAIM_SCOPES, "a|b|");
}

static void users_are_texts_of_1_to_128_bytes_without_control_characters(void **state)
{
	char members[1000];

	(void)state;
	expect_user("\"sub\":\"x\"", "x");
	expect_user("\"sub\":\"\\u00e4 \\ud83d\\ude00\"", "\xc3\xa4 \xf0\x9f\x98\x80");
	expect_user("\"\\u0073ub\":\"x\"", "x");
	snprintf(members, sizeof(members), "\"sub\":\"%0128d\"", 0);
	expect(members, RC_TOKEN_OK);
	snprintf(members, sizeof(members), "\"sub\":\"%0129d\"", 0);
	expect(members, RC_TOKEN_CLAIM);
	for (int c = 1; c < 0xa0; c += c == 0x1f ? 0x60 : 1) {
		snprintf(members, sizeof(members), "\"sub\":\"a\\u%04x\"", (unsigned)c);
		expect(members, RC_TOKEN_CLAIM);
	}
	expect("\"sub\":\"\"", RC_TOKEN_CLAIM);
	expect("\"sub\":\"a\\u0000\"", RC_TOKEN_CLAIM);
	expect("\"sub\":\"\\ud800\"", RC_TOKEN_CLAIM);
	expect("\"sub\":7", RC_TOKEN_CLAIM);
	expect("\"sub\":null", RC_TOKEN_CLAIM);
	expect("\"sub\":[\"a\"]", RC_TOKEN_CLAIM);
}

static void the_claim_of_the_user_is_configured(void **state)
{
	(void)state;
	snprintf(config.auth_user_claim, sizeof(config.auth_user_claim), "https://a.example/uid");
	expect_user("\"sub\":[5],\"https://a.example/uid\":\"x\"", "x");
	expect("\"https://a.example/uid\":\"x\",\"https://a.example/uid\":\"x\"", RC_TOKEN_CLAIM);
}

static void what_is_there_twice_is_refused_when_we_read_it(void **state)
{
	static const char *const twice[] = {"\"sub\":\"a\",\"sub\":\"a\"",
		"\"sub\":\"a\",\"\\u0073\\u0075b\":\"b\"", "\"exp\":1700000300",
		"\"channels\":[],\"channels\":[\"a\"]", "\"publish\":[],\"publish\":[]",
		"\"scope\":\"a\",\"scopes\":[\"b\"]", "\"info\":1,\"info\":2",
		"\"nbf\":1,\"nbf\":1", "\"iat\":1,\"iat\":1", "\"iss\":\"a\",\"iss\":\"b\"",
		"\"aud\":\"a\",\"aud\":\"b\"", "\"max_connections\":1,\"max_connections\":2",
		"\"commands\":[],\"commands\":[]",
		"\"subscribe_on_connect\":[],\"subscribe_on_connect\":[]"};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(twice); i++)
		expect(twice[i], RC_TOKEN_CLAIM);
	expect("\"other\":1,\"other\":2", RC_TOKEN_OK);
	/* Inside another one it is another one. */
	expect_user("\"sub\":\"a\",\"x\":{\"sub\":\"b\"}", "a");
}

static void channels_are_names_or_patterns(void **state)
{
	static const char *const good[] = {"a", "a:b", "*", "**", "a:*:c", "a:**", "$sys:*",
		"$sys:quality", "a=b", "user:anna@b.c:x"};
	static const char *const bad[] = {"", "a b", "a**", "**:a", "a:**:b", "\\u00e4", "a*",
		"a\\n", "a\\u0000", "{sub}", "a,b"};
	static const char *const lists[] = {"channels", "publish", "subscribe_on_connect"};
	char members[400];

	(void)state;
	for (size_t l = 0; l < RC_ARRAY_LEN(lists); l++) {
		for (size_t i = 0; i < RC_ARRAY_LEN(good); i++) {
			snprintf(members, sizeof(members), "\"%s\":[\"x\",\"%s\"]", lists[l],
				good[i]);
			expect(members, RC_TOKEN_OK);
		}
		for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
			snprintf(members, sizeof(members), "\"%s\":[\"x\",\"%s\"]", lists[l],
				bad[i]);
			expect(members, RC_TOKEN_CLAIM);
		}
		for (int len = 255; len <= 256; len++) {
			snprintf(members, sizeof(members), "\"%s\":[\"%0*d\"]", lists[l], len, 0);
			expect(members, len == 255 ? RC_TOKEN_OK : RC_TOKEN_CLAIM);
		}
		snprintf(members, sizeof(members), "\"%s\":[\"a\",1]", lists[l]);
		expect(members, RC_TOKEN_CLAIM);
		snprintf(members, sizeof(members), "\"%s\":[[\"a\"]]", lists[l]);
		expect(members, RC_TOKEN_CLAIM);
		snprintf(members, sizeof(members), "\"%s\":{\"a\":1}", lists[l]);
		expect(members, RC_TOKEN_CLAIM);
		snprintf(members, sizeof(members), "\"%s\":null", lists[l]);
		expect(members, RC_TOKEN_CLAIM);
		snprintf(members, sizeof(members), "\"%s\":true", lists[l]);
		expect(members, RC_TOKEN_CLAIM);
	}
}

static void scopes_are_words(void **state)
{
	static const char *const bad[] = {"\" a\"", "\"a \"", "\"a  b\"", "\" \"", "\"a\\tb\"",
		"\"\\u00e4\"", "\"a\\\"b\"", "[\"a b\"]", "[\"\"]", "[1]", "1"};
	char members[1000];

	(void)state;
	expect("\"scope\":\"a b:c publish:chat:** !#$\"", RC_TOKEN_OK);
	expect_list(RC_CLAIM_SCOPES, "a|b:c|publish:chat:**|!#$|");
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		snprintf(members, sizeof(members), "\"scope\":%s", bad[i]);
		expect(members, RC_TOKEN_CLAIM);
	}
	snprintf(members, sizeof(members), "\"scope\":\"a %0255d b\"", 0);
	expect(members, RC_TOKEN_OK);
	snprintf(members, sizeof(members), "\"scope\":\"a %0256d b\"", 0);
	expect(members, RC_TOKEN_CLAIM);
}

static void info_is_any_value_and_has_no_white_space(void **state)
{
	char members[3000];

	(void)state;
	expect_info("\"info\":{\"a\": [1, 2 ,\"x \\\" y\", null]\t}",
		"{\"a\":[1,2,\"x \\\" y\",null]}");
	expect_info("\"info\": \"a  \\\\\" ", "\"a  \\\\\"");
	expect_info("\"info\":-0.0e+5", "-0.0e+5");
	expect_info("\"info\":\"\\ud800\"", "\"\\ud800\"");
	expect_info("\"info\":{\n}", "{}");
	expect_info("\"info\":null", "");
	snprintf(members, sizeof(members), "\"info\":\"%01022d\"", 0);
	expect(members, RC_TOKEN_OK);
	assert_int_equal(block.claims.info_len, RC_INFO_MAX);
	snprintf(members, sizeof(members), "\"info\":\"%01023d\"", 0);
	expect(members, RC_TOKEN_CLAIM);
	snprintf(members, sizeof(members), "\"info\":\"%01020d\\n\"", 0);
	expect(members, RC_TOKEN_OK);
	snprintf(members, sizeof(members), "\"info\":\"%01021d\\n\"", 0);
	expect(members, RC_TOKEN_CLAIM);
	/* White space does not count. */
	snprintf(members, sizeof(members), "\"info\":[%1500s]", "");
	expect_info(members, "[]");
}

static void connections_are_counted_from_one(void **state)
{
	static const char *const bad[] = {"0", "-1", "1.5", "\"3\"", "1000000001", "1e30", "1e-3",
		"null", "99999999999999999999999999999999999", "true"};
	char members[100];

	(void)state;
	expect("\"max_connections\":1000000000", RC_TOKEN_OK);
	assert_int_equal(block.claims.max_connections, 1000000000);
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		snprintf(members, sizeof(members), "\"max_connections\":%s", bad[i]);
		expect(members, RC_TOKEN_CLAIM);
	}
}

/* ---- time ----------------------------------------------------------------------------------------- */

static void expect_payload(const char *payload, enum rc_token_result wanted)
{
	enum rc_token_result got = read_payload(rc_str_of(payload));

	if (got != wanted)
		fail_msg("%s: %s; wanted: %s", payload, rc_token_reason(got),
			rc_token_reason(wanted));
}

static void a_token_is_good_until_its_expiry_and_the_leeway(void **state)
{
	(void)state;
	expect_payload("{\"exp\":1699999971}", RC_TOKEN_OK);
	expect_payload("{\"exp\":1699999970.001}", RC_TOKEN_OK);
	expect_payload("{\"exp\":1699999970}", RC_TOKEN_EXPIRED);
	expect_payload("{\"exp\":0}", RC_TOKEN_EXPIRED);
	expect_payload("{\"exp\":1.7000003e9}", RC_TOKEN_OK);
	assert_int_equal(block.claims.expires_ms, 1700000300000ull);
	expect_payload("{\"exp\":253402300799}", RC_TOKEN_OK);
	config.auth_leeway_ms = 0;
	expect_payload("{\"exp\":1700000000.001}", RC_TOKEN_OK);
	assert_int_equal(block.claims.expires_ms, 1700000000001ull);
	expect_payload("{\"exp\":1700000000}", RC_TOKEN_EXPIRED);
}

static void a_token_is_not_good_before_its_time(void **state)
{
	(void)state;
	expect("\"nbf\":1700000030", RC_TOKEN_OK);
	expect("\"nbf\":1700000030.5", RC_TOKEN_NOT_YET);
	expect("\"nbf\":253402300799", RC_TOKEN_NOT_YET);
	expect("\"nbf\":0", RC_TOKEN_OK);
	config.auth_leeway_ms = 0;
	expect("\"nbf\":1700000000", RC_TOKEN_OK);
	expect("\"nbf\":1700000001", RC_TOKEN_NOT_YET);
}

static void a_token_without_an_expiry_is_good_only_where_that_is_said(void **state)
{
	(void)state;
	expect_payload("{\"sub\":\"a\"}", RC_TOKEN_CLAIM);
	config.auth_require_expiry = false;
	expect_payload("{\"sub\":\"a\"}", RC_TOKEN_OK);
	assert_int_equal(block.claims.expires_ms, 0);
	expect_payload("{\"exp\":1}", RC_TOKEN_EXPIRED);
}

static void absurd_times_are_refused(void **state)
{
	static const char *const bad[] = {"-1", "-0", "1e400", "1e12", "253402300799.5",
		"253402300800", "\"1700000300\"", "null", "true", "[1700000300]", "{}",
		"1700000300000", "1700000300.00000000000000000000000000000000",
		"999999999999999999999999999999999999999999999999999999"};
	static const char *const keys[] = {"exp", "nbf", "iat"};
	char members[200];

	(void)state;
	config.auth_require_expiry = false;
	for (size_t k = 0; k < RC_ARRAY_LEN(keys); k++)
		for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
			snprintf(members, sizeof(members), "{\"%s\":%s}", keys[k], bad[i]);
			expect_payload(members, RC_TOKEN_CLAIM);
		}
}

/* ---- issuer, audience ----------------------------------------------------------------------------- */

static void the_issuer_is_one_of_the_list(void **state)
{
	(void)state;
	expect("\"iss\":5", RC_TOKEN_OK);
	snprintf(config.auth_issuer, sizeof(config.auth_issuer), "https://a.example/, b  ,c");
	expect("\"iss\":\"https://a.example/\"", RC_TOKEN_OK);
	expect("\"iss\":\"https:\\/\\/a.example\\/\"", RC_TOKEN_OK);
	expect("\"iss\":\"b\"", RC_TOKEN_OK);
	expect("\"iss\":\"c\"", RC_TOKEN_OK);
	expect("", RC_TOKEN_ISSUER);
	expect("\"iss\":\"https://a.example\"", RC_TOKEN_ISSUER);
	expect("\"iss\":\"b, c\"", RC_TOKEN_ISSUER);
	expect("\"iss\":\"\"", RC_TOKEN_ISSUER);
	expect("\"iss\":[\"b\"]", RC_TOKEN_ISSUER);
	expect("\"iss\":null", RC_TOKEN_ISSUER);
}

static void the_audience_has_one_of_the_list_in_it(void **state)
{
	(void)state;
	expect("\"aud\":\"somebody\"", RC_TOKEN_OK);
	snprintf(config.auth_audience, sizeof(config.auth_audience), "ringcast chat");
	expect("\"aud\":\"ringcast\"", RC_TOKEN_OK);
	expect("\"aud\":[\"x\",1,\"chat\"]", RC_TOKEN_OK);
	expect("", RC_TOKEN_AUDIENCE);
	expect("\"aud\":[]", RC_TOKEN_AUDIENCE);
	expect("\"aud\":\"Ringcast\"", RC_TOKEN_AUDIENCE);
	expect("\"aud\":\"ringcast chat\"", RC_TOKEN_AUDIENCE);
	expect("\"aud\":{\"ringcast\":\"ringcast\"}", RC_TOKEN_AUDIENCE);
	expect("\"aud\":[[\"ringcast\"]]", RC_TOKEN_AUDIENCE);
}

/* ---- the payload as a whole ----------------------------------------------------------------------- */

static void a_payload_is_one_object_of_bounded_depth(void **state)
{
	static const char *const bad[] = {"", "[]", "1", "null", "\"x\"", "{", "{}}",
		"{\"exp\":1,}", "{\"exp\":01}", "{'exp':1}", "\xef\xbb\xbf{}", "{\"a\":\"\xff\"}",
		"{\"a\":\"\xc0\x80\"}", "{} {}"};
	static char deep[10000];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++)
		expect_payload(bad[i], RC_TOKEN_MALFORMED);
	for (int depth = 15; depth <= 4000; depth = depth == 15 ? 16 : depth * 250) {
		snprintf(deep, sizeof(deep), "{\"exp\":1700000300,\"x\":");
		size_t len = strlen(deep);

		memset(deep + len, '[', (size_t)depth);
		memset(deep + len + depth, ']', (size_t)depth);
		snprintf(deep + len + 2 * (size_t)depth, 2, "}");
		expect_payload(deep, depth == 15 ? RC_TOKEN_OK : RC_TOKEN_MALFORMED);
	}
}

/* What is decoded is never longer than what was written, so the largest token fits; nearly. */
static void the_largest_payload_fits(void **state)
{
	static char payload[12288];
	size_t len =
		(size_t)snprintf(payload, sizeof(payload), "{\"exp\":1700000300,\"channels\":[");
	struct rc_str list, text;
	uint32_t count = 0, read = 0;

	(void)state;
	for (; len < sizeof(payload) - 400; count++)
		len += (size_t)snprintf(payload + len, sizeof(payload) - len, "%s\"%c\"",
			count ? "," : "", 'a' + (int)(count % 26));
	snprintf(payload + len, sizeof(payload) - len, "],\"sub\":\"%0128d\"}", 0);
	expect_payload(payload, RC_TOKEN_OK);
	list = rc_claims_list(&block.claims, RC_CLAIM_SUBSCRIBE);
	for (; rc_claims_next(&list, &text); read++) {
		char letter = (char)('a' + (int)(read % 26));

		assert_true(rc_str_eq(text, (struct rc_str){&letter, 1}));
	}
	assert_int_equal(read, count);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup(name, tokens_reset)
	const struct CMUnitTest tests[] = {
		CASE(everything_that_a_token_says_is_in_the_block),
		CASE(a_token_that_says_little_is_one_of_an_anonymous),
		CASE(an_empty_list_is_there_and_allows_nothing),
		CASE(a_list_may_be_one_text),
		CASE(users_are_texts_of_1_to_128_bytes_without_control_characters),
		CASE(the_claim_of_the_user_is_configured),
		CASE(what_is_there_twice_is_refused_when_we_read_it),
		CASE(channels_are_names_or_patterns),
		CASE(scopes_are_words),
		CASE(info_is_any_value_and_has_no_white_space),
		CASE(connections_are_counted_from_one),
		CASE(a_token_is_good_until_its_expiry_and_the_leeway),
		CASE(a_token_is_not_good_before_its_time),
		CASE(a_token_without_an_expiry_is_good_only_where_that_is_said),
		CASE(absurd_times_are_refused),
		CASE(the_issuer_is_one_of_the_list),
		CASE(the_audience_has_one_of_the_list_in_it),
		CASE(a_payload_is_one_object_of_bounded_depth),
		CASE(the_largest_payload_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
