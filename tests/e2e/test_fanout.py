# SPDX-License-Identifier: Apache-2.0
"""One event to many: every subscriber gets the same bytes, in one order, without a hole, whatever comes and goes around it."""
import json
import random
import threading

import pytest

import rcws
from deadline import SLOW, background
from rcgateway import resident
from rcingest import Publisher
from swarm import Swarm



SMALL_PAGE = 16384


def kept_pages(g):
    """Each of the twelve sizes of small objects may keep one empty page on each shard."""
    return 12 * SMALL_PAGE * len(g.counters_by_shard())


def publishing(g, events, ident="", **options):
    def work():
        with Publisher.greeted(g.ingest, ident) as p:
            p.stream(events, timeout=60, **options)
            assert not p.nacks, list(p.nacks.values())[:3]
    return background(work)


def events_only(member):
    return [m for m in member.messages if m.startswith(b'{"type":"event"')]


def channel_of(raw):
    # {"type":"event","channel":"NAME", …
    return raw.split(b'"', 8)[7].decode()


def by_channel(member):
    got = {}
    for raw in events_only(member):
        got.setdefault(channel_of(raw), []).append(raw)
    return got


def offsets(raws):
    return [json.loads(r)["offset"] for r in raws]


def subscribe_all(swarm, wanted, timeout=60):
    """wanted: {member: [channels]}; returns when each subscribe is acknowledged."""
    acks = {}
    for m, names in wanted.items():
        for i in range(0, len(names), 250):
            swarm.say(m, type="subscribe", channels=names[i:i + 250])
        acks[m] = len(m.messages) + (len(names) + 249) // 250
    swarm.pump(lambda: all(len(m.messages) >= n for m, n in acks.items()), "every subscribe is acknowledged", timeout)
    for m in wanted:
        for raw in m.messages:
            assert raw.startswith(b'{"type":"subscription-ack"'), raw[:200]
        m.messages.clear()


# ---- many clients, many channels

@pytest.mark.tsan
@pytest.mark.deadline(150)
def test_many_clients_of_many_channels_each_get_every_event_in_order_and_byte_for_byte(gateway):
    g = gateway()
    clients, channels, per_client, each = (60, 10, 3, 100) if SLOW > 4 else (200, 20, 5, 250)
    rng = random.Random(1)
    with Swarm(g.http) as swarm:
        members = swarm.open(["/ws"] * clients)
        wanted = {m: rng.sample([f"room:{c}" for c in range(channels)], per_client) for m in members}
        subscribe_all(swarm, wanted)
        events = [(f"room:{i % channels}", json.dumps({"n": i, "pad": "x" * rng.randrange(200)})) for i in range(channels * each)]
        with publishing(g, events[::2], "a"), publishing(g, events[1::2], "b", per_batch=13):
            swarm.pump(lambda: all(len(m.messages) == each * per_client for m in members), "every event has come", 100)
        reference = {}
        for m in members:
            got = by_channel(m)
            assert set(got) == set(wanted[m])
            for channel, raws in got.items():
                if channel not in reference:
                    assert offsets(raws) == list(range(1, each + 1))
                    reference[channel] = raws
                assert raws == reference[channel], "the same bytes for everybody"
        if len(g.counters_by_shard()) > 1:
            assert all(s["clients"] > 0 for s in g.counters_by_shard()), "both shards have clients"
        assert g.counter("deliveries") >= clients * per_client * each
        assert g.counter("events_published") == channels * each


@pytest.mark.deadline(120)
def test_a_thousand_subscribers_of_one_channel(gateway):
    g = gateway()
    n, events, idle = 1000, 100, g.gauge("arena_used_bytes")
    with Swarm(g.http) as swarm:
        members = swarm.open(["/ws?channel=big"] * n)
        swarm.pump(lambda: all(len(m.messages) == 1 for m in members), "every subscribe is acknowledged")
        with publishing(g, [("big", str(i)) for i in range(events)]):
            swarm.pump(lambda: all(len(m.messages) == 1 + events for m in members), "every event has come", 60)
        first = events_only(members[0])
        assert offsets(first) == list(range(1, events + 1))
        assert all(events_only(m) == first for m in members)
        # What nobody has still to get takes no memory.
        g.until_counter("log_bytes", 0)
        g.until_counter("arena_used_bytes", lambda n: n <= idle + kept_pages(g))


