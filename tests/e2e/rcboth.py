# SPDX-License-Identifier: Apache-2.0
"""Models of the second property test, on top of rcmodel.py: clients with filters, rates and windows, and clients that
acknowledge."""
import collections
import json

import rcjwt
import rcws
from deadline import SOON, Deadline
from rchistory import not_before
from rcmodel import WebSocketClient, wait_for

# What a filter wants of (event's name, k).
FILTERS = {
    "": lambda e, k: True,
    "event = 'a*'": lambda e, k: e[0] == "a",
    "data.k in (1, 2)": lambda e, k: k in (1, 2),
    "event != 'odd' and data.k > 2": lambda e, k: e != "odd" and k is not None and k > 2,
    "not data.k >= 1 or event = 'odd'": lambda e, k: k is None or k < 1 or e == "odd",
    "has data.k and (event = 'ab' or data.k = 4)": lambda e, k: k is not None and (e == "ab" or k == 4),
    "data.k = 'never'": lambda e, k: False,
}


class Way:
    """How a name is read."""

    def __init__(self, text="", **fields):
        self.wants = FILTERS[text]
        self.fields = ({"filter": text} if text else {}) | fields
        self.rate, self.key = fields.get("rate"), fields.get("key")

    def __repr__(self):
        return repr(self.fields)

    @classmethod
    def some(cls, rng, pattern):
        text = rng.choice(list(FILTERS))
        kind = rng.randrange(6)
        if kind == 0:
            return cls(text, window=rng.choice((1, 20, 60)))
        if kind == 1:
            return cls(text, rate=rng.choice((10, 40, 1000)), key="k")
        if kind == 2 and not pattern:
            # One rate for all channels of a pattern says nothing about each of them.
            return cls(text, rate=rng.choice((10, 40, 1000)))
        return cls(text)


