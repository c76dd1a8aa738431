# SPDX-License-Identifier: Apache-2.0
"""History, recovery and event streams through TLS: the tests of other files, collected once more."""
import test_history
import test_history_patterns
import test_history_replay
import test_history_requests
import test_sse
import test_sse_recovery

OVER_TLS = True
TWO_SHARDS = True

# They take long, or look at what lies below the records.
LEFT_OUT = {"test_a_replay_takes_no_more_memory_than_its_share", "test_histories_of_channels_that_nobody_reads_go_with_their_time",
            "test_when_all_memory_is_history_who_is_slow_is_still_served"}

for _module in (test_history, test_history_patterns, test_history_replay, test_history_requests, test_sse, test_sse_recovery):
    for _name, _what in vars(_module).items():
        if _name.startswith("test_") and callable(_what) and _name not in LEFT_OUT:
            assert _name not in globals(), f"two tests are called {_name}"
            globals()[_name] = _what
