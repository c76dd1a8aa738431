# SPDX-License-Identifier: Apache-2.0
"""Last-Event-ID: one id brings back every channel and pattern of a stream, exactly, or a gap says that it does not."""
import contextlib

import pytest

from deadline import SLOW
from rchistory import STREAM_POSITION, fill, kept, offset, payload
from rcsse import Refused, SseClient, url
from rcws import Response, Stream, open_socket
from test_history_replay import publishing

CHANNELS = [f"keep:{c}" for c in "abcdef"]
SETS = {"one": ("keep:a",), "many": tuple(CHANNELS), "a pattern": ("keep:*",), "both": ("keep:a", "keep:b", "other:*", "keep:x:**")}


def take(s, count, timeout=20):
    """{channel: offsets} of so many events; a gap among them is a failure."""
    got = {}
    for _ in range(count):
        e = s.next_event(timeout)
        assert e["data"]["n"] is not None
        got.setdefault(e["channel"], []).append(e["offset"])
    return got


def quiet(g, p, s, channel):
    """The next that comes is what is published now."""
    at = p.publish(channel, payload(-1))[1]
    e = s.next_event()
    assert (e["channel"], e["offset"]) == (channel, at), e


def gap(s, *reasons):
    """The next message is a gap, of the whole stream or of one of its channels."""
    b = s.next_message()
    m = b.json()
    assert b.name == "gap" and m["type"] == "gap" and m["reason"] in reasons, b
    assert STREAM_POSITION.match(b.id), b
    return m


def goes_on(s, names, channel, at):
    """What follows a gap: others of other channels, then what was published behind them."""
    while True:
        b = s.next_message()
        m = b.json()
        if m["type"] == "event":
            break
        assert m["reason"] in ("epoch", "trimmed") and m.get("channel") in names, b
    assert (m["channel"], m["offset"]) == (channel, at), m


# ---- coming back

@pytest.mark.tsan
@pytest.mark.parametrize("which", SETS)
def test_at_every_event_the_id_brings_exactly_the_rest(gateway, publisher, sse, which):
    g = gateway(kept())
    p, names = publisher(g), SETS[which]
    s = sse(g, url(*names))
    said = [c for c in CHANNELS if c in names or "keep:*" in names] + (["keep:x:1:2"] if which == "both" else [])
    fill(p, said, 12 * len(said))
    whole = take(s, 12 * len(said))
    assert whole == {c: list(range(1, 13)) for c in said}
    ids = [s.first.id] + [b.id for b in s.blocks if b.data is not None]
    for n in (0, 1, 2, len(said) * 5, len(ids) - 2, len(ids) - 1):
        seen = {}
        for b in [b for b in s.blocks if b.data is not None][:n]:
            seen.setdefault(b.json()["channel"], []).append(b.json()["offset"])
        back = sse(g, url(*names), last=ids[n])
        got = take(back, len(ids) - 1 - n)
        for c in said:
            assert got.get(c, []) == whole[c][len(seen.get(c, [])):]
        quiet(g, p, back, said[-1])
        whole[said[-1]].append(whole[said[-1]][-1] + 1)
        back.drop()
        # The one who stayed has the same, and ids are good from there on.
        assert s.next_event()["offset"] == whole[said[-1]][-1]
        ids.append(s.last_id)
    assert g.counter("recoveries") >= 6 and g.counter("recoveries_failed") == 0


def test_the_id_comes_by_header_or_query_and_the_header_wins(gateway, publisher, sse):
    g = gateway(kept())
    p, s = publisher(g), sse(g, url("keep:a"))
    fill(p, "keep:a", 6)
    take(s, 6)
    ids = [s.first.id] + [b.id for b in s.blocks if b.data is not None]
    for path, last, first in ((url("keep:a", lastEventId=ids[2]), None, 3), (url("keep:a", since=ids[4]), None, 5),
                              (url("keep:a", lastEventId=ids[1]), ids[5], 6), (url("keep:a", since=ids[1]), ids[3], 4),
                              (url("keep:a", since="beginning"), ids[3], 4), (url("keep:a", since="beginning"), None, 1)):
        back = sse(g, path, last=last)
        assert take(back, 7 - first) == {"keep:a": list(range(first, 7))}, path
        back.drop()


