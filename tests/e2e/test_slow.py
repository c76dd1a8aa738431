# SPDX-License-Identifier: Apache-2.0
"""Subscribers that do not keep up: each policy does what it says, the others notice nothing, and memory stays where it is."""
import json

import pytest

from deadline import SLOW, Deadline, eventually
from rcgateway import resident
from rcws import TEXT, Closed, JsonClient

MIB = 1 << 20
PAD = "p" * 900

# What the kernel may hold for one connection: its send buffer here, its receive buffer there. Loopback grows them to some MiB.
IN_THE_KERNEL = 8 * MIB


def namespace(policy, **more):
    settings = {"lag_bytes": "256KiB", "lag_time": "0", "slow_policy": policy, **more}
    return {f"namespace.slow.{key}": value for key, value in settings.items()}


def lagging_client(g, *channels):
    """A subscriber with small buffers that reads nothing after its acknowledgement."""
    ws = JsonClient.greeted(g.http, "/ws", rcvbuf=4096)
    ws.subscribe(*channels)
    return ws


def flood(p, channel, first, count, key=None):
    """count events of 1 KiB, each with its number; returns the number behind the last."""
    p.stream([(channel, json.dumps({"n": n, "pad": PAD} | ({"key": f"k{n % key}"} if key else {}))) for n in range(first, first + count)],
             per_batch=50)
    assert not p.nacks
    return first + count


def flood_until(g, p, channel, counter, seconds=30):
    """Publishes until the counter grows. Returns how many events there were."""
    before, n = g.counter(counter), 1
    deadline = Deadline(seconds)
    while g.counter(counter) == before:
        deadline.left()
        n = flood(p, channel, n, 500)
    return n - 1


def test_who_is_behind_is_told_no_position_that_he_has_not_come_to(gateway, publisher):
    g = gateway(namespace("skip", lag_bytes="64MiB") | {"memory": "256MiB"})
    p, ws = publisher(g), lagging_client(g, "slow:a")
    last, deadline = flood(p, "slow:a", 1, 500) - 1, Deadline(30)
    while g.counter("sends_short") + g.counter("sends_eagain") == 0:
        deadline.left()
        last = flood(p, "slow:a", last + 1, 500) - 1
    ws.say(type="subscribe", id=7, channels=["slow:a"])
    ack = ws.await_type("subscription-ack")
    assert ack["id"] == 7 and ack["data"]["channels"] == ["slow:a"] and ack["data"].get("positions", {}) == {}
    while ws.next_event()["offset"] < last:
        pass
    ws.say(type="subscribe", id=8, channels=["slow:a"])
    assert ws.await_type("subscription-ack")["data"]["positions"]["slow:a"].endswith(f"@{last}")


def read_to_close(ws, timeout=30):
    """(messages, close) of everything that is still there."""
    messages = []
    try:
        while True:
            opcode, payload = ws.recv(timeout=timeout)
            assert opcode == TEXT
            messages.append(json.loads(payload))
    except Closed as e:
        return messages, e


def assert_whole(event):
    """The frame was not cut: what stands in it fits together."""
    assert event["data"]["n"] == event["offset"] and event["data"]["pad"] == PAD


# ---- disconnect

@pytest.mark.tsan
@pytest.mark.deadline(120)
def test_disconnect_a_client_that_never_reads_is_closed_with_4101(gateway, publisher, connect):
    g = gateway(namespace("disconnect"))
    p, good = publisher(g), connect(g)
    good.subscribe("quick")
    slow = lagging_client(g, "slow:a")
    with slow:
        total = flood_until(g, p, "slow:a", "lag_disconnects")
        # It is told why, behind what was already under way to it; then, and not before, the end.
        messages, closed = read_to_close(slow)
        assert closed.code == 4101 and closed.reason
        events = [m for m in messages if m["type"] == "event"]
        assert [e["offset"] for e in events] == list(range(1, len(events) + 1)), "up to the close there is no hole"
        assert len(events) < total
        for e in events:
            assert_whole(e)
    p.publish("quick", "1")
    assert good.next_event()["data"] == 1
    assert g.counter("close_too_slow") == 1 and g.counter("lag_disconnects") == 1
    g.until_counter("clients", 1)


