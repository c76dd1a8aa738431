# SPDX-License-Identifier: Apache-2.0
"""Which certificate a client is shown and what is stapled to it; which certificates of clients and publishers are taken, and who they are then."""
import os
import re
import shutil
import subprocess

import pytest

from deadline import SLOW, eventually
from rcingest import Publisher, Wire, hello
from rctls import openssl
from rcws import Closed, JsonClient, Stream, open_socket, read_response

OVER_TLS = True
# Nothing here depends on who makes the records.
pytestmark = [pytest.mark.one_path]
VERSIONS = ["1.2", "1.3"]
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# What a client sees that is turned away: an alert, or the end before it could read one.
TURNED_AWAY = (OSError, Closed)


def subject(sock):
    return dict(part[0] for part in sock.tls.getpeercert()["subject"])["commonName"]


def shown(address):
    with Stream(open_socket(address)) as s:
        s.send_bytes(HEALTH)
        assert read_response(s).status == 200
        return subject(s.sock)


# ---- which of the server's

def folder_of_certificates(pki, folder):
    """a.example with a key beside it, *.wild.example with the key within, and one of RSA."""
    at = os.path.join(folder, "certificates")
    os.mkdir(at)
    a = pki.server("a.example", ["DNS:a.example", "DNS:b.example"])
    shutil.copy(a.certificate, f"{at}/a.pem")
    shutil.copy(a.key, f"{at}/a.key")
    wild = pki.server("wild.example", ["DNS:*.wild.example"])
    with open(f"{at}/wild.pem", "w") as out:
        for part in wild:
            with open(part) as f:
                out.write(f.read())
    os.chmod(f"{at}/wild.pem", 0o600)
    old = pki.server("rsa.example", ["DNS:rsa.example"], kind="rsa")
    shutil.copy(old.certificate, f"{at}/old.crt")
    shutil.copy(old.key, f"{at}/old.key")
    return at


NAMES = [("a.example", "a.example"), ("b.example", "a.example"), ("A.Example", "a.example"), ("one.wild.example", "wild.example"),
         ("rsa.example", "rsa.example"), ("localhost", "server"),
         # Nobody's: the default one.
         ("wild.example", "server"), ("two.one.wild.example", "server"), ("elsewhere.example", "server"), ("", "server")]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_certificate_is_chosen_by_the_name_that_is_asked_for(gateway, pki, folder, version):
    g = gateway({"tls.certificate_folder": folder_of_certificates(pki, folder)})
    for asked, expected in NAMES:
        address = g.http.using(version=version, any_name=True)
        address.name = asked or None
        assert shown(address) == expected, asked
    # The publishers' port knows them as well.
    address = g.ingest.using(version=version, any_name=True, name="a.example")
    with Publisher.greeted(address) as p:
        assert subject(p.sock) == "a.example"


@pytest.mark.one_shard
def test_a_name_is_verified_by_the_client_itself(gateway, pki, folder):
    g = gateway({"tls.certificate_folder": folder_of_certificates(pki, folder)})
    for name in ("a.example", "b.example", "x.wild.example", "rsa.example", "localhost"):
        with JsonClient.greeted(g.http.using(name=name)) as ws:
            ws.close()


def status(g, name):
    done = subprocess.run(["openssl", "s_client", "-connect", "{}:{}".format(*g.http), "-servername", name, "-status", "-CAfile", g.pki.roots],
                          input=HEALTH, capture_output=True, timeout=30 * SLOW)
    return done.stdout.decode(errors="replace")


def test_an_ocsp_response_is_stapled_to_the_certificate_that_it_is_for(gateway, pki, folder):
    at = folder_of_certificates(pki, folder)
    staple = pki.issuer.ocsp(pki.server().certificate, f"{folder}/server.ocsp")
    pki.issuer.ocsp(f"{at}/a.pem", f"{at}/a.ocsp")
    g = gateway({"tls.certificate_folder": at, "tls.ocsp": staple})
    for name in ("localhost", "a.example"):
        said = status(g, name)
        assert "OCSP Response Status: successful" in said and "Cert Status: good" in said, said
    serials = {name: re.search(r"Serial Number: (\w+)", status(g, name)).group(1) for name in ("localhost", "a.example")}
    assert serials["localhost"] != serials["a.example"]
    assert "OCSP response: no response sent" in status(g, "rsa.example")


# ---- certificates of clients

def test_clients_may_show_a_certificate_where_it_is_optional(gateway, pki):
    g = gateway({"tls.client_ca": pki.roots, "tls.clients": "optional"})
    for version in VERSIONS:
        for client in (None, pki.client("someone")):
            with JsonClient.greeted(g.http.using(version=version, client=client)) as ws:
                ws.barrier()
    assert g.counter("tls_full") == 4 and g.counter("tls_failed_client_cert") == 0


