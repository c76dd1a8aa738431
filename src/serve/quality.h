/* SPDX-License-Identifier: Apache-2.0
 *
 * How well a client is reached: the round trip of its heartbeats, smoothed, and how far it is behind, in a number each and one word
 * for both. A ping carries the time at which it was made, masked with the connection's secret, and the pong brings it back: nothing is
 * kept meanwhile, and no client can make up a time.
 *
 * What is bad is told on `$sys:quality`, by the way and as long as there is room: events slow_rtt and reconnects. One thread.
 */
#ifndef RC_SERVE_QUALITY_H
#define RC_SERVE_QUALITY_H

#include "serve/serve.h"

#define RC_QUALITY_PING 8 /* bytes of a ping's payload */

enum rc_quality { RC_QUALITY_GOOD, RC_QUALITY_FAIR, RC_QUALITY_POOR };

void rc_quality_ping(
	const struct rc_serve *sv, const struct rc_conn *c, unsigned char out[RC_QUALITY_PING]);
/* Whatever a pong brought; what is no answer to a ping of ours is passed over. */
void rc_quality_pong(
	struct rc_serve *sv, struct rc_conn *c, const unsigned char *bytes, size_t len);
enum rc_quality rc_quality_of(const struct rc_serve *sv, const struct rc_conn *c);
/* Members of a JSON object, each behind a comma: rtt, quality, messages and bytes both ways. */
void rc_quality_add(struct rc_textbuf *b, const struct rc_serve *sv, const struct rc_conn *c);
/* Once a second: when quality.next_ns has come. */
void rc_quality_turn(struct rc_serve *sv);

#endif
