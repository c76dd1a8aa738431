# SPDX-License-Identifier: Apache-2.0
"""Those who listen in frames: clients of ringcast.v1.bin, and backends that subscribe on the ingest port. What they hear is what
clients of JSON hear, byte for byte; bad input of either gets its answer."""
import base64
import contextlib
import json
import os
import signal
import struct

import pytest

import rcingest
import rcjwt
from rcbackend import Backend
from rcbinary import PROTOCOL, BinClient, Listener
from rchistory import kept, offset, vector
from rcingest import Wire, command, frame, publish, subscribe
from rcws import BINARY, TEXT, Closed

TWO_SHARDS = True
SETTINGS = {
    "heartbeat": "1s",
    **kept(),
    **kept("small", history_size="5"),
    "namespace.keep.allow_publish": "anyone",
    "auth.allow_command": "anyone",
    "namespace.traced.trace": "yes",
}
TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319cb7ad6b716920333101")


@pytest.fixture
def listen(shared_gateway):
    """listen("ws") is a client of the subprotocol, listen("tcp") a backend."""
    with contextlib.ExitStack() as stack:
        yield lambda how="ws", *args, **options: stack.enter_context(
            BinClient.greeted(shared_gateway.http, *args, **options) if how == "ws"
            else Listener.greeted(shared_gateway.ingest, *args, **options))


both = pytest.mark.parametrize("how", ["ws", "tcp"])


def name(prefix="bin"):
    return f"{prefix}:{os.urandom(6).hex()}"


# ---- the first frame

def test_the_gateway_says_hello_first(listen):
    w = listen().welcome
    assert w.version == 1 and w.server and w.last_sequence == 0
    assert w.frame_max == 65536 and w.message_max == 65536
    assert len(w.session) == 17 and w.session[0] == "c" and w.user == "" and w.heartbeat == 1000 and w.expires == 0


def test_of_several_subprotocols_the_first_known_one_counts(shared_gateway, connect):
    with connect(shared_gateway, "/ws", headers=[("Sec-WebSocket-Protocol", "x, ringcast.v1.json, ringcast.v1.bin")]) as ws:
        assert ws.response.headers["sec-websocket-protocol"] == "ringcast.v1.json"


# ---- events

@both
@pytest.mark.tsan
def test_an_event_says_the_same_as_in_json(shared_gateway, listen, connect, publisher, how):
    channel = name()
    x, j, p = listen(how), connect(shared_gateway), publisher(shared_gateway)
    f = x.subscribe(channel)
    assert offset(f.position) == 0
    j.subscribe(channel)
    for event, payload, flags in (("e", '{"n": 1,  "a":"ä"}', Wire.FLAG_JSON), ('qu"o\\te é', "[]", Wire.FLAG_JSON),
                                  ("opaque", bytes(range(256)), 0), ("empty", b"", 0), ("x" * 128, "1", Wire.FLAG_JSON)):
        p.sequence += 1
        p.send_bytes(publish(p.sequence, channel, payload, event, 1700000000123, flags))
        got, same = x.next_event(), j.next_event()
        assert (got.channel, got.event, got.offset, got.timestamp) == (channel, event, same["offset"], 1700000000123)
        assert (got.channel, got.event) == (same["channel"], same["event"])
        assert got.payload == (payload.encode() if isinstance(payload, str) else payload) and got.json == bool(flags)
        assert not got.own and got.trace is None and got.position is None
        data = base64.b64decode(same["data"]) if not flags else json.dumps(same["data"]).encode()
        assert got.json or data == got.payload


@both
def test_large_events_come_whole(shared_gateway, listen, publisher, how):
    channel = name()
    x, p = listen(how), publisher(shared_gateway)
    x.subscribe(channel)
    for size in (0, 1, 65, 66, 125, 126, 127, 4000, 65535, 65536):
        p.sequence += 1
        payload = os.urandom(size)
        p.send_bytes(publish(p.sequence, channel, payload, flags=0))
        assert x.next_event().payload == payload


