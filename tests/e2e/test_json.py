# SPDX-License-Identifier: Apache-2.0
"""The JSON protocol ringcast.v1.json on /ws: greeting, subscriptions in all their forms, patterns, errors, heartbeats."""
import asyncio
import base64
import calendar
import json
import os
import re
import select
import subprocess
import time

import pytest

from deadline import SLOW, Deadline
from rcingest import Wire
from rcingest import publish as raw_publish
from rcws import BINARY, CONTINUATION, PING, PONG, TEXT, Closed, frame

# With two shards a channel lies here or there, so that one shard alone shows nothing more.
TWO_SHARDS = True

TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


def publish(p, channel, payload="null", **options):
    """Returns the offset."""
    return p.publish(channel, payload, **options)[1]


def expect_error(ws, code, ident=None):
    m = ws.await_type("error")
    assert m["code"] == code, m
    assert m["temporary"] is False
    assert m["message"] and m["data"]["error"] == m["message"]
    assert TIMESTAMP.match(m["timestamp"])
    assert m.get("id") == ident
    return m


# ---- the greeting

@pytest.mark.tsan
def test_the_first_message_is_connected(shared_gateway, connect):
    greeting = connect(shared_gateway).connected
    assert re.match(r"^c[A-Za-z0-9_-]{16,}$", greeting["session"])
    assert greeting["heartbeat"] == 30000
    assert isinstance(greeting["version"], str) and greeting["version"]


def test_no_two_sessions_have_the_same_id(shared_gateway, connect):
    ids = {connect(shared_gateway).connected["session"] for _ in range(64)}
    assert len(ids) == 64
    # Nobody guesses one from another: no long common beginning.
    assert len({i[:9] for i in ids}) == 64


def test_the_heartbeat_that_is_set_is_told(gateway, connect):
    assert connect(gateway({"heartbeat": "17s"})).connected["heartbeat"] == 17000


# ---- subscribing

@pytest.mark.tsan
def test_an_event_reaches_its_subscriber(shared_gateway, connect, publisher):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ack = ws.subscribe("analytics:agents", id="1")
    assert ack["id"] == "1" and ack["data"]["channels"] == ["analytics:agents"] and TIMESTAMP.match(ack["timestamp"])
    epoch, offset = ack["data"]["positions"]["analytics:agents"].split("@")
    assert re.match(r"^[A-Za-z0-9]+$", epoch) and offset == "0"
    assert p.publish("analytics:agents", '{"id":7}', event="agent:created") == (epoch, 1)
    event = ws.next_event()
    assert TIMESTAMP.match(event.pop("timestamp"))
    assert event == {"type": "event", "channel": "analytics:agents", "event": "agent:created", "offset": 1, "data": {"id": 7}}


def test_a_position_at_subscribe_is_where_the_stream_begins(shared_gateway, connect, publisher):
    p, first = publisher(shared_gateway), connect(shared_gateway)
    first.subscribe("position:a")
    for _ in range(5):
        epoch, offset = p.publish("position:a")
    ws = connect(shared_gateway)
    assert ws.subscribe("position:a")["data"]["positions"]["position:a"] == f"{epoch}@{offset}"
    publish(p, "position:a")
    assert ws.next_event()["offset"] == offset + 1


FORMS = [("channels", "a:1", "channels"), ("channels", ["a:1"], "channels"), ("channels", ["a:1", "a:2"], "channels"),
         ("channel", "a:1", "channels"), ("channel", ["a:1"], "channels"),
         ("categories", ["a:1", "a:2"], "categories"), ("category", "a:1", "categories"),
         ("rooms", ["a:1", "a:2"], "rooms"), ("room", "a:1", "rooms")]


@pytest.mark.parametrize("word,value,answer", FORMS)
def test_every_word_for_channels_is_understood_and_acknowledged_by_its_own(shared_gateway, connect, publisher, word, value, answer):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    names = [value] if isinstance(value, str) else value
    ws.say({"type": "subscribe", word: value, "id": "s"})
    ack = ws.await_type("subscription-ack")
    assert ack["id"] == "s" and ack["data"][answer] == names
    for name in names:
        publish(p, name)
        assert ws.next_event()["channel"] == name
    ws.say({"type": "unsubscribe", word: value, "id": "u"})
    ack = ws.await_type("unsubscription-ack")
    assert ack["id"] == "u" and ack["data"][answer] == names
    for name in names:
        publish(p, name)
    ws.barrier()
    assert ws.events == []


