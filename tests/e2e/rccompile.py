# SPDX-License-Identifier: Apache-2.0
"""Programs that are compiled against the library, and builds of the tree. Both are made under build/, by one process at a time."""
import contextlib
import fcntl
import os
import shlex
import subprocess

import rcgateway
from deadline import SLOW

ROOT = rcgateway.ROOT
# What was built under build/asan is linked only by a program that has the same sanitizer.
SANITIZERS = {"asan": ["-fsanitize=address,undefined"], "tsan": ["-fsanitize=thread"]}
STRICT = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror"]


def compiler():
    return shlex.split(os.environ.get("CC", "cc"))


def run(command, seconds=300, **options):
    """Its standard output; AssertionError with everything it said when it ends badly."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=seconds * SLOW, stdin=subprocess.DEVNULL,
                          **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def with_library(source, program):
    """Compiles the source with the libringcast.a that stands beside the program under test."""
    build = os.path.dirname(rcgateway.BINARY)
    run([*compiler(), *STRICT, *SANITIZERS.get(os.path.basename(build), []), "-I", os.path.join(ROOT, "include"), source,
         os.path.join(build, "libringcast.a"), "-lssl", "-lcrypto", "-pthread", "-o", program])
    return program


@contextlib.contextmanager
def alone():
    """Files of tests run side by side; two builds in one folder would meet."""
    os.makedirs(os.path.join(ROOT, "build"), exist_ok=True)
    with open(os.path.join(ROOT, "build/.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(*arguments, env=None):
    """`make` in the tree, the release variant unless something else is said."""
    # The make that runs the tests hands down variables that must not reach this one.
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VARIANT", "CC")}
    with alone():
        return run(["make", "--no-print-directory", "-j2", *arguments], seconds=600, cwd=ROOT, env={**clean, **(env or {})})
