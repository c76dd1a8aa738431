/* SPDX-License-Identifier: Apache-2.0
 *
 * From HTTP to WebSocket, the client's side: the request, and whether the answer grants it (RFC 6455, section 4). Pure.
 */
#ifndef LOAD_UPGRADE_H
#define LOAD_UPGRADE_H

#include "target.h"

#define LOAD_UPGRADE_KEY_LEN  24
#define LOAD_UPGRADE_HEAD_MAX 8192 /* a longer answer is none */

/* 24 characters out of 16 bytes that `seed` gives; they need not be secret. */
void load_upgrade_key(char key[LOAD_UPGRADE_KEY_LEN], uint64_t seed);
/*
 * path: with its query, {channel} already replaced. protocol: "" for none. headers: whole lines with \r\n, or "". Bytes written; 0 when
 * cap is too small.
 */
size_t load_upgrade_request(char *out, size_t cap, const struct load_url *url, const char *path,
	const char *protocol, const char *headers, const char key[LOAD_UPGRADE_KEY_LEN]);
/*
 * bytes: all that came so far. The length of the answer's head when it grants the upgrade; 0 when more is needed; -EPROTO with a
 * sentence that shows the status line when it refuses, or says what is wrong.
 */
int load_upgrade_answer(struct rc_str bytes, const char key[LOAD_UPGRADE_KEY_LEN],
	struct rc_error *err) RC_MUST_USE;

#endif
