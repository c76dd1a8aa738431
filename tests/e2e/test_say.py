# SPDX-License-Identifier: Apache-2.0
"""POST /events: what a client says where WebSocket is blocked. The same message, the same rules and the same answer as on a WebSocket, with a
status of HTTP; one bound for all that a user says so; and an event that is sent both ways is there once."""
import json
import signal
import threading
import time

import pytest

import rcjwt
from deadline import eventually
from rchttp import Http, request
from rcsse import SseClient, url
from rcws import Closed, JsonClient
from test_client_publish import ORDER, schema_file

KEPT = {"history_size": "1000", "presence": "yes", "presence_linger": "0"}


def rules(name, who):
    return {f"namespace.{name}.allow_{what}": who for what in ("subscribe", "publish", "history", "presence")}


def space(name, who, **more):
    return {**rules(name, who), **{f"namespace.{name}.{key}": value for key, value in {**KEPT, **more}.items()}}


SETTINGS = {
    "auth.hmac_secret": rcjwt.SECRET,
    "auth.cookie": "session",
    "http.origins": "https://app.example.com",
    **space("open", "anyone"),
    **space("user", "user"),
    **space("own", "own"),
    **space("token", "token"),
    **space("none", "nobody"),
    **space("order", "anyone", schema=schema_file("said.json", ORDER)),
    **space("small", "anyone", payload_max="8"),
    **rules("bare", "anyone"),
}
ORIGIN = "Origin: https://app.example.com"
JSON = "Content-Type: application/json"


def bearer(**claims):
    return "Authorization: Bearer " + rcjwt.make(**claims)


ANN = bearer(sub="ann")


@pytest.fixture
def web(shared_gateway):
    with Http(shared_gateway.http) as c:
        yield c


def say(c, what, *lines, path="/events", kind=JSON):
    """(status, the message that is the answer)."""
    body = what if isinstance(what, (str, bytes)) else json.dumps(what)
    r = c.ask("POST", path, *([kind] if kind else []), *lines, body=body)
    assert r.headers["content-type"] == "application/json" and r.headers["cache-control"] == "no-store", r.headers
    assert ("retry-after" in r.headers) == (r.status in (429, 503)), r.headers
    return r.status, r.json


def refusal(c, what, *lines, **options):
    """(status, code, temporary, id, field)."""
    status, m = say(c, what, *lines, **options)
    assert m["type"] == "error" and m["message"] and m["data"]["error"] == m["message"] and m["timestamp"], m
    return status, m["code"], m["temporary"], m.get("id"), m.get("field")


def publish(channel, data=1, **more):
    return {"type": "publish", "channel": channel, "event": "e", "data": data, **more}


def without(message, *names):
    return {k: v for k, v in message.items() if k not in names}


def both(g, c, what, *lines, path="/ws", **options):
    """The answer of POST, that of a WebSocket being the same."""
    status, m = say(c, what, *lines, **options)
    with JsonClient.greeted(g.http, path) as ws:
        ws.send(1, what if isinstance(what, str) else json.dumps(what))
        other = ws.await_type(m["type"])
    assert without(m, "timestamp") == without(other, "timestamp")
    return status, m


# ---- what is said

@pytest.mark.tsan
def test_each_type_has_the_answer_of_a_websocket(shared_gateway, connect, web):
    g, n = shared_gateway, 12
    ws = connect(g)
    names = [f"open:types{i}" for i in range(n)]
    ws.subscribe(*names)
    for i, name in enumerate(names):
        with Http(g.http) as c:
            status, m = say(c, publish(name, {"n": i}, id=f"i{i}"))
        assert status == 200 and set(m) == {"type", "id", "timestamp", "channel", "position"}, m
        assert (m["type"], m["id"], m["channel"]) == ("ack", f"i{i}", name) and m["position"].endswith("@1")
    assert sorted(e["data"]["n"] for e in (ws.next_event() for _ in names)) == list(range(n))
    for name in names:
        status, m = both(g, web, {"type": "history", "id": 7, "channel": name, "limit": 5})
        assert (status, m["type"], m["id"], len(m["events"]), m["complete"]) == (200, "history", 7, 1, True)
        status, m = say(web, {"type": "presence", "id": "p", "channel": name})
        assert (status, m["type"], m["id"], m["channel"], m["clients"]) == (200, "presence", "p", name, 1), m
    # Nobody has it: not 404, for a client is not told what channels there are.
    status, m = both(g, web, {"type": "history", "channel": "open:nobody"})
    assert status == 200 and m["position"] == "aaaaaaaaaa@0" and "id" not in m


