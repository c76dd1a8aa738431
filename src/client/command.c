/* SPDX-License-Identifier: Apache-2.0
 *
 * A backend: the types that it takes, the commands that come, the replies that go. Nothing is remembered of a command; who waits
 * for its reply is a number of the gateway's, which means something on the connection by which it came and nowhere else.
 */
#include "client.h"
#include "bytes.h"

#include <stdlib.h>

#define REPLY_HEAD      (RINGCAST_WIRE_HEADER_LEN + 8 + 1)
#define HANDLER_ROOM    8
#define TEXT_ROOM       (RINGCAST_TEXT_MAX + 1)
#define REPLY_FLAGS     (RINGCAST_JSON | RINGCAST_MORE)
#define NOT_TAKEN       "no_backend"
#define NOT_TAKEN_WORDS "this backend does not take that type any more"

/* ---- types -------------------------------------------------------------------------------------- */

static struct rc_client_handler *find(const struct ringcast *r, const char *type)
{
	size_t len = strlen(type);

	for (unsigned i = 0; i < r->handler_count; i++) {
		struct rc_client_handler *h = &r->handlers[i];
		if (h->type_len == len && memcmp(h->type, type, len) == 0)
			return h;
	}
	return NULL;
}

static struct rc_client_handler *add(struct ringcast *r)
{
	struct rc_client_handler *more;
	unsigned room = r->handler_room ? 2 * r->handler_room : HANDLER_ROOM;

	if (r->handler_count == r->handler_room) {
		more = realloc(r->handlers, room * sizeof(*more));
		if (!more)
			return NULL;
		r->handlers = more;
		r->handler_room = room;
	}
	return &r->handlers[r->handler_count++];
}

int ringcast_on(struct ringcast *r, const char *type, unsigned int flags, const char *field,
	ringcast_command_fn fn, void *user_data)
{
	size_t len = type ? strlen(type) : 0, field_len = field ? strlen(field) : 0;
	struct rc_client_handler *h;

	if (len == 0 || len > RINGCAST_TYPE_MAX || field_len > RINGCAST_FIELD_MAX || !fn ||
		(flags & ~(RINGCAST_IDEMPOTENT | RINGCAST_BY_USER)) != 0 ||
		((flags & RINGCAST_BY_USER) && field_len != 0))
		return RINGCAST_INVALID;
	h = find(r, type);
	if (!h && r->handler_count == RINGCAST_TYPES_MAX)
		return RINGCAST_INVALID;
	if (!h)
		h = add(r);
	if (!h)
		return RINGCAST_NO_MEMORY;
	*h = (struct rc_client_handler){.type_len = (uint8_t)len,
		.field_len = (uint8_t)field_len,
		.mode = flags & RINGCAST_BY_USER ? RINGCAST_MODE_USER
			: field_len != 0         ? RINGCAST_MODE_FIELD
						 : RINGCAST_MODE_ROUND_ROBIN,
		.flags = flags & RINGCAST_IDEMPOTENT ? RINGCAST_ENTRY_IDEMPOTENT : 0,
		.fn = fn,
		.user_data = user_data};
	memcpy(h->type, type, len);
	if (field_len)
		memcpy(h->field, field, field_len);
	r->register_due = true;
	return RINGCAST_OK;
}

int ringcast_off(struct ringcast *r, const char *type)
{
	struct rc_client_handler *h = type ? find(r, type) : NULL;

	if (type && !h)
		return RINGCAST_INVALID;
	if (type)
		*h = r->handlers[--r->handler_count];
	else
		r->handler_count = 0;
	r->register_due = true;
	return RINGCAST_OK;
}

int ringcast_set_credit(struct ringcast *r, uint32_t credit)
{
	r->o.command_credit = credit;
	r->flow_due = r->registered;
	return RINGCAST_OK;
}

/* That one comes to whoever takes any event of clients. */
static bool is_registered(const struct rc_client_handler *h)
{
	return strcmp(h->type, "$lost") != 0;
}

