/* SPDX-License-Identifier: Apache-2.0
 *
 * A schema and, behind a zero byte, a payload. Properties: compiling stays inside the block that was reckoned with, refuses with words and
 * a place that can be printed, and says the same twice; a check comes to an end, and what it says of a wrong payload can be printed; the
 * payload's event may be any.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "proto/json.h"
#include "proto/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void printable(const char *text)
{
	size_t len = strlen(text);

	RC_ASSERT(len == 0 || rc_utf8_valid(text, len));
	for (size_t i = 0; i < len; i++)
		RC_ASSERT((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

static void told(const struct rc_schema_fault *fault, bool json)
{
	RC_ASSERT(memchr(fault->place, 0, sizeof(fault->place)));
	RC_ASSERT(memchr(fault->words, 0, sizeof(fault->words)));
	RC_ASSERT(fault->words[0] && (fault->place[0] == 0 || fault->place[0] == '/'));
	if (json) {
		printable(fault->place);
		printable(fault->words);
	}
}

static void check(const struct rc_schema *s, struct rc_str event, struct rc_str payload)
{
	struct rc_schema_fault first, second;
	bool right = rc_schema_check(s, event, payload, &first);

	RC_ASSERT(rc_schema_check(s, event, payload, &second) == right);
	if (right)
		return;
	told(&first, true);
	RC_ASSERT(strcmp(first.place, second.place) == 0 && strcmp(first.words, second.words) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *cut = size ? memchr(data, 0, size) : NULL;
	struct rc_str schema = {(const char *)data, cut ? (size_t)(cut - data) : size};
	struct rc_str payload = {
		cut ? (const char *)cut + 1 : NULL, cut ? size - schema.len - 1 : 0};
	struct rc_schema_fault fault;

	if (size > 1 << 14)
		return 0;
	size_t bound = rc_schema_bound(schema);
	void *block = malloc(bound);
	RC_ASSERT(block);
	if (rc_schema_compile(schema, block, bound, &fault) < 0) {
		told(&fault, rc_json_validate(schema, 80) == 0);
	} else if (payload.len && rc_json_validate(payload, 128) == 0) {
		check(block, RC_STR("e"), payload);
		check(block, RC_STR("other"), payload);
	}
	free(block);
	return 0;
}
