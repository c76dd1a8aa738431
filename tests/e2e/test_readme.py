# SPDX-License-Identifier: Apache-2.0
"""The README at the top, as somebody would type it. Its blocks say how:

    sh run             a gateway, in the background from there on; asked to end with SIGTERM when all else is done
    sh second          another one, with its counters in another place, so that `ringcast stat` does not see it; likewise
    sh background      beside it, until then
    sh test            to its end, with status 0 (status=0,1 where the answer may be no)
    sh host            not here: it changes the host, takes too long, or needs tools from elsewhere
    c NAME, ini NAME, js NAME
                       the file of that name
    nginx              locations of a server, which nginx looks over where it is installed

All runs in a network of its own, where the default ports are free, beside no other gateway, and in a folder with links to everything
in the tree.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

import rccompile
import rccounters
from deadline import Deadline, eventually
from rcproxy import Tunnel

ROOT = rccompile.ROOT
README = os.path.join(ROOT, "README.md")

pytestmark = [pytest.mark.one_shard, pytest.mark.deadline(420)]


def blocks():
    """(info string, text) of each fenced block, in order."""
    with open(README) as f:
        return re.findall(r"^```([^\n]*)\n(.*?)^```$", f.read(), re.M | re.S)


# Where the counters of other gateways lie is covered up, so that there is one gateway as far as `ringcast stat` can see.
ENTER = """
ip link set lo up
for other in /run/ringcast /tmp/ringcast-$(id -u); do
    [ ! -d $other ] || mount -t tmpfs -o mode=700 none $other
