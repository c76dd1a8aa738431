# SPDX-License-Identifier: Apache-2.0
"""Acknowledged delivery: windows, redelivery, dead letters, resumption on whatever shard, and every wrong acknowledgement."""
import json
import os
import signal
import subprocess
import sys

import pytest

import rcapi
import rcjwt
from deadline import SLOW, eventually
from rchistory import Reader, at, fill, kept, offset, payload
from rcws import TEXT, frame

# So short that a test need not wait long, and so long that nothing is sent again by mistake.
SHORT = int(150 * SLOW)
NEVER = 60000


SETTINGS = rcjwt.settings(**kept("job"), **{
    "namespace.allow_subscribe": "anyone", "namespace.job.allow_subscribe": "anyone", "namespace.job.allow_publish": "anyone", "max_channels": "1000",
    "namespace.raw.raw": "yes", "namespace.raw.history_size": "10", "ack_timeout_max": "1h"})


class Worker(Reader):
    """One that acknowledges. What is sent again is an event like others."""

    def begin(self, channel, since=None, **ack):
        """Subscribes; the acknowledgement's data."""
        fields = {"since": since} if since else {}
        if self.client:
            fields["clientId"] = self.client
        return self.subscribe(channel, ack={"timeout": NEVER, **ack}, **fields)["data"]

    def ack(self, channel, where):
        self.say(type="ack", channel=channel, **({"offset": where} if isinstance(where, int) else {"id": where}))

    def offsets(self, count):
        """So many events: (offset, how often it was sent before)."""
        return [(e["offset"], e.get("redelivered", 0)) for e in self.take(count)]


@pytest.fixture
def worker():
    opened = []

    def come(g, user=None, client=None, channel=None):
        path = "/ws" + (f"?token={rcjwt.make(sub=user)}" if user else "")
        opened.append(Worker.greeted(g.http, path))
        opened[-1].client = client
        return opened[-1]

    yield come
    for ws in opened:
        ws.drop()


@pytest.fixture
def g(shared_gateway):
    return shared_gateway


def fresh(n=[0]):
    """Channels of the test's own: their owners are on both shards."""
    n[0] += 1
    return [f"job:{n[0]}:{c}" for c in "abcd"]


def number(n):
    return [(i, 0) for i in n]


def test_a_window_is_what_comes_before_an_acknowledgement(g, publisher, worker):
    p, ws = publisher(g), worker(g, "ann", "w1")
    for channel in fresh():
        data = ws.begin(channel, window=3)
        assert data["recovered"] == {channel: False} and data["reasons"] == {channel: "new"}
        assert offset(data["positions"][channel]) == 0
        fill(p, channel, 10)
        assert ws.offsets(3) == number([1, 2, 3])
        ws.quiet()
        assert rcapi.get_json(g, rcapi.channel_path(channel))["consumers"] == {"count": 1, "connected": 1, "unacknowledged": 10}
        ws.ack(channel, 2)
        assert ws.offsets(2) == number([4, 5])
        ws.quiet()
        ws.ack(channel, 1)
        ws.quiet()
        ws.ack(channel, at(data["positions"][channel], 5))
        assert ws.offsets(1) == number([6])
        ws.ack(channel, 6)
        assert ws.offsets(3) == number([7, 8, 9])
        ws.ack(channel, 9)
        assert ws.offsets(1) == number([10])
        ws.unsubscribe(channel)
    g.until_counter("consumers", 0)


def test_another_form_does_not_take_the_place_of_what_is_acknowledged(g, publisher, worker):
    p, ws = publisher(g), worker(g, "ann", "w1b")
    for channel in fresh()[:2]:
        ws.begin(channel, window=2)
        fill(p, channel, 4)
        assert ws.offsets(2) == number([1, 2])
        # Offsets 3 and 4 would be in neither.
        ws.say(type="subscribe", channels=[channel], filter="data.n > 0")
        assert ws.await_type("error")["code"] == "bad_request"
        ws.ack(channel, 2)
        assert ws.offsets(2) == number([3, 4])
        ws.unsubscribe(channel)


