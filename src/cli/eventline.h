/* SPDX-License-Identifier: Apache-2.0
 *
 * What the gateway says on a WebSocket (protocol ringcast.v1.json), read just far enough to print it. Pure but for the
 * printing; a parsed message borrows its text.
 */
#ifndef RC_CLI_EVENTLINE_H
#define RC_CLI_EVENTLINE_H

#include <stdio.h>

#include "base/base.h"
#include "proto/json.h"

enum rc_eventline_kind {
	RC_EVENTLINE_BARE, /* a publisher's bytes without envelope, as in a namespace with raw = yes */
	RC_EVENTLINE_EVENT,
	RC_EVENTLINE_CONNECTED,
	RC_EVENTLINE_ERROR,
	RC_EVENTLINE_GAP,
	RC_EVENTLINE_ACK, /* of a subscribe */
	RC_EVENTLINE_BYE,
	RC_EVENTLINE_REPLY,    /* to a command */
	RC_EVENTLINE_GATHERED, /* a window's events, or how many there were of each name */
	RC_EVENTLINE_OTHER,    /* any other message of the gateway's own */
};

struct rc_eventline {
	enum rc_eventline_kind kind;
	/* Those that the message has, by the names that they have there. */
	struct rc_json_value type, channel, event, offset, data, encoding;
	struct rc_json_value id, code, message, missed, reason, heartbeat;
};

enum rc_eventline_format {
	RC_EVENTLINE_FIELDS,  /* channel event offset data */
	RC_EVENTLINE_DATA,    /* the data alone */
	RC_EVENTLINE_MESSAGE, /* the whole text */
};

/* What is not one of the gateway's messages is BARE: nothing else tells the two apart. */
void rc_eventline_parse(struct rc_eventline *m, struct rc_str text, bool binary);
/* One line. false and errno when out takes no more. */
RC_MUST_USE bool rc_eventline_print(FILE *out, enum rc_eventline_format format,
	const struct rc_eventline *m, struct rc_str text);
/* A JSON string as words for people, NUL-terminated in buf; "?" where there is none or it can't be shown. */
const char *rc_eventline_text(struct rc_json_value value, char *buf, size_t size);
/* The last of this name in an object; of kind NONE where there is none, or it is no object. */
struct rc_json_value rc_eventline_member(struct rc_json_value object, struct rc_str name);
/* 0 where it is not a whole number of up to 18 digits. */
uint64_t rc_eventline_number(struct rc_json_value value);

#endif
