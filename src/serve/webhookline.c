/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of webhooks: connecting, asking, reading the answer, trying again. See webhook.h.
 */
#include "serve/webhookline.h"

#include <errno.h>
#include <stdio.h>

#define INTERIM_MAX 8u

/* What went wrong says what may be done about it. */
enum failure {
	NOT_SENT, /* nobody can have read it */
	UNKNOWN,  /* somebody may have */
};

static struct rc_webhook_line *line_of(const struct rc_conn *c)
{
	return c->ext;
}

/* Nothing of the request has left, so nobody can have acted on it. */
static bool unsent(const struct rc_webhook_line *l)
{
	return l->conn->out_len == l->asked && !(l->conn->flags & RC_CONN_SENDING);
}

static void stage(struct rc_webhooks *w, struct rc_webhook_line *l, enum rc_webhook_stage to)
{
	w->paused -= l->stage == RC_WEBHOOK_PAUSED;
	w->paused += to == RC_WEBHOOK_PAUSED;
	l->stage = (uint8_t)to;
}

static void hang_up(struct rc_serve *sv, struct rc_webhook_line *l)
{
	if (!l->conn)
		return;
	if (l->stage == RC_WEBHOOK_CONNECTING)
		rc_conn_abandon(sv->conns, l->conn);
	else
		rc_conn_kill(sv->conns, l->conn);
}

void rc_webhook_gone(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_webhook_line *l = line_of(c);

	l->conn = NULL;
	c->ext = NULL;
	sv->webhooks->connections--;
}

uint32_t rc_webhook_line_leave(struct rc_serve *sv, struct rc_webhook_line *l)
{
	struct rc_webhooks *w = sv->webhooks;
	uint32_t job = l->job;

	if (l->stage != RC_WEBHOOK_PAUSED)
		hang_up(sv, l);
	stage(w, l, RC_WEBHOOK_NOTHING);
	l->job = RC_NONE;
	w->event_lines -= rc_webhook_job(w, job)->event;
	return job;
}

/* ---- trying --------------------------------------------------------------------------------------- */

static uint64_t pause_ns(struct rc_serve *sv, uint32_t tries)
{
	uint64_t ns = sv->config->webhook_backoff_ms * UINT64_C(1000000) << RC_MIN(tries - 1, 16u);

	ns = RC_MIN(ns, UINT64_C(60000000000));
	return ns - ns / 4 + UINT64_C(1000) * rc_prng_below(&sv->prng, (uint32_t)(ns / 2000 + 1));
}

/* Whether the line keeps its job, to try it again later. */
static bool pauses(struct rc_serve *sv, struct rc_webhook_line *l, enum failure how)
{
	struct rc_webhooks *w = sv->webhooks;
	struct rc_webhook_job *job = rc_webhook_job(w, l->job);
	uint64_t due_ns;

	job->tries++;
	if (how == UNKNOWN && !job->repeatable)
		return false;
	due_ns = sv->now_ns + pause_ns(sv, job->tries);
	if (job->tries > sv->config->webhook_retries || due_ns >= job->deadline_ns ||
		(sv->draining && job->event))
		return false;
	job->again |= how == UNKNOWN;
	l->due_ns = due_ns;
	stage(w, l, RC_WEBHOOK_PAUSED);
	rc_count(sv->counters, RC_C_webhook_retries, 1);
	return true;
}

static void failed(struct rc_serve *sv, struct rc_webhook_line *l, enum failure how)
{
	const struct rc_command_answer a = {
		.verdict = how == NOT_SENT ? RC_COMMAND_NO_BACKEND : RC_COMMAND_TIMEOUT};

	hang_up(sv, l);
	if (!pauses(sv, l, how))
		rc_webhook_over(sv, rc_webhook_line_leave(sv, l), &a);
}

/* Until the try, or the command's time, is over. */
static void set_timer(struct rc_serve *sv, struct rc_webhook_line *l)
{
	const struct rc_webhook_job *job = rc_webhook_job(sv->webhooks, l->job);
	uint64_t ms = sv->config->webhook_timeout_ms, left = UINT64_MAX;

	if (job->deadline_ns != UINT64_MAX)
		left = job->deadline_ns > sv->now_ns ? (job->deadline_ns - sv->now_ns) / 1000000u
						     : 0;
	rc_conn_timer(sv->conns, l->conn, (uint32_t)RC_MIN(ms, left));
}

