# SPDX-License-Identifier: Apache-2.0
"""PROXY headers, and what requests of trusted proxies say of their clients: each made by hand, right and wrong."""
import json
import shutil
import socket
import tempfile
import time

import pytest

import rcgateway

from deadline import SLOW, Deadline
from rcedge import (ADMIN, BEARER, LOCAL, TOKEN, Via, addresses, publish, status, tlv, v1, v2, v2_raw)
from rchttp import Http, request
from rcingest import Publisher, hello
from rcsse import SseClient
from rctls import Address
from rcws import JsonClient, Stream, WebSocket, open_socket

PROXY, OTHER = "127.0.0.1", "127.0.0.9"
REQUIRED = {**ADMIN, "trusted_proxies": PROXY, "proxy_protocol": "required"}
OPTIONAL = {**REQUIRED, "proxy_protocol": "optional"}
HEADERS = {
    "v1 tcp4": (v1(), "192.0.2.7:12345"),
    "v1 tcp6": (v1("2001:db8::7"), "[2001:db8::7]:12345"),
    "v1 tcp6, of ipv4": (v1("::ffff:192.0.2.7"), "192.0.2.7:12345"),
    "v2 tcp4": (v2(), "192.0.2.7:12345"),
    "v2 tcp6": (v2("2001:db8::7"), "[2001:db8::7]:12345"),
    "v2 with additions and a sum": (v2(more=tlv(1, b"h2") + tlv(0x22, b"x" * 300), crc=True), "192.0.2.7:12345"),
}
SILENT = {
    "v1 unknown": b"PROXY UNKNOWN\r\n",
    "v1 unknown with more": b"PROXY UNKNOWN 192.0.2.7 127.0.0.1 1 2\r\n",
    "v2 local": LOCAL,
    "v2 local with an address": v2_raw(0x20, 0x11, v2()[16:]),
    "v2 unspec": v2_raw(0x21, 0, b""),
    "v2 unix": v2_raw(0x21, 0x31, bytes(216)),
}
BAD = {
    "v1 nonsense": b"PROXY nonsense\r\n",
    "v1 without an end": b"PROXY TCP4 " + b"1" * 100,
    "v1 with LF alone": v1().replace(b"\r", b""),
    "v1 lower case": v1().replace(b"TCP4", b"tcp4"),
    "v1 port": v1(port=65536),
    "v2 of another version": v2_raw(0x31, 0x11, v2()[16:]),
    "v2 of another family": v2_raw(0x21, 0x41, v2()[16:]),
    "v2 udp": v2_raw(0x21, 0x12, v2()[16:]),
    "v2 too short for its addresses": v2_raw(0x21, 0x11, v2()[16:], 8),
    "v2 longer than any": v2_raw(0x21, 0x11, v2()[16:], 65535),
    "v2 with a cut addition": v2(more=b"\4\0\5abc"),
    "v2 with a wrong sum": v2(more=tlv(3, b"abcd")),
    "v2 whose length takes the request too": v2_raw(0x21, 0x11, v2()[16:], 12 + len(request("GET", "/healthz"))),
}
HEALTH = request("GET", "/healthz")
for_each = pytest.mark.parametrize


def ends(address, raw, half=False):
    """Closed without a word."""
    with Stream(open_socket(address)) as s:
        try:
            s.send_bytes(raw)
            if half:
                s.sock.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        s.expect_end()


def one(g, address, path="/ws?channel=a", kind=JsonClient):
    """A client by that way works, and this is its address."""
    with kind.greeted(address, path) as c:
        if kind is JsonClient:
            c.await_type("subscription-ack")
        g.until_counter("clients", 1)
        at, = addresses(g)
        publish(g, "a", at)
        assert c.next_event()["data"] == at
    g.until_counter("clients", 0)
    return at


# ---- headers

@pytest.fixture(scope="module")
def of_module(shards):
    """Gateways that the tests of this module share, by their settings."""
    kept = {}

    def get(settings, pki=None):
        key = json.dumps(settings, sort_keys=True), bool(pki)
        if key not in kept:
            folder = tempfile.mkdtemp(prefix="rc-")
            kept[key] = rcgateway.Gateway(folder, settings, shards=shards, pki=pki), folder
            kept[key][0].wait_ready()
        return kept[key][0]

    yield get
    for g, folder in kept.values():
        try:
            g.stop()
        finally:
            g.kill()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def required(of_module):
    return of_module(REQUIRED)


