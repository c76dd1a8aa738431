/* SPDX-License-Identifier: Apache-2.0
 *
 * Defaults, and taking a value from any source.
 */
#include <ctype.h>
#include <stdio.h>

#include "config/apply.h"
#include "config/value.h"

/* Of a value that is quoted in a message. */
#define QUOTE_MAX 60

const void *rc_config_field_const(const struct rc_config *c, uint32_t row, uint32_t ns)
{
	const struct rc_option *o = &rc_options[row];
	const void *base = c;

	if (rc_option_is_namespace(o))
		base = &c->ns[ns];
	return (const unsigned char *)base + o->offset;
}

void *rc_config_field(struct rc_config *c, uint32_t row, uint32_t ns)
{
	return (void *)(uintptr_t)rc_config_field_const(c, row, ns);
}

const struct rc_config_origin *rc_config_origin_const(
	const struct rc_config *c, uint32_t row, uint32_t ns)
{
	uint32_t first = rc_option_first_namespace();

	if (row < first)
		return &c->origin[row];
	RC_ASSERT(row - first < RC_CONFIG_NS_OPTIONS_MAX);
	return &c->ns[ns].origin[row - first];
}

struct rc_config_origin *rc_config_origin(struct rc_config *c, uint32_t row, uint32_t ns)
{
	return (struct rc_config_origin *)(uintptr_t)rc_config_origin_const(c, row, ns);
}

void rc_config_init(struct rc_config *c)
{
	char why[RC_VALUE_WHY_SIZE];

	memset(c, 0, sizeof(*c));
	for (uint32_t row = 0; row < rc_option_count; row++) {
		void *field = rc_config_field(c, row, 0);

		RC_ASSERT(rc_value_parse(&rc_options[row], field, rc_options[row].standard, why) ==
			  0);
	}
}

int rc_config_apply(struct rc_config *c, uint32_t row, uint32_t ns, const char *value,
	struct rc_config_origin origin, const char *where, struct rc_config_report *r)
{
	const struct rc_option *o = &rc_options[row];
	struct rc_config_origin *held = rc_config_origin(c, row, ns);
	char why[RC_VALUE_WHY_SIZE];
	union rc_value parsed;

	RC_ASSERT(o->size <= sizeof(parsed));
	if (rc_value_parse(o, &parsed, value, why) < 0) {
		if (o->secret)
			return rc_config_report_error(r, "%s: %s %s", where, o->key, why);
		return rc_config_report_error(r, "%s: %s = %.*s%s: %s", where, o->key, QUOTE_MAX,
			value, strlen(value) > QUOTE_MAX ? "..." : "", why);
	}
	if (origin.source < held->source)
		return 0;
	memcpy(rc_config_field(c, row, ns), &parsed, o->size);
	*held = origin;
	return 0;
}

static bool name_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= RC_CONFIG_NAME_SIZE)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!strchr("_.-", name[i]) && (!isascii(name[i]) || !isalnum(name[i])))
			return false;
	return true;
}

uint32_t rc_config_namespace_get(
	struct rc_config *c, const char *name, const char *where, struct rc_config_report *r)
{
	struct rc_config_namespace *ns;

	if (name[0] == 0 || strcmp(name, "default") == 0)
		return 0;
	for (uint32_t i = 1; i <= c->namespace_count; i++)
		if (strcmp(c->ns[i].name, name) == 0)
			return i;
	if (!name_is_valid(name)) {
		rc_config_report_error(r,
			"%s: '%.*s' is no name of a namespace: 1 to %d of A-Z a-z 0-9 _ . -", where,
			QUOTE_MAX, name, RC_CONFIG_NAME_SIZE - 1);
		return RC_NONE;
	}
	if (c->namespace_count == RC_CONFIG_NAMESPACES_MAX) {
		rc_config_report_error(r, "%s: namespace '%s' is one too many: %d can be named",
			where, name, RC_CONFIG_NAMESPACES_MAX);
		return RC_NONE;
	}

	ns = &c->ns[++c->namespace_count];
	*ns = c->ns[0];
	memset(ns->origin, 0, sizeof(ns->origin));
	strcpy(ns->name, name);
	return c->namespace_count;
}

bool rc_config_deflates(const struct rc_config *c)
{
	for (uint32_t i = 0; i <= c->namespace_count; i++) {
		if (c->ns[i].deflate)
			return true;
	}
	return false;
}

uint32_t rc_config_namespace(const struct rc_config *c, struct rc_str channel)
{
	/* The dead letters of a channel are kept as its events are. */
	if (rc_str_starts(channel, RC_STR("$dead:"))) {
		channel.ptr += 6;
		channel.len -= 6;
	}
	const char *colon = channel.len ? memchr(channel.ptr, ':', channel.len) : NULL;
	size_t len = colon ? (size_t)(colon - channel.ptr) : 0;

	if (len == 0 || len >= RC_CONFIG_NAME_SIZE)
		return 0;
	for (uint32_t i = 1; i <= c->namespace_count; i++)
		if (c->ns[i].name[len] == 0 && c->ns[i].name[len - 1] &&
			memcmp(c->ns[i].name, channel.ptr, len) == 0)
			return i;
	return 0;
}

/* "key", "section.key", "namespace.key", "namespace.NAME.key": the name may have dots, the key has none. */
int rc_config_set(struct rc_config *c, const char *name, const char *value,
	enum rc_config_source source, struct rc_config_report *r)
{
	char text[256], where[300], hint[RC_HINT_SIZE];
	const char *section = "server", *key = text;
	char *first_dot, *last_dot;
	uint32_t row, ns = 0;

	snprintf(where, sizeof(where), "%s %.200s", source == RC_CONFIG_FLAG ? "--set" : "setting",
		name);
	if (strlen(name) >= sizeof(text))
		return rc_config_report_error(r, "%s: unknown option", where);
	strcpy(text, name);

	first_dot = strchr(text, '.');
	last_dot = strrchr(text, '.');
	if (first_dot) {
		*first_dot = 0;
		section = text;
		*last_dot = 0;
		key = last_dot + 1;
	}
	row = rc_option_find(section, key);
	if (row == RC_NONE || (first_dot != last_dot && strcmp(section, "namespace") != 0)) {
		rc_option_hint(section, key, hint);
		return rc_config_report_error(r, "%s: unknown option%s", where, hint);
	}
	if (first_dot != last_dot) {
		ns = rc_config_namespace_get(c, first_dot + 1, where, r);
		if (ns == RC_NONE)
			return -1;
	}
	return rc_config_apply(
		c, row, ns, value, (struct rc_config_origin){.source = source}, where, r);
}
