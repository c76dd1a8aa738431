# SPDX-License-Identifier: Apache-2.0
"""How a run of ringcast-load ends otherwise than by its window: the server dies, somebody presses Ctrl-C, the generator itself is the limit."""
import os
import signal
import subprocess
import sys
import time

import pytest

from deadline import eventually
from load_faults import Stall
from load_server import Honest, Server
from rcload import assert_ok, children_of, gateway_urls

pytestmark = pytest.mark.one_shard

LONG = ["--warm", "0.2", "--seconds", "30", "--quiet"]


def started(server, least=500):
    """Until so many events were delivered."""
    eventually(lambda: sum(server.sent.values()) > least, "events flow")


# ---- the server dies

@pytest.mark.tsan
@pytest.mark.parametrize("more", [[], ["--threads", 2], ["--processes", 2]], ids=["one thread", "threads", "processes"])
def test_a_gateway_that_is_killed(load, gateway, more):
    g = gateway()
    running = load.start("fanout", "--clients", 20, "--rate", 200, *more, *LONG, *gateway_urls(g))
    g.until_counter("deliveries", lambda n: n > 2000)
    os.kill(g.pid, signal.SIGKILL)
    g.wait()
    r = running.wait(20)
    assert r.status == 1 and r.json["verdict"] == "faulty", str(r)
    assert "closed" in r.notes or "gone" in r.notes, r.notes
    # What was measured until then is there.
    assert r.window["seconds"] < 25
    assert r.total["deliveries"] > 1000
    assert r.latency["count"] > 0
    assert r.clients["open"] == 0
    assert r.out, "no table"


def test_idle_clients_notice_that_the_gateway_is_killed(load, gateway):
    g = gateway()
    running = load.start("idle", "--clients", 20, *LONG[2:], *gateway_urls(g))
    g.until_counter("subscriptions", 20)
    # The window begins when the last acknowledgement was read, which nothing shows from outside.
    time.sleep(1)
    os.kill(g.pid, signal.SIGKILL)
    g.wait()
    r = running.wait(20)
    assert r.status == 1, str(r)
    assert r.clients["closed"] == 20


def test_a_gateway_that_ends_in_good_order_is_reported_too(load, gateway):
    g = gateway({"drain_timeout": "0s"})
    running = load.start("fanout", "--clients", 10, "--rate", 100, *LONG, *gateway_urls(g))
    g.until_counter("deliveries", lambda n: n > 500)
    g.stop()
    r = running.wait(20)
    # Who is told first, the clients or the publisher, is the gateway's affair; that it ended is in one of the reasons.
    assert r.status == 1 and r.json["verdict"] == "faulty", str(r)
    assert any(word in r.notes for word in ("closed", "ended", "stops")), r.notes
    assert 0 < r.window["seconds"] < 25
    assert r.total["deliveries"] > 400


def test_a_server_that_stands_still_for_good(load):
    with Server(Stall(after=0.5, seconds=6)) as s:
        r = load("fanout", "--clients", 3, "--in-flight", 2, "--drain", 1, "--warm", 0.1, "--seconds", 2, "--quiet", *s.urls)
    # Nothing came for longer than --drain: what was on the way is lost.
    assert r.status == 1, str(r)
    assert r.notes


# ---- Ctrl-C

def test_an_interrupted_run_shows_what_it_measured(load):
    with Server() as s:
        running = load.start("fanout", "--clients", 3, "--rate", 200, *LONG, *s.urls)
        started(s)
        running.interrupt()
        r = running.wait(20)
    assert r.status == 130 and r.json["verdict"] == "interrupted", str(r)
    assert r.latency["count"] > 100
    assert 0 < r.window["seconds"] < 20
    # What was on its way then is neither delivered nor lost.
    assert 300 < r.total["deliveries"] <= sum(s.sent.values()) <= 3 * r.total["published"]
    assert r.faults["lost"] == 0 and "interrupted" in r.out, r.out


@pytest.mark.tsan
def test_an_interrupted_run_of_several_processes(load):
    with Server() as s:
        running = load.start("fanout", "--clients", 4, "--rate", 200, "--processes", 2, "--threads", 2, *LONG, *s.urls)
        started(s)
        children = children_of(running.process.pid)
        running.interrupt()
        r = running.wait(20)
    assert r.status == 130, str(r)
    assert children, "no other process was started"
    for child in children:
        assert not os.path.exists(f"/proc/{child}"), "a process was left behind"


