# SPDX-License-Identifier: Apache-2.0
"""Attacks with tokens: forged, confused, oversized, malformed, misplaced, and too many. Each is refused at every door, with the same code, with
nothing of keys in the words, and leaves nothing behind."""
import hashlib
import hmac
import json
import os
import time

import pytest

import rcsiege
import rctokens
from deadline import eventually
from rchttp import Http
from rcsiege import ADMIN, ISSUER, b64, b64_json, good, token, unb64
from rcws import TEXT, JsonClient, WebSocket, open_socket, upgrade

pytestmark = [pytest.mark.attack, pytest.mark.one_shard]
# Dozens of short attacks: that all memory came back is looked at behind the last of them, the rest behind each.
BACK_AT_THE_END = True

SECRET = rctokens.SECRET


def place(keys):
    return keys.settings(**rcsiege.known({
        "auth.cookie": "login", "admin.token": ADMIN, "namespace.channel_ttl": "0",
        "namespace.kept.allow_subscribe": "anyone", "namespace.kept.channel_ttl": "1h", "namespace.good.channel_ttl": "1h", "limits.message_rate": "0", "limits.byte_rate": "0", "limits.auth_failures": "0",
    })), False


@pytest.fixture
def door(siege):
    """An anonymous client, who may try to become somebody as often as it likes."""
    with JsonClient.greeted(siege.g.http, "/ws?channel=kept:a") as ws:
        assert ws.await_type("subscription-ack")
        ws.connected["attempts"] = 0
        yield ws


def header_safe(text):
    return text and all(33 <= ord(c) <= 126 for c in text) and len(text) < 8000


def refused(siege, door, *texts, counter=None):
    """Each of these tokens by the first message, the header and (the first of them) the query: refused, and nobody becomes anybody."""
    told = set()
    for text in texts:
        door.say(type="auth", token=text, id="t")
        error = door.await_type("error", "connected")
        assert (error["type"], error.get("code"), error.get("id")) == ("error", "unauthorized", "t"), (text[:300], error)
        told.add(error["message"])
    with Http(siege.g.http) as c:
        in_header = [t for t in texts if header_safe(t)]
        for text in in_header:
            r = c.get("/events?channel=kept:a", f"Authorization: Bearer {text}")
            assert r.status == 401 and r.json["error"]["code"] == "unauthorized", (text[:300], r.status, r.body)
            assert r.headers["www-authenticate"].startswith("Bearer"), r.headers
            told.add(r.json["error"]["message"])
            if r.headers.get("connection") == "close":
                c.drop()
                c.__init__(siege.g.http)
    if in_header:
        with JsonClient.open(siege.g.http, "/ws?token=" + in_header[0]) as ws:
            assert ws.recv_json()["code"] == "unauthorized"
            ws.expect_close(4001)
    for message in told:
        assert SECRET not in message and "BEGIN" not in message and "/" not in message.replace("nbf/exp", ""), message
    number = len(texts) + len(in_header) + bool(in_header)
    eventually(lambda: refusals(siege) == number, rcsiege.lambda_text(lambda: f"{number} refusals, not {refusals(siege)}"))
    assert siege.since("tokens_good") == 0
    if counter:
        siege.moved(**{counter: number})
    else:
        siege.moved()
    return told


REFUSALS = ["malformed", "too_large", "algorithm", "unknown_key", "signature", "expired", "not_yet", "issuer", "audience", "claim"]


def refusals(siege):
    return sum(siege.since("tokens_" + name) for name in REFUSALS)


def unsigned(header, claims=None, signature=""):
    return b64_json(header) + "." + b64_json(good(sub="ann") if claims is None else claims) + "." + signature


def hmac_token(header, secret, claims=None, digest=hashlib.sha256):
    signed = b64_json(header) + "." + b64_json(good(sub="ann") if claims is None else claims)
    return signed + "." + b64(hmac.new(secret, signed.encode(), digest).digest())


