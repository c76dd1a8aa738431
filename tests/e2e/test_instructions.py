# SPDX-License-Identifier: Apache-2.0
"""The instructions of each path (bench/count-instructions): counted twice they are equal, and none grew beyond its record. No gateway."""
import json
import os
import shutil
import subprocess

import pytest

import rccompile

ROOT = rccompile.ROOT
COUNT = os.path.join(ROOT, "bench/count-instructions")
TOLERATED = 0.01
pytestmark = [pytest.mark.one_shard, pytest.mark.deadline(900)]


def count(*arguments):
    return subprocess.run([COUNT, *arguments], capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def counted():
    for tool in ("valgrind", "setarch", "readelf"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    if subprocess.run(["setarch", "-R", "true"], capture_output=True).returncode != 0:
        pytest.skip("setarch -R is refused here: addresses differ from run to run")
    rccompile.make("VARIANT=release", "build/release/bench/instructions")
    done = count("--json", "-")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_second_count_is_equal_to_the_instruction(shards, counted):
    again = json.loads(count("--json", "-").stdout)
    assert again["raw"] == counted["raw"]
    assert again["figures"] == counted["figures"]


def test_every_path_is_recorded_and_no_record_is_left_over(shards, counted):
    assert set(counted["recorded"]) == set(counted["figures"]), "make bench-instructions ARGS=--update"


def test_no_path_costs_more_than_one_percent_above_its_record(shards, counted):
    if counted["made"] != counted["recorded_made"]:
        pytest.skip(f"recorded with {counted['recorded_made']}, this is {counted['made']}")
    over = {name: f"{figure:.2f}, recorded {counted['recorded'][name]:.2f}" for name, figure in counted["figures"].items()
            if figure > counted["recorded"][name] * (1 + TOLERATED)}
    assert not over, f"{over}: look with bench/count-instructions --functions; if it is worth it, make bench-instructions ARGS=--update"


def test_where_the_instructions_are_spent_adds_up(shards, counted):
    """Each function's own cost, the harness's left out, makes the figure."""
    done = count("--functions", "mask_128", "hash_11")
    assert done.returncode == 0, done.stderr
    for name, function in (("mask_128", "rc_ws_mask"), ("hash_11", "rc_hash")):
        row = [line for line in done.stdout.split(f"\n{name}: ")[1].split("\n\n")[0].splitlines() if f" {function} (" in line]
        assert len(row) == 1 and float(row[0].split()[0]) == pytest.approx(counted["figures"][name], abs=0.01)


def test_what_can_not_be_counted_gets_a_sentence_and_status_2(shards, counted):
    for arguments, word in ((("nothing",), "no path nothing; there are: turn,"), (("--program", "/nowhere"), "is not built"),
                            (("--update", "turn"), "only the whole is recorded")):
        done = count(*arguments)
        assert done.returncode == 2 and word in done.stderr and "Traceback" not in done.stderr, done
