# SPDX-License-Identifier: Apache-2.0
"""Runs the cases of a script of tests/e2e/js in node, with what it takes: packages of npm, a Chromium, the gateway's program."""
import os
import re
import subprocess

import pytest

import rcgateway
import rcpage
from conftest import need_binary, npm_modules
from deadline import SLOW

JS = os.path.join(rcgateway.ROOT, "tests/e2e/js")


def node(script, *arguments, modules="", seconds=90, **env):
    """Skips with the script's own reason when it ends with 77."""
    need_binary()
    done = subprocess.run(["node", os.path.join(JS, script), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=seconds * SLOW,
                          env={**os.environ, "RINGCAST_BIN": rcgateway.BINARY, "RINGCAST_SLOW": str(SLOW), "MODULES": modules, **env})
    if done.returncode == 77:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout[-8000:]
    return done.stdout


def case(script, name, **options):
    """One case of a script that drives Chromium."""
    modules = npm_modules("playwright-core", 1)
    return node(script, name, modules=modules, CHROMIUM=rcpage.browser(), **options)


def cases(script):
    """Their names, as they stand in the script: collecting must need neither node nor packages."""
    with open(os.path.join(JS, script), encoding="utf-8") as f:
        return re.findall(r'^\tasync "([^"]+)"\(stage\)', f.read(), re.M)
