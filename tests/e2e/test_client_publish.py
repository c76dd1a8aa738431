# SPDX-License-Identifier: Apache-2.0
"""What clients publish: what a namespace takes is the same by WebSocket, ingest and HTTP, and whoever publishes may do without his own events."""
import json
import os
import random
import signal
import tempfile

import pytest

import rcjwt
from deadline import SOON, eventually
from rcdeflate import DeflateClient
from rchttp import Http
from rcingest import Wire, batch, broadcast
from rcingest import publish as publish_frame
from rcws import Closed, JsonClient, frame

ORDER = {
    "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "an order",
    "type": "object", "required": ["id", "order"], "additionalProperties": False,
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "note": {"type": ["string", "null"], "maxLength": 5},
        "order": {"type": "object", "required": ["price"], "properties": {
            "price": {"type": "number", "exclusiveMinimum": 0, "maximum": 9007199254740992},
            "side": {"enum": ["buy", "sell"]},
            "tags": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 2}}}},
    "events": {"ping": {"const": 1}},
}
GOOD = {"id": 1, "order": {"price": 1.5}}

# payload, what the field is, what is said of it
WRONG = [
    ('[]', "", "must be an object"),
    ('{"id":1}', "/order", "is required"),
    ('{"id":1,"order":{}}', "/order/price", "is required"),
    ('{"id":1,"order":{"price":"1"}}', "/order/price", "must be a number"),
    ('{"id":1,"order":{"price":0}}', "/order/price", "must be more than 0"),
    ('{"id":1,"order":{"price":9007199254740993}}', "/order/price", "must be at most 9007199254740992"),
    ('{"id":1.5,"order":{"price":1}}', "/id", "must be a whole number"),
    ('{"id":0,"order":{"price":1}}', "/id", "must be at least 1"),
    ('{"id":1,"order":{"price":1,"side":"hold"}}', "/order/side", 'must be one of 2 values, such as "buy"'),
    ('{"id":1,"order":{"price":1,"tags":["a",""]}}', "/order/tags/1", "must have at least 1 character"),
    ('{"id":1,"order":{"price":1,"tags":["a","b","c"]}}', "/order/tags", "must have at most 2 items"),
    ('{"id":1,"order":{"price":1},"note":"ä\\ud83d\\ude00bcde"}', "/note", "must have at most 5 characters"),
    ('{"id":1,"order":{"price":1},"a/b~":1}', "/a~1b~0", "is not allowed"),
    ('{"\\u0069d":"1","order":{"price":1}}', "/id", "must be a whole number"),
    ('{"id":"1","id":1,"order":{"price":1}}', "/id", "must be a whole number"),
]
RIGHT = [json.dumps(GOOD), '{"id":1e0,"order":{"price":9007199254740992.0},"note":"ä\\ud83d\\ude00bcd"}', ' {"order":{"price":1,"x":{"y":[]}},"id":2} ',
         '{"id":1,"order":{"price":1,"tags":[],"side":"\\u0062uy"},"note":null}']

folder = tempfile.mkdtemp(prefix="rc-schema-")


def schema_file(name, schema):
    path = os.path.join(folder, name)
    with open(path + "~", "w", encoding="utf-8") as f:
        f.write(schema if isinstance(schema, str) else json.dumps(schema, separators=(",", ":"), ensure_ascii=False))
    os.replace(path + "~", path)
    return path


def random_schema(r, depth=0):
    """Of the words that the gateway offers."""
    if r.random() < 0.06:
        return r.random() < 0.7
    s = {}
    types = ["object", "array", "string", "number", "integer", "boolean", "null"]
    if r.random() < 0.7:
        s["type"] = r.choice(types) if r.random() < 0.6 else r.sample(types, r.randint(1, 4))
    if r.random() < 0.12:
        s["enum"] = [scalar(r) for _ in range(r.randint(1, 4))]
    if r.random() < 0.06:
        s["const"] = scalar(r)
    for word in ("minLength", "maxLength", "minItems", "maxItems"):
        if r.random() < 0.2:
            s[word] = r.randint(0, 4)
    for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if r.random() < 0.2:
            s[word] = r.choice([-1, 0, 1, 2, 10])
    if depth < 3:
        if r.random() < 0.6:
            s["properties"] = {name: random_schema(r, depth + 1) for name in r.sample(NAMES, r.randint(0, 4))}
        if r.random() < 0.3:
            s["items"] = random_schema(r, depth + 1)
        if r.random() < 0.3:
            s["additionalProperties"] = r.choice([True, False, random_schema(r, depth + 1)])
    if r.random() < 0.3:
        s["required"] = r.sample(NAMES, r.randint(0, 2))
    return s


