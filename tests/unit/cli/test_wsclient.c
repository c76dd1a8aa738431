/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's side of a WebSocket: the handshake's answer, and frames on a socket pair whose other end is the test.
 */
#include "../unit.h"

#include <stdio.h>
#include <sys/socket.h>

#include "cli/wsclient.c"
#include "cli/wsinflate.c"

#include "proto/wsupgrade.h"

/* The sample of RFC 6455, section 1.3. */
static const char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define STATUS  "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECT "Connection: Upgrade\r\n"
#define KEY     "Sec-WebSocket-Accept: " ACCEPT "\r\n"

static int answer(const char *text, struct rc_error *err)
{
	return rc_wsclient_answer(rc_str_of(text), key, "ringcast.v1.json", NULL, err);
}

static void the_accept_is_that_of_the_rfc(void **state)
{
	char accept[RC_WSCLIENT_ACCEPT_LEN];

	(void)state;
	rc_wsclient_accept(key, accept);
	assert_memory_equal(accept, ACCEPT, sizeof(accept));
}

static void an_answer_is_taken_only_when_whole(void **state)
{
	static const char whole[] = STATUS UPGRADE CONNECT KEY "\r\n";
	struct rc_error err;

	(void)state;
	for (size_t len = 0; len < sizeof(whole) - 1; len++)
		assert_int_equal(
			rc_wsclient_answer((struct rc_str){whole, len}, key, "p", NULL, &err), 0);
	assert_int_equal(answer(whole, &err), (int)sizeof(whole) - 1);
	/* Frames may follow at once. */
	assert_int_equal(
		answer(STATUS UPGRADE CONNECT KEY "\r\n\x81\x01x", &err), (int)sizeof(whole) - 1);
}

static void the_gateways_own_answer_is_taken(void **state)
{
	char text[512];
	struct rc_error err;
	size_t len = rc_ws_upgrade_answer(
		text, sizeof(text), rc_str_of(key), RC_STR("ringcast.v1.json"));

	(void)state;
	assert_int_equal(
		rc_wsclient_answer((struct rc_str){text, len}, key, "ringcast.v1.json", NULL, &err),
		(int)len);
	assert_int_equal(
		rc_wsclient_answer((struct rc_str){text, len}, key, "another", NULL, &err), -1);
}

static void an_extension_is_taken_when_it_was_offered(void **state)
{
	static const char with[] = STATUS UPGRADE CONNECT KEY
		"Sec-WebSocket-Extensions: permessage-deflate; "
		"client_no_context_takeover;server_no_context_takeover\r\n\r\n";
	static const char other[] =
		STATUS UPGRADE CONNECT KEY "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
	static const char none[] = STATUS UPGRADE CONNECT KEY "\r\n";
	struct rc_error err;
	bool deflate = false;

	(void)state;
	assert_int_equal(rc_wsclient_answer(rc_str_of(with), key, "p", NULL, &err), -1);
	assert_int_equal(rc_wsclient_answer(rc_str_of(other), key, "p", &deflate, &err), -1);
	assert_true(rc_wsclient_answer(rc_str_of(with), key, "p", &deflate, &err) > 0);
	assert_true(deflate);
	assert_true(rc_wsclient_answer(rc_str_of(none), key, "p", &deflate, &err) > 0);
	assert_false(deflate);
}

static void names_and_words_may_be_in_any_case(void **state)
{
	struct rc_error err;

	(void)state;
	assert_true(answer("HTTP/1.1 101 x\r\nUPGRADE:WebSocket\r\nconnection: keep-alive, "
			   "upgrade\r\nsec-websocket-accept:  " ACCEPT " \r\n\r\n",
			    &err) > 0);
}

