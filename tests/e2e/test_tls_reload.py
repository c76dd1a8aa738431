# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: other certificates for those who come, nothing at all for those who are there; and when the new files are wrong, the old ones."""
import os
import shutil
import signal

import pytest

import test_tls_certificates as certificates
from deadline import background, eventually
from rcingest import Publisher
from rcrecords import raw_socket
from rctls import TlsSocket
from rcws import JsonClient
from swarm import Swarm
from test_tls import resumed

OVER_TLS = TWO_SHARDS = True
VERSIONS = ["1.2", "1.3"]
CLIENTS = 200


class Live:
    """The files that a gateway reads, which can be replaced by others."""

    def __init__(self, folder):
        self.certificate, self.key, self.ocsp = (os.path.join(folder, "live." + kind) for kind in ("pem", "key", "ocsp"))

    def put(self, pair):
        """As tools do it: a new file under the old name. The two are not replaced at the same moment."""
        for new, place in zip(pair, (self.certificate, self.key)):
            shutil.copy(new, place + ".new")
            os.rename(place + ".new", place)

    @property
    def settings(self):
        return {"tls.certificate": self.certificate, "tls.key": self.key}


@pytest.fixture
def live(folder, pki):
    files = Live(folder)
    files.put(pki.server("first"))
    return files


def said(g, words):
    return sum(words in line for line in g.log.splitlines())


def reload(g, words="certificates reloaded"):
    """SIGHUP, and until it is answered and every shard has taken it up; the line."""
    before, shards = said(g, words), g.counters_by_shard()
    g.signal(signal.SIGHUP)
    eventually(lambda: said(g, words) > before, f"the gateway says {words!r}")
    if words == "certificates reloaded":
        eventually(lambda: all(new["tls_reloads"] > old["tls_reloads"] for new, old in zip(g.counters_by_shard(), shards)),
                   "every shard has the new ones")
    return [line for line in g.log.splitlines() if words in line][-1]


@pytest.mark.tsan
@pytest.mark.deadline(120)
def test_two_hundred_clients_stay_and_miss_nothing_while_certificates_change(gateway, live, pki, shards):
    g = gateway({**live.settings, "tls.max_handshakes_per_address": "1000"})
    others = [pki.server("second"), pki.server("third", kind="rsa"), pki.server("first")]
    with Swarm(g.http) as swarm, Publisher.greeted(g.ingest, "steady") as p:
        members = swarm.open(["/ws?channel=a"] * CLIENTS)
        swarm.pump(lambda: all(m.messages for m in members), "everybody has subscribed")
        ended = []

        def publish():
            for n in range(300):
                p.publish("a", str(n))
            ended.append(True)

        with background(publish):
            for n in range(1, 7):
                pair = others[n % 3]
                live.put(pair)
                reload(g)
                # Who comes now sees the new one, on both ports and in both versions.
                for version in VERSIONS:
                    assert certificates.shown(g.http.using(version=version)) == os.path.basename(pair.certificate)[:-4]
                with Publisher.greeted(g.ingest) as q:
                    assert certificates.subject(q.sock) == os.path.basename(pair.certificate)[:-4]
                swarm.pump(lambda: all(len(m.messages) > 30 * n for m in members), "the stream goes on")
            swarm.pump(lambda: all(len(m.messages) > 300 for m in members), "everybody has every event")
        assert ended
        for m in members:
            assert not m.ended and [e["data"] for e in m.of_type("event")] == list(range(300))
        assert g.counter("tls_reloads") == 6 * shards and g.counter("clients_closed") == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_outlive_a_reload(gateway, live, pki, version):
    g = gateway(live.settings)
    session, _ = resumed(g, version)
    live.put(pki.server("second"))
    reload(g)
    session, was = resumed(g, version, session)
    assert was
    assert resumed(g, version, session)[1]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_handshake_under_way_is_not_disturbed(gateway, live, pki, version):
    g = gateway(live.settings)
    address = g.http.using(version=version)
    halves = []
    for n in (0, 50, None):
        s = TlsSocket(raw_socket(address), address, handshake=False)
        s.hold = True
        s.handshake_step()
        hello = s.outgoing.read()
        s.raw.sendall(hello[:n])
        halves.append((s, hello[n:] if n is not None else b""))
    g.until_counter("tls_handshaking", 3)
    for name in ("second", "first", "second"):
        live.put(pki.server(name))
        reload(g)
    for s, rest in halves:
        s.hold = False
        s.raw.sendall(rest)
        s.handshake()
        with JsonClient(s) as ws:
            ws.send_bytes(certificates.HEALTH)
            assert certificates.read_response(ws).status == 200


def test_names_and_staples_are_read_again(gateway, pki, folder, live):
    at = certificates.folder_of_certificates(pki, folder)
    g = gateway({**live.settings, "tls.certificate_folder": at, "tls.ocsp": pki.issuer.ocsp(live.certificate, live.ocsp)})
    asked = g.http.using(any_name=True, name="late.example")
    assert certificates.shown(asked) == "first"
    serial = certificates.status(g, "localhost").split("Serial Number: ")[1].split()[0]
    late = pki.server("late.example", ["DNS:late.example"])
    shutil.copy(late.certificate, f"{at}/late.pem")
    shutil.copy(late.key, f"{at}/late.key")
    os.remove(f"{at}/a.pem")
    os.remove(f"{at}/a.key")
    live.put(pki.server("second"))
    pki.issuer.ocsp(live.certificate, live.ocsp)
    reload(g)
    assert certificates.shown(asked) == "late.example"
    assert certificates.shown(g.http.using(any_name=True, name="a.example")) == "second"
    assert certificates.status(g, "localhost").split("Serial Number: ")[1].split()[0] != serial


