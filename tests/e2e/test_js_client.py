# SPDX-License-Identifier: Apache-2.0
"""The JavaScript client, as it is served, by node's test runner, tests/client/*.test.mjs, a file at a time; and in Deno, which imports it by its
address."""
import glob
import json
import os
import re
import shutil
import stat
import subprocess

import pytest

import rcgateway
from conftest import need_binary, npm_modules
from deadline import SLOW
from rchttp import Http

TESTS = os.path.join(rcgateway.ROOT, "tests/client")
LONG = {"clock.test.mjs", "hostile.test.mjs", "network.test.mjs"}
FILES = sorted(os.path.basename(f) for f in glob.glob(f"{TESTS}/*.test.mjs"))


@pytest.mark.deadline(300)
@pytest.mark.parametrize("name", [pytest.param(f, marks=pytest.mark.web if f in LONG else ()) for f in FILES])
def test_the_client_in_node(name):
    need_binary()
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    done = subprocess.run(["node", "--test", "--test-reporter=tap", os.path.join(TESTS, name)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=280 * SLOW,
                          env={**os.environ, "RINGCAST_BIN": rcgateway.BINARY, "RINGCAST_SLOW": str(SLOW),
                               "RINGCAST_JS": os.path.join(os.path.dirname(os.path.abspath(rcgateway.BINARY)), "web/ringcast.js")})
    counts = {k: int(n) for k, n in re.findall(r"^# (tests|pass|fail|cancelled|skipped) (\d+)$", done.stdout, re.M)}
    # Those that passed say nothing; what a test prints (its seed) stays.
    failures = re.split(r"(?m)^(?=# Subtest:)", done.stdout)
    wrong = [f for f in failures if re.search(r"^not ok", f, re.M)]
    assert done.returncode == 0, "".join(wrong)[-12000:] or done.stdout[-4000:]
    assert counts["tests"] > 0 and counts["fail"] == 0 and counts["cancelled"] == 0, counts
    if counts["skipped"] == counts["tests"]:
        pytest.skip(re.search(r"# SKIP (.*)$", done.stdout, re.M).group(1))


DENO = """
const [url, gateway] = Deno.args;
const { connect, version } = await import(url);
const client = connect(gateway, { minDelay: 10, maxDelay: 100 });
const seen = [];
const say = (what) => console.log(JSON.stringify(what));
client.on("connected", ({ transport, again }) => say({ connected: transport, again }));
const subscription = client.subscribe("deno:a", (event) => {
    seen.push(event.data.n);
    if (event.data.n === 20) {
        say({ seen, version });
        client.close();
    }
}, { since: "beginning" });
await subscription.ready;
for (let n = 11; n <= 20; n++) await client.publish("deno:a", "e", { n });
"""


def deno():
    """The program of the npm package, which brings it as a package for each platform."""
    modules = npm_modules("deno", 2)
    found = glob.glob(f"{modules}/@deno/*/deno")
    if not found:
        pytest.skip("npm has no Deno for this platform")
    if not os.access(found[0], os.X_OK):
        os.chmod(found[0], os.stat(found[0]).st_mode | stat.S_IXUSR)
    return found[0]


def served(g):
    """The client's address: the gateway's where it serves it, else its sources'."""
    with Http(g.plain_http) as http:
        if http.get("/ringcast.js").status == 200:
            return g.url("/ringcast.js", "http")
    return f"file://{rcgateway.ROOT}/src/web/client/ringcast.js"


@pytest.mark.one_shard
@pytest.mark.deadline(120)
def test_deno_imports_it_by_its_address(gateway, publisher, folder):
    program = deno()
    g = gateway({"namespace.deno.history_size": "100", "namespace.allow_publish": "anyone"}, shards=1)
    p = publisher(g)
    for n in range(1, 11):
        p.publish("deno:a", json.dumps({"n": n}))
    url = served(g)
    with open(f"{folder}/main.mjs", "w") as f:
        f.write(DENO)
    done = subprocess.run([program, "run", "--no-config", "--no-lock", "--allow-net", "--allow-import", "--allow-read", "main.mjs", url, g.url("/", "http")],
                          cwd=folder, capture_output=True, text=True, timeout=90 * SLOW, env={**os.environ, "DENO_DIR": f"{folder}/deno", "NO_COLOR": "1"})
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said[0] == {"connected": "ws", "again": False}
    assert said[1]["seen"] == list(range(1, 21))
