# SPDX-License-Identifier: Apache-2.0
"""ringcast-load with what it can't work with: one sentence on standard error, status 2, and nothing else. Nothing is measured."""
import os
import resource
import socket
import subprocess

import pytest

import rcgateway
from load_server import Server
from rcload import assert_ok, assert_refused

pytestmark = pytest.mark.one_shard

NOWHERE = ["--url", "ws://127.0.0.1:1/ws", "--publish-url", "ingest://127.0.0.1:1"]
SHORT = ["--warm", "0.2", "--seconds", "0.5", "--quiet", "--own-limit"]


WRONG = [
    ([], ["scenario"]),
    (["fanuot"], ["fanuot", "fanout", "mixed"]),
    (["fanout", "idle"], ["idle"]),
    (["fanout", "--cleints", "3"], ["--cleints", "--clients"]),
    (["fanout", "--nonsense"], ["--nonsense", "--help"]),
    (["fanout", "-x"], ["-x"]),
    (["--clients", "3"], ["scenario"]),
    (["fanout", "--clients"], ["--clients"]),
    (["fanout", "--clients", "many"], ["--clients", "many"]),
    (["fanout", "--clients", "-1"], ["--clients"]),
    (["fanout", "--clients", "1.5"], ["--clients"]),
    (["fanout", "--clients", "99999999999"], ["--clients"]),
    (["fanout", "--clients", "3", "--clients", "4"], ["--clients", "twice"]),
    (["fanout", "--payload", "63"], ["--payload", "64"]),
    (["fanout", "--payload", "2M"], ["--payload"]),
    (["fanout", "--rate", "nan"], ["--rate"]),
    (["fanout", "--rate", "1e99"], ["--rate"]),
    (["fanout", "--seconds", "0"], ["--seconds"]),
    (["fanout", "--threads", "0"], ["--threads"]),
    (["fanout", "--quiet=maybe"], ["--quiet", "maybe"]),
    (["fanout", "--spread", "odd"], ["odd", "even"]),
    (["fanout", "--rate", "10", "--in-flight", "1"], ["--rate", "--in-flight"]),
    (["fanout", "--churn", "10"], ["--churn"]),
    (["idle", "--rate", "10"], ["idle", "--rate"]),
    (["publish", "--clients", "10"], ["publish", "--clients"]),
    (["command", "--publishers", "2"], ["command", "--publishers"]),
    (["command", "--clients", "0"], ["--clients"]),
    (["command", "--in-flight", "70000"], ["65536"]),
    (["command", "--backends", "0"], ["--backends"]),
    (["command", "--reply-size", "63"], ["--reply-size", "64"]),
    (["fanout", "--reply-size", "64"], ["--reply-size", "command"]),
    (["command", "--target", "ws"], ["ws", "command"]),
    (["command", "--url", "http://127.0.0.1:1/"], ["WebSocket"]),
    (["command", "--url", "ws://127.0.0.1:1/", "--publish-url", "ws://127.0.0.1:1/"], ["--publish-url"]),
    (["channels", "--channels", "2", "--subscriptions", "3", "--clients", "1"], ["subscriptions"]),
    (["slow", "--clients", "4", "--share", "0"], ["--share"]),
    (["fanout", "--cpus", "999"], ["999"]),
    (["fanout", "--cpus", "a-b"], ["--cpus"]),
    (["fanout", "--sources", "everywhere"], ["everywhere"]),
    (["fanout", "--sources", "127.0.0.9-127.0.0.1"], ["--sources"]),
    (["fanout", "--url", "nonsense"], ["--url", "nonsense"]),
    (["fanout", "--url", "gopher://x/"], ["gopher"]),
    (["fanout", "--url", "ws://127.0.0.1:99999/"], ["99999"]),
    (["fanout", "--url", "ws://host.invalid/"], ["host.invalid"]),
    (["fanout", "--url", "ingest://127.0.0.1:1"], ["url", "ws://"]),
    (["fanout", "--target", "rincgast"], ["rincgast", "ringcast"]),
    (["fanout", "--target", "/nonexistent.ini"], ["/nonexistent.ini"]),
    (["fanout", "--pid", "x"], ["--pid"]),
    (["fanout", "--prefix", "a b"], ["prefix"]),
    (["mixed"], ["--file"]),
    (["mixed", "--file", "/nonexistent.ini"], ["/nonexistent.ini"]),
    (["mixed", "--file", "/"], ["/"]),
    (["--compare", "/nonexistent/a.json"], ["--compare"]),
    (["--compare", "/nonexistent/a.json", "/nonexistent/b.json"], ["/nonexistent/a.json"]),
    (["--render", "/nonexistent/a.json"], ["--report"]),
    (["--render", "/nonexistent/a.json", "--report", "/nonexistent/a.html"], ["/nonexistent/a.json"]),
    (["fanout", "--compare", "/nonexistent/a.json", "/nonexistent/b.json"], ["--compare"]),
]


