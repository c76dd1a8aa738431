# SPDX-License-Identifier: Apache-2.0
"""What the tests of history and recovery share: positions, a client that minds its own, and a publisher's side."""
import json
import re

from deadline import SOON, Deadline
from rcws import JsonClient

CHANNEL_POSITION = re.compile(r"^([A-Za-z0-9]{10})@(\d+)$")
STREAM_POSITION = re.compile(r"^([A-Za-z0-9]{10})~(\d+(?:\.\d+)*)$")


def kept(name="keep", **more):
    """Settings of a namespace that keeps a history."""
    settings = {"history_size": "100000", "history_bytes": "64MiB", "history_ttl": "1h", **more}
    return {f"namespace.{name}.{key}": value for key, value in settings.items()}


def offset(position):
    return int(CHANNEL_POSITION.match(position).group(2))


def at(position, where):
    """The same channel at another offset."""
    return f"{position.partition('@')[0]}@{where}"


def vector(position):
    found = STREAM_POSITION.match(position)
    assert found, f"{position!r} is no stream position"
    return found.group(1), [int(n) for n in found.group(2).split(".")]


def not_before(one, other):
    """Whether a stream position has all that another has."""
    (e, a), (f, b) = vector(one), vector(other)
    return e == f and len(a) == len(b) and all(x >= y for x, y in zip(a, b))


def payload(n, pad=0):
    return json.dumps({"n": n, "pad": "p" * pad} if pad else {"n": n})


def fill(p, channel, count, first=1, pad=0, per_batch=50):
    """Events first, first+1, … on a channel, or one on each of a list of channels in turn."""
    channels = [channel] if isinstance(channel, str) else channel
    p.stream([(channels[i % len(channels)], payload(first + i, pad)) for i in range(count)], per_batch=per_batch, timeout=60)
    assert not p.nacks, list(p.nacks.values())[:3]


def whole(events):
    """(channel, offset) of events whose data fits their offset, where fill() numbered them alike."""
    for e in events:
        assert e["data"]["n"] == e["offset"], e
    return [e["offset"] for e in events]


class Reader(JsonClient):
    """A client of ringcast.v1.json that takes `positions` and `gap` as they come and keeps them."""

    @classmethod
    def greeted(cls, address, path="/ws", **options):
        ws = super().greeted(address, path, **options)
        ws.gaps, ws.positions, ws.raws = [], {}, []
        return ws

    def recv_json(self, timeout=SOON):
        opcode, raw = self.recv(timeout)
        message = json.loads(raw)
        if message["type"] == "event":
            # Other ways of writing the same are not the gateway's.
            message["raw"] = raw
        return message

    def await_type(self, *types, timeout=SOON):
        deadline = Deadline(timeout)
        while True:
            message = self.recv_json(timeout)
            if message["type"] == "positions":
                self.positions.update(message["positions"])
            if message["type"] in types:
                return message
            if message["type"] == "event":
                self.events.append(message)
            elif message["type"] == "gap":
                self.gaps.append(message)
            else:
                assert message["type"] in ("ping", "positions"), f"awaited {types}, got {message}"
            deadline.left()

    def take(self, count, timeout=SOON):
        return [self.next_event(timeout) for _ in range(count)]

    def refused(self, code, **fields):
        """Says it and awaits the error."""
        self.say(**fields)
        error = self.await_type("error")
        assert error["code"] == code, error
        assert error["temporary"] is False and error["message"], error
        return error

    def quiet(self):
        """Nothing more came up to an answer."""
        self.barrier()
        assert not self.events and not self.gaps, (self.events[:3], self.gaps[:3])

    def history(self, channel, **fields):
        self.say(type="history", channel=channel, **fields)
        answer = self.await_type("history")
        assert answer["channel"] == channel and CHANNEL_POSITION.match(answer["position"]), answer
        assert isinstance(answer["complete"], bool) and isinstance(answer["more"], bool), answer
        assert ("first" in answer) or not answer["events"], answer
        return answer


def expect_back(ws, since, channel, recovered=True, reason=None):
    """Subscribes with since and looks at the acknowledgement; returns its data."""
    ack = ws.subscribe(channel, since=since)["data"]
    assert ack["channels"] == [channel]
    assert ack["recovered"] == {channel: recovered}, ack
    assert ack.get("reasons", {}) == ({} if recovered else {channel: reason}), ack
    return ack
