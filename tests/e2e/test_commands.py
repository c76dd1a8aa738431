# SPDX-License-Identifier: Apache-2.0
"""Commands of clients to backends: who gets which, what is answered and when, what becomes of those that a backend leaves behind."""
import contextlib
import json
import os
import select
import signal
import threading

import pytest

import rcapi
import rcjwt
from deadline import eventually
from rcbackend import FIELD, USER, Backend, assign, entry, flow, knows, register, reply
from rcingest import Wire, frame
from rcsse import SseClient

ANYONE = {"auth.allow_command": "anyone"}


@pytest.fixture
def backend():
    """backend(g, "chat:send", credit=1) is registered."""
    opened = []

    def open_backend(g, *entries, **options):
        b = Backend.registered(g.ingest, *entries, **options)
        opened.append(b)
        return b
    yield open_backend
    for b in opened:
        b.drop()


def ask(client, number, action=None, **fields):
    client.say(type=fields.pop("type", "command"), id=number, **{"action": action} if "payload" not in fields else {}, **fields)


def answer(client, number):
    m = client.await_type("reply", "error")
    assert m.get("id") == number, m
    return m


@contextlib.contextmanager
def answering(backends):
    """Each answers what comes with its place in the list."""
    stop, wake = os.pipe()

    def work():
        while True:
            ready, _, _ = select.select([stop, *(b.sock for b in backends)], [], [])
            if stop in ready:
                return
            for n, b in enumerate(backends):
                while b.sock in ready or b.buffered():
                    ready = [r for r in ready if r is not b.sock]
                    f = b.take()
                    if f.name == "COMMAND":
                        b.answer(f, n)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield
    os.write(wake, b"x")
    thread.join()
    os.close(stop)
    os.close(wake)


def next_event(b, c=None):
    m = b.command()
    assert m.id == 0 and (c is None or m.session == c.connected["session"]), m
    return m.type, json.loads(m.payload)


@pytest.mark.tsan
def test_1_a_command_goes_to_its_backend_and_the_reply_comes_back(gateway, connect, backend):
    g = gateway(ANYONE)
    b, clients = backend(g, "command", "chat:send"), [connect(g) for _ in range(6)]
    assert b.credit == 100 and b.timeout == 10000
    for n, c in enumerate(clients):
        ask(c, n, {"do": n})
        ask(c, f"s{n}", type="chat:send", payload=[n])
        for _ in range(2):
            m = b.command()
            assert m.session == c.connected["session"] and m.user == "" and 0 < m.deadline <= 10000 and not m.again
            assert (m.type, m.message, json.loads(m.payload)) in (("command", str(n), {"do": n}), ("chat:send", f'"s{n}"', [n]))
            b.answer(m, {"got": m.type})
        got = {m["id"]: m["data"] for m in (c.await_type("reply") for _ in range(2))}
        assert got == {n: {"got": "command"}, f"s{n}": {"got": "chat:send"}}
    assert g.counter("commands") == 12 and g.counter("command_replies") == 12
    assert g.counter("commands_outstanding") == 0 and g.counter("backends") == 1
    assert rcapi.get_json(g, "/api/status")["backends"] == {"chat:send": 1, "command": 1}


def claims(**more):
    return "/ws?token=" + rcjwt.make({"sub": "anna", **more})


def test_2_who_may_command(gateway, connect, backend):
    """By default what the claim says; a rule of [auth] may be wider or nobody. Types of the gateway's own go to nobody."""
    g = gateway({"auth.hmac_secret": rcjwt.SECRET, "auth.anonymous": "yes"})
    b = backend(g, "*")
    anna, nobody = connect(g, claims(commands=["chat:*", "command"])), connect(g)
    for c, fields, code in [
            (anna, {"type": "order:new", "payload": 1}, "forbidden"), (nobody, {"type": "chat:send", "payload": 1}, "forbidden"),
            (nobody, {"action": 1}, "forbidden"), (anna, {"type": "$connect", "payload": 1}, "forbidden"),
            (anna, {"type": "command"}, "bad_request"), (anna, {"type": "chat:send"}, "unsupported"),
            (anna, {"type": "chat:send", "payload": 1, "idempotent": 1}, "bad_request"), (anna, {"type": "event", "payload": 1}, "forbidden")]:
        c.say(**{"type": "command", "id": "x", **fields})
        m = answer(c, "x")
        assert m["code"] == code and m["temporary"] is False, (fields, m)
    for fields in [{"type": "chat:send", "payload": {"a": 1}}, {"type": "command", "action": {"a": 1}}]:
        anna.say(**fields)
        m = b.command()
        assert m.user == "anna" and m.type == fields["type"] and m.message == "" and m.payload == b'{"a": 1}'
        b.answer(m, 1)
        assert "id" not in anna.await_type("reply")
    assert g.counter("commands_forbidden") == 4 + 1 and g.counter("commands") == 2


