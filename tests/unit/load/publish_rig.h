/* SPDX-License-Identifier: Apache-2.0
 *
 * A publisher and the server it talks to, both in the test's own thread: a real socket on 127.0.0.1, turned by hand. The server keeps
 * what arrives and says what the test tells it to say.
 */
#ifndef LOAD_TESTS_PUBLISH_RIG_H
#define LOAD_TESTS_PUBLISH_RIG_H

#include "../unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "proto/ingest.h"
#include "load/event.h"
#include "load/publisher.h"

#define RIG_CHANNELS 16
/* Long enough for a loaded machine; reached only by a test that fails. */
#define RIG_PATIENCE_NS 20000000000ull

struct rig {
	struct load_target target;
	struct load_plan plan;
	struct load_shared *shared;
	struct load_publisher *p;
	enum load_phase phase;
	int listener, fd; /* the server's */
	int rc;           /* of the publisher's last call */
	uint64_t next_ns;
	struct rc_error err;
	size_t len, taken; /* of what arrived */
	unsigned char got[1 << 20];
};

static inline struct load_template *rig_template(const char *text)
{
	struct load_template *t;
	struct rc_error err;

	assert_int_equal(load_template_compile(&t, rc_str_of(text), &err), 0);
	return t;
}

static inline struct rig *rig_open(enum load_scheme scheme)
{
	struct rig *r = test_calloc(1, sizeof(*r));
	struct load_publisher_target *to = &r->target.publisher;
	struct sockaddr_in *at = (struct sockaddr_in *)&to->url.address;
	socklen_t len = sizeof(*at);

	assert_non_null(r);
	(void)signal(SIGPIPE, SIG_IGN);
	at->sin_family = AF_INET;
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r->fd = -1;
	assert_true(r->listener >= 0);
	assert_int_equal(bind(r->listener, (struct sockaddr *)at, len), 0);
	assert_int_equal(listen(r->listener, 4), 0);
	assert_int_equal(getsockname(r->listener, (struct sockaddr *)at, &len), 0);
	to->url.scheme = scheme;
	to->url.port = ntohs(at->sin_port);
	to->url.address_len = len;
	strcpy(to->url.host, "127.0.0.1");
	strcpy(to->url.path, "/pub");
	to->protocol = to->headers = to->greeting = to->welcome = to->ack = to->ping = "";
	r->plan = (struct load_plan){
		.drain = 5,
		.target = &r->target,
		.groups = 1,
		.channels = RIG_CHANNELS,
		.channel_prefix = "load:",
		.connect_timeout = 20,
		.group = {{
			.name = "fanout",
			.channels = 1,
			.publishers = 1,
			.in_flight = 1,
			.payload = 64,
		}},
	};
	r->shared = load_shared_open(2, RIG_CHANNELS, &r->err);
	assert_non_null(r->shared);
	return r;
}

static inline void rig_begin(struct rig *r)
{
	r->rc = load_publisher_open(
		&r->p, &r->plan, r->shared, &r->shared->worker[0], 0, 0, &r->err);
	if (r->rc < 0)
		print_error("%s\n", r->err.text);
	assert_int_equal(r->rc, 0);
}

static inline void rig_close(struct rig *r)
{
	load_publisher_close(r->p);
	load_template_free(r->target.publisher.hello);
	load_template_free(r->target.publisher.event);
	load_template_free(r->target.publisher.pong);
	if (r->fd >= 0)
		close(r->fd);
	close(r->listener);
	assert_int_equal(munmap(r->shared, r->shared->size), 0);
	test_free(r);
}

