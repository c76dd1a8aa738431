/* SPDX-License-Identifier: Apache-2.0
 *
 * Who publishes: the pace of a group's events, and the connection that they leave by. Owned by one worker. Non-blocking; it makes
 * its own send and recv calls when its worker says that the descriptor is ready or that time has come.
 *
 * In a group of commands it is a backend: it publishes nothing and answers.
 *
 * A publisher of a group has the channels whose number modulo the group's publishers is its own, and is their only one.
 */
#ifndef LOAD_PUBLISHER_H
#define LOAD_PUBLISHER_H

#include "shared.h"

struct load_publisher;

/*
 * number: of the group's publishers. Begins to connect. 0, or -errno with a sentence. On success *out lives until close.
 * stats: the worker's. Publishing begins when the phase is WARM or MEASURE and ends with DRAIN: an open loop still
 * sends what was due before, a closed one nothing more.
 */
int load_publisher_open(struct load_publisher **out, const struct load_plan *plan,
	struct load_shared *shared, struct load_worker_stats *stats, uint32_t group,
	uint32_t number, struct rc_error *err) RC_MUST_USE;
void load_publisher_close(struct load_publisher *p);

/* The descriptor to poll (it does not change while open), and for what: POLLIN, POLLOUT or both. */
int load_publisher_fd(const struct load_publisher *p);
short load_publisher_events(const struct load_publisher *p);
/* Greeted and welcomed: the conductor waits for all of them before WARM (the worker counts it with its clients). */
bool load_publisher_ready(const struct load_publisher *p);
/* The descriptor is ready. 0, or -errno with a sentence: the server closed, refused, spoke nonsense. */
int load_publisher_io(struct load_publisher *p, uint64_t now_ns, struct rc_error *err) RC_MUST_USE;
/*
 * Once a turn: publishes what is due. *next_ns is when it wants to be called next if nothing else happens (UINT64_MAX: it waits for
 * input or for deliveries; closed loop across workers: look again after 50 us).
 */
int load_publisher_turn(struct load_publisher *p, enum load_phase phase, uint64_t now_ns,
	uint64_t *next_ns, struct rc_error *err) RC_MUST_USE;
/* All that was sent is acknowledged, or nothing acknowledges here; nothing is left in the output. */
bool load_publisher_idle(const struct load_publisher *p);

#endif
