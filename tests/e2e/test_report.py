# SPDX-License-Identifier: Apache-2.0
"""The report page in headless Chromium: every number on it is that of the JSON, what is missing is a dash with its reason, and no
text in the data can break it."""
import copy
import json
import math
import re

import pytest

from rcpage import Page, render

pytestmark = [pytest.mark.one_shard, pytest.mark.deadline(120)]

HOSTILE = "</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\"> ' \" \\ & <!-- @@style@@ \u2028 ü"
UNITS = {"": 1, "/s": 1, "k/s": 1e3, "M/s": 1e6, "G/s": 1e9, "ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20,
         "GiB": 1 << 30, "%": 0.01, "CPUs": 1}


def quantiles(scale, count=100000):
    """A distribution with a tail, with buckets that agree with it."""
    buckets, left, low = [], count, scale
    while left:
        n = max(1, left // 2)
        buckets.append([low, low * 2 - 1, n])
        low, left = low * 2, left - n
    seen, ends = 0, {}
    for _, high, n in buckets:
        seen += n
        for name, share in (("p50", .5), ("p90", .9), ("p99", .99), ("p999", .999), ("p9999", .9999)):
            if name not in ends and seen >= share * count:
                ends[name] = high
    return {"count": count, "mean": scale * 3 // 2, **ends, "max": buckets[-1][1], "buckets": buckets}


def bare(q):
    return {k: v for k, v in q.items() if k != "buckets"}


def run_result():
    latency, connect, ack = quantiles(150_000), quantiles(900_000, 1000), quantiles(40_000, 6000)
    faults = {"lost": 0, "duplicated": 0, "reordered": 0, "corrupted": 0, "foreign": 0}
    group = {"clients": 500, "channels": 1, "subscriptions": 1, "spread": "even", "zipf": 0.0, "reading": "reads", "publishers": 1, "rate": 0.0,
             "in_flight": 64, "payload": 128, "echo": False}
    sample = {"seconds": 1.0, "clients": 1000, "published": 1200, "bytes": 128_000_000, "connects": 3, "p50": 200_000, "p90": 300_000,
              "p99": 1_200_000, "p999": 2_400_000, "max": 9_000_000, "server_cpu": 0.93, "server_rss": 11 << 20, "generator_cpu": 0.41}
    return {
        "ringcast_load": 1, "version": "0.1.0", "started": "2026-01-02T03:04:05Z", "scenario": "mixed", "verdict": "ok", "notes": [],
        "host": {"kernel": "Linux 6.1.0", "cpu": "Some CPU", "cpus": 2},
        "target": {"name": "ringcast", "subscribe": "ws://127.0.0.1:8080/ws", "publish": "ingest://127.0.0.1:7400", "echo": None},
        "parameters": {"clients": 1000, "channels": 2, "threads": 1, "processes": 1, "busy": False, "warm_seconds": 1, "seconds": 5,
                       "groups": [{"name": "one", **group}, {"name": "two", **group}]},
        "window": {"seconds": 5.0, "deliveries": 49_061_670, "bytes": 6_279_893_760, "published": 6000, "acked": 6000,
                   "deliveries_per_second": 9812334.0, "published_per_second": 1200.0, "acked_per_second": 1200.0,
                   "bytes_per_second": 1255978752.0},
        "latency": latency, "connect": connect, "ack": ack, "faults": {**faults, "channels": []}, "told": 0, "missed_away": 7,
        "clients": {"wanted": 1000, "opened": 1000, "open": 999, "failed": 0, "closed": 0, "dropped": 0, "returned": 0, "connect_seconds": 0.213,
                    "storm_seconds": None},
        "server": {"name": "ringcast", "processes": 1, "cpu_seconds": 4.91, "cpu_ns_per_delivery": 100.07, "waited_seconds": 0.02,
                   "rss_start": 10 << 20, "rss_connected": 10_741_760, "rss_max": 12 << 20, "rss_per_client": 256.0},
        "generator": {"cpu_seconds": 2.05, "waited_seconds": 0.01, "idle_seconds": 0.0, "busiest": 0.41, "memory": 2 << 20,
                      "memory_per_client": 2097.2, "reads": 71234, "full_reads": 12, "late": bare(quantiles(2000, 600)), "turn": None},
        "groups": [{"name": name, "deliveries": 24_530_835, "published": 3000, "latency": bare(latency), "connect": bare(connect), "ack": bare(ack),
                    "faults": faults, "told": 0, "closed": 0} for name in ("one", "two")],
        "timeline": [{"t": float(t), "deliveries": 9_000_000 + 100_000 * t, **sample} for t in range(-2, 7)],
    }


def limited_result():
    d = run_result()
    d["verdict"], d["notes"] = "limited", ["Its one thread was busy all the time: give it more with --threads 2."]
    d["limited"] = {"window": dict(d["window"]), "latency": d["latency"], "ack": d["ack"], "cpu_ns_per_delivery": 100.07}
    d["window"].update({k: None for k in d["window"] if k.endswith("per_second")})
    d["latency"] = d["ack"] = d["server"]["cpu_ns_per_delivery"] = None
    for g in d["groups"]:
        g["latency"] = g["ack"] = None
    for s in d["timeline"]:
        s.update({k: None for k in ("p50", "p90", "p99", "p999", "max")})
    return d


def compared(values, us=None):
    values = {k: [v * f for f in (0.97, 1, 1.04)] for k, v in values.items()}
    median = {k: v[1] for k, v in values.items()}
    return {"values": values, "median": median, "min": {k: min(v) for k, v in values.items()}, "max": {k: max(v) for k, v in values.items()},
            "ratio_to_ringcast": {k: v / (us or median)[k] for k, v in median.items()}}


def compare_result():
    us = {"deliveries_per_second": 9.8e6, "cpu_ns_per_delivery": 99.5, "p50": 5e6, "p99": 6.9e6, "p999": 8.1e6}
    rows = [{"server": "ringcast", "version": "0.1.0", "kind": "gateway", **compared(us)},
            {"server": "floor", "version": "", "kind": "floor", **compared({k: v * 1.1 for k, v in us.items()}, us)},
            {"server": "nats-server", "version": "2.9.10", "kind": "peer", **compared({k: v * 0.29 for k, v in us.items()}, us)},
            {"server": "mosquitto", "version": "2.0.11", "kind": "peer", "skipped": "the package is not to be had here"}]
    rows[2]["values"]["p99"][0] = None
    return {"ringcast_compare": 1, "version": "0.1.0", "started": "2026-01-02T03:04:05Z", "seconds": 412.5, "quick": False, "rounds": 3,
            "host": {"kernel": "Linux 6.1.0", "cpu": "Some CPU", "cpus": 2, "memory": 8 << 30}, "settings": {"server_cpu": "0", "busy": True},
            "notes": [], "cases": [{"name": "fanout", "title": "Fan-out to 1,000", "unit": "deliveries/s", "primary": "deliveries_per_second",
                                    "better": "higher", "clients": 1000, "payload": 128, "in_flight": 64, "rate": 0, "rows": rows}],
            "targets": [{"case": "fanout", "text": "at least 85 % of the floor", "unit": "ratio", "value": 0.91, "bound": 0.85, "met": True},
                        {"case": "idle", "text": "256 bytes at most", "unit": "rss_per_client", "value": 290.0, "bound": 256, "met": False},
                        {"case": "tls", "text": "14 KiB at most", "unit": "rss_per_client", "value": None, "bound": 14336, "met": None}]}


def at(data, path):
    for key in path.split("."):
        if isinstance(data, list):
            data = data[int(key)] if int(key) < len(data) else None
        elif isinstance(data, dict):
            data = data.get(key)
        else:
            return None
    return data


def shown_number(text, key):
    """What a reader takes the text for, in the unit of the JSON."""
    m = re.fullmatch(r"(?:× )?([0-9.,]+)[\s\u00a0]*(\S*)", text.strip())
    assert m, f"{key}: {text!r}"
    value = float(m.group(1).replace(",", "")) * UNITS[m.group(2)]
    return value / 1e9 if "seconds" in key else value


def assert_drawn(page, kind):
    assert page.console == []
    assert page.html["data-drawn"] == kind, page.main.text[:400]
    for e in page.main.all():
        for name, value in e.attributes.items():
            assert not re.search(r"NaN|Infinity|undefined|\[object", value or ""), f"<{e.tag} {name}={value!r}>"
    assert not re.search(r"NaN|Infinity|undefined|\[object", page.main.text)


def assert_figures(page, data):
    """Every number on the page, as data and as it is read, is that of the JSON."""
    assert page.figures
    for key, value, text, _ in page.figures:
        if key in ("verdict", "targets.met"):
            continue
        expected = at(data, key)
        if expected is None:
            assert value == "" and text == "–", f"{key} is not in the JSON, the page says {value!r} {text!r}"
            continue
        assert float(value) == expected, f"{key}: {value} on the page, {expected} in the JSON"
        assert math.isclose(shown_number(text, key), expected, rel_tol=0.006, abs_tol=0.006), f"{key}: {text!r} is shown for {expected}"


def open_page(folder, data, **options):
    return Page(folder, render(folder, json.dumps(data)), **options)


def lines_of(page, title):
    panel = next(p for p in page.main.all("figure") if next(p.all("h3")).text == title)
    return list(panel.all("path", class_="line"))


def test_every_number_of_a_run_is_that_of_its_json(shards, folder):
    data = run_result()
    page = open_page(folder, data)
    assert_drawn(page, "run")
    assert_figures(page, data)
    keys = {f[0] for f in page.figures}
    assert keys >= {"window.deliveries_per_second", "latency.p50", "latency.p99", "latency.p999", "latency.p9999", "latency.max",
                    "server.cpu_ns_per_delivery", "server.rss_per_client", "faults.lost", "groups.1.latency.p99", "generator.busiest"}
    assert page.figure("verdict")[1] == "ok"
    assert page.figure("latency.p99")[3]["class"].startswith("value"), "the first is the card"
    for name in ("mixed of ringcast", "ws://127.0.0.1:8080/ws", "Some CPU", "in flight"):
        assert name in page.main.text


def test_each_chart_has_its_lines_and_says_what_it_is(shards, folder):
    page = open_page(folder, run_result())
    for title, lines in (("Latency over time", 5), ("How latency is distributed", 3), ("Deliveries", 1), ("Published", 1), ("CPU", 2),
                         ("Server memory", 1), ("Clients", 1), ("Connects", 1)):
        found = lines_of(page, title)
        assert len(found) == lines, title
        for line in found:
            assert re.fullmatch(r"(M[-0-9. ]+)(L[-0-9. ]+)+", line["d"]), f"{title}: {line['d']}"
    for svg in page.main.all("svg", role="img"):
        assert svg["aria-label"] and svg["tabindex"] == "0"
    nines = next(p for p in page.main.all("figure") if next(p.all("h3")).text == "How latency is distributed")
    ticks = [t.text for t in nines.all("text")]
    assert {"50 %", "90 %", "99 %", "99.9 %", "99.99 %"} <= set(ticks)


def test_what_a_limited_generator_measured_is_a_dash_with_its_reason(shards, folder):
    data = limited_result()
    page = open_page(folder, data)
    assert_drawn(page, "run")
    assert_figures(page, data)
    for key in ("window.deliveries_per_second", "latency.p50", "latency.p99", "latency.p999", "server.cpu_ns_per_delivery"):
        _, _, text, element = page.figure(key)
        assert text == "–"
        assert "the generator was the limit" in element.parent.text
    assert "--threads 2" in page.main.text
    # Neither its text nor a line gives it away.
    assert "9.81" not in page.main.text
    assert not any(lines_of(page, title) for title in ("Latency over time", "Deliveries"))
    assert lines_of(page, "CPU")


def test_a_server_that_was_not_found_is_said(shards, folder):
    data = run_result()
    data["server"] = None
    for s in data["timeline"]:
        s["server_cpu"] = s["server_rss"] = None
    page = open_page(folder, data)
    assert_drawn(page, "run")
    assert_figures(page, data)
    assert "process was not found" in page.figure("server.rss_per_client")[3].parent.text
    assert len(lines_of(page, "CPU")) == 1 and not lines_of(page, "Server memory")


def test_faults_are_named_with_their_channels(shards, folder):
    data = run_result()
    data.update(verdict="faulty", notes=["3 events were lost."])
    data["faults"].update(lost=3, channels=[{"channel": "load:17", "lost": 3, "duplicated": 0, "reordered": 0, "corrupted": 0, "foreign": 0}])
    page = open_page(folder, data)
    assert_drawn(page, "run")
    assert_figures(page, data)
    assert page.figure("faults.channels.0.lost")[2] == "3"
    assert "load:17" in page.main.text and "3 events were lost." in page.main.text


@pytest.mark.parametrize("make", [run_result, compare_result])
def test_hostile_text_is_shown_as_text(shards, folder, make):
    data = copy.deepcopy(make())
    data["notes"] = [HOSTILE, "</SCRIPT >", "]]>", "\\u003c/script>"]
    data["host"]["cpu"] = HOSTILE
    if "cases" in data:
        data["cases"][0]["title"] = HOSTILE
        data["cases"][0]["rows"][2].update(server=HOSTILE, notes=[HOSTILE])
        data["cases"][0]["rows"][3]["skipped"] = HOSTILE
        data["targets"][0]["text"] = HOSTILE
        data["settings"][HOSTILE] = HOSTILE
    else:
        data["faults"]["channels"] = [{"channel": HOSTILE, "lost": 1, "duplicated": 0, "reordered": 0, "corrupted": 0, "foreign": 0}]
        data["groups"][0]["name"] = data["parameters"]["groups"][0]["name"] = HOSTILE
        data["target"]["subscribe"] = HOSTILE
    page = open_page(folder, data)
    assert_drawn(page, "compare" if "cases" in data else "run")
    assert "broken" not in next(page.root.all("title")).text
    assert not list(page.root.all("img"))
    # The page's own two; nothing in the data made a third.
    assert len(list(page.root.all("script"))) == 2
    assert page.main.text.count(HOSTILE) >= 4
    for note in data["notes"]:
        assert note in page.main.text
    if "cases" not in data:
        assert_figures(page, data)


def test_every_number_of_a_comparison_is_that_of_its_json(shards, folder):
    data = compare_result()
    page = open_page(folder, data)
    assert_drawn(page, "compare")
    assert_figures(page, data)
    keys = {f[0] for f in page.figures}
    for row in range(3):
        for figure in ("deliveries_per_second", "cpu_ns_per_delivery", "p50", "p99", "p999"):
            assert f"cases.0.rows.{row}.median.{figure}" in keys
            assert f"cases.0.rows.{row}.ratio_to_ringcast.{figure}" in keys
    assert page.figure("targets.met")[1] == "1 of 3 targets met"
    states = [e.text for e in page.main.all("span", class_="state") if e.parent.tag == "td"]
    assert states == ["met", "missed", "not measured"]
    assert "not measured: the package is not to be had here" in page.main.text
    assert "3.45 × nats-server" in page.main.text
    # A bar for each server that was measured, the best first.
    first = next(page.main.all("table", class_="bars"))
    assert [next(r.all("th")).text.rstrip("0123456789.") for r in next(first.all("tbody")).all("tr")] == ["floor", "ringcast", "nats-server"]
    widths = [float(r["width"]) for r in first.all("rect", class_="fill")]
    assert widths == sorted(widths, reverse=True) and max(widths) <= 1000


@pytest.mark.parametrize("data, kind", [
    ({"ringcast_load": 1, "window": {}}, "run"),
    ({"ringcast_load": 1, "window": {"seconds": 0}, "verdict": "interrupted", "latency": None, "timeline": [], "groups": []}, "run"),
    ({"ringcast_load": 1, "window": {}, "latency": {"count": 1, "p50": 5, "max": 5, "buckets": [[5, 5, 1]]}, "timeline": [{"t": 0}]}, "run"),
    ({"ringcast_compare": 1, "cases": []}, "compare"),
    ({"ringcast_compare": 1, "cases": [{"name": "a"}, {"name": "b", "rows": [{"server": "ringcast", "kind": "gateway", "skipped": "no"}]}]}, "compare"),
], ids=["empty run", "interrupted", "one event", "empty comparison", "nothing measured"])
def test_a_result_with_next_to_nothing_in_it_is_drawn_too(shards, folder, data, kind):
    page = open_page(folder, data)
    assert_drawn(page, kind)
    assert_figures(page, data)


def test_arrow_keys_read_a_chart_out(shards, folder):
    press = ("const svg = document.querySelector('.plot svg');"
             "for (const key of ['Home', 'ArrowRight', 'ArrowRight']) svg.dispatchEvent(new KeyboardEvent('keydown', {key}));")
    page = open_page(folder, run_result(), after=press)
    assert_drawn(page, "run")
    tip = next(page.main.all("div", class_="tip"))
    assert "at 0.5 s" in tip.text
    for text in ("p50", "200\u00a0µs", "p99.9", "2.40\u00a0ms", "max", "9.00\u00a0ms"):
        assert text in tip.text, tip.text


@pytest.mark.parametrize("width", [500, 1200])
@pytest.mark.parametrize("make", [run_result, compare_result])
def test_nothing_is_wider_than_the_window_and_nothing_moves_when_it_is_drawn(shards, folder, make, width):
    # Before a chart is drawn it is an empty box: taking the drawings away must leave all else where it is.
    measure = ("const root = document.documentElement, tall = root.scrollHeight; root.dataset.wider = root.scrollWidth - root.clientWidth;"
               "for (const svg of document.querySelectorAll('.plot svg')) svg.remove(); root.dataset.moved = root.scrollHeight - tall;")
    page = open_page(folder, make(), after=measure, width=width)
    assert_drawn(page, "compare" if make is compare_result else "run")
    assert (page.html["data-wider"], page.html["data-moved"]) == ("0", "0")
