/* SPDX-License-Identifier: Apache-2.0
 *
 * The TLS stream of the client's side on a socket that takes little at a time, step by step in one thread, with OpenSSL's
 * server at its other end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "pki.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "client/tls.h"

#define DATA 300000

static struct {
	int fd[2];
	struct rc_client_tls *client;
	SSL_CTX *context;
	SSL *server;
	bool blocked; /* the client has had to wait for its socket */
} t;

static char data[DATA], got[DATA + 1];

static void open_pair(SSL_CTX *context, const char *certificate)
{
	struct rc_client_tls_options o = {
		.host = "localhost", .ca = pki.ca, .certificate = certificate};
	char why[RC_CLIENT_TLS_WHY];
	int little = 4096;

	memset(&t, 0, sizeof(t));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, t.fd), 0);
	assert_int_equal(setsockopt(t.fd[0], SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
	assert_int_equal(rc_client_tls_open(&t.client, &o, why), 0);
	t.context = context;
	t.server = SSL_new(context);
	assert_int_equal(SSL_set_fd(t.server, t.fd[1]), 1);
	SSL_set_accept_state(t.server);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 31 % 251);
}

static void begin(void)
{
	assert_int_equal(rc_client_tls_begin(t.client, t.fd[0]), 0);
}

/* Both sides in turn until both are done. */
static void shake(void)
{
	int client = 0, server = 0;

	for (int round = 0; round < 1000 && (client != 1 || server != 1); round++) {
		if (client != 1)
			client = rc_client_tls_shake(t.client);
		else
			(void)rc_client_tls_flush(t.client);
		t.blocked |= rc_client_tls_wants_write(t.client);
		if (client < 0)
			fail_msg("%s", rc_client_tls_why(t.client));
		if (server != 1)
			server = SSL_do_handshake(t.server);
	}
	assert_int_equal(client, 1);
	assert_int_equal(server, 1);
}

static void close_pair(void)
{
	rc_client_tls_close(t.client);
	SSL_free(t.server);
	SSL_CTX_free(t.context);
	close(t.fd[0]);
	if (t.fd[1] >= 0)
		close(t.fd[1]);
}

/* All that the client sends, in many pieces; the server reads a little whenever nothing more goes. */
static void send_all(size_t len)
{
	size_t sent = 0, came = 0;

	for (int round = 0; came < len; round++) {
		assert_true(round < 100000);
		while (sent < len) {
			/* A short piece and a long one, so that both ways into a record are gone. */
			size_t first = len - sent < 1000 ? len - sent : (size_t)round % 1000;
			struct iovec pieces[2] = {
				{data + sent, first}, {data + sent + first, len - sent - first}};
			ssize_t n = rc_client_tls_write(t.client, pieces, 2);

			if (n == -EAGAIN)
				break;
			assert_true(n > 0);
			sent += (size_t)n;
		}
		t.blocked |= rc_client_tls_wants_write(t.client);
		(void)rc_client_tls_flush(t.client);
		int n = SSL_read(t.server, got + came, 2000);
		came += n > 0 ? (size_t)n : 0;
	}
	assert_memory_equal(got, data, len);
	assert_int_equal(rc_client_tls_flush(t.client), 0);
	assert_false(rc_client_tls_wants_write(t.client));
}

static void all_arrives_over_a_socket_that_takes_little(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t v = 0; v < 2; v++) {
		SSL_CTX *context = pki_server(&pki.server);

		SSL_CTX_set_max_proto_version(context, versions[v]);
		open_pair(context, NULL);
		begin();
		shake();
		send_all(DATA);
		assert_true(t.blocked);
		close_pair();
	}
}

/* Two requests for new keys while a record waits for the socket: OpenSSL 3.0 by itself fails with "bad length". */
static void new_keys_may_be_asked_for_while_a_record_waits(void **state)
{
	struct iovec piece = {data, 16384};
	char room[100];
	size_t came = 0;

	(void)state;
	open_pair(pki_server(&pki.server), NULL);
	begin();
	shake();
	assert_int_equal(rc_client_tls_write(t.client, &piece, 1), 16384);
	assert_true(rc_client_tls_wants_write(t.client));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(SSL_key_update(t.server, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_write(t.server, "x", 1), 1);
		assert_int_equal(rc_client_tls_read(t.client, room, sizeof(room)), 1);
	}
	assert_int_equal(rc_client_tls_write(t.client, &piece, 1), -EAGAIN);
	while (came < 16384) {
		int n = SSL_read(t.server, got + came, (int)(sizeof(got) - came));

		came += n > 0 ? (size_t)n : 0;
		(void)rc_client_tls_flush(t.client);
	}
	assert_memory_equal(got, data, 16384);
	send_all(DATA);
	close_pair();
}