NAMES = ["a", "b", "ä", "a/b", "~", "long name", ""]


def scalar(r):
    return r.choice([None, "", "a", "ab", "äöü", "\U0001f600x", 0, 1, -1, 2.0, 1.5, 10, 100000])


def random_payload(r, depth=0):
    kind = r.random()
    if depth < 4 and kind < 0.45:
        return {name: random_payload(r, depth + 1) for name in r.sample(NAMES, r.randint(0, 4))}
    if depth < 4 and kind < 0.6:
        return [random_payload(r, depth + 1) for _ in range(r.randint(0, 4))]
    return r.choice([True, False]) if kind > 0.93 else scalar(r)


def fitting_payload(r, s, depth=0):
    """One that is often right."""
    if not isinstance(s, dict) or r.random() < 0.1:
        return random_payload(r, depth + 2)
    if "const" in s:
        return s["const"]
    if "enum" in s:
        return r.choice(s["enum"])
    kind = s.get("type", r.choice(["object", "array", "string", "number"]))
    kind = r.choice(kind) if isinstance(kind, list) else kind
    if kind == "object":
        names = set(s.get("required", [])) | {n for n in s.get("properties", {}) if r.random() < 0.7}
        return {n: fitting_payload(r, s.get("properties", {}).get(n, s.get("additionalProperties", True)), depth + 1) for n in sorted(names)}
    if kind == "array":
        return [fitting_payload(r, s.get("items", True), depth + 1) for _ in range(r.randint(s.get("minItems", 0), 4))]
    return {"string": r.choice(["", "a", "äö", "\U0001f600x", "abcd"]), "number": r.choice([0, 1, 1.5, 2.5, 10]), "integer": r.choice([0, 1, 2.0, 11]),
            "boolean": True, "null": None}[kind]


SEED = random.Random(7)
RANDOM = {f"e{i}": random_schema(SEED) for i in range(80)}

SETTINGS = {
    "namespace.allow_publish": "anyone",
    "namespace.order.schema": schema_file("order.json", ORDER),
    "namespace.random.schema": schema_file("random.json", {"events": RANDOM}),
    "namespace.json.payload": "json",
    "namespace.small.payload_max": "8",
    "namespace.some.events": "order:made, note*",
}


@pytest.fixture
def web(shared_gateway):
    with Http(shared_gateway.http) as c:
        yield c


def by_websocket(ws, channel, payload, event="e"):
    """None, or (code, field, message) of the refusal."""
    ws.send(1, f'{{"type":"publish","id":"x","channel":{json.dumps(channel)},"event":"{event}","data":{payload}}}')
    m = ws.await_type("ack", "error")
    assert m["id"] == "x"
    if m["type"] == "ack":
        return None
    assert m["temporary"] is False and m["data"]["error"] == m["message"]
    return m["code"], m.get("field"), m["message"]


def by_http(web, channel, payload, event="e", key=False):
    r = web.publish(f'{{"channel":{json.dumps(channel)},"event":"{event}","data":{payload}}}',
                    *([f"Idempotency-Key: {os.urandom(8).hex()}"] if key else []))
    if r.status == 200:
        return None
    e = r.json["error"]
    return r.status, e["code"], e.get("field"), e["message"]


def by_ingest(p, channel, payload, event="e", flags=Wire.FLAG_JSON, batched=False):
    p.sequence += 1
    flags |= Wire.FLAG_WANT_ACK
    if batched:
        p.send_bytes(batch([(p.sequence, channel, payload, event)], flags))
    else:
        p.send_bytes(publish_frame(p.sequence, channel, payload, event, 0, flags))
    p.settle()
    f = p.nacks.get(p.sequence)
    return f and (f.code, f.text)


# ---- what a namespace takes