@pytest.mark.parametrize("ident", ["x", "", "ü\"\\", 7, -1, 1.5, 12345678901234567890])
def test_an_id_comes_back_as_it_was(shared_gateway, connect, ident):
    ws = connect(shared_gateway)
    ws.say(type="subscribe", channels="a", id=ident)
    assert ws.await_type("subscription-ack")["id"] == ident
    ws.say(type="ping", id=ident)
    assert ws.await_type("pong")["id"] == ident


def test_without_an_id_the_answer_has_none(shared_gateway, connect):
    ws = connect(shared_gateway)
    assert "id" not in ws.subscribe("a")
    ws.say(type="ping")
    assert "id" not in ws.await_type("pong")


def test_fields_that_nobody_knows_are_passed_over(shared_gateway, connect):
    ws = connect(shared_gateway)
    ws.say(type="subscribe", channels=["a"], colour="blue", deep={"x": [1, {"y": None}]})
    ws.await_type("subscription-ack")


def test_a_channel_subscribed_twice_comes_once(shared_gateway, connect, publisher):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("twice", "twice")
    ws.subscribe("twice")
    publish(p, "twice", "1")
    publish(p, "twice", "2")
    assert [ws.next_event()["data"], ws.next_event()["data"]] == [1, 2]
    ws.unsubscribe("twice")
    publish(p, "twice", "3")
    ws.barrier()
    assert ws.events == []


def test_unsubscribing_from_what_is_not_held_is_no_error(shared_gateway, connect):
    connect(shared_gateway).unsubscribe("never", "seen")


def test_unsubscribe_without_channels_means_all(shared_gateway, connect, publisher):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("all:1", "all:2", "all:*")
    ws.unsubscribe()
    publish(p, "all:1")
    publish(p, "all:2")
    ws.barrier()
    assert ws.events == []
    ws.subscribe("all:2")
    publish(p, "all:2")
    assert ws.next_event()["channel"] == "all:2"


def test_one_unsubscribed_of_several_leaves_the_others(shared_gateway, connect, publisher):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe(*(f"some:{i}" for i in range(20)))
    ws.unsubscribe(*(f"some:{i}" for i in range(0, 20, 2)))
    for i in range(20):
        publish(p, f"some:{i}")
    got = [ws.next_event()["channel"] for _ in range(10)]
    assert sorted(got) == sorted(f"some:{i}" for i in range(1, 20, 2))
    ws.barrier()
    assert ws.events == []


NAMES = ["a", "A-Z_a.z:0/9$@=-", ":", "a:", ":a", "a::b", "/", "=", "x" * 255, "user@host"]


@pytest.mark.parametrize("name", NAMES, ids=[n[:20] for n in NAMES])
def test_channel_names_of_all_allowed_characters(shared_gateway, connect, publisher, name):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe(name)
    publish(p, name)
    assert ws.next_event()["channel"] == name


def test_channel_names_are_compared_by_case(shared_gateway, connect, publisher):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("Case")
    publish(p, "case", "1")
    publish(p, "Case", "2")
    assert ws.next_event()["data"] == 2


def test_a_name_may_be_written_with_escapes(shared_gateway, connect, publisher):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.send(TEXT, r'{"type":"subscribe","channels":["\u0065sc\u003aaped"]}')
    assert ws.await_type("subscription-ack")["data"]["channels"] == ["esc:aped"]
    publish(p, "esc:aped")
    assert ws.next_event()["channel"] == "esc:aped"


# ---- by the query

@pytest.mark.parametrize("query,names", [
    ("channel=q:a", ["q:a"]), ("channel=q:a&channel=q:b", ["q:a", "q:b"]), ("channel=q%3Aa", ["q:a"]),
    ("x=1&channel=q:a&&y", ["q:a"]), ("category=q:a", ["q:a"]), ("room=q:a&room=q:b", ["q:a", "q:b"]),
    ("channel=q:*", ["q:*"])])
