# SPDX-License-Identifier: Apache-2.0
"""Whose pages may ask: origins by name and by pattern, our own, tricks with names, and that CORS says the same."""
import pytest

from rcedge import ADMIN, BEARER
from rchttp import Http
from rcsse import Refused, SseClient
from rcws import JsonClient, WebSocket

LISTED = "https://app.example.com, http://localhost:5173 https://*.example.org, https://*.example.net:8443"
CHECKED = {**ADMIN, "http.origins": LISTED, "http.origin_check": "yes"}
SETTINGS = CHECKED

GOOD = ["https://app.example.com", "http://localhost:5173", "https://a.example.org", "https://a-b_c.example.org",
        "https://xn--mnchen-3ya.example.org", f"https://{'a' * 63}.example.org", "https://x.example.net:8443"]
BAD = ["null", "https://app.example.com.evil.org", "https://evilapp.example.com", "https://example.org", "https://.example.org",
       "https://a.b.example.org", "https://evilexample.org", "https://a.example.org.evil.org", "https://a.example.org.",
       "https://app.example.com.", "https://user@a.example.org", "https://evil.org@a.example.org", "https://a@app.example.com",
       "https://evil.org/.example.org", "https://evil.org?.example.org", "https://evil.org#.example.org", "https://evil.org\\.example.org",
       "https://evil.org:1.example.org", "https://*.example.org", "https://%2e.example.org", "https://a%2eb.example.org",
       "https://[::1].example.org", "https://m\xfcnchen.example.org", f"https://{'a' * 64}.example.org",
       "http://app.example.com", "http://a.example.org", "https://app.example.com:443", "https://app.example.com:8443",
       "https://x.example.net", "https://x.example.net:84430", "https://x.example.net:8443.evil.org", "http://localhost",
       "http://localhost:51730", "http://127.0.0.1:5173", "HTTPS://APP.EXAMPLE.COM", "https://A.example.org", "app.example.com",
       "//app.example.com", "https://app.example.com/", " ", "", "*", "https://", "chrome-extension://abcdef",
       "https://app.example.com, https://app.example.com", "https://app.example.com https://evil.org"]

for_each = pytest.mark.parametrize


def answers(g, origin, *lines, host="gw.example"):
    """(status of /ws, status of /events, status of the API, allowed by CORS), which are one decision."""
    origins = [f"Origin: {origin}"] if isinstance(origin, str) else [f"Origin: {o}" for o in origin]
    lines = [*origins, *lines]
    upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    out = []
    for place, path, more in ((g.http, "/ws", upgrade), (g.http, "/events?channel=a", []), (g._address("admin"), "/api/status", [BEARER])):
        with Http(place) as c:
            c.send("GET", path, *lines, *more, host=host)
            r = c.answer(head_only=path.startswith("/events"))
            out.append((r.status, r.headers.get("access-control-allow-origin")))
    (ws, cors), (events, second), (api, third) = out
    # An upgrade is no request that CORS knows.
    assert second == third and (ws == 101 or cors == second), out
    return ws, events, api, second


@pytest.mark.one_shard
@for_each("origin", GOOD)
def test_listed_origins_are_let_in(shared_gateway, origin):
    assert answers(shared_gateway, origin) == (101, 200, 200, origin)


@pytest.mark.one_shard
@for_each("origin", BAD)
def test_others_are_not(shared_gateway, origin):
    before = shared_gateway.counter("upgrades_refused_origin")
    assert answers(shared_gateway, origin) == (403, 403, 403, None)
    shared_gateway.until_counter("upgrades_refused_origin", before + 3)


@pytest.mark.one_shard
def test_two_are_none(shared_gateway):
    assert answers(shared_gateway, ["https://app.example.com", "https://app.example.com"]) == (403, 403, 403, None)


def test_clients_that_are_no_page_are_let_in(shared_gateway):
    g = shared_gateway
    with JsonClient.greeted(g.http, "/ws?channel=a") as c, SseClient.greeted(g.http, "/events?channel=a"):
        c.await_type("subscription-ack")
    with JsonClient.greeted(g.http, headers=[("Origin", "https://b.example.org")]), \
            SseClient.greeted(g.http, "/events?channel=a", headers=[("Origin", "https://b.example.org")]) as s:
        assert s.response.headers["access-control-allow-origin"] == "https://b.example.org" and s.response.headers["vary"] == "Origin"


@pytest.mark.one_shard
def test_a_refusal_is_an_answer_of_http(shared_gateway):
    ws = WebSocket.open(shared_gateway.http, headers=[("Origin", "https://evil.org")], expect=403)
    assert b"this origin" in ws.response.body and ws.response.headers["connection"] == "close"
    ws.expect_end()
    ws.drop()
    with pytest.raises(Refused) as e:
        SseClient.open(shared_gateway.http, "/events?channel=a", headers=[("Origin", "https://evil.org")])
    assert e.value.status == 403
    with Http(shared_gateway._address("admin")) as c:
        r = c.publish({"channel": "a", "data": 1}, BEARER, "Origin: https://evil.org")
        assert (r.status, r.json["error"]["code"]) == (403, "forbidden")
        # Of those who only look whether it is alive nobody asks; and the preflight says no.
        assert c.get("/healthz", "Origin: https://evil.org").status == 200
        assert c.get("/", "Origin: https://evil.org").status == 200
        r = c.ask("OPTIONS", "/api/publish", "Origin: https://evil.org", "Access-Control-Request-Method: POST")
        assert not [h for h in r.headers if h.startswith("access-control")]
        r = c.ask("OPTIONS", "/api/publish", "Origin: https://b.example.org", "Access-Control-Request-Method: POST")
        assert r.headers["access-control-allow-origin"] == "https://b.example.org"