@pytest.mark.tsan
def test_a_schema_names_the_field_and_what_it_must_be(shared_gateway, connect, publisher, web):
    g = shared_gateway
    ws, p = connect(g, "/ws?channel=order:1"), publisher(g)
    ws.await_type("subscription-ack")
    before = g.counter("events_refused_invalid")
    for payload, field, words in WRONG:
        said = f"{field or 'the payload'} {words}"
        assert by_websocket(ws, "order:1", payload) == ("invalid_data", field, said)
        assert by_http(web, "order:1", payload) == (422, "invalid_data", field, said)
        assert by_ingest(p, "order:1", payload) == (Wire.NACK_INVALID_DATA, said)
    assert by_ingest(p, "order:1", WRONG[0][0], batched=True)[0] == Wire.NACK_INVALID_DATA
    assert g.counter("events_refused_invalid") == before + 3 * len(WRONG) + 1
    for payload in RIGHT:
        assert by_websocket(ws, "order:1", payload) is None
        assert by_http(web, "order:1", payload) is None
        assert by_ingest(p, "order:1", payload) is None
        # Nothing of what was refused took an offset.
        assert [ws.next_event()["data"] for _ in range(3)] == [json.loads(payload)] * 3
    assert by_websocket(ws, "order:1", "1", event="ping") is None
    assert by_websocket(ws, "order:1", "2", event="ping") == ("invalid_data", "", "the payload must be 1")
    # What is opaque is no JSON, and a schema is about JSON.
    assert by_ingest(p, "order:1", RIGHT[0], flags=0) == (Wire.NACK_INVALID_DATA, "the payload must be JSON")
    assert ws.next_event()["offset"] == 3 * len(RIGHT) + 1


def test_each_event_of_an_array_is_told_its_own_fault(web):
    body = json.dumps([{"channel": "order:2", "event": "e", "data": GOOD}, {"channel": "order:2", "event": "e", "data": {"id": 1}, "id": "mine"},
                       {"channel": "free", "event": "e", "data": {"id": 1}}, {"channel": "order:2", "event": "ping", "data": "\"" * 100}])
    for key in ([], ["Idempotency-Key: array-of-4"], ["Idempotency-Key: array-of-4"]):
        r = web.publish(body, *key).json["results"]
        assert r[1] == {"id": "mine", "error": {"code": "invalid_data", "field": "/order", "message": "/order is required"}}
        assert r[3]["error"]["field"] == "" and "position" in r[0] and "position" in r[2]
    lines = "\n".join('{"channel":"order:2","data":{"id":%d,"%s":1}}' % (i, "\\\"" * 100) for i in range(900))
    r = web.publish(lines, "Content-Type: application/x-ndjson")
    assert [e["error"]["code"] for e in r.json["results"]] == ["invalid_data"] * 900


def test_one_with_a_key_is_refused_before_its_key_is_taken(web):
    assert by_http(web, "order:3", '{"id":1}', key=True)[:3] == (422, "invalid_data", "/order")


def test_size_json_and_names_of_events(shared_gateway, connect, publisher, web):
    g = shared_gateway
    ws, p = connect(g), publisher(g)
    assert by_websocket(ws, "small:1", '"123456"') is None
    assert by_websocket(ws, "small:1", '"1234567"')[0] == "too_large"
    assert by_http(web, "small:1", '"1234567"')[:2] == (413, "too_large")
    assert by_ingest(p, "small:1", '"1234567"')[0] == Wire.NACK_TOO_LARGE
    assert by_ingest(p, "json:1", "{", flags=0) == (Wire.NACK_INVALID_DATA, "the payload must be JSON")
    assert by_ingest(p, "json:1", "{}") is None and by_ingest(p, "any:1", "{", flags=0) is None
    for event, taken in (("order:made", True), ("note", True), ("notes:1", True), ("order:madex", False), ("e", False)):
        answers = by_websocket(ws, "some:1", "1", event), by_http(web, "some:1", "1", event), by_ingest(p, "some:1", "1", event)
        if taken:
            assert answers == (None, None, None)
        else:
            assert answers[0][:2] == ("invalid_data", None)
            assert answers[1][:3] == (422, "invalid_data", None)
            assert answers[2][0] == Wire.NACK_INVALID_DATA


def test_a_broadcast_belongs_to_no_namespace(gateway, connect, publisher):
    g = gateway({"namespace.schema": schema_file("all.json", {"type": "string"}), "namespace.payload_max": "4"})
    ws, p = connect(g), publisher(g)
    assert by_ingest(p, "a", "12") == (Wire.NACK_INVALID_DATA, "the payload must be a string")
    p.sequence += 1
    p.send_bytes(broadcast(p.sequence, '{"to":"all"}', flags=Wire.FLAG_JSON | Wire.FLAG_WANT_ACK))
    p.settle()
    assert list(p.nacks) == [1]
    assert ws.next_event()["data"] == {"to": "all"}
    with Http(g.http) as web:
        assert web.publish({"event": "e", "data": {"to": "all"}}, path="/api/broadcast").status == 200


