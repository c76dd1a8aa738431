/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line, and the order in which everything is read. `--name value` and `--name=value` are the same.
 */
#include <stdio.h>

#include "config/apply.h"

#define PREFIX_ENV_CONFIG "RINGCAST_CONFIG="

/* Besides those of the table. Help for them is in print.c. */
static const char *const other_flags[] = {
	"--config", "--set", "--help", "--print-config", "--check-config", "--example-config"};

struct parsing {
	struct rc_config *c;
	struct rc_config_args *args;
	struct rc_config_report *r;
	int argc;
	char *const *argv;
	int next;
};

static void unknown_flag(struct parsing *p, const char *name)
{
	struct rc_nearest nearest;

	rc_nearest_init(&nearest, name);
	for (size_t i = 0; i < RC_ARRAY_LEN(other_flags); i++)
		rc_nearest_offer(&nearest, other_flags[i]);
	for (uint32_t row = 0; row < rc_option_count; row++)
		if (rc_options[row].flag)
			rc_nearest_offer(&nearest, rc_options[row].flag);
	if (name[0] != '-')
		rc_config_report_error(p->r, "unexpected argument '%.100s'", name);
	else if (nearest.best)
		rc_config_report_error(
			p->r, "unknown flag %.100s; did you mean %s?", name, nearest.best);
	else
		rc_config_report_error(p->r,
			"unknown flag %.100s; every option can be given as --set section.key=value",
			name);
}

/* What follows the flag, or the next argument. NULL: an error was reported. */
static const char *value_of(struct parsing *p, const char *name, const char *attached)
{
	if (attached)
		return attached;
	if (p->next < p->argc)
		return p->argv[p->next++];
	rc_config_report_error(p->r, "%s needs a value", name);
	return NULL;
}

static void set_pair(struct parsing *p, const char *pair)
{
	const char *equals = strchr(pair, '=');
	char name[256];
	size_t len = equals ? (size_t)(equals - pair) : 0;

	if (!equals || len >= sizeof(name)) {
		/* Not quoted: a secret may have got there. */
		rc_config_report_error(p->r,
			"--set needs key=value or section.key=value, for example --set "
			"ingest.window=1024");
		return;
	}
	memcpy(name, pair, len);
	name[len] = 0;
	/* What it reports is counted by rc_config_load_flags. */
	(void)!rc_config_set(p->c, name, equals + 1, RC_CONFIG_FLAG, p->r);
}

/* The option of the table whose flag this is. */
static uint32_t find_flag(const char *name)
{
	for (uint32_t row = 0; row < rc_option_count; row++) {
		const struct rc_option *o = &rc_options[row];

		if (o->flag && strcmp(o->flag, name) == 0)
			return row;
		if (o->short_flag && name[0] == '-' && name[1] == o->short_flag && name[2] == 0)
			return row;
	}
	return RC_NONE;
}

/* A flag without a value. */
static bool take_switch(struct parsing *p, const char *name, const char *attached)
{
	const struct {
		const char *name, *brief;
		bool *target;
	} switches[] = {
		{"--help", "-h", &p->args->help},
		{"--print-config", NULL, &p->args->print_config},
		{"--check-config", NULL, &p->args->check_config},
		{"--example-config", NULL, &p->args->example_config},
	};

	for (size_t i = 0; i < RC_ARRAY_LEN(switches); i++) {
		if (strcmp(name, switches[i].name) != 0 &&
			(!switches[i].brief || strcmp(name, switches[i].brief) != 0))
			continue;
		if (attached)
			rc_config_report_error(p->r, "%s takes no value", name);
		*switches[i].target = true;
		return true;
	}
	return false;
}

static void take_argument(struct parsing *p)
{
	const char *argument = p->argv[p->next++];
	const char *equals = strncmp(argument, "--", 2) == 0 ? strchr(argument, '=') : NULL;
	const char *attached = equals ? equals + 1 : NULL, *value;
	char name[128];
	uint32_t row;

	snprintf(name, sizeof(name), "%.*s", equals ? (int)RC_MIN(equals - argument, 127) : 127,
		argument);
	if (take_switch(p, name, attached))
		return;

	row = find_flag(name);
	if (row != RC_NONE) {
		value = value_of(p, name, attached);
		if (value)
			/* What it reports is counted by rc_config_load_flags. */
			(void)!rc_config_apply(p->c, row, 0, value,
				(struct rc_config_origin){.source = RC_CONFIG_FLAG}, name, p->r);
	} else if (strcmp(name, "--config") == 0 || strcmp(name, "-c") == 0) {
		value = value_of(p, name, attached);
		if (value && !value[0])
			rc_config_report_error(p->r, "%s needs a path", name);
		else if (value)
			p->args->config = value;
	} else if (strcmp(name, "--set") == 0 || strcmp(name, "-s") == 0) {
		value = value_of(p, name, attached);
		if (value)
			set_pair(p, value);
	} else {
		unknown_flag(p, name);
	}
}

int rc_config_load_flags(struct rc_config *c, int argc, char *const *argv,
	struct rc_config_args *args, struct rc_config_report *r)
{
	struct parsing p = {.c = c, .args = args, .r = r, .argc = argc, .argv = argv};
	uint32_t errors = r->errors;

	memset(args, 0, sizeof(*args));
	while (p.next < argc)
		take_argument(&p);
	return r->errors == errors ? 0 : -1;
}

static const char *path_from_env(char *const *env)
{
	for (; *env; env++)
		if (strncmp(*env, PREFIX_ENV_CONFIG, strlen(PREFIX_ENV_CONFIG)) == 0 &&
			(*env)[strlen(PREFIX_ENV_CONFIG)])
			return *env + strlen(PREFIX_ENV_CONFIG);
	return NULL;
}

int rc_config_load(struct rc_config *c, int argc, char *const *argv, char *const *env,
	struct rc_config_args *args, struct rc_config_report *r)
{
	int rc;

	rc_config_init(c);
	rc = rc_config_load_flags(c, argc, argv, args, r);
	if (rc == 0 && (args->help || args->example_config))
		return 0;
	if (!args->config)
		args->config = path_from_env(env);
	if (args->config)
		rc |= rc_config_load_file(c, args->config, r);
	rc |= rc_config_load_env(c, env, r);
	rc |= rc_config_finish(c, r);
	return rc;
}
