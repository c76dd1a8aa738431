# SPDX-License-Identifier: Apache-2.0
"""Filters of subscriptions: what comes through, live and replayed, and what is refused."""
import json

import pytest
import rcingest
import rcjwt

from rchistory import kept
from rchttp import request
from rcws import TEXT, JsonClient, Stream, frame, open_socket, read_response

SETTINGS = kept() | {"max_views_per_client": "5", "max_views": "12", "namespace.plain.raw": "yes", "namespace.first.history_size": "10",
                     "namespace.first.on_subscribe": "latest"}
# A channel's owner is one of the shards and a client's shard another matter.
CHANNELS = [f"keep:f{c}" for c in "abc"]


def refusal(ws, **fields):
    ws.say(type="subscribe", id="x", **fields)
    error = ws.await_type("error")
    assert error["id"] == "x"
    return error["code"], error["message"], error["temporary"]


def numbers(ws, count):
    return [ws.next_event()["data"]["n"] for _ in range(count)]


def fill(p, channel, first, last, **more):
    p.stream([(channel, json.dumps({"n": n} | more)) for n in range(first, last + 1)], per_batch=20)
    assert not p.nacks


@pytest.mark.tsan
def test_only_what_a_filter_wants_comes_and_positions_go_on(shared_gateway, publisher, reader, shards):
    g = shared_gateway
    p, evaluated = publisher(g), g.counter("view_filter_evaluations")
    for channel in CHANNELS:
        some, same, all_, none = (reader(g) for _ in range(4))
        some.subscribe(channel, filter="event = 'user:*' and (data.level >= 3 or data.text = 'a\\*\\u00e4*')")
        same.subscribe(channel, filter='event=="user:*"and(data.level>=3.0 OR data.text=\'a\\*ä**\')')
        all_.subscribe(channel)
        none.subscribe(channel, filter="has data.nothing")
        for n, (event, data) in enumerate([("user:a", {"level": 3}), ("order:a", {"level": 9}), ("user:b", {"level": "4"}),
                                           ("user:\u00fc", {"text": "a*\u00e4\"x"}), ("user:c", {}), ("user:d", {"level": 1e2, "n": None})], 1):
            p.publish(channel, json.dumps(data, ensure_ascii=n % 2 == 0), event=event)
        p.sequence += 1
        p.send_bytes(rcingest.publish(p.sequence, channel, b"\x01", "user:opaque", flags=rcingest.Wire.FLAG_WANT_ACK))
        p.settle()
        p.publish(channel, '{"level":7}', event="user:last")
        got = [some.next_event() for _ in range(4)]
        whole = [all_.next_event() for _ in range(8)]
        start = whole[0]["offset"] - 1
        assert [e["offset"] - start for e in got] == [1, 4, 6, 8]
        assert [same.next_event() for _ in range(4)] == got
        assert all(e in whole for e in got)
        # What nobody wanted went nowhere, and where the channel stands is told nevertheless.
        assert none.events == []
        p.publish(channel, '{"nothing":null}', event="x")
        assert none.next_event()["offset"] == start + 9
        for ws in (some, same, all_, none):
            ws.drop()
    # Three filters, of which one was written twice: two forms of the channel, once for each shard where somebody reads them.
    # The last event may come to some of them when they have gone.
    assert 2 * 8 * len(CHANNELS) <= g.counter("view_filter_evaluations") - evaluated <= 2 * 9 * len(CHANNELS) * (1 if shards == 1 else 1.5)


def test_a_pattern_is_filtered_and_replayed_with_its_positions(shared_gateway, publisher, reader):
    g = shared_gateway
    p, ws = publisher(g), reader(g)
    ws.subscribe("keep:p:*", filter="data.n in (2, 3)")
    for channel in ("keep:p:a", "keep:p:b"):
        fill(p, channel, 1, 4)
    events = [ws.next_event() for _ in range(4)]
    assert sorted((e["channel"], e["data"]["n"]) for e in events) == [(c, n) for c in ("keep:p:a", "keep:p:b") for n in (2, 3)]
    back = reader(g)
    back.subscribe("keep:p:*", filter="data.n = 3", since=events[0]["position"])
    missed = [e for e in events[1:] if e["data"]["n"] == 3]
    assert sorted(back.next_event()["channel"] for _ in missed) == sorted(e["channel"] for e in missed)


