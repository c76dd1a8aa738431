/* SPDX-License-Identifier: Apache-2.0
 *
 * What links say and understand, on real sockets: the ingest protocol, texts in a stream, HTTP, WebSocket; and one sentence for each
 * answer that is wrong.
 */
#include "publish_rig.h"

#include "load/upgrade.h"
#include "proto/websocket.h"
#include "proto/wsupgrade.h"

static struct rig *open_text(enum load_scheme scheme, const char *event, const char *ack)
{
	struct rig *r = rig_open(scheme);

	r->target.publisher.event = rig_template(event);
	r->target.publisher.ack = ack;
	r->plan.group[0].acks_only = true;
	r->plan.group[0].in_flight = 100;
	return r;
}

/* Turns until the server got this text, and takes all that was before it too. */
static void rig_expect(struct rig *r, const char *text)
{
	size_t len = strlen(text);
	const char *at = NULL;

	rig_until(r, (at = memmem(r->got + r->taken, r->len - r->taken, text, len)) != NULL);
	r->taken = (size_t)(at - (const char *)r->got) + len;
}

/* ---- ingest ------------------------------------------------------------------------------------- */

static void ping_is_answered_and_credit_is_obeyed(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);
	struct rc_ingest_frame frame;
	unsigned char out[RC_INGEST_ANSWER_MAX];
	uint64_t token = 0;

	(void)state;
	r->plan.group[0].rate = 1e6;
	rig_begin(r);
	rig_greet(r, 0);
	rig_phase(r, LOAD_WARM);
	rig_linger(r);
	assert_int_equal(load_get(&rig_counts(r)->published), 0);
	rig_say(r, out, rc_ingest_ping_encode(out, sizeof(out), 0x1122334455667788));
	frame = rig_frame(r);
	assert_int_equal(frame.type, RINGCAST_FRAME_PONG);
	assert_int_equal(rc_ingest_ping_parse(frame.body, &token), 0);
	assert_int_equal(token, 0x1122334455667788);
	rig_say(r, out, rc_ingest_flow_encode(out, sizeof(out), 5));
	rig_until(r, load_get(&rig_counts(r)->published) == 5);
	rig_linger(r);
	/* Less credit than there is in flight is none. */
	rig_say(r, out, rc_ingest_flow_encode(out, sizeof(out), 3));
	rig_ack(r, 2);
	rig_linger(r);
	assert_int_equal(load_get(&rig_counts(r)->published), 5);
	rig_ack(r, 3);
	rig_until(r, load_get(&rig_counts(r)->published) == 6);
	rig_close(r);
}

static void answers_may_be_cut_anywhere(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);
	unsigned char out[3 * RC_INGEST_ANSWER_MAX];
	size_t len = 0;

	(void)state;
	r->plan.group[0].in_flight = 3;
	rig_begin(r);
	rig_greet(r, 100);
	rig_phase(r, LOAD_WARM);
	rig_until(r, load_get(&rig_counts(r)->published) == 3);
	for (uint64_t i = 1; i <= 3; i++) {
		const struct rc_ingest_ack ack = {.sequence = i};

		len += rc_ingest_ack_encode(out + len, sizeof(out) - len, &ack);
	}
	rig_phase(r, LOAD_DRAIN);
	for (size_t i = 0; i < len; i++) {
		rig_say(r, out + i, 1);
		rig_turn(r);
	}
	rig_until(r, load_get(&rig_counts(r)->acked) == 3);
	assert_true(load_publisher_idle(r->p));
	rig_close(r);
}

static struct rig *welcomed(void)
{
	struct rig *r = rig_open(LOAD_INGEST);

	rig_begin(r);
	rig_greet(r, 100);
	return r;
}

