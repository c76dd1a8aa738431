/* SPDX-License-Identifier: Apache-2.0
 *
 * What several subcommands read alike from their command lines. Main thread.
 */
#ifndef RC_CLI_ARGS_H
#define RC_CLI_ARGS_H

#include <getopt.h>

#include "base/base.h"

#define RC_ARGS_HOST_SIZE 256

/* The options of TLS: their lines of a getopt table, their help, and what was said. */
enum {
	RC_ARGS_CA = 512,
	RC_ARGS_CERT,
	RC_ARGS_KEY,
	RC_ARGS_SERVER_NAME,
	RC_ARGS_INSECURE,
};
/* clang-format off */
#define RC_ARGS_TLS_LONGS                                    \
	{"ca", required_argument, NULL, RC_ARGS_CA},         \
	{"cert", required_argument, NULL, RC_ARGS_CERT},     \
	{"key", required_argument, NULL, RC_ARGS_KEY},       \
	{"server-name", required_argument, NULL, RC_ARGS_SERVER_NAME}, \
	{"insecure", no_argument, NULL, RC_ARGS_INSECURE}
/* clang-format on */
#define RC_ARGS_TLS_HELP                                                                            \
	"  --ca FILE           PEM: who may have signed the gateway's certificate (the system's)\n" \
	"  --cert FILE         PEM: a certificate of yours, for a gateway that asks for one\n"      \
	"  --key FILE          PEM: its private key (in the file of --cert)\n"                      \
	"  --server-name NAME  what the gateway's certificate must be for (HOST)\n"                 \
	"  --insecure          take any certificate: others can then read and change everything\n"

struct rc_args_tls {
	const char *ca, *certificate, *key, *name;
	bool insecure;
};

/* Digits alone, up to max; text may be NULL, which is none. */
RC_MUST_USE bool rc_args_number(const char *text, uint64_t max, uint64_t *out);
/* "500ms", "10s", "5m", "1h": 1 ms to a day. */
RC_MUST_USE bool rc_args_duration(const char *text, int *ms);
/* "host:port", "[::1]:port". Splits only: host is without brackets, and nothing is looked up. */
RC_MUST_USE bool rc_args_server(const char *text, char host[RC_ARGS_HOST_SIZE], uint16_t *port);
/* What stands behind a scheme such as "tls://", in any case; NULL when the text begins otherwise. */
const char *rc_args_behind(const char *scheme, const char *text);
/* Takes a value of getopt_long() when it is one of these options; else false. */
bool rc_args_tls_take(struct rc_args_tls *t, int option, const char *argument);
/* NULL, or what is wrong with them: together, or because there is no TLS. */
const char *rc_args_tls_wrong(const struct rc_args_tls *t, bool tls);
/*
 * Bytes as a terminal may be shown them: valid UTF-8 without control characters. Tabs are fine, line ends are not.
 */
bool rc_args_printable(struct rc_str text);

#endif
