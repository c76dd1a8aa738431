# SPDX-License-Identifier: Apache-2.0
"""Clients that never come to an end, in each phase of a connection: a byte now and then, for ever. Each phase has a time for the whole of
it, which bytes do not prolong; what was held is given back, and others are served meanwhile."""
import select
import socket
import struct
import time

import pytest

from deadline import SOON, Deadline, eventually
from rchttp import request
from rcingest import Publisher, Wire, hello
from rcrecords import client_hello, raw_socket
from rcws import PING, TEXT, JsonClient, Stream, WebSocket, frame, open_socket

SHORT = {"handshake_timeout": "400ms", "http.body_timeout": "400ms", "limits.message_timeout": "400ms", "heartbeat": "10s",
         "close_timeout": "500ms"}
BEAT = 0.02  # between two bytes


class Dribble:
    """Sends `first` at once and `rest` byte by byte until the other side ends it; .got is what it said."""

    def __init__(self, sock, first, rest):
        self.sock, self.rest, self.got, self.ended, self.sent = sock, iter(rest), b"", False, 0
        raw = getattr(sock, "raw", sock)
        self.fd = raw.fileno()
        sock.sendall(first)

    def step(self):
        try:
            self.sock.sendall(bytes([next(self.rest)]))
            self.sent += 1
        except (OSError, StopIteration):
            self.ended = True

    def look(self):
        try:
            self.sock.settimeout(1)
            got = self.sock.recv(65536)
        except OSError:
            got = b""
        self.got += got
        self.ended |= not got


def run(dribbles, while_it_lasts=lambda: None):
    """Until all have been ended. The beat is the attacker's, not a wait for something."""
    deadline = Deadline(SOON)
    open_ones = list(dribbles)
    while open_ones:
        readable, _, _ = select.select([d.fd for d in open_ones], [], [], min(BEAT, deadline.left()))
        for d in open_ones:
            (d.look if d.fd in readable else d.step)()
        open_ones = [d for d in open_ones if not d.ended]
        while_it_lasts()
    for d in dribbles:
        d.sock.close()
    return dribbles


def one(address, first, rest, **options):
    return run([Dribble(open_socket(address, **options), first, rest)])[0]


@pytest.fixture
def slow(gateway):
    """A gateway with short times, and after the test: nothing is held, and a good client is served."""
    started = []

    def start(settings=None, good=True, **options):
        started.append(gateway({**SHORT, **(settings or {})}, **options))
        g = started[-1]
        # Tables grow, and a page of small objects may stay for the next: the crowd holds far more.
        g.good = good
        g.before = g.counter("arena_used_bytes") + (256 << 10)
        return g

    yield start
    for g in started:
        g.until_counter("unauthenticated", 0)
        g.until_counter("clients", 0)
        eventually(lambda: g.counter("arena_used_bytes") <= g.before, "what was held is given back")
        if g.good:
            with JsonClient.greeted(g.plain_http) as c:
                c.subscribe("after")


HEAD = b"GET /ws HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"token=" * 10000
BODY = request("POST", "/api/publish", "Content-Type: application/json", "Content-Length: 100000", length=False)
CHUNKED = request("POST", "/api/publish", "Transfer-Encoding: chunked", length=False)


@pytest.mark.tsan
def test_a_request_head(slow):
    g = slow()
    d = one(g.plain_http, HEAD[:1], HEAD[1:])
    assert d.got.startswith(b"HTTP/1.1 408 ") and d.sent > 5, (d.sent, d.got)


@pytest.mark.one_shard
def test_a_request_head_behind_another(slow):
    g = slow()
    d = one(g.plain_http, request("GET", "/healthz") + HEAD[:1], HEAD[1:])
    assert d.got.startswith(b"HTTP/1.1 200 ") and b"HTTP/1.1 408 " in d.got


@pytest.mark.one_shard
def test_empty_lines_in_front_of_a_request(slow):
    g = slow()
    got = one(g.plain_http, b"\r\n", b"\r\n" * 10000).got
    assert got.startswith(b"HTTP/1.1 4"), got


@pytest.mark.one_shard
@pytest.mark.parametrize("head, rest", [(BODY, b"x" * 90000), (CHUNKED, b"1\r\n1\r\n" * 10000), (CHUNKED, b"1;" + b"e=x;" * 10000)],
                         ids=["length", "chunks", "chunk-extension"])
def test_a_body(slow, head, rest):
    g = slow()
    answer = one(g.plain_http, head, rest).got
    assert answer.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 ")), answer


@pytest.mark.parametrize("first, rest", [
    (b"", frame(TEXT, "x" * 60000)),
    (frame(TEXT, "x" * 60000)[:30000], b"x" * 30000),
    (frame(TEXT, "x" * 100, fin=False), frame(0, "y" * 10, fin=False) * 1000),
    (b"", frame(PING, b"p" * 125)),
    (b"", b"".join(frame(TEXT, "x", fin=False) if i == 0 else frame(PING, b"") for i in range(1000))),
], ids=["message", "half a message", "fragments", "ping", "pings inside a message"])
def test_a_message(slow, first, rest):
    """Also the first message, which may be the token's."""
    g = slow()
    ws = WebSocket.open(g.plain_http, "/ws")
    d = run([Dribble(ws.sock, first, rest)])[0]
    assert b"\x03\xf0" in d.got and b"not complete in time" in d.got, (d.sent, d.got)
    assert g.counter("close_stalled") == 1


