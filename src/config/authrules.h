/* SPDX-License-Identifier: Apache-2.0
 *
 * What the options of [auth] must be to each other. Main thread.
 */
#ifndef RC_CONFIG_AUTHRULES_H
#define RC_CONFIG_AUTHRULES_H

#include "config/config.h"

/* Of hmac_secret and hmac_secret_file leaves the one from the stronger source. */
void rc_config_check_auth(struct rc_config *c, struct rc_config_report *r);

#endif
