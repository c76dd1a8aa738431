# SPDX-License-Identifier: Apache-2.0
"""The README at the top and the chapter on deploying, one after the other, as somebody would type them, and the tables of the wire's
chapter beside what the code says. Blocks of the former two say how:

    sh run             a gateway, in the background from there on; asked to end with SIGTERM when all else is done
    sh second, known, hooked, guarded
                       others, each with its counters in another place, so that `ringcast stat` does not see it; likewise
    sh background      beside it, until then
    sh test            to its end, with status 0 (status=0,1 where the answer may be no)
    sh host            not here: it changes the host, takes too long, or needs tools from elsewhere
    c NAME, html NAME, ini NAME, js NAME, python NAME
                       the file of that name; some are run by the blocks above, others by a test of their own
    php NAME, go NAME  likewise, run where the language is installed
    js                 lines for a page
    nginx, haproxy     locations of a server, and a proxy, which those look over where they are installed

All runs in a network of its own, where the default ports are free, beside no other gateway, and in a folder with links to everything
in the tree.
"""
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

import rccompile
import rccounters
import rcedge
import rctls
from deadline import Deadline, eventually
from rchttp import Http
from rcpages import Pages, Site
from rcproxy import Tunnel

ROOT = rccompile.ROOT
PAGES = [os.path.join(ROOT, name) for name in ("README.md", "tuning/DEPLOY.md")]

pytestmark = [pytest.mark.one_shard, pytest.mark.deadline(420)]


def written():
    text = ""
    for page in PAGES:
        with open(page) as f:
            text += f.read()
    return text


def blocks():
    """(info string, text) of each fenced block, in order."""
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", written(), re.M | re.S)


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


def block(kind):
    text, = [text for found, text in blocks() if found == kind]
    return text


def written_to(folder, kind, change=None):
    """The path of a block that is a file, with something in it changed that must be there."""
    text, path = block(kind), os.path.join(folder, kind.split(" ")[1])
    assert not change or change[0] in text
    with open(path, "w") as f:
        f.write(text.replace(*change) if change else text)
    return path


