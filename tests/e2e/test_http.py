# SPDX-License-Identifier: Apache-2.0
"""HTTP as the gateway takes it: strictly, with the right answer to each kind of wrong, and nothing of it harms anybody else."""
import array
import fcntl
import termios

import pytest

from deadline import Deadline, eventually
from rcws import PING, PONG, TEXT, Closed, JsonClient, Stream, frame, open_socket, read_response, upgrade

# With two shards a channel lies here or there, so that one shard alone shows nothing more.
TWO_SHARDS = True

SETTINGS = {"echo": "yes"}

HOST = "Host: a\r\n"


def get(path, *lines, version="HTTP/1.1", method="GET"):
    return f"{method} {path} {version}\r\n" + "".join(line + "\r\n" for line in (lines or ["Host: a"])) + "\r\n"


def ask(g, raw):
    """The first response to these bytes, however much of them the gateway still wanted."""
    with Stream(open_socket(g.http)) as s:
        try:
            s.send_bytes(raw if isinstance(raw, bytes) else raw.encode("latin-1"))
        except OSError:
            pass
        return read_response(s)


def ask_and_end(g, raw):
    """The same, and the gateway ends the connection behind it."""
    with Stream(open_socket(g.http)) as s:
        try:
            s.send_bytes(raw if isinstance(raw, bytes) else raw.encode("latin-1"))
        except OSError:
            pass
        r = read_response(s)
        assert s.read_to_end() == b"", "nothing follows the refusal"
        return r


# ---- what is right

def test_healthz_is_200(shared_gateway):
    assert ask(shared_gateway, get("/healthz")).status == 200


def test_healthz_takes_a_query(shared_gateway):
    assert ask(shared_gateway, get("/healthz?x=1")).status == 200


def test_header_names_have_any_case_and_values_any_space_around(shared_gateway):
    assert ask(shared_gateway, get("/healthz", "hOsT: \t a \t", "X-Empty:", "x:y")).status == 200


def test_an_absolute_target_means_its_path(shared_gateway):
    assert ask(shared_gateway, get("http://a/healthz")).status == 200


def test_up_to_two_empty_lines_before_a_request_are_passed_over(shared_gateway):
    assert ask(shared_gateway, "\r\n" + get("/healthz")).status == 200


def test_http_1_0_gets_an_answer_and_the_end(shared_gateway):
    r = ask_and_end(shared_gateway, get("/healthz", "X: y", version="HTTP/1.0"))
    assert r.status == 200


def test_connection_close_is_honoured(shared_gateway):
    r = ask_and_end(shared_gateway, get("/healthz", "Host: a", "Connection: close"))
    assert r.status == 200 and r.headers["connection"].lower() == "close"


def test_requests_in_a_row_are_answered_in_a_row_unless_the_answer_says_close(shared_gateway):
    with Stream(open_socket(shared_gateway.http)) as s:
        s.send_bytes(get("/healthz").encode() * 3)
        for _ in range(3):
            r = read_response(s)
            assert r.status == 200
            if r.headers.get("connection", "").lower() == "close":
                s.read_to_end()
                break


def test_garbage_behind_a_request_is_refused_after_the_answer(shared_gateway):
    with Stream(open_socket(shared_gateway.http)) as s:
        s.send_bytes(get("/healthz").encode() + b"\x00\x01\x02 nonsense\r\n\r\n")
        first = read_response(s)
        assert first.status == 200
        if first.headers.get("connection", "").lower() != "close":
            assert read_response(s).status == 400
        assert s.read_to_end() == b""


# ---- what is wrong

UPGRADE = ["Host: a", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
           "Sec-WebSocket-Version: 13"]


def but(*changes):
    """The lines of an upgrade, with those replaced (or, where nothing stands behind the colon, left out) that are named."""
    names = {c.split(":")[0].lower(): c for c in changes}
    lines = [names.pop(line.split(":")[0].lower(), line) for line in UPGRADE]
    return [line for line in lines if not line.endswith(":-")] + list(names.values())


