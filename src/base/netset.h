/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of addresses, as the operator lists them: single ones and nets, kept as ranges that do not touch, in order, so that
 * looking one up is a binary search. Filled once at start, then only read. Pure.
 */
#ifndef RC_BASE_NETSET_H
#define RC_BASE_NETSET_H

#include "base/netaddr.h"

#define RC_NETSET_MAX 512

/* The family, then the address, filled up with zeros: so IPv4 and IPv6 never meet. */
struct rc_netset_key {
	uint8_t bytes[17];
};

struct rc_netset {
	uint32_t count;
	struct {
		struct rc_netset_key first, last;
	} at[RC_NETSET_MAX];
};

/*
 * Adds all that the text lists, separated by commas, blanks or line ends: addresses, nets as ADDRESS/BITS without a bit set
 * behind BITS, `loopback` (127.0.0.0/8, ::1) and `private` (10/8, 172.16/12, 192.168/16, fc00::/7). From '#' to the end of a
 * line is a comment. False: *bad is what is wrong, *why the reason; the set is of no use then.
 */
bool rc_netset_add(struct rc_netset *set, struct rc_str text, struct rc_str *bad,
	const char **why) RC_MUST_USE;
bool rc_netset_has(const struct rc_netset *set, const struct rc_netaddr *a);
/* Every address of a family is in it. */
bool rc_netset_has_all(const struct rc_netset *set);

#endif
