/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of services as those see it who fill and search it (servicefile.c, service.c).
 */
#ifndef RC_AUTH_SERVICETABLE_H
#define RC_AUTH_SERVICETABLE_H

#include "auth/service.h"

struct rc_service_entry {
	uint8_t proof; /* enum rc_proof */
	unsigned char digest[RC_SERVICE_DIGEST];
	uint32_t grant; /* where it begins in grants, in bytes */
	uint32_t line;
};

struct rc_services {
	struct rc_service_entry *entries;
	unsigned char *grants; /* one behind the other, each at a multiple of 8 */
	uint32_t count;
	size_t grants_len;
};

static inline const struct rc_grant *rc_services_grant(const struct rc_services *s, uint32_t index)
{
	return (const struct rc_grant *)(const void *)(s->grants + s->entries[index].grant);
}

void rc_service_digest(struct rc_str text, unsigned char out[RC_SERVICE_DIGEST]);
/* One word of scopes into a grant with room for it. NULL, or what is wrong with it. */
const char *rc_grant_add(struct rc_grant *g, struct rc_str word, uint32_t *patterns);

#endif
