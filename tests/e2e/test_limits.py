# SPDX-License-Identifier: Apache-2.0
"""What one address and one client may do: each limit has its answer and its counter, and others are served meanwhile. The clients come from
several addresses of the loopback, which is made to count like any other."""
import json

import pytest

import rcjwt
from deadline import SOON, eventually
from rchttp import Http
from rcingest import Publisher, hello
from rcsse import SseClient
from rctokens import SECRET, good, token
from rcws import PING, PONG, TEXT, Closed, JsonClient, Stream, WebSocket, frame, open_socket

COUNTED = {"limits.exempt_loopback": "no"}
BAD, GOOD = "127.0.0.66", "127.0.0.7"
OVER_CAPACITY, UNAUTHORIZED = 51, 6


def counted(**limits):
    return {**COUNTED, **{f"limits.{name}": value for name, value in limits.items()}}


def served(g, source=GOOD):
    """A good client from elsewhere is."""
    with JsonClient.greeted(g.plain_http, source=source) as c:
        c.say(type="ping", id="still there")
        assert c.await_type("pong")["id"] == "still there"


def refused_at_once(address, source=BAD, **options):
    """What a connection that is turned away gets: its bytes, b"" for none; None for a reset."""
    got = b""
    try:
        with Stream(open_socket(address, source=source, **options)) as s:
            while more := s.sock.recv(4096):
                got += more
            return got
    except (ConnectionResetError, BrokenPipeError):
        return got or None


def hold(g, count, source=BAD):
    """So many clients that stay."""
    return [JsonClient.greeted(g.plain_http, source=source) for _ in range(count)]


def drop(clients):
    for c in clients:
        c.drop()


# ---- addresses

@pytest.mark.tsan
def test_connections_of_one_address(gateway):
    g = gateway(counted(connections_per_address=4))
    held = hold(g, 4)
    g.until_counter("accepts", 4)
    answer = refused_at_once(g.plain_http)
    assert answer.startswith(b"HTTP/1.1 429 ") and b"\r\nRetry-After: 5\r\n" in answer, answer
    assert answer.endswith(b"this address has as many connections as it may have\n")
    served(g)
    held.pop().drop()
    g.until_counter("connections", 3)
    held += hold(g, 1)
    g.until_counter("accept_refused_address", 1)
    drop(held)
    g.until_counter("connections", 0)


@pytest.mark.one_shard
def test_connections_of_one_address_over_every_port(gateway, pki):
    g = gateway(counted(connections_per_address=2), pki=pki)
    held = hold(g, 2)
    assert refused_at_once((g.ingest[0], g.plain_ingest[1])).endswith(b"this address has as many connections as it may have")
    with Publisher(open_socket(g.plain_ingest, source=BAD)) as p:
        p.sequence = p.acked = 0
        assert p.recv_frame().code == OVER_CAPACITY
    # TLS has no word for it: the end, before any handshake.
    assert refused_at_once(tuple(g.http)) in (b"", None)
    assert refused_at_once(tuple(g.ingest)) in (b"", None)
    assert g.counter("accept_refused_address") == 4 and g.counter("tls_handshaking") == 0
    served(g)
    drop(held)


@pytest.mark.one_shard
def test_an_ipv6_address_is_counted_too(gateway):
    g = gateway(counted(connections_per_address=2, ipv6_prefix=48), listen="[::1]:0")
    held = hold(g, 2, source="::1")
    assert refused_at_once(g.plain_http, source="::1").startswith(b"HTTP/1.1 429 ")
    drop(held)
    g.until_counter("connections", 0)
    served(g, source="::1")


def test_new_connections_a_second_of_one_address(gateway):
    g = gateway(counted(accept_rate_per_address=1, accept_burst_per_address=6))
    for _ in range(6):
        with Http(g.plain_http, source=BAD) as h:
            assert h.get("/healthz").status == 200
    assert refused_at_once(g.plain_http) is None
    g.until_counter("accept_refused_address_rate", lambda n: n >= 1)
    served(g)

    def again():
        try:
            with Http(g.plain_http, source=BAD) as h:
                return h.get("/healthz").status == 200
        except (OSError, Closed):
            return False

    eventually(again, "it may come again when a second has passed")


