# SPDX-License-Identifier: Apache-2.0
"""Events through TLS from publishers to subscribers: the tests of other files, collected once more. Left out is what takes long and does not
depend on who makes the records."""
import test_faults
import test_fanout
import test_ingest
import test_shutdown
import test_slow

OVER_TLS = True
# What one shard shows, the files themselves show.
TWO_SHARDS = True
SETTINGS = {"echo": "yes"}

LEFT_OUT = {"test_channels_that_come_and_go_give_their_memory_back", "test_ids_are_forgotten_after_their_time"}

for _module in (test_fanout, test_ingest, test_slow):
    for _name, _what in vars(_module).items():
        if _name.startswith("test_") and callable(_what) and _name not in LEFT_OUT:
            globals()[_name] = _what
