# SPDX-License-Identifier: Apache-2.0
"""The log: text and JSON, the access log and the audit in it, files that are moved away, full disks and pipes that nobody reads. Nothing
of what comes from outside gets into it as it came, and no token at all."""
import base64
import hmac
import json
import os
import re
import signal
import time

import pytest

from deadline import eventually
from rcgateway import Gateway, run
from rchttp import Http
from rcingest import Publisher, Wire, broadcast, hello
from rcsse import SseClient
from rcws import JsonClient

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TOKEN, SERVICE = "the-token-of-admin", "token-of-a-service"
TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn |info |debug) ")


def lines_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read().splitlines()


def until(path, condition, what):
    """The first line of the file, as an object, that fulfils it."""
    def look():
        for line in lines_of(path):
            row = json.loads(line)
            if condition(row):
                return row
        return None
    return eventually(look, what)


@pytest.fixture
def access(folder):
    return os.path.join(folder, "access.log")


@pytest.fixture
def settings(folder, access):
    path = os.path.join(folder, "services")
    with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write(f"caster token:{SERVICE} publish broadcast\n")
    return {"log.format": "json", "log.access": access, "admin.token": TOKEN, "auth.services": path}


def bearer(token):
    return "Authorization: Bearer " + token


@pytest.mark.tsan
def test_clients_and_requests_have_a_line_each(gateway, settings, access):
    g = gateway(settings)
    c = JsonClient.greeted(g.http, "/ws", headers=[("traceparent", TRACE)])
    c.subscribe("a")
    h = Http(g.http)
    assert h.publish({"channel": "a", "data": 1}, bearer(SERVICE), "traceparent: " + TRACE, path="/api/publish?x=secret").status == 200
    c.next_event()
    c.close(1000, 'bye "x"\u2028')
    row = until(access, lambda r: r["msg"] == "client", "the client's line")
    assert row["code"] == 1000 and row["reason"] == 'bye "x"\u2028' and row["transport"] in ("ws", "wss")
    assert row["events_out"] == 1 and row["trace"] == TRACE[3:35] and len(row["session"]) == 17
    assert row["address"].startswith("127.0.0.1:") and row["level"] == "info" and row["shard"] in (0, 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z", row["since"]) and row["seconds"] < 60
    row = until(access, lambda r: r["msg"] == "request", "the request's line")
    assert (row["method"], row["path"], row["status"], row["service"]) == ("POST", "/api/publish", 200, "caster")
    assert row["trace"] == TRACE[3:35]
    assert h.get("/api/status", bearer("wrong-token-of-nobody")).status == 401
    until(access, lambda r: r["msg"] == "request" and r["status"] == 401 and "service" not in r, "the refused request")
    s = SseClient.greeted(g.http, "/events?channel=a")
    s.drop()
    # Somebody who is gone without a word, and one who is ended.
    w = JsonClient.greeted(g.http)
    w.reset()
    until(access, lambda r: r.get("transport") in ("sse", "sse+tls"), "the stream's line")
    until(access, lambda r: r.get("code") == 1006, "the line of the one that was lost")
    JsonClient.greeted(g.http)
    g.stop()
    rows = [json.loads(line) for line in lines_of(access)]
    assert [r["code"] for r in rows if r["msg"] == "client" and "code" in r].count(1012) <= 1
    for text in (g.log, "\n".join(lines_of(access))):
        assert SERVICE not in text and TOKEN not in text and "secret" not in text and "wrong-token" not in text
    assert all(json.loads(line)["ts"] for line in g.lines)


def test_audit_tells_failures_and_what_changes_something(gateway, settings):
    g = gateway(settings)
    for _ in range(50):
        p = Publisher.open(g.ingest)
        p.send_bytes(hello("", "token-of-nobody-0"))
        p.expect_error(Wire.ERROR_UNAUTHORIZED, closes=True)
    g.wait_line(r'"msg":"authentication failed","audit":true.*"place":"ingest","tries":\d+')
    assert sum("authentication failed" in line for line in g.lines) < 25, "it is said in sums"
    h = Http(g.http)
    assert h.publish({"data": 1}, bearer(SERVICE), path="/api/broadcast").status == 200
    g.wait_line(r'"msg":"request that changes something","audit":true.*"path":"/api/broadcast","status":200,"service":"caster"')
    p = Publisher.greeted(g.ingest, "pub-1", SERVICE)
    p.send_bytes(b"".join(broadcast(n, "1") for n in range(1, 101)))
    g.wait_line(r'"msg":"publisher reached clients","audit":true.*"service":"caster","publisher":"pub-1","broadcasts":1\}')
    while p.acked < 100:
        p.take()
    p.drop()
    g.wait_line(r'"publisher":"pub-1","broadcasts":99\}')
    g.signal(signal.SIGHUP)
    g.wait_line(r'"msg":"reload asked for","audit":true')


@pytest.mark.one_shard
def test_nothing_from_outside_reaches_the_log_as_it_came(gateway, settings, access):
    evil = "a\n2026 error forged\x1b[2J\x07\x9b\u202e\"\\"
    key = "a-secret-of-at-least-thirty-two-bytes!"
    g = gateway({**settings, "log.format": "text", "auth.hmac_secret": key, "auth.anonymous": "yes"})

    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")
    signed = part(b'{"alg":"HS256"}') + b"." + part(json.dumps({"sub": "u\u202e=\"x\"", "scope": "ringcast:admin", "exp": int(time.time()) + 99}).encode())
    token = (signed + b"." + part(hmac.new(key.encode(), signed, "sha256").digest())).decode()
    h = Http(g.http)
    assert h.publish({"data": 1}, bearer(token), path="/api/broadcast").status == 200
    c = JsonClient.greeted(g.http)
    c.close(1000, evil)
    line = eventually(lambda: next((n for n in lines_of(access) if " client " in n), None), "the client's line")
    g.wait_line(r'service="u\\u202e=\\"x\\""')
    assert r'reason="a\u000a2026 error forged\u001b[2J\u0007\u009b\u202e\"\\"' in line
    for line in lines_of(access) + g.lines:
        assert TEXT.match(line) and not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", line), line


@pytest.mark.tsan
@pytest.mark.one_shard
def test_access_log_is_opened_anew_when_it_was_moved(gateway, settings, access):
    g = gateway(settings)
    h = Http(g.http)
    h.get("/api/status", bearer(TOKEN))
    until(access, lambda r: r["path"] == "/api/status", "the first line")
    os.rename(access, access + ".1")
    h.get("/api/channels", bearer(TOKEN))
    until(access + ".1", lambda r: r["path"] == "/api/channels", "a line in the file that was moved")
    g.signal(signal.SIGHUP)
    eventually(lambda: os.path.exists(access), "the new file")
    h.get("/api/laggards", bearer(TOKEN))
    until(access, lambda r: r["path"] == "/api/laggards", "a line in the new file")
    assert len(lines_of(access + ".1")) == 2
    # Where there is no way to a new one, the old one goes on.
    os.rename(access, access + ".2")
    os.mkdir(access)
    g.signal(signal.SIGHUP)
    g.wait_line('"msg":"the access log can\'t be opened anew')
    h.get("/api/status", bearer(TOKEN))
    until(access + ".2", lambda r: r["path"] == "/api/status", "a line in the old file")


@pytest.mark.one_shard
def test_who_has_nothing_but_an_access_log_to_open_anew_is_told_of_no_certificates(gateway, access):
    g = gateway({"log.access": access})
    for times in (1, 2):
        g.signal(signal.SIGHUP)
        eventually(lambda: g.log.count("reload asked for") == times, "the line of a reload")
    assert "certificates" not in g.log


@pytest.mark.one_shard
def test_full_disk_is_counted_and_nothing_else(gateway, settings):
    g = gateway({**settings, "log.access": "/dev/full"})
    h = Http(g.http)
    for _ in range(5):
        assert h.get("/api/status", bearer(TOKEN)).status == 200
    g.until_counter("log_failed", lambda n: n >= 5)
    assert h.get("/api/status", bearer(TOKEN)).status == 200


@pytest.mark.tsan
@pytest.mark.one_shard
def test_pipe_that_nobody_reads_holds_nobody_up(gateway, settings, access):
    os.mkfifo(access)
    reader = os.open(access, os.O_RDONLY | os.O_NONBLOCK)
    g = gateway(settings)
    h = Http(g.http)
    # More than the pipe and the ring hold.
    for _ in range(60):
        for _ in range(100):
            h.send("GET", "/api/nothing", bearer(TOKEN))
        for _ in range(100):
            assert h.answer().status == 404
    g.until_counter("log_dropped", lambda n: n >= 1)
    seen = b""
    # The next line that finds room says how many were left out.
    while b"/api/last" not in seen:
        try:
            seen += os.read(reader, 65536)
        except BlockingIOError:
            assert h.get("/api/last", bearer(TOKEN)).status == 404
    g.wait_line(r'"msg":"lines were left out[^"]*","lines":\d+')
    os.close(reader)
    # And one whose reader is gone ends nobody.
    assert h.get("/api/status", bearer(TOKEN)).status == 200
    g.until_counter("log_failed", lambda n: n >= 1)
    assert all(json.loads(line) for line in seen.decode().splitlines()[1:-1])


@pytest.mark.one_shard
def test_access_log_that_cannot_be_opened_is_refused_at_start(folder):
    done = run(["serve", "--listen", "127.0.0.1:0", "--ingest", "127.0.0.1:0", "--set", "log.access=/nowhere/x"], folder)
    assert done.returncode == 1 and "[log] access = /nowhere/x can't be opened" in done.stderr
    assert " listening " not in done.stderr, "a port was open before"


@pytest.mark.one_shard
@pytest.mark.parametrize("path", ["/nowhere/x", "/dev/null/x", "."])
def test_those_who_look_at_a_configuration_say_that_its_access_log_cannot_be_opened(folder, path):
    config = os.path.join(folder, "ringcast.conf")
    path = folder if path == "." else path
    with open(config, "w") as f:
        f.write(f"[log]\naccess = {path}\n")
    for command in (["serve", "--config", config, "--check-config"], ["check", "--config", config]):
        done = run(command, folder)
        assert done.returncode == 1 and f"[log] access = {path} can't be opened" in done.stderr, done.stderr


@pytest.mark.one_shard
def test_who_only_looks_at_a_configuration_makes_no_access_log(folder, access):
    done = run(["serve", "--check-config", "--set", f"log.access={access}"], folder)
    assert done.returncode == 0 and not os.path.exists(access), done.stderr


@pytest.mark.one_shard
def test_gateway_ends_although_nobody_reads_its_log(folder, access):
    os.mkfifo(access)
    reader = os.open(access, os.O_RDONLY | os.O_NONBLOCK)
    g = Gateway(folder, {"log.access": access, "log.format": "json"})
    try:
        g.wait_ready()
        h = Http(g.http)
        for _ in range(20):
            for _ in range(100):
                h.send("GET", "/api/nothing")
            for _ in range(100):
                assert h.answer().status in (403, 404)
        g.stop()
        g.assert_clean()
    finally:
        g.kill()
        os.close(reader)
