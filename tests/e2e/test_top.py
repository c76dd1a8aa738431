# SPDX-License-Identifier: Apache-2.0
"""`ringcast top`: in a pseudo-terminal beside a gateway that is under load, killed, restarted; as lines for scripts; and what it costs."""
import contextlib
import fcntl
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

import rcgateway
import rcload
from deadline import SLOW, Deadline, background, eventually
from rcterm import Terminal
from rcws import JsonClient

pytestmark = pytest.mark.deadline(120)

BATCH_KEYS = {"time", "gateway.pid", "gateway.version", "gateway.shards", "gateway.alive", "gateway.uptime_s", "gateway.file",
              "gateway.heartbeat_age_ms", "interval_s", "clients", "clients.sse", "clients.behind", "users", "memory.log_bytes",
              "memory.arena_used_bytes", "memory.arena_size_bytes", "memory.history_bytes", "minute_s", "rate.events", "rate.sys_events",
              "verdict.kinds", "verdict.load", "verdict.memory", "rate.events_published", "rate.deliveries", "rate.send_bytes",
              "rate.messages_in", "rate.clients_opened", "rate.clients_closed", "histogram.publish_to_flush_ns.p99",
              "histogram.client_rtt_ns.count", "histogram.turn_ns.max", "shard.0.load", "shard.0.clients", "shard.0.deliveries",
              "shard.0.events", "shard.0.behind", "shard.0.log_bytes"}


def environment(folder, **more):
    env = {**rcgateway.environment(folder), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **more}
    env.pop("NO_COLOR", None) if "NO_COLOR" not in more else None
    return env


@pytest.fixture
def top(folder):
    """top(gateway, "--interval=0.2", width=100) is one that shows pictures; what is left of them ends after the test."""
    with contextlib.ExitStack() as stack:
        def start(g, *args, env=(), **options):
            choice = [f"--pid={g.pid}"] if g else []
            return stack.enter_context(Terminal([*rcgateway.WRAP, rcgateway.BINARY, "top", *choice, *args],
                                                env=environment(folder, **dict(env)), **options))
        yield start


def batch(folder, *args, status=0):
    """The blocks that it printed, each as {key: value}."""
    done = rcgateway.run(["top", "--batch", *args], folder)
    assert done.returncode == status, done.stderr
    assert "\x1b" not in done.stdout
    blocks = []
    for block in done.stdout.split("\n\n")[:-1]:
        pairs = [line.split(" ", 1) for line in block.splitlines()]
        assert len(dict(pairs)) == len(pairs), "a key stands there twice"
        blocks.append(dict(pairs))
    return blocks


def figure(screen, pattern):
    """The number in the group, as top writes it; None when it is not there."""
    found = re.search(pattern, screen.text)
    return float(found[1].replace(",", "")) if found and found[1] != "-" else None


# ---- figures

