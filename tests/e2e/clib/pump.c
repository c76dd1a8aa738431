/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishes the numbers 1, 2, 3 … on the channel "pump", pipelined, until its standard input ends; then waits for the last
 * acknowledgement. Each number is the sequence of its event, so that a reader can hold what was delivered against what was
 * acknowledged. Nothing here knows of broken connections: that is the library's business.
 *
 *   pump HOST:PORT PUBLISHER
 *   pump tls://HOST:PORT PUBLISHER CA [CERTIFICATE KEY]
 *
 * An empty PUBLISHER is none.
 *
 *   acked SEQUENCE EPOCH OFFSET    (EPOCH is - where the gateway no longer knew the place)
 *   refused SEQUENCE CODE TEXT
 *   state N TEXT
 *   done PUBLISHED ACKED UNACKED
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ringcast.h"

#define BURST 16

static void on_ack(void *user, uint64_t sequence, const char *epoch, uint64_t offset)
{
	(void)user;
	printf("acked %" PRIu64 " %s %" PRIu64 "\n", sequence, epoch ? epoch : "-", offset);
}

static void on_nack(void *user, uint64_t sequence, int code, const char *text)
{
	(void)user;
	printf("refused %" PRIu64 " %d %s\n", sequence, code, text);
}

static void on_state(void *user, enum ringcast_state state, const char *text)
{
	(void)user;
	printf("state %d %s\n", (int)state, text);
	fflush(stdout);
}

static int input_ended(void)
{
	struct pollfd in = {.fd = 0, .events = POLLIN};

	return poll(&in, 1, 0) > 0;
}

static int publish(struct ringcast *r, uint64_t n)
{
	char data[24];
	uint64_t sequence;
	int len = snprintf(data, sizeof(data), "%" PRIu64, n);
	int rc = ringcast_publish(r, "pump", "number", data, (size_t)len,
		RINGCAST_JSON | RINGCAST_POSITION, &sequence);

	if (rc == RINGCAST_OK && sequence != n) {
		fprintf(stderr, "event %" PRIu64 " got sequence %" PRIu64 "\n", n, sequence);
		return RINGCAST_MISUSE;
	}
	return rc;
}

int main(int argc, char **argv)
{
	/* Slow enough that a reader in an interpreter keeps up. */
	const struct timespec pause = {.tv_nsec = 1000000};
	struct ringcast_options o;
	struct ringcast *r;
	uint64_t n = 0;
	int rc;

	if (argc != 3 && argc != 4 && argc != 6)
		return 2;
	ringcast_options_init(&o, sizeof(o));
	o.host = argv[1];
	o.publisher = argv[2];
	if (argc > 3)
		o.tls_ca = argv[3];
	if (argc > 4) {
		o.tls_certificate = argv[4];
		o.tls_key = argv[5];
	}
	o.first_sequence = 1;
	o.window_events = 512;
	o.publish_timeout_ms = -1;
	o.backoff_max_ms = 200;
	o.ack = on_ack;
	o.nack = on_nack;
	o.state = on_state;
	rc = ringcast_open(&r, &o);
	if (rc != RINGCAST_OK) {
		fprintf(stderr, "open: %s\n", ringcast_strerror(rc));
		return 1;
	}
	while (rc == RINGCAST_OK && !input_ended()) {
		for (int i = 0; i < BURST && rc == RINGCAST_OK; i++)
			rc = publish(r, ++n);
		if (rc == RINGCAST_OK)
			rc = ringcast_poll(r, 0);
		nanosleep(&pause, NULL);
	}
	if (rc == RINGCAST_OK)
		rc = ringcast_flush(r, 60000);
	if (rc != RINGCAST_OK)
		fprintf(stderr, "%s: %s\n", ringcast_strerror(rc), ringcast_last_error(r));
	printf("done %" PRIu64 " %" PRIu64 " %zu\n", n, ringcast_acked(r), ringcast_unacked(r));
	ringcast_close(r);
	return rc == RINGCAST_OK ? 0 : 1;
}
