/* SPDX-License-Identifier: Apache-2.0
 *
 * A result for people: what was asked for, what came of it, what to think of it. The verdict comes last, where the eye
 * is when a program ends.
 */
#include <stdlib.h>
#include <unistd.h>

#include "figure.h"
#include "result.h"

#define COLUMNS 100
#define LABEL   12 /* columns of what stands in front */

/* Several in one call of printf. */
struct texts {
	char text[10][LOAD_FIGURE_MAX];
};

#define FIGURE(i, unit, value) load_figure(texts.text[i], unit, (double)(value))

static void label(FILE *out, const char *name)
{
	fprintf(out, "%-*s", LABEL, name);
}

/* Right-aligned by what is seen, which %*s does not know of the micro sign. */
static void cell(FILE *out, int width, const char *text)
{
	fprintf(out, "%*s%s", RC_MAX(0, width - load_figure_width(text)), "", text);
}

/* Words are broken over lines of COLUMNS, the later ones indented. */
static void wrapped(FILE *out, const char *text)
{
	int column = LABEL;
	for (const char *word = text; *word;) {
		size_t len = strcspn(word, " ");
		char one[320];
		snprintf(one, sizeof(one), "%.*s", (int)len, word);
		int width = load_figure_width(one);
		if (column > LABEL && column + 1 + width > COLUMNS) {
			fprintf(out, "\n%*s", LABEL, "");
			column = LABEL;
		} else if (column > LABEL) {
			fputc(' ', out);
			column++;
		}
		fputs(one, out);
		column += width;
		word += len + strspn(word + len, " ");
	}
	fputc('\n', out);
}

static void head(FILE *out, const struct load_result *r)
{
	const struct load_plan *plan = r->plan;
	const struct load_target *target = plan->target;
	struct texts texts = {0};
	char url[256], line[640];
	const struct load_url *shown = &target->subscriber.url;
	if (plan->groups && plan->group[0].echo)
		shown = &target->subscriber.echo_url;
	else if (plan->clients == 0 || !shown->host[0])
		shown = &target->publisher.url;
	uint32_t backends = 0;
	for (uint32_t g = 0; g < plan->groups; g++)
		backends += plan->group[g].command ? plan->group[g].backends : 0;
	bool commands = load_plan_commands(plan);
	uint32_t others = commands ? backends : plan->channels;
	snprintf(line, sizeof(line), "%s, %s client%s, %s %s%s, %.1f s measured of %s at %s",
		plan->scenario, FIGURE(0, LOAD_UNIT_COUNT, plan->clients),
		plan->clients == 1 ? "" : "s", FIGURE(1, LOAD_UNIT_COUNT, others),
		commands ? "backend" : "channel", others == 1 ? "" : "s", r->window, target->name,
		load_figure_url(url, sizeof(url), shown));
	label(out, "run");
	wrapped(out, line);
}

/* Nobody was asked to publish. */
static bool idle(const struct load_plan *plan)
{
	for (uint32_t g = 0; g < plan->groups; g++)
		if (plan->group[g].publishers || load_group_asks(&plan->group[g]))
			return false;
	return true;
}

static void traffic_line(
	FILE *out, const char *name, const struct load_result *r, uint64_t count, bool rates)
{
	struct texts texts = {0};
	label(out, name);
	cell(out, 18, FIGURE(0, LOAD_UNIT_COUNT, count));
	double rate = rates && r->window > 0 ? (double)count / r->window : -1;
	cell(out, 18, FIGURE(1, LOAD_UNIT_RATE, rate));
	fputs(" a second", out);
}

static void handshakes(FILE *out, const struct load_result *r, bool rates)
{
	struct texts texts = {0};
	if (r->handshakes == 0)
		return;
	traffic_line(out, "handshakes", r, r->handshakes, rates);
	if (r->resumed)
		fprintf(out, "  %s resumed", FIGURE(0, LOAD_UNIT_COUNT, r->resumed));
	double cost = rates ? load_cpu_ns_per_handshake(r) : -1;
	if (cost >= 0)
		fprintf(out, "  server CPU %s each", FIGURE(0, LOAD_UNIT_NS, cost));
	fputc('\n', out);
}

