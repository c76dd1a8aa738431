/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

/* 9999-12-31T23:59:59.999Z */
#define WALL_MS_MAX 253402300799999u
#define MS_PER_DAY  86400000u
/* The calendar repeats every 400 years. An era starts on 1 March, so that the leap day is a year's last. */
#define DAYS_PER_ERA 146097u
/* Days from 0000-03-01 to 1970-01-01. */
#define DAYS_TO_1970 719468u

uint64_t rc_clock_mono_ns(void)
{
	struct timespec ts;
	RC_ASSERT(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t rc_clock_wall_ms(void)
{
	struct timespec ts;
	RC_ASSERT(clock_gettime(CLOCK_REALTIME, &ts) == 0);
	/* A host whose clock was never set may say a time before 1970. */
	if (ts.tv_sec < 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

static char *put2(char *out, uint32_t value)
{
	out[0] = (char)('0' + value / 10);
	out[1] = (char)('0' + value % 10);
	return out + 2;
}

void rc_clock_iso8601(uint64_t wall_ms, char out[RC_ISO8601_LEN])
{
	if (wall_ms > WALL_MS_MAX)
		wall_ms = WALL_MS_MAX;
	uint32_t ms = (uint32_t)(wall_ms % MS_PER_DAY);
	uint32_t days = (uint32_t)(wall_ms / MS_PER_DAY) + DAYS_TO_1970;

	uint32_t era = days / DAYS_PER_ERA;
	uint32_t day_of_era = days % DAYS_PER_ERA;
	/* The leap days before this day are taken out, then every year has 365. */
	uint32_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	uint32_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	/* From March on, the months' lengths follow a straight line of slope 153 / 5. */
	uint32_t month_from_march = (5 * day_of_year + 2) / 153;
	uint32_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
	uint32_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
	uint32_t year = era * 400 + year_of_era + (month <= 2 ? 1 : 0);

	uint32_t s = ms / 1000;
	char *p = put2(out, year / 100);
	p = put2(p, year % 100);
	*p++ = '-';
	p = put2(p, month);
	*p++ = '-';
	p = put2(p, day);
	*p++ = 'T';
	p = put2(p, s / 3600);
	*p++ = ':';
	p = put2(p, s / 60 % 60);
	*p++ = ':';
	p = put2(p, s % 60);
	*p++ = '.';
	ms %= 1000;
	*p++ = (char)('0' + ms / 100);
	p = put2(p, ms % 100);
	*p = 'Z';
}
