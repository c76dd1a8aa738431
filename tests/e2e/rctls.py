# SPDX-License-Identifier: Apache-2.0
"""Certificates, and a TLS client below the clients of rcws.py, rcingest.py and swarm.py: an Address that is TLS makes them speak it."""
import collections
import contextlib
import datetime
import os
import select
import socket
import ssl
import subprocess

from deadline import SLOW, SOON, Deadline

Pair = collections.namedtuple("Pair", "certificate key")

AUTHORITY = """
[ca]
default_ca = this
[this]
dir = {dir}
database = {dir}/index.txt
new_certs_dir = {dir}
certificate = {dir}/ca.pem
private_key = {dir}/ca.key
rand_serial = yes
default_md = sha256
default_days = 30
policy = anything
copy_extensions = copy
unique_subject = no
[anything]
commonName = optional
"""


def openssl(*arguments, stdin=None, check=True):
    """The openssl program to its end; what it said on both outputs."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, timeout=60 * SLOW,
                          stdin=subprocess.DEVNULL if stdin is None else None)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert not check or done.returncode == 0, f"openssl {arguments[0]}: {said}"
    return said


def _request(folder, name, common, extensions, kind):
    key, csr = f"{folder}/{name}.key", f"{folder}/{name}.csr"
    how = ["rsa:2048"] if kind == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl("req", "-new", "-newkey", *how, "-nodes", "-subj", f"/CN={common}" if common else "/", "-keyout", key, "-out", csr,
            *[f for e in extensions for f in ("-addext", e)])
    return key, csr


class Authority:
    def __init__(self, folder, name, by=None):
        self.folder = os.path.join(folder, name)
        os.mkdir(self.folder)
        with open(f"{self.folder}/ca.cnf", "w") as f:
            f.write(AUTHORITY.format(dir=self.folder))
        open(f"{self.folder}/index.txt", "w").close()
        extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"]
        self.key, csr = _request(self.folder, "ca", f"ringcast test {name}", extensions, "ec")
        self.certificate = f"{self.folder}/ca.pem"
        # Signed by itself: `openssl ca` takes the same way for a root and for what stands below one.
        signer = by or self
        openssl("ca", "-batch", "-notext", "-config", f"{signer.folder}/ca.cnf", "-in", csr, "-out", self.certificate,
                *([] if by else ["-selfsign", "-keyfile", self.key]))

    def issue(self, name, common, names=(), kind="ec", usage="serverAuth", days=(-1, 30)):
        """A certificate that holds from so many days after today until so many; without the chain."""
        extensions = [f"extendedKeyUsage={usage}"] + ([f"subjectAltName={','.join(names)}"] if names else [])
        key, csr = _request(self.folder, name, common, extensions, kind)
        begin, end = ((datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=d)).strftime("%Y%m%d%H%M%SZ") for d in days)
        out = f"{self.folder}/{name}.crt"
        openssl("ca", "-batch", "-notext", "-config", f"{self.folder}/ca.cnf", "-in", csr, "-out", out, "-startdate", begin, "-enddate", end)
        return Pair(out, key)

    def ocsp(self, certificate, out):
        """A signed answer that the certificate is good."""
        openssl("ocsp", "-index", f"{self.folder}/index.txt", "-CA", self.certificate, "-rsigner", self.certificate, "-rkey", self.key,
                "-issuer", self.certificate, "-cert", certificate, "-ndays", 2, "-respout", out)
        return out


class Pki:
    """A root, an authority below it and what that one signed, each made when it is first asked for and kept."""

    LOCAL = ("DNS:localhost", "IP:127.0.0.1")

    def __init__(self, folder):
        self.folder = folder
        self.root = Authority(folder, "root")
        self.issuer = Authority(folder, "issuer", self.root)
        self.kept = {}

    @property
    def roots(self):
        return self.root.certificate

    @property
    def stranger(self):
        """An authority that nobody has heard of."""
        if "stranger" not in self.kept:
            self.kept["stranger"] = Authority(self.folder, "stranger")
        return self.kept["stranger"]

    def server(self, name="server", names=LOCAL, **options):
        """Pair of a certificate with its chain and the key."""
        if name not in self.kept:
            leaf = self.issuer.issue(name, name, names, **options)
            chain = f"{self.folder}/{name}.pem"
            with open(chain, "w") as out:
                for part in (leaf.certificate, self.issuer.certificate):
                    with open(part) as f:
                        out.write(f.read())
            self.kept[name] = Pair(chain, leaf.key)
        return self.kept[name]

    def client(self, name, common=None, names=(), by=None, **options):
        """Pair of a client's certificate, with its chain."""
        if "client " + name not in self.kept:
            by = by or self.issuer
            leaf = by.issue("client-" + name, name if common is None else common, names, usage="clientAuth", **options)
            with open(leaf.certificate, "a") as out, open(by.certificate) as f:
                out.write(f.read())
            self.kept["client " + name] = leaf
        return self.kept["client " + name]

    def settings(self, pair=None, **more):
        """Settings of a gateway with this certificate and both TLS listeners on free ports."""
        pair = pair or self.server()
        settings = {"listen": "127.0.0.1:0", "ingest_listen": "127.0.0.1:0", "certificate": pair.certificate, "key": pair.key, **more}
        return {f"tls.{k}": v for k, v in settings.items()}

    def context(self, version=None, ciphers=None, client=None, trust=None, any_name=False):
        """A client's context. version: "1.2" or "1.3" and no other; ciphers: of 1.2; client: its Pair; any_name: whoever the server is."""
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.check_hostname = not any_name
        c.load_verify_locations(trust or self.roots)
        c.set_alpn_protocols(["http/1.1"])
        if version:
            c.minimum_version = c.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
        if ciphers:
            c.set_ciphers(ciphers)
        if client:
            c.load_cert_chain(client.certificate, client.key)
        return c


