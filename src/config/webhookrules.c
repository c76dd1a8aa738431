/* SPDX-License-Identifier: Apache-2.0 */
#include "config/webhookrules.h"

#include <strings.h>

#include "config/apply.h"

static struct rc_str until(struct rc_str s, const char *marks)
{
	size_t len = 0;

	while (len < s.len && !strchr(marks, s.ptr[len]))
		len++;
	return (struct rc_str){s.ptr, len};
}

static struct rc_str behind(struct rc_str s, size_t len)
{
	return (struct rc_str){s.ptr + len, s.len - len};
}

static int take_port(struct rc_str text, struct rc_webhook_url *out)
{
	uint32_t port = 0;

	if (text.len == 0 || text.len > 5)
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return -1;
		port = port * 10 + (uint32_t)(text.ptr[i] - '0');
	}
	out->port = (uint16_t)port;
	return port >= 1 && port <= 65535 ? 0 : -1;
}

int rc_webhook_url_parse(const char *url, struct rc_webhook_url *out, struct rc_error *err)
{
	static const char scheme[] = "http://";
	struct rc_str rest = rc_str_of(url);

	*out = (struct rc_webhook_url){.port = 80};
	for (size_t i = 0; i < rest.len; i++) {
		unsigned char c = (unsigned char)rest.ptr[i];
		if (c <= ' ' || c >= 0x7f || c == '#')
			return rc_error_set(err,
				"a URL has no blanks, control characters, other than ASCII, or '#': write them as %%XX");
	}
	if (strncasecmp(url, "https://", 8) == 0)
		return rc_error_set(err,
			"webhooks are posted without TLS: name http://127.0.0.1:PORT/ and let a proxy on loopback "
			"go on to the https URL");
	if (strncasecmp(url, scheme, sizeof(scheme) - 1) != 0)
		return rc_error_set(err, "the URL begins with http://");
	rest = behind(rest, sizeof(scheme) - 1);
	out->authority = until(rest, "/?");
	out->path = behind(rest, out->authority.len);
	if (out->path.len == 0)
		out->path = RC_STR("/");
	else if (out->path.ptr[0] == '?')
		return rc_error_set(err, "a '/' is missing in front of the '?'");
	if (until(out->authority, "@").len < out->authority.len)
		return rc_error_set(err, "the URL names a user: requests are signed (secret_file)");
	rest = out->authority;
	if (rest.len && rest.ptr[0] == '[') {
		out->host = until(behind(rest, 1), "]");
		if (out->host.len + 1 == rest.len)
			return rc_error_set(err, "the ']' of the address is missing");
		rest = behind(rest, out->host.len + 2);
	} else {
		out->host = until(rest, ":");
		rest = behind(rest, out->host.len);
	}
	if (out->host.len == 0)
		return rc_error_set(err, "the URL names no host");
	if (rest.ptr && rest.len && (rest.ptr[0] != ':' || take_port(behind(rest, 1), out) < 0))
		return rc_error_set(err, "the port is a number from 1 to 65535");
	return 0;
}

bool rc_webhook_list_next(struct rc_str *rest, struct rc_str *word)
{
	while (rest->len && strchr(", \t", rest->ptr[0]))
		*rest = behind(*rest, 1);
	*word = until(*rest, ", \t");
	*rest = behind(*rest, word->len);
	return word->len > 0;
}

bool rc_webhook_list_has(const char *list, struct rc_str word)
{
	struct rc_str rest = rc_str_of(list), next;

	while (rc_webhook_list_next(&rest, &next)) {
		if (rc_str_eq(next, word) || rc_str_eq(next, RC_STR("*")))
			return true;
	}
	return false;
}

void rc_config_check_webhooks(const struct rc_config *c, struct rc_config_report *r)
{
	struct rc_str rest = rc_str_of(c->webhook_types), word;
	struct rc_webhook_url url;
	struct rc_error err;

	if (!c->webhook_url[0]) {
		if (c->webhook_secret_file[0])
			rc_config_report_warning(
				r, "[webhooks] secret_file has no effect without url");
		return;
	}
	if (rc_webhook_url_parse(c->webhook_url, &url, &err) < 0)
		rc_config_report_error(r, "[webhooks] url: %s", err.text);
	if (!rc_webhook_list_next(&rest, &word))
		rc_config_report_error(
			r, "[webhooks] types names nothing to post: set it, or remove url");
}
