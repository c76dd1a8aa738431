/* SPDX-License-Identifier: Apache-2.0 */
#include "emit.h"

#include <inttypes.h>
#include <math.h>

#include "base/utf8.h"
#include "proto/json.h"

static void string(FILE *out, const char *text)
{
	char escaped[6];
	fputc('"', out);
	/* Character by character: one that is cut off or wrong costs itself alone. */
	for (size_t len; *text; text += len) {
		size_t left = strnlen(text, 4);
		for (len = 1; len < left && !rc_utf8_valid(text, len);)
			len++;
		struct rc_str one = {text, len};
		if (!rc_utf8_valid(text, len)) {
			one = RC_STR("?");
			len = 1;
		}
		/* At most six bytes for one, and what has several stays as it is. */
		size_t size = rc_json_escape(escaped, one);
		fwrite(escaped, 1, size, out);
	}
	fputc('"', out);
}

static void begin(struct load_emit *e, const char *key)
{
	if (e->another)
		fputc(',', e->out);
	e->another = true;
	if (key) {
		string(e->out, key);
		fputc(':', e->out);
	}
}

void load_emit_open(struct load_emit *e, const char *key, char bracket)
{
	begin(e, key);
	fputc(bracket, e->out);
	e->another = false;
}

void load_emit_close(struct load_emit *e, char bracket)
{
	fputc(bracket, e->out);
	e->another = true;
}

void load_emit_u64(struct load_emit *e, const char *key, uint64_t value)
{
	begin(e, key);
	fprintf(e->out, "%" PRIu64, value);
}

void load_emit_real(struct load_emit *e, const char *key, double value, int digits)
{
	begin(e, key);
	if (isfinite(value))
		fprintf(e->out, "%.*f", digits, value);
	else
		fputs("null", e->out);
}

void load_emit_bool(struct load_emit *e, const char *key, bool value)
{
	begin(e, key);
	fputs(value ? "true" : "false", e->out);
}

void load_emit_text(struct load_emit *e, const char *key, const char *text)
{
	begin(e, key);
	string(e->out, text);
}

void load_emit_null(struct load_emit *e, const char *key)
{
	begin(e, key);
	fputs("null", e->out);
}
