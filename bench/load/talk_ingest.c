/* SPDX-License-Identifier: Apache-2.0
 *
 * The ingest protocol, as its publisher speaks it. No publisher id: an event that was not acknowledged when the connection broke ends the
 * run, so nothing is ever sent twice.
 */
#include <errno.h>

#include "talk.h"

/* Frames from a gateway are never larger. */
#define ANSWER_MAX 4096
/* Large enough that a frame's own cost is nothing for each event, small enough that the server does not wait long for its end. */
#define BATCH_BYTES ((size_t)64 * 1024)
#define EVENT_NAME  RC_STR("load")
/* Of an event in a BATCH: sequence, three lengths, time. */
#define EVENT_HEAD (8 + 1 + 1 + 8 + 4)

int load_ingest_begin(struct load_talk *t, struct rc_error *err)
{
	const struct rc_ingest_hello hello = {.version = RINGCAST_WIRE_VERSION};
	unsigned char *out = load_outbuf_room(&t->out, RC_INGEST_ANSWER_MAX);

	if (out == NULL)
		return load_talk_no_memory(err);
	t->out.len += rc_ingest_hello_encode(out, RC_INGEST_ANSWER_MAX, &hello);
	t->step = LOAD_TALK_WELCOME;
	return 0;
}

/* ---- events ------------------------------------------------------------------------------------ */

static void end_batch(struct load_talk *t)
{
	t->out.len += rc_ingest_batch_encode_end(t->out.ptr + t->batch, t->batch_used);
	t->batch_used = 0;
}

static bool begin_batch(struct load_talk *t)
{
	unsigned char *out = load_outbuf_room(&t->out, t->batch_max);

	if (out == NULL)
		return false;
	t->batch = t->out.len;
	t->batch_used = rc_ingest_batch_encode_begin(out, t->batch_max, RINGCAST_FLAG_JSON);
	return true;
}

static bool add_to_batch(struct load_talk *t, const struct rc_ingest_publish *event)
{
	size_t used = rc_ingest_batch_encode_add(
		t->out.ptr + t->batch, t->batch_max, t->batch_used, event);

	if (used > 0)
		t->batch_used = used;
	return used > 0;
}

static int publish_alone(
	struct load_talk *t, const struct rc_ingest_publish *event, struct rc_error *err)
{
	size_t cap = RINGCAST_WIRE_HEADER_LEN + EVENT_HEAD + event->channel.len + EVENT_NAME.len +
		     event->payload.len;
	unsigned char *out = load_outbuf_room(&t->out, cap);

	if (out == NULL)
		return load_talk_no_memory(err);
	cap = rc_ingest_publish_encode(out, cap, RINGCAST_FLAG_JSON, event);
	RC_ASSERT(cap > 0);
	t->out.len += cap;
	return 0;
}

int load_ingest_put(struct load_talk *t, struct rc_str channel, const struct load_event *event,
	bool more, struct rc_error *err)
{
	const struct rc_ingest_publish publish = {
		.sequence = t->sent + 1,
		.channel = channel,
		.event = EVENT_NAME,
		.payload = {t->payload, event->len + 2},
	};
	bool taken = false;

	t->payload[0] = t->payload[event->len + 1] = '"';
	load_event_encode(t->payload + 1, event);
	if (t->batch_used > 0) {
		taken = add_to_batch(t, &publish);
		if (!taken)
			end_batch(t);
	}
	if (!taken && more) {
		if (!begin_batch(t))
			return load_talk_no_memory(err);
		taken = add_to_batch(t, &publish);
		/* Events that fill a batch by themselves: it was nothing but room. */
		if (!taken)
			t->batch_used = 0;
	}
	if (taken && !more)
		end_batch(t);
	return taken ? 0 : publish_alone(t, &publish, err);
}

/* ---- answers ------------------------------------------------------------------------------------ */

int load_ingest_nonsense(const char *what, struct rc_error *err)
{
	rc_error_set(err,
		"%s on the ingest port. See that the publisher's url names the ingest port of a "
		"ringcast of this version",
		what);
	return -EPROTO;
}

static int welcome(struct load_talk *t, const struct rc_ingest_frame *frame, struct rc_error *err)
{
	struct rc_ingest_welcome w;
	size_t needed = RINGCAST_WIRE_HEADER_LEN + EVENT_HEAD + RINGCAST_CHANNEL_MAX +
			EVENT_NAME.len + t->event_len + 2;

	if (t->step >= LOAD_TALK_SERVING)
		return load_ingest_nonsense("a second greeting came", err);
	if (rc_ingest_welcome_parse(frame->body, &w) < 0)
		return load_ingest_nonsense("a greeting came that can't be read", err);
	if (t->event_len + 2 > w.message_max || needed > w.frame_max) {
		rc_error_set(err,
			"events of %zu bytes are more than the server takes (its message_max is %u, its "
			"frame_max %u). Publish smaller ones (--payload) or let it take more",
			t->event_len, w.message_max, w.frame_max);
		return -EMSGSIZE;
	}
	t->window = RC_MIN(w.credit, LOAD_TALK_WINDOW_MAX);
	t->batch_max = RC_MIN((size_t)w.frame_max, BATCH_BYTES);
	return load_talk_welcomed(t, err);
}

