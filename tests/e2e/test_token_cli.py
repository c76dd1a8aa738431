# SPDX-License-Identifier: Apache-2.0
"""`ringcast token`: what it makes is what openssl's keys, the npm package jose and the gateway's own verifier take; what it looks at it
judges as the gateway would."""
import json
import os
import subprocess
import time

import pytest

import rcgateway
import rctokens
from deadline import SLOW
from rcgateway import run, settings_flags
from rctokens import ALGORITHMS, ASYMMETRIC, DIGESTS, SECRET, b64_json, claims_of, good, put, token

OK, NO, USAGE = 0, 1, 2
pytestmark = pytest.mark.one_shard


@pytest.fixture
def cli(folder, shards):
    """cli(settings, "--user", "anna"): `ringcast token` with these settings of [auth]."""
    def start(settings, *args, **options):
        return run(["token", *settings_flags({f"auth.{k}": v for k, v in settings.items()}), *args], folder, **options)
    return start


@pytest.fixture
def make(cli):
    """The token, which must have been made without a word."""
    def start(settings, *args):
        done = cli(settings, *args)
        assert (done.returncode, done.stderr) == (OK, ""), done.stderr
        assert done.stdout.count("\n") == 1
        return done.stdout.strip()
    return start


@pytest.fixture
def verify(cli):
    """The claims, or the reason of the refusal."""
    def start(settings, text):
        done = cli(settings, "--verify", "-", stdin=text + "\n")
        assert done.returncode == (NO if done.stderr else OK)
        assert bool(done.stdout) != bool(done.stderr)
        return json.loads(done.stdout) if done.stdout else done.stderr.strip().removeprefix("ringcast token: ")
    return start


@pytest.fixture(scope="session")
def jose_keys(node_jose):
    return rctokens.jose(node_jose, "make", good(sub="anna", channels=["news:*"], info={"name": "Änna"}))


BY_SECRET = {"hmac_secret": SECRET}


# ---- making

def test_everything_that_can_be_said_stands_in_the_token(make, verify, folder):
    before = int(time.time())
    text = make(BY_SECRET, "--user", "anna", "--channel", "news:*", "--channel", "user:anna", "--publish", "chat", "--subscribe", "news:a",
                "--command", "chat:send", "--scope", "read", "--scope", "publish:x", "--info", '{"name": "Änna"}', "--max-connections", "3",
                "--claim", 'tenant="blue"', "--claim", "level=[1,2]", "--expires", "10m", "--kid", "k/1")
    claims = claims_of(text)
    assert before <= claims.pop("iat") <= time.time() and before + 600 <= claims.pop("exp") <= time.time() + 600
    assert claims == {"sub": "anna", "channels": ["news:*", "user:anna"], "publish": ["chat"], "subscribe_on_connect": ["news:a"],
                      "commands": ["chat:send"], "scope": ["read", "publish:x"], "info": {"name": "Änna"}, "max_connections": 3,
                      "tenant": "blue", "level": [1, 2]}
    assert text.startswith(b64_json(b'{"alg":"HS256","typ":"JWT","kid":"k/1"}') + ".")
    assert verify(BY_SECRET, text) == claims_of(text)
    # And it is what a hand of our own makes of it.
    head, payload, _ = text.split(".")
    assert text == token(claims=rctokens.base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)),
                         header=b'{"alg":"HS256","typ":"JWT","kid":"k/1"}')


def test_what_the_configuration_asks_for_is_put_in(make, verify):
    settings = {**BY_SECRET, "issuer": "https://a.example/, b", "audience": "chat", "user_claim": "uid", "hmac_algorithm": "HS512"}
    text = make(settings, "--user", "anna")
    claims = claims_of(text)
    assert (claims["iss"], claims["aud"], claims["uid"]) == ("https://a.example/", "chat", "anna") and "sub" not in claims
    assert verify(settings, text)["uid"] == "anna"
    given = make(settings, "--claim", 'iss="b"', "--claim", 'aud=["x","chat"]', "--claim", "exp=4000000000")
    assert {k: claims_of(given)[k] for k in ("iss", "aud", "exp")} == {"iss": "b", "aud": ["x", "chat"], "exp": 4000000000}