def test_what_was_published_can_be_asked_for_in_every_way(shared_gateway, web):
    positions = [say(web, publish("open:past", n))[1]["position"] for n in range(5)]
    ask = {"type": "history", "channel": "open:past"}
    for more, expected in (({"since": positions[2]}, [3, 4]), ({"before": positions[2]}, [1, 0]), ({"limit": 2}, [4, 3]), ({"since": "beginning"}, [0, 1, 2, 3, 4])):
        status, m = both(shared_gateway, web, {**ask, **more})
        assert status == 200 and [e["data"] for e in m["events"]] == expected


def test_who_it_is_the_rules_are_asked_as_on_a_websocket(shared_gateway, web):
    g = shared_gateway
    some = bearer(sub="bo", publish=["token:a"], channels=["token:*"])
    for lines, path, allowed in (([], "/ws", {"open:a"}), ([ANN], "/ws?token=" + ANN.split()[-1], {"open:a", "user:a", "own:ann"}),
                                 ([some], "/ws?token=" + some.split()[-1], {"open:a", "user:a", "own:bo", "token:a"})):
        for name in ("open:a", "user:a", "own:ann", "own:bo", "token:a", "none:a"):
            for what in (publish(name), {"type": "history", "channel": name}, {"type": "presence", "channel": name}):
                what["id"] = f"rules {name}"
                if name in allowed:
                    assert say(web, what, *lines)[0] == 200, (name, what)
                else:
                    assert refusal(web, what, *lines) == (403, "forbidden", False, what["id"], None), (name, what)
                    both(g, web, what, *lines, path=path)


def test_a_presence_is_that_of_the_streams(shared_gateway, sse, web):
    s = sse(shared_gateway, url("user:room") + "&token=" + rcjwt.make(sub="ann"))

    def there():
        return say(web, {"type": "presence", "channel": "user:room"}, ANN)[1]["users"]

    eventually(lambda: [u["user"] for u in there()] == ["ann"], "the stream's user is there")
    # Who says something is nowhere.
    say(web, publish("user:room"), bearer(sub="bo"))
    assert [u["user"] for u in there()] == ["ann"]
    s.drop()
    eventually(lambda: there() == [], "he is gone")


def test_what_can_not_be_said_is_refused(shared_gateway, web):
    g = shared_gateway
    for what, status, code in (
            ("", 400, "bad_json"), ("{", 400, "bad_json"), (b'{"type":"publish","channel":"open:a","data":"\xff"}', 400, "bad_json"),
            ("[]", 400, "bad_request"), ("1", 400, "bad_request"), ("{}", 400, "bad_request"),
            ('{"type":"ping","type":"ping"}', 400, "bad_request"), ({"type": "history"}, 400, "bad_request"),
            (publish("a**"), 400, "bad_channel"), (publish("$sys:x"), 400, "bad_channel"), ({**publish("open:a"), "event": ""}, 400, "bad_event"),
            ({"type": "publish", "channel": "open:a"}, 400, "bad_request"), ({**publish("open:a"), "echo": 1}, 400, "bad_request"),
            (publish("small:a", "x" * 9), 413, "too_large"), ({"type": "history", "channel": "open:*"}, 400, "bad_channel"),
            ({"type": "history", "channel": "open:a", "limit": 0}, 400, "bad_request"), ({"type": "presence", "channel": "open:*"}, 400, "bad_request"),
            ({"type": "presence", "channel": ["open:a", "open:b"]}, 400, "bad_request"), ({"type": "presence", "channel": "bare:a"}, 400, "unsupported")):
        assert refusal(web, what)[:3] == (status, code, False), what
        if isinstance(what, dict):
            both(g, web, {**what, "id": "same"})
    # Two messages are none, however they stand together, and neither is done.
    two = json.dumps(publish("open:two"))
    for what in (two + two, two + "\n" + two, f"[{two},{two}]"):
        assert refusal(web, what)[0] == 400
    assert say(web, {"type": "history", "channel": "open:two"})[1]["events"] == []


def test_other_types_are_for_a_websocket(shared_gateway, web):
    for what in ({"type": "subscribe", "channel": "open:a"}, {"type": "unsubscribe"}, {"type": "ping"}, {"type": "pong"}, {"type": "auth", "token": "x"},
                 {"type": "refresh", "token": "x"}, {"type": "command", "action": 1}, {"type": "ack", "channel": "open:a", "offset": 1},
                 {"type": "chat", "payload": 1}, {"type": "chat"}):
        assert refusal(web, {**what, "id": "i"}) == (400, "unsupported", False, "i", None)


