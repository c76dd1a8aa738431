/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys in the kernel, by the calls of ktls.h alone. Skipped, with the reason, where the kernel has no TLS; the VMs have it.
 */
#include "records.h"

#include <dirent.h>
#include <poll.h>

static const char close_notify[2] = {1, 0};
static const char warning[2] = {1, 100}; /* no_renegotiation */

/* The next event on a blocking socket is there. */
static void arrived(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&p, 1, (int)(RINGS_PATIENCE_NS / 1000000)), 1);
}

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

/* ---- probing ------------------------------------------------------------------------------------ */

static void the_probe_says_what_works_or_why_not(void **state)
{
	struct rc_ktls_ability a;
	bool all = true, both = false;

	(void)state;
	int before = descriptors();
	memset(&a, 0x5a, sizeof(a));
	rc_ktls_probe(&a);
	assert_int_equal(descriptors(), before);
	for (int v = 0; v < 2; v++) {
		for (int c = 0; c < RC_KTLS_CIPHERS; c++) {
			all &= a.send[v][c] && a.receive[v][c];
			both |= a.send[v][c] && a.receive[v][c];
		}
	}
	assert_int_equal(a.any, both);
	assert_non_null(memchr(a.why_not, 0, sizeof(a.why_not)));
	assert_int_equal(a.why_not[0] == 0, all);
	if (!all)
		print_message("this kernel: %s\n", a.why_not);
	if (getenv("RINGCAST_TEST_KTLS"))
		assert_true(all);
}

struct poor {
	struct rc_ktls_ability a;
	int left;
};

/* In a child: what the probe finds with only a few descriptors to be had. */
static void a_probe_without_descriptors_says_so_and_leaves_none_open(void **state)
{
	(void)state;
	for (int spare = 0; spare < 3; spare++) {
		int fd[2];
		struct poor p;
		assert_int_equal(pipe(fd), 0);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			memset(&p, 0, sizeof(p));
			int first = dup(0); /* the lowest that is free */
			(void)close(first);
			const struct rlimit l = {(rlim_t)(first + spare), (rlim_t)(first + spare)};
			if (setrlimit(RLIMIT_NOFILE, &l) < 0)
				_exit(2);
			rc_ktls_probe(&p.a);
			p.left = dup(0) - first;
			_exit(write(fd[1], &p, sizeof(p)) != sizeof(p));
		}
		(void)close(fd[1]);
		assert_int_equal(read(fd[0], &p, sizeof(p)), sizeof(p));
		(void)close(fd[0]);
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_false(p.a.any);
		assert_non_null(strstr(p.a.why_not, "127.0.0.1"));
		assert_non_null(strstr(p.a.why_not, "Too many open files"));
		/* With no spare one not even dup() finds room: -1. */
		assert_true(spare == 0 || p.left == 0);
	}
}

static void a_socket_that_is_not_connected_takes_no_keys(void **state)
{
	struct rc_ktls_key k = records_key_of(true, RC_KTLS_AES_128_GCM, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_true(fd >= 0);
	int rc = rc_ktls_engage(fd, &k, &k);
	assert_true(rc == -ENOTCONN || rc == -ENOENT);
	assert_int_equal(rc_ktls_engage(-1, &k, &k), -EBADF);
	(void)close(fd);
}

static void a_socket_without_keys_has_no_control_records(void **state)
{
	char bytes[8];
	uint8_t type;
	int fd[2];

	(void)state;
	records_tcp(fd);
	assert_int_equal(rc_ktls_take_record(fd[0], &type, bytes, sizeof(bytes)), -EAGAIN);
	assert_int_equal(write(fd[1], "data", 4), 4);
	arrived(fd[0]);
	assert_int_equal(rc_ktls_take_record(fd[0], &type, bytes, sizeof(bytes)), -EAGAIN);
	assert_int_equal(read(fd[0], bytes, sizeof(bytes)), 4);
	assert_int_equal(rc_ktls_take_record(-1, &type, bytes, sizeof(bytes)), -EBADF);
	assert_int_equal(rc_ktls_send_record(-1, ALERT, close_notify, 2), -EBADF);
	records_close(fd);
}

/* ---- keys --------------------------------------------------------------------------------------- */

static void under_both_versions_and_all_ciphers(void (*body)(bool tls13, enum rc_ktls_cipher c))
{
	records_needed();
	for (int v = 0; v < 2; v++)
		for (int c = 0; c < RC_KTLS_CIPHERS; c++)
			body(v == 1, (enum rc_ktls_cipher)c);
}

static void send_and_open(bool tls13, enum rc_ktls_cipher cipher)
{
	static uint8_t big[3 * RECORD_PLAIN], got[RECORD_MAX];
	struct rc_ktls_key k = records_key_of(tls13, cipher, 0);
	uint8_t type;
	int fd[2];

	records_tcp(fd);
	records_engage(fd[0], tls13, cipher, 0);
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(send(fd[0], "hello", 5, MSG_DONTWAIT), 5);
		assert_int_equal(records_open(fd[1], &k, &type, got), 5);
		assert_int_equal(type, DATA);
		assert_memory_equal(got, "hello", 5);
		assert_int_equal(rc_ktls_send_record(fd[0], ALERT, warning, 2), 0);
		assert_int_equal(records_open(fd[1], &k, &type, got), 2);
		assert_int_equal(type, ALERT);
		assert_memory_equal(got, warning, 2);
	}
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 13 + i / 256);
	assert_int_equal(send(fd[0], big, sizeof(big), 0), sizeof(big));
	for (size_t at = 0; at < sizeof(big);) {
		size_t n = records_open(fd[1], &k, &type, got);
		assert_int_equal(type, DATA);
		assert_memory_equal(got, big + at, n);
		at += n;
	}
	records_close(fd);
}

