# SPDX-License-Identifier: Apache-2.0
"""What is published, and what each client may be sent of it: the model of the property test.

The events of a channel have one index over all lives of the gateway: 0, 1, 2, … For each (name, channel) that a client follows the model knows
where the next event must lie: [low, high], which is one index unless a gap was told whose end is not known."""
import collections
import json
import re
import select
import socket
import struct

import rcws
from deadline import SOON, Deadline
from rchistory import CHANNEL_POSITION, STREAM_POSITION, not_before
from rcsse import Parser


def matches(name, channel):
    """Whether this name, a channel or a pattern, brings the events of the channel."""
    levels = [r"[^:]+" if part == "*" else r"[^:]+(?::[^:]+)*" if part == "**" else re.escape(part) for part in name.split(":")]
    return re.fullmatch(":".join(levels), channel) is not None


class World:
    """Everything that was acknowledged."""

    def __init__(self, channels, sizes):
        """sizes: {namespace: events} of those in which nothing else limits what is kept."""
        self.channels, self.sizes = channels, sizes
        self.published = {c: [] for c in channels}  # (life, epoch, offset, size of pad, event's name, its k)
        self.life = -1
        self.starts = []

    def reborn(self):
        self.life += 1
        self.starts.append({c: len(v) for c, v in self.published.items()})

    def count(self, channel):
        return len(self.published[channel])

    def add(self, channel, epoch, offset, pad, event="e", k=None):
        assert offset == self.count(channel) - self.starts[self.life][channel] + 1, f"{channel}: offset {offset} was given"
        if offset > 1:
            assert epoch == self.published[channel][-1][1], f"{channel}: another epoch without a cause"
        self.published[channel].append((self.life, epoch, offset, pad, event, k))

    def index_behind(self, life, channel, position):
        """The index that follows a position of the gateway of that life."""
        epoch, offset = CHANNEL_POSITION.match(position).groups()
        index = self.starts[life][channel] + int(offset)
        assert index <= self.count(channel), f"{channel}: position {position} is ahead of what was published"
        if int(offset):
            known = self.published[channel][index - 1]
            assert known[:3] == (life, epoch, int(offset)), f"{channel}: position {position}, but {known} was acknowledged"
        return index

    def index_of(self, life, event):
        channel, index = event["channel"], event["data"]["n"]
        assert index < self.count(channel), f"nobody published {event}"
        known = self.published[channel][index]
        got = (life, known[1], event["offset"], len(event["data"]["pad"]), event["event"], event["data"].get("k"))
        assert known == got, f"{event}, but {known} was acknowledged"
        return index


