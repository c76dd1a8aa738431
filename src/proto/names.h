/* SPDX-License-Identifier: Apache-2.0
 *
 * What channels, patterns and events may be called, and which channels a pattern means. Pure, any thread.
 *
 *   channel   1 to 255 bytes of [A-Za-z0-9_.:/$@=-]; ':' separates its levels
 *   pattern   the same, with '*' as a whole level, and '**' as the whole last level; at least one of them
 *
 * Empty levels ("a::b", "a:") are legal in a channel, but patterns know nothing of them: a pattern may not have one, and
 * a channel that has one is matched by no pattern.
 */
#ifndef RC_PROTO_NAMES_H
#define RC_PROTO_NAMES_H

#include "base/base.h"

#define RC_CHANNEL_MAX    255
#define RC_EVENT_NAME_MAX 128

enum rc_name_kind { RC_NAME_BAD, RC_NAME_CHANNEL, RC_NAME_PATTERN };

enum rc_name_kind rc_name_classify(struct rc_str name);

/* The gateway's own channels, and patterns of them: what begins with '$'. */
static inline bool rc_name_reserved(struct rc_str name)
{
	return name.len > 0 && name.ptr[0] == '$';
}

/* Of a name that is known to be either. */
static inline bool rc_name_is_pattern(struct rc_str name)
{
	return memchr(name.ptr, '*', name.len) != NULL;
}

/*
 * The matcher that every faster one must agree with. '*' takes exactly one level, '**' takes one or more: "agent:**"
 * means "agent:1" and "agent:1:x" but not "agent". A wildcard in the first level never takes a reserved channel, so that
 * whoever may read "**" does not read "$sys:metrics" by it; "$sys:*" says it. Both were classified as what they are.
 */
bool rc_pattern_match(struct rc_str pattern, struct rc_str channel);

/*
 * Whatever `narrow` means, `wide` means too: both are channels or patterns, classified. So who may read `wide` may subscribe to
 * `narrow`.
 */
bool rc_pattern_covers(struct rc_str wide, struct rc_str narrow);

/* 1 to 128 bytes of valid UTF-8 without control characters (C0, DEL, C1). */
bool rc_event_name_valid(struct rc_str name);

#endif