@pytest.mark.parametrize("args, words", WRONG, ids=[" ".join(args) or "nothing" for args, _ in WRONG])
def test_a_command_line_that_is_wrong(load, args, words):
    more = NOWHERE if args and not args[0].startswith("-") and "--url" not in args and "--target" not in args else []
    assert_refused(load(*args, *more, json_file=False), *words)


@pytest.mark.parametrize("text, words", [
    ("", ["mixed.ini"]),
    ("[run]\nseconds = 1\n", ["group"]),
    ("[news]\ncleints = 3\n", ["mixed.ini:2", "cleints", "clients"]),
    ("[news]\nclients = three\n", ["mixed.ini:2", "three"]),
    ("[news]\nclients = 3\nrate = 3\nin-flight = 3\npublishers = 1\n", ["rate", "in-flight"]),
    ("[news]\nclients = 3\nchannels-of = sports\n", ["sports"]),
    ("[news]\nclients 3\n", ["mixed.ini:2"]),
    ("[news\nclients = 3\n", ["mixed.ini:1"]),
    ("clients = 3\n", ["mixed.ini:1"]),
    ("[run]\nurl = ftp://a\n[news]\nclients = 1\n", ["ftp"]),
    ("".join(f"[g{i}]\nclients = 1\n" for i in range(9)), ["8"]),
    ("\0\1\2\3", ["mixed.ini"]),
], ids=["empty", "no group", "a key that is none", "not a number", "open and closed", "a group that is none", "no sign", "no bracket",
        "no section", "a URL that is none", "too many groups", "no text"])
def test_a_mixed_file_that_is_wrong(load, folder, text, words):
    with open(f"{folder}/mixed.ini", "w") as f:
        f.write(text)
    more = [] if "ftp" in text else NOWHERE
    assert_refused(load("mixed", "--file", f"{folder}/mixed.ini", *more, json_file=False), *words)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"ringcast_load":1}', "x" * 1000, '{"ringcast_load":1,"window":[]}'],
                         ids=["empty", "cut", "an array", "empty result", "no JSON", "wrong kinds"])
@pytest.mark.parametrize("mode", ["--compare", "--render"])
def test_a_kept_result_that_is_none(load, folder, mode, text):
    path = f"{folder}/a.json"
    with open(path, "w") as f:
        f.write(text)
    more = [path] if mode == "--compare" else ["--report", f"{folder}/a.html"]
    assert_refused(load(mode, path, *more, json_file=False), "a.json")
    assert not os.path.exists(f"{folder}/a.html")


def test_a_result_that_cannot_be_written_is_said_before_the_run(load):
    with Server() as s:
        r = load("fanout", "--clients", 2, "--rate", 50, *SHORT, *s.urls, "--json", "/nonexistent/folder/x.json", json_file=False)
        assert s.clients == 0, "it was run first"
    assert_refused(r, "/nonexistent/folder")


# ---- servers that can't be reached

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_nothing_listens_for_clients(load):
    port = free_port()
    with Server() as s:
        r = load("fanout", "--clients", 5, "--rate", 50, *SHORT, *s.urls[2:], "--url", f"ws://127.0.0.1:{port}/ws")
    assert_refused(r, str(port), "refused")


def test_nothing_listens_for_publishers(load):
    port = free_port()
    with Server() as s:
        r = load("fanout", "--clients", 5, "--rate", 50, *SHORT, *s.urls[:2], "--publish-url", f"ingest://127.0.0.1:{port}")
    assert_refused(r, str(port), "refused")


