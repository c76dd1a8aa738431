/* SPDX-License-Identifier: Apache-2.0
 *
 * What somebody would write who has only the installed library: both headers, and a call that needs no gateway.
 */
#include <ringcast.h>
#include <ringcast/wire.h>

#include <stdio.h>

int main(void)
{
	struct ringcast_options o;
	struct ringcast *r;

	ringcast_options_init(&o, sizeof(o));
	o.host = "127.0.0.1:1";
	if (ringcast_open(&r, &o) != RINGCAST_OK)
		return 1;
	ringcast_publish(r, "news", "hello", "1", 1, RINGCAST_JSON, NULL);
	printf("%zu waiting, version %d: %s\n", ringcast_unacked(r), RINGCAST_WIRE_VERSION,
		ringcast_strerror(RINGCAST_OK));
	ringcast_close(r);
	return 0;
}
