/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan is looked through once, before anything is opened: what contradicts itself or does not fit is one sentence. And
 * who has which channel.
 */
#include "plan.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/resource.h>

#include "event.h"
#include "sources.h"

/* Descriptors of a process besides its clients and publishers: files, ring and timer of each worker, the library's. */
#define DESCRIPTORS_OF_PROCESS 48
#define DESCRIPTORS_OF_WORKER  16
/* Drawing without repetition looks through what it has drawn. */
#define ZIPF_SUBSCRIPTIONS_MAX 256
#define COMMANDS_MAX           65536u

static int refuse(struct rc_error *err, const char *format, ...) RC_PRINTF(2, 3);
static int refuse(struct rc_error *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return -EINVAL;
}

static int check_channels(const struct load_group *g, struct rc_error *err)
{
	if (g->subscriptions > g->channels)
		return refuse(err,
			"%s: %u subscriptions a client and %u channels: say at most %u "
			"--subscriptions, or more --channels",
			g->name, g->subscriptions, g->channels, g->channels);
	if (g->spread == LOAD_OWN && g->subscriptions != 1)
		return refuse(err,
			"%s: with --spread own a client has one channel; leave out "
			"--subscriptions, or take --spread even",
			g->name);
	if (g->spread == LOAD_ZIPF && g->subscriptions > ZIPF_SUBSCRIPTIONS_MAX)
		return refuse(err,
			"%s: with --spread zipf a client has at most %d subscriptions; say "
			"fewer, or take --spread even",
			g->name, ZIPF_SUBSCRIPTIONS_MAX);
	if (g->publishers > g->channels)
		return refuse(err,
			"%s: %u publishers and %u channels, and each needs one of its own: "
			"say at most %u --publishers, or more --channels",
			g->name, g->publishers, g->channels, g->channels);
	return 0;
}

static int check_loop(const struct load_group *g, struct rc_error *err)
{
	bool sends = g->publishers > 0 || (load_group_asks(g) && g->clients > 0);

	if (g->echo && g->publishers)
		return refuse(err,
			"%s: with echo the clients themselves send; leave out publishers", g->name);
	if (g->echo && g->acks_only)
		return refuse(err,
			"%s: echo and acks-only exclude each other; leave out one of them",
			g->name);
	if (g->command && (g->publishers || g->echo || g->acks_only || g->recover))
		return refuse(err,
			"%s: clients that send commands do nothing else; leave out publishers, echo, "
			"acks-only and recover",
			g->name);
	if (g->command && g->clients == 0)
		return refuse(err, "%s: nobody sends commands; say --clients N", g->name);
	if (g->command && g->in_flight > COMMANDS_MAX)
		return refuse(err, "%s: a client can have %u commands in flight; say fewer",
			g->name, COMMANDS_MAX);
	if (g->acks_only && g->clients)
		return refuse(err, "%s: acks-only has no subscribers; leave out clients", g->name);
	if (!sends)
		return 0;
	if (g->rate > 0 && g->in_flight > 0)
		return refuse(err,
			"%s: --rate is an open loop and --in-flight a closed one; leave out one "
			"of them",
			g->name);
	if (g->rate <= 0 && g->in_flight == 0)
		return refuse(err,
			"%s: how fast is published? Say --rate EVENTS a second or --in-flight N",
			g->name);
	if (g->in_flight && !load_group_asks(g) && g->in_flight < g->publishers)
		return refuse(err,
			"%s: %u events in flight are fewer than the %u publishers: say at "
			"least %u --in-flight, or fewer --publishers",
			g->name, g->in_flight, g->publishers, g->publishers);
	if (g->payload < LOAD_EVENT_MIN || g->payload > LOAD_EVENT_MAX)
		return refuse(err, "%s: an event has %u to %u bytes; say another --payload",
			g->name, LOAD_EVENT_MIN, LOAD_EVENT_MAX);
	return 0;
}