@pytest.fixture
def optional(of_module):
    return of_module(OPTIONAL)


@for_each("name", HEADERS)
def test_the_client_is_who_the_header_says(required, name):
    header, address = HEADERS[name]
    assert one(required, Via(required.http, header)) == address


@pytest.mark.one_shard
@for_each("name", HEADERS)
def test_an_event_stream_too(optional, name):
    header, address = HEADERS[name]
    assert one(optional, Via(optional.http, header), "/events?channel=a", SseClient) == address


@pytest.mark.one_shard
@for_each("name", SILENT)
def test_one_that_says_nothing_leaves_the_address_of_the_proxy(required, name):
    assert one(required, Via(required.http, SILENT[name])).startswith(PROXY + ":")


@pytest.mark.one_shard
@for_each("name", ["v1 tcp6", "v2 tcp4", "v2 with additions and a sum"])
def test_it_may_be_cut_anywhere(required, name):
    header = HEADERS[name][0]
    raw = header + request("GET", "/healthz")
    for at in sorted({*range(1, 40), *range(len(header) - 5, len(header) + 5)}):
        turns = required.counter("turns")
        with Http(required.http) as c:
            c.send_bytes(raw[:at])
            # It has been looked at, so the rest comes by itself.
            required.until_counter("turns", lambda n: n > turns)
            c.send_bytes(raw[at:])
            assert c.answer().status == 200


@pytest.mark.one_shard
def test_it_may_come_byte_by_byte(required):
    for header in (v1(), v2(), v2("2001:db8::1", crc=True)):
        with Http(required.http) as c:
            for byte in header + request("GET", "/healthz"):
                c.send_bytes(bytes([byte]))
            assert c.answer().status == 200


@pytest.mark.one_shard
@for_each("name", BAD)
def test_a_bad_one_closes_the_connection(required, optional, name):
    for g in (required, optional):
        before = g.counter("proxy_refused_bad")
        ends(g.http, BAD[name] + HEALTH)
        g.until_counter("proxy_refused_bad", before + 1)


@pytest.mark.one_shard
@for_each("raw", [v1()[:30], v2()[:14], v2()[:20], b"PROXY", b"\r\n\r\n\0"])
def test_one_that_is_cut_by_the_end_is_a_bad_one(required, raw):
    before = required.counter("proxy_refused_bad")
    ends(required.http, raw, half=True)
    required.until_counter("proxy_refused_bad", before + 1)


