# SPDX-License-Identifier: Apache-2.0
"""Many handshakes at once: they cost those who are in little, they wait for each other, and nobody has more of them than he may."""
import json
import os
import subprocess
import sys
import threading
import time

import pytest

from deadline import SLOW, SOON, eventually
from rcgateway import FORGETFUL
from rcingest import Publisher
from rcrecords import client_hello, raw_socket
from rctls import TlsSocket, handshakes
from rcws import Closed, JsonClient, Stream, open_socket
from swarm import Swarm

OVER_TLS = TWO_SHARDS = True
VERSIONS = ["1.2", "1.3"]
STORM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rcstorm.py")
MANY = {"tls.max_handshakes_per_address": "5000"}
# Receivers, and handshakes at once; under TCG or ThreadSanitizer fewer say the same.
CROWD = int(os.environ.get("RINGCAST_CROWD", "1000"))


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Ticker:
    """Publishes the time every few ms until it is told to end; events cross the gateway to a crowd, whose waits are collected."""

    def __init__(self, g, every):
        self.every, self.end = every, threading.Event()
        self.publisher = Publisher.greeted(g.plain_ingest)
        self.count = 0
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.end.wait(self.every):
            self.publisher.publish("tick", json.dumps({"n": self.count, "at": time.monotonic()}))
            self.count += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.end.set()
        self.thread.join(20 * SLOW)
        self.publisher.drop()


def waits_of(swarm, members, count, from_n=0):
    """Reads until each member has `count` more events; how long each waited. One in fifty is asked: reading is what takes the time here."""
    sample = members[::50]
    before = {m: len(m.messages) for m in members}
    waits = []

    def look():
        now = time.monotonic()
        for m in sample:
            while m.looked < len(m.messages):
                waits.append(now - json.loads(m.messages[m.looked])["data"]["at"])
                m.looked += 1

    for m in sample:
        m.looked = len(m.messages)

    def done():
        look()
        return all(len(m.messages) - before[m] >= count for m in members)

    swarm.pump(done, f"{count} events for everybody", 60)
    return waits


