/* SPDX-License-Identifier: Apache-2.0
 *
 * The header that a proxy puts in front of a connection to say whose it is: PROXY protocol, version 1 (a line of text) and 2
 * (binary). Pure: looks at bytes, keeps nothing; any thread.
 *
 * Neither beginning is one of TLS, and no request of HTTP begins so; an ingest frame that does is longer than any gateway takes.
 */
#ifndef RC_PROTO_PROXY_H
#define RC_PROTO_PROXY_H

#include "base/netaddr.h"

#define RC_PROXY_V1_MAX 107u  /* with CR LF, as the specification has it */
#define RC_PROXY_MAX    2048u /* of version 2, with all that it carries */

struct rc_proxy_header {
	/* Family 0: it says nothing of the client (UNKNOWN, LOCAL, a kind of address that is not of the internet). */
	struct rc_netaddr source;
	bool begun; /* the mark of a header is there as a whole: it can be nothing else */
	uint32_t
		need; /* PARTIAL: can't be decided by fewer bytes than these, which are more than there were */
};

enum rc_proxy_result {
	RC_PROXY_NONE = 0,
	RC_PROXY_PARTIAL = -1,
	RC_PROXY_BAD = -2,
};

/* The length of the header; NONE: the bytes are the beginning of something else; PARTIAL, BAD: *source says nothing. */
RC_MUST_USE int rc_proxy_parse(const void *bytes, size_t len, struct rc_proxy_header *out);

#endif
