# SPDX-License-Identifier: Apache-2.0
"""Requests by wrk: what it did, in the same form as ringcast-load's JSON, so that measure.py takes it down in the same way.

wrk counts an answer of 400 or above as an error and makes no difference below. So one request is made before it, by hand, whose answer must be a
2xx; and where the server counts what was published, all of it must have been.
"""
import json
import os
import re
import resource
import subprocess
import tempfile
import time

import install
from servers import ROOT, Failed, ask, own_terms

PACKAGES, FILES = ("wrk",), ("usr/bin/wrk",)
SCRIPT = os.path.join(ROOT, "bench", "compare", "wrk.lua")
CHANNEL = "load:http"
PATH = "/api/publish"
WARM_SECONDS = 1  # wrk knows whole seconds only
FULL = 0.95       # of its CPU: then it is what limits
LOOK_SECONDS = 0.1


def program():
    return install.find(FILES[0])


def body(payload, batch):
    """As many events as that, of `payload` bytes of JSON each; no array for batch 0."""
    event = {"channel": CHANNEL, "event": "load", "data": "x" * (payload - 2)}
    return json.dumps([event] * batch if batch else event, separators=(",", ":"))


# ---- the processes, from outside

def cpu_seconds(pids):
    """The CPU clocks of the processes, all threads: what clock_getcpuclockid() would name."""
    try:
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)
    except OSError:
        raise Failed("a process of the server ended") from None


def waited_seconds(pids):
    """How long their threads were ready to run and another had the CPU."""
    total = 0
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                    total += int(f.read().split()[1])
        except (OSError, IndexError):
            pass
    return total / 1e9


def published(port):
    """All events that the gateway has published, by its own count."""
    status, text = ask(port, "GET", "/metrics")
    counts = re.findall(r"^ringcast_events_published_total\S* (\d+)", text, re.M)
    if status != 200 or not counts:
        raise Failed(f"GET /metrics was answered {status}, and has no ringcast_events_published_total")
    return sum(map(int, counts))


# ---- a run

class Run:
    """wrk, once, and its results."""

    def __init__(self, generator, case, running, seconds, text):
        self.out, text_file = running.path("wrk.json"), running.write("wrk.body", text)
        environment = {**install.environment(), "RC_WRK_OUT": self.out, "RC_WRK_BODY": text_file}
        command = [program(), "-t1", f"-c{case.clients}", f"-d{seconds}", "--timeout", "10", "-s", SCRIPT, f"http://127.0.0.1:{running.port}{PATH}"]
        used, self.waited = resource.getrusage(resource.RUSAGE_CHILDREN), 0.0
        with tempfile.TemporaryFile("w+", errors="replace") as said:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=said,
                                       stderr=said, start_new_session=True, preexec_fn=own_terms({generator.cpu}, running.realtime))
            try:
                self.watch(process, time.monotonic() + seconds + 30)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            said.seek(0)
            self.said = said.read().strip()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
        try:
            with open(self.out, encoding="utf-8") as f:
                self.result = json.load(f)
        except (OSError, ValueError):
            last = (self.said.splitlines() or ["it said nothing"])[-1]
            raise Failed(f"wrk ended with status {process.returncode}: {last}") from None
        os.unlink(self.out)

    def watch(self, process, limit):
        while True:
            try:
                process.wait(LOOK_SECONDS)
                return
            except subprocess.TimeoutExpired:
                self.waited = waited_seconds([process.pid])
            if time.monotonic() > limit:
                raise Failed("wrk did not end")


def complaint(errors, done, counted, batch, connections):
    """Why the run says nothing, or ""."""
    wrong = [f"{count} {kind}" for kind, count in errors.items() if count]
    if wrong:
        return f"not every request was answered with 2xx: errors of wrk: {', '.join(wrong)}"
    if done == 0:
        return "no request was answered"
    # Those that were under way when wrk ended, here and after warming up, were carried out, too.
    if counted is not None and not done * batch <= counted <= (done + 2 * connections) * batch:
        return f"{done:,} requests were answered, and {counted:,} events published instead of {done * batch:,}"
    return ""


def account(one, cpu, waited, batch):
    """(status, the JSON, "") of a run without a complaint. cpu, waited: the server's meanwhile."""
    seconds, done = one.result["seconds"], one.result["requests"]
    each = cpu * 1e9 / done
    result = {
        "verdict": "ok", "notes": [],
        "window": {"seconds": seconds, "requests": done, "requests_per_second": done / seconds, "published_per_second": done * batch / seconds},
        "server": {"cpu_seconds": cpu, "cpu_ns_per_request": each, "cpu_ns_per_event": each / batch, "waited_seconds": waited},
        "generator": {"cpu_seconds": one.cpu, "waited_seconds": one.waited},
        "latency": {key: one.result[key] for key in ("p50", "p99", "p999")},
    }
    if one.cpu <= FULL * seconds:
        return 0, result, ""
    result["verdict"], result["notes"] = "limited", [f"wrk used {one.cpu / seconds:.0%} of its CPU."]
    result["limited"] = {key: result["server"][key] for key in ("cpu_ns_per_request", "cpu_ns_per_event")}
    return 3, result, ""


def run(generator, case, server, running):
    """(status, the JSON or None, what it said), as measure.Generator.run()."""
    text, batch = body(case.payload, case.batch), case.batch or 1
    status, answer = ask(running.port, "POST", PATH, text)
    if not 200 <= status < 300 or '"error"' in answer:
        return 1, None, f"a request was answered {status} {answer[:100]}"
    Run(generator, case, running, WARM_SECONDS, text)
    before = published(running.port) if server.counts_published else None
    pids = running.pids()
    cpu, waited = cpu_seconds(pids), waited_seconds(pids)
    one = Run(generator, case, running, max(1, round(case.seconds or generator.seconds)), text)
    cpu, waited = cpu_seconds(pids) - cpu, waited_seconds(pids) - waited
    counted = published(running.port) - before if server.counts_published else None
    wrong = complaint(one.result["errors"], one.result["requests"], counted, batch, case.clients)
    return (1, None, wrong) if wrong else account(one, cpu, waited, batch)
