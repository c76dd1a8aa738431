/* SPDX-License-Identifier: Apache-2.0
 *
 * One line of at most 79 columns, so that no terminal breaks it.
 */
#include "live.h"

#include <unistd.h>

#include "base/clock.h"

#define REDRAW_NS UINT64_C(200000000)
#define REPEAT_NS UINT64_C(5000000000)

void load_live_open(struct load_live *l, FILE *out, bool quiet)
{
	*l = (struct load_live){.out = quiet ? NULL : out};
	l->terminal = l->out && isatty(fileno(out));
	/* The first plain line after five seconds: a short run says nothing but its result. */
	l->shown_ns = l->terminal ? 0 : rc_clock_mono_ns();
}

static void put_count(char *out, size_t size, double n)
{
	if (n >= 9.95e6)
		snprintf(out, size, "%.1fM", n / 1e6);
	else if (n >= 9950)
		snprintf(out, size, "%.1fk", n / 1e3);
	else
		snprintf(out, size, "%.0f", n);
}

static void put_time(char *out, size_t size, uint64_t ns)
{
	if (ns >= 9950000000u)
		snprintf(out, size, "%.0fs", (double)ns / 1e9);
	else if (ns >= 9950000)
		snprintf(out, size, "%.0fms", (double)ns / 1e6);
	else if (ns >= 995000)
		snprintf(out, size, "%.1fms", (double)ns / 1e6);
	else
		snprintf(out, size, "%.0fus", (double)ns / 1e3);
}

void load_live_show(struct load_live *l, const struct load_live_line *line, bool at_once)
{
	uint64_t now = rc_clock_mono_ns();
	char text[256], rate[32], low[32], high[32];
	size_t at;
	int width;

	if (!l->out)
		return;
	if (!(at_once && l->terminal) && now - l->shown_ns < (l->terminal ? REDRAW_NS : REPEAT_NS))
		return;
	l->shown_ns = now;
	at = (size_t)snprintf(text, sizeof(text), "%-7s %5.1fs", line->phase, line->seconds);
	if (line->wanted)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "  %llu/%llu clients",
			(unsigned long long)line->clients, (unsigned long long)line->wanted);
	if (line->deliveries_per_second > 0) {
		put_count(rate, sizeof(rate), line->deliveries_per_second);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "  %s/s", rate);
	}
	if (line->p99) {
		put_time(low, sizeof(low), line->p50);
		put_time(high, sizeof(high), line->p99);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "  p50 %s p99 %s", low, high);
	}
	if (line->server_cpu >= 0)
		snprintf(text + at, sizeof(text) - at, "  server %.0f%% %.1fM",
			line->server_cpu * 100, (double)line->server_rss / 1048576.0);
	if (!l->terminal) {
		fprintf(l->out, "%s\n", text);
		return;
	}
	width = fprintf(l->out, "\r%.79s", text) - 1;
	if (width < l->width)
		fprintf(l->out, "%*s", l->width - width, "");
	l->width = width;
	fflush(l->out);
}

void load_live_close(struct load_live *l)
{
	if (l->out && l->terminal && l->width) {
		fprintf(l->out, "\r%*s\r", l->width, "");
		fflush(l->out);
	}
}
