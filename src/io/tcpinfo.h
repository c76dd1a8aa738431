/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel knows of a TCP connection. Any thread.
 */
#ifndef RC_IO_TCPINFO_H
#define RC_IO_TCPINFO_H

#include "base/base.h"

struct rc_tcp_info {
	uint64_t bytes_in, bytes_out; /* received; sent and acknowledged */
	uint32_t rtt_us;              /* to the next host that speaks TCP, which may be a proxy */
};

/* False: it is gone. */
bool rc_tcp_info(int fd, struct rc_tcp_info *out) RC_MUST_USE;

#endif
