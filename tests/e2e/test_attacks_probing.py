# SPDX-License-Identifier: Apache-2.0
"""Attacks by who is let in: names that are somebody else's, in every writing; what the gateway keeps for itself; forged events; and asking
around, which must tell nothing about what one may not know."""
import itertools
import statistics
import time
from urllib.parse import quote

import pytest

import rcsiege
from rchttp import Http
from rcsiege import ADMIN, ADMIN_LINE, token
from rcsse import Refused, SseClient
from rcws import TEXT, JsonClient

pytestmark = pytest.mark.attack
# Dozens of short attacks: that all memory came back is looked at behind the last of them, the rest behind each.
BACK_AT_THE_END = True


def place(keys):
    return keys.settings(**rcsiege.known({
        "admin.token": ADMIN, "namespace.channel_ttl": "0", "namespace.allow_subscribe": "own",
        "namespace.public.allow_subscribe": "anyone", "namespace.user.allow_subscribe": "own", "namespace.user.allow_publish": "own",
        "namespace.secret.history_size": "10", "namespace.secret.history_ttl": "1s", "namespace.secret.channel_ttl": "0",
        "namespace.club.channel_ttl": "0", "namespace.user.channel_ttl": "0", "namespace.public.channel_ttl": "0", "namespace.club.allow_subscribe": "user", "namespace.club.allow_publish": "user",
        "namespace.good.allow_subscribe": "token", "limits.message_rate": "0", "limits.byte_rate": "0",
        "limits.subscribe_rate": "0", "limits.publish_rate": "0", "limits.command_rate": "0",
    })), False


def somebody(siege, connect, **claims):
    return connect(siege.g, "/ws?token=" + token(**{"sub": "ann", **claims}))


number = itertools.count()


def code(ws, **message):
    ident = f"q{next(number)}"
    ws.say(id=ident, **message)
    answer = ws.await_type("error", "subscription-ack", "history", "ack", "presence")
    assert answer["type"] != "error" or answer["id"] == ident, answer
    return answer.get("code", answer["type"])


# Others' names and the gateway's, which are proper names or patterns.
OTHERS = ["$all", "$sys:quality", "$sys:x", "$sys:*", "$sys:**", "$sys", "$", "$:a", "$ALL", "$users:bob", "user:bob", "user:bob:inbox", "user:*", "user:**",
          "user:*:inbox", "*:bob", "*:ann", "*:ann:*", "*:*", "**", "*", "*:**", "user::ann", "user::bob", "user:", "user", "User:ann", "USER:ann", "uSer:bob",
          "user:ANN", "user:ann2", "user:an", "user:ann.", "user.ann", "user/ann", "user:../bob", "user:bob:ann", "user:=ann", "user:ann@x", ":user:ann", ":ann", "::",
          "secret:a", "secret:*", "a", "bob", "bob:ann", "x:ann", "good:tick", "good:*"]
# What is no name at all.
NONE = ["%2A", "user%3Abob", "user:%62ob", "user:bob\0", "user:ann\0", "user:ann\0:bob", "user:\u0430nn", "\uff55ser:bob", "user:ann ", " user:ann", "user:ann\n",
        "a" * 256, "user:ann:" + "x" * 250, "user:ann*", "user:a*", "**:x", "user:**:x", "user:ann:***", "\u202euser:bob", "user:ann\u200b", "user\uff1abob",
        "user:\ud800", "", "user:ann:*:", "user::*", "*:", "user:ann,user:bob", "user:ann;bob", "user:{sub}", "user:bob#", "user:bob?", "user\\:bob"]


def test_names_of_others(siege, connect):
    ws = somebody(siege, connect, channels=["chat:*"], publish=["chat:*"])
    # What is one's own, so that the rest is refused for what it is.
    for name in ("user:ann", "user:ann:inbox", "user:ann:*", "user:ann:**", "ann", "ann:x", "chat:1", "public:x", "public:*"):
        assert code(ws, type="subscribe", channels=[name]) == "subscription-ack", name
    for name in OTHERS:
        for message in ({"type": "subscribe", "channels": [name]}, {"type": "subscribe", "channels": ["user:ann", name]}, {"type": "subscribe", "channel": name},
                        {"type": "subscribe", "channels": [name], "since": "beginning"}, {"type": "subscribe", "channels": [name], "since": {name: "beginning"}}):
            assert code(ws, **message) == "forbidden", message
        assert code(ws, type="history", channel=name) in ("forbidden", "bad_channel", "bad_request"), name
        assert code(ws, type="publish", channel=name, event="e", data=1) in ("forbidden", "bad_channel"), name
        assert code(ws, type="presence", channel=name) in ("forbidden", "unsupported", "bad_request", "bad_channel"), name
    for name in NONE:
        for message in ({"type": "subscribe", "channels": [name]}, {"type": "history", "channel": name},
                        {"type": "publish", "channel": name, "event": "e", "data": 1}):
            assert code(ws, **message) in ("bad_channel", "bad_request", "bad_json"), (name, message)
    siege.moved(subscribe_refused_forbidden=siege.SOME, messages_bad=siege.SOME)


