/* SPDX-License-Identifier: Apache-2.0
 *
 * The PROXY header is looked at where it lies, in the socket, and then taken off to its last byte, since what follows it belongs to
 * TLS, which reads the socket itself. While it is not whole, the socket is told to be readable only when the bytes are there
 * that could decide it: a header that comes byte by byte costs a poll for each, no turn of the loop is spent on waiting, and
 * nothing is held for it.
 */
#include "serve/edge.h"

#include <errno.h>

#include "proto/proxy.h"
#include "serve/limits.h"
#include "serve/session.h"

/* c->stage of RC_CONN_PROXY: the port, and these. */
enum { PORT = 0xf, STRANGER = 0x10, WAITS_FOR_MORE = 0x20 };
_Static_assert((int)RC_PORTS <= (int)PORT, "a port fits");

static void speak(struct rc_serve *sv, struct rc_conn *c, enum rc_port port)
{
	switch (port) {
	case RC_PORT_HTTPS:
	case RC_PORT_INGEST_TLS:
		c->kind = RC_CONN_HANDSHAKE;
		rc_handshake_open(
			sv, c, port == RC_PORT_HTTPS ? RC_TLS_CLIENTS : RC_TLS_PUBLISHERS);
		return;
	case RC_PORT_INGEST:
		c->kind = RC_CONN_INGEST;
		if (!rc_ingest_open(sv, c, (struct rc_str){NULL, 0}))
			return;
		break;
	default:
		c->kind = RC_CONN_HTTP;
		c->stage = port == RC_PORT_ADMIN ? RC_HTTP_ON_ADMIN_PORT : 0;
	}
	rc_serve_arm(sv, c);
}

void rc_edge_known(struct rc_serve *sv, struct rc_conn *c, enum rc_port port)
{
	if (rc_limits_accepted(sv, c, port))
		speak(sv, c, port);
}

/* ---- PROXY headers ------------------------------------------------------------------------------ */

enum rc_config_proxy rc_edge_proxy(const struct rc_config *config, enum rc_port port)
{
	switch (port) {
	case RC_PORT_INGEST:
		return (enum rc_config_proxy)config->ingest_proxy_protocol;
	case RC_PORT_HTTPS:
		return (enum rc_config_proxy)config->tls_proxy_protocol;
	case RC_PORT_INGEST_TLS:
		return (enum rc_config_proxy)config->tls_ingest_proxy_protocol;
	case RC_PORT_ADMIN:
		return (enum rc_config_proxy)config->admin_proxy_protocol;
	default:
		return (enum rc_config_proxy)config->proxy_protocol;
	}
}

static bool trusted(const struct rc_serve *sv, const struct rc_conn *c)
{
	struct rc_netaddr a = rc_session_address(sv, c);

	return rc_netset_has(&sv->config->trusted, &a);
}

/* Without an answer: what it would have to be in is not known. */
static void refuse(struct rc_serve *sv, struct rc_conn *c, enum rc_counter counted)
{
	rc_count(sv->counters, counted, 1);
	rc_conn_kill(sv->conns, c);
}

void rc_edge_accepted(struct rc_serve *sv, struct rc_conn *c, enum rc_port port)
{
	enum rc_config_proxy mode = rc_edge_proxy(sv->config, port);

	if (mode == RC_CONFIG_PROXY_OFF) {
		rc_edge_known(sv, c, port);
		return;
	}
	bool known = !trusted(sv, c);
	if (known && mode == RC_CONFIG_PROXY_REQUIRED) {
		refuse(sv, c, RC_C_proxy_refused_stranger);
		return;
	}
	/* A stranger is himself, whatever he sends, and has no more connections for it. */
	if (known && !rc_limits_accepted(sv, c, port))
		return;
	c->kind = RC_CONN_PROXY;
	c->stage = (uint16_t)(port | (known ? STRANGER : 0));
	rc_conn_wait_readable(sv->conns, c);
}

static void go_on(struct rc_serve *sv, struct rc_conn *c)
{
	enum rc_port port = (enum rc_port)(c->stage & PORT);
	bool known = c->stage & STRANGER;

	if (c->stage & WAITS_FOR_MORE)
		rc_conn_wake_at(c, 1);
	c->kind = RC_CONN_HTTP;
	c->secret = 0;
	c->stage = 0;
	if (known)
		speak(sv, c, port);
	else
		rc_edge_known(sv, c, port);
}

