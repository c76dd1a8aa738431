/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes of a KeyUpdate on kernel TLS, of what follows it, and of a forged record. The kernel is played: no socket here has
 * its keys, so an alert goes over it as two plain bytes.
 */
#include "../conn/tlsrig.h"

#include "serve/serve.h"

static const unsigned char update[5] = {24, 0, 0, 1, 0};
static struct rc_config config;
static struct rc_serve serve;
static void *publishers;

static uint64_t no_sum(void *ctx, enum rc_counter counter)
{
	(void)ctx, (void)counter;
	return 0;
}

static void on_gone(void *ctx, struct rc_conn *c)
{
	rc_serve_gone(ctx, c);
}

static struct rc_conn *open_publisher(void)
{
	int fd[2];

	rc_config_init(&config);
	config.max_publishers = 2;
	memset(&serve, 0, sizeof(serve));
	serve.config = &config;
	serve.conns = &cs;
	serve.pool = &pool;
	serve.counters = &counters;
	serve.port.sum = no_sum;
	publishers = calloc(1, rc_serve_bytes(&config));
	assert_non_null(publishers);
	rc_serve_init(&serve, publishers);
	cs.events.ctx = &serve;
	cs.events.gone = on_gone;
	reset_streams();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
	struct rc_conn *c = rc_conn_open(&cs, fd[0], RC_CONN_INGEST);
	assert_non_null(c);
	peer.fd = fd[1];
	assert_true(rc_ingest_open(&serve, c, (struct rc_str){NULL, 0}));
	c->flags |= RC_CONN_KTLS;
	cs.tls->records[rc_conn_slot(&cs, c)] = 1u << 31; /* TLS 1.3 */
	rc_gauge_add(&counters, RC_C_tls_kernel, 1);
	return c;
}

static void over(struct rc_conn *c)
{
	rc_conn_kill(&cs, c);
	assert_int_equal(rc_counter_get(&counters, RC_C_tls_kernel), 0);
	while ((c = rc_conn_next_ready(&cs)) != NULL)
		rc_conn_reclaim(&cs, c);
	(void)close(peer.fd);
	assert_int_equal(cs.open, 0);
	free(publishers);
}

static void a_publisher_with_new_keys_is_answered_to_the_end(void **state)
{
	(void)state;
	struct rc_conn *c = open_publisher();
	rc_serve_record(&serve, c, RC_TLS_HANDSHAKE, update, sizeof(update));
	assert_int_equal(rc_counter_get(&counters, RC_C_tls_renewed), 1);
	/* It waits for its acknowledgements; what it sent under the new keys can't be read. */
	assert_int_equal(c->state, RC_CONN_OPEN);
	assert_true(c->out_len > 0);
	rc_serve_input_ended(&serve, c, -EBADMSG);
	assert_int_equal(c->state, RC_CONN_OPEN);
	rc_serve_input_ended(&serve, c, -EKEYEXPIRED);
	assert_int_equal(c->state, RC_CONN_OPEN);
	rc_conn_finish(&cs, c);
	rc_serve_input_ended(&serve, c, -EBADMSG);
	assert_int_equal(c->state, RC_CONN_FINISHING);
	assert_int_equal(rc_counter_get(&counters, RC_C_tls_bad_records), 0);
	over(c);
}

static void a_forged_record_is_answered_with_an_alert(void **state)
{
	unsigned char alert[2];

	(void)state;
	struct rc_conn *c = open_publisher();
	rc_serve_input_ended(&serve, c, -EBADMSG);
	assert_int_equal(rc_counter_get(&counters, RC_C_tls_bad_records), 1);
	assert_int_equal(recv(peer.fd, alert, sizeof(alert), MSG_DONTWAIT), 2);
	assert_int_equal(alert[1], RC_TLS_ALERT_BAD_RECORD_MAC);
	over(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_publisher_with_new_keys_is_answered_to_the_end),
		TEST(a_forged_record_is_answered_with_an_alert),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