static void ask(struct rc_serve *sv, struct rc_webhook_line *l)
{
	l->head_read = l->stuck = false;
	l->interim = 0;
	stage(sv->webhooks, l, RC_WEBHOOK_ASKED);
	rc_count(sv->counters, RC_C_webhook_requests, 1);
	l->asked = rc_webhook_request(sv, l->conn, rc_webhook_job(sv->webhooks, l->job));
	if (!l->asked) {
		rc_webhook_note(sv, "no memory for a request");
		failed(sv, l, NOT_SENT);
	}
}

static void not_connected(struct rc_serve *sv, struct rc_webhook_line *l, const char *why)
{
	struct rc_webhooks *w = sv->webhooks;
	char address[RC_ADDRESS_TEXT_SIZE] = "an address of before", text[RC_WEBHOOK_ERROR_MAX];

	rc_count(sv->counters, RC_C_webhook_connects_failed, 1);
	if (l->epoch == w->epoch)
		rc_address_format(&w->to.at[l->address], address);
	(void)snprintf(text, sizeof(text), "%s: %s", address, why);
	rc_webhook_note(sv, text);
	/* Of many lines that fail at once with the same address, the first goes on to the next. */
	if (l->epoch == w->epoch && l->address == w->address)
		w->address = (w->address + 1) % w->to.count;
	if (w->target->name)
		rc_webhook_name_ask(w->target->name);
	failed(sv, l, NOT_SENT);
}

static void connect_line(struct rc_serve *sv, struct rc_webhook_line *l)
{
	struct rc_webhooks *w = sv->webhooks;
	socklen_t len = rc_address_sockaddr(&w->to.at[w->address], &l->to);
	struct rc_conn *c = rc_conn_connect(sv->conns, RC_CONN_WEBHOOK, (const void *)&l->to, len);

	if (!c) {
		rc_count(sv->counters, RC_C_webhook_connects_failed, 1);
		rc_webhook_note(sv, "no descriptor for a connection, or no room in the table");
		failed(sv, l, NOT_SENT);
		return;
	}
	c->ext = l;
	l->conn = c;
	l->address = w->address;
	l->epoch = w->epoch;
	w->connections++;
	stage(w, l, RC_WEBHOOK_CONNECTING);
	set_timer(sv, l);
}

void rc_webhook_line_try(struct rc_serve *sv, struct rc_webhook_line *l)
{
	stage(sv->webhooks, l, RC_WEBHOOK_NOTHING);
	if (!l->conn) {
		connect_line(sv, l);
		return;
	}
	set_timer(sv, l);
	ask(sv, l);
}

void rc_webhook_line_take(struct rc_serve *sv, struct rc_webhook_line *l, uint32_t job)
{
	l->job = job;
	sv->webhooks->event_lines += rc_webhook_job(sv->webhooks, job)->event;
	rc_webhook_line_try(sv, l);
}

void rc_webhook_lines_move(struct rc_serve *sv)
{
	struct rc_webhooks *w = sv->webhooks;

	w->epoch++;
	w->address = 0;
	/* Those that are asked are closed behind the answer. */
	for (uint32_t i = 0; i < w->lines; i++) {
		struct rc_webhook_line *l = &w->line[i];
		if (l->stage == RC_WEBHOOK_NOTHING || l->stage == RC_WEBHOOK_PAUSED)
			hang_up(sv, l);
	}
}

void rc_webhook_connected(struct rc_serve *sv, struct rc_conn *c, int res)
{
	struct rc_webhook_line *l = line_of(c);

	if (res < 0) {
		not_connected(sv, l, strerror(-res));
		return;
	}
	rc_serve_arm(sv, c);
	ask(sv, l);
}

/* ---- answers -------------------------------------------------------------------------------------- */

