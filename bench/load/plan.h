/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run is to do: made from the command line before anything is opened, read-only after the fork.
 */
#ifndef LOAD_PLAN_H
#define LOAD_PLAN_H

#include "target.h"

#define LOAD_GROUPS_MAX  8
#define LOAD_SOURCES_MAX 256
#define LOAD_WORKERS_MAX 256
#define LOAD_CPUS_MAX    64

enum load_spread {
	LOAD_EVEN, /* client i takes channels i*s, i*s+1, … modulo channels; events go round */
	LOAD_ZIPF, /* rank r with weight 1 / r^zipf, for clients and for events */
	LOAD_OWN   /* client i has channel i: channels == clients */
};

enum load_tls_version { LOAD_TLS_ANY, LOAD_TLS_12, LOAD_TLS_13 };

enum load_reading { LOAD_READS, LOAD_READS_SLOWLY, LOAD_READS_NEVER };

/* Clients that behave alike, and what is published for them. The zero value does nothing. */
struct load_group {
	char name[32];
	uint32_t clients;
	uint32_t channels,
		first_channel; /* numbers first_channel … + channels - 1; groups may share a range (slow) */
	uint32_t subscriptions; /* channels a client */
	uint32_t filters; /* different ones: client i subscribes with filter i modulo filters */
	enum load_spread spread;
	double zipf;
	enum load_reading reading;
	uint64_t read_bytes_per_second; /* LOAD_READS_SLOWLY */
	bool may_lose; /* lost events and closed connections of this group are counted, not faults (slow) */
	double churn_per_second; /* clients of this group that leave and come back */
	double storm_after_seconds; /* of the window; 0: none. All of the group drop at once and come back */
	double storm_away_seconds; /* before they begin to come back */
	bool recover;              /* coming back, ask for what was missed */

	uint32_t publishers; /* 0: nobody publishes to this group's channels */
	double rate; /* events a second of all its publishers together, open loop; 0: closed loop */
	uint32_t
		in_flight; /* closed loop: events that are not yet with everybody, all publishers together */
	uint32_t payload; /* bytes of an event */
	bool echo; /* no subscription: each client sends events to the echo URL and waits for them; in_flight per client, or rate of all */
	bool command; /* no subscription: each client sends commands, backends of ours answer; in_flight per client, or rate of all */
	uint32_t backends; /* connections that answer the commands */
	uint32_t reply;    /* bytes of an answer */
	bool handshakes; /* nothing is said: each client makes one TLS handshake after the other */
	bool resume;     /* handshakes: all but the first resume its session */
	bool acks_only; /* publish: latency is from sending to acknowledgement; in flight until acknowledged */
};

struct load_plan {
	char scenario[32];
	struct load_target *target;
	struct load_group group[LOAD_GROUPS_MAX];
	uint32_t groups;
	uint32_t channels;       /* numbers in all */
	uint32_t clients;        /* of all groups */
	char channel_prefix[64]; /* channel c is prefix + c, "load:17" */

	double connect_rate; /* connections a second, all workers; 0: as fast as answers come, connect_at_once at a time */
	uint32_t connect_at_once;
	double connect_timeout; /* seconds, each */
	struct in_addr source[LOAD_SOURCES_MAX];
	uint32_t sources; /* 0: the kernel's choice */

	uint32_t threads, processes; /* processes is worked out from RLIMIT_NOFILE when not given */
	int cpu[LOAD_CPUS_MAX];
	uint32_t cpus; /* 0: not pinned; worker i runs on cpu[i % cpus] */
	bool busy;     /* workers poll, they never sleep: the server does not pay for waking them */
	bool own_limit; /* the generator itself is what is measured: it may be the bottleneck */
	enum load_tls_version tls; /* that is spoken */
	bool insecure;             /* wss: certificates are not verified */
	bool deflate;              /* subscribers offer permessage-deflate */
	char ca_file[1024];        /* "": the system's */

	double warm, seconds, drain; /* drain: the longest time without progress */
	pid_t pid[64];               /* the server's; 0 of them: looked for by the port */
	uint32_t pids;
	bool quiet;
	char json[1024], report[1024]; /* "": not written; "-": standard output */
};

/* Its clients themselves send, and wait for what comes back. */
static inline bool load_group_asks(const struct load_group *g)
{
	return g->echo || g->command;
}

/* Nothing but commands: a result speaks of these. */
static inline bool load_plan_commands(const struct load_plan *plan)
{
	for (uint32_t i = 0; i < plan->groups; i++)
		if (!plan->group[i].command)
			return false;
	return plan->groups > 0;
}

/* Connections of the group that are no clients. */
static inline uint32_t load_group_links(const struct load_group *g)
{
	return g->publishers + (g->command ? g->backends : 0);
}

/* After all options: ranges, sums, limits, processes. */
int load_plan_finish(struct load_plan *plan, struct rc_error *err) RC_MUST_USE;

/* Which channel (number) client `index` of the group has as its k-th subscription. The same in every process; k < subscriptions; no two alike. */
uint32_t load_plan_channel(const struct load_group *group, uint32_t index, uint32_t k);
/* Writes the channel's name, NUL-terminated, and returns its length. */
size_t load_plan_channel_name(const struct load_plan *plan, uint32_t channel, char out[128]);

#endif