def test_nothing_listens_for_several_processes(load):
    port = free_port()
    r = load("idle", "--clients", 50, *SHORT, "--processes", 3, "--threads", 2, "--url", f"ws://127.0.0.1:{port}/ws")
    assert_refused(r, str(port))


def test_nobody_takes_the_connection(load):
    # A listener whose queue is full: connect() hangs.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        first = []
        for _ in range(3):
            c = socket.socket()
            c.setblocking(False)
            c.connect_ex(("127.0.0.1", port))
            first.append(c)
        r = load("idle", "--clients", 3, *SHORT, "--connect-timeout", 1, "--url", f"ws://127.0.0.1:{port}/ws")
        for c in first:
            c.close()
    assert_refused(r, str(port))


def test_something_else_listens(load):
    with Server() as s:
        # The ingest port does not answer HTTP.
        r = load("idle", "--clients", 3, *SHORT, "--connect-timeout", 1, "--url", f"ws://127.0.0.1:{s.ingest[1]}/ws")
    assert_refused(r, str(s.ingest[1]))


def test_a_path_that_is_not_there(load, gateway):
    g = gateway()
    r = load("idle", "--clients", 3, *SHORT, "--url", f"ws://127.0.0.1:{g.http[1]}/nowhere")
    assert_refused(r, "404")


def test_a_full_gateway(load, gateway):
    g = gateway({"max_clients": "20"})
    r = load("idle", "--clients", 50, *SHORT, "--url", f"ws://127.0.0.1:{g.http[1]}/ws")
    assert_refused(r, "503")


# ---- limits of the machine

def test_a_limit_on_descriptors_that_cannot_be_met(load):
    with Server() as s:
        r = load("idle", "--clients", 20000, "--processes", 1, *SHORT, *s.urls, limits={resource.RLIMIT_NOFILE: (100, 100)})
        assert s.clients == 0, "it tried"
    assert_refused(r, "descriptors", "100")


def test_a_limit_that_leaves_no_room_at_all(load):
    r = load("idle", "--clients", 20, *SHORT, *NOWHERE, limits={resource.RLIMIT_NOFILE: (8, 8)})
    assert_refused(r)


INSIDE = """
ip link set lo up && echo '30000 30099' > /proc/sys/net/ipv4/ip_local_port_range || exit 77
exec "$@"
"""


def in_a_small_net():
    """A command before the program: a network of its own with 100 local ports for each address."""
    try:
        done = subprocess.run(["unshare", "-n", "sh", "-c", INSIDE, "sh", "true"], capture_output=True, text=True)
    except OSError as e:
        pytest.skip(f"no network of its own: {e}")
    if done.returncode:
        pytest.skip(f"no network of its own: {done.stderr.strip()}")
    return ["unshare", "-n", "sh", "-c", INSIDE, "sh"]


def test_more_clients_than_one_address_has_ports(load):
    r = load("idle", "--clients", 250, *SHORT, "--sources", "127.0.0.1", *NOWHERE, wrap=in_a_small_net())
    assert_refused(r, "--sources", "ports")


# The server has to be in the same network, so both are started there.
BOTH = INSIDE.replace('exec "$@"', """
"$RINGCAST" serve --listen 127.0.0.1:8080 --ingest 127.0.0.1:7400 --shards 1 2>gateway.log &
gateway=$!
until grep -q 'ready$' gateway.log || ! kill -0 $gateway; do sleep 0.05; done
"$@"
status=$?
kill $gateway
wait $gateway
exit $status
""")


def test_on_loopback_it_takes_as_many_addresses_as_it_needs(load, folder):
    in_a_small_net()
    with open(f"{folder}/both", "w") as f:
        f.write(BOTH.replace("$RINGCAST", rcgateway.BINARY))
    r = load("idle", "--clients", 250, *SHORT, wrap=["unshare", "-n", "sh", f"{folder}/both"], seconds=60)
    assert_ok(r)
    assert r.clients["open"] == 250
    assert r.parameters["sources"] >= 3


def test_an_address_that_is_not_of_this_machine(load):
    with Server() as s:
        r = load("idle", "--clients", 3, *SHORT, *s.urls, "--sources", "192.0.2.1")
    assert_refused(r, "--sources", "not one of this machine")
