/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of source addresses, and how many are needed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>

#include "sources.h"

/* A closed connection keeps its port so long (TIME_WAIT). */
#define PORT_REST_SECONDS 60
/* Not all ports are free, and the last ones are found slowly. */
#define USABLE_SHARE 0.9

static int refuse(struct rc_error *err, const char *text)
{
	rc_error_set(err,
		"--sources: '%.60s' is no list of IPv4 addresses such as 127.0.0.1-127.0.0.8 or "
		"10.0.0.1,10.0.0.2",
		text);
	return -EINVAL;
}

static bool address_read(const char *text, size_t len, uint32_t *out)
{
	char word[INET_ADDRSTRLEN];
	struct in_addr in;

	if (len >= sizeof(word))
		return false;
	memcpy(word, text, len);
	word[len] = 0;
	if (inet_pton(AF_INET, word, &in) != 1)
		return false;
	*out = ntohl(in.s_addr);
	return true;
}

int load_sources_parse(struct load_plan *plan, const char *text, struct rc_error *err)
{
	plan->sources = 0;
	for (const char *at = text;; at++) {
		size_t len = strcspn(at, ",");
		const char *dash = memchr(at, '-', len);
		size_t first_len = dash ? (size_t)(dash - at) : len;
		uint32_t first, last;

		if (!address_read(at, first_len, &first))
			return refuse(err, text);
		last = first;
		if (dash && (!address_read(dash + 1, len - first_len - 1, &last) || last < first))
			return refuse(err, text);
		if (last - first >= LOAD_SOURCES_MAX - plan->sources) {
			rc_error_set(err, "--sources: more than %d addresses; say fewer",
				LOAD_SOURCES_MAX);
			return -EINVAL;
		}
		for (uint32_t n = 0; n <= last - first; n++)
			plan->source[plan->sources++].s_addr = htonl(first + n);
		at += len;
		if (!*at)
			return 0;
	}
}

uint32_t load_local_ports(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned low = 32768, high = 60999;

	if (file) {
		if (fscanf(file, "%u %u", &low, &high) != 2 || high < low || high > 65535) {
			low = 32768;
			high = 60999;
		}
		fclose(file);
	}
	return high - low + 1;
}

static const struct load_url *client_url(const struct load_plan *plan)
{
	for (uint32_t g = 0; g < plan->groups; g++)
		if (plan->group[g].clients && plan->group[g].echo)
			return &plan->target->subscriber.echo_url;
	return &plan->target->subscriber.url;
}

static bool loopback(const struct load_url *url)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&url->address;

	return url->address.ss_family == AF_INET && ntohl(in->sin_addr.s_addr) >> 24 == 127;
}

/* Ports that the run can occupy at once. */
static double ports_needed(const struct load_plan *plan)
{
	double length = RC_MIN(plan->warm + plan->seconds + plan->drain, PORT_REST_SECONDS * 1.0);
	double needed = 0;

	for (uint32_t i = 0; i < plan->groups; i++) {
		const struct load_group *g = &plan->group[i];

		needed += g->clients + g->churn_per_second * length;
		if (g->storm_after_seconds > 0)
			needed += g->clients;
	}
	return needed;
}

int load_sources_fit(struct load_plan *plan, uint32_t ports, struct rc_error *err)
{
	const struct load_url *url = client_url(plan);
	double each = ports * USABLE_SHARE;
	double addresses = ceil(ports_needed(plan) / each);
	uint32_t have = RC_MAX(plan->sources, 1u);

	if (plan->sources && url->address.ss_family == AF_INET6) {
		rc_error_set(err,
			"--sources are IPv4 addresses and the server's is IPv6; leave them out, "
			"or give --url an IPv4 address");
		return -EINVAL;
	}
	if (addresses <= have)
		return 0;
	if (plan->sources == 0 && loopback(url) && addresses <= LOAD_SOURCES_MAX) {
		plan->sources = (uint32_t)addresses;
		for (uint32_t i = 0; i < plan->sources; i++)
			plan->source[i].s_addr = htonl(0x7f000001u + i);
		return 0;
	}
	rc_error_set(err,
		"%.0f connections need %.0f source addresses, for one has %u ports "
		"(net.ipv4.ip_local_port_range): name more with --sources, widen the range, or ask for "
		"fewer clients",
		ports_needed(plan), addresses, ports);
	return -EADDRNOTAVAIL;
}
