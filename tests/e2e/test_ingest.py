# SPDX-License-Identifier: Apache-2.0
"""The binary ingest protocol: greeting, publishing in every form, acknowledgements, refusals, idempotency, back-pressure."""
import json
import random
import socket
import struct
import threading

import pytest

import rcingest
from deadline import SLOW, background, eventually
from rcingest import Frame, Publisher, Wire, batch, broadcast, frame, hello, publish
from rcws import Closed

KIB = 1 << 10


def events_of(ws, count):
    return [ws.next_event() for _ in range(count)]


def assert_contiguous(events, first=1):
    assert [e["offset"] for e in events] == list(range(first, first + len(events)))


# ---- HELLO

@pytest.mark.tsan
def test_the_gateway_answers_hello_with_its_version_and_limits(shared_gateway, publisher):
    w = publisher(shared_gateway).welcome
    assert w.version == 1 and w.server
    assert w.last_sequence == 0
    assert w.frame_max >= Wire.FRAME_MAX_FLOOR and w.message_max == 64 * KIB and w.credit >= 16


@pytest.mark.parametrize("ident", ["", "a", "A-Z_a.z:0", "x" * 64])
def test_publisher_ids_of_all_allowed_characters(shared_gateway, publisher, ident):
    p = publisher(shared_gateway, ident)
    assert p.publish("hello:ids")[1] > 0


@pytest.mark.parametrize("ident", ["a b", "ä", "x" * 65, "a\0", "a/b"])
def test_a_publisher_id_that_is_none_is_refused(shared_gateway, ident):
    with Publisher.open(shared_gateway.ingest) as p:
        p.send_bytes(hello(ident))
        p.expect_error(Wire.ERROR_BAD_HELLO, closes=True)


def test_another_magic_is_refused(shared_gateway):
    with Publisher.open(shared_gateway.ingest) as p:
        p.send_bytes(hello(magic=b"HTTP"))
        p.expect_error(Wire.ERROR_BAD_HELLO, closes=True)


@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_version_is_refused_and_says_which_is_spoken(shared_gateway, version):
    with Publisher.open(shared_gateway.ingest) as p:
        p.send_bytes(hello(version=version))
        assert "1" in p.expect_error(Wire.ERROR_VERSION, closes=True).text


def test_what_a_later_version_appends_to_hello_is_passed_over(shared_gateway):
    with Publisher.open(shared_gateway.ingest) as p:
        p.send_bytes(hello("later", more=b"something new"))
        assert p.recv_frame().name == "HELLO"


@pytest.mark.parametrize("cut", range(1, 20, 3))
def test_a_hello_cut_short_is_refused(shared_gateway, cut):
    body = hello("abc", "token")[8:]
    with Publisher.open(shared_gateway.ingest) as p:
        p.send_bytes(frame(Wire.FRAME_HELLO, body[:len(body) - cut]))
        p.expect_error(Wire.ERROR_BAD_HELLO, closes=True)


@pytest.mark.parametrize("first", [rcingest.ping(), publish(1, "a"), rcingest.bye()], ids=["PING", "PUBLISH", "BYE"])
def test_anything_before_hello_is_refused(shared_gateway, first):
    with Publisher.open(shared_gateway.ingest) as p:
        p.send_bytes(first)
        p.expect_error(Wire.ERROR_HELLO_EXPECTED, closes=True)


def test_a_second_hello_is_refused(shared_gateway, publisher):
    p = publisher(shared_gateway)
    p.send_bytes(hello())
    p.expect_error(Wire.ERROR_HELLO_EXPECTED, closes=True)


