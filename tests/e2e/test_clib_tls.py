# SPDX-License-Identifier: Apache-2.0
"""The C library, `ringcast publish` and `ringcast subscribe` over TLS: the tests of test_clib.py once more, sessions that are resumed, client
certificates as names, and what is said when somebody is not trusted."""
import contextlib
import select
import socket
import subprocess
import threading

import pytest

import rcgateway
import test_clib
from deadline import eventually
from test_clib import PATIENT, pump, pump_program, read, subscribed  # noqa: F401 (pump and pump_program are fixtures)

OVER_TLS = True
OK, NO, USAGE, NOBODY = 0, 1, 2, 3

for _name, _what in vars(test_clib).items():
    if _name.startswith("test_") and callable(_what):
        globals()[_name] = _what


@pytest.fixture
def cli(folder):
    return lambda *args, **options: rcgateway.run(args, folder, **options)


def to(g, host="localhost", ca=True):
    return ["--server", f"tls://{host}:{g.ingest[1]}", *(["--ca", g.pki.roots] if ca else [])]


def at(g, host="localhost", ca=True):
    return ["--server", f"wss://{host}:{g.http[1]}/ws", *(["--ca", g.pki.roots] if ca else [])]


@contextlib.contextmanager
def subscribing(g, *arguments):
    """`ringcast subscribe`, acknowledged."""
    process = subprocess.Popen([*rcgateway.WRAP, rcgateway.BINARY, "subscribe", "--all", *arguments], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=rcgateway.environment(g.folder))
    try:
        said = [""]
        while "subscription-ack" not in said[-1]:
            said.append(process.stderr.readline())
            assert said[-1], f"it ended: {said}"
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()


class Relay:
    """A port in front of another, whose connections can be cut. It reads nothing of what it passes on."""

    def __init__(self, to):
        self.to, self.listener, self.open, self.lock = to, socket.create_server(("127.0.0.1", 0)), [], threading.Lock()
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                pair = (self.listener.accept()[0], socket.create_connection(self.to))
                with self.lock:
                    self.open.append(pair)
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    @staticmethod
    def _pass_on(one, other):
        with contextlib.suppress(OSError, ValueError):
            while True:
                for ready in select.select([one, other], [], [])[0]:
                    data = ready.recv(1 << 16)
                    if not data:
                        return
                    (other if ready is one else one).sendall(data)

    def cut(self):
        """Ends all connections without a word of TLS."""
        with self.lock:
            for pair in self.open:
                for s in pair:
                    with contextlib.suppress(OSError):
                        s.shutdown(socket.SHUT_RDWR)
            self.open.clear()

    def close(self):
        # Wakes who waits in accept.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()


def test_connections_that_are_cut_are_resumed_and_lose_nothing(gateway, pump):  # noqa: F811
    g = gateway(PATIENT)
    relay = Relay(g.ingest)
    ws, epoch = subscribed(g)
    with ws, contextlib.closing(relay):
        delivered = []
        p = pump(g, "cut", port=relay.port)
        for cuts in range(5):
            # What is read may be what waited here.
            eventually(lambda: p.states.count(2) == cuts + 1, "it is connected")
            read(ws, delivered, 300)
            relay.cut()
        eventually(lambda: p.states.count(2) == 6, "it is connected")
        read(ws, delivered, 300)
        published, acked, unacked = p.end()
        assert (acked, unacked) == (published, 0)
        read(ws, delivered, published - len(delivered))
        ws.barrier()
        assert ws.events == []
    assert delivered == list(range(1, published + 1)) and p.refused == []
    assert p.states.count(2) == 6 and g.counter("tls_resumed") == 5, p.words
    assert any("without ending TLS" in w or "reset" in w.lower() or "pipe" in w.lower() for w in p.words), p.words


