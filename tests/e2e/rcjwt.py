# SPDX-License-Identifier: Apache-2.0
"""Tokens as an application makes them: signed with a shared secret, by nothing but hmac."""
import base64
import hashlib
import hmac
import json
import time

SECRET = "a secret that is long enough for all three of them: 64 bytes, no less"
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def encode(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def sign(text, secret=SECRET, alg="HS256"):
    secret = secret.encode() if isinstance(secret, str) else secret
    return encode(hmac.new(secret, text.encode(), HASHES[alg]).digest())


def make(claims=None, secret=SECRET, alg="HS256", kid=None, lifetime=3600, **more):
    """claims, with `exp` so many seconds from now unless it says otherwise; none with lifetime=None or exp=None. more: further claims."""
    header = {"alg": alg, "typ": "JWT", **({"kid": kid} if kid else {})}
    claims = {**({} if lifetime is None else {"exp": int(time.time()) + lifetime}), **(claims or {}), **more}
    claims = {k: v for k, v in claims.items() if k != "exp" or v is not None}
    text = ".".join(encode(json.dumps(part).encode()) for part in (header, claims))
    return text + "." + sign(text, secret, alg)


def settings(**more):
    """What makes a gateway take such tokens."""
    return {"auth.hmac_secret": SECRET, **more}
