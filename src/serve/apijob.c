/* SPDX-License-Identifier: Apache-2.0
 *
 * A publish request from its body to its answer. See api.h. A job that waits, for room or for another shard, is looked at again at
 * the end of a turn; what comes for it meanwhile is only noted, so nothing here is entered twice.
 */
#include "serve/apiuser.h"
#include "serve/binary.h"
#include "serve/say.h"

#include "ringcast/wire.h"

size_t rc_api_job_bytes(void)
{
	return rc_align_up(sizeof(struct rc_api_job), 8);
}

static struct rc_api_job *job_at(const struct rc_serve *sv, uint32_t slot)
{
	return rc_slab_at(&sv->api->jobs, slot);
}

static uint32_t slot_of(const struct rc_serve *sv, const struct rc_api_job *j)
{
	return (uint32_t)((size_t)((const unsigned char *)j - sv->api->jobs.base) /
			  sv->api->jobs.stride);
}

static struct rc_api_job *find(const struct rc_serve *sv, uint32_t slot, uint32_t generation)
{
	if (slot >= sv->api->jobs.mark || sv->api->job_generation[slot] != generation)
		return NULL;
	return job_at(sv, slot);
}

static void wait(struct rc_serve *sv, struct rc_api_job *j)
{
	struct rc_api *api = sv->api;
	uint32_t slot = slot_of(sv, j);

	if (j->listed)
		return;
	j->listed = true;
	j->wait_next = RC_NONE;
	if (api->wait_last != RC_NONE)
		job_at(sv, api->wait_last)->wait_next = slot;
	else
		api->wait_first = slot;
	api->wait_last = slot;
}

static size_t results_bytes(const struct rc_api_job *j)
{
	return j->count * sizeof(*j->results);
}

static void end(struct rc_serve *sv, struct rc_api_job *j)
{
	uint32_t slot = slot_of(sv, j);

	RC_ASSERT(!j->listed && j->undecided == 0);
	rc_http_put_body(sv, j->block, j->block_size);
	if (j->grant)
		rc_pool_put(sv->pool, j->grant, j->grant->size);
	if (j->results != &j->one)
		rc_pool_put(sv->pool, j->results, results_bytes(j));
	sv->api->job_generation[slot]++;
	rc_slab_put(&sv->api->jobs, slot);
}

/* ---- the key ------------------------------------------------------------------------------------ */

/* An outcome that a client may ask for again is none. */
static bool worth_keeping(const struct rc_api_job *j)
{
	return j->count > 1 || j->one.offset || j->one.epoch != RC_API_OVER_CAPACITY;
}

/* False: no room. */
static bool ask_home(struct rc_serve *sv, struct rc_api_job *j, enum rc_api_kind kind)
{
	struct rc_api_key_ask head = {
		.kind = kind,
		.count = kind == RC_API_KEY_SETTLE && !worth_keeping(j) ? 0 : j->count,
		.who = {sv->shard, slot_of(sv, j), sv->api->job_generation[slot_of(sv, j)]},
		.key_len = j->key_len,
		.print = j->print,
	};
	uint32_t home = rc_hub_owner(sv->hub, (uint32_t)rc_hash(&sv->hub->key, j->key, j->key_len));
	size_t bytes = kind == RC_API_KEY_SETTLE ? head.count * sizeof(*j->results) : 0;
	struct rc_api_key_ask *ask = rc_pool_get(sv->pool, sizeof(head) + bytes);
	bool asked;

	if (!ask)
		return false;
	memcpy(head.key, j->key, j->key_len);
	*ask = head;
	if (bytes)
		memcpy(ask->results, j->results, bytes);
	asked = sv->port.api_ask(sv->port.ctx, home, ask, sizeof(head) + bytes);
	rc_pool_put(sv->pool, ask, sizeof(head) + bytes);
	return asked;
}

void rc_api_key_told(struct rc_serve *sv, const struct rc_api_key_answer *a)
{
	struct rc_api_job *j = find(sv, a->to.slot, a->to.generation);

	RC_ASSERT(j && j->stage == RC_API_CLAIMING);
	j->verdict = (uint8_t)a->verdict;
	j->stage = a->verdict == RC_API_GO ? RC_API_PUBLISHING : RC_API_DECIDED;
	if (a->verdict == RC_API_REPLAYED) {
		RC_ASSERT(a->count == j->count);
		memcpy(j->results, a->results, results_bytes(j));
		rc_count(sv->counters, RC_C_http_keys_replayed, 1);
	}
	if (!j->running)
		wait(sv, j);
}

