# SPDX-License-Identifier: Apache-2.0
"""Services: who they are by token, digest or certificate, what their scopes let them do on the ingest port and over HTTP, and what
becomes of them when their file changes."""
import base64
import hashlib
import hmac
import json
import os
import time

import pytest

from rcgateway import run
from rchttp import Http
from rcingest import Publisher, Wire, batch, broadcast, hello, publish
from rcws import JsonClient

ORDERS, READER, CASTER, BOSS = ("token-of-orders-1", "token-of-reader-2", "token-of-caster-3", "token-of-the-boss")
KEY = "a-secret-of-at-least-thirty-two-bytes!"


class Services:
    """The file, which can be replaced by another."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "services")
        self.put(f"orders token:{ORDERS} publish=orders:** publish=one",
                 f"reader sha256:{hashlib.sha256(READER.encode()).hexdigest()} read  # looks",
                 f"caster token:{CASTER} publish broadcast",
                 f"boss token:{BOSS} admin")

    def put(self, *lines, mode=0o600):
        with open(self.path + ".new", "w", opener=lambda p, f: os.open(p, f, mode)) as f:
            f.write("# services\n" + "".join(line + "\n" for line in lines))
        os.rename(self.path + ".new", self.path)

    @property
    def settings(self):
        return {"auth.services": self.path}


@pytest.fixture
def services(folder):
    return Services(folder)


def bearer(token):
    return "Authorization: Bearer " + token


def jwt(**claims):
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")
    signed = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()) + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.new(KEY.encode(), signed, "sha256").digest())).decode()


def refused(g, token, code=Wire.ERROR_UNAUTHORIZED, address=None):
    p = Publisher.open(address or g.ingest)
    p.send_bytes(hello("", token))
    p.expect_error(code, closes=True)


def nack(p, sent, code=Wire.NACK_FORBIDDEN):
    p.send_bytes(sent)
    assert p.expect("NACK").code == code


def test_publisher_ids_of_one_service_are_not_those_of_another(gateway, services):
    """Else who may publish a little could end the connection of any other, and have its events taken for ones that came before."""
    g = gateway({**services.settings, "auth.hmac_secret": KEY, "ingest.token": "the-single-token-of-all"})
    caster = Publisher.greeted(g.ingest, "main", token=CASTER)
    caster.publish("one", "1")
    for token in (ORDERS, "the-single-token-of-all", jwt(sub="caster", scope="ringcast:publish", exp=int(time.time()) + 600)):
        p = Publisher.greeted(g.ingest, "main", token=token)
        assert p.welcome.last_sequence == 0
        p.sequence = 1000
        p.publish("one", "2")
    caster.publish("one", "3")
    again = Publisher.greeted(g.ingest, "main", token=CASTER)
    assert again.welcome.last_sequence == 2
    caster.expect("BYE")
    # Another token of the same service is the same service.
    services.put("caster token:another-of-caster publish")
    g.wait_line(r"tokens: .*1 service$")
    assert Publisher.greeted(g.ingest, "main", token="another-of-caster").welcome.last_sequence == 2


def test_a_publishers_token_is_good_for_as_long_as_it_is_taken(gateway):
    g = gateway({"auth.hmac_secret": KEY, "auth.leeway": "10m"})
    p = Publisher.greeted(g.ingest, token=jwt(sub="s", scope="ringcast:publish", exp=int(time.time()) - 5))
    p.publish("news", "1")


def test_publisher_does_what_its_scopes_say_and_nothing_else(gateway, services):
    g = gateway({**services.settings, "namespace.trace": "yes"})
    c = JsonClient.greeted(g.http)
    c.subscribe("orders:1", "one", "two")
    p = Publisher.greeted(g.ingest, token=ORDERS)
    p.send_bytes(publish(1, "orders:1", "1") + publish(2, "one", "2"))
    nack(p, publish(3, "two", "3"))
    nack(p, publish(4, "orders", "4"))
    nack(p, broadcast(5, "5"))
    p.send_bytes(batch([(6, "orders:1", "6"), (7, "two", "7"), (8, "orders:1", "8")]))
    assert p.expect("NACK").sequence == 7
    assert sorted(c.next_event()["data"] for _ in range(4)) == [1, 2, 6, 8]
    while p.acked < 8:
        p.expect("ACK")
    # One that may publish everywhere and broadcast.
    q = Publisher.greeted(g.ingest, token=CASTER)
    q.send_bytes(publish(1, "two", "9") + broadcast(2, "10"))
    assert {c.next_event()["data"] for _ in range(2)} == {9, 10}
    nack(Publisher.greeted(g.ingest, token=READER), publish(1, "two", "1"))
    assert g.counter("events_refused_forbidden") == 5


def test_wrong_token_is_refused_and_counted_wherever_it_comes(gateway, services):
    g = gateway(services.settings)
    for token in ("", "token-of-nobody-0", ORDERS[:-1], ORDERS + "1", "sha256:" + READER):
        refused(g, token)
    h = Http(g.http)
    for line in (bearer("token-of-nobody-0"), bearer(""), "Authorization: Basic eDp5"):
        r = h.get("/api/status", line)
        assert r.status == 401 and r.json["error"]["code"] == "unauthorized"
        assert "Bearer" in r.headers["www-authenticate"]
    r = h.get("/api/status", bearer(BOSS), bearer(BOSS))
    assert r.status in (400, 401)
    assert g.counter("auth_failed_ingest") == 5
    assert g.counter("auth_failed_http") >= 3


def test_requests_need_the_scope_of_their_route(gateway, services):
    g = gateway(services.settings)
    h = Http(g.http)
    may = {
        ORDERS: {"orders:1": 200, "one": 200, "two": 403, "/api/broadcast": 403, "/api/status": 403, "/metrics": 403},
        READER: {"orders:1": 403, "/api/broadcast": 403, "/api/status": 200, "/api/channels": 200, "/metrics": 200},
        CASTER: {"two": 200, "/api/broadcast": 200, "/api/status": 403},
        BOSS: {"two": 200, "/api/broadcast": 200, "/api/status": 200, "/api/laggards": 200},
    }
    for token, rows in may.items():
        for what, status in rows.items():
            if what == "/api/broadcast":
                r = h.publish({"data": 1}, bearer(token), path=what)
            elif what.startswith("/"):
                r = h.get(what, bearer(token))
            else:
                r = h.publish({"channel": what, "data": 1}, bearer(token))
            assert r.status == status, (token, what, r.status, r.body)
            if status == 403 and what != "/metrics":
                assert r.json["error"]["code"] == "forbidden"
    # Among several events each is judged.
    r = h.publish([{"channel": "one", "data": 1}, {"channel": "two", "data": 2}], bearer(ORDERS))
    assert r.status == 200 and "position" in r.json["results"][0]
    assert r.json["results"][1]["error"]["code"] == "forbidden"
    # A body that comes later is judged by the token of its head.
    raw = json.dumps({"channel": "two", "data": 1}).encode()
    h.send("POST", "/api/publish", bearer(ORDERS), f"Content-Length: {len(raw)}", length=False)
    h.send_bytes(raw)
    assert h.answer().status == 403
    assert g.counter("http_forbidden") >= 6


def test_key_of_one_service_tells_another_nothing(gateway, services):
    g = gateway(services.settings)
    h = Http(g.http)
    event = {"channel": "one", "data": 1}
    assert h.publish(event, bearer(ORDERS), "Idempotency-Key: k").status == 200
    assert h.publish(event, bearer(ORDERS), "Idempotency-Key: k").headers["idempotent-replayed"] == "true"
    assert h.publish(event, bearer(CASTER), "Idempotency-Key: k").status == 422


def test_single_tokens_go_on_beside_the_file(gateway, services):
    g = gateway({**services.settings, "ingest.token": "the-token-of-ingest", "admin.token": "the-token-of-admin"})
    c = JsonClient.greeted(g.http)
    c.subscribe("two")
    p = Publisher.greeted(g.ingest, token="the-token-of-ingest")
    p.send_bytes(publish(1, "two", "1") + broadcast(2, "2"))
    assert {c.next_event()["data"] for _ in range(2)} == {1, 2}
    Publisher.greeted(g.ingest, token=ORDERS)
    h = Http(g.http)
    assert h.get("/api/status", bearer("the-token-of-admin")).status == 200
    # Each is for its own place.
    assert h.get("/api/status", bearer("the-token-of-ingest")).status == 401
    refused(g, "the-token-of-admin")


@pytest.mark.one_shard
def test_certificates_stand_for_services(gateway, services, pki):
    services.put("edge-7 certificate:edge-7 publish=metrics:**")
    g = gateway({**services.settings, "tls.ingest_listen": "127.0.0.1:0", "tls.publishers": "required", "tls.client_ca": pki.roots}, pki=pki)
    c = JsonClient.greeted(g.http)
    c.subscribe("metrics:a")
    p = Publisher.greeted(g.ingest.using(client=pki.client("edge-7")))
    p.send_bytes(publish(1, "metrics:a", "1"))
    assert c.next_event()["data"] == 1
    nack(p, publish(2, "two", "2"))
    refused(g, "", address=g.ingest.using(client=pki.client("edge-8")))


@pytest.mark.tsan
def test_reload_changes_rights_and_ends_who_is_not_there_any_more(gateway, services):
    g = gateway(services.settings)
    stays, goes = Publisher.greeted(g.ingest, token=ORDERS), Publisher.greeted(g.ingest, token=CASTER)
    nack(stays, publish(1, "two", "1"))
    nothing = Http(g.http)
    assert nothing.get("/api/status", bearer(CASTER)).status == 403
    services.put(f"orders token:{ORDERS} publish=two", f"other token:{BOSS} read")
    goes.expect_error(Wire.ERROR_UNAUTHORIZED, closes=True)
    refused(g, CASTER)
    c = JsonClient.greeted(g.http)
    c.subscribe("two")
    # Each shard follows at its next turn; until then it is refused.
    sequence = 2
    while True:
        stays.send_bytes(publish(sequence, "two", str(sequence), flags=Wire.FLAG_JSON | Wire.FLAG_WANT_ACK))
        while sequence not in stays.nacks and stays.acked < sequence:
            stays.take()
        if sequence not in stays.nacks:
            break
        sequence += 1
    assert c.next_event()["data"] == sequence
    # A wrong file leaves the old one in place.
    services.put(f"orders token:{ORDERS} fly")
    g.wait_line(r"not reloaded, the old ones stay: .*services:2: fly is no scope")
    Publisher.greeted(g.ingest, token=ORDERS)
    g.until_counter("auth_reloads_failed", 1)


def test_signed_token_is_a_service_by_its_scope(gateway, services):
    g = gateway({**services.settings, "auth.hmac_secret": KEY})
    exp = int(time.time()) + 600
    good = jwt(sub="billing", scope="openid ringcast:publish ringcast:read", publish=["orders:*"], exp=exp)
    p = Publisher.greeted(g.ingest, token=good)
    p.send_bytes(publish(1, "orders:1", "1"))
    p.expect("ACK")
    nack(p, publish(2, "two", "2"))
    h = Http(g.http)
    assert h.publish({"channel": "orders:2", "data": 1}, bearer(good)).status == 200
    assert h.publish({"channel": "two", "data": 1}, bearer(good)).status == 403
    assert h.get("/api/status", bearer(good)).status == 200
    assert h.publish({"data": 1}, bearer(good), path="/api/broadcast").status == 403
    # A client's token is none of a service, whatever it may publish, and whatever words its issuer has for others.
    for client in (jwt(sub="bob", publish=["**"], exp=exp), jwt(sub="bob", publish=["**"], scope="read admin publish", exp=exp)):
        refused(g, client)
        assert h.get("/api/status", bearer(client)).status == 401
    refused(g, jwt(sub="billing", scope="ringcast:publish", exp=1))
    refused(g, good[:-2] + ("aa" if good[-2:] != "aa" else "bb"))


@pytest.mark.one_shard
def test_publisher_whose_signed_token_expires_is_told(gateway, services):
    g = gateway({**services.settings, "auth.hmac_secret": KEY, "auth.leeway": "0s", "heartbeat": "1s"})
    p = Publisher.greeted(g.ingest, token=jwt(sub="s", scope="ringcast:publish", exp=int(time.time()) + 2))
    p.expect_error(Wire.ERROR_UNAUTHORIZED, closes=True)


@pytest.mark.one_shard
def test_bad_file_is_refused_at_start_and_one_that_all_can_read_is_told(gateway, services, folder):
    services.put(f"orders token:{ORDERS} publish", "twice token:short send")
    done = run(["serve", "--listen", "127.0.0.1:0", "--ingest", "127.0.0.1:0", "--set", f"auth.services={services.path}"], folder)
    assert done.returncode == 1 and "services:3: a token is 16 to 1024" in done.stderr
    assert "short" not in done.stderr
    services.put(f"orders token:{ORDERS} publish", mode=0o644)
    g = gateway(services.settings)
    g.wait_line("file of services can be read by everybody")
    g.wait_line(r"tokens: 1 service$")
