# SPDX-License-Identifier: Apache-2.0
"""What an operator types: configuration from all its sources, the subcommands and their exit codes, and refusals to start that say how
to mend what is wrong."""
import base64
import ctypes
import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess

import pytest

import rcgateway
from deadline import SLOW, background, eventually
from rcgateway import run

# 0 fine, 1 the answer is no, 2 the command line is wrong, 3 no gateway runs.
OK, NO, USAGE, NOBODY = 0, 1, 2, 3
SUBCOMMANDS = ["serve", "publish", "subscribe", "stat", "check", "token"]

one_shard = pytest.mark.one_shard


@pytest.fixture
def cli(folder, shards):
    """cli("stat", "--json") runs a subcommand to its end; written as a fixture so that it shares the folder of the gateways."""
    return lambda *args, **options: run(args, folder, **options)


def values(printout):
    """{(section, key): value} of an INI text, comments left out."""
    section, found = "server", {}
    for line in printout.splitlines():
        line = line.split(" ;")[0].strip()
        if m := re.match(r"\[(.+)\]$", line):
            section = m.group(1)
        elif m := re.match(r"([a-z_]+)\s*=\s*(.*)$", line):
            found[section, m.group(1)] = m.group(2).strip()
    return found


def write(folder, text, name="ringcast.conf"):
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write(text)
    return path


# ---- help

@one_shard
def test_help_names_the_subcommands(cli):
    for flag in ("--help", "-h", "help"):
        done = cli(flag)
        assert done.returncode == OK
        for name in SUBCOMMANDS:
            assert re.search(rf"\b{name}\b", done.stdout)


@one_shard
@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_has_help(cli, name):
    for flag in ("--help", "-h"):
        done = cli(name, flag)
        assert done.returncode == OK, done.stderr
        assert name in done.stdout and len(done.stdout.splitlines()) >= 5


@one_shard
def test_the_help_of_serve_has_every_option(cli):
    done = cli("serve", "--help")
    for key in ("listen", "shards", "cpus", "max_clients", "heartbeat", "drain_timeout", "lag_bytes", "slow_policy", "token_file"):
        assert key in done.stdout


@one_shard
def test_without_a_subcommand_usage_is_told(cli):
    done = cli()
    assert done.returncode == USAGE and "usage" in (done.stdout + done.stderr).lower()


@one_shard
@pytest.mark.parametrize("args", [["publsh"], ["serve", "--lisen", "127.0.0.1:0"], ["stat", "--nonsense"], ["check", "surplus"],
                                  ["publish"], ["publish", "only-a-channel"], ["subscribe"], ["serve", "surplus"]], ids=" ".join)
def test_a_wrong_command_line_is_refused(cli, args):
    done = cli(*args)
    assert done.returncode in (NO, USAGE) and done.returncode == (USAGE if args[0] != "serve" else done.returncode)
    assert done.stderr


@one_shard
def test_version(cli):
    done = cli("--version")
    assert done.returncode == OK and re.search(r"\d+\.\d+\.\d+", done.stdout)


# ---- configuration

@one_shard
def test_the_printout_can_be_read_back(cli, folder):
    first = cli("serve", "--print-config", "--set", "heartbeat=7s", "--set", "namespace.chat.raw=yes")
    assert first.returncode == OK, first.stderr
    path = write(folder, first.stdout)
    second = cli("serve", "--config", path, "--print-config")
    assert second.returncode == OK, second.stderr
    assert values(first.stdout) == values(second.stdout)
    assert values(first.stdout)["server", "heartbeat"] == "7s"
    assert values(first.stdout)["namespace chat", "raw"] == "yes"


@one_shard
def test_the_example_is_a_file_of_defaults(cli, folder):
    example = cli("serve", "--example-config")
    assert example.returncode == OK
    path = write(folder, example.stdout)
    assert cli("serve", "--config", path, "--check-config").returncode == OK
    # Everything in it is commented out; with the marks taken away it says what holds anyway.
    path = write(folder, re.sub(r"^[;#] ?(?=[a-z_]+ *= *\S)", "", example.stdout, flags=re.M))
    with_marks_off = cli("serve", "--config", path, "--print-config")
    assert with_marks_off.returncode == OK, with_marks_off.stderr
    default = cli("serve", "--print-config")
    assert values(with_marks_off.stdout) == values(default.stdout)


