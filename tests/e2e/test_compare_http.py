# SPDX-License-Identifier: Apache-2.0
"""bench/compare --http: requests by wrk, server-sent events beside WebSocket, clients that come back.

In the place of wrk and of ringcast-load there are programs of our own, which say what the test wants to see; one run has the real wrk.
"""
import copy
import http.client
import json
import os
import types

import pytest

import rccompile
import rcgateway
# The first two are fixtures.
from test_compare import fake, floor, answer, changed, rows, run  # noqa: F401

import cases
import install
import measure
import peers
import readme
import servers
import wrk

pytestmark = [pytest.mark.one_shard, pytest.mark.deadline(120)]
CASES = {case.name: case for case in cases.all_cases(1000, 10000, 2000)}
# Sends what it is told, and says that it were more by MORE; ERRORS of them with a status of an error.
WRK = """#!/usr/bin/python3
import http.client, json, os, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[-1])
connection = http.client.HTTPConnection(url.hostname, url.port)
with open(os.environ["RC_WRK_BODY"]) as f:
    body = f.read()
for _ in range(20):
    connection.request("POST", url.path, body, {"Content-Type": "application/json"})
    assert connection.getresponse().read()
errors = {"connect": 0, "read": 0, "write": 0, "status": ERRORS, "timeout": 0}
with open(os.environ["RC_WRK_OUT"], "w") as f:
    json.dump({"seconds": 1.0, "requests": 20 + MORE, "p50": 1000, "p99": 2000, "p999": 3000, "errors": errors}, f)
"""


@pytest.fixture
def once(folder, monkeypatch):
    """Measures a case of ringcast with the text of a program in wrk's place."""
    cpus = sorted(os.sched_getaffinity(0))

    def measured(name, script, server="ringcast"):
        path = os.path.join(folder, "wrk")
        with open(path, "w") as f:
            f.write(script)
        os.chmod(path, 0o755)
        monkeypatch.setattr(wrk, "program", lambda: path)
        build = os.path.dirname(rcgateway.BINARY)
        ours = {s.name: s for s in (servers.Ringcast(build), servers.RingcastHistory(build))}[server]
        return measure.once(CASES[name], ours, measure.Generator("", cpus[-1], 1, 0, False), {cpus[0]}, None)
    return measured


# ---- requests

def test_an_event_has_the_size_that_was_asked_for():
    event = json.loads(wrk.body(128, 0))
    assert len(json.dumps(event["data"])) == 128 and event["channel"].startswith("load:")
    assert json.loads(wrk.body(128, 100)) == [event] * 100


@pytest.mark.parametrize("server", ["ringcast", "ringcast-history"])
@pytest.mark.parametrize("name, batch", [("http-publish", 1), ("http-publish-batch", 100)])
def test_what_was_sent_is_counted_and_timed(once, name, batch, server):
    figures = once(name, WRK.replace("MORE", "0").replace("ERRORS", "0"), server).figures
    if batch == 1:
        assert figures["requests_per_second"] == 20 and figures["cpu_ns_per_request"] > 0
    else:
        assert figures["published_per_second"] == 2000 and figures["cpu_ns_per_event"] > 0
    assert (figures["p50"], figures["p99"]) == (1000, 2000)


@pytest.mark.parametrize("more, errors, word", [("-1", "0", ""), ("1", "0", "published instead of 21"), ("-19", "3", "3 status"), ("-20", "0", "no request")])
def test_what_was_not_answered_or_not_published_has_no_figure(once, more, errors, word):
    outcome = once("http-publish", WRK.replace("MORE", more).replace("ERRORS", errors))
    assert bool(outcome.figures) == (not word)
    assert word in outcome.note


def test_more_events_than_could_be_under_way_have_no_figure():
    assert wrk.complaint({}, 100, 228, 1, 64) == "" == wrk.complaint({}, 100, 22800, 100, 64) == wrk.complaint({}, 100, None, 1, 64)
    assert "229 events" in wrk.complaint({}, 100, 229, 1, 64)


def test_a_wrk_that_dies_is_quoted(once):
    with pytest.raises(servers.Failed, match="status 3: no such luck"):
        once("http-publish", "#!/bin/sh\necho no such luck\nexit 3\n")


def test_a_server_that_refuses_is_quoted(once, monkeypatch):
    monkeypatch.setattr(wrk, "body", lambda payload, batch: "no JSON")
    outcome = once("http-publish", WRK)
    assert outcome.figures == {} and "answered 400" in outcome.note and "bad_json" in outcome.note


