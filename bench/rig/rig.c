/* SPDX-License-Identifier: Apache-2.0 */
#include "rig/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/ingest.h"
#include "proto/websocket.h"

#define MASK       0x0d030201u
#define TURNS_MAX  100000u
#define MEMORY_MIN ((uint64_t)64 << 20)

static const char upgrade[] = "GET /ws HTTP/1.1\r\n"
			      "Host: rt.example.org\r\n"
			      "Connection: Upgrade\r\n"
			      "Upgrade: websocket\r\n"
			      "Sec-WebSocket-Version: 13\r\n"
			      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static void expect(bool ok, const char *what, const struct rc_error *err)
{
	if (ok)
		return;
	(void)fprintf(stderr, "rig: %s%s%s\n", what, err ? ": " : "", err ? err->text : "");
	exit(1);
}

void rig_open(struct rig *rig, const char *folder, uint32_t shards, uint32_t clients_max,
	uint32_t channels_max)
{
	struct rc_error err = {0};
	static struct rc_budget budget;

	memset(rig, 0, sizeof(*rig));
	if (!folder) {
		(void)snprintf(rig->folder, sizeof(rig->folder), "/tmp/ringcast-rig-XXXXXX");
		expect(mkdtemp(rig->folder), "no folder under /tmp can be made", NULL);
		folder = rig->folder;
	}
	struct rc_config *c = &rig->config;
	rc_config_init(c);
	c->shards = shards;
	c->max_clients = clients_max;
	c->max_channels = channels_max;
	c->max_publishers = 16;
	c->max_publisher_ids = 64;
	c->memory = RC_MAX(MEMORY_MIN * shards, (uint64_t)clients_max * 64);
	c->huge_pages = RC_CONFIG_HUGE_NO;
	/* No heartbeat and no timeout falls due while a figure is taken. */
	c->heartbeat_ms = c->handshake_timeout_ms = 3600 * 1000;
	int len = snprintf(c->counters, sizeof(c->counters), "%s/rig.counters", folder);
	expect(len > 0 && (size_t)len < sizeof(c->counters), "the folder's name is too long", NULL);
	memset(&budget, 0, sizeof(budget));
	expect(rc_gateway_plan(&rig->gateway, c, &budget, &err) == 0, "plan", &err);
	expect(rc_gateway_open(&rig->gateway, &err) == 0, "open", &err);
	for (uint32_t i = 0; i < shards; i++) {
		/* Any number that is no descriptor: the listeners are the kernel's business. */
		rig->gateway.shards[i].listener[0] = rig->gateway.shards[i].listener[1] =
			KERNEL_FD_FIRST - 1;
		rc_shard_begin(&rig->gateway.shards[i]);
	}
	rig_settle(rig);
}

void rig_close(struct rig *rig)
{
	rc_gateway_close(&rig->gateway);
	if (rig->folder[0])
		(void)rmdir(rig->folder);
}

void rig_turn(struct rig *rig, uint32_t shard)
{
	kernel_pass(1000);
	(void)rc_shard_turn(&rig->gateway.shards[shard]);
}

static bool busy(const struct rig *rig)
{
	for (uint32_t i = 0; i < rig->gateway.count; i++) {
		struct rc_shard *s = &rig->gateway.shards[i];

		if (rc_io_pending(s->io) || rc_flush_pending(s) || !rc_route_idle(s))
			return true;
	}
	return false;
}

void rig_settle(struct rig *rig)
{
	uint32_t turns = 0;

	do {
		for (uint32_t i = 0; i < rig->gateway.count; i++)
			rig_turn(rig, i);
		expect(++turns < TURNS_MAX, "the shards do not come to rest", NULL);
	} while (busy(rig));
}

int rig_client(struct rig *rig, uint32_t shard)
{
	int fd = kernel_accept(rig_io(rig, shard), 0);
	uint64_t before = kernel_sends(rig_io(rig, shard));

	rig_settle(rig);
	kernel_receive(rig_io(rig, shard), fd, upgrade, sizeof(upgrade) - 1);
	rig_settle(rig);
	expect(kernel_sends(rig_io(rig, shard)) > before, "a client was not answered", NULL);
	return fd;
}

int rig_publisher(struct rig *rig, uint32_t shard)
{
	unsigned char frame[256];
	const struct rc_ingest_hello hello = {.version = RINGCAST_WIRE_VERSION};
	int fd = kernel_accept(rig_io(rig, shard), 1);
	uint64_t before = kernel_sends(rig_io(rig, shard));

	rig_settle(rig);
	size_t len = rc_ingest_hello_encode(frame, sizeof(frame), &hello);
	kernel_receive(rig_io(rig, shard), fd, frame, (uint32_t)len);
	rig_settle(rig);
	expect(kernel_sends(rig_io(rig, shard)) > before, "a publisher was not answered", NULL);
	return fd;
}

void rig_say(struct rig *rig, uint32_t shard, int fd, const char *text)
{
	unsigned char frame[1024];
	size_t len = strlen(text);

	RC_ASSERT(len + 14 <= sizeof(frame));
	size_t header = rc_ws_masked_header(frame, RC_WS_TEXT, true, len, MASK);
	memcpy(frame + header, text, len);
	rc_ws_mask(frame + header, len, MASK, 0);
	kernel_receive(rig_io(rig, shard), fd, frame, (uint32_t)(header + len));
}

void rig_subscribe(struct rig *rig, uint32_t shard, int fd, const char *channel)
{
	char text[256];
	const struct rc_shard *s = &rig->gateway.shards[shard];
	uint64_t before = rc_counter_get(s->counters, RC_C_subscriptions);

	(void)snprintf(text, sizeof(text),
		"{\"type\":\"subscribe\",\"id\":\"1\",\"channels\":[\"%s\"]}", channel);
	rig_say(rig, shard, fd, text);
	rig_settle(rig);
	expect(rc_counter_get(s->counters, RC_C_subscriptions) == before + 1,
		"a subscription was not taken", NULL);
}

void rig_name(const struct rig *rig, uint32_t shard, const char *prefix, char out[64])
{
	const struct rc_hub *h = &rig->gateway.shards[0].hub;
	int i = 0;

	do {
		(void)snprintf(out, 64, "%s:%d", prefix, i++);
	} while (rc_hub_owner(h, rc_hub_hash(h, rc_str_of(out))) != shard);
}

void rig_crowd(struct rig *rig, const char *channel, uint32_t count)
{
	struct rc_shard *s = &rig->gateway.shards[0];

	for (uint32_t i = 0; i < count; i++) {
		uint32_t sub;
		struct rc_conn *c = rc_conn_open(&s->conns, KERNEL_FD_FIRST - 2, RC_CONN_WS);

		expect(c, "no room for one more client", NULL);
		expect(rc_replica_subscribe(&s->hub, rc_conn_slot(&s->conns, c), &c->subs,
			       rc_str_of(channel), false, 0, &sub) == RC_SUBSCRIBED,
			"no room for one more subscription", NULL);
		c->sub_count++;
	}
	rig_settle(rig);
}
