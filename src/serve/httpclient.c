/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks, where that is a client and not a service: GET and POST of /events. Only the token of this very request counts.
 */
#include "auth/auth.h"
#include "serve/credentials.h"
#include "serve/http.h"
#include "serve/limits.h"
#include "serve/session.h"

#include <stdio.h>

static bool unauthorized(struct rc_serve *sv, struct rc_http_call *call, const char *why)
{
	static const char ask[] =
		"WWW-Authenticate: Bearer realm=\"ringcast\", error=\"invalid_token\"\r\n"
		"Cache-Control: no-store\r\n";
	char json[256];

	rc_count(sv->counters, RC_C_http_unauthorized, 1);
	if (call->reply.said) {
		rc_http_fail_said(
			sv, call, 401, ask, "unauthorized", false, why, (struct rc_str){NULL, 0});
		return false;
	}
	int len = snprintf(json, sizeof(json),
		"{\"error\":{\"code\":\"unauthorized\",\"message\":\"%s\"}}\n", why);
	rc_http_respond(sv, call, 401, ask, "application/json", (struct rc_str){json, (size_t)len});
	return false;
}

bool rc_http_known(struct rc_serve *sv, struct rc_http_call *call)
{
	char buf[RC_CREDENTIALS_MAX];
	struct rc_conn *c = call->c;
	struct rc_str token;
	int given;

	/* Whoever asked before on this connection: a proxy may have brought another. */
	rc_session_forget(sv, c);
	given = rc_credentials(sv->config, call->request, buf, &token);
	if (!sv->auth || !sv->auth->keys)
		given = 0;
	if (given == 0)
		return rc_config_anonymous(sv->config) ||
		       unauthorized(sv, call, "a token is needed");
	if (!rc_limits_may_try(sv, c)) {
		rc_http_limited(sv, call, rc_limits_retry_s(sv),
			"too many refused tokens came from this address");
		return false;
	}
	enum rc_token_result why = given < 0 ? RC_TOKEN_MALFORMED : rc_session_verify(sv, c, token);
	if (why == RC_TOKEN_RESULTS) {
		rc_http_fail(sv, call, 503, "server_capacity_exceeded", "503 Service Unavailable");
		return false;
	}
	return why == RC_TOKEN_OK || unauthorized(sv, call, rc_token_reason(why));
}
