/* SPDX-License-Identifier: Apache-2.0
 *
 * The three texts that come out of the table: the effective configuration, the annotated example, the help.
 */
#include <stdio.h>

#include "config/apply.h"
#include "config/value.h"

const char rc_config_about_changes[] =
	"All of it is read at start; a change holds from the next start on. What stands in the files "
	"that it names is read again meanwhile: those of [tls] at SIGHUP, keys and services of [auth] "
	"and schemas of namespaces at SIGHUP and within a second after they have changed; the access "
	"log is opened anew at SIGHUP. token_file of [ingest] and [admin] and secret_file of [webhooks] "
	"are read at start only.";

const char rc_config_about_namespaces[] =
	"[namespace chat] holds for the channels whose name begins with chat: and inherits from "
	"[namespace], which holds for all others, what it does not set itself. Up to 64 can be named.";
_Static_assert(RC_CONFIG_NAMESPACES_MAX == 64, "the text above");

#define COMMENT_COLUMN 44
#define WRAP_COLUMN    78

static void origin_text(const struct rc_config_origin *origin, char *out, size_t size)
{
	static const char *const words[] = {
		[RC_CONFIG_DEFAULT] = "default",
		[RC_CONFIG_INHERITED] = "from [namespace]",
		[RC_CONFIG_FILE] = "line",
		[RC_CONFIG_ENV] = "environment",
		[RC_CONFIG_FLAG] = "command line",
	};

	if (origin->source == RC_CONFIG_FILE)
		snprintf(out, size, "line %u", origin->line);
	else
		snprintf(out, size, "%s", words[origin->source]);
}

static void print_row(const struct rc_config *c, uint32_t row, uint32_t ns, FILE *out)
{
	const struct rc_option *o = &rc_options[row];
	char value[RC_VALUE_TEXT_SIZE], origin[64];
	int used;

	rc_value_format(o, rc_config_field_const(c, row, ns), value);
	origin_text(rc_config_origin_const(c, row, ns), origin, sizeof(origin));
	if (o->secret && value[0])
		used = fprintf(out, "; %s = ***", o->key);
	else
		used = fprintf(out, "%s = %s", o->key, value);
	/* A comment must not make the line longer than the parser's buffer. */
	if (used > 0 && used <= 100)
		fprintf(out, "%*s; %s", used < COMMENT_COLUMN ? COMMENT_COLUMN - used : 1, "",
			origin);
	fputc('\n', out);
}

void rc_config_print(const struct rc_config *c, FILE *out)
{
	uint32_t first_ns = rc_option_first_namespace();
	const char *section = "";

	fprintf(out, "; The effective configuration of ringcast %s.\n", RC_VERSION);
	if (c->file[0]) {
		fputs("; Lines are those of ", out);
		for (const char *at = c->file; *at; at++)
			fputc((unsigned char)*at < ' ' ? '?' : *at, out);
		fputc('\n', out);
	}
	for (uint32_t row = 0; row < first_ns; row++) {
		if (strcmp(rc_options[row].section, section) != 0) {
			section = rc_options[row].section;
			fprintf(out, "\n[%s]\n", section);
		}
		print_row(c, row, 0, out);
	}
	for (uint32_t ns = 0; ns <= c->namespace_count; ns++) {
		fprintf(out, "\n[namespace%s%s]\n", ns ? " " : "", c->ns[ns].name);
		for (uint32_t row = first_ns; row < rc_option_count; row++)
			print_row(c, row, ns, out);
	}
}