def test_new_connections_a_second_of_all_together(gateway):
    g = gateway(counted(accept_rate=1, accept_burst=5))
    for i in range(5):
        with Http(g.plain_http, source=f"127.0.1.{i + 1}") as h:
            assert h.get("/healthz").status == 200
    assert refused_at_once(g.plain_http, source="127.0.1.9") is None
    g.until_counter("accept_refused_rate", lambda n: n >= 1)


@pytest.mark.tsan
def test_connections_that_did_not_say_who_they_are(gateway):
    g = gateway(counted(max_unauthenticated=4))
    client = hold(g, 1, GOOD)
    silent = [Stream(open_socket(g.plain_http, source=f"127.0.1.{i + 1}")) for i in range(4)]
    g.until_counter("unauthenticated", 4)
    answer = refused_at_once(g.plain_http)
    assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 5\r\n" in answer
    with Publisher(open_socket(g.plain_ingest, source=BAD)) as p:
        p.sequence = p.acked = 0
        assert p.recv_frame().code == OVER_CAPACITY
    g.until_counter("accept_refused_unauthenticated", 2)
    # Who is a client, a publisher or has the API's word is not one of them; who only asks for pages is.
    silent.pop().drop()
    g.until_counter("unauthenticated", 3)
    with Publisher.greeted(g.plain_ingest):
        g.until_counter("unauthenticated", 3)
    with Http(g.plain_http) as h:
        assert h.get("/healthz").status == 200 and g.counter("unauthenticated") == 4
        assert h.get("/api/status").status == 200 and g.counter("unauthenticated") == 3
    served(g)
    drop([*silent, *client])
    g.until_counter("unauthenticated", 0)


@pytest.mark.one_shard
@pytest.mark.parametrize("overall", [False, True], ids=["per address", "overall"])
def test_handshakes_a_second(gateway, pki, overall):
    names = ("handshake_rate", "handshake_burst") if overall else ("handshake_rate_per_address", "handshake_burst_per_address")
    g = gateway(counted(**{names[0]: 1, names[1]: 3}), pki=pki)
    for i in range(3):
        with Http(g.http, source=f"127.0.1.{i}" if overall else BAD) as h:
            assert h.get("/healthz").status == 200
    with pytest.raises((OSError, Closed)):
        Http(g.http, source=BAD)
    g.until_counter("tls_refused_rate" if overall else "tls_refused_address_rate", lambda n: n >= 1)
    g.until_counter("tls_handshaking", 0)
    if not overall:
        with Http(g.http, source=GOOD) as h:
            assert h.get("/healthz").status == 200


# ---- requests

def test_requests_a_second_of_one_address(gateway):
    g = gateway(counted(request_rate_per_address=1, request_burst_per_address=5))
    with Http(g.plain_http, source=BAD) as h, Http(g.plain_http, source=BAD) as other:
        assert [h.get("/healthz").status for _ in range(5)] == [200] * 5
        limited = h.get("/nowhere")
        assert limited.status == 429 and limited.headers["retry-after"] == "1"
        # Of the address, not of the connection; and an upgrade is one.
        assert other.get("/healthz").status == 429
        WebSocket.open(g.plain_http, "/ws", expect=429, source=BAD).drop()
        with Http(g.plain_http, source=BAD) as sse:
            assert sse.get("/events?channel=a").status == 429
        served(g)
        # What the API lets in does not count, whatever the rate.
        assert [h.get("/api/status").status for _ in range(10)] == [200] * 10
        eventually(lambda: h.get("/healthz").status == 200, "it may ask again when a second has passed")
    assert g.counter("http_rate_limited") >= 4


