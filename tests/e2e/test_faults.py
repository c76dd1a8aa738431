# SPDX-License-Identifier: Apache-2.0
"""Clients that die in every way. The gateway notices, gives everything back, and the others notice nothing."""
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys

import pytest

from deadline import SLOW, eventually
from rcgateway import resident
from rcingest import Publisher, publish
from rcws import BINARY, PING, TEXT, JsonClient, Stream, WebSocket, frame, open_socket, read_response, upgrade
from swarm import Swarm

SETTINGS = {"echo": "yes"}
MIB = 1 << 20
HERE = os.path.dirname(os.path.abspath(__file__))


def at_rest(g, clients=0):
    g.until_counter("clients", clients)
    g.until_counter("connections", clients)


# ---- killed

VICTIM = """
import sys
sys.path.insert(0, {here!r})
from rcws import *
from rcingest import Publisher, publish, batch
web, ingest = ("127.0.0.1", {web}), ("127.0.0.1", {ingest})
# Every kind of half: of a request, of a frame's head, of a message, of an echo under way, of a publisher's batch.
held = []
for n in (1, 20, 100):
    s = Stream(open_socket(web)); s.send_bytes(upgrade("/ws")[:n]); held.append(s)
for raw in (frame(TEXT, "x" * 300)[:1], frame(TEXT, "x" * 300)[:3], frame(TEXT, "x" * 300)[:6], frame(TEXT, "x" * 300)[:200],
            frame(TEXT, "x", fin=False), frame(PING, b"y" * 100)[:50], frame(CLOSE, b"\\x03\\xe8")[:7]):
    for path in ("/ws?channel=mid:a&channel=mid:*", "/echo"):
        ws = WebSocket.open(web, path); ws.send_bytes(raw); held.append(ws)
ws = WebSocket.open(web, "/echo", rcvbuf=4096); ws.send_bytes(frame(BINARY, b"z" * 3000000)); held.append(ws)
ws = WebSocket.open(web, "/echo"); ws.send_bytes(frame(BINARY, b"z" * 3000000)[:2000000]); held.append(ws)
for ident in ("", "victim-%d" % {n}):
    p = Publisher.greeted(ingest, ident); p.send_bytes(batch([(i, "mid:a", "1") for i in range(1, 50)])[:-5]); held.append(p)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.tsan
@pytest.mark.deadline(120)
def test_clients_killed_in_the_middle_of_frames(shared_gateway, publisher, connect):
    g = shared_gateway
    steady, p = connect(g), publisher(g, "steady")
    steady.subscribe("mid:a")
    for n in range(1, 6):
        victim = subprocess.Popen([sys.executable, "-B", "-c", VICTIM.format(here=HERE, web=g.http[1], ingest=g.ingest[1], n=n)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert victim.stdout.readline() == "ready\n"
            p.publish("mid:a", str(n))
        finally:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            victim.stdin.close()
            victim.stdout.close()
        # Whole, and nothing of the batches that were cut.
        assert steady.next_event()["data"] == n
        g.until_counter("clients", 1)
        g.until_counter("connections", 2)
    steady.barrier()
    assert steady.events == []


def test_a_client_killed_under_a_stream_of_events(gateway, publisher, connect):
    g = gateway()
    p, steady = publisher(g), connect(g)
    steady.subscribe("storm")
    sent = 0
    for _ in range(15):
        members = [JsonClient.greeted(g.http, "/ws?channel=storm") for _ in range(8)]
        for m in members:
            m.await_type("subscription-ack")
        for _ in range(5):
            p.stream([("storm", json.dumps("s" * 500))] * 20)
            sent += 20
            victim = members.pop()
            if len(members) % 2:
                victim.reset()
            else:
                victim.drop()
        for m in members:
            m.reset()
    for n in range(1, sent + 1):
        assert steady.next_event()["offset"] == n
    g.until_counter("clients", 1)
    g.until_counter("connections", 2)


def test_resets_at_every_stage(shared_gateway):
    g = shared_gateway
    for _ in range(3):
        Stream(open_socket(g.http)).reset()
        for raw in (b"G", upgrade("/ws")[:-1], upgrade("/ws"), upgrade("/ws?channel=a") + frame(PING, b"x"),
                    upgrade("/echo") + frame(TEXT, "x" * 1000) * 50, upgrade("/ws") + frame(TEXT, "nonsense") * 100,
                    b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 50, b"nonsense\r\n\r\n"):
            s = Stream(open_socket(g.http))
            s.send_bytes(raw)
            s.reset()
        Stream(open_socket(g.ingest)).reset()
        with Publisher.greeted(g.ingest, "reset") as p:
            s = p.welcome.last_sequence
            p.send_bytes(b"".join(publish(s + i, "a") for i in range(1, 200)))
            p.reset()
    at_rest(g)


def test_a_half_closed_client_gets_what_it_asked_for(shared_gateway):
    with WebSocket.open(shared_gateway.http, "/echo") as ws:
        ws.send_bytes(frame(TEXT, "one") + frame(BINARY, b"x" * 500000))
        ws.sock.shutdown(socket.SHUT_WR)
        # The answers, or the end: both are fair to somebody who has gone half.
        rest = ws.read_to_end()
        assert rest == b"" or rest.startswith(b"\x81\x03one")
    at_rest(shared_gateway)


def test_a_half_closed_request_gets_its_answer(shared_gateway):
    with Stream(open_socket(shared_gateway.http)) as s:
        s.send_bytes(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        s.sock.shutdown(socket.SHUT_WR)
        assert read_response(s).status == 200
        s.read_to_end()
    at_rest(shared_gateway)


# ---- a peer that vanishes: packets go nowhere and nobody says so

def test_a_client_behind_a_cut_line_is_given_up(gateway, publisher):
    if os.geteuid() != 0:
        pytest.skip("cutting a line needs root")
    cut = ["ip", "netns", "exec"]
    name = f"rc{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no network namespace: {made.stderr.strip()}")
    try:
        host = f"rcv{os.getpid() % 100000}"
        # Addresses of the range for documentation, a pair for each process: 127/8 does not leave a machine.
        base = os.getpid() % 62 * 4
        here, there = f"198.51.100.{base + 1}", f"198.51.100.{base + 2}"
        for command in (f"ip link add {host} type veth peer name c0 netns {name}", f"ip addr add {here}/30 dev {host}",
                        f"ip link set {host} up"):
            done = subprocess.run(command.split(), capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"no virtual line: {command}: {done.stderr.strip()}")
        for command in (f"ip addr add {there}/30 dev c0", "ip link set c0 up", "ip link set lo up"):
            subprocess.run([*cut, name, *command.split()], check=True)
        g = gateway({"tcp_user_timeout": "1s", "heartbeat": "1s", "insecure": "yes"}, listen=f"{here}:0")
        p = publisher(g)
        client = subprocess.Popen([*cut, name, sys.executable, "-B", "-c", f"""
