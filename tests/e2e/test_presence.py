# SPDX-License-Identifier: Apache-2.0
"""Who is in a channel: lists and counts, joins and leaves as events of the channel, lingering, storms, and what is refused."""
import contextlib
import json
import os
import signal
import subprocess
import sys
from urllib.parse import quote

import pytest

import rcapi
import rcjwt
from deadline import SOON, Deadline, eventually
from rchistory import at, offset
from rcws import JsonClient

CHANNELS = ["room:a", "room:b", "room:c"]
LINGER = "300ms"


def settings(**more):
    room = {"presence": "yes", "join_leave": "yes", "presence_linger": LINGER, "presence_interval": "20ms", "history_size": "1000",
            "allow_subscribe": "anyone", "allow_presence": "anyone", "allow_history": "anyone"}
    room.update({k[5:]: v for k, v in more.items() if k.startswith("room_")})
    rest = {k: v for k, v in more.items() if not k.startswith("room_")}
    return rcjwt.settings(**{f"namespace.room.{k}": v for k, v in room.items()}, **{"namespace.allow_subscribe": "anyone"}, **rest)


def path_of(*channels, user=None, info=None, base="/ws", **query):
    parts = [f"channel={quote(c, safe='')}" for c in channels]
    if user:
        parts.append("token=" + rcjwt.make(sub=user, **({"info": info} if info is not None else {})))
    parts += [f"{k}={quote(v, safe='')}" for k, v in query.items()]
    return base + ("?" + "&".join(parts) if parts else "")


class Member(JsonClient):
    """What the gateway says in a channel is kept beside the events, in the order in which it came."""

    @classmethod
    def greeted(cls, address, path="/ws", **options):
        ws = super().greeted(address, path, **options)
        ws.told, ws.size = [], 0
        return ws

    def take_one(self, timeout=SOON):
        opcode, raw = self.recv(timeout)
        message = json.loads(raw)
        if "offset" in message:
            self.size += len(raw)
            self.told.append(message)
        return message

    def await_type(self, *types, timeout=SOON):
        deadline = Deadline(timeout)
        while True:
            message = self.take_one(timeout)
            if message["type"] in types and ("offset" not in message or "event" in types):
                return message
            assert "offset" in message or message["type"] in ("ping", "positions"), f"awaited {types}, got {message}"
            deadline.left()

    def next_told(self, timeout=SOON):
        deadline = Deadline(timeout)
        while not self.told:
            self.take_one(deadline.left())
        return self.told.pop(0)

    def presence(self, channel, **fields):
        self.say(type="presence", channel=channel, **fields)
        answer = self.await_type("presence", "error")
        assert answer["type"] == "presence", answer
        assert answer["channel"] == channel and answer["timestamp"].endswith("Z"), answer
        return answer

    def refused(self, code, **fields):
        self.say(type="presence", **fields)
        error = self.await_type("error")
        assert error["code"] == code and error["temporary"] is False, error
        return error


@pytest.fixture
def member():
    with contextlib.ExitStack() as stack:

        def come(g, *channels, **options):
            ws = stack.enter_context(Member.greeted(g.http, path_of(*channels, **options)))
            ws.ack = ws.await_type("subscription-ack")["data"] if channels else None
            return ws

        yield come


def listed(answer):
    users = {u["user"]: u["connections"] for u in answer["users"]}
    assert len(users) == len(answer["users"]), "a user stands there twice"
    return users


def until_listed(ws, channel, users, **more):
    """Asks until the answer is this one: what other shards know travels."""
    last = {}

    def right():
        last.update(ws.presence(channel))
        return listed(last) == users and all(last[k] == v for k, v in more.items())

    eventually(right, lambda: f"{users} {more}, not {last}")
    return last


class Sum:
    """What join and leave events add up to."""

    def __init__(self):
        self.users = set()

    def take(self, e):
        assert e["event"] == e["type"] and e["type"] in ("join", "leave"), e
        names = {u["user"] for u in e["data"]["users"]}
        assert len(names) == len(e["data"]["users"]) >= 1
        assert e.get("user") == (list(names)[0] if len(names) == 1 else None), e
        if e["type"] == "join":
            assert not names & self.users
            self.users |= names
        else:
            assert names <= self.users
            self.users -= names
        assert e["data"]["count"] == len(self.users), (e, self.users)

    def until(self, ws, users):
        while self.users != set(users):
            self.take(ws.next_told())


# ---- asking

