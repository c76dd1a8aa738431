/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters from arbitrary text, and events to try them on: a line with the filter, one with the event's name as it stands in JSON, and the rest is the
 * data. Properties: a refusal is a text that can be sent and a place within the filter; the canonical form is its own and the same
 * program; a match is what the slow way finds; and `not` turns it round.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "filter_oracle.h"
#include "proto/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rc_filter filter, again, negated;
static char canonical[RC_FILTER_TEXT_MAX], other[RC_FILTER_TEXT_MAX];
static char text_of[RC_FILTER_TEXT_MAX + 8];

static struct rc_str line(const char **p, const char *end)
{
	const char *start = *p;
	const char *at = memchr(start, '\n', (size_t)(end - start));

	*p = at ? at + 1 : end;
	return (struct rc_str){start, (size_t)((at ? at : end) - start)};
}

static void check_match(size_t len, struct rc_str name, struct rc_str data)
{
	char quoted[ORACLE_TEXT];
	struct rc_filter_fault fault;
	size_t other_len;

	/* Whatever the bytes are. */
	bool is = rc_filter_match(&filter, name, data);
	RC_ASSERT(rc_filter_match(&again, name, data) == is);
	int n = snprintf(text_of, sizeof(text_of), "not (%.*s)", (int)len, canonical);
	if (rc_filter_compile(
		    (struct rc_str){text_of, (size_t)n}, &negated, other, &other_len, &fault) == 0)
		RC_ASSERT(rc_filter_match(&negated, name, data) != is);
	n = snprintf(quoted, sizeof(quoted), "\"%.*s\"", (int)name.len, name.ptr);
	if (rc_json_validate((struct rc_str){quoted, (size_t)n}, 0) < 0 ||
		rc_json_validate(data, 32) < 0)
		return;
	(void)snprintf(text_of, sizeof(text_of), "%.*s", (int)len, canonical);
	int want = oracle_match(text_of, name, data);
	RC_ASSERT(want < 0 || want == is);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *end = p + size;
	struct rc_filter_fault fault = {0, ""};
	size_t len, other_len;

	if (size > ORACLE_TEXT / 2)
		return 0;
	struct rc_str text = line(&p, end), name = line(&p, end);
	if (rc_filter_compile(text, &filter, canonical, &len, &fault) < 0) {
		RC_ASSERT(fault.at >= 1 && fault.at <= text.len + 1 && fault.message[0]);
		RC_ASSERT(rc_utf8_valid(fault.message, strlen(fault.message)));
		return 0;
	}
	RC_ASSERT(filter.size <= sizeof(filter) && len <= sizeof(canonical));
	RC_ASSERT(rc_filter_compile(
			  (struct rc_str){canonical, len}, &again, other, &other_len, &fault) == 0);
	RC_ASSERT(other_len == len && memcmp(other, canonical, len) == 0);
	RC_ASSERT(again.size == filter.size && memcmp(&again, &filter, filter.size) == 0);
	check_match(len, name, (struct rc_str){p, (size_t)(end - p)});
	return 0;
}