def test_the_other_forms_of_since_serve_here_too(gateway, publisher, sse):
    g = gateway(kept())
    p = publisher(g)
    epoch, _ = p.publish("keep:a", payload(1))
    fill(p, "keep:a", 4, first=2)
    for since, first in ((f"{epoch}@2", 3), ("beginning", 1), (1_000_000, 1), ("2020-01-01T00:00:00Z", 1), ("2020-01-01T00:00:00.5%2B02:00", 1)):
        s = sse(g, url("keep:a", since=since))
        if first == 1 and since != "beginning":
            # There was no such gateway then, so it can't say what is missing.
            gap(s, "trimmed")
        assert take(s, 6 - first) == {"keep:a": list(range(first, 6))}
        s.drop()
    s = sse(g, url("keep:a", "keep:b"), last="beginning")
    assert take(s, 5) == {"keep:a": [1, 2, 3, 4, 5]}


def test_who_never_got_an_event_recovers_by_the_first_id(gateway, publisher, sse):
    g = gateway(kept())
    p = publisher(g)
    for names in SETS.values():
        s = sse(g, url(*names))
        s.drop()
        fill(p, "keep:a", 3)
        back = s.again()
        assert len(take(back, 3)["keep:a"]) == 3
        quiet(g, p, back, "keep:a")
        back.drop()


def test_ids_of_heartbeats_recover(gateway, publisher, sse):
    g = gateway(kept(history_size=20) | {"heartbeat": "200ms"})
    p, s = publisher(g), sse(g, url("keep:idle", "keep:idle:*"))
    fill(p, CHANNELS, 600)
    for _ in range(3):
        s.next_heartbeat()
    s.drop()
    # The first publisher has not answered the gateway's pings meanwhile.
    fill(publisher(g), ["keep:idle", "keep:idle:x"], 8)
    back = s.again()
    assert take(back, 8) == {"keep:idle": [1, 2, 3, 4], "keep:idle:x": [1, 2, 3, 4]}


def test_another_set_of_channels_may_come_back_with_the_same_id(gateway, publisher, sse):
    """It says what there was at that moment, of everything."""
    g = gateway(kept())
    p, s = publisher(g), sse(g, url("keep:a"))
    fill(p, CHANNELS, 12)
    take(s, 2)
    position = s.last_id
    fill(p, CHANNELS, 12)
    other = sse(g, url("keep:*"), last=position)
    # How much of the others it had is the moment's, so what it misses is at least what came later.
    got = {}
    while sum(v[-1] == 4 for v in got.values()) < 6:
        e = other.next_event()
        got.setdefault(e["channel"], []).append(e["offset"])
    assert got["keep:a"] == [3, 4] and all(v == list(range(v[0], 5)) for v in got.values()), got


@pytest.mark.deadline(120)
def test_cut_inside_blocks_again_and_again(gateway, publisher, sse):
    g = gateway(kept())
    p, count = publisher(g), 2000
    fill(p, CHANNELS, count * 6, pad=500)
    s, got, turns = sse(g, url(*CHANNELS, since="beginning"), rcvbuf=4096), {c: [] for c in CHANNELS}, 0
    while sum(map(len, got.values())) < count * 6:
        turns += 1
        for _ in range(min(211 * turns, count * 6 - sum(map(len, got.values())))):
            e = s.next_event()
            got[e["channel"]].append(e["offset"])
        if sum(map(len, got.values())) < count * 6:
            known = len(s.blocks)
            s.cut_inside_a_block()
            for b in s.blocks[known:]:
                got[b.json()["channel"]].append(b.json()["offset"])
            s = s.again(rcvbuf=4096)
    assert got == {c: list(range(1, count + 1)) for c in CHANNELS} and turns > 5


@pytest.mark.tsan
@pytest.mark.deadline(150)
@pytest.mark.parametrize("which", ["one", "many", "a pattern"])
def test_coming_back_under_continuous_publishing(gateway, publisher, sse, which):
    g = gateway(kept(lag_bytes="64MiB", lag_time="0") | {"memory": "512MiB"})
    names = SETS[which]
    said = CHANNELS[:1] if which == "one" else CHANNELS
    count = 300 if SLOW > 4 else 1500
    s, got, turn = sse(g, url(*names)), dict.fromkeys(said, 0), 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(publishing(g, said[:3], 1, count))
        if len(said) > 3:
            stack.enter_context(publishing(g, said[3:], 1, count))
        while min(got.values()) < count:
            turn += 1
            for _ in range(min(47 * turn, sum(count - n for n in got.values()))):
                e = s.next_event(timeout=60)
                assert e["offset"] == got[e["channel"]] + 1 == e["data"]["n"], f"turn {turn}: {e} where {got} was seen"
                got[e["channel"]] = e["offset"]
            s.reset()
            s = s.again()
    with s:
        quiet(g, publisher(g), s, said[0])


