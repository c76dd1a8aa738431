/* SPDX-License-Identifier: Apache-2.0
 *
 * `ringcast docs`: the references and the man pages, from the tables and texts that the program itself works with. A page of a
 * subcommand is what its --help prints, so a new one has a page by being in the table of main.c. Main thread.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/roff.h"
#include "cli/manpage.h"
#include "cli/tables.h"
#include "config/config.h"

#define USAGE 2
/* The help of serve names every option of the configuration. */
#define HELP_MAX (256u << 10)

static const char usage[] =
	"usage: ringcast docs man FOLDER\n"
	"       ringcast docs page NAME ABOUT\n"
	"       ringcast docs config | counters | http\n"
	"\n"
	"Prints the references of this version, made from the tables that the program itself works with.\n"
	"\n"
	"  man FOLDER       writes all man pages below FOLDER: man1, man5, man7\n"
	"  page NAME ABOUT  makes a page of another program's --help, which is read from standard input\n"
	"  config           every option of the configuration, as Markdown\n"
	"  counters         everything that is counted, as Markdown\n"
	"  http             every path with the scope that it needs, as Markdown\n"
	"  -h, --help\n"
	"\n"
	"Pages have the date of SOURCE_DATE_EPOCH (seconds since 1970), or else of the program's file.\n"
	"\n"
	"Status: 0 fine, 1 something can't be written or read, 2 wrong usage.\n";

static int failed(const char *what)
{
	(void)fprintf(stderr, "ringcast docs: %s: %s\n", what, strerror(errno));
	return 1;
}

static void date_of_build(char date[16])
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	struct stat st;
	struct tm tm;
	time_t when = 0;

	if (epoch && *epoch && strspn(epoch, "0123456789") == strlen(epoch) && strlen(epoch) < 12)
		when = (time_t)strtoll(epoch, NULL, 10);
	else if (stat("/proc/self/exe", &st) == 0)
		when = st.st_mtime;
	if (gmtime_r(&when, &tm) == NULL || strftime(date, 16, "%Y-%m-%d", &tm) == 0)
		memcpy(date, "1970-01-01", sizeof("1970-01-01"));
}

/* ---- what --help prints -------------------------------------------------------------------------- */

/* Up to the end of the stream; HELP_MAX - 1 at most. False: read failed, or there is more. */
static bool read_all(int fd, char *text, size_t *len)
{
	ssize_t n;

	for (*len = 0; *len < HELP_MAX - 1; *len += (size_t)n) {
		n = read(fd, text + *len, HELP_MAX - 1 - *len);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return n == 0;
	}
	errno = EFBIG;
	return false;
}

/* In a process of its own, since commands write to standard output and read their line once. */
static bool help_of(const struct rc_cli_command *command, char *text, size_t *len)
{
	char name[32], help[] = "--help", *argv[] = {name, help, NULL};
	int pipes[2], status;
	pid_t pid;
	bool good;

	(void)snprintf(name, sizeof(name), "%s", command->name);
	(void)fflush(NULL);
	if (pipe(pipes) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		if (dup2(pipes[1], STDOUT_FILENO) < 0)
			_exit(127);
		(void)close(pipes[0]);
		(void)close(pipes[1]);
		status = command->run(2, argv);
		_exit(fflush(stdout) == 0 ? status : 127);
	}
	(void)close(pipes[1]);
	good = pid > 0 && read_all(pipes[0], text, len);
	(void)close(pipes[0]);
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status != 0) && good) {
		errno = EIO;
		good = false;
	}
	return good;
}

/* ---- pages ---------------------------------------------------------------------------------------- */

static FILE *open_page(const char *folder, const char *name, int section, char path[512])
{
	int len = snprintf(path, 512, "%s/man%d", folder, section);

	if (len < 0 || len >= 400) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	if (mkdir(path, 0777) < 0 && errno != EEXIST)
		return NULL;
	(void)snprintf(path + len, 512 - (size_t)len, "/%s.%d", name, section);
	return fopen(path, "we");
}

static int close_page(FILE *page, const char *path)
{
	bool wrong = ferror(page) != 0;

	if (fclose(page) != 0 || wrong)
		return failed(path);
	return 0;
}

static void write_examples(FILE *out)
{
	static const char *const lines[] = {
		"ringcast serve --set namespace.history_size=1000 --set namespace.history_ttl=1h",
		"ringcast subscribe --since beginning news",
		"ringcast publish news hello '{\"n\":1}'",
		"curl http://127.0.0.1:8080/api/publish -d '{\"channel\":\"news\",\"event\":\"hello\",\"data\":{\"n\":2}}'",
		"ringcast top",
		"ringcast serve --config /etc/ringcast/ringcast.conf --check-config",
	};

	rc_roff_section(out, "EXAMPLES");
	rc_roff_text(
		out, RC_STR("A gateway for this host that remembers, each of the others in another "
			    "terminal; and whether a configuration is right:"));
	(void)fputs(".PP\n.nf\n", out);
	for (size_t i = 0; i < RC_ARRAY_LEN(lines); i++)
		rc_roff_line(out, rc_str_of(lines[i]));
	(void)fputs(".fi\n", out);
}

