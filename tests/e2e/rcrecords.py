# SPDX-License-Identifier: Apache-2.0
"""TLS records made by hand, for what no proper client would send. Python's ssl does the handshake; then its keys are taken (RFC 8446 7.3,
RFC 5246 6.3) and the ciphers of the libcrypto that it has loaded are called by ctypes. With rctls.Address.using(Records) every client
of the suites speaks through it."""
import ctypes
import hashlib
import hmac
import re
import socket
import ssl
import struct
import tempfile

from deadline import SOON, Deadline
from rctls import TlsSocket

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, DATA, HEARTBEAT = 20, 21, 22, 23, 24
CLOSE_NOTIFY = b"\x01\x00"
KEY_UPDATE, KEY_UPDATE_BOTH = b"\x18\0\0\x01\0", b"\x18\0\0\x01\1"
PLAIN_MAX = 1 << 14
GET_TAG, SET_TAG = 0x10, 0x11


def _libcrypto():
    with open("/proc/self/maps") as f:
        lib = ctypes.CDLL(re.search(r"\S+/libcrypto\S*", f.read()).group(0))
    for name in ("EVP_aes_128_gcm", "EVP_aes_256_gcm", "EVP_chacha20_poly1305", "EVP_CIPHER_CTX_new"):
        getattr(lib, name).restype = ctypes.c_void_p
    for name in ("EVP_CipherInit_ex", "EVP_CipherUpdate", "EVP_CIPHER_CTX_ctrl", "EVP_CipherFinal_ex", "EVP_CIPHER_CTX_free"):
        getattr(lib, name).argtypes = None
    return lib


LIB = _libcrypto()


class Aead:
    def __init__(self, cipher, key):
        self.cipher, self.key = ctypes.c_void_p(getattr(LIB, cipher)()), key
        self.context = ctypes.c_void_p(LIB.EVP_CIPHER_CTX_new())

    def __del__(self):
        LIB.EVP_CIPHER_CTX_free(self.context)

    def run(self, nonce, aad, data, tag=None):
        """Encrypts and appends the tag; with a tag: decrypts, None when it does not fit."""
        out, n, c = ctypes.create_string_buffer(len(data) + 16), ctypes.c_int(), self.context
        assert LIB.EVP_CipherInit_ex(c, self.cipher, None, self.key, nonce, int(tag is None)) == 1
        assert LIB.EVP_CipherUpdate(c, None, ctypes.byref(n), aad, len(aad)) == 1
        assert LIB.EVP_CipherUpdate(c, out, ctypes.byref(n), data, len(data)) == 1
        if tag is not None:
            assert LIB.EVP_CIPHER_CTX_ctrl(c, SET_TAG, 16, tag) == 1
        last = ctypes.create_string_buffer(16)
        if LIB.EVP_CipherFinal_ex(c, last, ctypes.byref(n)) != 1:
            return None
        text = out.raw[:len(data)]
        if tag is not None:
            return text
        assert LIB.EVP_CIPHER_CTX_ctrl(c, GET_TAG, 16, last) == 1
        return text + last.raw[:16]


SUITES = {"AES128-GCM-SHA256": ("EVP_aes_128_gcm", 16, "sha256"), "AES256-GCM-SHA384": ("EVP_aes_256_gcm", 32, "sha384"),
          "CHACHA20-POLY1305": ("EVP_chacha20_poly1305", 32, "sha256")}


def _suite(name):
    plain = name.replace("TLS_", "").replace("AES_", "AES").replace("_", "-")
    return next(v for k, v in SUITES.items() if k in plain)


def expand_label(secret, label, length, digest):
    info = struct.pack("!HB", length, 6 + len(label)) + b"tls13 " + label + b"\0"
    # One round is enough: nothing here is longer than the hash.
    return hmac.new(secret, info + b"\x01", digest).digest()[:length]


def prf_12(secret, seed, length, digest):
    out, a = b"", seed
    while len(out) < length:
        a = hmac.new(secret, a, digest).digest()
        out += hmac.new(secret, a + seed, digest).digest()
    return out[:length]