def test_the_secret_may_be_in_a_file_or_in_the_environment(cli, folder):
    path = put(os.path.join(folder, "secret"), SECRET + "\n")
    conf = put(os.path.join(folder, "ringcast.conf"), f"[auth]\nhmac_secret_file = {path}\n")
    text = cli({}, "--config", conf, "--user", "anna").stdout.strip()
    assert cli(BY_SECRET, "--verify", text).returncode == OK
    # What the environment says is stronger than the file.
    other = "another secret" + SECRET
    done = subprocess.run([*rcgateway.WRAP, rcgateway.BINARY, "token", "--config", conf], capture_output=True, text=True,
                          timeout=30 * SLOW, env={**rcgateway.environment(folder), "RINGCAST_AUTH_HMAC_SECRET": other})
    assert cli({"hmac_secret": other}, "--verify", done.stdout.strip()).returncode == OK
    assert cli(BY_SECRET, "--verify", done.stdout.strip()).returncode == NO


def test_a_token_that_the_gateway_would_refuse_is_told(cli):
    for args, words in ([("--expires", "never"), "a claim"], [("--channel", "a b"), "a claim"], [("--claim", "exp=1"), "expired"],
                        [("--claim", "nbf=4000000000"), "not valid yet"], [("--claim", 'x="' + "x" * 7000 + '"'), "too large"]):
        done = cli(BY_SECRET, *args)
        assert done.returncode == OK and done.stdout.count(".") == 2
        assert done.stderr.startswith("warning: a gateway with this configuration refuses it") and words in done.stderr
    assert cli({**BY_SECRET, "require_expiry": "no"}, "--expires", "never").stderr == ""


@pytest.mark.parametrize("args, words", [
    (["--expires", "soon"], "is no time"), (["--expires", "0s"], "is no time"), (["--expires", "4000d"], "is no time"),
    (["--info", "{"], "is not JSON"), (["--claim", "a"], "NAME=JSON"), (["--claim", "a=b"], "NAME=JSON"), (["--claim", "=1"], "NAME=JSON"),
    (["--alg", "none"], "is none of"), (["--max-connections", "0"], "number of connections"), (["--max-connections", "x"], "number"),
    (["--user"], "--help"), (["--nothing"], "--help"), (["word"], "is not an option"),
    (["--user", b"\xff"], "is not UTF-8"), (["--channel", "a"] * 65, "one too many")])
def test_wrong_usage_is_2(cli, args, words):
    done = cli(BY_SECRET, *[a if isinstance(a, str) else os.fsdecode(a) for a in args])
    assert (done.returncode, done.stdout) == (USAGE, "") and words in done.stderr


def test_what_can_not_be_signed_is_refused_with_a_reason(cli, folder):
    rsa, rsa_public = rctokens.new_key(folder, "RS256")
    ec, _ = rctokens.new_key(folder, "ES256")
    subprocess.run(["openssl", "pkey", "-in", ec, "-aes256", "-passout", "pass:x", "-out", f"{folder}/locked"], check=True,
                            capture_output=True)
    for settings, args, words in ([{}, [], "nothing to sign with"], [{"hmac_secret": "short"}, [], "the secret has 5 bytes"],
                                  [BY_SECRET, ["--alg", "ES256"], "needs a private key"], [{}, ["--key", folder], "is not a file"],
                                  [{}, ["--key", f"{folder}/none"], "can't be opened"], [{}, ["--key", rsa_public], "no private key in it"],
                                  [{}, ["--key", f"{folder}/locked"], "locked with a passphrase"],
                                  [{}, ["--key", rsa, "--alg", "ES256"], "can't sign with ES256"],
                                  [{}, ["--key", ec, "--alg", "HS256"], "can't sign with HS256"],
                                  [{"hmac_algorithm": "HS1"}, [], "hmac_algorithm"], [{}, ["--verify", "a.b.c"], "nothing to verify with"],
                                  [{"jwks": f"{folder}/none"}, ["--verify", "a.b.c"], "can't be opened"]):
        done = cli(settings, *args)
        assert (done.returncode, done.stdout) == (NO, "") and words in done.stderr, done.stderr


