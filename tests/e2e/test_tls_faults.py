# SPDX-License-Identifier: Apache-2.0
"""What is wrong on purpose, at every stage of TLS: another protocol on the port, handshakes that stop or break, records that are forged, of no
known kind, too long or cut. Each ends with one clear answer, is counted, and harms nobody."""
import contextlib
import ctypes
import random
import re
import socket
import struct

import pytest

from deadline import SLOW, eventually
from rcingest import Publisher, Wire, hello
from rcrecords import ALERT, CHANGE_CIPHER_SPEC, DATA, HANDSHAKE, HEARTBEAT, PLAIN_MAX, Records, client_hello, raw_socket
from rcws import TEXT, JsonClient, Stream, WebSocket, frame, read_response, upgrade

OVER_TLS = TWO_SHARDS = True
SETTINGS = {"echo": "yes"}
VERSIONS = ["1.2", "1.3"]
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
FAILURES = ["plain", "version", "cipher", "client_cert", "alert", "closed", "protocol", "timeout"]
# Alerts, RFC 8446 6.
UNEXPECTED, BAD_MAC, OVERFLOW, HANDSHAKE_FAILURE, ILLEGAL, DECODE, NO_RENEGOTIATION = 10, 20, 22, 40, 47, 50, 100

# The others have to make it, too, on a slow machine.
BRIEF = f"{int(max(500, 150 * SLOW))}ms"


def failed(g):
    c = g.counters()
    return {k: c["tls_failed_" + k] for k in FAILURES if c["tls_failed_" + k]}


@contextlib.contextmanager
def others_go_on(g, connect, publisher):
    """A client and a publisher that were there before notice nothing, and nothing is left of what came meanwhile."""
    ws, p = connect(g), publisher(g)
    ws.subscribe("others")
    # The gauge of connections is a second old.
    before = g.descriptors()
    yield
    for n in range(5):
        p.publish("others", str(n))
        assert ws.next_event()["data"] == n
    eventually(lambda: g.descriptors() == before and g.counter("tls_handshaking") == 0, "the wrong ones are gone")


# ---- another protocol than TLS, or TLS where none is spoken

def test_http_on_the_tls_port_is_told_what_is_spoken_there(gateway, connect, publisher):
    g = gateway()
    with others_go_on(g, connect, publisher):
        for request in (HEALTH, upgrade("/ws"), b"POST / HTTP/1.0\r\n\r\n"):
            with Stream(raw_socket(g.http)) as s:
                s.send_bytes(request)
                r = read_response(s)
                assert r.status == 400 and b"TLS" in r.body and b"https" in r.body
                s.expect_end()
    assert failed(g) == {"plain": 3}


@pytest.mark.tsan
def test_noise_on_the_tls_ports_ends(gateway, connect, publisher):
    g = gateway({"handshake_timeout": BRIEF})
    rng = random.Random(5)
    with others_go_on(g, connect, publisher):
        noises = [b"\0", b"\x16", b"\x16\x03", b"\x16\x03\x01\xff\xff", b"\x80\x2e\x01\x03\x01" + bytes(40), b"\x15\x03\x01\0\x02\x02\x28", b"\r\n" * 50,
                  b"SSH-2.0-x\r\n", *(rng.randbytes(rng.randrange(1, 3000)) for _ in range(40)),
                  *(b"\x16\x03\x01" + rng.randbytes(600) for _ in range(10))]
        for address in (g.http, g.ingest):
            for noise in noises:
                with Stream(raw_socket(address)) as s:
                    s.send_bytes(noise)
                    s.read_to_end()
    assert sum(failed(g).values()) == 2 * len(noises)


def test_a_publisher_without_tls_is_told_so(gateway, connect, publisher):
    g = gateway()
    with others_go_on(g, connect, publisher):
        with Publisher.open(g.plain_ingest.__class__(g.ingest)) as p:
            p.send_bytes(hello("me"))
            error = p.expect_error(Wire.ERROR_BAD_FRAME, closes=True)
            assert "TLS" in error.text
    assert failed(g) == {"plain": 1}


def test_tls_on_the_plain_ports_is_closed_and_counted(gateway, connect, publisher):
    g = gateway()
    with others_go_on(g, connect, publisher):
        for n, address in enumerate((g.plain_http, g.plain_ingest), 1):
            with Stream(raw_socket(address)) as s:
                s.send_bytes(client_hello())
                answer = s.read_to_end()
                if answer and n == 1:
                    # A fatal alert, so that the client says something better than "connection closed".
                    assert answer == b"\x15\x03\x01\0\x02\x02\x28"
            g.until_counter("tls_on_plain_port", n)
    assert failed(g) == {}


