# SPDX-License-Identifier: Apache-2.0
"""Behind nginx and HAProxy as Debian has them: with and without PROXY headers, X-Forwarded-For, IPv6, TLS that is passed through or ended in
front. A client is who it is in every case, and hears and says what it would without them."""
import os
import shutil
import tempfile

import pytest

import rcgateway
import rcedge
from rcedge import ADMIN, BEARER, Via, addresses, free_ports
from rchttp import Http
from rcingest import Publisher
from rcsse import SseClient
from rctls import Address
from rcws import JsonClient, WebSocket

# From where clients come, by family. Not the address from which the proxies connect.
CLIENT = {4: "127.0.0.7", 6: "::1"}
PROXIES = "127.0.0.1"
# The ports of each, in order; by the word behind the first: how the gateway learns of the client.
NGINX = ["nginx http x-forwarded-for", "nginx http6 x-forwarded-for", "nginx https x-forwarded-for", "nginx stream proxy-v1",
         "nginx stream6 proxy-v1", "nginx tls proxy-v1", "nginx ingest proxy-v1"]
HAPROXY = ["haproxy http x-forwarded-for", "haproxy http6 x-forwarded-for", "haproxy tcp proxy-v1", "haproxy tcp proxy-v2",
           "haproxy tcp proxy-v2-crc32c", "haproxy tcp6 proxy-v2", "haproxy http proxy-v2", "haproxy tls proxy-v2", "haproxy ingest proxy-v2",
           "haproxy ingest-tls proxy-v1"]
for_each = pytest.mark.parametrize


class Place:
    """All of it: the gateway, and the proxies in front of it. ports: of each front by its name."""

    def __init__(self, folder, shards, pki):
        self.folder, self.pki, self.fronts, self.ports = folder, pki, {}, {}
        self.gateway = rcgateway.Gateway(folder, {
            **ADMIN, "trusted_proxies": PROXIES, "proxy_protocol": "optional", "tls.proxy_protocol": "required",
            "ingest.proxy_protocol": "optional", "tls.ingest_proxy_protocol": "required"}, shards=shards, pki=pki)

    def start(self):
        g = self.gateway.wait_ready()
        self.to = {"http": g.plain_http, "tls": tuple(g.http), "ingest": g.plain_ingest, "ingest-tls": tuple(g.ingest)}
        for name, kinds, make in (("nginx", NGINX, self.nginx), ("haproxy", HAPROXY, self.haproxy)):
            four, six = free_ports(len(kinds)), free_ports(len(kinds), "::1")
            at = {k: ("::1", six[i]) if "6 " in k else ("127.0.0.1", four[i]) for i, k in enumerate(kinds)}
            self.ports.update(at)
            self.fronts[name] = make(at)
        return self

    def stop(self):
        for front in self.fronts.values():
            if front:
                front.stop()
        self.gateway.stop()

    @staticmethod
    def text(address):
        return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"

    def nginx(self, at):
        pair = self.pki.server()
        http = stream = ""
        for kind, address in at.items():
            how = kind.split()[1]
            if how.startswith("http"):
                tls = how == "https"
                http += f"""    server {{
        listen {self.text(address)}{' ssl' if tls else ''};
        {f'ssl_certificate {pair.certificate}; ssl_certificate_key {pair.key};' if tls else ''}
        location = /ws {{
            proxy_pass http://{self.text(self.to['http'])};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }}
        location / {{
            proxy_pass http://{self.text(self.to['http'])};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
"""
            else:
                to = self.to["http" if how.startswith("stream") else how]
                stream += f"    server {{ listen {self.text(address)}; proxy_pass {self.text(to)}; proxy_protocol on; }}\n"
        return rcedge.nginx(self.folder, http, stream, list(at.values()))

    def haproxy(self, at):
        sections = ""
        for i, (kind, address) in enumerate(at.items()):
            _, how, told = kind.split()
            mode = "http" if how.startswith("http") else "tcp"
            send = {"x-forwarded-for": "", "proxy-v1": "send-proxy", "proxy-v2": "send-proxy-v2",
                    "proxy-v2-crc32c": "send-proxy-v2 proxy-v2-options crc32c,unique-id"}[told]
            to = self.to[how if how in self.to and how != "http" else "http"]
            # The checks are connections of its own: LOCAL, in version 2, and then a request.
            check = "check inter 200ms check-send-proxy" if told == "proxy-v2" and how == "http" else ""
            sections += (f"listen l{i}\n    bind {self.text(address).replace('[', '').replace(']', '')}\n    mode {mode}\n"
                         + ("    option forwardfor\n" if told == "x-forwarded-for" else "")
                         + ("    option httpchk GET /readyz\n" if check else "")
                         + ("    unique-id-format %[uuid()]\n" if "crc32c" in told else "")
                         + f"    server s {self.text(to)} {send} {check}\n")
        return rcedge.haproxy(self.folder, sections, list(at.values()))


@pytest.fixture(scope="module")
def place(shards, pki):
    folder = tempfile.mkdtemp(prefix="rc-")
    p = Place(folder, shards, pki)
    try:
        yield p.start()
        p.stop()
    finally:
        for front in p.fronts.values():
            if front:
                front.stop()
        p.gateway.kill()
        shutil.rmtree(folder, ignore_errors=True)


