/* SPDX-License-Identifier: Apache-2.0
 *
 * What the gateway counts, in a mapped file that another process can read while it runs, at no cost to the gateway.
 * Each shard owns one block and is its only writer, with plain loads and relaxed stores; readers are the status pages of
 * the gateway itself and `ringcast stat`, and see each u64 whole but the set of them at no single moment.
 *
 *   0           struct rc_counters_header             who writes, since when, where everything lies
 *   meta_at     struct rc_counters_meta[meta_count]   name, unit, help, kind and place of each counter, so
 *                                                     that a reader of another version can print them
 *   shards_at   block of shard 0                      aligned to 128 bytes, shard_bytes long:
 *                 u64 value per counter                 at 8 * meta.word
 *                 u64 [hist_buckets] per histogram      from 8 * meta.word on, buckets of base/hist.h
 *                 sums of the histograms, counters by namespace: for the gateway itself, in no entry
 *   + shard_bytes  block of shard 1 ... up to file_bytes
 *
 * All numbers are in the byte order of the host. The magic is stored last (release; pairs with the reader's acquire),
 * so a file that is being made is not yet one. The writer holds an exclusive flock(2) on the file for as long as it
 * lives, which the kernel ends with the process: that, not the pid, tells a reader in any pid namespace whether the file is
 * stale. The memory of a shard's block may also be a caller's own zeroed struct: unit tests need no file.
 */
#ifndef RC_OPS_COUNTERS_H
#define RC_OPS_COUNTERS_H

#include <limits.h>
#include <stdatomic.h>

#include "base/base.h"
#include "base/error.h"
#include "base/hist.h"

#define RC_COUNTERS_MAGIC      UINT64_C(0x31544e554f434352) /* "RCCOUNT1" on a little-endian host */
#define RC_COUNTERS_VERSION    1u
#define RC_COUNTERS_SHARDS_MAX 1024u
#define RC_COUNTERS_PATH_MAX   512
#define RC_COUNTERS_SUFFIX     ".counters"
#define RC_COUNTERS_NAMESPACES 65 /* the default one and all that a configuration may name */

/* RC_C_clients, RC_C_accepts, ... */
enum rc_counter {
#define RC_COUNTER(name, kind, unit, help) RC_C_##name,
#include "ops/counters_list.h"
	RC_COUNTER_COUNT
};

/* RC_H_publish_to_flush_ns, RC_H_turn_ns, ... */
enum rc_counter_hist {
#define RC_COUNTER_HIST(name, unit, help) RC_H_##name,
#include "ops/counters_list.h"
	RC_COUNTER_HIST_COUNT
};

/* RC_N_events, RC_N_deliveries, ... */
enum rc_counter_ns {
#define RC_COUNTER_NS(name, family, help) RC_N_##name,
#include "ops/counters_list.h"
	RC_COUNTER_NS_COUNT
};

enum rc_counter_kind { RC_KIND_COUNTER = 1, RC_KIND_GAUGE = 2, RC_KIND_HIST = 3 };

struct rc_counters_header {
	_Atomic uint64_t magic;
	uint32_t version;
	uint32_t header_bytes; /* sizeof(struct rc_counters_header) of the writer */
	uint64_t file_bytes;
	uint32_t pid; /* in the writer's pid namespace */
	uint32_t shard_count;
	uint64_t start_wall_ms;
	_Atomic uint64_t heartbeat_wall_ms; /* by shard 0, once a second */
	uint32_t meta_count;                /* counters and histograms */
	uint32_t meta_bytes;                /* from one entry to the next */
	uint64_t meta_at;
	uint64_t shards_at;
	uint64_t shard_bytes; /* from one block to the next, a multiple of 128 */
	uint32_t counter_count;
	uint32_t hist_buckets;
	char program_version[32]; /* NUL-terminated */
	unsigned char reserved[136];
};
_Static_assert(sizeof(struct rc_counters_header) == 256, "the header of the counters file");

