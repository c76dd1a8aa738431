/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs of webhooks: what waits, which line takes it, what becomes of it. The lines' connections are in webhookline.c. See webhook.h.
 */
#include "serve/webhookline.h"

#include <netdb.h>
#include <stdio.h>

#include "proto/ingest.h"

/* ---- jobs ----------------------------------------------------------------------------------------- */

static void push(struct rc_webhooks *w, struct rc_webhook_list *l, uint32_t at)
{
	rc_webhook_job(w, at)->next = RC_NONE;
	if (l->count++)
		rc_webhook_job(w, l->last)->next = at;
	else
		l->first = at;
	l->last = at;
}

static uint32_t pop(struct rc_webhooks *w, struct rc_webhook_list *l)
{
	uint32_t at = l->first;

	l->first = rc_webhook_job(w, at)->next;
	l->count--;
	return at;
}

static void job_drop(struct rc_serve *sv, uint32_t at)
{
	const struct rc_webhook_job *job = rc_webhook_job(sv->webhooks, at);

	rc_pool_put(sv->pool, job->text, job->bytes);
	rc_slab_put(&sv->webhooks->jobs, at);
}

static void job_free(struct rc_serve *sv, uint32_t at)
{
	struct rc_webhooks *w = sv->webhooks;
	const struct rc_webhook_job *job = rc_webhook_job(w, at);

	if (job->event)
		w->event_bytes -= job->bytes;
	else
		w->commands_used--;
	job_drop(sv, at);
}

/* Of what happened to clients. */
static void lose(struct rc_serve *sv, uint32_t count)
{
	sv->webhooks->lost += count;
	rc_count(sv->counters, RC_C_client_events_lost, count);
}

/* RC_NONE: no room. */
static uint32_t job_make(struct rc_serve *sv, const struct rc_command *c, bool event)
{
	struct rc_webhooks *w = sv->webhooks;
	size_t bytes = rc_command_bytes(c);
	bool room = event ? w->events.count < sv->config->webhook_event_queue &&
				    w->event_bytes + bytes <= RC_WEBHOOK_EVENT_BYTES
			  : w->commands_used < w->commands_max;
	uint32_t at = room ? rc_slab_get(&w->jobs) : RC_NONE;

	if (at == RC_NONE)
		return RC_NONE;
	struct rc_webhook_job *job = rc_webhook_job(w, at);
	*job = (struct rc_webhook_job){
		.text = rc_pool_get(sv->pool, bytes),
		.deadline_ns = UINT64_MAX,
		.bytes = (uint32_t)bytes,
		.event = event,
		.repeatable = event || c->idempotent ||
			      rc_webhook_list_has(sv->config->webhook_idempotent, c->type),
	};
	if (!job->text) {
		rc_slab_put(&w->jobs, at);
		return RC_NONE;
	}
	rc_command_pack(job->text, c);
	if (event)
		w->event_bytes += bytes;
	else
		w->commands_used++;
	return at;
}

/* Commands whose time is over: nobody waits for them, and the desk has let go of them, or does so now. */
static void expire(struct rc_serve *sv)
{
	struct rc_webhooks *w = sv->webhooks;

	for (uint32_t i = 0; i < w->lines; i++) {
		struct rc_webhook_line *l = &w->line[i];
		if (l->job == RC_NONE || l->stage == RC_WEBHOOK_TELLS ||
			rc_webhook_job(w, l->job)->deadline_ns > sv->now_ns)
			continue;
		rc_count(sv->counters, RC_C_webhook_timeouts, 1);
		job_free(sv, rc_webhook_line_leave(sv, l));
	}
	struct rc_webhook_list *lists[] = {&w->commands, &w->unsaid};
	for (size_t i = 0; i < RC_ARRAY_LEN(lists); i++) {
		for (uint32_t n = lists[i]->count; n; n--) {
			uint32_t at = pop(w, lists[i]);
			if (rc_webhook_job(w, at)->deadline_ns <= sv->now_ns)
				job_free(sv, at);
			else
				push(w, lists[i], at);
		}
	}
}