/* ---- publishing --------------------------------------------------------------------------------- */

static void decide(struct rc_api_job *j, uint32_t index, const struct rc_outcome *o)
{
	if (j->direct) {
		j->results[index].offset += o->offset;
		return;
	}
	j->results[index] = (struct rc_api_result){o->epoch, o->offset};
	if (o->nack)
		j->results[index] = (struct rc_api_result){RC_API_OVER_CAPACITY, 0};
}

enum rc_api_fault rc_api_event_judge(
	const struct rc_serve *sv, const struct rc_api_event *e, struct rc_schema_fault *why)
{
	if (!sv->rules)
		return RC_API_UNDECIDED;
	switch (rc_validate(sv->rules, e->channel, e->event, e->data, true, why)) {
	case RC_INVALID_SIZE:
		return RC_API_TOO_LARGE;
	case RC_INVALID_EVENT:
		return RC_API_WRONG_EVENT;
	case RC_INVALID_DATA:
		return RC_API_INVALID;
	default:
		return RC_API_UNDECIDED;
	}
}

enum rc_counter rc_api_refused_counter(enum rc_api_fault fault)
{
	switch (fault) {
	case RC_API_TOO_LARGE:
		return RC_C_events_refused_too_big;
	case RC_API_FORBIDDEN:
		return RC_C_events_refused_forbidden;
	case RC_API_WRONG_EVENT:
	case RC_API_INVALID:
		return RC_C_events_refused_invalid;
	default:
		return RC_C_events_refused_bad;
	}
}

static void refused(
	struct rc_serve *sv, struct rc_api_job *j, uint32_t index, enum rc_api_fault fault)
{
	j->results[index] = (struct rc_api_result){fault, 0};
	rc_count(sv->counters, rc_api_refused_counter(fault), 1);
}

/* False: no room, nothing was done. */
static bool publish_one(struct rc_serve *sv, struct rc_api_job *j, struct rc_str text)
{
	uint32_t slot = slot_of(sv, j);
	struct rc_outcome outcome = {0};
	struct rc_schema_fault why;
	struct rc_api_event e;

	if (j->direct) {
		const struct rc_publisher_ref from = {
			sv->shard, slot | RC_API_SLOT, sv->api->job_generation[slot], 0, 0};
		uint32_t parts;
		if (!rc_api_direct(sv, j, text, &from, &parts))
			return false;
		j->undecided += parts;
		return true;
	}
	enum rc_api_fault fault = j->framed ? (enum rc_api_fault)rc_bin_event_read(
						      text, true, sv->config->max_message, &e)
					    : rc_api_event_read(text, j->validated, j->broadcast,
						      sv->config->max_message, &e);

	if (!fault && j->grant && !rc_grant_publishes(j->grant, e.channel))
		fault = RC_API_FORBIDDEN;
	if (!fault && !j->broadcast && !j->judged)
		fault = rc_api_event_judge(sv, &e, &why);
	if (fault) {
		refused(sv, j, j->next, fault);
		return true;
	}
	const struct rc_mute me = {j->ref.slot, j->ref.generation};
	struct rc_publish p = {
		.from = {sv->shard, slot | RC_API_SLOT, sv->api->job_generation[slot], j->next, 0},
		.channel = e.channel,
		.event = e.event,
		.data = e.data,
		.trace = e.traced    ? e.trace
			 : j->traced ? j->trace
				     : NULL,
		/* What time it is, a client is not asked. */
		.timestamp_ms = e.timestamp_ms && !j->client ? e.timestamp_ms : sv->wall_ms,
		.taken_ns = sv->now_ns,
		.time_ms = sv->wall_ms,
		.hash = rc_hub_hash(sv->hub, e.channel),
		.json = e.json,
		.mute = j->quiet ? &me : NULL,
	};
	switch (sv->port.publish(sv->port.ctx, &p, &outcome)) {
	case RC_ROUTE_FULL:
		return false;
	case RC_ROUTE_AWAY:
		j->undecided++;
		break;
	case RC_ROUTE_DONE:
		decide(j, j->next, &outcome);
		break;
	}
	if (j->broadcast)
		rc_count(sv->counters, RC_C_broadcasts, 1);
	return true;
}