def test_a_schema_names_the_field(shared_gateway, web):
    what = publish("order:1", {"id": 1, "order": {"price": "12"}}, id=3)
    assert refusal(web, what) == (422, "invalid_data", False, 3, "/order/price")
    both(shared_gateway, web, what)
    assert say(web, publish("order:1", {"id": 1, "order": {"price": 12}}))[0] == 200


@pytest.mark.one_shard
def test_it_is_json_and_says_so(shared_gateway, web):
    """So a page of another origin needs a preflight, whether origins are checked or not."""
    for kind in (None, "Content-Type: text/plain", "Content-Type: application/jsonp", "Content-Type: application/x-www-form-urlencoded", "Content-Type:"):
        assert refusal(web, publish("open:a"), kind=kind)[:3] == (415, "bad_request", False)
    assert refusal(web, publish("open:a"), "Content-Type: text/plain")[0] == 415
    for kind in ("content-type: Application/JSON", "Content-Type: application/json; charset=utf-8", "Content-Type: application/json ;x=y"):
        assert say(web, publish("open:a"), kind=kind)[0] == 200


# ---- who says it

def test_a_token_stands_where_a_stream_has_it(shared_gateway, web):
    token = rcjwt.make(sub="ann")
    for lines, path in ((["Authorization: Bearer " + token], "/events"), ([], "/events?token=" + token), (["Cookie: session=" + token], "/events"), (["Authorization: Bearer " + token], "/events?token=" + token),
                        (["Sec-WebSocket-Protocol: ringcast.v1.json, bearer." + token], "/events")):
        assert say(web, publish("own:ann"), *lines, path=path)[0] == 200
        # The next request of the connection is somebody else's.
        assert refusal(web, publish("own:ann"))[:2] == (403, "forbidden")


def test_a_token_that_is_refused_is_401(shared_gateway, web):
    g = shared_gateway
    before = g.counter("http_unauthorized")
    wrong = ["Authorization: Bearer x.y.z", "Authorization: Bearer", "Authorization: Bearer " + rcjwt.make(sub="ann", secret="another secret of the same length, which is not that of the gateway"),
             bearer(sub="ann", exp=int(time.time()) - 3600), bearer(sub="ann", nbf=int(time.time()) + 3600)]
    for line in wrong:
        assert refusal(web, publish("open:a", id=1), line)[:3] == (401, "unauthorized", False)
    r = web.ask("POST", "/events", JSON, wrong[0], body=json.dumps(publish("open:a")))
    assert r.headers["www-authenticate"].startswith("Bearer ")
    assert refusal(web, publish("open:a"), ANN, path="/events?token=" + rcjwt.make(sub="bo"))[0] == 401
    assert g.counter("http_unauthorized") == before + len(wrong) + 2
    # And the connection goes on.
    assert say(web, publish("open:a"))[0] == 200


def test_without_a_token_where_one_is_needed(gateway):
    g = gateway({"auth.hmac_secret": rcjwt.SECRET, "namespace.allow_publish": "user"})
    with Http(g.http) as c:
        assert refusal(c, publish("a"))[:2] == (401, "unauthorized")
        assert say(c, publish("a"), ANN)[0] == 200


def test_a_strangers_body_is_not_waited_for(gateway):
    """Who he is stands in the head. One that may say something is waited for, and asked once more when all is there."""
    g = gateway({"auth.hmac_secret": rcjwt.SECRET, "namespace.allow_publish": "user"})
    body = json.dumps(publish("a"))
    for lines in ([], ["Authorization: Bearer x.y.z"], [bearer(sub="ann", exp=int(time.time()) - 3600)]):
        for more in ([f"Content-Length: {len(body)}"], ["Transfer-Encoding: chunked"], [f"Content-Length: {len(body)}", "Expect: 100-continue"]):
            with Http(g.http) as c:
                c.send("POST", "/events", JSON, *lines, *more, length=False)
                r = c.answer()
                assert (r.status, r.json["type"], r.json["code"]) == (401, "error", "unauthorized")
                c.expect_end()
    with Http(g.http) as c:
        for _ in range(2):
            c.send("POST", "/events", JSON, ANN, f"Content-Length: {len(body)}", length=False)
            g.gauge("connections")
            c.send_bytes(body.encode())
            assert c.answer().json["type"] == "ack"
        # What it was waited with is no other's.
        assert refusal(c, publish("a"))[0] == 401


