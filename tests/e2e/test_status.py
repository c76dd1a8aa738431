# SPDX-License-Identifier: Apache-2.0
"""Looking at a running gateway: who is connected, which channels there are, who is behind. What one shard answers is true of all."""
import json
import re

import pytest

from deadline import Deadline, eventually
from rcapi import Metrics, channel_path, get, get_json
from rcsse import SseClient
from rcws import JsonClient, Stream, open_socket

ISO = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
PAD = "p" * 900

pytestmark = pytest.mark.deadline(90)


def subscribed(connect, g, *channels, **options):
    ws = connect(g, **options)
    ws.subscribe(*channels)
    return ws


def session(ws):
    return ws.connected["session"]


def pages(g, path, key, after="after", marker="next", **query):
    """Every page of a list, until there is no next one."""
    deadline = Deadline(30)
    found = []
    while True:
        deadline.left()
        page = get_json(g, path, **query)
        found.append(page[key])
        if marker not in page:
            return found
        query[after] = page[marker]


# ---- the gateway

@pytest.mark.parametrize("path", ["/api/status", "/api/websocket/status"])
def test_status_tells_who_is_there_and_what_they_hear(gateway, connect, shards, tls, path):
    g = gateway()
    clients = [subscribed(connect, g, "news", f"user:{i}") for i in range(6)]
    clients[0].subscribe("news:*")
    s = get_json(g, path)
    assert s["status"] == "healthy" and s["connectedClients"] == 6 and s["shards"] == shards
    assert ISO.match(s["timestamp"]) and re.match(r"^\d+\.\d+\.\d+", s["version"]) and 0 <= s["uptime"] < 3600
    assert s["subscriptions"] == {"news": 6, "news:*": 1} | {f"user:{i}": 1 for i in range(6)}
    sessions = {session(ws) for ws in clients}
    assert set(s["clientDetails"]) == sessions
    for i, ws in enumerate(clients):
        details = s["clientDetails"][session(ws)]
        assert details["id"] == session(ws) and details["transport"] == "ws"
        assert details["tls"] is None if tls is None else details["tls"] in ("user", "kernel")
        assert details["address"] == "%s:%d" % ws.sock.getsockname()
        assert set(details["subscriptions"]) == {"news", f"user:{i}"} | ({"news:*"} if i == 0 else set())
        assert details["subscriptionCount"] == len(details["subscriptions"])
        assert ISO.match(details["connectedAt"]) and details["connectedAt"] <= s["timestamp"]
    # Who came when does not change from one look to the next.
    again = get_json(g, path)["clientDetails"]
    assert {k: v["connectedAt"] for k, v in again.items()} == {k: v["connectedAt"] for k, v in s["clientDetails"].items()}
    for ws in clients[1:]:
        ws.close()
    s = eventually(lambda: (s := get_json(g, path))["connectedClients"] == 1 and s, "one client left")
    assert s["subscriptions"] == {"news": 1, "user:0": 1, "news:*": 1} and set(s["clientDetails"]) == {session(clients[0])}


def test_sse_clients_are_counted_with_the_channels_of_their_streams(gateway, connect):
    g = gateway()
    streams = [SseClient.greeted(g.http, "/events?channel=a&channel=b") for _ in range(3)]
    streams.append(SseClient.greeted(g.http, "/events?channel=b&channel=n:*&format=data"))
    ws = subscribed(connect, g, "a")
    s = eventually(lambda: (s := get_json(g, "/api/status"))["connectedClients"] == 5 and s, "five clients")
    assert s["subscriptions"] == {"a": 4, "b": 4, "n:*": 1}
    told = sorted((c["transport"], sorted(c["subscriptions"]), c["subscriptionCount"]) for c in s["clientDetails"].values())
    assert told == [("sse", ["a", "b"], 2)] * 3 + [("sse", ["b", "n:*"], 2), ("ws", ["a"], 1)]
    assert {c["name"]: c["subscribers"] for c in get_json(g, "/api/channels")["channels"]} == {"a": 4, "b": 4}
    m = Metrics(g)
    assert m("ringcast_clients", transport="sse") == 4 and m("ringcast_clients", transport="ws") == 1
    for stream in streams[1:]:
        stream.drop()
    eventually(lambda: get_json(g, "/api/status")["subscriptions"] == {"a": 2, "b": 1}, "three are gone")
    ws.close()
    streams[0].drop()
    eventually(lambda: get_json(g, "/api/status")["subscriptions"] == {}, "nobody is left")


