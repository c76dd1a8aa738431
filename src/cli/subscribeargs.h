/* SPDX-License-Identifier: Apache-2.0
 *
 * What `ringcast subscribe`, and `ringcast command`, are asked for on their command lines. Main thread.
 */
#ifndef RC_CLI_SUBSCRIBEARGS_H
#define RC_CLI_SUBSCRIBEARGS_H

#include "base/base.h"
#include "cli/args.h"
#include "cli/eventline.h"

#define RC_SUBSCRIBE_USAGE 2

/* Texts are borrowed from the command line. */
struct rc_subscribe_options {
	const char *server;
	char host[RC_ARGS_HOST_SIZE];
	uint16_t port;
	const char *path;
	bool over_tls;
	struct rc_args_tls tls;
	const char *token; /* NULL: none */
	const char *since; /* NULL: what comes from now on */
	uint64_t count;    /* 0: no end */
	int timeout_ms;    /* 0: none */
	enum rc_eventline_format format;
	bool all;
	bool deflate;
	char **channels;
	size_t channel_count;
	/* Less of it; NULL: all. Numbers as they were given. */
	const char *filter, *rate, *key;
	int window_ms; /* 0: each event alone */
	bool summary;
	/* `ringcast command`: what is said instead, once; NULL: subscribe. */
	const char *type;
	const char *payload; /* JSON */
};

/* 0; RC_SUBSCRIBE_USAGE when it is wrong, which was said; -1 when help was printed. */
RC_MUST_USE int rc_subscribe_parse(struct rc_subscribe_options *o, int argc, char **argv);
/* The same of `ringcast command` (commandargs.c). */
RC_MUST_USE int rc_command_parse(struct rc_subscribe_options *o, int argc, char **argv);
/* server, path, token and TLS as they were given become where to go. 0 or RC_SUBSCRIBE_USAGE. */
RC_MUST_USE int rc_subscribe_where(struct rc_subscribe_options *o);
/* In whose name lines are said from now on. */
void rc_subscribe_as(const char *command);
/* A line on standard error. Returns RC_SUBSCRIBE_USAGE. */
int RC_PRINTF(1, 2) rc_subscribe_say(const char *format, ...);

#endif
