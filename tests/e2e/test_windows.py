# SPDX-License-Identifier: Apache-2.0
"""Rates, windows, summaries and batches: everything comes, once, in its order, and the newest value always in the end."""
import json
import random

import pytest

from rchistory import kept
from rcws import TEXT, Closed

SETTINGS = kept() | {"view_bytes": "16KiB", "namespace.first.history_size": "10", "namespace.skip.slow_policy": "skip",
                     "namespace.skip.lag_bytes": "256KiB", "namespace.cut.lag_bytes": "256KiB"}
CHANNELS = [f"keep:w{c}" for c in "ab"]


def fill(p, channel, first, last, per_batch=20, pad=0, **more):
    p.stream([(channel, json.dumps({"n": n, "pad": "p" * pad} | more)) for n in range(first, last + 1)], per_batch=per_batch)
    assert not p.nacks


def take(ws, count):
    """(events, messages) up to so many events, whether alone or in windows."""
    events, messages = [], []
    while len(events) < count:
        m = ws.recv_json()
        if m["type"] in ("event", "events"):
            messages.append(m)
            events += m["events"] if m["type"] == "events" else [m]
    assert len(events) == count
    return events, messages


def numbers(events):
    return [e["data"]["n"] for e in events]


# ---- windows

@pytest.mark.tsan
def test_a_window_holds_whole_events_in_their_order(shared_gateway, publisher, reader):
    p = publisher(shared_gateway)
    for channel in CHANNELS:
        ws, plain = reader(shared_gateway), reader(shared_gateway)
        ws.subscribe(channel, window=60, filter="data.n != 13")
        plain.subscribe(channel)
        fill(p, channel, 1, 200)
        events, messages = take(ws, 199)
        whole = [plain.next_event() for _ in range(200)]
        for e in whole:
            del e["raw"]
        assert events == [e for e in whole if e["data"]["n"] != 13]
        assert all(m["type"] == "events" and m["channel"] == channel for m in messages)
        assert len(messages) < 20
        # A lone one makes a window, too.
        fill(p, channel, 201, 201)
        _, (message,) = take(ws, 1)
        assert message["type"] == "events"
        ws.drop()
        plain.drop()


def test_a_full_window_goes_out_early_and_what_is_too_large_alone(shared_gateway, publisher, reader):
    p, ws = publisher(shared_gateway), reader(shared_gateway)
    ws.subscribe("keep:full", window=3_600_000)
    fill(p, "keep:full", 1, 40, pad=1000)
    fill(p, "keep:full", 41, 41, pad=20000)
    events, messages = take(ws, 41)
    assert numbers(events) == list(range(1, 42))
    assert messages[-1]["type"] == "event"
    assert all(len(json.dumps(m)) <= 17 << 10 for m in messages[:-1])


def offsets(messages):
    """What came between acknowledgements, as offsets: [(position of the acknowledgement, [offset, …]), …]."""
    parts = []
    for m in messages:
        if m["type"] == "subscription-ack":
            parts.append((int(next(iter(m["data"]["positions"].values())).partition("@")[2]), []))
        elif m["type"] in ("event", "events"):
            parts[-1][1].extend(e["offset"] for e in (m["events"] if m["type"] == "events" else [m]))
    return parts


def until_ack(ws, count=1):
    """All messages up to so many acknowledgements."""
    messages = []
    while count:
        _, payload = ws.recv()
        messages += objects(payload)
        count -= sum(m["type"] == "subscription-ack" for m in objects(payload))
    return messages


def test_whoever_joins_an_open_window_begins_behind_it(shared_gateway, publisher, reader):
    p = publisher(shared_gateway)
    for channel in CHANNELS:
        readers, since = [], None
        for _ in range(6):
            ws = reader(shared_gateway)
            ws.say(type="subscribe", channels=[channel], window=3_600_000, **({"since": since} if since else {}))
            ws.messages = until_ack(ws)
            ws.begins = offsets(ws.messages)[0][0]
            while since and not any(o == before for _, part in offsets(ws.messages) for o in part):
                ws.messages += objects(ws.recv()[1])
            fill(p, channel, 1, 3)
            epoch, last = p.publish(channel, "1")
            # Every other one comes back to what is older than the window that is open now.
            since, before = None if since else f"{epoch}@{last - 2}", last
            readers.append(ws)
        epoch, last = p.publish(channel, "2")
        for ws in readers:
            # In another form there is no window, so what this one holds comes before.
            while not any(last in part for _, part in offsets(ws.messages)):
                ws.say(type="subscribe", channels=[channel], window=3_600_000 - len(ws.messages))
                ws.messages += until_ack(ws)
            assert [o for _, part in offsets(ws.messages) for o in part] == list(range(ws.begins + 1, last + 1))
            ws.drop()


