/* SPDX-License-Identifier: Apache-2.0
 *
 * The seam to the kernel on a real io_uring: what the rest of the program relies on, and the sentences that explain a ring
 * that can't be had. Skipped, with the reason, where there is no io_uring.
 */
#include "rings.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#define TAG(s, g) ((struct rc_io_tag){(s), (g)})

static struct ring ring;

static int setup(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof(ring));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (ring.io)
		ring_close(&ring);
	return 0;
}

static const struct ring_event *event_of(
	uint32_t i, enum rc_io_op op, uint32_t slot, uint32_t generation)
{
	assert_true(i < ring.count);
	const struct ring_event *e = &ring.event[i];
	assert_int_equal(e->op, op);
	assert_int_equal(e->tag.slot, slot);
	assert_int_equal(e->tag.generation, generation);
	return e;
}

static bool closed(int fd)
{
	return fcntl(fd, F_GETFD) < 0 && errno == EBADF;
}

/* ---- opening ------------------------------------------------------------------------------------ */

static void a_ring_opens_disabled_and_closes_without_ever_being_used(void **state)
{
	struct rc_error err = {{0}};
	struct rc_io *io;

	(void)state;
	ring_open(&ring, &rings_options); /* or is skipped */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rc_io_open(&io, &rings_options, &err), 0);
		assert_true(rc_io_ring_fd(io) >= 0);
		assert_non_null(rc_io_features(io));
		rc_io_close(io);
	}
	rc_io_close(NULL);
	assert_int_equal(rc_io_buffers_free(ring.io, RC_IO_SMALL), 8);
	assert_int_equal(rc_io_buffers_free(ring.io, RC_IO_LARGE), 4);
	assert_true(rc_io_bytes(&rings_options) >= 8 * 256 + 4 * 4096 + 64 * 64);
	assert_false(rc_io_pending(ring.io));
	assert_int_equal(rc_io_reap(ring.io, ring_take, &ring), 0);
	assert_int_equal(rc_io_overflows(ring.io), 0);
}

struct attempt {
	int resource;
	rlim_t limit;
	bool root;
	char text[1024];
};