def test_the_query_subscribes_at_once(shared_gateway, connect, publisher, query, names):
    ws, p = connect(shared_gateway, "/ws?" + query), publisher(shared_gateway)
    ack = ws.await_type("subscription-ack")
    assert [n for v in ack["data"].values() if isinstance(v, list) for n in v] == names
    for name in names:
        publish(p, name.replace("*", "z"))
        assert ws.next_event()["channel"] == name.replace("*", "z")


def test_a_bad_channel_in_the_query_is_an_error_message(shared_gateway, connect):
    ws = connect(shared_gateway, "/ws?channel=a%20b")
    assert ws.await_type("error")["code"] == "bad_channel"
    ws.barrier()


# ---- patterns

MATCHES = [("p1:*", ["p1:a", "p1:b"], ["p1", "p1:a:b", "p2:a"]),
           ("p3:**", ["p3:a", "p3:a:b", "p3:a:b:c"], ["p3", "p4:a"]),
           ("p5:*:x", ["p5:a:x", "p5:b:x"], ["p5:x", "p5:a:y", "p5:a:x:z"]),
           ("*:p6", ["a:p6", "b:p6"], ["p6", "a:b:p6"]),
           ("*:p7:**", ["a:p7:x", "b:p7:x:y"], ["a:p7", "p7:x"])]


@pytest.mark.parametrize("pattern,matched,others", MATCHES, ids=[m[0] for m in MATCHES])
def test_a_pattern_matches_channels_that_come_later(shared_gateway, connect, publisher, pattern, matched, others):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ack = ws.subscribe(pattern)
    assert ack["data"]["channels"] == [pattern]
    for name in others + matched:
        publish(p, name)
    got = [ws.next_event()["channel"] for _ in matched]
    assert sorted(got) == sorted(matched)
    ws.barrier()
    assert ws.events == []
    ws.unsubscribe(pattern)
    publish(p, matched[0])
    ws.barrier()
    assert ws.events == []


def test_a_pattern_for_everything_leaves_out_the_gateways_own(shared_gateway, connect, publisher):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("**")
    publish(p, "any:thing:at:all")
    assert ws.next_event()["channel"] == "any:thing:at:all"


def test_events_of_one_channel_keep_their_order_under_a_pattern(shared_gateway, connect, publisher):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("order:*")
    p.stream([(f"order:{i % 7}", str(i)) for i in range(700)])
    got = {}
    for _ in range(700):
        e = ws.next_event()
        got.setdefault(e["channel"], []).append((e["offset"], e["data"]))
    for i in range(7):
        assert got[f"order:{i}"] == [(n + 1, i + 7 * n) for n in range(100)]


def test_a_channel_and_a_pattern_that_matches_it_each_bring_the_event(shared_gateway, connect, publisher):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("both:x", "both:*")
    publish(p, "both:x", "1")
    assert [ws.next_event()["data"] for _ in range(2)] == [1, 1]
    ws.unsubscribe("both:*")
    publish(p, "both:x", "2")
    assert ws.next_event()["data"] == 2
    ws.barrier()
    assert ws.events == []


# ---- what an event is

PAYLOADS = ['{"b":1,"a":2}', ' { "spaced" :  [ 1 , 2 ] } ', "[]", '"text"', "12345678901234567890.50", "1e400", "true", "null",
            '"\\u00e9\\ud83d\\ude00"', '"é日💩"', '{"a":{"b":{"c":[[[[]]]]}}}', '{"same":1,"same":2}']


@pytest.mark.parametrize("payload", PAYLOADS)
def test_json_data_passes_byte_for_byte(shared_gateway, connect, publisher, payload):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("bytes")
    publish(p, "bytes", payload)
    _, raw = ws.recv()
    assert f'"data":{payload}'.encode() in raw or f'"data":{payload.strip()}'.encode() in raw
    json.loads(raw)


@pytest.mark.parametrize("payload", [b"", b"\0\xff\xfe", b"plain text", bytes(range(256))], ids=["empty", "bytes", "text", "all"])
def test_opaque_data_is_base64(shared_gateway, connect, publisher, payload):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("opaque")
    p.sequence += 1
    p.send_bytes(raw_publish(p.sequence, "opaque", payload, flags=Wire.FLAG_WANT_ACK))
    event = ws.next_event()
    assert event["encoding"] == "base64"
    assert base64.b64decode(event["data"], validate=True) == payload


