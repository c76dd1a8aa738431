/* SPDX-License-Identifier: Apache-2.0
 *
 * Small templates for what is sent to a server, compiled once, expanded for every event. Read-only after compiling.
 *
 *   text        itself; escapes \r \n \t \\ \{ \xHH. A { that no lower-case letter follows is itself, a } always
 *   {channel}   the channel's name               {n}        its number, decimal     {session}  number of the connection, decimal
 *   {payload}   the event's bytes                {len}      their count, decimal
 *   {filter}    number of the client's filter, decimal
 *   {since}     the position to recover from, as the target's `since` made it; empty when there is none
 *   {u8:X} {u16:X}   X (channel or payload) behind its length in 1 or 2 bytes, big-endian
 *   {n16} {n32}      the number in 2 or 4 bytes, big-endian (its lowest)
 *   {packet}         2 bytes, big-endian, the number modulo 65535 plus 1: never 0, as MQTT wants its packet ids
 *   {u8} … {end}  {u16} … {end}   what is between, behind its length in 1 or 2 bytes, big-endian
 *   {mqtt} … {end}                what is between, behind its length as MQTT's variable integer
 *
 * Blocks nest, 4 deep. Other words in braces are an error that names the word and its column.
 */
#ifndef LOAD_TEMPLATE_H
#define LOAD_TEMPLATE_H

#include "base/base.h"
#include "base/error.h"

struct load_template; /* opaque; malloc'd once */

struct load_values {
	struct rc_str channel;
	uint32_t number;
	uint32_t session;
	uint32_t filter;
	struct rc_str payload;
	struct rc_str since;
};

/* 0, or -EINVAL with a sentence in *err (-ENOMEM). An empty text gives a template that expands to nothing. */
int load_template_compile(
	struct load_template **out, struct rc_str text, struct rc_error *err) RC_MUST_USE;
void load_template_free(struct load_template *t);
/* Bytes written; 0 when cap is too small (load_template_bound is always enough), when something is too long for the length before it (or the template is empty). */
size_t load_template_expand(
	const struct load_template *t, const struct load_values *values, void *out, size_t cap);
/* An upper bound of what expanding can need, for any number. */
size_t load_template_bound(
	const struct load_template *t, size_t channel_len, size_t payload_len, size_t since_len);
bool load_template_empty(const struct load_template *t);

/* The escapes alone, for text that is waited for: out has room for text.len bytes. Bytes written, or -EINVAL with a sentence. */
int load_text_unescape(char *out, struct rc_str text, struct rc_error *err) RC_MUST_USE;

#endif
