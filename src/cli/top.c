/* SPDX-License-Identifier: Apache-2.0
 *
 * `ringcast top`: a dashboard for the terminal, or blocks for scripts, out of a gateway's counters file. Main thread, one
 * loop: signals are blocked and read from a descriptor beside the keys, so nothing happens at a moment that is not expected.
 *
 *   counters file --topsource--> snapshots --topmodel--> figures --topdraw--> cells --topscreen--> bytes --topterm--> terminal
 *                                                             `--topbatch--> lines
 */
#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/findgateway.h"
#include "cli/topargs.h"
#include "cli/topbatch.h"
#include "cli/topdraw.h"
#include "cli/topsource.h"
#include "cli/topterm.h"

/* How long after Esc the rest of a sequence may come, on a slow line. */
#define ESCAPE_MS 50

struct top {
	struct rc_top_args args;
	struct rc_top_source source;
	struct rc_top_term term;
	struct rc_top_screen screen;
	struct rc_top_ui ui;
	struct rc_top_keys keys;
	int signals;
	sigset_t mask_before;
	uint64_t next_ns; /* when the next snapshot is due */
	uint64_t drawn;
	bool done;
	int status;
};

static uint64_t interval_ns(const struct top *t)
{
	return (uint64_t)(t->args.interval_s * 1e9);
}

/* What was missed while the process was stopped is not made up for. */
static void schedule(struct top *t, uint64_t now)
{
	t->next_ns += interval_ns(t);
	if (t->next_ns <= now)
		t->next_ns = now + interval_ns(t);
}

static void end(struct top *t, int status)
{
	t->done = true;
	t->status = status;
}

static void out_of_memory(struct top *t)
{
	rc_top_term_leave(&t->term);
	fputs("ringcast top: out of memory\n", stderr);
	end(t, 1);
}

/* ---- pictures ------------------------------------------------------------------------------- */

static void resize(struct top *t)
{
	uint32_t width, height;
	if (!t->term.entered)
		return;
	rc_top_term_size(&t->term, &width, &height);
	rc_top_screen_deinit(&t->screen);
	if (!rc_top_screen_init(&t->screen, width, height)) {
		out_of_memory(t);
		return;
	}
	t->screen.utf8 = rc_top_term_utf8();
	t->screen.colour = rc_top_term_colour();
}

static void draw(struct top *t)
{
	const struct rc_top_source *s = &t->source;
	if (!t->term.entered || t->done)
		return;
	rc_top_draw(&(struct rc_top_picture){.screen = &t->screen,
		.model = &s->model,
		.ui = &t->ui,
		.alive = s->alive,
		.cut = s->cut,
		.wall_ms = s->wall_ms,
		.seen_ms = s->seen_ms});
	size_t len = rc_top_screen_bytes(&t->screen);
	int error = rc_top_term_write(&t->term, t->screen.bytes, len);
	if (error == -EAGAIN)
		t->screen.stale = true;
	else if (error != 0)
		end(t, 0); /* nobody looks any more; that is no failure */
}

static void enter(struct top *t)
{
	rc_top_term_enter(&t->term);
	/* It may be another size by now, or another terminal. */
	resize(t);
	draw(t);
}

static void tick(struct top *t)
{
	uint64_t now = rc_clock_mono_ns();
	if (now < t->next_ns)
		return;
	schedule(t, now);
	if (!t->ui.paused && !rc_top_source_step(&t->source)) {
		out_of_memory(t);
		return;
	}
	/* `fg` says nothing to a job that was running in the background. */
	if (t->term.entered)
		draw(t);
	else
		enter(t);
	if (++t->drawn == t->args.count)
		end(t, t->source.alive ? 0 : RC_NO_GATEWAY);
}

/* ---- signals and keys ----------------------------------------------------------------------- */

/* Stops as Ctrl-Z should, with the terminal as it was. What follows is up to the SIGCONT that ends it. */
static void stop(struct top *t)
{
	sigset_t one;
	(void)sigemptyset(&one);
	(void)sigaddset(&one, SIGTSTP);
	rc_top_term_leave(&t->term);
	(void)raise(SIGTSTP);
	(void)sigprocmask(SIG_UNBLOCK, &one, NULL);
	(void)sigprocmask(SIG_BLOCK, &one, NULL);
	/* The kernel does not stop whom no shell could wake again; then nothing continued it. */
	enter(t);
}