@both
def test_a_trace_is_told_where_the_namespace_says_so(shared_gateway, listen, publisher, how):
    x, p = listen(how), publisher(shared_gateway)
    x.subscribe("traced:a")
    p.sequence += 1
    body = struct.pack("<Q", p.sequence) + rcingest.short("traced:a") + rcingest.short("e") + struct.pack("<Q", 0) + TRACE + b"{}"
    p.send_bytes(frame(Wire.FRAME_PUBLISH, body, Wire.FLAG_JSON | Wire.FLAG_TRACE))
    assert x.next_event().trace == TRACE


@both
@pytest.mark.tsan
def test_patterns_bring_the_events_of_their_channels_with_the_stream_position(shared_gateway, listen, publisher, how):
    level = name()
    x, p = listen(how), publisher(shared_gateway)
    f = x.subscribe(f"{level}:*")
    p.publish(f"{level}:a", "1")
    p.publish(f"{level}:b", "2")
    p.publish("other:a", "3")
    a, b = x.take_events(2)
    assert sorted((e.channel, e.payload, e.offset) for e in (a, b)) == [(f"{level}:a", b"1", 1), (f"{level}:b", b"2", 1)]
    assert vector(a.position) > vector(f.position) and vector(b.position) > vector(a.position)
    x.quiet()


@both
def test_several_channels_and_an_end_of_one(shared_gateway, listen, publisher, how):
    a, b, p = name(), name(), publisher(shared_gateway)
    x = listen(how)
    x.subscribe(a)
    x.subscribe(b)
    x.subscribe(a)
    p.publish(a, "1")
    p.publish(b, "2")
    assert sorted(e.channel for e in x.take_events(2)) == sorted([a, b])
    x.unsubscribe(a)
    p.publish(a, "3")
    p.publish(b, "4")
    assert x.next_event().payload == b"4"
    x.unsubscribe("bin:never")
    x.unsubscribe()
    p.publish(b, "5")
    x.quiet()


def test_a_broadcast_reaches_clients_and_no_backend(shared_gateway, listen, publisher):
    ws, tcp, p = listen("ws"), listen("tcp"), publisher(shared_gateway)
    p.sequence += 1
    p.send_bytes(rcingest.broadcast(p.sequence, '{"b":1}', "all", flags=Wire.FLAG_JSON | Wire.FLAG_WANT_ACK))
    p.settle()
    got = ws.next_event()
    assert (got.channel, got.event, got.payload) == ("$all", "all", b'{"b":1}') and got.offset > 0
    tcp.quiet()


def test_a_message_to_the_session_comes_without_a_channel(shared_gateway, listen, publisher):
    ws, p = listen("ws"), publisher(shared_gateway)
    assert p.send_to('{"a":1}', "note", session=ws.welcome.session) == 1
    got = ws.next_event()
    assert (got.channel, got.offset, got.event, got.payload, got.json) == ("", 0, "note", b'{"a":1}', True)
    p.sequence += 1
    p.send_bytes(rcingest.send(p.sequence, b"\0\xff", "raw", flags=0, session=ws.welcome.session))
    got = ws.next_event()
    assert (got.event, got.payload, got.json) == ("raw", b"\0\xff", False)


def test_the_query_subscribes_in_frames_too(shared_gateway, publisher):
    a, b, p = name(), name(), publisher(shared_gateway)
    with BinClient.greeted(shared_gateway.http, f"/ws?channel={a}&channel={b}") as x:
        assert sorted(x.await_frame("SUBSCRIBE").channel for _ in range(2)) == sorted([a, b])
        p.publish(b, "1")
        assert x.next_event().payload == b"1"


# ---- recovery

