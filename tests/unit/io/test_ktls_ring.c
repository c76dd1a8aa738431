/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring on sockets whose keys the kernel has: what shards rely on. Skipped, with the reason, where the kernel has no TLS;
 * the VMs have it.
 */
#include "records.h"

#include <poll.h>

#define TAG(s, g) ((struct rc_io_tag){(s), (g)})

static const char close_notify[2] = {1, 0};
static const char warning[2] = {1, 100};            /* no_renegotiation */
static const char key_update[5] = {24, 0, 0, 1, 0}; /* update_not_requested */

static struct ring ring;
static uint32_t seen; /* of its completions */
static uint32_t
	life; /* of the pair that a test is about; what ends a former one is not looked at */

static int setup(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof(ring));
	seen = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (ring.io)
		ring_close(&ring);
	return 0;
}

static void begin(void)
{
	records_needed();
	ring_open(&ring, &rings_options);
}

static void arm(int fd, enum rc_io_recv_how how)
{
	rc_io_recv(ring.io, fd, TAG(1, life), RC_IO_SMALL, how);
	rc_io_submit(ring.io);
}

/* Many may come at once; this is the first that the test did not look at yet. */
static const struct ring_event *next(void)
{
	for (;;) {
		ring_until(&ring, ring_has, seen + 1);
		const struct ring_event *e = &ring.event[seen++];
		if (e->tag.generation == life)
			return e;
	}
}

static void forget(void)
{
	ring_forget(&ring);
	seen = 0;
}

static void open_pair(int fd[2], bool tls13, enum rc_ktls_cipher cipher)
{
	records_pair(fd, tls13, cipher);
	life++;
	forget();
}

/* The other end has no keys: the test makes its records, or what is none. */
static void open_half(int fd[2], bool tls13)
{
	records_tcp(fd);
	records_engage(fd[0], tls13, RC_KTLS_AES_128_GCM, 0);
	life++;
	forget();
}

static void is(const struct ring_event *e, int32_t res, uint8_t record, bool more)
{
	assert_int_equal(e->res, res);
	assert_int_equal(e->record, record);
	assert_int_equal(e->more, more);
}

static void fill(unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(i * 7 + i / 256);
}

/* ---- records ------------------------------------------------------------------------------------ */

static void each_record_is_told_with_its_type_and_the_receive_goes_on(void **state)
{
	(void)state;
	begin();
	for (int v = 0; v < 2; v++) {
		for (int c = 0; c < RC_KTLS_CIPHERS; c++) {
			int fd[2];
			open_pair(fd, v == 1, (enum rc_ktls_cipher)c);
			arm(fd[0], RC_IO_RECORDS);
			/* 33 arrivals: the eight buffers go round four times. */
			for (uint32_t i = 0; i < 11; i++) {
				forget();
				assert_int_equal(send(fd[1], "data", 4, 0), 4);
				is(next(), 4, DATA, true);
				assert_int_equal(rc_ktls_send_record(fd[1], ALERT, warning, 2), 0);
				is(next(), 2, ALERT, true);
				assert_int_equal(
					rc_ktls_send_record(fd[1], HANDSHAKE, "12345", 5), 0);
				is(next(), 5, HANDSHAKE, true);
				assert_memory_equal(ring.data, "data\1\14412345", 11);
				assert_int_equal(rc_io_buffers_free(ring.io, RC_IO_SMALL), 8);
			}
			assert_int_equal(rc_ktls_send_record(fd[1], ALERT, close_notify, 2), 0);
			(void)close(fd[1]);
			is(next(), 2, ALERT, true);
			is(next(), 0, 0, false);
			assert_int_equal(rc_io_buffers_free(ring.io, RC_IO_SMALL), 8);
			(void)close(fd[0]);
		}
	}
}