@pytest.mark.parametrize("name", ["e", "agent:created", "ü \"quoted\" \\ ", "日" * 42, "x" * 128])
def test_event_names(shared_gateway, connect, publisher, name):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("names")
    publish(p, "names", event=name)
    assert ws.next_event()["event"] == name


def test_the_publishers_timestamp_is_kept_and_a_missing_one_is_now(shared_gateway, connect, publisher):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("time")
    publish(p, "time", timestamp=1768471200123)
    assert ws.next_event()["timestamp"] == "2026-01-15T10:00:00.123Z"
    before = time.time()
    publish(p, "time")
    told = ws.next_event()["timestamp"]
    at = calendar.timegm(time.strptime(told[:19], "%Y-%m-%dT%H:%M:%S")) + int(told[20:23]) / 1000
    assert before - 2 <= at <= time.time() + 2


def test_a_raw_namespace_sends_the_publishers_bytes_alone(gateway, connect, publisher):
    g = gateway({"namespace.bare.raw": "yes"})
    ws, p = connect(g), publisher(g)
    ws.subscribe("bare:a", "wrapped:a")
    publish(p, "bare:a", '{"own": "format"}')
    assert ws.recv() == (TEXT, b'{"own": "format"}')
    p.sequence += 1
    p.send_bytes(raw_publish(p.sequence, "bare:a", b"\x00\x01\xff", flags=Wire.FLAG_WANT_ACK))
    assert ws.recv() == (BINARY, b"\x00\x01\xff")
    publish(p, "wrapped:a", "1")
    assert ws.recv_json()["type"] == "event"


def test_a_channel_that_was_forgotten_begins_a_new_epoch(gateway, publisher, connect):
    g = gateway({"namespace.channel_ttl": "100ms"})
    p = publisher(g)
    epoch, offset = p.publish("short:lived")
    assert offset == 1
    g.until_counter("channels", 0)
    again, offset = p.publish("short:lived")
    assert offset == 1 and again != epoch


def test_a_channel_with_a_subscriber_is_not_forgotten(gateway, publisher, connect):
    g = gateway({"namespace.channel_ttl": "100ms"})
    p, ws = publisher(g), connect(g)
    ws.subscribe("kept")
    epoch, _ = p.publish("kept")
    for i in range(10):
        p.publish(f"other:{i}")
    # Once the others are forgotten, this one, which is older, would have been too. Two shards may each count it.
    g.until_counter("channels", lambda n: n <= 2)
    assert p.publish("kept") == (epoch, 2)


# ---- what is not understood

@pytest.mark.parametrize("text", ["", " ", "{", "}", "nonsense", '{"type":"ping"', '{"type":"ping",}', "{'type':'ping'}",
                                  '{"type":"ping"}x', '{"type":"ping"}{"type":"ping"}', '{"type":"a\nb"}', '{"type":"\\x"}',
                                  '{"type":01}', '{"type":"ping"}\0', "[" * 5000, "\ufeff{\"type\":\"ping\"}",
                                  '{"type":"ping","x":NaN}', '{"type":"ping","x":+1}', '{"type":"ping","x":1.}'])
def test_what_is_not_json_is_bad_json(shared_gateway, connect, text):
    ws = connect(shared_gateway)
    ws.send(TEXT, text)
    expect_error(ws, "bad_json")
    ws.barrier()


BAD_REQUESTS = ["null", "1", '"ping"', "[]", '[{"type":"ping"}]', "{}", '{"id":"1"}', '{"type":1}', '{"type":null}', '{"type":""}',
                '{"type":"subscribe"}', '{"type":"ping","id":{}}', '{"type":"ping","id":[1]}', '{"type":"ping","type":"ping"}',
                '{"type":"subscribe","channels":["a"],"rooms":["b"]}', '{"type":"ping","id":"' + "x" * 200 + '"}',
                '{"type":"' + "x" * 200 + '"}']