def test_what_is_not_acknowledged_comes_again_and_then_is_a_dead_letter(g, publisher, worker, reader):
    p, ws = publisher(g), worker(g, "bob", "w2")
    before = g.counters()
    channels = fresh()[:2]
    for channel in channels:
        ws.begin(channel, timeout=SHORT, retries=2)
        p.publish(channel, payload(1), event='odd "name"')
    for again in range(3):
        assert ws.offsets(2) == [(1, again)] * 2
    for channel in channels:
        dead = f"$dead:{channel}"
        eventually(lambda: rcapi.get(g, rcapi.channel_path(dead) + "/history").status == 200, "the dead letter")
        letter, = rcapi.get_json(g, rcapi.channel_path(dead) + "/history")["events"]
        assert letter["event"] == 'odd "name"' and letter["channel"] == dead and letter["offset"] == 1
        assert letter["data"] == {"channel": channel, "offset": 1, "event": 'odd "name"', "reason": "retries", "tries": 3,
                                  "user": "bob", "clientId": "w2", "data": {"n": 1}}
        # It is done with: the next goes on, and there is nothing to acknowledge any more.
        p.publish(channel, payload(2))
        assert ws.offsets(1) == [(2, 0)]
        ws.ack(channel, 2)
        ws.quiet()
        ws.unsubscribe(channel)
    now = g.counters()
    assert now["redeliveries"] - before["redeliveries"] == 4 and now["dead_letters"] - before["dead_letters"] == 2


def test_who_comes_back_goes_on_behind_what_he_acknowledged(g, publisher, worker):
    p = publisher(g)
    for channel in fresh():
        ws = worker(g, "cid", "w3")
        first = ws.begin(channel, window=4)["positions"][channel]
        fill(p, channel, 8)
        assert ws.offsets(4) == number([1, 2, 3, 4])
        ws.ack(channel, 1)
        ws.ack(channel, at(first, 3))
        assert ws.offsets(2) == number([5, 6])
        ws.reset()
        other = worker(g, "cid", "w3")
        data = other.begin(channel, window=8)
        assert data["recovered"] == {channel: True} and "reasons" not in data
        assert data["positions"][channel] == at(first, 1)
        assert other.offsets(6) == [(2, 1), (4, 1), (5, 1), (6, 1), (7, 0), (8, 0)]
        other.ack(channel, 8)
        other.unsubscribe(channel)
        # That ended it.
        assert other.begin(channel)["reasons"] == {channel: "new"}
        other.unsubscribe(channel)


def test_a_connection_takes_over_from_another_that_is_there_still(g, publisher, worker):
    p = publisher(g)
    for channel in fresh():
        old = worker(g, "dan", "w4")
        old.begin(channel)
        fill(p, channel, 3)
        assert old.offsets(3) == number([1, 2, 3])
        old.ack(channel, 1)
        old.barrier()
        new = worker(g, "dan", "w4")
        assert new.begin(channel)["recovered"] == {channel: True}
        error = old.await_type("error")
        assert error["code"] == "replaced" and not error["temporary"] and channel in error["message"]
        assert old.await_type("unsubscription-ack")["data"] == {"channels": [channel]}
        # What it acknowledged may have come to the owner behind the take-over, and does not count then.
        got = new.offsets(2)
        assert got in ([(2, 1), (3, 1)], [(1, 1), (2, 1)])
        if got[0][0] == 1:
            assert new.offsets(1) == [(3, 1)]
        fill(p, channel, 1, first=4)
        assert new.offsets(1) == number([4])
        old.quiet()
        error = old.refused("bad_request", type="ack", channel=channel, offset=3)
        assert "does not acknowledge" in error["message"]
        new.unsubscribe(channel)


def test_others_of_that_client_id_are_others(g, publisher, worker):
    p = publisher(g)
    channel, = fresh()[:1]
    readers = [worker(g, "eve", "same"), worker(g, "fay", "same"), worker(g, "eve", "other"), worker(g, None, "same"), worker(g, "eve")]
    for ws in readers:
        ws.begin(channel)
    fill(p, channel, 2)
    for ws in readers:
        assert ws.offsets(2) == number([1, 2])
    readers[0].ack(channel, 2)
    readers[0].unsubscribe(channel)
    for ws in readers[1:]:
        ws.ack(channel, 1)
        ws.quiet()
        ws.unsubscribe(channel)


