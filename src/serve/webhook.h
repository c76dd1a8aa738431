/* SPDX-License-Identifier: Apache-2.0
 *
 * Webhooks: a backend of the desk that posts what it is given to a URL, and takes the answer for the reply.
 *
 *   desk ─ give ─▶ job ─▶ commands, events (two queues) ─▶ a line with nothing to do ─▶ POST ─▶ answer ─▶ rc_desk_reply
 *                                                            └ failed ─▶ the line pauses, and tries the job again
 *
 * A line is a connection, or the place of one, and keeps its job until that is over: who pauses takes no other, so a URL that fails is
 * asked less. All of it is on the shard that keeps the desk. One thread; the target is made by the main thread and does not change,
 * but for what its name says (webhookname.h).
 */
#ifndef RC_SERVE_WEBHOOK_H
#define RC_SERVE_WEBHOOK_H

#include "config/webhookrules.h"
#include "proto/chunked.h"
#include "proto/httpreply.h"
#include "serve/commands.h"
#include "serve/webhookname.h"

#define RC_WEBHOOK_SLOT        0xfffffffeu /* of its rc_backend_who; no publisher has it */
#define RC_WEBHOOK_SECRET_MAX  256u
#define RC_WEBHOOK_HEAD_MAX    8192u /* of an answer */
#define RC_WEBHOOK_EVENT_BYTES (4u << 20)
#define RC_WEBHOOK_ERROR_MAX   96u
#define RC_WEBHOOK_IDLE_MS     4000u
#define RC_WEBHOOK_LOST_NS     UINT64_C(1000000000) /* between two tries to say what was lost */

struct rc_webhook_target {
	struct rc_webhook_url url;
	struct rc_webhook_addresses first;
	struct rc_webhook_name *name; /* NULL: the host is an address */
	uint32_t secret_len;          /* 0: requests are not signed */
	uint32_t run; /* another one each time that the gateway starts; part of the ids */
	unsigned char secret[RC_WEBHOOK_SECRET_MAX];
};

struct rc_webhook_job {
	struct rc_command_record *text; /* of the pool */
	uint64_t number;                /* the desk's id; of events their own count */
	uint64_t deadline_ns;           /* UINT64_MAX: of an event */
	uint32_t bytes;
	uint32_t next;
	uint32_t lost; /* of a $lost: how many */
	uint32_t tries;
	bool event, again, repeatable;
};

struct rc_webhook_list {
	uint32_t first, last, count;
};

enum rc_webhook_stage {
	RC_WEBHOOK_NOTHING, /* idle, or no connection */
	RC_WEBHOOK_CONNECTING,
	RC_WEBHOOK_ASKED,  /* the request is under way, or its answer */
	RC_WEBHOOK_PAUSED, /* until due_ns */
	RC_WEBHOOK_TELLS,  /* the reply is being told to the desk */
};

struct rc_webhook_line {
	struct rc_conn *conn; /* NULL: none */
	uint64_t due_ns;
	uint32_t job; /* RC_NONE: none */
	uint8_t stage;
	uint8_t interim;  /* 1xx answers that came */
	bool head_read;   /* reply is valid */
	bool stuck;       /* no more of the request can be sent */
	uint32_t asked;   /* bytes of the request */
	uint32_t unspent; /* of the body, where its length is known */
	uint32_t epoch;   /* of the addresses that it is connected to one of */
	uint32_t address; /* which */
	struct rc_reply_head reply;
	struct rc_chunked chunked;
	struct sockaddr_storage to;
};

struct rc_webhooks {
	const struct rc_webhook_target *target;
	struct rc_webhook_line *line;
	struct rc_slab jobs;
	struct rc_webhook_list commands, events,
		unsaid; /* unsaid: replies that the desk had no room for */
	uint64_t event_bytes, event_number, lost_due_ns;
	uint32_t lines, commands_max, commands_used, event_lines, paused;
	uint32_t connections;
	uint32_t lost;
	uint32_t answer_max;
	struct rc_webhook_addresses to;
	uint32_t epoch;   /* of these */
	uint32_t address; /* the next to connect to */
	uint32_t looked, looks_failed;
	uint64_t failures, error_ms; /* tries that failed; the last one, 0: none did */
	char error[RC_WEBHOOK_ERROR_MAX];
};

/* Main thread, at start: reads the secret, resolves the name. -1 with what is wrong. */
int rc_webhook_target_open(struct rc_webhook_target *t, const struct rc_config *config,
	struct rc_error *err) RC_MUST_USE;
/* How many connections must not be taken by others. */
uint32_t rc_webhooks_kept(const struct rc_serve *sv);
/* How they do, as a JSON object. */
void rc_webhooks_status(const struct rc_serve *sv, struct rc_textbuf *b);

size_t rc_webhooks_bytes(const struct rc_config *config);
/* Behind rc_commands_init, on the shard that keeps the desk. memory: zeroed. -1: a type that can't be registered. */
int rc_webhooks_init(struct rc_serve *sv, const struct rc_webhook_target *target, void *memory,
	struct rc_error *err) RC_MUST_USE;

void rc_webhook_give(struct rc_serve *sv, uint64_t id, const struct rc_command *c);
void rc_webhooks_turn(struct rc_serve *sv);
uint64_t rc_webhooks_ns(const struct rc_serve *sv);

/* Of its connections. */
void rc_webhook_connected(struct rc_serve *sv, struct rc_conn *c, int res);
void rc_webhook_input(struct rc_serve *sv, struct rc_conn *c, const void *bytes, uint32_t len);
/* res: 0 where it ended well, or -errno. */
void rc_webhook_ended(struct rc_serve *sv, struct rc_conn *c, int res);
void rc_webhook_unsendable(struct rc_serve *sv, struct rc_conn *c);
void rc_webhook_timer(struct rc_serve *sv, struct rc_conn *c);
void rc_webhook_gone(struct rc_serve *sv, struct rc_conn *c);
void rc_webhook_drain(struct rc_serve *sv, struct rc_conn *c);

/* ---- webhookrequest.c */

/* Into the connection's output. How many bytes; 0: no memory. */
uint32_t rc_webhook_request(
	struct rc_serve *sv, struct rc_conn *c, const struct rc_webhook_job *job) RC_MUST_USE;
/* What an answer is as a reply; *text holds what is not in the body. False: none (the body is bad). */
struct rc_webhook_text {
	char code[RINGCAST_CODE_MAX], message[RINGCAST_TEXT_MAX + 1];
};
bool rc_webhook_reply(uint16_t status, struct rc_str body, struct rc_command_answer *out,
	struct rc_webhook_text *text) RC_MUST_USE;
/* Whether the same request may fare better later. */
bool rc_webhook_later(uint16_t status);

#endif