@pytest.mark.one_shard
def test_3_rules_of_commands(gateway, connect, backend):
    for rule, user, anonymous in [("user", True, False), ("nobody", False, False), ("anyone", True, True)]:
        g = gateway({"auth.hmac_secret": rcjwt.SECRET, "auth.anonymous": "yes", "auth.allow_command": rule})
        b = backend(g, "*")
        for c, allowed in [(connect(g, claims()), user), (connect(g), anonymous)]:
            ask(c, 1, 1)
            if allowed:
                b.answer(b.command(), 1)
            m = answer(c, 1)
            assert m["type"] == "reply" if allowed else m["code"] == "forbidden", (rule, m)


def test_4_the_answers_that_no_backend_gives(gateway, connect, backend):
    """Nobody there, no credit and the queue full, silence, and what it says itself."""
    g = gateway({**ANYONE, "backends.command_timeout": "400ms", "backends.command_queue": "1"})
    c = connect(g)
    ask(c, 1, 1)
    m = answer(c, 1)
    assert (m["code"], m["temporary"]) == ("no_backend", False)
    b = backend(g, "command", credit=1)
    for n in (2, 3, 4):
        ask(c, n, n)
    m = answer(c, 4)
    assert (m["code"], m["temporary"]) == ("busy", True)
    first = b.command()
    b.refuse(first, "sold_out", "no cups left")
    m = answer(c, 2)
    assert (m["code"], m["message"], m["temporary"]) == ("sold_out", "no cups left", False)
    late = b.command()
    m = answer(c, 3)
    assert (m["code"], m["temporary"]) == ("timeout", True)
    b.answer(late, 1)
    # The desk may be on another shard, and a moment behind the client's.
    eventually(lambda: g.counter("replies_unknown") + g.counter("replies_late") == 1, "the late reply is counted")
    # Its credit is free again.
    ask(c, 5, 5)
    again = b.expect("COMMAND", "ERROR")
    again = again if again.name == "COMMAND" else b.command()
    b.send_bytes(reply(again.id, b"\x00\xff", flags=0))
    m = answer(c, 5)
    assert (m["encoding"], m["data"]) == ("base64", "AP8=")
    counted = {n: g.counter(n) for n in ("commands", "commands_no_backend", "commands_busy", "commands_timeout", "command_replies",
                                         "command_replies_error", "commands_outstanding", "commands_waiting")}
    assert list(counted.values()) == [5, 1, 1, 1, 2, 1, 0, 0], counted


@pytest.mark.tsan
def test_5_several_share_one_that_ends_hands_over(gateway, connect, backend):
    g = gateway({**ANYONE, "backends.command_timeout": "1m"})
    one, two = backend(g, entry("order", flags=1), "chat"), backend(g, "chat", entry("order", flags=1))
    c = connect(g)
    for n in range(4):
        ask(c, n, type="chat", payload=n)
        ask(c, n + 10, type="order", payload=n)
    ask(c, 20, type="chat", payload=20, idempotent=True)
    ask(c, 21, type="chat", payload=21)
    mine = [one.command() for _ in range(5)]
    theirs = [two.command() for _ in range(5)]
    assert sorted(int(m.message) for m in mine + theirs) == [0, 1, 2, 3, 10, 11, 12, 13, 20, 21]
    assert {m.message for m in mine} & {"20", "21"}
    one.drop()
    lost = {int(m.message) for m in mine if m.type == "chat" and m.message != "20"}
    over = {int(m.message) for m in mine} - lost
    for _ in lost:
        m = c.await_type("error")
        assert m["code"] == "timeout" and m["temporary"] is True and m["id"] in lost
    for m in [two.command() for _ in over]:
        assert int(m.message) in over and m.again
        over.discard(int(m.message))
        two.answer(m, "again")
        assert answer(c, int(m.message))["data"] == "again"
    for m in theirs:
        assert not m.again
        two.answer(m, "first")
        assert answer(c, int(m.message))["data"] == "first"
    assert g.counter("commands_handed_over") == 5 - len(lost) and g.counter("commands_timeout") == len(lost)


