# SPDX-License-Identifier: Apache-2.0
"""/api/publish and /api/broadcast: every shape of request, positions that a subscriber confirms, keys that make a request happen once, and
who may do it."""
import json
import signal
import threading

import pytest

from rchttp import Http, offset, request
from rcws import Closed, JsonClient

CHANNELS = [f"c{i}" for i in range(20)]  # so that each shard owns some


@pytest.fixture
def web(shared_gateway):
    with Http(shared_gateway.http) as c:
        yield c


@pytest.fixture
def reader(shared_gateway, request):
    """A subscriber of everything that this test publishes: its channels begin with the test's own name."""
    with JsonClient.greeted(shared_gateway.http) as ws:
        ws.prefix = f"t{abs(hash(request.node.name)) % 10**9}"
        ws.subscribe(f"{ws.prefix}:*")
        yield ws


def error(r):
    return r.json["error"]["code"]


# ---- one event

def test_one_event_reaches_its_subscribers_where_the_answer_says(web, reader):
    for i, channel in enumerate(CHANNELS):
        name = f"{reader.prefix}:{channel}"
        position = web.position(name, {"n": i, "text": "é\n\u2028"}, event="made")
        event = reader.next_event()
        assert (event["channel"], event["event"], event["data"]) == (name, "made", {"n": i, "text": "é\n\u2028"})
        assert event["offset"] == offset(position) == 1


def test_positions_are_those_of_the_channel(web, shared_gateway):
    channel = "positions"
    first = web.position(channel)
    with JsonClient.greeted(shared_gateway.http) as ws:
        ack = ws.subscribe(channel)
        assert ack["data"]["positions"][channel] == first
        second = web.position(channel)
        assert ws.next_event()["offset"] == offset(second) == offset(first) + 1
        assert second.split("@")[0] == first.split("@")[0]


@pytest.mark.parametrize("data", ["null", "true", "0", '""', "[]", "{}", '"\\ud83d\\ude00"', '[[[[[]]]]]', '{"a":{"b":[1,2,{"c":null}]}}'])
def test_data_is_any_json_and_passed_on_as_it_is(web, reader, data):
    assert web.publish(f'{{"channel":"{reader.prefix}:x","data": {data} }}').status == 200
    assert reader.next_event()["data"] == json.loads(data)


def test_the_event_is_called_message_when_nothing_is_said(web, reader):
    web.position(f"{reader.prefix}:x")
    assert reader.next_event()["event"] == "message"


@pytest.mark.parametrize("time", [1768472100000, "2026-01-15T10:15:00.000Z", "2026-01-15T11:15:00+01:00"])
def test_a_timestamp_is_kept(web, reader, time):
    web.position(f"{reader.prefix}:x", timestamp=time)
    assert reader.next_event()["timestamp"] == "2026-01-15T10:15:00.000Z"


@pytest.mark.parametrize("ident", ['"a7"', "7", '"\\u00e9\\""'])
def test_an_id_comes_back(web, ident):
    r = web.publish(f'{{"id":{ident},"channel":"ids","data":1}}')
    assert r.json["id"] == json.loads(ident) and "position" in r.json


