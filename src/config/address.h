/* SPDX-License-Identifier: Apache-2.0
 *
 * Where to listen: "127.0.0.1:8080", "[::1]:8080", "*:8080" (every IPv4 address), "localhost:8080". Numbers only, since
 * a gateway must not wait for a name server to start. A plain value; pure functions.
 */
#ifndef RC_CONFIG_ADDRESS_H
#define RC_CONFIG_ADDRESS_H

#include <sys/socket.h>

#include "base/base.h"

#define RC_ADDRESS_TEXT_SIZE 56 /* "[" IPv6 "]:65535" and the NUL */

struct rc_address {
	uint16_t family; /* AF_INET or AF_INET6; 0 = none, and then all of it is 0 */
	uint16_t port;   /* host order; 0 = the kernel picks one */
	uint8_t ip[16];  /* network order; the first 4 for IPv4 */
};

/* 0, or -1 with the reason in *why (a static sentence). */
int rc_address_parse(struct rc_address *a, struct rc_str text, const char **why) RC_MUST_USE;
/* One to five decimal digits, 0 to 65535. */
bool rc_port_parse(struct rc_str text, uint16_t *port) RC_MUST_USE;
void rc_address_format(const struct rc_address *a, char out[RC_ADDRESS_TEXT_SIZE]);
/* 127.0.0.0/8, ::1, and ::ffff:127.0.0.0/104. */
bool rc_address_is_loopback(const struct rc_address *a);
/* Whether two listeners could not both be opened: same port (not 0), same family, same or unspecified address. */
bool rc_address_collides(const struct rc_address *a, const struct rc_address *b);
/* Fills *out and returns its length. */
socklen_t rc_address_sockaddr(const struct rc_address *a, struct sockaddr_storage *out);

#endif
