/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets: found by name or path, settled after the options, closed.
 */
#include "target.h"

#include <errno.h>
#include <stdlib.h>

#include "config/nearest.h"
#include "profile.h"

static bool is_path(const char *name)
{
	size_t len = strlen(name);

	return strchr(name, '/') || (len > 4 && strcmp(name + len - 4, ".ini") == 0);
}

static int open_file(struct load_target **out, const char *path, struct rc_error *err)
{
	static const char hint[] = "give the path of a profile, or a name of --targets";
	FILE *in = fopen(path, "re");
	char *text;
	size_t len;
	int rc = in ? 0 : -errno;

	if (!in) {
		rc_error_set(err, "can't open the profile %s: %s; %s", path, strerror(-rc), hint);
		return rc;
	}
	text = malloc(LOAD_PROFILE_BYTES_MAX + 1);
	if (!text) {
		fclose(in);
		rc_error_set(err, "out of memory for the profile %s; free some", path);
		return -ENOMEM;
	}
	errno = 0;
	len = fread(text, 1, LOAD_PROFILE_BYTES_MAX + 1, in);
	if (ferror(in)) {
		rc = errno ? -errno : -EIO;
		rc_error_set(err, "can't read the profile %s: %s; %s", path, strerror(-rc), hint);
	} else {
		rc = load_target_parse(out, path, (struct rc_str){text, len}, err);
	}
	fclose(in);
	free(text);
	return rc;
}

static int unknown_name(const char *name, struct rc_error *err)
{
	struct rc_nearest nearest;
	char all[512] = "";
	size_t len = 0;

	rc_nearest_init(&nearest, name);
	for (uint32_t i = 0; i < load_profile_count; i++) {
		rc_nearest_offer(&nearest, load_profiles[i].name);
		len += (size_t)snprintf(
			all + len, sizeof(all) - len, "%s%s", i ? ", " : "", load_profiles[i].name);
	}
	if (nearest.best)
		rc_error_set(err,
			"unknown target '%.60s'; did you mean '%s'? There are %s, or a profile's path",
			name, nearest.best, all);
	else
		rc_error_set(err, "unknown target '%.60s'; there are %s, or write a profile's path",
			name, all);
	return -ENOENT;
}

int load_target_open(struct load_target **out, const char *name_or_file, struct rc_error *err)
{
	*out = NULL;
	if (is_path(name_or_file))
		return open_file(out, name_or_file, err);
	for (uint32_t i = 0; i < load_profile_count; i++) {
		const struct load_profile *p = &load_profiles[i];

		if (strcmp(p->name, name_or_file) == 0)
			return load_target_parse(out, p->name,
				(struct rc_str){p->text, (size_t)(p->end - p->text)}, err);
	}
	return unknown_name(name_or_file, err);
}

void load_target_close(struct load_target *t)
{
	if (!t)
		return;
	load_template_free(t->subscriber.hello);
	load_template_free(t->subscriber.subscribe);
	load_template_free(t->subscriber.pong);
	load_template_free(t->subscriber.command);
	load_template_free(t->subscriber.inbox);
	load_template_free(t->subscriber.answer);
	load_template_free(t->publisher.hello);
	load_template_free(t->publisher.event);
	load_template_free(t->publisher.pong);
	load_template_free(t->publisher.serve);
	load_template_free(t->publisher.reply);
	free(t);
}

static int settle(struct load_target *t, struct rc_error *err)
{
	enum load_scheme echo = t->subscriber.echo_url.scheme, from = t->subscriber.url.scheme;
	enum load_scheme *to = &t->publisher.url.scheme;

	if (*to == LOAD_SSE)
		*to = LOAD_HTTP;
	else if (*to == LOAD_SSES)
		*to = LOAD_TLS;
	if (t->subscriber.url.host[0] && from != LOAD_WS && from != LOAD_WSS && from != LOAD_SSE &&
		from != LOAD_SSES)
		rc_error_set(
			err, "the subscribers' url must be ws://, wss://, http:// or https://");
	else if (t->subscriber.echo_url.host[0] && echo != LOAD_WS && echo != LOAD_WSS)
		rc_error_set(err, "the echo url must be ws:// or wss://");
	else if (t->publisher.url.host[0] && *to != LOAD_INGEST &&
		 load_template_empty(t->publisher.event))
		rc_error_set(err,
			"the profile %s does not say what to publish: only ingest:// needs no event "
			"= … in [publisher]",
			t->name);
	else
		return 0;
	return -EINVAL;
}

int load_target_resolve(struct load_target *t, struct rc_error *err)
{
	const struct {
		struct load_url *url;
		const char *flag;
	} all[] = {{&t->subscriber.url, "the subscribers' url"},
		{&t->subscriber.echo_url, "the echo url"},
		{&t->publisher.url, "the publishers' url"}};
	int rc = settle(t, err);

	for (size_t i = 0; i < RC_ARRAY_LEN(all) && rc == 0; i++)
		if (all[i].url->host[0])
			rc = load_url_resolve(all[i].url, all[i].flag, err);
	return rc;
}

void load_target_list(FILE *out)
{
	for (uint32_t i = 0; i < load_profile_count; i++) {
		struct rc_error err;
		struct load_target *t;

		if (load_target_open(&t, load_profiles[i].name, &err) < 0) {
			fprintf(out, "  %-10s  %s\n", load_profiles[i].name, err.text);
			continue;
		}
		fprintf(out, "  %-10s  %s\n", t->name, t->about);
		load_target_close(t);
	}
}
