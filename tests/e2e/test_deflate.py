# SPDX-License-Identifier: Apache-2.0
"""permessage-deflate: what is agreed on, events deflated once for all who want them, messages of clients inflated within bounds; and with the
clients that people use: `ws`, Chromium, Python's websockets."""
import asyncio
import http.server
import json
import os
import socket
import subprocess
import threading
import zlib

import pytest

import rcpage
from deadline import SLOW, eventually
from rcapi import get_json
from rcgateway import BINARY as PROGRAM, environment
from rcdeflate import ANSWER, HEADER, TAIL, DeflateClient, bits, compressed, deflate, stored
from rchttp import Http
from rcingest import Wire, publish
from rctls import TlsSocket
from rcws import BINARY, CLOSE, CONTINUATION, PING, TEXT, JsonClient, WebSocket, frame

SETTINGS = {"namespace.zip.deflate": "yes", "namespace.zip.history_size": "10", "namespace.raw.deflate": "yes", "namespace.raw.raw": "yes",
            "client_message_max": "128KiB", "namespace.up.allow_publish": "anyone", "namespace.up.history_size": "1000"}
ORDER = {"orders": [{"sku": f"A-{n}", "name": "Espresso machine", "quantity": n % 7, "price": 100 + n} for n in range(40)], "note": "é\u2028"}


@pytest.fixture
def g(shared_gateway):
    return shared_gateway


@pytest.fixture
def web(g):
    with Http(g.http) as c:
        yield c


@pytest.fixture
def client(g):
    with DeflateClient.greeted(g.http) as ws:
        yield ws


def counted(g, *names):
    have = g.counters()
    return [have[n] for n in names]


CLOSED = frame(CLOSE, b"\x03\xe8")


def leave_at_once(ws, raw):
    """The end of the connection comes with the last bytes, and with TLS in one piece with the last record."""
    if isinstance(ws.sock, TlsSocket):
        ws.sock.hold = True
        ws.send_bytes(raw)
        ws.sock.say_close()
        ws.sock.flush(held=True)
        ws.sock.raw.shutdown(socket.SHUT_WR)
    else:
        ws.send_bytes(raw)
        ws.sock.shutdown(socket.SHUT_WR)


# ---- what is agreed on

@pytest.mark.parametrize("lines, answer", [
    (["permessage-deflate"], ANSWER),
    (["permessage-deflate; client_max_window_bits"], ANSWER),
    (["permessage-deflate; client_max_window_bits=8; server_no_context_takeover"], ANSWER),
    (['permessage-deflate;server_max_window_bits="10" ; client_no_context_takeover'], ANSWER + "; server_max_window_bits=10"),
    (["x-other; a=b, permessage-deflate; server_max_window_bits=15"], ANSWER + "; server_max_window_bits=15"),
    # The first that can be granted.
    (["permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=9, permessage-deflate"],
     ANSWER + "; server_max_window_bits=9"),
    (["permessage-deflate; unknown", "permessage-deflate; client_max_window_bits=9"], ANSWER),
    (["permessage-deflate; server_max_window_bits=8"], None),
    (["permessage-deflate; server_max_window_bits"], None),
    (["permessage-deflate; server_max_window_bits=16"], None),
    (["permessage-deflate; server_max_window_bits=09"], None),
    (["permessage-deflate; client_max_window_bits=7"], None),
    (["permessage-deflate; server_no_context_takeover=1"], None),
    (["permessage-deflate; server_no_context_takeover; server_no_context_takeover"], None),
    (["permessage-deflate; unknown=1"], None),
    (["permessage-bzip2", ""], None),
])
def test_what_is_offered_is_answered(g, lines, answer):
    with JsonClient.greeted(g.http, headers=[(HEADER, line) for line in lines]) as ws:
        assert ws.response.headers.get(HEADER.lower()) == answer


@pytest.mark.parametrize("line", ["permessage-deflate;", "permessage-deflate; =1", "permessage-deflate; a=", 'x; a="b', 'x; a="b c"', "a b",
                                  "permessage-deflate, ;", "permessage-deflate; server_max_window_bits=\"\"", "(comment)"])
def test_what_breaks_the_grammar_fails_the_upgrade(g, line):
    before, = counted(g, "upgrades_extensions_bad")
    WebSocket.open(g.http, headers=[(HEADER, line)], expect=400).drop()
    eventually(lambda: counted(g, "upgrades_extensions_bad") == [before + 1], "it is counted")