struct rc_counters_meta {
	uint32_t kind; /* enum rc_counter_kind */
	uint32_t word; /* place in a shard's block, in u64 */
	char name[48]; /* these three NUL-terminated */
	char unit[16];
	char help[184];
};
_Static_assert(sizeof(struct rc_counters_meta) == 256, "an entry of the counters file");

/* One shard's block. The zero value is a valid block that has counted nothing. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): how much there is depends on the number of counters */
struct rc_counters_shard {
	_Alignas(RC_FALSE_SHARING) _Atomic uint64_t value[RC_COUNTER_COUNT];
	_Alignas(RC_FALSE_SHARING) _Atomic uint64_t hist[RC_COUNTER_HIST_COUNT][RC_HIST_BUCKETS];
	_Atomic uint64_t hist_sum[RC_COUNTER_HIST_COUNT];
	_Atomic uint64_t ns[RC_COUNTER_NS_COUNT][RC_COUNTERS_NAMESPACES];
};
_Static_assert(sizeof(struct rc_counters_shard) % RC_FALSE_SHARING == 0, "blocks share no line");

/* ---- writing: the shard's own thread, nobody else ------------------------------------------- */

static inline void rc_count(struct rc_counters_shard *c, enum rc_counter id, uint64_t n)
{
	uint64_t now = atomic_load_explicit(&c->value[id], memory_order_relaxed);
	atomic_store_explicit(&c->value[id], now + n, memory_order_relaxed);
}

static inline void rc_gauge_set(struct rc_counters_shard *c, enum rc_counter id, uint64_t value)
{
	atomic_store_explicit(&c->value[id], value, memory_order_relaxed);
}

static inline void rc_gauge_add(struct rc_counters_shard *c, enum rc_counter id, int64_t delta)
{
	rc_count(c, id, (uint64_t)delta);
}

/* Counts a value n times into a histogram. */
static inline void rc_count_hist(
	struct rc_counters_shard *c, enum rc_counter_hist id, uint64_t value, uint64_t n)
{
	_Atomic uint64_t *bucket = &c->hist[id][rc_hist_bucket(value)];
	uint64_t now = atomic_load_explicit(bucket, memory_order_relaxed);
	atomic_store_explicit(bucket, now + n, memory_order_relaxed);
	uint64_t sum = atomic_load_explicit(&c->hist_sum[id], memory_order_relaxed);
	atomic_store_explicit(&c->hist_sum[id], sum + value * n, memory_order_relaxed);
}

/* The same as rc_count, by namespace: its place in the configuration, 0 = the default one. */
static inline void rc_count_ns(
	struct rc_counters_shard *c, enum rc_counter_ns id, uint32_t ns, uint64_t n)
{
	uint64_t now = atomic_load_explicit(&c->ns[id][ns], memory_order_relaxed);
	atomic_store_explicit(&c->ns[id][ns], now + n, memory_order_relaxed);
}

static inline uint64_t rc_counter_get(const struct rc_counters_shard *c, enum rc_counter id)
{
	return atomic_load_explicit(&c->value[id], memory_order_relaxed);
}

/* ---- the gateway's side: made at start by the main thread, taken down after the shards -------- */

struct rc_counters {
	struct rc_counters_header *header; /* the mapping; NULL = not made */
	struct rc_counters_shard *shards;
	uint32_t shard_count;
	int fd; /* holds the lock; -1 when the counters are in memory only */
	char path[RC_COUNTERS_PATH_MAX]; /* "" when in memory only */
};

/*
 * path: NULL = FOLDER/PID.counters in the folder that rc_counters_folder finds; "" = memory only, invisible from
 * outside; else that very file, which must not be in use by a living gateway. shards: 1 to RC_COUNTERS_SHARDS_MAX. 0, or
 * -1 with the error set and nothing left behind. The pages are reserved here: a full file system shows now and not as
 * a SIGBUS later.
 */
int rc_counters_create(
	struct rc_counters *c, const char *path, uint32_t shards, struct rc_error *err) RC_MUST_USE;
/* Unmaps, unlinks, releases. No shard may count any more. Valid on a zeroed or failed object, and twice. */
void rc_counters_destroy(struct rc_counters *c);

