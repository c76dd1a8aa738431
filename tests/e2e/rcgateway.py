# SPDX-License-Identifier: Apache-2.0
"""The program under test as a process: starts it on free ports, follows its lines, ends it, and looks for what must not be in them."""
import glob
import json
import os
import re
import resource
import shlex
import signal
import subprocess
import threading
import time

import rccounters
import rctls
from deadline import SLOW, Deadline, eventually

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.abspath(os.environ.get("RINGCAST_BIN", os.path.join(ROOT, "build/asan/ringcast")))
# A command before the program, such as "setarch -R" for sanitizers that want a plain address space.
WRAP = shlex.split(os.environ.get("RINGCAST_WRAP", ""))
# What a sanitizer adds to resident memory, as (factor, MiB): shadow, redzones, quarantine.
SANITIZER_COST = (4, 64) if "/tsan/" in BINARY else (1, 8) if "/asan/" in BINARY else (1, 0)


def resident(mib):
    """The bound in bytes for what takes so many MiB in a plain build."""
    factor, more = SANITIZER_COST
    return (mib * factor + more) << 20


# What a sanitizer or an assertion writes before a process dies, or instead of dying.
REPORTS = re.compile(
    r"ERROR: (Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|WARNING: ThreadSanitizer|"
    r"SUMMARY: \w+Sanitizer|runtime error:|assertion|panic|RC_ASSERT")

