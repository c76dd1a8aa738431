# SPDX-License-Identifier: Apache-2.0
"""What a client says without a WebSocket, through TLS: the tests of the plain port, collected once more."""
import test_say
from test_say import SETTINGS, web  # noqa: F401

OVER_TLS = True
TWO_SHARDS = True

for _name, _what in vars(test_say).items():
    if _name.startswith("test_") and callable(_what):
        globals()[_name] = _what
