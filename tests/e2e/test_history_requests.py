# SPDX-License-Identifier: Apache-2.0
"""`history` requests, paged both ways, and `on_subscribe = latest`."""
import json

import pytest

from rchistory import STREAM_POSITION, at, fill, kept, offset, payload, whole
from rcingest import Wire, publish

CHANNELS = [f"keep:{c}" for c in "abcd"]


def numbers(answer):
    for e in answer["events"]:
        assert e["type"] == "event" and e["channel"] == answer["channel"] and "position" not in e
    return [e["offset"] for e in answer["events"]]


# ---- what it answers

def test_the_newest_come_first_when_nothing_else_is_said(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    for channel in CHANNELS:
        epoch, _ = p.publish(channel, payload(1))
        fill(p, channel, 149, first=2)
        a = ws.history(channel, id="h1")
        assert a["id"] == "h1" and a["timestamp"].endswith("Z")
        assert numbers(a) == list(range(150, 50, -1)), "100 when no limit is said"
        assert a["position"] == f"{epoch}@150" and a["first"] == f"{epoch}@1" and a["complete"] and a["more"]
        a = ws.history(channel, limit=1)
        assert numbers(a) == [150] and a["more"] and "id" not in a
        a = ws.history(channel, limit=1000)
        assert numbers(a) == list(range(150, 0, -1)) and not a["more"]


def test_events_are_as_they_were_sent_live(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    ws.subscribe("keep:a")
    p.publish("keep:a", '{"b": 1,  "a":[1.50,1e3]}', event="x:y", timestamp=1_768_472_100_123)
    p.publish("keep:a", '"\\u00e9\\u0000"')
    live = [e.pop("raw") for e in ws.take(2)]
    ws.say(type="history", channel="keep:a", since="beginning")
    _, raw = ws.recv()
    assert b'"events":[' + b",".join(live) + b"]" in raw


def test_paged_forward(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    for channel in CHANNELS:
        epoch, _ = p.publish(channel, payload(1))
        fill(p, channel, 49, first=2)
        got, since = [], f"{epoch}@0"
        while True:
            a = ws.history(channel, since=since, limit=7)
            assert a["complete"] is True
            got += numbers(a)
            assert len(a["events"]) == min(7, 50 - offset(since))
            if not a["more"]:
                break
            since = at(since, got[-1])
        assert got == list(range(1, 51))
        # Behind the last there is nothing, and nothing is missing.
        a = ws.history(channel, since=f"{epoch}@50", limit=7)
        assert a["events"] == [] and a["complete"] and not a["more"]
        # It goes on with what came since.
        fill(p, channel, 1, first=51)
        assert numbers(ws.history(channel, since=f"{epoch}@50", limit=7)) == [51]


def test_paged_backward(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    for channel in CHANNELS:
        epoch, _ = p.publish(channel, payload(1))
        fill(p, channel, 49, first=2)
        got, question = [], {}
        while True:
            a = ws.history(channel, limit=9, **question)
            got += numbers(a)
            if not a["more"]:
                break
            question = {"before": f"{epoch}@{got[-1]}"}
            # What comes meanwhile does not shift the pages.
            fill(p, channel, 1, first=offset(a["position"]) + 1)
        assert got == list(range(50, 0, -1))
        assert ws.history(channel, before=f"{epoch}@1")["events"] == []


def test_since_takes_times_and_stream_positions_too(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    fill(p, "keep:a", 5)
    position = reader(g).subscribe("keep:*")["data"]["positions"]["keep:*"]
    assert STREAM_POSITION.match(position)
    fill(p, "keep:a", 5, first=6)
    assert numbers(ws.history("keep:a", since=position)) == [6, 7, 8, 9, 10]
    assert numbers(ws.history("keep:a", since="beginning", limit=3)) == [1, 2, 3]
    assert numbers(ws.history("keep:a", since=1_000_000)) == list(range(1, 11))
    assert numbers(ws.history("keep:a", since="2020-01-01T00:00:00Z")) == list(range(1, 11))
    assert numbers(ws.history("keep:a", since="2999-01-01T00:00:00Z")) == []


def test_complete_says_whether_something_is_missing_before_the_first(gateway, publisher, reader):
    g = gateway(kept(history_size=10))
    p, ws = publisher(g), reader(g)
    for channel in CHANNELS:
        epoch, _ = p.publish(channel, payload(1))
        fill(p, channel, 29, first=2)
        for since, complete, first in ((f"{epoch}@20", True, 21), (f"{epoch}@19", False, 21), ("beginning", False, 21),
                                       ("aaaaaaaaaa@25", False, None), (f"{epoch}@31", False, None), (f"{epoch}@25", True, 26)):
            a = ws.history(channel, since=since)
            assert a["complete"] is complete and a["first"] == f"{epoch}@21", (since, a)
            if first:
                assert numbers(a) == list(range(first, 31))
        a = ws.history(channel, limit=100)
        assert numbers(a) == list(range(30, 20, -1)) and a["more"] is False


def test_an_answer_holds_64_kib_and_one_event_at_least(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    for channel in CHANNELS:
        fill(p, channel, 30, pad=9000)
        got, since = [], "beginning"
        while True:
            a = ws.history(channel, since=since, limit=1000)
            assert 1 <= len(a["events"]) <= 7 and len(json.dumps(a["events"])) <= 70_000
            got += numbers(a)
            if not a["more"]:
                break
            since = at(a["position"], got[-1])
        assert got == list(range(1, 31))
        fill(p, channel, 2, first=31, pad=60_000)
        a = ws.history(channel, limit=1000)
        assert numbers(a) == [32] and a["more"]
        assert numbers(ws.history(channel, before=at(a["position"], 32))) == [31]


def test_who_asks_needs_no_subscription_and_gets_none(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    fill(p, "keep:a", 3)
    assert len(ws.history("keep:a")["events"]) == 3
    fill(p, "keep:a", 1, first=4)
    ws.quiet()
    ws.unsubscribe("keep:a")


def test_a_channel_that_nobody_has_heard_of_has_an_empty_history(gateway, reader):
    g = gateway(kept())
    ws = reader(g)
    for channel in (*CHANNELS, "plain:a"):
        a = ws.history(channel)
        assert a["events"] == [] and a["more"] is False and "first" not in a and offset(a["position"]) == 0


def test_answers_come_in_the_order_of_the_questions(gateway, publisher, reader):
    """Whoever the owners are."""
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    fill(p, CHANNELS, 400)
    for n in range(200):
        ws.say(type="history", channel=CHANNELS[n % 4], limit=3, id=n)
    assert [ws.await_type("history")["id"] for _ in range(200)] == list(range(200))


def test_raw_namespaces_answer_with_what_was_published(gateway, publisher, reader):
    """Its JSON; or, where it is none, base64 in a string."""
    g = gateway(kept(raw="yes"))
    p, ws = publisher(g), reader(g)
    for channel in CHANNELS:
        p.publish(channel, '{"x":1}')
        p.sequence += 1
        p.send_bytes(publish(p.sequence, channel, b"\x00\xff", flags=Wire.FLAG_WANT_ACK))
        p.settle()
        assert ws.history(channel, since="beginning")["events"] == [{"x": 1}, "AP8="]


@pytest.mark.one_path
def test_what_is_no_question_is_refused(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    epoch, _ = p.publish("keep:a", payload(1))
    for wrong in ({}, {"channel": ""}, {"channel": ["keep:a", "keep:b"]}, {"channel": "keep:a", "limit": 0}, {"channel": "keep:a", "limit": 1001},
                  {"channel": "keep:a", "limit": "5"}, {"channel": "keep:a", "limit": -1}, {"channel": "keep:a", "limit": 1.5},
                  {"channel": "keep:a", "since": "nonsense"}, {"channel": "keep:a", "since": True}, {"channel": "keep:a", "before": 5},
                  {"channel": "keep:a", "before": f"{epoch}@1", "since": "beginning"}, {"channel": "keep:a", "before": "beginning"}, {"channel": "keep:a", "before": f"{epoch}@x"}):
        assert ws.refused("bad_request", type="history", id="q", **wrong)["id"] == "q", wrong
    for name in (1, "a b", "keep:*", "a" * 256):
        ws.refused("bad_channel", type="history", channel=name)
    ws.refused("forbidden", type="history", channel="$sys:metrics")
    assert numbers(ws.history("keep:a")) == [1]


# ---- the latest at once

@pytest.mark.tsan
def test_a_new_subscriber_gets_the_last_event_at_once(gateway, publisher, reader):
    g = gateway(kept(on_subscribe="latest", history_size=10))
    p = publisher(g)
    for channel in CHANNELS:
        ws = reader(g)
        ack = ws.subscribe(channel)
        assert "recovered" not in ack["data"]
        ws.quiet()
        fill(p, channel, 5)
        assert whole(ws.take(5)) == [1, 2, 3, 4, 5]
        for _ in range(3):
            other = reader(g)
            other.subscribe(channel)
            assert whole(other.take(1)) == [5]
            other.quiet()
        by_query = reader(g, f"/ws?channel={channel}")
        assert by_query.await_type("subscription-ack")
        assert whole(by_query.take(1)) == [5]
        fill(p, channel, 1, first=6)
        for c in (ws, other, by_query):
            assert whole(c.take(1)) == [6]
            c.quiet()


def test_who_recovers_gets_what_was_missed_instead_of_the_latest(gateway, publisher, reader):
    g = gateway(kept(on_subscribe="latest"))
    p = publisher(g)
    for channel in CHANNELS:
        epoch, _ = p.publish(channel, payload(1))
        fill(p, channel, 5, first=2)
        for since, expected in ((4, [5, 6]), (6, [])):
            ws = reader(g)
            assert ws.subscribe(channel, since=f"{epoch}@{since}")["data"]["recovered"] == {channel: True}
            assert whole(ws.take(len(expected))) == expected
            ws.quiet()


def test_the_last_of_each_key(gateway, publisher, reader):
    g = gateway(kept(on_subscribe="latest", slow_key="key"))
    p = publisher(g)
    for channel in CHANNELS:
        for n in range(1, 41):
            p.publish(channel, json.dumps({"n": n, "key": f"k{n % 7}"}), wait=False)
        p.settle()
        ws = reader(g)
        ws.subscribe(channel)
        assert whole(ws.take(7)) == list(range(34, 41)), "in their order, each key once"
        ws.quiet()
        p.publish(channel, json.dumps({"n": 41, "key": "new"}))
        assert whole(ws.take(1)) == [41]
        other = reader(g)
        other.subscribe(channel)
        assert sorted(whole(other.take(8))) == list(range(34, 42))
        other.quiet()


def test_subscribing_again_brings_the_latest_only_to_who_is_new(gateway, publisher, reader):
    g = gateway(kept(on_subscribe="latest"))
    p, ws = publisher(g), reader(g)
    fill(p, "keep:a", 3)
    ws.subscribe("keep:a")
    assert whole(ws.take(1)) == [3]
    ws.subscribe("keep:a")
    ws.quiet()
    ws.unsubscribe("keep:a")
    ws.subscribe("keep:a")
    assert whole(ws.take(1)) == [3]


def test_many_who_subscribe_while_it_is_published_see_a_stream_without_a_hole(gateway, publisher, reader):
    g = gateway(kept(on_subscribe="latest"))
    p = publisher(g)
    n = 0
    clients = []
    for turn in range(12):
        fill(p, "keep:a", 20, first=n + 1)
        ws = reader(g)
        ws.say(type="subscribe", channels="keep:a")
        fill(p, "keep:a", 20, first=n + 21)
        n += 40
        clients.append(ws)
    fill(p, "keep:a", 1, first=n + 1)
    for ws in clients:
        ws.await_type("subscription-ack")
        got = [ws.next_event()["offset"]]
        while got[-1] != n + 1:
            got.append(ws.next_event()["offset"])
        assert got == list(range(got[0], n + 2))
