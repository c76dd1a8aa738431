/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers of JSON compared as they are written, so that none loses a digit on the way: 9007199254740993 is more than
 * 9007199254740992, and 1e400 is less than 1e401. Exponents count up to 10^12. Pure, any thread.
 */
#ifndef RC_PROTO_DECIMAL_H
#define RC_PROTO_DECIMAL_H

#include "base/base.h"

/* Below 0, 0, or above 0, as a is less than b, equal, or greater. Both are numbers of validated JSON. */
int rc_decimal_compare(struct rc_str a, struct rc_str b);
/* It has no fraction, however it is written: 1.0 and 10e-1 have none. */
bool rc_decimal_whole(struct rc_str text);

#endif