/* Where `make install` with the usual prefix and the unit have things. */
static void write_files(FILE *out)
{
	static const char *const files[][2] = {
		{"/etc/ringcast/ringcast.conf",
			"the configuration that the unit names; ringcast.conf(5)"},
		{"/run/ringcast/",
			"the counters of a gateway that systemd started, for ringcast stat and top"},
		{"/var/log/ringcast/", "where the unit lets it write: access of [log]"},
		{"/usr/local/share/ringcast/",
			"README.md, tuning/DEPLOY.md and the other chapters; settings for the host, "
			"alerts for Prometheus, a dashboard for Grafana"},
	};

	rc_roff_section(out, "FILES");
	for (size_t i = 0; i < RC_ARRAY_LEN(files); i++) {
		rc_roff_term(out, rc_str_of(files[i][0]));
		rc_roff_text(out, rc_str_of(files[i][1]));
	}
}

/* ringcast(1): the list of the others. */
static void write_main_page(FILE *out, const char *date)
{
	rc_roff_begin(out, "ringcast", 1, date);
	rc_roff_name(out, "ringcast", "a realtime gateway");
	rc_roff_section(out, "SYNOPSIS");
	(void)fputs(".nf\n", out);
	rc_roff_line(out, RC_STR("ringcast COMMAND [...]"));
	rc_roff_line(out, RC_STR("ringcast COMMAND --help"));
	rc_roff_line(out, RC_STR("ringcast --help | --version"));
	(void)fputs(".fi\n", out);
	rc_roff_section(out, "DESCRIPTION");
	rc_roff_text(out,
		RC_STR("Clients hold a WebSocket or an event stream open to the gateway, publishers push events in over "
		       "HTTP or a binary TCP port, and each event goes out to every client that subscribed to its "
		       "channel. One program is the gateway and the tools around it."));
	rc_roff_section(out, "COMMANDS");
	for (uint32_t i = 0; i < rc_cli_command_count; i++) {
		rc_roff_term(out, rc_str_of(rc_cli_commands[i].name));
		rc_roff_text(out, rc_str_of(rc_cli_commands[i].help));
	}
	write_examples(out);
	write_files(out);
	rc_roff_section(out, "\"SEE ALSO\"");
	for (uint32_t i = 0; i < rc_cli_command_count; i++) {
		(void)fputs("ringcast\\-", out);
		rc_roff_line(out, rc_str_of(rc_cli_commands[i].name));
		(void)fputs("(1),\n", out);
	}
	rc_roff_text(out, RC_STR("ringcast.conf(5), ringcast-counters(7)"));
}

static int write_command_page(
	const char *folder, const struct rc_cli_command *command, const char *date)
{
	static char help[HELP_MAX];
	char name[64], path[512];
	struct rc_manpage page = {.name = name,
		.about = command->help,
		.date = date,
		.also = "ringcast(1), ringcast.conf(5), ringcast-counters(7)"};
	struct rc_str text = {help, 0};
	FILE *out;

	(void)snprintf(name, sizeof(name), "ringcast-%s", command->name);
	if (!help_of(command, help, &text.len))
		return failed(name);
	out = open_page(folder, name, 1, path);
	if (out == NULL)
		return failed(path);
	rc_manpage_write(out, &page, text);
	return close_page(out, path);
}

static int write_pages(const char *folder)
{
	static const struct {
		const char *name;
		int section;
		void (*write)(FILE *out, const char *date);
	} others[] = {{"ringcast", 1, write_main_page}, {"ringcast.conf", 5, rc_config_man},
		{"ringcast-counters", 7, rc_tables_counters_man}};
	char date[16], path[512];
	int rc = 0;

	date_of_build(date);
	if (mkdir(folder, 0777) < 0 && errno != EEXIST)
		return failed(folder);
	for (size_t i = 0; i < RC_ARRAY_LEN(others) && rc == 0; i++) {
		FILE *out = open_page(folder, others[i].name, others[i].section, path);
		if (out == NULL)
			return failed(path);
		others[i].write(out, date);
		rc = close_page(out, path);
	}
	for (uint32_t i = 0; i < rc_cli_command_count && rc == 0; i++)
		rc = write_command_page(folder, &rc_cli_commands[i], date);
	return rc;
}

/* ---- the command line ------------------------------------------------------------------------------ */

static int write_page(const char *name, const char *about)
{
	static char help[HELP_MAX];
	char date[16];
	struct rc_manpage page = {
		.name = name, .about = about, .date = date, .also = "ringcast(1)"};
	struct rc_str text = {help, 0};

	if (!read_all(STDIN_FILENO, help, &text.len))
		return failed("standard input");
	date_of_build(date);
	rc_manpage_write(stdout, &page, text);
	return 0;
}

int rc_cli_docs(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*write)(FILE *out);
	} tables[] = {{"config", rc_config_markdown}, {"counters", rc_tables_counters},
		{"http", rc_tables_http}};
	const char *what = argc > 1 ? argv[1] : "";
	int rc = -1;

	if (argc == 2 && (strcmp(what, "-h") == 0 || strcmp(what, "--help") == 0)) {
		(void)fputs(usage, stdout);
		rc = 0;
	} else if (argc == 3 && strcmp(what, "man") == 0) {
		rc = write_pages(argv[2]);
	} else if (argc == 4 && strcmp(what, "page") == 0) {
		rc = write_page(argv[2], argv[3]);
	}
	for (size_t i = 0; i < RC_ARRAY_LEN(tables) && argc == 2 && rc < 0; i++) {
		if (strcmp(what, tables[i].name) == 0) {
			tables[i].write(stdout);
			rc = 0;
		}
	}
	if (rc < 0) {
		(void)fputs(
			"ringcast docs: man FOLDER, page NAME ABOUT, config, counters or http; 'ringcast docs "
			"--help' says what they are\n",
			stderr);
		return USAGE;
	}
	if (fflush(stdout) != 0 || ferror(stdout))
		return failed("standard output");
	return rc;
}
