# SPDX-License-Identifier: Apache-2.0
"""Tokens by a hand of our own (HMAC only, with everything that a proper library would not write), and by the npm package jose."""
import base64
import hashlib
import hmac
import json
import os
import subprocess
import time

from deadline import SLOW

SECRET = "a secret of the tests, long enough for each of the three digests"
DIGESTS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
ASYMMETRIC = ["RS256", "PS256", "ES256", "EdDSA"]
ALGORITHMS = [*DIGESTS, *ASYMMETRIC]
GENPKEY = {"RS256": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
           "PS256": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
           "ES256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
           "EdDSA": ["-algorithm", "ED25519"]}
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "js/tokens.js")


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def b64_json(value):
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


def good(**claims):
    """Claims of a token that is good for five minutes."""
    return {"exp": int(time.time()) + 300, **claims}


def token(claims=None, secret=SECRET, alg="HS256", header=None):
    """header and claims: an object, or bytes as they are to be."""
    head = {"alg": alg, "typ": "JWT"} if header is None else header
    signed = b64_json(head) + "." + b64_json(good() if claims is None else claims)
    return signed + "." + b64(hmac.new(secret.encode(), signed.encode(), DIGESTS[alg]).digest())


def claims_of(text):
    part = text.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def new_key(folder, alg, name="key"):
    """A private key and its public half by openssl: their paths."""
    private, public = (os.path.join(folder, f"{name}-{alg}.{kind}") for kind in ("pem", "pub"))
    for command in (["genpkey", *GENPKEY[alg], "-out", private], ["pkey", "-in", private, "-pubout", "-out", public]):
        subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=60 * SLOW)
    return private, public


def jose(modules, work, given):
    done = subprocess.run(["node", SCRIPT, work], input=json.dumps(given), capture_output=True, text=True, timeout=60 * SLOW,
                          env={**os.environ, "NODE_PATH": modules})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def put(path, text, mode=0o600):
    """A new file under that name, as tools do it."""
    with open(path + ".new", "w") as f:
        os.fchmod(f.fileno(), mode)
        f.write(text)
    os.rename(path + ".new", path)
    return path