/* False: a ring is full, or the shard is behind. */
static bool publish_all(struct rc_serve *sv, struct rc_api_job *j)
{
	while (j->next < j->count) {
		struct rc_api_walk before = j->walk;
		struct rc_str text = {NULL, 0};

		if (sv->busy || !(j->code || rc_api_walk_next(&j->walk, &text)) ||
			!publish_one(sv, j, text)) {
			j->walk = before;
			return false;
		}
		j->next++;
	}
	return true;
}

void rc_api_outcome(struct rc_serve *sv, const struct rc_outcome *o)
{
	struct rc_api_job *j = find(sv, o->to.slot & ~RC_API_SLOT, o->to.generation);

	RC_ASSERT(j && j->undecided > 0 && o->to.entry < j->count);
	decide(j, o->to.entry, o);
	if (--j->undecided == 0 && j->next == j->count)
		wait(sv, j);
}

static void step(struct rc_serve *sv, struct rc_api_job *j)
{
	if (j->stage == RC_API_CLAIM) {
		j->stage = RC_API_CLAIMING;
		if (!ask_home(sv, j, RC_API_KEY_CLAIM)) {
			j->stage = RC_API_CLAIM;
			wait(sv, j);
		}
	}
	if (j->stage == RC_API_PUBLISHING) {
		if (!publish_all(sv, j))
			wait(sv, j);
		else if (j->undecided == 0)
			j->stage = j->keyed ? RC_API_SETTLING : RC_API_DECIDED;
	}
	if (j->stage == RC_API_SETTLING) {
		if (ask_home(sv, j, RC_API_KEY_SETTLE))
			j->stage = RC_API_DECIDED;
		else
			wait(sv, j);
	}
}

/* As far as it goes. True: decided. */
static bool run(struct rc_serve *sv, struct rc_api_job *j)
{
	/* Its own shard may be the one that is asked, which then tells at once. */
	j->running = true;
	step(sv, j);
	j->running = false;
	return j->stage == RC_API_DECIDED;
}

static void answer(struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *j)
{
	if (j->client)
		rc_say_published(sv, j, call);
	else
		rc_api_answer(sv, call, j);
}

void rc_api_turn(struct rc_serve *sv)
{
	struct rc_api *api = sv->api;
	uint32_t slot = api->wait_first;

	rc_api_keys_sweep(sv);
	api->wait_first = api->wait_last = RC_NONE;
	while (slot != RC_NONE) {
		struct rc_api_job *j = job_at(sv, slot);
		struct rc_http_call call;

		slot = j->wait_next;
		j->listed = false;
		if (!run(sv, j))
			continue;
		if (j->by_websocket)
			rc_say_published(sv, j, NULL);
		else if (j->attended && rc_http_resume(sv, &j->ref, &call))
			answer(sv, &call, j);
		end(sv, j);
	}
}

/* ---- the request -------------------------------------------------------------------------------- */

static void fail(struct rc_serve *sv, struct rc_http_call *call, enum rc_api_fault fault)
{
	struct rc_api_words w = rc_api_words(fault);

	rc_http_fail(sv, call, w.status, w.code, w.message);
}

/* 1: there is one. 0: none. -1: it is none. */
static int read_key(const struct rc_http_request *r, struct rc_api_job *j)
{
	struct rc_str key = rc_http_header_get(r, "idempotency-key");

	if (!key.ptr)
		return 0;
	if (rc_http_header_count(r, "idempotency-key") != 1 || key.len == 0 ||
		key.len > RC_API_KEY_MAX)
		return -1;
	for (size_t i = 0; i < key.len; i++) {
		if (key.ptr[i] <= ' ' || key.ptr[i] >= 0x7f)
			return -1;
	}
	memcpy(j->key, key.ptr, key.len);
	j->key_len = (uint32_t)key.len;
	return 1;
}