/* Words broken over lines, each of which begins with `lead`. */
static void print_wrapped(const char *lead, const char *text, FILE *out)
{
	size_t column = 0;

	while (*text) {
		size_t word = strcspn(text, " ");

		if (column && column + 1 + word > WRAP_COLUMN) {
			fputc('\n', out);
			column = 0;
		}
		column += (size_t)fprintf(out, "%s%.*s", column ? " " : lead, (int)word, text);
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void print_section_heading(const char *section, FILE *out)
{
	fputc('\n', out);
	if (strcmp(section, "namespace") == 0)
		print_wrapped("; ", rc_config_about_namespaces, out);
	fprintf(out, "[%s]\n", section);
}

void rc_config_example(FILE *out)
{
	const char *section = "";
	char allowed[RC_VALUE_WHY_SIZE], text[RC_VALUE_WHY_SIZE + 200];

	print_wrapped("; ",
		"Configuration of ringcast. Every option is shown at its default: remove the "
		"semicolon in front of those that you change. Comments begin with ; or #, after a "
		"value only with a blank and ;. Sizes are powers of 1024 (64KiB, or 64K), times have "
		"a unit (500us, 20ms, 30s, 5m, 1h).",
		out);
	print_wrapped("; ",
		"The environment overrides this file (RINGCAST_MAX_CLIENTS, RINGCAST_INGEST_WINDOW, "
		"RINGCAST_NAMESPACE_CHAT_LAG_TIME), the command line overrides both (--set "
		"ingest.window=1024). ringcast serve --check-config --config FILE checks it.",
		out);
	print_wrapped("; ", rc_config_about_changes, out);
	for (uint32_t row = 0; row < rc_option_count; row++) {
		const struct rc_option *o = &rc_options[row];

		if (strcmp(o->section, section) != 0) {
			section = o->section;
			print_section_heading(section, out);
		}
		rc_value_describe(o, allowed);
		snprintf(text, sizeof(text), "%s.", allowed);
		fputc('\n', out);
		print_wrapped("; ", o->help, out);
		print_wrapped(";   ", o->why, out);
		print_wrapped(";   ", text, out);
		fprintf(out, ";%s =%s%s\n", o->key, o->standard[0] ? " " : "", o->standard);
	}
}

void rc_config_help(FILE *out)
{
	const char *section = "";
	char allowed[RC_VALUE_WHY_SIZE], left[64];

	fputs("Flags\n"
	      "  -c, --config FILE        read the configuration file (or RINGCAST_CONFIG=FILE)\n"
	      "  -s, --set KEY=VALUE      set any option: --set shards=4 --set ingest.window=1024\n"
	      "                           --set namespace.chat.lag_time=5s\n",
		out);
	for (uint32_t row = 0; row < rc_option_count; row++) {
		const struct rc_option *o = &rc_options[row];

		if (!o->flag)
			continue;
		if (o->short_flag)
			snprintf(left, sizeof(left), "  -%c, %s VALUE", o->short_flag, o->flag);
		else
			snprintf(left, sizeof(left), "      %s VALUE", o->flag);
		fprintf(out, "%-26s %s\n", left, o->help);
	}
	fputs("      --print-config       print the effective configuration with the origin of each "
	      "value\n"
	      "      --check-config       check the configuration and exit\n"
	      "      --example-config     print an annotated configuration file\n"
	      "  -h, --help               this text\n"
	      "\n"
	      "Every option of the configuration can stand in the file, in the environment\n"
	      "(RINGCAST_MAX_CLIENTS, RINGCAST_INGEST_WINDOW, RINGCAST_NAMESPACE_CHAT_LAG_TIME) and\n"
	      "behind --set. Flags override the environment, which overrides the file.\n",
		out);
	for (uint32_t row = 0; row < rc_option_count; row++) {
		const struct rc_option *o = &rc_options[row];

		if (strcmp(o->section, section) != 0) {
			section = o->section;
			fprintf(out, "\n[%s]\n", section);
		}
		rc_value_describe(o, allowed);
		fprintf(out, "  %-24s %s\n", o->key, o->help);
		fprintf(out, "  %-24s %s", "", allowed);
		if (o->standard[0])
			fprintf(out, "; default %s", o->standard);
		fputc('\n', out);
	}
}
