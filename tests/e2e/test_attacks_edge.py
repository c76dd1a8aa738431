# SPDX-License-Identifier: Apache-2.0
"""Attacks on the way in: PROXY headers of strangers, twice, in pieces, with false lengths, in the middle of TLS and where none is taken;
addresses that are made up; pages of other origins. The gateway trusts 127.0.0.1 as a proxy; strangers come from 127.0.0.9."""
import socket
import ssl

import pytest

import rcsiege
from rcedge import LOCAL, Via, tlv, v1, v2, v2_raw
from rcsiege import ADMIN, token
from rcws import JsonClient, open_socket

pytestmark = [pytest.mark.attack, pytest.mark.one_shard]
STRANGER, PEER = "127.0.0.9", "127.0.0.1"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def place(keys):
    return keys.settings(**{
        "admin.token": ADMIN, "trusted_proxies": PEER, "proxy_protocol": "optional", "tls.proxy_protocol": "optional", "handshake_timeout": "1s",
        "close_timeout": "500ms", "namespace.public.allow_subscribe": "anyone", "namespace.public.channel_ttl": "0", "http.origins": "https://app.example, https://*.cdn.example", "auth.cookie": "login",
        "limits.request_rate_per_address": "0", "limits.accept_rate_per_address": "0",
    }), True


def sends(siege, raw, source=None, address=None, half=True):
    """What is answered to these bytes until the end."""
    s = open_socket(Via(tuple(address or siege.g.plain_http), source=source))
    try:
        try:
            s.sendall(raw)
            if half:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return rcsiege.until_closed(s)
    finally:
        s.close()


def address_of(siege, *headers, source=None, header=b"", path="/ws"):
    """As the status shows it, without the port."""
    with JsonClient.greeted(Via(siege.g.plain_http, header, source), path, headers=headers) as ws:
        at = siege.status()["clientDetails"][ws.connected["session"]]["address"]
        ws.close()
    # One that a proxy told has no port.
    return at.rpartition(":")[0].strip("[]") or at


# ---- PROXY headers

