# SPDX-License-Identifier: Apache-2.0
"""Commands in the second property test: which backend may get one, and what its client may be answered."""
import collections
import json
import select
import time

from deadline import SLOW
from rcbackend import FIELD, ROUND_ROBIN, USER, Backend, entry
from rcingest import Wire
from rcws import Closed

KINDS = {"plain": (ROUND_ROBIN, 0, ""), "safe": (ROUND_ROBIN, 1, ""), "room": (FIELD, 1, "room"), "own": (USER, 0, "")}
COMMAND_TIMEOUT = 0.5 * SLOW


class Asked:
    """A command."""

    def __init__(self, desk, client, rng):
        desk.commands += 1
        self.desk, self.client, self.id = desk, client, desk.commands
        self.kind = rng.choice(list(KINDS))
        self.marked = rng.random() < 0.3
        self.safe = self.marked or KINDS[self.kind][1] == 1
        self.payload = {"n": self.id, "room": rng.randrange(5)}
        self.at, self.deaths, self.nobody = time.monotonic(), desk.deaths, desk.nobodys + (not desk.backends)
        self.none = not desk.backends
        self.given, self.said = [], set()
        desk.asked[self.id] = self

    def __repr__(self):
        return f"command {self.id} {self.kind} safe={self.safe} of {self.client.ident} given to {self.given} said {self.said}"

    def answered(self, m):
        desk = self.desk
        if m["type"] == "reply":
            assert m["data"]["n"] == self.id and m["data"]["by"] in self.given and "reply" in self.said, f"{self}: {m}"
        elif m["code"] == "timeout":
            late = time.monotonic() - self.at >= COMMAND_TIMEOUT - 0.1
            assert late or not self.safe and desk.deaths > self.deaths, f"{self}: {m}"
            desk.timeouts += 1
        elif m["code"] == "no_backend":
            assert self.none or desk.nobodys > self.nobody - self.none, f"{self}: {m}"
        elif m["code"] == "busy":
            assert m["temporary"]
        elif m["code"] == "server_capacity_exceeded":
            assert m["temporary"] and desk.stopping, f"{self}: {m}"
        else:
            assert m["code"] in self.said, f"{self}: {m}"
        desk.codes[m.get("code", "reply")] += 1


class Partner(Backend):
    number = 0


class Desk:
    """All backends, and what they were asked."""

    def __init__(self, rng):
        self.rng, self.backends, self.asked, self.commands = rng, [], {}, 0
        self.deaths = self.nobodys = self.numbers = self.timeouts = self.handed_over = 0
        self.codes = collections.Counter()
        self.stopping = False  # the gateway does, and begins no command

    def come(self, g):
        b = Partner.registered(g.ingest, *(entry(k, mode, flags, field) for k, (mode, flags, field) in KINDS.items()),
                               credit=self.rng.choice((1, 3, 20)))
        self.numbers += 1
        b.number, b.held, b.open, b.wrong, b.emptied = self.numbers, [], {}, 0, time.monotonic()
        self.backends.append(b)
        for f in b.waiting:
            self.command(b, f)
        return f"{b.number} credit {b.credit}"

    def kill(self, b, g, reset):
        self.backends.remove(b)
        self.deaths += 1
        self.nobodys += not self.backends
        if reset:
            b.reset()
        else:
            b.drop()
        if g:
            g.until_counter("backends", len(self.backends))
        return f"{b.number} of {len(self.backends) + 1}"

    def tend(self):
        for b in self.backends:
            while select.select([b.sock], [], [], 0)[0] or b.buffered():
                try:
                    f = b.take()
                except Closed as e:
                    raise AssertionError(f"backend {b.number} was closed") from e
                if f.name == "COMMAND":
                    self.command(b, f)
                elif f.name == "ERROR":
                    assert f.code == Wire.ERROR_UNKNOWN_COMMAND, f
                else:
                    assert f.name == "PING", f
            b.emptied = time.monotonic()

    def command(self, b, f):
        payload = json.loads(f.payload)
        a = self.asked[payload["n"]]
        assert payload == a.payload and f.type == a.kind and f.message == str(a.id) and f.user == "", f"{a}: {f}"
        living = [x.number for x in self.backends]
        if a.given:
            assert f.again and a.safe and not set(a.given) & set(living), f"{a} is given to {b.number} of {living}: {f}"
        if f.again:
            assert a.safe and self.deaths > a.deaths, f"{a}: {f}"
            self.handed_over += 1
        # Two shards may differ by a turn in what time it is.
        assert f.deadline <= COMMAND_TIMEOUT * 1000 + 50, f
        a.given.append(b.number)
        now = time.monotonic()
        b.open = {i: end for i, end in b.open.items() if end > now}
        assert len(b.open) < b.credit, f"backend {b.number} has {len(b.open)} of {b.credit} and gets {f}"
        # It may have been sent at any time since everything had been read.
        b.open[f.id] = b.emptied + f.deadline / 1000
        p = self.rng.random()
        if p < 0.6:
            self.answer(b, f, a)
        elif p < 0.85:
            b.held.append((f, a))
        elif p < 0.93:
            self.answer(b, f, a)
            self.answer(b, f, a)
        elif p < 0.98:
            a.said.add(code := f"no_{a.id}")
            b.open.pop(f.id)
            b.refuse(f, code, "not today")

    def answer(self, b, f, a):
        a.said.add("reply")
        b.open.pop(f.id, None)
        b.answer(f, {"n": a.id, "by": b.number})

    def late(self):
        held = [b for b in self.backends if b.held]
        if held:
            b = self.rng.choice(held)
            self.rng.shuffle(b.held)
            f, a = b.held.pop()
            self.answer(b, f, a)
            return f"{b.number} {a.id}"