@pytest.mark.parametrize("text", BAD_REQUESTS, ids=[t[:40] for t in BAD_REQUESTS])
def test_what_says_nothing_we_know_is_bad_request(shared_gateway, connect, text):
    ws = connect(shared_gateway)
    ws.send(TEXT, text)
    m = ws.await_type("error")
    assert m["code"] == "bad_request", m
    ws.barrier()


@pytest.mark.parametrize("text", [
    '{"type":"subscribe","channels":%s,"id":"9"}' % c
    for c in ("1", "null", "{}", "[1]", '[["a"]]', "[null]", '""', '[""]', '"a b"', '"a\\u0000"', '"ä"', '"a*"', '"*a"', '"a:b*"',
              '"**:a"', '"a:**:b"', '"a::*"', '"***"', '"a,b"', '"a\\nb"', '"' + "x" * 256 + '"', '["ok","not ok"]', '"\\ud800"')])
def test_what_is_no_channel_is_bad_channel_and_nothing_is_done(shared_gateway, connect, publisher, text):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.send(TEXT, text)
    expect_error(ws, "bad_channel", "9")
    publish(p, "ok")
    ws.barrier()
    assert ws.events == []


@pytest.mark.parametrize("channels", ['[]', '"$sys:metrics"', '["ok","$sys:metrics"]', '"$sys:*"', '"$"'])
def test_the_gateways_own_channels_are_forbidden(shared_gateway, connect, channels):
    ws = connect(shared_gateway)
    ws.send(TEXT, '{"type":"subscribe","channels":%s,"id":"9"}' % channels)
    if channels == "[]":
        # Nothing asked for: an empty answer or a refusal, and the connection lives.
        ws.await_type("error", "subscription-ack")
    else:
        expect_error(ws, "forbidden", "9")
    ws.barrier()


@pytest.mark.parametrize("message", [
    {"type": "publish", "channel": "a", "event": "e", "data": 1}, {"type": "command", "action": "x"},
    {"type": "chat:send", "payload": {"text": "hi"}}, {"type": "presence", "channel": "a"}, {"type": "nonsense"},
    {"type": "auth", "token": "x"}], ids=lambda m: m["type"])
def test_what_this_gateway_does_not_do_it_says(shared_gateway, connect, message):
    ws = connect(shared_gateway)
    ws.say({**message, "id": "7"})
    m = ws.await_type("error")
    assert m["code"] in ("unsupported", "forbidden", "no_backend") and m["id"] == "7", m
    ws.barrier()


def test_messages_that_need_no_answer_get_none(shared_gateway, connect):
    ws = connect(shared_gateway)
    ws.say(type="pong")
    ws.say(type="ping", id="behind")
    assert ws.recv_json()["id"] == "behind"


def test_errors_do_not_disturb_a_subscription(shared_gateway, connect, publisher):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("steady")
    for i in range(100):
        ws.send(TEXT, "nonsense")
        publish(p, "steady", str(i))
    errors = 0
    offsets = []
    while errors < 100 or len(offsets) < 100:
        m = ws.recv_json()
        errors += m["type"] == "error"
        offsets += [m["data"]] if m["type"] == "event" else []
    assert offsets == list(range(100))


def test_a_binary_message_on_a_json_connection_is_refused(shared_gateway, connect):
    ws = connect(shared_gateway)
    ws.send(BINARY, b"\x01\x02")
    try:
        assert ws.await_type("error")["code"] in ("bad_json", "bad_request", "unsupported")
        ws.barrier()
    except Closed as e:
        assert e.code == 1003


def test_text_that_is_no_utf8_is_1007_here_too(shared_gateway, connect):
    ws = connect(shared_gateway)
    ws.send(TEXT, b'{"type":"ping","id":"\xff"}')
    ws.expect_close(1007)


def test_a_message_without_mask_is_1002_here_too(shared_gateway, connect):
    ws = connect(shared_gateway)
    ws.send(TEXT, '{"type":"ping"}', key=None)
    ws.expect_close(1002)


def test_a_message_in_fragments_and_small_pieces_is_understood(shared_gateway, connect):
    ws = connect(shared_gateway)
    raw = b'{"type":"ping","id":"' + "é💩".encode() * 10 + b'"}'
    for i, byte in enumerate(raw):
        ws.send(TEXT if i == 0 else CONTINUATION, bytes([byte]), fin=i == len(raw) - 1)
    assert ws.await_type("pong")["id"] == "é💩" * 10


