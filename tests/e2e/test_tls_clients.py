# SPDX-License-Identifier: Apache-2.0
"""TLS with clients of other makes: openssl s_client, Python's ssl as it comes, the npm package ws, Chromium with our root in its profile. On
both paths."""
import http.server
import json
import os
import re
import socket
import ssl
import subprocess
import threading

import pytest

import rcpage
from deadline import SLOW, Deadline
from rcingest import Publisher, hello
from rcws import BINARY, TEXT, JsonClient, Stream, WebSocket, frame, read_response, upgrade

OVER_TLS = TWO_SHARDS = True
SETTINGS = {"echo": "yes"}
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
SUITES = {"1.3": ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"],
          "1.2": ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]}
BOTH = [(v, s) for v, suites in SUITES.items() for s in suites]


# ---- openssl s_client

def flags(g, version=None, suite=None, name="localhost"):
    out = ["-connect", "{}:{}".format(*g.http), "-servername", name, "-CAfile", g.pki.roots, "-verify_return_error", "-verify_hostname", name]
    if version:
        out.append("-tls" + version.replace(".", "_"))
    if suite:
        out += ["-ciphersuites" if version == "1.3" else "-cipher", suite]
    return out


def s_client(g, *more, request=REQUEST, status=0, **options):
    """What s_client says about the connection, and what came over it."""
    done = subprocess.run(["openssl", "s_client", *flags(g, **options), "-ign_eof", *more], input=request, capture_output=True, timeout=30 * SLOW)
    said = (done.stdout + done.stderr).decode(errors="replace")
    if status is not None:
        assert done.returncode == status, said
    return said


class Pipe(Stream):
    """A WebSocket through a running s_client, which is the transport."""

    def __init__(self, g, *more, **options):
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(["openssl", "s_client", "-quiet", *flags(g, **options), *more], stdin=theirs, stdout=theirs,
                                        stderr=subprocess.DEVNULL)
        theirs.close()
        super().__init__(ours)

    def drop(self):
        super().drop()
        self.process.kill()
        self.process.wait()


class PipedClient(Pipe, WebSocket):
    pass


@pytest.mark.parametrize("version,suite", BOTH, ids=[s for _, s in BOTH])
def test_s_client_gets_an_answer_with_every_suite(shared_gateway, version, suite):
    said = s_client(shared_gateway, "-alpn", "http/1.1", version=version, suite=suite)
    assert f"Cipher is {suite}" in said and "Verify return code: 0 (ok)" in said, said
    assert "ALPN protocol: http/1.1" in said
    assert "HTTP/1.1 200 OK" in said
    # Its own word for an end without close_notify.
    assert "unexpected eof" not in said
    # Both certificates of the chain.
    assert re.search(r"^ 0 s:CN ?= ?server", said, re.M) and re.search(r"^ 1 s:CN ?= ?ringcast test issuer", said, re.M), said


@pytest.mark.parametrize("version,suite", BOTH, ids=[s for _, s in BOTH])
def test_a_websocket_through_s_client_echoes(shared_gateway, version, suite):
    with PipedClient(shared_gateway, version=version, suite=suite) as ws:
        ws.send_bytes(upgrade("/echo", "localhost"))
        assert read_response(ws).status == 101
        for message in (b"", b"x", os.urandom(20000), os.urandom(300000)):
            ws.send(BINARY, message)
            assert ws.recv() == (BINARY, message)
        ws.send_bytes(b"".join(frame(TEXT, str(n)) for n in range(300)))
        assert [ws.recv()[1] for _ in range(300)] == [b"%d" % n for n in range(300)]
        ws.close(3000)


@pytest.mark.one_shard
@pytest.mark.one_path
@pytest.mark.parametrize("group", ["X25519", "P-256"])
def test_s_client_agrees_on_a_group(shared_gateway, group):
    assert "HTTP/1.1 200 OK" in s_client(shared_gateway, "-groups", group)


@pytest.mark.one_shard
@pytest.mark.one_path
def test_of_the_protocols_that_a_client_offers_it_gets_http_11_or_none(shared_gateway):
    assert "ALPN protocol: http/1.1" in s_client(shared_gateway, "-alpn", "h2,http/1.1")
    assert "No ALPN negotiated" in s_client(shared_gateway)
    # One that cannot speak HTTP/1.1 must not be led to believe that its protocol was chosen.
    said = s_client(shared_gateway, "-alpn", "h2", status=None)
    assert "ALPN protocol: h2" not in said


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_s_client_resumes_a_kept_session(gateway, folder, version):
    g = gateway()
    kept = os.path.join(folder, "session")
    said = s_client(g, "-sess_out", kept, version=version)
    assert re.search(r"^New, TLSv", said, re.M), said
    for n in range(3):
        said = s_client(g, "-sess_in", kept, version=version)
        assert re.search(r"^Reused, TLSv", said, re.M) and "HTTP/1.1 200 OK" in said, said
        assert g.counter("tls_resumed") == n + 1 and g.counter("tls_full") == 1


@pytest.mark.one_path
def test_s_client_reconnects_five_times_with_one_session(gateway):
    g = gateway()
    said = s_client(g, "-reconnect", version="1.2")
    assert len(re.findall(r"^Reused, TLSv1.2", said, re.M)) == 5 and "HTTP/1.1 200 OK" in said, said
    g.until_counter("tls_resumed", 5)


