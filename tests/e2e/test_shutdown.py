# SPDX-License-Identifier: Apache-2.0
"""How the gateway stops, and what it says when it is full."""
import json
import re
import resource
import signal
import socket
import struct
import threading
import time

import pytest

import rcingest
from deadline import SLOW, Deadline, eventually
from rcingest import Publisher, Wire, publish
from rcws import CLOSE, Closed, JsonClient, Stream, WebSocket, open_socket, read_response, upgrade
from swarm import Swarm


def messages_to_the_close(ws, timeout=20):
    """(messages, close). The close is answered."""
    messages = []
    while True:
        try:
            messages.append(json.loads(ws.recv(timeout)[1]))
        except Closed as e:
            if e.code:
                ws.send(CLOSE, struct.pack("!H", e.code))
            return messages, e


# ---- SIGTERM

@pytest.mark.tsan
def test_clients_are_told_when_to_come_back_and_closed_with_1012(gateway, connect):
    g = gateway({"reconnect_jitter": "3s"})
    clients = [connect(g, "/ws?channel=a") for _ in range(20)]
    for ws in clients:
        ws.await_type("subscription-ack")
    g.signal(signal.SIGTERM)
    hints = []
    for ws in clients:
        messages, closed = messages_to_the_close(ws)
        bye, = [m for m in messages if m["type"] == "bye"]
        assert messages[-1] == bye and bye["code"] == "shutdown"
        hints.append(bye["reconnect"]["after"])
        assert closed.code == 1012
        ws.expect_end()
    assert all(0 <= h <= 3000 for h in hints) and len(set(hints)) > 5, f"spread over the jitter: {hints}"
    assert g.wait() == 0


def test_it_ends_at_once_when_everybody_has_answered(gateway, connect):
    g = gateway({"drain_timeout": "60s", "reconnect_jitter": "100ms"})
    ws = connect(g)
    g.signal(signal.SIGTERM)
    begin = time.monotonic()
    messages_to_the_close(ws)
    ws.drop()
    assert g.wait(50) == 0
    assert time.monotonic() - begin < 30 * SLOW


def test_it_ends_without_clients_at_once(gateway):
    g = gateway({"drain_timeout": "60s"})
    begin = time.monotonic()
    g.stop()
    assert time.monotonic() - begin < 30 * SLOW


def test_clients_that_do_not_answer_hold_it_up_no_longer_than_the_drain_timeout(gateway, connect):
    g = gateway({"drain_timeout": "1s", "reconnect_jitter": "100ms", "close_timeout": "60s"})
    deaf = [connect(g) for _ in range(5)]
    half = [Stream(open_socket(g.http)) for _ in range(5)]
    for s in half:
        s.send_bytes(b"GET /ws HTTP/1.1\r\n")
    begin = time.monotonic()
    g.signal(signal.SIGTERM)
    assert g.wait(30) == 0
    assert time.monotonic() - begin < 20 * SLOW
    for s in deaf + half:
        s.drop()


def test_nobody_new_is_let_in_while_it_drains(gateway, connect):
    g = gateway({"drain_timeout": "60s", "close_timeout": "50s", "reconnect_jitter": "100ms"})
    ws = connect(g)
    g.signal(signal.SIGTERM)
    with pytest.raises(Closed):
        while True:
            ws.recv()

    def refused():
        try:
            with socket.create_connection(g.http, 5) as s:
                s.sendall(upgrade("/ws"))
                answer = s.recv(100)
                return answer == b"" or answer.startswith(b"HTTP/1.1 503 ")
        except OSError:
            return True

    # ws has not answered the close yet, so the gateway is still there.
    eventually(refused, "new clients are refused")
    assert g.process.poll() is None
    ws.send(CLOSE, struct.pack("!H", 1012))
    ws.drop()
    assert g.wait() == 0


