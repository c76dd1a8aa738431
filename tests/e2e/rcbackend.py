# SPDX-License-Identifier: Apache-2.0
"""A backend on the ingest port: what it registers, the commands that it gets, what it answers. It can answer wrongly, too."""
import json
import struct

from deadline import SOON, eventually
from rcingest import Publisher, Wire, frame, short

ROUND_ROBIN, USER, FIELD = Wire.MODE_ROUND_ROBIN, Wire.MODE_USER, Wire.MODE_FIELD


def entry(kind, mode=ROUND_ROBIN, flags=0, field=""):
    return short(kind) + struct.pack("<BB", mode, flags) + short(field)


def register(entries, credit=100, count=None):
    """entries: types, or what entry() makes."""
    made = [e if isinstance(e, bytes) else entry(e) for e in entries]
    return frame(Wire.FRAME_REGISTER, struct.pack("<IH", credit, len(made) if count is None else count) + b"".join(made))


def reply(number, payload="null", code="", flags=None):
    flags = (0 if code else Wire.FLAG_JSON) if flags is None else flags
    payload = payload.encode() if isinstance(payload, str) else payload
    return frame(Wire.FRAME_REPLY, struct.pack("<Q", number) + short(code) + payload, flags)


def flow(credit):
    return frame(Wire.FRAME_FLOW, struct.pack("<I", credit))


def assign(sequence, session, on, *channels, flags=0):
    return frame(Wire.FRAME_ASSIGN, struct.pack("<Q", sequence) + short(session) + struct.pack("<BH", on, len(channels))
                 + b"".join(short(c) for c in channels), flags)


class Backend(Publisher):
    @classmethod
    def registered(cls, address, *entries, credit=100, ident="", token="", **options):
        b = cls.greeted(address, ident, token, **options)
        b.waiting = []
        b.register(*entries, credit=credit)
        return b

    def register(self, *entries, credit=100):
        self.send_bytes(register(entries, credit))
        while True:
            f = self.expect("REGISTER", "COMMAND")
            if f.name == "REGISTER":
                assert f.count == len(entries), f
                self.credit, self.timeout = f.credit, f.timeout
                return
            self.waiting.append(f)

    def command(self, timeout=SOON):
        return self.waiting.pop(0) if self.waiting else self.expect("COMMAND", timeout=timeout)

    def event(self, timeout=SOON):
        """The next event of a client: (type, payload)."""
        f = self.command(timeout)
        assert f.id == 0, f
        return f.type, json.loads(f.payload)

    def answer(self, command, data=None, **options):
        self.send_bytes(reply(command.id, json.dumps(data), **options))

    def refuse(self, command, code, text=""):
        self.send_bytes(reply(command.id, text, code))

    def barrier(self):
        """All that it sent has been taken: no COMMAND comes before the PONG, and no ERROR."""
        self.send_bytes(frame(Wire.FRAME_PING, struct.pack("<Q", 77)))
        f = self.expect("PONG")
        assert f.token == 77, f

    def barrier_past(self):
        """The same; what comes before the PONG is returned."""
        self.send_bytes(frame(Wire.FRAME_PING, struct.pack("<Q", 78)))
        seen = []
        while True:
            f = self.expect("PONG", "COMMAND")
            if f.name == "PONG":
                return seen
            seen.append(f)

    def assign(self, session, on, *channels):
        """None, or the NACK."""
        self.sequence += 1
        self.send_bytes(assign(self.sequence, session, on, *channels, flags=0))
        self.settle()
        return self.nacks.get(self.sequence)


def knows(g, b, connect):
    """Connects some clients; whether those of every shard were told of, which takes a moment after REGISTER. All that was told is read."""
    here = [connect(g) for _ in range(6)]
    for c in here:
        c.barrier()
    ends = {c.connected["session"] for c in here}
    told = ends <= {m.session for m in b.barrier_past()}
    for c in here:
        c.close()
    if not told:
        eventually(lambda: g.counter("clients") == 0, "they are gone")
    while told and ends:
        ends.discard(b.command().session)
    return told
