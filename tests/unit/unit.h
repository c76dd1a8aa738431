/* SPDX-License-Identifier: Apache-2.0
 *
 * What a unit test starts with: cmocka and the headers that it wants before it, and a way to see that something ends the
 * process.
 */
#ifndef RC_TESTS_UNIT_UNIT_H
#define RC_TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"

/* Does body(ctx) abort? Runs it in a child, silently. */
static inline bool unit_aborts(void (*body)(void *ctx), void *ctx)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = {0, 0};
		int null = open("/dev/null", O_WRONLY);
		(void)dup2(null, STDERR_FILENO);
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGABRT, SIG_DFL);
		body(ctx);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
