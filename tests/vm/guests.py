# SPDX-License-Identifier: Apache-2.0
"""What runs in which guest, and the step `vm` of scripts/test, which runs it. README.md has the tables for reading."""
import concurrent.futures
import glob
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
import threading
import time

# Two at a time: each has two processors and up to 2 GiB.
AT_ONCE = 2
# A guest's processor is ten to fifty times slower than the host's.
SLOW = "12"
# Clients of the test of many handshakes at once.
CROWD = "300"

# What no guest runs, whatever it is: files of tests/e2e, and single tests by pytest's -k.
NOT_IN_A_GUEST = {
    "test_clib.py": "compiles programs",
    "test_compare.py": "measures speed, against peers that the guest has not",
    "test_cross.py": "compiles; the guest of aarch64 is the better test",
    "test_install.py": "compiles",
    "test_load_faults.py": "judges waits and stalls of milliseconds, which on a guest's processor are everywhere",
    "test_instructions.py": "counts under valgrind",
    "test_micro.py": "measures speed",
    "test_readme.py": "compiles",
    "test_report.py": "needs a browser",
}
NOT_THESE = {
    "test_load_run.py": ("slow_clients_do_not_harm or test_handshakes",
                         "two of its clients read too slowly on a guest's processor and are closed; and the floor of handshakes is compiled"),
    "test_load_end.py": ("an_interrupted_run", "its last events are still under way when a guest's processor is interrupted"),
    "test_config_cli.py": ("a_memlock_limit", "these kernels do not count a ring as locked memory, so the gateway starts"),
}
# Unit tests of the load generator that judge real time, which a guest has not, and one that takes minutes of arithmetic.
NOT_THESE_UNITS = ("load/test_plan", "load/test_publisher")


class Guest:
    """One boot: an architecture, a kernel, and what is run there."""

    def __init__(self, arch, kernel, variant, unit=(), e2e=None, shards=(1, 2), memory=1280, seconds=900, commands=(), forged=None):
        """unit: patterns of tests/unit; e2e: {pattern of files: what pytest selects, or ""}; commands: (name, command, seconds), from the top of the
        tree; forged: the kernel's TLS counters have to prove that it was used, and no file of tests may have more records that it
        could not decipher than this says, for those that are not named none."""
        self.arch, self.kernel, self.variant = arch, kernel, variant
        self.unit, self.e2e, self.shards = unit, e2e or {}, shards
        self.memory, self.seconds, self.commands, self.forged = memory, seconds, commands, forged
        self.name = f"{arch} {kernel}"
        self.cross = "" if platform.machine() == arch else f"{arch}-linux-gnu-"
        self.build = f"build/{self.cross}{variant}"

    def programs(self):
        sources = sorted({f for pattern in self.unit for f in glob.glob(f"tests/unit/{pattern}.c")})
        names = [f[len("tests/unit/"):-2] for f in sources]
        return [f"{self.build}/unit/{name}" for name in names if name not in NOT_THESE_UNITS]

    def files(self):
        """(file, what pytest selects of it)"""
        chosen = [(f, expression) for pattern, expression in self.e2e.items() for f in sorted(glob.glob(f"tests/e2e/{pattern}"))
                  if os.path.basename(f) not in NOT_IN_A_GUEST]
        without = {name: f"not ({test})" for name, (test, _) in NOT_THESE.items()}
        return [(f, " and ".join(filter(None, (e, without.get(os.path.basename(f)))))) for f, e in chosen]

    def plan(self):
        env = {"RINGCAST_BIN": f"{self.build}/ringcast", "RINGCAST_LOAD": f"{self.build}/ringcast-load", "RINGCAST_SLOW": SLOW,
               "RINGCAST_CROWD": CROWD}
        parts = [{"kind": "unit", "variant": self.variant, "program": p} for p in self.programs()]
        parts += [{"kind": "command", "name": name, "command": command, "seconds": seconds, "env": env}
                  for name, command, seconds in self.commands]
        parts += [{"kind": "e2e", "variant": self.variant, "file": f, "shards": n,
                   "select": ["-k", expression] if expression else [], "env": env} for f, expression in self.files() for n in self.shards]
        return {"parts": parts, "forged": self.forged, "seconds": self.seconds}


