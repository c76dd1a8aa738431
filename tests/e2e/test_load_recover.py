# SPDX-License-Identifier: Apache-2.0
"""ringcast-load with clients that recover, and over event streams: against a gateway that keeps a history, and one that does not."""
import pytest

from rchistory import kept
from rcload import assert_ok, assert_refused, gateway_urls
from test_load_run import assert_counted, assert_table

TWO_SHARDS = True
SHORT = ["--warm", "0.2", "--seconds", "2", "--own-limit", "--rate", "500"]


def run(load, g, *args):
    r = load(*args, *SHORT, *gateway_urls(g))
    g.until_counter("clients", 0)
    return r


@pytest.mark.parametrize("away", [0, 0.4])
def test_a_storm_that_recovers_misses_nothing(gateway, load, away):
    g = gateway(kept("load"))
    r = run(load, g, "storm", "--clients", 60, "--share", 50, "--channels", 2, "--storm-after", 0.4, "--storm-away", away, "--recover")
    assert_counted(r, 30)
    assert r.clients["dropped"] == r.clients["returned"] == r.clients["recovered"] == 30 and r.clients["unrecovered"] == 0
    assert r.missed_away == 0 and r.told == 0
    assert r.clients["storm_seconds"] >= away
    if away:
        # 500 a second, on two channels: each missed some.
        assert g.counter("events_replayed") > 30 * 250 * away / 2
    stayed, stormed = r.groups
    assert stayed["before_storm"]["count"] > 0 and stayed["in_storm"]["count"] > 0
    assert stayed["before_storm"]["count"] + stayed["in_storm"]["count"] <= stayed["latency"]["count"]
    assert_table(r, "30 subscriptions recovered, 0 not", "before", "meanwhile")


def test_churn_that_recovers_misses_nothing(gateway, load):
    g = gateway(kept("load"))
    r = run(load, g, "churn", "--clients", 40, "--share", 50, "--channels", 2, "--churn", 40, "--recover")
    assert_counted(r, 20)
    assert r.clients["returned"] > 20 and r.clients["recovered"] >= r.clients["returned"] and r.clients["unrecovered"] == 0


def test_without_a_history_it_is_counted_what_did_not_recover(gateway, load):
    """And is no fault, since the gateway said so."""
    g = gateway()
    r = run(load, g, "storm", "--clients", 60, "--share", 50, "--channels", 1, "--storm-after", 0.4, "--storm-away", 0.4, "--recover")
    assert_ok(r)
    assert r.clients["unrecovered"] > 0 and r.missed_away > 0
    assert g.counter("recoveries_failed") == r.clients["unrecovered"]


def test_fanout_over_event_streams(gateway, load):
    g = gateway(kept("load"))
    urls = ["--url", f"http://127.0.0.1:{g.http[1]}/events?channel={{channel}}", "--publish-url", f"ingest://127.0.0.1:{g.ingest[1]}"]
    r = load("fanout", "--clients", 50, "--channels", 3, "--warm", "0.2", "--seconds", "0.7", "--own-limit", *urls)
    g.until_counter("clients", 0)
    assert_ok(r)
    assert r.total["published"] > 0 and r.clients["open"] == 50


def test_recovery_over_event_streams_is_not_the_generators(gateway, load):
    g = gateway(kept("load"))
    r = load("storm", "--recover", "--url", f"http://127.0.0.1:{g.http[1]}/events?channel={{channel}}", *SHORT)
    assert_refused(r, "--recover=no")


def test_who_stays_away_needs_a_storm(load):
    assert_refused(load("churn", "--storm-away", 1), "storm-away")
