/* SPDX-License-Identifier: Apache-2.0
 *
 * --help, made from the tables.
 */
#include "options.h"

#define LEFT  32
#define WIDTH 98

/* Words of text in a column that begins at LEFT. The caller has written `at` characters of this line. */
static void column(FILE *out, int at, const char *text)
{
	if (at >= LEFT) {
		fputc('\n', out);
		at = 0;
	}
	fprintf(out, "%*s", LEFT - at, "");
	at = LEFT;
	while (*text) {
		int word = (int)strcspn(text, " ");

		if (at > LEFT && at + 1 + word > WIDTH) {
			fprintf(out, "\n%*s", LEFT, "");
			at = LEFT;
		}
		at += fprintf(out, "%s%.*s", at > LEFT ? " " : "", word, text);
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void bounds(const struct load_option *o, char *out, size_t size)
{
	bool number = o->kind == LOAD_OPTION_COUNT || o->kind == LOAD_OPTION_BYTES ||
		      o->kind == LOAD_OPTION_NUMBER;

	out[0] = 0;
	/* A default out of the bounds stands for something that the text explains. */
	if (number && o->standard)
		snprintf(out, size, " (%s; %.12g to %.12g)", o->standard, o->min, o->max);
	else if (o->standard)
		snprintf(out, size, " (%s)", o->standard);
}

static void option(FILE *out, const struct load_option *o)
{
	char text[512], range[96];
	int at = fprintf(
		out, "  --%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");

	bounds(o, range, sizeof(range));
	snprintf(text, sizeof(text), "%s%s", o->help, range);
	column(out, at, text);
}

static void scope(FILE *out, const char *title, enum load_option_scope which)
{
	fprintf(out, "\n%s\n", title);
	for (uint32_t row = 0; row < load_option_count; row++)
		if (load_option_table[row].scope == which && !load_option_table[row].file_only)
			option(out, &load_option_table[row]);
}

void load_help(FILE *out)
{
	fputs("usage: ringcast-load SCENARIO [options]\n"
	      "       ringcast-load --compare A.json B.json\n"
	      "       ringcast-load --render RESULT.json --report FILE.html\n"
	      "       ringcast-load --targets\n"
	      "\nOpens clients, publishes, verifies every event, and says what the server did.\n"
	      "\nScenarios, with what they set unless you do\n",
		out);
	for (uint32_t i = 0; i < load_preset_count; i++) {
		const struct load_preset *p = &load_preset_table[i];
		char text[512];

		snprintf(text, sizeof(text), "%s%s%s%s", p->about, *p->defaults ? " (" : "",
			p->defaults, *p->defaults ? ")" : "");
		column(out, fprintf(out, "  %s", p->name), text);
	}
	scope(out, "Clients, channels, events (keys of a group's section in a mixed file, too)",
		LOAD_OF_GROUP);
	fputs("\n  Only in a group's section\n", out);
	for (uint32_t row = 0; row < load_option_count; row++)
		if (load_option_table[row].file_only) {
			int at = fprintf(out, "  %s = yes", load_option_table[row].name);

			column(out, at, load_option_table[row].help);
		}
	column(out, fprintf(out, "  channels-of = NAME"),
		"the group has no channels of its own, it shares those of that group, which comes before it");
	scope(out, "The run (keys of [run] in a mixed file, too)", LOAD_OF_RUN);
	scope(out, "Others", LOAD_OF_PROGRAM);
	fputs("\nExit status: 0 good; 1 events or clients were lost, or worse; 2 it could not be measured;\n"
	      "3 the generator itself was the limit; 130 interrupted.\n",
		out);
}