def test_the_name_in_a_certificate_is_the_publishers_id(gateway, cli, connect, pki):
    """Also when no id is said; a second process then goes on behind the first, or its events would be taken for those of the first."""
    g = gateway({"tls.publishers": "required", "tls.client_ca": pki.roots})
    pair = pki.client("billing-1")
    mine = ["--cert", pair.certificate, "--key", pair.key]
    ws = connect(g)
    ws.subscribe("bills")
    for first in (1, 101):
        done = cli("publish", *to(g), *mine, "bills", "bill", "-", stdin="".join(f"{i}\n" for i in range(first, first + 100)))
        assert done.returncode == OK, done.stderr
    assert [ws.next_event()["data"] for _ in range(200)] == list(range(1, 201))
    assert cli("publish", *to(g), *mine, "--id", "billing-1", "bills", "bill", "201").returncode == OK
    assert ws.next_event()["data"] == 201
    done = cli("publish", *to(g), *mine, "--id", "billing-2", "bills", "bill", "0")
    assert done.returncode == NO and "certificate" in done.stderr
    done = cli("publish", *to(g), "bills", "bill", "0")
    assert done.returncode == NOBODY and "certificate required" in done.stderr or "handshake failure" in done.stderr, done.stderr
    assert g.counter("events_published") == 201


def test_publish_and_see_it_arrive(gateway, cli, pki):
    g = gateway({"max_message": "256KiB"})
    large = '"' + "l" * 200000 + '"'
    with subscribing(g, *at(g), "--count", "3", "news") as s:
        assert cli("publish", *to(g), "--quiet", "news", "added", '{"id": 1}').returncode == OK
        assert cli("publish", *to(g, "127.0.0.1"), "news", "large", "-", stdin=large).returncode == OK
        assert cli("publish", *to(g, ca=False), "--insecure", "news", "last", "3").returncode == OK
        assert s.stdout.readline() == 'news added 1 {"id": 1}\n'
        assert s.stdout.readline() == f"news large 2 {large}\n"
        assert s.stdout.readline() == "news last 3 3\n"
        assert s.wait(20) == OK
    eventually(lambda: g.counter("clients") == 0 and g.counter("publishers") == 0, "all have gone")


def test_a_gateway_that_is_not_trusted_gets_nothing(gateway, cli, pki):
    g = gateway()
    for command, where, more in (("publish", to, ["a", "e", "1"]), ("subscribe", at, ["a"])):
        done = cli(command, *where(g, ca=False), *more)
        assert done.returncode == NOBODY and "the server's certificate is not accepted: " in done.stderr, done.stderr
        done = cli(command, *where(g, ca=False), "--ca", pki.stranger.certificate, *more)
        assert done.returncode == NOBODY and "the server's certificate is not accepted: " in done.stderr, done.stderr
        done = cli(command, *where(g), "--server-name", "elsewhere.example", *more)
        assert done.returncode == NOBODY and "it is not for 'elsewhere.example'" in done.stderr, done.stderr
        done = cli(command, *where(g, ca=False), "--ca", "/nowhere/ca.pem", *more)
        assert done.returncode == USAGE and "/nowhere/ca.pem: No such file" in done.stderr, done.stderr
    assert g.counter("events_published") == 0 and g.counter("clients_opened") == 0

    # Each of them says why. A publisher's pause before the next try is random, and when it is none at all it tries at once again.
    eventually(lambda: g.counter("tls_failed_alert") >= 6, "each of them is counted")
    assert g.counter("tls_failed_alert") <= 12
    for why in ("plain", "version", "cipher", "client_cert", "closed", "protocol", "timeout"):
        assert g.counter("tls_failed_" + why) == 0, why


def test_the_wrong_port_is_told(gateway, cli, pki):
    """TLS where none is spoken, and none where it is."""
    g = gateway()
    plain = {"publish": g.plain_ingest, "subscribe": g.plain_http}
    for command, scheme, port, more in (("publish", "tls", g.ingest, ["a", "e", "1"]), ("subscribe", "wss", g.http, ["a"])):
        done = cli(command, "--server", f"{scheme}://localhost:{plain[command][1]}", "--ca", pki.roots, *more)
        # The clients' port answers with an alert, as one who speaks TLS would.
        assert done.returncode == NOBODY and ("does not speak TLS" in done.stderr or "handshake failure" in done.stderr), done.stderr
        done = cli(command, "--server", f"localhost:{port[1]}", *more)
        assert done.returncode in (NO, NOBODY) and (command != "publish" or "speaks TLS" in done.stderr), done.stderr