# ---- handshakes that stop or break

def test_a_hello_that_stops_is_timed_out_or_closed(gateway, connect, publisher):
    g = gateway({"handshake_timeout": BRIEF})
    whole = client_hello()
    with others_go_on(g, connect, publisher):
        for n in (0, 1, 4, 5, 6, 100, len(whole) - 1):
            with Stream(raw_socket(g.http)) as s:
                s.send_bytes(whole[:n])
                s.read_to_end()
        g.until_counter("tls_failed_timeout", 7)
        for n in (0, 1, 4, 5, 6, 100, len(whole) - 1):
            with Stream(raw_socket(g.http)) as s:
                s.send_bytes(whole[:n])
                s.sock.shutdown(socket.SHUT_WR)
                s.read_to_end()
            with Stream(raw_socket(g.http)) as s:
                s.send_bytes(whole[:n])
                s.reset()
    eventually(lambda: sum(failed(g).values()) == 21, "each is counted")
    assert failed(g)["timeout"] == 7


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_that_goes_after_its_hello_is_counted(gateway, connect, publisher, version):
    g = gateway({"handshake_timeout": BRIEF})
    context = g.http.using(version=version).context
    with others_go_on(g, connect, publisher):
        with Stream(raw_socket(g.http)) as s:
            s.send_bytes(client_hello(context))
            s.read_exact(100)
        eventually(lambda: sum(failed(g).values()) == 1, "it is counted")
        assert failed(g) == {"closed": 1}
        with Stream(raw_socket(g.http)) as s:
            s.send_bytes(client_hello(context))
            s.read_to_end()
        assert failed(g) == {"closed": 1, "timeout": 1}


def test_hellos_in_which_a_byte_is_wrong_break_nothing(gateway, connect, publisher):
    g = gateway({"handshake_timeout": BRIEF})
    rng = random.Random(11)
    whole = client_hello()
    with others_go_on(g, connect, publisher):
        for _ in range(60):
            raw = bytearray(whole)
            for _ in range(rng.choice([1, 1, 5])):
                raw[rng.randrange(5, len(raw))] = rng.randrange(256)
            with Stream(raw_socket(g.http)) as s:
                s.send_bytes(bytes(raw))
                s.sock.shutdown(socket.SHUT_WR)
                s.read_to_end()


# ---- records that are wrong. The connection ends with the alert that it deserves.

def wrong_record(version, what):
    """(what is sent, which alerts may come, which counter tells it)"""
    forged, malformed = "tls_bad_records", "tls_bad_messages"
    too_long = PLAIN_MAX + (257 if version == "1.3" else 2049)
    return {
        "forged tag": (lambda s: s.forge(), {BAD_MAC}, forged),
        "forged first byte": (lambda s: s.forge(b"hello", 5), {BAD_MAC}, forged),
        # In TLS 1.2 the kernel looks at a record when header and nonce are there, 13 bytes, though they may be the next one's. Who sends
        # less is ended by the heartbeat like anyone who stops within a record.
        "no tag": (lambda s: s.send_raw(b"\x17\x03\x03\0\x0ahellohello"), {BAD_MAC, DECODE}, forged),
        "empty": (lambda s: s.send_raw(3 * b"\x17\x03\x03\0\0"), {BAD_MAC, DECODE, UNEXPECTED}, forged),
        "too long": (lambda s: s.send_raw(struct.pack("!BHH", 23, 0x303, too_long) + bytes(too_long)), {OVERFLOW, BAD_MAC}, forged),
        "too long a length": (lambda s: s.send_raw(b"\x17\x03\x03\xff\xff" + bytes(100)), {OVERFLOW}, forged),
        "too many plain bytes": (lambda s: s.send_record(DATA, bytes(PLAIN_MAX + 1)), {OVERFLOW}, forged),
        "another protocol": (lambda s: s.send_raw(b"GET / HTTP/1.1\r\n\r\n"), {UNEXPECTED, DECODE, OVERFLOW, 70}, forged),
        "another version": (lambda s: s.send_raw(b"\x17\x02\x00\0\x20" + bytes(32)), {UNEXPECTED, DECODE, 70, BAD_MAC}, forged),
        "a record again": (replayed, {BAD_MAC}, forged),
        "an unknown type": (lambda s: s.send_record(99, b"hello"), {UNEXPECTED}, None),
        "a heartbeat": (lambda s: s.send_record(HEARTBEAT, b"\x01\0\x10" + bytes(32)), {UNEXPECTED}, None),
        "renegotiation": (lambda s: s.send_record(HANDSHAKE, client_hello()[5:]), {UNEXPECTED, NO_RENEGOTIATION, HANDSHAKE_FAILURE}, malformed),
        "a Finished again": (lambda s: s.send_record(HANDSHAKE, b"\x14\0\0\x0c" + bytes(12)), {UNEXPECTED}, malformed),
        "half a message": (lambda s: s.send_record(HANDSHAKE, b"\x18\0"), {UNEXPECTED, DECODE}, malformed),
        "an empty message": (lambda s: s.send_record(HANDSHAKE, b""), {UNEXPECTED, DECODE}, None),
        "an alert of one byte": (lambda s: s.send_record(ALERT, b"\x01"), {UNEXPECTED, DECODE}, malformed),
        "a change of cipher": (lambda s: s.send_record(CHANGE_CIPHER_SPEC, b"\x01"), {UNEXPECTED}, None),
    }[what]


