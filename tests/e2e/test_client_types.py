# SPDX-License-Identifier: Apache-2.0
"""The types of the JavaScript client: what uses it rightly compiles, what does not is refused, and they name what is there."""
import json
import os
import shutil
import subprocess

import pytest

from conftest import npm_modules
from deadline import SLOW
from rcgateway import ROOT

CLIENT = os.path.join(ROOT, "src/web/client")
TESTS = os.path.join(ROOT, "tests/client")
LIBRARIES = {"node's": "nodenext", "a bundler's": "bundler"}


@pytest.fixture
def project(folder):
    """A folder with the client as a package of its own, as an application has it."""
    modules = npm_modules("typescript", 5)
    npm_modules("@types/react", 19)
    os.makedirs(f"{folder}/node_modules/@types")
    shutil.copytree(CLIENT, f"{folder}/node_modules/ringcast")
    for name in ("@types/react", "csstype"):
        os.symlink(os.path.join(modules, name), f"{folder}/node_modules/{name}")
    shutil.copytree(f"{TESTS}/types", f"{folder}/src")
    with open(f"{folder}/package.json", "w") as f:
        json.dump({"type": "module"}, f)
    return folder, modules


def tsc(folder, modules, resolution, *more):
    options = {"strict": True, "noEmit": True, "target": "es2022", "lib": ["es2022", "dom", "dom.iterable"], "jsx": "react-jsx", "types": [],
               "module": "nodenext" if resolution == "nodenext" else "esnext", "moduleResolution": resolution,
               "noUncheckedIndexedAccess": True, "exactOptionalPropertyTypes": True}
    with open(f"{folder}/tsconfig.json", "w") as f:
        json.dump({"compilerOptions": options, "include": ["src"]}, f)
    return subprocess.run(["node", f"{modules}/typescript/bin/tsc", "--project", folder, *more], capture_output=True, text=True, timeout=100 * SLOW)


@pytest.mark.parametrize("resolution", LIBRARIES.values(), ids=LIBRARIES)
def test_what_uses_the_client_rightly_compiles_and_what_does_not_is_refused(project, resolution):
    done = tsc(*project, resolution)
    assert done.returncode == 0, done.stdout


def test_without_its_expectations_the_compiler_complains(project):
    """So that the test above can fail: the lines that are to be refused are."""
    folder, modules = project
    expected = 0
    for name in os.listdir(f"{folder}/src"):
        with open(f"{folder}/src/{name}") as f:
            text = f.read()
        # The line that says it, of itself, not where this word is spoken of.
        expected += sum(line.strip().startswith(("// @ts-expect-error", "{/* @ts-expect-error")) for line in text.splitlines())
        with open(f"{folder}/src/{name}", "w") as f:
            f.write(text.replace("@ts-expect-error", "refused:"))
    done = tsc(folder, modules, "bundler", "--pretty", "false")
    lines = {line.split("): error")[0].partition(",")[0] for line in done.stdout.splitlines() if ": error TS" in line}
    assert expected > 30 and len(lines) == expected, done.stdout


@pytest.mark.parametrize("entry", ["ringcast", "react"])
def test_the_types_name_what_is_there_and_nothing_else(folder, entry):
    modules = npm_modules("typescript", 5)
    source = os.path.join(CLIENT, f"{entry}.js")
    if entry == "react":
        # It imports React by its name, and so has to lie where there is one.
        npm_modules("react", 19)
        shutil.copytree(CLIENT, f"{folder}/client")
        os.symlink(modules, f"{folder}/node_modules")
        with open(f"{folder}/client/package.json") as f:
            assert json.load(f)["type"] == "module"
        source = f"{folder}/client/react.js"
    done = subprocess.run(["node", os.path.join(TESTS, "exports.mjs"), modules, source, os.path.join(CLIENT, f"{entry}.d.ts")],
                          capture_output=True, text=True, timeout=60 * SLOW)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    exported, said = found["exported"], found["said"]
    assert sorted(exported) == sorted(said)
    for name, what in said.items():
        # A class says its methods, others whether they are a function or which type they have.
        if not isinstance(what, list):
            assert exported[name] == what, name
        elif what:
            assert exported[name] == what, name
