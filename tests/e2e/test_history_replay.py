# SPDX-License-Identifier: Apache-2.0
"""Replays: long ones, slow readers, under continuous publishing, of raw namespaces; and the budget of all histories."""
import contextlib
import json

import pytest

from deadline import SLOW, background
from rchistory import CHANNEL_POSITION, at, expect_back, fill, kept, payload, whole
from rcingest import Publisher, Wire, publish
from rcws import BINARY, TEXT
from swarm import Swarm

TWO_SHARDS = True
CHANNELS = [f"keep:{c}" for c in "abcd"]
MIB = 1 << 20


@contextlib.contextmanager
def publishing(g, channels, first, last, pad=60, window=400):
    """Events first … last to each of the channels, in a thread beside the test."""
    def work():
        with Publisher.greeted(g.ingest) as p:
            events = [(c, payload(n, pad)) for n in range(first, last + 1) for c in channels]
            p.stream(events, per_batch=20, window=window, timeout=60)
            assert not p.nacks, list(p.nacks.values())[:3]
    with background(work):
        yield


# ---- long and slow

@pytest.mark.deadline(150)
@pytest.mark.parametrize("policy", ["disconnect", "skip", "latest"])
def test_twenty_megabytes_are_replayed_at_the_readers_speed(gateway, publisher, reader, policy):
    """More than any frame, ring or lag allows; meanwhile others are served."""
    g = gateway(kept(lag_bytes="1MiB", lag_time="0", slow_policy=policy) | {"memory": "256MiB"})
    p, count = publisher(g), 20_000
    channel = "keep:long"
    fill(p, channel, count, pad=1000)
    quick = reader(g)
    quick.subscribe("keep:quick")
    slow = [reader(g, rcvbuf=4096) for _ in range(3)]
    for ws in slow:
        expect_back(ws, "beginning", channel)
    for n in range(count):
        if n % 2000 == 0:
            # The readers stand still; the others do not.
            p.publish("keep:quick", payload(n // 2000 + 1))
            assert quick.next_event()["offset"] == n // 2000 + 1
        for ws in slow:
            e = ws.next_event()
            assert e["offset"] == e["data"]["n"] == n + 1
    fill(p, channel, 10, first=count + 1)
    for ws in slow:
        assert whole(ws.take(10)) == list(range(count + 1, count + 11))
    assert g.counter("events_replayed") == 3 * count and g.counter("recoveries") == 3


@pytest.mark.deadline(120)
def test_a_replay_takes_no_more_memory_than_its_share(gateway, publisher, reader):
    """Twenty readers of one history who do not read: it is there once."""
    g = gateway(kept(lag_bytes="1MiB", lag_time="0") | {"memory": "128MiB", "history_memory": "48MiB"})
    p = publisher(g)
    fill(p, "keep:long", 12_000, pad=1000)
    before = g.gauge("arena_used_bytes")
    slow = [reader(g, rcvbuf=4096) for _ in range(20)]
    for ws in slow:
        expect_back(ws, "beginning", "keep:long")
    fill(p, "keep:other", 100)
    assert g.gauge("arena_used_bytes") - before < 20 * MIB
    for ws in slow:
        assert ws.next_event()["offset"] == 1


@pytest.mark.deadline(120)
def test_what_is_trimmed_under_a_reader_is_told_where_it_is_missing(gateway, publisher, reader):
    g = gateway(kept(history_bytes="4MiB", lag_bytes="1MiB", lag_time="0", slow_policy="skip") | {"memory": "64MiB"})
    p = publisher(g)
    for channel in CHANNELS:
        fill(p, channel, 3000, pad=1000)
        ws = reader(g, rcvbuf=4096)
        ws.say(type="subscribe", channels=[channel], since="beginning")
        ws.await_type("subscription-ack")
        fill(p, channel, 9000, first=3001, pad=1000)
        expected, reasons = None, set()
        while expected is None or expected <= 12_000:
            m = ws.recv_json()
            if m["type"] == "gap":
                assert m["channel"] == channel and m["reason"] in ("trimmed", "slow"), m
                behind = int(CHANNEL_POSITION.match(m["position"]).group(2))
                assert expected is None or behind >= expected, m
                expected = behind + 1
                reasons.add(m["reason"])
            else:
                assert m["type"] == "event", m
                assert expected is None or m["offset"] == expected, f"{m['offset']} without a word, where {expected} was due"
                assert m["data"]["n"] == m["offset"]
                expected = m["offset"] + 1
        assert reasons, "so much can't have been kept for it"
        ws.drop()


@pytest.mark.deadline(120)
@pytest.mark.parametrize("name", ["plain:{}", "small:{}", "plain:{}:*", "small:{}:*"])
def test_what_passes_while_a_replay_waits_for_its_reader_comes_or_is_told(gateway, publisher, reader, name):
    """Its first channel has much to replay; the others have missed nothing when they come back, and then do, of what is not kept."""
    small = {"history_size": "2", "history_bytes": "1KiB"}
    g = gateway(kept() | kept("small", **small) | {"namespace.plain.lag_bytes": "8MiB", "memory": "128MiB"})
    p = publisher(g)
    fill(p, "keep:big", 3000, pad=1000)
    for letter in "abcdef":
        one = name.format(letter)
        channel = one.replace("*", "x")
        first = reader(g)
        first.subscribe(one)
        position = "{}@{}".format(*p.publish(channel, payload(1)))
        position = first.next_event().get("position", position)
        ws = reader(g, rcvbuf=4096)
        ws.say(type="subscribe", channels=["keep:big", one], since={"keep:big": "beginning", one: position})
        assert ws.await_type("subscription-ack")["data"]["recovered"] == {"keep:big": True, one: True}
        fill(p, channel, 300, first=2, pad=1000)
        due, big = 2, 0
        while big < 3000 or due != 303:
            m = ws.recv_json()
            if m["type"] == "positions":
                continue  # with a heartbeat
            if m["type"] == "gap":
                assert m["channel"] == one and m["reason"] in ("trimmed", "slow"), m
                due = None
            elif m["channel"] == "keep:big":
                big += 1
                assert m["offset"] == big
                if big == 3000:
                    p.publish(channel, payload(302))
            else:
                assert due is None or m["offset"] == due, f"{m['offset']} without a word, {due} was due"
                due = m["offset"] + 1
        ws.drop()
        first.drop()


# ---- merged with what is live

@pytest.mark.tsan
@pytest.mark.deadline(150)
def test_under_continuous_publishing_there_is_no_gap_and_no_duplicate(gateway, publisher, reader):
    """Readers come back all the time, somewhere in the middle, while two publishers go on."""
    g = gateway(kept(lag_bytes="64MiB", lag_time="0") | {"memory": "512MiB"})
    count = 1500 if SLOW > 4 else 6000
    first = publisher(g)
    starts = {c: "{}@{}".format(*first.publish(c, payload(1))) for c in CHANNELS}
    with publishing(g, CHANNELS[:2], 2, count), publishing(g, CHANNELS[2:], 2, count):
        readers = {}
        for turn in range(8):
            channel = CHANNELS[turn % 4]
            ws = reader(g)
            # The first half from the start; the others from where an earlier one has come to.
            since = starts[channel] if turn < 4 else at(starts[channel], readers[turn - 4][1][-1])
            expect_back(ws, since, channel)
            readers[turn] = (ws, [int(since.partition("@")[2])])
            for _ in range(50):
                e = ws.next_event()
                readers[turn][1].append(e["offset"])
        for ws, got in readers.values():
            while got[-1] < count:
                got.append(ws.next_event(timeout=60)["offset"])
    for ws, got in readers.values():
        assert got == list(range(got[0], count + 1))
        ws.quiet()


@pytest.mark.deadline(150)
def test_many_channels_come_back_by_one_request_under_publishing(gateway, publisher, reader):
    g = gateway(kept(lag_bytes="64MiB", lag_time="0") | {"memory": "512MiB"})
    channels = [f"keep:{n}" for n in range(24)]
    count = 60 if SLOW > 4 else 250
    first = publisher(g)
    starts = {c: "{}@0".format(first.publish(c, payload(1))[0]) for c in channels}
    with publishing(g, channels, 2, count):
        for turn in range(5):
            ws = reader(g)
            data = ws.subscribe(*channels, since=starts)["data"]
            assert data["recovered"] == dict.fromkeys(channels, True), data
            got = {c: [] for c in channels}
            left = len(channels)
            while left:
                e = ws.next_event(timeout=60)
                got[e["channel"]].append(e["offset"])
                left -= e["offset"] == count
            assert got == {c: list(range(1, count + 1)) for c in channels}
            ws.quiet()


@pytest.mark.deadline(120)
def test_readers_who_are_dropped_in_the_middle_of_a_frame_come_back_where_they_were(gateway, publisher, reader):
    g = gateway(kept())
    p, count = publisher(g), 3000
    epoch, _ = p.publish("keep:a", payload(1, 3000))
    fill(p, "keep:a", count - 1, first=2, pad=3000)
    got, turn = [0], 0
    while got[-1] < count:
        turn += 1
        ws = reader(g, rcvbuf=4096)
        expect_back(ws, f"{epoch}@{got[-1]}", "keep:a")
        for _ in range(min(97 * turn, count - got[-1])):
            got.append(ws.next_event()["offset"])
        # Half of a frame's head or of its payload is there by now, or will be.
        ws.reset()
    assert got == list(range(count + 1)) and turn > 5
    g.until_counter("clients", 0)


@pytest.mark.deadline(120)
def test_a_thousand_come_back_at_once(gateway, publisher):
    g = gateway(kept())
    p = publisher(g)
    epoch, _ = p.publish("keep:a", payload(1))
    fill(p, "keep:a", 100, first=2)
    n = 200 if SLOW > 4 else 1000
    with Swarm(g.http) as swarm:
        members = swarm.open([f"/ws?channel=keep:a&since={epoch}@1"] * n)
        swarm.pump(lambda: all(len(m.messages) >= 101 for m in members), "every event has come", 60)
        for m in members:
            ack, *events = m.json()
            assert ack["data"]["recovered"] == {"keep:a": True}
            assert [e["offset"] for e in events] == list(range(2, 102))
    assert g.counter("recoveries") == n and g.counter("events_replayed") == 100 * n


# ---- raw namespaces

def test_a_raw_namespace_replays_the_publishers_bytes(gateway, publisher, reader):
    g = gateway(kept(raw="yes"))
    p = publisher(g)
    for channel in CHANNELS:
        ws = reader(g)
        start = ws.subscribe(channel)["data"]["positions"][channel]
        p.publish(channel, '{"price": 1.50}')
        p.publish(channel, '"two"')
        back = reader(g)
        back.say(type="subscribe", channels=[channel], since=start)
        assert json.loads(back.recv()[1])["data"]["recovered"] == {channel: True}
        assert [back.recv(), back.recv()] == [(TEXT, b'{"price": 1.50}'), (TEXT, b'"two"')]
        # From one in the middle.
        back.say(type="unsubscribe", channels=[channel])
        assert json.loads(back.recv()[1])["type"] == "unsubscription-ack"
        back.say(type="subscribe", channels=[channel], since=at(start, 1))
        assert json.loads(back.recv()[1])["data"]["positions"] == {channel: at(start, 1)}
        assert back.recv() == (TEXT, b'"two"')


def test_a_raw_namespace_replays_opaque_bytes_in_binary_messages(gateway, publisher, reader):
    g = gateway(kept(raw="yes"))
    p = publisher(g)
    p.publish("keep:a", "1")
    p.sequence += 1
    p.send_bytes(publish(p.sequence, "keep:a", b"\x00\x01\xff", flags=Wire.FLAG_WANT_ACK))
    p.settle()
    ws = reader(g)
    ws.say(type="subscribe", channels=["keep:a"], since="beginning")
    assert json.loads(ws.recv()[1])["data"]["recovered"] == {"keep:a": True}
    assert [ws.recv(), ws.recv()] == [(TEXT, b"1"), (BINARY, b"\x00\x01\xff")]


# ---- the budget

@pytest.mark.deadline(120)
def test_the_budget_of_all_histories_is_kept_and_the_oldest_go_first(gateway, publisher, reader):
    budget = 4 * MIB
    g = gateway(kept() | {"memory": "64MiB", "history_memory": "4MiB"})
    p = publisher(g)
    old = [f"keep:old:{n}" for n in range(8)]
    epochs = {c: p.publish(c, payload(1))[0] for c in old}
    # Everything of theirs is older than what follows, which is more than the budget of every shard.
    new = [f"keep:new:{n}" for n in range(16)]
    for c in new:
        epochs[c], _ = p.publish(c, payload(1, 1000))
    fill(p, new, 16 * 999, pad=1000)
    shards = len(g.counters_by_shard())
    assert g.gauge("log_bytes") <= budget + 16 * 65536 * shards
    for channel in old:
        ws = reader(g)
        expect_back(ws, f"{epochs[channel]}@0", channel, False, "trimmed")
        ws.quiet()
    kept_bytes = 0
    for channel in new:
        ws = reader(g)
        answer = ws.history(channel, limit=1)
        first, last = (int(answer[k].partition("@")[2]) for k in ("first", "position"))
        assert last == 1000 and 1 < first <= 1000, answer
        kept_bytes += (last - first + 1) * 1000
        expect_back(ws, f"{epochs[channel]}@{first - 1}", channel)
        assert [e["offset"] for e in ws.take(last - first + 1)] == list(range(first, last + 1))
        expect_back(reader(g), f"{epochs[channel]}@{first - 2}", channel, False, "trimmed")
    assert budget // 4 < kept_bytes <= budget, "used, and not more"


@pytest.mark.deadline(120)
def test_when_all_memory_is_history_who_is_slow_is_still_served(gateway, publisher, reader):
    """The budget is a part of the memory, so logs for lagging readers have theirs."""
    g = gateway(kept(lag_bytes="1MiB", lag_time="0") | {"memory": "64MiB", "history_memory": "16MiB"})
    p = publisher(g)
    fill(p, [f"keep:{n}" for n in range(50)], 40_000, pad=1000)
    ws = reader(g, rcvbuf=4096)
    ws.subscribe("plain:a")
    fill(p, "plain:a", 500, pad=1000)
    assert whole(ws.take(500)) == list(range(1, 501))
    assert not p.nacks


def test_histories_of_channels_that_nobody_reads_go_with_their_time(gateway, publisher):
    g = gateway(kept(history_ttl="3s", channel_ttl="0"))
    p = publisher(g)
    fill(p, [f"keep:{n}" for n in range(500)], 5000, pad=100)
    g.until_counter("log_bytes", lambda n: n > 0)
    g.until_counter("log_bytes", 0)
    g.until_counter("channels", 0)
