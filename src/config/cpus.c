/* SPDX-License-Identifier: Apache-2.0
 *
 * CPU lists from text and back. The text is bounded like every other value, so that it fits into a line of a file.
 */
#include <stdio.h>

#include "config/cpus.h"

#define SHAPE "must be CPU numbers and ranges from 0 to 1023, for example 0-3,8"

static bool parse_cpu(const char **at, uint32_t *cpu)
{
	const char *start = *at;

	*cpu = 0;
	for (; **at >= '0' && **at <= '9'; (*at)++)
		if (*cpu <= RC_CONFIG_CPU_MAX)
			*cpu = *cpu * 10 + (uint32_t)(**at - '0');
	return *at != start && *cpu <= RC_CONFIG_CPU_MAX;
}

static void skip_blanks(const char **at)
{
	while (**at == ' ' || **at == '\t')
		(*at)++;
}

static bool contains(const struct rc_config_cpus *cpus, uint32_t cpu)
{
	for (uint32_t i = 0; i < cpus->count; i++)
		if (cpus->cpu[i] == cpu)
			return true;
	return false;
}

static int append_range(
	struct rc_config_cpus *cpus, uint32_t first, uint32_t last, const char **why)
{
	if (last < first) {
		*why = "a range must go upwards, for example 0-3";
		return -1;
	}
	for (uint32_t cpu = first; cpu <= last; cpu++) {
		if (contains(cpus, cpu)) {
			*why = "names a CPU twice";
			return -1;
		}
		if (cpus->count == RC_SHARDS_MAX) {
			_Static_assert(RC_SHARDS_MAX == 64, "said in words");
			*why = "names more than 64 CPUs, which is the most shards there can be";
			return -1;
		}
		cpus->cpu[cpus->count++] = (uint16_t)cpu;
	}
	return 0;
}

int rc_cpus_parse(struct rc_config_cpus *cpus, const char *text, const char **why)
{
	struct rc_config_cpus parsed = {0};
	const char *at = text;
	uint32_t first, last;

	*why = SHAPE;
	if (strlen(text) >= RC_CONFIG_TEXT_SIZE) {
		*why = "is longer than 159 bytes; write ranges, for example 0-63";
		return -1;
	}
	skip_blanks(&at);
	while (*at) {
		if (!parse_cpu(&at, &first))
			return -1;
		skip_blanks(&at);
		last = first;
		if (*at == '-') {
			at++;
			skip_blanks(&at);
			if (!parse_cpu(&at, &last))
				return -1;
			skip_blanks(&at);
		}
		if (append_range(&parsed, first, last, why) < 0)
			return -1;
		*why = SHAPE;
		if (*at == 0)
			break;
		if (*at++ != ',')
			return -1;
		skip_blanks(&at);
		if (*at == 0)
			return -1;
	}
	*cpus = parsed;
	return 0;
}

void rc_cpus_format(const struct rc_config_cpus *cpus, char *out, size_t size)
{
	size_t used = 0;

	out[0] = 0;
	for (uint32_t i = 0; i < cpus->count && used < size;) {
		uint32_t run = 1;

		while (i + run < cpus->count && cpus->cpu[i + run] == cpus->cpu[i] + run)
			run++;
		used += (size_t)snprintf(
			out + used, size - used, "%s%u", i ? "," : "", cpus->cpu[i]);
		if (run > 1 && used < size)
			used += (size_t)snprintf(
				out + used, size - used, "-%u", cpus->cpu[i + run - 1]);
		i += run;
	}
}
