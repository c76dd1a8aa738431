/* SPDX-License-Identifier: Apache-2.0 */
#include "config/edgerules.h"

#include <errno.h>
#include <stdlib.h>

#include "config/listeners.h"

#define FILE_MAX (64u << 10) /* 512 nets with a word on each */

/* ---- proxies ------------------------------------------------------------------------------------ */

static void add_list(
	struct rc_config *c, struct rc_str text, const char *where, struct rc_config_report *r)
{
	struct rc_str bad;
	const char *why;

	if (!rc_netset_add(&c->trusted, text, &bad, &why))
		rc_config_report_error(
			r, "%s: '%.*s' %s", where, (int)RC_MIN(bad.len, (size_t)60), bad.ptr, why);
}

static void add_file(struct rc_config *c, struct rc_config_report *r)
{
	const char *path = c->trusted_proxies_file;
	char *text = malloc(FILE_MAX + 1);
	FILE *in = text ? fopen(path, "re") : NULL;
	char where[RC_CONFIG_TEXT_SIZE + 32];
	size_t len;

	if (!in) {
		rc_config_report_error(r, "cannot open trusted_proxies_file %s: %s", path,
			text ? strerror(errno) : "out of memory");
		free(text);
		return;
	}
	errno = 0;
	len = fread(text, 1, FILE_MAX + 1, in);
	(void)snprintf(where, sizeof(where), "trusted_proxies_file %s", path);
	if (ferror(in))
		rc_config_report_error(r, "cannot read %s: %s", where, strerror(errno));
	else if (len > FILE_MAX)
		rc_config_report_error(r, "%s is larger than 64 KiB", where);
	else
		add_list(c, (struct rc_str){text, len}, where, r);
	fclose(in);
	free(text);
}

static void check_proxies(struct rc_config *c, struct rc_config_report *r)
{
	struct rc_config_listener open[RC_CONFIG_LISTENERS_MAX];
	uint32_t count = rc_config_listeners(c, open), errors = r->errors;

	memset(&c->trusted, 0, sizeof(c->trusted));
	add_list(c, rc_str_of(c->trusted_proxies), "[server] trusted_proxies", r);
	if (c->trusted_proxies_file[0])
		add_file(c, r);
	if (r->errors != errors)
		return;
	if (rc_netset_has_all(&c->trusted))
		rc_config_report_warning(r,
			"trusted_proxies holds every address there is: everybody can say that he is "
			"somebody else");
	for (uint32_t i = 0; i < count; i++) {
		if (open[i].proxy == RC_CONFIG_PROXY_OFF || c->trusted.count)
			continue;
		rc_config_report_error(r,
			"[%s] %s = %s believes nobody while trusted_proxies is empty: set "
			"trusted_proxies in [server] to the addresses of the proxies, or %s = off",
			open[i].section, open[i].proxy_key,
			open[i].proxy == RC_CONFIG_PROXY_OPTIONAL ? "optional" : "required",
			open[i].proxy_key);
	}
}

/* ---- origins ------------------------------------------------------------------------------------ */

static bool next_origin(char **rest, struct rc_str *origin)
{
	*rest += strspn(*rest, " ,");
	*origin = (struct rc_str){*rest, strcspn(*rest, " ,")};
	*rest += origin->len;
	return origin->len != 0;
}

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Takes the scheme and what follows it off the front. */
static bool take_scheme(struct rc_str *rest, struct rc_str *scheme)
{
	const char *colon = memchr(rest->ptr, ':', rest->len);

	if (!colon)
		return false;
	*scheme = (struct rc_str){rest->ptr, (size_t)(colon - rest->ptr)};
	for (size_t i = 0; i < scheme->len; i++) {
		if (!is_alphanumeric(scheme->ptr[i]) && (i == 0 || !strchr("+-.", scheme->ptr[i])))
			return false;
	}
	rest->ptr += scheme->len;
	rest->len -= scheme->len;
	if (!scheme->len || !rc_str_starts(*rest, RC_STR("://")))
		return false;
	rest->ptr += 3;
	rest->len -= 3;
	return true;
}