def test_one_event_at_a_time_reaches_everybody_at_once(gateway, publisher):
    g = gateway()
    p = publisher(g)
    with Swarm(g.http) as swarm:
        members = swarm.open(["/ws?channel=single"] * 50)
        swarm.pump(lambda: all(len(m.messages) == 1 for m in members), "every subscribe is acknowledged")
        for i in range(1, 101):
            # Nothing follows that could push the event out.
            p.publish("single", str(i))
            swarm.pump(lambda: all(len(m.messages) == 1 + i for m in members), f"event {i} has come")


def test_a_client_with_a_thousand_channels(gateway, connect, publisher):
    g = gateway()
    ws, p = connect(g), publisher(g)
    names = [f"user:{i}" for i in range(1000)]
    ack = ws.subscribe(*names)
    assert ack["data"]["channels"] == names and len(ack["data"]["positions"]) == 1000
    order = names * 5
    random.Random(2).shuffle(order)
    with publishing(g, [(name, "1") for name in order]):
        got = {}
        for _ in order:
            e = ws.next_event(timeout=60)
            got.setdefault(e["channel"], []).append(e["offset"])
    assert got == {name: [1, 2, 3, 4, 5] for name in names}
    ws.say(type="subscribe", channels="one:more")
    assert ws.await_type("error")["code"] == "limit_exceeded"
    ws.unsubscribe()
    p.publish("user:0")
    ws.barrier()
    assert ws.events == []


def test_a_subscribe_as_large_as_a_message_may_be(gateway, connect):
    ws = connect(gateway())
    names = [f"{i:04d}" + "x" * 54 for i in range(1000)]
    assert len(json.dumps({"type": "subscribe", "channels": names})) < 65536
    assert ws.subscribe(*names)["data"]["channels"] == names
    ws.barrier()