void rc_webhook_give(struct rc_serve *sv, uint64_t id, const struct rc_command *c)
{
	struct rc_webhooks *w = sv->webhooks;
	bool event = id == 0;
	uint32_t at;

	w->lost += c->lost;
	if (event && !c->type.len)
		return;
	if (!event && w->commands_used == w->commands_max)
		expire(sv);
	at = event && sv->draining ? RC_NONE : job_make(sv, c, event);
	if (at == RC_NONE && event)
		lose(sv, 1);
	/* A command that finds no memory is answered by its time, as one that was lost on the way. */
	if (at == RC_NONE)
		return;
	rc_count(sv->counters, RC_C_client_events, event);
	struct rc_webhook_job *job = rc_webhook_job(w, at);
	job->number = event ? ++w->event_number : id;
	if (!event)
		job->deadline_ns = c->deadline_ns;
	push(w, event ? &w->events : &w->commands, at);
}

/* ---- what becomes of them ------------------------------------------------------------------------- */

/* The job's end, unless the desk has no room for the reply. */
static bool say(struct rc_serve *sv, uint32_t at, const struct rc_command_answer *a)
{
	const struct rc_backend_who who = {sv->shard, RC_WEBHOOK_SLOT, 0};
	struct rc_webhooks *w = sv->webhooks;
	enum rc_desk_reply taken;

	/* With the reply the desk gives the next, before it returns: its place is this one's. */
	w->commands_used--;
	taken = rc_desk_reply(&sv->commands->desk, &who, rc_webhook_job(w, at)->number, a);
	if (taken == RC_DESK_FULL) {
		w->commands_used++;
		return false;
	}
	rc_count(sv->counters, RC_C_replies_unknown, taken == RC_DESK_UNKNOWN);
	job_drop(sv, at);
	return true;
}

/* The desk has no room for the reply: it waits, in the place of the command's text. */
static void keep_reply(struct rc_serve *sv, uint32_t at, const struct rc_command_answer *a)
{
	struct rc_webhook_job *job = rc_webhook_job(sv->webhooks, at);
	struct rc_command said = {
		.type = a->code, .data = a->data, .lost = a->verdict, .idempotent = a->json};
	size_t bytes = rc_command_bytes(&said);

	rc_pool_put(sv->pool, job->text, job->bytes);
	job->bytes = (uint32_t)bytes;
	job->text = rc_pool_get(sv->pool, bytes);
	if (!job->text) {
		/* The client is told timeout. */
		job->bytes = 0;
		job_free(sv, at);
		return;
	}
	rc_command_pack(job->text, &said);
	push(sv->webhooks, &sv->webhooks->unsaid, at);
}

static void say_again(struct rc_serve *sv)
{
	struct rc_webhooks *w = sv->webhooks;

	for (uint32_t n = w->unsaid.count; n && w->unsaid.count; n--) {
		uint32_t at = pop(w, &w->unsaid);
		const struct rc_webhook_job *job = rc_webhook_job(w, at);
		struct rc_command said = rc_command_unpack(job->text);
		struct rc_command_answer a = {.verdict = (enum rc_command_verdict)said.lost,
			.code = said.type,
			.data = said.data,
			.json = said.idempotent};
		if (job->deadline_ns <= sv->now_ns)
			job_free(sv, at);
		else if (!say(sv, at, &a))
			push(w, &w->unsaid, at);
	}
}

void rc_webhook_over(struct rc_serve *sv, uint32_t at, const struct rc_command_answer *a)
{
	struct rc_webhooks *w = sv->webhooks;
	const struct rc_webhook_job *job = rc_webhook_job(w, at);

	if (!job->event) {
		if (!say(sv, at, a))
			keep_reply(sv, at, a);
		return;
	}
	if (a->verdict != RC_COMMAND_REPLIED || a->code.len) {
		/* It was the saying of what was lost that failed, or it is one more. */
		if (job->lost)
			w->lost += job->lost;
		else
			lose(sv, 1);
		w->lost_due_ns = sv->now_ns + RC_WEBHOOK_LOST_NS;
	}
	job_free(sv, at);
}

static void tell_lost(struct rc_serve *sv)
{
	struct rc_webhooks *w = sv->webhooks;
	char text[48];
	struct rc_textbuf b = {.ptr = text, .cap = sizeof(text)};
	struct rc_command c = {.type = RC_STR("$lost")};
	uint32_t at;

	rc_textbuf_add_text(&b, "{\"events\":");
	rc_textbuf_add_u64(&b, w->lost);
	rc_textbuf_add_char(&b, '}');
	c.data = rc_textbuf_str(&b);
	at = job_make(sv, &c, true);
	if (at == RC_NONE) {
		w->lost_due_ns = sv->now_ns + RC_WEBHOOK_LOST_NS;
		return;
	}
	rc_webhook_job(w, at)->number = ++w->event_number;
	rc_webhook_job(w, at)->lost = w->lost;
	w->lost = 0;
	push(w, &w->events, at);
}

