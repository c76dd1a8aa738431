/* SPDX-License-Identifier: Apache-2.0
 *
 * What is built into the gateway to be served as it is: the dashboard, the JavaScript client. Made by src/web/pack at build time. Constant, any thread.
 */
#ifndef RC_WEB_ASSETS_H
#define RC_WEB_ASSETS_H

#include "base/base.h"

struct rc_asset {
	const char *path;
	const char *type;
	const char *headers; /* its own, each with its line end; "" = none */
	const char *etag;    /* of what it is before it is compressed; with its quotes */
	struct {
		const unsigned char *ptr;
		size_t len;
	} plain, gzip;
};

extern const struct rc_asset rc_assets[];
extern const unsigned int rc_asset_count;

#endif
