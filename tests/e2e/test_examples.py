# SPDX-License-Identifier: Apache-2.0
"""The examples of src/web/examples, each started as its README says: the chat in Chromium, Node, curl. Those in C are in
test_backend_library.py."""
import contextlib
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest

import rcgateway
from deadline import SLOW, Deadline, eventually
from rcpages import Pages, Site
from rcproxy import Tunnel

EXAMPLES = os.path.join(rcgateway.ROOT, "src/web/examples")
KEPT = {"namespace.history_size": "1000"}
pytestmark = [pytest.mark.one_shard, pytest.mark.deadline(120)]


def read(name):
    with open(os.path.join(EXAMPLES, name), encoding="utf-8") as f:
        return f.read()


class Running:
    """An example, and the lines that it has said."""

    def __init__(self, folder, *command, name="said", **env):
        self.path = os.path.join(folder, name)
        self.log = open(self.path, "w+")
        self.process = subprocess.Popen(list(map(str, command)), cwd=folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
                                        start_new_session=True, env={**rcgateway.environment(folder), **env})

    @property
    def said(self):
        with open(self.path) as f:
            return f.read()

    def until(self, text):
        def there():
            assert text in self.said or self.process.poll() is None, f"ended before it said {text!r}:\n{self.said}"
            return text in self.said
        eventually(there, text, 30)

    def end(self, number=signal.SIGTERM):
        """Its status."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        return self.process.wait(Deadline(20).left())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end(signal.SIGKILL)
        self.log.close()


def example(name):
    return os.path.join(EXAMPLES, name)


def address(g):
    return f"http://127.0.0.1:{g.http[1]}"


@pytest.fixture
def node():
    found = shutil.which("node")
    if not found:
        pytest.skip("node is not installed")
    return found


def test_every_example_is_in_the_list(shards):
    listed = set(re.findall(r"\]\(([a-z]+/[^)]+)\)", read("README.md")))
    there = {os.path.relpath(os.path.join(at, name), EXAMPLES) for at, _, names in os.walk(EXAMPLES) for name in names}
    assert listed == there - {"README.md", "chat.conf"}
    for name in there - {"README.md"}:
        assert "SPDX-License-Identifier: Apache-2.0" in "".join(read(name).splitlines(keepends=True)[:2]), name


# ---- Node

def published(node, folder, g, *arguments):
    done = subprocess.run([node, example("node/publisher.mjs"), *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=60 * SLOW,
                          stdin=subprocess.DEVNULL, env=rcgateway.environment(folder))
    return done


def test_the_subscriber_goes_on_where_it_was(gateway, node, folder):
    g = gateway(KEPT)
    subscriber = [node, example("node/subscriber.mjs"), address(g), "ticks"]
    with Running(folder, *subscriber, name="first") as first:
        done = published(node, folder, g, address(g), "ticks", 3)
        assert done.returncode == 0, done.stderr
        positions = done.stdout.split()
        assert [p.split("@")[1] for p in positions] == ["1", "2", "3"]
        first.until('tick 3 {"n":3}\n')
        eventually(lambda: read_if_there(os.path.join(folder, "ticks.position")) == positions[2], "the position is in the file")
        assert first.end() == 0
        assert first.said == 'tick 1 {"n":1}\ntick 2 {"n":2}\ntick 3 {"n":3}\n'
    assert published(node, folder, g, address(g), "ticks", 2).returncode == 0
    with Running(folder, *subscriber, name="second") as second:
        second.until('tick 5 {"n":2}\n')
        assert second.said == 'tick 4 {"n":1}\ntick 5 {"n":2}\n'
    # Its file is of a gateway that is gone: it says so, and goes on with the present one.
    g.stop()
    g = gateway(KEPT)
    with Running(folder, *subscriber[:2], address(g), "ticks", name="third") as third:
        third.until("get the state of ticks anew: epoch\n")
        g.until_counter("subscriptions", 1)
        assert published(node, folder, g, address(g), "ticks", 1).returncode == 0
        third.until('tick 1 {"n":1}\n')


def read_if_there(path):
    with contextlib.suppress(FileNotFoundError), open(path) as f:
        return f.read()


def test_the_subscriber_says_that_it_is_refused(gateway, node, folder):
    g = gateway()
    with Running(folder, node, example("node/subscriber.mjs"), address(g), "$private") as p:
        assert p.process.wait(Deadline(20).left()) == 1
        assert "forbidden" in p.said


def test_the_publisher_tries_again_and_publishes_once(gateway, node, folder):
    g = gateway(KEPT)
    with Tunnel(g.plain_http) as tunnel:
        tunnel.cut(stay=True)
        with Running(folder, node, example("node/publisher.mjs"), f"http://127.0.0.1:{tunnel.port}", "ticks", 3) as p:
            eventually(lambda: tunnel.refused >= 2, "it tries")
            tunnel.mend()
            assert p.process.wait(Deadline(30).left()) == 0, p.said
            assert len(p.said.split()) == 3
    assert g.counter("events_published") == 3


def test_the_publisher_gives_up_on_what_can_not_help(gateway, node, folder):
    g = gateway({"admin.open_on_loopback": "no"})
    done = published(node, folder, g, address(g), "ticks", 1)
    assert done.returncode == 1 and "Error: " in done.stderr
    g = gateway()
    done = published(node, folder, g, address(g), "no channel", 1)
    assert done.returncode == 1 and "name of a channel" in done.stderr, done.stderr


@pytest.fixture
def secrets(folder):
    for name, text in (("auth.secret", "s" * 48), ("hook.secret", "h" * 64)):
        with open(os.open(os.path.join(folder, name), os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
            f.write(text + "\n")


def token(folder, user, *more):
    return rcgateway.run(["token", "--set", "auth.hmac_secret_file=auth.secret", "--user", user, *more], folder, cwd=folder).stdout.strip()


def started(folder, node):
    """The backend on a port that the kernel chooses, and that port."""
    backend = Running(folder, node, example("node/backend.mjs"), 0, os.path.join(folder, "hook.secret"), name="backend")
    backend.until("listening on ")
    return backend, int(backend.said.split("listening on ")[1].split()[0])


def test_the_backend_answers_commands(gateway, node, folder, secrets):
    backend, port = started(folder, node)
    with backend:
        g = gateway({"webhooks.url": f"http://127.0.0.1:{port}/ringcast"}, config=example("chat.conf"))
        env = {**rcgateway.environment(folder), "RINGCAST_TOKEN": token(folder, "ann", "--command", "poll:*")}

        def vote(payload):
            return subprocess.run([*rcgateway.WRAP, rcgateway.BINARY, "command", "--server", f"127.0.0.1:{g.http[1]}", "poll:vote", payload], env=env,
                                  capture_output=True, text=True, timeout=30 * SLOW)

        assert json.loads(vote('{"choice":"tea"}').stdout) == {"tea": 1}
        assert json.loads(vote('{"choice":"tea"}').stdout) == {"tea": 2}
        for wrong in ('{"choice":7}', "{}", "null", '{"choice":"%s"}' % ("x" * 101)):
            refused = vote(wrong)
            assert refused.returncode == 1 and "bad_choice" in refused.stderr, refused
        backend.until("$disconnect ann")
        assert g.counter("webhook_answers_bad") == 0


def test_the_backend_takes_what_is_signed_once(node, shards, folder, secrets):
    backend, port = started(folder, node)

    def post(body, key="h" * 64, at=None, header=None):
        t = str(int(at if at is not None else time.time()))
        mac = hmac.new(key.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/ringcast", data=body,
                                         headers={"Ringcast-Signature": f"t={t},v1={mac}" if header is None else header})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as e:
            with e:
                return e.code, None

    def command(number, choice="tea"):
        return json.dumps({"id": number, "type": "poll:vote", "payload": {"choice": choice}}).encode()

    with backend:
        assert post(command("1")) == (200, {"tea": 1})
        # Played again: the answer of before, and nothing more.
        assert post(command("1")) == (200, {"tea": 1})
        assert post(command("2")) == (200, {"tea": 2})
        assert post(command("3"), key="x" * 64)[0] == 401
        assert post(command("3"), at=time.time() - 400)[0] == 401
        for header in ("", "t=1", "v1=00", "t=x,v1=" + "0" * 64, "t=1,v1=" + "0" * 63):
            assert post(command("3"), header=header)[0] == 401
        assert post(b"no json")[0] == 400
        assert post(command("3")) == (200, {"tea": 3})


# ---- curl

def test_publishing_by_curl(gateway, folder):
    g = gateway(KEPT)
    run = [example("curl/publish.sh"), address(g)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, env=rcgateway.environment(folder))
    assert done.returncode == 0, done.stderr
    first, second = re.findall(r'^{"position":.*$', done.stdout, re.M)[:2]
    assert first == second and first.endswith('@1"}')
    assert '"bad_channel"' in done.stdout and '"name":"orders:17"' in done.stdout
    assert g.counter("events_published") == 3
    # A gateway that asks for a token.
    guarded = gateway({"admin.token": "a-token-of-some-length"})
    run[1] = address(guarded)
    refused = subprocess.run(run, capture_output=True, text=True, timeout=60, env=rcgateway.environment(folder))
    assert refused.returncode == 22 and "unauthorized" in refused.stdout
    let_in = subprocess.run(run, capture_output=True, text=True, timeout=60,
                            env={**rcgateway.environment(folder), "RINGCAST_ADMIN_TOKEN": "a-token-of-some-length"})
    assert let_in.returncode == 0, let_in.stderr


def test_following_by_curl(gateway, publisher, folder):
    g = gateway(KEPT)
    p = publisher(g)
    with Tunnel(g.plain_http) as tunnel, Running(folder, example("curl/follow.sh"), f"http://127.0.0.1:{tunnel.port}", "news") as f:
        g.until_counter("subscriptions", 1)
        p.publish("news", '"first"')
        f.until('"data":"first"}')
        tunnel.cut(stay=True)
        g.until_counter("clients", 0)
        p.publish("news", '"missed"')
        tunnel.mend()
        f.until('"data":"missed"}')
        p.publish("news", '"then"')
        f.until('"data":"then"}')
        assert re.findall(r'"data":"(\w+)"}', f.said) == ["first", "missed", "then"]
    with Running(folder, example("curl/follow.sh"), address(g), "no%20channel", name="refused") as f:
        assert f.process.wait(Deadline(20).left()) == 1


# ---- the chat

def chat_page(port):
    page = read("browser/chat.html")
    assert page.count("http://127.0.0.1:8080") == 2
    return page.replace("127.0.0.1:8080", f"127.0.0.1:{port}")


@pytest.mark.deadline(180)
def test_the_chat(gateway, folder, secrets):
    with Site() as site, Pages() as do:
        g = gateway({"http.origins": site.url}, config=example("chat.conf"))
        with Tunnel(g.plain_http) as tunnel:
            site.pages["/chat.html"] = chat_page(g.plain_http[1])
            site.pages["/cut.html"] = chat_page(tunnel.port)
            do("ann", "open", f"{site.url}/chat.html#{token(folder, 'ann')}")
            do("bert", "open", f"{site.url}/cut.html#{token(folder, 'bert')}")
            for who in ("ann", "bert"):
                do(who, "until", "#people", "ann, bert")
            do("ann", "fill", "#text", "good <b>morning</b>")
            do("ann", "click", "#send")
            do("bert", "until", "#said", "ann: good <b>morning</b>")
            do("bert", "fill", "#text", "hello")
            do("bert", "click", "#send")
            do("ann", "until", "#said", "bert: hello")
            # Away: what is said meanwhile comes, and what bert said himself goes out once.
            tunnel.cut(stay=True)
            do("bert", "until", "#state", "away")
            do("ann", "fill", "#text", "are you there?")
            do("ann", "click", "#send")
            do("ann", "until", "#said", "are you there?")
            do("bert", "fill", "#text", "back soon")
            do("bert", "click", "#send")
            tunnel.mend()
            do("bert", "until", "#said", "ann: are you there?")
            for who in ("ann", "bert"):
                do(who, "until", "#said", "bert: back soon")
                lines = do(who, "text", "#said").split("\n")
                assert sorted(lines) == sorted(["ann: good <b>morning</b>", "bert: hello", "ann: are you there?", "bert: back soon"]), lines
            # A third who comes later reads what was said; one who is gone is seen to go.
            do("cleo", "open", f"{site.url}/chat.html#{token(folder, 'cleo')}")
            do("cleo", "until", "#said", "bert: back soon")
            do("ann", "until", "#people", "ann, bert, cleo")
            # While the tunnel was cut each try was an error of the network, which the browser itself tells the console.
            assert not [line for line in do("ann", "said") if "ERR_CONNECTION" not in line and "WebSocket connection" not in line]


def test_nobody_speaks_for_another(gateway, folder, secrets, connect):
    g = gateway(config=example("chat.conf"))
    c = connect(g, "/ws?token=" + token(folder, "bert"))
    for channel, code in (("chat:ann:tea", "forbidden"), ("room:tea", "forbidden"), ("chat:bert:tea", None)):
        c.say(type="publish", channel=channel, event="said", data={"text": "x"})
        assert c.await_type("ack", "error").get("code") == code, channel
