/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking over a terminal and giving it back; the contract is in topterm.h.
 */
#include "cli/topterm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The alternate screen, cleared, without a cursor; and the way back. */
#define ENTER "\033[?1049h\033[?25l\033[0m\033[2J"
#define LEAVE "\033[0m\033[?25h\033[?1049l"

#define WIDTH_DEFAULT  80u
#define HEIGHT_DEFAULT 24u

/* What a terminal has not taken by then it may never take: somebody keeps it from scrolling, or its line is dead. */
#define WRITE_MS 200

/* ---- what it can do ------------------------------------------------------------------------- */

bool rc_top_term_usable(void)
{
	const char *term = getenv("TERM");
	return isatty(STDOUT_FILENO) && term != NULL && term[0] != '\0' &&
	       strcmp(term, "dumb") != 0;
}

/* By its name alone: a host need not have the locale that the terminal of its visitor speaks. */
bool rc_top_term_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	for (size_t i = 0; i < RC_ARRAY_LEN(names); i++) {
		const char *locale = getenv(names[i]);
		if (locale != NULL && locale[0] != '\0')
			return strcasestr(locale, "UTF-8") != NULL ||
			       strcasestr(locale, "utf8") != NULL;
	}
	return false;
}

bool rc_top_term_colour(void)
{
	const char *no = getenv("NO_COLOR");
	return no == NULL || no[0] == '\0';
}

/* ---- faults --------------------------------------------------------------------------------- */

static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
static struct sigaction fault_before[RC_ARRAY_LEN(faults)];
static struct rc_top_term *taken; /* what a handler has to give back */

/* Gives the terminal back, and the signal to whoever handled it before: mostly to the kernel, which ends the process. */
static void on_fault(int number)
{
	rc_top_term_leave(taken);
	for (size_t i = 0; i < RC_ARRAY_LEN(faults); i++)
		if (faults[i] == number)
			(void)sigaction(number, &fault_before[i], NULL);
	(void)raise(number);
}

static void catch_faults(bool on)
{
	struct sigaction ours = {.sa_handler = on_fault};
	(void)sigemptyset(&ours.sa_mask);
	for (size_t i = 0; i < RC_ARRAY_LEN(faults); i++)
		if (on)
			(void)sigaction(faults[i], &ours, &fault_before[i]);
		else
			(void)sigaction(faults[i], &fault_before[i], NULL);
}

/* ---- taking over ---------------------------------------------------------------------------- */

void rc_top_term_open(struct rc_top_term *t)
{
	*t = (struct rc_top_term){.in = STDIN_FILENO, .out = STDOUT_FILENO};
	if (!isatty(t->in)) {
		/* Fails when the process has none: then signals alone end it. */
		t->in = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
		t->own_in = t->in >= 0;
	}
	/* A description of our own, so that nobody else's output becomes non-blocking with ours. */
	int out = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (out >= 0) {
		t->out = out;
		t->own_out = true;
	}
}

void rc_top_term_close(struct rc_top_term *t)
{
	if (t->own_in)
		close(t->in);
	if (t->own_out)
		close(t->out);
	t->own_in = t->own_out = false;
}

int rc_top_term_write(const struct rc_top_term *t, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(t->out, bytes, len);
		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
			continue;
		}
		struct pollfd room = {.fd = t->out, .events = POLLOUT};
		if (errno == EAGAIN && poll(&room, 1, WRITE_MS) == 0)
			return -EAGAIN;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return 0;
}

/*
 * The way back is not given up as a picture is. Where there is no room for it, what the terminal has not taken yet is thrown
 * away: a part of a picture that is about to vanish anyway. So it stands there for whenever somebody looks again.
 */
static void write_leave(const struct rc_top_term *t)
{
	if (rc_top_term_write(t, LEAVE, sizeof(LEAVE) - 1) != -EAGAIN)
		return;
	(void)tcflush(t->out, TCOFLUSH);
	(void)!rc_top_term_write(t, LEAVE, sizeof(LEAVE) - 1);
}

/* In the background the terminal belongs to the shell and whom it runs. */
static bool is_ours(const struct rc_top_term *t)
{
	pid_t group = t->in >= 0 ? tcgetpgrp(t->in) : -1;
	return group < 0 || group == getpgrp();
}

void rc_top_term_enter(struct rc_top_term *t)
{
	if (!is_ours(t)) {
		/* Its modes and its screen were dealt with by whoever has it. */
		if (t->entered)
			catch_faults(false);
		t->entered = false;
		return;
	}
	taken = t;
	if (!t->entered) {
		catch_faults(true);
		/* Not before the terminal is ours: until then a shell may have it in modes of its own. */
		t->known = t->in >= 0 && tcgetattr(t->in, &t->before) == 0;
	}
	t->entered = true;
	if (t->known) {
		/* Signals by keys stay on: Ctrl-C and Ctrl-Z are the kernel's to understand. */
		struct termios raw = t->before;
		raw.c_iflag &= ~(tcflag_t)(ICRNL | IXON);
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		(void)tcsetattr(t->in, TCSANOW, &raw);
	}
	(void)!rc_top_term_write(t, ENTER, sizeof(ENTER) - 1);
}

void rc_top_term_leave(struct rc_top_term *t)
{
	int saved = errno;
	if (t->entered) {
		t->entered = false;
		if (is_ours(t)) {
			write_leave(t);
			/* What was typed and not read is nobody's command line. */
			if (t->known) {
				(void)tcflush(t->in, TCIFLUSH);
				(void)tcsetattr(t->in, TCSANOW, &t->before);
			}
		}
		catch_faults(false);
	}
	errno = saved;
}

void rc_top_term_size(const struct rc_top_term *t, uint32_t *width, uint32_t *height)
{
	struct winsize size = {0};
	if (ioctl(t->out, TIOCGWINSZ, &size) != 0)
		size = (struct winsize){0};
	*width = size.ws_col > 0 ? size.ws_col : WIDTH_DEFAULT;
	*height = size.ws_row > 0 ? size.ws_row : HEIGHT_DEFAULT;
}
