/* SPDX-License-Identifier: Apache-2.0
 *
 * An order desk, as a backend of ringcast. Commands and events:
 *
 *	{"type":"order:place","id":1,"payload":{"customer":"anna","item":"tea","count":2}}	→ reply {"order":"…","item":"tea"}
 *	{"type":"order:cancel","id":2,"payload":{"order":"…"}}					→ reply, or error no_such_order
 *	{"type":"command","id":3,"action":"stock"}						→ reply {"placed":1,"cancelled":0}
 *
 * Who placed an order is sent "order:ready" when it is, on all of his connections, and everybody who is subscribed to
 * orders:ITEM hears of it. An order is not decided when it comes but when the desk gets to it: its caller is kept until then.
 *
 * Several desks share the work; all of a customer's orders come to one of them. order:place is idempotent here, for its number
 * is made when it is decided: a desk that dies leaves its orders to the others.
 */
#include "example.h"

#include <unistd.h>

#define WAITING_MAX 1024
#define ORDERS_MAX  4096

struct order {
	struct ringcast_caller caller;
	char session[64], user[160], item[64];
};

struct desk {
	struct order waiting[WAITING_MAX];
	size_t first, end; /* of those that wait; both only grow */
	bool open[ORDERS_MAX];
	unsigned placed, cancelled;
};

static void on_place(struct ringcast *r, const struct ringcast_command *c)
{
	struct desk *desk = c->user_data;
	struct order *o = &desk->waiting[desk->end % WAITING_MAX];

	if (desk->end - desk->first == WAITING_MAX) {
		ringcast_reply_error(r, c->caller, "busy", "too many orders wait");
		return;
	}
	if (!name_member(c, "item", o->item, sizeof(o->item))) {
		ringcast_reply_error(r, c->caller, "bad_item", "item is the name of a thing");
		return;
	}
	o->caller = c->caller;
	snprintf(o->session, sizeof(o->session), "%s", c->session);
	snprintf(o->user, sizeof(o->user), "%s", c->user);
	desk->end++;
}

/* An order gets its number, its customer the answer, and the world an event. */
static void decide(struct ringcast *r, struct desk *desk, const struct order *o)
{
	char channel[128], text[256];
	unsigned number = desk->placed % ORDERS_MAX;
	int len = snprintf(text, sizeof(text), "{\"order\":\"%d-%u\",\"item\":\"%s\"}",
		(int)getpid(), number, o->item);

	/* Nobody waits for it any more: then nothing was ordered. */
	if (ringcast_reply(r, o->caller, text, (size_t)len, RINGCAST_JSON) != RINGCAST_OK)
		return;
	desk->open[number] = true;
	desk->placed++;
	if (*o->user)
		ringcast_send_user(
			r, o->user, "order:ready", text, (size_t)len, RINGCAST_JSON, NULL);
	else
		ringcast_send_session(
			r, o->session, "order:ready", text, (size_t)len, RINGCAST_JSON, NULL);
	snprintf(channel, sizeof(channel), "orders:%s", o->item);
	ringcast_publish(r, channel, "order:placed", text, (size_t)len, RINGCAST_JSON, NULL);
}

static void on_cancel(struct ringcast *r, const struct ringcast_command *c)
{
	struct desk *desk = c->user_data;
	char order[32];
	unsigned number;
	int pid;

	if (!name_member(c, "order", order, sizeof(order)) ||
		sscanf(order, "%d-%u", &pid, &number) != 2 || pid != getpid() ||
		number >= ORDERS_MAX || !desk->open[number]) {
		ringcast_reply_error(r, c->caller, "no_such_order", "this desk has no such order");
		return;
	}
	desk->open[number] = false;
	desk->cancelled++;
	ringcast_reply(r, c->caller, NULL, 0, 0);
}

static void on_stock(struct ringcast *r, const struct ringcast_command *c)
{
	const struct desk *desk = c->user_data;
	char text[64];
	int len = snprintf(text, sizeof(text), "{\"placed\":%u,\"cancelled\":%u}", desk->placed,
		desk->cancelled);

	ringcast_reply(r, c->caller, text, (size_t)len, RINGCAST_JSON);
}

int main(int argc, char **argv)
{
	static struct desk desk;
	struct ringcast *r = backend_opened(argc, argv);

	if (!r)
		return 1;
	ringcast_on(r, "order:place", RINGCAST_IDEMPOTENT, "customer", on_place, &desk);
	ringcast_on(r, "order:cancel", 0, "customer", on_cancel, &desk);
	ringcast_on(r, "command", 0, NULL, on_stock, &desk);
	while (!asked_to_end && ringcast_poll(r, 1000) == RINGCAST_OK) {
		while (desk.first != desk.end)
			decide(r, &desk, &desk.waiting[desk.first++ % WAITING_MAX]);
	}
	return backend_ended(r);
}
