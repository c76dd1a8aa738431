# SPDX-License-Identifier: Apache-2.0
"""An SSE client over a socket, plain or TLS. Its parser is that of the WHATWG's event stream, fed in any cuts; it keeps every block, and is
strict where a server may choose but should not surprise."""
import json

from deadline import SOON, Deadline
from rcws import Closed, Response, Stream, open_socket

BOM = b"\xef\xbb\xbf"


class Block:
    """What stood between two empty lines. id and retry are None where there was no such field that counts; comments are the texts behind the
    colon. data is None where no field of that name was: such a block dispatches nothing."""

    def __init__(self):
        self.event = self.data = self.id = self.retry = None
        self.comments, self.raw = [], []

    @property
    def name(self):
        return self.event or "message"

    def json(self):
        return json.loads(self.data)

    def __repr__(self):
        return f"Block(event={self.event!r} id={self.id!r} retry={self.retry!r} comments={self.comments!r} data={self.data and self.data[:200]!r})"


class Parser:
    """feed(bytes) -> the blocks that are complete with them. last_id is what a client would send as Last-Event-ID: it moves when a block ends,
    so a block that was cut counts for nothing."""

    def __init__(self, strict=True):
        self.strict, self.last_id, self.retry = strict, "", None
        self.begun, self.rest, self.after_cr = False, b"", False
        self.block, self.pending = Block(), None

    @property
    def inside(self):
        """Whether a block has begun and is not complete."""
        return bool(self.rest or self.block.raw)

    def feed(self, data):
        out = []
        self.rest += data
        if not self.begun:
            if len(self.rest) < 3 and BOM.startswith(self.rest):
                return out
            self.begun = True
            if self.rest.startswith(BOM):
                self.rest = self.rest[3:]
        at, size = 0, len(self.rest)
        if self.after_cr and size:
            # The LF of a CRLF that was cut in two.
            at, self.after_cr = int(self.rest[0] == 10), False
        while at < size:
            ends = [e for e in (self.rest.find(b"\n", at), self.rest.find(b"\r", at)) if e >= 0]
            if not ends:
                break
            end = min(ends)
            line, at = self.rest[at:end], end + 1
            if self.rest[end] == 13:
                if at == size:
                    self.after_cr = True
                elif self.rest[at] == 10:
                    at += 1
            block = self._line(line)
            if block:
                out.append(block)
        self.rest = self.rest[at:]
        return out

    def _line(self, raw):
        if not raw:
            return self._dispatch()
        block = self.block
        block.raw.append(raw)
        line = raw.decode("utf-8", "strict" if self.strict else "replace")
        field, colon, value = line.partition(":")
        if not field and colon:
            block.comments.append(value)
            return None
        if value.startswith(" "):
            value = value[1:]
        if self.strict:
            assert field in ("event", "data", "id", "retry"), f"a field that says nothing to anybody: {line[:100]!r}"
        if field == "event":
            block.event = value
        elif field == "data":
            block.data = value if block.data is None else block.data + "\n" + value
        elif field == "id":
            if "\0" in value:
                assert not self.strict, "an id with NUL is ignored by clients"
            else:
                block.id = self.pending = value
        elif field == "retry":
            if value.isascii() and value.isdigit():
                block.retry = self.retry = int(value)
            else:
                assert not self.strict, f"retry is a number, not {value!r}"
        return None

    def _dispatch(self):
        block, self.block = self.block, Block()
        if self.pending is not None:
            self.last_id = self.pending
        if not block.raw:
            assert not self.strict, "an empty line that ends nothing"
            return None
        return block


class Refused(Exception):
    def __init__(self, response):
        super().__init__(f"{response.status} {response.reason} {response.body[:300]!r}")
        self.response, self.status = response, response.status