class Client:
    """A client that comes and goes. names: what it follows, in whatever state it is. lenient(name): events may be left out without a word."""

    def __init__(self, world, ident, lenient):
        self.world, self.ident, self.lenient = world, ident, lenient
        self.next = {}  # (name, channel) -> [low, high]
        # small: its receive buffer; reads: it does not stand still.
        self.sock, self.life, self.reads, self.small = None, None, True, False
        self.received = self.told = 0
        # The last that it was sent, for whoever looks at a failure.
        self.heard = collections.deque(maxlen=60)

    @property
    def connected(self):
        return self.sock is not None

    @property
    def names(self):
        return list(dict.fromkeys(name for name, _ in self.next))

    def followed(self, name):
        return [c for c in self.world.channels if matches(name, c)]

    def begin(self, name):
        for c in self.followed(name):
            # What was acknowledged before it came may still be on its way between shards.
            self.next[name, c] = [0, self.world.count(c)]

    def end(self, name):
        for c in self.followed(name):
            del self.next[name, c]

    def is_at(self, name, channel, index):
        """It was told that the next event of this channel is this one."""
        low = self.next[name, channel][0]
        assert index >= low, f"{self.ident}: told to go on at {index} of {channel}, which lies before {low}"
        self.next[name, channel] = [index, index]

    def widen(self, name):
        """It goes on somewhere between what it had and now."""
        for c in self.followed(name):
            self.next[name, c][1] = self.world.count(c)

    def excuse(self, name):
        """It was told that something is missing, and not how much."""
        self.told += 1
        self.widen(name)

    def may_be_trimmed(self, name):
        """Whether something that was missed may be gone: more than is kept in any case, as far as the model knows that."""
        size = self.world.sizes.get(name.partition(":")[0], 0)
        return any(self.world.count(c) - self.next[name, c][0] > size for c in self.followed(name))

    def must_be_trimmed(self, name):
        """Whoever has not missed more than is kept is not told that something is gone."""
        assert self.may_be_trimmed(name), f"{self.ident}: told that {name} was trimmed, and missed nothing that is not kept: {self.next}"

    def got(self, name, event):
        index = self.world.index_of(self.life, event)
        low, high = self.next[name, event["channel"]]
        assert index >= low, f"{self.ident}: {name} brings {event['channel']} {index} again, or too late; {low} is due"
        if index > high:
            assert self.lenient(name), f"{self.ident}: {name} brings {event['channel']} {index} without a word about what lies before; {high} is due"
        self.next[name, event["channel"]] = [index + 1, index + 1]
        self.received += 1

    def complete(self):
        """Everything that was published has come, or was excused."""
        return self.connected and all(low == self.world.count(c) for (_, c), (low, _) in self.next.items())

    def lacks(self):
        """For whoever looks at a failure."""
        return {k: (*v, self.world.count(k[1])) for k, v in self.next.items() if v[0] < self.world.count(k[1])}

    def excused(self):
        """What has not come is covered by what it was told."""
        return self.connected and all(high == self.world.count(c) for (_, c), (_, high) in self.next.items())

    # ---- bytes

    def connect(self, address, life, request, rcvbuf):
        self.sock, self.life = rcws.open_socket(address, rcvbuf), life
        self.sock.settimeout(Deadline(SOON).left())
        self.sock.sendall(request)
        stream = rcws.Stream(self.sock)
        self.head = rcws.Response(stream.read_until(b"\r\n\r\n"))
        self.buffer = bytearray(stream.buffer[stream.at:])
        self.sock.setblocking(False)

    def drop(self, reset=True):
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.sock = None

    def pull(self, most=None):
        """Takes what is there. most: about so many bytes of it. False: the gateway has ended the connection."""
        left = most or 1 << 30
        while self.sock and left > 0:
            try:
                data = self.sock.recv(min(left, 1 << 16))
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.take()
                if self.sock:
                    self.drop(False)
                return False
            self.buffer += data
            left -= len(data)
        self.take()
        return self.connected


