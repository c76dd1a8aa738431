/* SPDX-License-Identifier: Apache-2.0
 *
 * From HTTP to WebSocket (RFC 6455, section 4.2): is this request an upgrade, and the answer that grants it. Pure.
 */
#ifndef RC_PROTO_WSUPGRADE_H
#define RC_PROTO_WSUPGRADE_H

#include "proto/http1.h"

/* Slices into the request. Lists as the client sent them, for rc_http_list_next; the first line where there are several. */
struct rc_ws_upgrade {
	struct rc_str key;
	struct rc_str protocols;
	struct rc_str extensions;
};

/*
 * 0, or minus the status to answer with: 400 (key missing, malformed or twice; a body), 405 (not GET), 426 (no Upgrade
 * to websocket, HTTP/1.0, or another version than 13: the answer then carries "Sec-WebSocket-Version: 13").
 */
RC_MUST_USE int rc_ws_upgrade_check(const struct rc_http_request *r, struct rc_ws_upgrade *out);
/* The 101 response; 0 if it does not fit. An empty protocol means that none was chosen, empty extensions that there are none. */
size_t rc_ws_upgrade_accept(
	char *out, size_t cap, struct rc_str key, struct rc_str protocol, struct rc_str extensions);
/* The same without extensions. */
size_t rc_ws_upgrade_answer(char *out, size_t cap, struct rc_str key, struct rc_str protocol);

#endif