@pytest.mark.one_shard
def test_the_verdict_is_that_of_another_validator(web):
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    r = random.Random(11)
    judges = {name: jsonschema.Draft202012Validator(s) for name, s in RANDOM.items()}
    count = {True: 0, False: 0}
    for _ in range(12):
        events = []
        for name, schema in RANDOM.items():
            for _ in range(6):
                events.append((name, fitting_payload(r, schema) if r.random() < 0.7 else random_payload(r)))
        answer = web.publish(json.dumps([{"channel": "random:1", "event": n, "data": d} for n, d in events], ensure_ascii=r.random() < 0.5))
        for (name, data), result in zip(events, answer.json["results"], strict=True):
            right = judges[name].is_valid(data)
            count[right] += 1
            assert ("position" in result) == right, (name, RANDOM[name], data, result)
    assert min(count.values()) > 1000, count


# ---- answers

TIGHT = {"ring_bytes": "64KiB", "max_message": "2KiB", "ingest.frame_max": "8KiB", "output_max": "8MiB", "namespace.allow_publish": "anyone"}


def test_each_of_a_burst_has_its_answer_and_a_full_ring_makes_it_wait(gateway, connect):
    """More at once than rings and jobs hold: each has its place, or is refused for the moment, and nothing in between."""
    g = gateway(TIGHT)
    ws = connect(g)
    channels, said = [f"burst{i}" for i in range(8)], 6000
    raw = b"".join(frame(1, json.dumps({"type": "publish", "channel": channels[i % 8], "event": "e", "data": "x" * 200, "id": i})) for i in range(said))
    ws.sock.settimeout(30)
    ws.sock.sendall(raw)
    answers = [ws.await_type("ack", "error") for _ in range(said)]
    assert sorted(a["id"] for a in answers) == list(range(said))
    refused = [a for a in answers if a["type"] == "error"]
    assert {(a["code"], a["temporary"]) for a in refused} <= {("server_capacity_exceeded", True)}
    for channel in channels:
        offsets = [int(a["position"].split("@")[1]) for a in answers if a["type"] == "ack" and a["channel"] == channel]
        assert offsets == list(range(1, len(offsets) + 1)), channel
    assert g.counter("events_published") == said - len(refused)


def test_ids_of_all_are_remembered_and_the_oldest_make_room(gateway, connect):
    """The table of ids holds 16 a shard and some: who sends more at once is told of those that find no room, and may send them again."""
    g = gateway({"http.idempotency_keys": "16", "namespace.allow_publish": "user", "auth.hmac_secret": rcjwt.SECRET})
    ws = connect(g, "/ws?token=" + rcjwt.make(sub="ann"))
    message = {"type": "publish", "channel": "a", "event": "e", "data": 1}
    for i in range(200):
        ws.say({**message, "id": i})
    answers = {a["id"]: a for a in (ws.await_type("ack", "error") for _ in range(200))}
    assert len(answers) == 200
    assert {(a["code"], a["temporary"]) for a in answers.values() if a["type"] == "error"} <= {("server_capacity_exceeded", True)}
    for i in range(200, 320):
        ws.say({**message, "id": i})
        answers[i] = ws.await_type("ack")
    # The newest are still known; the first was forgotten, and is published again.
    last = 319
    ws.say({**message, "id": last})
    assert ws.await_type("ack")["position"] == answers[last]["position"]
    ws.say({**message, "id": 0})
    assert ws.await_type("ack")["position"] != answers[0].get("position")


def test_who_publishes_while_the_gateway_stops_is_answered_or_told_to_come_back(gateway, connect):
    g = gateway({"namespace.allow_publish": "anyone"})
    ws = connect(g)
    answers, n = [], 0
    for n in range(50):
        ws.say(type="publish", channel="a", event="e", data=n, id=n)
        if n == 25:
            g.signal(signal.SIGTERM)
    try:
        while True:
            answers.append(ws.recv_json())
    except Closed as e:
        assert e.code == 1012
    ws.drop()
    bye = [i for i, a in enumerate(answers) if a["type"] == "bye"]
    assert len(bye) == 1
    acks = [int(a["position"].split("@")[1]) for a in answers if a["type"] == "ack"]
    errors = [a for a in answers if a["type"] == "error"]
    # Up to some moment all are taken, then none is; whoever gets no answer at all was told bye, and his stream ended.
    assert acks == list(range(1, len(acks) + 1))
    assert {(a["code"], a["temporary"]) for a in errors} <= {("server_capacity_exceeded", True)}
    assert g.wait() == 0
    g.judged = True