static int check_group(
	const struct load_plan *plan, const struct load_group *g, struct rc_error *err)
{
	int rc = check_channels(g, err);

	if (rc == 0)
		rc = check_loop(g, err);
	if (rc < 0)
		return rc;
	if (g->clients == 0 && g->publishers == 0)
		return refuse(err,
			"%s: no clients and no publishers, so nothing happens; say --clients N",
			g->name);
	if (g->handshakes && (g->publishers || load_group_asks(g) || g->churn_per_second > 0 ||
				     g->storm_after_seconds > 0 || g->reading != LOAD_READS))
		return refuse(err,
			"%s: clients that make handshakes do nothing else; leave out publishers, echo, "
			"command, churn, storm-after and read-rate",
			g->name);
	if (g->storm_after_seconds >= plan->seconds)
		return refuse(err,
			"%s: the storm begins after %g s and the window ends after %g s; say "
			"more --seconds, or an earlier --storm-after",
			g->name, g->storm_after_seconds, plan->seconds);
	if (g->storm_away_seconds > 0 && g->storm_after_seconds <= 0)
		return refuse(err, "%s: storm-away is for a group with storm-after", g->name);
	if (load_group_asks(g) && (g->churn_per_second > 0 || g->storm_after_seconds > 0))
		return refuse(err, "%s: %s clients stay; leave out churn and storm-after", g->name,
			g->echo ? "echo" : "command");
	if (g->churn_per_second > 0 && g->storm_after_seconds > 0)
		return refuse(err, "%s: churn and storm-after exclude each other; take two groups",
			g->name);
	if (g->reading != LOAD_READS && (g->churn_per_second > 0 || load_group_asks(g)))
		return refuse(err,
			"%s: read-rate is for clients that stay and only read; take two groups",
			g->name);
	return 0;
}

static int check_prefix(const struct load_plan *plan, struct rc_error *err)
{
	for (const char *at = plan->channel_prefix; *at; at++)
		if (*at <= ' ' || *at > '~' || strchr("\"\\{}*#+>?&%", *at))
			return refuse(err,
				"--prefix: '%c' can't stand in a channel's name everywhere; use "
				"letters, digits and : . _ / -",
				*at > ' ' && *at <= '~' ? *at : '?');
	return 0;
}

static bool empty(const struct load_url *url)
{
	return url->host[0] == 0;
}

/* Clients need to know what a command is, backends what they are to say. */
static int check_commands(const struct load_target *t, struct rc_error *err)
{
	enum load_scheme clients = t->subscriber.url.scheme, backends = t->publisher.url.scheme;

	if (load_template_empty(t->subscriber.command) || load_template_empty(t->subscriber.answer))
		return refuse(err,
			"the target %s knows no commands; take another one, or give its profile "
			"'command' and 'answer'",
			t->name);
	if (clients != LOAD_WS && clients != LOAD_WSS)
		return refuse(err, "commands go over WebSocket; say a --url with ws or wss");
	if (empty(&t->publisher.url))
		return refuse(err,
			"the target %s has no address for backends; say --publish-url URL",
			t->name);
	if (backends != LOAD_INGEST && backends != LOAD_TCP && backends != LOAD_TLS)
		return refuse(err, "backends come by ingest, tcp or tls; say such a --publish-url");
	if (backends != LOAD_INGEST && load_template_empty(t->publisher.reply))
		return refuse(err,
			"the target %s does not say how a command is answered; give its profile "
			"'serve' and 'reply'",
			t->name);
	return 0;
}

