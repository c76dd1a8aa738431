/* SPDX-License-Identifier: Apache-2.0
 *
 * The publisher's side of a bench: one ingest connection that sends events of one size and counts what is acknowledged.
 * An event's payload is a JSON string that begins with its sequence, so that a reader can tell that the right bytes came:
 *
 *   "00000000000000a7xxxxxxxx…"      16 hexadecimal digits, padding, both quotes counted
 */
#ifndef BENCH_PUBLISHER_H
#define BENCH_PUBLISHER_H

#include "proto/ingest.h"
#include "wsclient.h"

#define BENCH_STAMP_LEN   16
#define BENCH_PAYLOAD_MIN (BENCH_STAMP_LEN + 2)
#define BENCH_EVENT       "tick"

struct bench_publisher {
	int fd;
	const char *channel;
	uint64_t sequence; /* of the last event that was sent */
	uint64_t acked;
	size_t payload_len;
	char *payload;
	size_t out_cap;
	unsigned char *out;
	size_t in_len;
	unsigned char in[16384];
	struct rc_ingest_welcome limits;
};

/* The payload but for its stamp. */
static inline void bench_payload_fill(char *payload, size_t len)
{
	memset(payload, 'x', len);
	payload[0] = payload[len - 1] = '"';
}

/* The sequence as 16 hexadecimal digits. */
static inline void bench_stamp(char out[BENCH_STAMP_LEN], uint64_t sequence)
{
	for (int i = BENCH_STAMP_LEN - 1; i >= 0; i--, sequence >>= 4)
		out[i] = "0123456789abcdef"[sequence & 15];
}

static inline void bench_publisher_frame(
	struct bench_publisher *p, const struct rc_ingest_frame *frame)
{
	struct rc_ingest_ack ack;
	struct rc_ingest_nack nack;
	struct rc_ingest_error error;
	uint64_t token;
	unsigned char pong[64];

	switch (frame->type) {
	case RINGCAST_FRAME_ACK:
		if (rc_ingest_ack_parse(frame->body, frame->flags, &ack))
			bench_die("an acknowledgement can't be read");
		if (ack.sequence > p->sequence)
			bench_die("acknowledged %llu of %llu events",
				(unsigned long long)ack.sequence, (unsigned long long)p->sequence);
		p->acked = RC_MAX(p->acked, ack.sequence);
		break;
	case RINGCAST_FRAME_NACK:
		if (rc_ingest_nack_parse(frame->body, &nack))
			bench_die("a refusal can't be read");
		bench_die("event %llu was refused: %.*s", (unsigned long long)nack.sequence,
			(int)nack.text.len, nack.text.ptr);
	case RINGCAST_FRAME_ERROR:
		if (rc_ingest_error_parse(frame->body, &error))
			bench_die("an error can't be read");
		bench_die("the ingest port says: %.*s", (int)error.text.len, error.text.ptr);
	case RINGCAST_FRAME_PING:
		if (rc_ingest_ping_parse(frame->body, &token))
			bench_die("a ping can't be read");
		bench_send_all(p->fd, pong, rc_ingest_pong_encode(pong, sizeof(pong), token));
		break;
	case RINGCAST_FRAME_HELLO:
		if (rc_ingest_welcome_parse(frame->body, &p->limits))
			bench_die("the greeting of the ingest port can't be read");
		break;
	case RINGCAST_FRAME_FLOW:
		break;
	default:
		bench_die("the ingest port sent %s", rc_ingest_type_name(frame->type));
	}
}

/* Takes what has arrived; waits for something when flags is 0, not when it is MSG_DONTWAIT. */
static inline void bench_publisher_read(struct bench_publisher *p, int flags)
{
	ssize_t n = recv(p->fd, p->in + p->in_len, sizeof(p->in) - p->in_len, flags);
	struct rc_ingest_frame frame;
	size_t at = 0;
	int rc;

	if (n < 0 && (errno == EINTR || ((flags & MSG_DONTWAIT) && errno == EAGAIN)))
		return;
	if (n < 0)
		bench_die_errno("ingest");
	if (n == 0)
		bench_die("the ingest port closed the connection");
	p->in_len += (size_t)n;
	while ((rc = rc_ingest_frame(p->in + at, p->in_len - at, sizeof(p->in), &frame)) == 0) {
		bench_publisher_frame(p, &frame);
		at += frame.total;
	}
	if (rc < 0)
		bench_die("the ingest port sent what is no frame");
	p->in_len -= at;
	memmove(p->in, p->in + at, p->in_len);
}

/* channel is borrowed for the publisher's life. */
static inline void bench_publisher_open(struct bench_publisher *p, const struct sockaddr_in *server,
	const char *channel, size_t payload_len, uint32_t in_flight)
{
	struct rc_ingest_hello hello = {.version = RINGCAST_WIRE_VERSION};
	unsigned char bytes[128];

	memset(p, 0, sizeof(*p));
	p->channel = channel;
	p->payload_len = payload_len;
	p->payload = bench_alloc(payload_len, 1);
	bench_payload_fill(p->payload, payload_len);
	p->fd = bench_connect(server, 0);
	if (p->fd < 0)
		bench_die_errno("ingest: connect");
	bench_send_all(p->fd, bytes, rc_ingest_hello_encode(bytes, sizeof(bytes), &hello));
	while (p->limits.version == 0)
		bench_publisher_read(p, 0);
	if (payload_len > p->limits.message_max)
		bench_die("the server takes payloads of at most %u bytes", p->limits.message_max);
	if (in_flight > p->limits.credit)
		bench_die("the server lets at most %u events be outstanding", p->limits.credit);
	p->out_cap = RC_MIN(p->limits.frame_max, (size_t)1 << 20);
	p->out = bench_alloc(p->out_cap, 1);
}

static inline const struct rc_ingest_publish *bench_publisher_next(
	struct bench_publisher *p, struct rc_ingest_publish *event)
{
	bench_stamp(p->payload + 1, p->sequence + 1);
	*event = (struct rc_ingest_publish){
		.sequence = p->sequence + 1,
		.channel = rc_str_of(p->channel),
		.event = RC_STR(BENCH_EVENT),
		.payload = {p->payload, p->payload_len},
	};
	return event;
}

/* One event is a PUBLISH, several are as few BATCHes as they fit into. */
static inline void bench_publish(struct bench_publisher *p, uint32_t count)
{
	struct rc_ingest_publish event;
	size_t used, more;

	if (count == 1) {
		used = rc_ingest_publish_encode(
			p->out, p->out_cap, RINGCAST_FLAG_JSON, bench_publisher_next(p, &event));
		RC_ASSERT(used > 0);
		p->sequence++;
		bench_send_all(p->fd, p->out, used);
		return;
	}
	while (count > 0) {
		used = rc_ingest_batch_encode_begin(p->out, p->out_cap, RINGCAST_FLAG_JSON);
		for (more = used; count > 0 && more > 0;) {
			more = rc_ingest_batch_encode_add(
				p->out, p->out_cap, used, bench_publisher_next(p, &event));
			if (more > 0) {
				used = more;
				p->sequence++;
				count--;
			}
		}
		bench_send_all(p->fd, p->out, rc_ingest_batch_encode_end(p->out, used));
	}
}

#endif