static void what_the_kernel_seals_is_what_the_standards_say(void **state)
{
	(void)state;
	under_both_versions_and_all_ciphers(send_and_open);
}

static void seal_and_receive(bool tls13, enum rc_ktls_cipher cipher)
{
	static uint8_t wire[RECORD_MAX], got[RECORD_MAX];
	struct rc_ktls_key k = records_key_of(tls13, cipher, 1);
	size_t len;
	int fd[2];

	records_tcp(fd);
	records_engage(fd[0], tls13, cipher, 0);
	for (uint32_t i = 0; i < 5; i++) {
		len = records_seal(wire, &k, DATA, "hello", 5, (size_t)i * 100);
		assert_int_equal(write(fd[1], wire, len), len);
		assert_int_equal(recv(fd[0], got, sizeof(got), 0), 5);
		assert_memory_equal(got, "hello", 5);
	}
	/* A record without anything in it is nothing: OpenSSL once sent such. */
	len = records_seal(wire, &k, DATA, "", 0, 0);
	assert_int_equal(write(fd[1], wire, len), len);
	/* In two halves, to be put together. */
	len = records_seal(wire, &k, DATA, "halves", 6, 0);
	assert_int_equal(write(fd[1], wire, len / 2), len / 2);
	assert_int_equal(recv(fd[0], got, sizeof(got), MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(write(fd[1], wire + len / 2, len - len / 2), len - len / 2);
	assert_int_equal(recv(fd[0], got, sizeof(got), 0), 6);
	assert_memory_equal(got, "halves", 6);
	records_close(fd);
}

static void the_kernel_opens_what_others_seal_by_the_standards(void **state)
{
	(void)state;
	under_both_versions_and_all_ciphers(seal_and_receive);
}

/* What was in the socket before it got its keys is a record as any other. */
static void what_came_before_the_keys_is_opened_with_them(void **state)
{
	static uint8_t wire[RECORD_MAX];
	struct rc_ktls_key k = records_key_of(true, RC_KTLS_AES_128_GCM, 1);
	char got[8];
	int fd[2];

	(void)state;
	records_needed();
	records_tcp(fd);
	size_t len = records_seal(wire, &k, DATA, "early", 5, 0);
	assert_int_equal(write(fd[1], wire, len), len);
	arrived(fd[0]);
	records_engage(fd[0], true, RC_KTLS_AES_128_GCM, 0);
	assert_int_equal(recv(fd[0], got, sizeof(got), 0), 5);
	assert_memory_equal(got, "early", 5);
	records_close(fd);
}

static void keys_are_taken_once(void **state)
{
	struct rc_ktls_key k = records_key_of(true, RC_KTLS_AES_128_GCM, 0);
	int fd[2];

	(void)state;
	records_needed();
	records_pair(fd, true, RC_KTLS_AES_128_GCM);
	assert_int_equal(rc_ktls_engage(fd[0], &k, &k), -EEXIST);
	records_close(fd);
}

/* ---- control records ---------------------------------------------------------------------------- */

static void one_shot(bool tls13, enum rc_ktls_cipher cipher)
{
	char got[64];
	uint8_t type = 0;
	int fd[2];

	records_pair(fd, tls13, cipher);
	/* Nothing is there; data is there; both leave everything as it was. */
	assert_int_equal(rc_ktls_take_record(fd[0], &type, got, sizeof(got)), -EAGAIN);
	assert_int_equal(send(fd[1], "before", 6, 0), 6);
	arrived(fd[0]);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rc_ktls_take_record(fd[0], &type, got, sizeof(got)), -EAGAIN);
	assert_int_equal(send(fd[1], ", more", 6, 0), 6);
	assert_int_equal(recv(fd[0], got, 12, MSG_WAITALL), 12);
	assert_memory_equal(got, "before, more", 12);
	/* Data before it, it, and data behind it: the order stays. */
	assert_int_equal(send(fd[1], "one", 3, 0), 3);
	assert_int_equal(rc_ktls_send_record(fd[1], ALERT, warning, 2), 0);
	assert_int_equal(send(fd[1], "two", 3, 0), 3);
	assert_int_equal(recv(fd[0], got, 3, MSG_WAITALL), 3);
	assert_memory_equal(got, "one", 3);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(recv(fd[0], got, sizeof(got), 0), -1);
		assert_int_equal(errno, EIO);
	}
	assert_int_equal(rc_ktls_take_record(fd[0], &type, got, sizeof(got)), 2);
	assert_int_equal(type, ALERT);
	assert_memory_equal(got, warning, 2);
	assert_int_equal(rc_ktls_take_record(fd[0], &type, got, sizeof(got)), -EAGAIN);
	assert_int_equal(recv(fd[0], got, 3, MSG_WAITALL), 3);
	assert_memory_equal(got, "two", 3);
	/* The end. */
	(void)close(fd[1]);
	arrived(fd[0]);
	assert_int_equal(rc_ktls_take_record(fd[0], &type, got, sizeof(got)), -EAGAIN);
	assert_int_equal(recv(fd[0], got, sizeof(got), 0), 0);
	(void)close(fd[0]);
}

