/* SPDX-License-Identifier: Apache-2.0
 *
 * The terminal of `ringcast top`: taken over (no echo, no lines, the alternate screen, no cursor) and given back as it was,
 * on every way out: by the caller, and by a handler when the process dies of a fault or an assertion. One per process,
 * for that handler's sake. Main thread.
 */
#ifndef RC_CLI_TOPTERM_H
#define RC_CLI_TOPTERM_H

#include <termios.h>

#include "base/base.h"

struct rc_top_term {
	int in; /* -1 = nobody can type */
	int out;
	bool own_in, own_out; /* opened here */
	bool entered;
	bool known; /* before is */
	struct termios before;
};

/* Can pictures be shown on standard output: a terminal that can move its cursor? */
bool rc_top_term_usable(void);
/* As the name of the locale has it, installed or not. */
bool rc_top_term_utf8(void);
/* Unless NO_COLOR says otherwise. */
bool rc_top_term_colour(void);

/* Changes nothing yet. Keys come from standard input, or else from the process's terminal. */
void rc_top_term_open(struct rc_top_term *t);
/*
 * Also again, when it had been in other hands. In the background it does nothing but note that the terminal is not ours. The caller
 * has SIGTTOU blocked.
 */
void rc_top_term_enter(struct rc_top_term *t);
/*
 * Valid when it was not entered, or is not ours any more. A terminal that takes nothing loses what it has not taken, so that it
 * has the way back. Keeps errno.
 */
void rc_top_term_leave(struct rc_top_term *t);
void rc_top_term_close(struct rc_top_term *t);
void rc_top_term_size(const struct rc_top_term *t, uint32_t *width, uint32_t *height);
/* 0; -EAGAIN: the terminal did not take all of it in time, it may have been stopped; else -errno: it is gone. */
int rc_top_term_write(const struct rc_top_term *t, const char *bytes, size_t len) RC_MUST_USE;

#endif
