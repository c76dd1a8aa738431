/* SPDX-License-Identifier: Apache-2.0
 *
 * The members of a small JSON object whose every name counts: the header of a token, a key of a JWKS. Pure, any thread.
 */
#ifndef RC_AUTH_MEMBERS_H
#define RC_AUTH_MEMBERS_H

#include "proto/json.h"

#define RC_MEMBERS_MAX     24u
#define RC_MEMBER_NAME_MAX 64u

struct rc_members {
	uint32_t count;
	struct {
		char name[RC_MEMBER_NAME_MAX];
		uint32_t len;
		struct rc_json_value value;
	} at[RC_MEMBERS_MAX];
};

/* object: validated. 0, or -EINVAL when it is none, has a name twice or one too long, or too many. Borrows it. */
int rc_members_read(struct rc_members *m, struct rc_json_value object) RC_MUST_USE;
/* kind RC_JSON_NONE: it has none of that name. */
struct rc_json_value rc_members_find(const struct rc_members *m, const char *name);
/* Decoded length, or as rc_json_string_decode; -EINVAL too when the value is no string. */
int rc_members_text(struct rc_json_value value, char *out, size_t cap) RC_MUST_USE;

#endif
