/* SPDX-License-Identifier: Apache-2.0
 *
 * What answers of webhooks mean, and what becomes of addresses.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "serve/webhook.h"

static struct rc_command_answer answer;
static struct rc_webhook_text text;

static bool means(uint16_t status, const char *body, const char *code, const char *data)
{
	return rc_webhook_reply(status, rc_str_of(body), &answer, &text) &&
	       rc_str_eq(answer.code, rc_str_of(code)) && rc_str_eq(answer.data, rc_str_of(data)) &&
	       answer.verdict == RC_COMMAND_REPLIED && answer.json == (code[0] == '\0');
}

static void gives_json_as_it_is(void **state)
{
	(void)state;
	assert_true(means(200, "{\"a\": 1}", "", "{\"a\": 1}"));
	assert_true(means(201, "7", "", "7"));
	assert_true(means(200, "", "", "null"));
	assert_true(means(204, "", "", "null"));
	assert_false(rc_webhook_reply(200, RC_STR("ok"), &answer, &text));
	assert_false(rc_webhook_reply(200, RC_STR("1 2"), &answer, &text));
	assert_false(rc_webhook_reply(200, RC_STR("\"\xff\""), &answer, &text));
}

static void takes_errors_of_its_own(void **state)
{
	char body[400], message[300];

	(void)state;
	assert_true(means(422, "{\"message\":\"no \\\"tea\\\"\",\"x\":1,\"code\":\"sold_out\"}",
		"sold_out", "no \"tea\""));
	assert_false(rc_webhook_reply(422, RC_STR(""), &answer, &text));
	assert_false(rc_webhook_reply(422, RC_STR("[]"), &answer, &text));
	assert_false(rc_webhook_reply(422, RC_STR("{\"code\":\"a\"}"), &answer, &text));
	assert_false(
		rc_webhook_reply(422, RC_STR("{\"code\":1,\"message\":\"\"}"), &answer, &text));
	assert_false(rc_webhook_reply(
		422, RC_STR("{\"code\":\"No\",\"message\":\"\"}"), &answer, &text));
	for (int len = 255; len <= 256; len++) {
		memset(message, 'm', sizeof(message));
		message[len] = '\0';
		(void)snprintf(body, sizeof(body), "{\"code\":\"a\",\"message\":\"%s\"}", message);
		assert_int_equal(
			rc_webhook_reply(422, rc_str_of(body), &answer, &text), len == 255);
	}
	for (int len = 64; len <= 65; len++) {
		memset(message, 'c', sizeof(message));
		message[len] = '\0';
		(void)snprintf(body, sizeof(body), "{\"code\":\"%s\",\"message\":\"\"}", message);
		assert_int_equal(rc_webhook_reply(422, rc_str_of(body), &answer, &text), len == 64);
	}
}

static void names_what_was_answered(void **state)
{
	(void)state;
	assert_true(means(302, "", "backend_error", "the webhook answered 302"));
	assert_true(means(599, "{}", "backend_error", "the webhook answered 599"));
	assert_true(rc_webhook_later(408) && rc_webhook_later(429) && rc_webhook_later(500));
	assert_false(rc_webhook_later(404) || rc_webhook_later(422) || rc_webhook_later(307));
}

static void knows_the_same_addresses_in_another_order(void **state)
{
	const struct rc_address a = {.family = AF_INET, .port = 1, .ip = {1}};
	const struct rc_address b = {.family = AF_INET, .port = 1, .ip = {2}};
	const struct rc_webhook_addresses ab = {{a, b}, 2}, ba = {{b, a}, 2}, one = {{a}, 1};

	(void)state;
	assert_true(rc_webhook_addresses_same(&ab, &ba));
	assert_false(rc_webhook_addresses_same(&ab, &one));
	assert_false(rc_webhook_addresses_same(&one, &ab));
}

static void needs_no_thread_for_an_address(void **state)
{
	struct rc_webhook_addresses first;
	struct rc_webhook_name *name = NULL;
	struct rc_webhook_url url;
	struct rc_error err;
	char shown[RC_ADDRESS_TEXT_SIZE];

	(void)state;
	assert_int_equal(rc_webhook_url_parse("http://[::1]:81/", &url, &err), 0);
	assert_int_equal(rc_webhook_name_open(&name, &first, &url, 1000, &err), 0);
	assert_null(name);
	assert_int_equal(first.count, 1);
	rc_address_format(&first.at[0], shown);
	assert_string_equal(shown, "[::1]:81");
	rc_webhook_name_close(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_json_as_it_is),
		cmocka_unit_test(takes_errors_of_its_own),
		cmocka_unit_test(names_what_was_answered),
		cmocka_unit_test(knows_the_same_addresses_in_another_order),
		cmocka_unit_test(needs_no_thread_for_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