@both
@pytest.mark.tsan
def test_what_was_missed_comes_before_live_events(shared_gateway, listen, publisher, how):
    channel = name("keep")
    x, p = listen(how), publisher(shared_gateway)
    for n in range(1, 31):
        p.publish(channel, str(n), wait=n == 30)
    epoch = x.subscribe(channel).position.partition("@")[0]
    y = listen(how)
    f = y.subscribe(channel, f"{epoch}@10", verdict=Wire.VERDICT_RECOVERED)
    assert offset(f.position) == 10
    p.publish(channel, "31")
    assert [(e.offset, e.payload) for e in y.take_events(21)] == [(n, b"%d" % n) for n in range(11, 32)]
    for since, verdict in (("beginning", Wire.VERDICT_RECOVERED), ("1", Wire.VERDICT_RECOVERED), (f"{epoch}@31", Wire.VERDICT_RECOVERED),
                           ("aaaaaaaaab@1", Wire.VERDICT_EPOCH), (f"{epoch}@99", Wire.VERDICT_AHEAD)):
        z = listen(how)
        # The history of a channel of before this run is gone, for all that one knows.
        z.say(subscribe(channel, since))
        f = z.await_frame("SUBSCRIBE")
        assert f.verdict == verdict or (since == "1" and f.verdict == Wire.VERDICT_TRIMMED), f
        if since in ("beginning", "1"):
            assert [e.offset for e in z.take_events(31)] == list(range(1, 32))
        z.quiet()


@both
def test_what_was_trimmed_is_said(shared_gateway, listen, publisher, how):
    channel = name("small")
    p = publisher(shared_gateway)
    for n in range(1, 21):
        epoch = p.publish(channel, str(n))[0]
    x = listen(how)
    assert offset(x.subscribe(channel, f"{epoch}@2", verdict=Wire.VERDICT_TRIMMED).position) == 20


@both
def test_a_pattern_goes_on_at_the_position_of_its_last_event(shared_gateway, listen, publisher, how):
    level = name("keep")
    x, p = listen(how), publisher(shared_gateway)
    x.subscribe(f"{level}:*")
    for n in range(12):
        p.publish(f"{level}:{n % 3}", str(n))
    events = x.take_events(12)
    assert sorted(int(e.payload) for e in events) == list(range(12))
    y = listen(how)
    y.subscribe(f"{level}:*", events[6].position, verdict=Wire.VERDICT_RECOVERED)
    assert {e.payload for e in y.take_events(5)} == {e.payload for e in events[7:]}
    y.quiet()


@both
def test_positions_come_with_heartbeats(shared_gateway, listen, publisher, how):
    level = name("keep")
    x = listen(how)
    first = x.subscribe(f"{level}:*").position
    publisher(shared_gateway).publish(name("keep"), "1")
    while f"{level}:*" not in x.stands or vector(x.stands[f"{level}:*"]) <= vector(first):
        x.await_frame("POSITION")


# ---- publishing

@pytest.mark.tsan
def test_a_client_publishes_and_is_told_the_position(shared_gateway, listen, connect):
    channel = name("keep")
    x, j = listen(), connect(shared_gateway)
    j.subscribe(channel)
    x.subscribe(channel)
    ack = x.publish(7, channel, '{"n":1}', "add")
    assert ack.name == "ACK" and ack.offset == 1 and len(ack.epoch) == 10
    assert x.next_event().payload == b'{"n":1}' and j.next_event()["data"] == {"n": 1}
    # The number is the client's own: again is another event, and smaller is none of our business.
    assert x.publish(7, channel, b"\0\xff", "opaque", flags=0).offset == 2
    assert x.publish(3, channel, "2").offset == 3
    assert base64.b64decode(j.next_event()["data"]) == b"\0\xff"
    assert [e.json for e in x.take_events(2)] == [False, True]


