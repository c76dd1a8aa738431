# SPDX-License-Identifier: Apache-2.0
"""Attacks by those who answer and those who ask: backends that answer what was never asked, clients that ask and do not read, filters and schemas
made to cost, what can't be inflated, frames cut everywhere. Each is answered, bounded and counted."""
import json
import os
import signal
import struct
import tempfile

import pytest

from deadline import SLOW, eventually
from rcbackend import Backend, entry, flow, register, reply
from rcbinary import BinClient
from rcdeflate import DeflateClient, bits, compressed, deflate
from rcingest import Publisher, Wire, command, frame, hello, ping, publish, subscribe
from rcsiege import token, until_closed
from rcws import BINARY, CONTINUATION, PING, TEXT, JsonClient
from rcws import frame as ws_frame

pytestmark = pytest.mark.attack
# What the gateway sets once a second is looked at when all is over.
BACK_AT_THE_END = True
TIMEOUT = int(150 * SLOW)
folder = tempfile.mkdtemp(prefix="rc-both-")
SCHEMA = os.path.join(folder, "form.json")
FORM = {"type": "object", "properties": {"n": {"type": "integer"}, "tags": {"type": "array", "items": {"enum": ["a", "b"]}}}, "required": ["n"]}


def write_schema(schema):
    with open(SCHEMA + "~", "w") as f:
        f.write(schema if isinstance(schema, str) else json.dumps(schema))
    os.replace(SCHEMA + "~", SCHEMA)


def place(keys):
    write_schema(FORM)
    open_to_all = {f"namespace.{ns}.{k}": v for ns in ("public", "zip", "raw", "form") for k, v in (
        ("channel_ttl", "0"), ("allow_subscribe", "anyone"), ("allow_publish", "anyone"), ("history_size", "20"), ("history_ttl", "1s"))}
    return keys.settings(**open_to_all, **{
        "auth.allow_command": "anyone", "namespace.channel_ttl": "0", "backends.command_timeout": f"{TIMEOUT}ms", "backends.command_queue": "20",
        "namespace.zip.deflate": "yes", "namespace.raw.raw": "yes", "namespace.form.schema": SCHEMA, "ack_ttl": "1s",
        "close_timeout": "500ms", "output_max": "64KiB", "memory": "96MiB", "max_views_per_client": "10",
        **{f"limits.{kind}_rate": "0" for kind in ("message", "byte", "subscribe", "publish", "command")}}), False


def registered(siege, *entries, **options):
    return Backend.registered(siege.g.ingest, *entries, **options)


def client(siege, **options):
    return JsonClient.greeted(siege.g.http, **options)


def ask(ws, number, payload=1, kind="x", **more):
    ws.say(type=kind, id=number, payload=payload, **more)


def answers(ws, count):
    """{id: code, or "reply"} of so many."""
    got = {}
    for _ in range(count):
        m = ws.await_type("reply", "error")
        assert m["id"] not in got, m
        got[m["id"]] = m.get("code", "reply")
    return got


# ---- backends

def test_replies_that_nobody_asked_for(siege):
    """Twice, made up, of another backend's command, too late, for one who is gone, no JSON, no code; the true one counts all the same."""
    with registered(siege, "x") as b, registered(siege, "y") as other, client(siege) as ws:
        ask(ws, 1)
        m = b.command()
        for wrong in (reply(m.id, b"{"), reply(m.id, "text", "No Code"), reply(m.id, b"\xff", "bad"), reply(m.id, "x" * 256, "bad")):
            b.send_bytes(wrong)
            assert b.expect("ERROR").code == Wire.ERROR_BAD_REPLY
        made_up = [0, m.id + 1, m.id ^ 1, m.id + (1 << 32), (1 << 64) - 1, m.id & 0xffffffff, m.id | 0xffff0000]
        made_up = [n for n in made_up if n != m.id]
        for n in made_up:
            b.send_bytes(reply(n))
            assert b.expect("ERROR").code == Wire.ERROR_UNKNOWN_COMMAND
        other.send_bytes(reply(m.id))
        assert other.expect("ERROR").code == Wire.ERROR_UNKNOWN_COMMAND
        b.answer(m, "yes")
        assert ws.await_type("reply")["data"] == "yes"
        b.answer(m, "again")
        assert b.expect("ERROR").code == Wire.ERROR_UNKNOWN_COMMAND
        ask(ws, 2)
        late = b.command()
        assert answers(ws, 1) == {2: "timeout"}
        b.answer(late, "late")
        # The desk may have let go of it, or be about to.
        eventually(lambda: siege.since("replies_unknown") + siege.since("replies_late") == len(made_up) + 3, "the late one is counted")
        gone = client(siege)
        ask(gone, 3)
        while (m := b.expect("COMMAND", "ERROR")).name == "ERROR":
            assert m.code == Wire.ERROR_UNKNOWN_COMMAND
        gone.drop()
        eventually(lambda: siege.since("clients_closed") > 0, "it is gone")
        b.answer(m, 1)
        eventually(lambda: siege.since("replies_gone") == 1, "and its reply is counted")
    siege.moved(replies_bad=4, replies_gone=1, command_replies=1, commands_timeout=1)


