# SPDX-License-Identifier: Apache-2.0
"""A small server that speaks what the gateway speaks, for the tests of the load generator: upgrade, subscriptions, SSE, echo, ingest,
commands and their backends.

It runs in a thread of the test, on ports of the kernel's choice, and counts exactly what it took and what it sent. What it does at each
point is a method of its Honest; load_faults.py has the others. A few thousand events a second are its measure.
"""
import asyncio
import base64
import collections
import hashlib
import json
import struct
import threading
import urllib.parse

from rcingest import Wire, frame as ingest_frame, short
from rcws import BINARY, CLOSE, GUID, PING, PONG, TEXT, mask

EPOCH = "f4icw7gf55"
NOW = "2026-01-15T10:15:00.000Z"


def server_frame(opcode, payload):
    """As a server sends it: no mask."""
    payload = payload.encode() if isinstance(payload, str) else payload
    n = len(payload)
    if n < 126:
        return struct.pack("!BB", 0x80 | opcode, n) + payload
    if n < 1 << 16:
        return struct.pack("!BBH", 0x80 | opcode, 126, n) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, n) + payload


class Event:
    """One published event. frame(): the WebSocket message of it; payload can be another than what was published."""

    def __init__(self, channel, offset, name, payload):
        self.channel, self.offset, self.name, self.payload = channel, offset, name, payload

    def json(self, payload=None):
        return b'{"type":"event","channel":"%s","event":"%s","offset":%d,"timestamp":"%s","data":%s}' % (
            self.channel.encode(), self.name.encode(), self.offset, NOW.encode(), self.payload if payload is None else payload)

    def frame(self, payload=None):
        return server_frame(TEXT, self.json(payload))


class Honest:
    """What a server should do. Every method runs in the server's thread."""

    def upgrade(self, client, key):
        client.accept(key)

    def subscribe(self, client, channels, since):
        """since: {channel: offset} of what the client has seen."""
        client.subscribe(channels, since)

    def published(self, server, event):
        """Before the event goes to anybody. A text instead of None: the event is refused with it."""

    def deliver(self, client, event):
        client.send_event(event)

    def hello(self, feed):
        feed.welcome()

    def register(self, feed, credit):
        feed.registered(credit)

    def command(self, feed, client, number, message, action):
        """A client's command goes to a backend."""
        feed.command(number, message, action)

    def answer(self, client, message, data):
        """A backend's answer goes to the client."""
        client.answer(message, data)

    def acknowledge(self, feed, sequence):
        feed.send(ingest_frame(Wire.FRAME_ACK, struct.pack("<Q", sequence)))