def test_6_the_last_one_ends(gateway, connect, backend):
    g = gateway({**ANYONE, "backends.command_timeout": "1m"})
    b, c = backend(g, entry("order", flags=1), credit=1), connect(g)
    for n in (1, 2):
        ask(c, n, type="order", payload=n)
    b.command()
    b.drop()
    assert {answer_of["id"]: answer_of["code"] for answer_of in (c.await_type("error") for _ in range(2))} == {
        1: "no_backend", 2: "no_backend"}


def test_7_sticky_by_user_and_by_field(gateway, connect, backend):
    g = gateway({**ANYONE, "auth.hmac_secret": rcjwt.SECRET, "auth.anonymous": "yes"})
    backends = [backend(g, entry("u", USER), entry("f", FIELD, field="room"), credit=1000) for _ in range(3)]
    users = [connect(g, "/ws?token=" + rcjwt.make({"sub": f"u{n}"})) for n in range(12)]

    def where(kind, payload, c):
        """The place of the backend that gets it; it answers with that."""
        c.say(type=kind, payload=payload, id=1)
        return answer(c, 1)["data"]

    with answering(backends):
        by_user = [where("u", 1, c) for c in users]
        assert [where("u", 2, c) for c in users] == by_user and len(set(by_user)) > 1
        rooms = [{"x": [1], "room": f"r{n}"} for n in range(12)]
        by_room = [where("f", r, users[0]) for r in rooms]
        assert [where("f", {"ro\u006fm": r["room"], "y": 0}, users[1]) for r in rooms] == by_room and len(set(by_room)) > 1
        assert where("f", 7, users[2]) == where("f", [7], users[2])
    # Only those that went to it move.
    backends[0].send_bytes(register([], 0))
    assert backends[0].expect("REGISTER").count == 0
    with answering(backends):
        after = [where("u", 3, c) for c in users]
    assert [a for a, b in zip(after, by_user) if b != 0] == [b for b in by_user if b != 0] and 0 not in after


def test_8_credit_and_flow(gateway, connect, backend):
    g = gateway({**ANYONE, "backends.credit_max": "3"})
    b, c = backend(g, "*", credit=9), connect(g)
    assert b.credit == 3
    b.send_bytes(flow(0))
    b.barrier()
    for n in range(5):
        ask(c, n, n)
    c.barrier()
    b.barrier()
    b.send_bytes(flow(2))
    got = [b.command(), b.command()]
    b.barrier()
    b.answer(got[0], 0)
    got.append(b.command())
    assert [json.loads(m.payload) for m in got] == [0, 1, 2]
    b.barrier()
    b.send_bytes(flow(100))
    got.append(b.command())
    b.barrier()
    for m in got[1:]:
        b.answer(m, 0)
    b.answer(b.command(), 0)
    assert sorted(c.await_type("reply")["id"] for _ in range(5)) == list(range(5))