def test_an_open_window_goes_out_to_the_others_when_somebody_joins(shared_gateway, publisher, reader, shards):
    if shards > 1:
        pytest.skip("each shard has windows of its own, and who is on which is not known")
    p, first = publisher(shared_gateway), reader(shared_gateway)
    for fields in ({"window": 3_600_000}, {"rate": 0.001, "key": "n"}):
        first.subscribe("keep:joined", **fields)
        fill(p, "keep:joined", 1, 5)
        fill(p, "keep:joined", 1, 5)
        reader(shared_gateway).subscribe("keep:joined", **fields)
        assert numbers(take(first, 10)[0]) == [1, 2, 3, 4, 5] * 2


def test_a_summary_counts_by_name(shared_gateway, publisher, reader):
    p, ws, plain = publisher(shared_gateway), reader(shared_gateway), reader(shared_gateway)
    position = ws.subscribe("keep:sum", window=200, summary=True, filter="event != 'not:me'")["data"]["positions"]["keep:sum"]
    plain.subscribe("keep:sum")
    names = ['a"b', "\u00fc:x", "not:me", "c"] + [f"many:{i}" for i in range(80)]
    sent = [names[n % len(names)] for n in range(300)]
    p.stream([("keep:sum", "{}", name, 0) for name in sent], per_batch=50)
    for _ in range(300):
        end = plain.next_event()["offset"]
    counts, offset = {}, 0
    while offset < end:
        m = ws.recv_json()
        if m["type"] != "summary":
            continue
        assert m["channel"] == "keep:sum" and m["from"] <= m["to"] and m["from"].endswith("Z") and m["offset"] > offset
        assert len(m["counts"]) <= 65
        offset = m["offset"]
        for name, count in m["counts"].items():
            counts[name] = counts.get(name, 0) + count
    assert end == int(position.partition("@")[2]) + 300
    assert sum(counts.values()) == sum(name != "not:me" for name in sent) and "not:me" not in counts
    assert counts['a"b'] == sent.count('a"b') and counts["\u00fc:x"] == sent.count("\u00fc:x")
    assert counts.get("", 0) > 0, "80 names and more do not fit in one summary"


# ---- rates

def test_a_rate_keeps_the_newest_and_gives_it_in_the_end(shared_gateway, publisher, reader):
    p = publisher(shared_gateway)
    for channel in CHANNELS:
        ws, plain = reader(shared_gateway), reader(shared_gateway)
        ws.subscribe(channel, rate=5)
        plain.subscribe(channel)
        conflated = shared_gateway.counter("view_events_conflated")
        fill(p, channel, 1, 400)
        for _ in range(400):
            plain.next_event()
        got = [1]
        assert numbers([ws.next_event()]) == got
        while got[-1] != 400:
            got.append(ws.next_event()["data"]["n"])
        assert got == sorted(set(got)) and len(got) < 100
        assert shared_gateway.counter("view_events_conflated") - conflated == 400 - len(got)
        ws.quiet()
        ws.drop()
        plain.drop()


def test_each_value_of_the_key_has_a_rate_of_its_own(shared_gateway, publisher, reader):
    p, ws = publisher(shared_gateway), reader(shared_gateway)
    ws.subscribe("keep:key", rate=5, key="who")
    for n in range(1, 401):
        p.publish("keep:key", json.dumps({"n": n, "who": f"w{n % 7}"} if n % 8 else {"n": n}), wait=False)
    last = {}
    for n in range(1, 401):
        last[f"w{n % 7}" if n % 8 else None] = n
    got = {}
    while {k: v[-1] for k, v in got.items()} != last:
        data = ws.next_event()["data"]
        got.setdefault(data.get("who"), []).append(data["n"])
    for values in got.values():
        assert values == sorted(set(values)) and len(values) < 40
    ws.quiet()


