/* SPDX-License-Identifier: Apache-2.0
 *
 * A chat with typing indicator, as a backend of ringcast. Clients say, over their WebSocket:
 *
 *	{"type":"chat:join","id":1,"payload":{"room":"tea"}}			from now on they hear what is said there
 *	{"type":"chat:leave","id":2,"payload":{"room":"tea"}}
 *	{"type":"chat:send","id":3,"payload":{"room":"tea","text":"hi"}}	all in the room get an event "said"
 *	{"type":"chat:typing","payload":{"room":"tea"}}				an event "typing"; nobody waits for an answer
 *
 * Clients need no right to subscribe or to publish: the backend does both for them. Rooms are channels room:NAME. It holds
 * nothing in memory, so any number of them may run, and one that dies takes nothing along.
 */
#include "example.h"

#define TEXT_MAX  4000
#define USER_SIZE 129

/* A client without a name is called by its session. */
static void name_of(const struct ringcast_command *c, char out[2 * USER_SIZE])
{
	const char *name = *c->user ? c->user : c->session;
	char *at = out;

	/* A token may name anybody anything. */
	for (size_t i = 0; i < USER_SIZE - 1 && name[i]; i++) {
		if (name[i] == '"' || name[i] == '\\')
			*at++ = '\\';
		*at++ = (unsigned char)name[i] < ' ' ? ' ' : name[i];
	}
	*at = 0;
}

static bool channel_of(struct ringcast *r, const struct ringcast_command *c, char out[256])
{
	char room[200];

	if (!name_member(c, "room", room, sizeof(room))) {
		ringcast_reply_error(
			r, c->caller, "bad_room", "room is a name of letters and digits");
		return false;
	}
	snprintf(out, 256, "room:%s", room);
	return true;
}

static void tell(struct ringcast *r, const struct ringcast_command *c, const char *channel,
	const char *event, const char *text)
{
	char name[2 * USER_SIZE], data[TEXT_MAX + 2 * USER_SIZE + 64];
	int len;

	name_of(c, name);
	if (text)
		len = snprintf(data, sizeof(data), "{\"from\":\"%s\",\"text\":%s}", name, text);
	else
		len = snprintf(data, sizeof(data), "{\"from\":\"%s\"}", name);
	if (ringcast_publish(r, channel, event, data, (size_t)len, RINGCAST_JSON, NULL) ==
		RINGCAST_OK)
		ringcast_reply(r, c->caller, NULL, 0, 0);
	else
		ringcast_reply_error(r, c->caller, "busy", "too much is being said");
}

static void on_join(struct ringcast *r, const struct ringcast_command *c)
{
	char channel[256];
	const char *list = channel;

	if (!channel_of(r, c, channel))
		return;
	/* Its subscription-ack tells the client from when on it hears the room. Perhaps it hears itself come. */
	ringcast_assign(r, c->session, &list, 1, 0, NULL);
	tell(r, c, channel, "joined", NULL);
}

static void on_leave(struct ringcast *r, const struct ringcast_command *c)
{
	char channel[256];
	const char *list = channel;

	if (!channel_of(r, c, channel))
		return;
	ringcast_unassign(r, c->session, &list, 1, 0, NULL);
	tell(r, c, channel, "left", NULL);
}

static void on_send(struct ringcast *r, const struct ringcast_command *c)
{
	char channel[256], text[TEXT_MAX];

	if (!channel_of(r, c, channel))
		return;
	if (member(c, "text", text, sizeof(text)) && text[0] == '"')
		tell(r, c, channel, "said", text);
	else
		ringcast_reply_error(r, c->caller, "bad_text", "text is a string, not too long");
}

static void on_typing(struct ringcast *r, const struct ringcast_command *c)
{
	char channel[256];

	if (channel_of(r, c, channel))
		tell(r, c, channel, "typing", NULL);
}

int main(int argc, char **argv)
{
	struct ringcast *r = backend_opened(argc, argv);

	if (!r)
		return 1;
	/* What one user says comes to one backend, so it stays in order when several run. */
	ringcast_on(r, "chat:join", RINGCAST_BY_USER, NULL, on_join, NULL);
	ringcast_on(r, "chat:leave", RINGCAST_BY_USER, NULL, on_leave, NULL);
	ringcast_on(r, "chat:send", RINGCAST_BY_USER, NULL, on_send, NULL);
	ringcast_on(r, "chat:typing", RINGCAST_BY_USER, NULL, on_typing, NULL);
	while (!asked_to_end && ringcast_poll(r, 1000) == RINGCAST_OK)
		;
	return backend_ended(r);
}
