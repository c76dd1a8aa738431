/* SPDX-License-Identifier: Apache-2.0
 *
 * The figures of `ringcast top` for scripts: lines of a key, a space, a value, and an empty line behind each block. "-" is
 * what is not known. Main thread.
 */
#ifndef RC_CLI_TOPBATCH_H
#define RC_CLI_TOPBATCH_H

#include <stdio.h>

#include "cli/topsource.h"

void rc_top_batch_print(FILE *out, const struct rc_top_source *s);

#endif
