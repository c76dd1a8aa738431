# SPDX-License-Identifier: Apache-2.0
"""TLS as a proper client sees it, on both paths: versions and ciphers, records of every form, ends, sessions that are resumed, keys that are
renewed. What goes over it is looked at in test_tls_features.py."""
import json
import random
import signal
import struct

import pytest

from deadline import Deadline, eventually
from rcingest import Publisher, Wire
from rcrecords import DATA, Records, client_hello, raw_socket
from rctls import TlsSocket
from rcws import BINARY, CLOSE, TEXT, Closed, JsonClient, Stream, WebSocket, frame, open_socket, read_response, upgrade

OVER_TLS = TWO_SHARDS = True
VERSIONS = ["1.2", "1.3"]
ECHO = {"echo": "yes"}
SETTINGS = {**ECHO}
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def gauges(g):
    c = g.counters()
    return c["tls_user"], c["tls_kernel"], c["tls_handshaking"]


# ---- versions, ciphers, the two ports

@pytest.mark.tsan
@pytest.mark.parametrize("version", VERSIONS)
def test_clients_and_publishers_are_served_and_counted(gateway, tls, version):
    g = gateway()
    with JsonClient.greeted(g.http.using(version=version)) as ws, Publisher.greeted(g.ingest.using(version=version), "me") as p:
        assert ws.sock.tls.version() == "TLSv" + version
        assert ws.sock.tls.selected_alpn_protocol() == "http/1.1"
        ws.subscribe("a")
        for n in range(100):
            p.publish("a", json.dumps(n))
            assert ws.next_event()["data"] == n
        assert gauges(g) == ((2, 0, 0) if tls == "user" else (0, 2, 0))
        assert g.counter("tls_full") == 2 and g.counter("tls_resumed") == 0
        ws.close()
    eventually(lambda: gauges(g) == (0, 0, 0), "nothing of TLS is left")
    failed = {k: v for k, v in g.counters().items() if k.startswith("tls_failed") and v}
    assert not failed


@pytest.mark.one_shard
@pytest.mark.parametrize("kind", ["ec", "rsa"])
@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"])
def test_every_cipher_of_12_carries_data_both_ways(gateway, pki, kind, cipher):
    pair = pki.server(kind, kind=kind)
    g = gateway({**ECHO, "tls.certificate": pair.certificate, "tls.key": pair.key})
    name = f"ECDHE-{'RSA' if kind == 'rsa' else 'ECDSA'}-{cipher}"
    with WebSocket.open(g.http.using(version="1.2", ciphers=name), "/echo") as ws:
        assert ws.sock.tls.cipher()[0] == name
        for size in (0, 1, 16384, 100000):
            ws.send(BINARY, b"c" * size)
            assert ws.recv() == (BINARY, b"c" * size)
        ws.close()
        ws.assert_ended_properly()


@pytest.mark.one_shard
@pytest.mark.one_path
def test_what_is_too_old_or_too_weak_is_refused(gateway):
    g = gateway({"tls.min_version": "1.3"})
    with pytest.raises(OSError):
        open_socket(g.http.using(version="1.2"))
    g.until_counter("tls_failed_version", 1)
    g = gateway()
    # No authentication of the records' kind that both paths know: CBC.
    with pytest.raises(OSError):
        open_socket(g.http.using(version="1.2", ciphers="ECDHE-ECDSA-AES128-SHA256"))
    g.until_counter("tls_failed_cipher", 1)


