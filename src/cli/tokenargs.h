/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of `ringcast token`. Main thread.
 */
#ifndef RC_CLI_TOKENARGS_H
#define RC_CLI_TOKENARGS_H

#include "base/base.h"

#define RC_TOKEN_LIST_MAX 64u

/* What was said, as it stands in argv; texts are UTF-8, JSON is valid. */
struct rc_token_list {
	uint32_t count;
	const char *at[RC_TOKEN_LIST_MAX];
};

struct rc_token_options {
	const char *user, *info, *key, *alg, *kid, *verify, *config;
	const char *max_connections;
	bool never;
	uint64_t expires_s;
	struct rc_token_list channels, publish, subscribe, commands, scopes, claims, sets;
};

/* 0; 2 when the line is wrong, which was told; -1 when help was printed. */
int rc_token_args(struct rc_token_options *o, int argc, char **argv) RC_MUST_USE;

#endif