def test_what_a_rate_held_back_does_not_come_again_to_who_got_it_by_replay(shared_gateway, publisher, reader):
    p = publisher(shared_gateway)
    for channel in CHANNELS:
        first = reader(shared_gateway)
        position = first.subscribe(channel, rate=0.001)["data"]["positions"][channel]
        begin = int(position.partition("@")[2])
        fill(p, channel, 1, 9)
        back = reader(shared_gateway)
        back.subscribe(channel, rate=0.001, since=position)
        assert [back.next_event()["offset"] - begin for _ in range(9)] == list(range(1, 10))
        epoch, last = p.publish(channel, '{"n":10}')
        # Who reads on in another way gets the newest first, once.
        for ws in (first, back):
            got = list(ws.events)
            ws.events.clear()
            while not got or got[-1]["offset"] != last:
                ws.subscribe(channel)
                ws.subscribe(channel, rate=0.001)
                got += ws.events
                ws.events.clear()
            found = [e["offset"] - begin for e in got]
            assert found == sorted(set(found)) and found[-1] == 10
            assert ws is first or found[0] >= 10
            ws.drop()


def test_values_beyond_the_memory_of_a_rate_come_early(shared_gateway, publisher, reader):
    p, ws = publisher(shared_gateway), reader(shared_gateway)
    ws.subscribe("keep:big", rate=0.001, key="n")
    for _ in range(2):
        fill(p, "keep:big", 1, 60, pad=1000)
    seen = {}
    # All first ones, then those of the second round that 16 KiB have no room for.
    for _ in range(60 + 40):
        n = ws.next_event()["data"]["n"]
        seen[n] = seen.get(n, 0) + 1
    assert len(seen) == 60 and max(seen.values()) == 2


# ---- batches

def objects(payload):
    return [json.loads(line) for line in payload.decode().split("\n")]


def test_what_comes_in_one_turn_is_one_message_for_who_wants_that(shared_gateway, publisher, reader):
    p, ws, plain = publisher(shared_gateway), reader(shared_gateway, "/ws?batch=1"), reader(shared_gateway)
    ws.subscribe("keep:batch")
    plain.subscribe("keep:batch")
    fill(p, "keep:batch", 1, 1000, per_batch=100)
    messages, events = 0, []
    while len(events) < 1000:
        opcode, payload = ws.recv()
        assert opcode == TEXT
        messages += 1
        events += [m for m in objects(payload) if m["type"] == "event"]
    whole = [plain.next_event() for _ in range(1000)]
    for e in whole:
        del e["raw"]
    assert events == whole and messages < 500
    shared_gateway.until_counter("view_batches", lambda n: n > 0)


def test_a_batching_client_may_say_several_things_at_once(shared_gateway, reader):
    ws, other = reader(shared_gateway, "/ws?batch=1"), reader(shared_gateway)
    lines = [{"type": "subscribe", "id": 1, "channels": "keep:x"}, {"type": "ping", "id": 2}, {"type": "nonsense", "id": 3},
             {"type": "unsubscribe", "id": 4}]
    text = "\n".join(json.dumps(line) for line in lines)
    ws.send(TEXT, "\n" + text + "\n\n{broken\n")
    answers = [ws.recv_json() for _ in range(5)]
    # What waits for a channel's owner is overtaken by the others.
    assert sorted((a["type"], a.get("id", 9)) for a in answers) == [("error", 3), ("error", 9), ("pong", 2), ("subscription-ack", 1),
                                                                    ("unsubscription-ack", 4)]
    other.send(TEXT, text)
    assert other.await_type("error")["code"] == "bad_json"


# ---- one after another, and those who do not keep up

def wanted(form, data):
    for offset, n in data:
        even = n % 2 == 0
        if {"data.n < 0": False, "data.even = true": even, "data.even = false": not even}.get(form.get("filter"), True):
            yield offset


