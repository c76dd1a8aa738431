/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiling: text to parts.
 */
#include "template_part.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/nearest.h"

static const struct word {
	const char *text;
	enum load_part_kind kind;
} words[] = {
	{"channel", LOAD_PART_CHANNEL},
	{"payload", LOAD_PART_PAYLOAD},
	{"since", LOAD_PART_SINCE},
	{"n", LOAD_PART_NUMBER},
	{"session", LOAD_PART_SESSION},
	{"len", LOAD_PART_LEN},
	{"filter", LOAD_PART_FILTER},
	{"u8:channel", LOAD_PART_U8_CHANNEL},
	{"u8:payload", LOAD_PART_U8_PAYLOAD},
	{"u16:channel", LOAD_PART_U16_CHANNEL},
	{"u16:payload", LOAD_PART_U16_PAYLOAD},
	{"n16", LOAD_PART_NUMBER_16},
	{"n32", LOAD_PART_NUMBER_32},
	{"packet", LOAD_PART_PACKET},
	{"u8", LOAD_PART_U8_BLOCK},
	{"u16", LOAD_PART_U16_BLOCK},
	{"mqtt", LOAD_PART_MQTT_BLOCK},
	{"end", LOAD_PART_END},
};

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* text[at] is a backslash. Returns how many bytes of text the escape is; negative after a sentence. */
static int take_escape(struct rc_str text, size_t at, char *byte, struct rc_error *err)
{
	static const char letters[] = "rnt\\{", meant[] = "\r\n\t\\{";
	size_t left = text.len - at;
	const char *letter =
		left > 1 && text.ptr[at + 1] ? strchr(letters, text.ptr[at + 1]) : NULL;

	if (letter) {
		*byte = meant[letter - letters];
		return 2;
	}
	if (left > 3 && text.ptr[at + 1] == 'x' && hex_value(text.ptr[at + 2]) >= 0 &&
		hex_value(text.ptr[at + 3]) >= 0) {
		*byte = (char)(hex_value(text.ptr[at + 2]) << 4 | hex_value(text.ptr[at + 3]));
		return 4;
	}
	rc_error_set(err,
		"the backslash at column %zu begins no escape; there are \\r \\n \\t \\\\ \\{ and "
		"\\x with two hexadecimal digits",
		at + 1);
	return -EINVAL;
}

static int unknown_word(struct rc_str word, size_t column, struct rc_error *err)
{
	struct rc_nearest nearest;
	char text[64], all[256];
	size_t len = 0;

	snprintf(text, sizeof(text), "%.*s", (int)RC_MIN(word.len, (size_t)32), word.ptr);
	rc_nearest_init(&nearest, text);
	for (size_t i = 0; i < RC_ARRAY_LEN(words); i++) {
		rc_nearest_offer(&nearest, words[i].text);
		len += (size_t)snprintf(all + len, sizeof(all) - len, " {%s}", words[i].text);
	}
	if (nearest.best)
		rc_error_set(err, "unknown word {%s} at column %zu; did you mean {%s}?", text,
			column, nearest.best);
	else
		rc_error_set(err,
			"unknown word {%s} at column %zu; write \\{ for a brace, or one of%s", text,
			column, all);
	return -EINVAL;
}

/* text[at] is a { with a lower-case letter behind it. Returns how many bytes of text the word is; negative after a sentence. */
static int take_word(struct rc_str text, size_t at, enum load_part_kind *kind, struct rc_error *err)
{
	const char *end = memchr(text.ptr + at, '}', text.len - at);
	struct rc_str word = {text.ptr + at + 1, 0};

	if (!end) {
		rc_error_set(err,
			"the word that begins at column %zu has no closing }; write \\{ for a brace",
			at + 1);
		return -EINVAL;
	}
	word.len = (size_t)(end - word.ptr);
	for (size_t i = 0; i < RC_ARRAY_LEN(words); i++)
		if (rc_str_eq(word, rc_str_of(words[i].text))) {
			*kind = words[i].kind;
			return (int)word.len + 2;
		}
	return unknown_word(word, at + 1, err);
}

