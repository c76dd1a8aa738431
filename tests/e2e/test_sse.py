# SPDX-License-Identifier: Apache-2.0
"""Event streams over HTTP: requests and refusals, headers, what a block looks like, heartbeats, who is slow, and how a stream ends."""
import functools
import json
import signal

import pytest

import rcgateway
from deadline import Deadline, eventually
from rchistory import STREAM_POSITION, fill, kept, not_before, offset, payload, vector
from rcingest import Wire, broadcast, publish
from rcsse import Parser, Refused, SseClient, url
from rcws import Closed, Response, Stream, open_socket
from test_slow import PAD, flood, flood_until, namespace

CHANNELS = [f"keep:{c}" for c in "abcd"]


def ask(g, path, *lines, method="GET", version="HTTP/1.1"):
    """The whole answer to a request, until the gateway ends the connection or what it announced is there."""
    with Stream(open_socket(g.http)) as s:
        s.send_bytes("\r\n".join([f"{method} {path} {version}", "Host: localhost", *lines, "", ""]).encode("latin-1"))
        r = Response(s.read_until(b"\r\n\r\n"))
        n = int(r.headers.get("content-length", 0))
        r.body = s.read_exact(n) if n and method != "HEAD" else b""
        return r


def refused(g, path, status, code=None, **options):
    with pytest.raises(Refused) as caught:
        SseClient.open(g.http, path, **options)
    r = caught.value.response
    assert r.status == status, caught.value
    assert r.body, "it says why"
    if code and r.headers["content-type"].startswith("application/json"):
        error = json.loads(r.body)["error"]
        assert error["code"] == code and error["message"], error
    return r


@functools.lru_cache(maxsize=None)
def has_http_section():
    done = rcgateway.run(["serve", "--print-config"], "/tmp")
    return "[http]" in done.stdout


# ---- the request

def test_the_head_of_a_stream(gateway, sse):
    g = gateway(kept())
    s = sse(g, url("keep:a"))
    h = s.response.headers
    assert h["content-type"] == "text/event-stream; charset=utf-8"
    assert h["cache-control"] == "no-cache, no-transform" and h["x-accel-buffering"] == "no" and h["connection"].lower() == "close"
    g.until_counter("clients", 1)
    s.drop()
    g.until_counter("clients", 0)


def test_the_first_block_says_when_to_come_back_and_where_the_stream_begins(gateway, sse):
    """With jitter, so that those who were cut at once do not come back at once."""
    g = gateway(kept())
    firsts = [sse(g, url("keep:a", "keep:*")).first for _ in range(12)]
    assert all(STREAM_POSITION.match(b.id) and b.data is None and 0 < b.retry <= 60_000 for b in firsts), firsts
    assert len({b.retry for b in firsts}) > 3


def test_accept_may_be_missing_or_anything_that_takes_a_stream(gateway, sse):
    g = gateway(kept())
    for accept in (None, "*/*", "text/*", "text/event-stream", "TEXT/Event-Stream", "text/html, text/event-stream;q=0.5", "text/event-stream,*/*;q=0.1"):
        sse(g, url("keep:a"), accept=accept).drop()
    for accept in ("text/html", "application/json"):
        refused(g, url("keep:a"), 406, accept=accept)


def test_channels_may_be_named_by_every_word_and_encoded(gateway, publisher, sse):
    g = gateway(kept())
    p = publisher(g)
    for query in ("channel=keep:a&channel=keep:b", "channels=keep:a,keep:b", "category=keep:a&category=keep:b", "rooms=keep%3Aa&rooms=keep%3Ab"):
        if "," in query:
            # One word that holds two names is no name.
            refused(g, "/events?" + query, 400, "bad_channel")
            continue
        s = sse(g, "/events?" + query)
        p.publish("keep:a", "1")
        p.publish("keep:b", "2")
        assert [(e["channel"], e["data"]) for e in (s.next_event(), s.next_event())] in (
            [("keep:a", 1), ("keep:b", 2)], [("keep:b", 2), ("keep:a", 1)])


def test_what_can_not_be_streamed_is_refused_in_words(gateway):
    g = gateway(kept() | {"max_channels_per_client": "3"})
    refused(g, "/events", 400, "bad_request")
    refused(g, "/events?channel=", 400, "bad_channel")
    refused(g, "/events?channel=a%20b", 400, "bad_channel")
    refused(g, "/events?channel=a*", 400, "bad_channel")
    refused(g, "/events?channel=%00", 400, "bad_channel")
    refused(g, "/events?channel=%0d%0aid:%209", 400, "bad_channel")
    refused(g, "/events?channel=$sys:metrics", 403, "forbidden")
    refused(g, "/events?channel=$all", 403, "forbidden")
    refused(g, url(*"abcd"), 403, "limit_exceeded")
    refused(g, url("keep:a", format="xml"), 400, "bad_request")
    assert g.counter("clients_opened") == 0


