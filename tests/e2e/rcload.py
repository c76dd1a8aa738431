# SPDX-License-Identifier: Apache-2.0
"""The load generator as a process, and its result as an object that is known to agree with itself."""
import itertools
import json
import math
import os
import resource
import shlex
import signal
import subprocess

import rcgateway
from deadline import SLOW

BINARY = os.path.abspath(os.environ.get("RINGCAST_LOAD", os.path.join(os.path.dirname(rcgateway.BINARY), "ringcast-load")))
# The statuses that bench/load/README.md gives to the verdicts.
STATUS = {"ok": 0, "faulty": 1, "unusable": 2, "limited": 3, "interrupted": 130}
NUMBER = itertools.count()
FAULTS = ("lost", "duplicated", "reordered", "corrupted", "foreign")


def gateway_urls(gateway):
    http, ingest = gateway.http[1], gateway.ingest[1]
    return ["--url", f"ws://127.0.0.1:{http}/ws", "--publish-url", f"ingest://127.0.0.1:{ingest}",
            "--echo-url", f"ws://127.0.0.1:{http}/echo"]


def children_of(pid):
    """The ids of the processes that it started."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as f:
                parent = int(f.read().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            found.append(int(name))
    return sorted(found)


class Result:
    """What one run wrote. .json is None when it wrote no result."""

    def __init__(self, command, status, out, err, path):
        self.command, self.status, self.out, self.err = command, status, out, err
        self.file, self.json = path, None
        if os.path.exists(path):
            with open(path) as f:
                self.json = json.load(f, parse_constant=not_json)

    def __str__(self):
        return f"{' '.join(map(str, self.command))}\nstatus {self.status}\n{self.out[-6000:]}\n{self.err[-6000:]}"

    def __getattr__(self, name):
        """r.faults is the key of the result."""
        if name.startswith("_") or self.json is None:
            raise AttributeError(f"{name}: {self}")
        return self.json[name]

    @property
    def notes(self):
        return " ".join(self.json["notes"])


def not_json(word):
    raise AssertionError(f"{word} is not JSON")


class Load:
    """A running generator. wait() gives its Result."""

    def __init__(self, folder, *args, limits=None, wrap=(), json_file=True):
        self.path = os.path.join(str(folder), f"load-{next(NUMBER)}.json")
        kept = ["--json", self.path] if json_file else []
        self.command = [*wrap, *shlex.split(os.environ.get("RINGCAST_WRAP", "")), BINARY, *map(str, args), *kept]

        def child():
            for which, value in (limits or {}).items():
                resource.setrlimit(which, value)

        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=rcgateway.environment(folder), cwd=str(folder),
                                        preexec_fn=child if limits else None)

    def wait(self, seconds=40):
        try:
            out, err = self.process.communicate(timeout=seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError(f"{' '.join(self.command)} did not end in {seconds * SLOW:.0f} s\n{out[-3000:]}{err[-3000:]}") from None
        r = Result(self.command, self.process.returncode, out, err, self.path)
        assert not rcgateway.REPORTS.search(err), str(r)
        if r.json:
            agrees_with_itself(r)
        return r

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


# ---- what must hold for every result, whatever was measured

def quantiles_agree(q, what):
    if q is None:
        return
    assert q["count"] > 0, what
    order = [q[k] for k in ("p50", "p90", "p99", "p999", "p9999", "max")]
    assert order == sorted(order), f"{what}: {q}"
    assert 0 <= q["mean"] <= q["max"], f"{what}: {q}"
    if "buckets" in q:
        assert sum(n for _, _, n in q["buckets"]) == q["count"], what
        assert all(low <= high for low, high, _ in q["buckets"]), what
        lows = [low for low, _, _ in q["buckets"]]
        assert lows == sorted(set(lows)), what
        assert q["buckets"][-1][0] <= q["max"] <= q["buckets"][-1][1], f"{what}: {q['max']} {q['buckets'][-1]}"


def agrees_with_itself(r):
    j = r.json
    assert j["ringcast_load"] == 1
    assert STATUS[j["verdict"]] == r.status, str(r)
    for name in ("latency", "connect", "ack"):
        quantiles_agree(j[name], name)
    for name in ("late", "turn"):
        quantiles_agree(j["generator"][name], name)
    for kind in FAULTS:
        by_group = sum(g["faults"][kind] for g in j["groups"])
        by_channel = sum(c[kind] for c in j["faults"]["channels"])
        # Of which channel a broken frame is can't always be said.
        assert by_channel == j["faults"][kind] or kind == "corrupted" or len(j["faults"]["channels"]) == 64, f"{kind}: {j['faults']}"
        assert by_group >= j["faults"][kind], f"{kind}: {j['groups']}"
    if any(j["faults"][kind] for kind in FAULTS):
        assert j["verdict"] in ("faulty", "unusable"), j["verdict"]
    if j["verdict"] != "ok":
        assert j["notes"], f"{j['verdict']} without a reason"
    window = j["window"]
    if j["verdict"] == "limited":
        assert window["deliveries_per_second"] is None and j["latency"] is None
        return
    if window["seconds"]:
        for what in ("deliveries", "published", "acked", "bytes"):
            rate = window[what + "_per_second"]
            assert rate is None or math.isclose(rate, window[what] / window["seconds"], rel_tol=0.01, abs_tol=0.6), f"{what}: {window}"
    for what in ("deliveries", "published"):
        assert sum(g[what] for g in j["groups"]) == window[what], f"{what}: {window} {j['groups']}"
    if j["latency"]:
        counted = [g for g, p in zip(j["groups"], j["parameters"]["groups"]) if not p["may_lose"]]
        assert sum(g["latency"]["count"] for g in counted if g["latency"]) == j["latency"]["count"]
    assert j["total"]["deliveries"] >= window["deliveries"] and j["total"]["published"] >= window["published"]


def assert_ok(r):
    assert r.status == 0, str(r)
    assert r.json["verdict"] == "ok", str(r)
    assert not any(r.json["faults"][kind] for kind in FAULTS), r.json["faults"]
    assert r.json["faults"]["channels"] == []


def assert_refused(r, *words):
    """One sentence on standard error, status 2, nothing else anywhere."""
    assert r.status == 2, str(r)
    assert r.out == "", str(r)
    lines = r.err.strip().splitlines()
    assert len(lines) == 1, str(r)
    assert lines[0].startswith("ringcast-load: "), str(r)
    for word in words:
        assert word.lower() in lines[0].lower(), f"{word!r} is not in: {lines[0]}"
    assert r.json is None or r.json["verdict"] == "unusable"


def assert_faults(r, **expected):
    """Exactly these, and no others; `channels` are the names that must be blamed."""
    assert r.status == 1 and r.json["verdict"] == "faulty", str(r)
    channels = expected.pop("channels", None)
    found = {kind: r.json["faults"][kind] for kind in FAULTS if r.json["faults"][kind]}
    assert found == expected, str(r)
    if channels is not None:
        assert sorted(c["channel"] for c in r.json["faults"]["channels"]) == sorted(channels), r.json["faults"]
