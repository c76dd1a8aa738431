# SPDX-License-Identifier: Apache-2.0
"""RFC 6455 on /echo, in the order in which the Autobahn test suite goes through it: its categories 1 to 7, 9 and 10, and real clients."""
import asyncio
import json
import os
import random
import struct
import subprocess

import pytest

from deadline import SLOW
from rcgateway import resident
from rcws import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, WebSocket, frame

SETTINGS = {"echo": "yes"}
KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture
def echo(shared_gateway):
    with WebSocket.open(shared_gateway.http, "/echo") as ws:
        yield ws


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


def goes_on(ws):
    ws.send(TEXT, "still here")
    assert ws.recv() == (TEXT, b"still here")
    ws.close()


def pieces(raw, size):
    return [raw[i:i + size] for i in range(0, len(raw), size)]


def drip(ws, raw, size=1):
    for piece in pieces(raw, size):
        ws.send_bytes(piece)


# ---- 1: framing

LENGTHS = [0, 1, 125, 126, 127, 128, 65535, 65536, 65537]


@pytest.mark.tsan
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", LENGTHS)
def test_1_messages_of_every_length_form(echo, opcode, size):
    payload = b"*" * size if opcode == TEXT else os.urandom(size)
    echo.send(opcode, payload)
    assert echo.recv() == (opcode, payload)
    echo.close()


@pytest.mark.parametrize("chop", [1, 7, 997])
def test_1_a_message_that_comes_in_small_writes(echo, chop):
    payload = os.urandom(2000 if chop == 1 else 65536)
    drip(echo, frame(BINARY, payload), chop)
    assert echo.recv() == (BINARY, payload)
    echo.close()