@pytest.mark.deadline(90)
def test_what_is_pending_is_flushed_before_the_close(gateway, publisher):
    g = gateway({"namespace.lag_bytes": "32MiB", "namespace.lag_time": "0", "memory": "512MiB", "drain_timeout": "60s", "close_timeout": "50s"})
    p = publisher(g)
    ws = JsonClient.greeted(g.http, "/ws", rcvbuf=4096)
    with ws:
        ws.subscribe("pending")
        n = 6000
        p.stream([("pending", json.dumps([i, "x" * 900])) for i in range(n)], per_batch=50)
        p.drop()
        g.signal(signal.SIGTERM)
        messages, closed = messages_to_the_close(ws, timeout=60)
        assert [m["offset"] for m in messages if m["type"] == "event"] == list(range(1, n + 1))
        assert messages[-1]["type"] == "bye" and closed.code == 1012
    assert g.wait(30) == 0


@pytest.mark.tsan
@pytest.mark.deadline(120)
def test_every_publish_is_acknowledged_and_delivered_or_neither(gateway, connect):
    g = gateway({"drain_timeout": "30s"})
    ws = connect(g)
    ws.subscribe("taken")
    outcome = {}

    def run(n):
        with Publisher.greeted(g.ingest, f"p{n}") as p:
            s = 0
            byes = []
            started.release()
            try:
                while True:
                    if s - p.acked < 500 and not byes:
                        # A few at a time, so that the signal falls into the middle of a stream.
                        p.send_bytes(b"".join(publish(s + i, "taken", json.dumps([n, s + i])) for i in range(1, 21)))
                        s += 20
                    f = p.take(timeout=60)
                    if f.name == "BYE":
                        byes.append(f)
            except (Closed, OSError):
                # The end may come as a reset while this side still writes; what had arrived before counts.
                pass
            outcome[n] = (p.acked, set(p.nacks), byes)

    started = threading.Semaphore(0)
    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for _ in threads:
        started.acquire()
    seen = []
    while len(seen) < 2000:
        seen.append(ws.next_event())
    g.signal(signal.SIGTERM)
    messages, closed = messages_to_the_close(ws)
    assert closed.code == 1012
    seen += [m for m in messages if m["type"] == "event"]
    for t in threads:
        t.join(60 * SLOW)
        assert not t.is_alive()
    assert g.wait() == 0
    assert [e["offset"] for e in seen] == list(range(1, len(seen) + 1))
    for n, (acked, nacks, byes) in outcome.items():
        mine = [e["data"][1] for e in seen if e["data"][0] == n]
        assert mine == sorted(set(mine)), "in order, none twice"
        missing = [i for i in range(1, acked + 1) if i not in set(mine) and i not in nacks]
        assert not missing, f"acknowledged up to {acked}, yet {missing[:5]} did not come"
        assert [b.code for b in byes] == [Wire.BYE_SHUTDOWN]
        assert byes[0].after != 0xffffffff


def test_publishers_get_a_bye_and_all_acknowledgements(gateway, publisher):
    g = gateway()
    p = publisher(g, "stopping")
    p.send_bytes(b"".join(publish(i, "a") for i in range(1, 1001)))
    p.settle(1000)
    g.signal(signal.SIGTERM)
    bye = p.expect("BYE")
    assert bye.code == Wire.BYE_SHUTDOWN and bye.after != 0xffffffff
    p.send_bytes(rcingest.bye())
    p.expect_end()
    assert g.wait() == 0


@pytest.mark.tsan
def test_a_second_sigterm_ends_it_at_once(gateway, connect):
    g = gateway({"drain_timeout": "10m", "close_timeout": "60s"})
    ws = connect(g)
    g.signal(signal.SIGTERM)
    with pytest.raises(Closed):
        while True:
            ws.recv()
    # ws does not answer, so it would go on waiting.
    g.signal(signal.SIGTERM)
    status = g.wait(20)
    assert status >= 0, f"it ends by itself, not by the signal: {status}"


