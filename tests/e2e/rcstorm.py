# SPDX-License-Identifier: Apache-2.0
"""So many TLS handshakes at once, in a process of their own so that they do not hold up the test that measures beside them.

    rcstorm.py HOST PORT ROOTS COUNT VERSION

All hellos are sent before any answer is read. Prints "begun", then the seconds until the last one was done; ends with status 1 when one
fails."""
import select
import socket
import sys
import time

import rctls
from deadline import SLOW


class Roots:
    """What rctls.Address needs of a Pki."""

    def __init__(self, roots):
        self.roots = roots

    context = rctls.Pki.context


def storm(address, count):
    poll, under_way = select.epoll(), {}
    for _ in range(count):
        raw = socket.create_connection(tuple(address))
        under_way[raw.fileno()] = rctls.TlsSocket(raw, address, handshake=False)
        poll.register(raw.fileno(), select.EPOLLIN)
    begin = time.monotonic()
    done = []
    for s in under_way.values():
        s.setblocking(False)
        s.handshake_step()
    print("begun", flush=True)
    while under_way:
        ready = poll.poll(60 * SLOW, 256)
        if not ready:
            raise TimeoutError(f"{len(under_way)} of {count} are not done")
        for fd, _ in ready:
            s = under_way[fd]
            s._feed()
            if s.handshake_step():
                poll.unregister(fd)
                done.append(under_way.pop(fd))
    return done, time.monotonic() - begin


def main():
    host, port, roots, count, version = sys.argv[1:]
    address = rctls.Address((host, int(port)), Roots(roots), version=version)
    done, seconds = storm(address, int(count))
    print(f"{seconds:.3f}", flush=True)
    # Until the test has seen them.
    sys.stdin.read()
    for s in done:
        s.say_close()
        s.close()


if __name__ == "__main__":
    main()