def test_wrong_tokens_shut_an_address_out_and_right_ones_never(gateway):
    g = gateway({"auth.hmac_secret": rcjwt.SECRET, "namespace.allow_publish": "user", "limits.exempt_loopback": "no", "limits.auth_failures": "3", "limits.auth_failures_window": "1h"})
    with Http(g.http, source="127.0.0.66") as c:
        for _ in range(20):
            assert say(c, publish("a"), ANN)[0] == 200
        assert g.counter("auth_failures") == 0
        for _ in range(3):
            assert refusal(c, publish("a"), "Authorization: Bearer x.y.z")[0] == 401
        assert refusal(c, publish("a"), ANN)[:3] == (429, "rate_limited", True)
    with Http(g.http, source="127.0.0.7") as c:
        assert say(c, publish("a"), ANN)[0] == 200


def test_without_keys_everybody_is_anonymous(gateway):
    g = gateway({"namespace.allow_publish": "anyone"})
    with Http(g.http) as c:
        assert say(c, publish("a"), "Authorization: Bearer whatever")[0] == 200


# ---- whose page

def test_pages_of_other_origins_are_not_let_in(shared_gateway, web):
    g = shared_gateway
    before = g.counter("upgrades_refused_origin")
    for origin in ("https://evil.example", "null"):
        r = web.ask("POST", "/events", JSON, ANN, f"Origin: {origin}", body=json.dumps(publish("open:a")))
        assert (r.status, r.json["type"], r.json["code"]) == (403, "error", "forbidden")
        assert "access-control-allow-origin" not in r.headers
    assert g.counter("upgrades_refused_origin") == before + 2
    for what in (publish("open:a"), {"type": "ping"}, {"type": "history", "channel": "open:a"}):
        r = web.ask("POST", "/events", JSON, ORIGIN, body=json.dumps(what))
        assert r.headers["access-control-allow-origin"] == "https://app.example.com" and r.headers["vary"] == "Origin"


@pytest.mark.one_shard
def test_a_preflight_allows_what_is_sent(shared_gateway, web):
    r = web.ask("OPTIONS", "/events", ORIGIN, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type")
    assert r.status == 204 and r.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "POST" in r.headers["access-control-allow-methods"] and "GET" in r.headers["access-control-allow-methods"]
    assert {"Authorization", "Content-Type"} <= set(r.headers["access-control-allow-headers"].split(", "))
    r = web.ask("OPTIONS", "/events", "Origin: https://evil.example", "Access-Control-Request-Method: POST")
    assert "access-control-allow-origin" not in r.headers
    assert web.ask("PUT", "/events", body="x").headers["allow"] == "GET, HEAD, POST, OPTIONS"


# ---- bodies and connections

def test_a_body_has_the_size_of_a_message(gateway):
    g = gateway({"namespace.allow_publish": "anyone", "client_message_max": "1KiB", "http.body_max": "64KiB"})
    frame = len(json.dumps(publish("a", "")))
    with Http(g.http) as c:
        assert say(c, publish("a", "x" * (1024 - frame)))[0] == 200
        assert refusal(c, publish("a", "x" * (1025 - frame)))[:2] == (413, "too_large")
    # What is not there yet is not waited for.
    with Http(g.http) as c:
        c.send("POST", "/events", JSON, "Content-Length: 1025", length=False)
        r = c.answer()
        assert (r.status, r.json["code"]) == (413, "too_large")
        c.expect_end()
    with Http(g.http) as c:
        c.send("POST", "/events", JSON, "Transfer-Encoding: chunked", length=False)
        c.send_bytes(b"400\r\n" + b" " * 1024 + b"\r\n1\r\n")
        c.send_bytes(b" \r\n")
        r = c.answer()
        assert (r.status, r.json["code"]) == (413, "too_large")
        c.expect_end()
    # Of /api it is body_max.
    with Http(g.http) as c:
        assert c.publish(" " * 20000 + json.dumps({"channel": "a", "data": 1})).status == 200


def test_a_page_of_the_past_that_fits_an_answer_is_told_and_a_larger_one_is_refused(gateway):
    """1 MiB, whatever is asked; and the connection goes on."""
    g = gateway({"namespace.allow_publish": "anyone", "namespace.history_size": "10", "max_message": "1MiB", "http.body_max": "2MiB",
                 "ingest.frame_max": "2MiB", "namespace.lag_bytes": "2MiB", "namespace.history_bytes": "8MiB", "memory": "128MiB"})
    with Http(g.http) as c:
        for size, status in ((720_000, 200), (1_040_000, 200), (2**20 - 2, 503)):
            data = "x" * size
            assert c.publish({"channel": "a", "data": data}).status == 200
            ask = {"type": "history", "channel": "a", "limit": 1}
            answered, m = say(c, ask)
            r = c.get("/api/channels/a/history?limit=1")
            assert (answered, r.status) == (status, status), size
            if status == 200:
                assert m["events"][0]["data"] == r.json["events"][0]["data"] == data
            else:
                assert m["code"] == "server_capacity_exceeded" and r.json["error"]["code"] == "over_capacity"


@pytest.mark.tsan
def test_a_body_may_come_in_pieces(shared_gateway, web):
    body = json.dumps(publish("user:pieces", "y" * 300, id="p")).encode()
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7]) for i in range(0, len(body), 7)) + b"0\r\n\r\n"
    web.send("POST", "/events", JSON, ANN, "Transfer-Encoding: chunked", length=False)
    web.send_bytes(chunked)
    first = web.answer()
    assert first.status == 200 and first.json["id"] == "p"
    for cut in (1, 100, len(body) - 1):
        web.send("POST", "/events", JSON, ANN, f"Content-Length: {len(body)}", length=False)
        web.send_bytes(body[:cut])
        shared_gateway.gauge("connections")
        web.send_bytes(body[cut:])
        assert web.answer().json["position"] == first.json["position"]
    web.send("POST", "/events", JSON, ANN, "Expect: 100-continue", f"Content-Length: {len(body)}", length=False)
    assert web.answer().status == 100
    web.send_bytes(body)
    assert web.answer().json["position"] == first.json["position"]


