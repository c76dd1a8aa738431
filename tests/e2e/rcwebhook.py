# SPDX-License-Identifier: Apache-2.0
"""A server for webhooks: what it was sent, and whatever it is told to answer, wrong things too. Bytes on sockets, so that it can."""
import json
import queue
import socket
import threading

from deadline import SLOW, SOON


class Request:
    def __init__(self, head, body, conn, number):
        line, *fields = head.decode().split("\r\n")
        self.line = line
        self.headers = {k.lower(): v.strip() for k, v in (f.split(":", 1) for f in fields)}
        self.raw = body
        self.body = json.loads(body)
        self.conn, self.number = conn, number


def answer(status=200, body=b"", headers=(), length=True):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} x", *headers] + ([f"Content-Length: {len(body)}"] if length and status != 204 else [])
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Hook:
    """respond(request) gives the bytes of an answer; None: no answer, the connection stays; "cut" after what was given ends it."""

    def __init__(self, respond=None, port=0, host="127.0.0.1"):
        self.respond = respond or (lambda r: answer(200, r.body["payload"]))
        self.requests, self.connections = queue.Queue(), 0
        self.sockets = []
        self.listener = socket.create_server((host, port), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook?a=1"

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.sockets.append(s)
            threading.Thread(target=self._serve, args=(s, self.connections), daemon=True).start()

    def _serve(self, s, number):
        data = b""
        try:
            while True:
                while b"\r\n\r\n" not in data:
                    more = s.recv(65536)
                    if not more:
                        return
                    data += more
                head, data = data.split(b"\r\n\r\n", 1)
                size = int([f for f in head.decode().lower().split("\r\n") if f.startswith("content-length:")][0].split(":")[1])
                while len(data) < size:
                    data += s.recv(65536)
                r = Request(head, data[:size], s, number)
                data = data[size:]
                self.requests.put(r)
                out = self.respond(r)
                if isinstance(out, tuple):
                    s.sendall(out[0])
                    return
                if out:
                    s.sendall(out)
        except OSError:
            pass
        finally:
            s.close()

    def next(self, kind=None):
        while True:
            r = self.requests.get(timeout=SOON * SLOW)
            if kind is None or r.body["type"] == kind:
                return r

    def close(self):
        # A shutdown wakes whoever waits in accept; a close does not.
        for s in (self.listener, *self.sockets):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.listener.close()