# ---- schemas that are none, and others that take their place

@pytest.mark.one_shard
@pytest.mark.parametrize("text, said", [
    ('{"type":"strnig"}', "line 1: /type must be object, array"),
    ('{"properties":\n{"a":{"pattern":"x"}}}', "line 2: /properties/a/pattern is not offered by this gateway"),
    ('{"type":"object",\n', "line 1: the schema is not JSON"),
    ('{"enum":[{}]}', "/enum compares with an object or an array"),
], ids=["type", "word", "json", "enum"])
def test_a_bad_schema_is_refused_at_start_with_its_place(gateway, text, said):
    g = gateway({"namespace.schema": schema_file("bad.json", text)}, ready=False)
    assert g.wait() == 1
    assert said in g.log, g.log
    g.judged = True


def test_a_schema_is_read_again_and_a_wrong_one_keeps_the_old(gateway, connect):
    path = schema_file("changing.json", {"type": "string"})
    g = gateway({"namespace.schema": path, "namespace.allow_publish": "anyone"})
    ws = connect(g)
    assert by_websocket(ws, "a", "1") == ("invalid_data", "", "the payload must be a string")
    schema_file("changing.json", {"type": "number"})
    g.signal(signal.SIGHUP)
    eventually(lambda: all(c["schema_reloads"] == 1 for c in g.counters_by_shard()), "every shard took up the new schema", 30)
    assert by_websocket(ws, "a", "1") is None
    schema_file("changing.json", {"type": "nothing"})
    g.until_counter("schema_reloads_failed", 1)
    g.wait_line("schemas are not reloaded, the old ones stay: .*changing.json: line 1: /type must be")
    assert by_websocket(ws, "a", "1") is None and by_websocket(ws, "a", '""') is not None
    assert g.log.count("schemas are not reloaded") == 1


# ---- echo

@pytest.mark.tsan
def test_without_echo_everybody_else_gets_it(shared_gateway, connect, publisher):
    g = shared_gateway
    me, other = connect(g), connect(g)
    for i in range(8):  # so that each shard owns some
        name = f"echo{i}"
        for ws in (me, other):
            ws.subscribe(f"{name}:a", f"{name}:*")
        offsets = []
        for n, echo in enumerate((False, True, False, False, None)):
            me.say({"type": "publish", "channel": f"{name}:a", "event": "e", "data": n} | ({} if echo is None else {"echo": echo}))
            offsets.append(int(me.await_type("ack")["position"].split("@")[1]))
        assert offsets == [1, 2, 3, 4, 5]
        assert sorted(e["data"] for e in (me.next_event() for _ in range(4))) == [1, 1, 4, 4]
        assert sorted(e["data"] for e in (other.next_event() for _ in range(10))) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
        me.barrier()
        assert me.events == []
    me.say(type="publish", channel="echo:a", event="e", data=1, echo=1)
    assert me.await_type("error")["code"] == "bad_request"


def next_of(ws):
    """His next event, past acknowledgements."""
    while not ws.events:
        if (m := ws.await_type("event", "ack"))["type"] == "event":
            return m
    return ws.events.pop(0)


class Batches(JsonClient):
    """An object a line; and the next event may come behind acknowledgements."""

    def recv_json(self, timeout=SOON):
        if not (lines := vars(self).setdefault("lines", [])):
            lines += self.recv(timeout)[1].splitlines()
        return json.loads(lines.pop(0))


@pytest.mark.parametrize("form", ["deflate", "filter", "batch"])
def test_without_echo_holds_for_views(gateway, form):
    g = gateway({"namespace.allow_publish": "anyone", "namespace.deflate": "yes", "deflate_min": "64B"})
    kind = DeflateClient if form == "deflate" else Batches
    more = {"filter": "data.n > 0"} if form == "filter" else {}
    path = "/ws?batch=1" if form == "batch" else "/ws"
    with kind.greeted(g.http, path) as me, kind.greeted(g.http, path) as other:
        for ws in (me, other):
            ws.subscribe("view:*", *[f"view{i}" for i in range(6)], **more)
        for channel in [f"view{i}" for i in range(6)] + ["view:a"]:
            for n, echo in ((1, False), (2, True), (3, False), (4, False), (5, True)):
                me.say(type="publish", channel=channel, event="e", data={"n": n, "pad": "p" * 300}, echo=echo)
            assert [next_of(other)["data"]["n"] for _ in range(5)] == [1, 2, 3, 4, 5]
            assert [next_of(me)["data"]["n"] for _ in range(2)] == [2, 5]
        me.barrier() if form != "batch" else None
        assert me.events == []


