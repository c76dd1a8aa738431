/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters compiled: one pass over the text, a term at a time. Where a term leads is not known before what stands behind it is read, so each
 * part of the expression has a set of exits that are still open, two bits per term; `not` swaps the two sets, `and` and `or` close one
 * of the left side's. The canonical form is written along the way. See filter.h.
 */
#include "proto/filter.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "proto/json.h"
#include "proto/json_scan.h"

struct compiler {
	const char *start, *p, *end;
	struct rc_filter *f;
	char *canonical;
	size_t canonical_len;
	size_t pool_len;
	uint32_t depth;
	bool full; /* the canonical form is longer than it may be */
	struct rc_filter_fault *fault;
};

/* The open ends of a part: bit n for the side of term n that is true, bit 32 + n for the one that is false. */
struct exits {
	uint64_t yes, no;
};

static int RC_PRINTF(3, 4) blame(struct compiler *c, const char *at, const char *format, ...)
{
	char why[96];
	va_list args;

	c->fault->at = (uint32_t)(at - c->start) + 1;
	va_start(args, format);
	(void)vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	(void)snprintf(c->fault->message, sizeof(c->fault->message), "filter, byte %u: %s",
		c->fault->at, why);
	return -EINVAL;
}

/* ---- the canonical form ------------------------------------------------------------------------- */

static void say_bytes(struct compiler *c, const char *bytes, size_t len)
{
	c->full |= len > RC_FILTER_TEXT_MAX - c->canonical_len;
	if (c->full)
		return;
	memcpy(c->canonical + c->canonical_len, bytes, len);
	c->canonical_len += len;
}

static void say(struct compiler *c, const char *text)
{
	say_bytes(c, text, strlen(text));
}

static void say_char(struct compiler *c, char ch)
{
	static const char controls[5] = {'\b', '\f', '\n', '\r', '\t'}, letters[] = "bfnrt";
	char text[8];

	if ((unsigned char)ch < 0x20) {
		const char *at = memchr(controls, ch, sizeof(controls));
		if (at)
			(void)snprintf(text, sizeof(text), "\\%c", letters[at - controls]);
		else
			(void)snprintf(text, sizeof(text), "\\u%04x", (unsigned)ch);
		say(c, text);
		return;
	}
	if (ch == '\'' || ch == '\\')
		say(c, "\\");
	say_bytes(c, &ch, 1);
}

/* ---- words -------------------------------------------------------------------------------------- */

static void skip_space(struct compiler *c)
{
	c->p = rc_scan_skip_space(c->p, c->end);
}

static bool name_begins(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' || ch == '$' ||
	       (unsigned char)ch >= 0x80;
}

static bool name_goes_on(char ch)
{
	return name_begins(ch) || rc_scan_is_digit(ch) || ch == '-';
}

/* The word that stands here; empty when none does. */
static struct rc_str peek_word(const struct compiler *c)
{
	const char *p = c->p;

	if (p < c->end && name_begins(*p)) {
		while (p < c->end && name_goes_on(*p))
			p++;
	}
	return (struct rc_str){c->p, (size_t)(p - c->p)};
}

static bool same_word(struct rc_str word, const char *lower)
{
	if (word.len != strlen(lower))
		return false;
	for (size_t i = 0; i < word.len; i++) {
		if ((word.ptr[i] | 0x20) != lower[i])
			return false;
	}
	return true;
}

/* Past white space and that word, where it stands next. */
static bool take_word(struct compiler *c, const char *lower)
{
	skip_space(c);
	struct rc_str word = peek_word(c);
	if (!same_word(word, lower))
		return false;
	c->p += word.len;
	return true;
}

static bool take_char(struct compiler *c, char ch)
{
	skip_space(c);
	if (c->p == c->end || *c->p != ch)
		return false;
	c->p++;
	return true;
}

/* ---- strings ------------------------------------------------------------------------------------ */

/* A literal, unescaped; the stars that stand for anything are marked. */
struct literal {
	char bytes[RC_FILTER_LITERAL_MAX];
	bool star[RC_FILTER_LITERAL_MAX];
	uint32_t len;
	bool pattern;
};

