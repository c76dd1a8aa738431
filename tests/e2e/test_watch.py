# SPDX-License-Identifier: Apache-2.0
"""/ws?scope=read: a WebSocket with the rights of the HTTP API's scope read, and what lets it in."""
import time

import pytest

import rcapi
from deadline import eventually
from rcbackend import Backend, knows
from rchttp import Http
from rcws import JsonClient, WebSocket
from test_scopes import CASTER, KEY, READER, Services, bearer, jwt

TWO_SHARDS = True

WATCH = "/ws?scope=read"
SECRET = {"auth.hmac_secret": KEY}
ADMIN = "the-token-of-the-admin"


@pytest.fixture
def services(folder):
    return Services(folder)


@pytest.fixture
def guarded(gateway, services):
    """Nobody is let in for where he comes from; users have tokens, services have others, and so has the admin."""
    return gateway({**services.settings, **SECRET, "admin.open_on_loopback": "no", "admin.token": ADMIN,
                    "namespace.closed.allow_subscribe": "nobody", "namespace.history_size": "10"})


def bears(token):
    return "Authorization", "Bearer " + token


def publish(g, channel, event="e", token=ADMIN):
    with Http(g.http) as web:
        assert web.publish({"channel": channel, "event": event, "data": {}}, bearer(token)).status == 200


def hears_everything(g, ws, token=ADMIN):
    """Each kind of channel, and the past; nothing may be said."""
    publish(g, "orders:1", "before", token)
    ack = ws.subscribe("orders:1", "agent:**", "**", "$sys:quality", "$dead:**", since="beginning", id=1)
    assert ack["data"]["channels"] == ["orders:1", "agent:**", "**", "$sys:quality", "$dead:**"]
    assert {ws.next_event()["event"] for _ in range(2)} == {"before"}
    publish(g, "agent:7:x", "live", token)
    assert [ws.next_event()["channel"] for _ in range(2)] == ["agent:7:x"] * 2
    ws.say(type="history", channel="orders:1", id=2)
    assert [e["event"] for e in ws.await_type("history")["events"]] == ["before"]
    ws.say(type="publish", channel="orders:1", event="e", data=1, id=3)
    assert ws.await_type("error")["code"] == "forbidden"
    ws.say(type="subscribe", channels=["$all"], id=4)
    assert ws.await_type("error")["code"] == "forbidden"


def test_who_asks_from_the_open_loopback_is_let_in_at_once(gateway):
    g = gateway({**SECRET, "admin.open_on_loopback": "yes", "namespace.history_size": "10"})
    with JsonClient.greeted(g.http, WATCH) as ws:
        assert "user" not in ws.connected and "expires" not in ws.connected
        with Http(g.http) as web:
            assert web.publish({"channel": "c", "event": "e", "data": 1}).status == 200
        ack = ws.subscribe("c", "$sys:quality", since="beginning")
        assert ack["data"]["channels"] == ["c", "$sys:quality"]
        assert ws.next_event()["event"] == "e"
        ws.say(type="auth", token="anything", id=1)
        assert ws.await_type("error")["code"] == "bad_request"
    # Without the scope it is a client as all others, who has to say who it is.
    with WebSocket.open(g.http) as ws:
        ws.send(1, '{"type":"subscribe","channels":["c"]}')
        ws.expect_close(4001)


def test_a_page_of_another_origin_or_host_is_not(gateway):
    g = gateway({**SECRET, "admin.open_on_loopback": "yes"})
    for header in (("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site"), ("X-Forwarded-For", "192.0.2.1")):
        WebSocket.open(g.http, WATCH, headers=[header], expect=403).drop()
    own = "Origin", f"http://{g.http[0]}:{g.http[1]}"
    JsonClient.greeted(g.http, WATCH, headers=[own] if not g.pki else []).close()


def test_a_token_in_the_first_message_lets_it_in(guarded):
    for token in (ADMIN, READER, jwt(scope="openid ringcast:read", exp=int(time.time()) + 600)):
        with WebSocket.open(guarded.http, WATCH + "&channel=orders:9") as raw:
            raw.__class__ = JsonClient
            raw.events = []
            raw.say(type="auth", token=token, id=1)
            connected = raw.await_type("connected")
            assert ("expires" in connected) == (token.count(".") == 2), connected
            assert raw.await_type("subscription-ack")["data"]["channels"] == ["orders:9"]
            assert raw.subscribe("closed:1")["data"]["channels"] == ["closed:1"]
    with WebSocket.open(guarded.http, WATCH) as raw:
        raw.__class__ = JsonClient
        raw.events = []
        # What it says behind the token waits for nothing.
        raw.say(type="auth", token=READER)
        raw.await_type("connected")
        hears_everything(guarded, raw)


