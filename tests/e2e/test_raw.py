# SPDX-License-Identifier: Apache-2.0
"""Raw namespaces: the publisher's bytes are the whole message. Nothing else is lost by it: sizes, patterns, recovery by positions that come
beside the messages, history, streams, publishing clients, frames."""
import base64
import contextlib
import json
import os

import pytest

from rcbinary import BinClient, Listener
from rchistory import at, kept, offset, vector
from rcingest import Wire, publish
from rcws import BINARY, TEXT, JsonClient

TWO_SHARDS = True
SETTINGS = {
    "heartbeat": "1s",
    "namespace.raw.allow_publish": "anyone",
    **kept("raw"),
    "namespace.raw.raw": "yes",
    **kept("keep"),
}
EVERY_SIZE = (0, 1, 124, 125, 126, 127, 128, 65535, 65536)


class RawClient(JsonClient):
    """A client with a format of its own: what the gateway says itself it knows by its type."""

    def subscribe(self, *channels, **fields):
        self.raws, self.stands = [], {}
        return super().subscribe(*channels, **fields)["data"]

    def await_type(self, *types):
        while True:
            opcode, payload = self.recv()
            message = json.loads(payload) if opcode == TEXT and payload.startswith(b'{"type":') else {"type": None}
            if message["type"] == "positions":
                self.stands.update(message["positions"])
            if message["type"] in types:
                return message
            if message["type"] is None:
                self.raws.append((opcode, payload))

    def take_raw(self, count):
        while len(self.raws) < count:
            opcode, payload = self.recv()
            if not payload.startswith(b'{"type":'):
                self.raws.append((opcode, payload))
        out, self.raws = self.raws[:count], self.raws[count:]
        return out

    def quiet(self):
        self.barrier()
        assert not self.raws


@pytest.fixture
def raw(shared_gateway):
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(RawClient.greeted(shared_gateway.http))


def name():
    return f"raw:{os.urandom(6).hex()}"


def put(p, channel, payload, json_too=False):
    p.sequence += 1
    p.send_bytes(publish(p.sequence, channel, payload, flags=Wire.FLAG_WANT_ACK | Wire.FLAG_POSITION | (Wire.FLAG_JSON if json_too else 0)))
    p.settle()
    return "@".join(map(str, p.positions[p.sequence]))


@pytest.mark.tsan
def test_messages_of_every_size_are_the_publishers_bytes(shared_gateway, raw, publisher):
    channel, p, ws = name(), publisher(shared_gateway), raw()
    ws.subscribe(channel)
    for size in EVERY_SIZE:
        data, text = os.urandom(size), json.dumps("x" * max(size - 2, 0)).encode()
        put(p, channel, data)
        put(p, channel, text, json_too=True)
        assert ws.take_raw(2) == [(BINARY, data), (TEXT, text)]


@pytest.mark.tsan
def test_positions_beside_the_messages_bring_a_client_back(shared_gateway, raw, publisher):
    channel, quiet, p, ws = name(), name(), publisher(shared_gateway), raw()
    ack = ws.subscribe(channel, quiet)
    assert set(ack["positions"]) == {channel, quiet} and offset(ack["positions"][channel]) == 0
    sent = [os.urandom(20) for _ in range(10)]
    for data in sent[:6]:
        last = put(p, channel, data)
    assert [payload for _, payload in ws.take_raw(6)] == sent[:6]
    while ws.stands.get(channel) != last:
        ws.await_type("positions")
    # It says the same of a channel of which nothing ever came.
    assert offset(ws.stands[quiet]) == 0
    for data in sent[6:]:
        put(p, channel, data)
    back = raw()
    ack = back.subscribe(channel, since=ws.stands[channel])
    assert ack["recovered"] == {channel: True} and ack["positions"] == {channel: last}
    assert [payload for _, payload in back.take_raw(4)] == sent[6:]
    back.quiet()
    # Who counts what came since needs no heartbeat.
    again = raw()
    again.subscribe(channel, since=at(last, 2))
    assert [payload for _, payload in again.take_raw(8)] == sent[2:]


