/* SPDX-License-Identifier: Apache-2.0
 *
 * A gateway that follows a script, for the tests of libringcast: a thread with real sockets on 127.0.0.1, which reads and
 * writes frames with the gateway's own codec, so that two implementations of the protocol meet. With a context it speaks TLS
 * by OpenSSL's own server. The script runs in the
 * thread; where it is disappointed it says so and hangs up, and gateway_stop, on the test's thread, fails the test.
 */
#ifndef RC_TESTS_SCRIPTED_GATEWAY_H
#define RC_TESTS_SCRIPTED_GATEWAY_H

#include "proto/ingest.h"
#include "ringcast.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#define GATEWAY_FRAME_MAX   (1 << 20)
#define GATEWAY_MESSAGE_MAX (1 << 19)
/* Long enough for a loaded machine; reached only by a test that fails. */
#define GATEWAY_PATIENCE_S 20
#define PATIENCE_MS        (GATEWAY_PATIENCE_S * 1000)

struct gateway {
	int listener, fd;
	uint16_t port;
	pthread_t thread;
	void (*script)(struct gateway *g);
	SSL_CTX *context; /* NULL: without TLS */
	SSL *ssl;
	unsigned char in[2 * GATEWAY_FRAME_MAX];
	size_t in_len, in_taken;
	uint64_t last_known; /* of the last HELLO */
	char publisher[RINGCAST_PUBLISHER_ID_MAX + 1];
	char token[256];
	char failed[256];
	uint64_t note; /* for the script's own use */
};

static inline void gateway_hang_up(struct gateway *g)
{
	SSL_free(g->ssl);
	g->ssl = NULL;
	if (g->fd >= 0)
		close(g->fd);
	g->fd = -1;
	g->in_len = g->in_taken = 0;
}

/* For a condition of the script. Ends the thread. */
#define expect(g, condition)                                                              \
	do {                                                                              \
		if (!(condition)) {                                                       \
			snprintf((g)->failed, sizeof((g)->failed), "%s:%d: %s", __func__, \
				__LINE__, #condition);                                    \
			/* At once: the client's side may fail first, for this reason. */ \
			fprintf(stderr, "script: %s\n", (g)->failed);                     \
			gateway_hang_up(g);                                               \
			close((g)->listener);                                             \
			pthread_exit(NULL);                                               \
		}                                                                         \
	} while (0)

static inline void gateway_bind(struct gateway *g)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);

	g->fd = -1;
	g->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(g->listener >= 0);
	assert_int_equal(bind(g->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(g->listener, (struct sockaddr *)&at, &len), 0);
	g->port = ntohs(at.sin_port);
}

static inline void *gateway_thread(void *arg)
{
	struct gateway *g = arg;
	sigset_t pipe;

	/* OpenSSL's own socket raises it. The library must not, so it stays as it is in the test's thread. */
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	g->script(g);
	gateway_hang_up(g);
	return NULL;
}