static bool says_lines(const struct rc_http_request *r)
{
	struct rc_str type = rc_http_media_type(r);

	return rc_http_same(type, RC_STR("application/x-ndjson")) ||
	       rc_http_same(type, RC_STR("application/ndjson")) ||
	       rc_http_same(type, RC_STR("application/jsonl"));
}

/* What the body holds; false: answered. */
static bool read_body(struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *j)
{
	struct rc_api_walk w;
	struct rc_str text;

	j->body = call->body;
	if (!rc_api_walk_begin(&j->walk, j->body, says_lines(call->request))) {
		fail(sv, call, RC_API_BAD_JSON);
		return false;
	}
	j->validated = j->walk.form != RC_API_LINES;
	w = j->walk;
	while (j->count <= sv->config->http_publish_max && rc_api_walk_next(&w, &text)) {
		j->count++;
		j->ids |= memmem(text.ptr, text.len, "\"id\"", 4) != NULL;
	}
	if (j->count <= sv->config->http_publish_max)
		return true;
	rc_http_fail(sv, call, 413, "too_many", "more events than [http] publish_max");
	return false;
}

/* A single event that can't be published is known to be so before its key is. False: answered. */
static bool judge_one(struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *j)
{
	struct rc_schema_fault why;
	struct rc_api_event e;
	enum rc_api_fault fault;

	if (j->walk.form != RC_API_ONE || !j->keyed)
		return true;
	fault = rc_api_event_read(
		j->walk.rest, true, j->broadcast || j->direct, sv->config->max_message, &e);
	if (!fault && !j->broadcast && !j->direct && call->grant &&
		!rc_grant_publishes(call->grant, e.channel))
		fault = RC_API_FORBIDDEN;
	if (!fault && !j->broadcast && !j->direct)
		fault = rc_api_event_judge(sv, &e, &why);
	j->judged = !fault;
	if (fault == RC_API_INVALID) {
		rc_count(sv->counters, rc_api_refused_counter(fault), 1);
		rc_api_answer_invalid(sv, call, &why);
	} else if (fault) {
		fail(sv, call, fault);
	}
	return fault == RC_API_UNDECIDED;
}

/* It goes on without us. False: it can't, and was not begun. */
static bool keep(struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *j)
{
	const char *from = j->body.ptr;

	j->block = rc_http_keep_body(sv, call, &j->block_size);
	if (!j->block)
		return false;
	j->body = call->body;
	rc_api_walk_move(&j->walk, from, j->body.ptr);
	return true;
}

/* grant: what it may publish to; NULL: everything. */
static struct rc_api_job *make(
	struct rc_serve *sv, const struct rc_api_job *from, const struct rc_grant *grant)
{
	uint32_t slot = rc_slab_get(&sv->api->jobs);
	struct rc_api_job *j;

	if (slot == RC_NONE)
		return NULL;
	j = job_at(sv, slot);
	*j = *from;
	j->results = &j->one;
	if (grant) {
		j->grant = rc_pool_get(sv->pool, grant->size);
		if (!j->grant) {
			rc_slab_put(&sv->api->jobs, slot);
			return NULL;
		}
		memcpy(j->grant, grant, grant->size);
	}
	if (j->count > 1)
		j->results = rc_pool_get(sv->pool, results_bytes(j));
	if (!j->results) {
		if (j->grant)
			rc_pool_put(sv->pool, j->grant, j->grant->size);
		rc_slab_put(&sv->api->jobs, slot);
		return NULL;
	}
	memset(j->results, 0, RC_MAX(results_bytes(j), sizeof(j->one)));
	return j;
}

/* The job goes on by itself from here. */
static enum rc_http_result attend(
	struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *j)
{
	if (!j->block && !j->code && (j->next < j->count || j->ids) && !keep(sv, call, j)) {
		j->ids = false;
		if (j->next < j->count) {
			j->results[j->next++] = (struct rc_api_result){RC_API_OVER_CAPACITY, 0};
			j->walk.rest.len = 0;
		}
	}
	j->attended = rc_http_later(sv, call, &j->ref);
	if (j->attended)
		return RC_HTTP_LATER;
	/* It can't be told what becomes of it. */
	rc_conn_kill(sv->conns, call->c);
	return RC_HTTP_TAKEN;
}

