/* SPDX-License-Identifier: Apache-2.0
 *
 * Users with three connections each on one shard, without sockets: what a message to one of them costs.
 */
#ifndef BENCH_RIG_CROWD_H
#define BENCH_RIG_CROWD_H

#include <stdint.h>

#define CROWD_CONNECTIONS 3u /* of each user */

struct crowd;

struct crowd *crowd_open(uint32_t users);
void crowd_close(struct crowd *k);
/* Whom the next message is for. */
void crowd_pick(struct crowd *k);
/* From the ask to the three outputs. */
void crowd_send(struct crowd *k);
/* The outputs are taken, as a flush does. */
void crowd_flush(struct crowd *k);

#endif
