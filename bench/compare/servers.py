# SPDX-License-Identifier: Apache-2.0
"""A server under measurement: started on free ports and pinned to a CPU, watched until it takes a WebSocket, ended.

Server is what all have in common; ringcast and the floors are here, the peers in peers.py. A server is started afresh for
every run, in a folder of its own that goes away with it.
"""
import ctypes
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START_SECONDS = 15
STOP_SECONDS = 5
STARTS = 3  # a port that was free may be taken before the server has it
HISTORY_EVENTS = 1000  # kept of each channel, where history is measured
PR_SET_PDEATHSIG = 1
TCP_ULP = 31
LIBC = ctypes.CDLL(None)


class Failed(Exception):
    """Something did not do what it should; the text says which and how."""


class Missing(Exception):
    """This server can't be had here; the text is the reason."""


def kernel_makes_records():
    """Whether sockets can be given the keys of TLS here."""
    with socket.socket() as listener, socket.socket() as s:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        s.connect(listener.getsockname())
        try:
            s.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        except OSError:
            return False
    return True


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def own_terms(cpus, realtime=False):
    """Runs in the child: on its CPUs, before all others if so, and it ends when we do, however that is."""
    def before():
        os.sched_setaffinity(0, cpus)
        if realtime:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    return before


def children(pid):
    """pid and the processes below it."""
    found, new = [], [pid]
    while new:
        found += new
        below = []
        for parent in new:
            try:
                with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as f:
                    below += [int(n) for n in f.read().split()]
            except OSError:
                pass
        new = below
    return found


def upgraded(port, path, protocol, tls):
    """True when the server answers a WebSocket upgrade with 101; False when it does not answer yet."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    request += f"Sec-WebSocket-Protocol: {protocol}\r\n\r\n" if protocol else "\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), START_SECONDS) as s:
            if tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                s = context.wrap_socket(s)
            s.sendall(request.encode())
            answer = s.recv(4096)
    except OSError:
        return False
    if answer and not answer.startswith(b"HTTP/1.1 101"):
        raise Failed(f"an upgrade was answered {answer.splitlines()[0].decode(errors='replace')!r}")
    return bool(answer)


def ask(port, method, path, text=None):
    """One request: (status, body)"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as e:
        raise Failed(f"{method} {path}: {e}") from None
    finally:
        connection.close()


