# SPDX-License-Identifier: Apache-2.0
"""The recorded figures in the READMEs, made from the recorded results alone: all tables in bench/README.md, and a short one of what
counts most in the one at the top. Each stands in a region between two marks; a page may have either, or both.

Each group of cases is a run, a file and a table of its own: those without TLS, those over TLS, those of HTTP.
"""
import json
import os
import re

from measure import LIMITED, WITH_OURS
from servers import ROOT, Failed
from summary import better, marked, number, unit

PAGES = (os.path.join(ROOT, "README.md"), os.path.join(ROOT, "bench", "README.md"))
RECORDED = os.path.join(ROOT, "bench", "compare")
# Group: its file, and what stands above its table.
GROUPS = {
    "": ("results.json", ""),
    "tls": ("results-tls.json", "\n### Over TLS\n\n"),
    "http": ("results-http.json", "\n### HTTP, server-sent events, recovery\n\n"),
    "commands": ("results-commands.json", "\n### Commands and their answers\n\n"),
}
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"
SHORT_BEGIN, SHORT_END = "<!-- summary: begin -->\n", "<!-- summary: end -->\n"
# The short table: group, case, figure.
SHORT = (
    ("", "fanout-64-128", "deliveries_per_second"),
    ("", "fanout-64-1024", "deliveries_per_second"),
    ("", "fanout-1-128", "cpu_ns_per_delivery"),
    ("", "latency", "p99"),
    ("", "memory", "rss_per_client"),
    ("", "ingest", "published_per_second"),
    ("tls", "tls-fanout-64-128", "cpu_ns_per_delivery"),
    ("tls", "memory-tls-all", "rss_per_client"),
    ("tls", "handshakes-13-p256", "cpu_ns_per_handshake"),
    ("commands", "command", "commands_per_second"),
)


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
    """Every server that has a figure in any case, ringcast first, floors last."""
    found = {}
    for case in result["cases"]:
        for r in case["rows"]:
            if r.get("median"):
                found.setdefault(r["server"], r["kind"])
    kinds = ["gateway", "peer", "floor"]
    return sorted(found, key=lambda name: (kinds.index(found[name]), list(found).index(name)))


def heading(case, key):
    what = {"deliveries_per_second": "million deliveries a second", "published_per_second": "million events a second",
            "cpu_ns_per_delivery": "server CPU a delivery, µs", "cpu_ns_per_event": "server CPU an event, ns", "startup_seconds": "ms",
            "commands_per_second": "commands a second", "cpu_ns_per_command": "server CPU a command, µs",
            "requests_per_second": "requests a second", "cpu_ns_per_request": "server CPU a request, µs",
            "back_seconds": "seconds until all are back", "cpu_seconds_back": "seconds of server CPU meanwhile",
            "p99_before": "p99 of those who stay, before, ms", "p99_meanwhile": "the same until all are back, ms",
            "cpu_ns_per_handshake": "server CPU a handshake, µs", "handshakes_per_second": "handshakes a second",
            "rss_per_client": "bytes"}.get(key, unit(key))
    return f"{case['title']}: {what}"


def keys_of(case):
    """The primary figure, and the other ones that are compared."""
    more = {"deliveries_per_second": ["cpu_ns_per_delivery"], "p99": ["p50"], "published_per_second": ["cpu_ns_per_event"],
            "requests_per_second": ["cpu_ns_per_request", "p50", "p99"], "back_seconds": ["cpu_seconds_back", "p99_before", "p99_meanwhile"],
            "cpu_ns_per_handshake": ["handshakes_per_second"]}.get(case["primary"], [])
    if case.get("group") == "commands":
        more = [key for key in ("rtt_p50", "rtt_p99", "commands_per_second", "cpu_ns_per_command") if key != case["primary"]]
    if case.get("tls"):
        more = {"cpu_ns_per_delivery": ["deliveries_per_second"], "p99": ["p50", "cpu_ns_per_delivery", "handshakes_per_second"]}.get(case["primary"], more)
    ours = [r for r in case["rows"] if r["server"] == "ringcast"] or case["rows"]
    return [case["primary"], *(key for key in more if any(key in r.get("median", {}) for r in ours))]


def cell(r, key):
    value = (r or {}).get("median", {}).get(key)
    if value is None:
        return ""
    times = better(r, key)
    return number(key, value) + (f" ({times})" if times else "")


def grouped(found, join):
    """From (case, server, reason) a text with each server and reason once, or each server once."""
    together = {}
    for case, server, reason in sorted(found):
        together.setdefault((server, reason), []).append(case)
    return "; ".join(join.format(server=server, reason=reason, cases=", ".join(cases)) for (server, reason), cases in together.items())


def groups_of(result):
    """Of its cases; files that are older than groups know TLS only."""
    return {case.get("group", "tls" if case.get("tls") else "") for case in result["cases"]}


