# SPDX-License-Identifier: Apache-2.0
"""The HTTP server: connections that are kept, requests in a row, bodies, limits, times, CORS; and clients of other makes."""
import bisect
import http.client
import itertools
import json
import random
import shutil
import signal
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

from rchttp import Http, offset, request
from rcws import JsonClient, Stream, open_socket


@pytest.fixture
def web(shared_gateway):
    with Http(shared_gateway.http) as c:
        yield c


# ---- connections that are kept

@pytest.mark.one_shard
def test_a_connection_takes_many_requests(web, shared_gateway):
    for _ in range(50):
        assert web.get("/healthz").status == 200
    assert web.get("/nowhere").status == 404
    assert web.position("kept") and web.get("/").status == 200
    shared_gateway.until_counter("connections", 1)


@pytest.mark.one_shard
def test_http_1_0_is_kept_where_it_asks(web):
    r = web.get("/healthz", "Connection: keep-alive", version="HTTP/1.0")
    assert r.status == 200 and r.headers["connection"] == "keep-alive"
    r = web.get("/healthz", version="HTTP/1.0")
    assert r.headers["connection"] == "close"
    web.expect_end()


@pytest.mark.one_shard
def test_close_is_heard_in_a_list(web):
    assert web.get("/healthz", "Connection: x, Close").headers["connection"] == "close"
    web.expect_end()


@pytest.mark.one_shard
def test_an_idle_connection_holds_no_memory(shared_gateway):
    with Http(shared_gateway.http) as first:
        first.position("idle", "x" * 10000)
    shared_gateway.until_counter("connections", 0)
    before = shared_gateway.gauge("arena_used_bytes")
    many = [Http(shared_gateway.http) for _ in range(200)]
    try:
        for c in many:
            assert c.position("idle", "x" * 10000)
        shared_gateway.until_counter("connections", 200)
        shared_gateway.until_counter("arena_used_bytes", lambda now: now <= before + 65536)
    finally:
        for c in many:
            c.drop()


# ---- requests in a row

@pytest.mark.one_shard
def test_requests_in_a_row_are_answered_in_order(web):
    paths = ["/healthz", "/nowhere", "/", "/livez", "/api/publish"] * 40
    web.send_bytes(b"".join(request("GET", p) for p in paths))
    wanted = {"/healthz": 200, "/nowhere": 404, "/": 200, "/livez": 200, "/api/publish": 405}
    assert [web.answer().status for _ in paths] == [wanted[p] for p in paths]


@pytest.mark.one_shard
def test_requests_in_a_row_of_a_client_that_does_not_read_wait(shared_gateway):
    """More answers than sockets hold: the gateway stops receiving, keeps little, and goes on when they are read."""
    web = Http(shared_gateway.plain_http)
    one = request("GET", "/nowhere", "X: " + "y" * 100)
    count, total = 0, 60000
    web.sock.settimeout(0.5)
    rest = b""
    try:
        while count < total:
            rest = one * 200
            while rest:
                rest = rest[web.sock.send(rest):]
            count += 200
    except TimeoutError:
        count += 200
    assert shared_gateway.gauge("arena_used_bytes") < 64 << 20
    with Http(shared_gateway.http) as other:
        assert other.get("/healthz").status == 200
    # What was cut is sent while the answers are read.
    tail = threading.Thread(target=lambda: rest and web.send_bytes(rest, 60))
    tail.start()
    for _ in range(count):
        assert web.answer().status == 404
    tail.join()
    web.drop()