static void on_signal(struct top *t)
{
	struct signalfd_siginfo info;
	if (read(t->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGWINCH:
		resize(t);
		draw(t);
		break;
	case SIGTSTP:
		stop(t);
		break;
	case SIGCONT:
		/* Stopped by us or not, somebody else may have had the terminal since. */
		enter(t);
		break;
	default:
		end(t, 0);
		break;
	}
}

static void on_key(struct top *t, uint32_t key)
{
	bool paused = t->ui.paused;
	if (key == RC_KEY_NONE)
		return;
	if (!rc_top_ui_key(&t->ui, key)) {
		end(t, 0);
		return;
	}
	/* Goes on at once. */
	if (paused && !t->ui.paused)
		t->next_ns = 0;
}

static void on_input(struct top *t)
{
	unsigned char bytes[256];
	ssize_t n = read(t->term.in, bytes, sizeof(bytes));
	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
		/* The terminal has gone. */
		end(t, 0);
		return;
	}
	for (ssize_t i = 0; i < n && !t->done; i++)
		on_key(t, rc_top_keys_feed(&t->keys, bytes[i]));
	/* One picture for all of them: a terminal that is stuck would make each take its time. */
	draw(t);
}

/* Nothing came behind it. */
static void on_escape(struct top *t)
{
	on_key(t, rc_top_keys_timeout(&t->keys));
	draw(t);
}

/* ---- the loop ------------------------------------------------------------------------------- */

static int wait_ms(const struct top *t)
{
	uint64_t now = rc_clock_mono_ns();
	uint64_t left = t->next_ns > now ? (t->next_ns - now + 999999) / 1000000 : 0;
	if (rc_top_keys_waiting(&t->keys))
		left = RC_MIN(left, (uint64_t)ESCAPE_MS);
	return (int)left;
}

static void run(struct top *t)
{
	/* The first rates soon, also when the interval is long. */
	t->next_ns = rc_clock_mono_ns() + RC_MIN(interval_ns(t), (uint64_t)1000000000);
	enter(t);
	while (!t->done) {
		/* What is typed is the shell's in the background, and who reads it there is stopped. */
		struct pollfd fds[] = {{.fd = t->signals, .events = POLLIN},
			{.fd = t->term.entered ? t->term.in : -1, .events = POLLIN}};
		int ready = poll(fds, RC_ARRAY_LEN(fds), wait_ms(t));
		if (ready > 0 && fds[0].revents != 0)
			on_signal(t);
		if (!t->done && ready > 0 && fds[1].revents != 0)
			on_input(t);
		else if (!t->done && ready == 0 && rc_top_keys_waiting(&t->keys))
			on_escape(t);
		if (!t->done)
			tick(t);
	}
	rc_top_term_leave(&t->term);
}

static bool block_signals(struct top *t)
{
	static const int ours[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT};
	sigset_t mask;
	(void)sigemptyset(&mask);
	for (size_t i = 0; i < RC_ARRAY_LEN(ours); i++)
		(void)sigaddset(&mask, ours[i]);
	t->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	/* Never stopped for touching a terminal in the background: it is looked at first whose the terminal is. */
	(void)sigaddset(&mask, SIGTTOU);
	(void)sigprocmask(SIG_BLOCK, &mask, &t->mask_before);
	if (t->signals < 0)
		fprintf(stderr, "ringcast top: signalfd: %s\n", strerror(errno));
	return t->signals >= 0;
}

static void show(struct top *t)
{
	if (!block_signals(t)) {
		end(t, 1);
		return;
	}
	rc_top_term_open(&t->term);
	run(t);
	rc_top_term_close(&t->term);
	rc_top_screen_deinit(&t->screen);
	close(t->signals);
	(void)sigprocmask(SIG_SETMASK, &t->mask_before, NULL);
}

static void print(struct top *t)
{
	t->next_ns = rc_clock_mono_ns();
	(void)signal(SIGPIPE, SIG_IGN);
	for (uint64_t n = 1; !t->done; n++) {
		schedule(t, rc_clock_mono_ns());
		struct timespec at = {.tv_sec = (time_t)(t->next_ns / 1000000000),
			.tv_nsec = (long)(t->next_ns % 1000000000)};
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
			;
		if (!rc_top_source_step(&t->source)) {
			out_of_memory(t);
			return;
		}
		rc_top_batch_print(stdout, &t->source);
		if (fflush(stdout) != 0) {
			/* `head` has seen enough. */
			if (errno != EPIPE)
				fprintf(stderr, "ringcast top: standard output: %s\n",
					strerror(errno));
			end(t, errno == EPIPE ? 0 : 1);
		} else if (n == t->args.count) {
			end(t, t->source.alive ? 0 : RC_NO_GATEWAY);
		}
	}
}

int rc_cli_top(int argc, char **argv)
{
	static struct top t;
	t = (struct top){0};
	int status = rc_top_args_parse(&t.args, argc, argv);
	if (status != 0)
		return status < 0 ? 0 : status;
	struct rc_counters_view v;
	status = rc_find_gateway("top", t.args.pid, t.args.file, &v);
	if (status != 0)
		return status;
	if (!rc_top_source_init(&t.source, &v))
		out_of_memory(&t);
	else if (t.args.batch || !rc_top_term_usable())
		print(&t);
	else
		show(&t);
	rc_top_source_deinit(&t.source);
	return t.status;
}