def test_headers_of_strangers(siege):
    raws = [v1(), v2(), LOCAL, v2("2001:db8::7"), b"PROXY UNKNOWN\r\n", b"PROXY ", v2()[:13], v1() * 2, v2() + v1(), v1()[:-1], v2_raw(0x21, 0x11, b"", 65535),
            b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"]
    for raw in raws:
        assert sends(siege, raw + GET, STRANGER) == b"", raw
    siege.moved(proxy_refused_stranger=len(raws), proxy_headers=0)


def test_headers_twice(siege):
    """The second is no header but the beginning of a request, and no request begins so."""
    for first, second in ((v1(), v1("192.0.2.8")), (v2(), v2("192.0.2.8")), (v1(), v2("192.0.2.8")), (v2(), v1("192.0.2.8")), (LOCAL, v1()), (LOCAL, v2()),
                          (b"PROXY UNKNOWN\r\n", v1())):
        answer = sends(siege, first + second + GET)
        assert not answer.startswith(b"HTTP/1.1 2"), (first, second, answer[:60])
    siege.moved(proxy_headers=7, proxy_refused_stranger=0)


def test_headers_with_false_lengths(siege):
    addresses = v2()[16:]
    bad = [v2_raw(0x21, 0x11, addresses, n) for n in (0, 1, 11, 13, 200, 4000, 65535)] + [v2_raw(0x21, 0x21, addresses, 12), v2_raw(0x21, 0x31, addresses, 12)]
    bad += [v2(more=tlv(1, b"x")[:-1]), v2(more=b"\1"), v2(more=b"\1\xff\xff"), v2(more=tlv(3, b"")), v2(more=tlv(3, bytes(4)))]
    bad += [v1()[:-2] + b" " * 200 + b"\r\n", v1().replace(b"192.0.2.7", b"192.0.2.7" + b" " * 90), b"PROXY TCP4 " + b"1" * 4000, b"PROXY" + b" " * 2000 + b"\r\n",
            v1("192.0.2.777"), v1("1.2.3"), v1("0x7f.1.1.1"), v1("192.0.2.7\0"), v1(port=-1), v1(port=70000), v1(port="00080"), v1("::ffff:1.2.3.4:5"), v1("fe80::1%lo")]
    for raw in bad:
        answer = sends(siege, raw + GET)
        assert not answer.startswith(b"HTTP/1.1 2"), (raw[:80], answer[:80])
    siege.moved(proxy_refused_bad=siege.SOME, proxy_headers=0)


def test_headers_byte_by_byte(siege):
    for header in (v1(), v2("2001:db8::9")):
        s = open_socket(siege.g.plain_http)
        for i in range(len(header)):
            s.sendall(header[i:i + 1])
        s.sendall(GET)
        assert rcsiege.until_closed(s).startswith(b"HTTP/1.1 200 ")
        s.close()
    # And those that never end.
    waiting = [open_socket(siege.g.plain_http) for _ in range(40)]
    for i, s in enumerate(waiting):
        s.sendall((v1() if i % 2 else v2())[:1 + i % 26])
    for s in waiting:
        assert not rcsiege.until_closed(s).startswith(b"HTTP/1.1 2")
        s.close()
    siege.moved(proxy_headers=2, proxy_refused_timeout=siege.SOME)


def test_headers_in_the_middle_of_tls(siege):
    """In front of the hello they count, behind it they are noise: inside the TLS too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(into, out)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = out.read()
    for raw in (hello[:40] + v1() + hello[40:], hello[:5] + v2() + hello[5:], hello + v1(), v1() + v2() + hello, hello[:1] + v2()):
        assert b"HTTP/1.1 2" not in sends(siege, raw, address=siege.g.http)
        assert sends(siege, raw, STRANGER, siege.g.http)[:1] in (b"", b"\x15", b"\x16", b"H")
    with JsonClient.greeted(siege.g.http) as ws:
        assert siege.status()["clientDetails"][ws.connected["session"]]["address"].startswith(PEER)
        ws.close()
    s = open_socket(siege.g.http)
    s.sendall(v1() + GET)
    assert rcsiege.until_closed(s).startswith((b"HTTP/1.1 400 ", b""))
    s.close()
    siege.moved(proxy_refused_stranger=siege.SOME)


def test_headers_where_none_is_taken(siege):
    """The publishers' port has them off: from whomever they come, they are lost framing."""
    for source in (STRANGER, PEER):
        for raw in (v1(), v2(), LOCAL):
            answer = sends(siege, raw, source, siege.g.plain_ingest)
            assert b"RCST" not in answer
    siege.moved(ingest_errors=siege.SOME, proxy_headers=0)


# ---- what requests say

FIELDS = ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Client-IP", "True-Client-IP", "X-Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP", "Via", "X-Forwarded-Host",
          "X-Originating-IP"]


def test_addresses_that_strangers_make_up(siege):
    for name in FIELDS:
        for value in ("192.0.2.7", "127.0.0.1", "for=192.0.2.7", "127.0.0.1, 192.0.2.7", "for=127.0.0.1;by=x", "::1", 'for="[2001:db8::1]"'):
            assert address_of(siege, (name, value), source=STRANGER) == STRANGER, (name, value)
    siege.moved(clients_opened=7 * len(FIELDS))


def test_long_and_malformed_lists(siege):
    """From the trusted proxy: walked from the right, to the first that is not trusted; what is no address ends the walk at who sent it."""
    long = ", ".join(f"10.0.{i // 250}.{i % 250}" for i in range(1000))
    assert address_of(siege, ("X-Forwarded-For", long)) == "10.0.3.249"
    assert address_of(siege, ("X-Forwarded-For", ", ".join([PEER] * 1000))) == PEER
    assert address_of(siege, ("X-Forwarded-For", "192.0.2.1, " + ", ".join([PEER] * 1000))) in ("192.0.2.1", PEER)
    for spoofed in ("1.1.1.1, 192.0.2.7", "127.0.0.1, 192.0.2.7", "unknown, 192.0.2.7", "\t, ,192.0.2.7"):
        assert address_of(siege, ("X-Forwarded-For", spoofed)) == "192.0.2.7", spoofed
    for bad in ("", ",", ",,,,", "x", "192.0.2.7.", "192.0.2.777", "192.0.2.7 192.0.2.8", "[::1", "::1]", "0x7f000001", "2130706433", "192.0.2.07", "unknown", "_hidden",
                "192.0.2.7:port", "192.0.2.7:99999", "<script>", "' OR 1=1", "for=192.0.2.7", "\"192.0.2.7\"", "192.0.2.7;", "%31", "1.1.1.1, x", "localhost"):
        assert address_of(siege, ("X-Forwarded-For", bad)) in (PEER, "192.0.2.7"), bad
    # Only the header that was chosen.
    assert address_of(siege, ("Forwarded", "for=192.0.2.7")) == PEER
    # Many lines are one list.
    assert address_of(siege, *[("X-Forwarded-For", f"192.0.2.{i}") for i in range(1, 50)]) == "192.0.2.49"
    siege.moved(clients_opened=siege.SOME)


