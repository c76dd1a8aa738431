# SPDX-License-Identifier: Apache-2.0
"""Users: all their connections on whatever shard, what is sent to them, their ends, how many they may have, who is there."""
import collections
import json
import struct
from urllib.parse import quote

import pytest

import rcgateway
import rcjwt
from deadline import eventually
from rchttp import Http
from rcingest import Wire, close, frame, send, short
from rcws import JsonClient

KEYS = {"auth.hmac_secret": rcjwt.SECRET, "auth.anonymous": "yes", "namespace.allow_subscribe": "anyone"}
ANSWER = {"event": "note", "data": {"n": 1}}


def path(user, base="/ws", **claims):
    return base + ("&" if "?" in base else "?") + "token=" + rcjwt.make({"sub": user, **claims})


@pytest.fixture
def join(connect):
    """join(g, "anna") is a client of that user."""
    return lambda g, user, **claims: connect(g, path(user, **claims))


@pytest.fixture
def api(gateway):
    """api(g) asks /api; each answer's status is looked at."""
    opened = []

    def make(g):
        http = Http(g.plain_http)
        opened.append(http)

        def ask(method, where, body=None, status=200, *lines):
            r = http.ask(method, where, *lines, body=b"" if body is None else json.dumps(body))
            assert r.status == status, (method, where, r.status, r.body)
            return r.json
        return ask
    yield make
    for http in opened:
        http.drop()


def several(g, join, user, count=6):
    """So many that with two shards both have some, as good as always."""
    return [join(g, user) for _ in range(count)]


def direct(client):
    m = client.await_type("event")
    assert m["direct"] is True and "channel" not in m and "offset" not in m, m
    return m


# ---- messages -----------------------------------------------------------------------------------------

@pytest.mark.tsan
def test_1_a_message_to_a_user_reaches_all_its_connections_and_nobody_else(gateway, join, connect, api, publisher):
    g = gateway(KEYS)
    annas, bert, nobody = several(g, join, "anna"), join(g, "bert"), connect(g)
    assert all(c.connected["user"] == "anna" for c in annas)
    ask, p = api(g), publisher(g)
    assert ask("POST", "/api/users/anna/send", ANSWER) == {"connections": 6}
    assert p.send_to('{"n":2}', "note", user="anna") == 6
    for c in annas:
        assert [direct(c)["data"]["n"] for _ in range(2)] == [1, 2]
    for c in [*annas, bert, nobody]:
        c.barrier()
        assert c.events == []
    assert g.counter("direct_sent") == 2 and g.counter("direct_delivered") == 12 and g.counter("users") == 2


def test_2_lists_sessions_and_nobody(gateway, join, api, publisher):
    g = gateway(KEYS)
    annas, bert = several(g, join, "anna", 3), join(g, "bert")
    ask, p = api(g), publisher(g)
    assert ask("POST", "/api/users/send", {**ANSWER, "users": ["anna", "bert", "carl", "anna"]}) == {"connections": 4}
    assert p.send_to("7", users=["bert", "anna"]) == 4
    assert p.send_to("8", session=annas[1].connected["session"]) == 1
    assert ask("POST", f"/api/sessions/{bert.connected['session']}/send", {"data": 9}) == {"connections": 1}
    for c in [*annas, bert]:
        m = direct(c)
        assert m["event"] == "note" and m["data"] == {"n": 1}
        assert direct(c)["data"] == 7
    assert direct(annas[1])["data"] == 8
    m = direct(bert)
    assert m["event"] == "message" and m["data"] == 9
    assert ask("POST", "/api/users/carl/send", ANSWER) == {"connections": 0}
    assert p.send_to("1", user="carl") == 0 and p.send_to("1", session="c" + "A" * 16) == 0
    for c in annas:
        c.barrier()
        assert c.events == []
    assert g.counter("direct_nobody") == 4


def test_3_an_event_stream_gets_a_block_with_the_name_and_no_id(gateway, sse, api):
    g = gateway(KEYS)
    one, other = sse(g, path("anna", "/events?channel=c")), sse(g, "/events?channel=c")
    assert api(g)("POST", "/api/users/anna/send", {"event": "note", "data": [1, 2]}) == {"connections": 1}
    assert api(g)("POST", "/api/publish", {"channel": "c", "data": 3})
    block = one.next_message()
    assert block.name == "note" and block.json()["data"] == [1, 2] and block.json()["direct"] is True
    assert one.next_event()["data"] == 3 and other.next_event()["data"] == 3


