# SPDX-License-Identifier: Apache-2.0
"""EventSource as it is: curl, the npm package `eventsource`, Chromium. Cut in the middle, and the gateway restarted in between: each event
comes once, in order, or a gap says that some do not."""
import contextlib
import json
import os
import queue
import shutil
import subprocess
import threading

import pytest

import rcpage
from deadline import SLOW, Deadline
from rchistory import STREAM_POSITION, fill, kept, payload
from rcproxy import Tunnel
from rcsse import url
from test_sse import has_http_section
from test_tls_clients import Site

# With two shards a channel lies here or there, so that one shard alone shows nothing more.
TWO_SHARDS = True

CHANNELS = ["keep:a", "keep:b"]
QUICK = kept() | {"reconnect_jitter": "200ms"}


class Seen:
    """What an EventSource has got. n counts in the data, over restarts and for each channel: it grows by one, or there was a gap."""

    def __init__(self):
        self.said = queue.Queue()
        self.last, self.gaps, self.opens, self.missed = dict.fromkeys(CHANNELS, 0), 0, 0, 0
        self.excused = set()

    def take(self, what):
        if "open" in what:
            self.opens += 1
        elif "gap" in what:
            assert what["gap"]["type"] == "gap" and STREAM_POSITION.match(what["id"]), what
            self.gaps += 1
            self.excused |= {what["gap"]["channel"]} if "channel" in what["gap"] else set(CHANNELS)
        elif "event" in what:
            e = what["event"]
            assert STREAM_POSITION.match(what["id"]), what
            channel, n = e["channel"], e["data"]["n"]
            assert n > self.last[channel], f"{e} again, or too late: {self.last} was seen"
            if n != self.last[channel] + 1:
                assert channel in self.excused, f"{e} without a gap, where {self.last} was seen"
                self.missed += n - self.last[channel] - 1
            self.excused.discard(channel)
            self.last[channel] = n

    def until(self, done, what, seconds=40):
        deadline = Deadline(seconds)
        while not done():
            try:
                self.take(self.said.get(timeout=deadline.left()))
            except (queue.Empty, TimeoutError):
                raise AssertionError(f"not within {deadline.seconds:.0f} s: {what}; {self.last}, {self.gaps} gaps, {self.opens} opened") from None

    def reached(self, n):
        self.until(lambda: all(v >= n for v in self.last.values()), f"all up to {n}")
        assert set(self.last.values()) == {n}