static void a_control_record_is_taken_and_data_never_is(void **state)
{
	(void)state;
	under_both_versions_and_all_ciphers(one_shot);
}

static void a_long_control_record_comes_in_pieces(void **state)
{
	char long_one[100], got[64];
	uint8_t type;
	int fd[2];

	(void)state;
	records_needed();
	records_pair(fd, true, RC_KTLS_AES_128_GCM);
	for (size_t i = 0; i < sizeof(long_one); i++)
		long_one[i] = (char)i;
	assert_int_equal(rc_ktls_send_record(fd[1], HANDSHAKE, long_one, sizeof(long_one)), 0);
	assert_int_equal(rc_ktls_send_record(fd[1], ALERT, close_notify, 2), 0);
	arrived(fd[0]);
	assert_int_equal(rc_ktls_take_record(fd[0], &type, got, sizeof(got)), sizeof(got));
	assert_int_equal(type, HANDSHAKE);
	assert_memory_equal(got, long_one, sizeof(got));
	assert_int_equal(rc_ktls_take_record(fd[0], &type, got, sizeof(got)), 36);
	assert_int_equal(type, HANDSHAKE);
	assert_memory_equal(got, long_one + sizeof(got), 36);
	assert_int_equal(rc_ktls_take_record(fd[0], &type, got, sizeof(got)), 2);
	assert_int_equal(type, ALERT);
	records_close(fd);
}

static void an_empty_control_record_ends_it(void **state)
{
	static uint8_t wire[RECORD_MAX];
	struct rc_ktls_key k = records_key_of(true, RC_KTLS_AES_128_GCM, 1);
	char got[8];
	uint8_t type;
	int fd[2];

	(void)state;
	records_needed();
	records_tcp(fd);
	records_engage(fd[0], true, RC_KTLS_AES_128_GCM, 0);
	size_t len = records_seal(wire, &k, ALERT, "", 0, 0);
	assert_int_equal(write(fd[1], wire, len), len);
	arrived(fd[0]);
	assert_int_equal(rc_ktls_take_record(fd[0], &type, got, sizeof(got)), -EPROTO);
	assert_int_equal(type, ALERT);
	records_close(fd);
}

static void a_control_record_that_finds_no_room_says_so(void **state)
{
	static const char filling[65536];
	int fd[2];

	(void)state;
	records_needed();
	records_pair(fd, true, RC_KTLS_AES_128_GCM);
	while (send(fd[0], filling, sizeof(filling), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(rc_ktls_send_record(fd[0], ALERT, close_notify, 2), -EAGAIN);
	(void)close(fd[1]);
	arrived(fd[0]);
	int rc = rc_ktls_send_record(fd[0], ALERT, close_notify, 2);
	assert_true(rc == -EPIPE || rc == -ECONNRESET);
	(void)close(fd[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_probe_says_what_works_or_why_not),
		cmocka_unit_test(a_probe_without_descriptors_says_so_and_leaves_none_open),
		cmocka_unit_test(a_socket_that_is_not_connected_takes_no_keys),
		cmocka_unit_test(a_socket_without_keys_has_no_control_records),
		cmocka_unit_test(what_the_kernel_seals_is_what_the_standards_say),
		cmocka_unit_test(the_kernel_opens_what_others_seal_by_the_standards),
		cmocka_unit_test(what_came_before_the_keys_is_opened_with_them),
		cmocka_unit_test(keys_are_taken_once),
		cmocka_unit_test(a_control_record_is_taken_and_data_never_is),
		cmocka_unit_test(a_long_control_record_comes_in_pieces),
		cmocka_unit_test(an_empty_control_record_ends_it),
		cmocka_unit_test(a_control_record_that_finds_no_room_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
