# SPDX-License-Identifier: Apache-2.0
"""ringcast-load against the gateway: every scenario, small, must find nothing wrong and count to the last event."""
import json
import os
import re
import resource
import subprocess

import pytest

import rccompile
import rcgateway
from deadline import eventually
from load_peer import certificate
from rcload import BINARY, assert_ok, assert_refused, gateway_urls

SETTINGS = {"echo": "yes", "auth.allow_command": "anyone"}
# On a busy machine the generator may be the limit of what it measures, which these are not about.
SHORT = ["--warm", "0.2", "--seconds", "0.7", "--own-limit"]


@pytest.fixture
def against(load, shared_gateway):
    """against("fanout", …) runs against the module's gateway, which must be fine afterwards and have no client left."""
    def run(*args, short=SHORT, **options):
        r = load(*args, *short, *gateway_urls(shared_gateway), **options)
        shared_gateway.until_counter("clients", 0)
        return r

    return run


def assert_counted(r, subscribers):
    """Every event that was published came to so many, and no other."""
    assert_ok(r)
    assert r.total["published"] > 0
    assert r.total["deliveries"] == r.total["published"] * subscribers, r.total


def assert_table(r, *words):
    assert r.out, "no table"
    assert all(len(line) <= 100 for line in r.out.splitlines()), r.out
    for word in words:
        assert word in r.out, f"{word!r} is not in the table:\n{r.out}"


# ---- scenarios

def test_fanout(against, shared_gateway):
    before = shared_gateway.counter("events_published")
    r = against("fanout", "--clients", 50, "--in-flight", 8)
    assert_counted(r, 50)
    assert r.scenario == "fanout"
    assert r.clients["wanted"] == r.clients["opened"] == r.clients["open"] == 50
    assert r.clients["closed"] == r.clients["failed"] == 0
    assert r.connect["count"] == 50
    # Both are of the events that were due in the window: 50 deliveries and one acknowledgement each.
    assert r.latency["count"] == 50 * r.ack["count"] > 0
    assert r.window["bytes"] == 128 * r.window["deliveries"]
    shared_gateway.until_counter("events_published", before + r.total["published"])
    assert_table(r, "fanout", "p99", "ok")
    assert r.server["cpu_seconds"] > 0 and r.server["rss_max"] > 0, "the server's process was not found by its port"


def test_fanout_in_an_open_loop_keeps_its_pace(against):
    r = against("fanout", "--clients", 20, "--rate", 200, "--payload", "1K")
    assert_counted(r, 20)
    # Open loop: what could not be sent in time is sent late, so the number is right to a few around the edges.
    assert 0.9 * 200 <= r.window["published"] / r.window["seconds"] <= 1.1 * 200, r.window
    assert r.parameters["groups"][0]["payload"] == 1024