@pytest.mark.deadline(120)
def test_without_echo_a_slow_publisher_gets_what_others_said_and_not_his_own(shared_gateway, connect):
    g = shared_gateway
    r = random.Random(3)
    me = connect(g, rcvbuf=4096)
    other, fast = connect(g), connect(g)
    for ws in (me, fast):
        ws.subscribe("quiet-a", "quiet-b", "quiet:*")
    pad = "p" * 3000
    channels = ["quiet-a", "quiet-b", "quiet:c"]
    before = g.counter("echo_holes")
    mine, wanted, n = set(), [], 0
    # Until what lies between is much more than kernels hold for one connection he reads nothing; sends are cut short anywhere.
    for _ in range(6):
        others = 0
        for _ in range(60):
            n += 1
            by_me, echo = r.random() < 0.6, r.random() < 0.2
            (me if by_me else other).say(type="publish", channel=r.choice(channels), event="e", data={"n": n, "pad": pad[:r.randint(0, 3000)]},
                                         echo=echo)
            others += not by_me
            if by_me and not echo:
                mine.add(n)
            else:
                wanted.append(n)
        for _ in range(60):
            fast.next_event()
        for _ in range(others):
            other.await_type("ack")
    assert g.counter("echo_holes") > before, "he was behind"
    got = []
    while len(got) < len(wanted):
        got.append(next_of(me))
    me.say(type="publish", channel="quiet-a", event="last", data={"n": 0})
    got.append(next_of(me))
    seen = [e["data"]["n"] for e in got]
    assert seen[-1] == 0 and sorted(seen[:-1]) == wanted and not mine & set(seen)
    for channel in channels:
        offsets = [e["offset"] for e in got if e["channel"] == channel]
        assert offsets == sorted(offsets), "in the order of the channel"


def test_without_echo_holds_when_one_form_follows_another(shared_gateway, connect):
    g = shared_gateway
    me, other = connect(g, rcvbuf=4096), connect(g)
    me.subscribe("follows")
    before, pad, n = g.counter("echo_holes"), "p" * 1000, 0
    # He reads nothing, so his own lie behind what others said, and both in the log.
    while g.counter("echo_holes") < before + 5:
        for ws in (other, me):
            n += 1
            ws.say(type="publish", id=str(n), channel="follows", event="e", data={"n": n, "pad": pad}, echo=False)
        other.await_type("ack")
    me.say(type="subscribe", channels=["follows"], filter="data.n < 0")
    got = []
    while (m := me.await_type("subscription-ack", "event", "ack"))["type"] != "subscription-ack":
        if m["type"] == "event":
            got.append(m["data"]["n"])
    got += [e["data"]["n"] for e in me.events]
    assert got == list(range(1, n, 2)), "what others said, all of it"


def test_another_session_of_the_same_user_gets_it_and_a_stream_too(shared_gateway, connect, sse):
    g = shared_gateway
    stream = sse(g, "/events?channel=echo-s")
    me, again = connect(g), connect(g)
    for ws in (me, again):
        ws.subscribe("echo-s")
    me.say(type="publish", channel="echo-s", event="e", data=5, echo=False)
    position = me.await_type("ack")["position"]
    assert again.next_event()["data"] == 5
    assert stream.next_event()["data"] == 5
    me.barrier()
    assert me.events == []
    assert position.endswith("@1")


def test_what_is_recovered_later_holds_it(gateway, connect):
    g = gateway({"namespace.allow_publish": "anyone", "namespace.history_size": "10"})
    me = connect(g)
    start = me.subscribe("kept")["data"]["positions"]["kept"]
    me.say(type="publish", channel="kept", event="e", data=5, echo=False)
    me.await_type("ack")
    me.unsubscribe("kept")
    assert me.events == []
    me.subscribe("kept", since=start)
    assert me.next_event()["data"] == 5
