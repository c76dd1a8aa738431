/* SPDX-License-Identifier: Apache-2.0
 *
 * The server from outside, with this process in its place.
 */
#include "../unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "load/watch.h"

#define WORK_NS 30000000u

static struct load_plan plan;
static struct load_target target;

static int listen_at(struct sockaddr_storage *address, const char *host, bool listening)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(inet_pton(AF_INET, host, &in.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	if (listening)
		assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	memset(address, 0, sizeof(*address));
	memcpy(address, &in, sizeof(in));
	return fd;
}

static void plan_for(const struct sockaddr_storage *address)
{
	memset(&plan, 0, sizeof(plan));
	memset(&target, 0, sizeof(target));
	target.subscriber.url.address = *address;
	plan.target = &target;
	plan.groups = 1;
	plan.group[0].clients = 1;
}

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec ts;

	assert_int_equal(clock_gettime(clock, &ts), 0);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void the_listener_is_found_by_its_port(void **state)
{
	struct sockaddr_storage address;
	int fd = listen_at(&address, "127.0.0.1", true);
	pid_t found[4] = {0};

	(void)state;
	assert_int_equal(load_watch_listeners(&address, found, 4), 1);
	assert_int_equal(found[0], getpid());
	close(fd);
	assert_int_equal(load_watch_listeners(&address, found, 4), 0);
}

static void a_port_of_another_host_is_nobodys_here(void **state)
{
	struct sockaddr_storage address;
	int fd = listen_at(&address, "0.0.0.0", true);
	struct sockaddr_in *in = (struct sockaddr_in *)&address;
	pid_t found[4];

	(void)state;
	assert_int_equal(inet_pton(AF_INET, "192.0.2.1", &in->sin_addr), 1);
	assert_int_equal(load_watch_listeners(&address, found, 4), 0);
	assert_int_equal(inet_pton(AF_INET, "127.0.0.5", &in->sin_addr), 1);
	assert_int_equal(load_watch_listeners(&address, found, 4), 1);
	close(fd);
}

static void its_cpu_and_memory_are_known(void **state)
{
	struct sockaddr_storage address;
	int fd = listen_at(&address, "127.0.0.1", true);
	/* Linux before 6.2 leaves some 200 pages out of the count that is quick to read; here are more. */
	static char touched[4 << 20];
	struct load_watch watch;
	struct load_seen before, after;
	struct rc_error err;
	uint64_t from, to;

	(void)state;
	memset(touched, 1, sizeof(touched));
	plan_for(&address);
	assert_int_equal(load_watch_open(&watch, &plan, &err), 0);
	assert_int_equal(watch.processes, 1);
	assert_int_equal(strncmp(watch.name, "test_watch", 10), 0);
	from = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	load_watch_look(&watch, true, &before);
	while (cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - from < WORK_NS)
		;
	load_watch_look(&watch, false, &after);
	to = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	assert_true(before.known && after.known);
	assert_true(after.cpu_ns - before.cpu_ns > WORK_NS / 2);
	assert_true(after.cpu_ns - before.cpu_ns <= to - from);
	assert_true(before.rss > 1 << 20);
	assert_true(after.rss > 1 << 20);
	assert_int_equal(after.gone, 0);
	close(fd);
}

/* A child says so once it runs, and leaves when it is told. */
struct helper {
	pid_t pid;
	int hold;
};

static struct helper start_helper(void)
{
	struct helper h;
	int hold[2];

	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	h.pid = fork();
	assert_true(h.pid >= 0);
	if (h.pid == 0) {
		char byte;

		close(hold[1]);
		_exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(hold[0]);
	h.hold = hold[1];
	return h;
}

static void end_helper(struct helper *h)
{
	siginfo_t info;

	close(h->hold);
	assert_int_equal(waitid(P_PID, (id_t)h->pid, &info, WEXITED | WNOWAIT), 0);
}

static void a_given_process_that_ends_is_missed(void **state)
{
	struct helper h = start_helper();
	struct load_watch watch;
	struct load_seen seen;
	struct sockaddr_storage nowhere = {.ss_family = AF_INET};
	struct rc_error err;

	(void)state;
	plan_for(&nowhere);
	plan.pid[0] = h.pid;
	plan.pids = 1;
	assert_int_equal(load_watch_open(&watch, &plan, &err), 0);
	load_watch_look(&watch, true, &seen);
	assert_true(seen.known);
	assert_int_equal(seen.gone, 0);
	/* First as a corpse that nobody has waited for, then not even that. */
	end_helper(&h);
	load_watch_look(&watch, true, &seen);
	assert_int_equal(seen.gone, h.pid);
	assert_int_equal(waitpid(h.pid, NULL, 0), h.pid);
	load_watch_look(&watch, true, &seen);
	assert_int_equal(seen.gone, h.pid);

	assert_true(load_watch_open(&watch, &plan, &err) < 0);
	assert_non_null(strstr(err.text, "--pid"));
}

static void a_child_of_the_server_may_end(void **state)
{
	struct helper h = start_helper();
	struct sockaddr_storage nowhere = {.ss_family = AF_INET};
	struct load_watch watch;
	struct load_seen seen;
	struct rc_error err;

	(void)state;
	plan_for(&nowhere);
	plan.pid[0] = h.pid;
	plan.pids = 1;
	assert_int_equal(load_watch_open(&watch, &plan, &err), 0);
	assert_int_equal(watch.processes, 1);
	/* Children of the watching process are not looked for, so this one is called one. */
	watch.process[0].child = true;
	end_helper(&h);
	load_watch_look(&watch, true, &seen);
	assert_int_equal(seen.gone, 0);
	assert_int_equal(waitpid(h.pid, NULL, 0), h.pid);
}

static void nobody_is_watched_when_nobody_listens(void **state)
{
	struct sockaddr_storage address;
	int fd = listen_at(&address, "127.0.0.1", false);
	struct load_watch watch;
	struct load_seen seen;
	struct rc_error err;

	(void)state;
	plan_for(&address);
	assert_int_equal(load_watch_open(&watch, &plan, &err), 0);
	assert_int_equal(watch.processes, 0);
	load_watch_look(&watch, true, &seen);
	assert_false(seen.known);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_listener_is_found_by_its_port),
		cmocka_unit_test(a_port_of_another_host_is_nobodys_here),
		cmocka_unit_test(its_cpu_and_memory_are_known),
		cmocka_unit_test(a_given_process_that_ends_is_missed),
		cmocka_unit_test(a_child_of_the_server_may_end),
		cmocka_unit_test(nobody_is_watched_when_nobody_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