def test_sigint_is_as_good(gateway, connect):
    g = gateway()
    ws = connect(g)
    g.signal(signal.SIGINT)
    _, closed = messages_to_the_close(ws)
    assert closed.code == 1012
    assert g.wait() == 0


def test_sigterm_in_the_middle_of_a_crowd_of_handshakes(gateway):
    g = gateway({"drain_timeout": "2s"})
    socks = []
    for i in range(200):
        s = open_socket(g.http)
        s.sendall(upgrade("/ws?channel=a")[:i + 1 if i % 2 else None])
        socks.append(s)
    g.signal(signal.SIGTERM)
    assert g.wait(30) == 0
    for s in socks:
        s.close()


def test_a_gateway_starts_again_on_the_port_at_once(gateway, connect):
    g = gateway()
    ws = connect(g)
    g.signal(signal.SIGTERM)
    messages_to_the_close(ws)
    assert g.wait() == 0
    port = g.http[1]
    again = gateway(listen=f"127.0.0.1:{port}")
    assert again.http[1] == port
    connect(again).barrier()


def test_the_counters_file_is_gone_after_the_end(gateway):
    g = gateway()
    g.counters()
    g.stop()
    with pytest.raises(AssertionError, match="no counters file"):
        g.counters()


# ---- full

@pytest.mark.tsan
def test_one_client_more_than_allowed_gets_503_and_when_to_try_again(gateway, connect):
    g = gateway({"max_clients": 20})
    clients = [connect(g) for _ in range(20)]
    for _ in range(3):
        with Stream(open_socket(g.http)) as s:
            s.send_bytes(upgrade("/ws"))
            r = read_response(s)
            assert r.status == 503
            assert re.match(r"^[1-9]\d*$", r.headers["retry-after"])
            assert s.read_to_end() == b""
    g.until_counter("upgrades_refused_capacity", lambda n: n >= 3)
    for ws in clients:
        ws.barrier()
    clients.pop().close()

    def room():
        try:
            with WebSocket.open(g.http, "/ws"):
                return True
        except (AssertionError, Closed, OSError):
            return False

    eventually(room, "the place of the one that left is free")


def test_a_crowd_that_is_turned_away_leaves_nothing_behind(gateway, connect):
    g = gateway({"max_clients": 50})
    held = [connect(g) for _ in range(50)]
    descriptors = g.descriptors()
    for _ in range(10):
        socks = [open_socket(g.http) for _ in range(50)]
        for s in socks:
            s.sendall(upgrade("/ws"))
        for s in socks:
            assert s.recv(12) == b"HTTP/1.1 503"
            s.close()
    g.until_counter("connections", 50)
    eventually(lambda: g.descriptors() == descriptors, "the descriptors are back")
    for ws in held:
        ws.barrier()


def test_connections_that_say_nothing_do_not_keep_clients_out(gateway, connect):
    g = gateway({"max_clients": 20, "handshake_timeout": "5m"})
    silent = [socket.create_connection(g.http) for _ in range(200)]
    try:
        deadline = Deadline(20)
        while True:
            deadline.left()
            try:
                connect(g).barrier()
                break
            except (AssertionError, Closed, OSError):
                silent.pop().close()
        # Some of them may have been in the way, most not.
        assert len(silent) >= 20
    finally:
        for s in silent:
            s.close()


def test_more_clients_than_there_may_be_descriptors_is_refused_at_start(gateway):
    g = gateway({"max_clients": 5000}, ready=False, limits={resource.RLIMIT_NOFILE: (256, 256)})
    assert g.wait(30) == 1
    assert re.search(r"RLIMIT_NOFILE|ulimit|LimitNOFILE|descriptors", g.log), g.log
    assert "256" in g.log and "5000" in g.log, "what there is and what it would take"
    assert "listening" not in g.log, "before any port is open"


def test_the_soft_limit_is_raised_to_the_hard_one(gateway):
    g = gateway({"max_clients": 1000}, limits={resource.RLIMIT_NOFILE: (64, 4096)})
    soft, hard = resource.prlimit(g.pid, resource.RLIMIT_NOFILE)
    assert soft == hard == 4096


