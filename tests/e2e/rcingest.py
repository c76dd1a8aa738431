# SPDX-License-Identifier: Apache-2.0
"""A client of the binary ingest protocol, written from include/ringcast/wire.h, whose numbers it reads. It can send broken frames too."""
import os
import re
import struct

from deadline import SOON
from rcws import Closed, Stream, open_socket

WIRE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../include/ringcast/wire.h")


def _numbers():
    with open(WIRE) as f:
        source = f.read().replace("\\\n", " ")
    return {name: int(value.rstrip("uU"), 0)
            for name, value in re.findall(r"#define\s+RINGCAST_(\w+)\s+(0x[0-9a-fA-F]+u?|\d+u?)\b", source)}


class Wire:
    """Wire.FRAME_HELLO, Wire.FLAG_JSON, Wire.NACK_BAD_CHANNEL, … as the header gives them."""


for _name, _value in _numbers().items():
    setattr(Wire, _name, _value)

TYPE_NAMES = {v: n[6:] for n, v in vars(Wire).items() if n.startswith("FRAME_") and not n.startswith("FRAME_MAX")}


def short(text):
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("<B", len(text)) + text


def frame(kind, body=b"", flags=0, reserved=0, length=None):
    return struct.pack("<IBBH", len(body) + 4 if length is None else length, kind, flags, reserved) + body


def hello(publisher="", token="", last=0, magic=b"RCST", version=1, more=b""):
    token = token.encode()
    return frame(Wire.FRAME_HELLO, magic + struct.pack("<B", version) + short(publisher)
                 + struct.pack("<H", len(token)) + token + struct.pack("<Q", last) + more)


def _head(sequence, channel, event, timestamp):
    return struct.pack("<Q", sequence) + short(channel) + short(event) + struct.pack("<Q", timestamp)


def _payload(payload):
    return payload.encode() if isinstance(payload, str) else payload


def publish(sequence, channel, payload="null", event="e", timestamp=0, flags=None):
    flags = Wire.FLAG_JSON if flags is None else flags
    return frame(Wire.FRAME_PUBLISH, _head(sequence, channel, event, timestamp) + _payload(payload), flags)


def batch(events, flags=None, count=None):
    """events: (sequence, channel, payload) or (sequence, channel, payload, event, timestamp)."""
    flags = Wire.FLAG_JSON if flags is None else flags
    body = struct.pack("<H", len(events) if count is None else count)
    for sequence, channel, payload, *more in events:
        event, timestamp = (more + ["e", 0][len(more):])[:2]
        payload = _payload(payload)
        body += _head(sequence, channel, event, timestamp) + struct.pack("<I", len(payload)) + payload
    return frame(Wire.FRAME_BATCH, body, flags)


def broadcast(sequence, payload="null", event="e", timestamp=0, flags=None):
    flags = Wire.FLAG_JSON if flags is None else flags
    return frame(Wire.FRAME_BROADCAST, struct.pack("<Q", sequence) + short(event) + struct.pack("<Q", timestamp)
                 + _payload(payload), flags)


def target(user=None, session=None, users=None):
    if users is not None:
        return struct.pack("<BH", Wire.TARGET_USERS, len(users)) + b"".join(short(u) for u in users)
    return struct.pack("<B", Wire.TARGET_USER if session is None else Wire.TARGET_SESSION) + short(user if session is None else session)


def send(sequence, payload="null", event="e", timestamp=0, flags=None, **to):
    """To user="…", session="…" or users=[…]."""
    flags = Wire.FLAG_JSON if flags is None else flags
    body = struct.pack("<Q", sequence) + target(**to) + short(event) + struct.pack("<Q", timestamp) + _payload(payload)
    return frame(Wire.FRAME_SEND, body, flags)


def close(sequence, code=0, reason="", flags=0, **to):
    return frame(Wire.FRAME_CLOSE, struct.pack("<Q", sequence) + target(**to) + struct.pack("<H", code) + short(reason), flags)


def long_text(text):
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("<H", len(text)) + text


def subscribe(channel, since="", flags=0):
    return frame(Wire.FRAME_SUBSCRIBE, short(channel) + long_text(since), flags)


def unsubscribe(channel=""):
    return subscribe(channel, flags=Wire.FLAG_OFF)


def command(number, kind, payload="null", flags=None):
    """A client's."""
    payload = payload.encode() if isinstance(payload, str) else payload
    return frame(Wire.FRAME_COMMAND, struct.pack("<Q", number) + short(kind) + payload, Wire.FLAG_JSON if flags is None else flags)


def auth(token):
    return frame(Wire.FRAME_AUTH, long_text(token))


def refresh(token):
    return frame(Wire.FRAME_REFRESH, long_text(token))


def ping(token=1):
    return frame(Wire.FRAME_PING, struct.pack("<Q", token))


