/* SPDX-License-Identifier: Apache-2.0
 *
 * Fork, threads, and what becomes of them.
 */
#include "crew.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "worker.h"

/* A worker looks at the phase at every turn. */
#define PATIENCE_SECONDS 10

static void *member_run(void *argument)
{
	struct load_crew_member *m = argument;

	(void)!load_worker_run(m->plan, m->shared, m->index); /* the reason is in its stats */
	return NULL;
}

/* Threads inherit the mask: signals are for the conductor. */
static int start_threads(struct load_crew *crew, uint32_t first)
{
	sigset_t all, before;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	while (crew->threads < crew->plan->threads && rc == 0) {
		struct load_crew_member *m = &crew->member[crew->threads];

		*m = (struct load_crew_member){
			.plan = crew->plan, .shared = crew->shared, .index = first + crew->threads};
		rc = pthread_create(&m->thread, NULL, member_run, m);
		if (rc == 0)
			crew->threads++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -rc;
}

static bool join_threads(struct load_crew *crew)
{
	struct timespec end;
	bool all = true;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += PATIENCE_SECONDS;
	for (uint32_t i = 0; i < crew->threads; i++)
		all &= pthread_timedjoin_np(crew->member[i].thread, NULL, &end) == 0;
	crew->threads = 0;
	return all;
}

_Noreturn static void child_main(struct load_crew *crew, uint32_t number, pid_t parent)
{
	/* Ctrl-C reaches the whole group: the parent decides what it means. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1); /* it ended before prctl */
	crew->children = 0;
	if (start_threads(crew, number * crew->plan->threads) < 0) {
		atomic_store(&crew->shared->told_abort, 1);
		(void)join_threads(crew);
		_exit(1);
	}
	for (uint32_t i = 0; i < crew->threads; i++)
		pthread_join(crew->member[i].thread, NULL);
	_exit(0);
}

static int give_up(struct load_crew *crew, struct rc_error *err, const char *what, int rc)
{
	atomic_store(&crew->shared->told_abort, 1);
	(void)load_crew_join(crew);
	rc_error_set(err, "%s: %s; ask for fewer --threads or --processes", what, strerror(-rc));
	return rc;
}

int load_crew_start(struct load_crew *crew, const struct load_plan *plan,
	struct load_shared *shared, struct rc_error *err)
{
	pid_t self = getpid();
	int rc;

	*crew = (struct load_crew){.plan = plan, .shared = shared};
	fflush(NULL);
	for (uint32_t n = 1; n < plan->processes; n++) {
		pid_t pid = fork();

		if (pid == 0)
			child_main(crew, n, self);
		if (pid < 0)
			return give_up(crew, err, "a process can't be started", -errno);
		crew->child[crew->children++] = pid;
	}
	rc = start_threads(crew, 0);
	return rc < 0 ? give_up(crew, err, "a thread can't be started", rc) : 0;
}

int load_crew_look(struct load_crew *crew, struct rc_error *err)
{
	for (uint32_t i = 0; i < crew->shared->workers; i++) {
		const struct load_worker_stats *w = &crew->shared->worker[i];

		if (atomic_load_explicit(&w->ended, memory_order_acquire) == 2) {
			rc_error_set(err, "%s", w->error[0] ? w->error : "a worker gave up");
			return -EIO;
		}
	}
	for (uint32_t i = 0; i < crew->children; i++) {
		int status = 0;
		pid_t pid = waitpid(crew->child[i], &status, WNOHANG);

		if (pid <= 0)
			continue;
		crew->child[i] = crew->child[--crew->children];
		if (WIFSIGNALED(status))
			rc_error_set(err,
				"a process of the generator (%d) was ended by signal %d (%s); is there "
				"memory enough? See the kernel's log",
				(int)pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
		else
			rc_error_set(err,
				"a process of the generator (%d) ended with status %d before its time; ask "
				"for fewer --threads",
				(int)pid, WEXITSTATUS(status));
		return -ECHILD;
	}
	return 0;
}

bool load_crew_join(struct load_crew *crew)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	uint64_t end = rc_clock_mono_ns() + PATIENCE_SECONDS * UINT64_C(1000000000);
	bool all = join_threads(crew);

	for (uint32_t i = 0; i < crew->children; i++) {
		while (waitpid(crew->child[i], NULL, WNOHANG) == 0) {
			if (rc_clock_mono_ns() > end) {
				kill(crew->child[i], SIGKILL);
				all = false;
				(void)waitpid(crew->child[i], NULL, 0);
				break;
			}
			nanosleep(&pause, NULL);
		}
	}
	crew->children = 0;
	return all;
}
