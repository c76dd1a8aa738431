/* SPDX-License-Identifier: Apache-2.0
 *
 * The error of start-up and configuration: a sentence that gathers context on its way up and ends by telling the
 * operator what to do. Never used on the data path. Owned by the caller, any thread.
 */
#ifndef RC_BASE_ERROR_H
#define RC_BASE_ERROR_H

#include "base/base.h"

struct rc_error {
	char text[1024];
};

/* Replaces the text. Returns -1, so that `return rc_error_set(err, ...)` reads well. */
int rc_error_set(struct rc_error *err, const char *format, ...) RC_PRINTF(2, 3);
/* Puts "context: " in front of the text. Returns -1. */
int rc_error_prefix(struct rc_error *err, const char *format, ...) RC_PRINTF(2, 3);

#endif
