/* SPDX-License-Identifier: Apache-2.0
 *
 * Text links inside WebSocket frames: the upgrade, frames around what is said, and what the frames of the server hold. See talk.h.
 */
#include <errno.h>

#include "talk.h"

#define MESSAGE_MAX   ((uint64_t)1 << 32)
#define FRAGMENTS_MAX UINT32_MAX

int load_ws_begin(struct load_talk *t, struct rc_error *err)
{
	const struct load_publisher_target *to = t->target;
	size_t cap = 4096 + strlen(to->protocol) + strlen(to->headers);
	char path[sizeof(to->url.path) + 256];
	unsigned char *out = load_outbuf_room(&t->out, cap);

	if (out == NULL)
		return load_talk_no_memory(err);
	if (t->path.len >= sizeof(path)) {
		rc_error_set(
			err, "the path of the publisher's url is too long. Give a shorter one");
		return -EINVAL;
	}
	*(char *)rc_str_copy(path, t->path) = '\0';
	load_upgrade_key(t->key, rc_prng_next(&t->masks));
	cap = load_upgrade_request(
		(char *)out, cap, &to->url, path, to->protocol, to->headers, t->key);
	RC_ASSERT(cap > 0);
	t->out.len += cap;
	t->step = LOAD_TALK_UPGRADE;
	return 0;
}

void load_ws_wrap(struct load_talk *t, size_t from, uint8_t opcode)
{
	unsigned char *text = t->out.ptr + from;
	size_t len = t->out.len - from;
	uint32_t mask = (uint32_t)rc_prng_next(&t->masks);
	unsigned char header[14];
	size_t header_len = rc_ws_masked_header(header, opcode, true, len, mask);

	rc_ws_mask(text, len, mask, 0);
	memmove(text + header_len, text, len);
	memcpy(text, header, header_len);
	t->out.len += header_len;
}

/* len is that of a control frame. */
static int say_control(
	struct load_talk *t, uint8_t opcode, const void *bytes, size_t len, struct rc_error *err)
{
	unsigned char *out = load_outbuf_room(&t->out, RC_WS_CONTROL_MAX + 14);
	size_t from = t->out.len;

	if (out == NULL)
		return load_talk_no_memory(err);
	if (len > 0)
		memcpy(out, bytes, len);
	t->out.len += len;
	load_ws_wrap(t, from, opcode);
	return 0;
}

void load_ws_end(struct load_talk *t)
{
	static const unsigned char normal[2] = {1000 >> 8, 1000 & 0xff};
	struct rc_error ignored;

	(void)say_control(t, RC_WS_CLOSE, normal, sizeof(normal), &ignored);
}

static int closed(const struct rc_ws_piece *piece, struct rc_error *err)
{
	char text[RC_WS_CONTROL_MAX + 1] = "";

	if (piece->len > 2)
		(void)load_talk_printable(text, sizeof(text), piece->ptr + 2, piece->len - 2);
	rc_error_set(err,
		"the server closed the WebSocket with code %u%s%s. See its log, and that the target's "
		"messages are those that it expects",
		(unsigned)piece->close_code, text[0] != '\0' ? ": " : "", text);
	return -ECONNRESET;
}

static int take_piece(struct load_talk *t, enum rc_ws_result result,
	const struct rc_ws_piece *piece, struct rc_error *err)
{
	if (result == RC_WS_DATA)
		return load_text_take(t, piece->ptr, piece->len, piece->first, err);
	if (result == RC_WS_FAIL) {
		rc_error_set(err,
			"the server does not speak WebSocket as it should: %s. See that the publisher's "
			"url names a WebSocket server",
			piece->reason);
		return -EPROTO;
	}
	if (piece->opcode == RC_WS_CLOSE)
		return closed(piece, err);
	if (piece->opcode == RC_WS_PING)
		return say_control(t, RC_WS_PONG, piece->ptr, piece->len, err);
	return 0;
}

static int take_frames(struct load_talk *t, unsigned char *bytes, size_t len, struct rc_error *err)
{
	const struct rc_ws_limits limits = {
		.message_max = MESSAGE_MAX,
		.fragments_max = FRAGMENTS_MAX,
	};
	struct rc_ws_piece piece;
	enum rc_ws_result result;

	while ((result = rc_ws_next(&t->frames, &limits, &bytes, &len, &piece)) != RC_WS_MORE) {
		int rc = take_piece(t, result, &piece, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

int load_ws_take(struct load_talk *t, unsigned char *bytes, size_t len, struct rc_error *err)
{
	size_t before = t->in_len;
	size_t take = RC_MIN(len, sizeof(t->in) - before);
	int head;

	if (t->step != LOAD_TALK_UPGRADE)
		return take_frames(t, bytes, len, err);
	memcpy(t->in + before, bytes, take);
	t->in_len += take;
	head = load_upgrade_answer((struct rc_str){(const char *)t->in, t->in_len}, t->key, err);
	if (head <= 0)
		return head;
	t->in_len = 0;
	head -= (int)before;
	head = RC_MAX(head, 0);
	{
		int rc = load_text_begin(t, err);

		return rc < 0 ? rc : take_frames(t, bytes + head, len - (size_t)head, err);
	}
}
