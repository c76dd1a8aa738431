/* SPDX-License-Identifier: Apache-2.0
 *
 * What is called faulty, what is called limited, and which of the two wins.
 */
#include "../unit.h"

#include <stdio.h>

#include "load/verdict.h"

#define SECOND 1000000000u
#define MILLI  1000000u

static struct load_plan plan;
static struct load_result result;
static struct load_totals from, to;

/* A second in which the generator had little to do and the server answered within 10 ms. */
static void calm_run(void)
{
	memset(&plan, 0, sizeof(plan));
	memset(&result, 0, sizeof(result));
	memset(&from, 0, sizeof(from));
	memset(&to, 0, sizeof(to));
	plan.threads = 2;
	plan.processes = 1;
	plan.groups = 2;
	plan.group[1].may_lose = true;
	result.plan = &plan;
	result.window = 1;
	result.latency = (struct load_quantiles){.count = 1000, .p99 = 10 * MILLI};
	result.generator_busiest = 0.5;
	result.server_known = true;
	result.server_cpu_seconds = 0.5;
}

static void said(enum load_verdict verdict, const char *words)
{
	assert_int_equal(result.verdict, verdict);
	for (uint32_t i = 0; i < result.notes; i++)
		if (strstr(result.note[i], words))
			return;
	fail_msg("no note says '%s'", words);
}

static void a_calm_run_is_good(void **state)
{
	(void)state;
	calm_run();
	load_judge_faults(&result, 0);
	load_judge_limits(&result, &from, &to);
	assert_int_equal(result.verdict, LOAD_OK);
	assert_int_equal(result.notes, 0);
}

static void every_kind_of_fault_is_named(void **state)
{
	(void)state;
	calm_run();
	result.faults = (struct load_faults){1, 2, 3, 4, 5};
	load_add(&result.group[0].sum.closed, 6);
	load_add(&result.group[0].sum.failed, 7);
	load_judge_faults(&result, 8);
	said(LOAD_FAULTY, "1 event was lost.");
	said(LOAD_FAULTY, "2 events came twice.");
	said(LOAD_FAULTY, "3 events came after later ones");
	said(LOAD_FAULTY, "4 events or frames were corrupt.");
	said(LOAD_FAULTY, "5 events came to clients that had not");
	said(LOAD_FAULTY, "6 clients were closed by the server");
	said(LOAD_FAULTY, "7 attempts of clients to connect");
	/* What is missing is in the lost ones. */
	assert_int_equal(result.notes, 7);
}

static void a_full_handshake_that_was_to_resume_is_a_fault(void **state)
{
	(void)state;
	calm_run();
	load_add(&result.group[0].sum.handshakes, 100);
	load_judge_faults(&result, 0);
	assert_int_equal(result.verdict, LOAD_OK);
	plan.group[0].resume = true;
	load_add(&result.group[0].sum.resumed, 97);
	load_judge_faults(&result, 0);
	said(LOAD_FAULTY, "3 handshakes were to resume a session and were full ones.");
}

static void what_is_missing_is_a_fault_by_itself(void **state)
{
	(void)state;
	calm_run();
	load_judge_faults(&result, 1);
	said(LOAD_FAULTY, "1 delivery was still missing");
}

static void a_group_that_may_lose_may_be_closed(void **state)
{
	(void)state;
	calm_run();
	load_add(&result.group[1].sum.closed, 6);
	load_judge_faults(&result, 0);
	assert_int_equal(result.verdict, LOAD_OK);
}

static void a_generator_without_cpu_left_is_the_limit(void **state)
{
	(void)state;
	calm_run();
	result.generator_busiest = 0.96;
	load_judge_limits(&result, &from, &to);
	said(LOAD_LIMITED, "used 96 % of a CPU");
}

static void waits_for_a_cpu_are_named_with_their_worker(void **state)
{
	(void)state;
	calm_run();
	from.worker[1].waited_ns = 5 * (uint64_t)SECOND;
	to.worker[1].waited_ns = from.worker[1].waited_ns + 49 * MILLI;
	load_judge_limits(&result, &from, &to);
	assert_int_equal(result.verdict, LOAD_OK);
	to.worker[1].waited_ns += 21 * MILLI;
	load_judge_limits(&result, &from, &to);
	said(LOAD_LIMITED, "worker 1's CPU for 7 %");
	assert_int_equal(result.notes, 1);
}

