# SPDX-License-Identifier: Apache-2.0
"""The C library against the running gateway: a publisher in C, and a gateway that is killed under it."""
import os
import signal
import subprocess
import threading

import pytest

import rccompile
from deadline import Deadline
from rcgateway import REPORTS, environment
from rcws import JsonClient

HERE = os.path.dirname(os.path.abspath(__file__))
# A reader in Python may be late for a moment; that is not what is looked at here.
PATIENT = {"namespace.lag_bytes": "32MiB", "namespace.lag_time": "0", "memory": "256MiB"}


@pytest.fixture(scope="module")
def pump_program(tmp_path_factory):
    return rccompile.with_library(os.path.join(HERE, "clib/pump.c"), str(tmp_path_factory.mktemp("clib") / "pump"))


class Pump:
    """A running pump, and what it said: .acked has (epoch, offset) by sequence."""

    def __init__(self, program, folder, g, ident, port=None, client=None):
        """port: instead of the gateway's own. client: the Pair of a certificate that it shows."""
        pki, port = getattr(g, "pki", None), port or g.ingest[1]
        where = [f"tls://localhost:{port}", ident, pki.roots, *(client or ())] if pki else [f"127.0.0.1:{port}", ident]
        self.acked, self.refused, self.states, self.done = {}, [], [], None
        self.twice, self.words = [], []
        self.changed = threading.Condition()
        self.errors = open(os.path.join(folder, "pump.errors"), "w+")
        self.process = subprocess.Popen([program, *where], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True, env=environment(folder))
        self.reader = threading.Thread(target=self._follow, daemon=True)
        self.reader.start()

    def _follow(self):
        for line in self.process.stdout:
            kind, *rest = line.split()
            with self.changed:
                if kind == "acked":
                    sequence = int(rest[0])
                    if sequence in self.acked and rest[1] != "-":
                        self.twice.append(line)
                    if sequence not in self.acked or rest[1] != "-":
                        self.acked[sequence] = (rest[1], int(rest[2]))
                elif kind == "refused":
                    self.refused.append(line)
                elif kind == "state":
                    self.states.append(int(rest[0]))
                    self.words.append(" ".join(rest[1:]))
                else:
                    self.done = [int(n) for n in rest]
                self.changed.notify_all()

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """No more events; (published, acknowledged up to, unacknowledged) when all is decided."""
        self.process.stdin.close()
        status = self.process.wait(Deadline(60).left())
        self.reader.join(10)
        self.errors.seek(0)
        said = self.errors.read()
        assert status == 0 and not REPORTS.search(said), f"{status}: {said}"
        return self.done

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(10)
        self.errors.close()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()


@pytest.fixture
def pump(pump_program, folder):
    running = []

    def start(g, ident, **options):
        running.append(Pump(pump_program, folder, g, ident, **options))
        return running[-1]

    yield start
    for p in running:
        p.kill()


def subscribed(g):
    """(client, epoch) that has been told it begins at the very start of the channel."""
    ws = JsonClient.greeted(g.http, "/ws")
    epoch, offset = ws.subscribe("pump")["data"]["positions"]["pump"].split("@")
    assert offset == "0"
    return ws, epoch


def next_life(gateway, g):
    """A new gateway on the same ports."""
    if getattr(g, "pki", None):
        return gateway({**PATIENT, "tls.listen": "%s:%d" % g.http, "tls.ingest_listen": "%s:%d" % g.ingest})
    return gateway(PATIENT, listen="%s:%d" % g.http, ingest="%s:%d" % g.ingest)


def read(ws, delivered, count):
    """So many more events; each has the offset after the one before it."""
    for _ in range(count):
        event = ws.next_event()
        assert event["offset"] == len(delivered) + 1
        delivered.append(event["data"])


def read_to_the_end(ws, delivered):
    """What is still in the socket of a gateway that was killed. A frame that was cut there is none."""
    try:
        while True:
            read(ws, delivered, 1)
    except Exception as e:
        assert type(e).__name__ == "Closed", repr(e)
    ws.drop()


def test_what_was_published_is_acknowledged_and_delivered_once(gateway, pump):
    g = gateway(PATIENT)
    ws, epoch = subscribed(g)
    with ws:
        delivered = []
        p = pump(g, "steady")
        read(ws, delivered, 3000)
        published, acked, unacked = p.end()
        assert (acked, unacked) == (published, 0)
        read(ws, delivered, published - len(delivered))
        ws.barrier()
        assert ws.events == []
    assert delivered == list(range(1, published + 1))
    # One connection, so each acknowledgement has the place of its event.
    assert p.acked == {n: (epoch, n) for n in delivered}
    assert p.refused == [] and p.twice == []


@pytest.mark.deadline(180)
def test_a_gateway_that_is_killed_loses_nothing_that_was_not_acknowledged(gateway, pump):
    """kill -9, and a new gateway on the same ports: the library comes back by itself and sends what was not acknowledged."""
    g = gateway(PATIENT)
    ws, epoch = subscribed(g)
    p = pump(g, "survivor")
    lives = [(epoch, [])]
    for life in range(3):
        read(ws, lives[-1][1], 1000)
        g.kill()
        g.judged = True
        # It holds still until somebody listens in the new life, who then sees all of it.
        p.signal(signal.SIGSTOP)
        read_to_the_end(ws, lives[-1][1])
        g = next_life(gateway, g)
        ws, epoch = subscribed(g)
        lives.append((epoch, []))
        p.signal(signal.SIGCONT)
    with ws:
        read(ws, lives[-1][1], 1000)
        published, acked, unacked = p.end()
        assert (acked, unacked) == (published, 0)
        while not lives[-1][1] or lives[-1][1][-1] != published:
            read(ws, lives[-1][1], 1)
        ws.barrier()
        assert ws.events == []

    assert len({epoch for epoch, _ in lives}) == len(lives), "a new life has a new epoch"
    assert p.refused == [] and p.twice == []
    assert sorted(p.acked) == list(range(1, published + 1)), "each was acknowledged"
    for epoch, delivered in lives:
        first = delivered[0]
        assert delivered == list(range(first, first + len(delivered))), "in order, none twice, none left out"
        # What was acknowledged with a place stands at that place, if it was delivered before the end of that life.
        for sequence, (where, offset) in p.acked.items():
            if where == epoch and offset <= len(delivered):
                assert delivered[offset - 1] == sequence
    # A new life begins with the first that the library had no acknowledgement for: none is skipped between the lives, and
    # nothing that was acknowledged in one is published in a later one.
    for (epoch, _), (_, later) in zip(lives, lives[1:]):
        acked_before = max(s for s, (where, _) in p.acked.items() if where == epoch)
        assert later[0] == acked_before + 1
    assert p.states.count(2) == len(lives), f"ready once in each life: {p.states}"
