# SPDX-License-Identifier: Apache-2.0
"""What browsers load from the gateway: the page at /, the JavaScript client; by whom, compressed or not, again or not."""
import base64
import gzip
import hashlib
import re

import pytest

from rcgateway import run
from rchttp import Http

pytestmark = pytest.mark.one_shard

SCRIPTS = {
    "/ringcast.js": b"export{",
    "/ringcast.classic.js": b"globalThis.ringcast=",
    "/ringcast-react.js": b"useChannel",
    "/ringcast.d.ts": b"export function connect(",
}
HTML = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"


@pytest.fixture
def web(gateway):
    g = gateway()
    with Http(g.http) as c:
        c.g = g
        yield c


def test_a_browser_gets_the_page_and_others_a_few_words(web):
    page = web.get("/", HTML)
    assert page.status == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.body.startswith(b"<!doctype html>") and b"</html>" in page.body
    for accept in ([], ["Accept: */*"], ["Accept: text/plain"], ["Accept: application/json"]):
        words = web.get("/", *accept)
        assert words.status == 200 and words.body.startswith(b"ringcast 0.") and words.headers["vary"] == "Accept"
    assert set(page.headers["vary"].replace(" ", "").split(",")) == {"Accept", "Accept-Encoding"}


def test_the_page_loads_nothing_and_its_policy_lets_nothing_in(web):
    page = web.get("/", HTML)
    policy = dict(d.strip().split(" ", 1) for d in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    text = page.body.decode()
    for kind, tag in (("script", "script"), ("style", "style")):
        found = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", text, re.S)
        hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" for part in found]
        assert len(found) == 1 and policy[f"{kind}-src"] == hashes[0]
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text) and " style=" not in text and not re.search(r"\son[a-z]+=", text.split("<script")[0])
    assert page.headers["x-content-type-options"] == "nosniff" and page.headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in page.headers
    assert len(page.body) < 150 * 1024


@pytest.mark.parametrize("path", SCRIPTS)
def test_scripts_are_for_pages_of_every_origin(web, path):
    for extra in ([], ["Origin: https://app.example"]):
        r = web.get(path, *extra)
        assert r.status == 200 and SCRIPTS[path] in r.body and r.headers["access-control-allow-origin"] == "*"
        assert r.headers["content-type"].startswith("text/plain" if path.endswith(".ts") else "text/javascript")
        assert r.headers["x-content-type-options"] == "nosniff"
    head = web.ask("HEAD", path)
    assert head.status == 200 and int(head.headers["content-length"]) == len(r.body)
    for method in ("POST", "DELETE", "PUT"):
        with Http(web.g.http) as other:
            assert other.ask(method, path).status == 405


def test_the_client_is_small_and_says_its_version(web):
    assert len(web.get("/ringcast.js", "Accept-Encoding: gzip").body) <= 8192
    version = run(["--version"], web.g.folder).stdout.split()[1]
    assert f'"{version}"'.encode() in web.get("/ringcast.js").body


@pytest.mark.parametrize("encoding,zipped", [
    ("gzip", True), ("GZIP", True), ("br, gzip;q=0.5", True), ("deflate, *", True), ("gzip ; q=0.001", True),
    ("", False), ("identity", False), ("br", False), ("gzip;q=0", False), ("*;q=0", False), ("gzip;q=0.000, *", False), ("xgzip", False), ("gzip2;q=1", False),
])
def test_compressed_where_it_is_wanted(web, encoding, zipped):
    plain = web.get("/ringcast.js").body
    r = web.get("/ringcast.js", "Accept-Encoding: " + encoding)
    assert r.headers.get("content-encoding") == ("gzip" if zipped else None) and r.headers["vary"] == "Accept-Encoding"
    assert (gzip.decompress(r.body) if zipped else r.body) == plain


@pytest.mark.parametrize("path", ["/", "/ringcast.js"])
def test_what_is_there_already_is_not_sent_again(web, path):
    accept = [HTML] if path == "/" else []
    tag = web.get(path, *accept).headers["etag"]
    for given in (tag, "W/" + tag, f'"other", {tag}', "*"):
        r = web.get(path, "If-None-Match: " + given, "Accept-Encoding: gzip", *accept)
        assert r.status == 304 and not r.body and r.headers["etag"] == tag and "content-encoding" not in r.headers, given
    for given in ('"other"', tag[1:-1], tag + "x"):
        assert web.get(path, "If-None-Match: " + given, *accept).status == 200, given


def test_with_a_port_of_its_own_the_page_is_there_only(gateway):
    g = gateway({"admin.listen": "127.0.0.1:0", "admin.token": "the-token-of-the-admin"})
    with Http(g.http) as c, Http(g._address("admin")) as admin:
        assert c.get("/", HTML).body.startswith(b"ringcast 0.")
        assert admin.get("/", HTML).body.startswith(b"<!doctype html>")
        assert c.get("/ringcast.js").status == admin.get("/ringcast.js").status == 200


def test_where_origins_are_checked_the_scripts_are_for_all_still(gateway):
    g = gateway({"http.origins": "https://app.example"})
    with Http(g.http) as c:
        r = c.get("/ringcast.js", "Origin: https://elsewhere.example")
        assert r.status == 200 and r.headers["access-control-allow-origin"] == "*"
