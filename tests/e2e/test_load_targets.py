# SPDX-License-Identifier: Apache-2.0
"""ringcast-load against servers that are not the gateway: another protocol by a profile file, TLS, SSE."""
import pytest

from load_peer import Topics, certificate, context
from load_server import Server
from rcload import assert_ok, assert_refused

pytestmark = pytest.mark.one_shard

SHORT = ["--warm", "0.2", "--seconds", "0.6", "--quiet", "--own-limit"]


# ---- a profile of one's own

@pytest.mark.parametrize("loop", [["--rate", "200"], ["--in-flight", "4"]], ids=["open loop", "closed loop"])
def test_another_server_by_its_profile(load, folder, loop):
    with Topics() as t:
        r = load("channels", "--target", t.profile(folder), "--clients", "12", "--channels", "3", "--spread", "even", *loop, *SHORT)
    assert_ok(r)
    assert r.target["name"] == "topics"
    assert r.total["deliveries"] == t.sent == 4 * t.published > 0
    assert r.total["published"] == t.published
    # Every publish is answered with a "done".
    assert r.window["acked"] > 0 and r.ack["count"] > 0


def test_a_subscription_that_the_profile_knows_as_refused(load, folder):
    with Topics() as t:
        r = load("fanout", "--target", t.profile(folder), "--clients", "2", "--prefix", "secret:", "--rate", "50", *SHORT)
    assert_refused(r, "denied")


def test_an_acknowledgement_that_never_comes(load, folder):
    with Topics() as t:
        profile = t.profile(folder, subscribed=('"subscribed"', '"welcomed"'))
        r = load("fanout", "--target", profile, "--clients", "2", "--rate", "50", "--connect-timeout", "1", *SHORT)
    assert_refused(r)


@pytest.mark.parametrize("old, new, line, words", [
    ("subscribed =", "subscirbed =", 8, ["subscirbed", "subscribed"]),
    ("frames     = text", "frames     = blue", 6, ["frames", "binary"]),
    ("window   = 64", "window   = many", 16, ["window"]),
    ("{channel}", "{chanel}", 8, ["chanel"]),
    ("[publisher]", "[publicher]", 10, ["publicher"]),
    ("url        = ", "url        = gopher:", 5, ["gopher"]),
], ids=["a key that is none", "a value that is none", "not a number", "a word in braces that is none", "a section that is none", "a URL that is none"])
def test_a_wrong_profile_names_its_line(load, folder, old, new, line, words):
    with Topics() as t:
        profile = t.profile(folder, it=(old, new))
        r = load("fanout", "--target", profile, "--clients", "2", "--rate", "50", *SHORT)
    assert_refused(r, "topics.ini", *words)
    with open(profile) as f:
        wrong = next(n for n, text in enumerate(f, 1) if new in text)
    assert f":{wrong}" in r.err or f"line {wrong}" in r.err, (wrong, r.err)


# ---- TLS

@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    crt, key = certificate(folder)
    other, _ = certificate(folder, "other")
    with Topics(context(crt, key)) as t:
        t.crt, t.other = crt, other
        yield t


def test_wss_with_a_certificate_that_is_trusted(load, folder, tls):
    before = tls.sent
    r = load("fanout", "--target", tls.profile(folder), "--ca", tls.crt, "--clients", "10", "--rate", "100", *SHORT)
    assert_ok(r)
    assert r.total["deliveries"] == tls.sent - before == 10 * r.total["published"] > 0


@pytest.mark.tsan
def test_wss_by_the_name_of_the_host(load, folder, tls):
    profile = tls.profile(folder, it=("127.0.0.1", "localhost"))
    r = load("fanout", "--target", profile, "--ca", tls.crt, "--clients", "3", "--rate", "100", "--threads", "2", *SHORT)
    assert_ok(r)


def test_wss_with_large_events(load, folder, tls):
    # Several TLS records an event.
    r = load("fanout", "--target", tls.profile(folder), "--ca", tls.crt, "--clients", "2", "--in-flight", "2", "--payload", "50000", *SHORT)
    assert_ok(r)
    assert r.total["deliveries"] == 2 * r.total["published"] > 0


def test_wss_without_verification(load, folder, tls):
    r = load("fanout", "--target", tls.profile(folder), "--insecure", "--clients", "3", "--rate", "100", *SHORT)
    assert_ok(r)


@pytest.mark.parametrize("which", ["the system's", "another"])
def test_a_certificate_that_is_not_trusted_is_refused(load, folder, tls, which):
    trusted = ["--ca", tls.other] if which == "another" else []
    r = load("fanout", "--target", tls.profile(folder), *trusted, "--clients", "3", "--rate", "100", *SHORT)
    assert_refused(r, "certificate")


def test_a_certificate_for_another_name_is_refused(load, folder, tmp_path_factory):
    made = tmp_path_factory.mktemp("tls")
    crt, key = certificate(made, "elsewhere", host="10.1.2.3")
    with Topics(context(crt, key)) as t:
        r = load("fanout", "--target", t.profile(folder), "--ca", crt, "--clients", "3", "--rate", "100", *SHORT)
    assert_refused(r, "certificate")


def test_tls_to_a_server_that_has_none(load, folder):
    with Topics() as t:
        profile = t.profile(folder, it=("ws://", "wss://"))
        r = load("fanout", "--target", profile, "--insecure", "--clients", "2", "--rate", "50", "--connect-timeout", "2", *SHORT)
    assert_refused(r)


def test_a_file_of_certificates_that_cannot_be_read(load, folder, tls):
    r = load("fanout", "--target", tls.profile(folder), "--ca", f"{folder}/nothing.crt", "--clients", "2", "--rate", "50", *SHORT)
    assert_refused(r, "nothing.crt")


# ---- SSE

@pytest.mark.parametrize("chunked", [False, True], ids=["to the end of the stream", "chunked"])
def test_sse(load, chunked):
    with Server(chunked=chunked) as s:
        r = load("channels", "--clients", "9", "--channels", "3", "--spread", "even", "--rate", "200", *SHORT,
                 "--url", f"http://127.0.0.1:{s.http[1]}/events?channel={{channel}}",
                 "--publish-url", f"ingest://127.0.0.1:{s.ingest[1]}")
    assert_ok(r)
    assert r.total["deliveries"] == sum(s.sent.values()) == 3 * r.total["published"] > 0


def test_sse_with_an_answer_that_is_no_stream(load):
    with Server() as s:
        # A WebSocket endpoint is not one.
        r = load("fanout", "--clients", "2", "--rate", "50", *SHORT, "--connect-timeout", "1",
                 "--url", f"http://127.0.0.1:{s.ingest[1]}/events?channel={{channel}}",
                 "--publish-url", f"ingest://127.0.0.1:{s.ingest[1]}")
    assert_refused(r)
