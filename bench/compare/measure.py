# SPDX-License-Identifier: Apache-2.0
"""One run: a server is started, the generator has its go at it, and what came out is taken down."""
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time

import wrk
from cases import CALM_SECONDS, COMMANDS_STILL_HOLD, LATENCY_WITH_OURS, STILL_HOLDS, STORMING
from servers import Failed, own_terms

# Of the window that server or generator were ready and another had their CPU. A server that makes a thousand sends in one system call
# has up to 9 % by itself: the kernel moves part of the receivers' work to ksoftirqd, on the same CPU.
DISTURBED = 0.10
VERDICTS = {0: "ok", 1: "faulty", 2: "unusable", 3: "limited", 130: "interrupted"}
LIMITED = "the server's CPU alone holds: "  # before what a limited generator says
ONLY_BACK = "the time and the server's CPU alone hold: "
WITH_OURS = "the generator has a part in the latency: "
STARTS = 3  # of the start-up case, in each round


class Outcome:
    """Of one run. figures is empty when there are none; then note says why, and again whether another try may have some.
    With figures, note is what the generator has to say of them.
    waited: (share of the window, who)"""

    def __init__(self, figures, note="", waited=(0.0, ""), again=False):
        self.figures, self.note, self.waited, self.again = figures, note, waited, again

    @property
    def disturbed(self):
        """A clause that says by how much, or ""."""
        share, who = self.waited
        return f"the {who} waited {share:.0%} of the time for its CPU" if share > DISTURBED else ""


def when_idle(cpus):
    """In the child: as own_terms, and only while nobody else wants the CPU."""
    before = own_terms(cpus)

    def all_of_it():
        before()
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        # Where sessions are scheduled as groups, the policy is the group's own matter, and its weight counts.
        try:
            with open("/proc/self/autogroup", "w", encoding="ascii") as f:
                f.write("19")
        except OSError:
            pass
    return all_of_it


class Storm:
    """Clients that make handshakes, one after the other, until its `with` block ends; then result is the JSON."""

    def __init__(self, command, out, terms):
        self.command, self.out, self.terms, self.result = [*command, "--json", out], out, terms, None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True, preexec_fn=self.terms)
        return self

    def __exit__(self, kind, value, trace):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        with open(self.out, encoding="utf-8") as f:
            text = f.read()
        self.result = json.loads(text) if text.strip() else None


