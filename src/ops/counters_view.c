/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader's side of the counters file: maps it read-only, checks every size and offset before it is used, and
 * keeps checked copies, so that a broken or changing file yields wrong numbers at worst. One thread, another process
 * than the writer's.
 */
#include "ops/counters.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define META_COUNT_MAX 4096u
#define META_BYTES_MAX 4096u
#define FILE_BYTES_MAX ((uint64_t)1 << 30)

static void printable(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static uint64_t load(const struct rc_counters_view *v, uint64_t at)
{
	return atomic_load_explicit(
		(const _Atomic uint64_t *)(const void *)(v->base + at), memory_order_relaxed);
}

/* What is wrong with the header, or NULL; h is a copy that does not change any more. */
static const char *header_fault(const struct rc_counters_header *h, uint64_t size)
{
	if (h->version != RC_COUNTERS_VERSION)
		return "its layout has another version than this program reads";
	if (h->hist_buckets != RC_HIST_BUCKETS)
		return "its histograms have another shape than this program reads";
	if (h->header_bytes < sizeof(*h) || h->file_bytes > size)
		return "it is cut short";
	if (h->shard_count < 1 || h->shard_count > RC_COUNTERS_SHARDS_MAX || h->meta_count < 1 ||
		h->meta_count > META_COUNT_MAX || h->meta_bytes < sizeof(struct rc_counters_meta) ||
		h->meta_bytes > META_BYTES_MAX || h->meta_bytes % 8 != 0 || h->meta_at % 8 != 0 ||
		h->shards_at % RC_FALSE_SHARING != 0 || h->shard_bytes % RC_FALSE_SHARING != 0 ||
		h->shard_bytes == 0)
		return "its header makes no sense";
	/* None of these can overflow: every factor was bounded above, and offsets by size, at most 1 GiB. */
	if (h->meta_at < sizeof(*h) || h->meta_at > size || h->shards_at > size ||
		h->shard_bytes > size ||
		h->meta_at + (uint64_t)h->meta_count * h->meta_bytes > h->shards_at ||
		h->shards_at + h->shard_count * h->shard_bytes > h->file_bytes)
		return "its parts do not fit into it";
	return NULL;
}

/* Not out of the mapping: of a file that is cut short meanwhile this reads less, and that kills. */
static bool read_at(const struct rc_counters_view *v, void *out, size_t len, uint64_t at)
{
	return pread(v->fd, out, len, (off_t)at) == (ssize_t)len;
}

static const char *copy_meta(struct rc_counters_view *v, const struct rc_counters_header *h)
{
	v->meta = calloc(h->meta_count, sizeof(v->meta[0]));
	if (v->meta == NULL)
		return "there is no memory for its list";
	v->meta_count = h->meta_count;
	for (uint32_t i = 0; i < h->meta_count; i++) {
		struct rc_counters_meta *m = &v->meta[i];
		if (!read_at(v, m, sizeof(*m), h->meta_at + (uint64_t)i * h->meta_bytes))
			return "it is cut short";
		uint64_t words = m->kind == RC_KIND_HIST ? RC_HIST_BUCKETS : 1;
		if (m->kind < RC_KIND_COUNTER || m->kind > RC_KIND_HIST ||
			(m->word + words) * sizeof(uint64_t) > h->shard_bytes)
			return "its list of counters makes no sense";
		printable(m->name, sizeof(m->name));
		printable(m->unit, sizeof(m->unit));
		printable(m->help, sizeof(m->help));
	}
	return NULL;
}

static const char *take(struct rc_counters_view *v)
{
	struct stat st;
	if (fstat(v->fd, &st) != 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is not a file";
	if ((uint64_t)st.st_size < sizeof(struct rc_counters_header) ||
		(uint64_t)st.st_size > FILE_BYTES_MAX)
		return "it is not a counters file";
	v->size = (size_t)st.st_size;
	void *map = mmap(NULL, v->size, PROT_READ, MAP_SHARED, v->fd, 0);
	if (map == MAP_FAILED)
		return strerror(errno);
	v->base = map;
	uint64_t magic = 0;
	struct rc_counters_header h;
	if (!read_at(v, &magic, sizeof(magic), 0))
		return "it is cut short";
	if (magic != RC_COUNTERS_MAGIC)
		return magic == 0 ? "it is not a counters file yet" : "it is not a counters file";
	/* Pairs with the release in fill(): the rest of the header is complete once the magic is there. */
	atomic_thread_fence(memory_order_acquire);
	if (!read_at(v, &h, sizeof(h), 0))
		return "it is cut short";
	const char *fault = header_fault(&h, v->size);
	if (fault == NULL)
		fault = copy_meta(v, &h);
	if (fault != NULL)
		return fault;
	v->shard_count = h.shard_count;
	v->shards_at = h.shards_at;
	v->shard_bytes = h.shard_bytes;
	v->start_wall_ms = h.start_wall_ms;
	v->pid = h.pid;
	memcpy(v->program_version, h.program_version, sizeof(v->program_version));
	printable(v->program_version, sizeof(v->program_version));
	return NULL;
}

/* Takes over the descriptor. */
static int open_fd(struct rc_counters_view *v, int fd, const char *path, struct rc_error *err)
{
	*v = (struct rc_counters_view){.fd = fd};
	snprintf(v->path, sizeof(v->path), "%s", path);
	const char *fault = fd < 0 ? strerror(errno) : take(v);
	if (fault == NULL)
		return 0;
	rc_error_set(err, "can't read %s: %s", path, fault);
	rc_counters_close(v);
	return -1;
}

int rc_counters_open(struct rc_counters_view *v, const char *path, struct rc_error *err)
{
	/* Non-blocking, so that a FIFO of that name can't hold us. */
	return open_fd(v, open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), path, err);
}

void rc_counters_close(struct rc_counters_view *v)
{
	if (v->base != NULL)
		munmap((void *)v->base, v->size);
	if (v->path[0] != '\0' && v->fd >= 0)
		close(v->fd);
	free(v->meta);
	*v = (struct rc_counters_view){.fd = -1};
}

bool rc_counters_alive(const struct rc_counters_view *v)
{
	if (flock(v->fd, LOCK_SH | LOCK_NB) != 0)
		return true;
	flock(v->fd, LOCK_UN);
	return false;
}

uint64_t rc_counters_heartbeat_ms(const struct rc_counters_view *v)
{
	return load(v, offsetof(struct rc_counters_header, heartbeat_wall_ms));
}

uint32_t rc_counters_find(const struct rc_counters_view *v, const char *name)
{
	for (uint32_t i = 0; i < v->meta_count; i++)
		if (strcmp(v->meta[i].name, name) == 0)
			return i;
	return RC_NONE;
}

/* Adds up `words` values of entry i. */
static void add_up(
	const struct rc_counters_view *v, uint32_t i, uint32_t shard, uint32_t words, uint64_t *out)
{
	RC_ASSERT(i < v->meta_count && (shard == RC_NONE || shard < v->shard_count));
	uint32_t first = shard == RC_NONE ? 0 : shard;
	uint32_t last = shard == RC_NONE ? v->shard_count - 1 : shard;
	memset(out, 0, words * sizeof(out[0]));
	for (uint32_t s = first; s <= last; s++) {
		uint64_t at =
			v->shards_at + s * v->shard_bytes + v->meta[i].word * sizeof(uint64_t);
		for (uint32_t w = 0; w < words; w++)
			out[w] += load(v, at + w * sizeof(uint64_t));
	}
}

uint64_t rc_counters_read(const struct rc_counters_view *v, uint32_t i, uint32_t shard)
{
	RC_ASSERT(v->meta[i].kind != RC_KIND_HIST);
	uint64_t sum;
	add_up(v, i, shard, 1, &sum);
	return sum;
}

void rc_counters_read_hist(
	const struct rc_counters_view *v, uint32_t i, uint32_t shard, uint64_t out[RC_HIST_BUCKETS])
{
	RC_ASSERT(v->meta[i].kind == RC_KIND_HIST);
	add_up(v, i, shard, RC_HIST_BUCKETS, out);
}

/* "123.counters", and nothing else, so that no other file is ever touched. */
static bool is_counters_name(const char *name)
{
	size_t digits = strspn(name, "0123456789");
	return digits > 0 && digits <= 10 && strcmp(name + digits, RC_COUNTERS_SUFFIX) == 0;
}

static void remove_stale(int folder, const char *name, const struct rc_counters_view *v)
{
	struct stat opened, named;
	if (fstat(v->fd, &opened) == 0 && opened.st_uid == geteuid() &&
		fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
		opened.st_dev == named.st_dev && opened.st_ino == named.st_ino)
		unlinkat(folder, name, 0);
}

struct listing {
	bool (*each)(void *ctx, const struct rc_counters_view *v);
	void *ctx;
	uint32_t shown;
};

/* False when the caller had enough. */
static bool list_one(struct listing *l, int folder, const char *folder_name, const char *name)
{
	char path[RC_COUNTERS_PATH_MAX + NAME_MAX + 2];
	snprintf(path, sizeof(path), "%s/%s", folder_name, name);
	struct rc_counters_view v;
	struct rc_error err;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (open_fd(&v, fd, path, &err) != 0)
		return true;
	bool more = true;
	if (rc_counters_alive(&v)) {
		l->shown++;
		more = l->each(l->ctx, &v);
	} else {
		remove_stale(folder, name, &v);
	}
	rc_counters_close(&v);
	return more;
}

uint32_t rc_counters_list(bool (*each)(void *ctx, const struct rc_counters_view *v), void *ctx)
{
	struct listing l = {each, ctx, 0};
	struct stat seen[RC_COUNTERS_FOLDERS];
	uint32_t seen_count = 0;
	bool more = true;
	for (uint32_t i = 0; i < RC_COUNTERS_FOLDERS && more; i++) {
		char folder_name[RC_COUNTERS_PATH_MAX];
		int folder = rc_counters_folder_at(i, folder_name);
		if (folder < 0)
			continue;
		/* systemd's folder is often /run/ringcast itself. */
		struct stat *st = &seen[seen_count];
		bool again = fstat(folder, st) != 0;
		for (uint32_t s = 0; s < seen_count; s++)
			again = again ||
				(seen[s].st_dev == st->st_dev && seen[s].st_ino == st->st_ino);
		int listed = again ? -1 : dup(folder);
		DIR *dir = listed < 0 ? NULL : fdopendir(listed);
		if (dir == NULL && listed >= 0)
			close(listed);
		if (dir != NULL) {
			seen_count++;
			const struct dirent *entry;
			while (more && (entry = readdir(dir)) != NULL)
				if (is_counters_name(entry->d_name))
					more = list_one(&l, folder, folder_name, entry->d_name);
			closedir(dir);
		}
		close(folder);
	}
	return l.shown;
}
