/* SPDX-License-Identifier: Apache-2.0
 *
 * A gateway on the kernel that costs nothing (kernel.h): its shards take their turns one after the other, called by hand
 * from one thread, so that what they do is the same in every run. Everything above the seam is the real thing: accepting, the
 * upgrade, messages, the rings between shards, the flush. What does not work out ends the program.
 */
#ifndef BENCH_RIG_RIG_H
#define BENCH_RIG_RIG_H

#include "rig/kernel.h"
#include "shard/shard.h"

struct rig {
	struct rc_config config;
	struct rc_gateway gateway;
	char folder[64]; /* of the counters file */
};

/* folder: an existing one for the counters file; NULL makes one under /tmp. Too large for a small stack. */
void rig_open(struct rig *rig, const char *folder, uint32_t shards, uint32_t clients_max,
	uint32_t channels_max);
void rig_close(struct rig *rig);
/* One turn of one shard; the clock moves by a microsecond. */
void rig_turn(struct rig *rig, uint32_t shard);
/* Turns of every shard until nothing is left to do. */
void rig_settle(struct rig *rig);

/* A client of the JSON protocol that went through the upgrade. Its descriptor. */
int rig_client(struct rig *rig, uint32_t shard);
/* A publisher without an id that was welcomed. Its descriptor. */
int rig_publisher(struct rig *rig, uint32_t shard);
/* A masked frame of text from the client; it is read in the shard's next turn. */
void rig_say(struct rig *rig, uint32_t shard, int fd, const char *text);
/* The same, then turns until all is settled. */
void rig_subscribe(struct rig *rig, uint32_t shard, int fd, const char *channel);
/* A name that begins like this and that the shard owns. */
void rig_name(const struct rig *rig, uint32_t shard, const char *prefix, char out[64]);

/* `count` subscribers of one channel of shard 0, put into its tables without any message: for crowds. */
void rig_crowd(struct rig *rig, const char *channel, uint32_t count);

static inline struct rc_io *rig_io(const struct rig *rig, uint32_t shard)
{
	return rig->gateway.shards[shard].io;
}

#endif