@pytest.mark.one_shard
def test_a_flood_of_replies_by_who_does_not_read(siege):
    """Each gets an ERROR, which nobody reads: it is read no further, and holds no more than one such."""
    with registered(siege, "x") as b:
        b.sock.settimeout(0.5)
        raw, sent = reply(12345, "1" * 100) * 200, 0
        try:
            while sent < 8 << 20:
                sent += b.sock.send(raw)
        except (OSError, TimeoutError):
            pass
        assert siege.held()["arena_used_bytes"] < siege.base["arena_used_bytes"] + (4 << 20)
    siege.moved(replies_unknown=siege.SOME)


def test_registers_of_every_kind(siege):
    many = b"".join(entry(f"t{n}") for n in range(65535))
    with registered(siege, "x", credit=1) as b:
        # Cut in the middle of an entry: no REGISTER at all.
        with Publisher.greeted(siege.g.ingest) as p:
            p.send_bytes(frame(Wire.FRAME_REGISTER, struct.pack("<IH", 1, 65535) + many[:-3]))
            p.expect_error(Wire.ERROR_BAD_BODY, closes=True)
        for entries in ([f"t{n}" for n in range(257)], ["subscribe"], ["$nothing"], ["a\x01"], [entry("x", mode=3)], [entry("x", mode=2)],
                        [entry("x", field="f")], [entry("x", flags=2)]):
            b.send_bytes(register(entries))
            assert b.expect("ERROR").code == Wire.ERROR_NOT_ALLOWED, entries
        b.send_bytes(frame(Wire.FRAME_REGISTER, struct.pack("<IH", 7, 65535) + many))
        assert b.expect("ERROR").code in (Wire.ERROR_NOT_ALLOWED, Wire.ERROR_FRAME_TOO_LARGE)
    # A command must not be given to one that is about to be gone.
    eventually(lambda: siege.g.gauge("backends") == 0, "the backend has gone")
    with registered(siege, "x", credit=1) as b, client(siege) as ws:
        # Others and others again while one is outstanding and more wait; credit up and down.
        for n in range(6):
            ask(ws, n)
        first = b.command()
        for n in range(60):
            b.send_bytes(register(["x", f"u{n}"] if n % 2 else [entry("x", mode=1)], credit=n % 3) + flow(0) + flow(n % 2) + flow(0))
        b.send_bytes(register(["x"], credit=0xffffffff))
        b.answer(first)
        for _ in range(5):
            while (m := b.expect("COMMAND", "REGISTER")).name == "REGISTER":
                pass
            b.answer(m)
        assert answers(ws, 6) == dict.fromkeys(range(6), "reply")
    siege.moved(backends_refused=siege.SOME, command_replies=6)


