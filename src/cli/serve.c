/* SPDX-License-Identifier: Apache-2.0
 *
 * `ringcast serve`: reads the configuration, checks the host, opens the gateway, and waits for the signal to end it. Nothing is
 * listened on before everything else is known to work.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/logrow.h"
#include "cli/cli.h"
#include "shard/tlspath.h"
#include "io/socket.h"
#include "ops/hostcheck.h"
#include "shard/shard.h"

#define POLL_NS 50000000

static void print_budget(void *ctx, const char *text)
{
	(void)ctx;
	rc_info_line("%s", text);
}

/* The soft limit goes up to the hard one; the clients that were asked for must fit. */
static int raise_descriptors(
	const struct rc_gateway *g, const struct rc_config *config, struct rc_error *err)
{
	struct rlimit limit;
	uint64_t need = rc_host_descriptors(config, config->max_clients, g->count);

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return rc_error_set(err, "RLIMIT_NOFILE can't be read: %s", strerror(errno));
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max >= need)
		return 0;
	uint64_t others = need - config->max_clients;
	return rc_error_set(err,
		"%u clients and %u publishers need %llu descriptors, but the hard limit of this process is %llu; raise "
		"it (LimitNOFILE in a systemd unit, 'ulimit -Hn'), or set max_clients to at most %llu",
		config->max_clients, config->max_publishers, (unsigned long long)need,
		(unsigned long long)limit.rlim_max,
		(unsigned long long)(limit.rlim_max > others ? limit.rlim_max - others : 0));
}

static int prepare(struct rc_gateway *g, const struct rc_config *config, struct rc_error *err)
{
	static struct rc_budget budget;
	static struct rc_config_report report;
	uint16_t ports[RC_PORTS];
	static const char *names[RC_PORTS] = {
		"http", "ingest", "https", "ingest over TLS", "admin"};

	if (rc_gateway_plan(g, config, &budget, err) < 0)
		return -1;
	if (rc_config_check_memory(config, g->count, &report) < 0)
		return rc_error_set(err, "%s", report.error[0]);
	rc_info_line("ringcast " RC_VERSION ", %u shard%s%s", g->count, g->count == 1 ? "" : "s",
		config->cpus.count ? ", pinned" : "");
	rc_budget_print(&budget, print_budget, NULL);
	if (rc_budget_check(&budget, rc_budget_host_bytes(), err) < 0)
		return -1;
	if (raise_descriptors(g, config, err) < 0)
		return -1;
	if (rc_gateway_open(g, err) < 0)
		return -1;
	rc_info_line("io_uring: all that is needed is there%s%s",
		*rc_io_features(g->shards[0].io) ? "; also " : "", rc_io_features(g->shards[0].io));
	if (g->counters.path[0])
		rc_info_line("counters %s", g->counters.path);
	if (rc_logs_open(&g->logs, config, g->count, err) < 0)
		return -1;
	if (rc_gateway_listen(g, ports, err) < 0)
		return -1;
	for (int i = 0; i < RC_PORTS; i++) {
		struct rc_address address = rc_gateway_address(config, (enum rc_port)i);
		char text[RC_ADDRESS_TEXT_SIZE];
		if (!address.family)
			continue;
		address.port = ports[i];
		rc_address_format(&address, text);
		rc_info_line("listening %s %s", names[i], text);
	}
	return rc_gateway_start(g, err);
}

static void announce(const struct rc_config *config, const struct rc_gateway *g)
{
	char text[RC_ADDRESS_TEXT_SIZE];
	bool plain = config->listen.family != 0;
	enum rc_port port = plain ? RC_PORT_HTTP : RC_PORT_HTTPS;
	struct rc_address address = rc_gateway_address(config, port);

	if (!address.family)
		return;
	if (!rc_config_has_keys(config))
		rc_warn_line(
			"there are no keys in [auth]: everybody who reaches the gateway may read "
			"every channel, and nobody can say who he is");
	address.port = rc_socket_port(g->shards[0].listener[port]);
	rc_address_format(&address, text);
	rc_info_line(
		"open %s://%s/ws?channel=news, and publish with: ringcast publish news hello '{\"n\":1}'",
		plain ? "ws" : "wss", text);
}