# ---- every algorithm, and another library

@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_a_token_by_a_key_of_openssl_is_good(make, verify, folder, alg, node_jose):
    private, public = rctokens.new_key(folder, alg)
    settings = {"public_key": public, "public_key_algorithm": alg}
    text = make(settings, "--key", private, "--alg", alg, "--user", "anna")
    assert verify(settings, text) == claims_of(text)
    told, = rctokens.jose(node_jose, "check", [{"token": text, "alg": alg, "pem": open(public).read()}])
    assert told == {"payload": claims_of(text), "header": {"alg": alg, "typ": "JWT"}}
    # By another key of the same kind it is none.
    _, other = rctokens.new_key(folder, alg, "other")
    assert verify({**settings, "public_key": other}, text) == "the token's signature is wrong"


def test_jose_takes_what_is_signed_with_a_secret(make, node_jose):
    made = [{"token": make({**BY_SECRET, "hmac_algorithm": alg}, "--user", "anna"), "alg": alg, "secret": SECRET} for alg in DIGESTS]
    for given, told in zip(made, rctokens.jose(node_jose, "check", made)):
        assert told["payload"] == claims_of(given["token"])


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_token_of_jose_is_good(jose_keys, verify, folder, alg):
    key = jose_keys[alg]
    alone = {"jwks": put(f"{folder}/one.json", json.dumps({"keys": [{**key["jwk"], "alg": alg}]}))}
    assert verify(alone, key["token"])["info"] == {"name": "Änna"}
    assert verify(alone, key["named"])["sub"] == "anna"
    if key["pem"]:
        settings = {"public_key": put(f"{folder}/one.pem", key["pem"]), "public_key_algorithm": alg}
        assert verify(settings, key["token"])["channels"] == ["news:*"]


def test_a_key_set_of_all_algorithms_takes_each_token_by_its_key(jose_keys, verify, folder):
    keys = [{**jose_keys[alg]["jwk"], "alg": alg, "kid": f"key of {alg}", "use": "sig"} for alg in ALGORITHMS]
    settings = {"jwks": put(f"{folder}/all.json", json.dumps({"keys": keys}))}
    for alg in ALGORITHMS:
        assert verify(settings, jose_keys[alg]["named"])["sub"] == "anna"
        assert verify(settings, jose_keys[alg]["token"])["sub"] == "anna"
    # The name of another key is not that of this one.
    for n, key in enumerate(keys):
        key["kid"] = f"key of {ALGORITHMS[n - 1]}"
    put(settings["jwks"], json.dumps({"keys": keys}))
    for alg in ALGORITHMS:
        assert verify(settings, jose_keys[alg]["named"]) == "the token's algorithm is not accepted"


# ---- looking at tokens