def test_4_ids_of_users_are_any_text_and_escaped_in_paths(gateway, join, api, publisher):
    g = gateway(KEYS)
    for user in ("send", "a/b", "ä ö%", "x" * 128, "日本"):
        c = join(g, user)
        assert c.connected["user"] == user
        assert api(g)("POST", f"/api/users/{quote(user, safe='')}/send", {"data": user}) == {"connections": 1}
        assert publisher(g).send_to("1", user=user) == 1
        assert direct(c)["data"] == user and direct(c)["data"] == 1
        assert api(g)("GET", f"/api/users/{quote(user, safe='')}")["user"] == user


def test_5_opaque_messages_come_as_base64_and_with_the_publishers_time(gateway, join, publisher):
    g = gateway(KEYS)
    c, p = join(g, "anna"), publisher(g)
    p.send_bytes(send(1, b"\x00\xff", "blob", 1768472100000, flags=0, user="anna"))
    assert direct(c) == {"type": "event", "event": "blob", "direct": True, "timestamp": "2026-01-15T10:15:00.000Z",
                         "encoding": "base64", "data": "AP8="}


def test_6_a_message_sent_again_with_its_sequence_or_key_arrives_once(gateway, join, publisher, api):
    g = gateway(KEYS)
    c, p, ask = join(g, "anna"), publisher(g, "p1"), api(g)
    for n in (1, 2, 1, 2, 3):
        p.send_bytes(send(n, str(n), user="anna", flags=Wire.FLAG_JSON | Wire.FLAG_WANT_ACK))
    p.sequence = 3
    p.settle()
    key = "Idempotency-Key: k1"
    for _ in range(2):
        assert ask("POST", "/api/users/anna/send", {"data": 4}, 200, key) == {"connections": 1}
    assert ask("POST", "/api/users/bert/send", {"data": 4}, 422, key)["error"]["code"] == "key_reused"
    assert ask("POST", "/api/users/anna/send", {"data": 5}) == {"connections": 1}
    assert [direct(c)["data"] for _ in range(5)] == [1, 2, 3, 4, 5]
    assert g.counter("events_deduplicated") == 2


def test_7_messages_and_events_of_a_publisher_share_its_window(gateway, join, publisher):
    g = gateway({**KEYS, "ingest.window": "16"})
    clients, p = several(g, join, "anna", 3), publisher(g)
    for c in clients:
        c.subscribe("c")
    from rcingest import publish
    p.send_bytes(b"".join(publish(n, "c", str(n)) if n % 2 else send(n, str(n), user="anna") for n in range(1, 401)))
    p.sequence = 400
    p.settle()
    for c in clients:
        got = collections.defaultdict(list)
        while len(got[True]) + len(got[False]) < 400:
            m = c.next_event()
            got[m.get("direct", False)].append(m["data"])
        assert got[True] == list(range(2, 401, 2)) and got[False] == list(range(1, 401, 2))


def test_8_bad_messages_are_refused_and_the_connection_lives(gateway, join, publisher):
    g = gateway(KEYS)
    c, p = join(g, "anna"), publisher(g)
    bad = [(send(1, user=""), Wire.NACK_BAD_TARGET), (send(2, user="x" * 129), Wire.NACK_BAD_TARGET),
           (send(3, user=b"\xff"), Wire.NACK_BAD_TARGET), (send(4, user="a\nb"), Wire.NACK_BAD_TARGET),
           (send(5, session="short"), Wire.NACK_BAD_TARGET), (send(6, users=["a"] * 1001), Wire.NACK_BAD_TARGET),
           (send(7, users=["x" * 128] * 128), Wire.NACK_BAD_TARGET), (send(8, "{", user="anna"), Wire.NACK_BAD_PAYLOAD),
           (send(9, event="", user="anna"), Wire.NACK_BAD_EVENT),
           (send(10, flags=Wire.FLAG_DURABLE, user="anna"), Wire.NACK_NOT_SUPPORTED),
           (close(11, 3999, user="anna"), Wire.NACK_BAD_TARGET), (close(12, 5000, user="anna"), Wire.NACK_BAD_TARGET),
           (close(13, 4004, "x" * 124, user="anna"), Wire.NACK_BAD_TARGET),
           (close(14, 4004, b"\xff", user="anna"), Wire.NACK_BAD_TARGET)]
    for raw, code in bad:
        p.send_bytes(raw)
    p.sequence = len(bad)
    p.settle()
    assert {n: p.nacks[n][0] if isinstance(p.nacks[n], tuple) else p.nacks[n].code for n in p.nacks} == \
        {n + 1: code for n, (_, code) in enumerate(bad)}
    assert p.send_to("1", user="anna") == 1 and direct(c)["data"] == 1