REFUSED = {
    "nothing": ("", 400, "bad_json"),
    "no JSON": ("{", 400, "bad_json"),
    "two values": ("{}{}", 400, "bad_json"),
    "no UTF-8": (b'{"channel":"a","data":"\xff"}', 400, "bad_json"),
    "a number": ("1", 400, "bad_request"),
    "a string": ('"a"', 400, "bad_request"),
    "null": ("null", 400, "bad_request"),
    "no channel": ('{"data":1}', 400, "bad_channel"),
    "no data": ('{"channel":"a"}', 400, "bad_request"),
    "a channel twice": ('{"channel":"a","channel":"b","data":1}', 400, "bad_request"),
    "data twice": ('{"channel":"a","data":1,"data":1}', 400, "bad_request"),
    "a channel that is a list": ('{"channel":["a"],"data":1}', 400, "bad_channel"),
    "a channel that is a number": ('{"channel":1,"data":1}', 400, "bad_channel"),
    "a pattern": ('{"channel":"a:*","data":1}', 400, "bad_channel"),
    "a channel of the gateway": ('{"channel":"$all","data":1}', 400, "bad_channel"),
    "an empty channel": ('{"channel":"","data":1}', 400, "bad_channel"),
    "a channel with a space": ('{"channel":"a b","data":1}', 400, "bad_channel"),
    "a channel with a NUL": ('{"channel":"a\\u0000","data":1}', 400, "bad_channel"),
    "a channel of 256 bytes": (f'{{"channel":"{"a" * 256}","data":1}}', 400, "bad_channel"),
    "an empty event": ('{"channel":"a","event":"","data":1}', 400, "bad_event"),
    "an event of 129 bytes": (f'{{"channel":"a","event":"{"e" * 129}","data":1}}', 400, "bad_event"),
    "an event that is null": ('{"channel":"a","event":null,"data":1}', 400, "bad_event"),
    "an event with a line end": ('{"channel":"a","event":"a\\nb","data":1}', 400, "bad_event"),
    "an event with a carriage return": ('{"channel":"a","event":"a\\rb","data":1}', 400, "bad_event"),
    "an event with a NUL": ('{"channel":"a","event":"a\\u0000b","data":1}', 400, "bad_event"),
    "a timestamp that is text": ('{"channel":"a","data":1,"timestamp":"now"}', 400, "bad_request"),
    "a timestamp with a fraction": ('{"channel":"a","data":1,"timestamp":1.5}', 400, "bad_request"),
    "a negative timestamp": ('{"channel":"a","data":1,"timestamp":-1}', 400, "bad_request"),
    "a timestamp beyond all years": ('{"channel":"a","data":1,"timestamp":253402300800000}', 400, "bad_request"),
    "a timestamp before 1970": ('{"channel":"a","data":1,"timestamp":"1969-12-31T23:59:59Z"}', 400, "bad_request"),
    "a timestamp that is a list": ('{"channel":"a","data":1,"timestamp":[1]}', 400, "bad_request"),
    "an id that is a list": ('{"channel":"a","data":1,"id":[]}', 400, "bad_request"),
    "an id that is long": (f'{{"channel":"a","data":1,"id":"{"x" * 130}"}}', 400, "bad_request"),
    "data that is too large": (f'{{"channel":"a","data":"{"x" * 65536}"}}', 413, "too_large"),
    "data that nests too deep": ('{"channel":"a","data":' + "[" * 200 + "]" * 200 + "}", 400, "bad_json"),
}


@pytest.mark.one_shard
@pytest.mark.parametrize("what", REFUSED)
def test_refused(web, shared_gateway, what):
    body, status, code = REFUSED[what]
    before = shared_gateway.counter("events_published")
    r = web.publish(body)
    assert (r.status, error(r)) == (status, code) and r.json["error"]["message"]
    assert web.get("/healthz").status == 200
    assert shared_gateway.counter("events_published") == before


def test_longest_names_are_taken(web):
    assert web.publish({"channel": "a" * 255, "event": "é" * 64, "data": "x" * 65530}).status == 200


# ---- many

def events(prefix, n):
    return [{"channel": f"{prefix}:{CHANNELS[i % len(CHANNELS)]}", "event": "e", "data": i} for i in range(n)]


SHAPES = {
    "an array": (lambda es: json.dumps(es), []),
    "a pretty array": (lambda es: json.dumps(es, indent=2), []),
    "lines": (lambda es: "\n".join(map(json.dumps, es)), []),
    "lines that are said to be": (lambda es: "".join(json.dumps(e) + "\n" for e in es), ["Content-Type: application/x-ndjson"]),
    "lines of another system": (lambda es: "".join(json.dumps(e) + "\r\n\r\n" for e in es), ["Content-Type: application/jsonl; charset=utf-8"]),
}


