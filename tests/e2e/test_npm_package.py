# SPDX-License-Identifier: Apache-2.0
"""The package of npm: made, packed, installed into a project of its own, and used from there, types and all."""
import json
import os
import re
import shutil
import subprocess
import tarfile

import pytest

from conftest import npm_modules
from rcgateway import ROOT

pytestmark = pytest.mark.one_shard

USES = """
import { connect, version } from "ringcast";
const rc = connect(process.argv[2]);
rc.on("error", (e) => { console.log("error " + e.code); process.exitCode = 1; });
const s = rc.subscribe("news", (e) => { console.log(e.event, JSON.stringify(e.data)); rc.close(); });
await s.ready;
await fetch(process.argv[2] + "/api/publish", { method: "POST", body: JSON.stringify({ channel: "news", event: "hello", data: version }) });
"""


def npm(*args, cwd):
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    r = subprocess.run(["npm", "--silent", "--no-audit", "--no-fund", *args], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stdout + r.stderr
    return r.stdout


@pytest.fixture
def project(tmp_path):
    """A project that has the package and nothing else."""
    subprocess.run(["make", "-s", "npm"], cwd=ROOT, check=True, timeout=300, stdout=subprocess.DEVNULL)
    tarball = tmp_path / npm("pack", os.path.join(ROOT, "build/package"), cwd=tmp_path).strip().splitlines()[-1]
    with tarfile.open(tarball) as t:
        tmp_path.joinpath("names").write_text("\n".join(sorted(m.name.removeprefix("package/") for m in t)))
    project = tmp_path / "project"
    project.mkdir()
    (project / "package.json").write_text('{"type":"module","private":true}')
    npm("install", "--offline", str(tarball), cwd=project)
    return project


def test_it_has_what_it_says_and_no_more(project, tmp_path):
    said = json.loads((project / "node_modules/ringcast/package.json").read_text())
    names = set(tmp_path.joinpath("names").read_text().split())
    assert names == {"LICENSE", "README.md", "package.json", "ringcast.js", "ringcast.classic.js", "node.js", "react.js", "ringcast.d.ts", "ringcast.classic.d.ts", "react.d.ts"}

    def files(value):
        return [value] if isinstance(value, str) else [f for v in value.values() for f in files(v)]
    assert {f.removeprefix("./") for f in files(said["exports"])} | {said["types"][2:], said["unpkg"][2:]} <= names
    assert said.get("dependencies") is None and said["peerDependencies"] == {"react": ">=18"}
    with open(os.path.join(ROOT, "Makefile")) as f:
        assert said["version"] == re.search(r"^VERSION := (\S+)", f.read(), re.M)[1]


def test_a_program_uses_it(project, gateway):
    g = gateway()
    (project / "uses.js").write_text(USES)
    r = subprocess.run(["node", "uses.js", g.url("", "http")], cwd=project, capture_output=True, text=True, timeout=120)
    assert r.returncode == 0 and r.stdout == 'hello "0.1.0"\n', r.stdout + r.stderr


def test_its_types_are_found(project):
    npm("install", "typescript@5", cwd=project)
    (project / "uses.ts").write_text('import { connect, type Event } from "ringcast";\n'
                                     'connect("http://localhost").subscribe<{ n: number }>("c", (e: Event<{ n: number }>) => e.data.n.toFixed());\n')
    (project / "classic.ts").write_text('import "ringcast/classic";\n'
                                        'const e: ringcast_error = new ringcast.RingcastError("x");\n'
                                        'type ringcast_error = InstanceType<typeof ringcast.RingcastError>;\n'
                                        'ringcast.connect().on("error", (error) => error.code == e.code && ringcast.version.length);\n')
    r = subprocess.run(["npx", "tsc", "--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom", "uses.ts", "classic.ts"],
                       cwd=project, capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stdout


def test_a_bundle_has_the_script_for_its_global_and_nothing_that_is_not_used(project):
    esbuild = os.path.join(npm_modules("esbuild", 0), ".bin/esbuild")
    sizes = {}
    for entry in ("ringcast", "ringcast/classic"):
        (project / "uses.js").write_text(f'import "{entry}";')
        r = subprocess.run([esbuild, "--bundle", "--log-level=error", "uses.js"], cwd=project, capture_output=True, text=True, timeout=120)
        assert r.returncode == 0, r.stderr
        sizes[entry] = len(r.stdout)
    assert "globalThis.ringcast" in r.stdout
    assert sizes["ringcast"] < 200 < sizes["ringcast/classic"], sizes