static void bad(struct rc_serve *sv, struct rc_webhook_line *l, const char *why)
{
	/* An event was taken when the head says so; nobody asks for more. */
	bool taken = rc_webhook_job(sv->webhooks, l->job)->event && l->head_read &&
		     l->reply.status < 300;
	const struct rc_command_answer a = {
		.code = taken ? RC_STR("") : RC_STR("backend_error"), .data = rc_str_of(why)};

	rc_count(sv->counters, RC_C_webhook_answers_bad, 1);
	rc_webhook_note(sv, why);
	rc_webhook_over(sv, rc_webhook_line_leave(sv, l), &a);
}

/* The body is in c->in, all of it. */
static void answered(struct rc_serve *sv, struct rc_webhook_line *l, bool keep)
{
	struct rc_webhooks *w = sv->webhooks;
	struct rc_conn *c = l->conn;
	struct rc_str body = {(const char *)c->in, c->in_len};
	struct rc_command_answer a;
	struct rc_webhook_text text;
	uint32_t job = l->job;
	uint16_t status = l->reply.status;
	bool event = rc_webhook_job(w, job)->event;

	/* What is said to an event is for nobody. */
	if (event && status < 300)
		status = 204;
	if (!rc_webhook_reply(status, body, &a, &text)) {
		bad(sv, l, "the webhook's answer can't be understood");
		return;
	}
	rc_count(sv->counters, RC_C_webhook_answers, 1);
	if (status >= 300 && status != 422) {
		rc_count(sv->counters, RC_C_webhook_answers_error, 1);
		rc_webhook_note(sv, text.message);
	}
	/* Neither the line nor the body may go before the reply is told. */
	stage(w, l, RC_WEBHOOK_TELLS);
	if (!rc_webhook_later(status) || !pauses(sv, l, UNKNOWN)) {
		rc_webhook_over(sv, job, &a);
		w->event_lines -= event;
		l->job = RC_NONE;
		stage(w, l, RC_WEBHOOK_NOTHING);
	}
	if (c->in)
		rc_conn_used(sv->conns, c, c->in_len);
	l->head_read = false;
	/* A request that was answered before it was sent is no place for another, nor is an address that the name has no more. */
	if (keep && c->out_len == 0 && l->epoch == w->epoch && !sv->draining)
		rc_conn_timer(sv->conns, c, RC_WEBHOOK_IDLE_MS);
	else
		hang_up(sv, l);
}

/* 1: the body is whole, and *used says where. 0: more must come. -1: it is bad, or too long. */
static int take_body(struct rc_serve *sv, struct rc_webhook_line *l, const char *bytes,
	uint32_t len, uint32_t *used)
{
	struct rc_conn *c = l->conn;
	uint32_t limit = sv->webhooks->answer_max;
	struct rc_str data;
	size_t step;
	int rc;

	*used = 0;
	if (!rc_reply_head_has_body(l->reply.status))
		return 1;
	if (!l->reply.chunked) {
		*used = RC_MIN(len, l->unspent);
		if (*used && !rc_conn_keep(sv->conns, c, bytes, *used, limit))
			return -1;
		l->unspent -= *used;
		return l->unspent == 0 && l->reply.content_length >= 0;
	}
	do {
		rc = rc_chunked_next(&l->chunked, bytes + *used, len - *used, &step, &data);
		*used += (uint32_t)step;
		if (rc < 0 || l->chunked.left > limit)
			return -1;
		if (rc == RC_CHUNKED_DATA &&
			!rc_conn_keep(sv->conns, c, data.ptr, (uint32_t)data.len, limit))
			return -1;
	} while (rc == RC_CHUNKED_DATA);
	return rc == RC_CHUNKED_END;
}

/* The head is whole. False: the answer is none. */
static bool head_read(struct rc_serve *sv, struct rc_webhook_line *l)
{
	const struct rc_reply_head *r = &l->reply;

	if (r->status < 200)
		return r->status != 101 && ++l->interim <= INTERIM_MAX;
	l->head_read = true;
	if (r->content_length > (int64_t)sv->webhooks->answer_max)
		return false;
	l->chunked = (struct rc_chunked){0};
	l->unspent = r->content_length >= 0 ? (uint32_t)r->content_length : UINT32_MAX;
	return true;
}