# What the kernel or the processor can make another thing of; the rest is arithmetic and text.
NEAR_THE_KERNEL = ["io/*", "conn/*", "tls/*", "mem/*", "shard/*"]
NEAR_THE_PROCESSOR = [*NEAR_THE_KERNEL, "base/*", "sync/*", "proto/*", "ops/test_counters"]
ENGINE = ["test_fanout.py", "test_ingest.py", "test_conformance.py"]
EVERYTHING = [*ENGINE, "test_http.py", "test_json.py", "test_slow.py", "test_shutdown.py", "test_faults.py", "test_config_cli.py",
              "test_stress.py", "test_load_*.py"]
MEMORY = ("memory of 10,000 idle clients", ["python3", "-B", "tests/vm/memory.py", "10000"], 1500)
# On the kernel's TLS. How many records that can't be deciphered the tests send, for each number of shards: forged ones and repeated ones.
TLS = {"test_tls*.py": "kernel"}
FORGED = {"test_tls.py": 2, "test_tls_faults.py": 10}


# What kernel TLS could do otherwise: streams that receive nothing, long replays, both ends of a stream.
FEW_OF_HISTORY = "kernel and (head_of_a_stream or id_comes_by_header or ids_of_heartbeats or cut_inside_blocks or dropped_in_the_middle)"
# Of streams: what is about bytes and waiting, not what refuses a frame.
BYTES_AND_WAITING = "kernel and not (thousand or hello or refused or error or ends_the_connection or publisher_id or token or another " \
    "or where_one or sequence or offsets or policy or told)"


def whole():
    """What `make test-vm` runs."""
    return [
        Guest("x86_64", "6.12", "release", ["io/*", "tls/*"], TLS, commands=[MEMORY], forged=FORGED, memory=2048, seconds=3600),
        Guest("x86_64", "6.1", "release", ["*/*"], dict.fromkeys(ENGINE, ""), shards=(2,), seconds=1800),
        Guest("x86_64", "current", "release", ["*/*"], dict.fromkeys(ENGINE, ""), shards=(2,), seconds=1800),
        Guest("aarch64", "6.12", "release", ["*/*"], dict.fromkeys(EVERYTHING, ""), seconds=7200),
    ]


def short():
    """What fits beside the other steps, and a sentence about what does not."""
    return [
        Guest("aarch64", "6.12", "release", NEAR_THE_PROCESSOR, {"test_fanout.py": ""}, shards=(2,), seconds=900),
        Guest("x86_64", "6.12", "release", ["io/*", "tls/*"], dict.fromkeys(
            ["test_tls.py", "test_tls_c*.py", "test_tls_faults.py"], "kernel")
            | {"test_tls_reload.py": "kernel and two_hundred", "test_tls_streams.py": BYTES_AND_WAITING, "test_tls_history.py": FEW_OF_HISTORY},
              shards=(2,), forged=FORGED, seconds=900),
        Guest("x86_64", "6.1", "release", NEAR_THE_KERNEL, shards=(2,), seconds=600),
    ], "left to `make test-vm`: kernel 7, unit tests of what is near neither kernel nor processor, most end-to-end tests on aarch64 and on " \
        "6.1; test_tls_features.py, crowds of handshakes and of readers, refused frames, most of reloading, most of history and the memory " \
        "of 10,000 clients over kernel TLS"


# ---- making it ready

def vm(test, *arguments, env=None, seconds=900):
    return test.run(["scripts/vm", *arguments], env, seconds)


def last_line(output):
    return (output.strip().splitlines() or ["it said nothing"])[-1].removeprefix("vm: ")