/* All of it waits before the receive is armed. */
static void types_never_share_a_completion(void **state)
{
	int fd[2];

	(void)state;
	begin();
	for (int v = 0; v < 2; v++) {
		open_pair(fd, v == 1, RC_KTLS_AES_128_GCM);
		assert_int_equal(send(fd[1], "one ", 4, 0), 4);
		assert_int_equal(send(fd[1], "two ", 4, 0), 4);
		assert_int_equal(send(fd[1], "three", 5, 0), 5);
		assert_int_equal(rc_ktls_send_record(fd[1], ALERT, warning, 2), 0);
		assert_int_equal(rc_ktls_send_record(fd[1], HANDSHAKE, "hello", 5), 0);
		assert_int_equal(send(fd[1], "four", 4, 0), 4);
		assert_int_equal(rc_ktls_send_record(fd[1], ALERT, close_notify, 2), 0);
		(void)close(fd[1]);
		arm(fd[0], RC_IO_RECORDS);
		/* How many completions the data take is the kernel's choice; where they stand is not. */
		char types[16] = {0};
		size_t n = 0;
		for (;;) {
			const struct ring_event *e = next();
			if (e->res == 0)
				break;
			assert_true(e->res > 0 && e->more);
			char type = e->record == DATA ? 'd' : e->record == ALERT ? 'a' : 'h';
			if (n == 0 || types[n - 1] != type)
				types[n++] = type;
			assert_true(n < sizeof(types));
		}
		assert_string_equal(types, "dahda");
		assert_int_equal(ring.bytes, 13 + 2 + 5 + 4 + 2);
		assert_memory_equal(ring.data, "one two three\1\144hellofour\1\0", 26);
		print_message("%s: %u completions for 7 records and the end\n", v ? "1.3" : "1.2",
			ring.count);
		(void)close(fd[0]);
	}
}

static void a_record_larger_than_a_buffer_comes_in_pieces_of_its_type(void **state)
{
	static unsigned char big[RECORD_PLAIN];
	int fd[2];

	(void)state;
	begin();
	fill(big, sizeof(big));
	for (int v = 0; v < 2; v++) {
		for (int type = HANDSHAKE; type <= DATA; type++) {
			uint32_t starved = 0;
			open_pair(fd, v == 1, RC_KTLS_AES_256_GCM);
			arm(fd[0], RC_IO_RECORDS);
			if (type == DATA)
				assert_int_equal(send(fd[1], big, sizeof(big), 0), sizeof(big));
			else
				assert_int_equal(
					rc_ktls_send_record(fd[1], HANDSHAKE, big, sizeof(big)), 0);
			while (ring.bytes < sizeof(big) || seen < ring.count) {
				const struct ring_event *e = next();
				if (e->res > 0)
					assert_int_equal(e->record, type);
				else
					assert_int_equal(e->res, -ENOBUFS);
				starved += e->res < 0;
				if (!e->more)
					arm(fd[0], RC_IO_RECORDS);
			}
			/* 8 buffers of 256 bytes: it ran out of them, and nothing was lost. */
			assert_true(starved > 0);
			assert_int_equal(ring.bytes, sizeof(big));
			assert_memory_equal(ring.data, big, sizeof(big));
			records_close(fd);
		}
	}
}

static void records_without_anything_in_them(void **state)
{
	static uint8_t wire[RECORD_MAX];
	int fd[2];

	(void)state;
	begin();
	for (int v = 0; v < 2; v++) {
		struct rc_ktls_key k = records_key_of(v == 1, RC_KTLS_AES_128_GCM, 1);
		open_half(fd, v == 1);
		arm(fd[0], RC_IO_RECORDS);
		forget();
		/* Data: as if they were not there. */
		for (int i = 0; i < 3; i++) {
			size_t len = records_seal(wire, &k, DATA, "", 0, v ? 300 : 0);
			assert_int_equal(write(fd[1], wire, len), len);
		}
		size_t len = records_seal(wire, &k, DATA, "x", 1, 0);
		assert_int_equal(write(fd[1], wire, len), len);
		is(next(), 1, DATA, true);
		assert_int_equal(ring.count, 1);
		/* An alert: no TLS allows it. */
		len = records_seal(wire, &k, ALERT, "", 0, 0);
		assert_int_equal(write(fd[1], wire, len), len);
		is(next(), -EPROTO, 0, false);
		records_close(fd);
	}
}

/* ---- ends --------------------------------------------------------------------------------------- */