@pytest.mark.one_shard
def test_where_one_is_required_nothing_else_is_read(required):
    for n, raw in enumerate([request("GET", "/healthz"), b"\x16\3\1\2\0", b"PROXIES", b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"]):
        before = required.counter("proxy_refused_missing")
        ends(required.http, raw)
        required.until_counter("proxy_refused_missing", before + 1)


@pytest.mark.one_shard
def test_a_second_one_belongs_to_who_comes_next(required):
    with Http(Via(required.http, v1() + v1("198.51.100.1"))) as c:
        assert c.answer().status == 400
        c.expect_end()
    with Http(Via(required.http, v2() + v2("198.51.100.1"))) as c:
        assert c.answer().status == 400
        c.expect_end()


@pytest.mark.one_shard
@for_each("header", [b"", v1(), v2(), b"PROXY "])
def test_strangers_are_not_let_in_where_one_is_required(required, header):
    before = required.counter("proxy_refused_stranger")
    ends(Via(required.http, header, OTHER), HEALTH)
    required.until_counter("proxy_refused_stranger", before + 1)


@pytest.mark.one_shard
@for_each("header", [v1(), v2(), b"PROXY ", b"PROXY nonsense\r\n", v2()[:12]])
def test_headers_of_strangers_close_the_connection(optional, header):
    before = optional.counter("proxy_refused_stranger")
    ends(Via(optional.http, header, OTHER), b"")
    optional.until_counter("proxy_refused_stranger", before + 1)


@pytest.mark.one_shard
def test_without_one_a_client_is_itself_where_it_is_optional(optional):
    assert one(optional, Via(optional.http, b"", OTHER)).startswith(OTHER + ":")
    assert one(optional, optional.http).startswith(PROXY + ":")
    # What may still become a header is waited for, and may become something else.
    for first, rest, wanted in ((b"P", request("POST", "/nowhere")[1:], 404), (b"PR", b"OPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
                                (b"\r\n", HEALTH, 200), (b"\r\n\r\n", HEALTH, 200)):
        turns = optional.counter("turns")
        with Http(optional.http) as c:
            c.send_bytes(first)
            optional.until_counter("turns", lambda n: n > turns)
            c.send_bytes(rest)
            assert c.answer().status == wanted


@pytest.mark.one_shard
def test_a_half_header_costs_no_work_and_has_its_time(gateway):
    """Time itself is measured: the time of the header is that of the accepted connection, however it comes."""
    g = gateway({**OPTIONAL, "handshake_timeout": "1400ms"})
    held = [Stream(open_socket(g.http)) for _ in range(5)]
    for s, raw in zip(held, (b"P", b"\r\n", v1()[:20], v2()[:13], v2()[:20])):
        s.send_bytes(raw)
    beat, first = g.heartbeat(), g.counter("turns")
    deadline = Deadline(20)
    while g.heartbeat() == beat:
        deadline.left()
    # A turn for each that came and some timers; who would poll again and again has thousands.
    assert g.counter("turns") - first < 200
    g.until_counter("proxy_refused_timeout", len(held))
    for s in held:
        s.expect_end()
        s.drop()
    # What drips in does not make it longer: neither in the header nor behind it.
    for at_once, slowly, answer in ((b"", v1("2001:db8::1234:5678:9abc:def0"), b""), (v1(), HEALTH + b"x" * 30, b"H")):
        with Stream(open_socket(g.http)) as s:
            s.send_bytes(at_once)
            begun, got = time.monotonic(), None
            for byte in slowly:
                s.send_bytes(bytes([byte]))
                s.sock.settimeout(0.1)
                try:
                    got = s.sock.recv(1)
                    break
                except TimeoutError:
                    continue
            assert got == answer and 0.9 < time.monotonic() - begun < 1.4 + 0.7 * SLOW
    g.until_counter("proxy_refused_timeout", len(held) + 1)


@pytest.mark.one_shard
def test_the_admin_port_has_its_own(gateway):
    g = gateway({**ADMIN, "trusted_proxies": PROXY, "admin.proxy_protocol": "required"})
    with Http(Via(g._address("admin"), v1())) as c:
        assert c.get("/api/status", BEARER).status == 200
        assert c.get("/api/status").status == 401
    ends(g._address("admin"), request("GET", "/api/status", BEARER))


@pytest.mark.one_shard
def test_the_api_of_a_loopback_is_not_open_through_a_proxy(gateway):
    for settings, header in (({"proxy_protocol": "optional"}, v1("127.0.0.1")), ({"proxy_protocol": "optional"}, LOCAL),
                             ({"proxy_protocol": "optional"}, b""), ({}, b""),
                             ({"proxy_protocol": "required", "admin.open_on_loopback": "yes"}, v2("127.0.0.1"))):
        g = gateway({"trusted_proxies": "loopback", **settings})
        with Http(Via(g.http, header)) as c:
            assert c.get("/api/status").status == 403
            assert c.publish({"channel": "a", "data": 1}).status == 403
    # Who is no proxy comes from this host himself; and so says who opens it in so many words.
    with Http(gateway({"trusted_proxies": "192.0.2.1"}).http) as c:
        assert c.get("/api/status").status == 200
    with Http(gateway({"trusted_proxies": "loopback", "admin.open_on_loopback": "yes"}).http) as c:
        assert c.get("/api/status").status == 200
        assert c.get("/api/status", "X-Forwarded-For: 127.0.0.1").status == 403


@pytest.mark.one_shard
def test_a_proxy_that_nobody_named_is_refused_at_start(gateway):
    g = gateway({"proxy_protocol": "optional"}, ready=False)
    assert g.wait() != 0
    assert "believes nobody while trusted_proxies is empty" in g.log


# ---- what comes behind it

TLS = {**ADMIN, "trusted_proxies": PROXY, "tls.proxy_protocol": "required", "tls.ingest_proxy_protocol": "optional",
       "ingest.proxy_protocol": "required"}


@for_each("name", HEADERS)
def test_tls_behind_it(of_module, pki, name):
    g = of_module(TLS, pki)
    header, address = HEADERS[name]
    assert one(g, Via(g.http, header)) == address


@pytest.mark.one_shard
def test_tls_in_the_same_packet(of_module, pki):
    g = of_module(TLS, pki)

    class Together(Address):
        def secure(self, sock, timeout):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
            sock.send(v2(), socket.MSG_MORE)
            return super().secure(sock, timeout)

    assert one(g, Together(g.http, pki)) == "192.0.2.7:12345"


@pytest.mark.one_shard
def test_what_is_wrong_behind_it_has_the_answer_of_its_port(of_module, pki):
    g = of_module(TLS, pki)
    with Http(Via(tuple(g.http), v1() + v1())) as c:
        r = c.answer()
        assert r.status == 400 and b"speaks TLS" in r.body
    ends(tuple(g.http), HEALTH)
    with Publisher.open(Via(g.plain_ingest, v1() + v1())) as p:
        assert p.recv_frame().name == "ERROR"


@pytest.mark.one_shard
@for_each("over", ["plain", "tls"])
def test_publishers_behind_it(of_module, pki, over):
    g = of_module(TLS, pki)
    place = g.ingest if over == "tls" else g.plain_ingest
    for header in (v1(), v2(), LOCAL):
        with JsonClient.greeted(Via(g.http, v1()), "/ws?channel=p") as c, Publisher.greeted(Via(place, header), "p") as p:
            c.await_type("subscription-ack")
            p.publish("p", "1")
            assert c.next_event()["data"] == 1
    if over == "plain":
        ends(place, hello("p"))
    else:
        Publisher.greeted(place, "q").drop()


@pytest.mark.one_shard
def test_handshakes_are_counted_for_who_makes_them(gateway, pki):
    g = gateway({**TLS, "tls.max_handshakes_per_address": 1}, pki=pki)
    held = []
    for n in range(3):
        held.append(open_socket(Via(tuple(g.http), v2(f"192.0.2.{n + 1}"))))
    g.until_counter("tls_handshaking", 3)
    ends(Via(tuple(g.http), v2("192.0.2.2")), b"")
    g.until_counter("tls_refused_address", 1)
    for s in held:
        s.close()


@pytest.mark.one_shard
@for_each("how", ["header", "request"])
def test_connections_are_counted_for_the_client_and_not_for_the_proxy(gateway, how):
    g = gateway({**OPTIONAL, "limits.connections_per_address": 2, "limits.exempt_loopback": "no"})

    def way(n):
        who = f"192.0.2.{n}"
        return (Via(g.http, v2(who)), []) if how == "header" else (g.http, [("X-Forwarded-For", who)])

    held = []
    for n in (1, 1, 2, 2, 3, 3):
        place, lines = way(n)
        held.append(JsonClient.greeted(place, headers=lines))
    for n in (1, 3):
        place, lines = way(n)
        WebSocket.open(place, headers=lines, expect=429).drop()
    held.pop().drop()
    g.until_counter("clients", 5)
    place, lines = way(3)
    held.append(JsonClient.greeted(place, headers=lines))
    # A stranger is counted for himself, a half header or not.
    strange = [open_socket(Via(g.http, b"P", OTHER)) for _ in range(2)]
    with Http(Via(g.http, b"", OTHER)) as c:
        assert c.answer().status == 429
    for s in held + strange:
        s.close() if s in strange else s.drop()


# ---- X-Forwarded-For and Forwarded

def client(g, *lines, address=None, path="/ws?channel=a"):
    """The address of a client whose request has these lines."""
    headers = [tuple(line.split(": ", 1)) for line in lines]
    with JsonClient.greeted(address or g.http, path, headers=headers):
        g.until_counter("clients", 1)
        at, = addresses(g)
    g.until_counter("clients", 0)
    return at


@pytest.fixture
def behind(of_module):
    return of_module({**ADMIN, "trusted_proxies": f"{PROXY}, 10.0.0.0/8"})


@for_each("lines,wanted", [
    (["X-Forwarded-For: 192.0.2.1"], "192.0.2.1"),
    (["X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
    (["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: [2001:db8::1]:80, 10.0.0.2"], "[2001:db8::1]:80"),
    (["X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
    (["X-Forwarded-For: 192.0.2.1", "Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6"], "192.0.2.1"),
    (["Forwarded: for=6.6.6.6"], None),
    (["X-Forwarded-For: nobody"], None),
    ([], None),
])
def test_a_trusted_proxy_says_for_whom_it_asks(behind, lines, wanted):
    at = client(behind, *lines)
    assert at == wanted if wanted else at.startswith(PROXY + ":")


@pytest.mark.one_shard
def test_an_event_stream_has_the_address_too(behind):
    with SseClient.greeted(behind.http, "/events?channel=a", headers=[("X-Forwarded-For", "192.0.2.1")]):
        behind.until_counter("clients", 1)
        assert addresses(behind) == ["192.0.2.1"]


@pytest.mark.one_shard
def test_nobody_else_is_believed(behind, of_module):
    assert client(behind, "X-Forwarded-For: 6.6.6.6", address=Via(behind.http, b"", OTHER)).startswith(OTHER + ":")
    alone = of_module(ADMIN)
    assert client(alone, "X-Forwarded-For: 6.6.6.6", "Forwarded: for=6.6.6.6").startswith(PROXY + ":")
    off = of_module({**ADMIN, "trusted_proxies": PROXY, "http.forwarded": "off"})
    assert client(off, "X-Forwarded-For: 6.6.6.6", "Forwarded: for=6.6.6.6").startswith(PROXY + ":")


@pytest.mark.one_shard
def test_forwarded_where_that_is_chosen(of_module):
    g = of_module({**ADMIN, "trusted_proxies": f"{PROXY}, 10.0.0.0/8", "http.forwarded": "forwarded"})
    assert client(g, 'Forwarded: for=6.6.6.6, for="[2001:db8::1]:80";proto=https', "Forwarded: for=10.0.0.2",
                  "X-Forwarded-For: 7.7.7.7") == "[2001:db8::1]:80"
    assert client(g, "X-Forwarded-For: 7.7.7.7").startswith(PROXY + ":")


@pytest.mark.one_shard
def test_requests_of_one_connection_have_each_their_own_client(behind):
    with JsonClient(open_socket(behind.http)) as c:
        for who in ("192.0.2.1", "192.0.2.2"):
            c.send_bytes(request("GET", "/events", f"X-Forwarded-For: {who}"))
            r = Http.answer(c)
            assert r.status == 400 and "close" not in r.headers.get("connection", "").lower()
        c.send_bytes(request("GET", "/ws", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "X-Forwarded-For: 192.0.2.3"))
        assert c.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101")
        c.await_type("connected")
        assert addresses(behind) == ["192.0.2.3"]


@pytest.mark.one_shard
def test_what_was_told_of_the_connection_outlives_a_refused_stream(optional, of_module):
    """What a request says does not."""
    # The proxy is trusted, and he whose connection it is, is not: what he says of others counts for nothing, the second time too.
    for g, first, second, wanted in ((optional, "6.6.6.6", "6.6.6.6", "192.0.2.7:12345"),
                                     (of_module({**OPTIONAL, "trusted_proxies": f"{PROXY}, 192.0.2.7"}), "192.0.2.1", "192.0.2.2", "192.0.2.2")):
        with SseClient(open_socket(Via(g.http, v2()))) as s:
            s.send_bytes(request("GET", "/events", f"X-Forwarded-For: {first}"))
            assert Http.answer(s).status == 400
            s.send_bytes(request("GET", "/events?channel=told", f"X-Forwarded-For: {second}"))
            assert s.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200")
            s.read_until(b"\n\n")
            assert addresses(g, "told") == [wanted]
        g.until_counter("clients", 0)


@pytest.mark.one_shard
def test_a_header_of_each_kind_in_a_row(optional, of_module):
    # Who connected to the balancer is not trusted, so what he says in HTTP is his own.
    assert client(optional, "X-Forwarded-For: 6.6.6.6", address=Via(optional.http, v2())) == "192.0.2.7:12345"
    g = of_module({**OPTIONAL, "trusted_proxies": f"{PROXY}, 192.0.2.7"})
    assert client(g, "X-Forwarded-For: 198.51.100.9", address=Via(g.http, v2())) == "198.51.100.9"


@pytest.mark.one_shard
def test_it_shows_where_the_admin_looks(behind):
    with JsonClient.greeted(behind.http, "/ws?channel=a", headers=[("X-Forwarded-For", "::ffff:192.0.2.9")]) as c:
        c.await_type("subscription-ack")
        details, = status(behind)["clientDetails"].values()
        assert details["address"] == "192.0.2.9" and details["subscriptions"] == ["a"]
    assert TOKEN not in behind.log