/* What it may have to wait with must not be the client's buffer. */
static bool copy(struct rc_serve *sv, struct rc_api_job *j)
{
	j->block_size = (uint32_t)j->body.len;
	j->block = rc_http_get_body(sv, j->block_size);
	if (!j->block)
		return false;
	(void)rc_str_copy((char *)j->block, j->body);
	rc_api_walk_move(&j->walk, j->body.ptr, (const char *)j->block);
	j->body.ptr = (const char *)j->block;
	return true;
}

bool rc_api_job_start(struct rc_serve *sv, const struct rc_api_job *draft,
	struct rc_http_call *call, enum rc_http_result *result)
{
	struct rc_api_job *j = make(sv, draft, NULL);

	if (!j)
		return false;
	if (!(call ? keep(sv, call, j) : copy(sv, j))) {
		end(sv, j);
		return false;
	}
	if (run(sv, j)) {
		rc_say_published(sv, j, call);
		end(sv, j);
	} else if (call) {
		*result = attend(sv, call, j);
	}
	return true;
}

/* The same body may mean something else. */
static uint64_t print_of(const struct rc_serve *sv, const struct rc_api_job *j)
{
	uint64_t print = rc_hash(&sv->hub->key, j->body.ptr, j->body.len);

	if (j->direct)
		print ^= rc_hash(&sv->hub->key, j->target, j->target_len) + j->session + 1;
	return print ^ (j->broadcast ? UINT64_MAX : 0);
}

enum rc_http_result rc_api_take(
	struct rc_serve *sv, struct rc_http_call *call, struct rc_api_job *draft)
{
	struct rc_api_job *j;
	bool limited;
	/* To end what is ended already changes nothing. */
	int keyed = draft->code ? 0 : read_key(call->request, draft);

	draft->stage = RC_API_PUBLISHING;
	draft->verdict = RC_API_GO;
	draft->keyed = keyed > 0;
	if (sv->draining) {
		rc_http_fail(sv, call, 503, "shutting_down", "the gateway is shutting down");
		return RC_HTTP_DONE;
	}
	if (keyed < 0) {
		rc_http_fail(sv, call, 400, "bad_key",
			"an Idempotency-Key is 1 to 128 visible characters of ASCII");
		return RC_HTTP_DONE;
	}
	draft->count = draft->code != 0;
	if (!draft->code && (!read_body(sv, call, draft) || !judge_one(sv, call, draft)))
		return RC_HTTP_DONE;
	if (draft->direct && draft->walk.form != RC_API_ONE) {
		fail(sv, call, RC_API_BAD_REQUEST);
		return RC_HTTP_DONE;
	}
	/* Patterns are about channels. */
	limited = !draft->broadcast && !draft->direct && !draft->code && call->grant &&
		  call->grant->patterns_len;
	draft->traced = rc_trace_parse(rc_http_trace(call->request), draft->trace);
	j = make(sv, draft, limited ? call->grant : NULL);
	if (!j) {
		fail(sv, call, RC_API_OVER_CAPACITY);
		return RC_HTTP_DONE;
	}
	if (j->keyed) {
		j->stage = RC_API_CLAIM;
		j->print = print_of(sv, j);
		/* Nobody is told what became of what another one sent. */
		if (call->grant)
			j->print +=
				rc_hash(&sv->hub->key, call->grant->name, call->grant->name_len);
	}
	/* What is to be remembered, or is more than one event, may not stop half way for want of memory. */
	if ((j->keyed || j->count > 1) && !keep(sv, call, j)) {
		fail(sv, call, RC_API_OVER_CAPACITY);
		end(sv, j);
		return RC_HTTP_DONE;
	}
	if (run(sv, j)) {
		rc_api_answer(sv, call, j);
		end(sv, j);
		return RC_HTTP_DONE;
	}
	return attend(sv, call, j);
}

enum rc_http_result rc_api_publish(struct rc_serve *sv, struct rc_http_call *call)
{
	struct rc_api_job draft = {0};

	return rc_api_take(sv, call, &draft);
}

enum rc_http_result rc_api_broadcast(struct rc_serve *sv, struct rc_http_call *call)
{
	struct rc_api_job draft = {.broadcast = true};

	return rc_api_take(sv, call, &draft);
}