# ---- what is good, so that the rest is refused for what it is

def test_each_maker_is_believed(siege, keys):
    for alg in ("HS256", "RS256", "ES256", "EdDSA"):
        text = token(sub=alg) if alg == "HS256" else keys.token(alg, good(sub=alg))
        with JsonClient.greeted(siege.g.http, "/ws?token=" + text) as ws:
            assert ws.connected["user"] == alg
            ws.close()
    siege.moved(tokens_good=4)


# ---- algorithms

def test_no_algorithm(siege, door):
    names = ["none", "None", "NONE", "nOnE", "none ", " none", "none\0", "", "n\u043ene", None, 0, True, ["none"], {"none": 1}, ["HS256"], {"alg": "HS256"}]
    texts = [unsigned({"alg": n}) for n in names] + [unsigned({"typ": "JWT"}), unsigned({})]
    texts += [unsigned({"alg": n}, signature=b64(b"x" * 32)) for n in names[:4]]
    # The same without the last dot, and with the signature of an honest token.
    texts += [t[:-1] for t in texts[:4]] + [unsigned({"alg": n}, signature=token().rpartition(".")[2]) for n in names[:4]]
    refused(siege, door, *texts)
    assert siege.since("tokens_algorithm") > 0


def test_other_names_of_what_is_allowed(siege, door):
    """Signed with the right secret, under a name that is nearly right."""
    names = ["hs256", "Hs256", "HS256 ", " HS256", "HS256\0", "HS2560", "HS25", "HMAC", "SHA256", "HS384", "HS512", "RS256", "ES256", "EdDSA", "PS256"]
    texts = [hmac_token({"alg": n}, SECRET.encode()) for n in names]
    texts += [hmac_token({"alg": "HS384"}, SECRET.encode(), digest=hashlib.sha384), hmac_token({"alg": "HS512"}, SECRET.encode(), digest=hashlib.sha512)]
    refused(siege, door, *texts)


def test_the_public_key_as_a_secret(siege, door, keys):
    texts = []
    for alg, kid in (("RS256", None), ("ES256", "ec"), ("EdDSA", "ed")):
        pem, der = keys.pem(alg).encode(), keys.der(alg)
        body = b"".join(pem.splitlines()[1:-1])
        forms = [pem, pem.strip(), pem.strip() + b"\r\n", pem.replace(b"\n", b"\r\n"), body, der, der[-32:], der[-64:], der[-65:], pem + b"\0"]
        for name in ("HS256", "HS384", "HS512"):
            for form in forms if name == "HS256" else forms[:2]:
                header = {"alg": name, **({"kid": kid} if kid else {})}
                texts.append(hmac_token(header, form, digest=rctokens.DIGESTS[name]))
    refused(siege, door, *texts)


def test_empty_and_common_secrets(siege, door):
    refused(siege, door, *(hmac_token({"alg": "HS256"}, s) for s in (b"", b"\0", b"secret", b"null", b"undefined", SECRET.encode() + b"\n",
                                                                       SECRET.encode()[:-1], SECRET.upper().encode())), counter="tokens_signature")


# ---- headers

def test_names_of_keys_lead_nowhere(siege, door):
    kids = ["../../../../../../dev/null", "/dev/null", "/proc/self/environ", "file:///dev/null", "ec\0", "\0", "ec/../ed", "' OR '1'='1", "x' UNION SELECT 'k'--",
            "$(id)", "`id`", "%s%s%s%n", "ec ", "EC", "\u202eec", "", "k" * 255, "k" * 4000]
    texts = [hmac_token({"alg": "HS256", "kid": k}, s) for k in kids for s in (b"", b"k")]
    # Kinds that are no names, under an honest signature.
    texts += [hmac_token({"alg": "HS256", "kid": k}, SECRET.encode()) for k in (7, True, ["ec"], {"a": 1})]
    told = refused(siege, door, *texts)
    assert not any(k in message for k in kids if len(k) > 3 for message in told), told