import sys
sys.path.insert(0, {HERE!r})
from rcws import JsonClient
ws = JsonClient.greeted(({here!r}, {g.http[1]}), "/ws?channel=line")
ws.await_type("subscription-ack")
print("ready", flush=True)
sys.stdin.read()
"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert client.stdout.readline() == "ready\n"
            subprocess.run([*cut, name, "ip", "link", "set", "c0", "down"], check=True)
            p.publish("line", "1")
            g.until_counter("clients", 0, 30)
        finally:
            client.kill()
            client.wait()
            client.stdin.close()
            client.stdout.close()
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


# ---- crowds

def waves(g, swarm, total, wave, leave):
    """total clients in waves: each wave is greeted, then goes, by leave(swarm, member)."""
    for start in range(0, total, wave):
        members = swarm.open([f"/ws?channel=crowd:{i % 100}" for i in range(start, start + wave)])
        swarm.pump(lambda: all(m.messages for m in members), "every subscribe is acknowledged", 60)
        for m in members:
            leave(swarm, m)
        swarm.order.clear()


@pytest.mark.deadline(300)
def test_ten_thousand_clients_that_come_and_go_leave_no_descriptor_and_no_memory(gateway):
    total = 2000 if SLOW > 4 else 10000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wave = min(total // 2, hard // 2 - 500)
    g = gateway({"max_clients": max(wave + 500, 1000), "namespace.channel_ttl": "100ms"})
    rng = random.Random(5)
    ways = [lambda s, m: s.leave(m), lambda s, m: s.leave(m, reset=True),
            lambda s, m: (s.say(m, opcode=8, raw=b"\x03\xe8"), s.leave(m)), lambda s, m: (m.sock.send(b"\x81"), s.leave(m))]
    with Swarm(g.http) as swarm:
        # One round first: what is touched once stays touched.
        waves(g, swarm, wave, wave, rng.choice(ways))
        at_rest(g)
        descriptors, rss = g.descriptors(), g.rss()
        waves(g, swarm, total, wave, lambda s, m: rng.choice(ways)(s, m))
        at_rest(g)
        g.until_counter("channels", 0)
        eventually(lambda: g.descriptors() == descriptors, f"the descriptors are back at {descriptors}, now {g.descriptors()}")
        grown = g.rss() - rss
        assert grown < resident(1), f"{grown >> 10} KiB stayed"
        counters = g.counters()
        assert counters["clients_opened"] == counters["clients_closed"] == total + wave
        closes = sum(v for k, v in counters.items() if k.startswith("close_"))
        assert closes == counters["clients_closed"], "every one has a reason"
        assert counters["log_bytes"] == 0 and counters["subscriptions"] == 0


@pytest.mark.deadline(180)
def test_a_storm_of_reconnects(gateway, publisher, connect):
    n = 300 if SLOW > 4 else 2000
    g = gateway()
    p, steady = publisher(g), connect(g)
    steady.subscribe("storm:a")
    with Swarm(g.http) as swarm:
        for turn in range(1, 4):
            members = swarm.open(["/ws?channel=storm:a"] * n, wave=n)
            swarm.pump(lambda: all(m.messages for m in members), "every subscribe is acknowledged", 60)
            p.publish("storm:a", str(turn))
            swarm.pump(lambda: all(len(m.messages) == 2 for m in members), "the event has come", 60)
            assert steady.next_event()["data"] == turn
            for m in members:
                swarm.leave(m, reset=bool(m.index % 2))
    g.until_counter("clients", 1)


@pytest.mark.deadline(120)
@pytest.mark.parametrize("seed", range(3))
def test_noise_on_every_port(shared_gateway, connect, publisher, seed):
    g = shared_gateway
    rng = random.Random(seed)
    begin = {"ws": upgrade("/ws?channel=noise"), "echo": upgrade("/echo"), "http": b""}
    for i in range(120):
        where = rng.choice(["ws", "echo", "http", "ingest"])
        raw = rng.randbytes(rng.choice([1, 10, 100, 1000, 10000]))
        if rng.random() < 0.4:
            # Mostly right, with a byte changed.
            good = bytearray(frame(rng.choice([TEXT, BINARY]), rng.randbytes(200)) if where != "ingest" else
                             b"".join(publish(s, "noise") for s in range(1, 9)))
            good[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
            raw = bytes(good)
        try:
            if where == "ingest":
                if rng.random() < 0.5:
                    s = Publisher.greeted(g.ingest, "noise")
                else:
                    s = Stream(open_socket(g.ingest))
            else:
                s = Stream(open_socket(g.http))
                s.send_bytes(begin[where])
            with s:
                s.send_bytes(raw)
                if rng.random() < 0.5:
                    s.sock.shutdown(socket.SHUT_WR)
                    s.read_to_end()
        except OSError:
            pass
    ws, p = connect(g), publisher(g)
    ws.subscribe("after:noise")
    p.publish("after:noise", str(seed))
    assert ws.next_event()["data"] == seed
    ws.close()
    p.drop()
    at_rest(g)


def test_an_idle_gateway_uses_no_cpu(gateway, connect):
    g = gateway({"heartbeat": "1h"})
    clients = [connect(g, "/ws?channel=a") for _ in range(20)]
    for ws in clients:
        ws.await_type("subscription-ack")
    turns, begin = g.counter("turns"), g.cpu_seconds()
    # Time is what is measured: two seconds in which nothing comes.
    clients[0].sock.settimeout(2)
    with pytest.raises(TimeoutError):
        clients[0].sock.recv(1)
    shards = len(g.counters_by_shard())
    assert g.counter("turns") - turns < 200 * shards, "it wakes up for nothing"
    assert g.cpu_seconds() - begin < 0.5
