/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar of extensions (RFC 6455, 9.1), and the four parameters of the one that is known. See wsdeflate.h.
 *
 *   list  = element *( "," element )        elements may be empty (RFC 9110, 5.6.1)
 *   element = token *( ";" token [ "=" ( token | quoted token ) ] )
 */
#include "proto/wsdeflate.h"

#include <stdio.h>

enum param {
	SERVER_NO_CONTEXT = 1,
	CLIENT_NO_CONTEXT = 2,
	SERVER_BITS = 4,
	CLIENT_BITS = 8,
};

static const struct {
	struct rc_str name;
	enum param param;
} params[] = {
	{RC_STR("server_no_context_takeover"), SERVER_NO_CONTEXT},
	{RC_STR("client_no_context_takeover"), CLIENT_NO_CONTEXT},
	{RC_STR("server_max_window_bits"), SERVER_BITS},
	{RC_STR("client_max_window_bits"), CLIENT_BITS},
};

/* What one element says. */
struct element {
	bool named;       /* there is one: it is not empty */
	bool ours;        /* permessage-deflate */
	bool declined;    /* something of it can't be granted, or is nothing that may be offered */
	unsigned seen;    /* params */
	uint8_t bits;     /* server_max_window_bits */
	bool client_bits; /* client_max_window_bits has a value */
};

/* ---- the letters -------------------------------------------------------------------------------- */

static bool token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static void skip_space(struct rc_str *at)
{
	while (at->len > 0 && (*at->ptr == ' ' || *at->ptr == '\t')) {
		at->ptr++;
		at->len--;
	}
}

/* The next letter, when it is that one; white space around it is passed over. */
static bool take(struct rc_str *at, char c)
{
	skip_space(at);
	if (at->len == 0 || *at->ptr != c)
		return false;
	at->ptr++;
	at->len--;
	skip_space(at);
	return true;
}

static bool take_token(struct rc_str *at, struct rc_str *out)
{
	out->ptr = at->ptr;
	out->len = 0;
	while (out->len < at->len && token_char(at->ptr[out->len]))
		out->len++;
	at->ptr += out->len;
	at->len -= out->len;
	return out->len > 0;
}

/* A token in quotes. No value that is known is longer than two letters: of a longer one only that it is too long is told. */
static bool take_quoted(struct rc_str *at, char text[3], struct rc_str *out)
{
	size_t len = 0;

	for (;;) {
		if (at->len == 0)
			return false;
		char c = *at->ptr;
		at->ptr++;
		at->len--;
		if (c == '"')
			break;
		if (c == '\\') {
			if (at->len == 0)
				return false;
			c = *at->ptr;
			at->ptr++;
			at->len--;
		}
		/* What is in the quotes must be a token when they are gone. */
		if (!token_char(c))
			return false;
		if (len < 3)
			text[len] = c;
		len = RC_MIN(len + 1, (size_t)3);
	}
	*out = (struct rc_str){text, len};
	return len > 0;
}

/* ---- parameters --------------------------------------------------------------------------------- */

/* 8 to 15 in decimal without a zero in front; 0: it is nothing of that. */
static uint8_t bits_of(struct rc_str value)
{
	if (value.len == 1 && (value.ptr[0] == '8' || value.ptr[0] == '9'))
		return (uint8_t)(value.ptr[0] - '0');
	if (value.len == 2 && value.ptr[0] == '1' && value.ptr[1] >= '0' && value.ptr[1] <= '5')
		return (uint8_t)(10 + value.ptr[1] - '0');
	return 0;
}

/* value: NULL when it has none. False: the element can't be granted. */
static bool take_param(struct element *e, struct rc_str name, const struct rc_str *value)
{
	enum param param = 0;
	uint8_t bits = value ? bits_of(*value) : 0;

	for (size_t i = 0; i < RC_ARRAY_LEN(params); i++) {
		if (rc_str_eq(name, params[i].name))
			param = params[i].param;
	}
	if (param == 0 || (e->seen & param))
		return false;
	e->seen |= param;
	switch (param) {
	case SERVER_BITS:
		e->bits = bits;
		return bits != 0;
	case CLIENT_BITS:
		e->client_bits = bits != 0;
		return !value || bits != 0;
	default:
		return !value;
	}
}

/* One element and the comma behind it. False: against the grammar. */
static bool take_element(struct rc_str *at, struct element *out)
{
	struct rc_str name, value;
	char text[3];

	*out = (struct element){0};
	skip_space(at);
	if (at->len == 0 || take(at, ','))
		return true;
	if (!take_token(at, &name))
		return false;
	out->named = true;
	out->ours = rc_str_eq(name, RC_STR("permessage-deflate"));
	while (take(at, ';')) {
		if (!take_token(at, &name))
			return false;
		bool valued = take(at, '=');
		if (valued &&
			!(take(at, '"') ? take_quoted(at, text, &value) : take_token(at, &value)))
			return false;
		if (out->ours && !take_param(out, name, valued ? &value : NULL))
			out->declined = true;
	}
	return at->len == 0 || take(at, ',');
}

/* ---- offers and answers ------------------------------------------------------------------------- */

enum rc_ws_offer rc_ws_deflate_offer(struct rc_str line, struct rc_ws_deflate *out)
{
	enum rc_ws_offer result = RC_WS_OFFER_NONE;
	struct element e;

	*out = (struct rc_ws_deflate){0};
	while (line.len > 0) {
		if (!take_element(&line, &e)) {
			*out = (struct rc_ws_deflate){0};
			return RC_WS_OFFER_BAD;
		}
		if (!e.ours || result == RC_WS_OFFER_TAKEN)
			continue;
		result = RC_WS_OFFER_DECLINED;
		if (e.declined || ((e.seen & SERVER_BITS) && e.bits < RC_DEFLATE_BITS_MIN))
			continue;
		out->told = e.seen & SERVER_BITS;
		out->window_bits = out->told ? e.bits : RC_DEFLATE_BITS_MAX;
		result = RC_WS_OFFER_TAKEN;
	}
	return result;
}

size_t rc_ws_deflate_answer(const struct rc_ws_deflate *d, char out[RC_WS_DEFLATE_ANSWER_MAX])
{
	char bits[sizeof("; server_max_window_bits=15")] = "";
	int len;

	RC_ASSERT(d->window_bits >= RC_DEFLATE_BITS_MIN && d->window_bits <= RC_DEFLATE_BITS_MAX);
	if (d->told)
		(void)snprintf(bits, sizeof(bits), "; server_max_window_bits=%u",
			(unsigned)(d->window_bits & 15));
	len = snprintf(out, RC_WS_DEFLATE_ANSWER_MAX, "%s%s", RC_WS_DEFLATE_OFFER, bits);
	RC_ASSERT(len > 0 && (size_t)len < RC_WS_DEFLATE_ANSWER_MAX);
	return (size_t)len;
}

bool rc_ws_deflate_answered(struct rc_str value)
{
	struct element e, rest;

	if (!take_element(&value, &e) || !e.ours || e.declined)
		return false;
	while (value.len > 0) {
		if (!take_element(&value, &rest) || rest.named)
			return false;
	}
	/* client_max_window_bits only comes to whom offered it. */
	return (e.seen & SERVER_NO_CONTEXT) && !(e.seen & CLIENT_BITS);
}