@pytest.mark.parametrize("key", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04"])
def test_1_every_mask_is_taken_off(echo, key):
    for size in (0, 1, 2, 3, 4, 5, 7, 8, 63, 64, 65, 1001):
        payload = os.urandom(size)
        echo.send(BINARY, payload, key=key)
        assert echo.recv() == (BINARY, payload)
    echo.close()


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_1_a_frame_without_mask_is_1002(echo, opcode):
    echo.send(opcode, b"", key=None)
    echo.expect_close(1002)


@pytest.mark.parametrize("size,form", [(0, 16), (125, 16), (0, 64), (125, 64), (126, 64), (65535, 64)])
def test_1_a_length_in_a_longer_form_than_it_needs_is_1002(echo, size, form):
    echo.send(BINARY, b"x" * size, form=form)
    echo.expect_close(1002)


def test_1_a_length_with_the_highest_bit_is_refused(echo):
    echo.send_bytes(struct.pack("!BBQ", 0x82, 0x80 | 127, 1 << 63) + b"mask")
    echo.expect_close(1002, 1009)


def test_1_many_messages_in_one_write_come_back_in_order(echo):
    messages = [f"message {i}".encode() * (i % 9) for i in range(500)]
    echo.send_bytes(b"".join(frame(TEXT, m) for m in messages))
    for m in messages:
        assert echo.recv() == (TEXT, m)
    echo.close()


def test_1_nothing_is_sent_that_was_not_asked_for(echo):
    # A greeting would come before the echo.
    echo.send(TEXT, "first")
    assert echo.recv(pings=True) == (TEXT, b"first")
    echo.close()


def test_1_the_echo_takes_a_query(shared_gateway):
    with WebSocket.open(shared_gateway.http, "/echo?channel=a&token=b") as ws:
        goes_on(ws)


# ---- 2: ping and pong

@pytest.mark.parametrize("payload", [b"", b"Hello, world!", bytes([0, 255, 254, 253, 252, 251, 0, 255]), b"\xfe" * 125],
                         ids=["empty", "text", "binary", "125 bytes"])
def test_2_a_ping_is_answered_with_its_payload(echo, payload):
    echo.send(PING, payload)
    assert echo.recv(pings=True) == (PONG, payload)
    goes_on(echo)


def test_2_a_ping_of_126_bytes_is_1002(echo):
    echo.send(PING, b"\xfe" * 126)
    echo.expect_close(1002)


def test_2_a_ping_may_come_byte_by_byte(echo):
    drip(echo, frame(PING, b"\xfe" * 125))
    assert echo.recv(pings=True) == (PONG, b"\xfe" * 125)
    goes_on(echo)


@pytest.mark.parametrize("payload", [b"", b"unsolicited"])
def test_2_a_pong_nobody_asked_for_changes_nothing(echo, payload):
    echo.send(PONG, payload)
    goes_on(echo)


def test_2_a_pong_nobody_asked_for_is_not_taken_for_a_ping(echo):
    echo.send(PONG, b"unsolicited")
    echo.send(PING, b"asked")
    assert echo.recv(pings=True) == (PONG, b"asked")
    goes_on(echo)


@pytest.mark.parametrize("chop", [None, 1])
def test_2_ten_pings_are_answered_in_order(echo, chop):
    raw = b"".join(frame(PING, f"payload-{i}".encode()) for i in range(10))
    drip(echo, raw, chop or len(raw))
    for i in range(10):
        assert echo.recv(pings=True) == (PONG, f"payload-{i}".encode())
    goes_on(echo)


# ---- 3: reserved bits

@pytest.mark.parametrize("rsv", range(1, 8))
def test_3_reserved_bits_are_1002(shared_gateway, rsv):
    for opcode, payload in ((TEXT, b"Hello"), (BINARY, b"\0\xff"), (TEXT, b""), (PING, b"Hello"), (PONG, b""),
                            (CLOSE, close_payload(1000))):
        with WebSocket.open(shared_gateway.http, "/echo") as ws:
            ws.send(opcode, payload, rsv=rsv)
            ws.expect_close(1002)


def test_3_what_came_before_a_reserved_bit_is_still_echoed(echo):
    echo.send_bytes(frame(TEXT, "good") + frame(TEXT, "bad", rsv=4) + frame(PING, b"late"))
    assert echo.recv() == (TEXT, b"good")
    echo.expect_close(1002)


def test_3_reserved_bits_inside_a_fragmented_message_are_1002(echo):
    echo.send_bytes(frame(TEXT, "a", fin=False) + frame(CONTINUATION, "b", rsv=2))
    echo.expect_close(1002)


# ---- 4: opcodes

@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_4_reserved_opcodes_are_1002(shared_gateway, opcode):
    for payload, before in ((b"", b""), (b"reserved", b""), (b"", frame(TEXT, "good")), (b"x", frame(TEXT, "good"))):
        with WebSocket.open(shared_gateway.http, "/echo") as ws:
            ws.send_bytes(before + frame(opcode, payload) + frame(PING))
            if before:
                assert ws.recv() == (TEXT, b"good")
            ws.expect_close(1002)


# ---- 5: fragmentation

@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_5_a_control_frame_in_fragments_is_1002(echo, opcode):
    echo.send(opcode, b"", fin=False)
    echo.expect_close(1002)


FRAGMENTED = frame(TEXT, "fragment1", fin=False) + frame(CONTINUATION, "fragment2")


@pytest.mark.parametrize("chop", [None, 1, 3])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_5_a_message_in_fragments_is_echoed_whole(echo, opcode, chop):
    raw = frame(opcode, "fragment1", fin=False) + frame(CONTINUATION, "fragment2")
    drip(echo, raw, chop or len(raw))
    assert echo.recv() == (opcode, b"fragment1fragment2")
    goes_on(echo)


@pytest.mark.parametrize("chop", [None, 1])
def test_5_a_ping_between_fragments_is_answered_before_the_message(echo, chop):
    raw = frame(TEXT, "fragment1", fin=False) + frame(PING, b"between") + frame(CONTINUATION, "fragment2")
    drip(echo, raw, chop or len(raw))
    assert echo.recv(pings=True) == (PONG, b"between")
    assert echo.recv() == (TEXT, b"fragment1fragment2")
    goes_on(echo)


def test_5_the_answer_to_a_ping_between_fragments_does_not_wait_for_the_rest(echo):
    echo.send(TEXT, "fragment1", fin=False)
    echo.send(PING, b"between")
    assert echo.recv(pings=True) == (PONG, b"between")
    echo.send(CONTINUATION, "fragment2")
    assert echo.recv() == (TEXT, b"fragment1fragment2")
    goes_on(echo)


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("chop", [None, 1])
def test_5_a_continuation_of_nothing_is_1002(echo, fin, chop):
    raw = frame(CONTINUATION, "of nothing", fin=fin) + frame(TEXT, "Hello")
    try:
        drip(echo, raw, chop or len(raw))
    except OSError:
        pass
    echo.expect_close(1002)


def test_5_a_continuation_behind_a_whole_fragmented_message_is_1002(echo):
    echo.send_bytes(FRAGMENTED + frame(CONTINUATION, "more"))
    assert echo.recv() == (TEXT, b"fragment1fragment2")
    echo.expect_close(1002)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("fin", [True, False])
def test_5_a_message_inside_a_message_is_1002(echo, opcode, fin):
    echo.send_bytes(frame(TEXT, "fragment1", fin=False) + frame(opcode, "another", fin=fin))
    echo.expect_close(1002)


def test_5_five_fragments_with_pings_between(echo):
    parts = [frame(TEXT if i == 0 else CONTINUATION, f"fragment{i}", fin=i == 4) + (frame(PING, f"ping{i}") if i < 4 else b"")
             for i in range(5)]
    for part in parts:
        echo.send_bytes(part)
    for i in range(4):
        assert echo.recv(pings=True) == (PONG, f"ping{i}".encode())
    assert echo.recv() == (TEXT, b"".join(f"fragment{i}".encode() for i in range(5)))
    goes_on(echo)


def test_5_empty_fragments_are_fragments(echo):
    echo.send_bytes(frame(TEXT, "", fin=False) + frame(CONTINUATION, "", fin=False) * 20 + frame(CONTINUATION, "", fin=True))
    assert echo.recv() == (TEXT, b"")
    echo.send_bytes(frame(TEXT, "", fin=False) + frame(CONTINUATION, "middle", fin=False) + frame(CONTINUATION, "", fin=True))
    assert echo.recv() == (TEXT, b"middle")
    goes_on(echo)


def test_5_the_type_of_a_fragmented_message_is_kept(echo):
    echo.send_bytes(frame(BINARY, b"\xff", fin=False) + frame(CONTINUATION, b"\xfe"))
    assert echo.recv() == (BINARY, b"\xff\xfe")
    goes_on(echo)


# ---- 6: UTF-8

# The edges of each length, and what is odd but valid.
VALID_TEXT = [
    "", "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!", "\u03ba\u1f79\u03c3\u03bc\u03b5", "\0", "\x7f", "\x80", "\u07ff",
    "\u0800", "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\uffff", "\ufdd0", "\U00010000", "\U0001fffe", "\U0010ffff",
    "\U0001d11e \U00010348 \u65e5\u672c\u8a9e",
]


@pytest.mark.parametrize("text", VALID_TEXT, ids=[ascii(t)[1:-1] or "empty" for t in VALID_TEXT])
def test_6_valid_text_is_echoed_however_it_is_cut(shared_gateway, text):
    raw = text.encode()
    with WebSocket.open(shared_gateway.http, "/echo") as ws:
        ws.send(TEXT, raw)
        assert ws.recv() == (TEXT, raw)
        for at in range(1, len(raw)):
            # Between fragments, also inside a character.
            ws.send_bytes(frame(TEXT, raw[:at], fin=False) + frame(CONTINUATION, raw[at:]))
            assert ws.recv() == (TEXT, raw)
        drip(ws, frame(TEXT, raw))
        assert ws.recv() == (TEXT, raw)
        ws.close()


INVALID_TEXT = [
    b"\x80", b"\xbf", b"\x80\xbf", b"\xc0", b"\xc0\x80", b"\xc0\xaf", b"\xc1\xbf", b"\xc2", b"\xc2\x20", b"\xdf",
    b"\xe0\x80\x80", b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xe0\xa0", b"\xe2\x82", b"\xe2\x28\xa1", b"\xe2\x82\x28",
    b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80", b"\xf0\x80\x80\x80", b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf", b"\xf0\x9f\x92", b"\xf0\x28\x8c\xbc", b"\xf0\x90\x28\xbc", b"\xf0\x28\x8c\x28", b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xfe", b"\xff", b"\xfe\xfe\xff\xff",
    "κόσμε".encode() + b"\xed\xa0\x80" + b"edited", b"a" * 1000 + b"\xff" + b"a" * 1000,
]


@pytest.mark.parametrize("raw", INVALID_TEXT, ids=[r[:12].hex() for r in INVALID_TEXT])
def test_6_invalid_text_is_1007(shared_gateway, raw):
    with WebSocket.open(shared_gateway.http, "/echo") as ws:
        ws.send(TEXT, raw)
        ws.expect_close(1007)
    with WebSocket.open(shared_gateway.http, "/echo") as ws:
        at = len(raw) // 2
        ws.send_bytes(frame(TEXT, raw[:at], fin=False) + frame(CONTINUATION, raw[at:]))
        ws.expect_close(1007)


@pytest.mark.parametrize("raw", INVALID_TEXT[:3] + INVALID_TEXT[-3:])
def test_6_the_same_bytes_are_fine_in_a_binary_message(echo, raw):
    echo.send(BINARY, raw)
    assert echo.recv() == (BINARY, raw)
    echo.close()


def test_6_invalid_text_in_a_fragment_fails_before_the_message_ends(echo):
    echo.send(TEXT, "κόσμε", fin=False)
    echo.send(CONTINUATION, b"\xf4\x90\x80\x80", fin=False)
    echo.expect_close(1007)


@pytest.mark.parametrize("bad", [b"\xf4\x90", b"\xff", b"\xed\xa0", b"\xc0"])
def test_6_invalid_text_in_a_piece_of_a_frame_fails_before_the_frame_ends(echo, bad):
    raw = frame(TEXT, "κόσμε".encode() + bad + b"x" * 100)
    # Head, mask, the good text, the bad bytes; the hundred never come.
    echo.send_bytes(raw[:len(raw) - 100])
    echo.expect_close(1007)


def test_6_a_character_that_is_cut_off_by_the_end_of_the_message_is_1007(echo):
    echo.send_bytes(frame(TEXT, b"\xf0\x9f", fin=False) + frame(CONTINUATION, b"\x92", fin=True))
    echo.expect_close(1007)


def test_6_a_ping_between_the_bytes_of_a_character_changes_nothing(echo):
    echo.send_bytes(frame(TEXT, b"\xf0\x9f", fin=False) + frame(PING, b"\xff\xfe") + frame(CONTINUATION, b"\x92\xa9"))
    assert echo.recv(pings=True) == (PONG, b"\xff\xfe")
    assert echo.recv() == (TEXT, "💩".encode())
    echo.close()


# ---- 7: closing

def test_7_a_close_is_answered_and_the_connection_ends(echo):
    echo.send_bytes(frame(TEXT, "last") + frame(CLOSE, close_payload(1000)))
    assert echo.recv() == (TEXT, b"last")
    echo.expect_close(1000)


def test_7_two_closes_are_one(echo):
    echo.send_bytes(frame(CLOSE, close_payload(1000)) * 2)
    echo.expect_close(1000)


@pytest.mark.parametrize("late", [frame(PING, b"late"), frame(TEXT, "late"), frame(TEXT, "late", rsv=7), frame(3)],
                         ids=["ping", "text", "reserved bit", "reserved opcode"])
def test_7_what_follows_a_close_is_not_looked_at(echo, late):
    echo.send_bytes(frame(CLOSE, close_payload(1000)) + late)
    echo.expect_close(1000)


def test_7_a_close_between_fragments_ends_without_the_message(echo):
    echo.send_bytes(frame(TEXT, "fragment1", fin=False) + frame(CLOSE, close_payload(1000)) + frame(CONTINUATION, "2"))
    echo.expect_close(1000)


def test_7_an_empty_close_is_answered_with_an_empty_one_or_1000(echo):
    echo.send(CLOSE)
    echo.expect_close(1000, 1005)


def test_7_a_close_of_one_byte_is_1002(echo):
    echo.send(CLOSE, b"a")
    echo.expect_close(1002)


@pytest.mark.parametrize("reason", [b"", b"Hello World!", "κόσμε".encode(), b"*" * 123], ids=["none", "text", "utf8", "123"])
def test_7_a_reason_may_have_123_bytes(echo, reason):
    echo.send(CLOSE, close_payload(1000, reason))
    echo.expect_close(1000)


def test_7_a_reason_of_124_bytes_is_1002(echo):
    echo.send(CLOSE, close_payload(1000, b"*" * 124))
    echo.expect_close(1002)


def test_7_a_reason_that_is_no_utf8_is_1007(echo):
    echo.send(CLOSE, close_payload(1000, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited"))
    echo.expect_close(1007)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])
def test_7_codes_that_may_be_sent_come_back(echo, code):
    echo.send(CLOSE, close_payload(code))
    echo.expect_close(code)


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_7_codes_that_may_not_be_sent_are_1002(echo, code):
    echo.send(CLOSE, close_payload(code))
    echo.expect_close(1002)


def test_7_large_text_before_a_close_is_echoed_whole(echo):
    text = b"BAsd7&jh23" * (256 * KIB // 10)
    echo.send_bytes(frame(TEXT, text) + frame(CLOSE, close_payload(1000)))
    assert echo.recv() == (TEXT, text)
    echo.expect_close(1000)


def test_7_a_peer_that_ends_without_a_close_is_let_go(shared_gateway):
    ws = WebSocket.open(shared_gateway.http, "/echo")
    ws.send(TEXT, "x")
    assert ws.recv() == (TEXT, b"x")
    ws.drop()
    shared_gateway.until_counter("connections", 0)


# ---- 9: limits and performance

@pytest.mark.deadline(120)
@pytest.mark.parametrize("size", [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB])
def test_9_large_messages(shared_gateway, size):
    with WebSocket.open(shared_gateway.http, "/echo") as ws:
        for opcode, payload in ((TEXT, b"*" * size), (BINARY, os.urandom(size))):
            ws.send(opcode, payload, timeout=60)
            assert ws.recv(timeout=60) == (opcode, payload)
        ws.close()


@pytest.mark.deadline(120)
@pytest.mark.parametrize("size,piece", [(4 * MIB, 64), (4 * MIB, 256), (4 * MIB, 4096), (4 * MIB, MIB), (4 * MIB, 4 * MIB),
                                        (16 * MIB, 64 * KIB)])
def test_9_large_messages_in_fragments(shared_gateway, size, piece):
    payload = os.urandom(size)
    # 4 MiB in 64-byte pieces are exactly the 65,536 fragments that a message may have.
    parts = pieces(payload, piece)
    raw = b"".join(frame(BINARY if i == 0 else CONTINUATION, p, fin=i == len(parts) - 1) for i, p in enumerate(parts))
    with WebSocket.open(shared_gateway.http, "/echo") as ws:
        ws.send_bytes(raw, timeout=60)
        assert ws.recv(timeout=60) == (BINARY, payload)
        ws.close()


def test_9_a_fragment_more_than_a_message_may_have_is_refused(echo):
    raw = frame(BINARY, b"x", fin=False) + frame(CONTINUATION, b"x", fin=False) * 65536
    try:
        echo.send_bytes(raw)
    except OSError:
        pass
    echo.expect_close(1008, 1009)


@pytest.mark.deadline(120)
@pytest.mark.parametrize("chop", [64, 256, 1024, 16384])
def test_9_a_large_message_in_small_writes(shared_gateway, chop):
    payload = os.urandom(MIB)
    with WebSocket.open(shared_gateway.http, "/echo") as ws:
        drip(ws, frame(BINARY, payload), chop)
        assert ws.recv(timeout=60) == (BINARY, payload)
        ws.close()


@pytest.mark.deadline(120)
@pytest.mark.parametrize("size", [0, 16, 64, 256, 1024, 4096])
def test_9_a_thousand_messages_there_and_back(shared_gateway, size):
    with WebSocket.open(shared_gateway.http, "/echo") as ws:
        for i in range(1000):
            payload = bytes([i & 127]) * size
            ws.send(TEXT, payload)
            assert ws.recv() == (TEXT, payload)
        ws.close()


@pytest.mark.deadline(120)
def test_9_twenty_thousand_messages_at_once_come_back_in_order(shared_gateway):
    count = 20000
    with WebSocket.open(shared_gateway.http, "/echo") as ws:
        sent = 0
        for at in range(count):
            # Never more than a thousand ahead: this client does not read while it writes.
            if sent < count and sent <= at:
                burst = range(sent, min(sent + 1000, count))
                ws.send_bytes(b"".join(frame(TEXT, str(i)) for i in burst))
                sent = burst.stop
            assert ws.recv() == (TEXT, str(at).encode())
        ws.close()


def test_9_a_message_over_the_limit_is_1009_as_soon_as_its_length_is_known(echo):
    echo.send_bytes(struct.pack("!BBQ", 0x82, 0x80 | 127, 16 * MIB + 1) + b"mask")
    echo.expect_close(1009)


def test_9_fragments_that_together_are_over_the_limit_are_1009(gateway):
    g = gateway({"echo": "yes", "echo_max_message": "64KiB"})
    with WebSocket.open(g.http, "/echo") as ws:
        ws.send(BINARY, b"x" * 64 * KIB)
        assert ws.recv() == (BINARY, b"x" * 64 * KIB)
        ws.send(BINARY, b"x" * 64 * KIB, fin=False)
        ws.send(CONTINUATION, b"x")
        ws.expect_close(1009)


def test_9_a_client_that_sends_and_does_not_read_is_held_back_and_harms_nobody(shared_gateway):
    g = shared_gateway
    before = g.rss()
    payload = os.urandom(MIB)
    with WebSocket.open(g.http, "/echo", rcvbuf=4096) as greedy, WebSocket.open(g.http, "/echo") as other:
        greedy.sock.setblocking(False)
        raw, sent = memoryview(frame(BINARY, payload) * 4), 0
        # Until the sockets are full, at most 400 MiB.
        for _ in range(100):
            at, stuck = 0, 0
            while at < len(raw) and stuck < 20:
                try:
                    at += greedy.sock.send(raw[at:])
                    stuck = 0
                except BlockingIOError:
                    stuck += 1
                    other.send(TEXT, "hello")
                    assert other.recv() == (TEXT, b"hello")
            sent += at
            if stuck == 20:
                break
        else:
            pytest.fail("the gateway took 400 MiB of one client that reads nothing")
        assert g.rss() - before < resident(300)
        goes_on(other)


# ---- 10: fragmentation by the sender

@pytest.mark.parametrize("piece", [1300, 65536, 100])
def test_10_a_message_that_the_sender_cut_up(echo, piece):
    text = b"*" * 65536
    parts = pieces(text, piece)
    echo.send_bytes(b"".join(frame(TEXT if i == 0 else CONTINUATION, p, fin=i == len(parts) - 1) for i, p in enumerate(parts)))
    assert echo.recv() == (TEXT, text)
    echo.close()


# ---- everything at once, by a seed

@pytest.mark.deadline(120)
@pytest.mark.parametrize("seed", range(4))
def test_random_messages_fragments_pings_and_cuts(shared_gateway, seed):
    rng = random.Random(seed)
    raw, expected = b"", []
    for _ in range(150):
        opcode = rng.choice([TEXT, BINARY])
        size = rng.choice([0, 1, 5, 125, 126, 300, 4000, 4096, 9000, 70000])
        payload = rng.randbytes(size) if opcode == BINARY else "".join(rng.choices("aé日💩", k=size)).encode()
        cuts = sorted(rng.randrange(len(payload) + 1) for _ in range(rng.choice([0, 0, 1, 2, 7])))
        parts = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)])]
        for i, part in enumerate(parts):
            raw += frame(opcode if i == 0 else CONTINUATION, part, fin=i == len(parts) - 1, key=rng.randbytes(4))
            if rng.random() < 0.1:
                mark = rng.randbytes(rng.randrange(126))
                raw += frame(PING, mark)
                expected.append((i == len(parts) - 1, PONG, mark))
        expected.append((None, opcode, payload))
    with WebSocket.open(shared_gateway.http, "/echo") as ws:
        got, at = [], 0
        while at < len(raw):
            n = rng.choice([1, 2, 3, 10, 100, 1000, 4096, 20000])
            ws.send_bytes(raw[at:at + n])
            at += n
        while len(got) < len(expected):
            got.append(ws.recv(pings=True))
        # Among themselves messages keep their order, and so do pongs; a pong may overtake a message.
        assert [g for g in got if g[0] != PONG] == [e[1:] for e in expected if e[1] != PONG]
        assert [g for g in got if g[0] == PONG] == [e[1:] for e in expected if e[1] == PONG]
        ws.close()


