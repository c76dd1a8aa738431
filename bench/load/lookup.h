/* SPDX-License-Identifier: Apache-2.0
 *
 * A file of JSON in memory, and values of it by path. One owner; values borrow the file's text.
 */
#ifndef LOAD_LOOKUP_H
#define LOAD_LOOKUP_H

#include "base/error.h"
#include "proto/json.h"

/* Larger than any result: 4096 samples and all buckets take about 2 MiB. */
#define LOAD_JSON_MAX   (64u << 20)
#define LOAD_JSON_DEPTH 16

/* What a text is the result of, by the members that nothing can be shown without. */
enum load_json_kind {
	LOAD_JSON_NEITHER, /* other JSON, or none */
	LOAD_JSON_RUN,     /* load_result_json */
	LOAD_JSON_COMPARE  /* bench/compare */
};
enum load_json_kind load_json_kind(struct rc_str text);

/*
 * The text of a file that is a result of a run or, where comparisons will do too, of bench/compare; free(out->ptr) belongs
 * to the caller. Else -errno and a sentence.
 */
int load_json_read(
	struct rc_str *out, const char *path, bool comparisons, struct rc_error *err) RC_MUST_USE;
/* "latency.p99", "groups.0.name". Of kind RC_JSON_NONE when it is not there. */
struct rc_json_value load_json_at(struct rc_json_value root, const char *path);
/* Below 0: not there, null, or no number. */
double load_json_number(struct rc_json_value root, const char *path);
/* Writes "" when it is not there, no string, or does not fit. */
void load_json_text(struct rc_json_value root, const char *path, char *out, size_t cap);

#endif
