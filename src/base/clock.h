/* SPDX-License-Identifier: Apache-2.0
 *
 * The monotonic clock that the engine runs on, and the wall clock that people read. Any thread.
 */
#ifndef RC_BASE_CLOCK_H
#define RC_BASE_CLOCK_H

#include "base/base.h"

#define RC_ISO8601_LEN 24 /* "2026-01-15T10:15:00.000Z" */

uint64_t rc_clock_mono_ns(void);
/* Milliseconds since 1970. */
uint64_t rc_clock_wall_ms(void);
/* Writes exactly RC_ISO8601_LEN bytes, no NUL. Years 1970 to 9999; later times are clamped to the end of 9999. */
void rc_clock_iso8601(uint64_t wall_ms, char out[RC_ISO8601_LEN]);
/*
 * The way back, wider than what is written: "2026-01-15T10:15:00Z", with or without a fraction of a second (1 to 9 digits, cut
 * at the millisecond), at Z, +hh:mm or -hh:mm. Years 0000 to 9999; before 1970 is 0. 0, or -EINVAL.
 */
RC_MUST_USE int rc_clock_iso8601_parse(struct rc_str text, uint64_t *wall_ms);

#endif
