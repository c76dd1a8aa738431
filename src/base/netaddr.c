/* SPDX-License-Identifier: Apache-2.0 */
#include "base/netaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void take_v6(struct rc_netaddr *n, const void *ip)
{
	if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
		n->family = 4;
		memcpy(n->ip, (const uint8_t *)ip + sizeof(mapped), 4);
		return;
	}
	n->family = 6;
	memcpy(n->ip, ip, 16);
}

struct rc_netaddr rc_netaddr_make(uint8_t family, const void *ip, uint16_t port)
{
	struct rc_netaddr n = {.port = port};

	if (family == 6) {
		take_v6(&n, ip);
	} else {
		n.family = 4;
		memcpy(n.ip, ip, 4);
	}
	return n;
}

struct rc_netaddr rc_netaddr_of(const struct sockaddr *a)
{
	struct rc_netaddr n = {0};

	if (a->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)a;
		n.family = 4;
		n.port = ntohs(in->sin_port);
		memcpy(n.ip, &in->sin_addr, 4);
	} else if (a->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const void *)a;
		n.port = ntohs(in->sin6_port);
		take_v6(&n, &in->sin6_addr);
	}
	return n;
}

size_t rc_netaddr_format(const struct rc_netaddr *a, char out[RC_NETADDR_TEXT])
{
	char ip[INET6_ADDRSTRLEN];
	int len;

	if (!a->family || !inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, ip, sizeof(ip))) {
		memcpy(out, "?", 2);
		return 1;
	}
	if (!a->port)
		len = snprintf(out, RC_NETADDR_TEXT, "%s", ip);
	else
		len = snprintf(
			out, RC_NETADDR_TEXT, a->family == 4 ? "%s:%u" : "[%s]:%u", ip, a->port);
	return (size_t)len;
}

bool rc_netaddr_parse(struct rc_str text, struct rc_netaddr *out)
{
	char copy[INET6_ADDRSTRLEN];
	uint8_t ip[16];

	memset(out, 0, sizeof(*out));
	if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, 0, text.len))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	if (inet_pton(AF_INET, copy, ip) == 1) {
		out->family = 4;
		memcpy(out->ip, ip, 4);
		return true;
	}
	if (inet_pton(AF_INET6, copy, ip) != 1)
		return false;
	take_v6(out, ip);
	return true;
}

bool rc_netaddr_parse_port(struct rc_str text, uint16_t *port)
{
	uint32_t value = 0;

	if (text.len == 0 || text.len > 5 || (text.len > 1 && text.ptr[0] == '0'))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		value = value * 10 + (uint32_t)(text.ptr[i] - '0');
	}
	*port = (uint16_t)value;
	return value <= UINT16_MAX;
}

bool rc_netaddr_within(const struct rc_netaddr *a, const struct rc_netaddr *net, uint32_t bits)
{
	uint32_t whole = bits / 8, rest = bits % 8;

	if (!a->family || a->family != net->family || bits > (a->family == 4 ? 32u : 128u))
		return false;
	if (memcmp(a->ip, net->ip, whole) != 0)
		return false;
	return rest == 0 || ((a->ip[whole] ^ net->ip[whole]) >> (8 - rest)) == 0;
}
