/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening addresses from text and back.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "config/address.h"

bool rc_port_parse(struct rc_str text, uint16_t *port)
{
	uint32_t value = 0;

	if (text.len == 0 || text.len > 5)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		value = value * 10 + (uint32_t)(text.ptr[i] - '0');
	}
	if (value > UINT16_MAX)
		return false;
	*port = (uint16_t)value;
	return true;
}

static int refuse(const char **why, const char *reason)
{
	*why = reason;
	return -1;
}

int rc_address_parse(struct rc_address *a, struct rc_str text, const char **why)
{
	struct rc_address parsed = {0};
	const char *colon = text.len ? memrchr(text.ptr, ':', text.len) : NULL;
	struct rc_str host, port;
	char ip[INET6_ADDRSTRLEN];
	bool bracketed;

	if (!colon)
		return refuse(why, "must be HOST:PORT, for example 127.0.0.1:8080");
	host = (struct rc_str){text.ptr, (size_t)(colon - text.ptr)};
	port = (struct rc_str){colon + 1, text.len - host.len - 1};

	bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
	if (!bracketed && host.len && memchr(host.ptr, ':', host.len))
		return refuse(why, "an IPv6 address needs brackets, for example [::1]:8080");
	if (!rc_port_parse(port, &parsed.port))
		return refuse(why, "the port must be 0 to 65535, for example 127.0.0.1:8080");

	if (bracketed) {
		host.ptr++;
		host.len -= 2;
	}
	if (host.len == 0)
		return refuse(why, "the host is missing; *:PORT listens on every IPv4 address");
	if (!bracketed && rc_str_eq(host, RC_STR("*")))
		host = RC_STR("0.0.0.0");
	else if (!bracketed && rc_str_eq(host, RC_STR("localhost")))
		host = RC_STR("127.0.0.1");
	if (host.len >= sizeof(ip))
		return refuse(why, "the host must be an address in numbers, *, or localhost");
	memcpy(ip, host.ptr, host.len);
	ip[host.len] = 0;

	parsed.family = bracketed ? AF_INET6 : AF_INET;
	if (strlen(ip) != host.len || inet_pton(parsed.family, ip, parsed.ip) != 1)
		return refuse(
			why, bracketed ? "between the brackets must be an IPv6 address, "
					 "for example [::1]:8080"
				       : "the host must be an address in numbers, *, or localhost "
					 "(names are not looked up)");
	*a = parsed;
	return 0;
}

void rc_address_format(const struct rc_address *a, char out[RC_ADDRESS_TEXT_SIZE])
{
	char ip[INET6_ADDRSTRLEN] = "";

	inet_ntop(a->family, a->ip, ip, sizeof(ip));
	snprintf(out, RC_ADDRESS_TEXT_SIZE, a->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip,
		(unsigned)a->port);
}

/* The IPv4 address inside ::ffff:a.b.c.d, or NULL. */
static const uint8_t *mapped_ipv4(const struct rc_address *a)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(a->ip, prefix, sizeof(prefix)) == 0 ? a->ip + sizeof(prefix) : NULL;
}

bool rc_address_is_loopback(const struct rc_address *a)
{
	static const uint8_t one[16] = {[15] = 1};
	const uint8_t *ipv4;

	if (a->family == AF_INET)
		return a->ip[0] == 127;
	ipv4 = mapped_ipv4(a);
	return ipv4 ? ipv4[0] == 127 : memcmp(a->ip, one, sizeof(one)) == 0;
}

bool rc_address_collides(const struct rc_address *a, const struct rc_address *b)
{
	static const uint8_t any[16];
	size_t size = a->family == AF_INET6 ? 16 : 4;

	if (a->port == 0 || a->port != b->port || a->family != b->family)
		return false;
	return memcmp(a->ip, b->ip, size) == 0 || memcmp(a->ip, any, size) == 0 ||
	       memcmp(b->ip, any, size) == 0;
}

socklen_t rc_address_sockaddr(const struct rc_address *a, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (a->family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(a->port);
		memcpy(&in6->sin6_addr, a->ip, 16);
		return sizeof(*in6);
	}

	struct sockaddr_in *in = (struct sockaddr_in *)out;

	in->sin_family = AF_INET;
	in->sin_port = htons(a->port);
	memcpy(&in->sin_addr, a->ip, 4);
	return sizeof(*in);
}
