/* SPDX-License-Identifier: Apache-2.0
 *
 * The subcommands of the program. Each gets the arguments from its own name on (argv[0] is "stat") and returns the
 * status with which the process ends: 0 fine, 1 the answer is no, 2 the command line is wrong, 3 no gateway runs. The
 * main thread calls one of them, once.
 */
#ifndef RC_CLI_CLI_H
#define RC_CLI_CLI_H

#include <stdint.h>

/* The table is in main.c. --help and -h of each print what there is to know of it, from which its man page is made. */
struct rc_cli_command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help; /* one line */
};
extern const struct rc_cli_command rc_cli_commands[];
extern const uint32_t rc_cli_command_count;

int rc_cli_serve(int argc, char **argv);
int rc_cli_publish(int argc, char **argv);
int rc_cli_send(int argc, char **argv);
int rc_cli_disconnect(int argc, char **argv);
int rc_cli_subscribe(int argc, char **argv);
int rc_cli_command(int argc, char **argv);
int rc_cli_stat(int argc, char **argv);
int rc_cli_top(int argc, char **argv);
int rc_cli_check(int argc, char **argv);
int rc_cli_token(int argc, char **argv);
int rc_cli_docs(int argc, char **argv);

#endif