static void wrong_answers_of_an_ingest_port_are_said_in_words(void **state)
{
	unsigned char out[RC_INGEST_ANSWER_MAX];
	const struct rc_ingest_error error = {
		RINGCAST_ERROR_UNAUTHORIZED, RC_STR("a token is needed")};
	const struct rc_ingest_bye bye = {RINGCAST_BYE_SHUTDOWN, 1000};
	struct rig *r = welcomed();

	(void)state;
	rig_ack(r, 1);
	assert_contains(rig_until_failed(r), "acknowledged 1 events, 0 were sent");
	rig_close(r);

	r = welcomed();
	rig_say(r, out, rc_ingest_error_encode(out, sizeof(out), &error));
	assert_contains(rig_until_failed(r), "the ingest port says: a token is needed (code 6)");
	rig_close(r);

	r = welcomed();
	rig_say(r, out, rc_ingest_bye_encode(out, sizeof(out), &bye));
	assert_contains(rig_until_failed(r), "said goodbye: it stops or restarts");
	rig_close(r);

	r = welcomed();
	rig_say(r, "\x04\0\0\0\x02\0\0\0", 8);
	assert_contains(rig_until_failed(r), "a frame came that no gateway sends");
	rig_close(r);

	r = welcomed();
	rig_say(r, "\xff\xff\xff\x7f\x02\0\0\0", 8);
	assert_contains(rig_until_failed(r), "no frame on the ingest port");
	rig_close(r);

	r = rig_open(LOAD_INGEST);
	rig_begin(r);
	(void)rig_frame(r);
	rig_say_text(r, "HTTP/1.1 400 Bad Request\r\n\r\n");
	assert_contains(rig_until_failed(r), "See that the publisher's url names the ingest port");
	rig_close(r);
}

static void events_larger_than_the_server_takes_are_refused_before_the_first(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);
	const struct rc_ingest_welcome welcome = {
		.version = RINGCAST_WIRE_VERSION,
		.frame_max = 1 << 16,
		.message_max = 65,
		.credit = 1,
	};
	unsigned char out[RC_INGEST_ANSWER_MAX];

	(void)state;
	rig_begin(r);
	(void)rig_frame(r);
	rig_say(r, out, rc_ingest_welcome_encode(out, sizeof(out), &welcome));
	assert_contains(rig_until_failed(r), "message_max is 65");
	rig_close(r);
}

/* ---- the connection ----------------------------------------------------------------------------- */

static void nobody_listens_is_a_sentence(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);

	(void)state;
	close(r->listener);
	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r->rc = load_publisher_open(
		&r->p, &r->plan, r->shared, &r->shared->worker[0], 0, 0, &r->err);
	if (r->rc == 0)
		(void)rig_until_failed(r);
	assert_int_equal(r->rc, -ECONNREFUSED);
	assert_contains(r->err.text, "no connection: Connection refused. See that the server runs");
	rig_close(r);
}

static void server_that_says_nothing_is_given_up_in_time(void **state)
{
	struct rig *r = rig_open(LOAD_INGEST);

	(void)state;
	r->plan.connect_timeout = 0.05;
	rig_begin(r);
	assert_contains(rig_until_failed(r), "within 0.05 s");
	assert_contains(r->err.text, "the welcome that was waited for");
	assert_int_equal(r->rc, -ETIMEDOUT);
	rig_close(r);
}

static void server_that_hangs_up_is_quoted(void **state)
{
	struct rig *r = open_text(LOAD_TCP, "PUB {channel}\r\n", "");

	(void)state;
	r->target.publisher.greeting = "INFO";
	rig_begin(r);
	rig_until(r, r->fd >= 0);
	rig_say_text(r, "-ERR 'Unknown Protocol'\r\n");
	close(r->fd);
	r->fd = -1;
	assert_contains(rig_until_failed(r),
		"closed the connection; its last words: -ERR 'Unknown Protocol'.");
	rig_close(r);
}

