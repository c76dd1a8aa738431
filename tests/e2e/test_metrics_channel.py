# SPDX-License-Identifier: Apache-2.0
"""$sys:metrics: a snapshot each second while somebody hears it; GET /api/channels?sort=: the channels with most of it."""
import pytest

import rcapi
from deadline import Deadline, eventually
from rcbinary import BinClient
from rchttp import Http
from rcws import JsonClient

WATCH = "/ws?scope=read"
FIELDS = {"at", "uptime", "version", "shards", "counters", "perShard", "latency", "memory"}


@pytest.fixture
def g(gateway):
    return gateway({"rtt_poor": "60s"})


def watcher(g):
    ws = JsonClient.greeted(g.http, WATCH)
    ws.subscribe("$sys:metrics")
    return ws


def next_snapshot(ws):
    e = ws.next_event()
    assert (e["channel"], e["event"]) == ("$sys:metrics", "snapshot"), e
    return e["data"]


def test_a_snapshot_says_what_was_done(g):
    with watcher(g) as ws, JsonClient.greeted(g.http) as reader, Http(g.http) as web:
        reader.subscribe("news")
        before = next_snapshot(ws)
        assert set(before) == FIELDS
        for n in range(50):
            web.position("news", n)
        for n in range(50):
            assert reader.next_event()["data"] == n
        deadline = Deadline(20)
        while True:
            after = next_snapshot(ws)
            grown = after["counters"]["events_published"] - before["counters"].get("events_published", 0)
            if grown >= 50:
                break
            deadline.left()
        assert after["counters"]["clients"] == 2 and after["shards"] == len(after["perShard"])
        assert sum(s["clients"] for s in after["perShard"]) == 2
        # Besides those 50 there are only snapshots.
        snapshots = after["counters"]["sys_events"] - before["counters"].get("sys_events", 0)
        assert 50 <= grown <= 50 + snapshots + 1, (grown, snapshots)
        assert after["at"] > before["at"] and after["uptime"] >= before["uptime"]
        times, bounds = after["latency"]["publishToSocket"], after["latency"]["bounds"]
        assert bounds == sorted(bounds) and len(times) == len(bounds) + 1 == len(after["latency"]["clientRtt"])
        assert sum(times) - sum(before["latency"]["publishToSocket"]) >= 1
        for a, b in zip(after["perShard"], before["perShard"]):
            assert 0 < a["busy_ns"] - b["busy_ns"] <= (after["at"] - before["at"] + 1000) * 1e6
        assert all(row["bytes"] >= 0 and row["name"] for row in after["memory"])
        metrics = rcapi.Metrics(g)
        assert metrics("ringcast_events_published_total") >= after["counters"]["events_published"]


def test_two_hear_the_same_and_nobody_costs_nothing(g):
    with watcher(g) as one, JsonClient.greeted(g.http, WATCH) as two:
        two.subscribe("$sys:**")
        a = next_snapshot(one)
        seen = [next_snapshot(two)["at"] for _ in range(2)]
        assert len(set(seen)) == 2
        while a["at"] < seen[-1]:
            a = next_snapshot(one)
        assert a["at"] in seen
        one.unsubscribe()
        two.unsubscribe()
        two.barrier()
        told = g.counter("sys_events")
        # One may have been on its way.
        beat = g.heartbeat()
        eventually(lambda: g.heartbeat() > beat + 3000, "three more seconds of the gateway")
        assert g.counter("sys_events") <= told + 1


def test_one_that_is_larger_than_an_event_may_be_is_left_out_and_counted(gateway):
    g = gateway({"max_message": "1KiB"})
    with watcher(g) as ws:
        g.until_counter("sys_events_left_out", 2)
        ws.barrier()
        assert g.counter("sys_events") == 0 and not ws.events


def test_it_is_an_event_also_where_the_default_namespace_is_raw(gateway):
    """To that namespace it belongs, and its history is kept as that one says; but what tells it apart is the gateway's."""
    g = gateway({"rtt_poor": "60s", "namespace.raw": "yes", "namespace.history_size": "5"})
    clients = [JsonClient.greeted(g.http, path) for path in (WATCH, WATCH, WATCH + "&batch=1", WATCH)]
    try:
        clients[0].subscribe("$sys:metrics")
        clients[1].subscribe("$sys:*")
        clients[2].subscribe("$sys:metrics")
        clients[3].subscribe("$sys:metrics", rate=1)
        for ws in clients:
            assert set(next_snapshot(ws)) == FIELDS
        with BinClient.greeted(g.http, WATCH) as ws:
            ws.subscribe("$sys:metrics")
            e, = ws.take_events(1)
            assert (e.channel, e.event, e.json) == ("$sys:metrics", "snapshot", True) and e.offset and e.timestamp
        clients[0].say(type="history", channel="$sys:metrics", limit=1)
        assert clients[0].await_type("history")["events"][0]["event"] == "snapshot"
    finally:
        for ws in clients:
            ws.drop()