class Running:
    """One start of a server. Ends with the `with` block that it was started in."""

    def __init__(self, server, cpus, certificate, realtime):
        self.server, self.cpus, self.certificate, self.realtime = server, cpus, certificate, realtime
        self.tls = certificate is not None
        self.folder = tempfile.mkdtemp(prefix="rc-compare-")
        self.process = None

    def __enter__(self):
        try:
            for left in reversed(range(STARTS)):
                if self._start():
                    return self
                if left == 0:
                    raise Failed(f"{self.server.name} did not start ({self.ended}):\n{self.said()}")
        except BaseException:
            self.stop()
            raise

    def _start(self):
        """False when it ended before it was ready."""
        self.port, self.publish_port = free_port(), free_port()
        command = self.server.command(self)
        with open(self.path("log"), "ab") as log:
            began = time.monotonic()
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=self.server.environment(self), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, preexec_fn=own_terms(self.cpus, self.realtime))
        while time.monotonic() < began + START_SECONDS:
            if self.server.is_up(self):
                self.startup_seconds = time.monotonic() - began
                return True
            if self.process.poll() is not None:
                self.ended = f"status {self.process.returncode}"
                return False
            time.sleep(0.0005)
        raise Failed(f"{self.server.name} was not ready in {START_SECONDS} s:\n{self.said()}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def said(self):
        """The end of what it wrote."""
        try:
            with open(self.path("log"), encoding="utf-8", errors="replace") as f:
                return f.read()[-2000:]
        except OSError:
            return ""

    def pids(self):
        return children(self.process.pid)

    def subscribe_url(self):
        return f"{self.server.scheme}{'s' if self.tls else ''}://127.0.0.1:{self.port}{self.server.clients_path or self.server.path}"

    def publish_url(self):
        """Publishers come without TLS, wherever the server has a port of its own for them."""
        port = self.publish_port if self.server.publish_port else self.port
        scheme = self.server.publish_scheme
        return f"{'wss' if self.tls and scheme == 'ws' else scheme}://127.0.0.1:{port}{self.server.publish_path}"

    def __exit__(self, kind, value, trace):
        if isinstance(value, Failed):
            value.args = (f"{value}\n{self.server.name} said:\n{self.said()}".rstrip(),)
        self.stop()

    def stop(self):
        process = self.process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        if process is not None:
            # What it may have left of its own children: they are in the session that was made for it.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Server:
    name = ""           # what it is called everywhere
    kind = "peer"       # "gateway", "peer" or "floor"
    target = ""         # the generator's profile
    version = ""        # known after prepare()
    path = "/"          # of the WebSocket; {channel} may stand in it
    clients_path = ""   # where clients go, when not there
    scheme = "ws"       # of their URL, without the s of TLS
    protocol = ""       # Sec-WebSocket-Protocol
    publish_scheme = "tcp"
    publish_port = True  # publishers have a port of their own
    publish_path = ""
    no_tls = ""         # why there is no TLS
    plain = False       # measured without it, beside others that have it
    cpus_needed = 1
    counts_published = False  # /metrics says how many events it published
    threads_meet = False  # it has several threads, which wait for each other on its one CPU

    def prepare(self, install):
        """Makes sure that it can be started; raises Missing."""

    def target_of(self, case):
        """The generator's profile, or a file of one."""
        return self.target

    def command(self, running):
        raise NotImplementedError

    def environment(self, running):
        return dict(os.environ)

    def is_up(self, running):
        """It takes its clients. Asked again and again, until it does."""
        return upgraded(running.port, self.path.replace("{channel}", "startup"), self.protocol, running.tls)

    def start(self, cpus, certificate=None, realtime=False):
        """cpus: a set, as many as cpus_needed. certificate: (key, certificate), two files; then it speaks TLS."""
        return Running(self, cpus, certificate, realtime)


class Ringcast(Server):
    kind = "gateway"
    target = "ringcast"
    path = "/ws"
    publish_scheme = "ingest"
    counts_published = True
    settings = ()

    def __init__(self, build, arguments=(), shards=1, tls="user"):
        self.program, self.arguments = os.path.join(build, "ringcast"), list(arguments)
        self.shards = self.cpus_needed = shards
        self.tls, self.plain = tls, tls == "none"
        self.name = {"kernel": "ringcast-ktls", "none": "ringcast-ws"}.get(tls, "ringcast" if shards == 1 else f"ringcast-{shards}-shards")

    def prepare(self, install):
        if not os.access(self.program, os.X_OK):
            raise Missing("it is not built: run `make compare`, or name the folder with --build")
        said = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False)
        self.version = (said.stdout.split() or [""])[-1]
        if self.tls == "kernel" and not kernel_makes_records():
            raise Missing("this kernel has no TLS (the module tls)")

    def listeners(self, running):
        if not running.tls:
            return ["--listen", f"127.0.0.1:{running.port}"]
        key, certificate = running.certificate
        settings = {"listen": f"127.0.0.1:{running.port}", "certificate": certificate, "key": key,
                    "kernel": "yes" if self.tls == "kernel" else "no"}
        return ["--listen", "127.0.0.1:0", *(part for name, value in settings.items() for part in ("--set", f"tls.{name}={value}"))]

    def command(self, running):
        cpus = ",".join(str(n) for n in sorted(running.cpus))
        return [self.program, "serve", *self.listeners(running),
                "--ingest", f"127.0.0.1:{running.publish_port}", "--shards", str(self.shards), "--cpus", cpus,
                "--set", "heartbeat=1h", "--set", "max_clients=15000", "--set", "auth.allow_command=anyone", *self.settings, *self.arguments]

    def environment(self, running):
        """Without settings of whoever calls, and its counters are beside nobody else's."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("RINGCAST_")}
        return {**kept, "RUNTIME_DIRECTORY": running.folder}


class RingcastHistory(Ringcast):
    """Keeps a history of the generators' channels."""
    settings = ("--set", f"namespace.load.history_size={HISTORY_EVENTS}")

    def __init__(self, build, arguments=()):
        super().__init__(build, arguments)
        self.name = "ringcast-history"


class RingcastSse(Ringcast):
    """Its clients get server-sent events."""
    scheme, clients_path = "http", "/events?channel={channel}"

    def __init__(self, build, arguments=()):
        super().__init__(build, arguments)
        self.name = "ringcast-sse"


class Floor(Server):
    kind = target = "floor"
    path = "/ws"
    publish_scheme = "ingest"

    def __init__(self, build, mode):
        self.program, self.name = os.path.join(build, "bench", "floor"), f"floor-{mode}"
        self.mode = "coalesce" if mode == "tls" else mode

    def prepare(self, install):
        if not os.access(self.program, os.X_OK):
            raise Missing("it is not built: run `make compare`, or name the folder with --build")

    def command(self, running):
        tls = ["--key", running.certificate[0], "--certificate", running.certificate[1]] if running.tls else []
        return [self.program, "--mode", self.mode, "--listen", f"127.0.0.1:{running.port}",
                "--ingest", f"127.0.0.1:{running.publish_port}", *tls]
