/* SPDX-License-Identifier: Apache-2.0
 *
 * A publisher's side of the ingest port, for the harness: events of 128 bytes of JSON.
 */
#ifndef BENCH_INSTRUCTIONS_PUBLISHING_H
#define BENCH_INSTRUCTIONS_PUBLISHING_H

#include "path.h"

struct publishing {
	int fd;
	uint64_t sequence;
	const char *channel;
	char data[128];
	unsigned char frame[65536];
};

void publishing_begin(struct publishing *p, int fd, const char *channel);
/* `count` events in one BATCH, or one in a PUBLISH that wants its acknowledgement, read in the shard's next turn. */
void publishing_batch(struct publishing *p, struct rig *rig, uint32_t shard, uint32_t count);
void publishing_one(struct publishing *p, struct rig *rig, uint32_t shard);

#endif