class Client(asyncio.Protocol):
    """A subscriber. .number counts them from 0 in the order of their upgrades, .taken the events that were to go to it."""

    def __init__(self, server):
        self.server, self.buffer, self.state = server, b"", "head"
        self.number = None
        self.channels = {}
        self.taken = 0
        self.chunked = self.sse = self.echo = False

    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(high=1 << 28)
        self.server.connections.add(self)

    def connection_lost(self, error):
        self.server.connections.discard(self)
        self.state = "gone"
        for channel in self.channels:
            self.server.subscribers[channel].discard(self)

    def data_received(self, data):
        self.buffer += data
        while self.step():
            pass

    def step(self):
        if self.state == "head" and b"\r\n\r\n" in self.buffer:
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            self.request(head.decode())
            return True
        if self.state != "open":
            return False
        if len(self.buffer) < 2:
            return False
        n, at = self.buffer[1] & 127, 2
        if n == 126:
            n, at = int.from_bytes(self.buffer[2:4], "big"), 4
        elif n == 127:
            n, at = int.from_bytes(self.buffer[2:10], "big"), 10
        if len(self.buffer) < at + 4 + n:
            return False
        opcode, key = self.buffer[0] & 15, self.buffer[at:at + 4]
        payload = mask(self.buffer[at + 4:at + 4 + n], key)
        if not self.buffer[1] & 0x80:
            self.server.complaints.append(f"client {self.number} sent a frame without a mask")
        self.buffer = self.buffer[at + 4 + n:]
        self.message(opcode, payload)
        return self.state != "gone"

    # ---- what it wants

    def request(self, head):
        first, *lines = head.split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        self.path = first.split()[1]
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        self.number = self.server.clients
        self.server.clients += 1
        self.asked = query.get("channel", [])
        self.echo = self.path.startswith("/echo")
        if "text/event-stream" in headers.get("accept", "") or self.path.startswith("/events"):
            self.sse = True
            self.chunked = self.server.chunked
            self.state = "stream"
            how = "Transfer-Encoding: chunked\r\n" if self.chunked else "Connection: close\r\n"
            self.write(f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{how}\r\n".encode())
            self.stream(b": welcome\n\n")
            self.join(self.asked, {})
            return
        self.state = "open"
        self.server.behaviour.upgrade(self, headers.get("sec-websocket-key", ""))

    def accept(self, key):
        answer = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        self.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    f"Sec-WebSocket-Accept: {answer}\r\n\r\n").encode())
        if self.echo:
            return
        self.say(type="connected", session=f"c{self.number:016}", heartbeat=30000, version="faulty")
        if self.asked:
            self.server.behaviour.subscribe(self, self.asked, {})

    def message(self, opcode, payload):
        if opcode == PING:
            self.write(server_frame(PONG, payload))
        elif opcode == CLOSE:
            self.write(server_frame(CLOSE, payload[:2]))
            self.transport.close()
        elif self.echo and opcode in (TEXT, BINARY):
            self.server.echoed += 1
            self.write(server_frame(opcode, payload))
        elif opcode == TEXT:
            m = json.loads(payload)
            if m["type"] == "ping":
                self.say(type="pong", id=m.get("id"))
            elif m["type"] == "subscribe":
                channels = m.get("channels", m.get("channel"))
                channels = [channels] if isinstance(channels, str) else channels
                since = m.get("since", {})
                since = dict.fromkeys(channels, since) if isinstance(since, str) else since
                self.server.behaviour.subscribe(self, channels, {c: int(p.partition("@")[2]) for c, p in since.items()})
            elif m["type"] == "command":
                self.taken += 1
                self.server.command(self, m["id"], m["action"])

    def subscribe(self, channels, since, leave_out=()):
        """The acknowledgement, and what was missed; leave_out: offsets that are not recovered in spite of it."""
        positions = {c: f"{EPOCH}@{since.get(c, self.server.offset(c))}" for c in channels}
        data = {"channels": channels, "positions": positions}
        if since:
            data["recovered"] = {c: True for c in since}
        self.say(type="subscription-ack", timestamp=NOW, data=data)
        self.join(channels, since, leave_out)

    def join(self, channels, since, leave_out=()):
        for c in channels:
            for event in self.server.history[c][since[c]:] if c in since else ():
                if event.offset not in leave_out:
                    self.send_event(event)
            self.channels[c] = None
            self.server.subscribers[c].add(self)

    # ---- what it gets

    def write(self, raw):
        if not self.transport.is_closing():
            self.transport.write(raw)

    def say(self, **fields):
        self.write(server_frame(TEXT, json.dumps(fields, separators=(",", ":"))))

    def answer(self, message, data):
        self.server.answers += 1
        self.write(server_frame(TEXT, b'{"type":"reply","id":"%s","timestamp":"%s","data":%s}' % (message.encode(), NOW.encode(), data)))

    def stream(self, raw):
        self.write(b"%x\r\n%s\r\n" % (len(raw), raw) if self.chunked else raw)

    def send_event(self, event, payload=None):
        self.server.sent[event.channel] += 1
        self.server.latest = event
        if self.sse:
            self.stream(b"event: %s\ndata: %s\nid: %d\n\n" % (event.name.encode(), event.json(payload), event.offset))
        else:
            self.write(event.frame(payload))

    def reset(self):
        """Ends at once."""
        self.transport.abort()


