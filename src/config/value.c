/* SPDX-License-Identifier: Apache-2.0
 *
 * Values from text. Numbers are whole and have their unit said; every refusal shows how it should look.
 */
#include <ctype.h>
#include <stdio.h>

#include "config/cpus.h"
#include "config/value.h"

struct unit {
	const char *name;
	uint64_t scale;
};

static const struct unit byte_units[] = {
	{"TiB", UINT64_C(1) << 40},
	{"GiB", UINT64_C(1) << 30},
	{"MiB", UINT64_C(1) << 20},
	{"KiB", UINT64_C(1) << 10},
	{"B", 1},
	{"T", UINT64_C(1) << 40},
	{"G", UINT64_C(1) << 30},
	{"M", UINT64_C(1) << 20},
	{"K", UINT64_C(1) << 10},
	{"", 1},
};

/* In nanoseconds. */
static const struct unit time_units[] = {
	{"h", UINT64_C(3600000000000)},
	{"m", UINT64_C(60000000000)},
	{"s", 1000000000},
	{"ms", 1000000},
	{"us", 1000},
};

static int refuse(char why[RC_VALUE_WHY_SIZE], const char *reason)
{
	snprintf(why, RC_VALUE_WHY_SIZE, "%s", reason);
	return -1;
}

/* Digits at the front; *rest is what follows them. Saturates, since every bound is far below 2^64 - 1. */
static bool parse_digits(const char *text, uint64_t *number, const char **rest)
{
	const char *at = text;
	uint64_t value = 0;

	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			value = UINT64_MAX;
	*number = value;
	*rest = at;
	return at != text;
}

static uint64_t scaled(uint64_t number, uint64_t scale)
{
	uint64_t product;

	return __builtin_mul_overflow(number, scale, &product) ? UINT64_MAX : product;
}

static int parse_count(const char *text, uint64_t *number, char why[RC_VALUE_WHY_SIZE])
{
	const char *rest;

	if (!parse_digits(text, number, &rest))
		return refuse(why, "must be a whole number, for example 1000");
	if (*rest)
		return refuse(why, "must be a whole number without a unit, for example 1000");
	return 0;
}

static int parse_bytes(const char *text, uint64_t *number, char why[RC_VALUE_WHY_SIZE])
{
	const char *rest;

	if (!parse_digits(text, number, &rest))
		return refuse(
			why, "must be a whole number of bytes, for example 65536, 64KiB or 1MiB");
	while (*rest == ' ' || *rest == '\t')
		rest++;
	for (size_t i = 0; i < RC_ARRAY_LEN(byte_units); i++)
		if (strcasecmp(rest, byte_units[i].name) == 0) {
			*number = scaled(*number, byte_units[i].scale);
			return 0;
		}
	return refuse(why, "its unit must be B, KiB, MiB, GiB or TiB, or short K, M, G, T "
			   "(powers of 1024), for example 64KiB");
}

static int parse_duration(
	const struct rc_option *o, const char *text, uint64_t *number, char why[RC_VALUE_WHY_SIZE])
{
	const char *rest;
	uint64_t ns;

	if (!parse_digits(text, number, &rest))
		return refuse(why,
			"must be a whole number with a unit, for example 500us, 20ms, 30s, "
			"5m or 1h");
	while (*rest == ' ' || *rest == '\t')
		rest++;
	if (*rest == 0 && *number == 0)
		return 0;
	for (size_t i = 0; i < RC_ARRAY_LEN(time_units); i++) {
		if (strcmp(rest, time_units[i].name) != 0)
			continue;
		ns = scaled(*number, time_units[i].scale);
		if (ns % o->unit_ns && ns != UINT64_MAX)
			return refuse(why, "must be whole milliseconds, for example 20ms");
		*number = ns / o->unit_ns;
		return 0;
	}
	return refuse(why, *rest ? "its unit must be us, ms, s, m or h, for example 20ms or 30s"
				 : "needs a unit, us, ms, s, m or h, for example 20ms or 30s");
}

static int check_bounds(const struct rc_option *o, uint64_t number, char why[RC_VALUE_WHY_SIZE])
{
	char allowed[RC_VALUE_WHY_SIZE - 16];
	bool fits = number >= o->min && number <= o->max && (!o->pow2 || rc_is_pow2(number));

	if (fits || (o->zero && number == 0))
		return 0;
	rc_value_describe(o, why);
	memcpy(allowed, why, sizeof(allowed));
	allowed[sizeof(allowed) - 1] = 0;
	snprintf(why, RC_VALUE_WHY_SIZE, "must be %s", allowed);
	return -1;
}