def test_64_kib_of_a_key_name(siege, door):
    text = hmac_token({"alg": "HS256", "kid": "k" * 40000}, SECRET.encode())
    refused(siege, door, text, counter="tokens_too_large")
    # Larger than any message.
    door.send(TEXT, json.dumps({"type": "auth", "token": hmac_token({"alg": "HS256", "kid": "k" * 65536}, SECRET.encode())}))
    door.expect_close(1009)
    siege.moved(close_too_big=1)


def test_keys_that_a_token_brings_along_are_not_used(siege, door, keys):
    """jwk, jku, x5u, x5c: a token that says itself with what it is to be verified. Nobody is asked at the addresses either."""
    with open_listener() as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/keys.json"
        own = {"kty": "oct", "k": b64(b"mine")}
        brought = [{"jwk": own}, {"jku": url}, {"x5u": url}, {"x5c": [b64(b"x" * 64)]}, {"jwk": own, "kid": "mine"}, {"jku": url, "kid": "mine"},
                   {"iss": url, "kid": url}, {"x5t": "a"}, {"p2c": 2**31, "p2s": "a"}]
        refused(siege, door, *(hmac_token({"alg": "HS256", **b}, b"mine") for b in brought))
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()


def open_listener():
    import socket
    return socket.create_server(("127.0.0.1", 0))


def test_what_is_critical_and_not_understood_is_refused(siege, door):
    """RFC 7515, 4.1.11; all of these have an honest signature."""
    crits = [{"crit": ["b64"], "b64": False}, {"crit": ["exp"], "exp": 1}, {"crit": []}, {"crit": ["x"]}, {"crit": "x"}, {"crit": None}, {"crit": ["alg"]},
             {"crit": ["x", "x"], "x": 1}, {"crit": ["b64", "b64"], "b64": True}]
    refused(siege, door, *(hmac_token({"alg": "HS256", **c}, SECRET.encode()) for c in crits))


def test_members_that_stand_twice(siege, door):
    honest = SECRET.encode()
    headers = [b'{"alg":"HS256","alg":"none"}', b'{"alg":"none","alg":"HS256"}', b'{"alg":"HS256","alg":"HS256"}', b'{"alg":"none","\\u0061lg":"HS256"}',
               b'{"alg":"HS256","a\\u006cg":"HS256"}', b'{"alg":"HS256","kid":"ec","kid":"ed"}', b'{"alg":"HS256","crit":["x"],"crit":["y"]}']
    texts = [hmac_token(h, honest) for h in headers]
    later, start = int(time.time()) + 600, '{"iss":"%s","aud":"ringcast",' % ISSUER
    claims = ['"exp":%d,"sub":"ann","sub":"bob"}' % later, '"exp":%d,"exp":1}' % later, '"exp":1,"exp":%d}' % later, '"exp":%d,"e\\u0078p":%d}' % (later, later),
              '"exp":%d,"sub":"ann","s\\u0075b":"bob"}' % later, '"exp":%d,"channels":["a"],"channels":["**"]}' % later,
              '"exp":%d,"publish":[],"publish":["**"]}' % later, '"exp":%d,"aud":"other"}' % later, '"exp":%d,"nbf":1,"nbf":2}' % later,
              '"exp":%d,"info":1,"info":2}' % later]
    texts += [hmac_token(b'{"alg":"HS256"}', honest, (start + c).encode()) for c in claims]
    refused(siege, door, *texts)
    assert siege.since("tokens_signature") == 0


# ---- what they say

