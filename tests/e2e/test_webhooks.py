# SPDX-License-Identifier: Apache-2.0
"""Webhooks: what a server is posted, what its answers become, and what it gets for being slow, wrong or away."""
import fcntl
import hashlib
import hmac
import json
import os
import queue
import resource
import shutil
import signal
import socket
import struct
import subprocess
import termios
import threading
import urllib.request

import pytest

import rcgateway
from deadline import SLOW, SOON, eventually
from rcwebhook import Hook, answer

SECRET = "a secret of sixteen bytes and more"
GIVEN = {"auth.allow_command": "anyone", "webhooks.types": "*", "webhooks.backoff": "10ms", "webhooks.connections": "4"}


@pytest.fixture
def hooked(gateway, folder):
    """hooked(respond, option=value) gives the gateway and the server that it posts to."""
    opened = []

    def start(respond=None, **options):
        h = Hook(respond)
        opened.append(h)
        given = {**GIVEN, "webhooks.url": h.url, **{f"webhooks.{k}": v for k, v in options.items()}}
        return gateway(given), h
    yield start
    for h in opened:
        h.close()


def ask(c, number, kind="chat:send", payload=None, **fields):
    c.say(type=kind, id=number, payload=payload, **fields)
    m = c.await_type("reply", "error")
    assert m["id"] == number, m
    return m


def heard(g, connect):
    """A client whose coming was told: another shard learns a moment after the start that somebody wants to hear of clients."""
    while True:
        before = g.counter("client_events")
        c = connect(g)
        # What was said of it goes before what it says.
        ask(c, -1)
        if g.counter("client_events") > before:
            return c


def test_1_a_command_is_posted_and_its_answer_comes_back(hooked, connect, folder):
    secret = f"{folder}/secret"
    with open(secret, "w") as f:
        f.write(SECRET + "\n")
    g, h = hooked(secret_file=secret, types="*, $connect $disconnect")
    c = heard(g, connect)
    while (r := h.next("$connect")).body["session"] != c.connected["session"]:
        pass
    assert r.body["session"] == c.connected["session"] and r.body["id"] and "address" in r.body["payload"]
    ids = set()
    for n in range(5):
        assert ask(c, n, payload={"n": [n, "ä"]})["data"] == {"n": [n, "ä"]}
        while (r := h.next()).body["messageId"] != n:
            pass
        assert r.line == "POST /hook?a=1 HTTP/1.1" and r.headers["host"] == f"127.0.0.1:{h.port}"
        assert r.headers["content-type"] == "application/json"
        ids.add(r.body.pop("id"))
        assert r.body == {"type": "chat:send", "session": c.connected["session"], "user": None, "messageId": n, "again": False,
                          "payload": {"n": [n, "ä"]}}
        t, v = r.headers["ringcast-signature"].split(",")
        assert t[:2] == "t=" and v[:3] == "v1="
        assert v[3:] == hmac.new(SECRET.encode(), t[2:].encode() + b"." + r.raw, hashlib.sha256).hexdigest()
    assert len(ids) == 5
    # One after the other needs no second connection.
    assert h.connections <= 2
    session = c.connected["session"]
    c.close()
    assert h.next("$disconnect").body["session"] == session
    assert g.counter("webhook_requests") == g.counter("client_events") + g.counter("command_replies")
    assert g.counter("webhook_answers_bad") == 0
    assert g.counter("backends") == 1