class Feed(asyncio.Protocol):
    """A publisher's connection."""

    def __init__(self, server):
        self.server, self.buffer = server, bytearray()
        self.sequence = 0

    def connection_made(self, transport):
        self.transport = transport
        self.server.connections.add(self)
        self.server.feeds += 1

    def connection_lost(self, error):
        self.server.connections.discard(self)

    def send(self, raw):
        if not self.transport.is_closing():
            self.transport.write(raw)

    def welcome(self, credit=65535, magic=b"RCST", version=1):
        self.send(ingest_frame(Wire.FRAME_HELLO, magic + struct.pack("<B", version) + short("faulty")
                               + struct.pack("<QIII", 0, 1 << 21, 1 << 20, credit)))

    def registered(self, credit):
        self.server.backends.append(self)
        self.send(ingest_frame(Wire.FRAME_REGISTER, struct.pack("<IIH", credit, 10000, 1)))

    def command(self, number, message, action):
        body = struct.pack("<QI", number, 10000) + short("session") + short("") + short("command") + short(f'"{message}"')
        self.send(ingest_frame(Wire.FRAME_COMMAND, body + b'"%s"' % action.encode(), Wire.FLAG_JSON))

    def data_received(self, data):
        self.buffer += data
        at = 0
        while len(self.buffer) - at >= 8 and not self.transport.is_closing():
            length, kind = struct.unpack_from("<IB", self.buffer, at)
            if len(self.buffer) - at < 4 + length:
                break
            self.take(kind, bytes(self.buffer[at + 8:at + 4 + length]))
            at += 4 + length
        del self.buffer[:at]

    def take(self, kind, body):
        if kind == Wire.FRAME_HELLO:
            self.server.behaviour.hello(self)
        elif kind == Wire.FRAME_PING:
            self.send(ingest_frame(Wire.FRAME_PONG, body))
        elif kind == Wire.FRAME_REGISTER:
            assert body[4:] == struct.pack("<H", 1) + short("command") + bytes(3), body
            self.server.behaviour.register(self, int.from_bytes(body[:4], "little"))
        elif kind == Wire.FRAME_REPLY:
            assert body[8] == 0, body
            client, message = self.server.outstanding.pop(int.from_bytes(body[:8], "little"))
            self.server.behaviour.answer(client, message, body[9:])
        elif kind == Wire.FRAME_PUBLISH:
            self.event(body, len(body))
            self.decided()
        elif kind == Wire.FRAME_BATCH:
            at = 2
            for _ in range(int.from_bytes(body[:2], "little")):
                at = self.event(body, None, at)
            self.decided()

    def decided(self):
        if self.sequence:
            self.server.behaviour.acknowledge(self, self.sequence)
            self.sequence = 0

    def event(self, body, end, at=0):
        """Takes the one at that place, and returns the place behind it. end None: it says its own length."""
        sequence, = struct.unpack_from("<Q", body, at)
        at += 8
        words = []
        for _ in range(2):
            words.append(body[at + 1:at + 1 + body[at]].decode())
            at += 1 + body[at]
        at += 8
        if end is None:
            end = at + 4 + int.from_bytes(body[at:at + 4], "little")
            at += 4
        why = self.server.publish(*words, body[at:end])
        if why:
            # The acknowledgement of those before it goes out first.
            self.decided()
            self.send(ingest_frame(Wire.FRAME_NACK, struct.pack("<QH", sequence, Wire.NACK_RATE_LIMIT) + short(why)))
        else:
            self.sequence = sequence
        return end


class Server:
    """with Server(behaviour) as s: s.http and s.ingest are (host, port)."""

    def __init__(self, behaviour=None, chunked=False, backlog=1024):
        self.behaviour = behaviour or Honest()
        self.chunked = chunked
        self.backlog = backlog
        self.connections = set()
        self.subscribers = collections.defaultdict(set)
        self.history = collections.defaultdict(list)
        # What the tests compare: events by channel, deliveries by channel, messages that came back.
        self.published = collections.Counter()
        self.sent = collections.Counter()
        self.clients = self.feeds = self.echoed = self.commands = self.answers = 0
        self.backends, self.outstanding = [], {}
        self.latest = None
        self.complaints = []

    def offset(self, channel):
        return len(self.history[channel])

    def publish(self, channel, name, payload):
        event = Event(channel, self.offset(channel) + 1, name, payload)
        why = self.behaviour.published(self, event)
        if why:
            return why
        self.published[channel] += 1
        self.history[channel].append(event)
        for client in list(self.subscribers[channel]):
            client.taken += 1
            self.behaviour.deliver(client, event)
        return None

    def command(self, client, message, action):
        """To one backend after the other."""
        self.commands += 1
        self.outstanding[self.commands] = (client, message)
        self.behaviour.command(self.backends[self.commands % len(self.backends)], client, self.commands, message, action)

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(self._complain)
        self.listeners = [self.loop.run_until_complete(self.loop.create_server(
            lambda kind=kind: kind(self), "127.0.0.1", 0, backlog=self.backlog)) for kind in (Client, Feed)]
        self.http, self.ingest = (listener.sockets[0].getsockname() for listener in self.listeners)
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        return self

    def _complain(self, loop, context):
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    def __exit__(self, *exception):
        def end():
            for listener in self.listeners:
                listener.close()
            for connection in list(self.connections):
                connection.transport.abort()
            self.loop.call_soon(self.loop.stop)

        self.loop.call_soon_threadsafe(end)
        self.thread.join(20)
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        assert exception[0] or not self.complaints, self.complaints

    @property
    def urls(self):
        """The generator's options that lead here."""
        return ["--url", f"ws://127.0.0.1:{self.http[1]}/ws", "--publish-url", f"ingest://127.0.0.1:{self.ingest[1]}"]
