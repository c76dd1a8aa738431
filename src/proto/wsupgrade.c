/* SPDX-License-Identifier: Apache-2.0
 *
 * The WebSocket handshake, server side. See wsupgrade.h.
 */
#include "proto/wsupgrade.h"

#include "proto/base64.h"
#include "proto/sha1.h"

#define KEY_LEN 24 /* 16 bytes in base64 */

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

static bool lists(const struct rc_http_request *r, const char *name, const char *token)
{
	struct rc_str value;
	uint32_t index = 0;

	while (rc_http_header_next(r, name, &index, &value)) {
		if (rc_http_list_has(value, token))
			return true;
	}
	return false;
}

int rc_ws_upgrade_check(const struct rc_http_request *r, struct rc_ws_upgrade *out)
{
	unsigned char nonce[16];

	*out = (struct rc_ws_upgrade){0};
	if (!rc_str_eq(r->method, RC_STR("GET")))
		return -405;
	/* RFC 9110, 7.8: an Upgrade in HTTP/1.0, or that Connection does not name, was not sent to us. */
	if (r->minor == 0 || !lists(r, "Connection", "upgrade") ||
		!lists(r, "Upgrade", "websocket"))
		return -426;
	if (rc_http_header_count(r, "Sec-WebSocket-Version") != 1 ||
		!rc_str_eq(rc_http_header_get(r, "Sec-WebSocket-Version"), RC_STR("13")))
		return -426;
	/* A body would be read as frames. */
	if (r->chunked || r->content_length > 0)
		return -400;
	out->key = rc_http_header_get(r, "Sec-WebSocket-Key");
	if (rc_http_header_count(r, "Sec-WebSocket-Key") != 1 || out->key.len != KEY_LEN ||
		rc_base64_decode(out->key, nonce, sizeof(nonce)) != sizeof(nonce))
		return -400;
	out->protocols = rc_http_header_get(r, "Sec-WebSocket-Protocol");
	out->extensions = rc_http_header_get(r, "Sec-WebSocket-Extensions");
	return 0;
}

size_t rc_ws_upgrade_answer(char *out, size_t cap, struct rc_str key, struct rc_str protocol)
{
	return rc_ws_upgrade_accept(out, cap, key, protocol, (struct rc_str){0});
}

size_t rc_ws_upgrade_accept(
	char *out, size_t cap, struct rc_str key, struct rc_str protocol, struct rc_str extensions)
{
	static const struct rc_str start = RC_STR("HTTP/1.1 101 Switching Protocols\r\n"
						  "Upgrade: websocket\r\n"
						  "Connection: Upgrade\r\n"
						  "Sec-WebSocket-Accept: ");
	char joined[KEY_LEN + sizeof(guid) - 1];
	unsigned char digest[RC_SHA1_LEN];
	char accept[28];
	struct rc_str parts[7] = {start, {accept, sizeof(accept)}, [6] = RC_STR("\r\n\r\n")};
	size_t len = 0;

	RC_ASSERT(key.len == KEY_LEN);
	memcpy(joined, key.ptr, KEY_LEN);
	memcpy(joined + KEY_LEN, guid, sizeof(guid) - 1);
	rc_sha1(joined, sizeof(joined), digest);
	rc_base64_encode(digest, sizeof(digest), accept);
	if (protocol.len > 0) {
		parts[2] = RC_STR("\r\nSec-WebSocket-Protocol: ");
		parts[3] = protocol;
	}
	if (extensions.len > 0) {
		parts[4] = RC_STR("\r\nSec-WebSocket-Extensions: ");
		parts[5] = extensions;
	}
	for (size_t i = 0; i < RC_ARRAY_LEN(parts); i++) {
		if (parts[i].len > cap - len)
			return 0;
		if (parts[i].len > 0)
			memcpy(out + len, parts[i].ptr, parts[i].len);
		len += parts[i].len;
	}
	return len;
}
