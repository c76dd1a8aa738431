/* SPDX-License-Identifier: Apache-2.0
 *
 * Is this host fit to run the gateway? A table of checks, each with what is read, what is wanted, what it costs when it
 * is otherwise, and the command that mends it. Looks only, changes nothing. Main thread, at start and in
 * `ringcast check`.
 *
 *   required  the gateway can't start, or can't keep a limit that it was given: BAD when it is not so
 *   the rest  it runs, but slower or with less room: ADVICE when it is not so
 *   facts     neither right nor wrong, shown because a person will want to know: INFO
 *
 * The values that tuning/99-ringcast.conf sets are those of the table's rows with in_sysctl_file; a test compares them.
 */
#ifndef RC_OPS_HOSTCHECK_H
#define RC_OPS_HOSTCHECK_H

#include "config/config.h"

#define RC_HOST_CHECKS_MAX 64

enum rc_host_verdict {
	RC_HOST_OK,
	RC_HOST_INFO,
	RC_HOST_ADVICE,
	RC_HOST_BAD,
	RC_HOST_UNKNOWN, /* could not be read */
};

enum rc_host_group {
	RC_HOST_KERNEL,
	RC_HOST_LIMITS,
	RC_HOST_MEMORY,
	RC_HOST_NETWORK,
	RC_HOST_CPU,
	RC_HOST_GROUP_COUNT
};

/* What somebody found out who tried to give keys to the kernel. */
struct rc_host_tls {
	bool wanted;       /* the configuration would use it */
	bool any, all;     /* some or all of what there is, both ways */
	char found[96];    /* what, in short */
	char why_not[160]; /* when not all */
};

/* What the gateway would be asked to hold, and where to look. */
struct rc_host_env {
	const char *root; /* "" for this host; a folder with proc/ and sys/ in it for tests */
	uint64_t max_clients;
	uint64_t memory_bytes; /* of the option memory */
	/* io_uring_setup(2) with a struct io_uring_params: a descriptor, or -errno. */
	int (*uring_setup)(uint32_t entries, void *params);
	uint64_t descriptors;          /* as rc_host_descriptors() has it */
	const struct rc_host_tls *tls; /* NULL: nobody tried, there is only what the sysctl says */
};

struct rc_host_check;

struct rc_host_finding {
	const struct rc_host_check *check;
	enum rc_host_verdict verdict;
	char found[96];
	char wanted[64];
	char why[160];  /* of this finding in particular; "" when the check's cost says it all */
	char mend[224]; /* "" when there is nothing to mend, or no command that does it */
};

enum rc_host_bound { RC_HOST_AT_LEAST, RC_HOST_AT_MOST, RC_HOST_EXACTLY };

struct rc_host_check {
	const char *id;    /* a sysctl's own name, or group.word */
	const char *reads; /* for people; for a row without look it is the sysctl of that id */
	enum rc_host_group group;
	bool required;
	bool in_sysctl_file;
	enum rc_host_bound bound; /* rows without look: number `field` of the value against want */
	uint32_t field;
	uint64_t want;
	const char *cost; /* what it costs when it is otherwise */
	/* Fills verdict, found, wanted, why and mend. NULL = a sysctl with a bound. */
	void (*look)(const struct rc_host_env *env, const struct rc_host_check *check,
		struct rc_host_finding *f);
};

extern const struct rc_host_check rc_host_checks[];
extern const uint32_t rc_host_check_count;

/* This host, for so many clients and so much memory; the caller adds the descriptors. */
struct rc_host_env rc_host_env_real(uint64_t max_clients, uint64_t memory_bytes);
/* Fills one finding per row of the table, in its order; returns how many. */
uint32_t rc_host_run(const struct rc_host_env *env, struct rc_host_finding out[RC_HOST_CHECKS_MAX]);

/* Descriptors that a gateway needs: so many clients, its publishers, its files, and in each shard its listeners, its ring and
 * some to spare. The bound that `serve` holds its limit against, and `check` the host. */
uint64_t rc_host_descriptors(const struct rc_config *config, uint64_t max_clients, uint32_t shards);

const char *rc_host_verdict_name(enum rc_host_verdict verdict);
const char *rc_host_group_name(enum rc_host_group group);

#endif
