/* SPDX-License-Identifier: Apache-2.0
 *
 * Presets: their defaults, and how what was asked for becomes groups.
 */
#include <errno.h>
#include <math.h>

#include "cpulist.h"
#include "options.h"
#include "sources.h"

/* clang-format off */
const struct load_preset load_preset_table[] = {
	{"fanout", "everybody has the same channel",
		"clients=1000 channels=1 publishers=1 in-flight=64"},
	{"channels", "many channels, some with many subscribers",
		"clients=1000 channels=100 spread=zipf zipf=1 publishers=1 rate=1000"},
	{"users", "a channel for each client",
		"clients=1000 spread=own publishers=1 rate=10000"},
	{"idle", "clients that wait, nothing is published: memory",
		"clients=10000 warm=0 seconds=2"},
	{"churn", "a share of the clients comes and goes",
		"clients=1000 channels=10 publishers=1 rate=1000 share=50 churn=100 recover=no"},
	{"storm", "a share of the clients drops at once and comes back",
		"clients=1000 channels=10 publishers=1 rate=1000 share=50 storm-after=1 recover=no"},
	{"slow", "a share of the clients reads slowly or never; the others must not suffer",
		"clients=1000 channels=1 publishers=1 rate=1000 share=10 read-rate=0"},
	{"echo", "clients send and get back what they sent",
		"clients=100 in-flight=1"},
	{"command", "clients send commands, backends of the generator's answer them",
		"clients=100 spread=own in-flight=1"},
	{"handshakes", "TLS handshakes, each client one after the other",
		"clients=64 connect-at-once=100000 warm=0.5"},
	{"publish", "publishers alone, from sending to acknowledgement",
		"publishers=1 in-flight=64"},
	{"mixed", "groups of clients out of --file", ""},
};
/* clang-format on */

const uint32_t load_preset_count = RC_ARRAY_LEN(load_preset_table);

/* What only some scenarios look at. */
static const struct {
	const char *option, *scenarios;
} belongs_to[] = {
	{"share", "churn storm slow"},
	{"churn", "churn"},
	{"storm-after", "storm"},
	{"storm-away", "storm"},
	{"recover", "churn storm"},
	{"read-rate", "slow"},
	{"resume", "handshakes"},
	{"backends", "command"},
	{"reply-size", "command"},
	{"file", "mixed"},
};

static bool in_list(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += len)
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == 0))
			return true;
	return false;
}

static const struct load_preset *preset_find(const char *name)
{
	for (uint32_t i = 0; i < load_preset_count; i++)
		if (strcmp(load_preset_table[i].name, name) == 0)
			return &load_preset_table[i];
	return NULL;
}

int load_scenario(struct load_settings *s, const char *name, struct rc_error *err)
{
	const struct load_preset *preset = preset_find(name);
	char word[64], list[256] = "";

	if (!preset) {
		for (uint32_t i = 0; i < load_preset_count; i++) {
			strcat(list, i ? " " : "");
			strcat(list, load_preset_table[i].name);
		}
		rc_error_set(err, "there is no scenario '%.60s'; there are %s", name, list);
		return -EINVAL;
	}
	strcpy(s->plan.scenario, preset->name);
	for (const char *at = preset->defaults; *at; at += strspn(at, " ")) {
		size_t len = strcspn(at, " ");
		char *equals;
		uint32_t row;

		RC_ASSERT(len < sizeof(word));
		memcpy(word, at, len);
		word[len] = 0;
		at += len;
		equals = strchr(word, '=');
		RC_ASSERT(equals);
		*equals = 0;
		row = load_option_find(word);
		RC_ASSERT(row != RC_NONE);
		RC_ASSERT(load_option_set(s, row, word, equals + 1, err) == 0);
	}
	return 0;
}

int load_group_add(
	struct load_settings *s, const char *name, uint32_t first_channel, struct rc_error *err)
{
	struct load_plan *plan = &s->plan;
	struct load_group *g;

	if (plan->groups == LOAD_GROUPS_MAX) {
		rc_error_set(err, "there can be %d groups and no more; leave out %s",
			LOAD_GROUPS_MAX, name);
		return -EINVAL;
	}
	g = &plan->group[plan->groups++];
	*g = s->group;
	snprintf(g->name, sizeof(g->name), "%s", name);
	if (g->spread == LOAD_OWN)
		g->channels = RC_MAX(g->clients, 1u);
	g->first_channel = first_channel;
	if (first_channel == RC_NONE) {
		g->first_channel = plan->channels;
		if (g->channels > UINT32_MAX / 2 - plan->channels) {
			rc_error_set(err, "too many channels; say fewer");
			return -EINVAL;
		}
		plan->channels += g->channels;
	}
	return 0;
}

static bool is(const struct load_settings *s, const char *scenario)
{
	return strcmp(s->plan.scenario, scenario) == 0;
}

