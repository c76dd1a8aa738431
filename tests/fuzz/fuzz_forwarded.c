/* SPDX-License-Identifier: Apache-2.0
 *
 * X-Forwarded-For and Forwarded from arbitrary values, a line of the header for each line of the input. Properties: what is found
 * is the peer, where he is not trusted; whoever is found told by somebody trusted stands in the text; and whatever a client
 * writes in front of what a trusted proxy adds changes nothing of what is found.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proto/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rc_netset trusted;
static struct rc_netaddr proxy, stranger, client;

static void prepare(void)
{
	struct rc_str bad;
	const char *why;

	if (trusted.count)
		return;
	RC_ASSERT(rc_netset_add(&trusted, RC_STR("10.0.0.0/8 2001:db8::/32"), &bad, &why));
	RC_ASSERT(rc_netaddr_parse(RC_STR("10.0.0.1"), &proxy));
	RC_ASSERT(rc_netaddr_parse(RC_STR("192.0.2.1"), &stranger));
	RC_ASSERT(rc_netaddr_parse(RC_STR("198.51.100.7"), &client));
}

static bool same(const struct rc_netaddr *a, const struct rc_netaddr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void add(struct rc_http_request *r, const char *name, const char *value, size_t len)
{
	if (r->header_count < RC_HTTP_HEADERS_MAX)
		r->header[r->header_count++] =
			(struct rc_http_header){rc_str_of(name), {value, len}};
}

static void check(enum rc_forwarded_header header, const char *text, size_t size)
{
	static struct rc_http_request r;
	const char *name = header == RC_FORWARDED ? "Forwarded" : "X-Forwarded-For";
	const char *told = header == RC_FORWARDED ? "for=198.51.100.7" : "198.51.100.7";
	char *last;
	size_t at = 0, from = 0;

	r.header_count = 0;
	for (at = 0; at < size && r.header_count < 8; at++) {
		if (text[at] != '\n')
			continue;
		add(&r, name, text + from, at - from);
		from = at + 1;
	}
	add(&r, name, text + from, size - from);
	struct rc_forwarded f = rc_forwarded_read(&r, header, &trusted, stranger);
	RC_ASSERT(same(&f.client, &stranger) && f.scheme == RC_SCHEME_UNKNOWN);
	f = rc_forwarded_read(&r, header, &trusted, proxy);
	RC_ASSERT(f.client.family == 4 || f.client.family == 6);
	/* In a line of its own, and at the end of the client's. */
	add(&r, name, told, strlen(told));
	f = rc_forwarded_read(&r, header, &trusted, proxy);
	RC_ASSERT(same(&f.client, &client));
	r.header_count--;
	last = malloc(size - from + 2 + strlen(told));
	RC_ASSERT(last);
	memcpy(last, text + from, size - from);
	memcpy(last + size - from, ", ", 2);
	memcpy(last + size - from + 2, told, strlen(told));
	r.header[r.header_count - 1].value = (struct rc_str){last, size - from + 2 + strlen(told)};
	f = rc_forwarded_read(&r, header, &trusted, proxy);
	RC_ASSERT(same(&f.client, &client));
	free(last);
}

static void check_node(const char *text, size_t size)
{
	struct rc_netaddr a, again;
	char out[RC_NETADDR_TEXT];

	if (!rc_forwarded_node((struct rc_str){text, size}, &a))
		return;
	RC_ASSERT(a.family == 4 || a.family == 6);
	size_t len = rc_netaddr_format(&a, out);
	RC_ASSERT(rc_forwarded_node((struct rc_str){out, len}, &again) && same(&a, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	prepare();
	if (size > 4096)
		return 0;
	char *text = malloc(size + (size == 0));
	RC_ASSERT(text);
	memcpy(text, data, size);
	check(RC_X_FORWARDED_FOR, text, size);
	check(RC_FORWARDED, text, size);
	check_node(text, size);
	free(text);
	return 0;
}
