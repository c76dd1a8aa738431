/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection's first words: the HTTP request, with the channel in its path, and the answer to it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "local.h"
#include "proto/http1.h"
#include "proto/wsdeflate.h"
#include "upgrade.h"

/* A string that grows within its bounds. */
struct text {
	char *at, *end;
	bool full;
};

static void add(struct text *t, const char *bytes, size_t len)
{
	if ((size_t)(t->end - t->at) <= len) {
		t->full = true;
		return;
	}
	memcpy(t->at, bytes, len);
	t->at += len;
	*t->at = '\0';
}

/* The path, {channel} replaced: a client of such a target has one subscription. */
static void write_path(
	struct text *t, const struct load_worker *w, const struct load_client *c, const char *path)
{
	static const char word[] = "{channel}";
	const char *at = strstr(path, word);
	char name[128];

	if (!at || c->sub.channel == RC_NONE) {
		add(t, path, strlen(path));
		return;
	}
	add(t, path, (size_t)(at - path));
	add(t, name, load_plan_channel_name(w->plan, c->sub.channel, name));
	at += sizeof(word) - 1;
	add(t, at, strlen(at));
}

void load_speech_begin(struct load_worker *w, struct load_client *c)
{
	const struct load_subscriber *s = load_profile(w);
	const struct load_url *url = load_client_url(w, c);
	char *path = w->scratch, *request;
	struct text t = {path, path + LOAD_SPEECH_MAX / 2, false};
	size_t len, cap = LOAD_SPEECH_MAX / 2;
	const char *headers = s->headers;
	char offer[LOAD_SPEECH_MAX / 4];

	if (w->plan->deflate) {
		int n = snprintf(offer, sizeof(offer),
			"%sSec-WebSocket-Extensions: " RC_WS_DEFLATE_OFFER "\r\n", s->headers);

		headers = n > 0 && (size_t)n < sizeof(offer) ? offer : s->headers;
	}
	c->stream.deflates = w->plan->deflate;

	c->state = LOAD_UPGRADING;
	*path = '\0';
	write_path(&t, w, c, url->path);
	request = w->scratch + LOAD_SPEECH_MAX / 2;
	if (load_is_sse(url)) {
		int n = snprintf(request, cap,
			"GET %s HTTP/1.1\r\nHost: %s:%u\r\nAccept: text/event-stream\r\n%s\r\n",
			*path ? path : "/", url->host, (unsigned)url->port, s->headers);

		len = n > 0 && (size_t)n < cap ? (size_t)n : 0;
	} else {
		load_upgrade_key(c->extra->key, rc_prng_next(&w->prng));
		len = load_upgrade_request(request, cap, url, *path ? path : "/",
			load_is_echo(w, c) ? "" : s->protocol, headers, c->extra->key);
	}
	if (len == 0 || t.full)
		load_client_lost(w, c,
			"the path with the channel in it is too long. Say a shorter --prefix");
	else
		(void)load_client_send(w, c, request, len);
}

/* Length of the head, 0: more is needed, -EPROTO. */
static int sse_answer(struct load_stream *stream, struct rc_str bytes, struct rc_error *err)
{
	static const struct rc_str fine = RC_STR("HTTP/1.1 200");
	const char *end = memmem(bytes.ptr, bytes.len, "\r\n\r\n", 4), *line;

	if (!end && bytes.len < LOAD_UPGRADE_HEAD_MAX)
		return 0;
	if (!end || !rc_str_starts(bytes, fine)) {
		rc_error_set(err,
			"the server did not grant the stream: %.*s. See that the target's URL "
			"is that of its server-sent events",
			(int)RC_MIN(bytes.len, strcspn(bytes.ptr, "\r\n")), bytes.ptr);
		return -EPROTO;
	}
	/* Each line ends before `end`, or at it. */
	for (line = bytes.ptr; line < end; line += strcspn(line, "\n") + 1) {
		static const struct rc_str name = RC_STR("transfer-encoding:");

		if ((size_t)(end - line) > name.len &&
			rc_http_same((struct rc_str){line, name.len}, name) &&
			memmem(line, strcspn(line, "\r\n"), "chunked", 7))
			stream->chunk = LOAD_CHUNK_SIZE;
	}
	return (int)(end + 4 - bytes.ptr);
}

void load_speech_http(
	struct load_worker *w, struct load_client *c, unsigned char *bytes, size_t len)
{
	struct load_extra *x = c->extra;
	struct rc_error err = {{0}};
	uint32_t before = x->head_len, generation = c->generation;
	int head;

	/* NUL-terminated, for the parsers' strings. */
	if (!x->head && !(x->head = malloc(LOAD_UPGRADE_HEAD_MAX + 1))) {
		load_client_lost(w, c, "out of memory: say fewer clients");
		return;
	}
	x->head_len += (uint32_t)RC_MIN(len, LOAD_UPGRADE_HEAD_MAX - x->head_len);
	memcpy(x->head + before, bytes, x->head_len - before);
	x->head[x->head_len] = '\0';
	head = load_is_sse(load_client_url(w, c))
		       ? sse_answer(&c->stream, (struct rc_str){x->head, x->head_len}, &err)
		       : load_upgrade_answer((struct rc_str){x->head, x->head_len}, x->key, &err);
	if (head < 0)
		load_client_lost(w, c, err.text);
	if (head <= 0)
		return;
	/* What came behind the head is of the stream already. */
	bytes += (uint32_t)head - before;
	len -= (uint32_t)head - before;
	load_speech_upgraded(w, c);
	if (c->generation == generation && c->fd >= 0 && len > 0)
		load_deliver(w, c, bytes, len);
}