def prepared(test, guest):
    """None, or the result of a guest that can't be had: skipped when this host or its network is the reason."""
    if guest.cross and not shutil.which(f"{guest.cross}gcc"):
        return test.Result(f"vm {guest.name}", skipped=1, notes=[f"skipped: {guest.cross}gcc is not installed: scripts/deps test"])
    for arguments in [("prepare", guest.arch, guest.kernel)] + ([("sysroot", guest.arch)] if guest.cross else []):
        status, output, seconds = vm(test, *arguments)
        if status == 77:
            return test.Result(f"vm {guest.name}", skipped=1, output=output, seconds=seconds, notes=[f"skipped: {last_line(output)}"])
        if status:
            return test.Result(f"vm {guest.name}", failed=1, output=output, seconds=seconds)
    return None


def built(test, guest):
    """None, or the failed result of a build."""
    more = [f"CROSS={guest.cross}", *vm(test, "sysroot", guest.arch)[1].strip().splitlines()] if guest.cross else []
    return test.make(guest.variant, "all", "load", *more, *guest.programs())


def job_folder(guest, into):
    """The tree without what no guest needs, the programs without what only a debugger reads, and the plan."""
    shutil.copytree(".", into, symlinks=True, dirs_exist_ok=True, ignore=lambda at, names: [
        n for n in names if n in (".git", "build", "__pycache__", "fuzz") or (at == "./tests" and n == "unit")])
    for program in [f"{guest.build}/{name}" for name in ("ringcast", "ringcast-load")] + guest.programs():
        os.makedirs(os.path.dirname(f"{into}/{program}"), exist_ok=True)
        subprocess.run([f"{guest.cross}strip", "-g", "-o", f"{into}/{program}", program], check=True)
    with open(f"{into}/plan.json", "w") as f:
        json.dump(guest.plan(), f)
    with open(f"{into}/cmd", "w") as f:
        f.write("exec python3 -B tests/vm/guest.py\n")


# ---- running it

def run_guest(test, guest):
    """Shows each result as the guest tells it; all of them."""
    results, rest, ended = [], [], False
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ringcast-job-") as folder:
        job_folder(guest, folder)
        env = {**os.environ, "RINGCAST_VM_MEMORY": str(guest.memory), "RINGCAST_VM_SECONDS": str(guest.seconds)}
        process = subprocess.Popen(["scripts/vm", "run", guest.arch, folder, guest.kernel], stdin=subprocess.DEVNULL, env=env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
        complaints = []
        listener = threading.Thread(target=lambda: complaints.extend(process.stderr), daemon=True)
        listener.start()
        for line in process.stdout:
            try:
                told = json.loads(line)
            except ValueError:
                rest.append(line)
                continue
            if "result" in told:
                r = test.Result(**told["result"])
                r.name = f"vm {guest.name} {r.name}"
                results.append(test.show(r))
            elif "note" in told:
                print(f"  vm {guest.name}: {told['note']}", flush=True)
            ended = ended or "end" in told
        status = process.wait()
        listener.join()
    if status or not ended:
        results.append(test.show(test.Result(
            f"vm {guest.name}", failed=1, output="".join(rest + complaints) + f"\nthe guest ended with status {status}\n",
            seconds=time.monotonic() - begin)))
    print(f"  vm {guest.name}: over after {time.monotonic() - begin:.0f} s", flush=True)
    return results


def step(test, wanted):
    """The results of the guests that are wanted: "all", the name of one, or what fits beside the other steps."""
    named = [g for g in whole() if wanted in ("all", g.name)]
    if wanted and not named:
        return [test.show(test.Result(f"vm {wanted}", failed=1, output=f"there is no such guest; there are {', '.join(g.name for g in whole())}"))]
    guests, left_out = (named, None) if wanted else short()
    results, ready = [], []
    for guest in guests:
        bad = prepared(test, guest) or built(test, guest)
        if bad:
            results.append(test.show(bad))
        else:
            ready.append(guest)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for found in pool.map(lambda guest: run_guest(test, guest), ready):
            results += found
    if left_out:
        print(f"  {left_out}", flush=True)
    return results
