/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole answers of webhooks from arbitrary bytes: head, body by its length, in chunks or to the end, and what it means. Properties: the
 * same in one piece and byte by byte; what is given to a client is JSON, or an error with a valid code and a short text of UTF-8.
 */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "proto/ingest.h"
#include "proto/json.h"
#include "serve/webhook.h"

#define BODY_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How long the body is, or -1: it is none. Its bytes come `step` at a time. */
static int64_t body_of(const struct rc_reply_head *head, const uint8_t *data, size_t size,
	size_t step, char out[BODY_MAX])
{
	struct rc_chunked c = {0};
	size_t len = 0, at = 0, used, end = 0;
	struct rc_str piece;
	int rc = RC_CHUNKED_MORE;

	if (!rc_reply_head_has_body(head->status))
		return 0;
	if (!head->chunked) {
		len = head->content_length < 0 ? size : (size_t)head->content_length;
		if (len > BODY_MAX || len > size)
			return -1;
		memcpy(out, data, len);
		return (int64_t)len;
	}
	while (rc != RC_CHUNKED_END) {
		if (at == end) {
			if (end == size)
				return -1;
			end = RC_MIN(size, end + step);
		}
		rc = rc_chunked_next(&c, data + at, end - at, &used, &piece);
		at += used;
		if (rc < 0 || c.left > BODY_MAX || piece.len > BODY_MAX - len)
			return -1;
		if (piece.len)
			memcpy(out + len, piece.ptr, piece.len);
		len += piece.len;
	}
	return (int64_t)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char body[BODY_MAX], slow[BODY_MAX];
	struct rc_command_answer answer;
	struct rc_webhook_text text;
	struct rc_reply_head head;

	if (size > 2 * BODY_MAX ||
		rc_reply_head_parse(data, size, RC_WEBHOOK_HEAD_MAX, &head) != 0 ||
		head.status < 200)
		return 0;
	data += head.head_len;
	size -= head.head_len;
	int64_t len = body_of(&head, data, size, size + 1, body);
	RC_ASSERT(body_of(&head, data, size, 1, slow) == len);
	if (len < 0)
		return 0;
	RC_ASSERT(memcmp(body, slow, (size_t)len) == 0);
	/* A copy, so that a byte read too much is seen. */
	char *copy = malloc((size_t)len + !len);
	memcpy(copy, body, (size_t)len);
	struct rc_str said = {copy, (size_t)len};
	if (rc_webhook_reply(head.status, said, &answer, &text)) {
		RC_ASSERT(answer.verdict == RC_COMMAND_REPLIED);
		RC_ASSERT(answer.json == (answer.code.len == 0));
		RC_ASSERT(answer.json == (head.status < 300));
		if (answer.json)
			RC_ASSERT(rc_json_validate(answer.data, 128) == 0);
		else
			RC_ASSERT(rc_ingest_code_valid(answer.code) &&
				  answer.data.len <= RINGCAST_TEXT_MAX &&
				  rc_utf8_valid(answer.data.ptr, answer.data.len));
	}
	free(copy);
	return 0;
}