def test_without_such_a_namespace_nothing_is_agreed_on_or_looked_at(gateway):
    g = gateway()
    with JsonClient.greeted(g.http, headers=[(HEADER, "permessage-deflate;")]) as ws:
        assert HEADER.lower() not in ws.response.headers
        ws.send_bytes(compressed({"type": "ping"}))
        assert ws.expect_close(1002)


# ---- events

def test_events_go_deflated_to_those_who_agreed_and_plain_to_others(g, web, client, connect):
    plain = connect(g, "/ws?channel=zip:a")
    plain.await_type("subscription-ack")
    client.subscribe("zip:a", "other")
    made = counted(g, "deflate_made", "deflate_bytes_in", "deflate_bytes_out")
    for n in range(5):
        web.position("zip:a", {**ORDER, "n": n}, event="made")
        event, deflated = client.next_deflated()
        assert deflated and event["data"] == {**ORDER, "n": n}
        assert plain.next_event() == event
    web.position("zip:a", 1)
    assert client.next_deflated()[1] is False  # too small to be worth it
    web.position("other", ORDER)
    assert client.next_deflated()[1] is False  # not that namespace
    now = counted(g, "deflate_made", "deflate_bytes_in", "deflate_bytes_out")
    assert now[0] == made[0] + 5 and now[1] - made[1] > 4 * (now[2] - made[2])


@pytest.mark.parametrize("window", range(9, 16))
def test_the_window_that_was_asked_for_is_kept(g, web, window):
    with DeflateClient.greeted(g.http, bits=window) as ws:
        ws.subscribe("zip:window")
        # The same twice, further apart than any of the smaller windows reaches.
        data = "".join(chr(97 + i * i * 7919 % 26) for i in range(3000)) * 2
        web.position("zip:window", data)
        event, deflated = ws.next_deflated()
        assert deflated and event["data"] == data


def test_an_event_is_deflated_once_whoever_reads_it(g, web, shards):
    """Views of the channel, of patterns, and windows that are large enough for it, share what was made."""
    clients = [DeflateClient.greeted(g.http, bits=b) for b in (None, 15, 14, 13, 15, 15)]
    for n, ws in enumerate(clients):
        ws.subscribe("zip:once", *(["zip:*"] if n == 0 else []))
    before, = counted(g, "deflate_made")
    web.position("zip:once", ORDER)
    assert clients[0].next_deflated()[1]
    for ws in clients:
        event, deflated = ws.next_deflated()
        assert deflated and event["data"] == ORDER
    # As it is and with its position, on each shard.
    assert counted(g, "deflate_made")[0] - before <= 2 * shards
    for ws in clients:
        ws.close()


def test_what_was_gathered_or_kept_back_goes_deflated_too(g, web):
    for path, wish in (("/ws?batch=1", {}), ("/ws", {"window": 20}), ("/ws", {"rate": 20}), ("/ws?batch=1", {"rate": 20, "key": "key"})):
        with DeflateClient.greeted(g.http, path) as ws:
            ws.subscribe("zip:gathered", **wish)
            seen = len(ws.deflated)
            for n in range(3):
                web.position("zip:gathered", {**ORDER, "n": n})
            last = -1
            while last < 2:
                # Of a batch as many lines as there were events in wait.
                for message in map(json.loads, ws.recv()[1].splitlines()):
                    last = [e["data"]["n"] for e in message.get("events", [message])][-1]
            assert all(ws.deflated[seen:]), (path, wish)


def test_the_owner_deflates_for_all_shards(g, web, shards):
    """Subscribers on each shard: still once. And of each channel, whichever shard owns it; until they are gone."""
    channels = [f"zip:owned{n}" for n in range(8)]
    clients = []
    while len(clients) < 2 or min(s["clients_deflate"] for s in g.counters_by_shard()) == 0:
        clients.append(DeflateClient.greeted(g.http))
    for ws in clients:
        ws.subscribe(*channels)
    for readers in (clients, clients[:1]):
        for ws in clients[len(readers):]:
            ws.unsubscribe()
        before, = counted(g, "deflate_made")
        for channel in channels:
            web.position(channel, ORDER)
            for ws in readers:
                event, deflated = ws.next_deflated()
                assert deflated and (event["channel"], event["data"]) == (channel, ORDER)
        assert counted(g, "deflate_made")[0] - before == len(channels)
    for ws in clients:
        ws.close()