@pytest.mark.deadline(120)
def test_when_descriptors_run_out_all_the_same_it_does_not_spin_and_recovers(gateway, connect):
    # The limit is enough for what was asked, but somebody else's descriptors take most of it.
    g = gateway({"max_clients": 200, "handshake_timeout": "5m"}, limits={resource.RLIMIT_NOFILE: (600, 600)}, inherit=540)
    ws = connect(g)
    held = [socket.create_connection(g.http) for _ in range(60)]
    try:
        g.until_counter("accept_emfile", lambda n: n > 0)
        begin, failures = g.cpu_seconds(), g.counter("accept_emfile")
        # The time in which it could spin; the clock is what is measured here.
        until = time.monotonic() + 2
        while time.monotonic() < until:
            ws.barrier()
            time.sleep(0.05)
        assert g.cpu_seconds() - begin < 1.0, "it spins"
        assert g.counter("accept_emfile") - failures < 2000, "it spins"
    finally:
        for s in held:
            s.close()

    def let_in():
        try:
            with JsonClient.greeted(g.http) as again:
                again.barrier()
                return True
        except (OSError, Closed, AssertionError):
            return False

    eventually(let_in, "new clients are let in again", 30)
    ws.barrier()


def test_the_channel_table_gives_up_idle_channels_and_never_those_with_subscribers(gateway, connect, publisher):
    g = gateway({"max_channels": 100})
    p, ws = publisher(g, "full"), connect(g)
    ws.subscribe("full:1")
    epoch, _ = p.publish("full:1")
    # Four times as many as there may be: the oldest without subscribers go.
    p.stream([(f"full:{s}", "1") for s in range(2, 402)])
    assert not p.nacks
    assert p.publish("full:1") == (epoch, 2)
    assert [ws.next_event()["offset"] for _ in range(2)] == [1, 2]
    # A shard may go over for a moment, so that the other has its part.
    g.until_counter("channels", lambda n: n <= 101)


def test_when_every_channel_has_a_subscriber_new_ones_are_refused(gateway, connect, publisher, shards):
    g = gateway({"max_channels": 100})
    p, ws = publisher(g, "full"), connect(g)
    ws.subscribe(*[f"full:{n}" for n in range(1, 101)])
    # All are in use: none can be forgotten for a new one.
    for s in range(1, 121):
        p.send_bytes(publish(s, f"full:{s}", flags=Wire.FLAG_JSON | Wire.FLAG_WANT_ACK))
    p.settle(120)
    # Of several shards, one that has not come to its part of the table still takes new ones.
    new = set(range(101, 121))
    assert set(p.nacks) == new if shards == 1 else set(p.nacks) <= new
    assert {f.code for f in p.nacks.values()} == {Wire.NACK_OVER_CAPACITY}
    assert sorted(int(ws.next_event()["channel"].split(":")[1]) for _ in range(100)) == list(range(1, 101))


@pytest.mark.deadline(90)
def test_subscribing_to_more_channels_than_there_may_be_is_refused_with_an_error(gateway):
    g = gateway({"max_channels": 200})
    with Swarm(g.http) as swarm:
        members = swarm.open(["/ws"] * 10)
        for m in members:
            swarm.say(m, type="subscribe", channels=[f"over:{m.index}-{i}" for i in range(60)])
        swarm.pump(lambda: all(m.messages for m in members), "every subscribe is answered")
        answers = [m.json()[0] for m in members]
        good = [a for a in answers if a["type"] == "subscription-ack"]
        bad = [a for a in answers if a["type"] == "error"]
        assert good and bad and len(good) + len(bad) == 10
        assert {a["code"] for a in bad} <= {"server_capacity_exceeded", "limit_exceeded"}
        assert all(a["temporary"] for a in bad if a["code"] == "server_capacity_exceeded")
        # The refused ones hold nothing.
        g.until_counter("subscriptions", 60 * len(good))