def by(place, kind):
    """The way through that front, for a client that comes from an address of its own; and that address."""
    name = kind.split()[0]
    if not place.fronts[name]:
        pytest.skip(f"{name} is not there: scripts/deps unpacks it")
    address = place.ports[kind]
    source = CLIENT[6 if ":" in address[0] else 4]
    tls = " tls " in kind or "https" in kind or "-tls " in kind
    return Via(Address(address, place.pki) if tls else address, b"", None if ":" in source else source), source


def host_of(text):
    return text[1:].partition("]")[0] if text.startswith("[") else text if text.count(":") > 1 else text.partition(":")[0]


def seen(g, channel):
    """Whose clients hear it. Proxies take their time to tell of those that went, so each test has channels of its own."""
    return [host_of(a) for a in addresses(g, channel)]


CLIENTS = [k for k in NGINX + HAPROXY if "ingest" not in k]


@for_each("kind", CLIENTS)
def test_a_websocket_and_a_stream_are_who_they_are(place, kind):
    g = place.gateway
    way, source = by(place, kind)
    host = ("Host", "gw.example")
    channel = kind.replace(" ", ".")
    lie = [("X-Forwarded-For", "6.6.6.6"), ("Forwarded", "for=6.6.6.6")]
    # Of HTTP 1.0 because nginx makes chunks for others, and the client is strict.
    with JsonClient.greeted(way, f"/ws?channel={channel}", headers=[host, *lie]) as ws, \
            SseClient.greeted(way, f"/events?channel={channel}", headers=lie, version="1.0") as sse:
        ws.await_type("subscription-ack")
        # What the client claims in HTTP counts for nothing, whoever is in front.
        assert seen(g, channel) == [source, source]
        rcedge.publish(g, channel, kind)
        assert ws.next_event()["data"] == kind
        assert sse.next_event()["data"] == kind
        ws.say(type="ping", id=1)
        ws.await_type("pong")


@for_each("kind", [k for k in NGINX + HAPROXY if "ingest" in k])
def test_publishers_come_through(place, kind):
    way, _ = by(place, kind)
    with JsonClient.greeted(place.gateway.plain_http, "/ws?channel=p") as ws, Publisher.greeted(way, "p") as p:
        ws.await_type("subscription-ack")
        for n in range(3):
            p.publish("p", str(n))
            assert ws.next_event()["data"] == n


@pytest.mark.one_shard
@for_each("kind", ["nginx http x-forwarded-for", "haproxy http x-forwarded-for", "haproxy http proxy-v2"])
def test_the_api_is_not_open_to_who_comes_through(place, kind):
    way, _ = by(place, kind)
    with Http(way) as c:
        assert c.get("/healthz").status == 200
        # It has a port of its own here; what matters is that nobody gets in.
        assert c.get("/api/status", BEARER).status == 404


@pytest.mark.one_shard
def test_a_proxy_keeps_its_connection_for_many_clients(place):
    """nginx and HAProxy ask on connections that they keep: the address is that of the request."""
    g = place.gateway
    for kind in ("nginx http x-forwarded-for", "haproxy http x-forwarded-for"):
        by(place, kind)
        for n in range(3):
            address, channel = Via(place.ports[kind], b"", f"127.0.1.{n + 1}"), f"kept.{kind.split()[0]}.{n}"
            with Http(address) as c, JsonClient.greeted(address, f"/ws?channel={channel}") as ws:
                assert c.get("/healthz").status == 200
                ws.await_type("subscription-ack")
                assert seen(g, channel) == [f"127.0.1.{n + 1}"]


@pytest.mark.one_shard
def test_health_checks_are_connections_of_the_proxy_itself(place):
    by(place, "haproxy http proxy-v2")
    g = place.gateway
    before = g.counter("proxy_headers")
    g.until_counter("proxy_headers", lambda n: n >= before + 3)
    assert g.counter("proxy_refused_bad") == 0 and g.counter("proxy_refused_missing") == 0


@pytest.mark.one_shard
def test_strangers_do_not_get_round_the_proxies(place):
    """Who reaches the gateway itself is himself, whatever he says."""
    g = place.gateway
    with JsonClient.greeted(Via(g.plain_http, b"", "127.0.0.7"), "/ws?channel=round", headers=[("X-Forwarded-For", "6.6.6.6")]) as ws:
        ws.await_type("subscription-ack")
        assert seen(g, "round") == ["127.0.0.7"]


@pytest.mark.one_shard
def test_pages_are_compared_with_the_scheme_of_the_browser(gateway, folder, pki):
    """nginx ends TLS and says so; the gateway's own port has none."""
    g = gateway({**ADMIN, "trusted_proxies": PROXIES, "http.origin_check": "yes"})
    port, = free_ports(1)
    pair = pki.server()
    front = rcedge.nginx(folder, f"""    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {pair.certificate}; ssl_certificate_key {pair.key};
{rcedge.location("/", "http://%s:%s" % g.http)}    }}
""", "", [("127.0.0.1", port)])
    if not front:
        pytest.skip("nginx is not there: scripts/deps unpacks it")
    try:
        for origin, wanted in ((f"https://gw.example:{port}", 101), (f"http://gw.example:{port}", 403), ("https://gw.example", 403),
                               ("https://evil.org", 403), ("null", 403)):
            WebSocket.open(Address(("127.0.0.1", port), pki), headers=[("Host", f"gw.example:{port}"), ("Origin", origin)],
                           expect=wanted).drop()
    finally:
        front.stop()
    assert os.path.exists(front.log)
