/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies that do not come in one piece with their head. They grow as they arrive, so a slow one holds what it has sent; all together
 * are bounded, each has its time.
 */
#include "serve/httpexchange.h"

struct rc_str rc_http_media_type(const struct rc_http_request *r)
{
	struct rc_str type = rc_http_header_get(r, "content-type");
	const char *end = type.len ? memchr(type.ptr, ';', type.len) : NULL;

	if (end)
		type.len = (size_t)(end - type.ptr);
	while (type.len && (type.ptr[type.len - 1] == ' ' || type.ptr[type.len - 1] == '\t'))
		type.len--;
	return type;
}

#define FIRST_BYTES 4096u

void rc_http_put_body(struct rc_serve *sv, unsigned char *block, uint32_t size)
{
	if (!block)
		return;
	sv->http_bodies -= rc_pool_size(size);
	rc_pool_put(sv->pool, block, size);
}

/* most: that all may hold with it. */
static unsigned char *get(struct rc_serve *sv, uint32_t size, uint64_t most)
{
	uint64_t held = rc_pool_size(size);
	unsigned char *block;

	if (sv->http_bodies + held > most) {
		rc_count(sv->counters, RC_C_http_bodies_refused, 1);
		return NULL;
	}
	block = rc_pool_get(sv->pool, size);
	if (block)
		sv->http_bodies += held;
	return block;
}

/* One that is whole does not stay for long. However slow others are on their way in, they leave room for it. */
unsigned char *rc_http_get_body(struct rc_serve *sv, uint32_t size)
{
	return get(sv, size, sv->http_bodies_max + sv->http_bodies_max / 2);
}

unsigned char *rc_http_keep_body(struct rc_serve *sv, struct rc_http_call *call, uint32_t *size)
{
	unsigned char *block = call->block;

	if (block) {
		*size = call->block_size;
		call->block = NULL;
		return block;
	}
	*size = RC_MAX((uint32_t)call->body.len, 1u);
	block = rc_http_get_body(sv, *size);
	if (!block)
		return NULL;
	(void)rc_str_copy(block, call->body);
	call->body.ptr = (const char *)block;
	return block;
}

void rc_http_exchange_free(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_http_exchange *x = c->ext;

	if (!x)
		return;
	c->ext = NULL;
	rc_pool_put(sv->pool, x->head, x->head_len);
	if (x->grant)
		rc_pool_put(sv->pool, x->grant, x->grant->size);
	rc_http_put_body(sv, x->body, x->body_size);
	rc_pool_put(sv->pool, x, sizeof(*x));
}

static void fail(
	struct rc_serve *sv, struct rc_conn *c, int status, const char *code, const char *message)
{
	struct rc_http_exchange *x = c->ext;
	struct rc_http_call call = {.c = c, .reply = x->reply};

	rc_count(sv->counters, RC_C_http_bad, status != 503);
	call.reply.close = true;
	rc_http_exchange_free(sv, c);
	rc_http_fail(sv, &call, status, code, message);
}

/* False: answered. */
static bool append(struct rc_serve *sv, struct rc_conn *c, struct rc_str bytes)
{
	struct rc_http_exchange *x = c->ext;
	uint64_t need = (uint64_t)x->body_len + bytes.len;

	if (need > rc_http_body_max(sv, &x->reply)) {
		fail(sv, c, 413, "too_large", rc_http_body_too_large(&x->reply));
		return false;
	}
	if (need > x->body_size) {
		uint64_t whole = x->is_chunked ? rc_http_body_max(sv, &x->reply)
					       : x->body_len + bytes.len + x->left;
		uint64_t want = RC_MAX(need, RC_MIN((uint64_t)x->body_size * 2, whole));
		uint32_t size = (uint32_t)RC_MAX(want, RC_MIN(whole, (uint64_t)FIRST_BYTES));
		unsigned char *block = get(sv, size, sv->http_bodies_max);

		if (!block) {
			fail(sv, c, 503, "over_capacity", "no memory for this body at present");
			return false;
		}
		if (x->body_len)
			memcpy(block, x->body, x->body_len);
		rc_http_put_body(sv, x->body, x->body_size);
		x->body = block;
		x->body_size = size;
	}
	if (bytes.len)
		memcpy(x->body + x->body_len, bytes.ptr, bytes.len);
	x->body_len = (uint32_t)need;
	return true;
}

