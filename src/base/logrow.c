/* SPDX-License-Identifier: Apache-2.0 */
#include "base/logrow.h"

#include "base/clock.h"
#include "base/utf8.h"

/* What closes a line: ,"cut":true}\n */
#define TAIL 16u
/* The longest that a character becomes. */
#define ESCAPE_MAX 6

/* What is written is either there as a whole or not at all. */
struct writer {
	char *at, *end;
	bool full;
};

static void add(struct writer *w, const char *bytes, size_t len)
{
	if ((size_t)(w->end - w->at) < len) {
		w->full = true;
		return;
	}
	memcpy(w->at, bytes, len);
	w->at += len;
}

static void add_text(struct writer *w, const char *text)
{
	add(w, text, strlen(text));
}

static void add_hex(struct writer *w, const char *mark, uint32_t value, int digits)
{
	static const char hex[] = "0123456789abcdef";

	add_text(w, mark);
	for (int i = digits - 1; i >= 0; i--)
		add(w, &hex[value >> (4 * i) & 15], 1);
}

/* The bytes of the character that begins there, and itself; 0: none begins there. */
static size_t character(const unsigned char *p, size_t left, uint32_t *code)
{
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	if (len > left || !rc_utf8_valid(p, len))
		return 0;
	*code = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++)
		*code = *code << 6 | (p[i] & 0x3fu);
	return len;
}

/* Controls, and what ends lines or turns their direction. */
static bool hidden(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200e && code <= 0x200f) ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
	       code == 0xfeff;
}

/* Between quotes. Returns whether all of it was taken. */
static bool add_escaped(struct writer *w, struct rc_str value, bool json, size_t most)
{
	const unsigned char *p = (const unsigned char *)value.ptr;
	size_t at = 0;

	while (at < value.len) {
		uint32_t code = 0;
		size_t len = character(p + at, value.len - at, &code);

		/* Room for a quote is left. */
		if (at + RC_MAX(len, (size_t)1) > most || w->end - w->at <= ESCAPE_MAX)
			return false;
		if (!len) {
			if (json)
				add_text(w, "\\ufffd");
			else
				add_hex(w, "\\x", p[at], 2);
			len = 1;
		} else if (hidden(code)) {
			add_hex(w, "\\u", code, 4);
		} else {
			if (code == '"' || code == '\\')
				add_text(w, "\\");
			add(w, value.ptr + at, len);
		}
		at += len;
	}
	return true;
}

/* Text that needs no quotes to be told from its neighbours. */
static bool bare(struct rc_str value)
{
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\')
			return false;
	}
	return value.len != 0 && value.len <= RC_LOGROW_VALUE_MAX;
}

static struct writer begin(struct rc_logrow *r, const char *key)
{
	struct writer w = {r->text + r->len, r->text + sizeof(r->text) - TAIL, false};

	add_text(&w, r->json ? ",\"" : " ");
	add_text(&w, key);
	add_text(&w, r->json ? "\":" : "=");
	return w;
}

static void end(struct rc_logrow *r, const struct writer *w)
{
	if (w->full)
		r->cut = true;
	else
		r->len = (size_t)(w->at - r->text);
}

void rc_logrow_begin(struct rc_logrow *r, enum rc_level level, struct rc_str msg)
{
	char iso[RC_ISO8601_LEN];
	struct writer w = {r->text, r->text + sizeof(r->text) - TAIL, false};

	r->json = rc_logline_is_json();
	r->cut = false;
	rc_clock_iso8601(rc_clock_wall_ms(), iso);
	if (r->json)
		add_text(&w, "{\"ts\":\"");
	add(&w, iso, sizeof(iso));
	add_text(&w, r->json ? "\",\"level\":\"" : " ");
	add_text(&w, rc_logline_level_name(level));
	add_text(&w, r->json                                            ? "\",\"msg\":\""
		     : level == RC_LEVEL_WARN || level == RC_LEVEL_INFO ? "  "
									: " ");
	r->cut = !add_escaped(&w, msg, r->json, sizeof(r->text));
	if (r->json)
		add_text(&w, "\"");
	r->len = (size_t)(w.at - r->text);
}

void rc_logrow_text(struct rc_logrow *r, const char *key, struct rc_str value)
{
	struct writer w = begin(r, key);
	bool quoted = r->json || !bare(value), whole;

	if (quoted)
		add_text(&w, "\"");
	whole = quoted ? add_escaped(&w, value, r->json, RC_LOGROW_VALUE_MAX)
		       : (add(&w, value.ptr, value.len), true);
	if (quoted)
		add_text(&w, "\"");
	end(r, &w);
	r->cut |= !whole;
}

void rc_logrow_number(struct rc_logrow *r, const char *key, uint64_t value)
{
	struct writer w = begin(r, key);
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	add(&w, digits + at, sizeof(digits) - at);
	end(r, &w);
}

void rc_logrow_true(struct rc_logrow *r, const char *key)
{
	struct writer w = begin(r, key);

	add_text(&w, "true");
	end(r, &w);
}

void rc_logrow_close(struct rc_logrow *r)
{
	struct writer w = {r->text + r->len, r->text + sizeof(r->text), false};

	if (r->cut)
		add_text(&w, r->json ? ",\"cut\":true" : " cut=true");
	add_text(&w, r->json ? "}\n" : "\n");
	r->len = (size_t)(w.at - r->text);
}

void rc_logrow_end(struct rc_logrow *r, enum rc_log_where where)
{
	rc_logrow_close(r);
	rc_logline_put(where, r->text, r->len);
}
