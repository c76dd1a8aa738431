/* SPDX-License-Identifier: Apache-2.0
 *
 * The route of event streams; what happens to them later is named in serve.h.
 */
#ifndef RC_SERVE_SSE_H
#define RC_SERVE_SSE_H

#include "serve/http.h"

enum rc_http_result rc_sse_events(struct rc_serve *sv, struct rc_http_call *call);

#endif
