/* SPDX-License-Identifier: Apache-2.0 */
#include "mem/budget.h"

#include <stdio.h>
#include <unistd.h>

#include "mem/hostmem.h"

#define SIZE_TEXT 24
#define NAMED_MAX 3

/* "1.5 GiB"; whole bytes below 1 KiB. */
static const char *size_text(uint64_t bytes, char out[SIZE_TEXT])
{
	static const char unit[][4] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t i = 0;
	/* What would be printed as 1024.0 is 1.0 of the next. */
	while (value >= 1023.95 && i + 1 < RC_ARRAY_LEN(unit)) {
		value /= 1024;
		i++;
	}
	(void)snprintf(out, SIZE_TEXT, i == 0 ? "%.0f %s" : "%.1f %s", value, unit[i]);
	return out;
}

static void copy_text(char *out, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);
	memcpy(out, text, len);
	out[len] = '\0';
}

void rc_budget_add(
	struct rc_budget *b, const char *name, const char *detail, uint64_t bytes, bool kernel)
{
	RC_ASSERT(b->count < RC_BUDGET_LINES_MAX);
	struct rc_budget_line *line = &b->line[b->count++];
	copy_text(line->name, sizeof(line->name), name);
	copy_text(line->detail, sizeof(line->detail), detail == NULL ? "" : detail);
	line->bytes = bytes;
	line->kernel = kernel;
}

uint64_t rc_budget_total(const struct rc_budget *b, bool kernel)
{
	uint64_t total = 0;
	for (uint32_t i = 0; i < b->count; i++) {
		if (b->line[i].kernel != kernel)
			continue;
		/* Saturates: a sum that wraps would let an absurd configuration pass. */
		if (__builtin_add_overflow(total, b->line[i].bytes, &total))
			return UINT64_MAX;
	}
	return total;
}

uint64_t rc_budget_host_bytes(void)
{
	uint64_t bytes = rc_hostmem_limit("");
	if (bytes != UINT64_MAX)
		return bytes;
	/* No /proc here: the C library asks the kernel another way. */
	long pages = sysconf(_SC_PHYS_PAGES);
	long page = sysconf(_SC_PAGESIZE);
	return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
}

/* The largest line of user space that comes after `above` by size, then by place; NULL when there is none. */
static const struct rc_budget_line *next_largest(
	const struct rc_budget *b, const struct rc_budget_line *above)
{
	const struct rc_budget_line *best = NULL;
	for (uint32_t i = 0; i < b->count; i++) {
		const struct rc_budget_line *line = &b->line[i];
		if (line->kernel || line->bytes == 0)
			continue;
		if (above != NULL && (line->bytes > above->bytes ||
					     (line->bytes == above->bytes && line <= above)))
			continue;
		if (best == NULL || line->bytes > best->bytes)
			best = line;
	}
	return best;
}

int rc_budget_check(const struct rc_budget *b, uint64_t available, struct rc_error *err)
{
	uint64_t total = rc_budget_total(b, false);
	if (total <= available)
		return 0;

	char largest[512] = "";
	char size[SIZE_TEXT];
	size_t len = 0;
	const struct rc_budget_line *line = NULL;
	for (int i = 0; i < NAMED_MAX && (line = next_largest(b, line)) != NULL; i++) {
		int n = snprintf(largest + len, sizeof(largest) - len, "%s%s (%s%s%s)",
			len > 0 ? ", " : "", line->name, line->detail,
			line->detail[0] != '\0' ? ": " : "", size_text(line->bytes, size));
		if (n < 0 || (size_t)n >= sizeof(largest) - len)
			break;
		len += (size_t)n;
	}
	char need[SIZE_TEXT];
	char have[SIZE_TEXT];
	return rc_error_set(err,
		"this configuration needs %s of memory, but the host or its cgroup allows %s. Most of "
		"it is for: %s. Lower the options behind these, or give the gateway more memory",
		size_text(total, need), size_text(available, have), largest);
}

static void print_part(const struct rc_budget *b, bool kernel, int name_width, int detail_width,
	void (*line)(void *ctx, const char *text), void *ctx)
{
	char text[160];
	char size[SIZE_TEXT];
	for (uint32_t i = 0; i < b->count; i++) {
		const struct rc_budget_line *l = &b->line[i];
		if (l->kernel != kernel)
			continue;
		(void)snprintf(text, sizeof(text), "%-*s  %-*s  %11s", name_width, l->name,
			detail_width, l->detail, size_text(l->bytes, size));
		line(ctx, text);
	}
	(void)snprintf(text, sizeof(text), "%-*s  %-*s  %11s", name_width,
		kernel ? "total in the kernel" : "total", detail_width, "",
		size_text(rc_budget_total(b, kernel), size));
	line(ctx, text);
}

void rc_budget_print(
	const struct rc_budget *b, void (*line)(void *ctx, const char *text), void *ctx)
{
	size_t name_width = strlen("total in the kernel");
	size_t detail_width = 0;
	for (uint32_t i = 0; i < b->count; i++) {
		size_t name = strlen(b->line[i].name);
		size_t detail = strlen(b->line[i].detail);
		name_width = RC_MAX(name_width, name);
		detail_width = RC_MAX(detail_width, detail);
	}
	print_part(b, false, (int)name_width, (int)detail_width, line, ctx);
	print_part(b, true, (int)name_width, (int)detail_width, line, ctx);
}
