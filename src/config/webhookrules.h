/* SPDX-License-Identifier: Apache-2.0
 *
 * What [webhooks] must be: its URL taken apart, and options that would do nothing. Pure but for the reports.
 */
#ifndef RC_CONFIG_WEBHOOKRULES_H
#define RC_CONFIG_WEBHOOKRULES_H

#include "base/error.h"
#include "config/config.h"

struct rc_webhook_url {
	struct rc_str host; /* without the brackets of an IPv6 address */
	struct rc_str authority;
	struct rc_str path; /* with the query; "/" where there is none */
	uint16_t port;
};

/* Borrows the text. 0, or -1 with what is wrong. */
int rc_webhook_url_parse(
	const char *url, struct rc_webhook_url *out, struct rc_error *err) RC_MUST_USE;
/* The next word of a list with commas or blanks between. False: there is none. */
bool rc_webhook_list_next(struct rc_str *rest, struct rc_str *word);
/* Whether the list has it, or "*". */
bool rc_webhook_list_has(const char *list, struct rc_str word);

void rc_config_check_webhooks(const struct rc_config *c, struct rc_config_report *r);

#endif