def test_9_events_of_clients(gateway, connect, backend):
    g = gateway({"auth.hmac_secret": rcjwt.SECRET, "auth.anonymous": "yes", "namespace.allow_subscribe": "anyone"})
    b = backend(g, "$connect", "$disconnect", "$subscribe", "$unsubscribe")
    eventually(lambda: knows(g, b, connect), "every shard knows that a backend wants to hear of clients")
    c = connect(g, claims(info={"n": 1}) + "&channel=a")
    c.await_type("subscription-ack")
    kind, data = next_event(b, c)
    assert kind == "$connect" and data.pop("address").startswith("127.0.0.1:") and data == {"info": {"n": 1}}
    assert next_event(b, c) == ("$subscribe", {"channels": ["a"]})
    c.subscribe("a", "b:*")
    assert next_event(b, c) == ("$subscribe", {"channels": ["b:*"]})
    c.unsubscribe("a")
    assert next_event(b, c) == ("$unsubscribe", {"channels": ["a"]})
    c.close(4321, "enough")
    assert next_event(b, c) == ("$disconnect", {"code": 4321, "reason": "enough"})
    lost = connect(g)
    assert next_event(b, lost)[0] == "$connect"
    lost.reset()
    assert next_event(b, lost)[0] == "$disconnect"
    stream = SseClient.open(g.plain_http, "/events?channel=a")
    assert next_event(b)[0] == "$connect" and next_event(b) == ("$subscribe", {"channels": ["a"]})
    stream.drop()
    assert next_event(b)[0] == "$disconnect"
    assert g.counter("client_events_lost") == 0


def test_10_assign(gateway, connect, backend, publisher):
    """Subscriptions from outside: past the client's rights, on whatever shard, acknowledged without an id; and what is no session."""
    g = gateway({**ANYONE, "namespace.allow_subscribe": "nobody", "max_channels_per_client": "2"})
    b, p, clients = backend(g, "*"), publisher(g), [connect(g) for _ in range(4)]
    for c in clients:
        # What it has already counts once.
        for _ in range(2):
            assert b.assign(c.connected["session"], 1, "news", "a:*") is None
            ack = c.await_type("subscription-ack")
            assert "id" not in ack and ack["data"]["channels"] == ["news", "a:*"]
        assert b.assign(c.connected["session"], 1, "third").code == Wire.NACK_OVER_CAPACITY
    p.publish("news", '"1"')
    p.publish("a:b", '"2"')
    for c in clients:
        assert {c.next_event()["data"] for _ in range(2)} == {"1", "2"}
        assert b.assign(c.connected["session"], 0, "news") is None
        ack = c.await_type("unsubscription-ack")
        assert "id" not in ack and ack["data"]["channels"] == ["news"]
    p.publish("news", '"3"')
    p.publish("a:b", '"4"')
    for c in clients:
        assert c.next_event()["data"] == "4"
    for session, name, code in [("c" * 17, "news", None), ("short", "news", Wire.NACK_BAD_TARGET),
                                (clients[0].connected["session"], "$sys:x", Wire.NACK_BAD_CHANNEL),
                                (clients[0].connected["session"], "a*", Wire.NACK_BAD_CHANNEL)]:
        n = b.assign(session, 1, name)
        assert (n and n.code) == code, (session, name, n)
    assert g.counter("assigns") == 4 * 4


def test_11_bad_input_of_backends(gateway, connect, backend):
    """Each is answered and counted; the connection lives, unless the body can't be read, and nobody else notices."""
    g = gateway({**ANYONE, "max_message": "1KiB", "backends.max_backends": "2", "backends.command_timeout": "1m"})
    b, c = backend(g, "*"), connect(g)
    ask(c, 1, 1)
    m = b.command()
    for bad in [reply(m.id, "{"), reply(m.id, '"' + "x" * 1023 + '"'), reply(m.id, "", "Bad"), reply(m.id, "", "x" * 65),
                reply(m.id, b"\xff", "code"), reply(m.id, "x" * 256, "code")]:
        b.send_bytes(bad)
        b.expect_error(Wire.ERROR_BAD_REPLY, False)
    b.answer(m, "good")
    assert answer(c, 1)["data"] == "good"
    for number in (m.id, 0, 1, 2 ** 64 - 1, m.id + (1 << 32)):
        b.send_bytes(reply(number))
        b.expect_error(Wire.ERROR_UNKNOWN_COMMAND, False)
    for entries in (["subscribe"], ["ping"], ["$all"], [""], ["x", "a\n"], [entry("x", 3)], [entry("x", flags=2)], [entry("x", FIELD)],
                    [entry("x", FIELD, field="y" * 65)], [entry("x", USER, field="y")], ["x"] * 257):
        b.send_bytes(register(entries))
        b.expect_error(Wire.ERROR_NOT_ALLOWED, False)
    b.send_bytes(reply(1, flags=0x80))
    b.expect_error(Wire.ERROR_UNKNOWN_FLAGS, False)
    # It is registered still, and another's commands are not its own.
    other = backend(g, "other")
    ask(c, 2, 2)
    m = b.command()
    other.answer(m, "stolen")
    other.expect_error(Wire.ERROR_UNKNOWN_COMMAND, False)
    b.answer(m, "mine")
    assert answer(c, 2)["data"] == "mine"
    third = Backend.greeted(g.ingest)
    third.send_bytes(register(["third"]))
    third.expect_error(Wire.ERROR_NO_ROOM, False)
    third.send_bytes(reply(5))
    third.expect_error(Wire.ERROR_UNKNOWN_COMMAND, False)
    third.drop()
    for broken in [register(["x"], count=2), frame(Wire.FRAME_REPLY, b"1234567"), assign(0, "c" * 17, 1, "a"), assign(1, "c" * 17, 1)]:
        p = Backend.greeted(g.ingest)
        p.send_bytes(broken)
        p.expect_error(Wire.ERROR_BAD_BODY, True)
        p.drop()
    assert [g.counter(n) for n in ("replies_bad", "replies_unknown", "backends_refused")] == [6, 7, 12]


