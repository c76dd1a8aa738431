/* SPDX-License-Identifier: Apache-2.0
 *
 * Micro-benchmarks in C under Google Benchmark, which is C++: each .c file of micro/ exports a table of cases, and
 * shim.cc alone knows the library. A new file needs its table named in MICRO_TABLES and nothing else.
 *
 * A case's run() does one round of `items` operations, so that the library's own few nanoseconds are shared by many.
 * open() makes the state, run() sees it warm, close() frees it; all three are called from one thread. A case that can't
 * run here says why with micro_skip() in open() and returns NULL.
 */
#ifndef BENCH_SHIM_H
#define BENCH_SHIM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct micro_case {
	const char *name; /* "spsc/push_pop/64B"; NULL ends a table */
	uint64_t arg;     /* for open() */
	uint64_t items;   /* operations of a round */
	uint64_t bytes;   /* payload of a round; 0 = no such figure */
	void *(*open)(uint64_t arg);
	void (*run)(void *state);
	void (*close)(void *state);
};

/* clang-format 14 never agrees with itself on how to break this. */
/* clang-format off */
#define MICRO_TABLES(X) \
	X(spsc) X(cores) X(log) X(flush) X(memory) X(channels) X(patterns) X(wheel) X(hist) X(hash) \
	X(utf8) X(text) X(json) X(schema) X(http) X(websocket) X(mask) X(ingest) X(tls) X(token) X(users) \
	X(filters)
/* clang-format on */

#define MICRO_DECLARE(name) extern const struct micro_case micro_##name[];
MICRO_TABLES(MICRO_DECLARE)

/* Keeps the compiler from dropping what made the value. */
static inline void micro_keep(uint64_t value)
{
	__asm__ volatile("" : : "r"(value) : "memory");
}

/* Zeroed and aligned to 128; ends the program when there is none. free() gives it back. */
void *micro_alloc(uint64_t bytes);
/* The case is reported as skipped for this reason, a literal. Returns NULL, for open() to return. */
void *micro_skip(const char *reason);

#ifdef __cplusplus
}
#endif

#endif