/* In a child: opens rings under a limit until one fails, and says why. "" when none fails. */
static void attempt_open(struct attempt *a)
{
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		static const struct rc_io_options large = {.submit_entries = 4096,
			.buffers = {1024, 64},
			.buffer_bytes = {4096, 65536},
			.node = -1};
		struct rc_error err = {{0}};
		struct rc_io *io;
		struct rlimit l = {a->limit, a->limit};
		(void)close(fd[0]);
		/* An ordinary user: root's rings are not counted. */
		if (!a->root && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(2);
		if (setrlimit((__rlimit_resource_t)a->resource, &l) < 0)
			_exit(3);
		for (int i = 0; i < 3 && err.text[0] == 0; i++)
			(void)!rc_io_open(&io, &large, &err);
		ssize_t n = write(fd[1], err.text, strlen(err.text));
		_exit(n < 0);
	}
	(void)close(fd[1]);
	memset(a->text, 0, sizeof(a->text));
	ssize_t n, at = 0;
	while ((n = read(fd[0], a->text + at, sizeof(a->text) - 1 - (size_t)at)) > 0)
		at += n;
	(void)close(fd[0]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) {
		print_message("skipped: this user can't become another one\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void too_little_locked_memory_is_explained(void **state)
{
	struct attempt a = {.resource = RLIMIT_MEMLOCK, .limit = 64 * 1024};

	(void)state;
	ring_open(&ring, &rings_options); /* or is skipped */
	attempt_open(&a);
	if (a.text[0] == 0) {
		print_message("skipped: this kernel does not count a ring's memory\n");
		skip();
	}
	assert_non_null(strstr(a.text, "RLIMIT_MEMLOCK is 64 KiB"));
	assert_non_null(strstr(a.text, "LimitMEMLOCK=infinity"));
}

static void too_few_descriptors_are_explained(void **state)
{
	struct attempt a = {.resource = RLIMIT_NOFILE, .limit = 3, .root = true};

	(void)state;
	ring_open(&ring, &rings_options); /* or is skipped */
	attempt_open(&a);
	assert_non_null(strstr(a.text, "RLIMIT_NOFILE"));
	assert_non_null(strstr(a.text, "ulimit -n"));
}

/* ---- accepting ---------------------------------------------------------------------------------- */

static void one_accept_takes_many_connections(void **state)
{
	int client[10];

	(void)state;
	ring_open(&ring, &rings_options);
	int listener = ring_listener();
	rc_io_accept(ring.io, listener, TAG(1, 7));
	rc_io_submit(ring.io);
	for (int i = 0; i < 10; i++)
		client[i] = ring_connect(listener);
	ring_until(&ring, ring_has, 10);
	for (uint32_t i = 0; i < 10; i++) {
		const struct ring_event *e = event_of(i, RC_IO_ACCEPT, 1, 7);
		assert_true(e->res >= 0);
		assert_true(e->more);
		/* As the server wants it: not inherited, never blocking; and what the listener has, it has. */
		assert_int_equal(fcntl(e->res, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		assert_int_equal(fcntl(e->res, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
		int on = 0;
		socklen_t len = sizeof(on);
		assert_int_equal(getsockopt(e->res, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
		assert_true(on);
		(void)close(e->res);
		(void)close(client[i]);
	}
	(void)close(listener);
}

static void a_cancelled_accept_ends_and_takes_nobody_more(void **state)
{
	(void)state;
	ring_open(&ring, &rings_options);
	int listener = ring_listener();
	rc_io_accept(ring.io, listener, TAG(0, 1));
	rc_io_accept(ring.io, listener, TAG(1, 1));
	ring_drain(&ring);
	assert_int_equal(ring.count, 0);
	/* Another generation is not meant. */
	rc_io_cancel_accept(ring.io, TAG(0, 2));
	ring_drain(&ring);
	assert_int_equal(ring.count, 0);
	rc_io_cancel_accept(ring.io, TAG(0, 1));
	ring_until(&ring, ring_has, 1);
	const struct ring_event *e = event_of(0, RC_IO_ACCEPT, 0, 1);
	assert_int_equal(e->res, -ECANCELED);
	assert_false(e->more);
	/* The other one goes on. */
	int client = ring_connect(listener);
	ring_until(&ring, ring_has, 2);
	e = event_of(1, RC_IO_ACCEPT, 1, 1);
	assert_true(e->res >= 0 && e->more);
	(void)close(e->res);
	(void)close(client);
	rc_io_cancel_accept(ring.io, TAG(1, 1));
	ring_until(&ring, ring_has, 3);
	assert_false(event_of(2, RC_IO_ACCEPT, 1, 1)->more);
	client = ring_connect(listener);
	ring_drain(&ring);
	assert_int_equal(ring.count, 3);
	(void)close(client);
	(void)close(listener);
}

/* ---- receiving ---------------------------------------------------------------------------------- */

static void a_multishot_receive_goes_on_until_the_end(void **state)
{
	int fd[2];

	(void)state;
	ring_open(&ring, &rings_options);
	ring_pair(fd);
	rc_io_recv(ring.io, fd[0], TAG(5, 0xabcdef), RC_IO_SMALL, RC_IO_MULTISHOT);
	rc_io_submit(ring.io);
	for (uint32_t i = 0; i < 100; i++) {
		char text[16];
		int len = snprintf(text, sizeof(text), "message %u", i);
		assert_int_equal(write(fd[1], text, (size_t)len), len);
		ring_until(&ring, ring_has, i + 1);
		const struct ring_event *e = event_of(i, RC_IO_RECV, 5, 0xabcdef);
		assert_int_equal(e->res, len);
		assert_true(e->more);
		assert_int_equal(e->last, text[len - 1]);
		assert_int_equal(rc_io_buffers_free(ring.io, RC_IO_SMALL), 8);
	}
	(void)close(fd[1]);
	ring_until(&ring, ring_has, 101);
	assert_int_equal(event_of(100, RC_IO_RECV, 5, 0xabcdef)->res, 0);
	assert_false(ring.event[100].more);
	(void)close(fd[0]);
}

static void both_groups_give_their_own_buffers(void **state)
{
	static unsigned char big[4096];
	int a[2], b[2];

	(void)state;
	ring_open(&ring, &rings_options);
	ring_pair(a);
	ring_pair(b);
	memset(big, 'b', sizeof(big));
	/* Often enough that each buffer of each group comes round a few times. */
	for (uint32_t i = 0; i < 40; i++) {
		ring_forget(&ring);
		rc_io_recv(ring.io, a[0], TAG(1, i), RC_IO_SMALL, RC_IO_ONCE);
		rc_io_recv(ring.io, b[0], TAG(2, i), RC_IO_LARGE, RC_IO_ONCE);
		assert_int_equal(write(b[1], big, sizeof(big)), sizeof(big));
		assert_int_equal(write(a[1], "aaaa", 4), 4);
		ring_until(&ring, ring_has, 2);
		for (uint32_t k = 0; k < 2; k++) {
			const struct ring_event *e = &ring.event[k];
			assert_int_equal(e->op, RC_IO_RECV);
			assert_int_equal(e->tag.generation, i);
			assert_false(e->more);
			assert_int_equal(e->res, e->tag.slot == 1 ? 4 : sizeof(big));
			assert_int_equal(e->first, e->tag.slot == 1 ? 'a' : 'b');
			assert_int_equal(e->last, e->first);
		}
	}
	for (int i = 0; i < 2; i++) {
		(void)close(a[i]);
		(void)close(b[i]);
	}
}

static void what_is_larger_than_a_buffer_comes_in_pieces_and_in_order(void **state)
{
	static unsigned char sent[20000];
	int fd[2];

	(void)state;
	ring_open(&ring, &rings_options);
	ring_pair(fd);
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (unsigned char)(i * 7 + i / 256);
	assert_int_equal(write(fd[1], sent, sizeof(sent)), sizeof(sent));
	(void)close(fd[1]);
	rc_io_recv(ring.io, fd[0], TAG(3, 1), RC_IO_SMALL, RC_IO_MULTISHOT);
	for (;;) {
		ring_until(&ring, ring_has, ring.count + 1);
		const struct ring_event *e = &ring.event[ring.count - 1];
		if (e->res == 0)
			break;
		/* Buffers ran out: normal life, it is armed again. */
		if (!e->more) {
			assert_true(e->res == -ENOBUFS || e->res > 0);
			rc_io_recv(ring.io, fd[0], TAG(3, 1), RC_IO_SMALL, RC_IO_MULTISHOT);
		}
	}
	assert_int_equal(ring.bytes, sizeof(sent));
	assert_memory_equal(ring.data, sent, sizeof(sent));
	assert_int_equal(rc_io_buffers_free(ring.io, RC_IO_SMALL), 8);
	(void)close(fd[0]);
}

static void many_readers_share_few_buffers(void **state)
{
	enum { PAIRS = 40 };
	int fd[PAIRS][2];
	uint32_t got[PAIRS] = {0};
	uint32_t seen = 0, left = PAIRS;
	bool starved = false;

	(void)state;
	ring_open(&ring, &rings_options);
	for (uint32_t i = 0; i < PAIRS; i++) {
		ring_pair(fd[i]);
		char bytes[300];
		memset(bytes, (int)i, sizeof(bytes));
		assert_int_equal(write(fd[i][1], bytes, sizeof(bytes)), sizeof(bytes));
		rc_io_recv(ring.io, fd[i][0], TAG(i, i), RC_IO_SMALL, RC_IO_MULTISHOT);
	}
	while (left > 0) {
		ring_until(&ring, ring_has, seen + 1);
		for (; seen < ring.count; seen++) {
			const struct ring_event *e = &ring.event[seen];
			uint32_t i = e->tag.slot;
			if (e->res > 0) {
				assert_int_equal(e->first, i);
				assert_int_equal(e->last, i);
				got[i] += (uint32_t)e->res;
				left -= got[i] == 300;
			}
			starved |= e->res == -ENOBUFS;
			if (!e->more)
				rc_io_recv(
					ring.io, fd[i][0], TAG(i, i), RC_IO_SMALL, RC_IO_MULTISHOT);
		}
	}
	assert_true(starved);
	for (uint32_t i = 0; i < PAIRS; i++) {
		assert_int_equal(got[i], 300);
		(void)close(fd[i][0]);
		(void)close(fd[i][1]);
	}
}

/* RC_IO_RECORDS on sockets without keys: the same, and no record has a type. */
static void records_of_a_plain_socket_have_no_type(void **state)
{
	static unsigned char sent[20000];

	(void)state;
	ring_open(&ring, &rings_options);
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (unsigned char)(i * 11 + i / 256);
	for (int unix_pair = 0; unix_pair < 2; unix_pair++) {
		uint32_t starved = 0;
		int fd[2];
		if (unix_pair) {
			ring_pair(fd);
		} else {
			int listener = ring_listener();
			fd[1] = ring_connect(listener);
			fd[0] = ring_accept(listener, 0);
			(void)close(listener);
		}
		ring_forget(&ring);
		rc_io_recv(ring.io, fd[0], TAG(4, 0xfedcba), RC_IO_SMALL, RC_IO_RECORDS);
		rc_io_submit(ring.io);
		for (uint32_t i = 0; i < 50; i++) {
			assert_int_equal(write(fd[1], "few", 3), 3);
			ring_until(&ring, ring_has, i + 1);
			const struct ring_event *e = event_of(i, RC_IO_RECV, 4, 0xfedcba);
			assert_int_equal(e->res, 3);
			assert_int_equal(e->record, 0);
			assert_true(e->more);
			assert_int_equal(rc_io_buffers_free(ring.io, RC_IO_SMALL), 8);
		}
		/* In pieces; and when the buffers ran out it is armed again, as any other. */
		ring_forget(&ring);
		assert_int_equal(write(fd[1], sent, sizeof(sent)), sizeof(sent));
		(void)close(fd[1]);
		for (;;) {
			ring_until(&ring, ring_has, ring.count + 1);
			const struct ring_event *e = &ring.event[ring.count - 1];
			if (e->res == 0)
				break;
			assert_true(e->res > 0 || e->res == -ENOBUFS);
			starved += e->res == -ENOBUFS;
			if (!e->more)
				rc_io_recv(ring.io, fd[0], TAG(4, 0xfedcba), RC_IO_SMALL,
					RC_IO_RECORDS);
		}
		assert_true(starved > 0);
		assert_false(ring.event[ring.count - 1].more);
		assert_int_equal(ring.bytes, sizeof(sent));
		assert_memory_equal(ring.data, sent, sizeof(sent));
		assert_int_equal(rc_io_buffers_free(ring.io, RC_IO_SMALL), 8);
		(void)close(fd[0]);
	}
}

/* A reset, in both forms of multishot; and a socket that was closed while the receive was on its way. */
static void records_end_with_the_error_of_the_socket(void **state)
{
	(void)state;
	ring_open(&ring, &rings_options);
	for (uint32_t i = 0; i < 2; i++) {
		int listener = ring_listener();
		int client = ring_connect(listener);
		int server = ring_accept(listener, 0);
		rc_io_recv(ring.io, server, TAG(1, i), RC_IO_LARGE,
			i ? RC_IO_RECORDS : RC_IO_MULTISHOT);
		rc_io_submit(ring.io);
		rc_socket_reset_on_close(client);
		(void)close(client);
		ring_until(&ring, ring_has, i + 1);
		const struct ring_event *e = event_of(i, RC_IO_RECV, 1, i);
		assert_int_equal(e->res, -ECONNRESET);
		assert_false(e->more);
		assert_int_equal(rc_io_buffers_free(ring.io, RC_IO_LARGE), 4);
		(void)close(server);
		(void)close(listener);
	}
	rc_io_recv(ring.io, -1, TAG(1, 2), RC_IO_LARGE, RC_IO_RECORDS);
	ring_until(&ring, ring_has, 3);
	assert_int_equal(event_of(2, RC_IO_RECV, 1, 2)->res, -EBADF);
}

static void arm_without_room_for_payload(void *ctx)
{
	const struct rc_io_options tiny = {
		.submit_entries = 8, .buffers = {8, 4}, .buffer_bytes = {40, 4096}, .node = -1};
	struct rc_error err = {{0}};
	struct rc_io *io;

	(void)ctx;
	if (rc_io_open(&io, &tiny, &err) == 0 && rc_io_enable(io) == 0)
		rc_io_recv(io, 0, TAG(0, 0), RC_IO_SMALL, RC_IO_RECORDS);
}

static void records_need_buffers_with_room_for_more_than_their_head(void **state)
{
	(void)state;
	ring_open(&ring, &rings_options); /* or is skipped */
	assert_true(unit_aborts(arm_without_room_for_payload, NULL));
}

static void a_shutdown_ends_an_armed_receive_and_poll(void **state)
{
	static unsigned char filling[1 << 16];
	int fd[2];

	(void)state;
	ring_open(&ring, &rings_options);
	ring_pair(fd);
	rc_io_recv(ring.io, fd[0], TAG(1, 1), RC_IO_SMALL, RC_IO_MULTISHOT);
	while (write(fd[0], filling, sizeof(filling)) > 0)
		;
	rc_io_poll_out(ring.io, fd[0], TAG(1, 2));
	ring_drain(&ring);
	assert_int_equal(ring.count, 0);
	rc_socket_shutdown(fd[0]);
	ring_until(&ring, ring_has, 2);
	for (uint32_t i = 0; i < 2; i++) {
		assert_false(ring.event[i].more);
		if (ring.event[i].op == RC_IO_RECV)
			assert_int_equal(ring.event[i].res, 0);
		else
			assert_int_equal(ring.event[i].op, RC_IO_POLLOUT);
	}
	(void)close(fd[0]);
	(void)close(fd[1]);
}

/* ---- sending ------------------------------------------------------------------------------------ */

static void a_send_ends_in_the_submit_short_or_with_eagain(void **state)
{
	static unsigned char bytes[8 << 20];
	unsigned char back[4096];
	int fd[2];
	uint64_t sent = 0, read_back = 0;

	(void)state;
	ring_open(&ring, &rings_options);
	int listener = ring_listener();
	fd[1] = ring_connect(listener);
	fd[0] = ring_accept(listener, SOCK_NONBLOCK);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i / 3);
	bool eagain = false;
	for (uint32_t i = 0; !eagain; i++) {
		assert_true(sent < sizeof(bytes));
		rc_io_send(
			ring.io, fd[0], TAG(9, i), bytes + sent, (uint32_t)(sizeof(bytes) - sent));
		rc_io_submit(ring.io);
		/* It is there: nobody waited for anything. */
		assert_int_equal(rc_io_reap(ring.io, ring_take, &ring), 1);
		const struct ring_event *e = event_of(i, RC_IO_SEND, 9, i);
		assert_false(e->more);
		if (e->res > 0) {
			sent += (uint64_t)e->res;
		} else {
			assert_int_equal(e->res, -EAGAIN);
			eagain = true;
		}
	}
	assert_true(sent > 0);
	/* The bytes belong to us again: what the peer reads is what they were. */
	uint64_t was = sent;
	memset(bytes, 0xee, sizeof(bytes));
	ring_forget(&ring);
	rc_io_poll_out(ring.io, fd[0], TAG(9, 77));
	ring_drain(&ring);
	assert_int_equal(ring.count, 0);
	while (read_back < was) {
		ssize_t n = read(fd[1], back, sizeof(back));
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(back[i], (unsigned char)((read_back + (uint64_t)i) / 3));
		read_back += (uint64_t)n;
	}
	ring_until(&ring, ring_has, 1);
	assert_true(event_of(0, RC_IO_POLLOUT, 9, 77)->res > 0);
	assert_false(ring.event[0].more);
	(void)close(fd[0]);
	(void)close(fd[1]);
	(void)close(listener);
}

static void a_send_to_nobody_is_an_error_and_no_signal(void **state)
{
	int fd[2];

	(void)state;
	ring_open(&ring, &rings_options);
	ring_pair(fd);
	(void)close(fd[1]);
	(void)signal(SIGPIPE, SIG_DFL);
	rc_io_send(ring.io, fd[0], TAG(1, 1), "x", 1);
	ring_until(&ring, ring_has, 1);
	assert_int_equal(event_of(0, RC_IO_SEND, 1, 1)->res, -EPIPE);
	(void)close(fd[0]);
}

static void more_requests_than_the_queue_has_places_are_all_done(void **state)
{
	enum { SENDS = 500 };
	int fd[2];
	char back[SENDS];

	(void)state;
	ring_open(&ring, &rings_options);
	ring_pair(fd);
	static char bytes[SENDS];
	for (uint32_t i = 0; i < SENDS; i++) {
		bytes[i] = (char)(i * 3);
		rc_io_send(ring.io, fd[0], TAG(i, i), &bytes[i], 1);
	}
	ring_until(&ring, ring_has, SENDS);
	uint64_t sum = 0;
	for (uint32_t i = 0; i < SENDS; i++) {
		const struct ring_event *e =
			event_of(i, RC_IO_SEND, ring.event[i].tag.slot, ring.event[i].tag.slot);
		/* A socketpair counts small writes by the buffer: the last ones may not fit. */
		assert_true(e->res == 1 || e->res == -EAGAIN);
		sum += e->res == 1;
	}
	assert_int_equal(read(fd[1], back, sizeof(back)), sum);
	for (uint64_t i = 0; i < sum; i++)
		assert_int_equal(back[i], bytes[i]);
	(void)close(fd[0]);
	(void)close(fd[1]);
}

/* ---- order, tags, closing ----------------------------------------------------------------------- */

static void sends_are_told_before_anything_else(void **state)
{
	int a[2], b[2];

	(void)state;
	ring_open(&ring, &rings_options);
	ring_pair(a);
	ring_pair(b);
	assert_int_equal(write(a[1], "x", 1), 1);
	rc_io_recv(ring.io, a[0], TAG(1, 1), RC_IO_SMALL, RC_IO_ONCE);
	rc_io_poll_out(ring.io, b[0], TAG(2, 2));
	rc_io_send(ring.io, b[0], TAG(3, 3), "y", 1);
	rc_io_submit(ring.io);
	assert_int_equal(rc_io_reap(ring.io, ring_take, &ring), 3);
	(void)event_of(0, RC_IO_SEND, 3, 3);
	for (int i = 0; i < 2; i++) {
		(void)close(a[i]);
		(void)close(b[i]);
	}
}

static void tags_come_back_whole(void **state)
{
	static const struct rc_io_tag tags[] = {{0, 0}, {UINT32_MAX, 0xffffff}, {0x80000000u, 1},
		{1, 0x800000}, {0x12345678, 0x9abcde}};
	int fd[2];

	(void)state;
	ring_open(&ring, &rings_options);
	ring_pair(fd);
	for (uint32_t i = 0; i < RC_ARRAY_LEN(tags); i++)
		rc_io_send(ring.io, fd[0], tags[i], "x", 1);
	ring_until(&ring, ring_has, RC_ARRAY_LEN(tags));
	for (uint32_t i = 0; i < RC_ARRAY_LEN(tags); i++)
		(void)event_of(i, RC_IO_SEND, tags[i].slot, tags[i].generation);
	(void)close(fd[0]);
	(void)close(fd[1]);
}

static void closing_is_silent_and_closes(void **state)
{
	int fd[2];

	(void)state;
	ring_open(&ring, &rings_options);
	ring_pair(fd);
	rc_io_close_fd(ring.io, fd[0]);
	ring_drain(&ring);
	assert_int_equal(ring.count, 0);
	assert_true(closed(fd[0]));
	/* One that is not open any more fails, and nobody hears of it. */
	rc_io_close_fd(ring.io, fd[0]);
	ring_drain(&ring);
	assert_int_equal(ring.count, 0);
	(void)close(fd[1]);
}

static void late_data_after_a_close_comes_under_the_old_tag(void **state)
{
	int fd[2];

	(void)state;
	ring_open(&ring, &rings_options);
	ring_pair(fd);
	rc_io_recv(ring.io, fd[0], TAG(4, 1), RC_IO_SMALL, RC_IO_MULTISHOT);
	rc_io_submit(ring.io);
	/* The reason why slots are freed only when nothing is in flight: the request outlives the descriptor. */
	rc_io_close_fd(ring.io, fd[0]);
	ring_drain(&ring);
	assert_int_equal(ring.count, 0);
	assert_int_equal(write(fd[1], "late", 4), 4);
	ring_until(&ring, ring_has, 1);
	assert_int_equal(event_of(0, RC_IO_RECV, 4, 1)->res, 4);
	(void)close(fd[1]);
	ring_until(&ring, ring_has, 2);
	assert_false(ring.event[1].more);
}

static void rearm(struct ring *r, const struct rc_io_event *ev)
{
	/* Handlers ask while they are being told: more than fits the queue, so that it is submitted in between. */
	if (ev->op == RC_IO_RECV) {
		for (uint32_t i = 0; i < 100; i++)
			rc_io_wake(r->io, rc_io_ring_fd(r->io));
	}
}

static void a_handler_may_ask_for_more_than_fits_the_queue(void **state)
{
	int fd[2];

	(void)state;
	ring_open(&ring, &rings_options);
	ring.also = rearm;
	ring_pair(fd);
	rc_io_recv(ring.io, fd[0], TAG(1, 1), RC_IO_SMALL, RC_IO_MULTISHOT);
	rc_io_submit(ring.io);
	assert_int_equal(write(fd[1], "one", 3), 3);
	ring_until(&ring, ring_has, 101);
	assert_int_equal(ring.event[0].op, RC_IO_RECV);
	for (uint32_t i = 1; i < 101; i++)
		(void)event_of(i, RC_IO_WAKE, 0, 0);
	assert_int_equal(ring.bytes, 3);
	assert_memory_equal(ring.data, "one", 3);
	(void)close(fd[0]);
	(void)close(fd[1]);
}

static void an_eventfd_is_told_each_time(void **state)
{
	uint64_t one = 1;

	(void)state;
	ring_open(&ring, &rings_options);
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(fd >= 0);
	rc_io_poll_in(ring.io, fd, TAG(2, 0));
	for (uint32_t i = 0; i < 5; i++) {
		rc_io_submit(ring.io);
		assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
		ring_until(&ring, ring_has, i + 1);
		const struct ring_event *e = event_of(i, RC_IO_POLLIN, 2, 0);
		assert_true(e->res > 0);
		assert_int_equal(read(fd, &one, sizeof(one)), sizeof(one));
		one = 1;
		if (!e->more)
			rc_io_poll_in(ring.io, fd, TAG(2, 0));
	}
	(void)close(fd);
}

/* ---- time and other threads --------------------------------------------------------------------- */

static void a_wait_ends_by_itself(void **state)
{
	(void)state;
	ring_open(&ring, &rings_options);
	uint64_t begin = rc_clock_mono_ns();
	rc_io_submit_and_wait(ring.io, 5000000);
	assert_true(rc_clock_mono_ns() - begin >= 4000000);
	assert_int_equal(rc_io_reap(ring.io, ring_take, &ring), 0);
	/* And at once when something is there. */
	rc_io_wake(ring.io, rc_io_ring_fd(ring.io));
	rc_io_submit(ring.io);
	rc_io_submit_and_wait(ring.io, UINT64_C(3600) * 1000000000);
	assert_true(rc_io_reap(ring.io, ring_take, &ring) >= 1);
	(void)event_of(0, RC_IO_WAKE, 0, 0);
}

static void pending_tells_what_could_be_made_to_complete(void **state)
{
	int fd[2];

	(void)state;
	ring_open(&ring, &rings_options);
	ring_pair(fd);
	rc_io_recv(ring.io, fd[0], TAG(1, 1), RC_IO_SMALL, RC_IO_MULTISHOT);
	ring_drain(&ring);
	assert_false(rc_io_pending(ring.io));
	assert_int_equal(write(fd[1], "x", 1), 1);
	uint64_t end = rc_clock_mono_ns() + RINGS_PATIENCE_NS;
	while (!rc_io_pending(ring.io))
		assert_true(rc_clock_mono_ns() < end);
	ring_drain(&ring);
	assert_int_equal(ring.bytes, 1);
	(void)close(fd[0]);
	(void)close(fd[1]);
}

enum { ROUNDS = 2000 };

struct player {
	struct rc_io *io;
	_Atomic int *other_fd;
	_Atomic int *own_fd;
	_Atomic uint32_t *ball; /* whose turn it is: even, odd */
	uint32_t parity;
	uint32_t woken;
	bool failed;
};

static void count_wake(void *ctx, const struct rc_io_event *ev)
{
	struct player *p = ctx;

	if (ev->op == RC_IO_WAKE)
		p->woken++;
	else
		p->failed = true;
}

/* Opened by the main thread, used by another one from enabling on: as shards do it. */
static void *play(void *arg)
{
	struct player *p = arg;

	if (rc_io_enable(p->io) != 0) {
		p->failed = true;
		return NULL;
	}
	atomic_store(p->own_fd, rc_io_ring_fd(p->io));
	while (atomic_load(p->other_fd) < 0)
		;
	uint64_t end = rc_clock_mono_ns() + RINGS_PATIENCE_NS;
	for (;;) {
		uint32_t ball = atomic_load(p->ball);
		if (ball >= ROUNDS || p->failed)
			break;
		if (ball % 2 == p->parity) {
			atomic_store(p->ball, ball + 1);
			rc_io_wake(p->io, atomic_load(p->other_fd));
			rc_io_submit(p->io);
		} else {
			rc_io_submit_and_wait(p->io, 1000000000);
			if (rc_clock_mono_ns() > end)
				p->failed = true;
		}
		(void)rc_io_reap(p->io, count_wake, p);
	}
	return NULL;
}

static void two_threads_wake_each_other(void **state)
{
	_Atomic int fd[2] = {-1, -1};
	_Atomic uint32_t ball = 0;
	struct player player[2];
	struct rc_error err = {{0}};
	pthread_t thread[2];

	(void)state;
	ring_open(&ring, &rings_options); /* or is skipped */
	for (uint32_t i = 0; i < 2; i++) {
		player[i] = (struct player){
			.own_fd = &fd[i], .other_fd = &fd[1 - i], .ball = &ball, .parity = i};
		assert_int_equal(rc_io_open(&player[i].io, &rings_options, &err), 0);
	}
	uint64_t begin = rc_clock_mono_ns();
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, play, &player[i]), 0);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	for (uint32_t i = 0; i < 2; i++) {
		assert_false(player[i].failed);
		rc_io_close(player[i].io);
	}
	/* Each ball but the last few woke somebody; nobody slept through until his second was over. */
	assert_true(player[0].woken + player[1].woken >= ROUNDS - 4);
	assert_true(rc_clock_mono_ns() - begin < RINGS_PATIENCE_NS);
}

/* ---- sockets ------------------------------------------------------------------------------------ */

static void a_port_that_is_taken_is_explained(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct rc_socket_options options = {.backlog = 4,
		.notsent_lowat = 16384,
		.user_timeout_ms = 1000,
		.keepalive_s = 60,
		.nodelay = true};
	struct rc_error err = {{0}};

	(void)state;
	/* A program that does not share. */
	int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(other, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(other, 1), 0);
	a.sin_port = htons(rc_socket_port(other));
	assert_int_equal(
		rc_socket_listen((struct sockaddr *)&a, sizeof(a), "127.0.0.1:x", &options, &err),
		-1);
	assert_non_null(strstr(err.text, "can't listen on 127.0.0.1:x"));
	assert_non_null(strstr(err.text, "another program has the port"));
	(void)close(other);
	/* Our own shards do share. */
	int one = rc_socket_listen((struct sockaddr *)&a, sizeof(a), "x", &options, &err);
	int two = rc_socket_listen((struct sockaddr *)&a, sizeof(a), "x", &options, &err);
	assert_true(one >= 0 && two >= 0);
	assert_int_equal(rc_socket_port(one), rc_socket_port(two));
	int client = ring_connect(one);
	char text[RC_SOCKET_TEXT];
	rc_socket_peer(client, text);
	char want[RC_SOCKET_TEXT];
	(void)snprintf(want, sizeof(want), "127.0.0.1:%u", rc_socket_port(one));
	assert_string_equal(text, want);
	rc_socket_peer(one, text);
	assert_string_equal(text, "?");
	(void)close(client);
	(void)close(one);
	(void)close(two);
}

static void a_connection_is_steered_to_the_listener_of_its_cpu(void **state)
{
	uint16_t cpus[256];
	const struct rc_socket_options options = {.backlog = 16};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct rc_error err = {{0}};
	int listener[2];
	cpu_set_t all;
	uint32_t count = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	for (uint16_t cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++) {
		if (CPU_ISSET(cpu, &all))
			cpus[count++] = cpu;
	}
	if (count < 2) {
		print_message("skipped: one processor only\n");
		skip();
	}
	for (int i = 0; i < 2; i++) {
		listener[i] =
			rc_socket_listen((struct sockaddr *)&a, sizeof(a), "x", &options, &err);
		assert_true(listener[i] >= 0);
		a.sin_port = htons(rc_socket_port(listener[i]));
	}
	assert_int_equal(rc_socket_steer_by_cpu(listener[0], cpus, 2), 0);
	for (int i = 0; i < 20; i++) {
		cpu_set_t one;
		CPU_ZERO(&one);
		CPU_SET(cpus[i % 2], &one);
		assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
		int client = ring_connect(listener[0]);
		int server = ring_accept(listener[i % 2], 0);
		assert_int_equal(accept4(listener[1 - i % 2], NULL, NULL, 0), -1);
		assert_int_equal(errno, EAGAIN);
		(void)close(server);
		(void)close(client);
	}
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	/* A program of the largest size is taken by the kernel as well. */
	for (uint16_t i = 0; i < 256; i++)
		cpus[i] = i;
	assert_int_equal(rc_socket_steer_by_cpu(listener[0], cpus, 256), 0);
	assert_int_equal(rc_socket_steer_by_cpu(-1, cpus, 2), -EBADF);
	(void)close(listener[0]);
	(void)close(listener[1]);
}

static void a_reset_is_what_the_peer_gets_when_asked_for(void **state)
{
	char byte;

	(void)state;
	int listener = ring_listener();
	int client = ring_connect(listener);
	int server = ring_accept(listener, 0);
	rc_socket_shutdown_write(server);
	assert_int_equal(read(client, &byte, 1), 0);
	/* The other direction still goes. */
	assert_int_equal(write(client, "x", 1), 1);
	assert_int_equal(read(server, &byte, 1), 1);
	(void)close(server);
	(void)close(client);
	client = ring_connect(listener);
	server = ring_accept(listener, 0);
	rc_socket_reset_on_close(server);
	(void)close(server);
	assert_int_equal(read(client, &byte, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	(void)close(client);
	(void)close(listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_ring_opens_disabled_and_closes_without_ever_being_used),
		TEST(too_little_locked_memory_is_explained),
		TEST(too_few_descriptors_are_explained),
		TEST(one_accept_takes_many_connections),
		TEST(a_cancelled_accept_ends_and_takes_nobody_more),
		TEST(a_multishot_receive_goes_on_until_the_end),
		TEST(both_groups_give_their_own_buffers),
		TEST(what_is_larger_than_a_buffer_comes_in_pieces_and_in_order),
		TEST(many_readers_share_few_buffers),
		TEST(records_of_a_plain_socket_have_no_type),
		TEST(records_end_with_the_error_of_the_socket),
		TEST(records_need_buffers_with_room_for_more_than_their_head),
		TEST(a_shutdown_ends_an_armed_receive_and_poll),
		TEST(a_send_ends_in_the_submit_short_or_with_eagain),
		TEST(a_send_to_nobody_is_an_error_and_no_signal),
		TEST(more_requests_than_the_queue_has_places_are_all_done),
		TEST(sends_are_told_before_anything_else),
		TEST(tags_come_back_whole),
		TEST(closing_is_silent_and_closes),
		TEST(late_data_after_a_close_comes_under_the_old_tag),
		TEST(a_handler_may_ask_for_more_than_fits_the_queue),
		TEST(an_eventfd_is_told_each_time),
		TEST(a_wait_ends_by_itself),
		TEST(pending_tells_what_could_be_made_to_complete),
		TEST(two_threads_wake_each_other),
		TEST(a_port_that_is_taken_is_explained),
		TEST(a_connection_is_steered_to_the_listener_of_its_cpu),
		TEST(a_reset_is_what_the_peer_gets_when_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