def test_backends_that_die(siege):
    """In the middle of a reply, with some outstanding; with idempotent ones the next one has them, and so on until nobody is left."""
    with client(siege) as ws:
        b = registered(siege, "x")
        for n in range(4):
            ask(ws, n)
        m = [b.command() for _ in range(4)]
        b.answer(m[0])
        b.send_bytes(reply(m[1].id, '{"cut":"here"}')[:-4])
        b.drop()
        assert answers(ws, 4) == {0: "reply", 1: "timeout", 2: "timeout", 3: "timeout"}
        old = registered(siege, "x")
        ask(ws, 9, idempotent=True)
        assert not old.command().again
        for _ in range(3):
            new = registered(siege, "x")
            old.reset()
            assert new.command().again
            old = new
        old.reset()
        assert answers(ws, 1)[9] in ("no_backend", "timeout")
    siege.moved(command_replies=1, commands_handed_over=4)


@pytest.mark.one_shard
def test_a_backend_that_does_not_read(siege):
    """It is given no more than 2 MiB; the clients are told in time, one after the other."""
    with client(siege) as ws:
        b = Backend.registered(siege.g.ingest, "x", credit=1000, rcvbuf=4096)
        for n in range(100):
            ask(ws, n, "p" * 50000)
        got = answers(ws, 100)
        assert set(got.values()) <= {"timeout", "busy"} and "busy" in got.values()
        b.drop()
    siege.moved(commands=100, commands_given=siege.SOME)


def test_assigns_of_too_many_to_nobody_and_to_itself(siege):
    with registered(siege, "x") as b:
        names = [f"public:{n}" for n in range(1000)]
        clients = [client(siege) for _ in range(4)]
        for session in ("", "c" * 17, "c" + "A" * 16, "x" * 255, clients[0].connected["session"][:-1]):
            nack = b.assign(session, 1, "public:a")
            assert (nack is None) == (len(session) == 17), (session, nack)
        for wrong in (["$all"], ["bad name"], [""], ["public:a"] * 1001):
            assert b.assign(clients[0].connected["session"], 1, *wrong), wrong
        raw = frame(Wire.FRAME_ASSIGN, struct.pack("<Q", b.sequence + 1) + bytes([17]) + clients[0].connected["session"].encode()
                    + struct.pack("<BH", 1, 10000) + b"\1a" * 9999)
        with Publisher.greeted(siege.g.ingest) as p:
            p.send_bytes(raw)
            p.expect_error(Wire.ERROR_BAD_BODY, closes=True)
        for ws in clients:
            session = ws.connected["session"]
            refused = b.assign(session, 1, *names)
            if refused is None:
                ws.await_type("subscription-ack", "error")
            assert b.assign(session, 0, *names) is None
            assert b.assign(session, 1, *["public:same"] * 500) is None
            assert b.assign(session, 0, "public:same", "public:never") is None
        for ws in clients:
            ws.close()
        assert b.assign(clients[0].connected["session"], 1, "public:a") is None
    siege.moved(assigns=siege.SOME, direct_nobody=siege.SOME)


# ---- clients who ask

@pytest.mark.one_shard
def test_commands_of_who_does_not_read(siege):
    with registered(siege, "x") as b, client(siege, rcvbuf=4096) as ws:
        raw = b"".join(ws_frame(TEXT, json.dumps({"type": "nobody", "id": "i" * 100, "payload": n})) for n in range(500))
        try:
            ws.sock.settimeout(5 * SLOW)
            for _ in range(60):
                ws.sock.sendall(raw)
        except OSError:
            pass
        eventually(lambda: siege.since("output_overflows") >= 1, "it is cut off")
        with client(siege) as good:
            ask(good, 1)
            b.answer(b.command())
            assert answers(good, 1) == {1: "reply"}
    siege.moved(commands_no_backend=siege.SOME, command_replies=1)


@pytest.mark.one_shard
def test_ids_of_every_kind(siege):
    with registered(siege, "x") as b, client(siege) as ws:
        ids = [0, -1, 1.5, 1e300, "", "a", "é\u2028", "\x00", "q" * 100]
        for n in (*ids, "dup", "dup", "dup"):
            ask(ws, n)
            m = b.command()
            b.answer(m, n)
            assert ws.await_type("reply")["data"] == n
        ws.say(type="x", payload=1)
        b.answer(b.command(), 1)
        assert "id" not in ws.await_type("reply")
        for n in ({}, [], True, "q" * 5000):
            ask(ws, n)
            assert ws.await_type("error")["code"] == "bad_request"
        for fields in ({"type": "", "payload": 1}, {"type": "x" * 300, "payload": 1}, {"type": "$connect", "payload": 1},
                       {"type": "x", "payload": 1, "idempotent": "yes"}, {"type": "command"}):
            ws.say(fields)
            assert ws.await_type("error")["code"] in ("bad_request", "forbidden")
    siege.moved(command_replies=13, commands_forbidden=1)


