# SPDX-License-Identifier: Apache-2.0
"""bench/compare: what it writes, what it says of figures that are none, and that it leaves nothing behind.

Most of it runs with a generator of our own in the place of ringcast-load, which answers what the test wants to see; one run is real.
"""
import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

import rccompile
import rcgateway
from deadline import SLOW, eventually

ROOT = rcgateway.ROOT
COMPARE = os.path.join(ROOT, "bench", "compare")
sys.path.insert(0, COMPARE)

import cases  # noqa: E402
import install  # noqa: E402
import measure  # noqa: E402
import readme  # noqa: E402
import servers  # noqa: E402

pytestmark = [pytest.mark.one_shard, pytest.mark.deadline(120)]
RELEASE = os.path.join(ROOT, "build", "release")
# What the generator would write, and what stands in it.
GOOD = {"verdict": "ok", "notes": [], "window": {"seconds": 2.0, "deliveries_per_second": 1000000.0, "published_per_second": 1000.0},
        "server": {"cpu_ns_per_delivery": 900.0, "waited_seconds": 0.01, "rss_per_client": 200},
        "generator": {"waited_seconds": 0.02}, "latency": {"p50": 1000000, "p99": 2000000, "p999": 3000000}}
FAKE = """#!/usr/bin/python3
import json, os, sys, time
folder, args = os.path.dirname(os.path.abspath(__file__)), sys.argv[1:]
with open(folder + "/calls", "a") as f:
    print(json.dumps(args), file=f)
target = args[args.index("--target") + 1]
with open(folder + "/answers") as f:
    answers = json.load(f).get(target, [])
with open(folder + "/calls") as f:
    calls = sum(json.loads(line)[json.loads(line).index("--target") + 1] == target for line in f)
answer = answers[min(calls, len(answers)) - 1]
if answer["status"] is None:
    time.sleep(60)
with open(args[args.index("--json") + 1], "w") as f:
    if answer["result"] is not None:
        json.dump(answer["result"], f)
print(answer["said"], file=sys.stderr)
sys.exit(answer["status"])
"""


def changed(**parts):
    result = copy.deepcopy(GOOD)
    for part, values in parts.items():
        if isinstance(values, dict):
            result[part].update(values)
        else:
            result[part] = values
    return result


def answer(result=None, status=0, said=""):
    return {"status": status, "result": GOOD if result is None and status == 0 else result, "said": said}


@pytest.fixture(scope="module")
def floor():
    rccompile.make("build/release/bench/floor")
    return os.path.join(RELEASE, "bench", "floor")