def test_without_a_user_or_a_client_id_nothing_outlives_the_connection(g, publisher, worker):
    p = publisher(g)
    channel, = fresh()[:1]
    for who in ((None, "w5"), ("gil", None)):
        # Others, of earlier tests, may be ending still.
        def consumers():
            return rcapi.get_json(g, rcapi.channel_path(channel)).get("consumers", {}).get("count", 0)

        ws = worker(g, *who)
        assert "recovered" not in ws.begin(channel)
        _, end = p.publish(channel, payload(1))
        assert ws.offsets(1) == [(end, 0)]
        assert consumers() == 1
        ws.drop()
        eventually(lambda: consumers() == 0, "its end")
        ws = worker(g, *who)
        assert offset(ws.begin(channel)["positions"][channel]) == end
        ws.unsubscribe(channel)


CHILD = """
import sys; sys.path.insert(0, {folder!r})
from rcws import JsonClient
ws = JsonClient.greeted(({host!r}, {port}), "/ws?token={token}")
ws.subscribe({channel!r}, clientId="w6", ack={{"timeout": 60000}})
print("here", flush=True)
for _ in range(5):
    e = ws.next_event()
    if e["offset"] <= 2:
        ws.say(type="ack", channel={channel!r}, offset=e["offset"])
ws.barrier()
print("has", flush=True)
sys.stdin.read()
"""


