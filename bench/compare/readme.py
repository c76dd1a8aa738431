# SPDX-License-Identifier: Apache-2.0
"""The figures in the README at the top: a region between two marks, made from the recorded results alone."""
import json
import os
import shutil

from servers import ROOT, Failed
from summary import better, marked, number, unit

README = os.path.join(ROOT, "README.md")
RECORDED = os.path.join(ROOT, "bench", "compare", "results.json")
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"


def load(path):
    try:
        with open(path, encoding="utf-8") as f:
            result = json.load(f)
    except OSError as e:
        raise Failed(f"{path}: {e.strerror}; make it with: make compare ARGS='--json {path}'") from None
    except ValueError as e:
        raise Failed(f"{path} is not JSON ({e}); make it with: make compare ARGS='--json {path}'") from None
    if not isinstance(result, dict) or result.get("ringcast_compare") != 1:
        raise Failed(f"{path} was not written by bench/compare; make it with: make compare ARGS='--json {path}'")
    return result


def columns(result):
    """Every server of any case, ringcast first, floors last."""
    found = {}
    for case in result["cases"]:
        for r in case["rows"]:
            found.setdefault(r["server"], r["kind"])
    kinds = ["gateway", "peer", "floor"]
    return sorted(found, key=lambda name: (kinds.index(found[name]), list(found).index(name)))


def heading(case, key):
    what = {"deliveries_per_second": "million deliveries a second", "published_per_second": "million events a second",
            "cpu_ns_per_delivery": "server CPU a delivery, µs", "cpu_ns_per_event": "server CPU an event, ns", "startup_seconds": "ms",
            "rss_per_client": "bytes"}.get(key, unit(key))
    return f"{case['title']}: {what}"


def keys_of(case):
    """The primary figure, and for fan-out the other one that is compared."""
    more = {"deliveries_per_second": ["cpu_ns_per_delivery"], "p99": ["p50"], "published_per_second": ["cpu_ns_per_event"]}.get(case["primary"], [])
    return [case["primary"], *more]


def cell(r, key):
    value = (r or {}).get("median", {}).get(key)
    if value is None:
        return ""
    times = better(r, key)
    return number(key, value) + (f" ({times})" if times else "")


def text(result):
    """What stands between the marks."""
    host, settings = result["host"], result["settings"]
    servers = columns(result)
    versions = {r["server"]: r["version"] for case in result["cases"] for r in case["rows"] if r.get("version")}
    lines = [
        f"Medians of {result['rounds']} round{'s' * (result['rounds'] > 1)} with windows of {settings['seconds']:g} s, all in one run on "
        f"{result['started'][:10]}: {host['cpu']}, {host['cpus']} CPUs, Linux {host['kernel']}; server on one CPU, generator on another. "
        "In brackets: how many times better ringcast is.",
        "",
        "| | " + " | ".join(f"{s} {versions[s]}" if s in versions else s for s in servers) + " |",
        "| --- |" + " ---: |" * len(servers),
    ]
    for case in result["cases"]:
        rows = {r["server"]: r for r in case["rows"]}
        for key in keys_of(case):
            lines.append("| " + " | ".join([heading(case, key), *(cell(rows.get(s), key) for s in servers)]) + " |")
    lines += ["", "| what it must reach | measured | |", "| --- | ---: | --- |"]
    titles = {case["name"]: case["title"] for case in result["cases"]}
    for t in result["targets"]:
        value = "" if t["value"] is None else f"{t['value']:.2f}" if t["unit"] == "ratio" else number(t["unit"], t["value"])
        met = {True: "met", False: "not met", None: "not measured"}[t["met"]]
        lines.append(f"| {titles[t['case']]}: {t['text']} | {value} | {met} |")
    skipped = {f"{case['name']}, {r['server']}: {r['skipped']}" for case in result["cases"] for r in case["rows"] if "skipped" in r}
    if skipped:
        lines += ["", "Not measured: " + "; ".join(sorted(skipped)) + "."]
    without = [f"{case['name']}, {r['server']}" for case in result["cases"] for r in case["rows"]
               if "skipped" not in r and not r["median"]]
    if without:
        lines += ["", "Without a figure, for the reasons in results.json: " + "; ".join(without) + "."]
    remarks = [f"{case['name']}, {r['server']}, {note.rstrip('.')}" for case in result["cases"] for r in case["rows"]
               if "skipped" not in r and r["median"] for note in r["notes"] if ": disturbed, " not in note]
    if remarks:
        lines += ["", "To be known of the figures: " + "; ".join(remarks) + "."]
    disturbed = sorted({f"{case['name']}, {r['server']}" for case in result["cases"] for r in case["rows"]
                        if marked(r)})
    if disturbed:
        lines += ["", "Others wanted the same CPUs while these ran: " + "; ".join(disturbed) + "."]
    return "\n".join(lines) + "\n"


def parts(path):
    with open(path, encoding="utf-8") as f:
        whole = f.read()
    if whole.count(BEGIN) != 1 or whole.count(END) != 1 or whole.index(BEGIN) > whole.index(END):
        raise Failed(f"{path} has no region between {BEGIN.strip()} and {END.strip()}; put the two lines back")
    head, rest = whole.split(BEGIN)
    region, tail = rest.split(END)
    return head, region, tail


def update(results, readme=README, recorded=RECORDED):
    """Records the results and makes the region of them."""
    result = load(results)
    head, _, tail = parts(readme)
    if not os.path.exists(recorded) or not os.path.samefile(results, recorded):
        shutil.copyfile(results, recorded)
    with open(readme, "w", encoding="utf-8") as f:
        f.write(head + BEGIN + text(result) + END + tail)


def is_true(readme=README, recorded=RECORDED):
    """The region is what the recorded results give."""
    return parts(readme)[1] == text(load(recorded))
