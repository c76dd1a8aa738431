/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the host of a URL is: up to four addresses, looked up at start, and again by a thread of its own, for that may take long.
 *
 *   main thread ─ open ─▶ first addresses          thread: every interval_ms, or when asked ─▶ getaddrinfo
 *   shard ─ ask, after a connection failed ─▶ thread ─ others than before? ─▶ found, full = 1 ─▶ shard ─ take ─▶ full = 0
 *
 * found belongs to the thread while full is 0 and to the shard while it is 1. A look-up that fails changes nothing and is counted.
 * A host that is an address needs no thread. One shard takes and asks.
 */
#ifndef RC_SERVE_WEBHOOKNAME_H
#define RC_SERVE_WEBHOOKNAME_H

#include <pthread.h>
#include <stdatomic.h>

#include "config/webhookrules.h"

#define RC_WEBHOOK_ADDRESSES_MAX 4u

struct rc_webhook_addresses {
	struct rc_address at[RC_WEBHOOK_ADDRESSES_MAX];
	uint32_t count;
};

enum rc_webhook_name_asked {
	RC_WEBHOOK_NAME_IDLE,
	RC_WEBHOOK_NAME_BUSY, /* it looks up, or rests after that */
	RC_WEBHOOK_NAME_ASKED,
};

struct rc_webhook_name {
	char host[RC_CONFIG_TEXT_SIZE];
	uint16_t port;
	uint32_t interval_ms;
	int wake_fd;
	pthread_t thread;
	bool started;
	struct rc_webhook_addresses
		first; /* of the start; then the thread's: those that it gave last */
	struct rc_webhook_addresses found;
	/* shared */
	_Atomic uint32_t full;
	_Atomic uint32_t asked; /* enum rc_webhook_name_asked */
	_Atomic uint32_t ends;
	_Atomic uint32_t looked; /* look-ups since the start */
	_Atomic uint32_t failed; /* of them */
	_Atomic int why;         /* the last one failed, EAI_…; 0: it did not */
};

/* ---- main thread */

/* Looks the host up. *name stays NULL where it is an address. -1 with what is wrong. */
int rc_webhook_name_open(struct rc_webhook_name **name, struct rc_webhook_addresses *first,
	const struct rc_webhook_url *url, uint32_t interval_ms, struct rc_error *err) RC_MUST_USE;
int rc_webhook_name_start(struct rc_webhook_name *name, struct rc_error *err) RC_MUST_USE;
/* Behind the shards' end. A thread that is in a look-up is waited for shortly, then left to the end of the process. NULL: nothing. */
void rc_webhook_name_close(struct rc_webhook_name *name);

/* ---- the shard; they never wait */

void rc_webhook_name_ask(struct rc_webhook_name *name);
/* True: *out are others than before. */
bool rc_webhook_name_take(struct rc_webhook_name *name, struct rc_webhook_addresses *out);

/* ---- pure */

/* The same addresses, in whatever order. */
bool rc_webhook_addresses_same(
	const struct rc_webhook_addresses *a, const struct rc_webhook_addresses *b);

#endif