def test_a_killed_client_is_sent_again_what_it_did_not_acknowledge(g, publisher, worker):
    p = publisher(g)
    channel, = fresh()[:1]
    host, port = g.plain_http
    text = CHILD.format(folder=os.path.dirname(__file__), host=host, port=port, token=rcjwt.make(sub="hal"), channel=channel)
    before = g.counter("acked_events")
    with subprocess.Popen([sys.executable, "-B", "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "here\n"
        fill(p, channel, 5)
        assert child.stdout.readline() == "has\n"
        g.until_counter("acked_events", before + 2)
        child.send_signal(signal.SIGKILL)
    # What comes before the gateway knows that is sent to who is gone, and then again.
    eventually(lambda: rcapi.get_json(g, rcapi.channel_path(channel))["consumers"]["connected"] == 0, "the end of the connection")
    fill(p, channel, 2, first=6)
    ws = worker(g, "hal", "w6")
    data = ws.begin(channel)
    assert data["recovered"] == {channel: True} and offset(data["positions"][channel]) == 2
    assert ws.offsets(5) == [(3, 1), (4, 1), (5, 1), (6, 0), (7, 0)]
    ws.ack(channel, 7)
    ws.unsubscribe(channel)


def test_wrong_acknowledgements_are_refused_and_nothing_moves(g, publisher, worker):
    p, ws = publisher(g), worker(g, "ida", "w7")
    channel, plain = fresh()[:2]
    position = ws.begin(channel, window=2)["positions"][channel]
    ws.subscribe(plain)
    fill(p, channel, 4)
    assert ws.offsets(2) == number([1, 2])
    before = g.counter("acks_refused")
    wrong = [{"channel": channel, "offset": 3}, {"channel": channel, "offset": 0}, {"channel": channel, "offset": -1},
             {"channel": channel, "offset": "2"}, {"channel": channel, "offset": 1.5}, {"channel": channel},
             {"channel": channel, "offset": 2, "id": at(position, 2)}, {"channel": channel, "id": at(position, 3)},
             {"channel": channel, "id": "aaaaaaaaaa@1"}, {"channel": channel, "id": "1"}, {"channel": channel, "id": 1},
             {"channel": channel, "id": "x" * 100}, {"channel": plain, "offset": 1}, {"channel": "job:nobody", "offset": 1}, {"offset": 1},
             {"channels": [channel], "offset": 1}, {"channel": "x" * 300, "offset": 1}]
    for fields in wrong:
        error = ws.refused("bad_request", type="ack", **fields)
        assert error.get("id") == fields.get("id"), (fields, error)
    assert g.counter("acks_refused") - before == len(wrong)
    ws.quiet()
    # Twice and older ones are nothing wrong.
    ws.ack(channel, 1)
    ws.ack(channel, 1)
    ws.ack(channel, at(position, 1))
    assert ws.offsets(1) == number([3])
    ws.ack(channel, 3)
    assert ws.offsets(1) == number([4])
    ws.unsubscribe(channel)


def test_wishes_that_can_not_be_had(g, worker):
    ws = worker(g, "jon")
    channel, = fresh()[:1]
    for ack, word in (({"timeout": 99}, "ack.timeout"), ({"timeout": 1.5}, "ack.timeout"), ({"timeout": 3600001}, "ack.timeout"),
                      ({"retries": -1}, "ack.retries"), ({"retries": 101}, "ack.retries"), ({"retries": "3"}, "ack.retries"),
                      ({"window": 0}, "ack.window"), ({"window": 257}, "ack.window"), ({"windows": 1}, "timeout, retries and window"),
                      (1, "'ack'"), ("yes", "'ack'"), ([], "'ack'")):
        assert word in ws.refused("bad_request", type="subscribe", channel=channel, ack=ack)["message"]
    for client in ("", "c" * 65, 7, None, "a\nb"):
        assert "clientId" in ws.refused("bad_request", type="subscribe", channel=channel, ack=True, clientId=client)["message"]
    for name, word in (("job:*", "pattern"), ("default", "history"), ("raw:x", "raw"), (f"job:{'x' * 246}", "249 bytes")):
        assert word in ws.refused("unsupported", type="subscribe", channel=name, ack=True)["message"]
    answer = rcapi.get(g, f"/events?channel={channel}&ack=1")
    assert answer.status == 400 and "can't acknowledge" in answer.text
    assert "filter" in ws.refused("unsupported", type="subscribe", channel=channel, ack=True, filter="event = 'x'")["message"]
    # In another way, on one connection.
    ws.subscribe(channel)
    assert "unsubscribe first" in ws.refused("bad_request", type="subscribe", channel=channel, ack=True)["message"]
    ws.unsubscribe(channel)
    ws.subscribe(channel, ack=True, clientId="a")
    ws.subscribe(channel, ack=True, clientId="a")
    assert "unsubscribe first" in ws.refused("bad_request", type="subscribe", channel=channel, ack=True, clientId="b")["message"]
    ws.unsubscribe(channel)
    ws.subscribe(channel, ack=False)
    ws.unsubscribe()


def test_a_whole_window_may_be_acknowledged_one_by_one_at_once(g, publisher, worker):
    p, ws = publisher(g), worker(g, "ivy", "w13")
    for channel in fresh():
        position = ws.begin(channel, window=100)["positions"][channel]
        fill(p, channel, 150)
        assert ws.offsets(100) == number(range(1, 101))
        acks = [{"type": "ack", "channel": channel, "id": at(position, n)} for n in range(1, 101)]
        ws.send_bytes(b"".join(frame(TEXT, json.dumps(a)) for a in acks))
        assert ws.offsets(50) == number(range(101, 151))
        ws.barrier()
        ws.unsubscribe(channel)


def test_since_says_where_a_new_one_begins(g, publisher, worker):
    p = publisher(g)
    for n, channel in enumerate(fresh()[:2]):
        fill(p, channel, 5)
        ws = worker(g, "kim", f"w8{n}")
        position = ws.begin(channel, since="beginning")["positions"][channel]
        assert offset(position) == 0 and ws.offsets(5) == number([1, 2, 3, 4, 5])
        ws.unsubscribe(channel)
        assert ws.begin(channel, since=at(position, 3))["recovered"] == {channel: True}
        assert ws.offsets(2) == number([4, 5])
        ws.unsubscribe(channel)
        data = ws.begin(channel, since=at(position, 9))
        assert data["reasons"] == {channel: "ahead"} and data["positions"][channel] == at(position, 5)
        ws.unsubscribe(channel)
        # All that this life of the channel has is new to who knows an earlier one.
        data = ws.begin(channel, since="aaaaaaaaaa@3")
        assert data["reasons"] == {channel: "epoch"} and data["positions"][channel] == at(position, 0)
        assert ws.offsets(5) == number([1, 2, 3, 4, 5])
        ws.unsubscribe(channel)


def test_who_may_read_dead_letters(g, publisher, worker):
    p = publisher(g)
    channel, = fresh()[:1]
    ws = worker(g, "lea", "w9")
    ws.begin(channel, timeout=SHORT, retries=0)
    p.publish(channel, payload(1))
    dead = f"$dead:{channel}"
    eventually(lambda: rcapi.get(g, rcapi.channel_path(dead) + "/history").status == 200, "the dead letter")
    ws.refused("forbidden", type="subscribe", channel=dead)
    ws.unsubscribe()
    with Reader.greeted(g.http, f"/ws?token={rcjwt.make(sub='ops', channels=['$dead:**'])}") as ops:
        ops.subscribe(dead, since="beginning")
        letter = ops.next_event()
        assert letter["data"]["offset"] == 1 and letter["data"]["tries"] == 1
        ops.refused("unsupported", type="subscribe", channel="$dead:job:other", ack=True)
        ops.refused("bad_channel", type="publish", channel=dead, event="x", data=1)


def test_a_slow_reader_is_waited_for_and_holds_nobody_up(g, publisher, worker):
    p = publisher(g)
    channel, = fresh()[:1]
    slow = Worker.greeted(g.http, f"/ws?token={rcjwt.make(sub='max')}", rcvbuf=4096)
    slow.client = "w10"
    with slow:
        slow.begin(channel, window=256)
        other = worker(g, "ned", "w10")
        other.begin(channel, window=256)
        fill(p, channel, 200, pad=8000)
        for first in range(1, 201, 20):
            got = [e["offset"] for e in other.take(20)]
            assert got == list(range(first, first + 20))
            other.ack(channel, got[-1])
        got = []
        while not got or got[-1] != 200:
            e, = slow.take(1)
            assert "redelivered" not in e
            got.append(e["offset"])
            slow.ack(channel, e["offset"])
        assert got == list(range(1, 201))
        slow.unsubscribe(channel)
        other.unsubscribe(channel)


# ---- in a gateway of its own

def test_what_history_has_let_go_is_said(gateway, publisher, worker):
    g = gateway({**SETTINGS, "namespace.job.history_size": "20", "namespace.job.history_bytes": "16KiB"})
    p = publisher(g)
    for channel in fresh():
        ws = worker(g, "ola", "w11")
        ws.begin(channel, window=2)
        fill(p, channel, 2)
        assert ws.offsets(2) == number([1, 2])
        fill(p, channel, 500, first=3, pad=500)
        ws.ack(channel, 1)
        gap = ws.await_type("gap")
        first = ws.offsets(1)[0][0]
        assert gap["reason"] == "trimmed" and gap["channel"] == channel
        assert gap["missed"] == first - 3 and offset(gap["position"]) == first - 1
        ws.ack(channel, at(gap["position"], first))
        assert ws.offsets(1) == number([first + 1])
        ws.reset()
        # The second and the last one were not acknowledged; the second is not there any more.
        ws = worker(g, "ola", "w11")
        data = ws.begin(channel, window=2)
        assert data["recovered"] == {channel: False} and data["reasons"] == {channel: "trimmed"}
        assert offset(data["positions"][channel]) == first
        assert ws.offsets(2) == [(first + 1, 1), (first + 2, 0)]
        ws.unsubscribe(channel)
    g.until_counter("acked_trimmed", lambda n: n > 4 * 100)


def test_bounds_of_number_and_time(gateway, publisher, worker):
    g = gateway({**SETTINGS, "max_consumers": "2", "ack_ttl": "1s"})
    channel = "job:x"
    a, b, c = (worker(g, "pia", n) for n in "abc")
    a.begin(channel)
    b.begin(channel)
    c.say(type="subscribe", channel=channel, ack=True, clientId="c")
    error = c.await_type("error")
    assert error["code"] == "server_capacity_exceeded" and error["temporary"]
    assert g.counter("consumers_refused") == 1
    # Who is gone keeps his place, but not for ever; the channel stays meanwhile.
    a.drop()
    g.until_counter("consumers_expired", 1)
    assert c.begin(channel)["reasons"] == {channel: "new"}
    assert g.counter("consumers") == 2


def test_one_user_cannot_take_the_room_of_others(gateway, worker):
    g = gateway({**SETTINGS, "max_consumers": "8", "max_consumers_per_user": "2", "ack_ttl": "1s"})

    def refused(ws, **more):
        ws.say(type="subscribe", channel="job:x", ack=True, id="r", **more)
        error = ws.await_type("error")
        assert (error["id"], error["code"], error["temporary"]) == ("r", "limit_exceeded", True)

    first, second, third = (worker(g, "rob", n) for n in "abc")
    first.begin("job:x")
    second.begin("job:x")
    refused(third, clientId="c")
    assert g.counter("consumers_refused_user") == 1 and g.counter("consumers_refused") == 0
    # Others do not notice.
    worker(g, "sue", "a").begin("job:x")
    # One that there is, he always gets; one that he ends makes room.
    again = worker(g, "rob", "b")
    assert again.begin("job:x")["recovered"] == {"job:x": True}
    first.unsubscribe("job:x")
    g.until_counter("consumers", 2)
    assert third.begin("job:x")["reasons"] == {"job:x": "new"}
    # So does one that was not come back for.
    refused(first, clientId="a")
    again.drop()
    g.until_counter("consumers_expired", 1)
    first.begin("job:x")
    # Without a user it is the address that counts, and the connection that ends them.
    nobody = [worker(g, None, n) for n in "ab"]
    for ws in nobody:
        ws.begin("job:x")
    refused(worker(g))
    nobody[0].drop()
    g.until_counter("consumers", 4)
    worker(g).begin("job:x")


def test_a_gateway_that_was_restarted_knows_nobody(gateway, publisher, worker):
    g = gateway(SETTINGS)
    ws = worker(g, "quin", "w12")
    ws.begin("job:x")
    p = publisher(g)
    fill(p, "job:x", 3)
    assert ws.offsets(3) == number([1, 2, 3])
    ws.ack("job:x", 3)
    ws.barrier()
    position = rcapi.get_json(g, rcapi.channel_path("job:x") + "/history")["position"]
    ws.drop()
    g.stop()
    g.judged = True
    g = gateway(SETTINGS)
    p = publisher(g)
    fill(p, "job:x", 2)
    ws = worker(g, "quin", "w12")
    data = ws.begin("job:x", since=position)
    assert data["recovered"] == {"job:x": False} and data["reasons"] == {"job:x": "epoch"}
    assert ws.offsets(2) == number([1, 2])


def test_what_could_not_be_had_is_said_until_something_is_acknowledged(g, publisher, worker):
    p = publisher(g)
    channel, = fresh()[:1]
    fill(p, channel, 5)
    # Who asked may be gone before he hears: then he asks the same once more.
    for turn in range(2):
        ws = worker(g, "vera", "w20")
        data = ws.begin(channel, since="aaaaaaaaaa@3")
        assert data["recovered"] == {channel: False} and data["reasons"] == {channel: "epoch"}
        assert ws.offsets(5) == [(n, turn) for n in range(1, 6)]
        ws.drop()
    position = data["positions"][channel]
    # Who knows a position of this life has heard.
    ws = worker(g, "vera", "w20")
    assert ws.begin(channel, since=position)["recovered"] == {channel: True}
    ws.ack(channel, 1)
    ws.barrier()
    ws.drop()
    ws = worker(g, "vera", "w20")
    data = ws.begin(channel, since=at(position, 1))
    assert data["recovered"] == {channel: True} and "reasons" not in data


def test_an_event_without_echo_is_work_all_the_same(g, worker):
    """The owner decides who has what, and knows no connection: whoever publishes into the channel that it acknowledges has its own to do."""
    for channel in fresh():
        ws = worker(g, "eve", "own")
        ws.begin(channel)
        for n in range(2):
            ws.say(type="publish", channel=channel, event="e", data=n, echo=False)
            ws.await_type("ack")
        assert ws.offsets(2) == number([1, 2])
        ws.ack(channel, 2)
        ws.unsubscribe(channel)


def test_who_says_later_who_he_is_has_a_consumer_of_his_own(g, worker):
    """The one of nobody ends with its connection, whatever it is called: it is not passed off as his."""
    for channel in fresh():
        ws = worker(g, client="w1")
        ws.begin(channel)
        ws.say(type="auth", token=rcjwt.make(sub="ann"))
        ws.await_type("connected")
        ws.say(type="subscribe", id="again", channels=[channel], ack=True, clientId="w1")
        m = ws.await_type("error", "subscription-ack")
        assert m["type"] == "error" and m["code"] == "bad_request" and "another way" in m["message"], m
        ws.unsubscribe(channel)
        assert ws.begin(channel)["reasons"] == {channel: "new"}