class Address(tuple):
    """(host, port) of a TLS listener, and how to speak to it: rcws.open_socket() asks it to secure a connected socket."""

    def __new__(cls, address, pki, make=None, name="localhost", session=None, **options):
        self = super().__new__(cls, address)
        self.pki, self.make, self.name, self.session, self.options = pki, make or TlsSocket, name, session, options
        self._context = None
        return self

    @property
    def context(self):
        # One for all that come from this address: loading the roots takes longer than a handshake.
        self._context = self._context or self.pki.context(**self.options)
        return self._context

    def using(self, make=None, name=None, session=None, fresh=False, **options):
        """The same place, spoken to in another way. Where that does not need another context, or fresh asks for one, it is the same."""
        other = Address(self, self.pki, make or self.make, name or self.name, session, **{**self.options, **options})
        if not options and not fresh:
            other._context = self.context
        return other

    def secure(self, sock, timeout=SOON):
        return self.make(sock, self, timeout)


class TlsSocket:
    """TLS over a connected socket, which stays at hand as .raw. It can be used as a socket of either mode. .ended says how the peer's side
    ended: None (not yet), "close_notify", "cut" (without one) or "reset"."""

    def __init__(self, sock, address, timeout=SOON, handshake=True):
        self.raw, self.ended, self.hold, self.unsent = sock, None, False, b""
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = address.context.wrap_bio(self.incoming, self.outgoing, server_hostname=address.name, session=address.session)
        if handshake:
            try:
                self.handshake(timeout)
            except BaseException:
                sock.close()
                raise

    def handshake(self, timeout=SOON):
        deadline = Deadline(timeout)
        while not self.handshake_step():
            self.raw.settimeout(deadline.left())
            self._feed()

    def handshake_step(self):
        """True when it is done, False when it waits for the server."""
        try:
            self.tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False
        finally:
            # An alert, too.
            self.flush()

    def __getattr__(self, name):
        # fileno, getsockname, settimeout, setsockopt, …
        return getattr(self.raw, name)

    def _feed(self):
        try:
            data = self.raw.recv(1 << 16)
        except ConnectionResetError:
            self.ended = "reset"
            raise
        self.incoming.write(data) if data else self.incoming.write_eof()

    def flush(self, held=False):
        """Sends what TLS has to say as far as the socket takes it, unless .hold says that it is to be collected."""
        if self.hold and not held:
            return
        self.unsent += self.outgoing.read()
        while self.unsent:
            try:
                self.unsent = self.unsent[self.raw.send(self.unsent):]
            except BlockingIOError:
                return

    def recv(self, n):
        """All that is there, up to n bytes; waits as the socket's timeout says."""
        parts = []
        while n > 0:
            try:
                data = self.tls.read(n)
            except ssl.SSLWantReadError:
                # An answer to a KeyUpdate; who has closed does not take it any more, and may still have said something.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.flush()
                if parts:
                    break
                self._feed()
                continue
            except ssl.SSLEOFError:
                self.ended = self.ended or "cut"
                break
            except ssl.SSLZeroReturnError:
                data = b""
            if not data:
                self.ended = self.ended or "close_notify"
                break
            parts.append(data)
            n -= len(data)
        return b"".join(parts)

    def sendall(self, data):
        view = memoryview(data)
        while view:
            view = view[self.tls.write(view[:1 << 16]):]
            self.flush()

    def send(self, data):
        """As much as a record holds; BlockingIOError while the one before has not gone."""
        self.flush()
        if self.unsent:
            raise BlockingIOError
        n = self.tls.write(data[:1 << 14])
        self.flush()
        return n

    def shutdown(self, how):
        """The writing side ends: close_notify, then FIN."""
        assert how == socket.SHUT_WR
        self.say_close()
        self.raw.shutdown(how)

    def say_close(self):
        try:
            self.tls.unwrap()
        except (ssl.SSLWantReadError, ssl.SSLSyscallError):
            pass
        self.flush()

    def session(self):
        """What the connection may be resumed with: tickets of 1.3 come with the first data."""
        return self.tls.session


def handshakes(sockets, timeout=SOON):
    """All of them, whoever is answered next: a server with few places takes them in an order of its own, and waits for those that it has begun."""
    deadline, waiting = Deadline(timeout), [s for s in sockets if not s.handshake_step()]
    while waiting:
        ready = select.select([s.raw for s in waiting], [], [], deadline.left())[0]
        for s in [s for s in waiting if s.raw in ready]:
            s._feed()
            if s.handshake_step():
                waiting.remove(s)