@pytest.mark.one_shard
def test_the_first_message_with_the_token(slow):
    g = slow({"auth.hmac_secret": "s" * 40, "auth.anonymous": "no", "auth.auth_timeout": "400ms", "limits.message_timeout": "5m"},
             good=False)
    for first in (b"", frame(PING, b"p" * 100)[:50]):
        ws = WebSocket.open(g.plain_http, "/ws")
        d = run([Dribble(ws.sock, first, frame(TEXT, "x" * 60000))])[0]
        assert b"\x0f\xa1no token came in time" in d.got, (d.sent, d.got)


@pytest.mark.one_shard
def test_messages_that_come_to_their_end_may_go_on(slow):
    """Each in pieces, for longer than the time that one may take."""
    g = slow()
    whole = frame(TEXT, '{"type":"ping","id":1}')
    with JsonClient.greeted(g.plain_http) as c:
        # An answer would come between the pieces of a frame.
        c.answer_pings = False
        begin = time.monotonic()
        c.send_bytes(whole[:5])
        while time.monotonic() - begin < 1:
            # The end of one and the beginning of the next.
            c.send_bytes(whole[5:] + whole[:5])
            assert c.await_type("pong")
            select.select([], [], [], BEAT)
        c.send_bytes(whole[5:])
        assert c.await_type("pong")


@pytest.mark.one_shard
def test_a_publishers_hello(slow):
    g = slow()
    # Of a length that would take four seconds.
    d = one(g.plain_ingest, struct.pack("<IBBH", 204, Wire.FRAME_HELLO, 0, 0), bytes(200))
    assert b"no HELLO came" in d.got and d.sent > 5, (d.sent, d.got)


@pytest.mark.one_shard
def test_a_tls_hello(slow, pki):
    g = slow(pki=pki)
    whole = client_hello()
    d = run([Dribble(raw_socket(g.http), whole[:1], whole[1:] + b"\0" * 10000)])[0]
    assert d.sent > 5
    assert g.counter("tls_failed_timeout") + g.counter("tls_failed_protocol") == 1
    g.until_counter("tls_handshaking", 0)


@pytest.mark.one_shard
@pytest.mark.parametrize("kernel", ["no", "auto"])
def test_a_request_head_in_records_of_a_byte(slow, pki, kernel):
    g = slow({"tls.kernel": kernel}, pki=pki)
    d = one(g.http, HEAD[:1], HEAD[1:])
    assert d.got.startswith(b"HTTP/1.1 408 ")


# ---- half closed

@pytest.mark.one_shard
@pytest.mark.parametrize("first", [b"", HEAD[:40], BODY + b"x" * 10, CHUNKED + b"5\r\nab"], ids=["nothing", "head", "body", "chunks"])
def test_half_closed_in_the_middle_of_a_request(slow, first):
    g = slow({"handshake_timeout": "5m", "http.body_timeout": "5m", "http.idle_timeout": "5m"})
    with Stream(open_socket(g.plain_http)) as s:
        s.send_bytes(first)
        s.sock.shutdown(socket.SHUT_WR)
        s.read_to_end()
    g.until_counter("unauthenticated", 0)


@pytest.mark.one_shard
def test_half_closed_in_the_middle_of_a_message(slow):
    g = slow({"limits.message_timeout": "5m"})
    with WebSocket.open(g.plain_http, "/ws") as ws:
        ws.send_bytes(frame(TEXT, "x" * 1000)[:500])
        ws.sock.shutdown(socket.SHUT_WR)
        ws.read_to_end()
    g.until_counter("unauthenticated", 0)


@pytest.mark.one_shard
def test_half_closed_before_hello(slow):
    g = slow({"handshake_timeout": "5m"})
    with Publisher.open(g.plain_ingest) as p:
        p.send_bytes(hello("p")[:9])
        p.sock.shutdown(socket.SHUT_WR)
        p.read_to_end()
    g.until_counter("unauthenticated", 0)


@pytest.mark.one_shard
def test_half_closed_in_a_tls_hello(slow, pki):
    g = slow({"handshake_timeout": "5m"}, pki=pki)
    with Stream(raw_socket(g.http)) as s:
        s.send_bytes(client_hello()[:50])
        s.sock.shutdown(socket.SHUT_WR)
        try:
            s.read_to_end()
        except OSError:
            pass
    g.until_counter("unauthenticated", 0)


# ---- many

@pytest.mark.deadline(90)
def test_a_crowd_in_every_phase_while_others_are_served(slow):
    # Long enough for the gauge, which is brought up to date once a second, to see it.
    g = slow({name: "2500ms" for name in ("handshake_timeout", "http.body_timeout", "limits.message_timeout")})
    ways = [
        lambda: Dribble(open_socket(g.plain_http), HEAD[:1], HEAD[1:]),
        lambda: Dribble(open_socket(g.plain_http), BODY, b"x" * 90000),
        lambda: Dribble(WebSocket.open(g.plain_http, "/ws").sock, frame(TEXT, "x" * 60000)[:30000], b"x" * 30000),
        lambda: Dribble(open_socket(g.plain_ingest), hello("p" * 60)[:4], b"\0" * 4000),
    ]
    with JsonClient.greeted(g.plain_http) as good:
        good.subscribe("a")
        crowd = [ways[i % len(ways)]() for i in range(160)]

        def still_served():
            good.say(type="ping", id="x")
            assert good.await_type("pong")["id"] == "x"

        g.until_counter("arena_used_bytes", lambda held: held > g.before + (1 << 20))
        run(crowd, still_served)
    g.until_counter("connections", 0)
