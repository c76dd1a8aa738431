# SPDX-License-Identifier: Apache-2.0
"""How the dashboard is got at: with a token, at a listener of its own, over TLS, below a path of a proxy. And what it says when the gateway goes,
drains, comes back, or when somebody in between answers."""
import os
import re
import time

import pytest

import rcedge
import rcpage
import rctokens
from deadline import eventually
from rcdash import ADMIN, LIVE, SETTINGS, Browser, closed_gateway, figure, home, tile
from rchttp import Http
from rcproxy import Tunnel
from rcws import JsonClient

pytestmark = pytest.mark.deadline(150)
TWO_SHARDS = True


def say(g, channel, data):
    with Http(g.http) as c:
        return c.position(channel, data)


@pytest.fixture
def hears(connect):
    def client(g, *channels):
        c = connect(g)
        c.subscribe(*channels)
        return c
    return client


# ---- tokens

def test_without_a_token_the_page_asks_for_one_and_takes_the_right_one(browser, gateway, connect):
    g = closed_gateway(gateway)
    page = browser
    page.open(home(g))
    page.until("A token is needed", "h1")
    assert "unauthorized" in page.until("The gateway says", "#token-reason")
    assert "Not connected" in page.text("#state")
    assert page.run("() => document.activeElement.id") == "token-value"
    page.fill("Token", "wrong-token")
    page.click("Use this token")
    page.until(lambda t: "The gateway says" in t, "#token-reason")
    page.fill("Token", "no tokén")
    page.click("Use this token")
    page.until("visible ASCII", "#token-reason")
    page.fill("Token", ADMIN)
    page.press("Enter")
    page.until("Healthy", "#state")
    page.until("Deliveries a second")
    # Not kept: nobody asked for it.
    assert page.run("() => [sessionStorage.length, Object.values(localStorage).join()]") == [0, ""]
    page.do("reload")
    page.until("A token is needed", "h1")
    page.fill("Token", ADMIN)
    page.do("click", label="Keep it until this tab is closed")
    page.click("Use this token")
    page.until("Healthy", "#state")
    page.do("reload")
    page.until("Healthy", "#state")
    assert ADMIN not in page.run("() => document.documentElement.outerHTML")
    page.click("Forget the token")
    page.until("A token is needed", "h1")
    assert page.run("() => sessionStorage.length") == 0
    page.assert_quiet(expected=[401])


@pytest.mark.web
def test_a_token_that_runs_out_is_asked_for_again_and_nothing_is_lost(browser, gateway):
    g = closed_gateway(gateway, **{"auth.hmac_secret": rctokens.SECRET})
    reader = {"scope": "ringcast:read ringcast:publish"}
    page = browser
    page.open(home(g))
    page.until("A token is needed", "h1")
    page.fill("Token", rctokens.token({"exp": int(time.time()) + 15, **reader}))
    page.press("Enter")
    page.until("Healthy", "#state")
    page.go("channels/kept%3Aa")
    page.click("Start")
    page.until("Listening", ".live")
    page.fill("Data (JSON)", '"typed"')
    admin = "Authorization: Bearer " + ADMIN
    with Http(g.http) as c:
        assert c.publish({"channel": "kept:a", "event": "e", "data": "before"}, admin).status == 200
        eventually(lambda: [r[3] for r in page.rows(LIVE)] == ["before"], "the event before")
        page.until("A token is needed", "h1", seconds=40)
        assert "or it has run out" in page.until("The gateway says", "#token-reason")
        # While it waits for another it tries nothing.
        failures = g.counter("auth_failures")
        time.sleep(4)
        assert g.counter("auth_failures") == failures
        page.fill("Token", rctokens.token({"exp": int(time.time()) + 300, **reader}))
        page.press("Enter")
        page.until("Healthy", "#state")
        page.until("Listening", ".live")
        assert page.run("() => document.querySelector('textarea').value") == '"typed"'
        assert c.publish({"channel": "kept:a", "event": "e", "data": "after"}, admin).status == 200
    eventually(lambda: [r[3] for r in page.rows(LIVE)] == ["after", "before"], "what comes now above what came before")
    page.click("Publish")
    page.until("Published at", "form")
    page.assert_quiet(expected=[400, 401, 404])