def test_disconnect_by_time_a_client_that_is_behind_for_too_long_is_closed(gateway, publisher, connect):
    g = gateway(namespace("disconnect", lag_bytes="64MiB", lag_time="1s") | {"memory": "512MiB"})
    p = publisher(g)
    slow = lagging_client(g, "slow:a")
    with slow:
        # Fills what the kernel holds, then stays far below the bound in bytes.
        n = 1
        deadline = Deadline(30)
        while g.counter("sends_eagain") + g.counter("sends_short") == 0:
            deadline.left()
            n = flood(p, "slow:a", n, 500)
        eventually(lambda: p.publish("slow:a", json.dumps({"n": n})) and g.counter("lag_disconnects"), "the client is closed for lagging", 30)
        _, closed = read_to_close(slow)
        assert closed.code == 4101


def test_disconnect_a_client_that_resumes_within_its_bounds_loses_nothing(gateway, publisher):
    g = gateway(namespace("disconnect", lag_bytes="32MiB") | {"memory": "512MiB"})
    p = publisher(g)
    slow = lagging_client(g, "slow:a")
    with slow:
        last = flood(p, "slow:a", 1, 12000) - 1
        for n in range(1, last + 1):
            e = slow.next_event()
            assert e["offset"] == n
            assert_whole(e)


# ---- skip

@pytest.mark.tsan
@pytest.mark.deadline(120)
def test_skip_the_gap_is_told_and_the_stream_goes_on_with_the_newest(gateway, publisher, connect):
    g = gateway(namespace("skip"))
    p = publisher(g)
    slow = lagging_client(g, "slow:a")
    with slow:
        total = flood_until(g, p, "slow:a", "lag_skips")
        total = flood(p, "slow:a", total + 1, 3000) - 1
        # It reads again: whole events, gaps told exactly where they are, and at last the newest.
        p.publish("slow:a", json.dumps({"n": total + 1, "pad": PAD}))
        expected, gaps = 1, 0
        while expected <= total + 1:
            m = slow.recv_json(timeout=30)
            if m["type"] == "gap":
                gaps += 1
                assert m["channel"] == "slow:a" and m["missed"] > 0
                epoch, offset = m["position"].split("@")
                # The position is that of the last missed event: the next one follows it.
                assert int(offset) == expected + m["missed"] - 1, f"{m} where {expected} was due"
                expected = int(offset) + 1
            else:
                assert m["type"] == "event" and m["offset"] == expected, f"{m['offset']} without a gap notice, {expected} was due"
                assert_whole(m)
                expected += 1
        assert gaps >= 1
        # From here on it keeps up, and there are no more gaps.
        for n in range(total + 2, total + 52):
            p.publish("slow:a", json.dumps({"n": n, "pad": PAD}))
            assert slow.next_event()["offset"] == n
    assert g.counter("gaps_sent") == gaps and g.counter("events_skipped") > 0
    assert g.counter("lag_disconnects") == 0


def test_skip_of_one_channel_leaves_the_clients_other_channels_whole(gateway, publisher):
    g = gateway(namespace("skip") | {"namespace.calm.lag_bytes": "4MiB", "namespace.calm.lag_time": "0"})
    p = publisher(g)
    slow = lagging_client(g, "slow:a", "calm:b")
    with slow:
        for n in range(1, 21):
            p.publish("calm:b", json.dumps(n))
        total = flood_until(g, p, "slow:a", "lag_skips")
        for n in range(21, 41):
            p.publish("calm:b", json.dumps(n))
        calm, last = [], 0
        while len(calm) < 40 or last < total:
            m = slow.recv_json(timeout=30)
            if m["type"] == "gap":
                assert m["channel"] == "slow:a"
                last = int(m["position"].split("@")[1])
            elif m["channel"] == "calm:b":
                calm.append(m["data"])
            else:
                assert m["offset"] == last + 1
                last = m["offset"]
        assert calm == list(range(1, 41))


# ---- latest

@pytest.mark.deadline(120)
def test_latest_only_the_newest_is_kept(gateway, publisher):
    g = gateway(namespace("latest"))
    p = publisher(g)
    slow = lagging_client(g, "slow:a")
    with slow:
        total = flood_until(g, p, "slow:a", "lag_conflations")
        total = flood(p, "slow:a", total + 1, 3000) - 1
        offsets = []
        while not offsets or offsets[-1] < total:
            m = slow.recv_json(timeout=30)
            if m["type"] == "event":
                assert_whole(m)
                offsets.append(m["offset"])
        assert offsets == sorted(set(offsets)), "never backwards, never twice"
        assert len(offsets) < total
        # It goes on from there.
        p.publish("slow:a", json.dumps({"n": total + 1, "pad": PAD}))
        assert slow.next_event()["offset"] == total + 1


