/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
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

/* What is still to be read; ok turns false with the first thing that is not as it should be, and stays so. */
struct reader {
	struct rc_str rest;
	bool ok;
};

static char take_char(struct reader *r)
{
	if (r->rest.len == 0) {
		r->ok = false;
		return 0;
	}
	r->rest.len--;
	return *r->rest.ptr++;
}

static void expect(struct reader *r, char c)
{
	if (take_char(r) != c)
		r->ok = false;
}

static uint32_t take_number(struct reader *r, uint32_t digits, uint32_t lowest, uint32_t highest)
{
	uint32_t value = 0;

	for (uint32_t i = 0; i < digits; i++) {
		uint32_t digit = (uint32_t)(unsigned char)take_char(r) - '0';

		if (digit > 9) {
			r->ok = false;
			return lowest;
		}
		value = value * 10 + digit;
	}
	if (value < lowest || value > highest)
		r->ok = false;
	return value;
}

/* Days since 0000-03-01, of a date that exists. */
static uint32_t take_day(struct reader *r)
{
	static const uint8_t days_in[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	uint32_t year, month, day, month_from_march;

	year = take_number(r, 4, 0, 9999);
	expect(r, '-');
	month = take_number(r, 2, 1, 12);
	expect(r, '-');
	if (!r->ok)
		return 0;
	day = take_number(r, 2, 1, days_in[month - 1]);
	if (month == 2 && day == 29 && (year % 4 != 0 || (year % 100 == 0 && year % 400 != 0)))
		r->ok = false;
	/* Before March it is the year before; 400 years more keep the first of them above zero. */
	year += month <= 2 ? 399 : 400;
	month_from_march = (month + 9) % 12;
	return year * 365 + year / 4 - year / 100 + year / 400 + (153 * month_from_march + 2) / 5 +
	       day - 1;
}

static uint32_t take_fraction_ms(struct reader *r)
{
	uint32_t ms = 0, unit = 100, digits = 0;

	if (r->rest.len == 0 || *r->rest.ptr != '.')
		return 0;
	take_char(r);
	for (; r->rest.len > 0 && *r->rest.ptr >= '0' && *r->rest.ptr <= '9'; unit /= 10, digits++)
		ms += unit * (uint32_t)(take_char(r) - '0');
	if (digits < 1 || digits > 9)
		r->ok = false;
	return ms;
}

static int32_t take_zone_minutes(struct reader *r)
{
	char sign = take_char(r);
	uint32_t hours, minutes;

	if (sign == 'Z')
		return 0;
	if (sign != '+' && sign != '-')
		r->ok = false;
	hours = take_number(r, 2, 0, 23);
	expect(r, ':');
	minutes = hours * 60 + take_number(r, 2, 0, 59);
	return sign == '-' ? -(int32_t)minutes : (int32_t)minutes;
}

int rc_clock_iso8601_parse(struct rc_str text, uint64_t *wall_ms)
{
	struct reader r = {text, true};
	int64_t day, seconds, ms;

	day = (int64_t)take_day(&r) - DAYS_TO_1970 - DAYS_PER_ERA;
	expect(&r, 'T');
	seconds = take_number(&r, 2, 0, 23) * 3600;
	expect(&r, ':');
	seconds += take_number(&r, 2, 0, 59) * 60;
	expect(&r, ':');
	seconds += take_number(&r, 2, 0, 59);
	ms = take_fraction_ms(&r);
	seconds -= take_zone_minutes(&r) * 60;
	if (!r.ok || r.rest.len > 0)
		return -EINVAL;
	ms += day * (int64_t)MS_PER_DAY + seconds * 1000;
	*wall_ms = ms > 0 ? (uint64_t)ms : 0;
	return 0;
}