def test_times_places_and_people_that_are_not_ours(siege, door):
    now, who = int(time.time()), {"sub": "ann"}
    for counter, claims in (("expired", {"exp": now - 3600}), ("expired", {"exp": 0}), ("claim", {"exp": -1}), ("not_yet", {"nbf": now + 3600}),
                            ("issuer", {"iss": "https://issuer.example.evil"}), ("issuer", {"iss": ISSUER + "/"}), ("issuer", {"iss": ISSUER[:-1]}),
                            ("issuer", {"iss": ISSUER.upper()}), ("issuer", {"iss": ""}), ("audience", {"aud": "ringcast2"}), ("audience", {"aud": []}),
                            ("audience", {"aud": ["a", "Ringcast"]}), ("audience", {"aud": ""})):
        before = siege.since("tokens_" + counter)
        door.say(type="auth", token=rctokens.token({**good(**who), **claims}))
        assert door.await_type("error", "connected")["code"] == "unauthorized", claims
        assert siege.since("tokens_" + counter) == before + 1, (counter, claims, {n: siege.since("tokens_" + n) for n in REFUSALS})
    wrong = [{"iss": [ISSUER]}, {"iss": None}, {"aud": None}, {"aud": {"ringcast": 1}}, {"aud": [["ringcast"]]}, {"aud": [7]}]
    for claims in wrong:
        door.say(type="auth", token=rctokens.token({**good(**who), **claims}))
        assert door.await_type("error", "connected")["code"] == "unauthorized", claims
    for left_out in ("iss", "aud", "exp"):
        claims = {k: v for k, v in good(**who).items() if k != left_out}
        door.say(type="auth", token=rctokens.token(claims))
        assert door.await_type("error", "connected")["code"] == "unauthorized", left_out
    siege.moved(tokens_expired=2, tokens_not_yet=1, tokens_issuer=rcsiege.Siege.SOME, tokens_audience=rcsiege.Siege.SOME)


NEVER = ["NaN", "Infinity", "-Infinity", "1e", "0x7fffffff", "+9999999999", "09999999999", "9999999999.", ".9e10", '"9999999999"', "null", "true", "[9999999999]",
         "{}", "-9999999999", "-1e400", "1e-400", "-0", "0", "0.0"]
LATER = ["1e400", "1e308", "9223372036854775807", "9223372036854775808", "18446744073709551616", "9" * 400, "1" + "0" * 1000, "1e18", "9007199254740993",
         "9223372036854775", "9223372036854776", "253402300800", "1e10", "9999999999.999"]


def test_numbers_of_every_size_for_the_expiry(siege, door):
    def signed(exp, more=""):
        return hmac_token(b'{"alg":"HS256"}', SECRET.encode(), ('{"sub":"ann","iss":"%s","aud":"ringcast","exp":%s%s}' % (ISSUER, exp, more)).encode())

    refused(siege, door, *map(signed, NEVER))
    # Those far ahead may be refused, or are far ahead; none wraps around.
    for text in LATER:
        with JsonClient.open(siege.g.http, "/ws?token=" + signed(text)) as ws:
            first = ws.recv_json()
            if first["type"] == "connected":
                assert "expires" not in first or first["expires"] > time.time() * 1000 + 10**6, (text, first)
                ws.events = []
                ws.barrier()
                ws.close()
            else:
                assert first["code"] == "unauthorized"
                ws.expect_close(4001)
    for text in ["1e400", "9" * 400, "9223372036854775807", "253402300800"]:
        with JsonClient.open(siege.g.http, "/ws?token=" + signed("9999999999", ',"nbf":' + text)) as ws:
            assert ws.recv_json()["code"] == "unauthorized", text
            ws.expect_close(4001)