def test_the_list_has_users_their_connections_and_counts(gateway, member, sse):
    g = gateway(settings())
    watch = member(g)
    for channel in CHANNELS:
        member(g, channel, user="ann", info={"name": "Ann", "n": [1.50]})
        member(g, channel, user="ann", info={"name": "Ann", "n": [1.50]})
        member(g, channel, user='b"ö\\b')
        member(g, channel)
        sse(g, path_of(channel, "room:z", user="cy", base="/events"))
        answer = until_listed(watch, channel, {"ann": 2, 'b"ö\\b': 1, "cy": 1}, clients=5, anonymous=1, count=3)
        assert answer["complete"] is True and "id" not in answer
        infos = {u["user"]: u.get("info") for u in answer["users"]}
        assert infos == {"ann": {"name": "Ann", "n": [1.5]}, 'b"ö\\b': None, "cy": None}
        # Patterns put nobody into a channel.
        member(g, "room:*", user="pat")
        assert set(listed(watch.presence(channel, id="x7"))) == {"ann", 'b"ö\\b', "cy"}
        over_http = rcapi.get_json(g, rcapi.channel_path(channel) + "/presence")
        again = watch.presence(channel, id=7)
        assert again.pop("id") == 7
        for a in (over_http, again):
            a.pop("timestamp")
            a["users"].sort(key=lambda u: u["user"])
        assert over_http == again
        counts = rcapi.get_json(g, rcapi.channel_path(channel) + "/presence", counts="1")
        assert "users" not in counts and (counts["count"], counts["clients"], counts["anonymous"]) == (3, 5, 1)
    # An SSE stream is in each of its channels.
    until_listed(watch, "room:z", {"cy": 3}, clients=3)
    empty = watch.presence("room:nobody")
    assert empty["users"] == [] and empty["count"] == empty["clients"] == empty["anonymous"] == 0 and empty["complete"] is True


def test_what_is_refused(gateway, member):
    g = gateway(settings(room_allow_presence="user", **{"namespace.own.presence": "yes", "namespace.own.allow_presence": "nobody"}))
    anonymous, ann = member(g), member(g, user="ann")
    anonymous.refused("forbidden", channel="room:a")
    assert ann.presence("room:a")["users"] == []
    ann.refused("forbidden", channel="own:a")
    ann.refused("unsupported", channel="plain")
    ann.refused("bad_request", channel="room:*")
    ann.refused("bad_request")
    ann.refused("bad_request", channels=["room:a", "room:b"])
    ann.refused("bad_request", channels=[])
    ann.refused("bad_channel", channel="room a")
    ann.refused("bad_channel", channel="x" * 256)
    ann.refused("forbidden", channel="$sys:metrics")
    assert ann.refused("bad_channel", channel="a*", id="q")["id"] == "q"
    ann.barrier()
    for path, query, status, code in (("plain", {}, 400, "unsupported"), ("room:*", {}, 400, "bad_channel"),
                                      ("room:a", {"counts": "2"}, 400, "bad_request"), ("$all", {}, 400, "unsupported")):
        answer = rcapi.get(g, rcapi.channel_path(path) + "/presence", **query)
        assert (answer.status, answer.json()["error"]["code"]) == (status, code), (path, answer.text)


def test_answers_come_in_the_order_of_the_questions(gateway, member):
    g = gateway(settings())
    ws = member(g, user="ann")
    for i in range(40):
        channel = CHANNELS[i % 3]
        ws.say(type=("presence", "history", "subscribe", "unsubscribe")[i % 4], channel=channel, id=i)
    answers = []
    while len(answers) < 40:
        message = ws.take_one()
        if "id" in message:
            answers.append((message["type"], message["id"]))
    kinds = ("presence", "history", "subscription-ack", "unsubscription-ack")
    assert answers == [(kinds[i % 4], i) for i in range(40)]


# ---- joins and leaves

@pytest.mark.tsan
def test_joins_and_leaves_are_events_of_the_channel(gateway, member, publisher, sse):
    g = gateway(settings())
    p = publisher(g)
    for channel in CHANNELS:
        watch, pattern = member(g, channel), member(g, channel[:-1] + "*")
        stream = sse(g, path_of(channel, base="/events"))
        ann = member(g, channel, user="ann", info={"n": 1})
        e = watch.next_told()
        assert list(e) == ["type", "channel", "event", "offset", "timestamp", "user", "data"], e
        assert e["type"] == e["event"] == "join" and e["channel"] == channel and e["offset"] == 1 and e["user"] == "ann"
        assert e["data"] == {"users": [{"user": "ann", "info": {"n": 1}}], "count": 1, "clients": 3, "anonymous": 2}, e
        assert ann.next_told() == e, "who comes hears of himself"
        through = pattern.next_told()
        assert through.pop("position") and through == e
        block = stream.next_message()
        assert block.name == "join" and block.json() == e and block.id == stream.last_id
        # What publishers say cannot pass for it.
        p.publish(channel, '{"type":"join","users":[]}', event="join")
        forged = watch.next_told()
        assert forged["type"] == "event" and forged["event"] == "join" and forged["offset"] == 2
        assert stream.next_event() == forged
        ann.close()
        e = watch.next_told()
        assert e["type"] == "leave" and e["offset"] == 3 and e["user"] == "ann"
        assert e["data"] == {"users": [{"user": "ann"}], "count": 0, "clients": 2, "anonymous": 2}
        assert pattern.next_told()["type"] == "event" and pattern.next_told()["type"] == "leave"
        block = stream.next_message()
        assert block.name == "leave" and block.json() == e
        stream.drop()