def test_names_of_others_in_an_address(siege):
    mine = token(sub="ann", channels=["chat:*"])
    with Http(siege.g.http) as c:
        for name in OTHERS + NONE:
            try:
                written = quote(name.encode("utf-8", "surrogatepass"), safe="")
            except UnicodeError:
                continue
            for one in {written, written.replace("%3A", ":").replace("%2A", "*").replace("%24", "$")}:
                if not all(33 <= ord(ch) <= 126 for ch in one) or "#" in one:
                    continue
                for more in ("", "&since=beginning"):
                    r = c.get(f"/events?channel={one}{more}", f"Authorization: Bearer {mine}")
                    assert r.status in (400, 403), (name, one, r.status)
                    if r.headers.get("connection") == "close":
                        c.drop()
                        c.__init__(siege.g.http)
    for name in ("user%3Abob", "user:%2A", "%2A%2A", "%24all", "$sys:quality", "user:bob%00", "user:%62ob", "public:x&channel=user:bob", "user:ann&rooms=bob",
                 "user:ann&category=bob", "user%253Abob"):
        with JsonClient.greeted(siege.g.http, f"/ws?channel={name}&token={mine}") as ws:
            # One of them is refused, so nothing of it is done.
            assert ws.await_type("error", "subscription-ack")["type"] == "error", name
            ws.barrier()
            status = siege.status()["clientDetails"][ws.connected["session"]]
            assert status["subscriptions"] == [], (name, status)
            ws.close()
    siege.moved(subscribe_refused_forbidden=siege.SOME)


def test_user_ids_that_are_patterns_or_levels(siege, connect):
    for user, wanted in (("*", ["user:*", "user:bob", "user:**", "*", "user:*:x"]), ("**", ["user:**", "**", "user:bob"]), ("a:b", ["user:a:b", "user:a", "a:b", "a"]),
                         ("bob:", ["user:bob", "user:bob:"]), (":bob", ["user::bob", "user:bob"]), ("$sys", ["$sys:quality", "$sys", "$sys:*", "user:bob"]),
                         ("$all", ["$all"]), ("$", ["$", "$:a"]), ("public", ["user:bob"]), ("user", ["user:bob", "user:**"]), ("b*", ["user:bob", "user:*"]),
                         ("BOB", ["user:bob"]), ("bob ", ["user:bob"]), ("b\u043eb", ["user:bob"]), ("bob\u200b", ["user:bob"]), ("%62ob", ["user:bob"]),
                         ("secret", ["secret:a", "secret:**"])):
        ws = somebody(siege, connect, sub=user)
        assert ws.connected["user"] == user
        for name in wanted:
            for message in ({"type": "subscribe", "channels": [name]}, {"type": "history", "channel": name}):
                assert code(ws, **message) in ("forbidden", "bad_channel", "bad_request"), (user, name)
        ws.close()
    siege.moved(subscribe_refused_forbidden=siege.SOME)


def test_claims_for_everything_leave_out_what_is_the_gateways(siege, connect):
    everything = ["**", "*", "*:*", "*:**"]
    ws = somebody(siege, connect, channels=everything, publish=everything, subscribe_on_connect=["user:ann"])
    ws.await_type("subscription-ack")
    for name in ("$all", "$sys:quality", "$sys:*", "$sys:**", "$sys", "$x", "$"):
        assert code(ws, type="subscribe", channels=[name]) == "forbidden", name
        assert code(ws, type="history", channel=name) in ("forbidden", "bad_channel", "bad_request"), name
        assert code(ws, type="publish", channel=name, event="e", data=1) in ("forbidden", "bad_channel"), name
    # Even said word for word: broadcasts and the gateway's own events have one author.
    ws.close()
    ws = somebody(siege, connect, channels=["$all", "$sys:*"], publish=["$all", "$sys:*", "$sys:quality"])
    assert code(ws, type="subscribe", channels=["$all"]) == "forbidden"
    assert code(ws, type="subscribe", channels=["$sys:quality"]) == "subscription-ack"
    for name in ("$all", "$sys:quality", "$sys:x"):
        assert code(ws, type="publish", channel=name, event="slow_rtt", data={"session": "x"}) in ("forbidden", "bad_channel"), name
    ws.barrier()
    assert not ws.events
    ws.close()
    siege.moved(subscribe_refused_forbidden=8)


