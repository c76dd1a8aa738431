# SPDX-License-Identifier: Apache-2.0
"""ringcast-load against a server that is wrong on purpose: each fault is reported as what it is, in the channel where it was, and ends the
run with status 1. What is not a fault is not reported, and what it counts is what the server counted."""
import pytest

import load_faults as wrong
from load_server import Server
from rcload import FAULTS, assert_faults, assert_ok, assert_refused

pytestmark = pytest.mark.one_shard

# On a busy machine the generator may be the limit of what it measures, which these are not about.
SHORT = ["--warm", "0.1", "--seconds", "0.4", "--drain", "0.5", "--quiet", "--own-limit"]
# Two clients with a channel each, which some faults need; 200 events a second in all.
TWO = ["users", "--clients", "2", "--rate", "400", *SHORT]
ONE = ["fanout", "--clients", "3", "--rate", "300", *SHORT]


def channel_of(event):
    return [event.channel]


# ---- nothing is wrong

@pytest.mark.parametrize("behaviour", [wrong.Honest, wrong.Ragged, wrong.Together, wrong.FlipEnvelope],
                         ids=["as it should be", "frames cut anywhere", "frames together", "a letter of the envelope"])
def test_a_server_that_delivers_everything_is_ok(load, behaviour):
    with Server(behaviour()) as s:
        r = load(*ONE, *s.urls)
    assert_ok(r)
    assert r.told == 0 and r.clients["closed"] == 0


def test_what_it_counts_is_what_the_server_counted(load):
    with Server() as s:
        # Without a warm-up the window is nearly all there is; what is published in it is counted by both to the last event.
        r = load("channels", "--clients", "12", "--channels", "4", "--subscriptions", "2", "--spread", "even", "--rate", "400", "--warm", "0", "--seconds", "1.5",
                 "--quiet", "--own-limit", *s.urls)
    assert_ok(r)
    assert s.clients == r.clients["opened"] == 12
    published, sent = sum(s.published.values()), sum(s.sent.values())
    # 12 clients with 2 of 4 channels: 6 of each.
    assert sent == 6 * published
    assert len(s.published) == 4
    assert r.total["published"] == published and r.total["deliveries"] == sent, (r.total, published, sent)


def test_in_a_closed_loop_the_counts_are_the_servers_too(load):
    with Server() as s:
        r = load("fanout", "--clients", "5", "--in-flight", "4", "--warm", "0", "--seconds", "1", "--quiet", "--own-limit", *s.urls)
    assert_ok(r)
    published, sent = sum(s.published.values()), sum(s.sent.values())
    assert sent == 5 * published > 0
    assert r.total["published"] == published and r.total["deliveries"] == sent


def test_echoes_are_counted_on_both_sides(load):
    with Server() as s:
        r = load("echo", "--clients", "4", "--in-flight", "2", "--warm", "0", "--seconds", "1", "--quiet", "--own-limit",
                 "--echo-url", f"ws://127.0.0.1:{s.http[1]}/echo")
    assert_ok(r)
    assert r.total["deliveries"] == s.echoed > 0


def test_what_is_only_published_is_counted_on_both_sides(load):
    with Server() as s:
        r = load("publish", "--publishers", "2", "--in-flight", "8", "--warm", "0", "--seconds", "1", "--quiet", "--own-limit", *s.urls)
    assert_ok(r)
    assert r.total["published"] == sum(s.published.values()) > 0
    assert s.feeds == 2
    assert s.clients == 0


# ---- loss, duplicates, order, corruption

def test_a_dropped_event_is_lost_in_its_channel(load):
    fault = wrong.Drop(client=1, nth=20)
    with Server(fault) as s:
        r = load(*TWO, *s.urls)
    assert_faults(r, lost=1, channels=channel_of(fault.done))


def test_each_dropped_event_counts(load):
    fault = wrong.Drop(client=0, nth=10, count=7)
    with Server(fault) as s:
        r = load(*ONE, *s.urls)
    assert_faults(r, lost=7, channels=channel_of(fault.done))


def test_the_first_event_is_missed_too(load):
    fault = wrong.Drop(client=2, nth=1)
    with Server(fault) as s:
        r = load(*ONE, *s.urls)
    assert_faults(r, lost=1)


def test_the_last_events_are_missed_too(load):
    # No later event shows the hole: it is known from what was published.
    fault = wrong.Drop(client=0, nth=60, count=1000000)
    with Server(fault) as s:
        r = load(*ONE, *s.urls)
    published = sum(s.published.values())
    assert published > 60
    assert_faults(r, lost=published - 59, channels=channel_of(fault.done))


def test_an_event_that_comes_twice_is_a_duplicate(load):
    fault = wrong.Twice(client=1, nth=20)
    with Server(fault) as s:
        r = load(*TWO, *s.urls)
    assert_faults(r, duplicated=1, channels=channel_of(fault.done))