def test_a_message_over_the_limit_is_1009(gateway, connect):
    g = gateway({"client_message_max": "1KiB"})
    ws = connect(g)
    ws.say(type="ping", id="ok", pad="x" * 900)
    ws.await_type("pong")
    ws.send(TEXT, "x" * 1025)
    ws.expect_close(1009)


def test_one_channel_more_than_a_client_may_have_is_limit_exceeded_and_nothing_is_done(gateway, connect, publisher):
    g = gateway({"max_channels_per_client": 3})
    ws, p = connect(g), publisher(g)
    ws.subscribe("l:1", "l:2")
    ws.say(type="subscribe", channels=["l:3", "l:4"], id="x")
    expect_error(ws, "limit_exceeded", "x")
    publish(p, "l:3")
    ws.barrier()
    assert ws.events == []
    # What is held already takes no new place.
    ws.subscribe("l:1", "l:2", "l:3")
    ws.unsubscribe("l:1")
    ws.subscribe("l:4")
    publish(p, "l:4")
    assert ws.next_event()["channel"] == "l:4"


def test_a_thousand_messages_at_once_are_answered_in_order(shared_gateway, connect):
    ws = connect(shared_gateway)
    ws.send_bytes(b"".join(frame(TEXT, json.dumps({"type": "ping", "id": i})) for i in range(1000)))
    assert [ws.recv_json()["id"] for _ in range(1000)] == list(range(1000))


# ---- ping, pong, heartbeats

def test_a_ping_message_is_answered_with_pong(shared_gateway, connect):
    ws = connect(shared_gateway)
    ws.say(type="ping")
    pong = ws.recv_json()
    assert pong["type"] == "pong"


def test_a_ping_frame_is_answered_with_a_pong_frame(shared_gateway, connect):
    ws = connect(shared_gateway)
    ws.send(PING, b"are you there")
    assert ws.recv(pings=True) == (PONG, b"are you there")


@pytest.mark.tsan
def test_a_client_that_answers_pings_stays(gateway, connect):
    g = gateway({"heartbeat": "200ms"})
    ws = connect(g)
    for _ in range(12):
        opcode, payload = ws.recv(pings=True)
        assert opcode == PING
    ws.barrier()


def test_a_client_that_talks_stays_even_if_it_never_answers_a_ping(gateway, connect):
    g = gateway({"heartbeat": "1s"})
    ws = connect(g)
    ws.answer_pings = False
    until = time.monotonic() + 4
    while time.monotonic() < until:
        ws.barrier()
    ws.close()


@pytest.mark.parametrize("path", ["/ws", "/ws?heartbeat=json"])
def test_a_silent_client_is_closed_with_4201_after_two_intervals(gateway, connect, path):
    interval = 0.5 * SLOW
    g = gateway({"heartbeat": f"{int(interval * 1000)}ms"})
    ws = connect(g, path)
    begin = time.monotonic()
    ws.answer_pings = False
    code, reason = ws.expect_close(4201)
    took = time.monotonic() - begin
    assert reason
    # Two intervals since it was last heard; the wheel and the spread of the pings move that by an interval at most.
    assert 0.9 * interval <= took <= 4 * interval + 2 * SLOW, f"after {took:.2f} s with an interval of {interval:.2f} s"
    g.until_counter("close_heartbeat", 1)


def test_a_silent_client_that_is_sent_events_is_closed_too(gateway, connect, publisher):
    g = gateway({"heartbeat": "300ms"})
    ws, p = connect(g), publisher(g)
    ws.subscribe("busy")
    ws.answer_pings = False
    deadline = Deadline(20)
    with pytest.raises(Closed) as closed:
        while deadline.left():
            publish(p, "busy")
            ws.next_event()
    assert closed.value.code == 4201


def test_visible_heartbeats_for_who_asks(gateway, connect):
    g = gateway({"heartbeat": "200ms"})
    asked, not_asked = connect(g, "/ws?heartbeat=json"), connect(g)
    for _ in range(3):
        while True:
            opcode, payload = asked.recv(pings=True)
            if opcode == TEXT:
                break
        message = json.loads(payload)
        assert message["type"] == "ping" and TIMESTAMP.match(message["timestamp"])
        asked.say(type="pong")
        not_asked.barrier()
    # An answer in JSON is a sign of life, and nobody else sees such pings: barrier() would have let them pass, this does not.
    for _ in range(3):
        assert not_asked.recv(pings=True)[0] == PING


