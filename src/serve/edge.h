/* SPDX-License-Identifier: Apache-2.0
 *
 * The way of a connection from accept to its protocol:
 *
 *   accepted ─▶ PROXY header, where the listener takes one ─▶ address known ─▶ limits ─▶ TLS handshake, HTTP or INGEST
 *
 * Nothing of a connection is read as anything else before its address is known. (That of one who may not say whose it is is known
 * at once: the limits come first then, and the look for a header that would end it follows.) What a PROXY header says holds for the connection;
 * what a header of HTTP says for the request, and for the client that it becomes. One thread.
 */
#ifndef RC_SERVE_EDGE_H
#define RC_SERVE_EDGE_H

#include "proto/forwarded.h"
#include "serve/serve.h"

/* The connection was accepted at that port, and is OPEN. It may be gone afterwards. */
void rc_edge_accepted(struct rc_serve *sv, struct rc_conn *c, enum rc_port port);
/* Its address is known: the limits, then its protocol. */
void rc_edge_known(struct rc_serve *sv, struct rc_conn *c, enum rc_port port);
/* The poll came back that it waited for its header with (RC_CONN_PROXY). */
void rc_edge_ready(struct rc_serve *sv, struct rc_conn *c);
void rc_edge_timer(struct rc_serve *sv, struct rc_conn *c);

/* Whether a listener takes PROXY headers. */
enum rc_config_proxy rc_edge_proxy(const struct rc_config *config, enum rc_port port);

/* Whose request it is, and by which scheme it was made as far as that is known: what trusted proxies say of it, else what is known of
 * the connection. Requests of one connection may be of different clients. */
struct rc_forwarded rc_edge_forwarded(
	const struct rc_serve *sv, const struct rc_conn *c, const struct rc_http_request *r);
/* A request has come: whose it is, is rc_session_address from here on, until the next one comes, or as long as the client lives that it
 * becomes. False: no memory for that. */
bool rc_edge_request(
	struct rc_serve *sv, struct rc_conn *c, const struct rc_http_request *r) RC_MUST_USE;

#endif