static int check_options_belong(const struct load_settings *s, struct rc_error *err)
{
	for (size_t i = 0; i < RC_ARRAY_LEN(belongs_to); i++)
		if (load_option_given(s, belongs_to[i].option) &&
			!in_list(belongs_to[i].scenarios, s->plan.scenario)) {
			rc_error_set(err, "--%s means nothing to %s; it is for %s",
				belongs_to[i].option, s->plan.scenario, belongs_to[i].scenarios);
			return -EINVAL;
		}
	for (uint32_t row = 0; is(s, "mixed") && row < load_option_count; row++)
		if ((s->by_user >> row & 1) && load_option_table[row].scope == LOAD_OF_GROUP) {
			rc_error_set(err,
				"--%s of which group? In the scenario mixed it stands in a section of %s",
				load_option_table[row].name, s->file[0] ? s->file : "the file");
			return -EINVAL;
		}
	if ((is(s, "idle") || is(s, "handshakes")) &&
		(load_option_given(s, "rate") || load_option_given(s, "in-flight") ||
			load_option_given(s, "publishers"))) {
		rc_error_set(err,
			"in the scenario %s nothing is published; leave out --rate, "
			"--in-flight and --publishers, or take fanout",
			s->plan.scenario);
		return -EINVAL;
	}
	if ((is(s, "echo") || is(s, "command")) && load_option_given(s, "publishers")) {
		rc_error_set(err,
			"in the scenario %s the clients themselves send; leave out --publishers",
			s->plan.scenario);
		return -EINVAL;
	}
	if (is(s, "publish") && load_option_given(s, "clients")) {
		rc_error_set(err,
			"the scenario publish has no subscribers; leave out --clients, or take "
			"fanout");
		return -EINVAL;
	}
	return 0;
}

/* Open loop or closed: what the user says replaces what the preset says. */
static int choose_loop(struct load_settings *s, struct rc_error *err)
{
	bool rate = load_option_given(s, "rate"), flight = load_option_given(s, "in-flight");

	if (rate && flight) {
		rc_error_set(err,
			"--rate is an open loop and --in-flight a closed one; leave out one of "
			"them");
		return -EINVAL;
	}
	if (rate)
		s->group.in_flight = 0;
	if (flight)
		s->group.rate = 0;
	return 0;
}

/* The second group has the first one's channels; only the first publishes. */
static int add_two(struct load_settings *s, struct rc_error *err)
{
	static const char *const names[][3] = {
		{"churn", "established", "churning"},
		{"storm", "established", "storming"},
		{"slow", "fast", "slow"},
	};
	struct load_group all = s->group;
	uint32_t second = (uint32_t)llround(all.clients * s->share / 100.0);
	uint32_t which = is(s, "churn") ? 0 : is(s, "storm") ? 1 : 2;
	int rc;

	if (second == 0) {
		rc_error_set(err,
			"--share %g of %u clients is nobody; say a larger share, or take "
			"fanout",
			s->share, all.clients);
		return -EINVAL;
	}
	if (all.spread == LOAD_OWN) {
		rc_error_set(err,
			"--spread own leaves nothing to share with the other group of %s; say "
			"even or zipf",
			s->plan.scenario);
		return -EINVAL;
	}
	s->group.clients = all.clients - second;
	s->group.churn_per_second = s->group.storm_after_seconds = 0;
	s->group.storm_away_seconds = 0;
	s->group.read_bytes_per_second = 0;
	s->group.recover = false;
	rc = load_group_add(s, names[which][1], RC_NONE, err);
	if (rc < 0)
		return rc;

	s->group = all;
	s->group.clients = second;
	s->group.publishers = 0;
	s->group.rate = 0;
	s->group.in_flight = 0;
	if (which == 2) {
		s->group.reading = all.read_bytes_per_second ? LOAD_READS_SLOWLY : LOAD_READS_NEVER;
		s->group.may_lose = true;
	}
	return load_group_add(s, names[which][2], s->plan.group[0].first_channel, err);
}

static int open_target(struct load_settings *s, struct rc_error *err)
{
	struct load_target *t;
	int rc = load_target_open(&s->plan.target, s->target, err);

	if (rc < 0)
		return rc;
	t = s->plan.target;
	if (s->url[0])
		rc = load_url_parse(&t->subscriber.url, "--url", s->url, err);
	if (rc == 0 && s->publish_url[0])
		rc = load_url_parse(&t->publisher.url, "--publish-url", s->publish_url, err);
	if (rc == 0 && s->echo_url[0])
		rc = load_url_parse(&t->subscriber.echo_url, "--echo-url", s->echo_url, err);
	return rc;
}

int load_settings_build(struct load_settings *s, struct rc_error *err)
{
	int rc = check_options_belong(s, err);

	if (rc == 0)
		rc = choose_loop(s, err);
	if (rc < 0)
		return rc;
	s->group.echo = is(s, "echo");
	s->group.command = is(s, "command");
	s->group.handshakes = is(s, "handshakes");
	s->group.acks_only = is(s, "publish");
	if (is(s, "publish") && !load_option_given(s, "channels"))
		s->group.channels = RC_MAX(s->group.publishers, 1u);
	if (is(s, "mixed"))
		rc = load_mixed(s, err);
	else if (is(s, "churn") || is(s, "storm") || is(s, "slow"))
		rc = add_two(s, err);
	else
		rc = load_group_add(s, s->plan.scenario, RC_NONE, err);
	if (rc == 0 && s->sources[0])
		rc = load_sources_parse(&s->plan, s->sources, err);
	if (rc == 0 && s->cpus[0])
		rc = load_cpus_parse(&s->plan, s->cpus, err);
	if (rc == 0)
		rc = open_target(s, err);
	return rc;
}