def test_pings_of_many_clients_are_spread_over_the_interval(gateway, connect):
    interval = 2.0
    g = gateway({"heartbeat": f"{int(interval * 1000)}ms"})
    clients = [connect(g) for _ in range(24)]
    poller = select.poll()
    by_fd = {c.sock.fileno(): c for c in clients}
    for fd in by_fd:
        poller.register(fd, select.POLLIN)
    first, deadline = {}, Deadline(30)
    while len(first) < len(clients):
        for fd, _ in poller.poll(deadline.left() * 1000):
            c = by_fd[fd]
            opcode, _ = c.recv(pings=True)
            if opcode == PING:
                first.setdefault(fd, time.monotonic())
    times = sorted(first.values())
    assert times[-1] - times[0] > interval / 4, "all at once"


# ---- closing

def test_the_closing_handshake(shared_gateway, connect):
    ws = connect(shared_gateway)
    ws.subscribe("a")
    ws.close(1000, "bye")


@pytest.mark.parametrize("code", [1001, 3000, 4999])
def test_the_code_of_a_close_comes_back(shared_gateway, connect, code):
    connect(shared_gateway).close(code)


def test_a_client_that_does_not_answer_our_close_is_cut_off(gateway, connect):
    g = gateway({"close_timeout": "500ms"})
    ws = connect(g)
    ws.send(TEXT, b"\xff")
    with pytest.raises(Closed) as closed:
        ws.recv()
    assert closed.value.code == 1007
    ws.expect_end()
    g.until_counter("connections", 0)


def test_what_was_subscribed_is_given_back_when_a_client_goes(shared_gateway, connect):
    # The module's other clients are gone by now, or will be.
    shared_gateway.until_counter("subscriptions", 0)
    ws = connect(shared_gateway)
    ws.subscribe(*(f"gone:{i}" for i in range(50)), "gone:*")
    shared_gateway.until_counter("subscriptions", 51)
    ws.close()
    shared_gateway.until_counter("subscriptions", 0)
    shared_gateway.until_counter("patterns", 0)
    shared_gateway.until_counter("clients", 0)


# ---- real clients

def test_pythons_websockets_subscribes(shared_gateway, publisher):
    websockets = pytest.importorskip("websockets")
    p = publisher(shared_gateway)

    async def talk():
        uri = shared_gateway.url("/ws")
        async with websockets.connect(uri, ssl=shared_gateway.context, subprotocols=["ringcast.v1.json"]) as ws:
            assert ws.subprotocol == "ringcast.v1.json"
            assert json.loads(await ws.recv())["type"] == "connected"
            await ws.send(json.dumps({"type": "subscribe", "channels": ["py:*"]}))
            assert json.loads(await ws.recv())["type"] == "subscription-ack"
            for i in range(100):
                p.publish("py:a", str(i), wait=False)
            got = [json.loads(await ws.recv()) for _ in range(100)]
            assert [(e["offset"], e["data"]) for e in got] == [(i + 1, i) for i in range(100)]

    async def bounded():
        await asyncio.wait_for(talk(), 50 * SLOW)

    asyncio.run(bounded())


def test_nodes_ws_subscribes(shared_gateway, publisher, node_ws):
    p = publisher(shared_gateway)
    with subprocess.Popen(["node", os.path.join(os.path.dirname(__file__), "js/subscribe.js"),
                           shared_gateway.url("/ws"), "js:a", "100"],
                          env={**os.environ, **shared_gateway.node_trust, "NODE_PATH": node_ws}, stdout=subprocess.PIPE, text=True) as node:
        try:
            assert node.stdout.readline().strip() == "subscribed"
            for i in range(100):
                p.publish("js:a", str(i), wait=False)
            got = json.loads(node.stdout.readline())
            assert got == [[i + 1, i] for i in range(100)]
            assert node.wait(20 * SLOW) == 0
        finally:
            if node.poll() is None:
                node.kill()
