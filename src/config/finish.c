/* SPDX-License-Identifier: Apache-2.0
 *
 * What can only be done when all sources have spoken: inheritance, the token file, and what the options must be to each
 * other. Each refusal says which number would do.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "config/apply.h"
#include "config/authrules.h"
#include "config/webhookrules.h"
#include "config/edgerules.h"
#include "config/listeners.h"
#include "config/tlsrules.h"
#include "config/value.h"

#define FRAME_OVERHEAD   1024 /* what a frame holds besides the largest payload */
#define FRAMES_PER_SHARD 4
#define PRESENCE_LAG_MIN 32768 /* two joins of the largest size */

static void inherit(struct rc_config *c)
{
	for (uint32_t ns = 1; ns <= c->namespace_count; ns++)
		for (uint32_t row = rc_option_first_namespace(); row < rc_option_count; row++) {
			struct rc_config_origin *origin = rc_config_origin(c, row, ns);

			if (origin->source > RC_CONFIG_INHERITED)
				continue;
			memcpy(rc_config_field(c, row, ns), rc_config_field(c, row, 0),
				rc_options[row].size);
			*origin = (struct rc_config_origin){.source = RC_CONFIG_INHERITED};
		}
}

/* The token of a section, and the file that it may be in. */
struct token {
	const char *section;
	char *value, *file;
};

static void read_token(const struct token *t, struct rc_config_report *r)
{
	const char *path = t->file;
	const struct rc_option *o = &rc_options[rc_option_find(t->section, "token")];
	char text[RC_CONFIG_TEXT_SIZE + 2], why[RC_VALUE_WHY_SIZE];
	struct stat st;
	FILE *in = fopen(path, "re");
	size_t len;
	bool failed;

	if (!in) {
		rc_config_report_error(
			r, "cannot open %s token_file %s: %s", t->section, path, strerror(errno));
		return;
	}
	errno = 0;
	len = fread(text, 1, sizeof(text) - 1, in);
	failed = ferror(in) != 0;
	if (failed)
		rc_config_report_error(
			r, "cannot read %s token_file %s: %s", t->section, path, strerror(errno));
	else if (fstat(fileno(in), &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH))
		rc_config_report_warning(r,
			"%s token_file %s can be read by everybody; chmod 600 %s", t->section, path,
			path);
	fclose(in);
	if (failed)
		return;

	text[len] = 0;
	len = strlen(text) == len ? len : 0; /* a NUL: no text */
	text[strcspn(text, "\r\n")] = 0;
	if (len == 0 || text[0] == 0)
		rc_config_report_error(
			r, "%s token_file %s has no token in its first line", t->section, path);
	else if (rc_value_parse(o, t->value, text, why) < 0)
		rc_config_report_error(
			r, "the token in %s token_file %s %s", t->section, path, why);
	explicit_bzero(text, sizeof(text));
}

/* Of token and token_file the stronger source wins; from the same one they contradict each other. */
static void settle_token(struct rc_config *c, const struct token *t, struct rc_config_report *r)
{
	uint32_t token = rc_option_find(t->section, "token");
	uint32_t file = rc_option_find(t->section, "token_file");
	struct rc_config_origin *token_origin = rc_config_origin(c, token, 0);
	struct rc_config_origin *file_origin = rc_config_origin(c, file, 0);

	if (!t->file[0])
		return;
	if (t->value[0] && token_origin->source > file_origin->source) {
		memset(t->file, 0, RC_CONFIG_TEXT_SIZE);
		*file_origin = (struct rc_config_origin){0};
		return;
	}
	if (t->value[0] && token_origin->source == file_origin->source) {
		rc_config_report_error(
			r, "[%s] has both token and token_file; keep one of them", t->section);
		return;
	}
	*token_origin = (struct rc_config_origin){0};
	read_token(t, r);
}

static void bytes_text(uint64_t bytes, char out[RC_VALUE_TEXT_SIZE])
{
	rc_value_format_number(&rc_options[rc_option_find("server", "memory")], bytes, out);
}