/* p is at a backslash. Decodes what it begins into out, at most 4 bytes; 0: it is no escape. Moves p behind it. */
static size_t take_escape(struct compiler *c, char out[4])
{
	char quoted[16] = "\"";
	const char *p = c->p;
	size_t len = 2;

	if (c->end - p >= 2 && (p[1] == '\'' || p[1] == '*')) {
		out[0] = p[1];
		c->p += 2;
		return 1;
	}
	if (c->end - p >= 2 && p[1] == 'u') {
		int code = rc_scan_hex4(p + 2, c->end);
		if (code < 0)
			return 0;
		len = code >= 0xd800 && code <= 0xdbff ? 12 : 6;
	}
	if ((size_t)(c->end - p) < len)
		return 0;
	memcpy(quoted + 1, p, len);
	quoted[1 + len] = '"';
	int bytes = rc_json_string_decode((struct rc_str){quoted, len + 2}, out, 4);
	if (bytes <= 0)
		return 0;
	c->p += len;
	return (size_t)bytes;
}

static int take_string(struct compiler *c, struct literal *out, bool stars)
{
	const char *start = c->p;
	char quote = *c->p++;

	out->len = 0;
	out->pattern = false;
	for (;;) {
		char bytes[4];
		size_t len = 1;
		bool star = false;

		if (c->p == c->end)
			return blame(c, start, "this string has no end");
		if (*c->p == quote)
			break;
		if ((unsigned char)*c->p < 0x20)
			return blame(c, c->p, "a control character in a string must be escaped");
		if (*c->p == '\\') {
			const char *at = c->p;
			len = take_escape(c, bytes);
			if (len == 0)
				return blame(c, at, "this escape is none");
		} else {
			bytes[0] = *c->p++;
			star = stars && bytes[0] == '*';
		}
		/* Two stars are one. */
		if (star && out->len && out->star[out->len - 1])
			continue;
		if (len > RC_FILTER_LITERAL_MAX - out->len)
			return blame(c, start, "this string is longer than %u bytes",
				RC_FILTER_LITERAL_MAX);
		memcpy(out->bytes + out->len, bytes, len);
		memset(out->star + out->len, star, len);
		out->len += (uint32_t)len;
		out->pattern |= star;
	}
	c->p++;
	return 0;
}

static void say_literal(struct compiler *c, const struct literal *s)
{
	say(c, "'");
	for (uint32_t i = 0; i < s->len; i++) {
		if (s->bytes[i] == '*' && !s->star[i])
			say(c, "\\");
		say_char(c, s->bytes[i]);
	}
	say(c, "'");
}

static unsigned char *pool(struct compiler *c, size_t len)
{
	unsigned char *at = c->f->pool + c->pool_len;

	RC_ASSERT(len <= RC_FILTER_POOL_MAX - c->pool_len);
	c->pool_len += len;
	return at;
}

/* How far each beginning of the piece is a beginning of it again. */
static void put_table(const char *bytes, uint32_t len, unsigned char *table)
{
	uint32_t k = 0;

	table[0] = 0;
	for (uint32_t i = 1; i < len; i++) {
		while (k && bytes[i] != bytes[k])
			k = table[k - 1];
		k += bytes[i] == bytes[k];
		table[i] = (unsigned char)k;
	}
}

static void put_pattern(struct compiler *c, const struct literal *s)
{
	unsigned char *head = pool(c, RC_FILTER_PATTERN_HEAD);

	head[0] = s->star[0];
	head[1] = s->star[s->len - 1];
	head[2] = 0;
	for (uint32_t i = 0; i < s->len;) {
		uint32_t len = 0;
		if (s->star[i]) {
			i++;
			continue;
		}
		while (i + len < s->len && !s->star[i + len])
			len++;
		unsigned char *piece = pool(c, 2 + 2 * (size_t)len);
		piece[0] = (unsigned char)(len & 0xff);
		piece[1] = (unsigned char)(len >> 8);
		memcpy(piece + 2, s->bytes + i, len);
		put_table(s->bytes + i, len, piece + 2 + len);
		head[2]++;
		i += len;
	}
}

/* ---- fields and literals ------------------------------------------------------------------------ */

static bool plain_name(const struct literal *s)
{
	for (uint32_t i = 0; i < s->len; i++) {
		if (!(i ? name_goes_on(s->bytes[i]) : name_begins(s->bytes[i])))
			return false;
	}
	return s->len > 0;
}

