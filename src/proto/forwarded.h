/* SPDX-License-Identifier: Apache-2.0
 *
 * What proxies say in a request of whom they ask for: X-Forwarded-For, or Forwarded (RFC 7239). All lines of the header are one
 * list, to whose end each proxy adds whom it got the request from:
 *
 *   X-Forwarded-For: what the client claims, …, client, proxy 1          ◀── read from here
 *                                                └ told by proxy 1, which is trusted
 *
 * So it is walked from the right for as long as the one who told is trusted. Whatever stands further left was told by somebody
 * else, and neither its text nor its form changes what is found here. Pure, any thread.
 */
#ifndef RC_PROTO_FORWARDED_H
#define RC_PROTO_FORWARDED_H

#include "base/netset.h"
#include "proto/http1.h"

/* More proxies in a row than this are not believed. */
#define RC_FORWARDED_HOPS_MAX 64

enum rc_forwarded_header { RC_X_FORWARDED_FOR, RC_FORWARDED };
enum rc_forwarded_scheme { RC_SCHEME_UNKNOWN, RC_SCHEME_HTTP, RC_SCHEME_HTTPS };

struct rc_forwarded {
	/* The first from the right that is not trusted; or the last that was told, where all are, or where an element tells no
	 * address (malformed, `unknown`, `_hidden`): never one further left than that. */
	struct rc_netaddr client;
	/* How that client asked: proto= of the element that told it; X-Forwarded-Proto, where there is exactly one. */
	enum rc_forwarded_scheme scheme;
};

/* peer: who sent the request. Only what the trusted say is looked at. */
struct rc_forwarded rc_forwarded_read(const struct rc_http_request *r,
	enum rc_forwarded_header header, const struct rc_netset *trusted, struct rc_netaddr peer);

/* 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80; a port may be hidden (`_x`). */
bool rc_forwarded_node(struct rc_str text, struct rc_netaddr *out) RC_MUST_USE;

#endif