/* A socket that is full: nothing is lost, nothing is late by our doing, POLLOUT is asked for. */
static void full_socket_is_waited_for(void **state)
{
	struct rig *r = rig_open(LOAD_TCP);
	uint64_t published = 0;
	size_t total = 0;
	ssize_t n;

	(void)state;
	r->target.publisher.event = rig_template("{payload}");
	r->plan.group[0].payload = 65536;
	r->plan.group[0].rate = 1e9;
	rig_begin(r);
	rig_until(r, load_publisher_ready(r->p) && r->fd >= 0);
	rig_phase(r, LOAD_WARM);
	/* The test's server does not read meanwhile. */
	while (!(load_publisher_events(r->p) & POLLOUT)) {
		assert_int_equal(load_publisher_turn(
					 r->p, LOAD_WARM, rc_clock_mono_ns(), &r->next_ns, &r->err),
			0);
	}
	published = load_get(&rig_counts(r)->published);
	assert_true(published > 0);
	assert_int_equal(r->next_ns, UINT64_MAX);
	rig_phase(r, LOAD_DRAIN);
	while (total < published * 65536) {
		assert_int_equal(load_publisher_io(r->p, rc_clock_mono_ns(), &r->err), 0);
		n = recv(r->fd, r->got, sizeof(r->got), MSG_DONTWAIT);
		for (ssize_t i = 0; i < n; i++) {
			/* Events one after the other, byte for byte. */
			if ((total + (size_t)i) % 65536 < LOAD_MAGIC_LEN)
				assert_int_equal(
					r->got[i], LOAD_MAGIC[(total + (size_t)i) % 65536]);
		}
		total += n > 0 ? (size_t)n : 0;
	}
	assert_int_equal(total, published * 65536);
	assert_true(load_publisher_idle(r->p));
	rig_close(r);
}

/* ---- text --------------------------------------------------------------------------------------- */