def test_without_the_right_it_is_not_heard(g):
    with JsonClient.greeted(g.http) as ws:
        ws.say(type="subscribe", channels=["$sys:metrics"], id=1)
        assert ws.await_type("error")["code"] == "forbidden"


# ---- the channels with most ------------------------------------------------------------------------


def top(g, sort, **query):
    r = rcapi.get_json(g, "/api/channels", sort=sort, **query)
    return r["channels"]


def test_the_channels_with_most_subscribers_come_first(g):
    clients = [JsonClient.greeted(g.http) for _ in range(12)]
    try:
        for n, ws in enumerate(clients):
            # c:0 has all of them, c:1 all but one, and so on.
            ws.subscribe(*[f"c:{i}" for i in range(n + 1)], "other:**")
        rows = top(g, "subscribers", limit=5)
        assert [(r["name"], r["subscribers"]) for r in rows] == [(f"c:{i}", 12 - i) for i in range(5)]
        assert all(r["rate"] == 0 and r["namespace"] == "default" for r in rows)
        assert len(top(g, "subscribers", limit=100)) == 12
    finally:
        for ws in clients:
            ws.drop()


def test_the_channels_with_most_events_come_first(g):
    with Http(g.http) as web, JsonClient.greeted(g.http, "/ws?channel=busy:0"):
        deadline = Deadline(40)
        while True:
            # In each round the first has 40 events, the second 20 ... and there are many with one.
            events = [f"busy:{i}" for i in range(4) for _ in range(40 >> i)] + [f"quiet:{i}" for i in range(100)]
            assert web.publish([{"channel": c, "data": 0} for c in events]).status == 200
            rows = top(g, "rate", limit=4)
            if [r["name"] for r in rows] == [f"busy:{i}" for i in range(4)]:
                break
            deadline.left()
        assert rows[0]["subscribers"] == 1 and rows[0]["offset"] > 0 and rows[0]["position"].endswith(f"@{rows[0]['offset']}")
        assert rows[0]["rate"] > rows[3]["rate"] > 0
        # What is quiet again goes down.
        eventually(lambda: all(r["rate"] < rows[0]["rate"] / 4 for r in top(g, "rate")), "quiet", seconds=60)


def test_what_is_told_of_each_is_whole_however_many_shards_there_are(gateway):
    """Each shard has a few of a channel's subscribers, and of the busiest channel fewer than of all others."""
    g = gateway(shards=8)
    clients = [JsonClient.greeted(g.http) for _ in range(24)]
    try:
        for ws in clients:
            ws.subscribe(*[f"c:{i:02}" for i in range(50)])
        for ws in clients[:5]:
            ws.subscribe("hot")
        with Http(g.http) as web:
            eventually(lambda: web.publish([{"channel": "hot", "data": 0}] * 500).status == 200 and top(g, "rate", limit=1)[0]["name"] == "hot", "it is the busiest")
        (hot,) = top(g, "rate", limit=1)
        assert hot["subscribers"] == 5 and hot["rate"] > 0
        for limit in (1, 5, 20, 100):
            rows = top(g, "subscribers", limit=limit)
            want = [(f"c:{i:02}", 24) for i in range(50)] + [("hot", 5)]
            # Of those with as many no others are left out than those that come last by name, where all have room.
            assert len(rows) == min(limit, 51) and {r["subscribers"] for r in rows[:50]} == {24}
            assert limit < 100 or [(r["name"], r["subscribers"]) for r in rows] == want
        assert [r["rate"] > 0 for r in rows] == [r["name"] == "hot" for r in rows]
    finally:
        for ws in clients:
            ws.drop()


def test_sorting_by_something_else_is_refused(g):
    for sort in ("name", "rate2", "%00"):
        assert rcapi.get(g, "/api/channels?sort=" + sort).status == 400
    assert rcapi.get(g, "/api/channels?sort=rate&limit=0").status == 400
    assert top(g, "rate") == [] == top(g, "subscribers")