@pytest.mark.tsan
def test_a_stream_whose_users_home_is_asked_is_one_request(gateway):
    """It comes twice to whoever counts: before and after the home of its user, which may be another shard, has answered."""
    g = gateway(counted(request_rate_per_address=1, request_burst_per_address=16) | rcjwt.settings(**{"namespace.allow_subscribe": "anyone"}))
    streams = [SseClient.open(g.plain_http, "/events?channel=a&token=" + rcjwt.make(sub=f"u{n}")) for n in range(16)]
    assert g.counter("users") == 16
    drop(streams)


def test_a_stream_whose_user_is_at_home_elsewhere_is_one_request(gateway):
    """Its request waits for that home and is looked at again; and nobody is left on a connection that goes on."""
    g = gateway({**counted(request_rate_per_address=1, request_burst_per_address=1), "auth.hmac_secret": SECRET,
                 "auth.anonymous": "yes", "namespace.allow_subscribe": "anyone"})
    for number in range(8):
        query = f"?channel=a&token={token(good(sub=f'user-{number}'))}"
        with Http(g.plain_http, source=f"127.0.0.{100 + number}") as h:
            h.send("GET", "/events" + query)
            assert h.answer(head_only=True).status == 200
    served(g)


@pytest.mark.parametrize("given", ["Bearer wrong", "Basic d3Jvbmc="])
def test_requests_that_a_wrong_token_vouches_for_are_vouched_for_by_none(gateway, given):
    g = gateway({**counted(request_rate_per_address=1, request_burst_per_address=5, auth_failures=0), "admin.token": "right"})
    with Http(g.plain_http, source=BAD) as h:
        got = [h.get("/api/status", f"Authorization: {given}").status for _ in range(12)]
        assert got[:5] == [401] * 5 and 429 in got[5:], got
        assert h.get("/api/status", "Authorization: Bearer right").status == 200
    served(g)


def test_refused_tokens_of_one_address(gateway):
    g = gateway({**counted(auth_failures=3, auth_failures_window="1h"), "admin.token": "right", "ingest.token": "right"})

    def ask(token, source):
        with Http(g.plain_http, source=source) as h:
            return h.get("/api/status", f"Authorization: Bearer {token}")

    assert [ask("wrong", BAD).status for _ in range(2)] == [401] * 2
    # Good ones are not counted.
    assert [ask("right", BAD).status for _ in range(5)] == [200] * 5
    with Publisher.open(g.plain_ingest, source=BAD) as p:
        p.send_bytes(hello("p", "wrong"))
        p.expect_error(UNAUTHORIZED, closes=True)
    # On any port, the right one too.
    for token in ("wrong", "right"):
        limited = ask(token, BAD)
        assert limited.status == 429 and limited.json["error"]["code"] == "rate_limited", limited.body
        assert int(limited.headers["retry-after"]) > 1000
    with Publisher.open(g.plain_ingest, source=BAD) as p:
        p.send_bytes(hello("p", "right"))
        p.expect_error(OVER_CAPACITY, closes=True)
    assert ask("right", GOOD).status == 200
    assert g.counter("auth_failures") == 3 and g.counter("auth_refused_rate") == 3
    # What needs no token is served as ever.
    served(g, BAD)


def test_refused_tokens_of_clients(gateway):
    g = gateway({**counted(auth_failures=3, auth_failures_window="1h"), "auth.hmac_secret": "s" * 40, "auth.anonymous": "yes"})
    with WebSocket.open(g.plain_http, "/ws?token=a.b.c", source=BAD) as c:
        c.expect_close(4001)
    with Http(g.plain_http, source=BAD) as h:
        assert h.get("/events?channel=a&token=a.b.c").status == 401
    with JsonClient.greeted(g.plain_http, source=BAD) as c:
        c.say(type="auth", token="a.b.c")
        assert c.await_type("error")["code"] == "unauthorized"
        c.say(type="auth", token="a.b.c")
        assert c.await_type("error")["code"] == "rate_limited"
        c.expect_close(4105)
    with WebSocket.open(g.plain_http, "/ws?token=a.b.c", source=BAD) as c:
        c.expect_close(4105)
    with Http(g.plain_http, source=BAD) as h:
        limited = h.get("/events?channel=a&token=a.b.c")
        assert limited.status == 429 and int(limited.headers["retry-after"]) > 1000
    with WebSocket.open(g.plain_http, "/ws?token=a.b.c", source=GOOD) as c:
        c.expect_close(4001)
    assert g.counter("auth_failures") == 4 and g.counter("auth_refused_rate") == 3
    served(g, BAD)