def test_bombs_of_json(siege, door):
    honest = SECRET.encode()
    deep = 2500
    texts = []
    for opening, closing in (("[", "]"), ('{"a":', "}"), ("[{\"a\":", "}]")):
        bomb = (opening * deep)[:3500] + "1" + closing * 5
        texts.append(hmac_token(bomb.encode(), honest))
        texts.append(hmac_token(('{"alg":"HS256","x":%s}' % bomb).encode(), honest))
        texts.append(hmac_token(b'{"alg":"HS256"}', honest, bomb.encode()))
        texts.append(hmac_token(b'{"alg":"HS256"}', honest, ('{"exp":9999999999,"info":%s}' % bomb).encode()))
    nested = "[" * 400 + "]" * 400
    for where in ("info", "x", "channels", "sub"):
        claims = '{"iss":"%s","aud":"ringcast","exp":9999999999,"%s":%s}' % (ISSUER, where, nested)
        texts.append(hmac_token(b'{"alg":"HS256"}', honest, claims.encode()))
    refused(siege, door, *texts)


def test_claims_larger_than_their_room(siege, door):
    honest = [{"info": "x" * 1100}, {"info": ["\u00e9" * 600]}, {"channels": ["c%d" % i for i in range(3)] + ["x" * 256]}, {"channels": {"a": 1}},
              {"channels": [["a"]]}, {"channels": [1]}, {"channels": ["a*"]}, {"channels": [""]}, {"publish": ["a b"]}, {"publish": 7}, {"commands": 7},
              {"subscribe_on_connect": [None]}, {"max_connections": -1}, {"max_connections": "7"}, {"max_connections": 1.5}, {"max_connections": 10**30}]
    for claims in honest:
        door.say(type="auth", token=token(sub="ann", **claims))
        error = door.await_type("error", "connected")
        assert error["type"] == "error" and error["code"] == "unauthorized", claims
    # As many as a token has room for: taken or refused, and served.
    many = token(sub="ann", channels=["c%d" % i for i in range(900)])
    with JsonClient.open(siege.g.http, headers=[("Authorization", "Bearer " + many)]) as ws:
        assert ws.recv_json()["type"] in ("connected", "error")
    siege.moved(tokens_claim=rcsiege.Siege.SOME)


def raw_user(raw):
    return hmac_token(b'{"alg":"HS256"}', SECRET.encode(), b'{"iss":"%s","aud":"ringcast","exp":9999999999,"sub":"%s"}' % (ISSUER.encode(), raw))


def test_users_that_are_no_names(siege, door):
    bad = [b"\\u0000", b"a\\u0000b", b"\\u0001", b"\\n", b"a\\r\\nb", b"\\u001b[2J", b"\\u007f", b"\x01", b"\x00", b"\n", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\xaf",
           b"\xf0\x80\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xff", b"a\x80", b"\xe2\x82", b"\\ud800", b"\\udc00\\ud800",
           b"", b"x" * 129, "\u20ac".encode() * 43, b"\\u20ac" * 43, b"x" * 4000, b"\\u0085", "\u0085".encode(), "\u009f".encode()]
    refused(siege, door, *map(raw_user, bad))
    assert siege.since("tokens_signature") == 0


def test_users_that_look_like_others_are_themselves(siege):
    names = ["\u202enna", "ann\u200b", "\u0430nn", "ann ", "ANN", "*", "a:b", "ann:inbox", "$sys", "../ann", "x" * 128, "\u20ac" * 42, "'\"<script>", "\U0001f600"]
    for name in names:
        with JsonClient.greeted(siege.g.http, headers=[("Authorization", "Bearer " + raw_user(json.dumps(name)[1:-1].encode()))]) as ws:
            assert ws.connected["user"] == name
            status = siege.status()["clientDetails"][ws.connected["session"]]
            assert status["user"] == name
            ws.close()
    siege.moved(tokens_good=len(names))


# ---- garbage