def replayed(s):
    record = s.sending.seal(DATA, frame(TEXT, "once"))
    s.send_raw(record + record)


WRONG = ["forged tag", "forged first byte", "no tag", "empty", "too long", "too long a length", "too many plain bytes", "another protocol",
         "another version", "a record again", "an unknown type", "a heartbeat", "renegotiation", "a Finished again", "half a message",
         "an empty message", "an alert of one byte", "a change of cipher"]


@pytest.mark.tsan
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_record_ends_the_connection(shared_gateway, connect, publisher, tls, version, what):
    g = shared_gateway
    send, alerts, counter = wrong_record(version, what)
    before = g.counters()
    with others_go_on(g, connect, publisher):
        with WebSocket.open(g.http.using(Records, version=version), "/echo") as ws:
            ws.send(TEXT, "before")
            assert ws.recv() == (TEXT, b"before")
            send(ws.sock)
            end = ws.sock.read_end()
            # The kernel answers nothing by itself, and what it dropped nobody can tell.
            assert end in alerts or tls == "kernel" and end in ("cut", "reset", "close_notify"), end
    now = g.counters()
    if counter:
        assert now[counter] == before[counter] + 1
    assert now["tls_bad_records"] + now["tls_bad_messages"] == before["tls_bad_records"] + before["tls_bad_messages"] + 1


@pytest.mark.parametrize("version", VERSIONS)
def test_wrong_records_of_publishers_are_no_better(gateway, connect, publisher, tls, version):
    g = gateway()
    with others_go_on(g, connect, publisher):
        for n, what in enumerate(("forged tag", "too long a length", "renegotiation", "a heartbeat"), 1):
            with Publisher.greeted(g.ingest.using(Records, version=version)) as p:
                p.publish("a", "1")
                send, alerts, _ = wrong_record(version, what)
                send(p.sock)
                end = p.sock.read_end()
                assert end in alerts or tls == "kernel" and end in ("cut", "reset", "close_notify"), end
            eventually(lambda: g.counter("tls_bad_records") + g.counter("tls_bad_messages") == n, "it is counted")


def test_keyupdates_that_are_wrong_end_the_connection(gateway, tls):
    g = gateway()
    wrong = [b"\x18\0\0\x01\x02", b"\x18\0\0\x02\0\0", b"\x18\0\0\0", b"\x18\0\0\x01\0" * 2]
    for n, message in enumerate(wrong, 1):
        with JsonClient.greeted(g.http.using(Records, version="1.3")) as ws:
            ws.sock.send_record(HANDSHAKE, message)
            end = ws.sock.read_end()
            assert end in (UNEXPECTED, DECODE, ILLEGAL) or tls == "kernel", end
        if tls == "user":
            g.until_counter("tls_bad_messages", n)
    # In 1.2 there is no such message.
    with JsonClient.greeted(g.http.using(Records, version="1.2")) as ws:
        ws.sock.send_record(HANDSHAKE, b"\x18\0\0\x01\0")
        assert ws.sock.read_end() in (UNEXPECTED, DECODE, NO_RENEGOTIATION, "close_notify", "cut")


