/* SPDX-License-Identifier: Apache-2.0
 *
 * By index: the channels that somebody is in, and the users in them. For presence.c and presencetell.c.
 */
#ifndef RC_HUB_PRESENTS_H
#define RC_HUB_PRESENTS_H

#include "hub/replica.h"

static inline struct rc_present *rc_present_at(const struct rc_hub *h, uint32_t index)
{
	return rc_slab_at(&h->presence.presents, index);
}

static inline struct rc_present_user *rc_present_user_at(const struct rc_hub *h, uint32_t index)
{
	return rc_slab_at(&h->presence.users, index);
}

static inline const struct rc_hub_namespace *rc_present_namespace(
	const struct rc_hub *h, const struct rc_present *p)
{
	return &h->namespaces[rc_hub_owned(h, p->owned)->ns];
}

#endif
