# SPDX-License-Identifier: Apache-2.0
"""A raw WebSocket client over a socket. It can send what no proper client would, and it is strict about what it gets."""
import base64
import hashlib
import json
import os
import socket
import struct

from deadline import SOON, Deadline

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Closed(Exception):
    """The peer closed the connection. code and reason are of its close frame; code None: the bytes just ended."""

    def __init__(self, code=None, reason=""):
        super().__init__(f"closed with {code} {reason!r}" if code else "the connection ended without a close frame")
        self.code, self.reason = code, reason


def mask(payload, key):
    if not payload:
        return b""
    n = len(payload)
    long = int.from_bytes(payload, "little") ^ int.from_bytes((key * (n // 4 + 1))[:n], "little")
    return long.to_bytes(n, "little")


def frame(opcode, payload=b"", fin=True, rsv=0, key=b"\x12\x34\x56\x78", form=None):
    """A frame as a client sends it. key=None: unmasked. form: 7, 16 or 64 bits of length, also where a shorter one would do."""
    if isinstance(payload, str):
        payload = payload.encode()
    n = len(payload)
    if form is None:
        form = 7 if n < 126 else 16 if n < 1 << 16 else 64
    first, m = (0x80 if fin else 0) | rsv << 4 | opcode, 0x80 if key is not None else 0
    if form == 7:
        head = struct.pack("!BB", first, m | n)
    elif form == 16:
        head = struct.pack("!BBH", first, m | 126, n)
    else:
        head = struct.pack("!BBQ", first, m | 127, n)
    return head + (key + mask(payload, key) if key is not None else payload)


def upgrade(path="/ws", host="localhost", key=None, headers=(), leave_out=()):
    """The bytes of an upgrade request. headers: (name, value) pairs that come on top of, or instead of, the usual ones."""
    lines = {"Host": host, "Upgrade": "websocket", "Connection": "Upgrade",
             "Sec-WebSocket-Key": key or base64.b64encode(os.urandom(16)).decode(), "Sec-WebSocket-Version": "13"}
    for name in leave_out:
        del lines[name]
    extra = [(n, v) for n, v in headers if n not in lines]
    lines.update((n, v) for n, v in headers if n in lines)
    return (f"GET {path} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in [*lines.items(), *extra]) + "\r\n").encode()


def open_socket(address, rcvbuf=None, timeout=SOON, source=None):
    """source: the address of this host that it comes from."""
    s = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    # An address may say itself from where it is to be reached (rcedge.py).
    source = source or getattr(address, "source", None)
    if source:
        s.bind((source, 0))
    s.settimeout(Deadline(timeout).left())
    s.connect(tuple(address))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # An address that speaks TLS knows how (rctls.py).
    return address.secure(s, timeout) if hasattr(address, "secure") else s


class Stream:
    """A socket that is read in exact amounts."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        self.at = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.drop()

    def drop(self):
        self.sock.close()

    def reset(self):
        """Ends with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def send_bytes(self, raw, timeout=SOON):
        self.sock.settimeout(Deadline(timeout).left())
        self.sock.sendall(raw)

    def _fill(self, deadline):
        """More bytes into the buffer; False at the end of the stream."""
        self.sock.settimeout(deadline.left())
        try:
            more = self.sock.recv(1 << 18)
        except ConnectionResetError:
            more = b""
        if self.at:
            self.buffer, self.at = self.buffer[self.at:], 0
        self.buffer += more
        return bool(more)

    def read_exact(self, n, timeout=SOON):
        deadline = Deadline(timeout)
        if len(self.buffer) - self.at < n:
            # Large messages: collected in a list, or it would be quadratic.
            parts, have = [self.buffer[self.at:]], len(self.buffer) - self.at
            self.buffer, self.at = b"", 0
            while have < n:
                self.sock.settimeout(deadline.left())
                try:
                    more = self.sock.recv(1 << 18)
                except ConnectionResetError:
                    more = b""
                if not more:
                    self.buffer = b"".join(parts)
                    raise Closed()
                parts.append(more)
                have += len(more)
            self.buffer = b"".join(parts)
        out = self.buffer[self.at:self.at + n]
        self.at += n
        if self.at > 1 << 16:
            self.buffer, self.at = self.buffer[self.at:], 0
        return out

    def read_until(self, mark, timeout=SOON):
        deadline = Deadline(timeout)
        while (at := self.buffer.find(mark, self.at)) < 0:
            if not self._fill(deadline):
                raise Closed()
        out = self.buffer[self.at:at + len(mark)]
        self.at = at + len(mark)
        return out

    def read_to_end(self, timeout=SOON):
        deadline = Deadline(timeout)
        while self._fill(deadline):
            pass
        out, self.buffer, self.at = self.buffer[self.at:], b"", 0
        return out

    def expect_end(self, timeout=SOON):
        rest = self.read_to_end(timeout)
        assert rest == b"", f"after the end came {rest[:200]!r}"
        self.assert_ended_properly()

    def assert_ended_properly(self):
        """Over TLS: with a close_notify."""
        ended = getattr(self.sock, "ended", "close_notify")
        assert ended == "close_notify", f"the gateway's side of TLS ended otherwise: {ended}"

    def buffered(self):
        return len(self.buffer) - self.at


class Response:
    def __init__(self, head, body=b""):
        lines = head.decode("latin-1").split("\r\n")
        self.version, status, self.reason = (lines[0].split(" ", 2) + [""])[:3]
        self.status = int(status)
        self.headers = {}
        for line in lines[1:]:
            if line:
                name, _, value = line.partition(":")
                self.headers[name.lower()] = value.strip()
        self.body = body


def read_response(stream, timeout=SOON, head_only=False):
    """One HTTP response, by its Content-Length."""
    r = Response(stream.read_until(b"\r\n\r\n", timeout))
    if not head_only and r.status != 101 and int(r.headers.get("content-length", 0)):
        r.body = stream.read_exact(int(r.headers["content-length"]), timeout)
    return r


class WebSocket(Stream):
    """Frames out as they are asked for, messages in. Pings are answered unless answer_pings is turned off."""

    answer_pings = True
    # The reserved bits that were agreed on; the first byte of the last frame.
    agreed_bits, first = 0, None

    @classmethod
    def open(cls, address, path="/ws", headers=(), rcvbuf=None, expect=101, timeout=SOON, source=None):
        ws = cls(open_socket(address, rcvbuf, timeout, source))
        try:
            key = base64.b64encode(os.urandom(16)).decode()
            ws.send_bytes(upgrade(path, f"{address[0]}:{address[1]}", key, headers), timeout)
            ws.response = r = read_response(ws, timeout)
            assert r.status == expect, f"{path}: {r.status} {r.reason} {r.body!r}"
            if r.status == 101:
                accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
                assert r.headers["sec-websocket-accept"] == accept
                assert r.headers["upgrade"].lower() == "websocket"
                assert "upgrade" in r.headers["connection"].lower()
        except BaseException:
            ws.drop()
            raise
        return ws

    def send(self, opcode, payload=b"", timeout=SOON, **options):
        self.send_bytes(frame(opcode, payload, **options), timeout)

    def recv_frame(self, timeout=SOON):
        """(fin, opcode, payload) of the next frame, control frames too. Strict: minimal length forms, no mask, no reserved bits."""
        first, second = self.read_exact(2, timeout)
        assert not first & 0x70 & ~self.agreed_bits, f"reserved bits are set: {first:#x}"
        self.first = first
        assert not second & 0x80, "a server never masks"
        fin, opcode, n = bool(first & 0x80), first & 15, second & 127
        assert opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG), f"opcode {opcode}"
        if opcode >= CLOSE:
            assert fin and n <= 125, "a control frame is short and whole"
        if n == 126:
            n = struct.unpack("!H", self.read_exact(2, timeout))[0]
            assert n >= 126, "the length could be shorter"
        elif n == 127:
            n = struct.unpack("!Q", self.read_exact(8, timeout))[0]
            assert n >= 1 << 16, "the length could be shorter"
        return fin, opcode, self.read_exact(n, timeout) if n else b""

    def recv(self, timeout=SOON, pings=False):
        """(opcode, payload) of the next message. pings=True: of the next ping or pong too. Closed when it is a close frame."""
        parts, kind = [], None
        while True:
            fin, opcode, payload = self.recv_frame(timeout)
            if opcode == CLOSE:
                code, reason = None, ""
                if payload:
                    code, reason = struct.unpack("!H", payload[:2])[0], payload[2:].decode()
                raise Closed(code or 1005, reason)
            if opcode == PING and self.answer_pings:
                self.send(PONG, payload)
            if opcode in (PING, PONG):
                if pings:
                    return opcode, payload
                continue
            assert (kind is None) == (opcode != CONTINUATION), "a message begins inside another, or a piece belongs to none"
            kind = kind or opcode
            parts.append(payload)
            if fin:
                message = b"".join(parts)
                if kind == TEXT:
                    message.decode()
                return kind, message

    def expect_close(self, *codes, timeout=SOON):
        """Reads on to the close frame, answers it, and sees the stream end. Messages before it are let through. Returns (code, reason)."""
        while True:
            try:
                self.recv(timeout)
            except Closed as e:
                closed = e
                break
        assert closed.code in codes, f"{closed}, not with {codes}"
        try:
            self.send(CLOSE, struct.pack("!H", closed.code if closed.code != 1005 else 1000))
        except OSError:
            pass
        self.expect_end(timeout)
        return closed.code, closed.reason

    def close(self, code=1000, reason="", timeout=SOON):
        """The closing handshake from this side: the same code comes back, then the end."""
        self.send(CLOSE, struct.pack("!H", code) + reason.encode())
        while True:
            try:
                self.recv(timeout)
            except Closed as e:
                assert e.code == code, str(e)
                break
        self.expect_end(timeout)
        self.drop()


class JsonClient(WebSocket):
    """A WebSocket that speaks ringcast.v1.json. Events that come while something else is awaited are kept in .events."""

    @classmethod
    def greeted(cls, address, path="/ws", **options):
        ws = cls.open(address, path, **options)
        try:
            ws.events = []
            ws.connected = ws.recv_json()
            assert ws.connected["type"] == "connected", ws.connected
        except BaseException:
            ws.drop()
            raise
        return ws

    def say(self, message=None, **fields):
        self.send(TEXT, json.dumps(message or fields))

    def recv_json(self, timeout=SOON):
        opcode, payload = self.recv(timeout)
        assert opcode == TEXT, f"opcode {opcode}: {payload[:100]!r}"
        return json.loads(payload)

    def await_type(self, *types, timeout=SOON):
        """The next message of one of these types."""
        deadline = Deadline(timeout)
        while True:
            message = self.recv_json(timeout)
            if message["type"] in types:
                return message
            if message["type"] == "event":
                self.events.append(message)
            else:
                assert message["type"] == "ping", f"awaited {types}, got {message}"
            deadline.left()

    def next_event(self, timeout=SOON):
        return self.events.pop(0) if self.events else self.await_type("event", timeout=timeout)

    def subscribe(self, *channels, **fields):
        self.say(type="subscribe", channels=list(channels), **fields)
        return self.await_type("subscription-ack")

    def unsubscribe(self, *channels, **fields):
        self.say(type="unsubscribe", **({"channels": list(channels)} if channels else {}), **fields)
        return self.await_type("unsubscription-ack")

    def barrier(self):
        """Everything that was sent before has been dealt with when this returns."""
        ident = os.urandom(6).hex()
        self.say(type="ping", id=ident)
        assert self.await_type("pong")["id"] == ident