static int check_target(struct load_plan *plan, struct rc_error *err)
{
	const struct load_target *t = plan->target;
	bool by_path = strstr(t->subscriber.url.path, "{channel}") != NULL;

	for (uint32_t i = 0; i < plan->groups; i++) {
		const struct load_group *g = &plan->group[i];

		if (g->command && check_commands(t, err) < 0)
			return -EINVAL;
		if (g->publishers && empty(&t->publisher.url))
			return refuse(err,
				"the target %s has no address to publish to; say --publish-url URL",
				t->name);
		if (g->clients && g->echo && empty(&t->subscriber.echo_url))
			return refuse(err,
				"the target %s has no address that echoes; say --echo-url URL",
				t->name);
		if (g->clients && !g->echo && empty(&t->subscriber.url))
			return refuse(err,
				"the target %s has no address for clients; say --url URL", t->name);
		if (g->handshakes && t->subscriber.url.scheme != LOAD_WSS &&
			t->subscriber.url.scheme != LOAD_SSES)
			return refuse(err,
				"%s: handshakes are those of TLS, and the clients' address has none; "
				"say one with wss or https (--url)",
				g->name);
		if (g->clients && by_path && g->subscriptions > 1)
			return refuse(err,
				"the target %s has the channel in its address, so a client has one; "
				"leave out --subscriptions",
				t->name);
		if (g->recover && !t->subscriber.recover)
			return refuse(err,
				"the target %s can't recover; say --recover=no, or give its profile "
				"'recover' and 'since'",
				t->name);
		if (g->recover && (t->subscriber.url.scheme == LOAD_SSE ||
					  t->subscriber.url.scheme == LOAD_SSES))
			return refuse(err,
				"%s: positions are read from acknowledgements, which a stream of server-sent events "
				"has not; say --recover=no, or a --url with ws or wss",
				g->name);
	}
	return load_target_resolve(plan->target, err);
}

/* Descriptors that the busiest of so many processes needs. */
static uint64_t descriptors(const struct load_plan *plan, uint32_t processes)
{
	uint64_t workers = (uint64_t)plan->threads * processes;
	uint64_t sum = DESCRIPTORS_OF_PROCESS + (uint64_t)plan->threads * DESCRIPTORS_OF_WORKER;

	/* Item i is worker (i modulo workers)'s, and workers 0 to threads - 1 are the first process. */
	for (uint32_t i = 0; i < plan->groups; i++) {
		const struct load_group *g = &plan->group[i];

		for (uint32_t w = 0; w < plan->threads; w++) {
			sum += w < g->clients ? (g->clients - w + workers - 1) / workers : 0;
			sum += w < load_group_links(g)
				       ? (load_group_links(g) - w + workers - 1) / workers
				       : 0;
		}
	}
	return sum;
}

static int choose_processes(struct load_plan *plan, struct rc_error *err)
{
	uint32_t most = LOAD_WORKERS_MAX / plan->threads;
	uint32_t fit = 1;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return refuse(err, "getrlimit: %s", strerror(errno));
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return refuse(err, "the limit on descriptors can't be raised: %s", strerror(errno));
	while (fit <= most && descriptors(plan, fit) > limit.rlim_cur)
		fit++;
	if (fit > most)
		return refuse(err,
			"%u clients do not fit into %u processes of %llu descriptors: ask for "
			"fewer, or raise the hard limit (ulimit -Hn)",
			plan->clients, most, (unsigned long long)limit.rlim_max);
	if (plan->processes == 0)
		plan->processes = fit;
	if (plan->processes < fit)
		return refuse(err,
			"%u processes of %llu descriptors are too few for %u clients: leave out "
			"--processes, or raise the hard limit (ulimit -Hn)",
			plan->processes, (unsigned long long)limit.rlim_max, plan->clients);
	if ((uint64_t)plan->processes * plan->threads > LOAD_WORKERS_MAX)
		return refuse(err, "%u processes of %u threads are more than %d workers; say fewer",
			plan->processes, plan->threads, LOAD_WORKERS_MAX);
	return 0;
}

int load_plan_finish(struct load_plan *plan, struct rc_error *err)
{
	uint64_t clients = 0;
	int rc = check_prefix(plan, err);

	for (uint32_t i = 0; rc == 0 && i < plan->groups; i++) {
		rc = check_group(plan, &plan->group[i], err);
		clients += plan->group[i].clients;
	}
	if (rc == 0 && clients > UINT32_MAX / 2)
		rc = refuse(
			err, "%llu clients are too many; say fewer", (unsigned long long)clients);
	plan->clients = (uint32_t)clients;
	if (rc == 0)
		rc = check_target(plan, err);
	if (rc == 0)
		rc = load_sources_fit(plan, load_local_ports(), err);
	if (rc == 0)
		rc = choose_processes(plan, err);
	return rc;
}

size_t load_plan_channel_name(const struct load_plan *plan, uint32_t channel, char out[128])
{
	return (size_t)snprintf(out, 128, "%s%u", plan->channel_prefix, channel);
}