def test_they_are_in_the_history_and_recovered(gateway, member, publisher, sse):
    g = gateway(settings())
    p = publisher(g)
    for channel in CHANNELS:
        watch = member(g, channel)
        start = watch.ack["positions"][channel]
        stream = sse(g, path_of(channel, base="/events"))
        last = stream.last_id
        stream.drop()
        p.publish(channel, "1")
        member(g, channel, user="ann").close()
        live = [watch.next_told() for _ in range(3)]
        assert [e["type"] for e in live] == ["event", "join", "leave"]
        assert [e["offset"] for e in live] == [1, 2, 3]
        watch.say(type="history", channel=channel, since="beginning")
        history = watch.await_type("history")
        assert history["events"] == live and offset(history["position"]) == 3 and history["complete"] is True
        back = member(g, channel, since=at(start, 1))
        assert back.ack["recovered"] == {channel: True}
        assert [back.next_told() for _ in range(2)] == live[1:]
        again = sse(g, path_of(channel, base="/events"), last=last)
        assert [again.next_event() for _ in range(3)] == live


def test_who_comes_back_in_time_has_not_left(gateway, member, publisher):
    g = gateway(settings(room_presence_linger="30s"))
    p = publisher(g)
    for n, channel in enumerate(CHANNELS, 1):
        watch = member(g, channel)
        ann = member(g, channel, user="ann")
        assert watch.next_told()["type"] == "join"
        for _ in range(3):
            ann.reset()
            until_listed(watch, channel, {"ann": 0}, count=1, clients=1)
            ann = member(g, channel, user="ann")
            until_listed(watch, channel, {"ann": 1}, count=1, clients=2)
        g.until_counter("presence_lingered", 3 * n)
        p.publish(channel, "1")
        e = watch.next_told()
        assert (e["type"], e["offset"]) == ("event", 2), "nothing was told in between"
    assert g.counter("presence_leaves") == 0 and g.counter("presence_joins") == 3


def test_who_says_later_who_he_is_joins_then(gateway, member):
    g = gateway(settings())
    watch = member(g, "room:a")
    late = member(g, "room:a", "room:b", "room:*", "plain")
    until_listed(watch, "room:a", {}, clients=2, anonymous=2)
    late.say(type="auth", token=rcjwt.make(sub="late", info="now"))
    e = watch.next_told()
    assert e["type"] == "join" and e["user"] == "late"
    until_listed(watch, "room:a", {"late": 1}, clients=2, anonymous=1)
    until_listed(watch, "room:b", {"late": 1}, clients=1, anonymous=0)
    # And a newer token says something else of him.
    late.say(type="refresh", token=rcjwt.make(sub="late", info={"mood": "good"}))
    eventually(lambda: watch.presence("room:b")["users"] == [{"user": "late", "connections": 1, "info": {"mood": "good"}}], "the newer info")
    late.say(type="unsubscribe", channel="room:a")
    e = watch.next_told()
    assert e["type"] == "leave" and e["user"] == "late" and e["data"]["clients"] == 1
    until_listed(watch, "room:b", {"late": 1}, clients=1)
    late.drop()
    until_listed(watch, "room:b", {}, clients=0)


