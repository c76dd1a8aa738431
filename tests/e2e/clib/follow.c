/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads channels and patterns until its standard input ends, and says what it is told. Nothing here knows of broken connections:
 * that is the library's business.
 *
 *   follow HOST:PORT NAME SINCE [NAME SINCE ...]
 *
 *   subscribed NAME VERDICT TEXT
 *   event CHANNEL OFFSET POSITION DATA
 *   gap CHANNEL REASON MISSED
 *   state N TEXT
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "ringcast.h"

static void on_subscribed(void *user, const char *name, int verdict, const char *text)
{
	(void)user;
	printf("subscribed %s %d %s\n", name, verdict, text);
}

static void on_event(struct ringcast *r, const struct ringcast_event *e)
{
	(void)r;
	printf("event %s %" PRIu64 " %s %.*s\n", e->channel, e->offset,
		*e->position ? e->position : "-", (int)e->len, (const char *)e->data);
}

static void on_gap(void *user, const char *channel, int reason, uint64_t missed)
{
	(void)user;
	printf("gap %s %d %" PRIu64 "\n", channel, reason, missed);
}

static void on_state(void *user, enum ringcast_state state, const char *text)
{
	(void)user;
	printf("state %d %s\n", (int)state, text);
}

int main(int argc, char **argv)
{
	struct ringcast_options o;
	struct ringcast *r;
	int rc = RINGCAST_OK;

	if (argc < 4 || argc % 2 != 0)
		return 2;
	ringcast_options_init(&o, sizeof(o));
	o.host = argv[1];
	o.backoff_max_ms = 200;
	o.state = on_state;
	o.subscribed = on_subscribed;
	o.gap = on_gap;
	if (ringcast_open(&r, &o) != RINGCAST_OK)
		return 1;
	for (int i = 2; i < argc && rc == RINGCAST_OK; i += 2)
		rc = ringcast_subscribe(r, argv[i], argv[i + 1], on_event, NULL);
	while (rc == RINGCAST_OK) {
		struct pollfd p[] = {{.fd = 0, .events = POLLIN}, {.fd = ringcast_fd(r)}};
		int want = ringcast_want(r);

		p[1].events = (short)((want & RINGCAST_WANT_READ ? POLLIN : 0) |
				      (want & RINGCAST_WANT_WRITE ? POLLOUT : 0));
		fflush(stdout);
		poll(p, 2, ringcast_timeout(r));
		if (p[0].revents)
			break;
		rc = ringcast_poll(r, 0);
	}
	ringcast_close(r);
	return rc == RINGCAST_OK ? 0 : 1;
}
