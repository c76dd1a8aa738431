# SPDX-License-Identifier: Apache-2.0
"""The micro-benchmarks and bench/compare-micro, which compares two runs of them. No gateway."""
import importlib.machinery
import importlib.util
import itertools
import json
import os
import subprocess

import pytest

import rccompile

ROOT = rccompile.ROOT
COMPARE = os.path.join(ROOT, "bench/compare-micro")
pytestmark = [pytest.mark.one_shard, pytest.mark.deadline(420)]


@pytest.fixture(scope="module")
def micro():
    loader = importlib.machinery.SourceFileLoader("compare_micro", COMPARE)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare_micro", loader))
    loader.exec_module(module)
    return module


# ---- the test

def test_u_counts_the_pairs_and_a_tie_is_half_of_one(shards, micro):
    assert micro.u_statistic([1, 2, 3], [4, 5, 6]) == 9
    assert micro.u_statistic([4, 5, 6], [1, 2, 3]) == 0
    assert micro.u_statistic([1, 3], [2, 4]) == 3
    assert micro.u_statistic([1, 2], [2, 2]) == 3
    # The tortoises and the hare of the textbooks: T H H H H H T T T T T H.
    tortoise, hare = [1, 7, 8, 9, 10, 11], [2, 3, 4, 5, 6, 12]
    assert micro.u_statistic(tortoise, hare) == 11 and micro.u_statistic(hare, tortoise) == 25


@pytest.mark.parametrize("m, n", [(1, 1), (2, 3), (3, 3), (4, 3), (4, 4), (5, 4)])
def test_exact_p_is_what_counting_all_orders_gives(shards, micro, m, n):
    places = range(m + n)
    count = {}
    for second in itertools.combinations(places, n):
        u = micro.u_statistic([p for p in places if p not in second], list(second))
        count[u] = count.get(u, 0) + 1
    total = sum(count.values())
    for u in range(m * n + 1):
        assert micro.arrangements(m, n, u) == count.get(u, 0)
        low = min(u, m * n - u)
        assert micro.exact_p(m, n, u) == pytest.approx(min(1, 2 * sum(c for v, c in count.items() if v <= low) / total))


@pytest.mark.parametrize("m, n, critical", [(4, 4, 0), (5, 5, 2), (6, 6, 5), (8, 8, 13), (10, 10, 23), (15, 15, 64),
                                            (20, 20, 127), (5, 8, 6), (7, 10, 14)])
def test_exact_p_agrees_with_the_printed_tables_at_five_percent(shards, micro, m, n, critical):
    assert micro.exact_p(m, n, critical) <= 0.05 < micro.exact_p(m, n, critical + 1)


def test_normal_p_is_close_to_the_exact_one(shards, micro):
    for u in range(20, 380, 20):
        a, b = [0] * 20, [0] * 20
        exact = micro.exact_p(20, 20, u)
        # Values that have this U: the second ones win u pairs, no ties.
        wins, order = u, []
        for i in range(20):
            take = min(20, wins)
            wins -= take
            order.append(take)
        a = [float(i) for i in range(20)]
        b = [take - 0.5 + i * 0.001 for i, take in enumerate(order)]
        assert micro.u_statistic(a, b) == u
        assert micro.normal_p(a, b, u) == pytest.approx(exact, abs=0.01)


def test_ties_go_by_the_normal_distribution_and_all_equal_shows_nothing(shards, micro):
    assert micro.mann_whitney([5, 5, 5], [5, 5, 5]) == (4.5, 1.0)
    u, p = micro.mann_whitney([1, 1, 2, 2, 3], [2, 3, 3, 4, 4])
    assert u == 3 + 4.5 + 4.5 + 5 + 5
    # By hand: variance 25/12 * (11 - (6 + 24 + 24 + 6) / 90) = 21.53, z = (22 - 12.5 - 0.5) / 4.640 = 1.940
    assert p == pytest.approx(0.0524, abs=0.0002)


# ---- the verdicts

def write(path, times, skipped=()):
    entries = [{"name": name, "run_name": name, "run_type": "iteration", "repetition_index": i, "cpu_time": t,
                "real_time": t, "time_unit": "ns"} for name, ts in times.items() for i, t in enumerate(ts)]
    entries += [{"name": name + "_mean", "run_name": name, "run_type": "aggregate", "cpu_time": 1e9, "time_unit": "ns"}
                for name in times]
    entries += [{"name": name, "run_name": name, "run_type": "iteration", "error_occurred": True,
                 "error_message": "needs two CPUs"} for name in skipped]
    path.write_text(json.dumps({"context": {}, "benchmarks": entries}))
    return str(path)