def test_channels_evenly(against):
    r = against("channels", "--clients", 30, "--channels", 10, "--subscriptions", 2, "--spread", "even", "--rate", 500)
    assert_counted(r, 30 * 2 // 10)


def test_channels_by_zipf(against, shared_gateway):
    before = shared_gateway.counter("deliveries")
    r = against("channels", "--clients", 40, "--channels", 12, "--subscriptions", 3, "--rate", 500)
    assert_ok(r)
    assert r.parameters["groups"][0]["spread"] == "zipf"
    # Who has which channel is uneven, so only the gateway knows how many deliveries there were.
    assert r.total["deliveries"] > r.total["published"] > 0
    shared_gateway.until_counter("deliveries", before + r.total["deliveries"])


def test_users(against):
    r = against("users", "--clients", 60, "--rate", 600)
    assert_counted(r, 1)
    assert r.parameters["channels"] == 60


def test_idle(against):
    r = against("idle", "--clients", 100)
    assert_ok(r)
    assert r.window["deliveries"] == r.window["published"] == 0
    assert r.latency is None
    assert r.clients["open"] == 100
    assert r.server["rss_connected"] > 0


@pytest.mark.tsan
def test_churn(against):
    r = against("churn", "--clients", 40, "--channels", 4, "--rate", 300, "--churn", 40)
    assert_ok(r)
    assert r.clients["dropped"] >= 20, str(r)
    assert r.clients["returned"] >= 15, str(r)
    assert r.clients["opened"] > 40
    assert {g["name"] for g in r.groups} == {"established", "churning"}
    established = r.groups[0]
    assert established["deliveries"] > 0


@pytest.mark.tsan
def test_storm(against):
    r = against("storm", "--clients", 60, "--channels", 3, "--rate", 300, "--share", 50, "--storm-after", 0.3,
                short=["--warm", "0.2", "--seconds", "1.5", "--own-limit"])
    assert_ok(r)
    assert r.clients["dropped"] == r.clients["returned"] == 30, str(r)
    assert r.clients["storm_seconds"] > 0
    assert r.clients["open"] == 60


def test_echo(against):
    r = against("echo", "--clients", 10, "--in-flight", 2)
    assert_ok(r)
    assert r.total["deliveries"] == r.total["published"] > 0
    # Those that were due in the window, and those that came in it.
    assert r.latency["count"] == pytest.approx(r.window["deliveries"], rel=0.25)


def test_echo_in_an_open_loop(against):
    r = against("echo", "--clients", 10, "--rate", 200)
    assert_ok(r)
    assert 0.8 * 200 <= r.window["published"] / r.window["seconds"] <= 1.2 * 200, r.window


@pytest.mark.parametrize("how", [["--in-flight", 3], ["--rate", 200]], ids=["closed loop", "open loop"])
def test_command(against, shared_gateway, how):
    before = shared_gateway.counter("commands")
    r = against("command", "--clients", 10, *how, "--backends", 2, "--reply-size", 300)
    assert_ok(r)
    assert r.total["deliveries"] == r.total["answered"] == r.total["published"] > 0
    assert r.latency["count"] == pytest.approx(r.window["deliveries"], rel=0.25)
    assert shared_gateway.counter("commands") == before + r.total["published"]
    assert_table(r, "2 backends", "commands", "answers", "a command")


def test_publish(against, shared_gateway):
    before = shared_gateway.counter("events_published")
    r = against("publish", "--publishers", 3, "--in-flight", 12)
    assert_ok(r)
    assert r.total["published"] > 0
    shared_gateway.until_counter("events_published", before + r.total["published"])
    assert r.window["acked"] > 0
    assert r.ack["count"] == pytest.approx(r.window["acked"], rel=0.25)


@pytest.fixture(scope="module")
def tls_floor(tmp_path_factory):
    """The address of bench/compare's floor, which speaks TLS with OpenSSL's own hand."""
    folder = tmp_path_factory.mktemp("floor")
    crt, key = certificate(folder)
    rccompile.make("build/release/bench/floor")
    with open(f"{folder}/log", "w") as log:
        process = subprocess.Popen([os.path.join(rcgateway.ROOT, "build/release/bench/floor"), "--certificate", crt, "--key", key],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        def said():
            with open(f"{folder}/log") as f:
                return f.read()
        eventually(lambda: "ready" in said() or process.poll() is not None, "the floor")
        http, ingest = (re.search(rf"listening {name} (\S+)", said()).group(1) for name in ("http", "ingest"))
        yield ["--target", "floor", "--url", f"wss://{http}/ws", "--publish-url", f"ingest://{ingest}", "--ca", crt]
        assert process.poll() is None, said()
    finally:
        process.kill()
        process.wait()


@pytest.mark.one_shard
@pytest.mark.parametrize("resume", [[], ["--resume"]], ids=["full", "resumed"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_handshakes(load, tls_floor, version, resume):
    r = load("handshakes", "--clients", 8, "--tls", version, *resume, *SHORT, *tls_floor)
    assert_ok(r)
    assert r.window["handshakes"] > 8
    assert r.window["resumed"] == (r.window["handshakes"] if resume else 0)
    assert r.parameters["tls"] == version and r.parameters["groups"][0]["handshakes"]
    # Those that were begun in the window, and those that had ended when its ends were looked at, which may be a little later.
    assert r.latency["count"] == pytest.approx(r.window["handshakes"], rel=0.25, abs=2 * 8)
    assert r.connect["count"] == r.clients["opened"] == 8 and r.clients["failed"] == 0
    assert r.server["cpu_ns_per_handshake"] > 0
    assert_table(r, "handshakes", "server CPU", "resumed" if resume else "ok")


@pytest.mark.one_shard
def test_handshakes_beside_clients_that_receive(load, tls_floor, folder):
    file = f"{folder}/mixed.ini"
    with open(file, "w") as f:
        f.write("[run]\nwarm = 0.2\nseconds = 0.7\nconnect-at-once = 100\n\n[established]\nclients = 20\npublishers = 1\nrate = 100\n\n"
                "[storm]\nclients = 10\nhandshakes = yes\nresume = yes\n")
    r = load("mixed", "--file", file, "--own-limit", *tls_floor)
    assert_ok(r)
    established, storm = r.groups
    assert established["deliveries"] > 0 and established["handshakes"] == 0
    assert storm["resumed"] == storm["handshakes"] > 0 and storm["deliveries"] == 0


@pytest.mark.one_shard
def test_handshakes_with_a_server_that_speaks_no_tls(load, gateway):
    g = gateway()
    url = gateway_urls(g)[1]
    assert_refused(load("handshakes", "--clients", 2, *SHORT, "--url", url), "wss")
    assert_refused(load("handshakes", "--clients", 2, *SHORT, "--url", url.replace("ws:", "wss:")), "TLS failed")


def test_mixed(against, shared_gateway, folder):
    before = shared_gateway.counter("deliveries")
    file = f"{folder}/mixed.ini"
    with open(file, "w") as f:
        f.write("; three kinds of clients\n"
                "[run]\nwarm = 0.3\nseconds = 1\n\n"
                "[news]\nclients = 20\npublishers = 1\nrate = 100\npayload = 200\n\n"
                "[users]\nclients = 15\nspread = own\npublishers = 1\nin-flight = 4\n\n"
                "[latecomers]\nclients = 5\nchannels-of = news\n")
    r = against("mixed", "--file", file, short=["--own-limit"])
    assert_ok(r)
    assert [g["name"] for g in r.groups] == ["news", "users", "latecomers"]
    news, users, latecomers = r.groups
    assert news["deliveries"] == pytest.approx(20 * news["published"], rel=0.1, abs=20 * 5)
    assert latecomers["deliveries"] == pytest.approx(5 * news["published"], rel=0.1, abs=5 * 5)
    assert users["deliveries"] > 0
    shared_gateway.until_counter("deliveries", before + r.total["deliveries"])


@pytest.mark.parametrize("how", [[], ["--read-rate", "500K"]], ids=["never", "slowly"])
def test_slow_clients_do_not_harm_the_others(load, gateway, how):
    # What comes in an eighth of a second may pile up for one client before it is closed: a generator that had to wait that long for a
    # processor is none of the slow ones.
    g = gateway({"namespace.load.slow_policy": "disconnect", "namespace.load.lag_bytes": "1MiB", "namespace.load.lag_time": "0",
                 "close_timeout": "100ms"})
    r = load("slow", "--clients", 6, "--share", 33.4, *how, "--rate", 500, "--payload", "16K", "--warm", 0.3, "--seconds", 1.5,
             "--own-limit", *gateway_urls(g))
    assert_ok(r)
    fast, slow = r.groups
    assert (fast["name"], slow["name"]) == ("fast", "slow")
    assert [p["clients"] for p in r.parameters["groups"]] == [4, 2]
    assert fast["closed"] == 0
    assert fast["deliveries"] == pytest.approx(4 * fast["published"], rel=0.1)
    # Some 14 MB were due to each of the two.
    g.until_counter("close_too_slow", 2)
    # Who never reads can't see that it was closed: the end of the stream lies behind what it did not read.
    assert slow["closed"] == r.clients["closed"] == (2 if how else 0), str(r)


# ---- threads, processes, addresses

@pytest.mark.tsan
def test_several_threads(against):
    r = against("fanout", "--clients", 51, "--threads", 3, "--in-flight", 8)
    assert_counted(r, 51)
    assert r.parameters["threads"] == 3


@pytest.mark.tsan
def test_several_processes(against):
    r = against("channels", "--clients", 40, "--channels", 4, "--spread", "even", "--rate", 300, "--processes", 2, "--threads", 2)
    assert_counted(r, 10)
    assert r.parameters["processes"] == 2


def test_more_clients_than_one_process_may_have_descriptors(against):
    r = against("fanout", "--clients", 300, "--rate", 50, limits={resource.RLIMIT_NOFILE: (100, 100)}, seconds=60)
    assert_counted(r, 300)
    assert r.parameters["processes"] >= 4


def test_a_low_soft_limit_is_raised_before_processes_are_added(against):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    r = against("fanout", "--clients", 300, "--rate", 50, limits={resource.RLIMIT_NOFILE: (100, hard)})
    assert_counted(r, 300)
    assert r.parameters["processes"] == 1


@pytest.mark.one_shard
@pytest.mark.parametrize("sources", ["127.0.0.1-127.0.0.4", "127.0.0.9,127.0.1.1"])
def test_source_addresses(load, gateway, sources):
    g = gateway()
    running = load.start("idle", "--clients", 40, "--sources", sources, "--seconds", 2, "--own-limit", *gateway_urls(g))
    g.until_counter("clients", 40)
    peers = subprocess.run(["ss", "-Htn", "state", "established", f"dport = :{g.http[1]}"], capture_output=True, text=True).stdout
    used = {line.split()[2].rpartition(":")[0] for line in peers.splitlines()}
    r = running.wait()
    assert_ok(r)
    expected = {f"127.0.0.{i}" for i in range(1, 5)} if "-" in sources else set(sources.split(","))
    assert used == expected, peers


@pytest.mark.one_shard
def test_clients_come_at_the_rate_that_was_asked_for(load, gateway):
    g = gateway()
    r = load("idle", "--clients", 60, "--connect-rate", 50, "--seconds", 0.2, "--own-limit", *gateway_urls(g))
    assert_ok(r)
    assert r.clients["connect_seconds"] > 1.0, str(r)


# ---- what it prints

@pytest.mark.one_shard
def test_the_result_goes_to_standard_output_when_asked(load, gateway):
    g = gateway()
    r = load("fanout", "--clients", 3, "--rate", 50, *SHORT, "--quiet", *gateway_urls(g), "--json", json_file=False)
    assert r.status == 0, str(r)
    j = json.loads(r.out)
    assert j["verdict"] == "ok" and j["window"]["deliveries"] > 0


@pytest.mark.one_shard
def test_compare_two_kept_results(load, gateway, folder):
    g = gateway()
    a = load("fanout", "--clients", 3, "--rate", 100, *SHORT, "--quiet", *gateway_urls(g))
    b = load("fanout", "--clients", 6, "--rate", 100, *SHORT, "--quiet", *gateway_urls(g))
    assert_ok(a)
    assert_ok(b)
    r = load("--compare", a.file, b.file, json_file=False)
    assert r.status == 0, str(r)
    assert r.err == ""
    assert "p99" in r.out
    # Twice the clients.
    ratio = re.search(r"^deliveries a second.* ([\d.]+)$", r.out, re.M)
    assert 1.7 < float(ratio.group(1)) < 2.3, r.out


@pytest.mark.one_shard
def test_a_kept_result_becomes_a_page(load, gateway, folder):
    g = gateway()
    page, again = f"{folder}/a.html", f"{folder}/b.html"
    a = load("fanout", "--clients", 3, "--rate", 100, *SHORT, "--quiet", "--report", page, *gateway_urls(g))
    assert_ok(a)
    r = load("--render", a.file, "--report", again, json_file=False)
    assert r.status == 0, str(r)
    with open(page) as f, open(again) as f2:
        text, text2 = f.read(), f2.read()
    assert text == text2
    assert text.lower().startswith("<!doctype html>")
    assert "https://" not in text and "src=\"http" not in text
    assert a.started in text


@pytest.mark.one_shard
def test_help_is_complete_and_every_option_in_it_is_taken(load, shards):
    r = load("--help", json_file=False)
    assert r.status == 0 and r.err == "", str(r)
    assert all(len(line) <= 100 for line in r.out.splitlines())
    options = re.findall(r"^ +--([a-z-]+)(?: (\S+))?", r.out, re.M)
    assert len(options) > 30
    for scenario in ("fanout", "channels", "users", "idle", "churn", "storm", "slow", "echo", "command", "handshakes", "publish", "mixed"):
        assert re.search(rf"^ +{scenario}\b", r.out, re.M), scenario
    values = {"any|1.2|1.3": "1.3", "NAME|FILE": "ringcast", "LIST": "0", "even|zipf|own": "even", "FILE": "/nonexistent", "[FILE]": "/nonexistent/x",
              "FILE.html": "/nonexistent/x.html", "TEXT": "x:", "URL": "ws://127.0.0.1:1/ws", "PERCENT": "10", "SECONDS": "1", "BYTES": "64",
              "N": "1"}
    for name, argument in options:
        if name in ("help", "targets", "compare", "render"):
            continue
        given = [values[argument]] if argument else []
        given = ["127.0.0.1"] if name == "sources" else given
        given = ["ingest://127.0.0.1:1"] if name == "publish-url" else given
        # The last option is wrong: what is complained about must be that one, after all before it were read.
        done = subprocess.run([BINARY, "fanout", f"--{name}", *given, "--nonsense"], capture_output=True, text=True, timeout=30,
                              env=rcgateway.environment("/tmp"))
        assert done.returncode == 2 and "--nonsense" in done.stderr, f"--{name}: {done.stderr}"


@pytest.mark.one_shard
def test_the_built_in_targets_are_listed_and_can_be_read(load, shards):
    r = load("--targets", json_file=False)
    assert r.status == 0 and r.err == "", str(r)
    names = [line.split()[0] for line in r.out.splitlines() if line.strip()]
    assert "ringcast" in names
    for name in names:
        # Its profile is read before the address is looked at.
        r = load("idle", "--target", name, "--clients", 1, "--url", "ws://127.0.0.1:1/", "--own-limit", "--connect-timeout", 1)
        assert_refused(r)
