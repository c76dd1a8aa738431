/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/auth.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

int rc_auth_open(struct rc_auth **out, const struct rc_config *config, struct rc_error *err)
{
	struct rc_auth *auth = calloc(1, sizeof(*auth));

	*out = NULL;
	if (!auth)
		return rc_error_set(err, "no memory for the keys of tokens");
	if (rc_config_has_keys(config) && rc_keys_open(&auth->keys, config, err) < 0) {
		rc_auth_close(auth);
		return -1;
	}
	if (config->auth_services[0] &&
		rc_services_open(&auth->services, config->auth_services, &auth->exposed, err) < 0) {
		rc_auth_close(auth);
		return -1;
	}
	*out = auth;
	return 0;
}

void rc_auth_close(struct rc_auth *auth)
{
	if (!auth)
		return;
	rc_keys_close(auth->keys);
	rc_services_close(auth->services);
	free(auth);
}

void rc_auth_describe(const struct rc_auth *auth,
	void (*say)(void *ctx, bool warning, const char *text), void *ctx)
{
	if (auth->keys)
		rc_keys_describe(auth->keys, say, ctx);
	if (auth->services) {
		char text[96];

		(void)snprintf(text, sizeof(text), "%u service%s",
			rc_services_count(auth->services),
			rc_services_count(auth->services) == 1 ? "" : "s");
		say(ctx, false, text);
	}
	if (auth->exposed)
		say(ctx, true,
			"the file of services can be read by everybody on this host: chmod 600, or let the "
			"group of the gateway read it alone");
}

int rc_auth_try(const struct rc_config *config, struct rc_error *err)
{
	struct rc_auth *auth;

	if (rc_auth_open(&auth, config, err) < 0)
		return -1;
	rc_auth_close(auth);
	return 0;
}

uint64_t rc_auth_stamp(const struct rc_config *config)
{
	const char *const paths[] = {config->auth_hmac_secret_file, config->auth_public_key,
		config->auth_jwks, config->auth_services};
	uint64_t stamp = 0;

	for (size_t i = 0; i < RC_ARRAY_LEN(paths); i++)
		stamp = rc_file_stamp(stamp, paths[i]);
	return stamp;
}
