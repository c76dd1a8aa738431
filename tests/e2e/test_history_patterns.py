# SPDX-License-Identifier: Apache-2.0
"""Stream positions: recovery of patterns, of many channels by one position, and of those to whom nothing was sent for long."""
import pytest

from deadline import SLOW, Deadline
from rchistory import STREAM_POSITION, expect_back, fill, kept, not_before, payload, vector
from rcws import JsonClient
from test_history_replay import publishing

PATTERN = "keep:*"
CHANNELS = [f"keep:{c}" for c in "abcdef"]


def by_channel(events):
    """{channel: offsets in the order in which they came}; each has its position, as the last field, and they only grow."""
    got, last = {}, None
    for e in events:
        assert STREAM_POSITION.match(e["position"]) and e["raw"].endswith(b',"position":"%s"}' % e["position"].encode()), e["raw"]
        assert last is None or not_before(e["position"], last) and e["position"] != last, "each event is further than the one before"
        last = e["position"]
        got.setdefault(e["channel"], []).append(e["offset"])
    return got


def expected(first, last, channels=CHANNELS):
    return {c: list(range(first, last + 1)) for c in channels}


def next_positions(ws, pattern=PATTERN):
    """The next `positions` message."""
    return ws.await_type("positions")["positions"][pattern]


@pytest.mark.tsan
def test_a_pattern_comes_back_at_every_event_of_its_own(gateway, publisher, reader):
    g = gateway(kept())
    p, live = publisher(g), reader(g)
    live.subscribe(PATTERN)
    fill(p, CHANNELS, 60)
    events = live.take(60)
    reference = by_channel(events)
    assert reference == expected(1, 10)
    for n in (0, 1, 7, 30, 58, 59):
        ws = reader(g)
        ack = expect_back(ws, events[n]["position"], PATTERN)
        assert ack["positions"] == {PATTERN: events[n]["position"]}
        back = ws.take(59 - n)
        # Shards are independent, so another order between channels is as right; within each there is one.
        seen = by_channel(events[:n + 1])
        for channel, offsets in by_channel(back).items():
            assert offsets == reference[channel][len(seen.get(channel, [])):]
        ws.quiet()
    assert g.counter("recoveries") == 6 and g.counter("events_replayed") == sum(59 - n for n in (0, 1, 7, 30, 58, 59))


def test_a_pattern_from_where_it_was_subscribed(gateway, publisher, reader):
    """Also channels that were not there then."""
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    fill(p, "keep:z", 5)
    start = ws.subscribe(PATTERN)["data"]["positions"][PATTERN]
    ws.drop()
    fill(p, CHANNELS, 18)
    fill(p, "keep:z", 2, first=6)
    back = reader(g)
    expect_back(back, start, PATTERN)
    assert by_channel(back.take(20)) == expected(1, 3) | {"keep:z": [6, 7]}
    fill(p, CHANNELS, 6)
    assert by_channel(back.take(6)) == expected(4, 4)
    back.quiet()


