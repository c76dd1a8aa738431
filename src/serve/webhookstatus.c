/* SPDX-License-Identifier: Apache-2.0
 *
 * How webhooks do: what failed last, and what /api/status says of them. See webhook.h.
 */
#include <stdio.h>

#include "serve/webhookline.h"

void rc_webhook_note(struct rc_serve *sv, const char *why)
{
	struct rc_webhooks *w = sv->webhooks;

	w->failures++;
	w->error_ms = sv->wall_ms;
	(void)snprintf(w->error, sizeof(w->error), "%s", why);
}

uint32_t rc_webhooks_kept(const struct rc_serve *sv)
{
	const struct rc_webhooks *w = sv->webhooks;

	return w && w->lines > w->connections ? w->lines - w->connections : 0;
}

static void add_number(struct rc_textbuf *b, const char *name, uint64_t value)
{
	rc_textbuf_add_text(b, name);
	rc_textbuf_add_u64(b, value);
}

void rc_webhooks_status(const struct rc_serve *sv, struct rc_textbuf *b)
{
	const struct rc_webhooks *w = sv->webhooks;
	const struct rc_webhook_url *url = &w->target->url;
	const char *query = memchr(url->path.ptr, '?', url->path.len);
	char text[RC_ISO8601_LEN + RC_ADDRESS_TEXT_SIZE];
	uint32_t outstanding = 0;

	for (uint32_t i = 0; i < w->lines; i++)
		outstanding += w->line[i].job != RC_NONE;
	rc_textbuf_add_text(b, "{\"url\":\"http://");
	/* A query may hold a secret; a URL with a user is refused at start. */
	struct rc_str path = url->path;
	if (query)
		path.len = (size_t)(query - path.ptr);
	rc_textbuf_add_escaped(b, url->authority);
	rc_textbuf_add_escaped(b, path);
	rc_textbuf_add_text(b, "\",\"addresses\":[");
	for (uint32_t i = 0; i < w->to.count; i++) {
		rc_address_format(&w->to.at[i], text);
		rc_textbuf_add_text(b, i ? "," : "");
		rc_textbuf_add_string(b, rc_str_of(text));
	}
	add_number(b, "],\"connections\":", w->connections);
	add_number(b, ",\"outstanding\":", outstanding);
	add_number(b, ",\"waiting\":", w->commands.count);
	add_number(b, ",\"eventsWaiting\":", w->events.count);
	add_number(b, ",\"failures\":", w->failures);
	rc_textbuf_add_text(b, ",\"lastError\":");
	if (w->error_ms) {
		rc_clock_iso8601(w->error_ms, text);
		rc_textbuf_add_text(b, "{\"message\":");
		rc_textbuf_add_string(b, rc_str_of(w->error));
		rc_textbuf_add_text(b, ",\"timestamp\":");
		rc_textbuf_add_string(b, (struct rc_str){text, RC_ISO8601_LEN});
		rc_textbuf_add_char(b, '}');
	} else {
		rc_textbuf_add_text(b, "null");
	}
	rc_textbuf_add_char(b, '}');
}