REFUSED = {
    # the request line
    "two spaces": ("GET  /healthz HTTP/1.1\r\n" + HOST + "\r\n", 400),
    "a space behind the version": ("GET /healthz HTTP/1.1 \r\n" + HOST + "\r\n", 400),
    "a tab between": ("GET\t/healthz\tHTTP/1.1\r\n" + HOST + "\r\n", 400),
    "no version": ("GET /healthz\r\n" + HOST + "\r\n", 400),
    "no target": ("GET HTTP/1.1\r\n" + HOST + "\r\n", 400),
    "the version in small letters": ("GET /healthz http/1.1\r\n" + HOST + "\r\n", 400),
    "the version cut": ("GET /healthz HTTP/1\r\n" + HOST + "\r\n", 400),
    "a version of three numbers": ("GET /healthz HTTP/1.1.1\r\n" + HOST + "\r\n", 400),
    "another protocol": ("GET /healthz ICY/1.1\r\n" + HOST + "\r\n", 400),
    "a target without slash": (get("healthz"), 400),
    "a control byte in the target": (get("/health\x01z"), 400),
    "DEL in the target": (get("/health\x7fz"), 400),
    "a byte over 127 in the target": (get("/health\xe9"), 400),
    "a fragment in the target": (get("/healthz#x"), 400),
    "a method with a colon": (get("/healthz", method="G:T"), 400),
    "a method with a control byte": (get("/healthz", method="G\x00T"), 400),
    "HTTP/2": (get("/healthz", version="HTTP/2.0"), 505),
    "HTTP/3": (get("/healthz", version="HTTP/3.0"), 505),
    "the HTTP/2 preface": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "CONNECT": (get("a:80", method="CONNECT"), 501),
    # the header
    "a space before the colon": (get("/healthz", "Host: a", "X-Y : z"), 400),
    "a tab before the colon": (get("/healthz", "Host: a", "X-Y\t: z"), 400),
    "a folded line": (get("/healthz", "Host: a", "X: y", " z"), 400),
    "a folded first line": (get("/healthz", " X: y", "Host: a"), 400),
    "no colon": (get("/healthz", "Host: a", "nonsense"), 400),
    "an empty name": (get("/healthz", "Host: a", ": y"), 400),
    "NUL in a value": (get("/healthz", "Host: a", "X: y\x00z"), 400),
    "a control byte in a value": (get("/healthz", "Host: a", "X: y\x08z"), 400),
    "a bracket in a name": (get("/healthz", "Host: a", "X[1]: y"), 400),
    "a byte over 127 in a name": (get("/healthz", "Host: a", "X\xe9: y"), 400),
    "lines that end in LF alone": ("GET /healthz HTTP/1.1\nHost: a\n\n", 400),
    "one line that ends in LF alone": ("GET /healthz HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    "CR inside a value": (get("/healthz", "Host: a", "X: y\rz"), 400),
    "CR CR LF": ("GET /healthz HTTP/1.1\r\nHost: a\r\r\n\r\n", 400),
    "no host": (get("/healthz", "X: y"), 400),
    "two hosts": (get("/healthz", "Host: a", "Host: a"), 400),
    "another host in the target": (get("http://b/healthz", "Host: a"), 400),
    # what could hide a second request
    "two lengths": (get("/healthz", "Host: a", "Content-Length: 0", "Content-Length: 5"), 400),
    "a list of lengths": (get("/healthz", "Host: a", "Content-Length: 5, 5"), 400),
    "a length with a sign": (get("/healthz", "Host: a", "Content-Length: +5"), 400),
    "a length below zero": (get("/healthz", "Host: a", "Content-Length: -1"), 400),
    "a length in hex": (get("/healthz", "Host: a", "Content-Length: 0x5"), 400),
    "a length with a space in it": (get("/healthz", "Host: a", "Content-Length: 1 0"), 400),
    "an empty length": (get("/healthz", "Host: a", "Content-Length:"), 400),
    "a length that no number holds": (get("/healthz", "Host: a", "Content-Length: 99999999999999999999999"), 400),
    "both framings": (get("/healthz", "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n", 400),
    "a coding nobody knows": (get("/healthz", "Host: a", "Transfer-Encoding: xchunked"), (400, 501)),
    "a coding behind chunked": (get("/healthz", "Host: a", "Transfer-Encoding: chunked, identity"), (400, 501)),
    "chunked twice": (get("/healthz", "Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), (400, 501)),
    "chunked with a control byte": (get("/healthz", "Host: a", "Transfer-Encoding: \x0bchunked"), (400, 501)),
    "chunked in HTTP/1.0": (get("/healthz", "Host: a", "Transfer-Encoding: chunked", version="HTTP/1.0"), (400, 501)),
    # the upgrade
    "no key": (get("/ws", *but("Sec-WebSocket-Key:-")), 400),
    "a short key": (get("/ws", *but("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA")), 400),
    "a long key": (get("/ws", *but("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAAAA==")), 400),
    "a key that is no base64": (get("/ws", *but("Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==")), 400),
    "two keys": (get("/ws", *UPGRADE, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 400),
    "an upgrade with a body": (get("/ws", *UPGRADE, "Content-Length: 5") + "hello", 400),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(shared_gateway, what):
    raw, status = REFUSED[what]
    r = ask_and_end(shared_gateway, raw)
    assert r.status in (status if isinstance(status, tuple) else (status,)), f"{r.status} {r.reason}"
    assert r.headers.get("connection", "").lower() == "close"


def test_no_such_path_is_404(shared_gateway):
    assert ask(shared_gateway, get("/nowhere")).status == 404


def test_no_such_path_is_404_for_an_upgrade_too(shared_gateway):
    assert ask(shared_gateway, get("/nowhere", *UPGRADE)).status == 404


@pytest.mark.parametrize("path", ["/ws/", "/WS", "/ws/../healthz", "/%77s%2f", "//ws"])
def test_a_path_is_taken_as_it_is_written(shared_gateway, path):
    assert ask(shared_gateway, get(path)).status in (400, 404)


@pytest.mark.parametrize("method,path", [("POST", "/ws"), ("DELETE", "/healthz"), ("PUT", "/ws"), ("POST", "/healthz")])
def test_a_method_that_the_path_does_not_have_is_405_and_says_which_it_has(shared_gateway, method, path):
    r = ask(shared_gateway, get(path, "Host: a", "Content-Length: 0", method=method))
    assert r.status == 405
    assert "GET" in r.headers["allow"]


@pytest.mark.parametrize("lines", [["Host: a"], but("Upgrade:-"), but("Upgrade: h2c"), but("Connection: keep-alive"),
                                   but("Connection:-")], ids=["plain", "no Upgrade", "h2c", "keep-alive", "no Connection"])
def test_no_upgrade_where_one_is_needed_is_426(shared_gateway, lines):
    r = ask(shared_gateway, get("/ws", *lines))
    assert r.status in (400, 426) if len(lines) > 1 and "Upgrade: websocket" in lines else r.status == 426
    if r.status == 426:
        assert r.headers["upgrade"].lower() == "websocket"


@pytest.mark.parametrize("version", ["8", "0", "14", "013", "13, 8", "x"])
def test_another_websocket_version_is_426_and_says_13(shared_gateway, version):
    r = ask(shared_gateway, get("/ws", *but(f"Sec-WebSocket-Version: {version}")))
    assert r.status in (400, 426)
    if r.status == 426:
        assert r.headers["sec-websocket-version"] == "13"
    assert r.status == 426 or version not in ("8", "0", "14")


def test_an_upgrade_over_http_1_0_is_refused(shared_gateway):
    assert ask(shared_gateway, get("/ws", *UPGRADE, version="HTTP/1.0")).status in (400, 426)


def test_a_request_line_without_end_is_414(shared_gateway):
    assert ask(shared_gateway, "GET /" + "a" * 70000).status == 414


def test_a_head_without_end_is_431(shared_gateway):
    assert ask(shared_gateway, "GET /healthz HTTP/1.1\r\n" + HOST + "X: " + "a" * 70000).status == 431


def test_too_many_fields_are_431(shared_gateway):
    assert ask(shared_gateway, get("/healthz", "Host: a", *(f"X{i}: y" for i in range(100)))).status == 431


def test_a_method_without_end_is_refused(shared_gateway):
    assert ask(shared_gateway, "A" * 5000).status in (400, 414, 501)


def test_a_body_with_an_unknown_coding_is_501(shared_gateway):
    assert ask(shared_gateway, get("/healthz", "Host: a", "Transfer-Encoding: gzip")).status == 501


def test_tls_on_the_plain_port_is_answered_and_ended(shared_gateway):
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(range(193))
    with Stream(open_socket(shared_gateway.http)) as s:
        s.send_bytes(hello)
        assert s.read_to_end() == bytes.fromhex("15030100020228")  # a fatal alert, handshake_failure


@pytest.mark.parametrize("raw", [b"\x00" * 500, b"\xff" * 500, b"SSH-2.0-OpenSSH_9.2\r\n", b"{\"type\":\"ping\"}\n",
                                 b"\x05\x01\x00", b"GET\r\n\r\n"], ids=["zeros", "ones", "ssh", "json", "socks", "GET"])
def test_what_is_no_http_at_all_is_400(shared_gateway, raw):
    with Stream(open_socket(shared_gateway.http)) as s:
        s.send_bytes(raw + b"\r\n\r\n")
        assert s.read_to_end().startswith(b"HTTP/1.1 400 ")


def test_the_gateway_counts_what_it_refused_and_goes_on(shared_gateway, connect):
    before = shared_gateway.counter("http_bad")
    for _ in range(5):
        ask(shared_gateway, "nonsense\r\n\r\n")
    shared_gateway.until_counter("http_bad", lambda now: now >= before + 5)
    assert ask(shared_gateway, get("/healthz")).status == 200
    connect(shared_gateway).barrier()


# ---- how it may arrive

def taken_by_the_kernel(sock):
    """Everything sent so far has been acknowledged by the other end's kernel."""
    left = array.array("i", [0])
    fcntl.ioctl(sock, termios.TIOCOUTQ, left)
    return left[0] == 0


def test_an_upgrade_may_be_cut_at_every_byte(shared_gateway):
    raw = upgrade("/ws?channel=a%3Ab", headers=[("Sec-WebSocket-Protocol", "ringcast.v1.json")])
    for at in range(1, len(raw)):
        with JsonClient(open_socket(shared_gateway.http)) as ws:
            ws.send_bytes(raw[:at])
            eventually(lambda: taken_by_the_kernel(ws.sock), "the first part has arrived", every=0.0005)
            ws.send_bytes(raw[at:])
            assert read_response(ws).status == 101
            assert ws.recv_json()["type"] == "connected"


def test_an_upgrade_may_come_byte_by_byte(shared_gateway):
    with JsonClient(open_socket(shared_gateway.http)) as ws:
        for byte in upgrade("/ws"):
            ws.send_bytes(bytes([byte]))
            eventually(lambda: taken_by_the_kernel(ws.sock), "the byte has arrived", every=0.0005)
        assert read_response(ws).status == 101
        assert ws.recv_json()["type"] == "connected"


def test_frames_that_came_with_the_upgrade_are_taken(shared_gateway):
    with JsonClient(open_socket(shared_gateway.http)) as ws:
        ws.send_bytes(upgrade("/ws") + frame(PING, b"early") + frame(TEXT, '{"type":"ping","id":"1"}'))
        assert read_response(ws).status == 101
        kinds = [ws.recv(pings=True) for _ in range(3)]
        assert (PONG, b"early") in kinds
        assert any(b'"pong"' in payload for _, payload in kinds)


def test_an_echo_that_came_with_the_upgrade_is_echoed(shared_gateway):
    with JsonClient(open_socket(shared_gateway.http)) as ws:
        ws.send_bytes(upgrade("/echo") + frame(TEXT, "early"))
        assert read_response(ws).status == 101
        assert ws.recv() == (TEXT, b"early")


def test_a_request_that_ends_half_way_is_let_go(shared_gateway):
    with Stream(open_socket(shared_gateway.http)) as s:
        s.send_bytes(b"GET /ws HTTP/1.1\r\nHost: a\r\n")
    shared_gateway.until_counter("connections", 0)


# ---- what the answer to an upgrade says

def protocols(g, offer):
    with JsonClient.open(g.http, headers=[("Sec-WebSocket-Protocol", offer)] if offer else []) as ws:
        return ws.response.headers.get("sec-websocket-protocol")


def test_our_protocol_is_chosen_where_it_is_offered(shared_gateway):
    assert protocols(shared_gateway, "ringcast.v1.json") == "ringcast.v1.json"
    assert protocols(shared_gateway, "x, ringcast.v1.json, y") == "ringcast.v1.json"
    assert protocols(shared_gateway, "ringcast.v1.json, bearer.abc") == "ringcast.v1.json"


def test_no_protocol_is_chosen_where_none_of_ours_is_offered(shared_gateway):
    assert protocols(shared_gateway, None) is None
    assert protocols(shared_gateway, "chat, superchat") is None


def test_extensions_that_are_not_ours_are_not_taken(shared_gateway):
    with JsonClient.open(shared_gateway.http, headers=[("Sec-WebSocket-Extensions", "x-nonsense; a=1")]) as ws:
        assert "sec-websocket-extensions" not in ws.response.headers


def test_an_upgrade_takes_lists_and_any_case(shared_gateway):
    headers = [("Upgrade", "WebSocket"), ("Connection", "keep-alive, UPGRADE")]
    with JsonClient.greeted(shared_gateway.http, headers=headers) as ws:
        ws.barrier()


# ---- time

@pytest.mark.tsan
def test_a_slow_head_is_408(gateway):
    g = gateway({"handshake_timeout": "1s"})
    for part in (b"G", b"GET /ws HTTP/1.1\r\nHost: a\r\n", upgrade("/ws")[:-1]):
        with Stream(open_socket(g.http)) as s:
            s.send_bytes(part)
            assert read_response(s).status == 408
            assert s.read_to_end() == b""
    assert ask(g, get("/healthz")).status == 200


def test_a_head_that_drips_is_408_too(gateway):
    g = gateway({"handshake_timeout": "2s"})
    with Stream(open_socket(g.http)) as s:
        s.send_bytes(b"GET /ws HTTP/1.1\r\nHost: a\r\nX: ")
        # Each byte comes in time, the whole does not.
        s.sock.settimeout(0.1)
        deadline = Deadline(20)
        while True:
            deadline.left()
            try:
                s.sock.send(b"y")
                s.buffer += s.sock.recv(4096)
                break
            except TimeoutError:
                continue
            except OSError:
                break
        assert read_response(s).status == 408


def test_a_connection_that_says_nothing_is_ended(gateway):
    g = gateway({"handshake_timeout": "1s"})
    with Stream(open_socket(g.http)) as s:
        rest = s.read_to_end()
        assert rest == b"" or rest.startswith(b"HTTP/1.1 408 ")
    g.until_counter("connections", 0)


def test_a_connection_idle_behind_an_answer_is_ended(gateway):
    g = gateway({"http.idle_timeout": "1s"})
    with Stream(open_socket(g.http)) as s:
        s.send_bytes(get("/healthz").encode())
        assert read_response(s).status == 200
        s.read_to_end(timeout=20)
    g.until_counter("connections", 0)


def test_many_slow_heads_do_not_keep_others_out(gateway, connect):
    g = gateway({"handshake_timeout": "2s"})
    slow = [Stream(open_socket(g.http)) for _ in range(300)]
    try:
        for s in slow:
            s.send_bytes(b"GET /ws HTTP/1.1\r\n")
        connect(g, "/ws?channel=a").await_type("subscription-ack")
        for s in slow:
            try:
                assert read_response(s).status == 408
            except Closed:
                pytest.fail("ended without an answer")
    finally:
        for s in slow:
            s.drop()
