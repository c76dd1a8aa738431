/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies of publish requests from arbitrary bytes (the first says how). Properties: all slices lie in the body; a walk over a copy
 * that was moved in the middle yields the same events; an event that is fine has a channel, a name and data that are.
 */
#include <stdlib.h>

#include "serve/api.h"

#define MESSAGE_MAX 512u
#define EVENTS_MAX  4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct rc_api_event *e, struct rc_str text, bool broadcast)
{
	RC_ASSERT(e->data.ptr >= text.ptr && e->data.ptr + e->data.len <= text.ptr + text.len);
	RC_ASSERT(e->data.len > 0 && e->data.len <= MESSAGE_MAX);
	RC_ASSERT(rc_json_validate(e->data, RC_JSON_DEPTH_LIMIT) == 0);
	RC_ASSERT(rc_event_name_valid(e->event));
	if (broadcast)
		RC_ASSERT(rc_str_eq(e->channel, RC_STR(RC_HUB_BROADCAST)));
	else
		RC_ASSERT(rc_name_classify(e->channel) == RC_NAME_CHANNEL &&
			  !rc_name_reserved(e->channel));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rc_api_event e, again;
	struct rc_api_walk w, moved;
	struct rc_str text, other;
	uint32_t count = 0, at;
	uint8_t how;

	if (size < 1)
		return 0;
	how = data[0];
	struct rc_str body = {(const char *)data + 1, size - 1};
	char *copy = malloc(RC_MAX(body.len, (size_t)1));
	if (body.len)
		memcpy(copy, body.ptr, body.len);
	at = (uint32_t)how >> 2;
	if (rc_api_walk_begin(&w, body, how & 1)) {
		bool validated = w.form != RC_API_LINES;

		moved = w;
		while (count < EVENTS_MAX) {
			if (count == at)
				rc_api_walk_move(&moved, body.ptr, copy);
			bool more = rc_api_walk_next(&w, &text);
			RC_ASSERT(rc_api_walk_next(&moved, &other) == more);
			if (!more)
				break;
			RC_ASSERT(text.len > 0 && text.ptr >= body.ptr &&
				  text.ptr + text.len <= body.ptr + body.len);
			RC_ASSERT(rc_str_eq(text, other));
			enum rc_api_fault fault =
				rc_api_event_read(text, validated, how & 2, MESSAGE_MAX, &e);
			RC_ASSERT(rc_api_event_read(
					  other, validated, how & 2, MESSAGE_MAX, &again) == fault);
			RC_ASSERT(e.id.len <= RC_MSG_ID_MAX && rc_str_eq(e.id, again.id));
			if (fault)
				RC_ASSERT(rc_api_words(fault).status >= 400);
			else
				check(&e, text, how & 2);
			count++;
		}
		RC_ASSERT(w.form != RC_API_ONE || count == 1);
	}
	free(copy);
	return 0;
}