def test_forms_follow_each_other_without_a_seam(shared_gateway, publisher, reader):
    """Seeded: a client changes how it reads a channel, again and again, with events in between. Each acknowledgement says which event is
    the last of the form before; what each form lets through came, once, on the right side of it."""
    p, rng = publisher(shared_gateway), random.Random(7)
    forms = [{}, {"window": 3_600_000}, {"window": 20}, {"filter": "data.n < 0"}, {"filter": "data.even = true", "window": 50},
             {"rate": 1000}, {"rate": 0.001, "key": "n"}, {"filter": "data.even = false"}]
    for channel, batch in zip(CHANNELS, ("", "?batch=1")):
        ws, asked, messages, sent = reader(shared_gateway, "/ws" + batch), [], [], []
        for _ in range(40):
            asked.append(rng.choice([f for f in forms if [f] != asked[-1:]]))
            ws.say(type="subscribe", channels=[channel], **asked[-1])
            messages += until_ack(ws)
            for _ in range(rng.choice((0, 1, 3, 20))):
                n = len(sent)
                sent.append(n)
                p.publish(channel, json.dumps({"n": n, "even": n % 2 == 0}), wait=rng.random() < 0.1)
        _, last = p.publish(channel, "{}")
        while offsets(messages)[-1][0] < last:
            asked.append({"filter": f"data.n = {-len(asked)}"})
            ws.say(type="subscribe", channels=[channel], **asked[-1])
            messages += until_ack(ws)
        parts = offsets(messages)
        numbered = [(last - len(sent) + n, n) for n in sent]
        for form, (begin, got), (end, _) in zip(asked, parts, parts[1:]):
            want = list(wanted(form, [(o, n) for o, n in numbered if begin < o <= end]))
            got = [o for o in got if o != last]
            if form.get("rate") == 1000:
                assert got == sorted(set(got)) and set(got) <= set(want) and got[-1:] == want[-1:], form
            else:
                assert got == want, form
        ws.drop()


def test_slow_readers_of_windows_are_treated_as_others(shared_gateway, publisher, reader):
    g, p = shared_gateway, publisher(shared_gateway)
    skipped = reader(g, rcvbuf=4096)
    skipped.subscribe("skip:a", window=1)
    cut = reader(g, rcvbuf=4096)
    cut.subscribe("cut:a", window=1, filter="has data.n")
    before = g.counter("lag_skips"), g.counter("lag_disconnects")
    n = 0
    while g.counter("lag_skips") == before[0] or g.counter("lag_disconnects") == before[1]:
        for channel in ("skip:a", "cut:a"):
            fill(p, channel, n + 1, n + 200, pad=1000)
        n += 200
        assert n < 60000
    with pytest.raises(Closed):
        while True:
            cut.recv()
    # The other one goes on, in order, told of the gap, and up to the newest.
    fill(p, "skip:a", n + 1, n + 1)
    got, gaps = [], 0
    while not got or got[-1] != n + 1:
        m = skipped.recv_json()
        if m["type"] == "gap":
            assert m["channel"] == "skip:a" and m["missed"] > 0
            gaps += 1
        elif m["type"] in ("event", "events"):
            got += numbers(m["events"] if m["type"] == "events" else [m])
    assert gaps and got == sorted(set(got))


def test_a_channel_that_empties_keeps_nothing_back(shared_gateway, publisher, reader):
    g, p = shared_gateway, publisher(shared_gateway)
    for fields in ({"window": 3_600_000}, {"window": 3_600_000, "summary": True}, {"rate": 0.001, "key": "n"}):
        ws = reader(g)
        ws.subscribe("keep:empty", **fields)
        for _ in range(2):
            fill(p, "keep:empty", 1, 20)
        ws.unsubscribe()
        g.until_counter("views", 0)
    ws = reader(g)
    ws.subscribe("keep:empty", window=100)
    fill(p, "keep:empty", 21, 22)
    assert numbers(take(ws, 2)[0]) == [21, 22]


def test_what_is_kept_back_goes_out_before_the_gateway_ends(gateway, publisher, reader):
    g = gateway(SETTINGS)
    p, windows, rated = publisher(g), reader(g), reader(g)
    windows.subscribe("keep:end", window=3_600_000)
    rated.subscribe("keep:end", rate=0.001)
    fill(p, "keep:end", 1, 10)
    assert numbers([rated.next_event()]) == [1]
    p.drop()
    g.signal(15)
    assert numbers(take(windows, 10)[0]) == list(range(1, 11))
    assert numbers([rated.next_event()]) == [10]
    for ws in (windows, rated):
        assert ws.await_type("bye")["code"] == "shutdown"
        ws.expect_close(1012)
    g.wait()