static size_t register_len(const struct ringcast *r, unsigned *count)
{
	size_t len = RINGCAST_WIRE_HEADER_LEN + 4 + 2;

	*count = 0;
	for (unsigned i = 0; i < r->handler_count; i++) {
		if (!is_registered(&r->handlers[i]))
			continue;
		++*count;
		len += 1u + r->handlers[i].type_len + 1 + 1 + 1 + r->handlers[i].field_len;
	}
	return len;
}

static bool say_register(struct ringcast *r)
{
	unsigned count;
	size_t len = register_len(r, &count);
	unsigned char *at = rc_client_ctl_reserve(r, len);

	if (!at)
		return false;
	at = rc_client_header(at, len, RINGCAST_FRAME_REGISTER, 0);
	at = rc_client_store(at, r->o.command_credit, 4);
	at = rc_client_store(at, count, 2);
	for (unsigned i = 0; i < r->handler_count; i++) {
		const struct rc_client_handler *h = &r->handlers[i];
		if (!is_registered(h))
			continue;
		at = rc_client_store(at, h->type_len, 1);
		at = rc_client_store_bytes(at, h->type, h->type_len);
		at = rc_client_store(at, h->mode, 1);
		at = rc_client_store(at, h->flags, 1);
		at = rc_client_store(at, h->field_len, 1);
		at = rc_client_store_bytes(at, h->field, h->field_len);
	}
	rc_client_ctl_take(r, len);
	return true;
}

static bool say_flow(struct ringcast *r)
{
	const size_t len = RINGCAST_WIRE_HEADER_LEN + 4;
	unsigned char *at = rc_client_ctl_reserve(r, len);

	if (!at)
		return false;
	at = rc_client_header(at, len, RINGCAST_FRAME_FLOW, 0);
	rc_client_store(at, r->o.command_credit, 4);
	rc_client_ctl_take(r, len);
	return true;
}

void rc_client_register_due(struct ringcast *r)
{
	if (r->register_due && say_register(r)) {
		r->register_due = r->flow_due = false;
		r->registered = true;
	}
	if (r->flow_due && say_flow(r))
		r->flow_due = false;
}

bool rc_client_registered(struct ringcast *r, const unsigned char *body, size_t len)
{
	struct rc_client_body b = {body, len, false};
	uint32_t credit = (uint32_t)rc_client_take_number(&b, 4);
	uint32_t timeout_ms = (uint32_t)rc_client_take_number(&b, 4);
	unsigned types = (unsigned)rc_client_take_number(&b, 2);

	if (b.short_of || b.left != 0)
		return false;
	rc_client_tell_registered(r, types, credit, timeout_ms);
	return true;
}

/* ---- commands ----------------------------------------------------------------------------------- */

static const struct rc_client_handler *handler_for(const struct ringcast *r, const char *type)
{
	const struct rc_client_handler *h = find(r, type);

	return h || *type == '$' ? h : find(r, "*");
}

bool rc_client_command(struct ringcast *r, unsigned flags, const unsigned char *body, size_t len)
{
	char session[TEXT_ROOM], client[TEXT_ROOM], type[TEXT_ROOM], id[TEXT_ROOM];
	struct rc_client_body b = {body, len, false};
	struct ringcast_command c = {.session = session, .user = client, .type = type, .id = id};
	const struct rc_client_handler *h;

	c.caller = (struct ringcast_caller){r->connection, rc_client_take_number(&b, 8)};
	c.deadline_ms = (uint32_t)rc_client_take_number(&b, 4);
	rc_client_take_text(&b, 1, session, sizeof(session));
	rc_client_take_text(&b, 1, client, sizeof(client));
	rc_client_take_text(&b, 1, type, sizeof(type));
	rc_client_take_text(&b, 1, id, sizeof(id));
	if (b.short_of)
		return false;
	c.data = b.at;
	c.len = b.left;
	c.flags = flags & (RINGCAST_FLAG_JSON | RINGCAST_FLAG_AGAIN);
	h = handler_for(r, type);
	if (h) {
		/* The callback may take its own type away. */
		c.user_data = h->user_data;
		rc_client_tell_command(r, h->fn, &c);
	} else if (c.caller.command != 0) {
		(void)ringcast_reply_error(r, c.caller, NOT_TAKEN, NOT_TAKEN_WORDS);
	}
	return true;
}

