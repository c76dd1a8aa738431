/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration that is set up, finished, and looked at for what that says.
 */
#ifndef TESTS_UNIT_CONFIG_FINISHING_H
#define TESTS_UNIT_CONFIG_FINISHING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "config/apply.h"
#include "config/value.h"

static struct rc_config config;
static struct rc_config_report report;

static int reset(void **state)
{
	(void)state;
	memset(&report, 0, sizeof(report));
	rc_config_init(&config);
	return 0;
}

static void set(const char *name, const char *value)
{
	if (rc_config_set(&config, name, value, RC_CONFIG_FLAG, &report) < 0)
		fail_msg("%s", report.error[0]);
}

static void expect_fine(void)
{
	if (rc_config_finish(&config, &report) < 0)
		fail_msg("%s", report.error[0]);
}

/* Finishes with one error, which contains the words; the next check starts afresh. */
static void expect_error(const char *words)
{
	assert_int_equal(rc_config_finish(&config, &report), -1);
	assert_int_equal(report.errors, 1);
	if (!strstr(report.error[0], words))
		fail_msg("'%s' does not say '%s'", report.error[0], words);
	reset(NULL);
}

static void expect_warning(const char *words)
{
	expect_fine();
	assert_int_equal(report.warnings, 1);
	if (!strstr(report.warning[0], words))
		fail_msg("'%s' does not say '%s'", report.warning[0], words);
	reset(NULL);
}

#endif