static void a_wrong_answer_is_refused_with_a_reason(void **state)
{
	static const char *const wrong_ones[] = {
		"SSH-2.0-x\r\n",
		"HTTP/1.1 200 OK\r\n" UPGRADE CONNECT KEY "\r\n",
		STATUS CONNECT KEY "\r\n",
		STATUS UPGRADE KEY "\r\n",
		STATUS UPGRADE CONNECT "\r\n",
		STATUS UPGRADE CONNECT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=\r\n\r\n",
		STATUS UPGRADE CONNECT KEY KEY "\r\n",
		STATUS UPGRADE CONNECT KEY "Sec-WebSocket-Protocol: other\r\n\r\n",
		STATUS UPGRADE CONNECT KEY "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
		STATUS UPGRADE CONNECT KEY "no field\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(wrong_ones); i++) {
		struct rc_error err = {""};
		assert_int_equal(answer(wrong_ones[i], &err), -1);
		assert_true(strlen(err.text) > 0);
	}
}

static void a_refusal_is_told_without_bytes_that_steer_a_terminal(void **state)
{
	struct rc_error err = {""};

	(void)state;
	assert_int_equal(answer("HTTP/1.1 404 Not \x1b[0mFound\r\n\r\n", &err), -1);
	assert_non_null(strstr(err.text, "404 Not ?[0mFound"));
}

static void a_head_without_end_is_refused(void **state)
{
	static char text[HEAD_MAX + 1];
	struct rc_error err;

	(void)state;
	memset(text, 'a', HEAD_MAX);
	memcpy(text, STATUS, sizeof(STATUS) - 1);
	assert_int_equal(answer(text, &err), -1);
}

/* ---- frames --------------------------------------------------------------------------------- */

static struct rc_wsclient w;
static int peer;

static int set_up(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	rc_wsclient_init(&w, fds[0]);
	peer = fds[1];
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rc_wsclient_deinit(&w);
	close(peer);
	return 0;
}

static void give(const char *bytes, size_t len)
{
	struct rc_error err;

	assert_int_equal(write(peer, bytes, len), (ssize_t)len);
	assert_int_equal(rc_wsclient_receive(&w, &err), 1);
}

#define GIVE(literal) give(literal, sizeof(literal) - 1)

static enum rc_wsclient_event next(struct rc_str *text)
{
	struct rc_error err;
	bool binary;

	return rc_wsclient_next(&w, text, &binary, &err);
}

/* One frame of the client, decoded as the gateway does. */
static void expect_frame(uint8_t opcode, struct rc_str payload)
{
	static const struct rc_ws_limits limits = {
		.message_max = 65536, .fragments_max = 1, .masked = true, .check_utf8 = true};
	struct rc_ws_decoder decoder = {0};
	unsigned char bytes[4096];
	ssize_t n = read(peer, bytes, sizeof(bytes));
	unsigned char *at = bytes;
	size_t left = n > 0 ? (size_t)n : 0;
	struct rc_ws_piece piece;
	enum rc_ws_result rc = rc_ws_next(&decoder, &limits, &at, &left, &piece);

	assert_int_equal(rc, opcode >= 8 ? RC_WS_CONTROL : RC_WS_DATA);
	assert_int_equal(piece.opcode, opcode);
	assert_int_equal(piece.len, payload.len);
	assert_memory_equal(piece.ptr, payload.ptr, payload.len);
	assert_int_equal(left, 0);
}

static void messages_come_out_whole_however_they_were_cut(void **state)
{
	/* "one", "two!" in two frames with a ping between, and an empty one */
	static const char bytes[] = "\x81\x03one\x01\x02tw\x89\x01p\x80\x02o!\x81";
	struct rc_str text = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		give(bytes + i, 1);
		enum rc_wsclient_event e = next(&text);
		if (i == 4) {
			assert_int_equal(e, RC_WSCLIENT_MESSAGE);
			assert_true(rc_str_eq(text, RC_STR("one")));
		} else if (i == 15) {
			assert_int_equal(e, RC_WSCLIENT_MESSAGE);
			assert_true(rc_str_eq(text, RC_STR("two!")));
		} else if (i == sizeof(bytes) - 1) {
			assert_int_equal(e, RC_WSCLIENT_MESSAGE);
			assert_int_equal(text.len, 0);
		} else {
			assert_int_equal(e, RC_WSCLIENT_MORE);
		}
	}
	expect_frame(RC_WS_PONG, RC_STR("p"));
}

