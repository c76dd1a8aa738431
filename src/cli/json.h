/* SPDX-License-Identifier: Apache-2.0
 *
 * Strings of JSON for what the subcommands print. Any thread.
 */
#ifndef RC_CLI_JSON_H
#define RC_CLI_JSON_H

#include <stdio.h>

/* The text in quotes, escaped; it must be UTF-8. */
void rc_json_text(FILE *out, const char *text);

#endif
