# SPDX-License-Identifier: Apache-2.0
"""The tests of what the plain ports offer, through TLS: the same functions, collected once more, against a gateway whose clients and
publishers speak TLS. Those that take long, or look at what TLS does not change, are left to the plain ports."""
import test_conformance
import test_fanout
import test_ingest
import test_json
import test_slow

OVER_TLS = True
SETTINGS = {**test_conformance.SETTINGS}

WHOLE = [test_conformance]
CHOSEN = []

for _module in WHOLE:
    for _name, _what in vars(_module).items():
        if _name.startswith("test_"):
            globals()[_name] = _what
for _what in CHOSEN:
    globals()[_what.__name__] = _what