@pytest.mark.tsan
def test_requests_in_a_row_are_answered_in_order(shared_gateway, web):
    n = 60
    names = [f"open:row{i % 7}" for i in range(n)]
    raw = b"".join(request("POST", "/events", JSON, body=json.dumps(publish(name, i, id=i) if i % 3 else {"type": "history", "channel": name, "id": i}))
                   for i, name in enumerate(names)) + request("GET", "/healthz")
    web.send_bytes(raw)
    for i, name in enumerate(names):
        r = web.answer()
        assert (r.status, r.json["type"], r.json["id"], r.json["channel"]) == (200, "ack" if i % 3 else "history", i, name)
    assert web.answer().body == b"ok\n"
    # What was published on one connection, one after the other, is in that order.
    past = say(web, {"type": "history", "channel": "open:row1", "since": "beginning"})[1]["events"]
    assert [e["data"] for e in past] == [i for i in range(n) if i % 7 == 1 and i % 3]


def test_http_1_0_and_close(shared_gateway):
    g = shared_gateway
    with Http(g.http) as c:
        assert c.ask("POST", "/events", JSON, body=json.dumps(publish("open:a")), version="HTTP/1.0").status == 200
        c.expect_end()
    with Http(g.http) as c:
        assert say(c, publish("open:a"), "Connection: close")[0] == 200
        c.expect_end()


def test_it_is_no_client(gateway, connect):
    """Neither max_clients nor max_connections_per_user has to do with it."""
    g = gateway({**SETTINGS, "max_clients": "20", "limits.max_connections_per_user": "1"})
    others = [connect(g) for _ in range(19)]
    with JsonClient.greeted(g.http, "/ws?token=" + rcjwt.make(sub="ann")) as ws, Http(g.http) as c:
        assert c.get("/events?channel=open:a").status == 503
        ws.subscribe("user:a")
        for n in range(5):
            assert say(c, publish("user:a", n), ANN)[0] == 200
            assert ws.next_event()["data"] == n
        assert g.gauge("clients") == len(others) + 1 == g.counter("clients_opened")


@pytest.mark.tsan
def test_who_leaves_before_the_answer_leaves_nothing_behind(gateway):
    g = gateway(SETTINGS)
    for n in range(30):
        c = Http(g.http)
        what = [publish(f"user:gone{n % 8}", n, id=n), {"type": "history", "channel": f"user:gone{n % 8}"}, {"type": "presence", "channel": f"user:gone{n % 8}"}]
        c.send_bytes(b"".join(request("POST", "/events", JSON, ANN, body=json.dumps(w)) for w in what))
        if n % 3:
            c.reset()
        else:
            c.drop()
    g.until_counter("connections", 0)
    with Http(g.http) as c:
        # What was read is there once, and said again it still is.
        for n in range(30):
            # One that nobody waits for may not be decided yet: that is a conflict, and passes.
            eventually(lambda: say(c, publish(f"user:gone{n % 8}", n, id=n), ANN)[0] == 200, "it is there")
        assert g.counter("events_published") == 30