@pytest.mark.parametrize("version", VERSIONS)
def test_half_a_record_waits_and_a_connection_that_ends_in_it_is_let_go(shared_gateway, connect, publisher, version):
    g = shared_gateway
    with others_go_on(g, connect, publisher):
        before = g.counter("tls_truncated")
        for n, cut in enumerate((1, 4, 5, 6, 20, -1), 1):
            with WebSocket.open(g.http.using(Records, version=version), "/echo") as ws:
                record = ws.sock.sending.seal(DATA, frame(TEXT, "x" * 1000))
                ws.sock.send_raw(record[:cut])
                ws.drop()
            g.until_counter("tls_truncated", before + n)


@pytest.mark.parametrize("version", VERSIONS)
def test_alerts_of_the_client_end_it(gateway, version):
    g = gateway()
    for message in (b"\x02\x28", b"\x02\x50", b"\x01\x00", b"\x01\x5a\x01\x00"[:2]):
        with JsonClient.greeted(g.http.using(Records, version=version)) as ws:
            ws.sock.send_record(ALERT, message)
            if message == b"\x01\x5a":
                # user_canceled is followed by close_notify.
                ws.sock.say_close()
            assert ws.sock.read_end() in ("close_notify", "cut", "reset")
    g.until_counter("connections", 0)
    assert g.counter("tls_bad_messages") == 0 and g.counter("tls_bad_records") == 0


def test_what_comes_behind_a_close_notify_is_not_looked_at(gateway):
    g = gateway()
    with JsonClient.greeted(g.http.using(Records)) as ws:
        close = ws.sock.sending.seal(ALERT, b"\x01\0")
        ws.sock.send_raw(close + ws.sock.sending.seal(DATA, frame(TEXT, '{"type":"ping"}')) + b"noise" * 100)
        assert ws.sock.read_end() in ("close_notify", "reset")
    g.until_counter("connections", 0)
    assert g.counter("messages_in") == 0


# ---- early data

def _libssl():
    with open("/proc/self/maps") as f:
        lib = ctypes.CDLL(re.search(r"\S+/libssl\S*", f.read()).group(0))
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new", "SSL_get1_session"):
        getattr(lib, name).restype = ctypes.c_void_p
    return lib


def test_early_data_is_refused_and_the_request_behind_it_is_answered(gateway):
    """Python's ssl does not know it, and our tickets forbid it: libssl is called and its copy of the session changed."""
    g, lib = gateway(), _libssl()
    c = ctypes.c_void_p
    context = c(lib.SSL_CTX_new(c(lib.TLS_client_method())))
    buffer, n = ctypes.create_string_buffer(4096), ctypes.c_size_t()

    def ask(session, early):
        with raw_socket(g.http) as s:
            s.setblocking(True)
            ssl = c(lib.SSL_new(context))
            assert lib.SSL_set_fd(ssl, s.fileno()) == 1
            if session:
                assert lib.SSL_set_session(ssl, session) == 1
            if early:
                assert lib.SSL_write_early_data(ssl, early, ctypes.c_size_t(len(early)), ctypes.byref(n)) == 1
            assert lib.SSL_connect(ssl) == 1
            status = lib.SSL_get_early_data_status(ssl)
            assert lib.SSL_write(ssl, HEALTH, len(HEALTH)) == len(HEALTH)
            got = b""
            while (k := lib.SSL_read(ssl, buffer, 4096)) > 0:
                got += buffer.raw[:k]
            kept = c(lib.SSL_get1_session(ssl))
            # A session whose connection was not shut down is not resumed by libssl.
            lib.SSL_shutdown(ssl)
            lib.SSL_free(ssl)
            return got, status, kept

    got, status, session = ask(None, b"")
    assert got.startswith(b"HTTP/1.1 200") and status == 0
    assert lib.SSL_SESSION_get_max_early_data(session) == 0, "the gateway's tickets do not offer it"
    assert lib.SSL_SESSION_set_max_early_data(session, 4000) == 1
    got, status, kept = ask(session, b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n")
    # 1: rejected. The answer is to what was sent after the handshake, and there is but one.
    assert status == 1 and got.startswith(b"HTTP/1.1 200") and got.count(b"HTTP/1.1") == 1
    assert g.counter("http_404") == 0
    for s in (session, kept):
        lib.SSL_SESSION_free(s)
    lib.SSL_CTX_free(context)
