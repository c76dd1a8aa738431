/* SPDX-License-Identifier: Apache-2.0
 *
 * From section [tls] of the configuration to what the layers below take: the rules of the listeners, and who will make the
 * records. For the gateway, which acts on it, and `ringcast check`, which only tells. Main thread.
 */
#ifndef RC_SHARD_TLSPATH_H
#define RC_SHARD_TLSPATH_H

#include "config/config.h"
#include "io/ktls.h"
#include "tls/context.h"

#define RC_TLS_PATH_SIZE 384

enum rc_tls_path {
	RC_TLS_PATH_OFF,
	RC_TLS_PATH_KERNEL,
	RC_TLS_PATH_MIXED, /* the kernel takes some versions and ciphers, user space the others */
	RC_TLS_PATH_USER,
};

/* Points into c. */
struct rc_tls_options rc_tls_options_of(const struct rc_config *c);
/* Whether the files can be served; nothing to do without a certificate. 0, or -1 with the file and what is wrong with it. */
int rc_tls_options_try(const struct rc_config *c, struct rc_error *err) RC_MUST_USE;
/* Who makes the records, and why: "TLS: kernel (…)" or "TLS: user space: reason". */
enum rc_tls_path rc_tls_path(
	const struct rc_config *c, const struct rc_ktls_ability *a, char out[RC_TLS_PATH_SIZE]);
/* "TLS 1.2", "AES-128-GCM". */
const char *rc_tls_path_version_name(bool tls13);
const char *rc_tls_path_cipher_name(enum rc_ktls_cipher cipher);

#endif
