# SPDX-License-Identifier: Apache-2.0
"""Compressed messages of clients through TLS, whose records cut and gather what came otherwise than the wire does: tests of the plain port,
collected once more."""
import test_deflate
from test_deflate import client, g, web  # noqa: F401

OVER_TLS = True
TWO_SHARDS = True
SETTINGS = test_deflate.SETTINGS

for _name in ("test_messages_in_all_forms_of_deflate", "test_what_is_more_than_a_turn_inflates_waits_and_others_go_on",
              "test_who_says_all_and_goes_is_heard_to_the_end", "test_what_fits_is_taken_to_the_last_byte", "test_a_bomb_closes_with_1009",
              "test_many_events_in_flight_stay_in_order_and_whole"):
    globals()[_name] = getattr(test_deflate, _name)
