/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's side of the counters file: made by the main thread before the shards start, taken down after they
 * ended. What is in it is drawn in counters.h.
 */
#include "ops/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#ifndef RC_VERSION
#define RC_VERSION "unknown"
#endif

#define META_COUNT ((uint32_t)RC_COUNTER_COUNT + (uint32_t)RC_COUNTER_HIST_COUNT)

#define KIND_COUNTER RC_KIND_COUNTER
#define KIND_GAUGE   RC_KIND_GAUGE

static const struct rc_counters_meta meta_list[] = {
#define RC_COUNTER(name, kind, unit, help) {KIND_##kind, RC_C_##name, #name, unit, help},
#include "ops/counters_list.h"
#define RC_COUNTER_HIST(name, unit, help)                                          \
	{RC_KIND_HIST,                                                             \
		(uint32_t)(offsetof(struct rc_counters_shard, hist[RC_H_##name]) / \
			   sizeof(uint64_t)),                                      \
		#name, unit, help},
#include "ops/counters_list.h"
};
_Static_assert(RC_ARRAY_LEN(meta_list) == META_COUNT, "an entry for each counter and histogram");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a u64 is read and written whole");

const struct rc_counters_meta *rc_counter_meta(enum rc_counter id)
{
	RC_ASSERT(id < RC_COUNTER_COUNT);
	return &meta_list[id];
}

const struct rc_counters_meta *rc_counter_hist_meta(enum rc_counter_hist id)
{
	RC_ASSERT(id < RC_COUNTER_HIST_COUNT);
	return &meta_list[(uint32_t)RC_COUNTER_COUNT + (uint32_t)id];
}

static uint64_t shards_at(void)
{
	return rc_align_up(
		sizeof(struct rc_counters_header) + META_COUNT * sizeof(struct rc_counters_meta),
		RC_FALSE_SHARING);
}

static uint64_t bytes_for(uint32_t shards)
{
	return shards_at() + shards * sizeof(struct rc_counters_shard);
}

/*
 * Removes what lies at the path when no writer lives there. An exclusive lock is held by writers alone, so a shared
 * one, which other readers may hold as well, is enough to find out. A file that was never a counters file is left alone
 * unless it lies in the gateway's own folder.
 */
static int clear_path(const char *path, bool own_folder, struct rc_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return rc_error_set(err, "can't look at what is at %s: %s", path, strerror(errno));
	struct stat st;
	uint64_t magic = 0;
	int rc = 0;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		rc = rc_error_set(err, "%s is not a file; name another place", path);
	else if (flock(fd, LOCK_SH | LOCK_NB) != 0)
		rc = rc_error_set(err,
			"%s is in use by a running gateway; name another place or stop that one",
			path);
	else if (!own_folder && st.st_size != 0 &&
		 (pread(fd, &magic, sizeof(magic), 0) != (ssize_t)sizeof(magic) ||
			 magic != RC_COUNTERS_MAGIC))
		rc = rc_error_set(err,
			"%s exists and is not a counters file; name another place or remove it",
			path);
	else if (unlink(path) != 0)
		rc = rc_error_set(err, "can't replace %s: %s", path, strerror(errno));
	close(fd);
	return rc;
}

/* A new file, locked, with its pages reserved; or -1 with nothing left behind. */
static int make_file(const char *path, uint64_t bytes, struct rc_error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return rc_error_set(err, "can't create %s: %s", path, strerror(errno));
	int error = 0;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		error = errno;
	if (error == 0)
		error = posix_fallocate(fd, 0, (off_t)bytes);
	if (error != 0) {
		unlink(path);
		close(fd);
		return rc_error_set(err, "can't reserve %llu bytes in %s: %s",
			(unsigned long long)bytes, path, strerror(error));
	}
	return fd;
}

static void fill(struct rc_counters_header *h, uint32_t shards)
{
	uint64_t now = rc_clock_wall_ms();
	h->version = RC_COUNTERS_VERSION;
	h->header_bytes = sizeof(*h);
	h->file_bytes = bytes_for(shards);
	h->pid = (uint32_t)getpid();
	h->shard_count = shards;
	h->start_wall_ms = now;
	atomic_store_explicit(&h->heartbeat_wall_ms, now, memory_order_relaxed);
	h->meta_count = META_COUNT;
	h->meta_bytes = sizeof(struct rc_counters_meta);
	h->meta_at = sizeof(*h);
	h->shards_at = shards_at();
	h->shard_bytes = sizeof(struct rc_counters_shard);
	h->counter_count = RC_COUNTER_COUNT;
	h->hist_buckets = RC_HIST_BUCKETS;
	snprintf(h->program_version, sizeof(h->program_version), "%s", RC_VERSION);
	memcpy((unsigned char *)h + h->meta_at, meta_list, sizeof(meta_list));
	/* Pairs with the acquire in rc_counters_open: whoever sees the magic sees all of the above. */
	atomic_store_explicit(&h->magic, RC_COUNTERS_MAGIC, memory_order_release);
}

static int choose_path(struct rc_counters *c, const char *path, struct rc_error *err)
{
	if (path != NULL) {
		if (strlen(path) >= sizeof(c->path))
			return rc_error_set(err, "the path of the counters file is too long");
		memcpy(c->path, path, strlen(path) + 1);
		return clear_path(c->path, false, err);
	}
	char folder[RC_COUNTERS_PATH_MAX];
	int fd = rc_counters_folder(folder, err);
	if (fd < 0)
		return -1;
	close(fd);
	int n = snprintf(
		c->path, sizeof(c->path), "%s/%ld" RC_COUNTERS_SUFFIX, folder, (long)getpid());
	if (n < 0 || (size_t)n >= sizeof(c->path))
		return rc_error_set(err, "the path of the folder %s is too long", folder);
	return clear_path(c->path, true, err);
}

int rc_counters_create(
	struct rc_counters *c, const char *path, uint32_t shards, struct rc_error *err)
{
	RC_ASSERT(shards >= 1 && shards <= RC_COUNTERS_SHARDS_MAX);
	*c = (struct rc_counters){.fd = -1};
	uint64_t bytes = bytes_for(shards);
	bool in_memory = path != NULL && path[0] == '\0';
	if (!in_memory) {
		if (choose_path(c, path, err) == 0)
			c->fd = make_file(c->path, bytes, err);
		if (c->fd < 0) {
			c->path[0] = '\0';
			return rc_error_prefix(err, "counters file");
		}
	}
	/* Populated now, so that no first count of a kind costs a page fault in a turn. */
	int flags = MAP_SHARED | MAP_POPULATE | (in_memory ? MAP_ANONYMOUS : 0);
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, c->fd, 0);
	if (map == MAP_FAILED) {
		int error = errno;
		rc_counters_destroy(c);
		return rc_error_set(err, "counters file: can't map %llu bytes: %s",
			(unsigned long long)bytes, strerror(error));
	}
	c->header = map;
	c->shards = (struct rc_counters_shard *)((unsigned char *)map + shards_at());
	c->shard_count = shards;
	fill(c->header, shards);
	return 0;
}

void rc_counters_destroy(struct rc_counters *c)
{
	if (c->header != NULL)
		munmap(c->header, bytes_for(c->shard_count));
	/* Unlinked while the lock is held: nobody takes the file for a stale one, nor its name for free, in between. */
	if (c->path[0] != '\0') {
		unlink(c->path);
		close(c->fd);
	}
	*c = (struct rc_counters){.fd = -1};
}

void rc_counters_heartbeat(const struct rc_counters *c, uint64_t wall_ms)
{
	atomic_store_explicit(&c->header->heartbeat_wall_ms, wall_ms, memory_order_relaxed);
}

uint64_t rc_counters_sum(const struct rc_counters *c, enum rc_counter id)
{
	uint64_t sum = 0;
	for (uint32_t s = 0; s < c->shard_count; s++)
		sum += rc_counter_get(&c->shards[s], id);
	return sum;
}

void rc_counters_sum_hist(
	const struct rc_counters *c, enum rc_counter_hist id, uint64_t out[RC_HIST_BUCKETS])
{
	memset(out, 0, RC_HIST_BUCKETS * sizeof(out[0]));
	for (uint32_t s = 0; s < c->shard_count; s++)
		for (uint32_t b = 0; b < RC_HIST_BUCKETS; b++)
			out[b] += atomic_load_explicit(
				&c->shards[s].hist[id][b], memory_order_relaxed);
}
