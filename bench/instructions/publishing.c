/* SPDX-License-Identifier: Apache-2.0 */
#include "publishing.h"

#include "proto/ingest.h"

void publishing_begin(struct publishing *p, int fd, const char *channel)
{
	static const char text[] = "{\"id\":100034,\"state\":\"packed\",\"note\":\"";

	memset(p, 0, sizeof(*p));
	p->fd = fd;
	p->channel = channel;
	memset(p->data, 'x', sizeof(p->data));
	memcpy(p->data, text, sizeof(text) - 1);
	memcpy(p->data + sizeof(p->data) - 2, "\"}", 2);
}

static struct rc_ingest_publish next(struct publishing *p)
{
	return (struct rc_ingest_publish){
		.sequence = ++p->sequence,
		.channel = rc_str_of(p->channel),
		.event = RC_STR("order:packed"),
		.payload = {p->data, sizeof(p->data)},
	};
}

void publishing_batch(struct publishing *p, struct rig *rig, uint32_t shard, uint32_t count)
{
	size_t used = rc_ingest_batch_encode_begin(
		p->frame, sizeof(p->frame), RINGCAST_FLAG_JSON | RINGCAST_FLAG_WANT_ACK);

	for (uint32_t i = 0; i < count; i++) {
		struct rc_ingest_publish event = next(p);

		used = rc_ingest_batch_encode_add(p->frame, sizeof(p->frame), used, &event);
		RC_ASSERT(used > 0);
	}
	kernel_receive(rig_io(rig, shard), p->fd, p->frame,
		(uint32_t)rc_ingest_batch_encode_end(p->frame, used));
}

void publishing_one(struct publishing *p, struct rig *rig, uint32_t shard)
{
	struct rc_ingest_publish event = next(p);
	size_t len = rc_ingest_publish_encode(
		p->frame, sizeof(p->frame), RINGCAST_FLAG_JSON | RINGCAST_FLAG_WANT_ACK, &event);

	RC_ASSERT(len > 0);
	kernel_receive(rig_io(rig, shard), p->fd, p->frame, (uint32_t)len);
}