def test_slow_bodies_find_no_memory(gateway):
    g = gateway({"namespace.allow_publish": "anyone", "http.body_memory": "2MiB", "memory": "32MiB"})
    slow = [Http(g.http) for _ in range(100)]
    try:
        for c in slow:
            c.send("POST", "/events", JSON, "Content-Length: 60000", length=False)
            c.send_bytes(b" " * 40000)
        g.until_counter("http_bodies_refused", lambda now: now > 10)
        for n in range(100):
            slow.append(Http(g.http))
            slow[-1].send("POST", "/events", JSON, "Content-Length: 3000", length=False)
            slow[-1].send_bytes(b" " * 2000)
        g.until_counter("http_bodies_refused", lambda now: now > 100)
        # What is there as a whole is published all the same, whichever way it came.
        for n in range(8):
            with Http(g.http) as c, JsonClient.greeted(g.http) as ws:
                assert say(c, publish(f"a{n}", "x" * 3000))[0] == 200
                ws.say(**publish(f"a{n}", "x" * 3000, id=n))
                assert ws.await_type("ack", "error")["type"] == "ack"
        told = 0
        for c in slow:
            try:
                r = c.answer(timeout=0.01)
                assert (r.status, r.json["type"], r.json["code"], r.json["temporary"]) == (503, "error", "server_capacity_exceeded", True)
                told += 1
            except (TimeoutError, OSError):
                pass
        assert told > 10
    finally:
        for c in slow:
            c.drop()
    g.until_counter("connections", 0)
    with Http(g.http) as c:
        assert say(c, publish("a"))[0] == 200


TIGHT = {"ring_bytes": "64KiB", "max_message": "2KiB", "ingest.frame_max": "8KiB"}


@pytest.mark.tsan
def test_full_rings_make_it_wait(gateway):
    """As with a WebSocket each has its place, or is told that there is no room, which happens where more jobs wait than there are."""
    g = gateway({**TIGHT, "namespace.allow_publish": "anyone", "namespace.history_size": "10000"})
    each, wrong, acked = 150, [], []

    def crowd(n):
        """What fills the rings: a request of HTTP waits for the one before."""
        try:
            with Http(g.http) as c:
                for _ in range(4):
                    assert c.publish([{"channel": f"crowd{n}.{k % 20}", "data": "x" * 900} for k in range(900)]).status == 200
        except Exception as e:  # noqa: BLE001
            wrong.append(repr(e))

    def flood(n):
        try:
            with Http(g.http) as c:
                c.send_bytes(b"".join(request("POST", "/events", JSON, body=json.dumps(publish(f"full{i % 9}", "x" * 1500, id=f"{n}.{i}"))) for i in range(each)))
                for i in range(each):
                    r = c.answer(timeout=30)
                    assert r.json["id"] == f"{n}.{i}", r.body
                    if r.status == 200:
                        acked.append((r.json["channel"], r.json["position"]))
                    else:
                        assert (r.status, r.json["code"]) == (503, "server_capacity_exceeded"), r.body
        except Exception as e:  # noqa: BLE001
            wrong.append(repr(e))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4) for run in (flood, crowd)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong
    assert len(set(acked)) == len(acked) == g.counter("events_published") - 4 * 4 * 900 and len(acked) > each
    if len(g.counters_by_shard()) > 1:
        assert g.counter("ring_full") > 0, "this test fills no ring"


# ---- rates

RATES = {"auth.hmac_secret": rcjwt.SECRET, "limits.exempt_loopback": "no", "limits.request_rate_per_address": "0", **space("user", "user"), **space("open", "anyone")}


def limited(**limits):
    return {**RATES, **{f"limits.{name}": str(value) for name, value in limits.items()}}


@pytest.mark.tsan
def test_what_a_user_says_has_one_bound_over_all_connections(gateway):
    """Of all connections, shards and addresses of his; a WebSocket has its own, as each has."""
    g = gateway(limited(publish_rate=1, publish_burst=10, subscribe_rate=1, subscribe_burst=4, command_rate=1, command_burst=3))
    made = {"publish": (publish("user:a", id=5), 10, "publish_rate_limited"), "history": ({"type": "history", "channel": "user:a", "id": 5}, 4, "subscribe_rate_limited"),
            "presence": ({"type": "presence", "channel": "user:a", "id": 5}, 3, "command_rate_limited")}
    for what, burst, counter in made.values():
        said = []
        for n in range(burst + 6):
            # The same text is the same event: another id each time, as another has.
            with Http(g.http, source=f"127.0.0.{10 + n % 5}") as c:
                r = c.ask("POST", "/events", JSON, ANN, body=json.dumps({**what, "id": n}))
                said.append(r.status)
                if r.status != 200:
                    assert (r.status, r.json["code"], r.json["temporary"], r.json["id"]) == (429, "rate_limited", True, n) and int(r.headers["retry-after"]) >= 1
        # One a second comes back meanwhile.
        assert burst <= said.count(200) < len(said) and said[:burst] == [200] * burst, said
        assert g.counter(counter) == said.count(429)
        with Http(g.http, source="127.0.0.10") as c:
            assert say(c, what, bearer(sub="bo"))[0] == 200
    with JsonClient.greeted(g.http, "/ws?token=" + rcjwt.make(sub="ann"), source="127.0.0.10") as ws:
        for n in range(10):
            ws.say(**publish("user:a", id=f"ws{n}"))
            assert ws.await_type("ack", "error")["type"] == "ack"