def run(*arguments):
    return subprocess.run([COMPARE, *arguments], capture_output=True, text=True, timeout=60)


SLOW, FAST, EVEN = [110 + i / 10 for i in range(7)], [90 + i / 10 for i in range(7)], [100 + i / 10 for i in range(7)]
MIXED = [99.9, 100.05, 100.15, 100.25, 100.33, 100.45, 100.9]


def verdicts(old, new, *arguments):
    done = run(old, new, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return {b["name"]: b["verdict"] for b in json.loads(done.stdout)["benchmarks"]}


def test_each_verdict_is_given_where_it_belongs(shards, tmp_path):
    slightly = [t * 1.01 + 0.7 for t in EVEN]
    old = write(tmp_path / "old", {"a": EVEN, "b": EVEN, "c": EVEN, "d": EVEN[:3], "e": EVEN})
    new = write(tmp_path / "new", {"a": SLOW, "b": FAST, "c": MIXED, "d": SLOW[:3], "e": slightly})
    assert verdicts(old, new) == {"a": "slower", "b": "faster", "c": "no difference shown", "d": "too few repetitions",
                                  "e": "no difference shown"}
    # The last one is certain but small.
    assert verdicts(old, new, "--least", "0.001")["e"] == "slower"
    assert verdicts(old, new, "--filter", "^[ab]$") == {"a": "slower", "b": "faster"}


def test_status_tells_of_what_became_slower_only_when_asked(shards, tmp_path):
    old, new = write(tmp_path / "old", {"a": EVEN}), write(tmp_path / "new", {"a": SLOW})
    assert run(old, new).returncode == 0
    assert run(old, new, "--fail-if-slower").returncode == 1
    assert run(new, old, "--fail-if-slower").returncode == 0
    assert run(old, old, "--fail-if-slower").returncode == 0


def test_what_has_no_counterpart_is_named(shards, tmp_path):
    old = write(tmp_path / "old", {"a": EVEN, "gone": EVEN}, skipped=["across"])
    new = write(tmp_path / "new", {"a": EVEN, "across": EVEN})
    text = run(old, new).stdout
    assert "gone: only in the first" in text
    assert "across: skipped in the first: needs two CPUs" in text


def test_bad_files_get_a_sentence_and_status_2(shards, tmp_path):
    good = write(tmp_path / "good", {"a": EVEN})
    (tmp_path / "bad").write_text("{}")
    for arguments, word in (((good, str(tmp_path / "none")), "can't be read"), ((good, str(tmp_path / "bad")), "is not what"),
                            ((good, write(tmp_path / "other", {"b": EVEN})), "no benchmark is in both"),
                            ((good, good, "--filter", "("), "regular expression")):
        done = run(*arguments)
        assert done.returncode == 2 and word in done.stderr and "Traceback" not in done.stderr, done


# ---- the benchmarks themselves

def test_every_micro_benchmark_runs_and_its_figures_can_be_compared(shards, tmp_path):
    rccompile.make("VARIANT=release", "build/release/bench/micro")
    program = os.path.join(ROOT, "build/release/bench/micro")
    # Half a million subscribers take seconds to set up, and say no more about whether it runs.
    out = str(tmp_path / "bench.json")
    subprocess.run([program, "--benchmark_min_time=0.0001", "--benchmark_filter=-500k", f"--benchmark_out={out}",
                    "--benchmark_out_format=json"], check=True, capture_output=True, timeout=300)
    with open(out) as f:
        found = json.load(f)["benchmarks"]
    said = subprocess.run([program, "--benchmark_list_tests"], check=True, capture_output=True, text=True).stdout.split()
    assert {b["name"] for b in found} == {n for n in said if "500k" not in n}
    skipped = {b["name"]: b["error_message"] for b in found if b.get("error_occurred")}
    if len(os.sched_getaffinity(0)) > 1:
        assert not skipped
    else:
        assert set(skipped) == {"spsc/one_way/64B", "spsc/round_trip/64B"}
    assert all(b["per_item"] > 0 for b in found if b["name"] not in skipped)
    assert set(verdicts(out, out).values()) == {"too few repetitions"}