def test_interrupted_while_clients_connect(load):
    with Server() as s:
        running = load.start("fanout", "--clients", 1000, "--connect-rate", 20, "--rate", 200, *LONG, *s.urls)
        eventually(lambda: s.clients > 5, "clients come")
        running.interrupt()
        r = running.wait(20)
    assert r.status == 130, str(r)
    assert r.latency is None


def test_interrupted_after_a_fault_is_faulty(load):
    class DropOne(Honest):
        def deliver(self, client, event):
            if (client.number, client.taken) != (0, 20):
                client.send_event(event)

    with Server(DropOne()) as s:
        running = load.start("fanout", "--clients", 3, "--rate", 200, *LONG, *s.urls)
        started(s)
        running.interrupt()
        r = running.wait(20)
    assert r.status == 1 and r.faults["lost"] == 1, str(r)


def test_sigterm_is_taken_as_ctrl_c(load):
    with Server() as s:
        running = load.start("fanout", "--clients", 3, "--rate", 200, *LONG, *s.urls)
        started(s)
        running.process.terminate()
        r = running.wait(20)
    assert r.status == 130, str(r)
    assert r.latency["count"] > 0


def test_its_other_processes_do_not_outlive_it(load):
    with Server() as s:
        running = load.start("fanout", "--clients", 4, "--rate", 200, "--processes", 3, *LONG, *s.urls)
        started(s)
        children = children_of(running.process.pid)
        assert len(children) == 2 or len(children) == 3, children
        running.kill()
        eventually(lambda: not any(os.path.exists(f"/proc/{child}") for child in children), "its processes end")


def test_a_worker_process_that_dies(load):
    with Server() as s:
        running = load.start("fanout", "--clients", 4, "--rate", 200, "--processes", 2, *LONG, *s.urls)
        started(s)
        children = children_of(running.process.pid)
        os.kill(int(children[-1]), signal.SIGKILL)
        r = running.wait(20)
    assert r.status in (1, 2), str(r)
    assert r.err or r.notes


# ---- the generator is the limit

BUSY = "import os\nos.sched_setaffinity(0, {%d})\nprint(flush=True)\nwhile os.getppid() == %d:\n    pass\n"


@pytest.fixture
def busy_cpu():
    """The number of a CPU on which two processes of the test never sleep."""
    cpu = max(os.sched_getaffinity(0))
    burning = [subprocess.Popen([sys.executable, "-c", BUSY % (cpu, os.getpid())], stdout=subprocess.PIPE) for _ in range(2)]
    for process in burning:
        process.stdout.readline()
    yield cpu
    for process in burning:
        process.kill()
        process.wait()
        process.stdout.close()


def assert_limited(r):
    assert r.status == 3 and r.json["verdict"] == "limited", str(r)
    # No figure where figures are looked for; they stand apart.
    assert r.latency is None and r.ack is None
    assert r.window["deliveries_per_second"] is None
    assert r.limited["window"]["deliveries"] > 0
    assert r.notes and "generator" in r.notes, r.notes
    figures = [line for line in r.out.splitlines() if "p99" in line or "deliveries" in line]
    assert not any(f"{r.limited['window']['deliveries_per_second']:,.0f}" in line for line in figures), r.out


def test_a_generator_that_is_kept_from_its_cpu_prints_no_figures(load, gateway, busy_cpu):
    g = gateway()
    r = load("fanout", "--clients", 100, "--in-flight", 64, "--cpus", busy_cpu, "--warm", 0.3, "--seconds", 2, "--quiet", *gateway_urls(g))
    assert_limited(r)


def test_a_generator_with_all_of_a_cpu_used_up_prints_no_figures(load, gateway):
    # Large events, each verified byte by byte by every subscriber, and a gateway that only hands the kernel the same bytes again.
    g = gateway()
    r = load("fanout", "--clients", 40, "--in-flight", 8, "--payload", "32K", "--warm", 0.3, "--seconds", 1.5, "--quiet", *gateway_urls(g))
    assert_limited(r)


def test_with_own_limit_its_own_figures_are_what_was_asked_for(load, gateway):
    g = gateway()
    r = load("fanout", "--clients", 40, "--in-flight", 8, "--payload", "32K", "--warm", 0.3, "--seconds", 1, "--quiet", "--own-limit",
             *gateway_urls(g))
    assert_ok(r)
    assert r.window["deliveries_per_second"] > 0


# ---- the live line

def test_the_live_line_is_for_terminals_only(load):
    with Server() as s:
        r = load("fanout", "--clients", 3, "--rate", 100, "--warm", 0.2, "--seconds", 1.5, "--own-limit", *s.urls)
    assert_ok(r)
    assert r.err == "" or "\r" not in r.err and "\033" not in r.err, r.err
