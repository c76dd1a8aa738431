# SPDX-License-Identifier: Apache-2.0
"""Everything at once, in the tightest settings: clients that come, go, stall and talk nonsense, publishers that die in the middle.
What behaves must still be served without holes, and nothing may be left when all are gone."""
import json
import os
import random
import re
import struct
import sys
import threading
import time
import traceback

import pytest

import rcingest
import rcws
from deadline import SLOW, Deadline, eventually
from rcingest import Publisher, Wire
from rcws import TEXT, Closed, JsonClient

TIGHT = {
    "memory": "16MiB", "max_message": "4KiB", "client_message_max": "8KiB", "max_channels": 100, "max_patterns": 16,
    "max_clients": 120, "send_budget": 64, "receive_buffers": 64, "receive_buffer_bytes": "1KiB", "ring_bytes": "64KiB",
    "submit_entries": 256, "output_max": "8KiB", "send_max": "4KiB", "notsent_lowat": "4KiB", "heartbeat": "2s",
    "handshake_timeout": "1s", "close_timeout": "500ms", "drain_timeout": "20s", "reconnect_jitter": "0",
    "ingest.window": 16, "ingest.frame_max": "64KiB", "ingest.max_publishers": 24, "ingest.max_publisher_ids": 16,
}
POLICIES = {
    "namespace.skip.slow_policy": "skip", "namespace.skip.lag_bytes": "16KiB",
    "namespace.last.slow_policy": "latest", "namespace.last.lag_bytes": "16KiB",
    "namespace.key.slow_policy": "latest", "namespace.key.slow_key": "k", "namespace.key.lag_bytes": "16KiB",
    "namespace.plain.lag_bytes": "64KiB", "namespace.many.channel_ttl": "0",
    "namespace.off.lag_bytes": "16KiB", "namespace.off.lag_time": "200ms",
}
CHANNELS = [f"{ns}:{n}" for ns in ("skip", "last", "key", "off", "plain") for n in range(4)]
PATTERNS = ["skip:*", "key:**", "*:1"]
TWO_SHARDS = True
SECONDS = 12


# What the strict readers say of bytes that no gateway may send.
BROKEN = re.compile("reserved bits|never masks|opcode|could be shorter|inside another|cut short|cut off|too many|acknowledged|gateway sent")


class Hole(AssertionError):
    pass


