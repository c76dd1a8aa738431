# SPDX-License-Identifier: Apache-2.0
"""`since` on WebSocket: every form of it, what the acknowledgement says, and the truth where something can't be had any more."""
import datetime
import json
import time
import urllib.parse

import pytest

from deadline import Deadline, eventually
from rchistory import CHANNEL_POSITION, STREAM_POSITION, at, expect_back, fill, kept, offset, payload, whole

# The owner of a channel is one of the shards and a client's shard is another matter: so many of each that every pairing comes up.
CHANNELS = [f"keep:{c}" for c in "abcdef"]


def epoch_ms():
    return time.time_ns() // 1_000_000


def moment_after(event):
    """Milliseconds that are later than the event's and earlier than those of what is published from here on."""
    then = datetime.datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00"))
    between = int(then.timestamp() * 1000) + 1
    deadline = Deadline(5)
    while epoch_ms() <= between:
        deadline.left()
    return between


def iso(ms, zone="Z", digits=3):
    t = datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)
    if zone != "Z":
        sign, hours, minutes = zone[0], int(zone[1:3]), int(zone[4:])
        t += (1 if sign == "+" else -1) * datetime.timedelta(hours=hours, minutes=minutes)
    return t.strftime("%Y-%m-%dT%H:%M:%S") + (f".{ms % 1000:03d}" if digits else "") + zone


# ---- a position

@pytest.mark.tsan
def test_a_position_brings_exactly_what_was_missed_then_what_is_live(gateway, publisher, reader):
    g = gateway(kept())
    p = publisher(g)
    for channel in CHANNELS:
        ws = reader(g)
        start = ws.subscribe(channel)["data"]["positions"][channel]
        fill(p, channel, 10)
        assert whole(ws.take(10)) == list(range(1, 11))
        ws.drop()
        fill(p, channel, 5, first=11)
        back = reader(g)
        since = at(start, 4)
        ack = expect_back(back, since, channel)
        assert ack["positions"] == {channel: since}, "where the replay starts"
        assert whole(back.take(11)) == list(range(5, 16))
        fill(p, channel, 3, first=16)
        assert whole(back.take(3)) == [16, 17, 18]
        back.quiet()
    assert g.counter("recoveries") == len(CHANNELS) and g.counter("recoveries_failed") == 0
    assert g.counter("events_replayed") == 11 * len(CHANNELS)


def test_what_is_replayed_are_the_bytes_that_went_out_live(gateway, publisher, reader):
    g = gateway(kept())
    p, ws, back = publisher(g), reader(g), reader(g)
    start = ws.subscribe("keep:a")["data"]["positions"]["keep:a"]
    for n, text in enumerate(('{"b": 1,  "a":[1.50,1e3]}', '"\\u00e9"', "null", '{"n":"' + "x" * 60000 + '"}', "[]")):
        p.publish("keep:a", text, event=f"e:{n}", timestamp=1_768_472_100_000 + n)
    live = ws.take(5)
    expect_back(back, start, "keep:a")
    assert [e["raw"] for e in back.take(5)] == [e["raw"] for e in live]


def test_nothing_was_missed(gateway, publisher, reader):
    g = gateway(kept())
    p = publisher(g)
    position = "{}@{}".format(*p.publish("keep:a", payload(1)))
    ws = reader(g)
    ack = expect_back(ws, position, "keep:a")
    assert ack["positions"] == {"keep:a": position}
    ws.quiet()
    fill(p, "keep:a", 1, first=2)
    assert whole(ws.take(1)) == [2]


def test_who_never_got_an_event_recovers_from_where_it_subscribed(gateway, publisher, reader):
    g = gateway(kept())
    p = publisher(g)
    for channel in CHANNELS:
        ws = reader(g)
        start = ws.subscribe(channel)["data"]["positions"][channel]
        assert offset(start) == 0
        ws.drop()
        fill(p, channel, 7)
        back = reader(g)
        expect_back(back, start, channel)
        assert whole(back.take(7)) == list(range(1, 8))


