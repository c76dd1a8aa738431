/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of `ringcast check` about TLS: what the kernel takes, which path this configuration will go, which certificates it
 * serves and until when. Main thread.
 */
#ifndef RC_CLI_CHECKTLS_H
#define RC_CLI_CHECKTLS_H

#include "shard/tlspath.h"
#include "ops/hostcheck.h"

#define RC_CHECK_TLS_LINES     64
#define RC_CHECK_TLS_LINE_SIZE 512

struct rc_check_tls {
	struct rc_ktls_ability ability;
	struct rc_host_tls host; /* the same for the table of checks */
	enum rc_tls_path path;
	char says[RC_TLS_PATH_SIZE];
	uint32_t certificates; /* counted on beyond the lines that are kept */
	char line[RC_CHECK_TLS_LINES][RC_CHECK_TLS_LINE_SIZE];
};

/* Tries the kernel and opens the certificates, of this host. What is wrong or will soon be goes to r. c need not be complete when
 * r has errors already: then its files are left alone. */
void rc_check_tls_look(
	struct rc_check_tls *t, const struct rc_config *c, struct rc_config_report *r);
/* A section of the text; with the path only when there is a configuration. */
void rc_check_tls_print(const struct rc_check_tls *t, bool configured);
/* "tls":{…} with a comma behind it. */
void rc_check_tls_json(const struct rc_check_tls *t, bool configured);

#endif
