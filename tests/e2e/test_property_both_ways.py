# SPDX-License-Identifier: Apache-2.0
"""The property test of streams with filters, rates and windows, with clients that acknowledge, and with commands to backends that come and go.
rcboth.py knows what each may be sent.

RINGCAST_SEED repeats a run, RINGCAST_STEPS makes it longer."""
import os
import time

import pytest

import rcapi
import rcjwt
import test_streams_property as streams
from deadline import SLOW, Deadline, eventually
from rcboth import Consumer, ViewClient
from rcdesk import COMMAND_TIMEOUT, Asked, Desk
from rchistory import Reader, kept
from rcmodel import World

STEPS = int(os.environ.get("RINGCAST_STEPS", "300"))
JOBS = ["job:a", "job:b"]
CHANNELS = streams.CHANNELS + JOBS
# For those whose events are to be acknowledged in time; others have all the time.
TIMEOUT = int(200 * SLOW)


def settings():
    out = streams.settings() | rcjwt.settings(**kept("job", lag_bytes="128KiB", lag_time="0"))
    return out | {"auth.anonymous": "yes", "namespace.allow_subscribe": "anyone", "auth.allow_command": "anyone", "view_bytes": "16KiB",
                  **{f"namespace.{n}.allow_subscribe": "anyone" for n in (*streams.NAMESPACES, "none", "job")},
                  "backends.command_timeout": f"{int(COMMAND_TIMEOUT * 1000)}ms", "backends.command_queue": "20",
                  "limits.command_rate": "0", "limits.message_rate": "0", "limits.subscribe_rate": "0", "ack_ttl": "1h", "ack_timeout_max": "1h"}


class Play(streams.Play):
    def __init__(self, start, rng):
        super().__init__(start, rng)
        self.world = World(CHANNELS, self.world.sizes)
        self.viewers = [ViewClient(self.world, f"view{n}", streams.lenient) for n in range(6)]
        for c in self.viewers:
            for name in self.names_for(c):
                c.begin(name)
        self.consumers = [Consumer(self.world, f"acked{n}", streams.lenient, rng, JOBS + ["keep:a"] * (n % 2), TIMEOUT if n < 2 else None)
                          for n in range(5)]
        self.clients = self.viewers + self.consumers
        self.desk = Desk(rng)
        self.dead = None

    def mark(self):
        rng = self.rng
        return rng.choice(("ab", "ac", "b", "odd")), {"k": rng.randrange(5)} if rng.random() < 0.9 else {}

    def begin_life(self):
        self.g = self.start(settings())
        self.desk.stopping = False
        self.world.reborn()
        self.p = streams.Publisher.greeted(self.g.ingest)
        self.dead = Reader.greeted(self.g.http, f"/ws?token={rcjwt.make(sub='ops', channels=['$dead:**'])}")
        self.dead.subscribe("$dead:job:*", "$dead:keep:*")
        self.desk.come(self.g)

    def tend(self):
        super().tend()
        self.desk.tend()
        while streams.select.select([self.dead.sock], [], [], 0)[0] or self.dead.buffered():
            m = self.dead.recv_json()
            if m["type"] == "event":
                self.letter(m)
            else:
                assert m["type"] in ("positions", "ping"), m

    def letter(self, m):
        data, w = m["data"], self.world
        assert m["channel"] == "$dead:" + data["channel"] and data["reason"] == "retries" and data["clientId"] == "c", m
        index = w.index_behind(w.life, data["channel"], f"{w.published[data['channel']][-1][1]}@{data['offset']}") - 1
        assert data["data"]["n"] == index, m
        next(c for c in self.consumers if c.ident == data["user"]).letter(data["channel"], index, data)

    # ---- what can happen

    def publish(self, channel=None, count=None, pad=None):
        return super().publish(channel or self.rng.choice(CHANNELS), count, pad)

    def lag(self):
        c = self.pick(lambda c: c in self.viewers and c.connected and c.reads and c.small)
        if c:
            c.reads = False
            followed = [channel for name in c.names for channel in c.followed(name)]
            return f"{c.ident} " + self.publish(self.rng.choice(followed), 400, 1500)

    def change(self):
        c = self.pick(lambda c: c in self.viewers and c.connected and c.reads)
        return c and c.change(self.rng)

    def acknowledge(self):
        c = self.pick(lambda c: c in self.consumers and c.connected and c.late)
        return c and c.catch_up()

    def settle(self):
        c = self.pick(lambda c: c in self.consumers and c.connected and c.reads)
        if c:
            c.settle()
            return c.ident

    def forget(self):
        c = self.pick(lambda c: c in self.consumers and c.connected and c.reads)
        return c and c.forget()

    def command(self):
        c = self.pick(lambda c: c in self.viewers and c.connected and c.reads)
        if c:
            for _ in range(self.rng.choice((1, 1, 4))):
                if c.connected:
                    c.command(Asked(self.desk, c, self.rng))
            return c.ident

    def answer(self):
        return self.desk.late()

    def backend_comes(self):
        return len(self.desk.backends) < 3 and self.desk.come(self.g)

    def backend_dies(self):
        if self.desk.backends:
            b = self.rng.choice(self.desk.backends)
            return self.desk.kill(b, self.g, self.rng.random() < 0.5)

    def restart(self, graceful):
        for b in list(self.desk.backends):
            self.desk.kill(b, None, True)
        self.dead.drop()
        self.desk.stopping = True
        return super().restart(graceful)

    def come(self, c=None):
        c = c or self.pick(lambda c: not c.connected)
        if c in self.consumers and c.life != self.world.life:
            c.reborn()
        return super().come(c)

    # ---- the whole

    def actions(self):
        return {self.publish: 30, self.pull: 24, self.cut: 8, self.come: 16, self.follow: 4, self.stand_still: 2, self.lag: 2, self.go_on: 5,
                self.change: 8, self.acknowledge: 8, self.settle: 6, self.forget: 1, self.command: 14, self.answer: 6,
                self.backend_comes: 5, self.backend_dies: 1}

    def finish(self):
        for c in self.consumers:
            c.eager = True
            if c.connected:
                # Whatever it left lying comes again only to who comes back.
                c.drop()
        if not self.desk.backends:
            self.desk.come(self.g)
        super().finish()
        for c in self.consumers:
            c.settle()
        deadline = Deadline(30)
        while any(rcapi.get_json(self.g, rcapi.channel_path(ch))["consumers"]["unacknowledged"] for ch in (*JOBS, "keep:a")):
            self.tend()
            for c in self.clients:
                c.pull()
            deadline.left()
            time.sleep(0.01)
        for c in self.consumers:
            for channel, job in c.jobs.items():
                eventually(lambda: self.tend() or not job.said_done - job.dead - job.sent - job.settled,
                           f"the dead letters of {c.ident} {channel}")

    def end(self):
        for b in list(self.desk.backends):
            b.drop()
        if self.dead:
            self.dead.drop()


@pytest.mark.tsan
@pytest.mark.deadline(180 + STEPS / 5)
def test_both_ways(gateway):
    steps = STEPS if SLOW <= 4 else min(STEPS, 200)
    it = streams.play(gateway, steps, Play)
    desk = it.desk
    print(f"{desk.commands} commands, {dict(desk.codes)}, {desk.handed_over} given to another, {desk.deaths} backends died; "
          f"{sum(c.redelivered for c in it.consumers)} events sent again")
