# SPDX-License-Identifier: Apache-2.0
"""Those who listen in frames: a client of the WebSocket subprotocol ringcast.v1.bin, and a backend on the ingest port."""
import os
import struct

import rcingest
from deadline import SOON, Deadline
from rcingest import Frame, Publisher, Wire
from rcws import BINARY, WebSocket

PROTOCOL = (("Sec-WebSocket-Protocol", "ringcast.v1.bin"),)


def frames_of(message):
    """All frames of a message, which ends where the last of them does."""
    out = []
    while message:
        length, kind, flags, reserved = struct.unpack("<IBBH", message[:8])
        assert length >= 4 and reserved == 0 and 4 + length <= len(message), message[:64]
        out.append(Frame(kind, flags, message[8:4 + length]))
        message = message[4 + length:]
    return out


class Listening:
    """What both have in common. Events, gaps and positions that come while something else is awaited are kept."""

    def begin_listening(self):
        self.events, self.gaps, self.stands = [], [], {}

    def keep(self, f):
        if f.name == "EVENT":
            self.events.append(f)
        elif f.name == "GAP":
            self.gaps.append(f)
        elif f.name == "POSITION":
            self.stands[f.channel] = f.position
        return f.name in ("EVENT", "GAP", "POSITION")

    def next_frame(self, timeout=SOON):
        raise NotImplementedError

    def await_frame(self, *names, timeout=SOON):
        deadline = Deadline(timeout)
        while True:
            f = self.next_frame(timeout)
            kept = self.keep(f)
            if "EVENT" in names and self.events:
                return self.events.pop(0)
            if f.name in names:
                return f
            assert kept or f.name in ("ACK", "NACK", "PING", "FLOW"), f"awaited {names}, got {f}"
            deadline.left()

    def next_event(self, timeout=SOON):
        return self.events.pop(0) if self.events else self.await_frame("EVENT", timeout=timeout)

    def take_events(self, count, timeout=SOON):
        return [self.next_event(timeout) for _ in range(count)]

    def subscribe(self, channel, since="", verdict=None):
        """Answered; verdict: what is expected, LIVE when nothing is said."""
        self.say(rcingest.subscribe(channel, since))
        f = self.await_frame("SUBSCRIBE")
        assert f.channel == channel and not f.off, f
        assert f.verdict == (Wire.VERDICT_LIVE if verdict is None else verdict), f
        return f

    def unsubscribe(self, channel=""):
        self.say(rcingest.unsubscribe(channel))
        f = self.await_frame("SUBSCRIBE")
        assert f.channel == channel and f.off and f.verdict == Wire.VERDICT_LIVE, f
        return f

    def barrier(self):
        token = int.from_bytes(os.urandom(7), "little")
        self.say(rcingest.ping(token))
        assert self.await_frame("PONG").token == token

    def quiet(self):
        self.barrier()
        assert not self.events and not self.gaps, (self.events[:3], self.gaps[:3])


class BinClient(Listening, WebSocket):
    @classmethod
    def greeted(cls, address, path="/ws", headers=(), first=None, **options):
        """first: a frame to send before the greeting is awaited."""
        ws = cls.open(address, path, headers=(*PROTOCOL, *headers), **options)
        try:
            assert ws.response.headers["sec-websocket-protocol"] == "ringcast.v1.bin"
            ws.begin_listening()
            ws.waiting = []
            if first:
                ws.say(first)
            ws.welcome = ws.greeting()
        except BaseException:
            ws.drop()
            raise
        return ws

    def greeting(self):
        f = self.next_frame()
        assert f.name == "HELLO", f
        # What stands behind that of publishers.
        body = f.body
        at = 4 + 1 + 1 + body[5] + 8 + 12
        f.session = body[at + 1:at + 1 + body[at]].decode()
        at += 1 + body[at]
        f.user = body[at + 1:at + 1 + body[at]].decode()
        at += 1 + body[at]
        f.heartbeat, f.expires = struct.unpack("<IQ", body[at:])
        return f

    def say(self, *frames, **options):
        self.send(BINARY, b"".join(frames), **options)

    def next_frame(self, timeout=SOON):
        while not self.waiting:
            opcode, payload = self.recv(timeout)
            assert opcode == BINARY, f"opcode {opcode}: {payload[:100]!r}"
            self.waiting = frames_of(payload)
            assert len(self.waiting) == 1, "each frame of the gateway is a message"
        return self.waiting.pop(0)

    def publish(self, sequence, channel, payload="null", event="e", **options):
        """The ACK or NACK."""
        self.say(rcingest.publish(sequence, channel, payload, event, **options))
        f = self.next_frame()
        while self.keep(f):
            f = self.next_frame()
        assert f.name in ("ACK", "NACK") and f.sequence == sequence, f
        return f

    def expect_error(self, code):
        f = self.await_frame("ERROR")
        assert f.code == code and f.text, f
        return f


class Listener(Listening, Publisher):
    """A backend: whatever a publisher is, and it hears channels."""

    @classmethod
    def greeted(cls, address, ident="", token="", last=0, **options):
        p = super().greeted(address, ident, token, last, **options)
        p.begin_listening()
        return p

    def say(self, *frames):
        self.send_bytes(b"".join(frames))

    def next_frame(self, timeout=SOON):
        return self.take(timeout)

    def settle(self, sequence=None, timeout=SOON):
        """As a publisher does, who here may be sent events meanwhile."""
        sequence = self.sequence if sequence is None else sequence
        while not self.decided(sequence):
            f = self.take(timeout)
            assert f.name not in ("ERROR", "BYE"), f
            self.keep(f)