@pytest.mark.one_path
@pytest.mark.parametrize("what", certificates.WRONG)
def test_a_wrong_file_leaves_the_old_ones_and_is_named(gateway, connect, live, pki, folder, what):
    """The same wrong things as at the start, put where the right ones were."""
    settings, file, reason = certificates.wrong_settings(pki, folder)[what]
    places = {"tls.certificate": live.certificate, "tls.key": live.key, "tls.ocsp": live.ocsp, "tls.client_ca": f"{folder}/ca.pem",
              "tls.certificate_folder": f"{folder}/more"}
    os.mkdir(places["tls.certificate_folder"])
    shutil.copy(pki.roots, places["tls.client_ca"])
    pki.issuer.ocsp(live.certificate, live.ocsp)
    if what == "no key":
        settings = {"tls.key": folder + "/none.key"}
        file, reason = settings["tls.key"], "No such file"
    g = gateway({**live.settings, **{k: places[k] for k in ("tls.ocsp", "tls.client_ca", "tls.certificate_folder")}, "tls.clients": "optional"})
    ws = connect(g)
    kept = {}
    for key, wrong in settings.items():
        place = places.get(key)
        if not place:
            continue
        kept[place] = place + ".kept"
        os.rename(place, kept[place])
        if os.path.isfile(wrong):
            shutil.copy(wrong, place)
        elif os.path.isdir(wrong):
            os.mkdir(place)
        file = place if file == wrong else file
    line = reload(g, "the old ones go on serving")
    assert file in line and reason in line, line
    ws.barrier()
    assert certificates.shown(g.http) == "first" and g.counter("tls_reloads") == 0
    for place, old in kept.items():
        if os.path.isdir(place):
            os.rmdir(place)
        os.replace(old, place)
    live.put(pki.server("second"))
    pki.issuer.ocsp(live.certificate, live.ocsp)
    reload(g)
    assert certificates.shown(g.http) == "second"
    ws.barrier()


@pytest.mark.tsan
def test_many_reloads_in_a_row_end_with_the_newest(gateway, connect, live, pki):
    g = gateway(live.settings)
    ws = connect(g)
    for n in range(100):
        g.signal(signal.SIGHUP)
        if n % 10 == 0:
            assert certificates.shown(g.http) == "first"
    live.put(pki.server("second"))
    # One that comes while the one before is still being taken up is refused with a sentence, or is one with it.
    eventually(lambda: g.signal(signal.SIGHUP) or certificates.shown(g.http) == "second", "the new one is served", every=0.1)
    ws.barrier()


def test_a_key_that_everybody_can_read_is_told_of(gateway, live):
    os.chmod(live.key, 0o644)
    g = gateway(live.settings)
    assert any("warn" in line and live.key in line for line in g.log.splitlines()), g.log
    os.chmod(live.key, 0o600)
    before = said(g, live.key)
    reload(g)
    assert said(g, live.key) == before


@pytest.mark.parametrize("version", VERSIONS)
def test_an_authority_that_is_taken_out_takes_its_sessions_along(gateway, folder, live, pki, version):
    """A ticket is no way round the authorities that count now."""
    roots = os.path.join(folder, "clients.pem")
    shutil.copy(pki.roots, roots)
    g = gateway({**live.settings, "tls.client_ca": roots, **certificates.REQUIRED})
    address = g.ingest.using(version=version, client=pki.client("pub-1"))
    with Publisher.greeted(address) as p:
        p.publish("a", "1")
        session = p.sock.session()
    with Publisher.greeted(address.using(session=session)) as p:
        session = p.sock.session()
    assert g.counter("tls_resumed") == 1
    shutil.copy(pki.stranger.certificate, roots)
    reload(g)
    with pytest.raises(certificates.TURNED_AWAY):
        Publisher.greeted(address.using(session=session))
    assert g.counter("tls_resumed") == 1
    # And who counts now comes in.
    with Publisher.greeted(g.ingest.using(version=version, client=pki.client("pub-2", by=pki.stranger))) as p:
        p.publish("a", "1")


@pytest.mark.one_path
@pytest.mark.one_shard
def test_a_certificate_that_ends_soon_is_told_of(gateway, pki):
    pair = pki.server("soon", days=(-1, 5))
    g = gateway({"tls.certificate": pair.certificate, "tls.key": pair.key})
    assert any("warn" in line and pair.certificate in line for line in g.log.splitlines()), g.log


@pytest.mark.one_path
@pytest.mark.one_shard
def test_sighup_without_tls_is_answered_and_does_no_harm(gateway):
    g = gateway({}, pki=None)
    before = len(g.log.splitlines())
    g.signal(signal.SIGHUP)
    eventually(lambda: len(g.log.splitlines()) > before, "it says something")
    with JsonClient.greeted(g.http) as ws:
        ws.barrier()
