/* SPDX-License-Identifier: Apache-2.0
 *
 * The checks that are more than one number against another. Each has the shape of rc_host_check.look; the table in
 * hostcheck.c says what they are about.
 */
#ifndef RC_OPS_HOSTLOOK_H
#define RC_OPS_HOSTLOOK_H

#include "ops/hostcheck.h"

#define RC_HOST_LOOK(name)                                                                    \
	void rc_look_##name(const struct rc_host_env *env, const struct rc_host_check *check, \
		struct rc_host_finding *f)

/* hostkernel.c */
RC_HOST_LOOK(kernel_version);
RC_HOST_LOOK(uring_setup);
RC_HOST_LOOK(uring_disabled);
RC_HOST_LOOK(tls);
RC_HOST_LOOK(clocksource);
/* hostlimits.c */
RC_HOST_LOOK(nofile);
RC_HOST_LOOK(memlock);
RC_HOST_LOOK(descriptors_sysctl);
RC_HOST_LOOK(conntrack);
RC_HOST_LOOK(tcp_mem);
RC_HOST_LOOK(port_range);
RC_HOST_LOOK(cgroup_cpu);
RC_HOST_LOOK(cgroup_memory);
/* hostmachine.c */
RC_HOST_LOOK(thp_enabled);
RC_HOST_LOOK(thp_defrag);
RC_HOST_LOOK(hugepages);
RC_HOST_LOOK(swap);
RC_HOST_LOOK(governor);
RC_HOST_LOOK(irqbalance);
RC_HOST_LOOK(isolated);
RC_HOST_LOOK(numa);
RC_HOST_LOOK(smt);

/* Sets verdict and found in one go; returns nothing more to do. */
void rc_host_say(struct rc_host_finding *f, enum rc_host_verdict verdict, const char *found, ...)
	RC_PRINTF(3, 4);
/* "can't be read", with the reason of a negative errno. */
void rc_host_unread(struct rc_host_finding *f, int error);

#endif