static inline struct rc_counters_shard *rc_counters_shard(
	const struct rc_counters *c, uint32_t shard)
{
	RC_ASSERT(shard < c->shard_count);
	return &c->shards[shard];
}

/* Shard 0, once a second. */
void rc_counters_heartbeat(const struct rc_counters *c, uint64_t wall_ms);
/* Sum over the shards; any thread of the gateway. */
uint64_t rc_counters_sum(const struct rc_counters *c, enum rc_counter id);
void rc_counters_sum_hist(
	const struct rc_counters *c, enum rc_counter_hist id, uint64_t out[RC_HIST_BUCKETS]);
/* What the list says of each; static memory. */
const struct rc_counters_meta *rc_counter_meta(enum rc_counter id);
const struct rc_counters_meta *rc_counter_hist_meta(enum rc_counter_hist id);

/*
 * Where counters files lie: $RUNTIME_DIRECTORY (its first; systemd sets it), else /run/ringcast when it can be made or
 * is this user's, else ringcast-UID in $XDG_RUNTIME_DIR, else in /tmp. Made with mode 0700 when missing. A folder that is
 * a symlink, belongs to somebody else or can be written by others is never used. Returns the folder, open, with its
 * name in out; or -1 with the error set.
 */
int rc_counters_folder(char out[RC_COUNTERS_PATH_MAX], struct rc_error *err) RC_MUST_USE;
/*
 * The reader's turn of the same: candidate i (from 0) that exists and can be trusted, open, with its name; -1 when it is none;
 * RC_COUNTERS_FOLDERS of them at most.
 */
#define RC_COUNTERS_FOLDERS 4
int rc_counters_folder_at(uint32_t i, char out[RC_COUNTERS_PATH_MAX]) RC_MUST_USE;

/* ---- the reader's side: another process, read-only, trusts nothing in the file ------------------ */

struct rc_counters_view {
	const unsigned char *base; /* the mapping; NULL = not open */
	size_t size;
	int fd;
	/* Checked copies, so that what changes in the file later can't lead outside it. */
	struct rc_counters_meta *meta; /* meta_count of them, texts made safe to print */
	uint32_t meta_count;
	uint32_t shard_count;
	uint64_t shards_at;
	uint64_t shard_bytes;
	uint64_t start_wall_ms;
	uint32_t pid;
	char program_version[32];
	char path[RC_COUNTERS_PATH_MAX];
};

/*
 * 0, or -1 with the error set. The file may be of another version of the program, as long as the version of the layout
 * is the same; the writer may be gone.
 */
int rc_counters_open(
	struct rc_counters_view *v, const char *path, struct rc_error *err) RC_MUST_USE;
/* Valid on a zeroed or failed object, and twice. */
void rc_counters_close(struct rc_counters_view *v);
/* The writer still lives. */
bool rc_counters_alive(const struct rc_counters_view *v);
uint64_t rc_counters_heartbeat_ms(const struct rc_counters_view *v);
/* Index of the entry of that name, or RC_NONE. */
uint32_t rc_counters_find(const struct rc_counters_view *v, const char *name);
/* shard: an index, or RC_NONE for the sum of all. Entry i must not be (or must be) a histogram. */
uint64_t rc_counters_read(const struct rc_counters_view *v, uint32_t i, uint32_t shard);
void rc_counters_read_hist(const struct rc_counters_view *v, uint32_t i, uint32_t shard,
	uint64_t out[RC_HIST_BUCKETS]);

/*
 * Calls look(ctx), which reads from views. False when it did not come to its end, because a file was cut short under it:
 * reading what is not there any more is a SIGBUS, which would end the process. So it must hold nothing that only it knows of.
 * One thread at a time, for the signal's handler is the process's.
 */
bool rc_counters_guarded(void (*look)(void *ctx), void *ctx) RC_MUST_USE;

/*
 * Calls each for every counters file of a living gateway in the known folders that this user may read; it borrows the
 * view and returns false to stop. Stale files of this user are removed on the way. Returns how many were shown.
 */
uint32_t rc_counters_list(bool (*each)(void *ctx, const struct rc_counters_view *v), void *ctx);

#endif