static int put_field(struct compiler *c, const struct literal *s, uint8_t *field)
{
	struct rc_filter *f = c->f;

	for (uint8_t i = 0; i < f->fields; i++) {
		if (f->field[i].len == s->len &&
			memcmp(f->pool + f->field[i].at, s->bytes, s->len) == 0) {
			*field = i;
			return 0;
		}
	}
	/* Each comparison has one at most; this is of one too many. */
	if (f->fields == RC_FILTER_TERMS_MAX)
		return blame(c, c->p, "more than %u comparisons", RC_FILTER_TERMS_MAX);
	*field = f->fields;
	f->field[f->fields++] = (struct rc_filter_name){(uint16_t)c->pool_len, (uint16_t)s->len};
	memcpy(pool(c, s->len), s->bytes, s->len);
	return 0;
}

static int take_data_field(struct compiler *c, uint8_t *field)
{
	struct literal name = {.len = 0};
	struct rc_str word;

	if (!take_char(c, '.'))
		return blame(c, c->p, "data is compared by its members: data.name");
	skip_space(c);
	word = peek_word(c);
	if (c->p < c->end && (*c->p == '\'' || *c->p == '"')) {
		if (take_string(c, &name, false) < 0)
			return -EINVAL;
	} else if (word.len == 0 || word.len > RC_FILTER_LITERAL_MAX) {
		return blame(c, c->p, "expected the name of a member, of at most %u bytes",
			RC_FILTER_LITERAL_MAX);
	} else {
		memcpy(name.bytes, word.ptr, word.len);
		name.len = (uint32_t)word.len;
		c->p += word.len;
	}
	skip_space(c);
	if (c->p < c->end && (*c->p == '.' || *c->p == '['))
		return blame(c, c->p, "only members of data itself can be compared");
	say(c, "data.");
	if (plain_name(&name))
		say_bytes(c, name.bytes, name.len);
	else
		say_literal(c, &name);
	return put_field(c, &name, field);
}

static int take_field(struct compiler *c, uint8_t *field)
{
	if (take_word(c, "event")) {
		say(c, "event");
		*field = RC_FILTER_EVENT;
		return 0;
	}
	if (take_word(c, "data"))
		return take_data_field(c, field);
	return blame(c, c->p,
		c->p == c->end ? "expected event or data.name, and it ends here"
			       : "expected event or data.name");
}

static int take_number(struct compiler *c, struct rc_filter_term *t)
{
	const char *start = c->p;
	char text[32];

	while (c->p < c->end &&
		(name_goes_on(*c->p) || *c->p == '.' || *c->p == '+' || *c->p == '-'))
		c->p++;
	struct rc_str raw = {start, (size_t)(c->p - start)};
	if (rc_json_validate(raw, 0) < 0)
		return blame(c, start, "this is no number");
	t->number = rc_filter_number(raw);
	if (__builtin_isinf(t->number))
		return blame(c, start, "this number is out of range");
	if (t->number == 0)
		t->number = 0; /* without a sign */
	/* The shortest text that is the same number. */
	for (int digits = 15; digits <= 17; digits++) {
		int len = snprintf(text, sizeof(text), "%.*g", digits, t->number);
		if (rc_filter_number((struct rc_str){text, (size_t)len}) == t->number)
			break;
	}
	say(c, text);
	t->kind = RC_FILTER_NUMBER;
	return 0;
}

static int take_text(struct compiler *c, struct rc_filter_term *t)
{
	bool ordered = t->order != RC_FILTER_EQ && t->order != RC_FILTER_NE;
	const char *start = c->p;
	struct literal s;

	if (take_string(c, &s, true) < 0)
		return -EINVAL;
	if (s.pattern && ordered)
		return blame(c, start, "a pattern has no order; a star itself is written \\*");
	say_literal(c, &s);
	t->at = (uint16_t)c->pool_len;
	t->kind = s.pattern ? RC_FILTER_PATTERN : RC_FILTER_STRING;
	if (s.pattern)
		put_pattern(c, &s);
	else
		memcpy(pool(c, s.len), s.bytes, s.len);
	t->len = (uint16_t)(c->pool_len - t->at);
	return 0;
}

