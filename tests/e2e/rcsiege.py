# SPDX-License-Identifier: Apache-2.0
"""A gateway under attack and a good client beside it, who must not notice. The fixture is `siege` (conftest.py): before each attack it
writes down what the gateway holds, and after it looks whether all of that came back, whether a new client is served, and whether what the
attack was to be counted as was counted. An attack says the latter by siege.moved(tokens_signature=3): exactly so many, or siege.SOME.

The tokens here are of three makers: a shared secret, a PEM file with an RSA key, a JWKS file with an EC and an Ed25519 key."""
import base64
import contextlib
import functools
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

import rcgateway
import rctokens
from deadline import SLOW, Deadline, eventually
from rchttp import Http
from rcingest import Publisher
from rcsse import SseClient
from rcws import Closed, JsonClient
from rctokens import b64, b64_json

ISSUER, AUDIENCE = "https://issuer.example", "ringcast"
ADMIN = "the token of the admin"
ADMIN_LINE = f"Authorization: Bearer {ADMIN}"
# All that goes up and down. What a gateway does not have (an older or newer one) is not looked at.
GAUGES = ["clients", "clients_sse", "connections", "clients_known", "tls_handshaking", "tls_kernel", "tls_user", "subscriptions", "channels",
          "patterns", "publishers", "history_bytes", "log_bytes", "arena_used_bytes", "unauthenticated", "users", "presence_entries"]
# Those that are set, or channels forgotten and histories trimmed, once a second.
ONCE_A_SECOND = ("connections", "arena_used_bytes", "channels", "history_bytes", "log_bytes")
# Of each shard. Besides, users who went are remembered for a minute.
PAGES = 384 << 10
# What one event may take from its publisher to the good client while somebody is at it, with all of this on one machine.
DELAY = 2.5 * SLOW


@functools.lru_cache(maxsize=None)
def known_options():
    """section.key of every option; attacks of what a gateway does not have yet say so."""
    done = subprocess.run([*rcgateway.WRAP, rcgateway.BINARY, "serve", "--print-config"], capture_output=True, text=True, timeout=60 * SLOW)
    assert done.returncode == 0, done.stderr
    section, known = "", set()
    for line in done.stdout.splitlines():
        if line.startswith("["):
            section = line[1:line.index("]")]
        elif "=" in line and not line.startswith(";"):
            known.add(f"{section}.{line.partition('=')[0].strip()}")
    return known


def known(settings):
    """Those settings whose option is there; namespace.NAME.KEY counts as namespace.KEY."""
    def option(key):
        parts = key.split(".")
        return "server." + key if len(parts) == 1 else f"{parts[0]}.{parts[-1]}"

    return {k: v for k, v in settings.items() if option(k) in known_options()}


# ---- keys and tokens

class Keys:
    """What signs, and what the gateway is given of it."""

    def __init__(self, folder):
        self.private, self.public = {}, {}
        for alg in ("RS256", "ES256", "EdDSA"):
            self.private[alg], self.public[alg] = rctokens.new_key(folder, alg)
        ec, ed = self.der("ES256")[-64:], self.der("EdDSA")[-32:]
        self.jwks = rctokens.put(os.path.join(folder, "keys.json"), json.dumps({"keys": [
            {"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256", "x": b64(ec[:32]), "y": b64(ec[32:])},
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "alg": "EdDSA", "x": b64(ed)}]}))

    def der(self, alg):
        return openssl("pkey", "-pubin", "-in", self.public[alg], "-outform", "DER")

    def pem(self, alg):
        with open(self.public[alg]) as f:
            return f.read()

    def settings(self, **more):
        return {"auth.hmac_secret": rctokens.SECRET, "auth.public_key": self.public["RS256"], "auth.jwks": self.jwks,
                "auth.issuer": ISSUER, "auth.audience": AUDIENCE, **more}

    def sign(self, alg, signed):
        """The raw signature; ES256's as DER."""
        with tempfile.NamedTemporaryFile() as f:
            f.write(signed)
            f.flush()
            if alg == "EdDSA":
                return openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.private[alg], "-in", f.name)
            return openssl("dgst", "-sha256", "-sign", self.private[alg], f.name)

    def token(self, alg, claims=None, header=None):
        kid = {"ES256": {"kid": "ec"}, "EdDSA": {"kid": "ed"}}.get(alg, {})
        signed = b64_json({"alg": alg, **kid} if header is None else header) + "." + b64_json(good() if claims is None else claims)
        raw = self.sign(alg, signed.encode())
        return signed + "." + b64(raw_of(raw) if alg == "ES256" else raw)


