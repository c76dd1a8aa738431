/* SPDX-License-Identifier: Apache-2.0
 *
 * From section [tls] of the configuration to what the layers below take: the rules of the listeners, and which path the records
 * will go. For `serve`, which acts on it, and `check`, which only tells. Main thread.
 */
#ifndef RC_CLI_TLS_H
#define RC_CLI_TLS_H

#include "config/config.h"
#include "io/ktls.h"
#include "tls/context.h"

#define RC_CLI_TLS_PATH_SIZE 384

enum rc_cli_tls_path {
	RC_CLI_TLS_OFF,
	RC_CLI_TLS_KERNEL,
	RC_CLI_TLS_MIXED, /* the kernel takes some versions and ciphers, user space the others */
	RC_CLI_TLS_USER,
};

/* Points into c. */
struct rc_tls_options rc_cli_tls_options(const struct rc_config *c);
/* Whether the files can be served; nothing to do without a certificate. 0, or -1 with the file and what is wrong with it. */
int rc_cli_tls_try(const struct rc_config *c, struct rc_error *err) RC_MUST_USE;
/* Who makes the records, and why: "TLS: kernel (…)" or "TLS: user space: reason". */
enum rc_cli_tls_path rc_cli_tls_path(
	const struct rc_config *c, const struct rc_ktls_ability *a, char out[RC_CLI_TLS_PATH_SIZE]);
/* "TLS 1.2", "AES-128-GCM". */
const char *rc_cli_tls_version_name(bool tls13);
const char *rc_cli_tls_cipher_name(enum rc_ktls_cipher cipher);

#endif
