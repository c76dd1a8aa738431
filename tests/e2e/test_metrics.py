# SPDX-License-Identifier: Apache-2.0
"""/metrics: both formats keep their rules, and the numbers are those of what happened."""
import glob
import json
import os
import re
import shutil
import subprocess

import pytest

import rccounters
from deadline import eventually
from rcapi import OPEN_METRICS, Metrics, get, parse
from rcgateway import ROOT
from rcws import BINARY, TEXT

TUNING = os.path.join(ROOT, "tuning")
TOOLS = os.path.join(ROOT, "build", "tools")  # where scripts/deps puts what it does not install
CHAT = {"namespace.chat.lag_bytes": "1MiB"}

pytestmark = pytest.mark.deadline(90)


def promtool(*args, stdin=None):
    tool = shutil.which("promtool", path=TOOLS + os.pathsep + os.environ["PATH"])
    if not tool:
        pytest.skip("promtool is not there (Debian: prometheus)")
    done = subprocess.run([tool, *args], input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def settled(g, name, value, **labels):
    """The first scrape that has it so: what follows from a client's message is counted soon, not at once."""
    return eventually(lambda: (m := Metrics(g))(name, **labels) == value and m, f"{name} at {value}")


def subscribed(connect, g, *channels):
    ws = connect(g)
    ws.subscribe(*channels)
    return ws


# ---- the formats

def test_promtool_finds_nothing_wrong(gateway, connect, publisher):
    g = gateway(CHAT)
    ws = subscribed(connect, g, "chat:a")
    publisher(g).publish("chat:a", '{"n":1}')
    ws.next_event()
    answer = get(g, "/metrics")
    assert answer.type == "text/plain; version=0.0.4; charset=utf-8"
    assert promtool("check", "metrics", stdin=answer.text).strip() == ""


def test_open_metrics_is_given_to_who_asks_and_is_what_the_standard_says(gateway, connect, publisher):
    parser = pytest.importorskip("prometheus_client.openmetrics.parser", reason="Debian: python3-prometheus-client")
    g = gateway(CHAT)
    ws = subscribed(connect, g, "chat:a")
    publisher(g).publish("chat:a", '{"n":1}')
    ws.next_event()
    answer = get(g, "/metrics", {"Accept": OPEN_METRICS})
    assert answer.type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert answer.text.endswith("\n# EOF\n")
    families = {f.name: f for f in parser.text_string_to_metric_families(answer.text)}
    assert families["ringcast_build"].type == "info"
    assert families["ringcast_clients_closed"].type == "counter"
    assert families["ringcast_publish_to_socket_seconds"].type == "histogram"
    for name, family in families.items():
        assert name.startswith("ringcast_") and family.documentation, name
        assert family.unit == next((u for u in ("seconds", "bytes") if name.endswith("_" + u)), ""), name
        for sample in family.samples:
            allowed = {"shard", "transport", "namespace", "reason"}
            allowed |= {"le"} if family.type == "histogram" else {"version"} if family.type == "info" else set()
            assert set(sample.labels) <= allowed, sample
    # The same samples as in the other format.
    assert set(parse(answer.text)) == set(Metrics(g).samples)


def test_what_prometheus_itself_sends_gets_open_metrics(gateway):
    accept = ("application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
              "text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
    assert get(gateway(), "/metrics", {"Accept": accept}).type.startswith("application/openmetrics-text")


# ---- the numbers

def test_numbers_are_those_of_what_was_done(gateway, connect, publisher):
    g = gateway(CHAT)
    clients = [subscribed(connect, g, "chat:a") for _ in range(3)]
    p = publisher(g, "p")
    for n in range(10):
        p.publish("chat:a", json.dumps({"n": n}))
    p.publish("other", "1")
    for ws in clients:
        assert [ws.next_event()["data"]["n"] for _ in range(10)] == list(range(10))
    m = settled(g, "ringcast_deliveries_total", 30)
    assert m("ringcast_clients") == 3 and m("ringcast_publishers") == 1
    assert m("ringcast_clients_opened_total") == 3
    assert m("ringcast_subscriptions") == 3
    assert m("ringcast_events_published_total") == 11
    assert m("ringcast_namespace_events_published_total", namespace="chat") == 10
    assert m("ringcast_namespace_events_published_total", namespace="default") == 1
    assert m("ringcast_namespace_deliveries_total", namespace="chat") == 30
    assert m("ringcast_namespace_deliveries_total", namespace="default") == 0
    assert m("ringcast_clients_gone_total") == 0


def test_reasons_of_closes_are_told_apart(gateway, connect):
    g = gateway()
    clients = [connect(g) for _ in range(4)]
    clients[0].close()
    clients[1].drop()
    clients[2].send(BINARY, b"x")
    clients[2].expect_close(1003)
    clients[3].send(TEXT, b"\xff")
    clients[3].expect_close(1007)
    m = settled(g, "ringcast_clients_gone_total", 4)
    for reason in ("client", "going_away", "protocol", "bad_utf8"):
        assert m("ringcast_clients_closed_total", reason=reason) == 1, reason
    assert m("ringcast_clients_closed_total") == 4 and m("ringcast_clients") == 0


def test_the_latency_of_an_event_is_counted_once_for_each_channel_that_it_goes_through(gateway, connect, publisher):
    g = gateway()
    ws, p = subscribed(connect, g, "a"), publisher(g, "p")
    for n in range(20):
        p.publish("a", str(n))
        ws.next_event()
    m = settled(g, "ringcast_publish_to_socket_seconds_count", 20)
    assert m("ringcast_publish_to_socket_seconds_bucket", le="+Inf") == 20
    assert 0 < m("ringcast_publish_to_socket_seconds_sum") < 20 * 10
    assert m("ringcast_turn_seconds_count") > 0 and m("ringcast_turn_seconds_sum") > 0


def test_every_shard_answers_for_all_of_them(gateway, connect, shards):
    g = gateway()
    clients = [connect(g) for _ in range(8)]
    # Each request is a connection of its own, so different shards answer.
    for _ in range(8):
        m = Metrics(g)
        assert m("ringcast_clients") == len(clients)
        assert {dict(l)["shard"] for n, l in m.samples if n == "ringcast_clients"} == {str(s) for s in range(shards)}
        assert m("ringcast_shards") == shards


def test_what_is_fixed_at_start_is_there(gateway):
    g = gateway({"max_clients": "1234", "memory": "64MiB"})
    m = Metrics(g)
    assert m("ringcast_up") == 1 and m("ringcast_clients_limit") == 1234
    assert m("ringcast_build_info") == 1
    assert m("ringcast_arena_limit_bytes") == 64 << 20
    # The counters file has it shard by shard: there each is full on its own.
    assert m("ringcast_arena_size_bytes") == g.gauge("arena_size_bytes") == 64 << 20
    assert m("ringcast_memory_budget_bytes", reason="connection table") > 1234 * 100
    assert m("ringcast_memory_budget_kernel_bytes", reason="sockets") > 0
    assert m("ringcast_feature_kernel_tls") in (0, 1)
    started = m("ringcast_start_time_seconds")
    assert abs(started - os.stat(f"/proc/{g.pid}").st_mtime) < 60
    # The table that it printed has as many rows.
    table = [line for line in g.lines if re.search(r" [\d.]+ ([KMG]i)?B$", line)]
    rows = [key for key in m.samples if key[0].startswith("ringcast_memory_budget")]
    assert len(rows) == len([line for line in table if "  total" not in line and " total " not in line]), g.log


def test_no_counter_of_the_file_is_missing(gateway, shards):
    g = gateway()
    path = glob.glob(os.path.join(g.folder, f"{g.pid}.counters"))[0]
    m = Metrics(g)
    counters, _ = rccounters.read(path)
    lines = sum(1 for name, labels in m.samples if "shard" in dict(labels)
                and not re.search("_(bucket|sum|count)$", name))
    assert lines == len(counters) * shards


# ---- what reads them

def queried(expression):
    return set(re.findall(r"\bringcast_[a-z_]+", expression))


def expressions(dashboard):
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


@pytest.mark.one_shard
def test_the_dashboard_asks_for_nothing_that_is_not_there(gateway):
    with open(os.path.join(TUNING, "grafana-ringcast.json")) as f:
        dashboard = json.load(f)
    names = Metrics(gateway()).names
    variables = [v["query"]["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
    asked = {name for e in expressions(dashboard) + variables for name in queried(e)}
    assert len(asked) > 40
    assert asked <= names, asked - names
    panels = [p for p in dashboard["panels"] if p["type"] != "row"]
    assert len({p["id"] for p in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in panels:
        assert panel["datasource"]["uid"] == "${datasource}" and panel["title"] and panel["targets"], panel


@pytest.mark.one_shard
def test_the_dashboard_asks_in_words_that_prometheus_understands(folder, shards):
    with open(os.path.join(TUNING, "grafana-ringcast.json")) as f:
        asked = expressions(json.load(f))
    # Without a gateway: promtool takes expressions only as rules.
    rules = [{"record": f"r:{i}", "expr": e.replace("$__rate_interval", "5m")} for i, e in enumerate(asked)]
    path = os.path.join(folder, "rules.yml")
    with open(path, "w") as f:
        json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, f)
    assert f"{len(asked)} rules found" in promtool("check", "rules", path)


@pytest.mark.one_shard
def test_the_alerts_are_rules_that_prometheus_takes_and_ask_for_what_is_there(gateway):
    path = os.path.join(TUNING, "prometheus-ringcast.yml")
    names = Metrics(gateway()).names
    with open(path) as f:
        asked = queried("\n".join(line for line in f if not line.lstrip().startswith("#")))
    assert asked <= names, asked - names
    assert "SUCCESS" in promtool("check", "rules", path)


@pytest.mark.one_shard
def test_the_alerts_speak_up_when_they_should(folder, shards):
    for path in (os.path.join(TUNING, "prometheus-ringcast.yml"), os.path.join(ROOT, "tests/e2e/prometheus_alerts.yml")):
        shutil.copy(path, folder)
    assert "SUCCESS" in promtool("test", "rules", os.path.join(folder, "prometheus_alerts.yml"))
