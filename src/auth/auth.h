/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything by which strangers are told from friends, read from its files as one and replaced as one: the keys of tokens, and
 * the services. The main thread opens and closes; shards follow a pointer and its version, as with certificates.
 */
#ifndef RC_AUTH_AUTH_H
#define RC_AUTH_AUTH_H

#include "auth/service.h"
#include "auth/token.h"

struct rc_auth {
	struct rc_keys
		*keys; /* NULL: tokens of clients are not looked at, everybody is anonymous */
	struct rc_services *services; /* NULL: no file of them is configured */
	bool exposed;                 /* which everybody on the host can read */
};

int rc_auth_open(
	struct rc_auth **out, const struct rc_config *config, struct rc_error *err) RC_MUST_USE;
void rc_auth_close(struct rc_auth *auth);
/* How many keys there are and what for; and what deserves a warning. */
void rc_auth_describe(const struct rc_auth *auth,
	void (*say)(void *ctx, bool warning, const char *text), void *ctx);
/* Whether the files can be used. 0, or -1 with the file and what is wrong with it. */
int rc_auth_try(const struct rc_config *config, struct rc_error *err) RC_MUST_USE;
/* Another number when one of the files has changed. Cheap enough for once a second. */
uint64_t rc_auth_stamp(const struct rc_config *config);

#endif
