/* SPDX-License-Identifier: Apache-2.0
 *
 * The list is read as the gateway reads its own.
 */
#include <errno.h>
#include <sched.h>

#include "config/cpus.h"
#include "cpulist.h"

int load_cpus_parse(struct load_plan *plan, const char *text, struct rc_error *err)
{
	struct rc_config_cpus list;
	const char *why;
	cpu_set_t usable;

	if (rc_cpus_parse(&list, text, &why) < 0) {
		rc_error_set(err, "--cpus: '%.60s' %s", text, why);
		return -EINVAL;
	}
	if (list.count > LOAD_CPUS_MAX) {
		rc_error_set(err, "--cpus: more than %d CPUs; say fewer", LOAD_CPUS_MAX);
		return -EINVAL;
	}
	if (sched_getaffinity(0, sizeof(usable), &usable) < 0)
		CPU_ZERO(&usable);
	for (uint32_t i = 0; i < list.count; i++) {
		if (!CPU_ISSET(list.cpu[i], &usable)) {
			rc_error_set(err,
				"--cpus: CPU %u is not one that this process may use; see nproc and "
				"taskset -p $$",
				list.cpu[i]);
			return -EINVAL;
		}
		plan->cpu[i] = (int)list.cpu[i];
	}
	plan->cpus = list.count;
	return 0;
}