# ---- real clients

def test_pythons_websockets_echoes(shared_gateway):
    websockets = pytest.importorskip("websockets")

    async def talk():
        async with websockets.connect(shared_gateway.url("/echo"), ssl=shared_gateway.context, max_size=None) as ws:
            for m in ("", "κόσμε", "x" * 70000, b"", b"\0\xff", os.urandom(MIB)):
                await ws.send(m)
                assert await ws.recv() == m
            await ws.send(["frag", "ments ", "💩"])
            assert await ws.recv() == "fragments 💩"
            await (await ws.ping(b"are you there"))
            for i in range(500):
                await ws.send(str(i))
            assert [await ws.recv() for _ in range(500)] == [str(i) for i in range(500)]
            await ws.close(3000, "done")
            assert ws.close_code == 3000

    async def bounded():
        await asyncio.wait_for(talk(), 50 * SLOW)

    asyncio.run(bounded())


@pytest.mark.parametrize("deflate", ["false", "true"], ids=["plain", "offering deflate"])
def test_nodes_ws_echoes(shared_gateway, node_ws, deflate):
    done = subprocess.run(["node", os.path.join(os.path.dirname(__file__), "js/echo.js"),
                           shared_gateway.url("/echo"), deflate],
                          env={**os.environ, **shared_gateway.node_trust, "NODE_PATH": node_ws}, capture_output=True, text=True, timeout=50 * SLOW)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {"messages": 508, "pong": "are you there", "code": 3001}


def test_where_echo_is_not_turned_on_it_is_not_there(gateway):
    g = gateway()
    with pytest.raises(AssertionError, match="404"):
        WebSocket.open(g.http, "/echo")