def test_what_cannot_get_smaller_goes_as_it_is(g, client, publisher):
    client.subscribe("raw:noise")
    before, = counted(g, "deflate_in_vain")
    noise, air = os.urandom(3000), os.urandom(3000).hex().encode()
    with publisher(g) as p:
        for sequence, payload in enumerate((noise, air), 1):
            p.send_bytes(publish(sequence, "raw:noise", payload, flags=Wire.FLAG_WANT_ACK))
            assert client.recv() == (BINARY, payload)
            assert client.deflated[-1] is (payload is air)
    assert counted(g, "deflate_in_vain")[0] - before == 1


def test_raw_namespaces_are_deflated_too(g, web, client):
    client.subscribe("raw:x")
    web.position("raw:x", ORDER)
    opcode, payload = client.recv()
    assert opcode == TEXT and json.loads(payload) == ORDER and client.deflated[-1]


def test_what_is_replayed_comes_before_what_is_live(g, web, client):
    for n in range(3):
        web.position("zip:past", {**ORDER, "n": n})
    client.subscribe("zip:past", since="beginning")
    web.position("zip:past", {**ORDER, "n": 3})
    got = [client.next_deflated() for _ in range(4)]
    assert [e["data"]["n"] for e, _ in got] == [0, 1, 2, 3] and [d for _, d in got] == [False, False, False, True]


def test_many_events_in_flight_stay_in_order_and_whole(g, web, client, publisher):
    client.subscribe("zip:many")
    with publisher(g, "many") as p:
        p.stream([("zip:many", json.dumps({**ORDER, "n": n})) for n in range(300)])
    assert [client.next_event()["data"]["n"] for _ in range(300)] == list(range(300))


def test_the_status_and_the_gauge_tell_who_has_it(g):
    with DeflateClient.greeted(g.http, bits=12) as ws, JsonClient.greeted(g.http) as plain:
        eventually(lambda: counted(g, "clients_deflate") == [1], "one client has it")
        seen = get_json(g, "/api/status")["clientDetails"]
        assert seen[ws.connected["session"]]["deflate"] == 12 and "deflate" not in seen[plain.connected["session"]]
    eventually(lambda: counted(g, "clients_deflate") == [0], "it is gone")


# ---- what clients send

def answers(ws, *parts):
    """A ping deflated like this is understood."""
    ws.send_bytes(b"".join(parts))
    assert ws.await_type("pong")["id"] == 7


def ping(**more):
    return json.dumps({"type": "ping", "id": 7, **more}).encode()


def test_messages_in_all_forms_of_deflate(client):
    whole = deflate(ping())
    answers(client, frame(TEXT, whole, rsv=4))
    for level in (0, 1, 9):
        answers(client, compressed(ping(), level=level))
    for window in range(9, 16):
        answers(client, compressed(ping(filler="x" * 2000), bits=window))
    # In fragments, each of another length, with a control frame between and an empty last one.
    answers(client, frame(TEXT, whole[:1], fin=False, rsv=4), frame(CONTINUATION, whole[1:9], fin=False), frame(PING, b"?"),
            frame(CONTINUATION, whole[9:], fin=False), frame(CONTINUATION, b""))
    # Blocks that are not compressed; several; a last one, with and without the byte of an empty one behind it (RFC 7692, 7.2.3.5).
    answers(client, frame(TEXT, stored(ping()[:5]) + stored(ping()[5:]) + b"\x00", rsv=4))
    answers(client, frame(TEXT, stored(ping(), last=True) + b"\x00", rsv=4))
    answers(client, frame(TEXT, deflate(ping(), flush=zlib.Z_FINISH) + b"\x00", rsv=4))
    answers(client, frame(TEXT, deflate(ping(), flush=zlib.Z_FINISH), rsv=4))
    answers(client, frame(TEXT, stored(ping()[:9], last=True) + stored(ping()[9:]) + b"\x00", rsv=4))
    # The four bytes that should not be there are an empty block like others.
    answers(client, frame(TEXT, whole + TAIL, rsv=4))
    # Plain ones go as before.
    answers(client, frame(TEXT, ping()))


def padded(**fields):
    """A message of 100 bytes that has 50,000 when it is inflated: twenty of them are more than a turn's work."""
    return compressed(json.dumps(fields) + " " * 50000)