def test_when_wrk_is_the_limit_the_servers_cpu_is_the_figure():
    one = types.SimpleNamespace(result={"seconds": 2.0, "requests": 1000, "p50": 1, "p99": 2, "p999": 3}, cpu=1.99, waited=0.0)
    outcome = measure.take_down(CASES["http-publish"], servers.Ringcast("", ()), *wrk.account(one, 0.5, 0.0, 1))
    assert outcome.figures["cpu_ns_per_request"] == 500000 and "requests_per_second" not in outcome.figures
    assert outcome.note == measure.LIMITED + "wrk used 100% of its CPU."


def test_a_server_that_others_kept_waiting_is_marked():
    one = types.SimpleNamespace(result={"seconds": 2.0, "requests": 1000, "p50": 1, "p99": 2, "p999": 3}, cpu=0.5, waited=0.1)
    outcome = measure.take_down(CASES["http-publish"], servers.Ringcast("", ()), *wrk.account(one, 0.5, 0.8, 1))
    assert outcome.disturbed == "the server waited 40% of the time for its CPU"
    assert outcome.figures["requests_per_second"] == 500


def test_a_server_that_ended_has_no_cpu_time():
    assert wrk.cpu_seconds([os.getpid()]) > 0
    with pytest.raises(servers.Failed, match="ended"):
        wrk.cpu_seconds([2 ** 22 + 1])


def test_nginx_answers_204_and_nothing_else(folder):
    nginx = peers.Nginx()
    try:
        nginx.prepare(False)
    except servers.Missing as missing:
        pytest.skip(str(missing))
    with nginx.start({sorted(os.sched_getaffinity(0))[0]}) as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
        for _ in range(3):
            connection.request("POST", "/api/publish", "x" * 20000)
            got = connection.getresponse()
            assert (got.status, got.read(), got.headers["Connection"]) == (204, b"", "keep-alive")
        connection.close()
        assert len(running.pids()) == 2
        with open(running.path("log")) as f:
            assert f.read() == ""


def test_a_real_run_has_every_figure(folder):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("server and generator need a CPU each")
    if not wrk.program():
        pytest.skip("wrk is not installed")
    rccompile.make("build/release/ringcast", "build/release/ringcast-load")
    path, page = os.path.join(folder, "result.json"), os.path.join(folder, "page.html")
    run(folder, "--quick", "--no-install", "--patience", 0, "--only", "ringcast,nginx", "--cases", "http-publish,http-publish-batch", "--json", path, "--report", page)
    with open(path) as f:
        result = json.load(f)
    one, batch = rows(result, "http-publish"), rows(result, "http-publish-batch")
    assert set(one["ringcast"]["median"]) <= set(cases.REQUESTS) and one["ringcast"]["median"]["cpu_ns_per_request"] > 0
    assert "skipped" in one["nginx"] or one["nginx"]["median"]["cpu_ns_per_request"] > 0
    assert batch["ringcast"]["median"]["cpu_ns_per_event"] > 0 and "nginx" not in batch
    with open(page) as f:
        assert "http-publish-batch" in f.read()


# ---- server-sent events

def test_server_sent_events_are_held_against_websocket(fake, folder):  # noqa: F811
    path = os.path.join(folder, "result.json")
    build = fake(ringcast=[answer(changed(window={"deliveries_per_second": 2e6})), answer(changed(window={"deliveries_per_second": 1.9e6}))])
    done = run(folder, "--build", build, "--no-install", "--cases", "sse-fanout", "--rounds", 1, "--clients", 10, "--idle", 10, "--json", path)
    with open(path) as f:
        result = json.load(f)
    urls = [call[call.index("--url") + 1] for call in fake.calls()]
    assert urls[0].startswith("ws://") and urls[0].endswith("/ws")
    assert urls[1].startswith("http://") and urls[1].endswith("/events?channel={channel}")
    assert [(t["value"], t["met"]) for t in result["targets"]] == [(0.95, True), (1, True)]
    assert "at least 90 % of WebSocket's" in done.stdout


def test_a_disturbed_reader_of_events_leaves_the_servers_cpu(fake, folder):  # noqa: F811
    bound = changed(verdict="limited", notes=["it was disturbed."], latency=None)
    bound["limited"] = {"cpu_ns_per_delivery": 321.0}
    done = run(folder, "--build", fake(ringcast=[answer(bound, 3)]), "--no-install", "--cases", "sse-fanout", "--rounds", 1, "--clients", 10, "--idle", 10)
    assert len([line for line in done.stdout.splitlines() if "0.321" in line and line.split()[0] in ("ringcast", "ringcast-sse")]) == 2
    assert "no figure" not in done.stdout and measure.LIMITED + "it was disturbed." in done.stdout


