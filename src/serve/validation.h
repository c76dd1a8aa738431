/* SPDX-License-Identifier: Apache-2.0
 *
 * What each namespace takes from publishers, whether they come by WebSocket, ingest or HTTP: JSON or any bytes, up to which size, which
 * events, and what a schema says of the payload. Asked on the shard that takes an event in, before it goes to its owner; broadcasts and
 * messages to users belong to no namespace. The main thread opens and closes; nobody changes it; shards follow a pointer and its version.
 */
#ifndef RC_SERVE_VALIDATION_H
#define RC_SERVE_VALIDATION_H

#include "base/error.h"
#include "config/config.h"
#include "proto/schema.h"

struct rc_validation_rule {
	uint32_t size_max;        /* UINT32_MAX: none of its own */
	bool json;                /* nothing else */
	struct rc_str events;     /* the configured list; empty: all */
	struct rc_schema *schema; /* NULL: none. Of the first namespace that names the file */
	bool lent;                /* the schema is another namespace's */
};

struct rc_validation {
	const struct rc_config *config;
	uint32_t schemas; /* different ones */
	struct rc_validation_rule rule[1 + RC_CONFIG_NAMESPACES_MAX];
};

enum rc_validity {
	RC_VALID,
	RC_INVALID_SIZE,
	RC_INVALID_EVENT,
	RC_INVALID_DATA, /* the fault says where and what */
};

/* "/order/price must be a number" */
#define RC_INVALID_TEXT (RC_SCHEMA_PLACE_SIZE + RC_SCHEMA_WORDS_SIZE)

/* Some namespace takes less than everything. */
bool rc_validation_wanted(const struct rc_config *config);
/* 0, or -1 with the namespace, the file, its line and what is wrong. */
int rc_validation_open(struct rc_validation **out, const struct rc_config *config,
	struct rc_error *err) RC_MUST_USE;
void rc_validation_close(struct rc_validation *v);
/* Some namespace names a file. */
bool rc_validation_has_files(const struct rc_config *config);
/* Another number when one of the files has changed. */
uint64_t rc_validation_stamp(const struct rc_config *config);

/* json: data was accepted by rc_json_validate. */
enum rc_validity rc_validate(const struct rc_validation *v, struct rc_str channel,
	struct rc_str event, struct rc_str data, bool json,
	struct rc_schema_fault *fault) RC_MUST_USE;
/* The fault in one sentence. */
void rc_invalid_text(const struct rc_schema_fault *fault, char out[RC_INVALID_TEXT]);

#endif
