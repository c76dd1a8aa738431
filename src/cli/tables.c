/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks the tables and writes their rows; the contract is in tables.h.
 */
#include "cli/tables.h"

#include "base/roff.h"
#include "ops/prometheus.h"
#include "serve/http.h"

#define ENTRIES (RC_COUNTER_COUNT + RC_COUNTER_HIST_COUNT)

static const struct rc_counters_meta *entry(uint32_t i)
{
	return i < RC_COUNTER_COUNT
		       ? rc_counter_meta((enum rc_counter)i)
		       : rc_counter_hist_meta((enum rc_counter_hist)(i - RC_COUNTER_COUNT));
}

static const char *kind_of(const struct rc_counters_meta *meta)
{
	return meta->kind == RC_KIND_COUNTER ? "grows"
	       : meta->kind == RC_KIND_GAUGE ? "up and down"
					     : "histogram";
}

/* clang-format off */
static const struct {
	const char *family, *help;
} by_namespace[] = {
#define RC_COUNTER_NS(name, family, help) {family, help},
#include "ops/counters_list.h"
};
/* clang-format on */

static void head(FILE *out, const char *title, const char *source)
{
	(void)fprintf(out,
		"<!-- SPDX-License-Identifier: Apache-2.0 -->\n<!-- Made by `make docs` from %s. -->\n# %s\n\n",
		source, title);
}

void rc_tables_counters(FILE *out)
{
	char name[160];

	head(out, "What is counted", "counters_list.h");
	(void)fprintf(out,
		"%d counters and %d histograms of each shard: in the counters file, which `ringcast stat` prints, and in "
		"`/metrics`, there in seconds and bytes and with a label `shard`.\n\n"
		"| counter | in `/metrics` | unit | | |\n| --- | --- | --- | --- | --- |\n",
		RC_COUNTER_COUNT, RC_COUNTER_HIST_COUNT);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		const struct rc_counters_meta *meta = entry(i);
		rc_prometheus_name(meta, name);
		(void)fprintf(out, "| `%s` | `%s` | %s | %s | %s |\n", meta->name, name, meta->unit,
			kind_of(meta), meta->help);
	}
	(void)fputs(
		"\nIn `/metrics` alone, with a label `namespace`:\n\n| | |\n| --- | --- |\n", out);
	for (size_t i = 0; i < RC_ARRAY_LEN(by_namespace); i++)
		(void)fprintf(out, "| `ringcast_%s_total` | %s |\n", by_namespace[i].family,
			by_namespace[i].help);
}

void rc_tables_counters_man(FILE *out, const char *date)
{
	char name[160], text[200];

	rc_roff_begin(out, "ringcast-counters", 7, date);
	rc_roff_name(out, "ringcast-counters", "what the realtime gateway ringcast counts");
	rc_roff_section(out, "DESCRIPTION");
	rc_roff_text(out,
		RC_STR("Each shard counts for itself. The counters are in a file that ringcast stat prints, and in "
		       "/metrics, there in seconds and bytes and with a label shard."));
	rc_roff_section(out, "COUNTERS");
	for (uint32_t i = 0; i < ENTRIES; i++) {
		const struct rc_counters_meta *meta = entry(i);
		rc_prometheus_name(meta, name);
		rc_roff_term(out, rc_str_of(meta->name));
		rc_roff_text(out, rc_str_of(meta->help));
		(void)snprintf(text, sizeof(text), "(%s; %s)", kind_of(meta), name);
		(void)fputs(".br\n", out);
		rc_roff_text(out, rc_str_of(text));
	}
	rc_roff_section(out, "\"BY NAMESPACE\"");
	rc_roff_text(out, RC_STR("In /metrics alone:"));
	for (size_t i = 0; i < RC_ARRAY_LEN(by_namespace); i++) {
		(void)snprintf(text, sizeof(text), "ringcast_%s_total", by_namespace[i].family);
		rc_roff_term(out, rc_str_of(text));
		rc_roff_text(out, rc_str_of(by_namespace[i].help));
	}
	rc_roff_section(out, "\"SEE ALSO\"");
	rc_roff_text(out, RC_STR("ringcast(1), ringcast-stat(1), ringcast.conf(5)"));
}

/* Of one method, as httpadmit.c reads the table. */
static uint8_t access_of(const struct rc_http_route *route, enum rc_http_method method)
{
	if (route->access < 256 || method == RC_HTTP_GET)
		return (uint8_t)route->access;
	return (uint8_t)(route->access >> (method == RC_HTTP_DELETE ? 16 : 8));
}

static void path(FILE *out, const struct rc_http_route *route, const char *query)
{
	static const struct {
		enum rc_http_method method;
		const char *name;
	} methods[] = {{RC_HTTP_GET, "GET"}, {RC_HTTP_POST, "POST"}, {RC_HTTP_PUT, "PUT"},
		{RC_HTTP_DELETE, "DELETE"}};

	for (size_t m = 0; m < RC_ARRAY_LEN(methods); m++) {
		uint8_t access = access_of(route, methods[m].method);
		const char *word = rc_scope_word(access);
		if (!(route->methods & methods[m].method))
			continue;
		(void)fprintf(out, "| `%s%s` | %s | ", route->path, query, methods[m].name);
		if (word)
			(void)fprintf(out, "`%s` |\n", word);
		else
			(void)fprintf(out, "%s |\n",
				access == RC_HTTP_ANYWHERE ? "none, and pages of any origin may"
							   : "none");
	}
}

void rc_tables_http(FILE *out)
{
	head(out, "The paths", "httproutes.c");
	(void)fputs(
		"Each path with what may be done to it, and the scope that a service's token needs for it; the admin "
		"token may do everything. `*` is whatever stands below. What they take and answer is in\n"
		"[../proto/README.md](../proto/README.md#http). HEAD comes with GET, OPTIONS is answered for all.\n\n"
		"| path | | scope |\n| --- | --- | --- |\n",
		out);
	path(out, &rc_http_watch, "?scope=read");
	for (uint32_t i = 0; i < rc_http_route_count; i++)
		path(out, &rc_http_routes[i], "");
}