def test_two_that_changed_places_are_one_reordered_and_none_lost(load):
    fault = wrong.Swap(client=1, nth=20)
    with Server(fault) as s:
        r = load(*TWO, *s.urls)
    assert_faults(r, reordered=1, channels=channel_of(fault.done))


@pytest.mark.parametrize("place", [9, 20, 30, 57, 64, -1], ids=lambda p: f"byte {p}")
def test_a_flipped_byte_is_corruption(load, place):
    fault = wrong.FlipPayload(client=0, nth=20, place=place)
    with Server(fault) as s:
        r = load(*TWO, "--payload", "200", *s.urls)
    # The event that it was never came.
    assert_faults(r, lost=1, corrupted=1)


@pytest.mark.parametrize("place", [0, 7], ids=lambda p: f"byte {p}")
def test_an_event_that_can_no_longer_be_recognized_is_lost(load, place):
    fault = wrong.FlipPayload(client=0, nth=20, place=place)
    with Server(fault) as s:
        r = load(*TWO, *s.urls)
    assert_faults(r, lost=1, channels=channel_of(fault.done))


def test_an_event_of_a_channel_that_nobody_asked_for_is_foreign(load):
    fault = wrong.OtherChannel(client=0, nth=20)
    with Server(fault) as s:
        r = load(*TWO, *s.urls)
    assert_faults(r, foreign=1, channels=channel_of(fault.done))


def test_what_the_server_says_it_left_out_is_told_and_not_lost(load):
    fault = wrong.Told(client=1, nth=20, count=3)
    with Server(fault) as s:
        r = load(*ONE, *s.urls)
    assert r.told == 3, str(r)
    assert all(r.faults[kind] == 0 for kind in FAULTS), str(r)


@pytest.mark.parametrize("fault", [wrong.Masked, wrong.Garbage], ids=["masked", "garbage"])
def test_a_frame_that_no_server_may_send_is_corruption(load, fault):
    with Server(fault(client=0, nth=20)) as s:
        r = load(*ONE, *s.urls)
    assert r.status == 1, str(r)
    assert r.faults["corrupted"] >= 1, str(r)


@pytest.mark.parametrize("fault", [wrong.CloseClient, wrong.ResetClient, wrong.HalfFrame], ids=["close frame", "reset", "inside a frame"])
def test_a_client_that_is_closed_is_counted_and_faulty(load, fault):
    with Server(fault(client=1, nth=20)) as s:
        r = load(*ONE, *s.urls)
    assert r.status == 1 and r.json["verdict"] == "faulty", str(r)
    assert r.clients["closed"] == 1, str(r)
    assert r.clients["open"] == 2, str(r)


def test_an_end_that_comes_with_the_last_event_is_seen(load):
    class Farewell(wrong.Honest):
        def deliver(self, client, event):
            client.send_event(event)
            if event.offset == 20:
                client.transport.close()

    with Server(Farewell()) as s:
        r = load("fanout", "--clients", "100", "--rate", "300", *SHORT, *s.urls)
    assert r.status == 1, str(r)
    assert r.clients["closed"] == 100 and r.clients["open"] == 0, str(r)
    assert all(r.faults[kind] == 0 for kind in FAULTS), str(r)


def test_a_client_with_a_fault_does_not_hide_those_of_others(load):
    class Both(wrong.Drop):
        def deliver(self, client, event):
            super().deliver(client, event)
            if client.number == 2 and client.taken == 30:
                client.send_event(event)

    with Server(Both(client=0, nth=20)) as s:
        r = load(*ONE, *s.urls)
    assert_faults(r, lost=1, duplicated=1)


def test_more_channels_with_faults_than_it_keeps_apart_are_all_counted(load):
    class First(wrong.Honest):
        """Every channel loses its second event."""

        def deliver(self, client, event):
            if event.offset != 2:
                client.send_event(event)

    with Server(First()) as s:
        r = load("users", "--clients", "100", "--rate", "800", *SHORT, *s.urls)
    assert r.status == 1, str(r)
    assert r.faults["lost"] == sum(n >= 2 for n in s.published.values()) == 100, str(r)
    assert 10 <= len(r.faults["channels"]) <= 64


@pytest.mark.tsan
def test_faults_are_found_by_several_threads(load):
    fault = wrong.Drop(client=3, nth=20)
    with Server(fault) as s:
        r = load("fanout", "--clients", "8", "--rate", "300", "--threads", "2", *SHORT, *s.urls)
    assert_faults(r, lost=1, channels=channel_of(fault.done))


# ---- commands

COMMAND = ["command", "--clients", "3", *SHORT]


