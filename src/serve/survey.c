/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/survey.h"

enum { TO_ASK, ASKED, DONE };

/* ---- a set -------------------------------------------------------------------------------------- */

static size_t entry_bytes(const struct rc_survey_entry *e)
{
	return sizeof(*e) + e->key_len + e->len;
}

static void drop(struct rc_serve *sv, struct rc_survey_set *set, uint32_t place)
{
	struct rc_survey_entry *e = set->at[place];

	set->count--;
	memmove(&set->at[place], &set->at[place + 1], (set->count - place) * sizeof(void *));
	set->bytes -= entry_bytes(e);
	rc_pool_put(sv->pool, e, entry_bytes(e));
}

static void drop_last(struct rc_serve *sv, struct rc_survey_set *set)
{
	drop(sv, set, set->count - 1);
	set->more = true;
}

static void free_set(struct rc_serve *sv, struct rc_survey_set *set)
{
	while (set->count)
		drop_last(sv, set);
	rc_pool_put(sv->pool, set->at, set->size * sizeof(void *));
	set->at = NULL;
}

/* The place of the key, or where it would be. */
static uint32_t place_of(const struct rc_survey_set *set, struct rc_str key, bool *there)
{
	uint32_t low = 0, high = set->count;

	*there = false;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		int rc = rc_survey_compare(rc_survey_key(set->at[middle]), key);
		if (rc == 0) {
			*there = true;
			return middle;
		}
		if (rc < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_channel(const struct rc_survey_set *set)
{
	return set->kind <= RC_SURVEY_SUBSCRIPTIONS || set->kind == RC_SURVEY_NAMED;
}

/* Its keys are numbers, and its contents are names: of which one may come with several numbers. */
static bool is_top(const struct rc_survey_set *set)
{
	return set->kind == RC_SURVEY_BUSIEST || set->kind == RC_SURVEY_HEARD;
}

/* The names that the sets before it hold; ptr NULL: no more. */
static struct rc_str named(const struct rc_survey *survey, uint32_t index)
{
	for (uint32_t i = 0; i < survey->present; i++) {
		const struct rc_survey_set *set = &survey->set[i];
		if (index < set->count)
			return rc_survey_contents(set->at[index]);
		index -= set->count;
	}
	return (struct rc_str){NULL, 0};
}

/* The same name from another shard, or from the other table of the same one. */
static void add_up(struct rc_survey_entry *e, uint32_t shard, struct rc_str contents)
{
	struct rc_survey_channel had, more;
	uint64_t bit = (uint64_t)1 << shard;

	memcpy(&had, rc_survey_contents(e).ptr, sizeof(had));
	memcpy(&more, contents.ptr, sizeof(more));
	if (more.owned) {
		uint32_t subscribers = had.subscribers;
		had = more;
		had.subscribers = subscribers;
	} else if (!(e->shards & bit)) {
		/* A walk over a table that changes may come by the same one twice. */
		had.subscribers += more.subscribers;
		e->shards |= bit;
	}
	memcpy(e->bytes + e->key_len, &had, sizeof(had));
}

/* Of one name the smallest key stays. False: it is there. */
static bool make_way(
	struct rc_serve *sv, struct rc_survey_set *set, const uint32_t *place, struct rc_str name)
{
	uint32_t i = 0;

	while (i < set->count && !rc_str_eq(rc_survey_contents(set->at[i]), name))
		i++;
	if (i < *place)
		return false;
	if (i < set->count)
		drop(sv, set, i);
	return true;
}

static void insert(struct rc_serve *sv, struct rc_survey *survey, struct rc_survey_set *set,
	uint32_t shard, struct rc_str key, struct rc_str contents)
{
	bool there;
	uint32_t place = place_of(set, key, &there);

	if (there) {
		if (is_channel(set))
			add_up(set->at[place], shard, contents);
		return;
	}
	if (is_top(set) && !make_way(sv, set, &place, contents))
		return;
	if (place == set->limit) {
		set->more = true;
		return;
	}
	struct rc_survey_entry *e = rc_pool_get(sv->pool, sizeof(*e) + key.len + contents.len);
	if (!e) {
		survey->failed = true;
		return;
	}
	e->shards = 0;
	e->key_len = (uint16_t)key.len;
	e->len = (uint16_t)contents.len;
	(void)rc_str_copy(rc_str_copy(e->bytes, key), contents);
	if (is_channel(set)) {
		struct rc_survey_channel c;
		memcpy(&c, contents.ptr, sizeof(c));
		e->shards = c.owned ? 0 : (uint64_t)1 << shard;
	}
	if (set->count == set->limit)
		drop_last(sv, set);
	memmove(&set->at[place + 1], &set->at[place], (set->count - place) * sizeof(void *));
	set->at[place] = e;
	set->count++;
	set->bytes += entry_bytes(e);
	/* From here on it holds fewer, or a key that was dropped could come back without what was counted for it. */
	while (set->bytes > RC_SURVEY_BYTES_MAX) {
		drop_last(sv, set);
		set->limit = set->count;
	}
}

void rc_survey_merge(struct rc_serve *sv, struct rc_survey *survey, struct rc_survey_set *set,
	const struct rc_survey_piece *piece)
{
	_Static_assert(RC_ARRAY_LEN(sv->survey) == RC_SURVEYS_MAX, "a place for each");
	const char *at = (const char *)piece->bytes;
	const char *end = at + piece->len;
	struct rc_survey_item item;

	set->more |= piece->more;
	while (at < end) {
		memcpy(&item, at, sizeof(item));
		at += sizeof(item);
		RC_ASSERT((size_t)(end - at) >= (size_t)item.key_len + item.len);
		insert(sv, survey, set, piece->shard, (struct rc_str){at, item.key_len},
			(struct rc_str){at + item.key_len, item.len});
		at += item.key_len + item.len;
	}
}

/* ---- one survey --------------------------------------------------------------------------------- */

struct rc_survey *rc_survey_new(struct rc_serve *sv)
{
	for (uint32_t i = 0; i < RC_SURVEYS_MAX && !sv->draining; i++) {
		if (sv->survey[i])
			continue;
		struct rc_survey *s = rc_pool_get(sv->pool, sizeof(*s));
		if (!s)
			return NULL;
		memset(s, 0, sizeof(*s));
		s->token = ++sv->survey_token;
		sv->survey[i] = s;
		sv->survey_count++;
		return s;
	}
	return NULL;
}

void rc_survey_add(struct rc_survey *survey, enum rc_survey_kind kind, uint32_t limit,
	struct rc_str prefix, struct rc_str after)
{
	RC_ASSERT(survey->sets < RC_SURVEY_SETS_MAX);
	RC_ASSERT(prefix.len <= RC_SURVEY_KEY_MAX && after.len <= RC_SURVEY_KEY_MAX);
	struct rc_survey_set *set = &survey->set[survey->sets++];
	set->kind = (uint8_t)kind;
	set->limit = set->size = RC_MAX(limit, 1u);
	set->prefix_len = (uint8_t)prefix.len;
	set->after_len = (uint8_t)after.len;
	(void)rc_str_copy(set->prefix, prefix);
	(void)rc_str_copy(set->after, after);
}

static void begin_set(struct rc_serve *sv, struct rc_survey *survey)
{
	bool named_ones = survey->set[survey->present].kind == RC_SURVEY_NAMED;
	bool nothing = named_ones && !named(survey, 0).ptr;
	uint32_t shards = sv->hub->limits.shards;

	survey->left = nothing ? 0 : shards;
	for (uint32_t i = 0; i < shards; i++) {
		survey->cursor[i] = named_ones ? 0 : RC_NONE;
		survey->state[i] = nothing ? DONE : TO_ASK;
	}
}

static void end(struct rc_serve *sv, uint32_t slot)
{
	struct rc_survey *survey = sv->survey[slot];

	for (uint32_t i = 0; i < survey->sets; i++) {
		if (survey->set[i].at)
			free_set(sv, &survey->set[i]);
	}
	sv->survey[slot] = NULL;
	sv->survey_count--;
	rc_pool_put(sv->pool, survey, sizeof(*survey));
}

static void busy(struct rc_serve *sv, struct rc_http_call *call)
{
	rc_http_fail(sv, call, 503, "server_capacity_exceeded",
		sv->draining
			? "the gateway stops"
			: "too many such questions at once, or no memory for this one; ask again later");
}

static uint32_t slot_of(const struct rc_serve *sv, const struct rc_survey *survey)
{
	uint32_t slot = 0;

	while (sv->survey[slot] != survey)
		slot++;
	return slot;
}

enum rc_http_result rc_survey_start(struct rc_serve *sv, struct rc_survey *survey,
	struct rc_http_call *call,
	void (*answer)(struct rc_serve *, const struct rc_survey *, struct rc_http_call *))
{
	if (!survey) {
		busy(sv, call);
		return RC_HTTP_DONE;
	}
	bool room = true;
	for (uint32_t i = 0; i < survey->sets; i++) {
		struct rc_survey_set *set = &survey->set[i];
		set->at = rc_pool_get(sv->pool, set->size * sizeof(void *));
		room = room && set->at;
	}
	if (!room || !rc_http_later(sv, call, &survey->ref)) {
		end(sv, slot_of(sv, survey));
		busy(sv, call);
		return RC_HTTP_DONE;
	}
	survey->answer = answer;
	begin_set(sv, survey);
	return RC_HTTP_LATER;
}

static void finish(struct rc_serve *sv, uint32_t slot)
{
	struct rc_survey *survey = sv->survey[slot];
	struct rc_http_call call;

	if (rc_http_resume(sv, &survey->ref, &call)) {
		if (survey->failed)
			busy(sv, &call);
		else
			survey->answer(sv, survey, &call);
	}
	end(sv, slot);
}

/* ---- asking ------------------------------------------------------------------------------------- */

static void took(struct rc_serve *sv, struct rc_survey *survey, const struct rc_survey_piece *piece)
{
	const struct rc_survey_set *set = &survey->set[survey->present];
	uint32_t shard = piece->shard, cursor = survey->cursor[shard] + 1;
	bool is_named = set->kind == RC_SURVEY_NAMED;
	bool done = is_named ? !named(survey, cursor).ptr : piece->done;

	rc_survey_merge(sv, survey, &survey->set[survey->present], piece);
	survey->cursor[shard] = is_named ? cursor : piece->cursor;
	survey->state[shard] = done ? DONE : TO_ASK;
	survey->left -= done;
}

void rc_survey_told(struct rc_serve *sv, const struct rc_survey_piece *piece)
{
	struct rc_survey *survey = sv->survey[piece->slot];

	/* Every ask is answered before its survey ends, but for one that was given up because the gateway stops. */
	if (!survey || survey->token != piece->token) {
		RC_ASSERT(sv->draining);
		return;
	}
	RC_ASSERT(survey->state[piece->shard] == ASKED);
	took(sv, survey, piece);
}

static void ask(struct rc_serve *sv, uint32_t slot, uint32_t shard)
{
	struct rc_survey *survey = sv->survey[slot];
	const struct rc_survey_set *set = &survey->set[survey->present];
	struct rc_survey_ask a;

	a.shard = sv->shard;
	a.slot = slot;
	a.token = survey->token;
	a.cursor = survey->cursor[shard];
	a.kind = set->kind;
	a.prefix_len = set->prefix_len;
	a.after_len = set->after_len;
	a.last_len = 0;
	memcpy(a.prefix, set->prefix, set->prefix_len);
	memcpy(a.after, set->after, set->after_len);
	if (set->kind == RC_SURVEY_NAMED) {
		struct rc_str name = named(survey, a.cursor);
		a.kind = RC_SURVEY_CHANNEL;
		a.prefix_len = (uint8_t)name.len;
		(void)rc_str_copy(a.prefix, name);
	} else if (set->count && set->count == set->limit) {
		struct rc_str largest = rc_survey_key(set->at[set->count - 1]);
		a.last_len = (uint8_t)largest.len;
		(void)rc_str_copy(a.last, largest);
	}
	if (shard == sv->shard) {
		struct rc_survey_piece piece;
		rc_survey_piece(sv, &a, &piece);
		took(sv, survey, &piece);
	} else if (sv->port.survey(sv->port.ctx, shard, &a)) {
		survey->state[shard] = ASKED;
	}
}

static void go_on(struct rc_serve *sv, uint32_t slot)
{
	struct rc_survey *survey = sv->survey[slot];

	for (uint32_t i = 0; i < sv->hub->limits.shards; i++) {
		if (survey->state[i] == TO_ASK && i != sv->shard)
			ask(sv, slot, i);
	}
	while (survey->left == 0) {
		if (++survey->present == survey->sets) {
			finish(sv, slot);
			return;
		}
		begin_set(sv, survey);
	}
}

void rc_survey_turn(struct rc_serve *sv)
{
	bool walked = false;

	/* Another shard may end before it has answered. */
	for (uint32_t slot = 0; sv->draining && slot < RC_SURVEYS_MAX; slot++) {
		if (sv->survey[slot]) {
			sv->survey[slot]->failed = true;
			finish(sv, slot);
		}
	}
	for (uint32_t i = 0; i < RC_SURVEYS_MAX; i++) {
		uint32_t slot = (sv->survey_next + i) % RC_SURVEYS_MAX;
		const struct rc_survey *survey = sv->survey[slot];
		if (!survey)
			continue;
		if (!walked && survey->state[sv->shard] == TO_ASK) {
			ask(sv, slot, sv->shard);
			walked = true;
		}
		go_on(sv, slot);
	}
	sv->survey_next += walked;
}

bool rc_survey_pending(const struct rc_serve *sv)
{
	for (uint32_t slot = 0; slot < RC_SURVEYS_MAX; slot++) {
		const struct rc_survey *survey = sv->survey[slot];
		for (uint32_t i = 0; survey && i < sv->hub->limits.shards; i++) {
			if (survey->state[i] == TO_ASK)
				return true;
		}
	}
	return false;
}
