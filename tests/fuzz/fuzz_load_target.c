/* SPDX-License-Identifier: Apache-2.0
 *
 * Profiles and templates of any text: refused with a sentence, or taken so that nothing is NULL and every template expands within its
 * bound, and not past what it is given.
 */
#include <stdlib.h>

#include "load/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct load_values values = {
	.channel = {"load:17", 7},
	.number = UINT32_MAX,
	.session = 65535,
	.payload = {"@rcload:0123456789", 18},
	.since = {"e@1", 3},
};

static void check_template(const struct load_template *t)
{
	size_t bound =
		load_template_bound(t, values.channel.len, values.payload.len, values.since.len);
	char *out = malloc(bound + 1), *tight;
	size_t len = load_template_expand(t, &values, out, bound);

	RC_ASSERT(out && len <= bound);
	if (load_template_empty(t))
		RC_ASSERT(len == 0 && bound == 0);
	for (size_t cap = 0; cap < len; cap += 1 + len / 8) {
		tight = malloc(cap ? cap : 1);
		RC_ASSERT(load_template_expand(t, &values, tight, cap) == 0);
		free(tight);
	}
	free(out);
}

static void check_url(const struct load_url *url)
{
	struct rc_error err;
	struct load_url again;
	char text[2048];

	RC_ASSERT(strnlen(url->host, sizeof(url->host)) < sizeof(url->host));
	RC_ASSERT(strnlen(url->path, sizeof(url->path)) < sizeof(url->path));
	if (!url->host[0])
		return;
	RC_ASSERT(url->port > 0 && (url->path[0] == 0 || url->path[0] == '/'));
	snprintf(text, sizeof(text), "%s://%s:%u%s", url->path[0] ? "ws" : "tcp", url->host,
		url->port, url->path);
	RC_ASSERT(load_url_parse(&again, "again", text, &err) == 0);
	RC_ASSERT(strcmp(again.host, url->host) == 0 && again.port == url->port &&
		  strcmp(again.path, url->path) == 0);
}

static void check_profile(struct rc_str text)
{
	struct rc_error err = {0};
	struct load_target *t;
	int rc = load_target_parse(&t, "fuzz.ini", text, &err);

	RC_ASSERT((rc == 0) == (t != NULL) && (rc == 0 || err.text[0]));
	if (!t)
		return;
	const char *strings[] = {t->subscriber.protocol, t->subscriber.headers,
		t->subscriber.greeting, t->subscriber.welcome, t->subscriber.subscribed,
		t->subscriber.refused, t->subscriber.ping, t->subscriber.gap, t->subscriber.since,
		t->publisher.protocol, t->publisher.headers, t->publisher.greeting,
		t->publisher.welcome, t->publisher.ack, t->publisher.ping};
	const struct load_template *templates[] = {t->subscriber.hello, t->subscriber.subscribe,
		t->subscriber.pong, t->publisher.hello, t->publisher.event, t->publisher.pong};

	for (size_t i = 0; i < RC_ARRAY_LEN(strings); i++)
		RC_ASSERT(strings[i] && strlen(strings[i]) <= text.len);
	for (size_t i = 0; i < RC_ARRAY_LEN(templates); i++)
		check_template(templates[i]);
	check_url(&t->subscriber.url);
	check_url(&t->subscriber.echo_url);
	check_url(&t->publisher.url);
	load_target_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rc_str text = {(const char *)data, size};
	struct load_template *t;
	struct rc_error err = {0};

	check_profile(text);
	if (load_template_compile(&t, text, &err) == 0)
		check_template(t);
	else
		RC_ASSERT(err.text[0]);
	load_template_free(t);
	return 0;
}