def bye(code=0, after=0):
    return frame(Wire.FRAME_BYE, struct.pack("<HI", code, after))


class Frame:
    """A frame of the gateway's, with the fields of its type as attributes."""

    def __init__(self, kind, flags, body):
        self.kind, self.flags, self.body = kind, flags, body
        self.name = TYPE_NAMES.get(kind, f"type {kind}")
        read = getattr(self, "_read_" + self.name, None)
        assert read, f"the gateway sent {self.name}"
        self.rest = body
        read()
        assert not self.rest, f"{self.name} has {len(self.rest)} bytes too many"

    def _take(self, form):
        size = struct.calcsize("<" + form)
        assert len(self.rest) >= size, f"{self.name} is cut short: {self.body!r}"
        values, self.rest = struct.unpack("<" + form, self.rest[:size]), self.rest[size:]
        return values[0] if len(values) == 1 else values

    def _text(self):
        n = self._take("B")
        out, self.rest = self.rest[:n], self.rest[n:]
        assert len(out) == n
        return out.decode()

    def _read_HELLO(self):
        assert self.rest[:4] == b"RCST"
        self.rest = self.rest[4:]
        self.version = self._take("B")
        self.server = self._text()
        self.last_sequence, self.frame_max, self.message_max, self.credit = self._take("QIII")
        # A later version may append.
        self.rest = b""

    def _read_ACK(self):
        self.sequence = self._take("Q")
        self.epoch = self.offset = None
        if self.flags & Wire.FLAG_POSITION:
            self.epoch = self._text()
            self.offset = self._take("Q")

    def _read_NACK(self):
        self.sequence, self.code = self._take("QH")
        self.text = self._text()

    def _read_ERROR(self):
        self.code = self._take("H")
        self.text = self._text()

    def _read_FLOW(self):
        self.credit = self._take("I")

    def _read_REGISTER(self):
        self.credit, self.timeout, self.count = self._take("IIH")

    def _read_COMMAND(self):
        self.id, self.deadline = self._take("QI")
        self.session, self.user, self.type, self.message = [self._text() for _ in range(4)]
        self.payload, self.rest = self.rest, b""
        self.again = bool(self.flags & Wire.FLAG_AGAIN)

    def _read_PING(self):
        self.token = self._take("Q")

    _read_PONG = _read_PING

    def _read_BYE(self):
        self.code, self.after = self._take("HI")

    def _long_text(self):
        n = self._take("H")
        out, self.rest = self.rest[:n], self.rest[n:]
        assert len(out) == n
        return out.decode()

    def _read_SUBSCRIBE(self):
        assert not self.flags & ~Wire.FLAG_OFF
        self.off = bool(self.flags & Wire.FLAG_OFF)
        self.channel, self.verdict = self._text(), self._take("B")
        self.position = self._long_text()

    def _read_EVENT(self):
        assert not self.flags & ~Wire.FLAGS_DELIVERED
        self.offset, self.timestamp = self._take("QQ")
        self.trace = self.position = None
        if self.flags & Wire.FLAG_TRACE:
            self.trace, self.rest = self.rest[:Wire.TRACE_LEN], self.rest[Wire.TRACE_LEN:]
        self.channel, self.event = self._text(), self._text()
        if self.flags & Wire.FLAG_POSITION:
            self.position = self._long_text()
        self.payload, self.rest = self.rest, b""
        self.json = bool(self.flags & Wire.FLAG_JSON)
        self.own = bool(self.flags & Wire.FLAG_OWN)

    def _read_GAP(self):
        self.reason, self.missed = self._take("BQ")
        self.channel, self.position = self._text(), self._text()

    def _read_POSITION(self):
        self.channel, self.position = self._text(), self._long_text()

    def _read_REPLY(self):
        self.id, self.code = self._take("Q"), self._text()
        self.payload, self.rest = self.rest, b""

    def _read_REFRESH(self):
        self.expires = self._take("Q")

    def __repr__(self):
        fields = {k: v for k, v in vars(self).items() if k not in ("kind", "flags", "body", "rest", "name")}
        return f"{self.name}{fields}"


