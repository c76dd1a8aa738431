# SPDX-License-Identifier: Apache-2.0
"""What clients are offered on the plain port, through TLS: the tests of other files, collected once more. Those of what publishers are
offered, and of the streams of events, are in test_tls_streams.py."""
import test_conformance
import test_http
import test_json

OVER_TLS = True
# What one shard shows, the files themselves show.
TWO_SHARDS = True
SETTINGS = {"echo": "yes"}

for _module in (test_conformance, test_json):
    for _name, _what in vars(_module).items():
        if _name.startswith("test_") and callable(_what) or _name == "echo":
            globals()[_name] = _what
for _what in (test_http.test_an_upgrade_may_be_cut_at_every_byte, test_http.test_a_slow_head_is_408):
    globals()[_what.__name__] = _what