static void an_end_without_goodbye_and_a_reset(void **state)
{
	int fd[2];

	(void)state;
	begin();
	for (int how = RC_IO_ONCE; how <= RC_IO_RECORDS; how++) {
		for (int reset = 0; reset < 2; reset++) {
			open_pair(fd, true, RC_KTLS_AES_128_GCM);
			arm(fd[0], (enum rc_io_recv_how)how);
			if (reset)
				rc_socket_reset_on_close(fd[1]);
			(void)close(fd[1]);
			is(next(), reset ? -ECONNRESET : 0, 0, false);
			(void)close(fd[0]);
		}
	}
	assert_int_equal(rc_io_buffers_free(ring.io, RC_IO_SMALL), 8);
}

struct bad {
	const char *what;
	unsigned char bytes[64];
	size_t len;
	int32_t res;
};

/* A forged record is told each time. What is not even a header is told once: then the kernel stops reading, without an end. */
static void what_is_no_record_ends_it(void **state)
{
	static const struct bad bads[] = {
		{"forged", {23, 3, 3, 0, 40, 1, 2, 3}, 45, -EBADMSG},
		{"plain text", "GET / HTTP/1.1\r\nHost: here\r\n\r\n", 30, -EINVAL},
		{"too long", {23, 3, 3, 0xff, 0xff, 1, 2, 3}, 45, -EMSGSIZE},
		{"too short", {23, 3, 3, 0, 4, 1, 2, 3, 4}, 45, -EBADMSG},
	};
	int fd[2];

	(void)state;
	begin();
	for (size_t i = 0; i < RC_ARRAY_LEN(bads); i++) {
		for (int how = RC_IO_ONCE; how <= RC_IO_RECORDS; how++) {
			for (int v = 0; v < 2; v++) {
				open_half(fd, v == 1);
				arm(fd[0], (enum rc_io_recv_how)how);
				assert_int_equal(
					write(fd[1], bads[i].bytes, bads[i].len), bads[i].len);
				is(next(), bads[i].res, 0, false);
				if (i == 0) {
					arm(fd[0], (enum rc_io_recv_how)how);
					is(next(), bads[i].res, 0, false);
				}
				records_close(fd);
			}
		}
	}
}

/* A cut record is not told, and its end is the end. */
static void a_record_that_is_cut_by_the_end(void **state)
{
	static uint8_t wire[RECORD_MAX];
	struct rc_ktls_key k = records_key_of(true, RC_KTLS_AES_128_GCM, 1);
	int fd[2];

	(void)state;
	begin();
	open_half(fd, true);
	arm(fd[0], RC_IO_RECORDS);
	size_t len = records_seal(wire, &k, DATA, "whole", 5, 0);
	assert_int_equal(write(fd[1], wire, len), len);
	len = records_seal(wire, &k, DATA, "cut", 3, 0);
	assert_int_equal(write(fd[1], wire, len - 1), len - 1);
	is(next(), 5, DATA, true);
	(void)close(fd[1]);
	const struct ring_event *e = next();
	is(e, 0, 0, false);
	(void)close(fd[0]);
}

/* ---- receives that can't tell a type ------------------------------------------------------------ */

static void a_receive_without_types_stops_at_a_control_record(void **state)
{
	char got[16];
	uint8_t type;
	int fd[2];

	(void)state;
	begin();
	for (int how = RC_IO_ONCE; how <= RC_IO_MULTISHOT; how++) {
		open_pair(fd, false, RC_KTLS_AES_128_GCM);
		for (int i = 0; i < 5; i++) {
			forget();
			arm(fd[0], (enum rc_io_recv_how)how);
			assert_int_equal(send(fd[1], "before", 6, 0), 6);
			is(next(), 6, 0, how == RC_IO_MULTISHOT);
			assert_int_equal(rc_ktls_send_record(fd[1], ALERT, warning, 2), 0);
			assert_int_equal(send(fd[1], "behind", 6, 0), 6);
			if (how == RC_IO_ONCE)
				arm(fd[0], RC_IO_ONCE);
			is(next(), -EIO, 0, false);
			arm(fd[0], (enum rc_io_recv_how)how);
			is(next(), -EIO, 0, false);
			assert_int_equal(rc_ktls_take_record(fd[0], &type, got, sizeof(got)), 2);
			assert_int_equal(type, ALERT);
			assert_int_equal(
				rc_ktls_take_record(fd[0], &type, got, sizeof(got)), -EAGAIN);
			forget();
			arm(fd[0], RC_IO_ONCE);
			is(next(), 6, 0, false);
			assert_memory_equal(ring.data, "behind", 6);
		}
		records_close(fd);
	}
	assert_int_equal(rc_io_buffers_free(ring.io, RC_IO_SMALL), 8);
}

