/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers, durations, addresses and texts of the command line; the contract is in args.h.
 */
#include "cli/args.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "base/utf8.h"

#define DAY_MS 86400000u

bool rc_args_number(const char *text, uint64_t max, uint64_t *out)
{
	if (text == NULL || text[0] == '\0' || strspn(text, "0123456789") < strlen(text))
		return false;
	errno = 0;
	*out = strtoull(text, NULL, 10);
	return errno == 0 && *out <= max;
}

bool rc_args_duration(const char *text, int *ms)
{
	static const struct {
		const char *unit;
		uint32_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 8)
		return false;
	uint64_t n = strtoull(text, NULL, 10);
	for (size_t u = 0; u < RC_ARRAY_LEN(units); u++) {
		if (strcmp(text + digits, units[u].unit) != 0)
			continue;
		n *= units[u].ms;
		if (n == 0 || n > DAY_MS)
			return false;
		*ms = (int)n;
		return true;
	}
	return false;
}

bool rc_args_server(const char *text, char host[RC_ARGS_HOST_SIZE], uint16_t *port)
{
	const char *colon = strrchr(text, ':');

	if (colon == NULL)
		return false;
	size_t len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	} else if (memchr(text, ':', len) != NULL) {
		return false;
	}
	size_t digits = strspn(colon + 1, "0123456789");
	if (len == 0 || len >= RC_ARGS_HOST_SIZE || digits == 0 || digits > 5 ||
		colon[1 + digits] != '\0')
		return false;
	unsigned long n = strtoul(colon + 1, NULL, 10);
	if (n == 0 || n > UINT16_MAX)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	*port = (uint16_t)n;
	return true;
}

const char *rc_args_behind(const char *scheme, const char *text)
{
	size_t len = strlen(scheme);

	return strncasecmp(text, scheme, len) == 0 ? text + len : NULL;
}

bool rc_args_tls_take(struct rc_args_tls *t, int option, const char *argument)
{
	switch (option) {
	case RC_ARGS_CA:
		t->ca = argument;
		return true;
	case RC_ARGS_CERT:
		t->certificate = argument;
		return true;
	case RC_ARGS_KEY:
		t->key = argument;
		return true;
	case RC_ARGS_SERVER_NAME:
		t->name = argument;
		return true;
	case RC_ARGS_INSECURE:
		t->insecure = true;
		return true;
	default:
		return false;
	}
}

const char *rc_args_tls_wrong(const struct rc_args_tls *t, bool tls)
{
	if (!tls && (t->ca || t->certificate || t->key || t->name || t->insecure))
		return "--ca, --cert, --key, --server-name and --insecure are for TLS";
	if (t->key && !t->certificate)
		return "--key is nothing without --cert";
	if (t->name && (*t->name == '\0' || strlen(t->name) >= RC_ARGS_HOST_SIZE))
		return "--server-name is a name or an address";
	if (t->insecure && t->ca)
		return "--ca and --insecure contradict each other; give one";
	return NULL;
}

bool rc_args_printable(struct rc_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		unsigned char next = i + 1 < text.len ? (unsigned char)text.ptr[i + 1] : 0;

		/* C2 80 to C2 9F steer a terminal as well. */
		if ((c < 0x20 && c != '\t') || c == 0x7f || (c == 0xc2 && next < 0xa0))
			return false;
	}
	return rc_utf8_valid(text.ptr, text.len);
}