/* The header is whole. */
static void take(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, int len,
	const struct rc_proxy_header *h)
{
	if (rc_conn_take(c, bytes, (uint32_t)len) != len) {
		refuse(sv, c, RC_C_proxy_refused_bad);
		return;
	}
	if (h->source.family) {
		struct rc_session *s = rc_session_need(sv, c);
		if (!s) {
			rc_conn_kill(sv->conns, c);
			return;
		}
		s->told = h->source;
	}
	rc_count(sv->counters, RC_C_proxy_headers, 1);
	go_on(sv, c);
}

static void look(struct rc_serve *sv, struct rc_conn *c)
{
	unsigned char bytes[RC_PROXY_MAX];
	struct rc_proxy_header h;
	enum rc_port port = (enum rc_port)(c->stage & PORT);
	int len = rc_conn_peek(c, bytes, sizeof(bytes));

	if (len == -EAGAIN) {
		rc_conn_wait_readable(sv->conns, c);
		return;
	}
	if (len <= 0) {
		/* Gone without a word, as who only looks whether the port is open. */
		rc_conn_kill(sv->conns, c);
		return;
	}
	int rc = rc_proxy_parse(bytes, (size_t)len, &h);
	if (rc == RC_PROXY_NONE && rc_edge_proxy(sv->config, port) == RC_CONFIG_PROXY_REQUIRED) {
		refuse(sv, c, RC_C_proxy_refused_missing);
	} else if (rc == RC_PROXY_NONE) {
		go_on(sv, c);
	} else if ((c->stage & STRANGER) && h.begun) {
		refuse(sv, c, RC_C_proxy_refused_stranger);
	} else if (rc == RC_PROXY_PARTIAL) {
		/* Woken by less than was waited for: no more will come (or the kernel has no memory for it). */
		if ((c->stage & WAITS_FOR_MORE) && (uint32_t)len < c->awaited) {
			refuse(sv, c, RC_C_proxy_refused_bad);
			return;
		}
		c->stage |= WAITS_FOR_MORE;
		c->awaited = h.need;
		rc_conn_wake_at(c, h.need);
		rc_conn_wait_readable(sv->conns, c);
	} else if (rc == RC_PROXY_BAD) {
		refuse(sv, c, RC_C_proxy_refused_bad);
	} else {
		take(sv, c, bytes, rc, &h);
	}
}

void rc_edge_ready(struct rc_serve *sv, struct rc_conn *c)
{
	if (c->state == RC_CONN_OPEN)
		look(sv, c);
	rc_conn_landed(sv->conns, c);
}

void rc_edge_timer(struct rc_serve *sv, struct rc_conn *c)
{
	refuse(sv, c, RC_C_proxy_refused_timeout);
}

/* ---- what requests say -------------------------------------------------------------------------- */

struct rc_forwarded rc_edge_forwarded(
	const struct rc_serve *sv, const struct rc_conn *c, const struct rc_http_request *r)
{
	struct rc_netaddr peer = rc_session_connection(sv, c);
	struct rc_forwarded f = {.client = peer};

	if (sv->config->http_forwarded != RC_CONFIG_FORWARDED_OFF)
		f = rc_forwarded_read(r,
			sv->config->http_forwarded == RC_CONFIG_FORWARDED_X ? RC_X_FORWARDED_FOR
									    : RC_FORWARDED,
			&sv->config->trusted, peer);
	if (f.scheme == RC_SCHEME_UNKNOWN && (c->flags & (RC_CONN_TLS | RC_CONN_KTLS)))
		f.scheme = RC_SCHEME_HTTPS;
	return f;
}

bool rc_edge_request(struct rc_serve *sv, struct rc_conn *c, const struct rc_http_request *r)
{
	struct rc_netaddr made_by, client;
	struct rc_session *s = rc_session_of(sv, c);

	if (!sv->config->trusted.count)
		return true;
	made_by = rc_session_connection(sv, c);
	client = rc_edge_forwarded(sv, c, r).client;
	if (memcmp(&made_by, &client, sizeof(client)) == 0) {
		if (s)
			memset(&s->peer, 0, sizeof(s->peer));
		return true;
	}
	s = rc_session_need(sv, c);
	if (!s)
		return false;
	s->peer = client;
	return true;
}