@pytest.mark.parametrize("sent, code", [
    (publish(5, "a b"), Wire.NACK_BAD_CHANNEL),
    (publish(5, "$sys:a"), Wire.NACK_BAD_CHANNEL),
    (publish(5, "keep:a", event=""), Wire.NACK_BAD_EVENT),
    (publish(5, "keep:a", event=b"\xff"), Wire.NACK_BAD_EVENT),
    (publish(5, "keep:a", "{"), Wire.NACK_BAD_PAYLOAD),
    (publish(5, "small:a"), Wire.NACK_FORBIDDEN),
    (publish(5, "keep:a", flags=Wire.FLAG_DURABLE), Wire.NACK_NOT_SUPPORTED),
])
def test_what_a_client_may_not_publish_is_refused_by_its_number(listen, sent, code):
    x = listen()
    x.say(sent)
    f = x.next_frame()
    assert f.name == "NACK" and f.sequence == 5 and f.code == code and f.text, f
    x.quiet()


def test_a_client_need_not_hear_itself(shared_gateway, listen):
    channel = name("keep")
    x, y = listen(), listen()
    for c in (x, y):
        c.subscribe(channel)
    assert x.publish(1, channel, "1", flags=Wire.FLAG_JSON | Wire.FLAG_NO_ECHO).offset == 1
    assert x.publish(2, channel, "2").offset == 2
    assert y.next_event().payload == b"1" and y.next_event().payload == b"2"
    assert x.next_event().payload == b"2"
    x.quiet()


# ---- commands

def test_a_command_goes_to_a_backend_and_its_reply_comes_back(shared_gateway, listen):
    x = listen()
    x.say(command(3, "order:none", "1"))
    f = x.await_frame("REPLY")
    assert (f.id, f.code) == (3, "no_backend") and f.payload
    with Backend.registered(shared_gateway.ingest, "order:new", "command") as b:
        x.say(command(4, "order:new", '{"n":  1}'), command(5, "command", "[2]", Wire.FLAG_JSON | Wire.FLAG_IDEMPOTENT))
        first, second = b.command(), b.command()
        assert (first.type, first.payload, first.message, first.session) == ("order:new", b'{"n":  1}', "4", x.welcome.session)
        assert (second.type, second.payload) == ("command", b"[2]")
        b.answer(first, {"ok": True})
        f = x.await_frame("REPLY")
        assert (f.id, f.code, json.loads(f.payload), f.flags) == (4, "", {"ok": True}, Wire.FLAG_JSON)
        b.refuse(second, "sold_out", "no more")
        f = x.await_frame("REPLY")
        assert (f.id, f.code, f.payload, f.flags) == (5, "sold_out", b"no more", 0)


@pytest.mark.parametrize("sent, code", [
    (command(9, "order", "{"), "bad_json"),
    (command(9, "order", "{}", flags=0), "bad_json"),
    (command(9, "", "{}"), "bad_request"),
    (command(9, "x" * 129, "{}"), "bad_request"),
    (command(9, b"\xff", "{}"), "bad_request"),
    (command(9, "order", "[" * 70 + "]" * 70), "bad_json"),
])
def test_a_command_that_can_not_be_is_answered(listen, sent, code):
    x = listen()
    x.say(sent)
    f = x.await_frame("REPLY")
    assert (f.id, f.code) == (9, code) and f.payload
    x.quiet()


# ---- bad input

@both
@pytest.mark.parametrize("channel, since, verdict", [
    ("", "", Wire.VERDICT_BAD_CHANNEL),
    ("a**", "", Wire.VERDICT_BAD_CHANNEL),
    (b"\xff\"\\", "", Wire.VERDICT_BAD_CHANNEL),
    ("keep:a", "yesterday", Wire.VERDICT_BAD_SINCE),
    ("keep:a", 'x"y', Wire.VERDICT_BAD_SINCE),
    ("keep:a", "9" * 3000, Wire.VERDICT_BAD_SINCE),
    ("keep:*", "aaaaaaaaab@1", Wire.VERDICT_BAD_SINCE),
])
def test_a_subscription_that_can_not_be_is_refused(shared_gateway, listen, how, channel, since, verdict):
    x = listen(how)
    x.say(subscribe(channel, since))
    if isinstance(channel, bytes):
        # It comes back as it was, which is no text.
        with pytest.raises(UnicodeDecodeError):
            x.next_frame()
    else:
        f = x.await_frame("SUBSCRIBE")
        assert f.verdict == verdict and f.channel == channel and f.position, f
    x.subscribe("keep:good")


