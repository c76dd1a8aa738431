/* SPDX-License-Identifier: Apache-2.0
 *
 * Who stands between the clients and the gateway, and whose pages may ask: the proxies that are trusted, and the origins. Start-up,
 * main thread.
 */
#ifndef RC_CONFIG_EDGERULES_H
#define RC_CONFIG_EDGERULES_H

#include "config/config.h"

/* For rc_config_finish: fills c->trusted, and writes the origins as browsers do. */
void rc_config_check_edge(struct rc_config *c, struct rc_config_report *r);

#endif