def test_status_comes_in_pages(gateway, connect):
    g = gateway()
    clients = [subscribed(connect, g, "all", f"c{i:02}") for i in range(11)]
    for limit in (1, 3, 11, 50):
        found = pages(g, "/api/status", "clientDetails", marker="clientDetailsNext", limit=limit)
        assert all(len(page) == limit for page in found[:-1]) and 0 < len(found[-1]) <= limit
        sessions = [one for page in found for one in page]
        assert sessions == sorted(session(ws) for ws in clients)
        found = pages(g, "/api/status", "subscriptions", "afterChannel", "subscriptionsNext", limit=limit)
        assert all(len(page) == limit for page in found[:-1])
        assert [c for page in found for c in page.items()] == [("all", 11)] + [(f"c{i:02}", 1) for i in range(11)]


def test_a_client_with_many_channels_is_told_in_short(gateway, connect):
    g = gateway()
    ws = subscribed(connect, g, *[f"channel:{'x' * 200}:{i}" for i in range(60)])
    details = get_json(g, "/api/status")["clientDetails"][session(ws)]
    assert details["subscriptionCount"] == 60 and len(details["subscriptions"]) == 32


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=", "limit=99999999999", "limit=-1",
                                   "after=" + "a" * 256, "after=%zz", "afterChannel=%f"])
def test_what_makes_no_sense_is_a_400(shared_gateway, query):
    answer = get(shared_gateway, f"/api/status?{query}")
    assert answer.status == 400 and answer.json()["error"]["code"] == "bad_request"


# ---- channels

def test_channels_are_listed_with_who_listens_and_where_they_are(gateway, connect, publisher):
    g = gateway({"namespace.chat.raw": "no"})
    p = publisher(g, "p")
    for _ in range(5):
        subscribed(connect, g, "chat:a", "plain")
    subscribed(connect, g, "chat:*")
    for n in range(3):
        p.publish("chat:a", str(n))
    p.publish("unheard", "1")
    found = {c["name"]: c for c in get_json(g, "/api/channels")["channels"]}
    assert set(found) == {"chat:a", "plain", "unheard"}
    assert found["chat:a"]["subscribers"] == 5 and found["chat:a"]["offset"] == 3
    assert found["chat:a"]["namespace"] == "chat" and found["plain"]["namespace"] == "default"
    assert found["chat:a"]["position"].endswith("@3") and found["plain"]["offset"] == 0
    assert found["unheard"]["subscribers"] == 0 and found["unheard"]["offset"] == 1
    for name, channel in found.items():
        assert get_json(g, channel_path(name)) == channel
    # The position is one that a subscriber is told too.
    ack = connect(g).subscribe("chat:a")
    assert ack["data"]["positions"]["chat:a"] == found["chat:a"]["position"]


def test_a_channel_that_nobody_knows_is_a_404_and_a_wrong_name_a_400(gateway, connect):
    g = gateway()
    connect(g)
    for name, status, code in (("nobody", 404, "unknown_channel"), ("$all", 404, "unknown_channel"), ("a*", 400, "bad_channel"),
                               ("a b", 400, "bad_channel"), ("x" * 256, 400, "bad_channel")):
        answer = get(g, channel_path(name))
        assert (answer.status, answer.json()["error"]["code"]) == (status, code), name


