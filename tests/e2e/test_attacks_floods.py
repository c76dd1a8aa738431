# SPDX-License-Identifier: Apache-2.0
"""Attacks by too much: frames, requests, names, patterns, users, and answers that nobody reads. Limits hold, the others go on, memory comes back."""
import json
import os
import time

import pytest

import rcsiege
from deadline import Deadline, eventually
from rchttp import Http
from rcsiege import ADMIN, ADMIN_LINE, token
from rcsse import SseClient
from rcws import CONTINUATION, PING, PONG, TEXT, Closed, JsonClient, WebSocket, frame, open_socket, upgrade

pytestmark = pytest.mark.attack
TWO_SHARDS = True
USERS = int(os.environ.get("RINGCAST_ATTACK_USERS", "3000"))
CHANNELS, OF_ONE, PATTERNS = 400, 150, 60


def place(keys):
    return keys.settings(**rcsiege.known({
        "admin.token": ADMIN, "namespace.channel_ttl": "0", "namespace.public.channel_ttl": "0", "namespace.public.allow_subscribe": "anyone",
        "namespace.public.allow_publish": "anyone", "namespace.public.history_size": "50", "namespace.public.history_ttl": "1s",
        "namespace.public.presence": "yes", "namespace.public.presence_linger": "100ms", "close_timeout": "500ms",
        "max_channels": CHANNELS, "max_channels_per_client": OF_ONE, "max_patterns": PATTERNS, "max_clients": 3000, "output_max": "16KiB", "memory": "64MiB",
        **{f"limits.{kind}_rate": "0" for kind in ("message", "byte", "subscribe", "publish", "command")},
    })), False


def say(**message):
    return frame(TEXT, json.dumps(message))


# ---- frames

@pytest.mark.one_shard
def test_pings(siege):
    with JsonClient.greeted(siege.g.http) as ws:
        for i in range(40):
            ws.send_bytes(frame(PING, b"p" * 125) * 250)
            for _ in range(250):
                assert ws.recv(pings=True) == (PONG, b"p" * 125)
        ws.send_bytes(frame(PONG, b"x" * 125) * 5000 + frame(PONG) * 5000)
        ws.barrier()
        ws.close()
    siege.moved(frames_control_in=20001)


@pytest.mark.one_shard
def test_pings_whose_answers_nobody_reads(siege):
    """Either it is cut off, or answers are left out; what waits is bounded in both cases."""
    with WebSocket.open(siege.g.http, rcvbuf=4096) as ws:
        flood(ws, frame(PING, b"p" * 125) * 100, 16 << 20)
        assert siege.held()["arena_used_bytes"] < siege.base["arena_used_bytes"] + (1 << 20)
    siege.moved(frames_control_in=siege.SOME)


def flood(ws, raw, most=None):
    """Sends and does not read, until so many bytes are sent (then True) or it is cut off, or not read any more."""
    sent, deadline = 0, Deadline(20)
    ws.sock.settimeout(3)
    try:
        while not most or sent < most:
            sent += ws.sock.send(raw)
            deadline.left()
    except TimeoutError:
        assert deadline.at > time.monotonic(), f"{sent} bytes were taken and nothing of the answers was read"
    except OSError:
        pass
    return sent


@pytest.mark.one_shard
def test_many_small_pieces(siege):
    pieces = frame(TEXT, b"", fin=False) + frame(CONTINUATION, b" ", fin=False) * 1000
    with JsonClient.greeted(siege.g.http) as ws:
        ws.send_bytes(pieces + frame(CONTINUATION, b'{"type":"ping"}'))
        assert ws.await_type("pong")
        # With a control frame in each gap.
        ws.send_bytes(frame(TEXT, b"", fin=False) + (frame(CONTINUATION, b"", fin=False) + frame(PING)) * 1000 + frame(CONTINUATION, b'{"type":"ping"}'))
        assert ws.await_type("pong")
        try:
            ws.send_bytes(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 3000)
        except OSError:
            pass
        ws.expect_close(1008)
    # Begun everywhere and never ended.
    clients = [WebSocket.open(siege.g.http) for _ in range(150)]
    for ws in clients:
        ws.send(TEXT, b"x" * 30000, fin=False)
        ws.send(CONTINUATION, b"x" * 30000, fin=False)
    for ws in clients:
        ws.drop()
    siege.moved(close_policy=1)


# ---- requests