def test_what_a_token_subscribes_to_by_itself(siege, connect):
    with Http(siege.g.plain_http) as c:
        for names in (["$all"], ["$sys:quality"], ["$all", "user:ann"], ["$**"], ["**"], ["user:ann", "\u0000"], ["a" * 256]):
            with JsonClient.open(siege.g.http, "/ws?token=" + token(sub="ann", subscribe_on_connect=names)) as ws:
                ws.events = []
                first = ws.recv_json()
                if first["type"] == "error":
                    assert first["code"] == "unauthorized"
                    continue
                told = []
                # Answered behind all that it is subscribed to, as a ping need not be.
                ws.say(type="unsubscribe", id="end", channels=["nothing"])
                while (m := ws.recv_json())["type"] != "unsubscription-ack":
                    told += m.get("data", {}).get("channels", []) if m["type"] == "subscription-ack" else []
                assert "$all" not in told, names
                # A broadcast comes once.
                r = c.publish({"event": "b", "data": names}, ADMIN_LINE, path="/api/broadcast")
                assert r.status == 200, r.body
                # Among what others publish meanwhile, where it may read that.
                while (e := ws.next_event())["event"] != "b":
                    assert "**" in names, e
                assert e["data"] == names
                ws.barrier()
                assert all(e["event"] != "b" and "**" in names for e in ws.events), ws.events
                ws.close()
    siege.moved(broadcasts=siege.SOME)


def test_forged_events_are_events(siege, connect):
    heard = somebody(siege, connect, sub="bob")
    heard.subscribe("club:1")
    ws = somebody(siege, connect, sub="mallory")
    lies = {"user": "bob", "sub": "bob", "position": "aaaaaaaaaa@99", "offset": 99, "timestamp": "2001-01-01T00:00:00Z", "direct": True, "encoding": "base64",
            "session": "x", "from": "bob", "meta": {"a": 1}, "publisher": "p"}
    for event in ("join", "leave", "presence", "gap", "connected", "bye", "error", "event", "positions", "subscription-ack"):
        ws.say(type="publish", channel="club:1", event=event, data={"users": [{"user": "bob"}], "count": 1, "type": event}, id="f" + event, **lies)
        answer = ws.await_type("ack", "error")
        assert answer["type"] == "ack", answer
        e = heard.next_event()
        assert (e["type"], e["event"], e["channel"]) == ("event", event, "club:1")
        assert e["offset"] < 90 and not e["timestamp"].startswith("2001") and "position" not in e
        assert e.keys() <= {"type", "channel", "event", "offset", "timestamp", "data"}, e
    # What would end the object early, or say a field twice.
    for text in ('{"type":"publish","channel":"club:1","event":"e","data":1},"type":"join"}', '{"type":"publish","type":"join","channel":"club:1","event":"e","data":1}',
                 '{"type":"publish","channel":"club:1","channel":"secret:a","event":"e","data":1}', '{"type":"publish","channel":"club:1","event":"e","data":1,"data":2}',
                 '{"type":"publish","channel":"club:1","\\u0063hannel":"secret:a","event":"e","data":1}', '{"type":"publish","channel":["club:1"],"event":"e","data":1}',
                 '{"type":"publish","channel":"club:1","event":"a\\",\\"type\\":\\"join","data":1}x', '{"type":"join","channel":"club:1","data":{"users":[]}}',
                 '{"type":"event","channel":"club:1","event":"e","offset":1,"data":1}', '{"type":"publish","channel":"club:1","event":"a\\u0000b","data":1}',
                 '{"type":"publish","channel":"club:1","event":"a\\nb","data":1}', '{"type":"publish","channel":"club:1","event":"e","data":}'):
        ws.send(TEXT, text)
        assert ws.await_type("ack", "error")["type"] == "error", text
    heard.barrier()
    assert not heard.events
    # Quotes in a name stay in it.
    ws.say(type="publish", channel="club:1", event='a","type":"join', data=1)
    ws.await_type("ack")
    assert heard.next_event()["event"] == 'a","type":"join'
    heard.close()
    ws.close()
    siege.moved(messages_bad=siege.SOME)