static inline void rig_say(struct rig *r, const void *bytes, size_t len)
{
	assert_int_equal(send(r->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static inline void rig_say_text(struct rig *r, const char *text)
{
	rig_say(r, text, strlen(text));
}

/* One turn of both sides. */
static inline void rig_turn(struct rig *r)
{
	struct pollfd p = {.fd = load_publisher_fd(r->p), .events = load_publisher_events(r->p)};

	if (r->fd < 0)
		r->fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	(void)poll(&p, 1, 1);
	if (p.revents != 0)
		r->rc = load_publisher_io(r->p, rc_clock_mono_ns(), &r->err);
	if (r->rc == 0)
		r->rc = load_publisher_turn(
			r->p, r->phase, rc_clock_mono_ns(), &r->next_ns, &r->err);
	if (r->fd >= 0) {
		ssize_t n = recv(r->fd, r->got + r->len, sizeof(r->got) - r->len, MSG_DONTWAIT);

		if (n > 0)
			r->len += (size_t)n;
	}
}

/* Turns until the condition holds; a publisher that fails, or no end, fails the test. */
#define rig_until(r, condition)                                                                  \
	do {                                                                                     \
		uint64_t patience = rc_clock_mono_ns() + RIG_PATIENCE_NS;                        \
		while (!(condition)) {                                                           \
			rig_turn(r);                                                             \
			if ((r)->rc < 0)                                                         \
				fail_msg("the publisher failed: %s", (r)->err.text);             \
			if (rc_clock_mono_ns() > patience)                                       \
				fail_msg("%s:%d: not in time: " #condition, __FILE__, __LINE__); \
		}                                                                                \
	} while (0)

/* Turns until the publisher fails: its sentence. */
static inline const char *rig_until_failed(struct rig *r)
{
	uint64_t patience = rc_clock_mono_ns() + RIG_PATIENCE_NS;

	while (r->rc == 0 && rc_clock_mono_ns() < patience)
		rig_turn(r);
	assert_true(r->rc < 0);
	return r->err.text;
}

#define assert_contains(text, part)                                             \
	do {                                                                    \
		if (strstr((text), (part)) == NULL)                             \
			fail_msg("'%s' does not contain '%s'", (text), (part)); \
	} while (0)

/* A few turns in which something that must not happen would. */
static inline void rig_linger(struct rig *r)
{
	for (int i = 0; i < 20; i++)
		rig_turn(r);
	assert_int_equal(r->rc, 0);
}

static inline void rig_phase(struct rig *r, enum load_phase phase)
{
	atomic_store(&r->shared->start_ns, rc_clock_mono_ns());
	atomic_store(&r->shared->phase, phase);
	r->phase = phase;
}

static inline struct load_group_stats *rig_counts(struct rig *r)
{
	return &r->shared->worker[0].group[0];
}

static inline uint64_t rig_total(const load_word hist[RC_HIST_BUCKETS])
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < RC_HIST_BUCKETS; i++)
		total += load_get(&hist[i]);
	return total;
}

/* ---- the ingest side ---------------------------------------------------------------------------- */

static inline bool rig_frame_is_there(struct rig *r)
{
	struct rc_ingest_frame frame;

	return rc_ingest_frame(r->got + r->taken, r->len - r->taken, sizeof(r->got), &frame) == 0;
}

/* Turns until a whole frame is there; valid until the rig is closed. */
static inline struct rc_ingest_frame rig_frame(struct rig *r)
{
	struct rc_ingest_frame frame;

	rig_until(r, rig_frame_is_there(r));
	assert_int_equal(
		rc_ingest_frame(r->got + r->taken, r->len - r->taken, sizeof(r->got), &frame), 0);
	r->taken += frame.total;
	return frame;
}

static inline void rig_greet(struct rig *r, uint32_t credit)
{
	const struct rc_ingest_welcome welcome = {
		.version = RINGCAST_WIRE_VERSION,
		.frame_max = 1 << 20,
		.message_max = 1 << 16,
		.credit = credit,
	};
	struct rc_ingest_frame frame = rig_frame(r);
	unsigned char out[RC_INGEST_ANSWER_MAX];

	assert_int_equal(frame.type, RINGCAST_FRAME_HELLO);
	rig_say(r, out, rc_ingest_welcome_encode(out, sizeof(out), &welcome));
	rig_until(r, load_publisher_ready(r->p));
}

static inline void rig_ack(struct rig *r, uint64_t sequence)
{
	const struct rc_ingest_ack ack = {.sequence = sequence};
	unsigned char out[RC_INGEST_ANSWER_MAX];

	rig_say(r, out, rc_ingest_ack_encode(out, sizeof(out), &ack));
}

#endif