def test_http_on_the_ingest_port_is_refused(shared_gateway):
    with Publisher.open(shared_gateway.ingest) as p:
        p.send_bytes(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        error = p.expect("ERROR")
        assert error.code in (Wire.ERROR_FRAME_TOO_LARGE, Wire.ERROR_BAD_FRAME)
        p.expect_end()


def test_hello_may_come_byte_by_byte_with_events_behind_it(shared_gateway):
    with Publisher.open(shared_gateway.ingest) as p:
        for byte in hello("bytes") + publish(1, "hello:bytes", flags=Wire.FLAG_JSON | Wire.FLAG_WANT_ACK):
            p.send_bytes(bytes([byte]))
        assert p.recv_frame().name == "HELLO"
        p.settle(1)


def test_events_may_come_in_one_write_with_hello(shared_gateway):
    with Publisher.open(shared_gateway.ingest) as p:
        p.send_bytes(hello("eager") + b"".join(publish(i, "hello:eager") for i in range(1, 11)))
        assert p.recv_frame().name == "HELLO"
        p.settle(10)


def test_without_hello_in_time_the_connection_ends(gateway):
    g = gateway({"handshake_timeout": "500ms"})
    with Publisher.open(g.ingest) as p:
        p.send_bytes(hello()[:10])
        p.expect_error(Wire.ERROR_TIMEOUT, closes=True)
    g.until_counter("connections", 0)


def test_the_token_is_required_where_one_is_set(gateway, publisher):
    g = gateway({"ingest.token": "s3cret"})
    for wrong in ("", "S3cret", "s3cre", "s3cret ", "x" * 60000):
        with Publisher.open(g.ingest) as p:
            p.send_bytes(hello("a", wrong))
            p.expect_error(Wire.ERROR_UNAUTHORIZED, closes=True)
    p = publisher(g, "a", token="s3cret")
    p.publish("token:ok")
    assert "s3cret" not in g.log


def test_a_token_where_none_is_set_is_no_matter(shared_gateway, publisher):
    publisher(shared_gateway, token="whatever").publish("token:none")


# ---- publishing

@pytest.mark.tsan
def test_offsets_count_from_one_in_each_channel(shared_gateway, publisher):
    p = publisher(shared_gateway)
    for n in range(1, 6):
        for c in range(5):
            epoch, offset = p.publish(f"offsets:{c}")
            assert offset == n and epoch


def test_an_event_without_subscribers_is_sequenced_all_the_same(shared_gateway, publisher, connect):
    p = publisher(shared_gateway)
    p.stream([("nobody", str(i)) for i in range(100)])
    ws = connect(shared_gateway)
    assert ws.subscribe("nobody")["data"]["positions"]["nobody"].endswith("@100")
    assert p.publish("nobody")[1] == 101
    assert ws.next_event()["offset"] == 101


def test_pipelined_events_come_in_order_and_are_acknowledged_cumulatively(shared_gateway, publisher, connect):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("pipe")
    n = 3000
    p.stream([("pipe", str(i)) for i in range(n)])
    assert p.acked == n and not p.nacks
    got = events_of(ws, n)
    assert_contiguous(got)
    assert [e["data"] for e in got] == list(range(n))


@pytest.mark.parametrize("size", [1, 2, 64, 1000])
def test_a_batch_is_acknowledged_and_comes_in_order(shared_gateway, publisher, connect, size):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    channel = f"batch:{size}"
    ws.subscribe(channel)
    p.send_bytes(batch([(i + 1, channel, str(i)) for i in range(size)]))
    p.settle(size)
    got = events_of(ws, size)
    assert_contiguous(got)
    assert [e["data"] for e in got] == list(range(size))


def test_a_batch_over_many_channels(shared_gateway, publisher, connect):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe(*(f"wide:{i}" for i in range(100)))
    p.send_bytes(batch([(i + 1, f"wide:{i % 100}", str(i)) for i in range(500)]))
    p.settle(500)
    got = {}
    for e in events_of(ws, 500):
        got.setdefault(e["channel"], []).append((e["offset"], e["data"]))
    assert got == {f"wide:{c}": [(n + 1, c + 100 * n) for n in range(5)] for c in range(100)}


def test_a_position_in_the_acknowledgement_is_the_one_of_the_event(shared_gateway, publisher, connect):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    start = ws.subscribe("where")["data"]["positions"]["where"]
    flags = Wire.FLAG_JSON | Wire.FLAG_POSITION
    p.send_bytes(b"".join(publish(i, "where", str(i), flags=flags) for i in range(1, 101)))
    p.settle(100)
    epoch = start.split("@")[0]
    assert {s: o for s, (e, o) in p.positions.items() if e == epoch} == {i: i for i in range(1, 101)}
    for e in events_of(ws, 100):
        assert e["offset"] == p.positions[e["data"]][1]


def test_a_batch_with_positions_tells_each(shared_gateway, publisher):
    p = publisher(shared_gateway)
    p.send_bytes(batch([(i, "each", "1") for i in range(1, 21)], flags=Wire.FLAG_JSON | Wire.FLAG_POSITION))
    p.settle(20)
    assert {s: o for s, (_, o) in p.positions.items()} == {i: i for i in range(1, 21)}


def test_sequences_may_have_holes(shared_gateway, publisher):
    p = publisher(shared_gateway)
    for s in (5, 6, 100, 2**40, 2**63, 2**64 - 2):
        p.send_bytes(publish(s, "holes", flags=Wire.FLAG_JSON | Wire.FLAG_WANT_ACK))
        p.settle(s)
        assert p.acked == s


@pytest.mark.parametrize("size", [1, 2, 1000, 4095, 4096, 4097, 65535, 65536])
def test_payloads_up_to_the_limit(shared_gateway, publisher, connect, size):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("size")
    payload = json.dumps("x" * (size - 2)) if size >= 2 else "1" * size
    p.publish("size", payload)
    assert ws.next_event()["data"] == json.loads(payload)


def test_events_byte_by_byte_and_in_odd_pieces(shared_gateway, publisher, connect):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("pieces")
    rng = random.Random(1)
    raw = b"".join(publish(i, "pieces", json.dumps("y" * rng.randrange(3000))) for i in range(1, 101)) \
        + batch([(i, "pieces", "1") for i in range(101, 151)])
    at = 0
    while at < len(raw):
        n = rng.choice([1, 1, 3, 8, 100, 4000, 5000])
        p.send_bytes(raw[at:at + n])
        at += n
    p.settle(150)
    assert_contiguous(events_of(ws, 150))


def test_a_ping_is_answered_with_its_token(shared_gateway, publisher):
    p = publisher(shared_gateway)
    for token in (0, 1, 2**64 - 1):
        p.send_bytes(rcingest.ping(token))
        assert p.expect("PONG").token == token


def test_a_broadcast_reaches_every_client(shared_gateway, publisher, connect):
    clients, p = [connect(shared_gateway) for _ in range(20)], publisher(shared_gateway)
    clients[0].subscribe("something")
    p.send_bytes(broadcast(1, '{"to":"all"}', event="notice", flags=Wire.FLAG_JSON | Wire.FLAG_WANT_ACK))
    p.settle(1)
    for ws in clients:
        m = ws.next_event()
        assert m["event"] == "notice" and m["data"] == {"to": "all"}
    # Whoever comes later has missed it.
    late = connect(shared_gateway)
    late.barrier()
    assert late.events == []


def test_broadcasts_of_one_publisher_keep_their_order(shared_gateway, publisher, connect):
    clients, p = [connect(shared_gateway) for _ in range(8)], publisher(shared_gateway)
    p.send_bytes(b"".join(broadcast(i, str(i)) for i in range(1, 201)))
    p.settle(200)
    for ws in clients:
        assert [ws.next_event()["data"] for _ in range(200)] == list(range(1, 201))


def test_flags_for_what_needs_a_journal_are_refused_without_one(shared_gateway, publisher):
    p = publisher(shared_gateway)
    p.send_bytes(publish(1, "durable", flags=Wire.FLAG_JSON | Wire.FLAG_DURABLE | Wire.FLAG_WANT_ACK))
    p.settle(1)
    assert p.nacks[1].code == Wire.NACK_NOT_SUPPORTED


# ---- refusals of one event

REFUSED = {
    "a channel with a space": (dict(channel="a b"), "BAD_CHANNEL"),
    "no channel": (dict(channel=""), "BAD_CHANNEL"),
    "a pattern for a channel": (dict(channel="a:*"), "BAD_CHANNEL"),
    "a channel that is no text": (dict(channel=b"\xff\xfe"), "BAD_CHANNEL"),
    "the gateway's own channel": (dict(channel="$sys:metrics"), ("BAD_CHANNEL", "FORBIDDEN")),
    "no event name": (dict(event=""), "BAD_EVENT"),
    "an event name of 129 bytes": (dict(event="x" * 129), "BAD_EVENT"),
    "an event name that is no text": (dict(event=b"\xff"), "BAD_EVENT"),
    "an event name with a control byte": (dict(event="a\nb"), "BAD_EVENT"),
    "no payload where JSON is flagged": (dict(payload=""), "BAD_PAYLOAD"),
    "a payload that is no JSON": (dict(payload="{"), "BAD_PAYLOAD"),
    "a payload of two JSON texts": (dict(payload="1 2"), "BAD_PAYLOAD"),
    "a payload that is no UTF-8": (dict(payload=b'"\xff"'), "BAD_PAYLOAD"),
    "a payload over the limit": (dict(payload='"' + "x" * 65536 + '"'), "TOO_LARGE"),
    "an opaque payload over the limit": (dict(payload=b"\0" * 65537, flags=Wire.FLAG_WANT_ACK), "TOO_LARGE"),
}


# A batch has one set of flags, so what needs others of its own stands alone.
@pytest.mark.parametrize("form,what", [("single", w) for w in REFUSED]
                         + [("batched", w) for w, (change, _) in REFUSED.items() if "flags" not in change])
def test_an_event_that_is_refused_harms_no_other(shared_gateway, publisher, connect, what, form):
    change, codes = REFUSED[what]
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("others")
    bad = dict(channel="others", payload="0", event="e", timestamp=0, flags=Wire.FLAG_JSON) | change
    if form == "single":
        p.send_bytes(publish(1, "others", "1") + publish(2, **bad) + publish(3, "others", "3"))
    else:
        good = dict(channel="others", event="e", timestamp=0)
        p.send_bytes(batch([(s, e["channel"], e["payload"], e["event"], 0)
                            for s, e in ((1, {**good, "payload": "1"}), (2, bad), (3, {**good, "payload": "3"}))]))
    p.settle(3)
    assert list(p.nacks) == [2] and p.acked == 3
    codes = codes if isinstance(codes, tuple) else (codes,)
    assert p.nacks[2].code in [getattr(Wire, "NACK_" + c) for c in codes], p.nacks[2]
    assert p.nacks[2].text
    got = events_of(ws, 2)
    assert [e["data"] for e in got] == [1, 3] and got[1]["offset"] == got[0]["offset"] + 1
    # The name may be used again at once: nothing of the refused one is left.
    p.sequence = 3
    p.publish("others", "4")
    assert ws.next_event()["data"] == 4


# ---- refusals of a frame

@pytest.mark.parametrize("kind", [0, Wire.FRAME_COMMAND, Wire.FRAME_EVENT, 100, 255])
def test_an_unknown_type_is_an_error_and_the_connection_lives(shared_gateway, publisher, kind):
    p = publisher(shared_gateway)
    p.send_bytes(frame(kind, b"whatever") + publish(1, "alive"))
    assert p.expect("ERROR").code == Wire.ERROR_UNKNOWN_TYPE
    p.settle(1)


@pytest.mark.parametrize("raw,refused", [
    (publish(1, "a", flags=0x81), [1]), (batch([(1, "a", "1"), (2, "a", "2")], flags=0x41), [1, 2]),
    (broadcast(1, flags=0x21), [1]), (frame(Wire.FRAME_PING, b"\0" * 8, flags=1), [])],
    ids=["PUBLISH", "BATCH", "BROADCAST", "PING"])
def test_an_unknown_flag_is_an_error_its_events_are_refused_and_the_connection_lives(shared_gateway, publisher, raw, refused):
    p = publisher(shared_gateway)
    p.send_bytes(raw + publish(3, "alive"))
    errors = []
    while not p.decided(3) or not errors:
        f = p.take()
        errors += [f.code] if f.name == "ERROR" else []
    assert errors == [Wire.ERROR_UNKNOWN_FLAGS]
    assert {s: f.code for s, f in p.nacks.items()} == dict.fromkeys(refused, Wire.NACK_NOT_SUPPORTED)


@pytest.mark.parametrize("kind", [Wire.FRAME_ACK, Wire.FRAME_NACK])
def test_a_frame_that_only_the_gateway_sends_is_an_error(shared_gateway, publisher, kind):
    p = publisher(shared_gateway)
    p.send_bytes(frame(kind, struct.pack("<Q", 1)))
    assert p.expect("ERROR").code in (Wire.ERROR_UNKNOWN_TYPE, Wire.ERROR_BAD_BODY)


BROKEN_BODIES = {
    "a publish without anything": frame(Wire.FRAME_PUBLISH, b""),
    "a publish cut in its channel": frame(Wire.FRAME_PUBLISH, struct.pack("<QB", 1, 200) + b"abc"),
    "a publish with sequence 0": publish(0, "a"),
    "a batch of none": batch([]),
    "a batch with fewer than it says": batch([(1, "a", "1")], count=2),
    "a batch with more than it says": batch([(1, "a", "1"), (2, "a", "1")], count=1),
    "a batch whose sequences fall": batch([(2, "a", "1"), (1, "a", "1")]),
    "a batch with one sequence twice": batch([(1, "a", "1"), (1, "a", "1")]),
    "a batch whose payload length lies": frame(Wire.FRAME_BATCH, struct.pack("<HQ", 1, 1) + rcingest.short("a") + rcingest.short("e")
                                               + struct.pack("<QI", 0, 1 << 31) + b"x"),
    "a ping of three bytes": frame(Wire.FRAME_PING, b"abc"),
    "a ping of nine bytes": frame(Wire.FRAME_PING, b"123456789"),
    "a bye of one byte": frame(Wire.FRAME_BYE, b"x"),
}


@pytest.mark.parametrize("what", BROKEN_BODIES)
def test_a_body_that_cannot_be_read_ends_the_connection_after_what_came_before(shared_gateway, publisher, connect, what):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("before", "a")
    p.send_bytes(publish(1, "before", "1") + BROKEN_BODIES[what] + publish(9, "before", "9"))
    p.expect_error(Wire.ERROR_BAD_BODY, closes=True)
    assert p.acked == 1, "what came before the broken frame was taken, so it is acknowledged"
    assert ws.next_event()["data"] == 1
    ws.barrier()
    assert ws.events == [], "nothing of a broken frame, or behind it, is published"


def test_a_length_below_four_ends_the_connection(shared_gateway, publisher):
    for length in (0, 3):
        p = publisher(shared_gateway)
        p.send_bytes(publish(1, "before") + frame(Wire.FRAME_PING, b"\0" * 8, length=length))
        p.expect_error(Wire.ERROR_BAD_FRAME, closes=True)
        assert p.acked == 1


def test_reserved_bits_end_the_connection(shared_gateway, publisher):
    p = publisher(shared_gateway)
    p.send_bytes(publish(1, "before") + frame(Wire.FRAME_PING, b"\0" * 8, reserved=1))
    p.expect_error(Wire.ERROR_BAD_FRAME, closes=True)
    assert p.acked == 1


@pytest.mark.parametrize("length", ["one more", 1 << 31, (1 << 32) - 1])
def test_a_frame_over_the_limit_ends_the_connection_before_it_has_come(shared_gateway, publisher, length):
    p = publisher(shared_gateway)
    if length == "one more":
        length = p.welcome.frame_max - 3
    p.send_bytes(publish(1, "before") + struct.pack("<IBBH", length, Wire.FRAME_BATCH, Wire.FLAG_JSON, 0))
    p.expect_error(Wire.ERROR_FRAME_TOO_LARGE, closes=True)
    assert p.acked == 1


def test_a_batch_of_exactly_the_largest_frame_is_taken(shared_gateway, publisher):
    p = publisher(shared_gateway)
    room = p.welcome.frame_max - 10
    events, s = [], 1
    while room > 0:
        # 8 + 2 + 2 + 8 + 4 bytes are around the payload.
        n = min(room - 24, 60000) if room - 24 - 60000 >= 26 or room - 24 <= 60000 else 30000
        events.append((s, "a", '"' + "x" * (n - 2) + '"'))
        room -= n + 24
        s += 1
    raw = batch(events)
    assert len(raw) == p.welcome.frame_max
    p.send_bytes(raw)
    p.settle(s - 1)
    assert not p.nacks


def test_refusals_are_counted(shared_gateway, publisher):
    before = shared_gateway.counters()
    p = publisher(shared_gateway)
    p.send_bytes(publish(1, "a b") + publish(2, "counted"))
    p.settle(2)
    shared_gateway.until_counter("ingest_nacks", lambda n: n >= before["ingest_nacks"] + 1)
    shared_gateway.until_counter("events_published", lambda n: n >= before["events_published"] + 1)


# ---- idempotency

@pytest.mark.tsan
def test_a_sequence_that_was_taken_is_acknowledged_again_and_not_published_again(shared_gateway, publisher, connect):
    ws, p = connect(shared_gateway), publisher(shared_gateway, "again")
    ws.subscribe("once")
    for i in range(1, 11):
        p.publish("once", str(i))
    p.send_bytes(b"".join(publish(i, "once", str(i), flags=Wire.FLAG_JSON | Wire.FLAG_WANT_ACK) for i in range(1, 11)))
    p.publish("once", "11")
    assert [e["data"] for e in events_of(ws, 11)] == list(range(1, 12))


def test_a_publisher_that_comes_back_is_told_its_last_sequence(shared_gateway, publisher):
    p = publisher(shared_gateway, "back")
    p.stream([("back", "1")] * 37)
    p.drop()
    # On whatever shard it lands.
    for _ in range(8):
        again = publisher(shared_gateway, "back")
        assert again.welcome.last_sequence == 37
        again.drop()


def test_a_publisher_that_comes_back_may_resend_everything(shared_gateway, publisher, connect):
    ws = connect(shared_gateway)
    ws.subscribe("resend:1", "resend:2")
    events = [(i, f"resend:{1 + i % 2}", str(i)) for i in range(1, 401)]
    taken = 0
    for round_ in range(1, 9):
        p = publisher(shared_gateway, "resender")
        assert p.welcome.last_sequence == taken
        taken = 50 * round_
        # From the start each time, half in batches.
        if round_ % 2:
            p.send_bytes(b"".join(publish(*e) for e in events[:taken]))
        else:
            p.send_bytes(b"".join(batch(events[i:i + 30]) for i in range(0, taken - 29, 30)) + batch(events[taken - taken % 30:taken])
                         if taken % 30 else b"".join(batch(events[i:i + 30]) for i in range(0, taken, 30)))
        p.settle(taken)
        assert not p.nacks
        p.drop()
    got = {}
    for e in events_of(ws, 400):
        got.setdefault(e["channel"], []).append(e["data"])
    assert got == {"resend:1": list(range(2, 401, 2)), "resend:2": list(range(1, 401, 2))}
    ws.barrier()
    assert ws.events == []


def test_two_publisher_ids_do_not_know_each_others_sequences(shared_gateway, publisher, connect):
    ws, a, b = connect(shared_gateway), publisher(shared_gateway, "id-a"), publisher(shared_gateway, "id-b")
    ws.subscribe("ids")
    a.publish("ids", '"a"')
    b.publish("ids", '"b"')
    assert sorted(e["data"] for e in events_of(ws, 2)) == ["a", "b"]


def test_without_an_id_every_connection_counts_for_itself(shared_gateway, publisher, connect):
    ws = connect(shared_gateway)
    ws.subscribe("anonymous")
    for _ in range(3):
        p = publisher(shared_gateway)
        assert p.welcome.last_sequence == 0
        p.publish("anonymous")
        p.drop()
    assert_contiguous(events_of(ws, 3))


def test_a_second_connection_with_the_same_id_replaces_the_first(shared_gateway, publisher, connect):
    ws = connect(shared_gateway)
    ws.subscribe("replaced")
    first = publisher(shared_gateway, "twin")
    first.publish("replaced", "1")
    second = publisher(shared_gateway, "twin")
    assert second.welcome.last_sequence == 1
    byes = []
    try:
        while True:
            f = first.take()
            if f.name == "BYE":
                byes.append(f.code)
    except Closed:
        pass
    assert byes == [Wire.BYE_REPLACED]
    second.publish("replaced", "2")
    assert [e["data"] for e in events_of(ws, 2)] == [1, 2]


@pytest.mark.tsan
@pytest.mark.deadline(120)
def test_a_publisher_killed_in_mid_batch_resumes_with_nothing_lost_and_nothing_twice(shared_gateway, publisher, connect):
    rng = random.Random(7)
    total = 6000
    ws = connect(shared_gateway)
    ws.subscribe(*(f"killed:{c}" for c in range(5)))
    got, failure = {c: [] for c in range(5)}, []

    def read():
        try:
            for _ in range(total):
                e = ws.next_event(timeout=60)
                got[int(e["channel"][7:])].append((e["offset"], e["data"]))
        except BaseException as e:  # noqa: BLE001, shown by the test
            failure.append(e)

    reader = threading.Thread(target=read)
    reader.start()
    events = [(i, f"killed:{i % 5}", str(i)) for i in range(1, total + 1)]
    known = 0
    for kill in range(1000):
        p = Publisher.greeted(shared_gateway.ingest, "killed", last=known)
        try:
            assert p.welcome.last_sequence >= known, "what was acknowledged is held"
            known = p.welcome.last_sequence
            if known == total:
                break
            rest = events[known:known + 400]
            raw = b"".join(batch(rest[i:i + 64]) for i in range(0, len(rest), 64)) if kill % 2 \
                else b"".join(publish(*e) for e in rest)
            # Cut anywhere, at times behind the end.
            cut = rng.randrange(len(raw) * 5 // 4)
            p.send_bytes(raw[:cut])
            if rng.random() < 0.5:
                p.reset()
            elif rng.random() < 0.5:
                p.sock.shutdown(socket.SHUT_WR)
                p.expect_end()
                known = max(known, p.acked)
        finally:
            p.drop()
    reader.join(60 * SLOW)
    assert not failure, failure
    assert not reader.is_alive()
    for c in range(5):
        assert got[c] == [(n, 5 * n if c == 0 else 5 * (n - 1) + c) for n in range(1, total // 5 + 1)]


def test_ids_are_forgotten_after_their_time(gateway, publisher):
    g = gateway({"ingest.publisher_ttl": "1s"})
    p = publisher(g, "forgotten")
    p.publish("a")
    p.drop()

    def forgotten():
        with Publisher.greeted(g.ingest, "forgotten") as again:
            return again.welcome.last_sequence == 0

    # Asking is a use, so ask less often than the time.
    eventually(forgotten, "the id is forgotten", every=2.5)


# ---- many publishers

@pytest.mark.tsan
@pytest.mark.deadline(120)
def test_offsets_are_contiguous_with_several_publishers_on_several_connections(shared_gateway, publisher, connect):
    publishers, each, channels = 8, 500, 4
    clients = [connect(shared_gateway) for _ in range(4)]
    for ws in clients:
        ws.subscribe(*(f"many:{c}" for c in range(channels)))
    failure = []

    def run(n):
        try:
            with Publisher.greeted(shared_gateway.ingest, f"many-{n}") as p:
                p.stream([(f"many:{i % channels}", json.dumps([n, i])) for i in range(each)], per_batch=0 if n % 2 else 17)
                assert not p.nacks
        except BaseException as e:  # noqa: BLE001, shown by the test
            failure.append(e)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(publishers)]
    for t in threads:
        t.start()
    streams = []
    for ws in clients:
        got = {}
        for _ in range(publishers * each):
            _, raw = ws.recv(timeout=60)
            e = json.loads(raw)
            got.setdefault(e["channel"], []).append((e["offset"], tuple(e["data"]), raw))
        streams.append(got)
    for t in threads:
        t.join(60 * SLOW)
    assert not failure, failure
    for got in streams:
        # Byte for byte what everybody else got, in the same order.
        assert got == streams[0]
    for c in range(channels):
        stream = streams[0][f"many:{c}"]
        assert [o for o, _, _ in stream] == list(range(1, publishers * each // channels + 1))
        for n in range(publishers):
            mine = [i for _, (m, i), _ in stream if m == n]
            assert mine == sorted(mine), "what one publisher sends to one channel keeps its order"


def test_one_publisher_more_than_allowed_is_told_so(gateway, publisher):
    g = gateway({"ingest.max_publishers": 3})
    held = [publisher(g, f"p{i}") for i in range(3)]
    with Publisher.open(g.ingest) as p:
        p.send_bytes(hello("one-more"))
        p.expect_error(Wire.ERROR_OVER_CAPACITY, closes=True)
    held[0].drop()

    def room():
        with Publisher.open(g.ingest) as again:
            again.send_bytes(hello("again"))
            return again.recv_frame().name == "HELLO"

    eventually(room, "the place of the one that left is free")
    held[1].publish("still:fine")


# ---- credit

def test_a_publisher_that_overruns_its_credit_waits_and_loses_nothing(gateway, publisher, connect):
    g = gateway({"ingest.window": 16})
    ws, p = connect(g), publisher(g)
    assert p.welcome.credit == 16
    ws.subscribe("flood")
    n = 4000
    raw = b"".join(publish(i, "flood", str(i)) for i in range(1, n + 1))
    done = threading.Event()

    def send():
        p.sock.settimeout(60 * SLOW)
        p.sock.sendall(raw)
        done.set()

    # No look at the credit at all: the socket's window must do it.
    sender = threading.Thread(target=send)
    sender.start()
    try:
        got = events_of(ws, n)
    finally:
        sender.join(60 * SLOW)
    assert done.is_set()
    p.settle(n)
    assert not p.nacks
    assert_contiguous(got)


def test_a_publisher_that_does_not_read_its_answers_harms_nobody(gateway, publisher, connect):
    g = gateway({"ingest.window": 16})
    ws = connect(g)
    ws.subscribe("fine")
    deaf = Publisher.greeted(g.ingest, "deaf", rcvbuf=4096)
    try:
        deaf.sock.settimeout(0.2)
        raw = b"".join(publish(i, "a b", "1", flags=Wire.FLAG_JSON | Wire.FLAG_WANT_ACK) for i in range(1, 20001))
        try:
            deaf.sock.sendall(raw)
        except (TimeoutError, OSError):
            pass
        p = publisher(g, "fine")
        for i in range(50):
            p.publish("fine", str(i))
            assert ws.next_event()["data"] == i
    finally:
        deaf.drop()
    g.until_counter("publishers", 1)


# ---- heartbeats

def test_a_publisher_that_answers_pings_stays_and_one_that_does_not_is_closed(gateway, publisher):
    g = gateway({"heartbeat": "300ms"})
    answers = publisher(g, "answers")

    def answer():
        pings = 0
        # The other one is closed after two or three.
        while pings < 8:
            pings += answers.take().name == "PING"

    with background(answer), Publisher.greeted(g.ingest, "silent") as silent:
        names = []
        try:
            while True:
                f = silent.recv_frame()
                names.append(f.name)
                if f.name == "ERROR":
                    assert f.code == Wire.ERROR_TIMEOUT
        except Closed:
            pass
        assert names[0] == "PING" and names[-1] == "ERROR"
    answers.publish("still:here")


# ---- the end

def test_bye_ends_after_everything_is_acknowledged(shared_gateway, publisher, connect):
    ws, p = connect(shared_gateway), publisher(shared_gateway)
    ws.subscribe("bye")
    p.send_bytes(b"".join(publish(i, "bye", str(i)) for i in range(1, 501)) + rcingest.bye())
    p.expect_end()
    assert p.acked == 500
    assert_contiguous(events_of(ws, 500))


def test_a_half_closed_publisher_gets_its_acknowledgements(shared_gateway, publisher):
    p = publisher(shared_gateway)
    p.send_bytes(b"".join(publish(i, "half", str(i)) for i in range(1, 501)))
    p.sock.shutdown(socket.SHUT_WR)
    p.expect_end()
    assert p.acked == 500


def test_publishers_leave_nothing_behind(shared_gateway, publisher):
    for i in range(100):
        p = publisher(shared_gateway, f"leaving-{i % 10}")
        p.send_bytes(publish(p.welcome.last_sequence + 1, "leaving")[:i])
        if i % 2:
            p.reset()
        else:
            p.drop()
    shared_gateway.until_counter("publishers", 0)
    shared_gateway.until_counter("connections", 0)


def test_the_frames_of_the_gateway_parse_to_their_last_byte(shared_gateway, publisher):
    # Frame checks each; here one of each kind is provoked.
    p = publisher(shared_gateway, "kinds")
    p.send_bytes(publish(1, "kinds", flags=Wire.FLAG_JSON | Wire.FLAG_POSITION | Wire.FLAG_WANT_ACK) + publish(2, "no channel") + rcingest.ping(5)
                 + frame(99) + rcingest.bye())
    seen = set()
    try:
        while True:
            f = p.recv_frame()
            assert isinstance(f, Frame)
            seen.add(f.name)
    except Closed:
        pass
    assert {"ACK", "NACK", "PONG", "ERROR"} <= seen
