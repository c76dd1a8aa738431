/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference of the options, as Markdown and as the page ringcast.conf(5): more texts out of the table, beside those in
 * print.c.
 */
#include <stdio.h>

#include "base/roff.h"
#include "config/apply.h"
#include "config/value.h"

static const struct {
	const char *section, *about;
} abouts[] = {
	{"server", "What holds for the gateway as a whole, and where clients connect."},
	{"ingest", "The port for publishers and backends."},
	{"tls", "Certificates, and the ports that speak TLS. Off while no certificate is named."},
	{"http", "Requests: bodies, origins, what is remembered of publishing."},
	{"admin", "Who may use /api and /metrics, and where."},
	{"auth", "Who clients and services are: keys of tokens, and the file of services."},
	{"backends", "Programs that answer what clients say."},
	{"webhooks", "A URL that answers what clients say."},
	{"limits", "What each address, client and user may do."},
	{"log", "Lines about what happens, and about each request."},
	{"echo", "An endpoint that sends back what it gets, for conformance suites."},
	{"namespace", rc_config_about_namespaces},
};

static const char *about_section(const char *section)
{
	for (size_t i = 0; i < RC_ARRAY_LEN(abouts); i++)
		if (strcmp(abouts[i].section, section) == 0)
			return abouts[i].about;
	return "";
}

/* Text in a cell of a table: what would be markup is escaped, but for the pairs of ` that the help has itself. */
static void cell(FILE *out, const char *text)
{
	bool code = false;

	for (; *text; text++) {
		code ^= *text == '`';
		if (*text == '|' || (!code && strchr("*<>_", *text)))
			(void)fputc('\\', out);
		(void)fputc(*text == '\n' ? ' ' : (unsigned char)*text, out);
	}
}

/* A sentence: help has none of the marks of one. */
static void cell_sentence(FILE *out, const char *text)
{
	char first[2] = {text[0], 0};

	if (first[0] >= 'a' && first[0] <= 'z' && text[1] != '_')
		first[0] = (char)(first[0] - 'a' + 'A');
	cell(out, first);
	cell(out, text + 1);
	(void)fputc('.', out);
}

void rc_config_markdown(FILE *out)
{
	const char *section = "";
	char allowed[RC_VALUE_WHY_SIZE];

	(void)fprintf(out,
		"<!-- SPDX-License-Identifier: Apache-2.0 -->\n"
		"<!-- Made by `make docs` from options.c. -->\n"
		"# The configuration\n\n"
		"%u options, each with its default and what it may be. They stand in a file (`serve --config FILE`, or "
		"`RINGCAST_CONFIG`), in the environment and behind `--set`: `max_clients` of\n"
		"`[server]` is `RINGCAST_MAX_CLIENTS` and `--set max_clients=…`, `window` of `[ingest]` is "
		"`RINGCAST_INGEST_WINDOW` and `--set ingest.window=…`, `lag_time` of `[namespace chat]` is\n"
		"`RINGCAST_NAMESPACE_CHAT_LAG_TIME` and `--set namespace.chat.lag_time=…`. Flags override the environment, "
		"which overrides the file. Comments begin with `;` or `#`, after a value only with\n"
		"a blank and `;`. Sizes are powers of 1024 (`64KiB`, or `64K`), times have a unit (`500us`, `20ms`, `30s`, "
		"`5m`, `1h`). What is unknown is an error. `man 5 ringcast.conf` is the same.\n\n%s\n",
		rc_option_count, rc_config_about_changes);
	for (uint32_t row = 0; row < rc_option_count; row++) {
		const struct rc_option *o = &rc_options[row];

		if (strcmp(o->section, section) != 0) {
			section = o->section;
			(void)fprintf(out, "\n## [%s]\n\n", section);
			for (const char *at = about_section(section); *at; at++)
				(void)fputc((unsigned char)*at, out);
			(void)fputs(
				"\n\n| option | default | may be | |\n| --- | --- | --- | --- |\n",
				out);
		}
		rc_value_describe(o, allowed);
		(void)fprintf(out, "| `%s`", o->key);
		if (o->flag)
			(void)fprintf(out, ", `%s`", o->flag);
		(void)fprintf(out, o->standard[0] ? " | `%s` | " : " | none%s | ", o->standard);
		cell(out, allowed);
		(void)fputs(" | ", out);
		cell_sentence(out, o->help);
		(void)fputc(' ', out);
		cell(out, o->why);
		(void)fputs(" |\n", out);
	}
	(void)fputs("\n## Other names\n\n| written | means |\n| --- | --- |\n", out);
	for (uint32_t i = 0; i < rc_option_alias_count; i++) {
		const struct rc_option_alias *a = &rc_option_aliases[i];
		(void)fprintf(out, "| `%s` of `[%s]` | `%s` of `[%s]` |\n", a->key, a->section,
			a->of_key, a->of_section);
	}
}