/* ---- replies ------------------------------------------------------------------------------------ */

struct reply {
	struct ringcast_caller caller;
	const char *code; /* "": it is an answer */
	size_t code_len;
	const void *data;
	size_t len;
	uint8_t flags;
};

static bool gone(const struct ringcast *r, struct ringcast_caller caller)
{
	return caller.command == 0 || caller.connection != r->connection ||
	       r->state != RINGCAST_STATE_READY;
}

static bool put_reply(struct ringcast *r, const struct reply *reply)
{
	size_t len = REPLY_HEAD + reply->code_len + reply->len;
	unsigned char *at = rc_client_reply_reserve(r, len);

	if (!at)
		return false;
	at = rc_client_header(at, len, RINGCAST_FRAME_REPLY, reply->flags);
	at = rc_client_store(at, reply->caller.command, 8);
	at = rc_client_store(at, reply->code_len, 1);
	at = rc_client_store_bytes(at, reply->code, reply->code_len);
	rc_client_store_bytes(at, reply->data, reply->len);
	rc_client_ctl_take(r, len);
	return true;
}

static int wait_for_room(struct ringcast *r, const struct reply *reply)
{
	uint64_t since = rc_client_now_ms();

	while (true) {
		int left = rc_client_left(since, r->o.publish_timeout_ms);

		(void)rc_client_turn(r, left);
		if (gone(r, reply->caller))
			return RINGCAST_GONE;
		if (put_reply(r, reply))
			return RINGCAST_OK;
		if (left == 0)
			return RINGCAST_AGAIN;
	}
}

static int give(struct ringcast *r, const struct reply *reply, bool more)
{
	size_t room = r->o.reply_bytes < r->frame_max ? r->o.reply_bytes : r->frame_max;
	int rc;

	if (r->state == RINGCAST_STATE_FAILED)
		return RINGCAST_FAILED;
	if (gone(r, reply->caller))
		return RINGCAST_GONE;
	if (room < REPLY_HEAD + reply->code_len || reply->len > room - REPLY_HEAD - reply->code_len)
		return RINGCAST_TOO_LARGE;
	if (!put_reply(r, reply)) {
		if (r->in_callback)
			return RINGCAST_AGAIN;
		rc = wait_for_room(r, reply);
		if (rc != RINGCAST_OK)
			return rc;
	}
	rc_client_after(r, more);
	return RINGCAST_OK;
}

int ringcast_reply(struct ringcast *r, struct ringcast_caller caller, const void *data, size_t len,
	unsigned int flags)
{
	struct reply reply = {.caller = caller,
		.code = "",
		.data = data,
		.len = len,
		.flags = (uint8_t)(flags & RINGCAST_JSON)};

	if ((flags & ~REPLY_FLAGS) != 0 || (!data && len != 0))
		return RINGCAST_INVALID;
	if (!data) {
		reply.data = "null";
		reply.len = 4;
		reply.flags = RINGCAST_FLAG_JSON;
	}
	return give(r, &reply, (flags & RINGCAST_MORE) != 0);
}

static bool code_valid(const char *code)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	size_t len = code ? strspn(code, letters) : 0;

	return len >= 1 && len <= RINGCAST_CODE_MAX && code[len] == 0;
}

int ringcast_reply_error(
	struct ringcast *r, struct ringcast_caller caller, const char *code, const char *text)
{
	struct reply reply = {.caller = caller, .code = code};

	if (!code_valid(code) || (text && strlen(text) > RINGCAST_TEXT_MAX))
		return RINGCAST_INVALID;
	reply.code_len = strlen(code);
	reply.data = text ? text : "";
	reply.len = strlen(reply.data);
	return give(r, &reply, false);
}