@pytest.mark.deadline(120)
def test_latest_with_a_key_keeps_the_newest_of_each(gateway, publisher):
    keys = 10
    g = gateway(namespace("latest", slow_key="key"))
    p = publisher(g)
    slow = lagging_client(g, "slow:a")
    with slow:
        before, n = g.counter("lag_conflations"), 1
        deadline = Deadline(30)
        while g.counter("lag_conflations") == before:
            deadline.left()
            n = flood(p, "slow:a", n, 500, key=keys)
        total = flood(p, "slow:a", n, 3000, key=keys) - 1
        newest, count = {}, 0
        while len(newest) < keys or min(newest.values()) <= total - keys:
            m = slow.recv_json(timeout=30)
            if m["type"] != "event":
                continue
            assert_whole(m)
            count += 1
            key = m["data"]["key"]
            assert m["offset"] > newest.get(key, 0), "of one key never backwards"
            newest[key] = m["offset"]
        # Each key came to its last state, by far fewer events than there were.
        assert newest == {f"k{i % keys}": i for i in range(total - keys + 1, total + 1)}
        assert count < total


# ---- what it costs the others

@pytest.mark.deadline(180)
@pytest.mark.parametrize("policy", ["disconnect", "skip", "latest"])
def test_clients_that_never_read_cost_a_bounded_amount_and_slow_nobody(gateway, publisher, policy):
    g = gateway(namespace(policy, lag_bytes="1MiB") | {"memory": "64MiB"})
    p = publisher(g)
    reader = JsonClient.greeted(g.http, "/ws")
    with reader:
        reader.subscribe("slow:a")
        sleepers = [lagging_client(g, "slow:a") for _ in range(30)]
        before, n, seen = 0, 1, 0
        for step in range(82):
            # In steps, so that the one who reads is never behind by more than the bound.
            n = flood(p, "slow:a", n, 250)
            while seen < n - 1:
                e = reader.next_event(timeout=30)
                assert_whole(e)
                # "latest" may leave out what was under way to a full socket; the others leave out nothing.
                assert e["offset"] > seen if policy == "latest" else e["offset"] == seen + 1
                seen = e["offset"]
            if step == 1:
                before = g.rss()
        grown = g.rss() - before
        assert grown < resident(8), f"20 MiB went by 30 clients that do not read, and {grown >> 10} KiB stayed"
        assert g.counter("log_bytes") <= 2 * MIB * len(g.counters_by_shard())
        for ws in sleepers:
            ws.drop()
        p.publish("slow:a", json.dumps({"n": n, "pad": PAD}))
        assert reader.next_event()["offset"] == n
        g.until_counter("clients", 1)


def test_a_client_that_asks_and_never_reads_the_answers_is_closed(gateway, connect):
    g = gateway({"output_max": "16KiB"})
    other = connect(g)
    with JsonClient.greeted(g.http, "/ws", rcvbuf=4096) as ws:
        ws.sock.settimeout(10 * SLOW)
        raw = b""
        for i in range(2000):
            raw += b"\x81\xfe\x01\x00\0\0\0\0" + json.dumps({"type": "subscribe", "channels": ["b:%d" % (i % 50)], "id": "x"}).ljust(256).encode()
        deadline = Deadline(40)
        try:
            while g.counter("clients") == 2 and g.counter("output_overflows") == 0:
                deadline.left()
                ws.sock.sendall(raw)
                other.barrier()
        except OSError:
            pass
        _, closed = read_to_close(ws)
        assert closed.code in (4101, None)
    g.until_counter("clients", 1)
    other.barrier()
    assert g.counter("output_overflows") >= 1


def test_the_kernel_is_not_filled_for_a_client_that_does_not_read(gateway, publisher):
    g = gateway(namespace("skip", lag_bytes="16MiB") | {"memory": "256MiB", "notsent_lowat": "16KiB"})
    p = publisher(g)
    slow = lagging_client(g, "slow:a")
    with slow:
        flood(p, "slow:a", 1, 10000)
        # TCP_NOTSENT_LOWAT leaves the backlog in the log, where it is shared: little of these 10 MiB went out.
        g.until_counter("events_appended", lambda n: n >= 10000)
        assert g.counter("send_bytes") < IN_THE_KERNEL
