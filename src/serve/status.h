/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at the gateway over HTTP: /metrics, /api/status, /api/channels, /api/laggards. The handlers of http.h's routes.
 */
#ifndef RC_SERVE_STATUS_H
#define RC_SERVE_STATUS_H

#include "serve/http.h"

/* GET /metrics: Prometheus text, or OpenMetrics. */
enum rc_http_result rc_status_metrics(struct rc_serve *sv, struct rc_http_call *call);
/* GET /api/status, /api/websocket/status: ?limit= and after= (clientDetails), afterChannel= (subscriptions). */
enum rc_http_result rc_status_gateway(struct rc_serve *sv, struct rc_http_call *call);
/* GET /api/channels: ?prefix=, limit=, after= */
enum rc_http_result rc_status_channels(struct rc_serve *sv, struct rc_http_call *call);
/* GET /api/channels?sort=rate or subscribers, limit= : statustop.c */
enum rc_http_result rc_status_top(
	struct rc_serve *sv, struct rc_http_call *call, struct rc_str sort, uint32_t limit);
/* What is said of a channel, up to its last member: no brace behind it. */
struct rc_survey_channel;
void rc_status_add_channel(const struct rc_serve *sv, struct rc_textbuf *b, struct rc_str name,
	const struct rc_survey_channel *c);
/* GET /api/channels/{name}: call->rest */
enum rc_http_result rc_status_channel(struct rc_serve *sv, struct rc_http_call *call);
/* GET /api/laggards: ?top= */
enum rc_http_result rc_status_laggards(struct rc_serve *sv, struct rc_http_call *call);

#endif
