/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may do what to which channel: the rule of its namespace, and the claims of who asks. Whether the channel exists, or
 * has anything in it, plays no part. Pure, any thread.
 */
#ifndef RC_AUTH_RULES_H
#define RC_AUTH_RULES_H

#include "auth/claims.h"
#include "config/config.h"

enum rc_action { RC_MAY_SUBSCRIBE, RC_MAY_PUBLISH, RC_MAY_HISTORY, RC_MAY_PRESENCE };

/* who: NULL for one without a token. name: a channel or a pattern, classified. */
bool rc_rules_allow(const struct rc_config *config, const struct rc_claims *who,
	enum rc_action action, struct rc_str name);
/* The same for a service that looks: every channel, the gateway's own too, whatever the rules say; nothing of it may be published. */
bool rc_rules_allow_watcher(enum rc_action action, struct rc_str name);
/* May it send messages of that type to a backend? Those that begin with $ are the gateway's. */
bool rc_rules_may_command(
	const struct rc_config *config, const struct rc_claims *who, struct rc_str type);
/* One text of the list means the name: equal, or a pattern that covers it. */
bool rc_claims_cover(struct rc_str list, struct rc_str name);

#endif
