# SPDX-License-Identifier: Apache-2.0
"""From the rounds' figures to medians, spread and ratios, and these as tables for people."""
import statistics

# How each figure is shown: (unit, its size, digits after the point). Others are shown as they are.
SHOWN = {
    "deliveries_per_second": ("million/s", 1e6, 3),
    "published_per_second": ("million/s", 1e6, 3),
    "requests_per_second": ("requests/s", 1, 0),
    "cpu_ns_per_request": ("CPU µs", 1e3, 2),
    "back_seconds": ("s", 1, 2),
    "cpu_seconds_back": ("CPU s", 1, 2),
    "p99_before": ("p99 before", 1e6, 2),
    "p99_meanwhile": ("meanwhile", 1e6, 2),
    "cpu_ns_per_delivery": ("CPU µs", 1e3, 3),
    "commands_per_second": ("commands/s", 1, 0),
    "cpu_ns_per_command": ("CPU µs", 1e3, 2),
    "rtt_p50": ("p50 µs", 1e3, 0),
    "rtt_p99": ("p99 µs", 1e3, 0),
    "rtt_p999": ("p99.9 µs", 1e3, 0),
    "cpu_ns_per_event": ("CPU ns", 1, 0),
    "cpu_ns_per_handshake": ("CPU µs", 1e3, 1),
    "handshakes_per_second": ("handshakes/s", 1, 0),
    "p50": ("p50 ms", 1e6, 2),
    "p99": ("p99 ms", 1e6, 2),
    "p999": ("p99.9 ms", 1e6, 2),
    "rss_per_client": ("bytes", 1, 0),
    "startup_seconds": ("ms", 1e-3, 1),
}
HIGHER = ("deliveries_per_second", "published_per_second", "requests_per_second", "handshakes_per_second", "commands_per_second")  # is better; of the others lower is


def unit(key):
    return SHOWN.get(key, (key, 1, 3))[0]


def number(key, value):
    if value is None:
        return "-"
    _, size, digits = SHOWN.get(key, (key, 1, 3))
    return f"{value / size:,.{digits}f}"


def better(r, key):
    """How many times better ringcast is than this row: "3.6×"; "" when that can't be said."""
    value = (r or {}).get("ratio_to_ringcast", {}).get(key)
    if not value or r["server"] == "ringcast":
        return ""
    value = 1 / value if key in HIGHER else value
    return f"{value:.2f}×" if value < 10 else f"{value:,.0f}×"


def row(server, outcomes):
    """One server of one case: outcomes is one of each round, None where there was no such round."""
    keys = []
    for outcome in outcomes:
        keys += [key for key in outcome.figures if key not in keys]
    values = {key: [outcome.figures.get(key) for outcome in outcomes] for key in keys}
    known = {key: [v for v in column if v is not None] for key, column in values.items()}
    return {"server": server.name, "version": server.version, "kind": server.kind, "values": values,
            "median": {key: statistics.median(v) for key, v in known.items()},
            "min": {key: min(v) for key, v in known.items()}, "max": {key: max(v) for key, v in known.items()},
            "ratio_to_ringcast": {}, "notes": notes(outcomes)}


def notes(outcomes):
    found = []
    for index, outcome in enumerate(outcomes):
        if outcome.note:
            found.append(f"round {index + 1}: {outcome.note}")
        if outcome.disturbed:
            found.append(f"round {index + 1}: disturbed, {outcome.disturbed}")
    return found


def add_ratios(case):
    base = next((r.get("median", {}) for r in case["rows"] if r["server"] == "ringcast"), {})
    for r in case["rows"]:
        for key, value in r.get("median", {}).items():
            if base.get(key):
                r["ratio_to_ringcast"][key] = value / base[key]


def ranked(case):
    """Rows with figures, best first, then the others."""
    def place(r):
        value = r.get("median", {}).get(case["primary"])
        return (value is None, 0 if value is None else -value if case["better"] == "higher" else value)
    return sorted(case["rows"], key=place)


def marked(r):
    """It has figures, and some of them were disturbed."""
    return any(": disturbed, " in note for note in r.get("notes", []))


def spread(r, key):
    if len([v for v in r["values"].get(key, []) if v is not None]) < 2:
        return ""
    return f" ({number(key, r['min'][key])} … {number(key, r['max'][key])})"


def show_case(case):
    primary = case["primary"]
    keys = [primary] + sorted({k for r in case["rows"] for k in r.get("median", {}) if k != primary},
                              key=lambda k: list(SHOWN).index(k) if k in SHOWN else len(SHOWN))
    line = "  {:<22} {:>26} {:>9}" + " {:>9}" * (len(keys) - 1)
    print(f"\n{case['title']}  [{case['name']}]")
    print(line.format("", unit(primary), "ringcast", *[unit(k) for k in keys[1:]]).rstrip())
    for r in ranked(case):
        name = f"{r['server']} {r['version']}".strip()
        if "skipped" in r:
            print(f"  {name:<22} skipped: {r['skipped']}")
        elif not r["median"]:
            print(f"  {name:<22} no figure: {(r['notes'] or ['it was not measured'])[0]}")
        else:
            mark = " *" if marked(r) else ""
            cells = [number(primary, r["median"].get(primary)) + spread(r, primary), better(r, primary)]
            cells += [number(k, r["median"].get(k)) for k in keys[1:]]
            print(line.format(name, *cells) + mark)


def show_targets(targets):
    if not targets:
        return
    print("\nTargets for ringcast")
    for t in targets:
        met = {True: "met", False: "NOT met", None: "not measured"}[t["met"]]
        shown = (lambda v: "-" if v is None else f"{v:.2f}") if t["unit"] == "ratio" else \
            lambda v, key=t["unit"]: f"{number(key, v)} {unit(key)}"
        bound = f"{'at least' if t['better'] == 'higher' else 'at most'} {shown(t['bound'])}"
        print(f"  {met:<13} {t['case']:<15} {t['text']}: {shown(t['value'])} ({bound})")


def show(result):
    for case in result["cases"]:
        show_case(case)
    print("\n  ringcast: how many times better it is than the row")
    if any(marked(r) for case in result["cases"] for r in case["rows"]):
        print("  * others wanted these CPUs meanwhile: its deliveries a second and latencies say little")
    for case in result["cases"]:
        for r in case["rows"]:
            # That of a row without figures stands in its row.
            for note in r.get("notes", [])[0 if r.get("median") else 1:]:
                print(f"  {case['name']}, {r['server']}, {note}")
    show_targets(result["targets"])
    for note in result["notes"]:
        print(f"\n{note}")
