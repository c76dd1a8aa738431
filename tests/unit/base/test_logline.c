/* SPDX-License-Identifier: Apache-2.0
 *
 * Standard error is a pipe while a test listens, so what cmocka itself has to say comes after `hear` has put it back.
 */
#include "../unit.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/logline.h"

struct ear {
	int saved;
	int pipe[2];
};

static void listen_to_stderr(struct ear *e)
{
	(void)fflush(stderr);
	e->saved = dup(STDERR_FILENO);
	assert_int_equal(pipe(e->pipe), 0);
	(void)dup2(e->pipe[1], STDERR_FILENO);
	(void)close(e->pipe[1]);
}

/* All that was written since; the text is a string. */
static size_t hear(struct ear *e, char *text, size_t size)
{
	(void)dup2(e->saved, STDERR_FILENO);
	(void)close(e->saved);
	size_t len = 0;
	ssize_t n;
	while ((n = read(e->pipe[0], text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	(void)close(e->pipe[0]);
	text[len] = '\0';
	return len;
}

static void assert_line(const char *line, const char *level_and_text)
{
	static const char shape[] = "0000-00-00T00:00:00.000Z ";
	for (size_t i = 0; shape[i] != '\0'; i++) {
		if (shape[i] == '0')
			assert_true(isdigit((unsigned char)line[i]));
		else
			assert_int_equal(line[i], shape[i]);
	}
	assert_string_equal(line + strlen(shape), level_and_text);
}

static void a_line_has_time_level_and_text(void **state)
{
	struct ear e;
	char text[4096];
	(void)state;
	listen_to_stderr(&e);
	rc_info_line("%d shards", 4);
	hear(&e, text, sizeof(text));
	assert_line(text, "info  4 shards\n");

	listen_to_stderr(&e);
	rc_error_line("no");
	hear(&e, text, sizeof(text));
	assert_line(text, "error no\n");
}

static void info_is_the_level_unless_told(void **state)
{
	struct ear e;
	char text[4096];
	(void)state;
	listen_to_stderr(&e);
	rc_debug_line("hidden");
	assert_int_equal(hear(&e, text, sizeof(text)), 0);

	rc_logline_level(RC_LEVEL_DEBUG);
	listen_to_stderr(&e);
	rc_debug_line("shown");
	hear(&e, text, sizeof(text));
	assert_line(text, "debug shown\n");

	rc_logline_level(RC_LEVEL_ERROR);
	listen_to_stderr(&e);
	rc_warn_line("hidden");
	rc_logline_level(RC_LEVEL_INFO);
	assert_int_equal(hear(&e, text, sizeof(text)), 0);
}

static void text_from_outside_cannot_begin_a_line(void **state)
{
	struct ear e;
	char text[4096];
	(void)state;
	listen_to_stderr(&e);
	rc_warn_line("peer said \"%s\"", "a\nb\r\x1b[2Jc\x7f\xc3\xa9");
	hear(&e, text, sizeof(text));
	assert_line(text, "warn  peer said \"a?b??[2Jc?\xc3\xa9\"\n");
}

static void a_line_too_long_is_cut_and_still_ends(void **state)
{
	struct ear e;
	char text[8192];
	char big[5000];
	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	listen_to_stderr(&e);
	rc_info_line("%s", big);
	size_t len = hear(&e, text, sizeof(text));
	assert_true(len > 1000 && len <= 4096);
	assert_int_equal(text[len - 1], '\n');
	assert_int_equal(text[len - 2], 'x');
	assert_ptr_equal(strchr(text, '\n'), text + len - 1);
}

static void errno_survives_a_line(void **state)
{
	struct ear e;
	char text[4096];
	(void)state;
	listen_to_stderr(&e);
	errno = ENOENT;
	rc_info_line("open: %m");
	int after = errno;
	hear(&e, text, sizeof(text));
	assert_int_equal(after, ENOENT);
	assert_line(text, "info  open: No such file or directory\n");
}

static void a_rated_line_says_how_many_were_left_out(void **state)
{
	struct ear e;
	char text[4096];
	struct rc_lograte rate = {0};
	(void)state;
	listen_to_stderr(&e);
	rc_logline_rated(&rate, 5000, 1000, RC_LEVEL_WARN, "%s", "slow");
	hear(&e, text, sizeof(text));
	assert_line(text, "warn  slow\n");

	listen_to_stderr(&e);
	for (int i = 0; i < 3; i++)
		rc_logline_rated(&rate, 5000 + (uint64_t)i, 1000, RC_LEVEL_WARN, "slow");
	rc_logline_rated(&rate, 5999, 1000, RC_LEVEL_WARN, "slow");
	assert_int_equal(hear(&e, text, sizeof(text)), 0);

	listen_to_stderr(&e);
	rc_logline_rated(&rate, 6000, 1000, RC_LEVEL_WARN, "slow");
	hear(&e, text, sizeof(text));
	assert_line(text, "warn  (4 alike left out) slow\n");

	listen_to_stderr(&e);
	rc_logline_rated(&rate, 7000, 1000, RC_LEVEL_WARN, "slow");
	hear(&e, text, sizeof(text));
	assert_line(text, "warn  slow\n");
}

#define WRITERS 4
#define LINES   200

static void *write_lines(void *arg)
{
	char fill[300];
	const char *name = arg;
	memset(fill, name[0], sizeof(fill) - 1);
	fill[sizeof(fill) - 1] = '\0';
	for (int i = 0; i < LINES; i++)
		rc_info_line("%s", fill);
	return NULL;
}

static void *read_to_the_end(void *arg)
{
	int fd = *(int *)arg;
	const size_t size = (size_t)WRITERS * LINES * 400;
	char *text = malloc(size);
	size_t len = 0;
	ssize_t n;
	while ((n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return text;
}

static void lines_of_several_threads_never_mix(void **state)
{
	struct ear e;
	pthread_t writer[WRITERS];
	pthread_t reader;
	void *result = NULL;
	char name[] = "abcd";
	(void)state;
	listen_to_stderr(&e);
	(void)pthread_create(&reader, NULL, read_to_the_end, &e.pipe[0]);
	for (int i = 0; i < WRITERS; i++)
		(void)pthread_create(&writer[i], NULL, write_lines, &name[i]);
	for (int i = 0; i < WRITERS; i++)
		(void)pthread_join(writer[i], NULL);
	(void)dup2(e.saved, STDERR_FILENO);
	(void)close(e.saved);
	(void)pthread_join(reader, &result);
	(void)close(e.pipe[0]);

	size_t count = 0;
	char *save = NULL;
	for (char *line = strtok_r(result, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save)) {
		const char *fill = line + strlen("2026-01-15T10:15:00.000Z info  ");
		assert_int_equal(strlen(fill), 299);
		assert_int_equal(strspn(fill, (char[]){fill[0], '\0'}), 299);
		count++;
	}
	assert_int_equal(count, WRITERS * LINES);
	free(result);
}

static _Atomic int handled;

static void on_signal(int signal_number)
{
	(void)signal_number;
	atomic_fetch_add(&handled, 1);
}

struct interrupter {
	pthread_t writer;
	pid_t writer_id;
	int fd;
};

/* S: it sleeps, which it only can in write(2). */
static bool is_asleep(pid_t tid)
{
	char path[64];
	char text[256];
	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return false;
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	(void)fclose(f);
	text[n] = '\0';
	const char *end = strrchr(text, ')');
	return end != NULL && end[1] == ' ' && end[2] == 'S';
}

/* Interrupts the blocked writer, and only then makes room. */
static void *interrupt_then_drain(void *arg)
{
	struct interrupter *in = arg;
	char buffer[65536];
	while (!is_asleep(in->writer_id))
		(void)sched_yield();
	(void)pthread_kill(in->writer, SIGUSR1);
	while (atomic_load(&handled) == 0)
		(void)sched_yield();
	size_t *last = malloc(sizeof(*last));
	ssize_t n;
	*last = 0;
	while ((n = read(in->fd, buffer, sizeof(buffer))) > 0)
		*last += (size_t)n;
	return last;
}

static void an_interrupted_line_is_written_again(void **state)
{
	struct ear e;
	struct interrupter in = {.writer = pthread_self(), .writer_id = (pid_t)syscall(SYS_gettid)};
	pthread_t thread;
	void *result = NULL;
	/* No SA_RESTART. */
	struct sigaction action = {.sa_handler = on_signal};
	struct sigaction before;
	(void)state;
	(void)sigaction(SIGUSR1, &action, &before);
	listen_to_stderr(&e);
	in.fd = e.pipe[0];

	size_t filled = 0;
	char fill[4096] = {0};
	int flags = fcntl(STDERR_FILENO, F_GETFL);
	(void)fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
	ssize_t n;
	while ((n = write(STDERR_FILENO, fill, sizeof(fill))) > 0)
		filled += (size_t)n;
	(void)fcntl(STDERR_FILENO, F_SETFL, flags);

	(void)pthread_create(&thread, NULL, interrupt_then_drain, &in);
	rc_info_line("after all");
	(void)dup2(e.saved, STDERR_FILENO);
	(void)close(e.saved);
	(void)pthread_join(thread, &result);
	(void)close(e.pipe[0]);
	(void)sigaction(SIGUSR1, &before, NULL);
	size_t total = *(size_t *)result;
	free(result);
	assert_int_equal(total, filled + strlen("2026-01-15T10:15:00.000Z info  after all\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_time_level_and_text),
		cmocka_unit_test(info_is_the_level_unless_told),
		cmocka_unit_test(text_from_outside_cannot_begin_a_line),
		cmocka_unit_test(a_line_too_long_is_cut_and_still_ends),
		cmocka_unit_test(errno_survives_a_line),
		cmocka_unit_test(a_rated_line_says_how_many_were_left_out),
		cmocka_unit_test(lines_of_several_threads_never_mix),
		cmocka_unit_test(an_interrupted_line_is_written_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
