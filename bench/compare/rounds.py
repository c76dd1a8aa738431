# SPDX-License-Identifier: Apache-2.0
"""All rounds of all cases with all servers, and what they came to as one object, which the report draws as it is."""
import datetime
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time

import cases as cases_of
import install
import measure
import summary
import wrk
from servers import Missing

LIMIT_SECONDS, LIMIT_TLS, LIMIT_QUICK = 840, 1500, 165


def host():
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.lower().startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"kernel": platform.release(), "cpu": model, "cpus": os.cpu_count(), "memory": memory}


class Comparison:
    def __init__(self, o, servers, cases):
        self.o, self.servers, self.cases = o, servers, cases
        self.usable = os.sched_getaffinity(0)
        self.began = time.monotonic()
        self.started = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.missing, self.notes, self.outcomes, self.rounds = {}, [], {}, 0
        self.generator = measure.Generator(os.path.join(o.build, "ringcast-load"), o.client_cpu, o.seconds, o.warm, o.realtime)
        self.limit = LIMIT_QUICK if o.quick else LIMIT_TLS if any(case.tls for case in cases) else LIMIT_SECONDS
        self.patience = measure.Patience(o.patience, self.limit / 8)
        self.folder = tempfile.mkdtemp(prefix="rc-compare-")
        self.no_wrk = ""        # why it is not to be had
        self.certificates = {}  # by whether the key is RSA's

    def took(self):
        return time.monotonic() - self.began

    def say(self, text):
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    # ---- before

    def prepare(self):
        for name, server in self.servers.items():
            self.say(f"preparing {name}")
            try:
                server.prepare(not self.o.no_install)
            except Missing as missing:
                self.missing[name] = str(missing)
        self.say("")
        if any(case.wrk for case in self.cases):
            try:
                install.debian(wrk.PACKAGES, wrk.FILES, not self.o.no_install)
            except Missing as missing:
                self.no_wrk = str(missing)
        for rsa in {case.rsa for case in self.cases if case.tls}:
            self.make_certificate(rsa)

    def make_certificate(self, rsa):
        name = "rsa" if rsa else "p256"
        kind = ["-newkey", "rsa:2048"] if rsa else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        key, certificate = (os.path.join(self.folder, f"{name}-{what}.pem") for what in ("key", "certificate"))
        if shutil.which("openssl"):
            done = subprocess.run(
                ["openssl", "req", "-x509", *kind, "-nodes", "-days", "2",
                 "-keyout", key, "-out", certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
                stdin=subprocess.DEVNULL, capture_output=True, check=False)
            if done.returncode == 0:
                self.certificates[rsa] = (key, certificate)

    def cpus(self, server):
        """As many as it needs, without the generator's; None when there are not so many."""
        others = sorted(self.usable - {self.o.server_cpu, self.o.client_cpu})
        cpus = [self.o.server_cpu, *others][:server.cpus_needed]
        return set(cpus) if len(cpus) == server.cpus_needed else None

    def why_not(self, case, server):
        """Why the server has no row of figures in this case; None when it has."""
        if server.name in self.missing:
            return self.missing[server.name]
        if case.wrk and self.no_wrk:
            return self.no_wrk
        if case.tls and server.no_tls:
            return server.no_tls
        if case.tls and case.rsa not in self.certificates:
            return "openssl could not make a certificate"
        if self.cpus(server) is None:
            return f"it takes {server.cpus_needed} CPUs beside the generator's"
        return None

    # ---- the rounds

    def run(self):
        for number in range(self.o.rounds):
            began = self.took()
            self.round(number)
            self.rounds += 1
            if number + 1 < self.o.rounds and self.took() + (self.took() - began) > self.limit:
                self.notes.append(f"Stopped after {self.rounds} of {self.o.rounds} rounds: one more would have gone over "
                                  f"{self.limit / 60:.0f} minutes.")
                break

    def round(self, number):
        for index, case in enumerate(self.cases):
            if number >= case.rounds:
                continue
            names = [name for name in case.servers if name in self.servers]
            turn = (number + index) % len(names) if names else 0
            for name in names[turn:] + names[:turn]:
                server = self.servers[name]
                if self.why_not(case, server) is not None:
                    continue
                self.say(f"round {number + 1} of {self.o.rounds}, {case.name}, {name} ({self.took():.0f} s)")
                outcome = self.patience.measure(case, server, self.generator, self.cpus(server),
                                                self.certificates[case.rsa] if case.tls and not server.plain else None)
                self.outcomes.setdefault((case.name, name), []).append(outcome)
        self.say("")

    # ---- after

    def rows(self, case):
        for name in case.servers:
            if name not in self.servers:
                continue
            server, reason = self.servers[name], self.why_not(case, self.servers[name])
            if reason is not None:
                yield {"server": name, "version": server.version, "kind": server.kind, "skipped": reason}
            elif (case.name, name) in self.outcomes:
                yield summary.row(server, self.outcomes[case.name, name])

    def result(self):
        cases = []
        for case in self.cases:
            entry = {key: getattr(case, key) for key in
                     ("name", "title", "unit", "primary", "better", "clients", "payload", "in_flight", "rate", "tls", "group")}
            entry["rows"] = list(self.rows(case))
            if entry["rows"]:
                summary.add_ratios(entry)
                cases.append(entry)
        settings = {"server_cpu": str(self.o.server_cpu), "generator_cpu": str(self.o.client_cpu), "seconds": self.o.seconds,
                    "warm_seconds": self.o.warm, "generator_polls": True, "realtime": self.o.realtime, "nats_gomaxprocs": 1, "threads_of_each_server": 1}
        return {"ringcast_compare": 1, "version": self.servers["ringcast"].version if "ringcast" in self.servers else "",
                "started": self.started, "seconds": round(self.took(), 1), "quick": self.o.quick, "rounds": self.rounds,
                "host": host(), "settings": settings, "notes": self.notes, "cases": cases,
                "targets": cases_of.judge(cases)}

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
