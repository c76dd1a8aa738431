/* SPDX-License-Identifier: Apache-2.0
 *
 * Source addresses: a connection is known by both its ends, so one address has as many to a server as there are local
 * ports. First process, before the fork.
 */
#ifndef LOAD_SOURCES_H
#define LOAD_SOURCES_H

#include "plan.h"

/* "127.0.0.1-127.0.0.8", "10.0.0.1,10.0.0.2", or both mixed. */
int load_sources_parse(struct load_plan *plan, const char *text, struct rc_error *err) RC_MUST_USE;
/*
 * ports: how many one address has. Sees to it that they suffice for all clients, those that leave and come back included: on
 * loopback by taking more addresses when none were given; otherwise it says what to do.
 */
int load_sources_fit(struct load_plan *plan, uint32_t ports, struct rc_error *err) RC_MUST_USE;
/* From ip_local_port_range; the kernel's default when that can't be read. */
uint32_t load_local_ports(void);

#endif