static int parse_number(
	const struct rc_option *o, void *field, const char *text, char why[RC_VALUE_WHY_SIZE])
{
	uint64_t number = 0;
	uint32_t narrow;
	int rc;

	if (o->type == RC_OPTION_COUNT)
		rc = parse_count(text, &number, why);
	else if (o->type == RC_OPTION_BYTES)
		rc = parse_bytes(text, &number, why);
	else
		rc = parse_duration(o, text, &number, why);
	if (rc < 0 || check_bounds(o, number, why) < 0)
		return -1;

	if (o->size == sizeof(uint64_t)) {
		memcpy(field, &number, sizeof(number));
		return 0;
	}
	RC_ASSERT(o->size == sizeof(narrow) && number <= UINT32_MAX);
	narrow = (uint32_t)number;
	memcpy(field, &narrow, sizeof(narrow));
	return 0;
}

static int parse_bool(bool *field, const char *text, char why[RC_VALUE_WHY_SIZE])
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};

	for (size_t i = 0; i < RC_ARRAY_LEN(words); i++)
		if (strcasecmp(text, words[i]) == 0) {
			*field = i % 2 == 1;
			return 0;
		}
	return refuse(why, "must be yes or no (or true, false, on, off)");
}

static int parse_word(
	const struct rc_option *o, uint32_t *field, const char *text, char why[RC_VALUE_WHY_SIZE])
{
	struct rc_nearest nearest;
	char allowed[RC_VALUE_WHY_SIZE];

	rc_nearest_init(&nearest, text);
	for (uint32_t i = 0; o->words[i]; i++) {
		if (strcmp(text, o->words[i]) == 0) {
			*field = i;
			return 0;
		}
		rc_nearest_offer(&nearest, o->words[i]);
	}
	rc_value_describe(o, allowed);
	snprintf(why, RC_VALUE_WHY_SIZE, "must be %.160s%s%s%s", allowed,
		nearest.best ? "; did you mean " : "", nearest.best ? nearest.best : "",
		nearest.best ? "?" : "");
	return -1;
}

/*
 * Only what a configuration file can hold is taken, from wherever it comes, so that the printout can always be read
 * back: no control characters, no blanks at the ends, no blank before a semicolon, which begins a comment.
 */
static int parse_text(
	const struct rc_option *o, char *field, const char *text, char why[RC_VALUE_WHY_SIZE])
{
	size_t len = strlen(text);

	if (len > o->max) {
		snprintf(why, RC_VALUE_WHY_SIZE, "is %zu bytes long; %llu are allowed", len,
			(unsigned long long)o->max);
		return -1;
	}
	for (size_t i = 0; i < len; i++) {
		if (iscntrl((unsigned char)text[i]))
			return refuse(why, "must not contain control characters");
		if (text[i] == ';' && (i == 0 || text[i - 1] == ' '))
			return refuse(why,
				"must not contain a semicolon at the start or after a blank, "
				"which begins a comment");
	}
	if (len && (text[0] == ' ' || text[len - 1] == ' '))
		return refuse(why, "must not begin or end with a blank");
	if (o->secret && strcmp(text, "***") == 0)
		return refuse(
			why, "*** stands for a secret in printouts; put the secret itself here");
	memset(field, 0, o->size);
	memcpy(field, text, len);
	return 0;
}

int rc_value_parse(
	const struct rc_option *o, void *field, const char *text, char why[RC_VALUE_WHY_SIZE])
{
	const char *reason;

	switch (o->type) {
	case RC_OPTION_COUNT:
	case RC_OPTION_BYTES:
	case RC_OPTION_DURATION:
		return parse_number(o, field, text, why);
	case RC_OPTION_BOOL:
		return parse_bool(field, text, why);
	case RC_OPTION_ENUM:
		return parse_word(o, field, text, why);
	case RC_OPTION_TEXT:
	case RC_OPTION_PATH:
		return parse_text(o, field, text, why);
	case RC_OPTION_ADDRESS:
		if (o->zero && strcmp(text, "none") == 0) {
			memset(field, 0, sizeof(struct rc_address));
			return 0;
		}
		if (rc_address_parse(field, rc_str_of(text), &reason) < 0)
			return refuse(why, reason);
		return 0;
	case RC_OPTION_CPUS:
		if (rc_cpus_parse(field, text, &reason) < 0)
			return refuse(why, reason);
		return 0;
	}
	RC_ASSERT(false);
}