static void traffic(FILE *out, const struct load_result *r, bool rates)
{
	struct texts texts = {0};
	handshakes(out, r, rates);
	if (r->deliveries + r->published + r->acked == 0 && idle(r->plan))
		return;
	bool commands = load_plan_commands(r->plan);
	traffic_line(out, commands ? "answers" : "deliveries", r, r->deliveries, rates);
	double rate = rates && r->window > 0 ? (double)r->bytes / r->window : -1;
	fprintf(out, "  %s a second\n", FIGURE(0, LOAD_UNIT_BYTES, rate));
	traffic_line(out, commands ? "commands" : "published", r, r->published, rates);
	fputc('\n', out);
	if (r->acked) {
		traffic_line(out, "acknowledged", r, r->acked, rates);
		fputc('\n', out);
	}
}

static void quantile_line(FILE *out, const char *name, const struct load_quantiles *q, bool known)
{
	struct texts texts = {0};
	const uint64_t value[] = {q->p50, q->p90, q->p99, q->p999, q->p9999, q->max, q->mean};
	if (q->count == 0)
		return;
	label(out, name);
	for (size_t i = 0; i < RC_ARRAY_LEN(value); i++)
		cell(out, 10, known ? FIGURE(0, LOAD_UNIT_NS, value[i]) : LOAD_DASH);
	cell(out, 18, FIGURE(0, LOAD_UNIT_COUNT, q->count));
	fputc('\n', out);
}

static void latencies(FILE *out, const struct load_result *r, bool known)
{
	static const char *const column[] = {"p50", "p90", "p99", "p99.9", "p99.99", "max", "mean"};
	if (!r->latency.count && !r->connect.count && !r->ack.count)
		return;
	fputc('\n', out);
	label(out, "");
	for (size_t i = 0; i < RC_ARRAY_LEN(column); i++)
		cell(out, 10, column[i]);
	cell(out, 18, "count");
	fputc('\n', out);
	quantile_line(out, "latency", &r->latency, known);
	quantile_line(out, "acknowledge", &r->ack, known);
	quantile_line(out, "connect", &r->connect, true);
	if (r->plan->groups < 2)
		return;
	for (uint32_t g = 0; g < r->plan->groups; g++) {
		char name[LABEL]; /* a column stays free */
		snprintf(name, sizeof(name), "%.11s", r->plan->group[g].name);
		quantile_line(out, name, &r->group[g].latency, known);
		/* What a storm does to those who stay. */
		if (r->plan->group[g].storm_after_seconds > 0)
			continue;
		quantile_line(out, "  before", &r->group[g].before_storm, known);
		quantile_line(out, "  meanwhile", &r->group[g].in_storm, known);
	}
}

static void clients(FILE *out, const struct load_result *r)
{
	struct texts texts = {0};
	char line[400];
	if (r->plan->clients == 0)
		return;
	int len = snprintf(line, sizeof(line), "%s of %s connected in %s; %s open at the end",
		FIGURE(0, LOAD_UNIT_COUNT, load_clients_connected(r)),
		FIGURE(1, LOAD_UNIT_COUNT, r->plan->clients),
		FIGURE(2, LOAD_UNIT_SECONDS, r->connect_seconds),
		FIGURE(3, LOAD_UNIT_COUNT, r->open_at_end));
	const struct {
		uint64_t count;
		const char *what;
	} more[] = {{r->failed, "failed attempts"}, {r->closed, "closed by the server"},
		{r->dropped, "left"}, {r->returned, "came back"}};
	for (size_t i = 0; i < RC_ARRAY_LEN(more); i++)
		if (more[i].count)
			len += snprintf(line + len, sizeof(line) - (size_t)len, ", %s %s",
				FIGURE(0, LOAD_UNIT_COUNT, more[i].count), more[i].what);
	if (r->storm_seconds >= 0)
		snprintf(line + len, sizeof(line) - (size_t)len, "; all back %s after the storm",
			FIGURE(0, LOAD_UNIT_SECONDS, r->storm_seconds));
	label(out, "clients");
	wrapped(out, line);
	if (r->recovered + r->unrecovered == 0)
		return;
	snprintf(line, sizeof(line), "%s subscriptions recovered, %s not",
		FIGURE(0, LOAD_UNIT_COUNT, r->recovered),
		FIGURE(1, LOAD_UNIT_COUNT, r->unrecovered));
	label(out, "");
	wrapped(out, line);
}

static double share(const struct load_result *r, double seconds)
{
	return r->window > 0 ? seconds / r->window : -1;
}