def test_so_does_a_bearer_with_the_upgrade(guarded):
    with JsonClient.greeted(guarded.http, WATCH, headers=[bears(READER)]) as ws:
        hears_everything(guarded, ws)
    WebSocket.open(guarded.http, WATCH, headers=[bears("a-wrong-token-of-nobody")], expect=401).drop()
    WebSocket.open(guarded.http, WATCH, headers=[bears(CASTER)], expect=403).drop()


def test_a_token_that_is_wrong_or_has_another_scope_ends_it(guarded):
    user = jwt(sub="ann", channels=["**"], exp=int(time.time()) + 600)
    for token, code in (("a-wrong-token-of-nobody", "unauthorized"), ("", "unauthorized"), (user, "unauthorized"), (CASTER, "forbidden"),
                        (jwt(scope="ringcast:publish", exp=int(time.time()) + 600), "forbidden"),
                        (jwt(scope="ringcast:read", exp=int(time.time()) - 600), "unauthorized")):
        with WebSocket.open(guarded.http, WATCH) as ws:
            ws.__class__ = JsonClient
            ws.events = []
            ws.say(type="auth", token=token, id="x")
            error = ws.await_type("error")
            assert (error["code"], error["id"]) == (code, "x"), (token, error)
            assert KEY not in str(error) and ADMIN not in str(error)
            ws.expect_close(4001)


def test_another_first_message_and_silence_end_it(gateway, services):
    g = gateway({**services.settings, **SECRET, "admin.open_on_loopback": "no", "auth.auth_timeout": "1s"})
    with WebSocket.open(g.http, WATCH) as ws:
        ws.send(1, '{"type":"subscribe","channels":["c"]}')
        ws.expect_close(4001)
    with WebSocket.open(g.http, WATCH) as ws:
        ws.expect_close(4001)


def test_tokens_of_users_elsewhere_in_the_request_let_nobody_in(guarded):
    user = jwt(sub="ann", channels=["**"], exp=int(time.time()) + 600)
    for path, headers in ((f"{WATCH}&token={user}", []), (f"{WATCH}&token={ADMIN}", []),
                          (WATCH, [("Sec-WebSocket-Protocol", f"ringcast.v1.json, bearer.{user}")])):
        with WebSocket.open(guarded.http, path, headers=headers) as ws:
            ws.send(1, '{"type":"ping"}')
            ws.expect_close(4001)


def test_another_scope_is_a_mistake(gateway):
    g = gateway()
    for query in ("scope=", "scope=admin", "scope=read&scope=read", "scope=read&scope=publish"):
        WebSocket.open(g.http, "/ws?" + query, expect=400).drop()


def test_it_belongs_to_the_port_of_the_api(gateway, services):
    g = gateway({**services.settings, "admin.listen": "127.0.0.1:0", "admin.open_on_loopback": "no"})
    WebSocket.open(g.http, WATCH, expect=404).drop()
    WebSocket.open(g.http, WATCH, headers=[bears(READER)], expect=404).drop()
    with WebSocket.open(g._address("admin"), WATCH) as ws:
        ws.send(1, f'{{"type":"auth","token":"{READER}"}}')
        assert b'"connected"' in ws.recv()[1]


def test_without_any_credential_it_is_said_what_is_missing(gateway):
    g = gateway({"admin.open_on_loopback": "no"})
    ws = WebSocket.open(g.http, WATCH, expect=403)
    assert b"token_file" in ws.response.body
    ws.drop()


def test_a_signed_token_ends_it_in_time_unless_it_is_renewed(guarded):
    def token(seconds):
        return jwt(scope="ringcast:read", exp=int(time.time()) + seconds)
    with JsonClient.greeted(guarded.http, WATCH, headers=[bears(token(600))]) as ws:
        before = ws.connected["expires"]
        ws.say(type="refresh", token=token(1200), id=1)
        assert ws.await_type("refreshed")["expires"] > before
        ws.say(type="refresh", token=jwt(sub="ann", exp=int(time.time()) + 600), id=2)
        assert ws.await_type("error")["code"] == "unauthorized"
        ws.barrier()