static void man_option(FILE *out, const struct rc_option *o)
{
	char allowed[RC_VALUE_WHY_SIZE], text[RC_VALUE_WHY_SIZE + RC_VALUE_TEXT_SIZE + 80];

	(void)snprintf(text, sizeof(text), "%s = %s", o->key, o->standard);
	rc_roff_term(out, rc_str_of(text));
	rc_roff_text(out, rc_str_of(o->help));
	(void)fputs(".br\n", out);
	rc_roff_text(out, rc_str_of(o->why));
	rc_value_describe(o, allowed);
	(void)snprintf(text, sizeof(text), "(%s%s%s)", allowed, o->flag ? "; " : "",
		o->flag ? o->flag : "");
	(void)fputs(".br\n", out);
	rc_roff_text(out, rc_str_of(text));
}

void rc_config_man(FILE *out, const char *date)
{
	const char *section = "";
	char text[80];

	rc_roff_begin(out, "ringcast.conf", 5, date);
	rc_roff_name(out, "ringcast.conf", "configuration of the realtime gateway ringcast");
	rc_roff_section(out, "SYNOPSIS");
	(void)fputs(".nf\n", out);
	rc_roff_line(out, RC_STR("ringcast serve --config /etc/ringcast/ringcast.conf"));
	(void)fputs(".fi\n", out);
	rc_roff_section(out, "DESCRIPTION");
	rc_roff_text(out,
		RC_STR("Sections in brackets, and options as key = value below them. Comments begin with ; or #, "
		       "after a value only with a blank and ;. Sizes are powers of 1024 (64KiB, or 64K), times "
		       "have a unit (500us, 20ms, 30s, 5m, 1h). What is unknown is an error. Every option is shown "
		       "with its default."));
	rc_roff_paragraph(out);
	rc_roff_text(out,
		RC_STR("The environment overrides the file: RINGCAST_MAX_CLIENTS for max_clients of [server], "
		       "RINGCAST_INGEST_WINDOW for window of [ingest], RINGCAST_NAMESPACE_CHAT_LAG_TIME for "
		       "lag_time of [namespace chat]. The command line overrides both: --set max_clients=15000, "
		       "--set ingest.window=1024, --set namespace.chat.lag_time=5s."));
	rc_roff_paragraph(out);
	rc_roff_text(out, rc_str_of(rc_config_about_changes));
	rc_roff_paragraph(out);
	rc_roff_text(out,
		RC_STR("ringcast serve --example-config prints this as a file, --check-config says whether one is "
		       "right, --print-config prints what holds and where each value came from."));
	rc_roff_section(out, "OPTIONS");
	for (uint32_t row = 0; row < rc_option_count; row++) {
		const struct rc_option *o = &rc_options[row];

		if (strcmp(o->section, section) != 0) {
			section = o->section;
			(void)snprintf(text, sizeof(text), "[%s]", section);
			rc_roff_subsection(out, rc_str_of(text));
			rc_roff_text(out, rc_str_of(about_section(section)));
		}
		man_option(out, o);
	}
	rc_roff_section(out, "\"SEE ALSO\"");
	rc_roff_text(out,
		RC_STR("ringcast(1), ringcast-serve(1), ringcast-check(1), ringcast-counters(7)"));
}