static void machines(FILE *out, const struct load_result *r, bool known)
{
	struct texts texts = {0};
	char line[400];
	double cost = known ? load_cpu_ns_per_delivery(r) : -1;
	label(out, "server");
	if (r->server_known)
		snprintf(line, sizeof(line),
			"%s CPUs, %s %s; memory %s at the start, %s connected (%s a client), "
			"%s at most",
			FIGURE(0, LOAD_UNIT_CPUS, share(r, r->server_cpu_seconds)),
			FIGURE(1, LOAD_UNIT_NS, cost),
			load_plan_commands(r->plan) ? "a command" : "a delivery",
			FIGURE(2, LOAD_UNIT_BYTES, r->server_rss_start),
			FIGURE(3, LOAD_UNIT_BYTES, r->server_rss_connected),
			FIGURE(4, LOAD_UNIT_BYTES, load_rss_per_client(r)),
			FIGURE(5, LOAD_UNIT_BYTES, r->server_rss_max));
	else
		snprintf(line, sizeof(line),
			"its CPU and memory are not known: its process was not found on this host; "
			"--pid names it");
	wrapped(out, line);

	label(out, "generator");
	snprintf(line, sizeof(line),
		"%s CPUs in %u thread%s, the busiest %.0f %% of its time; memory %s",
		FIGURE(0, LOAD_UNIT_CPUS,
			share(r, r->generator_cpu_seconds - r->generator_idle_seconds)),
		r->threads * r->processes, r->threads * r->processes == 1 ? "" : "s",
		r->generator_busiest * 100, FIGURE(1, LOAD_UNIT_BYTES, r->generator_memory));
	wrapped(out, line);
}

static void fault_line(FILE *out, const struct load_faults *f)
{
	struct texts texts = {0};
	fprintf(out, "%s lost, %s duplicated, %s reordered, %s corrupted, %s foreign\n",
		FIGURE(0, LOAD_UNIT_COUNT, f->lost), FIGURE(1, LOAD_UNIT_COUNT, f->duplicated),
		FIGURE(2, LOAD_UNIT_COUNT, f->reordered), FIGURE(3, LOAD_UNIT_COUNT, f->corrupted),
		FIGURE(4, LOAD_UNIT_COUNT, f->foreign));
}

static void faults(FILE *out, const struct load_result *r)
{
	struct texts texts = {0};
	const struct load_faults *f = &r->faults;
	label(out, "faults");
	if (f->lost | f->duplicated | f->reordered | f->corrupted | f->foreign)
		fault_line(out, f);
	else
		fputs("none\n", out);
	uint32_t shown = RC_MIN(r->faulty_channels, 8u);
	for (uint32_t i = 0; i < shown; i++) {
		char name[128];
		load_plan_channel_name(r->plan, r->faulty[i].channel, name);
		fprintf(out, "%*s%.30s: ", LABEL, "", name);
		fault_line(out, &r->faulty[i].faults);
	}
	if (shown < r->faulty_channels)
		fprintf(out, "%*sand %u channels more\n", LABEL, "", r->faulty_channels - shown);
	if (r->told || r->missed_away)
		fprintf(out, "%*s%s told by the server to be left out, %s missed while away\n",
			LABEL, "", FIGURE(0, LOAD_UNIT_COUNT, r->told),
			FIGURE(1, LOAD_UNIT_COUNT, r->missed_away));
}

/* Colour is for a terminal whose owner did not decline it. */
static bool coloured(FILE *out)
{
	const char *declined = getenv("NO_COLOR");
	int fd = fileno(out);
	return fd >= 0 && isatty(fd) && !(declined && *declined);
}

void load_result_table(const struct load_result *r, FILE *out)
{
	static const char *const colour[] = {[LOAD_OK] = "\033[32m",
		[LOAD_FAULTY] = "\033[31m",
		[LOAD_UNUSABLE] = "\033[31m",
		[LOAD_LIMITED] = "\033[33m",
		[LOAD_INTERRUPTED] = "\033[33m"};
	bool known = r->verdict != LOAD_LIMITED;
	head(out, r);
	traffic(out, r, known);
	latencies(out, r, known);
	fputc('\n', out);
	clients(out, r);
	machines(out, r, known);
	faults(out, r);
	label(out, "verdict");
	bool paint = coloured(out);
	fprintf(out, "%s%s%s\n", paint ? colour[r->verdict] : "", load_verdict_name(r->verdict),
		paint ? "\033[0m" : "");
	for (uint32_t i = 0; i < r->notes; i++) {
		label(out, "");
		wrapped(out, r->note[i]);
	}
}