class Generator:
    def __init__(self, program, cpu, seconds, warm, realtime):
        self.program, self.cpu, self.seconds, self.warm, self.realtime = program, cpu, seconds, warm, realtime

    def command(self, case, server, running, out):
        seconds = case.seconds or self.seconds
        command = [self.program, *case.arguments(), "--target", server.target_of(case), "--url", running.subscribe_url(),
                   "--publish-url", running.publish_url(), "--seconds", f"{seconds:g}", "--cpus", str(self.cpu),
                   "--quiet", "--json", out]
        if not case.memory:
            # A storm takes its time to gather.
            command += [*(["--busy"] if case.polls else []), "--warm", f"{max(self.warm, 4) if case.storm else self.warm:g}"]
        if running.tls:
            command += ["--insecure"]
        for pid in running.pids():
            command += ["--pid", str(pid)]
        return command

    def run(self, case, server, running):
        """(status, the JSON or None, what it said)"""
        if not case.storm:
            return self.run_alone(case, server, running)
        fd, out = tempfile.mkstemp(prefix="rc-compare-", suffix=".json")
        os.close(fd)
        command = [self.program, "handshakes", "--clients", str(STORMING), "--target", server.target_of(case), "--url", running.subscribe_url(),
                   "--seconds", "600", "--warm", "0", "--cpus", str(self.cpu), "--sources", "127.0.0.2-127.0.0.9", "--insecure", "--own-limit",
                   "--quiet"]
        try:
            # Whoever is before all others need not keep the storm down.
            with Storm(command, out, (own_terms if running.realtime else when_idle)({self.cpu})) as storm:
                status, result, said = self.run_alone(case, server, running)
        finally:
            os.unlink(out)
        return add_storm(status, result, said, storm.result)

    def run_alone(self, case, server, running):
        fd, out = tempfile.mkstemp(prefix="rc-compare-", suffix=".json")
        os.close(fd)
        limit = 60 + (case.seconds or self.seconds) + self.warm
        process = None
        try:
            process = subprocess.Popen(
                self.command(case, server, running, out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
                preexec_fn=own_terms({self.cpu}, running.realtime))
            try:
                _, said = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                raise Failed(f"the generator did not end within {limit:.0f} s") from None
            with open(out, encoding="utf-8") as f:
                text = f.read()
            return process.returncode, json.loads(text) if text.strip() else None, said.strip()
        finally:
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.communicate(timeout=3)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
            os.unlink(out)


def figure(result, where):
    for key in where:
        result = (result or {}).get(key)
    return result


def add_return(case, result):
    """Of clients that came back: how long it took after they were away, what the server's CPU did in those seconds, and what it was for
    those who stayed. A fault, or ""."""
    seconds, clients = figure(result, ("clients", "storm_seconds")), result["clients"]
    if seconds is None:
        return "not all clients came back"
    if clients["unrecovered"] or clients["recovered"] != clients["dropped"]:
        return f"{clients['dropped']:,} clients dropped, and {clients['recovered']:,} recovered"
    begin, end = CALM_SECONDS + case.away, CALM_SECONDS + seconds
    # Samples are of a second or so; of those at both ends the part that counts.
    cpu = sum(s["server_cpu"] * max(0, min(end, s["t"] + s["seconds"]) - max(begin, s["t"])) for s in result["timeline"] if s["server_cpu"] is not None)
    staying = result["groups"][0]
    result["back"] = {"seconds": seconds - case.away, "cpu_seconds": cpu, "p99_before": figure(staying, ("before_storm", "p99")),
                      "p99_meanwhile": figure(staying, ("in_storm", "p99"))}
    return ""


def waited(result, server):
    """The larger share of the window that the server or the generator had to wait for its CPU, and which of them it was."""
    seconds = figure(result, ("window", "seconds")) or 1
    # What threads of a server wait for each other can't be told from what they wait for others.
    whose = ["generator"] if server.threads_meet else ["generator", "server"]
    return max(((figure(result, (who, "waited_seconds")) or 0) / seconds, who) for who in whose)


def add_cpu_per_event(result):
    """Where nothing is delivered, what an event costs the server is not among the generator's figures."""
    seconds, events = figure(result, ("server", "cpu_seconds")), figure(result, ("window", "published"))
    if seconds is not None and events:
        result["server"]["cpu_ns_per_event"] = seconds * 1e9 / events


def add_storm(status, result, said, storm):
    """The storm's handshakes a second beside what the others had meanwhile; both ended together, so the longer one covers the other."""
    seconds, handshakes = figure(storm, ("window", "seconds")), figure(storm, ("window", "handshakes"))
    if status not in (0, 3) or result is None:
        return status, result, said
    if not seconds or seconds < figure(result, ("window", "seconds")):
        why = (storm or {}).get("notes") or ["it was not reached"]
        return 2, None, f"the storm of handshakes did not begin in time: {why[-1]}"
    result["storm"] = {"handshakes_per_second": handshakes / seconds}
    return status, result, said


def take_down(case, server, status, result, said):
    verdict = VERDICTS.get(status, f"status {status}")
    # How much memory a client takes does not depend on how fast the generator was.
    limited = verdict == "limited" and result is not None
    cpu_alone = limited and (case.tls and case.primary in STILL_HOLDS or case.group == "http" and not case.away or case.group == "commands")
    with_ours = limited and case.tls and case.primary == "p99" and waited(result, server)[0] <= DISTURBED
    # When all are back is seen by the server's answers; that a generator was slow has only made it later.
    only_back = limited and case.away
    fit = verdict == "ok" or cpu_alone or with_ours or only_back or (limited and case.memory)
    if not fit or result is None:
        notes = (result or {}).get("notes") or [(said.splitlines() or ["the generator said nothing"])[-1]]
        return Outcome({}, f"{verdict}: {notes[0]}", again=verdict == "limited")
    # A loss that the server owns up to is one all the same: the others are set up to lose nothing.
    if figure(result, ("told",)):
        return Outcome({}, f"the server left out {result['told']:,} events and said so")
    wrong = add_return(case, result) if case.away else ""
    if wrong:
        return Outcome({}, f"faulty: {wrong}")
    add_cpu_per_event(result)
    known = {**LATENCY_WITH_OURS, **STILL_HOLDS, "handshakes_per_second": ("storm", "handshakes_per_second")} if with_ours else \
        COMMANDS_STILL_HOLD if cpu_alone and case.group == "commands" else STILL_HOLDS if cpu_alone else case.figures
    figures = {key: figure(result, where) for key, where in known.items()}
    figures = {key: value for key, value in figures.items() if value is not None}
    note = (LIMITED if cpu_alone else WITH_OURS if with_ours else ONLY_BACK if only_back else "") + " ".join(result["notes"])
    return Outcome(figures) if case.memory else Outcome(figures, note, waited(result, server))


def once(case, server, generator, cpus, certificate):
    if not case.scenario:
        times = []
        for _ in range(STARTS):
            with server.start(cpus, certificate) as running:
                times.append(running.startup_seconds)
        return Outcome({"startup_seconds": statistics.median(times)})
    # Not who polls: it would leave nothing to others.
    with server.start(cpus, certificate, generator.realtime and not case.polls) as running:
        return take_down(case, server, *(wrk.run if case.wrk else Generator.run)(generator, case, server, running))


class Patience:
    """How long may be spent on trying again."""

    def __init__(self, tries, seconds):
        self.tries, self.left = tries, seconds

    def measure(self, case, server, generator, cpus, certificate):
        """The least disturbed of some runs."""
        best = None
        for number in range(1 + self.tries):
            began = time.monotonic()
            try:
                outcome = once(case, server, generator, cpus, certificate)
            except Failed as failed:
                # What happened, and the last that the server said of it.
                lines = str(failed).splitlines()
                outcome = Outcome({}, " ".join(lines[:1] + lines[1:][-1:]))
            if best is None or bool(outcome.figures) > bool(best.figures) or \
                    (outcome.figures and outcome.waited < best.waited):
                best = outcome
            if number:
                self.left -= time.monotonic() - began
            if not (outcome.again or outcome.disturbed) or self.left <= 0:
                break
        return best