def test_who_has_no_user_is_bound_by_address(gateway):
    g = gateway(limited(publish_rate=1, publish_burst=5))

    def status(source, *lines):
        with Http(g.http, source=source) as c:
            return say(c, publish("open:a"), *lines)[0]

    assert [status("127.0.0.66") for _ in range(5)] == [200] * 5
    assert 429 in [status("127.0.0.66") for _ in range(3)]
    # A token without a user is nobody, and one with a user is not his address.
    assert status("127.0.0.67", bearer()) == 200
    assert status("127.0.0.66", ANN) == 200


def test_bytes_are_bound_too(gateway):
    g = gateway(limited(byte_rate="1KiB", byte_burst="16KiB"))
    with Http(g.http, source="127.0.0.66") as c:
        for n in range(2):
            assert say(c, publish("user:a", "x" * 7000), ANN)[0] == 200
        assert refusal(c, publish("user:a", "x" * 7000), ANN)[:3] == (429, "rate_limited", True)
        assert say(c, publish("user:a", "x"), ANN)[0] == 200
        # What is no message has cost as much.
        assert refusal(c, " " * 7000, bearer(sub="bo"))[0] == 400
        assert refusal(c, " " * 7000, bearer(sub="bo"))[0] == 400
        assert refusal(c, " " * 7000, bearer(sub="bo"))[0] == 429


def test_requests_of_an_address_are_bound_too(gateway):
    g = gateway({**RATES, "limits.request_rate_per_address": "1", "limits.request_burst_per_address": "5"})
    with Http(g.http, source="127.0.0.66") as c:
        seen = [c.ask("POST", "/events", JSON, ANN, body='{"type":"ping"}') for _ in range(8)]
        assert [r.status for r in seen[:5]] == [400] * 5 and seen[-1].status == 429
        assert (seen[-1].json["type"], seen[-1].json["code"], seen[-1].json["temporary"]) == ("error", "rate_limited", True)


# ---- once, whichever way

@pytest.mark.tsan
def test_an_event_that_is_sent_both_ways_is_there_once(shared_gateway, connect):
    """Whatever shards the WebSocket, the POST, the channel and the id have."""
    g = shared_gateway
    token = rcjwt.make(sub="twice")
    ws = connect(g, "/ws?token=" + token)
    for n in range(24):
        text = json.dumps(publish(f"user:twice{n % 5}", {"n": n}, id=f"{n}-é"), ensure_ascii=n % 2 == 0)
        with Http(g.http) as c:
            if n % 3 == 0:
                status, second = say(c, text.encode(), "Authorization: Bearer " + token)
                ws.send(1, text)
                first = ws.await_type("ack")
            else:
                ws.send(1, text)
                first = ws.await_type("ack")
                status, second = say(c, text.encode(), "Authorization: Bearer " + token)
            assert status == 200 and without(first, "timestamp") == without(second, "timestamp")
            # Other words, and other users, are other events.
            other = text.replace('"n": ', '"n":  ')
            assert refusal(c, other.encode(), "Authorization: Bearer " + token) == (422, "key_reused", False, f"{n}-é", None)
            assert say(c, text.encode(), ANN)[1]["position"] != second["position"]


def test_sent_both_ways_at_once(shared_gateway, connect):
    g = shared_gateway
    token = rcjwt.make(sub="race")
    ws = connect(g, "/ws?token=" + token)
    with Http(g.http) as c:
        for n in range(30):
            text = json.dumps(publish("user:race", n, id=n))
            c.send("POST", "/events", JSON, "Authorization: Bearer " + token, body=text)
            ws.send(1, text)
            answers = [ws.await_type("ack", "error"), c.answer().json]
            acks = [a["position"] for a in answers if a["type"] == "ack"]
            assert acks == [acks[0]] * len(acks)
            assert all((a["code"], a["temporary"]) == ("conflict", True) for a in answers if a["type"] == "error")
        assert [e["data"] for e in say(c, {"type": "history", "channel": "user:race", "since": "beginning"}, ANN)[1]["events"]] == list(range(30))


