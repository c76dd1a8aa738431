# SPDX-License-Identifier: Apache-2.0
"""Who a client is and what it may: tokens in every place where one may stand, the first message, renewal, expiry, the rules of namespaces,
publishing by clients."""
import json
import time

import pytest

import rcapi
import rcjwt
from deadline import SLOW, eventually
from rchttp import Http
from rcsse import Refused, SseClient
from rcws import PING, PONG, TEXT, JsonClient, WebSocket, frame

SETTINGS = rcjwt.settings(**{
    "auth.cookie": "login",
    "namespace.history_size": "10",
    "namespace.public.allow_subscribe": "anyone",
    "namespace.club.allow_subscribe": "user",
    "namespace.club.allow_publish": "user",
    "namespace.club.allow_history": "token",
    "namespace.user.allow_subscribe": "own",
    "namespace.closed.allow_subscribe": "nobody",
})


def bearer(token):
    return ("Authorization", f"Bearer {token}")


def refused(g, path, *headers, code=4001):
    """The error that a client is told before it is closed."""
    with JsonClient.open(g.http, path, headers=headers) as ws:
        error = ws.recv_json()
        assert error["type"] == "error", error
        ws.expect_close(code)
        return error


# ---- where a token stands

@pytest.mark.parametrize("place", ["header", "query", "escaped", "subprotocol", "cookie", "twice the same"])
def test_a_token_is_taken_wherever_it_stands(shared_gateway, place):
    token = rcjwt.make(sub="ann", channels=["news"])
    path, headers = "/ws", []
    if place in ("header", "twice the same"):
        headers.append(bearer(token))
    if place in ("query", "twice the same"):
        path += "?token=" + token
    if place == "escaped":
        path += "?token=" + token.replace(".", "%2E")
    if place == "subprotocol":
        headers.append(("Sec-WebSocket-Protocol", f"ringcast.v1.json, bearer.{token}"))
    if place == "cookie":
        headers.append(("Cookie", f'theme=dark; login={token}; x="y"'))
    with JsonClient.greeted(shared_gateway.http, path, headers=headers) as ws:
        assert ws.connected["user"] == "ann"
        assert abs(ws.connected["expires"] / 1000 - time.time() - 3600) < 60
        assert ws.subscribe("news")["data"]["channels"] == ["news"]


def test_only_our_subprotocol_is_chosen(shared_gateway):
    token = rcjwt.make(sub="ann")
    with WebSocket.open(shared_gateway.http, headers=[("Sec-WebSocket-Protocol", f"bearer.{token}, ringcast.v1.json")]) as ws:
        assert ws.response.headers["sec-websocket-protocol"] == "ringcast.v1.json"


def test_who_says_who_he_is_means_that_and_not_his_cookie(shared_gateway):
    headers = [bearer(rcjwt.make(sub="ann")), ("Cookie", "login=" + rcjwt.make(sub="bob"))]
    with JsonClient.greeted(shared_gateway.http, headers=headers) as ws:
        assert ws.connected["user"] == "ann"


def test_two_tokens_that_differ_are_none(shared_gateway):
    headers = [bearer(rcjwt.make(sub="ann"))]
    assert refused(shared_gateway, "/ws?token=" + rcjwt.make(sub="bob"), *headers)["code"] == "unauthorized"
    with pytest.raises(Refused) as answer:
        SseClient.open(shared_gateway.http, "/events?channel=public:a&token=" + rcjwt.make(sub="bob"), headers=headers)
    assert answer.value.response.status == 401


def test_a_bearer_of_nothing_is_refused(shared_gateway):
    assert refused(shared_gateway, "/ws", ("Authorization", "Bearer"))["code"] == "unauthorized"
    assert refused(shared_gateway, "/ws", ("Authorization", "Bearer "))["code"] == "unauthorized"


def test_another_scheme_of_authorization_is_for_somebody_else(shared_gateway):
    with JsonClient.greeted(shared_gateway.http, headers=[("Authorization", "Basic YTpi")]) as ws:
        assert "user" not in ws.connected


def test_the_query_is_not_looked_at_where_it_is_forbidden(gateway, connect):
    g = gateway(dict(SETTINGS, **{"auth.token_in_query": "no"}))
    assert "user" not in connect(g, "/ws?token=" + rcjwt.make(sub="ann")).connected


