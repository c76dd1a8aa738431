/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of services from arbitrary bytes. Properties: what is refused says where and why, in text that can be printed; of what is
 * taken, every service is met by its own credential and by no other way, and may do something.
 */
#include <stdlib.h>

#include "auth/servicetable.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rc_services *s;
	struct rc_error err = {{0}};

	if (rc_services_parse(&s, "f", (struct rc_str){(const char *)data, size}, &err) < 0) {
		RC_ASSERT(strncmp(err.text, "f:", 2) == 0 && !s);
		RC_ASSERT(rc_utf8_valid(err.text, strlen(err.text)));
		return 0;
	}
	for (uint32_t i = 0; i < s->count; i++) {
		const struct rc_grant *g = rc_services_grant(s, i);
		struct rc_str list = {g->patterns, g->patterns_len}, name;
		uint32_t compared, patterns = 0;

		RC_ASSERT(g->scopes && g->size == sizeof(*g) + g->patterns_len && g->name_len);
		RC_ASSERT(rc_services_match(s, g->proof, g->digest, &compared) == g);
		RC_ASSERT(rc_services_match(s, !g->proof, g->digest, &compared) != g);
		RC_ASSERT(compared == s->count);
		while (rc_claims_next(&list, &name)) {
			RC_ASSERT(rc_name_classify(name) != RC_NAME_BAD);
			if (!rc_name_is_pattern(name))
				RC_ASSERT(rc_grant_publishes(g, name));
			patterns++;
		}
		RC_ASSERT(patterns <= RC_SERVICE_PATTERNS_MAX);
	}
	rc_services_close(s);
	return 0;
}
