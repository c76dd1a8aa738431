/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of the two formats an Accept header wants. Prometheus names OpenMetrics, its versions and the older text, each with
 * a quality.
 */
#include <strings.h>

#include "ops/prometheus.h"

static struct rc_str trimmed(const char *begin, const char *end)
{
	while (begin < end && (*begin == ' ' || *begin == '\t'))
		begin++;
	while (end > begin && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return (struct rc_str){begin, (size_t)(end - begin)};
}

/* Takes what stands before the next separator. */
static struct rc_str next_part(struct rc_str *rest, char separator)
{
	const char *end = memchr(rest->ptr, separator, rest->len);
	struct rc_str part = trimmed(rest->ptr, end ? end : rest->ptr + rest->len);

	*rest = end ? (struct rc_str){end + 1, (size_t)(rest->ptr + rest->len - end - 1)}
		    : (struct rc_str){rest->ptr + rest->len, 0};
	return part;
}

static bool same(struct rc_str a, const char *b)
{
	return a.len == strlen(b) && strncasecmp(a.ptr, b, a.len) == 0;
}

/* "0.25" is 250; what is none counts as 1. */
static uint32_t quality(struct rc_str text)
{
	uint32_t value = 0;

	if (text.len == 0 || text.ptr[0] != '0')
		return 1000;
	for (size_t i = 2; i < 5; i++)
		value = value * 10 + (i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'
						     ? (uint32_t)(text.ptr[i] - '0')
						     : 0);
	return value;
}

bool rc_prometheus_wants_open(struct rc_str accept)
{
	uint32_t open = 0, plain = 0;

	while (accept.len) {
		struct rc_str range = next_part(&accept, ',');
		struct rc_str type = next_part(&range, ';');
		uint32_t q = 1000;
		bool known = true;
		while (range.len) {
			struct rc_str value = next_part(&range, ';');
			struct rc_str key = value.len ? next_part(&value, '=') : value;
			if (same(key, "q"))
				q = quality(value);
			else if (same(key, "version"))
				known = same(value, "1.0.0") || same(value, "0.0.1") ||
					same(value, "\"1.0.0\"");
		}
		if (same(type, "application/openmetrics-text") && known)
			open = RC_MAX(open, q);
		else if (same(type, "text/plain") || same(type, "text/*") || same(type, "*/*"))
			plain = RC_MAX(plain, q);
	}
	return open > 0 && open >= plain;
}