done
echo up
exec cat
"""


@pytest.fixture
def namespace():
    """The beginning of a command that runs it in a network of its own."""
    for tool in ("unshare", "nsenter", "ip"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    own, enter = (["unshare", "-nm"], []) if os.geteuid() == 0 else (["unshare", "-rnm"], ["-U", "--preserve-credentials"])
    holder = subprocess.Popen([*own, "sh", "-ec", ENTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        if holder.stdout.readline() != "up\n":
            pytest.skip(f"no network namespace can be made here: {holder.stderr.read().strip()}")
        yield ["nsenter", "-t", str(holder.pid), *enter, "-n", "-m"]
    finally:
        with contextlib.suppress(BrokenPipeError):
            holder.stdin.close()
        holder.wait()
        holder.stdout.close()
        holder.stderr.close()


class Terminal:
    """A block that goes on beside the others, and all it says."""

    def __init__(self, command, name, **options):
        self.log = open(os.path.join(options["cwd"], name), "w+")
        # A session of its own, so that a signal reaches what the shell and make have started, as the terminal's would.
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
                                        start_new_session=True, **options)

    @property
    def said(self):
        with open(self.log.name) as f:
            return f.read()

    def await_text(self, text, seconds=60):
        def there():
            assert text in self.said or self.process.poll() is None, f"ended before it said {text!r}:\n{self.said}"
            return text in self.said
        eventually(there, text, seconds)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()


def clean_environment(folder):
    env = {k: v for k, v in os.environ.items()
           if not k.startswith("RINGCAST_") and k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VARIANT", "CC")}
    env["RINGCAST_SKIP_DEPS"] = "1"
    # The counters of this gateway and of no other: where they lie, and where `ringcast stat` looks.
    env["RUNTIME_DIRECTORY"] = env["XDG_RUNTIME_DIR"] = folder
    return env


def counters(folder):
    for name in os.listdir(folder):
        if name.endswith(".counters"):
            return rccounters.read(os.path.join(folder, name))[0]
    return {}


def test_every_block_says_what_it_is(shards):
    kinds = {"sh run", "sh second", "sh background", "sh test", "sh test status=0,1", "sh host", "c hello.c", "ini ringcast.conf",
             "ini tls.conf", "js", "js news.js", "nginx"}
    found = [kind for kind, _ in blocks()]
    assert set(found) == kinds, "a block of a new kind, or a kind that is not used any more"
    assert found.count("sh test") >= 5


def test_links_lead_somewhere(shards):
    with open(README) as f:
        targets = re.findall(r"\]\(([^)#]+)[^)]*\)", f.read())
    assert targets
    for target in targets:
        assert os.path.exists(os.path.join(ROOT, target)), target


def test_it_is_true(shards, folder, namespace):
    rccompile.make("all")
    work, run, aside = (os.path.join(folder, name) for name in ("tree", "run", "aside"))
    os.mkdir(work)
    os.mkdir(run, 0o700)
    os.mkdir(aside, 0o700)
    for name in os.listdir(ROOT):
        if not name.startswith("."):
            os.symlink(os.path.join(ROOT, name), os.path.join(work, name))
    options = {"cwd": work, "env": clean_environment(run)}
    terminals, readers, said = [], [], ""
    try:
        for number, (kind, text) in enumerate(blocks()):
            shell = [*namespace, "bash", "-euc", f"cd {work}\n{text}"]
            if kind == "sh run":
                gateway = Terminal(shell, f"{number}.log", **options)
                terminals.append(gateway)
                gateway.await_text(" ready\n", 120)
            elif kind == "sh second":
                second = Terminal(shell, f"{number}.log", cwd=work, env=clean_environment(aside))
                terminals.append(second)
                second.await_text(" ready\n", 60)
            elif kind == "sh background":
                readers.append(Terminal(shell, f"{number}.log", **options))
                terminals.append(readers[-1])
                eventually(lambda: counters(run).get("clients") == len(readers), "the client is there")
            elif kind.startswith("sh test"):
                done = subprocess.run(shell, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                      timeout=Deadline(60).left(), **options)
                allowed = {int(n) for n in re.findall(r"\d", kind)} or {0}
                assert done.returncode in allowed, f"{text}\n{done.returncode}: {done.stdout}"
                assert '{"error"' not in done.stdout, f"{text}\n{done.stdout}"
                said += done.stdout
            elif " " in kind and kind != "sh host":
                with open(os.path.join(work, kind.split(" ", 1)[1]), "w") as f:
                    f.write(text)

        # What the text promises of them.
        stream, reader = readers
        stream.await_text('event: hello\ndata: {"type":"event","channel":"news","event":"hello","offset":1,')
        stream.await_text('"offset":1004,')
        reader.await_text('news hello 2 {"n":2}\n')
        reader.await_text('news added 1004 {"id":1}\n')
        for promised in ('\nnews hello 4 {"n":4}\n', '"results":[{"position":', '"name":"orders"', "ringcast_publish_to_socket_seconds_count"):
            assert promised in said, promised
        # Four of news, 1,001 of numbers, 1,000 from C, three of orders; 50 a second for three seconds from the load generator.
        assert 2008 + 100 <= counters(run)["events_published"] <= 2009 + 200

        # The terminal's way of asking: everybody in the foreground gets the signal. The gateway alone has to end well.
        for t in readers:
            t.kill()
        told = counters(aside)
        assert told["tls_full"] == 2 and told["events_published"] == 1, told
        assert "listening http " not in second.said and "TLS: " in second.said
        for terminal, where in ((second, aside), (gateway, run)):
            gateways = [int(name.split(".")[0]) for name in os.listdir(where) if name.endswith(".counters")]
            assert len(gateways) == 1
            os.kill(gateways[0], signal.SIGTERM)
            assert terminal.process.wait(Deadline(30).left()) == 0, terminal.said
            assert terminal.said.rstrip().endswith("stopped")
    finally:
        for t in terminals:
            t.kill()


def test_the_configuration_in_it_holds(shards, folder):
    """The file of the README is taken by the program, and what it sets is what holds then."""
    path = os.path.join(folder, "ringcast.conf")
    text, = [text for kind, text in blocks() if kind == "ini ringcast.conf"]
    with open(path, "w") as f:
        f.write(text)
    rccompile.make("all")
    program, env = os.path.join(ROOT, "build/release/ringcast"), clean_environment(folder)
    rccompile.run([program, "serve", "--config", path, "--check-config"], env=env)
    printed = rccompile.run([program, "serve", "--config", path, "--print-config"], env=env)
    assert re.search(r"slow_key = symbol\b", printed.partition("[namespace quotes]")[2]), printed
    found = json.loads(subprocess.run([program, "check", "--json", "--config", path], capture_output=True, text=True, env=env).stdout)
    assert found["config"]["fine"], found["config"]


@pytest.mark.deadline(120)
def test_the_page_comes_back_where_it_was(gateway, publisher, folder):
    """The lines for a browser, in node: they need nothing but a WebSocket."""
    node = shutil.which("node")
    if not node or subprocess.run([node, "--experimental-websocket", "-e", "new WebSocket('ws://127.0.0.1:1').onerror = () => 0"],
                                  capture_output=True).returncode:
        pytest.skip("no node that has WebSocket")
    g = gateway({"namespace.history_size": "10"})
    p = publisher(g)
    with Tunnel(g.http) as tunnel:
        text, = [text for kind, text in blocks() if kind == "js news.js"]
        assert text.count("127.0.0.1:8080") == 1
        path = os.path.join(folder, "news.js")
        with open(path, "w") as f:
            f.write(text.replace("127.0.0.1:8080", f"127.0.0.1:{tunnel.port}"))
        page = Terminal([node, "--experimental-websocket", path], "page.log", cwd=folder)
        try:
            g.until_counter("subscriptions", 1)
            p.publish("news", '"first"')
            page.await_text("first\n")
            for missed, complaint in ((5, ""), (20, "get the state anew: trimmed\n")):
                tunnel.cut(stay=True)
                g.until_counter("clients", 0)
                for n in range(missed):
                    p.publish("news", f'"{missed}-{n}"')
                tunnel.mend()
                g.until_counter("subscriptions", 1)
                p.publish("news", f'"after {missed}"')
                page.await_text(f"after {missed}\n")
                came = page.said.split("first\n")[1].splitlines(keepends=True)
                assert "".join(came).endswith((complaint or "".join(f"5-{n}\n" for n in range(5))) + f"after {missed}\n"), page.said
        finally:
            page.kill()


def test_the_locations_for_nginx_hold(shards, folder):
    nginx = shutil.which("nginx")
    if not nginx:
        pytest.skip("nginx is not installed")
    text, = [text for kind, text in blocks() if kind == "nginx"]
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w") as f:
        f.write(f"pid {folder}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\nserver {{\nlisten 127.0.0.1:1;\n{text}}}\n}}\n")
    rccompile.run([nginx, "-t", "-q", "-p", folder, "-c", path])


def test_it_says_what_the_program_does(shards, folder):
    """Numbers of the README that are defaults or limits of the program."""
    rccompile.make("all")
    program, env = os.path.join(ROOT, "build/release/ringcast"), clean_environment(folder)
    with open(README) as f:
        readme = f.read()
    printed = rccompile.run([program, "serve", "--print-config"], env=env)
    for option, value in (("max_clients", "10000"), ("max_channels_per_client", "1000"), ("max_channels", "200000")):
        assert re.search(rf"^{option} = {value}\b", printed, re.M) and f"| {value} |" in readme, option
    for option in re.findall(r"^\| `(?:[a-z]+\.)?([a-z_]+)`", readme, re.M):
        assert re.search(rf"^{option} = ", printed, re.M), f"{option} is no option"
