# SPDX-License-Identifier: Apache-2.0
"""What load_server.py can do wrong, one class each. `client` is a number in the order of connecting, `nth` an event of that client from 1."""
import random
import struct
import time

from load_server import Honest, server_frame
from rcingest import Wire, frame as ingest_frame, short
from rcws import CLOSE, TEXT, frame as client_frame


class AtEvent(Honest):
    """Something happens instead of the nth delivery to one client."""

    def __init__(self, client=0, nth=20):
        self.client, self.nth = client, nth
        self.done = None

    def deliver(self, client, event):
        if client.number == self.client and client.taken == self.nth:
            self.done = event
            self.instead(client, event)
        else:
            client.send_event(event)


class Drop(AtEvent):
    """So many are never sent."""

    def __init__(self, client=0, nth=20, count=1):
        super().__init__(client, nth)
        self.count = count

    def deliver(self, client, event):
        if client.number == self.client and self.nth <= client.taken < self.nth + self.count:
            self.done = event
        else:
            client.send_event(event)


class Twice(AtEvent):
    def instead(self, client, event):
        client.send_event(event)
        client.write(event.frame())


class Swap(AtEvent):
    """The nth after the next one of the same channel. Wants clients with one channel."""

    def deliver(self, client, event):
        if client.number == self.client and client.taken == self.nth:
            self.held = event
            return
        client.send_event(event)
        if client.number == self.client and client.taken == self.nth + 1:
            self.done = self.held
            client.send_event(self.held)


class FlipPayload(AtEvent):
    """place: which byte of the generator's event, from its magic; negative: from its end."""

    def __init__(self, client=0, nth=20, place=40):
        super().__init__(client, nth)
        self.place = place

    def instead(self, client, event):
        begin, end = event.payload.index(b"@rcload:"), event.payload.rindex(b'"')
        at = begin + self.place if self.place >= 0 else end + self.place
        flipped = bytearray(event.payload)
        # Another character that may stand there, so that only the check can tell.
        flipped[at] = ord("1") if flipped[at] != ord("1") else ord("2")
        client.send_event(event, bytes(flipped))


class FlipEnvelope(AtEvent):
    """A letter of the timestamp: nothing of the event."""

    def instead(self, client, event):
        raw = event.json().replace(b"2026-01-15", b"2026-01-16")
        client.server.sent[event.channel] += 1
        client.write(server_frame(TEXT, raw))


class OtherChannel(AtEvent):
    """An event of a channel that the client did not subscribe to comes on top. Wants clients with different channels."""

    def deliver(self, client, event):
        client.send_event(event)
        if client.number == self.client and client.taken >= self.nth and not self.done:
            for channel, history in client.server.history.items():
                if channel not in client.channels and history:
                    self.done = history[-1]
                    client.write(self.done.frame())


class Ragged(Honest):
    """Frames are cut where it happens, also inside their heads, and pieces of several come together. Nothing is wrong with that."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.rest = {}

    def deliver(self, client, event):
        client.server.sent[event.channel] += 1
        self.rest.setdefault(client, bytearray()).extend(event.frame())
        client.server.loop.call_later(self.random.choice((0, 0.0005, 0.002)), self.some, client)

    def some(self, client):
        """All of it in the end, since there are as many calls as frames and the last one takes what is left."""
        rest = self.rest[client]
        if not rest:
            return
        n = self.random.choice((1, 2, 3, 5, 100, 1000))
        client.write(bytes(rest[:n]))
        del rest[:n]
        if rest:
            client.server.loop.call_later(0.0002, self.some, client)


class Together(Honest):
    """So many frames in one write; those that are left after a while too."""

    def __init__(self, count=7):
        self.count, self.rest = count, {}

    def deliver(self, client, event):
        client.server.sent[event.channel] += 1
        rest = self.rest.setdefault(client, [])
        rest.append(event.frame())
        if len(rest) == 1:
            client.server.loop.call_later(0.02, self.flush, client)
        if len(rest) >= self.count:
            self.flush(client)

    def flush(self, client):
        rest = self.rest[client]
        if rest:
            client.write(b"".join(rest))
            rest.clear()


class Stall(Honest):
    """So many seconds after the first event nothing happens for so long, once: nothing is read, nothing sent."""

    def __init__(self, after, seconds=1.0):
        self.after, self.seconds, self.begun = after, seconds, None

    def published(self, server, event):
        self.begun = self.begun or time.monotonic()
        if self.seconds and time.monotonic() - self.begun >= self.after:
            time.sleep(self.seconds)
            self.seconds = 0


class CloseClient(AtEvent):
    def __init__(self, client=0, nth=20, code=1011):
        super().__init__(client, nth)
        self.code = code

    def instead(self, client, event):
        client.write(server_frame(CLOSE, struct.pack("!H", self.code) + b"enough"))
        client.transport.close()


class ResetClient(AtEvent):
    def instead(self, client, event):
        client.reset()


class HalfFrame(AtEvent):
    """The stream ends inside a frame."""

    def instead(self, client, event):
        raw = event.frame()
        client.write(raw[:len(raw) // 2])
        client.transport.close()


class Masked(AtEvent):
    """A frame as only clients may send it."""

    def instead(self, client, event):
        client.write(client_frame(TEXT, event.json()))


class Garbage(AtEvent):
    """Bytes that are no frame: reserved bits and an opcode that there is not."""

    def instead(self, client, event):
        client.write(b"\xff\xff\xfe" + bytes(range(64)))


class Told(AtEvent):
    """Left out, and said so."""

    def __init__(self, client=0, nth=20, count=3):
        super().__init__(client, nth)
        self.count = count

    def deliver(self, client, event):
        if client.number != self.client or not self.nth <= client.taken < self.nth + self.count:
            client.send_event(event)
        elif client.taken == self.nth + self.count - 1:
            self.done = event
            client.say(type="gap", channel=event.channel, missed=self.count, position=f"f4icw7gf55@{event.offset}")


# ---- before anything is delivered

class Unavailable(Honest):
    """503 for the clients from this one on."""

    def __init__(self, first=0):
        self.first = first

    def upgrade(self, client, key):
        if client.number < self.first:
            return client.accept(key)
        client.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n")
        client.transport.close()


class Silent(Honest):
    """Never answers an upgrade."""

    def upgrade(self, client, key):
        pass


class Slammed(Honest):
    """Closes as soon as it is asked."""

    def upgrade(self, client, key):
        client.transport.close()


class Refused(Honest):
    """Subscriptions are not allowed."""

    def subscribe(self, client, channels, since):
        client.say(type="error", id="1", code="forbidden", temporary=False, message="not you", timestamp="", data={"error": "not you"})


class NeverSubscribed(Honest):
    def subscribe(self, client, channels, since):
        pass


class DeafToTheReturned(Honest):
    """Who is not among the first `clients` connections is acknowledged and gets nothing."""

    def __init__(self, clients):
        self.clients = clients

    def deliver(self, client, event):
        if client.number < self.clients:
            client.send_event(event)


class Forgetful(Honest):
    """Says that everything was recovered, and leaves out the first event that was missed."""

    def __init__(self):
        self.forgotten = 0

    def subscribe(self, client, channels, since):
        leave_out = {since[c] + 1 for c in since if client.server.offset(c) > since[c]}
        self.forgotten += len(leave_out)
        client.subscribe(channels, since, leave_out)


# ---- on the publisher's side

class NeverAcknowledges(Honest):
    def acknowledge(self, feed, sequence):
        pass


class Refuses(Honest):
    """A NACK for one event; nobody gets it."""

    def __init__(self, nth=20):
        self.nth, self.count = nth, 0

    def published(self, server, event):
        self.count += 1
        return "too many" if self.count == self.nth else None


class ClosesFeed(Honest):
    """The publisher's connection ends after so many acknowledgements."""

    def __init__(self, nth=20):
        self.nth, self.count = nth, 0

    def acknowledge(self, feed, sequence):
        self.count += 1
        if self.count == self.nth:
            feed.transport.close()
        else:
            super().acknowledge(feed, sequence)


