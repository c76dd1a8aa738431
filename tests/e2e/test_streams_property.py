# SPDX-License-Identifier: Apache-2.0
"""Random publishes, cuts, returns, trims, restarts and lag, and after every step what each client has: a stream that is ordered, without a
duplicate and complete up to what it was told is missing. rcmodel.py knows what that means.

RINGCAST_SEED repeats a run, RINGCAST_STEPS makes it longer."""
import json
import os
import random
import select
import signal
import time

import pytest

from deadline import SLOW, Deadline
from rchistory import Reader, kept
from rcingest import Publisher
from rcmodel import StreamClient, WebSocketClient, World, matches

STEPS = int(os.environ.get("RINGCAST_STEPS", "1000"))
SIZE = 40
NAMESPACES = {"keep": {"history_size": SIZE}, "small": {"history_bytes": "8KiB"}, "brief": {"history_ttl": "1s"},
              "skip": {"history_size": SIZE, "slow_policy": "skip"}, "disc": {"history_size": SIZE, "slow_policy": "disconnect"},
              "latest": {"history_size": SIZE, "slow_policy": "latest"}}
CHANNELS = [f"{n}:{c}" for n in (*NAMESPACES, "none") for c in "ab"]
# Of each group no two match one channel.
PATTERNS = [[], ["keep:*"], ["small:*", "skip:*"], ["*:a"], ["**"], ["disc:*", "brief:*"], ["keep:*", "none:*"]]


def settings():
    out = {"heartbeat": "10s", "drain_timeout": "500ms", "max_message": "16KiB", "close_timeout": "200ms"}
    for name, more in NAMESPACES.items():
        out |= kept(name, lag_bytes="128KiB", lag_time="0", **more)
    return out | {"namespace.lag_bytes": "128KiB", "namespace.lag_time": "0", "namespace.none.lag_bytes": "128KiB"}


def lenient(name):
    return name.startswith("latest:")