static void frames_that_come_together_come_out_one_by_one(void **state)
{
	struct rc_str text = {0};

	(void)state;
	GIVE("\x81\x01"
	     "a\x81\x01"
	     "b\x82\x01"
	     "c");
	assert_int_equal(next(&text), RC_WSCLIENT_MESSAGE);
	assert_true(rc_str_eq(text, RC_STR("a")));
	assert_int_equal(next(&text), RC_WSCLIENT_MESSAGE);
	assert_true(rc_str_eq(text, RC_STR("b")));
	assert_int_equal(next(&text), RC_WSCLIENT_MESSAGE);
	assert_true(rc_str_eq(text, RC_STR("c")));
	assert_int_equal(next(&text), RC_WSCLIENT_MORE);
}

static void what_is_sent_is_masked_at_any_length(void **state)
{
	static char bytes[4000];
	struct rc_error err;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	for (size_t len = 0; len < sizeof(bytes); len = len * 3 + 1) {
		assert_int_equal(
			rc_wsclient_send(&w, RC_WS_TEXT, (struct rc_str){bytes, len}, &err), 0);
		if (len > 0)
			expect_frame(RC_WS_TEXT, (struct rc_str){bytes, len});
		else
			expect_frame(RC_WS_TEXT, RC_STR(""));
	}
}

static void a_close_is_answered_with_its_code_and_told_with_its_reason(void **state)
{
	struct rc_str text = {0};

	(void)state;
	GIVE("\x88\x09\x10\x05"
	     "go away");
	assert_int_equal(next(&text), RC_WSCLIENT_CLOSED);
	assert_int_equal(w.close_code, 0x1005);
	assert_string_equal(w.close_reason, "go away");
	expect_frame(RC_WS_CLOSE, RC_STR("\x10\x05"));
}

static void a_close_of_ours_is_sent_once_and_its_answer_ends_it(void **state)
{
	struct rc_str text = {0};

	(void)state;
	rc_wsclient_close(&w, 1000);
	rc_wsclient_close(&w, 1001);
	expect_frame(RC_WS_CLOSE, RC_STR("\x03\xe8"));
	GIVE("\x88\x02\x03\xe8");
	assert_int_equal(next(&text), RC_WSCLIENT_CLOSED);
	assert_int_equal(w.close_code, 1000);
}

static void a_peer_that_breaks_the_rules_is_told_and_left(void **state)
{
	struct rc_str text = {0};

	(void)state;
	/* masked, as no server may */
	GIVE("\x81\x81\1\2\3\4x");
	assert_int_equal(next(&text), RC_WSCLIENT_FAILED);
	expect_frame(RC_WS_CLOSE, RC_STR("\x03\xea"));
}

static void a_peer_that_hangs_up_is_an_error(void **state)
{
	struct rc_error err = {""};

	(void)state;
	(void)shutdown(peer, SHUT_WR);
	assert_int_equal(rc_wsclient_receive(&w, &err), -1);
	assert_true(strlen(err.text) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_accept_is_that_of_the_rfc),
		cmocka_unit_test(an_answer_is_taken_only_when_whole),
		cmocka_unit_test(the_gateways_own_answer_is_taken),
		cmocka_unit_test(an_extension_is_taken_when_it_was_offered),
		cmocka_unit_test(names_and_words_may_be_in_any_case),
		cmocka_unit_test(a_wrong_answer_is_refused_with_a_reason),
		cmocka_unit_test(a_refusal_is_told_without_bytes_that_steer_a_terminal),
		cmocka_unit_test(a_head_without_end_is_refused),
		cmocka_unit_test_setup_teardown(
			messages_come_out_whole_however_they_were_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			frames_that_come_together_come_out_one_by_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_sent_is_masked_at_any_length, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_close_is_answered_with_its_code_and_told_with_its_reason, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_close_of_ours_is_sent_once_and_its_answer_ends_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_peer_that_breaks_the_rules_is_told_and_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_peer_that_hangs_up_is_an_error, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