def test_garbage_and_every_cut(siege, door):
    honest = token(sub="ann")
    head, body, signature = honest.split(".")
    texts = ["", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d", honest + ".", honest + "." + signature, "." + honest, honest + "=", honest + "A", honest + " ",
             honest.replace(".", ",", 1), "Bearer " + honest, f"{head}..{signature}", f".{body}.{signature}", f"{head}.{body}.", f"{head}.{signature}.{body}",
             f"{body}.{head}.{signature}", f"{head}=.{body}.{signature}", f"{head}.{body}=.{signature}", f"{head}.{body}.{signature}=", f"{head}.{body}.{signature}==",
             honest[:-1] + "+", honest[:-1] + "/", honest[:-1] + "\u00e9", honest + "\0", "\0" + honest, honest + "\n", "\ufeff" + honest, honest.swapcase(),
             b64(os.urandom(900)), ".".join(b64(os.urandom(300)) for _ in range(3)), "." * 3000, "A" * 8000]
    step = max(1, len(honest) // 40)
    texts += [honest[:n] for n in range(1, len(honest), step)] + [honest[n:] for n in range(1, len(honest), step)]
    texts += [b64_json(b) + "." + body + "." + signature for b in (b"", b"{", b"null", b"[]", b'"HS256"', b"{}{}", b"\xff", b"{\"alg\":\"HS256\"}x", b"\xef\xbb\xbf{}")]
    refused(siege, door, *texts)


def test_one_bit_of_any_character(siege, door):
    """Also the bits that base64 does not carry."""
    honest = token(sub="ann")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    texts = []
    for at in [*range(0, len(honest), 9), *range(len(honest) - 3, len(honest))]:
        if honest[at] != ".":
            for bit in (1, 2, 32):
                texts.append(honest[:at] + alphabet[alphabet.index(honest[at]) ^ bit] + honest[at + 1:])
    refused(siege, door, *texts)


# ---- signatures

N256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
P256 = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff


def test_signatures_by_curves_that_are_none(siege, door, keys):
    honest = keys.token("ES256", good(sub="ann"))
    signed, _, signature = honest.rpartition(".")
    raw = unb64(signature)
    n, word = N256, lambda x: x.to_bytes(32, "big")
    der = keys.sign("ES256", signed.encode())
    bad = [b"", b"\0", b"\0" * 64, word(0) + word(1), word(1) + word(0), word(n) + word(n), word(n) + raw[32:], raw[:32] + word(n), word(1) + word(1), b"\xff" * 64,
           word(P256) + word(1), raw[:63], raw + b"\0", b"\0" + raw, raw[:32], raw[32:] + raw[:32], der, der[:64], raw + raw, b"\0" * 63, b"\0" * 65, b"\0" * 128,
           b"\x30\x06\x02\x01\x00\x02\x01\x00", b"x" * 2000]
    refused(siege, door, *(f"{signed}.{b64(b)}" for b in bad))


def test_signatures_by_points_of_small_order(siege, door, keys):
    honest = keys.token("EdDSA", good(sub="ann"))
    signed, _, signature = honest.rpartition(".")
    raw = unb64(signature)
    order = 2**252 + 27742317777372353535851937790883648493
    small = [bytes([1]) + bytes(31), bytes([1]) + bytes(30) + b"\x80", b"\xec" + b"\xff" * 30 + b"\x7f", bytes(32), bytes(31) + b"\x80",
             bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
             bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), b"\xed" + b"\xff" * 30 + b"\x7f", b"\xff" * 32]
    bad = [r + s for r in small for s in (bytes(32), (1).to_bytes(32, "little"))]
    # The same signature in another writing: S and S + L.
    bad += [raw[:32] + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little"), raw[:32] + bytes(32), raw[:63], raw + b"\0", raw[:32], b"", b"\0",
            raw[32:] + raw[:32], bytes(64), b"\xff" * 64]
    refused(siege, door, *(f"{signed}.{b64(b)}" for b in bad))