def test_reserved_channels_are_for_backends(listen):
    x = listen("ws")
    x.say(subscribe("$sys:metrics"))
    assert x.await_frame("SUBSCRIBE").verdict == Wire.VERDICT_FORBIDDEN
    listen("tcp").subscribe("$sys:metrics")


@pytest.mark.parametrize("message, error", [
    (b"", Wire.ERROR_BAD_FRAME),
    (b"\0", Wire.ERROR_BAD_FRAME),
    (rcingest.ping()[:-1], Wire.ERROR_BAD_FRAME),
    (rcingest.ping() + b"\x04\0\0", Wire.ERROR_BAD_FRAME),
    (frame(Wire.FRAME_PING, b"12345678", reserved=1), Wire.ERROR_BAD_FRAME),
    (frame(Wire.FRAME_PING, b"", length=3), Wire.ERROR_BAD_FRAME),
    (frame(Wire.FRAME_PING, b"1234567"), Wire.ERROR_BAD_BODY),
    (frame(Wire.FRAME_SUBSCRIBE, b"\x05abc"), Wire.ERROR_BAD_BODY),
    (frame(Wire.FRAME_SUBSCRIBE, b"\x01a\0\0x"), Wire.ERROR_BAD_BODY),
    (frame(Wire.FRAME_PUBLISH, bytes(20)), Wire.ERROR_BAD_BODY),
    (frame(Wire.FRAME_AUTH, b"\xff\xffabc"), Wire.ERROR_BAD_BODY),
], ids=lambda v: v.hex()[:24] if isinstance(v, bytes) else str(v))
def test_broken_framing_is_said_and_closed_with_1002(shared_gateway, listen, message, error):
    before = shared_gateway.counter("close_protocol")
    x = listen()
    x.send(BINARY, message)
    while True:
        f = x.next_frame()
        if f.name == "ERROR":
            break
    assert f.code == error and f.text
    x.expect_close(1002)
    shared_gateway.until_counter("close_protocol", before + 1)


def test_a_text_message_is_closed_with_1003(listen):
    x = listen()
    x.send(TEXT, '{"type":"ping"}')
    x.expect_close(1003)


@pytest.mark.parametrize("sent, error", [
    (frame(99, b"?"), Wire.ERROR_UNKNOWN_TYPE),
    (frame(Wire.FRAME_EVENT, b""), Wire.ERROR_UNKNOWN_TYPE),
    (rcingest.hello(), Wire.ERROR_UNKNOWN_TYPE),
    (rcingest.batch([(1, "keep:a", "1")]), Wire.ERROR_UNKNOWN_TYPE),
    (frame(Wire.FRAME_PING, b"12345678", flags=1), Wire.ERROR_UNKNOWN_FLAGS),
    (rcingest.auth("x"), Wire.ERROR_NOT_SUPPORTED),
    (rcingest.refresh("x"), Wire.ERROR_BAD_REQUEST),
], ids=lambda v: v.hex()[:24] if isinstance(v, bytes) else str(v))
def test_a_frame_that_is_not_taken_is_said_and_the_client_lives(listen, sent, error):
    x = listen()
    x.say(sent, rcingest.ping(5))
    if sent[4] == Wire.FRAME_PING:
        assert x.next_frame().code == error
    else:
        x.expect_error(error)
    assert x.await_frame("PONG").token == 5


