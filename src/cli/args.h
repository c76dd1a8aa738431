/* SPDX-License-Identifier: Apache-2.0
 *
 * What publish and subscribe read alike from their command lines. Main thread.
 */
#ifndef RC_CLI_ARGS_H
#define RC_CLI_ARGS_H

#include "base/base.h"

#define RC_ARGS_HOST_SIZE 256

/* "500ms", "10s", "5m", "1h": 1 ms to a day. */
RC_MUST_USE bool rc_args_duration(const char *text, int *ms);
/* "host:port", "[::1]:port". Splits only: host is without brackets, and nothing is looked up. */
RC_MUST_USE bool rc_args_server(const char *text, char host[RC_ARGS_HOST_SIZE], uint16_t *port);
/*
 * Bytes as a terminal may be shown them: valid UTF-8 without control characters. Tabs are fine, line ends are not.
 */
bool rc_args_printable(struct rc_str text);

#endif
