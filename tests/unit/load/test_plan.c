/* SPDX-License-Identifier: Apache-2.0
 *
 * Who has which channel, how many source addresses and processes there are.
 */
#include "../unit.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>

#include "load/options.h"
#include "load/sources.h"

static uint32_t *count_subscribers(const struct load_group *g)
{
	uint32_t *count = calloc(g->channels, sizeof(*count));

	assert_non_null(count);
	for (uint32_t i = 0; i < g->clients; i++)
		for (uint32_t k = 0; k < g->subscriptions; k++) {
			uint32_t c = load_plan_channel(g, i, k);

			assert_in_range(c, g->first_channel, g->first_channel + g->channels - 1);
			count[c - g->first_channel]++;
		}
	return count;
}

static void channels_of_a_client_differ(const struct load_group *g)
{
	for (uint32_t i = 0; i < g->clients; i++)
		for (uint32_t k = 1; k < g->subscriptions; k++)
			for (uint32_t before = 0; before < k; before++)
				assert_int_not_equal(load_plan_channel(g, i, k),
					load_plan_channel(g, i, before));
}

static void an_even_spread_gives_every_channel_as_many(void **state)
{
	const struct load_group g = {.clients = 700,
		.channels = 100,
		.first_channel = 40,
		.subscriptions = 3,
		.spread = LOAD_EVEN};
	uint32_t *count = count_subscribers(&g);

	(void)state;
	for (uint32_t c = 0; c < g.channels; c++)
		assert_int_equal(count[c], 21);
	channels_of_a_client_differ(&g);
	free(count);
}

static void an_own_channel_is_the_clients_number(void **state)
{
	const struct load_group g = {.clients = 50,
		.channels = 50,
		.first_channel = 7,
		.subscriptions = 1,
		.spread = LOAD_OWN};

	(void)state;
	for (uint32_t i = 0; i < g.clients; i++)
		assert_int_equal(load_plan_channel(&g, i, 0), 7 + i);
}

/* How far the counts are from the law, in units of what chance alone would give on average. */
static double chi_square(const struct load_group *g, const uint32_t *count)
{
	double sum = 0, chi = 0;

	for (uint32_t r = 1; r <= g->channels; r++)
		sum += pow(r, -g->zipf);
	for (uint32_t r = 1; r <= g->channels; r++) {
		double expected = g->clients * pow(r, -g->zipf) / sum;

		chi += (count[r - 1] - expected) * (count[r - 1] - expected) / expected;
	}
	return chi / (g->channels - 1);
}

static void a_zipf_spread_follows_zipfs_law(void **state)
{
	static const double exponents[] = {0, 0.5, 1, 1.0000000001, 1.3, 2};

	(void)state;
	for (size_t e = 0; e < RC_ARRAY_LEN(exponents); e++) {
		const struct load_group g = {.clients = 200000,
			.channels = 100,
			.subscriptions = 1,
			.spread = LOAD_ZIPF,
			.zipf = exponents[e]};
		uint32_t *count = count_subscribers(&g);
		double chi = chi_square(&g, count);

		/* 99 degrees of freedom: 1.5 is five standard deviations off, and the draws are always the same. */
		if (chi > 1.5)
			fail_msg("exponent %g: %g times what chance would give", exponents[e], chi);
		free(count);
	}
}

static void a_steep_zipf_spread_still_gives_each_client_different_channels(void **state)
{
	const struct load_group steep = {.clients = 20,
		.channels = 256,
		.first_channel = 1000,
		.subscriptions = 256,
		.spread = LOAD_ZIPF,
		.zipf = 10};
	const struct load_group usual = {.clients = 200,
		.channels = 50,
		.subscriptions = 10,
		.spread = LOAD_ZIPF,
		.zipf = 1};

	(void)state;
	for (uint32_t i = 0; i < steep.clients; i++) {
		bool taken[256] = {false};

		/* From the last on: the order of asking does not matter. */
		for (uint32_t k = steep.subscriptions; k-- > 0;) {
			uint32_t c = load_plan_channel(&steep, i, k) - steep.first_channel;

			assert_true(c < 256);
			assert_false(taken[c]);
			taken[c] = true;
		}
	}
	channels_of_a_client_differ(&usual);
}

static void a_million_channels_are_drawn_from_at_once(void **state)
{
	const struct load_group g = {.clients = 100000,
		.channels = 4000000,
		.subscriptions = 1,
		.spread = LOAD_ZIPF,
		.zipf = 1};
	uint32_t *count = count_subscribers(&g);

	(void)state;
	/* The harmonic number of 4 million is 15.78. */
	assert_in_range(count[0], 6000, 6700);
	free(count);
}

