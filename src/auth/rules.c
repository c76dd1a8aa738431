/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/rules.h"

bool rc_claims_cover(struct rc_str list, struct rc_str name)
{
	struct rc_str text;

	while (rc_claims_next(&list, &text)) {
		if (rc_pattern_covers(text, name))
			return true;
	}
	return false;
}

/* A pattern whose first level is a wildcard means channels of every namespace. */
static bool everywhere(struct rc_str name)
{
	return name.ptr[0] == '*';
}

/* The level behind the namespace's name, of the default namespace the first one, is the user's id. An id with a colon would have
 * more than one level to it, and one with a star would be a wildcard: they own nothing. Neither does a pattern over all namespaces
 * belong to anybody: its first level is not the namespace's name, so that what stands behind so many bytes is not the next one. */
static bool own(const struct rc_config *config, uint32_t ns, struct rc_str user, struct rc_str name)
{
	size_t skip = ns ? strlen(config->ns[ns].name) + 1 : 0;

	if (!user.len || everywhere(name) || memchr(user.ptr, ':', user.len) ||
		memchr(user.ptr, '*', user.len) || name.len < skip + user.len)
		return false;
	return memcmp(name.ptr + skip, user.ptr, user.len) == 0 &&
	       (name.len == skip + user.len || name.ptr[skip + user.len] == ':');
}

static enum rc_config_allow rule_of(
	const struct rc_config *config, uint32_t ns, enum rc_action action)
{
	const struct rc_config_namespace *n = &config->ns[ns];
	const uint32_t rules[] = {
		[RC_MAY_SUBSCRIBE] = n->allow_subscribe,
		[RC_MAY_PUBLISH] = n->allow_publish,
		[RC_MAY_HISTORY] = n->allow_history,
		[RC_MAY_PRESENCE] = n->allow_presence,
	};
	uint32_t rule = rules[action];

	if (rule == RC_CONFIG_ALLOW_AUTO && action == RC_MAY_PUBLISH)
		return RC_CONFIG_ALLOW_TOKEN;
	if (rule == RC_CONFIG_ALLOW_AUTO)
		rule = n->allow_subscribe;
	if (rule == RC_CONFIG_ALLOW_AUTO)
		return rc_config_has_keys(config) ? RC_CONFIG_ALLOW_TOKEN : RC_CONFIG_ALLOW_ANYONE;
	return (enum rc_config_allow)rule;
}

/* What a token subscribes its bearer to it allows him. */
static bool claims(const struct rc_claims *who, enum rc_action action, struct rc_str name)
{
	if (!who)
		return false;
	if (action == RC_MAY_PUBLISH)
		return rc_claims_cover(rc_claims_list(who, RC_CLAIM_PUBLISH), name);
	return rc_claims_cover(rc_claims_list(who, RC_CLAIM_SUBSCRIBE), name) ||
	       rc_claims_cover(rc_claims_list(who, RC_CLAIM_ON_CONNECT), name);
}

static bool allowed_in(const struct rc_config *config, uint32_t ns, const struct rc_claims *who,
	enum rc_action action, struct rc_str name)
{
	struct rc_str user = who ? rc_claims_user(who) : (struct rc_str){NULL, 0};
	bool claimed = claims(who, action, name);

	switch (rule_of(config, ns, action)) {
	case RC_CONFIG_ALLOW_ANYONE:
		return true;
	case RC_CONFIG_ALLOW_USER:
		return user.len || claimed;
	case RC_CONFIG_ALLOW_OWN:
		return own(config, ns, user, name) || claimed;
	case RC_CONFIG_ALLOW_NOBODY:
		return false;
	default:
		return claimed;
	}
}

/* Those of the gateway's own channels that are there to be read. */
static bool readable(struct rc_str name)
{
	return rc_str_starts(name, RC_STR("$sys:")) || rc_str_starts(name, RC_STR("$dead:"));
}

bool rc_rules_allow_watcher(enum rc_action action, struct rc_str name)
{
	return action != RC_MAY_PUBLISH && (!rc_name_reserved(name) || readable(name));
}

bool rc_rules_allow(const struct rc_config *config, const struct rc_claims *who,
	enum rc_action action, struct rc_str name)
{
	/* The gateway's own channels are in no namespace: a claim that names them grants to read what it says about itself. */
	if (rc_name_reserved(name))
		return action != RC_MAY_PUBLISH && readable(name) && claims(who, action, name);
	if (!everywhere(name))
		return allowed_in(config, rc_config_namespace(config, name), who, action, name);
	for (uint32_t ns = 0; ns <= config->namespace_count; ns++) {
		if (!allowed_in(config, ns, who, action, name))
			return false;
	}
	return true;
}

bool rc_rules_may_command(
	const struct rc_config *config, const struct rc_claims *who, struct rc_str type)
{
	bool claimed = who && rc_claims_cover(rc_claims_list(who, RC_CLAIM_COMMANDS), type);

	if (rc_name_reserved(type))
		return false;
	switch (config->auth_allow_command) {
	case RC_CONFIG_COMMAND_ANYONE:
		return true;
	case RC_CONFIG_COMMAND_USER:
		return claimed || (who && rc_claims_user(who).len);
	case RC_CONFIG_COMMAND_NOBODY:
		return false;
	default:
		return claimed;
	}
}