class SseClient(Stream):
    """GET on an event stream. blocks holds every block that was read; last_id what it would come back with."""

    @classmethod
    def open(cls, address, path="/events", last=None, headers=(), version="1.1", rcvbuf=None, timeout=SOON, accept="text/event-stream",
             strict=True):
        """last: the Last-Event-ID to come back with. Refused when the answer is no stream."""
        s = cls(open_socket(address, rcvbuf, timeout))
        s.address, s.path = address, path
        s.parser, s.blocks, s.unread = Parser(strict), [], []
        try:
            host = f"[{address[0]}]" if ":" in address[0] else address[0]
            lines = [f"GET {path} HTTP/{version}", f"Host: {host}:{address[1]}"]
            if accept:
                lines.append(f"Accept: {accept}")
            if last:
                lines.append(f"Last-Event-ID: {last}")
            lines += [f"{name}: {value}" for name, value in headers]
            s.send_bytes(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), timeout)
            s.response = r = Response(s.read_until(b"\r\n\r\n", timeout))
            if r.status != 200 or not r.headers.get("content-type", "").startswith("text/event-stream"):
                n = r.headers.get("content-length")
                r.body = s.read_exact(int(n), timeout) if n and int(n) else b"" if n or r.status == 204 else s.read_to_end(timeout)
                raise Refused(r)
            # The body is what comes until the end.
            assert "content-length" not in r.headers and "transfer-encoding" not in r.headers, r.headers
            s.parser.last_id = last or ""
        except BaseException:
            s.drop()
            raise
        return s

    @classmethod
    def greeted(cls, address, path="/events", **options):
        """With the first block read, which says when to come back and where the stream begins; the latter not where what was missed can't be
        given, since a cut behind it would then hide the gap."""
        s = cls.open(address, path, **options)
        try:
            s.first = s.next_block()
            assert s.first.retry is not None and s.first.data is None, s.first
            assert s.first.id or options.get("last") or "since=" in path or "lastEventId=" in path, s.first
        except BaseException:
            s.drop()
            raise
        return s

    def again(self, **options):
        """Another connection that goes on where this one's last complete block ended."""
        options.setdefault("last", self.last_id)
        return type(self).greeted(self.address, self.path, **options)

    @property
    def last_id(self):
        return self.parser.last_id

    def next_block(self, timeout=SOON):
        """The next block, heartbeats and what only moves the id among them. Closed at the end of the stream."""
        deadline = Deadline(timeout)
        while not self.unread:
            data, self.buffer, self.at = self.buffer[self.at:], b"", 0
            if not data and not self._fill(deadline):
                raise Closed()
            if not data:
                data, self.buffer, self.at = self.buffer[self.at:], b"", 0
            # last_id is that of what was handed out, so the parser's is put off.
            for block in self._parse(data):
                self.unread.append(block)
        block, last = self.unread.pop(0)
        self.parser.last_id = last
        self.blocks.append(block)
        return block

    def _parse(self, data):
        before = self.parser.last_id
        out = []
        for block in self.parser.feed(data):
            out.append(block)
        # What the id was behind each of them.
        last = self.unread[-1][1] if self.unread else before
        pairs = []
        for block in out:
            last = block.id if block.id is not None else last
            pairs.append((block, last))
        self.parser.last_id = before
        return pairs

    def next_message(self, timeout=SOON):
        """The next block that a client's handlers would see: an event or a gap."""
        deadline = Deadline(timeout)
        while True:
            block = self.next_block(timeout)
            if block.data is not None:
                return block
            deadline.left()

    def next_event(self, timeout=SOON):
        """The JSON of the next event; a gap in its place is a failure."""
        block = self.next_message(timeout)
        assert block.name != "gap", block
        return block.json()

    def next_heartbeat(self, timeout=SOON):
        """The next block without data; events in between are let through."""
        deadline = Deadline(timeout)
        while True:
            block = self.next_block(timeout)
            if block.data is None:
                return block
            deadline.left()

    def rest(self, timeout=SOON):
        """Every block until the gateway ends the stream."""
        out = []
        try:
            while True:
                out.append(self.next_block(timeout))
        except Closed:
            assert not self.parser.inside, f"the stream ended inside a block: {self.parser.rest[:100]!r}"
            self.assert_ended_properly()
        return out

    def cut_inside_a_block(self, timeout=SOON):
        """Reads in small pieces until a block has begun and is not complete, then drops the connection: what a tunnel does. last_id is then
        that of the last whole block."""
        deadline = Deadline(timeout)
        while not self.parser.inside:
            if self.buffered():
                piece, self.buffer, self.at = self.buffer[self.at:], b"", 0
            else:
                self.sock.settimeout(deadline.left())
                piece = self.sock.recv(17)
                if not piece:
                    raise Closed()
            for i in range(0, len(piece), 17):
                pairs = self._parse(piece[i:i + 17])
                self.unread += pairs
                if self.parser.inside:
                    break
        while self.unread:
            block, self.parser.last_id = self.unread.pop(0)
            self.blocks.append(block)
        self.reset()


def events_of(blocks):
    return [b.json() for b in blocks if b.data is not None and b.name != "gap"]


def url(*channels, **query):
    """The path of a stream of these channels and patterns."""
    parts = [f"channel={c}" for c in channels] + [f"{k.rstrip('_')}={v}" for k, v in query.items()]
    return "/events?" + "&".join(parts)