def test_without_a_user_or_an_id_it_is_published_each_time(shared_gateway, web):
    for what, lines in ((publish("open:again", id="same"), []), (publish("open:again"), [ANN])):
        first, second = (say(web, what, *lines)[1]["position"] for _ in range(2))
        assert first != second


def test_without_echo_means_nothing_here(shared_gateway, connect, web):
    """The stream that its sender reads is another connection, which nothing ties to this one: he hears it."""
    g = shared_gateway
    with SseClient.greeted(g.http, url("user:echo") + "&token=" + rcjwt.make(sub="ann")) as s:
        ws = connect(g, "/ws?channel=user:echo&token=" + rcjwt.make(sub="ann"))
        ws.await_type("subscription-ack")
        assert say(web, publish("user:echo", 1, echo=False), ANN)[0] == 200
        assert ws.next_event()["data"] == 1
        assert json.loads(s.next_block().data)["data"] == 1


# ---- where, and until when

def test_it_is_on_the_public_port_also_when_the_api_is_not(gateway):
    g = gateway({**SETTINGS, "admin.listen": "127.0.0.1:0", "admin.token": "the admin's own token"})
    with Http(g.http) as c, Http(g._address("admin")) as admin:
        assert c.publish({"channel": "user:a", "data": 1}).status == 404
        assert say(c, publish("user:a"), ANN)[0] == 200
        assert say(c, {"type": "history", "channel": "user:a"}, ANN)[1]["events"][0]["data"] == 1
        assert say(admin, publish("user:a"), ANN)[0] == 200
        # A token of the API is none of a client.
        assert refusal(c, publish("open:a"), "Authorization: Bearer the admin's own token")[0] == 401


def test_a_gateway_that_stops_says_so(gateway):
    g = gateway({**SETTINGS, "drain_timeout": "60s", "close_timeout": "50s", "reconnect_jitter": "100ms"})
    ws = JsonClient.greeted(g.http)
    answered = []
    with Http(g.http) as c:
        assert say(c, publish("open:a"))[0] == 200
        # Its head is there when the gateway is told to stop, its body is not.
        body = json.dumps(publish("open:a", id="late"))
        c.send("POST", "/events", JSON, f"Content-Length: {len(body)}", length=False)
        c.send_bytes(body[:10].encode())
        g.gauge("connections")
        g.signal(signal.SIGTERM)
        with pytest.raises(Closed):
            while True:
                ws.recv()
        c.send_bytes(body[10:].encode())
        r = c.answer()
        answered.append((r.status, r.json["code"], r.json["temporary"], r.headers["connection"]))
        c.expect_end()
    assert answered == [(503, "server_capacity_exceeded", True, "close")]
    ws.drop()
    assert g.wait() == 0


def test_it_is_counted_and_written_down(gateway, folder):
    path = f"{folder}/access.log"
    g = gateway({**SETTINGS, "log.access": path, "log.format": "json"})
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with Http(g.http) as c:
        assert say(c, publish("user:a"), ANN, f"traceparent: {trace}", path="/events?x=secret")[0] == 200
        assert refusal(c, {"type": "ping"})[0] == 400
        assert refusal(c, publish("user:a"), "Authorization: Bearer x.y.z")[0] == 401
    assert (g.counter("messages_in"), g.counter("messages_bad")) == (2, 1)
    g.stop()
    with open(path) as f:
        rows = [row for row in map(json.loads, f) if row["msg"] == "request"]
    assert [(r["method"], r["path"], r["status"], r.get("user"), r.get("trace")) for r in rows] == [
        ("POST", "/events", 200, "ann", trace[3:35]), ("POST", "/events", 400, None, None), ("POST", "/events", 401, None, None)]
    assert "secret" not in open(path).read() and all(r["address"].startswith("127.0.0.1") for r in rows)


def test_its_trace_goes_with_the_event(gateway, connect):
    g = gateway({**SETTINGS, "namespace.open.trace": "yes"})
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ws = connect(g, "/ws?channel=open:t")
    ws.await_type("subscription-ack")
    with Http(g.http) as c:
        assert say(c, publish("open:t"), f"traceparent: {trace}")[0] == 200
    assert ws.next_event()["traceparent"] == trace