@one_shard
def test_flags_go_before_environment_before_file_before_defaults(cli, folder):
    path = write(folder, "heartbeat = 11s\nbacklog = 111\nsend_max = 11KiB\n")

    def printed(*flags, **env):
        done = subprocess.run([*rcgateway.WRAP, rcgateway.BINARY, "serve", "--print-config", *flags], capture_output=True, text=True,
                              env={**rcgateway.environment(folder), **env})
        assert done.returncode == OK, done.stderr
        return values(done.stdout)

    assert printed()["server", "heartbeat"] == "30s"
    v = printed("--config", path, "--set", "backlog=333", RINGCAST_BACKLOG="222", RINGCAST_SEND_MAX="22KiB")
    assert (v["server", "heartbeat"], v["server", "send_max"], v["server", "backlog"]) == ("11s", "22KiB", "333")
    assert printed(RINGCAST_CONFIG=path)["server", "heartbeat"] == "11s"


@one_shard
def test_everything_wrong_in_a_file_is_told_with_its_line(cli, folder):
    path = write(folder, """\
hartbeat = 30s
heartbeat = 30 fortnights
max_clients = 0
shards = many

[ingest]
window = 99999999999999999999
[namespaces chat]
raw = yes
[namespace chat]
raw = perhaps
slow_policy = dissconnect
nonsense
""")
    done = cli("serve", "--config", path, "--check-config")
    assert done.returncode == NO
    told = done.stderr + done.stdout
    for line in (1, 2, 3, 4, 7, 8, 11, 12, 13):
        assert re.search(rf"{re.escape(path)}:{line}\b", told), f"line {line} is not named in:\n{told}"
    assert "heartbeat" in told.splitlines()[0] and "did you mean heartbeat" in told
    assert "[namespace NAME]" in told
    assert "disconnect" in told, "the words that are allowed"


@one_shard
def test_a_good_file_is_said_to_be_good(cli, folder):
    path = write(folder, "heartbeat = 30s\n[ingest]\nwindow = 128\n[namespace chat]\nraw = no\n")
    assert cli("serve", "--config", path, "--check-config").returncode == OK


@one_shard
@pytest.mark.parametrize("text,says", [("shards = 1\nshards = 2\n", ":2"), ("[server\n", ":1"), ("=\n", ":1"), ("heartbeat\n", ":1"),
                                       ("heartbeat = -1s\n", ":1"), ("heartbeat = 1\0s\n", ":1"), ("heartbeat = 9999999h\n", ":1"),
                                       ("a" * 5000 + "\n", ":1"), ("listen = example.org:80\n", ":1"), ("listen = 127.0.0.1:99999\n", ":1"),
                                       ("cpus = 0-x\n", ":1"), ("cpus = 3-1\n", ":1"), ("echo = maybe\n", ":1")])
def test_each_mistake_names_its_line(cli, folder, text, says):
    path = write(folder, text)
    done = cli("serve", "--config", path, "--check-config")
    assert done.returncode == NO and path + says in done.stderr + done.stdout


@one_shard
def test_a_file_that_is_not_there_is_named(cli, folder):
    done = cli("serve", "--config", folder + "/nowhere.conf", "--check-config")
    assert done.returncode == NO and folder + "/nowhere.conf" in done.stderr and "No such file" in done.stderr


@one_shard
def test_a_bad_variable_is_named(folder, shards):
    done = subprocess.run([*rcgateway.WRAP, rcgateway.BINARY, "serve", "--check-config"], capture_output=True, text=True,
                          env={**rcgateway.environment(folder), "RINGCAST_HEARTBEAT": "never"})
    assert done.returncode == NO and "RINGCAST_HEARTBEAT" in done.stderr


@one_shard
def test_variables_of_our_other_commands_are_no_mistakes(folder, shards):
    """One shell has them for `ringcast subscribe`, `publish` and `make run`, and starts a gateway too."""
    def complaints(**env):
        done = subprocess.run([*rcgateway.WRAP, rcgateway.BINARY, "serve", "--check-config"], capture_output=True, text=True,
                              env={**rcgateway.environment(folder), **env})
        assert done.returncode == OK, done.stderr
        return re.findall(r"RINGCAST_\w+(?= in the environment)", done.stderr)

    assert complaints(RINGCAST_TOKEN="eyJ", RINGCAST_INGEST_SERVER="127.0.0.1:7400", RINGCAST_SKIP_DEPS="1") == []
    assert complaints(RINGCAST_TOKEM="eyJ") == ["RINGCAST_TOKEM"]