def test_its_figures_are_those_of_what_is_done(gateway, connect, sse, publisher, top):
    g = gateway()
    t = top(g, "--interval=0.5", width=110, height=40)
    readers = [connect(g, "/ws?channel=a") for _ in range(5)]
    streams = [sse(g, "/events?channel=a") for _ in range(2)]
    g.until_counter("subscriptions", 7)
    t.until("7 connected  5 ws  2 sse  0 users", "the clients")
    assert f"pid {g.pid}" in t.screen.text and f"{g.folder}/{g.pid}.counters" in t.screen.text and "alive, heartbeat" in t.screen.text
    p, done, sent = publisher(g), [], []

    def publish():
        begin = time.monotonic()
        while not done:
            p.publish("a", '"x"')
            sent.append(time.monotonic() - begin)
            time.sleep(0.01)

    with background(publish):
        try:
            for _ in range(3):
                rate = t.until(lambda s: (figure(s, r"deliveries ([\d,.]+)/s") or 0) > 7 and figure(s, r"deliveries ([\d,.]+)/s"), "deliveries")
                events = figure(t.screen, r"events ([\d,.]+)/s")
                # Both are of one interval; what is under way at its ends makes them differ.
                assert 0.5 < rate / (7 * events) < 2, (rate, events)
                truth = len(sent) / sent[-1]
                assert truth / 5 < events < truth * 5, (truth, events)
            # Latencies of the interval and of what has passed of the minute, and the course of both.
            line = t.until(lambda s: re.search(r"publish to socket, 0\.5 s +(\S+ [nuµm]?s) +(\S+ [um]?s) +(\S+ [um]?s) +(\S+ [um]?s) +(\d+)", s.text), "latency")
            assert int(line[5]) > 0
            t.until(lambda s: re.search(r"publish p99, \d+ s +[▁-█]{2,} +max \d", s.text), "the course")
            t.until(lambda s: re.search(r"turn of a shard, 0\.5 s +\d", s.text), "turns")
            # Each shard has its row, and together they deliver what is delivered.
            assert len(re.findall(r"^ +\d+ +(?:-|[\d.]+ %) +\d", t.screen.text, re.M)) == g.stat()["shards"]
        finally:
            done.append(True)
    for r in readers[:3]:
        r.close()
    t.until("4 connected  2 ws  2 sse", "three are gone")
    t.until(lambda s: re.search(r"^  close_(?:client|going_away|io_error) +[\d.]+/s +3 +3  ", s.text, re.M), "why")


def test_under_load_it_agrees_with_the_generator(gateway, load, top):
    g = gateway()
    t = top(g, "--interval=0.5", width=110, height=40)
    running = load.start("channels", "--clients", 40, "--channels", 4, "--rate", 200, "--seconds", 5, *rcload.gateway_urls(g))
    t.until("40 connected", "the generator's clients", 60)
    rates = []
    while len(rates) < 5:
        was = t.screen.text
        rates.append(t.until(lambda s: s.text != was and figure(s, r"deliveries ([\d,.]+)/s") or 0, "deliveries", 60))
    done = running.wait(60)
    assert done.status in (0, 3), done
    # The generator spreads by Zipf's law: between one and forty get an event. Its own count is the truth.
    truth = done.window["deliveries"] / 5
    assert truth / 4 < max(rates) < truth * 4, (truth, rates)
    t.until("0 connected", "they have gone")


def test_trouble_is_named_with_its_help(gateway, connect, top):
    g = gateway({"max_channels_per_client": "2"})
    t = top(g, "--interval=0.2", width=120, height=40)
    t.until("none since the gateway began", "no trouble")
    c = connect(g)
    for name in "abcd":
        c.say(type="subscribe", channel=name)
    g.until_counter("subscribe_refused_limit", 2)
    t.until(lambda s: re.search(r"subscribe_refused_limit +\S+/s +2 +2  Subscribes refused: the client has too many\.", s.text), "the refusals")
    # It stays for a minute, though nothing more happens.
    t.until(lambda s: re.search(r"subscribe_refused_limit +0/s +2 +2  ", s.text), "the rate is over")
    # Who begins to look now is told of it, and of no minute that he has not seen.
    late = top(g, "--interval=0.2", width=120, height=40)
    late.until(lambda s: re.search(r"^Trouble +none in the last \d+ s +last \d+ s +in all$", s.text, re.M), "what it knows")
    late.until(lambda s: re.search(r"subscribe_refused_limit +0/s +0 +2  ", s.text), "what was before")
    block, = batch(g.folder, f"--pid={g.pid}", "-n1", "-i0.1")
    assert [block[f"trouble.subscribe_refused_limit.{k}"] for k in ("total", "minute", "rate")] == ["2", "0", "0.0"]
    assert block["verdict.kinds"] == "0" and 0 < float(block["minute_s"]) < 5 * SLOW