static void whole(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_http_exchange *x = c->ext;
	struct rc_http_request r;
	struct rc_http_call call = {.c = c, .request = &r, .route = x->route, .reply = x->reply};
	unsigned char *head = x->head;
	uint32_t head_len = x->head_len;
	struct rc_grant *grant = x->grant;

	if (rc_http_parse(head, head_len, head_len + 1, &r) != 0)
		RC_FAIL("a head that was read can't be read again");
	call.method = rc_http_method_of(r.method);
	call.body = (struct rc_str){(const char *)x->body, x->body_len};
	call.grant = grant;
	call.block = x->body;
	call.block_size = x->body_size;
	x->head = x->body = NULL;
	x->grant = NULL;
	rc_http_exchange_free(sv, c);
	if (rc_http_dispatch(sv, &call) == RC_HTTP_AGAIN)
		RC_FAIL("a request with a body was put by");
	rc_pool_put(sv->pool, head, head_len);
	if (grant)
		rc_pool_put(sv->pool, grant, grant->size);
}

static uint32_t chunks(
	struct rc_serve *sv, struct rc_conn *c, const unsigned char *bytes, uint32_t len)
{
	struct rc_http_exchange *x = c->ext;
	uint32_t used = 0;

	for (;;) {
		struct rc_str data;
		size_t n;
		int rc = rc_chunked_next(&x->chunked, bytes + used, len - used, &n, &data);

		used += (uint32_t)n;
		if (rc < 0) {
			fail(sv, c, -rc, "bad_request", "the chunks of this body can't be read");
			return len;
		}
		if (rc == RC_CHUNKED_DATA && !append(sv, c, data))
			return len;
		if (rc == RC_CHUNKED_END)
			whole(sv, c);
		if (rc != RC_CHUNKED_DATA)
			return used;
	}
}

uint32_t rc_http_body_input(
	struct rc_serve *sv, struct rc_conn *c, const unsigned char *bytes, uint32_t len)
{
	struct rc_http_exchange *x = c->ext;

	if (x->is_chunked)
		return chunks(sv, c, bytes, len);
	uint32_t n = (uint32_t)RC_MIN(x->left, (uint64_t)len);
	x->left -= n;
	if (!append(sv, c, (struct rc_str){(const char *)bytes, n}))
		return len;
	if (x->left == 0)
		whole(sv, c);
	return n;
}

uint32_t rc_http_body_begin(struct rc_serve *sv, struct rc_http_call *call, const void *head,
	const unsigned char *bytes, uint32_t len)
{
	const struct rc_http_request *r = call->request;
	struct rc_conn *c = call->c;
	struct rc_http_exchange *x = rc_pool_get(sv->pool, sizeof(*x));
	uint32_t head_len = (uint32_t)r->head_len;
	unsigned char *copy = x ? rc_pool_get(sv->pool, head_len) : NULL;
	struct rc_grant *grant =
		copy && call->grant ? rc_pool_get(sv->pool, call->grant->size) : NULL;

	if (!copy || (call->grant && !grant)) {
		rc_pool_put(sv->pool, copy, head_len);
		rc_pool_put(sv->pool, x, sizeof(*x));
		call->reply.close = true;
		rc_http_fail(sv, call, 503, "over_capacity", "no memory for this body at present");
		return len;
	}
	memset(x, 0, sizeof(*x));
	memcpy(copy, head, head_len);
	if (grant)
		memcpy(grant, call->grant, call->grant->size);
	x->grant = grant;
	x->phase = RC_HTTP_BODY;
	x->reply = call->reply;
	x->route = call->route;
	x->head = copy;
	x->head_len = head_len;
	x->is_chunked = r->chunked;
	x->left = r->chunked ? 0 : (uint64_t)r->content_length;
	c->ext = x;
	rc_conn_timer(sv->conns, c, sv->config->http_body_timeout_ms);
	if (len)
		return rc_http_body_input(sv, c, bytes, len);
	static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
	if (r->minor == 1 && rc_http_header_get(r, "expect").ptr &&
		!rc_conn_write(sv->conns, c, go, sizeof(go) - 1, RC_HTTP_OUT_MAX))
		rc_conn_kill(sv->conns, c);
	return 0;
}
