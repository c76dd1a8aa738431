# SPDX-License-Identifier: Apache-2.0
"""The property test of streams, through TLS."""
from test_streams_property import test_every_clients_stream_is_complete_up_to_what_it_was_told  # noqa: F401

OVER_TLS = True
