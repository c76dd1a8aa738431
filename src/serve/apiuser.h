/* SPDX-License-Identifier: Apache-2.0
 *
 * /api/users and /api/sessions: messages to users and sessions and their ends, which are jobs of /api (api.h), and who is there.
 */
#ifndef RC_SERVE_APIUSER_H
#define RC_SERVE_APIUSER_H

#include "serve/apijob.h"
#include "serve/survey.h"

/* GET /api/users?limit=&after= */
enum rc_http_result rc_user_list(struct rc_serve *sv, struct rc_http_call *call);
/* POST /api/users/send, POST /api/users/{user}/send, GET and DELETE /api/users/{user} */
enum rc_http_result rc_user_one(struct rc_serve *sv, struct rc_http_call *call);
/* POST /api/sessions/{id}/send, GET and DELETE /api/sessions/{id} */
enum rc_http_result rc_user_session(struct rc_serve *sv, struct rc_http_call *call);

/* Of a job that is direct: its message goes out. text: its body, but for a close. False: no room, nothing was done. */
bool rc_api_direct(struct rc_serve *sv, struct rc_api_job *j, struct rc_str text,
	const struct rc_publisher_ref *from, uint32_t *parts);
void rc_api_direct_answer(
	struct rc_serve *sv, struct rc_http_call *call, const struct rc_api_job *j);

/* userstatus.c */
enum rc_http_result rc_user_show(struct rc_serve *sv, struct rc_http_call *call, struct rc_str id);
enum rc_http_result rc_user_show_session(
	struct rc_serve *sv, struct rc_http_call *call, struct rc_str id);

#endif