def test_subscribing_and_leaving(siege):
    with JsonClient.greeted(siege.g.http) as ws:
        for i in range(40):
            names = [f"public:{i}:{k}" for k in range(3)]
            ws.send_bytes(b"".join(say(type="subscribe", channels=names, id=k) + say(type="unsubscribe", channels=names[:1 + k % 3], id=k) for k in range(50)))
            for k in range(50):
                assert ws.await_type("subscription-ack")["id"] == k
                assert ws.await_type("unsubscription-ack")["id"] == k
        ws.unsubscribe()
        # Names that were never there, and all of it in one message.
        ws.send_bytes(b"".join(say(type="unsubscribe", channels=[f"public:no:{k}" for k in range(200)], id=k) for k in range(40)))
        for k in range(40):
            assert ws.await_type("unsubscription-ack")["id"] == k
        ws.close()
    siege.moved(subscribe_requests=2000)


def test_more_requests_than_wait(siege):
    """Not one answer is read until all is asked."""
    with JsonClient.greeted(siege.g.http) as ws:
        ws.send_bytes(b"".join(say(type="subscribe", channels=["public:a:%d" % (k % 90)], since="beginning", id=k) +
                               say(type="history", channel="public:a:%d" % (k % 90), id=k) for k in range(1500)))
        answers = {"subscription-ack": 0, "history": 0, "error": 0}
        try:
            while sum(answers.values()) < 3000:
                m = ws.await_type(*answers)
                answers[m["type"]] += 1
                assert m["type"] != "error" or m["code"] in ("server_capacity_exceeded", "rate_limited"), m
        except Closed as e:
            # With what it does not read over output_max.
            assert e.code in (4101, 4105), str(e)
    siege.moved(subscribe_requests=siege.SOME)


@pytest.mark.one_shard
def test_asking_without_reading(siege):
    with Http(siege.g.plain_http) as c:
        for i in range(20):
            assert c.publish({"channel": "public:full", "data": "x" * 3000}, ADMIN_LINE).status == 200
    for _ in range(2):
        with WebSocket.open(siege.g.http, rcvbuf=4096) as ws:
            flood(ws, say(type="history", channel="public:full", limit=50) * 20)
    siege.moved(clients_closed=siege.SOME)


@pytest.mark.one_shard
def test_streams_and_clients_that_do_not_read(siege):
    lazy = [SseClient.open(siege.g.http, "/events?channel=public:loud", rcvbuf=4096) for _ in range(15)]
    lazy += [WebSocket.open(siege.g.http, "/ws?channel=public:loud", rcvbuf=4096) for _ in range(15)]
    with Http(siege.g.plain_http) as c:
        eventually(lambda: siege.since("clients") == 30, "they are in")
        for i in range(150):
            assert c.publish({"channel": "public:loud", "data": "x" * 30000}, ADMIN_LINE).status == 200
    for one in lazy:
        one.drop()
    siege.moved(clients_closed=30)


def test_noise_of_every_kind(siege):
    """Random messages by a client who may publish; each is answered or closes, nothing hangs."""
    import random
    rng = random.Random(6)
    kinds = ["subscribe", "unsubscribe", "history", "publish", "auth", "refresh", "ping", "pong", "presence", "command", "join", "event", "", None, 7, [], {}, "x" * 300]
    values = [None, True, -1, 10**30, 1.5, "", "public:a", "**", "$all", "public:\0", ["public:a"], [["a"]], {}, {"public:a": "beginning"}, "x" * 5000, [None] * 50, "aaaaaaaaaa@1",
              "bq2dkx5r7m~12.9", "beginning", "2026-99-99T00:00:00Z"]
    fields = ["channel", "channels", "since", "before", "limit", "id", "event", "data", "token", "rooms", "category", "filter", "ack", "type", "timestamp"]
    with JsonClient.greeted(siege.g.http, "/ws?token=" + token(sub="ann", channels=["**"], publish=["public:**"])) as ws:
        for i in range(1500):
            ws.say({"type": rng.choice(kinds), **{rng.choice(fields): rng.choice(values) for _ in range(rng.randrange(5))}})
            if i % 50 == 49:
                # Behind all that waits in line.
                ws.say(type="unsubscribe", id="end")
                while (m := ws.recv_json()).get("id") != "end":
                    assert m["type"] != "connected"
        ws.close()
    siege.moved(messages_in=siege.SOME)


# ---- names

