/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of errors and warnings, bounded in number and length. They hold pieces of files and of environments that
 * nobody vouched for, so nothing reaches the terminal that could steer it.
 */
#include <stdarg.h>

#include "config/report.h"

static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			*text = '?';
}

static void add(
	char lines[][RC_CONFIG_REPORT_LINE_SIZE], uint32_t *count, const char *format, va_list args)
{
	if (*count < RC_CONFIG_REPORT_LINES) {
		char *line = lines[*count];

		if (vsnprintf(line, RC_CONFIG_REPORT_LINE_SIZE, format, args) < 0)
			line[0] = 0;
		make_printable(line);
	}
	if (*count < UINT32_MAX)
		(*count)++;
}

int rc_config_report_error(struct rc_config_report *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(r->error, &r->errors, format, args);
	va_end(args);
	return -1;
}

void rc_config_report_warning(struct rc_config_report *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(r->warning, &r->warnings, format, args);
	va_end(args);
}

static void print_lines(
	const char lines[][RC_CONFIG_REPORT_LINE_SIZE], uint32_t count, const char *kind, FILE *out)
{
	uint32_t kept = RC_MIN(count, (uint32_t)RC_CONFIG_REPORT_LINES);

	for (uint32_t i = 0; i < kept; i++)
		fprintf(out, "%s: %s\n", kind, lines[i]);
	if (count > kept)
		fprintf(out, "%s: and %u more\n", kind, count - kept);
}

void rc_config_report_print(const struct rc_config_report *r, FILE *out)
{
	print_lines(r->error, r->errors, "error", out);
	print_lines(r->warning, r->warnings, "warning", out);
}
