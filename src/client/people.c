/* SPDX-License-Identifier: Apache-2.0
 *
 * What is for users and sessions: messages, their end, channels that a backend puts them into. All have their place in the window
 * as events have.
 */
#include "client.h"
#include "bytes.h"

static size_t ids_len(const struct rc_client_event *e)
{
	size_t len = 0;

	for (size_t i = 0; i < e->id_count; i++)
		len += 1 + strlen(e->ids[i]);
	return len;
}

size_t rc_client_people_len(const struct rc_client_event *e)
{
	if (e->type == RINGCAST_FRAME_ASSIGN)
		return 1 + e->channel_len + 1 + 2 + ids_len(e);
	return 1u + (e->target == RINGCAST_TARGET_USERS ? 2u : 0u) + ids_len(e) +
	       (e->type == RINGCAST_FRAME_CLOSE ? 2u : 0u);
}

static unsigned char *put_ids(unsigned char *at, const struct rc_client_event *e)
{
	for (size_t i = 0; i < e->id_count; i++) {
		size_t len = strlen(e->ids[i]);
		at = rc_client_store(at, len, 1);
		at = rc_client_store_bytes(at, e->ids[i], len);
	}
	return at;
}

unsigned char *rc_client_put_people(unsigned char *at, const struct rc_client_event *e)
{
	if (e->type == RINGCAST_FRAME_ASSIGN) {
		at = rc_client_store(at, e->channel_len, 1);
		at = rc_client_store_bytes(at, e->channel, e->channel_len);
		at = rc_client_store(at, e->code, 1);
		at = rc_client_store(at, e->id_count, 2);
		return put_ids(at, e);
	}
	at = rc_client_store(at, e->target, 1);
	if (e->target == RINGCAST_TARGET_USERS)
		at = rc_client_store(at, e->id_count, 2);
	at = put_ids(at, e);
	return e->type == RINGCAST_FRAME_CLOSE ? rc_client_store(at, e->code, 2) : at;
}

static bool ids_valid(const struct rc_client_event *e, size_t count_max, size_t len_max)
{
	if (e->id_count == 0 || e->id_count > count_max)
		return false;
	for (size_t i = 0; i < e->id_count; i++) {
		size_t len = e->ids[i] ? strlen(e->ids[i]) : 0;
		if (len == 0 || len > len_max)
			return false;
	}
	return true;
}

static int send_to(struct ringcast *r, uint8_t target, const char *const *ids, size_t count,
	const char *event, const void *data, size_t len, unsigned flags, uint64_t *sequence)
{
	struct rc_client_event e = {.type = RINGCAST_FRAME_SEND,
		.name = event,
		.data = data,
		.len = len,
		.target = target,
		.ids = ids,
		.id_count = count};

	if (!event || !*event || !ids || !ids_valid(&e, RINGCAST_USERS_MAX, RINGCAST_USER_MAX) ||
		ids_len(&e) > RINGCAST_USERS_BYTES_MAX)
		return RINGCAST_INVALID;
	e.name_len = strlen(event);
	return rc_client_publish(r, &e, RINGCAST_FLAGS_SEND, flags, sequence);
}

int ringcast_send_user(struct ringcast *r, const char *user, const char *event, const void *data,
	size_t len, unsigned int flags, uint64_t *sequence)
{
	return send_to(r, RINGCAST_TARGET_USER, &user, 1, event, data, len, flags, sequence);
}

int ringcast_send_users(struct ringcast *r, const char *const *users, size_t count,
	const char *event, const void *data, size_t len, unsigned int flags, uint64_t *sequence)
{
	return send_to(r, RINGCAST_TARGET_USERS, users, count, event, data, len, flags, sequence);
}

int ringcast_send_session(struct ringcast *r, const char *session, const char *event,
	const void *data, size_t len, unsigned int flags, uint64_t *sequence)
{
	return send_to(r, RINGCAST_TARGET_SESSION, &session, 1, event, data, len, flags, sequence);
}

static int disconnect(struct ringcast *r, uint8_t target, const char *id, int code,
	const char *reason, unsigned flags, uint64_t *sequence)
{
	struct rc_client_event e = {.type = RINGCAST_FRAME_CLOSE,
		.name = reason ? reason : "",
		.target = target,
		.ids = &id,
		.id_count = 1,
		.code = (uint16_t)code};

	if (!ids_valid(&e, 1, RINGCAST_USER_MAX) ||
		(code != 0 && (code < RINGCAST_CLOSE_MIN || code > RINGCAST_CLOSE_MAX)))
		return RINGCAST_INVALID;
	e.name_len = strlen(e.name);
	if (e.name_len > RINGCAST_REASON_MAX)
		return RINGCAST_INVALID;
	return rc_client_publish(r, &e, RINGCAST_FLAGS_CLOSE, flags, sequence);
}

int ringcast_disconnect_user(struct ringcast *r, const char *user, int code, const char *reason,
	unsigned int flags, uint64_t *sequence)
{
	return disconnect(r, RINGCAST_TARGET_USER, user, code, reason, flags, sequence);
}

int ringcast_disconnect_session(struct ringcast *r, const char *session, int code,
	const char *reason, unsigned int flags, uint64_t *sequence)
{
	return disconnect(r, RINGCAST_TARGET_SESSION, session, code, reason, flags, sequence);
}

static int assign(struct ringcast *r, const char *session, bool on, const char *const *channels,
	size_t count, unsigned flags, uint64_t *sequence)
{
	struct rc_client_event e = {.type = RINGCAST_FRAME_ASSIGN,
		.channel = session,
		.name = "",
		.ids = channels,
		.id_count = count,
		.code = on};

	if (!session || !channels || !ids_valid(&e, RINGCAST_ASSIGN_MAX, RINGCAST_CHANNEL_MAX))
		return RINGCAST_INVALID;
	e.channel_len = strlen(session);
	if (e.channel_len == 0 || e.channel_len > RINGCAST_USER_MAX)
		return RINGCAST_INVALID;
	return rc_client_publish(r, &e, 0, flags, sequence);
}

int ringcast_assign(struct ringcast *r, const char *session, const char *const *channels,
	size_t count, unsigned int flags, uint64_t *sequence)
{
	return assign(r, session, true, channels, count, flags, sequence);
}

int ringcast_unassign(struct ringcast *r, const char *session, const char *const *channels,
	size_t count, unsigned int flags, uint64_t *sequence)
{
	return assign(r, session, false, channels, count, flags, sequence);
}
