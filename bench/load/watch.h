/* SPDX-License-Identifier: Apache-2.0
 *
 * The server from outside: its processes, their CPU, the time that they waited for one, their memory. Works for a server on
 * this host whose /proc may be read. The conductor's thread.
 */
#ifndef LOAD_WATCH_H
#define LOAD_WATCH_H

#include "plan.h"

#define LOAD_WATCHED_MAX 64

struct load_watched {
	pid_t pid;
	clockid_t clock;
	uint64_t cpu_ns, waited_ns;
	bool child; /* of another one: it may come and go */
	bool gone;
};

/* The zero value watches nothing. */
struct load_watch {
	struct load_watched process[LOAD_WATCHED_MAX];
	uint32_t processes;
	char name[64]; /* of the first */
};

/* Sums over all processes; those that ended keep what they had used. */
struct load_seen {
	bool known;
	uint64_t cpu_ns;
	uint64_t waited_ns; /* ready, and another ran on their CPU */
	uint64_t rss;
	pid_t gone; /* a process that holds the port, or that was given, has ended; 0: none */
};

/*
 * The processes that plan->pid gives, or those that listen where clients connect (or publishers, when there are no clients); and
 * their children. A server on another host, or one that can't be looked at, leaves *w empty: that is no error. A
 * given process that does not exist is one.
 */
int load_watch_open(
	struct load_watch *w, const struct load_plan *plan, struct rc_error *err) RC_MUST_USE;
/* exact: memory to the page and children looked for, which costs the server a walk through its page tables. */
void load_watch_look(struct load_watch *w, bool exact, struct load_seen *seen);

/* Processes that listen at the port of this address; their count. For load_watch_open and its test. */
uint32_t load_watch_listeners(const struct sockaddr_storage *address, pid_t *out, uint32_t cap);

#endif