def write_secret(folder, name, text):
    with open(os.open(os.path.join(folder, name), os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
        f.write(text)


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
    kinds = {"sh run", "sh second", "sh known", "sh hooked", "sh guarded", "sh background", "sh test", "sh test status=0,1", "sh host", "c hello.c", "ini ringcast.conf",
             "ini tls.conf", "ini hooks.conf", "ini override.conf", "python hook.py", "python mint.py", "python publish.py", "php publish.php", "go publish.go", "html news.html",
             "js", "js news.js", "js tour.mjs", "js ann.mjs", "js page.js", "nginx", "haproxy"}
    found = [kind for kind, _ in blocks()]
    assert set(found) == kinds, "a block of a new kind, or a kind that is not used any more"
    assert found.count("sh test") >= 5


def test_the_essence_is_short(shards):
    """Somebody with five minutes does not read further."""
    with open(PAGES[0]) as f:
        head = f.read().partition("\n## In JavaScript\n")[0]
    assert head.count("\n") < 150 and "```html news.html" in head and "## Contents" in head
    for page in re.findall(r"^## (.*)$", written().partition("\n# Deploying")[0], re.M):
        assert page in ("Five minutes", "Contents") or f"[{page}](" in head, f"{page} is not in the table of contents"


def test_it_is_true(shards, folder, namespace):
    rccompile.make("all")
    work, run, aside, apart, posting, behind = (os.path.join(folder, name) for name in ("tree", "run", "aside", "apart", "posting", "behind"))
    os.mkdir(work)
    for counted in (run, aside, apart, posting, behind):
        os.mkdir(counted, 0o700)
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
            elif kind == "sh known":
                known = Terminal(shell, f"{number}.log", cwd=work, env=clean_environment(apart))
                terminals.append(known)
                known.await_text(" ready\n", 60)
            elif kind == "sh hooked":
                hooked = Terminal(shell, f"{number}.log", cwd=work, env=clean_environment(posting))
                terminals.append(hooked)
                hooked.await_text(" ready\n", 60)
            elif kind == "sh guarded":
                guarded = Terminal(shell, f"{number}.log", cwd=work, env=clean_environment(behind))
                terminals.append(guarded)
                guarded.await_text(" ready\n", 60)
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
        for promised in ("orders placed 1 ", '\nnews hello 4 {"n":4}\n', '\nroom:1 join 1 {"users":[{"user":"ann"}],"count":1,"clients":1,"anonymous":0}\n', '"users":[{"user":"ann",',
                         '{"said": "HI"}\n', "\n401\n", '- note - {"n":1}\n', "status=403 service=orders", "the newest: { n: 4 }\n", "counted to 1001 over ws\n", "\n1 here\n", '"results":[{"position":', '"name":"orders"', "ringcast_publish_to_socket_seconds_count"):
            assert promised in said, promised
        # Four of news, 1,001 of numbers, 1,000 from C, four of orders; 50 a second for three seconds from the load generator.
        assert 2009 + 100 <= counters(run)["events_published"] <= 2010 + 200

        # The terminal's way of asking: everybody in the foreground gets the signal. The gateway alone has to end well.
        for t in readers:
            t.kill()
        told = counters(aside)
        assert told["tls_full"] == 2 and told["events_published"] == 1, told
        assert "listening http " not in second.said and "TLS: " in second.said
        # Ann's room, its list, and her two commands or more.
        assert counters(apart)["tokens_good"] >= 4 and counters(apart)["command_replies"] == 2
        assert counters(posting)["command_replies"] == 1 and counters(posting)["webhook_answers_bad"] == 0
        assert counters(behind)["events_published"] == 2 and counters(behind)["http_forbidden"] == 1
        for terminal, where in ((known, apart), (hooked, posting), (guarded, behind), (second, aside), (gateway, run)):
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
    path, text = os.path.join(folder, "ringcast.conf"), block("ini ringcast.conf")
    rctls.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90", "-subj", "/CN=gateway.example.com",
                  "-addext", "subjectAltName=DNS:gateway.example.com", "-keyout", f"{folder}/host.key", "-out", f"{folder}/host.pem")
    write_secret(folder, "auth.secret", "s" * 48)
    write_secret(folder, "services", "orders token:0f3c9a17e2b84d56 publish=orders:**\n")
    assert set(re.findall(r"/etc/ringcast/(\S+)", text)) == {"host.pem", "host.key", "auth.secret", "services"}
    with open(path, "w") as f:
        f.write(text.replace("/etc/ringcast", folder))
    rccompile.make("all")
    program, env = os.path.join(ROOT, "build/release/ringcast"), clean_environment(folder)
    rccompile.run([program, "serve", "--config", path, "--check-config"], env=env)
    printed = rccompile.run([program, "serve", "--config", path, "--print-config"], env=env)
    assert re.search(r"slow_key = symbol\b", printed.partition("[namespace quotes]")[2]), printed
    found = json.loads(subprocess.run([program, "check", "--json", "--config", path], capture_output=True, text=True, env=env).stdout)
    assert found["config"]["fine"], found["config"]


def test_the_unit_takes_the_lines_for_a_low_port(shards):
    """Two lines that the unit has, with another value, and that it names itself."""
    unit, lines = text_of("tuning/ringcast.service"), block("ini override.conf").splitlines()
    assert lines[0] == "[Service]" and [line.partition("=")[2] for line in lines[1:]] == ["CAP_NET_BIND_SERVICE"] * 2
    for line in lines[1:]:
        assert f"\n{line.partition('=')[0]}=\n" in unit, line


def test_a_token_that_a_backend_in_python_makes(shards, folder):
    pytest.importorskip("jwt", reason="PyJWT is not installed")
    rccompile.make("all")
    # With the line end that openssl writes, which is no part of it.
    write_secret(folder, "auth.secret", "c2VjcmV0" * 8 + "\n")
    token = rccompile.run([sys.executable, written_to(folder, "python mint.py")], cwd=folder, env=clean_environment(folder)).strip()
    claims = rccompile.run([os.path.join(ROOT, "build/release/ringcast"), "token", "--set", "auth.hmac_secret_file=auth.secret", "--verify", token],
                           cwd=folder, env=clean_environment(folder))
    assert '"ann"' in claims and '"room:*"' in claims, claims


@pytest.mark.parametrize("kind,command", [("python publish.py", [sys.executable]), ("php publish.php", ["php"]), ("go publish.go", ["go", "run"])])
def test_publishing_with_the_token_of_a_service(gateway, folder, kind, command):
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    write_secret(folder, "services", "orders token:0f3c9a17e2b84d56 publish=orders:**\n")
    write_secret(folder, "orders.token", "0f3c9a17e2b84d56\n")
    g = gateway({"auth.services": os.path.join(folder, "services"), "admin.listen": "127.0.0.1:0", "admin.open_on_loopback": "no"})
    path = written_to(folder, kind, ("127.0.0.1:8090", f"127.0.0.1:{g._address('admin')[1]}"))
    env = {**clean_environment(folder), "GOCACHE": os.path.join(folder, "go")}
    said = rccompile.run([*command, path], cwd=folder, env=env)
    assert re.search(r"\b[a-z0-9]{10}@1\b", said), said
    assert g.counter("events_published") == 1


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


def test_the_page_of_the_five_minutes(gateway, publisher, folder):
    """In Chromium: what was before it came, what comes, and what was said while the way to the gateway was cut."""
    g = gateway({"namespace.history_size": "10"})
    p = publisher(g)
    text, = [text for kind, text in blocks() if kind == "html news.html"]
    assert text.count("http://127.0.0.1:8080") == 2
    with Pages() as do, Tunnel(g.plain_http) as tunnel:
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{tunnel.port}")
        path = os.path.join(folder, "news.html")
        with open(path, "w") as f:
            f.write(text)
        p.publish("news", '{"n":1}', event="hello")
        do("news", "open", f"file://{path}")
        do("news", "until", "#list", 'hello 1 {"n":1}')
        p.publish("news", '{"n":2}', event="hello")
        do("news", "until", "#list", 'hello 2 {"n":2}')
        tunnel.cut(stay=True)
        g.until_counter("clients", 0)
        p.publish("news", '{"n":3}', event="hello")
        tunnel.mend()
        do("news", "until", "#list", 'hello 3 {"n":3}')
        assert do("news", "text", "#list").split("\n") == [f'hello {n} {{"n":{n}}}' for n in (1, 2, 3)]
        tunnel.cut(stay=True)
        g.until_counter("clients", 0)
        for n in range(20):
            p.publish("news", '{"n":4}', event="hello")
        tunnel.mend()
        do("news", "until", "#list", "missed some of news: trimmed")


def test_the_lines_for_event_source(gateway, publisher):
    g = gateway({"namespace.history_size": "10"})
    p = publisher(g)
    text, = [text for kind, text in blocks() if kind == "js"]
    with Site({"/page": f"<!doctype html><link rel=icon href=data:,><script>{text}</script>"}) as site, Pages() as do:
        with Tunnel(g.plain_http, site=site.server.server_address) as tunnel:
            do("page", "open", f"http://127.0.0.1:{tunnel.port}/page")
            g.until_counter("clients", 1)
            p.publish("news", '{"n":1}', event="hello")
            p.publish("agent:7:log", '{"n":2}', event="hello")
            eventually(lambda: len(do("page", "logged")) == 2, "both were heard")
            logged = do("page", "logged")
            assert all(re.match(r"page: \w+~[\d.]+ ", line) for line in logged), logged
            tunnel.cut(stay=True)
            g.until_counter("clients", 0)
            for n in range(20):
                p.publish("news", "0", event="hello")
            tunnel.mend()
            eventually(lambda: any("get the state anew:" in line for line in do("page", "logged")), "the gap was told", 40)


BEHIND = """
import { connect } from "%s";
for (const way of ["ws", "sse"]) {
	const rc = connect(process.argv[2], { transports: [way] });
	for await (const e of rc.subscribe("news", { since: "beginning" })) {
		console.log(e.data, "over", rc.transport);
		break;
	}
	rc.close();
}
"""


def test_the_locations_for_nginx_pass_what_clients_need(gateway, publisher, folder):
    g = gateway({"namespace.history_size": "10", "server.trusted_proxies": "loopback"})
    text, (port,) = block("nginx"), rcedge.free_ports(1)
    assert text.count("http://127.0.0.1:8080;") == text.count("proxy_pass") == 3
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{g.http[1]}")
    front = rcedge.nginx(folder, f"server {{\nlisten 127.0.0.1:{port};\n{text}}}\n", "", [("127.0.0.1", port)])
    if not front:
        pytest.skip("nginx is not there: scripts/deps unpacks it")
    try:
        for path, status in (("/healthz", 200), ("/ringcast.js", 200), ("/ringcast.classic.js", 200), ("/ringcast-react.js", 200), ("/ringcast.d.ts", 200),
                             ("/", 404), ("/api/status", 404), ("/metrics", 404), ("/healthz/x", 404), ("/ringcastxjs", 404)):
            with Http(("127.0.0.1", port)) as c:
                # nginx has a page of its own for / where it is installed, and none of ours.
                got = c.get(path)
                assert got.status == status or path == "/" and b"ringcast" not in got.body, (path, got.status)
        publisher(g).publish("news", '"hello"')
        node = shutil.which("node")
        if node:
            path = os.path.join(folder, "behind.mjs")
            with open(path, "w") as f:
                f.write(BEHIND % os.path.join(ROOT, "src/web/client/node.js"))
            assert rccompile.run([node, path, f"http://127.0.0.1:{port}"]) == "hello over ws\nhello over sse\n"
    finally:
        front.stop()


def test_the_lines_for_haproxy_hold(shards, folder):
    haproxy = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin") or rcedge.find("usr/sbin/haproxy")
    if not haproxy:
        pytest.skip("haproxy is not installed")
    text, = [text for kind, text in blocks() if kind == "haproxy"]
    path = os.path.join(folder, "haproxy.cfg")
    with open(path, "w") as f:
        f.write(f"defaults\n\ttimeout connect 5s\n\ttimeout client 90s\n\ttimeout server 90s\n{text}")
    rccompile.run([haproxy, "-c", "-q", "-f", path], env=rcedge.environment())


def test_the_rules_for_proxies_in_it_hold(shards, folder):
    """What stands in the text as options: taken as it is, and not without the proxies being trusted."""
    rccompile.make("all")
    program, env = os.path.join(ROOT, "build/release/ringcast"), clean_environment(folder)
    check = [program, "serve", "--check-config", "--set", "tls.proxy_protocol=required", "--set", "tls.certificate=host.pem"]
    readme = written()
    assert "`trusted_proxies = loopback`" in readme and "in `[tls]`, `proxy_protocol = required`" in readme
    refused = subprocess.run(check, capture_output=True, text=True, env=env)
    assert "believes nobody while trusted_proxies is empty" in refused.stderr
    taken = subprocess.run([*check, "--set", "server.trusted_proxies=loopback"], capture_output=True, text=True, env=env)
    assert "trusted_proxies" not in taken.stderr, taken.stderr


def test_it_says_what_the_program_does(shards, folder):
    """Numbers of the README that are defaults or limits of the program."""
    rccompile.make("all")
    program, env = os.path.join(ROOT, "build/release/ringcast"), clean_environment(folder)
    readme = written()
    printed = rccompile.run([program, "serve", "--print-config"], env=env)
    for option, value in (("max_clients", "10000"), ("max_channels_per_client", "1000"), ("max_channels", "200000")):
        assert re.search(rf"^{option} = {value}\b", printed, re.M) and f"| {value} |" in readme, option
    for option in re.findall(r"^\| `(?:[a-z]+\.)?([a-z_]+)`", readme, re.M):
        assert re.search(rf"^{option} = ", printed, re.M), f"{option} is no option"


# ---- the wire's README

WIRE = os.path.join(ROOT, "src/proto/README.md")


def text_of(*names):
    parts = []
    for name in names:
        for path in sorted(glob.glob(os.path.join(ROOT, name))):
            with open(path) as f:
                parts.append(f.read())
    assert parts, names
    return "\n".join(parts)


def test_every_error_and_close_code_of_the_code_stands_in_the_tables(shards):
    sources, wire = text_of("src/serve/*.c", "src/proto/*.c", "src/shard/*.c"), text_of("src/proto/README.md")
    errors = set(re.findall(r'"((?:bad|not|over|server|rate|limit|key|unknown|shutting)_[a-z_]+|too_(?:many|large)|forbidden|unauthorized|conflict|unsupported)"',
                            sources))
    assert len(errors) > 15
    assert not {code for code in errors if f"`{code}`" not in wire}
    closes = {int(n) for n in re.findall(r"RC_CLOSE_[A-Z_]+ = (\d+)", text_of("src/*/*.h"))}
    closes |= {int(n) for n in re.findall(r"\b(10(?:0[2-9]|1[0-5]))\b", text_of("src/serve/websocket.c", "src/serve/wsauth.c", "src/serve/serve.c", "src/proto/websocket.c"))}
    closes -= {1005, 1006}  # never sent
    section = wire.partition("\n### Close codes\n")[2].partition("\n### ")[0]
    table = {int(n) for n in re.findall(r"^\| (\d{4}) \|", section, re.M)}
    assert closes == table


def test_the_limits_of_the_table_are_those_of_the_program(shards, folder):
    rccompile.make("all")
    program, env = os.path.join(ROOT, "build/release/ringcast"), clean_environment(folder)
    printed = rccompile.run([program, "serve", "--print-config"], env=env)
    limits = dict(re.findall(r"^([a-z_0-9]+) = (\S+)", printed.partition("[limits]")[2].partition("\n[")[0], re.M))
    wire = text_of("src/proto/README.md")
    section = wire.partition("\n## Limits\n")[2].partition("\n## ")[0]
    counters = set(re.findall(r"RC_COUNTER\(\s*([a-z_0-9]+)", text_of("src/ops/counters_list.h")))
    assert not {option for option in limits if f"`{option}" not in section}
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")]
    assert len(rows) > 20
    for option, default, *_, counter in rows:
        assert set(re.findall(r"`([a-z_]+)`", counter)) <= counters, counter
        for name, value in zip(re.findall(r"`([a-z_]+)`", option), default.split(",")):
            assert name not in limits or limits[name] == value.split()[0], (name, value)
