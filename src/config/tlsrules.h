/* SPDX-License-Identifier: Apache-2.0
 *
 * What the options of section [tls] must be to each other. What is in the files that they name is looked at when these are
 * opened, not here. Pure; start-up, main thread.
 */
#ifndef RC_CONFIG_TLSRULES_H
#define RC_CONFIG_TLSRULES_H

#include "config/config.h"

/* For rc_config_finish. */
void rc_config_check_tls(const struct rc_config *c, struct rc_config_report *r);

#endif