/* ---- turns ---------------------------------------------------------------------------------------- */

/* A line with nothing to do, by preference one that is connected. */
static struct rc_webhook_line *free_line(struct rc_webhooks *w)
{
	struct rc_webhook_line *found = NULL;

	for (uint32_t i = 0; i < w->lines; i++) {
		struct rc_webhook_line *l = &w->line[i];
		if (l->job != RC_NONE)
			continue;
		if (l->conn)
			return l;
		if (!found)
			found = l;
	}
	return found;
}

/* Its client has been told timeout: it must not be carried out after that. */
static bool late(const struct rc_serve *sv, uint32_t at)
{
	return rc_webhook_job(sv->webhooks, at)->deadline_ns <= sv->now_ns;
}

/* Events leave half of the lines to commands, for which somebody waits. */
static uint32_t next_job(struct rc_serve *sv)
{
	struct rc_webhooks *w = sv->webhooks;

	while (w->commands.count) {
		uint32_t at = pop(w, &w->commands);
		if (!late(sv, at))
			return at;
		job_free(sv, at);
	}
	if (w->events.count && w->event_lines < RC_MAX(w->lines / 2, 1u))
		return pop(w, &w->events);
	return RC_NONE;
}

static void start(struct rc_serve *sv)
{
	struct rc_webhooks *w = sv->webhooks;
	struct rc_webhook_line *l;
	uint32_t at;

	while ((w->commands.count || w->events.count) && (l = free_line(w)) &&
		(at = next_job(sv)) != RC_NONE)
		rc_webhook_line_take(sv, l, at);
}

static void go_on(struct rc_serve *sv)
{
	struct rc_webhooks *w = sv->webhooks;

	for (uint32_t i = 0; i < w->lines && w->paused; i++) {
		struct rc_webhook_line *l = &w->line[i];
		if (l->stage != RC_WEBHOOK_PAUSED || l->due_ns > sv->now_ns)
			continue;
		if (late(sv, l->job))
			job_free(sv, rc_webhook_line_leave(sv, l));
		else
			rc_webhook_line_try(sv, l);
	}
}

/* What has become of the name; nothing here waits for that. */
static void follow_name(struct rc_serve *sv)
{
	struct rc_webhooks *w = sv->webhooks;
	struct rc_webhook_name *n = w->target->name;
	/* Pairs with the release in again() of webhookname.c. */
	uint32_t looked = atomic_load_explicit(&n->looked, memory_order_acquire);

	if (looked == w->looked)
		return;
	uint32_t failed = atomic_load_explicit(&n->failed, memory_order_relaxed);
	rc_count(sv->counters, RC_C_webhook_lookups, looked - w->looked);
	rc_count(sv->counters, RC_C_webhook_lookups_failed, failed - w->looks_failed);
	if (failed != w->looks_failed) {
		char text[RC_WEBHOOK_ERROR_MAX];
		/* 0: the next one, which did not fail, is over already. */
		int why = atomic_load_explicit(&n->why, memory_order_relaxed);
		(void)snprintf(text, sizeof(text), "the host can't be resolved: %s",
			why ? gai_strerror(why) : "for a moment");
		rc_webhook_note(sv, text);
	}
	w->looked = looked;
	w->looks_failed = failed;
	if (rc_webhook_name_take(n, &w->to)) {
		rc_count(sv->counters, RC_C_webhook_moves, 1);
		rc_webhook_lines_move(sv);
	}
}

void rc_webhooks_turn(struct rc_serve *sv)
{
	struct rc_webhooks *w = sv->webhooks;

	if (w->target->name)
		follow_name(sv);
	if (w->unsaid.count)
		say_again(sv);
	/* Nobody would see to them, and those who come after are told of everybody's end. */
	while (sv->draining && w->events.count) {
		uint32_t at = pop(w, &w->events);
		lose(sv, rc_webhook_job(w, at)->lost ? 0 : 1);
		job_free(sv, at);
	}
	if (w->lost && !sv->draining && w->lost_due_ns <= sv->now_ns &&
		w->events.count < sv->config->webhook_event_queue)
		tell_lost(sv);
	if (w->paused)
		go_on(sv);
	start(sv);
	rc_gauge_set(sv->counters, RC_C_webhook_connections, w->connections);
}

