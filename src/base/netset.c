/* SPDX-License-Identifier: Apache-2.0 */
#include "base/netset.h"

#define MAPPED_BITS 96u /* of ::ffff:0:0/96, which is IPv4 */

static struct rc_netset_key key_of(const struct rc_netaddr *a)
{
	struct rc_netset_key k = {{a->family}};

	memcpy(k.bytes + 1, a->ip, a->family == 4 ? 4 : 16);
	return k;
}

static int order(const struct rc_netset_key *a, const struct rc_netset_key *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static uint32_t width(const struct rc_netaddr *a)
{
	return a->family == 4 ? 32 : 128;
}

/* The last address of the net; false: a bit behind the prefix is set in the first. */
static bool last_of(const struct rc_netaddr *net, uint32_t bits, struct rc_netset_key *last)
{
	*last = key_of(net);
	for (uint32_t bit = bits; bit < width(net); bit++) {
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);

		if (net->ip[bit / 8] & mask)
			return false;
		last->bytes[1 + bit / 8] |= mask;
	}
	return true;
}

/* Into its place, one with those that it overlaps. */
static bool insert(struct rc_netset *s, struct rc_netset_key first, struct rc_netset_key last)
{
	uint32_t from = 0, to;

	while (from < s->count && order(&s->at[from].last, &first) < 0)
		from++;
	for (to = from; to < s->count && order(&s->at[to].first, &last) <= 0; to++) {
		if (order(&s->at[to].first, &first) < 0)
			first = s->at[to].first;
		if (order(&s->at[to].last, &last) > 0)
			last = s->at[to].last;
	}
	if (to == from && s->count == RC_NETSET_MAX)
		return false;
	memmove(&s->at[from + 1], &s->at[to], (s->count - to) * sizeof(s->at[0]));
	s->count = s->count + 1 - (to - from);
	s->at[from].first = first;
	s->at[from].last = last;
	return true;
}

/* NULL, or what is wrong. */
static const char *add_net(struct rc_netset *s, struct rc_str word)
{
	const char *slash = memchr(word.ptr, '/', word.len);
	struct rc_str address = {word.ptr, slash ? (size_t)(slash - word.ptr) : word.len};
	struct rc_netaddr net;
	struct rc_netset_key last;
	uint16_t bits;

	if (!rc_netaddr_parse(address, &net))
		return "is no address; write 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, loopback or private";
	bits = (uint16_t)width(&net);
	if (slash) {
		struct rc_str number = {slash + 1, word.len - address.len - 1};
		bool mapped = net.family == 4 && memchr(address.ptr, ':', address.len);

		if (!rc_netaddr_parse_port(number, &bits))
			return "has no number of bits behind the slash";
		if (mapped && bits < MAPPED_BITS)
			return "is a net of IPv4 addresses written as IPv6; write it as IPv4";
		bits = (uint16_t)(bits - (mapped ? MAPPED_BITS : 0));
		if (bits > width(&net))
			return "has more bits than the address";
	}
	if (!last_of(&net, bits, &last))
		return "has bits set behind its prefix; a net is written with its first address";
	return insert(s, key_of(&net), last) ? NULL : "is one too many; 512 can be listed";
}

static const char *add_word(struct rc_netset *s, struct rc_str word)
{
	static const char *const loopback[] = {"127.0.0.0/8", "::1", NULL};
	static const char *const private[] = {
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", NULL};
	const char *const *nets = rc_str_eq(word, RC_STR("loopback"))  ? loopback
				  : rc_str_eq(word, RC_STR("private")) ? private
								       : NULL;
	const char *why = NULL;

	if (!nets)
		return add_net(s, word);
	for (; *nets && !why; nets++)
		why = add_net(s, rc_str_of(*nets));
	return why;
}

static bool separates(char c)
{
	return c == ' ' || c == ',' || c == '\t' || c == '\r' || c == '\n';
}

bool rc_netset_add(struct rc_netset *s, struct rc_str text, struct rc_str *bad, const char **why)
{
	for (size_t i = 0; i < text.len;) {
		if (text.ptr[i] == '#') {
			while (i < text.len && text.ptr[i] != '\n')
				i++;
			continue;
		}
		if (separates(text.ptr[i])) {
			i++;
			continue;
		}
		*bad = (struct rc_str){text.ptr + i, 0};
		while (i < text.len && !separates(text.ptr[i]) && text.ptr[i] != '#') {
			i++;
			bad->len++;
		}
		*why = add_word(s, *bad);
		if (*why)
			return false;
	}
	return true;
}

bool rc_netset_has(const struct rc_netset *s, const struct rc_netaddr *a)
{
	struct rc_netset_key k;
	uint32_t low = 0, high = s->count;

	if (!a->family || !s->count)
		return false;
	k = key_of(a);
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (order(&s->at[mid].last, &k) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->count && order(&s->at[low].first, &k) <= 0;
}

bool rc_netset_has_all(const struct rc_netset *s)
{
	for (uint32_t i = 0; i < s->count; i++) {
		struct rc_netaddr zero = {.family = s->at[i].first.bytes[0]};
		struct rc_netset_key first = key_of(&zero), last;

		(void)last_of(&zero, 0, &last);
		if (order(&s->at[i].first, &first) == 0 && order(&s->at[i].last, &last) == 0)
			return true;
	}
	return false;
}