/* NULL, or what is wrong with a name whose first part may be a star. */
static const char *bad_name(struct rc_str name)
{
	size_t part = 0, parts = 1;
	bool star = rc_str_starts(name, RC_STR("*."));

	for (size_t i = star ? 2 : 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (c == '*')
			return "has a * that does not stand for the whole first part of the name";
		if (c == '@')
			return "names a user; an origin is scheme://host or scheme://host:port";
		if (c != '.' && c != '-' && c != '_' && !is_alphanumeric(c))
			return c & 0x80
				       ? "has letters that browsers write as xn--…; write it so too"
				       : "is no scheme://host or scheme://host:port, without a path "
					 "or a slash at the end";
		if (c == '.' && (part == 0 || i + 1 == name.len))
			return "has an empty part in its name, or a dot at its end";
		parts += c == '.';
		part = c == '.' ? 0 : part + 1;
	}
	if (part == 0)
		return "has no host";
	return star && parts < 2 ? "would let in all of a top-level domain" : NULL;
}

static const char *bad_host(struct rc_str host)
{
	struct rc_netaddr a;

	if (host.len < 2 || host.ptr[0] != '[')
		return bad_name(host);
	host = (struct rc_str){host.ptr + 1, host.len - 2};
	return memchr(host.ptr, ':', host.len) && rc_netaddr_parse(host, &a)
		       ? NULL
		       : "has no IPv6 address between its brackets";
}

static const char *bad_origin(struct rc_str text)
{
	struct rc_str scheme, port;
	const char *colon;
	uint16_t number;

	if (rc_str_eq(text, RC_STR("*")) || rc_str_eq(text, RC_STR("null")))
		return NULL;
	if (!take_scheme(&text, &scheme))
		return "is no origin; write scheme://host or scheme://host:port, for example "
		       "https://app.example.com";
	colon = text.len ? memrchr(text.ptr, ':', text.len) : NULL;
	if (!colon || memchr(colon, ']', text.len - (size_t)(colon - text.ptr)))
		return bad_host(text);
	port = (struct rc_str){colon + 1, text.len - (size_t)(colon - text.ptr) - 1};
	text.len = (size_t)(colon - text.ptr);
	if (!rc_netaddr_parse_port(port, &number) || number == 0)
		return "has no port behind its last colon";
	if ((rc_str_eq(scheme, RC_STR("https")) && number == 443) ||
		(rc_str_eq(scheme, RC_STR("http")) && number == 80))
		return "has its scheme's own port, which browsers leave out; leave it out too";
	return bad_host(text);
}

static void check_origins(struct rc_config *c, struct rc_config_report *r)
{
	char *rest = c->http_origins;
	struct rc_str origin;
	bool star = false;

	for (char *p = c->http_origins; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
	while (next_origin(&rest, &origin)) {
		const char *why = bad_origin(origin);
		if (why)
			rc_config_report_error(r, "[http] origins: '%.*s' %s",
				(int)RC_MIN(origin.len, (size_t)60), origin.ptr, why);
		star |= rc_str_eq(origin, RC_STR("*"));
	}
	if (!c->auth_cookie[0])
		return;
	if (c->http_origin_check == RC_CONFIG_CHECK_NO)
		rc_config_report_warning(r,
			"[http] origin_check = no: every page can open a WebSocket as whoever looks at it, "
			"since browsers send [auth] cookie along");
	else if (star)
		rc_config_report_error(r,
			"[http] origins = * lets every page open a WebSocket as whoever looks at it, since "
			"browsers send [auth] cookie along: list the origins of your own pages, or remove "
			"cookie");
}

void rc_config_check_edge(struct rc_config *c, struct rc_config_report *r)
{
	check_proxies(c, r);
	check_origins(c, r);
}