def chunks(body, size):
    parts = [body[i:i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("seed", range(6))
def test_rows_of_any_kind_in_any_cut_are_answered_as_each_alone(web, seed):
    """Random requests, right and refused ones that leave the connection open, in random pieces: one answer each, in order."""
    dice = random.Random(seed)
    channel = f"row-{seed}"
    raw, wanted, published = [], [], 0
    for _ in range(300):
        kind = dice.choice(["get", "head", "options", "missing", "method", "length", "chunked", "bad", "many"])
        event = json.dumps({"channel": channel, "data": "x" * dice.choice([0, 1, 100, 5000, 20000])}).encode()
        if kind in ("get", "head"):
            raw.append(request(kind.upper(), "/healthz"))
            wanted.append((200, b"ok\n" if kind == "get" else None))
        elif kind == "options":
            raw.append(request("OPTIONS", "/api/publish"))
            wanted.append((204, b""))
        elif kind == "missing":
            raw.append(request("POST", "/nowhere"))
            wanted.append((404, b"404 Not Found\n"))
        elif kind == "method":
            raw.append(request("DELETE", "/healthz"))
            wanted.append((405, b"405 Method Not Allowed\n"))
        elif kind == "bad":
            raw.append(request("POST", "/api/publish", body=event[:-1]))
            wanted.append((400, "bad_json"))
        elif kind == "many":
            n = dice.randrange(1, 20)
            body = b"\n".join([b'{"channel":"%s","data":1}' % channel.encode()] * n)
            raw.append(request("POST", "/api/publish", "Content-Type: application/x-ndjson", body=body))
            wanted.append((200, list(range(published + 1, published + n + 1))))
            published += n
        else:
            raw.append(request("POST", "/api/publish", body=event) if kind == "length" else
                       request("POST", "/api/publish", "Transfer-Encoding: chunked", length=False)
                       + chunks(event, dice.choice([50, 1000, 30000])))
            published += 1
            wanted.append((200, published))

    def check(status, body):
        r = web.answer(head_only=body is None)
        assert r.status == status, (r.status, r.body, body)
        if isinstance(body, bytes):
            assert r.body == body
        elif isinstance(body, str):
            assert r.json["error"]["code"] == body
        elif isinstance(body, int):
            assert offset(r.json["position"]) == body
        elif body:
            assert [offset(x["position"]) for x in r.json["results"]] == body

    ends = list(itertools.accumulate(map(len, raw)))
    everything, sent, read = b"".join(raw), 0, 0
    while read < len(wanted):
        piece = everything[sent:sent + dice.choice([1, 7, 100, 1460, 5000, 60000])]
        web.send_bytes(piece)
        sent += len(piece)
        # As many answers as are due, less a few.
        due = bisect.bisect_right(ends, sent) - (dice.randrange(4) if sent < len(everything) else 0)
        while read < due:
            check(*wanted[read])
            read += 1
    assert web.get("/healthz").status == 200


@pytest.mark.one_shard
def test_what_is_sent_behind_a_shutdown_of_the_clients_side_is_answered(web):
    web.send_bytes(request("GET", "/healthz") * 3 + request("POST", "/api/publish", body='{"channel":"half","data":1}'))
    web.sock.shutdown(1)
    assert [web.answer().status for _ in range(4)] == [200] * 4
    web.expect_end()


# ---- HEAD, OPTIONS

@pytest.mark.one_shard
@pytest.mark.parametrize("path", ["/healthz", "/health", "/livez", "/readyz", "/"])
def test_head_is_get_without_its_body(web, path):
    got = web.get(path)
    r = web.ask("HEAD", path)
    assert r.status == got.status and r.headers == got.headers
    assert web.get("/healthz").status == 200


@pytest.mark.one_shard
def test_head_of_what_is_not_there(web):
    r = web.ask("HEAD", "/nowhere")
    assert r.status == 404 and int(r.headers["content-length"]) > 0
    assert web.get("/healthz").status == 200


@pytest.mark.one_shard
def test_options_says_what_there_is(web):
    assert web.ask("OPTIONS", "/healthz").headers["allow"] == "GET, HEAD, OPTIONS"
    assert web.ask("OPTIONS", "/api/publish").headers["allow"] == "POST, OPTIONS"
    assert web.ask("OPTIONS", "*").status == 204
    assert web.ask("OPTIONS", "/nowhere").status == 404


@pytest.mark.one_shard
def test_a_method_of_another_path_is_405(web):
    r = web.ask("DELETE", "/api/publish")
    assert (r.status, r.headers["allow"], r.json["error"]["code"]) == (405, "POST, OPTIONS", "bad_method")
    assert web.ask("BREW", "/healthz").status == 405


@pytest.mark.one_shard
def test_health_is_json_where_that_is_accepted(web):
    r = web.get("/healthz", "Accept: text/html, application/json;q=0.9")
    assert r.headers["content-type"] == "application/json" and r.json == {"status": "ok"}
    assert web.get("/healthz", "Accept: */*").body == b"ok\n"


# ---- CORS

APP = "https://app.example.com"


@pytest.fixture
def listed(gateway):
    with Http(gateway({"http.origins": f"{APP}, http://localhost:5173"}).http) as c:
        yield c


@pytest.mark.one_shard
def test_no_origin_is_allowed_when_none_is_listed(web):
    r = web.get("/healthz", f"Origin: {APP}")
    assert "access-control-allow-origin" not in r.headers and "vary" not in r.headers


@pytest.mark.one_shard
def test_listed_origins_are_allowed(listed):
    for origin in (APP, "http://localhost:5173"):
        r = listed.get("/healthz", f"Origin: {origin}")
        assert r.headers["access-control-allow-origin"] == origin and r.headers["vary"] == "Origin"
        assert listed.get("/nowhere", f"Origin: {origin}").headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize("origin", ["https://app.example.com.evil.com", "https://APP.example.com", "http://app.example.com", "null",
                                    "https://app.example.com, https://app.example.com", "https://app.example.com:443", "*", ""])
@pytest.mark.one_shard
def test_others_are_not(listed, origin):
    r = listed.get("/healthz", f"Origin: {origin}")
    assert r.status == 200 and "access-control-allow-origin" not in r.headers and r.headers["vary"] == "Origin"


@pytest.mark.one_shard
def test_two_origins_are_none(listed):
    assert "access-control-allow-origin" not in listed.get("/healthz", f"Origin: {APP}", f"Origin: {APP}").headers


@pytest.mark.one_shard
def test_a_preflight_is_answered(listed):
    r = listed.ask("OPTIONS", "/api/publish", f"Origin: {APP}", "Access-Control-Request-Method: POST",
                   "Access-Control-Request-Headers: authorization,content-type")
    assert r.status == 204 and r.headers["access-control-allow-origin"] == APP
    assert "POST" in r.headers["access-control-allow-methods"]
    assert "Authorization" in r.headers["access-control-allow-headers"] and int(r.headers["access-control-max-age"]) > 0
    r = listed.ask("OPTIONS", "/api/publish", "Origin: https://evil.com", "Access-Control-Request-Method: POST")
    assert not [h for h in r.headers if h.startswith("access-control")]


@pytest.mark.one_shard
def test_everybody(gateway):
    with Http(gateway({"http.origins": "*"}).http) as c:
        r = c.get("/healthz", "Origin: https://any.example")
        assert r.headers["access-control-allow-origin"] == "*" and "vary" not in r.headers


# ---- bodies

EVENT = json.dumps({"channel": "body", "data": "d" * 3000}).encode()


@pytest.mark.one_shard
@pytest.mark.parametrize("size", [1, 7, 100, 4096, 10000])
def test_chunks_of_any_size(web, size):
    web.send_bytes(request("POST", "/api/publish", "Transfer-Encoding: chunked", length=False) + chunks(EVENT, size))
    assert web.answer().status == 200
    assert web.get("/healthz").status == 200


@pytest.mark.one_shard
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_a_request_may_be_cut_everywhere(web, coding):
    event = b'{"channel":"cut","data":[1,2,3]}'
    raw = (request("POST", "/api/publish", body=event) if coding == "length" else
           request("POST", "/api/publish", "Transfer-Encoding: chunked", length=False) + chunks(event, 5))
    for at in range(1, len(raw)):
        web.send_bytes(raw[:at])
        web.send_bytes(raw[at:] + request("GET", "/livez"))
        assert web.answer().status == 200
        assert web.answer().body == b"ok\n"


@pytest.mark.one_shard
def test_expect_continue_is_answered_before_the_body(web):
    web.send("POST", "/api/publish", "Expect: 100-continue", f"Content-Length: {len(EVENT)}", length=False)
    assert web.answer().status == 100
    web.send_bytes(EVENT)
    assert web.answer().status == 200
    assert web.get("/healthz").status == 200


@pytest.mark.one_shard
def test_expect_continue_is_not_answered_where_the_body_is_refused(web):
    web.send("POST", "/api/publish", "Expect: 100-continue", "Content-Length: 5000000", length=False)
    assert web.answer().status == 413
    web.expect_end()


@pytest.mark.one_shard
def test_the_largest_body(gateway):
    g = gateway({"http.body_max": "64KiB"})
    lines = "\n".join(json.dumps({"channel": "a", "data": "x" * 500}) for _ in range(100))
    with Http(g.http) as c:
        assert c.publish(lines + " " * (65536 - len(lines))).status == 200
        c.send_bytes(request("POST", "/api/publish", "Transfer-Encoding: chunked", length=False)
                     + chunks((lines + " " * (65536 - len(lines))).encode(), 5000))
        assert c.answer().status == 200
        assert c.publish(lines + " " * (65537 - len(lines))).status == 413
        c.expect_end()
    with Http(g.http) as c:
        c.send_bytes(request("POST", "/api/publish", "Transfer-Encoding: chunked", length=False) + chunks(b" " * 65537, 5000))
        assert c.answer().status == 413
        c.expect_end()


@pytest.mark.one_shard
def test_slow_bodies_together_are_bounded(gateway, connect):
    """A hundred uploads that stop half way: those beyond body_memory are told 503, all others go on as if nothing were."""
    g = gateway({"http.body_memory": "2MiB", "http.body_max": "256KiB", "memory": "32MiB"})
    slow = [Http(g.http) for _ in range(100)]
    try:
        for s in slow:
            s.send("POST", "/api/publish", "Content-Length: 200000", length=False)
            s.send_bytes(b" " * 60000)
        g.until_counter("http_bodies_refused", lambda now: now > 50)
        ws = connect(g, "/ws?channel=a")
        ws.await_type("subscription-ack")
        with Http(g.http) as c:
            assert c.position("a", "still here")
            assert ws.next_event()["data"] == "still here"
    finally:
        for s in slow:
            s.drop()
    g.until_counter("connections", 1)
    with Http(g.http) as c:
        lines = "\n".join(json.dumps({"channel": "a", "data": "x" * 500}) for _ in range(300))
        assert c.publish(lines).status == 200


# ---- time

@pytest.mark.one_shard
def test_a_slow_body_is_408(gateway):
    g = gateway({"http.body_timeout": "1s"})
    for head in (["Content-Length: 100"], ["Transfer-Encoding: chunked"], ["Content-Length: 100", "Expect: 100-continue"]):
        with Http(g.http) as c:
            c.send("POST", "/api/publish", *head, length=False)
            if len(head) == 2:
                assert c.answer().status == 100
            else:
                c.send_bytes(b"5\r\nhel")
            assert c.answer(timeout=20).status == 408
            c.expect_end()
    g.until_counter("connections", 0)


@pytest.mark.one_shard
def test_a_slow_head_behind_an_answer_is_408(gateway):
    g = gateway({"handshake_timeout": "1s"})
    with Http(g.http) as c:
        assert c.get("/healthz").status == 200
        c.send_bytes(b"GET /healthz HTT")
        assert c.answer(timeout=20).status == 408
        c.expect_end()


@pytest.mark.one_shard
def test_an_idle_connection_is_ended_without_a_word(gateway):
    g = gateway({"http.idle_timeout": "1s"})
    with Http(g.http) as c:
        for _ in range(3):
            assert c.get("/healthz").status == 200
        c.expect_end(20)


@pytest.mark.one_shard
def test_one_that_reads_no_answers_is_ended(gateway):
    g = gateway({"http.idle_timeout": "1s"})
    with Stream(open_socket(g.http, rcvbuf=4096)) as s:
        s.sock.settimeout(1)
        try:
            while True:
                s.sock.sendall(request("GET", "/nowhere") * 100)
        except (TimeoutError, OSError):
            pass
        g.until_counter("connections", 0)


# ---- the end

@pytest.mark.one_shard
def test_connections_are_not_kept_when_slots_run_out(gateway, connect):
    g = gateway({"max_clients": "20", "ingest.max_publishers": "1"})
    kept = []
    try:
        while True:
            c = Http(g.http)
            kept.append(c)
            if c.get("/healthz").headers["connection"] == "close":
                c.expect_end()
                break
            assert len(kept) < 100
        # There is room for clients still, and for those who only ask.
        for n in range(10):
            connect(g, f"/ws?channel=c{n}").await_type("subscription-ack")
        for _ in range(10):
            with Http(g.http) as c:
                assert c.get("/healthz").status == 200
                c.expect_end()
    finally:
        for c in kept:
            c.drop()


@pytest.mark.one_shard
def test_a_stop_ends_idle_connections(gateway):
    g = gateway()
    with Http(g.http) as c:
        assert c.get("/healthz").status == 200
        g.signal(signal.SIGTERM)
        c.expect_end(20)
    g.stop()


# ---- clients of other makes, in plain (test_tls_clients.py has them over TLS)

def plain_url(g, path):
    return f"http://{g.plain_http[0]}:{g.plain_http[1]}{path}"


@pytest.mark.one_shard
def test_python_http_client(shared_gateway):
    c = http.client.HTTPConnection(*shared_gateway.plain_http, timeout=20)
    for n in range(1, 4):
        c.request("POST", "/api/publish", json.dumps({"channel": "python", "data": n}))
        assert offset(json.loads(c.getresponse().read())["position"]) == n
    c.request("POST", "/api/publish", iter([b'{"channel":', b'"python","data":4}']), encode_chunked=True,
              headers={"Transfer-Encoding": "chunked"})
    assert offset(json.loads(c.getresponse().read())["position"]) == 4
    c.request("HEAD", "/healthz")
    assert c.getresponse().read() == b""
    c.close()


@pytest.mark.one_shard
def test_python_urllib(shared_gateway):
    with urllib.request.urlopen(plain_url(shared_gateway, "/healthz"), timeout=20) as r:
        assert r.read() == b"ok\n"
    with pytest.raises(urllib.error.HTTPError) as e:
        urllib.request.urlopen(plain_url(shared_gateway, "/api/publish"), data=b"nonsense", timeout=20)
    assert e.value.code == 400 and json.loads(e.value.read())["error"]["code"] == "bad_json"


@pytest.mark.one_shard
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl(shared_gateway, folder):
    url = plain_url(shared_gateway, "/api/publish")
    big = f"{folder}/big"
    with open(big, "w", encoding="utf-8") as f:
        f.write("\n".join(json.dumps({"channel": "curl", "data": "x" * 400}) for _ in range(900)))
    out = subprocess.run(["curl", "-sS", "--fail", "--data-binary", f"@{big}", url, "-H", "Expect: 100-continue",
                          "--next", "-sS", "--fail", "-T", big, "-X", "POST", "-H", "Transfer-Encoding: chunked", url,
                          "--next", "-sS", "--fail", "-I", plain_url(shared_gateway, "/healthz")],
                         capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out.stderr
    first, second = (json.loads(x)["results"] for x in out.stdout.splitlines()[:2])
    assert [offset(r["position"]) for r in first + second] == list(range(1, 1801))
    assert "HTTP/1.1 200 OK" in out.stdout


@pytest.mark.one_shard
@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_node_fetch(shared_gateway):
    script = """
        const url = process.argv[1];
        const say = async (method, path, body, headers) => {
            const r = await fetch(url + path, {method, body, headers});
            return [r.status, await r.text()];
        };
        (async () => {
            const out = [];
            for (let n = 0; n < 5; n++)
                out.push(await say('POST', '/api/publish', JSON.stringify({channel: 'node', data: n})));
            out.push(await say('GET', '/healthz'), await say('HEAD', '/healthz'), await say('GET', '/nowhere'));
            console.log(JSON.stringify(out));
        })();
    """
    out = subprocess.run(["node", "-e", script, plain_url(shared_gateway, "")], capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out.stderr
    said = json.loads(out.stdout)
    assert [offset(json.loads(body)["position"]) for _, body in said[:5]] == [1, 2, 3, 4, 5]
    assert said[5:7] == [[200, "ok\n"], [200, ""]] and said[7][0] == 404


@pytest.mark.one_shard
def test_a_websocket_lives_beside_them(shared_gateway, web):
    with JsonClient.greeted(shared_gateway.http, "/ws?channel=beside") as ws:
        ws.await_type("subscription-ack")
        position = web.position("beside", {"a": 1}, event="e")
        event = ws.next_event()
        assert event["event"] == "e" and event["data"] == {"a": 1} and event["offset"] == offset(position)
