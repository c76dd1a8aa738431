/* SPDX-License-Identifier: Apache-2.0
 *
 * Between webhook.c, which has the jobs, and webhookline.c, which has the connections.
 */
#ifndef RC_SERVE_WEBHOOKLINE_H
#define RC_SERVE_WEBHOOKLINE_H

#include "serve/webhook.h"

static inline struct rc_webhook_job *rc_webhook_job(const struct rc_webhooks *w, uint32_t at)
{
	return rc_slab_at(&w->jobs, at);
}

/* It has no job, and gets this one. */
void rc_webhook_line_take(struct rc_serve *sv, struct rc_webhook_line *l, uint32_t job);
/* Its job, once more. */
void rc_webhook_line_try(struct rc_serve *sv, struct rc_webhook_line *l);
/* Gives its job back unfinished, and closes what it was asked on. */
uint32_t rc_webhook_line_leave(struct rc_serve *sv, struct rc_webhook_line *l);
/* The name has other addresses now. */
void rc_webhook_lines_move(struct rc_serve *sv);
/* One more try that failed, and why. */
void rc_webhook_note(struct rc_serve *sv, const char *why);
/* The job is in no list and on no line: its end. */
void rc_webhook_over(struct rc_serve *sv, uint32_t job, const struct rc_command_answer *a);

#endif