@one_shard
def test_no_more_shards_than_one_process_runs(cli):
    """The help names the bound that the program holds."""
    most = int(re.search(r"\n +0, or 1 to (\d+); default 0\n", cli("serve", "--help").stdout.partition("  shards ")[2]).group(1))
    assert most == 64 and cli("serve", "--check-config", "--set", f"shards={most}", "--set", "memory=1GiB").returncode == OK
    refused = cli("serve", "--check-config", "--set", f"shards={most + 1}")
    assert refused.returncode == NO and f"1 to {most}" in refused.stderr, refused.stderr


@one_shard
def test_ingest_open_to_all_is_refused_and_says_how_to_secure_it(gateway):
    g = gateway(ready=False, ingest="0.0.0.0:0")
    assert g.wait(30) == 1
    assert "token" in g.log and "0.0.0.0" in g.log and "listening" not in g.log


def test_ingest_open_to_all_with_a_token_or_by_decision(gateway):
    gateway({"ingest.token": "a-long-secret-token"}, ready=False, ingest="0.0.0.0:0").wait_line(r"\bready$")
    gateway({"ingest.open": "yes"}, ready=False, ingest="0.0.0.0:0").wait_line(r"\bready$")


def test_a_token_file_that_everybody_reads_is_mentioned(gateway, publisher, folder):
    path = write(folder, "file-token-123456\n", "token")
    os.chmod(path, 0o600)
    g = gateway({"ingest.token_file": path})
    publisher(g, token="file-token-123456").publish("a")
    assert "chmod" not in g.log


# ---- start

def test_the_lines_of_a_start(gateway):
    g = gateway()
    lines = [line for line in g.log.splitlines()]
    for line in lines:
        assert re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|debug)\b", line), line
    assert lines[-1].endswith("ready")
    assert g.http[1] != 0 and g.ingest[1] != 0
    # The memory budget is a table before any port is open.
    budget = g.log.index("MiB")
    assert budget < g.log.index("listening")


def test_a_port_that_is_taken_is_named(gateway):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        for options in ({"listen": f"127.0.0.1:{port}"}, {"ingest": f"127.0.0.1:{port}"}):
            g = gateway(ready=False, **options)
            assert g.wait(30) == 1
            assert f"127.0.0.1:{port}" in g.log and re.search("in use", g.log)
        

def test_a_second_gateway_on_the_same_port_is_refused(gateway):
    # SO_REUSEPORT would let it in, and half of the clients with it.
    first = gateway()
    g = gateway(ready=False, listen="{}:{}".format(*first.http))
    assert g.wait(30) == 1
    assert "{}:{}".format(*first.http) in g.log


def pinned(g):
    """The CPU sets of its threads, those that differ from the main thread's."""
    sets = {}
    for task in os.listdir(f"/proc/{g.pid}/task"):
        with open(f"/proc/{g.pid}/task/{task}/status") as f:
            sets[task] = re.search(r"Cpus_allowed_list:\s*(\S+)", f.read()).group(1)
    return sets


def test_shards_are_pinned_to_the_cpus_that_are_named(gateway, connect):
    usable = sorted(os.sched_getaffinity(0))
    g = gateway(shards=1, args=["--cpus", usable[-1]])
    assert str(usable[-1]) in pinned(g).values()
    connect(g).barrier()
    if len(usable) > 1:
        g = gateway(shards=2, args=["--cpus", f"{usable[0]},{usable[1]}"])
        assert {str(usable[0]), str(usable[1])} <= set(pinned(g).values())
        for _ in range(8):
            connect(g).barrier()


@one_shard
def test_a_cpu_that_does_not_exist_is_refused(gateway):
    g = gateway(ready=False, args=["--cpus", "1000"])
    assert g.wait(30) == 1
    assert re.search(r"\b1000\b", g.log) and "listening" not in g.log


@one_shard
def test_a_cpu_outside_the_allowed_set_is_refused(gateway):
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        pytest.skip("there is one CPU only")
    g = gateway(ready=False, args=["--cpus", usable[1]], before=lambda: os.sched_setaffinity(0, {usable[0]}))
    assert g.wait(30) == 1
    assert re.search(rf"\b{usable[1]}\b", g.log) and "listening" not in g.log