/* ---- sending ------------------------------------------------------------------------------------ */

static int32_t sent; /* by the last RC_IO_SEND; INT32_MIN before */
static bool writable;

static void note(struct ring *r, const struct rc_io_event *ev)
{
	if (ev->op == RC_IO_SEND)
		sent = ev->res;
	if (ev->op == RC_IO_POLLOUT)
		writable = true;
	if (ev->op == RC_IO_RECV && !ev->more)
		rc_io_recv(r->io, (int)ev->tag.slot, ev->tag, RC_IO_LARGE, RC_IO_RECORDS);
	r->count = 0;
}

static void a_send_of_64_kib_goes_in_one(void **state)
{
	static unsigned char big[65536];
	static uint8_t got[RECORD_MAX];
	int fd[2];

	(void)state;
	begin();
	fill(big, sizeof(big));
	for (int v = 0; v < 2; v++) {
		struct rc_ktls_key k = records_key_of(v == 1, RC_KTLS_AES_128_GCM, 0);
		uint8_t type;
		open_half(fd, v == 1);
		rc_io_send(ring.io, fd[0], TAG(2, life), big, sizeof(big));
		ring_until(&ring, ring_has, 1);
		assert_int_equal(ring.event[0].res, sizeof(big));
		for (size_t at = 0; at < sizeof(big);) {
			size_t n = records_open(fd[1], &k, &type, got);
			assert_memory_equal(got, big + at, n);
			at += n;
		}
		records_close(fd);
	}
}

/* To a peer that reads late: sends are short, and none of it is lost or doubled. */
static void short_sends_lose_nothing(void **state)
{
	enum { TOTAL = 16 << 20 };
	static unsigned char big[TOTAL];
	int fd[2];

	(void)state;
	begin();
	fill(big, sizeof(big));
	for (int v = 0; v < 2; v++) {
		uint32_t shorts = 0, refused = 0;
		size_t at = 0;
		uint64_t end = rc_clock_mono_ns() + RINGS_PATIENCE_NS;
		open_pair(fd, v == 1, RC_KTLS_AES_128_GCM);
		ring.also = note;
		bool reading = false;
		while (at < TOTAL) {
			sent = INT32_MIN;
			uint32_t len = (uint32_t)RC_MIN((size_t)1 << 20, TOTAL - at);
			rc_io_send(ring.io, fd[0], TAG(2, life), big + at, len);
			rc_io_submit(ring.io);
			(void)rc_io_reap(ring.io, ring_take, &ring);
			/* It ended within the submit, always. */
			assert_true(sent != INT32_MIN);
			if (sent > 0) {
				shorts += (uint32_t)sent < len;
				at += (size_t)sent;
				continue;
			}
			assert_int_equal(sent, -EAGAIN);
			refused++;
			if (!reading)
				rc_io_recv(ring.io, fd[1], TAG((uint32_t)fd[1], life), RC_IO_LARGE,
					RC_IO_RECORDS);
			reading = true;
			writable = false;
			rc_io_poll_out(ring.io, fd[0], TAG(2, life));
			while (!writable) {
				assert_true(rc_clock_mono_ns() < end);
				rc_io_submit_and_wait(ring.io, 100000000);
				(void)rc_io_reap(ring.io, ring_take, &ring);
			}
		}
		if (!reading)
			rc_io_recv(ring.io, fd[1], TAG((uint32_t)fd[1], life), RC_IO_LARGE,
				RC_IO_RECORDS);
		ring_until(&ring, ring_has_bytes, TOTAL);
		assert_int_equal(ring.bytes, TOTAL);
		/* What fits the test's buffer is compared; the kernel's tag vouches for each record of the rest. */
		assert_memory_equal(ring.data, big, sizeof(ring.data) - 4096);
		assert_true(refused > 0);
		print_message("1.%d: %u short, %u refused\n", v + 2, shorts, refused);
		ring.also = NULL;
		/* The armed receive ends with the stream. */
		(void)shutdown(fd[1], SHUT_RD);
		ring_drain(&ring);
		records_close(fd);
	}
}