def test_what_is_more_than_a_turn_inflates_waits_and_others_go_on(g):
    before, = counted(g, "inflate_held")
    greedy = [DeflateClient.greeted(g.http) for _ in range(4)]
    raw = b"".join(padded(type="ping", id=n) for n in range(120))
    with JsonClient.greeted(g.http) as other, DeflateClient.greeted(g.http) as one:
        for ws in greedy:
            ws.send_bytes(raw)
        for _ in range(5):
            other.barrier()
            answers(one, padded(type="ping", id=7))
        # In pieces, so that records are cut and come while others wait.
        for at in range(0, len(raw), 1500):
            for ws in greedy:
                ws.send_bytes(raw[at:at + 1500])
        other.barrier()
        for ws in greedy:
            for n in range(240):
                assert ws.await_type("pong")["id"] == n % 120
            ws.barrier()
            ws.close()
    assert counted(g, "inflate_held")[0] > before


@pytest.mark.parametrize("goodbye", [b"", CLOSED], ids=["without a word", "with a close"])
def test_who_says_all_and_goes_is_heard_to_the_end(g, goodbye):
    channel = f"up:{len(goodbye)}"
    with JsonClient.greeted(g.http) as reader, DeflateClient.greeted(g.http) as ws:
        reader.subscribe(channel)
        leave_at_once(ws, b"".join(padded(type="publish", channel=channel, event="e", data=n) for n in range(150)) + goodbye)
        for n in range(150):
            assert reader.next_event()["data"] == n
        ws.read_to_end()


def test_an_empty_message_is_a_byte_of_zero(client):
    client.send_bytes(frame(TEXT, b"\x00", rsv=4))
    assert client.await_type("error")["code"] == "bad_json"


BROKEN = {
    "nothing": b"",
    "noise": b"\xff" * 40,
    "cut": deflate(ping(filler=os.urandom(200).hex()))[:100],
    "reserved block": bits((0, 1), (3, 2)),
    "stored lengths that differ": b"\x00\x05\x00\x05\x00hello",
    "a distance before the beginning": bits((0, 1), (1, 2), (0b1100000, 7), (0, 5), (0, 7)),
    "a zlib header": zlib.compress(ping()),
    "garbage behind a last block": deflate(ping(), flush=zlib.Z_FINISH) + b"\xff\xff",
}


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN.keys())
def test_what_cannot_be_inflated_closes_with_1007(g, payload):
    before, = counted(g, "inflate_broken")
    with DeflateClient.greeted(g.http) as ws:
        ws.send_bytes(frame(TEXT, payload, rsv=4))
        ws.expect_close(1007)
    eventually(lambda: counted(g, "inflate_broken") == [before + 1], "it is counted")


BOMBS = {
    "above client_message_max": deflate(b" " * (129 << 10)),
    "ratio": deflate(b" " * (120 << 10)),
    "a gigabyte": deflate(b" " * (1 << 24)) * 1,
    "blocks that hold nothing": bits(*[(0b010, 3), (0, 7)] * 40000),
}