/* What the gateway itself says in a channel must have a place in it. */
static void check_presence(
	const struct rc_config_namespace *ns, uint32_t i, struct rc_config_report *r)
{
	char have[RC_VALUE_TEXT_SIZE], need[RC_VALUE_TEXT_SIZE];

	if (!ns->join_leave)
		return;
	if (!ns->presence)
		rc_config_report_error(r,
			"[namespace%s%s] join_leave needs presence: set presence = yes",
			i ? " " : "", ns->name);
	if (ns->raw)
		rc_config_report_error(r,
			"[namespace%s%s] join_leave = yes and raw = yes exclude each other: clients that "
			"see the publisher's bytes only could not tell them from joins; set one to no",
			i ? " " : "", ns->name);
	if (ns->slow_policy == RC_CONFIG_SLOW_LATEST || ns->on_subscribe == RC_CONFIG_FIRST_LATEST)
		rc_config_report_error(r,
			"[namespace%s%s] join_leave = yes does not go with slow_policy or on_subscribe = "
			"latest: the latest event would be somebody's join; set join_leave to no",
			i ? " " : "", ns->name);
	if (ns->lag_bytes < PRESENCE_LAG_MIN) {
		bytes_text(ns->lag_bytes, have);
		bytes_text(PRESENCE_LAG_MIN, need);
		rc_config_report_error(r,
			"[namespace%s%s] lag_bytes = %s is too little for join_leave: set lag_bytes to "
			"at least %s",
			i ? " " : "", ns->name, have, need);
	}
}

static void check_sizes(const struct rc_config *c, struct rc_config_report *r)
{
	char have[RC_VALUE_TEXT_SIZE], need[RC_VALUE_TEXT_SIZE], message[RC_VALUE_TEXT_SIZE];
	uint64_t frame = (uint64_t)c->max_message + FRAME_OVERHEAD;
	uint64_t lag = (uint64_t)c->max_message * 2;

	bytes_text(c->max_message, message);
	if (c->ingest_frame_max < frame) {
		bytes_text(c->ingest_frame_max, have);
		bytes_text(frame, need);
		rc_config_report_error(r,
			"[ingest] frame_max = %s cannot hold max_message = %s: set frame_max to at "
			"least %s, or max_message lower",
			have, message, need);
	}
	for (uint32_t i = 0; i <= c->namespace_count; i++) {
		const struct rc_config_namespace *ns = &c->ns[i];

		if (ns->lag_bytes < lag) {
			bytes_text(ns->lag_bytes, have);
			bytes_text(lag, need);
			rc_config_report_error(r,
				"[namespace%s%s] lag_bytes = %s is less than twice max_message = "
				"%s: set lag_bytes to at least %s",
				i ? " " : "", ns->name, have, message, need);
		}
		if (ns->slow_key[0] && ns->slow_policy != RC_CONFIG_SLOW_LATEST &&
			ns->on_subscribe != RC_CONFIG_FIRST_LATEST)
			rc_config_report_warning(r,
				"[namespace%s%s] slow_key has no effect without slow_policy = "
				"latest or on_subscribe = latest",
				i ? " " : "", ns->name);
		if (ns->on_subscribe == RC_CONFIG_FIRST_LATEST && ns->history_size == 0)
			rc_config_report_error(r,
				"[namespace%s%s] on_subscribe = latest needs a history: set "
				"history_size to 1 at least",
				i ? " " : "", ns->name);
	}
	for (uint32_t i = 0; i <= c->namespace_count; i++)
		check_presence(&c->ns[i], i, r);
	/* The rest is for what goes out, and for those who are behind. */
	if (c->history_memory > c->memory / 8 * 5) {
		bytes_text(c->history_memory, have);
		bytes_text(c->memory, need);
		rc_config_report_error(r,
			"history_memory = %s is more than five eighths of memory = %s: set it lower, or "
			"memory higher",
			have, need);
	}
	if (c->http_body_memory && c->http_body_memory < c->http_body_max) {
		bytes_text(c->http_body_memory, have);
		bytes_text(c->http_body_max, need);
		rc_config_report_error(r,
			"[http] body_memory = %s cannot hold one body of body_max = %s: set "
			"body_memory to at least %s",
			have, need, need);
	}
	if (c->echo_memory < c->echo_max_message) {
		bytes_text(c->echo_memory, have);
		bytes_text(c->echo_max_message, need);
		rc_config_report_error(r,
			"[echo] memory = %s cannot hold one message of max_message = %s: set "
			"memory to at least %s",
			have, need, need);
	}
}