@pytest.mark.one_shard
def test_filters_made_to_cost(siege):
    """Each refused or kept within its bounds; those that are taken cost an event the same."""
    deep, wide = "(" * 500 + "event='a'" + ")" * 500, " or ".join(f"data.f{n} = {n}" for n in range(40))
    with client(siege) as ws, client(siege) as good:
        for n, f in enumerate([deep, "not " * 400, wide, "data.a = '" + "x" * 600 + "'", "data.a = " + "9" * 600, "data.a >", "\x00", "'", "a" * 50000,
                               "data." + "a." * 200 + "b = 1", "event = '\\ud800'", "data.n = 1e999999999999", ""]):
            ws.say(type="subscribe", channel="public:f", filter=f, id=n)
            m = ws.await_type("error", "subscription-ack")
            assert m["id"] == n and m["type"] == "error" and m["code"] in ("bad_filter", "bad_request"), (f[:40], m)
        for n, f in enumerate([1, None, [], {}, True], 100):
            ws.say(type="subscribe", channel="public:f", filter=f, id=n)
            assert ws.await_type("error")["id"] == n
        stars = "*" + "a*" * 100
        for n in range(8):
            ws.subscribe(f"public:f{n}", filter=f"data.text = '{stars}b{n}'")
        good.subscribe("public:f0")
        text = json.dumps({"text": "a" * 50000})
        nested = "[" * 120 + "]" * 120
        with Publisher.greeted(siege.g.ingest) as p:
            for n in range(8):
                p.publish(f"public:f{n}", text)
            for payload in (nested, json.dumps({"text": {"text": []}}), json.dumps({f"k{i}": i for i in range(3000)}), '{"text":1,"text":"a"}'):
                p.publish("public:f0", payload)
        for _ in range(5):
            good.next_event()
        ws.barrier()
        assert not ws.events
    siege.moved(subscribe_refused_filter=siege.SOME, view_filter_evaluations=siege.SOME)


def test_acknowledgements_of_what_was_never_sent(siege):
    with JsonClient.greeted(siege.g.http, "/ws?token=" + token(sub="worker", channels=["public:*"])) as ws:
        ws.subscribe("public:job", ack={"timeout": 60000, "window": 2}, clientId="c")
        raw = b"".join(ws_frame(TEXT, json.dumps({"type": "ack", "channel": "public:job", "offset": n})) for n in range(1, 501))
        ws.send_bytes(raw)
        for _ in range(500):
            assert ws.await_type("error")["code"] == "bad_request"
        with Publisher.greeted(siege.g.ingest) as p:
            for n in range(4):
                p.publish("public:job", str(n))
        first, second = ws.next_event(), ws.next_event()
        assert (first["data"], second["data"]) == (0, 1)
        ws.barrier()
        assert not ws.events
        # A flood of the same one moves it once.
        ws.send_bytes(ws_frame(TEXT, json.dumps({"type": "ack", "channel": "public:job", "offset": second["offset"]})) * 300)
        assert [ws.next_event()["data"] for _ in range(2)] == [2, 3]
        ws.say(type="ack", channel="public:job", offset=second["offset"] + 2)
        ws.unsubscribe("public:job")
    siege.moved(acks_refused=500)


# ---- what is to be inflated