static struct load_plan plan;
static struct load_target target;

static void plan_for(const char *address, uint32_t clients)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&target.subscriber.url.address;

	memset(&plan, 0, sizeof(plan));
	memset(&target, 0, sizeof(target));
	in->sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, address, &in->sin_addr), 1);
	plan.target = &target;
	plan.groups = 1;
	plan.group[0].clients = clients;
	plan.clients = clients;
	plan.seconds = 5;
}

static void loopback_gets_as_many_sources_as_the_ports_need(void **state)
{
	struct rc_error err;

	(void)state;
	plan_for("127.0.0.1", 900);
	assert_int_equal(load_sources_fit(&plan, 1000, &err), 0);
	assert_int_equal(plan.sources, 0);
	plan_for("127.0.0.1", 9001);
	assert_int_equal(load_sources_fit(&plan, 1000, &err), 0);
	assert_int_equal(plan.sources, 11);
	assert_int_equal(plan.source[10].s_addr, htonl(0x7f00000b));
	/* Ports of clients that left rest for a minute. */
	plan_for("127.0.0.1", 800);
	plan.group[0].churn_per_second = 100;
	assert_int_equal(load_sources_fit(&plan, 1000, &err), 0);
	assert_int_equal(plan.sources, 2);
}

static void too_few_ports_elsewhere_are_a_sentence(void **state)
{
	struct rc_error err;

	(void)state;
	plan_for("192.0.2.1", 2000);
	assert_true(load_sources_fit(&plan, 1000, &err) < 0);
	assert_non_null(strstr(err.text, "--sources"));
	assert_int_equal(load_sources_parse(&plan, "10.0.0.1,10.0.0.5-10.0.0.6", &err), 0);
	assert_int_equal(plan.sources, 3);
	assert_int_equal(plan.source[2].s_addr, htonl(0x0a000006));
	assert_int_equal(load_sources_fit(&plan, 1000, &err), 0);
	/* Those that the user named are not added to. */
	plan_for("127.0.0.1", 2000);
	assert_int_equal(load_sources_parse(&plan, "127.0.0.9", &err), 0);
	assert_true(load_sources_fit(&plan, 1000, &err) < 0);
}

static void wrong_lists_of_sources_are_refused(void **state)
{
	static const char *const wrong[] = {
		"", ",", "127.0.0.1,", "a", "127.0.0.1-", "127.0.0.1-2", "1.2.3.4-1.2.3.3", "::1"};
	struct rc_error err;

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(wrong); i++)
		assert_true(load_sources_parse(&plan, wrong[i], &err) < 0);
}

/* In a child of its own: the limit can't be raised again. */
static void finish_with_few_descriptors(void *processes)
{
	const struct rlimit limit = {300, 300};
	static struct load_settings s;
	char word[4][16] = {"ringcast-load", "fanout", "--threads", "2"};
	char *argv[] = {word[0], word[1], word[2], word[3]};
	struct rc_error err;

	RC_ASSERT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	RC_ASSERT(load_settings_read(&s, 4, argv, &err) == 0);
	s.plan.processes = *(uint32_t *)processes;
	RC_ASSERT(load_settings_build(&s, &err) == 0);
	if (*(uint32_t *)processes == 0) {
		RC_ASSERT(load_plan_finish(&s.plan, &err) == 0);
		RC_ASSERT(s.plan.processes == 5);
	} else {
		RC_ASSERT(load_plan_finish(&s.plan, &err) < 0);
		RC_ASSERT(strstr(err.text, "too few") && strstr(err.text, "ulimit"));
	}
	load_target_close(s.plan.target);
}

static void clients_beyond_the_descriptors_of_a_process_get_more_processes(void **state)
{
	uint32_t any = 0, two = 2;

	(void)state;
	assert_false(unit_aborts(finish_with_few_descriptors, &any));
	assert_false(unit_aborts(finish_with_few_descriptors, &two));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_even_spread_gives_every_channel_as_many),
		cmocka_unit_test(an_own_channel_is_the_clients_number),
		cmocka_unit_test(a_zipf_spread_follows_zipfs_law),
		cmocka_unit_test(a_steep_zipf_spread_still_gives_each_client_different_channels),
		cmocka_unit_test(a_million_channels_are_drawn_from_at_once),
		cmocka_unit_test(loopback_gets_as_many_sources_as_the_ports_need),
		cmocka_unit_test(too_few_ports_elsewhere_are_a_sentence),
		cmocka_unit_test(wrong_lists_of_sources_are_refused),
		cmocka_unit_test(clients_beyond_the_descriptors_of_a_process_get_more_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
