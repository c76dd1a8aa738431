# SPDX-License-Identifier: Apache-2.0
"""Files of keys that change while the gateway runs: taken up by every shard without being asked, and at SIGHUP; refused ones leave the old."""
import json
import os
import signal

import pytest

import rctokens
from deadline import eventually
from rctokens import SECRET, put

STAY = "keys of tokens and services are not reloaded, the old ones stay"
TAKEN = "keys of tokens and services reloaded: a file has changed"


def said(g, words):
    return sum(words in line for line in g.log.splitlines())


def taken(g, times):
    """Every shard has taken up new keys so many times."""
    eventually(lambda: all(c["auth_reloads"] == times for c in g.counters_by_shard()), f"every shard took up new keys {times} times", 30)


def key_set(*keys):
    return json.dumps({"keys": keys})


def octets(name):
    return {"kty": "oct", "kid": name, "k": rctokens.b64(SECRET.encode())}


@pytest.mark.tsan
def test_a_changed_file_is_taken_up_by_every_shard_and_a_broken_one_by_none(gateway, folder):
    path = put(f"{folder}/keys.json", key_set(octets("1")))
    g = gateway({"auth.jwks": path})
    assert said(g, "tokens: 1 key: 1 for HS256") == 1 and g.counter("auth_reloads") == 0
    put(path, key_set(octets("1"), octets("2")))
    g.wait_line("tokens: 2 keys: 2 for HS256")
    taken(g, 1)
    # Wrong: said once, however often it is looked at.
    put(path, "{")
    g.wait_line(f"{STAY}.*keys.json: is not JSON")
    g.until_counter("auth_reloads_failed", 1)
    os.unlink(path)
    g.wait_line(f"{STAY}.*can't be opened")
    g.until_counter("auth_reloads_failed", 2)
    # And mended.
    put(path, key_set(octets("1"), octets("2"), octets("3")))
    g.wait_line("tokens: 3 keys: 3 for HS256")
    taken(g, 2)
    eventually(lambda: said(g, TAKEN) == 2, "both are told")
    assert said(g, STAY) == 2
    assert g.counter("auth_reloads_failed") == 2


def test_a_file_that_is_written_in_place_is_seen_too(gateway, folder):
    path = put(f"{folder}/secret", SECRET)
    g = gateway({"auth.hmac_secret_file": path})
    with open(path, "a") as f:
        f.write("more")
    taken(g, 1)
    assert SECRET not in g.log


def test_sighup_reads_keys_again_without_a_certificate(gateway, folder):
    path = put(f"{folder}/secret", SECRET)
    g = gateway({"auth.hmac_secret_file": path})
    for n in range(1, 4):
        g.signal(signal.SIGHUP)
        taken(g, n)
    eventually(lambda: said(g, "keys of tokens and services reloaded") == 3, "each is answered")
    assert g.pki or said(g, " error ") == 0
    os.chmod(path, 0o644)
    g.signal(signal.SIGHUP)
    g.wait_line("tokens: .*secret can be read by everybody; chmod 600")


def test_with_nothing_to_read_nothing_is_read(gateway):
    g = gateway()
    g.signal(signal.SIGHUP)
    g.wait_line("certificates (are not )?reloaded")
    assert g.counter("auth_reloads") == 0 and said(g, "keys of tokens") == 0