static int farewell(const struct rc_ingest_frame *frame, struct rc_error *err)
{
	static const char *const why[] = {
		[RINGCAST_BYE_DONE] = "it has nothing more to say",
		[RINGCAST_BYE_SHUTDOWN] = "it stops or restarts",
		[RINGCAST_BYE_REPLACED] = "another publisher came with the same id",
		[RINGCAST_BYE_IDLE] = "this publisher was silent for too long",
		[RINGCAST_BYE_OPERATOR] = "an operator closed the connection",
	};
	struct rc_ingest_bye bye;

	if (rc_ingest_bye_parse(frame->body, &bye) < 0)
		return load_ingest_nonsense("a farewell came that can't be read", err);
	rc_error_set(err, "the server said goodbye: %s. Run again when it stays",
		bye.code < RC_ARRAY_LEN(why) ? why[bye.code] : "for a reason that is not known");
	return -ECONNRESET;
}

static int complaint(const struct rc_ingest_frame *frame, struct rc_error *err)
{
	struct rc_ingest_error e;
	char text[256];

	if (rc_ingest_error_parse(frame->body, &e) < 0)
		return load_ingest_nonsense("an error came that can't be read", err);
	rc_error_set(err, "the ingest port says: %s (code %u). %s",
		load_talk_printable(text, sizeof(text), e.text.ptr, e.text.len), (unsigned)e.code,
		e.code == RINGCAST_ERROR_UNAUTHORIZED ? "Let it take publishers without a token"
						      : "See the server's log for what it expects");
	return -EPROTO;
}

static int pong(struct load_talk *t, const struct rc_ingest_frame *frame, struct rc_error *err)
{
	unsigned char *out;
	uint64_t token;

	if (rc_ingest_ping_parse(frame->body, &token) < 0)
		return load_ingest_nonsense("a ping came that can't be read", err);
	out = load_outbuf_room(&t->out, RC_INGEST_ANSWER_MAX);
	if (out == NULL)
		return load_talk_no_memory(err);
	t->out.len += rc_ingest_pong_encode(out, RC_INGEST_ANSWER_MAX, token);
	return 0;
}

int load_ingest_frame(
	struct load_talk *t, const struct rc_ingest_frame *frame, struct rc_error *err)
{
	struct rc_ingest_ack ack;
	struct rc_ingest_nack nack;
	uint32_t credit;

	switch (frame->type) {
	case RINGCAST_FRAME_HELLO:
		return welcome(t, frame, err);
	case RINGCAST_FRAME_ERROR:
		return complaint(frame, err);
	case RINGCAST_FRAME_BYE:
		return farewell(frame, err);
	case RINGCAST_FRAME_PING:
		return pong(t, frame, err);
	case RINGCAST_FRAME_PONG:
		return 0;
	default:
		break;
	}
	if (t->step < LOAD_TALK_SERVING)
		return load_ingest_nonsense("something came before the greeting", err);
	if (load_talk_serves(t))
		return load_serve_frame(t, frame, err);
	switch (frame->type) {
	case RINGCAST_FRAME_ACK:
		if (rc_ingest_ack_parse(frame->body, frame->flags, &ack) < 0)
			return load_ingest_nonsense(
				"an acknowledgement came that can't be read", err);
		return load_talk_acked(t, ack.sequence, err);
	case RINGCAST_FRAME_NACK:
		if (rc_ingest_nack_parse(frame->body, &nack) < 0)
			return load_ingest_nonsense("a refusal came that can't be read", err);
		return load_talk_nack(t, &nack, err);
	case RINGCAST_FRAME_FLOW:
		if (rc_ingest_flow_parse(frame->body, &credit) < 0)
			return load_ingest_nonsense("a credit came that can't be read", err);
		t->window = RC_MIN(credit, LOAD_TALK_WINDOW_MAX);
		return 0;
	default:
		return load_ingest_nonsense("a frame came that no gateway sends", err);
	}
}

/* Whole frames at the beginning of bytes; *used is what they are. */
static int take_frames(struct load_talk *t, const unsigned char *bytes, size_t len, size_t *used,
	struct rc_error *err)
{
	struct rc_ingest_frame frame;
	int rc;

	*used = 0;
	while ((rc = rc_ingest_frame(bytes + *used, len - *used, ANSWER_MAX, &frame)) == 0) {
		rc = load_ingest_frame(t, &frame, err);
		if (rc < 0)
			return rc;
		*used += frame.total;
	}
	return rc == 1 ? 0 : load_ingest_nonsense("bytes came that are no frame", err);
}

int load_ingest_take(
	struct load_talk *t, const unsigned char *bytes, size_t len, struct rc_error *err)
{
	size_t used;
	int rc;

	while (len > 0) {
		if (t->in_len == 0) {
			rc = take_frames(t, bytes, len, &used, err);
			if (rc < 0)
				return rc;
			/* Less than one frame, so it fits. */
			t->in_len = len - used;
			if (t->in_len > 0)
				memcpy(t->in, bytes + used, t->in_len);
			return 0;
		}
		/* A frame that was cut: completed in `in`, with what of the next ones finds room there. */
		size_t take = RC_MIN(len, sizeof(t->in) - t->in_len);

		memcpy(t->in + t->in_len, bytes, take);
		t->in_len += take;
		bytes += take;
		len -= take;
		rc = take_frames(t, t->in, t->in_len, &used, err);
		if (rc < 0)
			return rc;
		t->in_len -= used;
		memmove(t->in, t->in + used, t->in_len);
	}
	return 0;
}
