/* SPDX-License-Identifier: Apache-2.0
 *
 * Deflated frames of a server. All subscribers of a channel are sent the same bytes, so a thread inflates each event once and keeps it
 * for a while: for the others the comparison of what came with what is kept takes the place of inflating it, and nothing goes
 * unverified. A server that deflates for each client anew, otherwise each time, costs more here and is verified as well.
 */
#ifndef LOAD_UNPACK_H
#define LOAD_UNPACK_H

#include "base/base.h"

#define LOAD_UNPACK_PACKED_MAX 4096u
#define LOAD_UNPACK_PLAIN_MAX  65536u

/* len 0: it can't be inflated, or is larger than that. Valid until the thread's next call. */
struct rc_str load_unpack(const char *packed, size_t len);

#endif