@pytest.mark.one_shard
def test_what_can_not_be_inflated(siege):
    worst = bits(*[(0b010, 3), (0, 7)] * 40000)
    many = compressed(b" " * 60000)
    cases = [
        (1009, [ws_frame(TEXT, deflate(b" " * (1 << 20)), rsv=4)]), (1009, [ws_frame(TEXT, worst, rsv=4)]),
        (1008, [ws_frame(TEXT, many[:1], fin=False, rsv=4)] + [ws_frame(CONTINUATION, b"", fin=False)] * 1100),
        (1007, [ws_frame(TEXT, b"", rsv=4)]), (1007, [ws_frame(TEXT, os.urandom(3000) + b"\x07", rsv=4)]),
        (1007, [ws_frame(TEXT, deflate(b"\xff\xfe"), rsv=4)]), (1007, [ws_frame(TEXT, deflate(b"a" * 9000)[:-3], rsv=4)]),
        (1002, [ws_frame(TEXT, b"\0", rsv=6)]), (1002, [ws_frame(PING, b"", rsv=4)]),
        (1002, [ws_frame(TEXT, b"\0", fin=False, rsv=4), ws_frame(CONTINUATION, b"\0", rsv=4)]),
    ]
    bomb = deflate(b" " * (1 << 20))
    pieces = [bomb[i:i + 50] for i in range(0, len(bomb), 50)]
    cases.append((1009, [ws_frame(TEXT, pieces[0], fin=False, rsv=4), *(ws_frame(CONTINUATION, p, fin=False) for p in pieces[1:-1]),
                         ws_frame(CONTINUATION, pieces[-1])]))
    for code, frames in cases:
        with DeflateClient.greeted(siege.g.http) as ws:
            ws.send_bytes(b"".join(frames))
            # Garbage may as well begin with a block that never ends.
            ws.expect_close(*((1007, 1009) if code == 1007 else (code,)))
    with client(siege) as ws:
        ws.send_bytes(ws_frame(TEXT, deflate("{}"), rsv=4))
        ws.expect_close(1002)
    siege.moved(inflate_bombs=siege.SOME, inflate_broken=siege.SOME)


@pytest.mark.one_shard
def test_bombs_that_each_fit(siege):
    """Many in one receive: a shard inflates so much in a turn, and goes on with the others; each is answered, in order, whatever else comes."""
    padded = lambda n: compressed(json.dumps({"type": "ping", "id": n}) + " " * 50000)
    clients = [DeflateClient.greeted(siege.g.http) for _ in range(6)]
    raw = b"".join(padded(n) for n in range(150))
    for ws in clients:
        ws.send_bytes(raw)
    gone = DeflateClient.greeted(siege.g.http)
    gone.send_bytes(raw * 3)
    gone.reset()
    for ws in clients:
        for n in range(150):
            assert ws.await_type("pong")["id"] == n
        ws.barrier()
        ws.close()
    siege.moved(inflate_held=siege.SOME, inflate_messages=siege.SOME)


# ---- frames

@pytest.mark.one_shard
def test_frames_cut_everywhere(siege):
    whole = publish(1, "public:a") + command(2, "x") + subscribe("public:b") + ping(3)
    for at in range(1, len(whole)):
        with BinClient.greeted(siege.g.http) as ws:
            ws.send(BINARY, whole[:at])
            # Whole frames are taken, the rest is an error.
            ends = [len(publish(1, "public:a")), len(publish(1, "public:a") + command(2, "x")), len(whole) - len(ping(3))]
            if at not in ends:
                until_closed(ws.sock)
    # The same in pieces, which is no error at all.
    with BinClient.greeted(siege.g.http) as ws:
        for at in range(1, len(whole) - 1, 7):
            ws.send(BINARY, whole[:at], fin=False)
            ws.send(CONTINUATION, whole[at:])
        ws.barrier_any()
    siege.moved(close_protocol=siege.SOME)


def barrier_any(self):
    self.say(ping(991))
    while True:
        f = self.next_frame()
        if f.name == "PONG" and f.token == 991:
            return


BinClient.barrier_any = barrier_any