static int take_literal(struct compiler *c, struct rc_filter_term *t)
{
	static const char *const words[] = {"false", "true", "null"};
	bool ordered = t->order != RC_FILTER_EQ && t->order != RC_FILTER_NE;

	skip_space(c);
	if (c->p < c->end && (*c->p == '\'' || *c->p == '"'))
		return take_text(c, t);
	if (c->p < c->end && (*c->p == '-' || rc_scan_is_digit(*c->p)))
		return take_number(c, t);
	for (uint32_t i = 0; i < RC_ARRAY_LEN(words); i++) {
		const char *start = c->p;
		if (!take_word(c, words[i]))
			continue;
		if (ordered)
			return blame(c, start, "%s has no order", words[i]);
		say(c, words[i]);
		t->kind = i == 2 ? RC_FILTER_NULL : RC_FILTER_BOOL;
		t->number = i;
		return 0;
	}
	return blame(c, c->p, "expected a value: 'text', a number, true, false or null");
}

/* ---- terms -------------------------------------------------------------------------------------- */

static int add_term(
	struct compiler *c, const char *at, const struct rc_filter_term *t, struct exits *out)
{
	uint8_t i = c->f->terms;

	if (i == RC_FILTER_TERMS_MAX)
		return blame(c, at, "more than %u comparisons", RC_FILTER_TERMS_MAX);
	c->f->term[i] = *t;
	c->f->terms++;
	*out = (struct exits){1ull << i, 1ull << (32 + i)};
	return 0;
}

/* All of these lead there. */
static void lead(struct compiler *c, uint64_t exits, uint8_t to)
{
	for (; exits; exits &= exits - 1) {
		uint32_t bit = (uint32_t)__builtin_ctzll(exits);
		if (bit < 32)
			c->f->term[bit].yes = to;
		else
			c->f->term[bit - 32].no = to;
	}
}

static bool take_order(struct compiler *c, uint8_t *order)
{
	static const struct {
		const char *text, *canonical;
		uint8_t order;
	} known[] = {{"==", " = ", RC_FILTER_EQ}, {"!=", " != ", RC_FILTER_NE},
		{"<>", " != ", RC_FILTER_NE}, {"<=", " <= ", RC_FILTER_LE},
		{">=", " >= ", RC_FILTER_GE}, {"=", " = ", RC_FILTER_EQ},
		{"<", " < ", RC_FILTER_LT}, {">", " > ", RC_FILTER_GT}};

	skip_space(c);
	for (uint32_t i = 0; i < RC_ARRAY_LEN(known); i++) {
		struct rc_str rest = {c->p, (size_t)(c->end - c->p)};
		if (!rc_str_starts(rest, rc_str_of(known[i].text)))
			continue;
		c->p += strlen(known[i].text);
		say(c, known[i].canonical);
		*order = known[i].order;
		return true;
	}
	return false;
}

/* Any of them: each leads to the next while it is false. */
static int take_list(struct compiler *c, uint8_t field, struct exits *out)
{
	struct exits one = {0, 0};

	*out = (struct exits){0, 0};
	if (!take_char(c, '('))
		return blame(c, c->p, "expected ( and the values");
	say(c, "(");
	do {
		struct rc_filter_term t = {.order = RC_FILTER_EQ, .field = field};
		if (out->yes)
			say(c, ", ");
		skip_space(c);
		const char *at = c->p;
		if (take_literal(c, &t) < 0)
			return -EINVAL;
		lead(c, out->no, c->f->terms);
		if (add_term(c, at, &t, &one) < 0)
			return -EINVAL;
		out->yes |= one.yes;
		out->no = one.no;
	} while (take_char(c, ','));
	if (!take_char(c, ')'))
		return blame(c, c->p, "expected , or )");
	say(c, ")");
	return 0;
}

