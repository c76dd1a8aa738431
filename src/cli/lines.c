/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines out of a stream; the contract is in lines.h.
 */
#include "cli/lines.h"

static enum rc_line hand_out(struct rc_lines *l, size_t len, bool has_end, struct rc_str *line)
{
	bool rest_of_long = l->skipping;

	*line = (struct rc_str){l->buf + l->begin, len};
	l->begin += len + has_end;
	l->looked = 0;
	l->skipping = false;
	if (rest_of_long)
		return RC_LINE_MORE;
	l->number++;
	return RC_LINE_WHOLE;
}

enum rc_line rc_lines_next(struct rc_lines *l, struct rc_str *line)
{
	while (l->begin < l->end) {
		size_t len = l->end - l->begin;
		char *from = l->buf + l->begin;
		const char *lf = memchr(from + l->looked, '\n', len - l->looked);

		if (lf != NULL) {
			if (hand_out(l, (size_t)(lf - from), true, line) == RC_LINE_WHOLE)
				return RC_LINE_WHOLE;
			continue;
		}
		l->looked = len;
		if (l->skipping || len == l->size) {
			bool tell = !l->skipping;
			l->begin = l->end = l->looked = 0;
			l->skipping = true;
			if (!tell)
				break;
			l->number++;
			return RC_LINE_LONG;
		}
		if (l->ended)
			return hand_out(l, len, false, line);
		break;
	}
	return RC_LINE_MORE;
}

char *rc_lines_room(struct rc_lines *l, size_t *room)
{
	if (l->begin > 0) {
		memmove(l->buf, l->buf + l->begin, l->end - l->begin);
		l->end -= l->begin;
		l->begin = 0;
	}
	*room = l->size - l->end;
	return l->buf + l->end;
}