def test_what_watching_makes_is_no_event(gateway, top):
    """A dashboard is told of the gateway once a second, through a channel; nobody has published that."""
    g = gateway({"rtt_poor": "60s"})
    with JsonClient.greeted(g.http, "/ws?scope=read") as ws:
        ws.subscribe("$sys:metrics")
        t = top(g, "--interval=0.2", width=100, height=24)
        t.until("events 0/s", "idle")
        told, busy = g.counter("sys_events"), set()
        while g.counter("sys_events") < told + 4:
            t.drain(0.05)
            if figure(t.screen, r"events ([\d,.]+)/s"):
                busy.add(t.screen.text)
        # A look between an event and its being counted as the gateway's own sees one of them.
        assert len(busy) <= 1, busy
        block, = batch(g.folder, f"--pid={g.pid}", "-n1", "-i3")
        assert float(block["rate.events"]) == 0 < float(block["rate.events_published"])


def test_a_small_terminal_shows_the_trouble_first_and_scrolls_to_the_rest(gateway, connect, top):
    g = gateway({"max_channels_per_client": "1", "memory": "128MiB"})
    c = connect(g)
    t = top(g, "--interval=0.2", width=40, height=10)
    t.until("Trouble   none since the gateway began", "no trouble")
    t.until("q quit  v more", "how to go on")
    c.say(type="subscribe", channel="a")
    c.say(type="subscribe", channel="b")
    t.until(lambda s: re.search(r"^Trouble   1 kind in the last [\d.]+ s", s.text, re.M), "that there is trouble")
    wanted = {r"^Memory    arena [\d.]+( [KM]iB)? of 128 MiB", r"^Latency", r"^  subscribe_refused_limit ", r"^Closes    none yet", r"shard\*"}
    while wanted:
        here = t.screen.text
        wanted = {w for w in wanted if not re.search(w, here, re.M)}
        t.type("\x1b[B")
        t.until(lambda s: s.text != here, f"down, to {wanted}")
    t.type("\x1b[1~")
    t.until(lambda s: s.rows[3].startswith("Trouble   1 kind"), "Home")
    t.type("?\x1b[4~")
    t.until("GET /api/channels?sort=rate", "the end of the help")


# ---- keys and sizes

def test_keys_change_what_is_shown(gateway, connect, top):
    g = gateway()
    t = top(g, "--interval=0.2", width=100, height=24)
    t.until("[1 overview]", "the overview")
    t.type("2")
    t.until(lambda s: "[2 shards]" in s.text and "shard*" in s.text, "the shards")
    t.type("s")
    t.until("load*", "sorted by load")
    t.type("\t")
    t.until("[3 counters]", "the counters")
    names = [m["name"] for m in counters_of(g)]
    t.until(f"1 to 19 of {len(names)}", "the first page")
    t.type("\x1b[6~")
    t.until(f"20 to 38 of {len(names)}", "PgDn")
    t.type("\x1b[B")
    t.until("21 to 39 of", "down")
    t.type("\x1b[4~")
    t.until(f"{len(names) - 18} to {len(names)} of", "End")
    t.type("/GAPS")
    t.until(lambda s: "/GAPS_  1 to 1 of 1" in s.text and "gaps_sent" in s.text, "filtered")
    t.type("q\r")
    t.until("no counter has that in its name", "q is a letter there")
    t.type("\x7f\x7f\x1b")
    t.until(f"of {len(names)}", "Esc takes the filter away")
    t.type("?")
    t.until("share of its time", "the help")
    t.type("1")
    t.until(lambda s: "[1 overview]" in s.text and "Latency" in s.text, "back")
    t.type("p")
    t.until("Paused", "paused")
    connect(g)
    g.until_counter("clients", 1)
    # Several intervals long the picture stays as it is: keys are answered, figures do not move.
    beats = g.heartbeat()
    eventually(lambda: g.heartbeat() != beats, "a second")
    t.type("2")
    t.until("[2 shards]", "another view")
    t.type("1")
    t.until("[1 overview]", "and back")
    assert "0 connected" in t.screen.text and "Paused" in t.screen.text
    t.type("p")
    t.until("1 connected", "it goes on")
    t.type("q")
    assert t.wait() == 0
    t.assert_restored()


