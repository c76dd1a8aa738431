/* SPDX-License-Identifier: Apache-2.0
 *
 * An address of the internet as a plain value: of a peer, or what a proxy says of one. IPv4 in IPv6 (::ffff:0:0/96) is IPv4
 * here, so that one host has one address. Pure, any thread.
 */
#ifndef RC_BASE_NETADDR_H
#define RC_BASE_NETADDR_H

#include <sys/socket.h>

#include "base/base.h"

#define RC_NETADDR_TEXT 56 /* "[" IPv6 "]:65535" and the NUL */

struct rc_netaddr {
	uint8_t ip[16]; /* network order; the first 4 for IPv4 */
	uint16_t port;  /* 0 = not known */
	uint8_t family; /* 4, 6; 0 = not known */
	uint8_t reserved;
};

/* family: 4 or 6, with as many bytes of ip as that takes. */
struct rc_netaddr rc_netaddr_make(uint8_t family, const void *ip, uint16_t port);
/* Family 0 for what is neither. */
struct rc_netaddr rc_netaddr_of(const struct sockaddr *a);
/* "192.0.2.1:80", "[2001:db8::1]:80"; without a port where it is 0; "?" where nothing is known. Returns the length. */
size_t rc_netaddr_format(const struct rc_netaddr *a, char out[RC_NETADDR_TEXT]);
/* An address alone, without port, brackets or zone. False: it is none. */
bool rc_netaddr_parse(struct rc_str text, struct rc_netaddr *out) RC_MUST_USE;
/* 0 to 65535 in decimal digits, without a zero in front. */
bool rc_netaddr_parse_port(struct rc_str text, uint16_t *port) RC_MUST_USE;
/* Whether the first `bits` of both are equal, and the family. */
bool rc_netaddr_within(const struct rc_netaddr *a, const struct rc_netaddr *net, uint32_t bits);

#endif