@pytest.mark.parametrize("payload", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_closes_with_1009(g, payload):
    before, = counted(g, "inflate_bombs")
    with DeflateClient.greeted(g.http) as ws:
        ws.send_bytes(frame(TEXT, payload, rsv=4))
        ws.expect_close(1009)
    eventually(lambda: counted(g, "inflate_bombs") == [before + 1], "it is counted")


def test_what_fits_is_taken_to_the_last_byte(client):
    """A client_message_max of what can't be compressed, and 64 KiB of what can."""
    text = json.dumps({"type": "ping", "id": 7, "x": ""})
    answers(client, compressed(text[:-2] + os.urandom(1 << 17).hex()[:(128 << 10) - len(text)] + text[-2:], level=0))
    answers(client, compressed(ping() + b" " * (65536 - len(ping()))))


def test_a_message_longer_than_any_that_may_be_is_refused_by_its_header(g):
    with DeflateClient.greeted(g.http) as ws:
        ws.send_bytes(frame(TEXT, bytes(160 << 10), rsv=4)[:16])
        ws.expect_close(1009)


def test_text_is_checked_when_it_is_inflated(g):
    with DeflateClient.greeted(g.http) as ws:
        ws.send_bytes(compressed(b'{"type":"ping","x":"\xff"}'))
        ws.expect_close(1007)


WRONG = {
    "RSV1 in a continuation": (frame(TEXT, b"\x00", fin=False, rsv=4), frame(CONTINUATION, b"\x00", rsv=4)),
    "RSV1 in a ping": (frame(PING, b"", rsv=4),),
    "RSV2": (frame(TEXT, b"\x00", rsv=2),),
    "RSV1 and RSV3": (frame(TEXT, b"\x00", rsv=5),),
    "RSV1 in a continuation of nothing": (frame(CONTINUATION, b"\x00", rsv=4),),
}


@pytest.mark.parametrize("frames", WRONG.values(), ids=WRONG.keys())
def test_a_reserved_bit_in_the_wrong_place_closes_with_1002(g, frames):
    with DeflateClient.greeted(g.http) as ws:
        ws.send_bytes(b"".join(frames))
        ws.expect_close(1002)


def test_binary_messages_are_no_json_deflated_or_not(g):
    with DeflateClient.greeted(g.http) as ws:
        ws.send_bytes(frame(BINARY, deflate(b"{}"), rsv=4))
        ws.expect_close(1003)


# ---- clients that people use

def test_the_subcommand_shows_what_is_saved(g, web, folder):
    args = ["subscribe", "--server", "{}:{}".format(*g.http), "--deflate", "--count", "2", "--since", "beginning", "--timeout", "20s", "zip:shown"]
    web.position("zip:shown", {**ORDER, "n": 0})
    with subprocess.Popen([PROGRAM, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(folder)) as process:
        first = process.stdout.readline()
        web.position("zip:shown", {**ORDER, "n": 1})
        out, err = process.communicate(timeout=30 * SLOW)
    assert process.returncode == 0 and '"n": 0}' in first and '"n": 1}' in out, err
    assert "1 of 4 messages came deflated" in err, err

def test_the_npm_package_ws(g, web, node_ws):
    script = os.path.join(os.path.dirname(__file__), "js/deflate.js")
    with subprocess.Popen(["node", script, "ws://{}:{}/ws".format(*g.http), "zip:node", "3"], env={**os.environ, "NODE_PATH": node_ws},
                          stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline().strip() == "subscribed"
            before, = counted(g, "inflate_messages")
            for n in range(3):
                web.position("zip:node", {**ORDER, "n": n})
            said = json.loads(process.stdout.readline())
            assert process.wait(30 * SLOW) == 0
        finally:
            process.kill()
    assert said["extensions"] == "permessage-deflate" and [d["n"] for d in said["data"]] == [0, 1, 2]
    assert said["pong"] and said["bytes"] < 0.5 * len(json.dumps(ORDER)) * 3, said
    assert before or counted(g, "inflate_messages")[0]


def test_websockets_of_python(g, web):
    websockets = pytest.importorskip("websockets")

    async def work():
        async with websockets.connect("ws://{}:{}/ws".format(*g.http)) as ws:
            # From version 14 on its connection keeps them with the protocol.
            assert [e.name for e in getattr(ws, "protocol", ws).extensions] == ["permessage-deflate"]
            await ws.recv()
            await ws.send(json.dumps({"type": "subscribe", "channels": ["zip:python"], "filler": "x" * 500}))
            assert json.loads(await ws.recv())["type"] == "subscription-ack"
            for n in range(3):
                await asyncio.to_thread(web.position, "zip:python", {**ORDER, "n": n})
                assert json.loads(await ws.recv())["data"] == {**ORDER, "n": n}

    before = counted(g, "inflate_messages", "deflate_made")
    asyncio.run(asyncio.wait_for(work(), 30 * SLOW))
    now = counted(g, "inflate_messages", "deflate_made")
    assert now[0] == before[0] + 1 and now[1] == before[1] + 3


PAGE = """<!doctype html><title>deflate</title><body><script>
const ws = new WebSocket("ws://%s:%d/ws?channel=zip:page"), got = [];
ws.onmessage = (m) => {
    const message = JSON.parse(m.data);
    if (message.type === "subscription-ack") fetch("/subscribed");
    if (message.type === "event") got.push(message.data.n);
    if (got.length === 3) fetch("/done?" + new URLSearchParams({extensions: ws.extensions, got}));
};
ws.onclose = (e) => fetch("/done?closed=" + e.code);
</script>"""


def test_chromium(g, web, folder):
    said, done = [], threading.Event()
    page = (PAGE % g.http).encode()

    class Pages(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page if self.path == "/" else b"")
            if self.path == "/subscribed":
                for n in range(3):
                    with Http(g.http) as c:
                        c.position("zip:page", {**ORDER, "n": n})
            if self.path.startswith("/done"):
                said.append(self.path)
                done.set()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        process = subprocess.Popen([rcpage.browser(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile",
                                    f"http://127.0.0.1:{server.server_port}/"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert done.wait(40 * SLOW), "the page has not said anything"
        finally:
            process.kill()
            process.wait()
            server.shutdown()
    assert "got=0%2C1%2C2" in said[0] and "permessage-deflate" in said[0], said