def test_s_clients_keyupdate_is_taken(shared_gateway, tls):
    """Its commands K and k: both sides, its own."""
    if tls == "kernel":
        pytest.skip("closes the connection there; test_tls.py looks at how")
    command = ["openssl", "s_client", *flags(shared_gateway, version="1.3"), "-brief"]
    ours, theirs = socket.socketpair()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE) as process, Stream(ours) as s:
        theirs.close()
        for letter in b"KkKk":
            # A command is the first byte of what it reads at a time: the next may follow when it has said that it did this one.
            s.send_bytes(bytes([letter]) + b"\n")
            assert any(b"KEYUPDATE" in line for line in process.stderr)
        s.send_bytes(REQUEST)
        s.read_until(b"HTTP/1.1 200 OK\r\n")
        process.terminate()


# ---- Python's ssl, without a layer of ours

def test_pythons_ssl_publishes_and_receives(gateway):
    g = gateway()

    def plain_python(address):
        return g.context.wrap_socket(socket.create_connection(address, 20 * SLOW), server_hostname="localhost", suppress_ragged_eofs=False)

    with JsonClient(plain_python(g.http)) as ws, Publisher(plain_python(g.ingest)) as p:
        ws.events = []
        ws.send_bytes(upgrade("/ws", "localhost"))
        assert read_response(ws).status == 101
        assert ws.recv_json()["type"] == "connected"
        p.sequence = p.acked = 0
        p.nacks, p.positions = {}, {}
        p.send_bytes(hello())
        p.welcome = p.recv_frame()
        ws.subscribe("a")
        p.stream([("a", json.dumps(n)) for n in range(2000)], per_batch=50)
        assert [ws.next_event()["data"] for _ in range(2000)] == list(range(2000))


def test_who_does_not_trust_the_certificate_goes_and_is_counted(gateway, pki):
    g = gateway()
    for number, address in enumerate((g.http.using(trust=pki.stranger.certificate), g.http.using(name="elsewhere.example")), 1):
        for version in ("1.2", "1.3"):
            with pytest.raises(ssl.SSLCertVerificationError):
                WebSocket.open(address.using(version=version))
        g.until_counter("tls_failed_alert", 2 * number)
    assert g.counter("tls_user") + g.counter("tls_kernel") == 0


# ---- node

def test_node_subscribes_over_wss(gateway, publisher, node_ws):
    g = gateway()
    p = publisher(g)
    script = os.path.join(os.path.dirname(__file__), "js/subscribe.js")
    with subprocess.Popen(["node", script, g.url("/ws"), "js:a", "200"], env={**os.environ, **g.node_trust, "NODE_PATH": node_ws},
                          stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout.readline() == "subscribed\n"
        p.stream([("js:a", json.dumps(n)) for n in range(200)], per_batch=7)
        assert json.loads(node.stdout.readline()) == [[n + 1, n] for n in range(200)]
        assert node.wait(20 * SLOW) == 0


def test_node_does_not_come_in_without_the_root(gateway, node_ws):
    g = gateway()
    script = os.path.join(os.path.dirname(__file__), "js/echo.js")
    done = subprocess.run(["node", script, g.url("/ws"), "false"], env={**os.environ, "NODE_PATH": node_ws}, capture_output=True, text=True,
                          timeout=30 * SLOW)
    assert done.returncode == 1 and ("certificate" in done.stderr), done.stderr


# ---- Chromium

PAGE = """<!doctype html><meta charset="utf-8"><title>wss</title><script>
// One behind the other: posts that are under way at once come in any order.
let last;
const say = (what) => (last = Promise.resolve(last).then(() => fetch('/said', { method: 'POST', body: JSON.stringify(what) })));
const ws = new WebSocket('%(url)s', 'ringcast.v1.json');
const got = [];
ws.onmessage = (m) => {
    const message = JSON.parse(m.data);
    if (message.type === 'connected') {
        ws.send(JSON.stringify({ type: 'subscribe', channels: ['page'] }));
    } else if (message.type === 'subscription-ack') {
        say('subscribed');
    } else if (message.type === 'event') {
        got.push(message.data);
        if (got.length === %(count)d) {
            say(got);
            ws.close(1000);
        }
    }
};
ws.onclose = (e) => say({ code: e.code, clean: e.wasClean });
</script>"""


class Site:
    """Serves one page; .said holds what the page posts back."""

    def __init__(self, text):
        self.page, self.said, self.changed = text, [], threading.Condition()
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, body=b"", kind="text/html"):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.answer(site.page.encode())

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with site.changed:
                    site.said.append(json.loads(body))
                    site.changed.notify_all()
                self.answer()

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.server.shutdown()
        self.server.server_close()

    def wait(self, count, seconds=45):
        deadline = Deadline(seconds)
        with self.changed:
            while len(self.said) < count:
                self.changed.wait(deadline.left())
        return self.said[count - 1]


def test_chromium_receives_events_over_wss(gateway, publisher, pki, folder):
    browser = rcpage.browser()
    more, env = rcpage.profile_that_trusts(folder, pki.roots, pki.server().certificate)
    g = gateway()
    p = publisher(g)
    with Site(PAGE % {"url": g.url("/ws"), "count": 100}) as site:
        with open(os.path.join(folder, "chromium.log"), "wb") as log:
            process = subprocess.Popen(
                [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--disable-background-networking", f"--user-data-dir={folder}/profile", *more, site.url],
                env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            assert site.wait(1) == "subscribed", site.said
            p.stream([("page", json.dumps({"n": n, "text": "é💩" * (n % 50)})) for n in range(100)], per_batch=3)
            assert site.wait(2) == [{"n": n, "text": "é💩" * (n % 50)} for n in range(100)]
            assert site.wait(3) == {"code": 1000, "clean": True}
        finally:
            process.terminate()
            process.wait(30 * SLOW)
    assert g.counter("tls_failed_alert") == 0