def test_12_without_the_scope(gateway, folder):
    services = folder + "/services"
    with open(services, "w", encoding="ascii") as f:
        f.write("a token:0123456789abcdef publish\nb token:fedcba9876543210 backend\n")
    os.chmod(services, 0o600)
    g = gateway({"auth.services": services})
    a = Backend.greeted(g.ingest, token="0123456789abcdef")
    a.send_bytes(register(["x"]))
    a.expect_error(Wire.ERROR_NOT_ALLOWED, False)
    a.assign("c" * 17, 1, "news")
    assert a.nacks[1].code == Wire.NACK_FORBIDDEN
    b = Backend.registered(g.ingest, "x", token="fedcba9876543210")
    a.drop()
    b.drop()


def test_13_one_that_does_not_read(gateway, connect, backend):
    """Its commands wait within its credit; it is closed after a heartbeat, and they are handed back."""
    g = gateway({**ANYONE, "heartbeat": "400ms", "backends.command_timeout": "1m"})
    b = backend(g, entry("*", flags=1), rcvbuf=4096, credit=1000)
    c = connect(g)
    for n in range(60):
        ask(c, n, "x" * 60000)
    # It is heard of meanwhile, without reading what comes.
    eventually(lambda: c.say(type="ping") or g.counter("backends_stalled") == 1, "the backend is closed for not reading", every=0.1)
    answers = {}
    while len(answers) < 60:
        m = c.await_type("error", "pong")
        if m["type"] == "error":
            answers[m["id"]] = m["code"]
    assert set(answers.values()) == {"no_backend"}
    assert g.counter("commands_handed_over") > 0 and g.counter("commands_outstanding") == 0
    b.drop()


def test_14_draining_gives_the_answers(gateway, connect, backend):
    g = gateway({**ANYONE, "drain_timeout": "20s", "reconnect_jitter": "0"})
    b, c = backend(g, "*"), connect(g)
    ask(c, 1, 1)
    m = b.command()
    g.signal(signal.SIGTERM)
    b.answer(m, "at last")
    assert answer(c, 1)["data"] == "at last"
    assert b.expect("BYE").code == Wire.BYE_SHUTDOWN
    b.expect_end()
    b.drop()
    c.expect_close(1012)


def test_15_answers_that_find_nobody(gateway, connect, backend):
    """The client is gone when it comes."""
    g = gateway(ANYONE)
    b, c = backend(g, "*"), connect(g)
    ask(c, 1, 1)
    m = b.command()
    c.close()
    b.answer(m, 1)
    b.barrier()
    eventually(lambda: g.counter("replies_gone") == 1, "the reply is counted")
    assert g.counter("commands_outstanding") == 0


