/* SPDX-License-Identifier: Apache-2.0
 *
 * The report: one page with everything in it, put together from the files of report/, which are built into the program. In
 * page.html, @@name@@ is the place of a part, and @@data@@ that of the result.
 *
 * Nothing in the data can end the element that it stands in: a '<' becomes \u003c, which in JSON can only be within a
 * string and means the same there. The page reads the data as JSON and writes every text of it as text.
 */
#include <errno.h>
#include <stdio.h>

#include "lookup.h"
#include "result.h"

/* A file of report/ as bytes of this object; the Makefile knows that it depends on them. Hidden, or else gcc looks for them
 * in the table of offsets, and on aarch64 finds the section's beginning there for every one of them (GNU as 2.40). */
#define EMBED(name, file)                                                             \
	__asm__(".section .rodata\n"                                                  \
		"load_report_" #name ": .incbin \"bench/load/report/" file "\"\n"     \
		"load_report_" #name "_end: .byte 0\n"                                \
		".previous\n");                                                       \
	extern const char load_report_##name[] __attribute__((visibility("hidden"))), \
		load_report_##name##_end[] __attribute__((visibility("hidden")))

EMBED(page, "page.html");
EMBED(style, "style.css");
EMBED(format, "format.js");
EMBED(chart, "chart.js");
EMBED(bars, "bars.js");
EMBED(parts, "parts.js");
EMBED(run, "run.js");
EMBED(compare, "compare.js");

#define PART(part)                                                                          \
	{                                                                                   \
		.name = #part, .begin = load_report_##part, .end = load_report_##part##_end \
	}

static const struct {
	const char *name, *begin, *end;
} part[] = {
	PART(style), PART(format), PART(chart), PART(bars), PART(parts), PART(run), PART(compare)};

#define MARK RC_STR("@@")

static void put(FILE *out, const char *begin, const char *end)
{
	(void)fwrite(begin, 1, (size_t)(end - begin), out);
}

static void put_data(FILE *out, struct rc_str json)
{
	for (const char *from = json.ptr, *end = json.ptr + json.len; from < end;) {
		const char *less = memchr(from, '<', (size_t)(end - from));
		put(out, from, less ? less : end);
		if (!less)
			return;
		fputs("\\u003c", out);
		from = less + 1;
	}
}

static void put_part(FILE *out, struct rc_str name, struct rc_str json)
{
	if (rc_str_eq(name, RC_STR("data"))) {
		put_data(out, json);
		return;
	}
	for (size_t i = 0; i < RC_ARRAY_LEN(part); i++) {
		if (rc_str_eq(name, rc_str_of(part[i].name))) {
			put(out, part[i].begin, part[i].end);
			return;
		}
	}
	RC_FAIL("page.html names a part that is not built in");
}

/* Text and names take turns between the marks. */
static void put_page(FILE *out, struct rc_str json)
{
	const char *from = load_report_page, *end = load_report_page_end;
	for (bool name = false; from < end; name = !name) {
		const char *mark = memmem(from, (size_t)(end - from), MARK.ptr, MARK.len);
		if (!mark)
			mark = end;
		if (name)
			put_part(out, (struct rc_str){from, (size_t)(mark - from)}, json);
		else
			put(out, from, mark);
		from = mark < end ? mark + MARK.len : end;
	}
}

int load_report(const char *path, struct rc_str json, struct rc_error *err)
{
	bool standard = strcmp(path, "-") == 0;
	if (load_json_kind(json) == LOAD_JSON_NEITHER) {
		rc_error_set(err, "there is nothing to draw: give --render a file that --json of "
				  "ringcast-load or of bench/compare has written");
		return -EINVAL;
	}
	FILE *out = standard ? stdout : fopen(path, "we");
	int status = out ? 0 : -errno;
	if (out) {
		put_page(out, json);
		errno = 0;
		if (fflush(out) != 0 || ferror(out))
			status = errno ? -errno : -EIO;
		if (!standard && fclose(out) != 0 && status == 0)
			status = -errno;
	}
	if (status < 0)
		rc_error_set(err,
			"the report could not be written to %s: %s; name another file with --report",
			path, strerror(-status));
	return status;
}
