# SPDX-License-Identifier: Apache-2.0
"""Attacks by slowness: whoever sends a byte at a time, stops half way, or ends one half of the connection, in each phase of it. All phases have a
time of their own that no byte prolongs; meanwhile the good client is served. Time is what is attacked here, so it is measured."""
import json
import select
import socket
import time

import pytest

import rcsiege
from deadline import SLOW
from rcsiege import ADMIN, token
from rcws import CLOSE, CONTINUATION, TEXT, frame, open_socket, upgrade

pytestmark = [pytest.mark.attack, pytest.mark.one_shard]

# What each phase may take; the others are far away.
PHASE = 1.0
HEAD = upgrade("/ws?channel=public:a", headers=[("X-Pad", "x" * 4000)])
BODY = b"POST /api/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + ADMIN.encode() + b"\r\nContent-Type: application/json\r\n"


def place(keys):
    return keys.settings(**rcsiege.known({
        "admin.token": ADMIN, "handshake_timeout": "1s", "http.body_timeout": "1s", "http.idle_timeout": "1s", "auth.auth_timeout": "1s", "close_timeout": "500ms",
        "limits.message_timeout": "1s", "heartbeat": "1s", "auth.anonymous": "no", "namespace.channel_ttl": "0",
    })), True


class Slow:
    """One attacker: sends the first of these bytes at once, then the rest one by one, for ever."""

    def __init__(self, address, first, rest, half=False):
        self.sock = open_socket(address)
        self.sock.setblocking(True)
        self.sock.sendall(first)
        if half:
            self.sock.shutdown(socket.SHUT_WR)
        self.rest, self.half, self.at, self.got = rest, half, 0, b""
        self.begin, self.end = time.monotonic(), None
        self.sock.setblocking(False)

    def step(self):
        try:
            if not self.half and self.rest:
                self.sock.send(self.rest[self.at % len(self.rest):][:1])
                self.at += 1
            more = self.sock.recv(65536)
            self.got += more
            if not more:
                self.end = time.monotonic()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.end = time.monotonic()

    def drop(self):
        self.sock.close()


def all_end(attackers, seconds):
    """Each sends a byte every 20 ms until it is ended; the time that took."""
    try:
        while any(a.end is None for a in attackers):
            assert time.monotonic() - attackers[0].begin < seconds * SLOW, \
                f"still connected: {[(i, a.got[:80]) for i, a in enumerate(attackers) if a.end is None]}"
            for a in attackers:
                if a.end is None:
                    a.step()
            select.select([], [], [], 0.02)
    finally:
        for a in attackers:
            a.drop()
    return [a.end - a.begin for a in attackers]


def text(**message):
    return frame(TEXT, json.dumps(message))


def test_heads(siege):
    """A request line, a head, and one that never ends though it grows."""
    plain = siege.g.plain_http
    times = all_end([Slow(plain, HEAD[:cut], HEAD[cut:]) for cut in (1, 3, 20, 60, len(HEAD) - 3000) for _ in range(8)] +
                    [Slow(plain, HEAD[:60] + b"\r\n", b"X-More: x\r\n") for _ in range(8)], PHASE + 4)
    assert min(times) > PHASE / 2
    siege.moved(close_handshake_timeout=siege.SOME)


