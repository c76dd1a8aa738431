/* SPDX-License-Identifier: Apache-2.0 */
#include "figure.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_whole(double value)
{
	return value == (double)(uint64_t)value;
}

static void grouped(char *out, double value)
{
	char digits[RC_ARRAY_LEN("18446744073709551615")];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, (uint64_t)(value + 0.5));
	char *to = out;
	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
}

/* Three digits that count, none of them behind the point of 100 and more. */
static int digits_behind(double value)
{
	return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

static void scaled(char *out, double value, double step, const char *const name[], size_t names)
{
	size_t i = 0;
	for (; i + 1 < names && value >= step * 0.9995; i++)
		value /= step;
	snprintf(
		out, LOAD_FIGURE_MAX, "%.*f %s", i == 0 ? 0 : digits_behind(value), value, name[i]);
}

static const char *const times[] = {"ns", "µs", "ms", "s"};
static const char *const sizes[] = {"B", "KiB", "MiB", "GiB", "TiB"};

const char *load_figure(char out[LOAD_FIGURE_MAX], enum load_unit unit, double value)
{
	if (!(value >= 0) || value > 1e18) {
		memcpy(out, LOAD_DASH, sizeof(LOAD_DASH));
		return out;
	}
	switch (unit) {
	case LOAD_UNIT_RATE:
		if (value < 100 && !is_whole(value)) {
			snprintf(out, LOAD_FIGURE_MAX, "%.1f", value);
			break;
		}
		grouped(out, value);
		break;
	case LOAD_UNIT_COUNT:
		grouped(out, value);
		break;
	case LOAD_UNIT_NS:
		/* Averages of few nanoseconds are known better than to one. */
		if (value < 99.95 && !is_whole(value))
			snprintf(out, LOAD_FIGURE_MAX, "%.1f ns", value);
		else
			scaled(out, value, 1000, times, RC_ARRAY_LEN(times));
		break;
	case LOAD_UNIT_BYTES:
		scaled(out, value, 1024, sizes, RC_ARRAY_LEN(sizes));
		break;
	case LOAD_UNIT_SECONDS:
		snprintf(out, LOAD_FIGURE_MAX, "%.*f s", digits_behind(value), value);
		break;
	case LOAD_UNIT_CPUS:
		snprintf(out, LOAD_FIGURE_MAX, "%.2f", value);
		break;
	case LOAD_UNIT_RATIO:
		snprintf(out, LOAD_FIGURE_MAX, "%.*f",
			value < 9.9995  ? 3
			: value < 99.95 ? 1
					: 0,
			value);
		break;
	}
	return out;
}

const char *load_figure_url(char *out, size_t cap, const struct load_url *url)
{
	static const char *const scheme[] = {[LOAD_INGEST] = "ingest",
		[LOAD_TCP] = "tcp",
		[LOAD_TLS] = "tls",
		[LOAD_WS] = "ws",
		[LOAD_WSS] = "wss",
		[LOAD_SSE] = "http",
		[LOAD_SSES] = "https",
		[LOAD_HTTP] = "http"};
	bool bare_v6 = strchr(url->host, ':') && url->host[0] != '[';
	size_t path = strcspn(url->path, "?");
	snprintf(out, cap, "%s://%s%s%s:%u%.*s%s", scheme[url->scheme], bare_v6 ? "[" : "",
		url->host, bare_v6 ? "]" : "", url->port, (int)path, url->path,
		url->path[path] ? "?…" : "");
	return out;
}

int load_figure_width(const char *text)
{
	int width = 0;
	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}