def counters_of(g):
    """Names of all entries, histograms too."""
    stat = g.stat()
    return [{"name": name} for name in (*stat["counters"], *stat["histograms"])]


def test_every_size_is_taken_at_once(gateway, top):
    g = gateway()
    t = top(g, "--interval=60", width=80, height=24)
    t.until("q quit", "the first picture")
    for width, height in ((120, 40), (60, 12), (20, 5), (200, 60), (33, 24), (1, 1), (80, 24)):
        t.resize(width, height)
        # The terminal of the test fails on whatever is written outside.
        t.until(lambda s: s.rows[0].startswith("ringcast"[:width]) and s.rows[-1] != "", f"{width}x{height}")
    t.type("q")
    assert t.wait() == 0
    t.assert_restored()


# ---- ways out

@pytest.mark.one_shard
@pytest.mark.parametrize("way", ["q", "\x03", "\x04", "\x1c", signal.SIGTERM, signal.SIGINT, signal.SIGHUP],
                         ids=["q", "ctrl-c", "ctrl-d", "ctrl-backslash", "SIGTERM", "SIGINT", "SIGHUP"])
def test_the_terminal_is_given_back(gateway, top, way):
    g = gateway()
    t = top(g)
    t.until("q quit", "a picture")
    assert t.screen.alternate and not t.screen.cursor_shown and t.modes() != t.before
    if isinstance(way, str):
        t.type(way)
    else:
        t.process.send_signal(way)
    assert t.wait() == 0
    t.assert_restored()


@pytest.mark.one_shard
@pytest.mark.parametrize("fault", [signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS])
def test_a_crash_gives_it_back_too(gateway, top, fault):
    g = gateway()
    t = top(g, env={"ASAN_OPTIONS": "handle_abort=0:handle_segv=0:handle_sigbus=0"})
    t.until("q quit", "a picture")
    t.process.send_signal(fault)
    assert t.wait() == -fault
    t.assert_restored()


@pytest.mark.one_shard
def test_it_ends_with_its_terminal(gateway, top):
    g = gateway()
    t = top(g)
    t.until("q quit", "a picture")
    os.close(t.slave)
    os.close(t.master)
    assert t.process.wait(20 * SLOW) in (0, -signal.SIGHUP)


@pytest.mark.one_shard
def test_a_terminal_that_stands_still_does_not_hold_it(gateway, top):
    """Nobody takes what it writes, and a signal ends it all the same; whoever looks again has the screen of before."""
    g = gateway()
    t = top(g, "--interval=0.1", width=400, height=200)
    t.until("q quit", "a picture")

    # Each key makes it write, until the terminal is full.
    for key in "321" * 20:
        t.type(key)
        t.type("?")
    # Full, not only written to: the last byte that fits is there.
    eventually(lambda: not select.select([], [t.slave], [], 0)[1], "there is no room")
    t.process.send_signal(signal.SIGTERM)
    assert t.process.wait(20 * SLOW) == 0
    assert t.modes() == t.before
    # What it had not taken is gone, in the middle of a sequence as it may be; the way back is whole.
    rest = b""
    while select.select([t.master], [], [], 0.2)[0]:
        rest += os.read(t.master, 65536)
    assert rest.endswith(b"\x1b[0m\x1b[?25h\x1b[?1049l"), rest[-100:]


