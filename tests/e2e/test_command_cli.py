# SPDX-License-Identifier: Apache-2.0
"""`ringcast command`, and what of `ringcast subscribe` asks for less: what they print, and the status they end with."""
import contextlib
import json
import subprocess

import pytest

import rcgateway
from rcbackend import Backend

OK, NO, USAGE, NOBODY = 0, 1, 2, 3
ANYONE = {"auth.allow_command": "anyone"}


@contextlib.contextmanager
def running(g, *arguments):
    process = subprocess.Popen([*rcgateway.WRAP, rcgateway.BINARY, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=rcgateway.environment(g.folder))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()


def to(g):
    return ["--server", f"127.0.0.1:{g.http[1]}"]


def test_what_the_backend_answers_is_printed(gateway):
    g = gateway(ANYONE)
    b = Backend.registered(g.ingest, "chat:send", "command")
    with contextlib.closing(b.sock):
        with running(g, "command", *to(g), "chat:send", '{"text": "hi"}') as p:
            c = b.command()
            assert (c.type, json.loads(c.payload)) == ("chat:send", {"text": "hi"})
            b.answer(c, {"n": [1, 2]})
            assert p.communicate(timeout=60) == ('{"n": [1, 2]}\n', "") and p.returncode == OK
        with running(g, "command", *to(g), "--json", "command", "7") as p:
            c = b.command()
            assert (c.type, c.payload) == ("command", b"7")
            b.answer(c)
            assert json.loads(p.communicate(timeout=60)[0])["data"] is None and p.returncode == OK
        with running(g, "command", *to(g), "chat:send") as p:
            b.refuse(b.command(), "too_late", "it is closed")
            out, err = p.communicate(timeout=60)
            assert out == "" and "it is closed (too_late)" in err and p.returncode == NO
        with running(g, "command", *to(g), "--timeout", "300ms", "chat:send") as p:
            b.command()
            out, err = p.communicate(timeout=60)
            assert out == "" and "no answer came within 300 ms" in err and p.returncode == NO


@pytest.mark.parametrize("arguments, status, said", [
    (["chat:send"], NO, "no backend takes such messages (no_backend)"), ([], USAGE, "a TYPE is needed"), (["a", "1", "2"], USAGE, "a TYPE is needed"),
    (["subscribe", "{}"], USAGE, "to the gateway itself"), (["a", "{"], USAGE, "the payload is not JSON"), (["", "1"], USAGE, "not the type"),
    (["--timeout", "soon", "a"], USAGE, "--timeout"), (["--nothing"], USAGE, "--help"), (["--server", "127.0.0.1:1", "a"], NOBODY, "127.0.0.1:1")])
def test_what_goes_wrong_is_told(gateway, arguments, status, said):
    g = gateway(ANYONE)
    done = subprocess.run([*rcgateway.WRAP, rcgateway.BINARY, "command", *([] if "--server" in arguments else to(g)), *arguments],
                          text=True, capture_output=True, env=rcgateway.environment(g.folder), timeout=120)
    assert done.returncode == status and said in done.stderr and not done.stdout, done.stderr


def test_subscribers_may_ask_for_less(gateway, publisher):
    g = gateway({"namespace.history_size": "100"})
    p = publisher(g)
    for n in range(10):
        p.publish("news", json.dumps({"n": n}))
    for options, printed in (
            (["--since", "beginning", "--filter", "data.n >= 8", "--count", "2"], ['9 {"n": 8}', '10 {"n": 9}']),
            (["--since", "beginning", "--rate", "1000", "--rate-key", "n", "--count", "1"], ['1 {"n": 0}'])):
        with running(g, "subscribe", *to(g), *options, "news") as s:
            out, err = s.communicate(timeout=60)
            assert s.returncode == OK, err
            assert [line.split(" ", 2)[2] for line in out.splitlines()] == printed, out
    with running(g, "subscribe", *to(g), "--all", "--window", "100ms", "--summary", "--count", "1", "news") as s:
        while "subscription-ack" not in (line := s.stderr.readline()):
            assert line
        p.publish("news", "1")
        assert json.loads(s.stdout.readline())["type"] == "summary" and s.wait(60) == OK
    for options, said in ((["--filter", "data.n ="], "bad_filter"), (["--rate", "0"], "bad_request"), (["--rate", "fast"], "--rate"),
                          (["--window", "never"], "--window"), (["--summary"], "bad_request")):
        with running(g, "subscribe", *to(g), *options, "news") as s:
            out, err = s.communicate(timeout=60)
            assert s.returncode in (NO, USAGE) and said in err, err
