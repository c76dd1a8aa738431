/* SPDX-License-Identifier: Apache-2.0
 *
 * Which listeners a configuration opens, and whether they can stand side by side and be shown to the world. Pure; start-up,
 * main thread.
 */
#ifndef RC_CONFIG_LISTENERS_H
#define RC_CONFIG_LISTENERS_H

#include "config/config.h"

#define RC_CONFIG_LISTENERS_MAX 5

struct rc_config_listener {
	const char *section, *key; /* the option that it comes from */
	const struct rc_address *address;
	bool tls, publishers;
	uint32_t proxy;        /* enum rc_config_proxy */
	const char *proxy_key; /* that says so */
};

/* Those that are opened: an address that is not none, and of section [tls] only with a certificate. Returns how many. */
uint32_t rc_config_listeners(
	const struct rc_config *c, struct rc_config_listener out[RC_CONFIG_LISTENERS_MAX]);

/* For rc_config_finish, when the token is settled. */
void rc_config_check_listeners(const struct rc_config *c, struct rc_config_report *r);

#endif