@pytest.mark.deadline(150)
def test_a_thousand_handshakes_at_once_while_a_thousand_clients_receive(gateway):
    version = "1.3"
    g = gateway({**MANY, "max_clients": "4000", "handshake_timeout": "60s", "memory": "512MiB"})
    with Swarm(g.http.using(version=version)) as swarm:
        members = swarm.open(["/ws?channel=tick"] * CROWD)
        swarm.pump(lambda: all(m.messages for m in members), "everybody has subscribed")
        with Ticker(g, 0.1):
            calm = waits_of(swarm, members, 15)
            storm = subprocess.Popen([sys.executable, STORM, g.http[0], str(g.http[1]), g.pki.roots, str(CROWD), version],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                said, stormy = [], []

                def follow():
                    for line in storm.stdout:
                        said.append(line.strip())

                reader = threading.Thread(target=follow, daemon=True)
                reader.start()
                eventually(lambda: said or storm.poll() is not None, "the storm begins", 60)
                while len(said) < 2:
                    assert storm.poll() is None, "a handshake failed"
                    stormy += waits_of(swarm, members, 1)
                eventually(lambda: g.counter("tls_full") == 2 * CROWD, "every handshake is counted")
                storm.stdin.close()
                assert storm.wait(30 * SLOW) == 0
                reader.join(20)
            finally:
                storm.kill()
        show = {what: f"p50 {percentile(w, 0.5) * 1000:.0f} ms, p99 {percentile(w, 0.99) * 1000:.0f} ms, most {max(w) * 1000:.0f} ms"
                for what, w in (("without", calm), ("with", stormy))}
        print(f"\nTLS {version}: {CROWD} handshakes in {said[1]} s; {CROWD} receivers waited, without them: {show['without']}; "
              f"with them: {show['with']}")
        # No measurement of speed: those who are in must not wait for the crowd to be through, which alone takes longer than this.
        assert percentile(stormy, 0.5) < 5 * SLOW + 20 * percentile(calm, 0.5)
        # Nothing was lost meanwhile.
        for m in members[::50]:
            numbers = [e["data"]["n"] for e in m.of_type("event")]
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert g.counter("tls_failed_timeout") == 0 and g.counter("close_too_slow") == 0


@pytest.mark.tsan
def test_a_hundred_at_once_in_a_few_places_wait_and_are_all_done(gateway):
    g = gateway({**MANY, "tls.max_handshakes": "16"})
    sockets = []
    for version in VERSIONS * 50:
        address = g.http.using(version=version)
        sockets.append(TlsSocket(raw_socket(address), address, handshake=False))
    handshakes(sockets)
    eventually(lambda: g.counter("tls_full") == 100 and g.counter("tls_handshaking") == 0, "all are done")
    assert g.counter("tls_waited") > 0
    for s in sockets:
        s.close()


@pytest.mark.tsan
def test_who_waits_for_a_place_gets_it_when_another_goes(gateway, connect):
    g = gateway({**MANY, "tls.max_handshakes": "16", "handshake_timeout": "60s"})
    inside = connect(g)
    stuck = [raw_socket(g.http) for _ in range(64)]
    for s in stuck:
        s.sendall(client_hello()[:100])
    g.until_counter("tls_handshaking", 64)
    waiting = []
    for _ in range(30):
        s = TlsSocket(raw_socket(g.http), g.http, handshake=False)
        s.handshake_step()
        waiting.append(s)
    g.until_counter("tls_handshaking", 94)
    # Those who are in are served meanwhile.
    inside.barrier()
    assert g.counter("tls_full") == 1 and g.counter("tls_waited") > 0
    for s in stuck:
        s.close()
    handshakes(waiting)
    g.until_counter("tls_full", 31)
    assert g.counter("tls_failed_closed") == 64
    for s in waiting:
        s.close()
    inside.barrier()


def closed_at_once(address):
    with Stream(raw_socket(address)) as s:
        return s.read_to_end() == b""


@pytest.mark.tsan
def test_an_address_has_so_many_unfinished_ones_and_no_more(gateway, connect):
    g = gateway({"tls.max_handshakes_per_address": "5", "handshake_timeout": "60s"})
    # Those that are done do not count.
    inside = [connect(g) for _ in range(10)]
    idle = [raw_socket(g.http) for _ in range(3)] + [raw_socket(g.ingest) for _ in range(2)]
    g.until_counter("tls_handshaking", 5)
    for n in range(1, 4):
        assert closed_at_once(g.http if n % 2 else g.ingest)
        g.until_counter("tls_refused_address", n)
    with pytest.raises((OSError, Closed)):
        JsonClient.greeted(g.http)
    # The plain port is another matter.
    with JsonClient.greeted(g.plain_http) as ws:
        ws.barrier()
    for ws in inside:
        ws.barrier()
    idle.pop().close()
    g.until_counter("tls_handshaking", 4)
    connect(g).barrier()
    for s in idle:
        s.close()
    g.until_counter("tls_handshaking", 0)
    for _ in range(10):
        connect(g).barrier()


def test_a_handshake_that_takes_too_long_is_ended(gateway, connect):
    g = gateway({"handshake_timeout": "500ms", "heartbeat": "60s"})
    inside = connect(g)
    for address in (g.http, g.ingest):
        for raw in (b"", client_hello()[:50], client_hello()):
            with Stream(raw_socket(address)) as s:
                s.send_bytes(raw)
                s.read_to_end()
    assert g.counter("tls_failed_timeout") == 6
    # Who is through in time is not ended by that timer.
    with JsonClient.greeted(g.http) as ws:
        with Stream(open_socket(g.http)) as late:
            # Its request is late: that is another timer, with an answer.
            assert b"408" in late.read_to_end() or late.sock.ended == "close_notify"
        ws.barrier()
    inside.barrier()
    assert g.counter("tls_failed_timeout") == 6


def test_handshakes_leave_nothing_behind(gateway, connect):
    """Memory settles (a sanitizer's allocator takes some hundred of them to get there), descriptors are as many as before."""
    g = gateway(MANY, env=FORGETFUL)
    inside = connect(g)

    def some(n):
        for i in range(n):
            with Stream(raw_socket(g.http)) as s:
                if i % 3 == 0:
                    s.send_bytes(client_hello()[:200 * (i % 5)])
                else:
                    s.sock = TlsSocket(s.sock, g.http)
        g.until_counter("tls_handshaking", 0)
        eventually(lambda: g.descriptors() == descriptors, "their descriptors are closed", SOON)
        return g.rss()

    descriptors = g.descriptors()
    taken = [some(150)]
    while len(taken) < 12 and (len(taken) < 2 or taken[-1] - taken[-2] > 512 << 10):
        taken.append(some(150))
    assert taken[-1] - taken[-2] <= 512 << 10, f"KiB after each 150: {[t >> 10 for t in taken]}"
    inside.barrier()