@pytest.mark.parametrize("n", [2, 1000])
@pytest.mark.parametrize("shape", SHAPES)
def test_many_in_order(web, reader, shape, n):
    form, lines = SHAPES[shape]
    sent = events(reader.prefix, n)
    r = web.publish(form(sent), *lines)
    assert r.status == 200
    results = r.json["results"]
    assert [offset(x["position"]) for x in results] == [i // len(CHANNELS) + 1 for i in range(n)]
    seen = {}
    for _ in range(n):
        event = reader.next_event()
        seen.setdefault(event["channel"], []).append((event["offset"], event["data"]))
    for i, e in enumerate(sent):
        assert seen[e["channel"]][i // len(CHANNELS)] == (offset(results[i]["position"]), i)


def test_one_in_an_array_is_many(web):
    assert len(web.publish([{"channel": "a", "data": 1}]).json["results"]) == 1
    assert web.publish("[]").json == {"results": []}
    assert web.publish('{"channel":"a","data":1}\n', "Content-Type: application/x-ndjson").json["results"][0]["position"]


def test_each_has_its_own_outcome(web):
    r = web.publish([{"channel": "a", "data": 1, "id": "x"}, {"channel": "*", "data": 1, "id": "y"}, {}, 7,
                     {"channel": "a", "data": "x" * 70000}, {"channel": "a", "data": 2, "id": 5}])
    assert r.status == 200
    first, *bad, last = r.json["results"]
    assert (first["id"], last["id"]) == ("x", 5) and offset(last["position"]) == offset(first["position"]) + 1
    assert [b["error"]["code"] for b in bad] == ["bad_channel", "bad_channel", "bad_request", "too_large"]
    assert bad[0]["id"] == "y"


def test_a_line_that_is_no_json_is_one_error_among_the_others(web):
    r = web.publish('{"channel":"a","data":1}\n{"channel"\n\n{"channel":"a","data":2}')
    first, bad, last = r.json["results"]
    assert bad["error"]["code"] == "bad_json" and offset(last["position"]) == offset(first["position"]) + 1


def test_more_than_publish_max_is_none(gateway):
    g = gateway({"http.publish_max": "10"})
    with Http(g.http) as c:
        assert len(c.publish(events("a", 10)).json["results"]) == 10
        for body in (json.dumps(events("a", 11)), "\n".join(map(json.dumps, events("a", 11)))):
            r = c.publish(body)
            assert (r.status, error(r)) == (413, "too_many")
    assert g.counter("events_published") == 10


def test_requests_in_a_row_are_published_in_order(web, reader):
    name = f"{reader.prefix}:row"
    web.send_bytes(b"".join(request("POST", "/api/publish", body=json.dumps({"channel": name, "data": n})) for n in range(300)))
    assert [offset(web.answer().json["position"]) for _ in range(300)] == list(range(1, 301))
    assert [reader.next_event()["data"] for _ in range(300)] == list(range(300))


# ---- rings that are full

TIGHT = {"ring_bytes": "64KiB", "max_message": "2KiB", "ingest.frame_max": "8KiB"}


def test_full_rings_make_requests_wait_and_lose_nothing(gateway):
    g = gateway(TIGHT)
    wrong = []

    def flood(n):
        try:
            with Http(g.http) as c:
                for i in range(5):
                    batch = [{"channel": f"{n}:{CHANNELS[k % 20]}", "data": f"{i}.{k}." + "x" * 900} for k in range(900)]
                    r = c.publish(batch)
                    assert r.status == 200, r.body
                    assert [offset(x["position"]) for x in r.json["results"]] == [i * 45 + k // 20 + 1 for k in range(900)]
        except Exception as e:  # noqa: BLE001
            wrong.append(repr(e))

    threads = [threading.Thread(target=flood, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong
    assert g.counter("events_published") == 4 * 5 * 900
    if len(g.counters_by_shard()) > 1:
        assert g.counter("ring_full") > 0, "this test fills no ring"


def test_who_leaves_meanwhile_leaves_nothing_behind(gateway):
    """What was taken in is published; the next client's are behind it; the gateway's end finds nothing open."""
    g = gateway(TIGHT)
    for n in range(20):
        c = Http(g.http)
        body = [{"channel": f"gone:{CHANNELS[k % 20]}", "data": "x" * 900} for k in range(900)]
        c.send("POST", "/api/publish", *([f"Idempotency-Key: k{n}"] if n % 2 else []), body=json.dumps(body))
        if n % 3:
            c.reset()
        else:
            c.drop()
    g.until_counter("connections", 0)
    with Http(g.http) as c:
        assert c.position("gone:c0")
        # Those that were whole have been published as a whole.
        g.until_counter("events_published", lambda now: now % 900 == 1)


@pytest.mark.parametrize("key", [[], ["Idempotency-Key: k"]])
def test_a_stop_meanwhile_loses_nothing_that_was_taken(gateway, key):
    """Whoever was told 200 has been published, and its subscribers have it before they are sent away."""
    g = gateway(TIGHT)
    with JsonClient.greeted(g.http) as ws, Http(g.http) as c, Http(g.http) as late:
        ws.subscribe("stop:*")
        assert late.get("/healthz").status == 200
        c.send("POST", "/api/publish", *key,
               body=json.dumps([{"channel": f"stop:{CHANNELS[k % 20]}", "data": "x" * 900} for k in range(900)]))
        g.signal(signal.SIGTERM)
        try:
            r = c.answer()
        except Closed:
            # The stop was faster than the request.
            r = None
        if r and r.status == 200:
            assert all("position" in x for x in r.json["results"])
            for _ in range(900):
                assert ws.next_event()["event"] == "message"
        else:
            assert r is None or r.status == 503
    g.stop()


# ---- idempotency keys

def keyed(c, key, what, **options):
    return c.publish(what, f"Idempotency-Key: {key}", **options)


@pytest.mark.parametrize("n", [1, 100])
def test_the_same_key_is_published_once(gateway, n):
    g = gateway()
    what = events("k", n) if n > 1 else {"channel": "k:one", "data": 1, "id": "x"}
    # On connections of their own, so that other shards are asked.
    answers = []
    for _ in range(12):
        with Http(g.http) as c:
            answers.append(keyed(c, "the-key", what))
    assert {a.status for a in answers} == {200} and len({a.body for a in answers}) == 1
    assert [a.headers.get("idempotent-replayed") for a in answers] == [None] + ["true"] * 11
    assert g.counter("events_published") == n and g.counter("http_keys_replayed") == 11


def test_other_keys_are_other_requests(gateway):
    g = gateway()
    with Http(g.http) as c:
        positions = [offset(keyed(c, f"key-{n}", {"channel": "a", "data": 1}).json["position"]) for n in range(50)]
    assert positions == list(range(1, 51))


def test_a_key_with_another_body_is_422(gateway):
    g = gateway()
    with Http(g.http) as c:
        assert keyed(c, "k", {"channel": "a", "data": 1}).status == 200
        for other, path in (({"channel": "a", "data": 2}, "/api/publish"), ([{"channel": "a", "data": 1}], "/api/publish"),
                            ({"data": 1}, "/api/broadcast")):
            r = keyed(c, "k", other, path=path)
            assert (r.status, error(r)) == (422, "key_reused")
    assert g.counter("events_published") == 1


def test_a_request_that_was_refused_has_not_used_its_key(gateway):
    with Http(gateway().http) as c:
        assert keyed(c, "k", {"channel": "*", "data": 1}).status == 400
        assert keyed(c, "k", "nonsense").status == 400
        assert keyed(c, "k", {"channel": "a", "data": 1}).status == 200


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 129, "a\tb"])
def test_keys_that_are_none(web, key):
    r = keyed(web, key, {"channel": "a", "data": 1})
    assert (r.status, error(r)) == (400, "bad_key")


def test_two_keys_are_none(web):
    assert web.publish({"channel": "a", "data": 1}, "Idempotency-Key: a", "Idempotency-Key: a").status == 400


def test_a_key_is_forgotten_after_its_time(gateway):
    g = gateway({"http.idempotency_ttl": "1s"})
    with Http(g.http) as c:
        seen = {keyed(c, "k", {"channel": "a", "data": 1}).json["position"]}
        # Time itself is what is looked at.
        while len(seen) == 1:
            seen.add(keyed(c, "k", {"channel": "a", "data": 1}).json["position"])
    assert sorted(map(offset, seen)) == [1, 2]


def test_the_oldest_keys_make_room(gateway):
    g = gateway({"http.idempotency_keys": "16"})
    with Http(g.http) as c:
        for n in range(400):
            assert keyed(c, f"k{n}", {"channel": "a", "data": n}).status == 200
        assert keyed(c, "k399", {"channel": "a", "data": 399}).headers.get("idempotent-replayed") == "true"
        assert keyed(c, "k0", {"channel": "a", "data": 0}).headers.get("idempotent-replayed") is None
    assert g.counter("http_keys_evicted") > 300


def test_the_same_key_from_many_at_once_is_published_once(gateway):
    """Whoever comes while the first is under way is told 409 and comes again."""
    g = gateway(TIGHT)
    what = json.dumps([{"channel": f"once:{CHANNELS[k % 20]}", "data": "x" * 900} for k in range(900)])
    answers, wrong = [], []

    def send():
        try:
            with Http(g.http) as c:
                while (r := keyed(c, "same", what)).status == 409:
                    assert error(r) == "conflict"
                answers.append((r.status, r.body))
        except Exception as e:  # noqa: BLE001
            wrong.append(repr(e))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong
    assert len(answers) == 8 and len(set(answers)) == 1 and answers[0][0] == 200
    assert g.counter("events_published") == 900


# ---- broadcast

def test_a_broadcast_reaches_everybody(web, shared_gateway):
    with JsonClient.greeted(shared_gateway.http) as a, JsonClient.greeted(shared_gateway.http) as b:
        a.barrier()
        b.barrier()
        r = web.publish({"event": "notice", "data": {"x": 1}}, path="/api/broadcast")
        assert r.status == 200
        for ws in (a, b):
            event = ws.next_event()
            assert (event["event"], event["data"], event["offset"]) == ("notice", {"x": 1}, offset(r.json["position"]))


def test_a_broadcast_has_no_channel(web):
    r = web.publish({"channel": "a", "data": 1}, path="/api/broadcast")
    assert (r.status, error(r)) == (400, "bad_request")


# ---- who may

TOKEN = "0123456789abcdef0123"
EVENT = {"channel": "a", "data": 1}


def test_with_a_token_it_must_be_presented(gateway):
    with Http(gateway({"admin.token": TOKEN}).http) as c:
        for lines in ([], ["Authorization: Bearer wrong"], [f"Authorization: Basic {TOKEN}"], [f"Authorization: Bearer {TOKEN}x"],
                      [f"Authorization: Bearer {TOKEN[:-1]}"], ["Authorization: Bearer "], [f"Authorization: {TOKEN}"],
                      [f"Authorization: Bearer {TOKEN}", f"Authorization: Bearer {TOKEN}"]):
            r = c.publish(EVENT, *lines)
            assert (r.status, error(r)) == (401, "unauthorized"), lines
            assert r.headers["www-authenticate"].startswith("Bearer")
        for lines in ([f"Authorization: Bearer {TOKEN}"], [f"authorization: bearer  {TOKEN}"],
                      [f"Authorization: Bearer {TOKEN}", "Origin: https://evil.com", "X-Forwarded-For: 1.2.3.4"]):
            assert c.publish(EVENT, *lines, host="gateway.example.com").status == 200, lines
        assert c.get("/healthz").status == 200


def test_a_refused_body_is_not_waited_for(gateway):
    with Http(gateway({"admin.token": TOKEN}).http) as c:
        c.send("POST", "/api/publish", "Content-Length: 1000000", length=False)
        assert c.answer().status == 401
        c.expect_end()


def test_the_token_may_lie_in_a_file(gateway, folder):
    with open(f"{folder}/token", "w", encoding="utf-8") as f:
        f.write(TOKEN + "\n")
    with Http(gateway({"admin.token_file": f"{folder}/token"}).http) as c:
        assert c.publish(EVENT).status == 401
        assert c.publish(EVENT, f"Authorization: Bearer {TOKEN}").status == 200


def test_open_on_loopback_can_be_closed_and_kept(gateway):
    with Http(gateway({"admin.open_on_loopback": "no"}).http) as c:
        r = c.publish(EVENT)
        assert (r.status, error(r)) == (403, "forbidden") and "token_file" in r.json["error"]["message"]
    with Http(gateway({"admin.open_on_loopback": "yes", "admin.token": TOKEN}).http) as c:
        assert c.publish(EVENT).status == 200
        assert c.publish(EVENT, "Authorization: Bearer wrong").status == 401


def test_another_address_than_loopback_is_not_open(gateway):
    with Http(("127.0.0.1", gateway({"insecure": "yes"}, listen="0.0.0.0:0").plain_http[1])) as c:
        assert c.publish(EVENT).status == 403
    with Http(("127.0.0.1", gateway({"admin.open_on_loopback": "yes", "insecure": "yes"}, listen="0.0.0.0:0").plain_http[1])) as c:
        assert c.publish(EVENT).status == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:8080"])
def test_open_to_hosts_of_the_loopback(web, host):
    assert web.publish(EVENT, host=host).status == 200


@pytest.mark.parametrize("host", ["evil.com", "evil.com:8080", "localhost.evil.com", "127.0.0.1.evil.com", "127.0.0.1evil.com", "127.evil.com",
                                  "127.0.0", "127..0.1", "127.0.0.", "1127.0.0.1", "0.0.0.0", "[::2]", "[::1].evil.com", "[::1", "", "10.0.0.1",
                                  "localhost.", "xlocalhost"])
def test_not_to_others_whatever_their_dns_says(web, host):
    r = web.publish(EVENT, f"Host: {host}", host=None)
    assert (r.status, error(r)) == (403, "forbidden")


@pytest.mark.parametrize("line", ["Origin: https://evil.com", "Origin: null", "Origin: http://localhost:1", "Origin: http://localhost.evil.com",
                                  "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4",
                                  "Via: 1.1 proxy", "X-Real-IP: 1.2.3.4"])
def test_not_to_pages_of_others_nor_through_proxies(web, line):
    r = web.publish(EVENT, line, host="localhost:9")
    assert (r.status, error(r)) == (403, "forbidden")


@pytest.mark.parametrize("line", ["Origin: http://localhost:9", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"])
def test_but_to_its_own_pages(web, line):
    assert web.publish(EVENT, line, host="localhost:9").status == 200


def test_listed_origins_may_publish_and_the_star_lists_nobody(gateway):
    with Http(gateway({"http.origins": "http://localhost:5173"}).http) as c:
        assert c.publish(EVENT, "Origin: http://localhost:5173").status == 200
        assert c.publish(EVENT, "Origin: http://localhost:5174").status == 403
    with Http(gateway({"http.origins": "*"}).http) as c:
        assert c.publish(EVENT, "Origin: http://localhost:5173").status == 403


# ---- a port of its own

def test_the_admin_port_takes_the_api_away_from_the_others(gateway):
    g = gateway({"admin.listen": "127.0.0.1:0", "admin.token": TOKEN})
    bearer = f"Authorization: Bearer {TOKEN}"
    with Http(g.http) as c, Http(g._address("admin")) as a:
        assert c.publish(EVENT, bearer).status == 404
        assert c.ask("OPTIONS", "/api/publish").status == 404
        assert c.get("/healthz").status == 200
        assert a.publish(EVENT).status == 401
        assert a.publish(EVENT, bearer).status == 200
        assert a.get("/healthz").status == 200
        with JsonClient.greeted(g._address("admin"), "/ws?channel=a") as ws:
            ws.await_type("subscription-ack")
            assert a.publish(EVENT, bearer).status == 200
            assert ws.next_event()["data"] == 1


def test_what_is_not_there_yet_is_404(web):
    for path in ("/api/users/1", "/api/sessions/1/sent", "/api/", "/api", "/api/publish/", "/api/publishx"):
        assert web.publish(EVENT, path=path).status == 404