def test_what_is_tried_against_verifiers_is_refused(verify, folder):
    _, public = rctokens.new_key(folder, "RS256")
    pem = open(public).read()
    by_key = {"public_key": public}
    unsigned = "the token's algorithm is not accepted"
    for settings in (BY_SECRET, by_key):
        for none in ("none", "None", "NONE", "nOnE"):
            for signature in ("", "AAAA"):
                assert verify(settings, f"{b64_json({'alg': none})}.{b64_json(good())}.{signature}") == unsigned
    # The public key as the secret of an HMAC.
    for secret in (pem, pem.strip(), pem.replace("\n", "")):
        assert verify(by_key, token(secret=secret)) == unsigned
    for kid in ("../../../../dev/null", "/etc/passwd", "a" * 200, "key\n", "' OR 1=1 --"):
        assert verify(by_key, token(header={"alg": "RS256", "kid": kid})) == "the token's signature is wrong"
    assert verify(BY_SECRET, token(secret="x" * 64)) == "the token's signature is wrong"
    assert verify(BY_SECRET, token(alg="HS512")) == unsigned
    assert verify(BY_SECRET, token(good(x="x" * 9000))) == "the token is too large"
    assert verify(BY_SECRET, "A" * (1 << 20)) == "the token is too large"
    assert verify(BY_SECRET, token(header={"alg": "HS256", "crit": ["x"], "x": 1})) == "the token is malformed"
    assert verify(BY_SECRET, token(b"[" * 3000 + b"]" * 3000)) == "the token is malformed"
    assert verify(BY_SECRET, token(b'{"sub":"a","sub":"b","exp":4000000000}')) == "a claim of the token is missing or not as it must be"
    assert verify(BY_SECRET, token({"exp": 1})) == "the token has expired"
    assert verify(BY_SECRET, token(good(nbf=4000000000))) == "the token is not valid yet"
    assert verify({**BY_SECRET, "issuer": "me"}, token()) == "the token's issuer is not accepted"
    assert verify({**BY_SECRET, "audience": "me"}, token(good(aud="you"))) == "the token is not for this service"
    for garbage in ("", "a", "a.b", "a.b.c", "....", "\0\0\0", "é.é.é"):
        assert verify(BY_SECRET, garbage) == "the token is malformed"


def test_no_character_of_a_token_can_be_another(verify, cli, folder):
    text = token(good(sub="anna"))
    for at in range(0, len(text), max(1, len(text) // 24)):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1:]
        assert isinstance(verify(BY_SECRET, changed), str)


def test_leeway_and_times(verify):
    now = time.time()
    settings = {**BY_SECRET, "leeway": "5m"}
    assert verify(settings, token({"exp": now - 200, "nbf": now + 200.5, "iat": int(now)}))["nbf"] == now + 200.5
    assert verify(settings, token({"exp": now - 400})) == "the token has expired"
    for exp in (b"1e400", b"-1", b'"4000000000"', b"99999999999999999999", b"null"):
        assert verify(settings, token(b'{"exp":' + exp + b"}")) == "a claim of the token is missing or not as it must be"


def test_what_is_printed_can_not_steer_a_terminal(cli):
    done = cli(BY_SECRET, "--verify", token(good(name="\x9b31m\x7f")))
    assert done.returncode == OK and json.loads(done.stdout)["name"] == "\x9b31m\x7f"
    assert "\x9b" not in done.stdout and "\x7f" not in done.stdout


# ---- the configuration

def test_files_of_keys_are_tried_by_check_and_check_config(folder, shards):
    keys = put(f"{folder}/keys.json", '{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}')
    conf = put(f"{folder}/ringcast.conf", f"[auth]\njwks = {keys}\n")
    for args in (["serve", "--config", conf, "--check-config"], ["check", "--config", conf], ["serve", "--config", conf]):
        done = run(args, folder)
        assert done.returncode == NO and "keys.json: key 1 in it: the secret has 5 bytes" in done.stdout + done.stderr
    put(keys, json.dumps({"keys": [{"kty": "oct", "k": "A" * 64}, {"kty": "EC", "crv": "P-521"}]}))
    assert run(["serve", "--config", conf, "--check-config"], folder).returncode == OK
    assert "keys.json: key 2 in it: left out" in run(["check", "--config", conf], folder).stderr


def test_the_secret_is_never_printed(folder, shards):
    done = run(["serve", "--set", f"auth.hmac_secret={SECRET}", "--print-config"], folder)
    assert done.returncode == OK and SECRET not in done.stdout + done.stderr and "hmac_secret" in done.stdout
