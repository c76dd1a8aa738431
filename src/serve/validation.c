/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/validation.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "proto/json.h"
#include "proto/names.h"

/* ---- the list of events ------------------------------------------------------------------------- */

static bool next_name(struct rc_str *rest, struct rc_str *name)
{
	while (rest->len && (*rest->ptr == ',' || *rest->ptr == ' ')) {
		rest->ptr++;
		rest->len--;
	}
	*name = (struct rc_str){rest->ptr, 0};
	while (rest->len && *rest->ptr != ',' && *rest->ptr != ' ') {
		rest->ptr++;
		rest->len--;
		name->len++;
	}
	return name->len != 0;
}

static bool listed(struct rc_str events, struct rc_str event)
{
	struct rc_str name;

	while (next_name(&events, &name)) {
		if (name.ptr[name.len - 1] == '*') {
			name.len--;
			if (rc_str_starts(event, name))
				return true;
		} else if (rc_str_eq(name, event)) {
			return true;
		}
	}
	return false;
}

static int check_events(const struct rc_config_namespace *ns, struct rc_error *err)
{
	struct rc_str rest = rc_str_of(ns->events), name;

	while (next_name(&rest, &name)) {
		const char *star = memchr(name.ptr, '*', name.len);
		if (!rc_event_name_valid(name) || (star && star != name.ptr + name.len - 1))
			return rc_error_set(err,
				"events of [namespace%s%s]: '%.*s' is not the name of an event; a `*` stands at its end "
				"alone",
				ns->name[0] ? " " : "", ns->name, (int)name.len, name.ptr);
	}
	return 0;
}

/* ---- schemas ------------------------------------------------------------------------------------ */

static int compile(
	struct rc_schema **out, const char *path, const struct rc_file *file, struct rc_error *err)
{
	struct rc_str text = {file->bytes, file->len};
	struct rc_schema_fault fault;
	size_t size;
	void *block;

	if (text.len > RC_SCHEMA_TEXT_MAX)
		return rc_error_set(
			err, "%s: a schema has at most %u bytes", path, RC_SCHEMA_TEXT_MAX);
	size = rc_schema_bound(text);
	block = calloc(1, size);
	if (!block)
		return rc_error_set(err, "%s: no memory for this schema", path);
	if (rc_schema_compile(text, block, size, &fault) < 0) {
		free(block);
		return rc_error_set(err, "%s: line %u: %s %s", path, fault.line,
			fault.place[0] ? fault.place : "the schema", fault.words);
	}
	*out = block;
	return 0;
}

static int open_schema(struct rc_validation *v, uint32_t ns, struct rc_error *err)
{
	const char *path = v->config->ns[ns].schema;
	struct rc_file file;
	int rc;

	/* Namespaces inherit it: one for all that name the same file. */
	for (uint32_t i = 0; i < ns; i++) {
		if (strcmp(v->config->ns[i].schema, path) != 0)
			continue;
		v->rule[ns].schema = v->rule[i].schema;
		v->rule[ns].lent = true;
		return 0;
	}
	if (rc_file_read(&file, path, err) < 0)
		return -1;
	rc = compile(&v->rule[ns].schema, path, &file, err);
	rc_file_free(&file);
	v->schemas += rc == 0;
	return rc;
}

int rc_validation_open(
	struct rc_validation **out, const struct rc_config *config, struct rc_error *err)
{
	struct rc_validation *v = calloc(1, sizeof(*v));

	*out = NULL;
	if (!v)
		return rc_error_set(err, "no memory for the rules of namespaces");
	v->config = config;
	for (uint32_t i = 0; i <= config->namespace_count; i++) {
		const struct rc_config_namespace *ns = &config->ns[i];
		v->rule[i] = (struct rc_validation_rule){
			.size_max = ns->payload_max ? ns->payload_max : UINT32_MAX,
			.json = ns->payload == RC_CONFIG_PAYLOAD_JSON || ns->schema[0],
			.events = rc_str_of(ns->events),
		};
		if (check_events(ns, err) < 0 || (ns->schema[0] && open_schema(v, i, err) < 0)) {
			rc_validation_close(v);
			return -1;
		}
	}
	*out = v;
	return 0;
}

void rc_validation_close(struct rc_validation *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < RC_ARRAY_LEN(v->rule); i++) {
		if (!v->rule[i].lent)
			free(v->rule[i].schema);
	}
	free(v);
}

bool rc_validation_wanted(const struct rc_config *config)
{
	for (uint32_t i = 0; i <= config->namespace_count; i++) {
		const struct rc_config_namespace *ns = &config->ns[i];
		if (ns->payload != RC_CONFIG_PAYLOAD_ANY || ns->payload_max || ns->schema[0] ||
			ns->events[0])
			return true;
	}
	return false;
}

bool rc_validation_has_files(const struct rc_config *config)
{
	for (uint32_t i = 0; i <= config->namespace_count; i++) {
		if (config->ns[i].schema[0])
			return true;
	}
	return false;
}

uint64_t rc_validation_stamp(const struct rc_config *config)
{
	uint64_t stamp = 0;

	for (uint32_t i = 0; i <= config->namespace_count; i++)
		stamp = rc_file_stamp(stamp, config->ns[i].schema);
	return stamp;
}

/* ---- an event ----------------------------------------------------------------------------------- */

enum rc_validity rc_validate(const struct rc_validation *v, struct rc_str channel,
	struct rc_str event, struct rc_str data, bool json, struct rc_schema_fault *fault)
{
	const struct rc_validation_rule *r = &v->rule[rc_config_namespace(v->config, channel)];

	if (data.len > r->size_max)
		return RC_INVALID_SIZE;
	if (r->events.len && !listed(r->events, event))
		return RC_INVALID_EVENT;
	if (r->json && !json) {
		*fault = (struct rc_schema_fault){.words = "must be JSON"};
		return RC_INVALID_DATA;
	}
	if (r->schema && !rc_schema_check(r->schema, event, data, fault))
		return RC_INVALID_DATA;
	return RC_VALID;
}

void rc_invalid_text(const struct rc_schema_fault *fault, char out[RC_INVALID_TEXT])
{
	(void)snprintf(out, RC_INVALID_TEXT, "%s %s",
		fault->place[0] ? fault->place : "the payload", fault->words);
}
