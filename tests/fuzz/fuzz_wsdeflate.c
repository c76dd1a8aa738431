/* SPDX-License-Identifier: Apache-2.0
 *
 * Offers of permessage-deflate from arbitrary lines. Properties: what was agreed on can be answered, the answer is one that our own
 * client takes, and offering what was answered is agreed to alike; a good offer behind a line that follows the grammar is taken.
 */
#include <stdlib.h>

#include "proto/wsdeflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char more[] = ",permessage-deflate; server_max_window_bits=9";
	char answer[RC_WS_DEFLATE_ANSWER_MAX];
	struct rc_ws_deflate d, again;

	if (size > 4096)
		return 0;
	char *line = malloc(size + sizeof(more));
	RC_ASSERT(line);
	memcpy(line, data, size);
	(void)rc_ws_deflate_answered((struct rc_str){line, size});
	enum rc_ws_offer result = rc_ws_deflate_offer((struct rc_str){line, size}, &d);
	RC_ASSERT((result == RC_WS_OFFER_TAKEN) == (d.window_bits != 0));
	if (result == RC_WS_OFFER_TAKEN) {
		struct rc_str value = {answer, rc_ws_deflate_answer(&d, answer)};
		RC_ASSERT(rc_ws_deflate_answered(value));
		RC_ASSERT(rc_ws_deflate_offer(value, &again) == RC_WS_OFFER_TAKEN);
		RC_ASSERT(again.window_bits == d.window_bits && again.told == d.told);
	}
	memcpy(line + size, more, sizeof(more) - 1);
	enum rc_ws_offer both =
		rc_ws_deflate_offer((struct rc_str){line, size + sizeof(more) - 1}, &again);
	RC_ASSERT(result == RC_WS_OFFER_BAD || both == RC_WS_OFFER_TAKEN);
	if (result == RC_WS_OFFER_TAKEN)
		RC_ASSERT(again.window_bits == d.window_bits);
	free(line);
	return 0;
}
