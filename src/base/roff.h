/* SPDX-License-Identifier: Apache-2.0
 *
 * Man pages, written into a stream: the few requests of man(7) that a page needs, and text that none of its bytes turns into
 * another request. A pure writer; any thread.
 */
#ifndef RC_BASE_ROFF_H
#define RC_BASE_ROFF_H

#include <stdio.h>

#include "base/base.h"

/* .TH: date as 2026-01-31. */
void rc_roff_begin(FILE *out, const char *name, int section, const char *date);
/* The section NAME, in the one line that apropos(1) reads. */
void rc_roff_name(FILE *out, const char *name, const char *about);
/* .SH with this heading, in quotes where it has several words. */
void rc_roff_section(FILE *out, const char *heading);
/* .SS */
void rc_roff_subsection(FILE *out, struct rc_str heading);
/* .TP with a term in bold; what follows is its text. */
void rc_roff_term(FILE *out, struct rc_str term);
void rc_roff_paragraph(FILE *out);
/* A line of text. Empty text writes nothing. */
void rc_roff_text(FILE *out, struct rc_str text);
/* A line that stays as it is, in the middle of others like it: between .nf and .fi. */
void rc_roff_line(FILE *out, struct rc_str text);

#endif