def test_commands_and_answers_are_counted_on_both_sides(load):
    with Server() as s:
        r = load("command", "--clients", "4", "--in-flight", "3", "--backends", "2", "--payload", "200", "--reply-size", "5000", "--warm", "0",
                 "--seconds", "0.7", "--quiet", "--own-limit", *s.urls)
    assert_ok(r)
    assert s.feeds == 2 and s.clients == 4
    assert r.total["published"] == s.commands > 0
    assert r.total["deliveries"] == r.total["answered"] == s.answers == s.commands
    assert r.window["bytes"] == 5000 * r.window["deliveries"]


@pytest.mark.parametrize("fault, found", [(wrong.AnswerLost, {"lost": 1}), (wrong.AnswerTwice, {"duplicated": 1}),
                                          (wrong.AnswerOfAnother, {"foreign": 1}), (wrong.AnswerToAnother, {"foreign": 1}),
                                          (wrong.AnswerWithoutNumber, {"foreign": 1}), (wrong.AnswerFlipped, {"lost": 1, "corrupted": 1})],
                         ids=["lost", "twice", "another's data", "another's number", "no number", "a flipped byte"])
def test_an_answer_that_is_not_as_it_should_be(load, fault, found):
    fault = fault(client=1)
    with Server(fault) as s:
        r = load(*COMMAND, *s.urls)
    assert fault.done
    # Those of client 1 are counted as its channel's, but in frames of which nothing can be read.
    assert_faults(r, **found, channels=["load:1"] if "corrupted" not in found else None)
    assert r.total["deliveries"] == r.total["published"] - found.get("lost", 0)


def test_a_command_that_is_refused_is_counted_with_the_servers_words(load):
    with Server(wrong.CommandRefused(client=1)) as s:
        r = load(*COMMAND, *s.urls)
    assert r.status == 1, str(r)
    assert "1 command was refused" in r.notes and "try later" in r.notes, str(r)
    # Its client goes on.
    assert all(r.faults[kind] == 0 for kind in FAULTS), str(r)
    assert r.total["deliveries"] == r.total["published"] - 1


@pytest.mark.parametrize("fault", [wrong.CommandFlipped, wrong.CommandMisnamed], ids=["a flipped byte", "another id"])
def test_a_command_that_reaches_its_backend_altered_is_seen_there(load, fault):
    with Server(fault()) as s:
        r = load(*COMMAND, *s.urls)
    # It is not answered.
    assert_faults(r, corrupted=1, lost=1)


@pytest.mark.parametrize("fault, words", [(wrong.BackendNotAllowed, "no scope backend"), (wrong.BackendGetsNothing, "no commands")],
                         ids=["not allowed", "no credit"])
def test_a_backend_that_is_not_taken(load, fault, words):
    with Server(fault()) as s:
        r = load(*COMMAND, *s.urls)
    assert_refused(r, words)


# ---- waits

def stalled(load, seconds, *args):
    """One run in whose middle the server stands still for a second."""
    with Server(wrong.Stall(after=0.7)) as s:
        return load("fanout", "--clients", "2", "--warm", "0.3", "--seconds", seconds, "--quiet", "--own-limit", *args, *s.urls)


def test_in_an_open_loop_everybody_who_waited_is_counted(load):
    window, rate = 2.5, 100
    r = stalled(load, window, "--rate", rate)
    assert r.status == 0, str(r)
    # 1 of 2.5 seconds stood still: 40 % of the events waited, evenly from 0 to 1 s. So a tenth of all waited longer than 0.75 s, a
    # hundredth longer than 0.975 s. Noise can only add to it; a generator that leaves out waits would show 1 event of 250.
    q = r.latency
    assert q["count"] == 2 * r.ack["count"]
    assert 0.9e9 < q["max"] < 4e9, str(r)
    assert q["p99"] > 0.88e9, str(r)
    assert 0.65e9 < q["p90"] < 3e9, str(r)
    waited = sum(n for low, _, n in q["buckets"] if low > 0.1e9) / q["count"]
    assert waited > 0.30, str(r)
    # Those that did not wait are there as well.
    assert sum(n for low, _, n in q["buckets"] if low < 0.5e9) / q["count"] > 0.4, str(r)


def test_in_a_closed_loop_only_those_in_flight_waited(load):
    window = 2
    r = stalled(load, window, "--in-flight", "2")
    assert r.status == 0, str(r)
    q = r.latency
    assert 0.9e9 < q["max"] < 4e9, str(r)
    # At most 2 events, 2 clients each: the stall is the maximum and not a percentile.
    assert sum(n for low, _, n in q["buckets"] if low > 0.6e9) <= 8, str(r)
    assert q["p50"] < 0.5e9, str(r)


