/* SPDX-License-Identifier: Apache-2.0
 *
 * A line of the log with fields:
 *
 *   2026-01-15T10:15:00.000Z info  client session=… user="a b" seconds=12
 *   {"ts":"2026-01-15T10:15:00.000Z","level":"info","msg":"client","session":"…","user":"a b","seconds":12}
 *
 * Values come from outside: no control character of theirs, nor one that turns the direction of text, reaches the log, and what is no
 * UTF-8 is shown as such. A value is cut to RC_LOGROW_VALUE_MAX bytes, fields for which the line has no room are left out, and
 * both is said (cut). Keys are ours. One thread each.
 */
#ifndef RC_BASE_LOGROW_H
#define RC_BASE_LOGROW_H

#include "base/logline.h"

#define RC_LOGROW_VALUE_MAX 256u /* bytes of a value, before it is escaped */

struct rc_logrow {
	size_t len;
	bool json;
	bool cut;
	char text[RC_LOGLINE_MAX];
};

void rc_logrow_begin(struct rc_logrow *r, enum rc_level level, struct rc_str msg);
void rc_logrow_text(struct rc_logrow *r, const char *key, struct rc_str value);
void rc_logrow_number(struct rc_logrow *r, const char *key, uint64_t value);
void rc_logrow_true(struct rc_logrow *r, const char *key);
/* Closes the line with its newline: r->text, r->len. */
void rc_logrow_close(struct rc_logrow *r);
/* Closes and puts it. */
void rc_logrow_end(struct rc_logrow *r, enum rc_log_where where);

#endif
