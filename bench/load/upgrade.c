/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's side of the WebSocket handshake. See upgrade.h.
 */
#include "upgrade.h"

#include <errno.h>
#include <stdio.h>

#include "base/random.h"
#include "proto/base64.h"
#include "proto/http1.h"
#include "proto/sha1.h"

#define ACCEPT_LEN 28

void load_upgrade_key(char key[LOAD_UPGRADE_KEY_LEN], uint64_t seed)
{
	struct rc_prng prng;
	uint64_t nonce[2];

	rc_prng_seed(&prng, seed);
	nonce[0] = rc_prng_next(&prng);
	nonce[1] = rc_prng_next(&prng);
	(void)rc_base64_encode(nonce, sizeof(nonce), key);
}

size_t load_upgrade_request(char *out, size_t cap, const struct load_url *url, const char *path,
	const char *protocol, const char *headers, const char key[LOAD_UPGRADE_KEY_LEN])
{
	bool named = protocol[0] != '\0';
	int len = snprintf(out, cap,
		"GET %s HTTP/1.1\r\nHost: %s:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %.*s\r\n%s%s%s%s\r\n",
		path[0] != '\0' ? path : "/", url->host, (unsigned)url->port, LOAD_UPGRADE_KEY_LEN,
		key, named ? "Sec-WebSocket-Protocol: " : "", protocol, named ? "\r\n" : "",
		headers);

	return len > 0 && (size_t)len < cap ? (size_t)len : 0;
}

/* The answer's first line, as far as it can be shown. */
static int refused(struct rc_str bytes, struct rc_error *err)
{
	char line[120];
	size_t len = 0;

	while (len < bytes.len && len < sizeof(line) - 1 && bytes.ptr[len] != '\r' &&
		bytes.ptr[len] != '\n') {
		line[len] = bytes.ptr[len] >= ' ' && bytes.ptr[len] <= '~' ? bytes.ptr[len] : '?';
		len++;
	}
	line[len] = '\0';
	rc_error_set(err,
		"the server refused the WebSocket: %s. See that the URL's path, the subprotocol and "
		"the headers of the target are those that it expects",
		line);
	return -EPROTO;
}

static struct rc_str trimmed(struct rc_str s)
{
	while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static bool accepts(struct rc_str head, const char key[LOAD_UPGRADE_KEY_LEN])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char joined[LOAD_UPGRADE_KEY_LEN + sizeof(guid) - 1], wanted[ACCEPT_LEN];
	unsigned char digest[RC_SHA1_LEN];
	const char *at = head.ptr, *end = head.ptr + head.len;

	memcpy(joined, key, LOAD_UPGRADE_KEY_LEN);
	memcpy(joined + LOAD_UPGRADE_KEY_LEN, guid, sizeof(guid) - 1);
	rc_sha1(joined, sizeof(joined), digest);
	(void)rc_base64_encode(digest, sizeof(digest), wanted);
	while (at < end) {
		const char *line = memchr(at, '\n', (size_t)(end - at));
		const char *next = line != NULL ? line + 1 : end;
		const char *stop = next;
		const char *colon;

		while (stop > at && (stop[-1] == '\n' || stop[-1] == '\r'))
			stop--;
		colon = memchr(at, ':', (size_t)(stop - at));
		if (colon != NULL && rc_http_same((struct rc_str){at, (size_t)(colon - at)},
					     RC_STR("Sec-WebSocket-Accept")))
			return rc_str_eq(
				trimmed((struct rc_str){colon + 1, (size_t)(stop - colon - 1)}),
				(struct rc_str){wanted, sizeof(wanted)});
		at = next;
	}
	return false;
}

int load_upgrade_answer(
	struct rc_str bytes, const char key[LOAD_UPGRADE_KEY_LEN], struct rc_error *err)
{
	static const struct rc_str http = RC_STR("HTTP/1.1 101");
	size_t known = RC_MIN(bytes.len, http.len);
	const char *blank;

	if (known == 0)
		return 0;
	if (memcmp(bytes.ptr, http.ptr, RC_MIN(known, (size_t)5)) != 0) {
		rc_error_set(err,
			"what answers there does not speak HTTP. See that the URL names the port of a "
			"WebSocket server, and ws or wss as that port wants it");
		return -EPROTO;
	}
	/* A refusal is shown as soon as its first line is whole: its body is nobody's concern. */
	if (memcmp(bytes.ptr, http.ptr, known) != 0) {
		if (memchr(bytes.ptr, '\n', bytes.len) == NULL && bytes.len < LOAD_UPGRADE_HEAD_MAX)
			return 0;
		return refused(bytes, err);
	}
	blank = memmem(bytes.ptr, bytes.len, "\r\n\r\n", 4);
	if (blank == NULL) {
		if (bytes.len < LOAD_UPGRADE_HEAD_MAX)
			return 0;
		rc_error_set(err,
			"the server's answer to the WebSocket handshake does not end "
			"within %d bytes. See that the URL names a WebSocket server",
			LOAD_UPGRADE_HEAD_MAX);
		return -EPROTO;
	}
	bytes.len = (size_t)(blank + 4 - bytes.ptr);
	if (!accepts(bytes, key)) {
		rc_error_set(err,
			"the server's answer to the WebSocket handshake carries a wrong or no "
			"Sec-WebSocket-Accept. See that no cache stands between");
		return -EPROTO;
	}
	return (int)bytes.len;
}
