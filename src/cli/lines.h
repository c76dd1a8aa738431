/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts a stream into lines in a buffer of fixed size. A line that is too long is told of once and passed over. One
 * owner; does no I/O.
 *
 *   buf   | taken | line \n line \n li | room |
 *                 begin                end    size
 */
#ifndef RC_CLI_LINES_H
#define RC_CLI_LINES_H

#include "base/base.h"

struct rc_lines {
	char *buf;
	size_t size; /* one more than the longest line, its end not counted */
	size_t begin, end;
	size_t looked;   /* bytes behind begin that hold no line end */
	uint64_t number; /* of the line that was handed out last, from 1 */
	bool skipping;   /* in the rest of a line that was too long */
	bool ended;      /* the stream is: what is left is a line too */
};

enum rc_line {
	RC_LINE_MORE, /* no whole line is there */
	RC_LINE_WHOLE,
	RC_LINE_LONG, /* this one is passed over */
};

/* The line is without its end, and valid until room is asked for. */
RC_MUST_USE enum rc_line rc_lines_next(struct rc_lines *l, struct rc_str *line);
/* Where to read to, never empty after RC_LINE_MORE. Then add what was read to l->end, or set l->ended. */
char *rc_lines_room(struct rc_lines *l, size_t *room);

#endif