class Play:
    def __init__(self, start, rng):
        self.start, self.rng = start, rng
        self.world = World(CHANNELS, {"keep": SIZE, "skip": SIZE, "disc": SIZE})
        self.said = []
        self.clients = [kind(self.world, f"{kind.kind}{n}", lenient) for kind in (WebSocketClient, StreamClient) for n in range(5)]
        for c in self.clients:
            for name in self.names_for(c):
                c.begin(name)
        self.ages = 2

    def names_for(self, client):
        rng = self.rng
        if client.kind == "sse" and rng.random() < 0.15:
            return ["latest:a"]
        patterns = list(rng.choice(PATTERNS))
        channels = rng.sample(CHANNELS, rng.randint(0 if patterns else 1, 4))
        if client.kind == "sse":
            channels = [c for c in channels if not lenient(c) and not any(matches(p, c) for p in patterns)]
        return patterns + channels or ["keep:a"]

    # ---- what can happen

    def begin_life(self):
        self.g = self.start(settings())
        self.world.reborn()
        self.p = Publisher.greeted(self.g.ingest)

    def tend(self):
        """Answers the gateway's pings to the publisher, who is idle at times."""
        while select.select([self.p.sock], [], [], 0)[0] or self.p.buffered():
            self.p.take()

    def mark(self):
        """The name of the next event, and what it has in its data besides."""
        return "e", {}

    def publish(self, channel=None, count=None, pad=None):
        rng, w = self.rng, self.world
        self.tend()
        channel = channel or rng.choice(CHANNELS)
        count = count or rng.choice((1, 1, 2, 5, 20, 60))
        first = w.count(channel)
        pads = [rng.randint(0, 900) if pad is None else pad for _ in range(count)]
        marks = [self.mark() for _ in pads]
        events = [(channel, json.dumps({"n": first + i, "pad": "p" * n} | more), event, 0)
                  for i, (n, (event, more)) in enumerate(zip(pads, marks))]
        if count > 1:
            self.p.stream(events[:-1], per_batch=rng.choice((0, 10, 50)))
        epoch, offset = self.p.publish(*events[-1][:3])
        for i, (n, (event, more)) in enumerate(zip(pads, marks)):
            w.add(channel, epoch, offset - count + 1 + i, n, event, **more)
        return f"{count} events on {channel}, up to {w.count(channel) - 1}"

    def lag(self):
        """Somebody stands still while more is published than its lag allows."""
        c = self.pick(lambda c: c.connected and c.reads and c.small)
        if c:
            c.reads = False
            followed = [channel for name in c.names for channel in c.followed(name)]
            return f"{c.ident} " + self.publish(self.rng.choice(followed), 400, 1500)

    def pick(self, condition):
        chosen = [c for c in self.clients if condition(c)]
        return self.rng.choice(chosen) if chosen else None

    def pull(self):
        c = self.pick(lambda c: c.connected and c.reads)
        if c:
            c.pull(self.rng.choice((None, None, 100, 5000)))
            return c.ident

    def cut(self):
        c = self.pick(lambda c: c.connected)
        if c:
            # Somewhere in what is under way to it.
            c.pull(self.rng.randint(1, 4000))
            if c.connected:
                c.drop(self.rng.random() < 0.5)
            c.reads = True
            return c.ident

    def come(self, c=None):
        c = c or self.pick(lambda c: not c.connected)
        if c:
            if c.kind == "sse" and self.rng.random() < 0.1:
                # Another set with the id of the last one.
                for name in c.names:
                    c.end(name)
                for name in self.names_for(c):
                    c.begin(name)
            c.small = self.rng.random() < 0.6
            c.come(self.g.http, self.world.life, self.rng, 4096 if c.small else None)
            return f"{c.ident} {c.names} {c.last if c.kind == 'sse' else c.since}"

    def follow(self):
        c = self.pick(lambda c: c.kind == "ws" and c.reads)
        if c:
            name = self.rng.choice(CHANNELS)
            if name in c.names and len(c.names) > 1:
                c.unfollow(name)
                return f"{c.ident} no more {name}"
            if name not in c.names:
                c.follow(name)
                return f"{c.ident} {name}"

    def stand_still(self):
        c = self.pick(lambda c: c.connected and c.reads)
        if c:
            c.reads = False
            return c.ident

    def go_on(self):
        c = self.pick(lambda c: not c.reads)
        if c:
            c.reads = True
            c.pull()
            return c.ident

    def ask(self):
        """The history of a channel, by somebody else: what it holds is what was published, and nothing in the middle is missing."""
        channel, w = self.rng.choice(CHANNELS), self.world
        with Reader.greeted(self.g.http) as ws:
            answer = ws.history(channel, limit=self.rng.choice((1, 10, 1000)), **self.rng.choice(({}, {"since": "beginning"})))
            behind = w.index_behind(w.life, channel, answer["position"])
            assert behind == w.count(channel), answer
            got = [w.index_of(w.life, e) for e in answer["events"]]
            ordered = got if got == sorted(got) else got[::-1]
            assert ordered == list(range(ordered[0], ordered[0] + len(got))) if got else True, answer
            size = w.sizes.get(channel.partition(":")[0])
            here = w.count(channel) - w.starts[w.life][channel]
            if size and here:
                assert int(answer["first"].partition("@")[2]) == max(1, here - size + 1), answer
        return channel

    def age(self):
        """Until what is kept for a second only is gone."""
        if self.ages == 0:
            return None
        self.ages -= 1
        with Reader.greeted(self.g.http) as ws:
            deadline = Deadline(20)
            for channel in ("brief:a", "brief:b"):
                while "first" in ws.history(channel):
                    deadline.left()
                    time.sleep(0.05)
        return "brief"

    def restart(self, graceful):
        self.p.drop()
        if graceful:
            self.g.signal(signal.SIGTERM)
            deadline = Deadline(30)
            while self.g.process.poll() is None:
                for c in self.clients:
                    if c.connected and c.reads:
                        c.pull()
                deadline.left()
                time.sleep(0.01)
            assert self.g.wait() == 0, self.g.log[-3000:]
        else:
            self.g.process.kill()
            self.g.wait()
        for c in self.clients:
            if c.connected:
                c.pull()
            if c.connected:
                c.drop()
            c.reads = True
        self.begin_life()
        return "graceful" if graceful else "sudden"

    # ---- the whole

    def run(self, steps):
        rng = self.rng
        self.begin_life()
        try:
            for c in self.clients:
                self.note("come", self.come(c))
            restarts = dict(zip(rng.sample(range(steps // 4, steps), 2), (True, False)))
            actions = self.actions()
            for step in range(steps):
                if step in restarts:
                    self.note("restart", self.restart(restarts[step]))
                self.tend()
                action = rng.choices(list(actions), list(actions.values()))[0]
                self.note(action.__name__, action())
            self.finish()
        finally:
            for c in self.clients:
                if c.connected:
                    c.drop()
            self.p.drop()
            self.end()

    def actions(self):
        return {self.publish: 34, self.pull: 24, self.cut: 10, self.come: 16, self.follow: 6, self.stand_still: 3, self.lag: 4,
                self.go_on: 5, self.ask: 5, self.age: 1}

    def end(self):
        """Whatever else is open."""

    def note(self, what, how):
        if how:
            self.said.append(f"{len(self.said)}: {what} {how}")

    def finish(self):
        """Everybody reads and comes back as often as need be, until nothing is missing any more but what was told."""
        deadline = Deadline(60)
        for c in self.clients:
            c.reads = True
        while True:
            for c in self.clients:
                if not c.connected:
                    self.note("come", self.come(c))
                c.settle()
            for channel in self.world.channels:
                self.publish(channel, 1)
            while all(c.connected for c in self.clients):
                self.tend()
                for c in self.clients:
                    c.pull()
                if all(c.complete() for c in self.clients):
                    return
                if all(c.complete() or c.excused() for c in self.clients):
                    # What was to show that it goes on fell into a gap itself.
                    break
                try:
                    deadline.left()
                except TimeoutError:
                    missing = {c.ident: c.lacks() for c in self.clients if not c.complete()}
                    raise AssertionError(f"something never came: {missing}") from None
                time.sleep(0.005)
            deadline.left()


def play(gateway, steps, kind=Play):
    seed = int(os.environ.get("RINGCAST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"RINGCAST_SEED={seed} RINGCAST_STEPS={steps}")
    it = kind(gateway, random.Random(seed))
    try:
        it.run(steps)
    except BaseException as e:
        print("\n".join(it.said[-80:]))
        for c in it.clients:
            if f"{e}".startswith(c.ident):
                print(f"---- the last that {c.ident} heard", *c.heard, sep="\n")
        raise
    received, told = sum(c.received for c in it.clients), sum(c.told for c in it.clients)
    print(f"{len(it.said)} steps, {received} events received, {told} times told that some are missing")
    assert received > 0
    return it


@pytest.mark.tsan
@pytest.mark.deadline(180 + STEPS / 10)
def test_every_clients_stream_is_complete_up_to_what_it_was_told(gateway):
    play(gateway, STEPS if SLOW <= 4 else min(STEPS, 200))