def test_a_replay_is_filtered_and_meets_the_live_events(shared_gateway, publisher, reader):
    g = shared_gateway
    p = publisher(g)
    for channel in CHANNELS:
        ws = reader(g)
        fill(p, channel, 1, 1)
        start = ws.subscribe(channel)["data"]["positions"][channel]
        ws.drop()
        fill(p, channel, 2, 300)
        back = reader(g)
        back.say(type="subscribe", channels=[channel], since=start, filter="data.n in (3, 299, 301, 599)")
        fill(p, channel, 301, 600)
        ack = back.await_type("subscription-ack")
        assert ack["data"]["recovered"] == {channel: True}
        assert numbers(back, 4) == [3, 299, 301, 599]
        back.drop()


def test_the_newest_value_that_a_newcomer_gets_is_filtered_too(shared_gateway, publisher, reader):
    g = shared_gateway
    p, no, yes = publisher(g), reader(g), reader(g)
    fill(p, "first:a", 1, 7)
    before = g.counter("events_replayed")
    no.subscribe("first:a", filter="data.n != 7")
    yes.subscribe("first:a", filter="data.n > 6")
    assert numbers(yes, 1) == [7]
    fill(p, "first:a", 8, 8)
    assert numbers(no, 1) == [8] and numbers(yes, 1) == [8]
    assert g.counter("events_replayed") == before + 1


def test_the_same_filter_again_is_no_change_and_a_claimless_one_ends_it(shared_gateway, reader):
    ws = reader(shared_gateway)
    first = ws.subscribe("keep:same", filter="data.n = 1")
    again = ws.subscribe("keep:same", filter="data.n  =  1.0", id="2")
    assert again["data"]["channels"] == first["data"]["channels"] == ["keep:same"]
    shared_gateway.until_counter("views", 1)
    ws.subscribe("keep:same")
    shared_gateway.until_counter("views", 0)


BAD = [
    ({"filter": "event ="}, "bad_filter", "byte 8: expected a value"),
    ({"filter": ""}, "bad_filter", "byte 1"),
    ({"filter": "data.a.b = 1"}, "bad_filter", "byte 7: only members of data itself"),
    ({"filter": "(" * 17 + "has data.a" + ")" * 17}, "bad_filter", "byte 17: parentheses nest deeper than 16"),
    ({"filter": "data.a in (" + ",".join("1" * 33) + ")"}, "bad_filter", "more than 32"),
    ({"filter": f"event = '{'x' * 257}'"}, "bad_filter", "longer than 256"),
    ({"filter": "has data.a" + " " * 1100}, "bad_filter", "longer than 1024"),
    ({"filter": "event = '\ud800'"}, "bad_filter", "no text"),
    ({"filter": 7}, "bad_filter", "must be a string"),
    ({"filter": None}, "bad_filter", "must be a string"),
    ({"rate": 0}, "bad_request", "'rate'"),
    ({"rate": -1}, "bad_request", "'rate'"),
    ({"rate": 0.0009}, "bad_request", "'rate'"),
    ({"rate": 1001}, "bad_request", "'rate'"),
    ({"rate": "5"}, "bad_request", "'rate'"),
    ({"rate": 1, "key": ""}, "bad_request", "'key'"),
    ({"rate": 1, "key": "k" * 129}, "bad_request", "'key'"),
    ({"rate": 1, "key": ["a"]}, "bad_request", "'key'"),
    ({"key": "a"}, "bad_request", "'key' needs 'rate'"),
    ({"window": 0}, "bad_request", "'window'"),
    ({"window": 1.5}, "bad_request", "'window'"),
    ({"window": 3600001}, "bad_request", "'window'"),
    ({"window": True}, "bad_request", "'window'"),
    ({"window": 100, "rate": 1}, "bad_request", "exclude each other"),
    ({"summary": True}, "bad_request", "'summary' needs 'window'"),
    ({"summary": False}, "bad_request", "'summary' needs 'window'"),
    ({"window": 100, "summary": 1}, "bad_request", "'summary' must be"),
    ({"window": 100, "summary": True, "since": "beginning"}, "bad_request", "no past"),
]


