# SPDX-License-Identifier: Apache-2.0
"""Requests that two parsers could read differently, and plain malformed ones. Behind each of them lies a request that would publish: the
gateway answers the first thing that is wrong, once, ends the connection, never begins what lies behind, and serves the next client."""
import json

import pytest

from rcws import Stream, open_socket, read_response, upgrade

pytestmark = pytest.mark.one_shard

CHANNEL = "canary"


def post(path, body, *lines):
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            + "".join(line + "\r\n" for line in lines) + "\r\n" + body).encode("latin-1")


EVENT = json.dumps({"channel": CHANNEL, "data": "smuggled"})
HIDDEN = post("/api/publish", EVENT)


def request(*lines, line="POST /api/publish HTTP/1.1", body=b""):
    return (line + "\r\nHost: localhost\r\n" + "".join(x + "\r\n" for x in lines) + "\r\n").encode("latin-1") + body


def chunked(body):
    return request("Transfer-Encoding: chunked", body=body)


def head(raw):
    return raw if isinstance(raw, bytes) else raw.encode("latin-1")


REFUSED = {
    # two framings
    "a length and chunks": (request("Content-Length: 6", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "chunks and a length": (request("Transfer-Encoding: chunked", "Content-Length: 6", body=b"0\r\n\r\n"), 400),
    "two lengths that differ": (request("Content-Length: 0", "Content-Length: 5"), 400),
    "two lengths that are equal": (request("Content-Length: 0", "Content-Length: 0"), 400),
    "a list of lengths": (request("Content-Length: 0, 0"), 400),
    "two codings": (request("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    # lengths that are none
    **{f"the length {v!r}": (request(f"Content-Length: {v}"), 400)
       for v in ("+5", "-1", "5 5", "0x5", "5.0", "5,", "", "1e1", "'5'", "99999999999999999999", "9223372036854775808",
                 "5;a=b", "5 \x0b", "\xb2")},
    # codings that are not chunked
    **{f"the coding {v!r}": (request(f"Transfer-Encoding: {v}", body=b"0\r\n\r\n"), (400, 501))
       for v in ("xchunked", "chunked, chunked", "gzip, chunked", "chunked, identity", "identity", "chunked;q=1", "\"chunked\"",
                 "\x0bchunked", "chun ked", "", "chunked\x00", "cow")},
    "the coding on a folded line": (request("Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"), 400),
    "the coding behind a tab": (request("Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"), 400),
    "chunks in HTTP/1.0": (request("Transfer-Encoding: chunked", line="POST /api/publish HTTP/1.0", body=b"0\r\n\r\n"), (400, 501)),
    # fields
    "a space before the colon": (request("Content-Length : 0"), 400),
    "a folded line": (request("X: a", " b"), 400),
    "a folded first line": (head("POST /api/publish HTTP/1.1\r\n Host: localhost\r\n\r\n"), 400),
    "a line without a colon": (request("nonsense"), 400),
    "an empty name": (request(": x"), 400),
    "NUL in a value": (request("X: a\x00b"), 400),
    "NUL in a name": (request("X\x00: a"), 400),
    "CR in a value": (request("X: a\rContent-Length: 5"), 400),
    "a control byte in a value": (request("X: a\x08b"), 400),
    "a name that is no token": (request("X(a): b"), 400),
    "one line that ends in LF": (head("POST /api/publish HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n"), 400),
    "all lines that end in LF": (head("POST /api/publish HTTP/1.1\nHost: localhost\n\n"), 400),
    "an end of two LF": (head("POST /api/publish HTTP/1.1\r\nHost: localhost\r\n\n"), 400),
    "two hosts": (request("Host: localhost"), 400),
    "no host": (b"POST /api/publish HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400),
    "a host with a path": (b"GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n", 400),
    "a host with a user": (b"GET / HTTP/1.1\r\nHost: a@localhost\r\n\r\n", 400),
    "a head of 100 KB": (request("X: " + "a" * 100000), 431),
    "10,000 fields": (request(*(f"X-{i}: y" for i in range(10000))), 431),
    # request lines
    "a target of 100 KB": (head("GET /" + "a" * 100000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n"), 414),
    "a method of 100 KB": (head("G" * 100000 + " / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 501),
    "another host in the target": (request(line="POST http://elsewhere/api/publish HTTP/1.1"), 400),
    "a target of another scheme": (request(line="GET ftp://localhost/ HTTP/1.1"), 400),
    "a target without a slash": (request(line="GET healthz HTTP/1.1"), 400),
    "a fragment": (request(line="GET /healthz#x HTTP/1.1"), 400),
    "a space in the target": (request(line="GET /health z HTTP/1.1"), 400),
    "a NUL in the target": (request(line="GET /\x00 HTTP/1.1"), 400),
    "an asterisk": (request(line="GET * HTTP/1.1"), 400),
    "CONNECT": (request(line="CONNECT localhost:80 HTTP/1.1"), (400, 501)),
    "HTTP/0.9": (b"GET /\r\n", 400),
    "HTTP/2.0": (request(line="GET / HTTP/2.0"), 505),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    "a lower case version": (request(line="GET / http/1.1"), 400),
    "a version without a dot": (request(line="GET / HTTP/11"), 400),
    "a tab for a space": (request(line="GET\t/ HTTP/1.1"), 400),
    "three empty lines": (b"\r\n\r\n\r\n" + request(), 400),
    "an empty line of LF": (b"\n" + request(), 400),
    # chunks
    **{f"the chunk size {v!r}": (chunked(head(v) + b"\r\nhello\r\n0\r\n\r\n"), 400)
       for v in ("", "g", "+5", "-5", "0x5", " 5", "5 ", "5\t", "5 ;a", "5,5", "5.", "ffffffffffffffff", "8000000000000000",
                 "00000000000000005", "5\x00", "5\r", "5;a\nb", "5;\x00", "\xb2")},
    "a chunk size that ends in LF": (chunked(b"5\nhello\r\n0\r\n\r\n"), 400),
    "a chunk that is longer than it said": (chunked(b"3\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk that ends in LF": (chunked(b"5\r\nhello\n0\r\n\r\n"), 400),
    "a chunk that ends in CR": (chunked(b"5\r\nhello\r0\r\n\r\n"), 400),
    "a last chunk that ends in LF": (chunked(b"0\n\n"), 400),
    "trailers that end in LF": (chunked(b"0\r\nX: y\n\r\n"), 400),
    "a request for a trailer": (chunked(b"0\r\n" + HIDDEN), 400),
    "a folded trailer": (chunked(b"0\r\nX: y\r\n z\r\n\r\n"), 400),
    "100 KB of extensions": (chunked(b"5;" + b"x" * 100000 + b"\r\nhello\r\n0\r\n\r\n"), 400),
    "100 KB of trailers": (chunked(b"0\r\n" + b"X: yyyyyyyyyy\r\n" * 7000 + b"\r\n"), 400),
    # bodies
    "a body over the limit": (request("Content-Length: 2000000"), 413),
    "a chunk over the limit": (chunked(b"200000\r\n" + b"x" * 1200000), 413),
    "many chunks over the limit": (chunked(b"8000\r\n" + b"x" * 0x8000 + b"\r\n" + (b"8000\r\n" + b"x" * 0x8000 + b"\r\n") * 40), 413),
    "an expectation that nobody knows": (request("Expect: 200-maybe", "Content-Length: 50"), 417),
    # upgrades
    "a refused upgrade": (upgrade("/ws", leave_out=["Sec-WebSocket-Key"]), 400),
    "an upgrade of another version": (upgrade("/ws", headers=[("Sec-WebSocket-Version", "99")]), 426),
    "an upgrade where there is none": (upgrade("/nowhere"), 404),
    "an upgrade with a body": (upgrade("/ws", headers=[("Content-Length", str(len(HIDDEN)))]), 400),
    "an upgrade with chunks": (upgrade("/ws", headers=[("Transfer-Encoding", "chunked")]) + b"0\r\n\r\n", 400),
    "an upgrade to HTTP/2": (request("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", line="GET /nowhere HTTP/1.1"), 404),
}


def good(g):
    """A client that is in order: its event's offset, which tells how many there were."""
    with Stream(open_socket(g.http)) as s:
        s.send_bytes(post("/api/publish", json.dumps({"channel": CHANNEL, "data": "good"})))
        r = read_response(s)
        assert r.status == 200, r.body
        return int(json.loads(r.body)["position"].split("@")[1])


def responses(raw):
    """All that came, as responses: (status, headers, body)."""
    out = []
    while raw:
        top, mark, rest = raw.partition(b"\r\n\r\n")
        assert mark and top.startswith(b"HTTP/1.1 "), f"no response: {raw[:200]!r}"
        lines = top.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (x.partition(":") for x in lines[1:])}
        n = int(headers.get("content-length", 0))
        assert len(rest) >= n, "the response is cut"
        out.append((int(lines[0].split()[1]), headers, rest[:n]))
        raw = rest[n:]
    return out


def send_and_read(g, raw):
    with Stream(open_socket(g.http)) as s:
        try:
            s.send_bytes(raw)
        except OSError:
            pass
        return responses(s.read_to_end())


@pytest.mark.parametrize("what", REFUSED)
def test_refused_once_and_ended(shared_gateway, what):
    raw, wanted = REFUSED[what]
    before = good(shared_gateway)
    got = send_and_read(shared_gateway, raw + HIDDEN)
    assert len(got) == 1, [r[0] for r in got]
    status, headers, _ = got[0]
    assert status in (wanted if isinstance(wanted, tuple) else (wanted,))
    assert headers["connection"].lower() == "close"
    assert good(shared_gateway) == before + 1, "what lay behind it was published"


@pytest.mark.parametrize("what", [w for w in REFUSED if len(REFUSED[w][0]) < 400])
def test_refused_alike_when_it_comes_in_pieces(shared_gateway, what):
    """The bytes one by one, as far as the gateway listens: the same verdict, so no cut makes two requests of one."""
    raw, wanted = REFUSED[what]
    before = good(shared_gateway)
    with Stream(open_socket(shared_gateway.http)) as s:
        try:
            for i in range(len(raw)):
                s.send_bytes(raw[i:i + 1])
            s.send_bytes(HIDDEN)
        except OSError:
            pass
        got = responses(s.read_to_end())
    assert len(got) == 1 and got[0][0] in (wanted if isinstance(wanted, tuple) else (wanted,))
    assert good(shared_gateway) == before + 1


# ---- what is unusual and right: one reading, and the next request is begun exactly behind it

AFTER = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
TAKEN = {
    "a chunk extension": (chunked(b"%x;a=b;c=\"d\"\r\n" % len(EVENT) + EVENT.encode() + b"\r\n0;last\r\n\r\n"), 200),
    "trailers": (chunked(b"%x\r\n" % len(EVENT) + EVENT.encode() + b"\r\n0\r\nContent-Length: 500\r\nX: y\r\n\r\n"), 200),
    "zeros before a size": (chunked(b"000%x\r\n" % len(EVENT) + EVENT.encode() + b"\r\n000\r\n\r\n"), 200),
    "a chunk for each byte": (chunked(b"".join(b"1\r\n%c\r\n" % c for c in EVENT.encode()) + b"0\r\n\r\n"), 200),
    "the coding in capitals": (request("tRANSFER-eNCODING: \t CHUNKED ", body=b"%x\r\n" % len(EVENT) + EVENT.encode() + b"\r\n0\r\n\r\n"), 200),
    "zeros before a length": (request(f"Content-Length: 000{len(EVENT)}", body=EVENT.encode()), 200),
    "the absolute form": (request(f"Content-Length: {len(EVENT)}", line="POST http://localhost/api/publish HTTP/1.1", body=EVENT.encode()), 200),
    "two empty lines before it": (b"\r\n\r\n" + post("/api/publish", EVENT), 200),
    "a request in the body of a GET": (request(f"Content-Length: {len(HIDDEN)}", line="GET /healthz HTTP/1.1", body=HIDDEN), 200),
    "a request in the chunks of a GET": (request("Transfer-Encoding: chunked", line="GET /healthz HTTP/1.1",
                                                 body=b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n"), 200),
    "a request in the body of what is refused": (request(f"Content-Length: {len(HIDDEN)}", line="POST /nowhere HTTP/1.1", body=HIDDEN), 404),
    "an expectation in HTTP/1.1": (request("Expect: 100-continue", f"Content-Length: {len(EVENT)}", body=EVENT.encode()), 200),
}


@pytest.mark.parametrize("what", TAKEN)
def test_taken_and_the_next_begins_behind_it(shared_gateway, what):
    raw, status = TAKEN[what]
    published = int(status == 200 and b"GET /healthz" not in raw)
    before = good(shared_gateway)
    got = send_and_read(shared_gateway, raw + AFTER)
    assert [r[0] for r in got] == [status, 200], got
    assert got[1][2] == b"ok\n"
    assert good(shared_gateway) == before + 1 + published


def test_what_lies_behind_an_upgrade_is_frames(shared_gateway):
    """The bytes of a request behind a granted upgrade are an unmasked frame, which is refused as such."""
    before = good(shared_gateway)
    with Stream(open_socket(shared_gateway.http)) as s:
        s.send_bytes(upgrade("/ws") + HIDDEN)
        assert read_response(s).status == 101
        assert b"HTTP/1.1" not in s.read_to_end()
    assert good(shared_gateway) == before + 1


def test_the_answer_reaches_who_still_sends(shared_gateway):
    """Ten megabytes behind a refusal: the client reads why, and no reset takes it away."""
    with Stream(open_socket(shared_gateway.http)) as s:
        s.send_bytes(request("Content-Length: 10000000"))
        try:
            s.send_bytes(b"x" * 1000000)
        except OSError:
            pass
        assert read_response(s).status == 413
