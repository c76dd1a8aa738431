/* SPDX-License-Identifier: Apache-2.0
 *
 * The environment: RINGCAST_KEY for [server], RINGCAST_SECTION_KEY, RINGCAST_NAMESPACE_KEY for the default namespace and
 * RINGCAST_NAMESPACE_NAME_KEY for a named one. NAME is compared without case, and '_' stands also for '.' and '-'; a
 * name that no file knows is made, in lower case. An empty variable counts as unset.
 *
 * An unknown variable is only a warning: an orchestrator sets such of its own (Kubernetes does so for a service that is
 * called ringcast; those are left alone silently). So are those that our other commands and scripts read, since one
 * shell has them all.
 */
#include <ctype.h>
#include <stdio.h>

#include "config/apply.h"

#define PREFIX "RINGCAST_"

static char upper(char ch)
{
	return (char)toupper((unsigned char)ch);
}

/* "ingest", "frame_max" to "INGEST_FRAME_MAX"; the server's have no section. */
static void variable_of(const char *section, const char *key, char *out, size_t size)
{
	if (strcmp(section, "server") == 0)
		snprintf(out, size, "%s", key);
	else
		snprintf(out, size, "%s_%s", section, key);
	for (; *out; out++)
		*out = upper(*out);
}

static bool is_of_kubernetes(const char *name)
{
	return strcmp(name, "PORT") == 0 || strncmp(name, "PORT_", 5) == 0 ||
	       strcmp(name, "SERVICE_HOST") == 0 || strcmp(name, "SERVICE_PORT") == 0 ||
	       strncmp(name, "SERVICE_PORT_", 13) == 0;
}

static bool is_of_other_programs(const char *name)
{
	return strcmp(name, "TOKEN") == 0 || strcmp(name, "INGEST_SERVER") == 0 ||
	       strcmp(name, "SKIP_DEPS") == 0;
}

static bool same_name(const char *name, const char *variable)
{
	for (; *name && *variable; name++, variable++)
		if ((isalnum((unsigned char)*name) ? upper(*name) : '_') != upper(*variable))
			return false;
	return *name == *variable;
}

/* Row of the namespace option at the end of "CHAT_LAG_BYTES", with the name in front of it; the longest where one option ends like another. */
static uint32_t find_namespace_row(const char *text, char name[RC_CONFIG_NAME_SIZE])
{
	size_t len = strlen(text), longest = 0;
	uint32_t found = RC_NONE;

	for (uint32_t row = rc_option_first_namespace(); row < rc_option_count; row++) {
		const char *key = rc_options[row].key;
		size_t key_len = strlen(key);
		size_t name_len = len - key_len - 1;

		if (len < key_len || strcasecmp(text + len - key_len, key) != 0 ||
			key_len < longest)
			continue;
		if (len == key_len)
			name_len = 0;
		else if (text[name_len] != '_' || name_len >= RC_CONFIG_NAME_SIZE)
			continue;
		memcpy(name, text, name_len);
		name[name_len] = 0;
		found = row;
		longest = key_len;
	}
	return found;
}

static uint32_t find_namespace(
	struct rc_config *c, char *name, const char *where, struct rc_config_report *r)
{
	uint32_t found = RC_NONE;

	if (name[0] == 0 || strcasecmp(name, "default") == 0)
		return 0;
	for (uint32_t i = 1; i <= c->namespace_count; i++) {
		if (!same_name(c->ns[i].name, name))
			continue;
		if (found != RC_NONE) {
			rc_config_report_error(r,
				"%s: can mean namespace '%s' and '%s'; set it in the file or with "
				"--set",
				where, c->ns[found].name, c->ns[i].name);
			return RC_NONE;
		}
		found = i;
	}
	if (found != RC_NONE)
		return found;
	for (char *at = name; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return rc_config_namespace_get(c, name, where, r);
}

static uint32_t find_row(const char *name)
{
	char variable[RC_HINT_SIZE];

	for (uint32_t row = 0; row < rc_option_first_namespace(); row++) {
		variable_of(
			rc_options[row].section, rc_options[row].key, variable, sizeof(variable));
		if (strcmp(variable, name) == 0)
			return row;
	}
	for (uint32_t i = 0; i < rc_option_alias_count; i++) {
		const struct rc_option_alias *a = &rc_option_aliases[i];

		variable_of(a->section, a->key, variable, sizeof(variable));
		if (strcmp(variable, name) == 0)
			return rc_option_find(a->section, a->key);
	}
	return RC_NONE;
}

static void warn_unknown(const char *name, struct rc_config_report *r)
{
	char variables[RC_CONFIG_OPTIONS_MAX][RC_HINT_SIZE];
	struct rc_nearest nearest;

	rc_nearest_init(&nearest, name);
	for (uint32_t row = 0; row < rc_option_count; row++) {
		variable_of(rc_options[row].section, rc_options[row].key, variables[row],
			sizeof(variables[row]));
		rc_nearest_offer(&nearest, variables[row]);
	}
	if (nearest.best)
		rc_config_report_warning(r,
			PREFIX "%.100s in the environment is no option; did you mean " PREFIX "%s?",
			name, nearest.best);
	else
		rc_config_report_warning(r, PREFIX "%.100s in the environment is no option", name);
}

static void take_variable(
	struct rc_config *c, const char *name, const char *value, struct rc_config_report *r)
{
	struct rc_config_origin origin = {.source = RC_CONFIG_ENV};
	char where[300], ns_name[RC_CONFIG_NAME_SIZE];
	uint32_t row, ns = 0;

	if (value[0] == 0 || strcmp(name, "CONFIG") == 0 || is_of_kubernetes(name) ||
		is_of_other_programs(name))
		return;
	snprintf(where, sizeof(where), PREFIX "%s", name);
	row = find_row(name);
	if (row == RC_NONE && strncmp(name, "NAMESPACE_", 10) == 0) {
		row = find_namespace_row(name + 10, ns_name);
		if (row != RC_NONE) {
			ns = find_namespace(c, ns_name, where, r);
			if (ns == RC_NONE)
				return;
		}
	}
	if (row == RC_NONE)
		warn_unknown(name, r);
	else
		/* What it reports is counted by the caller. */
		(void)!rc_config_apply(c, row, ns, value, origin, where, r);
}

int rc_config_load_env(struct rc_config *c, char *const *env, struct rc_config_report *r)
{
	uint32_t errors = r->errors;
	char name[200];

	for (; *env; env++) {
		const char *equals = strchr(*env, '=');
		size_t len;

		if (!equals || strncmp(*env, PREFIX, strlen(PREFIX)) != 0)
			continue;
		len = (size_t)(equals - *env) - strlen(PREFIX);
		snprintf(name, sizeof(name), "%.*s", (int)RC_MIN(len, sizeof(name) - 1),
			*env + strlen(PREFIX));
		take_variable(c, name, equals + 1, r);
	}
	return r->errors == errors ? 0 : -1;
}
