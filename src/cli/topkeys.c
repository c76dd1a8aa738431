/* SPDX-License-Identifier: Apache-2.0
 *
 * Escape sequences of keys: CSI and SS3, as xterm, the console and their descendants send them; the contract is in topkeys.h.
 */
#include "cli/topkeys.h"

static uint32_t key_of_letter(unsigned char letter)
{
	switch (letter) {
	case 'A':
		return RC_KEY_UP;
	case 'B':
		return RC_KEY_DOWN;
	case 'C':
		return RC_KEY_RIGHT;
	case 'D':
		return RC_KEY_LEFT;
	case 'F':
		return RC_KEY_END;
	case 'H':
		return RC_KEY_HOME;
	case 'M':
		return RC_KEY_ENTER; /* of the number pad, in SS3 */
	case 'Z':
		return RC_KEY_BACK_TAB;
	default:
		return RC_KEY_NONE;
	}
}

static uint32_t key_of_number(uint32_t number)
{
	switch (number) {
	case 1:
	case 7:
		return RC_KEY_HOME;
	case 4:
	case 8:
		return RC_KEY_END;
	case 5:
		return RC_KEY_PAGE_UP;
	case 6:
		return RC_KEY_PAGE_DOWN;
	default:
		return RC_KEY_NONE;
	}
}

static uint32_t ground(struct rc_top_keys *k, unsigned char byte)
{
	switch (byte) {
	case 0x1b:
		k->state = RC_KEYS_ESCAPE;
		return RC_KEY_NONE;
	case '\n':
		return RC_KEY_ENTER;
	case 0x08:
		return RC_KEY_BACKSPACE;
	case 0x15:
		return RC_KEY_ERASE_LINE;
	case RC_KEY_END_OF_FILE:
	case RC_KEY_TAB:
	case RC_KEY_ENTER:
	case RC_KEY_BACKSPACE:
		return byte;
	default:
		/* Letters beyond ASCII mean nothing here. */
		return byte >= ' ' && byte <= '~' ? byte : RC_KEY_NONE;
	}
}

static uint32_t csi(struct rc_top_keys *k, unsigned char byte)
{
	/* A control character within it ends it; ECMA-48 would have it done in between. */
	if (byte < ' ' || byte > '~') {
		k->state = RC_KEYS_GROUND;
		return byte == 0x1b ? ground(k, byte) : RC_KEY_NONE;
	}
	if (byte < '@') {
		if (byte >= '0' && byte <= '9' && !k->more_params)
			k->number = RC_MIN(k->number * 10 + (byte - '0'), 9999u);
		else
			k->more_params = true;
		return RC_KEY_NONE;
	}
	k->state = RC_KEYS_GROUND;
	if (byte == '~')
		return key_of_number(k->number);
	/* CSI M is the mouse's, and no key. */
	return byte == 'M' ? RC_KEY_NONE : key_of_letter(byte);
}

uint32_t rc_top_keys_feed(struct rc_top_keys *k, unsigned char byte)
{
	switch (k->state) {
	case RC_KEYS_GROUND:
		break;
	case RC_KEYS_ESCAPE:
		if (byte == 0x1b)
			return RC_KEY_ESCAPE; /* the one before; this one begins anew */
		k->number = 0;
		k->more_params = false;
		k->state = byte == '[' ? RC_KEYS_CSI : byte == 'O' ? RC_KEYS_SS3 : RC_KEYS_GROUND;
		/* With any other it is a key with Alt, which has no meaning here. */
		return RC_KEY_NONE;
	case RC_KEYS_CSI:
		return csi(k, byte);
	case RC_KEYS_SS3:
		k->state = RC_KEYS_GROUND;
		return byte == 0x1b ? ground(k, byte) : key_of_letter(byte);
	}
	return ground(k, byte);
}

uint32_t rc_top_keys_timeout(struct rc_top_keys *k)
{
	uint32_t key = k->state == RC_KEYS_ESCAPE ? RC_KEY_ESCAPE : RC_KEY_NONE;
	k->state = RC_KEYS_GROUND;
	return key;
}