def test_methods(gateway):
    g = gateway(kept())
    for method in ("PUT", "DELETE"):
        r = ask(g, url("keep:a"), "Content-Length: 0", method=method)
        assert r.status == 405 and "GET" in r.headers["allow"]
    r = ask(g, url("keep:a"), method="HEAD")
    assert r.status == 200 and r.headers["content-type"].startswith("text/event-stream")
    g.until_counter("clients", 0)
    assert ask(g, "/events", method="HEAD").status == 400


def test_a_client_of_http_10_gets_its_stream(gateway, publisher, sse):
    g = gateway(kept())
    p = publisher(g)
    s = sse(g, url("keep:a"), version="1.0")
    fill(p, "keep:a", 3)
    assert [s.next_event()["offset"] for _ in range(3)] == [1, 2, 3]


def test_what_follows_the_request_is_not_taken_for_another(gateway, publisher, sse):
    g = gateway(kept())
    p, s = publisher(g), sse(g, url("keep:a"))
    s.send_bytes(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
    fill(p, "keep:a", 3)
    try:
        assert [s.next_event()["offset"] for _ in range(3)] == [1, 2, 3]
    except Closed:
        # As good an answer; one in the stream is none.
        pass
    assert b"HTTP/1.1" not in b"".join(line for b in s.blocks for line in b.raw)


def test_origins_that_are_listed_may_read(gateway, sse):
    if not has_http_section():
        pytest.skip("this build has no [http] origins yet")
    g = gateway(kept() | {"http.origins": "https://one.example, http://two.example:8080"})
    for origin in ("https://one.example", "http://two.example:8080"):
        r = sse(g, url("keep:a"), headers=[("Origin", origin)]).response
        assert r.headers["access-control-allow-origin"] == origin and "origin" in r.headers.get("vary", "").lower()
    for origin in ("https://three.example", "https://one.example.evil.example", "http://one.example", "null"):
        with SseClient.open(g.http, url("keep:a"), headers=[("Origin", origin)]) as s:
            assert "access-control-allow-origin" not in s.response.headers
    r = ask(g, url("keep:a"), "Origin: https://one.example", "Access-Control-Request-Method: GET",
            "Access-Control-Request-Headers: last-event-id", method="OPTIONS")
    assert r.status in (200, 204) and r.headers["access-control-allow-origin"] == "https://one.example"
    assert "last-event-id" in r.headers["access-control-allow-headers"].lower()
    # Errors can be read, too.
    r = refused(g, "/events?channel=a%20b", 400, "bad_channel", headers=[("Origin", "https://one.example")])
    assert r.headers["access-control-allow-origin"] == "https://one.example"


def test_one_more_than_max_clients_is_told_to_come_back(gateway, sse, connect):
    g = gateway(kept() | {"max_clients": "20"})
    streams, ws = [sse(g, url("keep:a")) for _ in range(19)], connect(g)
    r = refused(g, url("keep:a"), 503)
    assert int(r.headers["retry-after"]) > 0
    streams[0].drop()
    g.until_counter("clients", 19)
    sse(g, url("keep:a"))
    ws.barrier()


# ---- events

@pytest.mark.tsan
def test_an_event_is_its_name_its_json_and_the_position(gateway, publisher, sse, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    ws.subscribe(*CHANNELS)
    streams = [sse(g, url(*CHANNELS)) for _ in range(4)]
    for n, channel in enumerate(CHANNELS * 5):
        p.publish(channel, '{"n": %d,  "e":[1.50,1e3]}' % n, event=f"name:{n}")
        live = ws.next_event()
        for s in streams:
            b = s.next_message()
            assert b.event == f"name:{n}" and b.data.encode() == live["raw"] and STREAM_POSITION.match(b.id)
            assert b.retry is None and not b.comments
    for s in streams:
        ids = [b.id for b in s.blocks]
        assert all(not_before(b, a) and a != b for a, b in zip(ids, ids[1:])), "each id is further than the one before"


def test_many_channels_and_patterns_on_one_stream(gateway, publisher, sse):
    g = gateway(kept())
    p = publisher(g)
    s = sse(g, url("keep:a", "plain:b", "keep:x:*", "deep:**"))
    said = ["keep:a", "plain:b", "keep:x:1", "keep:x:2", "deep:1:2:3", "keep:b", "plain:c", "keep:x", "keep:x:1:2"]
    for turn in range(3):
        for channel in said:
            p.publish(channel, payload(turn))
    got = [s.next_event() for _ in range(15)]
    for channel in said[:5]:
        assert [e["offset"] for e in got if e["channel"] == channel] == [1, 2, 3]
    p.publish("keep:a", payload(9))
    assert s.next_event()["data"] == {"n": 9}


def test_streams_of_the_same_and_of_other_sets_side_by_side(gateway, publisher, sse):
    """The order in which channels are named makes no difference, nor does naming one twice."""
    g = gateway(kept())
    p = publisher(g)
    same = [sse(g, path) for path in (url("keep:a", "keep:b"), url("keep:b", "keep:a"), url("keep:a", "keep:b", "keep:a"))]
    others = {sse(g, url(*CHANNELS[:n])): n for n in (1, 3, 4)}
    fill(p, CHANNELS, 40)
    for s, n in [*others.items(), *((s, 2) for s in same)]:
        got = [s.next_event() for _ in range(10 * n)]
        for channel in CHANNELS[:n]:
            assert [e["offset"] for e in got if e["channel"] == channel] == list(range(1, 11))
    for s in same[1:]:
        s.drop()
    g.until_counter("clients", 4)
    fill(p, CHANNELS, 4, first=11)
    assert sorted(same[0].next_event()["channel"] for _ in range(2)) == ["keep:a", "keep:b"]


@pytest.mark.parametrize("text", ['{"a":\n1}', '{"a":\r1}', '{"a":\r\n1}', '\n\n{"a":\r\r\n\n1}\n', '\r\n{"a":1\r}\r\n', '[\n\n\n]\r', "\n1", '"x"\r\n\r\n'],
                         ids=lambda t: repr(t))
def test_data_is_split_at_every_kind_of_line_end(gateway, publisher, sse, reader, text):
    """JSON may hold them between its parts. A reader gets LF for each, as the format has it."""
    g = gateway(kept())
    p = publisher(g)
    s, bare = sse(g, url("keep:a")), sse(g, url("keep:a", format="data"))
    p.publish("keep:a", text)
    p.publish("keep:a", '"after"')
    as_lf = text.replace("\r\n", "\n").replace("\r", "\n")
    b = s.next_message()
    assert b.json()["data"] == json.loads(text) and as_lf in b.data
    assert all(b"\r" not in line for line in b.raw)
    assert bare.next_message().data == as_lf
    for stream in (s, bare):
        assert "after" in stream.next_message().data
    # Kept the same way.
    again = sse(g, url("keep:a", since="beginning"))
    assert again.next_message().data == b.data


def test_format_data_gives_the_bare_payload(gateway, publisher, sse):
    g = gateway(kept())
    p, s = publisher(g), sse(g, url("keep:a", "keep:x:*", format="data"))
    p.publish("keep:a", '{"b": 1,  "a":2}', event="one")
    p.publish("keep:x:y", '"two"', event="two")
    p.publish("keep:a", "null", event="three")
    got = [s.next_message() for _ in range(3)]
    assert sorted((b.event, b.data) for b in got) == [("one", '{"b": 1,  "a":2}'), ("three", "null"), ("two", '"two"')]
    assert all(STREAM_POSITION.match(b.id) for b in got)


def test_an_opaque_payload_is_base64(gateway, publisher, sse):
    g = gateway(kept())
    p, s = publisher(g), sse(g, url("keep:a"))
    p.sequence += 1
    p.send_bytes(publish(p.sequence, "keep:a", b"\x01\n\r\0\xff", flags=Wire.FLAG_WANT_ACK))
    p.settle()
    e = s.next_event()
    assert e["encoding"] == "base64" and e["data"] == "AQoNAP8="


def test_what_is_broadcast_reaches_streams_too(gateway, publisher, sse):
    g = gateway(kept())
    p = publisher(g)
    streams = [sse(g, url(c)) for c in CHANNELS]
    p.sequence += 1
    p.send_bytes(broadcast(p.sequence, '{"all":1}', flags=Wire.FLAG_JSON | Wire.FLAG_WANT_ACK))
    p.settle()
    for s in streams:
        e = s.next_event()
        assert e["channel"] == "$all" and e["data"] == {"all": 1}


def test_event_names_with_line_ends_are_not_to_be_had(gateway, publisher, sse):
    """The publisher is refused, so nothing can be smuggled into a stream."""
    g = gateway(kept())
    p, s = publisher(g), sse(g, url("keep:a"))
    for name in ("a\nid: 9", "a\rb", "a\0b", "a\r\n\r\ndata: x"):
        p.sequence += 1
        p.send_bytes(publish(p.sequence, "keep:a", "1", event=name, flags=Wire.FLAG_JSON | Wire.FLAG_WANT_ACK))
        p.settle()
        assert p.nacks[p.sequence].code == Wire.NACK_BAD_EVENT
    p.publish("keep:a", "2", event="gap")
    b = s.next_message()
    assert b.event == "gap" and b.json()["type"] == "event", "what is told is told by its type"


# ---- heartbeats

def test_heartbeats_carry_ids_that_move_on(gateway, publisher, sse):
    g = gateway(kept() | {"heartbeat": "200ms"})
    p, s = publisher(g), sse(g, url("keep:idle", "keep:idle:*"))
    before = s.first.id
    fill(p, CHANNELS, 200)
    deadline = Deadline(20)
    while sum(vector(s.last_id)[1]) < 200:
        b = s.next_heartbeat()
        assert b.data is None and b.event is None and b.comments == [""] and not_before(b.id, before), b
        before = b.id
        deadline.left()
    # The first publisher has not answered the gateway's pings meanwhile.
    fill(publisher(g), "keep:idle", 1)
    assert s.next_event()["offset"] == 1


@pytest.mark.one_path
def test_who_is_gone_is_noticed_by_heartbeats_and_who_is_not_stays(gateway, sse):
    """A stream's client says nothing: silence is no reason to end it."""
    g = gateway(kept() | {"heartbeat": "200ms"})
    s = sse(g, url("keep:a"))
    for _ in range(8):
        s.next_heartbeat()
    assert g.counter("close_heartbeat") == 0 and g.counter("clients") == 1


# ---- slow ones

def slow_stream(g, **options):
    return SseClient.greeted(g.http, url("slow:a"), rcvbuf=4096, **options)


@pytest.mark.tsan
@pytest.mark.deadline(120)
def test_a_slow_stream_is_ended_under_disconnect_after_a_whole_prefix(gateway, publisher):
    g = gateway(namespace("disconnect"))
    p = publisher(g)
    with slow_stream(g) as s:
        total = flood_until(g, p, "slow:a", "lag_disconnects")
        events = []
        try:
            while True:
                b = s.next_block(timeout=30)
                if b.data is not None and b.name != "gap":
                    events.append(b.json())
        except Closed:
            pass
        assert [e["offset"] for e in events] == list(range(1, len(events) + 1)) and len(events) < total
        assert all(e["data"] == {"n": e["offset"], "pad": PAD} for e in events)
    assert g.counter("close_too_slow") == 1
    g.until_counter("clients", 0)


@pytest.mark.deadline(120)
@pytest.mark.parametrize("history", [False, True], ids=["", "with_history"])
def test_a_slow_stream_is_told_of_its_gap_under_skip(gateway, publisher, history):
    more = {"history_size": "100", "history_bytes": "64KiB"} if history else {}
    g = gateway(namespace("skip", **more))
    p = publisher(g)
    with slow_stream(g) as s:
        total = flood_until(g, p, "slow:a", "lag_skips")
        total = flood(p, "slow:a", total + 1, 3000) - 1
        p.publish("slow:a", json.dumps({"n": total + 1, "pad": PAD}))
        due, gaps, last = 1, 0, s.last_id
        while due is None or due <= total + 1:
            b = s.next_message(timeout=30)
            m = b.json()
            assert STREAM_POSITION.match(b.id) and not_before(b.id, last), b
            last = b.id
            if m["type"] == "gap":
                gaps += 1
                assert b.name == "gap" and m["reason"] in ("slow", "trimmed"), b
                # A stream of several channels can't say which one's events these are.
                due = offset(m["position"]) + 1 if "@" in m.get("position", "") else None
            else:
                assert due is None or m["offset"] == due, f"{m['offset']} without a gap, {due} was due"
                due = m["offset"] + 1
        assert gaps >= 1
        p.publish("slow:a", json.dumps({"n": total + 2, "pad": PAD}))
        assert s.next_event()["offset"] == total + 2
    assert g.counter("lag_disconnects") == 0


@pytest.mark.deadline(120)
def test_a_gap_has_a_position_when_nothing_is_kept_of_what_was_before_it(gateway, publisher):
    """A few events fill what the gateway takes from its memory at a time: who skips some stands at a beginning."""
    g = gateway(namespace("skip", lag_bytes="512KiB") | {"max_message": "160KiB"})
    p, big = publisher(g), "p" * 140_000
    with slow_stream(g) as s:
        n, deadline = 0, Deadline(30)
        while g.counter("lag_skips") < 8:
            n += 1
            p.publish("slow:a", json.dumps({"n": n, "pad": big}))
            deadline.left()
        gaps, got, last = 0, 0, s.last_id
        while got < n:
            b = s.next_message(timeout=30)
            assert b.id and STREAM_POSITION.match(b.id) and not_before(b.id, last), f"{b.name} {b.id} after {last}"
            last = b.id
            if b.name == "gap":
                gaps += 1
            else:
                got = b.json()["offset"]
                assert vector(last)[1] == [got] or len(vector(last)[1]) > 1
    assert gaps >= 1


@pytest.mark.deadline(120)
def test_a_slow_stream_gets_the_newest_under_latest(gateway, publisher):
    g = gateway(namespace("latest"))
    p = publisher(g)
    with slow_stream(g) as s:
        total = flood_until(g, p, "slow:a", "lag_conflations")
        total = flood(p, "slow:a", total + 1, 3000) - 1
        offsets = []
        while not offsets or offsets[-1] < total:
            b = s.next_message(timeout=30)
            if b.name != "gap":
                offsets.append(b.json()["offset"])
        assert offsets == sorted(set(offsets)) and len(offsets) < total


# ---- the end

@pytest.mark.tsan
def test_a_stopping_gateway_ends_streams_behind_what_was_due(gateway, publisher, sse):
    g = gateway(kept())
    p = publisher(g)
    streams = [sse(g, url(*CHANNELS)) for _ in range(5)]
    fill(p, CHANNELS, 400)
    g.signal(signal.SIGTERM)
    for s in streams:
        blocks = s.rest(timeout=30)
        assert sum(b.data is not None and b.json()["type"] == "event" for b in blocks) == 400
        retries = [b.retry for b in blocks if b.retry is not None]
        assert all(r > 0 for r in retries)
    assert g.wait() == 0


def test_while_it_drains_newcomers_are_told_to_come_back(gateway, publisher, sse):
    g = gateway(kept() | {"drain_timeout": "20s", "namespace.keep.lag_bytes": "64MiB", "namespace.keep.lag_time": "0", "memory": "256MiB"})
    p, s = publisher(g), sse(g, url("keep:a"), rcvbuf=4096)
    fill(p, "keep:a", 8000, pad=1000)
    g.signal(signal.SIGTERM)
    g.wait_line("drain|stopping|SIGTERM")
    try:
        with SseClient.open(g.http, url("keep:a")) as late:
            # Its shard had not heard of it yet; then the stream ends as the others do.
            late.rest(timeout=60)
    except Refused as refused:
        assert refused.status == 503
    except (OSError, Closed):
        # The port is closed by now.
        pass
    assert sum(b.data is not None and b.json()["type"] == "event" for b in s.rest(timeout=60)) == 8000
    assert g.wait() == 0


def test_clients_that_leave_in_every_way_leave_nothing_behind(gateway, publisher, sse):
    g = gateway(kept())
    p = publisher(g)
    fill(p, CHANNELS, 40)
    for turn in range(30):
        s = sse(g, url(*CHANNELS[:1 + turn % 4]), last=None)
        s.reset() if turn % 2 else s.drop()
    g.until_counter("clients", 0)
    g.until_counter("subscriptions", 0)
    g.until_counter("connections", lambda n: n <= 1)
    eventually(lambda: g.counter("clients_closed") == g.counter("clients_opened") == 30, "all are counted")


def test_the_parser_of_these_tests_takes_any_cut_and_any_line_end():
    text = "retry: 10\nid: a~1\n\n:\nid: a~2\n\nevent: x\ndata: {\ndata: }\nid:3\n\ndata\n\nid\n: bye\n\n"
    for end in ("\n", "\r", "\r\n"):
        raw = b"\xef\xbb\xbf" + text.replace("\n", end).encode()
        for size in (1, 2, 3, 7, len(raw)):
            parser = Parser()
            blocks = [b for at in range(0, len(raw), size) for b in parser.feed(raw[at:at + size])]
            assert [(b.id, b.data, b.event, b.retry, b.comments) for b in blocks] == [
                ("a~1", None, None, 10, []), ("a~2", None, None, None, [""]), ("3", "{\n}", "x", None, []), (None, "", None, None, []),
                ("", None, None, None, [" bye"])]
            assert parser.last_id == "" and not parser.inside
