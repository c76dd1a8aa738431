/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/wish.h"

#include "serve/acked.h"
#include "serve/binary.h"
#include "proto/filter.h"

#define RATE_MIN 0.001

bool rc_wish_named(struct rc_str name)
{
	static const char *const words[] = {
		"filter", "rate", "key", "window", "summary", "ack", "batch"};

	for (size_t i = 0; i < RC_ARRAY_LEN(words); i++) {
		if (rc_str_eq(name, rc_str_of(words[i])))
			return true;
	}
	return false;
}

bool rc_wish_is_raw(const struct rc_serve *sv, struct rc_str name)
{
	return rc_hub_is_raw(sv->hub, sv->hub->port.namespace_of(sv->hub->port.ctx, name), name);
}

/* ---- the words of a message --------------------------------------------------------------------- */

static bool read_filter(struct rc_json_value v, struct rc_wish *out, struct rc_msg_fault *fault)
{
	static _Thread_local struct rc_filter compiled;
	char text[RC_FILTER_TEXT_MAX];
	struct rc_filter_fault why;
	size_t len;

	if (v.kind == RC_JSON_NONE)
		return true;
	if (v.kind != RC_JSON_STRING) {
		rc_msg_blame(fault, "bad_filter", "'filter' must be a string");
		return false;
	}
	int given = rc_json_string_decode(v.raw, text, sizeof(text));
	if (given < 0) {
		rc_msg_blame(fault, "bad_filter", "'filter' is longer than %u bytes, or no text",
			RC_FILTER_TEXT_MAX);
		return false;
	}
	_Static_assert(RC_VIEW_FILTER_MAX >= RC_FILTER_TEXT_MAX, "the canonical form has room");
	if (rc_filter_compile(
		    (struct rc_str){text, (size_t)given}, &compiled, out->text, &len, &why) < 0) {
		rc_msg_blame(fault, "bad_filter", "%s", why.message);
		return false;
	}
	out->view.filter = (struct rc_str){out->text, len};
	return true;
}

static bool read_rate(const struct rc_msg *m, struct rc_wish *out, struct rc_msg_fault *fault)
{
	char *text = out->text + RC_VIEW_FILTER_MAX;
	int len;

	if (m->key.kind != RC_JSON_NONE && m->rate.kind == RC_JSON_NONE) {
		rc_msg_blame(fault, "bad_request", "'key' needs 'rate'");
		return false;
	}
	if (m->rate.kind == RC_JSON_NONE)
		return true;
	double rate = m->rate.kind == RC_JSON_NUMBER ? rc_filter_number(m->rate.raw) : 0;
	if (!(rate >= RATE_MIN && rate * 1000 <= RC_VIEW_RATE_MAX)) {
		rc_msg_blame(fault, "bad_request",
			"'rate' must be a number of events a second, from %g to %u", RATE_MIN,
			RC_VIEW_RATE_MAX / 1000);
		return false;
	}
	out->view.rate = (uint32_t)(rate * 1000 + 0.5);
	if (m->key.kind == RC_JSON_NONE)
		return true;
	len = m->key.kind == RC_JSON_STRING
		      ? rc_json_string_decode(m->key.raw, text, RC_VIEW_KEY_MAX)
		      : 0;
	if (len <= 0) {
		rc_msg_blame(fault, "bad_request",
			"'key' must be the name of a member of data, of at most %u bytes",
			RC_VIEW_KEY_MAX);
		return false;
	}
	out->view.key = (struct rc_str){text, (size_t)len};
	return true;
}

static bool read_window(const struct rc_msg *m, struct rc_wish *out, struct rc_msg_fault *fault)
{
	if (m->summary.kind != RC_JSON_NONE && m->summary.kind != RC_JSON_TRUE &&
		m->summary.kind != RC_JSON_FALSE) {
		rc_msg_blame(fault, "bad_request", "'summary' must be true or false");
		return false;
	}
	out->view.summary = m->summary.kind == RC_JSON_TRUE;
	if (m->window.kind == RC_JSON_NONE) {
		if (m->summary.kind != RC_JSON_NONE)
			rc_msg_blame(fault, "bad_request", "'summary' needs 'window'");
		return m->summary.kind == RC_JSON_NONE;
	}
	double ms = m->window.kind == RC_JSON_NUMBER ? rc_filter_number(m->window.raw) : 0;
	if (!(ms >= 1 && ms <= RC_VIEW_WINDOW_MAX) || ms != (double)(uint32_t)ms) {
		rc_msg_blame(fault, "bad_request",
			"'window' must be a whole number of milliseconds, from 1 to %u",
			RC_VIEW_WINDOW_MAX);
		return false;
	}
	out->view.window_ms = (uint32_t)ms;
	if (out->view.rate)
		rc_msg_blame(fault, "bad_request", "'rate' and 'window' exclude each other");
	else if (out->view.summary && m->since.kind != RC_JSON_NONE)
		rc_msg_blame(
			fault, "bad_request", "a summary has no past: it goes without 'since'");
	return fault->code == NULL;
}

int rc_wish_read(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m,
	struct rc_wish *out, struct rc_msg_fault *fault)
{
	/* Not its text, of which most is never looked at. */
	memset(out, 0, offsetof(struct rc_wish, text));
	fault->code = NULL;
	if (RC_LIKELY(!(m->ack.kind | m->filter.kind | m->rate.kind | m->key.kind | m->window.kind |
			m->summary.kind)))
		return 0;
	out->said = true;
	if (rc_wish_read_ack(sv, m, out, fault) < 0)
		return -1;
	if (out->acked && rc_bin_is(c)) {
		rc_msg_blame(fault, "unsupported",
			"acknowledged delivery is offered in ringcast.v1.json alone");
		return -1;
	}
	if (!read_filter(m->filter, out, fault) || !read_rate(m, out, fault) ||
		!read_window(m, out, fault)) {
		rc_count(sv->counters, RC_C_subscribe_refused_filter, 1);
		return -1;
	}
	if (out->acked && !rc_view_is_plain(&out->view)) {
		rc_msg_blame(fault, "unsupported",
			"acknowledged delivery goes without filter, rate and window");
		return -1;
	}
	return 0;
}

/* ------------------------------------------------------------------------------------------------- */

struct rc_view_spec rc_wish_view(const struct rc_serve *sv, const struct rc_conn *c,
	const struct rc_wish *wish, struct rc_str name)
{
	struct rc_view_spec spec = wish ? wish->view : (struct rc_view_spec){0};

	if (rc_bin_is(c)) {
		spec.format = c->kind == RC_CONN_INGEST ? RC_VIEW_BIN_TCP : RC_VIEW_BIN_WS;
		return spec;
	}
	const struct rc_hub_namespace *ns =
		&sv->hub->namespaces[sv->hub->port.namespace_of(sv->hub->port.ctx, name)];
	if (c->window_bits && sv->hub->namespaces[rc_config_namespace(sv->config, name)].deflate) {
		spec.format = RC_VIEW_DEFLATE;
		spec.bits = c->window_bits;
	}
	/* Of a laggard's newest values each stands alone. */
	spec.batch = (c->stage & (RC_WS_BATCH | RC_WS_BIN)) == RC_WS_BATCH &&
		     !rc_wish_is_raw(sv, name) && spec.window_ms == 0 &&
		     !(ns->policy == RC_SLOW_LATEST && ns->key.len);
	return spec;
}