/* ---- a peer that renews its keys ---------------------------------------------------------------- */

/* What the gateway does on KeyUpdate is to say goodbye, which the peer must be able to read. */
static void after_a_key_update_a_goodbye_still_goes_out(void **state)
{
	static uint8_t got[RECORD_MAX];
	int fd[2];

	(void)state;
	begin();
	for (int how = RC_IO_ONCE; how <= RC_IO_RECORDS; how += RC_IO_RECORDS - RC_IO_ONCE) {
		struct rc_ktls_key to = records_key_of(true, RC_KTLS_AES_128_GCM, 0);
		struct rc_ktls_key from = records_key_of(true, RC_KTLS_AES_128_GCM, 1);
		uint8_t type;
		open_half(fd, true);
		arm(fd[0], (enum rc_io_recv_how)how);
		size_t len = records_seal(got, &from, HANDSHAKE, key_update, 5, 0);
		assert_int_equal(write(fd[1], got, len), len);
		if (how == RC_IO_RECORDS) {
			const struct ring_event *e = next();
			assert_int_equal(e->res, 5);
			assert_int_equal(e->record, HANDSHAKE);
			assert_true(e->more);
		} else {
			is(next(), -EIO, 0, false);
			assert_int_equal(rc_ktls_take_record(fd[0], &type, got, 64), 5);
			assert_int_equal(type, HANDSHAKE);
			arm(fd[0], RC_IO_ONCE);
		}
		assert_memory_equal(how == RC_IO_RECORDS ? ring.data : got, key_update, 5);
		/* Under the peer's next keys, which the kernel was not given. */
		from.key = records_key[0];
		from.sequence = 0;
		len = records_seal(got, &from, DATA, "renewed", 7, 0);
		assert_int_equal(write(fd[1], got, len), len);
		const struct ring_event *e = next();
		assert_true(e->res == -EBADMSG || e->res == -EKEYEXPIRED);
		assert_false(e->more);
		/* 6.12 refuses to send as well until the error was fetched; 7.x does not. */
		int rc = rc_ktls_send_record(fd[0], ALERT, warning, 2);
		if (rc == 0) {
			assert_int_equal(records_open(fd[1], &to, &type, got), 2);
		} else {
			assert_int_equal(rc, -EBADMSG);
			rc_ktls_clear_error(fd[0]);
		}
		rc_io_send(ring.io, fd[0], TAG(2, life), "goodbye", 7);
		rc_io_submit(ring.io);
		assert_int_equal(next()->res, 7);
		assert_int_equal(rc_ktls_send_record(fd[0], ALERT, close_notify, 2), 0);
		assert_int_equal(records_open(fd[1], &to, &type, got), 7);
		assert_int_equal(type, DATA);
		assert_int_equal(records_open(fd[1], &to, &type, got), 2);
		assert_int_equal(type, ALERT);
		records_close(fd);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_record_is_told_with_its_type_and_the_receive_goes_on),
		TEST(types_never_share_a_completion),
		TEST(a_record_larger_than_a_buffer_comes_in_pieces_of_its_type),
		TEST(records_without_anything_in_them),
		TEST(an_end_without_goodbye_and_a_reset),
		TEST(what_is_no_record_ends_it),
		TEST(a_record_that_is_cut_by_the_end),
		TEST(a_receive_without_types_stops_at_a_control_record),
		TEST(a_send_of_64_kib_goes_in_one),
		TEST(short_sends_lose_nothing),
		TEST(after_a_key_update_a_goodbye_still_goes_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