# ---- what a client sends

FEW = {"message_rate": 1, "message_burst": 5, "grace": "1m"}


@pytest.mark.tsan
def test_too_many_messages_are_warned_of_and_dropped(gateway):
    g = gateway(counted(**FEW))
    with JsonClient.greeted(g.plain_http) as c:
        c.send_bytes(b"".join(frame(TEXT, json.dumps({"type": "ping", "id": i})) for i in range(8)))
        assert [c.recv_json()["id"] for _ in range(5)] == list(range(5))
        error = c.recv_json()
        assert (error["type"], error["code"], error["temporary"]) == ("error", "rate_limited", True)
        # One warning for all three.
        g.until_counter("messages_rate_limited", 3)

        # A second later there is one more.
        g.gauge("clients")
        c.say(type="ping", id="again")
        assert c.recv_json()["id"] == "again"
        assert g.counter("close_rate") == 0


def test_who_goes_on_beyond_one_more_burst_is_closed(gateway):
    g = gateway(counted(**FEW))
    with JsonClient.greeted(g.plain_http, source=BAD) as c:
        c.send_bytes(frame(TEXT, '{"type":"ping"}') * 20)
        assert c.expect_close(4105)[1]
    g.until_counter("close_rate", 1)
    assert g.counter("messages_rate_limited") == 6
    served(g)


def test_who_goes_on_after_the_grace_is_closed(gateway):
    g = gateway(counted(message_rate=1, message_burst=3, grace="300ms"))
    with JsonClient.greeted(g.plain_http) as c:
        c.send_bytes(frame(TEXT, '{"type":"ping"}') * 4)
        with pytest.raises(Closed) as closed:
            while True:
                c.say(type="ping")
                c.recv(timeout=SOON)
        assert closed.value.code == 4105
    g.until_counter("close_rate", 1)


def test_pings_and_pongs_are_messages_too(gateway):
    g = gateway(counted(**FEW))
    for opcode in (PING, PONG):
        with WebSocket.open(g.plain_http, "/ws") as c:
            c.answer_pings = False
            c.send_bytes(frame(opcode, b"x") * 30)
            c.expect_close(4105)
    g.until_counter("close_rate", 2)


def test_bytes_a_second(gateway):
    g = gateway(counted(byte_rate="1KiB", byte_burst="16KiB", grace="1m"))
    with JsonClient.greeted(g.plain_http) as c:
        large = json.dumps({"type": "ping", "id": "x", "more": "y" * 7000})
        for _ in range(2):
            c.send(TEXT, large)
            assert c.recv_json()["type"] == "pong"
        c.send(TEXT, large)
        assert c.recv_json()["code"] == "rate_limited"
        # A message above the burst counts as the burst, or it could never come.
        assert g.counter("messages_rate_limited") == 1
    with JsonClient.greeted(g.plain_http) as c:
        c.send(TEXT, json.dumps({"type": "ping", "id": "x", "more": "y" * 40000}))
        assert c.recv_json()["type"] == "pong"


def test_bytes_that_are_dropped_count_too(gateway):
    """Twice byte_burst in all, whatever message_burst is."""
    g = gateway(counted(byte_rate="1KiB", byte_burst="16KiB", grace="1m"))
    with JsonClient.greeted(g.plain_http) as c:
        c.send_bytes(frame(TEXT, json.dumps({"type": "ping", "more": "y" * 7000})) * 6)
        with pytest.raises(Closed) as closed:
            while True:
                c.recv(timeout=SOON)
        assert closed.value.code == 4105
    g.until_counter("messages_rate_limited", 4)


