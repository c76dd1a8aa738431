/* SPDX-License-Identifier: Apache-2.0
 *
 * The token that a request brings, wherever it stands: `Authorization: Bearer`, `?token=`, the subprotocol `bearer.<token>`, the
 * cookie that the configuration names. Pure.
 */
#ifndef RC_SERVE_CREDENTIALS_H
#define RC_SERVE_CREDENTIALS_H

#include "config/config.h"
#include "proto/http1.h"

#define RC_CREDENTIALS_MAX 65536u /* of a token with escapes */

/*
 * 1: *token borrows the request, or buf. 0: there is none. -1: two that differ, or one that can't be read. buf: RC_CREDENTIALS_MAX
 * bytes.
 */
int rc_credentials(const struct rc_config *config, const struct rc_http_request *r, char *buf,
	struct rc_str *token) RC_MUST_USE;

#endif