def openssl(*command):
    return subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=60 * SLOW).stdout


def raw_of(der):
    """r and s of a DER signature, 32 bytes each."""
    at, out = 2, b""
    for _ in range(2):
        n = der[at + 1]
        out += der[at + 2:at + 2 + n][-32:].rjust(32, b"\0")
        at += 2 + n
    return out


def good(**claims):
    return {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600, **claims}


def token(secret=rctokens.SECRET, alg="HS256", header=None, **claims):
    return rctokens.token(good(**claims), secret, alg, header)


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# ---- the good client

class Watch:
    """Publishes and hears its own events, one at a time, for as long as the gateway lives. Each must come, in order, and soon."""

    def __init__(self, g):
        self.g = g
        self.slowest, self.heard, self.wrong = 0.0, 0, None
        self.over, self.may = threading.Event(), threading.Lock()
        self.ws = JsonClient.greeted(g.http, "/ws?channel=good:tick&token=" + token(sub="good", channels=["good:*"]))
        at = self.ws.await_type("subscription-ack")["data"]["positions"]["good:tick"]
        self.offset = int(at.partition("@")[2])
        self.publisher = Publisher.greeted(g.ingest, "good")
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.over.wait(0.02):
                with self.may:
                    begin = time.monotonic()
                    self.publisher.publish("good:tick", str(self.heard))
                    while (event := self.ws.next_event(timeout=30))["channel"] == "$all":
                        pass
                    self.slowest = max(self.slowest, time.monotonic() - begin)
                    assert (event["offset"], event["data"]) == (self.offset + 1, self.heard), event
                    self.offset, self.heard = self.offset + 1, self.heard + 1
        except (AssertionError, Closed, OSError, TimeoutError) as e:
            self.wrong = e

    def hears(self):
        """Waits for two more events; the last of them was published after this began."""
        begin = self.heard
        eventually(lambda: self.wrong or self.heard >= begin + 2, "the good client hears its events", 30)
        assert not self.wrong, f"the good client: {self.wrong!r}"

    def end(self):
        self.over.set()
        self.thread.join(60 * SLOW)
        self.ws.drop()
        self.publisher.drop()