def test_signatures_by_no_key_of_ours(siege, door, keys):
    honest = keys.token("RS256", good(sub="ann"))
    signed, _, signature = honest.rpartition(".")
    raw = unb64(signature)
    number = int.from_bytes(raw, "big")
    modulus = int(openssl_modulus(keys), 16)
    digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(signed.encode()).digest()
    padded = b"\0\1" + b"\xff" * (256 - 3 - len(digest)) + b"\0" + digest
    word = lambda x: x.to_bytes(256, "big")
    bad = [b"", b"\0", bytes(256), word(1), word(modulus), word(modulus - 1), word(modulus - number), raw[:255], raw + b"\0", b"\0" + raw, raw[::-1], padded,
           digest, b"\xff" * 256, b"\xff" * 512, bytes(2000)]
    texts = [f"{signed}.{b64(b)}" for b in bad]
    # A signature of one kind under the name of another, and of another's text.
    other = b64_json({"alg": "PS256"}) + "." + honest.split(".")[1]
    texts += [other + "." + signature, other + "." + b64(keys.sign("RS256", other.encode())), honest.split(".")[0] + "." + b64_json(good(sub="bob")) + "." + signature]
    for alg, kid in (("ES256", "ec"), ("EdDSA", "ed"), ("RS256", "ec"), ("ES256", "ed"), ("EdDSA", "ec")):
        mixed = b64_json({"alg": alg, "kid": kid}) + "." + honest.split(".")[1]
        texts.append(mixed + "." + b64(keys.sign("RS256", mixed.encode())))
    refused(siege, door, *texts)


def openssl_modulus(keys):
    return rcsiege.openssl("rsa", "-pubin", "-in", keys.public["RS256"], "-noout", "-modulus").decode().partition("=")[2].strip()


# ---- too large

def test_a_megabyte_of_token(siege):
    mega = token(sub="ann") + "A" * (1 << 20)
    def answer(raw):
        s = open_socket(siege.g.http)
        try:
            try:
                s.sendall(raw)
            except OSError:
                pass
            return rcsiege.until_closed(s)
        finally:
            s.close()

    for kind in ("ws", "events"):
        head = answer(upgrade(f"/{kind}?channel=kept:a", headers=[("Authorization", "Bearer " + mega)]))
        assert head.startswith(b"HTTP/1.1 431 "), head[:100]
        head = answer(upgrade(f"/{kind}?channel=kept:a&token={mega}"))
        assert head.startswith((b"HTTP/1.1 414 ", b"HTTP/1.1 431 ")), head[:100]
    for name in ("Sec-WebSocket-Protocol", "Cookie"):
        value = f"ringcast.v1.json, bearer.{mega}" if name != "Cookie" else "login=" + mega
        assert answer(upgrade("/ws", headers=[(name, value)])).startswith(b"HTTP/1.1 431 ")
    with JsonClient.greeted(siege.g.http) as ws:
        try:
            ws.say(type="auth", token=mega)
        except OSError:
            pass
        ws.expect_close(1009)
    siege.moved(http_bad=6, close_too_big=1)


def test_a_token_just_over_the_limit(siege, door):
    """Larger than token_max and smaller than a request: looked at by nobody, and told so at every door."""
    long = token(sub="ann", info="x", pad="y" * 7000)
    assert 8192 < len(long) < 12000
    with JsonClient.open(siege.g.http, "/ws?token=" + long) as ws:
        assert ws.recv_json()["code"] == "unauthorized"
        ws.expect_close(4001)
    with JsonClient.open(siege.g.http, headers=[("Authorization", "Bearer " + long)]) as ws:
        assert ws.recv_json()["code"] == "unauthorized"
        ws.expect_close(4001)
    assert door.say(type="auth", token=long) is None and door.await_type("error")["code"] == "unauthorized"
    siege.moved(tokens_too_large=3)


# ---- places

