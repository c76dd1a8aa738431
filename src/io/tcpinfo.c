/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tcpinfo.h"

#include <linux/tcp.h> /* glibc's struct tcp_info ends before the bytes */
#include <netinet/in.h>
#include <sys/socket.h>

bool rc_tcp_info(int fd, struct rc_tcp_info *out)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return false;
	*out = (struct rc_tcp_info){
		.bytes_in = info.tcpi_bytes_received,
		.bytes_out = info.tcpi_bytes_acked,
		.rtt_us = info.tcpi_rtt,
	};
	return true;
}
