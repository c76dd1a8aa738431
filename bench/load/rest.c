/* SPDX-License-Identifier: Apache-2.0
 *
 * See rest.h.
 */
#include "rest.h"

#include <stdlib.h>

#define SMALL 224u /* most rests are less than an event; with the header a size class of malloc */

static bool room(struct load_rest **r, size_t total)
{
	size_t cap = SMALL;
	struct load_rest *bigger;

	if (*r && (*r)->cap >= total)
		return true;
	if (total > cap)
		cap = rc_pow2_ceil(total);
	bigger = realloc(*r, sizeof(**r) + cap);
	if (!bigger)
		return false;
	if (!*r)
		*bigger = (struct load_rest){0};
	bigger->cap = (uint32_t)cap;
	*r = bigger;
	return true;
}

static void tidy(struct load_rest **r)
{
	if ((*r)->app_len == 0 && (*r)->raw_len == 0) {
		free(*r);
		*r = NULL;
	}
}

void load_rest_begin_app(struct load_rest **r, const char *bytes, size_t len, size_t need)
{
	RC_DASSERT(load_rest_app_len(*r) == 0 && need >= len);
	/* Not all of a large event at once: a magic and a length may be a lie. */
	if (!room(r, RC_MAX(len, RC_MIN(need, 65536u))))
		return;
	memcpy((*r)->bytes, bytes, len);
	(*r)->app_len = (uint32_t)len;
	(*r)->need = (uint32_t)need;
}

void load_rest_grow_app(struct load_rest **r, const char *bytes, size_t len)
{
	RC_DASSERT((*r)->raw_len == 0);
	if (len == 0)
		return;
	if (!room(r, (*r)->app_len + len)) {
		/* It will not pass for an event. */
		(*r)->bytes[0] = 0;
		return;
	}
	memcpy((*r)->bytes + (*r)->app_len, bytes, len);
	(*r)->app_len += (uint32_t)len;
}

void load_rest_drop_app(struct load_rest **r)
{
	(*r)->app_len = 0;
	tidy(r);
}

size_t load_rest_take_raw(struct load_rest **r, unsigned char *front)
{
	size_t len;

	if (!*r || (*r)->raw_len == 0)
		return 0;
	len = (*r)->raw_len;
	memcpy(front - len, (*r)->bytes + (*r)->app_len, len);
	(*r)->raw_len = 0;
	tidy(r);
	return len;
}

void load_rest_keep_raw(struct load_rest **r, const unsigned char *bytes, size_t len)
{
	size_t app_len = load_rest_app_len(*r);

	if (!room(r, app_len + len))
		return;
	memcpy((*r)->bytes + app_len, bytes, len);
	(*r)->raw_len = (uint32_t)len;
}