@pytest.mark.one_shard
def test_stopping_and_going_on_in_a_shell(gateway, folder):
    """Ctrl-Z, fg, SIGSTOP, fg, bg and kill: the shell has its terminal in between, and it is as it was."""
    bash = shutil.which("bash")
    if not bash:
        pytest.skip("bash is not installed")
    g = gateway()
    with Terminal([bash, "--norc", "--noprofile", "--noediting", "-i"], env=environment(folder, PS1="$ "), cwd=folder) as t:
        t.screen.shared = True

        def say(line):
            t.type(line + "\n")

        def wait_for(condition, what):
            """While what the shell says is taken."""
            return eventually(lambda: (t.drain(0.02), condition())[1], what)

        def modes(name):
            """As stty saw them from the shell's prompt."""
            path = os.path.join(folder, name)
            say(f"stty -a > {name}.new && mv {name}.new {name}")
            wait_for(lambda: os.path.exists(path), "stty")
            with open(path) as f:
                return f.read()

        def pids():
            with open(f"/proc/{t.process.pid}/task/{t.process.pid}/children") as f:
                return f.read().split()

        def stopped(pid):
            with open(f"/proc/{pid}/stat") as f:
                return f.read().rpartition(")")[2].split()[0] == "T"

        def switches(pid):
            with open(f"/proc/{pid}/status") as f:
                return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M)[1])

        def shown():
            t.until(lambda s: s.alternate and "q quit" in s.text, "a picture")

        before = modes("before")
        assert " icanon" in before and " echo " in before
        say(f"{' '.join(rcgateway.WRAP)} {rcgateway.BINARY} top --pid={g.pid} --interval=0.2")
        shown()
        pid, = wait_for(pids, "the process")
        for n, stop in enumerate((lambda: t.type("\x1a"), lambda: os.kill(int(pid), signal.SIGSTOP), lambda: os.kill(int(pid), signal.SIGTSTP))):
            stop()
            wait_for(lambda: stopped(pid), "stopped")
            if n != 1:
                t.until(lambda s: not s.alternate and s.cursor_shown, "the screen is the shell's")
            assert modes(f"stopped{n}") == before
            # The shell writes the line that it continues; the picture comes anew, whatever was there.
            entered = t.raw.count(b"\x1b[?1049h")
            say("fg")
            t.until(lambda s: t.raw.count(b"\x1b[?1049h") > entered, "the screen is taken again")
            shown()
            t.until("alive", "and goes on")
        assert not t.screen.cursor_shown
        # In the background it leaves the terminal alone, and a signal ends it there.
        t.type("\x1a")
        t.until(lambda s: not s.alternate, "the screen is given back once more")
        # Not before: what is typed until it has stopped is thrown away.
        wait_for(lambda: stopped(pid), "stopped once more")
        say("bg")
        wait_for(lambda: not stopped(pid), "in the background")
        assert modes("background") == before
        assert not t.screen.alternate
        # What is typed while the shell is busy is not for it either: who reads in the background is stopped.
        say("until [ -e go ]; do sleep 0.1; done")
        say("true typed ahead")
        turns = switches(pid)
        wait_for(lambda: stopped(pid) or switches(pid) > turns + 5, "five turns in the background")
        assert not stopped(pid)
        open(os.path.join(folder, "go"), "w").close()
        say("fg")
        shown()
        t.type("\x1a")
        wait_for(lambda: stopped(pid), "stopped for the last time")
        say("bg")
        wait_for(lambda: not stopped(pid), "in the background again")
        os.kill(int(pid), signal.SIGTERM)
        wait_for(lambda: not pids(), "it has ended")
        assert modes("after") == before
        assert not t.screen.alternate and t.screen.cursor_shown
        say("exit")
        t.wait()


# ---- gateways that end and come

def test_a_gateway_that_is_killed_leaves_its_picture_until_the_next(gateway, connect, top, folder):
    g = gateway()
    connect(g), connect(g)
    t = top(g, "--interval=0.2", width=120, height=30)
    t.until("2 connected", "the clients")
    g.kill()
    t.until(lambda s: "ENDED" in s.text and "Waiting for one in its place" in s.text, "the end")
    assert "2 connected" in t.screen.text and f"pid {g.pid}" in t.screen.text
    g.judged = True
    other = gateway()
    t.until(lambda s: f"pid {other.pid}" in s.text and "alive" in s.text, "the successor")
    t.until("0 connected", "its figures")
    connect(other)
    t.until("1 connected", "it goes on")
    # Nothing is subtracted from what the other had counted.
    t.type("3")
    t.until("[3 counters]", "counters")
    assert not re.search(r" -\d", t.screen.text), t.screen.text
    t.type("q")
    assert t.wait() == 0
    t.assert_restored()