@one_shard
def test_memory_that_does_not_fit_the_host_is_refused(gateway):
    g = gateway({"memory": "1TiB"}, ready=False)
    assert g.wait(30) == 1
    assert "memory" in g.log and "listening" not in g.log


def test_busy_polling_works(gateway, connect, publisher):
    g = gateway({"busy_poll": "50us"})
    ws = connect(g)
    ws.subscribe("a")
    publisher(g).publish("a", "1")
    assert ws.next_event()["data"] == 1


# ---- a kernel that does not let it

SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
IO_URING_SETUP = 425


def without_io_uring(error):
    """A system-call filter as container engines set it: io_uring_setup fails with this error."""
    def before():
        # ld [nr]; jeq io_uring_setup, 0, 1; ret errno; ret allow
        program = b"".join(struct.pack("<HBBI", *i) for i in (
            (0x20, 0, 0, 0), (0x15, 0, 1, IO_URING_SETUP), (0x06, 0, 0, SECCOMP_RET_ERRNO | error), (0x06, 0, 0, SECCOMP_RET_ALLOW)))
        code = ctypes.create_string_buffer(program, len(program))
        fprog = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
        libc = ctypes.CDLL(None, use_errno=True)
        # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP with SECCOMP_MODE_FILTER
        if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.create_string_buffer(fprog, len(fprog)), 0, 0):
            raise OSError(ctypes.get_errno(), "seccomp")
    return before


@one_shard
@pytest.mark.parametrize("error", [1, 38], ids=["EPERM", "ENOSYS"])
def test_a_seccomp_filter_is_named(gateway, error):
    g = gateway(ready=False, before=without_io_uring(error))
    assert g.wait(30) == 1
    # ENOSYS is also what a kernel without it says.
    assert re.search("seccomp" if error == 1 else "seccomp|sandbox", g.log, re.I) and "listening" not in g.log


