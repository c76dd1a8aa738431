/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client owns: its subscriptions, extra memory, its timer. See client.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "local.h"

uint32_t load_client_index(const struct load_worker *w, const struct load_client *c)
{
	return (load_slot(w, c) - w->members[c->group].first) * w->shared->workers + w->index;
}

int load_client_init(struct load_worker *w, struct load_client *c, uint8_t group)
{
	const struct load_group *g = w->members[group].group;
	uint32_t index, channel[64], *list = channel, more;

	*c = (struct load_client){.fd = -1, .group = group, .sub.channel = RC_NONE};
	index = load_client_index(w, c);
	if (g->subscriptions == 0 || g->channels == 0)
		return 0;
	c->sub.channel = load_plan_channel(g, index, 0);
	more = g->subscriptions - 1;
	if (more == 0 && !g->recover)
		return 0;
	if (more > RC_ARRAY_LEN(channel) && !(list = calloc(more, sizeof(*list))))
		return -ENOMEM;
	for (uint32_t k = 0; k < more; k++)
		list[k] = load_plan_channel(g, index, k + 1);
	c->more = load_subs_open(list, more, g->recover);
	if (list != channel)
		free(list);
	w->extra_bytes += load_subs_memory(c->more);
	return c->more ? 0 : -ENOMEM;
}

void load_client_deinit(struct load_worker *w, struct load_client *c)
{
	if (c->extra) {
		load_tls_close(c->extra->tls);
		free(c->extra->out);
		free(c->extra->head);
		free(c->extra->commands);
		free(c->extra);
	}
	if (c->fd >= 0)
		close(c->fd);
	load_stream_deinit(&c->stream);
	w->extra_bytes -= load_subs_memory(c->more);
	load_subs_close(c->more);
	c->more = NULL;
	c->extra = NULL;
	c->fd = -1;
}

struct load_extra *load_client_extra(struct load_worker *w, struct load_client *c)
{
	if (!c->extra) {
		c->extra = calloc(1, sizeof(*c->extra));
		if (c->extra)
			w->extra_bytes += sizeof(*c->extra);
		else
			load_client_lost(w, c, "out of memory: say fewer clients");
	}
	return c->extra;
}

void load_client_drop_extra(struct load_worker *w, struct load_client *c)
{
	struct load_extra *x = c->extra;

	if (!x)
		return;
	load_tls_close(x->tls);
	w->extra_bytes -= sizeof(*x) + x->out_cap;
	free(x->out);
	free(x->head);
	free(x->commands);
	free(x);
	c->extra = NULL;
}

/* An open client keeps only what it needs. */
void load_client_spare(struct load_worker *w, struct load_client *c)
{
	const struct load_group *g = load_members_of(w, c)->group;
	struct load_extra *x = c->extra;

	if (!x || c->state != LOAD_OPEN || x->out_len > x->out_pos)
		return;
	w->extra_bytes -= x->out_cap;
	free(x->out);
	free(x->head);
	x->out = x->head = NULL;
	x->out_pos = x->out_len = x->out_cap = x->head_len = 0;
	if (!x->tls && !load_group_asks(g) && g->reading == LOAD_READS)
		load_client_drop_extra(w, c);
}

void load_client_timer(struct load_worker *w, struct load_client *c)
{
	if (c->flags & LOAD_THROTTLED) {
		c->flags &= (uint8_t)~LOAD_THROTTLED;
		load_ready(w, c);
	} else if (c->state == LOAD_AWAY) {
		load_traffic_queue(w, c);
	} else {
		load_client_lost(w, c,
			c->state == LOAD_HANDSHAKE && load_members_of(w, c)->group->resume
				? "it gave no session to resume in time. See that the server "
				  "issues tickets, or leave out --resume"
			: c->state == LOAD_CONNECTING || c->state == LOAD_HANDSHAKE
				? "it did not answer in time. See that the address is right, or "
				  "give it more time"
			: c->state == LOAD_UPGRADING
				? "it did not answer the HTTP request in time. See that the "
				  "target's URL is right, or give it more time"
				: "it did not answer the subscription in time. See that the "
				  "target's profile says what this server wants to hear");
	}
}