def test_16_events_that_are_lost(gateway, connect, backend):
    """Clients do not wait for a backend that does not read; it is told how much it missed, in its place."""
    g = gateway()
    b = backend(g, "$subscribe", "$unsubscribe", rcvbuf=4096)
    c = connect(g)
    names = [f"{n}:{'x' * 200}" for n in range(250)]
    rounds = 0
    while g.counter("client_events_lost") < 3:
        c.subscribe(*names)
        c.unsubscribe()
        rounds += 1
    missed = seen = 0
    while seen + missed < g.counter("client_events") + g.counter("client_events_lost"):
        kind, data = b.event()
        missed += data["events"] if kind == "$lost" else 0
        seen += kind != "$lost"
    assert missed == g.counter("client_events_lost") and seen == g.counter("client_events")
    assert seen + missed <= 2 * rounds
    c.subscribe("after")
    assert b.event() == ("$subscribe", {"channels": ["after"]})


def test_17_more_than_a_ring_holds(gateway, connect, backend):
    """Large commands in a row find no room now and then: they wait, in their order."""
    g = gateway({**ANYONE, "ring_bytes": "64KiB", "max_message": "2KiB", "ingest.frame_max": "8KiB", "client_message_max": "64KiB"})
    b, clients = backend(g, "*", credit=1000), [connect(g) for _ in range(3)]
    for n in range(40):
        for c in clients:
            ask(c, n, "x" * 20000)
    got = {c.connected["session"]: [] for c in clients}
    for _ in range(120):
        m = b.command()
        got[m.session].append(int(m.message))
        b.answer(m, 1)
    assert all(numbers == list(range(40)) for numbers in got.values())
    for c in clients:
        assert sorted(c.await_type("reply")["id"] for _ in range(40)) == list(range(40))
    ask(clients[0], 1, "x" * 40000)
    assert answer(clients[0], 1)["code"] == "too_large"


def test_18_events_leave_room_for_what_was_promised(gateway, connect, backend):
    """The desk's shard owes a backend its answer to ASSIGN while it has an event for it, and the ring between them is full."""
    g = gateway({"ring_bytes": "64KiB", "max_message": "2KiB", "ingest.frame_max": "8KiB", "client_message_max": "8KiB", "output_max": "8MiB"})
    b = backend(g, "$subscribe", "$unsubscribe", "$disconnect")
    clients = [connect(g) for _ in range(8)]
    sessions = [c.connected["session"] for c in clients]
    for _ in range(10):
        begin = b.sequence
        b.send_bytes(b"".join(assign(begin + n + 1, s, on, "a") for n, (on, s) in enumerate(
            (on, s) for s in sessions for _ in range(100) for on in (1, 0))))
        b.sequence = begin + 200 * len(sessions)
        while not b.decided(b.sequence):
            b.take()
    assert not b.nacks, b.nacks


def test_19_what_backends_are_told_of_subscriptions_adds_up(gateway, connect, backend):
    """Another form of a channel is no other subscription; one that another connection of its user takes over ends."""
    g = gateway({"auth.hmac_secret": rcjwt.SECRET, "namespace.allow_subscribe": "anyone", "namespace.history_size": "10",
                 "namespace.allow_history": "anyone"})
    b, one, two = backend(g, "$subscribe", "$unsubscribe"), connect(g, claims()), connect(g, claims())
    for c in (one, two):
        # Its shard has learned that they are wanted; what was told before that is read.
        eventually(lambda c=c: c.subscribe("x") and c.unsubscribe("x") and b.barrier_past(), "events are told", every=0.05)
        c.subscribe("mark")
        while next_event(b) != ("$subscribe", {"channels": ["mark"]}):
            pass
    one.subscribe("a", "b")
    assert next_event(b, one) == ("$subscribe", {"channels": ["a", "b"]})
    one.subscribe("a", "c", filter="has data.x")
    assert next_event(b, one) == ("$subscribe", {"channels": ["c"]})
    one.subscribe("job", ack=True, clientId="w")
    assert next_event(b, one) == ("$subscribe", {"channels": ["job"]})
    two.subscribe("job", ack=True, clientId="w")
    assert one.await_type("error")["code"] == "replaced"
    assert one.await_type("unsubscription-ack")["data"]["channels"] == ["job"]
    told = {m.session: (m.type, json.loads(m.payload)) for m in (b.command() for _ in range(2))}
    assert told == {two.connected["session"]: ("$subscribe", {"channels": ["job"]}),
                    one.connected["session"]: ("$unsubscribe", {"channels": ["job"]})}