class Publisher(Stream):
    """A connection to the ingest port. acked is the highest sequence acknowledged, nacks what was refused, positions what was told."""

    @classmethod
    def open(cls, address, **options):
        p = cls(open_socket(address, **options))
        p.sequence = p.acked = 0
        p.nacks, p.positions = {}, {}
        return p

    @classmethod
    def greeted(cls, address, ident="", token="", last=0, **options):
        p = cls.open(address, **options)
        try:
            p.send_bytes(hello(ident, token, last))
            p.welcome = p.recv_frame()
            assert p.welcome.name == "HELLO", p.welcome
            p.sequence = p.acked = p.welcome.last_sequence
        except BaseException:
            p.drop()
            raise
        return p

    def recv_frame(self, timeout=SOON):
        length, kind, flags, reserved = struct.unpack("<IBBH", self.read_exact(8, timeout))
        most = {Wire.FRAME_COMMAND: 1 << 21, Wire.FRAME_EVENT: 1 << 32}.get(kind, 4092)
        assert 4 <= length <= most and reserved == 0, (length, kind, flags, reserved)
        return Frame(kind, flags, self.read_exact(length - 4, timeout) if length > 4 else b"")

    def take(self, timeout=SOON):
        """The next frame; answers are noted, and a PING is answered."""
        f = self.recv_frame(timeout)
        if f.name == "ACK":
            # A repeated sequence is acknowledged again, as itself.
            self.acked = max(self.acked, f.sequence)
            if f.epoch is not None:
                self.positions[f.sequence] = (f.epoch, f.offset)
        elif f.name == "NACK":
            self.nacks[f.sequence] = f
        elif f.name == "PING":
            self.send_bytes(frame(Wire.FRAME_PONG, f.body))
        return f

    def expect(self, *names, timeout=SOON):
        """The next frame of one of these types; ACK, NACK, FLOW and PING are taken on the way."""
        while True:
            f = self.take(timeout)
            if f.name in names:
                return f
            assert f.name in ("ACK", "NACK", "FLOW", "PING"), f"awaited {names}, got {f}"

    def expect_error(self, code, closes, timeout=SOON):
        f = self.expect("ERROR", timeout=timeout)
        assert f.code == code, f
        assert f.text, "an ERROR says what is wrong"
        if closes:
            self.expect_end(timeout)
        return f

    def expect_end(self, timeout=SOON):
        """The gateway ends the connection; what it still says is noted."""
        try:
            while True:
                f = self.take(timeout)
                assert f.name in ("ACK", "NACK", "FLOW", "PING", "BYE"), f
        except Closed:
            assert not self.buffered(), "a frame was cut off by the end"

    def settle(self, sequence=None, timeout=SOON):
        """Until everything up to the sequence (or all so far) is decided, that is acknowledged or refused."""
        sequence = self.sequence if sequence is None else sequence
        while not self.decided(sequence):
            f = self.take(timeout)
            assert f.name not in ("ERROR", "BYE"), f

    def decided(self, sequence):
        # A refused event needs no acknowledgement of its own.
        while sequence > self.acked and sequence in self.nacks:
            sequence -= 1
        return sequence <= self.acked

    def publish(self, channel, payload="null", event="e", wait=True, flags=0, timestamp=0):
        """One JSON event. wait: returns its position as (epoch, offset)."""
        self.sequence += 1
        ask = Wire.FLAG_WANT_ACK | Wire.FLAG_POSITION if wait else 0
        self.send_bytes(publish(self.sequence, channel, payload, event, timestamp, Wire.FLAG_JSON | ask | flags))
        if not wait:
            return None
        self.settle()
        assert self.sequence not in self.nacks, self.nacks[self.sequence]
        return self.positions[self.sequence]

    def send_to(self, payload="null", event="e", flags=0, **to):
        """One JSON message to user="…", session="…" or users=[…]; returns the number of connections."""
        self.sequence += 1
        flags |= Wire.FLAG_JSON | Wire.FLAG_WANT_ACK | Wire.FLAG_POSITION
        return self._connections(send(self.sequence, payload, event, flags=flags, **to))

    def disconnect(self, code=0, reason="", **to):
        """Ends them; returns how many."""
        self.sequence += 1
        return self._connections(close(self.sequence, code, reason, Wire.FLAG_WANT_ACK | Wire.FLAG_POSITION, **to))

    def _connections(self, raw):
        self.send_bytes(raw)
        self.settle()
        assert self.sequence not in self.nacks, self.nacks[self.sequence]
        epoch, count = self.positions[self.sequence]
        assert epoch == "a" * 10
        return count

    def stream(self, events, per_batch=0, window=None, timeout=SOON):
        """Many events, (channel, payload) each, pipelined within the credit; returns when all are decided."""
        window = window or self.welcome.credit
        events = list(events)
        at = 0
        while at < len(events):
            room = window - (self.sequence - self.acked)
            n = min(room, len(events) - at)
            if n <= 0:
                f = self.take(timeout)
                assert f.name not in ("ERROR", "BYE"), f
                continue
            numbered = [(self.sequence + 1 + i, *e) for i, e in enumerate(events[at:at + n])]
            if per_batch:
                raw = b"".join(batch(numbered[i:i + per_batch]) for i in range(0, n, per_batch))
            else:
                raw = b"".join(publish(*e) for e in numbered)
            self.send_bytes(raw, timeout)
            self.sequence += n
            at += n
        self.settle(timeout=timeout)