def test_channels_a_second(gateway):
    g = gateway(counted(subscribe_rate=1, subscribe_burst=10))
    with JsonClient.greeted(g.plain_http) as c:
        c.subscribe(*(f"a:{i}" for i in range(8)))
        c.say(type="subscribe", id="too many", channels=[f"b:{i}" for i in range(5)])
        error = c.await_type("error")
        assert (error["id"], error["code"], error["temporary"]) == ("too many", "rate_limited", True)
        # Nothing of it was done, and the client lives.
        assert g.counter("subscriptions") - 1 <= 9
        c.subscribe("b:1")
        c.say(type="history", id="h", channel="a:1")
        assert c.recv_json()["type"] in ("history", "error")
        c.unsubscribe()
        # Who does not stop asking is closed.
        with pytest.raises(Closed) as closed:
            for _ in range(200):
                c.say(type="subscribe", channels=[f"b:{i}" for i in range(9)])
                c.recv_json()
        assert closed.value.code == 4105
    assert g.counter("subscribe_rate_limited") > 20
    assert g.counter("close_rate") == 1


def test_events_a_second_of_a_client(gateway):
    g = gateway({**counted(publish_rate=1, publish_burst=3), "namespace.allow_publish": "anyone"})
    with JsonClient.greeted(g.plain_http) as c:
        for i in range(4):
            c.say(type="publish", id=i, channel="a", event="e", data=i)
        answers = [c.await_type("ack", "error") for _ in range(4)]
        assert sorted(a["type"] for a in answers) == ["ack", "ack", "ack", "error"]
        error = [a for a in answers if a["type"] == "error"][0]
        assert (error["id"], error["code"], error["temporary"]) == (3, "rate_limited", True)
    assert g.counter("publish_rate_limited") == 1


@pytest.mark.one_shard
def test_a_meter_is_given_back_when_its_client_is_quiet(gateway):
    g = gateway({**counted(message_rate=100), "heartbeat": "2s"})
    clients = hold(g, 800, GOOD)
    before = g.gauge("arena_used_bytes")
    for c in clients:
        c.say(type="pong")
    g.until_counter("messages_in", 800)
    for c in clients:
        # The heartbeat, whose answer is expected and costs nothing.
        assert c.recv(pings=True)[0] == PING
    # Of pages of 16 KiB three were needed; one may stay for the next.
    eventually(lambda: g.counter("arena_used_bytes") <= before + 16384, "what the meters took is given back")
    assert g.counter("clients") == 800
    drop(clients)


# ---- who is free of it

def test_this_host_is_exempt_unless_told_otherwise(gateway):
    few = {name: 1 for name in ("connections_per_address", "accept_rate", "accept_burst", "accept_rate_per_address",
                                "accept_burst_per_address", "max_unauthenticated", "request_rate_per_address",
                                "request_burst_per_address", "auth_failures", "message_rate", "message_burst", "subscribe_rate",
                                "subscribe_burst")}
    g = gateway({**{f"limits.{k}": v for k, v in few.items()}, "admin.token": "right"})
    held = hold(g, 20)
    for c in held:
        c.send_bytes(frame(TEXT, '{"type":"pong"}') * 20)
        c.subscribe("a", "b", "c")
    with Http(g.plain_http) as h:
        assert {h.get("/healthz").status for _ in range(20)} == {200}
        assert {h.get("/api/status", "Authorization: Bearer wrong").status for _ in range(20)} == {401}
    drop(held)


@pytest.mark.one_shard
def test_the_defaults_are_limits(gateway):
    """Whoever opens the gateway to the internet has them without asking."""
    g = gateway(COUNTED)
    with JsonClient.greeted(g.plain_http) as c:
        c.send_bytes(frame(TEXT, '{"type":"ping"}') * 3000)
        c.expect_close(4105)
    served(g)
