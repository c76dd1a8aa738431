/* SPDX-License-Identifier: Apache-2.0
 *
 * The mapping. It lives until the process ends.
 */
#include "shared.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

static_assert(sizeof(struct load_worker_stats) % RC_FALSE_SHARING == 0,
	"workers do not write to each other's lines");

struct load_shared *load_shared_open(uint32_t workers, uint32_t channels, struct rc_error *err)
{
	uint64_t head = rc_align_up(sizeof(struct load_shared), RC_FALSE_SHARING);
	uint64_t sequences = rc_align_up((uint64_t)channels * sizeof(load_word), RC_FALSE_SHARING);
	uint64_t subscribers =
		rc_align_up((uint64_t)channels * sizeof(_Atomic uint32_t), RC_FALSE_SHARING);
	uint64_t size = head + sequences + subscribers + workers * sizeof(struct load_worker_stats);
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct load_shared *shared;

	if (memory == MAP_FAILED) {
		rc_error_set(err,
			"%llu MiB for %u channels and %u workers can't be had: %s; ask for fewer",
			(unsigned long long)(size >> 20), channels, workers, strerror(errno));
		return NULL;
	}
	shared = (struct load_shared *)memory;
	shared->size = size;
	shared->workers = workers;
	shared->channels = channels;
	shared->sequence = (load_word *)(memory + head);
	shared->subscribers = (_Atomic uint32_t *)(memory + head + sequences);
	shared->worker = (struct load_worker_stats *)(memory + head + sequences + subscribers);
	return shared;
}