class Siege:
    SOME = object()

    def __init__(self, settings, pki=None, shards=1, watch=True, listen="127.0.0.1:0"):
        self.folder = tempfile.mkdtemp(prefix="rc-")
        self.watch = self.expected = None
        self.shards = shards
        self.g = rcgateway.Gateway(self.folder, settings, shards=shards, pki=pki, env=rcgateway.FORGETFUL, listen=listen)
        try:
            self.g.wait_ready()
            if watch:
                self.watch = Watch(self.g)
                self.watch.hears()
            # What is made with the first client, such as the gateway's own channels, is there from now on.
            self.serves()
            with Publisher.greeted(self.g.ingest) as p:
                p.publish("kept:a")
            with SseClient.greeted(self.g.http, "/events", headers=[("Authorization", "Bearer " + token(sub="new", subscribe_on_connect=["good:warm"]))]):
                pass
            # The counters of every shard have been written since.
            self.g.gauge("connections")
            self.base = self.held()
        except BaseException:
            self.end(judge=False)
            raise

    def held(self):
        """What the gateway holds now, between two events of the good client."""
        with self.watch.may if self.watch else contextlib.nullcontext():
            counters = self.g.counters()
            return {**{n: counters[n] for n in GAUGES if n in counters}, "descriptors": self.g.descriptors()}

    def begin(self):
        self.expected = None
        self.rss_before = self.g.rss()
        self.before = self.g.counters()
        if self.watch:
            self.watch.slowest = 0.0

    def moved(self, **counters):
        """What the attack is counted as."""
        self.expected = {**(self.expected or {}), **counters}

    def since(self, name):
        return self.g.counter(name) - self.before[name]

    def done(self, whole=True):
        """What must hold after every attack. whole=False: without the gauges that the gateway sets once a second."""
        assert self.g.process.poll() is None, f"the gateway is gone:\n{self.g.log[-6000:]}"
        self.g.assert_clean()
        if self.watch:
            self.watch.hears()
            assert self.watch.slowest < DELAY, f"an event took {self.watch.slowest:.2f} s"
        assert self.expected is not None, "the attack does not say what it is counted as"
        for name, wanted in self.expected.items():
            if wanted is self.SOME:
                eventually(lambda: self.since(name) > 0, f"{name} has moved")
            else:
                eventually(lambda: self.since(name) >= wanted, lambda_text(lambda: f"{name} moved by {wanted}, not {self.since(name)}"))
                assert self.since(name) == wanted, f"{name} moved by {self.since(name)}, not {wanted}"
        self.serves()
        self.back(() if whole else ONCE_A_SECOND)
        grown = self.g.rss() - self.rss_before
        assert grown < rcgateway.resident(24), f"resident memory grew by {grown >> 20} MiB"

    def back(self, but=()):
        left = lambda: differences({k: v for k, v in self.base.items() if k not in but}, self.held(), self.shards)
        eventually(lambda: not left(), lambda_text(lambda: "everything to come back; not so: " + left()), 10)

    def serves(self):
        """Somebody new is served as ever."""
        name = "good:kept"
        with JsonClient.greeted(self.g.http, "/ws?token=" + token(sub="new", channels=["good:*"])) as ws, Publisher.greeted(self.g.ingest) as p:
            assert ws.connected["user"] == "new"
            ws.subscribe(name)
            p.publish(name, '"here"')
            assert ws.next_event()["data"] == "here"
            ws.close()

    def status(self):
        with Http(self.g.plain_http) as c:
            r = c.get("/api/status", ADMIN_LINE)
            assert r.status == 200, r.body
            return r.json

    def end(self, judge=True):
        try:
            if self.watch:
                self.watch.end()
            if judge:
                self.g.stop()
        finally:
            self.g.kill()
            shutil.rmtree(self.folder, ignore_errors=True)


class lambda_text:
    """A text that is made when it is needed."""

    def __init__(self, make):
        self.make = make

    def __str__(self):
        return self.make()

    def __format__(self, spec):
        return str(self)


def differences(before, now, shards):
    """Of memory: pages of small objects stay while one of them lives, so that some are held more than before; but over all attacks of a module
    together no more than PAGES."""
    return ", ".join(f"{n} {before[n]} -> {now[n]}" for n in before if not (before[n] == now[n] or n in ("arena_used_bytes", "log_bytes") and
                                                                           now[n] <= before[n] + shards * PAGES))


# ---- attackers

def until_closed(sock, seconds=20):
    """What came until the other side ended it; a reset is an end."""
    deadline, out = Deadline(seconds), b""
    try:
        while True:
            sock.settimeout(deadline.left())
            more = sock.recv(1 << 16)
            if not more:
                return out
            out += more
    except (ConnectionResetError, BrokenPipeError):
        return out


def asks(ws, message):
    """What is answered to one message, events left out."""
    ws.say(message)
    return ws.recv_json()