# ---- those who come back

def came_back(verdict="ok", **clients):
    quiet = None if verdict == "limited" else 7
    result = changed(verdict=verdict, latency=None)
    result["clients"] = {"dropped": 10, "recovered": 10, "unrecovered": 0, "storm_seconds": 5.5, **clients}
    result["timeline"] = [{"t": float(t), "seconds": 1.0, "server_cpu": 0.5 if t in (8, 9) else 0.1} for t in range(-1, 16)]
    result["groups"] = [{"before_storm": quiet and {"p99": quiet}, "in_storm": quiet and {"p99": 9}}, {"before_storm": None, "in_storm": None}]
    return result


def taken_down(result, status):
    return measure.take_down(CASES["recovery"], servers.RingcastHistory(""), status, result, "")


def test_the_return_is_timed_without_the_time_away():
    case = CASES["recovery"]
    assert case.rate * case.away == cases.MISSED and case.clients == cases.STAYING + cases.COMING_BACK
    figures = taken_down(came_back(), 0).figures
    # From 8 to 9.5 s of the window, of which the samples say 0.5 CPUs.
    assert figures == {"back_seconds": 1.5, "cpu_seconds_back": pytest.approx(0.75), "p99_before": 7, "p99_meanwhile": 9}


def test_a_slow_generator_leaves_the_time_and_the_cpu():
    outcome = taken_down(came_back("limited"), 3)
    assert set(outcome.figures) == {"back_seconds", "cpu_seconds_back"} and outcome.note.startswith(measure.ONLY_BACK)


@pytest.mark.parametrize("clients, word", [({"recovered": 9, "unrecovered": 1}, "9 recovered"), ({"recovered": 9}, "9 recovered"),
                                           ({"storm_seconds": None}, "not all clients came back")])
def test_who_did_not_recover_is_a_fault(clients, word):
    outcome = taken_down(came_back(**clients), 0)
    assert outcome.figures == {} and outcome.note.startswith("faulty: ") and word in outcome.note


def test_all_that_come_back_ask_for_what_they_missed(fake, folder):  # noqa: F811
    done = run(folder, "--build", fake(ringcast=[answer(came_back())]), "--no-install", "--cases", "recovery", "--rounds", 1)
    call = fake.calls()[0]
    flags = dict(zip(call[1:], call[2:]))
    assert call[0] == "storm" and flags["--clients"] == "11000" and flags["--rate"] == "25" and "--recover" in call
    assert round(float(flags["--share"]) / 100 * 11000) == 10000
    assert "1.50" in done.stdout


# ---- the README

def test_what_was_measured_by_http_has_a_table_of_its_own(folder):
    page, results = os.path.join(folder, "README.md"), os.path.join(folder, "in.json")
    row = {"server": "ringcast-history", "version": "0.1.0", "kind": "gateway", "values": {}, "median": {"back_seconds": 1.5, "cpu_seconds_back": 0.75},
           "ratio_to_ringcast": {}, "notes": []}
    result = {"ringcast_compare": 1, "version": "0.1.0", "started": "2026-01-15T10:15:00Z", "seconds": 10.0, "quick": True, "rounds": 2,
              "host": {"kernel": "6.1", "cpu": "A CPU", "cpus": 2, "memory": 1}, "settings": {"seconds": 2.0}, "notes": [], "targets": [],
              "cases": [{"name": "recovery", "title": "Back", "unit": "s", "primary": "back_seconds", "better": "lower", "group": "http", "rows": [row]}]}
    with open(results, "w") as f:
        json.dump(result, f)
    with open(page, "w") as f:
        f.write(readme.BEGIN + readme.END)
    readme.update(results, [page], folder)
    with open(page) as f:
        text = f.read()
    assert "### HTTP" in text and "| Back: seconds until all are back | 1.50 |" in text and "| Back: seconds of server CPU meanwhile | 0.75 |" in text
    assert os.path.exists(os.path.join(folder, "results-http.json")) and not os.path.exists(os.path.join(folder, "results.json"))
    assert readme.is_true([page], folder)
    mixed = copy.deepcopy(result)
    mixed["cases"].append({**mixed["cases"][0], "group": ""})
    with open(results, "w") as f:
        json.dump(mixed, f)
    with pytest.raises(servers.Failed, match="recorded apart"):
        readme.update(results, [page], folder)


def test_what_is_not_installed_is_said(folder, monkeypatch):
    monkeypatch.setattr(install, "find", lambda path: None)
    with pytest.raises(servers.Missing, match="wrk: not installed"):
        install.debian(wrk.PACKAGES, wrk.FILES, False)