def test_many_frames_in_one_message_and_one_message_in_many_pieces(shared_gateway, listen, publisher):
    channels = [name() for _ in range(20)]
    x, p = listen(), publisher(shared_gateway)
    raw = b"".join(subscribe(c) for c in channels)
    x.send(BINARY, raw[:7], fin=False)
    for at in range(7, len(raw), 13):
        x.send(0, raw[at:at + 13], fin=at + 13 >= len(raw))
    assert [x.await_frame("SUBSCRIBE").channel for _ in channels] == channels
    for c in channels:
        p.publish(c, "1", wait=False)
    assert sorted(e.channel for e in x.take_events(20)) == sorted(channels)


def test_a_message_over_the_limit_is_closed_with_1009(listen):
    x = listen()
    x.send(BINARY, publish(1, "keep:a", b"x" * 70000, flags=0))
    x.expect_close(1009)


# ---- backends

def test_a_publisher_that_listens_hears_itself_and_is_acknowledged(shared_gateway, listen):
    channel = name()
    x = listen("tcp", "pub")
    x.subscribe(channel)
    for n in range(1, 51):
        x.publish(channel, str(n), wait=n % 10 == 0)
    assert [int(e.payload) for e in x.take_events(50)] == list(range(1, 51))


def test_a_broken_subscribe_ends_a_backend(listen):
    x = listen("tcp")
    x.say(frame(Wire.FRAME_SUBSCRIBE, b"\x09abc"))
    x.expect_error(Wire.ERROR_BAD_BODY, closes=True)


def test_acknowledgements_overtake_what_a_backend_has_not_read(gateway):
    g = gateway({**kept(), "heartbeat": "30s"})
    with Listener.greeted(g.ingest) as p:
        for n in range(1, 401):
            epoch = p.publish("keep:big", json.dumps("x" * 4000), wait=n == 400)
        with Listener.greeted(g.ingest) as x:
            x.subscribe("keep:big", "beginning", verdict=Wire.VERDICT_RECOVERED)
            assert x.publish("keep:other", "1")[1] == 1
            assert [e.offset for e in x.take_events(400, timeout=20)] == list(range(1, 401))


PAD = json.dumps("p" * 2000)


@pytest.mark.deadline(120)
@pytest.mark.parametrize("policy", ["disconnect", "skip"])
def test_a_backend_that_does_not_read_slows_nobody(gateway, policy):
    g = gateway({"namespace.slow.lag_bytes": "256KiB", "namespace.slow.lag_time": "0", "namespace.slow.slow_policy": policy})
    with Listener.greeted(g.ingest, rcvbuf=4096) as slow, Listener.greeted(g.ingest) as good, Listener.greeted(g.ingest) as p:
        slow.subscribe("slow:a")
        good.subscribe("other:a")
        counter = "lag_disconnects" if policy == "disconnect" else "lag_skips"
        while g.counter(counter) == 0:
            p.stream([("slow:a", PAD)] * 200, per_batch=50)
        good.publish("other:a", '"now"')
        assert good.next_event().payload == b'"now"'
        if policy == "disconnect":
            with pytest.raises(Closed):
                last = None
                while True:
                    last = slow.take(timeout=20)
            # Its last words may be lost with what it never read; where they come they are these.
            assert last.name in ("EVENT", "ERROR", "PING") and (last.name != "ERROR" or last.code == Wire.ERROR_TOO_SLOW)
            return
        epoch, end = p.publish("slow:a", '"end"')
        seen, missed, first = 0, 0, 0
        while seen + missed < end:
            f = slow.take(timeout=20)
            if f.name == "EVENT":
                seen += 1
                assert f.offset == seen + missed, "what is missing was told before"
            elif f.name == "GAP":
                assert f.channel == "slow:a" and f.reason == Wire.GAP_SLOW
                missed += f.missed
                assert f.position == f"{epoch}@{seen + missed}"
        assert missed