static void reload(struct rc_gateway *g)
{
	struct rc_logrow row;

	rc_logs_reopen(&g->logs);
	rc_logrow_begin(&row, RC_LEVEL_INFO, RC_STR("reload asked for"));
	rc_logrow_true(&row, "audit");
	rc_logrow_end(&row, RC_LOG_MAIN);

	struct rc_error err;
	bool keys = rc_config_has_keys(g->config) || g->config->auth_services[0];

	if (keys && rc_gateway_auth_reload(g, &err) < 0)
		rc_error_line("keys of tokens and services are not reloaded, the old ones stay: %s",
			err.text);
	else if (keys)
		rc_info_line("keys of tokens and services reloaded");
	rc_gateway_rules_reload(g);
	/* Who has no certificate asked for the keys, or for the access log. */
	if (!g->config->tls_certificate[0] &&
		(keys || g->rules.shared || rc_logs_has_file(g->config)))
		return;
	if (rc_gateway_tls_reload(g, &err) < 0)
		rc_error_line(
			"certificates are not reloaded, the old ones go on serving: %s", err.text);
	else
		rc_info_line("certificates reloaded");
}

static int wait_for_end(struct rc_gateway *g, const sigset_t *signals)
{
	struct timespec tick = {.tv_nsec = POLL_NS};
	uint32_t asked = 0;

	while (!rc_gateway_ended(g)) {
		int sig = sigtimedwait(
			signals, NULL, asked ? &tick : &(struct timespec){.tv_sec = 1});
		rc_gateway_tls_tick(g);
		rc_gateway_auth_tick(g);
		rc_gateway_rules_tick(g);
		if (sig == SIGHUP)
			reload(g);
		if (sig != SIGTERM && sig != SIGINT)
			continue;
		asked++;
		rc_info_line(
			asked == 1
				? "stopping: publishers and clients are told, what is pending is sent"
				: "stopping at once");
		rc_gateway_stop(g, RC_MIN(asked, 2u));
	}
	return 0;
}

static int run(const struct rc_config *config)
{
	static struct rc_gateway gateway;
	struct rc_error err;
	sigset_t signals;

	rc_logline_level((enum rc_level)config->log_level);
	rc_logline_json(config->log_format == RC_CONFIG_LOG_JSON);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGHUP);
	/* Before the threads, which inherit it: only this one hears. */
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (prepare(&gateway, config, &err) < 0) {
		rc_error_line("%s", err.text);
		rc_gateway_stop(&gateway, 2);
		rc_gateway_join(&gateway);
		rc_gateway_close(&gateway);
		return 1;
	}
	announce(config, &gateway);
	rc_info_line("ready");
	int status = wait_for_end(&gateway, &signals);
	rc_gateway_join(&gateway);
	rc_gateway_close(&gateway);
	rc_info_line("stopped");
	return status;
}

int rc_cli_serve(int argc, char **argv)
{
	static struct rc_config config;
	static struct rc_config_report report;
	struct rc_config_args args = {0};
	extern char **environ;
	int rc = rc_config_load(&config, argc - 1, argv + 1, environ, &args, &report);

	if (args.help) {
		(void)printf(
			"ringcast serve: runs the gateway\n\nusage: ringcast serve [flags]\n\n");
		rc_config_help(stdout);
		return 0;
	}
	if (args.example_config) {
		rc_config_example(stdout);
		return 0;
	}
	rc_config_report_print(&report, stderr);
	if (rc < 0)
		return 1;
	if (args.print_config) {
		rc_config_print(&config, stdout);
		return 0;
	}
	if (args.check_config) {
		static struct rc_gateway plan;
		static struct rc_budget budget;
		struct rc_error err;
		if (rc_gateway_plan(&plan, &config, &budget, &err) < 0 ||
			rc_budget_check(&budget, rc_budget_host_bytes(), &err) < 0 ||
			rc_tls_options_try(&config, &err) < 0 || rc_auth_try(&config, &err) < 0 ||
			rc_gateway_rules_try(&config, &err) < 0 || rc_logs_try(&config, &err) < 0) {
			(void)fprintf(stderr, "error: %s\n", err.text);
			return 1;
		}
		(void)printf("the configuration is fine\n");
		return 0;
	}
	return run(&config);
}