static int take_comparison(struct compiler *c, struct exits *out)
{
	struct rc_filter_term t = {.kind = RC_FILTER_HAS};
	const char *at;

	skip_space(c);
	at = c->p;
	if (take_word(c, "has")) {
		say(c, "has ");
		if (take_field(c, &t.field) < 0)
			return -EINVAL;
		return add_term(c, at, &t, out);
	}
	if (take_field(c, &t.field) < 0)
		return -EINVAL;
	if (take_word(c, "in")) {
		say(c, " in ");
		return take_list(c, t.field, out);
	}
	if (take_word(c, "not")) {
		struct exits in = {0, 0};
		if (!take_word(c, "in"))
			return blame(c, c->p, "expected in");
		say(c, " not in ");
		if (take_list(c, t.field, &in) < 0)
			return -EINVAL;
		*out = (struct exits){in.no, in.yes};
		return 0;
	}
	if (!take_order(c, &t.order))
		return blame(c, c->p, "expected one of = != < <= > >= in");
	if (take_literal(c, &t) < 0)
		return -EINVAL;
	return add_term(c, at, &t, out);
}

/* ---- the expression ----------------------------------------------------------------------------- */

static int take_or(struct compiler *c, struct exits *out);

static int take_factor(struct compiler *c, struct exits *out)
{
	bool negated = false;
	struct exits in = {0, 0};
	int rc;

	while (take_word(c, "not"))
		negated = !negated;
	if (negated)
		say(c, "not ");
	if (take_char(c, '(')) {
		if (++c->depth > RC_FILTER_DEPTH_MAX)
			return blame(c, c->p - 1, "parentheses nest deeper than %u",
				RC_FILTER_DEPTH_MAX);
		say(c, "(");
		rc = take_or(c, &in);
		if (rc == 0 && !take_char(c, ')'))
			return blame(c, c->p, "expected and, or, or )");
		say(c, ")");
		c->depth--;
	} else {
		rc = take_comparison(c, &in);
	}
	if (rc < 0)
		return rc;
	*out = negated ? (struct exits){in.no, in.yes} : in;
	return 0;
}

static int take_and(struct compiler *c, struct exits *out)
{
	struct exits right = {0, 0};

	if (take_factor(c, out) < 0)
		return -EINVAL;
	while (take_word(c, "and")) {
		say(c, " and ");
		lead(c, out->yes, c->f->terms);
		if (take_factor(c, &right) < 0)
			return -EINVAL;
		*out = (struct exits){right.yes, out->no | right.no};
	}
	return 0;
}

static int take_or(struct compiler *c, struct exits *out)
{
	struct exits right = {0, 0};

	if (take_and(c, out) < 0)
		return -EINVAL;
	while (take_word(c, "or")) {
		say(c, " or ");
		lead(c, out->no, c->f->terms);
		if (take_and(c, &right) < 0)
			return -EINVAL;
		*out = (struct exits){out->yes | right.yes, right.no};
	}
	return 0;
}

int rc_filter_compile(struct rc_str text, struct rc_filter *out, char canonical[RC_FILTER_TEXT_MAX],
	size_t *canonical_len, struct rc_filter_fault *fault)
{
	struct compiler c = {.f = out, .canonical = canonical, .fault = fault};
	struct exits exits = {0, 0};

	c.start = c.p = text.ptr;
	c.end = text.len ? text.ptr + text.len : text.ptr;
	*canonical_len = 0;
	memset(out, 0, offsetof(struct rc_filter, pool));
	if (text.len > RC_FILTER_TEXT_MAX)
		return blame(&c, c.start + RC_FILTER_TEXT_MAX, "longer than %u bytes",
			RC_FILTER_TEXT_MAX);
	if (!rc_utf8_valid(text.ptr, text.len))
		return blame(&c, c.start, "not UTF-8");
	if (take_or(&c, &exits) < 0)
		return -EINVAL;
	skip_space(&c);
	if (c.p < c.end)
		return blame(&c, c.p, "expected and, or, or the end");
	if (c.full)
		return blame(&c, c.end, "longer than %u bytes when it is written out",
			RC_FILTER_TEXT_MAX);
	lead(&c, exits.yes, RC_FILTER_TRUE);
	lead(&c, exits.no, RC_FILTER_FALSE);
	/* A multiple of 8, so that several programs may stand in a row. */
	while (c.pool_len % 8)
		*pool(&c, 1) = 0;
	out->size = (uint16_t)(offsetof(struct rc_filter, pool) + c.pool_len);
	*canonical_len = c.canonical_len;
	return 0;
}