static void clients_that_only_wait_are_not_disturbed(void **state)
{
	(void)state;
	calm_run();
	result.latency = (struct load_quantiles){0};
	to.worker[0].waited_ns = SECOND / 2;
	load_judge_limits(&result, &from, &to);
	assert_int_equal(result.verdict, LOAD_OK);
	result.published = 1;
	load_judge_limits(&result, &from, &to);
	said(LOAD_LIMITED, "worker 0's CPU for 50 %");
}

static void long_turns_count_only_when_the_cpu_is_busy(void **state)
{
	(void)state;
	calm_run();
	result.turn = (struct load_quantiles){.count = 100, .p99 = 3 * MILLI};
	load_judge_limits(&result, &from, &to);
	assert_int_equal(result.verdict, LOAD_OK);
	result.generator_busiest = 0.8;
	load_judge_limits(&result, &from, &to);
	said(LOAD_LIMITED, "3.000 ms (p99) of the 10.000 ms");
}

static void late_publishing_is_ours(void **state)
{
	(void)state;
	calm_run();
	result.late = (struct load_quantiles){.count = 100, .p99 = MILLI - 1};
	load_judge_limits(&result, &from, &to);
	assert_int_equal(result.verdict, LOAD_OK);
	result.late.p99 = 2 * MILLI;
	load_judge_limits(&result, &from, &to);
	said(LOAD_LIMITED, "2.000 ms after the intended time");
}

static void a_backlog_is_ours_unless_the_server_is_full(void **state)
{
	(void)state;
	calm_run();
	result.generator_busiest = 0.8;
	to.reads = 100;
	to.full_reads = 51;
	result.server_cpu_seconds = 0.99;
	load_judge_limits(&result, &from, &to);
	assert_int_equal(result.verdict, LOAD_OK);
	result.server_cpu_seconds = 0.6;
	load_judge_limits(&result, &from, &to);
	said(LOAD_LIMITED, "51 % of its reads");
}

static void who_measures_the_generator_is_not_told_that_it_is_the_limit(void **state)
{
	(void)state;
	calm_run();
	plan.own_limit = true;
	result.generator_busiest = 1;
	load_judge_limits(&result, &from, &to);
	assert_int_equal(result.verdict, LOAD_OK);
}

static void the_worst_verdict_wins(void **state)
{
	static const enum load_verdict order[] = {
		LOAD_OK, LOAD_LIMITED, LOAD_INTERRUPTED, LOAD_FAULTY, LOAD_UNUSABLE};

	(void)state;
	for (size_t a = 0; a < RC_ARRAY_LEN(order); a++)
		for (size_t b = 0; b < RC_ARRAY_LEN(order); b++) {
			calm_run();
			load_worsen(&result, order[a]);
			load_worsen(&result, order[b]);
			assert_int_equal(result.verdict, order[RC_MAX(a, b)]);
		}
}

static void notes_beyond_the_last_are_dropped(void **state)
{
	(void)state;
	calm_run();
	for (int i = 0; i < LOAD_NOTES_MAX + 5; i++)
		load_note(&result, "note %d %0500d", i, 7);
	assert_int_equal(result.notes, LOAD_NOTES_MAX);
	assert_int_equal(strlen(result.note[0]), sizeof(result.note[0]) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_calm_run_is_good),
		cmocka_unit_test(every_kind_of_fault_is_named),
		cmocka_unit_test(a_full_handshake_that_was_to_resume_is_a_fault),
		cmocka_unit_test(what_is_missing_is_a_fault_by_itself),
		cmocka_unit_test(a_group_that_may_lose_may_be_closed),
		cmocka_unit_test(a_generator_without_cpu_left_is_the_limit),
		cmocka_unit_test(waits_for_a_cpu_are_named_with_their_worker),
		cmocka_unit_test(clients_that_only_wait_are_not_disturbed),
		cmocka_unit_test(long_turns_count_only_when_the_cpu_is_busy),
		cmocka_unit_test(late_publishing_is_ours),
		cmocka_unit_test(a_backlog_is_ours_unless_the_server_is_full),
		cmocka_unit_test(who_measures_the_generator_is_not_told_that_it_is_the_limit),
		cmocka_unit_test(the_worst_verdict_wins),
		cmocka_unit_test(notes_beyond_the_last_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
