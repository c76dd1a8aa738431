# SPDX-License-Identifier: Apache-2.0
"""A client of permessage-deflate (RFC 7692) that keeps no context and is strict: it inflates with exactly the window that was agreed on, and
says of each message whether it came deflated. And bytes that no proper client would send."""
import json
import struct
import zlib

from rcws import CLOSE, CONTINUATION, TEXT, JsonClient, frame

HEADER = "Sec-WebSocket-Extensions"
NAME = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"
ANSWER = f"{NAME}; server_no_context_takeover; client_no_context_takeover"


def offer(bits=None, *more):
    return "; ".join([NAME, *([f"server_max_window_bits={bits}"] if bits else []), *more])


def deflate(payload, level=6, bits=15, flush=zlib.Z_SYNC_FLUSH):
    if isinstance(payload, (dict, list)):
        payload = json.dumps(payload)
    if isinstance(payload, str):
        payload = payload.encode()
    z = zlib.compressobj(level, zlib.DEFLATED, -bits)
    made = z.compress(payload) + z.flush(flush)
    return made[:-4] if flush == zlib.Z_SYNC_FLUSH else made


def compressed(payload, **options):
    """A message as one frame, deflated."""
    return frame(TEXT, deflate(payload, **options), rsv=4)


class DeflateClient(JsonClient):
    agreed_bits = 0x40

    @classmethod
    def greeted(cls, address, path="/ws", bits=None, offered=None, **options):
        cls = type(cls.__name__, (cls,), {"bits": bits or 15, "deflated": [], "wire": 0})
        ws = super().greeted.__func__(cls, address, path, headers=[(HEADER, offered or offer(bits))], **options)
        told = f"; server_max_window_bits={bits}" if bits else ""
        assert offered or ws.response.headers[HEADER.lower()] == ANSWER + told, ws.response.headers
        return ws

    def recv_frame(self, *args, **options):
        fin, opcode, payload = super().recv_frame(*args, **options)
        if opcode >= CLOSE:
            assert not self.first & 0x40, "a control frame is never deflated"
            return fin, opcode, payload
        assert fin and opcode != CONTINUATION, "the gateway sends no fragments"
        self.deflated.append(bool(self.first & 0x40))
        self.wire += len(payload)
        if not self.deflated[-1]:
            return fin, opcode, payload
        z = zlib.decompressobj(-self.bits)
        plain = z.decompress(payload + TAIL)
        assert not z.unused_data and not z.eof and len(payload) < len(plain)
        return fin, opcode, plain

    def say_deflated(self, message, **options):
        self.send_bytes(compressed(message, **options))
        return message

    def next_deflated(self):
        """The next event, and whether it came deflated."""
        event = self.next_event()
        return event, self.deflated[-1]


def bits(*fields):
    """Bytes out of (value, width) pairs, the lowest bit first: DEFLATE as it is written by hand."""
    out, at = 0, 0
    for value, width in fields:
        out |= value << at
        at += width
    return out.to_bytes((at + 7) // 8, "little")


def stored(payload, last=False):
    return bytes([last]) + struct.pack("<HH", len(payload), len(payload) ^ 0xFFFF) + payload