def test_bodies(siege):
    plain = siege.g.plain_http
    attackers = [Slow(plain, BODY + b"Content-Length: 5000\r\n\r\n", b"{" * 5000) for _ in range(10)]
    attackers += [Slow(plain, BODY + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n") for _ in range(10)]
    attackers += [Slow(plain, BODY + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 4000) for _ in range(10)]
    attackers += [Slow(plain, BODY + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n") for _ in range(10)]
    all_end(attackers, PHASE + 4)
    assert all(not a.got or a.got.startswith(b"HTTP/1.1 4") for a in attackers), [a.got[:40] for a in attackers]
    siege.moved(http_requests=siege.SOME)


def test_one_request_after_another_and_then_none(siege):
    all_end([Slow(siege.g.plain_http, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * n, b"") for n in (1, 2, 5) for _ in range(5)], PHASE + 4)
    siege.moved(http_requests=40)


def test_tokens_that_never_come(siege):
    """After the upgrade the first message must be there in time, however many frames bring it."""
    plain, wanted = siege.g.plain_http, text(type="auth", token=token(sub="ann"))
    request = upgrade("/ws")
    pieces = b"".join(frame(TEXT if i == 0 else CONTINUATION, c.encode(), fin=False) for i, c in enumerate(json.dumps({"type": "auth", "token": "x" * 300})))
    all_end([Slow(plain, request, b"") for _ in range(10)] + [Slow(plain, request, wanted) for _ in range(10)] +
            [Slow(plain, request + wanted[:-5], b"") for _ in range(10)] + [Slow(plain, request, pieces) for _ in range(10)] +
            [Slow(plain, request, frame(9, b"")) for _ in range(10)] + [Slow(plain, request, frame(10, b"")) for _ in range(10)], PHASE + 4)
    siege.moved(close_token=siege.SOME)


def test_messages_that_never_end(siege):
    """Of those who are let in: a frame, or its pieces, byte by byte. Pongs in between do not help."""
    if "limits.message_timeout" not in rcsiege.known_options():
        pytest.skip("this gateway has no message_timeout")
    request = upgrade("/ws?token=" + token(sub="ann"))
    long = frame(TEXT, b" " * 60000)
    pieces = frame(TEXT, b" ", fin=False) + frame(CONTINUATION, b" ", fin=False) * 500
    attackers = [Slow(siege.g.plain_http, request, raw) for raw in (long, pieces) for _ in range(10)]
    attackers += [Slow(siege.g.plain_http, request + long[:n], b"") for n in (1, 3, 9, 30000) for _ in range(3)]
    all_end(attackers, PHASE + 8)
    siege.moved(clients_closed=32)


@pytest.mark.parametrize("kind", ["plain", "tls"])
def test_hellos(siege, kind):
    """TLS by bytes, by halves, and not at all; and its bytes at the plain port."""
    hello = first_flight(siege)
    address = siege.g.plain_http if kind == "plain" else tuple(siege.g.http)
    all_end([Slow(address, hello[:n], hello[n:]) for n in (0, 1, 5, 40, len(hello) - 30) for _ in range(6)] +
            [Slow(address, hello[:5] + b"\x01\x00\xff\xff", b"\0") for _ in range(6)], PHASE + 4)
    siege.moved(accepts=36)


def first_flight(siege):
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def test_halves(siege):
    """The client's side of the connection ends after each phase, and nothing more comes."""
    plain, hello = siege.g.plain_http, first_flight(siege)
    request = upgrade("/ws?token=" + token(sub="ann"))
    firsts = [b"", HEAD[:10], HEAD[:-2], BODY + b"Content-Length: 100\r\n\r\n{", BODY + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", upgrade("/ws"), request,
              request + text(type="subscribe", channels=["public:a"])[:9], request + frame(TEXT, b"{", fin=False), request + frame(CLOSE, b"\x03\xe8"),
              b"GET /events?channel=public:a HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]
    attackers = [Slow(plain, first, b"", half=True) for first in firsts for _ in range(4)]
    attackers += [Slow(tuple(siege.g.http), first, b"", half=True) for first in (b"", hello[:7], hello) for _ in range(4)]
    all_end(attackers, PHASE + 6)
    siege.moved(accepts=4 * len(firsts) + 12)


def test_streams_of_who_is_half_gone(siege):
    """A client may end its half and go on reading an event stream, or be taken for gone; it does not stay for ever when it is."""
    raw = b"GET /events?channel=good:half HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token(sub="ann", channels=["good:*"]).encode() + b"\r\n\r\n"
    halves = [Slow(siege.g.plain_http, raw, b"", half=True) for _ in range(10)]
    for a in halves:
        a.sock.setblocking(True)
        a.sock.settimeout(20 * SLOW)
        a.got = a.sock.recv(4096)
        assert a.got == b"" or a.got.startswith(b"HTTP/1.1 200 ")
        a.drop()
    siege.moved(accepts=10)


def test_a_crowd_of_them(siege):
    """All phases at once, 300 attackers; the delay of the good client is bounded as ever."""
    plain, hello = siege.g.plain_http, first_flight(siege)
    attackers = []
    for i in range(60):
        attackers.append(Slow(plain, HEAD[:i + 1], HEAD[i + 1:]))
        attackers.append(Slow(plain, BODY + b"Content-Length: 9999\r\n\r\n", b"{"))
        attackers.append(Slow(plain, upgrade("/ws"), text(type="auth", token="x" * 400)))
        attackers.append(Slow(tuple(siege.g.http), hello[:i], hello[i:-1]))
        attackers.append(Slow(plain, b"", b""))
    all_end(attackers, PHASE + 6)
    siege.moved(accepts=300)