@contextlib.contextmanager
def node(address, g, modules):
    script = os.path.join(os.path.dirname(__file__), "js/eventsource.js")
    seen = Seen()
    with subprocess.Popen(["node", script, address], env={**os.environ, **g.node_trust, "NODE_PATH": modules}, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        thread = threading.Thread(target=lambda: [seen.said.put(json.loads(line)) for line in process.stdout], daemon=True)
        thread.start()
        try:
            yield seen
            process.stdin.close()
            assert process.wait(20 * SLOW) == 0
        finally:
            process.kill()


PAGE = """<!doctype html><meta charset="utf-8"><title>events</title><script>
let waiting = [], posting = false;
const post = () => {
    if (posting || waiting.length === 0) return;
    const now = waiting;
    waiting = [];
    posting = true;
    fetch('%(home)s/said', { method: 'POST', body: JSON.stringify(now) }).then(() => { posting = false; post(); });
};
const say = (what) => { waiting.push(what); post(); };
const source = new EventSource('%(url)s');
source.onopen = () => say({ open: true });
source.onerror = () => say({ error: '', state: source.readyState });
source.addEventListener('e', (m) => say({ event: JSON.parse(m.data), id: m.lastEventId }));
source.addEventListener('gap', (m) => say({ gap: JSON.parse(m.data), id: m.lastEventId }));
</script>"""


class Queued(list):
    """Where a Site keeps what is posted: passes it on one by one."""

    def __init__(self, out):
        super().__init__()
        self.out = out

    def append(self, several):
        for what in several:
            self.out.put(what)


@contextlib.contextmanager
def chromium(folder, page, more=(), env=None):
    with open(os.path.join(folder, "chromium.log"), "wb") as log:
        process = subprocess.Popen(
            [rcpage.browser(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", f"--user-data-dir={folder}/profile", *more, page],
            env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30 * SLOW)


def publish(p, n):
    """The next event of each channel."""
    for channel in CHANNELS:
        p.publish(channel, payload(n))
    return n


def what_an_event_source_has_to_bear(seen, tunnel, gateway, publisher, g, address_of):
    """Cuts in every place, a tunnel that stays closed, graceful and sudden ends of the gateway."""
    p, n = publisher(g), 0
    seen.until(lambda: seen.opens == 1, "the stream opens")
    for n in range(1, 51):
        publish(p, n)
    seen.reached(n)
    # Cut, and cut inside a block: nothing is lost.
    for size in (None, 150, 1000, 1001):
        if size:
            tunnel.bytes_left = size
        else:
            tunnel.cut()
        for n in range(n + 1, n + 31):
            publish(p, n)
        seen.reached(n)
    assert seen.gaps == 0
    # A long way through a mountain.
    tunnel.cut(stay=True)
    for n in range(n + 1, n + 201):
        publish(p, n)
    tunnel.mend()
    seen.reached(n)
    assert seen.gaps == 0 and seen.missed == 0
    # Another life of the gateway: what was missed is not known, so a gap says so; after it everything comes.
    for graceful in (True, False):
        opens, gaps = seen.opens, seen.gaps
        if graceful:
            g.stop()
        else:
            g.process.kill()
            g.wait()
        tunnel.cut(stay=True)
        g = gateway(QUICK)
        p = publisher(g)
        for n in range(n + 1, n + 11):
            publish(p, n)
        tunnel.mend(address_of(g))
        seen.until(lambda: seen.gaps > gaps and seen.opens > opens, "it is told")
        for n in range(n + 1, n + 31):
            publish(p, n)
        seen.until(lambda: all(v >= n for v in seen.last.values()), f"all up to {n}")
        # And from there it recovers again.
        tunnel.cut()
        for n in range(n + 1, n + 31):
            publish(p, n)
        missed = seen.missed
        seen.reached(n)
        assert seen.missed == missed


@pytest.mark.deadline(150)
def test_the_npm_package_eventsource(gateway, publisher, node_eventsource):
    g = gateway(QUICK)
    with Tunnel(g.http) as tunnel:
        address = f"http{'s' if g.pki else ''}://localhost:{tunnel.port}{url(*CHANNELS)}"
        with node(address, g, node_eventsource) as seen:
            what_an_event_source_has_to_bear(seen, tunnel, gateway, publisher, g, lambda g: g.http)


@pytest.mark.deadline(150)
def test_chromiums_event_source(gateway, publisher, folder):
    rcpage.browser()
    g, seen = gateway(QUICK), Seen()
    with Site(PAGE % {"url": url(*CHANNELS), "home": ""}) as site, Tunnel(g.plain_http, site.server.server_address) as tunnel:
        site.said = Queued(seen.said)
        with chromium(folder, f"http://127.0.0.1:{tunnel.port}/"):
            what_an_event_source_has_to_bear(seen, tunnel, gateway, publisher, g, lambda g: g.plain_http)


@pytest.mark.deadline(120)
def test_chromiums_event_source_from_another_origin_over_tls(gateway, publisher, folder, pki):
    """The page's origin is listed, or it is not and hears nothing."""
    rcpage.browser()
    if not has_http_section():
        pytest.skip("this build has no [http] origins yet")
    more, env = rcpage.profile_that_trusts(folder, pki.roots, pki.server().certificate)
    seen = Seen()
    with Site("") as site:
        home = site.url.rstrip("/")
        g = gateway(QUICK | {"http.origins": home}, pki=pki)
        site.said = Queued(seen.said)
        site.page = PAGE % {"url": f"https://localhost:{g.http[1]}{url(*CHANNELS)}", "home": ""}
        with chromium(folder, site.url, more, env):
            seen.until(lambda: seen.opens == 1, "the stream opens")
            p = publisher(g)
            for n in range(1, 51):
                publish(p, n)
            seen.reached(50)


@pytest.mark.one_path
def test_curl_reads_a_stream_and_goes_on_with_the_last_id(gateway, publisher):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    g = gateway(kept())
    p = publisher(g)
    fill(p, "keep:a", 20)
    last, got = "beginning", []
    for turn in range(4):
        command = ["curl", "-sSN", "-H", f"Last-Event-ID: {last}", g.url(url("keep:a"), "http")] + (["--cacert", g.pki.roots] if g.pki else [])
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            wanted, event = 5, None
            while wanted:
                line = process.stdout.readline().rstrip("\n")
                if line.startswith("data: "):
                    event = json.loads(line[6:])
                elif line.startswith("id: "):
                    last = line[4:]
                elif not line and event:
                    got.append(event["offset"])
                    event, wanted = None, wanted - 1
            process.kill()
    assert got == list(range(1, 21))