@pytest.mark.deadline(150)
def test_a_long_replay_to_a_slow_stream(gateway, publisher, sse):
    g = gateway(kept(lag_bytes="1MiB", lag_time="0") | {"memory": "256MiB"})
    p, count = publisher(g), 12_000
    fill(p, CHANNELS, count, pad=1000)
    quick = sse(g, url("keep:quick"))
    slow = [sse(g, url(*names, since="beginning"), rcvbuf=4096) for names in (CHANNELS, ("keep:*",))]
    parts = [[], []]
    for n in range(1, 4):
        p.publish("keep:quick", payload(n))
        assert quick.next_event()["data"]["n"] == n
        for s, got in zip(slow, parts):
            got += [s.next_event() for _ in range(count // 3)]
    # Of "keep:*" the quick one's are a part, wherever they came.
    parts[1] += [slow[1].next_event() for _ in range(3)]
    for s, got in zip(slow, parts):
        for channel in CHANNELS:
            assert [e["offset"] for e in got if e["channel"] == channel] == list(range(1, count // 6 + 1))
        assert [e["offset"] for e in got if e["channel"] == "keep:quick"] == ([1, 2, 3] if got is parts[1] else [])
    slow[1].drop()
    quiet(g, p, slow[0], "keep:a")


# ---- not everything is there any more

def test_an_id_of_another_life_is_a_gap_and_the_stream_goes_on(gateway, publisher, sse):
    old = gateway(kept())
    s = sse(old, url("keep:a", "keep:b"))
    last = s.last_id
    old.stop()
    g = gateway(kept())
    p = publisher(g)
    fill(p, ["keep:a", "keep:b"], 6)
    for names in SETS.values():
        back = sse(g, url(*names), last=last)
        gap(back, "epoch")
        goes_on(back, names, "keep:a", p.publish("keep:a", payload(-1))[1])
        # From there it recovers again.
        fill(p, "keep:a", 2)
        assert len(take(back.again(), 2)["keep:a"]) == 2
        back.drop()
    assert g.counter("recoveries_failed") > 0


def test_when_one_of_its_channels_was_trimmed_a_stream_is_told(gateway, publisher, sse):
    """The others may come or not; whatever comes has no hole behind the gap."""
    g = gateway(kept(history_size=5))
    p, s = publisher(g), sse(g, url(*CHANNELS))
    s.drop()
    fill(p, CHANNELS[:3], 9)
    # More than a chunk holds, so that the first ones are really gone.
    fill(p, CHANNELS[3], 300, pad=2000)
    back = s.again()
    fill(p, CHANNELS, 6, first=301)
    gaps, got = [], {}
    while any(c not in got or got[c][-1] != n for c, n in zip(CHANNELS, (4, 4, 4, 301, 1, 1))):
        b = back.next_message()
        m = b.json()
        if m["type"] == "gap":
            gaps.append(m)
            assert m["reason"] == "trimmed" and m.get("channel", CHANNELS[3]) == CHANNELS[3], m
        else:
            got.setdefault(m["channel"], []).append(m["offset"])
    assert len(gaps) == 1 and got[CHANNELS[3]] == [301]
    for channel in CHANNELS[:3]:
        assert got[channel] == ([4] if "channel" not in gaps[0] else [1, 2, 3, 4]), (gaps, got)
    behind = next(b.id for b in back.blocks if b.data is not None and b.json()["type"] == "gap")
    # Where it was told that it goes on it can go on again.
    again = [back.again(last=behind).next_event() for _ in range(3)]
    assert all(e["channel"] in CHANNELS for e in again)


def test_a_pattern_of_which_something_was_trimmed_has_a_gap(gateway, publisher, sse):
    g = gateway(kept(history_size=5))
    p, s = publisher(g), sse(g, url("keep:*"))
    s.drop()
    fill(p, "keep:a", 300, pad=2000)
    back = s.again()
    gap(back, "trimmed")
    quiet(g, p, back, "keep:b")


@pytest.mark.parametrize("why", ["epoch", "trimmed"])
def test_a_cut_between_the_first_block_and_the_gap_does_not_hide_it(gateway, publisher, sse, why):
    g = gateway(kept(history_size=5))
    p, s = publisher(g), sse(g, url("keep:a"))
    s.drop()
    fill(p, "keep:a", 300, pad=2000)
    last = s.last_id if why == "trimmed" else "aaaaaaaaaa~1"
    for _ in range(3):
        back = sse(g, url("keep:a"), last=last)
        # It has read no more than this when it is cut.
        last = back.first.id or last
        back.reset()
    gap(sse(g, url("keep:a"), last=last), why)


@pytest.mark.deadline(120)
def test_what_is_trimmed_under_a_reader_is_a_gap_in_the_stream(gateway, publisher, sse):
    g = gateway(kept(history_bytes="4MiB", lag_bytes="1MiB", lag_time="0", slow_policy="skip") | {"memory": "64MiB"})
    p = publisher(g)
    for channel in CHANNELS[:3]:
        fill(p, channel, 3000, pad=1000)
        s = sse(g, url(channel, since="beginning"), rcvbuf=4096)
        fill(p, channel, 9000, first=3001, pad=1000)
        due, gaps = 1, 0
        while due is None or due <= 12_000:
            b = s.next_message()
            m = b.json()
            if m["type"] == "gap":
                gaps += 1
                due = offset(m["position"]) + 1 if "@" in m.get("position", "") else None
            else:
                assert due is None or m["offset"] == due, f"{m['offset']} without a gap, {due} was due"
                due = m["offset"] + 1
        assert gaps
        s.drop()


# ---- ids that are none

@pytest.mark.one_path
@pytest.mark.parametrize("last", ["garbage", "x" * 3000, "aaaaaaaaaa~", "aaaaaaaaaa~1.x", "\xe9\xff", "aaaaaaaaaa~" + "1." * 500 + "1"],
                         ids=["words", "long", "no numbers", "no number", "not ASCII", "many numbers"])
def test_an_id_that_is_none_is_told_and_harms_nobody(gateway, publisher, sse, last):
    """No gateway has given it, so an EventSource that sends it is stopped, or refused, or told that there is a gap."""
    g = gateway(kept())
    p, other = publisher(g), sse(g, url("keep:a"))
    try:
        s = SseClient.greeted(g.http, url("keep:a"), last=last)
    except Refused as e:
        assert e.status in (204, 400), e
    else:
        with s:
            gap(s, "epoch")
            quiet(g, p, s, "keep:a")
            other.next_event()
    p.publish("keep:a", payload(7))
    assert other.next_event()["data"]["n"] == 7


@pytest.mark.one_path
def test_ten_thousand_bytes_of_id_and_an_id_with_nul(gateway, publisher, sse):
    g = gateway(kept())
    p, other = publisher(g), sse(g, url("keep:a"))
    for last in ("z" * 10_000, "a\0b"):
        with Stream(open_socket(g.http)) as s:
            s.send_bytes(f"GET {url('keep:a')} HTTP/1.1\r\nHost: a\r\nLast-Event-ID: {last}\r\n\r\n".encode())
            response = Response(s.read_until(b"\r\n\r\n"))
            assert response.status in ((200, 204, 400, 431) if len(last) > 5 else (400,)), response.status
    p.publish("keep:a", payload(7))
    assert other.next_event()["data"]["n"] == 7


def test_an_empty_id_is_none(gateway, publisher, sse):
    g = gateway(kept())
    p = publisher(g)
    fill(p, "keep:a", 3)
    for headers, path in (([("Last-Event-ID", "")], url("keep:a")), ([], url("keep:a", lastEventId=""))):
        s = sse(g, path, headers=headers)
        quiet(g, p, s, "keep:a")
        s.drop()


def test_latest_at_once_on_a_stream(gateway, publisher, sse):
    g = gateway(kept(on_subscribe="latest"))
    p = publisher(g)
    fill(p, CHANNELS, 18)
    s = sse(g, url(*CHANNELS[:3]))
    assert take(s, 3) == {c: [3] for c in CHANNELS[:3]}
    fill(p, CHANNELS, 6)
    assert take(s, 3) == {c: [4] for c in CHANNELS[:3]}
    back = s.again()
    quiet(g, p, back, CHANNELS[0])