def test_patterns_bring_raw_messages_beside_others(shared_gateway, raw, publisher):
    p, ws = publisher(shared_gateway), raw()
    level = os.urandom(4).hex()
    ack = ws.subscribe(f"*:{level}:**")
    first = ack["positions"][f"*:{level}:**"]
    put(p, f"raw:{level}:a", b"\0\1")
    put(p, f"keep:{level}:a", '{"n":1}', json_too=True)
    put(p, f"raw:{level}:b", "[1]", json_too=True)
    # Of different owners, in any order.
    seen = sorted(ws.recv() for _ in range(3))
    assert seen[0] == (TEXT, b"[1]") and seen[2] == (BINARY, b"\0\1") and json.loads(seen[1][1])["channel"] == f"keep:{level}:a"
    while vector(ws.stands.get(f"*:{level}:**", first)) <= vector(first):
        ws.await_type("positions")
    back = raw()
    ack = back.subscribe(f"*:{level}:**", since=first)
    assert ack["recovered"] == {f"*:{level}:**": True}
    got = [back.recv() for _ in range(3)]
    assert {payload for _, payload in got if not payload.startswith(b'{"type"')} == {b"\0\1", b"[1]"}


def test_history_and_streams_of_raw_channels(shared_gateway, connect, publisher, sse):
    channel, p, ws = name(), publisher(shared_gateway), connect(shared_gateway)
    stream = sse(shared_gateway, f"/events?channel={channel}")
    put(p, channel, b"\0\xff")
    last = put(p, channel, '{"n":  1}', json_too=True)
    assert stream.next_message().data == base64.b64encode(b"\0\xff").decode()
    assert stream.next_message().data == '{"n":  1}'
    ws.say(type="history", channel=channel, since="beginning")
    answer = ws.await_type("history")
    assert answer["events"] == [base64.b64encode(b"\0\xff").decode(), {"n": 1}] and answer["position"] == last
    with sse(shared_gateway, f"/events?channel={channel}&since={at(last, 1)}") as back:
        assert back.next_message().data == '{"n":  1}'


def test_what_a_client_publishes_is_the_whole_message(shared_gateway, raw, connect):
    channel, ws, j = name(), raw(), connect(shared_gateway)
    ws.subscribe(channel)
    j.send(TEXT, f'{{"type":"publish","channel":"{channel}","event":"e","data":{{"a":  [1 ,2]}},"id":1}}')
    assert offset(j.await_type("ack")["position"]) == 1
    assert ws.take_raw(1) == [(TEXT, b'{"a":  [1 ,2]}')]
    with BinClient.greeted(shared_gateway.http) as x:
        assert x.publish(1, channel, b"\0\1\2", flags=0).offset == 2
    assert ws.take_raw(1) == [(BINARY, b"\0\1\2")]


@pytest.mark.parametrize("how", ["ws", "tcp"])
def test_frames_have_channel_offset_and_the_bytes(shared_gateway, publisher, how):
    p = publisher(shared_gateway)
    level = os.urandom(4).hex()
    a, b, other = f"raw:{level}:a", f"raw:{level}:b", f"keep:{level}:c"

    def open_one():
        return BinClient.greeted(shared_gateway.http) if how == "ws" else Listener.greeted(shared_gateway.ingest)

    def told(events):
        return [(e.channel, e.event, e.offset, e.payload, e.json) for e in events]

    with open_one() as x, open_one() as y, open_one() as z, open_one() as w:
        first = x.subscribe(a).position
        start = y.subscribe(f"*:{level}:*").position
        imitation = json.dumps({"type": "event", "channel": "other", "event": "e", "offset": 9, "timestamp": "2026-01-15T10:15:00.000Z",
                                "data": 1}, separators=(",", ":"))
        put(p, a, b"\0\xff")
        put(p, b, "[1]", json_too=True)
        put(p, other, "3", json_too=True)
        put(p, a, imitation, json_too=True)
        of_a = [(a, "", 1, b"\0\xff", False), (a, "", 2, imitation.encode(), True)]
        everything = [of_a[0], (b, "", 1, b"[1]", True), (other, "e", 1, b"3", True), of_a[1]]
        assert told(x.take_events(2)) == of_a
        events = y.take_events(4)
        assert sorted(told(events)) == sorted(everything)
        assert [vector(e.position) for e in events] == sorted(vector(e.position) for e in events)
        assert all((e.timestamp == 0) == (e.channel != other) for e in events)
        # The same once more from the history.
        z.subscribe(a, first, verdict=Wire.VERDICT_RECOVERED)
        assert told(z.take_events(2)) == of_a
        w.subscribe(f"*:{level}:*", start, verdict=Wire.VERDICT_RECOVERED)
        assert sorted(told(w.take_events(4))) == sorted(everything)
        w.quiet()
