/* SPDX-License-Identifier: Apache-2.0
 *
 * The program: finds the subcommand.
 */
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "cli/cli.h"

const struct rc_cli_command rc_cli_commands[] = {
	{"serve", rc_cli_serve, "run the gateway"},
	{"publish", rc_cli_publish, "publish an event, or one per line of standard input"},
	{"send", rc_cli_send, "send a message to a user or a session"},
	{"disconnect", rc_cli_disconnect, "end the connections of a user, or a session"},
	{"subscribe", rc_cli_subscribe, "print the events of channels as they come"},
	{"command", rc_cli_command,
		"send a command to a backend, as a client does, and print its answer"},
	{"stat", rc_cli_stat, "print the counters of a running gateway"},
	{"top", rc_cli_top, "watch a running gateway in the terminal"},
	{"check", rc_cli_check, "hold this host and a configuration against what a gateway needs"},
	{"token", rc_cli_token, "make a token for development, or look at one"},
	{"docs", rc_cli_docs, "print the references and write the man pages"},
};
const uint32_t rc_cli_command_count = RC_ARRAY_LEN(rc_cli_commands);

static void usage(FILE *out)
{
	(void)fprintf(out,
		"ringcast " RC_VERSION ", a realtime gateway\n\nusage: ringcast COMMAND [...]\n\n");
	for (size_t i = 0; i < rc_cli_command_count; i++)
		(void)fprintf(
			out, "  %-10s %s\n", rc_cli_commands[i].name, rc_cli_commands[i].help);
	(void)fprintf(out, "\nringcast COMMAND -h tells more about each.\n");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0 ||
		(argc == 2 && strcmp(argv[1], "help") == 0)) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("ringcast %s\n", RC_VERSION);
		return 0;
	}
	for (size_t i = 0; i < rc_cli_command_count; i++) {
		if (strcmp(argv[1], rc_cli_commands[i].name) == 0)
			return rc_cli_commands[i].run(argc - 1, argv + 1);
	}
	(void)fprintf(stderr, "ringcast: no command '%s'\n\n", argv[1]);
	usage(stderr);
	return 2;
}
