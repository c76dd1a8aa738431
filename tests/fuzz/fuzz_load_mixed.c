/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of the scenario mixed from anybody. What is taken has at least one group and channels that add up; a refusal leaves
 * a reason; the same file read twice gives the same.
 */
#include <stdlib.h>

#include "load/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct load_settings settings, again;
static struct rc_error err;

static int read_into(struct load_settings *s, struct rc_str text)
{
	load_settings_init(s);
	RC_ASSERT(load_scenario(s, "mixed", &err) == 0);
	memset(&err, 0, sizeof(err));
	return load_mixed_text(s, "fuzz", text, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rc_str text = {(const char *)data, size};
	int rc = read_into(&settings, text);

	RC_ASSERT((rc == 0) == (err.text[0] == 0));
	RC_ASSERT(read_into(&again, text) == rc);
	RC_ASSERT(memcmp(&settings, &again, sizeof(settings)) == 0);
	if (rc < 0)
		return 0;
	RC_ASSERT(settings.plan.groups > 0 && settings.plan.groups <= LOAD_GROUPS_MAX);
	for (uint32_t i = 0; i < settings.plan.groups; i++) {
		const struct load_group *g = &settings.plan.group[i];

		RC_ASSERT(g->name[0] && memchr(g->name, 0, sizeof(g->name)));
		RC_ASSERT(g->channels <= settings.plan.channels);
		RC_ASSERT(g->first_channel <= settings.plan.channels - g->channels);
		for (uint32_t k = 0; k < RC_MIN(g->subscriptions, 8u); k++)
			if (g->subscriptions <= RC_MIN(g->channels, 256u))
				RC_ASSERT(load_plan_channel(g, 3, k) - g->first_channel <
					  g->channels);
	}
	return 0;
}