class WebSocketClient(Client):
    """Several subscriptions on a WebSocket, each with its own position."""

    kind = "ws"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.since, self.waiting, self.closed_with = {}, {}, None

    def come(self, address, life, rng, rcvbuf=None):
        """Connects, and asks for everything that it follows, in one request or several."""
        self.heard.append("comes")
        self.connect(address, life, rcws.upgrade(), rcvbuf)
        assert self.head.status == 101, self.head.status
        self.ids, self.waiting, self.closed_with = 0, {}, None
        names = self.names
        rng.shuffle(names)
        while names:
            n = rng.randint(1, len(names))
            self.ask(names[:n])
            names = names[n:]

    def say(self, **message):
        try:
            self.sock.setblocking(True)
            self.sock.settimeout(Deadline(SOON).left())
            self.sock.sendall(rcws.frame(rcws.TEXT, json.dumps(message)))
            self.sock.setblocking(False)
        except OSError:
            # Closed by the gateway; the reason lies in what it has sent.
            self.sock.setblocking(False)
            if self.pull():
                self.drop()

    def ask(self, names):
        self.ids += 1
        since = {n: self.since[n] for n in names if n in self.since}
        self.waiting[self.ids] = (names, since)
        self.heard.append(f"asks {self.ids} for {names} since {since}")
        self.say(type="subscribe", id=self.ids, channels=names, **({"since": since} if since else {}))

    def follow(self, name):
        self.begin(name)
        if self.connected:
            self.ask([name])

    def unfollow(self, name):
        self.end(name)
        self.since.pop(name, None)
        if self.connected:
            self.say(type="unsubscribe", channels=[name])
            # Until this is acknowledged what was on its way still comes: the simplest is to let it come.
            self.settle()

    def settle(self):
        """Everything that was asked is answered; or the connection is gone."""
        if not self.connected:
            return
        self.ids += 1
        mark = self.ids
        self.waiting[mark] = None
        self.say(type="ping", id=mark)
        deadline = Deadline(SOON)
        while mark in self.waiting and self.pull():
            wait_for(self.sock, deadline)

    def take(self):
        b, at, size = self.buffer, 0, len(self.buffer)
        while size - at >= 2 and self.sock:
            first, n, head = b[at], b[at + 1], 2
            assert first & 0xf0 == 0x80 and n < 128, f"a frame begins with {first:#x} {n:#x}"
            if n == 126:
                if size - at < 4:
                    break
                n, head = b[at + 2] << 8 | b[at + 3], 4
            elif n == 127:
                if size - at < 10:
                    break
                n, head = struct.unpack_from("!Q", b, at + 2)[0], 10
            if size - at < head + n:
                break
            payload = bytes(b[at + head:at + head + n])
            at += head + n
            if first & 15 == rcws.TEXT:
                self.message(json.loads(payload))
            elif first & 15 == rcws.PING:
                try:
                    self.sock.send(rcws.frame(rcws.PONG, payload))
                except OSError:
                    pass
            elif first & 15 == rcws.CLOSE:
                self.closed_with = struct.unpack("!H", payload[:2])[0]
                assert self.closed_with in (1012, 4101, 4201), f"{self.ident}: closed with {self.closed_with} {payload[2:]!r}"
        del b[:at]

    def message(self, m):
        kind = m["type"]
        self.heard.append(f"{m['channel']} {m['data']['n']} {m.get('position', '')}" if kind == "event" else json.dumps(m))
        if kind == "event":
            self.event(m)
        elif kind == "gap":
            self.gap(m)
        elif kind == "subscription-ack":
            self.acknowledged(*self.waiting.pop(m["id"]), m["data"])
        elif kind == "pong":
            del self.waiting[m["id"]]
        elif kind == "positions":
            for name, position in m["positions"].items():
                if name in self.since:
                    assert not_before(position, self.since[name]), f"{self.ident}: {name} went back from {self.since[name]} to {position}"
                    self.since[name] = position
        else:
            assert kind in ("connected", "unsubscription-ack", "bye"), f"{self.ident}: {m}"

    def event(self, m):
        channel = m["channel"]
        if "position" in m:
            name = next((n for n in self.names if "*" in n and matches(n, channel)), None)
        else:
            name = channel if channel in self.names else None
        if name is None:
            # Of what it has just unsubscribed.
            return
        self.got(name, m)
        if "position" in m:
            assert not_before(m["position"], self.since[name]), f"{self.ident}: {name} went back from {self.since[name]} to {m['position']}"
            self.since[name] = m["position"]
        else:
            self.since[name] = f"{self.since[name].partition('@')[0]}@{m['offset']}"

    def gap(self, m):
        name = m["channel"]
        if name not in self.names:
            return
        assert m["reason"] in ("slow", "trimmed"), m
        if "*" in name or "position" not in m:
            self.excuse(name)
            if STREAM_POSITION.match(m.get("position", "")):
                self.since[name] = m["position"]
        else:
            self.told += 1
            self.is_at(name, name, self.world.index_behind(self.life, name, m["position"]))
            self.since[name] = m["position"]

    def acknowledged(self, names, since, data):
        assert set(data["channels"]) == set(names) and set(data.get("recovered", {})) == set(since), f"{self.ident}: {since} {data}"
        for name in names:
            if name not in self.names:
                continue
            position, reason = data["positions"][name], data.get("reasons", {}).get(name)
            if name in since and data["recovered"][name]:
                assert reason is None
                assert position == since[name], f"{self.ident}: {name} was to go on at {since[name]}, and does at {position}"
            elif name in since:
                assert reason in ("epoch", "trimmed"), f"{self.ident}: {name} since {since[name]}: {data}"
                if reason == "epoch":
                    assert since[name][:10] != position[:10], f"{self.ident}: {name} has the epoch of {since[name]}"
                else:
                    self.must_be_trimmed(name)
                self.excuse(name)
            elif name not in since:
                # Whether it was subscribed before or behind what was published meanwhile is nobody's promise.
                self.widen(name)
            if "*" not in name and not (name in since and data["recovered"][name]):
                self.is_at(name, name, self.world.index_behind(self.life, name, position))
            self.since[name] = position