@pytest.mark.deadline(240)
def test_thousands_of_channels_come_in_pages_whole_and_sorted(gateway, publisher, connect):
    g = gateway()
    names = [f"{'even' if n % 2 == 0 else 'odd'}:{n * 7919 % 6000}" for n in range(6000)]
    p = publisher(g, "p")
    p.stream([(name, "1") for name in names], per_batch=100)
    ws = connect(g)
    ws.subscribe(*names[:100])
    for limit in (1000, 700):
        found = [c for page in pages(g, "/api/channels", "channels", limit=limit) for c in page]
        assert [c["name"] for c in found] == sorted(names)
        assert all(c["offset"] == 1 and c["subscribers"] == (c["name"] in names[:100]) for c in found)
    even = [c["name"] for page in pages(g, "/api/channels", "channels", limit=1000, prefix="even:") for c in page]
    assert even == sorted(n for n in names if n.startswith("even:"))
    assert get_json(g, "/api/channels", prefix="nothing")["channels"] == []


# ---- who is behind

def stopped_reader(g, channel):
    ws = JsonClient.greeted(g.http, "/ws", rcvbuf=4096)
    ws.subscribe(channel)
    return ws


def flood(p, channel, count):
    p.stream([(channel, json.dumps({"n": n, "pad": PAD})) for n in range(count)], per_batch=50)
    assert not p.nacks


def laggard(g, ws):
    return next((l for l in get_json(g, "/api/laggards")["laggards"] if l["session"] == session(ws)), None)


@pytest.mark.tsan
@pytest.mark.deadline(180)
def test_a_reader_that_stopped_is_named_with_its_channel_and_the_reason(gateway, publisher, connect):
    g = gateway({"namespace.slow.lag_bytes": "64MiB", "namespace.slow.lag_time": "0"})
    p = publisher(g, "p")
    good = subscribed(connect, g, "slow:a", "slow:b")
    with stopped_reader(g, "slow:a") as slow, stopped_reader(g, "slow:b") as slower:
        assert get_json(g, "/api/laggards") | {"timestamp": ""} == {"laggards": [], "more": False, "timestamp": ""}
        deadline = Deadline(60)
        sent = 0
        while not laggard(g, slow):
            deadline.left()
            flood(p, "slow:a", 500)
            sent += 500
        flood(p, "slow:b", 2 * sent + 4000)
        for _ in range(3 * sent + 4000):
            good.next_event()
        eventually(lambda: laggard(g, slower), "the slower one")
        found = {name: laggard(g, ws) for name, ws in (("slow:a", slow), ("slow:b", slower))}
        for name, l in found.items():
            assert l["channels"] == [name] and l["reason"] == "socket full", l
            assert l["lag"]["events"] > 0 and l["lag"]["bytes"] > l["lag"]["events"] * 900 and l["lag"]["ms"] >= 0
            assert ISO.match(l["blockedSince"]) and re.match(r"^127\.0\.0\.1:\d+$", l["address"])
        assert found["slow:b"]["lag"]["bytes"] > found["slow:a"]["lag"]["bytes"]
        top = get_json(g, "/api/laggards", top=1)
        assert [l["session"] for l in top["laggards"]] == [session(slower)] and top["more"]
        # The same as the metrics have it, once they have looked.
        m = eventually(lambda: (m := Metrics(g))("ringcast_clients_behind") == 2 and m, "two clients behind")
        assert m("ringcast_blocked_max_seconds") > 0 and m("ringcast_lag_bytes_count") >= 2
        largest = eventually(lambda: max(v for (n, _), v in Metrics(g).samples.items() if n == "ringcast_lag_max_bytes"), "a lag")
        assert largest == found["slow:b"]["lag"]["bytes"]
        # One who reads again is behind no more.
        for _ in range(sent):
            slow.next_event()
        eventually(lambda: not laggard(g, slow), "the first one has caught up")
        assert laggard(g, slower)
    eventually(lambda: Metrics(g)("ringcast_clients_behind") == 0, "nobody is behind")
    assert Metrics(g)("ringcast_lag_max_bytes") == 0


