/* SPDX-License-Identifier: Apache-2.0
 *
 * "ack" and "clientId" of a subscribe, and what acknowledged delivery asks of a channel.
 */
#include "proto/json.h"
#include "serve/acked.h"
#include "serve/session.h"

struct number {
	const char *name;
	uint32_t min, max;
	uint32_t *to;
};

static int read_number(const struct number *n, struct rc_json_value v, struct rc_msg_fault *fault)
{
	uint64_t value;

	if (v.kind == RC_JSON_NUMBER && rc_u64_parse(v.raw, &value) == 0 && value >= n->min &&
		value <= n->max) {
		*n->to = (uint32_t)value;
		return 0;
	}
	rc_msg_blame(fault, "bad_request", "'ack.%s' must be a whole number from %u to %u", n->name,
		n->min, n->max);
	return -1;
}

static int read_object(const struct rc_config *config, struct rc_str raw, struct rc_wish *w,
	struct rc_msg_fault *fault)
{
	const struct number numbers[] = {
		{"timeout", RC_ACK_TIMEOUT_MIN, config->ack_timeout_max_ms, &w->ack_timeout_ms},
		{"retries", 0, config->ack_retries_max, &w->ack_retries},
		{"window", 1, config->ack_window_max, &w->ack_window},
	};
	struct rc_json_iter it;
	struct rc_json_value v;
	struct rc_str key;

	rc_json_object_begin(&it, raw);
	while (rc_json_object_next(&it, &key, &v)) {
		uint32_t i = 0;
		while (i < RC_ARRAY_LEN(numbers) && !rc_str_eq(key, rc_str_of(numbers[i].name)))
			i++;
		if (i == RC_ARRAY_LEN(numbers)) {
			rc_msg_blame(fault, "bad_request",
				"'ack' has timeout, retries and window, and nothing else");
			return -1;
		}
		if (read_number(&numbers[i], v, fault) < 0)
			return -1;
	}
	return 0;
}

static int read_client_id(struct rc_json_value v, struct rc_wish *w, struct rc_msg_fault *fault)
{
	char *text = w->text + RC_VIEW_KEY_MAX + RC_VIEW_FILTER_MAX;
	int len = v.kind == RC_JSON_STRING ? rc_json_string_decode(v.raw, text, RC_CLIENT_ID_MAX)
					   : -1;

	w->client_id = (struct rc_str){text, len < 0 ? 0 : (size_t)len};
	if (len > 0 && rc_event_name_valid(w->client_id))
		return 0;
	rc_msg_blame(fault, "bad_request",
		"'clientId' must be 1 to %u bytes of text without control characters",
		RC_CLIENT_ID_MAX);
	return -1;
}

int rc_wish_read_ack(const struct rc_serve *sv, const struct rc_msg *m, struct rc_wish *w,
	struct rc_msg_fault *fault)
{
	const struct rc_config *config = sv->config;

	if (m->ack.kind == RC_JSON_NONE || m->ack.kind == RC_JSON_NULL ||
		m->ack.kind == RC_JSON_FALSE)
		return 0;
	w->acked = true;
	w->ack_timeout_ms = RC_MIN(RC_ACK_TIMEOUT_DEFAULT, config->ack_timeout_max_ms);
	w->ack_retries = RC_MIN(RC_ACK_RETRIES_DEFAULT, config->ack_retries_max);
	w->ack_window = RC_MIN(RC_ACK_WINDOW_DEFAULT, config->ack_window_max);
	if (m->ack.kind == RC_JSON_OBJECT) {
		if (read_object(config, m->ack.raw, w, fault) < 0)
			return -1;
	} else if (m->ack.kind != RC_JSON_TRUE) {
		rc_msg_blame(fault, "bad_request",
			"'ack' must be true or an object with timeout, retries and window");
		return -1;
	}
	if (m->filter.kind || m->rate.kind || m->window.kind || m->key.kind || m->summary.kind) {
		rc_msg_blame(fault, "unsupported",
			"with 'ack' every event of the channel comes alone: no filter, rate, key, "
			"window or summary");
		return -1;
	}
	return m->client_id.kind == RC_JSON_NONE ? 0 : read_client_id(m->client_id, w, fault);
}

/* NULL: it can. */
static const char *why_not(const struct rc_serve *sv, struct rc_str name)
{
	if (rc_name_is_pattern(name))
		return "of a pattern nothing can be acknowledged: name the channels";
	if (rc_name_reserved(name))
		return "the gateway's own channels can't be acknowledged: read them with 'since'";
	const struct rc_config_namespace *ns =
		&sv->config->ns[rc_config_namespace(sv->config, name)];
	if (ns->history_size == 0)
		return "acknowledged delivery needs a history, and this namespace keeps none (history_size)";
	if (ns->raw)
		return "in a raw namespace clients see no offsets: nothing can be acknowledged";
	if (name.len + sizeof(RC_DEAD_PREFIX) - 1 > RC_CHANNEL_MAX)
		return "the name of a channel with acknowledged delivery has 249 bytes at most";
	return NULL;
}

static bool same_consumer(const struct rc_serve *sv, const struct rc_wish *w, uint32_t sub)
{
	uint32_t index = rc_acked_of(sv, sub);

	if (index == RC_NONE)
		return false;
	const struct rc_acked *a = rc_acked_at(sv, index);
	/* Before it was known who the client is, it was one of nobody. */
	bool named = w->client_id.len && rc_session_user(sv, &sv->conns->at[a->conn]).len;
	return a->named == named &&
	       rc_str_eq((struct rc_str){a->client, a->client_len}, w->client_id);
}

int rc_wish_check_ack(const struct rc_serve *sv, const struct rc_wish *w, struct rc_str name,
	uint32_t sub, struct rc_msg_fault *fault)
{
	const char *why = why_not(sv, name);

	if (why) {
		rc_msg_blame(fault, "unsupported", "%s", why);
		return -1;
	}
	if (sub != RC_NONE && !same_consumer(sv, w, sub)) {
		rc_msg_blame(fault, "bad_request",
			"this connection has the channel in another way: unsubscribe first");
		return -1;
	}
	return 0;
}