# ---- pages of other origins

GOOD = ["https://app.example", "https://a.cdn.example"]
WRONG = ["null", "NULL", "https://app.example.evil.example", "https://evilapp.example", "https://app.example@evil.example", "https://evil.example/https://app.example",
         "https://evil.example#https://app.example", "https://evil.example?https://app.example", "http://app.example", "https://app.example:8443", "https://app.example:",
         "https://app.example/", "https://app.example.", "https://.app.example", "https://a.b.cdn.example", "https://cdn.example", "https://.cdn.example",
         "https://xcdn.example", "https://a.cdn.example.evil.example", "https://*.cdn.example", "https://a.cdn.example:444", "https://evil.example\\.cdn.example",
         "https://evil.example%2f.cdn.example", "https://evil.example/.cdn.example", "https://evil.example?.cdn.example", "https://evil.example#.cdn.example",
         "https://user@a.cdn.example", "https://user:pw@app.example", "javascript:alert(1)", "file://", "data:", "app.example", "//app.example", "https:app.example",
         "https://app.example, https://evil.example", "https://evil.example https://app.example", "https://app.example,", "https://[::1]", "https://\u0430pp.example",
         "https://xn--pp-6kc.example", "*", "", "about:blank", "https://127.0.0.1", "chrome-extension://app.example", "https://app.example\t.evil.example"]


def asked(siege, path, *lines):
    lines = b"".join(line.encode() + b"\r\n" for line in lines)
    ws = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" if path == "/ws" else b""
    s = open_socket(Via(siege.g.plain_http, source=STRANGER))
    try:
        s.sendall(b"GET " + path.encode() + (b"" if ws else b"?channel=public:a") + b" HTTP/1.1\r\nHost: gw.example\r\n" + ws + lines + b"\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            more = s.recv(4096)
            if not more:
                break
            head += more
        return head
    finally:
        s.close()


def test_pages_that_look_like_ours(siege):
    login = "Cookie: login=" + token(sub="ann")
    for path, good in (("/ws", b"HTTP/1.1 101 "), ("/events", b"HTTP/1.1 200 ")):
        for origin in GOOD:
            head = asked(siege, path, "Origin: " + origin, login)
            assert head.startswith(good), (path, origin, head[:80])
        for origin in WRONG:
            head = asked(siege, path, "Origin: " + origin, login)
            assert head.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 ")), (path, origin, head[:80])
            assert b"ccess-control-allow-origin" not in head.lower().replace(b"Access", b"access"), (origin, head)
        for pair in ((GOOD[0], WRONG[2]), (WRONG[2], GOOD[0]), (GOOD[0], GOOD[0]), (GOOD[0], GOOD[1]), (GOOD[0], "null")):
            head = asked(siege, path, *("Origin: " + o for o in pair), login)
            assert head.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 ")), (path, pair, head[:80])
        # What hosts and proxies claim does not make a page our own.
        for lines in (["Origin: https://evil.example", "X-Forwarded-Host: evil.example"], ["Origin: https://evil.example", "Forwarded: host=evil.example;proto=https"],
                      ["Origin: https://gw.example:8443"], ["Origin: http://gw.example:81"], ["Origin: http://gw.example."]):
            head = asked(siege, path, *lines, login)
            assert head.startswith(b"HTTP/1.1 403 "), (path, lines, head[:80])
    siege.moved(upgrades_refused_origin=siege.SOME)
