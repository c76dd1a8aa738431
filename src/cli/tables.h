/* SPDX-License-Identifier: Apache-2.0
 *
 * References that come out of the program's own tables: counters (ops/counters_list.h) and paths (serve/httproutes.c). The one of
 * the options is config's. Pure writers; main thread.
 */
#ifndef RC_CLI_TABLES_H
#define RC_CLI_TABLES_H

#include <stdio.h>

/* Markdown. */
void rc_tables_counters(FILE *out);
void rc_tables_http(FILE *out);
/* The page ringcast-counters(7); date as 2026-01-31. */
void rc_tables_counters_man(FILE *out, const char *date);

#endif
