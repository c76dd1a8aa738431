# SPDX-License-Identifier: Apache-2.0
"""The JavaScript client in Chromium: connections that are cut, tabs that sleep, pages that are loaded anew, and networks without WebSocket. Each event comes once and in order."""
import pytest

import rcbrowser

SCRIPT = "browser_client.mjs"
SHORT = {"connects, publishes, asks and hears", "the way is cut again and again", "as a classic script: the global ringcast"}


@pytest.mark.deadline(120)
@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in SHORT else pytest.mark.web) for n in rcbrowser.cases(SCRIPT)])
def test_the_client_in_chromium(name):
    rcbrowser.case(SCRIPT, name)
