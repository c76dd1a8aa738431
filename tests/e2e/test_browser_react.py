# SPDX-License-Identifier: Apache-2.0
"""The entry for React in Chromium: React 18 and 19 as they are for development, with StrictMode and without."""
import os
import shutil
import subprocess

import pytest

import rcbrowser
from conftest import npm_modules
from rcgateway import ROOT

SCRIPT = "browser_react.mjs"


def react(version):
    """A folder of node's modules with this React: two versions can't be in one."""
    prefix = os.path.join(ROOT, f"build/npm/react{version}")
    modules = os.path.join(prefix, "node_modules")
    if not os.path.isdir(os.path.join(modules, "react-dom")):
        if not shutil.which("npm"):
            pytest.skip("npm is not installed")
        # npm wants it to be there, or it looks further up for the folder that is meant.
        os.makedirs(prefix, exist_ok=True)
        done = subprocess.run(["npm", "install", "--prefix", prefix, f"react@{version}", f"react-dom@{version}", "--no-audit", "--no-fund",
                               "--ignore-scripts"], cwd=ROOT, capture_output=True, text=True, timeout=120)
        if done.returncode:
            pytest.skip(f"npm could not install react {version}: {done.stderr.strip().splitlines()[-1:]}")
    return modules


@pytest.mark.deadline(120)
@pytest.mark.web
@pytest.mark.parametrize("version", [18, 19])
@pytest.mark.parametrize("name", rcbrowser.cases(SCRIPT))
def test_the_hooks_in_chromium(name, version):
    npm_modules("esbuild", 0)
    rcbrowser.case(SCRIPT, name, REACT=react(version))