@pytest.mark.one_shard
def test_a_restart_at_the_same_path_is_followed(gateway, top, folder):
    path = os.path.join(folder, "here.counters")
    g = gateway({"counters": path})
    t = top(None, f"--file={path}", "--interval=0.2", "--count=1000", width=100)
    t.until(f"pid {g.pid}", "the first")
    g.stop()
    t.until("ENDED", "its end")
    other = gateway({"counters": path})
    t.until(lambda s: f"pid {other.pid}" in s.text and "alive" in s.text, "the second")


@pytest.mark.one_shard
def test_of_two_gateways_one_is_chosen(gateway, top, folder):
    one, two = gateway(), gateway()
    done = rcgateway.run(["top", "-b", "-n", 1], folder)
    assert done.returncode == 2 and "ringcast top: several gateways run here; choose one:" in done.stderr
    for g in (one, two):
        assert f"  --pid={g.pid}  {folder}/{g.pid}.counters" in done.stderr
        for choice in (f"--pid={g.pid}", f"--file={folder}/{g.pid}.counters"):
            block, = batch(folder, "-n1", "-i0.1", choice)
            assert block["gateway.pid"] == str(g.pid)
    # Who ran beside it is not taken for its successor.
    t = top(one, "--interval=0.1")
    t.until(f"pid {one.pid}", "the one")
    one.stop()
    t.until("ENDED", "its end")
    last = two.heartbeat()
    eventually(lambda: (t.drain(0.02), two.heartbeat() > last + 1000)[1], "some looks later")
    assert f"pid {one.pid}" in t.screen.text


@pytest.mark.one_shard
def test_words_and_status_are_those_of_stat(folder):
    for args, status in ((["--pid=2147483647"], 3), (["--file=/nonexistent/x.counters"], 3), ([f"--file={__file__}"], 1), (["--pid=x"], 2),
                         (["--pid=1", "--file=x"], 2), (["stray"], 2)):
        said = [rcgateway.run([command, *args], folder) for command in ("top", "stat")]
        assert [s.returncode for s in said] == [status, status]
        assert said[0].stderr.replace(" top", " stat") == said[1].stderr and said[0].stderr


# ---- for scripts

def test_blocks_for_scripts(gateway, connect, folder):
    g = gateway()
    clients = [connect(g, "/ws?channel=a") for _ in range(3)]
    first, second = batch(folder, f"--pid={g.pid}", "-n", 2, "-i", 0.2)
    for block in (first, second):
        assert BATCH_KEYS <= set(block), BATCH_KEYS - set(block)
        assert block["gateway.alive"] == "1" and block["clients"] == "3" and block["gateway.shards"] == str(g.stat()["shards"])
        assert block["gateway.file"] == f"{folder}/{g.pid}.counters"
        assert 0 < float(block["interval_s"]) < 5 * SLOW
        for key, value in block.items():
            assert key.startswith(("time", "gateway.")) or value == "-" or float(value) >= 0, (key, value)
    for c in clients:
        c.close()
    g.until_counter("clients", 0)
    block, = batch(folder, f"--pid={g.pid}", "-n1", "-i0.1")
    assert sum(int(v) for k, v in block.items() if re.fullmatch(r"close\.\w+\.total", k)) == 3