ASAN = "detect_leaks=1:detect_stack_use_after_return=1:exitcode=97"
# For who looks at memory: AddressSanitizer keeps little of what was freed.
FORGETFUL = {"ASAN_OPTIONS": f"{ASAN}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}


def environment(folder):
    env = {k: v for k, v in os.environ.items() if not k.startswith("RINGCAST_")}
    # Counters of gateways that run at the same time stay apart.
    env["RUNTIME_DIRECTORY"] = str(folder)
    env["ASAN_OPTIONS"] = f"{ASAN}:quarantine_size_mb=16"
    env["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1:exitcode=97"
    env["TSAN_OPTIONS"] = "halt_on_error=0:second_deadlock_stack=1:exitcode=98"
    return env


def settings_flags(settings):
    return [flag for key, value in (settings or {}).items() for flag in ("--set", f"{key}={value}")]


def run(args, folder, stdin=None, timeout=30, **options):
    """A subcommand to its end."""
    done = subprocess.run([*WRAP, BINARY, *map(str, args)], input=stdin, capture_output=True, text=True,
                          timeout=timeout * SLOW, env=environment(folder), **options)
    assert not REPORTS.search(done.stderr), done.stderr
    return done


class Gateway:
    """One running `ringcast serve`. .http and .ingest are (host, port)."""

    def __init__(self, folder, settings=None, shards=1, args=(), limits=None, env=None, config=None, before=None, wrap=(),
                 listen="127.0.0.1:0", ingest="127.0.0.1:0", inherit=0, pki=None):
        """settings: {"heartbeat": "1s", "namespace.chat.raw": "yes"}; limits: {resource.RLIMIT_…: (soft, hard)}; before: called in the
        child before the program; wrap: a command before it; inherit: so many descriptors are open in it from the start. pki: speaks TLS
        as well; .http and .ingest are then the ports that do, .plain_http and .plain_ingest the others."""
        self.folder = str(folder)
        self.pki = pki
        if pki:
            settings = {**pki.settings(), **(settings or {})}
        # On a loaded machine round trips are long, and what is told of them on $sys:quality would be counted among the events of a test.
        settings = {"rtt_poor": "60s", **(settings or {})}
        self.lines = []
        self.changed = threading.Condition()
        self.ended = False
        # A test that has waited for the end has also judged the status.
        self.judged = False
        flags = ["--config", config] if config else []
        flags += settings_flags(settings)
        self.command = [*wrap, *WRAP, BINARY, "serve", "--listen", listen, "--ingest", ingest,
                        "--shards", str(shards), *map(str, flags), *map(str, args)]

        def child():
            for which, value in (limits or {}).items():
                resource.setrlimit(which, value)
            if before:
                before()

        given = [os.open("/dev/null", os.O_RDONLY) for _ in range(inherit)]
        self.process = subprocess.Popen(
            self.command, pass_fds=given, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**environment(folder), **(env or {})}, preexec_fn=child if limits or before else None, cwd=self.folder)
        for fd in given:
            os.close(fd)
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self._follow, daemon=True)
        self.reader.start()

    def _follow(self):
        for raw in self.process.stderr:
            with self.changed:
                self.lines.append(raw.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    @property
    def log(self):
        with self.changed:
            return "\n".join(self.lines)

    def wait_line(self, pattern, seconds=30):
        """The match of the first line that has the pattern, seen already or still to come."""
        deadline, seen = Deadline(seconds), 0
        with self.changed:
            while True:
                for line in self.lines[seen:]:
                    seen += 1
                    found = re.search(pattern, line)
                    if found:
                        return found
                if self.ended:
                    raise AssertionError(f"the gateway ended before it said {pattern!r}:\n" + "\n".join(self.lines))
                try:
                    self.changed.wait(deadline.left())
                except TimeoutError:
                    raise AssertionError(f"the gateway did not say {pattern!r}:\n" + "\n".join(self.lines)) from None

    def wait_ready(self):
        self.wait_line(r"\bready(\"})?$", 60)
        self.http = self.plain_http = self._address("http")
        self.ingest = self.plain_ingest = self._address("ingest")
        if self.pki:
            self.http = rctls.Address(self._address("https"), self.pki)
            self.ingest = rctls.Address(self._address("ingest over TLS"), self.pki)
        return self

    def _address(self, what):
        host, port = self.wait_line(rf"\blistening {what} ([\d.]+|\[[\da-f:]+\]):(\d+)(?:\"}})?$").groups()
        return host.strip("[]"), int(port)

    def url(self, path, scheme="ws"):
        """Of the clients' port, for clients of other makes."""
        if self.pki:
            return f"{scheme}s://localhost:{self.http[1]}{path}"
        return f"{scheme}://{self.http[0]}:{self.http[1]}{path}"

    @property
    def context(self):
        """A client's TLS for that url, None without TLS; node takes what it is to trust from .node_trust in its environment."""
        return self.http.context if self.pki else None

    @property
    def node_trust(self):
        return {"NODE_EXTRA_CA_CERTS": self.pki.roots} if self.pki else {}

    # ---- looking at it

    def rss(self):
        """Resident bytes that are its own; what files it maps is left out."""
        with open(f"/proc/{self.pid}/status") as f:
            return 1024 * int(re.search(r"RssAnon:\s+(\d+) kB", f.read()).group(1))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def counters(self):
        files = glob.glob(os.path.join(self.folder, f"{self.pid}.counters"))
        assert files, f"no counters file in {self.folder}: {os.listdir(self.folder)}"
        return rccounters.read(files[0])[0]

    def counters_by_shard(self):
        return rccounters.read(os.path.join(self.folder, f"{self.pid}.counters"))[1]

    def counter(self, name):
        return self.counters()[name]

    def heartbeat(self):
        return rccounters.heartbeat(os.path.join(self.folder, f"{self.pid}.counters"))

    def gauge(self, name):
        """The value of a gauge that is brought up to date once a second: the one of the second after this moment."""
        for _ in range(2):
            last = self.heartbeat()
            eventually(lambda: self.heartbeat() != last, "the heartbeat of the counters")
        return self.counter(name)

    def until_counter(self, name, value, seconds=20):
        """Waits until the counter is that, or until value(counter) holds."""
        right = value if callable(value) else lambda now: now == value
        deadline = Deadline(seconds)
        while not right(now := self.counter(name)):
            try:
                deadline.left()
            except TimeoutError:
                wanted = "something else" if callable(value) else value
                raise AssertionError(f"counter {name} is {now} after {deadline.seconds:.0f} s, not {wanted}") from None
            time.sleep(0.02)

    def stat(self):
        done = run(["stat", "--json", "--pid", self.pid], self.folder)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    # ---- ending it

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=30):
        status = self.process.wait(seconds * SLOW)
        self.reader.join(10)
        self.judged = True
        return status

    def stop(self, expect=0, seconds=30):
        """SIGTERM and what must follow: it ends by itself, with that status, and no sanitizer had anything to say."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            status = self.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the gateway did not end after SIGTERM:\n{self.log[-4000:]}") from None
        assert status == expect, f"the gateway ended with {status}:\n{self.log[-8000:]}"
        self.assert_clean()

    def assert_clean(self):
        assert not REPORTS.search(self.log), self.log

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(10)
        self.process.stderr.close()
