/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client costs: its arrival (accept, upgrade, the first message, two turns), a subscribe to a channel that others have
 * and to one that is new, a ping. From the bytes received to the prepared send of the answer.
 */
#include <stdio.h>

#include "path.h"

#define CHANNELS 400u

static struct rig rig;

static void turns(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		counted_turn(&rig, 0);
}

static void say(int fd, const char *text)
{
	rig_say(&rig, 0, fd, text);
	turns(1);
	rig_settle(&rig);
}

static void subscribe(uint32_t times, bool known)
{
	char text[128];

	rig_open(&rig, ".", 1, 16, 2 * CHANNELS);
	int fd = rig_client(&rig, 0), other = rig_client(&rig, 0);
	for (uint32_t i = 0; known && i < CHANNELS; i++) {
		(void)snprintf(text, sizeof(text), "user:%u", 1000 + i);
		rig_subscribe(&rig, 0, other, text);
	}
	for (uint32_t i = 0; i < times; i++) {
		(void)snprintf(text, sizeof(text),
			"{\"type\":\"subscribe\",\"id\":\"17\",\"channels\":[\"user:%u\"]}",
			1000 + i);
		say(fd, text);
		(void)snprintf(text, sizeof(text),
			"{\"type\":\"unsubscribe\",\"id\":\"18\",\"channels\":[\"user:%u\"]}",
			1000 + i);
		rig_say(&rig, 0, fd, text);
		rig_settle(&rig);
	}
	rig_close(&rig);
}

static void subscribe_known(uint32_t times, uint32_t crowd)
{
	(void)crowd;
	subscribe(times, true);
}

static void subscribe_new(uint32_t times, uint32_t crowd)
{
	(void)crowd;
	subscribe(times, false);
}

static void ping(uint32_t times, uint32_t crowd)
{
	(void)crowd;
	rig_open(&rig, ".", 1, 16, 16);
	int fd = rig_client(&rig, 0);
	for (uint32_t i = 0; i < times; i++)
		say(fd, "{\"type\":\"ping\",\"id\":\"17\"}");
	rig_close(&rig);
}

static void arrive(void *ctx)
{
	*(int *)ctx = rig_client(&rig, 0);
}

static void arrival(uint32_t times, uint32_t crowd)
{
	int fd;

	(void)crowd;
	rig_open(&rig, ".", 1, times + 16, 16);
	for (uint32_t i = 0; i < times; i++)
		counted(arrive, &fd);
	rig_close(&rig);
}

const struct path path_client[] = {
	{"arrival", "client's arrival", {100, 300}, {0}, 1, arrival},
	{"subscribe", "subscribe to a channel that others have", {100, 300}, {0}, 1,
		subscribe_known},
	{"subscribe_new", "subscribe to a new channel", {100, 300}, {0}, 1, subscribe_new},
	{"ping", "ping message answered", {100, 300}, {0}, 1, ping},
	{0},
};
