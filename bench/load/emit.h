/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON written to a stream, value by value: commas, escapes and nesting are minded here. One thread. What the stream says
 * of itself (ferror) is looked at once, at the end.
 *
 * A NULL key is for the outermost value and for elements of an array.
 */
#ifndef LOAD_EMIT_H
#define LOAD_EMIT_H

#include <stdio.h>

#include "base/base.h"

struct load_emit {
	FILE *out;
	bool another; /* the next value of this nesting needs a comma */
};

/* bracket: '{' or '['; close takes its partner. */
void load_emit_open(struct load_emit *e, const char *key, char bracket);
void load_emit_close(struct load_emit *e, char bracket);

void load_emit_u64(struct load_emit *e, const char *key, uint64_t value);
/* With so many digits behind the point; what is no finite number becomes null. */
void load_emit_real(struct load_emit *e, const char *key, double value, int digits);
void load_emit_bool(struct load_emit *e, const char *key, bool value);
/* Bytes that are not UTF-8 are written as '?': a host's name for its CPU is nobody's promise. */
void load_emit_text(struct load_emit *e, const char *key, const char *text);
void load_emit_null(struct load_emit *e, const char *key);

#endif
