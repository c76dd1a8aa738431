/* SPDX-License-Identifier: Apache-2.0
 *
 * What browsers load: the dashboard, the JavaScript client. See src/web.
 */
#ifndef RC_SERVE_WEB_H
#define RC_SERVE_WEB_H

#include "serve/http.h"

/* GET /: the dashboard for who wants HTML, on the port where its API is; else what the gateway is, in a few words. */
enum rc_http_result rc_web_root(struct rc_serve *sv, struct rc_http_call *call);
/* GET of an asset: pages of every origin may load it. */
enum rc_http_result rc_web_asset(struct rc_serve *sv, struct rc_http_call *call);

#endif