@pytest.mark.deadline(180)
def test_per_user_channels_with_one_subscriber_each(gateway):
    connections, each = (5, 1000) if SLOW > 4 else (20, 1000)
    total = connections * each
    g = gateway({"namespace.channel_ttl": "100ms"})
    with Swarm(g.http) as swarm:
        members = swarm.open(["/ws"] * connections)
        idle = g.gauge("arena_used_bytes")
        mine = {m: [f"user:{m.index}-{i}" for i in range(each)] for m in members}
        subscribe_all(swarm, mine)
        g.until_counter("subscriptions", total)
        assert g.counter("channels") >= total
        for turn in range(1, 3):
            names = [name for m in members for name in mine[m]]
            random.Random(turn).shuffle(names)
            with publishing(g, [(name, json.dumps(name)) for name in names], per_batch=50):
                swarm.pump(lambda: all(len(m.messages) == each for m in members), "every event has come", 100)
            for m in members:
                got = sorted((e["channel"], e["offset"], e["data"]) for e in m.json())
                assert got == sorted((name, turn, name) for name in mine[m])
                m.messages.clear()
        # An idle channel holds no memory for its log, only its name, with its owner and where its subscriber is. The counter is set every
        # second, so what it says now may be older than the channels.
        g.until_counter("log_bytes", 0)
        names = 2 * 16 * total
        g.until_counter("arena_used_bytes", lambda n: idle + names // 2 < n <= idle + names + kept_pages(g))
        for m in members:
            swarm.say(m, type="unsubscribe")
        swarm.pump(lambda: all(m.of_type("unsubscription-ack") for m in members), "every unsubscribe is acknowledged", 60)
        g.until_counter("subscriptions", 0)
        g.until_counter("channels", 0)
        counters = g.stat()["counters"]
        assert counters.get("channels", 0) == 0 and counters.get("subscriptions", 0) == 0
        assert counters["clients"] == connections


@pytest.mark.deadline(120)
def test_channels_that_come_and_go_give_their_memory_back(gateway):
    g = gateway({"namespace.channel_ttl": "100ms"})
    rounds, per_round = 8, 2000
    with Swarm(g.http) as swarm:
        m, = swarm.open(["/ws"])
        levels = []
        for turn in range(rounds):
            # Of four sets of names, so that after a few rounds no page of a hash table is new.
            names = [f"turn:{turn % 4}-{i}" for i in range(500)]
            swarm.say(m, type="subscribe", channels=names)
            swarm.pump(lambda: m.of_type("subscription-ack"), "the subscribe is acknowledged")
            m.messages.clear()
            with publishing(g, [(names[i % 500], "1") for i in range(per_round)], per_batch=100):
                swarm.pump(lambda: len(m.messages) == per_round, "every event has come", 60)
            m.messages.clear()
            swarm.say(m, type="unsubscribe")
            swarm.pump(lambda: m.of_type("unsubscription-ack"), "the unsubscribe is acknowledged")
            m.messages.clear()
            g.until_counter("channels", 0)
            # The first rounds touch for the first time what was reserved at start: tables and rings.
            if turn >= rounds - 4:
                levels.append((g.gauge("arena_used_bytes"), g.rss()))
        # An empty page may stay with a size that a round is the first to need. 500 channels that each left the smallest object would take a page
        # in each of the three rounds.
        growth = levels[-1][0] - levels[0][0]
        assert growth <= 2 * SMALL_PAGE, f"arena in use after each round: {[a for a, _ in levels]}"
        # What is touched for the first time comes now and then, a leak in each round: 2,000 events that each left 200 bytes would be seen.
        growth = [after[1] - before[1] for before, after in zip(levels, levels[1:])]
        assert 3 * min(growth) < resident(1), f"resident after each round: {[r for _, r in levels]}"


# ---- patterns

@pytest.mark.deadline(120)
def test_patterns_and_channels_side_by_side(gateway):
    g = gateway()
    with Swarm(g.http) as swarm:
        plain = swarm.open(["/ws"] * 10)
        level = swarm.open(["/ws"] * 10)
        deep = swarm.open(["/ws"] * 10)
        subscribe_all(swarm, {**{m: ["shop:1:price"] for m in plain}, **{m: ["shop:*:price"] for m in level},
                              **{m: ["shop:**"] for m in deep}})
        events = [(f"shop:{i % 5}:{('price', 'stock')[i % 2]}", str(i)) for i in range(1000)]
        counts = {id(m): sum(c == "shop:1:price" for c, _ in events) for m in plain}
        counts |= {id(m): sum(c.endswith("price") for c, _ in events) for m in level} | {id(m): 1000 for m in deep}
        with publishing(g, events):
            swarm.pump(lambda: all(len(m.messages) == counts[id(m)] for m in plain + level + deep), "every event has come", 60)
        reference = by_channel(deep[0])
        assert sum(len(r) for r in reference.values()) == 1000
        for m in plain + level + deep:
            for channel, raws in by_channel(m).items():
                assert offsets(raws) == list(range(1, 101))
                assert raws == reference[channel]


def test_a_pattern_over_thousands_of_channels_costs_its_subscriber_one_place(gateway, connect):
    g = gateway({"max_channels_per_client": 2, "namespace.all.lag_bytes": "16MiB"})
    ws = connect(g)
    ws.subscribe("all:**")
    n = 5000
    with publishing(g, [(f"all:{i}:{i % 3}", "1") for i in range(n)], per_batch=100):
        got = {ws.next_event(timeout=60)["channel"] for _ in range(n)}
    assert len(got) == n


# ---- coming and going in the middle of a stream

@pytest.mark.tsan
@pytest.mark.deadline(120)
def test_a_stream_joined_in_the_middle_begins_at_the_position_and_ends_at_the_unsubscribe(gateway, connect, publisher):
    g = gateway()
    ws = connect(g)
    stop = threading.Event()

    def stream():
        with Publisher.greeted(g.ingest, "endless") as p:
            while not stop.is_set():
                p.stream([("mid:stream", "1")] * 20)

    with background(stream):
        try:
            for _ in range(60):
                position = ws.subscribe("mid:stream")["data"]["positions"]["mid:stream"]
                first = int(position.split("@")[1]) + 1
                for n in range(first, first + 25):
                    assert ws.next_event()["offset"] == n
                ws.unsubscribe("mid:stream")
                tail = [e["offset"] for e in ws.events]
                assert tail == list(range(first + 25, first + 25 + len(tail)))
                ws.events.clear()
                ws.barrier()
                assert ws.events == [], "nothing comes after the acknowledgement"
        finally:
            stop.set()


@pytest.mark.deadline(120)
def test_clients_that_come_and_go_do_not_disturb_those_who_stay(gateway):
    g = gateway()
    total = 3000
    rng = random.Random(3)
    with Swarm(g.http) as swarm:
        stay = swarm.open(["/ws?channel=stay:a&channel=stay:b"] * 20)
        swarm.pump(lambda: all(len(m.messages) == 1 for m in stay), "every subscribe is acknowledged")
        with publishing(g, [("stay:a" if i % 2 else "stay:b", str(i)) for i in range(total)], per_batch=5, window=50):
            visitors = []
            while not all(len(m.messages) == 1 + total for m in stay):
                visitors += swarm.open(["/ws?channel=stay:a", "/ws?channel=stay:*"] * 3)
                for m in rng.sample(visitors, min(len(visitors), 4)):
                    visitors.remove(m)
                    swarm.leave(m, reset=rng.random() < 0.5)
                if len(swarm.order) > 2000:
                    break
            swarm.pump(lambda: all(len(m.messages) == 1 + total for m in stay), "every event has come", 60)
        for m in stay:
            for raws in by_channel(m).values():
                assert offsets(raws) == list(range(1, total // 2 + 1))
        for m in visitors:
            for raws in by_channel(m).values():
                seen = offsets(raws)
                assert seen == list(range(seen[0], seen[0] + len(seen))), "whoever joins gets no hole"


# ---- sizes

def test_events_of_every_size_side_by_side(gateway, publisher):
    g = gateway({"namespace.lag_bytes": "32MiB", "memory": "512MiB"})
    rng = random.Random(4)
    sizes = [0, 1, 60, 100, 125, 126, 127, 1000, 65000, 65400] + [rng.randrange(65000) for _ in range(150)]
    with Swarm(g.http) as swarm:
        members = swarm.open(["/ws?channel=sizes"] * 10)
        swarm.pump(lambda: all(len(m.messages) == 1 for m in members), "every subscribe is acknowledged")
        with publishing(g, [("sizes", json.dumps("z" * n)) for n in sizes]):
            swarm.pump(lambda: all(len(m.messages) == 1 + len(sizes) for m in members), "every event has come", 60)
        first = events_only(members[0])
        assert [len(json.loads(r)["data"]) for r in first] == sizes
        assert all(events_only(m) == first for m in members)


@pytest.mark.deadline(120)
def test_a_reader_slower_than_the_stream_but_within_its_lag_gets_everything(gateway, connect):
    g = gateway({"namespace.lag_bytes": "64MiB", "namespace.lag_time": "0", "memory": "512MiB"})
    ws = rcws.JsonClient.greeted(g.http, "/ws", rcvbuf=4096)
    with ws:
        ws.subscribe("patient")
        n = 3000
        # All of it is taken before a byte is read: only the cursor waits.
        with publishing(g, [("patient", json.dumps([i, "p" * (i % 3000)])) for i in range(n)], per_batch=20):
            pass
        for i in range(n):
            e = ws.next_event(timeout=60)
            assert (e["offset"], e["data"][0], len(e["data"][1])) == (i + 1, i, i % 3000)
    g.until_counter("log_bytes", 0)


@pytest.mark.deadline(120)
def test_more_than_the_rings_between_shards_hold_goes_through_without_loss(gateway, connect):
    g = gateway({"ring_bytes": "64KiB", "max_message": "4KiB", "namespace.lag_bytes": "64MiB", "namespace.lag_time": "0",
                 "memory": "512MiB"})
    clients = [connect(g) for _ in range(4)]
    channels = [f"through:{i}" for i in range(8)]
    for ws in clients:
        ws.subscribe(*channels)
    n = 6000
    with publishing(g, [(channels[i % 8], json.dumps("r" * 3000)) for i in range(n // 2)], "a"), \
            publishing(g, [(channels[i % 8], json.dumps("r" * 3000)) for i in range(n // 2)], "b", per_batch=20):
        for ws in clients:
            got = {}
            for _ in range(n):
                e = ws.next_event(timeout=60)
                got.setdefault(e["channel"], []).append(e["offset"])
            assert got == {c: list(range(1, n // 8 + 1)) for c in channels}