def test_https_answers_as_http_does_and_ends_with_a_close_notify(shared_gateway):
    for request, status in ((b"GET /healthz", 200), (b"HEAD /readyz", 200), (b"GET /nowhere", 404), (b"POST /healthz", 405), (b"GET /ws", 426)):
        with Stream(open_socket(shared_gateway.http)) as s:
            s.send_bytes(request + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert read_response(s, head_only=request.startswith(b"HEAD")).status == status
            s.expect_end()


# ---- records of every form

@pytest.mark.parametrize("version", VERSIONS)
def test_a_mebibyte_goes_both_ways(shared_gateway, version):
    data = random.Random(1).randbytes(1 << 20)
    with WebSocket.open(shared_gateway.http.using(version=version), "/echo") as ws:
        for _ in range(3):
            ws.send(BINARY, data)
            assert ws.recv() == (BINARY, data)
        ws.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_events_of_every_size_arrive_whole(gateway, publisher, version):
    g = gateway()
    p = publisher(g)
    with JsonClient.greeted(g.http.using(version=version)) as ws:
        ws.subscribe("a")
        # Around what one record holds, and around what one send holds.
        for size in [*range(1, 40), *range(16384 - 200, 16384 + 40, 7), 32768, 65533, 65534]:
            p.publish("a", '"' + "x" * size + '"', wait=False)
        p.settle()
        for size in [*range(1, 40), *range(16384 - 200, 16384 + 40, 7), 32768, 65533, 65534]:
            assert len(ws.next_event()["data"]) == size


# (plain bytes of each record, bytes of each write)
FORMS = [(1, None), (2, 1), (7, 3), (125, 1000), (1000, 1), (16384, 5), (16384, 1460), (16383, 16389), (16384, 40000)]


@pytest.mark.tsan
@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_client_says_may_be_cut_anyhow(shared_gateway, version):
    with WebSocket.open(shared_gateway.http.using(Records, version=version), "/echo") as ws:
        for record, piece in FORMS:
            ws.sock.record, ws.sock.piece = record, piece
            sizes = [0, 1, 40, 126, 300] if record < 100 else [1, 200, 20000, 70000]
            for n in sizes:
                ws.send(BINARY, bytes(range(256)) * (n // 256) + b"e" * (n % 256))
            for n in sizes:
                opcode, data = ws.recv()
                assert opcode == BINARY and len(data) == n, (record, piece)
                assert data == bytes(range(256)) * (n // 256) + b"e" * (n % 256)
        ws.sock.record, ws.sock.piece = 16384, None
        ws.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_request_and_its_frames_may_share_records_or_be_strewn_over_them(shared_gateway, version):
    whole = upgrade("/echo") + frame(TEXT, "one") + frame(TEXT, "two")
    rng = random.Random(7)
    for attempt in range(20):
        with WebSocket(open_socket(shared_gateway.http.using(Records, version=version))) as ws:
            at = 0
            raw = b""
            while at < len(whole):
                # Records of no bytes are in order, too (RFC 8446 5.1).
                n = rng.choice([0, 1, 3, 30, 200]) if attempt else len(whole)
                raw += ws.sock.sending.seal(DATA, whole[at:at + n], **({"pad": rng.choice([0, 1, 100])} if version == "1.3" else {}))
                at += n
            ws.sock.piece = rng.choice([None, 1, 50, 400])
            ws.sock.send_raw(raw)
            assert read_response(ws).status == 101
            assert ws.recv() == (TEXT, b"one") and ws.recv() == (TEXT, b"two")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_publisher_says_may_be_cut_anyhow(gateway, connect, version):
    g = gateway()
    ws = connect(g, "/ws?channel=a")
    ws.await_type("subscription-ack")
    with Publisher.greeted(g.ingest.using(Records, version=version)) as p:
        for record, piece in FORMS:
            p.sock.record, p.sock.piece = record, piece
            p.stream([("a", json.dumps("x" * n)) for n in (1, 10, 100, 1000 if record < 100 else 30000)], per_batch=2)
    sizes = [len(ws.next_event()["data"]) for _ in range(4 * len(FORMS))]
    assert sizes == [n for record, _ in FORMS for n in (1, 10, 100, 1000 if record < 100 else 30000)]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_hello_that_comes_byte_by_byte_is_enough(shared_gateway, version):
    g = shared_gateway
    address = g.http.using(version=version)
    hello = client_hello(address.context)
    with Stream(raw_socket(address)) as s:
        for i in range(len(hello)):
            s.send_bytes(hello[i:i + 1])
        # The server's first record is its hello.
        assert s.read_exact(3) == b"\x16\x03\x03" and s.read_exact(3)[2] == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_data_right_behind_the_clients_finished_is_not_lost(shared_gateway, version):
    """In one segment with it, so that the handshake's last read has more before it than it may take."""
    session, _ = resumed(shared_gateway, version)
    for _ in range(10):
        # In 1.2 the client's Finished is the last one only when a session is resumed.
        address = session[0].using(session=session[1] if version == "1.2" else None)
        t = TlsSocket(raw_socket(address), address, handshake=False)
        t.handshake_step()
        t.hold = True
        while not t.handshake_step():
            t._feed()
        t.sendall(HEALTH)
        t.flush(held=True)
        t.hold = False
        with Stream(t) as stream:
            assert read_response(stream).status == 200
            stream.expect_end()


# ---- the end

@pytest.mark.tsan
@pytest.mark.parametrize("version", VERSIONS)
def test_a_stop_is_told_and_ends_with_close_notify(gateway, version):
    g = gateway({"reconnect_jitter": "100ms"})
    with JsonClient.greeted(g.http.using(version=version)) as ws, Publisher.greeted(g.ingest.using(version=version)) as p:
        g.signal(signal.SIGTERM)
        assert ws.await_type("bye")["code"] == "shutdown"
        ws.expect_close(1012)
        assert p.expect("BYE").code == 1
        p.expect_end()
        p.assert_ended_properly()
        ws.drop()
        p.drop()
        assert g.wait() == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_close_notify_is_answered_by_one(gateway, version):
    g = gateway()
    for open_one, address in ((JsonClient.greeted, g.http), (Publisher.greeted, g.ingest), (lambda a: Stream(open_socket(a)), g.http)):
        with open_one(address.using(Records, version=version)) as s:
            s.sock.say_close()
            assert s.sock.read_end() == "close_notify"
    g.until_counter("connections", 0)
    assert g.counter("tls_truncated") == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_an_end_without_close_notify_is_counted_and_harms_nobody(gateway, connect, publisher, version):
    g = gateway()
    ws, p = connect(g), publisher(g)
    ws.subscribe("a")
    for n in range(5):
        other = JsonClient.greeted(g.http.using(version=version))
        other.drop()
        g.until_counter("tls_truncated", n + 1)
    p.publish("a", "1")
    assert ws.next_event()["data"] == 1
    g.until_counter("clients", 1)


def test_a_reset_is_the_end(gateway, connect):
    g = gateway()
    ws = connect(g)
    for version in VERSIONS:
        other = JsonClient.greeted(g.http.using(version=version))
        other.subscribe("a")
        other.reset()
    g.until_counter("clients", 1)
    ws.barrier()


# ---- resuming

def resumed(g, version, session=None):
    """A new connection that offers the session; returns its own session and whether it was resumed."""
    address = g.http.using(version=version, session=session) if session is None else session[0].using(session=session[1])
    with Stream(open_socket(address)) as s:
        s.send_bytes(HEALTH)
        assert read_response(s).status == 200
        s.expect_end()
        return (address, s.sock.session()), s.sock.tls.session_reused


@pytest.mark.tsan
@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_are_resumed_by_every_shard(gateway, version, shards):
    g = gateway()
    first, was = resumed(g, version)
    assert not was and g.counter("tls_full") == 1
    session, tries = first, 0
    deadline = Deadline(30)
    while tries < 8 or not all(c["tls_resumed"] for c in g.counters_by_shard()):
        deadline.left()
        session, was = resumed(g, version, session)
        assert was, "a ticket that one shard gave is understood by the others"
        tries += 1
    assert g.counter("tls_resumed") == tries and g.counter("tls_full") == 1


@pytest.mark.one_path
@pytest.mark.parametrize("version", VERSIONS)
def test_a_ticket_of_another_gateway_is_no_harm(gateway, version):
    one, other = gateway(), gateway()
    session, _ = resumed(one, version)
    again, was = resumed(one, version, session)
    assert was
    foreign = (other.http.using(version=version), session[1])
    foreign[0]._context = session[0].context
    session, was = resumed(other, version, foreign)
    assert not was and other.counter("tls_full") == 1 and other.counter("tls_resumed") == 0


# ---- keys that are renewed

@pytest.mark.tsan
@pytest.mark.parametrize("both", [False, True], ids=["its own", "both"])
def test_a_clients_keyupdate_goes_on_or_is_closed_properly(gateway, publisher, tls, both):
    g = gateway()
    p = publisher(g)
    with JsonClient.greeted(g.http.using(Records, version="1.3")) as ws:
        ws.subscribe("a")
        ws.sock.update(both)
        if tls == "kernel":
            # It can't give the kernel other keys: the client is told to come back at once.
            code, _ = ws.expect_close(*range(4200, 4300))
            assert code == 4202
            g.until_counter("tls_renewed", 1)
            return
        for n in range(20):
            ws.barrier()
            p.publish("a", str(n))
            assert ws.next_event()["data"] == n
            ws.sock.update(both)
        ws.barrier()
        assert ws.sock.updates == (21 if both else 0)
        assert g.counter("tls_key_updates") == 21 + ws.sock.updates
        ws.close()


def test_a_publishers_keyupdate_goes_on_or_is_closed_properly(gateway, tls):
    g = gateway()
    with Publisher.greeted(g.ingest.using(Records, version="1.3")) as p:
        p.publish("a", "1")
        p.sock.update(True)
        if tls == "kernel":
            p.expect("BYE")
            p.expect_end()
            return
        for n in range(50):
            p.publish("a", "1")
            p.sock.update(n % 2 == 0)
        p.publish("a", "1")
        assert p.sock.updates > 0


def test_updates_by_the_dozen_cost_one_answer_at_a_time(gateway, tls):
    """Each asks for an update of the other side; who does not read is answered no more than once."""
    if tls == "kernel":
        pytest.skip("the first one closes the connection there")
    g = gateway()
    with JsonClient.greeted(g.http.using(Records, version="1.3")) as ws:
        for _ in range(24):
            ws.sock.update(True)
        ws.barrier()
        assert 1 <= ws.sock.updates <= 24
        before = g.counter("tls_key_updates")
        assert before == 24 + ws.sock.updates
        ws.close()


@pytest.mark.tsan
def test_after_renew_records_keys_are_renewed_in_13(gateway, publisher, tls):
    g = gateway({"tls.renew_records": "16"})
    p = publisher(g)
    with JsonClient.greeted(g.http.using(version="1.3")) as ws, JsonClient.greeted(g.http.using(Records, version="1.3")) as raw:
        clients = [ws, raw]
        for c in clients:
            c.subscribe("a")
        if tls == "kernel":
            n = 0
            while g.counter("tls_renewed") < 2:
                n += 1
                p.publish("a", str(n))
            for c in clients:
                seen = []
                try:
                    while True:
                        seen.append(c.next_event()["data"])
                except Closed as e:
                    assert e.code == 4202 and e.reason
                assert seen == list(range(1, len(seen) + 1)) and len(seen) >= 8
            return
        for n in range(400):
            p.publish("a", str(n))
            for c in clients:
                assert c.next_event()["data"] == n
        assert raw.sock.updates >= 400 // 16
        # The publisher's answers came in as many records.
        assert g.counter("tls_key_updates") >= 2 * raw.sock.updates
        for c in clients:
            c.close()


@pytest.mark.tsan
def test_after_renew_records_a_client_of_12_is_asked_to_come_back(gateway, publisher):
    g = gateway({"tls.renew_records": "16"})
    n = 0
    with JsonClient.greeted(g.http.using(version="1.2")) as ws, Publisher.greeted(g.plain_ingest) as p:
        ws.subscribe("a")
        try:
            while n < 100:
                p.publish("a", str(n + 1))
                assert ws.next_event()["data"] == n + 1
                n += 1
        except Closed as e:
            assert e.code == 4202 and e.reason
        # It was told in time, after about 16 records.
        assert 8 <= n <= 16
        ws.send(CLOSE, struct.pack("!H", 4202))
        ws.expect_end()
    assert g.counter("tls_renewed") == 1 and g.counter("tls_key_updates") == 0
    g.until_counter("clients_closed", 1)


def test_a_publisher_of_12_is_asked_to_come_back_and_loses_nothing(gateway):
    g = gateway({"tls.renew_records": "16"})
    with JsonClient.greeted(g.plain_http) as ws:
        ws.subscribe("a")
        last = 0
        for _ in range(3):
            with Publisher.greeted(g.ingest.using(version="1.2"), "steady") as p:
                assert p.welcome.last_sequence == last
                bye = None
                while not bye:
                    p.publish("a", str(p.sequence + 1), wait=False, flags=Wire.FLAG_WANT_ACK)
                    while p.acked < p.sequence and not bye:
                        f = p.take()
                        bye = f if f.name == "BYE" else None
                p.expect_end()
                p.assert_ended_properly()
                assert p.acked > last
                last = p.acked
        assert [ws.next_event()["data"] for _ in range(last)] == list(range(1, last + 1))
