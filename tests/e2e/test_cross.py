# SPDX-License-Identifier: Apache-2.0
"""The loops that are written for aarch64 too (NEON): their unit tests, built for it and run under qemu. No gateway."""
import glob
import os
import platform
import shutil
import subprocess

import pytest

import rccompile

ROOT = rccompile.ROOT
COMPILER, QEMU = "aarch64-linux-gnu-gcc", "qemu-aarch64"
STRICT = ["-std=gnu11", "-O2", "-static", "-Wall", "-Wextra", "-Wconversion", "-Wundef", "-Werror", "-D_GNU_SOURCE",
          '-DRC_VERSION="cross"', "-Itests/cross", "-Isrc", "-Iinclude"]
TESTS = ["base/test_simd", "base/test_simd_plain", "base/test_utf8", "proto/test_scan", "proto/test_json", "proto/test_http1",
         "proto/test_websocket"]
pytestmark = [pytest.mark.one_shard, pytest.mark.deadline(300)]


# zlib is not there for deflate.c; test_utf8_plain brings its own utf8.c, in place of the library's.
CORE = sorted(f for part in ("base", "proto") for f in glob.glob(f"src/{part}/*.c", root_dir=ROOT) if f != "src/proto/deflate.c")


@pytest.fixture(scope="module")
def tools():
    if platform.machine() == "aarch64":
        pytest.skip("the unit tests run here as they are")
    for tool in (COMPILER, QEMU):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed: scripts/deps test")


@pytest.fixture(scope="module")
def objects(tools, tmp_path_factory):
    """{source: its object}, compiled once."""
    folder = tmp_path_factory.mktemp("cross")
    made = {source: folder / (source.replace("/", "-")[:-2] + ".o") for source in CORE}
    for source, made_of_it in made.items():
        rccompile.run([COMPILER, *STRICT, "-c", "-o", made_of_it, source], cwd=ROOT)
    return made


@pytest.mark.parametrize("test", TESTS)
def test_the_unit_test_passes_on_aarch64(shards, objects, tmp_path, test):
    core = [o for source, o in objects.items() if not (test.endswith("_plain") and source == "src/base/utf8.c")]
    program = tmp_path / "program"
    rccompile.run([COMPILER, *STRICT, "-o", program, f"tests/unit/{test}.c", *core], cwd=ROOT)
    done = subprocess.run([QEMU, program], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    with open(os.path.join(ROOT, f"tests/unit/{test.removesuffix('_plain')}.c")) as f:
        assert done.stdout.count("ok ") == f.read().count("cmocka_unit_test(")


def test_neon_is_what_the_loops_are_made_of(shards, tools, tmp_path):
    """Unmasking by exclusive or of whole vectors, UTF-8 by look-ups in one."""
    for source, instruction in (("src/proto/wsframe.c", "eor\tv"), ("src/base/utf8.c", "tbl\tv")):
        text = rccompile.run([COMPILER, *(f for f in STRICT if f != "-static"), "-S", "-o", "-", source], cwd=ROOT)
        assert instruction in text
