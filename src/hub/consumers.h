/* SPDX-License-Identifier: Apache-2.0
 *
 * By index: consumers and the channels that have some. For consumer.c and consumersend.c.
 */
#ifndef RC_HUB_CONSUMERS_H
#define RC_HUB_CONSUMERS_H

#include "hub/replica.h"

static inline struct rc_consumer *rc_consumer_at(const struct rc_hub *h, uint32_t index)
{
	return rc_slab_at(&h->consumers.slab, index);
}

static inline struct rc_consumed *rc_consumed_at(const struct rc_hub *h, uint32_t index)
{
	return rc_slab_at(&h->consumers.channels, index);
}

static inline struct rc_consumer_payer *rc_payer_at(const struct rc_hub *h, uint32_t index)
{
	return rc_slab_at(&h->consumers.payers, index);
}

static inline struct rc_owned *rc_consumer_owned(
	const struct rc_hub *h, const struct rc_consumer *c)
{
	return rc_hub_owned(h, rc_consumed_at(h, c->consumed)->owned);
}

static inline struct rc_str rc_consumer_user(const struct rc_consumer *c)
{
	return (struct rc_str){c->text, c->user_len};
}

static inline struct rc_str rc_consumer_client(const struct rc_consumer *c)
{
	return (struct rc_str){c->text + c->user_len, c->client_len};
}

#endif
