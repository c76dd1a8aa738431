/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/credentials.h"

/* 1, 0, -1 as rc_credentials; `found` is what was found before. */
static int join(int found, struct rc_str *token, struct rc_str another)
{
	if (found > 0 && !rc_str_eq(*token, another))
		return -1;
	*token = another;
	return 1;
}

static int from_header(const struct rc_http_request *r, struct rc_str *token)
{
	struct rc_str given = rc_http_header_get(r, "authorization");

	if (given.ptr && rc_http_same(given, RC_STR("bearer")))
		return -1;
	/* Another scheme is for somebody in front of us. */
	if (!given.ptr || given.len < 7 ||
		!rc_http_same((struct rc_str){given.ptr, 7}, RC_STR("bearer ")))
		return 0;
	if (rc_http_header_count(r, "authorization") != 1)
		return -1;
	given.ptr += 7;
	given.len -= 7;
	while (given.len && *given.ptr == ' ') {
		given.ptr++;
		given.len--;
	}
	return join(0, token, given);
}

static int from_query(const struct rc_http_request *r, char *buf, struct rc_str *token, int found)
{
	struct rc_str rest = r->query, key, value;

	while (found >= 0 && rc_http_query_next(&rest, &key, &value)) {
		if (!rc_str_eq(key, RC_STR("token")))
			continue;
		/* No token has a reason to be escaped; one that is may stand alone only, since there is one buffer. */
		if (memchr(value.ptr, '%', value.len)) {
			int len = found ? -1
					: rc_http_unescape(value, false, buf, RC_CREDENTIALS_MAX);
			if (len < 0)
				return -1;
			value = (struct rc_str){buf, (size_t)len};
		}
		found = join(found, token, value);
	}
	return found;
}

static int from_protocols(const struct rc_http_request *r, struct rc_str *token, int found)
{
	static const struct rc_str prefix = RC_STR("bearer.");
	struct rc_str line, one;
	uint32_t index = 0;

	while (rc_http_header_next(r, "sec-websocket-protocol", &index, &line)) {
		while (found >= 0 && rc_http_list_next(&line, &one)) {
			if (rc_str_starts(one, prefix))
				found = join(found, token,
					(struct rc_str){
						one.ptr + prefix.len, one.len - prefix.len});
		}
	}
	return found;
}

static struct rc_str trimmed(struct rc_str s)
{
	while (s.len && (*s.ptr == ' ' || *s.ptr == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static int from_cookies(const struct rc_config *config, const struct rc_http_request *r,
	struct rc_str *token, int found)
{
	struct rc_str name = rc_str_of(config->auth_cookie), line;
	uint32_t index = 0;

	while (name.len && rc_http_header_next(r, "cookie", &index, &line)) {
		while (found >= 0 && line.len) {
			const char *end = memchr(line.ptr, ';', line.len);
			size_t len = end ? (size_t)(end - line.ptr) : line.len;
			struct rc_str pair = trimmed((struct rc_str){line.ptr, len});

			line.ptr += len + (end != NULL);
			line.len -= len + (end != NULL);
			if (!rc_str_starts(pair, name) || pair.len <= name.len ||
				pair.ptr[name.len] != '=')
				continue;
			pair.ptr += name.len + 1;
			pair.len -= name.len + 1;
			if (pair.len >= 2 && pair.ptr[0] == '"' && pair.ptr[pair.len - 1] == '"') {
				pair.ptr++;
				pair.len -= 2;
			}
			/* Who signed out left an empty one. */
			if (pair.len)
				found = join(found, token, pair);
		}
	}
	return found;
}

int rc_credentials(const struct rc_config *config, const struct rc_http_request *r, char *buf,
	struct rc_str *token)
{
	int found = from_header(r, token);

	if (found >= 0 && config->auth_token_in_query)
		found = from_query(r, buf, token, found);
	if (found >= 0)
		found = from_protocols(r, token, found);
	/* A browser sends cookies by itself: whoever says who he is in another way means that. */
	if (found == 0)
		found = from_cookies(config, r, token, found);
	return found;
}