@pytest.mark.parametrize("body", [b"", struct.pack("<Q", 0) + b"\x01" + short("anna"), struct.pack("<QB", 1, 9) + short("anna"),
                                  struct.pack("<QBH", 1, 3, 0), struct.pack("<QBH", 1, 3, 2) + short("anna")],
                         ids=["empty", "sequence 0", "unknown target", "no users", "a user missing"])
@pytest.mark.one_shard
def test_8_a_body_that_can_t_be_read_ends_the_connection(gateway, publisher, body):
    g = gateway(KEYS)
    for kind in (Wire.FRAME_SEND, Wire.FRAME_CLOSE):
        p = publisher(g)
        p.send_bytes(frame(kind, body))
        p.expect_error(Wire.ERROR_BAD_BODY, closes=True)


@pytest.mark.one_shard
def test_9_bad_requests_are_answered(gateway, api):
    g = gateway(KEYS)
    ask = api(g)
    for method, where, body, status in [
            ("POST", "/api/users/anna/send", [1], 400), ("POST", "/api/users/anna/send", [ANSWER], 400),
            ("POST", "/api/users/anna/send", {"event": "x"}, 400), ("POST", "/api/users/anna/send", {"event": "", "data": 1}, 400),
            ("POST", "/api/users/%ff/send", ANSWER, 400), ("POST", f"/api/users/{'x' * 129}/send", ANSWER, 400),
            ("POST", "/api/users/a%0ab/send", ANSWER, 400), ("POST", "/api/users/anna", ANSWER, 404),
            ("POST", "/api/users/send", ANSWER, 400), ("POST", "/api/users/send", {**ANSWER, "users": []}, 400),
            ("POST", "/api/users/send", {**ANSWER, "users": ["a", 1]}, 400),
            ("POST", "/api/users/send", {**ANSWER, "users": ["a"] * 1001}, 400),
            ("POST", "/api/users/send", {"users": ["a"]}, 400),
            ("DELETE", "/api/users/anna?code=3999", None, 400), ("DELETE", "/api/users/anna", {"code": 5000}, 400),
            ("DELETE", "/api/users/anna", {"code": "4004"}, 400), ("DELETE", "/api/users/anna", {"reason": "x" * 124}, 400),
            ("DELETE", "/api/users/anna?reason=%00", None, 400),
            ("GET", "/api/users/anna", None, 404), ("GET", "/api/sessions/c" + "A" * 16, None, 404),
            ("GET", "/api/sessions/x", None, 404), ("GET", "/api/users?limit=0", None, 400)]:
        assert ask(method, where, body, status)["error"]["code"]


# ---- ends ---------------------------------------------------------------------------------------------

@pytest.mark.tsan
def test_10_an_operator_ends_all_connections_of_a_user_or_one_session(gateway, join, sse, api, publisher):
    g = gateway(KEYS)
    ask, p = api(g), publisher(g)
    annas, bert, stream = several(g, join, "anna", 4), join(g, "bert"), sse(g, path("anna", "/events?channel=c"))
    first = annas.pop()
    assert ask("DELETE", f"/api/sessions/{first.connected['session']}") == {"closed": 1}
    assert first.expect_close(4004) == (4004, "")
    assert ask("DELETE", f"/api/sessions/{first.connected['session']}") == {"closed": 0}
    assert ask("DELETE", "/api/users/anna", {"code": 4010, "reason": "see you"}) == {"closed": 4}
    for c in annas:
        assert c.expect_close(4010) == (4010, "see you")
    stream.rest()
    assert ask("DELETE", "/api/users/anna?code=4999&reason=no%20more") == {"closed": 0}
    more = several(g, join, "anna", 2)
    assert p.disconnect(4011, "out", user="anna") == 2
    for c in more:
        assert c.expect_close(4011) == (4011, "out")
    assert p.disconnect(session=bert.connected["session"]) == 1
    bert.expect_close(4004)
    assert g.counter("close_operator") == 8


# ---- how many -----------------------------------------------------------------------------------------

