# SPDX-License-Identifier: Apache-2.0
"""The C library as a reader of channels and patterns: what was missed while the gateway's connection was cut, and a gateway that begins
anew."""
import os
import subprocess
import threading

import pytest

import rccompile
import rcgateway
from deadline import Deadline
from rcingest import Wire
from rcproxy import Tunnel

HERE = os.path.dirname(os.path.abspath(__file__))
SETTINGS = {"namespace.history_size": "100"}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return rccompile.with_library(os.path.join(HERE, "clib/follow.c"), str(tmp_path_factory.mktemp("clib") / "follow"))


class Follower:
    """A running follow: what it is told, name by name."""

    def __init__(self, program, folder, port, *names):
        self.lines, self.changed = [], threading.Condition()
        self.process = subprocess.Popen([program, f"127.0.0.1:{port}", *(x for n in names for x in n)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=rcgateway.environment(folder))
        self.reader = threading.Thread(target=self._follow, daemon=True)
        self.reader.start()

    def _follow(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.split())
                self.changed.notify_all()

    def told(self, *start, count):
        """So many lines that begin so, all that there are."""
        deadline = Deadline()
        with self.changed:
            while True:
                found = [line[len(start):] for line in self.lines if line[:len(start)] == list(start)]
                if len(found) >= count:
                    assert len(found) == count, found
                    return found
                self.changed.wait(deadline.left())

    def end(self):
        self.process.stdin.close()
        status = self.process.wait(Deadline().left())
        self.reader.join(10)
        self.process.stdout.close()
        assert status == 0


@pytest.fixture
def follow(program, folder):
    running = []

    def start(port, *names):
        running.append(Follower(program, folder, port, *names))
        return running[-1]
    yield start
    for f in running:
        if f.process.poll() is None:
            f.process.kill()
            f.process.wait()


def publish(p, count, *channels):
    for n in range(count):
        for c in channels:
            p.publish(c, str(n))
    p.settle()


def test_1_what_was_missed_comes_after_a_cut(gateway, publisher, follow):
    """Channels go on behind their last event, patterns behind their last position: nothing twice, nothing left out."""
    g = gateway(SETTINGS)
    p = publisher(g)
    publish(p, 3, "old")
    with Tunnel(g.ingest) as tunnel:
        f = follow(tunnel.port, ("news", ""), ("a:*", ""), ("old", "beginning"), ("a**", ""))
        verdicts = {name: int(verdict) for name, verdict, *_ in f.told("subscribed", count=4)}
        assert verdicts.pop("a**") == Wire.VERDICT_BAD_CHANNEL
        assert verdicts == {"news": Wire.VERDICT_LIVE, "a:*": Wire.VERDICT_LIVE, "old": Wire.VERDICT_RECOVERED}
        assert [e[2] for e in f.told("event", "old", count=3)] == ["0", "1", "2"]
        publish(p, 5, "news", "a:1", "a:2")
        for c in ("news", "a:1", "a:2"):
            assert [int(e[0]) for e in f.told("event", c, count=5)] == [1, 2, 3, 4, 5]
        tunnel.cut(stay=True)
        publish(p, 5, "news", "a:1", "a:2")
        tunnel.mend()
        for c in ("news", "a:1", "a:2"):
            assert [int(e[0]) for e in f.told("event", c, count=10)] == list(range(1, 11))
        # Not the one that was refused.
        again = f.told("subscribed", count=7)[4:]
        assert {(name, int(verdict)) for name, verdict, *_ in again} == {(n, Wire.VERDICT_RECOVERED) for n in ("news", "a:*", "old")}
        publish(p, 1, "news")
        f.told("event", "news", count=11)
        assert f.told("gap", count=0) == []
        f.end()


@pytest.mark.one_shard
def test_2_another_gateway_has_another_epoch(gateway, publisher, follow):
    """What can't be had is said, and events go on from there."""
    g = gateway(SETTINGS)
    f = follow(g.ingest[1], ("news", ""))
    f.told("subscribed", count=1)
    publish(publisher(g), 2, "news")
    f.told("event", count=2)
    g.kill()
    g.judged = True
    after = gateway(SETTINGS, listen="%s:%d" % g.http, ingest="%s:%d" % g.ingest)
    assert int(f.told("subscribed", count=2)[1][1]) == Wire.VERDICT_EPOCH
    publish(publisher(after), 1, "news")
    events = f.told("event", "news", count=3)
    assert [int(e[0]) for e in events] == [1, 2, 1] and events[2][1].split("@")[0] != events[1][1].split("@")[0]
    f.end()