uint64_t rc_webhooks_ns(const struct rc_serve *sv)
{
	const struct rc_webhooks *w = sv->webhooks;
	uint64_t next = UINT64_MAX;

	if (w->unsaid.count)
		return RC_COMMANDS_POLL_NS;
	if (w->lost && !sv->draining && w->events.count < sv->config->webhook_event_queue)
		next = w->lost_due_ns;
	for (uint32_t i = 0; i < w->lines && w->paused; i++) {
		if (w->line[i].stage == RC_WEBHOOK_PAUSED)
			next = RC_MIN(next, w->line[i].due_ns);
	}
	if (next == UINT64_MAX)
		return next;
	return next > sv->now_ns ? next - sv->now_ns : 1;
}

/* ---- memory --------------------------------------------------------------------------------------- */

static uint32_t commands_max(const struct rc_config *config)
{
	return RC_MIN(config->webhook_connections, config->credit_max);
}

static uint32_t jobs_max(const struct rc_config *config)
{
	/* Those that wait, those that are on a line, and one whose reply is being told. */
	return commands_max(config) + config->webhook_event_queue + config->webhook_connections + 1;
}

static size_t lines_bytes(const struct rc_config *config)
{
	return rc_align_up(
		config->webhook_connections * sizeof(struct rc_webhook_line), RC_CACHE_LINE);
}

size_t rc_webhooks_bytes(const struct rc_config *config)
{
	if (!config->webhook_url[0])
		return 0;
	return rc_align_up(sizeof(struct rc_webhooks), RC_CACHE_LINE) + lines_bytes(config) +
	       rc_align_up(jobs_max(config) * sizeof(struct rc_webhook_job), RC_CACHE_LINE);
}

static int enter(struct rc_serve *sv, struct rc_error *err)
{
	const struct rc_backend_who who = {sv->shard, RC_WEBHOOK_SLOT, 0};
	struct rc_str rest = rc_str_of(sv->config->webhook_types), type;
	uint32_t credit = commands_max(sv->config);
	char list[4 * RC_CONFIG_TEXT_SIZE], *at = list;
	bool taken;

	while (rc_webhook_list_next(&rest, &type)) {
		if (!rc_backend_type_valid(type))
			return rc_error_set(err,
				"[webhooks] types: %.*s is no type that clients may say, nor $connect, "
				"$disconnect, $subscribe or $unsubscribe",
				(int)type.len, type.ptr);
		/* Whoever has credit; how it fares with those that fail is decided here. */
		*at++ = (char)type.len;
		at = rc_str_copy(at, type);
		memset(at, 0, 3);
		at += 3;
	}
	taken = rc_desk_register(
		&sv->commands->desk, &who, &credit, (struct rc_str){list, (size_t)(at - list)});
	rc_desk_registered(&sv->commands->desk);
	return taken ? 0 : rc_error_set(err, "[webhooks] types: no memory for them");
}

int rc_webhooks_init(struct rc_serve *sv, const struct rc_webhook_target *target, void *memory,
	struct rc_error *err)
{
	struct rc_webhooks *w = memory;
	unsigned char *at = (unsigned char *)memory + rc_align_up(sizeof(*w), RC_CACHE_LINE);

	w->target = target;
	w->to = target->first;
	w->lines = sv->config->webhook_connections;
	w->commands_max = commands_max(sv->config);
	/* No longer than a backend's reply may be. */
	w->answer_max = (uint32_t)RC_MIN(
		(uint64_t)sv->config->webhook_answer_max, (uint64_t)sv->config->max_message);
	w->line = (struct rc_webhook_line *)(void *)at;
	for (uint32_t i = 0; i < w->lines; i++)
		w->line[i].job = RC_NONE;
	at += lines_bytes(sv->config);
	rc_slab_init(&w->jobs, at, sizeof(struct rc_webhook_job), jobs_max(sv->config));
	sv->webhooks = w;
	return enter(sv, err);
}