def test_nothing_is_told_of_what_one_may_not_know(siege, connect):
    """The same words, and the same time as far as that can be seen from here, whether it exists or not."""
    reader = somebody(siege, connect, sub="bob", channels=["secret:*"], publish=["secret:*"])
    reader.subscribe("secret:there", "user:bob")
    for i in range(5):
        assert code(reader, type="publish", channel="secret:there", event="e", data="x" * 1000) == "ack"
        reader.next_event()
    ws = somebody(siege, connect)
    pairs = [("secret:there", "secret:where"), ("user:bob", "user:cob")]
    for there, where in pairs:
        told = []
        for name in (there, where):
            for message in ({"type": "subscribe", "channels": [name]}, {"type": "subscribe", "channels": [name], "since": "beginning"},
                            {"type": "history", "channel": name}, {"type": "presence", "channel": name}, {"type": "publish", "channel": name, "event": "e", "data": 1},
                            {"type": "subscribe", "channels": [name], "since": "aaaaaaaaaa@1"}, {"type": "history", "channel": name, "before": "aaaaaaaaaa@1"}):
                ws.say(message)
                error = ws.await_type("error")
                told.append((error["code"], error["temporary"], error["message"].replace(name, "*")))
        assert told[:7] == told[7:], told
        assert {c for c, _, _ in told} <= {"forbidden", "unsupported"}, told
        times = {there: [], where: []}
        for _ in range(150):
            for name in (there, where):
                begin = time.perf_counter()
                ws.say(type="history", channel=name)
                ws.recv_json()
                times[name].append(time.perf_counter() - begin)
        fast, slow = sorted(statistics.median(t) for t in times.values())
        assert slow < 2 * fast + 0.0005, (fast, slow)
    # Unsubscribing tells nothing either.
    ws.say(type="unsubscribe", channels=["secret:there", "secret:where"])
    assert ws.await_type("unsubscription-ack")["data"]["channels"] == ["secret:there", "secret:where"]
    reader.barrier()
    assert not reader.events
    # The admin's doors say the same to who has no key to them.
    with Http(siege.g.plain_http) as c:
        for there, where in (("/api/channels/secret:there", "/api/channels/secret:where"), ("/api/users/bob", "/api/users/cob"),
                             ("/api/channels/secret:there/history", "/api/channels/secret:where/history"),
                             (f"/api/sessions/{reader.connected['session']}", "/api/sessions/aaaaaaaaaaaaaaaaa"), ("/api/users/bob/sessions", "/api/users/cob/sessions")):
            for lines in ([], ["Authorization: Bearer wrong"], ["Authorization: Bearer " + token(sub="ann")], ["Authorization: Bearer " + ADMIN[:-1]]):
                first, second = (c.get(path, *lines) for path in (there, where))
                assert (first.status, first.body) == (second.status, second.body) and first.status in (401, 403, 404), (there, lines, first.status)
    reader.close()
    ws.close()
    siege.moved(subscribe_refused_forbidden=siege.SOME)


def test_sessions_can_not_be_guessed(siege):
    sessions = []
    for _ in range(150):
        with JsonClient.greeted(siege.g.http) as ws:
            sessions.append(ws.connected["session"])
    assert len(set(sessions)) == len(sessions)
    assert {len(s) for s in sessions} == {17} and all(c.isalnum() or c in "-_" for s in sessions for c in s), sessions[:3]
    # No place of it stands still, and none follows from the one before.
    for at in range(1, 17):
        most = max(sum(s[at] == c for s in sessions) for c in {s[at] for s in sessions})
        assert most < 75 or at == 16, (at, most, sessions[:5])
    moves = [sum(a == b for a, b in zip(*pair)) for pair in zip(sessions, sessions[1:])]
    assert max(moves) < 9, max(moves)
    siege.moved(clients_opened=150)


def test_since_and_history_of_what_is_forbidden(siege, connect):
    """A right to hear is not got by way of positions of something else."""
    reader = somebody(siege, connect, sub="bob", channels=["secret:*"], publish=["secret:*"])
    at = reader.subscribe("secret:past", "secret:*")["data"]["positions"]
    assert code(reader, type="publish", channel="secret:past", event="e", data="told") == "ack"
    ws = somebody(siege, connect)
    for name in ("secret:past", "secret:*", "**", "*:past"):
        for since in (at["secret:past"], at["secret:*"], "beginning", 1, "2001-01-01T00:00:00Z"):
            for message in ({"type": "subscribe", "channels": [name], "since": since}, {"type": "subscribe", "channels": ["user:ann"], "since": {name: since}},
                            {"type": "subscribe", "channels": ["user:ann", name], "since": {"user:ann": since}}):
                assert code(ws, **message) in ("forbidden", "bad_request"), message
        with JsonClient.greeted(siege.g.http, f"/ws?token={token(sub='ann')}&channel={quote(name)}&since=beginning") as other:
            assert other.await_type("error", "subscription-ack")["type"] == "error"
    with pytest.raises(Refused) as refused:
        SseClient.open(siege.g.http, "/events?channel=secret:past", last=at["secret:*"], headers=[("Authorization", "Bearer " + token(sub="ann"))])
    assert refused.value.status in (204, 403)
    # Somebody else's id of a stream is no key: what it asks for is looked at anew.
    with SseClient.greeted(siege.g.http, "/events?channel=public:x", last=at["secret:*"]) as stream:
        assert stream.response.status == 200
    ws.barrier()
    assert not ws.events
    reader.close()
    ws.close()
    siege.moved(subscribe_refused_forbidden=siege.SOME)