class ViewClient(WebSocketClient):
    """A WebSocket client each of whose names is read in a way of its own, which changes at times."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.ways, self.asked = {}, {}
        self.before = {}  # (name, channel) -> [(index, Way)]: of what lies in front of it the earlier way counted, too
        self.floors, self.due = {}, {}  # with a key: what has come of each; from where on the newest must come
        self.pending, self.said, self.answers = {}, 0, 0

    def begin(self, name):
        super().begin(name)
        self.ways.setdefault(name, Way())
        for c in self.followed(name):
            self.before[name, c] = []
            self.restart_keys(name, c, 0, self.world.count(c))

    def end(self, name):
        super().end(name)
        self.ways.pop(name, None)

    def restart_keys(self, name, channel, floor, due):
        self.floors[name, channel] = collections.defaultdict(lambda: floor)
        self.due[name, channel] = due

    # ---- what must come

    def marks(self, channel, index):
        return self.world.published[channel][index][4:6]

    def must(self, name, channel, index):
        marks = self.marks(channel, index)
        return self.ways[name].wants(*marks) and all(index >= end or way.wants(*marks) for end, way in self.before[name, channel])

    def missing(self, name, channel, first, last):
        """One of these that must come still, or None."""
        if not self.ways[name].key:
            return next((i for i in range(first, last) if self.must(name, channel, i)), None)
        newest = {}
        for i in range(self.due[name, channel], last):
            if self.must(name, channel, i):
                newest[self.marks(channel, i)[1]] = i
        return next((i for k, i in newest.items() if self.floors[name, channel][k] <= i), None)

    def got(self, name, event):
        index, channel = self.world.index_of(self.life, event), event["channel"]
        low, high = self.next[name, channel]
        way = self.ways[name]
        assert way.wants(*self.marks(channel, index)), f"{self.ident}: {name} {way} brings {event}"
        if way.key:
            k = self.marks(channel, index)[1]
            floor = self.floors[name, channel][k]
            assert index >= floor, f"{self.ident}: {name} {way} brings {channel} {index} of {k} again, or too late; {floor} is due"
            self.floors[name, channel][k] = index + 1
            self.next[name, channel] = [max(low, index + 1)] * 2
        else:
            assert index >= low, f"{self.ident}: {name} {way} brings {channel} {index} again, or too late; {low} is due"
            if not way.rate and not self.lenient(name):
                left = self.missing(name, channel, high, index)
                assert left is None, f"{self.ident}: {name} {way} brings {channel} {index} without a word about {left}"
            self.next[name, channel] = [index + 1, index + 1]
        self.received += 1

    def is_at(self, name, channel, index):
        if self.ways[name].key:
            # Values that waited may come behind a gap of others.
            self.due[name, channel] = max(self.due[name, channel], index)
            self.next[name, channel] = [max(self.next[name, channel][0], index)] * 2
        else:
            super().is_at(name, channel, index)

    def widen(self, name):
        super().widen(name)
        for c in self.followed(name):
            self.due[name, c] = self.world.count(c)

    def lacks(self):
        return {at: (low, self.missing(*at, low, self.world.count(at[1])), str(self.ways[at[0]])) for at, (low, _) in self.next.items()
                if self.missing(*at, low, self.world.count(at[1])) is not None} | self.pending

    def complete(self):
        return self.excused() and not self.pending and all(
            self.missing(*at, low, self.world.count(at[1])) is None for at, (low, _) in self.next.items())

    def excused(self):
        return self.connected and not self.asked and all(
            self.missing(*at, high, self.world.count(at[1])) is None for at, (_, high) in self.next.items())

    # ---- asking

    def come(self, address, life, rng, rcvbuf=None):
        self.asked, self.pending = {}, {}
        for name in self.names:
            if name in self.since and rng.random() < 0.3:
                self.turn(name, Way.some(rng, "*" in name))
            elif name not in self.since:
                self.ways[name] = Way.some(rng, "*" in name)
            for c in self.followed(name):
                # What waited for its time is lost with the connection: the position is behind it.
                low = self.next[name, c][0]
                self.restart_keys(name, c, low, self.world.count(c) if "*" in name else low)
            if "*" in name and self.ways[name].rate:
                super().widen(name)
        super().come(address, life, rng, rcvbuf)

    def turn(self, name, way):
        """What it gets of a pattern from now on is read in another way; from where on is not known exactly."""
        old, self.ways[name] = self.ways[name], way
        if "*" in name:
            for c in self.followed(name):
                low = self.next[name, c][0]
                self.before[name, c] = [b for b in self.before[name, c] if b[0] > low] + [(self.world.count(c), old)]
            if old.rate:
                self.widen(name)

    def ask(self, names):
        for name in names:
            self.ask_in(name, self.ways[name])

    def ask_in(self, name, way):
        self.ids += 1
        since = {name: self.since[name]} if name in self.since and name not in self.live else {}
        self.waiting[self.ids], self.asked[self.ids] = ([name], since), way
        self.heard.append(f"asks {self.ids} for {name} {way} since {since}")
        self.say(type="subscribe", id=self.ids, channels=[name], **way.fields, **({"since": since} if since else {}))

    def change(self, rng):
        names = [n for n in self.names if n in self.live and not any(names[0] == n for names, _ in filter(None, self.waiting.values()))]
        if names:
            name = rng.choice(names)
            way = Way.some(rng, "*" in name)
            self.ask_in(name, way)
            return f"{self.ident} {name} {way}"

    def connect(self, *arguments):
        self.live = set()
        super().connect(*arguments)

    def unfollow(self, name):
        super().unfollow(name)
        self.live.discard(name)

    def drop(self, reset=True):
        super().drop(reset)
        self.pending, self.asked = {}, {}

    # ---- what comes

    def message(self, m):
        kind = m["type"]
        if kind == "events":
            self.heard.append(f"window of {len(m['events'])}")
            assert m["events"], m
            for e in m["events"]:
                super().message(e)
        elif kind == "subscription-ack":
            self.turns_to = self.asked.pop(m["id"])
            super().message(m)
        elif kind in ("reply", "error") and m.get("id") in self.pending:
            self.heard.append(json.dumps(m))
            self.answers += 1
            self.pending.pop(m["id"]).answered(m)
        elif kind == "error" and m["code"] == "busy" and m["id"] in self.asked:
            # It is still sent what it missed.
            self.heard.append(json.dumps(m))
            del self.asked[m["id"]], self.waiting[m["id"]]
        else:
            super().message(m)

    def acknowledged(self, names, since, data):
        name, = names
        if name in self.names and name in self.live:
            old = self.ways[name]
            if self.turns_to.fields == old.fields:
                # Nothing changes: what is still on its way to it comes behind this, so the position is not its own.
                return
            if "*" in name:
                self.turn(name, self.turns_to)
                assert not data.get("recovered"), data
                return
            index = self.world.index_behind(self.life, name, data["positions"][name])
            left = self.missing(name, name, self.next[name, name][1], index)
            assert left is None or self.lenient(name), f"{self.ident}: {name} {old} becomes {self.turns_to} at {index}, and {left} has not come"
            self.ways[name] = Way()
            assert index >= self.next[name, name][0], f"{self.ident}: {name} {old} changes at {index}, {self.next[name, name]} is due"
            self.next[name, name] = [index, index]
            self.since[name] = data["positions"][name]
            self.restart_keys(name, name, index, index)
            self.ways[name] = self.turns_to
            return
        super().acknowledged(names, since, data)
        if name in self.names:
            self.live.add(name)
            for c in self.followed(name):
                low, high = self.next[name, c]
                self.restart_keys(name, c, low, high)

    def event(self, m):
        held = dict(self.since)
        if "position" in m:
            name = next((n for n in self.names if "*" in n), None)
            keyed = [n for n in self.names if "*" in n and self.ways[n].key]
            if keyed:
                name = next((n for n in keyed if self.brings(n, m["channel"])), None)
                if name and not not_before(m["position"], held[name]):
                    # An older value that waited.
                    self.got(name, m)
                    return
        super().event(m)
        name = m["channel"]
        if "position" not in m and name in self.names and self.ways[name].key:
            if int(held[name].partition("@")[2]) > m["offset"] and held[name][:10] == self.since[name][:10]:
                self.since[name] = held[name]

    def brings(self, name, channel):
        return (name, channel) in self.next

    def gap(self, m):
        held = dict(self.since)
        super().gap(m)
        name = m["channel"]
        if name in self.names and self.ways[name].key and name in held and not newer(self.since[name], held[name]):
            self.since[name] = held[name]

    # ---- commands

    def command(self, asked):
        self.pending[asked.id] = asked
        self.say(type=asked.kind, id=asked.id, payload=asked.payload, **({"idempotent": True} if asked.marked else {}))


def newer(position, other):
    if "@" in position:
        return position[:10] != other[:10] or int(position.partition("@")[2]) >= int(other.partition("@")[2])
    return not_before(position, other)


# ---- acknowledged delivery


class Job:
    """A consumer of one channel."""

    def __init__(self, start):
        self.start = start      # the first that is its own
        self.seen = {}          # index -> how often it was sent again, as it was told
        self.sent = set()       # acknowledged, whether that arrived or not
        self.settled = set()    # that arrived
        self.dead = set()       # letters that came
        self.said_done = set()  # the gateway counts these as done; letters must come
        self.lost = start       # before this one something was trimmed
        self.here = set()       # received on this connection
        self.acked_here = set()
        self.newest = start - 1

    def over(self, index):
        return index in self.settled or index in self.sent or index in self.dead or index < self.lost


class Consumer(WebSocketClient):
    kind = "acked"

    def __init__(self, world, ident, lenient, rng, channels, timeout):
        super().__init__(world, ident, lenient)
        self.rng, self.channels = rng, channels
        self.timed, self.wish = timeout, {"timeout": timeout or 600000, "retries": rng.randint(0, 2), "window": rng.choice((1, 2, 8, 32))}
        self.style = rng.choice(("cumulative", "single", "mixed"))
        self.jobs, self.late, self.stands, self.eager, self.redelivered, self.refused = {}, [], {}, False, 0, 0

    @property
    def names(self):
        return list(self.channels)

    def come(self, address, life, rng, rcvbuf=None):
        self.heard.append("comes")
        self.connect(address, life, rcws.upgrade(f"/ws?token={rcjwt.make(sub=self.ident)}"), rcvbuf)
        assert self.head.status == 101, self.head.status
        self.ids, self.waiting, self.closed_with, self.since = 0, {}, None, {}
        for channel in self.channels:
            if channel in self.jobs:
                self.jobs[channel].here, self.jobs[channel].acked_here = set(), set()
            self.subscribe(channel)

    def subscribe(self, channel):
        self.ids += 1
        since = self.stands.get(channel)
        self.waiting[self.ids] = channel
        self.say(type="subscribe", id=self.ids, channels=[channel], clientId="c", ack=self.wish, **({"since": since} if since else {}))

    def reborn(self):
        self.jobs, self.late = {}, []

    def forget(self):
        """Ends one consumer; a new one begins."""
        channel = self.rng.choice(self.channels)
        self.settle()
        if not self.connected or channel not in self.jobs:
            return None
        del self.jobs[channel]
        self.late = [x for x in self.late if x[0] != channel]
        self.say(type="unsubscribe", channels=[channel])
        self.settle()
        self.stands.pop(channel, None)
        if self.connected:
            self.subscribe(channel)
            return f"{self.ident} {channel}"

    def message(self, m):
        kind = m["type"]
        self.heard.append(f"{m['channel']} {m['data']['n']} {m.get('redelivered', '')}" if kind == "event" else json.dumps(m)[:400])
        if kind == "event":
            self.event(m)
        elif kind == "subscription-ack":
            self.begun(self.waiting.pop(m["id"]), m["data"])
        elif kind == "history":
            # What was acknowledged before it was asked for went the same way.
            channel, acked = self.waiting.pop(m["id"])
            if channel in self.jobs:
                self.jobs[channel].settled |= acked & self.jobs[channel].sent
        elif kind == "gap":
            assert m["reason"] == "trimmed" and m["channel"].startswith("keep:"), f"{self.ident}: {m}"
            self.told += 1
            self.trimmed(m["channel"], self.world.index_behind(self.life, m["channel"], m["position"]))
        elif kind == "pong":
            del self.waiting[m["id"]]
        elif kind == "error" and m["code"] == "server_capacity_exceeded":
            # Too many of single events at once: it was not taken, and is still to be acknowledged.
            self.refused += 1
            self.retake(m["id"])
        else:
            assert kind in ("connected", "unsubscription-ack", "bye", "positions"), f"{self.ident}: {m}"

    def retake(self, position):
        epoch, _, offset = position.partition("@")
        for channel, job in self.jobs.items():
            if self.stands[channel][:10] == epoch:
                index = self.world.index_behind(self.life, channel, position) - 1
                job.sent.discard(index)
                job.acked_here.discard(index)
                self.late.append((channel, index))

    def trimmed(self, channel, index):
        job = self.jobs.get(channel)
        if job:
            job.lost = max(job.lost, index)

    def begun(self, channel, data):
        w, position = self.world, data["positions"][channel]
        index, reason = w.index_behind(self.life, channel, position), data.get("reasons", {}).get(channel)
        job = self.jobs.get(channel)
        if not job:
            # Recovered, too, when the answer to its first request was lost with the connection.
            assert reason in (None, "new", "epoch", "trimmed"), f"{self.ident}: {data}"
            if reason == "epoch":
                assert index == w.starts[self.life][channel] or channel.startswith("keep:"), f"{self.ident}: {data}"
            self.jobs[channel] = Job(index)
        elif data["recovered"][channel]:
            for i in range(job.start, index):
                if not job.over(i):
                    assert self.timed, f"{self.ident}: {channel} goes on at {index}, and {i} was neither acknowledged nor trimmed"
                    job.said_done.add(i)
        else:
            assert reason == "trimmed" and channel.startswith("keep:"), f"{self.ident}: {channel} {data}"
            self.told += 1
            job.lost = max(job.lost, index)
        self.stands[channel] = position

    def event(self, m):
        channel, n = m["channel"], m.get("redelivered", 0)
        index, job = self.world.index_of(self.life, m), self.jobs.get(channel)
        if not job:
            # Of what it has just unsubscribed.
            return
        what = f"{self.ident}: {channel} {index} redelivered {n}"
        assert index >= job.start, f"{what}, which lies before {job.start}"
        assert index not in job.settled, f"{what} was acknowledged"
        assert index not in job.said_done, f"{what} was said to be done"
        if n:
            self.redelivered += 1
            assert n > job.seen.get(index, 0), f"{what}, and before {job.seen.get(index)}"
        else:
            assert index not in job.seen, f"{what}, and came before"
            assert index > job.newest, f"{what} behind {job.newest}"
            job.newest = index
        if index not in job.acked_here:
            # Acknowledged over an earlier connection, which did not arrive.
            job.sent.discard(index)
        job.seen[index] = n
        job.here.add(index)
        if index in job.dead:
            return
        self.received += 1
        retries = self.wish["retries"]
        open_ = [i for i in job.here if i not in job.sent and i not in job.dead and i >= job.lost
                 and (not self.timed or job.seen[i] < retries or i == index)]
        assert len(open_) <= self.wish["window"], f"{what}: {sorted(open_)} are not acknowledged, more than {self.wish['window']}"
        p = 0 if self.eager else self.rng.random()
        if p < 0.6:
            self.acknowledge(channel, index)
        elif p < 0.9:
            self.late.append((channel, index))

    def acknowledge(self, channel, index):
        job = self.jobs[channel]
        single = self.style == "single" or self.style == "mixed" and self.rng.random() < 0.5
        _, epoch, offset = self.world.published[channel][index][:3]
        if single:
            job.sent.add(index)
            job.acked_here.add(index)
            self.heard.append(f"acks {channel} {index} alone")
            self.send(type="ack", channel=channel, id=f"{epoch}@{offset}")
        else:
            job.sent.update(range(job.start, index + 1))
            job.acked_here.update(range(job.start, index + 1))
            self.heard.append(f"acks {channel} to {index}")
            self.send(type="ack", channel=channel, offset=offset)

    def pull(self, most=None):
        alive = super().pull(most)
        while alive and self.eager and self.late and not self.beginning():
            self.acknowledge(*self.late.pop())
        return alive

    def beginning(self):
        """Not all of its subscriptions have been answered."""
        return any(isinstance(v, str) for v in self.waiting.values())

    def lacks(self):
        return {c: [i for i in range(job.start, self.world.count(c)) if not job.over(i)] for c, job in self.jobs.items()}

    def send(self, **message):
        """From within take(): what can't be said any more is not heard either."""
        try:
            self.sock.setblocking(True)
            self.sock.settimeout(Deadline(SOON).left())
            self.sock.sendall(rcws.frame(rcws.TEXT, json.dumps(message)))
        except OSError:
            pass
        finally:
            self.sock.setblocking(False)

    def catch_up(self):
        """Acknowledges something late, maybe what came over an earlier connection."""
        if not self.late or not self.connected or self.beginning():
            return None
        self.rng.shuffle(self.late)
        channel, index = self.late.pop()
        self.acknowledge(channel, index)
        return f"{self.ident} {channel} {index}"

    def settle(self):
        """Everything that was asked is answered, and what was acknowledged has arrived."""
        for channel in self.channels:
            if self.connected:
                self.ids += 1
                job = self.jobs.get(channel)
                self.waiting[self.ids] = channel, set(job.acked_here) if job else set()
                self.say(type="history", id=self.ids, channel=channel, limit=1)
        mark, deadline = self.ids, Deadline(SOON)
        while mark in self.waiting and self.connected and self.pull():
            wait_for(self.sock, deadline)

    def complete(self):
        return self.connected and len(self.jobs) == len(self.channels) and all(
            job.over(i) for c, job in self.jobs.items() for i in range(job.start, self.world.count(c)))

    excused = complete

    def letter(self, channel, index, data):
        """One of its events has become a dead letter."""
        assert self.timed, f"{self.ident}: {data}"
        job = self.jobs.get(channel)
        if job and index >= job.start:
            assert index not in job.dead, f"{self.ident}: a second letter {data}"
            assert data["tries"] > self.wish["retries"], f"{self.ident}: {data}"
            job.dead.add(index)