@pytest.mark.web
def test_a_right_token_that_came_too_soon_is_tried_again(browser, gateway):
    g = closed_gateway(gateway, **{"limits.exempt_loopback": "no", "limits.auth_failures": "3", "limits.auth_failures_window": "10s"})
    page = browser
    with Http(g.http) as c:
        for _ in range(6):
            c.get("/api/channels", "Authorization: Bearer wrong")
    page.open(home(g))
    page.until("A token is needed", "h1")
    page.fill("Token", ADMIN)
    page.press("Enter")
    page.until("The gateway says", "#token-reason")
    page.until("Healthy", "#state", seconds=60)


@pytest.mark.web
def test_who_may_only_read_is_told_so_by_the_gateway(browser, gateway, folder):
    services = rctokens.put(os.path.join(folder, "services"), "looks token:token-of-who-looks read\nwrites token:token-of-who-writes publish\n")
    g = closed_gateway(gateway, **{"auth.services": services})
    page = browser
    page.open(home(g))
    page.until("A token is needed", "h1")
    page.fill("Token", "token-of-who-writes")
    page.press("Enter")
    text = page.until("needs the scope read", "#token-reason")
    assert "forbidden" in text
    page.fill("Token", "token-of-who-looks")
    page.press("Enter")
    page.until("Healthy", "#state")
    page.go("channels/kept%3Aa")
    page.click("Start")
    page.until("Listening", ".live")
    page.click("Publish")
    page.until("Refused:", "form")
    page.until("forbidden", "form")
    with JsonClient.greeted(g.http) as client:
        page.go("clients/session/" + client.connected["session"])
        page.click("Disconnect session")
        page.do("click", css="dialog button.danger")
        page.until("forbidden", "dialog")
        client.barrier()


# ---- other ways to it


def walk(page, g, base, bearer=True):
    """Through all that takes the API and the WebSocket, from a page that was just opened at this address."""
    if bearer:
        page.until("A token is needed", "h1")
        page.fill("Token", ADMIN)
        page.press("Enter")
    page.until("Healthy", "#state")
    assert page.run("() => location.href").startswith(base)
    with JsonClient.greeted(g.http) as client:
        client.subscribe("kept:walk")
        page.go("channels")
        eventually(lambda: page.row("Channels", "kept:walk"), "the list of channels")
        page.go("channels/kept%3Awalk")
        page.click("Start")
        page.until("Listening", ".live")
        page.fill("Data (JSON)", '{"by":"hand"}')
        page.click("Publish")
        page.until("Published at", "form")
        assert client.next_event()["data"] == {"by": "hand"}
        eventually(lambda: [r[3] for r in page.rows(LIVE)] == ['{"by":"hand"}'], "a live event")
        eventually(lambda: len(page.rows("Events that are kept, the newest first")) == 1, "its history")
        page.go("clients/session/" + client.connected["session"])
        page.click("Disconnect session")
        page.do("click", css="dialog button.danger")
        page.until("was closed", "main")
        client.expect_close(4004)
    page.do("reload")
    assert page.run("() => location.href").startswith(base)
    page.assert_quiet(expected=[400, 401, 404])


def test_at_a_listener_of_its_own_it_is_whole_and_nowhere_else(browser, gateway):
    g = gateway({**SETTINGS, "admin.listen": "127.0.0.1:0", "admin.token": ADMIN})
    base = "http://%s:%s/" % g._address("admin")
    with Http(g.http) as c:
        answer = c.get("/")
        assert b"<html" not in answer.body and c.get("/api/channels").status in (403, 404)
    browser.open(base)
    walk(browser, g, base)


def test_over_tls_it_is_whole(page_modules, gateway, pki, folder):
    more, env = rcpage.profile_that_trusts(folder, pki.roots, pki.server().certificate)
    g = gateway(SETTINGS, pki=pki)
    base = f"https://localhost:{g.http[1]}/"
    browser = Browser(page_modules, folder, more, env)
    try:
        browser.open(base)
        walk(browser, g, base, bearer=False)
    finally:
        browser.end()


def test_below_a_path_of_a_proxy_it_is_whole(browser, gateway, folder):
    g = closed_gateway(gateway, trusted_proxies="loopback")
    port = rcedge.free_ports(1)[0]
    front = rcedge.nginx(folder, f"""    server {{
        listen 127.0.0.1:{port};
{rcedge.location("/live/", "http://%s:%s/" % g.http)}    }}
""", "", [("127.0.0.1", port)])
    if not front:
        pytest.skip("nginx is not there: scripts/deps unpacks it")
    try:
        base = f"http://127.0.0.1:{port}/live/"
        browser.open(base)
        walk(browser, g, base)
    finally:
        front.stop()