static void text_link_greets_waits_and_counts_its_acks(void **state)
{
	struct rig *r = open_text(LOAD_TCP, "PUB {channel} {len}\r\n{payload}\r\n", "+OK\r\n");

	(void)state;
	r->target.publisher.greeting = "INFO";
	r->target.publisher.hello = rig_template("CONNECT {session}\r\nPING\r\n");
	r->target.publisher.welcome = "PONG\r\n";
	r->target.publisher.ping = "PING\r\n";
	r->target.publisher.pong = rig_template("PONG\r\n");
	r->target.publisher.window = 4;
	r->plan.clients = 7;
	rig_begin(r);
	rig_until(r, r->fd >= 0);
	rig_linger(r);
	assert_int_equal(r->len, 0);
	rig_say_text(r, "INF");
	rig_linger(r);
	rig_say_text(r, "O {}\r\n+OK\r\nPO");
	rig_expect(r, "CONNECT 7\r\nPING\r\n");
	assert_false(load_publisher_ready(r->p));
	rig_phase(r, LOAD_WARM);
	rig_say_text(r, "NG\r\n");
	rig_expect(r, "PUB load:0 64\r\n@rcload:");
	rig_until(r, load_get(&rig_counts(r)->published) == 4);
	rig_linger(r);
	assert_int_equal(load_get(&rig_counts(r)->published), 4);
	/* Cut over two reads. */
	rig_say_text(r, "+OK\r\n+O");
	rig_until(r, load_get(&rig_counts(r)->acked) == 1);
	rig_until(r, load_get(&rig_counts(r)->published) == 5);
	rig_say_text(r, "K\r\nPING\r");
	rig_until(r, load_get(&rig_counts(r)->acked) == 2);
	rig_say_text(r, "\n");
	rig_expect(r, "PONG\r\n");
	rig_until(r, load_get(&rig_counts(r)->published) == 6);
	rig_say_text(r, "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
	assert_contains(rig_until_failed(r), "See that the target's ack is a text that comes once");
	rig_close(r);
}

static void without_acks_a_link_is_idle_when_its_output_is_gone(void **state)
{
	struct rig *r = open_text(LOAD_TCP, "{payload}\n", "");

	(void)state;
	r->plan.group[0].acks_only = false;
	r->plan.group[0].rate = 1000;
	rig_begin(r);
	rig_until(r, load_publisher_ready(r->p));
	rig_phase(r, LOAD_WARM);
	rig_until(r, load_get(&rig_counts(r)->published) >= 10);
	rig_phase(r, LOAD_DRAIN);
	rig_until(r, load_publisher_idle(r->p));
	assert_int_equal(load_get(&rig_counts(r)->acked), 0);
	rig_close(r);
}

static void http_counts_good_answers_and_shows_a_bad_one(void **state)
{
	struct rig *r = open_text(LOAD_HTTP,
		"POST /pub/{channel} HTTP/1.1\r\nContent-Length: {len}\r\n\r\n{payload}",
		"HTTP/1.1 20");

	(void)state;
	r->target.publisher.window = 2;
	rig_begin(r);
	rig_until(r, load_publisher_ready(r->p));
	rig_phase(r, LOAD_WARM);
	rig_expect(r, "POST /pub/load:0 HTTP/1.1\r\nContent-Length: 64\r\n\r\n@rcload:");
	rig_until(r, load_get(&rig_counts(r)->published) == 2);
	rig_say_text(r, "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nokHTT");
	rig_until(r, load_get(&rig_counts(r)->published) == 3);
	rig_say_text(r, "P/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
	rig_until(r, load_get(&rig_counts(r)->acked) == 2);
	rig_say_text(r, "HTTP/1.1 40");
	rig_linger(r);
	rig_say_text(r, "3 Forbidden\r\n");
	assert_contains(rig_until_failed(r), "HTTP/1.1 403 Forbidden. See that the target's event");
	rig_close(r);
}

static void targets_that_cannot_publish_are_told_apart(void **state)
{
	struct rig *r = rig_open(LOAD_TCP);

	(void)state;
	assert_int_equal(load_publisher_open(
				 &r->p, &r->plan, r->shared, &r->shared->worker[0], 0, 0, &r->err),
		-EINVAL);
	assert_contains(r->err.text, "event = ");
	r->target.publisher.url.scheme = LOAD_SSE;
	assert_int_equal(load_publisher_open(
				 &r->p, &r->plan, r->shared, &r->shared->worker[0], 0, 0, &r->err),
		-EINVAL);
	assert_contains(r->err.text, "SSE");
	rig_close(r);
}

/* ---- WebSocket ---------------------------------------------------------------------------------- */

static struct rig *open_ws(void)
{
	struct rig *r = open_text(LOAD_WS, "\\{\"c\":\"{channel}\",\"d\":\"{payload}\"}", "+ok");

	r->target.publisher.protocol = "some.v1";
	r->target.publisher.headers = "X-Who: me\r\n";
	r->target.publisher.ping = "ping";
	r->target.publisher.pong = rig_template("pong");
	r->plan.group[0].in_flight = 1;
	return r;
}

/* Reads the request as the gateway's own parser does, and grants it. */
static void grant(struct rig *r, bool rightly)
{
	struct rc_http_request request;
	struct rc_ws_upgrade upgrade;
	struct rc_str key;
	char out[512];

	rig_until(r, rc_http_parse(r->got, r->len, 8192, &request) != RC_HTTP_PARTIAL);
	assert_int_equal(rc_http_parse(r->got, r->len, 8192, &request), 0);
	assert_int_equal(rc_ws_upgrade_check(&request, &upgrade), 0);
	assert_true(rc_str_eq(request.target, RC_STR("/pub")));
	assert_true(rc_str_eq(upgrade.protocols, RC_STR("some.v1")));
	assert_true(rc_str_eq(rc_http_header_get(&request, "X-Who"), RC_STR("me")));
	key = rightly ? upgrade.key : RC_STR("dGhlIHNhbXBsZSBub25jZQ==");
	r->taken = request.head_len;
	rig_say(r, out, rc_ws_upgrade_answer(out, sizeof(out), key, RC_STR("some.v1")));
}

static void say_frame(struct rig *r, uint8_t opcode, bool fin, const char *text)
{
	unsigned char out[256];
	size_t len = rc_ws_header(out, opcode, fin, strlen(text));

	memcpy(out + len, text, strlen(text));
	rig_say(r, out, len + strlen(text));
}

/* The next whole frame of the client, masked as it must be; valid until the next call. */
static struct rc_ws_piece client_frame(struct rig *r)
{
	static unsigned char copy[4096];
	const struct rc_ws_limits limits = {
		.message_max = 4096, .fragments_max = 1, .masked = true, .check_utf8 = true};
	static struct rc_ws_decoder decoder;
	struct rc_ws_piece piece = {0};

	for (;;) {
		unsigned char *at = copy;
		size_t len;
		enum rc_ws_result result;

		rig_until(r, r->len > r->taken);
		len = RC_MIN(r->len - r->taken, sizeof(copy));
		memcpy(copy, r->got + r->taken, len);
		memset(&decoder, 0, sizeof(decoder));
		result = rc_ws_next(&decoder, &limits, &at, &len, &piece);
		assert_true(result != RC_WS_FAIL);
		if (result != RC_WS_MORE && piece.last) {
			r->taken += (size_t)(at - copy);
			return piece;
		}
		rig_turn(r);
	}
}

static bool is_text(struct rc_ws_piece piece, const char *text)
{
	return rc_str_eq((struct rc_str){(const char *)piece.ptr, piece.len}, rc_str_of(text));
}

static void websocket_link_publishes_in_masked_frames_and_answers_pings(void **state)
{
	struct rig *r = open_ws();
	struct rc_ws_piece piece;

	(void)state;
	rig_begin(r);
	grant(r, true);
	rig_until(r, load_publisher_ready(r->p));
	rig_phase(r, LOAD_WARM);
	piece = client_frame(r);
	assert_int_equal(piece.opcode, RC_WS_TEXT);
	assert_memory_equal(piece.ptr, "{\"c\":\"load:0\",\"d\":\"@rcload:", 27);
	assert_memory_equal(piece.ptr + piece.len - 2, "\"}", 2);
	/* A ping of the protocol, and one of the messages, in two fragments. */
	say_frame(r, RC_WS_PING, true, "are you there");
	piece = client_frame(r);
	assert_int_equal(piece.opcode, RC_WS_PONG);
	assert_true(is_text(piece, "are you there"));
	say_frame(r, RC_WS_TEXT, false, "pi");
	say_frame(r, RC_WS_CONTINUATION, true, "ng 17");
	piece = client_frame(r);
	assert_int_equal(piece.opcode, RC_WS_TEXT);
	assert_true(is_text(piece, "pong"));
	/* Not a ping: it does not begin so. Not an ack: its halves are of two messages. */
	say_frame(r, RC_WS_TEXT, true, "a ping +o");
	say_frame(r, RC_WS_TEXT, true, "k");
	rig_linger(r);
	assert_int_equal(r->len, r->taken);
	say_frame(r, RC_WS_BINARY, false, "+");
	say_frame(r, RC_WS_CONTINUATION, true, "ok");
	rig_until(r, load_get(&rig_counts(r)->acked) == 1);
	piece = client_frame(r);
	assert_int_equal(piece.opcode, RC_WS_TEXT);
	rig_close(r);
}

static void websocket_answer_may_come_in_single_bytes_with_frames_behind_it(void **state)
{
	struct rig *r = open_ws();
	struct rc_http_request request;
	char out[600];
	size_t len;

	(void)state;
	r->target.publisher.greeting = "hi";
	rig_begin(r);
	rig_until(r, rc_http_parse(r->got, r->len, 8192, &request) == 0);
	r->taken = request.head_len;
	len = rc_ws_upgrade_answer(
		out, 512, rc_http_header_get(&request, "Sec-WebSocket-Key"), RC_STR("some.v1"));
	memcpy(out + len, "\x81\x02hi\x81", 5);
	for (size_t i = 0; i < len - 3; i++) {
		rig_say(r, out + i, 1);
		rig_turn(r);
	}
	rig_say(r, out + len - 3, 8);
	rig_until(r, load_publisher_ready(r->p));
	rig_phase(r, LOAD_WARM);
	(void)client_frame(r);
	rig_say_text(r, "\x03+ok");
	rig_until(r, load_get(&rig_counts(r)->acked) == 1);
	rig_close(r);
}

static void refused_upgrade_shows_the_status_line(void **state)
{
	static const struct {
		const char *answer, *sentence;
	} cases[] = {
		{"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n",
			"refused the WebSocket: HTTP/1.1 503 Service Unavailable. See that"},
		{"220 mail.example ESMTP\r\n", "does not speak HTTP"},
		{"HTTP/1.1 101 Switching Protocols\r\n\r\n", "no Sec-WebSocket-Accept"},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		struct rig *r = open_ws();

		rig_begin(r);
		rig_until(r, r->fd >= 0);
		rig_say_text(r, cases[i].answer);
		assert_contains(rig_until_failed(r), cases[i].sentence);
		rig_close(r);
	}
	struct rig *r = open_ws();
	rig_begin(r);
	grant(r, false);
	assert_contains(rig_until_failed(r), "Sec-WebSocket-Accept");
	rig_close(r);
}

static void websocket_that_is_closed_or_broken_says_so(void **state)
{
	struct rig *r = open_ws();

	(void)state;
	rig_begin(r);
	grant(r, true);
	rig_until(r, load_publisher_ready(r->p));
	say_frame(r, RC_WS_CLOSE, true,
		"\x10\x04"
		"over capacity");
	assert_contains(rig_until_failed(r), "closed the WebSocket with code 4100: over capacity");
	rig_close(r);

	r = open_ws();
	rig_begin(r);
	grant(r, true);
	rig_until(r, load_publisher_ready(r->p));
	rig_say_text(r, "\xff\xff");
	assert_contains(rig_until_failed(r), "reserved bits");
	rig_close(r);
}

static void channel_in_the_path_leads_to_one_channel(void **state)
{
	struct rig *r = open_ws();

	(void)state;
	strcpy(r->target.publisher.url.path, "/pub/{channel}?x=1");
	r->plan.group[0].channels = 2;
	assert_int_equal(load_publisher_open(
				 &r->p, &r->plan, r->shared, &r->shared->worker[0], 0, 0, &r->err),
		-EINVAL);
	assert_contains(r->err.text, "as many publishers as channels");
	r->plan.group[0].publishers = 2;
	assert_int_equal(load_publisher_open(
				 &r->p, &r->plan, r->shared, &r->shared->worker[0], 0, 1, &r->err),
		0);
	rig_expect(r, "GET /pub/load:1?x=1 HTTP/1.1\r\n");
	rig_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ping_is_answered_and_credit_is_obeyed),
		cmocka_unit_test(answers_may_be_cut_anywhere),
		cmocka_unit_test(wrong_answers_of_an_ingest_port_are_said_in_words),
		cmocka_unit_test(events_larger_than_the_server_takes_are_refused_before_the_first),
		cmocka_unit_test(nobody_listens_is_a_sentence),
		cmocka_unit_test(server_that_says_nothing_is_given_up_in_time),
		cmocka_unit_test(server_that_hangs_up_is_quoted),
		cmocka_unit_test(full_socket_is_waited_for),
		cmocka_unit_test(text_link_greets_waits_and_counts_its_acks),
		cmocka_unit_test(without_acks_a_link_is_idle_when_its_output_is_gone),
		cmocka_unit_test(http_counts_good_answers_and_shows_a_bad_one),
		cmocka_unit_test(targets_that_cannot_publish_are_told_apart),
		cmocka_unit_test(websocket_link_publishes_in_masked_frames_and_answers_pings),
		cmocka_unit_test(websocket_answer_may_come_in_single_bytes_with_frames_behind_it),
		cmocka_unit_test(refused_upgrade_shows_the_status_line),
		cmocka_unit_test(websocket_that_is_closed_or_broken_says_so),
		cmocka_unit_test(channel_in_the_path_leads_to_one_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