static bool begins_word(struct rc_str text, size_t at)
{
	return text.ptr[at] == '{' && at + 1 < text.len && text.ptr[at + 1] >= 'a' &&
	       text.ptr[at + 1] <= 'z';
}

static bool opens_block(enum load_part_kind kind)
{
	return kind == LOAD_PART_U8_BLOCK || kind == LOAD_PART_U16_BLOCK ||
	       kind == LOAD_PART_MQTT_BLOCK;
}

/* depth: of blocks that are open before this part; column: where it stands. */
static int nest(uint32_t *depth, enum load_part_kind kind, size_t column, struct rc_error *err)
{
	if (kind == LOAD_PART_END && *depth == 0) {
		rc_error_set(err, "{end} at column %zu closes nothing; take it away", column);
		return -EINVAL;
	}
	if (opens_block(kind) && *depth == LOAD_DEPTH_MAX) {
		rc_error_set(err, "the block at column %zu lies more than %u deep; use fewer",
			column, LOAD_DEPTH_MAX);
		return -EINVAL;
	}
	*depth += opens_block(kind) ? 1 : 0;
	*depth -= kind == LOAD_PART_END ? 1 : 0;
	return 0;
}

static void add_byte(struct load_template *t, uint32_t *used, char byte)
{
	if (t->parts == 0 || t->part[t->parts - 1].kind != LOAD_PART_LITERAL)
		t->part[t->parts++] = (struct load_part){.kind = LOAD_PART_LITERAL, .first = *used};
	t->part[t->parts - 1].len++;
	t->bytes[(*used)++] = byte;
}

static int compile(struct load_template *t, struct rc_str text, struct rc_error *err)
{
	uint32_t used = 0, depth = 0;
	enum load_part_kind kind = LOAD_PART_LITERAL;
	char byte;
	int taken;

	for (size_t at = 0; at < text.len; at += (size_t)taken) {
		if (begins_word(text, at)) {
			taken = take_word(text, at, &kind, err);
			if (taken < 0 || nest(&depth, kind, at + 1, err) < 0)
				return -EINVAL;
			t->part[t->parts++] = (struct load_part){.kind = kind};
			continue;
		}
		byte = text.ptr[at];
		taken = byte == '\\' ? take_escape(text, at, &byte, err) : 1;
		if (taken < 0)
			return taken;
		add_byte(t, &used, byte);
	}
	if (depth > 0) {
		rc_error_set(
			err, "a block has no {end}; add %u at the end or where it closes", depth);
		return -EINVAL;
	}
	return 0;
}

int load_template_compile(struct load_template **out, struct rc_str text, struct rc_error *err)
{
	struct load_template *t;
	int rc;

	*out = NULL;
	if (text.len > UINT16_MAX) {
		rc_error_set(err, "a template of %zu bytes is too long; %d are allowed", text.len,
			UINT16_MAX);
		return -EINVAL;
	}
	/* No more parts than bytes. */
	t = calloc(1, sizeof(*t) + text.len * (sizeof(t->part[0]) + 1));
	if (!t) {
		rc_error_set(err, "out of memory for a template; free some");
		return -ENOMEM;
	}
	t->bytes = (char *)(t->part + text.len);
	rc = compile(t, text, err);
	if (rc < 0) {
		free(t);
		return rc;
	}
	*out = t;
	return 0;
}

void load_template_free(struct load_template *t)
{
	free(t);
}

int load_text_unescape(char *out, struct rc_str text, struct rc_error *err)
{
	int len = 0, taken;

	for (size_t at = 0; at < text.len; at += (size_t)taken) {
		out[len] = text.ptr[at];
		taken = text.ptr[at] == '\\' ? take_escape(text, at, &out[len], err) : 1;
		if (taken < 0)
			return taken;
		len++;
	}
	return len;
}