def text(result):
    """The table of one file, and what is to be known of it."""
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
    if result["targets"]:
        lines += ["", "| what it must reach | measured | |", "| --- | ---: | --- |"]
    titles = {case["name"]: case["title"] for case in result["cases"]}
    for t in result["targets"]:
        value = "" if t["value"] is None else f"{t['value']:.2f}" if t["unit"] == "ratio" else number(t["unit"], t["value"])
        met = {True: "met", False: "not met", None: "not measured"}[t["met"]]
        lines.append(f"| {titles[t['case']]}: {t['text']} | {value} | {met} |")
    skipped = {(case["name"], r["server"], r["skipped"]) for case in result["cases"] for r in case["rows"] if "skipped" in r}
    if skipped:
        lines += ["", "Not measured: " + grouped(skipped, "{server} in {cases}: {reason}") + "."]
    without = [f"{case['name']}, {r['server']}" for case in result["cases"] for r in case["rows"]
               if "skipped" not in r and not r["median"]]
    if without:
        lines += ["", "Without a figure, for the reasons in results.json: " + "; ".join(without) + "."]
    remarks = [f"{case['name']}, {r['server']}, {note.rstrip('.')}" for case in result["cases"] for r in case["rows"]
               if "skipped" not in r and r["median"] for note in r["notes"] if ": disturbed, " not in note and LIMITED not in note and WITH_OURS not in note]
    if remarks:
        lines += ["", "To be known of the figures: " + "; ".join(remarks) + "."]
    limited = {(case["name"], r["server"], "") for case in result["cases"] for r in case["rows"]
               if any(LIMITED in note for note in r.get("notes", []))}
    if limited:
        who = "the generator, which deciphers on one core what the server enciphers on one," if "tls" in groups_of(result) else "the generator"
        lines += ["", f"In these {who} was the limit or was disturbed in at least one "
                  "round, and of that round only the server's CPU time counts: " + grouped(limited, "{server} in {cases}") + "."]
    ours = [f"{case['name']}, {r['server']}" for case in result["cases"] for r in case["rows"]
            if any(WITH_OURS in note for note in r.get("notes", []))]
    if ours:
        lines += ["", "In these the generator was late itself in at least one round, and that is part of the latency: " + "; ".join(ours) + "."]
    disturbed = sorted({f"{case['name']}, {r['server']}" for case in result["cases"] for r in case["rows"]
                        if marked(r)})
    if disturbed:
        lines += ["", "Others wanted the same CPUs while these ran: " + "; ".join(disturbed) + "."]
    return "\n".join(lines) + "\n"


def region(folder):
    """All tables."""
    tables = ""
    for name, title in GROUPS.values():
        path = os.path.join(folder, name)
        if os.path.exists(path):
            tables += title + text(load(path))
    return tables


def short(folder):
    """What counts most, ringcast beside its peers: a column for each that is in any row."""
    results = {group: load(path) for group, (name, _) in GROUPS.items() if os.path.exists(path := os.path.join(folder, name))}
    rows = []
    for group, name, key in SHORT:
        case = next((c for c in results.get(group, {"cases": []})["cases"] if c["name"] == name), None)
        if case:
            rows.append((heading(case, key), {r["server"]: r for r in case["rows"] if r["server"] == "ringcast" or r["kind"] == "peer"}, key))
    servers = [server for result in results.values() for server in columns(result)]
    servers = [s for s in dict.fromkeys(servers) if any(cell(by_name.get(s), key) for _, by_name, key in rows)]
    lines = ["| | " + " | ".join(servers) + " |", "| --- |" + " ---: |" * len(servers)]
    lines += ["| " + " | ".join([title, *(cell(by_name.get(s), key) for s in servers)]) + " |" for title, by_name, key in rows]
    return "\n".join(lines) + "\n"


REGIONS = ((BEGIN, END, region), (SHORT_BEGIN, SHORT_END, short))


def rendered(path, folder):
    """(the page as it is, as it is with its regions made anew)"""
    with open(path, encoding="utf-8") as f:
        whole = made = f.read()
    for begin, end, make in REGIONS:
        if begin not in whole and end not in whole:
            continue
        if whole.count(begin) != 1 or whole.count(end) != 1 or whole.index(begin) > whole.index(end):
            break
        head, rest = made.split(begin)
        made = head + begin + make(folder) + end + rest.split(end)[1]
    else:
        if any(begin in whole for begin, _, _ in REGIONS):
            return whole, made
    raise Failed(f"{path} has no region between {BEGIN.strip()} and {END.strip()}, or the same of a summary; put the two lines back")


def update(results, pages=PAGES, folder=RECORDED):
    """Records the results and makes the regions of the pages."""
    result = load(results)
    groups = groups_of(result)
    if len(groups) != 1:
        raise Failed(f"{results} has cases of several groups, which are recorded apart; measure them apart (--tls, --http, --commands)")
    for page in pages:
        rendered(page, folder)
    # Of the kernel its version; what a builder adds to it says nothing to others.
    result["host"]["kernel"] = re.match(r"\d*(\.\d+)*", result["host"]["kernel"]).group()
    with open(os.path.join(folder, GROUPS[groups.pop()][0]), "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1, ensure_ascii=False)
        f.write("\n")
    for page in pages:
        _, made = rendered(page, folder)
        with open(page, "w", encoding="utf-8") as f:
            f.write(made)


def is_true(pages=PAGES, folder=RECORDED):
    """The regions are what the recorded results give."""
    return all(whole == made for whole, made in (rendered(page, folder) for page in pages))
