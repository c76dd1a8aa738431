# SPDX-License-Identifier: Apache-2.0
"""What both paths of TLS do alike: everything that goes over the plain ports, in records of every form; ends, renewals, resumption."""
import pytest
from rcrecords import Records
from rcws import JsonClient
OVER_TLS = True

@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_smoke(gateway, connect, publisher, version):
    g = gateway({"echo": "yes"})
    for how in (g.http.using(version=version), g.http.using(Records, version=version)):
        with JsonClient.greeted(how) as ws, publisher(g) as p:
            ws.subscribe("a")
            p.publish("a", "1")
            assert ws.next_event()["data"] == 1
            ws.close()