static uint64_t load_number(const struct rc_option *o, const void *field)
{
	uint32_t narrow;
	uint64_t wide;

	if (o->size == sizeof(wide)) {
		memcpy(&wide, field, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, field, sizeof(narrow));
	return narrow;
}

void rc_value_format_number(
	const struct rc_option *o, uint64_t number, char out[RC_VALUE_TEXT_SIZE])
{
	const struct unit *units = NULL;
	size_t count = 0;
	uint64_t base = number;

	if (o->type == RC_OPTION_BYTES) {
		units = byte_units;
		count = 4; /* down to KiB; plain below */
	} else if (o->type == RC_OPTION_DURATION) {
		units = time_units;
		count = RC_ARRAY_LEN(time_units);
		base = number * o->unit_ns;
	}
	for (size_t i = 0; base && i < count; i++)
		if (base % units[i].scale == 0) {
			snprintf(out, RC_VALUE_TEXT_SIZE, "%llu%s",
				(unsigned long long)(base / units[i].scale), units[i].name);
			return;
		}
	snprintf(out, RC_VALUE_TEXT_SIZE, "%llu", (unsigned long long)number);
}

void rc_value_format(const struct rc_option *o, const void *field, char out[RC_VALUE_TEXT_SIZE])
{
	uint32_t word;
	const char *text = "";

	out[0] = 0;
	switch (o->type) {
	case RC_OPTION_COUNT:
	case RC_OPTION_BYTES:
	case RC_OPTION_DURATION:
		rc_value_format_number(o, load_number(o, field), out);
		return;
	case RC_OPTION_BOOL:
		text = *(const bool *)field ? "yes" : "no";
		break;
	case RC_OPTION_ENUM:
		memcpy(&word, field, sizeof(word));
		text = o->words[word];
		break;
	case RC_OPTION_TEXT:
	case RC_OPTION_PATH:
		text = field;
		break;
	case RC_OPTION_ADDRESS:
		if (((const struct rc_address *)field)->family)
			rc_address_format(field, out);
		else
			snprintf(out, RC_VALUE_TEXT_SIZE, "none");
		return;
	case RC_OPTION_CPUS:
		rc_cpus_format(field, out, RC_VALUE_TEXT_SIZE);
		return;
	}
	snprintf(out, RC_VALUE_TEXT_SIZE, "%s", text);
}

static void describe_number(const struct rc_option *o, char out[RC_VALUE_WHY_SIZE])
{
	char low[RC_VALUE_TEXT_SIZE], high[RC_VALUE_TEXT_SIZE];

	rc_value_format_number(o, o->min, low);
	rc_value_format_number(o, o->max, high);
	snprintf(out, RC_VALUE_WHY_SIZE, "%s%s%.60s to %.60s", o->zero ? "0, or " : "",
		o->pow2 ? "a power of two from " : "", low, high);
}

static void describe_words(const struct rc_option *o, char out[RC_VALUE_WHY_SIZE])
{
	size_t used = (size_t)snprintf(out, RC_VALUE_WHY_SIZE, "one of ");

	for (uint32_t i = 0; o->words[i] && used < RC_VALUE_WHY_SIZE; i++)
		used += (size_t)snprintf(
			out + used, RC_VALUE_WHY_SIZE - used, "%s%s", i ? ", " : "", o->words[i]);
}

void rc_value_describe(const struct rc_option *o, char out[RC_VALUE_WHY_SIZE])
{
	const char *text = "";

	switch (o->type) {
	case RC_OPTION_COUNT:
	case RC_OPTION_BYTES:
	case RC_OPTION_DURATION:
		describe_number(o, out);
		return;
	case RC_OPTION_ENUM:
		describe_words(o, out);
		return;
	case RC_OPTION_BOOL:
		text = "yes or no";
		break;
	case RC_OPTION_TEXT:
		snprintf(out, RC_VALUE_WHY_SIZE, "text of at most %llu bytes",
			(unsigned long long)o->max);
		return;
	case RC_OPTION_PATH:
		text = "a path";
		break;
	case RC_OPTION_ADDRESS:
		text = o->zero ? "HOST:PORT, or none" : "HOST:PORT";
		break;
	case RC_OPTION_CPUS:
		text = "a list of CPU numbers";
		break;
	}
	snprintf(out, RC_VALUE_WHY_SIZE, "%s", text);
}
