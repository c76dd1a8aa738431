/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/members.h"

#include <errno.h>

static bool has(const struct rc_members *m, struct rc_str name)
{
	for (uint32_t i = 0; i < m->count; i++)
		if (rc_str_eq(name, (struct rc_str){m->at[i].name, m->at[i].len}))
			return true;
	return false;
}

int rc_members_read(struct rc_members *m, struct rc_json_value object)
{
	struct rc_json_iter it;
	struct rc_json_value value;
	struct rc_str key;

	m->count = 0;
	if (object.kind != RC_JSON_OBJECT)
		return -EINVAL;
	rc_json_object_begin(&it, object.raw);
	while (rc_json_object_next(&it, &key, &value)) {
		char name[RC_MEMBER_NAME_MAX];
		/* With its quotes, which stand around it. */
		int len = rc_json_string_decode(
			(struct rc_str){key.ptr - 1, key.len + 2}, name, sizeof(name));

		if (len < 0 || m->count == RC_MEMBERS_MAX ||
			has(m, (struct rc_str){name, (size_t)len}))
			return -EINVAL;
		memcpy(m->at[m->count].name, name, (size_t)len);
		m->at[m->count].len = (uint32_t)len;
		m->at[m->count++].value = value;
	}
	return 0;
}

struct rc_json_value rc_members_find(const struct rc_members *m, const char *name)
{
	for (uint32_t i = 0; i < m->count; i++)
		if (rc_str_eq(rc_str_of(name), (struct rc_str){m->at[i].name, m->at[i].len}))
			return m->at[i].value;
	return (struct rc_json_value){0};
}

int rc_members_text(struct rc_json_value value, char *out, size_t cap)
{
	if (value.kind != RC_JSON_STRING)
		return -EINVAL;
	return rc_json_string_decode(value.raw, out, cap);
}