def test_11_one_connection_too_many_is_refused_with_4100(gateway, join, api):
    g = gateway({**KEYS, "limits.max_connections_per_user": "3"})
    held = several(g, join, "anna", 3)
    over = JsonClient.open(g.http, path("anna"))
    error = over.recv_json()
    assert error["type"] == "error" and error["code"] == "limit_exceeded" and error["temporary"]
    over.expect_close(4100)
    over.drop()
    join(g, "bert")
    # A token may say it otherwise, both ways.
    join(g, "anna", max_connections=4)
    less = JsonClient.open(g.http, path("carl", max_connections=1))
    assert less.recv_json()["type"] == "connected"
    second = JsonClient.open(g.http, path("carl", max_connections=1))
    assert second.recv_json()["code"] == "limit_exceeded"
    held.pop().close()
    g.until_counter("clients_known", 5)
    eventually(lambda: api(g)("GET", "/api/users/anna")["connections"] == 3, "the place that was given back")
    api(g)("DELETE", "/api/users/anna")
    several(g, join, "anna", 3)
    assert g.counter("users_refused") == 2
    less.drop()
    second.drop()


def test_12_the_oldest_connection_makes_way_and_is_told_so(gateway, join, sse, api):
    g = gateway({**KEYS, "limits.max_connections_per_user": "2", "limits.over_connections": "replace"})
    stream = sse(g, path("anna", "/events?channel=c"))
    clients = several(g, join, "anna", 5)
    stream.rest()
    for c in clients[:3]:
        assert c.expect_close(4003)[1].startswith("replaced")
    assert api(g)("POST", "/api/users/anna/send", ANSWER) == {"connections": 2}
    for c in clients[3:]:
        direct(c)
    assert g.counter("close_replaced") == 4


def test_13_the_limit_of_event_streams(gateway, sse):
    g = gateway({**KEYS, "limits.max_connections_per_user": "1"})
    one = sse(g, path("anna", "/events?channel=c"))
    with Http(g.plain_http) as http:
        r = http.get(path("anna", "/events?channel=c"), "Accept: text/event-stream")
        assert r.status in (403, 429, 503), r.status
    one.drop()
    eventually(lambda: g.counter("users") == 0, "its place to be free")
    sse(g, path("anna", "/events?channel=c"))


def test_14_a_crowd_of_one_user_never_has_more_than_it_may(gateway):
    g = gateway({**KEYS, "limits.max_connections_per_user": "10"})
    clients = [JsonClient.open(g.http, path("anna")) for _ in range(60)]
    taken = [c for c in clients if c.recv_json()["type"] == "connected"]
    assert len(taken) == 10 and g.counter("users_refused") == 50
    for c in clients:
        c.drop()
    g.until_counter("users", 0)


# ---- who is there ---------------------------------------------------------------------------------------

def test_15_the_sessions_of_a_user_with_what_they_hear(gateway, join, api, sse):
    g = gateway(KEYS)
    ask, annas = api(g), several(g, join, "anna", 3)
    annas[0].subscribe("news", "a:*")
    sse(g, path("anna", "/events?channel=c"))
    shown = ask("GET", "/api/users/anna")
    assert shown["user"] == "anna" and shown["connections"] == 4 and shown["reconnects"] == 0 and not shown["more"]
    assert len(shown["sessions"]) == 4
    one = shown["sessions"][annas[0].connected["session"]]
    assert sorted(one["subscriptions"]) == ["a:*", "news"] and one["address"].startswith("127.0.0.1:")
    assert one["lag"] == {"bytes": 0, "events": 0, "ms": 0} and one["shard"] in (0, 1) and one["connectedAt"]
    single = ask("GET", f"/api/sessions/{annas[0].connected['session']}")
    assert single["id"] == annas[0].connected["session"] and single["address"] == one["address"]
    assert {s["transport"] for s in shown["sessions"].values()} == {"ws", "sse"}
    few = ask("GET", "/api/users/anna?limit=2")
    assert len(few["sessions"]) == 2 and few["more"] and few["connections"] == 4


def test_16_the_list_of_users_comes_in_pages(gateway, join, api):
    g = gateway(KEYS)
    ask = api(g)
    names = [f"user-{n:02}" for n in range(12)]
    held = [join(g, name) for name in names for _ in range(2)]
    seen, after = [], ""
    while True:
        page = ask("GET", f"/api/users?limit=5{after}")
        assert page["count"] == 12
        seen += [(u["user"], u["connections"]) for u in page["users"]]
        if "next" not in page:
            break
        after = "&after=" + quote(page["next"])
    assert seen == [(name, 2) for name in names]
    for c in held:
        c.drop()
    g.until_counter("users", 0)
    assert ask("GET", "/api/users")["users"] == []