static void body_input(
	struct rc_serve *sv, struct rc_webhook_line *l, const char *bytes, uint32_t len)
{
	uint32_t used;
	int whole = take_body(sv, l, bytes, len, &used);

	if (whole < 0)
		bad(sv, l, "the webhook's answer is too long, or broken");
	else if (whole)
		answered(sv, l, l->reply.keep_alive && used == len);
}

void rc_webhook_input(struct rc_serve *sv, struct rc_conn *c, const void *bytes, uint32_t len)
{
	struct rc_webhook_line *l = line_of(c);
	int rc;

	if (l->stage != RC_WEBHOOK_ASKED) {
		/* Nobody asked. */
		hang_up(sv, l);
		return;
	}
	if (unsent(l)) {
		/* Such as a 408 on a connection that was idle for too long. */
		rc_count(sv->counters, RC_C_webhook_cut, 1);
		rc_webhook_note(sv, "something was said before anything was asked");
		failed(sv, l, NOT_SENT);
		return;
	}
	if (l->head_read) {
		body_input(sv, l, bytes, len);
		return;
	}
	/* What is behind the head comes in with it: a receive buffer at most. */
	if (!rc_conn_keep(sv->conns, c, bytes, len, RC_WEBHOOK_HEAD_MAX + len)) {
		bad(sv, l, "the webhook's answer found no memory");
		return;
	}
	do {
		rc = rc_reply_head_parse(c->in, c->in_len, RC_WEBHOOK_HEAD_MAX, &l->reply);
		if (rc < 0 || (rc == 0 && !head_read(sv, l))) {
			bad(sv, l, "the webhook's answer is not HTTP, or too long");
			return;
		}
		if (rc == 0)
			rc_conn_used(sv->conns, c, (uint32_t)l->reply.head_len);
	} while (rc == 0 && !l->head_read && c->in_len);
	if (!l->head_read)
		return;
	/* The rest is the body's beginning; it is read as if it had come now. */
	uint32_t rest = c->in_len;
	unsigned char *in = c->in;
	uint32_t size = c->in_size;
	c->in = NULL;
	c->in_len = c->in_size = 0;
	body_input(sv, l, rest ? (const char *)in : "", rest);
	rc_pool_put(sv->pool, in, size);
}

void rc_webhook_ended(struct rc_serve *sv, struct rc_conn *c, int res)
{
	struct rc_webhook_line *l = line_of(c);

	if (l->stage != RC_WEBHOOK_ASKED) {
		hang_up(sv, l);
		return;
	}
	/* A body that has no length ends so, but not with a reset. */
	if (res == 0 && l->head_read && !l->reply.chunked && l->reply.content_length < 0) {
		answered(sv, l, false);
		return;
	}
	rc_count(sv->counters, RC_C_webhook_cut, 1);
	rc_webhook_note(sv, "the connection ended before the answer");
	failed(sv, l, unsent(l) ? NOT_SENT : UNKNOWN);
}

void rc_webhook_unsendable(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_webhook_line *l = line_of(c);

	/* Who has read enough may have answered before it closed: what came in says so, and then how it ended. */
	if (l->stage == RC_WEBHOOK_ASKED && !unsent(l) && !l->stuck)
		l->stuck = true;
	else
		rc_webhook_ended(sv, c, -EPIPE);
}

void rc_webhook_timer(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_webhook_line *l = line_of(c);

	if (l->stage == RC_WEBHOOK_CONNECTING) {
		rc_count(sv->counters, RC_C_webhook_timeouts, 1);
		not_connected(sv, l, "no connection in time");
	} else if (l->stage == RC_WEBHOOK_ASKED) {
		rc_count(sv->counters, RC_C_webhook_timeouts, 1);
		rc_webhook_note(sv, "no answer in time");
		failed(sv, l, UNKNOWN);
	} else {
		hang_up(sv, l);
	}
}

void rc_webhook_drain(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_webhook_line *l = line_of(c);

	/* What is under way is bounded by its timeout, and all of it by drain_timeout. */
	if (l->job == RC_NONE || l->stage == RC_WEBHOOK_PAUSED)
		hang_up(sv, l);
}