@pytest.mark.deadline(180)
@pytest.mark.parametrize("kind", ["ws", "sse"])
def test_one_who_is_given_what_it_missed_and_does_not_read_is_called_replaying(gateway, publisher, kind):
    g = gateway({"history_memory": "64MiB", "namespace.kept.history_size": "30000", "namespace.kept.history_bytes": "32MiB",
                 "namespace.kept.lag_bytes": "64MiB", "namespace.kept.lag_time": "0", "memory": "256MiB"})
    flood(publisher(g, "p"), "kept:a", 24000)
    if kind == "ws":
        client = JsonClient.greeted(g.http, "/ws", rcvbuf=4096)
        client.say(type="subscribe", channels=["kept:a"], since="beginning")
        client.await_type("subscription-ack")
    else:
        client = SseClient.open(g.http, "/events?channel=kept:a&since=beginning", rcvbuf=4096)
    with client:
        l = eventually(lambda: next((l for l in get_json(g, "/api/laggards")["laggards"] if "blockedSince" in l), None), "a laggard")
        assert l["reason"] == "replaying" and l["channels"] == ["kept:a"] and l["lag"]["bytes"] > 0
    eventually(lambda: get_json(g, "/api/laggards")["laggards"] == [], "nobody is behind")


# ---- many questions

@pytest.mark.deadline(120)
def test_many_questions_at_once_are_answered_or_refused_with_503(gateway, publisher):
    g = gateway()
    publisher(g, "p").stream([(f"c:{n}", "1") for n in range(4000)], per_batch=100)
    request = b"GET /api/channels?limit=3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    asking = [Stream(open_socket(g.plain_http)) for _ in range(40)]
    for s in asking:
        s.send_bytes(request)
    answers = [s.read_to_end() for s in asking]
    statuses = [int(a.split(b" ", 2)[1]) for a in answers]
    assert set(statuses) <= {200, 503} and statuses.count(200) >= 4, statuses
    for answer, status in zip(answers, statuses):
        body = json.loads(answer.partition(b"\r\n\r\n")[2])
        if status == 200:
            assert [c["name"] for c in body["channels"]] == ["c:0", "c:1", "c:10"]
        else:
            assert body["error"]["code"] == "server_capacity_exceeded"
    assert get(g, "/api/channels").status == 200


@pytest.mark.deadline(120)
def test_who_asks_and_goes_away_leaves_nothing_behind(gateway, publisher):
    g = gateway()
    publisher(g, "p").stream([(f"c:{n}", "1") for n in range(4000)], per_batch=100)
    get_json(g, "/api/channels", limit=1000)
    before = g.gauge("arena_used_bytes")
    for n in range(100):
        s = Stream(open_socket(g.plain_http))
        s.send_bytes(b"GET /api/channels?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        s.reset() if n % 2 else s.drop()
    eventually(lambda: get(g, "/api/channels").status == 200, "an answer")
    # One question holds more than 50 KiB while it lasts. A page of small objects may stay, for the next one.
    eventually(lambda: g.gauge("arena_used_bytes") <= before + (256 << 10), "the memory of the questions is given back")


@pytest.mark.tsan
@pytest.mark.deadline(120)
def test_questions_do_not_hold_up_the_end(gateway, publisher):
    g = gateway({"drain_timeout": "60s"})
    publisher(g, "p").stream([(f"c:{n}", "1") for n in range(4000)], per_batch=100)
    asking = [Stream(open_socket(g.plain_http)) for _ in range(20)]
    for s in asking:
        s.send_bytes(b"GET /api/channels?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    g.stop(seconds=20)
    # Whole answers, or none.
    for s in asking:
        answer = s.read_to_end()
        if answer:
            head, _, body = answer.partition(b"\r\n\r\n")
            assert int(head.split(b" ", 2)[1]) in (200, 503) and json.loads(body), head