class Stress:
    def __init__(self, g, seed):
        self.g, self.seed = g, seed
        self.over = threading.Event()
        self.wrong = []
        self.threads = []

    def start(self, work):
        rng = random.Random(f"{self.seed} {len(self.threads)}")

        def run():
            while not self.over.is_set():
                try:
                    work(rng)
                except (Closed, OSError, TimeoutError):
                    # Being refused, closed, or cut off is what most of them ask for.
                    time.sleep(0.01)
                except AssertionError as e:
                    # To be turned away, evicted, or told of an error is what they must expect; a broken stream never.
                    if not isinstance(e, Hole) and not BROKEN.search(str(e)):
                        continue
                    self.wrong.append(f"{work.__name__}: {e!r}")
                    return
                except Exception as e:
                    self.wrong.append(f"{work.__name__}: {e!r}")
                    return

        t = threading.Thread(target=run, daemon=True)
        self.threads.append(t)
        t.start()

    def end(self):
        self.over.set()
        deadline = time.monotonic() + 12 * SLOW
        for t in self.threads:
            t.join(max(0, deadline - time.monotonic()))
        frames = sys._current_frames()
        hanging = ["".join(traceback.format_stack(frames[t.ident])) for t in self.threads if t.is_alive()]
        assert not hanging, "\n".join(["a client hangs:", *hanging])
        assert not self.wrong, "\n".join(self.wrong)

    # ---- clients

    def reader(self, rng):
        """Reads all that it gets. Per channel and epoch the offsets have no hole, but where it is told of one."""
        with JsonClient.greeted(self.g.http, timeout=5) as ws:
            ws.say(type="subscribe", channels=rng.sample(CHANNELS, 3))
            at = {}
            until = time.monotonic() + rng.uniform(0.5, 3)
            while time.monotonic() < until and not self.over.is_set():
                ws.say(type="ping")
                while (m := ws.recv_json(timeout=5))["type"] != "pong":
                    if m["type"] == "subscription-ack":
                        for channel, position in m["data"]["positions"].items():
                            at[channel] = int(position.partition("@")[2])
                    elif m["type"] == "gap":
                        at[m["channel"]] = int(m["position"].partition("@")[2])
                    elif m["type"] == "event" and m["channel"] in at:
                        channel, offset = m["channel"], m["offset"]
                        quiet = channel.startswith(("last:", "key:"))
                        if offset != at[channel] + 1 and not (quiet and offset > at[channel]):
                            raise Hole(f"{channel}: {offset} after {at[channel]}")
                        at[channel] = offset
                        if len(m["data"]["pad"]) != m["data"]["n"]:
                            raise Hole("a frame that is not whole")
            if rng.random() < 0.5:
                ws.close()

    def restless(self, rng):
        """Subscribes and unsubscribes all the time, several requests at once, some of them for too much; goes without a word."""
        with JsonClient.greeted(self.g.http, rng.choice(["/ws", "/ws?channel=skip:1&channel=off:0"]), timeout=5) as ws:
            for _ in range(rng.randrange(40)):
                names = [rng.choice(CHANNELS + PATTERNS + [f"many:{rng.randrange(400)}"]) for _ in range(rng.randrange(1, 12))]
                kind = rng.choice(["subscribe", "subscribe", "unsubscribe"])
                ws.send(TEXT, json.dumps({"type": kind, "id": rng.randrange(99), "channels": names}))
                if rng.random() < 0.05:
                    ws.say(type="unsubscribe")
                if rng.random() < 0.3:
                    ws.say(type="ping")
                    while ws.recv_json(timeout=5)["type"] != "pong":
                        pass
            rng.choice([ws.drop, ws.reset])()

    def stuck(self, rng):
        """Does not read, but goes on to talk: its frames are cut in the middle while its channels come and go."""
        with JsonClient.greeted(self.g.http, rcvbuf=2048, timeout=5) as ws:
            mine = rng.sample(CHANNELS + PATTERNS, 5)
            ws.say(type="subscribe", channels=mine)
            until = time.monotonic() + rng.uniform(0.2, 2)
            while time.monotonic() < until:
                time.sleep(rng.uniform(0, 0.1))
                if rng.random() < 0.4:
                    ws.say(type=rng.choice(["subscribe", "unsubscribe"]), channels=[rng.choice(mine)])
                if rng.random() < 0.1:
                    ws.say(type="ping")
            end = rng.random()
            if end < 0.3:
                # Catches up: whatever happened, the frames are whole up to the end.
                until = time.monotonic() + 1
                while time.monotonic() < until:
                    # Less than a heartbeat: its pings would keep this going.
                    ws.recv_json(timeout=1 / SLOW)
            elif end < 0.5:
                ws.send(rcws.CLOSE, struct.pack("!H", 1000))
                ws.read_to_end(timeout=5)
            elif end < 0.7:
                ws.send(TEXT, '{"type":', fin=False)

    def babbler(self, rng):
        """Nonsense at every stage."""
        s = rcws.Stream(rcws.open_socket(self.g.http, timeout=5))
        with s:
            stage = rng.randrange(4)
            if stage == 0:
                s.send_bytes(os.urandom(rng.randrange(1, 3000)))
            elif stage == 1:
                raw = rcws.upgrade("/ws?channel=plain:0")
                s.send_bytes(raw[:rng.randrange(len(raw))])
            else:
                # Frames right behind the request, pieces of messages, and what is not a frame at all.
                s.send_bytes(rcws.upgrade("/ws?channel=skip:0") + rcws.frame(TEXT, '{"type":"sub', fin=False)
                             + rcws.frame(rcws.PING, b"x" * rng.randrange(126))
                             + (os.urandom(200) if stage == 2 else rcws.frame(rcws.CONTINUATION, 'scribe","channels":["off:1"]}')))
            if rng.random() < 0.5:
                s.read_to_end(timeout=0.3)

    # ---- publishers

    @staticmethod
    def event(rng):
        n = rng.choice([0, 10, 200, 1500])
        return rng.choice(CHANNELS), json.dumps({"k": rng.randrange(5), "n": n, "pad": "p" * n})

    def publisher(self, rng):
        """Takes turns with others at the same few ids, sends in all forms, and mostly dies in the middle."""
        with Publisher.greeted(self.g.ingest, rng.choice(["", "a", "b", "c"]), timeout=5) as p:
            endings = [p.drop, p.reset, lambda: p.send_bytes(rcingest.bye()), p.settle]
            for _ in range(rng.randrange(1, 8)):
                events = [self.event(rng) for _ in range(rng.randrange(1, 40))]
                how = rng.random()
                if how < 0.4:
                    p.stream(events, per_batch=rng.choice([0, 3, 20]), timeout=5)
                    continue
                numbered = [(p.sequence + 1 + i, *e) for i, e in enumerate(events)]
                p.sequence += len(events)
                raw = rcingest.batch(numbered, Wire.FLAG_JSON | rng.choice([0, Wire.FLAG_POSITION, Wire.FLAG_WANT_ACK, 64]))
                if how < 0.7:
                    # Far over the credit, and nobody reads the answers.
                    p.send_bytes(raw, timeout=2)
                elif how < 0.8:
                    p.sequence += 1
                    p.send_bytes(rcingest.broadcast(p.sequence, "1"))
                else:
                    p.send_bytes(raw[:rng.randrange(len(raw))], timeout=2)
                    endings.remove(p.settle)
                    break
            rng.choice(endings)()

    def lost(self, rng):
        """No HELLO, half of one, or what is none."""
        s = rcws.Stream(rcws.open_socket(self.g.ingest, timeout=5))
        with s:
            raw = rng.choice([b"", rcingest.hello("a")[:9], os.urandom(64), rcingest.frame(99), rcingest.hello("b") + os.urandom(99)])
            s.send_bytes(raw)
            time.sleep(rng.uniform(0, 0.05))