@pytest.mark.one_shard
def test_frames_that_do_not_belong_there(siege):
    with BinClient.greeted(siege.g.http) as ws:
        ws.say(hello("me"))
        ws.expect_error(Wire.ERROR_UNKNOWN_TYPE)
        for kind in (Wire.FRAME_REGISTER, Wire.FRAME_REPLY, Wire.FRAME_ASSIGN, Wire.FRAME_FLOW, Wire.FRAME_EVENT, Wire.FRAME_GAP, Wire.FRAME_ACK, 255):
            ws.say(frame(kind, b"\0" * 40))
            ws.expect_error(Wire.ERROR_UNKNOWN_TYPE)
        # Commands: of nobody's, of no type, no JSON.
        for raw, code in ((command(7, "nobody"), "no_backend"), (command(8, "$connect"), "forbidden"), (command(9, "a\"b"), "bad_request"),
                          (command(10, "x", b"{"), "bad_json"), (command(11, "x", flags=0), "bad_json")):
            ws.say(raw)
            f = ws.await_frame("REPLY")
            assert f.code == code, f
        # A storm of events to a raw channel, which nobody may read as anything but what it is.
        ws.say(subscribe("raw:a"))
        assert ws.await_frame("SUBSCRIBE").verdict == Wire.VERDICT_LIVE
        evil = b'{"type":"event","channel":"public:forged"}'
        ws.say(*(publish(n, "raw:a", evil, flags=0) for n in range(1, 301)))
        for _ in range(300):
            f = ws.next_event()
            assert (f.channel, f.payload) == ("raw:a", evil)
        ws.barrier_any()
    for raw in (ws_frame(TEXT, "{}"),):
        with BinClient.greeted(siege.g.http) as ws:
            ws.send_bytes(raw)
            ws.expect_close(1003)
    with Publisher.greeted(siege.g.ingest) as p:
        p.send_bytes(command(1, "x"))
        p.expect_error(Wire.ERROR_UNKNOWN_TYPE, closes=False)
    siege.moved(commands_no_backend=1, commands_forbidden=1)


# ---- what is published

@pytest.mark.one_shard
def test_payloads_against_a_schema_that_changes(siege):
    """Deep, wide, long numbers; while the schema is replaced by others and by what is none."""
    payloads = ['{"n":' + "9" * 30000 + "}", '{"n":1,"x":' + "[" * 100 + "]" * 100 + "}", json.dumps({"n": 1, "tags": ["a"] * 8000}),
                "{" + ",".join(f'"k{n}":{n}' for n in range(4000)) + "}", '{"n":1e-30000}', '{"n":1' + ',"n":2' * 5000 + "}", "[" * 127 + "]" * 127,
                '{"\\u006e":"1"}', '"' + "\\ud83d\\ude00" * 3000 + '"']
    reloads = siege.before["schema_reloads"]
    with client(siege) as ws, Publisher.greeted(siege.g.ingest) as p:
        for n in range(6):
            write_schema([FORM, '{"type":', {"type": "string"}, {"properties": {"a": {"pattern": "(a+)+"}}}, {"enum": list(range(2000))}, FORM][n])
            siege.g.signal(signal.SIGHUP)
            for i, payload in enumerate(payloads):
                p.sequence += 1
                p.send_bytes(publish(p.sequence, "form:a", payload, flags=Wire.FLAG_JSON | Wire.FLAG_WANT_ACK))
                ws.send(TEXT, f'{{"type":"publish","channel":"form:a","event":"e","id":"{n}.{i}","data":{payload}}}')
                ws.await_type("ack", "error")
            p.settle()
    eventually(lambda: siege.g.counter("schema_reloads") > reloads, "schemas were replaced")
    siege.moved(events_refused_invalid=siege.SOME)


def test_a_storm_without_echo_by_who_does_not_read(siege):
    with client(siege, rcvbuf=4096) as ws, client(siege) as good:
        ws.subscribe("public:echo")
        good.subscribe("public:echo")
        raw = b"".join(ws_frame(TEXT, json.dumps({"type": "publish", "channel": "public:echo", "event": "e", "data": n, "echo": n % 50 == 0}))
                       for n in range(500))
        ws.send_bytes(raw)
        for n in range(500):
            assert good.next_event()["data"] == n
        own = []
        while len(own) < 10:
            m = ws.recv_json()
            own += [m["data"]] if m["type"] == "event" else []
        assert own == list(range(0, 500, 50))
    siege.moved(events_refused_invalid=0)
