/* SPDX-License-Identifier: Apache-2.0
 *
 * A man page out of what --help prints. Pure; main thread.
 *
 *   usage: ringcast NAME [options] …          SYNOPSIS, with the lines below it that are indented
 *   text that begins at the margin            DESCRIPTION; a line in front of entries, without a blank line, is their heading
 *     --option VALUE     what it does         OPTIONS: two to six blanks, then two or more in front of the text; lines that
 *                        and goes on          are indented further go on
 *   Status: 0 fine; 1 the answer is no        EXIT STATUS ("Exit status:" too)
 *   [section]                                 the end: the options of the configuration have a page of their own
 */
#ifndef RC_CLI_MANPAGE_H
#define RC_CLI_MANPAGE_H

#include <stdio.h>

#include "base/base.h"

struct rc_manpage {
	const char *name;  /* "ringcast-publish" */
	const char *about; /* one line */
	const char *date;  /* 2026-01-31 */
	const char *also;  /* SEE ALSO, as text */
};

void rc_manpage_write(FILE *out, const struct rc_manpage *page, struct rc_str help);

#endif