# ---- the gateway goes and comes back

def test_a_gateway_that_ends_and_comes_back_is_told_and_leaves_a_hole(page, gateway, folder):
    g = page.g
    where = "%s:%s" % g.http
    with JsonClient.greeted(g.http) as client:
        client.subscribe("kept:a")
        for n in range(50):
            say(g, "kept:a", n)
        for n in range(50):
            client.next_event()
    eventually(lambda: page.run("() => document.querySelectorAll('.tile').length") == 6, "tiles")
    g.kill()
    g.judged = True
    page.until("Not connected", "#state")
    page.until("last snapshot", "#state")
    # What was good then may not be now.
    page.until(lambda t: re.match(r"As of \d\d:\d\d:\d\d; nothing has come since", t), ".when")
    assert page.text(".verdict").split("\n") == ["Not known while nothing comes."] * 2
    assert page.do("count", css=".old .tile") == 6 and page.do("count", css=".verdict.good") == 0
    page.until(lambda t: t.count("The gateway does not answer.") == 2 and "Nobody is behind" not in t and "No channel" not in t)
    again = gateway(SETTINGS, listen=where)
    page.until("Healthy", "#state", seconds=40)
    page.g = again
    page.until("No trouble", ".verdict")
    eventually(lambda: figure(tile(page, "Clients")) == 1, "the new gateway's figures")
    say(again, "kept:a", 1)
    page.do("click", css="summary")
    page.until("Bytes out/s")
    # Nothing ever went backwards, and what is not known is a dash.
    assert "-" not in "".join(c for r in page.rows("One second of each ten of the last ten minutes, the newest first") for c in r)
    announced = page.run("() => window.announced")
    assert [a.split(":")[0] for a in announced if a] == ["Healthy", "Not connected", "Healthy"], announced
    page.assert_quiet(expected=[0])


@pytest.mark.web
def test_a_live_tail_goes_on_after_a_restart(page, gateway):
    where = "%s:%s" % page.g.http
    page.go("channels/kept%3Alive")
    page.click("Start")
    page.until("Listening", ".live")
    page.g.kill()
    page.g.judged = True
    page.until("Not connected", "#state")
    again = gateway(SETTINGS, listen=where)
    page.until("Healthy", "#state", seconds=40)

    def comes():
        say(again, "kept:live", "after")
        return any(r[3] == "after" for r in page.rows(LIVE))

    eventually(comes, "an event of the new gateway", every=0.3)


@pytest.mark.web
def test_a_gateway_that_drains_is_told(page, hears):
    client = hears(page.g, "kept:a")
    page.g.process.terminate()
    page.until(lambda t: "Draining" in t or "Not connected" in t, "#state")
    assert page.g.wait() == 0
    client.drop()


@pytest.mark.web
def test_what_a_proxy_in_between_does_is_named(browser, gateway):
    g = gateway(SETTINGS)
    page = browser
    with Tunnel(g.http) as tunnel:
        page.open(f"http://127.0.0.1:{tunnel.port}/")
        page.until("Healthy", "#state")
        page.run("""() => {
            window.kept = [WebSocket, fetch];
            window.WebSocket = class { constructor() { setTimeout(() => this.onclose({ code: 1006, reason: '' })); } close() {} };
        }""")
        tunnel.cut()
        page.until("The API answers, but no WebSocket comes about: a proxy in between", "#state", seconds=30)
        # A page of markup is no answer of the gateway, and its 503 no goodbye.
        for status in (502, 503):
            page.run("""(status) => { window.fetch = async () => new Response('<html><h1>Bad</h1></html>', { status, headers: { 'content-type': 'text/html' } }); }""", status)
            text = page.until(f"HTTP {status}", "#state", seconds=30)
            assert "<" not in text and "Draining" not in text
        page.go("clients")
        page.until("HTTP 503")
        assert "<h1>" not in page.text() and "Nobody is" not in page.text()
        page.run("() => { [window.WebSocket, window.fetch] = window.kept; }")
        page.until("Healthy", "#state", seconds=40)


@pytest.mark.web
def test_a_full_gateway_can_still_be_looked_at(browser, gateway, connect):
    g = gateway({**SETTINGS, "max_clients": "20"})
    for _ in range(20):
        connect(g)
    browser.open(home(g))
    browser.until("Healthy", "#state")
    eventually(lambda: figure(tile(browser, "Clients")) == 21, "all of them, and the page")
