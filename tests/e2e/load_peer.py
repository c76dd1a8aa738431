# SPDX-License-Identifier: Apache-2.0
"""A WebSocket server of another make (python3-websockets, with or without TLS) with a protocol of its own, and certificates for it."""
import asyncio
import collections
import json
import ssl
import subprocess
import threading

import pytest

websockets = pytest.importorskip("websockets")

PROFILE = """[target]
name  = topics
about = a test's own
[subscriber]
url        = {url}
frames     = text
greeting   = "hello"
subscribe  = \\{{"op":"sub","topic":"{{channel}}"}}
subscribed = "subscribed"
refused    = "denied"
[publisher]
url      = {url}
frames   = text
greeting = "hello"
event    = \\{{"op":"pub","topic":"{{channel}}","body":"{{payload}}"}}
ack      = "done"
window   = 64
"""


class Topics:
    """with Topics(tls=…) as t: t.url. Topics that begin with `secret` are denied."""

    def __init__(self, tls=None):
        self.tls = tls
        self.members = collections.defaultdict(set)
        self.published = self.sent = 0

    async def serve(self, ws):
        await ws.send('{"op":"hello"}')
        mine = set()
        try:
            async for text in ws:
                m = json.loads(text)
                topic = m["topic"]
                if m["op"] == "pub":
                    self.published += 1
                    self.sent += len(self.members[topic])
                    websockets.broadcast(self.members[topic], json.dumps({"op": "event", "topic": topic, "body": m["body"]}))
                    await ws.send('{"op":"done"}')
                elif topic.startswith("secret"):
                    await ws.send('{"op":"denied"}')
                else:
                    self.members[topic].add(ws)
                    mine.add(topic)
                    await ws.send('{"op":"subscribed"}')
        except websockets.ConnectionClosed:
            pass
        finally:
            for topic in mine:
                self.members[topic].discard(ws)

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()

        async def main():
            self.stop = asyncio.Event()
            async with websockets.serve(self.serve, "127.0.0.1", 0, ssl=self.tls, compression=None, ping_interval=None) as server:
                self.port = server.sockets[0].getsockname()[1]
                self.url = f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}/topics"
                ready.set()
                await self.stop.wait()

        self.thread = threading.Thread(target=lambda: self.loop.run_until_complete(main()), daemon=True)
        self.thread.start()
        assert ready.wait(20)
        return self

    def __exit__(self, *exception):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(20)
        self.loop.close()

    def profile(self, folder, **replaced):
        """A profile for this server; words of it can be replaced."""
        text = PROFILE.format(url=self.url)
        for old, new in replaced.values():
            assert old in text
            text = text.replace(old, new)
        path = f"{folder}/topics.ini"
        with open(path, "w") as f:
            f.write(text)
        return path


def certificate(folder, name="server", host="127.0.0.1"):
    """(certificate, key), signed by itself, valid for the host and for localhost."""
    crt, key = f"{folder}/{name}.crt", f"{folder}/{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:localhost,IP:{host}", "-keyout", key, "-out", crt],
                   check=True, capture_output=True, timeout=60)
    return crt, key


def context(crt, key):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(crt, key)
    return c