static inline void gateway_listen(struct gateway *g, void (*script)(struct gateway *g))
{
	struct timeval patience = {GATEWAY_PATIENCE_S, 0};

	/* accept obeys it too */
	setsockopt(g->listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(listen(g->listener, 8), 0);
	g->script = script;
	assert_int_equal(pthread_create(&g->thread, NULL, gateway_thread, g), 0);
}

static inline struct gateway *gateway_start(void (*script)(struct gateway *g))
{
	struct gateway *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	gateway_bind(g);
	gateway_listen(g, script);
	return g;
}

/* The context belongs to the gateway from here on. */
static inline struct gateway *gateway_start_tls(void (*script)(struct gateway *g), SSL_CTX *context)
{
	struct gateway *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->context = context;
	gateway_bind(g);
	gateway_listen(g, script);
	return g;
}

static inline void gateway_stop(struct gateway *g)
{
	char failed[256];

	pthread_join(g->thread, NULL);
	if (!g->failed[0])
		close(g->listener);
	memcpy(failed, g->failed, sizeof(failed));
	SSL_CTX_free(g->context);
	free(g);
	assert_string_equal(failed, "");
}

/* ---- what scripts are made of ------------------------------------------------------------------ */

static inline void gateway_accept_tcp(struct gateway *g)
{
	struct timeval patience = {GATEWAY_PATIENCE_S, 0};
	int on = 1;

	gateway_hang_up(g);
	g->fd = accept(g->listener, NULL, NULL);
	expect(g, g->fd >= 0);
	setsockopt(g->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(g->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(g->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* What SSL_accept says. */
static inline int gateway_shake(struct gateway *g)
{
	g->ssl = SSL_new(g->context);
	expect(g, g->ssl && SSL_set_fd(g->ssl, g->fd) == 1);
	return SSL_accept(g->ssl);
}

static inline void gateway_accept(struct gateway *g)
{
	gateway_accept_tcp(g);
	if (g->context)
		expect(g, gateway_shake(g) == 1);
}

static inline void gateway_send(struct gateway *g, const void *bytes, size_t len)
{
	if (g->ssl)
		expect(g, SSL_write(g->ssl, bytes, (int)len) == (int)len);
	else
		expect(g, send(g->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
}

static inline ssize_t gateway_recv(struct gateway *g, void *at, size_t room)
{
	int got, error;

	if (!g->ssl)
		return recv(g->fd, at, room, 0);
	ERR_clear_error();
	errno = 0;
	got = SSL_read(g->ssl, at, (int)room);
	if (got > 0)
		return got;
	error = SSL_get_error(g->ssl, got);
	if (error == SSL_ERROR_ZERO_RETURN || errno == ECONNRESET)
		return 0;
	return ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? 0 : -1;
}

/* The next frame, valid until the next one is asked for. False when the client hung up. */
static inline bool gateway_frame(struct gateway *g, struct rc_ingest_frame *frame)
{
	memmove(g->in, g->in + g->in_taken, g->in_len - g->in_taken);
	g->in_len -= g->in_taken;
	g->in_taken = 0;
	while (true) {
		int rc = rc_ingest_frame(g->in, g->in_len, GATEWAY_FRAME_MAX, frame);
		ssize_t got;

		expect(g, rc >= 0);
		if (rc == 0) {
			expect(g, (frame->flags & ~rc_ingest_flags_known(frame->type)) == 0);
			g->in_taken = frame->total;
			return true;
		}
		got = gateway_recv(g, g->in + g->in_len, sizeof(g->in) - g->in_len);
		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return false;
		expect(g, got > 0);
		g->in_len += (size_t)got;
	}
}

static inline struct rc_ingest_frame gateway_expect(struct gateway *g, uint8_t type)
{
	struct rc_ingest_frame frame;

	expect(g, gateway_frame(g, &frame));
	expect(g, frame.type == type);
	return frame;
}

static inline void gateway_read_hello(struct gateway *g)
{
	struct rc_ingest_hello hello;
	struct rc_ingest_frame frame = gateway_expect(g, RINGCAST_FRAME_HELLO);

	expect(g, rc_ingest_hello_parse(frame.body, &hello) == 0);
	expect(g, hello.token.len < sizeof(g->token));
	g->last_known = hello.last_known;
	snprintf(g->publisher, sizeof(g->publisher), "%.*s", (int)hello.publisher.len,
		hello.publisher.ptr);
	snprintf(g->token, sizeof(g->token), "%.*s", (int)hello.token.len, hello.token.ptr);
}

static inline void gateway_welcome(struct gateway *g, uint64_t held, uint32_t credit)
{
	struct rc_ingest_welcome welcome = {.version = RINGCAST_WIRE_VERSION,
		.server = RC_STR("test"),
		.last_sequence = held,
		.frame_max = GATEWAY_FRAME_MAX,
		.message_max = GATEWAY_MESSAGE_MAX,
		.credit = credit};
	unsigned char out[RC_INGEST_ANSWER_MAX];

	gateway_send(g, out, rc_ingest_welcome_encode(out, sizeof(out), &welcome));
}

/* Accepts and greets. */
static inline void gateway_greet(struct gateway *g, uint64_t held, uint32_t credit)
{
	gateway_accept(g);
	gateway_read_hello(g);
	gateway_welcome(g, held, credit);
}

static inline struct rc_ingest_publish gateway_publish(struct gateway *g, uint64_t sequence)
{
	struct rc_ingest_frame frame = gateway_expect(g, RINGCAST_FRAME_PUBLISH);
	struct rc_ingest_publish event;

	expect(g, rc_ingest_publish_parse(frame.body, frame.flags, &event) == 0);
	expect(g, event.sequence == sequence);
	return event;
}

static inline void gateway_ack(struct gateway *g, uint64_t sequence)
{
	unsigned char out[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_ack ack = {.sequence = sequence};

	gateway_send(g, out, rc_ingest_ack_encode(out, sizeof(out), &ack));
}

static inline void gateway_nack(
	struct gateway *g, uint64_t sequence, uint16_t code, const char *text)
{
	unsigned char out[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_nack nack = {sequence, code, rc_str_of(text)};

	gateway_send(g, out, rc_ingest_nack_encode(out, sizeof(out), &nack));
}

static inline void gateway_error(struct gateway *g, uint16_t code, const char *text)
{
	unsigned char out[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_error error = {code, rc_str_of(text)};

	gateway_send(g, out, rc_ingest_error_encode(out, sizeof(out), &error));
}

static inline void gateway_flow(struct gateway *g, uint32_t credit)
{
	unsigned char out[RC_INGEST_ANSWER_MAX];

	gateway_send(g, out, rc_ingest_flow_encode(out, sizeof(out), credit));
}

static inline void gateway_bye(struct gateway *g, uint16_t code, uint32_t after_ms)
{
	unsigned char out[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_bye bye = {code, after_ms};

	gateway_send(g, out, rc_ingest_bye_encode(out, sizeof(out), &bye));
}

/* The client has handled all that was sent before, and what comes next in the stream is its PONG: it sent nothing else. */
static inline void gateway_nothing_but_pong(struct gateway *g, uint64_t token)
{
	unsigned char out[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_frame frame;
	uint64_t echoed;

	gateway_send(g, out, rc_ingest_ping_encode(out, sizeof(out), token));
	frame = gateway_expect(g, RINGCAST_FRAME_PONG);
	expect(g, rc_ingest_ping_parse(frame.body, &echoed) == 0 && echoed == token);
}

/* The client says good-bye or just goes. */
static inline void gateway_until_gone(struct gateway *g)
{
	struct rc_ingest_frame frame;

	while (gateway_frame(g, &frame))
		expect(g, frame.type == RINGCAST_FRAME_BYE);
}

/* ---- the client's side ------------------------------------------------------------------------- */

#define SEEN_MAX 4096

/* What the callbacks were told. */
struct seen {
	uint64_t acked[SEEN_MAX];
	size_t acks;
	char epoch[16];
	uint64_t offset;
	uint64_t nacked[SEEN_MAX];
	int nack_code;
	size_t nacks;
	int error_code;
	size_t errors;
	size_t ready, waiting, failed;
	char text[256];
};

static inline void seen_ack(void *user, uint64_t sequence, const char *epoch, uint64_t offset)
{
	struct seen *s = user;

	if (s->acks < SEEN_MAX)
		s->acked[s->acks++] = sequence;
	snprintf(s->epoch, sizeof(s->epoch), "%s", epoch ? epoch : "");
	s->offset = offset;
}

static inline void seen_nack(void *user, uint64_t sequence, int code, const char *text)
{
	struct seen *s = user;

	if (s->nacks < SEEN_MAX)
		s->nacked[s->nacks++] = sequence;
	s->nack_code = code;
	snprintf(s->text, sizeof(s->text), "%s", text);
}

static inline void seen_state(void *user, enum ringcast_state state, const char *text)
{
	struct seen *s = user;

	s->ready += state == RINGCAST_STATE_READY;
	s->waiting += state == RINGCAST_STATE_WAITING;
	s->failed += state == RINGCAST_STATE_FAILED;
	(void)text;
}

static inline void seen_error(void *user, int code, const char *text)
{
	struct seen *s = user;

	s->errors++;
	s->error_code = code;
	snprintf(s->text, sizeof(s->text), "%s", text);
}

static inline struct ringcast_options options_for(const struct gateway *g, struct seen *seen)
{
	struct ringcast_options o;

	memset(seen, 0, sizeof(*seen));
	ringcast_options_init(&o, sizeof(o));
	o.host = "127.0.0.1";
	o.port = g->port;
	o.backoff_min_ms = 1;
	o.backoff_max_ms = 5;
	o.publish_timeout_ms = PATIENCE_MS;
	o.connect_timeout_ms = PATIENCE_MS;
	o.ack_timeout_ms = PATIENCE_MS;
	o.user = seen;
	o.ack = seen_ack;
	o.nack = seen_nack;
	o.state = seen_state;
	o.error = seen_error;
	return o;
}

static inline struct ringcast *opened(const struct ringcast_options *o)
{
	struct ringcast *r;

	assert_int_equal(ringcast_open(&r, o), RINGCAST_OK);
	return r;
}

static inline uint64_t published(struct ringcast *r, const char *data)
{
	uint64_t sequence = 0;

	assert_int_equal(
		ringcast_publish(r, "news", "add", data, strlen(data), 0, &sequence), RINGCAST_OK);
	return sequence;
}

/* As a caller with a loop of its own does it. */
static inline void drive_until_acked(struct ringcast *r)
{
	for (int turns = 0; ringcast_unacked(r) != 0; turns++) {
		int want = ringcast_want(r);
		struct pollfd p = {ringcast_fd(r), 0, 0};

		assert_true(turns < 10000);
		p.events = (short)((want & RINGCAST_WANT_READ ? POLLIN : 0) |
				   (want & RINGCAST_WANT_WRITE ? POLLOUT : 0));
		assert_true(poll(&p, 1, ringcast_timeout(r)) >= 0);
		assert_int_equal(ringcast_poll(r, 0), RINGCAST_OK);
	}
}

#endif
