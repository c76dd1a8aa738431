# SPDX-License-Identifier: Apache-2.0
"""Many WebSocket clients in one thread, over epoll. Each keeps its messages; nothing is parsed that a test does not ask for."""
import json
import select
import socket
import struct

import rcws
from deadline import SOON, Deadline


class Member:
    """One connection. messages holds the payloads of whole text and binary messages, the greeting left out."""

    def __init__(self, sock, index):
        self.sock, self.index = sock, index
        self.buffer = bytearray()
        self.upgraded = self.greeted = self.ended = False
        self.close_code = None
        self.messages = []

    def json(self):
        return [json.loads(m) for m in self.messages]

    def of_type(self, kind):
        return [m for m in self.json() if m["type"] == kind]


class Swarm:
    def __init__(self, address):
        self.address = address
        self.epoll = select.epoll()
        self.members = {}
        self.order = []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for m in self.order:
            m.sock.close()
        self.epoll.close()

    def open(self, paths, wave=200, greeting=True, rcvbuf=None, timeout=60):
        """A client for each path; returns them when all are greeted. wave: how many handshakes are under way at once."""
        paths, new = list(paths), []
        for start in range(0, len(paths), wave):
            group = []
            for path in paths[start:start + wave]:
                sock = rcws.open_socket(self.address, rcvbuf)
                sock.sendall(rcws.upgrade(path))
                group.append(self.adopt(sock))
            self.pump(lambda: all(m.greeted if greeting else m.upgraded for m in group), "every client is greeted", timeout)
            new += group
        return new

    def adopt(self, sock):
        sock.setblocking(False)
        m = Member(sock, len(self.order))
        self.order.append(m)
        self.members[sock.fileno()] = m
        self.epoll.register(sock.fileno(), select.EPOLLIN)
        return m

    def leave(self, m, reset=False):
        if m.sock.fileno() >= 0:
            if not m.ended:
                self.epoll.unregister(m.sock.fileno())
            self.members.pop(m.sock.fileno(), None)
            if reset:
                m.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            m.sock.close()
        m.ended = True

    def say(self, m, opcode=rcws.TEXT, raw=None, **message):
        data = rcws.frame(opcode, json.dumps(message) if raw is None else raw)
        m.sock.setblocking(True)
        m.sock.settimeout(Deadline().left())
        m.sock.sendall(data)
        m.sock.setblocking(False)

    def state(self):
        gone = [m for m in self.order if m.ended]
        silent = [m.index for m in self.order if not m.ended and not m.messages]
        return f"{len(gone)} of {len(self.order)} are gone, with {sorted({str(m.close_code) for m in gone})}; without a message: {silent[:20]}; " \
            f"in the middle of a frame: {[m.index for m in self.order if m.buffer][:20]}"

    def pump(self, done, what, timeout=SOON):
        """Reads everybody until done() holds; every stretch of the time without a byte for anyone counts."""
        deadline = Deadline(timeout)
        while not done():
            try:
                ready = self.epoll.poll(deadline.left(), 1024)
            except TimeoutError:
                raise AssertionError(f"not within {deadline.seconds:.0f} s: {what}; {self.state()}") from None
            for fd, _ in ready:
                m = self.members.get(fd)
                if m:
                    self._read(m)

    def _read(self, m):
        try:
            data = m.sock.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.epoll.unregister(m.sock.fileno())
            del self.members[m.sock.fileno()]
            m.ended = True
            return
        m.buffer += data
        if not m.upgraded:
            end = m.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            assert m.buffer.startswith(b"HTTP/1.1 101 "), bytes(m.buffer[:end])
            m.upgraded = True
            del m.buffer[:end + 4]
        self._frames(m)

    def _frames(self, m):
        buffer, at, size = m.buffer, 0, len(m.buffer)
        while size - at >= 2:
            first, n, head = buffer[at], buffer[at + 1], 2
            assert n < 128 and first & 0x70 == 0 and first & 0x80, f"frame begins with {first:#x} {n:#x}"
            if n == 126:
                if size - at < 4:
                    break
                n, head = buffer[at + 2] << 8 | buffer[at + 3], 4
            elif n == 127:
                if size - at < 10:
                    break
                n, head = struct.unpack_from("!Q", buffer, at + 2)[0], 10
            if size - at < head + n:
                break
            payload = bytes(buffer[at + head:at + head + n])
            at += head + n
            opcode = first & 15
            if opcode in (rcws.TEXT, rcws.BINARY):
                if m.greeted:
                    m.messages.append(payload)
                else:
                    assert payload.startswith(b'{"type":"connected"'), payload
                    m.greeted = True
            elif opcode == rcws.PING:
                m.sock.send(rcws.frame(rcws.PONG, payload))
            elif opcode == rcws.CLOSE:
                m.close_code = struct.unpack("!H", payload[:2])[0] if payload else 1005
            else:
                assert opcode == rcws.PONG, f"opcode {opcode}"
        del buffer[:at]
