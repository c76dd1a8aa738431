/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing among the gateways of this host; the contract is in findgateway.h.
 */
#include "cli/findgateway.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

struct choice {
	uint32_t pid;
	uint32_t fits;
	char path[RC_COUNTERS_PATH_MAX];
};

static bool choose(void *ctx, const struct rc_counters_view *v)
{
	struct choice *c = ctx;
	if (c->pid != 0 && v->pid != c->pid)
		return true;
	c->fits++;
	memcpy(c->path, v->path, sizeof(c->path));
	return true;
}

static bool name_one(void *ctx, const struct rc_counters_view *v)
{
	(void)ctx;
	fprintf(stderr, "  --pid=%" PRIu32 "  %s\n", v->pid, v->path);
	return true;
}

int rc_find_gateway(const char *command, uint32_t pid, const char *file, struct rc_counters_view *v)
{
	struct choice c = {.pid = pid};
	const char *path = file;
	if (path == NULL) {
		rc_counters_list(choose, &c);
		path = c.path;
		if (c.fits == 0) {
			if (pid != 0)
				fprintf(stderr,
					"ringcast %s: no gateway with process id %" PRIu32
					" runs here, or not as this user\n",
					command, pid);
			else
				fprintf(stderr,
					"ringcast %s: no gateway runs here, or not as this user; "
					"--file=PATH names a counters file elsewhere\n",
					command);
			return RC_NO_GATEWAY;
		}
		if (c.fits > 1) {
			fprintf(stderr, "ringcast %s: several gateways run here; choose one:\n",
				command);
			rc_counters_list(name_one, NULL);
			return 2;
		}
	}
	struct rc_error err;
	if (rc_counters_open(v, path, &err) != 0) {
		fprintf(stderr, "ringcast %s: %s\n", command, err.text);
		return file != NULL && access(path, F_OK) == 0 ? 1 : RC_NO_GATEWAY;
	}
	return 0;
}
