/* SPDX-License-Identifier: Apache-2.0
 *
 * From the text of a schema to its block. The bound counts what could begin a node, a member or a value, so the block is
 * large enough by construction; what is written into it is checked all the same.
 */
#include "proto/schema_block.h"

#include <errno.h>

#define JSON_DEPTH 80u /* two levels for each schema, and a few of annotations */

enum word {
	TYPE,
	ENUM,
	CONST,
	PROPERTIES,
	REQUIRED,
	ADDITIONAL,
	ITEMS,
	MIN_LENGTH,
	MAX_LENGTH,
	MIN_ITEMS,
	MAX_ITEMS,
	MINIMUM,
	MAXIMUM,
	ABOVE,
	BELOW,
	EVENTS,
	WORDS,
};

static const char *const words[WORDS] = {
	[TYPE] = "type",
	[ENUM] = "enum",
	[CONST] = "const",
	[PROPERTIES] = "properties",
	[REQUIRED] = "required",
	[ADDITIONAL] = "additionalProperties",
	[ITEMS] = "items",
	[MIN_LENGTH] = "minLength",
	[MAX_LENGTH] = "maxLength",
	[MIN_ITEMS] = "minItems",
	[MAX_ITEMS] = "maxItems",
	[MINIMUM] = "minimum",
	[MAXIMUM] = "maximum",
	[ABOVE] = "exclusiveMinimum",
	[BELOW] = "exclusiveMaximum",
	[EVENTS] = "events",
};

static const char *const annotations[] = {"$schema", "$id", "$comment", "title", "description",
	"default", "examples", "deprecated", "readOnly", "writeOnly"};

struct keywords {
	struct rc_json_value v[WORDS];
};

/* ---- the block ---------------------------------------------------------------------------------- */

static uint32_t new_node(struct rc_schema_work *w, uint8_t of_types)
{
	struct rc_schema *s = w->s;

	if (s->node_count == s->node_max) {
		(void)rc_schema_blame(w, NULL, NULL, "has more than was reckoned with");
		return RC_NONE;
	}
	s->nodes[s->node_count] = (struct rc_schema_node){
		.types = of_types,
		.constant = RC_NONE,
		.max_length = UINT32_MAX,
		.max_items = UINT32_MAX,
	};
	return s->node_count++;
}

static bool new_members(struct rc_schema_work *w, size_t count, uint32_t *first)
{
	struct rc_schema *s = w->s;

	if (count > s->member_max - s->member_count)
		return rc_schema_blame(w, NULL, NULL, "has more than was reckoned with");
	*first = s->member_count;
	return true;
}

/* ---- members ------------------------------------------------------------------------------------ */

static bool compile(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, uint32_t depth, uint32_t *node);

/* At its place in the order. *index: where it stands now. */
static bool insert(struct rc_schema_work *w, const struct rc_schema_step *at, const char *where,
	uint32_t first, uint32_t *count, struct rc_str name, bool again, uint32_t *index)
{
	struct rc_schema_member *row = w->s->members + first;
	uint32_t i = *count;

	while (i > 0 && rc_schema_order(name, row[i - 1].name) < 0)
		i--;
	*index = i ? i - 1 : 0;
	if (i > 0 && rc_schema_order(name, row[i - 1].name) == 0)
		return again || rc_schema_blame(w, at, where, "stands twice");
	memmove(row + i + 1, row + i, (*count - i) * sizeof(*row));
	row[i] = (struct rc_schema_member){.name = name, .node = RC_NONE, .required = RC_NONE};
	*index = i;
	(*count)++;
	return true;
}

static size_t members_of(const struct rc_json_value *v)
{
	struct rc_json_iter it;
	struct rc_json_value item;
	struct rc_str key;
	size_t count = 0;

	if (v->kind == RC_JSON_ARRAY) {
		rc_json_array_begin(&it, v->raw);
		while (rc_json_array_next(&it, &item))
			count++;
	} else if (v->kind == RC_JSON_OBJECT) {
		rc_json_object_begin(&it, v->raw);
		while (rc_json_object_next(&it, &key, &item))
			count++;
	}
	return count;
}

/* The schemas of an object's members, sorted; their places are taken before those that stand in them. */
static bool read_members(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, uint32_t depth, uint32_t first, uint32_t *count)
{
	struct rc_json_iter it;
	struct rc_json_value item;
	struct rc_str key, name;
	uint32_t index, node;

	if (v->kind != RC_JSON_OBJECT)
		return rc_schema_blame(w, at, v->raw.ptr, "must be an object");
	rc_json_object_begin(&it, v->raw);
	while (rc_json_object_next(&it, &key, &item)) {
		const struct rc_json_value quoted = {RC_JSON_STRING, {key.ptr - 1, key.len + 2}};
		struct rc_schema_step here = {at, key};
		if (!rc_schema_text_of(w, &here, &quoted, RC_SCHEMA_NAME_MAX, &name) ||
			!insert(w, &here, key.ptr, first, count, name, false, &index))
			return false;
		if (!compile(w, &here, &item, depth, &node))
			return false;
		w->s->members[first + index].node = node;
	}
	return true;
}