def test_what_is_wrong_is_refused_with_its_reason_and_nothing_done(shared_gateway, reader):
    ws = reader(shared_gateway)
    before = shared_gateway.counter("subscribe_refused_filter")
    for fields, code, says in BAD:
        got, message, temporary = refusal(ws, channels=["keep:bad"], **fields)
        assert got == code and says in message and not temporary, (fields, message)
    shared_gateway.until_counter("subscribe_refused_filter", before + len(BAD))
    assert ws.unsubscribe()["data"]["channels"] == []


def test_raw_channels_have_none(shared_gateway, reader):
    ws = reader(shared_gateway)
    for fields in ({"filter": "has event"}, {"rate": 1}, {"window": 10}):
        code, message, _ = refusal(ws, channels=["keep:ok", "plain:a"], **fields)
        assert code == "unsupported" and "'plain:a' is raw" in message
    assert ws.unsubscribe()["data"]["channels"] == []


def test_the_limits_of_views_hold(shared_gateway, reader):
    ws, crowd = reader(shared_gateway), [reader(shared_gateway) for _ in range(8)]
    ws.subscribe(*[f"keep:l{i}" for i in range(5)], filter="has data.a")
    code, message, temporary = refusal(ws, channels=["keep:l9"], filter="has data.a")
    assert code == "limit_exceeded" and "5 channels with a filter" in message and not temporary
    ws.subscribe("keep:l9")
    # Who says again what he has wants nothing more.
    ws.subscribe(*[f"keep:l{i}" for i in range(5)], filter="has  data.a")
    # Of one that stands there already no more is made.
    for other in crowd:
        other.subscribe("keep:l0", filter="has data.a")
    refused = 0
    for n, other in enumerate(crowd):
        other.say(type="subscribe", channels=["keep:l1", "keep:l2", "keep:l3"], filter=f"data.n = {n}")
        answer = other.await_type("subscription-ack", "error")
        if answer["type"] == "error":
            assert answer["code"] == "limit_exceeded" and answer["temporary"]
            refused += 1
    assert refused
    # And all of it is given back.
    for other in (ws, *crowd):
        other.drop()
    shared_gateway.until_counter("views", 0)
    reader(shared_gateway).subscribe("keep:l1", filter="data.n = 1")


def test_event_streams_have_no_filters(shared_gateway):
    for word in ("filter=has%20event", "rate=1", "window=100"):
        with Stream(open_socket(shared_gateway.http)) as s:
            s.send_bytes(request("GET", f"/events?channel=keep:a&{word}", "Accept: text/event-stream"))
            assert read_response(s).status == 400


def test_a_client_that_goes_takes_its_filter_along(shared_gateway, publisher):
    p = publisher(shared_gateway)
    for _ in range(3):
        ws = JsonClient.greeted(shared_gateway.http)
        ws.subscribe("keep:gone", filter="data.n > 0")
        fill(p, "keep:gone", 1, 3)
        ws.reset()
    shared_gateway.until_counter("views", 0)


def test_a_channel_between_two_forms_is_named_once(gateway):
    """While the owner is asked for what it missed the client has it in both; then all of them end."""
    g = gateway(rcjwt.settings(**kept()))
    names = [f"keep:{n}" for n in range(12)]
    for end in ({"type": "unsubscribe"}, {"type": "refresh", "token": rcjwt.make(sub="ann", channels=["other"])}):
        with JsonClient.greeted(g.http, "/ws?token=" + rcjwt.make(sub="ann", channels=["keep:*"])) as ws:
            ws.subscribe(*names)
            ws.send_bytes(b"".join(frame(TEXT, json.dumps(m)) for m in (
                {"type": "subscribe", "channels": names, "since": "beginning", "filter": "has data.x"}, end)))
            m = {}
            while m.get("type") != "unsubscription-ack":
                m = ws.await_type("refreshed", "subscription-ack", "unsubscription-ack")
            assert sorted(m["data"]["channels"]) == sorted(names)