def test_one_position_is_good_for_any_set_of_channels(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    fill(p, CHANNELS, 12)
    position = ws.subscribe("**")["data"]["positions"]["**"]
    fill(p, CHANNELS, 12)
    back = reader(g)
    data = back.subscribe(*CHANNELS, PATTERN, since=position)["data"]
    assert data["recovered"] == dict.fromkeys([*CHANNELS, PATTERN], True)
    # Each comes for its channel and for the pattern.
    got = back.take(24)
    assert by_channel([e for e in got if "position" in e]) == expected(3, 4)
    plain = {}
    for e in got:
        if "position" not in e:
            plain.setdefault(e["channel"], []).append(e["offset"])
    assert plain == expected(3, 4)
    fill(p, CHANNELS, 6)
    assert sorted((e["channel"], e["offset"], "position" in e) for e in back.take(12)) == [(c, 5, b) for c in CHANNELS for b in (False, True)]
    back.quiet()


@pytest.mark.parametrize("wish", [{"window": 600000}, {"rate": 0.01}], ids=["window", "rate"])
def test_positions_never_stand_behind_what_is_kept_back(gateway, publisher, wish):
    g = gateway(kept() | {"heartbeat": "200ms"})
    with publisher(g) as p, JsonClient.greeted(g.http) as ws, JsonClient.greeted(g.http) as plain:
        ws.subscribe("keep:*", **wish)
        ws.subscribe("other:*")
        plain.subscribe("keep:*")
        p.stream([("keep:a", "1"), ("keep:a", "2")])
        _, second = plain.next_event(), plain.next_event()
        while (m := ws.await_type("positions", "event"))["type"] == "event" or not not_before(m["positions"]["other:*"], second["position"]):
            pass
        assert "keep:*" not in m["positions"], "who comes back with it would never see the second event"


def test_positions_move_on_with_heartbeats_while_nothing_comes(gateway, publisher, reader):
    g = gateway(kept() | {"heartbeat": "200ms"})
    p, ws = publisher(g), reader(g)
    ws.subscribe("keep:idle:*", "keep:mine")
    before = next_positions(ws, "keep:idle:*")
    # Others are busy, on every shard.
    fill(p, CHANNELS, 300)
    deadline = Deadline(20)
    while sum(vector(before)[1]) < 300:
        message = ws.await_type("positions")
        assert message["timestamp"].endswith("Z") and set(message["positions"]) == {"keep:idle:*"}, message
        after = message["positions"]["keep:idle:*"]
        assert not_before(after, before)
        before = after
        deadline.left()
    ws.drop()
    # The first publisher has not answered the gateway's pings meanwhile.
    fill(publisher(g), "keep:idle:x", 2)
    back = reader(g)
    expect_back(back, before, "keep:idle:*")
    assert by_channel(back.take(2)) == {"keep:idle:x": [1, 2]}


def test_no_position_passes_by_what_a_window_or_a_rate_holds_back(gateway, publisher, reader):
    g = gateway(kept() | {"heartbeat": "500ms"})
    for ways in ({"window": 3_600_000}, {"rate": 0.001, "key": "n"}):
        p, ws, plain = publisher(g), reader(g), reader(g)
        start = ws.subscribe("keep:held:*", **ways)["data"]["positions"]["keep:held:*"]
        plain.subscribe("keep:held:*")
        # Of a rate the first comes at once, and the second waits.
        for _ in range(2):
            p.publish("keep:held:a", '{"n":1}')
            last = plain.next_event()["position"]
        plain.drop()
        other = reader(g)
        other.subscribe("keep:held:*")
        for _ in range(2):
            assert not_before(next_positions(other, "keep:held:*"), last)
            # It is pinged meanwhile, and answers here.
            ws.barrier()
        told = ws.positions.get("keep:held:*", start)
        assert not_before(last, told) and told != last, (ways, told, last)
        ws.drop()
        other.drop()


def test_idle_for_longer_than_anything_is_kept_and_still_recovered(gateway, publisher, reader):
    """What a pattern has not missed can be trimmed as often as it wants."""
    g = gateway(kept(history_size=3) | {"heartbeat": "200ms"})
    p, ws = publisher(g), reader(g)
    start = ws.subscribe("keep:idle:*")["data"]["positions"]["keep:idle:*"]
    fill(p, CHANNELS, 600)
    fill(p, "keep:idle:x", 2)
    ws.take(2)
    back = reader(g)
    expect_back(back, start, "keep:idle:*")
    assert by_channel(back.take(2)) == {"keep:idle:x": [1, 2]}
    back.quiet()


def test_a_pattern_of_which_one_channel_was_trimmed_is_told_so(gateway, publisher, reader):
    g = gateway(kept(history_size=5))
    p, ws = publisher(g), reader(g)
    start = ws.subscribe(PATTERN)["data"]["positions"][PATTERN]
    fill(p, "keep:a", 3)
    # More than a chunk holds, so that the first ones are really gone.
    fill(p, "keep:b", 300, pad=2000)
    back = reader(g)
    ack = expect_back(back, start, PATTERN, False, "trimmed")
    now = ack["positions"][PATTERN]
    assert not_before(now, start)
    back.quiet()
    fill(p, CHANNELS, 6)
    assert {c: len(v) for c, v in by_channel(back.take(6)).items()} == dict.fromkeys(CHANNELS, 1)
    # With the present one it can go on.
    last = reader(g)
    expect_back(last, now, PATTERN)
    assert len(last.take(6)) == 6
    last.quiet()


def test_beginning_of_a_pattern(gateway, publisher, reader):
    g = gateway(kept(history_size=10) | {"namespace.keep.lag_bytes": "32MiB", "memory": "256MiB"})
    p, ws = publisher(g), reader(g)
    fill(p, CHANNELS, 60)
    expect_back(ws, "beginning", PATTERN)
    assert by_channel(ws.take(60)) == expected(1, 10)
    fill(p, CHANNELS, 1800, pad=2000)
    assert by_channel(ws.take(1800)) == expected(11, 310)
    other = reader(g)
    expect_back(other, "beginning", PATTERN, False, "trimmed")
    got = dict.fromkeys(CHANNELS)
    while any(n != 310 for n in got.values()):
        e = other.next_event()
        assert got[e["channel"]] in (None, e["offset"] - 1) and (got[e["channel"]] or 1 < e["offset"] <= 301), e
        got[e["channel"]] = e["offset"]
    # Said again in the stream or not.
    assert all(m["reason"] == "trimmed" for m in other.gaps)
    other.gaps.clear()
    other.quiet()


def test_stream_positions_that_are_ahead(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    fill(p, CHANNELS, 6)
    epoch, now = vector(ws.subscribe(PATTERN)["data"]["positions"][PATTERN])
    ahead = f"{epoch}~" + ".".join(str(n + 1000) for n in now)
    expect_back(reader(g), ahead, PATTERN, False, "ahead")
    expect_back(reader(g), ahead, "keep:a", False, "ahead")


@pytest.mark.tsan
@pytest.mark.deadline(150)
def test_patterns_come_back_under_continuous_publishing(gateway, publisher, reader):
    g = gateway(kept(lag_bytes="64MiB", lag_time="0") | {"memory": "512MiB"})
    count = 300 if SLOW > 4 else 1500
    ws = reader(g)
    since = ws.subscribe(PATTERN)["data"]["positions"][PATTERN]
    got = dict.fromkeys(CHANNELS, 0)
    turn = 0
    with publishing(g, CHANNELS[:3], 1, count), publishing(g, CHANNELS[3:], 1, count):
        while min(got.values()) < count:
            turn += 1
            for _ in range(min(61 * turn, sum(count - n for n in got.values()))):
                e = ws.next_event(timeout=60)
                assert e["offset"] == got[e["channel"]] + 1 == e["data"]["n"], f"turn {turn}: {e} where {got} was seen"
                got[e["channel"]] = e["offset"]
                since = e["position"]
            ws.reset()
            ws = reader(g)
            expect_back(ws, since, PATTERN)
    ws.quiet()


@pytest.mark.deadline(120)
def test_a_long_replay_of_a_pattern_to_a_slow_reader(gateway, publisher, reader):
    g = gateway(kept(lag_bytes="1MiB", lag_time="0") | {"memory": "256MiB"})
    p = publisher(g)
    fill(p, CHANNELS, 12_000, pad=1000)
    for _ in range(2):
        ws = reader(g, rcvbuf=4096)
        expect_back(ws, "beginning", PATTERN)
        assert by_channel(ws.take(12_000)) == expected(1, 2000)
    fill(p, CHANNELS, 6, pad=1000)
    assert by_channel(ws.take(6)) == expected(2001, 2001)


def test_patterns_in_which_some_channels_keep_nothing(gateway, publisher, reader):
    """What was missed of those can't be had, which has to be said."""
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    start = ws.subscribe("**")["data"]["positions"]["**"]
    fill(p, "keep:a", 2)
    back = reader(g)
    expect_back(back, start, "**")
    assert by_channel(back.take(2)) == {"keep:a": [1, 2]}
    fill(p, "plain:a", 2)
    expect_back(reader(g), start, "**", False, "trimmed")
    expect_back(reader(g), start, PATTERN)


def test_a_pattern_that_was_unsubscribed_gets_no_positions(gateway, reader):
    g = gateway(kept() | {"heartbeat": "200ms"})
    ws = reader(g)
    ws.subscribe(PATTERN, "keep:x:*")
    ws.unsubscribe(PATTERN)
    assert set(ws.await_type("positions")["positions"]) == {"keep:x:*"}
    ws.unsubscribe()
    ws.positions.clear()
    # Two heartbeats later there was none.
    beats = 0
    while beats < 3:
        opcode, _ = ws.recv(pings=True)
        assert opcode == 9, opcode
        beats += 1


def test_the_positions_of_five_hundred_patterns_come_with_heartbeats(gateway, reader):
    g = gateway(kept() | {"heartbeat": "200ms", "max_channels_per_client": "1000"})
    ws = reader(g)
    names = {f"keep:{n}:*" for n in range(500)}
    assert set(ws.subscribe(*names)["data"]["positions"]) == names
    got = set()
    deadline = Deadline(20)
    while got != names:
        got |= set(ws.await_type("positions")["positions"])
        deadline.left()


@pytest.mark.one_path
def test_payloads_do_not_pass_for_positions(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    ws.subscribe(PATTERN)
    p.publish("keep:a", '{"position":"aaaaaaaaaa~9","n":1}')
    e = ws.next_event()
    assert e["data"]["position"] == "aaaaaaaaaa~9" and STREAM_POSITION.match(e["position"])
    p.publish("keep:a", payload(2))
    expect_back(reader(g), e["position"], PATTERN)