@pytest.fixture
def fake(folder, floor):
    """A build with the gateway and the floor, and a generator that says what fake(ringcast=[…], floor=[…]) said."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("server and generator need a CPU each")
    build = os.path.join(folder, "build")
    os.makedirs(os.path.join(build, "bench"))
    os.symlink(rcgateway.BINARY, os.path.join(build, "ringcast"))
    os.symlink(floor, os.path.join(build, "bench", "floor"))
    with open(os.path.join(build, "ringcast-load"), "w") as f:
        f.write(FAKE)
    os.chmod(os.path.join(build, "ringcast-load"), 0o755)

    def answers(**by_target):
        with open(os.path.join(build, "answers"), "w") as f:
            json.dump(by_target, f)
        return build

    answers.calls = lambda: [json.loads(line) for line in open(os.path.join(build, "calls"))]
    return answers


def command(*args):
    return [os.path.join(COMPARE, "compare"), *map(str, args)]


def run(folder, *args, status=0, seconds=100):
    done = subprocess.run(command(*args), capture_output=True, text=True, timeout=seconds * SLOW, stdin=subprocess.DEVNULL,
                          cwd=folder, env={**os.environ, "TMPDIR": folder})
    assert done.returncode == status, f"{args}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done


def result_of(folder, build, *args, status=0):
    path = os.path.join(folder, "result.json")
    done = run(folder, "--build", build, "--no-install", "--only", "ringcast,floor-coalesce", "--cases", "fanout-64-128", "--clients", 10,
               "--idle", 10, "--json", path, *args, status=status)
    with open(path) as f:
        return json.load(f), done


def rows(result, case="fanout-64-128"):
    return {r["server"]: r for c in result["cases"] if c["name"] == case for r in c["rows"]}


# ---- what it is asked

@pytest.mark.parametrize("args, word", [
    (("--only", "natz"), "nats-server"),
    (("--cases", "fan-out"), "fanout-64-128"),
    (("--rounds", "0"), "1 to 100"),
    (("--tls", "--http"), "a run each"),
    (("--server-cpu", "0", "--client-cpu", "0"), "--client-cpu"),
    (("--build", "/nonexistent"), "make compare"),
    (("--json", "/nonexistent/folder/x.json", "--build", RELEASE), "folder"),
    (("--update-readme", "/nonexistent/x.json"), "--json"),
])
def test_what_cannot_be_done_is_a_sentence_and_status_2(folder, args, word):
    done = run(folder, *args, status=2)
    assert word in done.stderr or "make compare" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_list_names_all_servers_and_cases(folder):
    said = run(folder, "--list").stdout
    assert all(name in said for name in ("ringcast", "nats-server", "socket.io", "floor-each", "floor-tls", "memory-tls", "startup"))


# ---- what comes out

def test_rounds_become_medians_spread_and_ratios(fake, folder):
    fast = [answer(changed(window={"deliveries_per_second": n})) for n in (3e6, 1e6, 2e6)]
    slow = [answer(changed(window={"deliveries_per_second": n})) for n in (1e6, 4e6, 1.5e6)]
    result, done = result_of(folder, fake(ringcast=fast, floor=slow), "--rounds", 3)
    ours, floor_row = rows(result)["ringcast"], rows(result)["floor-coalesce"]
    assert ours["values"]["deliveries_per_second"] == [3e6, 1e6, 2e6]
    assert [ours[k]["deliveries_per_second"] for k in ("median", "min", "max")] == [2e6, 1e6, 3e6]
    assert floor_row["ratio_to_ringcast"]["deliveries_per_second"] == 0.75
    assert (ours["kind"], floor_row["kind"]) == ("gateway", "floor")
    assert result["rounds"] == 3 and result["quick"] is False
    target = next(t for t in result["targets"] if "floor" in t["text"])
    assert target["met"] is True and abs(target["value"] - 2 / 1.5) < 1e-9
    assert "NOT met" not in done.stdout and re.search(r"met .*at least 85 %", done.stdout)


def test_servers_take_turns_and_each_round_begins_with_another(fake, folder):
    result_of(folder, fake(ringcast=[answer()], floor=[answer()]), "--rounds", 2)
    order = [call[call.index("--target") + 1] for call in fake.calls()]
    assert sorted(order[:2]) == sorted(order[2:]) == ["floor", "ringcast"]
    assert order[0] != order[2]


def test_generator_is_told_where_the_server_is(fake, folder):
    result_of(folder, fake(ringcast=[answer()], floor=[answer()]), "--rounds", 1, "--seconds", 1.5)
    call = fake.calls()[0]
    flags = dict(zip(call[1::2], call[2::2]))
    assert call[0] == "fanout" and flags["--clients"] == "10" and flags["--seconds"] == "1.5"
    assert flags["--url"].startswith("ws://127.0.0.1:") and flags["--publish-url"].startswith("ingest://127.0.0.1:")


def test_a_server_that_leaves_out_events_has_no_figure_even_if_it_says_so(fake, folder):
    lossy = answer(changed(told=17, notes=["The server left out 17 events and said so."]))
    behind = answer(changed(told=0, notes=["The server did not keep up."]))
    result, _ = result_of(folder, fake(ringcast=[lossy], floor=[behind]), "--rounds", 1)
    ringcast, floor = (rows(result)[name] for name in ("ringcast", "floor-coalesce"))
    assert ringcast["median"] == {} and "left out 17 events" in ringcast["notes"][0]
    assert floor["median"] and floor["notes"] == ["round 1: The server did not keep up."]
    assert "fanout-64-128, floor-coalesce, round 1: The server did not keep up." in readme.text(result)


def test_a_limited_or_faulty_run_has_a_reason_and_no_figure(fake, folder):
    limited = answer(changed(verdict="limited", notes=["the generator used all of its CPU"]), 3)
    faulty = answer(changed(verdict="faulty", notes=["3 events were lost"]), 1)
    result, done = result_of(folder, fake(ringcast=[limited], floor=[faulty]), "--rounds", 1, "--strict")
    for name, reason in (("ringcast", "limited: the generator used all of its CPU"), ("floor-coalesce", "faulty: 3 events were lost")):
        assert rows(result)[name]["median"] == {} and rows(result)[name]["notes"] == ["round 1: " + reason]
        assert reason in done.stdout
    assert all(t["met"] is None and t["value"] is None for t in result["targets"])


def test_a_generator_that_gives_up_is_quoted(fake, folder):
    result, _ = result_of(folder, fake(ringcast=[answer(status=2, said="can't reach the server; start it")], floor=[answer()]), "--rounds", 1)
    assert rows(result)["ringcast"]["notes"] == ["round 1: unusable: can't reach the server; start it"]
    assert rows(result)["floor-coalesce"]["median"]["p99"] == 2000000


def test_a_disturbed_run_is_tried_again_and_marked_when_it_stays_so(fake, folder):
    bad, worse = (answer(changed(generator={"waited_seconds": s})) for s in (0.5, 1.0))
    result, done = result_of(folder, fake(ringcast=[worse, answer()], floor=[worse, bad]), "--rounds", 1)
    assert rows(result)["ringcast"]["notes"] == []
    assert rows(result)["floor-coalesce"]["notes"] == ["round 1: disturbed, the generator waited 25% of the time for its CPU"]
    assert len(fake.calls()) == 4
    assert "*" in done.stdout


def test_a_missed_target_is_said_and_shown_by_the_status_when_asked(fake, folder):
    build = fake(ringcast=[answer()], floor=[answer(changed(window={"deliveries_per_second": 2e6}))])
    result, done = result_of(folder, build, "--rounds", 1, "--strict", status=1)
    assert [t["met"] for t in result["targets"] if "floor" in t["text"]] == [False]
    assert "NOT met" in done.stdout
    result_of(folder, build, "--rounds", 1)


def test_a_peer_that_is_not_to_be_had_is_skipped_with_the_reason(fake, folder):
    env_without = os.path.join(folder, "empty")
    os.makedirs(env_without)
    path = os.path.join(folder, "r.json")
    done = subprocess.run(
        ["/usr/bin/python3", *command("--build", fake(ringcast=[answer()]), "--only", "ringcast,ws", "--cases", "fanout-64-128", "--rounds", 1,
                                      "--clients", 10, "--idle", 10, "--json", path)],
        capture_output=True, text=True, cwd=folder, timeout=60 * SLOW, stdin=subprocess.DEVNULL, env={**os.environ, "PATH": env_without})
    assert done.returncode == 0, done.stderr
    with open(path) as f:
        row = rows(json.load(f))["ws"]
    assert row["skipped"] == "node is not installed" and "median" not in row
    assert "skipped: node is not installed" in done.stdout


# ---- over TLS

def tls_result(folder, build, only, case, *args):
    path = os.path.join(folder, "tls.json")
    done = run(folder, "--build", build, "--no-install", "--only", only, "--cases", case, "--clients", 10, "--idle", 10, "--rounds", 1,
               "--json", path, *args)
    with open(path) as f:
        return json.load(f), done


def test_a_kernel_without_tls_leaves_out_the_row_that_needs_it(fake, folder):
    result, _ = tls_result(folder, fake(floor=[answer()]), "ringcast-ktls,floor-tls", "tls-fanout-1-128")
    ktls = rows(result, "tls-fanout-1-128")["ringcast-ktls"]
    assert ("skipped" in ktls) != servers.kernel_makes_records()
    assert rows(result, "tls-fanout-1-128")["floor-tls"]["median"]["cpu_ns_per_delivery"] == 900


def test_when_the_reader_is_the_limit_over_tls_the_servers_cpu_is_the_figure(fake, folder):
    bound = changed(verdict="limited", notes=["its core is full."], latency=None)
    bound["limited"] = {"cpu_ns_per_delivery": 321.0, "cpu_ns_per_handshake": None}
    bound["server"]["cpu_ns_per_delivery"] = bound["window"]["deliveries_per_second"] = None
    build = fake(floor=[answer(bound, 3)])
    result, done = tls_result(folder, build, "floor-tls", "tls-fanout-64-128")
    row = rows(result, "tls-fanout-64-128")["floor-tls"]
    assert row["median"] == {"cpu_ns_per_delivery": 321.0}
    assert row["notes"] == [f"round 1: {measure.LIMITED}its core is full."]
    assert len(fake.calls()) == 1, "what is limited by its nature is not tried again"
    assert "the server's CPU alone holds" in done.stdout
    said = readme.text(result)
    assert "only the server's CPU time counts: floor-tls in tls-fanout-64-128." in said and "To be known" not in said


@pytest.mark.parametrize("waited, there", [(0.02, True), (1.0, False)], ids=["late", "disturbed"])
def test_a_limited_latency_over_tls_is_there_unless_others_had_the_cpu(fake, folder, waited, there):
    late = changed(verdict="limited", notes=["it was late."], latency=None, generator={"waited_seconds": waited})
    late["limited"] = {"latency": {"p50": 1, "p99": 2, "p999": 3}, "cpu_ns_per_delivery": 321.0}
    result, _ = tls_result(folder, fake(floor=[answer(late, 3)]), "floor-tls", "tls-latency")
    row = rows(result, "tls-latency")["floor-tls"]
    assert row["median"] == ({"p50": 1, "p99": 2, "p999": 3, "cpu_ns_per_delivery": 321.0} if there else {})
    assert (f"round 1: {measure.WITH_OURS}it was late." in row["notes"]) == there
    assert ("was late itself" in readme.text(result)) == there


def test_handshakes_are_asked_for_in_each_version_and_with_each_key(fake, folder):
    shaken = changed(latency={"p50": 1, "p99": 2, "p999": 3})
    shaken["window"]["handshakes_per_second"], shaken["server"]["cpu_ns_per_handshake"] = 5000.0, 200000.0
    result, done = tls_result(folder, fake(floor=[answer(shaken)]), "floor-tls", "handshakes-13-p256,handshakes-12-rsa-resumed")
    full, resumed = fake.calls()
    assert full[0] == resumed[0] == "handshakes" and "--resume" not in full and "--resume" in resumed
    assert full[full.index("--tls") + 1] == "1.3" and resumed[resumed.index("--tls") + 1] == "1.2"
    assert "--insecure" in full and any(a.startswith("wss://") for a in full)
    row = rows(result, "handshakes-12-rsa-resumed")["floor-tls"]
    assert row["median"]["cpu_ns_per_handshake"] == 200000 and row["median"]["handshakes_per_second"] == 5000
    assert "200.0" in done.stdout and "5,000" in done.stdout


@pytest.mark.parametrize("seconds, covers", [(9.0, True), (0.5, False), (None, False)])
def test_a_storm_has_to_last_as_long_as_what_it_disturbs(seconds, covers):
    storm = {"window": {"seconds": seconds, "handshakes": 900}, "notes": ["so it was"]} if seconds else None
    status, result, said = measure.add_storm(0, changed(), "", storm)
    assert (status == 0) == covers
    if covers:
        assert result["storm"]["handshakes_per_second"] == 100
    else:
        assert result is None and "did not begin in time" in said


def test_servers_that_speak_tls_are_measured_without_it_too(fake, folder):
    names = {case.name: case.servers for case in cases.all_cases(1000, 10000, 2000) if case.tls}
    assert all("ringcast-ws" in on for name, on in names.items() if "fanout" in name)
    result, _ = tls_result(folder, fake(ringcast=[answer()]), "ringcast-ws", "tls-fanout-1-128")
    assert rows(result, "tls-fanout-1-128")["ringcast-ws"]["median"]
    assert any(a.startswith("ws://") for a in fake.calls()[0]) and "--insecure" not in fake.calls()[0]


def test_startup_is_measured_without_the_generator(fake, folder):
    result, _ = result_of(folder, fake(), "--cases", "startup", "--rounds", 2)
    times = rows(result, "startup")["ringcast"]["values"]["startup_seconds"]
    assert len(times) == 2 and all(0 < t < 15 for t in times)


# ---- its end

@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_and_shows_what_was_measured(fake, folder, which):
    build = fake(ringcast=[answer(), answer(status=None)], floor=[answer(), answer(status=None)])
    path = os.path.join(folder, "result.json")
    process = subprocess.Popen(
        command("--build", build, "--only", "ringcast,floor-coalesce", "--cases", "fanout-64-128", "--clients", "10", "--idle", "10", "--json", path),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env={**os.environ, "TMPDIR": folder})
    try:
        eventually(lambda: os.path.exists(os.path.join(build, "calls")) and len(fake.calls()) == 3, "the third run", 40)
        started = servers.children(process.pid)[1:]
        assert len(started) == 2
        process.send_signal(which)
        out, _ = process.communicate(timeout=20 * SLOW)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 128 + which
    assert not [pid for pid in started if os.path.exists(f"/proc/{pid}")]
    assert [name for name in os.listdir(folder) if name.startswith("rc-compare-")] == []
    with open(path) as f:
        result = json.load(f)
    assert len(rows(result)["ringcast"]["values"]["deliveries_per_second"]) == 1
    assert "Interrupted" in out and "1.000" in out


# ---- the README

RECORDED = {
    "ringcast_compare": 1, "version": "0.1.0", "started": "2026-01-15T10:15:00Z", "seconds": 10.0, "quick": True, "rounds": 2,
    "host": {"kernel": "6.1", "cpu": "A CPU", "cpus": 2, "memory": 1}, "settings": {"seconds": 2.0}, "notes": [],
    "cases": [{"name": "memory", "title": "Memory", "unit": "bytes", "primary": "rss_per_client", "better": "lower", "rows": [
        {"server": "ringcast", "version": "0.1.0", "kind": "gateway", "values": {"rss_per_client": [200]}, "median": {"rss_per_client": 200},
         "ratio_to_ringcast": {"rss_per_client": 1}, "notes": []},
        {"server": "ws", "version": "8.1", "kind": "peer", "values": {"rss_per_client": [5000]}, "median": {"rss_per_client": 5000},
         "ratio_to_ringcast": {"rss_per_client": 25}, "notes": []},
        {"server": "nchan", "version": "", "kind": "peer", "skipped": "no network"}]}],
    "targets": [{"case": "memory", "text": "at most 256 B", "unit": "rss_per_client", "value": 200, "bound": 256, "better": "lower", "met": True}]}


def test_the_table_says_what_was_recorded(folder):
    results, page, recorded = (os.path.join(folder, n) for n in ("in.json", "README.md", "recorded"))
    os.mkdir(recorded)
    with open(results, "w") as f:
        json.dump(RECORDED, f)
    with open(page, "w") as f:
        f.write("before\n" + readme.BEGIN + "old\n" + readme.END + "after\n")
    readme.update(results, [page], recorded)
    with open(page) as f:
        text = f.read()
    assert text.startswith("before\n" + readme.BEGIN) and text.endswith(readme.END + "after\n") and "old" not in text
    assert "| | ringcast 0.1.0 | ws 8.1 |\n" in text
    assert "| Memory: bytes | 200 | 5,000 (25×) |\n" in text
    assert "| Memory: at most 256 B | 200 | met |" in text
    assert "Not measured: nchan in memory: no network." in text
    assert readme.is_true([page], recorded)
    # What was measured over TLS is recorded apart, and stands below.
    over = copy.deepcopy(RECORDED)
    over["cases"][0].update(name="memory-tls", title="Memory over TLS", tls=True)
    over["targets"][0]["case"], over["host"]["kernel"] = "memory-tls", "6.1.5-somebody's-9"
    with open(results, "w") as f:
        json.dump(over, f)
    readme.update(results, [page], recorded)
    with open(page) as f:
        both = f.read()
    assert both.startswith(text[:text.index(readme.END)]) and "### Over TLS" in both and "| Memory over TLS: bytes | 200 |" in both
    assert "Linux 6.1.5;" in both and "somebody" not in both
    assert sorted(os.listdir(recorded)) == ["results-tls.json", "results.json"]
    assert readme.is_true([page], recorded) and not readme.is_true([page], "/nonexistent")
    with open(page, "w") as f:
        f.write(both.replace("5,000", "6,000"))
    assert not readme.is_true([page], recorded)


def test_results_with_and_without_tls_in_one_are_not_recorded(folder):
    mixed, results, page = copy.deepcopy(RECORDED), os.path.join(folder, "in.json"), os.path.join(folder, "README.md")
    mixed["cases"].append({**mixed["cases"][0], "tls": True})
    with open(results, "w") as f:
        json.dump(mixed, f)
    with open(page, "w") as f:
        f.write(readme.BEGIN + readme.END)
    with pytest.raises(servers.Failed, match="recorded apart"):
        readme.update(results, [page], folder)
    assert not os.path.exists(os.path.join(folder, "results.json"))


def test_the_short_table_has_the_peers_alone(folder):
    results, pages = os.path.join(folder, "in.json"), [os.path.join(folder, name) for name in ("short", "both")]
    with open(results, "w") as f:
        json.dump(RECORDED, f)
    for page, more in zip(pages, ("", readme.BEGIN + readme.END)):
        with open(page, "w") as f:
            f.write("a\n" + readme.SHORT_BEGIN + readme.SHORT_END + "b\n" + more)
    readme.update(results, pages, folder)
    texts = []
    for page in pages:
        with open(page) as f:
            texts.append(f.read())
    table = "| | ringcast | ws |\n| --- | ---: | ---: |\n| Memory: bytes | 200 | 5,000 (25×) |\n"
    assert texts[0] == "a\n" + readme.SHORT_BEGIN + table + readme.SHORT_END + "b\n"
    assert texts[1].startswith(texts[0]) and "ringcast 0.1.0" in texts[1]
    assert readme.is_true(pages, folder)


def test_a_page_without_the_marks_is_left_alone(folder):
    results, page = os.path.join(folder, "in.json"), os.path.join(folder, "README.md")
    with open(results, "w") as f:
        json.dump(RECORDED, f)
    with open(page, "w") as f:
        f.write("no marks\n")
    with pytest.raises(servers.Failed, match="put the two lines back"):
        readme.update(results, [page], folder)
    assert not os.path.exists(os.path.join(folder, "results.json"))


def test_the_figures_in_the_readme_are_the_recorded_ones(folder):
    run(folder, "--check")


# ---- the whole of it

def test_a_real_run_ends_in_a_table_and_a_page(folder):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("server and generator need a CPU each")
    rccompile.make("build/release/ringcast", "build/release/ringcast-load", "build/release/bench/floor")
    path, page = os.path.join(folder, "result.json"), os.path.join(folder, "page.html")
    here = bool(shutil.which("node") and install.npm_version("ws"))
    run(folder, "--quick", "--seconds", 0.5, "--no-install", "--only", "ringcast,floor-coalesce,ws", "--cases", "fanout-64-128", "--clients", 50,
        "--idle", 10, "--json", path, "--report", page)
    with open(path) as f:
        result = json.load(f)
    found = rows(result)
    assert set(found) == {"ringcast", "floor-coalesce", "ws"}
    assert "skipped" in found["ws"] or here
    for row in found.values():
        if "skipped" in row or not row["median"]:
            continue
        assert row["median"]["deliveries_per_second"] > 0 and row["median"]["p50"] <= row["median"]["p99"]
    # The generator may have been the limit against the floor and has then said so; of ringcast there must be something either way.
    assert found["ringcast"]["median"] or found["ringcast"]["notes"]
    assert set(cases.FAN_OUT) >= set(found["ringcast"]["median"])
    with open(page) as f:
        html = f.read()
    assert "<html" in html and "fanout-64-128" in html and "http://" not in re.sub(r"http://www\.w3\.org/\S+", "", html)
