/* SPDX-License-Identifier: Apache-2.0
 *
 * The subcommands of the program. Each gets the arguments from its own name on (argv[0] is "stat") and returns the
 * status with which the process ends: 0 fine, 1 the answer is no, 2 the command line is wrong, 3 no gateway runs. The
 * main thread calls one of them, once.
 */
#ifndef RC_CLI_CLI_H
#define RC_CLI_CLI_H

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

#endif
