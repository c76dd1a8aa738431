/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of CPUs: "0-3,8". The order is kept, since shard i runs on the i-th. Pure.
 */
#ifndef RC_CONFIG_CPUS_H
#define RC_CONFIG_CPUS_H

#include "config/config.h"

/* 0, or -1 with the reason in *why (a static sentence). Empty text is the empty list. */
int rc_cpus_parse(struct rc_config_cpus *cpus, const char *text, const char **why) RC_MUST_USE;
/* Never longer than the text that it was parsed from. */
void rc_cpus_format(const struct rc_config_cpus *cpus, char *out, size_t size);

#endif