def start_all(s):
    for work, count in ((s.reader, 4), (s.restless, 3), (s.stuck, 8), (s.babbler, 2), (s.publisher, 6), (s.lost, 1)):
        for _ in range(count):
            s.start(work)


def gauges(g):
    c = g.counters()
    return {name: c[name] for name in ("clients", "subscriptions", "connections", "publishers", "patterns")}


@pytest.mark.tsan
@pytest.mark.deadline(90)
def test_a_crowd_in_the_tightest_settings_leaves_nothing_behind(gateway):
    g = gateway(TIGHT | POLICIES)
    seed = os.environ.get("RINGCAST_SEED") or os.urandom(4).hex()
    print("RINGCAST_SEED", seed)
    s = Stress(g, seed)
    start_all(s)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and not s.wrong and g.process.poll() is None:
        time.sleep(0.1)
    assert g.process.poll() is None, g.log[-6000:]
    s.end()
    g.assert_clean()
    eventually(lambda: not any(gauges(g).values()), f"the tables to be empty (are {gauges(g)})", 30)
    eventually(lambda: g.counter("arena_used_bytes") <= (512 << 10), f"memory to come back (is {g.counter('arena_used_bytes')})")
    # And it works as on the first day.
    with JsonClient.greeted(g.http) as ws, Publisher.greeted(g.ingest, "z") as p:
        ws.subscribe("plain:0")
        p.publish("plain:0", "7")
        assert ws.next_event()["data"] == 7


@pytest.mark.tsan
@pytest.mark.deadline(90)
def test_a_crowd_does_not_keep_a_stop_from_its_end(gateway):
    g = gateway(TIGHT | POLICIES | {"drain_timeout": "5s"})
    s = Stress(g, os.environ.get("RINGCAST_SEED") or os.urandom(4).hex())
    start_all(s)
    time.sleep(3)
    deadline = Deadline(20)
    g.stop()
    deadline.left()
    s.end()


@pytest.mark.deadline(30)
def test_a_request_that_counted_on_a_refused_one_is_refused_too(gateway):
    g = gateway({"max_channels": 100, "max_patterns": 16})
    first, much = [f"a:{n}" for n in range(20)], [f"b:{n}" for n in range(280)]
    with JsonClient.greeted(g.http) as ws:
        # In one piece, so that with several shards none of it is answered before all of it is asked.
        ws.send_bytes(b"".join(rcws.frame(TEXT, json.dumps({"type": "subscribe", "id": n, "channels": names}))
                               for n, names in enumerate((first, much, much[:1], first[:2]))))
        answers = {}
        while len(answers) < 4:
            m = ws.recv_json()
            answers[m["id"]] = m
        assert list(answers) == [0, 1, 2, 3], "answers come in the order of the requests"
        assert answers[0]["data"]["channels"] == first and answers[3]["data"]["channels"] == first[:2]
        assert answers[1]["code"] == "server_capacity_exceeded" and answers[1]["temporary"]
        # With one shard the refused one is over before the next is read, and its channels are free again.
        assert answers[2].get("code") == "server_capacity_exceeded" or answers[2]["data"]["channels"] == much[:1]
        ws.unsubscribe()
        g.until_counter("subscriptions", 0)
