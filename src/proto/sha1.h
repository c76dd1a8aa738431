/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-1, which the WebSocket handshake asks for. It proves nothing and keeps no secret: not for anything else. Pure.
 */
#ifndef RC_PROTO_SHA1_H
#define RC_PROTO_SHA1_H

#include "base/base.h"

#define RC_SHA1_LEN 20

void rc_sha1(const void *bytes, size_t len, unsigned char out[RC_SHA1_LEN]);

#endif
