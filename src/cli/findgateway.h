/* SPDX-License-Identifier: Apache-2.0
 *
 * Which gateway a subcommand that reads counters means: the one of a process id, that of a file, or the only one. Main
 * thread.
 */
#ifndef RC_CLI_FINDGATEWAY_H
#define RC_CLI_FINDGATEWAY_H

#include "ops/counters.h"

#define RC_NO_GATEWAY 3 /* the status to end with */

/*
 * pid: 0 = any; file: NULL = any. Returns 0 with the view open; or the status to end with, once standard error has been told why,
 * and which gateways there are when one of several has to be chosen. command: "stat".
 */
RC_MUST_USE int rc_find_gateway(
	const char *command, uint32_t pid, const char *file, struct rc_counters_view *v);

#endif