class Direction:
    """One way of a connection."""

    def __init__(self, suite, is_13, secret=None, key=None, iv=None):
        self.suite, self.is_13, self.secret = suite, is_13, secret
        cipher, size, digest = suite
        if is_13:
            key, iv = expand_label(secret, b"key", size, digest), expand_label(secret, b"iv", 12, digest)
        self.aead, self.iv = Aead(cipher, key), iv
        # 1.2: the Finished was the first record.
        self.sequence = 0 if is_13 else 1

    def next_keys(self):
        digest = self.suite[2]
        secret = expand_label(self.secret, b"traffic upd", hashlib.new(digest).digest_size, digest)
        return Direction(self.suite, True, secret)

    def _nonce(self, explicit=None):
        if len(self.iv) == 4:
            return self.iv + explicit
        return (int.from_bytes(self.iv, "big") ^ self.sequence).to_bytes(12, "big")

    def seal(self, kind, data, pad=0):
        if self.is_13:
            inner = data + bytes([kind]) + bytes(pad)
            head = struct.pack("!BHH", DATA, 0x303, len(inner) + 16)
            out = head + self.aead.run(self._nonce(), head, inner)
        else:
            explicit = struct.pack("!Q", self.sequence) if len(self.iv) == 4 else b""
            aad = struct.pack("!QBHH", self.sequence, kind, 0x303, len(data))
            body = explicit + self.aead.run(self._nonce(explicit), aad, data)
            out = struct.pack("!BHH", kind, 0x303, len(body)) + body
        self.sequence += 1
        return out

    def open(self, head, body):
        if self.is_13:
            inner = self.aead.run(self._nonce(), head, body[:-16], body[-16:])
            assert inner is not None, "the gateway sent a record that can't be opened"
            inner = inner.rstrip(b"\0")
            kind, data = inner[-1], inner[:-1]
        else:
            explicit = body[:8] if len(self.iv) == 4 else b""
            sealed, kind = body[len(explicit):], head[0]
            aad = struct.pack("!QBHH", self.sequence, kind, 0x303, len(sealed) - 16)
            data = self.aead.run(self._nonce(explicit), aad, sealed[:-16], sealed[-16:])
            assert data is not None, "the gateway sent a record that can't be opened"
        self.sequence += 1
        assert len(data) <= PLAIN_MAX
        return kind, data