def test_17_who_comes_back_is_counted(gateway, join, api):
    g = gateway(KEYS)
    for n in range(3):
        c = join(g, "anna")
        assert api(g)("GET", "/api/users/anna")["reconnects"] == n
        c.drop()
        g.until_counter("users", 0)
    assert g.counter("user_reconnects") == 2


# ---- under load -----------------------------------------------------------------------------------------

@pytest.mark.tsan
def test_18_full_rings_lose_no_message(gateway, join, publisher):
    """Each is larger than an eighth of a ring; they go to users on all shards, and arrive in order."""
    g = gateway({**KEYS, "ring_bytes": "64KiB", "max_message": "8KiB", "ingest.frame_max": "64KiB", "output_max": "8MiB"})
    users = [f"u{n}" for n in range(6)]
    clients, p = {user: several(g, join, user, 2) for user in users}, publisher(g)
    text = json.dumps("x" * 7000)
    for n in range(1, 61):
        p.send_bytes(send(n, f"[{n},{text}]", users=users))
    p.sequence = 60
    p.settle()
    for user in users:
        for c in clients[user]:
            assert [direct(c)["data"][0] for _ in range(60)] == list(range(1, 61))
    assert g.counter("direct_delivered") == 60 * 12


def test_19_who_does_not_read_is_closed_and_the_others_get_all(gateway, join, publisher):
    g = gateway({**KEYS, "output_max": "64KiB", "max_message": "64KiB"})
    slow = JsonClient.greeted(g.http, path("anna"), rcvbuf=4096)
    good, p = join(g, "anna"), publisher(g)
    text = json.dumps("x" * 60000)
    sent = 0
    while g.counter("close_too_slow") == 0:
        assert p.send_to(f"[{sent},{text}]", user="anna") >= 1
        assert direct(good)["data"][0] == sent
        sent += 1
        assert sent < 500, "the slow one is never closed"
    slow.drop()


@pytest.mark.deadline(120)
def test_20_many_users_with_three_connections_each(gateway, publisher):
    g = gateway({**KEYS, "heartbeat": "10m", "handshake_timeout": "1m"})
    names = [f"user-{n}" for n in range(400)]
    clients = {name: [JsonClient.greeted(g.http, path(name)) for _ in range(3)] for name in names}
    assert g.counter("users") == len(names)
    p = publisher(g)
    for n in range(0, len(names), 3):
        assert p.send_to(str(n), user=names[n]) == 3
    for n in range(0, len(names), 3):
        assert [direct(c)["data"] for c in clients[names[n]]] == [n] * 3
    assert p.send_to('"all"', users=names) == 3 * len(names)
    for c in (c for held in clients.values() for c in held):
        # Nothing came before that was for others.
        assert direct(c)["data"] == "all"
        c.drop()
    g.until_counter("users", 0)


# ---- the command line ---------------------------------------------------------------------------------

def test_21_the_subcommands_send_and_disconnect(gateway, join, folder):
    g = gateway(KEYS)
    c = join(g, "anna")
    where = f"{g.plain_ingest[0]}:{g.plain_ingest[1]}" if hasattr(g, "plain_ingest") else f"{g.ingest[0]}:{g.ingest[1]}"
    done = rcgateway.run(["send", "--server", where, "--user", "anna", "note", '{"n":1}'], folder)
    assert done.returncode == 0 and done.stdout == "1\n", (done.stdout, done.stderr)
    assert direct(c)["data"] == {"n": 1}
    done = rcgateway.run(["send", "--server", where, "--session", c.connected["session"], "note"], folder)
    assert done.returncode == 0 and direct(c)["data"] is None
    done = rcgateway.run(["send", "--server", where, "--user", "carl", "note"], folder)
    assert done.returncode == 1 and done.stdout == "0\n"
    done = rcgateway.run(["disconnect", "--server", where, "--user", "anna", "--code", "4020", "--reason", "bye"], folder)
    assert done.returncode == 0 and done.stdout == "1\n", (done.stdout, done.stderr)
    assert c.expect_close(4020) == (4020, "bye")
    for args in (["send", "note"], ["send", "--user", "a", "--session", "b", "note"], ["disconnect", "--user", "a", "--code", "1000"],
                 ["send", "--user", "a", "note", "{"]):
        assert rcgateway.run(args, folder).returncode == 2