def test_the_stall_shows_when_it_was(load):
    rate, clients = 100, 2
    r = stalled(load, 2.5, "--rate", rate)
    samples = [s for s in r.timeline if s["t"] >= 0 and s["max"] is not None]
    assert max(s["max"] for s in samples) == pytest.approx(r.latency["max"], rel=0.1), r.timeline
    # What remains of the window behind a sample, when that is less than 50 ms, is in the next one.
    more = sum(s["deliveries"] for s in samples) - r.window["deliveries"]
    assert abs(more) <= 2 * 0.05 * rate * clients, r.timeline


# ---- coming in

def test_a_server_that_answers_503_is_reported_before_anything_is_measured(load):
    with Server(wrong.Unavailable()) as s:
        r = load(*ONE, *s.urls)
    assert_refused(r, "503")


def test_a_server_that_never_answers_the_upgrade(load):
    with Server(wrong.Silent()) as s:
        r = load(*ONE, "--connect-timeout", "1", *s.urls)
    assert_refused(r, "did not answer")


def test_a_server_that_closes_at_once(load):
    with Server(wrong.Slammed()) as s:
        r = load(*ONE, *s.urls)
    assert_refused(r, "closed")


def test_a_subscription_that_is_refused(load):
    with Server(wrong.Refused()) as s:
        r = load(*ONE, *s.urls)
    assert_refused(r, "refused")


def test_a_subscription_that_is_never_acknowledged(load):
    with Server(wrong.NeverSubscribed()) as s:
        r = load(*ONE, "--connect-timeout", "1", *s.urls)
    assert_refused(r)


# ---- publishing

def test_a_publisher_that_is_refused_an_event(load):
    with Server(wrong.Refuses(nth=60)) as s:
        r = load(*ONE, *s.urls)
    assert r.status == 1, str(r)
    assert "refused" in r.notes, str(r)


def test_a_publisher_whose_connection_ends(load):
    with Server(wrong.ClosesFeed(nth=60)) as s:
        r = load(*ONE, *s.urls)
    assert r.status == 1, str(r)
    assert "closed" in r.notes, str(r)


def test_a_server_that_never_acknowledges(load):
    with Server(wrong.NeverAcknowledges()) as s:
        r = load("publish", "--publishers", "1", "--in-flight", "8", *SHORT, *s.urls)
    assert r.status == 1, str(r)
    assert r.window["acked"] == 0 and "acknowledged" in r.notes, str(r)


@pytest.mark.parametrize("behaviour, word", [(wrong.WrongGreeting, "greet"), (wrong.OldVersion, "version"), (wrong.RefusedHello, "token")],
                         ids=["another protocol", "another version", "refused"])
def test_a_publisher_that_is_not_greeted_properly(load, behaviour, word):
    with Server(behaviour()) as s:
        r = load(*ONE, *s.urls)
    assert_refused(r, word)


def test_a_publisher_that_is_not_greeted_at_all(load):
    with Server(wrong.NoGreeting()) as s:
        r = load(*ONE, "--connect-timeout", "1", *s.urls)
    assert_refused(r)


# ---- coming back

STORM = ["storm", "--clients", "10", "--channels", "1", "--rate", "1000", "--share", "100", "--storm-after", "0.3", "--warm", "0.2",
         "--seconds", "1", "--drain", "0.7", "--quiet", "--own-limit"]


def test_who_came_back_and_was_acknowledged_is_owed_what_follows(load):
    """Being away excuses only what was published until the new subscription was acknowledged."""
    with Server(wrong.DeafToTheReturned(10)) as s:
        r = load(*STORM, *s.urls)
    assert r.status == 1, r
    assert r.clients["returned"] == 10
    # 700 ms of the window and nothing for anybody.
    assert r.faults["lost"] > 10 * 100, r.faults
    assert r.missed_away < r.faults["lost"]


def test_a_storm_with_recovery_misses_nothing(load):
    with Server() as s:
        r = load(*STORM, "--recover", *s.urls)
    assert_ok(r)
    assert r.clients["dropped"] == r.clients["returned"] == 10
    assert r.clients["storm_seconds"] > 0
    assert s.clients == 20
    assert r.missed_away == 0
    # What came again of what was seen already does not count twice.
    assert r.total["deliveries"] == 10 * r.total["published"], r.total


def test_what_was_published_meanwhile_is_no_fault_without_recovery(load):
    with Server() as s:
        r = load(*STORM, *s.urls)
    assert_ok(r)
    assert r.missed_away > 0
    assert r.total["deliveries"] + r.missed_away == 10 * r.total["published"], r.total


def test_a_recovery_that_leaves_something_out_is_loss(load):
    fault = wrong.Forgetful()
    with Server(fault) as s:
        r = load(*STORM, "--recover", *s.urls)
    assert fault.forgotten > 0
    assert_faults(r, lost=fault.forgotten)
