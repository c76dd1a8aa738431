/* SPDX-License-Identifier: Apache-2.0
 *
 * What webhooks are sent, signed, and what their answers mean. See webhook.h.
 */
#include "serve/webhook.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "base/file.h"
#include "base/random.h"
#include "base/utf8.h"
#include "proto/ingest.h"
#include "proto/json.h"

#define HEAD_ROOM   1024u /* of a request, the URL counted */
#define SIGNED_ROOM 32u   /* of that, in front of the body: seconds and a dot */
#define MAC_BYTES   32u
#define SECRET_MIN  16u
#define JSON_DEPTH  128u

/* ---- the target ----------------------------------------------------------------------------------- */

static int read_secret(struct rc_webhook_target *t, const char *path, struct rc_error *err)
{
	struct rc_file f;
	size_t len;

	if (!path[0])
		return 0;
	if (rc_file_read(&f, path, err) < 0)
		return -1;
	for (len = f.len; len && (f.bytes[len - 1] == '\n' || f.bytes[len - 1] == '\r');)
		len--;
	bool fits = len >= SECRET_MIN && len <= RC_WEBHOOK_SECRET_MAX;
	if (fits)
		memcpy(t->secret, f.bytes, len);
	t->secret_len = (uint32_t)len;
	rc_file_free(&f);
	return fits ? 0
		    : rc_error_set(err, "%s: a secret of webhooks has %u to %u bytes, this one %zu",
			      path, SECRET_MIN, RC_WEBHOOK_SECRET_MAX, len);
}

int rc_webhook_target_open(
	struct rc_webhook_target *t, const struct rc_config *config, struct rc_error *err)
{
	memset(t, 0, sizeof(*t));
	rc_random_bytes(&t->run, sizeof(t->run));
	if (rc_webhook_url_parse(config->webhook_url, &t->url, err) < 0)
		return rc_error_prefix(err, "[webhooks] url");
	if (read_secret(t, config->webhook_secret_file, err) < 0)
		return -1;
	return rc_webhook_name_open(&t->name, &t->first, &t->url, config->webhook_resolve_ms, err);
}

/* ---- the request ---------------------------------------------------------------------------------- */

static void add_member(struct rc_textbuf *b, const char *name, struct rc_str text)
{
	rc_textbuf_add_text(b, name);
	if (text.len)
		rc_textbuf_add_string(b, text);
	else
		rc_textbuf_add_text(b, "null");
}

static void write_body(
	const struct rc_webhook_target *t, const struct rc_webhook_job *job, struct rc_textbuf *b)
{
	struct rc_command c = rc_command_unpack(job->text);
	char id[40];

	/* Events of clients and commands are counted apart. */
	(void)snprintf(id, sizeof(id), "%08x-%c%llx", t->run, job->event ? 'e' : 'c',
		(unsigned long long)job->number);
	add_member(b, "{\"id\":", rc_str_of(id));
	add_member(b, ",\"type\":", c.type);
	if (c.session.ptr[0] == '\0')
		c.session.len = 0;
	add_member(b, ",\"session\":", c.session);
	add_member(b, ",\"user\":", c.user);
	rc_textbuf_add_text(b, ",\"messageId\":");
	if (c.message.len)
		rc_textbuf_add(b, c.message);
	else
		rc_textbuf_add_text(b, "null");
	rc_textbuf_add_text(b, job->again || c.again ? ",\"again\":true" : ",\"again\":false");
	rc_textbuf_add_text(b, ",\"payload\":");
	if (c.data.len)
		rc_textbuf_add(b, c.data);
	else
		rc_textbuf_add_text(b, "null");
	rc_textbuf_add_char(b, '}');
}

/* In front of the body, where there is room, stands what is signed with it. */
static void sign(const struct rc_serve *sv, const struct rc_webhook_target *t, unsigned char *body,
	size_t len, struct rc_textbuf *head)
{
	unsigned char mac[MAC_BYTES];
	char seconds[RC_U64_TEXT_MAX];
	unsigned mac_len = sizeof(mac);
	size_t n = rc_u64_text(sv->wall_ms / 1000, seconds);
	unsigned char *from = body - n - 1;

	memcpy(from, seconds, n);
	from[n] = '.';
	if (!HMAC(EVP_sha256(), t->secret, (int)t->secret_len, from, len + n + 1, mac, &mac_len))
		RC_FAIL("OpenSSL has no HMAC-SHA256");
	rc_textbuf_add_text(head, "Ringcast-Signature: t=");
	rc_textbuf_add(head, (struct rc_str){seconds, n});
	rc_textbuf_add_text(head, ",v1=");
	for (unsigned i = 0; i < mac_len; i++) {
		rc_textbuf_add_char(head, "0123456789abcdef"[mac[i] >> 4]);
		rc_textbuf_add_char(head, "0123456789abcdef"[mac[i] & 15]);
	}
	rc_textbuf_add_text(head, "\r\n");
}

