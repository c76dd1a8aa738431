/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's making and unmaking: ring, buffers, clients, publishers.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "local.h"

static uint32_t part(const struct load_worker *w, uint32_t of)
{
	return of > w->index ? (of - w->index - 1) / w->shared->workers + 1 : 0;
}

static int open_publishers(struct load_worker *w)
{
	uint32_t count = 0;

	for (uint32_t g = 0; g < w->plan->groups; g++)
		count += part(w, load_group_links(&w->plan->group[g]));
	w->outlet = calloc(RC_MAX(count, 1u), sizeof(*w->outlet));
	if (!w->outlet)
		return -ENOMEM;
	for (uint32_t g = 0; g < w->plan->groups; g++) {
		for (uint32_t n = w->index; n < load_group_links(&w->plan->group[g]);
			n += w->shared->workers) {
			struct load_outlet *o = &w->outlet[w->outlets];
			int rc = load_publisher_open(
				&o->publisher, w->plan, w->shared, w->stats, g, n, &w->err);

			if (rc) {
				w->failed = true;
				return rc;
			}
			o->group = g;
			load_add(&w->stats->group[g].wanted, 1);
			load_add(&w->stats->group[g].connecting, 1);
			w->outlets++;
		}
	}
	return 0;
}

static int open_clients(struct load_worker *w)
{
	uint32_t slot = 0;
	size_t bytes;

	for (uint32_t g = 0; g < w->plan->groups; g++) {
		struct load_members *m = &w->members[g];

		m->group = &w->plan->group[g];
		m->stats = &w->stats->group[g];
		m->first = slot;
		m->count = part(w, m->group->clients);
		slot += m->count;
		load_add(&m->stats->wanted, m->count);
	}
	w->clients = slot;
	bytes = RC_MAX(slot, 1u) * sizeof(*w->client);
	w->client = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->client == MAP_FAILED) {
		w->client = NULL;
		return -ENOMEM;
	}
	w->extra_bytes = bytes;
	rc_wheel_init(&w->wheel, &w->client[0].timer, sizeof(*w->client), 1);
	for (uint32_t g = 0; g < w->plan->groups; g++) {
		for (uint32_t i = 0; i < w->members[g].count; i++) {
			struct load_client *c = &w->client[w->members[g].first + i];

			if (load_client_init(w, c, (uint8_t)g))
				return -ENOMEM;
			load_traffic_queue(w, c);
		}
	}
	return 0;
}

static bool needs_tls(const struct load_plan *plan)
{
	const struct load_subscriber *s = &plan->target->subscriber;

	return s->url.scheme == LOAD_WSS || s->url.scheme == LOAD_SSES ||
	       s->echo_url.scheme == LOAD_WSS;
}

static void pin(const struct load_worker *w)
{
	cpu_set_t set;

	if (w->plan->cpus == 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)w->plan->cpu[w->index % w->plan->cpus], &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

int load_worker_open(struct load_worker *w)
{
	size_t buffers = (LOAD_BATCH + 1) * (size_t)(LOAD_STREAM_HEADROOM + LOAD_BUFFER);
	char path[64];
	int rc;

	pin(w);
	(void)snprintf(
		path, sizeof(path), "/proc/self/task/%ld/schedstat", (long)syscall(SYS_gettid));
	w->schedstat = open(path, O_RDONLY | O_CLOEXEC);
	w->epoch_ns = w->now_ns = rc_clock_mono_ns();
	w->window_from = w->window_to = UINT64_MAX;
	rc_prng_seed(&w->prng, w->now_ns + w->index);
	rc = load_ring_open(&w->ring, &w->err);
	if (rc == 0 && needs_tls(w->plan))
		rc = load_tls_context_open(&w->tls, w->plan, &w->err);
	if (rc) {
		w->failed = true;
		return rc;
	}
	w->buffers = aligned_alloc(4096, rc_align_up(buffers, 4096));
	w->scratch = malloc(LOAD_SPEECH_MAX);
	if (!w->buffers || !w->scratch || open_clients(w)) {
		load_worker_fail(w, "out of memory: say fewer clients or subscriptions");
		return -ENOMEM;
	}
	memset(w->buffers, 0, buffers);
	if (!load_command_open(w)) {
		load_worker_fail(w, "out of memory: say a smaller payload");
		return -ENOMEM;
	}
	rc = open_publishers(w);
	if (rc)
		load_worker_fail(w, "out of memory: say fewer publishers");
	return rc;
}

void load_worker_close(struct load_worker *w)
{
	for (uint32_t i = 0; i < w->outlets; i++)
		load_publisher_close(w->outlet[i].publisher);
	/* First the ring: its polls hold the connections. */
	load_ring_close(&w->ring);
	for (uint32_t i = 0; w->client && i < w->clients; i++)
		load_client_deinit(w, &w->client[i]);
	if (w->client)
		(void)munmap(w->client, RC_MAX(w->clients, 1u) * sizeof(*w->client));
	if (w->schedstat >= 0)
		close(w->schedstat);
	load_tls_context_close(w->tls);
	free(w->outlet);
	free(w->buffers);
	free(w->scratch);
	load_command_close(w);
}