class StreamClient(Client):
    """One event stream; its names hold no channel twice."""

    kind = "sse"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.last, self.begun = None, False

    def come(self, address, life, rng, rcvbuf=None):
        names = self.names
        rng.shuffle(names)
        query = "&".join(f"channel={n}" for n in names)
        by_query = self.last and rng.random() < 0.3
        request = f"GET /events?{query}{'&lastEventId=' + self.last if by_query else ''} HTTP/1.1\r\nHost: a\r\n"
        if self.last and not by_query:
            request += f"Last-Event-ID: {self.last}\r\n"
        self.heard.append(request)
        self.connect(address, life, (request + "\r\n").encode(), rcvbuf)
        assert self.head.status == 200, self.head.status
        self.parser, self.begun = Parser(), False

    def take(self):
        data, self.buffer = bytes(self.buffer), bytearray()
        for block in self.parser.feed(data):
            if not self.begun and not self.last:
                for name in self.names:
                    self.widen(name)
            self.begun = True
            if block.data is None:
                self.heard.append(repr(block))
            if block.data is not None:
                m = block.json()
                self.heard.append(f"{m['channel']} {m['data']['n']} {block.id}" if m["type"] == "event" else repr(block))
                assert block.id and STREAM_POSITION.match(block.id), f"{self.ident}: {block}"
                if m["type"] == "gap":
                    self.gap(m)
                else:
                    self.got(next(n for n in self.names if matches(n, m["channel"])), m)
            if block.id:
                assert not self.last or self.last.partition("~")[0] != block.id.partition("~")[0] or not_before(block.id, self.last), \
                    f"{self.ident}: went back from {self.last} to {block}"
                self.last = block.id

    def gap(self, m):
        assert m["reason"] in ("slow", "trimmed", "epoch"), f"{self.ident}: {m}"
        if "channel" not in m:
            if m["reason"] == "trimmed" and not any(self.may_be_trimmed(name) for name in self.names):
                raise AssertionError(f"{self.ident}: told of something trimmed, and missed nothing that is not kept: {self.next}")
            for name in self.names:
                self.excuse(name)
            return
        name = m["channel"]
        assert name in self.names, f"{self.ident}: {m}"
        if m["reason"] == "trimmed":
            self.must_be_trimmed(name)
        if CHANNEL_POSITION.match(m.get("position", "")) and "*" not in name:
            self.told += 1
            self.is_at(name, name, self.world.index_behind(self.life, name, m["position"]))
        else:
            self.excuse(name)

    def settle(self):
        """The stream has begun."""
        deadline = Deadline(SOON)
        while not self.begun and self.pull():
            wait_for(self.sock, deadline)


def wait_for(sock, deadline):
    """Until there is something to read, or a moment is over."""
    if sock:
        select.select([sock], [], [], min(0.05, deadline.left()))
