# SPDX-License-Identifier: Apache-2.0
"""traceparent: by whatever way an event comes it reaches the subscribers of namespaces that tell it, and those of others not."""
import struct

import pytest

from rcgateway import run
from rchttp import Http
from rcingest import Publisher, Wire, frame, publish, short
from rcsse import SseClient
from rcws import JsonClient

IDS = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
TRACE = f"00-{IDS}-01"
OTHER = "00-1234567890abcdef1234567890abcdef-00f067aa0ba902b7-00"
SETTINGS = {"namespace.told.trace": "yes", "namespace.told.history_size": "10"}
BAD = ["", "00", TRACE.upper(), TRACE + "-", TRACE[:-1], "ff" + TRACE[2:], f"00-{'0' * 32}-b7ad6b7169203331-01",
       f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01", TRACE.replace("-", "_")]


def traced(sequence, channel, payload, trace, flags=Wire.FLAG_JSON):
    body = struct.pack("<Q", sequence) + short(channel) + short("e") + struct.pack("<Q", 0) + trace + payload
    return frame(Wire.FRAME_PUBLISH, body, flags | Wire.FLAG_TRACE)


def as_bytes(text):
    return bytes.fromhex(text[3:35] + text[36:52] + text[53:55])


def subscriber(g):
    c = JsonClient.greeted(g.http)
    c.subscribe("told:a", "other:a")
    return c


def test_event_of_a_request_carries_the_trace_of_its_header_or_its_own(gateway):
    g = gateway(SETTINGS)
    c, h = subscriber(g), Http(g.http)
    line = "traceparent: " + TRACE
    h.position("told:a", 1)
    assert "traceparent" not in c.next_event()
    assert h.publish({"channel": "told:a", "data": {"n": 2}}, line).status == 200
    e = c.next_event()
    assert e["traceparent"] == TRACE and e["data"] == {"n": 2}
    assert list(e).index("traceparent") < list(e).index("data")
    assert h.publish([{"channel": "told:a", "data": 3, "traceparent": OTHER}, {"channel": "told:a", "data": 4}], line).status == 200
    assert [c.next_event()["traceparent"] for _ in range(2)] == [OTHER, TRACE]
    # Where the namespace does not say so, it is not told.
    assert h.publish({"channel": "other:a", "data": 5}, line).status == 200
    assert "traceparent" not in c.next_event()
    # A later version is read as far as it is known.
    assert h.publish({"channel": "told:a", "data": 6}, f"traceparent: cc-{IDS}-ff-more").status == 200
    assert c.next_event()["traceparent"] == TRACE


def test_trace_that_is_none_is_as_if_it_were_not_there(gateway):
    g = gateway(SETTINGS)
    c, h = subscriber(g), Http(g.http)
    for bad in BAD:
        assert h.publish({"channel": "told:a", "data": 1}, "traceparent: " + bad).status == 200
        assert h.publish({"channel": "told:a", "data": 1, "traceparent": bad}).status == 200
        assert "traceparent" not in c.next_event() and "traceparent" not in c.next_event()
    for bad in (1, None, [TRACE]):
        assert h.publish({"channel": "told:a", "data": 1, "traceparent": bad}).status == 200
        assert "traceparent" not in c.next_event()
    assert h.publish({"channel": "told:a", "data": 1}, "traceparent: " + TRACE, "traceparent: " + OTHER).status == 200
    assert "traceparent" not in c.next_event()
    p = Publisher.greeted(g.ingest)
    p.send_bytes(traced(1, "told:a", b"7", bytes(25)))
    e = c.next_event()
    assert e["data"] == 7 and "traceparent" not in e


def test_publisher_sends_it_with_a_flag(gateway):
    g = gateway(SETTINGS)
    c, p = subscriber(g), Publisher.greeted(g.ingest)
    p.send_bytes(traced(1, "told:a", b"1", as_bytes(TRACE)) + publish(2, "told:a", "2"))
    assert c.next_event()["traceparent"] == TRACE
    assert "traceparent" not in c.next_event()
    # Bytes that are no JSON, in a batch.
    item = struct.pack("<Q", 3) + short("told:a") + short("e") + struct.pack("<Q", 0) + as_bytes(OTHER) + struct.pack("<I", 2) + b"\xff\x00"
    p.send_bytes(frame(Wire.FRAME_BATCH, struct.pack("<H", 1) + item, Wire.FLAG_TRACE))
    e = c.next_event()
    assert e["traceparent"] == OTHER and e["encoding"] == "base64" and e["data"] == "/wA="
    # Cut short.
    p.send_bytes(frame(Wire.FRAME_PUBLISH, struct.pack("<Q", 9) + short("told:a") + short("e") + struct.pack("<Q", 0) + b"x" * 24,
                       Wire.FLAG_TRACE))
    p.expect_error(Wire.ERROR_BAD_BODY, closes=True)


def test_it_reaches_sse_patterns_and_history(gateway):
    g = gateway(SETTINGS)
    s, c, h = SseClient.greeted(g.http, "/events?channel=told:a"), JsonClient.greeted(g.http), Http(g.http)
    c.subscribe("told:*")
    before = h.position("told:a", 0)
    assert "traceparent" not in s.next_event() and "traceparent" not in c.next_event()
    assert h.publish({"channel": "told:a", "data": 1}, "traceparent: " + TRACE).status == 200
    assert s.next_event()["traceparent"] == TRACE
    e = c.next_event()
    assert e["traceparent"] == TRACE and "~" in e["position"] and e["data"] == 1
    late = JsonClient.greeted(g.http)
    late.say(type="subscribe", channels=["told:a"], since=before)
    late.await_type("subscription-ack")
    assert late.next_event()["traceparent"] == TRACE


@pytest.mark.one_shard
def test_command_line_sends_it(gateway, folder):
    g = gateway(SETTINGS)
    c = subscriber(g)
    server = "{}:{}".format(*g.plain_ingest)
    done = run(["publish", "--server", server, "--traceparent", TRACE, "told:a", "e", "1"], folder)
    assert done.returncode == 0, done.stderr
    assert c.next_event()["traceparent"] == TRACE
    done = run(["publish", "--server", server, "--traceparent", "00-xyz", "told:a", "e", "1"], folder)
    assert done.returncode == 2 and "--traceparent" in done.stderr