CROWD = """
import sys
sys.path.insert(0, {folder!r})
from rcws import WebSocket
from test_presence import path_of
address, first, count = ({host!r}, {port}), {first}, {count}
held = [WebSocket.open(address, path_of("room:a", user=f"u{{i}}")) for i in range(first, first + count)]
print("all in", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def crowd(g, first, count):
    """Users in room:a who live in a process of their own, which yields."""
    code = CROWD.format(folder=os.path.dirname(os.path.abspath(__file__)), host=g.plain_http[0], port=g.plain_http[1], first=first, count=count)
    with subprocess.Popen([sys.executable, "-B", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.tsan
def test_clients_that_are_killed_leave(gateway, member):
    g = gateway(settings())
    watch, total = member(g, "room:a"), Sum()
    stays = member(g, "room:a", user="stays")
    with crowd(g, 0, 40) as process:
        assert process.stdout.readline() == "all in\n"
        total.until(watch, {"stays"} | {f"u{i}" for i in range(40)})
        until_listed(stays, "room:a", {"stays": 1} | {f"u{i}": 1 for i in range(40)}, clients=42)
        process.send_signal(signal.SIGKILL)
    total.until(watch, {"stays"})
    until_listed(watch, "room:a", {"stays": 1}, clients=2, count=1)
    g.until_counter("presence_entries", 1)


@pytest.mark.deadline(120)
def test_a_storm_is_told_in_few_events_of_bounded_size(gateway, member):
    """Those who were there first hear of all who come; how many events that takes does not depend on how many come at once."""
    count = 600
    g = gateway(settings(room_presence_interval="200ms", room_presence_linger="0", room_presence_max="1000"))
    watch, total, events = member(g, "room:a"), Sum(), []
    with crowd(g, 0, count) as process:
        while len(total.users) < count:
            events.append(watch.next_told())
            total.take(events[-1])
        assert process.stdout.readline() == "all in\n"
    assert max(len(e["data"]["users"]) for e in events) <= 64
    # One per interval: the clock of the events says how many there were.
    assert g.counter("presence_events") >= len(events)
    first, last = (stamp_ms(events[i]) for i in (0, -1))
    assert len(events) <= (last - first) / 200 + 2, (len(events), last - first)
    assert watch.size < len(events) * 4096
    total.until(watch, set())
    assert g.counter("presence_joins") == g.counter("presence_leaves") == count


def stamp_ms(event):
    h, m, s = event["timestamp"][11:-1].split(":")
    return (int(h) * 60 + int(m)) * 60_000 + round(float(s) * 1000)


def test_a_huge_channel_is_told_its_number_only(gateway, member):
    g = gateway(settings(room_presence_max="8", room_presence_linger="0", room_presence_interval="50ms"))
    watch, total = member(g, "room:a"), Sum()
    few = [member(g, "room:a", user=f"v{i}") for i in range(3)]
    total.until(watch, {"v0", "v1", "v2"})
    with crowd(g, 0, 30) as process:
        assert process.stdout.readline() == "all in\n"
        counts = []
        while not counts or counts[-1]["data"]["count"] < 33:
            e = watch.next_told()
            if e["type"] == "presence":
                assert e["event"] == "presence" and "user" not in e and "users" not in e["data"]
                assert e["data"]["complete"] is False and e["data"]["count"] > 8
                counts.append(e)
            else:
                assert not counts, "no names above the limit"
                total.take(e)
        answer = watch.presence("room:a")
        assert answer["users"] == [] and answer["complete"] is False and answer["count"] == 33 and answer["clients"] == 34
        assert rcapi.get_json(g, rcapi.channel_path("room:a") + "/presence", counts="1")["complete"] is True
    while not e["data"]["complete"] if e["type"] == "presence" else True:
        e = watch.next_told()
        assert e["type"] == "presence"
    # From here on there are names again, to be added to the list of now.
    total.users = set(listed(watch.presence("room:a")))
    total.until(watch, {"v0", "v1", "v2"})
    few.pop().close()
    total.until(watch, {"v0", "v1"})


def test_users_beyond_max_presence_are_counted(gateway, member):
    g = gateway(settings(max_presence="16", room_presence_linger="0"), shards=1)
    watch = member(g, "room:a")
    with crowd(g, 0, 40) as process:
        assert process.stdout.readline() == "all in\n"
        answer = {}
        eventually(lambda: answer.update(watch.presence("room:a")) or answer["clients"] == 41, "all are counted")
        assert answer["anonymous"] == 1 and answer["count"] == len(answer["users"]) == 16 and answer["complete"] is False
        assert g.counter("presence_full") >= 24 and g.counter("presence_entries") == 16
    until_listed(watch, "room:a", {}, clients=1, count=0, complete=True)
    # Who left keeps his place until that is told.
    eventually(lambda: g.counter("presence_entries") == 0, "all leaves are told")
    late = member(g, "room:a", user="late")
    until_listed(watch, "room:a", {"late": 1}, clients=2, complete=True)
    late.close()


def test_without_join_leave_only_who_asks_is_told(gateway, member, publisher):
    g = gateway(settings(room_join_leave="no"))
    watch = member(g, "room:a")
    ann = member(g, "room:a", user="ann")
    until_listed(watch, "room:a", {"ann": 1})
    ann.drop()
    until_listed(watch, "room:a", {}, count=0)
    publisher(g).publish("room:a", "1")
    assert watch.next_told()["offset"] == 1


def test_a_stop_is_no_storm_of_leaves(gateway, member):
    g = gateway(settings(room_presence_linger="0", reconnect_jitter="0", drain_timeout="5s"))
    watch = member(g, "room:a")
    held = [member(g, "room:a", user=f"u{i}") for i in range(30)]
    total = Sum()
    total.until(watch, {f"u{i}" for i in range(30)})
    g.signal(signal.SIGTERM)
    watch.expect_close(1012)
    assert not [e for e in watch.told if e["type"] == "leave"]
    for ws in held:
        ws.drop()
    g.stop()