def services(folder, text):
    path = os.path.join(folder, "services")
    with open(path + ".new", "w") as f:
        f.write(text)
    os.replace(path + ".new", path)
    return {"auth.services": path}


def test_the_scope_read_or_backend_is_needed_and_may_be_taken_away(gateway, folder):
    lines = ["writer token:0123456789abcdef-w publish", "reader token:0123456789abcdef-r publish {}", "back token:0123456789abcdef-b backend"]
    g = gateway(services(folder, "\n".join(lines).format("read") + "\n"))
    with Listener.greeted(g.ingest, token="0123456789abcdef-w") as writer, Listener.greeted(g.ingest, token="0123456789abcdef-r") as reader, \
            Listener.greeted(g.ingest, token="0123456789abcdef-b") as back:
        writer.subscribe("news", verdict=Wire.VERDICT_FORBIDDEN)
        reader.subscribe("news")
        back.subscribe("news")
        writer.publish("news", "1")
        assert reader.next_event().payload == back.next_event().payload == b"1"
        services(folder, "\n".join(lines).format("") + "\n")
        f = reader.await_frame("SUBSCRIBE", timeout=20)
        assert f.off and f.channel == "news" and f.verdict == Wire.VERDICT_FORBIDDEN
        writer.publish("news", "2")
        assert back.next_event().payload == b"2"
        reader.quiet()


def test_when_the_gateway_stops_clients_are_told_when_to_come_back(gateway):
    g = gateway({"reconnect_jitter": "5s"})
    with BinClient.greeted(g.http) as x:
        g.signal(signal.SIGTERM)
        f = x.await_frame("BYE")
        assert f.code == Wire.BYE_SHUTDOWN and 0 < f.after <= 5000
        x.expect_close(1012)


# ---- who it is

def test_a_token_comes_as_the_first_frame_and_is_renewed(gateway):
    g = gateway(rcjwt.settings(**{"auth.anonymous": "no", "namespace.seen.presence": "yes", "namespace.seen.join_leave": "yes"}))
    token = rcjwt.make(sub="anna", channels=["a:*", "seen:*"])
    with BinClient.greeted(g.http, first=rcingest.auth(token)) as x:
        assert x.welcome.user == "anna" and x.welcome.expires
        with Listener.greeted(g.ingest) as back:
            back.subscribe("seen:a")
            x.subscribe("seen:a")
            # What the gateway itself says is marked. A backend looks on and is not there.
            for f in (back.next_event(), x.next_event()):
                assert f.own and f.json and f.event == "join" and f.channel == "seen:a" and f.offset == 1, f
                data = json.loads(f.payload)
                assert data["users"] == [{"user": "anna"}] and data["clients"] == 1 and data["anonymous"] == 0
        x.unsubscribe("seen:a")
        x.subscribe("a:1")
        x.say(subscribe("b:1"))
        assert x.await_frame("SUBSCRIBE").verdict == Wire.VERDICT_FORBIDDEN
        x.say(rcingest.auth(token))
        x.expect_error(Wire.ERROR_BAD_REQUEST)
        x.say(rcingest.refresh("a.b.c"))
        x.expect_error(Wire.ERROR_TOKEN_REFUSED)
        x.say(rcingest.refresh(rcjwt.make(sub="anna", channels=["b:*"], lifetime=7200)))
        assert x.await_frame("REFRESH").expires > x.welcome.expires
        f = x.await_frame("SUBSCRIBE")
        assert f.off and f.channel == "a:1" and f.verdict == Wire.VERDICT_FORBIDDEN
        x.subscribe("b:1")
    with BinClient.open(g.http, headers=PROTOCOL) as x:
        x.begin_listening()
        x.waiting = []
        x.send(BINARY, subscribe("a:1"))
        assert x.next_frame().name == "SUBSCRIBE"
        x.expect_close(4001)