static void certificate_larger_than_the_socket_goes_in_parts(void **state)
{
	static char names[16000];
	SSL_CTX *context = pki_server(&pki.server);
	struct pki_pair p;
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 900; i++)
		len += (size_t)snprintf(
			names + len, sizeof(names) - len, "%sDNS:n%d.example", i ? "," : "", i);
	p = pki_issue("many", names, -PKI_DAY, PKI_DAY, &pki.authority);
	pki_write(&p, pki.file, NULL);
	/* The chain has it three times more, which nobody minds. */
	for (int i = 0; i < 3; i++) {
		FILE *to = fopen(pki.file, "a");
		assert_non_null(to);
		assert_int_equal(PEM_write_X509(to, p.certificate), 1);
		assert_int_equal(fclose(to), 0);
	}
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_max_cert_list(context, 200000);
	/* In 1.3 newer OpenSSLs compress it to next to nothing. */
	SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	assert_int_equal(SSL_CTX_load_verify_locations(context, pki.ca, NULL), 1);
	open_pair(context, pki.file);
	begin();
	shake();
	assert_true(t.blocked);
	send_all(DATA);
	close_pair();
	pki_free(&p);
}

static void what_the_server_said_last_is_read_after_sending_failed(void **state)
{
	struct iovec piece = {data, 100};
	char room[100];

	(void)state;
	open_pair(pki_server(&pki.server), NULL);
	begin();
	shake();
	assert_int_equal(SSL_write(t.server, "the last words", 14), 14);
	close(t.fd[1]);
	t.fd[1] = -1;
	assert_int_equal(rc_client_tls_write(t.client, &piece, 1), -EPROTO);
	assert_string_equal(rc_client_tls_why(t.client), "sending: Broken pipe");
	assert_int_equal(rc_client_tls_read(t.client, room, sizeof(room)), 14);
	assert_memory_equal(room, "the last words", 14);
	assert_int_equal(rc_client_tls_read(t.client, room, sizeof(room)), 0);
	assert_non_null(strstr(rc_client_tls_why(t.client), "without ending TLS"));
	assert_int_equal(rc_client_tls_write(t.client, &piece, 1), -EPROTO);
	close_pair();
}

static void short_reads_leave_something_in_hand(void **state)
{
	char room[10];

	(void)state;
	open_pair(pki_server(&pki.server), NULL);
	begin();
	shake();
	assert_int_equal(rc_client_tls_read(t.client, room, sizeof(room)), -EAGAIN);
	assert_false(rc_client_tls_holds(t.client));
	assert_int_equal(SSL_write(t.server, "0123456789abc", 13), 13);
	assert_int_equal(rc_client_tls_read(t.client, room, sizeof(room)), 10);
	assert_true(rc_client_tls_holds(t.client));
	assert_int_equal(rc_client_tls_read(t.client, room, sizeof(room)), 3);
	assert_false(rc_client_tls_holds(t.client));
	rc_client_tls_bye(t.client);
	assert_int_equal(SSL_read(t.server, got, sizeof(got)), 0);
	assert_int_equal(SSL_get_shutdown(t.server), SSL_RECEIVED_SHUTDOWN);
	close_pair();
}

static void nothing_works_without_a_connection(void **state)
{
	struct iovec piece = {data, 100};
	char room[10];

	(void)state;
	open_pair(pki_server(&pki.server), NULL);
	assert_int_equal(rc_client_tls_shake(t.client), -1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rc_client_tls_read(t.client, room, sizeof(room)), -EPROTO);
		assert_int_equal(rc_client_tls_write(t.client, &piece, 1), -EPROTO);
		assert_int_equal(rc_client_tls_flush(t.client), -EPROTO);
		assert_false(rc_client_tls_holds(t.client));
		rc_client_tls_bye(t.client);
		/* And not before the handshake is done either. */
		begin();
	}
	rc_client_tls_end(t.client);
	rc_client_tls_end(t.client);
	close_pair();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_arrives_over_a_socket_that_takes_little),
		cmocka_unit_test(new_keys_may_be_asked_for_while_a_record_waits),
		cmocka_unit_test(certificate_larger_than_the_socket_goes_in_parts),
		cmocka_unit_test(what_the_server_said_last_is_read_after_sending_failed),
		cmocka_unit_test(short_reads_leave_something_in_hand),
		cmocka_unit_test(nothing_works_without_a_connection),
	};

	return cmocka_run_group_tests(tests, pki_set_up, pki_tear_down);
}