def test_since_in_the_query_means_the_same(gateway, publisher, reader):
    g = gateway(kept())
    p = publisher(g)
    epoch, _ = p.publish("keep:a", payload(1))
    fill(p, "keep:a", 4, first=2)
    for since, recovered, expected in ((f"{epoch}@3", True, [4, 5]), ("beginning", True, [1, 2, 3, 4, 5]), ("aaaaaaaaaa@3", False, [])):
        for sent in (since, urllib.parse.quote(since, safe="")):
            ws = reader(g, f"/ws?channel=keep:a&since={sent}")
            ack = ws.await_type("subscription-ack")
            assert ack["data"]["recovered"] == {"keep:a": recovered} and "id" not in ack
            assert whole(ws.take(len(expected))) == expected
            ws.quiet()


def test_since_in_the_query_that_says_nothing_is_an_error(gateway, reader):
    g = gateway(kept())
    ws = reader(g, "/ws?channel=keep:a&since=nonsense")
    assert ws.await_type("error")["code"] == "bad_request"
    ws.subscribe("keep:a")


def test_recovered_stands_only_for_those_that_had_a_since(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    epoch, _ = p.publish("keep:a", payload(1))
    fill(p, ["keep:a", "keep:b"], 2, first=2)
    ack = ws.subscribe("keep:b", "keep:a", since={"keep:a": f"{epoch}@0"}, id="x")
    assert ack["id"] == "x" and ack["data"]["channels"] == ["keep:b", "keep:a"]
    assert ack["data"]["recovered"] == {"keep:a": True} and "reasons" not in ack["data"]
    assert [e["channel"] for e in ws.take(2)] == ["keep:a"] * 2
    ws.quiet()
    assert "recovered" not in ws.subscribe("keep:c")["data"]


def test_each_channel_of_a_request_has_its_own(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    epochs = {}
    for channel in CHANNELS:
        epochs[channel], _ = p.publish(channel, payload(1))
        fill(p, channel, 9, first=2)
    since = {"keep:a": f"{epochs['keep:a']}@3", "keep:b": "beginning", "keep:c": "aaaaaaaaaa@3", "keep:d": f"{epochs['keep:d']}@11",
             "keep:e": f"{epochs['keep:e']}@10"}
    data = ws.subscribe(*CHANNELS, since=since)["data"]
    assert data["recovered"] == {"keep:a": True, "keep:b": True, "keep:c": False, "keep:d": False, "keep:e": True}
    assert data["reasons"] == {"keep:c": "epoch", "keep:d": "ahead"}
    assert data["positions"]["keep:a"] == f"{epochs['keep:a']}@3" and data["positions"]["keep:c"] == f"{epochs['keep:c']}@10"
    assert data["positions"]["keep:d"] == f"{epochs['keep:d']}@10" and data["positions"]["keep:f"] == f"{epochs['keep:f']}@10"
    got = {c: [] for c in CHANNELS}
    for e in ws.take(17):
        got[e["channel"]].append(e["offset"])
    assert got == {"keep:a": list(range(4, 11)), "keep:b": list(range(1, 11))} | {c: [] for c in CHANNELS[2:]}
    fill(p, CHANNELS, 6, first=11)
    assert sorted((e["channel"], e["offset"]) for e in ws.take(6)) == [(c, 11) for c in CHANNELS]
    ws.quiet()


def test_subscribing_again_with_since_to_what_is_subscribed_does_not_double_what_is_live(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    ws.subscribe("keep:a")
    epoch, _ = p.publish("keep:a", payload(1))
    assert whole(ws.take(1)) == [1]
    ws.subscribe("keep:a", since=f"{epoch}@0")
    fill(p, "keep:a", 3, first=2)
    # Whether it replays is the gateway's choice; what is live comes once.
    got = [ws.next_event()["offset"]]
    while got[-1] != 4:
        got.append(ws.next_event()["offset"])
    assert got in ([2, 3, 4], [1, 2, 3, 4])
    ws.quiet()


def test_after_unsubscribing_in_the_middle_of_a_replay_nothing_more_comes(gateway, publisher, reader):
    g = gateway(kept())
    p = publisher(g)
    fill(p, CHANNELS, 600, pad=20000)
    for channel in CHANNELS:
        ws = reader(g, rcvbuf=4096)
        ws.say(type="subscribe", channels=[channel], since="beginning")
        ws.say(type="unsubscribe", channels=[channel])
        ws.await_type("subscription-ack")
        ws.await_type("unsubscription-ack")
        ws.events.clear()
        p.publish(channel, payload(1))
        ws.quiet()


# ---- what can't be had

def test_another_life_of_the_gateway_is_another_epoch(gateway, publisher, reader):
    old = gateway(kept())
    ws = reader(old)
    data = ws.subscribe("keep:a", "keep:*")["data"]
    ws.drop()
    old.stop()
    g = gateway(kept())
    p = publisher(g)
    fill(p, "keep:a", 3)
    for since in (data["positions"]["keep:a"], data["positions"]["keep:*"]):
        ws = reader(g)
        ack = expect_back(ws, since, "keep:a", False, "epoch")
        assert offset(ack["positions"]["keep:a"]) == 3 and ack["positions"]["keep:a"] != at(since, 3)
        fill(p, "keep:other", 1)
        ws.quiet()
    ws = reader(g)
    expect_back(ws, data["positions"]["keep:*"], "keep:*", False, "epoch")
    ws.quiet()
    assert g.counter("recoveries_failed") == 3 and g.counter("recoveries") == 0


def test_a_position_that_is_not_reached_yet_is_ahead(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    epoch, _ = p.publish("keep:a", payload(1))
    ack = expect_back(ws, f"{epoch}@2", "keep:a", False, "ahead")
    assert ack["positions"] == {"keep:a": f"{epoch}@1"}
    ws.quiet()
    fill(p, "keep:a", 1, first=2)
    assert whole(ws.take(1)) == [2]


def back_or_told(g, reader, channel, since, last):
    """Events that are over the limits may still be there: all of those that were missed come, or none and it is said. Whether they came."""
    ws = reader(g)
    data = ws.subscribe(channel, since=since)["data"]
    came = data["recovered"][channel]
    if came:
        assert data["positions"] == {channel: since} and "reasons" not in data
        assert [e["offset"] for e in ws.take(last - offset(since))] == list(range(offset(since) + 1, last + 1))
    else:
        assert data["reasons"] == {channel: "trimmed"} and offset(data["positions"][channel]) == last
    ws.quiet()
    ws.drop()
    return came


def test_trimmed_by_size(gateway, publisher, reader):
    g = gateway(kept(history_size=5))
    p = publisher(g)
    for channel in CHANNELS:
        epoch, _ = p.publish(channel, payload(1))
        fill(p, channel, 11, first=2)
        for since, expected in ((12, []), (11, [12]), (7, [8, 9, 10, 11, 12])):
            ws = reader(g)
            expect_back(ws, f"{epoch}@{since}", channel)
            assert whole(ws.take(len(expected))) == expected
            ws.quiet()
        back_or_told(g, reader, channel, f"{epoch}@6", 12)
        # No chunk holds so much: the first ones are gone.
        fill(p, channel, 300, first=13, pad=2000)
        assert back_or_told(g, reader, channel, f"{epoch}@307", 312)
        assert not back_or_told(g, reader, channel, f"{epoch}@0", 312)
        # From the beginning: all there is, and the truth about it.
        ws = reader(g)
        expect_back(ws, "beginning", channel, False, "trimmed")
        got = [ws.next_event()["offset"]]
        while got[-1] != 312:
            got.append(ws.next_event()["offset"])
        assert got == list(range(got[0], 313)) and 1 < got[0] <= 308
        ws.quiet()


def test_trimmed_by_bytes(gateway, publisher, reader):
    g = gateway(kept(history_bytes="16KiB"))
    p = publisher(g)
    for channel in CHANNELS:
        epoch, _ = p.publish(channel, payload(1, 1000))
        fill(p, channel, 499, first=2, pad=1000)
        ws = reader(g)
        answer = ws.history(channel, limit=1000)
        # About 1.1 KB each as clients get them.
        first = offset(answer["first"])
        assert 485 < first < 495 and len(answer["events"]) == 501 - first
        assert back_or_told(g, reader, channel, f"{epoch}@{first - 1}", 500)
        back_or_told(g, reader, channel, f"{epoch}@{first - 2}", 500)
        assert not back_or_told(g, reader, channel, f"{epoch}@0", 500)


@pytest.mark.one_path
def test_trimmed_by_time_even_when_nothing_follows(gateway, publisher, reader):
    g = gateway(kept(history_ttl="1s"))
    p, ws = publisher(g), reader(g)
    epochs = {c: p.publish(c, payload(1))[0] for c in CHANNELS}
    for channel in CHANNELS:
        eventually(lambda c=channel: "first" not in ws.history(c), "what is old goes by itself")
        ws.say(type="history", channel=channel, since=f"{epochs[channel]}@0")
        answer = ws.await_type("history")
        assert answer["events"] == [] and answer["complete"] is False and answer["position"] == f"{epochs[channel]}@1"
    eventually(lambda: g.counter("log_bytes") == 0, "its memory comes back")
    for channel in CHANNELS:
        assert not back_or_told(g, reader, channel, f"{epochs[channel]}@0", 1)
        # Who had it all misses nothing, however long ago that was.
        assert back_or_told(g, reader, channel, f"{epochs[channel]}@1", 1)


def test_a_namespace_without_history_tells_the_truth(gateway, publisher, reader):
    g = gateway(kept())
    p = publisher(g)
    for channel in ("plain:a", "plain:b", "plain:c"):
        with_it = reader(g)
        start = with_it.subscribe(channel)["data"]["positions"][channel]
        # Nothing was missed, which can be said without a history.
        expect_back(reader(g), start, channel)
        fill(p, channel, 3)
        assert whole(with_it.take(3)) == [1, 2, 3]
        ack = expect_back(reader(g), start, channel, False, "trimmed")
        assert ack["positions"] == {channel: at(start, 3)}
        expect_back(reader(g), at(start, 3), channel)
        expect_back(reader(g), "beginning", channel, False, "trimmed")
        assert with_it.history(channel)["events"] == []


# ---- times

def test_since_a_time_brings_what_is_later(gateway, publisher, reader):
    g = gateway(kept())
    p, live = publisher(g), reader(g)
    for channel in CHANNELS[:3]:
        live.subscribe(channel)
        fill(p, channel, 5)
        t = moment_after(live.take(5)[-1])
        fill(p, channel, 4, first=6)
        live.take(4)
        for since in (t, iso(t), iso(t, "+02:00"), iso(t, "-09:30"), {channel: t}, {channel: iso(t)}):
            ws = reader(g)
            expect_back(ws, since, channel)
            assert whole(ws.take(4)) == [6, 7, 8, 9]
            ws.quiet()
        # Whole seconds: a minute ago has all that this gateway took in, and nobody knows what was before it.
        ws = reader(g)
        expect_back(ws, iso(t - 60_000, digits=0), channel, False, "trimmed")
        assert whole(ws.take(9)) == list(range(1, 10))
        ws = reader(g, f"/ws?channel={channel}&since={urllib.parse.quote(iso(t, '+01:00'), safe='')}")
        assert ws.await_type("subscription-ack")["data"]["recovered"] == {channel: True}
        assert whole(ws.take(4)) == [6, 7, 8, 9]
        # A time to come: nothing was missed since then.
        ws = reader(g)
        expect_back(ws, epoch_ms() + 3_600_000, channel)
        ws.quiet()


def test_a_time_before_what_is_kept_brings_what_there_is_and_says_so(gateway, publisher, reader):
    g = gateway(kept(history_size=3))
    p, live = publisher(g), reader(g)
    live.subscribe("keep:a")
    fill(p, "keep:a", 1)
    t = moment_after(live.next_event()) - 1000
    fill(p, "keep:a", 299, first=2, pad=2000)
    ws = reader(g)
    expect_back(ws, t, "keep:a", False, "trimmed")
    got = [ws.next_event()["offset"]]
    while got[-1] != 300:
        got.append(ws.next_event()["offset"])
    assert got == list(range(got[0], 301)) and 1 < got[0] <= 298
    ws.quiet()


# ---- what is no since

@pytest.mark.one_path
def test_what_is_no_since_is_refused_and_nothing_is_done(gateway, publisher, reader):
    g = gateway(kept())
    p, ws = publisher(g), reader(g)
    epoch, _ = p.publish("keep:a", payload(1))
    for since in ("", "x", "beginnin", "@5", f"{epoch}@", f"{epoch}@x", f"{epoch}@-1", f"{epoch}@1 ", f"{epoch}@1@2", f"{epoch}@99999999999999999999",
                  f"{epoch}~", f"{epoch}~1.", f"{epoch}~.1", f"{epoch}~1..2", f"{epoch}~x", "2026-01-15", "2026-01-15T10:15:00",
                  "2026-13-15T10:15:00Z", "2026-01-32T10:15:00Z", "2026-01-15T24:15:00Z", "2026-01-15T10:60:00Z", "2026-01-15T10:15:00.Z",
                  "2026-01-15 10:15:00Z", "2026-01-15T10:15:00+25:00", -1, True, [], ["beginning"], {"keep:a": []}, {"keep:a": {}},
                  {"keep:a": "nonsense"}, {"keep:b": "beginning"}, {"keep:a": "beginning", "keep:b": "beginning"}, "a" * 5000):
        error = ws.refused("bad_request", type="subscribe", channels=["keep:a"], since=since, id=7)
        assert error["id"] == 7, (since, error)
    # A channel's position can be meant for one channel only.
    ws.refused("bad_request", type="subscribe", channels=["keep:a", "keep:b"], since=f"{epoch}@1")
    ws.refused("bad_request", type="subscribe", channels=["keep:*"], since=f"{epoch}@1")
    fill(p, ["keep:a", "keep:b"], 2, first=2)
    ws.quiet()
    expect_back(ws, f"{epoch}@1", "keep:a")
    assert whole(ws.take(1)) == [2]


def test_positions_have_the_shape_that_is_documented(gateway, reader):
    g = gateway(kept())
    positions = reader(g).subscribe("keep:a", "keep:*", "other:b", "**")["data"]["positions"]
    assert set(positions) == {"keep:a", "keep:*", "other:b", "**"}
    assert CHANNEL_POSITION.match(positions["keep:a"]) and CHANNEL_POSITION.match(positions["other:b"])
    found = STREAM_POSITION.match(positions["keep:*"])
    assert found and len(found.group(2).split(".")) == len(g.counters_by_shard())
    assert STREAM_POSITION.match(positions["**"])


def test_without_any_history_patterns_have_no_positions(gateway, publisher, reader):
    g = gateway()
    p, ws = publisher(g), reader(g)
    assert set(ws.subscribe("a:b", "a:*")["data"]["positions"]) == {"a:b"}
    p.publish("a:b", "1")
    by = ws.take(2)
    assert not any("position" in e for e in by), by
    assert json.loads(by[0]["raw"])["offset"] == 1
