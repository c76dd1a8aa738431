/* SPDX-License-Identifier: Apache-2.0
 *
 * How to talk to one kind of server. A profile is an INI file; those of targets/ are built in (target_list.c). Read before the fork,
 * read-only after.
 *
 * A line is a comment (; or # first), [section], or key = value; the value goes to the end of its line without the blanks around it,
 * comments do not follow it. "text" below: bytes to look for in a message, with the escapes of templates (\x20 for a blank
 * at the end). Everything is optional but one url.
 *
 *   [target]
 *   name        = nats                        the file's name without .ini when absent
 *   about       = one line for --help
 *   [subscriber]
 *   url         = ws://127.0.0.1:8080/ws      ws wss (WebSocket), http https (SSE); {channel} may stand in the path
 *   protocol    = mqtt                        Sec-WebSocket-Protocol, none when absent
 *   header      = Name: value                 may be repeated
 *   frames      = text | binary               of what the client sends
 *   greeting    = INFO                        text to wait for after the upgrade, before anything is sent
 *   hello       = CONNECT {}\r\n              template, sent once after the upgrade
 *   welcome     = +OK                         text to wait for after hello
 *   subscribe   = SUB {channel} {n}\r\n       template, once per channel
 *   subscribed  = PONG                        text that acknowledges each subscribe; absent: nothing is waited for
 *   refused     = "type":"error"              text that means: not subscribed
 *   since       = ,"since":"{position}"       what {since} is when there is a position: {position} is put in; no template otherwise
 *   ping        = PING                        a server's ping at the level of messages (a whole message that begins so)
 *   pong        = PONG                        template: the answer to it
 *   gap         = "type":"gap"                text of a message by which the server tells of lost events; the number after "missed": is how many
 *   recover     = ringcast | none             how a position is read from what arrives: ringcast = "epoch@offset" of the acknowledgement, moved on by each event's "offset":
 *   echo_url    = ws://127.0.0.1:8080/echo    for the echo scenario; every message comes back as it is
 *   command     = {"type":"command","id":"{n}","action":"{payload}"}   for the command scenario, template: {n} is its number, {session} the client's
 *   inbox       = SUB inbox.{session}.* 1\r\n  template, sent once where answers come by a subscription; acknowledged by the text `subscribed`
 *   answer      = "id":"                   template: the number behind it, in front of an answer's data, is that of the command; {session} as above
 *   [publisher]
 *   url         = ingest://127.0.0.1:7400     ingest (the binary protocol, built in), tcp, tls, ws, wss, http, https (keep-alive; the same as
 *                                             tcp and tls with the usual ports: the event is the whole request)
 *   greeting hello welcome frames protocol header ping pong   as above
 *   event       = PUB {channel} {len}\r\n{payload}\r\n
 *   ack         = HTTP/1.1 20                 text that acknowledges one event, in order; absent: none are counted
 *   window      = 64                          events that may be unacknowledged (0 and absent: no bound)
 *   serve       = SUB commands 1\r\n          template: what a backend says to get commands; ingest has its own, as for the three below
 *   serving     = PONG                        text that acknowledges it
 *   reply       = PUB {channel} {len}\r\n{payload}\r\n    template: the answer to a command
 *   reply_to    = 4                           its {channel} is this word, from 1, of the line in front of the command's data
 */
#ifndef LOAD_TARGET_H
#define LOAD_TARGET_H

#include <netinet/in.h>
#include <stdio.h>

#include "base/base.h"
#include "base/error.h"
#include "template.h"

enum load_scheme {
	LOAD_INGEST,
	LOAD_TCP,
	LOAD_TLS,
	LOAD_WS,
	LOAD_WSS,
	LOAD_SSE,
	LOAD_SSES,
	LOAD_HTTP /* of a publisher; its https is LOAD_TLS */
};

/* The zero value is no URL: host is "". */
struct load_url {
	enum load_scheme scheme;
	char host[256]; /* as written, for Host: and SNI; an IPv6 address in its brackets */
	uint16_t port;
	char path[1024];                 /* with its query; may hold {channel} */
	struct sockaddr_storage address; /* resolved */
	socklen_t address_len;
};

/* Strings are NUL-terminated, owned by the target, "" when absent; so are templates, empty when absent. None is NULL. */
struct load_subscriber {
	struct load_url url, echo_url;
	const char *protocol, *headers; /* headers: whole lines with \r\n */
	bool binary, recover;
	const char *greeting, *welcome, *subscribed, *refused, *ping, *gap, *since;
	struct load_template *hello, *subscribe, *pong, *command, *inbox, *answer;
};

struct load_publisher_target {
	struct load_url url;
	const char *protocol, *headers;
	bool binary;
	const char *greeting, *welcome, *ack, *ping, *serving;
	struct load_template *hello, *event, *pong, *serve, *reply;
	uint32_t window, reply_to;
};

struct load_target {
	char name[64];
	char about[160];
	struct load_subscriber subscriber;
	struct load_publisher_target publisher;
};

/*
 * name_or_file: a built-in name, or a path (anything with a '/' or that ends in .ini). 0 or -errno with a sentence: unknown names list the
 * known ones, a wrong key names its line and the nearest known one. Hosts are resolved by load_target_resolve, after options
 * have overridden the URLs.
 */
int load_target_open(
	struct load_target **out, const char *name_or_file, struct rc_error *err) RC_MUST_USE;
void load_target_close(struct load_target *t);
/* The same from text, for tests; file is what errors call it. */
int load_target_parse(struct load_target **out, const char *file, struct rc_str text,
	struct rc_error *err) RC_MUST_USE;
/*
 * flag: what to call it in the sentence. Does not resolve. Without a port it is 80, 443 or 7400; tcp and tls need one. http and
 * https are LOAD_SSE and LOAD_SSES: what they are to a publisher is settled by load_target_resolve.
 */
int load_url_parse(
	struct load_url *out, const char *flag, const char *text, struct rc_error *err) RC_MUST_USE;
/* By the name service; IPv4 before IPv6. May wait. */
int load_url_resolve(struct load_url *url, const char *flag, struct rc_error *err) RC_MUST_USE;
/*
 * After options have overridden the URLs: settles the schemes (a publisher's LOAD_SSE becomes LOAD_HTTP, its LOAD_SSES LOAD_TLS), refuses
 * what can't work (a subscriber on tcp://, a publisher that has no event to send), and resolves every URL that there is.
 */
int load_target_resolve(struct load_target *t, struct rc_error *err) RC_MUST_USE;
/* The built-in ones, a line each. */
void load_target_list(FILE *out);

#endif