BAD = {
    "expired": (dict(exp=int(time.time()) - 3600), {}),
    "not yet": (dict(nbf=int(time.time()) + 3600), {}),
    "another secret": (dict(), {"secret": "x" * 64}),
    "no expiry": (dict(), {"lifetime": None}),
    "a user that is no text": (dict(sub=7), {}),
    "channels that are no names": (dict(channels=["a b"]), {}),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_token_is_refused_with_4001_or_401(shared_gateway, what):
    claims, options = BAD[what]
    token = rcjwt.make({"sub": "ann", **claims}, **options)
    assert refused(shared_gateway, "/ws?token=" + token)["code"] == "unauthorized"
    with pytest.raises(Refused) as answer:
        SseClient.open(shared_gateway.http, "/events?channel=public:a", headers=[bearer(token)])
    assert answer.value.response.status == 401
    assert answer.value.response.headers["www-authenticate"].startswith("Bearer")
    assert json.loads(answer.value.response.body)["error"]["code"] == "unauthorized"
    # An anonymous client is served as before.
    with JsonClient.greeted(shared_gateway.http, "/ws?channel=public:a") as ws:
        ws.await_type("subscription-ack")


def test_alg_none_is_refused(shared_gateway):
    for alg in ("none", "None", "NONE", ""):
        text = ".".join(rcjwt.encode(json.dumps(p).encode()) for p in ({"alg": alg}, {"sub": "ann", "exp": 9999999999}))
        for signature in ("", rcjwt.sign(text)):
            assert refused(shared_gateway, f"/ws?token={text}.{signature}")["code"] == "unauthorized"


# ---- the first message

def test_the_first_message_may_bring_the_token(gateway):
    g = gateway(dict(SETTINGS, **{"auth.anonymous": "no"}))
    with JsonClient.open(g.http, "/ws?channel=news&channel=club:a") as ws:
        ws.events = []
        ws.say(type="auth", token=rcjwt.make(sub="ann", channels=["news"]))
        # What is said behind it waits, and is answered behind what the query asked for.
        ws.say(type="subscribe", channels=["user:ann"], id=1)
        connected = ws.recv_json()
        assert (connected["type"], connected["user"]) == ("connected", "ann")
        assert ws.await_type("subscription-ack")["data"]["channels"] == ["news", "club:a"]
        assert ws.await_type("subscription-ack")["id"] == 1


def test_any_other_first_message_ends_it(gateway):
    g = gateway(dict(SETTINGS, **{"auth.anonymous": "no"}))
    for message in ({"type": "subscribe", "channels": ["news"]}, {"type": "ping"}, "nonsense", {"type": "auth"},
                    {"type": "auth", "token": "x"}, {"type": "auth", "token": 7}):
        with JsonClient.open(g.http) as ws:
            ws.send(TEXT, json.dumps(message))
            assert ws.recv_json()["code"] == "unauthorized"
            ws.expect_close(4001)


def test_a_token_must_come_in_time(gateway):
    g = gateway(dict(SETTINGS, **{"auth.anonymous": "no", "auth.auth_timeout": "300ms"}))
    with JsonClient.open(g.http) as ws:
        ws.expect_close(4001)
    assert g.counter("close_token") == 1


def test_an_event_stream_without_a_token_is_refused(gateway):
    g = gateway(dict(SETTINGS, **{"auth.anonymous": "no"}))
    with pytest.raises(Refused) as answer:
        SseClient.open(g.http, "/events?channel=public:a")
    assert answer.value.response.status == 401


def test_an_anonymous_client_may_become_somebody(shared_gateway, connect):
    ws = connect(shared_gateway, "/ws?channel=public:a")
    ws.await_type("subscription-ack")
    ws.say(type="auth", token="x.y.z", id=1)
    error = ws.await_type("error")
    assert (error["code"], error["id"]) == ("unauthorized", 1)
    ws.say(type="auth", token=rcjwt.make(sub="ann", subscribe_on_connect=["home:ann"]))
    again = ws.await_type("connected")
    assert (again["user"], again["session"]) == ("ann", ws.connected["session"])
    assert ws.await_type("subscription-ack")["data"]["channels"] == ["home:ann"]
    assert ws.subscribe("user:ann")
    ws.say(type="auth", token=rcjwt.make(sub="bob"), id=2)
    assert ws.await_type("error")["code"] == "bad_request"


@pytest.mark.tsan
def test_what_was_said_before_auth_is_answered_though_the_users_home_is_asked_meanwhile(shared_gateway, connect):
    """An unsubscribe waits for the subscribe before it, whose channel another shard may own; auth waits for neither."""
    for n in range(24):
        ws = connect(shared_gateway)
        said = [dict(type="subscribe", channel=f"public:{n}", id="s"), dict(type="unsubscribe", channel=f"public:{n}", id="u"),
                dict(type="auth", token=rcjwt.make(sub=f"u{n}")), dict(type="unsubscribe", channel="public:none", id="end")]
        ws.send_bytes(b"".join(frame(TEXT, json.dumps(m)) for m in said))
        seen = []
        while "end" not in seen:
            m = ws.await_type("connected", "subscription-ack", "unsubscription-ack")
            seen.append(m.get("user") or m["id"])
        assert sorted(seen) == sorted(["s", "u", f"u{n}", "end"]) and seen.index("s") < seen.index("u") < seen.index("end"), seen


def test_without_keys_there_is_nothing_to_verify(gateway, connect):
    ws = connect(gateway({}), "/ws?token=whatever&channel=a")
    assert "user" not in ws.connected
    ws.await_type("subscription-ack")
    ws.say(type="auth", token="x", id=1)
    assert ws.await_type("error")["code"] == "unsupported"
    ws.say(type="refresh", token="x", id=2)
    assert ws.await_type("error")["code"] == "bad_request"


# ---- time

def test_a_token_that_runs_out_ends_its_connections(gateway, sse):
    g = gateway(dict(SETTINGS, **{"auth.leeway": "0s"}))
    token = rcjwt.make(sub="ann", channels=["news"], lifetime=2)
    with JsonClient.greeted(g.http, "/ws?channel=news&token=" + token) as ws, \
            SseClient.greeted(g.http, "/events?channel=news", headers=[bearer(token)]) as stream:
        ws.await_type("subscription-ack")
        ws.expect_close(4001)
        assert time.time() >= ws.connected["expires"] / 1000 - 0.05
        stream.rest()
    with pytest.raises(Refused) as answer:
        stream.again(headers=[bearer(token)])
    assert answer.value.response.status == 401
    eventually(lambda: g.counter("close_token") == 2, "both are counted")


def test_a_token_that_came_late_runs_out_in_time(gateway, connect):
    g = gateway(dict(SETTINGS, **{"auth.leeway": "0s", "heartbeat": "60s"}))
    ws = connect(g)
    ws.say(type="auth", token=rcjwt.make(sub="ann", lifetime=2))
    expires = ws.await_type("connected")["expires"]
    ws.expect_close(4001)
    assert expires / 1000 - 0.05 <= time.time() < expires / 1000 + 10 * SLOW


def test_refresh_lets_it_stay(gateway, connect):
    g = gateway(dict(SETTINGS, **{"auth.leeway": "0s", "heartbeat": "10s"}))
    ws = connect(g, "/ws?token=" + rcjwt.make(sub="ann", channels=["news", "old"], lifetime=2))
    ws.subscribe("news", "old")
    before = ws.connected["expires"]
    ws.say(type="refresh", token=rcjwt.make(sub="ann", channels=["news"], lifetime=600), id="r")
    refreshed = ws.await_type("refreshed")
    assert refreshed["id"] == "r" and refreshed["expires"] > before + 500_000
    # What the new one does not allow has ended.
    gone = ws.await_type("unsubscription-ack")
    assert "id" not in gone and gone["data"]["channels"] == ["old"]
    for token, code in ((rcjwt.make(sub="bob"), "forbidden"), ("x", "unauthorized"), (rcjwt.make(sub="ann", lifetime=-9), "unauthorized")):
        ws.say(type="refresh", token=token, id=1)
        assert ws.await_type("error")["code"] == code
    eventually(lambda: time.time() * 1000 > before + 500, "the first token has run out")
    ws.barrier()


# ---- rules

def test_claims_and_rules_say_what_may_be_subscribed(shared_gateway, connect):
    ws = connect(shared_gateway, "/ws?token=" + rcjwt.make(sub="ann", channels=["news", "chat:*"]))
    for name in ("news", "chat:1", "chat:*", "public:x", "club:x", "user:ann", "user:ann:inbox", "user:ann:**"):
        assert ws.subscribe(name)["data"]["channels"] == [name]
    for name in ("other", "chat:1:2", "chat:**", "**", "*:x", "user:bob", "user:*", "closed:x", "$sys:quality", "$all"):
        ws.say(type="subscribe", channels=["public:x", name], id=name)
        error = ws.await_type("error")
        assert (error["code"], error["id"], error["temporary"]) == ("forbidden", name, False)
    assert error["message"] == "token does not allow channel '$all'"


def test_who_is_anonymous_gets_what_is_for_anyone(shared_gateway, connect, sse):
    ws = connect(shared_gateway)
    assert ws.subscribe("public:a")
    for name in ("news", "club:a", "user:", "user:ann", "**", "$sys:quality"):
        ws.say(type="subscribe", channels=[name])
        assert ws.await_type("error")["code"] == "forbidden"
    assert sse(shared_gateway, "/events?channel=public:a")
    with pytest.raises(Refused) as answer:
        SseClient.open(shared_gateway.http, "/events?channel=public:a&channel=news")
    assert answer.value.response.status == 403


def test_an_error_is_the_same_whether_a_channel_exists_or_not(shared_gateway, connect, publisher):
    publisher(shared_gateway).publish("secret:there", "1")
    ws = connect(shared_gateway, "/ws?token=" + rcjwt.make(sub="ann"))
    told = []
    for name in ("secret:there", "secret:where"):
        for message in ({"type": "subscribe", "channels": [name]}, {"type": "history", "channel": name},
                        {"type": "subscribe", "channels": [name], "since": "beginning"},
                        {"type": "publish", "channel": name, "event": "e", "data": 1}):
            ws.say(message)
            error = ws.await_type("error")
            assert error["code"] == "forbidden"
            told.append((error["message"].replace(name, "*")))
    assert told[:4] == told[4:]


def test_what_was_is_a_right_of_its_own(shared_gateway, connect, publisher):
    publisher(shared_gateway).publish("club:past", "1")
    ws = connect(shared_gateway, "/ws?token=" + rcjwt.make(sub="ann"))
    assert ws.subscribe("club:other")
    for message in ({"type": "subscribe", "channels": ["club:past"], "since": "beginning"},
                    {"type": "subscribe", "channels": ["club:past"], "since": {"club:past": "beginning"}},
                    {"type": "history", "channel": "club:past"}):
        ws.say(message)
        assert ws.await_type("error")["code"] == "forbidden"
    with pytest.raises(Refused) as answer:
        SseClient.open(shared_gateway.http, "/events?channel=club:past&since=beginning", headers=[bearer(rcjwt.make(sub="ann"))])
    assert answer.value.response.status == 403
    # An EventSource sends the last id by itself: it goes on, and is told that something may be missing.
    stream = SseClient.open(shared_gateway.http, "/events?channel=club:past", headers=[bearer(rcjwt.make(sub="ann"))], last="aaaaaaaaaa~0")
    with stream:
        assert stream.next_block().retry and stream.next_message().json()["reason"] == "forbidden"
        publisher(shared_gateway).publish("club:past", "2")
        assert stream.next_event()["data"] == 2
    ws = connect(shared_gateway, "/ws?since=beginning&channel=club:past&token=" + rcjwt.make(sub="bob", channels=["club:past"]))
    assert ws.await_type("subscription-ack")["data"]["recovered"] == {"club:past": True}
    assert ws.next_event()["data"] == 1


def test_a_token_subscribes_by_itself(shared_gateway, connect, sse, publisher):
    token = rcjwt.make(sub="ann", subscribe_on_connect=["home:ann", "closed:no"])
    ws = connect(shared_gateway, "/ws?token=" + token)
    assert ws.await_type("subscription-ack")["data"]["channels"] == ["home:ann"]
    stream = sse(shared_gateway, "/events", headers=[bearer(token)])
    publisher(shared_gateway).publish("home:ann", '"hello"')
    assert ws.next_event()["data"] == "hello"
    assert stream.next_event()["data"] == "hello"


def test_a_stream_that_is_refused_takes_nobodys_place(gateway, connect):
    g = gateway(dict(SETTINGS, **{"limits.max_connections_per_user": "1", "limits.over_connections": "replace"}))
    token = rcjwt.make(sub="ann")
    ws = connect(g, "/ws?token=" + token)
    for path, expected in (("/events?channel=closed:1", 403), ("/events?channel=a%20b", 400), ("/events", 400)):
        with pytest.raises(Refused) as answer:
            SseClient.open(g.http, path, headers=[bearer(token)])
        assert answer.value.response.status == expected
    with Http(g.http) as h:
        h.send("HEAD", "/events?channel=club:1", "Authorization: Bearer " + token)
        assert h.answer(head_only=True).status == 200
    ws.barrier()
    with SseClient.greeted(g.http, "/events?channel=club:1", headers=[bearer(token)]):
        ws.expect_close(4003)


# ---- publishing

def test_a_client_publishes_where_it_may(shared_gateway, connect):
    ws = connect(shared_gateway, "/ws?token=" + rcjwt.make(sub="ann", channels=["chat:*"], publish=["chat:1"]))
    ws.subscribe("chat:1")
    ws.say(type="publish", channel="chat:1", event="said", data={"text": "hi"}, id="p1", timestamp="2001-01-01T00:00:00Z")
    ack = ws.await_type("ack")
    event = ws.next_event()
    assert (ack["id"], ack["channel"]) == ("p1", "chat:1")
    assert (event["event"], event["data"]) == ("said", {"text": "hi"})
    assert ack["position"].endswith(f"@{event['offset']}")
    # The gateway's clock, and not what the client says.
    assert not event["timestamp"].startswith("2001")
    for fields, code in (({"channel": "chat:2"}, "forbidden"), ({"channel": "$all"}, "bad_channel"), ({"channel": "chat:*"}, "bad_channel"),
                         ({}, "bad_channel"), ({"channel": "chat:1", "event": ""}, "bad_event")):
        ws.say({"type": "publish", "data": 1, "id": 9, **fields})
        error = ws.await_type("error")
        assert (error["code"], error["id"]) == (code, 9)
    ws.say(type="publish", channel="chat:1")
    assert ws.await_type("error")["code"] == "bad_request"


def test_an_id_makes_a_users_event_once(shared_gateway, connect):
    token = rcjwt.make(sub="once", channels=["club:*"])
    first, second = (connect(shared_gateway, "/ws?token=" + token) for _ in range(2))
    other = connect(shared_gateway, "/ws?token=" + rcjwt.make(sub="another"))
    reader = connect(shared_gateway, "/ws?channel=club:once&token=" + token)
    reader.await_type("subscription-ack")
    message = {"type": "publish", "channel": "club:once", "event": "e", "data": 1, "id": "same"}
    positions = []
    for ws in (first, second, first):
        ws.say(message)
        positions.append(ws.await_type("ack")["position"])
    assert len(set(positions)) == 1
    other.say(message)
    assert other.await_type("ack")["position"] not in positions
    first.say({**message, "data": 2})
    assert first.await_type("error")["code"] == "key_reused"
    assert [reader.next_event()["offset"] for _ in range(2)] == [1, 2]
    first.say({**message, "id": "last"})
    assert reader.next_event()["offset"] == 3


def test_who_is_anonymous_publishes_where_anyone_may(gateway, connect):
    g = gateway({"namespace.open.allow_publish": "anyone"})
    ws = connect(g, "/ws?channel=open:1")
    ws.await_type("subscription-ack")
    for _ in range(2):
        ws.say(type="publish", channel="open:1", event="e", data=1, id="same")
        ws.await_type("ack")
    assert [ws.next_event()["offset"] for _ in range(2)] == [1, 2]
    ws.say(type="publish", channel="shut", event="e", data=1)
    assert ws.await_type("error")["code"] == "forbidden"


# ---- quality

def test_round_trips_are_measured_and_shown(gateway, connect):
    g = gateway(dict(SETTINGS, heartbeat="200ms", **{"admin.token": "x" * 20}))
    ws = connect(g, "/ws?channel=public:a&token=" + rcjwt.make(sub="ann"))
    ws.await_type("subscription-ack")
    def details():
        answer = rcapi.get(g, "/api/status", {"Authorization": "Bearer " + "x" * 20})
        return answer.json()["clientDetails"][ws.connected["session"]]

    # The client answers pings while it reads.
    for _ in range(2):
        assert ws.recv(pings=True)[0] == PING
    ws.barrier()
    seen = details()
    assert seen["user"] == "ann" and seen["quality"] in ("good", "fair") and seen["rtt"] > 0
    assert seen["messagesIn"] == 1 and seen["eventsOut"] == 0 and seen["bytesIn"] > 100 and seen["bytesOut"] > 100


def test_what_is_bad_is_told_to_who_may_know(gateway, connect):
    g = gateway(dict(SETTINGS, heartbeat="300ms", rtt_fair="1ms", rtt_poor="2ms"))
    watcher = connect(g, "/ws?token=" + rcjwt.make(sub="ops", channels=["$sys:*"]))
    watcher.subscribe("$sys:quality")
    slow = connect(g, "/ws?token=" + rcjwt.make(sub="far"))
    opcode, payload = slow.recv(pings=True)
    begin = time.monotonic()
    assert len(payload) == 8
    eventually(lambda: time.monotonic() > begin + 0.05, "some time has passed")
    # One made up is no answer.
    slow.send(PONG, b"\0" * 8)
    slow.send(PONG, b"")
    slow.send(PONG, payload)
    while True:
        event = watcher.next_event()
        if event["data"].get("user") == "far":
            break
    assert event["channel"] == "$sys:quality" and event["event"] == "slow_rtt"
    assert event["data"]["session"] == slow.connected["session"] and event["data"]["rtt"] >= 2
    assert g.counter("heartbeats_poor") >= 1