ANSWERS = {
    "none": (answer(204), {"data": None}),
    "empty": (answer(200), {"data": None}),
    "chunked": (b"HTTP/1.1 201 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2;x=y\r\n2]\r\n0\r\nT: 1\r\n\r\n", {"data": [1, 2]}),
    "interim": (b"HTTP/1.1 100 x\r\n\r\n" + answer(200, [3]), {"data": [3]}),
    "to the end": ((b"HTTP/1.0 200 OK\r\n\r\n{\"a\": 1}",), {"data": {"a": 1}}),
    "close": ((answer(200, 7, ["Connection: close"]),), {"data": 7}),
    "own error": (answer(422, {"message": "no \"tea\"", "code": "sold_out"}), {"code": "sold_out", "message": "no \"tea\""}),
    "bad code": (answer(422, {"message": "x", "code": "NO"}), {"code": "backend_error", "bad": 1}),
    "bad 422": (answer(422, [1]), {"code": "backend_error", "bad": 1}),
    "4xx": (answer(404, "x"), {"code": "backend_error"}),
    "3xx": (answer(307, b"", ["Location: /elsewhere"]), {"code": "backend_error"}),
    "5xx": (answer(500, "x"), {"code": "backend_error"}),
    "101": (answer(101, b"", length=False), {"code": "backend_error", "bad": 1}),
    "garbage": (b"\x16\x03\x01\x02 hello", {"code": "backend_error", "bad": 1}),
    "no JSON": (answer(200, b"{\"a\":"), {"code": "backend_error", "bad": 1}),
    "long": (answer(200, b"1" * 5000), {"code": "backend_error", "bad": 1}),
    "long chunks": (b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", {"code": "backend_error", "bad": 1}),
    "long head": (b"HTTP/1.1 200 x\r\nX: " + b"a" * 9000, {"code": "backend_error", "bad": 1}),
    "interim for ever": (b"HTTP/1.1 100 x\r\n\r\n" * 20, {"code": "backend_error", "bad": 1}),
    "too many": (answer(429, "x"), {"code": "backend_error", "message": "the webhook answered 429"}),
    "length twice": (b"HTTP/1.1 200 x\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n1", {"code": "backend_error", "bad": 1}),
    "length and chunks": (b"HTTP/1.1 200 x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
                          {"code": "backend_error", "bad": 1}),
    "negative": (b"HTTP/1.1 200 x\r\nContent-Length: -1\r\n\r\n", {"code": "backend_error", "bad": 1}),
    "chunks of false size": (b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,2]\r\n0\r\n\r\n", {"code": "backend_error", "bad": 1}),
    "1.0 kept": (b"HTTP/1.0 200 x\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n4", {"data": 4}),
    "length too long": (answer(200, 12, ["X: y"]).replace(b"Length: 2", b"Length: 1"), {"data": 1}),
    "more": (answer(200, 8) + b"HTTP/1.1 200 OK\r\n\r\n", {"data": 8}),
    "cut in the head": ((b"HTTP/1.1 200",), {"code": "timeout"}),
    "cut in the body": ((b"HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\n{}",), {"code": "timeout"}),
    "cut in a chunk": ((b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n",), {"code": "timeout"}),
    "cut": ((b"",), {"code": "timeout"}),
}


def test_2_what_answers_become(hooked, connect):
    g, h = hooked(lambda r: ANSWERS[r.body["payload"]][0] if r.body["type"] == "chat:send" else answer(), answer_max="4KiB")
    c, bad = connect(g), 0
    for name, (_, expected) in ANSWERS.items():
        expected = dict(expected)
        bad += expected.pop("bad", 0)
        m = ask(c, name, payload=name)
        assert {k: m.get(k) for k in expected} == expected, (name, m)
        assert g.counter("webhook_answers_bad") == bad, name
        # The next finds a good connection.
        assert ask(c, "good", "good", 1)["data"] is None
    assert g.counter("webhook_cut") == 4 and g.counter("webhook_retries") == 0
    assert g.counter("webhook_answers_error") == 4
    h.close()


def test_3_what_is_tried_again(hooked, connect):
    """Not what somebody may have carried out, unless it may be carried out twice; the id stays."""
    seen = {}

    def respond(r):
        seen.setdefault(r.body["payload"], []).append((r.body["id"], r.body["again"]))
        if len(seen[r.body["payload"]]) > 2:
            return answer(200, len(seen[r.body["payload"]]))
        return (b"HTTP",) if r.body["payload"] == "cut" else answer(503)
    g, h = hooked(respond, types="command a:b a:c", idempotent="a:b")
    c = connect(g)
    assert ask(c, 1, "a:b", "5xx")["data"] == 3 and ask(c, 2, "a:b", "cut")["data"] == 3
    assert ask(c, 3, "a:c", "said", idempotent=True)["data"] == 3
    assert ask(c, 4, "a:c", "not")["code"] == "backend_error" and len(seen["not"]) == 1
    for name in ("5xx", "cut", "said"):
        ids, again = zip(*seen[name])
        assert len(set(ids)) == 1 and again == (False, True, True), seen[name]
    assert g.counter("webhook_retries") == 6
    assert ask(c, 5, "other:type", 1)["code"] == "no_backend"


def test_4_nobody_there(hooked, connect):
    """Refused: surely not sent, so tried again, and no_backend in the end; when it is back, all goes on."""
    g, h = hooked(retries="2", types="a:b")
    c, port = connect(g), h.port
    assert ask(c, 1, "a:b", 1)["data"] == 1
    h.close()
    while True:
        m = ask(c, 2, "a:b", 2)
        if m.get("code") == "no_backend":
            break
        assert m["code"] == "timeout", m
    assert g.counter("webhook_connects_failed") >= 3 and g.counter("webhook_retries") >= 2
    back = Hook(port=port)
    assert ask(c, 3, "a:b", 3)["data"] == 3
    back.close()


def test_5_one_that_hangs_slows_nobody(hooked, connect):
    """Four hang: they end with the timeout, and events and other clients go on meanwhile."""
    g, h = hooked(lambda r: None if r.body["payload"] == "hang" else answer(200, 1), types="a:b", timeout="300ms", connections="4")
    slow, quick = connect(g), connect(g)
    for n in range(3):
        slow.say(type="a:b", id=n, payload="hang")
    for n in range(3):
        h.next()
    assert ask(quick, 9, "a:b", 1)["data"] == 1
    quick.say(type="subscribe", channels=["x"], id=10)
    assert quick.await_type("subscription-ack")["id"] == 10
    assert [slow.await_type("error")["code"] for _ in range(3)] == ["timeout"] * 3
    assert g.counter("webhook_timeouts") == 3
    assert ask(slow, 11, "a:b", 1)["data"] == 1


def test_6_events_that_find_no_room_are_told_as_lost(hooked, connect):
    go = threading.Event()

    def respond(r):
        go.wait()
        return answer()
    g, h = hooked(respond, types="$connect", event_queue="2", connections="1", timeout="10s")
    # Another shard learns a moment later that somebody wants to hear of clients.
    while g.counter("client_events_lost") < 3:
        connect(g).barrier()
    go.set()
    assert [h.next().body["type"] for _ in range(3)] == ["$connect"] * 3
    told = 0
    while told < g.counter("client_events_lost"):
        r = h.next("$lost")
        assert r.body["session"] is None and r.body["payload"].keys() == {"events"}
        told += r.body["payload"]["events"]
    assert told == g.counter("client_events_lost")


def test_7_an_endless_answer_is_cut(hooked, connect):
    """With a length, in chunks, to the connection's end, as a head: no more is read than may be, and the server sees the end."""
    cut = queue.Queue()
    ways = {"length": b"HTTP/1.1 200 x\r\nContent-Length: 1073741824\r\n\r\n", "chunks": b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n",
            "end": b"HTTP/1.1 200 x\r\nConnection: close\r\n\r\n", "head": b"HTTP/1.1 200 x\r\n"}
    more = {"length": b"1" * 4096, "chunks": b"1000\r\n" + b"1" * 4096 + b"\r\n", "end": b"1" * 4096, "head": b"x: y\r\n" * 500}

    def respond(r):
        way = r.body["payload"]
        if way not in ways:
            return answer(200, 1)
        sent = len(ways[way])
        try:
            r.conn.sendall(ways[way])
            while sent < 1 << 30:
                sent += r.conn.send(more[way])
        except OSError:
            pass
        cut.put(sent)
        return (b"",)
    g, h = hooked(respond, types="a:b")
    c = connect(g)
    for n, way in enumerate(ways):
        m = ask(c, way, "a:b", way)
        assert m["code"] == "backend_error" and g.counter("webhook_answers_bad") == n + 1, m
        assert cut.get(timeout=SOON * SLOW) < 1 << 30
        assert ask(c, "good", "a:b", 1)["data"] == 1
    # Beside the body there is its head, and what one buffer holds.
    assert g.counter("recv_bytes") < 2 << 20


def test_8_a_connection_that_does_not_come_about(hooked, connect):
    """A listener whose queue is full takes the first packet and says nothing: the try ends with the timeout."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    port = full.getsockname()[1]
    fillers = [socket.socket() for _ in range(4)]
    for f in fillers:
        f.setblocking(False)
        f.connect_ex(("127.0.0.1", port))
    g, _ = hooked(types="a:b", url=f"http://127.0.0.1:{port}/", timeout="200ms", retries="1")
    c = connect(g)
    assert ask(c, 1, "a:b", 1)["code"] == "no_backend"
    assert g.counter("webhook_connects_failed") == 2 and g.counter("webhook_timeouts") == 2 and g.counter("webhook_requests") == 0
    c.close()
    g.stop()
    for f in (full, *fillers):
        f.close()


def test_9_the_end_waits_for_commands_only(hooked, connect):
    """A command that is under way when the gateway stops is answered; then nothing of webhooks holds the end up."""
    go = threading.Event()

    def respond(r):
        go.wait()
        return answer(200, 5)
    g, h = hooked(respond, types="a:b")
    clients = [connect(g) for _ in range(3)]
    for c in clients:
        c.say(type="a:b", id=1, payload=0)
    for _ in clients:
        h.next()
    g.signal(signal.SIGTERM)
    g.wait_line("drain|stop")
    go.set()
    for c in clients:
        assert c.await_type("reply")["data"] == 5
        c.drop()
    g.wait()


def reset(s):
    """The next close of it says RST."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_10_half_an_answer_is_none(hooked, connect):
    """Half of a number is a number: a body without a length is whole at the connection's end, and not when that is a reset."""
    def respond(r):
        if r.body["payload"] != "reset":
            return answer(200, 1)
        r.conn.sendall(b"HTTP/1.1 200 x\r\nConnection: close\r\n\r\n12")
        # The gateway has it: what is not acknowledged is 0.
        eventually(lambda: struct.unpack("i", fcntl.ioctl(r.conn, termios.TIOCOUTQ, b"\0" * 4))[0] == 0, "all is there")
        go.acquire()
        reset(r.conn)
        return (b"",)
    go = threading.Semaphore(0)
    g, h = hooked(respond, types="a:b")
    c = connect(g)
    before = g.counter("recv_bytes")
    c.say(type="a:b", id=1, payload="reset")
    h.next()
    eventually(lambda: g.counter("recv_bytes") - before > 40, "the gateway has read it")
    go.release()
    assert c.await_type("reply", "error")["code"] == "timeout"
    assert ask(c, 2, "a:b", 1)["data"] == 1


def test_11_an_answer_in_front_of_the_end_of_the_request(hooked, connect):
    """Who has seen enough answers, and does not read on: that is the answer, and the connection is not used again."""
    h = socket.create_server(("127.0.0.1", 0))
    h.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    g, _ = hooked(types="a:b", url=f"http://127.0.0.1:{h.getsockname()[1]}/")
    c = connect(g)
    for n in range(2):
        c.say(type="a:b", id=n, payload="x" * 60000)
        s, _ = h.accept()
        assert s.recv(100).startswith(b"POST / HTTP/1.1\r\n")
        s.sendall(answer(413, "too much"))
        m = c.await_type("error", "reply")
        assert (m["id"], m["code"], m["message"]) == (n, "backend_error", "the webhook answered 413")
        s.close()
    h.close()


def test_12_what_is_said_before_it_is_asked(hooked, connect):
    """A 408 on an idle connection is no answer to anything; the next command has its own."""
    def respond(r):
        if r.body["payload"] == "then 408":
            return answer(200, 1) + answer(408, "idle", ["Connection: close"])
        return answer(200, 2)
    g, h = hooked(respond, types="a:b", connections="1")
    c = connect(g)
    for n in range(10):
        assert ask(c, 2 * n, "a:b", "then 408")["data"] == 1
        assert ask(c, 2 * n + 1, "a:b", "next")["data"] == 2
    assert g.counter("webhook_answers_bad") == 0


def test_13_any_2xx_takes_an_event(hooked, connect):
    """What is said to an event is for nobody: it need not be JSON, and not be short. 429 and 408 are later, not never."""
    seen, told = {}, queue.Queue()

    def respond(r):
        again = seen.setdefault(r.body["id"], [])
        again.append(r.body["again"])
        if r.body["type"] == "$connect" and len(again) < 3:
            return answer((429, 408)[len(again) - 1])
        told.put((r.body["type"], r.body["session"], again))
        return answer(200, {"$connect": b"ok", "$disconnect": b"<html>" * 1000}.get(r.body["type"], b"1"))
    g, h = hooked(respond, types="* $connect $disconnect", answer_max="1KiB")
    c = heard(g, connect)
    session = c.connected["session"]
    c.close()
    missing = {"$connect": [False, True, True], "$disconnect": [False]}
    while missing:
        kind, whose, again = told.get(timeout=SOON * SLOW)
        if whose == session and kind in missing:
            assert missing.pop(kind) == again
    eventually(lambda: g.counter("webhook_answers_bad") >= 1, "the long one is counted")
    assert g.counter("client_events_lost") == 0


def test_14_more_than_the_url_takes(hooked, connect):
    """Connections bound what is asked at once; the rest waits, is answered in the end, or told busy."""
    now, most, lock = [0], [0], threading.Lock()

    def respond(r):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        go.wait()
        with lock:
            now[0] -= 1
        return answer(200, r.body["payload"])
    go = threading.Event()
    g, h = hooked(respond, types="a:b", connections="3")
    clients = [connect(g) for _ in range(4)]
    for n in range(50):
        for c in clients:
            c.say(type="a:b", id=n, payload=n)
    for _ in range(3):
        h.next()
    eventually(lambda: g.counter("commands_waiting") == 197, "the others wait")
    assert h.requests.qsize() == 0
    go.set()
    for c in clients:
        assert sorted(c.await_type("reply")["data"] for _ in range(50)) == list(range(50))
    assert most[0] == 3 and h.connections <= 3 and g.counter("webhook_requests") == 200


def test_15_without_descriptors(hooked, connect):
    """As refused: tried again, no_backend in the end; when there are some again, all goes on."""
    g, h = hooked(types="a:b", retries="1")
    c = connect(g)
    soft, hard = resource.prlimit(g.pid, resource.RLIMIT_NOFILE)
    # Descriptors are numbers below the limit: those that are open stay.
    resource.prlimit(g.pid, resource.RLIMIT_NOFILE, (0, hard))
    assert ask(c, 1, "a:b", 1)["code"] == "no_backend"
    assert g.counter("webhook_connects_failed") == 2 and h.connections == 0
    resource.prlimit(g.pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert "descriptor" in status(g)["lastError"]["message"]
    assert ask(c, 2, "a:b", 2)["data"] == 2


@pytest.mark.one_shard
def test_16_clients_do_not_take_its_places(gateway, connect):
    """The connection table is full as far as those who come are concerned; the URL is reached all the same."""
    h = Hook()
    g = gateway({**GIVEN, "webhooks.url": h.url, "webhooks.types": "a:b", "max_clients": "20", "ingest.max_publishers": "1"})
    c = connect(g)
    crowd = [socket.create_connection(g.http) for _ in range(150)]
    g.until_counter("accept_refused_capacity", lambda n: n >= 1)
    assert ask(c, 1, "a:b", 1)["data"] == 1 and g.counter("webhook_connects_failed") == 0
    for s in crowd:
        s.close()
    h.close()


def status(g):
    with urllib.request.urlopen(f"http://{g.plain_http[0]}:{g.plain_http[1]}/api/status", timeout=SOON * SLOW) as f:
        return json.load(f).get("webhooks")


def test_17_how_they_do(hooked, gateway, connect):
    """In /api/status, without the query."""
    go = threading.Event()

    def respond(r):
        if r.body["payload"] == "wait":
            go.wait()
        return answer(503) if r.body["payload"] == "503" else answer(200, 1)
    g, h = hooked(respond, types="a:b", connections="2")
    c = connect(g)
    assert ask(c, 1, "a:b", 1)["data"] == 1
    assert status(g) == {"url": f"http://127.0.0.1:{h.port}/hook", "addresses": [f"127.0.0.1:{h.port}"], "connections": 1, "outstanding": 0,
                         "waiting": 0, "eventsWaiting": 0, "failures": 0, "lastError": None}
    assert ask(c, 2, "a:b", "503")["code"] == "backend_error"
    c.say(type="a:b", id=3, payload="wait")
    while h.next().body["payload"] != "wait":
        pass
    s = status(g)
    assert s["outstanding"] == 1 and s["failures"] == 1 and s["lastError"]["message"] == "the webhook answered 503"
    assert s["lastError"]["timestamp"].endswith("Z")
    go.set()
    assert c.await_type("reply")["data"] == 1
    assert status(gateway()) is None


@pytest.fixture
def hosts(folder):
    """A file in the place of /etc/hosts, for a gateway that is started by way of .wrap."""
    tools = [t for t in ("unshare", "mount") if not shutil.which(t)]
    if tools:
        pytest.skip(f"{tools[0]} is not installed")
    own = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    path = f"{folder}/hosts"

    def write(text):
        with open(path, "w") as f:
            f.write(text)
    write("127.0.0.1 hook.test\n")
    write.wrap = [*own, "sh", "-ec", f'mount --bind {path} /etc/hosts; exec "$@"', "sh"]
    done = subprocess.run([*write.wrap, "getent", "ahosts", "hook.test"], capture_output=True, text=True)
    if not done.stdout.startswith("127.0.0.1 "):
        pytest.skip(f"names can't be made up here: {done.stderr.strip() or 'they are not looked up in /etc/hosts'}")
    return write


@pytest.mark.one_shard
def test_18_a_name_that_moves(gateway, connect, hosts):
    """The host is elsewhere: what comes then goes there, with the old one still up, too. Where it can't be looked up, the old one stays."""
    first = Hook(lambda r: answer(200, "first"))
    second = Hook(lambda r: answer(200, "second"), first.port, "127.0.0.2")
    g = gateway({**GIVEN, "webhooks.url": f"http://hook.test:{first.port}/", "webhooks.types": "a:b", "webhooks.resolve": "1s"}, wrap=hosts.wrap)
    c = connect(g)
    assert ask(c, 1, "a:b")["data"] == "first" and first.next().headers["host"] == f"hook.test:{first.port}"
    hosts("127.0.0.2 hook.test\n")
    g.until_counter("webhook_moves", 1)
    assert ask(c, 2, "a:b")["data"] == "second"
    assert status(g)["addresses"] == [f"127.0.0.2:{first.port}"]
    hosts("127.0.0.1 other.test\n")
    g.until_counter("webhook_lookups_failed", lambda n: n >= 1)
    assert "can't be resolved" in status(g)["lastError"]["message"]
    assert ask(c, 3, "a:b")["data"] == "second" and g.counter("webhook_moves") == 1
    second.close()
    first.close()


def test_19_a_connection_that_fails_has_the_name_looked_up(gateway, connect, hosts):
    """Long before it is time to."""
    first = Hook(lambda r: answer(200, "first"))
    g = gateway({**GIVEN, "webhooks.url": f"http://hook.test:{first.port}/", "webhooks.types": "a:b", "webhooks.resolve": "1h",
                 "webhooks.retries": "0"}, wrap=hosts.wrap)
    c = connect(g)
    assert ask(c, 1, "a:b")["data"] == "first" and g.counter("webhook_lookups") == 0
    second = Hook(lambda r: answer(200, "second"), first.port, "127.0.0.2")
    hosts("127.0.0.2 hook.test\n")
    first.close()
    eventually(lambda: ask(c, 2, "a:b").get("data") == "second", "it is found where it is now")
    assert g.counter("webhook_moves") == 1 and 1 <= g.counter("webhook_lookups") <= g.counter("webhook_connects_failed") + 1
    second.close()


@pytest.mark.one_shard
def test_20_what_is_refused_at_start(gateway, folder, shards):
    for options, words in [({"url": "https://example.org/"}, "proxy on loopback"), ({"url": "ftp://x"}, "begins with http://"),
                           ({"url": "http://x:0/"}, "port"), ({"url": "http://ann:pass@x/"}, "names a user"),
                           ({"url": "http://nowhere.invalid/"}, "the host nowhere.invalid can't be resolved"), ({"url": "http://127.0.0.1:1", "types": "subscribe"}, "no type that clients may say"),
                           ({"url": "http://127.0.0.1:1", "types": ","}, "names nothing"),
                           ({"url": "http://127.0.0.1:1", "secret_file": "/nowhere/at-all"}, "/nowhere/at-all")]:
        flags = [x for k, v in options.items() for x in ("--set", f"webhooks.{k}={v}")]
        done = rcgateway.run(["serve", "--listen", "127.0.0.1:0", *flags], folder)
        assert done.returncode != 0 and words in done.stderr + done.stdout, (options, done.stderr)
