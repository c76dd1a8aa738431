/* SPDX-License-Identifier: Apache-2.0
 *
 * What `ringcast subscribe` is asked for on its command line. Main thread.
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
	const char *since; /* NULL: what comes from now on */
	uint64_t count;    /* 0: no end */
	int timeout_ms;    /* 0: none */
	enum rc_eventline_format format;
	bool all;
	char **channels;
	size_t channel_count;
};

/* 0; RC_SUBSCRIBE_USAGE when it is wrong, which was said; -1 when help was printed. */
RC_MUST_USE int rc_subscribe_parse(struct rc_subscribe_options *o, int argc, char **argv);
/* A line on standard error. Returns RC_SUBSCRIBE_USAGE. */
int RC_PRINTF(1, 2) rc_subscribe_say(const char *format, ...);

#endif