def test_who_was_let_in_by_a_service_that_changes_comes_back(guarded, services):
    with JsonClient.greeted(guarded.http, WATCH, headers=[bears(READER)]) as ws, JsonClient.greeted(
            guarded.http, "/ws", headers=[bears(jwt(sub="ann", exp=int(time.time()) + 600))]) as other:
        services.put(f"caster token:{CASTER} publish broadcast")
        ws.expect_close(4202)
        other.barrier()
    WebSocket.open(guarded.http, WATCH, headers=[bears(READER)], expect=401).drop()


def test_too_many_wrong_tokens_of_an_address_are_not_looked_at(gateway, services):
    g = gateway({**services.settings, **SECRET, "admin.open_on_loopback": "no", "limits.exempt_loopback": "no",
                 "limits.auth_failures": "3"})
    codes = []
    for _ in range(5):
        with WebSocket.open(g.http, WATCH) as ws:
            ws.send(1, '{"type":"auth","token":"a-wrong-token-of-nobody"}')
            codes.append(ws.expect_close(4001, 4105)[0])
    assert codes[0] == 4001 and codes[-1] == 4105, codes


def test_it_sends_no_commands_and_acknowledges_nothing(gateway):
    """Whatever the rules say of others."""
    g = gateway({**SECRET, "admin.open_on_loopback": "yes", "auth.allow_command": "anyone", "namespace.allow_subscribe": "nobody",
                 "namespace.history_size": "10"})
    b = Backend.registered(g.ingest, "*")
    try:
        with JsonClient.greeted(g.http, WATCH) as ws:
            ws.say(type="command", id=1, action={"delete": "all"})
            assert ws.await_type("error")["code"] == "forbidden"
            ws.say(type="chat:send", id=2, payload=[1])
            assert ws.await_type("error")["code"] == "forbidden"
            ws.say(type="subscribe", id=3, channels=["orders"], ack={"timeout": 200, "retries": 0})
            assert ws.await_type("error")["code"] == "forbidden"
            b.barrier()
        assert g.counter("commands") == 0 and g.counter("consumers") == 0
    finally:
        b.drop()


def test_nobody_is_told_of_it(gateway, connect):
    """It is in no list of who is present, and no backend hears of it; of a client they would."""
    g = gateway({"namespace.presence": "yes"})
    b = Backend.registered(g.ingest, "$connect", "$disconnect", "$subscribe", "$unsubscribe")
    try:
        eventually(lambda: knows(g, b, connect), "every shard knows that a backend wants to hear of clients")
        for _ in range(6):
            with JsonClient.greeted(g.http, WATCH) as ws:
                ws.subscribe("room", "room:**")
                assert rcapi.get_json(g, "/api/channels/room/presence")["clients"] == 0
                ws.unsubscribe("room")
        eventually(lambda: g.counter("clients") == 0, "they are gone")
        client = connect(g)
        client.subscribe("room")
        assert rcapi.get_json(g, "/api/channels/room/presence")["clients"] == 1
        assert [(m.type, m.session) for m in (b.command(), b.command())] == [
            ("$connect", client.connected["session"]), ("$subscribe", client.connected["session"])]
    finally:
        b.drop()


def test_a_few_get_in_although_the_gateway_is_full(gateway):
    g = gateway({"max_clients": "20", "admin.open_on_loopback": "yes"})
    clients = [JsonClient.greeted(g.http) for _ in range(20)]
    g.until_counter("clients", 20)
    WebSocket.open(g.http, expect=503).drop()
    lookers = []
    for n in range(4):
        lookers.append(JsonClient.greeted(g.http, WATCH))
        g.until_counter("clients", 21 + n)
    WebSocket.open(g.http, WATCH, expect=503).drop()
    lookers[0].subscribe("$sys:metrics")
    assert lookers[0].next_event()["data"]["counters"]["upgrades_refused_capacity"] == 2
    # They are counted as all are: there is room for clients again when fewer than max_clients are there, lookers included.
    for client in clients[:4]:
        client.close()
    g.until_counter("clients", 20)
    WebSocket.open(g.http, expect=503).drop()
    lookers[1].close()
    g.until_counter("clients", 19)
    with JsonClient.greeted(g.http):
        pass
    for one in [*clients[4:], lookers[0], *lookers[2:]]:
        one.drop()