static bool read_required(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, uint32_t node, uint32_t first, uint32_t *count)
{
	struct rc_json_iter it;
	struct rc_json_value item;
	struct rc_str name;
	uint32_t index, bit = 0;

	if (v->kind != RC_JSON_ARRAY)
		return rc_schema_blame(w, at, v->raw.ptr, "must be an array");
	rc_json_array_begin(&it, v->raw);
	while (rc_json_array_next(&it, &item)) {
		if (bit == RC_SCHEMA_REQUIRED_MAX)
			return rc_schema_blame(w, at, item.raw.ptr, "has more than %u names",
				RC_SCHEMA_REQUIRED_MAX);
		if (!rc_schema_text_of(w, at, &item, RC_SCHEMA_NAME_MAX, &name) ||
			!insert(w, at, item.raw.ptr, first, count, name, true, &index))
			return false;
		struct rc_schema_member *m = &w->s->members[first + index];
		if (m->required != RC_NONE)
			return rc_schema_blame(w, at, item.raw.ptr, "names a field twice");
		m->required = bit;
		w->s->nodes[node].required |= (uint64_t)1 << bit++;
	}
	return true;
}

static bool read_object(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct keywords *k, uint32_t depth, uint32_t node)
{
	const struct rc_schema_step properties = {at, rc_str_of(words[PROPERTIES])};
	const struct rc_schema_step required = {at, rc_str_of(words[REQUIRED])};
	const struct rc_schema_step additional = {at, rc_str_of(words[ADDITIONAL])};
	size_t most = members_of(&k->v[PROPERTIES]) + members_of(&k->v[REQUIRED]);
	uint32_t first = 0, count = 0, other = RC_SCHEMA_ANY;

	if (!new_members(w, most, &first))
		return false;
	w->s->member_count += (uint32_t)most;
	if (k->v[ADDITIONAL].kind && !compile(w, &additional, &k->v[ADDITIONAL], depth + 1, &other))
		return false;
	if (k->v[PROPERTIES].kind &&
		!read_members(w, &properties, &k->v[PROPERTIES], depth + 1, first, &count))
		return false;
	if (k->v[REQUIRED].kind &&
		!read_required(w, &required, &k->v[REQUIRED], node, first, &count))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (w->s->members[first + i].node == RC_NONE)
			w->s->members[first + i].node = other;
	}
	w->s->nodes[node].member_first = first;
	w->s->nodes[node].member_count = count;
	w->s->nodes[node].additional = other;
	return true;
}

/* ---- a schema ----------------------------------------------------------------------------------- */

static bool is_annotation(struct rc_str key)
{
	for (size_t i = 0; i < RC_ARRAY_LEN(annotations); i++) {
		if (rc_str_eq(key, rc_str_of(annotations[i])))
			return true;
	}
	return false;
}

static bool gather(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, bool outermost, struct keywords *k)
{
	struct rc_json_iter it;
	struct rc_json_value value;
	struct rc_str key;

	*k = (struct keywords){0};
	rc_json_object_begin(&it, v->raw);
	while (rc_json_object_next(&it, &key, &value)) {
		struct rc_schema_step here = {at, key};
		size_t i = 0;

		if (is_annotation(key))
			continue;
		while (i < WORDS && !rc_str_eq(key, rc_str_of(words[i])))
			i++;
		if (i == WORDS)
			return rc_schema_blame(w, &here, key.ptr, "is not offered by this gateway");
		if (i == EVENTS && !outermost)
			return rc_schema_blame(
				w, &here, key.ptr, "stands in the outermost object alone");
		if (k->v[i].kind)
			return rc_schema_blame(w, &here, key.ptr, "stands twice");
		k->v[i] = value;
	}
	return true;
}

/* What stands in the node itself. */
static bool read_scalars(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct keywords *k, struct rc_schema_node *n)
{
	struct rc_str *const numbers[] = {&n->minimum, &n->maximum, &n->above, &n->below};
	uint32_t *const counts[] = {&n->min_length, &n->max_length, &n->min_items, &n->max_items};

	for (uint32_t i = 0; i < RC_ARRAY_LEN(counts); i++) {
		const struct rc_json_value *v = &k->v[MIN_LENGTH + i];
		const struct rc_schema_step here = {at, rc_str_of(words[MIN_LENGTH + i])};
		if (v->kind && !rc_schema_read_count(w, &here, v, counts[i]))
			return false;
	}
	for (uint32_t i = 0; i < RC_ARRAY_LEN(numbers); i++) {
		const struct rc_json_value *v = &k->v[MINIMUM + i];
		const struct rc_schema_step here = {at, rc_str_of(words[MINIMUM + i])};
		if (v->kind && !rc_schema_read_number(w, &here, v, numbers[i]))
			return false;
	}
	const struct rc_schema_step of_type = {at, rc_str_of(words[TYPE])};
	const struct rc_schema_step of_enum = {at, rc_str_of(words[ENUM])};
	const struct rc_schema_step of_const = {at, rc_str_of(words[CONST])};
	return (!k->v[TYPE].kind || rc_schema_read_types(w, &of_type, &k->v[TYPE], n)) &&
	       (!k->v[ENUM].kind || rc_schema_read_enum(w, &of_enum, &k->v[ENUM], n)) &&
	       (!k->v[CONST].kind || rc_schema_add_value(w, &of_const, &k->v[CONST], &n->constant));
}