class Records:
    """A socket whose records are made here. What may be set at any time: .piece, bytes of each write to the socket; .record, plain bytes of
    each record of data. .ended as in TlsSocket; .alert is the fatal alert that came; .updates counts the gateway's KeyUpdates."""

    def __init__(self, sock, address, timeout=SOON):
        self.raw, self.ended, self.alert = sock, None, None
        self.piece, self.record, self.updates, self.tickets = None, PLAIN_MAX, 0, 0
        self.got, self.plain, self.server_random = b"", b"", None
        try:
            with tempfile.NamedTemporaryFile(prefix="rc-keys-") as log:
                # A context of its own: the file is named in it.
                mine = address.using(fresh=True)
                mine.context.keylog_filename = log.name
                t = TlsSocket(sock, mine, timeout, handshake=False)
                deadline = Deadline(timeout)
                while not t.handshake_step():
                    head, body = self._read_record(deadline)
                    if self.server_random is None and head[0] == HANDSHAKE and body[0] == 2:
                        self.server_random = body[6:38]
                    t.incoming.write(head + body)
                secrets = {words[0]: words[1:] for words in (line.split() for line in open(log.name).read().splitlines())}
        except BaseException:
            sock.close()
            raise
        self.version = t.tls.version()
        self.cipher = t.tls.cipher()[0]
        suite, self.is_13 = _suite(self.cipher), self.version == "TLSv1.3"
        if self.is_13:
            self.sending, self.receiving = (Direction(suite, True, bytes.fromhex(secrets[f"{who}_TRAFFIC_SECRET_0"][1]))
                                            for who in ("CLIENT", "SERVER"))
        else:
            client_random, master = map(bytes.fromhex, secrets["CLIENT_RANDOM"])
            size, salt = suite[1], 4 if "gcm" in suite[0] else 12
            block = prf_12(master, b"key expansion" + self.server_random + client_random, 2 * (size + salt), suite[2])
            keys, ivs = block[:2 * size], block[2 * size:]
            self.sending = Direction(suite, False, key=keys[:size], iv=ivs[:salt])
            self.receiving = Direction(suite, False, key=keys[size:], iv=ivs[salt:])

    def __getattr__(self, name):
        return getattr(self.raw, name)

    # ---- receiving

    def _read_record(self, deadline):
        while True:
            if len(self.got) >= 5:
                n = 5 + int.from_bytes(self.got[3:5], "big")
                if len(self.got) >= n:
                    record, self.got = self.got[:n], self.got[n:]
                    return record[:5], record[5:]
            if deadline:
                self.raw.settimeout(deadline.left())
            more = self.raw.recv(1 << 16)
            if not more:
                assert not self.got, "a record was cut off by the end"
                raise EOFError
            self.got += more

    def next_record(self, timeout=None):
        """(type, bytes) of the next record; EOFError at the end of the stream. A KeyUpdate has been obeyed."""
        try:
            head, body = self._read_record(timeout and Deadline(timeout))
        except ConnectionResetError:
            self.ended = self.ended or "reset"
            raise
        except EOFError:
            self.ended = self.ended or "cut"
            raise
        assert len(body) <= PLAIN_MAX + 256 + (0 if self.is_13 else 1792)
        kind, data = self.receiving.open(head, body)
        if kind == ALERT:
            assert len(data) == 2, data
            if data[1] == 0:
                self.ended = "close_notify"
            else:
                self.alert = data[1]
        elif kind == HANDSHAKE and self.is_13 and data[0] == 24:
            self.receiving = self.receiving.next_keys()
            self.updates += 1
            if data[4] == 1:
                self.update()
        elif kind == HANDSHAKE and data[0] == 4:
            self.tickets += 1
        return kind, data

    def recv(self, n):
        while not self.plain and not self.ended:
            try:
                kind, data = self.next_record()
            except EOFError:
                break
            if kind == DATA:
                self.plain += data
        out, self.plain = self.plain[:n], self.plain[n:]
        return out

    def read_end(self, timeout=SOON):
        """Reads until the gateway's side is over, data is let through; returns the fatal alert, "close_notify", "cut" or "reset"."""
        deadline = Deadline(timeout)
        try:
            while True:
                self.next_record(deadline.left())
        except (EOFError, ConnectionResetError):
            return self.alert or self.ended

    # ---- sending

    def send_raw(self, data):
        """The bytes as they are, in writes of .piece bytes."""
        piece = self.piece or len(data) or 1
        for at in range(0, len(data), piece):
            self.raw.sendall(data[at:at + piece])

    def send_record(self, kind, data, pad=0):
        self.send_raw(self.sending.seal(kind, data, pad))

    def sendall(self, data):
        self.send_raw(b"".join(self.sending.seal(DATA, bytes(data[at:at + self.record])) for at in range(0, len(data), self.record)))

    def send(self, data):
        self.sendall(data)
        return len(data)

    def forge(self, data=b"x", at=-1):
        """A record of which one bit has been turned."""
        record = bytearray(self.sending.seal(DATA, data))
        record[at] ^= 1
        self.send_raw(bytes(record))

    def update(self, both=False):
        """KeyUpdate, and the keys after it; both: the gateway is to renew its own."""
        self.send_record(HANDSHAKE, KEY_UPDATE_BOTH if both else KEY_UPDATE)
        self.sending = self.sending.next_keys()

    def say_close(self):
        self.send_record(ALERT, CLOSE_NOTIFY)

    def shutdown(self, how):
        assert how == socket.SHUT_WR
        self.say_close()
        self.raw.shutdown(how)


def client_hello(context=None, name="localhost"):
    """The bytes of a ClientHello record as OpenSSL writes it."""
    c = context or ssl.create_default_context()
    out = ssl.MemoryBIO()
    try:
        c.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def raw_socket(address, timeout=SOON):
    s = socket.create_connection(tuple(address), Deadline(timeout).left())
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s
