/* SPDX-License-Identifier: Apache-2.0
 *
 * What a stream keeps until more arrives, drawn in stream.h. NULL: nothing is kept. One thread.
 *
 * Without memory for it what was to be kept is dropped, which shows as loss or as a broken stream: a generator whose machine is
 * out of memory has no figures to give anyway.
 */
#ifndef LOAD_REST_H
#define LOAD_REST_H

#include "base/base.h"

struct load_rest {
	uint32_t app_len; /* at the front of bytes */
	uint32_t need;    /* app bytes without which nothing more can be said */
	uint32_t raw_len; /* behind them */
	uint32_t cap;
	char bytes[];
};

static inline size_t load_rest_app_len(const struct load_rest *r)
{
	return r ? r->app_len : 0;
}

/* need: at least len. There is no app part yet. */
void load_rest_begin_app(struct load_rest **r, const char *bytes, size_t len, size_t need);
/* There is an app part, and no raw part. */
void load_rest_grow_app(struct load_rest **r, const char *bytes, size_t len);
void load_rest_drop_app(struct load_rest **r);
/* Moves the raw part to just before `front` and returns how long it is. */
size_t load_rest_take_raw(struct load_rest **r, unsigned char *front);
/* There is no raw part yet. */
void load_rest_keep_raw(struct load_rest **r, const unsigned char *bytes, size_t len);

#endif