class WrongGreeting(Honest):
    def hello(self, feed):
        feed.welcome(magic=b"HTTP")


class OldVersion(Honest):
    def hello(self, feed):
        feed.welcome(version=9)


class NoGreeting(Honest):
    def hello(self, feed):
        pass


class RefusedHello(Honest):
    def hello(self, feed):
        feed.send(ingest_frame(Wire.FRAME_ERROR, struct.pack("<H", Wire.ERROR_UNAUTHORIZED) + short("the token is missing")))
        feed.transport.close()


# ---- commands: `nth` is a command of that client

class AtAnswer(Honest):
    """Something happens instead of the answer to the nth command of one client."""

    def __init__(self, client=0, nth=20):
        self.client, self.nth = client, str(nth)
        self.done = False

    def answer(self, client, message, data):
        if client.number == self.client and message == self.nth and not self.done:
            self.done = True
            self.instead(client, message, data)
        else:
            client.answer(message, data)


class AnswerLost(AtAnswer):
    def instead(self, client, message, data):
        pass


class AnswerTwice(AtAnswer):
    def instead(self, client, message, data):
        client.answer(message, data)
        client.answer(message, data)


class AnswerOfAnother(AtAnswer):
    """What another client's command was answered with comes under this one's number."""

    def answer(self, client, message, data):
        if client.number != self.client:
            self.other = data
        super().answer(client, message, data)

    def instead(self, client, message, data):
        client.answer(message, self.other)
        client.answer(message, data)


class AnswerToAnother(AtAnswer):
    """The right data comes under another command's number, and then as it should."""

    def instead(self, client, message, data):
        client.answer(str(int(message) + 1), data)
        client.answer(message, data)


class AnswerWithoutNumber(AtAnswer):
    def instead(self, client, message, data):
        client.write(server_frame(TEXT, b'{"type":"reply","timestamp":"2026-01-15T10:15:00.000Z","data":%s}' % data))
        client.answer(message, data)


class AnswerFlipped(AtAnswer):
    def instead(self, client, message, data):
        flipped = bytearray(data)
        flipped[-3] = ord("1") if flipped[-3] != ord("1") else ord("2")
        client.answer(message, bytes(flipped))


class CommandRefused(AtAnswer):
    def instead(self, client, message, data):
        client.say(type="error", id=message, timestamp="2026-01-15T10:15:00.000Z", code="busy", temporary=True, message="try later")


class CommandFlipped(Honest):
    """A backend gets one with a byte changed."""

    def __init__(self, nth=20):
        self.nth = nth

    def command(self, feed, client, number, message, action):
        feed.command(number, message, action[:-2] + ("1" if action[-2] != "1" else "2") + action[-1] if number == self.nth else action)


class CommandMisnamed(Honest):
    """A backend gets one under another id of the client's."""

    def __init__(self, nth=20):
        self.nth = nth

    def command(self, feed, client, number, message, action):
        feed.command(number, "x" + message if number == self.nth else message, action)


class BackendNotAllowed(Honest):
    def register(self, feed, credit):
        feed.send(ingest_frame(Wire.FRAME_ERROR, struct.pack("<H", Wire.ERROR_NOT_ALLOWED) + short("no scope backend")))


class BackendGetsNothing(Honest):
    def register(self, feed, credit):
        feed.registered(0)