def wrong_ones(pki):
    return {"expired": pki.client("expired", days=(-20, -2)), "of a stranger": pki.client("foreign", by=pki.stranger),
            "not valid yet": pki.client("early", days=(5, 20)), "a server's": pki.server("localhost")}


@pytest.mark.tsan
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("ask", ["optional", "required"])
def test_a_certificate_that_is_shown_must_be_right(gateway, pki, connect, ask, version):
    g = gateway({"tls.client_ca": pki.roots, "tls.clients": ask, "tls.publishers": ask})
    good = JsonClient.greeted(g.http.using(version=version, client=pki.client("someone")))
    for n, (what, pair) in enumerate(wrong_ones(pki).items(), 1):
        with pytest.raises(TURNED_AWAY):
            JsonClient.greeted(g.http.using(version=version, client=pair))
        with pytest.raises(TURNED_AWAY):
            Publisher.greeted(g.ingest.using(version=version, client=pair))
        g.until_counter("tls_failed_client_cert", 2 * n)
    with good:
        good.barrier()
    assert g.counter("publishers_opened") == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_nobody_comes_in_without_one_where_it_is_required(gateway, pki, version):
    g = gateway({"tls.client_ca": pki.roots, "tls.clients": "required", "tls.publishers": "required"})
    with pytest.raises(TURNED_AWAY):
        JsonClient.greeted(g.http.using(version=version))
    with pytest.raises(TURNED_AWAY):
        Publisher.greeted(g.ingest.using(version=version))
    g.until_counter("tls_failed_client_cert", 2)
    with JsonClient.greeted(g.http.using(version=version, client=pki.client("someone"))) as ws, \
            Publisher.greeted(g.ingest.using(version=version, client=pki.client("someone"))) as p:
        ws.subscribe("a")
        p.publish("a", "1")
        assert ws.next_event()["data"] == 1


# ---- who a publisher is

REQUIRED = {"tls.publishers": "required"}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_name_in_the_certificate_is_the_publishers_id(gateway, pki, version):
    g = gateway({"tls.client_ca": pki.roots, **REQUIRED})
    address = g.ingest.using(version=version, client=pki.client("pub-1"))
    with Publisher.greeted(address) as p:
        for _ in range(3):
            p.publish("a", "1")
    # By its own name, or by none: the same one.
    for n, ident in enumerate(["", "pub-1"]):
        with Publisher.greeted(address, ident) as p:
            assert p.welcome.last_sequence == 3 + n
            p.publish("a", "1")
    with Publisher.open(address) as p:
        p.send_bytes(hello("pub-2"))
        p.expect_error(Wire.ERROR_UNAUTHORIZED, closes=True)
        p.assert_ended_properly()


def test_without_a_common_name_it_is_the_first_alternative_one(gateway, pki):
    g = gateway({"tls.client_ca": pki.roots, **REQUIRED})
    for number, (names, ident) in enumerate([(["DNS:unit-7.example", "DNS:other.example"], "unit-7.example"),
                                             (["URI:device:9"], "device:9")]):
        address = g.ingest.using(client=pki.client(f"nameless-{number}", common="", names=names))
        with Publisher.greeted(address) as p:
            p.publish("a", "1")
        with Publisher.greeted(address, ident) as p:
            assert p.welcome.last_sequence == 1
        with Publisher.open(address) as p:
            p.send_bytes(hello("other.example"))
            p.expect_error(Wire.ERROR_UNAUTHORIZED, closes=True)


@pytest.mark.parametrize("common", ["", "Jörg"], ids=["none", "not ASCII"])
def test_a_certificate_without_a_usable_name_opens_nothing(gateway, pki, common):
    g = gateway({"tls.client_ca": pki.roots, **REQUIRED})
    for version in VERSIONS:
        with pytest.raises(TURNED_AWAY):
            Publisher.greeted(g.ingest.using(version=version, client=pki.client(f"odd-{len(common)}", common=common)), "pub-1")
    g.until_counter("tls_failed_client_cert", 2)
    assert g.counter("publishers_opened") == 0


