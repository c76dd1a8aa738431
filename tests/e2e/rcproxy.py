# SPDX-License-Identifier: Apache-2.0
"""A tunnel between a client of another make and the gateway: it can be cut, stay cut, and lead to another gateway afterwards."""
import contextlib
import select
import socket
import struct
import threading


class Tunnel:
    """Passes bytes on from .port to .target. site: where requests go that do not ask for event streams, so that a page and its events have
    one origin; only where both are plain."""

    def __init__(self, target, site=None):
        self.target, self.site, self.up = tuple(target), site, True
        # So many bytes more to the client, then the cut; None: no such bound.
        self.bytes_left = None
        self.lock = threading.Lock()
        self.passed, self.refused, self.pairs = 0, 0, set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        # Wakes the accept, too.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def cut(self, stay=False):
        """Resets all that goes through. stay: and whoever comes, until mend()."""
        with self.lock:
            self.up = not stay
            pairs, self.pairs = self.pairs, set()
        for pair in pairs:
            for s in pair:
                # Wakes its thread, which closes it with a reset.
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)

    def mend(self, target=None):
        with self.lock:
            self.target = tuple(target or self.target)
            self.up = True

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client):
        server = None
        try:
            first = client.recv(1 << 16)
            is_stream = not self.site or b"/events" in first.split(b"\r\n", 1)[0]
            with self.lock:
                if is_stream and not self.up:
                    self.refused += 1
                    return
                target = self.target if is_stream else self.site
            server = socket.create_connection(target, 20)
            with self.lock:
                if is_stream:
                    self.pairs.add((client, server))
                    self.passed += 1
            server.sendall(first)
            self._relay(client, server, is_stream)
        except OSError:
            pass
        finally:
            with self.lock:
                self.pairs.discard((client, server))
            for s in filter(None, (client, server)):
                if not self.up:
                    with contextlib.suppress(OSError):
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.close()

    def _relay(self, client, server, is_stream):
        while True:
            ready, _, _ = select.select([client, server], [], [])
            for s in ready:
                data = s.recv(1 << 16)
                if not data:
                    return
                if s is server and is_stream and self.bytes_left is not None:
                    with self.lock:
                        data, cut = data[:self.bytes_left], len(data) >= self.bytes_left
                        self.bytes_left = None if cut else self.bytes_left - len(data)
                    client.sendall(data)
                    if cut:
                        return
                    continue
                (client if s is server else server).sendall(data)