def test_bombs_of_patterns(siege):
    """max_patterns holds, and who holds channels does not notice."""
    with JsonClient.greeted(siege.g.http) as ws:
        refused = 0
        for i in range(PATTERNS + 40):
            ws.say(type="subscribe", channels=[f"public:{i}:*:{'*:' * (i % 30)}**"], id=i)
            answer = ws.await_type("subscription-ack", "error")
            if answer["type"] == "error":
                assert answer["code"] in ("server_capacity_exceeded", "limit_exceeded"), answer
                refused += 1
        assert refused >= 40
        assert siege.g.counter("patterns") <= PATTERNS * siege.shards
        with JsonClient.greeted(siege.g.http, "/ws?channel=public:x") as other:
            assert other.await_type("subscription-ack")
            with Http(siege.g.plain_http) as c:
                for i in range(30):
                    deep = f"public:{i}:" + ":".join("x" * (1 + i % 3) for _ in range(40))
                    assert c.publish({"channel": deep, "data": 1}, ADMIN_LINE).status == 200
                assert c.publish({"channel": "public:x", "data": 1}, ADMIN_LINE).status == 200
            assert other.next_event()["data"] == 1
            other.close()
        # 127 levels, all of them wild.
        ws.unsubscribe()
        most = "public:" + "*:" * 122 + "**"
        ws.subscribe(most)
        ws.close()
    siege.moved(subscribe_refused_full=siege.SOME)


def test_channels_by_one(siege):
    with JsonClient.greeted(siege.g.http) as ws:
        for start in range(0, OF_ONE, 50):
            ws.subscribe(*(f"public:{i}" for i in range(start, start + 50)))
        for _ in range(200):
            ws.say(type="subscribe", channels=["public:one more"[:10] + "m" + str(_)])
            assert ws.await_type("error")["code"] == "limit_exceeded"
        ws.close()
    siege.moved(subscribe_refused_limit=200)


def test_channels_by_many(siege):
    """The table is full: newcomers are told to come later, those who are in hear theirs."""
    clients, full = [], 0
    for n in range(5):
        ws = JsonClient.greeted(siege.g.http)
        clients.append(ws)
        for i in range(0, OF_ONE, 10):
            ws.say(type="subscribe", channels=[f"public:{n}:{i + k}" for k in range(10)], id=i)
            answer = ws.await_type("subscription-ack", "error")
            if answer["type"] == "error":
                assert (answer["code"], answer["temporary"]) == ("server_capacity_exceeded", True), answer
                full += 1
    assert full and siege.g.counter("channels") <= CHANNELS * siege.shards + 16
    siege.watch.hears()
    with Http(siege.g.plain_http) as c:
        assert c.publish({"channel": "public:0:0", "data": 1}, ADMIN_LINE).status == 200
        assert clients[0].next_event()["data"] == 1
        # Nor does publishing make room for more.
        for i in range(100):
            assert c.publish({"channel": f"public:new:{i}", "data": 1}, ADMIN_LINE).status in (200, 503)
    for ws in clients:
        ws.close()
        ws.drop()
    siege.moved(subscribe_refused_full=siege.SOME)


# ---- users

def test_one_user_after_another(siege):
    """As many as RINGCAST_ATTACK_USERS says (30,000 take a minute)."""
    mine = [token(sub="u%d" % i, channels=["public:*"], info={"n": i}) for i in range(min(USERS, 3000))]
    for i in range(USERS):
        text = mine[i] if i < len(mine) else token(sub="u%d" % i, channels=["public:*"], info={"n": i})
        with WebSocket(open_socket(siege.g.http)) as ws:
            ws.send_bytes(upgrade("/ws?channel=public:crowd&token=" + text))
            ws.read_until(b'"connected"')
            if i % 4 == 0:
                ws.reset()
    siege.moved(tokens_good=USERS)


def test_tokens_whose_bringers_are_gone(siege):
    """The home of the user is asked for somebody who is not there any more when it answers."""
    for i in range(600):
        with WebSocket(open_socket(siege.g.http)) as ws:
            ws.send_bytes(upgrade("/ws?channel=public:a&token=" + token(sub=f"user {i % 50}", channels=["public:*"], subscribe_on_connect=["public:b"])))
            if i % 3 == 0:
                ws.read_exact(1)
            if i % 2:
                ws.reset()
    siege.moved(tokens_good=siege.SOME)


def test_many_users_come_and_go_in_a_channel_with_presence(siege):
    if "namespace.presence" not in rcsiege.known_options():
        pytest.skip("this gateway has no presence")
    with JsonClient.greeted(siege.g.http, "/ws?channel=public:room") as watcher:
        watcher.await_type("subscription-ack")
        for _ in range(3):
            crowd = []
            for i in range(120):
                ws = WebSocket.open(siege.g.http, f"/ws?channel=public:room&token=" + token(sub=f"user {i}", channels=["public:*"], info={"a": "x" * 900}))
                crowd.append(ws)
            for k in range(150):
                watcher.say(type="presence", channel="public:room", id=k)
                answer = watcher.await_type("presence", "error", "join", "leave")
                assert answer["type"] != "error" or answer["code"] in ("server_capacity_exceeded", "rate_limited"), answer
            for ws in crowd:
                ws.reset()
    siege.moved(tokens_good=360)