uint32_t rc_webhook_request(
	struct rc_serve *sv, struct rc_conn *c, const struct rc_webhook_job *job)
{
	const struct rc_webhook_target *t = sv->webhooks->target;
	const struct rc_command_record *r = job->text;
	size_t cap = r->data_len + r->message_len + 6u * (r->user_len + r->type_len) + 256;
	unsigned char *room =
		rc_conn_reserve(sv->conns, c, (uint32_t)(HEAD_ROOM + cap), UINT32_MAX);

	if (!room)
		return 0;
	struct rc_textbuf body = {.ptr = (char *)room + HEAD_ROOM, .cap = cap};
	struct rc_textbuf head = {.ptr = (char *)room, .cap = HEAD_ROOM - SIGNED_ROOM};
	write_body(t, job, &body);
	rc_textbuf_add_text(&head, "POST ");
	rc_textbuf_add(&head, t->url.path);
	rc_textbuf_add_text(&head, " HTTP/1.1\r\nHost: ");
	rc_textbuf_add(&head, t->url.authority);
	rc_textbuf_add_text(
		&head, "\r\nUser-Agent: ringcast\r\nContent-Type: application/json\r\n");
	if (t->secret_len)
		sign(sv, t, room + HEAD_ROOM, body.len, &head);
	rc_textbuf_add_text(&head, "Content-Length: ");
	rc_textbuf_add_u64(&head, body.len);
	rc_textbuf_add_text(&head, "\r\n\r\n");
	RC_ASSERT(!head.full && !body.full);
	memmove(room + head.len, room + HEAD_ROOM, body.len);
	rc_conn_commit(sv->conns, c, (uint32_t)(head.len + body.len));
	return (uint32_t)(head.len + body.len);
}

/* ---- the answer ----------------------------------------------------------------------------------- */

static bool member(struct rc_str object, const char *name, struct rc_json_value *out)
{
	struct rc_json_iter it;
	struct rc_str key;

	rc_json_object_begin(&it, object);
	while (rc_json_object_next(&it, &key, out)) {
		if (rc_str_eq(key, rc_str_of(name)))
			return out->kind == RC_JSON_STRING;
	}
	return false;
}

/* {"code":…,"message":…} */
static bool own_error(
	struct rc_str body, struct rc_command_answer *out, struct rc_webhook_text *text)
{
	struct rc_json_value root, code, message;
	int len;

	if (rc_json_validate(body, JSON_DEPTH) < 0)
		return false;
	root = rc_json_root(body);
	if (root.kind != RC_JSON_OBJECT || !member(root.raw, "code", &code) ||
		!member(root.raw, "message", &message))
		return false;
	len = rc_json_string_decode(code.raw, text->code, sizeof(text->code));
	if (len < 0)
		return false;
	out->code = (struct rc_str){text->code, (size_t)len};
	len = rc_json_string_decode(message.raw, text->message, RINGCAST_TEXT_MAX);
	if (len < 0 || !rc_ingest_code_valid(out->code))
		return false;
	out->data = (struct rc_str){text->message, (size_t)len};
	return true;
}

bool rc_webhook_reply(uint16_t status, struct rc_str body, struct rc_command_answer *out,
	struct rc_webhook_text *text)
{
	*out = (struct rc_command_answer){.verdict = RC_COMMAND_REPLIED, .json = true};
	if (status < 300) {
		out->data = status == 204 || body.len == 0 ? RC_STR("null") : body;
		return rc_json_validate(out->data, JSON_DEPTH) == 0;
	}
	out->json = false;
	if (status == 422)
		return own_error(body, out, text);
	int n = snprintf(text->message, sizeof(text->message), "the webhook answered %u", status);
	out->code = RC_STR("backend_error");
	out->data = (struct rc_str){text->message, (size_t)n};
	return true;
}

bool rc_webhook_later(uint16_t status)
{
	/* 408: it took too long to arrive; 429: there were too many. */
	return status >= 500 || status == 408 || status == 429;
}