@pytest.mark.one_shard
@for_each("host,origin,good", [
    ("gw.example", "http://gw.example", True), ("gw.example", "https://gw.example", True), ("GW.Example", "http://gw.example", True),
    ("gw.example:8080", "http://gw.example:8080", True), ("gw.example:80", "http://gw.example", True),
    ("gw.example:443", "https://gw.example", True), ("[::1]:8080", "http://[::1]:8080", True),
    ("gw.example:8080", "http://gw.example", False), ("gw.example", "http://gw.example:8080", False),
    ("gw.example:443", "http://gw.example", False), ("gw.example:80", "https://gw.example", False),
    ("gw.example", "http://gw.example.evil.org", False), ("gw.example", "http://x.gw.example", False),
    ("gw.example", "http://gw.example.", False), ("gw.example", "http://u@gw.example", False), ("gw.example", "ftp://gw.example", False),
    ("gw.example", "gw.example", False), ("gw.example", "http://", False), ("gw.example", "null", False),
])
def test_our_own_pages_are_let_in(shared_gateway, host, origin, good):
    assert answers(shared_gateway, origin, host=host)[:3] == ((101, 200, 200) if good else (403, 403, 403))


@pytest.mark.one_shard
def test_a_page_of_the_other_scheme_is_another(gateway, pki):
    g = gateway({**CHECKED, "trusted_proxies": "127.0.0.1"}, pki=pki)
    plain = Plain(g)
    for said, origin, good in (("https", "https://gw.example", True), ("https", "http://gw.example", False),
                               ("http", "http://gw.example", True), ("http", "https://gw.example", False),
                               ("http, https", "http://gw.example", True)):
        status = answers(plain, origin, f"X-Forwarded-Proto: {said}")[:3]
        assert status == ((101, 200, 200) if good else (403, 403, 403)), (said, origin)
    # Over TLS of our own nobody needs to say so.
    for origin, status in (("https://gw.example", 101), ("http://gw.example", 403)):
        WebSocket.open(g.http, headers=[("Origin", origin), ("Host", "gw.example")], expect=status).drop()


class Plain:
    """The ports without TLS."""

    def __init__(self, g):
        self.http, self._address = g.plain_http, g._address


@pytest.mark.one_shard
def test_the_word_of_a_stranger_for_the_scheme_is_none(gateway, pki):
    g = gateway(CHECKED, pki=pki)
    WebSocket.open(g.http, headers=[("Origin", "http://gw.example"), ("Host", "gw.example"), ("X-Forwarded-Proto", "http")], expect=403).drop()


@pytest.mark.one_shard
def test_null_and_everybody_only_where_listed(gateway):
    g = gateway({**CHECKED, "http.origins": "null"})
    assert answers(g, "null") == (101, 200, 200, "null")
    assert answers(g, "https://app.example.com") == (403, 403, 403, None)
    g = gateway({**CHECKED, "http.origins": "*"})
    assert answers(g, "https://any.example") == (101, 200, 200, "*")


@pytest.mark.one_shard
@for_each("check", ["auto", "no"])
def test_without_tokens_every_page_is_let_in(gateway, check):
    g = gateway({**CHECKED, "http.origin_check": check})
    assert answers(g, "https://evil.org") == (101, 200, 200, None)
    assert g.counter("upgrades_refused_origin") == 0


@pytest.mark.one_shard
def test_with_tokens_only_our_own_and_the_listed_are(gateway):
    """Whether or not this one brings a token: who else is logged in at that browser is not known here."""
    keys = {"auth.hmac_secret": "0123456789abcdef0123456789abcdef", "auth.anonymous": "yes", "namespace.allow_subscribe": "anyone"}
    g = gateway({**CHECKED, **keys, "http.origin_check": "auto"})
    assert answers(g, "https://evil.org") == (403, 403, 403, None)
    assert answers(g, "null") == (403, 403, 403, None)
    assert answers(g, "https://app.example.com")[:3] == (101, 200, 200)
    assert answers(g, "http://gw.example")[:3] == (101, 200, 200)
    JsonClient.greeted(g.http).drop()
    g = gateway({**CHECKED, **keys, "http.origin_check": "no"})
    assert answers(g, "https://evil.org") == (101, 200, 200, None)


@pytest.mark.one_shard
def test_origins_are_kept_as_browsers_write_them(gateway):
    g = gateway({**CHECKED, "http.origins": "HTTPS://App.Example.COM https://*.Example.ORG"})
    assert answers(g, "https://app.example.com") == (101, 200, 200, "https://app.example.com")
    assert answers(g, "https://a.example.org") == (101, 200, 200, "https://a.example.org")


@pytest.mark.one_shard
def test_what_no_browser_writes_is_refused_at_start(gateway):
    for origins, why in (("https://app.example.com/", "without a path"), ("app.example.com", "is no origin"),
                         ("https://*.com", "top-level domain"), ("https://a*.example.com", "has a *")):
        g = gateway({"http.origins": origins}, ready=False)
        assert g.wait() != 0 and why in g.log
