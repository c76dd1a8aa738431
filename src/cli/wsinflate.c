/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages that came deflated. See wsclient.h.
 */
#include "cli/wsclient.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "proto/deflate.h"

#define FIRST_SIZE 65536u

bool rc_wsclient_inflates(struct rc_wsclient *w)
{
	void *memory = aligned_alloc(64, rc_align_up(rc_inflater_bytes(), 64));

	w->inflater = memory != NULL ? rc_inflater_init(memory) : NULL;
	return w->inflater != NULL;
}

static bool have_room(struct rc_wsclient *w, size_t size)
{
	if (size <= w->plain_size)
		return true;
	free(w->plain);
	w->plain = malloc(size);
	w->plain_size = w->plain != NULL ? size : 0;
	return w->plain != NULL;
}

bool rc_wsclient_inflate(struct rc_wsclient *w, struct rc_str *message, bool binary)
{
	enum rc_inflated result = RC_INFLATE_TOO_BIG;
	size_t size = RC_MAX(w->plain_size, (size_t)FIRST_SIZE), len = 0;

	/* Nobody says beforehand how large it becomes. */
	for (; result == RC_INFLATE_TOO_BIG && size <= RC_WSCLIENT_MESSAGE_MAX; size *= 8) {
		if (!have_room(w, size))
			return false;
		result = rc_inflate(
			w->inflater, message->ptr, message->len, w->plain, size - 1, &len);
	}
	if (result != RC_INFLATED || (!binary && !rc_utf8_valid(w->plain, len)))
		return false;
	w->seen.deflated++;
	*message = (struct rc_str){w->plain, len};
	return true;
}