def test_a_certificate_is_as_good_as_the_token(gateway, pki):
    g = gateway({"tls.client_ca": pki.roots, "tls.publishers": "optional", "ingest.token": "s3cret-s3cret-s3cret"})
    with Publisher.open(g.ingest) as p:
        p.send_bytes(hello("pub-1"))
        p.expect_error(Wire.ERROR_UNAUTHORIZED, closes=True)
    with Publisher.greeted(g.ingest, "anyone", "s3cret-s3cret-s3cret") as p:
        p.publish("a", "1")
    with Publisher.greeted(g.ingest.using(client=pki.client("pub-1"))) as p:
        p.publish("a", "1")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_resumed_session_is_still_the_same_publisher(gateway, pki, version):
    g = gateway({"tls.client_ca": pki.roots, **REQUIRED})
    address = g.ingest.using(version=version, client=pki.client("pub-1"))
    with Publisher.greeted(address) as p:
        p.publish("a", "1")
        session = p.sock.session()
    again = address.using(session=session)
    with Publisher.greeted(again) as p:
        assert p.sock.tls.session_reused and p.welcome.last_sequence == 1
    with Publisher.open(again) as p:
        assert p.sock.tls.session_reused
        p.send_bytes(hello("pub-2"))
        p.expect_error(Wire.ERROR_UNAUTHORIZED, closes=True)
    assert g.counter("tls_resumed") == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_of_the_port_that_asks_for_nothing_does_not_open_the_one_that_does(gateway, pki, version):
    g = gateway({"tls.client_ca": pki.roots, **REQUIRED})
    address = g.http.using(version=version)
    with JsonClient.greeted(address) as ws:
        ws.barrier()
        session = ws.sock.session()
    ingest = g.ingest.using(version=version, session=session)
    ingest._context = address.context
    with pytest.raises(TURNED_AWAY):
        Publisher.greeted(ingest, "pub-1")
    eventually(lambda: sum(v for k, v in g.counters().items() if k.startswith("tls_failed")), "it is counted as failed")
    assert g.counter("publishers_opened") == 0 and g.counter("tls_resumed") == 0


# ---- files that are wrong at the start

def damaged(path, folder):
    with open(path) as f:
        lines = f.read().splitlines()
    lines[3] = "!" + lines[3][1:]
    out = os.path.join(folder, "damaged.pem")
    with open(out, "w") as f:
        f.write("\n".join(lines) + "\n")
    return out


def wrong_settings(pki, folder):
    """name: (settings, the file that is named, words of the reason)"""
    good, other = pki.server(), pki.server("other")
    expired = pki.server("expired", days=(-30, -3))
    early = pki.server("early", days=(3, 30))
    text, empty = os.path.join(folder, "text.pem"), os.path.join(folder, "empty.pem")
    with open(text, "w") as f:
        f.write("this is no certificate\n")
    open(empty, "w").close()
    broken = damaged(good.certificate, folder)
    locked = os.path.join(folder, "locked.key")
    openssl("ec", "-in", good.key, "-aes128", "-passout", "pass:x", "-out", locked)
    return {
        "no file": ({"tls.certificate": folder + "/none.pem"}, folder + "/none.pem", "No such file"),
        "a folder": ({"tls.certificate": folder}, folder, "not a file"),
        "not PEM": ({"tls.certificate": text}, text, "not PEM"),
        "empty": ({"tls.certificate": empty}, empty, "PEM"),
        "damaged": ({"tls.certificate": broken}, broken, "damaged"),
        "key of another": ({"tls.key": other.key}, other.key, "key"),
        "no key": ({"tls.key": ""}, good.certificate, "key"),
        "a key with a passphrase": ({"tls.key": locked}, locked, "passphrase"),
        "expired": ({"tls.certificate": expired.certificate, "tls.key": expired.key}, expired.certificate, "expired"),
        "not valid yet": ({"tls.certificate": early.certificate, "tls.key": early.key}, early.certificate, "not valid before"),
        "OCSP of no shape": ({"tls.ocsp": text}, text, "OCSP"),
        "no authority": ({"tls.client_ca": text, "tls.clients": "optional"}, text, "PEM"),
        "no folder": ({"tls.certificate_folder": folder + "/none"}, folder + "/none", "No such file"),
    }


WRONG = ["no file", "a folder", "not PEM", "empty", "damaged", "key of another", "no key", "a key with a passphrase", "expired", "not valid yet",
         "OCSP of no shape", "no authority", "no folder"]


@pytest.mark.one_shard
@pytest.mark.parametrize("what", WRONG)
def test_a_start_with_a_wrong_file_is_refused_with_file_and_reason(gateway, pki, folder, what):
    settings, file, reason = wrong_settings(pki, folder)[what]
    g = gateway(settings, ready=False)
    assert g.wait() == 1
    last = g.log.splitlines()[-1]
    assert file in last and reason in last, g.log
    assert "listening" not in g.log


@pytest.mark.one_shard
def test_what_does_not_fit_together_is_refused(gateway, pki):
    for settings, words in (({"tls.clients": "required"}, "client_ca"), ({"tls.publishers": "optional"}, "client_ca"),
                            ({"tls.listen": "0.0.0.0:0", "tls.ingest_listen": "0.0.0.0:0"}, "token")):
        g = gateway(settings, ready=False)
        assert g.wait() in (1, 2)
        assert words in g.log, g.log
