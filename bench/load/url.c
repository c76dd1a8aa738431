/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses of servers: text to parts, and parts to a socket address.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <strings.h>

#include "config/address.h"
#include "target.h"

static const struct scheme {
	const char *name;
	enum load_scheme scheme;
	uint16_t port; /* 0: has to be given */
	bool has_path;
} schemes[] = {
	{"ws", LOAD_WS, 80, true},
	{"wss", LOAD_WSS, 443, true},
	{"http", LOAD_SSE, 80, true},
	{"https", LOAD_SSES, 443, true},
	{"ingest", LOAD_INGEST, 7400, false},
	{"tcp", LOAD_TCP, 0, false},
	{"tls", LOAD_TLS, 0, false},
};

static const struct scheme *find_scheme(struct rc_str name)
{
	for (size_t i = 0; i < RC_ARRAY_LEN(schemes); i++)
		if (strlen(schemes[i].name) == name.len &&
			!strncasecmp(schemes[i].name, name.ptr, name.len))
			return &schemes[i];
	return NULL;
}

static bool is_host_name(struct rc_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			c != '.' && c != '-' && c != '_')
			return false;
	}
	return s.len > 0;
}

/* What getaddrinfo is asked: without the brackets. */
static void bare_host(char out[256], const char *host)
{
	size_t len = strlen(host);
	bool bracketed = len >= 2 && host[0] == '[';

	snprintf(out, 256, "%.*s", (int)(bracketed ? len - 2 : len), host + (bracketed ? 1 : 0));
}

static bool take_port(struct rc_str text, uint16_t *port)
{
	return rc_port_parse(text, port) && *port > 0;
}

/* A sentence, or NULL. */
static const char *take_authority(
	struct load_url *url, struct rc_str authority, const struct scheme *s)
{
	struct in6_addr ipv6;
	const char *end = authority.len && authority.ptr[0] == '['
				  ? memchr(authority.ptr, ']', authority.len)
				  : memchr(authority.ptr, ':', authority.len);
	struct rc_str host = authority, rest;
	char bare[256];

	if (memchr(authority.ptr, '@', authority.len))
		return "user names have no place in it; put what the server wants into a header";
	if (end)
		host.len = (size_t)(end - authority.ptr) + (*end == ']' ? 1 : 0);
	if (host.len >= sizeof(url->host))
		return "the host is longer than 255 bytes";
	rc_str_copy(url->host, host);
	bare_host(bare, url->host);
	if (host.len && host.ptr[0] == '[') {
		if (!end || inet_pton(AF_INET6, bare, &ipv6) != 1)
			return "between the brackets must be an IPv6 address, such as [::1]";
	} else if (!is_host_name(host)) {
		return "the host must be a name, an IPv4 address, or an IPv6 address in brackets";
	}
	rest = (struct rc_str){authority.ptr + host.len, authority.len - host.len};
	url->port = s->port;
	if (rest.len == 0)
		return s->port ? NULL : "this scheme has no usual port; write HOST:PORT";
	if (rest.ptr[0] != ':' ||
		!take_port((struct rc_str){rest.ptr + 1, rest.len - 1}, &url->port))
		return "the port must be 1 to 65535, and an IPv6 address needs brackets";
	return NULL;
}

static const char *take_path(struct load_url *url, struct rc_str path, const struct scheme *s)
{
	bool rooted = path.len && path.ptr[0] == '/';
	size_t len = path.len + (rooted ? 0 : 1);

	if (!s->has_path)
		return path.len == 0 || rc_str_eq(path, RC_STR("/"))
			       ? NULL
			       : "this scheme has no path; end behind the port";
	if (len >= sizeof(url->path))
		return "the path is longer than 1023 bytes";
	url->path[0] = '/';
	rc_str_copy(url->path + len - path.len, path);
	for (const char *p = url->path; *p; p++) {
		if (*p <= ' ' || *p > '~' || *p == '#')
			return "blanks, fragments and bytes beyond ASCII must be written as %HH";
		if ((*p == '{' && strncmp(p, "{channel}", 9) != 0) ||
			(*p == '}' && (p - url->path < 8 || strncmp(p - 8, "{channel}", 9) != 0)))
			return "only {channel} may stand in braces here";
	}
	return NULL;
}

int load_url_parse(struct load_url *out, const char *flag, const char *text, struct rc_error *err)
{
	const char *mark = strstr(text, "://");
	struct load_url url = {0};
	const struct scheme *s = NULL;
	const char *rest, *why;
	size_t len;

	if (mark)
		s = find_scheme((struct rc_str){text, (size_t)(mark - text)});
	if (!s) {
		rc_error_set(err,
			"%s = %.200s must begin with ws:// wss:// http:// https:// ingest:// "
			"tcp:// or tls://",
			flag, text);
		return -EINVAL;
	}
	url.scheme = s->scheme;
	rest = mark + 3;
	len = strcspn(rest, "/?#");
	why = take_authority(&url, (struct rc_str){rest, len}, s);
	if (!why)
		why = take_path(&url, rc_str_of(rest + len), s);
	if (why) {
		rc_error_set(err, "%s = %.200s can't be used: %s", flag, text, why);
		return -EINVAL;
	}
	*out = url;
	return 0;
}

/* IPv4 before IPv6: source addresses are IPv4, and servers on "localhost" often listen there only. */
static const struct addrinfo *preferred(const struct addrinfo *list)
{
	for (const struct addrinfo *a = list; a; a = a->ai_next)
		if (a->ai_family == AF_INET)
			return a;
	return list;
}

int load_url_resolve(struct load_url *url, const char *flag, struct rc_error *err)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC, .ai_flags = AI_NUMERICSERV};
	const struct addrinfo *best;
	struct addrinfo *list = NULL;
	char host[256], port[8];
	int rc;

	bare_host(host, url->host);
	snprintf(port, sizeof(port), "%u", url->port);
	rc = getaddrinfo(host, port, &hints, &list);
	best = rc == 0 ? preferred(list) : NULL;
	if (!best || best->ai_addrlen > sizeof(url->address)) {
		rc_error_set(err,
			"%s: host '%s' can't be resolved: %s; check its spelling or write its "
			"address in numbers",
			flag, host, rc ? gai_strerror(rc) : "no address");
		freeaddrinfo(list);
		return -EHOSTUNREACH;
	}
	memcpy(&url->address, best->ai_addr, best->ai_addrlen);
	url->address_len = best->ai_addrlen;
	freeaddrinfo(list);
	return 0;
}