def test_blocks_go_on_when_the_gateway_ends(gateway, folder):
    g = gateway()
    env = rcgateway.environment(folder)
    with subprocess.Popen([*rcgateway.WRAP, rcgateway.BINARY, "top", f"--pid={g.pid}", "-i0.1", "-n300"], env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as p:
        lines = iter(p.stdout.readline, "")
        next(line for line in lines if line == "gateway.alive 1\n")
        g.stop()
        next(line for line in lines if line == "gateway.alive 0\n")
        other = gateway()
        next(line for line in lines if line == f"gateway.pid {other.pid}\n")
        next(line for line in lines if line == "gateway.alive 1\n")
        # Who was stopped for many intervals does not make up for them: those blocks would have no length.
        p.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        eventually(lambda: time.monotonic() - begin > 1, "ten intervals")
        p.send_signal(signal.SIGCONT)
        lengths = (float(line.split()[1]) for line in lines if line.startswith("interval_s "))
        assert next(length for length in lengths if length > 0.9)
        assert max(next(lengths) for _ in range(3)) > 0.05
        # Nobody reads any more: that is no failure.
        p.stdout.close()
        assert p.wait(30 * SLOW) == 0
        assert p.stderr.read() == ""
    other.stop()
    other.judged = True
    assert batch(folder, "-n1", "-i0.1", f"--file={folder}/{other.pid}.counters", status=3) == []


@pytest.mark.one_shard
def test_a_dumb_terminal_gets_plain_lines(gateway, top):
    g = gateway()
    for term in ("dumb", ""):
        t = top(g, "--interval=0.1", env={"TERM": term})
        deadline = Deadline()
        while t.raw.count(b"\r\n\r\n") < 2:
            deadline.left()
            t.drain(0.1)
        assert b"\x1b" not in t.raw and b"clients 0\r\n" in t.raw
        assert t.modes() == t.before
        t.type("\x03")
        assert t.wait() == -signal.SIGINT


@pytest.mark.one_shard
def test_colours_and_glyphs_follow_the_environment(gateway, connect, top):
    g = gateway()
    connect(g)
    colours = {"0;32", "0;33", "0;1;31", "0;36"}

    def seen(**env):
        t = top(g, "--interval=0.1", "--count=15", width=100, height=40, env=env)
        t.until(lambda s: re.search(r"deliveries, \d+ s +\S", s.text), "the course")
        t.wait()
        t.assert_restored()
        codes = {m.decode() for m in re.findall(rb"\x1b\[([\d;]+)m", t.raw)}
        return codes & colours, not t.raw.isascii()

    assert seen() == ({"0;32", "0;36"}, True)
    assert seen(NO_COLOR="1") == (set(), True)
    assert seen(NO_COLOR="") == ({"0;32", "0;36"}, True)
    assert seen(LC_ALL="C") == ({"0;32", "0;36"}, False)
    # The name counts, the first that says something; no host has these locales.
    assert seen(LC_ALL="", LC_CTYPE="", LANG="xx_XX.UTF-8")[1]
    assert seen(LC_ALL="", LC_CTYPE="xx_XX.utf8", LANG="C")[1]
    assert not seen(LC_ALL="", LC_CTYPE="C", LANG="xx_XX.UTF-8")[1]
    assert not seen(LC_ALL="", LC_CTYPE="", LANG="")[1]


# ---- bad files

@contextlib.contextmanager
def held_copy(g, folder, data=None):
    """A file that looks as if a gateway lived that writes it."""
    path = os.path.join(folder, "copy")
    with open(os.path.join(folder, f"{g.pid}.counters"), "rb") as f:
        data = f.read() if data is None else data
    with open(path, "wb") as f:
        f.write(data)
        f.flush()
        fcntl.flock(f, fcntl.LOCK_EX)
        yield path
    os.unlink(path)


@pytest.mark.one_shard
def test_a_file_that_is_cut_short_is_said(gateway, top, folder):
    g = gateway()
    with held_copy(g, folder) as path:
        t = top(None, f"--file={path}", "--interval=0.1", width=100)
        t.until("alive", "a gateway, as it seems")
        os.truncate(path, 500)
        t.until("The counters file was cut short", "what has happened")
        assert f"pid {g.pid}" in t.screen.text
        t.type("3")
        t.until("[3 counters]", "it is all there")
        t.type("q")
        assert t.wait() == 0
        t.assert_restored()


@pytest.mark.one_shard
def test_hostile_files_never_crash_it(gateway, folder):
    """Seeded: bytes of the header, of the list and of the values changed, and cut anywhere."""
    g = gateway()
    with open(os.path.join(folder, f"{g.pid}.counters"), "rb") as f:
        good = f.read()
    shown = 0
    for seed in range(60):
        r = random.Random(seed)
        data = bytearray(good)
        where = (256, 256 + 256 * 270, len(good))[seed % 3]
        for _ in range(r.choice((1, 3, 300))):
            data[r.randrange(8, where)] = r.choice((0, 1, 255, r.randrange(256)))
        if seed % 10 == 9:
            del data[r.randrange(len(data)):]
        with held_copy(g, folder, bytes(data)) as path:
            done = rcgateway.run(["top", "-b", "-n1", "-i0.1", f"--file={path}"], folder)
        assert done.returncode in (0, 1), (seed, done.returncode, done.stderr)
        assert done.stdout.replace("\n", "").isprintable() and done.stdout.isascii(), seed
        shown += done.returncode == 0
    assert shown > 10, "hardly any was taken for a counters file"


# ---- what it costs

@pytest.mark.one_shard
@pytest.mark.deadline(180)
def test_the_gateway_does_not_notice_and_it_costs_little(gateway, top):
    g = gateway({"heartbeat": "60s"})

    def seconds(count):
        """Turns of the loop in so many of its heartbeats."""
        def beat():
            last = g.heartbeat()
            eventually(lambda: g.heartbeat() != last, "the heartbeat", every=0.005)
        beat()
        turns = g.counter("turns")
        for _ in range(count):
            beat()
        return g.counter("turns") - turns

    def spent():
        with open(f"/proc/{t.process.pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    alone = seconds(4)
    t = top(g, "--interval=0.1", width=120, height=50)
    t.until("deliveries, ", "the picture")
    done = []
    with background(lambda: t.until(lambda screen: done, "the end", 100)):
        try:
            begin, cpu = time.monotonic(), spent()
            beside = seconds(4)
            share = (spent() - cpu) / (time.monotonic() - begin)
        finally:
            done.append(True)
    print(json.dumps({"turns alone": alone, "beside": beside, "share of a CPU at ten pictures a second": round(share, 4)}))
    # Its own housekeeping wakes an idle gateway a few times a second; forty looks in the same time change nothing about that.
    assert beside <= alone + 8, (alone, beside)
    # By default it is one picture a second. AddressSanitizer makes them several times as dear.
    assert share < (0.05 if rcgateway.SANITIZER_COST == (1, 0) else 0.2), share


@pytest.mark.one_shard
def test_it_asks_nobody(gateway, folder):
    """Every call of the system that it makes: no socket, no signal to another, no file opened for writing."""
    strace = shutil.which("strace")
    if not strace:
        pytest.skip("strace is not installed")
    g = gateway()
    log = os.path.join(folder, "calls")
    done = subprocess.run([strace, "-f", "-o", log, "-e", "trace=%network,kill,tgkill,ptrace,open,openat,ftruncate,unlink,unlinkat,write,pwrite64",
                           *rcgateway.WRAP, rcgateway.BINARY, "top", "-b", "-n3", "-i0.1", f"--pid={g.pid}"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**environment(folder), "ASAN_OPTIONS": "detect_leaks=0"})
    if b"ptrace" in done.stderr:
        pytest.skip("strace is not allowed here")
    assert done.returncode == 0, done.stderr
    with open(log) as f:
        calls = [line.split(" ", 1)[1].strip() for line in f]
    assert any("counters" in c for c in calls)
    for call in calls:
        assert call.startswith(("open", "write(1", "write(2", "+++")), call
        assert "O_WRONLY" not in call and "O_RDWR" not in call, call