def test_places_that_contradict_each_other(siege):
    ann, bob = token(sub="ann"), token(sub="bob")
    ways = {"header": lambda t: ("", [("Authorization", "Bearer " + t)]), "query": lambda t: ("?token=" + t, []),
            "subprotocol": lambda t: ("", [("Sec-WebSocket-Protocol", f"ringcast.v1.json, bearer.{t}")])}
    tried = 0
    for first in ways:
        for second in ways:
            if first < second:
                (q1, h1), (q2, h2) = ways[first](ann), ways[second](bob)
                with JsonClient.open(siege.g.http, "/ws" + q1 + q2, headers=h1 + h2) as ws:
                    assert ws.recv_json()["code"] == "unauthorized", (first, second)
                    ws.expect_close(4001)
                tried += 1
    # Twice in the same place.
    for path, headers in ((f"/ws?token={ann}&token={bob}", []), ("/ws", [("Authorization", "Bearer " + ann), ("Authorization", "Bearer " + bob)]),
                          ("/ws", [("Sec-WebSocket-Protocol", f"bearer.{ann}, bearer.{bob}, ringcast.v1.json")]),
                          ("/ws", [("Authorization", f"Bearer {ann}, Bearer {bob}")]), ("/ws", [("Authorization", f"Bearer {ann} {bob}")])):
        with WebSocket(open_socket(siege.g.http)) as ws:
            ws.send_bytes(upgrade(path, headers=headers))
            head = ws.read_until(b"\r\n\r\n") and ws
            rest = ws.read_exact(2) if head else b""
            raw = rest + ws.sock.recv(4096) if not ws.buffered() else rest + ws.read_exact(ws.buffered())
            assert b'"connected"' not in raw, (path[:30], headers, raw[:200])
    siege.moved(close_token=siege.SOME)
    assert siege.since("tokens_good") == 0


def test_once_known_nobody_becomes_another(siege, connect):
    ann, bob = token(sub="ann"), token(sub="bob")
    ws = connect(siege.g, "/ws?channel=kept:a")
    ws.await_type("subscription-ack")
    # Not known yet.
    ws.say(type="refresh", token=ann, id=1)
    assert ws.await_type("error")["code"] == "bad_request"
    ws.say(type="auth", token=ann)
    assert ws.await_type("connected")["user"] == "ann"
    for kind, text, code in (("auth", ann, "bad_request"), ("auth", bob, "bad_request"), ("refresh", bob, "forbidden"), ("refresh", token(), "forbidden"),
                             ("refresh", token(sub="ann", exp=1), "unauthorized"), ("refresh", hmac_token({"alg": "none"}, b""), "unauthorized")):
        ws.say(type=kind, token=text, id=kind)
        error = ws.await_type("error")
        assert (error["code"], error["id"]) == (code, kind), (kind, error)
    assert siege.status()["clientDetails"][ws.connected["session"]]["user"] == "ann"
    # Two in one breath: the second finds somebody who is known.
    with JsonClient.greeted(siege.g.http) as two:
        two.send_bytes(b"".join(text_frame(type="auth", token=t) for t in (ann, bob)))
        first, second = two.recv_json(), two.recv_json()
        assert {first["type"], second["type"]} == {"connected", "error"} and "bob" not in (first.get("user"), second.get("user"))
        two.close()
    ws.close()
    siege.moved(tokens_expired=1, tokens_algorithm=1)


def text_frame(**message):
    from rcws import frame
    return frame(TEXT, json.dumps(message))


# ---- too many

def test_thousands_of_attempts(siege, door):
    """On one connection and on many. How many one address may make is a matter of [limits], which does not count this host."""
    bad, count = token(secret="x" * 64, sub="ann"), 2000
    raw = text_frame(type="auth", token=bad)
    for _ in range(count // 100):
        door.send_bytes(raw * 100)
        for _ in range(100):
            assert door.await_type("error")["code"] == "unauthorized"
    for _ in range(100):
        with WebSocket(open_socket(siege.g.http)) as ws:
            ws.send_bytes(upgrade("/ws?token=" + bad))
            assert b'"unauthorized"' in rcsiege.until_closed(ws.sock)
    siege.moved(tokens_signature=count + 100, close_token=100)