@one_shard
@pytest.mark.parametrize("value", ["1", "2"])
def test_the_sysctl_that_turns_io_uring_off_is_named(gateway, folder, value):
    where = "/proc/sys/kernel/io_uring_disabled"
    if os.geteuid() != 0 or not os.path.exists(where):
        pytest.skip("showing another value of the sysctl needs root and a kernel that has it")
    fake = write(folder, value + "\n", "disabled")
    wrap = ["unshare", "-m", "sh", "-c", f'mount --bind {fake} {where} && exec "$@"', "sh"]
    if subprocess.run([*wrap, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    g = gateway(ready=False, wrap=wrap, before=without_io_uring(1))
    assert g.wait(30) == 1
    assert "kernel.io_uring_disabled" in g.log and "listening" not in g.log


@one_shard
def test_a_memlock_limit_that_is_too_low_is_named(gateway, folder):
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    nobody = 65534
    if subprocess.run(["/usr/bin/setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups", "test", "-x", rcgateway.BINARY],
                      capture_output=True).returncode:
        pytest.skip("another user may not run the program where it lies")
    os.chown(folder, nobody, nobody)

    def before():
        os.setgroups([])
        os.setresgid(nobody, nobody, nobody)
        os.setresuid(nobody, nobody, nobody)

    g = gateway(ready=False, before=before, limits={resource.RLIMIT_MEMLOCK: (16384, 16384)})
    assert g.wait(60) == 1, g.log
    assert re.search("memlock", g.log, re.I) and "listening" not in g.log


def test_it_runs_as_an_ordinary_user(gateway, folder, connect, publisher):
    if os.geteuid() != 0:
        pytest.skip("is done by all the other tests then")
    nobody = 65534
    if subprocess.run(["/usr/bin/setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups", "test", "-x", rcgateway.BINARY],
                      capture_output=True).returncode:
        pytest.skip("another user may not run the program where it lies")
    os.chown(folder, nobody, nobody)

    def before():
        os.setgroups([])
        os.setresgid(nobody, nobody, nobody)
        os.setresuid(nobody, nobody, nobody)

    g = gateway(before=before)
    ws = connect(g, "/ws?channel=a")
    ws.await_type("subscription-ack")
    publisher(g).publish("a", "1")
    assert ws.next_event()["data"] == 1


# ---- publish and subscribe

def to(g):
    return ["--server", "{}:{}".format(*g.ingest)]


def at(g):
    return ["--server", "{}:{}".format(*g.http)]


class Subscriber:
    """`ringcast subscribe` in the background; ready when the gateway has acknowledged its subscriptions."""

    def __init__(self, g, *channels, flags=()):
        self.process = subprocess.Popen([*rcgateway.WRAP, rcgateway.BINARY, "subscribe", *at(g), "--all", *flags, *channels], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=rcgateway.environment(g.folder))
        said = []
        while not said or "subscription-ack" not in said[-1]:
            said.append(self.process.stderr.readline())
            assert said[-1], f"it ended: {said}"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def line(self):
        return self.process.stdout.readline().rstrip("\n")

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(20 * SLOW)


def test_publish_and_see_it_arrive(gateway, cli):
    g = gateway()
    with Subscriber(g, "news") as s:
        done = cli("publish", *to(g), "news", "added", '{"id": 1}')
        assert done.returncode == OK, done.stderr
        line = s.line()
        assert line == 'news added 1 {"id": 1}'
        assert s.end(signal.SIGINT) == 130


def test_publish_without_data_and_with_text(gateway, cli, connect):
    g = gateway()
    ws = connect(g)
    ws.subscribe("cli")
    assert cli("publish", *to(g), "cli", "nothing").returncode == OK
    e = ws.next_event()
    assert e["event"] == "nothing" and e["data"] is None
    assert cli("publish", *to(g), "--text", "cli", "text", "not json").returncode == OK
    e = ws.next_event()
    assert e["event"] == "text" and base64.b64decode(e["data"]) == b"not json"
    done = cli("publish", *to(g), "cli", "text", "not json")
    assert done.returncode in (NO, USAGE) and "JSON" in done.stderr


def test_publish_tells_positions_and_broadcasts(gateway, cli, connect):
    g = gateway()
    ws = connect(g)
    ws.subscribe("where")
    done = cli("publish", *to(g), "--position", "where", "e", "1")
    assert done.returncode == OK and re.search(r"[a-z2-7]+@1\b", done.stdout)
    assert ws.next_event()["offset"] == 1
    assert cli("publish", *to(g), "--broadcast", "notice", '"all"').returncode == OK
    assert ws.next_event()["event"] == "notice"


@pytest.mark.deadline(120)
def test_publish_takes_lines_from_standard_input(gateway, cli, connect):
    g = gateway()
    ws = connect(g)
    ws.subscribe("lines")
    n = 5000
    got = []
    with background(lambda: got.extend(ws.next_event(timeout=60) for _ in range(n))):
        done = cli("publish", *to(g), "--id", "lines", "lines", "line", "-", stdin="".join(f"{i}\n" for i in range(n)), timeout=60)
        assert done.returncode == OK, done.stderr
    assert [e["offset"] for e in got] == list(range(1, n + 1))
    assert g.counter("events_published") == n


def test_publish_says_what_the_gateway_refused(gateway, cli):
    g = gateway()
    done = cli("publish", *to(g), "bad channel", "e", "1")
    assert done.returncode in (NO, USAGE) and "channel" in done.stderr


def test_publish_with_a_token(gateway, cli):
    g = gateway({"ingest.token": "a-long-secret-token"})
    done = cli("publish", *to(g), "a", "e", "1")
    assert done.returncode == NO and "token" in done.stderr.lower()
    assert cli("publish", *to(g), "--token", "a-long-secret-token", "a", "e", "1").returncode == OK


@one_shard
@pytest.mark.parametrize("command", ["publish", "subscribe"])
def test_without_a_gateway_they_say_so(cli, command):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
        done = cli(command, "--server", f"127.0.0.1:{port}", "--timeout", "1s", "a", *(["e", "1"] if command == "publish" else []))
        assert done.returncode == NOBODY
        assert f"127.0.0.1:{port}" in done.stderr or str(port) in done.stderr


def test_subscribe_to_patterns_and_several_channels(gateway, cli, publisher):
    g = gateway()
    p = publisher(g)
    with Subscriber(g, "s:one", "t:*") as s:
        p.publish("s:one", '"first"')
        assert s.line() == 's:one e 1 "first"'
        p.publish("t:any", '"second"')
        assert s.line() == 't:any e 1 "second"'
        assert s.end() == 143


def test_subscribe_ends_after_so_many_events(gateway, publisher):
    g = gateway()
    p = publisher(g)
    with Subscriber(g, "counted", flags=["--count", "3", "--json"]) as s:
        for i in range(5):
            p.publish("counted", str(i))
        assert [json.loads(s.line())["data"] for _ in range(3)] == [0, 1, 2]
        assert s.process.wait(20 * SLOW) == OK


def test_subscribe_is_told_of_a_bad_channel(gateway, cli):
    g = gateway()
    done = cli("subscribe", *at(g), "no channel")
    assert done.returncode in (NO, USAGE) and "channel" in done.stderr


def test_subscribe_ends_when_the_gateway_does(gateway):
    g = gateway()
    with Subscriber(g, "a") as s:
        g.stop()
        assert s.process.wait(30 * SLOW) == NO
        assert s.process.stderr.read()


# ---- stat

def test_stat_shows_what_the_file_says(gateway, cli, connect, publisher):
    g = gateway()
    clients = [connect(g, "/ws?channel=a") for _ in range(3)]
    for ws in clients:
        ws.await_type("subscription-ack")
    p = publisher(g)
    for _ in range(10):
        p.publish("a")
    for ws in clients:
        for _ in range(10):
            ws.next_event()
    counters = g.stat()["counters"]
    assert counters["clients"] == 3 and counters["events_published"] == 10 and counters["publishers"] == 1
    g.until_counter("deliveries", 30)
    plain = cli("stat", "--pid", g.pid)
    assert plain.returncode == OK and re.search(r"deliveries +30\b", plain.stdout)


def test_stat_by_shard_adds_up(gateway, cli, connect, shards):
    g = gateway()
    for _ in range(12):
        connect(g)
    each = []
    for shard in range(shards):
        done = cli("stat", "--json", "--all", "--pid", g.pid, "--shard", shard)
        assert done.returncode == OK, done.stderr
        each.append(json.loads(done.stdout)["counters"]["clients"])
    assert sum(each) == 12
    done = cli("stat", "--pid", g.pid, "--shard", shards)
    assert done.returncode == USAGE and done.stderr


def test_stat_watches(gateway, cli):
    g = gateway()
    done = cli("stat", "--json", "--pid", g.pid, "--watch=1", "--count=2")
    assert done.returncode == OK
    looks = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(looks) == 2 and looks[1]["now_ms"] > looks[0]["now_ms"]


def test_stat_finds_the_only_gateway_and_asks_when_there_are_two(gateway, cli):
    if cli("stat").returncode != NOBODY:
        pytest.skip("a gateway that is none of this test's runs on this machine")
    first = gateway()
    assert json.loads(cli("stat", "--json").stdout)["pid"] == first.pid
    second = gateway()
    done = cli("stat", "--json")
    assert done.returncode in (NO, USAGE) and str(first.pid) in done.stderr and str(second.pid) in done.stderr


@one_shard
def test_stat_without_a_gateway(cli, gateway):
    assert cli("stat", "--pid", 1).returncode == NOBODY
    g = gateway()
    g.stop()
    assert cli("stat", "--pid", g.pid).returncode == NOBODY


def test_stat_of_a_gateway_that_was_killed(gateway, cli):
    g = gateway()
    g.signal(signal.SIGKILL)
    assert g.wait() == -signal.SIGKILL
    assert cli("stat", "--pid", g.pid).returncode == NOBODY


def test_the_heartbeat_of_the_counters_file_goes_on(gateway):
    g = gateway()
    first = g.stat()["heartbeat_ms"]
    eventually(lambda: g.stat()["heartbeat_ms"] > first, "the heartbeat is renewed", every=0.2)


# ---- check

@one_shard
def test_check_looks_at_the_host(cli):
    done = cli("check", "--json")
    assert done.returncode in (OK, NO)
    found = json.loads(done.stdout)
    assert found["fit"] == (done.returncode == OK)
    assert len(found["checks"]) > 10
    for check in found["checks"]:
        assert check["id"] and check["verdict"]
        if check["verdict"] in ("bad", "advice"):
            assert check["mend"], f"{check['id']} does not say how to mend it"
    plain = cli("check")
    assert plain.returncode == done.returncode
    for check in found["checks"]:
        assert check["id"] in plain.stdout


@one_shard
def test_check_holds_the_host_against_a_configuration(cli, folder):
    done = cli("check", "--json", "--config", write(folder, "[server]\nshards = 2\nmax_clients = 300\nmemory = 64MiB\n"))
    found = json.loads(done.stdout)
    assert found["config"]["fine"] and found["config"]["errors"] == [] and found["config"]["shards"] == 2
    assert found["config"]["bytes"] > 64 << 20
    nofile, = [c for c in found["checks"] if c["id"] == "limit.nofile"]
    assert "for 300 clients" in nofile["why"]


@one_shard
@pytest.mark.parametrize("text, words", [
    ("[server]\nmax_cients = 5\n", ":2: unknown key 'max_cients'"),
    ("[server]\ncpus = 1000\n", "CPU 1000"),
    ("[server]\nmemory = 1TiB\n", "memory"),
    ("[ingest]\nlisten = 0.0.0.0:7400\n", "lets everybody who reaches it publish")], ids=["key", "cpu", "memory", "open"])
def test_check_says_no_to_a_configuration_that_the_gateway_would_refuse(cli, folder, text, words):
    path = write(folder, text)
    done = cli("check", "--config", path)
    assert done.returncode == NO and words in done.stderr and f"configuration {path}: wrong" in done.stdout
    assert cli("serve", "--check-config", "--config", path).returncode == NO
    found = json.loads(cli("check", "--json", "--config", path).stdout)
    assert not found["fit"] and not found["config"]["fine"] and words in "\n".join(found["config"]["errors"])


def make_certificate(folder, name="host", days=90):
    """The paths of a self-made certificate and its key."""
    certificate, key = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days),
                    "-subj", f"/CN={name}.example", "-addext", f"subjectAltName=DNS:{name}.example", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    os.chmod(key, 0o600)
    return certificate, key


@one_shard
def test_check_tells_what_the_kernel_can_do_for_tls(cli):
    found = json.loads(cli("check", "--json").stdout)
    tls = found["tls"]
    assert tls["openssl"].startswith("OpenSSL ") and "path" not in tls
    ways = [way for version in tls["kernel"].values() for cipher in version.values() for way in cipher.values()]
    assert list(tls["kernel"]) == ["TLS 1.2", "TLS 1.3"] and len(ways) == 12
    assert all(ways) or tls["why_not"], "what is missing has a reason"
    row, = [c for c in found["checks"] if c["id"] == "kernel.tls"]
    assert row["verdict"] == ("ok" if all(ways) else "info")
    plain = cli("check").stdout
    assert tls["openssl"] in plain and tls["why_not"] in plain


@one_shard
def test_check_tells_of_certificates_and_who_makes_the_records(cli, folder):
    certificate, key = make_certificate(folder)
    for kernel in ("auto", "no"):
        path = write(folder, f"[tls]\ncertificate = {certificate}\nkey = {key}\nkernel = {kernel}\n")
        done = cli("check", "--json", "--config", path)
        found = json.loads(done.stdout)
        tls = found["tls"]
        assert found["config"]["fine"] and found["config"]["warnings"] == [], found["config"]
        assert tls["path"] in ("kernel", "mixed", "user") and tls["says"].startswith("TLS: ")
        assert len(tls["certificates"]) == 1
        assert certificate in tls["certificates"][0] and "host.example" in tls["certificates"][0]
        plain = cli("check", "--config", path).stdout
        assert tls["says"] in plain and tls["certificates"][0] in plain
        if kernel == "no":
            assert tls["path"] == "user" and "kernel = no" in tls["says"]
        elif tls["path"] == "user":
            assert tls["why_not"] and tls["why_not"] in tls["says"]
    without = json.loads(cli("check", "--json", "--config", write(folder, "heartbeat = 30s\n")).stdout)["tls"]
    assert without["path"] == "off" and without["certificates"] == []


@one_shard
def test_the_start_says_of_tls_what_check_said(cli, gateway, folder):
    certificate, key = make_certificate(folder)
    for kernel in ("auto", "no"):
        path = write(folder, f"[tls]\nlisten = 127.0.0.1:0\ncertificate = {certificate}\nkey = {key}\nkernel = {kernel}\n")
        tls = json.loads(cli("check", "--json", "--config", path).stdout)["tls"]
        g = gateway({"tls.listen": "127.0.0.1:0", "tls.certificate": certificate, "tls.key": key, "tls.kernel": kernel})
        assert tls["says"] in g.log and f"TLS: {tls['certificates'][0]}" in g.log, g.log


@one_shard
def test_check_says_no_when_the_kernel_must_and_cannot(cli, folder):
    certificate, key = make_certificate(folder)
    path = write(folder, f"[tls]\ncertificate = {certificate}\nkey = {key}\nkernel = yes\n")
    found = json.loads(cli("check", "--json", "--config", path).stdout)
    errors = found["config"]["errors"]
    if found["tls"]["path"] == "user":
        assert len(errors) == 1 and "kernel = yes" in errors[0] and found["tls"]["why_not"] in errors[0] and "kernel = auto" in errors[0]
    else:
        assert errors == []


@one_shard
def test_wrong_certificates_are_refused_with_the_file(cli, folder):
    certificate, key = make_certificate(folder)
    _, other_key = make_certificate(folder, "other")
    garbage = write(folder, "no certificate at all\n", "garbage.pem")
    for pem, pem_key in ((folder + "/nowhere.pem", key), (garbage, key), (certificate, other_key), (certificate, garbage), (certificate, folder)):
        blamed = pem if pem != certificate else pem_key
        path = write(folder, f"[tls]\ncertificate = {pem}\nkey = {pem_key}\n")
        done = cli("check", "--config", path)
        assert done.returncode == NO and blamed in done.stderr and f"configuration {path}: wrong" in done.stdout, done.stderr
        done = cli("serve", "--check-config", "--config", path)
        assert done.returncode == NO and blamed in done.stderr, done.stderr


@one_shard
def test_a_certificate_that_ends_soon_is_warned_of(cli, folder):
    certificate, key = make_certificate(folder, days=3)
    os.chmod(key, 0o644)
    done = cli("check", "--json", "--config", write(folder, f"[tls]\ncertificate = {certificate}\nkey = {key}\n"))
    found = json.loads(done.stdout)["config"]
    assert found["fine"] and len(found["warnings"]) == 2
    assert any(certificate in w and "expires" in w for w in found["warnings"])
    assert any(key in w and "chmod" in w for w in found["warnings"])


@one_shard
@pytest.mark.parametrize("text, words", [
    ("key = host.key\n", "[tls] key = host.key has no effect without certificate"),
    ("listen = *:443\n", "[tls] listen = 0.0.0.0:443 has no effect without certificate"),
    ("certificate = host.pem\nclients = required\n", "needs client_ca"),
    ("certificate = host.pem\nlisten = none\n", "both none"),
    ("certificate = host.pem\nlisten = 127.0.0.1:8080\n", "[server] listen = 127.0.0.1:8080 and [tls] listen = 127.0.0.1:8080"),
    ("certificate = host.pem\ningest_listen = *:7443\n", "lets everybody who reaches it publish")],
    ids=["key", "listen", "ca", "none", "port", "open"])
def test_options_of_tls_that_contradict_are_refused(cli, folder, text, words):
    done = cli("serve", "--check-config", "--config", write(folder, "[tls]\n" + text))
    assert done.returncode == NO and words in done.stderr


@one_shard
def test_listeners_may_be_none_but_not_all(cli, folder):
    first = cli("serve", "--print-config", "--listen", "none", "--ingest", "none", "--set", "tls.certificate=host.pem")
    assert first.returncode == OK, first.stderr
    second = cli("serve", "--config", write(folder, first.stdout), "--print-config")
    assert second.returncode == OK and values(first.stdout) == values(second.stdout), second.stderr
    assert values(second.stdout)["server", "listen"] == values(second.stdout)["ingest", "listen"] == "none"
    done = cli("serve", "--check-config", "--listen", "none", "--ingest", "none")
    assert done.returncode == NO and "nothing is listened on" in done.stderr


@one_shard
def test_check_and_serve_count_descriptors_alike(cli, gateway):
    """The number that `check` wants is the lowest with which `serve` starts."""
    found = json.loads(cli("check", "--json", "--clients", 300).stdout)
    nofile, = [c for c in found["checks"] if c["id"] == "limit.nofile"]
    usable = len(os.sched_getaffinity(0))
    want = int(nofile["wanted"].removeprefix(">= "))
    g = gateway({"max_clients": 300, "shards": usable}, ready=False, limits={resource.RLIMIT_NOFILE: (want - 1, want - 1)})
    assert g.wait(30) == 1 and f"need {want} descriptors" in g.log, g.log
    gateway({"max_clients": 300, "shards": usable}, limits={resource.RLIMIT_NOFILE: (want, want)})


@one_shard
def test_check_says_no_where_there_are_too_few_descriptors(cli):
    done = cli("check", "--json", "--clients", 3000000)
    assert done.returncode == NO and not json.loads(done.stdout)["fit"]