static uint64_t memory_for_frames(const struct rc_config *c, uint32_t shards)
{
	return (uint64_t)shards * FRAMES_PER_SHARD * c->ingest_frame_max;
}

int rc_config_check_memory(const struct rc_config *c, uint32_t shards, struct rc_config_report *r)
{
	char have[RC_VALUE_TEXT_SIZE], need[RC_VALUE_TEXT_SIZE], part[RC_VALUE_TEXT_SIZE];
	uint64_t frames = memory_for_frames(c, shards);
	uint32_t errors = r->errors;

	bytes_text(c->memory, have);
	if (c->memory < frames) {
		bytes_text(frames, need);
		bytes_text(c->ingest_frame_max, part);
		rc_config_report_error(r,
			"memory = %s is not enough for %u shard%s, each of which may hold %d frames "
			"of frame_max = %s: set memory to at least %s, or frame_max or shards lower",
			have, shards, shards == 1 ? "" : "s", FRAMES_PER_SHARD, part, need);
	}
	for (uint32_t i = 0; i <= c->namespace_count; i++) {
		uint64_t logs = (uint64_t)shards * c->ns[i].lag_bytes;

		if (c->memory >= logs)
			continue;
		bytes_text(logs, need);
		bytes_text(c->ns[i].lag_bytes, part);
		rc_config_report_error(r,
			"memory = %s does not hold even one channel with lag_bytes = %s of "
			"[namespace%s%s] in %u shard%s: set memory to at least %s",
			have, part, i ? " " : "", c->ns[i].name, shards, shards == 1 ? "" : "s",
			need);
	}
	return r->errors == errors ? 0 : -1;
}

static void check_shards(const struct rc_config *c, struct rc_config_report *r)
{
	if (c->shards && c->cpus.count && c->cpus.count < c->shards)
		rc_config_report_error(r,
			"cpus names %u CPUs for shards = %u: name as many, or set shards to %u",
			c->cpus.count, c->shards, c->cpus.count);
	else if (c->shards && c->cpus.count > c->shards)
		rc_config_report_warning(r,
			"cpus names %u CPUs for shards = %u; the last %u are not used",
			c->cpus.count, c->shards, c->cpus.count - c->shards);
	if (c->drain_timeout_ms && c->drain_timeout_ms < c->reconnect_jitter_ms)
		rc_config_report_warning(r,
			"drain_timeout is shorter than reconnect_jitter: some clients will be cut "
			"off before their turn to reconnect");
}

int rc_config_finish(struct rc_config *c, struct rc_config_report *r)
{
	uint32_t shards = c->shards ? c->shards : RC_MAX(c->cpus.count, 1u);

	inherit(c);
	/* A refused value left a default behind, about which nothing useful can be said. */
	if (r->errors)
		return -1;
	settle_token(c, &(struct token){"ingest", c->ingest_token, c->ingest_token_file}, r);
	settle_token(c, &(struct token){"admin", c->admin_token, c->admin_token_file}, r);
	rc_config_check_edge(c, r);
	rc_config_check_listeners(c, r);
	rc_config_check_tls(c, r);
	rc_config_check_auth(c, r);
	rc_config_check_webhooks(c, r);
	check_sizes(c, r);
	check_shards(c, r);
	(void)!rc_config_check_memory(c, shards, r);
	return r->errors ? -1 : 0;
}
