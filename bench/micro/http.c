/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a request: as a browser sends it, as a bare client does, and with two KiB of cookies; and the whole of an
 * upgrade, the answer with its SHA-1 included.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proto/http1.h"
#include "proto/wsupgrade.h"
#include "shim.h"

#define ROUND 16u

static const char browser[] =
	"GET /ws?channel=orders%3Aeu HTTP/1.1\r\n"
	"Host: rt.example.org\r\n"
	"Connection: Upgrade\r\n"
	"Pragma: no-cache\r\n"
	"Cache-Control: no-cache\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
	"Upgrade: websocket\r\n"
	"Origin: https://app.example.org\r\n"
	"Sec-WebSocket-Version: 13\r\n"
	"Accept-Encoding: gzip, deflate, br, zstd\r\n"
	"Accept-Language: en-GB,en;q=0.9\r\n"
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

static const char bare[] = "GET /ws HTTP/1.1\r\n"
			   "Host: rt.example.org\r\n"
			   "Connection: Upgrade\r\n"
			   "Upgrade: websocket\r\n"
			   "Sec-WebSocket-Version: 13\r\n"
			   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

struct state {
	size_t len;
	char text[4096];
	struct rc_http_request parsed;
};

enum kind { BROWSER, BARE, COOKIES };

static void *state_open(uint64_t kind)
{
	struct state *s = micro_alloc(sizeof(*s));

	if (kind == COOKIES) {
		char cookies[2049];

		for (size_t i = 0; i < sizeof(cookies) - 1; i++)
			cookies[i] = (char)('a' + i % 26);
		cookies[sizeof(cookies) - 1] = '\0';
		(void)snprintf(s->text, sizeof(s->text), "%.*sCookie: %s\r\n\r\n",
			(int)sizeof(bare) - 3, bare, cookies);
	} else {
		(void)snprintf(s->text, sizeof(s->text), "%s", kind == BARE ? bare : browser);
	}
	s->len = strlen(s->text);
	return s;
}

static void parse(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < ROUND; i++)
		RC_ASSERT(rc_http_parse(s->text, s->len, 8192, &s->parsed) == 0);
}

static void upgrade(void *state)
{
	struct state *s = state;
	struct rc_ws_upgrade wanted;
	char answer[512];

	for (uint32_t i = 0; i < ROUND; i++) {
		RC_ASSERT(rc_http_parse(s->text, s->len, 8192, &s->parsed) == 0);
		RC_ASSERT(rc_ws_upgrade_check(&s->parsed, &wanted) == 0);
		micro_keep(rc_ws_upgrade_answer(
			answer, sizeof(answer), wanted.key, (struct rc_str){0}));
	}
}

const struct micro_case micro_http[] = {
	{"http/head/browser", BROWSER, ROUND, ROUND *(sizeof(browser) - 1), state_open, parse,
		free},
	{"http/head/bare", BARE, ROUND, ROUND *(sizeof(bare) - 1), state_open, parse, free},
	{"http/head/cookies", COOKIES, ROUND, ROUND * 2212, state_open, parse, free},
	{"http/upgrade", BROWSER, ROUND, ROUND *(sizeof(browser) - 1), state_open, upgrade, free},
	{0},
};