static bool read_events(
	struct rc_schema_work *w, const struct rc_schema_step *at, const struct rc_json_value *v)
{
	const struct rc_schema_step here = {at, rc_str_of(words[EVENTS])};
	size_t most = members_of(v);

	if (!new_members(w, most, &w->s->event_first))
		return false;
	w->s->member_count += (uint32_t)most;
	return read_members(w, &here, v, 1, w->s->event_first, &w->s->event_count);
}

static bool compile(struct rc_schema_work *w, const struct rc_schema_step *at,
	const struct rc_json_value *v, uint32_t depth, uint32_t *node)
{
	struct keywords k;

	*node = v->kind == RC_JSON_TRUE ? RC_SCHEMA_ANY : RC_SCHEMA_NEVER;
	if (v->kind == RC_JSON_TRUE || v->kind == RC_JSON_FALSE)
		return true;
	if (v->kind != RC_JSON_OBJECT)
		return rc_schema_blame(
			w, at, v->raw.ptr, "must be a schema: an object, true or false");
	if (depth == RC_SCHEMA_DEPTH_MAX)
		return rc_schema_blame(
			w, at, v->raw.ptr, "nests deeper than %u schemas", RC_SCHEMA_DEPTH_MAX);
	if (!gather(w, at, v, depth == 0, &k))
		return false;
	*node = new_node(w, RC_SCHEMA_TYPES);
	if (*node == RC_NONE || !read_scalars(w, at, &k, &w->s->nodes[*node]) ||
		!read_object(w, at, &k, depth, *node))
		return false;
	if (k.v[ITEMS].kind) {
		const struct rc_schema_step here = {at, rc_str_of(words[ITEMS])};
		uint32_t items;
		if (!compile(w, &here, &k.v[ITEMS], depth + 1, &items))
			return false;
		w->s->nodes[*node].items = items;
	}
	return !k.v[EVENTS].kind || read_events(w, at, &k.v[EVENTS]);
}

/* ---- all of it ---------------------------------------------------------------------------------- */

struct counts {
	size_t nodes, members, values, text;
};

/* Of bytes that may begin something, those in strings too. */
static struct counts count(struct rc_str text)
{
	struct counts c = {.nodes = 2, .members = 2, .values = 2, .text = text.len};

	for (size_t i = 0; i < text.len; i++) {
		char byte = text.ptr[i];
		c.nodes += byte == '{';
		c.members += byte == ':' || byte == ',' || byte == '[';
		c.values += byte == ':' || byte == ',' || byte == '[';
	}
	return c;
}

static size_t lay_out(struct counts c, size_t at[4])
{
	size_t size = rc_align_up(sizeof(struct rc_schema), 16);

	at[0] = size;
	size += rc_align_up(c.nodes * sizeof(struct rc_schema_node), 16);
	at[1] = size;
	size += rc_align_up(c.members * sizeof(struct rc_schema_member), 16);
	at[2] = size;
	size += rc_align_up(c.values * sizeof(struct rc_schema_value), 16);
	at[3] = size;
	return size + c.text;
}

size_t rc_schema_bound(struct rc_str text)
{
	size_t at[4];

	return lay_out(count(text), at);
}

int rc_schema_compile(struct rc_str text, void *block, size_t size, struct rc_schema_fault *fault)
{
	struct rc_schema *s = block;
	struct rc_schema_work w = {s, text, fault};
	struct counts c = count(text);
	size_t at[4];
	bool made;

	*fault = (struct rc_schema_fault){0};
	if (text.len > RC_SCHEMA_TEXT_MAX) {
		(void)rc_schema_blame(
			&w, NULL, NULL, "is larger than %u bytes", RC_SCHEMA_TEXT_MAX);
		return -EINVAL;
	}
	RC_ASSERT(lay_out(c, at) <= size);
	if (rc_json_validate(text, JSON_DEPTH) < 0) {
		(void)rc_schema_blame(
			&w, NULL, NULL, "is not JSON, or nests deeper than %u", JSON_DEPTH);
		return -EINVAL;
	}
	*s = (struct rc_schema){
		.node_max = (uint32_t)c.nodes,
		.member_max = (uint32_t)c.members,
		.value_max = (uint32_t)c.values,
		.text_max = c.text,
		.nodes = (void *)((char *)block + at[0]),
		.members = (void *)((char *)block + at[1]),
		.values = (void *)((char *)block + at[2]),
		.text = (char *)block + at[3],
	};
	struct rc_json_value root = rc_json_root(text);
	made = new_node(&w, RC_SCHEMA_TYPES) == RC_SCHEMA_ANY &&
	       new_node(&w, 0) == RC_SCHEMA_NEVER && compile(&w, NULL, &root, 0, &s->root);
	return made ? 0 : -EINVAL;
}
