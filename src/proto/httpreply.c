/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/httpreply.h"

#include <errno.h>

#include "proto/http1.h"

#define LENGTH_DIGITS 18u

static bool token_char(char c)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr(marks, c));
}

static bool text_char(char c)
{
	return c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
}

/* "HTTP/1.x NNN reason"; as far as it has come. */
static int status_line(struct rc_str line, bool whole, struct rc_reply_head *out)
{
	static const char shape[] = "HTTP/1.x nnn ";
	size_t n = RC_MIN(line.len, sizeof(shape) - 1);

	for (size_t i = 0; i < n; i++) {
		char c = line.ptr[i];
		bool fits = c == shape[i];
		if (shape[i] == 'x')
			fits = c == '0' || c == '1';
		else if (shape[i] == 'n')
			fits = c >= (i == 9 ? '1' : '0') && c <= (i == 9 ? '5' : '9');
		if (!fits)
			return -EBADMSG;
	}
	if (!whole)
		return RC_REPLY_HEAD_PARTIAL;
	/* The blank behind the status is left out by some. */
	if (line.len < sizeof(shape) - 2)
		return -EBADMSG;
	out->minor = (uint8_t)(line.ptr[7] - '0');
	out->status = (uint16_t)((line.ptr[9] - '0') * 100 + (line.ptr[10] - '0') * 10 +
				 (line.ptr[11] - '0'));
	return 0;
}

static int take_length(struct rc_str value, struct rc_reply_head *out)
{
	int64_t length = 0;

	if (out->content_length >= 0 || value.len == 0 || value.len > LENGTH_DIGITS)
		return -EBADMSG;
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return -EBADMSG;
		length = length * 10 + (value.ptr[i] - '0');
	}
	out->content_length = length;
	return 0;
}

static int field(struct rc_str line, struct rc_reply_head *out, bool *close, bool *keep)
{
	size_t colon = 0, begin, end = line.len;

	while (colon < line.len && token_char(line.ptr[colon]))
		colon++;
	if (colon == 0 || colon == line.len || line.ptr[colon] != ':')
		return -EBADMSG;
	for (begin = colon + 1; begin < end && (line.ptr[begin] == ' ' || line.ptr[begin] == '\t');)
		begin++;
	while (end > begin && (line.ptr[end - 1] == ' ' || line.ptr[end - 1] == '\t'))
		end--;
	struct rc_str name = {line.ptr, colon}, value = {line.ptr + begin, end - begin};
	if (rc_http_same(name, RC_STR("content-length")))
		return take_length(value, out);
	if (rc_http_same(name, RC_STR("transfer-encoding"))) {
		if (out->chunked || !rc_http_same(value, RC_STR("chunked")))
			return -EBADMSG;
		out->chunked = true;
	} else if (rc_http_same(name, RC_STR("connection"))) {
		*close |= rc_http_list_has(value, "close");
		*keep |= rc_http_list_has(value, "keep-alive");
	}
	return 0;
}

/* The next line without its CRLF. 0, PARTIAL with what there is of it, or -EBADMSG. */
static int next_line(const char **at, const char *end, struct rc_str *line)
{
	const char *from = *at, *to = from;

	while (to < end && text_char(*to))
		to++;
	*line = (struct rc_str){from, (size_t)(to - from)};
	if (to == end)
		return RC_REPLY_HEAD_PARTIAL;
	if (*to != '\r')
		return -EBADMSG;
	if (to + 1 == end)
		return RC_REPLY_HEAD_PARTIAL;
	if (to[1] != '\n')
		return -EBADMSG;
	*at = to + 2;
	return 0;
}

int rc_reply_head_parse(const void *bytes, size_t len, size_t head_max, struct rc_reply_head *out)
{
	const char *at = bytes, *end = at + RC_MIN(len, head_max);
	int partial = len >= head_max ? -EBADMSG : RC_REPLY_HEAD_PARTIAL;
	bool close = false, keep = false;
	struct rc_str line;
	int rc;

	*out = (struct rc_reply_head){.content_length = -1};
	if (len == 0)
		return RC_REPLY_HEAD_PARTIAL;
	rc = next_line(&at, end, &line);
	if (rc < 0)
		return rc;
	if (status_line(line, rc == 0, out) < 0)
		return -EBADMSG;
	if (rc == RC_REPLY_HEAD_PARTIAL)
		return partial;
	for (uint32_t fields = 0; (rc = next_line(&at, end, &line)) == 0 && line.len; fields++) {
		if (fields == RC_REPLY_HEAD_FIELDS_MAX || field(line, out, &close, &keep) < 0)
			return -EBADMSG;
	}
	if (rc)
		return rc < 0 ? rc : partial;
	if (out->chunked && (out->content_length >= 0 || out->minor == 0))
		return -EBADMSG;
	out->keep_alive = !close && (out->minor == 1 || keep);
	out->head_len = (size_t)(at - (const char *)bytes);
	return 0;
}

bool rc_reply_head_has_body(uint16_t status)
{
	return status >= 200 && status != 204 && status != 304;
}
