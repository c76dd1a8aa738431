/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys out of the bytes that a terminal sends, one by one, in whatever pieces they come. Unknown sequences are swallowed
 * whole. Main thread.
 */
#ifndef RC_CLI_TOPKEYS_H
#define RC_CLI_TOPKEYS_H

#include "base/base.h"

/* Printable ASCII is its own key. */
enum {
	RC_KEY_NONE = 0, /* nothing yet, or nothing of interest */
	RC_KEY_END_OF_FILE = 0x04,
	RC_KEY_TAB = '\t',
	RC_KEY_ENTER = '\r',
	RC_KEY_ESCAPE = 0x1b,
	RC_KEY_BACKSPACE = 0x7f,
	RC_KEY_UP = 0x100,
	RC_KEY_DOWN,
	RC_KEY_LEFT,
	RC_KEY_RIGHT,
	RC_KEY_PAGE_UP,
	RC_KEY_PAGE_DOWN,
	RC_KEY_HOME,
	RC_KEY_END,
	RC_KEY_BACK_TAB,
	RC_KEY_ERASE_LINE,
};

/* The zero value is the start. */
struct rc_top_keys {
	enum { RC_KEYS_GROUND, RC_KEYS_ESCAPE, RC_KEYS_CSI, RC_KEYS_SS3 } state;
	uint32_t number;  /* first parameter */
	bool more_params; /* it is over */
};

uint32_t rc_top_keys_feed(struct rc_top_keys *k, unsigned char byte);
/* An escape sequence has begun: no more bytes soon means that it was the key Esc. */
static inline bool rc_top_keys_waiting(const struct rc_top_keys *k)
{
	return k->state != RC_KEYS_GROUND;
}
uint32_t rc_top_keys_timeout(struct rc_top_keys *k);

#endif
